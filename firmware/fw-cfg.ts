// Reading the firmware configuration device by DMA: QEMU's specification "QEMU Firmware Configuration
// (fw_cfg) Device". All its numbers are big endian.

import { port } from "../emulator/board/map.js";
import { type Assembler, ah, al, byte, dword, dx, eax, ebx, ecx, edi, edx, esi, word } from "./assembler.js";
import { fail } from "./console.js";
import { directory, directoryEntriesMax, dmaCommand, variable } from "./layout.js";

export const item = {
  signature: 0x00,
  cores: 0x05,
  kernelSize: 0x08,
  kernelData: 0x11,
  initrdSize: 0x0b,
  initrdData: 0x12,
  commandLineSize: 0x14,
  commandLineData: 0x15,
  files: 0x19,
} as const;

const control = { error: 1, read: 2, skip: 4, select: 8 } as const;
const ENTRY_BYTES = 64;
const QEMU = 0x554d_4551; // "QEMU"

const bigEndian = (value: number) =>
  ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;

export function fwCfgRoutines(a: Assembler): void {
  const { op } = a;

  // transfer: eax control, ecx length, edi address. Changes eax, edx.
  a.label("transfer");
  op.bswap(eax);
  op.mov(dword(dmaCommand), eax);
  op.mov(eax, ecx);
  op.bswap(eax);
  op.mov(dword(dmaCommand + 4), eax);
  op.mov(dword(dmaCommand + 8), 0);
  op.mov(eax, edi);
  op.bswap(eax);
  op.mov(dword(dmaCommand + 12), eax);
  op.mov(dx, port.fwCfgDma);
  op.xor(eax, eax);
  op.out(dx, eax);
  op.mov(dx, port.fwCfgDma + 4);
  op.mov(eax, bigEndian(dmaCommand));
  op.out(dx, eax);
  a.label("transfer.wait");
  op.mov(eax, dword(dmaCommand));
  op.bswap(eax);
  op.test(eax, ~control.error >>> 0);
  op.jne("transfer.wait");
  op.test(eax, eax);
  op.jne("transfer.error");
  op.ret();
  a.label("transfer.error");
  fail(a, "fw_cfg reports an error of a DMA transfer");

  // readItem: eax selector, ecx length, edi address. Changes eax, edx.
  a.label("readItem");
  op.shl(eax, 16);
  op.or(eax, control.select | control.read);
  op.jmp("transfer");

  // readPart: the same, from offset edx on.
  a.label("readPart");
  op.push(ecx);
  op.shl(eax, 16);
  op.or(eax, control.select | control.skip);
  op.mov(ecx, edx);
  op.call("transfer");
  op.pop(ecx);
  op.mov(eax, control.read);
  op.jmp("transfer");

  // findFile: name at esi; gives eax selector, or 0, and ecx size. Changes ebx.
  a.label("findFile");
  op.mov(ecx, variable("fileCount"));
  op.mov(ebx, directory + 4);
  a.label("findFile.next");
  op.sub(ecx, 1);
  op.jb("findFile.none");
  op.push(esi);
  op.push(edi);
  op.lea(edi, dword(ebx, 8));
  a.label("findFile.compare");
  op.lodsb();
  op.cmp(al, byte(edi));
  op.jne("findFile.differs");
  op.inc(edi);
  op.test(al, al);
  op.jne("findFile.compare");
  op.pop(edi);
  op.pop(esi);
  op.movzx(eax, word(ebx, 4));
  op.xchg(al, ah);
  op.mov(ecx, dword(ebx));
  op.bswap(ecx);
  op.ret();
  a.label("findFile.differs");
  op.pop(edi);
  op.pop(esi);
  op.add(ebx, ENTRY_BYTES);
  op.jmp("findFile.next");
  a.label("findFile.none");
  op.xor(eax, eax);
  op.xor(ecx, ecx);
  op.ret();

  // locate: eax selector of a size, ebx selector of its data, esi name of a file with the same contents.
  // Gives eax selector and ecx size, 0 when there is neither. QEMU's own items hold a kernel that its
  // own boot ROM would load; a user may hand over the same by name.
  a.label("locate");
  op.push(ebx);
  op.mov(ecx, 4);
  readVariable(a, "size");
  op.pop(eax);
  op.mov(ecx, variable("size"));
  op.test(ecx, ecx);
  op.je("findFile");
  op.ret();
}

/** readItem into a variable. */
function readVariable({ op }: Assembler, name: Parameters<typeof variable>[0]): void {
  op.mov(edi, variable(name).displacement as number);
  op.call("readItem");
}

/** Checks that the device is there, and reads its directory and the number of cores. */
export function openFwCfg(a: Assembler): void {
  const { op } = a;
  op.mov(dx, port.fwCfgDma);
  op.in(eax, dx);
  op.cmp(eax, QEMU);
  op.je("openFwCfg.there");
  fail(a, "there is no fw_cfg device with DMA");
  a.label("openFwCfg.there");
  op.mov(variable("cores"), 0);
  op.mov(eax, item.cores);
  op.mov(ecx, 2);
  readVariable(a, "cores");
  op.mov(eax, item.files);
  op.mov(ecx, 4);
  op.mov(edi, directory);
  op.call("readItem");
  op.mov(eax, dword(directory));
  op.bswap(eax);
  op.mov(variable("fileCount"), eax);
  op.cmp(eax, directoryEntriesMax);
  op.jbe("openFwCfg.fits");
  fail(a, "fw_cfg has more files than there is room for");
  a.label("openFwCfg.fits");
  op.shl(eax, 6);
  op.lea(ecx, dword(eax, 4));
  op.mov(eax, item.files);
  op.call("readItem");
}
