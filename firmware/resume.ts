// What the reset vector does before anything else: an INIT or RESET after which software wants to go on. IBM PC AT
// Technical Reference, "shutdown" byte 0FH of the CMOS memory; Intel MultiProcessor Specification 1.4, appendix B.4. Software
// writes a code there and the address at 40:67 (offset, segment). Here are 05H, which first takes the byte of the
// keyboard and ends the interrupts in service, and 0AH, which only jumps; every other code starts the machine anew. The
// code is used up by it.
// Invariant: memory stays as it was, and no stack is used: software has not set one up.

import { port } from "../emulator/board/map.js";
import { type Assembler, ah, al, ax, ds } from "./assembler.js";

const SHUTDOWN_CODE = 0x0f;
const code = { endOfInterrupt: 0x05, jump: 0x0a } as const;
const RESUME_VECTOR = 0x467;
const END_OF_INTERRUPT = 0x20;

/** In 16-bit code, interrupts off. */
export function resumeAfterShutdown(a: Assembler): void {
  const { op } = a;
  op.mov(al, SHUTDOWN_CODE);
  op.out(port.rtc, al);
  op.in(al, port.rtc + 1);
  op.mov(ah, al);
  op.mov(al, SHUTDOWN_CODE);
  op.out(port.rtc, al);
  op.mov(al, 0);
  op.out(port.rtc + 1, al);
  op.cmp(ah, code.jump);
  op.je("resume.jump");
  op.cmp(ah, code.endOfInterrupt);
  op.jne("resume.none");
  op.in(al, port.keyboardData);
  op.mov(al, END_OF_INTERRUPT);
  op.out(port.pic2, al);
  op.out(port.pic1, al);
  a.label("resume.jump");
  op.mov(ax, 0);
  op.mov(ds, ax);
  a.bytes(0xff, 0x2e, RESUME_VECTOR & 0xff, RESUME_VECTOR >> 8); // jmp far [RESUME_VECTOR]
  a.label("resume.none");
}
