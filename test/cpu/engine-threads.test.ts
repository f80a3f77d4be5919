// LOCK with each core on a thread of its own: however an operand lies, the count must come out exact. Intel SDM
// vol. 3A, 9.1. A lost update is the bug that these look for; a hang would be one in the bus lock.

import { describe, expect, test } from "vitest";
import { assembleWithLabels } from "../../emulator/assembler.js";
import { CODE, Cpu } from "../support/cpu.js";
import { runOnThreads } from "../support/threads.js";

const CELL = 0x20_0000;

/** Each core runs the program at its own copy; `rounds` is in ecx, the core's number in r15. */
async function race(program: string, rounds: number, cores = 2): Promise<{ cpu: Cpu; retired: number[] }> {
  const cpu = await Cpu.create({ cores, live: true });
  for (let core = 0; core < cores; core++) {
    const at = CODE + core * 0x1000;
    cpu.place(at, `${program}\nhlt`);
    cpu.setUp({ core, at, rsp: 0x8_0000 + core * 0x1000 });
    cpu.state(core).set({ rcx: rounds, r15: core, rbx: CELL });
  }
  const retired = await runOnThreads(cpu.memory, cpu.engine.plan, cpu.modules);
  return { cpu, retired };
}
const xaddAt = (offset: number, rounds: number) =>
  race(`again: mov eax, 1\nlock xadd [rbx+${offset}], rax\ndec ecx\njnz again`, rounds);

// SDM vol. 3A, 9.1.2
describe("lock xadd from two threads loses nothing", { retry: 0 }, () => {
  test("aligned", async () => {
    const { cpu, retired } = await xaddAt(0, 50_000);
    expect(cpu.read(CELL, 8)).toBe(100_000n);
    expect(retired).toEqual([200_001, 200_001]);
  });
  for (const [where, offset] of [
    ["unaligned in a cache line", 3],
    ["across cache lines", 60],
    ["across pages", 0xffc],
  ] as const)
    test(where, async () => {
      const { cpu, retired } = await xaddAt(offset, 1_000);
      expect(cpu.read(CELL + offset, 8)).toBe(2_000n);
      expect(retired).toEqual([4_001, 4_001]);
    });
});

// SDM vol. 3A, 9.1.2
test("aligned and unaligned locked additions to the same bytes exclude each other", {
  retry: 0,
}, async () => {
  // Core 0 adds 1 to the dword at 4; core 1 adds the same by way of the qword at 2, two bytes up.
  const { cpu } = await race(
    `
    test r15d, r15d
    jnz other
    again: lock add dword ptr [rbx+4], 1
    dec ecx
    jnz again
    hlt
    other: mov eax, 0x10000
    unaligned: lock add qword ptr [rbx+2], rax
    dec ecx
    jnz unaligned`,
    2_000,
  );
  expect(cpu.read(CELL + 4, 4)).toBe(4_000n);
  expect(cpu.read(CELL + 2, 2)).toBe(0n);
});

// SDM vol. 3A, 9.1.2
test("lock cmpxchg16b: both halves count together", { retry: 0 }, async () => {
  const { cpu } = await race(
    `
    mov rsi, rcx
    mov r8d, ${CELL}
    again:
    mov rax, [r8]
    mov rdx, [r8+8]
    retry:
    mov rbx, rax
    mov rcx, rdx
    inc rbx
    dec rcx
    lock cmpxchg16b [r8]
    jnz retry
    dec rsi
    jnz again`
      .replaceAll("[r8", "[r8")
      .replace("mov rsi, rcx", `mov rsi, rcx\nmov r8d, ${CELL}`),
    1_000,
  );
  expect(cpu.read(CELL, 8)).toBe(2_000n);
  expect(cpu.read(CELL + 8, 8)).toBe(BigInt.asUintN(64, -2_000n));
});

test("a spin lock of XCHG guards plain increments", { retry: 0 }, async () => {
  const { cpu } = await race(
    `
    again: mov eax, 1
    spin: xchg [rbx], eax
    test eax, eax
    jz got
    pause
    jmp spin
    got: mov rax, [rbx+64]
    inc rax
    mov [rbx+64], rax
    mov dword ptr [rbx], 0
    dec ecx
    jnz again`,
    20_000,
  );
  expect(cpu.read(CELL + 64, 8)).toBe(40_000n);
});

test("lock cmpxchg, bts, inc, dec, not and xor in one loop", { retry: 0 }, async () => {
  const { cpu } = await race(
    `
    again:
    lock inc dword ptr [rbx]
    mov eax, [rbx+4]
    retry: lea edx, [rax+3]
    lock cmpxchg [rbx+4], edx
    jnz retry
    lock dec word ptr [rbx+8]
    lock xor byte ptr [rbx+10], 1
    lock not byte ptr [rbx+11]
    bit: lock bts dword ptr [rbx+12], 5
    jc bit
    inc dword ptr [rbx+16]
    lock btr dword ptr [rbx+12], 5
    dec ecx
    jnz again`,
    10_000,
  );
  expect(cpu.read(CELL, 4)).toBe(20_000n);
  expect(cpu.read(CELL + 4, 4)).toBe(60_000n);
  expect(cpu.read(CELL + 8, 2)).toBe(BigInt.asUintN(16, -20_000n));
  expect(cpu.read(CELL + 10, 2)).toBe(0n);
  expect(cpu.read(CELL + 16, 4)).toBe(20_000n);
});

// SDM vol. 3A, 9.1.3: self-modifying and cross-modifying code
test("code written by another thread is seen", { retry: 0 }, async () => {
  // Core 1 patches core 0's loop, which waits for it.
  const program = (patched: number) => `
    test r15d, r15d
    jnz other
    again: mov al, 0
    cmp al, 7
    jne again
    mov dword ptr [rbx], 1
    hlt
    other: mov ecx, 100000
    wait: dec ecx
    jnz wait
    mov byte ptr [${patched}], 7`;
  const { labels } = assembleWithLabels(program(CODE), { bits: 64, origin: CODE });
  const { cpu } = await race(program(Number(labels.get("again")) + 1), 1);
  expect(cpu.read(CELL, 4)).toBe(1n);
});

// SDM vol. 3A, 9.10.4
test("MWAIT: no store to the line is missed, also one that puts back what was there", {
  retry: 0,
}, async () => {
  const rounds = 3_000;
  // Whose turn it is stands in the next line; a store to the first one says that it is the other's now.
  const { cpu } = await race(
    `
    turn: mov eax, ebx
    push rcx
    xor ecx, ecx
    xor edx, edx
    monitor
    mov eax, [rbx+64]
    and eax, 1
    cmp eax, r15d
    je mine
    xor eax, eax
    mwait
    pop rcx
    jmp turn
    mine: pop rcx
    inc dword ptr [rbx+64]
    mov byte ptr [rbx], 0
    dec ecx
    jnz turn`,
    rounds,
  );
  expect(cpu.read(CELL + 64, 4)).toBe(BigInt(2 * rounds));
});
