// Motorola MC146818A data sheet.

import { beforeEach, describe, expect, test } from "vitest";
import { Rtc } from "../../emulator/devices/rtc.js";
import { TestClock, throughJson, tracer } from "./bench.js";

const SECOND = 1e9;
const r = {
  second: 0,
  minute: 2,
  hour: 4,
  weekday: 6,
  day: 7,
  month: 8,
  year: 9,
  a: 10,
  b: 11,
  c: 12,
  d: 13,
  century: 0x32,
};
const alarm = { second: 1, minute: 3, hour: 5 };
const b = { set: 0x80, pie: 0x40, aie: 0x20, uie: 0x10, binary: 4, hours24: 2 };
let clock: TestClock;
let rtc: Rtc;
let lines: string[];

function build(date: string): void {
  clock = new TestClock();
  const traced = tracer();
  lines = traced.lines;
  rtc = new Rtc(
    Date.parse(date) / 1000,
    clock,
    clock.alarm(() => rtc.timerExpired()),
    traced.trace,
  );
}
beforeEach(() => build("2004-02-28T23:59:58Z"));

const get = (index: number) => {
  rtc.registers.write(0, 1, index);
  return rtc.registers.read(1, 1);
};
const set = (index: number, value: number) => {
  rtc.registers.write(0, 1, index);
  rtc.registers.write(1, 1, value);
};
const date = () =>
  [r.century, r.year, r.month, r.day, r.hour, r.minute, r.second].map((index) => get(index).toString(16));

test("the date in BCD, with the day of the week, over a leap day", () => {
  expect(date()).toEqual(["20", "4", "2", "28", "23", "59", "58"]);
  expect(get(r.weekday)).toBe(7);
  clock.advance(2 * SECOND);
  expect(date()).toEqual(["20", "4", "2", "29", "0", "0", "0"]);
  expect(get(r.weekday)).toBe(1);
  clock.advance(86_400 * SECOND);
  expect(date()).toEqual(["20", "4", "3", "1", "0", "0", "0"]);
});

test("binary, and twelve hours with PM", () => {
  set(r.b, b.hours24 | b.binary);
  expect([get(r.minute), get(r.hour)]).toEqual([59, 23]);
  set(r.b, 0);
  expect(get(r.hour)).toBe(0x91);
  clock.advance(2 * SECOND);
  expect(get(r.hour)).toBe(0x12); // midnight is 12 AM
  clock.advance(12 * 3600 * SECOND);
  expect(get(r.hour)).toBe(0x92);
});

test("SET holds the clock while the fields are written one by one", () => {
  set(r.b, b.set | b.hours24);
  clock.advance(10 * SECOND);
  expect(get(r.second)).toBe(0x58);
  for (const [index, value] of [
    [r.day, 0x31],
    [r.month, 0x12],
    [r.year, 0x99],
    [r.century, 0x19],
    [r.hour, 0x07],
  ]) {
    set(index, value);
    expect(get(index)).toBe(value);
  }
  set(r.b, b.hours24);
  expect(date()).toEqual(["19", "99", "12", "31", "7", "59", "58"]);
  clock.advance(SECOND);
  expect(get(r.second)).toBe(0x59);
});

// MC146818A: "Time, Calendar, and Alarm Locations" are bytes of memory; what they mean is asked when the clock goes on
test("while SET holds the clock its registers are memory, whatever is written, and DM decides at the end", () => {
  set(r.b, b.set | b.hours24);
  for (const index of [r.second, r.minute, r.hour, r.weekday, r.day, r.month, r.year, r.century])
    for (const byte of [0xff, 0xaa, 0x1f, 0x55, 0x00]) {
      set(index, byte);
      expect(get(index)).toBe(byte);
    }
  const binary = [26, 11, 23, 17, 45, 59];
  for (const [n, index] of [r.year, r.month, r.day, r.hour, r.minute, r.second].entries())
    set(index, binary[n]);
  set(r.century, 20);
  set(r.b, b.hours24 | b.binary);
  clock.advance(SECOND);
  expect([r.century, r.year, r.month, r.day, r.hour, r.minute, r.second].map(get)).toEqual([
    20, 26, 11, 23, 17, 46, 0,
  ]);
});

test("the write that sets SET leaves the bytes in the format that they had", () => {
  set(r.b, b.set | b.binary);
  expect([get(r.minute), get(r.hour)]).toEqual([0x59, 0x23]);
  set(r.b, b.set | b.hours24);
  set(r.b, b.hours24);
  expect(date()).toEqual(["20", "4", "2", "28", "23", "59", "58"]);
});

test("a field written without SET goes on from there", () => {
  set(r.second, 0x10);
  clock.advance(3 * SECOND);
  expect(date().slice(4)).toEqual(["23", "59", "13"]);
});

// MC146818A, "Time, Calendar, and Alarm Locations"
test("what names no date while it is written field by field without SET stays until its counter goes on", () => {
  build("2005-02-10T23:59:58Z");
  for (const [index, value] of [
    [r.day, 0x31],
    [r.month, 0x03],
    [r.century, 0x00],
  ]) {
    set(index, value);
    expect(get(index)).toBe(value);
  }
  expect(date()).toEqual(["0", "5", "3", "31", "23", "59", "58"]);
  set(r.month, 0x06);
  set(r.second, 0x7f);
  expect(date()).toEqual(["0", "5", "6", "31", "23", "59", "7f"]);
  clock.advance(SECOND);
  expect(date()).toEqual(["0", "5", "7", "1", "0", "0", "0"]);
});

test("UIP shows for 2228 us before the second, and not while SET holds the clock", () => {
  clock.advance(SECOND - 2_228_001);
  expect(get(r.a)).toBe(0x26);
  clock.advance(1);
  expect(get(r.a)).toBe(0xa6);
  set(r.b, b.set | b.hours24);
  expect(get(r.a)).toBe(0x26);
  set(r.b, b.hours24);
  expect(get(r.a)).toBe(0xa6); // the divider chain has gone on
});

// MC146818
test.each([
  [3, 8192],
  [6, 1024],
  [15, 2],
  [1, 256],
  [2, 128],
])("periodic rate %i is %i Hz", (rate, hertz) => {
  set(r.a, 0x20 | rate);
  set(r.b, b.hours24 | b.pie);
  let rising = 0;
  rtc.irq.to((level) => {
    if (level) rising++;
  });
  for (let count = 0; count < hertz; count++) {
    clock.advance(Math.ceil(SECOND / hertz));
    expect(get(r.c) & 0xc0).toBe(0xc0);
  }
  expect(rising).toBe(hertz);
});

test("rate 0 is off", () => {
  set(r.a, 0x20);
  set(r.b, b.hours24 | b.pie);
  expect(clock.timers.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
});

describe("flags and the line", () => {
  test("flags are set without being enabled; reading register C clears them", () => {
    clock.advance(SECOND);
    expect([get(r.c), get(r.c)]).toEqual([b.pie | b.uie, 0]);
    expect(rtc.irq.level).toBe(false);
  });

  // MC146818
  test("the update-ended interrupt, every second, until it is read", () => {
    set(r.b, b.hours24 | b.uie);
    clock.advance(SECOND - 1);
    expect(rtc.irq.level).toBe(false);
    clock.advance(1);
    expect(rtc.irq.level).toBe(true);
    expect(get(r.c) & 0x90).toBe(0x90);
    expect(rtc.irq.level).toBe(false);
    clock.advance(SECOND);
    expect(rtc.irq.level).toBe(true);
  });

  // MC146818
  test.each([
    [{ second: 0x03, minute: 0x00, hour: 0x00 }, 5],
    [{ second: 0x03, minute: 0xff, hour: 0xc0 }, 5],
    [{ second: 0xff, minute: 0xff, hour: 0xff }, 1],
    [{ second: 0x30, minute: 0x01, hour: 0x02 }, 2 * 3600 + 92],
  ])("the alarm %j comes after %i s", (at, seconds) => {
    for (const [name, value] of Object.entries(at)) set(alarm[name as keyof typeof alarm], value);
    set(r.b, b.hours24 | b.aie);
    clock.advance(seconds * SECOND - 1);
    expect(rtc.irq.level).toBe(false);
    clock.advance(1);
    expect(rtc.irq.level).toBe(true);
    expect(get(r.c) & 0xa0).toBe(0xa0);
  });

  test("an alarm is compared byte by byte: digits that are none are never met", () => {
    build("2004-02-28T12:00:20Z");
    set(alarm.second, 0x1f); // not 25
    set(alarm.minute, 0xff);
    set(alarm.hour, 0xff);
    clock.advance(60 * SECOND);
    expect(get(r.c) & b.aie).toBe(0);
    set(r.b, 0); // twelve hours
    set(alarm.second, 0x25);
    set(alarm.hour, 0x12); // midnight, it is 92
    clock.advance(60 * SECOND);
    expect(get(r.c) & b.aie).toBe(0);
    set(alarm.hour, 0x92);
    clock.advance(60 * SECOND);
    expect(get(r.c) & b.aie).toBe(b.aie);
  });

  test("SET clears UIE", () => {
    set(r.b, b.set | b.hours24 | b.uie);
    expect(get(r.b)).toBe(b.set | b.hours24);
  });
});

test("registers C and D are read-only, D says that the battery is good, the rest is memory", () => {
  set(r.c, 0xff);
  set(r.d, 0);
  expect(get(r.d)).toBe(0x80);
  expect(lines).toHaveLength(2);
  set(0x40, 0xa5);
  set(0xc1, 0x5a); // bit 7 of the index is the NMI mask
  expect([get(0x40), get(0x41)]).toEqual([0xa5, 0x5a]);
  set(r.b, 3);
  expect(lines.at(-1)).toMatch(/DSE \(daylight saving\) is not implemented/);
});

test("RESET keeps date and memory and switches the interrupts off", () => {
  set(0x40, 0xa5);
  set(r.b, b.hours24 | b.uie | b.aie);
  clock.advance(SECOND);
  rtc.reset();
  expect([get(r.b), get(r.c), rtc.irq.level, get(0x40)]).toEqual([b.hours24, 0, false, 0xa5]);
  expect(get(r.second)).toBe(0x59);
});

test("a snapshot round trip, also while SET holds the clock", () => {
  set(r.b, b.set | b.hours24);
  set(r.month, 0x11);
  const saved = throughJson(rtc.snapshot());
  set(r.b, b.hours24 | b.pie);
  clock.advance(SECOND);
  const edges: boolean[] = [];
  rtc.irq.to((level) => edges.push(level));
  rtc.restore(saved);
  expect([rtc.snapshot(), rtc.irq.level, edges]).toEqual([saved, false, []]);
  set(r.b, b.hours24);
  expect(date().slice(0, 4)).toEqual(["20", "4", "11", "28"]);
});

test("a start time that is no number of seconds is refused", () => {
  expect(() => build("no date")).toThrow(/no number of seconds/);
});
