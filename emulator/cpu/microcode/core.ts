// The core block, named: general registers, flags, segment registers, the pending fault. Everything else in the
// microcode reads and writes architectural state through these. Intel SDM vol. 1, chapter 3.
// Invariant: MODE always agrees with CR0, EFER.LMA, RFLAGS.VM and the cached CS and SS descriptors.

import {
  CORE_INDEX,
  CPL,
  CR0,
  CR4,
  CS,
  EFER,
  FAULT_ERROR,
  FAULT_HAS_ERROR,
  FAULT_VECTOR,
  FLAGS_CARRIES,
  FLAGS_OTHER,
  FLAGS_RESULT,
  GPR,
  MODE,
  MODE_64,
  MODE_CODE32,
  MODE_LONG,
  MODE_PAGING,
  MODE_PROTECTED,
  MODE_STACK32,
  MODE_V86,
  PERF_FILTERS,
  SEG_ATTRIBUTES,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEGMENT_BYTES,
  SEGMENTS,
  SS,
} from "../layout";
import { levelChanged } from "./performance";

// --- exceptions ---
export const DE: u32 = 0;
export const DB: u32 = 1;
export const NMI: u32 = 2;
export const BP: u32 = 3;
export const OF: u32 = 4;
export const BR: u32 = 5;
export const UD: u32 = 6;
export const NM: u32 = 7;
export const DF: u32 = 8;
export const TS: u32 = 10;
export const NP: u32 = 11;
export const STACK_FAULT: u32 = 12;
export const GP: u32 = 13;
export const PF: u32 = 14;
export const MF: u32 = 16;
export const AC: u32 = 17;

/** Raises an exception with an error code. Nothing else of the instruction may be committed after it. */
export function raise(core: usize, vector: u32, error: u32): void {
  store<u32>(core, vector, FAULT_VECTOR);
  store<u32>(core, error, FAULT_ERROR);
  store<u32>(core, 1, FAULT_HAS_ERROR);
}

/** Raises an exception that has no error code. */
export function raisePlain(core: usize, vector: u32): void {
  store<u32>(core, vector, FAULT_VECTOR);
  store<u32>(core, 0, FAULT_ERROR);
  store<u32>(core, 0, FAULT_HAS_ERROR);
}

export function faulted(core: usize): bool {
  return load<i32>(core, FAULT_VECTOR) >= 0;
}

/** Holds in shipped code: a broken invariant of the emulator stops it at once. */
export function must(condition: bool): void {
  if (!condition) unreachable();
}

// --- general registers ---
export const RAX: u32 = 0;
export const RCX: u32 = 1;
export const RDX: u32 = 2;
export const RBX: u32 = 3;
export const RSP: u32 = 4;
export const RBP: u32 = 5;

export function gpr(core: usize, register: u32): u64 {
  return load<u64>(core + (register << 3), GPR);
}

export function setGpr(core: usize, register: u32, value: u64): void {
  store<u64>(core + (register << 3), value, GPR);
}

export function coreIndex(core: usize): u32 {
  return load<u32>(core, CORE_INDEX);
}

export function cpl(core: usize): u32 {
  return load<u32>(core, CPL);
}

export function mode(core: usize): u32 {
  return load<u32>(core, MODE);
}

// --- RFLAGS ---
export const FLAG_CF: u64 = 1;
export const FLAG_FIXED: u64 = 2;
export const FLAG_PF: u64 = 4;
export const FLAG_AF: u64 = 0x10;
export const FLAG_ZF: u64 = 0x40;
export const FLAG_SF: u64 = 0x80;
export const FLAG_TF: u64 = 0x100;
export const FLAG_IF: u64 = 0x200;
export const FLAG_DF: u64 = 0x400;
export const FLAG_OF: u64 = 0x800;
export const FLAG_IOPL: u64 = 0x3000;
export const FLAG_NT: u64 = 0x4000;
export const FLAG_RF: u64 = 0x1_0000;
export const FLAG_VM: u64 = 0x2_0000;
export const FLAG_AC: u64 = 0x4_0000;
export const FLAG_VIF: u64 = 0x8_0000;
export const FLAG_VIP: u64 = 0x10_0000;
export const FLAG_ID: u64 = 0x20_0000;
const ARITHMETIC: u64 = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF;
/** Every bit that RFLAGS has; the others read as zero. */
export const FLAGS_ALL: u64 = 0x3f_7fd5 | FLAG_FIXED;

export function rflags(core: usize): u64 {
  const result = load<u64>(core, FLAGS_RESULT);
  const carries = load<u64>(core, FLAGS_CARRIES);
  let flags = load<u64>(core, FLAGS_OTHER) | (carries >> 63);
  flags |= ((carries >> 3) & 1) << 4;
  flags |= u64(result == 0) << 6;
  flags |= ((result >> 63) ^ (carries & 1)) << 7;
  flags |= ((carries >> 63) ^ ((carries >> 62) & 1)) << 11;
  flags |= ((popcnt(result & 0xff) & 1) ^ 1 ^ ((carries >> 1) & 1)) << 2;
  return flags;
}

/** Writes all of RFLAGS. A change of VM needs updateMode() after it. */
export function setRflags(core: usize, flags: u64): void {
  const zero = (flags >> 6) & 1;
  const carry = flags & 1;
  const overflow = (flags >> 11) & 1;
  // RESULT 0 says ZF and, unless inverted, PF; RESULT 1 neither. Both have sign 0.
  store<u64>(core, zero ^ 1, FLAGS_RESULT);
  const parity = ((flags >> 2) & 1) ^ zero;
  store<u64>(
    core,
    (carry << 63) |
      ((carry ^ overflow) << 62) |
      (((flags >> 4) & 1) << 3) |
      (parity << 1) |
      ((flags >> 7) & 1),
    FLAGS_CARRIES,
  );
  store<u64>(core, (flags & FLAGS_ALL & ~ARITHMETIC) | FLAG_FIXED, FLAGS_OTHER);
}

/** Flags outside the six arithmetic ones, without putting those together. */
export function otherFlags(core: usize): u64 {
  return load<u64>(core, FLAGS_OTHER);
}

export function iopl(core: usize): u32 {
  return <u32>(load<u64>(core, FLAGS_OTHER) >> 12) & 3;
}

// --- segment registers ---
// Attributes are bits 8..23 of a descriptor's high dword, without the limit bits 16..19.
export const ATTRIBUTES_MASK: u32 = 0x00f0_ff00;
export const ATTRIBUTE_ACCESSED: u32 = 0x100;
export const ATTRIBUTE_WRITABLE: u32 = 0x200; // data; in code: readable
export const ATTRIBUTE_EXPAND_DOWN: u32 = 0x400; // data; in code: conforming
export const ATTRIBUTE_CODE: u32 = 0x800;
export const ATTRIBUTE_S: u32 = 0x1000; // code or data, not a system descriptor
export const ATTRIBUTE_PRESENT: u32 = 0x8000;
export const ATTRIBUTE_LONG: u32 = 0x20_0000;
export const ATTRIBUTE_BIG: u32 = 0x40_0000;
export const ATTRIBUTE_PAGES: u32 = 0x80_0000;
export const DPL_SHIFT: u32 = 13;

export function segment(core: usize, index: u32): usize {
  return core + SEGMENTS + index * SEGMENT_BYTES;
}

export function selectorOf(core: usize, index: u32): u32 {
  return load<u32>(segment(core, index), SEG_SELECTOR);
}

export function attributesOf(core: usize, index: u32): u32 {
  return load<u32>(segment(core, index), SEG_ATTRIBUTES);
}

export function baseOf(core: usize, index: u32): u64 {
  return load<u64>(segment(core, index), SEG_BASE);
}

export function limitOf(core: usize, index: u32): u32 {
  return load<u32>(segment(core, index), SEG_LIMIT);
}

export function setSegment(
  core: usize,
  index: u32,
  selector: u32,
  attributes: u32,
  base: u64,
  limit: u32,
): void {
  const s = segment(core, index);
  store<u32>(s, selector, SEG_SELECTOR);
  store<u32>(s, attributes, SEG_ATTRIBUTES);
  store<u64>(s, base, SEG_BASE);
  store<u32>(s, limit, SEG_LIMIT);
}

// --- control registers ---
export const CR0_PE: u64 = 1;
export const CR0_MP: u64 = 2;
export const CR0_EM: u64 = 4;
export const CR0_TS: u64 = 8;
export const CR0_ET: u64 = 0x10;
export const CR0_NE: u64 = 0x20;
export const CR0_WP: u64 = 0x1_0000;
export const CR0_AM: u64 = 0x4_0000;
export const CR0_NW: u64 = 0x2000_0000;
export const CR0_CD: u64 = 0x4000_0000;
export const CR0_PG: u64 = 0x8000_0000;

export const CR4_VME: u64 = 1;
export const CR4_PVI: u64 = 2;
export const CR4_TSD: u64 = 4;
export const CR4_DE: u64 = 8;
export const CR4_PSE: u64 = 0x10;
export const CR4_PAE: u64 = 0x20;
export const CR4_MCE: u64 = 0x40;
export const CR4_PGE: u64 = 0x80;
export const CR4_PCE: u64 = 0x100;
export const CR4_OSFXSR: u64 = 0x200;
export const CR4_OSXMMEXCPT: u64 = 0x400;
export const CR4_UMIP: u64 = 0x800;
export const CR4_FSGSBASE: u64 = 0x1_0000;
export const CR4_PCIDE: u64 = 0x2_0000;
export const CR4_OSXSAVE: u64 = 0x4_0000;
export const CR4_SMEP: u64 = 0x10_0000;
export const CR4_SMAP: u64 = 0x20_0000;
export const CR4_PKE: u64 = 0x40_0000;

export const EFER_SCE: u64 = 1;
export const EFER_LME: u64 = 0x100;
export const EFER_LMA: u64 = 0x400;
export const EFER_NXE: u64 = 0x800;
/** Automatic IBRS: restrains a speculation that does not take place. */
export const EFER_AIBRSE: u64 = 0x20_0000;

export function cr0(core: usize): u64 {
  return load<u64>(core, CR0);
}

export function cr4(core: usize): u64 {
  return load<u64>(core, CR4);
}

export function efer(core: usize): u64 {
  return load<u64>(core, EFER);
}

/** Bits 63..48 copies of bit 47: any other address is non-canonical. */
export function canonical(va: u64): bool {
  return <u64>(<i64>(va << 16) >> 16) == va;
}

/** Recomputes MODE; called wherever CR0, EFER.LMA, RFLAGS.VM, CS or SS may have changed. */
export function updateMode(core: usize): void {
  const control = cr0(core);
  const code = attributesOf(core, CS);
  let m: u32 = 0;
  if (control & CR0_PG) m |= MODE_PAGING;
  if (control & CR0_PE) m |= (otherFlags(core) & FLAG_VM) != 0 ? MODE_V86 : MODE_PROTECTED;
  if (efer(core) & EFER_LMA) m |= MODE_LONG;
  if (m & MODE_LONG && code & ATTRIBUTE_LONG) {
    m |= MODE_64;
  } else {
    if (code & ATTRIBUTE_BIG) m |= MODE_CODE32;
    if (attributesOf(core, SS) & ATTRIBUTE_BIG) m |= MODE_STACK32;
  }
  store<u32>(core, m, MODE);
  if (load<u32>(core, PERF_FILTERS)) levelChanged(core);
}
