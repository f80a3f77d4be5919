// A walk of the page tables: 32-bit paging (with PSE and PSE-36), PAE and 4-level paging; pages of 4 KiB, 2 MiB, 4 MiB
// and 1 GiB. Intel SDM vol. 3A, chapter 4; AMD APM vol. 2, chapter 5.
//
// Accessed bits are set by an access that the tables grant, not by one that ends in a page fault: that one has used no
// entry for a translation (SDM 4.8; processors differ in this). So translation.ts walks first without marking, and again
// with it where an upper entry has its bit clear; the last entry is its own work.
// Invariant: an upper entry is marked by compare-and-exchange, and only by a walk that marks.

import { CR3, MODE_LONG, PDPTE } from "../layout";
import { CR4_PSE, cr4, EFER_NXE, efer, mode } from "./core";
import { gateA20, PHYSICAL_MASK, readEntry32, readEntry64, updateEntry32, updateEntry64 } from "./physical";
import { PAGE_OFFSET } from "./tlb";

// Page-table entries:  63 NX | 62..59 protection key, in the last | 58..52 ignored | 51..12 address | 8 G | 7 PS/PAT | 6 D | 5 A | 2 U/S | 1 R/W | 0 P
const P: u64 = 1;
export const RW: u64 = 2;
export const US: u64 = 4;
export const A: u64 = 0x20;
export const D: u64 = 0x40;
const PS: u64 = 0x80;
export const G: u64 = 0x100;
export const NX: u64 = 0x8000_0000_0000_0000;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/** Address bits beyond what the processor drives. */
const BEYOND: u64 = ADDRESS & ~PHYSICAL_MASK;

// --- one walk's results; a core's microcode runs to its end, so globals serve as registers ---
/** NOT_PRESENT, RESERVED, CHANGED (an entry was written under the walk) or FOUND. */
export let outcome: u32 = 0;
const FOUND: u32 = 0;
export const NOT_PRESENT: u32 = 1;
export const RESERVED: u32 = 2;
export const CHANGED: u32 = 3;
export let leaf: u64 = 0; // the last entry, and where it lies
export let leafAddress: u64 = 0;
export let physicalPage: u64 = 0;
export let rights: u64 = 0; // RW and US as all levels grant them; NX when one level forbids execution
export let sizeLog2: u32 = 0;
export let unmarked: bool = false; // an upper entry's accessed bit is clear

/** An upper entry is used: false where it was written under a walk that marks. */
function used64(core: usize, address: u64, entry: u64, marks: bool): bool {
  if ((entry & A) != 0) return true;
  if (marks) return updateEntry64(core, address, entry, A);
  unmarked = true;
  return true;
}

/** 4-level and PAE paging: entries of 8 bytes, 512 a table; PAE starts from a register and never has NX above. */
export function walk64(core: usize, va: u64, marks: bool): void {
  unmarked = false;
  const long = (mode(core) & MODE_LONG) != 0;
  const noExecute = (efer(core) & EFER_NXE) != 0;
  let reserved = BEYOND;
  if (!noExecute) reserved |= NX;
  let level: u32;
  let table: u64;
  rights = RW | US;
  if (long) {
    level = 4;
    table = load<u64>(core, CR3) & ADDRESS;
  } else {
    reserved |= 0x7ff0_0000_0000_0000; // outside long mode bits 62..52 are reserved as well
    const pointer = load<u64>(core + (<u32>(va >> 30) & 3) * 8, PDPTE);
    if ((pointer & P) == 0) {
      outcome = NOT_PRESENT;
      return;
    }
    level = 2;
    table = pointer & ADDRESS;
  }
  while (true) {
    const shift = 12 + 9 * (level - 1);
    const address = gateA20((table & PHYSICAL_MASK) | (((va >> shift) & 511) << 3));
    const e = readEntry64(core, address);
    if ((e & P) == 0) {
      outcome = NOT_PRESENT;
      return;
    }
    const last = level == 1 || ((e & PS) != 0 && level < 4);
    // A large page's address is aligned to its size: bits between PAT (12) and there are reserved. No PS in a PML4E.
    let wrong = e & reserved;
    if (last && level > 1) wrong |= e & (((1 as u64) << shift) - 1) & ~(0x1fff as u64);
    // AMD APM vol. 2, figure 5-20: bits 8 and 7 of a PML4E must be zero. Lower entries that name a table ignore bit 8.
    if (level == 4) wrong |= e & (PS | G);
    if (wrong) {
      outcome = RESERVED;
      return;
    }
    rights = (rights & (e | NX)) | (e & NX);
    if (last) {
      found(
        e,
        address,
        (e & ADDRESS & ~(((1 as u64) << shift) - 1)) | (va & (((1 as u64) << shift) - 1)),
        shift,
      );
      return;
    }
    if (!used64(core, address, e, marks)) {
      outcome = CHANGED;
      return;
    }
    table = e & ADDRESS;
    level--;
  }
}

/** 32-bit paging: two levels of 1024 entries of 4 bytes; with CR4.PSE a directory entry may map 4 MiB (PSE-36). */
export function walk32(core: usize, va: u64, marks: bool): void {
  unmarked = false;
  const top = gateA20((load<u64>(core, CR3) & 0xffff_f000) | (((va >> 22) & 1023) << 2));
  const e = readEntry32(core, top);
  if ((e & P) == 0) {
    outcome = NOT_PRESENT;
    return;
  }
  rights = e & (RW | US);
  if ((e & PS) != 0 && (cr4(core) & CR4_PSE) != 0) {
    // Bits 20..13 hold address bits 39..32; bit 21 is reserved.
    if (e & 0x20_0000) {
      outcome = RESERVED;
      return;
    }
    found(e, top, (e & 0xffc0_0000) | (((e >> 13) & 0xff) << 32) | (va & 0x3f_ffff), 22);
    return;
  }
  if ((e & A) == 0) {
    if (!marks) unmarked = true;
    else if (!updateEntry32(core, top, e, A)) {
      outcome = CHANGED;
      return;
    }
  }
  const address = gateA20((e & 0xffff_f000) | (((va >> 12) & 1023) << 2));
  const p = readEntry32(core, address);
  if ((p & P) == 0) {
    outcome = NOT_PRESENT;
    return;
  }
  rights &= p;
  found(p, address, p & 0xffff_f000, 12);
}

function found(entry: u64, address: u64, physical: u64, shift: u32): void {
  outcome = FOUND;
  leaf = entry;
  leafAddress = address;
  physicalPage = gateA20(physical & PHYSICAL_MASK & ~PAGE_OFFSET);
  sizeLog2 = shift;
}
