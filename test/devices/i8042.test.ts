// The keyboard controller without a keyboard: IBM PS/2 Hardware Interface Technical Reference, and what Linux's probe asks.

import { beforeEach, describe, expect, test } from "vitest";
import { I8042 } from "../../emulator/devices/i8042.js";
import { throughJson, tracer } from "./bench.js";

let chip: I8042;
let events: string[];
let lines: string[];
beforeEach(() => {
  events = [];
  const traced = tracer();
  lines = traced.lines;
  chip = new I8042(
    {
      initialise: () => events.push("INIT"),
      a20: (open) => events.push(`A20 ${open ? "open" : "closed"}`),
    },
    traced.trace,
  );
  chip.irq1.to((level) => events.push(`irq1 ${level ? "+" : "-"}`));
  chip.irq12.to((level) => events.push(`irq12 ${level ? "+" : "-"}`));
});
const command = (...values: number[]) => {
  chip.control.write(0, 1, values[0]);
  for (const value of values.slice(1)) chip.data.write(0, 1, value);
};
const status = () => chip.control.read(0, 1);
const data = () => chip.data.read(0, 1);

test("the self-test passes; the system flag says so from then on", () => {
  expect(status()).toBe(0x10);
  command(0xaa);
  expect([status(), data(), status()]).toEqual([0x1d, 0x55, 0x1c]);
});

test.each([
  ["the command byte after RESET: both devices off", 0x20, 0x30],
  ["the keyboard's interface is good", 0xab, 0],
  ["nothing is plugged in for a mouse", 0xa9, 1],
  ["the input port: not locked", 0xc0, 0xa0],
  ["the output port: running, A20 not opened here", 0xd0, 1],
])("%s", (_, value, answer) => {
  command(value);
  expect([status() & 1, data(), status() & 1]).toEqual([1, answer, 0]);
});

test("the command byte is kept; commands change its bits", () => {
  command(0x60, 0x47);
  command(0xad);
  command(0xa7);
  command(0x20);
  expect(data()).toBe(0x77);
  command(0xae);
  command(0xa8);
  command(0x20);
  expect(data()).toBe(0x47);
});

test("a device that is not there answers with a time-out, and interrupts where that is allowed", () => {
  command(0x60, 0x03);
  chip.data.write(0, 1, 0xf2); // identify yourself, keyboard
  expect([status() & 0x61, data(), events]).toEqual([0x41, 0xfe, ["irq1 +", "irq1 -"]]);
  command(0xd4, 0xf2); // and you, mouse
  expect([status() & 0x61, data(), events.slice(2)]).toEqual([0x61, 0xfe, ["irq12 +", "irq12 -"]]);
});

test("the buffers can be written as if a device had sent it", () => {
  command(0xd3, 0x5a);
  expect([status() & 0x21, data()]).toEqual([0x21, 0x5a]);
  command(0xd2, 0xa5);
  expect([status() & 0x21, data()]).toEqual([0x01, 0xa5]);
});

describe("the output port", () => {
  test("bit 1 is the A20 gate, bit 0 low resets the processors", () => {
    command(0xd1, 0x03);
    command(0xd1, 0x03);
    command(0xd1, 0x01);
    command(0xd1, 0x00);
    command(0xd0);
    expect([events, data()]).toEqual([["A20 open", "A20 closed", "INIT"], 1]);
  });

  test("a pulse of bit 0 resets the processors, one of other bits does nothing", () => {
    command(0xfe);
    command(0xff);
    command(0xf0);
    expect(events).toEqual(["INIT", "INIT"]);
  });
});

test("what is not implemented says so", () => {
  command(0x90);
  expect(lines).toEqual(["i8042: command 0x90 is not implemented"]);
});

test("a snapshot and RESET", () => {
  command(0x60, 0x01);
  command(0xd1, 0x03);
  command(0xd2, 0x77);
  const saved = throughJson(chip.snapshot());
  chip.reset();
  expect([events, status()]).toEqual([["A20 open", "irq1 +", "irq1 -", "A20 closed"], 0x10]);
  chip.restore(saved);
  expect([chip.irq1.level, data()]).toEqual([true, 0x77]);
});
