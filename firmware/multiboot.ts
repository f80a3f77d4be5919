// Multiboot ("Multiboot Specification version 0.6.96"): an image with a header in its first 8 KiB, placed as an ELF
// file or by the header's own address fields; entered in protected mode without paging, information in EBX.
// Not there: boot device, symbols, APM table, BIOS configuration table, video modes; their flags stay 0. A kernel that
// asks for a video mode is told on the console that there is none, and started.

import { address } from "../emulator/board/map.js";
import { type Assembler, ds, dword, eax, ebp, ebx, ecx, edi, edx, es, esi, fs, gs, ss } from "./assembler.js";
import { fail, say } from "./console.js";
import {
  area,
  commandLine,
  gdt,
  imageHead,
  imageHeadBytes,
  memoryMap,
  moduleList,
  multibootInfo,
  multibootMap,
  multibootSelector,
  selector,
  variable,
} from "./layout.js";

const HEADER_MAGIC = 0x1bad_b002;
const ENTRY_MAGIC = 0x2bad_b002;
/** The header's fields (3.1.1) and flags (3.1.2). */
const header = {
  flags: 4,
  checksum: 8,
  headerAddress: 12,
  loadAddress: 16,
  loadEnd: 20,
  bssEnd: 24,
  entry: 28,
  bytes: 32,
} as const;
const MANDATORY_BYTES = 12;
const DESCRIPTOR_BYTES = 8;
/** Modules on pages of their own, memory information: always so. */
const flag = { videoMode: 1 << 2, unknown: 0xfff8, addressFields: 1 << 16 } as const;
/** Boot information (3.3): field, and the flag that makes it valid. */
const information = {
  flags: 0,
  lowerKib: 4,
  upperKib: 8,
  commandLine: 16,
  moduleCount: 20,
  modules: 24,
  mapBytes: 44,
  map: 48,
  loaderName: 64,
  bytes: 120,
} as const;
const VALID = (1 << 0) | (1 << 2) | (1 << 3) | (1 << 6) | (1 << 9);
const MODULE_BYTES = 16;
const MAP_ENTRY_BYTES = 24; // size of what follows (20), base, length, type
const MODULES = "opt/buslock/modules";

/** `multibootHeader`: where the header stands in the image's head, or 0. On a boundary of 4; its sum is 0. */
export function findMultibootHeader(a: Assembler): void {
  const { op } = a;
  op.mov(esi, imageHead);
  a.label("findMultiboot.next");
  op.mov(eax, dword(esi));
  op.cmp(eax, HEADER_MAGIC);
  op.jne("findMultiboot.other");
  op.add(eax, dword(esi, header.flags));
  op.add(eax, dword(esi, header.checksum));
  op.je("findMultiboot.end");
  a.label("findMultiboot.other");
  op.add(esi, 4);
  op.cmp(esi, imageHead + imageHeadBytes - MANDATORY_BYTES);
  op.jbe("findMultiboot.next");
  op.xor(esi, esi);
  a.label("findMultiboot.end");
  op.mov(variable("multibootHeader"), esi);
}

/** Checks what the header asks for; with address fields, places the image by them and goes to `done`. */
export function loadByAddressFields(a: Assembler, done: string): void {
  const { op } = a;
  op.mov(ebp, variable("multibootHeader"));
  op.mov(ebx, dword(ebp, header.flags));
  op.test(ebx, flag.unknown);
  op.je("loadByAddressFields.known");
  fail(a, "the multiboot header requires a feature that is not known here (flag bits 3 to 15)");
  a.label("loadByAddressFields.known");
  op.test(ebx, flag.videoMode);
  op.je("loadByAddressFields.noVideo");
  say(a, "firmware: the kernel asks for a video mode, and there is no display\r\n");
  a.label("loadByAddressFields.noVideo");
  op.test(ebx, flag.addressFields);
  op.je("loadByAddressFields.end");
  op.cmp(ebp, imageHead + imageHeadBytes - header.bytes);
  op.ja("loadByAddressFields.bad");
  op.mov(eax, dword(ebp, header.entry));
  op.mov(variable("entry"), eax);
  // The image begins in the file as far before the header as it does in memory.
  op.lea(ecx, dword(ebp, -imageHead));
  op.mov(eax, dword(ebp, header.loadAddress));
  op.mov(variable("segmentAddress"), eax);
  op.add(ecx, eax);
  op.sub(ecx, dword(ebp, header.headerAddress));
  op.jb("loadByAddressFields.bad");
  op.cmp(dword(ebp, header.headerAddress), eax);
  op.jb("loadByAddressFields.bad");
  op.mov(variable("segmentOffset"), ecx);
  op.neg(ecx);
  op.add(ecx, variable("kernelBytes")); // what is left of the file
  op.mov(edx, dword(ebp, header.loadEnd));
  op.test(edx, edx);
  op.je("loadByAddressFields.file");
  op.sub(edx, eax);
  op.jb("loadByAddressFields.bad");
  op.cmp(edx, ecx);
  op.ja("loadByAddressFields.bad");
  op.mov(ecx, edx);
  a.label("loadByAddressFields.file");
  op.mov(variable("segmentFileBytes"), ecx);
  op.mov(variable("segmentMemoryBytes"), ecx);
  op.mov(edx, dword(ebp, header.bssEnd));
  op.test(edx, edx);
  op.je("loadByAddressFields.place");
  op.sub(edx, eax);
  op.cmp(edx, ecx);
  op.jb("loadByAddressFields.bad");
  op.mov(variable("segmentMemoryBytes"), edx);
  a.label("loadByAddressFields.place");
  op.call("loadSegment");
  op.jmp(done);
  a.label("loadByAddressFields.bad");
  fail(a, "the multiboot header's address fields contradict each other or the file's length");
  a.label("loadByAddressFields.end");
}

/** The information, its memory map and its modules. */
export function writeMultibootInfo(a: Assembler): void {
  const { op } = a;
  op.mov(edi, multibootInfo);
  op.mov(ecx, information.bytes / 4);
  op.xor(eax, eax);
  a.rep.stosd();
  const field = (at: number) => dword(multibootInfo + at);
  op.mov(field(information.flags), VALID);
  op.mov(field(information.lowerKib), area >> 10);
  op.mov(eax, variable("acpiStart"));
  op.sub(eax, address.highRam);
  op.shr(eax, 10);
  op.mov(field(information.upperKib), eax);
  op.mov(field(information.commandLine), commandLine);
  op.mov(field(information.loaderName), a.string("Buslock firmware"));
  op.imul(eax, variable("mapEntries"), MAP_ENTRY_BYTES);
  op.mov(field(information.mapBytes), eax);
  op.mov(field(information.map), multibootMap);
  writeMap(a);
  writeModules(a);
}

/** The firmware's own entries are {base, length, type, 0}, of the same size; types are the same. */
function writeMap(a: Assembler): void {
  const { op } = a;
  op.mov(esi, memoryMap);
  op.mov(edi, multibootMap);
  op.mov(edx, variable("mapEntries"));
  a.label("writeMap.next");
  op.mov(eax, MAP_ENTRY_BYTES - 4);
  op.stosd();
  op.mov(ecx, (MAP_ENTRY_BYTES - 4) / 4);
  a.rep.movsd();
  op.add(esi, 4);
  op.dec(edx);
  op.jne("writeMap.next");
}

/**
 * Modules are parts of the initial file system's item. The file opt/buslock/modules tells which: a count, then for
 * each {start, end, text, 0}, start and end from the item's beginning, text from the file's. It becomes the module
 * list itself. Without it the whole item is one module.
 */
function writeModules(a: Assembler): void {
  const { op } = a;
  op.mov(esi, a.string(MODULES));
  op.call("findFile");
  op.test(ecx, ecx);
  op.je("writeModules.one");
  op.mov(ebp, eax);
  op.mov(edx, 4);
  op.call("allocate");
  op.mov(edi, eax);
  op.mov(eax, ebp);
  op.call("readItem");
  op.mov(ebx, edi);
  op.mov(ecx, dword(edi));
  op.add(edi, 4);
  op.mov(dword(multibootInfo + information.moduleCount), ecx);
  op.mov(dword(multibootInfo + information.modules), edi);
  a.label("writeModules.next");
  op.sub(ecx, 1);
  op.jb("writeModules.end");
  op.mov(eax, variable("initrd"));
  op.add(dword(edi), eax);
  op.add(dword(edi, 4), eax);
  op.add(dword(edi, 8), ebx);
  op.add(edi, MODULE_BYTES);
  op.jmp("writeModules.next");
  a.label("writeModules.one");
  op.mov(ecx, variable("initrdBytes"));
  op.test(ecx, ecx);
  op.je("writeModules.end");
  op.mov(eax, variable("initrd"));
  op.mov(dword(moduleList), eax);
  op.add(ecx, eax);
  op.mov(dword(moduleList + 4), ecx);
  op.mov(dword(moduleList + 8), a.string(""));
  op.mov(dword(moduleList + 12), 0);
  op.mov(dword(multibootInfo + information.moduleCount), 1);
  op.mov(dword(multibootInfo + information.modules), moduleList);
  a.label("writeModules.end");
}

/** The machine's state at the entry (3.2), and there. The descriptors of code and data move to where the kernel wants them. */
export function enterMultiboot(a: Assembler): void {
  const { op } = a;
  op.mov(esi, gdt + selector.code);
  op.mov(edi, gdt + multibootSelector.code);
  op.mov(ecx, (2 * DESCRIPTOR_BYTES) / 4);
  a.rep.movsd();
  op.mov(eax, multibootSelector.data);
  for (const segment of [ds, es, fs, gs, ss]) op.mov(segment, eax);
  op.mov(eax, ENTRY_MAGIC);
  op.mov(ebx, multibootInfo);
  op.push(multibootSelector.code);
  op.push(variable("entry"));
  a.bytes(0xcb); // retf
}
