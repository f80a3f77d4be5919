// Sine, cosine, tangent, arctangent, base-2 logarithm and 2^x - 1 of extended reals, with some 120 correct bits, so that
// x87 results (x87-transcendental.ts) are within one unit of their last place in every rounding mode.
// Intel SDM vol. 1, 8.3.8 (argument reduction by a pi of 66 bits) and 8.3.10 (accuracy); AMD's processors do the same.
//
// A result is significand (result.high, result.low: top bit set) * 2^(exponent - 127), its sign apart. Arguments are
// positive: a significand of 64 bits with its top bit set, and an exponent. Series are Taylor's, evaluated from the
// smallest term on.

import * as fixed from "./fixed";
import { ONE } from "./fixed";

export let exponent: i32 = 0;
export let sign: u32 = 0;

/** Multiplies what is in `fixed` by a, both below 2 and their product too. */
function times(ah: u64, al: u64): void {
  fixed.multiply(fixed.high, fixed.low, ah, al);
}
function over(n: u64): void {
  fixed.divideByInteger(fixed.high, fixed.low, n);
}
function normalizeFrom(start: i32): void {
  exponent = start - fixed.normalize();
}

// --- sine and cosine ---

/** The argument less a multiple of pi/2, at most pi/4: significand, exponent and sign; and which multiple. */
let restHigh: u64 = 0;
let restLow: u64 = 0;
let restExponent: i32 = 0;
let restNegative: bool = false;
let quadrant: u32 = 0;

// pi/2 in units of 2^-65: pi has 66 bits
const HALF_PI_HIGH: u64 = 3;
const HALF_PI_LOW: u64 = 0x243f_6a88_85a3_08d3;
const QUARTER_PI: u64 = 0xc90f_daa2_2168_c234; // * 2^-64

/** Of an argument below 2^63. */
function reduce(significand: u64, from: i32): void {
  restNegative = false;
  quadrant = 0;
  if (from < -1 || (from == -1 && significand <= QUARTER_PI)) {
    restHigh = significand;
    restLow = 0;
    restExponent = from;
    return;
  }
  // Long division in those units, one bit of the quotient a step
  let high = significand >> 63;
  let low = significand << 1;
  for (let left = from + 1; left >= 0; left--) {
    quadrant <<= 1;
    if (high > HALF_PI_HIGH || (high == HALF_PI_HIGH && low >= HALF_PI_LOW)) {
      high = high - HALF_PI_HIGH - u64(low < HALF_PI_LOW);
      low -= HALF_PI_LOW;
      quadrant |= 1;
    }
    if (left > 0) {
      high = (high << 1) | (low >> 63);
      low <<= 1;
    }
  }
  fixed.subtract(HALF_PI_HIGH, HALF_PI_LOW, high, low);
  restNegative = high > fixed.high || (high == fixed.high && low > fixed.low);
  if (restNegative) quadrant++;
  else fixed.set(high, low);
  restExponent = 127 - 65 - fixed.normalize();
  restHigh = fixed.high;
  restLow = fixed.low;
}

let squareHigh: u64 = 0;
let squareLow: u64 = 0;
/** square := (high, low)^2 * 2^(2 * exponent). */
function setSquare(high: u64, low: u64, at: i32): void {
  fixed.shiftRight(high, low, -at);
  times(fixed.high, fixed.low);
  squareHigh = fixed.high;
  squareLow = fixed.low;
}

const TRIGONOMETRIC_TERMS: u64 = 17;

/** 1 - r^2/(first * (first + 1)) * (1 - r^2/...): the cosine's series from 1, the sine's divided by r from 2. */
function alternating(first: u64): void {
  fixed.set(ONE, 0);
  for (let i = first + 2 * (TRIGONOMETRIC_TERMS - 1); i >= first; i -= 2) {
    times(squareHigh, squareLow);
    over(i * (i + 1));
    fixed.complement(fixed.high, fixed.low);
    if (i == first) break;
  }
}
/** What was cut off when the square is too small to show. */
function justBelow(): void {
  fixed.subtract(fixed.high, fixed.low, 0, 1);
}

/** Of the rest. */
function sineOfRest(): void {
  setSquare(restHigh, restLow, restExponent);
  alternating(2);
  times(restHigh, restLow);
  if ((squareHigh | squareLow) == 0) justBelow();
  normalizeFrom(restExponent);
}
function cosineOfRest(): void {
  setSquare(restHigh, restLow, restExponent);
  alternating(1);
  if ((squareHigh | squareLow) == 0) justBelow();
  normalizeFrom(0);
}

function sineOf(turns: u32, negative: bool): void {
  if (turns & 1) cosineOfRest();
  else sineOfRest();
  sign = u32(negative) ^ ((turns >> 1) & 1) ^ (turns & 1 ? 0 : u32(restNegative));
}
export function sine(negative: bool, significand: u64, from: i32): void {
  reduce(significand, from);
  sineOf(quadrant, negative);
}
export function cosine(significand: u64, from: i32): void {
  reduce(significand, from);
  sineOf(quadrant + 1, false);
}

export function tangent(negative: bool, significand: u64, from: i32): void {
  reduce(significand, from);
  cosineOfRest();
  fixed.shiftRight(fixed.high, fixed.low, -exponent);
  const cosineHigh = fixed.high;
  const cosineLow = fixed.low;
  sineOfRest();
  const sineHigh = fixed.high;
  const sineLow = fixed.low;
  sign = u32(negative) ^ u32(restNegative) ^ (quadrant & 1);
  if (quadrant & 1) {
    fixed.divide(cosineHigh, cosineLow, sineHigh, sineLow);
    normalizeFrom(-exponent);
  } else {
    fixed.shiftRight(sineHigh, sineLow, 1);
    fixed.divide(fixed.high, fixed.low, cosineHigh, cosineLow);
    normalizeFrom(exponent + 1);
  }
}

// --- arctangent ---

// pi * 2^126
const PI_HIGH: u64 = 0xc90f_daa2_2168_c234;
const PI_LOW: u64 = 0xc4c6_628b_80dc_1cd1;

/** 1 - z^2/3 + z^4/5 ...: arctangent's series over z, for z up to 0.4143. */
function arctangentSeries(): void {
  const terms: u64 = 48;
  fixed.set(0, 0);
  for (let n = terms; n > 0; n--) {
    times(squareHigh, squareLow);
    const high = fixed.high;
    const low = fixed.low;
    fixed.divideByInteger(ONE, 0, 2 * n - 1);
    fixed.subtract(fixed.high, fixed.low, high, low);
  }
}

/** arctan(y / x) of what is not zero, in the quadrant of their signs; the sign of the result is y's. */
export function arctangent(y: u64, exponentY: i32, x: u64, exponentX: i32, leftHalf: bool): void {
  const steep = exponentY > exponentX || (exponentY == exponentX && y > x);
  const small = steep ? x : y;
  const big = steep ? y : x;
  const apart = steep ? exponentY - exponentX : exponentX - exponentY;
  smallAngle(small, big, apart);
  if (!steep && !leftHalf) return;
  // pi/2 - angle, pi/2 + angle, or pi - angle, in units of 2^-126
  fixed.shiftRight(fixed.high, fixed.low, 1 - exponent);
  const high = fixed.high;
  const low = fixed.low;
  if (steep) fixed.shiftRight(PI_HIGH, PI_LOW, 1);
  else fixed.set(PI_HIGH, PI_LOW);
  if (steep && leftHalf) fixed.add(fixed.high, fixed.low, high, low);
  else fixed.subtract(fixed.high, fixed.low, high, low);
  normalizeFrom(1);
}

/** arctan(small / big * 2^-apart), at most pi/4. */
function smallAngle(small: u64, big: u64, apart: i32): void {
  fixed.divide(small >> 1, small << 63, big, 0);
  const from = 1 - apart - fixed.normalize();
  const high = fixed.high;
  const low = fixed.low;
  // Up to sqrt(2) - 1 the series itself; above, pi/4 less the arctangent of (1 - z) / (1 + z).
  const SQRT2_MINUS_1: u64 = 0xd413_cccf_e779_9211; // * 2^-65
  if (from < -2 || (from == -2 && high <= SQRT2_MINUS_1)) {
    setSquare(high, low, from);
    arctangentSeries();
    times(high, low);
    if ((squareHigh | squareLow) == 0) justBelow();
    normalizeFrom(from);
    return;
  }
  fixed.shiftRight(small, 0, apart + 2);
  const smallHigh = fixed.high;
  const smallLow = fixed.low;
  fixed.add(big >> 2, big << 62, smallHigh, smallLow);
  const sumHigh = fixed.high;
  const sumLow = fixed.low;
  fixed.subtract(big >> 2, big << 62, smallHigh, smallLow);
  fixed.divide(fixed.high, fixed.low, sumHigh, sumLow);
  const ratioHigh = fixed.high;
  const ratioLow = fixed.low;
  setSquare(ratioHigh, ratioLow, 0);
  arctangentSeries();
  times(ratioHigh, ratioLow);
  const angleHigh = fixed.high;
  const angleLow = fixed.low;
  fixed.shiftRight(PI_HIGH, PI_LOW, 1);
  fixed.subtract(fixed.high, fixed.low, angleHigh, angleLow);
  normalizeFrom(0);
}

// --- logarithm ---

// log2(e) * 2^127, ln(2) * 2^128, sqrt(2) * 2^63
const LOG2_E_HIGH: u64 = 0xb8aa_3b29_5c17_f0bb;
const LOG2_E_LOW: u64 = 0xbe87_fed0_691d_3e89;
const LN_2_HIGH: u64 = 0xb172_17f7_d1cf_79ab;
const LN_2_LOW: u64 = 0xc9e3_b398_03f2_f6af;
const SQRT_2: u64 = 0xb504_f333_f9de_6484;

/**
 * 2 / ln 2 * artanh(s) of s = (high, low) * 2^at, below 0.172; gives whether it is not 0. Nothing is lost near 0.
 */
function logarithmSeries(high: u64, low: u64, at: i32): void {
  setSquare(high, low, at);
  const terms: u64 = 25;
  fixed.set(0, 0);
  for (let n = terms; n > 0; n--) {
    times(squareHigh, squareLow);
    const sumHigh = fixed.high;
    const sumLow = fixed.low;
    fixed.divideByInteger(ONE, 0, 2 * n - 1);
    fixed.add(fixed.high, fixed.low, sumHigh, sumLow);
  }
  times(high, low);
  times(LOG2_E_HIGH, LOG2_E_LOW);
  normalizeFrom(at + 1);
}

/** y * log2(x), x not 1: the sign is that of the logarithm. */
export function logarithm(y: u64, exponentY: i32, x: u64, exponentX: i32): void {
  logarithmOf(x, 0, exponentX);
  multiplyBy(y, exponentY);
}
function logarithmOf(high: u64, low: u64, from: i32): void {
  // x = m * 2^whole, m from 1/sqrt(2) to sqrt(2)
  const above = high > SQRT_2;
  const whole = above ? from + 1 : from;
  if (above) fixed.shiftRight(high, low, 1);
  else fixed.set(high, low);
  const m = fixed.high;
  const mLow = fixed.low;
  const below = m < ONE;
  if (below) fixed.complement(m, mLow);
  else fixed.subtract(m, mLow, ONE, 0);
  if ((fixed.high | fixed.low) == 0) {
    fixed.set(<u64>(whole < 0 ? -whole : whole), 0);
    sign = u32(whole < 0);
    normalizeFrom(63);
    return;
  }
  // s = (m - 1) / (m + 1)
  const places = fixed.normalize();
  fixed.shiftRight(fixed.high, fixed.low, 1);
  const differenceHigh = fixed.high;
  const differenceLow = fixed.low;
  fixed.shiftRight(m, mLow, 1);
  fixed.divide(differenceHigh, differenceLow, fixed.high + (ONE >> 1), fixed.low);
  logarithmSeries(fixed.high, fixed.low, -places);
  sign = u32(below);
  if (whole != 0) addWhole(whole);
}
/** Adds an integer other than 0 to a logarithm between -1/2 and 1/2. In units of 2^-111. */
function addWhole(whole: i32): void {
  fixed.shiftRight(fixed.high, fixed.low, 16 - exponent);
  const high = (<u64>(whole < 0 ? -whole : whole)) << 47;
  if (sign == u32(whole < 0)) fixed.add(high, 0, fixed.high, fixed.low);
  else fixed.subtract(high, 0, fixed.high, fixed.low);
  sign = u32(whole < 0);
  normalizeFrom(16);
}
function multiplyBy(significand: u64, by: i32): void {
  times(significand >> 1, significand << 63);
  normalizeFrom(exponent + by + 1);
}

/** y * log2(1 + x), x above -1: the sign is that of the logarithm. */
export function logarithmPlus1(y: u64, exponentY: i32, negative: bool, x: u64, exponentX: i32): void {
  if (exponentX < -2) {
    // s = x / (2 + x), so that nothing of a small x is lost: half of x over 1 + x / 2
    fixed.shiftRight(x, 0, 1 - exponentX);
    if (negative) fixed.complement(fixed.high, fixed.low);
    else fixed.increment(fixed.high, fixed.low);
    fixed.divide(x >> 1, x << 63, fixed.high, fixed.low);
    logarithmSeries(fixed.high, fixed.low, exponentX);
    sign = u32(negative);
  } else if (exponentX < 0) {
    fixed.shiftRight(x, 0, -exponentX);
    if (negative) fixed.complement(fixed.high, fixed.low);
    else fixed.increment(fixed.high, fixed.low);
    const places = fixed.normalize();
    logarithmOf(fixed.high, fixed.low, -places);
  } else {
    // 1 + x, moved down by exponentX + 1 places
    fixed.shiftRight(ONE, 0, exponentX + 1);
    fixed.add(x >> 1, x << 63, fixed.high, fixed.low);
    const places = fixed.normalize();
    logarithmOf(fixed.high, fixed.low, exponentX + 1 - places);
  }
  multiplyBy(y, exponentY);
}

// --- 2^x - 1 ---

/** Of x from -1 to 1 but 0; the sign is x's. */
export function exponential(negative: bool, x: u64, exponentX: i32): void {
  // e^a - 1, a = x * ln 2: a * (1 + a/2 * (1 + a/3 * ...))
  fixed.multiply(x >> 1, x << 63, LN_2_HIGH, LN_2_LOW);
  const from = exponentX - fixed.normalize();
  const high = fixed.high;
  const low = fixed.low;
  fixed.shiftRight(high, low, -from);
  const argument = fixed.high;
  const argumentLow = fixed.low;
  const terms: u64 = 33;
  fixed.set(ONE, 0);
  for (let n = terms; n > 1; n--) {
    times(argument, argumentLow);
    over(n);
    if (negative) fixed.complement(fixed.high, fixed.low);
    else fixed.increment(fixed.high, fixed.low);
  }
  fixed.shiftRight(fixed.high, fixed.low, 1);
  times(high, low);
  normalizeFrom(from + 1);
}
