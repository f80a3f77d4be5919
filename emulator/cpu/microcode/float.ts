// SSE and SSE2 arithmetic where the host's own floats would not tell everything: rounding other than to nearest,
// exception flags not yet set, NaNs, denormals, results at the edges of the range. Rows call these off their fast
// path, and packed rows once a lane. Intel SDM vol. 1, 11.5.
//
// Invariant: flags gather in `raised` until floatCommit() moves them to MXCSR, and raises #XM (or #UD without
// CR4.OSXMMEXCPT) when one of them is unmasked; the scalar functions commit by themselves.

import { CR4, MXCSR } from "../layout";
import { raisePlain, UD } from "./core";
import * as soft from "./softfloat";

const XM: u32 = 19;
const CR4_OSXMMEXCPT: u64 = 1 << 10;

const MXCSR_DAZ: u32 = 1 << 6;
const MXCSR_MASKS_SHIFT: u32 = 7;
const MXCSR_ROUNDING_SHIFT: u32 = 13;
const MXCSR_FTZ: u32 = 1 << 15;
const PRE_COMPUTATION: u32 = soft.INVALID | soft.DENORMAL | soft.ZERO_DIVIDE;

// The operations, as the rows number them (instructions/sse-float.ts)
const ADD: u32 = 0;
const SUBTRACT: u32 = 1;
const MULTIPLY: u32 = 2;
const DIVIDE: u32 = 3;
const SQUARE_ROOT: u32 = 4;
const MINIMUM: u32 = 5;
/** 8 to 15: CMPPS and its kin by predicate; the result is all ones or zero. */
const COMPARE: u32 = 8;
const PREDICATE_NEGATED: u32 = 4;
const PREDICATE_EQUAL: u32 = 0;
const PREDICATE_UNORDERED: u32 = 3;
const PREDICATE_LESS: u32 = 1;
/** Do not commit the flags: other lanes follow. */
const LANE: u32 = 0x100;

function begin(core: usize): void {
  const mxcsr = load<u32>(core, MXCSR);
  soft.begin(
    (mxcsr >> MXCSR_ROUNDING_SHIFT) & 3,
    (mxcsr & MXCSR_DAZ) != 0,
    (mxcsr & MXCSR_FTZ) != 0,
    mxcsr >> MXCSR_MASKS_SHIFT,
  );
}

/** Moves the gathered flags to MXCSR; a fault is pending when one is unmasked. */
export function floatCommit(core: usize): u64 {
  const mxcsr = load<u32>(core, MXCSR);
  const masks = (mxcsr >> MXCSR_MASKS_SHIFT) & 0x3f;
  let flags = soft.raised;
  soft.clearRaised();
  // What is found before computing stops the computation, and with it what rounding would have raised.
  if (flags & PRE_COMPUTATION & ~masks) flags &= PRE_COMPUTATION;
  if (flags) store<u32>(core, mxcsr | flags, MXCSR);
  if (flags & ~masks) raisePlain(core, load<u64>(core, CR4) & CR4_OSXMMEXCPT ? XM : UD);
  return 0;
}

/** The operation on A and B. MIN, MAX and comparisons give the bits of an operand or a mask: see below. */
function compute(op: u32): void {
  if (op == SQUARE_ROOT) {
    // one operand, in B like every source
    soft.swap();
    soft.clearB();
    if (!soft.propagateNanA()) soft.squareRoot();
    return;
  }
  if (soft.propagateNan()) return;
  if (op == ADD) soft.add();
  else if (op == SUBTRACT) soft.subtract();
  else if (op == MULTIPLY) soft.multiply();
  else if (op == DIVIDE) soft.divide();
  else unreachable();
}

/** MIN and MAX give the second operand when either is a NaN or both are zero. */
function takesFirst(op: u32): bool {
  const relation = soft.compare(true);
  if (op == MINIMUM) return (relation & soft.LESS) != 0;
  return relation == 0; // maximum, 6: greater
}

function holds(predicate: u32): bool {
  const kind = predicate & 3;
  const relation = soft.compare(kind != PREDICATE_EQUAL && kind != PREDICATE_UNORDERED);
  let truth: u32;
  if (kind == PREDICATE_EQUAL) truth = relation & soft.EQUAL;
  else if (kind == PREDICATE_LESS) truth = relation & soft.LESS;
  else if (kind == PREDICATE_UNORDERED) truth = relation & soft.UNORDERED;
  else truth = relation & (soft.LESS | soft.EQUAL);
  return (truth != 0) != ((predicate & PREDICATE_NEGATED) != 0);
}

export function float64(core: usize, operation: u64, a: u64, b: u64): u64 {
  const op = <u32>operation & 0xff;
  begin(core);
  soft.unpack64(b);
  soft.moveToB();
  soft.unpack64(a);
  let result: u64;
  if (op >= COMPARE) result = holds(op - COMPARE) ? -1 : 0;
  else if (op >= MINIMUM) result = soft.flushed(takesFirst(op) ? a : b, 52, 11);
  else {
    compute(op);
    result = soft.pack64();
  }
  if (!(<u32>operation & LANE)) floatCommit(core);
  return result;
}

export function float32(core: usize, operation: u64, a: u64, b: u64): u64 {
  const op = <u32>operation & 0xff;
  begin(core);
  soft.unpack32(b);
  soft.moveToB();
  soft.unpack32(a);
  let result: u64;
  if (op >= COMPARE) result = holds(op - COMPARE) ? 0xffff_ffff : 0;
  else if (op >= MINIMUM) result = soft.flushed(takesFirst(op) ? a : b, 23, 8);
  else {
    compute(op);
    result = soft.pack32();
  }
  if (!(<u32>operation & LANE)) floatCommit(core);
  return result;
}

/** COMIS and UCOMIS: ZF PF CF at their places in RFLAGS. */
function relationFlags(core: usize, signalling: bool): u64 {
  const relation = soft.compare(signalling);
  floatCommit(core);
  if (relation & soft.UNORDERED) return 0x45;
  return relation & soft.EQUAL ? 0x40 : relation & soft.LESS ? 0x01 : 0;
}
export function floatRelation64(core: usize, signalling: u64, a: u64, b: u64): u64 {
  begin(core);
  soft.unpack64(b);
  soft.moveToB();
  soft.unpack64(a);
  return relationFlags(core, signalling != 0);
}
export function floatRelation32(core: usize, signalling: u64, a: u64, b: u64): u64 {
  begin(core);
  soft.unpack32(b);
  soft.moveToB();
  soft.unpack32(a);
  return relationFlags(core, signalling != 0);
}

// --- conversions; `flags` of the call: LANE as above ---

/** Doubles to singles. */
export function floatNarrow(core: usize, lane: u64, a: u64): u64 {
  begin(core);
  soft.unpack64(a);
  convertFormat();
  const result = soft.pack32();
  if (!lane) floatCommit(core);
  return result;
}
/** Singles to doubles: exact, but NaNs become quiet and denormals are noted. */
export function floatWiden(core: usize, lane: u64, a: u64): u64 {
  begin(core);
  soft.unpack32(a);
  convertFormat();
  const result = soft.pack64();
  if (!lane) floatCommit(core);
  return result;
}
function convertFormat(): void {
  soft.clearB();
  if (soft.propagateNanA()) return;
  soft.noteDenormalA();
  soft.setResult(soft.classA, soft.signA, soft.exponentA, soft.significandA, 0);
}

/** ROUNDSD and kin: `how` has the rounding mode, bit 3: inexact results are no news, LANE as above. */
const ROUNDING: u32 = 3;
const QUIETLY: u32 = 8;
function beginRound(core: usize, how: u32): void {
  const mxcsr = load<u32>(core, MXCSR);
  soft.begin(how & ROUNDING, (mxcsr & MXCSR_DAZ) != 0, false, 0x3f);
}
function rounded(how: u32): void {
  soft.clearB();
  if (soft.propagateNanA()) return;
  soft.roundToInteger();
  if (how & QUIETLY) soft.forgetRounding(soft.PRECISION);
}
export function floatRound64(core: usize, how: u64, a: u64): u64 {
  beginRound(core, <u32>how);
  soft.unpack64(a);
  rounded(<u32>how);
  const result = soft.pack64();
  if (!(<u32>how & LANE)) floatCommit(core);
  return result;
}
export function floatRound32(core: usize, how: u64, a: u64): u64 {
  beginRound(core, <u32>how);
  soft.unpack32(a);
  rounded(<u32>how);
  const result = soft.pack32();
  if (!(<u32>how & LANE)) floatCommit(core);
  return result;
}

/** Integers to floats; the integer comes sign-extended. */
export function integerToFloat64(core: usize, lane: u64, value: u64): u64 {
  begin(core);
  soft.fromInteger(<i64>value);
  const result = soft.pack64();
  if (!lane) floatCommit(core);
  return result;
}
export function integerToFloat32(core: usize, lane: u64, value: u64): u64 {
  begin(core);
  soft.fromInteger(<i64>value);
  const result = soft.pack32();
  if (!lane) floatCommit(core);
  return result;
}

/** Floats to integers of 32 or 64 bits; bit 8 of `how`: a lane; bit 9: truncate whatever MXCSR says. */
const TRUNCATE: u32 = 0x200;
function toInteger(core: usize, how: u32): u64 {
  if (how & TRUNCATE) soft.begin(soft.TOWARD_ZERO, false, false, 0x3f);
  const bits = how & 0xff;
  const result = <u64>soft.toInteger(bits);
  if (!(how & LANE)) floatCommit(core);
  return bits == 32 ? result & 0xffff_ffff : result;
}
export function float64ToInteger(core: usize, how: u64, a: u64): u64 {
  begin(core);
  soft.unpack64(a);
  return toInteger(core, <u32>how);
}
export function float32ToInteger(core: usize, how: u64, a: u64): u64 {
  begin(core);
  soft.unpack32(a);
  return toInteger(core, <u32>how);
}
