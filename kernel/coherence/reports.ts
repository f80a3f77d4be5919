// What is handed in to a new home about pages that have no record there (homes.ts): ranges, of which each says what the records of its
// pages would. A record that is made meanwhile takes over what is said of its page. Core 0 only.
import { clusterSelf } from "../syslink/cluster";
import { SharedObject } from "./pager";
import { setCreate, setDrop, setReady } from "./range-sets";
import { Range, RangeSet, rangeAt, rangeOf, rangesMerge, STORED } from "./ranges";
import { bitOf, Page } from "./records";
import { UNUSED } from "./table";
import { engineReported, REPORT_AWAY, REPORT_HAD, REPORT_ROOMLESS } from "./takeover";

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

function flagOf(report: u32): u8 {
  if (report == REPORT_HAD || report == REPORT_AWAY) return REPORTED_HAD;
  return report == REPORT_ROOMLESS ? REPORTED_ROOMLESS : 0;
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
    put(set, at, end, (range.state & ~REPORTED_AWAY) | record.away | flagOf(report));
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
}

/** The record goes again. */
export function reportsGive(object: SharedObject, page: Page): void {
  if (object.reports == 0 && (page.owner | page.away) == 0 && page.sharers == 0) return;
  begin(object);
  const set = reportsOf(object);
  record.owner = page.owner;
  record.sharers = page.sharers;
  const kept = rangeOf(set, page.index).state & ~REPORTED_AWAY;
  put(set, page.index, page.index, kept | (page.away != 0 ? REPORTED_AWAY : 0));
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

/** Must each of these pages have a record at the home: has another machine what it answers for, and a third one copies? */
export function isReportedApart(range: Range): bool {
  const others = range.sharers & ~bitOf(clusterSelf());
  if (range.owner != 0) return <u32>range.owner != clusterSelf() && range.sharers != 0;
  return others == range.sharers && (others & (others - 1)) != 0;
}

export function reportsCount(object: SharedObject): u32 {
  return object.reports != 0 ? reportsOf(object).count : 0;
}

export function reportAt(object: SharedObject, number: u32): Range {
  return rangeAt(reportsOf(object), number);
}
