// How many records of coherence a machine keeps (promises 80, 81, 83, 84): at most `records=N` of the command line, N >= 1. A
// record is a range that gives somebody a right, or the record of a page with which nothing is under way; what lies
// between ranges is nobody's and no record, and a page that a thread or a request uses at this moment is not kept but in use.
//
// Records merge again when their pages have rested (merge.ts). Those beyond the budget are merged at once; then copies are
// thrown away, which the home need not be told; then pages that only this machine has right are given back to their
// home (giving.ts), and the home takes back what others have, asking likewise. That costs
// messages, and nothing else. Core 0 only.
//
// Mirrored pages (mirror-pages.ts) stay as they are: what their mirrors know is not merged. A small budget (below FEW) has no use for ranges of pages that nobody touched, nor for pages whose operations travel.

import { nanoseconds } from "../machine/time";
import { bootNumber } from "../options";
import { stats } from "../stats";
import { dropPage, pageGiveBack } from "./giving";
import { rangesGiveUp, rangesTakeBack } from "./grants";
import { ownDrop, rangesOf } from "./holdings";
import { Kept } from "./kept";
import { mirrorsOn } from "./mirror-pages";
import { roomsTend } from "./mirror-room";
import { objectsFirst } from "./object-list";
import { pageCount, pageFindOrMake } from "./page-index";
import { SharedObject } from "./pager";
import { engine } from "./pages";
import { isRecord, RANGES_SPARE, Range, rangeAt, rangesEdits } from "./ranges";
import { Page } from "./records";
import { framesRelieve, framesWanted } from "./relief";
import { isIdle, isSettledObject, mergeResting } from "./resting";
import {
  isKeptRange,
  rangeLeaves,
  SHED_ALL,
  SHED_COPIES,
  SHED_FETCH,
  SHED_OFFER,
  SHED_OWN,
  SHED_RECALL,
  shedOf,
} from "./shedding";

const RECORDS: u64 = 4096;
const FEW: u64 = 64;
const REST: u64 = 10_000_000;
/** All records are looked at: with thousands of them a part of the time at most, one of so many. */
const REST_SHARE: u64 = 32;
const ROUNDS_MAX: u32 = 256;
/** From so many records on, looking at all of them takes a REST_SHARE of the time at most. */
const MANY: u32 = 1024;

let budget: u64 = RECORDS;
let restAt: u64 = 0;
/** Not before is it looked again which of many records may go. */
let shedAt: u64 = 0;
/** So many ranges there were after so many edits. */
let entriesSeen: u64 = 0;
let editsSeen: u32 = 0;

export function budgetStart(): void {
  budget = max<u64>(1, bootNumber("records", RECORDS));
}

export function recordsAreFew(): bool {
  return budget < FEW;
}

/** After every piece of work of core 0. True: something was given up, or promised, of which others may have to be told. */
export function recordsTend(now: u64): bool {
  if (mirrorsOn()) return roomsTend();
  // Mostly there is nothing to do.
  if (now < restAt && !framesWanted(now) && !mayShed(now)) return false;
  return tend(now);
}

function tend(now: u64): bool {
  const rested = now >= restAt;
  const begun = rested ? nanoseconds() : 0;
  if (rested) mergeResting(now, false);
  const short = framesWanted(now);
  if (short) framesRelieve(now);
  const many = mayShed(now);
  if (many) shed(now);
  else if (rested) note(kept(now));
  if (rested) restAt = now + max<u64>(REST, REST_SHARE * (nanoseconds() - begun));
  return short || many;
}

function note(count: u64): void {
  stats().records = count;
  stats().recordsMost = max<u64>(stats().recordsMost, count);
}

/** Nothing is counted before it may be shed: with thousands of objects each piece of work would count them all. */
function mayShed(now: u64): bool {
  return now >= shedAt && mayBeBeyond();
}

/** False: there are no more records than there may be. Objects are counted only when ranges may have become too many since. */
function mayBeBeyond(): bool {
  const most = <u64>(rangesEdits - editsSeen) * RANGES_SPARE + entriesSeen;
  if (<u64>pageCount + most <= budget) return false;
  entriesSeen = entries();
  editsSeen = rangesEdits;
  return <u64>pageCount + entriesSeen > budget;
}

/** An upper bound of the ranges that are records. Of many objects nobody has used anything: they have one range, which is none. */
function entries(): u64 {
  let sum: u64 = 0;
  let at = changetype<usize>(objectsFirst());
  while (at != 0) {
    const set = rangesOf(changetype<SharedObject>(at));
    sum += set.count > 1 ? <u64>set.count : u64(isRecord(rangeAt(set, 0)));
    at = changetype<SharedObject>(at).next;
  }
  return sum;
}

// --- What counts ---

function kept(now: u64): u64 {
  let sum: u64 = 0;
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    if (isSettledObject(object)) {
      for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
        if (isIdle(changetype<Page>(at), now)) sum++;
      }
      const set = rangesOf(object);
      for (let number: u32 = 0; number < set.count; number++)
        sum += u64(isKeptRange(set, rangeAt(set, number)));
    }
    object = changetype<SharedObject>(object.next);
  }
  return sum;
}

// --- What is beyond the budget ---

function shed(now: u64): void {
  const begun = nanoseconds();
  mergeResting(now, true);
  let left = kept(now);
  if (left > budget) {
    // Some more, so that not each record that is made then has all of them looked at.
    const target = budget - (budget < FEW ? 0 : budget / 8);
    // Pages that another core lets go of meanwhile count from then on. What cannot be given up yet is, later; recordsMost tells.
    for (let rounds: u32 = 0; rounds < ROUNDS_MAX && left > target; rounds++) {
      const before = left;
      pagesGiveBack(now, left - target);
      // What the home asks for may be there at once, and then merges as well.
      mergeResting(now, true);
      left = kept(now);
      if (left <= target) break;
      const some = rangesShed(now, budget < FEW ? 1 : left - target);
      mergeResting(now, true);
      left = kept(now);
      if (!some && left == before) break;
    }
  }
  note(left);
  const end = nanoseconds();
  if (<u64>pageCount + entriesSeen >= <u64>MANY) shedAt = end + REST_SHARE * (end - begun);
}

/** Records that no range can say: beyond the budget they end by the page's going home. */
function pagesGiveBack(now: u64, excess: u64): void {
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    if (isSettledObject(object)) {
      let at = object.pages;
      while (at != 0 && excess != 0) {
        const page = changetype<Page>(at);
        at = page.nextInObject;
        if (!isIdle(page, now)) continue;
        pageGiveBack(object, page, now);
        excess--;
      }
    }
    object = changetype<SharedObject>(object.next);
  }
}

/** So many of the smallest ranges that are records, one of an object at the most; false: there is none, or it cannot go now. */
function rangesShed(now: u64, most: u64): bool {
  const least = leastKept();
  let some = false;
  let at = changetype<usize>(objectsFirst());
  while (at != 0 && most != 0) {
    const object = changetype<SharedObject>(at);
    at = object.next;
    if (!isSettledObject(object)) continue;
    const set = rangesOf(object);
    for (let number: u32 = 0; number < set.count; number++) {
      const range = rangeAt(set, number);
      if (!isKeptRange(set, range) || range.last - range.first != least) continue;
      if (rangeShed(object, range, now)) {
        some = true;
        most--;
      }
      break;
    }
  }
  return some;
}

/** How far the last page of the smallest range that is a record is from its first. */
function leastKept(): u64 {
  let least: u64 = ~(<u64>0);
  let at = changetype<usize>(objectsFirst());
  while (at != 0) {
    const object = changetype<SharedObject>(at);
    at = object.next;
    if (!isSettledObject(object)) continue;
    const set = rangesOf(object);
    for (let number: u32 = 0; number < set.count; number++) {
      const range = rangeAt(set, number);
      if (isKeptRange(set, range)) least = min<u64>(least, range.last - range.first);
    }
  }
  return least;
}

/** False: it cannot go now, since more of it is on its way, or others are asked already. */
function rangeShed(object: SharedObject, range: Range, now: u64): bool {
  const first = range.first;
  const last = range.last;
  switch (shedOf(engine, object, range)) {
    case SHED_COPIES:
      for (let index = first; index <= last; index++) dropPage(object, index);
      break;
    case SHED_OWN:
      keptDrop(object, first, last);
      ownDrop(engine, object, first, last);
      break;
    case SHED_RECALL:
      return rangesTakeBack(object);
    case SHED_FETCH:
      for (let index = first; index <= last; index++)
        pageGiveBack(object, pageFindOrMake(object, index), now);
      break;
    case SHED_ALL:
      return rangesGiveUp(object);
    case SHED_OFFER:
      for (let index = first; index <= last; index++) {
        const page = pageFindOrMake(object, index);
        rangeLeaves(engine, object, page);
        pageGiveBack(object, page, now);
      }
      break;
  }
  return true;
}

function keptDrop(object: SharedObject, first: u64, last: u64): void {
  for (let at = object.kept; at != 0; ) {
    const index = changetype<Kept>(at).index;
    at = changetype<Kept>(at).nextInObject;
    if (index >= first && index <= last) dropPage(object, index);
  }
}
