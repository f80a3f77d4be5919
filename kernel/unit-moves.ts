// What clusters of engines (test/support/coherence-moves.ts) need of objects whose homes move; part of unit.ts. As unit-holdings.ts: a test says before each call
// what its machine knows of the object, and reads it again behind it.
import { Kept } from "./coherence/kept";
import { keptRebuild, keptRebuilt, keptThaw } from "./coherence/kept-moves";
import { moveFreezes } from "./coherence/moves";
import { RangeSet, rangeAt, rangeOf, rangesCreate, STORED } from "./coherence/ranges";
import { Engine, Page } from "./coherence/records";
import { isReported, REPORTED_ROOMLESS } from "./coherence/reports";
import { SharedObject } from "./coherence/shared-object";

export {
  DOUBTS,
  moveDied,
  moveFreezesPage,
  moveGives,
  moveHears,
  moveIsFlushed,
  moveLoses,
  moveRebuilds,
  moveSays,
  moveThaws,
  OURS,
} from "./coherence/moves";

export {
  ALONE,
  EMPTIES,
  mayGive,
  pageChosen,
  pageChosenFlags,
  pageGives,
  pageHandedIn,
  pageRebuildBegins,
  pageRebuilds,
  pageReports,
  pageTells,
  RESTORE,
  RESTORES,
} from "./coherence/page-moves";

/** What of the page is around the engine: it has a frame, which may be of a former life; there was no room for what came of it. */
export function pageFramed(page: Page, framed: u32, former: u32, roomless: u32): void {
  page.frame = framed;
  page.former = former;
  page.roomless = <u8>roomless;
}
export function pageIsRoomless(page: Page): u32 {
  return page.roomless;
}

/** `ranges`: the machine's RangeSet; bit m-1: machine m. */
export function movePut(
  object: SharedObject,
  ranges: usize,
  home: u32,
  moving: u32,
  complete: u32,
  lossy: u32,
  renumbered: u32,
  holders: u32,
  handedTo: u32,
  gaveTo: u32,
  frozen: u32,
): void {
  object.ranges = ranges;
  object.home = home;
  object.moving = moving;
  object.complete = complete;
  object.lossy = lossy;
  object.renumbered = renumbered;
  object.holders = holders;
  object.handedTo = handedTo;
  object.gaveTo = gaveTo;
  object.frozen = frozen;
}

/** Of these the one of that number, from 0. */
export function moveWord(object: SharedObject, number: u32): u32 {
  switch (number) {
    case 0:
      return object.home;
    case 1:
      return object.moving;
    case 2:
      return object.complete;
    case 3:
      return object.lossy;
    case 4:
      return object.renumbered;
    case 5:
      return <u32>object.holders;
    case 6:
      return <u32>object.handedTo;
    case 7:
      return <u32>object.gaveTo;
    default:
      return object.frozen;
  }
}

function has(object: SharedObject, index: u64): bool {
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    if (changetype<Page>(at).index == index) return true;
  }
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    if (changetype<Kept>(at).index == index) return true;
  }
  return false;
}

/** moveFreezes() */
export function moveBegins(engine: Engine, object: SharedObject, home: u32): void {
  moveFreezes(engine, object, home, has.index);
}

// --- Pages without a record ---

export { keptAdopt, keptFreeze, keptHandIn, keptReport, mayStow } from "./coherence/kept-moves";
export { reportsGive, reportsPut } from "./coherence/reports";
export { REPORT_ROOMLESS } from "./coherence/takeover";

/** Of the object nothing has been handed in yet. */
export function reportsClear(set: RangeSet): void {
  rangesCreate(set, set.at, set.capacity);
  rangeAt(set, 0).flags = STORED;
}

/** Of a page without a record: it came here, there was no room for it, and nobody else has it. */
export function reportIsRoomless(set: RangeSet, index: u64): bool {
  const range = rangeOf(set, index);
  return (range.state & REPORTED_ROOMLESS) != 0 && !isReported(range);
}

/** By page: what the kernel wants of it, below; the machine that was chosen for it, in the byte above. */
export const WANTS_RECORD: u32 = 1;
export const WANTS_NOTHING: u32 = 2;
export const WANTS_EMPTY: u32 = 4;
const wants: usize = memory.data(64, 8);
const PAGES: u32 = 16;

export function keptWants(index: u32): u32 {
  return load<u32>(wants + (index << 2));
}
function want(index: u64, what: u32): void {
  if (index < <u64>PAGES) store<u32>(wants + ((<usize>index) << 2), keptWants(<u32>index) | what);
}
function wantsRecord(_object: SharedObject, index: u64): void {
  want(index, WANTS_RECORD);
}
function wantsNothing(_object: SharedObject, kept: Kept): void {
  want(kept.index, WANTS_NOTHING);
}
function wantsEmpty(_object: SharedObject, kept: Kept): void {
  want(kept.index, WANTS_EMPTY);
}
function wantsOwner(_object: SharedObject, first: u64, last: u64, machine: u32): void {
  for (let index = first; index <= last; index++) want(index, machine << 8);
}

/** keptRebuild(). Records are to be made before keptRebuilts(). */
export function keptRebuilds(engine: Engine, object: SharedObject, doubts: u32): void {
  memory.fill(wants, 0, 64);
  keptRebuild(engine, object, doubts != 0, wantsRecord.index, wantsOwner.index);
}

/** keptRebuilt() */
export function keptRebuilts(engine: Engine, object: SharedObject, stale: u32): void {
  memory.fill(wants, 0, 64);
  keptRebuilt(engine, object, stale != 0, wantsNothing.index, wantsEmpty.index);
}

/** keptThaw() */
export function keptThaws(object: SharedObject): void {
  memory.fill(wants, 0, 64);
  keptThaw(object, wantsRecord.index);
}
