// The kernel and what it is given: which boot protocol its image speaks, the image's place, an initial file system
// or modules, a command line. Each protocol's own part is in pvh.ts, multiboot.ts, linux.ts.
// A protocol is told by the image's headers, in this order: PVH note, multiboot header, Linux setup header. A flat
// binary has none; the fw_cfg file opt/buslock/flat gives its address, and it is entered as multiboot has it.

import { type Assembler, al, byte, cr0, cr4, dword, eax, ebp, ebx, ecx, edi, edx, esi } from "./assembler.js";
import { fail } from "./console.js";
import { checkElf, findPvhEntry, loadElf, takeElfEntry } from "./elf.js";
import { item } from "./fw-cfg.js";
import { commandLine, commandLineBytesMax, imageHead, imageHeadBytes, selector, variable } from "./layout.js";
import { checkCommandLine, checkLinux, loadLinux, startLinux, writeBootParameters } from "./linux.js";
import { enterMultiboot, findMultibootHeader, loadByAddressFields, writeMultibootInfo } from "./multiboot.js";
import { pvhRegisters, writeStartInfo } from "./pvh.js";

const protocol = { pvh: 1, multiboot: 2, flat: 3, linux: 4 } as const;
type Protocol = keyof typeof protocol;
const PAGE = 0x1000;
const IMAGE_NAME = "opt/buslock/kernel-name";
const IMAGE_NAME_BYTES_MAX = 256;

/** Selector of the kernel's data in `key`, its size in `kernelBytes`; reads its head. */
export function findKernel(a: Assembler): void {
  const { op } = a;
  op.mov(eax, item.kernelSize);
  op.mov(ebx, item.kernelData);
  op.mov(esi, a.string("opt/buslock/kernel"));
  op.call("locate");
  op.mov(variable("key"), eax);
  op.mov(variable("kernelBytes"), ecx);
  op.test(ecx, ecx);
  op.jne("findKernel.read");
  fail(a, "no kernel: fw_cfg holds none, neither as an item nor as opt/buslock/kernel");
  a.label("findKernel.read");
  op.mov(ecx, imageHeadBytes);
  op.mov(edi, imageHead);
  op.call("readItem"); // beyond the item's end the device gives zeros
}

/** `entryBits`: which entry of several is wanted, from opt/buslock/entry; 32 without. */
function findWantedEntry(a: Assembler): void {
  const { op } = a;
  op.mov(variable("entryBits"), 32);
  op.mov(esi, a.string("opt/buslock/entry"));
  op.call("findFile");
  op.test(eax, eax);
  op.je("findWantedEntry.end");
  op.mov(ecx, 4);
  op.mov(edi, variable("entryBits").displacement as number);
  op.call("readItem");
  a.label("findWantedEntry.end");
}

/** Finds out which protocol the image speaks. */
export function identifyKernel(a: Assembler): void {
  const { op } = a;
  const found = (name: Protocol) => {
    op.mov(variable("protocol"), protocol[name]);
    op.jmp("identifyKernel.end");
  };
  findWantedEntry(a);
  op.mov(esi, a.string("opt/buslock/flat"));
  op.call("findFile");
  op.test(eax, eax);
  op.je("identifyKernel.elf");
  op.mov(ecx, 4);
  op.mov(edi, variable("entry").displacement as number);
  op.call("readItem");
  found("flat");
  a.label("identifyKernel.elf");
  findMultibootHeader(a);
  checkElf(a, "identifyKernel.multiboot");
  findPvhEntry(a);
  op.cmp(variable("entry"), 0);
  op.je("identifyKernel.multiboot");
  found("pvh");
  a.label("identifyKernel.multiboot");
  op.cmp(variable("multibootHeader"), 0);
  op.je("identifyKernel.linux");
  found("multiboot");
  a.label("identifyKernel.linux");
  checkLinux(a, "identifyKernel.none");
  found("linux");
  a.label("identifyKernel.none");
  fail(
    a,
    "the kernel speaks no boot protocol known here: it has no ELF note with a PVH entry (type 18, named Xen), no multiboot header in its first 8 KiB, no Linux setup header (HdrS)",
  );
  a.label("identifyKernel.end");
}

/** Jumps to `NAME.PROTOCOL` by the protocol. */
function byProtocol(a: Assembler, name: string): void {
  for (const [key, value] of Object.entries(protocol)) {
    a.op.cmp(variable("protocol"), value);
    a.op.je(`${name}.${key}`);
  }
}

/** Puts the image where it belongs; `entry` is its entry. */
export function loadKernel(a: Assembler): void {
  const { op } = a;
  op.mov(variable("entryLoaded"), 0);
  byProtocol(a, "loadKernel");
  a.label("loadKernel.multiboot");
  loadByAddressFields(a, "loadKernel.end");
  checkElf(a, "loadKernel.unplaced");
  takeElfEntry(a);
  a.label("loadKernel.pvh");
  loadElf(a);
  op.jmp("loadKernel.end");
  a.label("loadKernel.unplaced");
  fail(a, "the multiboot kernel is neither ELF nor does its header have address fields (flag bit 16)");
  a.label("loadKernel.linux");
  loadLinux(a);
  op.jmp("loadKernel.end");
  a.label("loadKernel.flat");
  op.mov(eax, variable("entry"));
  op.mov(variable("segmentAddress"), eax);
  op.mov(variable("segmentOffset"), 0);
  op.mov(eax, variable("kernelBytes"));
  op.mov(variable("segmentFileBytes"), eax);
  op.mov(variable("segmentMemoryBytes"), eax);
  op.call("loadSegment");
  a.label("loadKernel.end");
  op.cmp(variable("entryLoaded"), 0);
  op.jne("loadKernel.entered");
  fail(a, "the kernel's entry does not lie in what was loaded of it");
  a.label("loadKernel.entered");
}

/** The initial file system goes as high as it can, on a page of its own. */
export function loadInitrd(a: Assembler): void {
  const { op } = a;
  op.mov(eax, item.initrdSize);
  op.mov(ebx, item.initrdData);
  op.mov(esi, a.string("opt/buslock/initrd"));
  op.call("locate");
  op.mov(variable("initrdBytes"), ecx);
  op.test(ecx, ecx);
  op.je("loadInitrd.end");
  op.mov(ebp, eax);
  op.mov(edx, PAGE);
  op.call("allocate");
  op.mov(variable("initrd"), eax);
  op.mov(edi, eax);
  op.mov(eax, ebp);
  op.call("readItem");
  a.label("loadInitrd.end");
}

/** The command line; a multiboot kernel's begins with its own name. */
export function loadCommandLine(a: Assembler): void {
  const { op } = a;
  op.mov(edi, commandLine);
  byProtocol(a, "loadCommandLine");
  a.label("loadCommandLine.multiboot");
  a.label("loadCommandLine.flat");
  imageName(a);
  a.label("loadCommandLine.pvh");
  a.label("loadCommandLine.linux");
  op.mov(eax, item.commandLineSize);
  op.mov(ebx, item.commandLineData);
  op.mov(esi, a.string("opt/buslock/cmdline"));
  op.push(edi);
  op.call("locate");
  op.pop(edi);
  op.lea(edx, dword(edi, -commandLine));
  op.add(edx, ecx);
  op.cmp(edx, commandLineBytesMax - 1);
  op.jbe("loadCommandLine.fits");
  fail(a, `the command line is longer than ${commandLineBytesMax - 1} bytes`);
  a.label("loadCommandLine.fits");
  op.cmp(variable("protocol"), protocol.linux);
  op.jne("loadCommandLine.known");
  checkCommandLine(a);
  a.label("loadCommandLine.known");
  op.mov(byte(edi), 0);
  op.test(ecx, ecx);
  op.je("loadCommandLine.end");
  op.call("readItem");
  op.add(edi, ecx);
  op.mov(byte(edi), 0);
  a.label("loadCommandLine.end");
}

/** Writes the image's name and a space to edi, which goes on behind them. */
function imageName(a: Assembler): void {
  const { op } = a;
  op.mov(esi, a.string(IMAGE_NAME));
  op.call("findFile");
  op.test(ecx, ecx);
  op.jne("imageName.given");
  op.mov(dword(edi), 0x6e72_656b); // "kernel"
  op.mov(dword(edi, 4), 0x6c65);
  op.mov(ecx, 6);
  op.jmp("imageName.end");
  a.label("imageName.given");
  op.cmp(ecx, IMAGE_NAME_BYTES_MAX);
  op.jbe("imageName.read");
  fail(a, `${IMAGE_NAME} is longer than ${IMAGE_NAME_BYTES_MAX} bytes`);
  a.label("imageName.read");
  op.call("readItem");
  a.label("imageName.end");
  op.add(edi, ecx);
  op.mov(al, " ".charCodeAt(0));
  op.mov(byte(edi), al);
  op.inc(edi);
}

/** What the kernel reads: start information in its protocol's form. */
export function writeInformation(a: Assembler): void {
  const { op } = a;
  byProtocol(a, "writeInformation");
  a.label("writeInformation.pvh");
  writeStartInfo(a);
  op.jmp("writeInformation.end");
  a.label("writeInformation.linux");
  writeBootParameters(a);
  op.jmp("writeInformation.end");
  a.label("writeInformation.multiboot");
  a.label("writeInformation.flat");
  writeMultibootInfo(a);
  a.label("writeInformation.end");
}

/** Enters the kernel: paging off, flat segments, a TSS loaded (PVH), interrupts off. */
export function enterKernel(a: Assembler): void {
  const { op } = a;
  op.mov(eax, selector.tss);
  op.ltr(eax);
  op.xor(eax, eax);
  op.mov(cr4, eax);
  op.mov(eax, cr0);
  op.and(eax, 0x11); // PE and ET, nothing else
  op.mov(cr0, eax);
  op.push(2);
  op.popfd();
  byProtocol(a, "enterKernel");
  a.label("enterKernel.pvh");
  pvhRegisters(a);
  op.jmp(variable("entry"));
  a.label("enterKernel.multiboot");
  a.label("enterKernel.flat");
  enterMultiboot(a);
  a.label("enterKernel.linux");
  startLinux(a);
}
