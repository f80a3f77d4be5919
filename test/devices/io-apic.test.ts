// Intel 82093AA I/O APIC data sheet.

import { beforeEach, describe, expect, test } from "vitest";
import type { InterruptMessage } from "../../emulator/devices/apic-message.js";
import { IoApic } from "../../emulator/devices/io-apic.js";
import { throughJson, tracer } from "./bench.js";

const MASKED = 0x1_0000;
const LEVEL = 0x8000;
const ACTIVE_LOW = 0x2000;
let messages: InterruptMessage[];
let chip: IoApic;
let lines: string[];

beforeEach(() => {
  messages = [];
  const traced = tracer();
  lines = traced.lines;
  chip = new IoApic(24, 16, { deliver: (message) => void messages.push(message) }, traced.trace);
});

const get = (register: number) => {
  chip.write(0, 4, register);
  return chip.read(0x10, 4);
};
const set = (register: number, value: number) => {
  chip.write(0, 4, register);
  chip.write(0x10, 4, value);
};
const redirect = (pin: number, low: number, destination = 0) => {
  set(0x11 + 2 * pin, (destination << 24) >>> 0);
  set(0x10 + 2 * pin, low);
};

test("identity: ID, version 0x20 with 24 entries, arbitration ID, all entries masked", () => {
  expect([get(0), get(1), get(2)]).toEqual([0, 0x0017_0020, 0]);
  for (let pin = 0; pin < 24; pin++) expect([get(0x10 + 2 * pin), get(0x11 + 2 * pin)]).toEqual([MASKED, 0]);
  set(0, 0xff00_0000);
  expect(get(0)).toBe(0x0f00_0000);
  set(1, 5);
  expect(get(1)).toBe(0x0017_0020);
  expect(lines).toHaveLength(1);
});

test("redirection entries keep their writable bits; the select register is a byte", () => {
  redirect(5, 0xffff_ffff, 0xab);
  expect(get(0x10 + 10)).toBe(0x0001_afff);
  expect(get(0x11 + 10)).toBe(0xab00_0000);
  chip.write(0, 1, 0x1a);
  expect(chip.read(0, 4)).toBe(0x1a);
  expect(get(0x40)).toBe(0);
  expect(lines.at(-1)).toMatch(/register 64, which does not exist/);
});

// Intel 82093AA
test.each([0, 1, 4, 5, 7])("edge: delivery mode %i goes out once a rising edge", (mode) => {
  redirect(3, (mode << 8) | 0x55, 7);
  chip.setPin(3, true);
  chip.setPin(3, true);
  chip.setPin(3, false);
  expect(messages).toEqual([{ destination: 7, logical: false, mode, vector: 0x55, level: false }]);
  chip.setPin(3, true);
  expect(messages).toHaveLength(2);
});

// Intel 82093AA
test("edge: lost while masked, logical destination passed on", () => {
  redirect(3, MASKED | 0x55);
  chip.setPin(3, true);
  redirect(3, 0x855, 3);
  expect(messages).toEqual([]);
  chip.setPin(3, false);
  chip.setPin(3, true);
  expect(messages[0]).toMatchObject({ logical: true, destination: 3 });
});

// Intel 82093AA, 3.2.4: INTPOL; ICH10 data sheet, 5.9.2: pins 0 to 15 are active high, 16 to 23 active low.
describe("polarity", () => {
  test("an active-low entry of a pin that rests high: levels and edges are the low ones", () => {
    redirect(17, LEVEL | ACTIVE_LOW | 0x61);
    redirect(18, ACTIVE_LOW | 0x62);
    expect(messages).toEqual([]);
    for (const pin of [17, 18]) chip.setPin(pin, false);
    expect(messages.map(({ vector, level }) => [vector, level])).toEqual([
      [0x61, true],
      [0x62, false],
    ]);
    chip.setPin(18, true);
    chip.setPin(17, true);
    chip.endOfInterrupt(0x61);
    expect(messages).toHaveLength(2);
  });

  test("an entry that says it wrongly takes the line at rest for a request", () => {
    redirect(17, LEVEL | 0x61);
    redirect(5, LEVEL | ACTIVE_LOW | 0x65);
    expect(messages.map(({ vector }) => vector)).toEqual([0x61, 0x65]);
    chip.setPin(5, true);
    chip.endOfInterrupt(0x65);
    expect(messages).toHaveLength(2);
    redirect(6, ACTIVE_LOW | 0x66); // the end of a pulse is its edge
    chip.setPin(6, true);
    expect(messages).toHaveLength(2);
    chip.setPin(6, false);
    expect(messages.at(-1)).toMatchObject({ vector: 0x66, level: false });
  });
});

// Intel 82093AA
describe("level", () => {
  const REMOTE_IRR = 0x4000;

  test("sends once, then again after EOI while asserted", () => {
    redirect(9, LEVEL | 0x61);
    chip.setPin(9, true);
    chip.setPin(9, true);
    expect(messages).toEqual([{ destination: 0, logical: false, mode: 0, vector: 0x61, level: true }]);
    expect(get(0x10 + 18)).toBe(LEVEL | REMOTE_IRR | 0x61);
    chip.endOfInterrupt(0x60);
    expect(messages).toHaveLength(1);
    chip.endOfInterrupt(0x61);
    expect(messages).toHaveLength(2);
    chip.setPin(9, false);
    chip.endOfInterrupt(0x61);
    expect(messages).toHaveLength(2);
    expect(get(0x10 + 18)).toBe(LEVEL | 0x61);
  });

  test("waits while masked and goes out when the mask goes", () => {
    redirect(9, LEVEL | MASKED | 0x61);
    chip.setPin(9, true);
    expect(messages).toEqual([]);
    redirect(9, LEVEL | 0x61);
    expect(messages).toHaveLength(1);
  });

  test("software cannot set remote IRR; making the entry an edge clears it", () => {
    redirect(9, LEVEL | REMOTE_IRR | 0x61);
    expect(get(0x10 + 18)).toBe(LEVEL | 0x61);
    chip.setPin(9, true);
    set(0x10 + 18, LEVEL | MASKED | 0x61);
    expect(get(0x10 + 18)).toBe(LEVEL | MASKED | REMOTE_IRR | 0x61);
    set(0x10 + 18, MASKED | 0x61);
    set(0x10 + 18, LEVEL | 0x61);
    expect(messages).toHaveLength(2);
  });

  test("the EOI register ends by vector", () => {
    redirect(9, LEVEL | 0x61);
    redirect(10, LEVEL | 0x61);
    chip.setPin(9, true);
    chip.setPin(10, true);
    chip.write(0x40, 4, 0x61);
    expect(messages).toHaveLength(4);
  });

  test.each([4, 5, 7])("delivery mode %i is an edge all the same", (mode) => {
    redirect(9, LEVEL | (mode << 8));
    chip.setPin(9, true);
    expect(messages).toMatchObject([{ mode, level: false }]);
    expect(get(0x10 + 18) & REMOTE_IRR).toBe(0);
  });
});

test("a snapshot round trip keeps entries, remote IRR and pins", () => {
  redirect(9, LEVEL | 0x61);
  chip.setPin(9, true);
  const saved = throughJson(chip.snapshot());
  chip.endOfInterrupt(0x61);
  chip.setPin(9, false);
  chip.reset();
  chip.restore(saved);
  expect(chip.snapshot()).toEqual(saved);
  messages.length = 0;
  chip.endOfInterrupt(0x61);
  expect(messages).toHaveLength(1); // the pin was asserted
});
