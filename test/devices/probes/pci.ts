// PCI configuration: PCI Local Bus Specification 3.0, by its sections; configuration mechanism 1 (3.2.2.3.2), type 00h
// headers (6.1) and base address registers (6.2.5.1). The function that is looked at is a virtio network card, device 2.

import type { Expected, Script, Table } from "./script.js";

const [ADDRESS, DATA] = [0xcf8, 0xcfc];
const ENABLE = 0x8000_0000;
const CARD = 2;
const ABSENT = 21;
const ONES = 0xffff_ffff;
const ECAM = 0xe000_0000;

const at = (device: number, register: number, fn = 0, bus = 0) =>
  (ENABLE | (bus << 16) | (device << 11) | (fn << 8) | (register & 0xfc)) >>> 0;
const get = (t: Script, device: number, register: number, expected?: Expected, size: 1 | 2 | 4 = 4) =>
  t.out(ADDRESS, at(device, register), 4).in(DATA + (register & 3), expected, size);
const put = (t: Script, device: number, register: number, value: number, size: 1 | 2 | 4 = 4) =>
  t.out(ADDRESS, at(device, register), 4).out(DATA + (register & 3), value, size);
const same = (back: number): Expected => ({
  rule: `as ${back} readings before`,
  holds: (value, before) => value === before.at(-back),
});

export const pci: Table = {
  device: "PCI",
  document: "PCI Local Bus Specification 3.0",
  machine: () => ({ mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1) }),
  qemu: ["-nic", "none", "-vga", "none", "-device", "virtio-net-pci,addr=2,disable-legacy=on"],
  cases: [
    {
      name: "3.2.2.3.2 CONFIG_ADDRESS: as a doubleword, bits 1 and 0 are 0",
      steps: (t) => {
        t.out(ADDRESS, 0x80ff_ffff, 4).in(ADDRESS, 0x80ff_fffc, 4).out(ADDRESS, 0, 4).in(ADDRESS, 0, 4);
        t.out(ADDRESS, 0x1234, 4).in(ADDRESS, 0x1234, 4);
      },
      notQemu: "keeps them",
    },
    {
      name: "3.2.2.3.2 CONFIG_ADDRESS: accesses of a byte or a word are none to it",
      steps: (t) => {
        t.out(ADDRESS, at(CARD, 0), 4)
          .out(ADDRESS, 0xff)
          .out(ADDRESS, 0xffff, 2)
          .out(ADDRESS + 3, 0)
          .in(ADDRESS, at(CARD, 0), 4);
        t.in(ADDRESS, 0xff).in(ADDRESS, 0xffff, 2);
      },
      notQemu: "takes them",
    },
    {
      name: "3.2.2.3.2 CONFIG_DATA: without the enable bit, no configuration",
      steps: (t) => void t.out(ADDRESS, at(CARD, 0) & ~ENABLE, 4).in(DATA, ONES, 4),
    },
    {
      name: "a device, a function and a bus that are not there: ones, in every width",
      steps: (t) => {
        for (const [device, fn, bus] of [
          [ABSENT, 0, 0],
          [CARD, 1, 0],
          [CARD, 7, 0],
          [0, 0, 5],
          [31, 7, 255],
        ] as const) {
          t.out(ADDRESS, at(device, 0, fn, bus), 4)
            .in(DATA, ONES, 4)
            .in(DATA, 0xffff, 2)
            .in(DATA + 2, 0xffff, 2)
            .in(DATA + 3, 0xff);
          t.out(DATA, 0x1234_5678, 4);
        }
      },
    },
    {
      name: "6.2.1 identity: by bytes, words and doublewords; not written",
      steps: (t) => {
        get(t, CARD, 0, 0x1041_1af4);
        get(t, CARD, 0, 0x1af4, 2);
        get(t, CARD, 1, 0x1a, 1);
        get(t, CARD, 2, 0x1041, 2);
        get(t, CARD, 3, 0x10, 1);
        put(t, CARD, 0, 0);
        get(t, CARD, 0, 0x1041_1af4);
        get(t, CARD, 8, { is: 0x0200_0000, mask: 0xffff_ff00 });
        get(t, CARD, 0x0e, 0, 1);
      },
    },
    {
      name: "6.2.2 command: what the function has can be set, reserved bits are 0",
      steps: (t) => {
        put(t, CARD, 4, 0xffff, 2);
        get(t, CARD, 4, { is: 0x0406, mask: 0xfc06 }, 2);
        put(t, CARD, 4, 0, 2);
        get(t, CARD, 4, { is: 0, mask: 0xffff }, 2);
        put(t, CARD, 4, 0x06, 1);
        get(t, CARD, 4, 0x0006, 2);
      },
    },
    {
      name: "6.2.3 status: a capability list; writing ones only clears",
      steps: (t) => {
        get(t, CARD, 6, { is: 0x10, mask: 0x10 }, 2);
        put(t, CARD, 6, 0xffff, 2);
        get(t, CARD, 6, { is: 0x10, mask: 0xf910 }, 2);
      },
    },
    {
      name: "6.2.4 interrupt line is kept, interrupt pin is INTA and not written",
      steps: (t) => {
        put(t, CARD, 0x3c, 0xff5a, 2);
        get(t, CARD, 0x3c, { is: 0x015a, mask: 0xffff }, 2);
        put(t, CARD, 0x3c, 10, 1);
      },
    },
    {
      name: "6.2.5.1 base address: sizing by ones, and what it had again",
      steps: (t) => {
        get(t, CARD, 0x10);
        put(t, CARD, 0x10, ONES);
        get(t, CARD, 0x10, {
          rule: "a memory BAR of a power of two, 16 bytes or more",
          holds: (mask) => {
            const bytes = (~(mask & ~15) + 1) >>> 0;
            return (mask & 15) === 0 && bytes >= 16 && (bytes & (bytes - 1)) === 0;
          },
        });
        put(t, CARD, 0x10, 0xd123_4000);
        get(t, CARD, 0x10, 0xd123_4000);
        put(t, CARD, 0x13, 0xd2, 1);
        get(t, CARD, 0x10, 0xd223_4000);
        put(t, CARD, 0x12, 0xd345, 2);
        get(t, CARD, 0x10, { is: 0xd344_0000, mask: 0xfffc_0000 });
      },
      notQemu: "has its registers behind another BAR",
    },
    {
      name: "6.2.5.1 registers behind a BAR: where it says, and only while memory space is enabled",
      steps: (t) => {
        const NUM_QUEUES = 0x12;
        put(t, CARD, 4, 6, 2);
        put(t, CARD, 0x10, 0xd100_0000);
        t.read(0xd100_0000 + NUM_QUEUES, 2, 2);
        put(t, CARD, 0x10, 0xd200_0000);
        t.read(0xd200_0000 + NUM_QUEUES, 2, 2).read(0xd100_0000 + NUM_QUEUES, 0xffff, 2);
        put(t, CARD, 4, 4, 2);
        t.read(0xd200_0000 + NUM_QUEUES, 0xffff, 2);
        put(t, CARD, 4, 6, 2);
        t.read(0xd200_0000 + NUM_QUEUES, 2, 2);
      },
      notQemu: "has its registers behind another BAR",
    },
    {
      name: "6.2.5 what is not implemented of the header is 0 and stays so",
      steps: (t) => {
        for (const register of [0x20, 0x24, 0x28]) {
          put(t, CARD, register, ONES);
          get(t, CARD, register, 0);
        }
        get(t, CARD, 0x30, { is: 0, mask: 1 });
        get(t, CARD, 0x38, 0);
      },
      notQemu: "has its registers behind another BAR",
    },
    {
      name: "6.7 the capability list ends, in the header, on doublewords",
      steps: (t) => {
        get(t, CARD, 0x34, { rule: "a pointer", holds: (value) => value >= 0x40 && value % 4 === 0 }, 1);
        for (const register of [0x40, 0x50, 0x60, 0x70]) get(t, CARD, register, { is: 0x09, mask: 0xff });
        get(t, CARD, 0x98, { is: 0x11, mask: 0xffff });
      },
      notQemu: "has another list",
    },
    {
      name: "the host bridge is device 0",
      steps: (t) => {
        get(t, 0, 8, { is: 0x0600_0000, mask: 0xffff_0000 });
      },
    },
    {
      name: "ECAM: the same registers, and the extended ones",
      steps: (t) => {
        const card = ECAM + (CARD << 15);
        t.read(card, 0x1041_1af4)
          .read(card + 2, 0x1041, 2)
          .read(card + 3, 0x10, 1)
          .read8(card, 0x1041_1af4);
        t.read(card + 0x100, 0)
          .read(ECAM + (ABSENT << 15), ONES)
          .read(ECAM + (1 << 20), ONES)
          .read(card + 0x1000, ONES);
        t.write(card + 0x3c, 0x77, 1);
        get(t, CARD, 0x3c, 0x77, 1);
        t.read(card + 0x3c, same(1), 1);
        t.write(card + 0xffc, 5).read(card + 0xffc, 0);
      },
      notQemu: "has it elsewhere",
    },
    {
      name: "a doubleword across two registers is bytes of both",
      steps: (t) => {
        t.out(ADDRESS, at(CARD, 0), 4)
          .in(DATA + 1, { is: 0x10_411a, mask: 0xff_ffff }, 4)
          .in(DATA + 3, { is: 0x10, mask: 0xff }, 2);
      },
      notQemu: "gives zeros",
    },
  ],
};
