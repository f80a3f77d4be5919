// The local APIC as guest code meets it: MSRs, INIT and SIPI between cores, the TSC deadline. Intel SDM vol. 3A.

import { describe, expect, test } from "vitest";
import { Machine } from "../../emulator/index.js";

const RESULTS = 0x5_0000;
const IDT = 0x6_0000;
const HANDLERS = 0x7_0000;
const GP = 13;
const TIMER = 0x40;

/** An IDT with a #GP handler that steps over RDMSR or WRMSR and counts in RESULTS, and a timer's that counts behind it. */
function withHandlers(machine: Machine): void {
  const handlers: [vector: number, code: number[]][] = [
    // add qword ptr [rsp + 8], 2; inc dword ptr [RESULTS]; add rsp, 8; iretq
    [GP, [0x48, 0x83, 0x44, 0x24, 0x08, 0x02, 0xff, 0x04, 0x25, 0, 0, 5, 0, 0x48, 0x83, 0xc4, 8, 0x48, 0xcf]],
    // inc dword ptr [RESULTS + 4]; iretq
    [TIMER, [0xff, 0x04, 0x25, 4, 0, 5, 0, 0x48, 0xcf]],
  ];
  for (const [index, [vector, code]] of handlers.entries()) {
    const at = HANDLERS + 0x100 * index;
    machine.load(at, Uint8Array.from(code));
    machine.write(
      IDT + 16 * vector,
      8,
      ((BigInt(at) >> 16n) << 48n) | 0x8e00_0008_0000n | BigInt(at & 0xffff),
    );
    machine.write(IDT + 16 * vector + 8, 8, 0);
  }
  machine.core(0).idtr = { base: BigInt(IDT), limit: 0xfff };
}

const wrmsr = (msr: number, low: number, high = 0) =>
  `mov ecx, ${msr}\n mov eax, ${low}\n mov edx, ${high}\n wrmsr\n`;

describe("x2APIC", () => {
  // SDM vol. 3A, 11.12.1: which registers are MSRs, and what is reserved in them
  test("the registers are MSRs once IA32_APIC_BASE says so; what is reserved is #GP", async () => {
    const machine = await Machine.create({ memory: 1 << 20 });
    machine.start(`
      mov ecx, 0x802
      rdmsr                 ; #GP: still xAPIC
      ${wrmsr(0x1b, 0xfee0_0d00)}
      ${wrmsr(0x1b, 0xfee0_0900)}  ; #GP: not back
      ${wrmsr(0x80f, 0x1ff)}
      ${wrmsr(0x80f, 0x2000)}      ; #GP: reserved
      ${wrmsr(0x83f, TIMER)}
      sti
      nop
      cli
      mov ecx, 0x812
      rdmsr                 ; in service: 0x40
      mov ebx, eax
      ${wrmsr(0x80b, 0)}
      mov ecx, 0x812
      rdmsr
      mov esi, eax
      ${wrmsr(0x830, 0x4_0000 | TIMER, 0x1234)}
      mov ecx, 0x830
      rdmsr
      hlt`);
    withHandlers(machine);
    expect(machine.run()).toBe("halted");
    expect([machine.read(RESULTS, 4), machine.read(RESULTS + 4, 4)]).toEqual([3n, 1n]);
    const registers = (["rbx", "rsi", "rax", "rdx"] as const).map((name) => machine.core().register(name));
    expect(registers).toEqual([1n, 0n, 0x4_0040n, 0x1234n]);
  });
});

describe("TSC deadline", () => {
  const program = (arm: string) => `
      ${wrmsr(0x1b, 0xfee0_0d00)}
      ${wrmsr(0x80f, 0x1ff)}
      ${wrmsr(0x832, 0x4_0000 | TIMER)}
      ${arm}
      mov ecx, 0x6e0
      wrmsr
      rdmsr
      mov ebx, eax
      sti
      hlt
      cli
      rdtsc
      sub eax, edi
      mov ecx, 0x6e0
      mov esi, eax
      rdmsr
      hlt`;

  // SDM vol. 3A, 11.5.4.1: TSC deadline
  test("rings when the counter is there, however it was set, and then reads zero", async () => {
    for (const set of ["", wrmsr(0x10, 0x5000_0000, 7)]) {
      const machine = await Machine.create({ memory: 1 << 20 });
      machine.start(program(`${set}rdtsc\n mov edi, eax\n add eax, 100000\n`));
      withHandlers(machine);
      expect(machine.run({ limit: 1e6 })).toBe("halted");
      const [rbx, rsi, rax, rdi] = (["rbx", "rsi", "rax", "rdi"] as const).map((n) =>
        machine.core().register(n),
      );
      expect([machine.read(RESULTS, 4), machine.read(RESULTS + 4, 4), rax]).toEqual([0n, 1n, 0n]);
      expect(rbx).toBe(rdi + 100_000n);
      expect(Number(rsi)).toBeGreaterThanOrEqual(100_000);
      expect(Number(rsi)).toBeLessThan(100_100);
    }
  });

  // SDM vol. 3A, 11.5.4.1: TSC deadline
  test("a counter that is written moves the deadline with it", async () => {
    const machine = await Machine.create({ memory: 1 << 20 });
    machine.start(`
      ${wrmsr(0x1b, 0xfee0_0d00)}
      ${wrmsr(0x80f, 0x1ff)}
      ${wrmsr(0x832, 0x4_0000 | TIMER)}
      ${wrmsr(0x6e0, 0, 100)}
      ${wrmsr(0x10, 0xffff_f000, 99)}
      sti
      hlt
      hlt`);
    withHandlers(machine);
    machine.run({ limit: 10_000 });
    expect(machine.read(RESULTS + 4, 4)).toBe(1n);
  });
});

describe("INIT and SIPI", () => {
  // SDM vol. 3A, 9.4: INIT and SIPI
  test("INIT resets the core's local APIC, but for ID and base; the SIPI that follows is kept", async () => {
    const machine = await Machine.create({ cores: 2, memory: 1 << 20 });
    // Core 1: enables its APIC, its timer and a vector in the IRR, then spins. Core 0: INIT and SIPI at once.
    machine.start(`
        mov ebx, 0xfee00000
        test edi, edi
        jnz second
      wait: cmp dword ptr [${RESULTS}], 1
        jne wait
        mov dword ptr [rbx + 0x310], 0x5000000
        mov dword ptr [rbx + 0x300], 0xc500
        mov dword ptr [rbx + 0x300], 0x4608
        hlt
      second:
        mov dword ptr [rbx + 0xf0], 0x1ff
        mov dword ptr [rbx + 0x20], 0x5000000
        mov dword ptr [rbx + 0x80], 0xf0
        mov dword ptr [rbx + 0x320], 0x20040
        mov dword ptr [rbx + 0x380], 0x1000000
        mov dword ptr [rbx + 0x300], 0x40041
        mov dword ptr [${RESULTS}], 1
      spin: jmp spin`);
    machine.load(0x8000, Uint8Array.of(0xfa, 0xf4)); // where the SIPI starts it: cli; hlt
    expect(machine.run({ limit: 100_000 })).toBe("halted");
    expect(machine.core(1).rip).toBe(2n);
    const [, { apic: state, mailbox }] = machine.snapshot().devices as {
      apic: { id: number; svr: number; tpr: number; lvt: number[]; timer: { deadline: number } };
      mailbox: number[];
    }[];
    expect({ id: state.id, svr: state.svr, tpr: state.tpr, timer: state.lvt[0] }).toEqual({
      id: 5,
      svr: 0xff,
      tpr: 0,
      timer: 0x1_0000,
    });
    expect([state.timer.deadline, ...mailbox.slice(0, 8)]).toEqual([-1, 0, 0, 0, 0, 0, 0, 0, 0]);
  });
});

describe("NMI", () => {
  // SDM vol. 3A, 6.7.1: NMI blocks NMI until IRET, whatever comes of that
  test("two that come between two looks are two; more than that are one and one that waits", async () => {
    const machine = await Machine.create({ cores: 2, memory: 1 << 20 });
    // Core 0: runs only after core 1 has sent. Vector 2: inc dword ptr [RESULTS]; iretq
    machine.start(`
        mov ebx, 0xfee00000
        test edi, edi
        jnz sender
        mov ecx, 1000
      spin: loop spin
        hlt
      sender:
        mov dword ptr [rbx + 0x310], 0
        mov dword ptr [rbx + 0x300], 0x400
        mov dword ptr [rbx + 0x300], 0x400
        mov dword ptr [rbx + 0x300], 0x400
        hlt`);
    withHandlers(machine);
    const handler = HANDLERS + 0x800;
    machine.load(handler, Uint8Array.of(0xff, 0x04, 0x25, 0, 0, 5, 0, 0x48, 0xcf));
    machine.write(
      IDT + 32,
      8,
      ((BigInt(handler) >> 16n) << 48n) | 0x8e00_0008_0000n | BigInt(handler & 0xffff),
    );
    machine.step(1, 20);
    machine.step(0, 1100);
    expect(machine.read(RESULTS, 4)).toBe(2n);
  });
});

// SDM vol. 3B, 18.17.1 (invariant TSC) and 18.17.3 (IA32_TSC_ADJUST)
describe("the time-stamp counters of several cores", () => {
  const FLAG = 0x5_1000;
  /** Two cores hand the turn to each other; each looks that its counter is not before what the other has left. */
  const program = `
      mov r11d, edi         ; the core, and so its turn
      mov edi, 400
      mov r9, ${FLAG}
    turn: cmp [r9], r11d
      jne turn
      rdtscp                ; into ECX: IA32_TSC_AUX
      shl rdx, 32
      or rax, rdx
      cmp rax, [r9+8]
      jae later
      inc qword ptr [r9+16]
    later: mov [r9+8], rax
      mov eax, r11d
      xor eax, 1
      mov [r9], eax
      dec edi
      jnz turn
      hlt`;
  test("go on together: what one core has read, no other reads an earlier time than", async () => {
    for (const seed of [1, 2, 3]) {
      const machine = await Machine.create({ memory: 1 << 20, cores: 2 });
      machine.start(program);
      expect(machine.run({ limit: 1e7, seed })).toBe("halted");
      expect([seed, machine.read(FLAG + 16, 8)]).toEqual([seed, 0n]);
      expect(machine.read(FLAG + 8, 8)).toBeGreaterThan(1000n);
    }
  });
});
