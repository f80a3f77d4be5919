// Products, quotients and roots of 64-bit significands, with what is left over: what floating point in integers rests
// on. D. E. Knuth, The Art of Computer Programming, vol. 2, 4.3.1, algorithm D, in base 2^32.

const HALF: u64 = 0xffff_ffff;
const TWO_TO_32: f64 = 4294967296.0;
const TWO_TO_64: f64 = 18446744073709551616.0;

/** The upper half of a product of 64-bit numbers. */
export function multiplyHigh(a: u64, b: u64): u64 {
  const a0 = a & HALF;
  const a1 = a >> 32;
  const b0 = b & HALF;
  const b1 = b >> 32;
  const middle = a1 * b0 + ((a0 * b0) >> 32);
  const cross = a0 * b1 + (middle & HALF);
  return a1 * b1 + (middle >> 32) + (cross >> 32);
}

/** What divideWide() and rootWide() left over; of a root, its bit 64 apart. */
export let rest: u64 = 0;
export let restHigh: u64 = 0;

/** high:low / divisor, where the divisor's top bit is set and high is below it. */
export function divideWide(high: u64, low: u64, divisor: u64): u64 {
  const d1 = divisor >> 32;
  const d0 = divisor & HALF;
  const q1 = digit(high, low >> 32, d1, d0);
  const middle = (high << 32) + (low >> 32) - q1 * divisor;
  const q0 = digit(middle, low & HALF, d1, d0);
  rest = (middle << 32) + (low & HALF) - q0 * divisor;
  return (q1 << 32) | q0;
}
/** One digit: of high * 2^32 + next by d1:d0. The estimate is at most two too large. */
function digit(high: u64, next: u64, d1: u64, d0: u64): u64 {
  let q = high / d1;
  let r = high - q * d1;
  while (q > HALF || q * d0 > ((r << 32) | next)) {
    q--;
    r += d1;
    if (r > HALF) break;
  }
  return q;
}

/**
 * The root of high:low, 2^126 or more, rounded down: an estimate by the host's floats, put right in integers. What is
 * left is at most twice the root: restHigh:rest.
 */
export function rootWide(high: u64, low: u64): u64 {
  const estimate = sqrt<f64>(<f64>high) * TWO_TO_32;
  let root: u64 = estimate >= TWO_TO_64 ? ~(<u64>0) : <u64>estimate;
  // The estimate is within 2^12, and one step of Newton's brings it within 2.
  remain(high, low, root);
  const left = <f64>(<i64>restHigh) * TWO_TO_64 + <f64>rest;
  const step = <i64>(left / (2.0 * <f64>root));
  const moved = root + <u64>step;
  // Past either end of 64 bits the corrections below do the rest.
  if (step >= 0 ? moved >= root : moved < root) root = moved;
  else root = ~(<u64>0);
  remain(high, low, root);
  while (<i64>restHigh < 0) {
    root--;
    add(root);
    add(root);
    add(1);
  }
  while (restHigh > root >> 63 || (restHigh == root >> 63 && rest > root << 1)) {
    subtract(root);
    subtract(root);
    subtract(1);
    root++;
  }
  return root;
}
/** restHigh:rest := high:low - root^2, signed. */
function remain(high: u64, low: u64, root: u64): void {
  const square = root * root;
  restHigh = high - multiplyHigh(root, root) - (low < square ? 1 : 0);
  rest = low - square;
}
function add(n: u64): void {
  rest += n;
  if (rest < n) restHigh++;
}
function subtract(n: u64): void {
  if (rest < n) restHigh--;
  rest -= n;
}
