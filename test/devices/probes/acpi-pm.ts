// ACPI fixed hardware: ACPI 6.4, 4.8.3. The blocks are where the FADT says: PM1a at 600H, the timer at 608H; the SCI is
// line 9.

import type { Expected, Script, Table } from "./script.js";

const [STATUS, ENABLE, CONTROL, TIMER] = [0x600, 0x602, 0x604, 0x608];
const SCI = 0x29;
const TIMER_BIT = 1;
const clear = (t: Script) => t.out(ENABLE, 0, 2).out(STATUS, 0xffff, 2);
const later = (from: number, to: number): Expected => ({
  rule: `${from} to ${to} ticks later`,
  holds: (value, before) => {
    const gone = (value - before.at(-1)!) & 0xff_ffff;
    return gone >= from && gone <= to;
  },
});

export const acpiPm: Table = {
  device: "ACPI PM",
  document: "ACPI 6.4, 4.8.3",
  before: (t) => {
    clear(t);
    t.out(0x43, 0x32).out(0x40, 0).out(0x40, 0);
    t.out(0x20, 0x11).out(0x21, 0x20).out(0x21, 4).out(0x21, 1).out(0x21, 0xfb);
    t.out(0xa0, 0x11).out(0xa1, 0x28).out(0xa1, 2).out(0xa1, 1).out(0xa1, 0xfd);
    t.out(0x4d1, 2);
  },
  cases: [
    {
      name: "4.8.3.3 the timer: 24 bits, 3.579545 MHz, not written",
      steps: (t) => {
        t.in(TIMER, { is: 0, mask: 0xff00_0000 }, 4).out(TIMER, 0, 4).delay(2).in(TIMER, later(1, 20_000), 4);
        t.sleep(10_000).in(TIMER, undefined, 4);
        t.in(TIMER, later(0, 5000), 4).sleep(100_000);
        t.in(TIMER, later(0, 0xff_ffff), 4);
      },
    },
    {
      name: "4.8.3.3 the timer's rate: 35,795 ticks in 10 ms",
      steps: (t) => {
        t.in(TIMER, undefined, 4)
          .sleep(10_000)
          .in(
            TIMER,
            {
              rule: "10 ms later",
              holds: (value, before) => Math.abs(((value - before[0]!) & 0xff_ffff) - 35_795) < 300,
            },
            4,
          );
      },
      notQemu: "by the host's time",
    },
    {
      name: "4.8.3.1.2 PM1 enable: timer, global lock, power button, clock; the rest is reserved",
      steps: (t) => {
        t.out(ENABLE, 0x0520, 2)
          .in(ENABLE, 0x0520, 2)
          .out(ENABLE, 0x8a1e, 2)
          .in(ENABLE, { is: 0, mask: 0x881e }, 2);
        t.out(ENABLE, 0, 2)
          .out(ENABLE + 1, 1)
          .in(ENABLE, 0x0100, 2)
          .in(ENABLE, 0)
          .in(ENABLE + 1, 1);
      },
      notQemu: "keeps reserved bits",
    },
    {
      name: "4.8.3.1.1 TMR_STS: set when the timer's highest bit changes; cleared by a 1, not by a 0",
      steps: (t) => {
        t.sleep(2_400_000).in(STATUS, { is: TIMER_BIT, mask: TIMER_BIT }, 2).out(STATUS, 0, 2);
        t.in(STATUS, { is: TIMER_BIT, mask: TIMER_BIT }, 2)
          .out(STATUS + 1, 0xff)
          .in(STATUS, { is: TIMER_BIT, mask: TIMER_BIT });
        t.out(STATUS, TIMER_BIT).in(STATUS, { is: 0, mask: TIMER_BIT }, 2);
      },
    },
    {
      name: "4.8.3.1.2 TMR_EN: the SCI is asserted while status and enable are",
      steps: (t) => {
        t.out(ENABLE, TIMER_BIT, 2).halt(SCI).in(STATUS, { is: TIMER_BIT, mask: TIMER_BIT }, 2);
        t.out(0xa0, 0x20)
          .out(0x20, 0x20)
          .interrupt(SCI)
          .out(ENABLE, 0, 2)
          .out(0xa0, 0x20)
          .out(0x20, 0x20)
          .none();
        t.out(ENABLE, TIMER_BIT, 2)
          .interrupt(SCI)
          .out(STATUS, TIMER_BIT, 2)
          .out(0xa0, 0x20)
          .out(0x20, 0x20)
          .none();
      },
    },
    {
      name: "4.8.3.2.1 PM1 control: GBL_RLS and SLP_EN read as 0, SLP_TYP is kept",
      steps: (t) => {
        t.out(CONTROL, 0x1c04, 2).in(CONTROL, { is: 0x1c00, mask: 0x3c04 }, 2);
        t.out(CONTROL, 0, 2).in(CONTROL, { is: 0, mask: 0x3c04 }, 2);
        t.out(CONTROL + 1, 0x0c)
          .in(CONTROL + 1, { is: 0x0c, mask: 0x3c })
          .out(CONTROL, 0, 2);
      },
      notQemu: "gives GBL_RLS back",
    },
    {
      name: "4.8.3.2.1 SCI_EN: there is no SMI command port, so ACPI mode it is",
      steps: (t) => void t.out(CONTROL, 0, 2).in(CONTROL, { is: 1, mask: 1 }, 2),
      notQemu: "has one",
    },
    {
      name: "status and enable as one dword",
      steps: (t) => void t.out(ENABLE, 0x0100, 2).in(STATUS, { is: 0x0100_0000, mask: 0xffff_0000 }, 4),
      notQemu: "does not join registers",
    },
  ],
};
