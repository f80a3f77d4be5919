// What the operating system decides about SSE: CR0.EM and TS, CR4.OSFXSR and OSXMMEXCPT, MXCSR's masks; and which
// instructions do not ask. User space cannot change these, so silicon is no judge here: Intel SDM vol. 1, 11.5 and
// 11.6; vol. 3A, 14.1 (table of CR0 and CR4); AMD APM vol. 2, 8.2 (#XF).

import { beforeAll, describe, expect, test } from "vitest";
import { CODE, Cpu } from "../support/cpu.js";

const HANDLER = 0x2_0000;
const HANDLER_BYTES = 16;
const HLT = 0xf4;
const DATA = 0x3_0000;

const UD = 6;
const NM = 7;
const GP = 13;
const XM = 19;

const CR0 = 0x8001_0033;
const EM = 4;
const TS = 8;
const CR4 = 0x620; // PAE, OSFXSR, OSXMMEXCPT
const OSFXSR = 0x200;
const OSXMMEXCPT = 0x400;

interface Environment {
  readonly cr0?: number;
  readonly cr4?: number;
  readonly mxcsr?: number;
}

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create();
});

/** Runs to the end or to a fault: gives its vector, or undefined. */
function outcome(program: string, { cr0 = CR0, cr4 = CR4, mxcsr = 0x1f80 }: Environment): number | undefined {
  cpu.start(`${program};; hlt`);
  for (let vector = 0; vector < 32; vector++) {
    cpu.write(HANDLER + HANDLER_BYTES * vector, 1, HLT);
    cpu.gate(vector, HANDLER + HANDLER_BYTES * vector);
  }
  const state = cpu.state();
  state.set({ cr0, cr4 });
  state.mxcsr = mxcsr;
  cpu.run(20);
  const rip = Number(cpu.state().rip);
  return rip >= HANDLER && rip < HANDLER + 32 * HANDLER_BYTES
    ? (rip - HANDLER - 1) / HANDLER_BYTES
    : undefined;
}

const SSE = [
  "movaps xmm0, xmm1",
  "paddb xmm0, xmm1",
  "addps xmm0, xmm1",
  "roundsd xmm0, xmm1, 4",
  "ptest xmm0, xmm1",
];
const STRINGS = [
  "pcmpistri xmm0, xmm1, 0",
  "dpps xmm0, xmm1, 0xff",
  "haddps xmm0, xmm1",
  "pshufb xmm0, xmm1",
];
const GENERAL = [
  "crc32 eax, bl",
  "popcnt eax, ebx",
  "movnti [0x30000], eax",
  "sfence",
  "prefetchnta [0x30000]",
];

// SDM vol. 3A, 14.1: what CR0 and CR4 say of SSE
describe("CR0 and CR4", () => {
  test.each([...SSE, ...STRINGS])("%s asks for EM, OSFXSR and TS, in that order", (program) => {
    expect(outcome(program, {})).toBe(undefined);
    expect(outcome(program, { cr0: CR0 | EM })).toBe(UD);
    expect(outcome(program, { cr4: CR4 & ~OSFXSR })).toBe(UD);
    expect(outcome(program, { cr0: CR0 | TS })).toBe(NM);
    expect(outcome(program, { cr0: CR0 | TS | EM })).toBe(UD);
    expect(outcome(program, { cr0: CR0 | TS, cr4: CR4 & ~OSFXSR })).toBe(UD);
  });
  test.each(GENERAL)("%s does not ask", (program) => {
    expect(outcome(program, { cr0: CR0 | TS | EM, cr4: CR4 & ~OSFXSR })).toBe(undefined);
  });
});

// SDM vol. 1, 11.5: unmasked SSE exceptions
describe("an unmasked exception", () => {
  const DIVIDE_UNMASKED = 0x1f80 & ~0x200;
  const PRECISION_UNMASKED = 0x1f80 & ~0x1000;
  // XMM1 is 0 in lane 0, 3.0 in lane 1; XMM0 is 1.0 in both.
  const load = `movups xmm0, [${DATA}];; movups xmm1, [${DATA + 16}]`;
  const words = (low: bigint, high: bigint, at: number) => {
    cpu.write(at, 8, low);
    cpu.write(at + 8, 8, high);
  };
  const ONES = 0x3ff0_0000_0000_0000_3ff0_0000_0000_0000n;
  const doubles = () => {
    words(0x3ff0_0000_0000_0000n, 0x3ff0_0000_0000_0000n, DATA);
    words(0n, 0x4008_0000_0000_0000n, DATA + 16);
  };

  test("is #XM, or #UD without OSXMMEXCPT; the flags are set either way", () => {
    doubles();
    expect(outcome(`${load};; divsd xmm0, xmm1`, { mxcsr: DIVIDE_UNMASKED })).toBe(XM);
    expect(cpu.state().mxcsr).toBe(DIVIDE_UNMASKED | 4);
    const without = { mxcsr: DIVIDE_UNMASKED, cr4: CR4 & ~OSXMMEXCPT };
    expect(outcome(`${load};; divsd xmm0, xmm1`, without)).toBe(UD);
    expect(cpu.state().mxcsr).toBe(DIVIDE_UNMASKED | 4);
  });
  test("found before computing keeps what rounding the other lanes would have raised", () => {
    doubles();
    expect(outcome(`${load};; divpd xmm0, xmm1`, { mxcsr: DIVIDE_UNMASKED })).toBe(XM);
    expect(cpu.state().mxcsr).toBe(DIVIDE_UNMASKED | 4); // not PE, though 1/3 is inexact
    expect(cpu.state().xmm(0)).toBe(ONES);
  });
  test("found by rounding keeps the whole result back", () => {
    doubles();
    expect(outcome(`${load};; divpd xmm0, xmm1`, { mxcsr: PRECISION_UNMASKED })).toBe(XM);
    expect(cpu.state().mxcsr).toBe(PRECISION_UNMASKED | 0x24); // ZE of lane 0 is masked, and set
    expect(cpu.state().xmm(0)).toBe(ONES);
  });
  test("that is set already raises nothing by itself", () => {
    doubles();
    expect(outcome(`${load};; addpd xmm0, xmm1`, { mxcsr: DIVIDE_UNMASKED | 4 })).toBe(undefined);
  });
});

// SDM vol. 1, 10.2.3
test("LDMXCSR refuses reserved bits and leaves MXCSR alone", () => {
  cpu.write(DATA, 4, 0x1_1f80);
  expect(outcome(`ldmxcsr [${DATA}]`, {})).toBe(GP);
  expect(cpu.state().mxcsr).toBe(0x1f80);
});

// SDM vol. 1, 10.4.1 and 11.6.10 (packed operands in memory)
describe("alignment of 16 bytes", () => {
  const MUST = [
    "movaps xmm0, [rax]",
    "addps xmm0, [rax]",
    "pshufb xmm0, [rax]",
    "movntdqa xmm0, [rax]",
    "roundps xmm0, [rax], 0",
  ];
  const NEED_NOT = [
    "movups xmm0, [rax]",
    "lddqu xmm0, [rax]",
    "pcmpistri xmm0, [rax], 0",
    "roundsd xmm0, [rax], 0",
    "movddup xmm0, [rax]",
  ];
  test.each(MUST)("%s must be aligned", (program) => {
    expect(outcome(`mov eax, ${DATA + 8};; ${program}`, {})).toBe(GP);
    expect(outcome(`mov eax, ${DATA};; ${program}`, {})).toBe(undefined);
  });
  test.each(NEED_NOT)("%s need not", (program) => {
    expect(outcome(`mov eax, ${DATA + 9};; ${program}`, {})).toBe(undefined);
  });
});

test("programs start where the harness says", () => {
  expect(outcome("nop", {})).toBe(undefined);
  expect(Number(cpu.state().rip)).toBe(CODE + 2);
});
