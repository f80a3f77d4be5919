// The real-time clock: Motorola MC146818A data sheet, by its headings; the century byte is where the FADT says.

import { NONE } from "./image.js";
import type { Expected, Script, Table } from "./script.js";

const [A, B, C, D, CENTURY] = [0x0a, 0x0b, 0x0c, 0x0d, 0x32];
const a = { uip: 0x80, normal: 0x20, divider: 0x60 } as const;
const b = { set: 0x80, periodic: 0x40, alarm: 0x20, update: 0x10, binary: 4, hours24: 2 } as const;
const c = { irq: 0x80, periodic: 0x40, alarm: 0x20, update: 0x10 } as const;
const CLOCK_VECTOR = 0x28;
const MS = 1000;

const put = (t: Script, register: number, value: number) => t.out(0x70, register).out(0x71, value);
const get = (t: Script, register: number, expected?: Expected) => t.out(0x70, register).in(0x71, expected);

/** Year and century, month, day, weekday, hours, minutes, seconds, as they are written. */
type Date = readonly [century: number, ...number[]];
const fields = [CENTURY, 9, 8, 7, 6, 4, 2, 0] as const;
const setDate = (t: Script, date: Date, mode: number = b.hours24) => {
  put(t, B, b.set | mode);
  for (const [index, register] of fields.entries()) put(t, register, date[index]!);
  put(t, B, mode);
};
const sees = (t: Script, date: Date) => {
  for (const [index, register] of fields.entries()) get(t, register, date[index]!);
};
const clear = (t: Script) => get(t, C);
/** To the end of this second: the update-ended interrupt. */
const nextSecond = (t: Script, mode: number = b.hours24) => {
  clear(t);
  put(t, B, mode | b.update);
  t.halt(CLOCK_VECTOR);
  get(t, C, { is: c.irq | c.update, mask: c.irq | c.update });
  t.out(0xa0, 0x20).out(0x20, 0x20);
  put(t, B, mode);
};

const rollover = (name: string, before: Date, after: Date, mode: number = b.hours24) => ({
  name,
  steps: (t: Script) => {
    setDate(t, before, mode);
    nextSecond(t, mode);
    sees(t, after);
  },
});
const wait = (rate: number): Expected => ({
  rule: `${rate} ticks of the PM timer for ten periods`,
  holds: (value, before) => Math.abs(((value - before.at(-11)!) & 0xff_ffff) - rate) < rate / 8 + 400,
});

export const rtc: Table = {
  device: "RTC",
  document: "Motorola MC146818A data sheet",
  machine: () => ({ startTime: 1_000_000_000 }),
  before: (t) => {
    t.out(0x43, 0x32).out(0x40, 0).out(0x40, 0);
    t.out(0x20, 0x11).out(0x21, 0x20).out(0x21, 4).out(0x21, 1).out(0x21, 0xfb);
    t.out(0xa0, 0x11).out(0xa1, 0x28).out(0xa1, 2).out(0xa1, 1).out(0xa1, 0xfe);
    put(t, A, a.normal | 6);
    put(t, B, b.hours24);
    clear(t);
  },
  cases: [
    {
      name: "register A: UIP is not written",
      steps: (t) => {
        put(t, A, 0xa6);
        get(t, A, { is: 0x26, mask: 0x7f });
        put(t, B, b.set | b.hours24);
        get(t, A, 0x26);
      },
    },
    {
      name: "register B reads back",
      steps: (t) => {
        for (const value of [
          b.hours24,
          b.hours24 | b.binary,
          b.binary,
          b.set | b.hours24,
          b.alarm | b.hours24,
        ]) {
          put(t, B, value);
          get(t, B, value);
        }
      },
    },
    {
      name: "registers C and D are not written; D has VRT and seven zeros, C four zeros",
      steps: (t) => {
        put(t, D, 0);
        get(t, D, 0x80);
        put(t, C, 0xff);
        get(t, C, { is: 0, mask: c.irq | c.alarm | 0x0f });
      },
    },
    {
      name: "the static RAM, and bit 7 of the index, which is no part of it",
      steps: (t) => {
        for (const at of [0x40, 0x5f, 0x7f]) put(t, at, at ^ 0xa5);
        for (const at of [0x40, 0x5f, 0x7f]) {
          get(t, at, at ^ 0xa5);
          get(t, at | 0x80, at ^ 0xa5);
        }
        t.out(0x70, 0x0d);
      },
    },
    {
      name: "SET: what is written stays as it is, and stands still",
      steps: (t) => {
        setDate(t, [0x20, 0x24, 0x02, 0x29, 0x05, 0x12, 0x34, 0x56], b.set | b.hours24);
        put(t, B, b.set | b.hours24);
        sees(t, [0x20, 0x24, 0x02, 0x29, 0x05, 0x12, 0x34, 0x56]);
        t.sleep(1100 * MS);
        sees(t, [0x20, 0x24, 0x02, 0x29, 0x05, 0x12, 0x34, 0x56]);
        get(t, C, { is: 0, mask: c.update });
      },
      notQemu: "sets UF once",
    },
    {
      name: "SET clears UIE",
      steps: (t) => {
        put(t, B, b.update | b.hours24);
        put(t, B, b.set | b.update | b.hours24);
        get(t, B, b.set | b.hours24);
      },
    },
    rollover(
      "the year ends, and with it the century",
      [0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59],
      [0x20, 0x00, 0x01, 0x01, 7, 0x00, 0x00, 0x00],
    ),
    rollover(
      "a leap year",
      [0x20, 0x24, 0x02, 0x28, 4, 0x23, 0x59, 0x59],
      [0x20, 0x24, 0x02, 0x29, 5, 0x00, 0x00, 0x00],
    ),
    rollover(
      "a year that is none",
      [0x20, 0x23, 0x02, 0x28, 3, 0x23, 0x59, 0x59],
      [0x20, 0x23, 0x03, 0x01, 4, 0x00, 0x00, 0x00],
    ),
    rollover(
      "a month of 30 days, and the week",
      [0x20, 0x23, 0x09, 0x30, 7, 0x23, 0x59, 0x59],
      [0x20, 0x23, 0x10, 0x01, 1, 0x00, 0x00, 0x00],
    ),
    {
      ...rollover(
        "the day of the week is a counter of its own",
        [0x20, 0x24, 0x01, 0x15, 6, 0x23, 0x59, 0x59], // a Monday
        [0x20, 0x24, 0x01, 0x16, 7, 0x00, 0x00, 0x00],
      ),
      notQemu: "computes it from the date",
    },
    rollover(
      "12 hours: 11:59:59 PM is followed by 12 AM",
      [0x20, 0x24, 0x01, 0x15, 2, 0x91, 0x59, 0x59],
      [0x20, 0x24, 0x01, 0x16, 3, 0x12, 0x00, 0x00],
      0,
    ),
    rollover(
      "12 hours: 11:59:59 AM is followed by 12 PM",
      [0x20, 0x24, 0x01, 0x15, 2, 0x11, 0x59, 0x59],
      [0x20, 0x24, 0x01, 0x15, 2, 0x92, 0x00, 0x00],
      0,
    ),
    rollover(
      "12 hours: 12:59:59 PM is followed by 1 PM",
      [0x20, 0x24, 0x01, 0x15, 2, 0x92, 0x59, 0x59],
      [0x20, 0x24, 0x01, 0x15, 2, 0x81, 0x00, 0x00],
      0,
    ),
    rollover("12 hours, binary", [20, 24, 1, 15, 2, 0x8b, 59, 59], [20, 24, 1, 16, 3, 12, 0, 0], b.binary),
    rollover("binary", [20, 24, 12, 31, 3, 23, 59, 59], [20, 25, 1, 1, 4, 0, 0, 0], b.binary | b.hours24),
    {
      name: "an update comes each second, and not when its interrupt is asked for",
      steps: (t) => {
        nextSecond(t);
        t.sleep(400 * MS);
        clear(t);
        put(t, B, b.hours24 | b.update);
        t.stamp().halt(CLOCK_VECTOR);
        t.stamp({
          rule: "0.6 s later",
          holds: (value, before) => Math.abs(((value - before.at(-2)!) & 0xff_ffff) - 2_147_000) < 100_000,
        });
        clear(t);
        t.out(0xa0, 0x20).out(0x20, 0x20);
      },
    },
    {
      name: "setting the time does not move the second's beginning",
      steps: (t) => {
        nextSecond(t);
        t.sleep(400 * MS);
        setDate(t, [0x20, 0x24, 0x01, 0x15, 2, 0x12, 0x00, 0x00]);
        clear(t);
        put(t, B, b.hours24 | b.update);
        t.stamp().halt(CLOCK_VECTOR);
        t.stamp({
          rule: "0.6 s later",
          holds: (value, before) => Math.abs(((value - before.at(-2)!) & 0xff_ffff) - 2_147_000) < 100_000,
        });
        clear(t);
        t.out(0xa0, 0x20).out(0x20, 0x20);
        get(t, 0, 1);
      },
    },
    {
      name: "divider reset: no update; the first comes 500 ms after its end",
      steps: (t) => {
        nextSecond(t);
        setDate(t, [0x20, 0x24, 0x01, 0x15, 2, 0x12, 0x00, 0x10]);
        t.sleep(100 * MS);
        put(t, A, 0x70 | 6);
        clear(t);
        t.sleep(1500 * MS);
        get(t, C, { is: 0, mask: c.update });
        get(t, 0, 0x10);
        put(t, A, a.normal | 6);
        put(t, B, b.hours24 | b.update);
        t.stamp().halt(CLOCK_VECTOR);
        t.stamp({
          rule: "0.5 s later",
          holds: (value, before) => Math.abs(((value - before.at(-2)!) & 0xff_ffff) - 1_789_773) < 60_000,
        });
        clear(t);
        t.out(0xa0, 0x20).out(0x20, 0x20);
        get(t, 0, 0x11);
      },
      notQemu: "goes on after a whole second",
    },
    {
      name: "UIP: 244 us before the update, which takes 1984 us; never while SET",
      steps: (t) => {
        nextSecond(t);
        get(t, A, 0x26);
        t.sleep(990 * MS);
        clear(t);
        t.out(0x70, A)
          .poll(0x71, a.uip, a.uip, 20 * MS)
          .stamp()
          .poll(0x71, a.uip, 0, 20 * MS);
        t.stamp({
          rule: "2228 us later",
          holds: (value, before) => Math.abs(((value - before.at(-2)!) & 0xff_ffff) - 7975) < 400,
        });
        get(t, C, { is: c.update, mask: c.update });
      },
      notQemu: "has it for 244 us",
    },
    {
      name: "alarm: at the time that is written, with its interrupt",
      steps: (t) => {
        setDate(t, [0x20, 0x24, 0x01, 0x15, 2, 0x12, 0x34, 0x57]);
        for (const [register, value] of [
          [1, 0x58],
          [3, 0x34],
          [5, 0x12],
        ] as const)
          put(t, register, value);
        clear(t);
        put(t, B, b.hours24 | b.alarm);
        t.halt(CLOCK_VECTOR);
        get(t, C, { is: c.irq | c.alarm | c.update, mask: c.irq | c.alarm | c.update });
        get(t, C, { is: 0, mask: c.irq | c.alarm | c.update });
        get(t, 0, 0x58);
        t.out(0xa0, 0x20).out(0x20, 0x20);
      },
    },
    ...[0xc0, 0xd7, 0xff].map((wildcard) => ({
      name: `alarm: ${wildcard.toString(16)} matches anything`,
      steps: (t: Script) => {
        for (const register of [1, 3, 5]) put(t, register, wildcard);
        clear(t);
        put(t, B, b.hours24 | b.alarm);
        t.halt(CLOCK_VECTOR);
        get(t, C, { is: c.irq | c.alarm, mask: c.irq | c.alarm });
        t.out(0xa0, 0x20).out(0x20, 0x20);
        get(t, 1, wildcard);
      },
    })),
    {
      name: "alarm: not at another hour, nor the other half of the day",
      steps: (t) => {
        setDate(t, [0x20, 0x24, 0x01, 0x15, 2, 0x92, 0x34, 0x57], 0);
        for (const [register, value] of [
          [1, 0xff],
          [3, 0xff],
          [5, 0x12],
        ] as const)
          put(t, register, value);
        clear(t);
        nextSecond(t, 0);
        get(t, C, { is: 0, mask: c.alarm });
        put(t, 5, 0x92);
        clear(t);
        put(t, B, b.update);
        t.halt(CLOCK_VECTOR);
        get(t, C, { is: c.irq | c.alarm | c.update, mask: c.irq | c.alarm | c.update });
        t.out(0xa0, 0x20).out(0x20, 0x20);
      },
    },
    ...(
      [
        [6, 34_956],
        [3, 4370],
        [8, 139_826],
        [1, 139_826],
        [2, 279_652],
      ] as const
    ).map(([rate, period]) => ({
      name: `periodic interrupt: rate ${rate}`,
      steps: (t: Script) => {
        put(t, A, a.normal | rate);
        clear(t);
        put(t, B, b.hours24 | b.periodic);
        const tick = () => {
          t.halt(CLOCK_VECTOR);
          t.out(0x70, C).out(0xa0, 0x20).out(0x20, 0x20).out(0x70, C);
          return t;
        };
        tick();
        clear(t);
        t.stamp();
        for (let count = 0; count < 5; count++) {
          tick();
          get(t, C, { is: c.irq | c.periodic, mask: c.irq | c.periodic | c.alarm });
        }
        t.stamp({ ...(wait(period / 2) as object) } as Expected);
      },
      notQemu: "the host's time",
    })),
    {
      name: "periodic flag: without its interrupt too, and never at rate 0",
      steps: (t) => {
        put(t, A, a.normal | 6);
        clear(t);
        t.delay(2 * MS);
        get(t, C, { is: c.periodic, mask: c.irq | c.periodic });
        put(t, A, a.normal);
        clear(t);
        t.delay(5 * MS);
        get(t, C, { is: 0, mask: c.periodic });
      },
      notQemu: "sets it only with its interrupt",
    },
    {
      name: "IRQF: an enabled flag; the line falls when register C is read, not at the EOI",
      steps: (t) => {
        put(t, A, a.normal | 6);
        clear(t);
        put(t, B, b.hours24 | b.periodic);
        t.halt(CLOCK_VECTOR)
          .out(0xa0, 0x20)
          .out(0x20, 0x20)
          .delay(5 * MS)
          .none();
        get(t, C, { is: c.irq | c.periodic, mask: c.irq | c.periodic });
        t.wait(5 * MS, CLOCK_VECTOR)
          .out(0xa0, 0x20)
          .out(0x20, 0x20);
        put(t, B, b.hours24);
        clear(t);
        t.wait(5 * MS, NONE);
      },
    },
  ],
};
