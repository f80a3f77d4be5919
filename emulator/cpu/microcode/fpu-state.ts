// The x87 and SSE state as a whole: FXSAVE, FXRSTOR, FNINIT, control and status words. Intel SDM vol. 1, 8.1,
// 10.5.1 (the 512-byte image), vol. 2.
//
//   image: 0 FCW | 2 FSW | 4 abridged tags | 6 FOP | 8 FIP | 16 FDP | 24 MXCSR | 28 MXCSR_MASK; without REX.W the pointers
//          have 32 bits, and FCS and FDS stand behind them
//          32 ST0..ST7, 16 bytes each, from the top of the stack | 160 XMM0..XMM15, 16 bytes each | 416 untouched

import {
  ACCESS_READ,
  ACCESS_WRITE,
  FCS,
  FCW,
  FDP,
  FDS,
  FERR_ASSERTED,
  FERR_PIN,
  FIP,
  FOP,
  FSW,
  FTW,
  IGNNE_ASSERTED,
  MODE_64,
  MXCSR,
  MXCSR_MASK,
  ST,
  X87_ERROR,
  XMM,
} from "../layout";
import { aligned, linear, loadLinear, probe, storeLinear, through } from "./access";
import { halt } from "./control";
import {
  CR0_MP,
  CR0_NE,
  CR0_TS,
  canonical,
  coreIndex,
  cr0,
  faulted,
  GP,
  MF,
  mode,
  NM,
  raise,
  raisePlain,
} from "./core";
import { portWrite } from "./host";

const IMAGE_BYTES: u32 = 512;
const TOP_OF_STACK: u32 = 0x3800; // in the status word

/** The image's linear address, aligned and accessible from end to end; check faulted(). */
function imageAddress(core: usize, segment: u64, offset: u64, access: u32): u64 {
  const va = linear(core, segment, offset, IMAGE_BYTES, access);
  if (faulted(core)) return 0;
  const how = through(segment, access);
  // An address that is none comes before one that is not aligned: through SS that is #SS.
  if (va & 15 && (mode(core) & MODE_64) != 0 && !canonical(va)) {
    probe(core, va, 1, how);
    return 0;
  }
  if (va & 15) {
    // APM vol. 5, FXSAVE: #AC(0) instead where that is checked; for lack of dword alignment, that is.
    if (aligned(core, va, 4, how)) raise(core, GP, 0);
    return 0;
  }
  probe(core, va, IMAGE_BYTES, how);
  return va;
}

/** Outside 64-bit mode XMM8..XMM15 are neither saved nor restored. */
function vectorCount(core: usize): u32 {
  return mode(core) & MODE_64 ? 16 : 8;
}

function top(core: usize): u32 {
  return (load<u32>(core, FSW) >> 11) & 7;
}

/** Wasm address of ST(i). */
function stackRegister(core: usize, i: u32): usize {
  return core + ST + ((top(core) + i) & 7) * 16;
}

/** FXSAVE; wide (REX.W) saves 64-bit pointers. */
export function fxsave(core: usize, segment: u64, offset: u64, wide: u64): u64 {
  const va = imageAddress(core, segment, offset, ACCESS_WRITE);
  if (faulted(core)) return 0;
  saveX87(core, va, wide != 0);
  saveMxcsr(core, va);
  saveVectors(core, va);
  return 1;
}

// Parts of the image, which XSAVE's area has as well (xsave.ts). The bytes are known to be accessible.

export function saveX87(core: usize, va: u64, wide: bool): void {
  const words: u64 = load<u16>(core, FCW) | ((<u64>load<u16>(core, FSW)) << 16);
  put(core, va, words | ((<u64>load<u8>(core, FTW)) << 32) | ((<u64>(load<u16>(core, FOP) & 0x7ff)) << 48));
  put(core, va + 8, wide ? load<u64>(core, FIP) : pointer(core, FIP, FCS));
  put(core, va + 16, wide ? load<u64>(core, FDP) : pointer(core, FDP, FDS));
  for (let i: u32 = 0; i < 8; i++) {
    const register = stackRegister(core, i);
    put(core, va + 32 + i * 16, load<u64>(register));
    put(core, va + 40 + i * 16, load<u16>(register, 8));
  }
}

export function saveMxcsr(core: usize, va: u64): void {
  put(core, va + 24, load<u32>(core, MXCSR) | ((<u64>MXCSR_MASK) << 32));
}

export function saveVectors(core: usize, va: u64): void {
  for (let i: u32 = 0; i < vectorCount(core); i++) {
    put(core, va + 160 + i * 16, load<u64>(core + i * 16, XMM));
    put(core, va + 168 + i * 16, load<u64>(core + i * 16, XMM + 8));
  }
}

/** 32 bits and a selector. */
function pointer(core: usize, offset: usize, selector: usize): u64 {
  return load<u32>(core + offset) | ((<u64>load<u16>(core + selector)) << 32);
}

export function put(core: usize, va: u64, value: u64): void {
  storeLinear(core, va, 8, value, 0);
}

export function take(core: usize, va: u64): u64 {
  return loadLinear(core, va, 8, 0);
}

/** FXRSTOR; a reserved bit in the image's MXCSR is #GP(0). */
export function fxrstor(core: usize, segment: u64, offset: u64, wide: u64): u64 {
  const va = imageAddress(core, segment, offset, ACCESS_READ);
  if (faulted(core)) return 0;
  const control = <u32>take(core, va + 24);
  if (control & ~MXCSR_MASK) {
    raise(core, GP, 0);
    return 0;
  }
  restoreX87(core, va, wide != 0);
  store<u32>(core, control, MXCSR);
  restoreVectors(core, va);
  return 1;
}

export function restoreX87(core: usize, va: u64, wide: bool): void {
  const words = take(core, va);
  const ip = take(core, va + 8);
  const data = take(core, va + 16);
  setControlAndStatus(core, <u32>words, <u32>(words >> 16));
  store<u32>(core, <u32>(words >> 32) & 0xff, FTW);
  store<u32>(core, <u32>(words >> 48) & 0x7ff, FOP);
  store<u64>(core, wide ? ip : ip & 0xffff_ffff, FIP);
  store<u64>(core, wide ? data : data & 0xffff_ffff, FDP);
  store<u16>(core, wide ? 0 : <u16>(ip >> 32), FCS);
  store<u16>(core, wide ? 0 : <u16>(data >> 32), FDS);
  for (let i: u32 = 0; i < 8; i++) {
    const register = stackRegister(core, i);
    store<u64>(register, take(core, va + 32 + i * 16));
    store<u64>(register, take(core, va + 40 + i * 16) & 0xffff, 8);
  }
}

export function restoreVectors(core: usize, va: u64): void {
  for (let i: u32 = 0; i < vectorCount(core); i++) {
    store<u64>(core + i * 16, take(core, va + 160 + i * 16), XMM);
    store<u64>(core + i * 16, take(core, va + 168 + i * 16), XMM + 8);
  }
}

/** FNINIT: round to nearest, extended precision, all masked, all empty. */
export function fninit(core: usize): u64 {
  store<u32>(core, 0x37f, FCW);
  store<u32>(core, 0, FSW);
  store<u32>(core, 0, FTW);
  store<u64>(core, 0, FOP); // and FCS, FDS
  store<u32>(core, 0, X87_ERROR);
  store<u64>(core, 0, FIP);
  store<u64>(core, 0, FDP);
  return 1;
}

/** The state that MMX leaves: top of stack 0, all registers valid. */
export function enterMmx(core: usize): u64 {
  store<u32>(core, load<u32>(core, FSW) & ~TOP_OF_STACK, FSW);
  store<u32>(core, 0xff, FTW);
  return 1;
}

/** FNCLEX: the exception flags, stack fault, summary and busy bits. */
export function fnclex(core: usize): u64 {
  store<u32>(core, load<u32>(core, FSW) & 0x7f00, FSW);
  store<u32>(core, 0, X87_ERROR);
  return 1;
}

export function readFpuControl(core: usize): u64 {
  return load<u32>(core, FCW);
}
export function readFpuStatus(core: usize): u64 {
  return load<u32>(core, FSW);
}

const EXCEPTIONS: u32 = 0x3f;
const SUMMARY: u32 = 0x8080; // ES and B

/** Whoever loads them: of FCW's reserved bits 6 reads as one; ES and B of FSW say that a flagged exception is not masked. */
export function setControlAndStatus(core: usize, value: u32, status: u32): void {
  const control = (value & 0x1f7f) | 0x40;
  store<u32>(core, control, FCW);
  const pending = (status & ~control & EXCEPTIONS) != 0;
  store<u32>(core, (pending ? status | SUMMARY : status & ~SUMMARY) & 0xffff, FSW);
  if (!pending) store<u32>(core, 0, X87_ERROR);
}

/** FLDCW: unmasking a flagged exception makes it pending. */
export function writeFpuControl(core: usize, value: u64): u64 {
  setControlAndStatus(core, <u32>value, load<u32>(core, FSW));
  return 1;
}

/** WAIT: the x87 unit is asked for unless CR0.MP leaves it alone; a pending exception is #MF. */
export function waitFpu(core: usize): u64 {
  const both = CR0_MP | CR0_TS;
  if ((cr0(core) & both) == both) raisePlain(core, NM);
  else if (errorPending(core)) raisePlain(core, MF);
  return 0;
}

// --- errors: #MF, or with CR0.NE clear the PC/AT's way by FERR#, interrupt 13 and IGNNE#. SDM vol. 1, 8.7 and D.2 ---

/** An unmasked exception waits, and the next waiting instruction may not ignore it. */
export function errorPending(core: usize): bool {
  if (!(load<u32>(core, FSW) & SUMMARY)) return false;
  return (cr0(core) & CR0_NE) != 0 || load<u32>(core, X87_ERROR) != IGNNE_ASSERTED;
}
/** Instead of #MF: the board is told, and the core stops before the instruction until an interrupt comes. */
export function signalError(core: usize): void {
  store<u32>(core, FERR_ASSERTED, X87_ERROR);
  portWrite(coreIndex(core), FERR_PIN, 1, 1);
  halt(core);
}
/** A write to the coprocessor's port: x87 instructions go on until the exception is cleared. */
export function ignoreError(core: usize): void {
  if (load<u32>(core, X87_ERROR) == FERR_ASSERTED) store<u32>(core, IGNNE_ASSERTED, X87_ERROR);
}
