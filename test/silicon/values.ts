// Random values that find bugs: edges of every width, small numbers, floats with all their oddities.

import type { Random } from "../../emulator/random.js";

export const pick = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)]!;
export const chance = (random: Random, percent: number): boolean => random.below(100) < percent;
export const random64 = (random: Random): bigint => (BigInt(random.bits()) << 32n) | BigInt(random.bits());
export const between = (random: Random, low: number, high: number): number =>
  low + random.below(high - low + 1);

const EDGES: readonly bigint[] = [
  0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn,
  0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n, 0xffff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ff80n,
  0xffff_ffff_8000_0000n, 0x0f0f_0f0f_0f0f_0f0fn, 0x5555_5555_5555_5555n, 0x9999_9999_9999_9999n,
]; // biome-ignore format: a table

export function integer(random: Random): bigint {
  const kind = random.below(8);
  if (kind < 3) return random64(random);
  if (kind < 5) return pick(random, EDGES);
  if (kind < 6) return BigInt.asUintN(64, pick(random, EDGES) + BigInt(between(random, -3, 3)));
  if (kind < 7) return BigInt(random.below(70));
  return 1n << BigInt(random.below(64));
}

// Floats are told as what one field holds, so that the same list serves singles and doubles: sign, biased exponent and
// the top 23 bits of the fraction; the lower bits of a double's fraction are zeros, ones or random.
const FRACTION_BITS = 23;
const ONES = 0x7f_ffff;

/** Exponents in units of the format: `bias` is 1.0's, `most` infinity's. */
interface Format {
  readonly bias: number;
  readonly most: number;
}
const SINGLE: Format = { bias: 127, most: 255 };
const DOUBLE: Format = { bias: 1023, most: 2047 };

interface Float {
  readonly exponent: number;
  readonly fraction: number;
  /** Of what lies below in a double. */
  readonly rest: "zeros" | "ones" | "random";
}
const exact = (exponent: number, fraction: number): Float => ({ exponent, fraction, rest: "zeros" });

/** The corners: zero, denormals, normals at the edges, infinity, NaNs, and where conversions to integers overflow. */
const CORNERS: readonly ((f: Format) => Float)[] = [
  () => exact(0, 0),
  () => exact(0, 0),
  () => ({ exponent: 0, fraction: 0, rest: "random" }),
  () => exact(0, 1),
  () => ({ exponent: 0, fraction: ONES, rest: "ones" }),
  () => exact(1, 0),
  ({ most }) => ({ exponent: most - 1, fraction: ONES, rest: "ones" }),
  ({ most }) => exact(most, 0),
  ({ most }) => exact(most, 0x40_0000),
  ({ most }) => exact(most, 1),
  ({ bias }) => exact(bias, 0),
  ({ bias }) => exact(bias, 1),
  ({ bias }) => ({ exponent: bias - 1, fraction: ONES, rest: "ones" }),
  ({ bias }) => exact(bias + 31, 0),
  ({ bias }) => ({ exponent: bias + 30, fraction: ONES, rest: "ones" }),
  ({ bias }) => exact(bias + 63, 0),
  ({ bias }) => ({ exponent: bias + 62, fraction: ONES, rest: "ones" }),
];

/** A float's fields, by kinds that each instruction should meet often. */
function float(random: Random, f: Format): Float {
  const fraction = random.bits() >>> (32 - FRACTION_BITS);
  const rest = pick(random, ["zeros", "ones", "random", "random"] as const);
  const around = (exponent: number, reach: number): Float => ({
    exponent: between(random, exponent - reach, exponent + reach),
    fraction,
    rest,
  });
  const { bias, most } = f;
  const roll = random.below(20);
  if (roll < 6) return pick(random, CORNERS)(f);
  if (roll < 7) return { exponent: 0, fraction: fraction >> random.below(FRACTION_BITS), rest }; // denormal
  if (roll < 8) return { exponent: most, fraction: fraction | 1, rest }; // NaN with a payload
  if (roll < 9) return { exponent: between(random, most - 6, most - 1), fraction, rest }; // about to overflow
  if (roll < 10) return { exponent: between(random, 1, 30), fraction, rest }; // about to underflow
  if (roll < 11) return around(bias >> 1, 3); // whose products underflow, whose roots do not
  if (roll < 12) return around(bias + (bias >> 1), 3);
  // An integer and a half, or a quarter: ties
  if (roll < 14) return exact(bias + between(random, -2, 8), fraction & (ONES << between(random, 12, 22)));
  // Near 1, so that sums cancel and quotients are inexact; and of the sizes of integers
  if (roll < 17) return around(bias, 12);
  if (roll < 18) return around(bias + 40, 26);
  return { exponent: random.below(most + 1), fraction, rest: "random" };
}

function putSingle(random: Random, to: DataView, at: number): void {
  const { exponent, fraction } = float(random, SINGLE);
  to.setUint32(at, (random.below(2) << 31) | (exponent << FRACTION_BITS) | (fraction & ONES), true);
}
const BELOW = 52 - FRACTION_BITS;
function putDouble(random: Random, to: DataView, at: number): void {
  const { exponent, fraction, rest } = float(random, DOUBLE);
  const below = rest === "zeros" ? 0 : rest === "ones" ? 0x1fff_ffff : random.bits() >>> (32 - BELOW);
  const high = (random.below(2) << 31) | (exponent << 20) | ((fraction & ONES) >> 3);
  to.setUint32(at, ((fraction & 7) << BELOW) | below, true);
  to.setUint32(at + 4, high, true);
}

// biome-ignore format: a table
const WORDS = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0x8001, 0xffff, 0xfffe, 0x7f80, 0x80ff, 0x8080, 0x5555] as const;
const word = (random: Random): number =>
  chance(random, 60) ? pick(random, WORDS) : random.bits() >>> pick(random, [16, 16, 20, 27]);

/** 16 bytes (or 8) as integers of some width, or as floats; mostly of a size that the instruction looks at. */
export function vector(
  random: Random,
  to: DataView,
  at: number,
  bytes: 8 | 16 = 16,
  wanted?: "singles" | "doubles",
): void {
  const rolled = random.below(10);
  const roll = wanted === undefined || chance(random, 30) ? rolled : wanted === "singles" ? 0 : 3;
  if (roll < 3) for (let i = 0; i < bytes; i += 4) putSingle(random, to, at + i);
  else if (roll < 6) for (let i = 0; i < bytes; i += 8) putDouble(random, to, at + i);
  else if (roll < 8) for (let i = 0; i < bytes; i += 2) to.setUint16(at + i, word(random), true);
  else if (roll < 9)
    for (let i = 0; i < bytes; i += 4) to.setInt32(at + i, (word(random) << 16) | word(random), true);
  else for (let i = 0; i < bytes; i += 4) to.setUint32(at + i, random.bits(), true);
}

/** Letters enough to match now and then, and nulls to end a string. */
const LETTERS = [0, 0x61, 0x61, 0x61, 0x62, 0x62, 0x63, 0x7f, 0x80, 0xff] as const;

/** 16 bytes of text, in bytes or words. */
export function text(random: Random, to: DataView, at: number): void {
  const letters = chance(random, 50) ? LETTERS : LETTERS.slice(1);
  const width = random.below(3) === 0 ? 2 : 1;
  for (let i = 0; i < 16; i += width) {
    const letter = pick(random, letters);
    if (width === 1) to.setUint8(at + i, letter);
    else to.setUint16(at + i, letter >= 0x80 ? letter | 0xff00 : letter, true);
  }
}

/** One of two operands made out of the other, element by element: the same, its negative, next to it, its complement. */
export function relate(random: Random, to: DataView, at: number, from: DataView, fromAt: number): void {
  const wide = random.below(2) === 1;
  for (let i = 0; i < 16; i += 4) {
    const value = from.getUint32(fromAt + i, true);
    const top = !wide || i % 8 === 4; // of a double, the sign is in the upper half
    const kind = random.below(wide ? 4 : 5);
    if (kind === 0) to.setUint32(at + i, value, true);
    else if (kind === 1) to.setUint32(at + i, top ? value ^ 0x8000_0000 : value, true);
    else if (kind === 2) to.setUint32(at + i, top ? value : value ^ 1, true);
    else if (kind === 3) to.setUint32(at + i, wide ? value : ~value, true);
  }
}

/** An x87 register: significand, then sign and exponent. */
export function extended(random: Random, to: DataView, at: number): unknown {
  const sign = random.below(2) << 15;
  const put = (significand: bigint, exponent: number) => {
    to.setBigUint64(at, significand, true);
    to.setUint16(at + 8, sign | exponent, true);
  };
  const top = 1n << 63n;
  switch (random.below(12)) {
    case 0:
      return put(0n, 0);
    case 1:
      return put(random64(random) >> BigInt(random.below(64)), 0); // denormal, or pseudo-denormal
    case 2:
      return put(top | (chance(random, 30) ? 0n : random64(random)), 0x7fff); // infinity or NaN
    case 3:
      return put(chance(random, 70) ? top : random64(random), random.below(0x8000)); // may not be a number at all
    case 4:
      return put(
        top | random64(random),
        pick(random, [1, 2, 0x7ffd, 0x7ffe, 0x43fe, 0x3c00, 0x3f81, 0x407e]),
      );
    case 5:
    case 6:
      return put(top | (random64(random) << BigInt(random.below(64))), 16383 + random.below(70));
    case 7:
      return put(top | (BigInt(random.bits()) << 31n), 16383 + between(random, -3, 3));
    default:
      return put(top | random64(random), 16383 + between(random, -40, 40));
  }
}
