// Alignment checks (#AC): which accesses have one, of how many bytes, and that it comes before the page fault. SDM vol. 3A,
// 6.15 and table 6-7 (interrupt 17) leave the order and some operands open; the answers below are those of an AMD EPYC,
// asked in ring 3 under an operating system that sets CR0.AM. Each is an instruction at so many bytes behind an address
// that is a multiple of 64.

import { beforeAll, describe, expect, test } from "vitest";
import { Cpu, selectors } from "../support/cpu.js";

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create();
});

const HANDLERS = 0x4_0000;
const DATA = 0x2_0000;
const UNMAPPED = 0x7fff_f000_0000;
const [UD, GP, PF, AC] = [6, 13, 14, 17];
const CHECKED = 0x4_0002;
const vectors = [UD, GP, PF, AC];

/** Runs `what` in ring 3 with RBX at `address`; gives the exception's vector, that of UD2 when there was none. */
function vectorOf(what: string, address: number, flags = CHECKED): number | undefined {
  cpu.start(`
    mov rax, cr0;; or eax, 0x40000;; mov cr0, rax;; fninit
    mov rbx, ${address}
    mov rdi, rbx;; mov rsi, rbx
    mov eax, ${selectors.user};; push rax
    mov eax, 0x60000;; push rax
    mov eax, ${flags};; push rax
    mov eax, ${selectors.userCode};; push rax
    lea rax, [user]
    push rax
    mov eax, -1;; mov edx, -1
    iretq
    user: ${what}
    ud2`);
  for (const vector of vectors) {
    cpu.place(HANDLERS + 16 * vector, "hlt");
    cpu.gate(vector, HANDLERS + 16 * vector);
  }
  cpu.run(60);
  return vectors.find((v) => cpu.state().rip === BigInt(HANDLERS + 16 * v + 1));
}

// biome-ignore format: a table
const answers: readonly (readonly [instruction: string, offset: number, vector: number])[] = [
  ["mov ax, [rbx]", 1, AC], ["mov eax, [rbx]", 2, AC], ["mov rax, [rbx]", 4, AC], ["mov [rbx], eax", 1, AC], ["mov al, [rbx]", 1, UD],
  ["movups xmm0, [rbx]", 1, AC], ["movups xmm0, [rbx]", 8, AC], ["movups [rbx], xmm0", 8, AC], ["movdqu xmm0, [rbx]", 8, AC], ["lddqu xmm0, [rbx]", 1, AC],
  ["movaps xmm0, [rbx]", 8, GP], ["pshufb xmm0, [rbx]", 8, GP], ["movntdq [rbx], xmm0", 8, GP],
  ["movq xmm0, [rbx]", 4, AC], ["movhps xmm0, [rbx]", 4, AC], ["movss xmm0, [rbx]", 1, AC], ["cvtdq2pd xmm0, [rbx]", 4, AC],
  ["pmovzxbw xmm0, [rbx]", 4, AC], ["pmovzxbd xmm0, [rbx]", 1, AC], ["pinsrw xmm0, [rbx], 0", 1, AC],
  ["fld tbyte ptr [rbx]", 1, AC], ["fld tbyte ptr [rbx]", 4, AC], ["fld tbyte ptr [rbx]", 8, UD], ["fld qword ptr [rbx]", 4, AC], ["fild word ptr [rbx]", 1, AC],
  ["fbld [rbx]", 1, AC], ["fbstp [rbx]", 4, AC], ["fnstcw [rbx]", 1, AC], ["stmxcsr [rbx]", 1, AC],
  ["cmpxchg8b [rbx]", 4, AC], ["cmpxchg16b [rbx]", 8, GP], ["cmpxchg16b [rbx]", 1, GP], ["lock xadd [rbx], eax", 2, AC],
  ["movnti [rbx], eax", 1, AC], ["movbe ecx, [rbx]", 1, AC], ["crc32 ecx, dword ptr [rbx]", 1, AC], ["popcnt ecx, [rbx]", 1, AC],
  ["db 0x0f, 0xae, 0x03", 1, AC], ["db 0x0f, 0xae, 0x03", 2, AC], ["db 0x0f, 0xae, 0x03", 4, GP], ["db 0x0f, 0xae, 0x0b", 8, GP], // FXSAVE, FXRSTOR
  ["db 0xd9, 0x33", 2, AC], ["db 0xd9, 0x33", 4, UD], ["db 0xd9, 0x23", 2, AC], ["db 0xdd, 0x33", 2, AC], ["db 0xdd, 0x33", 4, UD], // FNSTENV, FLDENV, FNSAVE
  ["lodsq", 1, AC], ["bt dword ptr [rbx], 1", 1, AC], ["prefetcht0 [rbx]", 1, UD], ["clflush [rbx]", 1, UD],
];

describe("alignment checks (SDM vol. 3A, 6.15)", () => {
  test("as an AMD processor has them, by instruction and offset", () => {
    const ours = answers.map(([instruction, offset]) => [
      instruction,
      offset,
      vectorOf(instruction, DATA + offset),
    ]);
    expect(ours).toEqual(answers);
  });

  test("before the page fault, and behind whether the address is one", () => {
    const ways = [
      "mov ecx, [rbx]",
      "mov [rbx], cx",
      "lock inc dword ptr [rbx]",
      "movups xmm0, [rbx]",
      "mov rsp, rbx;; push rcx",
      "mov rsp, rbx;; pop rcx",
    ];
    for (const way of ways) expect([way, vectorOf(way, UNMAPPED + 1)]).toEqual([way, AC]);
    expect(vectorOf("mov rcx, [rbx]", UNMAPPED + 8)).toBe(PF);
    expect(vectorOf("mov ecx, [rbx]", 0x8000_0000_0001)).toBe(GP);
    expect(vectorOf("mov ecx, [rbx]", 0x7fff_ffff_ffff)).toBe(GP);
  });
});
