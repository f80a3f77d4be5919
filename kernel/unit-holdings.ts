// What clusters of engines (test/support/coherence-state.ts) need of objects: what machines hold by ranges, how records of pages begin and end; part of
// unit.ts. A test says before each call what its machine knows of the object: one record stands for those of all machines.
import { giveUp } from "./coherence/holdings";
import { Kept, mayKeep } from "./coherence/kept";
import { pageBeginAgain } from "./coherence/page-begin";
import { RangeSet, rangeOf } from "./coherence/ranges";
import { Engine, Page } from "./coherence/records";
import { reportsTake } from "./coherence/reports";
import { SharedObject } from "./coherence/shared-object";
import { isKeptRange, reliefOf, shedOf } from "./coherence/shedding";

export {
  claimBegins,
  holderDied,
  holderGives,
  holderKeeps,
  holdersFrom,
  holdsAll,
  mayGiveUp,
  ownDrop,
  rangesForsaken,
  rangesMoved,
  recallBegins,
} from "./coherence/holdings";
export {
  dropBegins,
  frameTake,
  mayTakeFrom,
  RELIEF_DROP,
  RELIEF_FORGET,
  RELIEF_OFFER,
  rangeLeaves,
  reliefOffers,
  SHED_ALL,
  SHED_COPIES,
  SHED_FETCH,
  SHED_OFFER,
  SHED_OWN,
  SHED_RECALL,
} from "./coherence/shedding";

const PAGES: u32 = 16;
const object = changetype<SharedObject>(memory.data(offsetof<SharedObject>(), 8));
const descriptors: usize = memory.data(2048, 8);
const named: usize = memory.data(128, 8);
let namedCount: u32 = 0;

/**
 * The object, of which the machine has no pages yet. `ranges`: the machine's RangeSet, 0 = without; `frozen`: what is kept of pages says what ranges
 * do not; `reports`: a RangeSet of what was handed in of pages without records, 0 = each that is handed in has one.
 */
export function objectHere(
  ranges: usize,
  reports: usize,
  home: u32,
  moving: u32,
  frozen: u32,
  renumbered: u32,
): SharedObject {
  object.ranges = ranges;
  object.reports = reports;
  object.home = home;
  object.moving = moving;
  object.frozen = frozen;
  object.pages = 0;
  object.kept = 0;
  object.keptFirst = 0;
  object.renumbered = renumbered;
  return object;
}

export function objectRenumbered(): u32 {
  return object.renumbered;
}

/** The machine has a record of the page. */
export function objectPage(page: Page): void {
  page.nextInObject = object.pages;
  object.pages = changetype<usize>(page);
}

function descriptor(index: u32): Kept {
  assert(index < PAGES && PAGES * offsetof<Kept>() <= 2048, "unit: room");
  return changetype<Kept>(descriptors + <usize>index * offsetof<Kept>());
}

/**
 * It has merged, with Page.dirty and Page.changed in bit 1 as `flags`; or `former`: a former life of the machine had it. `stands`: of an object that is
 * frozen, as pageStands().
 */
export function objectKept(index: u32, serial: u64, flags: u32, framed: u32, former: u32, stands: u32): void {
  const kept = descriptor(index);
  kept.index = index;
  kept.serial = serial;
  kept.dirty = <u8>(flags & 1);
  kept.changed = <u8>(flags >> 1);
  kept.standing = <u8>stands;
  kept.away = <u8>(stands >> 8);
  kept.sole = <u8>(stands >> 16);
  kept.frame = framed;
  kept.former = <u8>former;
  kept.previousInObject = 0;
  kept.nextInObject = object.kept;
  if (object.kept != 0) changetype<Kept>(object.kept).previousInObject = changetype<usize>(kept);
  else object.keptFirst = changetype<usize>(kept);
  object.kept = changetype<usize>(kept);
}

export function objectKeptSerial(index: u32): u64 {
  return descriptor(index).serial;
}
export function objectKeptFlags(index: u32): u32 {
  const kept = descriptor(index);
  return <u32>kept.dirty | ((<u32>kept.changed) << 1);
}
export function objectKeptStands(index: u32): u32 {
  const kept = descriptor(index);
  return <u32>kept.standing | ((<u32>kept.away) << 8) | ((<u32>kept.sole) << 16);
}
export function objectKeptOf(index: u32): Kept {
  return descriptor(index);
}
/** Of a record of a frozen page: what stays of it when it goes. */
export function pageStands(page: Page): u32 {
  return <u32>page.state | ((<u32>page.away) << 8) | ((<u32>page.sole) << 16);
}

/** A record for the page, which is all zeros, with what objectKept() has said of it, if anything. True: it has a frame of before. */
export function pageMade(engine: Engine, page: Page, index: u32, peers: usize): bool {
  const kept = changetype<Kept>(object.kept);
  const any = object.kept != 0;
  assert(!any || kept.index == <u64>index, "unit: what is kept is of another page");
  pageBeginAgain(engine, page, object, index, peers, kept);
  if (object.reports != 0) reportsTake(object, page);
  return page.frame != 0;
}

/** The page's record goes: does anything stay of it? */
export function pageStays(page: Page, framed: u32): bool {
  page.frame = framed;
  return mayKeep(object, page);
}

function touched(index: u64): void {
  assert(namedCount < PAGES, "unit: room");
  store<u64>(named + ((<usize>namedCount) << 3), index);
  namedCount++;
}

/** How many pages the answer names. */
export function holdingsGiven(first: u64, last: u64): u32 {
  namedCount = 0;
  giveUp(object, first, last, touched.index);
  return namedCount;
}

export function holdingsNamed(number: u32): u64 {
  return load<u64>(named + ((<usize>number) << 3));
}

/** Behind the last page of the range that begins there and counts; 0: none does. */
export function keptRangeEnd(first: u64): u64 {
  const set = changetype<RangeSet>(object.ranges);
  const range = rangeOf(set, first);
  return range.first == first && isKeptRange(set, range) ? range.last + 1 : 0;
}

export function rangeShedOf(engine: Engine, first: u64): u32 {
  return shedOf(engine, object, rangeOf(changetype<RangeSet>(object.ranges), first));
}

/** Of what is kept of the page. */
export function keptRelief(index: u32): u32 {
  return reliefOf(object, descriptor(index));
}
