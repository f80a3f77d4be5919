// Ports 0x92, 0xCF9 and 0xF4, and ACPI's fixed hardware (ACPI 6.4, section 4.8).

import { beforeEach, describe, expect, test } from "vitest";
import { timeOfTick } from "../../emulator/clock.js";
import { AcpiPm } from "../../emulator/devices/acpi-pm.js";
import { Power } from "../../emulator/devices/power.js";
import { TestClock, throughJson, tracer } from "./bench.js";

describe("reset and exit", () => {
  let power: Power;
  let events: string[];
  beforeEach(() => {
    events = [];
    power = new Power(
      {
        initialise: () => events.push("INIT"),
        reset: () => events.push("RESET"),
        exit: (code) => events.push(`exit ${code}`),
        a20: (open) => events.push(`A20 ${open ? "open" : "closed"}`),
      },
      tracer().trace,
    );
  });
  const set92 = (value: number) => power.controlA.write(0, 1, value);
  const setCf9 = (value: number) => power.resetControl.write(0, 1, value);

  test("A20 is open after RESET and follows bit 1", () => {
    expect([power.a20Open, power.controlA.read(0, 1)]).toEqual([true, 2]);
    set92(0);
    set92(0);
    set92(2);
    expect(events).toEqual(["A20 closed", "A20 open"]);
    set92(0);
    power.reset();
    expect([events.at(-1), power.a20Open]).toEqual(["A20 open", true]);
  });

  test("a rising bit 0 of port 0x92 is INIT", () => {
    set92(3);
    set92(3);
    set92(2);
    set92(3);
    expect(events).toEqual(["INIT", "INIT"]);
  });

  test.each([
    [[0x04], ["INIT"]],
    [[0x02, 0x06], ["RESET"]],
    [[0x06], ["RESET"]],
    [[0x0e], ["RESET"]],
    [[0x02], []],
    [[0x04, 0x06], ["INIT"]],
    [
      [0x04, 0x00, 0x04],
      ["INIT", "INIT"],
    ],
  ])("0xCF9 written with %j: %j", (values, expected) => {
    for (const value of values) setCf9(value);
    expect(events).toEqual(expected);
  });

  test("the exit port passes its byte on", () => {
    power.exit.write(0, 1, 42);
    expect(events).toEqual(["exit 42"]);
  });

  test("a snapshot round trip", () => {
    set92(0);
    setCf9(2);
    const saved = throughJson(power.snapshot());
    power.reset();
    events.length = 0;
    power.restore(saved);
    expect([power.snapshot(), power.a20Open, events]).toEqual([saved, false, []]);
  });
});

describe("ACPI power management", () => {
  const HERTZ = 3_579_545;
  const HALF = 2 ** 23;
  const r = { status: 0, enable: 2, control: 4, timer: 8 } as const;
  let clock: TestClock;
  let pm: AcpiPm;
  let offs: number;
  let slept: string[];
  let lines: string[];
  beforeEach(() => {
    clock = new TestClock();
    offs = 0;
    slept = [];
    const traced = tracer();
    lines = traced.lines;
    pm = new AcpiPm(
      HERTZ,
      clock,
      clock.alarm(() => pm.timerExpired()),
      { off: () => offs++, sleep: () => slept.push("sleep"), wake: () => slept.push("wake") },
      traced.trace,
    );
  });
  const get = (register: number, size = 2) => pm.registers.read(register, size);
  const set = (register: number, value: number, size = 2) => pm.registers.write(register, size, value);

  // ACPI 6.4
  test("the timer counts at 3.579545 MHz in 24 bits", () => {
    clock.advance(1e9);
    expect(get(r.timer, 4)).toBe(HERTZ);
    clock.advance(timeOfTick(2 ** 24 + 5, HERTZ) - clock.time);
    expect(get(r.timer, 4)).toBe(5);
  });

  // ACPI 6.4
  test("TMR_STS is set when the timer's highest bit changes, and cleared by a one", () => {
    clock.advance(timeOfTick(HALF, HERTZ) - 1);
    expect(get(r.status)).toBe(0);
    clock.advance(1);
    expect(get(r.status)).toBe(1);
    set(r.status, 0);
    expect(get(r.status)).toBe(1);
    set(r.status, 1);
    expect([get(r.status), pm.sci.level]).toEqual([0, false]);
  });

  // ACPI 6.4
  test("TMR_EN makes it an SCI, at its time", () => {
    expect(clock.timers.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    set(r.enable, 1);
    expect(clock.timers.nextDeadline()).toBe(timeOfTick(HALF, HERTZ));
    clock.advance(timeOfTick(HALF, HERTZ));
    expect(pm.sci.level).toBe(true);
    set(r.status, 1);
    expect(pm.sci.level).toBe(false);
    clock.advance(timeOfTick(HALF, HERTZ));
    expect(pm.sci.level).toBe(true);
  });

  test("the power button", () => {
    pm.pressPowerButton();
    expect([get(r.status), pm.sci.level]).toEqual([0x100, false]);
    set(r.enable, 0xffff);
    expect([get(r.enable), pm.sci.level]).toEqual([0x521, true]);
    set(r.status + 1, 0x01, 1); // one byte of it
    expect([get(r.status), pm.sci.level]).toEqual([0, false]);
  });

  test("the clock's alarm", () => {
    set(r.enable, 0x400);
    pm.clockAlarm();
    expect([get(r.status), pm.sci.level]).toEqual([0x400, true]);
    set(r.status, 0x400);
    expect(pm.sci.level).toBe(false);
  });

  test("SLP_EN with S5's sleep type switches off; S1, S2 and S4 are not implemented", () => {
    expect(get(r.control)).toBe(1); // SCI_EN
    set(r.control, 0x1c00);
    expect([offs, get(r.control)]).toEqual([0, 0x1c01]);
    set(r.control, 0x2800);
    expect([offs, lines.at(-1)]).toEqual([0, "acpi-pm: sleep type 2 is not implemented; only S3 and S5 are"]);
    set(r.control, 0x2000);
    expect([offs, get(r.control)]).toEqual([1, 1]); // SLP_EN reads as zero
  });

  // ACPI 6.4, 4.8.3.2 and 16.1
  test.each([
    ["the clock", 0x400, () => pm.clockAlarm()],
    ["the power button", 0x100, () => pm.pressPowerButton()],
  ])("S3: %s wakes if it is enabled, and is told with WAK_STS behind the RESET", (_, bit, event) => {
    set(r.enable, 0x500 & ~bit);
    set(r.control, 0x2400);
    event();
    expect([slept, pm.asleep]).toEqual([["sleep"], true]);
    set(r.enable, bit); // what has happened already wakes as well
    expect([slept, pm.asleep]).toEqual([["sleep", "wake"], false]);
    pm.reset();
    expect([get(r.status), get(r.enable), pm.sci.level]).toEqual([0x8000 | bit, 0, false]);
    set(r.status, 0x8000 | bit);
    pm.reset();
    expect(get(r.status)).toBe(0);
  });

  test("a snapshot round trip, also of one that sleeps", () => {
    set(r.control, 0x2400);
    set(r.enable, 0x101);
    clock.advance(timeOfTick(HALF, HERTZ));
    const saved = throughJson(pm.snapshot());
    pm.reset();
    expect(pm.sci.level).toBe(false);
    const edges: boolean[] = [];
    pm.sci.to((level) => edges.push(level));
    pm.restore(saved);
    expect([pm.snapshot(), pm.sci.level, edges]).toEqual([saved, true, []]);
  });
});
