// XSAVE and its kin: x87, SSE and PKRU state in one area. Intel SDM vol. 1, chapter 13; AMD APM vol. 4, XSAVE.
//
//   area: 0 FXSAVE's image (fpu-state.ts) | 512 XSTATE_BV | 520 XCOMP_BV | 528 zeros | 576 PKRU, in either format
//
// Invariant: an area is checked whole before a register changes.

import {
  ACCESS_READ,
  ACCESS_WRITE,
  FCW,
  FDP,
  FIP,
  FOP,
  FSW,
  FTW,
  MXCSR,
  MXCSR_MASK,
  PKRU,
  ST,
  XCR0,
  XMM,
} from "../layout";
import { linear, probe, through } from "./access";
import {
  CR0_TS,
  CR4_OSXSAVE,
  cpl,
  cr0,
  cr4,
  faulted,
  GP,
  gpr,
  NM,
  RAX,
  RDX,
  raise,
  raisePlain,
  UD,
} from "./core";
import { fninit, put, restoreVectors, restoreX87, saveMxcsr, saveVectors, saveX87, take } from "./fpu-state";
import { serialize } from "./store-buffer";
import { retag } from "./tlb";

const X87: u64 = 1;
const SSE: u64 = 2;
const KEYS: u64 = 0x200;
const COMPONENTS: u64 = X87 | SSE | KEYS;
const COMPACTED_FORMAT: u64 = (1 as u64) << 63;

const STATE_AT: u64 = 512;
const FORMAT_AT: u64 = 520;
const HEADER_END: u64 = 576;
const KEYS_AT: u64 = 576; // also in CPUID leaf 0DH, subleaf 9
const AREA_BYTES: u32 = 584;

// `how` of xsave() and xrstor()
const WIDE: u64 = 1;
const OPTIMIZED: u64 = 2;
const COMPACTED: u64 = 4;

const MXCSR_RESET: u32 = 0x1f80;

function refuse(core: usize): u64 {
  raise(core, GP, 0);
  return 0;
}

/** The components that the instruction is about: XCR0 and EDX:EAX. */
function requested(core: usize): u64 {
  return load<u64>(core, XCR0) & ((gpr(core, RDX) << 32) | (gpr(core, RAX) & 0xffff_ffff));
}

/** The area's linear address, aligned and accessible; check faulted(). */
function areaAddress(core: usize, segment: u64, offset: u64, components: u64, access: u32): u64 {
  if ((cr4(core) & CR4_OSXSAVE) == 0) {
    raisePlain(core, UD);
    return 0;
  }
  if (cr0(core) & CR0_TS) {
    raisePlain(core, NM);
    return 0;
  }
  const bytes = components & KEYS ? AREA_BYTES : <u32>HEADER_END;
  const va = linear(core, segment, offset, bytes, access);
  if (faulted(core)) return 0;
  if (va & 63) return refuse(core);
  probe(core, va, bytes, through(segment, access));
  return va;
}

/** XINUSE: components that are not in their initial configuration (SDM 13.6). */
function inUse(core: usize): u64 {
  let used: u64 = 0;
  const words = load<u32>(core, FSW) | load<u32>(core, FTW) | load<u32>(core, FOP);
  if (load<u32>(core, FCW) != 0x37f || words != 0 || load<u64>(core, FIP) != 0 || load<u64>(core, FDP) != 0) {
    used |= X87;
  } else if (!isZero(core + ST, 8 * 16)) used |= X87;
  if (!isZero(core + XMM, 16 * 16)) used |= SSE;
  if (load<u32>(core, PKRU)) used |= KEYS;
  return used;
}

function isZero(at: usize, bytes: usize): bool {
  for (let i: usize = 0; i < bytes; i += 8) if (load<u64>(at + i)) return false;
  return true;
}

/** XSAVE, XSAVEOPT, XSAVEC, with REX.W or without; XSAVES as well, since IA32_XSS names no component. */
export function xsave(core: usize, segment: u64, offset: u64, how: u64): u64 {
  const wanted = requested(core);
  const va = areaAddress(core, segment, offset, wanted, ACCESS_WRITE);
  if (faulted(core)) return 0;
  let used = inUse(core);
  const compact = (how & COMPACTED) != 0;
  if (compact && load<u32>(core, MXCSR) != MXCSR_RESET) used |= SSE; // MXCSR goes with SSE there
  const saved = how & (OPTIMIZED | COMPACTED) ? wanted & used : wanted;
  if (saved & X87) saveX87(core, va, (how & WIDE) != 0);
  if (saved & SSE) saveVectors(core, va);
  if (compact ? saved & SSE : wanted & SSE) saveMxcsr(core, va);
  if (saved & KEYS) put(core, va + KEYS_AT, load<u32>(core, PKRU));
  if (compact) {
    put(core, va + STATE_AT, wanted & used);
    put(core, va + FORMAT_AT, wanted | COMPACTED_FORMAT);
  } else {
    put(core, va + STATE_AT, (take(core, va + STATE_AT) & ~wanted) | (wanted & used));
  }
  return 1;
}

/** XRSTOR: the area's own words say in which format it is. With COMPACTED, XRSTORS: it must be that one. */
export function xrstor(core: usize, segment: u64, offset: u64, how: u64): u64 {
  const wanted = requested(core);
  const va = areaAddress(core, segment, offset, wanted, ACCESS_READ);
  if (faulted(core)) return 0;
  const present = take(core, va + STATE_AT);
  const format = take(core, va + FORMAT_AT);
  const compact = (format & COMPACTED_FORMAT) != 0;
  if (!validHeader(core, va, present, format) || (how & COMPACTED && !compact)) return refuse(core);
  const control = <u32>take(core, va + 24);
  const loadsControl = wanted & SSE && (!compact || present & SSE);
  if (loadsControl && control & ~MXCSR_MASK) return refuse(core);
  if (wanted & X87) {
    if (present & X87) restoreX87(core, va, (how & WIDE) != 0);
    else initialX87(core);
  }
  if (wanted & SSE) {
    if (present & SSE) restoreVectors(core, va);
    else memory.fill(core + XMM, 0, 16 * 16);
    store<u32>(core, loadsControl ? control : MXCSR_RESET, MXCSR);
  }
  if (wanted & KEYS) setKeys(core, present & KEYS ? <u32>take(core, va + KEYS_AT) : 0);
  return 1;
}

/** SDM 13.8.1 and 13.8.2: reserved parts of the header. */
function validHeader(core: usize, va: u64, present: u64, format: u64): bool {
  const enabled = load<u64>(core, XCR0);
  if ((format & COMPACTED_FORMAT) == 0)
    return (present & ~enabled) == 0 && format == 0 && take(core, va + 528) == 0;
  if (format & ~(enabled | COMPACTED_FORMAT) || present & ~format) return false;
  for (let at: u64 = 528; at < HEADER_END; at += 8) if (take(core, va + at)) return false;
  return (present & COMPACTED_FORMAT) == 0;
}

function initialX87(core: usize): void {
  fninit(core);
  memory.fill(core + ST, 0, 8 * 16);
}

function setKeys(core: usize, rights: u32): void {
  const before = load<u32>(core, PKRU);
  store<u32>(core, rights, PKRU);
  if (before != rights) retag(core);
}

/** XGETBV: XCR0, or with ECX 1 those of its components that are in use. */
export function xgetbv(core: usize, index: u64): u64 {
  if ((cr4(core) & CR4_OSXSAVE) == 0) {
    raisePlain(core, UD);
    return 0;
  }
  if (<u32>index == 0) return load<u64>(core, XCR0);
  if (<u32>index == 1) return load<u64>(core, XCR0) & inUse(core);
  return refuse(core);
}

/** XSETBV: x87 cannot be left out, and nothing that CPUID does not promise may be named. */
export function xsetbv(core: usize, index: u64, high: u64, low: u64): u64 {
  if ((cr4(core) & CR4_OSXSAVE) == 0) {
    raisePlain(core, UD);
    return 0;
  }
  const value = (high << 32) | low;
  if (cpl(core) != 0 || <u32>index != 0) return refuse(core);
  if (value & ~COMPONENTS || (value & X87) == 0) return refuse(core);
  serialize(core);
  store<u64>(core, value, XCR0);
  return 1;
}
