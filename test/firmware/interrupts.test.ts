// What the firmware leaves of interrupts to software that goes back to real mode: a tick of 18.2 Hz on line 0 that counts
// at 40:6C and calls INT 1CH, and handlers that end the others. IBM PC AT Technical Reference, INT 8.

import { expect, test } from "vitest";
import { bootFiles } from "../../emulator/boot-files.js";
import { Machine } from "../../emulator/machine.js";
import {
  Address,
  Assembler,
  al,
  ax,
  cr0,
  ds,
  eax,
  FarOperand,
  memoryAt,
  ss,
  word,
} from "../../firmware/assembler.js";
import { firmwareImage } from "../../firmware/index.js";

const KERNEL = 0x8000;
const TICKS = 0x46c;

/** To real mode, where the rest is executed. */
function kernel(rest: (a: Assembler) => void): Uint8Array {
  const a = new Assembler(KERNEL);
  const { op } = a;
  a.bits(32);
  op.lgdt(memoryAt("gdtOperand"));
  op.jmp(new FarOperand(8, new Address("narrow")));
  a.align(8);
  a.label("gdt");
  a.bytes(0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0x9b, 0, 0, 0xff, 0xff, 0, 0, 0, 0x93, 0, 0);
  a.label("gdtOperand");
  a.bytes(23, 0);
  a.address("gdt");
  a.bits(16);
  a.label("narrow");
  op.mov(ax, 16);
  for (const segment of [ds, ss]) op.mov(segment, ax);
  op.mov(eax, 0x10);
  op.mov(cr0, eax);
  op.jmp(new FarOperand(0, new Address("real", 0, 0xffff)));
  a.label("real");
  op.mov(ax, 0);
  for (const segment of [ds, ss]) op.mov(segment, ax);
  rest(a);
  return a.assemble().bytes;
}

/** Awaits so many interrupts, then leaves by the exit port. */
const halts = (count: number) => (a: Assembler) => {
  const { op } = a;
  op.mov(ax, new Address("user", 0, 0xffff)); // INT 1CH
  op.mov(word(4 * 0x1c), ax);
  op.mov(word(4 * 0x1c + 2), 0);
  op.sti();
  for (let i = 0; i < count; i++) op.hlt();
  op.cli();
  op.mov(ax, 1);
  op.out(0xf4, ax);
  a.label("user");
  op.inc(word(0x600));
  op.iret();
};

test("the tick comes every 55 ms, counts, and calls INT 1CH", async () => {
  const { files } = bootFiles({ flat: KERNEL });
  const machine = await Machine.create({ firmware: firmwareImage(), kernel: kernel(halts(3)), files });
  machine.ram[0x600] = 0;
  // 65536 ticks of 1.193182 MHz are 54.925 ms; the firmware takes less than 5 before the first.
  machine.run({ limit: 164e6 });
  expect([machine.exitCode, machine.ram[TICKS], machine.ram[0x600]]).toEqual([null, 2, 2]);
  machine.run({ limit: 6e6 });
  expect([machine.exitCode, machine.ram[TICKS], machine.ram[0x600]]).toEqual([1, 3, 3]);
});

test("the keyboard controller translates, its keyboard on and its mouse off", async () => {
  const a = new Assembler(KERNEL);
  a.bits(32);
  a.op.mov(al, 0x20);
  a.op.out(0x64, al);
  a.op.in(al, 0x60);
  a.op.out(0xf4, al);
  const { files } = bootFiles({ flat: KERNEL });
  const kernel = a.assemble().bytes;
  const machine = await Machine.create({ firmware: firmwareImage(), kernel, files });
  machine.run({ limit: 20e6 });
  expect(machine.exitCode).toBe(0x65);
});

test("a service that is not there says so by CF and AH; the size of memory is told", async () => {
  const { files } = bootFiles({ flat: KERNEL });
  const image = kernel((a) => {
    const { op } = a;
    for (const [index, service] of [0x10, 0x13, 0x15, 0x1a, 0x12].entries()) {
      op.mov(ax, 0xe820);
      op.clc();
      op.int(service);
      op.mov(word(0x600 + 4 * index), ax);
      op.mov(ax, 0);
      op.adc(ax, 0);
      op.mov(word(0x602 + 4 * index), ax);
    }
    op.int(0x60); // nobody's: comes back
    op.out(0xf4, al);
  });
  const machine = await Machine.create({ firmware: firmwareImage(), kernel: image, files });
  machine.run({ limit: 20e6 });
  expect(machine.exitCode).toBe(0);
  const words = new Uint16Array(machine.ram.buffer, machine.ram.byteOffset + 0x600, 10);
  expect([...words]).toEqual([0x8620, 1, 0x8620, 1, 0x8620, 1, 0x8620, 1, 576, 0]);
});
