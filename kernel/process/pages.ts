// The pages of a range: dropping, protecting and moving what the page tables hold (Intel SDM vol. 3A, 4.5).
//
// Invariant: a frame goes back to the allocator only after every core has dropped its translation. A page of a
// shared object leaves under `sharedLock`, shot down before the lock goes, and its dirty bit is told to the coherence engine:
// a revocation that looks for the page's mappings finds either the entry or a page that is truly gone.
import { pageUnmapped, SharedObject } from "../coherence/pager";
import { frameFree } from "../memory/frames";
import {
  entryOf,
  FRAME_MASK,
  NO_EXECUTE,
  PRESENT,
  setEntry,
  shootDown,
  tablesFor,
  takeEntries,
  USER,
  unmapPage,
  WRITABLE,
} from "../memory/paging";
import { AddressSpace, BATCH_PAGES, MapEntry, PAGE, PROT_EXEC, PROT_WRITE, sharedLock } from "./mapping";

const TABLE_SHIFT: u64 = 21; // what one page table maps
const DIRECTORY_SHIFT: u64 = 30; // what one page directory maps

/**
 * A private page of PROT_NONE: software's bit in an entry that is not present, so that neither the program nor a system call on its
 * behalf can read the page, which keeps its bytes.
 */
const HELD: u64 = 1 << 9;

/** The page-table flags of a protection. */
export function entryFlags(protection: u32): u64 {
  if (protection === 0) return HELD;
  let flags = PRESENT | USER;
  if (protection & PROT_WRITE) flags |= WRITABLE;
  if (!(protection & PROT_EXEC)) flags |= NO_EXECUTE;
  return flags;
}

/** The first page at or above `va` that may be mapped, by skipping absent tables; at most `end`. */
function skipHoles(tables: usize, va: u64, end: u64): u64 {
  while (va < end) {
    const directory = load<u64>(tables + (usize((va >> DIRECTORY_SHIFT) & 511) << 3));
    if (!(directory & PRESENT)) {
      va = ((va >> DIRECTORY_SHIFT) + 1) << DIRECTORY_SHIFT;
      continue;
    }
    const table = load<u64>(usize(directory & FRAME_MASK) + (usize((va >> TABLE_SHIFT) & 511) << 3));
    if (table & PRESENT) return va;
    va = ((va >> TABLE_SHIFT) + 1) << TABLE_SHIFT;
  }
  return end;
}

/** Takes every page of [start, end), which lies within `entry`, out of the page tables and gives it back. */
export function pagesDrop(map: AddressSpace, entry: MapEntry, start: u64, end: u64): void {
  let va = skipHoles(map.tables, start, end);
  while (va < end) {
    // A batch stays within one page table, so that what it covers is short enough to shoot down at once.
    const pages = min<u64>(u64(BATCH_PAGES) - ((va / PAGE) & u64(BATCH_PAGES - 1)), (end - va) / PAGE);
    if (entry.object) dropShared(map, entry, va, u32(pages));
    else dropPrivate(map, va, u32(pages));
    va = skipHoles(map.tables, va + pages * PAGE, end);
  }
}

function dropPrivate(map: AddressSpace, va: u64, pages: u32): void {
  let found: u32 = 0;
  for (let i: u32 = 0; i < pages; i++) {
    const old = unmapPage(map.tables, va + u64(i) * PAGE);
    if (old === 0) continue;
    store<u32>(map.batch + ((<usize>found) << 2), u32(old & FRAME_MASK));
    found++;
  }
  if (found === 0) return;
  shootDown(map.tables, va, pages);
  for (let i: u32 = 0; i < found; i++) frameFree(load<u32>(map.batch + ((<usize>i) << 2)));
  map.frames -= u64(found);
}

function dropShared(map: AddressSpace, entry: MapEntry, va: u64, pages: u32): void {
  sharedLock().acquire();
  takeEntries(map.tables, va, pages, map.batch);
  if (load<u64>(map.batch) !== 0) {
    shootDown(map.tables, va, pages);
    const object = changetype<SharedObject>(entry.object);
    const first = (entry.shown + (va - entry.start)) / PAGE;
    for (let bits = load<u64>(map.batch, 8); bits !== 0; bits &= bits - 1)
      pageUnmapped(object, first + ctz(bits));
  }
  sharedLock().release();
}

/** Brings the pages of [start, end) in line with a new protection of their private entry. */
export function pagesProtect(map: AddressSpace, start: u64, end: u64, protection: u32): void {
  const flags = entryFlags(protection);
  let va = skipHoles(map.tables, start, end);
  while (va < end) {
    const pages = min<u64>(u64(BATCH_PAGES) - ((va / PAGE) & u64(BATCH_PAGES - 1)), (end - va) / PAGE);
    let changed = false;
    for (let i: u64 = 0; i < pages; i++) {
      const old = entryOf(map.tables, va + i * PAGE);
      if (old === 0) continue;
      setEntry(map.tables, va + i * PAGE, (old & FRAME_MASK) | flags);
      changed = true;
    }
    if (changed) shootDown(map.tables, va, u32(pages));
    va = skipHoles(map.tables, va + pages * PAGE, end);
  }
}

/**
 * Takes the right to write from a page of a shared object that is mapped for reading only, after the pager has
 * installed it with all the right that the machine holds. What was written meanwhile stays marked dirty.
 */
export function pageReadOnly(map: AddressSpace, va: u64): void {
  sharedLock().acquire();
  const old = entryOf(map.tables, va);
  if (old & PRESENT && old & WRITABLE) {
    const taken = setEntry(map.tables, va, 0);
    if (taken & PRESENT) setEntry(map.tables, va, taken & ~WRITABLE);
    shootDown(map.tables, va, 1);
  }
  sharedLock().release();
}

/** Moves the private pages of [from, from + bytes) to the same offsets above `to`, whose range is empty. */
export function pagesMove(map: AddressSpace, from: u64, to: u64, bytes: u64): bool {
  const end = from + bytes;
  let va = skipHoles(map.tables, from, end);
  while (va < end) {
    const old = entryOf(map.tables, va);
    if (old !== 0) {
      // The new place first: without memory for its table everything is still where it was.
      const there = to + (va - from);
      if (!tablesFor(map.tables, there)) return false;
      setEntry(map.tables, there, old);
      unmapPage(map.tables, va);
      shootDown(map.tables, va, 1);
    }
    va = skipHoles(map.tables, va + PAGE, end);
  }
  return true;
}
