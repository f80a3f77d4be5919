// The end of a machine that found itself wrong: stop the other cores by NMI, say what is known, leave.
//
// The output begins `panic: TEXT` on a line of its own; then core and thread, the registers where there is a trap
// frame, and a back trace by frame pointers, each address with its function's name and offset.
import { cli, framePointer, hlt, out8, readCr2, readCr3, symbols } from "./arch";
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

/** 1 from the first panic on. */
const panicking: usize = memory.data(4);

export function panicked(): bool {
  return atomic.load<u32>(panicking) !== 0;
}

/** `name`: what the text, which ends before it, is about. Never returns. */
export function panic(text: string, name: string = ""): void {
  begin(text, name);
  backTrace(0);
  end();
}

/** For a trap that nothing resolved: `name` of the exception; the trace begins where it struck. Never returns. */
export function panicFrame(name: string, frame: TrapFrame): void {
  begin(name);
  registers(frame);
  place(frame.rip);
  if (frame.rbp >= DIRECT_MAP) backTrace(<usize>(frame.rbp - DIRECT_MAP));
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
  backTrace(0);
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

/** Follows saved frame pointers: [rbp] the caller's, [rbp + 8] the return address. From frame `first`; 0: from here. */
function backTrace(first: usize): void {
  let frame = first !== 0 ? first : framePointer();
  for (let depth: u32 = 0; depth < FRAMES_MAX && frame >= 4096 && (frame & 7) === 0; depth++) {
    place(load<u64>(frame, 8));
    const caller = load<u64>(frame);
    // Stacks grow down: a caller's frame lies higher. Anything else is the end, or garbage.
    if (caller < DIRECT_MAP || <usize>(caller - DIRECT_MAP) <= frame) return;
    frame = <usize>(caller - DIRECT_MAP);
  }
}

/** `  ADDRESS function+offset` */
function place(rip: u64): void {
  print("  ");
  printHex(rip);
  const symbol =
    rip >= DIRECT_MAP && rip < DIRECT_MAP + 0x1_0000_0000 ? symbolOf(<u32>(rip - DIRECT_MAP)) : 0;
  if (symbol !== 0) {
    print(" ");
    printAsciiZ(load<u32>(symbol, 4));
    print("+");
    printHex(rip - DIRECT_MAP - u64(load<u32>(symbol)));
  }
  print("\n");
}

/** The last symbol at or below the address: the table is sorted. 0 = none. */
function symbolOf(address: u32): usize {
  const table = symbols() + 4;
  let low: u32 = 0;
  let high = load<u32>(table - 4);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u32>(table + (middle << 3)) <= address) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? 0 : table + ((low - 1) << 3);
}
