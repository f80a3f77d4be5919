// Blocks outside 64-bit mode are linked to each other within a page (emulator/cpu/lowering/transfers.ts). A link knows a
// distance; what CS is, and where a 16-bit instruction pointer wraps, is looked at each time it is followed.

import { expect, test } from "vitest";
import { assemble } from "../../emulator/assembler.js";
import { ACTIVE } from "../../emulator/cpu/layout.js";
import { CODE, Cpu, selectors } from "../support/cpu.js";

const GP_HANDLER = 0x3_0000;

test("a lowered CS limit ends a loop that is linked (SDM vol. 3A, 5.3)", async () => {
  const cpu = await Cpu.create();
  const program = "again: inc eax\njmp next\nnop\nnext: dec ecx\njnz again\nhlt";
  cpu.start(program, { bits: 32 });
  const gate = BigInt(GP_HANDLER & 0xffff) | (BigInt(selectors.code32) << 16n) | 0x8e00_0000_0000n;
  cpu.write(0x9000 + 13 * 8, 8, gate | (BigInt(GP_HANDLER >>> 16) << 48n));
  cpu.place(GP_HANDLER, "hlt");
  const s = cpu.state();
  s.set({ rcx: 1000, rax: 0 });
  cpu.run(10_000);
  expect(s.register("rax")).toBe(1000n);
  // The same code, linked by now, in a segment that ends before `next`.
  const next = CODE + assemble("inc eax\njmp after\nnop\nafter:", { bits: 32, origin: CODE }).length;
  s.activity = ACTIVE;
  s.set({ rip: CODE, rcx: 1000, rax: 0 });
  s.setSegment("cs", { selector: selectors.code32, base: 0n, limit: next - 1, attributes: 0xc0_9b00 });
  cpu.run(10_000);
  expect(s.register("rax")).toBe(1n);
  expect(s.rip).toBe(BigInt(GP_HANDLER + 1));
});

test("a 16-bit jump that wraps is not followed by its distance", async () => {
  // The same bytes at 2000:00F0 and at 1010:FFF0.
  const cpu = await Cpu.create();
  cpu.place(0x2_00f0, [0xeb, 0x0e]); // JMP to 10h further on
  cpu.place(0x2_0100, "mov bx, 1\nhlt", 16);
  cpu.place(0x1_0100, "mov bx, 2\nhlt", 16);
  const s = cpu.state();
  const from = (selector: number, ip: number): bigint => {
    cpu.setUp({ bits: 16, at: 0x1_0000 });
    s.setSegment("cs", { selector, base: BigInt(selector * 16), limit: 0xf_ffff, attributes: 0x9b00 });
    s.set({ rip: ip, rbx: 0 });
    cpu.run(10);
    return s.register("rbx");
  };
  for (let i = 0; i < 3; i++) expect(from(0x2000, 0xf0)).toBe(1n); // linked
  // CS = 1010: the jump's place is FFF0, and its target 10000, which is 0: 1_0100.
  for (let i = 0; i < 3; i++) expect(from(0x1010, 0xfff0)).toBe(2n);
  for (let i = 0; i < 3; i++) expect(from(0x2000, 0xf0)).toBe(1n);
});
