// Control and debug registers, HLT and INVLPG. Intel SDM vol. 3A, 2.5 (control registers), 4.10.4.1 (what invalidates
// the TLB), vol. 3B, 18.2 (debug registers); vol. 2, MOV to and from control and debug registers.
//
// Invariant: a write is checked whole before any of it takes effect, and MODE and the TLB's tags follow at once.

import {
  ACTIVITY,
  CR0,
  CR2,
  CR3,
  CR4,
  CS,
  DR,
  EFER,
  FS,
  HALTED,
  MODE_64,
  MONITOR_ARMED,
  PDPTE,
  PKRU,
  SEG_BASE,
  SEGMENT_BYTES,
  SEGMENTS,
  TR,
} from "../layout";
import { PCID } from "./contexts";
import {
  ATTRIBUTE_LONG,
  attributesOf,
  baseOf,
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_FSGSBASE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_PVI,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  CR4_UMIP,
  CR4_VME,
  canonical,
  coreIndex,
  cpl,
  cr0,
  cr4,
  EFER_LMA,
  EFER_LME,
  efer,
  GP,
  mode,
  raise,
  raisePlain,
  UD,
  updateMode,
} from "./core";
import { guarded } from "./debug";
import { readTaskPriority, writeTaskPriority } from "./host";
import { DISARMED } from "./monitor";
import { gateA20, PHYSICAL_MASK, readEntry64 } from "./physical";
import { serialize } from "./store-buffer";
import {
  changeContext,
  debugChanged,
  flushContext,
  flushContexts,
  flushCurrent,
  flushLocal,
  flushPage,
  flushTlb,
  retag,
} from "./tlb";

const CR0_DEFINED: u64 =
  CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
/** Bits of features that CPUID does not promise are reserved: setting one is #GP(0). */
const CR4_DEFINED: u64 =
  CR4_VME |
  CR4_PVI |
  CR4_TSD |
  CR4_DE |
  CR4_PSE |
  CR4_PAE |
  CR4_MCE |
  CR4_PGE |
  CR4_PCE |
  CR4_OSFXSR |
  CR4_OSXMMEXCPT |
  CR4_UMIP |
  CR4_FSGSBASE |
  CR4_PCIDE |
  CR4_OSXSAVE |
  CR4_SMEP |
  CR4_SMAP |
  CR4_PKE;
/** Changing one of these leaves no translation behind (SDM vol. 3A, 4.10.4.1; AMD APM vol. 2, 5.5.3). */
const CR4_FLUSHES: u64 = CR4_PGE | CR4_PAE | CR4_PSE;
/** CR3 bit 63 in a write with CR4.PCIDE set: what the new process-context identifier left behind may stay. */
const CR3_KEEP: u64 = (1 as u64) << 63;

function refuse(core: usize): u64 {
  raise(core, GP, 0);
  return 0;
}

/** MOV from CR0, CR2, CR3, CR4 or CR8; #UD for the others. */
export function readControl(core: usize, number: u64): u64 {
  if (number == 0) return load<u64>(core, CR0);
  if (number == 2) return load<u64>(core, CR2);
  if (number == 3) return load<u64>(core, CR3);
  if (number == 4) return load<u64>(core, CR4);
  if (number == 8) return readTaskPriority(coreIndex(core)) & 15;
  raisePlain(core, UD);
  return 0;
}

/** MOV to a control register; value is zero-extended from the operand's 32 bits outside 64-bit mode. */
export function writeControl(core: usize, number: u64, value: u64): u64 {
  if (number != 8) serialize(core);
  if (number == 0) return writeCr0(core, value);
  if (number == 2) {
    store<u64>(core, value, CR2);
    return 1;
  }
  if (number == 3) return writeCr3(core, value);
  if (number == 4) return writeCr4(core, value);
  if (number == 8) {
    if (value > 15) return refuse(core);
    writeTaskPriority(coreIndex(core), <u32>value);
    return 1;
  }
  raisePlain(core, UD);
  return 0;
}

function writeCr0(core: usize, value: u64): u64 {
  const before = cr0(core);
  if (value >> 32) return refuse(core);
  if ((value & (CR0_PG | CR0_PE)) == CR0_PG) return refuse(core);
  if ((value & (CR0_NW | CR0_CD)) == CR0_NW) return refuse(core);
  const after = (value & CR0_DEFINED) | CR0_ET;
  const changed = before ^ after;
  const extended = efer(core);
  if (changed & CR0_PG) {
    if (after & CR0_PG && extended & EFER_LME) {
      // Into long mode: from a code segment that is not 64-bit already, with PAE and no 16-bit TSS.
      const narrowTask = ((attributesOf(core, TR) >> 8) & 13) == 1;
      if ((cr4(core) & CR4_PAE) == 0 || attributesOf(core, CS) & ATTRIBUTE_LONG || narrowTask)
        return refuse(core);
    }
    if ((after & CR0_PG) == 0 && (mode(core) & MODE_64 || cr4(core) & CR4_PCIDE)) return refuse(core);
  }
  const long = after & CR0_PG && extended & EFER_LME;
  if (after & CR0_PG && !long && cr4(core) & CR4_PAE && changed & (CR0_PG | CR0_CD | CR0_NW)) {
    if (!loadPointers(core, load<u64>(core, CR3))) return 0;
  }
  store<u64>(core, after, CR0);
  if (changed & CR0_PG) {
    store<u64>(core, long ? extended | EFER_LMA : extended & ~EFER_LMA, EFER);
    flushTlb(core);
  } else if (changed & after & CR0_WP) {
    retag(core);
  }
  updateMode(core);
  return 1;
}

export function writeCr3(core: usize, operand: u64): u64 {
  const contexts = (cr4(core) & CR4_PCIDE) != 0;
  const value = contexts ? operand & ~CR3_KEEP : operand;
  if (value & ~PHYSICAL_MASK) return refuse(core);
  if (contexts) {
    changeContext(core, value, (operand & CR3_KEEP) != 0);
    return 1;
  }
  const pae = (cr4(core) & CR4_PAE) != 0 && (efer(core) & EFER_LMA) == 0;
  if (pae && cr0(core) & CR0_PG && !loadPointers(core, value)) return 0;
  store<u64>(core, value, CR3);
  flushLocal(core);
  return 1;
}

function writeCr4(core: usize, value: u64): u64 {
  const before = cr4(core);
  const changed = before ^ value;
  if (value & ~CR4_DEFINED) return refuse(core);
  const long = (efer(core) & EFER_LMA) != 0;
  if (long && (value & CR4_PAE) == 0) return refuse(core);
  if (changed & value & CR4_PCIDE && (!long || load<u64>(core, CR3) & PCID)) return refuse(core);
  const reload = changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP);
  if (!long && cr0(core) & CR0_PG && value & CR4_PAE && reload) {
    if (!loadPointers(core, load<u64>(core, CR3))) return 0;
  }
  // What PCIDE finds when it is set belongs to PCID 000H; without it there are no other contexts.
  if (changed & CR4_FLUSHES || changed & before & CR4_PCIDE) flushTlb(core);
  else if (changed & value & CR4_SMEP) flushCurrent(core);
  store<u64>(core, value, CR4);
  if (changed & value & CR4_SMAP || changed & CR4_PKE) retag(core);
  return 1;
}

/** PAE paging's four page-directory-pointer registers (SDM 4.4.1): all are checked before one changes. */
function loadPointers(core: usize, cr3: u64): bool {
  const table = cr3 & 0xffff_ffe0;
  const reserved = ~PHYSICAL_MASK | 0x1e6;
  for (let i: u32 = 0; i < 4; i++) {
    const pointer = readEntry64(core, gateA20(table + i * 8));
    if (pointer & 1 && pointer & reserved) {
      raise(core, GP, 0);
      return false;
    }
  }
  for (let i: u32 = 0; i < 4; i++) {
    store<u64>(core + i * 8, readEntry64(core, gateA20(table + i * 8)), PDPTE);
  }
  return true;
}

/** LMSW: PE MP EM TS only, and PE cannot be cleared. */
export function loadStatusWord(core: usize, value: u64): u64 {
  serialize(core);
  const before = cr0(core);
  return writeCr0(core, (before & ~0xe) | (value & 0xf));
}

/** CLTS. */
export function clearTaskSwitched(core: usize): u64 {
  store<u64>(core, cr0(core) & ~CR0_TS, CR0);
  return 1;
}

/** HLT, after its privilege check: no instruction until an interrupt, NMI or reset. */
export function halt(core: usize): u64 {
  store<u32>(core, DISARMED, MONITOR_ARMED);
  store<u32>(core, HALTED, ACTIVITY);
  return 1;
}

/** INVLPG segment:offset: no limit or canonical fault. */
export function invalidate(core: usize, segment: u64, offset: u64): u64 {
  serialize(core);
  const index = <u32>segment;
  if (mode(core) & MODE_64) flushPage(core, index >= <u32>FS ? offset + baseOf(core, index) : offset);
  else flushPage(core, (baseOf(core, index) + offset) & 0xffff_ffff);
  return 1;
}

/** INVPCID, after its privilege check: type and descriptor. SDM vol. 2, INVPCID. */
export function invalidateContext(core: usize, type: u64, context: u64, va: u64): u64 {
  const pcid = context & PCID;
  if (type > 3 || context & ~PCID) return refuse(core);
  const enabled = (cr4(core) & CR4_PCIDE) != 0;
  if (type < 2 && pcid != 0 && !enabled) return refuse(core);
  if (type == 0 && !canonical(va)) return refuse(core);
  serialize(core);
  if (type == 2) flushTlb(core);
  else if (type == 3) flushContexts(core);
  else flushContext(core, pcid, va, type == 1);
  return 1;
}

// --- protection keys and segment bases: instructions that user code has, SDM vol. 2 ---

/** RDPKRU and, with `write`, WRPKRU; ECX and EDX must be zero. */
export function accessKeys(core: usize, write: u64, index: u64, high: u64, value: u64): u64 {
  if ((cr4(core) & CR4_PKE) == 0) {
    raisePlain(core, UD);
    return 0;
  }
  const before = load<u32>(core, PKRU);
  if (<u32>index != 0 || (write && <u32>high != 0)) return refuse(core);
  if (write) {
    store<u32>(core, <u32>value, PKRU);
    if (before != <u32>value) retag(core);
  }
  return before;
}

/** RDFSBASE, RDGSBASE. */
export function readSegmentBase(core: usize, segment: u64): u64 {
  return mayAccessBase(core) ? baseOf(core, <u32>segment) : 0;
}

/** WRFSBASE, WRGSBASE. */
export function writeSegmentBase(core: usize, segment: u64, value: u64): u64 {
  if (!mayAccessBase(core)) return 0;
  if (!canonical(value)) return refuse(core);
  store<u64>(core + <u32>segment * SEGMENT_BYTES, value, SEGMENTS + SEG_BASE);
  return 1;
}

function mayAccessBase(core: usize): bool {
  if (cr4(core) & CR4_FSGSBASE) return true;
  raisePlain(core, UD);
  return false;
}

// --- debug registers; what breakpoints do is in debug.ts ---

/**
 * Which one an instruction may access: DR4 and DR5 are DR6 and DR7 unless CR4.DE forbids them; from 8 on there are none.
 * -1 after a fault: that there is no such register comes before the privilege level, and that before general detect.
 */
function debugRegister(core: usize, number: u64): i32 {
  const alias = number == 4 || number == 5;
  if (number > 7 || (alias && (cr4(core) & CR4_DE) != 0)) {
    raisePlain(core, UD);
    return -1;
  }
  if (cpl(core) != 0) {
    raise(core, GP, 0);
    return -1;
  }
  if (guarded(core)) return -1;
  return alias ? <i32>number + 2 : <i32>number;
}

export function readDebug(core: usize, number: u64): u64 {
  const n = debugRegister(core, number);
  return n < 0 ? 0 : load<u64>(core + n * 8, DR);
}

export function writeDebug(core: usize, number: u64, value: u64): u64 {
  serialize(core);
  const n = debugRegister(core, number);
  if (n < 0) return 0;
  let kept = value;
  if (n >= 6) {
    if (value >> 32) return refuse(core);
    kept = n == 6 ? (value & 0xe00f) | 0xffff_0ff0 : (value & 0xffff_27ff) | 0x400;
  }
  store<u64>(core + n * 8, kept, DR);
  if (n != 6) debugChanged(core);
  return 1;
}
