// Shared objects as the rest of the kernel sees them: files of /shm, mapped or read and written. Everything here is
// called by threads, which ask core 0 (syslink/cluster.ts) and may wait for other machines; no spinlock may be held.

import { portCall } from "../lwkt/port";
import { sleep } from "../lwkt/wait";
import { tablesFor } from "../memory/paging";
import { clusterMachines, clusterPort, clusterSelf } from "../syslink/cluster";
import {
  ASK_ANSWER,
  ASK_CLAIM,
  ASK_CLOSE,
  ASK_CREATE,
  ASK_EXTEND,
  ASK_FAREWELL,
  ASK_FAULT,
  ASK_FRAMES,
  ASK_HOLD,
  ASK_JOIN,
  ASK_LINKS,
  ASK_NEXT_PAGE,
  ASK_RECALL,
  ASK_SET_SIZE,
  ASK_SIZE,
  ASK_TRUNCATE,
  ASK_UNHOLD,
  ASK_UNMAP,
  Client,
  clientCurrent,
  HOME_IS_HERE,
} from "./client";
import { commitOutput } from "./commits";
import { objectLockTail, objectUnlock } from "./lock-calls";
import { noteDirty } from "./page-notes";
import { Page } from "./records";
import { SharedObject } from "./shared-object";

export { sharedFutexWait, sharedFutexWake } from "./shared-futex";
export { SharedObject } from "./shared-object";

const ENOMEM: i64 = 12;
const EINVAL: i64 = 22;
export const PAGE: u64 = 4096;
/** Page numbers have 40 bits. */
const SIZE_MAX: u64 = (<u64>1) << 52;

export function call(client: Client, command: u32): i64 {
  client.command = command;
  return portCall(clusterPort(), client);
}

export function clientFor(object: SharedObject): Client {
  const client = clientCurrent();
  client.object = changetype<usize>(object);
  return client;
}

/** An object without a name, at home here, which ends when no machine has it open any more. */
export function objectCreate(size: u64): SharedObject {
  const client = clientCurrent();
  client.size = size;
  call(client, ASK_CREATE);
  return changetype<SharedObject>(client.object);
}

/** Open here as well what is open elsewhere. 0 = gone meanwhile. */
export function objectJoin(id: u64): SharedObject {
  const client = clientCurrent();
  client.size = id;
  return changetype<SharedObject>(call(client, ASK_JOIN) < 0 ? <usize>0 : client.object);
}

/** Blocks until programs may take so many frames (relief.ts). False: there is nothing that another machine could have. */
export function framesAwait(frames: usize): bool {
  const client = clientFor(changetype<SharedObject>(0));
  client.size = <u64>frames;
  return call(client, ASK_FRAMES) === 0;
}

export function objectClose(object: SharedObject): void {
  call(clientFor(object), ASK_CLOSE);
}

/** Blocks: the size lives at the home, and wherever there is a right to lock the object's end. 0 when the home died. */
export function objectSize(object: SharedObject): u64 {
  const client = clientFor(object);
  return call(client, ASK_SIZE) < 0 ? 0 : client.size;
}

/** How many names lead to it; 0 as well when its home is out of reach. Blocks for the home's answer. */
export function objectLinks(object: SharedObject): u32 {
  const client = clientFor(object);
  return call(client, ASK_LINKS) < 0 ? 0 : client.links;
}

export function objectTruncate(object: SharedObject, size: u64): i64 {
  if (size > SIZE_MAX) return -EINVAL;
  commitOutput(); // others see the size
  const locked = objectLockTail(object, size);
  if (locked < 0) return locked;
  let result = u64(locked) < size ? objectClearTail(object, u64(locked)) : 0;
  if (result == 0) result = resize(object, size);
  objectUnlock(object);
  return result;
}

function resize(object: SharedObject, size: u64): i64 {
  const client = clientFor(object);
  client.size = size;
  const result = call(client, ASK_TRUNCATE);
  if (result != HOME_IS_HERE) return result;
  truncateHere(object, size, 0, 0);
  return 0;
}

/**
 * Before the object becomes longer than `size`: what mappings have stored behind its end, in its last page, is no part of it. Within a lock of
 * everything from there on. Negative: the page is lost.
 */
export function objectClearTail(object: SharedObject, size: u64): i64 {
  const from = usize(size % PAGE);
  if (from == 0) return 0;
  let result = pageHold(object, size / PAGE, false);
  if (result < 0) return result;
  const clean = isZeroFrom(pageHeld(), from);
  pageLetGo();
  if (clean) return 0;
  result = pageHold(object, size / PAGE, true);
  if (result < 0) return result;
  memory.fill(pageHeld() + from, 0, usize(PAGE) - from);
  pageLetGo();
  return 0;
}

function isZeroFrom(frame: usize, from: usize): bool {
  for (let at = frame + from; at < frame + usize(PAGE); at++) if (load<u8>(at) != 0) return false;
  return true;
}

/** It is at least so long, from now on. */
export function objectExtend(object: SharedObject, size: u64): i64 {
  const client = clientFor(object);
  client.size = size;
  return call(client, ASK_EXTEND);
}

/** Blocks until the page is here, to be read or written, and stays until pageLetGo(): one at a time. -EIO: what was in it is lost. */
export function pageHold(object: SharedObject, index: u64, write: bool): i64 {
  const client = clientFor(object);
  client.index = index;
  client.write = u32(write);
  return call(client, ASK_HOLD);
}

/** The bytes of the page that the calling thread holds. */
export function pageHeld(): usize {
  return changetype<Page>(clientCurrent().page).frame;
}

export function pageLetGo(): void {
  call(clientCurrent(), ASK_UNHOLD);
}

/**
 * The pages `first` to `last`, which nobody uses yet, are this machine's to use: what others hold of them by ranges they are asked to give up. Nobody
 * waits for it: until it has happened pages come one by one.
 */
export function objectClaim(object: SharedObject, first: u64, last: u64): void {
  const client = clientFor(object);
  client.index = first;
  client.bound = last;
  call(client, ASK_CLAIM);
  client.bound = 0;
}

/**
 * At the home, by a thread that may wait. The new size first, so that nobody is granted what is cut off; then every
 * page behind it is taken back from the whole cluster and made zero. `machine`: who asked and is answered; 0: ourselves.
 */
export function truncateHere(object: SharedObject, size: u64, machine: u32, msgid: u32): void {
  const client = clientFor(object);
  const shrinks = size < object.size;
  client.size = size;
  call(client, ASK_SET_SIZE);
  if (shrinks) {
    client.index = size / PAGE;
    call(client, ASK_RECALL);
    clear(client, size, 0);
  }
  if (machine == 0) return;
  client.object = changetype<usize>(object);
  client.machine = machine;
  client.msgid = msgid;
  call(client, ASK_ANSWER);
}

/** Bytes from `start` to the page number `bound` (0: to the end) become zero, and no machine has their pages any more. */
function clear(client: Client, start: u64, bound: u64): void {
  client.index = start / PAGE;
  client.bound = bound;
  // The page of the new end may be somebody's who was granted it with a range since the recall.
  if (start % PAGE != 0) clearPage(client, start);
  while (call(client, ASK_NEXT_PAGE) == 0) clearPage(client, start);
  client.bound = 0;
}

/** Page client.index, wherever it is, becomes zero from `start` on; the next index. */
function clearPage(client: Client, start: u64): void {
  const index = client.index;
  const from = index * PAGE < start ? usize(start - index * PAGE) : 0;
  client.write = 1;
  client.beyond = 1;
  if (call(client, ASK_HOLD) == 0) {
    const frame = changetype<Page>(client.page).frame;
    memory.fill(frame + from, 0, usize(PAGE) - from);
    if (from == 0) call(client, ASK_UNMAP);
    call(client, ASK_UNHOLD);
  }
  client.beyond = 0;
  client.index = index + 1;
}

/** At the home: the whole pages [start, end) become zero, and no machine has them any more. */
export function objectClear(object: SharedObject, start: u64, end: u64): void {
  const client = clientFor(object);
  client.index = start / PAGE;
  call(client, ASK_RECALL);
  clear(client, start, end / PAGE);
}

/** At the home: the number of the first page that was ever used in [start, end), pages' numbers; `end`: there is none. */
export function objectNextPage(object: SharedObject, start: u64, end: u64): u64 {
  const client = clientFor(object);
  client.index = start;
  call(client, ASK_RECALL); // what others have used by right of a range is not known here
  client.index = start;
  client.bound = end;
  const found = call(client, ASK_NEXT_PAGE) == 0;
  client.bound = 0;
  return found ? client.index : end;
}

/**
 * By the faulting thread, with no spinlock held: blocks until the right is granted, installs the entry in `space`
 * and pins the page for this thread; or until another machine has done `operation` (operation.ts, its operands in the
 * client; 0 = none), which client.operated says then. 0 = done, or no longer mapped there; -EIO: a machine
 * that held the page died, or `index` is past the end; -ENOMEM.
 */
export function pageFaultShared(
  object: SharedObject,
  index: u64,
  write: bool,
  space: usize,
  va: u64,
  operation: u32,
): i32 {
  if (!tablesFor(space, va)) return i32(-ENOMEM);
  const client = clientFor(object);
  client.index = index;
  client.write = u32(write);
  client.space = space;
  client.va = va;
  client.operation = operation;
  client.operated = 0;
  client.delay = 0;
  const result = call(client, ASK_FAULT);
  if (client.delay == 0) return i32(result);
  sleep(client.delay);
  return i32(call(client, ASK_FAULT));
}

/** Under process/mapping's sharedLock, from any core: a page of the object has left a page table that says that it was written. */
export function pageUnmapped(object: SharedObject, index: u64): void {
  noteDirty(object, index);
}

/** Bytes done, or a negative errno. Kernel buffers. Within objectLock() of these bytes. */
export function objectRead(object: SharedObject, offset: u64, buffer: usize, bytes: usize): i64 {
  const size = objectSize(object);
  if (offset >= size) return 0;
  return copy(object, offset, buffer, usize(min<u64>(bytes, size - offset)), false);
}

export function objectWrite(object: SharedObject, offset: u64, buffer: usize, bytes: usize): i64 {
  if (bytes == 0) return 0;
  if (offset > SIZE_MAX - u64(bytes)) return -EINVAL;
  const client = clientFor(object);
  const end = offset + u64(bytes);
  const known = object.home == clusterSelf() || client.lockEnd >= end;
  if (!known || object.size < end) commitOutput(); // others see the size
  client.size = end;
  const extended = call(client, ASK_EXTEND);
  return extended < 0 ? extended : copy(object, offset, buffer, bytes, true);
}

/** Page by page, each held while its bytes are copied. */
function copy(object: SharedObject, start: u64, buffer: usize, bytes: usize, write: bool): i64 {
  const client = clientFor(object);
  let done: usize = 0;
  while (done < bytes) {
    const offset = start + u64(done);
    const within = usize(offset & (PAGE - 1));
    const count = min<usize>(bytes - done, usize(PAGE) - within);
    client.index = offset / PAGE;
    client.write = u32(write);
    const result = call(client, ASK_HOLD);
    if (result < 0) return done != 0 ? i64(done) : result;
    const at = changetype<Page>(client.page).frame + within;
    if (write) memory.copy(at, buffer + done, count);
    else memory.copy(buffer + done, at, count);
    call(client, ASK_UNHOLD);
    done += count;
  }
  return i64(done);
}

/** Init has ended: serves pages until every living machine has said so too. */
export function clusterFarewell(): void {
  if (clusterMachines() == 1) return;
  call(clientCurrent(), ASK_FAREWELL);
}
