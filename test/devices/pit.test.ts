// Intel 8254 data sheet. Times are given in ticks of the timer's own clock; a count is loaded one tick after
// it was written.

import { beforeEach, describe, expect, test } from "vitest";
import { timeOfTick } from "../../emulator/clock.js";
import { Pit } from "../../emulator/devices/pit.js";
import { TestClock, throughJson, tracer } from "./bench.js";

const HERTZ = 1_193_182;
let clock: TestClock;
let pit: Pit;
let changes: [tick: number, level: boolean][];

beforeEach(() => {
  clock = new TestClock();
  const { trace } = tracer();
  pit = new Pit(
    HERTZ,
    clock,
    clock.alarm(() => pit.timerExpired()),
    trace,
  );
  changes = [];
  pit.irq.to((level) => changes.push([tick(), level]));
});

const tick = () => Math.round((clock.time * HERTZ) / 1e9);
const at = (ticks: number) => clock.advance(timeOfTick(ticks, HERTZ) - clock.time);
const write = (register: number, value: number) => pit.registers.write(register, 1, value);
const read = (register: number) => pit.registers.read(register, 1);
const control = (value: number) => write(3, value);
/** Mode and count for a channel, binary, low byte then high. */
const program = (channel: number, mode: number, count: number) => {
  control((channel << 6) | 0x30 | (mode << 1));
  write(channel, count & 0xff);
  write(channel, (count >> 8) & 0xff);
};
const latched = (channel: number) => {
  control(channel << 6);
  return read(channel) | (read(channel) << 8);
};
const gate = (level: boolean) => pit.speaker.write(0, 1, level ? 1 : 0);
const out2 = () => (pit.speaker.read(0, 1) & 0x20) !== 0;
/** OUT of channel 2 at each of these ticks. */
const wave = (...ticks: number[]) =>
  ticks.map((moment) => {
    at(moment);
    return out2() ? 1 : 0;
  });

describe("channel 0 moves the line", () => {
  // Intel 8254
  test("mode 0: high at terminal count, once", () => {
    program(0, 0, 10);
    at(100);
    expect(changes).toEqual([[11, true]]);
    write(0, 5); // a new count: low at the first byte
    expect(changes.at(-1)).toEqual([100, false]);
    write(0, 0);
    at(200);
    expect(changes.at(-1)).toEqual([106, true]);
  });

  // Intel 8254
  test("mode 2: low for one tick at the end of each period", () => {
    program(0, 2, 10);
    at(32);
    expect(changes).toEqual([
      [0, true],
      [10, false],
      [11, true],
      [20, false],
      [21, true],
      [30, false],
      [31, true],
    ]);
  });

  // Intel 8254
  test.each([
    [10, [0, 6, 11, 16, 21]],
    [9, [0, 6, 10, 15, 19]],
  ])("mode 3 with count %i: a square wave, the odd tick in the high half", (count, ticks) => {
    program(0, 3, count);
    at(21);
    expect(changes.map(([moment]) => moment)).toEqual(ticks);
  });

  test("a count of zero is 65536", () => {
    program(0, 2, 0);
    at(65_536);
    expect(changes.slice(1)).toEqual([[65_536, false]]);
  });

  test("a board that was away catches up with an edge, not with all of them", () => {
    program(0, 2, 1000);
    clock.leap(1e9);
    const rising = changes.filter(([, level]) => level).length;
    expect(rising).toBeGreaterThanOrEqual(2);
    expect(rising).toBeLessThanOrEqual(4);
    const before = changes.length;
    clock.advance(10_000_000);
    expect(changes.length - before).toBeGreaterThan(20);
  });

  test("1000 Hz for a minute: no drift", () => {
    program(0, 2, 1193);
    let rising = 0;
    pit.irq.to((level) => level && rising++);
    clock.advance(60e9);
    expect(rising).toBe(Math.floor((60 * HERTZ - 1) / 1193));
  });
});

describe("counting", () => {
  test.each([
    ["mode 0", 0, [10, 9, 8, 0xffff]],
    ["mode 2", 2, [10, 9, 8, 9]],
    ["mode 3", 3, [10, 8, 6, 8]],
  ])("%s reads", (_, mode, counts) => {
    program(0, mode, 10);
    const seen = [1, 2, 3, 12].map((moment) => {
      at(moment);
      return latched(0);
    });
    expect(seen).toEqual(counts);
  });

  test("the latch holds until it is read, a second latch command is ignored", () => {
    program(0, 2, 1000);
    at(101);
    control(0x00);
    at(201);
    control(0x00);
    expect(read(0) | (read(0) << 8)).toBe(900);
    expect(latched(0)).toBe(800);
  });

  test("access by one byte", () => {
    control(0x14); // channel 0, low byte, mode 2
    write(0, 100);
    at(11);
    expect([read(0), read(0)]).toEqual([90, 90]);
    control(0x24); // high byte
    write(0, 2);
    at(12 + 0x100);
    expect(read(0)).toBe(1);
  });

  test("BCD counts in decimal", () => {
    control(0x35);
    write(0, 0x34);
    write(0, 0x12);
    at(35);
    expect(latched(0)).toBe(0x1200);
    control(0x31); // mode 0: wraps to 9999
    write(0, 0x01);
    write(0, 0x00);
    at(35 + 3);
    expect(latched(0)).toBe(0x9999);
  });

  test("a new count in mode 2 takes over at the end of the period", () => {
    program(0, 2, 10);
    at(5);
    write(0, 20);
    write(0, 0);
    at(31);
    expect(changes.map(([moment]) => moment)).toEqual([0, 10, 11, 30, 31]);
  });

  test("a new count in mode 3 takes over at the end of the half period", () => {
    program(0, 3, 10);
    at(3);
    write(0, 20);
    write(0, 0);
    at(30);
    // high 0-6 with the old count, then low for half of the new one
    expect(changes.map(([moment]) => moment)).toEqual([0, 6, 16, 26]);
  });
});

describe("read-back", () => {
  test("status: output, null count, access, mode, BCD", () => {
    program(0, 3, 10);
    control(0xe2); // status of channel 0
    expect(read(0)).toBe(0x80 | 0x40 | 0x36); // not loaded yet
    at(2);
    control(0xe2);
    expect(read(0)).toBe(0x80 | 0x36);
    at(7);
    control(0xe2);
    expect(read(0)).toBe(0x36);
  });

  test("a second status latch before the first is read is ignored", () => {
    program(0, 3, 10);
    control(0xe2);
    at(7);
    control(0xe2);
    expect(read(0)).toBe(0x80 | 0x40 | 0x36);
    expect(read(0)).not.toBe(0x36); // the count, not a second status
  });

  test("count and status of several channels at once, status first", () => {
    program(0, 2, 100);
    program(1, 2, 200);
    at(11);
    control(0xc6); // both, channels 0 and 1
    at(50);
    expect(read(0)).toBe(0x80 | 0x34);
    expect(read(0) | (read(0) << 8)).toBe(90);
    expect(read(1)).toBe(0x80 | 0x34);
    expect(read(1) | (read(1) << 8)).toBe(190);
  });
});

describe("channel 2 and port 0x61", () => {
  test("mode 0 stops and goes on with the gate", () => {
    gate(true);
    program(2, 0, 10);
    at(6);
    gate(false);
    expect(wave(100)).toEqual([0]);
    expect(latched(2)).toBe(5);
    gate(true);
    expect(wave(104, 105)).toEqual([0, 1]);
  });

  test("mode 0 with the gate low loads but does not count", () => {
    program(2, 0, 10);
    expect([...wave(100), latched(2)]).toEqual([0, 10]);
  });

  test("a count is loaded one tick after it was written, whatever the gate does in between", () => {
    program(2, 0, 10);
    gate(true);
    at(1);
    expect(latched(2)).toBe(10);
    expect(wave(10, 11)).toEqual([0, 1]);
  });
  test("mode 2: of two counts within a tick the second is loaded, also while the gate is low", () => {
    program(2, 2, 10);
    write(2, 7);
    write(2, 0);
    at(1);
    expect(latched(2)).toBe(7);
  });
  // Intel 8254
  test("mode 1: one shot by the gate, triggered again while it runs", () => {
    program(2, 1, 10);
    expect(wave(5)).toEqual([1]);
    gate(true);
    expect(wave(6, 15, 16)).toEqual([0, 0, 1]);
    gate(false);
    gate(true); // at 16: low from 17 to 27
    expect(wave(20)).toEqual([0]);
    gate(false);
    gate(true);
    expect(wave(20, 29, 30, 31)).toEqual([0, 0, 0, 1]); // loaded at 21 as by any trigger, low until 31
  });

  test("mode 4: the strobe is of one tick, whatever the gate does, and a count written at its tick does not end it", () => {
    gate(true);
    program(2, 4, 10);
    expect(wave(10, 11)).toEqual([1, 0]);
    gate(false);
    expect(wave(11, 12, 30)).toEqual([0, 1, 1]);
    gate(true);
    expect(wave(30, 31)).toEqual([1, 1]);
    write(2, 4);
    write(2, 0);
    expect(wave(36)).toEqual([0]);
    write(2, 3);
    write(2, 0);
    expect(wave(36, 37, 40)).toEqual([0, 1, 0]);
  });

  test("until a new count is loaded the old one is read", () => {
    gate(true);
    program(2, 4, 100);
    at(11);
    write(2, 50);
    write(2, 0);
    expect(latched(2)).toBe(90);
    at(12);
    expect(latched(2)).toBe(50);
  });

  test("mode 1: a new count waits for the next trigger", () => {
    program(2, 1, 10);
    gate(true);
    at(3);
    write(2, 20);
    write(2, 0);
    control(0xe8);
    expect(read(2) & 0x40).toBe(0x40);
    expect(wave(10, 11)).toEqual([0, 1]);
    gate(false);
    gate(true);
    expect(wave(12, 31, 32)).toEqual([0, 0, 1]);
  });

  test("mode 2: a low gate raises OUT at once, the rising edge starts a new period", () => {
    gate(true);
    program(2, 2, 10);
    expect(wave(9, 10, 11)).toEqual([1, 0, 1]);
    at(20);
    gate(false);
    expect(wave(20, 40)).toEqual([1, 1]);
    gate(true);
    expect(wave(49, 50, 51)).toEqual([1, 0, 1]);
  });

  test("mode 3: the same with a square wave", () => {
    gate(true);
    program(2, 3, 10);
    expect(wave(6, 8)).toEqual([0, 0]);
    gate(false);
    expect(wave(8, 20)).toEqual([1, 1]);
    gate(true);
    expect(wave(25, 26, 30, 31)).toEqual([1, 0, 0, 1]);
  });

  // Intel 8254
  test("mode 4: a strobe of one tick at terminal count", () => {
    gate(true);
    program(2, 4, 10);
    expect(wave(10, 11, 12, 100)).toEqual([1, 0, 1, 1]);
  });

  test("mode 3: a new count goes on where the old one's high half ended, also right behind power-on", () => {
    gate(true);
    program(2, 3, 4); // loaded at 1
    at(1);
    write(2, 8); // from 3 on, with its low half: as if it had been loaded at -1
    write(2, 0);
    expect(wave(2, 3, 4, 6, 7)).toEqual([1, 0, 0, 0, 1]);
  });
  // Intel 8254
  test("mode 5: the same, started by the gate", () => {
    program(2, 5, 10);
    expect(wave(50)).toEqual([1]);
    gate(true);
    expect(wave(60, 61, 62)).toEqual([1, 0, 1]);
  });

  // Intel 8254
  test("modes 6 and 7 are 2 and 3; the status has them as they were written", () => {
    gate(true);
    program(2, 6, 10);
    control(0xe8);
    expect(read(2) & 0x0e).toBe(12);
    expect(wave(9, 10, 11, 20, 21)).toEqual([1, 0, 1, 0, 1]);
    program(2, 7, 10);
    expect(wave(26, 27)).toEqual([1, 0]);
  });

  test("port 0x61: its own bits, and the refresh toggle", () => {
    pit.speaker.write(0, 1, 0xff);
    expect(pit.speaker.read(0, 1) & 0xcf).toBe(0x0f);
    const bits = [0, 18, 36, 54].map((moment) => {
      at(moment);
      return (pit.speaker.read(0, 1) >> 4) & 1;
    });
    expect(bits).toEqual([0, 1, 0, 1]);
  });
});

test("a snapshot round trip goes on at the same tick", () => {
  program(0, 3, 100);
  program(2, 0, 500);
  gate(true);
  at(77);
  control(0x00);
  const saved = throughJson(pit.snapshot());
  at(500);
  const [later, rest] = [pit.snapshot(), changes.slice()];
  pit.reset();
  clock.time = timeOfTick(77, HERTZ);
  pit.restore(saved);
  expect(pit.snapshot()).toEqual(saved);
  changes.length = 0;
  at(500);
  expect(pit.snapshot()).toEqual(later);
  expect(changes).toEqual(rest.filter(([moment]) => moment > 77));
});
