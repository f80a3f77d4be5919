// Intel SDM vol. 3A, "Extended XAPIC (x2APIC)": the modes of IA32_APIC_BASE, the registers as MSRs with what is
// reserved in them, IDs and messages of 32 bits.

import { beforeEach, describe, expect, test } from "vitest";
import { registers } from "../../emulator/devices/x2apic.js";
import { ApicBench, type Core, MASKED, r } from "./apic-bench.js";
import { throughJson } from "./bench.js";

const DISABLED = 0xfee0_0000n;
const INVALID = 0xfee0_0400n;
const XAPIC = 0xfee0_0800n;
const X2APIC = 0xfee0_0c00n;
const modes = { DISABLED, INVALID, XAPIC, X2APIC };
const msr = (offset: number) => 0x800 + offset / 16;
const ICR = 0x830;
const SELF_IPI = 0x83f;

const get = ({ devices }: Core, index: number) => devices.readMsr(index, 0);
const set = ({ devices }: Core, index: number, low: number, high = 0) => devices.writeMsr(index, low, high);

let bench: ApicBench;
let cores: readonly Core[];
function build(count: number): void {
  bench = new ApicBench(count);
  ({ cores } = bench);
  for (const core of cores) {
    core.devices.setApicBase(X2APIC);
    set(core, msr(r.svr), 0x1ff);
    core.mailbox.takeAttention(~0);
  }
}
beforeEach(() => build(1));

describe("modes", () => {
  // Rows: from, and where a write of each value leads ("#GP" where it is one).
  // SDM vol. 3A, 11.12.5: modes and their transitions
  test.each([
    ["DISABLED", { DISABLED: true, INVALID: false, XAPIC: true, X2APIC: false }],
    ["XAPIC", { DISABLED: true, INVALID: false, XAPIC: true, X2APIC: true }],
    ["X2APIC", { DISABLED: true, INVALID: false, XAPIC: false, X2APIC: true }],
  ] as const)("from %s", (from, allowed) => {
    for (const [to, good] of Object.entries(allowed) as [keyof typeof modes, boolean][]) {
      const [{ devices }] = new ApicBench(1).cores;
      if (from !== "XAPIC") expect(devices.setApicBase(modes[from])).toBe(true);
      expect([to, devices.setApicBase(modes[to])]).toEqual([to, good]);
      expect(devices.apicBase()).toBe(modes[good ? to : from] | 0x100n);
    }
  });

  // SDM vol. 3A, 11.12.1
  test("in xAPIC mode there are no MSRs, in x2APIC mode there is no page", () => {
    const [core] = new ApicBench(1).cores;
    expect([get(core, msr(r.id)), set(core, msr(r.tpr), 0)]).toEqual([-1, false]);
    expect(cores[0].devices.apicPage).toBe(-1);
    cores[0].devices.setApicBase(DISABLED);
    expect(get(cores[0], msr(r.id))).toBe(-1);
  });

  // SDM vol. 3A, 11.12.5: modes and their transitions
  test("what was set in xAPIC mode stays, but for the IDs; through disabled it is as after power-up", () => {
    const core = new ApicBench(2).cores[1];
    core.set(r.svr, 0x1ff);
    core.set(r.id, 0x0700_0000);
    core.set(r.ldr, 0x8000_0000);
    core.set(r.timer, 0x45);
    core.devices.setApicBase(X2APIC);
    expect([r.svr, r.id, r.ldr, r.timer].map((offset) => get(core, msr(offset)))).toEqual([
      0x1ff, 1, 2, 0x45,
    ]);
    core.devices.setApicBase(DISABLED);
    core.devices.setApicBase(XAPIC);
    expect([r.svr, r.id, r.ldr, r.timer].map((offset) => core.get(offset))).toEqual([
      0xff,
      0x0100_0000,
      0,
      MASKED,
    ]);
  });

  test("INIT leaves it in x2APIC mode, with its IDs", () => {
    build(20);
    const core = cores[19];
    set(core, msr(r.tpr), 0x50);
    core.devices.init();
    expect([r.id, r.ldr, r.tpr, r.svr].map((offset) => get(core, msr(offset)))).toEqual([
      19, 0x1_0008, 0, 0xff,
    ]);
  });

  test("a snapshot keeps the mode", () => {
    const [core] = cores;
    set(core, ICR, 0xc4100, 77);
    const saved = throughJson(core.devices.snapshot());
    core.devices.reset();
    expect(core.devices.apicBase()).toBe(XAPIC | 0x100n);
    core.devices.restore(saved);
    expect([core.devices.apicBase(), core.devices.readMsr(ICR, 1)]).toEqual([X2APIC | 0x100n, 77]);
  });
});

describe("registers", () => {
  // SDM vol. 3A, 11.12.1
  test("each row's access and reserved bits, and no others between 800H and 8FFH", () => {
    const [core] = cores;
    for (let index = 0x800; index <= 0x8ff; index++) {
      const row = registers.get(index);
      const access = row?.access ?? "";
      expect([index, get(core, index) >= 0]).toEqual([index, access.includes("r")]);
      expect([index, set(core, index, 0)]).toEqual([index, access.includes("w")]);
      for (let bit = 0; bit < 32; bit++) {
        const good = access.includes("w") && ((row?.allowed ?? 0) & (1 << bit)) !== 0;
        // The command register would send: its own test below.
        if (index !== ICR && index !== SELF_IPI)
          expect([index, bit, set(core, index, (1 << bit) >>> 0)]).toEqual([index, bit, good]);
      }
      if (index !== ICR) expect([index, set(core, index, 0, 1)]).toEqual([index, false]);
    }
  });

  test.each([
    ["DFR does not exist", 0x80e],
    ["ICR's upper half is not apart", 0x831],
    ["CMCI", 0x82f],
    ["remote read", 0x80c],
    ["arbitration priority", 0x809],
  ])("%s", (_, index) => {
    expect([get(cores[0], index), set(cores[0], index, 0)]).toEqual([-1, false]);
  });

  test.each([13, 16, 17, 20, 31])("ICR bit %i is reserved", (bit) => {
    expect(set(cores[0], ICR, ((1 << bit) | 0x4051) >>> 0)).toBe(false);
    expect(cores[0].devices.pendingVector()).toBe(-1);
  });

  // SDM vol. 3A, 11.12.1
  test("TPR and CR8 are one; EOI takes zero only", () => {
    const [core] = cores;
    set(core, msr(r.tpr), 0x70);
    expect(core.devices.cr8()).toBe(7);
    core.devices.setCr8(3);
    expect(get(core, msr(r.tpr))).toBe(0x30);
    core.mailbox.post(0x51, false);
    core.devices.acknowledge();
    expect([set(core, msr(r.eoi), 1), get(core, msr(r.isr + 0x20))]).toEqual([false, 1 << 17]);
    expect([set(core, msr(r.eoi), 0), get(core, msr(r.isr + 0x20))]).toEqual([true, 0]);
  });

  // SDM vol. 3A, 11.12.11: self-IPI
  test("self IPI; an illegal vector is an error of the sender", () => {
    const [core] = cores;
    expect(set(core, SELF_IPI, 0x66)).toBe(true);
    expect(core.devices.acknowledge()).toBe(0x66);
    set(core, SELF_IPI, 0x0f);
    set(core, msr(r.esr), 0);
    expect([core.devices.pendingVector(), get(core, msr(r.esr))]).toEqual([-1, 0x20]);
  });
});

describe("messages", () => {
  /** The cores that 0x51 has come to; it is served there. */
  const reached = () =>
    cores.flatMap((core, index) => {
      const came = core.devices.acknowledge() === 0x51;
      set(core, msr(r.eoi), 0);
      return came ? [index] : [];
    });
  const everybody = Array.from({ length: 40 }, (_, core) => core);

  // SDM vol. 3A, 11.12.10: logical destinations of x2APIC
  test.each([
    ["physical", 0x51, 33, [33]],
    ["physical 255 is an ID like others", 0x51, 255, []],
    ["broadcast", 0x51, 0xffff_ffff, everybody],
    ["logical, cluster 0", 0x851, 0x8001, [0, 15]],
    ["logical, cluster 2", 0x851, 0x2_0081, [32, 39]],
    ["logical broadcast", 0x851, 0xffff_ffff, everybody],
    ["all excluding self", 0xc_0051, 0, everybody.filter((core) => core !== 3)],
    ["self", 0x4_0051, 9, [3]],
  ])("fixed, %s", (_, low, destination, expected) => {
    build(40);
    set(cores[3], ICR, low, destination);
    expect(reached()).toEqual(expected);
    expect([get(cores[3], ICR), cores[3].devices.readMsr(ICR, 1)]).toEqual([low, destination]);
  });

  // SDM vol. 3A, 11.12.10: logical destinations of x2APIC
  test("8-bit destinations of I/O APIC and MSI: IDs, cluster 0, and 0xFF as broadcast", () => {
    build(20);
    bench.interrupts.message(0xfee0_5000, 0x51);
    expect(reached()).toEqual([5]);
    bench.interrupts.message(0xfee8_1004, 0x51);
    expect(reached()).toEqual([0, 7]);
    bench.interrupts.message(0xfeef_f000, 0x51);
    expect(reached()).toHaveLength(20);
  });

  // SDM vol. 3A, 11.6.2.4: lowest priority
  test("lowest priority among logical destinations", () => {
    build(4);
    for (const [index, core] of cores.entries()) set(core, msr(r.tpr), [0x20, 0x10, 0x40, 0x30][index]);
    set(cores[0], ICR, 0x951, 0b1111);
    expect(reached()).toEqual([1]);
  });
});
