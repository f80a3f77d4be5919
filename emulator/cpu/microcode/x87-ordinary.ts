// x87 arithmetic in the case that nearly all of it is: every exception masked, rounding to nearest, registers where they
// should be, operands normal numbers, results far from either end of the range. Then a result is a significand of 64
// bits, computed at once, and all that it leaves in the status word is PE and C1; any precision of FCW's is a rounding
// of that. (The host's doubles cannot tell what 64 bits of significand are.) Intel SDM vol. 1, 4.8 and 8.1.5.
//
// Invariant: a function that gives false has changed nothing, and the caller does the same in full (x87.ts).

import { FCW, FSW, FTW } from "../layout";
import { belowQuotient, belowRoot } from "./softfloat";
import { divideWide, multiplyHigh, rest, rootWide } from "./wide";
import {
  C0,
  C1,
  C2,
  C3,
  DOUBLE,
  DOUBLEWORD,
  EXTENDED,
  ONES,
  place,
  pop,
  precision,
  REGISTER,
  SINGLE,
  SUMMARY,
  setTop,
  storeHappens,
  TOP_BIT,
  tag,
  top,
  WORD,
} from "./x87-stack";

/** The masks, and rounding control: all set, and to nearest. */
const FCW_ORDINARY: u32 = 0xc3f;
const ALL_MASKED: u32 = 0x3f;
const PRECISION: u32 = 0x20;
const BIAS: i32 = 16383;
/** Biased exponents between which neither rounding nor a few bits' cancellation meets an end of the range. */
const LEAST: i32 = 0x100;
const MOST: i32 = 0x7e00;

function isOrdinary(core: usize): bool {
  return (load<u32>(core, FCW) & FCW_ORDINARY) == ALL_MASKED && (load<u32>(core, FSW) & SUMMARY) == 0;
}
function isFull(core: usize, i: u32): bool {
  return ((load<u32>(core, FTW) >> ((top(core) + i) & 7)) & 1) != 0;
}

// --- an operand: significand with its top bit set, biased exponent, sign ---
let significand: u64 = 0;
let exponent: i32 = 0;
let sign: u32 = 0;

/** A normal number that stands in a register. */
function fromRegister(core: usize, i: u32): bool {
  if (!isFull(core, i)) return false;
  const at = place(core, i);
  const word = load<u32>(at, 8);
  significand = load<u64>(at);
  exponent = <i32>(word & ONES);
  sign = (word >> 15) & 1;
  return significand >> 63 != 0 && exponent != 0 && exponent != <i32>ONES;
}
/** A normal number of a source's. */
function fromSource(core: usize, kind: u32, bits: u64): bool {
  if (kind == REGISTER) return fromRegister(core, <u32>bits);
  if (kind == DOUBLE) {
    const biased = <i32>(bits >> 52) & 0x7ff;
    sign = <u32>(bits >> 63);
    exponent = biased - 1023 + BIAS;
    significand = TOP_BIT | (bits << 11);
    return biased != 0 && biased != 0x7ff;
  }
  if (kind == SINGLE) {
    const biased = <i32>(bits >> 23) & 0xff;
    sign = <u32>(bits >> 31) & 1;
    exponent = biased - 127 + BIAS;
    significand = TOP_BIT | ((bits << 41) >> 1);
    return biased != 0 && biased != 0xff;
  }
  const value: i64 = kind == WORD ? <i16>bits : kind == DOUBLEWORD ? <i32>bits : <i64>bits;
  if (value == 0) return false;
  const magnitude: u64 = value < 0 ? <u64>0 - <u64>value : <u64>value;
  const zeros = <i32>clz(magnitude);
  sign = value < 0 ? 1 : 0;
  exponent = BIAS + 63 - zeros;
  significand = magnitude << zeros;
  return true;
}

// --- a result: the same, with 64 bits below, the last of them sticky ---
let resultSign: u32 = 0;
let resultExponent: i32 = 0;
let resultSignificand: u64 = 0;
let below: u64 = 0;
/** PE and C1 as rounding left them. */
let noted: u32 = 0;

/** To nearest, ties to even, at so many bits. */
function round(bits: i32): void {
  noted = 0;
  const unit: u64 = (<u64>1) << (64 - bits);
  const half = unit >> 1;
  const lost = resultSignificand & (unit - 1);
  if ((lost | below) == 0) return;
  const odd = (resultSignificand & unit) != 0;
  const more = half == 0 ? below > TOP_BIT : lost > half || (lost == half && below != 0);
  const tie = half == 0 ? below == TOP_BIT : lost == half && below == 0;
  noted = PRECISION;
  resultSignificand -= lost;
  if (!more && !(tie && odd)) return;
  noted |= C1;
  resultSignificand += unit;
  if (resultSignificand < unit) {
    resultSignificand = TOP_BIT;
    resultExponent++;
  }
}

/** The result into ST(i), where it is. False: too near an end of the range. */
function finish(core: usize, i: u32): bool {
  if (resultExponent < LEAST || resultExponent > MOST) return false;
  round(precision(core));
  const at = place(core, i);
  store<u64>(at, resultSignificand);
  store<u64>(at, resultExponent | (resultSign << 15), 8);
  note(core, noted);
  return true;
}
function note(core: usize, bits: u32): void {
  store<u32>(core, (load<u32>(core, FSW) & ~C1) | bits, FSW);
}

// --- arithmetic ---
const ADD: u32 = 0;
const MULTIPLY: u32 = 1;
const DIVIDE: u32 = 6;

/** As x87Arithmetic(). */
export function arithmetic(core: usize, how: u32, to: u32, kind: u32, bits: u64): bool {
  if (!isOrdinary(core) || !fromSource(core, kind, bits)) return false;
  let significandB = significand;
  let exponentB = exponent;
  let signB = sign;
  if (!fromRegister(core, to)) return false;
  const op = how & 7;
  let significandA = significand;
  let exponentA = exponent;
  let signA = sign;
  if (op & 1 && op != MULTIPLY) {
    // The reversed operations
    significandB = significandA;
    exponentB = exponentA;
    signB = signA;
    significandA = resultOf(kind, core, bits);
    exponentA = exponent;
    signA = sign;
  }
  if (op == MULTIPLY) multiply(significandA, exponentA, significandB, exponentB);
  else if (op >= DIVIDE) divide(significandA, exponentA, significandB, exponentB);
  else {
    if (op != ADD) signB ^= 1;
    if (exponentA > exponentB || (exponentA == exponentB && significandA >= significandB))
      add(significandA, exponentA, signA, significandB, exponentB, signB);
    else add(significandB, exponentB, signB, significandA, exponentA, signA);
    if (resultSignificand == 0) return false; // a zero has rules of its own
  }
  if (op == MULTIPLY || op >= DIVIDE) resultSign = signA ^ signB;
  if (!finish(core, to)) return false;
  if (how & 0x100) pop(core);
  return true;
}
function resultOf(kind: u32, core: usize, bits: u64): u64 {
  fromSource(core, kind, bits);
  return significand;
}

/** a + b, where b's magnitude is not the larger. */
function add(a: u64, exponentA: i32, signA: u32, b: u64, exponentB: i32, signB: u32): void {
  const distance = exponentA - exponentB;
  resultSign = signA;
  resultExponent = exponentA;
  if (distance == 0) below = 0;
  else if (distance < 64) {
    below = b << (64 - distance);
    b >>= distance;
  } else if (distance < 128) {
    below = distance == 64 ? b : (b >> (distance - 64)) | (b << (128 - distance) != 0 ? 1 : 0);
    b = 0;
  } else {
    below = 1;
    b = 0;
  }
  if (signA == signB) {
    const sum = a + b;
    resultSignificand = sum;
    if (sum < a) {
      below = (below >> 1) | (below & 1) | (sum << 63);
      resultSignificand = TOP_BIT | (sum >> 1);
      resultExponent++;
    }
    return;
  }
  resultSignificand = a - b - (below != 0 ? 1 : 0);
  below = <u64>0 - below;
  if (resultSignificand >> 63) return;
  if (resultSignificand == 0) {
    resultSignificand = below;
    below = 0;
    resultExponent -= 64;
    if (resultSignificand == 0) return;
  }
  const zeros = <i32>clz(resultSignificand);
  if (zeros == 0) return;
  resultSignificand = (resultSignificand << zeros) | (below >> (64 - zeros));
  below <<= zeros;
  resultExponent -= zeros;
}

function multiply(a: u64, exponentA: i32, b: u64, exponentB: i32): void {
  const high = multiplyHigh(a, b);
  const low = a * b;
  resultExponent = exponentA + exponentB - BIAS + 1;
  if (high >> 63) {
    resultSignificand = high;
    below = low;
  } else {
    resultSignificand = (high << 1) | (low >> 63);
    below = low << 1;
    resultExponent--;
  }
}

function divide(a: u64, exponentA: i32, b: u64, exponentB: i32): void {
  const larger = a >= b;
  resultSignificand = divideWide(larger ? a >> 1 : a, larger ? a << 63 : 0, b);
  below = belowQuotient(rest, b);
  resultExponent = exponentA - exponentB + BIAS - (larger ? 0 : 1);
}

/** FSQRT. */
export function root(core: usize): bool {
  if (!isOrdinary(core) || !fromRegister(core, 0) || sign != 0) return false;
  const unbiased = exponent - BIAS;
  const odd = (unbiased & 1) != 0;
  resultSignificand = rootWide(odd ? significand : significand >> 1, odd ? 0 : significand << 63);
  below = belowRoot(resultSignificand);
  resultExponent = (unbiased >> 1) + BIAS;
  resultSign = 0;
  return finish(core, 0);
}

// --- loads and stores ---

/** FLD and FILD of a normal number, a register, or an integer zero, as x87Load(). */
export function loads(core: usize, kind: u32, bits: u64): bool {
  if (kind == EXTENDED || !isOrdinary(core) || isFull(core, 7)) return false;
  if (fromSource(core, kind, bits)) push(core, significand, <u32>exponent | (sign << 15));
  else if (bits == 0 && kind != REGISTER) push(core, 0, 0);
  else return false;
  return true;
}
function push(core: usize, number: u64, signAndExponent: u32): void {
  setTop(core, top(core) - 1);
  const at = place(core, 0);
  store<u64>(at, number);
  store<u64>(at, signAndExponent, 8);
  tag(core, 0, true);
  note(core, 0);
}

/** What stores() found. */
export let stored: u64 = 0;
/** FST and FSTP of a normal number as one of memory's formats, as x87Store(). */
export function stores(core: usize, how: u32): bool {
  const kind = how & 0xff;
  if ((kind != DOUBLE && kind != SINGLE) || !isOrdinary(core) || !fromRegister(core, 0)) return false;
  const wide = kind == DOUBLE;
  const bias = wide ? 1023 : 127;
  const biased = exponent - BIAS + bias;
  // Rounding may carry into the exponent once.
  if (biased < 2 || biased > bias * 2 - 1) return false;
  resultSignificand = significand;
  resultExponent = biased;
  below = 0;
  round(wide ? 53 : 24);
  const fraction = (resultSignificand << 1) >> (wide ? 12 : 41);
  stored = ((<u64>sign) << (wide ? 63 : 31)) | ((<u64>resultExponent) << (wide ? 52 : 23)) | fraction;
  note(core, noted);
  storeHappens();
  if (how & 0x100) pop(core);
  return true;
}

// --- comparison ---

/** What x87Compare() gives. */
export let relation: u64 = 0;
/** FCOM and kin of two normal numbers. */
export function compares(core: usize, how: u32, kind: u32, bits: u64): bool {
  if (!isOrdinary(core) || !fromSource(core, kind, bits)) return false;
  const significandB = significand;
  const exponentB = exponent;
  const signB = sign;
  if (!fromRegister(core, 0)) return false;
  let equal = false;
  let less: bool;
  if (sign != signB) less = sign != 0;
  else if (exponent == exponentB && significand == significandB) {
    equal = true;
    less = false;
  } else {
    const smaller = exponent < exponentB || (exponent == exponentB && significand < significandB);
    less = smaller != (sign != 0);
  }
  relation = 0;
  if (how & 8) relation = equal ? 0x40 : less ? 1 : 0;
  else {
    const status = load<u32>(core, FSW) & ~(C0 | C1 | C2 | C3);
    store<u32>(core, status | (equal ? C3 : less ? C0 : 0), FSW);
  }
  for (let pops = how & 3; pops > 0; pops--) pop(core);
  return true;
}
