// Mirrored mode: what leaves the machine otherwise than by pages waits until what it follows from is mirrored (R3). A user who
// has seen a line on the console has seen what its program had written before; so has a waiter that was woken, or who asked for
// a file's size. (Strom and Yemini, Optimistic Recovery in Distributed Systems, 1985: output commit.)
//
// A commit ends when everything that was written here before it is on as many machines as are to have it, and this machine's
// lease holds: who has been left out shows nothing more. Nothing unsafe, nothing to wait for. Core 0 only, but for commitOutput().
import { print, printDecimal } from "../console";
import { ASYNCHRONOUS, portCall, portReply } from "../lwkt/port";
import { nanoseconds } from "../machine/time";
import { allocate, release } from "../memory/slab";
import { clusterMachines, clusterPort, clusterSelf, isDead } from "../syslink/cluster";
import { outOfReach } from "../syslink/lease";
import { membersHealed } from "../syslink/members";
import { messagePosition, messagesArrived, messagesOverflow } from "../syslink/outbox";
import { ASK_COMMIT, Client, clientCurrent } from "./client";
import { homesMove } from "./homes";
import {
  isRoomless,
  LATER,
  mirrorAll,
  mirrorsCount,
  mirrorsLook,
  mirrorsOn,
  mirrorsOwed,
  mirrorsWait,
  roomlessDue,
  roomlessTell,
  writersWait,
} from "./mirror-pages";
import { roomOpen } from "./mirror-room";
import { pageFindOrMake } from "./page-index";
import { isSuspended } from "./page-members";
import { SharedObject } from "./pager";
import { pageAsked } from "./pages";
import { willsHeirs } from "./wills";

const EIO: i64 = 5;
const ENOMEM: i64 = 12;
const ETIMEDOUT: i64 = 110;
const MACHINES: usize = 64;

@unmanaged
class Commit {
  next: usize = 0;
  /** Who waits; 0: this machine does, after a death, in that view, or for room to write (view 0). */
  client: usize = 0;
  view: u64 = 0;
  begun: u32 = 0;
  /** Machines that are to acknowledge; those of them whose messages wait for room, so that nobody knows how many there are. */
  targets: u64 = 0;
  unknown: u64 = 0;
  // Behind it: by machine, what it has to acknowledge.
}
const COMMIT_BYTES: usize = 48;

let first: usize = 0;
let last: usize = 0;

/** By a thread, before what it has done is seen outside. Not 0: the cluster is out of reach, or nobody has room (-ENOMEM), and nobody may see it. */
export function commitOutput(): i64 {
  if (!mirrorsOwed()) return 0;
  const client = clientCurrent();
  client.command = ASK_COMMIT;
  return portCall(clusterPort(), client);
}

/**
 * By the thread that ends the machine's part in the cluster, before it says that the program has ended. As long as somebody can be reached it
 * waits; else the console says how much is here alone.
 */
export function commitLast(): void {
  while (true) {
    const result = commitOutput();
    if (result == 0) return;
    if (result != -ENOMEM && !outOfReach()) continue; // it was, and is not any more
    print(result == -ENOMEM ? "cluster: nobody has room" : "cluster: nobody is in reach");
    print("; pages that were written here and are not known to be elsewhere: ");
    printDecimal(mirrorsCount());
    print("\n");
    return;
  }
}

/** ASK_COMMIT; commitsLook(), which follows every piece of work, answers. */
export function commitAsked(client: Client): i64 {
  if (!mirrorsOwed()) return 0;
  add(changetype<usize>(client), 0);
  return ASYNCHRONOUS;
}

/** What was to be mirrored anew in that view, and told to heirs, is to be known to be there. */
export function commitHealing(view: u64): void {
  for (let machine: u32 = 1; mirrorsOn() && machine <= clusterMachines(); machine++) {
    if (machine != clusterSelf() && !isDead(machine)) roomOpen(machine);
  }
  add(0, view);
}

function add(client: usize, view: u64): void {
  const commit = changetype<Commit>(allocate(COMMIT_BYTES + MACHINES * 4));
  commit.next = 0;
  commit.client = client;
  commit.view = view;
  commit.begun = 0;
  if (last != 0) changetype<Commit>(last).next = changetype<usize>(commit);
  else first = changetype<usize>(commit);
  last = changetype<usize>(commit);
}

function positionOf(commit: Commit, machine: u32): usize {
  return changetype<usize>(commit) + COMMIT_BYTES + ((machine - 1) << 2);
}

/** commitsLook() has something to look at. */
export function commitsWait(): bool {
  return first != 0 || writers != 0;
}

/** After every piece of work. */
export function commitsLook(): void {
  if (mirrorsWait() || isSuspended()) return;
  mirrorsLook();
  commitsGoOn();
  writersServe();
}

function commitsGoOn(): void {
  let before: usize = 0;
  let at = first;
  while (at != 0) {
    const commit = changetype<Commit>(at);
    // Who is to keep a page knows what it is a page of.
    if (commit.begun == 0 && !homesMove()) begin(commit);
    const fails = commit.begun == 0 && isRoomless(nanoseconds());
    if (!fails && (commit.begun == 0 || !arrived(commit))) {
      before = at;
      at = commit.next;
      continue;
    }
    if (fails) roomlessTell();
    at = take(before, commit, fails ? -ENOMEM : 0);
  }
}

function begin(commit: Commit): void {
  commit.targets = mirrorAll();
  if (commit.targets == LATER) return;
  if (commit.client == 0) commit.targets |= willsHeirs();
  commit.unknown = commit.targets;
  commit.begun = 1;
}

function arrived(commit: Commit): bool {
  for (let rest = commit.targets; rest != 0; rest &= rest - 1) {
    const machine = <u32>ctz(rest) + 1;
    const bit = rest & (0 - rest);
    if (isDead(machine)) {
      commit.begun = 0; // and goes to another one
      return false;
    }
    if (commit.unknown & bit) {
      if (messagesOverflow(machine)) return false;
      store<u32>(positionOf(commit, machine), messagePosition(machine));
      commit.unknown &= ~bit;
    }
    if (<i32>(messagesArrived(machine) - load<u32>(positionOf(commit, machine))) < 0) return false;
  }
  return true;
}

/** It is over, behind `before`. The next one. */
function take(before: usize, commit: Commit, result: i64): usize {
  const next = commit.next;
  if (before != 0) changetype<Commit>(before).next = next;
  else first = next;
  if (last == changetype<usize>(commit)) last = before;
  if (commit.client != 0) portReply(changetype<Client>(commit.client), result);
  else if (commit.view != 0) membersHealed(commit.view);
  else portion = false;
  release(changetype<usize>(commit));
  return next;
}

// --- Threads that wait until they may write to another page, by nextWaiter ---

let writers: usize = 0;
let writersLast: usize = 0;
/** What was written so far is being mirrored for them. */
let portion: bool = false;

/** As much has been written here as there is room for elsewhere. */
export function writerAwaits(client: Client): i64 {
  client.nextWaiter = 0;
  if (writersLast != 0) changetype<Client>(writersLast).nextWaiter = changetype<usize>(client);
  else writers = changetype<usize>(client);
  writersLast = changetype<usize>(client);
  portionBegin();
  return ASYNCHRONOUS;
}

function portionBegin(): void {
  if (portion || !mirrorsOwed()) return;
  portion = true;
  add(0, 0);
}

function writerTake(): Client {
  const client = changetype<Client>(writers);
  writers = client.nextWaiter;
  if (writers == 0) writersLast = 0;
  client.nextWaiter = 0;
  return client;
}

function writersServe(): void {
  while (writers != 0) {
    const client = changetype<Client>(writers);
    const object = changetype<SharedObject>(client.object);
    if (object.dead == 0 && writersWait(pageFindOrMake(object, client.index))) {
      if (!isRoomless(nanoseconds())) {
        portionBegin();
        return;
      }
      portReply(writerTake(), -ENOMEM);
      continue;
    }
    writerTake();
    const result = pageAsked(client);
    if (result != ASYNCHRONOUS) portReply(client, result);
  }
}

/** When who waits has to be told that there is no room. */
export function commitsDue(): u64 {
  return roomlessDue(nanoseconds());
}

/** The cluster is out of reach: who waits is told. */
export function commitsFail(): void {
  while (writers != 0) portReply(writerTake(), -EIO);
  let before: usize = 0;
  let at = first;
  while (at != 0) {
    const commit = changetype<Commit>(at);
    at = commit.next;
    if (commit.client == 0) {
      before = changetype<usize>(commit);
      continue;
    }
    if (before != 0) changetype<Commit>(before).next = at;
    else first = at;
    if (last == changetype<usize>(commit)) last = before;
    portReply(changetype<Client>(commit.client), -ETIMEDOUT);
    release(changetype<usize>(commit));
  }
}
