// Floating point in integers, exactly as the processor does it: every rounding mode, every exception flag. Rows of SSE
// come here only when the host's arithmetic would not tell all; x87 always. IEEE 754-2008; Intel SDM vol. 1, 4.8, 4.9
// and 11.5.
//
// A number is unpacked into class, sign, exponent and a 64-bit significand whose top bit is set: its value is
// significand * 2^(exponent - 63). Two operands A and B; the result R has 64 further bits, the last of them sticky.
// Invariant: a denormal operand is normal after unpacking; only round() makes denormals.

import { divideWide, multiplyHigh, rest, restHigh, rootWide } from "./wide";

// Exception flags, at the same bits in MXCSR and in the x87 status word
export const INVALID: u32 = 1;
export const DENORMAL: u32 = 2;
export const ZERO_DIVIDE: u32 = 4;
export const OVERFLOW: u32 = 8;
export const UNDERFLOW: u32 = 16;
export const PRECISION: u32 = 32;

export const TO_NEAREST: u32 = 0;
export const DOWN: u32 = 1;
export const UP: u32 = 2;
export const TOWARD_ZERO: u32 = 3;

export const ZERO: u32 = 0;
export const FINITE: u32 = 1;
export const INFINITE: u32 = 2;
export const QUIET: u32 = 3;
export const SIGNALLING: u32 = 4;

const TOP: u64 = 1 << 63;

// --- the environment of the operation ---
/** Flags raised so far. */
export let raised: u32 = 0;
export let rounding: u32 = TO_NEAREST;
/** MXCSR.DAZ: denormal operands are zeros, silently. */
let denormalsAreZeros: bool = false;
/** MXCSR.FTZ with underflow masked: tiny results become zeros. */
let flushToZero: bool = false;
let underflowMasked: bool = true;
let overflowMasked: bool = true;
/** x87: an unmasked overflow or underflow gives the result with its exponent moved by 24576. */
let rebiased: bool = false;
const REBIAS: i32 = 24576;
/** The last rounding went away from zero (x87's C1). */
export let roundedUp: bool = false;

/** `masks`: the exceptions that are masked, at their flags' bits. */
export function begin(mode: u32, daz: bool, ftz: bool, masks: u32): void {
  rounding = mode;
  denormalsAreZeros = daz;
  underflowMasked = (masks & UNDERFLOW) != 0;
  overflowMasked = (masks & OVERFLOW) != 0;
  flushToZero = ftz && underflowMasked;
  roundedUp = false;
}
export function setRoundedUp(up: bool): void {
  roundedUp = up;
}
export function raiseFlags(flags: u32): void {
  raised |= flags;
}
export function clearRaised(): void {
  raised = 0;
}
/** The operation was stopped: what rounding would have raised does not count. */
export function forgetRounding(flags: u32): void {
  raised &= ~flags;
  roundedUp = false;
}

// --- operands ---
export let classA: u32 = 0;
export let signA: u32 = 0;
export let exponentA: i32 = 0;
export let significandA: u64 = 0;
let denormalA: bool = false;
export let classB: u32 = 0;
export let signB: u32 = 0;
export let exponentB: i32 = 0;
export let significandB: u64 = 0;
let denormalB: bool = false;

// --- result ---
export let classR: u32 = 0;
export let signR: u32 = 0;
export let exponentR: i32 = 0;
export let significandR: u64 = 0;
/** Bits below the significand; bit 0 is sticky. */
export let extraR: u64 = 0;

export function setA(kind: u32, sign: u32, exponent: i32, significand: u64): void {
  classA = kind;
  signA = sign;
  exponentA = exponent;
  significandA = significand;
  denormalA = false;
}
export function setResult(kind: u32, sign: u32, exponent: i32, significand: u64, extra: u64): void {
  classR = kind;
  signR = sign;
  exponentR = exponent;
  significandR = significand;
  extraR = extra;
}
export function swap(): void {
  const kind = classA;
  const sign = signA;
  const exponent = exponentA;
  const significand = significandA;
  const denormal = denormalA;
  classA = classB;
  signA = signB;
  exponentA = exponentB;
  significandA = significandB;
  denormalA = denormalB;
  classB = kind;
  signB = sign;
  exponentB = exponent;
  significandB = significand;
  denormalB = denormal;
}
/** B := A, to unpack the second operand first. */
export function moveToB(): void {
  classB = classA;
  signB = signA;
  exponentB = exponentA;
  significandB = significandA;
  denormalB = denormalA;
}

/** A := a value with `fraction` fraction bits below an implied one, as binary32 and binary64 have. */
function unpack(bits: u64, fraction: u32, exponentBits: u32): void {
  const exponentMax: u32 = (1 << exponentBits) - 1;
  const bias: i32 = (1 << (exponentBits - 1)) - 1;
  const sign = <u32>(bits >> (fraction + exponentBits)) & 1;
  const biased = <u32>(bits >> fraction) & exponentMax;
  const significand = bits << (64 - fraction);
  if (biased == exponentMax) {
    // NaNs keep their payload, left-aligned below a set top bit
    const quiet = significand >> 63 != 0;
    setA(significand == 0 ? INFINITE : quiet ? QUIET : SIGNALLING, sign, 0, TOP | (significand >> 1));
  } else if (biased != 0) {
    setA(FINITE, sign, <i32>biased - bias, TOP | (significand >> 1));
  } else if (significand == 0 || denormalsAreZeros) {
    setA(ZERO, sign, 0, 0);
  } else {
    const zeros = <i32>clz(significand);
    setA(FINITE, sign, -bias - zeros, significand << zeros);
    denormalA = true;
  }
}
export function unpack32(bits: u64): void {
  unpack(bits, 23, 8);
}
export function unpack64(bits: u64): void {
  unpack(bits, 52, 11);
}
/** An x87 register: explicit top bit. Encodings that the 387 and later refuse count as signalling NaNs. */
export function unpack80(significand: u64, signAndExponent: u32): void {
  const sign = (signAndExponent >> 15) & 1;
  const biased = signAndExponent & 0x7fff;
  const top = significand >> 63 != 0;
  if (biased == 0x7fff) {
    const fraction = significand << 1;
    if (!top) setA(SIGNALLING, 2, 0, 0);
    else if (fraction == 0) setA(INFINITE, sign, 0, TOP);
    else setA(fraction >> 63 != 0 ? QUIET : SIGNALLING, sign, 0, significand);
  } else if (biased != 0) {
    if (top) setA(FINITE, sign, <i32>biased - 16383, significand);
    else setA(SIGNALLING, 2, 0, 0); // an unnormal; sign 2 marks what is not even a NaN
  } else if (significand == 0) {
    setA(ZERO, sign, 0, 0);
  } else {
    // A denormal, or a pseudo-denormal, whose exponent counts as 1
    const zeros = <i32>clz(significand);
    setA(FINITE, sign, -16382 - zeros, significand << zeros);
    denormalA = true;
  }
}
export function isUnsupportedA(): bool {
  return classA == SIGNALLING && signA == 2;
}
export function isUnsupportedB(): bool {
  return classB == SIGNALLING && signB == 2;
}
/** The operands as MIN and MAX hand them on: denormals as zeros if MXCSR says so. */
export function flushed(bits: u64, fraction: u32, exponentBits: u32): u64 {
  const biased = (bits >> fraction) & (((<u64>1) << exponentBits) - 1);
  return denormalsAreZeros && biased == 0
    ? (bits >> (fraction + exponentBits)) << (fraction + exponentBits)
    : bits;
}
export function isNan(kind: u32): bool {
  return kind >= QUIET;
}

// --- rounding ---

/** R to `precision` bits and an exponent of at least `least`, at most `most`; sets flags. */
export function round(precision: i32, least: i32, most: i32): void {
  if (classR != FINITE) return;
  let tiny = false;
  if (exponentR < least) {
    // Tininess is detected after rounding as if the exponent had no bound.
    tiny = !(exponentR == least - 1 && roundsToPower(precision));
    if (tiny && flushToZero) {
      raised |= UNDERFLOW | PRECISION;
      classR = ZERO;
      return;
    }
    if (tiny && !underflowMasked && rebiased && exponentR + REBIAS < least) {
      // Too small even for that: zero, whichever way rounding goes.
      raised |= UNDERFLOW | PRECISION;
      classR = ZERO;
      return;
    }
    if (tiny && !underflowMasked) {
      raised |= UNDERFLOW; // and inexact only if the exponent's bound is not to blame
      if (rebiased) exponentR += REBIAS;
    } else {
      shiftRightSticky(least - exponentR);
      exponentR = least;
    }
  }
  const below = remainder(precision);
  const inexact = below != 0;
  if (precision < 64) significandR &= ~(((<u64>1) << (64 - precision)) - 1);
  extraR = 0;
  const unit: u64 = (<u64>1) << (64 - precision);
  roundedUp = goesUp(below, (significandR & unit) != 0);
  if (roundedUp) {
    significandR += unit;
    if (significandR < unit) {
      significandR = TOP;
      exponentR++;
    }
  }
  if (inexact) {
    raised |= PRECISION;
    if (tiny) raised |= UNDERFLOW;
  }
  if (significandR == 0) classR = ZERO;
  else if (exponentR > most && significandR & TOP) overflow(precision, most);
}

function overflow(precision: i32, most: i32): void {
  raised |= OVERFLOW;
  if (rebiased && !overflowMasked && exponentR - REBIAS <= most) {
    exponentR -= REBIAS;
    return;
  }
  // Unmasked, and nothing is stored: inexact only if rounding was. Too large even for the moved exponent: infinity.
  if (overflowMasked || rebiased) {
    raised |= PRECISION;
    roundedUp = !overflowMasked || rounding == TO_NEAREST || rounding == (signR ? DOWN : UP);
  }
  if (roundedUp) classR = INFINITE;
  else {
    exponentR = most;
    significandR = ~(((<u64>1) << (64 - precision)) - 1);
    if (precision == 64) significandR = ~(<u64>0);
  }
}

/** What lies below the last kept bit, compared with half of it: 0 nothing, 1 less, 2 half, 3 more. */
function remainder(precision: i32): u32 {
  if (precision == 64) return extraR == 0 ? 0 : extraR < TOP ? 1 : extraR == TOP ? 2 : 3;
  const half: u64 = (<u64>1) << (63 - precision);
  const rest = significandR & ((half << 1) - 1);
  if (rest == 0 && extraR == 0) return 0;
  if (rest < half) return 1;
  return rest == half && extraR == 0 ? 2 : 3;
}
function goesUp(below: u32, odd: bool): bool {
  if (below == 0) return false;
  if (rounding == TO_NEAREST) return below == 3 || (below == 2 && odd);
  return rounding == (signR ? DOWN : UP);
}
function roundsToPower(precision: i32): bool {
  const kept: u64 = precision == 64 ? ~(<u64>0) : ~(((<u64>1) << (64 - precision)) - 1);
  return (significandR & kept) == kept && goesUp(remainder(precision), true);
}

function shiftRightSticky(count: i32): void {
  if (count >= 128) {
    extraR = significandR | extraR ? 1 : 0;
    significandR = 0;
  } else if (count >= 64) {
    const lost = extraR != 0 || (count > 64 && significandR << (128 - count) != 0);
    extraR = (significandR >> (count - 64)) | (lost ? 1 : 0);
    significandR = 0;
  } else if (count > 0) {
    const lost = extraR << (64 - count) != 0;
    extraR = (extraR >> count) | (significandR << (64 - count)) | (lost ? 1 : 0);
    significandR >>= count;
  }
}

function pack(fraction: u32, exponentBits: u32): u64 {
  const exponentMax: u64 = (1 << exponentBits) - 1;
  const bias: i32 = (1 << (exponentBits - 1)) - 1;
  const sign = (<u64>signR) << (fraction + exponentBits);
  const payload = (significandR << 1) >> (64 - fraction);
  if (classR == ZERO) return sign;
  if (classR == INFINITE) return sign | (exponentMax << fraction);
  if (isNan(classR)) return sign | (exponentMax << fraction) | payload;
  if (!(significandR & TOP)) return sign | (significandR >> (63 - fraction));
  return sign | ((<u64>(exponentR + bias)) << fraction) | payload;
}
/** R rounded and packed. */
export function pack32(): u64 {
  round(24, -126, 127);
  return pack(23, 8);
}
export function pack64(): u64 {
  round(53, -1022, 1023);
  return pack(52, 11);
}
/** The sign and exponent word of R rounded to x87's extended format; the significand stays in significandR. */
export function pack80(precision: i32): u32 {
  rebiased = true;
  round(precision, -16382, 16383);
  rebiased = false;
  const sign = signR << 15;
  if (classR == ZERO) {
    significandR = 0;
    return sign;
  }
  if (classR == INFINITE) {
    significandR = TOP;
    return sign | 0x7fff;
  }
  if (isNan(classR)) return sign | 0x7fff;
  if (!(significandR & TOP)) return sign;
  return sign | <u32>(exponentR + 16383);
}

// --- special operands ---

export function defaultNan(): void {
  setResult(QUIET, 1, 0, TOP | (TOP >> 1), 0);
}
export function invalid(): void {
  raised |= INVALID;
  defaultNan();
}
export function takeA(): void {
  setResult(classA, signA, exponentA, significandA, 0);
}
function takeB(): void {
  setResult(classB, signB, exponentB, significandB, 0);
}
function quieten(): void {
  classR = QUIET;
  significandR |= TOP >> 1;
}
/** R := the NaN that SSE gives for A and B: the first operand's if it is one, else the second's. */
export function propagateNan(): bool {
  if (!isNan(classA) && !isNan(classB)) return false;
  if (classA == SIGNALLING || classB == SIGNALLING) raised |= INVALID;
  if (isNan(classA)) takeA();
  else takeB();
  quieten();
  return true;
}
/** R := the NaN that x87 gives: a quiet one before a signalling one, then the larger significand, then the plus. */
export function propagateLargerNan(): bool {
  if (!isNan(classA) && !isNan(classB)) return false;
  if (classA == SIGNALLING || classB == SIGNALLING) raised |= INVALID;
  let first: bool;
  if (!isNan(classB)) first = true;
  else if (!isNan(classA)) first = false;
  else if (classA != classB) first = classA == QUIET;
  else if (significandA != significandB) first = significandA > significandB;
  else first = signA == 0;
  if (first) takeA();
  else takeB();
  quieten();
  return true;
}
export function propagateNanA(): bool {
  if (!isNan(classA)) return false;
  if (classA == SIGNALLING) raised |= INVALID;
  takeA();
  quieten();
  return true;
}
export function noteDenormals(): void {
  if (denormalA || denormalB) raised |= DENORMAL;
}
export function noteDenormalA(): void {
  if (denormalA) raised |= DENORMAL;
}
export function clearB(): void {
  classB = ZERO;
  denormalB = false;
}

// --- arithmetic on A and B, neither of them a NaN; R is not rounded yet ---

export function add(): void {
  noteDenormals();
  if (classA == INFINITE) {
    if (classB == INFINITE && signA != signB) invalid();
    else takeA();
  } else if (classB == INFINITE) takeB();
  else if (classA == ZERO && classB == ZERO) {
    const sign: u32 = signA == signB ? signA : rounding == DOWN ? 1 : 0;
    setResult(ZERO, sign, 0, 0, 0);
  } else if (classB == ZERO) takeA();
  else if (classA == ZERO) takeB();
  else addFinite();
}

function addFinite(): void {
  if (exponentA < exponentB || (exponentA == exponentB && significandA < significandB)) swap();
  // B, the smaller magnitude, aligned under A
  setResult(FINITE, signB, exponentA, significandB, 0);
  shiftRightSticky(exponentA - exponentB);
  if (signA == signB) {
    const sum = significandA + significandR;
    const carry = sum < significandA;
    significandR = sum;
    signR = signA;
    if (carry) {
      shiftRightSticky(1);
      significandR |= TOP;
      exponentR++;
    }
    return;
  }
  const low = <u64>0 - extraR;
  significandR = significandA - significandR - (extraR != 0 ? 1 : 0);
  extraR = low;
  signR = signA;
  if ((significandR | extraR) == 0) setResult(ZERO, rounding == DOWN ? 1 : 0, 0, 0, 0);
  else normalize();
}

/** Moves R's top bit to where it belongs. */
export function normalize(): void {
  if (significandR == 0) {
    significandR = extraR;
    extraR = 0;
    exponentR -= 64;
  }
  const zeros = <i32>clz(significandR);
  if (zeros > 0) {
    significandR = (significandR << zeros) | (extraR >> (64 - zeros));
    extraR <<= zeros;
    exponentR -= zeros;
  }
}

export function subtract(): void {
  signB ^= 1;
  add();
}

export function multiply(): void {
  const sign = signA ^ signB;
  if (classA == INFINITE || classB == INFINITE) {
    noteDenormals();
    if (classA == ZERO || classB == ZERO) invalid();
    else setResult(INFINITE, sign, 0, TOP, 0);
    return;
  }
  noteDenormals();
  if (classA == ZERO || classB == ZERO) {
    setResult(ZERO, sign, 0, 0, 0);
    return;
  }
  const high = multiplyHigh(significandA, significandB);
  setResult(FINITE, sign, exponentA + exponentB + 1, high, significandA * significandB);
  normalize();
}

export function divide(): void {
  const sign = signA ^ signB;
  if (classB != ZERO) noteDenormals();
  if (classA == INFINITE) {
    if (classB == INFINITE) invalid();
    else setResult(INFINITE, sign, 0, TOP, 0);
  } else if (classB == INFINITE) setResult(ZERO, sign, 0, 0, 0);
  else if (classB == ZERO) {
    if (classA == ZERO) invalid();
    else {
      raised |= ZERO_DIVIDE;
      setResult(INFINITE, sign, 0, TOP, 0);
    }
  } else if (classA == ZERO) setResult(ZERO, sign, 0, 0, 0);
  else divideFinite(sign);
}

/** A quotient of 64 bits with a guard and a sticky bit. */
function divideFinite(sign: u32): void {
  const larger = significandA >= significandB;
  const high = larger ? significandA >> 1 : significandA;
  const quotient = divideWide(high, larger ? significandA << 63 : 0, significandB);
  const exponent = exponentA - exponentB - (larger ? 0 : 1);
  setResult(FINITE, sign, exponent, quotient, belowQuotient(rest, significandB));
}
/** What is left of a division as bits below the quotient: a guard and a sticky bit. */
export function belowQuotient(left: u64, divisor: u64): u64 {
  if (left == 0) return 0;
  const other = divisor - left;
  return left < other ? 1 : left == other ? TOP : TOP | 1;
}

/** R := the square root of A. */
export function squareRoot(): void {
  if (classA == ZERO) {
    takeA();
    return;
  }
  if (signA) {
    invalid();
    return;
  }
  noteDenormalA();
  if (classA == INFINITE) {
    takeA();
    return;
  }
  const odd = exponentA & 1;
  const root = rootWide(odd ? significandA : significandA >> 1, odd ? 0 : significandA << 63);
  setResult(FINITE, 0, exponentA >> 1, root, belowRoot(root));
}
/** What rootWide() left as bits below the root: a guard and a sticky bit. It is never half. */
export function belowRoot(root: u64): u64 {
  const more = restHigh != 0 || rest > root;
  return (more ? TOP : 0) | (restHigh | rest ? 1 : 0);
}

// --- comparison of A and B: bit 0 less, bit 1 equal, bit 2 unordered ---
export const LESS: u32 = 1;
export const EQUAL: u32 = 2;
export const UNORDERED: u32 = 4;

/** `signalling`: quiet NaNs are invalid, too. */
export function compare(signalling: bool): u32 {
  if (isNan(classA) || isNan(classB)) {
    if (signalling || classA == SIGNALLING || classB == SIGNALLING) raised |= INVALID;
    return UNORDERED;
  }
  noteDenormals();
  if (classA == ZERO && classB == ZERO) return EQUAL;
  if (classA == ZERO) return signB ? 0 : LESS;
  if (classB == ZERO || signA != signB) return signA ? LESS : 0;
  const magnitude = compareMagnitudes();
  if (magnitude == 0) return EQUAL;
  return magnitude < 0 != (signA != 0) ? LESS : 0;
}
function compareMagnitudes(): i32 {
  if (classA == INFINITE || classB == INFINITE) return classA == classB ? 0 : classA == INFINITE ? 1 : -1;
  if (exponentA != exponentB) return exponentA < exponentB ? -1 : 1;
  if (significandA == significandB) return 0;
  return significandA < significandB ? -1 : 1;
}

// --- integers ---

/** R := a signed integer, exact until rounded. */
export function fromInteger(value: i64): void {
  if (value == 0) {
    setResult(ZERO, 0, 0, 0, 0);
    return;
  }
  const magnitude: u64 = value < 0 ? <u64>0 - <u64>value : <u64>value;
  const zeros = <i32>clz(magnitude);
  setResult(FINITE, value < 0 ? 1 : 0, 63 - zeros, magnitude << zeros, 0);
}

/** A as a signed integer of that many bits; what does not fit is invalid, and gives the integer indefinite. */
export function toInteger(bits: i32): i64 {
  const indefinite: i64 = <i64>((<u64>-1) << (bits - 1));
  if (classA == ZERO) return 0;
  if (classA != FINITE || exponentA > bits) {
    raised |= INVALID;
    return indefinite;
  }
  takeA();
  // Line the point up below bit 0 of the significand.
  shiftRightSticky(63 - exponentA);
  const before = raised;
  const below = remainder(64);
  roundedUp = goesUp(below, (significandR & 1) != 0);
  if (roundedUp) significandR++;
  if (below != 0) raised |= PRECISION;
  const limit: u64 = ((<u64>1) << (bits - 1)) - (signA ? 0 : 1);
  if (significandR > limit || exponentA > 63) {
    raised = before | INVALID;
    roundedUp = false;
    return indefinite;
  }
  return signA ? -(<i64>significandR) : <i64>significandR;
}

/** R := A rounded to an integer in floating point (FRNDINT). */
export function roundToInteger(): void {
  takeA();
  if (classA != FINITE || exponentA >= 63) return;
  shiftRightSticky(63 - exponentA);
  const below = remainder(64);
  roundedUp = goesUp(below, (significandR & 1) != 0);
  if (roundedUp) significandR++;
  if (below != 0) raised |= PRECISION;
  extraR = 0;
  exponentR = 63;
  if (significandR == 0) classR = ZERO;
  else normalize();
}
