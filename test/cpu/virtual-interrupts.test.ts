// Virtual interrupts: CR4.VME in virtual-8086 mode, CR4.PVI in ring 3. AMD APM vol. 2, 8.10; Intel SDM vol. 3B, 21.3.
// Many more cases, of which Bochs knows all: test/references/cases/extensions.ts.

import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { assemble } from "../../emulator/assembler.js";
import { cpuid } from "../../emulator/cpu/cpuid.js";
import { Cpu, IDT, selectors, TSS } from "../support/cpu.js";

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create();
});
beforeEach(() => cpu.engine.reset(0));

const CODE = 0x2_0000;
const ELSEWHERE = 0x100;
const HANDLER = 0x3_0000; // what vector 41 of the program's own table leads to
const STACK = 0x6_0000;
const MAP = 0xc0; // the I/O bitmap: the one of interrupts is right below
const IF = 0x200;
const TF = 0x100;
const NT = 0x4000;
const VM = 0x2_0000;
const VIF = 0x8_0000;
const VIP = 0x10_0000;
const VME = 1;
const PVI = 2;
const IOPL3 = 0x3000;
const GP = 13;
const PLAIN = 0x600;

interface Ended {
  readonly vector: number;
  /** EFLAGS, IP and, in virtual-8086 mode, SP that the handler found pushed; `words` are the program's stack from there on. */
  readonly flags: number;
  readonly ip: number;
  readonly sp: number;
  readonly words: readonly number[];
  readonly bx: number;
}

const HAS_ERROR = [8, 10, 11, 12, 13, 14];
function handlers(): void {
  cpu.write(TSS + 4, 4, STACK);
  cpu.write(TSS + 8, 4, selectors.data);
  cpu.write(TSS + 0x66, 2, MAP);
  for (let i = 0; i < 0x40; i += 4) cpu.write(TSS + MAP - 32 + i, 4, 0);
  cpu.state().setSegment("tr", { limit: 0x1ff });
  for (const vector of [1, 3, 4, 6, 8, 10, 12, 13, 14, 0x40, 0x41]) {
    const at = 0x4_0000 + 16 * vector;
    cpu.place(at, `mov edi, ${vector}\nhlt`, 32);
    const type = BigInt(0x8e00 | (HAS_ERROR.includes(vector) ? 0 : 0x6000)) << 32n;
    const target = BigInt(at & 0xffff) | (BigInt(at >>> 16) << 48n);
    cpu.write(IDT + 8 * vector, 8, target | (BigInt(selectors.code32) << 16n) | type);
  }
}

function ended(virtual: boolean): Ended {
  const budget = 300;
  cpu.run(budget);
  const s = cpu.state();
  const vector = Number(s.register("rdi"));
  const error = HAS_ERROR.includes(vector) ? 4 : 0;
  const at = Number(s.register("rsp")) + error;
  const dword = (i: number) => Number(cpu.read(at + 4 * i, 4));
  const sp = virtual ? dword(3) & 0xffff : 0;
  const words = Array.from({ length: 4 }, (_, i) => Number(cpu.read(0x1000 * 16 + sp + 2 * i, 2)));
  return { vector, ip: dword(0), flags: dword(2), sp, words, bx: Number(s.register("rbx")) & 0xffff };
}

/** Runs 16-bit code in virtual-8086 mode with these EFLAGS, up to an exception or INT 40, which is not redirected: below IOPL 3 it is #GP. */
function inVirtual(program: string, flags: number, cr4 = VME): Ended {
  const words = [0, 0, 0, 0, 0x1000, 0x1000, flags | VM | 2, CODE >>> 4, 0];
  cpu.start(`${words.map((n) => `mov eax, ${n};; push eax`).join("\n")}\niretd`, { bits: 32 });
  handlers();
  cpu.state().set({ cr4: PLAIN | cr4 });
  cpu.write(TSS + MAP - 32 + 0x40 / 8, 1, 1);
  cpu.write(4 * 0x41, 4, (HANDLER >>> 4) << 16);
  cpu.place(CODE, assemble(`${program}\nint 0x40`, { bits: 16, origin: 0 }));
  cpu.place(CODE + ELSEWHERE, assemble("int 0x40", { bits: 16, origin: 0 }));
  cpu.place(HANDLER, assemble("int 0x40", { bits: 16, origin: 0 }));
  return ended(true);
}
const own = (flags: number) => flags & (VIF | VIP | IF | TF | NT | IOPL3);

test("CPUID announces it, and CR4 takes both bits", () => {
  expect(cpuid(1, 0, { core: 0, cores: 1, apicEnabled: true })[3] & 2).toBe(2);
  cpu.start("mov rax, cr4;; or al, 3;; mov cr4, rax;; mov rbx, cr4;; hlt");
  cpu.run(10);
  expect(cpu.state().register("rbx") & 3n).toBe(3n);
});

// APM vol. 2, 8.10
describe("below IOPL 3 in virtual-8086 mode", () => {
  test("CLI and STI are about VIF; IF stays", () => {
    expect(own(inVirtual("cli", VIF | IF).flags)).toBe(IF);
    expect(own(inVirtual("sti", 0).flags)).toBe(VIF);
    expect(own(inVirtual("cli;; sti", IF | (1 << 12)).flags)).toBe(VIF | IF | (1 << 12));
  });
  test("PUSHF shows VIF as IF, and IOPL as 3", () => {
    const shown = (flags: number) => inVirtual("pushf;; pop bx", flags).bx & (IF | IOPL3);
    expect([shown(VIF), shown(IF)]).toEqual([IF | IOPL3, IOPL3]);
  });
  test("POPF puts the image's IF into VIF, and leaves IF and IOPL alone", () => {
    const popped = (image: number, flags: number) => own(inVirtual(`push ${image};; popf`, flags).flags);
    expect(popped(IF | NT, 0)).toBe(VIF | NT);
    expect(popped(IOPL3, VIF | IF)).toBe(IF);
  });
  test("IRET does the same", () => {
    const back = (image: number, flags: number) =>
      own(inVirtual(`push ${image};; push ${CODE >>> 4};; push ${ELSEWHERE};; iret`, flags).flags);
    expect(back(IF, 0)).toBe(VIF);
    expect(back(0, VIF | IF)).toBe(IF);
  });
  test("what would set VIF while VIP is set is #GP(0), and so is an image with TF", () => {
    const vectors = (flags: number) =>
      ["sti", `push ${IF};; popf`, `push ${IF};; push 0;; push 0;; iret`].map(
        (p) => inVirtual(p, flags).vector,
      );
    expect(vectors(VIP)).toEqual([GP, GP, GP]);
    expect(inVirtual(`push ${TF};; popf`, 0)).toMatchObject({ vector: GP, ip: 3, sp: 0xffe });
    expect(inVirtual(`push ${TF};; push 0;; push 0;; iret`, 0).vector).toBe(GP);
    expect(inVirtual("cli;; pushf;; push 0;; popf", VIP)).toMatchObject({ vector: GP, ip: 5 }); // INT 40
  });
  test("the 32-bit forms are #GP(0), and all of them without CR4.VME", () => {
    for (const program of ["pushfd", "popfd", "db 0x66, 0xcf"]) expect(inVirtual(program, 0).vector).toBe(GP);
    for (const program of ["cli", "sti", "pushf", "popf", "iret", "int 0x41"])
      expect(inVirtual(program, 0, PVI)).toMatchObject({ vector: GP, ip: 0 });
  });
});

test("at IOPL 3 they are about IF, whatever CR4.VME says (APM vol. 2, 8.10)", () => {
  expect(own(inVirtual("sti", IOPL3).flags)).toBe(IF | IOPL3);
  expect(own(inVirtual("cli", IOPL3 | VIF | IF).flags)).toBe(VIF | IOPL3);
  expect(inVirtual("pushf;; pop bx", IOPL3 | VIF).bx & IF).toBe(0);
  expect(own(inVirtual(`push ${IF};; popf`, IOPL3 | VIP).flags)).toBe(IF | VIP | IOPL3);
});

// SDM vol. 3B, 21.3.3
describe("INT n", () => {
  test("with a zero in the bitmap goes to the program's own table, at any IOPL", () => {
    const barred = inVirtual("int 0x41", VIF | IF | NT);
    expect([barred.vector, barred.ip, own(barred.flags)]).toEqual([GP, 0, IF | NT]); // VIF is clear, IF is not
    expect(barred.words.slice(0, 3)).toEqual([2, CODE >>> 4, IF | IOPL3 | NT | 2]);
    const free = inVirtual("int 0x41", IOPL3 | VIF | IF);
    expect([free.vector, own(free.flags)]).toEqual([0x40, VIF | IOPL3]);
    expect(free.words.slice(0, 3)).toEqual([2, CODE >>> 4, IF | IOPL3 | 2]);
  });
  test("with a one is the IDT's at IOPL 3, else #GP(0)", () => {
    expect(inVirtual("", IOPL3).vector).toBe(0x40);
    expect(inVirtual("", 0)).toMatchObject({ vector: GP, ip: 0 });
  });
  test("with its bit beyond the TSS's limit is #GP(0); INT3 and INTO never ask", () => {
    inVirtual("int 0x41", IOPL3); // sets all up
    const beyond = (program: string) => {
      const words = [0, 0, 0, 0, 0x1000, 0x1000, IOPL3 | VM | 2, CODE >>> 4, 0];
      cpu.start(`${words.map((n) => `mov eax, ${n};; push eax`).join("\n")}\niretd`, { bits: 32 });
      handlers();
      cpu.state().set({ cr4: PLAIN | VME });
      cpu.state().setSegment("tr", { limit: MAP - 32 + 7 });
      cpu.place(CODE, assemble(program, { bits: 16, origin: 0 }));
      return ended(true).vector;
    };
    expect([beyond("int 0x41"), beyond("int 0x3f;; int3"), beyond("int3"), beyond("mov al, 127;; inc al;; into")])
      .toEqual([GP, GP, 3, 4]); // biome-ignore format: one idea a line
  });
  test("whose own stack has no room faults before anything has changed", () => {
    const { vector, flags, ip } = inVirtual("mov sp, 1;; int 0x41", VIF);
    expect([vector, own(flags), ip]).toEqual([12, VIF, 3]);
  });
});

// SDM vol. 3B, 21.3.2: "both set at the beginning of an instruction": what IRET may come to
test("an instruction that begins with VIF and VIP set is #GP(0)", () => {
  expect(inVirtual("nop", VIF | VIP)).toMatchObject({ vector: GP, ip: 0 });
  expect(inVirtual("nop", VIF | VIP | IOPL3).vector).toBe(0x40);
  expect(inVirtual("nop;; nop", VIF | VIP, 0)).toMatchObject({ vector: GP, ip: 2 }); // its INT 40 only
});

// SDM vol. 3B, 21.4; APM vol. 2, 8.10
describe("CR4.PVI, ring 3 of protected mode", () => {
  function inRing3(program: string, flags: number, cr4 = PVI): Ended {
    const words = [selectors.user, 0x5_0000, flags | 2, 0x23, CODE];
    cpu.start(`${words.map((n) => `mov eax, ${n};; push eax`).join("\n")}\niretd`, { bits: 32 });
    handlers();
    cpu.write(0x8000 + 0x20, 8, 0x00cf_fb00_0000_ffffn);
    cpu.state().set({ cr4: PLAIN | cr4 });
    cpu.place(CODE, `${program}\nint 0x40`, 32);
    return ended(false);
  }
  test("CLI and STI beyond IOPL are about VIF; with VIP STI is #GP(0)", () => {
    expect(own(inRing3("cli", VIF | IF).flags)).toBe(IF);
    expect(own(inRing3("sti", 0).flags)).toBe(VIF);
    expect(inRing3("sti", VIP)).toMatchObject({ vector: GP, ip: CODE });
    expect(own(inRing3("sti", IOPL3).flags)).toBe(IF | IOPL3);
  });
  test("PUSHF and POPF know nothing of it", () => {
    expect(inRing3("pushfd;; pop ebx", VIF).bx & IF).toBe(0);
    expect(own(inRing3(`push ${IF};; popfd`, 0).flags)).toBe(0);
  });
  test("CR4.VME alone gives none, and VIF with VIP at an instruction's begin is #GP(0)", () => {
    expect(inRing3("cli", 0, VME).vector).toBe(GP);
    expect(inRing3("nop", VIF | VIP)).toMatchObject({ vector: GP, ip: CODE });
    expect(inRing3("nop", VIF | VIP, VME).vector).toBe(0x40);
  });
});

test("real mode's INT n keeps NT, which protected mode's clears (APM vol. 3, INT)", () => {
  cpu.start("mov ax, 0x4002;; push ax;; popf;; int 0x41", { bits: 16, rsp: 0x8000 });
  cpu.write(4 * 0x41, 4, (HANDLER >>> 4) << 16);
  cpu.place(HANDLER, assemble("pushf;; pop bx;; hlt", { bits: 16, origin: 0 }));
  cpu.run(20);
  expect(Number(cpu.state().register("rbx")) & NT).toBe(NT);
});
