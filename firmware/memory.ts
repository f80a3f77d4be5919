// The machine's memory: what `etc/e820` says is fitted, what the firmware takes from its top, and the map
// that the kernel gets.

import { address } from "../emulator/board/map.js";
import { type Assembler, dword, eax, ebx, ecx, edi, edx, esi } from "./assembler.js";
import { fail } from "./console.js";
import { area, areaEnd, e820, e820BytesMax, memoryMap, memoryMapEntriesMax, variable } from "./layout.js";

const ENTRY_BYTES = 20;
const MAP_ENTRY_BYTES = 24;
const memoryType = { ram: 1, reserved: 2, acpi: 3 } as const;

/** Reads `etc/e820` and finds the RAM that starts at address 0: `ramEnd`, below the PCI window. */
export function findMemory(a: Assembler): void {
  const { op } = a;
  op.mov(esi, a.string("etc/e820"));
  op.call("findFile");
  op.mov(variable("e820Bytes"), ecx);
  op.sub(ecx, 1);
  op.cmp(ecx, e820BytesMax - 1);
  op.jbe("findMemory.read");
  fail(a, "fw_cfg has no etc/e820, or one that is too long");
  a.label("findMemory.read");
  op.inc(ecx);
  op.mov(edi, e820);
  op.call("readItem");
  op.mov(ebx, e820);
  a.label("findMemory.next");
  op.mov(eax, dword(ebx));
  op.or(eax, dword(ebx, 4));
  op.jne("findMemory.other");
  op.cmp(dword(ebx, 16), memoryType.ram);
  op.je("findMemory.found");
  a.label("findMemory.other");
  op.add(ebx, ENTRY_BYTES);
  op.mov(eax, ebx);
  op.sub(eax, e820);
  op.cmp(eax, variable("e820Bytes"));
  op.jb("findMemory.next");
  fail(a, "etc/e820 names no RAM at address 0");
  a.label("findMemory.found");
  op.mov(eax, address.pciWindow);
  op.cmp(dword(ebx, 12), 0);
  op.jne("findMemory.large");
  op.cmp(dword(ebx, 8), eax);
  op.jae("findMemory.large");
  op.mov(eax, dword(ebx, 8));
  a.label("findMemory.large");
  op.and(eax, ~0xfff >>> 0);
  op.mov(variable("ramEnd"), eax);
  op.mov(variable("ramTop"), eax);
  op.mov(variable("kernelEnd"), address.highRam);
}

export function memoryRoutines(a: Assembler): void {
  const { op } = a;

  // allocate: ecx bytes on a boundary of edx, from the top of RAM down; gives eax. Fails rather than reach
  // what the kernel occupies.
  a.label("allocate");
  op.mov(eax, variable("ramTop"));
  op.sub(eax, ecx);
  op.jb("allocate.none");
  op.neg(edx);
  op.and(eax, edx);
  op.cmp(eax, variable("kernelEnd"));
  op.jb("allocate.none");
  op.mov(variable("ramTop"), eax);
  op.ret();
  a.label("allocate.none");
  fail(a, "out of memory: the kernel, its initial file system and the tables do not fit");

  // addRange: eax start, ecx length, edx type; an empty range is left out. Changes edi.
  a.label("addRange");
  op.test(ecx, ecx);
  op.je("addRange.end");
  op.call("newEntry");
  op.mov(dword(edi), eax);
  op.mov(dword(edi, 4), 0);
  op.mov(dword(edi, 8), ecx);
  op.mov(dword(edi, 12), 0);
  op.mov(dword(edi, 16), edx);
  op.mov(dword(edi, 20), 0);
  a.label("addRange.end");
  op.ret();

  // newEntry: gives the next free entry of the map in edi.
  a.label("newEntry");
  op.mov(edi, variable("mapEntries"));
  op.cmp(edi, memoryMapEntriesMax);
  op.jb("newEntry.free");
  fail(a, "the memory map has more entries than there is room for");
  a.label("newEntry.free");
  op.inc(variable("mapEntries"));
  op.imul(edi, edi, MAP_ENTRY_BYTES);
  op.add(edi, memoryMap);
  op.ret();
}

/** Writes the memory map. The ACPI tables lie between `acpiStart` and `ramEnd`. */
export function buildMemoryMap(a: Assembler, romBase: number): void {
  const { op } = a;
  const range = (start: number, end: number, type: number) => {
    op.mov(eax, start);
    op.mov(ecx, end - start);
    op.mov(edx, type);
    op.call("addRange");
  };
  op.mov(variable("mapEntries"), 0);
  range(0, area, memoryType.ram);
  range(area, areaEnd, memoryType.reserved);
  range(address.lowRom, address.lowRomEnd, memoryType.reserved);
  op.mov(eax, address.highRam);
  op.mov(ecx, variable("acpiStart"));
  op.sub(ecx, eax);
  op.mov(edx, memoryType.ram);
  op.call("addRange");
  op.mov(eax, variable("acpiStart"));
  op.mov(ecx, variable("ramEnd"));
  op.sub(ecx, eax);
  op.mov(edx, memoryType.acpi);
  op.call("addRange");
  copyOtherRanges(a);
  range(address.ecam, address.ecamEnd, memoryType.reserved);
  range(romBase, address.romEnd, memoryType.reserved);
}

/** What else `etc/e820` names, such as RAM above 4 GiB, goes over as it is. */
function copyOtherRanges(a: Assembler): void {
  const { op } = a;
  op.mov(ebx, e820);
  a.label("copyRange.next");
  op.mov(eax, ebx);
  op.sub(eax, e820);
  op.cmp(eax, variable("e820Bytes"));
  op.jae("copyRange.end");
  op.mov(eax, dword(ebx));
  op.or(eax, dword(ebx, 4));
  op.jne("copyRange.copy");
  op.cmp(dword(ebx, 16), memoryType.ram);
  op.je("copyRange.skip");
  a.label("copyRange.copy");
  op.call("newEntry");
  for (let at = 0; at < ENTRY_BYTES; at += 4) {
    op.mov(eax, dword(ebx, at));
    op.mov(dword(edi, at), eax);
  }
  op.mov(dword(edi, ENTRY_BYTES), 0);
  a.label("copyRange.skip");
  op.add(ebx, ENTRY_BYTES);
  op.jmp("copyRange.next");
  a.label("copyRange.end");
}
