// Fused blocks against the same ops one by one: every form of every instruction, sequences of them, and programs cut
// anywhere, with faults, code that changes itself and interrupts in the middle of what is fused.

import { expect, test } from "vitest";
import { BLOCK_FUSED, BLOCK_HASH_ENTRIES } from "../../emulator/cpu/layout.js";
import { FixedFields } from "../../emulator/cpu/lowering/op-fields.js";
import { programOf } from "../../emulator/cpu/program.js";
import { Random } from "../../emulator/random.js";
import { makeCase } from "../silicon/cases.js";
import { Emulated } from "../silicon/emulated.js";
import { type Bits, formName } from "../silicon/forms.js";
import { userForms } from "../silicon/judge.js";
import type { Case } from "../silicon/scene.js";
import { makeSequence, sequenceForms } from "../silicon/sequences.js";
import { CODE, Cpu } from "../support/cpu.js";

const NEVER = Number.POSITIVE_INFINITY;
const AT_ONCE = 0;

/** Names of the cases that end otherwise when they are fused. */
async function differing(cases: readonly Case[]): Promise<string[]> {
  const [fused, apart] = [await Emulated.create("fresh", AT_ONCE), await Emulated.create("shared", NEVER)];
  fused.prepare(cases);
  apart.prepare(cases);
  const different: string[] = [];
  for (const c of cases) {
    if (Buffer.compare(fused.run(c, true), apart.run(c, true)) !== 0)
      different.push(`${formName(c.form)}, ${c.form.bits} bits: ${Buffer.from(c.record).toString("hex")}`);
  }
  return different;
}
const casesOf = (bits: Bits, seed: number, each = 1): Case[] =>
  userForms(bits)
    .filter((_, index) => index % each === seed % each)
    .map((form) => makeCase(form, seed));

test.each([64, 32, 16] as const)(
  "every form of every instruction in %i-bit code",
  async (bits) => {
    expect(await differing(casesOf(bits, 1, 3))).toEqual([]);
  },
  120_000,
);

test.each([64, 32] as const)(
  "sequences of instructions in %i-bit code",
  async (bits) => {
    const forms = sequenceForms(userForms(bits), formName);
    const cases = Array.from({ length: 120 }, (_, seed) => makeSequence(forms, seed));
    expect(await differing(cases)).toEqual([]);
  },
  120_000,
);

test("a displacement that is written in wrong is found", async () => {
  const { pushDisplacement } = FixedFields.prototype;
  FixedFields.prototype.pushDisplacement = function (code) {
    return pushDisplacement.call(this, code).i64(1n).op("i64.add");
  };
  try {
    expect((await differing(casesOf(64, 3, 20))).length).toBeGreaterThan(10);
  } finally {
    FixedFields.prototype.pushDisplacement = pushDisplacement;
  }
});

// --- programs ---

const programs: Readonly<Record<string, string>> = {
  "memory, stack, calls and flags": `
    mov ebx, 0x200000
    mov ecx, 60
    top: mov [rbx+rcx*8], rcx
    add rax, [rbx+rcx*8]
    adc rdx, 3
    push rax
    push rdx
    call function
    pop rsi
    pop rdi
    sub [rbx], rdi
    setc r8b
    rol r9, 7
    xor r9, rsi
    movzx r10d, byte ptr [rbx+3]
    cmp r10d, 0x40
    jb low
    inc r11
    neg r12
    low: bt r9, 5
    cmovc r13, r9
    lock xadd [rbx+16], r13
    cmpxchg [rbx+24], r9
    dec ecx
    jnz top
    hlt
    function: imul r14, rax, 77
    shrd r14, rax, 9
    ret`,
  "strings, SSE and x87": `
    mov ebp, 20
    fninit
    top: mov esi, 0x200000
    mov edi, 0x201000
    mov ecx, 37
    rep movsb
    mov ecx, 1
    rep movsb
    mov ecx, 5
    lodsq
    stosq
    scasb
    movq xmm0, rax
    paddd xmm0, xmm1
    mulps xmm1, xmm0
    cvtsi2sd xmm2, ebp
    sqrtsd xmm3, xmm2
    addsd xmm4, xmm3
    movdqu [rdi], xmm4
    fld qword ptr [rdi]
    fsqrt
    fstp qword ptr [rdi+8]
    mov eax, [rdi+8]
    mul ebp
    cqo
    dec ebp
    jnz top
    hlt`,
  "code that writes over what comes next": `
    mov ebp, 25
    lea rbx, [rip+patched+1]
    top: add eax, 3
    mov byte ptr [rbx], bpl
    patched: mov cl, 0
    movzx ecx, cl
    add edx, ecx
    dec ebp
    jnz top
    hlt`,
};

/** All that the guest can see of it. */
const pictureOf = (cpu: Cpu): string =>
  JSON.stringify([cpu.engine.snapshot(0), cpu.engine.retired(0)], (_, value) =>
    typeof value === "bigint" ? `${value}` : value,
  );

test.each(Object.entries(programs))("%s: the same at every cut", async (_, program) => {
  for (let seed = 1; seed <= 2; seed++) {
    const random = new Random(seed);
    const [fused, apart] = [await Cpu.create({ hot: AT_ONCE }), await Cpu.create({ hot: NEVER })];
    for (const cpu of [fused, apart]) cpu.start(program);
    for (let cut = 0; ; cut++) {
      const budget = 1 + random.below(random.below(4) === 0 ? 400 : 12);
      const ran = fused.run(budget);
      expect(apart.run(budget), `seed ${seed}, cut ${cut}`).toBe(ran);
      expect(pictureOf(fused), `seed ${seed}, cut ${cut}`).toBe(pictureOf(apart));
      if (ran === 0) break;
    }
    expect(Buffer.compare(fused.ram, apart.ram), `seed ${seed}`).toBe(0);
  }
});

function fusedBlocks(cpu: Cpu): number {
  const words = new Uint32Array(cpu.memory.buffer);
  const bytes = new Uint8Array(cpu.memory.buffer);
  const { cacheBase } = cpu.engine.plan;
  const blocks = words
    .subarray(cacheBase >>> 2, (cacheBase >>> 2) + BLOCK_HASH_ENTRIES)
    .filter((at) => at !== 0);
  return blocks.filter((block) => bytes[block + BLOCK_FUSED] !== 0).length;
}

test("what takes the time is fused, and nothing else", async () => {
  const cpu = await Cpu.create();
  cpu.start("mov ecx, 10000000;; top: add rax, rcx;; dec ecx;; jnz top;; mov ebx, eax;; hlt");
  cpu.run(100_000);
  expect(fusedBlocks(cpu)).toBe(0);
  cpu.run(10_000_000);
  expect(fusedBlocks(cpu)).toBe(1);
  cpu.run(30_000_000);
  expect(cpu.state().register("rax")).toBe((10_000_000n * 10_000_001n) / 2n);
});

test("ops that differ in the immediate beside a displacement alone are not one function", async () => {
  for (const value of [1, 2]) {
    const cpu = await Cpu.create({ hot: AT_ONCE });
    cpu.start(`
      again: mov dword ptr [rbx+8], ${value}
      add dword ptr [rbx+8], ${10 * value}
      imul eax, [rbx+8], ${100 + value}
      dec ecx
      jnz again
      hlt`);
    cpu.state().set({ rbx: 0x20_0000, rcx: 3 }); // the first round finds nothing in the TLB: each op is done by its own handler
    cpu.run(20);
    expect(cpu.state().register("rax")).toBe(BigInt(11 * value * (100 + value)));
  }
});

test("what one machine has had fused serves others, whose blocks lie elsewhere", { retry: 0 }, async () => {
  const [BEFORE, FUNCTION] = [0x5_0000, 0x5_1000];
  /** Slots in use after a machine that had so many other blocks before. */
  const slots = async (before: number): Promise<number> => {
    const cpu = await Cpu.create({ hot: 1000 });
    cpu.start(`
      again: call rbx
      mov [0x200000], eax
      call ${FUNCTION}
      dec ecx
      jnz again
      hlt`);
    const others = Array.from({ length: before }, (_, i) => `jmp other${i}\nother${i}:`);
    cpu.place(BEFORE, `${others.join("\n")}\nmov eax, ${CODE}\njmp rax`);
    cpu.place(FUNCTION, "lea eax, [rcx + 1]\ninc edx\nret");
    cpu.state().set({ rip: BEFORE, rbx: FUNCTION, rcx: 2_000_000, rdx: 0 });
    cpu.run(25_000_000);
    expect(cpu.state().register("rdx")).toBe(4_000_000n);
    expect(fusedBlocks(cpu)).toBeGreaterThan(2);
    return programOf(cpu.modules).forms.slotsEnd;
  };
  const first = await slots(0);
  expect(await slots(3)).toBe(first);
});
