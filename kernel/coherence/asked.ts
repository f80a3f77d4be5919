// Pages that were asked for ahead (read-ahead.ts) and have no record yet: a run of them is one record until it comes (promise 69), since of
// each there is nothing to say but its transaction, which follows from its place, and the frame that waits for its bytes. A page of
// which anything else is heard, or that a thread comes to, gets a record (page-index.ts), which takes both over. Core 0 only.
//
// Invariants: a page has a record, or kept bytes (kept.ts), or is in one run here, or none of these; its range says INVALID. Whoever
// looks at all records of an object has pagesAsked() make those of its runs before.
import { frameFree, framesAllocateRaw } from "../memory/frames";
import { allocate, release } from "../memory/slab";
import { keptFind, keptRooms } from "./kept";
import { pageFind } from "./page-index";
import { SharedObject } from "./pager";
import { engine } from "./pages";
import { Page } from "./records";
import { RUN_MAX, runAsksMany } from "./runs";
import { stepAskedBefore, stepAskMany } from "./steps";

export const NOT_ASKED: u64 = ~(<u64>0);

@unmanaged
class Asked {
  next: usize = 0;
  object: usize = 0;
  first: u64 = 0;
  count: u32 = 0;
  /** Of the first page. */
  transaction: u32 = 0;
  /** Pages that are still in it: those whose frame is not 0. Behind the record are `count` frames, then `count` descriptors (kept.ts). */
  left: u32 = 0;
}
const ASKED_BYTES: usize = 40;

let runs: usize = 0;

function frameAt(run: Asked, place: u64): usize {
  return changetype<usize>(run) + ASKED_BYTES + <usize>(place << 2);
}

function roomAt(run: Asked, place: u64): usize {
  return frameAt(run, place) + (run.count << 2);
}

/** The run that the page is in; 0 = none. */
function find(object: SharedObject, index: u64): Asked {
  let at = runs;
  while (at != 0) {
    const run = changetype<Asked>(at);
    const place = index - run.first;
    if (
      run.object == changetype<usize>(object) &&
      place < <u64>run.count &&
      load<u32>(frameAt(run, place)) != 0
    )
      break;
    at = run.next;
  }
  return changetype<Asked>(at);
}

export function isAsked(object: SharedObject, index: u64): bool {
  return runs != 0 && changetype<usize>(find(object, index)) != 0;
}

/** Asks the object's home, another machine, for pages of which nothing is here, from `first` on, `most` at the most: so many. */
export function askMany(object: SharedObject, first: u64, most: u64): u32 {
  const limit = notAsked(object, first, <u32>min<u64>(most, <u64>RUN_MAX));
  let count: u32 = first >= object.usedEnd ? limit : 0;
  while (count < limit && isUnknown(object, first + count)) count++;
  if (count == 0) return 0;
  const run = changetype<Asked>(allocate(ASKED_BYTES + (count << 3)));
  run.first = first;
  const framed = framesAllocateRaw(frameAt(run, 0), count);
  run.transaction = framed != 0 ? stepAskMany(engine, framed) : 0;
  run.object = changetype<usize>(object);
  run.count = framed;
  run.left = framed;
  keptRooms(roomAt(run, 0), framed);
  put(run);
  if (run.transaction == 0) {
    drop(run);
    return 0;
  }
  runAsksMany(object.id, first, framed, object.home, run.transaction);
  return framed;
}

/** Behind the others: what was asked for first comes first, and is found first. */
function put(run: Asked): void {
  run.next = 0;
  if (runs == 0) runs = changetype<usize>(run);
  else {
    let at = changetype<Asked>(runs);
    while (at.next != 0) at = changetype<Asked>(at.next);
    at.next = changetype<usize>(run);
  }
}

/** So many pages from `first` on, `most` at the most, are in no run. */
function notAsked(object: SharedObject, first: u64, most: u32): u32 {
  let count: u64 = most;
  for (let next = runs; next != 0; next = changetype<Asked>(next).next) {
    const run = changetype<Asked>(next);
    if (run.object != changetype<usize>(object)) continue;
    const end = min<u64>(first + count, run.first + run.count);
    for (let index = max<u64>(first, run.first); index < end; index++) {
      if (load<u32>(frameAt(run, index - run.first)) == 0) continue;
      count = index - first;
      break;
    }
  }
  return <u32>count;
}

/** Of a page that is in no run. */
function isUnknown(object: SharedObject, index: u64): bool {
  if (index >= object.usedEnd) return true;
  if (changetype<usize>(pageFind(object, index)) != 0) return false;
  return changetype<usize>(keptFind(object, index)) == 0;
}

/**
 * Bytes have come in answer to that transaction, and of pages behind it to those behind, `most` in all. So many of them were in a run, and
 * are in none any more: the frames for their bytes, a word each at `frames`, and their descriptors (kept.ts) at `rooms`.
 */
export function askedCame(
  object: SharedObject,
  index: u64,
  transaction: u32,
  most: u32,
  frames: usize,
  rooms: usize,
): u32 {
  const run = find(object, index);
  if (changetype<usize>(run) == 0) return 0;
  const place = <u32>(index - run.first);
  if (run.transaction + place != transaction) return 0;
  const end = min<u32>(most, run.count - place);
  let count: u32 = 0;
  for (let at = frameAt(run, place); count < end; at += 4) {
    const frame = load<u32>(at);
    if (frame == 0) break;
    store<u32>(frames + (count << 2), frame);
    store<u32>(rooms + (count << 2), load<u32>(at + (run.count << 2)));
    store<u32>(at, 0);
    count++;
  }
  run.left -= count;
  if (run.left == 0) drop(run);
  return count;
}

function leave(run: Asked, index: u64): usize {
  const at = frameAt(run, index - run.first);
  const frame = load<u32>(at);
  release(load<u32>(roomAt(run, index - run.first)));
  store<u32>(at, 0);
  run.left--;
  if (run.left == 0) drop(run);
  return frame;
}

function drop(run: Asked): void {
  const end = run.left != 0 ? <u64>run.count : 0;
  for (let place: u64 = 0; place < end; place++) {
    const frame = load<u32>(frameAt(run, place));
    if (frame == 0) continue;
    frameFree(frame);
    release(load<u32>(roomAt(run, place)));
  }
  if (runs == changetype<usize>(run)) runs = run.next;
  else {
    let at = changetype<Asked>(runs);
    while (at.next != changetype<usize>(run)) at = changetype<Asked>(at.next);
    at.next = run.next;
  }
  release(changetype<usize>(run));
}

/** A record is made for the page: what is under way is under way there. */
export function askedTake(object: SharedObject, page: Page): void {
  if (runs == 0) return;
  const run = find(object, page.index);
  if (changetype<usize>(run) == 0) return;
  assert(page.frame == 0, "a page was asked for of which bytes were here");
  stepAskedBefore(page, run.transaction + <u32>(page.index - run.first));
  page.ahead = 1;
  page.frame = leave(run, page.index);
  memory.fill(page.frame, 0, 4096); // as a record's frame is until its bytes come
}

/** Some page of the object that is in a run; NOT_ASKED: none is. */
export function askedNext(object: SharedObject): u64 {
  for (let at = runs; at != 0; at = changetype<Asked>(at).next) {
    const run = changetype<Asked>(at);
    if (run.object != changetype<usize>(object)) continue;
    for (let place: u64 = 0; place < <u64>run.count; place++)
      if (load<u32>(frameAt(run, place)) != 0) return run.first + place;
  }
  return NOT_ASKED;
}
