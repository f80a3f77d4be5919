// Questions of this machine's threads that are under way to other machines as SYSLINK transactions: each ends with its
// answer, with the death of the machine that was asked, or is asked again when the object has another home.
import { portReply } from "../lwkt/port";
import { isDead } from "../syslink/cluster";
import {
  ASK_EXTEND,
  ASK_FAULT,
  ASK_FUTEX_CANCEL,
  ASK_FUTEX_WAIT,
  ASK_FUTEX_WAKE,
  ASK_LINK,
  ASK_LINKS,
  ASK_OPEN,
  ASK_SIZE,
  ASK_TRUNCATE,
  ASK_UNLINK,
  Client,
} from "./client";
import { homeOf, homesMove } from "./homes";
import { nameHash } from "./object-names";
import { pagesFlushed } from "./page-members";
import { SharedObject } from "./pager";

const ETIMEDOUT: i64 = 110;

let msgids: u32 = 0;

/** Clients whose question is under way, linked by nextPending. */
let pending: usize = 0;

export function nextMsgid(): u32 {
  msgids++;
  if (msgids == 0) msgids = 1;
  return msgids;
}

/** The question is under way to that machine, as client.msgid. */
export function begin(client: Client, machine: u32): void {
  client.machine = machine;
  client.msgid = nextMsgid();
  client.nextPending = pending;
  pending = changetype<usize>(client);
}

/** The client whose question this answers, no longer pending; 0 = nobody waits for it. */
export function pendingTake(machine: u32, msgid: u32): Client {
  let before: usize = 0;
  let at = pending;
  while (at != 0) {
    const client = changetype<Client>(at);
    if (client.machine == machine && client.msgid == msgid) {
      if (before != 0) changetype<Client>(before).nextPending = client.nextPending;
      else pending = client.nextPending;
      client.nextPending = 0;
      return client;
    }
    before = at;
    at = client.nextPending;
  }
  return changetype<Client>(0);
}

/** Questions about objects that move now, and by names whose home is another one now: they are asked again. Linked by nextWaiter. */
export function questionsTake(): usize {
  let taken: usize = 0;
  let at = pending;
  pending = 0;
  while (at != 0) {
    const client = changetype<Client>(at);
    at = client.nextPending;
    if (client.command == ASK_FUTEX_WAIT && movesOn(client)) {
      client.nextPending = 0;
      portReply(client, 0); // it has been woken: it looks again
    } else if (movesOn(client)) {
      client.nextPending = 0;
      client.nextWaiter = taken;
      taken = changetype<usize>(client);
    } else {
      client.nextPending = pending;
      pending = changetype<usize>(client);
    }
  }
  return taken;
}

function movesOn(client: Client): bool {
  return isByName(client)
    ? homeOf(nameHash(client.name, client.nameBytes)) != client.machine
    : isOfMovingObject(client);
}

/**
 * Whether the client's question has to wait until objects that move have a home again; also while a view is flushed: behind this machine's marker
 * it could come to a former home that has frozen, which would make a second file of a name.
 */
export function questionWaits(client: Client): bool {
  if (client.command == ASK_FAULT) return false; // its page is asked for then
  if (pagesFlushed() && (isByName(client) || isOfObject(client))) return true;
  return isByName(client)
    ? homesMove() || isDead(homeOf(nameHash(client.name, client.nameBytes)))
    : isOfMovingObject(client);
}

export function isByName(client: Client): bool {
  return client.command == ASK_OPEN || client.command == ASK_UNLINK || client.command == ASK_LINK;
}

function isOfMovingObject(client: Client): bool {
  return isOfObject(client) && changetype<SharedObject>(client.object).moving != 0;
}

function isOfObject(client: Client): bool {
  switch (client.command) {
    case ASK_SIZE:
    case ASK_LINKS:
    case ASK_EXTEND:
    case ASK_TRUNCATE:
    case ASK_FUTEX_WAIT:
    case ASK_FUTEX_CANCEL:
    case ASK_FUTEX_WAKE:
      return true;
    default:
      return false;
  }
}

/** What was asked of a machine (0: of any) fails. */
export function questionsEnd(machine: u32, error: i64): void {
  while (true) {
    let at = pending;
    while (at != 0 && machine != 0 && changetype<Client>(at).machine != machine) {
      at = changetype<Client>(at).nextPending;
    }
    if (at == 0) break;
    portReply(pendingTake(changetype<Client>(at).machine, changetype<Client>(at).msgid), error);
  }
}

/** What was asked of that machine: what is asked of another one now is kept for questionsTake(), the rest fails. */
export function questionsMachineDied(machine: u32, error: i64): void {
  for (let at = pending; at != 0; at = changetype<Client>(at).nextPending) {
    const client = changetype<Client>(at);
    const moves =
      isByName(client) || (isOfObject(client) && changetype<SharedObject>(client.object).hash != 0);
    if (client.machine == machine && moves) client.machine = 0; // a new life with its number is somebody else
  }
  questionsEnd(machine, error);
}

/** The cluster is out of reach. */
export function questionsFail(): void {
  questionsEnd(0, -ETIMEDOUT);
}
