// What the reset vector does before anything else: an INIT or RESET after which software wants to go on. IBM PC AT
// Technical Reference, "shutdown" byte 0FH of the CMOS memory; Intel MultiProcessor Specification 1.4, appendix B.4. Software
// writes a code there and the address at 40:67 (offset, segment). Here are 05H, which first takes the byte of the
// keyboard and ends the interrupts in service, and 0AH, which only jumps; every other code starts the machine anew. The
// code is used up by it.
// FEH, which the board leaves when it falls asleep, is a wake-up from ACPI's S3 (ACPI 6.4, 16.3): the memory types and the chip
// set are set up anew, and the operating system goes on in real mode at the waking vector of the FACS.
// Invariant: memory stays as it was, but for the firmware's own area, and no stack is used: software has not set one up.

import { port } from "../emulator/board/map.js";
import {
  Address,
  type Assembler,
  ah,
  al,
  ax,
  bx,
  cr0,
  ds,
  dword,
  eax,
  ebp,
  ebx,
  ecx,
  es,
  esi,
  esp,
  FarOperand,
  fs,
  gs,
  ss,
} from "./assembler.js";
import { areaEnd, oldRootTable, selector } from "./layout.js";

const SHUTDOWN_CODE = 0x0f;
const code = { endOfInterrupt: 0x05, jump: 0x0a, wake: 0xfe } as const;
const RESUME_VECTOR = 0x467;
const END_OF_INTERRUPT = 0x20;

const HEADER_BYTES = 36;
const TABLE_LENGTH = 4;
const FADT = 0x5043_4146; // "FACP"
/** Where the FADT has the FACS, and that the waking vector. */
const FACS = 36;
const WAKING_VECTOR = 12;
const STACK_BYTES = 0x1000;

/** In 16-bit code, interrupts off. Leaves the code in ebp. */
export function resumeAfterShutdown(a: Assembler): void {
  const { op } = a;
  op.mov(al, SHUTDOWN_CODE);
  op.out(port.rtc, al);
  op.in(al, port.rtc + 1);
  op.mov(ah, al);
  op.movzx(ebp, al);
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

/** In flat protected mode, the code in ebp: goes on where software wants to be woken, if that is what it is for. */
export function wakeUp(a: Assembler, realModeSegment: number): void {
  const { op } = a;
  const offset = (label: string) => new Address(label, 0, 0xffff);
  op.cmp(ebp, code.wake);
  op.jne("wakeUp.none");
  op.mov(esi, oldRootTable + HEADER_BYTES);
  op.mov(ecx, dword(oldRootTable + TABLE_LENGTH));
  op.sub(ecx, HEADER_BYTES);
  op.shr(ecx, 2);
  a.label("wakeUp.next");
  op.sub(ecx, 1);
  op.jb("wakeUp.none");
  op.lodsd();
  op.cmp(dword(eax), FADT);
  op.jne("wakeUp.next");
  op.mov(eax, dword(eax, FACS));
  op.mov(ebp, dword(eax, WAKING_VECTOR));
  op.test(ebp, ebp);
  op.je("wakeUp.none");
  op.call("setMemoryTypes");
  op.call("placeChipSet");
  op.mov(eax, selector.data16);
  for (const segment of [ds, es, fs, gs, ss]) op.mov(segment, eax);
  op.jmp(new FarOperand(selector.code16, offset("wakeUp.leave")));
  a.bits(16);
  a.label("wakeUp.leave");
  op.mov(eax, cr0);
  op.and(eax, ~1 >>> 0);
  op.mov(cr0, eax);
  op.jmp(new FarOperand(realModeSegment, offset("wakeUp.real")));
  a.label("wakeUp.real");
  op.mov(ax, (areaEnd - STACK_BYTES) >> 4);
  op.mov(ss, ax);
  op.mov(esp, STACK_BYTES);
  op.mov(eax, 0);
  for (const segment of [ds, es, fs, gs]) op.mov(segment, ax);
  op.mov(ebx, ebp);
  op.shr(ebx, 4);
  op.and(ebp, 0xf);
  op.push(bx);
  op.mov(ebx, ebp);
  op.push(bx);
  a.bytes(0xcb); // retf
  a.bits(32);
  a.label("wakeUp.none");
}
