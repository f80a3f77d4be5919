// What comes first when several events meet at one instruction boundary, and what each holds off. Intel SDM vol. 3A,
// 6.7 (NMI), 6.8 (masking), table 6-2 (priority among concurrent events); REP in vol. 2B.

import { beforeAll, beforeEach, expect, test, vi } from "vitest";
import { ACTIVE, ATTENTION_INTERRUPT, ATTENTION_NMI, HALTED } from "../../emulator/cpu/layout.js";
import { CODE, Cpu, PAGE_TABLES, STACK_TOP, selectors } from "../support/cpu.js";

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create();
});
beforeEach(() => {
  cpu.engine.reset(0);
  cpu.host.interrupts = [];
});

const HANDLERS = 0x3_0000;
const handler = (vector: number) => HANDLERS + 0x100 * vector;
const LOG = 0x2_0000;
/** Handlers that append their vector to a list at R8 and do `then`. */
function logging(handlers: Record<number, string>): void {
  for (const [vector, then] of Object.entries(handlers)) {
    cpu.place(handler(Number(vector)), `mov byte ptr [r8], ${vector};; inc r8;; ${then}`);
    cpu.gate(Number(vector), handler(Number(vector)));
  }
  cpu.state().set({ r8: LOG });
}
const order = () =>
  Array.from({ length: Number(cpu.state().register("r8")) - LOG }, (_, i) => Number(cpu.read(LOG + i, 1)));
const ERROR = "add rsp, 8;; iretq";

// SDM vol. 3A, table 6-2
test("a debug trap, then NMI, then an interrupt", () => {
  cpu.start("nop;; nop;; cli;; hlt");
  logging({ 1: "and dword ptr [rsp+16], 0xfffffeff;; iretq", 2: "iretq", 64: "iretq" });
  cpu.state().rflags = 0x302;
  cpu.run(1); // the trap is pending now
  cpu.host.interrupts.push(0x40);
  cpu.attend(0, ATTENTION_NMI | ATTENTION_INTERRUPT);
  cpu.run(100);
  // Delivered in this order, the handlers nest: NMI's runs first, over the debug handler's frame
  expect(order()).toEqual([2, 1, 0x40]);
  expect(cpu.read(STACK_TOP - 40, 8)).toBe(BigInt(CODE + 1)); // #DB's frame
  expect(cpu.read(STACK_TOP - 88, 8)).toBe(BigInt(handler(1))); // NMI's frame below it
});
// SDM vol. 3A, 6.7.1: NMI blocks NMI until IRET, whatever comes of that
test("one NMI waits while another is served, no more, and IRET lets it in", () => {
  cpu.start("nop;; nop;; hlt");
  logging({ 2: "nop;; nop;; iretq" });
  cpu.attend(0, ATTENTION_NMI);
  cpu.run(1);
  cpu.attend(0, ATTENTION_NMI);
  cpu.run(1);
  cpu.attend(0, ATTENTION_NMI);
  cpu.run(50);
  expect(order()).toEqual([2, 2]);
});
// SDM vol. 3A, 6.7.1: "until the next execution of the IRET instruction"; that it faults makes no difference
test("an IRET that faults lets the next NMI in", () => {
  cpu.start("nop;; nop;; hlt");
  logging({ 2: "cmp r8, 0x20001;; jnz out;; mov word ptr [rsp+8], 0x1f0;; out: iretq", 13: "hlt" });
  cpu.attend(0, ATTENTION_NMI);
  cpu.run(2);
  cpu.attend(0, ATTENTION_NMI);
  cpu.run(50);
  expect(order()).toEqual([2, 2, 13]);
  expect(cpu.state().activity).toBe(HALTED);
});
// SDM vol. 3A, 6.8.3: MOV SS and POP SS hold off all but faults, for one instruction
// SDM vol. 2, STI: STI holds off interrupts for one instruction
test("MOV SS holds off interrupts and NMI for one instruction, STI interrupts", () => {
  cpu.start("mov eax, 0x10;; mov ss, eax;; nop;; nop;; hlt");
  logging({ 2: "hlt", 64: "hlt" });
  cpu.state().rflags = 0x202;
  cpu.run(2);
  cpu.host.interrupts.push(0x40);
  cpu.attend(0, ATTENTION_NMI | ATTENTION_INTERRUPT);
  cpu.run(50);
  expect(order()).toEqual([2]);
  expect(cpu.read(STACK_TOP - 40, 8)).toBe(BigInt(CODE + 5 + 2 + 1));
  // STI; CLI never opens a window
  cpu.start("sti;; cli;; hlt");
  logging({ 64: "hlt" });
  cpu.attend(0, ATTENTION_INTERRUPT);
  cpu.run(50);
  expect(order()).toEqual([]);
});
// Generated code goes on behind STI by itself, unless something waits
test("what comes while STI runs is held off for the next instruction, and for that one only", () => {
  /** Which vectors a program takes whose RDTSC makes the local APIC ask for one. */
  const takes = (program: string): number[] => {
    cpu.start(program);
    logging({ 64: "hlt" });
    cpu.host.interrupts = [];
    const asks = vi.spyOn(cpu.host, "timestamp").mockImplementation(() => {
      cpu.host.interrupts.push(0x40);
      cpu.attend(0, ATTENTION_INTERRUPT);
      return 0;
    });
    cpu.run(50);
    asks.mockRestore();
    return order();
  };
  expect(takes("rdtsc;; sti;; cli;; hlt")).toEqual([]);
  expect(takes("rdtsc;; sti;; nop;; cli;; hlt")).toEqual([0x40]);
  expect(cpu.read(STACK_TOP - 40, 8)).toBe(BigInt(CODE + 2 + 1 + 1));
});
test("STI's shadow has ended where a run ends behind the next instruction, in the middle of a block", () => {
  cpu.start("sti;; nop;; nop;; nop;; hlt");
  cpu.run(50); // decoded now
  cpu.setUp();
  logging({ 64: "hlt" });
  cpu.run(2);
  cpu.host.interrupts.push(0x40);
  cpu.attend(0, ATTENTION_INTERRUPT);
  cpu.run(50);
  expect(order()).toEqual([0x40]);
  expect(cpu.read(STACK_TOP - 40, 8)).toBe(BigInt(CODE + 2));
});
// SDM vol. 2, STI: interrupts stay off until the end of the instruction behind it, wherever a run comes back. A wake-up that is
// taken between STI and HLT is lost to the sleeper.
test.each([
  ["an interrupt", 64, false],
  ["an NMI", 2, false],
  ["an interrupt, live", 64, true],
  ["an NMI, live", 2, true],
] as const)("where a run ends right behind STI, it still holds off %s", async (_, vector, live) => {
  if (live) cpu = await Cpu.create({ live });
  cpu.start("mov ecx, 3;; again: cli;; sti;; inc ebx;; dec ecx;; jnz again;; hlt");
  const behind = CODE + 5 + 1 + 1;
  let met = 0;
  for (let budget = 1; budget < 20; budget++) {
    cpu.setUp();
    logging({ [vector]: "hlt" });
    cpu.engine.run(0, budget); // live it comes back before a block that is longer than what is left
    if (Number(cpu.state().rip) !== behind) continue;
    met++;
    if (vector === 64) cpu.host.interrupts = [64];
    cpu.attend(0, vector === 64 ? ATTENTION_INTERRUPT : ATTENTION_NMI);
    cpu.engine.run(0, 50);
    cpu.engine.run(0, 50);
    expect(order(), `after ${budget} instructions`).toEqual([vector]);
    expect(cpu.read(STACK_TOP - 40, 8), `after ${budget} instructions`).toBe(BigInt(behind + 2));
    cpu.engine.reset(0); // no longer in NMI's handler
  }
  expect(met).toBeGreaterThan(1);
});
test("NMI ends HLT with interrupts off, an interrupt does not", () => {
  cpu.start("hlt;; mov ebx, 1;; hlt");
  logging({ 2: "iretq", 64: "iretq" });
  cpu.run(10);
  cpu.host.interrupts.push(0x40);
  cpu.attend(0, ATTENTION_INTERRUPT);
  expect(cpu.engine.runnable(0)).toBe(false);
  cpu.attend(0, ATTENTION_NMI);
  cpu.run(50);
  expect([order(), cpu.state().register("rbx")]).toEqual([[2], 1n]);
});
// SDM vol. 3A, table 6-2
test("an interrupt comes before a fault of the next instruction, and the fault comes after", () => {
  cpu.start("nop;; ud2");
  logging({ 6: "hlt", 64: "iretq" });
  cpu.state().rflags = 0x202;
  cpu.run(1);
  cpu.host.interrupts.push(0x40);
  cpu.attend(0, ATTENTION_INTERRUPT);
  cpu.run(50);
  expect(order()).toEqual([0x40, 6]);
});
// SDM vol. 3A, table 6-2
test("fetching comes before decoding, decoding before executing", () => {
  // The second page of an instruction that would be #UD is absent: #PF first
  cpu.start("nop");
  const page = PAGE_TABLES + 0x2000 + 8 * 2; // 40_0000
  cpu.place(0x3f_ffff, [0x0f]);
  const entry = cpu.read(page, 8);
  cpu.write(page, 8, 0);
  cpu.state().set({ rip: 0x3f_ffff, cr3: PAGE_TABLES });
  logging({ 6: "hlt", 14: "hlt" });
  cpu.run(20);
  cpu.write(page, 8, entry);
  expect(order()).toEqual([14]);
  expect(cpu.state().register("cr2")).toBe(0x40_0000n);
  // A privileged instruction in ring 3 with LOCK: #UD, not #GP
  cpu.start([0xf0, 0xf4]);
  logging({ 6: "hlt", 13: "hlt" });
  const s = cpu.state();
  s.cpl = 3;
  s.setSegment("cs", { selector: selectors.userCode, attributes: 0xa0_fb00 });
  s.setSegment("ss", { selector: selectors.user, attributes: 0xc0_f300 });
  cpu.run(20);
  expect(order()).toEqual([6]);
});
// SDM vol. 2, REP: REP goes on where it was interrupted or faulted
test("a repeated instruction that faults goes on where it was", () => {
  cpu.start("cld;; rep movsb;; hlt");
  const page = PAGE_TABLES + 0x2000 + 8 * 2;
  cpu.write(page, 8, 0x40_0086);
  cpu.ram.set([1, 2, 3, 4, 5, 6, 7, 8], 0x5_0000);
  // The handler maps the page
  logging({
    14: `mov r9, rcx;; mov r10, rdi;; mov r11, [rsp+8];; mov dword ptr [${page}], 0x400087;; ${ERROR}`,
  });
  cpu.state().set({ rcx: 8, rsi: 0x5_0000, rdi: 0x3f_fffd });
  cpu.run(100);
  const s = cpu.state();
  expect([s.register("r9"), s.register("r10"), s.register("r11")]).toEqual([
    5n,
    0x40_0000n,
    BigInt(CODE + 1),
  ]);
  expect([s.activity, s.register("rcx"), s.register("rdi")]).toEqual([HALTED, 0n, 0x40_0005n]);
  expect([...cpu.ram.subarray(0x3f_fffd, 0x40_0005)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(s.activity).not.toBe(ACTIVE);
});
