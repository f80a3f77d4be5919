// The keyboard controller, its keyboard and its mouse: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and
// Auxiliary Device Controller", "101- and 102-Key Keyboards" and "Mouse", by way of the controller as software asks.

import { beforeEach, describe, expect, test } from "vitest";
import { I8042 } from "../../emulator/devices/i8042.js";
import { Ps2Keyboard } from "../../emulator/devices/ps2-keyboard.js";
import { Ps2Mouse } from "../../emulator/devices/ps2-mouse.js";
import { throughJson, tracer } from "./bench.js";

let chip: I8042;
let keyboard: Ps2Keyboard;
let events: string[];
let lines: string[];
beforeEach(() => {
  events = [];
  const traced = tracer();
  lines = traced.lines;
  keyboard = new Ps2Keyboard(traced.trace);
  chip = new I8042(
    {
      initialise: () => events.push("INIT"),
      a20: (open) => events.push(`A20 ${open ? "open" : "closed"}`),
    },
    { keyboard, mouse: new Ps2Mouse(traced.trace) },
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
/** All that waits, and whether it came from the mouse. */
function answers(): number[] {
  const bytes: number[] = [];
  while ((status() & 1) !== 0) bytes.push(((status() & 0x20) !== 0 ? 0x100 : 0) | data());
  return bytes;
}
const MOUSE = 0x100;
/** Bytes to a device, one after the other, and what it says. */
const toKeyboard = (...bytes: number[]) =>
  bytes.flatMap((byte) => {
    chip.data.write(0, 1, byte);
    return answers();
  });
const toMouse = (...bytes: number[]) =>
  bytes.flatMap((byte) => {
    command(0xd4, byte);
    return answers().map((answer) => answer - MOUSE);
  });

test("the self-test passes; the system flag says so from then on", () => {
  expect(status()).toBe(0x10);
  command(0xaa);
  expect([status(), data(), status()]).toEqual([0x1d, 0x55, 0x1c]);
});

test.each([
  ["the command byte after RESET: both devices off", 0x20, 0x30],
  ["the keyboard's interface is good", 0xab, 0],
  ["the mouse's is", 0xa9, 0],
  ["no password is installed", 0xa4, 0xf1],
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

test("a device's byte interrupts where that is allowed, once for each byte", () => {
  command(0x60, 0x03);
  chip.data.write(0, 1, 0xf2); // identify yourself, keyboard
  expect([status() & 0x21, events]).toEqual([0x01, ["irq1 +"]]);
  expect([data(), data(), data(), status() & 1]).toEqual([0xfa, 0xab, 0x83, 0]);
  expect(events).toEqual(["irq1 +", "irq1 -", "irq1 +", "irq1 -", "irq1 +", "irq1 -"]);
  command(0xd4, 0xf2); // and you, mouse
  expect([status() & 0x21, events.slice(6)]).toEqual([0x21, ["irq12 +"]]);
  expect([data(), data(), status() & 1]).toEqual([0xfa, 0, 0]);
  command(0x60, 0x00);
  command(0xd4, 0xf2);
  expect([answers(), events.slice(6)]).toEqual([
    [MOUSE + 0xfa, MOUSE],
    ["irq12 +", "irq12 -", "irq12 +", "irq12 -"],
  ]);
});

test("a disabled line holds its device's bytes back; to send to the device enables it", () => {
  command(0x60, 0x00);
  chip.data.write(0, 1, 0xf2);
  command(0xad);
  expect(data()).toBe(0xfa); // was in the output buffer already
  expect(status() & 1).toBe(0);
  command(0x20);
  expect(answers()).toEqual([0x10]);
  command(0xae);
  expect(answers()).toEqual([0xab, 0x83]);
  command(0xa7);
  expect(toMouse(0xf2)).toEqual([0xfa, 0]);
});

test("an answer of the controller's waits until the byte before it is read, and comes before the devices'", () => {
  command(0x60, 0x01);
  chip.data.write(0, 1, 0xf2);
  command(0x20);
  expect([status() & 1, data(), data()]).toEqual([1, 0xfa, 0x01]);
  expect(events).toEqual(["irq1 +", "irq1 -", "irq1 +", "irq1 -", "irq1 +"]);
  command(0xd3, 0x55);
  expect(answers()).toEqual([0xab, MOUSE + 0x55, 0x83]);
});

test("the keyboard keeps no more than its FIFO holds, however much nobody reads", () => {
  command(0x60, 0x00);
  for (let byte = 0; byte < 1000; byte++) chip.data.write(0, 1, 0xee);
  expect(answers()).toEqual(new Array(1 + 16).fill(0xee));
  expect(toKeyboard(0xf2)).toEqual([0xfa, 0xab, 0x83]);
});

test("an answer that nobody has read gives way to the next one", () => {
  command(0x60, 0x00);
  command(0xd2, 0x11);
  chip.data.write(0, 1, 0xee);
  command(0xaa);
  command(0x20);
  expect(answers()).toEqual([0x04, 0xee]);
});

test("what the keyboard says is translated where the command byte says so", () => {
  command(0x60, 0x40);
  expect(toKeyboard(0xf2)).toEqual([0xfa, 0xab, 0x41]);
  expect(toKeyboard(0xf0, 0)).toEqual([0xfa, 0xfa, 0x41]);
  command(0x60, 0x00);
  expect(toKeyboard(0xf0, 0)).toEqual([0xfa, 0xfa, 2]);
});

describe("the keyboard", () => {
  test.each<[string, number[], number[]]>([
    ["its self-test", [0xff], [0xfa, 0xaa]],
    ["echo", [0xee], [0xee]],
    ["enable, default disable, set default", [0xf4, 0xf5, 0xf6], [0xfa, 0xfa, 0xfa]],
    ["scan code set 1, then which", [0xf0, 1, 0xf0, 0], [0xfa, 0xfa, 0xfa, 0xfa, 1]],
    ["a scan code set that is none", [0xf0, 4], [0xfa, 0xfe]],
    ["typematic rate", [0xf3, 0x20], [0xfa, 0xfa]],
    ["a command instead of the option", [0xed, 0xee], [0xfa, 0xee]],
    [
      "key types, some keys until a command comes",
      [0xfa, 0xfb, 0x1c, 0x32, 0xee],
      [0xfa, 0xfa, 0xfa, 0xfa, 0xee],
    ],
    ["say that again", [0xee, 0xfe], [0xee, 0xee]],
    ["what is no command", [0x05, 0xef], [0xfe, 0xfe]],
  ])("%s", (_, bytes, said) => {
    expect(toKeyboard(...bytes)).toEqual(said);
  });

  test("its indicators", () => {
    expect([toKeyboard(0xed, 0x02), keyboard.indicators]).toEqual([[0xfa, 0xfa], 2]);
    toKeyboard(0xff);
    expect(keyboard.indicators).toBe(0);
  });
});

describe("the mouse", () => {
  test.each<[string, number[], number[]]>([
    ["its self-test", [0xff], [0xfa, 0xaa, 0]],
    [
      "its identity is a plain one's, whatever rates it was set to",
      [0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2],
      [0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0],
    ],
    ["its status after RESET", [0xe9], [0xfa, 0, 2, 100]],
    [
      "its status as it was set",
      [0xe7, 0xe8, 3, 0xf3, 40, 0xf4, 0xf0, 0xe9],
      [0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0x70, 3, 40],
    ],
    [
      "and back again",
      [0xe7, 0xf4, 0xf0, 0xe6, 0xf5, 0xea, 0xe9],
      [0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0, 2, 100],
    ],
    ["set default", [0xe8, 0, 0xf6, 0xe9], [0xfa, 0xfa, 0xfa, 0xfa, 0, 2, 100]],
    ["nobody moves it", [0xeb], [0xfa, 8, 0, 0]],
    ["in wrap mode it says what it hears", [0xee, 0xf2, 0x12, 0xec, 0xf2], [0xfa, 0xf2, 0x12, 0xfa, 0xfa, 0]],
    ["say that again", [0xf2, 0xfe], [0xfa, 0, 0xfa, 0]],
    ["what is no command, twice", [0x01, 0x02, 0x03], [0xfe, 0xfc, 0xfe]],
    ["a rate that is none, then one", [0xf3, 15, 20, 0xe9], [0xfa, 0xfe, 0xfa, 0xfa, 0, 2, 20]],
  ])("%s", (_, bytes, said) => {
    expect(toMouse(...bytes)).toEqual(said);
  });
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
  toMouse(0xf4);
  command(0x60, 0x11);
  keyboard.receive(0xee);
  command(0xd1, 0x03);
  command(0xd2, 0x77);
  const saved = throughJson(chip.snapshot());
  chip.reset();
  expect([events, status()]).toEqual([["A20 open", "irq1 +", "irq1 -", "A20 closed"], 0x10]);
  chip.restore(saved);
  expect([chip.irq1.level, data()]).toEqual([true, 0x77]);
  expect(answers()).toEqual([]);
  command(0xae);
  expect(answers()).toEqual([0xee]);
  expect(toMouse(0xe9)).toEqual([0xfa, 0x20, 2, 100]);
});
