// Which ranges count as records, and what becomes of one that is too many (promise 84): it ends here without a word, at its home by what the home
// says, or elsewhere by what its holder says. And what becomes of pages of other homes when frames run short. Pure, as engine.ts; budget.ts and relief.ts
// say when, and do it.

import { directoryAlone } from "./directory";
import { rangesOf } from "./holdings";
import { Kept } from "./kept";
import { pageMayDrop } from "./merge";
import { setReady } from "./range-sets";
import { isRecord, Range, RangeSet, rangeOf, rangesPutState, STORED } from "./ranges";
import { bitOf, Engine, Page } from "./records";
import { SharedObject } from "./shared-object";
import { HELD, INVALID, OWNED, SHARED } from "./table";

/** What is here of each of its pages is thrown away; at the home of what has been kept, and the rest is nobody's. */
export const SHED_COPIES: u32 = 1;
export const SHED_OWN: u32 = 2;
/** The home takes back what others hold by ranges, or asks for each of its pages. */
export const SHED_RECALL: u32 = 3;
export const SHED_FETCH: u32 = 4;
/** Its holder gives up all that it was granted so; or offers each of its pages to their home. */
export const SHED_ALL: u32 = 5;
export const SHED_OFFER: u32 = 6;

/** Is it a record that counts? Not what is being taken back. */
export function isKeptRange(set: RangeSet, range: Range): bool {
  if (!isRecord(range)) return false;
  return (
    range.directory != HELD || (range.flags & STORED) != 0 || !((set.recalling >> (range.owner - 1)) & 1)
  );
}

export function shedOf(engine: Engine, object: SharedObject, range: Range): u32 {
  if (object.home != engine.self) {
    if (range.state == SHARED) return SHED_COPIES;
    // Pages of it that were never touched go with all that was granted so.
    return pagesKept(object, range) <= range.last - range.first ? SHED_ALL : SHED_OFFER;
  }
  const wide = (range.flags & STORED) == 0;
  const held = range.directory == HELD;
  const mine = held ? <u32>range.owner == engine.self : range.sharers == bitOf(engine.self);
  if (held && wide && !mine) return SHED_RECALL;
  if (wide) return SHED_OWN;
  return mine ? SHED_COPIES : SHED_FETCH;
}

function pagesKept(object: SharedObject, range: Range): u64 {
  let count: u64 = 0;
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const index = changetype<Kept>(at).index;
    if (index >= range.first && index <= range.last) count++;
  }
  return count;
}

/** What is here of the page, which has a record, its range says no more. */
export function rangeLeaves(engine: Engine, object: SharedObject, page: Page): void {
  setReady(rangesOf(object));
  if (object.home == engine.self) directoryAlone(page);
  else rangesPutState(rangesOf(object), page.index, page.index, INVALID);
}

/** What is here of the page is to be thrown away; `idle`: nobody uses it. May it go? Who uses it may be about to write: then its record is one of its own. */
export function dropBegins(engine: Engine, object: SharedObject, page: Page, idle: bool): bool {
  if (idle) return pageMayDrop(engine, page);
  rangeLeaves(engine, object, page);
  return false;
}

/** At the home, which is offered a page: does `machine` answer for it, as far as is known here? */
export function mayTakeFrom(page: Page, machine: u32): bool {
  return page.ranged != 0 || <u32>page.owner == machine;
}

/** Its bytes may not be used any more, and go; a copy, which is thrown away with them; or it is offered to its home. */
export const RELIEF_FORGET: u32 = 1;
export const RELIEF_DROP: u32 = 2;
export const RELIEF_OFFER: u32 = 3;

/** Of a page of another home without a record; 0: no frame is to be had of it. */
export function reliefOf(object: SharedObject, kept: Kept): u32 {
  if (kept.frame == 0) return 0;
  const state = rangeOf(rangesOf(object), kept.index).state;
  if (state == INVALID) return RELIEF_FORGET;
  return state == SHARED ? RELIEF_DROP : RELIEF_OFFER;
}

/** Of a page of another home with a record, which cannot merge since others have copies of what is here: is it offered to its home? */
export function reliefOffers(page: Page): bool {
  return page.state == OWNED && page.frame != 0;
}

/** Of a page that was dropped (merge.ts). The caller has its frame then. */
export function frameTake(page: Page): usize {
  const frame = page.frame;
  page.frame = 0;
  page.serial = 0;
  return frame;
}
