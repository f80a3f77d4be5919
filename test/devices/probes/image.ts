// A multiboot kernel that does what a script says: port and memory accesses, waits, interrupts taken one at a time. What
// it reads it keeps, prints at its end on COM1 as hexadecimal words, and leaves by the exit port. The same bytes run on
// any PC. Steps are records of `RECORD_BYTES`; script.ts writes them.

import {
  Address,
  Assembler,
  al,
  ax,
  bl,
  bx,
  byte,
  ds,
  dword,
  dx,
  eax,
  ebx,
  ecx,
  edi,
  edx,
  es,
  esi,
  esp,
  FarOperand,
  memoryAt,
  ss,
  word,
} from "../../../firmware/assembler.js";
import { printing } from "../../firmware/printing.js";

export const step = {
  end: 0,
  out: 1,
  in: 2,
  write: 3,
  read: 4,
  delay: 5,
  interrupt: 6,
  poll: 7,
  wait: 8,
  stamp: 9,
  halt: 10,
} as const;
export const RECORD_BYTES = 24;
export const PROBE_EXIT = 0x15;
/** What an interrupt step gives when none came. */
export const NONE = 0xffff_ffff;
export const FIRST_LINE = "results:";

/** In even megabytes all of it, so that it runs with A20 closed too. */
const BASE = 0x20_0000;
const IDT = 0x2f_0000;
const RESULTS = 0x60_0000;
const STACK = 0x2e_0000;
const PM_TIMER = 0x608;
const COM1 = 0x3f8;
const HEADER_BYTES = 32;
const MAGIC = 0x1bad_b002;
const LOADED_AT = 1 << 16;
const STUB_BYTES = 16;
const NMI = 2;
const EXCEPTIONS = 0x20;

const u32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

/** The image; `script` is its steps' records. */
export function probeImage(script: readonly number[]): Uint8Array {
  const a = new Assembler(BASE);
  a.bits(32);
  a.bytes(...new Uint8Array(HEADER_BYTES));
  start(a);
  interpreter(a);
  report(a);
  handlers(a);
  printing(a);
  a.strings();
  tables(a);
  a.align(4);
  a.label("script");
  // Arguments of one call are limited.
  for (let at = 0; at < script.length; at += 0x1000) a.bytes(...script.slice(at, at + 0x1000));
  a.bytes(...new Uint8Array(RECORD_BYTES));
  const { bytes, labels } = a.assemble();
  const header = [MAGIC, LOADED_AT, -(MAGIC + LOADED_AT), BASE, BASE, 0, 0, labels.get("start")!];
  bytes.set(header.flatMap(u32));
  return bytes;
}

/** A GDT and an IDT of its own: the loader's may be gone. */
function start(a: Assembler): void {
  const { op } = a;
  a.label("start");
  op.cli();
  op.lgdt(memoryAt("gdt.pointer"));
  op.jmp(new FarOperand(8, new Address("flat")));
  a.label("flat");
  op.mov(eax, 16);
  for (const segment of [ds, es, ss]) op.mov(segment, eax);
  op.mov(esp, STACK);
  op.mov(edi, IDT);
  op.mov(eax, "stubs");
  op.mov(ecx, 0x100);
  a.label("gate.next");
  op.mov(word(edi), ax);
  op.mov(word(edi, 2), 8);
  op.mov(edx, eax);
  op.shr(edx, 16);
  op.shl(edx, 16);
  op.or(edx, 0x8e00);
  op.mov(dword(edi, 4), edx);
  op.add(edi, 8);
  op.add(eax, STUB_BYTES);
  op.loop("gate.next");
  op.lidt(memoryAt("idt.pointer"));
  op.mov(esi, "script");
  op.mov(edi, RESULTS);
}

/** One routine a step: EDX is the record's address or port, EBX its value; ESI is behind the record, EDI at the result. */
function interpreter(a: Assembler): void {
  const { op } = a;
  const kinds = Object.keys(step) as (keyof typeof step)[];
  a.label("next");
  op.mov(eax, dword(esi));
  op.mov(ecx, dword(esi, 4));
  op.mov(edx, dword(esi, 8));
  op.mov(ebx, dword(esi, 12));
  op.add(esi, RECORD_BYTES);
  for (const kind of kinds) {
    op.cmp(eax, step[kind]);
    op.je(`step.${kind}`);
  }
  const bySize = (name: string, ...bodies: (() => void)[]) => {
    a.label(`step.${name}`);
    for (const [index, body] of bodies.entries()) {
      op.cmp(ecx, 1 << index);
      op.jne(`${name}.${index}`);
      body();
      a.label(`${name}.${index}`);
    }
    op.jmp("next");
  };
  const keep = () => {
    op.mov(dword(edi), eax);
    op.add(edi, 4);
  };
  const movq = (load: number, store: number) => a.bytes(0x0f, 0x6f, load, 0x0f, 0x7f, store);
  const output = (register: typeof eax) => () => {
    op.mov(eax, ebx);
    op.out(dx, register);
  };
  bySize("out", output(al), output(ax), output(eax));
  const input = (read: () => void) => () => {
    op.xor(eax, eax);
    read();
    keep();
  };
  bySize(
    "in",
    input(() => op.in(al, dx)),
    input(() => op.in(ax, dx)),
    input(() => op.in(eax, dx)),
  );
  bySize(
    "write",
    () => op.mov(byte(edx), bl),
    () => op.mov(word(edx), bx),
    () => op.mov(dword(edx), ebx),
    () => {
      op.push(dword(esi, 16 - RECORD_BYTES));
      op.push(ebx);
      a.bytes(0x0f, 0x6f, 0x04, 0x24, 0x0f, 0x7f, 0x02); // movq mm0, [esp]; movq [edx], mm0
      op.add(esp, 8);
    },
  );
  bySize(
    "read",
    input(() => op.mov(al, byte(edx))),
    input(() => op.mov(ax, word(edx))),
    input(() => op.mov(eax, dword(edx))),
    () => {
      movq(0x02, 0x07);
      op.add(edi, 8);
    },
  );
  waits(a, keep);
}

function waits(a: Assembler, keep: () => void): void {
  const { op } = a;
  a.label("step.delay");
  op.call("timer");
  op.mov(ecx, eax);
  a.label("delay.next");
  op.call("passed");
  op.jb("delay.next");
  op.jmp("next");

  a.label("step.interrupt");
  op.sti();
  for (let nops = 0; nops < 4; nops++) op.nop();
  op.cli();
  op.jmp("took");

  // What came, also an NMI before: it does not wait to be let in.
  a.label("took");
  op.mov(eax, dword("vector"));
  keep();
  op.mov(dword("vector"), NONE);
  op.jmp("next");

  a.label("step.halt");
  op.sti();
  op.hlt();
  op.cli();
  op.jmp("took");

  a.label("step.wait");
  op.call("timer");
  op.mov(ecx, eax);
  op.sti();
  a.label("wait.next");
  op.cmp(dword("vector"), -1);
  op.jne("wait.end");
  op.call("passed");
  op.jb("wait.next");
  a.label("wait.end");
  op.cli();
  op.jmp("took");

  // Until IN masked with the fourth word is the fifth, or the value's ticks are over.
  a.label("step.poll");
  op.call("timer");
  op.mov(ecx, eax);
  a.label("poll.next");
  op.mov(edx, dword(esi, 8 - RECORD_BYTES));
  op.xor(eax, eax);
  op.in(al, dx);
  op.mov(dword(edi), eax);
  op.and(eax, dword(esi, 16 - RECORD_BYTES));
  op.cmp(eax, dword(esi, 20 - RECORD_BYTES));
  op.je("poll.end");
  op.call("passed");
  op.jb("poll.next");
  a.label("poll.end");
  op.add(edi, 4);
  op.jmp("next");

  a.label("step.stamp");
  op.call("timer");
  keep();
  op.jmp("next");

  // timer: the PM timer's 24 bits. passed: CF while less than EBX ticks have gone by since ECX.
  a.label("timer");
  op.mov(edx, PM_TIMER);
  op.in(eax, dx);
  op.and(eax, 0xff_ffff);
  op.ret();
  a.label("passed");
  op.call("timer");
  op.sub(eax, ecx);
  op.and(eax, 0xff_ffff);
  op.cmp(eax, ebx);
  op.ret();
}

/** Prints the results on a serial line that is set up again first. */
function report(a: Assembler): void {
  const { op } = a;
  a.label("step.end");
  const line = [
    [3, 0x83],
    [0, 1],
    [1, 0],
    [3, 3],
    [1, 0],
    [2, 7],
    [4, 3],
  ] as const;
  for (const [register, value] of line) {
    op.mov(edx, COM1 + register);
    op.mov(al, value);
    op.out(dx, al);
  }
  op.mov(esi, a.string(`\r\n${FIRST_LINE}\r\n`));
  op.call("print");
  op.mov(esi, RESULTS);
  a.label("result.next");
  op.cmp(esi, edi);
  op.je("result.end");
  op.mov(eax, dword(esi));
  op.call("printHex");
  op.mov(al, 0x20);
  op.call("printCharacter");
  op.add(esi, 4);
  op.jmp("result.next");
  a.label("result.end");
  op.mov(esi, a.string("\r\ndone\r\n"));
  op.call("print");
  op.mov(eax, PROBE_EXIT);
  op.out(0xf4, eax);
  a.label("halt");
  op.hlt();
  op.jmp("halt");
}

/** An interrupt leaves its vector and returns with IF clear; an exception ends the probe. */
function handlers(a: Assembler): void {
  const { op } = a;
  a.align(STUB_BYTES);
  a.label("stubs");
  for (let vector = 0; vector < 0x100; vector++) {
    a.bytes(0x68, ...u32(vector)); // push
    op.jmp("handler");
    a.align(STUB_BYTES);
  }
  a.label("handler");
  op.push(eax);
  op.mov(eax, dword(esp, 4));
  op.mov(dword("vector"), eax);
  op.cmp(eax, NMI);
  op.je("handled");
  op.cmp(eax, EXCEPTIONS);
  op.jb("exception");
  a.label("handled");
  op.pop(eax);
  op.add(esp, 4);
  op.and(dword(esp, 8), ~0x200);
  op.iretd();
  a.label("exception");
  op.mov(esi, a.string("\r\nexception "));
  op.call("print");
  op.call("printHex");
  op.jmp("result.end");
}

function tables(a: Assembler): void {
  a.align(8);
  a.label("gdt");
  const flat = (type: number) => [0xff, 0xff, 0, 0, 0, type, 0xcf, 0];
  a.bytes(...new Uint8Array(8), ...flat(0x9a), ...flat(0x92));
  a.label("gdt.pointer");
  a.bytes(23, 0);
  a.address("gdt");
  a.label("idt.pointer");
  a.bytes(0xff, 7, ...u32(IDT));
  a.align(4);
  a.label("vector");
  a.bytes(...u32(NONE));
}
