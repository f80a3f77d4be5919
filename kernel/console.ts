// The console: the 16550 at 3F8 (National PC16550D), polled. Kernel text is gathered per thread and leaves in whole
// lines, so that lines of different threads and cores do not mix; user output leaves in the pieces it was written in. A line of
// the kernel begins where a line begins, wherever the user's output stopped.
import { in8, out8, pause } from "./arch";
import { thisCore } from "./lwkt/core";
import { criticalEnter, criticalExit } from "./lwkt/critical";
import { SpinLock } from "./lwkt/spinlock";
import { Thread } from "./lwkt/thread";
import { allocate } from "./memory/slab";

const UART: u32 = 0x3f8;
const INTERRUPT_ENABLE: u32 = UART + 1;
const FIFO_CONTROL: u32 = UART + 2;
const INTERRUPT_IDENTIFICATION: u32 = UART + 2;
const FIFOS_ON: u32 = 0xc0;
const LINE_CONTROL: u32 = UART + 3;
const DIVISOR_ACCESS: u32 = 0x80;
const EIGHT_BITS: u32 = 3;
const MODEM_CONTROL: u32 = UART + 4;
const LINE_STATUS: u32 = UART + 5;
const TRANSMITTER_EMPTY: u32 = 0x20;
/** Neither the FIFO nor the shift register holds a byte. */
const ALL_SENT: u32 = 0x40;
const DIVISOR_115200: u32 = 1;

/** The longest line that stays in one piece among those of other cores: the stats line fits. */
const LINE_BYTES: u32 = 1024;
const NEWLINE: u32 = 0x0a;

const lock = changetype<SpinLock>(memory.data(offsetof<SpinLock>()));
/** The first thread's line: it prints before there is a slab. */
const firstLine: usize = memory.data(1024);
/** A panic's line: memory may be what it is about. */
const lastLine: usize = memory.data(1024);
/** Bytes that the transmitter takes once it is empty. */
let burst: usize = 1;

export function consoleStart(): void {
  out8(INTERRUPT_ENABLE, 0);
  out8(LINE_CONTROL, DIVISOR_ACCESS);
  out8(UART, DIVISOR_115200);
  out8(UART + 1, 0);
  out8(LINE_CONTROL, EIGHT_BITS);
  out8(FIFO_CONTROL, 7);
  out8(MODEM_CONTROL, 3);
  if ((in8(INTERRUPT_IDENTIFICATION) & FIFOS_ON) === FIFOS_ON) burst = 16;
  changetype<Thread>(thisCore().thread).line = firstLine;
}

/** To the wire, whoever holds the lock. */
function transmit(pointer: usize, bytes: usize): void {
  let at = pointer;
  const end = pointer + bytes;
  while (at < end) {
    while ((in8(LINE_STATUS) & TRANSMITTER_EMPTY) === 0) pause();
    const stop = min(at + burst, end);
    while (at < stop) out8(UART, load<u8>(at++));
  }
}

/** Returns when the last byte has left: what is still in the UART when the machine goes off is lost. */
export function consoleDrain(): void {
  for (let i = 0; i < 100_000 && (in8(LINE_STATUS) & ALL_SENT) === 0; i++) pause();
}

/** The user's output has stopped within a line. */
let unended = false;
const newline: usize = memory.data<u8>([10]);

/** User output: as it is, in one piece. The bytes are the kernel's own: the caller has copied them in. */
export function consoleWrite(pointer: usize, bytes: usize): void {
  if (bytes === 0) return;
  lock.acquire();
  transmit(pointer, bytes);
  unended = load<u8>(pointer + bytes - 1) !== NEWLINE;
  lock.release();
}

function lineWrite(pointer: usize, bytes: usize): void {
  lock.acquire();
  if (unended) transmit(newline, 1);
  unended = false;
  transmit(pointer, bytes);
  lock.release();
}

export function printLetter(letter: u32): void {
  const thread = changetype<Thread>(thisCore().thread);
  if (thread.line === 0) thread.line = allocate(LINE_BYTES);
  store<u8>(thread.line + thread.lineBytes, <u8>letter);
  thread.lineBytes++;
  if (letter === NEWLINE || thread.lineBytes === LINE_BYTES) {
    lineWrite(thread.line, thread.lineBytes);
    thread.lineBytes = 0;
  }
}

/** ASCII only. */
export function print(text: string): void {
  criticalEnter(); // a handler may print in the thread that it interrupts, between lines' pieces but not within one
  const end = changetype<usize>(text) + ((<usize>text.length) << 1);
  for (let at = changetype<usize>(text); at < end; at += 2) printLetter(load<u16>(at));
  criticalExit();
}

export function printHex(value: u64): void {
  print("0x");
  let shift: u64 = 60;
  while (shift !== 0 && value >> shift === 0) shift -= 4;
  while (true) {
    const digit = <u32>(value >> shift) & 15;
    printLetter(digit < 10 ? 0x30 + digit : 0x57 + digit);
    if (shift === 0) return;
    shift -= 4;
  }
}

export function printDecimal(value: u64): void {
  let power: u64 = 1;
  while (value / power >= 10) power *= 10;
  for (; power !== 0; power /= 10) printLetter(0x30 + <u32>((value / power) % 10));
}

/** Zero-terminated. */
export function printAsciiZ(pointer: usize): void {
  for (let at = pointer; load<u8>(at) !== 0; at++) printLetter(load<u8>(at));
}

/** For panic: nothing is waited for any more but the wire, and no memory is needed. */
export function consoleSeize(): void {
  lock.holder = 0;
  const thread = changetype<Thread>(thisCore().thread);
  thread.line = lastLine;
  thread.lineBytes = 0;
}
