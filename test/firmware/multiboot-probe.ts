// A multiboot kernel that only looks around: it prints what it was handed and leaves by the exit port with 0x15. Built
// with the firmware's assembler in each form in which an image may come.

import {
  Address,
  Assembler,
  al,
  byte,
  cr0,
  dword,
  eax,
  ebp,
  ebx,
  ecx,
  edi,
  esi,
  esp,
} from "../../firmware/assembler.js";
import { printing } from "./printing.js";

export const probeExit = 0x15;
export type Form = "elf32" | "elf64" | "address fields" | "flat";
const MAGIC = 0x1bad_b002;
const BSS_BYTES = 0x1234;
const STACK_ABOVE_END = 0x4000;
const HEADER_BYTES = 32;

/** Room for the header, then the code. */
function code(base: number): { bytes: Uint8Array; entry: number; end: number } {
  const a = new Assembler(base);
  const { op } = a;
  a.bits(32);
  a.bytes(...new Uint8Array(HEADER_BYTES));
  a.label("entry");
  op.mov(esp, new Address("end", STACK_ABOVE_END));
  op.mov(ebp, eax);
  const say = (text: string) => {
    op.mov(esi, a.string(text));
    op.call("print");
  };
  const hex = (value: Parameters<typeof op.mov>[1]) => {
    op.mov(eax, value);
    op.call("printHex");
  };
  say("\r\nmagic ");
  hex(ebp);
  say("\r\ncr0 ");
  hex(cr0);
  for (const [name, segment] of [
    ["cs", 0xc8],
    ["ds", 0xd8],
    ["es", 0xc0],
    ["ss", 0xd0],
  ] as const) {
    say(`\r\n${name} `);
    a.bytes(0x8c, segment); // mov eax, cs
    op.call("printHex");
  }
  for (const [name, at] of [
    ["flags", 0],
    ["lower", 4],
    ["upper", 8],
  ] as const) {
    say(`\r\n${name} `);
    hex(dword(ebx, at));
  }
  say("\r\nline ");
  op.mov(esi, dword(ebx, 16));
  op.call("print");
  say("\r\nloader ");
  op.mov(esi, dword(ebx, 64));
  op.call("print");
  modules(a, say, hex);
  memoryMap(a, say, hex);
  say("\r\ncleared ");
  op.mov(edi, "end");
  op.mov(ecx, BSS_BYTES);
  op.xor(eax, eax);
  a.label("cleared.next");
  op.or(al, byte(edi));
  op.inc(edi);
  op.loop("cleared.next");
  op.call("printHex");
  say("\r\ndone\r\n");
  op.mov(eax, probeExit);
  op.out(0xf4, eax); // four bytes wide, as some kernels do it
  a.label("halt");
  op.hlt();
  op.jmp("halt");
  printing(a);
  a.strings();
  a.align(4);
  a.label("end");
  const { bytes, labels } = a.assemble();
  return { bytes, entry: labels.get("entry")!, end: labels.get("end")! };
}

type Say = (text: string) => void;
type Hex = (value: ReturnType<typeof dword>) => void;

function modules(a: Assembler, say: Say, hex: Hex): void {
  const { op } = a;
  op.mov(edi, dword(ebx, 24));
  op.mov(ecx, dword(ebx, 20));
  a.label("module.next");
  op.sub(ecx, 1);
  op.jb("module.end");
  say("\r\nmodule ");
  hex(dword(edi));
  say(" ");
  hex(dword(edi, 4));
  say(" ");
  op.mov(esi, dword(edi));
  op.call("print");
  say("|");
  op.mov(esi, dword(edi, 8));
  op.call("print");
  op.add(edi, 16);
  op.jmp("module.next");
  a.label("module.end");
}

function memoryMap(a: Assembler, say: Say, hex: Hex): void {
  const { op } = a;
  op.mov(edi, dword(ebx, 48));
  op.mov(ecx, dword(ebx, 44));
  op.add(ecx, edi);
  a.label("range.next");
  say("\r\nrange ");
  for (const at of [8, 4, 16, 12, 20]) {
    hex(dword(edi, at));
    if (at === 4 || at === 12) say(" ");
  }
  op.add(edi, dword(edi));
  op.add(edi, 4);
  op.cmp(edi, ecx);
  op.jb("range.next");
}

/** The image; `base` is where it belongs, `flags` what its header asks for. */
export function multibootProbe(form: Form, { base = 0x10_0000, flags = 3 } = {}): Uint8Array {
  const { bytes, entry, end } = code(base);
  if (form === "flat") return startingAt(bytes, base, entry);
  const fields = form === "address fields";
  const asked = (flags | (fields ? 1 << 16 : 0)) >>> 0;
  const header = [MAGIC, asked, -(MAGIC + asked)];
  if (fields) header.push(base, base, 0, end + BSS_BYTES, entry);
  const image = bytes.slice();
  image.set(header.flatMap(u32));
  if (!fields) return elf(image, form === "elf64", base, entry);
  // Something in front that is not loaded.
  const file = new Uint8Array(0x404 + image.length);
  file.fill(0xcc, 0, 0x404);
  file.set(image, 0x404);
  return file;
}

/** A flat binary is entered at its first byte. */
function startingAt(bytes: Uint8Array, base: number, entry: number): Uint8Array {
  const image = new Uint8Array(bytes.length + BSS_BYTES); // its cleared memory lies in the file
  image.set(bytes);
  image.set([0xe9, ...u32(entry - (base + 5))]);
  return image;
}

function elf(image: Uint8Array, long: boolean, base: number, entry: number): Uint8Array {
  const at = 0x1000;
  const file = new Uint8Array(at + image.length);
  file.set(image, at);
  file.set([0x7f, 0x45, 0x4c, 0x46, long ? 2 : 1, 1, 1]);
  const view = new DataView(file.buffer);
  view.setUint16(16, 2, true);
  view.setUint16(18, long ? 62 : 3, true);
  view.setUint32(20, 1, true);
  view.setUint32(24, entry, true);
  const [start, headerBytes] = long ? [64, 56] : [52, 32];
  view.setUint32(long ? 32 : 28, start, true);
  view.setUint16(long ? 52 : 40, start, true);
  view.setUint16(long ? 54 : 42, headerBytes, true);
  view.setUint16(long ? 56 : 44, 1, true);
  view.setUint32(start, 1, true);
  const values = [at, base, base, image.length, image.length + BSS_BYTES];
  for (const [index, field] of (long ? [8, 16, 24, 32, 40] : [4, 8, 12, 16, 20]).entries())
    view.setUint32(start + field, values[index]!, true);
  return file;
}

const u32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
