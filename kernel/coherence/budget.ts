// How many records of coherence a machine keeps (promises 80, 81, 83, 84): at most `records=N` of the command line, N >= 1. A
// record is a range that gives somebody a right, or the record of a page with which nothing is under way; what lies
// between ranges is nobody's and no record, and a page that a thread or a request uses at this moment is not kept but in use.
//
// Records merge again when their pages have rested (merge.ts). Those beyond the budget are merged at once; then copies are
// thrown away, which the home need not be told; then pages that only this machine has right are given back to their
// home (GIVE_BACK: the home asks for them like any machine), and the home takes back what others have, asking likewise. That costs
// messages, and nothing else. When frames run short the same happens to the pages of other homes. Core 0 only.
//
// Mirrored pages (mirror-pages.ts) stay as they are: what their mirrors know is not merged. A small budget (below FEW) has no use for ranges of pages that nobody touched, nor for pages whose operations travel.

import { ASYNCHRONOUS, portReply } from "../lwkt/port";
import { nanoseconds } from "../machine/time";
import { frameFree, framesFree } from "../memory/frames";
import { bootNumber } from "../options";
import { stats } from "../stats";
import { bit, clusterSelf, messageEnd, messageTo } from "../syslink/cluster";
import { COMMAND_GIVE_BACK, ITEM_PAGE } from "../syslink/commands";
import { itemData, itemFind, itemPut, MessageHeader } from "../syslink/message";
import { Client } from "./client";
import { engineAsk } from "./engine";
import { rangesDropOwn, rangesGiveUp, rangesOf, rangesReady, rangesTakeBack } from "./grants";
import { Kept, keptForget } from "./kept";
import { hasLoans } from "./loans";
import { pageDrop, pageMayDrop, pageMayFetch, pageMayMerge, pageMerge, pageRests } from "./merge";
import { mirrorsOn } from "./mirror-pages";
import { objectById, objectsFirst } from "./object-list";
import { pageCount, pageFind, pageFindOrMake, pageMerged } from "./page-index";
import { SharedObject } from "./pager";
import { drain, engine, pageAsked } from "./pages";
import {
  isRecord,
  PAGE_LAST,
  RANGES_SPARE,
  Range,
  RangeSet,
  rangeAt,
  rangeOf,
  rangesEdits,
  rangesPutState,
  STORED,
} from "./ranges";
import { Page } from "./records";
import { remainsDrop } from "./remains";
import { EVERYTHING, takeAway } from "./revocations";
import { HELD, INVALID, SHARED } from "./table";

const ENOMEM: i64 = 12;
const RECORDS: u64 = 4096;
const FEW: u64 = 64;
const REST: u64 = 10_000_000;
/** All records are looked at: with thousands of them a part of the time at most, one of so many. */
const REST_SHARE: u64 = 32;
/** A page that was offered to its home and is still here counts again. */
const PATIENCE: u64 = 100_000_000;
/** A home that did not take what it was offered is left alone so long. */
const FULL_TIME: u64 = 1_000_000_000;
/** Frames that are left for other things before pages of other homes are given up, and so many at once. */
const FRAMES_LOW: usize = 384;
const FRAMES_AT_ONCE: u32 = 64;
const GIVEN_AT_ONCE: u32 = 16;
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
/** Clients that wait for a frame, linked by nextWaiter. */
let starving: usize = 0;

export function budgetStart(): void {
  budget = max<u64>(1, bootNumber("records", RECORDS));
}

export function recordsAreFew(): bool {
  return budget < FEW;
}

/** After every piece of work of core 0. True: something was given up, of which others may have to be told. */
export function recordsTend(now: u64): bool {
  if (mirrorsOn()) return false;
  // Mostly there is nothing to do.
  if (now < restAt && starving == 0 && framesFree() >= FRAMES_LOW && !mayBeBeyond()) return false;
  return tend(now);
}

function tend(now: u64): bool {
  const rested = now >= restAt;
  const begun = rested ? nanoseconds() : 0;
  if (rested) mergeResting(now, false);
  const short = starving != 0 || framesFree() < FRAMES_LOW;
  if (short) framesRelieve(now);
  const many = mayBeBeyond() && now >= shedAt;
  if (many) shed(now);
  else if (rested) note(kept(now));
  if (rested) restAt = now + max<u64>(REST, REST_SHARE * (nanoseconds() - begun));
  return short || many;
}

function note(count: u64): void {
  stats().records = count;
  stats().recordsMost = max<u64>(stats().recordsMost, count);
}

/** False: there are no more records than there may be. Objects are counted only when ranges may have become too many since. */
function mayBeBeyond(): bool {
  const most = <u64>(rangesEdits - editsSeen) * RANGES_SPARE + entriesSeen;
  if (<u64>pageCount + most <= budget) return false;
  entriesSeen = entries();
  editsSeen = rangesEdits;
  return <u64>pageCount + entriesSeen > budget;
}

/** An upper bound of the ranges that are records. */
function entries(): u64 {
  let sum: u64 = 0;
  let at = changetype<usize>(objectsFirst());
  while (at != 0) {
    sum += <u64>rangesOf(changetype<SharedObject>(at)).count;
    at = changetype<SharedObject>(at).next;
  }
  return sum;
}

// --- What counts ---

function isSettledObject(object: SharedObject): bool {
  return object.dead == 0 && object.moving == 0;
}

/** Nothing is under way with the page, in the engine or in the kernel. */
function isIdle(page: Page, now: u64): bool {
  if ((page.waiters | page.operator) != 0 || (page.holds | page.revoking) != 0) return false;
  if (atomic.load<u32>(changetype<usize>(page) + offsetof<Page>("pins")) != 0) return false;
  if (!pageRests(page) || hasLoans(page)) return false;
  if (page.state == INVALID) page.givenAt = 0;
  return page.givenAt == 0 || now - page.givenAt > PATIENCE;
}

function isKept(set: RangeSet, range: Range): bool {
  if (!isRecord(range)) return false;
  // Being taken back.
  return (
    range.directory != HELD || (range.flags & STORED) != 0 || !((set.recalling >> (range.owner - 1)) & 1)
  );
}

function kept(now: u64): u64 {
  let sum: u64 = 0;
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    if (isSettledObject(object)) {
      for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
        if (isIdle(changetype<Page>(at), now)) sum++;
      }
      const set = rangesOf(object);
      for (let number: u32 = 0; number < set.count; number++) sum += u64(isKept(set, rangeAt(set, number)));
    }
    object = changetype<SharedObject>(object.next);
  }
  return sum;
}

// --- Merging ---

/** Pages that have rested since the last time, or all that do now. */
function mergeResting(now: u64, all: bool): void {
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    if (isSettledObject(object)) mergeObject(object, now, all);
    object = changetype<SharedObject>(object.next);
  }
}

function mergeObject(object: SharedObject, now: u64, all: bool): void {
  let before: usize = 0;
  let at = object.pages;
  while (at != 0) {
    const page = changetype<Page>(at);
    const next = page.nextInObject;
    if ((page.resting != 0 || all) && isIdle(page, now) && pageMayMerge(engine, page)) {
      rangesReady(object);
      pageMerge(engine, page);
      if (before != 0) changetype<Page>(before).nextInObject = next;
      else object.pages = next;
      pageMerged(object, page);
    } else {
      page.resting = 1;
      before = at;
    }
    at = next;
  }
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
      const some = rangeShed(now);
      mergeResting(now, true);
      left = kept(now);
      if (!some && left == before) break;
    }
  }
  note(left);
  const end = nanoseconds();
  if (pageCount >= MANY) shedAt = end + REST_SHARE * (end - begun);
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

/** The page goes to its home, or the home asks for it. Then it is in use. */
function pageGiveBack(object: SharedObject, page: Page, now: u64): void {
  if (object.home != clusterSelf()) {
    page.givenAt = now;
    const writer = messageTo(object.home, 16 + 16, object.id, 0, COMMAND_GIVE_BACK);
    store<u64>(itemPut(writer, ITEM_PAGE, 0, 8), page.index);
    messageEnd();
    return;
  }
  if (!pageMayFetch(page)) return;
  rangesReady(object);
  engineAsk(engine, page, true);
  drain(page);
}

/** GIVE_BACK, at the home: a machine would rather not keep the page that it answers for. */
export function pageOffered(from: u32, message: MessageHeader): void {
  const object = objectById(message.linkid);
  if (changetype<usize>(object) == 0 || !isSettledObject(object) || object.home != clusterSelf()) return;
  const index = load<u64>(itemData(itemFind(message, ITEM_PAGE)));
  if (index > PAGE_LAST || framesFree() < FRAMES_LOW / 2) return;
  rangesReady(object);
  const page = pageFindOrMake(object, index);
  if (!isIdle(page, 0) || (page.ranged == 0 && <u32>page.owner != from)) return;
  pageGiveBack(object, page, 0);
}

let leastObject: usize = 0;

/** The smallest range that is a record; false: there is none. */
function rangeShed(now: u64): bool {
  let least: u64 = ~(<u64>0);
  let found: usize = 0;
  let at = changetype<usize>(objectsFirst());
  while (at != 0) {
    const object = changetype<SharedObject>(at);
    at = object.next;
    if (!isSettledObject(object)) continue;
    const set = rangesOf(object);
    for (let number: u32 = 0; number < set.count; number++) {
      const range = rangeAt(set, number);
      if (!isKept(set, range) || range.last - range.first >= least) continue;
      least = range.last - range.first;
      found = changetype<usize>(range);
      leastObject = changetype<usize>(object);
    }
  }
  if (found == 0) return false;
  const object = changetype<SharedObject>(leastObject);
  const range = changetype<Range>(found);
  if (object.home == clusterSelf()) shedAtHome(object, range.first, range.last, range, now);
  else shedElsewhere(object, range.first, range.last, range.state, now);
  return true;
}

function shedElsewhere(object: SharedObject, first: u64, last: u64, state: u8, now: u64): void {
  if (state == SHARED) {
    for (let index = first; index <= last; index++) dropPage(object, index);
    return;
  }
  // Pages of it that were never touched go with all that was granted so.
  let bytes: u64 = 0;
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const index = changetype<Kept>(at).index;
    if (index >= first && index <= last) bytes++;
  }
  if (bytes <= last - first) {
    rangesGiveUp(object);
    return;
  }
  for (let index = first; index <= last; index++) {
    const page = pageFindOrMake(object, index);
    rangesReady(object);
    rangesPutState(rangesOf(object), index, index, INVALID);
    pageGiveBack(object, page, now);
  }
}

function shedAtHome(object: SharedObject, first: u64, last: u64, range: Range, now: u64): void {
  const wide = (range.flags & STORED) == 0;
  const held = range.directory == HELD;
  const self = clusterSelf();
  const mine = held ? <u32>range.owner == self : range.sharers == bit(self);
  if (held && wide && !mine) {
    rangesTakeBack(object);
  } else if (wide) {
    for (let at = object.kept; at != 0; ) {
      const index = changetype<Kept>(at).index;
      at = changetype<Kept>(at).nextInObject;
      if (index >= first && index <= last) dropPage(object, index);
    }
    rangesDropOwn(object, first, last);
  } else {
    for (let index = first; index <= last; index++) {
      if (mine) dropPage(object, index);
      else pageGiveBack(object, pageFindOrMake(object, index), now);
    }
  }
}

/** What this machine has of the page is thrown away: it leaves the page tables, its bytes stay. */
function dropPage(object: SharedObject, index: u64): void {
  rangesReady(object);
  const page = pageFindOrMake(object, index);
  if (!pageMayDrop(engine, page)) return;
  const written = takeAway(page, EVERYTHING);
  pageDrop(engine, page, written);
}

// --- When frames run short ---

/** A thread needs a frame and there is none: it waits for one. */
export function frameAwaited(client: Client): i64 {
  if (mirrorsOn()) return -ENOMEM;
  client.nextWaiter = starving;
  starving = changetype<usize>(client);
  return ASYNCHRONOUS;
}

let freed: u32 = 0;
let offered: u32 = 0;

/** Bytes that are elsewhere as well go; pages that are here alone are offered to their homes. */
function framesRelieve(now: u64): void {
  remainsDrop();
  mergeResting(now, true);
  freed = 0;
  offered = 0;
  let object = objectsFirst();
  while (changetype<usize>(object) != 0) {
    if (isSettledObject(object) && object.home != clusterSelf()) relieveOf(object, now);
    object = changetype<SharedObject>(object.next);
  }
  while (starving != 0) {
    const client = changetype<Client>(starving);
    if (framesFree() < FRAMES_LOW / 4) {
      if (freed + offered != 0) return;
      starving = client.nextWaiter;
      portReply(client, -ENOMEM);
      continue;
    }
    starving = client.nextWaiter;
    const result = pageAsked(client);
    if (result != ASYNCHRONOUS) portReply(client, result);
  }
}

function relieveOf(object: SharedObject, now: u64): void {
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.givenAt == 0 || page.state == INVALID) continue;
    if (now - page.givenAt < PATIENCE) offered++;
    else {
      // The home has no room either.
      page.givenAt = 0;
      object.fullUntil = now + FULL_TIME;
    }
  }
  let at = object.kept;
  while (at != 0 && freed < FRAMES_AT_ONCE) {
    const kept = changetype<Kept>(at);
    at = kept.nextInObject;
    const index = kept.index;
    const state = rangeOf(rangesOf(object), index).state;
    if (kept.frame == 0) continue;
    if (state == INVALID) {
      keptForget(object, kept);
      freed++;
    } else if (state == SHARED) {
      dropPage(object, index);
      const page = pageFind(object, index);
      frameFree(page.frame);
      page.frame = 0;
      page.serial = 0;
      freed++;
    } else if (offered < GIVEN_AT_ONCE && now >= object.fullUntil) {
      pageGiveBack(object, pageFindOrMake(object, index), now);
      offered++;
    }
  }
}
