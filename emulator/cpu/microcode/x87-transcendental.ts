// F2XM1, FSIN, FCOS, FPTAN, FSINCOS, FYL2X, FYL2XP1, FPATAN: operands, special cases and flags; elementary.ts computes.
// Intel SDM vol. 2; AMD APM vol. 5. Results follow the rounding control, not the precision control, and are inexact
// whenever they were computed. Where the manuals leave a result undefined (F2XM1 beyond 1, FYL2XP1 of -1 and below) the
// operand itself is it, inexact, as AMD's processors have it.

import * as elementary from "./elementary";
import * as fixed from "./fixed";
import * as soft from "./softfloat";
import {
  begin,
  blocked,
  C2,
  clearCondition,
  finish,
  INDEFINITE,
  invalidIsMasked,
  isEmpty,
  pop,
  push,
  setCondition,
  setTop,
  stackFault,
  TOP_BIT,
  top,
  unpackRegister,
  write,
  writeResult,
} from "./x87-stack";

// Numbered by the rows (instructions/x87.ts)
const POWER: u32 = 0; // F2XM1
const SINE: u32 = 1;
const COSINE: u32 = 2;
const TANGENT: u32 = 3;
const SINE_AND_COSINE: u32 = 4;
const LOGARITHM: u32 = 5;
const LOGARITHM_PLUS_1: u32 = 6;
// 7: FPATAN

/** Arguments from 2^63 on are out of range (C2). */
const RANGE: i32 = 63;

/** R := what elementary.ts found, never exact. */
function take(sign: u32): void {
  soft.setResult(soft.FINITE, sign, elementary.exponent, fixed.high, fixed.low | 1);
}
function takeOne(): void {
  soft.setResult(soft.FINITE, 0, 0, TOP_BIT, 0);
}
function takeInfinity(sign: u32): void {
  soft.setResult(soft.INFINITE, sign, 0, TOP_BIT, 0);
}
function takeZero(sign: u32): void {
  soft.setResult(soft.ZERO, sign, 0, 0, 0);
}

// --- functions of ST0 ---

export function x87Function(core: usize, operation: u64): u64 {
  if (!begin(core)) return 0;
  const op = <u32>operation;
  const pushes = op == TANGENT || op == SINE_AND_COSINE;
  if (op != POWER) clearCondition(core, C2);
  if (isEmpty(core, 0)) stackFaultOf(core, false, pushes);
  else if (pushes && !isEmpty(core, 7)) stackFaultOf(core, true, true);
  else {
    unpackRegister(core, 0);
    soft.clearB();
    if (op != POWER && isOutOfRange()) setCondition(core, C2, C2);
    else apply(core, op);
  }
  finish(core);
  return 0;
}
function stackFaultOf(core: usize, overflow: bool, pushes: bool): void {
  stackFault(core, overflow);
  if (!invalidIsMasked(core)) return;
  write(core, 0, INDEFINITE, 0xffff);
  if (!pushes) return;
  setTop(core, top(core) - 1);
  write(core, 0, INDEFINITE, 0xffff);
}
function isOutOfRange(): bool {
  return soft.classA == soft.FINITE && soft.exponentA >= RANGE;
}

function apply(core: usize, op: u32): void {
  if (op == TANGENT || op == SINE_AND_COSINE) {
    applyTwo(core, op);
    return;
  }
  compute(op);
  if (!blocked(core)) writeResult(core, 0, 64);
}
/** FPTAN pushes 1, FSINCOS the cosine; a NaN comes twice. */
function applyTwo(core: usize, op: u32): void {
  compute(op == TANGENT ? TANGENT : COSINE);
  const word = soft.pack80(64);
  const significand = soft.significandR;
  if (op == SINE_AND_COSINE) compute(SINE);
  if (blocked(core)) return;
  const isNumber = !soft.isNan(soft.classA) && soft.classA != soft.INFINITE;
  if (op == SINE_AND_COSINE) {
    writeResult(core, 0, 64);
    push(core, significand, word);
  } else {
    write(core, 0, significand, word);
    if (isNumber) push(core, TOP_BIT, 16383);
    else push(core, significand, word);
  }
}

/** R := the function of A. */
function compute(op: u32): void {
  if (soft.isUnsupportedA()) soft.invalid();
  else if (soft.propagateNanA()) return;
  else if (op == POWER) power();
  else trigonometric(op);
}

function power(): void {
  if (soft.classA == soft.ZERO) soft.takeA();
  else if (soft.classA == soft.INFINITE) {
    if (soft.signA) soft.setResult(soft.FINITE, 1, 0, TOP_BIT, 0);
    else soft.takeA();
  } else {
    soft.noteDenormalA();
    if (soft.exponentA > 0 || (soft.exponentA == 0 && soft.significandA != TOP_BIT)) {
      soft.raiseFlags(soft.PRECISION);
      soft.takeA();
      return;
    }
    elementary.exponential(soft.signA != 0, soft.significandA, soft.exponentA);
    take(soft.signA);
  }
}

function trigonometric(op: u32): void {
  if (soft.classA == soft.INFINITE) soft.invalid();
  else if (soft.classA == soft.ZERO) {
    if (op == COSINE) takeOne();
    else soft.takeA();
  } else {
    soft.noteDenormalA();
    const negative = soft.signA != 0;
    if (op == SINE) elementary.sine(negative, soft.significandA, soft.exponentA);
    else if (op == COSINE) elementary.cosine(soft.significandA, soft.exponentA);
    else elementary.tangent(negative, soft.significandA, soft.exponentA);
    take(elementary.sign);
  }
}

// --- functions of ST1 and ST0: the result is in ST1, which becomes the top ---

export function x87FunctionOfTwo(core: usize, operation: u64): u64 {
  if (!begin(core)) return 0;
  if (isEmpty(core, 0) || isEmpty(core, 1)) {
    stackFault(core, false);
    if (invalidIsMasked(core)) write(core, 1, INDEFINITE, 0xffff);
  } else {
    unpackRegister(core, 1);
    soft.moveToB();
    unpackRegister(core, 0);
    computeOfTwo(<u32>operation);
    if (!blocked(core)) writeResult(core, 1, 64);
  }
  if (!blocked(core)) pop(core);
  finish(core);
  return 0;
}

/** R := the function of x, which is A, and y, which is B. */
function computeOfTwo(op: u32): void {
  if (soft.isUnsupportedA() || soft.isUnsupportedB()) soft.invalid();
  else if (soft.propagateLargerNan()) return;
  else if (op == LOGARITHM) logarithm();
  else if (op == LOGARITHM_PLUS_1) logarithmPlus1();
  else arctangent();
}

function logarithm(): void {
  const y = soft.signB;
  const isOne = soft.classA == soft.FINITE && soft.exponentA == 0 && soft.significandA == TOP_BIT;
  if (soft.signA != 0 && soft.classA != soft.ZERO) soft.invalid();
  else if (soft.classA == soft.ZERO) {
    if (soft.classB == soft.ZERO) soft.invalid();
    else {
      if (soft.classB == soft.FINITE) soft.raiseFlags(soft.ZERO_DIVIDE);
      takeInfinity(y ^ 1);
    }
  } else if (soft.classA == soft.INFINITE) {
    if (soft.classB == soft.ZERO) soft.invalid();
    else {
      soft.noteDenormals();
      takeInfinity(y);
    }
  } else if (isOne) {
    if (soft.classB == soft.INFINITE) soft.invalid();
    else {
      soft.noteDenormals();
      takeZero(y);
    }
  } else {
    soft.noteDenormals();
    const below = u32(soft.exponentA < 0);
    if (soft.classB == soft.ZERO) takeZero(y ^ below);
    else if (soft.classB == soft.INFINITE) takeInfinity(y ^ below);
    else {
      elementary.logarithm(soft.significandB, soft.exponentB, soft.significandA, soft.exponentA);
      take(y ^ elementary.sign);
    }
  }
}

function logarithmPlus1(): void {
  const sign = soft.signA ^ soft.signB;
  if (soft.classA == soft.ZERO) {
    if (soft.classB == soft.INFINITE) soft.invalid();
    else {
      soft.noteDenormals();
      takeZero(sign);
    }
  } else if (soft.classA == soft.INFINITE) {
    if (soft.signA || soft.classB == soft.ZERO) soft.invalid();
    else {
      soft.noteDenormals();
      takeInfinity(sign);
    }
  } else {
    soft.noteDenormals();
    if (soft.classB == soft.ZERO) takeZero(sign);
    else if (soft.classB == soft.INFINITE) takeInfinity(sign);
    else if (soft.signA && soft.exponentA >= 0) {
      soft.raiseFlags(soft.PRECISION);
      soft.takeA();
    } else {
      const negative = soft.signA != 0;
      elementary.logarithmPlus1(
        soft.significandB,
        soft.exponentB,
        negative,
        soft.significandA,
        soft.exponentA,
      );
      take(soft.signB ^ elementary.sign);
    }
  }
}

// Angles as significands * 2^(exponent - 127)
const PI_HIGH: u64 = 0xc90f_daa2_2168_c234;
const PI_LOW: u64 = 0xc4c6_628b_80dc_1cd1;
const THREE_PI_HIGH: u64 = 0x96cb_e3f9_990e_91a7;
const THREE_PI_LOW: u64 = 0x9394_c9e8_a0a5_159d;

function takePi(exponent: i32): void {
  soft.setResult(soft.FINITE, soft.signB, exponent, PI_HIGH, PI_LOW);
}

function arctangent(): void {
  const left = soft.signA != 0;
  soft.noteDenormals();
  if (soft.classB == soft.INFINITE) {
    if (soft.classA != soft.INFINITE) takePi(0);
    else if (left) soft.setResult(soft.FINITE, soft.signB, 1, THREE_PI_HIGH, THREE_PI_LOW);
    else takePi(-1);
  } else if (soft.classB == soft.ZERO || soft.classA == soft.INFINITE) {
    if (left) takePi(1);
    else takeZero(soft.signB);
  } else if (soft.classA == soft.ZERO) takePi(0);
  else {
    elementary.arctangent(soft.significandB, soft.exponentB, soft.significandA, soft.exponentA, left);
    take(soft.signB);
  }
}
