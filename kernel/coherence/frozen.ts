// Pages without a record (kept.ts) while something happens to all pages of an object: its home moves (homes.ts), it dies, this machine may
// not use it. What the engine does to a page's record is done to one record that each of them has for that moment, and what it says then is
// in the page's descriptor: as many pages as fit into memory need no more of it than before. At the home what was handed in of
// them is in ranges (reports.ts), and becomes ranges again. Core 0 only.
//
// Descriptors are visited from the one that came first on, mostly in the order of their pages: ranges then grow at their end.
//
// Invariant: while an object is `frozen` its ranges say nothing; its descriptors (Kept.standing) and records do.
import { clusterSelf } from "../syslink/cluster";
import { directoryStands, refresh } from "./directory";
import { rangesOf, rangesReady } from "./grants";
import { Kept, keptEnd, keptForget, keptHide, keptPut, keptShow } from "./kept";
import { hasLoans } from "./loans";
import { mirrorsOn } from "./mirror-pages";
import { pageBegin } from "./page-begin";
import { pageFindOrMake, pageRemove } from "./page-index";
import { SharedObject } from "./pager";
import { engine } from "./pages";
import { Range, rangeOf, rangesMerge, rangesPutState } from "./ranges";
import { Page } from "./records";
import {
  isReported,
  isReportedApart,
  REPORTED_AWAY,
  reportAt,
  reportsCount,
  reportsGive,
  reportsLeave,
  reportsPut,
} from "./reports";
import { takeKept } from "./revocations";
import { hasReverted, NO_SERIAL, serialEnded, serialReverted } from "./serials";
import { EXCLUSIVE, INVALID, LOST, MODIFIED, OWNED, SHARED, UNUSED } from "./table";
import {
  engineAdopt,
  engineFreeze,
  engineRebuild,
  engineReport,
  engineSettle,
  REPORT_HAD,
  REPORT_NOTHING,
} from "./takeover";
import { PAGE_BYTES } from "./wire";

const record = changetype<Page>(memory.data(offsetof<Page>(), 8));
/** 64 machines; the engine leaves them as they are, all zeros, of a page with which nothing is under way. */
const peers: usize = memory.data(4096, 8);

/** The record that the page would have, until the next call. */
function show(object: SharedObject, kept: Kept): Page {
  memory.fill(changetype<usize>(record), 0, offsetof<Page>());
  pageBegin(engine, record, object, kept.index, peers);
  record.frozen = u8(object.frozen != 0);
  keptShow(object, kept, record);
  return record;
}

function isRemains(kept: Kept): bool {
  return kept.former != 0;
}

// --- Freeze ---

/** Before the object's ranges are forgotten. `stored`: this machine was the home. */
export function keptFreeze(object: SharedObject, stored: bool): void {
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    kept.told = 0;
    if (isRemains(kept) || object.frozen != 0) continue;
    const page = show(object, kept);
    if (object.home == clusterSelf()) {
      refresh(page);
      if (stored) directoryStands(page);
    }
    if (stored && hasReverted(page)) object.renumbered = 1;
    engineFreeze(engine, page, stored && page.frame != 0);
    assert(engine.actionCount == 0, "a page without a record owes somebody an answer");
    keptHide(kept, page);
  }
}

// --- Hand in ---

/** What this machine hands in of the page; REPORT_NOTHING: it never had it. */
export function keptReport(object: SharedObject, kept: Kept): u32 {
  if (isRemains(kept)) return REPORT_NOTHING;
  const report = engineReport(engine, show(object, kept));
  return report == REPORT_NOTHING && kept.had != 0 ? REPORT_HAD : report;
}

/** At the new home: what it has itself. */
export function keptHandIn(object: SharedObject): void {
  for (let at = object.keptFirst; at != 0; at = changetype<Kept>(at).previousInObject) {
    const kept = changetype<Kept>(at);
    const report = keptReport(object, kept);
    if (report != REPORT_NOTHING) reportsPut(object, kept.index, kept.index, clusterSelf(), report);
  }
}

/** The frozen page's record, which was made last, goes again unless somebody uses it. */
export function pageStow(object: SharedObject, page: Page): void {
  if (object.pages != changetype<usize>(page) || !mayStow(page)) return;
  object.pages = page.nextInObject;
  reportsGive(object, page);
  keptPut(object, page);
  pageRemove(page);
}

function mayStow(page: Page): bool {
  if (mirrorsOn() || page.former != 0 || page.broken != 0 || hasLoans(page)) return false;
  if ((page.untold | page.reverts) != 0) return false;
  if ((page.asked | <u32>page.claimed) != 0) return false;
  if ((page.waiters | page.operator | page.twin) != 0 || (page.holds | page.revoking) != 0) return false;
  if (atomic.load<u32>(changetype<usize>(page) + offsetof<Page>("pins")) != 0) return false;
  const open = page.transaction | <u32>page.unanswered | page.confirms | page.passedFor;
  if (open != 0 || (page.readers | page.operations) != 0) return false;
  return page.state == INVALID || page.state == SHARED || page.state == OWNED || page.state == MODIFIED;
}

/** Of copies without an owner these were chosen (HOME_OWNER). */
export function keptAdopt(object: SharedObject, first: u64, last: u64, alone: bool): void {
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    if (kept.index < first || kept.index > last || isRemains(kept)) continue;
    const page = show(object, kept);
    engineAdopt(page, alone);
    keptHide(kept, page);
  }
}

// --- Rebuild ---

/** What the home makes of pages without a record, once all have handed in; `adopts` (first, last, machine) tells whom it chose. */
export function keptRebuild(object: SharedObject, doubts: bool, adopts: u32): void {
  reportsLeave(object);
  for (let number: u32 = 0; number < reportsCount(object); number++) {
    const range = reportAt(object, number);
    if (isReported(range) && isReportedApart(range)) recordsOf(object, range);
    else if (isReported(range) || (range.state & REPORTED_AWAY) != 0)
      settleRange(object, range, doubts, adopts);
  }
}

/** Their records take over what was handed in. */
function recordsOf(object: SharedObject, range: Range): void {
  const last = range.last;
  for (let index = range.first; index <= last; index++) pageFindOrMake(object, index);
}

/** One record stands for all pages of the range. */
function settleRange(object: SharedObject, range: Range, doubts: bool, adopts: u32): void {
  memory.fill(changetype<usize>(record), 0, offsetof<Page>());
  pageBegin(engine, record, object, range.first, peers);
  record.ranged = 0;
  record.owner = range.owner;
  record.sharers = range.sharers;
  record.away = u8((range.state & REPORTED_AWAY) != 0);
  const mine = range.sharers & ((<u64>1) << (clusterSelf() - 1));
  record.state = <u32>range.owner == clusterSelf() ? OWNED : mine != 0 ? SHARED : INVALID;
  const machine = engineRebuild(engine, record, false, doubts);
  engineSettle(engine, record);
  if (record.directory == UNUSED) return; // as its range says
  const state = record.state == MODIFIED ? EXCLUSIVE : record.state;
  rangesReady(object);
  rangesMerge(
    rangesOf(object),
    range.first,
    range.last,
    state,
    record.directory,
    record.owner,
    record.sharers,
  );
  if (machine != 0) call_indirect<void>(adopts, object, range.first, range.last, machine);
}

/** The frames of pages that nobody has. `stale`: they are no backing store. */
export function keptRebuilt(object: SharedObject, stale: bool): void {
  for (let at = object.kept; at != 0; ) {
    const kept = changetype<Kept>(at);
    at = kept.nextInObject;
    if (isRemains(kept)) {
      keptForget(object, kept); // it is not what others would read
      continue;
    }
    kept.dirty = 0;
    const directory = rangeOf(rangesOf(object), kept.index).directory;
    if (directory != LOST && directory != UNUSED) continue;
    const emptied = stale && kept.frame != 0;
    if (emptied) memory.fill(kept.frame, 0, PAGE_BYTES);
    if (directory == UNUSED && object.renumbered == 0 && !emptied) continue;
    record.serial = kept.serial;
    serialReverted(engine, record);
    kept.serial = record.serial;
    kept.changed = 0;
  }
}

// --- Thaw ---

/** Elsewhere than at the home: ranges say again what this machine may do. Who answers for pages of which others have copies needs records. */
export function keptThaw(object: SharedObject): void {
  for (let at = object.keptFirst; at != 0; ) {
    const kept = changetype<Kept>(at);
    at = kept.previousInObject;
    if (isRemains(kept)) continue;
    const state = kept.standing;
    if (state == OWNED) {
      pageFindOrMake(object, kept.index);
      continue;
    }
    kept.dirty = u8(state == MODIFIED);
    if (state == INVALID) continue;
    rangesReady(object);
    const right = state == MODIFIED ? EXCLUSIVE : state;
    rangesPutState(rangesOf(object), kept.index, kept.index, right);
  }
}

// --- This machine may not use them, or has lost them ---

/** They leave every page table; the right stays. */
export function keptSuspend(object: SharedObject): void {
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    if (!isRemains(kept) && takeKept(object, kept)) kept.noted = 1;
  }
}

/** As forsake() of a record: no right is left, and the bytes have their number. */
export function keptForsake(object: SharedObject): void {
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    if (isRemains(kept)) continue;
    record.serial = kept.serial;
    record.changed = kept.changed;
    serialEnded(record, takeKept(object, kept));
    kept.serial = record.serial;
    kept.changed = 0;
    kept.dirty = 0;
  }
}

/** The object's bytes are gone with its home. */
export function keptAway(object: SharedObject): void {
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject)
    takeKept(object, changetype<Kept>(at));
  keptEnd(object);
}

/** They remain for another life (remains.ts), if their number says what they are. */
export function keptRemain(object: SharedObject): void {
  for (let at = object.kept; at != 0; ) {
    const kept = changetype<Kept>(at);
    at = kept.nextInObject;
    kept.had = 0;
    kept.former = 1;
    if (kept.frame == 0 || kept.serial == 0 || kept.serial == NO_SERIAL) keptForget(object, kept);
  }
}
