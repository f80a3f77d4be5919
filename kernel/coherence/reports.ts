// What is handed in to a new home about pages that have no record there (homes.ts): ranges, of which each says what the records of its
// pages would. A record that is made meanwhile takes over what is said of its page. Pure, as engine.ts.

import { setCreate, setDrop, setReady } from "./range-sets";
import { Range, RangeSet, rangeAt, rangeOf, rangesMerge, STORED } from "./ranges";
import { bitOf, Page } from "./records";
import { SharedObject } from "./shared-object";
import { UNUSED } from "./table";
import { engineReported, isAbsent, REPORT_ROOMLESS } from "./takeover";

/** Range.state: as the page's record would have it; somebody had the page once; it was given away, and there was no room for it. */
export const REPORTED_AWAY: u8 = 1;
export const REPORTED_HAD: u8 = 2;
export const REPORTED_ROOMLESS: u8 = 4;

const record = changetype<Page>(memory.data(offsetof<Page>(), 8));

/** 0 = nothing has been handed in. */
export function reportsOf(object: SharedObject): RangeSet {
  return changetype<RangeSet>(object.reports);
}

function begin(object: SharedObject): void {
  if (object.reports != 0) return;
  object.reports = setCreate();
  rangeAt(reportsOf(object), 0).flags = STORED; // as all that is put there
}

export function reportsDrop(object: SharedObject): void {
  setDrop(object.reports);
  object.reports = 0;
}

function flagsOf(report: u32): u8 {
  const had = isAbsent(report) ? REPORTED_HAD : 0;
  return report == REPORT_ROOMLESS ? had | REPORTED_ROOMLESS : had;
}

/** `from`, this machine as well, reports that of all these pages that have no record. */
export function reportsPut(object: SharedObject, first: u64, last: u64, from: u32, report: u32): void {
  begin(object);
  const set = reportsOf(object);
  let at = first;
  while (at <= last) {
    const range = rangeOf(set, at);
    const end = min<u64>(range.last, last);
    record.owner = range.owner;
    record.sharers = range.sharers;
    record.away = range.state & REPORTED_AWAY;
    engineReported(record, from, report);
    const away = record.away != 0 ? REPORTED_AWAY : 0;
    put(set, at, end, (range.state & ~REPORTED_AWAY) | away | flagsOf(report));
    at = end + 1;
  }
}

function put(set: RangeSet, first: u64, last: u64, flags: u8): void {
  setReady(set);
  rangesMerge(set, first, last, flags, UNUSED, record.owner, record.sharers);
}

/** A record is made for the page. */
export function reportsTake(object: SharedObject, page: Page): void {
  if (object.reports == 0) return;
  const range = rangeOf(reportsOf(object), page.index);
  page.owner = range.owner;
  page.sharers = range.sharers;
  if (range.state & REPORTED_AWAY) page.away = 1;
  if (range.state & REPORTED_HAD) page.had = 1;
  if (range.state & REPORTED_ROOMLESS) page.roomless = 1;
}

/** The record goes again. */
export function reportsGive(object: SharedObject, page: Page): void {
  if (object.reports == 0 && (page.owner | page.away | page.roomless) == 0 && page.sharers == 0) return;
  begin(object);
  const set = reportsOf(object);
  record.owner = page.owner;
  record.sharers = page.sharers;
  let flags = rangeOf(set, page.index).state & REPORTED_HAD;
  if (page.away != 0) flags |= REPORTED_AWAY;
  if (page.roomless != 0) flags |= REPORTED_ROOMLESS;
  put(set, page.index, page.index, flags);
}

/** What was handed in of pages that have records counts there. */
export function reportsLeave(object: SharedObject): void {
  if (object.reports == 0) return;
  record.owner = 0;
  record.sharers = 0;
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject)
    put(reportsOf(object), changetype<Page>(at).index, changetype<Page>(at).index, 0);
}

/** Does somebody have these pages? */
export function isReported(range: Range): bool {
  return range.owner != 0 || range.sharers != 0;
}

/** Is there something that came here, and for which there was no room? */
export function isRoomless(object: SharedObject): bool {
  for (let number: u32 = 0; number < reportsCount(object); number++) {
    const range = reportAt(object, number);
    if (range.state & REPORTED_ROOMLESS && !isReported(range)) return true;
  }
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.roomless != 0 && page.owner == 0 && page.sharers == 0) return true;
  }
  return false;
}

/** Must each of these pages have a record at the home: has another machine what it answers for, and a third one copies? */
export function isReportedApart(range: Range, self: u32): bool {
  const others = range.sharers & ~bitOf(self);
  if (range.owner != 0) return <u32>range.owner != self && range.sharers != 0;
  return others == range.sharers && (others & (others - 1)) != 0;
}

export function reportsCount(object: SharedObject): u32 {
  return object.reports != 0 ? reportsOf(object).count : 0;
}

export function reportAt(object: SharedObject, number: u32): Range {
  return rangeAt(reportsOf(object), number);
}
