// SSE and SSE2: floating point arithmetic, comparisons and conversions. Intel SDM vol. 1, chapters 4.8 and 11; vol. 2.
//
// Each row has the host's arithmetic where that tells everything (sse-ordinary.ts), and the microcode for the rest.

import { Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value, Vector } from "./define.js";
import { none, OSZAPC } from "./define.js";
import { xmmOnly } from "./sse-move.js";
import {
  ADD,
  all,
  byLanes,
  COMPARE,
  comfortableLanes,
  comfortableSums,
  DIVIDE,
  everywhere,
  INFINITY,
  inexactIsNoNews,
  isComfortable,
  isComfortableSum,
  isOrdinary,
  LANE,
  MAXIMUM,
  MINIMUM,
  MULTIPLY,
  magnitude,
  mxcsrIs,
  type Operation,
  ordinaryLanes,
  PE_PM,
  SHAPE,
  type Size,
  SMALLEST_NORMAL,
  SQUARE_ROOT,
  SUBTRACT,
  TRUNCATE,
  zeroLanes,
} from "./sse-ordinary.js";

// --- arithmetic ---

const isSum = (operation: Operation): boolean => operation === ADD || operation === SUBTRACT;

/** Of ordinary operands: whether the result raises nothing that PE does not tell already. */
function isUnsurprising(m: Meaning, operation: Operation, a: Value, b: Value, result: Value): Value {
  const size = result.width as Size;
  if (isSum(operation)) return isComfortableSum(m, result, size);
  const isZero = (v: Value) => m.isZero(magnitude(m, v));
  // A zero comes of a zero, or underflowed.
  const known = operation === MULTIPLY ? m.or(isZero(a), isZero(b)) : isZero(operation === DIVIDE ? a : b);
  return m.or(isComfortable(m, result, size), m.and(isZero(result), known));
}
function unsurprisingLanes(
  m: Meaning,
  size: Size,
  operation: Operation,
  a: Vector,
  b: Vector,
  result: Vector,
): Vector {
  if (isSum(operation)) return comfortableSums(m, result, size);
  const zero = (v: Vector) => zeroLanes(m, v, size);
  const known =
    operation === MULTIPLY ? m.simd("v128.or", zero(a), zero(b)) : zero(operation === DIVIDE ? a : b);
  return m.simd("v128.or", comfortableLanes(m, result, size), m.simd("v128.and", zero(result), known));
}

function scalarRow(op: Mnemonic, size: Size, operation: Operation): Definition {
  const unary = operation === SQUARE_ROOT;
  const chooses = operation === MINIMUM || operation === MAXIMUM;
  return {
    op,
    access: ["rw", "r"],
    flags: none,
    needs: "sse",
    does: (m, dst, src) => {
      const a = m.getLow(dst, size);
      const b = m.getLow(src, size);
      const fine: Value[] = [];
      let result: Value;
      if (chooses) {
        const first = operation === MINIMUM ? m.float(`f${size}.lt`, a, b) : m.float(`f${size}.gt`, a, b);
        result = m.select(first, a, b);
        fine.push(isOrdinary(m, a, size), isOrdinary(m, b, size));
      } else {
        result = unary ? m.float(`f${size}.sqrt`, b) : m.float(`f${size}.${operation.name}`, a, b);
        fine.push(inexactIsNoNews(m), isUnsurprising(m, operation, a, b, result), isOrdinary(m, b, size));
        if (!unary) fine.push(isOrdinary(m, a, size));
      }
      m.when(
        fine.reduce((x, y) => m.and(x, y)),
        () => m.setLow(dst, result),
        () => {
          const wide = (v: Value) => m.zeroExtend(v, 64);
          m.setLow(dst, m.truncate(m.assist(`float${size}`, operation.number, wide(a), wide(b)), size));
        },
      );
    },
  };
}

function packedRow(op: Mnemonic, size: Size, operation: Operation): Definition {
  const unary = operation === SQUARE_ROOT;
  const chooses = operation === MINIMUM || operation === MAXIMUM;
  const name = `${SHAPE[size]}.${operation.name}`;
  return {
    op,
    access: [unary ? "w" : "rw", "r"],
    flags: none,
    needs: "sse",
    aligned: true,
    does: (m, dst, src) => {
      const a = m.getVector(dst);
      const b = m.getVector(src);
      // WebAssembly's pmin(x, y) is y < x ? y : x: with the operands the other way round it is MINPS.
      const result = unary ? m.simd(name, b) : chooses ? m.simd(name, b, a) : m.simd(name, a, b);
      let lanes = ordinaryLanes(m, b, size);
      if (!unary) lanes = m.simd("v128.and", lanes, ordinaryLanes(m, a, size));
      let fine: Value;
      if (chooses) fine = all(m, size, lanes);
      else {
        lanes = m.simd("v128.and", lanes, unsurprisingLanes(m, size, operation, a, b, result));
        fine = m.and(all(m, size, lanes), inexactIsNoNews(m));
      }
      m.when(
        fine,
        () => m.setVector(dst, result),
        () => {
          const lane = (v: Vector, i: number) => m.zeroExtend(m.lane(v, size, i), 64);
          const number = operation.number | LANE;
          m.setVector(
            dst,
            byLanes(m, size, (i) => m.assist(`float${size}`, number, lane(a, i), lane(b, i))),
          );
        },
      );
    },
  };
}

const FAMILIES: readonly (readonly [Operation, ss: Mnemonic, sd: Mnemonic, ps: Mnemonic, pd: Mnemonic])[] = [
  [ADD, Mnemonic.Addss, Mnemonic.Addsd, Mnemonic.Addps, Mnemonic.Addpd],
  [SUBTRACT, Mnemonic.Subss, Mnemonic.Subsd, Mnemonic.Subps, Mnemonic.Subpd],
  [MULTIPLY, Mnemonic.Mulss, Mnemonic.Mulsd, Mnemonic.Mulps, Mnemonic.Mulpd],
  [DIVIDE, Mnemonic.Divss, Mnemonic.Divsd, Mnemonic.Divps, Mnemonic.Divpd],
  [SQUARE_ROOT, Mnemonic.Sqrtss, Mnemonic.Sqrtsd, Mnemonic.Sqrtps, Mnemonic.Sqrtpd],
  [MINIMUM, Mnemonic.Minss, Mnemonic.Minsd, Mnemonic.Minps, Mnemonic.Minpd],
  [MAXIMUM, Mnemonic.Maxss, Mnemonic.Maxsd, Mnemonic.Maxps, Mnemonic.Maxpd],
];

// --- comparisons ---

/** CMPSS, CMPSD: the predicate is an immediate, so all four are computed; the microcode has the odd operands. */
function compareScalar(size: Size) {
  return (m: Meaning, dst: Operand, src: Operand, by: Operand): void => {
    const a = m.getLow(dst, size);
    const b = m.getLow(src, size);
    const predicate = m.and(m.get(by), m.constant(7, 8));
    const bit = (n: number) => m.bitsOf(predicate, n, 1);
    const less = m.select(bit(1), m.float(`f${size}.le`, a, b), m.float(`f${size}.lt`, a, b));
    // Of ordinary numbers: 0 equal, 1 less, 2 less or equal, 3 unordered, which they never are.
    const ordered = m.select(bit(0), m.float(`f${size}.lt`, a, b), m.float(`f${size}.eq`, a, b));
    const high = m.select(bit(0), m.constant(0, 8), less);
    const truth = m.xor(
      m.select(bit(1), high, ordered),
      m.truncate(m.shiftRight(predicate, m.constant(2, 8)), 8),
    );
    m.when(
      m.and(isOrdinary(m, a, size), isOrdinary(m, b, size)),
      () => m.setLow(dst, m.minus(m.constant(0, size), m.zeroExtend(truth, size))),
      () => {
        const wide = (v: Value) => m.zeroExtend(v, 64);
        const op = m.plus(wide(predicate), m.constant(COMPARE, 64));
        m.setLow(dst, m.truncate(m.assist(`float${size}`, op, wide(a), wide(b)), size));
      },
    );
  };
}

function comparePacked(size: Size) {
  return (m: Meaning, dst: Operand, src: Operand, by: Operand): void => {
    const f = SHAPE[size];
    const a = m.getVector(dst);
    const b = m.getVector(src);
    const predicate = m.and(m.get(by), m.constant(7, 8));
    const bit = (n: number) => m.bitsOf(predicate, n, 1);
    const never = m.vectorConstant(0n, 0n);
    const low = m.selectVector(bit(0), m.simd(`${f}.lt`, a, b), m.simd(`${f}.eq`, a, b));
    const high = m.selectVector(bit(0), never, m.simd(`${f}.le`, a, b));
    const chosen = m.selectVector(bit(1), high, low);
    const negated = m.simd("v128.not", chosen);
    const result = m.selectVector(bit(2), negated, chosen);
    const ordinary = m.simd("v128.and", ordinaryLanes(m, a, size), ordinaryLanes(m, b, size));
    m.when(
      all(m, size, ordinary),
      () => m.setVector(dst, result),
      () => {
        const lane = (v: Vector, i: number) => m.zeroExtend(m.lane(v, size, i), 64);
        const op = m.plus(m.zeroExtend(predicate, 64), m.constant(COMPARE | LANE, 64));
        m.setVector(
          dst,
          byLanes(m, size, (i) => m.assist(`float${size}`, op, lane(a, i), lane(b, i))),
        );
      },
    );
  };
}

const RELATION_FLAGS = 0x8d5n;

/** COMISS and kin: ZF PF CF tell the relation, OF SF AF are cleared. */
const relation = (size: Size, signalling: 0 | 1) => (m: Meaning, first: Operand, second: Operand) => {
  const a = m.getLow(first, size);
  const b = m.getLow(second, size);
  m.when(
    m.and(isOrdinary(m, a, size), isOrdinary(m, b, size)),
    () => {
      const equal = m.zeroExtend(m.float(`f${size}.eq`, a, b), 64);
      const less = m.zeroExtend(m.float(`f${size}.lt`, a, b), 64);
      m.setRflags(m.or(m.shiftLeft(equal, m.constant(6, 8)), less), RELATION_FLAGS);
    },
    () => {
      const wide = (v: Value) => m.zeroExtend(v, 64);
      m.setRflags(m.assist(`floatRelation${size}`, signalling, wide(a), wide(b)), RELATION_FLAGS);
    },
  );
};

// --- conversions ---

/** CVTSI2SS, CVTSI2SD. An integer that fits the significand is exact. */
const fromInteger = (size: Size) => (m: Meaning, dst: Operand, src: Operand) => {
  const value = m.get(src);
  const width = value.width as 32 | 64;
  const significand = size === 64 ? 53n : 24n;
  const wide = m.signExtend(value, 64);
  const converted = m.float(`f${size}.convert_i${width}_s`, value);
  if (size === 64 && width === 32) return m.setLow(dst, converted);
  const limit = 1n << significand;
  const exact = m.lessUnsigned(m.plus(wide, m.constant(limit, 64)), m.constant(2n * limit, 64));
  return m.when(
    m.or(exact, inexactIsNoNews(m)),
    () => m.setLow(dst, converted),
    () => m.setLow(dst, m.truncate(m.assist(`integerToFloat${size}`, 0, wide), size)),
  );
};

/** CVTSS2SI, CVTSD2SI and their truncating forms. */
const toInteger = (size: Size, truncate: boolean) => (m: Meaning, dst: Operand, src: Operand) => {
  const width = dst.width as 32 | 64;
  const a = m.getLow(src, size);
  const whole = m.float(`f${size}.${truncate ? "trunc" : "nearest"}`, a);
  const result = m.float(`i${width}.trunc_sat_f${size}_s`, whole);
  // Saturated values are not told apart here; the largest float below the limit is.
  const limit = (BigInt(size === 64 ? 1023 : 127) + BigInt(width - 1)) << (size === 64 ? 52n : 23n);
  const inRange = m.lessUnsigned(magnitude(m, whole), m.constant(limit, size));
  const exact = m.float(`f${size}.eq`, m.float(`f${size}.convert_i${width}_s`, result), a);
  const silent = truncate ? mxcsrIs(m, PE_PM, PE_PM) : inexactIsNoNews(m);
  m.when(
    m.and(inRange, m.or(exact, silent)),
    () => m.set(dst, result),
    () => {
      const how = width | (truncate ? TRUNCATE : 0);
      m.set(dst, m.truncate(m.assist(`float${size}ToInteger`, how, m.zeroExtend(a, 64)), width));
    },
  );
};

function narrowScalar(m: Meaning, dst: Operand, src: Operand): void {
  const a = m.getLow(src, 64);
  const result = m.float("f32.demote_f64", a);
  m.when(
    m.and(isComfortable(m, result, 32), inexactIsNoNews(m)),
    () => m.setLow(dst, result),
    () => m.setLow(dst, m.truncate(m.assist("floatNarrow", 0, a), 32)),
  );
}

function widenScalar(m: Meaning, dst: Operand, src: Operand): void {
  const a = m.getLow(src, 32);
  m.when(
    isOrdinary(m, a, 32),
    () => m.setLow(dst, m.float("f64.promote_f32", a)),
    () => m.setLow(dst, m.assist("floatWiden", 0, m.zeroExtend(a, 64))),
  );
}

/** 64 bits of memory, or the low half of a register, as a vector. */
const lowHalf = (m: Meaning, src: Operand): Vector =>
  m.isMemory(src) ? m.withLane(m.vectorConstant(0n, 0n), 0, m.getLow(src, 64)) : m.getVector(src);

function widenPacked(m: Meaning, dst: Operand, src: Operand): void {
  const v = lowHalf(m, src);
  const ordinary = m.simdToScalar("i32x4.bitmask", ordinaryLanes(m, v, 32));
  m.when(
    m.equal(m.bitsOf(ordinary, 0, 2), m.constant(3, 32)),
    () => m.setVector(dst, m.simd("f64x2.promote_low_f32x4", v)),
    () => {
      const lane = (i: number) => m.assist("floatWiden", LANE, m.zeroExtend(m.lane(v, 32, i), 64));
      m.setVector(dst, byLanes(m, 64, lane));
    },
  );
}

/** Two lanes from the microcode in the low half, zeros above. */
function twoLanes(m: Meaning, lane: (i: number) => Value): Vector {
  let result = m.vectorConstant(0n, 0n);
  for (const i of [0, 1]) result = m.withLane(result, i, m.truncate(lane(i), 32));
  m.assist("floatCommit");
  return result;
}

function narrowPacked(m: Meaning, dst: Operand, src: Operand): void {
  const v = m.getVector(src);
  const result = m.simd("f32x4.demote_f64x2_zero", v);
  const fine = m.simdToScalar("i32x4.bitmask", comfortableLanes(m, result, 32));
  m.when(
    m.and(m.equal(m.bitsOf(fine, 0, 2), m.constant(3, 32)), inexactIsNoNews(m)),
    () => m.setVector(dst, result),
    () =>
      m.setVector(
        dst,
        twoLanes(m, (i) => m.assist("floatNarrow", LANE, m.lane(v, 64, i))),
      ),
  );
}

function integersToSingles(m: Meaning, dst: Operand, src: Operand): void {
  const v = m.getVector(src);
  const shifted = m.simd("i32x4.add", v, everywhere(m, 1n << 24n, 32));
  const exact = all(m, 32, m.simd("i32x4.lt_u", shifted, everywhere(m, 2n << 24n, 32)));
  const lane = (i: number) => m.assist("integerToFloat32", LANE, m.signExtend(m.lane(v, 32, i), 64));
  m.when(
    m.or(exact, inexactIsNoNews(m)),
    () => m.setVector(dst, m.simd("f32x4.convert_i32x4_s", v)),
    () => m.setVector(dst, byLanes(m, 32, lane)),
  );
}

const integersToDoubles = (m: Meaning, dst: Operand, src: Operand) =>
  m.setVector(dst, m.simd("f64x2.convert_low_i32x4_s", lowHalf(m, src))); // always exact

const toIntegers = (size: Size, truncate: boolean) => (m: Meaning, dst: Operand, src: Operand) => {
  const f = SHAPE[size];
  const v = m.getVector(src);
  const whole = m.simd(`${f}.${truncate ? "trunc" : "nearest"}`, v);
  const result = m.simd(`i32x4.trunc_sat_${f}_s${size === 64 ? "_zero" : ""}`, whole);
  const limit = everywhere(m, size === 64 ? 0x41e0_0000_0000_0000n : 0x4f00_0000n, size);
  const inRange = m.simd(`${f}.lt`, m.simd(`${f}.abs`, whole), limit);
  const exact = all(m, size, m.simd("v128.and", inRange, m.simd(`${f}.eq`, whole, v)));
  const silent = truncate ? mxcsrIs(m, PE_PM, PE_PM) : inexactIsNoNews(m);
  const fine = m.or(exact, m.and(all(m, size, inRange), silent));
  const how = 32 | LANE | (truncate ? TRUNCATE : 0);
  const lane = (i: number) => m.assist(`float${size}ToInteger`, how, m.zeroExtend(m.lane(v, size, i), 64));
  m.when(
    fine,
    () => m.setVector(dst, result),
    () => m.setVector(dst, size === 64 ? twoLanes(m, lane) : byLanes(m, 32, lane)),
  );
};

// --- approximations ---

/**
 * RCPPS and RSQRTPS promise a relative error of at most 1.5 * 2^-12 and differ from processor to processor: here the
 * exact result, its last 11 bits cleared. Denormals count as zeros and tiny results become zeros, without flags.
 */
function approximate(m: Meaning, v: Value, root: boolean): Value {
  const constant = (n: bigint) => m.constant(n, 32);
  const sign = m.and(v, constant(0x8000_0000n));
  const size = magnitude(m, v);
  const denormal = m.lessUnsigned(size, constant(SMALLEST_NORMAL[32]));
  const operand = m.select(denormal, sign, v);
  const one = constant(0x3f80_0000n);
  const exact = m.float("f32.div", one, root ? m.float("f32.sqrt", operand) : operand);
  const short = m.and(exact, constant(0xffff_f800n));
  const tiny = m.lessUnsigned(magnitude(m, short), constant(SMALLEST_NORMAL[32]));
  const flushed = m.select(tiny, sign, short);
  const negative = m.and(m.signBit(operand), m.notEqual(magnitude(m, operand), constant(0n)));
  const result = root ? m.select(negative, constant(0xffc0_0000n), flushed) : flushed;
  const nan = m.lessUnsigned(constant(INFINITY[32]), size);
  return m.select(nan, m.or(v, constant(0x0040_0000n)), result);
}
const approximateScalar = (root: boolean) => (m: Meaning, dst: Operand, src: Operand) =>
  m.setLow(dst, approximate(m, m.getLow(src, 32), root));
const approximatePacked = (root: boolean) => (m: Meaning, dst: Operand, src: Operand) => {
  const v = m.getVector(src);
  let result = v;
  for (let i = 0; i < 4; i++) result = m.withLane(result, i, approximate(m, m.lane(v, 32, i), root));
  m.setVector(dst, result);
};

const row = (op: Definition["op"], access: Definition["access"], does: Definition["does"]): Definition => ({
  op,
  forms: xmmOnly,
  ...(access === undefined ? {} : { access }),
  flags: none,
  needs: "sse",
  does,
});
const aligned = (
  op: Definition["op"],
  access: Definition["access"],
  does: Definition["does"],
): Definition => ({
  ...row(op, access, does),
  aligned: true,
});
const relationRow = (op: Mnemonic, size: Size, signalling: 0 | 1): Definition => ({
  ...row(op, ["r", "r"], relation(size, signalling)),
  flags: OSZAPC,
});

export const sseFloat: readonly Definition[] = [
  ...FAMILIES.flatMap(([operation, ss, sd, ps, pd]) => [
    scalarRow(ss, 32, operation),
    scalarRow(sd, 64, operation),
    packedRow(ps, 32, operation),
    packedRow(pd, 64, operation),
  ]),
  row(Mnemonic.Cmpss, ["rw", "r", "r"], compareScalar(32)),
  {
    ...row(Mnemonic.Cmpsd, ["rw", "r", "r"], compareScalar(64)),
    forms: (_code, kinds) => kinds.includes("xmm"),
  },
  aligned(Mnemonic.Cmpps, ["rw", "r", "r"], comparePacked(32)),
  aligned(Mnemonic.Cmppd, ["rw", "r", "r"], comparePacked(64)),
  relationRow(Mnemonic.Comiss, 32, 1),
  relationRow(Mnemonic.Comisd, 64, 1),
  relationRow(Mnemonic.Ucomiss, 32, 0),
  relationRow(Mnemonic.Ucomisd, 64, 0),
  row(Mnemonic.Cvtsi2ss, ["rw", "r"], fromInteger(32)),
  row(Mnemonic.Cvtsi2sd, ["rw", "r"], fromInteger(64)),
  row(Mnemonic.Cvtss2si, ["w", "r"], toInteger(32, false)),
  row(Mnemonic.Cvtsd2si, ["w", "r"], toInteger(64, false)),
  row(Mnemonic.Cvttss2si, ["w", "r"], toInteger(32, true)),
  row(Mnemonic.Cvttsd2si, ["w", "r"], toInteger(64, true)),
  row(Mnemonic.Cvtsd2ss, ["rw", "r"], narrowScalar),
  row(Mnemonic.Cvtss2sd, ["rw", "r"], widenScalar),
  row(Mnemonic.Cvtps2pd, ["w", "r"], widenPacked),
  aligned(Mnemonic.Cvtpd2ps, ["w", "r"], narrowPacked),
  aligned(Mnemonic.Cvtdq2ps, ["w", "r"], integersToSingles),
  row(Mnemonic.Cvtdq2pd, ["w", "r"], integersToDoubles),
  aligned(Mnemonic.Cvtps2dq, ["w", "r"], toIntegers(32, false)),
  aligned(Mnemonic.Cvttps2dq, ["w", "r"], toIntegers(32, true)),
  aligned(Mnemonic.Cvtpd2dq, ["w", "r"], toIntegers(64, false)),
  aligned(Mnemonic.Cvttpd2dq, ["w", "r"], toIntegers(64, true)),
  row(Mnemonic.Rcpss, ["rw", "r"], approximateScalar(false)),
  aligned(Mnemonic.Rcpps, ["w", "r"], approximatePacked(false)),
  row(Mnemonic.Rsqrtss, ["rw", "r"], approximateScalar(true)),
  aligned(Mnemonic.Rsqrtps, ["w", "r"], approximatePacked(true)),
];
