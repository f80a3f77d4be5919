// The high precision event timers: IA-PC HPET Specification 1.0a, by its sections. Timers are routed to pin 20 of the I/O
// APIC; the counter runs at 100 MHz here and on QEMU.

import { NONE } from "./image.js";
import type { Expected, Script, Table } from "./script.js";

const BASE = 0xfed0_0000;
const [GCAP, PERIOD, CONF, STATUS, COUNTER] = [0, 4, 0x10, 0x20, 0xf0].map((at) => BASE + at) as [
  number,
  number,
  number,
  number,
  number,
];
const timer = (index: number) => {
  const at = BASE + 0x100 + 0x20 * index;
  return { conf: at, routes: at + 4, comparator: at + 8, message: at + 16 };
};
const general = { enable: 1, legacy: 2 } as const;
const conf = { level: 2, enable: 4, periodic: 8, set: 0x40, mode32: 0x100, fsb: 0x4000 } as const;
const PIN = 20;
const ROUTE = PIN << 9;
const VECTOR = 0x64;
const LEVEL = 0x8000;
const MASKED = 0x1_0000;
const IO_APIC = 0xfec0_0000;
/** Pins from 16 on are (ICH10 data sheet, 5.9.2). */
const ACTIVE_LOW = 0x2000;
const LOCAL = 0xfee0_0000;
/** 100 us. */
const TICKS = 10_000;

const pin = (t: Script, low: number) =>
  t
    .write(IO_APIC, 0x11 + 2 * PIN)
    .write(IO_APIC + 16, 0)
    .write(IO_APIC, 0x10 + 2 * PIN)
    .write(IO_APIC + 16, low | ACTIVE_LOW);
const eoi = (t: Script) => t.write(LOCAL + 0xb0, 0);
const start = (t: Script, more = 0) => t.write(CONF, general.enable | more);
/** A counter that stands at 0, and a timer's comparator. */
const arm = (t: Script, index: number, bits: number, comparator: number, high = 0) => {
  const { conf: at, comparator: to } = timer(index);
  return t.write(CONF, 0).write8(COUNTER, 0, 0).write(at, bits).write8(to, comparator, high);
};
const range = (from: number, to: number): Expected => ({ from, to });

export const hpet: Table = {
  device: "HPET",
  document: "IA-PC HPET Specification 1.0a",
  before: (t) => {
    t.write(CONF, 0);
    for (const index of [0, 1, 2])
      t.write(timer(index).conf, 0).write8(timer(index).comparator, 0xffff_ffff, 0xffff_ffff);
    t.write(STATUS, 7);
    t.out(0x43, 0x32).out(0x40, 0).out(0x40, 0);
    t.out(0x20, 0x11).out(0x21, 0x20).out(0x21, 4).out(0x21, 1).out(0x21, 0xfa);
    t.out(0xa0, 0x11).out(0xa1, 0x28).out(0xa1, 2).out(0xa1, 1).out(0xa1, 0xfe);
    t.write(LOCAL + 0xf0, 0x1ff).write(LOCAL + 0x350, 0x700);
    pin(t, VECTOR);
    t.interrupt();
    eoi(t);
  },
  cases: [
    {
      name: "2.3.4 general capabilities: a revision, three timers or more, 64 bits, legacy replacement; not written",
      steps: (t) => {
        const good: Expected = {
          rule: "REV_ID not 0, NUM_TIM_CAP 2 or more, COUNT_SIZE_CAP, LEG_RT_CAP",
          holds: (value) => (value & 0xff) !== 0 && ((value >> 8) & 31) >= 2 && (value & 0xa000) === 0xa000,
        };
        t.read(GCAP, good).write(GCAP, 0).read(GCAP, good).read8(GCAP, good, range(1, 0x05f5_e100));
        t.read(PERIOD, range(1, 0x05f5_e100)).write(PERIOD, 1).read(PERIOD, range(100_000, 0x05f5_e100));
      },
    },
    {
      name: "2.3.5 general configuration: two bits",
      steps: (t) => {
        t.write(CONF, 0xffff_fffe)
          .read(CONF, general.legacy)
          .write(CONF, 0)
          .read(CONF, 0)
          .read(CONF + 4, 0);
      },
    },
    {
      name: "2.3.7 the counter stands still while it is not enabled, and is written then",
      steps: (t) => {
        t.write8(COUNTER, 0x1234_5678, 0x9abc_def0).delay(10).read8(COUNTER, 0x1234_5678, 0x9abc_def0);
        t.write(COUNTER, 1)
          .read8(COUNTER, 1, 0x9abc_def0)
          .write(COUNTER + 4, 2)
          .read8(COUNTER, 1, 2);
        start(t)
          .delay(100)
          .write(CONF, 0)
          .read(COUNTER, range(9_900, 200_000))
          .read(COUNTER + 4, 2);
      },
    },
    {
      name: "2.3.7 the counter carries into its upper half",
      steps: (t) => {
        t.write8(COUNTER, 0xffff_ff00, 5);
        start(t).delay(10).write(CONF, 0).read8(COUNTER, range(1, 100_000), 6);
      },
    },
    {
      name: "2.3.8 timer configuration: what it can do is not written, bits 0 and 7 are reserved",
      steps: (t) => {
        t.write(timer(0).conf, 0).read(timer(0).conf, { is: 0x30, mask: 0x7fff });
        t.write(timer(0).conf, 0xffff_3fff).read(timer(0).conf, {
          is: 0x30,
          mask: 0xffff_00b1 & 0xffff_7fff,
        });
        t.write(timer(0).conf, 0).read(timer(0).conf, { is: 0x30, mask: 0xffff_7fff });
      },
    },
    {
      name: "2.3.8 Tn_INT_ROUTE_CNF: a pin that cannot be had does not read back",
      steps: (t) => {
        t.write(timer(0).conf, 31 << 9);
        t.read(timer(0).conf, { rule: "another route", holds: (value) => ((value >> 9) & 31) !== 31 });
        t.write(timer(0).conf, ROUTE).read(timer(0).conf, { is: ROUTE, mask: 31 << 9 });
        t.read(timer(0).routes, { is: 1 << PIN, mask: (1 << PIN) | (1 << 31) });
      },
      notQemu: "takes every route",
    },
    {
      name: "one-shot, edge: one interrupt when the counter is there, and no status bit",
      steps: (t) => {
        arm(t, 0, ROUTE | conf.enable, TICKS);
        t.none();
        start(t).none().wait(1000, VECTOR);
        eoi(t).read(STATUS, 0).none().delay(200).none();
      },
      notQemu: "the host's time",
    },
    {
      name: "one-shot, level: interrupt and status bit until the bit is written",
      steps: (t) => {
        pin(t, LEVEL | VECTOR);
        arm(t, 0, ROUTE | conf.enable | conf.level, TICKS);
        start(t).wait(1000, VECTOR).read(STATUS, 1);
        eoi(t).interrupt(VECTOR).write(STATUS, 2).read(STATUS, 1).write(STATUS, 1).read(STATUS, 0);
        eoi(t).none();
      },
      notQemu: "the host's time",
    },
    {
      name: '2.3.8 Tn_INT_ENB_CNF 0: "the timer will still ... generate appropriate status bits", without interrupts',
      steps: (t) => {
        pin(t, LEVEL | VECTOR);
        arm(t, 1, ROUTE | conf.level, TICKS);
        start(t)
          .delay(200)
          .read(STATUS, 2)
          .none()
          .write(timer(1).conf, ROUTE | conf.level | conf.enable);
        t.interrupt(VECTOR).write(STATUS, 2);
        eoi(t).none();
      },
      notQemu: "does not run it",
    },
    {
      name: "GEN_CONF bit 0: no interrupts while the counter stands",
      steps: (t) => {
        pin(t, MASKED | LEVEL | VECTOR);
        arm(t, 0, ROUTE | conf.enable | conf.level, TICKS);
        start(t).delay(200).write(CONF, 0);
        pin(t, LEVEL | VECTOR);
        t.none().read(STATUS, 1);
        start(t).interrupt(VECTOR).write(STATUS, 1);
        eoi(t).none();
      },
      notQemu: "lets it through",
    },
    {
      name: "periodic: an interrupt each period, and the comparator is the next one",
      steps: (t) => {
        arm(t, 0, ROUTE | conf.enable | conf.periodic | conf.set, TICKS);
        t.write8(timer(0).comparator, TICKS, 0);
        start(t);
        for (let count = 0; count < 5; count++) {
          t.wait(1000, VECTOR);
          eoi(t);
        }
        t.write(CONF, 0).read8(timer(0).comparator, {
          rule: "a multiple of the period, from the sixth on",
          holds: (value) => value % TICKS === 0 && value >= 6 * TICKS && value < 30 * TICKS,
        });
      },
      notQemu: "counts its periods otherwise",
    },
    {
      name: "periodic: Tn_VAL_SET_CNF sets the comparator apart from the period",
      steps: (t) => {
        t.write(timer(0).conf, ROUTE | conf.enable | conf.periodic | conf.set);
        t.write8(COUNTER, 0, 0)
          .write8(timer(0).comparator, 5 * TICKS, 0)
          .write8(timer(0).comparator, TICKS, 0);
        t.read(timer(0).comparator, 5 * TICKS);
        start(t).delay(200).none().wait(1000, VECTOR);
        eoi(t).wait(250, VECTOR);
        eoi(t);
      },
      notQemu: "by the host's time",
    },
    {
      name: "Tn_32MODE_CNF: a comparator of 32 bits, which matches again when the lower half wraps",
      steps: (t) => {
        t.write(timer(0).conf, ROUTE | conf.enable | conf.mode32).write8(
          timer(0).comparator,
          0x100,
          0xffff_ffff,
        );
        t.read8(timer(0).comparator, 0x100, 0).write8(COUNTER, 0xffff_f000, 7);
        start(t).none().wait(1000, VECTOR);
        eoi(t);
      },
      notQemu: "keeps the upper half",
    },
    {
      name: "Tn_32MODE_CNF cuts a comparator that has more",
      steps: (t) => {
        arm(t, 0, ROUTE, 5, 6)
          .read8(timer(0).comparator, 5, 6)
          .write(timer(0).conf, ROUTE | conf.mode32);
        t.read8(timer(0).comparator, 5, 0);
      },
      notQemu: "keeps the upper half",
    },
    {
      name: "64 bits: no match when only the lower halves are equal",
      steps: (t) => {
        arm(t, 0, ROUTE | conf.enable, TICKS, 1);
        start(t).delay(300).none();
      },
    },
    {
      name: "2.3.5 LEG_RT_CNF: timer 0 is IRQ 0, timer 1 is IRQ 8, and the 8254 is neither",
      steps: (t) => {
        t.out(0x43, 0x34).out(0x40, 0xa9).out(0x40, 4); // the 8254: 1 ms
        arm(t, 0, conf.enable, TICKS);
        arm(t, 1, conf.enable, 20 * TICKS);
        t.write(CONF, general.legacy).out(0x20, 0x0a);
        t.out(0x20, 0x11).out(0x21, 0x20).out(0x21, 4).out(0x21, 1).out(0x21, 0xfa);
        start(t, general.legacy)
          .wait(3000, 0x20)
          .out(0x20, 0x20)
          .wait(3000, 0x28)
          .out(0xa0, 0x20)
          .out(0x20, 0x20);
        t.wait(3000, NONE)
          .write(CONF, 0)
          .wait(3000, 0x20)
          .out(0x20, 0x20)
          .out(0x43, 0x32)
          .out(0x40, 0)
          .out(0x40, 0);
      },
    },
    {
      name: "2.3.9 FSB: the interrupt is a message",
      steps: (t) => {
        t.read(timer(2).conf, { is: 0x8000, mask: 0x8000 }).write8(timer(2).message, 0x66, LOCAL);
        t.read8(timer(2).message, 0x66, LOCAL);
        arm(t, 2, conf.enable | conf.fsb, TICKS);
        start(t).wait(1000, 0x66);
        eoi(t).none();
      },
      notQemu: "cannot, unless asked to",
    },
    {
      name: "a comparator that was passed long ago matches no more",
      steps: (t) => {
        t.write(CONF, 0)
          .write8(COUNTER, TICKS, 0)
          .write(timer(0).conf, ROUTE | conf.enable)
          .write8(timer(0).comparator, 100, 0);
        start(t).delay(300).none();
        pin(t, MASKED);
      },
      notQemu: "takes it for due",
    },
    {
      name: "reserved registers read as 0",
      steps: (t) => {
        for (const at of [0x08, 0x14, 0x18, 0x24, 0x28, 0xf8, 0x160, 0x3fc])
          t.write(BASE + at, 0xffff_ffff).read(BASE + at, 0);
      },
      notQemu: "reads on into what is no timer",
    },
  ],
};
