// Virtual-8086 mode as programs see it: what IOPL keeps from them, the I/O permission bitmap, and the ways in and out.
// Intel SDM vol. 3B, chapter 21. With CR4.VME set: virtual-interrupts.test.ts.

import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { assemble } from "../../emulator/assembler.js";
import { HALTED } from "../../emulator/cpu/layout.js";
import { Cpu, IDT, selectors, TSS } from "../support/cpu.js";

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create();
});
beforeEach(() => cpu.engine.reset(0));

const V86_CODE = 0x2_0000;
const STACK = 0x6_0000;
const VM = 0x2_0000;

/** Enters virtual-8086 mode by IRETD and runs `program` (text or bytes) there; handlers stop with their vector in EDI. */
function inVirtual(program: string | number[], iopl: number): void {
  cpu.start(
    `push 0x44;; push 0x33;; push 0x22;; push 0x11;; push 0x3000;; push 0x1000
     mov eax, ${VM | 2 | (iopl << 12)};; push eax;; mov eax, ${V86_CODE >>> 4};; push eax;; push 0;; iretd`
      .replaceAll("push 0x3000", "mov eax, 0x3000;; push eax")
      .replaceAll("push 0x1000", "mov eax, 0x1000;; push eax"),
    { bits: 32 },
  );
  cpu.place(V86_CODE, typeof program === "string" ? assemble(program, { bits: 16, origin: 0 }) : program);
  cpu.write(TSS + 4, 4, STACK);
  cpu.write(TSS + 8, 4, selectors.data);
  cpu.state().setSegment("tr", { limit: 0x67 });
  for (const vector of [3, 4, 6, 8, 10, 12, 13, 0x40]) {
    const at = 0x4_0000 + 16 * vector;
    cpu.place(at, `mov edi, ${vector}\nhlt`, 32);
    const dpl = vector === 13 ? 0 : 3;
    cpu.write(
      IDT + 8 * vector,
      8,
      BigInt(at & 0xffff) |
        (BigInt(selectors.code32) << 16n) |
        (BigInt(0x8e00 | (dpl << 13)) << 32n) |
        (BigInt(at >>> 16) << 48n),
    );
  }
}
function vectorOf(program: string | number[], iopl: number): number {
  inVirtual(program, iopl);
  cpu.run(200);
  expect(cpu.state().activity).toBe(HALTED);
  return Number(cpu.state().register("rdi"));
}
const pushed = (fromTop: number) => Number(cpu.read(STACK - fromTop, 4));

// SDM vol. 3B, 21.2
describe("what IOPL keeps", () => {
  const sensitive: [string, string][] = [
    ["CLI", "cli"],
    ["STI", "sti"],
    ["PUSHF", "pushf"],
    ["POPF", "popf"],
    ["INT n", "int 0x40"],
    ["IRET", "iret"],
  ];
  for (const [name, text] of sensitive)
    test(`${name} below IOPL 3 is #GP(0)`, () => {
      expect(vectorOf(text, 0)).toBe(13);
      expect([pushed(40), pushed(36)]).toEqual([0, 0]); // error code, IP
    });
  test("at IOPL 3 they run; HLT never does", () => {
    expect(vectorOf("cli;; sti;; pushf;; popf;; hlt", 3)).toBe(13);
    expect(pushed(36)).toBe(4);
    expect(vectorOf("int 0x40", 3)).toBe(0x40);
  });
  test("INT3 and INTO do not ask for IOPL", () => {
    expect(vectorOf("int3", 0)).toBe(3);
    expect(vectorOf("mov al, 0x7f;; inc al;; into", 0)).toBe(4);
  });
  test("instructions of protected mode are #UD", () => {
    for (const bytes of [
      [0x0f, 0x00, 0xc0], // SLDT
      [0x0f, 0x00, 0xc8], // STR
      [0x0f, 0x02, 0xc0], // LAR
      [0x0f, 0x03, 0xc0], // LSL
      [0x0f, 0x00, 0xe0], // VERR
      [0x63, 0xc0], // ARPL
    ])
      expect(vectorOf(bytes, 3)).toBe(6);
  });
});

describe("ports", () => {
  const map = (bits: number, limit: number) => {
    cpu.write(TSS + 0x66, 2, 0x68);
    cpu.write(TSS + 0x68 + 0x10, 4, bits);
    cpu.state().setSegment("tr", { limit });
  };
  const vectorWith = (program: string, bits: number, limit: number) => {
    inVirtual(program, 3); // IOPL 3 opens nothing here
    map(bits, limit);
    cpu.run(200);
    return Number(cpu.state().register("rdi"));
  };
  // SDM vol. 3B, 21.2
  test("the bitmap alone decides, bit by bit of the access, and one byte behind it is read", () => {
    const program = "mov dx, 0x80;; in ax, dx;; int3";
    expect(vectorWith(program, 0, 0x80)).toBe(3);
    expect(vectorWith(program, 1, 0x80)).toBe(13);
    expect(vectorWith(program, 2, 0x80)).toBe(13);
    expect(vectorWith(program, 4, 0x80)).toBe(3);
    expect(vectorWith(program, 0, 0x78)).toBe(13); // beyond the limit
    expect(vectorWith("mov dx, 0x87;; in ax, dx;; int3", 0x100, 0x80)).toBe(13);
  });
  // As an AMD EPYC does
  test.each(["insb", "insw", "outsb", "outsd"])(
    "REP %s with a count of zero asks for permission all the same",
    (name) => {
      const program = `xor cx, cx;; mov dx, 0x80;; rep ${name};; int3`;
      expect(vectorWith(program, 0, 0x80)).toBe(3);
      expect(vectorWith(program, 1, 0x80)).toBe(13);
    },
  );
});

describe("ways in and out", () => {
  test("all segments are pushed and null inside; IRETD brings them back", () => {
    inVirtual("int 0x40;; inc bx;; int3", 3);
    cpu.place(0x4_0400, "mov eax, ds\nmov ecx, gs\niretd", 32);
    cpu.state().set({ rbx: 0 });
    cpu.run(200);
    const s = cpu.state();
    expect([
      s.register("rax") & 0xffffn,
      s.register("rcx") & 0xffffn,
      s.register("rbx"),
      s.register("rdi"),
    ]).toEqual([0n, 0n, 1n, 3n]);
    expect([4, 8, 12, 16, 20, 24, 32].map(pushed)).toEqual([
      0x44,
      0x33,
      0x22,
      0x11,
      0x3000,
      0x1000,
      V86_CODE >>> 4,
    ]);
    expect(pushed(28) & VM).toBe(VM);
  });
  // SDM vol. 3A, 21.3.1: the handler's code segment must be nonconforming with DPL 0
  // SDM vol. 3B, 21.2
  test("a handler outside level 0 is #GP with its selector", () => {
    inVirtual("int 0x40", 3);
    cpu.write(IDT + 8 * 0x40 + 2, 2, selectors.userCode & ~3);
    cpu.run(200);
    expect([cpu.state().register("rdi"), pushed(40)]).toEqual([13n, selectors.userCode & ~3]);
  });
  test("addresses beyond 64 KiB are #GP, of the stack #SS", () => {
    expect(vectorOf("mov bx, 0xffff;; mov ax, [bx]", 3)).toBe(13);
    expect(vectorOf("mov bp, 0xffff;; mov ax, [bp]", 3)).toBe(12);
  });
  test("segments are paragraphs, 20 bits and a little more", () => {
    inVirtual("mov ax, 0xffff;; mov ds, ax;; mov byte ptr [0x20], 0x5a;; int3", 3);
    cpu.run(200);
    expect(cpu.read(0x10_0010, 1)).toBe(0x5an);
  });
});
