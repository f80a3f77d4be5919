// Page tables (Intel SDM vol. 3A, 4.5). An address space is the page-directory-pointer table behind PML4 slot 0.

export const PRESENT: u64 = 1;
export const WRITABLE: u64 = 2;
export const USER: u64 = 4;
export const ACCESSED: u64 = 0x20;
export const DIRTY: u64 = 0x40;
export const NO_EXECUTE: u64 = 0x8000_0000_0000_0000;
/** The frame's address within an entry. */
export const FRAME_MASK: u64 = 0x000f_ffff_ffff_f000;
/** First address behind the user half. */
export const USER_END: u64 = 0x80_0000_0000;

export function spaceCreate(): usize {
  return 0;
}
/** Frees the tables, not the frames that they map. No core may run in it any more. */
export function spaceDestroy(space: usize): void {}
/** False: no memory for a table. The entry must have been clear. */
export function mapPage(space: usize, va: u64, frame: u64, flags: u64): bool {
  return false;
}
/** The old entry, 0 if none. No shoot-down. */
export function unmapPage(space: usize, va: u64): u64 {
  return 0;
}
export function entryOf(space: usize, va: u64): u64 {
  return 0;
}
/** Swaps the entry atomically; returns the old one. The table must exist (mapPage) unless entry is 0. No shoot-down. */
export function setEntry(space: usize, va: u64, entry: u64): u64 {
  return 0;
}
/** Makes sure that the tables for va exist, so that setEntry cannot fail. */
export function tablesFor(space: usize, va: u64): bool {
  return false;
}
/** Returns when no core holds a translation of these pages. May be called in a critical section. */
export function shootDown(space: usize, va: u64, pages: u32): void {}
/** The calling thread runs in this space from now on. */
export function useSpace(space: usize): void {}
/** Makes device registers reachable by the mmio functions (they are below 4 GiB already). */
export function mapDevice(physical: u64, bytes: u64): void {}
