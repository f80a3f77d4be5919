// Truncating for others: the home takes pages back, hence waits, hence has a thread for it.
import { criticalEnter, criticalExit } from "../lwkt/critical";
import { Message, Port, portCreate, portReply, portSend, portWait } from "../lwkt/port";
import { PRIORITY_KERNEL, threadCreate } from "../lwkt/thread";
import { allocate, release } from "../memory/slab";
import { clusterSelf, isDead, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_TRUNCATE, ITEM_SIZE } from "../syslink/commands";
import { itemPut, RESPONSE } from "../syslink/message";
import { Client } from "./client";
import { objectClose, referenceGiven } from "./object-list";
import { SharedObject, truncateHere } from "./pager";

@unmanaged
class Work extends Message {
  object: usize = 0;
  from: u32 = 0;
  msgid: u32 = 0;
  size: u64 = 0;
}

let helper: usize = 0;

/** On core 0. */
export function truncationStart(): void {
  criticalEnter();
  const thread = threadCreate(help.index, 0, "truncate", 0, PRIORITY_KERNEL);
  helper = changetype<usize>(portCreate(changetype<usize>(thread), 0));
  criticalExit();
}

export function truncateLater(object: SharedObject, from: u32, msgid: u32, size: u64): void {
  const work = changetype<Work>(allocate(offsetof<Work>()));
  work.object = changetype<usize>(object);
  work.from = from;
  work.msgid = msgid;
  work.size = size;
  // It stays until the work is done.
  referenceGiven(object.id, clusterSelf());
  object.references++;
  portSend(changetype<Port>(helper), work);
}

function help(_argument: usize): void {
  while (true) {
    const work = changetype<Work>(portWait(changetype<Port>(helper)));
    truncateHere(changetype<SharedObject>(work.object), work.size, work.from, work.msgid);
    portReply(work, 0);
    release(changetype<usize>(work));
  }
}

export function answerTruncate(client: Client): i64 {
  const object = changetype<SharedObject>(client.object);
  if (!isDead(client.machine)) {
    const writer = messageTo(client.machine, 16 + 16, object.id, client.msgid, COMMAND_TRUNCATE | RESPONSE);
    store<u64>(itemPut(writer, ITEM_SIZE, 0, 8), object.size);
    messageEnd();
  }
  return objectClose(object);
}
