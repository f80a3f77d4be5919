// What is true of the pages of an object that have no record of their own: ranges of page numbers, sorted, without gaps
// from 0 to PAGE_LAST. An object begins as one of them. A machine is granted all of a range at once (promise 73); the pages
// that others want as well get records, one by one, and only these leave the range. They come back when their records say no more
// than a range could (merge.ts).
//
// At the home a range also says who holds it (`directory`, `owner`, `sharers`); a page's record there is `ranged` as long as it
// agrees with its range, and carved out when its directory changes. Pure, like engine.ts: the caller sees to room.
//
// Invariants: neighbours differ (else they are one record); what is not STORED was never written to the backing store and is
// held by nobody else than the range says, so its bytes are zeros until its holder touches it.
import { CLEAN_SHARED, HELD, INVALID, LOST, UNUSED } from "./table";

/** Page numbers have 40 bits. */
export const PAGE_LAST: u64 = ((<u64>1) << 40) - 1;
/** Range.flags: its pages have had records: bytes may be in the backing store, and each is granted alone. */
export const STORED: u8 = 1;

@unmanaged
export class Range {
  first: u64 = 0;
  last: u64 = 0;
  /** Of this machine's cache: INVALID, SHARED or EXCLUSIVE. */
  state: u8 = 0;
  /** At the home: UNUSED, HELD by `owner`, CLEAN_SHARED by `sharers`, or LOST. */
  directory: u8 = 0;
  owner: u8 = 0;
  flags: u8 = 0;
  spare: u32 = 0;
  sharers: u64 = 0;
}
export const RANGE_BYTES: u32 = 32;
/** One change makes at most two more. */
export const RANGES_SPARE: u32 = 2;
/** How often any set has been changed: each time it has got RANGES_SPARE ranges more at the most. */
export let rangesEdits: u32 = 0;

@unmanaged
export class RangeSet {
  /** Range records, RANGE_BYTES each. */
  at: usize = 0;
  count: u32 = 0;
  capacity: u32 = 0;
  /** At the home: pages from here on are behind the object's end, and not granted. */
  limit: u64 = 0;
  /** At the home: machines that were asked for their ranges and have not answered: meanwhile pages are granted one by one. */
  recalling: u64 = 0;
  /** At the home: pages are granted one by one in any case, since records are few (budget.ts). */
  narrow: u32 = 0;
  /** The range that was found last, if it is there still. */
  found: u32 = 0;
}

export function rangesCreate(set: RangeSet, at: usize, capacity: u32): void {
  set.at = at;
  set.capacity = capacity;
  set.count = 1;
  rangesEdits++;
  const all = changetype<Range>(at);
  all.first = 0;
  all.last = PAGE_LAST;
  all.state = INVALID;
  all.directory = UNUSED;
  all.owner = 0;
  all.flags = 0;
  all.spare = 0;
  all.sharers = 0;
}

export function rangeAt(set: RangeSet, number: u32): Range {
  return changetype<Range>(set.at + number * RANGE_BYTES);
}

/** The number of the range that page `index` lies in. */
export function rangeNumber(set: RangeSet, index: u64): u32 {
  const found = set.found;
  if (found < set.count) {
    const range = rangeAt(set, found);
    if (range.first <= index && index <= range.last) return found;
  }
  return search(set, index);
}

function search(set: RangeSet, index: u64): u32 {
  let low: u32 = 0;
  let high = set.count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (rangeAt(set, middle).first <= index) low = middle;
    else high = middle - 1;
  }
  set.found = low;
  return low;
}

export function rangeOf(set: RangeSet, index: u64): Range {
  return rangeAt(set, rangeNumber(set, index));
}

function same(range: Range, state: u8, directory: u8, owner: u8, flags: u8, sharers: u64): bool {
  if (range.sharers != sharers) return false;
  return range.state == state && range.directory == directory && range.owner == owner && range.flags == flags;
}

/** A record of somebody's right; what lies between such ranges is nobody's, and is no record (promise 83). */
export function isRecord(range: Range): bool {
  return range.state != INVALID || range.directory == HELD || range.directory == CLEAN_SHARED;
}

/** What is true from `first` to `last` from now on. */
function put(
  set: RangeSet,
  first: u64,
  last: u64,
  state: u8,
  directory: u8,
  owner: u8,
  flags: u8,
  sharers: u64,
): void {
  assert(first <= last && last <= PAGE_LAST, "a range ends before it begins");
  let from = rangeNumber(set, first);
  const here = rangeAt(set, from);
  // Pages after pages go from the beginning of one range to the end of the one before.
  if (from != 0 && here.first == first && here.last > last) {
    const before = rangeAt(set, from - 1);
    if (same(before, state, directory, owner, flags, sharers)) {
      before.last = last;
      here.first = last + 1;
      return;
    }
  }
  let to = here.last >= last ? from : rangeNumber(set, last);
  let left: u32 = 0;
  let right: u32 = 0;
  const before = rangeAt(set, from);
  if (before.first < first) {
    if (same(before, state, directory, owner, flags, sharers)) first = before.first;
    else left = 1;
  } else if (from > 0 && same(rangeAt(set, from - 1), state, directory, owner, flags, sharers)) {
    from--;
    first = rangeAt(set, from).first;
  }
  const behind = rangeAt(set, to);
  if (behind.last > last) {
    if (same(behind, state, directory, owner, flags, sharers)) last = behind.last;
    else right = 1;
  } else if (to + 1 < set.count && same(rangeAt(set, to + 1), state, directory, owner, flags, sharers)) {
    to++;
    last = rangeAt(set, to).last;
  }
  rangesEdits++;
  // left, the new one and right take the place of from..to.
  const rest = set.count - to - 1;
  const count = from + left + 1 + right + rest;
  assert(count <= set.capacity, "there is no room for a range");
  const cutLast = rangeAt(set, to).last;
  const cut = load<u64>(changetype<usize>(rangeAt(set, to)), offsetof<Range>("state"));
  const cutSharers = rangeAt(set, to).sharers;
  if (count != set.count) {
    memory.copy(
      changetype<usize>(rangeAt(set, from + left + 1 + right)),
      changetype<usize>(rangeAt(set, to + 1)),
      <usize>(rest * RANGE_BYTES),
    );
  }
  set.count = count;
  if (right != 0) {
    const piece = rangeAt(set, from + left + 1);
    piece.first = last + 1;
    piece.last = cutLast;
    store<u64>(changetype<usize>(piece), cut, offsetof<Range>("state"));
    piece.sharers = cutSharers;
  }
  if (left != 0) rangeAt(set, from).last = first - 1;
  const range = rangeAt(set, from + left);
  range.first = first;
  range.last = last;
  range.state = state;
  range.directory = directory;
  range.owner = owner;
  range.flags = flags;
  range.spare = 0;
  range.sharers = sharers;
}

/** This machine's right to all pages of the range that have no record. */
export function rangesPutState(set: RangeSet, first: u64, last: u64, state: u8): void {
  let at = first;
  while (at <= last) {
    const number = rangeNumber(set, at);
    const range = rangeAt(set, number);
    const end = min<u64>(range.last, last);
    if (range.state != state && !goesOver(set, number, at, end, state))
      put(set, at, end, state, range.directory, range.owner, range.flags, range.sharers);
    at = end + 1;
  }
}

/**
 * As rangesPutState(), where the pages go from the beginning of a range to the end of the one before, which takes no room. False: that is
 * not so, and nothing has happened.
 */
export function rangesGoOn(set: RangeSet, first: u64, last: u64, state: u8): bool {
  const number = rangeNumber(set, first);
  return rangeAt(set, number).last > last && goesOver(set, number, first, last, state);
}

/** As put() with the state alone, where pages go from the beginning of a range to the end of the one before. False: that is not so. */
function goesOver(set: RangeSet, number: u32, first: u64, last: u64, state: u8): bool {
  const range = rangeAt(set, number);
  if (number == 0 || range.first != first || range.last == last) return false;
  const before = rangeAt(set, number - 1);
  if (!same(before, state, range.directory, range.owner, range.flags, range.sharers)) return false;
  before.last = last;
  range.first = last + 1;
  return true;
}

/** At the home: a page gets a directory of its own. */
export function rangesCarve(set: RangeSet, index: u64): void {
  put(set, index, index, INVALID, UNUSED, 0, STORED, 0);
}

/** At the home: what the pages' records say, or would say, from now on is a range's. */
export function rangesMerge(
  set: RangeSet,
  first: u64,
  last: u64,
  state: u8,
  directory: u8,
  owner: u8,
  sharers: u64,
): void {
  put(set, first, last, state, directory, owner, STORED, sharers);
}

let wideFirst: u64 = 0;
let wideLast: u64 = 0;

/** At the home: `machine` has touched the page, which it was granted with a range that it gives up, and has it alone from now on. */
export function rangesKeep(set: RangeSet, index: u64, machine: u8): void {
  const range = rangeOf(set, index);
  if (range.directory != HELD || range.owner != machine) return;
  put(set, index, index, range.state, HELD, machine, STORED, 0);
}

/** At the home: may all of the range be granted to who asks for this page? rangesHold() does it then. */
export function rangesMayGrant(set: RangeSet, index: u64): bool {
  const range = rangeOf(set, index);
  if (range.directory != UNUSED || (range.flags & STORED) != 0) return false;
  if (set.recalling != 0 || set.narrow != 0 || index >= set.limit) return false;
  wideFirst = range.first;
  wideLast = min<u64>(range.last, set.limit - 1);
  return true;
}

/** What rangesMayGrant() found belongs to `owner`: from the result on, to rangesHeldLast(). */
export function rangesHold(set: RangeSet, owner: u8): u64 {
  const range = rangeOf(set, wideFirst);
  put(set, wideFirst, wideLast, range.state, HELD, owner, 0, 0);
  return wideFirst;
}
export function rangesHeldLast(): u64 {
  return wideLast;
}

/** At the home: `machine` holds nothing any more between these but what has records. `directory`: UNUSED, or LOST when it died. */
export function rangesReleased(set: RangeSet, machine: u8, first: u64, last: u64, directory: u8): void {
  let at = first;
  while (at <= last) {
    const range = rangeOf(set, at);
    const end = min<u64>(range.last, last);
    // What was granted page by page was not released with a range.
    const all = directory == LOST || (range.flags & STORED) == 0;
    if (range.directory == HELD && range.owner == machine && all) {
      put(set, at, end, INVALID, directory, 0, directory == LOST ? STORED : 0, 0);
    }
    at = end + 1;
  }
}

/** At the home, of a range that nobody holds: what was in these pages is lost. */
export function rangesLose(set: RangeSet, first: u64, last: u64): void {
  put(set, first, last, INVALID, LOST, 0, STORED, 0);
}

/** At the home: is anything lost that nobody has been told of? */
export function rangesLost(set: RangeSet): bool {
  for (let number: u32 = 0; number < set.count; number++)
    if (rangeAt(set, number).directory == LOST) return true;
  return false;
}

/** At the home: what is lost has been told, once for all of it. */
export function rangesFound(set: RangeSet): void {
  for (let at: u64 = 0; at <= PAGE_LAST; ) {
    const range = rangeOf(set, at);
    at = range.last + 1;
    if (range.directory == LOST) put(set, range.first, range.last, range.state, UNUSED, 0, range.flags, 0);
  }
}

/** At the home: a machine that died has no copies. */
export function rangesForgetSharer(set: RangeSet, machine: u32): void {
  const bit = (<u64>1) << (machine - 1);
  for (let at: u64 = 0; at <= PAGE_LAST; ) {
    const range = rangeOf(set, at);
    at = range.last + 1;
    if (range.directory != CLEAN_SHARED || (range.sharers & bit) == 0) continue;
    const sharers = range.sharers & ~bit;
    const directory = sharers == 0 ? UNUSED : CLEAN_SHARED;
    put(set, range.first, range.last, range.state, directory, 0, range.flags, sharers);
  }
}

/** At the home: the machines that were granted ranges of which some page is `first` or behind it. */
export function rangesHolders(set: RangeSet, first: u64): u64 {
  let holders: u64 = 0;
  for (let number = rangeNumber(set, first); number < set.count; number++) {
    const range = rangeAt(set, number);
    if (range.directory == HELD && (range.flags & STORED) == 0) holders |= (<u64>1) << (range.owner - 1);
  }
  return holders;
}

/** At the home: the first page from `index` on that some machine was granted alone and that has no record, or ~0. */
export function rangesUsed(set: RangeSet, index: u64): u64 {
  for (let number = rangeNumber(set, index); number < set.count; number++) {
    const range = rangeAt(set, number);
    if (isRecord(range) && (range.flags & STORED) != 0) return max<u64>(range.first, index);
  }
  return ~(<u64>0);
}
