// The records of shared pages on this machine, found by object and index: a hash table that grows, and the records of
// objects that are gone, kept while a thread still has one pinned. Core 0 only.
import { frameFree } from "../memory/frames";
import { allocate, release } from "../memory/slab";
import { clusterMachines } from "../syslink/cluster";
import { askedNext, askedTake, NOT_ASKED } from "./asked";
import { bucketIn, Kept, keptFind, keptForget, keptPut } from "./kept";
import { loansDrop } from "./loans";
import { mirrorsForget } from "./mirror-pages";
import { pageBeginAgain } from "./page-begin";
import { SharedObject } from "./pager";
import { engine } from "./pages";
import { RangeSet, rangesUsed } from "./ranges";
import { Page, PEER_BYTES } from "./records";
import { reportsTake } from "./reports";

const FIRST_BUCKETS: u32 = 1024;

let table: usize = 0;
let tableMask: u32 = 0;
export let pageCount: u32 = 0;
/** Records of objects that are gone, while a thread still has them pinned. */
let graveyard: usize = 0;

export function pageIndexStart(): void {
  tableMask = FIRST_BUCKETS - 1;
  table = allocate(FIRST_BUCKETS << 2);
}

function bucketOf(object: u64, index: u64): usize {
  return bucketIn(table, tableMask, object, index);
}

/** null (0) when this machine has none. */
export function pageFind(object: SharedObject, index: u64): Page {
  let at = load<usize>(bucketOf(object.id, index));
  while (at != 0) {
    const page = changetype<Page>(at);
    // By its holder: a dead record of the object, that a thread still has open, has the same id.
    if (page.index == index && page.holder == changetype<usize>(object)) break;
    at = page.next;
  }
  return changetype<Page>(at);
}

export function pageFindOrMake(object: SharedObject, index: u64): Page {
  const found = pageFind(object, index);
  if (changetype<usize>(found) != 0) {
    found.resting = 0;
    return found;
  }
  return pageMake(object, index);
}

/** Of which there is no record. */
export function pageMake(object: SharedObject, index: u64): Page {
  if (pageCount > tableMask) grow();
  const page = changetype<Page>(allocate(offsetof<Page>() + clusterMachines() * PEER_BYTES));
  const kept = keptFind(object, index);
  pageBeginAgain(engine, page, object, index, changetype<usize>(page) + offsetof<Page>(), kept);
  if (changetype<usize>(kept) != 0) keptForget(object, kept);
  reportsTake(object, page);
  askedTake(object, page);
  page.nextInObject = object.pages;
  object.pages = changetype<usize>(page);
  object.usedEnd = max<u64>(object.usedEnd, index + 1);
  insert(page);
  pageCount++;
  return page;
}

function insert(page: Page): void {
  const bucket = bucketOf(page.object, page.index);
  page.next = load<usize>(bucket);
  store<usize>(bucket, changetype<usize>(page));
}

function grow(): void {
  const old = table;
  const buckets = tableMask + 1;
  tableMask = buckets * 4 - 1;
  table = allocate((<usize>buckets) << 4);
  for (let i: u32 = 0; i < buckets; i++) {
    let at = load<usize>(old + (i << 2));
    while (at != 0) {
      const page = changetype<Page>(at);
      at = page.next;
      insert(page);
    }
  }
  release(old);
}

/** It is out of its object's list already. */
export function pageRemove(page: Page): void {
  const bucket = bucketOf(page.object, page.index);
  if (load<usize>(bucket) == changetype<usize>(page)) store<usize>(bucket, page.next);
  else {
    let at = changetype<Page>(load<usize>(bucket));
    while (at.next != changetype<usize>(page)) at = changetype<Page>(at.next);
    at.next = page.next;
  }
  pageCount--;
  mirrorsForget(page);
  loansDrop(page);
  if (page.frame != 0) frameFree(page.frame);
  if (page.twin != 0) frameFree(page.twin);
  page.twin = 0;
  page.frame = 0;
  page.peers = 0;
  if (page.pins == 0) {
    release(changetype<usize>(page));
    return;
  }
  page.next = graveyard;
  graveyard = changetype<usize>(page);
}

/** Its range says what the record said; it is out of its object's list already. */
export function pageMerged(object: SharedObject, page: Page): void {
  keptPut(object, page);
  pageRemove(page);
}

/** Records for the pages that were asked for without (asked.ts). Before all records of an object are looked at. */
export function pagesAsked(object: SharedObject): void {
  for (let index = askedNext(object); index != NOT_ASKED; index = askedNext(object)) pageMake(object, index);
}

/** Has the page ever been used, as far as this machine knows? */
export function pageIsUsed(object: SharedObject, index: u64): bool {
  if (changetype<usize>(pageFind(object, index)) != 0 || changetype<usize>(keptFind(object, index)) != 0)
    return true;
  return rangesUsed(changetype<RangeSet>(object.ranges), index) == index;
}

/** The first used page from `index` on, or ~0. */
export function pageNextUsed(object: SharedObject, index: u64): u64 {
  let least = rangesUsed(changetype<RangeSet>(object.ranges), index);
  for (let at = object.pages; at != 0; at = changetype<Page>(at).nextInObject) {
    const page = changetype<Page>(at);
    if (page.index >= index) least = min<u64>(least, page.index);
  }
  for (let at = object.kept; at != 0; at = changetype<Kept>(at).nextInObject) {
    const kept = changetype<Kept>(at);
    if (kept.index >= index) least = min<u64>(least, kept.index);
  }
  return least;
}

/** Some removed records are kept for the threads that pin them. */
export function pagesBuried(): bool {
  return graveyard != 0;
}

/** Lets go of removed records that no thread pins any more. */
export function pagesBury(): void {
  let before: usize = 0;
  let at = graveyard;
  while (at != 0) {
    const next = changetype<Page>(at).next;
    if (atomic.load<u32>(at + offsetof<Page>("pins")) == 0) {
      if (before != 0) changetype<Page>(before).next = next;
      else graveyard = next;
      release(at);
    } else before = at;
    at = next;
  }
}
