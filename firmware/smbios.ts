// SMBIOS: the board describes itself in structures, which it offers in the fw_cfg file etc/smbios/smbios-tables (QEMU's name).
// The firmware puts them into its area, and its ROM holds the entry point that is searched for from F_0000: DMTF DSP0134,
// 3.0, 5.2.2 "SMBIOS 3.0 (64-bit) Entry Point". That one names a place and the most bytes that may be there, so it can stand
// in a ROM.

import { type Assembler, dword, eax, ecx, edi, esi, word } from "./assembler.js";
import { fail } from "./console.js";
import { smbios, smbiosBytesMax } from "./layout.js";

const ENTRY_BYTES = 24;
const ENTRY_REVISION = 1;
/** Type 127, 4 bytes long, number 0; no strings. */
const END_OF_TABLE = 0x047f;

export function placeSmbios(a: Assembler): void {
  const { op } = a;
  op.mov(dword(smbios), END_OF_TABLE);
  op.mov(word(smbios + 4), 0);
  op.mov(esi, a.string("etc/smbios/smbios-tables"));
  op.call("findFile");
  op.test(eax, eax);
  op.je("placeSmbios.end");
  op.cmp(ecx, smbiosBytesMax);
  op.jbe("placeSmbios.read");
  fail(a, "etc/smbios/smbios-tables is too long");
  a.label("placeSmbios.read");
  op.mov(edi, smbios);
  op.call("readItem");
  a.label("placeSmbios.end");
}

export function smbiosEntry(a: Assembler): void {
  const bytes = new Uint8Array(ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from("_SM3_"));
  bytes[6] = ENTRY_BYTES;
  bytes[7] = 3; // version 3.0
  bytes[10] = ENTRY_REVISION;
  view.setUint32(12, smbiosBytesMax, true);
  view.setUint32(16, smbios, true);
  bytes[5] = -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
  a.align(16);
  a.bytes(...bytes);
}
