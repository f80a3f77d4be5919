// The bytes of shared pages that have no record: merged pages (merge.ts), whose right their range says, and pages without any
// right whose bytes may still be the page's when it comes again (serials.ts). A descriptor for each frame, as any page
// cache has; what it says about coherence is in the ranges. Core 0 only.
//
// Invariant: a page has a record or a descriptor, or neither (its bytes are zeros, or not here), never both.
import { frameFree } from "../memory/frames";
import { allocate, allocateManyRaw, release } from "../memory/slab";
import { Page } from "./records";
import { SharedObject } from "./shared-object";
import { INVALID } from "./table";

const FIRST_BUCKETS: u32 = 1024;

@unmanaged
export class Kept {
  object: u64 = 0;
  index: u64 = 0;
  serial: u64 = 0;
  /** SharedObject: that of a former life of this machine has the same id (remains.ts). */
  holder: usize = 0;
  frame: usize = 0;
  /** As in the page's record. */
  dirty: u8 = 0;
  changed: u8 = 0;
  noted: u8 = 0;
  had: u8 = 0;
  /** Of a former life of this machine (remains.ts). */
  former: u8 = 0;
  ahead: u8 = 0;
  // SharedObject.frozen: as in the frozen page's record; and it has been handed in.
  standing: u8 = 0;
  away: u8 = 0;
  sole: u8 = 0;
  told: u8 = 0;
  next: usize = 0;
  nextInObject: usize = 0;
  previousInObject: usize = 0;
}

let table: usize = 0;
let tableMask: u32 = 0;
export let keptCount: u32 = 0;

/** Where the chain of a page begins in a table of `mask` + 1 words. Neighbours are neighbours there, as they come and are looked for in turn. */
export function bucketIn(at: usize, mask: u32, object: u64, index: u64): usize {
  const first = <u32>(object >> 8) * 0x9e37_79b1;
  return at + (((first + <u32>index) & mask) << 2);
}

function bucketOf(object: u64, index: u64): usize {
  return bucketIn(table, tableMask, object, index);
}

/** 0 = there is none. */
export function keptFind(object: SharedObject, index: u64): Kept {
  if (object.kept == 0) return changetype<Kept>(0);
  let at = load<usize>(bucketOf(object.id, index));
  while (at != 0) {
    const kept = changetype<Kept>(at);
    if (kept.index == index && kept.holder == changetype<usize>(object)) break;
    at = kept.next;
  }
  return changetype<Kept>(at);
}

/**
 * That of the page behind it; 0 = there is none. Pages that came or merged in their order, or against it, are neighbours in their object's
 * list.
 */
export function keptBehind(object: SharedObject, kept: Kept): Kept {
  const index = kept.index + 1;
  const later = changetype<Kept>(kept.previousInObject);
  if (changetype<usize>(later) != 0 && later.index == index) return later;
  const earlier = changetype<Kept>(kept.nextInObject);
  if (changetype<usize>(earlier) != 0 && earlier.index == index) return earlier;
  return keptFind(object, index);
}

function insert(kept: Kept): void {
  const bucket = bucketOf(kept.object, kept.index);
  kept.next = load<usize>(bucket);
  store<usize>(bucket, changetype<usize>(kept));
}

function grow(): void {
  const old = table;
  const buckets = tableMask + 1;
  const more = old == 0 ? FIRST_BUCKETS : buckets * 4;
  tableMask = more - 1;
  table = allocate((<usize>more) << 2);
  if (old == 0) return;
  for (let i: u32 = 0; i < buckets; i++) {
    let at = load<usize>(old + (i << 2));
    while (at != 0) {
      const kept = changetype<Kept>(at);
      at = kept.next;
      insert(kept);
    }
  }
  release(old);
}

/** The page's record goes: is there anything to be kept of it? Of bytes that were never here nothing is but the range. */
export function mayKeep(object: SharedObject, page: Page): bool {
  if (object.frozen != 0 && page.state != INVALID) return true;
  return page.frame != 0 || page.serial != 0 || page.had != 0 || page.dirty != 0;
}

/** The page's record goes: what it holds of bytes is kept. */
export function keptPut(object: SharedObject, page: Page): void {
  if (!mayKeep(object, page)) return;
  assert(changetype<usize>(keptFind(object, page.index)) == 0, "bytes of one page are kept twice");
  roomFor(1);
  const kept = changetype<Kept>(allocate(offsetof<Kept>()));
  put(kept, object, page.index, page.serial, page.frame);
  keptHide(kept, page);
  page.frame = 0;
}

/** What the record says that no range does. */
export function keptHide(kept: Kept, page: Page): void {
  kept.serial = page.serial;
  kept.dirty = page.dirty;
  kept.changed = page.changed;
  kept.noted = <u8>page.noted;
  kept.had = <u8>page.had;
  kept.ahead = <u8>page.ahead;
  kept.standing = page.state;
  kept.away = page.away;
  kept.sole = page.sole;
  kept.told = page.told;
}

/** Into a record whose state is that of its range. */
export function keptShow(object: SharedObject, kept: Kept, page: Page): void {
  page.serial = kept.serial;
  page.frame = kept.frame;
  page.dirty = kept.dirty;
  page.changed = kept.changed;
  page.noted = kept.noted;
  page.had = kept.had;
  page.former = kept.former;
  page.ahead = kept.ahead;
  if (object.frozen == 0 || kept.former != 0) return;
  page.state = kept.standing;
  page.away = kept.away;
  page.sole = kept.sole;
  page.told = kept.told;
}

/** Descriptors, a word each at `at`, for pages that are to come: each is for keptCame(), or to be released. */
export function keptRooms(at: usize, rooms: u32): void {
  roomFor(rooms);
  allocateManyRaw(offsetof<Kept>(), at, rooms);
}

/** A copy has come of a page that has no record here (asked.ts); nobody has used it yet. `room`: of keptRooms(). */
export function keptCame(room: usize, object: SharedObject, index: u64, serial: u64, frame: usize): void {
  const kept = changetype<Kept>(room);
  put(kept, object, index, serial, frame);
  kept.dirty = 0;
  kept.changed = 0;
  kept.noted = 0;
  kept.had = 1;
  kept.former = 0;
  kept.ahead = 1;
  kept.standing = INVALID;
  kept.away = 0;
  kept.sole = 0;
  kept.told = 0;
}

/** In the table, for so many more. */
function roomFor(more: u32): void {
  if (table == 0 || keptCount + more > tableMask + 1) grow();
}

/** There is room for it in the table. */
function put(kept: Kept, object: SharedObject, index: u64, serial: u64, frame: usize): void {
  kept.object = object.id;
  kept.holder = changetype<usize>(object);
  kept.index = index;
  kept.serial = serial;
  kept.frame = frame;
  insert(kept);
  kept.previousInObject = 0;
  kept.nextInObject = object.kept;
  if (object.kept != 0) changetype<Kept>(object.kept).previousInObject = changetype<usize>(kept);
  else object.keptFirst = changetype<usize>(kept);
  object.kept = changetype<usize>(kept);
  object.usedEnd = max<u64>(object.usedEnd, index + 1);
  keptCount++;
}

/** With its frame. */
export function keptForget(object: SharedObject, kept: Kept): void {
  assert(kept.holder == changetype<usize>(object), "bytes of another object");
  const bucket = bucketOf(object.id, kept.index);
  if (load<usize>(bucket) == changetype<usize>(kept)) store<usize>(bucket, kept.next);
  else {
    let at = changetype<Kept>(load<usize>(bucket));
    while (at.next != changetype<usize>(kept)) at = changetype<Kept>(at.next);
    at.next = kept.next;
  }
  if (kept.previousInObject == 0) object.kept = kept.nextInObject;
  else changetype<Kept>(kept.previousInObject).nextInObject = kept.nextInObject;
  if (kept.nextInObject != 0) changetype<Kept>(kept.nextInObject).previousInObject = kept.previousInObject;
  else object.keptFirst = kept.previousInObject;
  if (kept.frame != 0) frameFree(kept.frame);
  release(changetype<usize>(kept));
  keptCount--;
}

/** What was kept of a former life's object is that object's of this life, which has the same id. */
export function keptMove(object: SharedObject, former: SharedObject): void {
  assert(object.kept == 0 && object.id == former.id, "bytes of two former lives");
  for (let at = former.kept; at != 0; at = changetype<Kept>(at).nextInObject)
    changetype<Kept>(at).holder = changetype<usize>(object);
  object.kept = former.kept;
  object.keptFirst = former.keptFirst;
  object.usedEnd = max<u64>(object.usedEnd, former.usedEnd);
  former.kept = 0;
  former.keptFirst = 0;
}

/** The object ends. */
export function keptEnd(object: SharedObject): void {
  while (object.kept != 0) keptForget(object, changetype<Kept>(object.kept));
}
