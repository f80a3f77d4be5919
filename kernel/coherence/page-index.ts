// The records of shared pages on this machine, found by object and index: a hash table that grows, and the records of
// objects that are gone, kept while a thread still has one pinned. Core 0 only.
import { frameFree } from "../memory/frames";
import { allocate, release } from "../memory/slab";
import { clusterMachines, clusterSelf } from "../syslink/cluster";
import { pageCreate } from "./engine";
import { loansDrop } from "./loans";
import { mirrorsForget } from "./mirror-pages";
import { SharedObject } from "./pager";
import { Page, PEER_BYTES } from "./records";

const FIRST_BUCKETS: u32 = 1024;

let table: usize = 0;
let tableMask: u32 = 0;
let pageCount: u32 = 0;
/** Records of objects that are gone, while a thread still has them pinned. */
let graveyard: usize = 0;

export function pageIndexStart(): void {
  tableMask = FIRST_BUCKETS - 1;
  table = allocate(FIRST_BUCKETS << 2);
}

function bucketOf(object: u64, index: u64): usize {
  const mixed = (object ^ (object >> 29) ^ (index * 0x9e37_79b9)) * 0x1_0000_01b3;
  return table + ((<u32>(mixed >> 20) & tableMask) << 2);
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
  if (changetype<usize>(found) != 0) return found;
  if (pageCount > tableMask) grow();
  const page = changetype<Page>(allocate(offsetof<Page>()));
  page.object = object.id;
  page.index = index;
  page.holder = changetype<usize>(object);
  pageCreate(page, object.home, allocate(clusterMachines() * PEER_BYTES), object.ranges);
  if (object.home != clusterSelf()) page.ranged = 0;
  page.frozen = u8(object.moving != 0);
  page.nextInObject = object.pages;
  object.pages = changetype<usize>(page);
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
  release(page.peers);
  page.frame = 0;
  page.peers = 0;
  if (page.pins == 0) {
    release(changetype<usize>(page));
    return;
  }
  page.next = graveyard;
  graveyard = changetype<usize>(page);
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
