// Futexes in shared objects (Linux futex(2), FUTEX_WAIT and FUTEX_WAKE). The queue of a word is at the object's home; the
// waiting thread sleeps on its own machine.
//
// Robust locks outlive a machine: a thread that waits for a lock whose owner ran on a machine that is lost marks the word itself, as
// Linux does when a thread dies (futex(2), robust futexes), and tries again. What tells a lock from other words is the bit that says
// that somebody waits, beside the id of a thread there.
//
// No wake-up is lost: a waiter is queued at the home first, and only then reads the word, coherently. Whoever changes
// the word and wakes either finds it queued, or has changed the word before it was read.
import { copyFromUser, userCompareExchange32 } from "../arch";
import { portCall } from "../lwkt/port";
import { queueLock, queueUnlock, WaitQueue, waitOn, wakeAll } from "../lwkt/wait";
import { nanoseconds } from "../machine/time";
import { allocate, release } from "../memory/slab";
import { interrupted } from "../process/signal";
import { bit, clusterPort, clusterSelf, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_FUTEX_WOKEN, ITEM_FUTEX } from "../syslink/commands";
import { itemPut } from "../syslink/message";
import { ASK_FUTEX_CANCEL, ASK_FUTEX_WAIT, ASK_FUTEX_WAKE, Client, clientCurrent } from "./client";
import { commitOutput } from "./commits";
import { SharedObject } from "./pager";
import { pinsRelease } from "./progress";

const EINTR: i64 = 4;
const EIO: i64 = 5;
const EAGAIN: i64 = 11;
const EFAULT: i64 = 14;
const ETIMEDOUT: i64 = 110;

/** At the home: one waiter of the cluster. The oldest first. */
@unmanaged
class Waiter {
  object: usize = 0;
  offset: u64 = 0;
  machine: u32 = 0;
  id: u32 = 0;
  next: usize = 0;
}
let first: usize = 0;
let last: usize = 0;
/** Clients of this machine that sleep, linked by nextSleeper. */
let sleepers: usize = 0;

// --- On core 0 ---

/** `machine` 0: another machine is the home and queues it; here it only sleeps. `client`: 0 for a waiter elsewhere. */
export function futexWait(object: SharedObject, offset: u64, machine: u32, id: u32, client: Client): i64 {
  if (changetype<usize>(client) != 0) {
    client.futexObject = changetype<usize>(object);
    client.nextSleeper = sleepers;
    sleepers = changetype<usize>(client);
  }
  if (machine == 0) return 0;
  const waiter = changetype<Waiter>(allocate(offsetof<Waiter>()));
  waiter.object = changetype<usize>(object);
  waiter.offset = offset;
  waiter.machine = machine;
  waiter.id = id;
  if (last != 0) changetype<Waiter>(last).next = changetype<usize>(waiter);
  else first = changetype<usize>(waiter);
  last = changetype<usize>(waiter);
  return 0;
}

/** Takes `at`, behind `before`, off the queue and frees it; returns what follows. */
function remove(before: usize, at: usize): usize {
  const next = changetype<Waiter>(at).next;
  if (before != 0) changetype<Waiter>(before).next = next;
  else first = next;
  if (last == at) last = before;
  release(at);
  return next;
}

/** 1: it was still waiting and is no more; 0: it has been woken. */
export function futexCancel(object: SharedObject, machine: u32, id: u32): u32 {
  let before: usize = 0;
  let at = first;
  while (at != 0) {
    const waiter = changetype<Waiter>(at);
    if (waiter.object == changetype<usize>(object) && waiter.machine == machine && waiter.id == id) {
      remove(before, at);
      return 1;
    }
    before = at;
    at = waiter.next;
  }
  return 0;
}

/** Wakes up to `count` waiters, the oldest first; how many it were. */
export function futexWake(object: SharedObject, offset: u64, count: u32): u32 {
  let woken: u32 = 0;
  let before: usize = 0;
  let at = first;
  while (at != 0 && woken < count) {
    const waiter = changetype<Waiter>(at);
    if (waiter.object != changetype<usize>(object) || waiter.offset != offset) {
      before = at;
      at = waiter.next;
      continue;
    }
    if (waiter.machine == clusterSelf()) futexWoken(object, waiter.id);
    else {
      const writer = messageTo(waiter.machine, 16 + 16, object.id, 0, COMMAND_FUTEX_WOKEN);
      store<u64>(itemPut(writer, ITEM_FUTEX, waiter.id, 8), offset);
      messageEnd();
    }
    woken++;
    at = remove(before, at);
  }
  return woken;
}

/** The sleeper of this machine with that number goes on. */
export function futexWoken(object: SharedObject, id: u32): void {
  let at = sleepers;
  while (at != 0) {
    const client = changetype<Client>(at);
    if (client.futexId == id && client.futexObject == changetype<usize>(object)) {
      wake(client, WOKEN);
      return;
    }
    at = client.nextSleeper;
  }
}

/** Client.woken */
const WOKEN: u32 = 1;
const HOME_DIED: u32 = 2;
const OWNER_LOST: u32 = 3;

const FUTEX_WAITERS: u32 = 0x8000_0000;
const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
const FUTEX_ID_MASK: u32 = 0x3fff_ffff;
/** Thread ids carry their machine's number above (process/process.ts). */
const ID_SHIFT: u32 = 16;

/** Bit per machine that died and has not come again. */
let lost: u64 = 0;

/** The word of a lock that nobody will let go any more? */
function ownerLost(value: u32): bool {
  if ((value & FUTEX_WAITERS) == 0 || (value & FUTEX_OWNER_DIED) != 0) return false;
  const machine = (value & FUTEX_ID_MASK) >> ID_SHIFT;
  return machine >= 1 && machine <= 64 && machine != clusterSelf() && (lost & bit(machine)) != 0;
}

/** A new machine has that number. */
export function futexMachineCame(machine: u32): void {
  lost &= ~bit(machine);
}

function wake(client: Client, how: u32): void {
  const queue = queueOf(client);
  queueLock(queue);
  if (client.woken == 0) client.woken = how;
  queueUnlock(queue);
  wakeAll(queue);
}

/** From here on nobody wakes it: what the home says to its cancelling is what counts. */
export function futexAwake(client: Client): void {
  if (sleepers == changetype<usize>(client)) sleepers = client.nextSleeper;
  else {
    let at = sleepers;
    while (at != 0 && changetype<Client>(at).nextSleeper != changetype<usize>(client)) {
      at = changetype<Client>(at).nextSleeper;
    }
    if (at != 0) changetype<Client>(at).nextSleeper = client.nextSleeper;
  }
  client.nextSleeper = 0;
}

/** The object's home moves: whoever sleeps looks again, so that no wake-up is lost with the queue. */
export function futexesMove(object: SharedObject): void {
  let before: usize = 0;
  let at = first;
  while (at != 0) {
    if (changetype<Waiter>(at).object == changetype<usize>(object)) at = remove(before, at);
    else {
      before = at;
      at = changetype<Waiter>(at).next;
    }
  }
  let sleeper = sleepers;
  while (sleeper != 0) {
    const client = changetype<Client>(sleeper);
    if (client.futexObject == changetype<usize>(object)) wake(client, WOKEN);
    sleeper = client.nextSleeper;
  }
}

/** Its waiters are gone; sleepers whose object it was the home of end with -EIO. */
export function futexesDied(machine: u32): void {
  lost |= bit(machine);
  let before: usize = 0;
  let at = first;
  while (at != 0) {
    if (changetype<Waiter>(at).machine == machine) at = remove(before, at);
    else {
      before = at;
      at = changetype<Waiter>(at).next;
    }
  }
  let sleeper = sleepers;
  while (sleeper != 0) {
    const client = changetype<Client>(sleeper);
    const object = changetype<SharedObject>(client.futexObject);
    if (object.home == machine && object.hash == 0) wake(client, HOME_DIED);
    else if (ownerLost(client.futexValue)) wake(client, OWNER_LOST);
    sleeper = client.nextSleeper;
  }
}

// --- By threads ---

function queueOf(client: Client): WaitQueue {
  return changetype<WaitQueue>(changetype<usize>(client) + offsetof<Client>("queueLock"));
}

function call(client: Client, command: u32): i64 {
  client.command = command;
  return portCall(clusterPort(), client);
}

export function sharedFutexWait(
  object: SharedObject,
  offset: u64,
  expected: u32,
  user: u64,
  timeout: u64,
): i64 {
  const client = clientCurrent();
  const deadline = timeout == 0 ? 0 : nanoseconds() + timeout;
  client.object = changetype<usize>(object);
  client.index = offset;
  client.futexValue = expected;
  const registered = call(client, ASK_FUTEX_WAIT);
  if (registered < 0) return registered;
  let result: i64 = 0;
  const word = allocate(4);
  // May fault, and then brings the page here.
  if (copyFromUser(word, user, 4) != 0) result = -EFAULT;
  else if (load<u32>(word) != expected) result = -EAGAIN;
  const heir = result == 0 && ownerLost(expected);
  if (heir) userCompareExchange32(user, expected, (expected & FUTEX_WAITERS) | FUTEX_OWNER_DIED, word);
  release(word);
  pinsRelease(client);
  if (result == 0 && !heir) result = asleep(client, deadline);
  return leave(client, object, offset, result);
}

function asleep(client: Client, deadline: u64): i64 {
  const queue = queueOf(client);
  let result: i64 = 0;
  queueLock(queue);
  while (client.woken == 0 && result == 0) {
    if (interrupted()) result = -EINTR;
    else if (deadline == 0) waitOn(queue, 0);
    else {
      const now = nanoseconds();
      if (now >= deadline) result = -ETIMEDOUT;
      else waitOn(queue, deadline - now);
    }
  }
  queueUnlock(queue);
  return result;
}

/** A wake-up that this waiter has got already counts, whatever else happened: nobody else has got it. */
function leave(client: Client, object: SharedObject, offset: u64, result: i64): i64 {
  client.object = changetype<usize>(object);
  client.index = offset;
  const still = call(client, ASK_FUTEX_CANCEL);
  if (client.woken == HOME_DIED || still < 0) return -EIO;
  return still == 0 ? 0 : result;
}

export function sharedFutexWake(object: SharedObject, offset: u64, count: u32): i64 {
  commitOutput(); // who is woken knows how far this thread is
  const client = clientCurrent();
  client.object = changetype<usize>(object);
  client.index = offset;
  client.write = count;
  return call(client, ASK_FUTEX_WAKE);
}
