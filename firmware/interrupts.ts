// Interrupts as a PC's firmware leaves them. Virtual wire mode, in which software that knows no APIC runs (Intel
// MultiProcessor Specification, 3.6.2.2): LINT0 passes the 8259 pair's interrupts on, LINT1 the NMI. The 8259 pair has a
// PC's vectors. The 8254 ticks 18.2 times a second on line 0, the only one that is not masked, and real mode has
// handlers for all sixteen: the tick's counts at 40:6C and calls INT 1CH (IBM PC AT Technical Reference, INT 8), the
// others only end their interrupt. The keyboard controller translates to scan code set 1, its mouse off, as a PC BIOS has it.
// Not there: the services of a PC BIOS, but for the size of memory. Who calls one gets CF and 86H, as from a BIOS that does
// not know it, and may find out by other ways: Xen asks for disks and displays although its loader is none.

import { address, port } from "../emulator/board/map.js";
import { Address, type Assembler, ah, al, ax, byte, ds, dword, eax, ecx, edi, word } from "./assembler.js";
import { area } from "./layout.js";

const APIC_BASE = 0x1b;
const apicBase = { x2apic: 0x400, enabled: 0x800 } as const;
const MASTER_VECTOR = 0x08;
const SLAVE_VECTOR = 0x70;
/** The 8042's status: it has not taken the last byte yet. Its command byte: translate, no mouse, passed the test, IRQ 1. */
const INPUT_FULL = 2;
const WRITE_COMMAND_BYTE = 0x60;
const KEYBOARD_COMMANDS = 0x65;
const USER_TICK = 0x1c;
const LINES = 8;
const VECTORS = 0x100;
/** Services: display, equipment, memory, disk, serial line, system, keyboard, printer, BASIC, boot, clock. */
const SERVICES = { first: 0x10, memorySize: 0x12, last: 0x1a } as const;
const NOT_SUPPORTED = 0x86;
/** Conventional memory in KiB, up to our own area. */
const MEMORY_SIZE = 0x413;
const END_OF_INTERRUPT = 0x20;
const ALL_BUT_TICK_AND_CASCADE = ~(1 | (1 << 2)) & 0xff;
/** Channel 0, both bytes, rate generator; a count of 0 is 65536. */
const TICK_MODE = 0x34;
const TICKS = 0x46c;
const MIDNIGHT = 0x470;
const TICKS_A_DAY = 0x1800b0;

/** After an INIT the APIC is in the mode in which it was (Intel SDM vol. 3A, 11.12.5): from x2APIC's back by way of off. */
function leaveX2apic(a: Assembler): void {
  const { op } = a;
  op.mov(ecx, APIC_BASE);
  op.rdmsr();
  op.test(eax, apicBase.x2apic);
  op.je("leaveX2apic.end");
  op.and(eax, ~(apicBase.enabled | apicBase.x2apic));
  op.wrmsr();
  op.or(eax, apicBase.enabled);
  op.wrmsr();
  a.label("leaveX2apic.end");
}

export function placeInterrupts(a: Assembler): void {
  const { op } = a;
  leaveX2apic(a);
  const apic = (register: number, value: number) => op.mov(dword(address.localApic + register), value);
  apic(0xf0, 0x1ff);
  apic(0x350, 0x700);
  apic(0x360, 0x400);
  placeVectors(a);
  const out = (to: number, ...values: number[]) => {
    for (const value of values) {
      op.mov(al, value);
      op.out(to, al);
    }
  };
  // Before the 8259s: the mode's own edge is forgotten by their initialisation.
  out(port.pit + 3, TICK_MODE);
  out(port.pit, 0, 0);
  for (const [base, vector, cascade, masks] of [
    [port.pic1, MASTER_VECTOR, 1 << 2, ALL_BUT_TICK_AND_CASCADE],
    [port.pic2, SLAVE_VECTOR, 2, 0xff],
  ] as const) {
    out(base, 0x11);
    out(base + 1, vector, cascade, 0x01, masks);
  }
  for (const [to, value] of [
    [port.keyboardControl, WRITE_COMMAND_BYTE],
    [port.keyboardData, KEYBOARD_COMMANDS],
  ] as const) {
    const taken = `keyboard.${to}`;
    a.label(taken);
    op.in(al, port.keyboardControl);
    op.test(al, INPUT_FULL);
    op.jne(taken);
    out(to, value);
  }
}

function placeVectors(a: Assembler): void {
  const { op } = a;
  const handler = (vector: number, label: string) => op.mov(word(4 * vector), new Address(label, 0, 0xffff));
  op.mov(eax, (address.lowRomEnd / 0x10 - 0x1000) * 0x1_0000);
  op.mov(ax, new Address("interrupt.none", 0, 0xffff));
  op.mov(edi, 0);
  op.mov(ecx, VECTORS);
  a.rep.stosd();
  for (let vector = SERVICES.first; vector <= SERVICES.last; vector++) handler(vector, "interrupt.refused");
  handler(SERVICES.memorySize, "interrupt.memorySize");
  op.mov(word(MEMORY_SIZE), area >> 10);
  for (let input = 0; input < LINES; input++) {
    handler(MASTER_VECTOR + input, input === 0 ? "interrupt.tick" : "interrupt.master");
    handler(SLAVE_VECTOR + input, "interrupt.slave");
  }
  op.mov(dword(TICKS), 0);
}

/** The handlers, 16-bit code. */
export function interruptHandlers(a: Assembler): void {
  const { op } = a;
  const end = (...chips: number[]) => {
    op.mov(al, END_OF_INTERRUPT);
    for (const chip of chips) op.out(chip, al);
    op.pop(ax);
  };
  a.bits(16);
  a.label("interrupt.tick");
  op.push(ds);
  op.push(ax);
  op.mov(ax, 0);
  op.mov(ds, ax);
  op.inc(dword(TICKS));
  op.cmp(dword(TICKS), TICKS_A_DAY);
  op.jb("interrupt.today");
  op.mov(dword(TICKS), 0);
  op.mov(byte(MIDNIGHT), 1);
  a.label("interrupt.today");
  op.int(USER_TICK);
  end(port.pic1);
  op.pop(ds);
  op.iret();
  a.label("interrupt.slave");
  op.push(ax);
  end(port.pic2, port.pic1);
  op.iret();
  a.label("interrupt.master");
  op.push(ax);
  end(port.pic1);
  a.label("interrupt.none");
  op.iret();
  a.label("interrupt.memorySize");
  op.push(ds);
  op.mov(ax, 0);
  op.mov(ds, ax);
  op.mov(ax, word(MEMORY_SIZE));
  op.pop(ds);
  op.iret();
  a.label("interrupt.refused");
  // push bp; mov bp, sp; or byte ptr [bp+6], 1: CF of the flags that IRET brings back; pop bp
  a.bytes(0x55, 0x89, 0xe5, 0x80, 0x4e, 0x06, 0x01, 0x5d);
  op.mov(ah, NOT_SUPPORTED);
  op.iret();
}
