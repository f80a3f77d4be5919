// The hold window, after Mirage's delta: who has just got the right to write a page that machines fight over keeps it for a
// while, however soon the next one asks, so that some work is done for each transfer. The window adapts to that work: it is over
// when a look at the page-table entries' dirty bits finds that nobody here has written since the look before. The first look
// comes an eighth of the wire's round trip after threads could go on, each later one after as long again as the page has been
// held; a round trip is the most. So a lock that was taken and let go of, both words in the page, is handed
// over at once, and a machine that stores on and on does a round trip's worth of it.
//
// Pages that nobody fights over are never held. Core 0 only, like pages.ts.
import { DIRTY, entryAt, PRESENT, replaceEntry, shootDown } from "../memory/paging";
import { sharedMappings } from "../process/mapping";
import { wireTime } from "../syslink/peers";
import { SharedObject } from "./pager";
import { Page } from "./records";

/** Parts of the wire's round trip, as shifts; and the longest window whatever the wire. */
const LOOK_SHIFT: u64 = 3;
const HOLD_SHIFT: u64 = 0;
const HOLD_MAX: u64 = 100_000;
/** Page.heldUntil, until threads can go on. */
const NOT_USED_YET: u64 = 1;

/** The longest window. */
export function holdMost(): u64 {
  return min<u64>(wireTime() >> HOLD_SHIFT, HOLD_MAX);
}

/** The right to write has come. */
export function holdTake(page: Page): void {
  page.heldUntil = NOT_USED_YET;
  page.overdue = 0;
}

/** The kernel has done what there was to do and lets threads go on: the window of a page that is held begins. */
export function holdBegin(page: Page, now: u64): void {
  if (page.heldUntil != NOT_USED_YET) return;
  page.usedFrom = now;
  page.heldUntil = now + (wireTime() >> LOOK_SHIFT);
}

/**
 * The time is over, and a thread that was granted the page has not been seen at another instruction yet (progress.ts). True:
 * make it be seen; again after a while.
 */
export function holdIsOver(page: Page, now: u64): bool {
  if (page.heldUntil <= NOT_USED_YET || now < page.heldUntil) return false;
  page.heldUntil = now + (wireTime() >> LOOK_SHIFT);
  page.overdue = 1;
  return true;
}

/** From any core: a thread that leaves for user mode need not come back after one instruction. */
export function holdLasts(page: Page): bool {
  return page.heldUntil != 0 && page.overdue == 0;
}

/** Another machine wants the page: is it held still? */
export function isHeld(page: Page, now: u64): bool {
  if (page.heldUntil == 0) return false;
  const most = holdMost();
  if (page.heldUntil == NOT_USED_YET) {
    // Nobody wanted it until now: it has had its time, or begins when threads go on.
    if (now < page.ownedAt + most) return true;
    page.heldUntil = 0;
    return false;
  }
  if (now < page.heldUntil) return true;
  const end = page.usedFrom + most;
  if (now < end && writtenSince(page)) {
    page.heldUntil = min<u64>(end, now + (now - page.usedFrom));
    return true;
  }
  page.heldUntil = 0;
  return false;
}

let seenDirty: bool = false;

/** By any thread here, since it was mapped or since this was asked last. */
function writtenSince(page: Page): bool {
  seenDirty = false;
  sharedMappings(changetype<SharedObject>(page.holder), page.index, cleanVisit.index);
  if (seenDirty) page.noted = 1;
  return seenDirty;
}

function cleanVisit(space: usize, va: u64): void {
  const at = entryAt(space, va);
  while (at != 0) {
    const old = atomic.load<u64>(at);
    if (!(old & PRESENT) || !(old & DIRTY)) return;
    if (replaceEntry(at, old, old & ~DIRTY) != old) continue;
    seenDirty = true;
    shootDown(space, va, 1);
    return;
  }
}
