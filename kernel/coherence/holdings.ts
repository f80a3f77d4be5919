// What machines hold by ranges of an object (ranges.ts), and how they lose it: whom the home asks for it, which pages a holder has touched
// and keeps, what the home makes of that answer, what is lost with a machine. Pure, as engine.ts: grants.ts tells it to others, and has
// those who wait for it.
//
// Invariant: while a recall is under way no range is granted, so that an answer speaks of every range that its sender has. Who gives up ranges of
// its own accord has asked for no page of the object, so that none is on its way; and what it says then answers no recall.
import { directoryKeep } from "./directory";
import { pageIsHere } from "./engine";
import { Kept } from "./kept";
import { setReady } from "./range-sets";
import {
  PAGE_LAST,
  RangeSet,
  rangeAt,
  rangeOf,
  rangesCreate,
  rangesForgetSharer,
  rangesHolders,
  rangesKeep,
  rangesLost,
  rangesPutState,
  rangesReleased,
  STORED,
} from "./ranges";
import { bitOf, Engine, Page } from "./records";
import { serialAnew, serialReverted } from "./serials";
import { SharedObject } from "./shared-object";
import { EXCLUSIVE, HELD, INVALID, LOST, UNUSED } from "./table";

export function rangesOf(object: SharedObject): RangeSet {
  return changetype<RangeSet>(object.ranges);
}

// --- At the home ---

/** Other machines that hold pages from `index` on by ranges. */
export function holdersFrom(engine: Engine, object: SharedObject, index: u64): u64 {
  return rangesHolders(rangesOf(object), index) & ~bitOf(engine.self);
}

/** Those of them that are asked now, and have to answer: what the `silent` ones hold is lost as soon as the engine hears of their death. */
export function recallBegins(object: SharedObject, holders: u64, silent: u64): u64 {
  const asked = holders & ~silent;
  rangesOf(object).recalling |= asked;
  return asked;
}

/** `machine` need not answer any more. */
export function recallEnds(object: SharedObject, machine: u32): void {
  rangesOf(object).recalling &= ~bitOf(machine);
}

/**
 * `from` is to have the pages [first, last] to itself: those who are asked for what they hold of them by ranges and have not touched. The home
 * gives that up as well. Then who touches one of them first is granted all, as of a new object (promise 72).
 */
export function claimBegins(
  engine: Engine,
  object: SharedObject,
  from: u32,
  first: u64,
  last: u64,
  silent: u64,
): u64 {
  const set = rangesOf(object);
  if (set.recalling != 0) return 0; // pages are granted one by one
  if (from != engine.self) ownGiveUp(engine, object, first, last);
  let holders: u64 = 0;
  for (let at = first; at <= last; ) {
    const range = rangeOf(set, at);
    at = range.last + 1;
    if (range.directory == HELD && (range.flags & STORED) == 0) holders |= bitOf(range.owner);
  }
  return recallBegins(object, holders & ~(bitOf(from) | bitOf(engine.self)), silent);
}

/** What this machine, the home, holds by a range between these and has not touched. */
function ownGiveUp(engine: Engine, object: SharedObject, first: u64, last: u64): void {
  const set = rangesOf(object);
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    if (kept.index < first || kept.index > last || kept.former != 0) continue;
    setReady(set);
    rangesKeep(set, kept.index, <u8>engine.self);
  }
  ownDrop(engine, object, first, last);
}

/** What this machine, the home, holds by ranges between these, but for pages that have records: it uses them. */
export function ownDrop(engine: Engine, object: SharedObject, first: u64, last: u64): void {
  const set = rangesOf(object);
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.index < first || page.index > last || !pageIsHere(page)) continue;
    setReady(set);
    directoryKeep(page, engine.self);
  }
  setReady(set);
  rangesReleased(set, <u8>engine.self, first, last, UNUSED);
}

/** `machine` gives up ranges, and has touched this page. `page`: its record; 0: it has none. */
export function holderKeeps(object: SharedObject, machine: u32, page: Page, index: u64): void {
  const set = rangesOf(object);
  setReady(set);
  if (changetype<usize>(page) != 0) directoryKeep(page, machine);
  else rangesKeep(set, index, <u8>machine);
}

/** It holds nothing else between these. `recalled`: it was asked. */
export function holderGives(object: SharedObject, machine: u32, first: u64, last: u64, recalled: bool): void {
  const set = rangesOf(object);
  setReady(set);
  if (first <= last) rangesReleased(set, <u8>machine, first, last, UNUSED);
  if (recalled) recallEnds(object, machine);
}

/** What a dead machine held by ranges is lost, page by page; who waits for what it would have given back waits no more. */
export function holderDied(engine: Engine, object: SharedObject, machine: u32): void {
  const set = rangesOf(object);
  setReady(set);
  rangesForgetSharer(set, machine);
  rangesReleased(set, <u8>machine, 0, PAGE_LAST, LOST);
  if (rangesLost(set)) renumberLost(engine, object);
  recallEnds(object, machine);
}

/** Who comes back may have bytes by the numbers that lost pages would begin with, or go on from. */
function renumberLost(engine: Engine, object: SharedObject): void {
  const set = rangesOf(object);
  object.renumbered = 1;
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.ranged != 0 && rangeOf(set, page.index).directory == LOST) serialReverted(engine, page);
  }
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    if (kept.former == 0 && rangeOf(set, kept.index).directory == LOST)
      kept.serial = serialAnew(engine, kept.serial);
  }
}

/** A new home does not know what was stored at the old one, or was written and then lost, and grants page by page. */
export function rangesMoved(object: SharedObject): void {
  rangeAt(rangesOf(object), 0).flags = STORED;
}

/** This machine knows of no holder any more, and holds nothing. */
export function rangesForsaken(object: SharedObject): void {
  const set = rangesOf(object);
  set.recalling = 0;
  rangesCreate(set, set.at, set.capacity);
}

// --- Where they are held ---

/** Does this machine hold all of these pages already? */
export function holdsAll(object: SharedObject, first: u64, last: u64): bool {
  const set = rangesOf(object);
  for (let at = first; at <= last; ) {
    const range = rangeOf(set, at);
    if (range.state != EXCLUSIVE) return false;
    at = range.last + 1;
  }
  return true;
}

/** May it give up what it holds without having been asked? Not while more may be on its way. */
export function mayGiveUp(object: SharedObject): bool {
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject)
    if (changetype<Page>(at).transaction != 0) return false;
  return true;
}

/** Gives up what it holds between these, but for pages that it has touched: `touched` is called with the index of each. */
export function giveUp(object: SharedObject, first: u64, last: u64, touched: u32): void {
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.index >= first && page.index <= last && pageIsHere(page))
      call_indirect<void>(touched, page.index);
  }
  const set = rangesOf(object);
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    kept.standing = kept.former == 0 ? rangeOf(set, kept.index).state : INVALID;
    if (kept.index >= first && kept.index <= last && kept.standing != INVALID)
      call_indirect<void>(touched, kept.index);
  }
  setReady(set);
  rangesPutState(set, first, last, INVALID);
  // What was touched stays.
  for (let at = object.keptFirst; at != 0; at = changetype<Kept>(at).previousInObject) {
    const kept = changetype<Kept>(at);
    if (kept.index < first || kept.index > last || kept.standing == INVALID) continue;
    setReady(set);
    rangesPutState(set, kept.index, kept.index, kept.standing);
  }
}
