// The shutdown code of a PC AT: an INIT or RESET after which the firmware goes where 40:67 says. IBM PC AT Technical
// Reference, "shutdown"; Intel MultiProcessor Specification 1.4, appendix B.4. Likewise a wake-up from ACPI's S3.

import { describe, expect, test } from "vitest";
import { port } from "../../emulator/board/map.js";
import { bootFiles } from "../../emulator/boot-files.js";
import { LiveMachine } from "../../emulator/live.js";
import { Machine, type MachineOptions } from "../../emulator/machine.js";
import { Assembler, ah, al, bx, dword, eax, ecx, edi, edx, esi } from "../../firmware/assembler.js";
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

/** Where the tables may begin: they lie at the end of 64 MiB. */
const SEARCH_FROM = 0x300_0000;
const FACS = 0x5343_4146;
const WAKING_VECTOR = 0x7_1238;
/** Sleeps until one of these events; woken at its vector, it exits with PM1_STS's upper byte; else with 1 or 2. */
function sleeper(enables: number): Uint8Array {
  const a = new Assembler(KERNEL);
  const { op } = a;
  const outWord = (port: number, value: number) => {
    op.mov(eax, value);
    op.mov(edx, port);
    a.bytes(0x66, 0xef); // out dx, ax
  };
  a.bits(32);
  op.mov(esi, SEARCH_FROM - 64);
  a.label("search");
  op.add(esi, 64);
  op.cmp(dword(esi), FACS);
  op.jne("search");
  op.mov(dword(esi, 12), WAKING_VECTOR);
  op.mov(esi, "woken");
  op.mov(edi, WAKING_VECTOR);
  op.mov(ecx, 64);
  a.rep.movsb();
  for (const [register, value] of [
    ...[1, 3, 5].map((field) => [field, 0xc0] as const), // each second
    [0x0b, 0x22] as const, // AIE; 24 hours
  ]) {
    out(a, 0x70, register);
    out(a, 0x71, value);
  }
  outWord(port.pm1Event + 2, enables);
  outWord(port.pm1Control, 0x2400);
  out(a, 0xf4, 1);
  a.bits(16);
  a.label("woken");
  op.mov(edx, port.pm1Event);
  a.bytes(0xed); // in ax, dx
  op.mov(al, ah);
  a.bytes(0x8c, 0xcb); // mov bx, cs
  op.cmp(bx, WAKING_VECTOR >> 4);
  op.je("there");
  op.mov(al, 2);
  a.label("there");
  op.out(0xf4, al);
  op.hlt();
  return a.assemble().bytes;
}

const sleepy = (enables: number): MachineOptions => ({
  firmware: firmwareImage(),
  kernel: sleeper(enables),
  files: bootFiles({ flat: KERNEL }).files,
  cores: 2,
});

describe("S3", () => {
  test("the clock's alarm wakes it in real mode at the waking vector; memory is as it was", async () => {
    const machine = await Machine.create(sleepy(0x400));
    machine.run({ limit: 20e6 });
    const before = machine.ram.slice(0, 0x9_0000);
    const { instructions } = machine;
    machine.run({ limit: 400e6 });
    expect([machine.powered, machine.instructions]).toEqual([true, instructions]);
    machine.run({ limit: 2e9 });
    expect(machine.exitCode).toBe(0x84); // WAK_STS and RTC_STS
    expect(Buffer.from(machine.ram.slice(0, 0x9_0000)).equals(before)).toBe(true);
  });

  test("in live mode as well", async () => {
    const machine = await LiveMachine.create(sleepy(0x400));
    machine.start();
    expect(await machine.ended).toMatchObject({ problem: "", exitCode: 0x84 });
  });

  test("what is not enabled does not; the power button does, also behind a snapshot", async () => {
    const machine = await Machine.create(sleepy(0x100));
    machine.run({ limit: 3e9 });
    expect(machine.exitCode).toBe(null);
    machine.restore(machine.snapshot());
    machine.pressPowerButton();
    machine.run({ limit: 20e6 });
    expect(machine.exitCode).toBe(0x85); // and PWRBTN_STS; the clock's has been set meanwhile
  });
});
