// The firmware's voice: COM1 at 115200 baud, polled.

import { port } from "../emulator/board/map.js";
import { type Assembler, al, dx, eax, ecx, edx, esi } from "./assembler.js";

const lineStatus = port.com1 + 5;
const TRANSMITTER_EMPTY = 0x20;
const TRANSMITTER_IDLE = 0x40;
/** What the exit port is told when nothing can be started. */
const FAILED = 126;

/** Divisor latch, 8 data bits, FIFO, DTR and RTS: register, value. */
const initialisation = [
  [3, 0x80],
  [0, 1],
  [1, 0],
  [3, 0x03],
  [2, 0x07],
  [4, 0x03],
] as const;

export function initialiseConsole({ op }: Assembler): void {
  for (const [register, value] of initialisation) {
    op.mov(dx, port.com1 + register);
    op.mov(al, value);
    op.out(dx, al);
  }
}

/** Prints a text. Changes eax, edx, esi. */
export function say(a: Assembler, text: string): void {
  a.op.mov(esi, a.string(text));
  a.op.call("print");
}

/** Ends the firmware: prints what is wrong and leaves by the exit port; where there is none, it halts. */
export function fail(a: Assembler, text: string): void {
  a.op.mov(esi, a.string(text));
  a.op.jmp("fail");
}

export function consoleRoutines(a: Assembler): void {
  const { op } = a;

  // print: the text at esi. Changes eax, edx, esi.
  a.label("print");
  op.lodsb();
  op.test(al, al);
  op.je("print.end");
  op.call("printCharacter");
  op.jmp("print");
  a.label("print.end");
  op.ret();

  // printCharacter: al. Changes edx.
  a.label("printCharacter");
  op.push(eax);
  op.mov(dx, lineStatus);
  a.label("printCharacter.wait");
  op.in(al, dx);
  op.test(al, TRANSMITTER_EMPTY);
  op.je("printCharacter.wait");
  op.pop(eax);
  op.mov(dx, port.com1);
  op.out(dx, al);
  op.ret();

  // printDecimal: eax. Changes eax, ecx, edx.
  a.label("printDecimal");
  op.mov(ecx, 10);
  op.xor(edx, edx);
  op.div(ecx);
  op.push(edx);
  op.test(eax, eax);
  op.je("printDecimal.digit");
  op.call("printDecimal");
  a.label("printDecimal.digit");
  op.pop(eax);
  op.add(al, "0".charCodeAt(0));
  op.jmp("printCharacter");

  // fail: prints the text at esi and ends.
  a.label("fail");
  op.push(esi);
  say(a, "firmware: ");
  op.pop(esi);
  op.call("print");
  say(a, "\r\n");
  op.mov(dx, lineStatus);
  a.label("fail.sent"); // the machine goes off: the last character must be out
  op.in(al, dx);
  op.test(al, TRANSMITTER_IDLE);
  op.je("fail.sent");
  op.mov(al, FAILED);
  op.out(port.exit, al);
  a.label("fail.halt");
  op.cli();
  op.hlt();
  op.jmp("fail.halt");
}
