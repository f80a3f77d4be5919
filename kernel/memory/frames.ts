// Physical memory in frames of 4 KiB, named by their wasm (= physical) address: a buddy allocator for the machine, and
// before it a small stock of single frames on each core, so that most frames come and go without a lock.
//
// One byte per frame says what it is; a block of 2^order frames is described by its first. Invariant: two free buddies
// of one order never lie beside each other.
import { Core, coreAt, coreCount, thisCore } from "../lwkt/core";
import { criticalLeave } from "../lwkt/critical";
import { SpinLock } from "../lwkt/spinlock";

export const FRAME_BYTES: usize = 4096;
export const ORDER_MAX: u32 = 10;

/** Bytes of the frame map. FREE and USED carry the block's order in the low four bits. */
const FREE: u32 = 0x10;
const USED: u32 = 0x20;
/** In a core's stock. */
const STOCKED: u32 = 0x30;
/** Slabs (slab.ts): one frame, or the four frames of one block. */
export const SLAB_SMALL: u32 = 0x40;
export const SLAB_LARGE: u32 = 0x50;
/** Inside a block. */
const INSIDE: u32 = 0x60;
const RESERVED: u32 = 0xff;

const STOCK_MAX: u32 = 64;
const STOCK_BATCH: u32 = 32;

/** First free block per order; blocks are linked through their first two words: next, previous. */
const free: usize = memory.data(64);
const lock = changetype<SpinLock>(memory.data(offsetof<SpinLock>()));
let map: usize = 0;
let end: usize = 0;
let freeCount: usize = 0;

function kindOf(frame: usize): u32 {
  return load<u8>(map + (frame >> 12));
}
function setKind(frame: usize, kind: u32): void {
  store<u8>(map + (frame >> 12), <u8>kind);
}

/** `memoryEnd`: behind the last RAM. The map of a byte per frame is laid at `place`; all frames are reserved at first. */
export function framesStart(place: usize, memoryEnd: usize): usize {
  map = place;
  end = memoryEnd;
  const bytes = memoryEnd >> 12;
  memory.fill(map, <u8>RESERVED, bytes);
  return bytes;
}

/** At boot: these frames are free RAM. In the largest aligned blocks. */
export function framesAdd(from: usize, to: usize): void {
  let frame = (from + 4095) & ~4095;
  while (frame + 4096 <= to) {
    let order: u32 = 0;
    while (order < ORDER_MAX && (frame & ((8192 << order) - 1)) === 0 && frame + (8192 << order) <= to)
      order++;
    link(frame, order);
    freeCount += 1 << order;
    frame += 4096 << order;
  }
}

function link(frame: usize, order: u32): void {
  const head = free + (order << 2);
  const next = load<usize>(head);
  store<usize>(frame, next);
  store<usize>(frame, 0, 4);
  if (next !== 0) store<usize>(next, frame, 4);
  store<usize>(head, frame);
  setKind(frame, FREE | order);
}

function unlink(frame: usize, order: u32): void {
  const next = load<usize>(frame);
  const previous = load<usize>(frame, 4);
  if (previous !== 0) store<usize>(previous, next);
  else store<usize>(free + (order << 2), next);
  if (next !== 0) store<usize>(next, previous, 4);
}

/** With the lock held. */
function blockTake(order: u32): usize {
  let larger = order;
  while (larger <= ORDER_MAX && load<usize>(free + (larger << 2)) === 0) larger++;
  if (larger > ORDER_MAX) return 0;
  const frame = load<usize>(free + (larger << 2));
  unlink(frame, larger);
  while (larger > order) {
    larger--;
    link(frame + (4096 << larger), larger);
  }
  setKind(frame, USED | order);
  freeCount -= 1 << order;
  return frame;
}

/** With the lock held. */
function blockGive(given: usize, givenOrder: u32): void {
  let frame = given;
  let order = givenOrder;
  freeCount += 1 << order;
  while (order < ORDER_MAX) {
    const buddy = frame ^ (4096 << order);
    if (buddy >= end || kindOf(buddy) !== (FREE | order)) break;
    unlink(buddy, order);
    setKind(max(frame, buddy), INSIDE);
    if (buddy < frame) frame = buddy;
    order++;
  }
  link(frame, order);
}

/** A zeroed frame; 0 = none left. */
export function frameAllocate(): usize {
  const core = thisCore();
  core.critical++;
  if (core.frames === 0) stock(core);
  const frame = core.frames;
  if (frame !== 0) {
    core.frames = load<usize>(frame);
    core.frameCount--;
    setKind(frame, USED);
  }
  criticalLeave(core);
  if (frame !== 0) memory.fill(frame, 0, 4096);
  return frame;
}

/** Frames with whatever was in them: all of it is written before anybody sees it. So many, a word each at `at`, `count` at the most. */
export function framesAllocateRaw(at: usize, count: u32): u32 {
  const core = thisCore();
  core.critical++;
  let taken: u32 = 0;
  while (taken < count) {
    if (core.frames === 0) stock(core);
    let frame = core.frames;
    if (frame === 0) break;
    const before = taken;
    for (; frame !== 0 && taken < count; taken++) {
      setKind(frame, USED);
      store<u32>(at + (taken << 2), frame);
      frame = load<usize>(frame);
    }
    core.frames = frame;
    core.frameCount -= taken - before;
  }
  criticalLeave(core);
  return taken;
}

/** The smallest blocks that there are go first, so that large ones stay whole. */
function stock(core: Core): void {
  lock.acquire();
  let left = STOCK_BATCH;
  while (left !== 0) {
    let order: u32 = 0;
    while (order < ORDER_MAX && load<usize>(free + (order << 2)) === 0) order++;
    while (left >> order === 0) order--;
    const block = blockTake(order);
    if (block === 0) break;
    const frames = u32(1) << order;
    let first = core.frames;
    for (let frame = block; frame !== block + (frames << 12); frame += 4096) {
      setKind(frame, STOCKED);
      store<usize>(frame, first);
      first = frame;
    }
    core.frames = first;
    core.frameCount += frames;
    left -= frames;
  }
  lock.release();
}

function shelve(core: Core, frame: usize): void {
  setKind(frame, STOCKED);
  store<usize>(frame, core.frames);
  core.frames = frame;
  core.frameCount++;
}

export function frameFree(frame: usize): void {
  assert(
    (frame & 4095) === 0 && frame < end && kindOf(frame) === USED,
    "a frame is freed that is not in use",
  );
  const core = thisCore();
  core.critical++;
  shelve(core, frame);
  if (core.frameCount > STOCK_MAX) {
    lock.acquire();
    giveBack(core, STOCK_BATCH);
    lock.release();
  }
  criticalLeave(core);
}

/** With the lock held. */
function giveBack(core: Core, count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const frame = core.frames;
    core.frames = load<usize>(frame);
    core.frameCount--;
    setKind(frame, USED);
    blockGive(frame, 0);
  }
}

/** 2^order adjacent frames, aligned to their size, zeroed; 0 = none. */
export function framesAllocate(order: u32): usize {
  assert(order <= ORDER_MAX, "a block of frames is too large");
  if (order === 0) return frameAllocate();
  lock.acquire();
  let frame = blockTake(order);
  if (frame === 0) {
    // This core's single frames may be what keeps larger blocks apart.
    const core = thisCore();
    giveBack(core, core.frameCount);
    frame = blockTake(order);
  }
  lock.release();
  if (frame !== 0) memory.fill(frame, 0, 4096 << order);
  return frame;
}

export function framesRelease(frame: usize, order: u32): void {
  if (order === 0) {
    frameFree(frame);
    return;
  }
  assert(
    (frame & 4095) === 0 && frame < end && kindOf(frame) === (USED | order),
    "a block is freed that is not in use",
  );
  lock.acquire();
  blockGive(frame, order);
  lock.release();
}

/** The order of the block in use that begins here; -1: none does. */
export function blockOrder(frame: usize): i32 {
  if ((frame & 4095) !== 0 || frame >= end) return -1;
  const kind = kindOf(frame);
  return (kind & 0xf0) === USED ? <i32>(kind & 15) : -1;
}

/** SLAB_SMALL or SLAB_LARGE when the address lies in a slab, else something else. */
export function slabKind(address: usize): u32 {
  return address < end ? kindOf(address) : RESERVED;
}

/** Marks the frames of a block in use as a slab's, or (kind 0) as no slab's any more. */
export function markSlab(frame: usize, order: u32, kind: u32): void {
  if (kind === 0) {
    setKind(frame, USED | order);
    return;
  }
  for (let i: usize = 0; i < 1 << order; i++) setKind(frame + (i << 12), kind);
}

/** Exact when the other cores are quiet. */
export function framesFree(): usize {
  let count = freeCount;
  for (let i: u32 = 0; i < coreCount(); i++) count += coreAt(i).frameCount;
  return count;
}
