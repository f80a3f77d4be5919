// Elementary functions to a few hundred bits, in integers: what x87's transcendental results are held against. A number
// is a BigInt in units of 2^-BITS. Slow and plain on purpose, by other series than the emulator's where there are some.

export const BITS = 420n;
const ONE = 1n << BITS;

const times = (a: bigint, b: bigint): bigint => (a * b) >> BITS;
const over = (a: bigint, b: bigint): bigint => (a << BITS) / b;

/** x87's pi has 66 bits. Intel SDM vol. 1, 8.3.8. */
const HALF_PI_66 = 0x3_243f_6a88_85a3_08d3n << (BITS - 65n);

/** The sum of terms that shrink: each from the one before and its number. */
function series(first: bigint, next: (term: bigint, n: bigint) => bigint): bigint {
  let sum = 0n;
  for (let term = first, n = 1n; term !== 0n && term !== -1n; n++) {
    sum += term;
    term = next(term, n);
  }
  return sum;
}

function sineAndCosine(x: bigint): { sine: bigint; cosine: bigint } {
  let turns = (2n * x + HALF_PI_66) / (2n * HALF_PI_66);
  if (2n * x + HALF_PI_66 < 0n) turns -= 1n;
  const r = x - turns * HALF_PI_66;
  const square = times(r, r);
  const term = (odd: bigint) => (t: bigint, n: bigint) =>
    -times(t, square) / ((2n * n - 1n + odd) * (2n * n + odd));
  const [s, c] = [series(r, term(1n)), series(ONE, term(0n))];
  const quadrant = Number(((turns % 4n) + 4n) % 4n);
  return { sine: [s, c, -s, -c][quadrant], cosine: [c, -s, -c, s][quadrant] };
}

export const sine = (x: bigint): bigint => sineAndCosine(x).sine;
export const cosine = (x: bigint): bigint => sineAndCosine(x).cosine;
export function tangent(x: bigint): bigint {
  const both = sineAndCosine(x);
  return over(both.sine, both.cosine);
}

/** Euler's series: good up to 1. */
function smallArctangent(z: bigint): bigint {
  const square = times(z, z);
  const ratio = over(square, ONE + square);
  return series(over(z, ONE + square), (t, n) => (times(t, ratio) * 2n * n) / (2n * n + 1n));
}
export const pi = 4n * smallArctangent(ONE);

/** Of y / x, in the quadrant of the two. */
export function arctangent(y: bigint, x: bigint): bigint {
  const [a, b] = [y < 0n ? -y : y, x < 0n ? -x : x];
  let angle = a <= b ? smallArctangent(over(a, b)) : pi / 2n - smallArctangent(over(b, a));
  if (x < 0n) angle = pi - angle;
  return y < 0n ? -angle : angle;
}

function logarithm(x: bigint): bigint {
  const s = over(x - ONE, x + ONE);
  const square = times(s, s);
  let power = s;
  let sum = 0n;
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += power / n;
    power = times(power, square);
  }
  return 2n * sum;
}
export const ln2 = logarithm(2n * ONE);

export function logarithm2(x: bigint): bigint {
  let whole = 0n;
  while (x >= 2n * ONE) {
    x >>= 1n;
    whole++;
  }
  while (x < ONE) {
    x <<= 1n;
    whole--;
  }
  return whole * ONE + over(logarithm(x), ln2);
}
export const logarithm2Of1Plus = (x: bigint): bigint => logarithm2(ONE + x);
export const power2Less1 = (x: bigint): bigint => {
  const a = times(x, ln2);
  return series(a, (t, n) => times(t, a) / (n + 1n));
};
export const product = times;
