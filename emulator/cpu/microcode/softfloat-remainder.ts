// FSCALE, FPREM and FPREM1 on the numbers of softfloat.ts: exact. Intel SDM vol. 2.

import * as soft from "./softfloat";

/** R := A * 2^trunc(B) (FSCALE), neither of them a NaN. */
export function scale(): void {
  soft.noteDenormals();
  if (soft.classB == soft.INFINITE) {
    const down = soft.signB != 0;
    if (soft.classA == (down ? soft.INFINITE : soft.ZERO)) soft.invalid();
    else soft.setResult(down ? soft.ZERO : soft.INFINITE, soft.signA, 0, (<u64>1) << 63, 0);
    return;
  }
  soft.takeA();
  if (soft.classA != soft.FINITE || soft.classB != soft.FINITE || soft.exponentB < 0) return;
  // Beyond this every result overflows or underflows all the same.
  const most: i32 = 0x1_0000;
  const by: i32 = soft.exponentB >= 17 ? most : <i32>(soft.significandB >> (63 - soft.exponentB));
  soft.setResult(soft.FINITE, soft.signA, soft.exponentA + (soft.signB ? -by : by), soft.significandA, 0);
}

/** What partialRemainder() gives when the exponents are too far apart for one step. */
export const INCOMPLETE: u64 = ~0;
/** ... and when the operands have no remainder. */
export const NO_QUOTIENT: u64 = ~1;

// The rest, as R's significand and extra bits will be
let rest: u64 = 0;
let extra: u64 = 0;

/** R := A - B * quotient, exactly; gives the quotient's low bits. `nearest`: FPREM1. */
export function partialRemainder(nearest: bool): u64 {
  if (soft.classA == soft.INFINITE || soft.classB == soft.ZERO) {
    soft.invalid();
    return NO_QUOTIENT;
  }
  soft.noteDenormals();
  soft.takeA();
  if (soft.classA == soft.ZERO || soft.classB == soft.INFINITE) return 0;
  const apart = soft.exponentA - soft.exponentB;
  if (apart < -1 || (apart < 0 && !nearest)) return 0;
  extra = 0;
  if (apart >= 64) {
    // 32 to 63 bits at a time
    const steps = 32 + (apart & 31);
    divideOut(steps);
    finish(soft.signA, soft.exponentA - steps);
    return INCOMPLETE;
  }
  if (apart < 0) return halfOrMore();
  const quotient = divideOut(apart);
  const left = soft.significandB - rest;
  if (nearest && (rest > left || (rest == left && (quotient & 1) != 0))) {
    rest = left;
    finish(soft.signA ^ 1, soft.exponentB);
    return quotient + 1;
  }
  finish(soft.signA, soft.exponentB);
  return quotient;
}

/** rest := what is left after `steps` + 1 quotient bits, which it gives. */
function divideOut(steps: i32): u64 {
  rest = soft.significandA;
  let carry = false;
  let quotient: u64 = 0;
  for (let i = steps; i >= 0; i--) {
    quotient <<= 1;
    if (carry || rest >= soft.significandB) {
      rest -= soft.significandB;
      quotient |= 1;
    }
    if (i > 0) {
      carry = rest >> 63 != 0;
      rest <<= 1;
    }
  }
  return quotient;
}

/** FPREM1 of an A between a quarter of B and B: the nearest multiple is 0, or B when A is more than half of it. */
function halfOrMore(): u64 {
  // Below B by one in the exponent: the significands compare A with half of B.
  if (soft.significandA <= soft.significandB) return 0;
  // B - A, A's significand moved one place down
  extra = <u64>0 - (soft.significandA << 63);
  rest = soft.significandB - (soft.significandA >> 1) - (extra != 0 ? 1 : 0);
  finish(soft.signA ^ 1, soft.exponentB);
  return 1;
}

function finish(sign: u32, exponent: i32): void {
  if ((rest | extra) == 0) {
    soft.setResult(soft.ZERO, soft.signA, 0, 0, 0);
    return;
  }
  soft.setResult(soft.FINITE, sign, exponent, rest, extra);
  soft.normalize();
}
