// Performance counters: AMD APM vol. 2, 13.2; RDPMC, vol. 3. An instruction takes a cycle here, so cycles and
// instructions differ by what takes a cycle without being an instruction: further iterations of REP, and exceptions.

import { describe, expect, test } from "vitest";
import { CODE, Cpu, selectors } from "../support/cpu.js";

const USER = 0x1_0000;
const SYSTEM = 0x2_0000;
const INTERRUPT = 0x10_0000;
const ENABLE = 0x40_0000;
const BOTH = ENABLE | USER | SYSTEM;
const CTL = 0xc001_0200;
const cycles = 0x76;
const instructions = 0xc0;
const branches = 0xc2;
const taken = 0xc4;

const write = (msr: number, value: number, high = 0) =>
  `mov ecx, ${msr};; mov eax, ${value};; mov edx, ${high};; wrmsr`;
/** The select's own WRMSR counts, and the three moves before the one that ends it. */
const AROUND = 4;
const counted = (n: number, select: number, body: string) =>
  `${write(CTL + 2 * n, select)};; ${body};; ${write(CTL + 2 * n, 0)};; hlt`;

async function measure(select: number, body: string, n = 0): Promise<number> {
  const cpu = await Cpu.create();
  cpu.start(counted(n, select, body));
  cpu.run(10_000);
  return counter(cpu, n) - AROUND;
}
function counter(cpu: Cpu, n = 0): number {
  const s = cpu.state();
  cpu.place(0x2_0000, `mov ecx, ${n};; rdpmc;; hlt`);
  s.set({ rip: 0x2_0000 });
  s.activity = 0;
  cpu.run(3);
  return Number((BigInt(s.register("rdx")) << 32n) | s.register("rax"));
}

const LOOP = "mov ebx, 100;; again: nop;; nop;; dec ebx;; jnz again"; // 401 instructions, 100 branches
const COPY = "mov esi, 0x30000;; mov edi, 0x40000;; mov ecx, 200;; rep movsb"; // 4 instructions, 203 cycles

describe("what is counted (APM vol. 2, 13.2.1)", () => {
  test.each([
    ["cycles of a loop", cycles, LOOP, 401],
    ["instructions of a loop", instructions, LOOP, 401],
    ["cycles of REP: each iteration", cycles, COPY, 203],
    ["instructions of REP: one", instructions, COPY, 4],
    ["branches", branches, `${LOOP};; jmp on;; nop;; on: nop`, 101 - AROUND],
    ["taken branches", taken, `${LOOP};; jmp on;; nop;; on: nop`, 100 - AROUND],
    ["mispredictions: nothing is predicted", 0xc3, LOOP, -AROUND],
    ["cycles with at least one event", cycles | (1 << 24), LOOP, 401],
    ["cycles with at least two", instructions | (2 << 24), LOOP, -AROUND],
    ["cycles without an instruction (INV)", instructions | (1 << 24) | (1 << 23), COPY, 199 - AROUND],
  ] as const)("%s", async (_, event, body, count) => {
    expect(await measure(BOTH | event, body)).toBe(count);
  });

  test("exceptions take a cycle, and are no instructions", async () => {
    const run = async (event: number) => {
      const cpu = await Cpu.create();
      cpu.place(0x3_0000, "add qword ptr [rsp], 2;; iretq");
      cpu.start(counted(0, BOTH | event, "ud2;; nop"));
      cpu.gate(6, 0x3_0000);
      cpu.run(100);
      return counter(cpu) - AROUND;
    };
    expect([await run(cycles), await run(instructions), await run(branches)]).toEqual([4, 3, 2 - AROUND]);
  });

  test("OS and USR: levels 0 to 2, and 3", async () => {
    const user = 0x4_0000;
    const run = async (levels: number) => {
      const cpu = await Cpu.create();
      cpu.place(user, "nop;; nop;; nop;; int 0x40");
      cpu.place(0x3_0000, `mov ecx, ${CTL};; mov eax, 0;; mov edx, 0;; wrmsr;; hlt`);
      const frame = `push ${selectors.user};; push 0x70000;; push 2;; push ${selectors.userCode};; push ${user}`;
      cpu.start(`${write(CTL, ENABLE | levels | instructions)};; ${frame};; iretq`);
      cpu.gate(0x40, 0x3_0000);
      cpu.view.setUint8(0x9000 + 16 * 0x40 + 5, 0xee); // DPL 3
      cpu.run(100);
      return counter(cpu);
    };
    const [os, usr, both] = [await run(SYSTEM), await run(USER), await run(USER | SYSTEM)];
    // WRMSR and five pushes; then IRETQ, which counts at the level where it arrives, three NOPs; INT and three moves.
    expect([os, usr, both]).toEqual([10, 4, 14]);
  });
});

describe("the registers", () => {
  test("the first four are the legacy ones as well; six of 48 bits; reserved bits are #GP", async () => {
    const cpu = await Cpu.create();
    cpu.start(`${write(0xc001_0004, 0x1234_5678, 0xffff_abcd)};; ${write(0xc001_0000, 0x76)};; mov ecx, ${CTL + 1};;
      rdmsr;; mov esi, eax;; mov edi, edx;; mov ecx, ${CTL};; rdmsr;; mov ebx, eax;; ${write(CTL, 0x8_0000)};; hlt`);
    cpu.gate(13, 0x3_0000);
    cpu.place(0x3_0000, "hlt");
    cpu.run(100);
    const s = cpu.state();
    expect([s.register("rsi"), s.register("rdi"), s.register("rbx")]).toEqual([0x1234_5678n, 0xabcdn, 0x76n]);
    expect(s.rip).toBe(0x3_0001n);
  });

  test("RDPMC: at level 3 with CR4.PCE only; of a counter that is not there #GP (APM vol. 3, RDPMC)", async () => {
    const run = async (level: number, cr4: number, n: number) => {
      const cpu = await Cpu.create();
      cpu.start(`mov ecx, ${n};; rdpmc;; hlt`);
      cpu.gate(13, 0x3_0000);
      const s = cpu.state();
      s.set({ cr4: 0x620 | cr4 });
      if (level === 3) {
        s.cpl = 3;
        s.setSegment("cs", {
          selector: selectors.userCode,
          base: 0n,
          limit: 0xffff_ffff,
          attributes: 0xa0_fb00,
        });
      }
      cpu.run(2);
      return s.rip === BigInt(CODE + 7);
    };
    expect([await run(0, 0, 5), await run(0, 0, 6), await run(3, 0x100, 0), await run(3, 0, 0)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  test("an event that is not counted is named", async () => {
    const cpu = await Cpu.create();
    cpu.start(counted(0, BOTH | 0x1d0, "nop"));
    cpu.run(100);
    expect(cpu.host.unimplementedSeen).toEqual(["performance event d0, which counts nothing"]);
  });
});

describe("overflow (APM vol. 2, 13.2.2)", () => {
  test.each([
    ["cycles", cycles],
    ["instructions", instructions],
  ] as const)("of %s interrupts at the cycle where the counter wraps, once", async (_, event) => {
    const cpu = await Cpu.create();
    // 48 bits of ones less 99: the hundredth instruction after it is enabled wraps.
    cpu.start(
      `${write(CTL + 1, -100, 0xffff)};; ${write(CTL, BOTH | INTERRUPT | event)};; ${"nop;; ".repeat(300)} hlt`,
    );
    cpu.run(7 + 100);
    expect(cpu.host.overflows).toBe(0);
    cpu.run(1);
    cpu.engine.run(0, 0);
    expect(cpu.host.overflows).toBe(1);
    cpu.run(150);
    expect([cpu.host.overflows, counter(cpu) > 100]).toEqual([1, true]);
  });

  test("without the interrupt bit, nobody is told", async () => {
    const cpu = await Cpu.create();
    cpu.start(`${write(CTL + 1, -100, 0xffff)};; ${write(CTL, BOTH | cycles)};; ${"nop;; ".repeat(300)} hlt`);
    cpu.run(200);
    expect(cpu.host.overflows).toBe(0);
  });
});

test("a snapshot keeps them", async () => {
  const cpu = await Cpu.create();
  cpu.start(`${write(CTL, BOTH | instructions)};; ${"nop;; ".repeat(30)} hlt`);
  cpu.run(10);
  const record = cpu.engine.snapshot(0);
  cpu.run(5);
  const later = counter(cpu);
  cpu.engine.restore(0, record);
  cpu.run(5);
  expect(counter(cpu)).toBe(later);
});
