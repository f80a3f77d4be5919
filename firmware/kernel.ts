// The kernel and what it is given: an ELF image (32 or 64 bits) whose PVH note names its 32-bit entry, an
// initial file system, a command line; and the hand-over by the PVH boot protocol (Xen documentation,
// "x86/HVM direct boot ABI").
// Invariant: nothing is copied to where the firmware's own area or the ROM is; every segment lies between
// 1 MiB and the tables at the top of RAM.

import { address } from "../emulator/board/map.js";
import {
  type Assembler,
  byte,
  cr0,
  cr4,
  dword,
  eax,
  ebp,
  ebx,
  ecx,
  edi,
  edx,
  esi,
  type MemoryOperand,
  word,
} from "./assembler.js";
import { fail } from "./console.js";
import { item } from "./fw-cfg.js";
import {
  commandLine,
  commandLineBytesMax,
  elfHead,
  elfHeadBytes,
  memoryMap,
  moduleList,
  notes,
  notesBytesMax,
  startInfo,
  variable,
} from "./layout.js";

const ELF_MAGIC = 0x464c_457f;
const elfClass = { bits32: 1, bits64: 2 } as const;
const segmentType = { load: 1, note: 4 } as const;
const PVH_NOTE = 18; // XEN_ELFNOTE_PHYS32_ENTRY, of the name "Xen"
const XEN = 0x006e_6558;
const START_MAGIC = 0x336e_c578;
const START_VERSION = 1;
const PAGE = 0x1000;

/** Where each class of ELF keeps what we need: file header, then program header. */
const layout = {
  [elfClass.bits32]: {
    headers: 28,
    entryBytes: 42,
    count: 44,
    type: 0,
    offset: 4,
    address: 12,
    file: 16,
    memory: 20,
  },
  [elfClass.bits64]: {
    headers: 32,
    entryBytes: 54,
    count: 56,
    type: 0,
    offset: 8,
    address: 24,
    file: 32,
    memory: 40,
  },
} as const;

/** Selector of the kernel's data in `key`, its size in `size`; reads its head. */
export function findKernel(a: Assembler): void {
  const { op } = a;
  op.mov(eax, item.kernelSize);
  op.mov(ebx, item.kernelData);
  op.mov(esi, a.string("opt/buslock/kernel"));
  op.call("locate");
  op.mov(variable("key"), eax);
  op.mov(variable("size"), ecx);
  op.test(ecx, ecx);
  op.jne("findKernel.read");
  fail(a, "no kernel: fw_cfg holds none, neither as an item nor as opt/buslock/kernel");
  a.label("findKernel.read");
  op.mov(ecx, elfHeadBytes);
  op.mov(edi, elfHead);
  op.call("readItem"); // beyond the item's end the device gives zeros
  op.cmp(dword(elfHead), ELF_MAGIC);
  op.jne("findKernel.bad");
  op.movzx(eax, byte(elfHead + 4));
  op.mov(variable("elfClass"), eax);
  op.dec(eax);
  op.cmp(eax, 1);
  op.jbe("findKernel.end");
  a.label("findKernel.bad");
  fail(a, "the kernel is not an ELF image");
  a.label("findKernel.end");
}

/** Walks the program headers: copies the segments, finds the entry. */
export function loadKernel(a: Assembler): void {
  const { op } = a;
  op.mov(variable("entry"), 0);
  for (const bits of [elfClass.bits32, elfClass.bits64]) {
    const at = layout[bits];
    op.cmp(variable("elfClass"), bits);
    op.jne(`loadKernel.not${bits}`);
    op.mov(ebp, dword(elfHead + at.headers));
    op.movzx(eax, word(elfHead + at.entryBytes));
    op.movzx(ecx, word(elfHead + at.count));
    a.label(`loadKernel.not${bits}`);
  }
  // The headers must lie in the part of the file that was read.
  op.mov(variable("headersLeft"), ecx);
  op.mov(variable("segmentMemoryBytes"), eax);
  op.imul(eax, ecx);
  op.cmp(ebp, elfHeadBytes);
  op.ja("loadKernel.far");
  op.add(eax, ebp);
  op.cmp(eax, elfHeadBytes);
  op.jbe("loadKernel.start");
  a.label("loadKernel.far");
  fail(a, "the kernel's program headers do not stand at the beginning of its file");
  a.label("loadKernel.start");
  op.add(ebp, elfHead);
  a.label("loadKernel.next");
  op.sub(variable("headersLeft"), 1);
  op.jb("loadKernel.end");
  op.call("readHeader");
  op.cmp(variable("segmentType"), segmentType.load);
  op.je("loadKernel.load");
  op.cmp(variable("segmentType"), segmentType.note);
  op.jne("loadKernel.continue");
  op.call("readNotes");
  op.jmp("loadKernel.continue");
  a.label("loadKernel.load");
  op.call("loadSegment");
  a.label("loadKernel.continue");
  for (const bits of [elfClass.bits32, elfClass.bits64]) {
    op.movzx(eax, word(elfHead + layout[bits].entryBytes));
    op.cmp(variable("elfClass"), bits);
    op.je("loadKernel.step");
  }
  a.label("loadKernel.step");
  op.add(ebp, eax);
  op.jmp("loadKernel.next");
  a.label("loadKernel.end");
  op.cmp(variable("entry"), 0);
  op.jne("loadKernel.good");
  fail(a, "the kernel has no PVH entry (an ELF note of type 18, named Xen)");
  a.label("loadKernel.good");
}

export function kernelRoutines(a: Assembler): void {
  readHeader(a);
  loadSegment(a);
  readNotes(a);
}

/** readHeader: the program header at ebp, into the segment variables. 64-bit fields must fit 32 bits. */
function readHeader(a: Assembler): void {
  const { op } = a;
  a.label("readHeader");
  const fields = (bits: 1 | 2, copy: (to: MemoryOperand, from: number) => void) => {
    const at = layout[bits];
    copy(variable("segmentType"), at.type);
    copy(variable("segmentOffset"), at.offset);
    copy(variable("segmentAddress"), at.address);
    copy(variable("segmentFileBytes"), at.file);
    copy(variable("segmentMemoryBytes"), at.memory);
  };
  const copy = (to: MemoryOperand, from: number) => {
    op.mov(eax, dword(ebp, from));
    op.mov(to, eax);
  };
  op.cmp(variable("elfClass"), elfClass.bits64);
  op.je("readHeader.long");
  fields(elfClass.bits32, copy);
  op.ret();
  a.label("readHeader.long");
  fields(elfClass.bits64, copy);
  op.cmp(variable("segmentType"), segmentType.load);
  op.jne("readHeader.end");
  const { offset, address: physical, file, memory } = layout[elfClass.bits64];
  op.xor(eax, eax);
  for (const field of [offset, physical, file, memory]) op.or(eax, dword(ebp, field + 4));
  op.jne("loadSegment.outside");
  a.label("readHeader.end");
  op.ret();
}

/** loadSegment: copies a segment's bytes and clears the rest of it. */
function loadSegment(a: Assembler): void {
  const { op } = a;
  a.label("loadSegment");
  op.mov(edi, variable("segmentAddress"));
  op.mov(ecx, variable("segmentMemoryBytes"));
  op.test(ecx, ecx);
  op.je("loadSegment.end");
  op.cmp(variable("segmentFileBytes"), ecx);
  op.ja("loadSegment.outside");
  op.cmp(edi, address.highRam);
  op.jb("loadSegment.outside");
  op.add(ecx, edi);
  op.jb("loadSegment.outside");
  op.cmp(ecx, variable("ramTop"));
  op.ja("loadSegment.outside");
  op.cmp(ecx, variable("kernelEnd"));
  op.jbe("loadSegment.copy");
  op.mov(variable("kernelEnd"), ecx);
  a.label("loadSegment.copy");
  op.mov(ecx, variable("segmentFileBytes"));
  op.mov(eax, variable("key"));
  op.mov(edx, variable("segmentOffset"));
  op.call("readPart");
  op.mov(edi, variable("segmentAddress"));
  op.mov(ecx, variable("segmentFileBytes"));
  op.add(edi, ecx);
  op.neg(ecx);
  op.add(ecx, variable("segmentMemoryBytes"));
  op.xor(eax, eax);
  op.mov(edx, ecx);
  op.shr(ecx, 2);
  a.rep.stosd();
  op.mov(ecx, edx);
  op.and(ecx, 3);
  a.rep.stosb();
  a.label("loadSegment.end");
  op.ret();
  a.label("loadSegment.outside");
  fail(a, "a segment of the kernel does not lie in RAM above 1 MiB");
}

/** readNotes: looks for the PVH note in a segment of notes: name size, description size, type, name, description. */
function readNotes(a: Assembler): void {
  const { op } = a;
  a.label("readNotes");
  op.mov(ecx, variable("segmentFileBytes"));
  op.cmp(ecx, notesBytesMax);
  op.jbe("readNotes.read");
  op.mov(ecx, notesBytesMax);
  a.label("readNotes.read");
  op.mov(eax, variable("key"));
  op.mov(edx, variable("segmentOffset"));
  op.mov(edi, notes);
  op.call("readPart");
  op.add(ecx, notes); // the end
  op.mov(esi, notes);
  a.label("readNotes.next");
  op.lea(eax, dword(esi, 20)); // a header, a name of 4 bytes and a description of 4 bytes
  op.cmp(eax, ecx);
  op.ja("readNotes.end");
  op.cmp(dword(esi), 4);
  op.jne("readNotes.other");
  op.cmp(dword(esi, 8), PVH_NOTE);
  op.jne("readNotes.other");
  op.cmp(dword(esi, 12), XEN);
  op.jne("readNotes.other");
  op.mov(eax, dword(esi, 16));
  op.mov(variable("entry"), eax);
  op.ret();
  a.label("readNotes.other");
  op.lea(edx, dword(esi, 12));
  for (const field of [0, 4]) {
    op.mov(eax, dword(esi, field));
    op.cmp(eax, notesBytesMax);
    op.ja("readNotes.end");
    op.add(eax, 3);
    op.and(eax, ~3 >>> 0);
    op.add(edx, eax);
  }
  op.mov(esi, edx);
  op.jmp("readNotes.next");
  a.label("readNotes.end");
  op.ret();
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

export function loadCommandLine(a: Assembler): void {
  const { op } = a;
  op.mov(eax, item.commandLineSize);
  op.mov(ebx, item.commandLineData);
  op.mov(esi, a.string("opt/buslock/cmdline"));
  op.call("locate");
  op.cmp(ecx, commandLineBytesMax - 1);
  op.jbe("loadCommandLine.fits");
  fail(a, `the command line is longer than ${commandLineBytesMax - 1} bytes`);
  a.label("loadCommandLine.fits");
  op.mov(edi, commandLine);
  op.mov(byte(edi), 0);
  op.test(ecx, ecx);
  op.je("loadCommandLine.end");
  op.call("readItem");
  op.add(edi, ecx);
  op.mov(byte(edi), 0);
  a.label("loadCommandLine.end");
}

/** struct hvm_start_info, version 1, and module 0. */
export function writeStartInfo(a: Assembler): void {
  const { op } = a;
  const put = (at: number, value: number | MemoryOperand) => {
    if (typeof value === "number") op.mov(dword(startInfo + at), value);
    else {
      op.mov(eax, value);
      op.mov(dword(startInfo + at), eax);
    }
  };
  op.mov(edi, startInfo);
  op.mov(ecx, (memoryMap - startInfo) / 4);
  op.xor(eax, eax);
  a.rep.stosd();
  put(0, START_MAGIC);
  put(4, START_VERSION);
  put(24, commandLine);
  put(32, variable("rsdp"));
  put(40, memoryMap);
  put(48, variable("mapEntries"));
  op.cmp(variable("initrdBytes"), 0);
  op.je("writeStartInfo.end");
  put(12, 1);
  put(16, moduleList);
  put(moduleList - startInfo, variable("initrd"));
  put(moduleList - startInfo + 8, variable("initrdBytes"));
  a.label("writeStartInfo.end");
}

/** Enters the kernel as PVH has it: paging off, flat segments, a TSS loaded, interrupts off. */
export function enterKernel(a: Assembler, tssSelector: number): void {
  const { op } = a;
  op.mov(eax, tssSelector);
  op.ltr(eax);
  op.xor(eax, eax);
  op.mov(cr4, eax);
  op.mov(eax, cr0);
  op.and(eax, 0x11); // PE and ET, nothing else
  op.mov(cr0, eax);
  op.push(2);
  op.popfd();
  op.mov(ebx, startInfo);
  op.jmp(variable("entry"));
}
