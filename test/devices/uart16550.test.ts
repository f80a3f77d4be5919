// National PC16550D data sheet.

import { beforeEach, describe, expect, test } from "vitest";
import { Uart16550 } from "../../emulator/devices/uart16550.js";
import { TestClock, throughJson, tracer } from "./bench.js";

const r = { data: 0, ier: 1, iir: 2, fcr: 2, lcr: 3, mcr: 4, lsr: 5, msr: 6, scr: 7 } as const;
/** A character at 115200 baud, 8N1, in nanoseconds. */
const CHARACTER = (10 * 1e9) / 115_200;
let clock: TestClock;
let uart: Uart16550;
let sent: number[];
let lines: string[];

beforeEach(() => {
  clock = new TestClock();
  const traced = tracer();
  lines = traced.lines;
  sent = [];
  uart = new Uart16550(
    (byte) => sent.push(byte),
    clock,
    clock.alarm(() => uart.timerExpired()),
    traced.trace,
  );
});

const get = (register: number) => uart.registers.read(register, 1);
const set = (register: number, value: number) => uart.registers.write(register, 1, value);
const type = (...bytes: number[]) => bytes.map((byte) => uart.receive(byte));
const setDivisor = (divisor: number) => {
  set(r.lcr, 0x83);
  set(0, divisor & 0xff);
  set(1, divisor >> 8);
  set(r.lcr, 0x03);
};

test.each([
  ["RBR", r.data, 0],
  ["IER", r.ier, 0],
  ["IIR", r.iir, 1],
  ["LCR", r.lcr, 0],
  ["MCR", r.mcr, 0],
  ["LSR", r.lsr, 0x60],
  ["MSR", r.msr, 0xb0],
  ["SCR", r.scr, 0],
])("%s after reset", (_, register, value) => {
  expect(get(register)).toBe(value);
});

test.each([
  ["IER", r.ier, 0x0f],
  ["LCR", r.lcr, 0xff],
  ["MCR", r.mcr, 0x1f],
  ["SCR", r.scr, 0xff],
])("%s keeps its writable bits", (_, register, value) => {
  set(register, 0xff);
  expect(get(register)).toBe(value);
});

test("the divisor latch stands behind DLAB", () => {
  setDivisor(0x0123);
  set(r.ier, 5);
  set(r.lcr, 0x80);
  expect([get(0), get(1)]).toEqual([0x23, 0x01]);
  set(r.lcr, 0);
  expect(get(r.ier)).toBe(5);
  expect(sent).toEqual([]);
});

test("LSR and MSR are read-only", () => {
  set(r.lsr, 0);
  set(r.msr, 0);
  expect([get(r.lsr), get(r.msr)]).toEqual([0x60, 0xb0]);
  expect(lines).toHaveLength(2);
});

describe("the transmitter", () => {
  test("sends at once; THRE interrupts when enabled, when written, until IIR is read", () => {
    set(r.data, 0x41);
    expect([sent, get(r.lsr)]).toEqual([[0x41], 0x60]);
    set(r.ier, 2);
    expect(uart.irq.level).toBe(true);
    expect([get(r.iir), uart.irq.level, get(r.iir)]).toEqual([2, false, 1]);
    set(r.data, 0x42);
    expect([uart.irq.level, get(r.iir), get(r.iir)]).toEqual([true, 2, 1]);
    set(r.ier, 0);
    set(r.ier, 2); // enabling with an empty transmitter
    expect(get(r.iir)).toBe(2);
    set(r.fcr, 1); // switching the FIFOs on empties them
    expect([get(r.iir), get(r.iir)]).toEqual([0xc2, 0xc1]);
    set(r.fcr, 1);
    expect(get(r.iir)).toBe(0xc1);
    set(r.fcr, 5); // and so does the transmitter's reset
    expect(get(r.iir)).toBe(0xc2);
  });

  test("each character is an edge of the line, also while the interrupt of the one before waits", () => {
    const levels: boolean[] = [];
    set(r.ier, 2);
    uart.irq.to((level) => levels.push(level));
    set(r.data, 0x41);
    set(r.data, 0x42);
    expect(levels.slice(-4)).toEqual([false, true, false, true]);
  });
});

describe("the receiver", () => {
  test("without FIFO holds one character", () => {
    expect(type(0x61, 0x62)).toEqual([true, false]);
    expect([get(r.lsr), get(r.data), get(r.lsr)]).toEqual([0x61, 0x61, 0x60]);
    expect(type(0x62)).toEqual([true]);
  });

  test("a time-out shows at the trigger level too; both end with a read", () => {
    setDivisor(1);
    set(r.fcr, 0x41);
    set(r.ier, 1);
    type(1, 2, 3, 4);
    expect(get(r.iir)).toBe(0xc4);
    clock.advance(4.1 * CHARACTER);
    expect(get(r.iir)).toBe(0xcc);
    get(r.data);
    expect(get(r.iir)).toBe(0xc1);
  });

  test("without FIFO the buffer keeps what has been read", () => {
    type(0x61);
    expect([get(r.data), get(r.data), get(r.lsr)]).toEqual([0x61, 0x61, 0x60]);
  });

  test("FCR's other bits do nothing while bit 0 is written as 0", () => {
    type(0x61);
    set(r.fcr, 0xce);
    expect([get(r.iir), get(r.lsr), get(r.data)]).toEqual([1, 0x61, 0x61]);
  });

  test("interrupts at a character, until it is read", () => {
    set(r.ier, 1);
    type(0x61);
    expect([uart.irq.level, get(r.iir)]).toEqual([true, 4]);
    get(r.data);
    expect([uart.irq.level, get(r.iir)]).toEqual([false, 1]);
  });

  test.each([
    [0x01, 1],
    [0x41, 4],
    [0x81, 8],
    [0xc1, 14],
  ])("FCR %i interrupts from %i characters on", (fcr, trigger) => {
    set(r.fcr, fcr);
    set(r.ier, 1);
    for (let count = 1; count <= 16; count++) {
      expect(type(count)).toEqual([true]);
      expect(get(r.iir) === 0xc4).toBe(count >= trigger);
    }
    expect(type(17)).toEqual([false]);
    for (let left = 15; left >= 0; left--) {
      get(r.data);
      expect(uart.irq.level).toBe(left >= trigger);
    }
  });

  test("times out after four character times without a read or an arrival", () => {
    setDivisor(1);
    set(r.fcr, 0xc1);
    set(r.ier, 1);
    type(1, 2);
    clock.advance(3 * CHARACTER);
    type(3);
    clock.advance(3.9 * CHARACTER);
    expect(get(r.iir)).toBe(0xc1);
    clock.advance(0.2 * CHARACTER);
    expect([uart.irq.level, get(r.iir)]).toEqual([true, 0xcc]);
    get(r.data);
    expect(get(r.iir)).toBe(0xc1);
    clock.advance(4.1 * CHARACTER);
    expect(get(r.iir)).toBe(0xcc);
    get(r.data);
    get(r.data);
    clock.advance(100 * CHARACTER);
    expect(get(r.iir)).toBe(0xc1);
  });

  test.each([
    [0x00, 1 + 5 + 1],
    [0x03, 1 + 8 + 1],
    [0x0f, 1 + 8 + 1 + 2],
  ])("the time-out follows LCR %i: %i bits a character", (lcr, bits) => {
    setDivisor(12);
    set(r.lcr, lcr);
    set(r.fcr, 0xc1);
    type(1);
    expect(clock.timers.nextDeadline()).toBe(Math.ceil((4 * bits * 12 * 1e9) / 115_200));
  });

  test("FCR clears the FIFO with its time-out", () => {
    set(r.fcr, 0xc1);
    set(r.ier, 1);
    type(1);
    clock.advance(5 * 12 * CHARACTER);
    expect(get(r.iir)).toBe(0xcc);
    set(r.fcr, 0xc3);
    expect([get(r.iir), clock.timers.nextDeadline()]).toEqual([0xc1, Number.POSITIVE_INFINITY]);
  });

  test("FCR clears the FIFO, and switching it on or off does too", () => {
    set(r.fcr, 1);
    type(1, 2);
    set(r.fcr, 3);
    expect(get(r.lsr)).toBe(0x60);
    type(1, 2);
    set(r.fcr, 0);
    expect([get(r.lsr), get(r.iir)]).toEqual([0x60, 1]);
  });
});

describe("loop-back", () => {
  beforeEach(() => {
    set(r.lcr, 3);
    set(r.mcr, 0x10);
  });

  test("what is sent is received, and nothing leaves or comes in", () => {
    set(r.data, 0x55);
    expect([get(r.data), sent, uart.receive(1)]).toEqual([0x55, [], false]);
  });

  test("an overrun is a line status error, once", () => {
    set(r.ier, 4);
    set(r.data, 1);
    set(r.data, 2);
    expect([get(r.iir), get(r.lsr), get(r.lsr)]).toEqual([6, 0x63, 0x61]);
    expect(get(r.data)).toBe(2);
    set(r.fcr, 1);
    for (let byte = 0; byte < 17; byte++) set(r.data, byte);
    expect([get(r.lsr) & 2, get(r.data)]).toEqual([2, 0]);
  });

  test.each([
    ["RTS is CTS", 2, 0x10],
    ["DTR is DSR", 1, 0x20],
    ["OUT1 is RI", 4, 0x40],
    ["OUT2 is DCD", 8, 0x80],
  ])("modem lines: %s", (_, output, input) => {
    get(r.msr);
    set(r.mcr, 0x10 | output);
    expect(get(r.msr) & 0xf0).toBe(input);
  });

  test("changes of the modem inputs: RI counts when it falls", () => {
    get(r.msr);
    set(r.mcr, 0x1f);
    expect(get(r.msr)).toBe(0xf0 | 0x0b);
    set(r.mcr, 0x10);
    expect(get(r.msr)).toBe(0x0f);
    expect(get(r.msr)).toBe(0);
  });
});

test("interrupts show in the order of their priority", () => {
  set(r.mcr, 0x10);
  get(r.msr);
  set(r.ier, 0x0f);
  set(r.data, 1);
  set(r.data, 2);
  set(r.mcr, 0x12);
  const shown: number[] = [];
  for (const end of [() => get(r.lsr), () => get(r.data), () => {}, () => get(r.msr)]) {
    shown.push(get(r.iir));
    end();
  }
  expect([shown, get(r.iir)]).toEqual([[6, 4, 2, 0], 1]);
});

test("OUT2 is a pin of its own, inactive in loop-back", () => {
  set(r.mcr, 8);
  expect(uart.out2.level).toBe(true);
  set(r.mcr, 0x18);
  expect(uart.out2.level).toBe(false);
});

test("a snapshot round trip keeps FIFO, time-out and line, without an edge", () => {
  set(r.fcr, 0xc1);
  set(r.ier, 3);
  type(1, 2, 3);
  const saved = throughJson(uart.snapshot());
  const { level } = uart.irq;
  const deadline = clock.timers.nextDeadline();
  uart.reset();
  const edges: boolean[] = [];
  uart.irq.to((moved) => edges.push(moved));
  uart.restore(saved);
  expect([uart.snapshot(), uart.irq.level, edges]).toEqual([saved, level, []]);
  expect(clock.timers.nextDeadline()).toBe(deadline);
  expect([get(r.data), get(r.data), get(r.data)]).toEqual([1, 2, 3]);
});
