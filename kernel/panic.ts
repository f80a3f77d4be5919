// The end of a machine that found itself wrong: stop the other cores by NMI, say what is known, leave.
//
// The output begins `panic: TEXT` on a line of its own; then core and thread, the registers where there is a trap
// frame, and a back trace by the lengths of the frames, each address with its function's name and offset.
import { cli, hlt, instructionPointer, out8, readCr2, readCr3, stackPointer, symbols } from "./arch";
import { consoleDrain, consoleSeize, print, printAsciiZ, printDecimal, printHex } from "./console";
import { TrapFrame } from "./frame";
import { coreCount, DIRECT_MAP, thisCore } from "./lwkt/core";
import { Thread } from "./lwkt/thread";
import { acpiPowerOff } from "./machine/acpi";
import { apicStopOthers } from "./machine/apic";
import { bootOption } from "./options";

/** What a panicked machine leaves by the exit port. */
const PANIC_STATUS: u32 = 125;
const EXIT_PORT: u32 = 0xf4;
const FRAMES_MAX: u32 = 32;
/** Of the table of symbols: address, name, frame, which is words below the return address and, 16 bits on, words of parameters above. */
const SYMBOL_BYTES: u32 = 12;
/** Instead of a frame: nothing called this code; a TrapFrame lies on the end of the stack (kernel/compiler/stubs.ts). */
const NO_CALLER: u32 = 0xffff_ffff;
const TRAP_FRAME: u32 = 0xffff_fffe;

/** 1 from the first panic on. */
const panicking: usize = memory.data(4);

export function panicked(): bool {
  return atomic.load<u32>(panicking) !== 0;
}

/** `name`: what the text, which ends before it, is about. Never returns. */
export function panic(text: string, name: string = ""): void {
  begin(text, name);
  backTrace(instructionPointer(), stackPointer());
  end();
}

/** For a trap that nothing resolved: `name` of the exception; the trace begins where it struck. Never returns. */
export function panicFrame(name: string, frame: TrapFrame): void {
  begin(name);
  registers(frame);
  backTrace(frame.rip, frame.rsp >= DIRECT_MAP ? <usize>(frame.rsp - DIRECT_MAP) : 0);
  end();
}

/** Where asc's assertions end (--use abort=kernel/panic/assertionFailed). */
export function assertionFailed(message: string | null, file: string | null, line: u32, _column: u32): void {
  begin(message ? message : "assertion failed");
  if (file) {
    print("  at ");
    print(file);
    print(":");
    printDecimal(u64(line));
    print("\n");
  }
  backTrace(instructionPointer(), stackPointer());
  end();
}

function begin(text: string, name: string = ""): void {
  cli();
  const core = thisCore();
  // A panic within a panic, or on a second core: the first one has the word.
  if (atomic.xchg<u32>(panicking, 1) !== 0) while (true) hlt();
  core.critical = 1_000_000;
  if (coreCount() > 1) apicStopOthers();
  consoleSeize();
  print("\npanic: ");
  print(text);
  print(name);
  print("\n  core ");
  printDecimal(u64(core.index));
  print(" thread ");
  const thread = changetype<Thread>(core.thread);
  if (thread.name !== 0) print(changetype<string>(thread.name));
  print(" ");
  printDecimal(u64(thread.id));
  print(" cr2 ");
  printHex(readCr2());
  print(" cr3 ");
  printHex(readCr3());
  print("\n");
}

function end(): void {
  consoleDrain();
  if (bootOption("exit") !== 0) out8(EXIT_PORT, PANIC_STATUS);
  acpiPowerOff();
  while (true) hlt();
}

function register(name: string, value: u64): void {
  print(name);
  printHex(value);
}

function registers(frame: TrapFrame): void {
  register("  rax ", frame.rax);
  register(" rbx ", frame.rbx);
  register(" rcx ", frame.rcx);
  register(" rdx ", frame.rdx);
  register("\n  rsi ", frame.rsi);
  register(" rdi ", frame.rdi);
  register(" rbp ", frame.rbp);
  register(" rsp ", frame.rsp);
  register("\n  r8 ", frame.r8);
  register(" r9 ", frame.r9);
  register(" r10 ", frame.r10);
  register(" r11 ", frame.r11);
  register("\n  r12 ", frame.r12);
  register(" r13 ", frame.r13);
  register(" r14 ", frame.r14);
  register(" r15 ", frame.r15);
  register("\n  rip ", frame.rip);
  register(" cs ", frame.cs);
  register(" flags ", frame.rflags);
  register(" error ", frame.error);
  print("\n");
}

/** From there back, who called: the end of each frame is the beginning of its caller's. */
function backTrace(rip: u64, stack: usize): void {
  let at = rip;
  let end = stack;
  for (let depth: u32 = 0; depth < FRAMES_MAX; depth++) {
    place(at);
    const symbol = symbolAt(at);
    // Where there is no code at all somebody has called to.
    const frame = symbol !== 0 ? load<u32>(symbol, 8) : depth === 0 ? 0 : NO_CALLER;
    if (frame === NO_CALLER || end < 4096 || (end & 7) !== 0) return;
    if (frame === TRAP_FRAME) {
      const trapped = changetype<TrapFrame>(end);
      if ((trapped.cs & 3) !== 0 || trapped.rsp < DIRECT_MAP) return;
      at = trapped.rip;
      end = <usize>(trapped.rsp - DIRECT_MAP);
    } else {
      end += (<usize>(frame & 0xffff)) << 3;
      at = load<u64>(end);
      end += (1 + <usize>(frame >> 16)) << 3;
    }
  }
}

/** `  ADDRESS function+offset` */
function place(rip: u64): void {
  print("  ");
  printHex(rip);
  const symbol = symbolAt(rip);
  if (symbol !== 0) {
    print(" ");
    printAsciiZ(load<u32>(symbol, 4));
    print("+");
    printHex(rip - DIRECT_MAP - u64(load<u32>(symbol)));
  }
  print("\n");
}

/** The last symbol at or below the address: the table is sorted. 0 = none. */
function symbolAt(rip: u64): usize {
  if (rip < DIRECT_MAP || rip >= DIRECT_MAP + 0x1_0000_0000) return 0;
  const address = <u32>(rip - DIRECT_MAP);
  const table = symbols() + 4;
  let low: u32 = 0;
  let high = load<u32>(table - 4);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u32>(table + middle * SYMBOL_BYTES) <= address) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? 0 : table + (low - 1) * SYMBOL_BYTES;
}
