// PCI on bus 0: gives every BAR an address and lets the functions decode them, and on our own board tells each function the
// ISA line of its interrupt, for software that uses the 8259 pair. Bus mastering is left to the kernel's drivers. Bridges are
// left alone, and so are expansion ROMs.
// On QEMU's q35 board the chip set must first be told where ECAM and the power management ports are to be;
// our own board has them fixed at the same places.

import { address, pciLine, port } from "../emulator/board/map.js";
import { type Assembler, ah, al, ax, dword, dx, eax, ebx, ecx, edi, edx, esi } from "./assembler.js";
import { variable } from "./layout.js";

const ENABLE = 0x8000_0000;
const FUNCTION = 0x100;
const DEVICE = 0x800;
const DEVICE_SHIFT = 11;
const BUS = 0x1_0000;
const register = {
  id: 0x00,
  command: 0x04,
  header: 0x0c,
  bars: 0x10,
  barsEnd: 0x28,
  interrupt: 0x3c,
} as const;
const DECODE_PORTS_AND_MEMORY = 3;
const PORTS_FIRST = 0xc000;

const q35 = {
  hostBridge: 0x29c0_8086,
  pciExBar: ENABLE | 0x60,
  lpc: 0x2918_8086,
  lpcFunction: (ENABLE | (31 * DEVICE)) >>> 0,
  pmBase: 0x40,
  acpiControl: 0x44,
  acpiEnable: 0x80,
} as const;

function write({ op }: Assembler, at: number, value: number): void {
  op.mov(eax, at >>> 0);
  op.mov(ecx, value);
  op.call("pciWrite");
}

export function placeChipSet(a: Assembler): void {
  const { op } = a;
  op.mov(eax, ENABLE | register.id);
  op.call("pciRead");
  op.cmp(eax, q35.hostBridge);
  op.jne("placeChipSet.lpc");
  write(a, q35.pciExBar + 4, 0);
  write(a, q35.pciExBar, address.ecam | 1);
  a.label("placeChipSet.lpc");
  op.mov(eax, q35.lpcFunction);
  op.call("pciRead");
  op.cmp(eax, q35.lpc);
  op.jne("placeChipSet.end");
  write(a, q35.lpcFunction + q35.pmBase, port.pm1Event | 1);
  write(a, q35.lpcFunction + q35.acpiControl, q35.acpiEnable);
  a.label("placeChipSet.end");
  // PCI interrupts are levels: the edge/level control register of the second 8259.
  op.mov(dx, port.elcr + 1);
  op.mov(al, (1 << (pciLine(0) - 8)) | (1 << (pciLine(1) - 8)));
  op.out(dx, al);
}

/** ebx is the function's address all along, esi the BAR's register, edi what sizing gave. */
export function assignBars(a: Assembler): void {
  const { op } = a;
  op.mov(variable("pciNext"), address.pciWindow);
  op.mov(variable("ioNext"), PORTS_FIRST);
  op.mov(ebx, ENABLE);
  a.label("assign.function");
  op.lea(eax, dword(ebx, register.id));
  op.call("pciRead");
  op.cmp(ax, 0xffff);
  op.je("assign.absent");
  op.lea(eax, dword(ebx, register.header));
  op.call("pciRead");
  op.shr(eax, 16);
  op.push(eax);
  op.test(al, 0x7f);
  op.jne("assign.done");
  op.mov(esi, register.bars);
  a.label("assign.bar");
  op.call("assignBar");
  op.cmp(esi, register.barsEnd);
  op.jb("assign.bar");
  op.lea(eax, dword(ebx, register.command));
  op.call("pciRead");
  op.movzx(ecx, ax); // the status bits in the high half are cleared by ones
  op.or(ecx, DECODE_PORTS_AND_MEMORY);
  op.lea(eax, dword(ebx, register.command));
  op.call("pciWrite");
  op.call("interruptLine");
  a.label("assign.done");
  op.pop(eax);
  op.test(ebx, DEVICE - FUNCTION);
  op.jne("assign.next");
  op.test(al, 0x80);
  op.jne("assign.next");
  a.label("assign.skipDevice"); // a device of one function
  op.add(ebx, DEVICE - FUNCTION);
  a.label("assign.next");
  op.add(ebx, FUNCTION);
  op.cmp(ebx, (ENABLE | BUS) >>> 0);
  op.jb("assign.function");
  op.jmp("assign.end");
  a.label("assign.absent");
  op.test(ebx, DEVICE - FUNCTION);
  op.jne("assign.next");
  op.jmp("assign.skipDevice");
  a.label("assign.end");
}

export function pciRoutines(a: Assembler): void {
  const { op } = a;

  // pciRead: eax address; gives eax. Changes edx. pciWrite: eax address, ecx value. Changes edx.
  a.label("pciRead");
  op.mov(dx, port.pciAddress);
  op.out(dx, eax);
  op.mov(dx, port.pciData);
  op.in(eax, dx);
  op.ret();
  a.label("pciWrite");
  op.mov(dx, port.pciAddress);
  op.out(dx, eax);
  op.mov(dx, port.pciData);
  op.mov(eax, ecx);
  op.out(dx, eax);
  op.ret();

  // interruptLine: of the function at ebx, when it has a pin (PCI 3.0, 6.2.4). QEMU's board has a router, which is left alone.
  a.label("interruptLine");
  op.mov(eax, ENABLE | register.id);
  op.call("pciRead");
  op.cmp(eax, q35.hostBridge);
  op.je("interruptLine.end");
  op.lea(eax, dword(ebx, register.interrupt));
  op.call("pciRead");
  op.test(ah, ah);
  op.je("interruptLine.end");
  op.mov(eax, ebx);
  op.shr(eax, DEVICE_SHIFT);
  op.and(eax, 1);
  op.add(al, pciLine(0));
  op.mov(dx, port.pciData); // CONFIG_ADDRESS still names the register
  op.out(dx, al);
  a.label("interruptLine.end");
  op.ret();

  // assignBar: sizes the BAR at ebx + esi and gives it an address; moves esi on. A BAR that finds no room
  // keeps address 0, which decodes nothing.
  a.label("assignBar");
  op.lea(eax, dword(ebx));
  op.add(eax, esi);
  op.mov(ecx, 0xffff_ffff);
  op.call("pciWrite");
  op.lea(eax, dword(ebx));
  op.add(eax, esi);
  op.call("pciRead");
  op.mov(edi, eax);
  op.test(edi, 1);
  op.jne("assignBar.port");
  op.mov(edx, variable("pciNext"));
  op.and(eax, ~15 >>> 0);
  op.je("assignBar.write"); // not there: what is written is dropped
  op.neg(eax); // the size
  op.lea(ecx, dword(edx, -1));
  op.add(ecx, eax);
  op.neg(eax);
  op.and(ecx, eax); // the next address that is a multiple of the size
  op.neg(eax);
  op.add(eax, ecx);
  op.jb("assignBar.none");
  op.cmp(eax, address.pciWindowEnd);
  op.ja("assignBar.none");
  op.mov(variable("pciNext"), eax);
  op.jmp("assignBar.write");
  a.label("assignBar.port");
  op.or(eax, 0xffff_0000);
  op.and(eax, ~3 >>> 0);
  op.neg(eax);
  op.mov(ecx, variable("ioNext"));
  op.dec(ecx);
  op.add(ecx, eax);
  op.neg(eax);
  op.and(ecx, eax);
  op.neg(eax);
  op.add(eax, ecx);
  op.mov(variable("ioNext"), eax);
  op.jmp("assignBar.write");
  a.label("assignBar.none");
  op.xor(ecx, ecx);
  a.label("assignBar.write");
  op.lea(eax, dword(ebx));
  op.add(eax, esi);
  op.call("pciWrite");
  op.add(esi, 4);
  op.test(edi, 1);
  op.jne("assignBar.end");
  op.test(edi, 4); // a 64-bit BAR: its high half
  op.je("assignBar.end");
  op.lea(eax, dword(ebx));
  op.add(eax, esi);
  op.xor(ecx, ecx);
  op.call("pciWrite");
  op.add(esi, 4);
  a.label("assignBar.end");
  op.ret();
}
