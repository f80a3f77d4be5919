// ELF images of 32 and 64 bits (Tool Interface Standard, "Executable and Linking Format"; System V ABI): program
// headers, loadable segments, and the note that names a PVH entry.
// Invariant: nothing is copied to where the firmware's own area, the tables at the top of RAM or the ROM is.

import { address } from "../emulator/board/map.js";
import {
  type Assembler,
  byte,
  dword,
  eax,
  ebp,
  ecx,
  edi,
  edx,
  esi,
  type MemoryOperand,
  word,
} from "./assembler.js";
import { fail } from "./console.js";
import { area, biosDataEnd, imageHead, imageHeadBytes, notes, notesBytesMax, variable } from "./layout.js";

const ELF_MAGIC = 0x464c_457f;
const elfClass = { bits32: 1, bits64: 2 } as const;
const segmentType = { load: 1, note: 4 } as const;
const PVH_NOTE = 18; // XEN_ELFNOTE_PHYS32_ENTRY, of the name "Xen"
const XEN = 0x006e_6558;
/** In both classes. */
const [DATA, MACHINE, ENTRY] = [5, 18, 24];
const LITTLE_ENDIAN = 1;
const machine = { i386: 3, x86_64: 62 } as const;

/** Where each class of ELF keeps what we need: file header, then program header. */
const layout = {
  [elfClass.bits32]: {
    headers: 28,
    entryBytes: 42,
    count: 44,
    type: 0,
    offset: 4,
    virtual: 8,
    address: 12,
    file: 16,
    memory: 20,
    bytes: 32,
  },
  [elfClass.bits64]: {
    headers: 32,
    entryBytes: 54,
    count: 56,
    type: 0,
    offset: 8,
    virtual: 16,
    address: 24,
    file: 32,
    memory: 40,
    bytes: 56,
  },
} as const;

/** Jumps to `other` unless the image is ELF; finds its class. */
export function checkElf(a: Assembler, other: string): void {
  const { op } = a;
  op.cmp(dword(imageHead), ELF_MAGIC);
  op.jne(other);
  op.movzx(eax, byte(imageHead + 4));
  op.mov(variable("elfClass"), eax);
  op.dec(eax);
  op.cmp(eax, 1);
  op.ja(other);
  op.cmp(byte(imageHead + DATA), LITTLE_ENDIAN);
  op.jne(`${other}.foreign`);
  op.movzx(eax, word(imageHead + MACHINE));
  for (const known of Object.values(machine)) {
    op.cmp(eax, known);
    op.je(`${other}.native`);
  }
  a.label(`${other}.foreign`);
  fail(a, "the kernel's ELF file is for another processor");
  a.label(`${other}.native`);
}

/** Looks for the PVH note: `entry`, or 0. */
export function findPvhEntry(a: Assembler): void {
  a.op.mov(variable("entry"), 0);
  eachHeader(a, "findPvhEntry", segmentType.note, "readNotes");
}

export function loadElf(a: Assembler): void {
  eachHeader(a, "loadElf", segmentType.load, "loadSegment");
}

/**
 * `entry` from the file header. It may be a virtual address, as the linker wrote it: then it is what the segment that holds
 * it is loaded to.
 */
export function takeElfEntry(a: Assembler): void {
  const { op } = a;
  op.mov(eax, dword(imageHead + ENTRY));
  op.mov(variable("entry"), eax);
  op.xor(eax, eax);
  op.cmp(variable("elfClass"), elfClass.bits64);
  op.jne("takeElfEntry.high");
  op.mov(eax, dword(imageHead + ENTRY + 4));
  a.label("takeElfEntry.high");
  op.mov(variable("entryHigh"), eax);
  eachHeader(a, "takeElfEntry.each", segmentType.load, "translateEntry");
  op.cmp(variable("entryHigh"), 0);
  op.je("takeElfEntry.end");
  fail(a, "the kernel's ELF entry lies above 4 GiB, where no 32-bit entry can be");
  a.label("takeElfEntry.end");
}

/** translateEntry: the physical address of an entry that lies in the segment; then no further one is looked at. */
function translateEntry(a: Assembler): void {
  const { op } = a;
  a.label("translateEntry");
  op.mov(eax, variable("segmentVirtualHigh"));
  op.cmp(eax, variable("entryHigh"));
  op.jne("translateEntry.end");
  op.mov(eax, variable("entry"));
  op.sub(eax, variable("segmentVirtual"));
  op.jb("translateEntry.end");
  op.cmp(eax, variable("segmentMemoryBytes"));
  op.jae("translateEntry.end");
  op.add(eax, variable("segmentAddress"));
  op.mov(variable("entry"), eax);
  op.mov(variable("entryHigh"), 0);
  op.mov(variable("headersLeft"), 0);
  a.label("translateEntry.end");
  op.ret();
}

/** Calls `routine` for each program header of a type. */
function eachHeader(a: Assembler, name: string, type: number, routine: string): void {
  const { op } = a;
  for (const bits of [elfClass.bits32, elfClass.bits64]) {
    const at = layout[bits];
    op.cmp(variable("elfClass"), bits);
    op.jne(`${name}.not${bits}`);
    op.mov(ebp, dword(imageHead + at.headers));
    op.movzx(eax, word(imageHead + at.entryBytes));
    op.movzx(ecx, word(imageHead + at.count));
    op.cmp(eax, at.bytes);
    op.jb(`${name}.far`);
    a.label(`${name}.not${bits}`);
  }
  // The headers must lie in the part of the file that was read.
  op.mov(variable("headersLeft"), ecx);
  op.mov(variable("headerBytes"), eax);
  op.imul(eax, ecx);
  op.cmp(ebp, imageHeadBytes);
  op.ja(`${name}.far`);
  op.add(eax, ebp);
  op.cmp(eax, imageHeadBytes);
  op.jbe(`${name}.start`);
  a.label(`${name}.far`);
  fail(a, "the kernel's program headers do not stand at the beginning of its file, or are too short");
  a.label(`${name}.start`);
  op.add(ebp, imageHead);
  a.label(`${name}.next`);
  op.sub(variable("headersLeft"), 1);
  op.jb(`${name}.end`);
  op.call("readHeader");
  op.cmp(variable("segmentType"), type);
  op.jne(`${name}.continue`);
  op.call(routine);
  a.label(`${name}.continue`);
  op.add(ebp, variable("headerBytes"));
  op.jmp(`${name}.next`);
  a.label(`${name}.end`);
}

export function elfRoutines(a: Assembler): void {
  readHeader(a);
  translateEntry(a);
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
    copy(variable("segmentVirtual"), at.virtual);
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
  op.mov(variable("segmentVirtualHigh"), 0);
  op.ret();
  a.label("readHeader.long");
  fields(elfClass.bits64, copy);
  copy(variable("segmentVirtualHigh"), layout[elfClass.bits64].virtual + 4);
  op.cmp(variable("segmentType"), segmentType.load);
  op.jne("readHeader.end");
  const { offset, address: physical, file, memory } = layout[elfClass.bits64];
  op.xor(eax, eax);
  for (const field of [offset, physical, file, memory]) op.or(eax, dword(ebp, field + 4));
  op.jne("loadSegment.outside");
  a.label("readHeader.end");
  op.ret();
}

/** loadSegment: copies a part of the kernel, told by the segment variables, and clears the rest of it. */
function loadSegment(a: Assembler): void {
  const { op } = a;
  a.label("loadSegment");
  op.mov(edi, variable("segmentAddress"));
  op.mov(ecx, variable("segmentMemoryBytes"));
  op.test(ecx, ecx);
  op.je("loadSegment.end");
  op.cmp(variable("segmentFileBytes"), ecx);
  op.ja("loadSegment.outside");
  op.mov(eax, variable("segmentOffset"));
  op.add(eax, variable("segmentFileBytes"));
  op.jb("loadSegment.cut");
  op.cmp(eax, variable("kernelBytes"));
  op.ja("loadSegment.cut");
  op.mov(eax, variable("entry"));
  op.sub(eax, edi);
  op.cmp(eax, ecx);
  op.jae("loadSegment.noEntry");
  op.mov(variable("entryLoaded"), 1);
  a.label("loadSegment.noEntry");
  op.add(ecx, edi);
  op.jb("loadSegment.outside");
  op.cmp(edi, biosDataEnd);
  op.jb("loadSegment.outside");
  op.cmp(ecx, area);
  op.jbe("loadSegment.copy");
  op.cmp(edi, address.highRam);
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
  a.label("loadSegment.cut");
  fail(a, "the kernel's file ends before a part that is to be loaded");
  a.label("loadSegment.outside");
  fail(a, "a part of the kernel does not lie in RAM that is free");
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
