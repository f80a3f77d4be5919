// DebugCtl: the last branch recorded, and TF that traps after branches alone. AMD APM vol. 2, 13.1.1.6, 13.1.4; Intel SDM
// vol. 3B, 18.4.

import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { assembleWithLabels } from "../../emulator/assembler.js";
import { HALTED } from "../../emulator/cpu/layout.js";
import { CODE, Cpu } from "../support/cpu.js";

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create();
});
beforeEach(() => cpu.engine.reset(0));

const HANDLER = 0x3_0000;
const LOG = 0x2_0000;
const DEBUGCTL = 0x1d9;
const [BRANCH_FROM, BRANCH_TO, INTERRUPT_FROM, INTERRUPT_TO] = [0x1db, 0x1dc, 0x1dd, 0x1de];
const LBR = 1;
const BTF = 2;
const DB = 1;
const UD = 6;

const wrmsr = (index: number, low: number) => `mov ecx, ${index};; mov eax, ${low};; xor edx, edx;; wrmsr`;
/** R8 is where the log goes on. */
const log = (register: string) => `mov [r8], ${register};; add r8, 8`;
const logMsr = (index: number) => `mov ecx, ${index};; rdmsr;; ${log("rax")}`;

/** Runs a program from CODE to its HLT; what was logged, addresses by the program's labels. */
function run(program: string, handlers: Readonly<Record<number, string>>): (string | bigint)[] {
  const { labels, bytes } = assembleWithLabels(`mov r8d, ${LOG}\n${program}\nhlt`, {
    bits: 64,
    origin: CODE,
  });
  cpu.start(bytes);
  for (const [vector, text] of Object.entries(handlers)) {
    const at = HANDLER + 0x100 * Number(vector);
    cpu.place(at, text);
    cpu.gate(Number(vector), at);
  }
  cpu.run(2000);
  const s = cpu.state();
  expect(s.activity).toBe(HALTED);
  const names = new Map([...labels].map(([name, at]) => [BigInt(at), name]));
  const logged = (Number(s.register("r8")) - LOG) / 8;
  return Array.from({ length: logged }, (_, i) => cpu.read(LOG + 8 * i, 8)).map((v) => names.get(v) ?? v);
}

const stepping = "pushfq;; or qword ptr [rsp], 0x100;; popfq";
/** Logs RIP, DR6.BS and DebugCtl; `then` before the return. */
const traps = (then: string) => `
  push rax;; push rcx;; push rdx
  mov rax, [rsp+24];; ${log("rax")}
  mov rax, dr6;; and eax, 0x4000;; ${log("rax")}
  ${logMsr(DEBUGCTL)}
  ${then}
  pop rdx;; pop rcx;; pop rax
  iretq`;
const stopStepping = "and qword ptr [rsp+40], -257";

// APM vol. 2, 13.1.4
describe("DebugCtl.BTF", () => {
  const program = `
    ${wrmsr(DEBUGCTL, BTF)}
    ${stepping}
    nop
    xor eax, eax
    jnz never
    jmp first
    never: nop
    first: nop
    second: call third
    third: pop rax
    fourth: nop`;
  test("TF traps after a branch that is taken, and #DB clears the bit", () => {
    expect(run(program, { [DB]: traps(stopStepping) })).toEqual(["first", 0x4000n, 0n]);
  });
  test("then after each instruction, unless the handler sets it again", () => {
    // The handler stops at the third label, whose address R9 has.
    const stopAtThird = `mov rax, [r8-24];; cmp rax, r9;; jne on;; ${stopStepping};; on:`;
    const until = (more: string) => {
      const known = program.replace("nop", "lea r9, [third];; nop");
      return run(known, { [DB]: traps(`${more};; ${stopAtThird}`) }).filter((v) => typeof v === "string");
    };
    expect(until("nop")).toEqual(["first", "second", "third"]);
    expect(until(wrmsr(DEBUGCTL, BTF))).toEqual(["first", "third"]);
  });
});

// APM vol. 2, 13.1.4
describe("DebugCtl.LBR", () => {
  test("the last branch's addresses, of those that are taken", () => {
    const program = `
      ${wrmsr(DEBUGCTL, LBR)}
      from: jmp to
      nop
      to: xor eax, eax
      jnz to
      ${logMsr(BRANCH_FROM)}
      ${logMsr(BRANCH_TO)}
      call: call sub
      back: ${logMsr(BRANCH_FROM)}
      ${logMsr(BRANCH_TO)}
      hlt
      sub: nop
      end: ret`;
    expect(run(program, {})).toEqual(["from", "to", "end", "back"]);
  });
  test("an interrupt or exception is one, and keeps the branch before it", () => {
    const program = `
      ${wrmsr(DEBUGCTL, LBR)}
      from: jmp to
      nop
      to: nop
      bad: ud2`;
    const all = [BRANCH_FROM, BRANCH_TO, INTERRUPT_FROM, INTERRUPT_TO].map(logMsr).join("\n");
    const handler = BigInt(HANDLER + 0x100 * UD);
    expect(run(program, { [UD]: `${all}\nhlt` })).toEqual(["bad", handler, "from", "to"]);
  });
  test("a debug exception ends it before its handler", () => {
    const program = `${wrmsr(DEBUGCTL, LBR)}
      from: jmp to
      nop
      to: int1
      nop`;
    const all = [DEBUGCTL, BRANCH_FROM, BRANCH_TO].map(logMsr).join("\n");
    expect(run(program, { [DB]: `jmp on;; on: ${all}\nhlt` })).toEqual([0n, "from", "to"]);
  });
  test("without it nothing is recorded, and the records cannot be written", () => {
    const program = `jmp to;; nop;; to: ${logMsr(BRANCH_TO)};; bad: ${wrmsr(BRANCH_FROM, 1)}`;
    expect(run(program, { 13: "mov r9d, 13;; hlt" })).toEqual([0n]);
    expect(cpu.state().register("r9")).toBe(13n);
  });
});
