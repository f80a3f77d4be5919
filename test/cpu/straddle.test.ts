// Operands that lie in two pages, where the two pages are neighbours whose TLB entries might be one: 512 MiB boundaries among
// others. Intel SDM vol. 3A, 4.10.2.3 (what the TLB holds is no business of software's).
import { expect, test } from "vitest";
import { Machine } from "../../emulator/index.js";

const MEMORY = (1024 << 20) + 8192;
const BOUNDARIES = [0x2000, 0x20_0000, 0x1000_0000, 0x2000_0000, 0x2020_0000, 0x4000_0000];

/** Every way to load and store, three times: the first fills the TLB. */
const program = (at: number) => `
  mov rbx, ${at}
  mov ecx, 3
again:
  mov rax, [rbx - 4]
  mov [rbx - 4 + 0x800], rax
  mov r8d, [rbx - 2]
  movzx r9d, word ptr [rbx - 1]
  movdqu xmm0, [rbx - 8]
  movq r10, xmm0
  psrldq xmm0, 8
  movq r11, xmm0
  mov rdx, 0x8877665544332211
  mov [rbx - 3], rdx
  mov word ptr [rbx - 1], 0xbbaa
  add dword ptr [rbx - 2], 0x01000001
  mov rdi, [rbx - 4]
  mov rsi, [rbx + 4]
  mov r12, 0x0706050403020100
  mov [rbx - 8], r12
  mov r13, 0x0f0e0d0c0b0a0908
  mov [rbx], r13
  dec ecx
  jnz again
  hlt`;

test.each(BOUNDARIES.map((at) => [at.toString(16), at] as const))("an operand across %s", async (_, at) => {
  const machine = await Machine.create({ cores: 1, memory: MEMORY });
  for (let i = 0; i < 16; i++) machine.ram[at - 8 + i] = i;
  machine.start(program(at));
  machine.run({ seed: 1 });
  const has = (name: string) => machine.core(0).register(name as "rax");
  expect(has("rax")).toBe(0x0b0a090807060504n);
  expect(has("r8")).toBe(0x09080706n);
  expect(has("r9")).toBe(0x0807n);
  expect(has("r10")).toBe(0x0706050403020100n);
  expect(has("r11")).toBe(0x0f0e0d0c0b0a0908n);
  // 04 11 22 33|44 55 66 77 88, then AA|BB over 33|44, then 01000001 added to 22 AA|BB 55.
  expect(has("rdi")).toBe(0x776656bbaa231104n);
  expect(has("rsi")).toBe(0x0f0e0d88n);
});
