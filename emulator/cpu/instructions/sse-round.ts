// SSE4.1: ROUNDSS ROUNDSD ROUNDPS ROUNDPD. Intel SDM vol. 2, 4.1. Bits 1:0 of the immediate are the rounding mode unless
// bit 2 asks for MXCSR's; bit 3 keeps inexact results quiet. A denormal operand raises nothing but inexact.

import { Mnemonic } from "../../iced.js";
import { type Definition, type Meaning, none, type Operand, type Value, type Vector } from "./define.js";
import {
  all,
  byLanes,
  isOrdinary,
  LANE,
  mxcsrIs,
  ordinaryLanes,
  PE_PM,
  SHAPE,
  type Size,
} from "./sse-ordinary.js";

const RC_SHIFT = 13;

/** WebAssembly's names, by rounding mode. */
const NAMES = ["nearest", "floor", "ceil", "trunc"] as const;

/** The rounding mode in bits 1:0, and bit 3 of the immediate, width 32. */
function howOf(m: Meaning, by: Operand): Value {
  const imm = m.zeroExtend(m.get(by), 32);
  const current = m.bitsOf(m.mxcsr(), RC_SHIFT, 2);
  const mode = m.select(m.bitsOf(imm, 2, 1), current, m.bitsOf(imm, 0, 2));
  return m.or(mode, m.and(imm, m.constant(8, 32)));
}
const isQuiet = (m: Meaning, how: Value): Value =>
  m.or(m.notEqual(m.bitsOf(how, 3, 1), m.constant(0, 32)), mxcsrIs(m, PE_PM, PE_PM));

function choose<T>(m: Meaning, how: Value, results: readonly T[], select: (c: Value, yes: T, no: T) => T): T {
  const [bit0, bit1] = [m.bitsOf(how, 0, 1), m.bitsOf(how, 1, 1)];
  return select(bit1, select(bit0, results[3], results[2]), select(bit0, results[1], results[0]));
}

const scalar = (size: Size) => (m: Meaning, dst: Operand, src: Operand, by: Operand) => {
  const v = m.getLow(src, size);
  const how = howOf(m, by);
  const results = NAMES.map((name) => m.float(`f${size}.${name}`, v));
  const result = choose(m, how, results, (c, yes, no) => m.select(c, yes, no));
  const exact = m.equal(result, v);
  m.when(
    m.and(isOrdinary(m, v, size), m.or(exact, isQuiet(m, how))),
    () => m.setLow(dst, result),
    () => {
      const wide = m.zeroExtend(v, 64);
      m.setLow(dst, m.truncate(m.assist(`floatRound${size}`, m.zeroExtend(how, 64), wide), size));
    },
  );
};

const packed = (size: Size) => (m: Meaning, dst: Operand, src: Operand, by: Operand) => {
  const v = m.getVector(src);
  const how = howOf(m, by);
  const results = NAMES.map((name) => m.simd(`${SHAPE[size]}.${name}`, v));
  const result = choose<Vector>(m, how, results, (c, yes, no) => m.selectVector(c, yes, no));
  const exact = all(m, size, m.simd(`${SHAPE[size]}.eq`, result, v));
  m.when(
    m.and(all(m, size, ordinaryLanes(m, v, size)), m.or(exact, isQuiet(m, how))),
    () => m.setVector(dst, result),
    () => {
      const laneHow = m.or(m.zeroExtend(how, 64), m.constant(LANE, 64));
      const lane = (i: number) =>
        m.assist(`floatRound${size}`, laneHow, m.zeroExtend(m.lane(v, size, i), 64));
      m.setVector(dst, byLanes(m, size, lane));
    },
  );
};

const row = (op: Mnemonic, does: Definition["does"], first: "w" | "rw"): Definition => ({
  op,
  access: [first, "r", "r"],
  flags: none,
  needs: "sse",
  ...(first === "w" ? { aligned: true } : {}),
  does,
});

export const sseRound: readonly Definition[] = [
  row(Mnemonic.Roundss, scalar(32), "rw"),
  row(Mnemonic.Roundsd, scalar(64), "rw"),
  row(Mnemonic.Roundps, packed(32), "w"),
  row(Mnemonic.Roundpd, packed(64), "w"),
];
