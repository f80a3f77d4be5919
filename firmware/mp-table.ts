// For software that knows no ACPI: the board's MultiProcessor configuration table (fw_cfg file etc/mp-table), and the floating
// pointer to it in the extended BIOS data area, where it is searched for first. Intel MultiProcessor Specification 1.4, 4.1. On
// a board that offers no table there is no pointer.

import { type Assembler, dword, eax, ecx, edi, esi } from "./assembler.js";
import { fail } from "./console.js";
import { mpPointer, mpTable, mpTableBytesMax } from "./layout.js";

const POINTER_BYTES = 16;
const REVISION = 4; // 1.4

export function placeMpTable(a: Assembler): void {
  const { op } = a;
  op.mov(dword(mpPointer), 0);
  op.mov(esi, a.string("etc/mp-table"));
  op.call("findFile");
  op.test(eax, eax);
  op.je("placeMpTable.end");
  op.cmp(ecx, mpTableBytesMax);
  op.jbe("placeMpTable.read");
  fail(a, "etc/mp-table is too long");
  a.label("placeMpTable.read");
  op.mov(edi, mpTable);
  op.call("readItem");
  const view = new DataView(pointer().buffer);
  for (let at = 0; at < POINTER_BYTES; at += 4) op.mov(dword(mpPointer + at), view.getUint32(at, true));
  a.label("placeMpTable.end");
}

/** There is a table, and no IMCR: virtual wire mode. */
function pointer(): Uint8Array {
  const bytes = new Uint8Array(POINTER_BYTES);
  bytes.set(Buffer.from("_MP_"));
  new DataView(bytes.buffer).setUint32(4, mpTable, true);
  bytes[8] = POINTER_BYTES / 16;
  bytes[9] = REVISION;
  bytes[10] = -bytes.reduce((sum, byte) => sum + byte, 0);
  return bytes;
}
