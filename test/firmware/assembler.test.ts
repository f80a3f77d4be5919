// The firmware's assembler and the image it makes.

import { describe, expect, test } from "vitest";
import { address } from "../../emulator/board/map.js";
import {
  Address,
  Assembler,
  al,
  ax,
  byte,
  cr0,
  cs,
  ds,
  dword,
  dx,
  eax,
  ebx,
  ecx,
  esi,
  FarOperand,
  memoryAt,
  type Operand,
  word,
} from "../../firmware/assembler.js";
import { firmwareImage } from "../../firmware/index.js";

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function assemble(bits: 16 | 32, write: (a: Assembler) => void, origin = 0x1000): string {
  const a = new Assembler(origin);
  a.bits(bits);
  write(a);
  return hexOf(a.assemble().bytes);
}

describe("instructions (bytes by GNU as)", () => {
  const cases: [string, Operand[], string][] = [
    ["mov", [eax, 1], "b801000000"],
    ["mov", [al, dword(0)], ""],
    ["mov", [ax, 0x10], "66b81000"],
    ["mov", [ds, eax], "8ed8"],
    ["mov", [cr0, eax], "0f22c0"],
    ["mov", [eax, dword(ebx, 8)], "8b4308"],
    ["mov", [eax, dword(ebx, 0x1234)], "8b8334120000"],
    ["mov", [dword(0x9_0400), 5], "c7050004090005000000"],
    ["mov", [word(0x40e), 0x9000], "66c7050e0400000090"],
    ["add", [eax, 1], "83c001"],
    ["add", [ebx, -1], "83c3ff"],
    ["add", [ebx, 0x1234_5678], "81c378563412"],
    ["cmp", [byte(ebx), 7], "803b07"],
    ["test", [eax, 0xffff_fffe], "a9feffffff"],
    ["shl", [eax, 16], "c1e010"],
    ["shl", [eax, 1], "d1e0"],
    ["movzx", [eax, byte(ebx, 4)], "0fb64304"],
    ["movzx", [eax, word(ebx)], "0fb703"],
    ["lea", [ecx, dword(eax, 4)], "8d4804"],
    ["imul", [eax, eax, 24], "6bc018"],
    ["in", [al, 0x92], "e492"],
    ["out", [dx, eax], "ef"],
    ["push", [esi], "56"],
    ["bswap", [eax], "0fc8"],
    ["jmp", [dword(0x9_0400)], "ff2500040900"],
    ["ltr", [eax], "0f00d8"],
    ["lodsb", [], "ac"],
    ["ret", [], "c3"],
  ];
  test.each(cases)("%s %j", (name, operands, bytes) => {
    const write = (a: Assembler) => (a.op as Record<string, (...of: Operand[]) => void>)[name](...operands);
    if (bytes === "") expect(() => assemble(32, write)).toThrow(/mov: no encoding takes these operands/);
    else expect(assemble(32, write)).toBe(bytes);
  });

  test("16-bit code: prefixes, a segment override, a far jump to 32 bits", () => {
    const bytes = assemble(
      16,
      (a) => {
        a.op.mov(eax, 0x11);
        a.op.lgdt(memoryAt(new Address("table", 0, 0xffff)).in(cs));
        a.op.jmp(new FarOperand(8, new Address("flat")));
        a.label("flat");
        a.label("table");
      },
      0xffff_0000,
    );
    expect(bytes).toBe("66b811000000" + "2e0f01161400" + "66ea1400ffff0800");
  });

  test("rep in front of a string instruction", () => {
    expect(assemble(32, (a) => a.rep.stosd())).toBe("f3ab");
  });

  test("an instruction that does not exist is named", () => {
    expect(() => assemble(32, (a) => (a.op as Record<string, () => void>).frobnicate())).toThrow(
      /no instruction frobnicate/,
    );
  });
});

describe("labels", () => {
  const nops = (a: Assembler, count: number) => a.bytes(...new Array<number>(count).fill(0x90));

  test.each([
    [127, "eb7f"],
    [128, "e980000000"],
  ])("a jump over %i bytes ahead", (count, bytes) => {
    const code = assemble(32, (a) => {
      a.op.jmp("end");
      nops(a, count);
      a.label("end");
    });
    expect(code.slice(0, bytes.length)).toBe(bytes);
  });

  test("a branch that grows may push another out of reach", () => {
    const code = assemble(32, (a) => {
      a.op.jmp("end"); // in reach only while the next one is short
      a.op.je("far");
      nops(a, 123);
      a.label("end");
      nops(a, 200);
      a.label("far");
    });
    expect(code.startsWith("e9810000000f84")).toBe(true);
  });

  test("calls, addresses as immediates, displacements and data", () => {
    const code = assemble(32, (a) => {
      a.op.mov(eax, "data");
      a.op.mov(eax, dword(new Address("data", 4)));
      a.op.call("data");
      a.label("data");
      a.address("data");
    });
    expect(code).toBe("b80f100000" + "a113100000" + "e800000000" + "0f100000");
  });

  test("texts are laid down once each", () => {
    const code = assemble(32, (a) => {
      for (const text of ["ab", "c", "ab"]) a.op.mov(esi, a.string(text));
      a.strings();
    });
    expect(code).toBe("be0f100000be12100000be0f100000" + "616200" + "6300");
  });

  test("mistakes are named", () => {
    expect(() => assemble(32, (a) => a.op.jmp("nowhere"))).toThrow(/there is no label nowhere/);
    expect(() =>
      assemble(32, (a) => {
        a.label("x");
        a.label("x");
      }),
    ).toThrow(/label x is defined twice/);
    expect(() =>
      assemble(32, (a) => {
        nops(a, 20);
        a.org(0x1010);
      }),
    ).toThrow(/the code reaches 1014, beyond 1010/);
  });
});

test("the ROM: 64 KiB, a far jump into segment F000 at the reset vector, the same every time", () => {
  const image = firmwareImage();
  expect(image.length).toBe(0x1_0000);
  const vector = image.length - (address.romEnd - address.resetVector);
  expect(hexOf(image.subarray(vector))).toMatch(/^ea....00f0(00){11}$/);
  expect(firmwareImage()).toBe(image);
});
