// A thread on a stream (read-ahead.ts) whose page has come goes on when what came with it is mapped too: a fault, and a turn from the
// service to the thread and back, cost as much as some pages. While many of its pages are under way it waits for a few, as a network
// card's interrupt does (moderation), one round trip of the wire at most. Core 0 only.
// Invariant: a client that is held here has its page, pinned; nobody else answers it.
import { portReply } from "../lwkt/port";
import { ACCESSED, entryOf, NO_EXECUTE, PRESENT, setEntry, USER } from "../memory/paging";
import { sharedEntryEnd, sharedMappings } from "../process/mapping";
import { wireTime } from "../syslink/peers";
import { Client } from "./client";
import { isSuspended } from "./page-members";
import { SharedObject } from "./pager";
import { streamAround, streamBehind, streamComes, streamFrame } from "./read-ahead";

/** Pages that a thread is held for, and how many must be under way behind it for that. */
const FEW: u32 = 8;
const MANY: u64 = 64;
const MILLISECOND: u64 = 1_000_000;
const NEVER: u64 = ~(<u64>0);

let heldFirst: usize = 0;

/** The client has been granted its page, to read. True: it is answered by streamsGoOn(). */
export function goesOnLater(client: Client, now: u64): bool {
  if (client.streamWindow == 0) return false;
  const wait = client.streamEnd > client.index + MANY ? min<u64>(wireTime(), MILLISECOND) : 0;
  client.heldUntil = wait != 0 ? now + wait : 0; // without a wire nothing is under way, and no service would look again
  client.nextWaiter = heldFirst;
  heldFirst = changetype<usize>(client);
  return true;
}

/** At the end of every piece of work. */
export function streamsGoOn(now: u64): void {
  let before: usize = 0;
  let at = heldFirst;
  while (at != 0) {
    const client = changetype<Client>(at);
    const next = client.nextWaiter;
    if (now < client.heldUntil && mayHold(client)) before = at;
    else {
      if (before != 0) changetype<Client>(before).nextWaiter = next;
      else heldFirst = next;
      client.nextWaiter = 0;
      if (!isMoving(client)) mapAround(client);
      portReply(client, 0);
    }
    at = next;
  }
}

/** When somebody is held no longer. */
export function streamsDue(): u64 {
  let due = NEVER;
  for (let at = heldFirst; at != 0; at = changetype<Client>(at).nextWaiter)
    due = min<u64>(due, changetype<Client>(at).heldUntil);
  return due;
}

function mayHold(client: Client): bool {
  const object = changetype<SharedObject>(client.object);
  if (isMoving(client)) return false;
  const here = streamBehind(object, client.index, FEW);
  // Of a range that was granted untouched nothing comes.
  return here < FEW && streamComes(object, client.index + 1 + here);
}

/** What is here may not be used at the moment. */
function isMoving(client: Client): bool {
  const object = changetype<SharedObject>(client.object);
  return isSuspended() || object.dead != 0 || object.moving != 0;
}

let mapFor: usize = 0;
let mapEntry: u64 = 0;

/** Pages behind it that are here, to be read: one fault for many of a stream. */
function mapAround(client: Client): void {
  const object = changetype<SharedObject>(client.object);
  const index = client.index;
  const va = client.va;
  // Of one map entry, hence with the same rights, and of one page table, which is there.
  const end = min<u64>(sharedEntryEnd(object, client.space, va), (va | 0x1f_ffff) + 1);
  if (end <= va) return;
  mapFor = changetype<usize>(client);
  const count = streamAround(client, object, index, <u32>((end - va - 1) >> 12));
  for (let i: u32 = 1; i <= count; i++) {
    client.va = va + ((<u64>i) << 12);
    mapEntry = <u64>streamFrame(object, index + i) | PRESENT | USER | ACCESSED | NO_EXECUTE;
    sharedMappings(object, index + i, mapVisit.index);
  }
  client.va = va;
}

/** Where nothing is mapped yet. */
function mapVisit(space: usize, va: u64): void {
  const client = changetype<Client>(mapFor);
  if (space == client.space && va == client.va && entryOf(space, va) == 0) setEntry(space, va, mapEntry);
}
