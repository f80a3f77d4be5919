// The slab allocator (promise 51), after Bonwick and DragonFly's kmalloc: each core has slabs of its own for each size
// class, straight over the direct map, and takes no lock. What another core allocated goes home by passive IPI, or when too many are under way
// by a list: whoever releases memory may hold a lock that a message wants, and must not run messages until there is room.
//
// A slab is one frame, or a block of four for objects above 512 bytes; its header is at its start, and the frame map
// says how large it is. Objects never touched follow the header; freed ones are linked through their first word and
// marked, so that freeing one twice is noticed. Above 3072 bytes an object is a block of frames.
import { CORE_SLABS, Core, coreAt, thisCore } from "../lwkt/core";
import { criticalLeave } from "../lwkt/critical";
import { ipiOffer } from "../lwkt/ipi";
import { panic } from "../panic";
import {
  blockOrder,
  framesAllocate,
  framesRelease,
  markSlab,
  SLAB_LARGE,
  SLAB_SMALL,
  slabKind,
} from "./frames";

const CLASSES: u32 = 15;
const SLAB_BYTES_MAX: usize = 3072;
const SMALL_BYTES_MAX: usize = 512;
const HEADER_BYTES: usize = 64;
const LARGE_ORDER: u32 = 2;
const FREED: u64 = 0xf3ee_d0b1_7c6a_0000;

/** At a slab's start. */
@unmanaged
class Slab {
  core: u32 = 0;
  kind: u32 = 0; // the size class
  /** First freed object, first untouched object, behind the last. */
  freed: usize = 0;
  fresh: usize = 0;
  end: usize = 0;
  used: u32 = 0;
  /** Links of the class's list of slabs with room. */
  next: usize = 0;
  previous: usize = 0;
}

/** Size class by (bytes + 15) / 16, and size by class. */
const classes: usize = memory.data(193);
const sizes: usize = memory.data(64);

function addClass(kind: u32, bytes: u32): void {
  store<u32>(sizes + (kind << 2), bytes);
  for (let i: u32 = bytes >> 4; load<u8>(classes + i) === 0 && i > 0; i--)
    store<u8>(classes + i, <u8>(kind + 1));
}

/** Sizes rise by a third at most, as the founding kernels' zones do. */
export function slabStart(): void {
  addClass(0, 16);
  addClass(1, 32);
  addClass(2, 48);
  addClass(3, 64);
  addClass(4, 96);
  addClass(5, 128);
  addClass(6, 192);
  addClass(7, 256);
  addClass(8, 384);
  addClass(9, 512);
  addClass(10, 768);
  addClass(11, 1024);
  addClass(12, 1536);
  addClass(13, 2048);
  addClass(14, 3072);
}

function sizeOf(kind: u32): usize {
  return load<u32>(sizes + (kind << 2));
}

/** Where a core keeps the first of its slabs with room, per class. */
function headOf(core: Core, kind: u32): usize {
  return changetype<usize>(core) + CORE_SLABS + (kind << 2);
}

/** Zeroed, 16-aligned, any size up to 4 MiB; from 4096 bytes on page-aligned. Panics when memory is out. */
export function allocate(bytes: usize): usize {
  const pointer = allocateOrNone(bytes);
  if (pointer === 0) panic("out of memory");
  return pointer;
}

function kindFor(bytes: usize): u32 {
  return u32(load<u8>(classes + ((bytes + 15) >> 4))) - (bytes !== 0 ? 1 : 0);
}

/** The same, 0 when memory is out. */
export function allocateOrNone(bytes: usize): usize {
  if (bytes > SLAB_BYTES_MAX) return framesAllocate(orderOf(bytes));
  const kind = kindFor(bytes);
  const core = thisCore();
  core.critical++;
  const head = headOf(core, kind);
  let slab = changetype<Slab>(load<usize>(head));
  if (changetype<usize>(slab) === 0) slab = slabCreate(core, kind);
  if (changetype<usize>(slab) === 0) {
    criticalLeave(core);
    return 0;
  }
  const size = sizeOf(kind);
  const object = take(head, slab, size);
  criticalLeave(core);
  memory.fill(object, 0, size);
  return object;
}

/** Of a slab with room, in a critical section of its core. */
function take(head: usize, slab: Slab, size: usize): usize {
  let object = slab.freed;
  if (object !== 0) slab.freed = load<usize>(object);
  else {
    object = slab.fresh;
    slab.fresh = object + size;
  }
  slab.used++;
  if (slab.freed === 0 && slab.fresh + size > slab.end) unlink(head, slab);
  return object;
}

/**
 * As allocate(), `count` times, of objects of up to 3072 bytes: their addresses, a word each, at `at`. Whoever takes them writes all
 * of them: what was in them is there still.
 */
export function allocateManyRaw(bytes: usize, at: usize, count: u32): void {
  assert(bytes >= 16 && bytes <= SLAB_BYTES_MAX, "many objects are none of a slab");
  const kind = kindFor(bytes);
  const size = sizeOf(kind);
  const core = thisCore();
  core.critical++;
  const head = headOf(core, kind);
  for (const end = at + (count << 2); at !== end; at += 4) {
    let slab = changetype<Slab>(load<usize>(head));
    if (changetype<usize>(slab) === 0) slab = slabCreate(core, kind);
    if (changetype<usize>(slab) === 0) panic("out of memory");
    const object = take(head, slab, size);
    store<u64>(object, 0, 8); // no mark of a freed one
    store<usize>(at, object);
  }
  criticalLeave(core);
}

export function orderOf(bytes: usize): u32 {
  return bytes <= 4096 ? 0 : 32 - clz<u32>((<u32>bytes - 1) >> 12);
}

function slabCreate(core: Core, kind: u32): Slab {
  const small = sizeOf(kind) <= SMALL_BYTES_MAX;
  const order: u32 = small ? 0 : LARGE_ORDER;
  const base = framesAllocate(order);
  if (base === 0) return changetype<Slab>(0);
  markSlab(base, order, small ? SLAB_SMALL : SLAB_LARGE);
  const slab = changetype<Slab>(base);
  slab.core = core.index;
  slab.kind = kind;
  slab.fresh = base + HEADER_BYTES;
  slab.end = base + (4096 << order);
  link(headOf(core, kind), slab);
  return slab;
}

function link(head: usize, slab: Slab): void {
  const next = load<usize>(head);
  slab.next = next;
  slab.previous = 0;
  if (next !== 0) changetype<Slab>(next).previous = changetype<usize>(slab);
  store<usize>(head, changetype<usize>(slab));
}

function unlink(head: usize, slab: Slab): void {
  if (slab.previous !== 0) changetype<Slab>(slab.previous).next = slab.next;
  else store<usize>(head, slab.next);
  if (slab.next !== 0) changetype<Slab>(slab.next).previous = slab.previous;
}

function slabOf(pointer: usize): Slab {
  const kind = slabKind(pointer);
  if (kind === SLAB_SMALL) return changetype<Slab>(pointer & ~4095);
  if (kind === SLAB_LARGE) return changetype<Slab>(pointer & ~((4096 << LARGE_ORDER) - 1));
  return changetype<Slab>(0);
}

/** From any core; 0 is allowed. */
export function release(pointer: usize): void {
  if (pointer === 0) return;
  const slab = slabOf(pointer);
  if (changetype<usize>(slab) === 0) {
    const order = blockOrder(pointer);
    if (order < 0) panic("memory is released that was not allocated");
    framesRelease(pointer, <u32>order);
    return;
  }
  const core = thisCore();
  core.critical++;
  if (slab.core === core.index) giveBack(core, slab, pointer);
  else if (!ipiOffer(slab.core, releaseHere.index, pointer)) {
    // By the table, so that binaryen leaves it out of line.
    call_indirect<void>(releaseLater.index, coreAt(slab.core), pointer);
  }
  criticalLeave(core);
}

/** IPI message from a core that released an object of this one. */
function releaseHere(pointer: usize): void {
  giveBack(thisCore(), slabOf(pointer), pointer);
}

function releaseLater(owner: Core, pointer: usize): void {
  const list = changetype<usize>(owner) + offsetof<Core>("returned");
  let first: usize = 0;
  do {
    first = atomic.load<usize>(list);
    store<usize>(pointer, first);
  } while (atomic.cmpxchg<usize>(list, first, pointer) !== first);
}

/** In a critical section of the core: what others have released later. */
export function slabTakeBack(core: Core): void {
  if (core.returned === 0) return;
  let pointer = atomic.xchg<usize>(changetype<usize>(core) + offsetof<Core>("returned"), 0);
  while (pointer !== 0) {
    const next = load<usize>(pointer);
    giveBack(core, slabOf(pointer), pointer);
    pointer = next;
  }
}

/** In a critical section of the slab's core. */
function giveBack(core: Core, slab: Slab, pointer: usize): void {
  const size = sizeOf(slab.kind);
  const head = headOf(core, slab.kind);
  const offset = pointer - changetype<usize>(slab) - HEADER_BYTES;
  assert(offset % size === 0 && pointer < slab.fresh, "memory is released inside an object");
  assert(load<u64>(pointer, 8) !== (FREED ^ u64(pointer)), "memory is released twice");
  if (slab.freed === 0 && slab.fresh + size > slab.end) link(head, slab); // it was full
  store<usize>(pointer, slab.freed);
  store<u64>(pointer, FREED ^ u64(pointer), 8);
  slab.freed = pointer;
  slab.used--;
  // The last slab with room stays, so that one object coming and going does not move a frame each time.
  if (slab.used === 0 && (slab.next | slab.previous) !== 0) slabDestroy(head, slab);
}

function slabDestroy(head: usize, slab: Slab): void {
  unlink(head, slab);
  const order: u32 = sizeOf(slab.kind) <= SMALL_BYTES_MAX ? 0 : LARGE_ORDER;
  markSlab(changetype<usize>(slab), order, 0);
  framesRelease(changetype<usize>(slab), order);
}

/** Frees this core's empty slabs. In a critical section; for the leak check. */
export function slabTrim(): void {
  const core = thisCore();
  slabTakeBack(core);
  for (let kind: u32 = 0; kind < CLASSES; kind++) {
    const head = headOf(core, kind);
    let slab = changetype<Slab>(load<usize>(head));
    while (changetype<usize>(slab) !== 0) {
      const next = changetype<Slab>(slab.next);
      if (slab.used === 0) slabDestroy(head, slab);
      slab = next;
    }
  }
}
