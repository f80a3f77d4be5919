// What user space cannot see of x87 and MMX: when they are not available (CR0), pending exceptions, and the environment
// as real mode stores it. Results and flags are the silicon tests' matter. Intel SDM vol. 3A, 2.5; vol. 1, 8.1.10, 8.7.

import { beforeAll, describe, expect, test } from "vitest";
import { HALTED } from "../../emulator/cpu/layout.js";
import { CODE, Cpu } from "../support/cpu.js";

const HANDLER = 0x3_0000;
const DATA = 0x2_0000;
const MP = 2;
const EM = 4;
const TS = 8;
const NE = 0x20;
const NO_OSFXSR = 0x20;

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create();
});

/** Runs code under these bits of CR0; gives the vector of the fault in it, or undefined. */
function vectorOf(code: readonly number[], cr0: number, cr4 = 0x620): number | undefined {
  cpu.engine.reset(0); // nothing pending
  cpu.start([...code, 0xf4]);
  const all = 0x8001_0031n & ~BigInt(MP | EM | TS);
  cpu.state().set({ cr0: all | BigInt(cr0), cr4, rax: DATA });
  for (const vector of [6, 7, 16]) {
    cpu.place(HANDLER + 16 * vector, "hlt");
    cpu.gate(vector, HANDLER + 16 * vector);
  }
  cpu.run(10);
  const rip = Number(cpu.state().rip);
  expect(cpu.state().activity).toBe(HALTED);
  return rip === CODE + code.length + 1 ? undefined : (rip - 1 - HANDLER) / 16;
}

// biome-ignore format: a table
const INSTRUCTIONS = {
  "FLD1": [0xd9, 0xe8],
  "FNSTSW AX": [0xdf, 0xe0],
  "WAIT": [0x9b],
  "PADDB MM0, MM1": [0x0f, 0xfc, 0xc1],
  "EMMS": [0x0f, 0x77],
  "PSHUFW MM0, MM1, 0": [0x0f, 0x70, 0xc1, 0],
  "MOVQ2DQ XMM0, MM1": [0xf3, 0x0f, 0xd6, 0xc1],
  "CVTPI2PS XMM0, MM1": [0x0f, 0x2a, 0xc1],
} as const;
type Name = keyof typeof INSTRUCTIONS;

// SDM vol. 3A, 2.5: CR0.EM, TS and MP
describe("CR0 and CR4 decide who is there", () => {
  // biome-ignore format: a table
  const EXPECTED: [Name, number, number, number?][] = [
    ["FLD1", EM, 7], ["FLD1", TS, 7], ["FLD1", EM | TS | MP, 7], ["FNSTSW AX", EM, 7],
    ["WAIT", TS | MP, 7],
    ["PADDB MM0, MM1", EM, 6], ["PADDB MM0, MM1", TS, 7], ["PADDB MM0, MM1", EM | TS, 6],
    ["EMMS", EM, 6], ["EMMS", TS, 7],
    ["PSHUFW MM0, MM1, 0", EM, 6], ["PSHUFW MM0, MM1, 0", TS, 7],
    ["MOVQ2DQ XMM0, MM1", EM, 6], ["MOVQ2DQ XMM0, MM1", TS, 7], ["MOVQ2DQ XMM0, MM1", 0, 6, NO_OSFXSR],
    ["CVTPI2PS XMM0, MM1", 0, 6, NO_OSFXSR],
  ];
  test.each(EXPECTED)("%s with CR0 bits %i: vector %i", (name, cr0, vector, cr4) => {
    expect(vectorOf(INSTRUCTIONS[name], cr0, cr4)).toBe(vector);
  });
  // biome-ignore format: a table
  const RUNNING: [Name, number, number?][] = [
    ["FLD1", 0], ["WAIT", TS], ["WAIT", MP | EM], ["PADDB MM0, MM1", 0, NO_OSFXSR], ["PSHUFW MM0, MM1, 0", 0, NO_OSFXSR],
  ];
  test.each(RUNNING)("%s with CR0 bits %i runs", (name, cr0, cr4) => {
    expect(vectorOf(INSTRUCTIONS[name], cr0, cr4)).toBe(undefined);
  });
});

// SDM vol. 1, 8.7: pending x87 exceptions
describe("a pending exception", () => {
  // FNINIT; FLDCW [RAX]; FLDZ; FLDZ; FDIVP: 0/0, unmasked
  const divide = [0xdb, 0xe3, 0xd9, 0x28, 0xd9, 0xee, 0xd9, 0xee, 0xde, 0xf9];
  test.each(Object.keys(INSTRUCTIONS) as Name[])("%s finds it, or does not wait", (name) => {
    cpu.write(DATA, 2, 0x37e);
    const waits = name !== "FNSTSW AX";
    expect(vectorOf([...divide, ...INSTRUCTIONS[name]], NE)).toBe(waits ? 16 : undefined);
  });
});

describe("the environment in real mode", () => {
  /** FNINIT; FLD qword [BX]; FADD ST, ST, at 1000:0000 with DS = 2000; then the store. */
  function run(store: readonly number[]): void {
    cpu.start([0xdb, 0xe3, 0xdd, 0x07, 0xdc, 0xc0, ...store, 0xf4], { bits: 16, at: CODE });
    const s = cpu.state();
    s.setSegment("ds", { selector: 0x2000, base: 0x2_0000n, limit: 0xffff, attributes: 0x9300 });
    s.set({ rbx: 0x1234, rdi: 0x100 });
    cpu.write(0x2_1234, 8, 0x3ff0_0000_0000_0000n);
    for (let at = 0; at < 128; at += 8) cpu.write(0x2_0100 + at, 8, 0);
    cpu.run(10);
    expect(s.activity).toBe(HALTED);
  }
  const words = (bytes: 2 | 4, count = 7) =>
    Array.from({ length: count }, (_, i) => Number(cpu.read(0x2_0100 + bytes * i, bytes)));

  test("16 bits: linear addresses of 20 bits, the opcode in between", () => {
    run([0xd9, 0x35]); // FNSTENV [DI]
    // FADD ST(0), ST is DC C0: opcode 4C0, at linear 1_0004; the operand before it at 2_1234
    expect(words(2)).toEqual([0x37f, 0x3800, 0x3fff, 0x0004, 0x14c0, 0x1234, 0x2000]);
  });
  test("32 bits: addresses of 32 bits in two parts", () => {
    run([0x66, 0xd9, 0x35]);
    const all = words(4);
    expect(all.slice(0, 3).map((w) => w & 0xffff)).toEqual([0x37f, 0x3800, 0x3fff]);
    expect(all.slice(3)).toEqual([0x0004, (1 << 12) | 0x4c0, 0x1234, 2 << 12]);
  });
  test.each([
    ["16 bits", []],
    ["32 bits", [0x66]],
  ] as const)("FNSAVE and FRSTOR with %s: all comes back", (_bits, prefix) => {
    // FNSAVE [DI]; FRSTOR [DI]; FNSTENV [DI+200h]; FSTP qword [DI+300h]
    const after = [0xdd, 0x9d, 0x00, 0x03];
    run([...prefix, 0xdd, 0x35, ...prefix, 0xdd, 0x25, ...prefix, 0xd9, 0xb5, 0x00, 0x02, ...after]);
    const bytes = prefix.length > 0 ? 28 : 14;
    for (let i = 0; i < bytes; i += 2)
      expect([i, cpu.read(0x2_0300 + i, 2)]).toEqual([i, cpu.read(0x2_0100 + i, 2)]);
    expect(cpu.read(0x2_0400, 8)).toBe(0x4000_0000_0000_0000n); // 1 + 1
  });
});

// SDM vol. 1, 8.7: pending x87 exceptions
describe("with CR0.NE clear", () => {
  // FNINIT; FLDCW [RAX]; FLDZ; FLDZ; FDIVP; FLD1 (waits); HLT, and a handler: OUT F0h, AL; FLDZ; FNCLEX; IRETQ
  const program = [0xdb, 0xe3, 0xd9, 0x28, 0xd9, 0xee, 0xd9, 0xee, 0xde, 0xf9, 0xd9, 0xe8, 0xf4];
  const WAITING = BigInt(CODE + 10);
  const IRQ_13 = 0x75;

  test("the core tells the board and stops, an interrupt resumes it, the port lets its handler go on", () => {
    cpu.engine.reset(0);
    cpu.write(DATA, 2, 0x37e);
    cpu.place(HANDLER, [0xe6, 0xf0, 0xd9, 0xee, 0xdb, 0xe2, 0x48, 0xcf]);
    cpu.start(program);
    cpu.gate(IRQ_13, HANDLER);
    const s = cpu.state();
    s.set({ cr0: 0x8001_0011, rax: DATA });
    s.rflags = 0x202;
    cpu.host.portsWritten.length = 0;
    cpu.run(20);
    expect([s.activity, s.rip]).toEqual([HALTED, WAITING]);
    expect(cpu.host.portsWritten).toEqual([{ port: 0x1_0000, bytes: 1, value: 1 }]);
    cpu.host.interrupts.push(IRQ_13);
    cpu.attend(0, 1);
    cpu.engine.run(0, 20);
    cpu.run(20);
    expect([s.activity, s.rip]).toEqual([HALTED, BigInt(CODE + program.length)]);
    expect(cpu.host.portsWritten.slice(1).map(({ port }) => port)).toEqual([0xf0]); // FLDZ did not stop there
  });
});
