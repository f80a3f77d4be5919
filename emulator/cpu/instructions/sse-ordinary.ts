// When the host's own floating point tells everything that an SSE instruction would, and the way out when it does not.
//
// The host's arithmetic gives the bits; MXCSR's flags are the question. Once PE is set and everything is masked, an
// operation on ordinary numbers with an ordinary result can raise nothing new, and that is the fast path: rounding to
// nearest, PE set and masked, operands neither NaN nor denormal, result normal and above the smallest normal. A sum that
// is smaller is exact, so it is as good while tiny results are neither flushed nor trapped; so are zeros out of zeros.
// All else
// (first inexact result, NaNs, denormals, other roundings) goes to the microcode (microcode/float.ts), which computes in
// integers. So flags, rounding modes and #XM are exact. Intel SDM vol. 1, 4.8 and 11.5.

import type { Meaning, Value, Vector } from "./define.js";

export type Size = 32 | 64;

export interface Operation {
  readonly number: number;
  readonly name: string;
}
/** The operations by the microcode's numbers, and their names in WebAssembly. */
export const ADD = { number: 0, name: "add" };
export const SUBTRACT = { number: 1, name: "sub" };
export const MULTIPLY = { number: 2, name: "mul" };
export const DIVIDE = { number: 3, name: "div" };
export const SQUARE_ROOT = { number: 4, name: "sqrt" };
export const MINIMUM = { number: 5, name: "pmin" };
export const MAXIMUM = { number: 6, name: "pmax" };
export const COMPARE = 8;
export const LANE = 0x100;
export const TRUNCATE = 0x200;

// --- what is ordinary ---

export const SMALLEST_NORMAL = { 32: 0x0080_0000n, 64: 0x0010_0000_0000_0000n } as const;
export const INFINITY = { 32: 0x7f80_0000n, 64: 0x7ff0_0000_0000_0000n } as const;
export const SHAPE = { 32: "f32x4", 64: "f64x2" } as const;
export const INTEGER_SHAPE = { 32: "i32x4", 64: "i64x2" } as const;

/** PE set and masked, rounding to nearest: inexact results change nothing. */
export const PE_PM_RC = 0x7020;
export const PE_PM = 0x1020;
export const mxcsrIs = (m: Meaning, mask: number, value: number): Value =>
  m.equal(m.and(m.mxcsr(), m.constant(mask, 32)), m.constant(value, 32));
export const inexactIsNoNews = (m: Meaning): Value => mxcsrIs(m, PE_PM_RC, PE_PM);

export const magnitude = (m: Meaning, v: Value): Value =>
  m.and(v, m.constant((1n << BigInt(v.width - 1)) - 1n, v.width));

/** Neither denormal nor NaN (zero and infinity will do). */
export function isOrdinary(m: Meaning, v: Value, size: Size): Value {
  const constant = (n: bigint) => m.constant(n, size);
  const below = m.minus(magnitude(m, v), constant(1n)); // zero wraps to the top
  const denormal = m.lessUnsigned(below, constant(SMALLEST_NORMAL[size] - 1n));
  const nan = m.lessUnsigned(constant(INFINITY[size]), magnitude(m, v));
  return m.isZero(m.or(denormal, nan));
}
/** Normal, finite, and not so small that it could have been rounded up from a tiny number. */
export function isComfortable(m: Meaning, v: Value, size: Size): Value {
  return isFiniteFrom(m, v, m.constant(SMALLEST_NORMAL[size] + 1n, size));
}
/** The same of a sum or difference. */
export function isComfortableSum(m: Meaning, v: Value, size: Size): Value {
  return isFiniteFrom(m, v, leastSum(m, size));
}
function isFiniteFrom(m: Meaning, v: Value, least: Value): Value {
  const size = v.width as Size;
  const above = m.minus(magnitude(m, v), least);
  return m.lessUnsigned(above, m.minus(m.constant(INFINITY[size], size), least));
}
/** The least magnitude of a sum that raises nothing: anything goes while FTZ is clear and UM set. */
const FTZ_UM = 0x8800;
const UM = 0x800;
const leastSum = (m: Meaning, size: Size): Value =>
  m.select(mxcsrIs(m, FTZ_UM, UM), m.constant(0, size), m.constant(SMALLEST_NORMAL[size] + 1n, size));

export const everywhere = (m: Meaning, bits: bigint, size: Size): Vector => m.splat(m.constant(bits, size));
export const all = (m: Meaning, size: Size, mask: Vector): Value =>
  m.notEqual(m.simdToScalar(`${INTEGER_SHAPE[size]}.all_true`, mask), m.constant(0, 32));

export function ordinaryLanes(m: Meaning, v: Vector, size: Size): Vector {
  const f = SHAPE[size];
  const absolute = m.simd(`${f}.abs`, v);
  const normal = m.simd(`${f}.ge`, absolute, everywhere(m, SMALLEST_NORMAL[size], size));
  return m.simd("v128.or", normal, m.simd(`${f}.eq`, absolute, everywhere(m, 0n, size)));
}
export function comfortableLanes(m: Meaning, v: Vector, size: Size): Vector {
  return finiteLanesFrom(m, v, size, everywhere(m, SMALLEST_NORMAL[size] + 1n, size));
}
export function comfortableSums(m: Meaning, v: Vector, size: Size): Vector {
  return finiteLanesFrom(m, v, size, m.splat(leastSum(m, size)));
}
function finiteLanesFrom(m: Meaning, v: Vector, size: Size, least: Vector): Vector {
  const f = SHAPE[size];
  const absolute = m.simd(`${f}.abs`, v);
  const above = m.simd(`${f}.ge`, absolute, least);
  return m.simd("v128.and", above, m.simd(`${f}.lt`, absolute, everywhere(m, INFINITY[size], size)));
}
/** Lanes that are zero, of either sign. */
export const zeroLanes = (m: Meaning, v: Vector, size: Size): Vector =>
  m.simd(`${SHAPE[size]}.eq`, v, everywhere(m, 0n, size));

/** The operation in the microcode, lane by lane, flags committed once. */
export function byLanes(m: Meaning, size: Size, lane: (i: number) => Value): Vector {
  let result = m.vectorConstant(0n, 0n);
  for (let i = 0; i < 128 / size; i++) result = m.withLane(result, i, m.truncate(lane(i), size));
  m.assist("floatCommit");
  return result;
}
