// The shutdown code of a PC AT: an INIT or RESET after which the firmware goes where 40:67 says. IBM PC AT Technical
// Reference, "shutdown"; Intel MultiProcessor Specification 1.4, appendix B.4.

import { describe, expect, test } from "vitest";
import { bootFiles } from "../../emulator/boot-files.js";
import { Machine } from "../../emulator/machine.js";
import { Assembler, al, dword, eax, ecx, edi, edx, esi } from "../../firmware/assembler.js";
import { firmwareImage } from "../../firmware/index.js";

const RESUME_AT = 0x1000;
const KERNEL = 0x10_0000;
const MARK = 0x2000;

type Restart = readonly [name: string, restart: (a: Assembler) => void];
const out = (a: Assembler, port: number, value: number) => {
  a.op.mov(al, value);
  a.op.mov(edx, port);
  a.bytes(0xee); // out dx, al
};

/** Leaves a shutdown code and a way back, and restarts the processor; entered anew, it exits with 1. */
function kernel(shutdownCode: number, restart: (a: Assembler) => void): Uint8Array {
  const a = new Assembler(KERNEL);
  const { op } = a;
  a.bits(32);
  op.cmp(dword(MARK), 0x1234);
  op.jne("first");
  out(a, 0xf4, 1);
  a.label("first");
  op.mov(dword(MARK), 0x1234);
  op.mov(esi, "resume");
  op.mov(edi, RESUME_AT);
  op.mov(ecx, 32);
  a.rep.movsb();
  out(a, 0x70, 0x0f);
  out(a, 0x71, shutdownCode);
  op.mov(dword(0x467), (RESUME_AT >> 4) << 16);
  restart(a);
  a.label("wait");
  op.hlt();
  op.jmp("wait");
  a.bits(16);
  a.label("resume"); // exits with what the shutdown code is now, plus 0x20
  op.mov(al, 0x0f);
  op.out(0x70, al);
  op.in(al, 0x71);
  op.add(al, 0x20);
  op.out(0xf4, al);
  op.hlt();
  return a.assemble().bytes;
}

const ways: readonly Restart[] = [
  ["port 92's INIT", (a) => out(a, 0x92, 3)],
  ["the keyboard controller's pulse", (a) => out(a, 0x64, 0xfe)],
  ["the reset control register's INIT", (a) => out(a, 0xcf9, 4)],
  ["the reset control register's RESET", (a) => out(a, 0xcf9, 6)],
  [
    "an INIT of the local APIC to itself",
    (a) => {
      a.op.mov(eax, 0x0000_4500); // to APIC ID 0
      a.op.mov(dword(0xfee0_0300), eax);
    },
  ],
];

async function run(shutdownCode: number, restart: (a: Assembler) => void) {
  const { files } = bootFiles({ flat: KERNEL });
  const machine = await Machine.create({
    firmware: firmwareImage(),
    kernel: kernel(shutdownCode, restart),
    files,
    cores: 2,
  });
  machine.run({ limit: 20e6 });
  return machine.exitCode;
}

describe("a shutdown code in CMOS", () => {
  test.each(ways)("0AH: %s goes on at 40:67, and uses the code up", async (_, restart) => {
    expect(await run(0x0a, restart)).toBe(0x20);
  });
  test("05H as well", async () => {
    expect(await run(0x05, ways[0]![1])).toBe(0x20);
  });
  test("0: the machine starts anew", async () => {
    expect(await run(0, ways[0]![1])).toBe(1);
  });
  test("0: an INIT leaves x2APIC mode on, and the machine starts anew with all its cores", async () => {
    const inX2apicMode = (a: Assembler) => {
      a.op.mov(ecx, 0x1b);
      a.op.rdmsr();
      a.op.or(eax, 0xc00);
      a.op.wrmsr();
      a.op.mov(ecx, 0x830); // ICR
      a.op.mov(eax, 0x4500);
      a.op.mov(edx, 0); // to x2APIC ID 0
      a.op.wrmsr();
    };
    expect(await run(0, inX2apicMode)).toBe(1);
  });
});
