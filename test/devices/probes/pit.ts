// The 8254: Intel 8254 data sheet (231164), by its headings; port 61H: Intel ICH9, 13.7.1. A microsecond has 1.193 ticks.

import type { Expected, Script, Table } from "./script.js";

const CONTROL = 0x43;
const PORT61 = 0x61;
const OUT = 0x80;
const NULL_COUNT = 0x40;
const both = 0x30;
/** Read-back commands: count and status, one of them. */
const [COUNT_AND_STATUS, ONLY_COUNT, ONLY_STATUS] = [0xc0, 0xd0, 0xe0];

const counter = (channel: number) => 0x40 + channel;
const gate = (t: Script, open: boolean) => t.out(PORT61, open ? 1 : 0);
const control = (t: Script, channel: number, bits: number) => t.out(CONTROL, (channel << 6) | bits);
const program = (t: Script, channel: number, mode: number, count: number) =>
  control(t, channel, both | (mode << 1))
    .out(counter(channel), count & 0xff)
    .out(counter(channel), count >> 8);
const status = (t: Script, channel: number, expected: Expected) =>
  t.out(CONTROL, ONLY_STATUS | (2 << channel)).in(counter(channel), expected);
const out = (t: Script, channel: number, high: boolean) =>
  status(t, channel, { is: high ? OUT : 0, mask: OUT });
/** The latched count's two bytes. */
const latched = (t: Script, channel: number, low?: Expected, high?: Expected) =>
  t
    .out(CONTROL, channel << 6)
    .in(counter(channel), low)
    .in(counter(channel), high);
const same = (back: number): Expected => ({
  rule: `as ${back} readings before`,
  holds: (value, before) => value === before.at(-back),
});
const range = (from: number, to: number): Expected => ({ from, to });
const MS = 1000;

export const pit: Table = {
  device: "8254",
  document: "Intel 8254 data sheet (231164)",
  before: (t) => {
    gate(t, false);
    // Every interrupt but the timer's is masked.
    t.out(0x43, 0x32).out(0x40, 0).out(0x40, 0);
    t.out(0x20, 0x11).out(0x21, 0x20).out(0x21, 4).out(0x21, 1).out(0x21, 0xfe);
  },
  cases: [
    ...[0, 1, 2, 3, 4, 5, 6, 7].map((mode) => ({
      name: `mode ${mode}: the control word sets OUT and the null count, and the status repeats it`,
      steps: (t: Script) => {
        control(t, 2, both | (mode << 1));
        status(t, 2, (mode === 0 ? 0 : OUT) | NULL_COUNT | both | (mode << 1));
        control(t, 2, 0x10 | (mode << 1) | 1);
        status(t, 2, (mode === 0 ? 0 : OUT) | NULL_COUNT | 0x10 | (mode << 1) | 1);
      },
      notQemu: "has no null count",
    })),
    {
      name: "null count: gone when the count is loaded, back when a new one is written",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 2, 60_000);
        t.delay(5);
        status(t, 2, OUT | both | 4);
        t.out(counter(2), 0x10).out(counter(2), 0x20);
        status(t, 2, OUT | NULL_COUNT | both | 4);
      },
      notQemu: "has no null count",
    },
    {
      name: "null count in mode 1: until the trigger loads it",
      steps: (t) => {
        program(t, 2, 1, 60_000);
        t.delay(5);
        status(t, 2, OUT | NULL_COUNT | both | 2);
        gate(t, true);
        t.delay(5);
        status(t, 2, both | 2);
      },
      notQemu: "has no null count",
    },
    {
      name: "counter latch command: held until read; a second one before that is ignored",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 2, 60_000);
        t.delay(20);
        t.out(CONTROL, 0x80).delay(20 * MS);
        t.out(CONTROL, 0x80)
          .in(0x42)
          .in(0x42, range(59_000 >> 8, 60_000 >> 8));
        latched(t, 2, undefined, range(20_000 >> 8, 36_200 >> 8));
      },
    },
    {
      name: "counter latch command: of one byte when one is read and written",
      steps: (t) => {
        gate(t, true);
        control(t, 2, 0x24).out(0x42, 0xf0); // high byte, mode 2: F000
        t.delay(10);
        t.out(CONTROL, 0x80).in(0x42, range(0xee, 0xf0)).in(0x42, range(0xee, 0xf0));
        control(t, 2, 0x14).out(0x42, 200); // low byte
        t.delay(5);
        for (let reads = 0; reads < 4; reads++) t.out(CONTROL, 0x80).in(0x42, range(1, 200));
      },
    },
    {
      name: "reading without a latch: low byte, then high",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 2, 0xff00);
        t.delay(5).in(0x42).in(0x42, range(0xfc, 0xff)).in(0x42).in(0x42, range(0xfc, 0xff));
      },
    },
    {
      name: "read-back: status before count, several counters by one command",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 2, 0xff00);
        program(t, 0, 2, 0xee00);
        t.delay(5).out(CONTROL, COUNT_AND_STATUS | 0x0a);
        t.in(0x42, OUT | both | 4)
          .in(0x42)
          .in(0x42, range(0xfe, 0xff));
        t.in(0x40, OUT | both | 4)
          .in(0x40)
          .in(0x40, range(0xec, 0xee));
        t.out(CONTROL, ONLY_COUNT | 8)
          .in(0x42)
          .in(0x42, range(0xf0, 0xff));
      },
      notQemu: "has OUT otherwise",
    },
    {
      name: "read-back: a second status before the first is read is ignored",
      steps: (t) => {
        program(t, 2, 0, 1200);
        gate(t, true);
        t.out(CONTROL, ONLY_STATUS | 8).delay(2 * MS);
        status(t, 2, { is: 0, mask: OUT });
        out(t, 2, true);
      },
    },
    {
      name: "mode 0: OUT low until the count is over, then high, and it counts on",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 0, 2386); // 2 ms
        out(t, 2, false);
        t.delay(1 * MS);
        out(t, 2, false);
        t.delay(1.2 * MS);
        out(t, 2, true);
        latched(t, 2, undefined, range(0xf0, 0xff));
      },
    },
    {
      name: "mode 0: the gate holds the count, and does not touch OUT",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 0, 60_000);
        t.delay(1 * MS);
        gate(t, false);
        latched(t, 2);
        t.delay(1 * MS);
        latched(t, 2, same(2), same(2));
        out(t, 2, false);
        gate(t, true);
        t.delay(1 * MS);
        latched(t, 2, undefined, {
          rule: "about a millisecond less",
          holds: (high, before) => {
            const held = before[3]! * 256 + before[2]!;
            const now = high * 256 + before.at(-1)!;
            return held - now >= 1190 && held - now < 4 * 1193;
          },
        });
      },
      notQemu: "goes on counting while the gate is low",
    },
    {
      name: "mode 0: the first byte of a new count stops the counter and takes OUT down",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 0, 100);
        t.delay(1 * MS);
        out(t, 2, true);
        t.out(0x42, 0x00);
        out(t, 2, false);
        latched(t, 2);
        t.delay(1 * MS);
        latched(t, 2, same(2), same(2));
        t.out(0x42, 0x80).delay(10);
        latched(t, 2, undefined, range(0x7e, 0x80));
      },
      notQemu: "takes no notice of the first byte",
    },
    {
      name: "mode 0 with the gate low: the count is loaded, but does not count",
      steps: (t) => {
        program(t, 2, 0, 0x1234);
        t.delay(1 * MS);
        latched(t, 2, 0x34, 0x12);
        status(t, 2, both);
      },
      notQemu: "counts",
    },
    {
      name: "mode 1: the gate's edge starts it, and starts it again; a new count waits for that",
      steps: (t) => {
        program(t, 2, 1, 3580); // 3 ms
        t.delay(5);
        out(t, 2, true);
        gate(t, true);
        t.delay(5);
        out(t, 2, false);
        t.delay(2 * MS);
        gate(t, false);
        out(t, 2, false);
        gate(t, true);
        t.delay(2 * MS);
        out(t, 2, false);
        t.out(0x42, 0xff)
          .out(0x42, 0xff)
          .delay(1.2 * MS);
        out(t, 2, true);
        gate(t, false);
        gate(t, true);
        t.delay(5 * MS);
        out(t, 2, false);
      },
      notQemu: "has OUT otherwise",
    },
    {
      name: "mode 2: counts from N down to 1, OUT high but for the last",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 2, 50);
        t.delay(5);
        for (let reads = 0; reads < 20; reads++) latched(t, 2, range(1, 50), 0);
        t.delay(5);
        out(t, 2, true);
      },
      notQemu: "has OUT otherwise",
    },
    {
      name: "mode 2: a low gate holds the count and OUT is high; its edge starts with the whole count",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 2, 60_000);
        t.delay(10 * MS);
        gate(t, false);
        out(t, 2, true);
        latched(t, 2, undefined, range(0x80, 48_200 >> 8));
        t.delay(1 * MS);
        latched(t, 2, same(2), same(2));
        gate(t, true);
        t.delay(10);
        latched(t, 2, undefined, range(59_000 >> 8, 60_000 >> 8));
      },
      notQemu: "goes on counting while the gate is low",
    },
    {
      name: "mode 2: a new count waits for the end of the period",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 2, 60_000);
        t.delay(5)
          .out(0x42, 100)
          .out(0x42, 0)
          .delay(1 * MS);
        latched(t, 2, undefined, range(0xa0, 60_000 >> 8));
      },
      notQemu: "takes the new count at once",
    },
    {
      name: "mode 3: counts down by two, and OUT is high for half of the period",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 3, 59_660); // 50 ms
        t.delay(10);
        for (let reads = 0; reads < 10; reads++) latched(t, 2, { is: 0, mask: 1 });
        out(t, 2, true);
        t.delay(10 * MS);
        latched(t, 2, undefined, range(0x60, (59_660 - 23_860) >> 8)); // 23,860 down in 10 ms
        t.delay(17 * MS);
        out(t, 2, false);
      },
    },
    {
      name: "mode 3: an odd count is loaded less one",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 3, 0xeeef);
        t.delay(5);
        for (let reads = 0; reads < 10; reads++) latched(t, 2, { is: 0, mask: 1 });
      },
      notQemu: "has odd counts",
    },
    {
      name: "mode 3: a low gate raises OUT at once and holds the count",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 3, 11_930); // 10 ms
        t.delay(6 * MS);
        gate(t, false);
        out(t, 2, true);
        latched(t, 2);
        t.delay(1 * MS);
        latched(t, 2, same(2), same(2));
      },
      notQemu: "goes on counting while the gate is low",
    },
    {
      name: "mode 4: OUT high before and after the strobe, and it counts on",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 4, 1200);
        out(t, 2, true);
        t.delay(2 * MS);
        out(t, 2, true);
        latched(t, 2, undefined, range(0xf0, 0xff));
      },
      notQemu: "reads otherwise once the count is over",
    },
    {
      name: "mode 4: the gate holds the count",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 4, 60_000);
        t.delay(1 * MS);
        gate(t, false);
        latched(t, 2);
        t.delay(1 * MS);
        latched(t, 2, same(2), same(2));
      },
      notQemu: "goes on counting while the gate is low",
    },
    {
      name: "mode 5: the gate's edge starts it, and its level does not stop it",
      steps: (t) => {
        program(t, 2, 5, 60_000);
        t.delay(5);
        status(t, 2, OUT | NULL_COUNT | both | 10);
        gate(t, true);
        t.delay(1 * MS);
        gate(t, false);
        latched(t, 2, undefined, range(0xc0, 58_900 >> 8));
        t.delay(5 * MS);
        latched(t, 2, undefined, { rule: "less", holds: (value, before) => value < before.at(-2)! });
        gate(t, true);
        t.delay(10);
        latched(t, 2, undefined, range(59_000 >> 8, 60_000 >> 8));
      },
      notQemu: "has no null count",
    },
    {
      name: "BCD: four decimal digits; a count of 0 is 10,000",
      steps: (t) => {
        gate(t, true);
        const decimal: Expected = {
          rule: "two decimal digits",
          holds: (value) => value >> 4 < 10 && (value & 15) < 10,
        };
        control(t, 2, both | 4 | 1)
          .out(0x42, 0)
          .out(0x42, 0)
          .delay(10);
        latched(t, 2, decimal, 0x99);
        for (let reads = 0; reads < 10; reads++) latched(t, 2, decimal, decimal);
        control(t, 2, both | 4 | 1)
          .out(0x42, 0x00)
          .out(0x42, 0x50)
          .delay(10);
        latched(t, 2, decimal, 0x49);
      },
      notQemu: "counts in binary",
    },
    {
      name: "a count of 0 is 65,536",
      steps: (t) => {
        gate(t, true);
        program(t, 2, 2, 0);
        t.delay(10);
        latched(t, 2, undefined, 0xff);
        t.delay(20 * MS);
        latched(t, 2, undefined, range(0x60, (65_536 - 23_800) >> 8));
      },
    },
    {
      name: "one byte of the count: the other is 0",
      steps: (t) => {
        control(t, 2, 0x10).out(0x42, 0x55); // low byte, mode 0, gate low
        t.delay(5).out(CONTROL, 0x80).in(0x42, 0x55);
        control(t, 2, 0x20).out(0x42, 0x55);
        t.delay(5).out(CONTROL, 0x80).in(0x42, 0x55);
      },
      notQemu: "counts while the gate is low",
    },
    {
      name: "channel 0, mode 0: one interrupt at the end of the count, and none after",
      steps: (t) => {
        program(t, 0, 0, 1193);
        t.none()
          .wait(3 * MS, 0x20)
          .out(0x20, 0x20)
          .wait(3 * MS, 0xffff_ffff);
      },
    },
    {
      name: "channel 0, mode 2: an interrupt each period",
      steps: (t) => {
        program(t, 0, 2, 1193);
        t.wait(3 * MS, 0x20)
          .out(0x20, 0x20)
          .stamp();
        for (let tick = 0; tick < 10; tick++) t.wait(3 * MS, 0x20).out(0x20, 0x20);
        t.stamp({
          rule: "10 ms later",
          holds: (value, before) => Math.abs(((value - before[1]!) & 0xff_ffff) - 35_790) < 1500,
        });
      },
      notQemu: "the host's time",
    },
    {
      name: "channel 0, mode 3: an interrupt each period",
      steps: (t) => {
        program(t, 0, 3, 1193);
        t.wait(3 * MS, 0x20)
          .out(0x20, 0x20)
          .stamp();
        for (let tick = 0; tick < 10; tick++) t.wait(3 * MS, 0x20).out(0x20, 0x20);
        t.stamp({
          rule: "10 ms later",
          holds: (value, before) => Math.abs(((value - before[1]!) & 0xff_ffff) - 35_790) < 1500,
        });
      },
      notQemu: "the host's time",
    },
    {
      name: "channel 0, mode 4: one interrupt",
      steps: (t) => {
        program(t, 0, 4, 1193);
        t.none()
          .wait(3 * MS, 0x20)
          .out(0x20, 0x20)
          .wait(3 * MS, 0xffff_ffff);
      },
    },
    {
      name: "port 61H: the timer's gate and the speaker's bit read back, bits 7 and 6 are 0",
      steps: (t) => {
        for (const bits of [0, 1, 2, 3]) t.out(PORT61, bits).in(PORT61, { is: bits, mask: 0xc3 });
        t.out(PORT61, 0xf0).in(PORT61, { is: 0, mask: 0xcf });
      },
    },
    {
      name: "port 61H: bit 5 is OUT 2",
      steps: (t) => {
        control(t, 2, both).in(PORT61, { is: 0, mask: 0x20 });
        control(t, 2, both | 2).in(PORT61, { is: 0x20, mask: 0x20 });
      },
      notQemu: "has OUT otherwise",
    },
    {
      name: "port 61H: bit 4 toggles with the refresh",
      steps: (t) => {
        t.poll(PORT61, 0x10, 0x10, 100).poll(PORT61, 0x10, 0, 100).poll(PORT61, 0x10, 0x10, 100);
      },
    },
    {
      name: "the control word register cannot be read",
      steps: (t) => void t.in(CONTROL, 0xff),
      notQemu: "reads as 0",
    },
  ],
};
