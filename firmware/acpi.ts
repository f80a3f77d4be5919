// ACPI tables: the board offers them through fw_cfg with a script that says how to place them, QEMU's
// `etc/table-loader`. The firmware runs the script and knows nothing of the tables themselves.
//
//   entry, 128 bytes: command u32, then by command
//   1 allocate      file[56] alignment u32 zone u8
//   2 add pointer   file[56] pointee[56] offset u32 size u8
//   3 add checksum  file[56] offset u32 start u32 length u32
//   other commands are skipped, as the format demands

import { type Assembler, al, byte, dword, eax, ebp, ebx, ecx, edi, edx, esi } from "./assembler.js";
import { fail } from "./console.js";
import {
  placedFiles,
  placedFilesMax,
  rsdpPool,
  rsdpPoolEnd,
  script,
  scriptBytesMax,
  variable,
} from "./layout.js";

const ENTRY_BYTES = 128;
const NAME_BYTES = 56;
const FILE = 4;
const command = { allocate: 1, addPointer: 2, addChecksum: 3 } as const;
const ZONE_LOW = 2;
/** A file that has been placed: name, base, size. */
const placed = { base: NAME_BYTES, size: NAME_BYTES + 4, bytes: NAME_BYTES + 8 } as const;

/** Runs the script; afterwards `acpiStart` bounds what it took, and `rsdp` is the root pointer or 0. */
export function placeTables(a: Assembler): void {
  const { op } = a;
  op.mov(variable("rsdp"), 0);
  op.mov(variable("rsdpPool"), rsdpPool);
  op.mov(variable("placedCount"), 0);
  op.mov(esi, a.string("etc/table-loader"));
  op.call("findFile");
  op.test(eax, eax);
  op.je("placeTables.end");
  op.cmp(ecx, scriptBytesMax);
  op.jbe("placeTables.read");
  fail(a, "etc/table-loader is too long");
  a.label("placeTables.read");
  op.mov(edi, script);
  op.call("readItem");
  op.shr(ecx, Math.log2(ENTRY_BYTES));
  op.mov(variable("scriptLeft"), ecx);
  op.mov(ebp, script);
  a.label("placeTables.next");
  op.sub(variable("scriptLeft"), 1);
  op.jb("placeTables.root");
  op.mov(eax, dword(ebp));
  for (const [code, routine] of [
    [command.allocate, "placeFile"],
    [command.addPointer, "addPointer"],
    [command.addChecksum, "addChecksum"],
  ] as const) {
    op.cmp(eax, code);
    op.je(`placeTables.${routine}`);
  }
  a.label("placeTables.continue");
  op.add(ebp, ENTRY_BYTES);
  op.jmp("placeTables.next");
  for (const routine of ["placeFile", "addPointer", "addChecksum"]) {
    a.label(`placeTables.${routine}`);
    op.call(routine);
    op.jmp("placeTables.continue");
  }
  a.label("placeTables.root");
  op.mov(esi, a.string("etc/acpi/rsdp"));
  op.call("findPlaced");
  op.mov(variable("rsdp"), eax);
  a.label("placeTables.end");
  op.mov(eax, variable("ramTop"));
  op.and(eax, ~0xfff >>> 0);
  op.mov(variable("ramTop"), eax);
  op.mov(variable("acpiStart"), eax);
}

export function acpiRoutines(a: Assembler): void {
  placeFile(a);
  findPlaced(a);
  addPointer(a);
  addChecksum(a);
}

/** placeFile: allocates memory for a file and reads it there. */
function placeFile(a: Assembler): void {
  const { op } = a;
  a.label("placeFile");
  op.lea(esi, dword(ebp, FILE));
  op.call("findFile");
  op.test(eax, eax);
  op.je("script.error");
  op.mov(variable("key"), eax);
  op.mov(edx, dword(ebp, FILE + NAME_BYTES));
  op.lea(eax, dword(edx, -1));
  op.test(eax, edx); // the alignment must be a power of two
  op.jne("script.error");
  op.test(edx, edx);
  op.je("script.error");
  op.cmp(byte(ebp, FILE + NAME_BYTES + 4), ZONE_LOW);
  op.je("placeFile.low");
  op.call("allocate");
  op.jmp("placeFile.record");
  a.label("placeFile.low");
  op.add(eax, variable("rsdpPool"));
  op.neg(edx);
  op.and(eax, edx);
  op.lea(edx, dword(eax));
  op.add(edx, ecx);
  op.cmp(edx, rsdpPoolEnd);
  op.ja("script.error");
  op.mov(variable("rsdpPool"), edx);
  a.label("placeFile.record");
  op.mov(edi, variable("placedCount"));
  op.cmp(edi, placedFilesMax);
  op.jae("script.error");
  op.inc(variable("placedCount"));
  op.imul(edi, edi, placed.bytes);
  op.add(edi, placedFiles);
  op.mov(dword(edi, placed.base), eax);
  op.mov(dword(edi, placed.size), ecx);
  op.push(ecx);
  op.mov(ecx, NAME_BYTES);
  a.rep.movsb();
  op.pop(ecx);
  op.mov(edi, eax);
  op.mov(eax, variable("key"));
  op.jmp("readItem");
  a.label("script.error");
  fail(a, "etc/table-loader asks for what is not there or does not fit");
}

/** findPlaced: name at esi; gives eax base and ecx size. Changes ebx, edi, esi. */
function findPlaced(a: Assembler): void {
  const { op } = a;
  a.label("findPlaced");
  op.mov(ecx, variable("placedCount"));
  op.mov(ebx, placedFiles);
  a.label("findPlaced.next");
  op.sub(ecx, 1);
  op.jb("script.error");
  op.push(esi);
  op.mov(edi, ebx);
  a.label("findPlaced.compare");
  op.lodsb();
  op.cmp(al, byte(edi));
  op.jne("findPlaced.differs");
  op.inc(edi);
  op.test(al, al);
  op.jne("findPlaced.compare");
  op.pop(esi);
  op.mov(eax, dword(ebx, placed.base));
  op.mov(ecx, dword(ebx, placed.size));
  op.ret();
  a.label("findPlaced.differs");
  op.pop(esi);
  op.add(ebx, placed.bytes);
  op.jmp("findPlaced.next");
}

/** addPointer: adds the pointee's base to a field of 4 or 8 bytes. */
function addPointer(a: Assembler): void {
  const { op } = a;
  a.label("addPointer");
  op.lea(esi, dword(ebp, FILE + NAME_BYTES));
  op.call("findPlaced");
  op.push(eax);
  op.lea(esi, dword(ebp, FILE));
  op.call("findPlaced");
  op.movzx(edi, byte(ebp, FILE + 2 * NAME_BYTES + 4));
  op.mov(edx, dword(ebp, FILE + 2 * NAME_BYTES));
  op.add(eax, edx);
  op.add(edx, edi);
  op.jb("script.error");
  op.cmp(edx, ecx);
  op.ja("script.error");
  op.pop(edx);
  op.cmp(edi, 4);
  op.je("addPointer.four");
  op.cmp(edi, 8);
  op.jne("script.error");
  op.add(dword(eax), edx);
  op.adc(dword(eax, 4), 0);
  op.ret();
  a.label("addPointer.four");
  op.add(dword(eax), edx);
  op.ret();
}

/** addChecksum: makes the bytes of a range add up to zero. */
function addChecksum(a: Assembler): void {
  const { op } = a;
  const offset = FILE + NAME_BYTES;
  a.label("addChecksum");
  op.lea(esi, dword(ebp, FILE));
  op.call("findPlaced");
  op.cmp(dword(ebp, offset), ecx);
  op.jae("script.error");
  op.mov(edx, dword(ebp, offset + 4));
  op.lea(esi, dword(eax));
  op.add(esi, edx);
  op.add(edx, dword(ebp, offset + 8));
  op.jb("script.error");
  op.cmp(edx, ecx);
  op.ja("script.error");
  op.mov(edi, eax);
  op.add(edi, dword(ebp, offset));
  op.mov(ecx, dword(ebp, offset + 8));
  op.xor(edx, edx);
  a.label("addChecksum.next");
  op.sub(ecx, 1);
  op.jb("addChecksum.end");
  op.lodsb();
  op.sub(edx, eax);
  op.jmp("addChecksum.next");
  a.label("addChecksum.end");
  op.mov(eax, edx);
  op.add(byte(edi), al);
  op.ret();
}
