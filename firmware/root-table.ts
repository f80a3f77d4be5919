// ACPI's root pointer where software looks that was handed none: on 16 bytes in the ROM's view below 1 MiB (ACPI 6.4,
// 5.2.5.1). A ROM cannot learn where the tables were placed; so the pointer names a fixed place in the firmware's own
// area, and the tables of all tables are copied there: the board's XSDT, or one made from an RSDT, and its RSDT.

import { type Assembler, al, byte, dword, eax, ebx, ecx, edi, esi } from "./assembler.js";
import { oldRootTable, oldRootTableBytesMax, rootTable, rootTableBytesMax, variable } from "./layout.js";

const HEADER_BYTES = 36;
const POINTER_BYTES = 36;
/** Fields of the root pointer, and of a table's header. */
const pointer = { checksum: 8, revision: 15, rsdt: 16, length: 20, xsdt: 24, extendedChecksum: 32 } as const;
const header = { length: 4, checksum: 9 } as const;
const REVISION = 2;
const ENTRIES_MAX = (rootTableBytesMax - HEADER_BYTES) / 8;

/** The pointer, as data of the ROM. */
export function rootPointer(a: Assembler): void {
  const bytes = new Uint8Array(POINTER_BYTES);
  bytes.set(Buffer.from("RSD PTR \0BUSLCK", "latin1"));
  bytes[pointer.revision] = REVISION;
  const view = new DataView(bytes.buffer);
  view.setUint32(pointer.length, POINTER_BYTES, true);
  view.setUint32(pointer.rsdt, oldRootTable, true);
  view.setUint32(pointer.xsdt, rootTable, true);
  bytes[pointer.checksum] = -sum(bytes.subarray(0, pointer.length));
  bytes[pointer.extendedChecksum] = -sum(bytes);
  a.align(16);
  a.bytes(...bytes);
}

const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => total + byte, 0);

/** Fills `rootTable` and `oldRootTable` from the tables that `rsdp` leads to; leaves without a signature what there is not. */
export function placeRootTable(a: Assembler): void {
  const { op } = a;
  op.mov(dword(rootTable), 0);
  op.mov(dword(oldRootTable), 0);
  op.mov(esi, variable("rsdp"));
  op.test(esi, esi);
  op.je("rootTable.end");
  op.mov(esi, dword(esi, pointer.rsdt));
  op.test(esi, esi);
  op.je("rootTable.new");
  op.mov(ecx, dword(esi, header.length));
  op.cmp(ecx, oldRootTableBytesMax);
  op.ja("rootTable.new");
  op.mov(edi, oldRootTable);
  a.rep.movsb();
  a.label("rootTable.new");
  op.mov(esi, variable("rsdp"));
  op.cmp(byte(esi, pointer.revision), REVISION);
  op.jb("rootTable.old");
  op.mov(esi, dword(esi, pointer.xsdt));
  op.mov(ecx, dword(esi, header.length));
  op.cmp(ecx, rootTableBytesMax);
  op.ja("rootTable.end");
  op.mov(edi, rootTable);
  a.rep.movsb();
  op.jmp("rootTable.end");
  a.label("rootTable.old");
  widen(a);
  a.label("rootTable.end");
}

/** An RSDT's entries have 4 bytes, an XSDT's 8. */
function widen(a: Assembler): void {
  const { op } = a;
  op.mov(esi, dword(esi, pointer.rsdt));
  op.mov(ebx, dword(esi, header.length));
  op.sub(ebx, HEADER_BYTES);
  op.shr(ebx, 2);
  op.cmp(ebx, ENTRIES_MAX);
  op.ja("rootTable.end");
  op.mov(edi, rootTable);
  op.mov(ecx, HEADER_BYTES / 4);
  a.rep.movsd();
  a.label("rootTable.entry");
  op.sub(ebx, 1);
  op.jb("rootTable.sum");
  op.movsd();
  op.mov(eax, 0);
  op.stosd();
  op.jmp("rootTable.entry");
  a.label("rootTable.sum");
  op.mov(ecx, edi);
  op.sub(ecx, rootTable);
  op.mov(byte(rootTable), "X".charCodeAt(0));
  op.mov(dword(rootTable + header.length), ecx);
  op.mov(byte(rootTable + header.checksum), 0);
  op.mov(esi, rootTable);
  op.mov(ebx, 0);
  a.label("rootTable.add");
  op.mov(eax, 0);
  op.lodsb();
  op.sub(ebx, eax);
  op.sub(ecx, 1);
  op.jne("rootTable.add");
  op.mov(eax, ebx);
  op.mov(byte(rootTable + header.checksum), al);
}
