// Loading segment registers, LDTR and TR, and the instructions that ask about descriptors. Intel SDM vol. 2: MOV,
// LLDT, LTR, LAR, LSL, VERR, VERW; vol. 3A, chapter 5.

import {
  ACCESS_WRITE,
  DS,
  ES,
  FS,
  GDTR_BASE,
  GDTR_LIMIT,
  GS,
  IDTR_BASE,
  IDTR_LIMIT,
  LDTR,
  MODE_64,
  MODE_LONG,
  MODE_PROTECTED,
  MODE_V86,
  SS,
  TR,
} from "../layout";
import { aligned, linear, probe, storeLinear, through } from "./access";
import {
  ATTRIBUTE_CODE,
  ATTRIBUTE_EXPAND_DOWN,
  ATTRIBUTE_PRESENT,
  attributesOf,
  baseOf,
  CR4_UMIP,
  canonical,
  cpl,
  cr4,
  DPL_SHIFT,
  faulted,
  GP,
  limitOf,
  mode,
  NP,
  raise,
  STACK_FAULT,
  selectorOf,
  setSegment,
  updateMode,
} from "./core";
import * as descriptor from "./descriptors";
import { trim } from "./physical";
import { serialize } from "./store-buffer";

/** What every segment register holds in virtual-8086 mode: writable data, accessed, present, DPL 3, 64 KiB. */
export const VIRTUAL_ATTRIBUTES: u32 = 0xf300;
/** After reset, and for a register that real mode loads while it is unusable. */
export const REAL_ATTRIBUTES: u32 = 0x9300;

/** MOV, POP, LDS ... to ES, SS, DS, FS or GS. 0 after a fault, else 1. */
export function loadSegment(core: usize, register: u64, value: u64): u64 {
  const index = <u32>register;
  const selector = <u32>value & 0xffff;
  const m = mode(core);
  let done: bool;
  if ((m & MODE_PROTECTED) == 0) done = loadUnprotected(core, index, selector);
  else if (index == SS) done = loadStackSegment(core, selector);
  else done = loadDataSegment(core, index, selector);
  if (done && index == SS) updateMode(core);
  return u64(done);
}

/** Real and virtual-8086 mode: base is the selector times 16; real mode keeps a limit set in protected mode. */
export function loadUnprotected(core: usize, index: u32, selector: u32): bool {
  let attributes = attributesOf(core, index);
  let limit = limitOf(core, index);
  if (mode(core) & MODE_V86) {
    attributes = VIRTUAL_ATTRIBUTES;
    limit = 0xffff;
  } else if ((attributes & ATTRIBUTE_PRESENT) == 0) {
    attributes = REAL_ATTRIBUTES;
    limit = 0xffff;
  }
  setSegment(core, index, selector, attributes, (<u64>selector) << 4, limit);
  return true;
}

/** A segment register of virtual-8086 mode. */
export function setVirtual(core: usize, index: u32, selector: u32): void {
  setSegment(core, index, selector, VIRTUAL_ATTRIBUTES, (<u64>selector) << 4, 0xffff);
}

function loadStackSegment(core: usize, selector: u32): bool {
  const level = cpl(core);
  if (descriptor.isNull(selector)) {
    if ((mode(core) & MODE_64) == 0 || level == 3 || (selector & 3) != level) return refuse(core, GP, 0);
    setSegment(core, SS, selector, 0, 0, 0);
    return true;
  }
  const name = selector & 0xfffc;
  if (!descriptor.fetch(core, selector, GP, 0)) return false;
  if ((selector & 3) != level || !descriptor.isWritableData() || descriptor.dpl() != level) {
    return refuse(core, GP, name);
  }
  if (!descriptor.present()) return refuse(core, STACK_FAULT, name);
  return install(core, SS, selector);
}

function loadDataSegment(core: usize, index: u32, selector: u32): bool {
  if (descriptor.isNull(selector)) {
    setSegment(core, index, selector, 0, 0, 0);
    return true;
  }
  const name = selector & 0xfffc;
  if (!descriptor.fetch(core, selector, GP, 0)) return false;
  if (!descriptor.isReadable()) return refuse(core, GP, name);
  const conforming = descriptor.isCode() && descriptor.isConforming();
  const level = max(selector & 3, cpl(core));
  if (!conforming && level > descriptor.dpl()) return refuse(core, GP, name);
  if (!descriptor.present()) return refuse(core, NP, name);
  return install(core, index, selector);
}

function refuse(core: usize, vector: u32, error: u32): bool {
  raise(core, vector, error);
  return false;
}

/** The descriptor fetched last becomes the register's cached one. False after a page fault. */
export function install(core: usize, index: u32, selector: u32): bool {
  if (!descriptor.markAccessed(core)) return false;
  setSegment(core, index, selector, descriptor.attributes(), descriptor.base(), descriptor.limit());
  return true;
}

/**
 * A return to an outer level takes data segments away that this level may not use, and of null selectors the RPL: 1 to 3
 * become 0 (SDM vol. 2, IRET). Bases stay, as on AMD's processors.
 */
export function dropInnerSegments(core: usize): void {
  dropInner(core, ES);
  dropInner(core, FS);
  dropInner(core, GS);
  dropInner(core, DS);
}

function dropInner(core: usize, index: u32): void {
  const attributes = attributesOf(core, index);
  if (attributes & ATTRIBUTE_PRESENT) {
    const conforming = ATTRIBUTE_CODE | ATTRIBUTE_EXPAND_DOWN;
    if ((attributes & conforming) == conforming) return;
    if (((attributes >> DPL_SHIFT) & 3) >= cpl(core)) return;
  }
  setSegment(core, index, 0, 0, baseOf(core, index), 0);
}

// --- LDTR and TR ---

/** LLDT. */
export function loadLdtr(core: usize, value: u64): u64 {
  serialize(core);
  const selector = <u32>value & 0xffff;
  if (descriptor.isNull(selector)) {
    setSegment(core, LDTR, selector, 0, 0, 0);
    return 1;
  }
  const base = systemBase(core, selector, descriptor.TYPE_LDT, descriptor.TYPE_LDT);
  if (faulted(core)) return 0;
  setSegment(core, LDTR, selector, descriptor.attributes(), base, descriptor.limit());
  return 1;
}

/** LTR: an available TSS, which becomes busy. */
export function loadTr(core: usize, value: u64): u64 {
  serialize(core);
  const selector = <u32>value & 0xffff;
  if (descriptor.isNull(selector)) {
    raise(core, GP, 0);
    return 0;
  }
  const narrow = mode(core) & MODE_LONG ? descriptor.TYPE_TSS : descriptor.TYPE_TSS16;
  const base = systemBase(core, selector, descriptor.TYPE_TSS, narrow);
  if (faulted(core)) return 0;
  if (!descriptor.markBusy(core)) return 0;
  setSegment(core, TR, selector, descriptor.attributes(), base, descriptor.limit());
  return 1;
}

/** Fetches and checks a system descriptor of one of two types; its base (64 bits in long mode). Check faulted(). */
function systemBase(core: usize, selector: u32, type: u32, otherType: u32): u64 {
  const name = selector & 0xfffc;
  if (selector & 4) {
    raise(core, GP, name);
    return 0;
  }
  if (!descriptor.fetch(core, selector, GP, 0)) return 0;
  if (descriptor.type() != type && descriptor.type() != otherType) {
    raise(core, GP, name);
    return 0;
  }
  if (!descriptor.present()) {
    raise(core, NP, name);
    return 0;
  }
  if ((mode(core) & MODE_LONG) == 0) return descriptor.base();
  const upper = descriptor.findUpper(core, selector);
  if (faulted(core)) return 0;
  const base = descriptor.base() | (upper << 32);
  if (descriptor.beyond || (upper & 0x1f00_0000_0000) != 0 || !canonical(base)) {
    raise(core, GP, name);
    return 0;
  }
  return base;
}

// --- questions about descriptors: bit 63 of the answer says that the selector passed (ZF) ---

const PASSED: u64 = (1 as u64) << 63;

/** Finds the descriptor that LAR, LSL, VERR or VERW may look at: visible at CPL and RPL unless it is conforming code. */
function visible(core: usize, selector: u32): bool {
  if (descriptor.isNull(selector) || !descriptor.find(core, selector)) return false;
  if (descriptor.isCode() && descriptor.isConforming()) return true;
  return max(selector & 3, cpl(core)) <= descriptor.dpl();
}

/** LAR: the high dword under 00FxFF00, for code, data, and the system types that the mode has. */
export function lar(core: usize, value: u64): u64 {
  if (!visible(core, <u32>value & 0xffff)) return 0;
  const type = descriptor.type();
  const long = (mode(core) & MODE_LONG) != 0;
  let valid = type > 15 || type == descriptor.TYPE_LDT || type == descriptor.TYPE_TSS;
  valid = valid || type == descriptor.TYPE_TSS_BUSY || type == descriptor.TYPE_CALL_GATE;
  valid = valid || (!long && type >= descriptor.TYPE_TSS16 && type <= descriptor.TYPE_TASK_GATE);
  return valid ? PASSED | (descriptor.high & 0x00ff_ff00) : 0;
}

/** LSL: the limit in bytes, for code, data, LDT and TSS. */
export function lsl(core: usize, value: u64): u64 {
  if (!visible(core, <u32>value & 0xffff)) return 0;
  const type = descriptor.type();
  const long = (mode(core) & MODE_LONG) != 0;
  let valid = type > 15 || type == descriptor.TYPE_LDT || type == descriptor.TYPE_TSS;
  valid = valid || type == descriptor.TYPE_TSS_BUSY;
  valid = valid || (!long && (type == descriptor.TYPE_TSS16 || type == descriptor.TYPE_TSS16_BUSY));
  return valid ? PASSED | descriptor.limit() : 0;
}

/** VERR: could the segment be read? */
export function verr(core: usize, value: u64): u64 {
  return visible(core, <u32>value & 0xffff) && descriptor.isReadable() ? PASSED : 0;
}

/** VERW: could it be written? */
export function verw(core: usize, value: u64): u64 {
  return visible(core, <u32>value & 0xffff) && descriptor.isWritableData() ? PASSED : 0;
}

// --- what SGDT, SIDT, SLDT, STR, SMSW and MOV from a segment register read ---

/** UMIP keeps user code from reading where the tables are: #GP(0). 0 after that fault, else 1. */
export function checkUserMode(core: usize): u64 {
  if ((cr4(core) & CR4_UMIP) == 0 || cpl(core) == 0) return 1;
  raise(core, GP, 0);
  return 0;
}

/** A segment register's selector, by its index (ES ... TR). */
export function readSelector(core: usize, register: u64): u64 {
  return selectorOf(core, <u32>register);
}

/** SGDT (interrupts 0), SIDT (1): the limit and a base of 32 bits, or 64 in 64-bit mode, at segment:offset. */
export function storeTable(core: usize, segment: u64, offset: u64, interrupts: u64): u64 {
  if (!checkUserMode(core)) return 0;
  const wide = (mode(core) & MODE_64) != 0;
  const bytes: u32 = wide ? 10 : 6;
  const va = linear(core, segment, offset, bytes, ACCESS_WRITE);
  const write = through(segment, ACCESS_WRITE);
  if (faulted(core) || !aligned(core, va, 2, write)) return 0;
  if (!aligned(core, va + 2, wide ? 8 : 4, write) || !probe(core, va, bytes, write)) return 0;
  const base = load<u64>(core + (interrupts ? IDTR_BASE : GDTR_BASE));
  const limit = load<u32>(core + (interrupts ? IDTR_LIMIT : GDTR_LIMIT));
  storeLinear(core, va, 2, limit, 0);
  storeLinear(core, wide ? va + 2 : (va + 2) & 0xffff_ffff, wide ? 8 : 4, trim(base, wide ? 8 : 4), 0);
  return 1;
}

/** LGDT, LIDT; a non-canonical base is #GP(0) in 64-bit mode. */
export function loadGdtr(core: usize, base: u64, limit: u64): u64 {
  return loadTable(core, GDTR_BASE, base, limit);
}
export function loadIdtr(core: usize, base: u64, limit: u64): u64 {
  return loadTable(core, IDTR_BASE, base, limit);
}

function loadTable(core: usize, register: u32, base: u64, limit: u64): u64 {
  serialize(core);
  if (!canonical(base)) {
    raise(core, GP, 0);
    return 0;
  }
  store<u64>(core + register, base);
  store<u32>(core + register, <u32>limit & 0xffff, GDTR_LIMIT - GDTR_BASE);
  return 1;
}
