// Pages that leave: from the address spaces first, and the engine is told afterwards. A revocation waits for pins (progress.ts),
// for the kernel's own copies, for what is lent (loans.ts), for mirrors (mirror-pages.ts) and for the hold window (hold.ts).
// Core 0 only, like pages.ts.
//
// Invariant: a page is in the list while `revoking` is set and something holds it up.
import { coreCount } from "../lwkt/core";
import { ipiSend } from "../lwkt/ipi";
import { nanoseconds } from "../machine/time";
import { clearBits, DIRTY, lowerEntries, PRESENT, setEntry, shootDown, WRITABLE } from "../memory/paging";
import { sharedMappings, sharedMappingsOf } from "../process/mapping";
import { rightLost } from "./contention";
import { engineGone } from "./engine";
import { rangesReady } from "./grants";
import { holdBegin, holdIsOver, isHeld } from "./hold";
import { Kept } from "./kept";
import { isLentOut, loansAny, loansDue, loansLook, loansRecall, touchedEnd } from "./loans";
import { mirrorAwaited, mirrorReady, mirrorsWait, pageEnds } from "./mirror-pages";
import { pagesBuried, pagesBury } from "./page-index";
import { notesTake } from "./page-notes";
import { SharedObject } from "./pager";
import { drain, engine } from "./pages";
import { Page } from "./records";
import { refusalsDue, refusalsRetry, refusalsWait } from "./refusals";

/** Page.revoking */
export const WRITE_ONLY: u32 = 1;
export const EVERYTHING: u32 = 2;

/** Pages whose revocation waits for pins or copies. */
let waiting: usize = 0;

function nothing(_argument: usize): void {}

/** drain() does it at once when nothing holds the page; else it waits in line. */
export function revokeLater(page: Page, what: u32): void {
  const fresh = page.revoking == 0;
  loansRecall(page);
  // Locked: who lets go of a pin looks at this afterwards, we look at the pins afterwards.
  atomic.store<u32>(changetype<usize>(page) + offsetof<Page>("revoking"), max<u32>(page.revoking, what));
  if (!fresh || revocable(page, 0)) return;
  page.revokingNext = waiting;
  waiting = changetype<usize>(page);
  prod(page);
}

/** Some thread may run in user mode since it was granted the page: entering the kernel, it shows how far it has come. */
function prod(page: Page): void {
  if (atomic.load<u32>(changetype<usize>(page) + offsetof<Page>("running")) == 0) return;
  for (let core: u32 = 1; core < coreCount(); core++) ipiSend(core, nothing.index, 0);
}

function isPinned(page: Page): bool {
  return atomic.load<u32>(changetype<usize>(page) + offsetof<Page>("pins")) != 0;
}

/** `now` 0: pins count whatever the time. */
export function revocable(page: Page, now: u64): bool {
  if (page.holds != 0 || mirrorsWait() || isLentOut(page)) return false;
  if (isPinned(page) && (now == 0 || now < page.pinsEnd)) return false;
  if (page.heldUntil != 0 && isHeld(page, nanoseconds())) return false;
  return mirrorReady(page);
}

export function revoke(page: Page): void {
  unlinkWaiting(page);
  if (page.revoking == EVERYTHING) touchedEnd(page);
  const dirty = takeAway(page, page.revoking);
  pageEnds(page);
  rightLost(page, nanoseconds(), dirty);
  if (page.revoking == EVERYTHING) page.twinEnds = 1;
  atomic.store<u32>(changetype<usize>(page) + offsetof<Page>("revoking"), 0);
  rangesReady(changetype<SharedObject>(page.holder));
  engineGone(engine, page, dirty);
}

/** A revocation that has begun is over at once, and the engine is not told: the page leaves the address spaces and stays here. */
export function releaseRevocation(page: Page): void {
  if (page.revoking == 0) return;
  if (takeAway(page, EVERYTHING)) page.noted = 1;
  unlinkWaiting(page);
  atomic.store<u32>(changetype<usize>(page) + offsetof<Page>("revoking"), 0);
}

export function unlinkWaiting(page: Page): void {
  if (waiting == changetype<usize>(page)) waiting = page.revokingNext;
  else {
    let at = waiting;
    while (at != 0 && changetype<Page>(at).revokingNext != changetype<usize>(page)) {
      at = changetype<Page>(at).revokingNext;
    }
    if (at != 0) changetype<Page>(at).revokingNext = page.revokingNext;
  }
  page.revokingNext = 0;
}

let takeWhat: u32 = 0;
let tookDirty: bool = false;

/** From every address space and every core's TLB. True: some entry said that the page was written. */
export function takeAway(page: Page, what: u32): bool {
  takeWhat = what;
  tookDirty = false;
  sharedMappings(changetype<SharedObject>(page.holder), page.index, takeVisit.index);
  notesTake();
  const dirty = tookDirty || page.noted != 0;
  page.noted = 0;
  return dirty;
}

/** The same of a page without a record. */
export function takeKept(object: SharedObject, kept: Kept): bool {
  takeWhat = EVERYTHING;
  tookDirty = false;
  sharedMappings(object, kept.index, takeVisit.index);
  notesTake();
  const dirty = tookDirty || kept.noted != 0;
  kept.noted = 0;
  return dirty;
}

function takeVisit(space: usize, va: u64): void {
  const old = takeWhat == EVERYTHING ? setEntry(space, va, 0) : clearBits(space, va, WRITABLE | DIRTY);
  if (!(old & PRESENT)) return;
  if (old & DIRTY) tookDirty = true;
  shootDown(space, va, 1);
}

let lowerFirst: u64 = 0;
let lowerDirty: u32 = 0;

/**
 * The right to write of `count` pages from `first` on, at most 32, leaves the page tables, with one shoot-down for each map entry. As
 * takeAway() of each, but for Page.noted: a bit for each page that was written.
 */
export function takeRunsRight(object: SharedObject, first: u64, count: u32): u32 {
  lowerFirst = first;
  lowerDirty = 0;
  sharedMappingsOf(object, first, count, lowerVisit.index);
  notesTake();
  return lowerDirty;
}

function lowerVisit(space: usize, va: u64, index: u64, pages: u32): void {
  const found = lowerEntries(space, va, pages);
  if (found == 0) return;
  lowerDirty |= (<u32>found) << (<u32>(index - lowerFirst));
  shootDown(space, va, pages);
}

/** revocationsRetry() has something to look at. */
export function revocationsWait(): bool {
  return waiting != 0 || pagesBuried() || loansAny() || refusalsWait();
}

/** In the service of core 0: revocations whose page has become free, or whose time is up. */
export function revocationsRetry(now: u64): void {
  pagesBury();
  loansLook(now);
  refusalsRetry(now);
  let at = waiting;
  while (at != 0) {
    const page = changetype<Page>(at);
    if (!revocable(page, now)) {
      if (isPinned(page) && holdIsOver(page, now)) prod(page);
      at = page.revokingNext;
      continue;
    }
    revoke(page);
    drain(page);
    at = waiting; // the list has changed
  }
}

/** When the next of them is overdue. Before threads go on. */
export function revocationsDue(): u64 {
  const due = min<u64>(loansDue(), refusalsDue());
  return waiting == 0 ? due : waitingDue(due);
}

function waitingDue(least: u64): u64 {
  const now = nanoseconds();
  let due = least;
  let at = waiting;
  while (at != 0) {
    const page = changetype<Page>(at);
    holdBegin(page, now);
    const acknowledged = !mirrorAwaited(page) || isPinned(page);
    if (page.holds == 0 && !mirrorsWait() && !isLentOut(page) && acknowledged)
      due = min<u64>(due, page.heldUntil != 0 ? page.heldUntil : page.pinsEnd);
    at = page.revokingNext;
  }
  return due;
}
