// Pages without a record (kept.ts) while their object's home moves (homes.ts). What the engine does to a page's record is done to one record that
// each of them has for that moment, and what it says then is in the page's descriptor: as many pages as fit into memory need no more of it than
// before. At the home what was handed in of them is in ranges (reports.ts), and becomes ranges again. Pure, as engine.ts.
//
// Descriptors are visited from the one that came first on, mostly in the order of their pages: ranges then grow at their end.
//
// Invariant: while an object is `frozen` its ranges say nothing; its descriptors (Kept.standing) and records do.
import { directoryStands, refresh } from "./directory";
import { rangesOf } from "./holdings";
import { Kept, keptHide, keptShow } from "./kept";
import { pageBegin } from "./page-begin";
import { setReady } from "./range-sets";
import { Range, rangeOf, rangesMerge, rangesPutState } from "./ranges";
import { bitOf, Engine, ONCE, Page } from "./records";
import {
  isReported,
  isReportedApart,
  REPORTED_AWAY,
  reportAt,
  reportsCount,
  reportsLeave,
  reportsPut,
} from "./reports";
import { hasReverted, serialReverted } from "./serials";
import { SharedObject } from "./shared-object";
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

const record = changetype<Page>(memory.data(offsetof<Page>(), 8));
/** 64 machines; the engine leaves them as they are, all zeros, of a page with which nothing is under way. */
const peers: usize = memory.data(4096, 8);

/** The record that the page would have, until the next call. */
function show(engine: Engine, object: SharedObject, kept: Kept): Page {
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
export function keptFreeze(engine: Engine, object: SharedObject, stored: bool): void {
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    kept.told = 0;
    if (isRemains(kept) || object.frozen != 0) continue;
    const page = show(engine, object, kept);
    if (object.home == engine.self) {
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
export function keptReport(engine: Engine, object: SharedObject, kept: Kept): u32 {
  if (isRemains(kept)) return REPORT_NOTHING;
  const report = engineReport(engine, show(engine, object, kept));
  return report == REPORT_NOTHING && kept.had != 0 ? REPORT_HAD : report;
}

/** At the new home: what it has itself. */
export function keptHandIn(engine: Engine, object: SharedObject): void {
  for (let at = object.keptFirst; at != 0; at = changetype<Kept>(at).previousInObject) {
    const kept = changetype<Kept>(at);
    const report = keptReport(engine, object, kept);
    if (report != REPORT_NOTHING) reportsPut(object, kept.index, kept.index, engine.self, report);
  }
}

/** The frozen page's record, with which nothing is under way, may go again. */
export function mayStow(page: Page): bool {
  if (page.former != 0 || page.broken != 0) return false;
  if ((page.untold | page.reverts) != 0 || (page.partly & ONCE) != 0 || page.tellers != 0) return false;
  if ((page.asked | <u32>page.claimed) != 0) return false;
  if ((page.waiters | page.operator | page.twin) != 0 || (page.holds | page.revoking) != 0) return false;
  if (atomic.load<u32>(changetype<usize>(page) + offsetof<Page>("pins")) != 0) return false;
  const open = page.transaction | <u32>page.unanswered | page.confirms | page.passedFor;
  if (open != 0 || (page.readers | page.operations) != 0) return false;
  return page.state == INVALID || page.state == SHARED || page.state == OWNED || page.state == MODIFIED;
}

/** Of copies without an owner these were chosen (HOME_OWNER). */
export function keptAdopt(engine: Engine, object: SharedObject, first: u64, last: u64, alone: bool): void {
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    if (kept.index < first || kept.index > last || isRemains(kept)) continue;
    const page = show(engine, object, kept);
    engineAdopt(page, alone);
    keptHide(kept, page);
  }
}

// --- Rebuild ---

/**
 * What the home makes of pages without a record, once all have handed in; `makes` (object, page's number) makes a record; `adopts` (object, first, last,
 * machine) tells whom it chose.
 */
export function keptRebuild(
  engine: Engine,
  object: SharedObject,
  doubts: bool,
  makes: u32,
  adopts: u32,
): void {
  reportsLeave(object);
  for (let number: u32 = 0; number < reportsCount(object); number++) {
    const range = reportAt(object, number);
    if (isReported(range) && isReportedApart(range, engine.self)) recordsOf(object, range, makes);
    else if (isReported(range) || (range.state & REPORTED_AWAY) != 0)
      settleRange(engine, object, range, doubts, adopts);
  }
}

/** Their records take over what was handed in. */
function recordsOf(object: SharedObject, range: Range, makes: u32): void {
  const last = range.last;
  for (let index = range.first; index <= last; index++) call_indirect<void>(makes, object, index);
}

/** One record stands for all pages of the range. */
function settleRange(engine: Engine, object: SharedObject, range: Range, doubts: bool, adopts: u32): void {
  memory.fill(changetype<usize>(record), 0, offsetof<Page>());
  pageBegin(engine, record, object, range.first, peers);
  record.ranged = 0;
  record.owner = range.owner;
  record.sharers = range.sharers;
  record.away = u8((range.state & REPORTED_AWAY) != 0);
  const mine = range.sharers & bitOf(engine.self);
  record.state = <u32>range.owner == engine.self ? OWNED : mine != 0 ? SHARED : INVALID;
  const machine = engineRebuild(engine, record, false, doubts);
  engineSettle(engine, record);
  if (record.directory == UNUSED) return; // as its range says
  const state = record.state == MODIFIED ? EXCLUSIVE : record.state;
  setReady(rangesOf(object));
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

/**
 * The frames of pages that nobody has. `stale`: they are no backing store. Called with (object, descriptor): `forgets`, if it goes, `empties`, if
 * what is in its frame does.
 */
export function keptRebuilt(
  engine: Engine,
  object: SharedObject,
  stale: bool,
  forgets: u32,
  empties: u32,
): void {
  for (let at = object.kept; at != 0; ) {
    const kept = changetype<Kept>(at);
    at = kept.nextInObject;
    if (isRemains(kept)) {
      call_indirect<void>(forgets, object, kept); // it is not what others would read
      continue;
    }
    kept.dirty = 0;
    const directory = rangeOf(rangesOf(object), kept.index).directory;
    if (directory != LOST && directory != UNUSED) continue;
    const emptied = stale && kept.frame != 0;
    if (emptied) call_indirect<void>(empties, object, kept);
    if (directory == UNUSED && object.renumbered == 0 && !emptied) continue;
    record.serial = kept.serial;
    serialReverted(engine, record);
    kept.serial = record.serial;
    kept.changed = 0;
  }
}

// --- Thaw ---

/** Elsewhere than at the home: ranges say again what this machine may do. Who answers for pages of which others have copies needs records, which `makes` (object, page's number) makes. */
export function keptThaw(object: SharedObject, makes: u32): void {
  for (let at = object.keptFirst; at != 0; ) {
    const kept = changetype<Kept>(at);
    at = kept.previousInObject;
    if (isRemains(kept)) continue;
    const state = kept.standing;
    if (state == OWNED) {
      call_indirect<void>(makes, object, kept.index);
      continue;
    }
    kept.dirty = u8(state == MODIFIED);
    if (state == INVALID) continue;
    setReady(rangesOf(object));
    const right = state == MODIFIED ? EXCLUSIVE : state;
    rangesPutState(rangesOf(object), kept.index, kept.index, right);
  }
}
