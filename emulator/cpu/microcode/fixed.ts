// Unsigned fixed-point numbers of 128 bits for the transcendental functions (elementary.ts): two words, high and low,
// that stand for (high * 2^64 + low) * 2^-127, from 0 to just below 2. Results are cut, not rounded: an error of a unit
// in bit 127 at most.
//
// Invariant: every operation leaves its result in `high` and `low`, and nothing else is kept between operations.

import { multiplyHigh } from "./wide";

export let high: u64 = 0;
export let low: u64 = 0;

export const ONE: u64 = 1 << 63; // the high word of 1

export function set(h: u64, l: u64): void {
  high = h;
  low = l;
}

/** a * b, which must be below 2. */
export function multiply(ah: u64, al: u64, bh: u64, bl: u64): void {
  const cross = ah * bl;
  const middle = cross + al * bh;
  const below = middle + multiplyHigh(al, bl);
  let carry: u64 = u64(middle < cross) + u64(below < middle);
  let upper = ah * bh;
  let top = multiplyHigh(ah, bh);
  upper += carry;
  top += u64(upper < carry);
  carry = multiplyHigh(ah, bl);
  upper += carry;
  top += u64(upper < carry);
  carry = multiplyHigh(al, bh);
  upper += carry;
  top += u64(upper < carry);
  set((top << 1) | (upper >> 63), (upper << 1) | (below >> 63));
}

/** a / n for an integer below 2^32. */
export function divideByInteger(ah: u64, al: u64, n: u64): void {
  const first = ((ah % n) << 32) | (al >> 32);
  const second = ((first % n) << 32) | (al & 0xffff_ffff);
  set(ah / n, ((first / n) << 32) | (second / n));
}

/** a / b, which must be below 2: 128 bits of quotient, one a step. */
export function divide(ah: u64, al: u64, bh: u64, bl: u64): void {
  let quotientHigh: u64 = 0;
  let quotient: u64 = 0;
  let carry = false;
  for (let i = 0; i < 128; i++) {
    quotientHigh = (quotientHigh << 1) | (quotient >> 63);
    quotient <<= 1;
    if (carry || ah > bh || (ah == bh && al >= bl)) {
      ah = ah - bh - u64(al < bl);
      al -= bl;
      quotient |= 1;
    }
    carry = ah >> 63 != 0;
    ah = (ah << 1) | (al >> 63);
    al <<= 1;
  }
  set(quotientHigh, quotient);
}

export function add(ah: u64, al: u64, bh: u64, bl: u64): void {
  const sum = al + bl;
  set(ah + bh + u64(sum < al), sum);
}
export function subtract(ah: u64, al: u64, bh: u64, bl: u64): void {
  set(ah - bh - u64(al < bl), al - bl);
}
/** 1 - a. */
export function complement(ah: u64, al: u64): void {
  subtract(ONE, 0, ah, al);
}
/** 1 + a. */
export function increment(ah: u64, al: u64): void {
  set(ONE + ah, al);
}

export function shiftRight(h: u64, l: u64, count: i32): void {
  if (count <= 0) set(h, l);
  else if (count >= 128) set(0, 0);
  else if (count >= 64) set(0, count == 64 ? h : h >> (count - 64));
  else set(h >> count, (l >> count) | (h << (64 - count)));
}

/** Moves the top bit of what is not zero to the top; gives by how many places. */
export function normalize(): i32 {
  let places = 0;
  if (high == 0) {
    high = low;
    low = 0;
    places = 64;
  }
  const zeros = <i32>clz(high);
  if (zeros > 0) {
    high = (high << zeros) | (low >> (64 - zeros));
    low <<= zeros;
  }
  return places + zeros;
}
