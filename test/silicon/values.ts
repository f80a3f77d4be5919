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

const SINGLES: readonly number[] = [
  0x0000_0000, 0x8000_0000, 0x3f80_0000, 0xbf80_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0xffc0_0001,
  0x7f80_0001, 0xffa0_0000, 0x0000_0001, 0x807f_ffff, 0x0080_0000, 0x7f7f_ffff, 0x4f00_0000, 0xcf00_0000,
  0x4eff_ffff, 0x5f00_0000, 0x3f00_0000, 0x3fc0_0000, 0xc020_0000, 0x4b00_0001, 0x5f80_0000, 0x2000_0000,
]; // biome-ignore format: a table
export function single(random: Random): number {
  const kind = random.below(8);
  if (kind < 3) return pick(random, SINGLES);
  if (kind < 5) return random.bits();
  // near 1, so that sums cancel and quotients are inexact; and integers of conversion size
  if (kind < 7)
    return ((random.below(2) << 31) | (between(random, 120, 140) << 23) | (random.bits() >>> 9)) >>> 0;
  return ((random.below(2) << 31) | (between(random, 140, 192) << 23) | (random.bits() >>> 9)) >>> 0;
}

const DOUBLES: readonly bigint[] = [
  0x0000_0000_0000_0000n, 0x8000_0000_0000_0000n, 0x3ff0_0000_0000_0000n, 0xbff0_0000_0000_0000n,
  0x7ff0_0000_0000_0000n, 0xfff0_0000_0000_0000n, 0x7ff8_0000_0000_0000n, 0xfff8_0000_0000_0001n,
  0x7ff0_0000_0000_0001n, 0xfff4_0000_0000_0000n, 0x0000_0000_0000_0001n, 0x800f_ffff_ffff_ffffn,
  0x0010_0000_0000_0000n, 0x7fef_ffff_ffff_ffffn, 0x41e0_0000_0000_0000n, 0xc1e0_0000_0000_0000n,
  0xc1e0_0000_0020_0000n, 0x41df_ffff_ffc0_0000n, 0x41df_ffff_ffe0_0000n, 0x43e0_0000_0000_0000n,
  0xc3e0_0000_0000_0000n, 0x3fe0_0000_0000_0000n, 0x3ff8_0000_0000_0000n, 0xc004_0000_0000_0000n,
  0x47ef_ffff_e000_0000n, 0x47ef_ffff_f000_0000n, 0x3690_0000_0000_0000n, 0x380f_ffff_ffff_ffffn,
]; // biome-ignore format: a table
export function double(random: Random): bigint {
  const kind = random.below(8);
  if (kind < 3) return pick(random, DOUBLES);
  if (kind < 5) return random64(random);
  const low = kind < 7 ? 1015 : 1050;
  const exponent = BigInt(between(random, low, low + 30));
  return (
    (BigInt(random.below(2)) << 63n) |
    (exponent << 52n) |
    (random64(random) & (chance(random, 50) ? 0xf_ffff_ffff_ffffn : 0xf_ffff_e000_0000n))
  );
}

/** 16 bytes (or 8) as integers of some width, or as floats. */
export function vector(random: Random, to: DataView, at: number, bytes: 8 | 16 = 16): void {
  switch (random.below(5)) {
    case 0:
    case 1:
      for (let i = 0; i < bytes; i += 4) to.setUint32(at + i, single(random), true);
      break;
    case 2:
    case 3:
      for (let i = 0; i < bytes; i += 8) to.setBigUint64(at + i, double(random), true);
      break;
    default:
      for (let i = 0; i < bytes; i += 2) to.setUint16(at + i, Number(integer(random) & 0xffffn), true);
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
