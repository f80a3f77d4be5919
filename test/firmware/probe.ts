// A PVH kernel that only looks around: it prints what the firmware handed over and switches the machine off.
// Built with the firmware's assembler as ELF64 or ELF32, in two loadable segments and one of notes.

import {
  Assembler,
  al,
  ax,
  byte,
  dl,
  dword,
  dx,
  eax,
  ebp,
  ebx,
  ecx,
  edi,
  edx,
  esi,
} from "../../firmware/assembler.js";
import { printing } from "./printing.js";

export const probeBase = 0x10_0000;
const bssBytes = 0x2345;

/** The probe's machine code; entered at its start. */
function code(): Uint8Array {
  const a = new Assembler(probeBase);
  const { op } = a;
  a.bits(32);
  const say = (text: string) => {
    op.mov(esi, a.string(text));
    op.call("print");
  };
  const sayDword = (at: number) => {
    op.mov(eax, dword(ebx, at));
    op.call("printHex");
  };
  say("\r\nmagic ");
  sayDword(0);
  say(" version ");
  sayDword(4);
  say(" modules ");
  sayDword(12);
  say("\r\ncommand line ");
  op.mov(esi, dword(ebx, 24));
  op.call("print");
  modules(a, say);
  clearedMemory(a, say);
  memoryMap(a, say);
  tables(a, say);
  functions(a, say);
  say("\r\ndone\r\n");
  op.mov(dx, 0x604);
  op.mov(eax, 0x2000);
  op.out(dx, ax);
  a.label("halt");
  op.hlt();
  op.jmp("halt");
  routines(a);
  a.strings();
  return a.assemble().bytes;
}

type Say = (text: string) => void;

function modules(a: Assembler, say: Say): void {
  const { op } = a;
  op.cmp(dword(ebx, 12), 0);
  op.je("modules.end");
  say("\r\nmodule ");
  op.mov(edi, dword(ebx, 16));
  op.mov(eax, dword(edi));
  op.call("printHex");
  say(" ");
  op.mov(eax, dword(edi, 8));
  op.call("printHex");
  say(" ");
  op.mov(esi, dword(edi));
  op.call("print");
  a.label("modules.end");
}

/** The bytes of the second segment that the file does not hold must be zero. */
function clearedMemory(a: Assembler, say: Say): void {
  const { op } = a;
  say("\r\ncleared ");
  op.mov(edi, probeBase + 0x2000 + 4);
  op.mov(ecx, bssBytes - 4);
  op.xor(eax, eax);
  a.label("cleared.next");
  op.or(al, byte(edi));
  op.inc(edi);
  op.loop("cleared.next");
  op.call("printHex");
  say(" data ");
  op.mov(eax, dword(probeBase + 0x2000));
  op.call("printHex");
}

function memoryMap(a: Assembler, say: Say): void {
  const { op } = a;
  op.mov(edi, dword(ebx, 40));
  op.mov(ebp, dword(ebx, 48));
  a.label("map.next");
  say("\r\nrange");
  for (const at of [4, 0, 12, 8, 16]) {
    say(at === 0 || at === 8 ? "" : " ");
    op.mov(eax, dword(edi, at));
    op.call("printHex");
  }
  op.add(edi, 24);
  op.dec(ebp);
  op.jne("map.next");
}

/** Signature and sum of bytes of every table: zero when its checksum is right. */
function tables(a: Assembler, say: Say): void {
  const { op } = a;
  say("\r\nrsdp ");
  op.mov(edi, dword(ebx, 32));
  op.mov(eax, edi);
  op.call("printHex");
  op.test(edi, edi);
  op.je("tables.end");
  say(" sum ");
  op.mov(ecx, 20); // the part that ACPI 1.0 knew
  op.call("sum");
  op.mov(ecx, 4); // bytes of a pointer
  op.mov(ebp, dword(edi, 16)); // RSDT
  op.cmp(byte(edi, 15), 2);
  op.jb("tables.root");
  op.mov(al, 32);
  op.call("printCharacter");
  op.mov(ecx, 36);
  op.call("sum");
  op.mov(ecx, 8);
  op.mov(ebp, dword(edi, 24)); // XSDT
  a.label("tables.root");
  op.mov(edi, ebp);
  op.push(ecx);
  op.call("table");
  op.pop(edi);
  op.mov(ecx, dword(ebp, 4));
  op.add(ecx, ebp);
  op.add(ebp, 36);
  a.label("tables.next");
  op.cmp(ebp, ecx);
  op.jae("tables.end");
  op.push(ecx);
  op.push(edi);
  op.mov(edi, dword(ebp));
  op.call("table");
  op.cmp(dword(edi), 0x5043_4146); // FACP: its DSDT too
  op.jne("tables.other");
  op.mov(edi, dword(edi, 40));
  op.call("table");
  a.label("tables.other");
  op.pop(edi);
  op.pop(ecx);
  op.add(ebp, edi);
  op.jmp("tables.next");
  a.label("tables.end");
}

/** Bus 0: identity, command and first two BARs of each device's function 0. */
function functions(a: Assembler, say: Say): void {
  const { op } = a;
  op.mov(ebp, 0x8000_0000);
  a.label("functions.next");
  const read = (register: number) => {
    op.lea(eax, dword(ebp, register));
    op.mov(dx, 0xcf8);
    op.out(dx, eax);
    op.mov(dx, 0xcfc);
    op.in(eax, dx);
  };
  read(0);
  op.cmp(eax, 0xffff_ffff);
  op.je("functions.absent");
  op.mov(edi, eax);
  say("\r\nfunction ");
  op.mov(eax, ebp);
  op.call("printHex");
  say(" ");
  op.mov(eax, edi);
  op.call("printHex");
  for (const register of [4, 0x10, 0x14]) {
    say(" ");
    read(register);
    op.call("printHex");
  }
  a.label("functions.absent");
  op.add(ebp, 0x800);
  op.cmp(ebp, 0x8001_0000);
  op.jb("functions.next");
}

function routines(a: Assembler): void {
  const { op } = a;
  // table: signature and sum of the table at edi
  a.label("table");
  op.mov(esi, a.string("\r\ntable "));
  op.call("print");
  for (let at = 0; at < 4; at++) {
    op.mov(al, byte(edi, at));
    op.call("printCharacter");
  }
  op.mov(al, 32);
  op.call("printCharacter");
  op.mov(ecx, dword(edi, 4));
  // sum: of ecx bytes at edi
  a.label("sum");
  op.mov(esi, edi);
  op.xor(edx, edx);
  a.label("sum.next");
  op.lodsb();
  op.add(edx, eax);
  op.loop("sum.next");
  op.movzx(eax, dl);
  printing(a); // printHex comes first
}

export interface ProbeOptions {
  bits?: 32 | 64;
  /** Leaves the PVH note out. */
  note?: boolean;
  /** Physical address of the second segment. */
  data?: number;
}

/** An ELF file: code at 1 MiB, data and cleared memory 8 KiB above it, the note. */
export function probe({ bits = 64, note = true, data = probeBase + 0x2000 }: ProbeOptions = {}): Uint8Array {
  const text = code();
  const long = bits === 64;
  const other = noteOf("GNU\0", 1, new Uint8Array(16)); // a note in front that must be stepped over
  const pvh = noteOf("Xen\0", note ? 18 : 17, u32(probeBase));
  const notes = Uint8Array.from([...other, ...pvh]);
  const [textAt, dataAt, notesAt] = [0x1000, 0x3000, 0x4000];
  const file = new Uint8Array(0x5000);
  file.set(text, textAt);
  file.set(u32(0xcafe_f00d), dataAt);
  file.set(notes, notesAt);
  file.set([0x7f, 0x45, 0x4c, 0x46, long ? 2 : 1, 1, 1], 0);
  const view = new DataView(file.buffer);
  view.setUint16(16, 2, true);
  view.setUint16(18, long ? 62 : 3, true);
  const [start, entryBytes] = long ? [64, 56] : [52, 32];
  view.setUint32(long ? 32 : 28, start, true);
  view.setUint16(long ? 54 : 42, entryBytes, true);
  view.setUint16(long ? 56 : 44, 3, true);
  const header = (
    index: number,
    type: number,
    at: number,
    address: number,
    inFile: number,
    inMemory: number,
  ) => {
    const base = start + entryBytes * index;
    view.setUint32(base, type, true);
    const fields = long ? [8, 24, 32, 40] : [4, 12, 16, 20];
    for (const [field, value] of [at, address, inFile, inMemory].entries())
      view.setUint32(base + fields[field], value, true);
  };
  header(0, 4, notesAt, 0, notes.length, notes.length);
  header(1, 1, textAt, probeBase, text.length, text.length);
  header(2, 1, dataAt, data, 4, bssBytes);
  return file;
}

const u32 = (value: number) => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);

const noteOf = (name: string, type: number, description: Uint8Array) =>
  Uint8Array.from([
    ...u32(name.length),
    ...u32(description.length),
    ...u32(type),
    ...Buffer.from(name, "latin1"),
    ...description,
  ]);
