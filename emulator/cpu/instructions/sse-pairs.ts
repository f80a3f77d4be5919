// SSE3 and SSE4.1: floating point between neighbours (HADDPS HSUBPS ADDSUBPS and their PD forms) and dot products (DPPS,
// DPPD). Intel SDM vol. 2. The same two ways as in sse-float.ts: the host's arithmetic, or the microcode.

import { Mnemonic } from "../../iced.js";
import { type Definition, type Meaning, none, type Operand, type Value, type Vector } from "./define.js";
import { chosenElements } from "./sse-element.js";
import {
  ADD,
  all,
  byLanes,
  comfortableLanes,
  comfortableSums,
  inexactIsNoNews,
  LANE,
  MULTIPLY,
  type Operation,
  ordinaryLanes,
  SHAPE,
  type Size,
  SUBTRACT,
  zeroLanes,
} from "./sse-ordinary.js";

const laneOf = (m: Meaning, v: Vector, size: Size, i: number): Value => m.zeroExtend(m.lane(v, size, i), 64);
/** dst := a op b, where each lane has an operation of its own: additions and subtractions. */
function sums(
  m: Meaning,
  dst: Operand,
  size: Size,
  [a, b]: readonly [Vector, Vector],
  result: Vector,
  operation: (i: number) => Operation,
): void {
  const operands = m.simd("v128.and", ordinaryLanes(m, a, size), ordinaryLanes(m, b, size));
  const lanes = m.simd("v128.and", operands, comfortableSums(m, result, size));
  m.when(
    m.and(all(m, size, lanes), inexactIsNoNews(m)),
    () => m.setVector(dst, result),
    () => {
      const lane = (i: number) =>
        m.assist(`float${size}`, operation(i).number | LANE, laneOf(m, a, size, i), laneOf(m, b, size, i));
      m.setVector(dst, byLanes(m, size, lane));
    },
  );
}

/** The even (odd) elements of both operands, the destination's below. */
const everyOther = (size: Size, odd: 0 | 1): readonly number[] => {
  const bytes = size / 8;
  return Array.from({ length: 16 }, (_, i) => 2 * (i - (i % bytes)) + odd * bytes + (i % bytes));
};
const horizontal = (size: Size, operation: Operation) => (m: Meaning, dst: Operand, src: Operand) => {
  const [x, y] = [m.getVector(dst), m.getVector(src)];
  const a = m.shuffle(x, y, everyOther(size, 0));
  const b = m.shuffle(x, y, everyOther(size, 1));
  sums(m, dst, size, [a, b], m.simd(`${SHAPE[size]}.${operation.name}`, a, b), () => operation);
};

/** Even elements are subtracted, odd ones added. */
const alternating = (size: Size) => (m: Meaning, dst: Operand, src: Operand) => {
  const [a, b] = [m.getVector(dst), m.getVector(src)];
  const signs = size === 32 ? 0x8000_0000n : 0x8000_0000_0000_0000n;
  const negated = m.simd("v128.xor", b, m.vectorConstant(signs, size === 32 ? signs : 0n));
  const result = m.simd(`${SHAPE[size]}.add`, a, negated);
  sums(m, dst, size, [a, b], result, (i) => (i % 2 === 0 ? SUBTRACT : ADD));
};

// --- dot products ---

/** Each lane and its neighbour exchanged: by one lane, or by a half of the register. */
const neighbours = (m: Meaning, v: Vector, bytes: 4 | 8): Vector =>
  m.shuffle(
    v,
    v,
    Array.from({ length: 16 }, (_, i) => i ^ bytes),
  );

/** Bits 7:4 of the immediate choose the products, bits 3:0 the lanes that get their sum; others count as zero. */
const dotProduct = (size: Size) => (m: Meaning, dst: Operand, src: Operand, by: Operand) => {
  const f = SHAPE[size];
  const imm = m.get(by);
  const taken = chosenElements(m, m.bitsOf(imm, 4, 4), size);
  const given = chosenElements(m, m.bitsOf(imm, 0, 4), size);
  const a = m.simd("v128.and", m.getVector(dst), taken);
  const b = m.simd("v128.and", m.getVector(src), taken);
  const products = m.simd(`${f}.mul`, a, b);
  const nothing = m.simd("v128.or", zeroLanes(m, a, size), zeroLanes(m, b, size));
  const ordinary = m.simd("v128.and", ordinaryLanes(m, a, size), ordinaryLanes(m, b, size));
  const good = m.simd("v128.or", comfortableLanes(m, products, size), nothing);
  let fine = m.simd("v128.and", ordinary, good);
  let sum = products;
  for (const bytes of size === 32 ? ([4, 8] as const) : ([8] as const)) {
    sum = m.simd(`${f}.add`, sum, neighbours(m, sum, bytes));
    fine = m.simd("v128.and", fine, comfortableSums(m, sum, size));
  }
  m.when(
    m.and(all(m, size, fine), inexactIsNoNews(m)),
    () => m.setVector(dst, m.simd("v128.and", sum, given)),
    () => m.setVector(dst, m.simd("v128.and", m.splat(exactDot(m, size, a, b)), given)),
  );
};

/** In the microcode: all products, then the sums of neighbours, then theirs; an unmasked exception ends it between. */
function exactDot(m: Meaning, size: Size, a: Vector, b: Vector): Value {
  const operation = ({ number }: Operation, x: Value, y: Value) =>
    m.assist(`float${size}`, number | LANE, x, y);
  let terms = Array.from({ length: 128 / size }, (_, i) =>
    operation(MULTIPLY, laneOf(m, a, size, i), laneOf(m, b, size, i)),
  );
  m.assist("floatCommit");
  while (terms.length > 1) {
    const pairs = terms;
    terms = [];
    for (let i = 0; i < pairs.length; i += 2) terms.push(operation(ADD, pairs[i], pairs[i + 1]));
    m.assist("floatCommit");
  }
  return m.truncate(terms[0], size);
}

const row = (op: Mnemonic, does: Definition["does"], operands: 2 | 3 = 2): Definition => ({
  op,
  access: ["rw", "r", "r"].slice(0, operands) as ("rw" | "r")[],
  flags: none,
  needs: "sse",
  aligned: true,
  does,
});

export const ssePairs: readonly Definition[] = [
  row(Mnemonic.Haddps, horizontal(32, ADD)),
  row(Mnemonic.Haddpd, horizontal(64, ADD)),
  row(Mnemonic.Hsubps, horizontal(32, SUBTRACT)),
  row(Mnemonic.Hsubpd, horizontal(64, SUBTRACT)),
  row(Mnemonic.Addsubps, alternating(32)),
  row(Mnemonic.Addsubpd, alternating(64)),
  row(Mnemonic.Dpps, dotProduct(32), 3),
  row(Mnemonic.Dppd, dotProduct(64), 3),
];
