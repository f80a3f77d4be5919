// x87's transcendental functions against plain arithmetic of 420 bits: random operands, every result within 0.51 of a
// unit in its last place. Intel SDM vol. 1, 8.3.10 promises 1. Special operands are the silicon tests' matter.

import { beforeAll, expect, test } from "vitest";
import { Random } from "../../emulator/random.js";
import { Cpu } from "../support/cpu.js";
import * as exact from "../support/elementary.js";

const { BITS } = exact;
const OPERANDS = 0x2_0000;
const RESULT = 0x2_0100;

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create();
});

interface Extended {
  readonly sign: 0 | 1;
  readonly exponent: number;
  readonly significand: bigint;
}
const put = (at: number, { sign, exponent, significand }: Extended): void => {
  cpu.write(at, 8, significand);
  cpu.write(at + 8, 2, (sign << 15) | (exponent + 16383));
};
/** In units of 2^-BITS. */
function numberOf({ sign, exponent, significand }: Extended): bigint {
  const shift = BITS + BigInt(exponent - 63);
  const magnitude = shift >= 0n ? significand << shift : significand >> -shift;
  return sign ? -magnitude : magnitude;
}
function get(at: number): Extended {
  const word = Number(cpu.read(at + 8, 2));
  return { sign: (word >> 15) as 0 | 1, exponent: (word & 0x7fff) - 16383, significand: cpu.read(at, 8) };
}

function draw(random: Random, low: number, high: number, sign: "any" | "plus"): Extended {
  const significand = (1n << 63n) | (BigInt(random.bits()) << 32n) | BigInt(random.bits());
  const exponent = low + random.below(high - low + 1);
  return { sign: sign === "plus" ? 0 : (random.below(2) as 0 | 1), exponent, significand };
}

interface Function {
  readonly name: string;
  readonly code: readonly number[];
  readonly exact: (x: bigint, y: bigint) => bigint;
  /** Exponents of x (ST0) and its sign. */
  readonly x: readonly [number, number, "any" | "plus"];
  /** ST1, of functions of two. */
  readonly y?: readonly [number, number, "any" | "plus"];
}

const { product } = exact;
// biome-ignore format: a table
const FUNCTIONS: readonly Function[] = [
  { name: "F2XM1", code: [0xd9, 0xf0], exact: (x) => exact.power2Less1(x), x: [-30, -1, "any"] },
  { name: "FSIN", code: [0xd9, 0xfe], exact: (x) => exact.sine(x), x: [-30, 62, "any"] },
  { name: "FCOS", code: [0xd9, 0xff], exact: (x) => exact.cosine(x), x: [-30, 62, "any"] },
  { name: "FPTAN", code: [0xd9, 0xf2, 0xdd, 0xd8], exact: (x) => exact.tangent(x), x: [-30, 62, "any"] },
  { name: "FSINCOS's sine", code: [0xd9, 0xfb, 0xdd, 0xd8], exact: (x) => exact.sine(x), x: [-3, 10, "any"] },
  { name: "FSINCOS's cosine", code: [0xd9, 0xfb, 0xdd, 0xd9], exact: (x) => exact.cosine(x), x: [-3, 10, "any"] },
  { name: "FYL2X", code: [0xd9, 0xf1], exact: (x, y) => product(y, exact.logarithm2(x)), x: [-40, 40, "plus"], y: [-4, 4, "any"] },
  { name: "FYL2X near 1", code: [0xd9, 0xf1], exact: (x, y) => product(y, exact.logarithm2(x)), x: [-1, 0, "plus"], y: [-4, 4, "any"] },
  { name: "FYL2XP1", code: [0xd9, 0xf9], exact: (x, y) => product(y, exact.logarithm2Of1Plus(x)), x: [-40, -1, "any"], y: [-4, 4, "any"] },
  { name: "FYL2XP1 beyond 1", code: [0xd9, 0xf9], exact: (x, y) => product(y, exact.logarithm2Of1Plus(x)), x: [-1, 80, "plus"], y: [-4, 4, "any"] },
  { name: "FPATAN", code: [0xd9, 0xf3], exact: (x, y) => exact.arctangent(y, x), x: [-5, 5, "any"], y: [-5, 5, "any"] },
  { name: "FPATAN of small angles", code: [0xd9, 0xf3], exact: (x, y) => exact.arctangent(y, x), x: [0, 4, "any"], y: [-60, -3, "any"] },
];
const CASES = 60;
const FLD_TOP = [0xdb, 0x28]; // FLD tbyte [RAX]
const FSTP_RESULT = [0xdb, 0x3b]; // FSTP tbyte [RBX]

test.each(FUNCTIONS)("$name is within 0.51 of a unit", (f) => {
  const seed = 1;
  const random = new Random(seed).fork(f.name);
  const second = f.y === undefined ? [] : [...FLD_TOP, 0x48, 0x83, 0xe8, 0x10]; // FLD; SUB RAX, 16
  const program = [0xdb, 0xe3, ...second, ...FLD_TOP, ...f.code, ...FSTP_RESULT, 0xf4];
  for (let n = 0; n < CASES; n++) {
    const x = draw(random, ...f.x);
    const y = draw(random, ...(f.y ?? f.x));
    put(OPERANDS, x);
    put(OPERANDS + 16, y);
    cpu.start(program);
    cpu.state().set({ rax: OPERANDS + (f.y === undefined ? 0 : 16), rbx: RESULT });
    cpu.run(20);
    const result = get(RESULT);
    const error = numberOf(result) - f.exact(numberOf(x), numberOf(y));
    const unit = 1n << (BITS + BigInt(result.exponent - 63));
    const parts = Number((100n * (error < 0n ? -error : error)) / unit);
    const say = ({ sign, exponent, significand }: Extended) =>
      `${sign ? "-" : ""}${significand.toString(16)} * 2^${exponent}`;
    expect(parts, `seed ${seed}, case ${n}: x ${say(x)}, y ${say(y)}, result ${say(result)}`).toBeLessThan(
      51,
    );
  }
});
