// Ordinary x87 arithmetic has a short way (emulator/cpu/microcode/x87-ordinary.ts); with an exception unmasked it goes the
// long one, by softfloat.ts. The same instruction on the same operands, both ways: registers, status word and memory have
// to be the same. The exception is the denormal-operand one, and operands are normal.
// Division and roots (microcode/wide.ts) are of both ways, so they are checked by integers here.

import { expect, test } from "vitest";
import { FCW, FSW, FTW, ST } from "../../emulator/cpu/layout.js";
import { coreAddress } from "../../emulator/cpu/memory-plan.js";
import { Random } from "../../emulator/random.js";
import { CODE, Cpu } from "../support/cpu.js";

const CASES = 6000;
const OPERAND = 0x20_0000;
const MASK_DENORMAL = 2;
const PRECISIONS = [0, 2, 3];
const BIAS = 16383;

/** Of [rbx] (MODRM 3 + 8 * n), and of registers (C0 + n). */
function instruction(random: Random): number[] {
  const pick = <T>(...of: readonly T[]): T => of[random.below(of.length)] as T;
  const i = random.below(4);
  const op = pick(0, 1, 4, 5, 6, 7);
  return pick(
    () => [0xd8, 0xc0 | (op << 3) | i],
    () => [0xdc, 0xc0 | (op << 3) | i],
    () => [0xde, 0xc0 | (op << 3) | (i || 1)],
    () => [pick(0xd8, 0xdc, 0xda, 0xde), 3 | (op << 3)],
    () => [0xd9, 0xfa], // FSQRT
    () => [pick(0xd9, 0xdd, 0xdb, 0xdf), 3], // FLD, FILD
    () => [0xdf, 3 | (5 << 3)], // FILD m64
    () => [0xd9, 0xc0 | i], // FLD ST(i)
    () => [pick(0xd9, 0xdd), 3 | (pick(2, 3) << 3)], // FST, FSTP
    () => [pick(0xd8, 0xdc, 0xda, 0xde), 3 | (pick(2, 3) << 3)], // FCOM, FICOM
    () => [pick(0xdb, 0xdf), pick(0xe8, 0xf0) | i], // FUCOMI, FCOMI
    () => [0xde, 0xd9], // FCOMPP
  )();
}

function number(random: Random): { significand: bigint; word: number } {
  const bits = (n: number) => (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32) >>> n);
  const top = 1n << 63n;
  const kind = random.below(6);
  let significand = top | bits(0);
  if (kind === 0) significand = top | (BigInt(random.below(2 ** 20)) << BigInt(random.below(44)));
  if (kind === 1) significand = ~((1n << BigInt(random.below(64))) - 1n) & ((1n << 64n) - 1n);
  if (kind === 2) significand = top | (bits(0) & ~0x7ffn) | BigInt(0x400 + random.below(3) - 1);
  if (kind === 3) significand = top | BigInt(random.below(4));
  const around = [0, 0, 1, 40, 70, 140, 1030, 16000][random.below(8)] as number;
  const exponent = BIAS + random.below(2 * around + 1) - around;
  return { significand, word: Math.min(Math.max(exponent, 1), 0x7ffe) | (random.below(2) << 15) };
}

test("the short way and the long way give the same", async () => {
  const cpu = await Cpu.create();
  const c = coreAddress(0);
  const view = new DataView(cpu.memory.buffer);
  cpu.start("hlt");
  let inexact = 0;
  for (let seed = 1; seed <= CASES; seed++) {
    const random = new Random(seed);
    const code = instruction(random);
    const at = CODE + 0x100 + (seed % 4096) * 4;
    cpu.place(at, code);
    const registers = Array.from({ length: 8 }, () => number(random));
    const tags = random.below(8) === 0 ? random.below(256) : 0x3f;
    const operand = new Uint8Array(8).map(() => random.below(256));
    if (random.below(2)) operand.set(random.below(2) ? [0xf0, 0x3f] : [0, 0x40], 6);
    const control = 0x7d | (random.below(10) === 0 ? random.below(4) << 10 : 0);
    const precision = PRECISIONS[random.below(3)] as number;
    const run = (masks: number) => {
      registers.forEach(({ significand, word }, i) => {
        view.setBigUint64(c + ST + 16 * i, significand, true);
        view.setBigUint64(c + ST + 16 * i + 8, BigInt(word), true);
      });
      view.setUint32(c + FCW, control | (precision << 8) | masks, true);
      view.setUint32(c + FSW, 0x4700, true); // TOP 0, all conditions
      view.setUint32(c + FTW, tags, true);
      cpu.ram.set(operand, OPERAND);
      const s = cpu.state();
      s.rflags = 0x8d7;
      s.set({ rip: at, rbx: OPERAND });
      cpu.run(1);
      return {
        registers: registers.map((_, i) => [
          view.getBigUint64(c + ST + 16 * i, true),
          view.getBigUint64(c + ST + 16 * i + 8, true) & 0xffffn,
        ]),
        status: view.getUint32(c + FSW, true),
        tags: view.getUint32(c + FTW, true),
        rflags: s.rflags,
        rip: s.rip,
        memory: cpu.read(OPERAND, 8),
      };
    };
    const short = run(MASK_DENORMAL);
    if (short.status & MASK_DENORMAL) continue;
    expect(short, `seed ${seed}: ${code.map((b) => b.toString(16))}, FCW ${control.toString(16)}`).toEqual(
      run(0),
    );
    if (short.status & 0x20) inexact++;
  }
  expect(inexact).toBeGreaterThan(CASES / 4);
});

test("quotients and roots, by integers", async () => {
  const cpu = await Cpu.create();
  const c = coreAddress(0);
  const view = new DataView(cpu.memory.buffer);
  cpu.start("hlt");
  cpu.place(CODE + 0x100, [0xd8, 0xf1]); // FDIV ST0, ST1
  cpu.place(CODE + 0x200, [0xd9, 0xfa]);
  const compute = (at: number, top: bigint, other: bigint, exponent: number): bigint => {
    [top, other].forEach((significand, i) => {
      view.setBigUint64(c + ST + 16 * i, significand, true);
      view.setBigUint64(c + ST + 16 * i + 8, BigInt(i === 0 ? exponent : BIAS), true);
    });
    view.setUint32(c + FCW, 0x37f | 0xc00, true); // toward zero: the short way is not for this, its integers are
    view.setUint32(c + FSW, 0, true);
    view.setUint32(c + FTW, 3, true);
    cpu.state().set({ rip: at });
    cpu.run(1);
    return view.getBigUint64(c + ST, true);
  };
  for (let seed = 1; seed <= 2000; seed++) {
    const random = new Random(seed);
    const a = number(random).significand;
    const b = number(random).significand;
    const told = `seed ${seed}: ${a.toString(16)} ${b.toString(16)}`;
    expect(compute(CODE + 0x100, a, b, BIAS), told).toBe((a >= b ? a << 63n : a << 64n) / b);
    for (const odd of [0, 1]) {
      const root = compute(CODE + 0x200, a, b, BIAS + odd);
      const radicand = a << (63n + BigInt(odd));
      expect(root * root <= radicand && (root + 1n) * (root + 1n) > radicand, `${told}, root`).toBe(true);
    }
  }
});
