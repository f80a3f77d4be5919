// Intel SDM vol. 3A, "Advanced Programmable Interrupt Controller": a core's own APIC, through CoreDevices as
// the core sees it, and the messages between APICs.

import { Worker } from "node:worker_threads";
import { beforeEach, describe, expect, test } from "vitest";
import { EXTERNAL_VECTOR } from "../../emulator/board/core-devices.js";
import { attention, word } from "../../emulator/board/mailbox.js";
import { delivery } from "../../emulator/devices/apic-message.js";
import { ApicBench, BASE, type Core, LEVEL, MASKED, r } from "./apic-bench.js";
import { throughJson } from "./bench.js";

let bench: ApicBench;
let clocks: ApicBench["clocks"];
let cores: ApicBench["cores"];
let interrupts: ApicBench["interrupts"];
let eois: number[];
let lines: string[];

function build(count: number): void {
  bench = new ApicBench(count);
  ({ clocks, cores, interrupts, eois, lines } = bench);
}

const pass = (core: number, nanoseconds: number) => bench.pass(core, nanoseconds);

/** WRMSR to IA32_TSC_DEADLINE and back. */
function setDeadline(core: Core, value: bigint, now: bigint): void {
  const left = value > now ? Number(value - now) : 0;
  core.devices.setTscDeadline(Number(value & 0xffff_ffffn), Number(value >> 32n), left);
}
const deadline = ({ devices }: Core) =>
  (BigInt(devices.tscDeadline(1)) << 32n) | BigInt(devices.tscDeadline(0));

beforeEach(() => build(1));

describe("registers", () => {
  test.each([
    ["ID", r.id, 0],
    ["version: 0x14, six LVT entries, EOI-broadcast suppression", r.version, 0x0105_0014],
    ["TPR", r.tpr, 0],
    ["PPR", r.ppr, 0],
    ["LDR", r.ldr, 0],
    ["DFR", r.dfr, 0xffff_ffff],
    ["SVR", r.svr, 0xff],
    ["ESR", r.esr, 0],
    ["timer LVT", r.timer, MASKED],
    ["thermal LVT", r.thermal, MASKED],
    ["performance LVT", r.performance, MASKED],
    ["LINT0", r.lint0, MASKED],
    ["LINT1", r.lint1, MASKED],
    ["error LVT", r.error, MASKED],
    ["initial count", r.initial, 0],
    ["current count", r.current, 0],
    ["divide configuration", r.divide, 0],
  ])("%s after RESET", (_, register, value) => {
    expect(cores[0].get(register)).toBe(value);
  });

  test.each([
    ["ID", r.id, 0xff00_0000],
    ["TPR", r.tpr, 0xff],
    ["LDR", r.ldr, 0xff00_0000],
    ["DFR, whose low bits are ones", r.dfr, 0xffff_ffff],
    ["SVR", r.svr, 0x13ff],
    ["timer LVT", r.timer, 0x0007_00ff],
    ["thermal LVT", r.thermal, 0x0001_07ff],
    ["performance LVT", r.performance, 0x0001_07ff],
    ["LINT0", r.lint0, 0x0001_a7ff],
    ["LINT1", r.lint1, 0x0001_a7ff],
    ["error LVT", r.error, 0x0001_00ff],
    ["ICR high", r.icrHigh, 0xff00_0000],
    ["divide configuration", r.divide, 0xb],
  ])("%s keeps its writable bits only", (_, register, value) => {
    const core = cores[0].enable();
    core.set(register, 0xffff_ffff);
    expect(core.get(register)).toBe(value);
  });

  // SDM vol. 3A, 11.5.3
  test("a reserved register is an illegal register address, shown after the ESR is written", () => {
    const core = cores[0].enable();
    core.set(r.error, 0x99);
    core.get(0x10);
    expect(core.get(r.esr)).toBe(0);
    core.set(r.esr, 0);
    expect(core.get(r.esr)).toBe(0x80);
    expect(core.devices.pendingVector()).toBe(0x99);
    core.set(r.esr, 0);
    expect(core.get(r.esr)).toBe(0);
    core.devices.acknowledge();
    core.set(r.eoi, 0);
    for (const entry of [MASKED | 0x99, 0x0f]) {
      core.set(r.error, entry);
      core.get(0x10);
      core.set(r.esr, 0);
      expect([core.get(r.esr), core.devices.pendingVector()]).toEqual([0x80, -1]);
    }
    core.get(r.apr);
    expect(lines.at(-1)).toBe("local-apic 0: read of APR, which is not implemented");
  });
});

describe("accepting and serving", () => {
  // SDM vol. 3A, 11.8.5: EOI and its broadcast
  test("a vector goes from IRR to ISR and out by EOI", () => {
    const core = cores[0].enable();
    core.mailbox.post(0x31, false);
    expect(core.attention).toBe(attention.interrupt);
    expect(core.get(r.irr + 0x10)).toBe(1 << 17);
    expect(core.devices.pendingVector()).toBe(0x31);
    expect(core.devices.acknowledge()).toBe(0x31);
    expect([core.get(r.irr + 0x10), core.get(r.isr + 0x10)]).toEqual([0, 1 << 17]);
    expect(core.get(r.ppr)).toBe(0x30);
    core.set(r.eoi, 0);
    expect([core.get(r.isr + 0x10), core.get(r.ppr)]).toEqual([0, 0]);
    expect(eois).toEqual([]);
  });

  // SDM vol. 3A, 11.8.5: EOI and its broadcast
  test("EOI of a level vector is told to the I/O APIC, unless suppressed", () => {
    const core = cores[0].enable();
    for (const svr of [0x1ff, 0x11ff]) {
      core.set(r.svr, svr);
      core.mailbox.post(0x41, true);
      core.devices.acknowledge();
      core.set(r.eoi, 0);
      expect(core.get(r.isr + 0x20)).toBe(0);
    }
    expect(eois).toEqual([0x41]);
  });

  // SDM vol. 3A, 11.8.3: priorities of interrupts
  test("only a higher priority class interrupts the one in service", () => {
    const core = cores[0].enable();
    core.mailbox.post(0x51, false);
    core.devices.acknowledge();
    core.mailbox.post(0x5f, false);
    expect(core.devices.pendingVector()).toBe(-1);
    core.mailbox.post(0x60, false);
    expect(core.devices.acknowledge()).toBe(0x60);
    core.set(r.eoi, 0); // ends 0x60, the highest in service
    expect(core.devices.pendingVector()).toBe(-1);
    core.mailbox.takeAttention(~0);
    core.set(r.eoi, 0);
    expect(core.devices.pendingVector()).toBe(0x5f);
    expect(core.attention).toBe(attention.interrupt); // the core is told to look again
  });

  test.each([
    [0x40, 0x4f, false],
    [0x40, 0x50, true],
    [0x4f, 0x50, true],
    [0xf0, 0xff, false],
    [0x00, 0x10, true],
  ])("TPR %i lets vector %i through: %s", (tpr, vector, through) => {
    const core = cores[0].enable();
    core.set(r.tpr, tpr);
    core.mailbox.post(vector, false);
    expect(core.devices.pendingVector() === vector).toBe(through);
  });

  test.each([
    [0x42, 0x00, 0x42],
    [0x42, 0x31, 0x42],
    [0x42, 0x45, 0x42],
    [0x42, 0x51, 0x50],
  ])("PPR of TPR %i with %i in service is %i", (tpr, serviced, ppr) => {
    const core = cores[0].enable();
    if (serviced > 0) {
      core.mailbox.post(serviced, false);
      core.devices.acknowledge();
    }
    core.set(r.tpr, tpr);
    expect(core.get(r.ppr)).toBe(ppr);
  });

  // SDM vol. 3A, 11.8.3: priorities of interrupts
  test("CR8 is TPR bits 7 to 4; lowering it raises attention", () => {
    const core = cores[0].enable();
    core.devices.setCr8(9);
    expect(core.get(r.tpr)).toBe(0x90);
    core.set(r.tpr, 0x37);
    expect(core.devices.cr8()).toBe(3);
    core.mailbox.post(0x30, false);
    core.devices.clearAttention();
    core.devices.setCr8(2);
    expect(core.attention).toBe(attention.interrupt);
  });

  test("the TMR follows the trigger, and EOI of a level-triggered vector is told", () => {
    const core = cores[0].enable();
    core.mailbox.post(0x61, true);
    expect(core.get(r.tmr + 0x30)).toBe(2);
    core.devices.acknowledge();
    core.set(r.eoi, 0);
    expect(eois).toEqual([0x61]);
    core.mailbox.post(0x61, false);
    expect(core.get(r.tmr + 0x30)).toBe(0);
    core.devices.acknowledge();
    core.set(r.eoi, 0);
    expect(eois).toEqual([0x61]);
  });

  test("EOI with nothing in service does nothing", () => {
    const core = cores[0].enable();
    core.set(r.eoi, 0);
    expect(core.devices.pendingVector()).toBe(-1);
  });

  test("software disable masks every LVT entry; what is pending stays", () => {
    const core = cores[0].enable();
    core.set(r.timer, 0x40);
    core.mailbox.post(0x50, false);
    core.set(r.svr, 0xff);
    expect(core.get(r.timer)).toBe(MASKED | 0x40);
    core.set(r.timer, 0x41); // the mask cannot be taken away
    expect(core.get(r.timer)).toBe(MASKED | 0x41);
    expect(core.devices.acknowledge()).toBe(0x50);
    interrupts.deliver({ destination: 0, logical: false, mode: delivery.fixed, vector: 0x70, level: false });
    expect(core.devices.pendingVector()).toBe(-1);
    interrupts.deliver({ destination: 0, logical: false, mode: delivery.nmi, vector: 0, level: false });
    expect([core.devices.takeNmi(), core.devices.takeNmi()]).toEqual([true, false]);
  });
});

describe("the timer", () => {
  const divisors = [
    [0, 2],
    [1, 4],
    [2, 8],
    [3, 16],
    [8, 32],
    [9, 64],
    [10, 128],
    [11, 1],
  ] as const;
  // SDM vol. 3A, 11.5.4
  test.each(divisors)("divide configuration %i counts every %i ns", (code, divisor) => {
    const core = cores[0].enable();
    core.set(r.divide, code);
    core.set(r.timer, 0x40);
    core.set(r.initial, 100);
    expect(core.get(r.current)).toBe(100);
    pass(0, 30 * divisor);
    expect(core.get(r.current)).toBe(70);
    pass(0, 70 * divisor - 1);
    expect([core.get(r.current), core.devices.pendingVector()]).toEqual([1, -1]);
    pass(0, 1);
    expect([core.get(r.current), core.devices.pendingVector()]).toEqual([0, 0x40]);
    core.devices.acknowledge();
    core.set(r.eoi, 0);
    pass(0, 1000 * divisor);
    expect(core.devices.pendingVector()).toBe(-1); // one shot
  });

  // SDM vol. 3A, 11.5.4
  test("periodic: reloads, keeps its pace, and unseen periods are one interrupt", () => {
    const core = cores[0].enable();
    core.set(r.divide, 11);
    core.set(r.timer, 0x2_0040);
    core.set(r.initial, 1000);
    const times: number[] = [];
    for (let step = 0; step < 50; step++) {
      pass(0, 100);
      if (core.devices.pendingVector() !== 0x40) continue;
      core.devices.acknowledge();
      core.set(r.eoi, 0);
      times.push(clocks[0].time);
    }
    expect(times).toEqual([1000, 2000, 3000, 4000, 5000]);
    pass(0, 250);
    expect(core.get(r.current)).toBe(750);
    clocks[0].time += 10_000;
    core.devices.advance(clocks[0].time);
    expect(core.devices.acknowledge()).toBe(0x40);
    core.set(r.eoi, 0);
    expect(core.devices.pendingVector()).toBe(-1);
    expect(core.devices.nextDeadline()).toBe(16_000);
  });

  test("a masked timer counts but does not interrupt; a count of zero stops it", () => {
    const core = cores[0].enable();
    core.set(r.divide, 11);
    core.set(r.timer, 0x3_0040);
    core.set(r.initial, 100);
    pass(0, 150);
    expect([core.get(r.current), core.devices.pendingVector()]).toEqual([50, -1]);
    core.set(r.initial, 0);
    expect([core.get(r.current), core.devices.nextDeadline()]).toEqual([0, Number.POSITIVE_INFINITY]);
  });

  test("a new divisor goes on from the count reached", () => {
    const core = cores[0].enable();
    core.set(r.divide, 11);
    core.set(r.timer, 0x40);
    core.set(r.initial, 100);
    pass(0, 40);
    core.set(r.divide, 0);
    expect(core.get(r.current)).toBe(60);
    pass(0, 119);
    expect(core.devices.pendingVector()).toBe(-1);
    pass(0, 1);
    expect(core.devices.pendingVector()).toBe(0x40);
  });

  // SDM vol. 3A, 11.5.4
  test("from one-shot to periodic and back the count goes on", () => {
    const core = cores[0].enable();
    core.set(r.divide, 11);
    core.set(r.timer, 0x40);
    core.set(r.initial, 100);
    pass(0, 30);
    core.set(r.timer, 0x2_0040);
    expect(core.get(r.current)).toBe(70);
    pass(0, 130);
    expect([core.get(r.current), core.devices.acknowledge()]).toEqual([40, 0x40]);
    core.set(r.eoi, 0);
    core.set(r.timer, 0x40);
    expect(core.get(r.current)).toBe(40);
    pass(0, 40);
    expect([core.get(r.current), core.get(r.initial)]).toEqual([0, 100]);
    core.set(r.timer, 0x2_0040); // what has ended stays at zero
    expect([core.get(r.current), core.devices.nextDeadline()]).toEqual([0, Number.POSITIVE_INFINITY]);
  });

  test("a count that has ended stays at zero in another mode, though its alarm has not been run", () => {
    const core = cores[0].enable();
    core.set(r.divide, 11);
    core.set(r.timer, 0x40);
    core.set(r.initial, 100);
    clocks[0].time += 150;
    expect(core.get(r.current)).toBe(0);
    core.set(r.timer, 0x2_0040);
    expect([core.get(r.current), core.devices.nextDeadline()]).toEqual([0, Number.POSITIVE_INFINITY]);
    expect(core.devices.acknowledge()).toBe(0x40);
  });

  // SDM vol. 3A, 11.5.4.1
  test("to TSC-deadline mode and from it, the timer is disarmed", () => {
    const core = cores[0].enable();
    core.set(r.timer, 0x40);
    core.set(r.initial, 100);
    core.set(r.timer, 0x4_0040);
    expect(core.devices.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    setDeadline(core, 100n, 0n);
    core.set(r.timer, 0x4_0041); // the same mode: it goes on
    expect(core.devices.nextDeadline()).toBe(100);
    core.set(r.timer, 0x2_0040);
    expect([core.get(r.initial), core.get(r.current), core.devices.nextDeadline()]).toEqual([
      0,
      0,
      Number.POSITIVE_INFINITY,
    ]);
    expect(deadline(core)).toBe(0n);
  });

  // SDM vol. 3A, 11.5.4.1
  test("TSC deadline: fires at the deadline, then reads zero", () => {
    const core = cores[0].enable();
    setDeadline(core, 5000n, 0n); // not in this mode: ignored
    expect(deadline(core)).toBe(0n);
    core.set(r.timer, 0x4_0040);
    core.set(r.initial, 77); // ignored in this mode
    expect([core.get(r.initial), core.get(r.current)]).toEqual([0, 0]);
    const tsc = 0xffff_ffff_0000_0000n;
    setDeadline(core, tsc + 5000n, tsc);
    expect(deadline(core)).toBe(tsc + 5000n);
    pass(0, 4999);
    expect(core.devices.pendingVector()).toBe(-1);
    pass(0, 1);
    expect([core.devices.pendingVector(), deadline(core)]).toEqual([0x40, 0n]);
  });

  // SDM vol. 3A, 11.5.4.1
  test("TSC deadline: in the past it fires at once, zero disarms, the far future never comes", () => {
    const core = cores[0].enable();
    core.set(r.timer, 0x4_0040);
    setDeadline(core, 5n, 1000n);
    expect([core.devices.acknowledge(), deadline(core)]).toEqual([0x40, 0n]); // nobody has run the alarms yet
    core.set(r.eoi, 0);
    setDeadline(core, 2000n, 1000n);
    setDeadline(core, 0n, 1000n);
    expect(core.devices.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    setDeadline(core, 0xffff_ffff_ffff_ffffn, 1000n);
    expect(core.devices.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    expect(deadline(core)).toBe(0xffff_ffff_ffff_ffffn);
  });
});

describe("local pins", () => {
  // SDM vol. 3A, 11.5.1
  test("LINT0 as ExtINT passes the 8259 pair's request on, whatever the TPR", () => {
    const core = cores[0].enable();
    core.set(r.tpr, 0xff);
    core.mailbox.setPin(0, true);
    expect(core.devices.pendingVector()).toBe(-1); // masked
    core.set(r.lint0, 0x700);
    expect(core.devices.pendingVector()).toBe(EXTERNAL_VECTOR);
    expect([core.devices.acknowledge(), bench.acknowledged]).toEqual([0x20, 1]);
    expect(core.get(r.isr + 0x10)).toBe(0); // ExtINT needs no EOI here
    core.mailbox.setPin(0, false);
    expect(core.devices.acknowledge()).toBe(-1);
  });

  // SDM vol. 3A, 11.5.1
  test("an edge is one interrupt, a level one until EOI finds it gone", () => {
    const core = cores[0].enable();
    core.set(r.lint0, 0x45);
    core.mailbox.setPin(0, true);
    expect(core.devices.acknowledge()).toBe(0x45);
    core.set(r.eoi, 0);
    expect(core.devices.pendingVector()).toBe(-1);
    core.mailbox.setPin(0, false);
    core.set(r.lint0, MASKED | LEVEL | 0x46);
    core.mailbox.setPin(0, true);
    expect(core.get(r.lint0)).toBe(MASKED | LEVEL | 0x46);
    core.mailbox.setPin(0, false);
    core.set(r.lint0, LEVEL | 0x46);
    core.mailbox.setPin(0, true);
    expect(core.devices.acknowledge()).toBe(0x46);
    expect(core.get(r.lint0)).toBe(0x4000 | LEVEL | 0x46); // remote IRR
    expect(core.devices.pendingVector()).toBe(-1);
    core.set(r.eoi, 0);
    expect(core.devices.acknowledge()).toBe(0x46); // still asserted
    core.mailbox.setPin(0, false);
    core.set(r.eoi, 0);
    expect(core.devices.pendingVector()).toBe(-1);
    expect(core.get(r.lint0)).toBe(LEVEL | 0x46);
  });

  // SDM vol. 3A, 11.5.1
  test("LINT1 as NMI", () => {
    const core = cores[0].enable();
    core.set(r.lint1, 0x400);
    core.mailbox.setPin(1, true);
    core.devices.pendingVector();
    expect(core.devices.takeNmi()).toBe(true);
  });

  test("an illegal vector in an LVT entry is an error, not an interrupt", () => {
    const core = cores[0].enable();
    core.set(r.lint0, 0x0f);
    core.mailbox.setPin(0, true);
    expect(core.devices.pendingVector()).toBe(-1);
    core.set(r.esr, 0);
    expect(core.get(r.esr)).toBe(0x40);
  });

  test("the thermal entry is held, and says that nothing raises it", () => {
    cores[0].enable().set(r.thermal, 0x400);
    expect(lines.at(-1)).toMatch(/LVT_THERMAL unmasked, but nothing here ever raises it/);
  });

  test("performance counters: the entry's vector, or an NMI; it stays unmasked (APM vol. 2, 16.4)", () => {
    const core = cores[0].enable();
    core.set(r.performance, 0x55);
    core.devices.performanceInterrupt();
    expect(core.devices.acknowledge()).toBe(0x55);
    core.set(r.performance, 0x400);
    core.mailbox.takeAttention(~0);
    core.devices.performanceInterrupt();
    expect([core.attention & 2, core.devices.read(0xfee0_0340, 4)]).toEqual([2, 0x400]);
    core.set(r.performance, 0x1_0400);
    core.mailbox.takeAttention(~0);
    core.devices.performanceInterrupt();
    expect(core.attention).toBe(0);
  });
});

describe("between cores", () => {
  beforeEach(() => {
    build(4);
    for (const [index, core] of cores.entries()) {
      core.enable();
      core.set(r.ldr, (1 << (24 + index)) >>> 0);
      core.mailbox.takeAttention(~0);
    }
  });
  const send = (from: number, low: number, destination = 0) => {
    cores[from].set(r.icrHigh, (destination << 24) >>> 0);
    cores[from].set(r.icrLow, low);
  };
  const reached = () => cores.map((core) => core.devices.acknowledge());

  // SDM vol. 3A, 11.6.2.2: logical destinations, flat and cluster
  test.each([
    ["physical", 0x51, 2, [-1, -1, 0x51, -1]],
    ["physical, nobody", 0x51, 9, [-1, -1, -1, -1]],
    ["physical broadcast", 0x51, 0xff, [0x51, 0x51, 0x51, 0x51]],
    ["flat logical", 0x851, 0b0110, [-1, 0x51, 0x51, -1]],
    ["flat logical, nobody", 0x851, 0xf0, [-1, -1, -1, -1]],
    ["self", 0x4_0051, 3, [-1, 0x51, -1, -1]],
    ["all including self", 0x8_0051, 0, [0x51, 0x51, 0x51, 0x51]],
    ["all excluding self", 0xc_0051, 0, [0x51, -1, 0x51, 0x51]],
  ])("fixed, %s", (_, low, destination, expected) => {
    send(1, low, destination);
    expect(reached()).toEqual(expected);
  });

  // SDM vol. 3A, 11.6.2.2: logical destinations, flat and cluster
  test.each([
    [0x13, [-1, -1, -1, 0x51]],
    [0x01, [0x51, -1, -1, -1]],
    [0x03, [0x51, 0x51, -1, -1]],
    [0x12, [-1, -1, -1, 0x51]],
    [0xf2, [-1, 0x51, -1, 0x51]],
  ])("cluster logical, destination %i", (destination, expected) => {
    for (const [index, core] of cores.entries()) {
      core.set(r.dfr, 0x0fff_ffff);
      core.set(r.ldr, [0x01, 0x02, 0x24, 0x12][index] << 24);
    }
    send(0, 0x851, destination);
    expect(reached()).toEqual(expected);
  });

  // SDM vol. 3A, 11.6.2.4: lowest priority
  test("lowest priority goes to the lowest TPR among those addressed and enabled", () => {
    for (const [index, core] of cores.entries()) core.set(r.tpr, [0x20, 0x10, 0x00, 0x30][index]);
    cores[2].set(r.svr, 0xff);
    send(0, 0x951, 0b1111);
    expect(reached()).toEqual([-1, 0x51, -1, -1]);
  });

  test("INIT, then SIPI with its vector; INIT level de-assert does nothing", () => {
    send(0, 0xc500 | LEVEL, 2);
    expect([cores[2].attention, cores[2].devices.takeInit()]).toEqual([attention.init, true]);
    send(0, 0x8500, 2);
    expect(cores[2].devices.takeInit()).toBe(false);
    send(0, 0x469a, 2);
    expect([cores[2].devices.takeStartup(), cores[2].devices.takeStartup()]).toEqual([0x9a, -1]);
    send(0, 0xc_4500);
    expect(cores.map((core) => core.devices.takeInit())).toEqual([false, true, true, true]);
  });

  test("NMI and INIT to itself", () => {
    send(2, 0x4_4400);
    send(2, 0x4_4500);
    expect([cores[2].devices.takeNmi(), cores[2].devices.takeInit()]).toEqual([true, true]);
    expect(cores[1].attention).toBe(0);
  });

  test("NMI to another core", () => {
    send(3, 0x4400, 1);
    expect(cores.map((core) => core.devices.takeNmi())).toEqual([false, true, false, false]);
  });

  // SDM vol. 3A, 11.5.3
  test("an illegal vector is an error of the sender", () => {
    send(0, 0x0f, 1);
    expect(reached()).toEqual([-1, -1, -1, -1]);
    cores[0].set(r.esr, 0);
    expect(cores[0].get(r.esr)).toBe(0x20);
  });

  // SDM vol. 3A, 11.5.3
  test("an illegal vector in a message is an error of the receiver", () => {
    interrupts.message(0xfee0_1000, 0x05);
    cores[1].get(r.id);
    cores[1].set(r.esr, 0);
    expect(cores[1].get(r.esr)).toBe(0x40);
  });

  test("a message-signalled interrupt: destination, mode and trigger out of address and data", () => {
    interrupts.message(0xfee0_2000, 0x62);
    interrupts.message(0xfee0_9004, 0xc063); // logical, level
    expect(reached()).toEqual([0x63, -1, 0x62, 0x63]);
    expect(cores[0].get(r.tmr + 0x30)).toBe(1 << 3);
  });

  // SDM vol. 3A, 11.11.1
  test("with the redirection hint a message goes to the lowest priority of those that it names", () => {
    for (const [index, core] of cores.entries()) core.set(r.tpr, [0x20, 0x30, 0x10, 0x10][index]);
    interrupts.message(0xfee0_f00c, 0x62);
    expect(reached()).toEqual([-1, -1, 0x62, -1]);
    interrupts.message(0xfee0_1008, 0x64); // physical: it names one
    expect(reached()[1]).toBe(0x64);
  });

  test("modes that do not exist or are not implemented say so", () => {
    for (const mode of [2, 3, 7]) {
      send(0, mode << 8, 1);
      expect(lines.at(-1)).toMatch(new RegExp(`ICR delivery mode ${mode} is not implemented`));
    }
    send(0, 0x4_4600);
    expect(lines.at(-1)).toMatch(/shorthand self with delivery mode 6 dropped/);
    interrupts.message(0xfee0_1000, 0x262);
    expect(lines.at(-1)).toMatch(/this delivery mode is not implemented/);
    interrupts.message(0xfee3_3000, 0x62);
    expect(lines.at(-1)).toMatch(/no core accepts it/);
  });

  test("a changed ID is where physical messages go", () => {
    cores[3].set(r.id, 0x0700_0000);
    send(0, 0x51, 7);
    expect(reached()).toEqual([-1, -1, -1, 0x51]);
  });
});

describe("IA32_APIC_BASE, INIT and snapshots", () => {
  test("the bootstrap bit, relocation and reserved bits", () => {
    build(2);
    expect(cores.map((core) => core.devices.apicBase())).toEqual([0xfee0_0900n, 0xfee0_0800n]);
    const { devices } = cores[0];
    expect(devices.setApicBase(0x1_2345_6900n)).toBe(true);
    expect(devices.apicPage).toBe(0x1_2345_6000);
    expect([devices.contains(0x1_2345_6fff), devices.contains(0x1_2345_7000)]).toEqual([true, false]);
    for (const wrong of [0xfee0_0901n, 0xfee0_0a00n, 1n << 40n, 0xfee0_0500n])
      expect(devices.setApicBase(wrong)).toBe(false);
    expect(devices.apicPage).toBe(0x1_2345_6000);
  });

  // SDM vol. 3A, 11.12.5: modes and their transitions
  test("globally disabled: no page, INTR goes straight in; enabled again it is as after power-up", () => {
    const core = cores[0].enable();
    core.set(r.tpr, 0x50);
    core.devices.setApicBase(0xfee0_0100n);
    expect([core.devices.apicPage, core.devices.contains(BASE)]).toEqual([-1, false]);
    core.mailbox.setPin(0, true);
    expect(core.devices.pendingVector()).toBe(EXTERNAL_VECTOR);
    core.mailbox.setPin(0, false);
    interrupts.deliver({ destination: 0xff, logical: false, mode: delivery.nmi, vector: 0, level: false });
    expect(core.devices.takeNmi()).toBe(false);
    core.mailbox.setPin(1, true); // NMI's own pin
    core.devices.pendingVector();
    expect(core.devices.takeNmi()).toBe(true);
    core.devices.setCr8(7); // CR8 is the core's, with an APIC or without
    expect(core.devices.cr8()).toBe(7);
    core.devices.setApicBase(0xfee0_0900n);
    expect([core.get(r.tpr), core.get(r.svr)]).toEqual([0, 0xff]);
  });

  test("INIT keeps ID and base, clears the rest", () => {
    const core = cores[0].enable();
    core.set(r.id, 0x0500_0000);
    core.set(r.lint0, 0x700);
    core.set(r.timer, 0x2_0040);
    core.set(r.initial, 1000);
    core.mailbox.post(0x50, false);
    core.devices.init();
    expect(core.get(r.id)).toBe(0x0500_0000);
    expect([core.get(r.lint0), core.get(r.svr), core.devices.pendingVector()]).toEqual([MASKED, 0xff, -1]);
    expect(core.devices.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    core.devices.reset();
    expect(core.get(r.id)).toBe(0);
  });

  test("a snapshot goes through JSON and comes back whole, timer and mailbox included", () => {
    build(2);
    const [core, other] = cores;
    core.enable();
    core.set(r.divide, 11);
    core.set(r.timer, 0x2_0040);
    core.set(r.initial, 1000);
    core.mailbox.post(0x61, true);
    core.devices.acknowledge();
    core.mailbox.post(0x31, false);
    pass(0, 300);
    const saved = throughJson(core.devices.snapshot());
    pass(0, 5000);
    core.devices.reset();
    expect(other.devices.snapshot()).not.toEqual(saved);
    clocks[0].time = 300;
    core.devices.restore(saved);
    expect(core.devices.snapshot()).toEqual(saved);
    expect(core.get(r.current)).toBe(700);
    pass(0, 700);
    core.set(r.eoi, 0);
    expect(eois).toEqual([0x61]);
    expect([core.devices.acknowledge(), core.devices.acknowledge()]).toEqual([0x40, -1]);
  });
});

// SDM vol. 3A, 11.5.1
test("ExtINT in an interrupt message asks for one INTA cycle", () => {
  const core = cores[0].enable();
  interrupts.deliver({ destination: 0, logical: false, mode: delivery.external, vector: 0, level: false });
  expect(core.devices.pendingVector()).toBe(EXTERNAL_VECTOR);
  expect([core.devices.acknowledge(), core.devices.acknowledge()]).toEqual([0x20, -1]);
});

test("a posted vector wakes a thread that sleeps on the attention word", async () => {
  const core = cores[0].enable();
  const sleeper = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     parentPort.postMessage("asleep");
     parentPort.postMessage(Atomics.wait(workerData, ${word.attention}, 0, 10_000));`,
    { eval: true, workerData: core.mailbox.words },
  );
  const woken = new Promise((resolve) => {
    sleeper.on("message", (text) => (text === "asleep" ? core.mailbox.post(0x40, false) : resolve(text)));
  });
  // "not-equal" when the post came first: either way the sleeper does not miss it.
  expect(["ok", "not-equal"]).toContain(await woken);
  await sleeper.terminate();
});
