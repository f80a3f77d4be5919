// A disk that a PC BIOS boots: its boot sector works by the BIOS's own services and prints what it finds.

import { Assembler, ah, al, ax, bx, cx, dh, ds, eax, es, esi, esp, ss } from "../../firmware/assembler.js";

/** Prints the text at esi by INT 10H and stops. */
export function print(a: Assembler): void {
  const { op } = a;
  a.label("next");
  op.lodsb();
  op.test(al, al);
  op.je("stop");
  op.mov(ah, 0x0e);
  op.mov(bx, 7);
  op.int(0x10);
  op.jmp("next");
  a.label("stop");
  op.hlt();
  op.jmp("stop");
}

/** The boot sector copies sector 2 to sector 3 by INT 13H, reads that one back and prints what stands there. */
export function bootDisk(text: string): Uint8Array {
  const a = new Assembler(0x7c00);
  a.bits(16);
  const { op } = a;
  op.xor(eax, eax);
  for (const segment of [ds, es, ss]) op.mov(segment, eax);
  op.mov(esp, 0x7c00);
  const transfer = (command: number, sector: number, at: number) => {
    op.mov(ax, command | 1); // one sector
    op.mov(bx, at);
    op.mov(cx, sector); // of cylinder 0, from 1
    op.mov(dh, 0); // of the drive in DL
    op.int(0x13);
    op.jb("stop");
  };
  transfer(READ, 2, 0x7e00);
  transfer(WRITE, 3, 0x7e00);
  transfer(READ, 3, 0x8000);
  op.mov(esi, 0x8000);
  print(a);
  a.org(0x7dfe);
  a.bytes(0x55, 0xaa);
  a.bytes(...Buffer.from(`${text}\0`));
  const disk = new Uint8Array(1 << 20);
  disk.set(a.assemble().bytes);
  return disk;
}

const READ = 0x0200;
const WRITE = 0x0300;
