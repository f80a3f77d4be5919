// What lies between the devices: ports and addresses of nobody, ROM, the edges of RAM, and the small registers of a PC.
// Intel ICH9 data sheet (316972), 13.7; PCI Local Bus 3.0, 3.7.1: a read that nobody claims ends as all ones.

import type { Expected, Script, Table } from "./script.js";

const RAM_END = 32 << 20;
const ROM = 0xffff_fff0;
const LOW_ROM = 0xf_fff0;
const NOBODY = [0xd000_0000, 0xdfff_fff0, 0xfe00_0000, 0xfed8_0000, 0xf800_0000];
const ONES = 0xffff_ffff;
const reset = { hard: 2, cpu: 4, full: 8 } as const;

export const platform: Table = {
  device: "platform",
  document: "Intel ICH9 data sheet (316972), 13.7",
  notQemu: "QEMU 7.2 fails an assertion at a word read from the last port of its serial line",
  cases: [
    {
      name: "a port of nobody reads as ones, and takes whatever is written",
      steps: (t) => {
        for (const port of [0x100, 0x1f0, 0x2f8, 0x378, 0x3c0, 0x6000, 0xfff0])
          t.out(port, 0x55)
            .out(port, 0x5555, 2)
            .out(port, 0x5555_5555, 4)
            .in(port, 0xff)
            .in(port, 0xffff, 2)
            .in(port, ONES, 4);
        t.in(0xffff, 0xffff, 2).in(0xfffd, ONES, 4).out(0xffff, 0, 2).out(0xfffd, 0, 4);
      },
    },
    {
      name: "an address of nobody reads as ones, and takes whatever is written",
      steps: (t) => {
        for (const at of NOBODY) {
          t.write(at, 0x1234_5678)
            .write8(at, 1, 2)
            .write(at + 1, 3, 1)
            .write(at + 3, 4);
          t.read(at, 0xff, 1)
            .read(at, 0xffff, 2)
            .read(at, ONES)
            .read8(at, ONES, ONES)
            .read(at + 1, ONES)
            .read(at + 3, 0xffff, 2);
        }
      },
    },
    {
      name: "the end of RAM: an access across it is RAM and nobody",
      steps: (t) => {
        t.write(RAM_END - 4, 0x4433_2211)
          .read(RAM_END - 2, 0xffff_4433)
          .read(RAM_END - 1, 0xff44, 2)
          .read(RAM_END, ONES);
        t.read8(RAM_END - 4, 0x4433_2211, ONES)
          .read(RAM_END - 3, 0xff44_3322)
          .write(RAM_END - 2, 0x8877_6655)
          .read(RAM_END - 4, 0x6655_2211);
        t.write8(RAM_END - 4, 0xaaaa_bbbb, 0xcccc_dddd)
          .read(RAM_END - 4, 0xaaaa_bbbb)
          .read(RAM_END, ONES);
      },
    },
    {
      name: "the video hole: RAM up to it, nobody in it",
      steps: (t) => {
        t.read(0xa_0000, ONES)
          .write(0xa_0000, 0)
          .read(0xa_0000, ONES)
          .read(0xb_8000, ONES)
          .read(0xb_fffc, ONES);
      },
    },
    {
      name: "ROM is not written, at neither of its places",
      steps: (t) => {
        for (const at of [ROM, LOW_ROM]) {
          t.read(at).write(at, 0x1234_5678).write(at, 0, 1).write8(at, 0, 0);
          t.read(at, { rule: "as it was", holds: (value, before) => value === before.at(-1) });
        }
        t.read(ROM).read(LOW_ROM, {
          rule: "the same at both places",
          holds: (value, before) => value === before.at(-1),
        });
        t.read(ROM + 1, undefined, 2).read(ROM, {
          rule: "in parts as in whole",
          holds: (value, before) => (value >>> 8) % 0x1_0000 === before.at(-1),
        });
      },
    },
    {
      name: "port 80: POST codes are kept",
      steps: (t) => {
        for (const code of [0x00, 0x55, 0xff]) t.out(0x80, code).in(0x80, code);
      },
    },
    {
      name: "port 92: A20 is open, INIT_NOW is not; the rest is reserved",
      steps: (t) => void t.in(0x92, { is: 2, mask: 0xff }).out(0x92, 0xfe).in(0x92, { is: 2, mask: 3 }),
    },
    {
      name: "A20 is open while port 92 or the keyboard controller opens it; closed, bit 20 of an address is 0",
      steps: (t) => {
        const [LOW, HIGH] = [0x40_0500, 0x50_0500];
        const outputPort = (value: number) => t.out(0x64, 0xd1).out(0x60, value);
        const distinct = () => t.write(LOW, 1).write(HIGH, 2).read(LOW, 1).read(HIGH, 2);
        const same = () => t.write(LOW, 1).write(HIGH, 2).read(LOW, 2).read(HIGH, 2);
        outputPort(0xdd).out(0x92, 2);
        distinct();
        t.out(0x92, 0).in(0x92, { is: 0, mask: 2 });
        same();
        outputPort(0xdf);
        distinct();
        t.out(0x64, 0xdd);
        same();
        t.out(0x64, 0xdf);
        distinct();
        outputPort(0xdd);
        same();
        t.out(0x92, 2);
        distinct();
      },
    },
    {
      name: "the CMOS memory's sizes of memory, and their checksum (IBM PC AT Technical Reference, CMOS RAM)",
      steps: (t) => {
        const cmos = (at: number, expected?: Expected) => t.out(0x70, at).in(0x71, expected);
        for (const [at, value] of [
          [0x15, 0x80],
          [0x16, 0x02],
          [0x17, 0x00],
          [0x18, 0x7c],
          [0x30, 0x00],
          [0x31, 0x7c],
          [0x34, 0x00],
          [0x35, 0x01],
        ] as const)
          cmos(at, value);
        for (let at = 0x10; at <= 0x2d; at++) cmos(at);
        cmos(0x2e);
        cmos(0x2f, {
          rule: "the sum of 10H to 2DH",
          holds: (low, before) => {
            const sum = before.slice(8, -1).reduce((total, byte) => total + byte, 0);
            return sum === before.at(-1)! * 256 + low;
          },
        });
      },
    },
    {
      name: "CF9: SYS_RST, RST_CPU and FULL_RST; a reset begins only when RST_CPU goes up",
      steps: (t) => {
        t.out(0xcf9, 0)
          .in(0xcf9, 0)
          .out(0xcf9, reset.hard)
          .in(0xcf9, reset.hard)
          .out(0xcf9, 0xf9 & ~reset.cpu)
          .in(0xcf9, { is: reset.full, mask: 0xf9 });
        t.out(0xcf9, 0);
      },
    },
    {
      name: "a word across two devices is each one's byte",
      steps: (t) => {
        t.out(0x61, 2).in(0x60, undefined, 1).in(0x60, { is: 0x0200, mask: 0x0300 }, 2).out(0x61, 0);
        t.out(0x91, 0xff, 1).in(0x91, { is: 0x0200, mask: 0x0300 }, 2);
      },
    },
    {
      name: "every port below 800H can be read, in every width",
      steps: (t) => {
        for (let port = 0; port < 0x800; port++)
          for (const size of [1, 2, 4] as const) if (port !== 0xb2) t.in(port, undefined, size);
      },
    },
    {
      name: "every device in memory can be read in every width, wherever it lies",
      steps: (t: Script) => {
        for (const base of [0xfec0_0000, 0xfed0_0000, 0xfee0_0020, 0xe000_0000, 0xe001_0000, 0xff00_0000])
          for (let at = 0; at < 16; at++) {
            for (const size of [1, 2, 4] as const) t.read(base + at, undefined, size);
            t.read8(base + at);
          }
      },
    },
    {
      name: "every device in memory can be written in every width, wherever it lies",
      steps: (t: Script) => {
        for (const base of [0xfec0_0000, 0xfed0_0000, 0xe000_0000, 0xe001_0000, 0xff00_0000])
          for (let at = 0; at < 24; at++) {
            for (const size of [1, 2, 4] as const) t.write(base + at, 0, size);
            t.write8(base + at, 0, 0);
          }
        t.read(0xfec0_0000, 0).read(0xfed0_0010, 0);
      },
    },
  ],
};
