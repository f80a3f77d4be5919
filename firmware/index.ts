// The firmware: a ROM image that ends at 4 GiB. From the reset vector in real mode to the kernel's
// entry, one call a line in `image`. It learns everything about the machine from fw_cfg, so that the same
// image starts our board and QEMU's. The other cores set up their memory types (mtrr.ts) and stop.

import { address, port } from "../emulator/board/map.js";
import { acpiRoutines, placeTables } from "./acpi.js";
import {
  Address,
  Assembler,
  al,
  byte,
  cr0,
  cs,
  ds,
  dword,
  eax,
  ecx,
  edi,
  es,
  esi,
  esp,
  FarOperand,
  fs,
  gs,
  memoryAt,
  ss,
  word,
} from "./assembler.js";
import { consoleRoutines, fail, initialiseConsole, say } from "./console.js";
import { elfRoutines } from "./elf.js";
import { fwCfgRoutines, openFwCfg } from "./fw-cfg.js";
import { interruptHandlers, placeInterrupts } from "./interrupts.js";
import {
  enterKernel,
  findKernel,
  identifyKernel,
  loadCommandLine,
  loadInitrd,
  loadKernel,
  writeInformation,
} from "./kernel.js";
import { area, areaEnd, ebdaPointer, gdt, selector, variable } from "./layout.js";
import { buildMemoryMap, findMemory, memoryRoutines } from "./memory.js";
import { placeMpTable } from "./mp-table.js";
import { otherCores, setMemoryTypes } from "./mtrr.js";
import { assignBars, pciRoutines, placeChipSet } from "./pci.js";
import { resumeAfterShutdown, wakeUp } from "./resume.js";
import { placeRootTable, rootPointer } from "./root-table.js";
import { placeSmbios, smbiosEntry } from "./smbios.js";

const ROM_BYTES = 0x1_0000;
/** The code runs in the ROM's view below 1 MiB, which a closed A20 gate does not move away. */
const romBase = address.lowRomEnd - ROM_BYTES;
const resetVector = address.lowRomEnd - (address.romEnd - address.resetVector);
const REAL_MODE_SEGMENT = romBase >> 4;

const GDT_BYTES = 56;
const A20 = 2;
const MIB_SHIFT = 20;

let image: Uint8Array | undefined;

/** The ROM, assembled once: 64 KiB. */
export function firmwareImage(): Uint8Array {
  image ??= assemble();
  return image;
}

function assemble(): Uint8Array {
  const a = new Assembler(romBase);
  a.bits(32);
  a.label("protectedMode");
  flatSegments(a);
  wakeUp(a, REAL_MODE_SEGMENT);
  initialiseConsole(a);
  checkA20(a);
  openFwCfg(a);
  findMemory(a);
  banner(a);
  nameArea(a);
  placeInterrupts(a);
  a.op.call("setMemoryTypes");
  a.op.call("placeChipSet");
  assignBars(a);
  placeTables(a);
  placeRootTable(a);
  placeSmbios(a);
  placeMpTable(a);
  findKernel(a);
  identifyKernel(a);
  loadKernel(a);
  loadInitrd(a);
  loadCommandLine(a);
  buildMemoryMap(a, address.romEnd - ROM_BYTES);
  writeInformation(a);
  enterKernel(a);

  consoleRoutines(a);
  fwCfgRoutines(a);
  memoryRoutines(a);
  routine(a, "setMemoryTypes", setMemoryTypes);
  routine(a, "placeChipSet", placeChipSet);
  pciRoutines(a);
  acpiRoutines(a);
  elfRoutines(a);
  a.strings();
  smbiosEntry(a);
  descriptors(a);
  rootPointer(a);
  interruptHandlers(a);
  reset(a);
  const { bytes } = a.assemble();
  if (bytes.length !== ROM_BYTES) throw new Error(`the ROM has ${bytes.length} bytes, not ${ROM_BYTES}`);
  return bytes;
}

/** What starting and waking have in common. */
function routine(a: Assembler, name: string, emit: (a: Assembler) => void): void {
  a.label(name);
  emit(a);
  a.op.ret();
}

/** From the vector to protected mode. The far jump leaves the ROM's view at 4 GiB, the first thing of all. */
function reset(a: Assembler): void {
  const { op } = a;
  const offset = (label: string) => new Address(label, 0, 0xffff);
  a.bits(16);
  a.label("realMode");
  op.cli();
  op.cld();
  resumeAfterShutdown(a);
  // Bit 0, INIT by its change from 0 to 1, stays as it was: software tells INIT from RESET by it.
  op.in(al, port.systemControlA);
  op.or(al, A20);
  op.out(port.systemControlA, al);
  a.bytes(0x66); // a 32-bit base
  op.lgdt(memoryAt(offset("gdtOperand")).in(cs));
  op.mov(eax, 0x11); // PE and ET; caching on
  op.mov(cr0, eax);
  op.jmp(new FarOperand(selector.code, new Address("protectedMode")));
  otherCores(a);
  a.org(resetVector);
  op.jmp(new FarOperand(REAL_MODE_SEGMENT, offset("realMode")));
  a.org(address.lowRomEnd);
}

/** Flat code and data, a TSS that PVH wants loaded and nobody uses, and the way back to real mode. */
function descriptors(a: Assembler): void {
  a.align(8);
  a.label("gdt");
  a.bytes(0, 0, 0, 0, 0, 0, 0, 0);
  a.bytes(0, 0, 0, 0, 0, 0, 0, 0);
  a.bytes(0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0);
  a.bytes(0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0);
  a.bytes(0x67, 0, 0, 0, 0, 0x89, 0, 0);
  a.bytes(0xff, 0xff, ...little(romBase).slice(0, 3), 0x9b, 0, 0);
  a.bytes(0xff, 0xff, 0, 0, 0, 0x93, 0, 0);
  a.label("gdtOperand");
  a.bytes(GDT_BYTES - 1, 0);
  a.address("gdt");
  a.label("gdtOperandInRam");
  a.bytes(GDT_BYTES - 1, 0, ...little(gdt));
}

/** Segments and a stack, and the GDT in RAM: LTR marks its TSS busy, which a ROM could not take. */
function flatSegments(a: Assembler): void {
  const { op } = a;
  op.mov(eax, selector.data);
  for (const segment of [ds, es, fs, gs, ss]) op.mov(segment, eax);
  op.mov(esp, areaEnd);
  op.mov(esi, "gdt");
  op.mov(edi, gdt);
  op.mov(ecx, GDT_BYTES / 4);
  a.rep.movsd();
  op.lgdt(memoryAt("gdtOperandInRam"));
}

/** Two addresses that differ in bit 20 only must be two places. */
function checkA20(a: Assembler): void {
  const { op } = a;
  const [low, high] = [dword(gdt + GDT_BYTES), dword(gdt + GDT_BYTES + 0x10_0000)];
  op.mov(low, 0x2020_2020);
  op.mov(high, 0x1010_1010);
  op.cmp(low, 0x2020_2020);
  op.je("checkA20.open");
  fail(a, "the A20 gate stays closed: address bit 20 has no effect");
  a.label("checkA20.open");
}

function banner(a: Assembler): void {
  const { op } = a;
  say(a, "Buslock firmware: cores ");
  op.mov(eax, variable("cores"));
  op.call("printDecimal");
  say(a, ", RAM ");
  op.mov(eax, variable("ramEnd"));
  op.shr(eax, MIB_SHIFT);
  op.call("printDecimal");
  say(a, " MiB\r\n");
}

/** The BIOS data area names our area as the extended one, by segment; its first byte is its size in KiB. */
function nameArea({ op }: Assembler): void {
  op.mov(word(ebdaPointer), area >> 4);
  op.mov(byte(area), (areaEnd - area) >> 10);
}

const little = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
