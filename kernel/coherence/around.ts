// A thread on a stream (read-ahead.ts) whose page has come goes on when what came with it is mapped too: a fault, and a turn from the
// service to the thread and back, cost as much as some pages. While many of its pages are under way it waits for a few, as a network
// card's interrupt does (moderation), one round trip of the wire at most. Core 0 only.
// Invariant: a client that is held here has its page, pinned; nobody else answers it.
import { portReply } from "../lwkt/port";
import { ACCESSED, entriesBehind, NO_EXECUTE, PRESENT, setEntriesOnce, USER } from "../memory/paging";
import { sharedMappingAt } from "../process/mapping";
import { wireTime } from "../syslink/peers";
import { Client } from "./client";
import { homesHeal } from "./homes";
import { isSuspended } from "./page-members";
import { SharedObject } from "./pager";
import { streamAround, streamBehind, streamComes } from "./read-ahead";

/** Pages that a thread is held for, and how many must be under way behind it for that. */
const FEW: u32 = 16;
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
  if (heldFirst != 0) goOn(now);
}

function goOn(now: u64): void {
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
  if (streamComes(object, client.index + FEW)) return true; // pages come in order, as a rule
  const here = streamBehind(object, client.index, FEW);
  // Of a range that was granted untouched nothing comes.
  return here < FEW && streamComes(object, client.index + 1 + here);
}

/** What is here may not be used at the moment. */
function isMoving(client: Client): bool {
  const object = changetype<SharedObject>(client.object);
  return isSuspended() || object.dead != 0 || object.moving != 0 || homesHeal();
}

let mapFor: usize = 0;
/** Page-table entries of the pages that are mapped together. */
const entries: usize = memory.data(248, 8); // AROUND * 8

/** Pages behind it that are here, to be read: one fault for many of a stream. */
function mapAround(client: Client): void {
  mapFor = changetype<usize>(client);
  const object = changetype<SharedObject>(client.object);
  sharedMappingAt(object, client.index, client.space, client.va, mapVisit.index);
}

/** `pages` from there on are of one map entry, hence with the same rights. */
function mapVisit(space: usize, va: u64, pages: u64): void {
  const client = changetype<Client>(mapFor);
  const object = changetype<SharedObject>(client.object);
  const most = <u32>min<u64>(pages, entriesBehind(va)) - 1;
  const flags = PRESENT | USER | ACCESSED | NO_EXECUTE;
  const count = streamAround(client, object, client.index, most, flags, entries);
  if (count != 0) setEntriesOnce(space, va + 4096, entries, count);
}
