// Accesses of guest code to what is not RAM that no driver makes: wide, locked, repeated, across borders, by the processor
// itself. What nobody claims gives all ones and takes everything (PCI Local Bus 3.0, 3.7.1), whoever asks; a device sees
// pieces of at most 4 bytes. Nothing of this may stop the host.

import { describe, expect, test } from "vitest";
import { address } from "../../emulator/board/map.js";
import { Machine } from "../../emulator/index.js";

const MEGABYTE = 1 << 20;
const NOBODY = 0xd000_0000;
const SCRATCH = 0x5_0000;
const ONES = 0xffff_ffff_ffff_ffffn;
const ROM = Uint8Array.from({ length: 0x1_0000 }, (_, at) => (at * 37 + 11) & 0xff);
const ROM_AT = address.romEnd - ROM.length;

async function run(code: string, memory = 4 * MEGABYTE) {
  const machine = await Machine.create({ memory, firmware: ROM });
  machine.start(code);
  const ended = machine.run({ limit: 1e6 });
  return { machine, ended, core: machine.core(0) };
}
const rom = (at: number, bytes: number) =>
  BigInt(
    `0x${Buffer.from(ROM.subarray(at, at + bytes))
      .reverse()
      .toString("hex")}`,
  );

describe("data", () => {
  test.each([
    ["nobody", NOBODY, ONES, ONES],
    ["nobody, unaligned", NOBODY + 3, ONES, ONES],
    ["ROM", ROM_AT + 0x40, rom(0x40, 8), rom(0x48, 8)],
    ["ROM, unaligned", ROM_AT + 0x43, rom(0x43, 8), rom(0x4b, 8)],
    ["the ROM's beginning, from before it", ROM_AT - 8, ONES, rom(0, 8)],
    ["the ROM's beginning, unaligned", ROM_AT - 5, (rom(0, 3) << 40n) | 0xff_ffff_ffffn, rom(3, 8)],
  ])("16 bytes of %s", async (_, at, low, high) => {
    const { machine } = await run(`mov eax, ${at}\n movups xmm0, [rax]\n movups [${SCRATCH}], xmm0\n hlt`);
    expect([machine.read(SCRATCH, 8), machine.read(SCRATCH + 8, 8)]).toEqual([low, high]);
  });

  test("16 bytes across the end of RAM, read and written", async () => {
    const end = 4 * MEGABYTE;
    const { machine } = await run(`
      mov eax, ${end}
      mov qword ptr [rax - 8], 0x11223344
      movups xmm0, [rax - 8]
      movups [${SCRATCH}], xmm0
      pxor xmm1, xmm1
      movups [rax - 6], xmm1
      hlt`);
    expect([machine.read(SCRATCH, 8), machine.read(SCRATCH + 8, 8)]).toEqual([0x1122_3344n, ONES]);
    expect(machine.read(end - 8, 8)).toBe(0x3344n);
  });

  test("REP MOVS from ROM, to nobody and back", async () => {
    const { machine, core } = await run(`
      cld
      mov esi, ${ROM_AT + 5}
      mov edi, ${SCRATCH}
      mov ecx, 100
      rep movsb
      mov esi, ${SCRATCH}
      mov edi, ${NOBODY}
      mov ecx, 10
      rep movsq
      mov esi, ${NOBODY}
      mov edi, ${SCRATCH + 0x100}
      mov ecx, 10
      rep movsd
      hlt`);
    expect(Buffer.from(machine.ram.subarray(SCRATCH, SCRATCH + 100))).toEqual(
      Buffer.from(ROM.subarray(5, 105)),
    );
    expect([machine.read(SCRATCH + 0x100, 8), machine.read(SCRATCH + 0x128, 8)]).toEqual([ONES, 0n]);
    expect(core.register("rcx")).toBe(0n);
  });

  test("REP MOVS across the beginning of ROM and the end of RAM; REP STOS over nobody", async () => {
    const end = 4 * MEGABYTE;
    const { machine } = await run(`
      cld
      mov esi, ${ROM_AT - 16}
      mov edi, ${SCRATCH}
      mov ecx, 32
      rep movsb
      mov edi, ${end - 16}
      mov eax, 0x5a5a5a5a
      mov ecx, 8
      rep stosd
      mov esi, ${end - 16}
      mov edi, ${SCRATCH + 0x40}
      mov ecx, 4
      rep movsq
      hlt`);
    const words = [0, 8, 16, 24, 0x40, 0x48, 0x50, 0x58].map((at) => machine.read(SCRATCH + at, 8));
    const filled = 0x5a5a_5a5a_5a5a_5a5an;
    expect(words).toEqual([ONES, ONES, rom(0, 8), rom(8, 8), filled, filled, ONES, ONES]);
  });

  test("REP CMPS and SCAS over ROM and nobody", async () => {
    const { core } = await run(`
      cld
      mov esi, ${NOBODY}
      mov edi, ${NOBODY + 0x1000}
      mov ecx, 1000
      repe cmpsb
      mov rbx, rcx
      mov edi, ${NOBODY}
      mov al, 0
      mov ecx, 77
      repne scasb
      hlt`);
    expect([core.register("rbx"), core.register("rcx")]).toEqual([0n, 0n]);
  });

  test("locked operations read ones and write nothing", async () => {
    const { core } = await run(`
      mov edi, ${NOBODY}
      mov eax, 5
      lock xadd [rdi], eax
      mov r8, rax
      mov rbx, 7
      xchg [rdi + 8], rbx
      mov eax, 1
      mov ecx, 2
      lock cmpxchg [rdi], ecx
      mov r9, rax
      xor eax, eax
      xor edx, edx
      lock cmpxchg16b [rdi]
      mov r10, rdx
      lock inc qword ptr [rdi + 3]
      mov edi, ${ROM_AT}
      lock or dword ptr [rdi], 1
      mov r11d, [rdi]
      hlt`);
    const registers = (["r8", "rbx", "r9", "r10", "r11"] as const).map((name) => core.register(name));
    expect(registers).toEqual([0xffff_ffffn, ONES, 0xffff_ffffn, ONES, rom(0, 4)]);
  });

  test("the x87's and the SSE state's images go out and come back", async () => {
    const { ended, machine } = await run(`
      mov edi, ${NOBODY}
      fninit
      fxsave [rdi]
      fld1
      fstp tbyte ptr [rdi + 1]
      fld tbyte ptr [rdi + 1]
      fninit
      hlt`);
    expect({ ended, problem: machine.problem }).toEqual({ ended: "halted", problem: "" });
  });

  test("a stack in nobody's memory", async () => {
    const { core, ended } = await run(`
      mov rbx, rsp
      mov esp, ${NOBODY + 0x100}
      push 5
      pop rax
      pushfq
      add rsp, 8
      mov rsp, rbx
      hlt`);
    expect([ended, core.register("rax")]).toEqual(["halted", ONES]);
  });

  test("a device sees a quadword as two doublewords, and 16 bytes as four", async () => {
    const { machine } = await run(`
      mov edi, ${address.hpet}
      mov rax, [rdi]
      mov [${SCRATCH}], rax
      movups xmm0, [rdi + 0x100]
      movups [${SCRATCH + 8}], xmm0
      mov rax, 0x123456789abcdef0
      mov [rdi + 0xf0], rax
      mov rax, [rdi + 0xf0]
      mov [${SCRATCH + 24}], rax
      hlt`);
    expect(machine.read(SCRATCH + 4, 4)).toBe(10_000_000n);
    expect(machine.read(SCRATCH + 8, 4) & 0x30n).toBe(0x30n);
    expect(machine.read(SCRATCH + 24, 8)).toBe(0x1234_5678_9abc_def0n);
  });
});

/** Without an IDT every fault is a triple fault, and that is the end; but an orderly one. */
describe("the processor's own accesses", () => {
  test.each([
    ["code of nobody is FF FF: #UD", `mov eax, ${NOBODY}\n jmp rax`],
    [
      "code that runs off the end of RAM",
      `mov eax, ${4 * MEGABYTE - 1}\n mov byte ptr [rax], 0x90\n jmp rax`,
    ],
    ["page tables of nobody: reserved bits", `mov eax, ${NOBODY}\n mov cr3, rax\n nop\n hlt`],
    ["page tables in ROM", `mov eax, ${ROM_AT}\n mov cr3, rax\n nop\n hlt`],
    ["page tables beyond RAM", `mov eax, ${64 * MEGABYTE}\n mov cr3, rax\n nop\n hlt`],
    [
      "an IDT of nobody",
      `mov dword ptr [${SCRATCH}], 0xfff\n mov dword ptr [${SCRATCH + 2}], ${NOBODY}\n mov dword ptr [${SCRATCH + 6}], 0\n lidt [${SCRATCH}]\n int3\n hlt`,
    ],
  ])("%s", async (_, code) => {
    const { machine, ended } = await run(code);
    expect({ ended, problem: machine.problem }).toEqual({
      ended: "off",
      problem: expect.stringMatching(/triple fault/),
    });
  });

  test("a GDT of nobody: a descriptor of ones is readable code, present, of any privilege", async () => {
    const { core, ended } = await run(`
      mov dword ptr [${SCRATCH}], 0xfff
      mov dword ptr [${SCRATCH + 2}], ${NOBODY}
      mov dword ptr [${SCRATCH + 6}], 0
      lgdt [${SCRATCH}]
      mov ax, 8
      mov ds, ax
      hlt`);
    expect([ended, core.segment("ds").selector]).toEqual(["halted", 8]);
  });

  test("code in ROM runs", async () => {
    const spot = ROM.slice();
    spot.set([0xb8, 0x78, 0x56, 0x34, 0x12, 0xf4], 0x800); // mov eax, 0x12345678; hlt
    const machine = await Machine.create({ memory: 4 * MEGABYTE, firmware: spot });
    machine.start(`mov eax, ${ROM_AT + 0x800}\n jmp rax`);
    expect([machine.run({ limit: 1e6 }), machine.core(0).register("rax")]).toEqual(["halted", 0x1234_5678n]);
  });
});
