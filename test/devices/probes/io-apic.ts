// The I/O APIC: Intel 82093AA data sheet (290566), by its sections. The test device drives pins; the local APIC takes all.

import { NONE } from "./image.js";
import type { Expected, Script, Table } from "./script.js";

const BASE = 0xfec0_0000;
const [SELECT, WINDOW, EOI_REGISTER] = [BASE, BASE + 0x10, BASE + 0x40];
const LOCAL = 0xfee0_0000;
const [LOCAL_EOI, LDR, DFR, SVR, LINT0, TPR] = [0xb0, 0xd0, 0xe0, 0xf0, 0x350, 0x80].map(
  (register) => LOCAL + register,
);
const LINES = 0x2000;
const [PIN, VECTOR] = [11, 0x61];
const bit = {
  status: 0x1000,
  low: 0x2000,
  remote: 0x4000,
  level: 0x8000,
  masked: 0x1_0000,
  logical: 0x800,
} as const;

const put = (t: Script, index: number, value: number) => t.write(SELECT, index).write(WINDOW, value);
const get = (t: Script, index: number, expected?: Expected) => t.write(SELECT, index).read(WINDOW, expected);
const entry = (t: Script, low: number, destination = 0, pin = PIN) => {
  put(t, 0x11 + 2 * pin, (destination << 24) >>> 0);
  return put(t, 0x10 + 2 * pin, low);
};
const reads = (t: Script, low: number, pin = PIN) => get(t, 0x10 + 2 * pin, low);
const raise = (t: Script, pin = PIN) => t.out(LINES + pin, 1);
const lower = (t: Script, pin = PIN) => t.out(LINES + pin, 0);
const eoi = (t: Script) => t.write(LOCAL_EOI!, 0);

export const ioApic: Table = {
  device: "I/O APIC",
  document: "Intel 82093AA data sheet (290566)",
  before: (t) => {
    t.out(0x21, 0xff).out(0xa1, 0xff).write(SVR!, 0x1ff).write(LINT0!, bit.masked).write(TPR!, 0);
    t.write(LDR!, 0x0100_0000).write(DFR!, 0xffff_ffff);
    for (const pin of [PIN, 10]) {
      entry(t, bit.masked, 0, pin);
      lower(t, pin);
    }
    for (let pending = 0; pending < 2; pending++) {
      t.interrupt();
      eoi(t);
    }
  },
  cases: [
    {
      name: "3.1.1 IOREGSEL: eight bits, read and written",
      steps: (t) => {
        for (const index of [0, 1, 0x10, 0x3f]) t.write(SELECT, index).read(SELECT, index);
        t.write(SELECT, 0x10).write(SELECT, 0x11, 1).read(SELECT, 0x11, 1);
      },
    },
    {
      name: "3.2.1 IOAPICID: bits 27-24",
      steps: (t) => {
        put(t, 0, 0xffff_ffff);
        get(t, 0, 0x0f00_0000);
        put(t, 0, 0x0500_0000);
        get(t, 0, 0x0500_0000);
        get(t, 2, { is: 0x0500_0000, mask: 0x0f00_0000 });
        put(t, 0, 0);
      },
    },
    {
      name: "3.2.2 IOAPICVER: 24 entries; it is not written",
      steps: (t) => {
        get(t, 1, { is: 0x17_0000, mask: 0xffff_0000 });
        put(t, 1, 0xffff_ffff);
        get(t, 1, { is: 0x17_0000, mask: 0xffff_0000 });
      },
    },
    {
      name: "3.2.4 IOREDTBL: delivery status and remote IRR are not written, nor what is reserved",
      steps: (t) => {
        put(t, 0x10 + 2 * PIN, 0xffff_ffff);
        reads(t, 0x1_afff);
        put(t, 0x11 + 2 * PIN, 0xffff_ffff);
        get(t, 0x11 + 2 * PIN, 0xff00_0000);
        put(t, 0x11 + 2 * PIN, 0x1200_0000);
        get(t, 0x11 + 2 * PIN, 0x1200_0000);
      },
      notQemu: "keeps reserved bits",
    },
    {
      name: "3.2.4 every entry is one of its own",
      steps: (t) => {
        for (let pin = 0; pin < 24; pin++) put(t, 0x10 + 2 * pin, bit.masked | (0x80 + pin));
        for (let pin = 0; pin < 24; pin++) reads(t, bit.masked | (0x80 + pin), pin);
        for (let pin = 0; pin < 24; pin++) put(t, 0x10 + 2 * pin, bit.masked);
      },
    },
    {
      name: "edge: one message an edge",
      steps: (t) => {
        entry(t, VECTOR!);
        raise(t).interrupt(VECTOR!);
        eoi(t).none();
        reads(t, VECTOR!);
        lower(t).none();
        raise(t).interrupt(VECTOR!);
        eoi(t);
      },
    },
    {
      name: "edge: one on a masked pin is not remembered",
      steps: (t) => {
        entry(t, bit.masked | VECTOR!);
        raise(t).none();
        entry(t, VECTOR!);
        t.none();
        lower(t);
        raise(t).interrupt(VECTOR!);
        eoi(t);
      },
    },
    {
      name: "level: remote IRR from the message to its EOI, and again while the pin asks",
      steps: (t) => {
        entry(t, bit.level | VECTOR!);
        reads(t, bit.level | VECTOR!);
        raise(t).interrupt(VECTOR!);
        reads(t, bit.level | bit.remote | VECTOR!);
        t.none();
        eoi(t).interrupt(VECTOR!);
        lower(t);
        reads(t, bit.level | bit.remote | VECTOR!);
        eoi(t).none();
        reads(t, bit.level | VECTOR!);
      },
    },
    {
      name: "level: one message until its EOI, however often the pin asks",
      steps: (t) => {
        entry(t, bit.level | VECTOR!);
        raise(t).interrupt(VECTOR!);
        raise(t);
        lower(t);
        raise(t);
        lower(t);
        eoi(t).none();
      },
    },
    {
      name: "level: a masked pin asks when the mask goes, if it still does",
      steps: (t) => {
        entry(t, bit.level | bit.masked | VECTOR!);
        raise(t).none();
        reads(t, bit.level | bit.masked | VECTOR!);
        entry(t, bit.level | VECTOR!);
        t.interrupt(VECTOR!);
        lower(t);
        eoi(t);
        entry(t, bit.level | bit.masked | VECTOR!);
        raise(t);
        lower(t);
        entry(t, bit.level | VECTOR!);
        t.none();
      },
    },
    {
      name: "level: masked between the message and its EOI, it asks no more",
      steps: (t) => {
        entry(t, bit.level | VECTOR!);
        raise(t).interrupt(VECTOR!);
        entry(t, bit.level | bit.masked | VECTOR!);
        reads(t, bit.level | bit.remote | bit.masked | VECTOR!);
        eoi(t).none();
        reads(t, bit.level | bit.masked | VECTOR!);
        entry(t, bit.level | VECTOR!);
        t.interrupt(VECTOR!);
        lower(t);
        eoi(t);
      },
    },
    {
      name: "level: an EOI of another vector is not its own",
      steps: (t) => {
        entry(t, bit.level | VECTOR!);
        entry(t, bit.level | 0x71, 0, 10);
        raise(t).interrupt(VECTOR!);
        raise(t, 10).interrupt(0x71);
        lower(t, 10);
        eoi(t);
        reads(t, bit.level | bit.remote | VECTOR!);
        reads(t, bit.level | 0x71, 10);
        lower(t);
        eoi(t);
        reads(t, bit.level | VECTOR!);
      },
    },
    {
      name: "made edge-triggered, an entry forgets its remote IRR",
      steps: (t) => {
        entry(t, bit.level | VECTOR!);
        raise(t).interrupt(VECTOR!);
        lower(t);
        entry(t, bit.masked | VECTOR!);
        entry(t, bit.level | VECTOR!);
        reads(t, bit.level | VECTOR!);
        eoi(t).none();
      },
    },
    {
      name: "the EOI register of version 20H does without the local APIC",
      steps: (t) => {
        entry(t, bit.level | VECTOR!);
        raise(t).interrupt(VECTOR!);
        lower(t).write(EOI_REGISTER, 0x33);
        reads(t, bit.level | bit.remote | VECTOR!);
        t.write(EOI_REGISTER, VECTOR!);
        reads(t, bit.level | VECTOR!);
        eoi(t);
      },
    },
    {
      name: "destination: physical, of an APIC that is not there, and all",
      steps: (t) => {
        entry(t, VECTOR!, 7);
        raise(t).none();
        lower(t);
        entry(t, VECTOR!, 0xff);
        raise(t).interrupt(VECTOR!);
        eoi(t);
      },
    },
    {
      name: "destination: logical, flat model",
      steps: (t) => {
        entry(t, bit.logical | VECTOR!, 2);
        raise(t).none();
        lower(t);
        entry(t, bit.logical | VECTOR!, 3);
        raise(t).interrupt(VECTOR!);
        eoi(t);
      },
    },
    {
      name: "destination: logical, cluster model",
      steps: (t) => {
        t.write(DFR!, 0x0fff_ffff).write(LDR!, 0x2100_0000);
        entry(t, bit.logical | VECTOR!, 0x11);
        raise(t).none();
        lower(t);
        entry(t, bit.logical | VECTOR!, 0x23);
        raise(t).interrupt(VECTOR!);
        eoi(t);
      },
    },
    {
      name: "delivery mode 001: lowest priority",
      steps: (t) => {
        entry(t, bit.logical | 0x100 | VECTOR!, 1);
        raise(t).interrupt(VECTOR!);
        eoi(t);
      },
    },
    {
      name: "delivery mode 100: NMI, whose vector means nothing",
      steps: (t) => {
        entry(t, 0x400 | VECTOR!);
        raise(t).interrupt(2);
      },
    },
    {
      name: "delivery mode 111: ExtINT, whose vector is the 8259's",
      steps: (t) => {
        t.out(0x43, 0x32).out(0x40, 0).out(0x40, 0);
        t.out(0x20, 0x11).out(0x21, 0x20).out(0x21, 4).out(0x21, 1).out(0x21, 0xff);
        t.out(LINES + 5, 0).delay(20);
        entry(t, 0x700, 0, 0);
        t.out(0x21, 0xdf)
          .out(LINES + 5, 1)
          .interrupt(0x25)
          .out(0x20, 0x20)
          .out(LINES + 5, 0)
          .none()
          .out(0x21, 0xff);
        entry(t, bit.masked, 0, 0);
      },
      notQemu: "has no 8259 on its pin 0",
    },
    {
      name: "polarity is kept",
      steps: (t) => {
        entry(t, bit.masked | bit.low | VECTOR!);
        reads(t, bit.masked | bit.low | VECTOR!);
      },
    },
    {
      name: "a message waits in the local APIC for its priority",
      steps: (t) => {
        t.write(TPR!, 0x70);
        entry(t, VECTOR!);
        raise(t).interrupt(NONE).write(TPR!, 0x50).interrupt(VECTOR!);
        eoi(t);
      },
    },
  ],
};
