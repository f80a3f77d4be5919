// IA-PC HPET Specification 1.0a: the counter, the three timers, and where their interrupts go.

import { beforeEach, describe, expect, test } from "vitest";
import { Hpet } from "../../emulator/devices/hpet.js";
import { TestClock, throughJson, tracer } from "./bench.js";

const r = { id: 0x00, period: 0x04, conf: 0x10, status: 0x20, counter: 0xf0 } as const;
const timer = (index: number) => {
  const at = 0x100 + 0x20 * index;
  return { conf: at, routes: at + 4, comparator: at + 8, value: at + 16, address: at + 20 };
};
const LEVEL = 2;
const ENABLE = 4;
const PERIODIC = 8;
const SET = 0x40;
const MODE32 = 0x100;
const FSB = 0x4000;
const route = (pin: number) => pin << 9;
const TICK = 10;

class Bench {
  readonly clock = new TestClock();
  /** What happened, with the tick: "20+" is pin 20 up. */
  readonly events: string[] = [];
  readonly hpet: Hpet;

  constructor() {
    const note = (text: string) => void this.events.push(`${this.clock.time / TICK}: ${text}`);
    this.hpet = new Hpet(
      this.clock,
      this.clock.alarm(() => this.hpet.timerExpired()),
      {
        pin: (pin, level) => note(`${pin}${level ? "+" : "-"}`),
        legacy: (line, level) => note(`legacy ${line}${level ? "+" : "-"}`),
        legacyReplacement: (on) => note(`legacy ${on ? "on" : "off"}`),
        message: (to, data) => note(`message ${to.toString(16)} ${data.toString(16)}`),
      },
      tracer().trace,
    );
  }
  get(register: number): number {
    return this.hpet.registers.read(register, 4);
  }
  set(register: number, value: number): void {
    this.hpet.registers.write(register, 4, value);
  }
  /** Both halves, low first, as the bus makes two of one access. */
  set64(register: number, value: bigint): void {
    this.set(register, Number(value & 0xffff_ffffn));
    this.set(register + 4, Number(value >> 32n));
  }
  get64(register: number): bigint {
    const low = this.get(register);
    return (BigInt(this.get(register + 4)) << 32n) | BigInt(low);
  }
  ticks(count: number): void {
    this.clock.advance(count * TICK);
  }
  /** The events since the last call. */
  happened(): string[] {
    return this.events.splice(0);
  }
}

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

describe("the counter", () => {
  test("says what it is: three timers, 64 bits, legacy replacement, 10 ns", () => {
    expect([bench.get(r.id) & 0xffff, bench.get(r.period)]).toEqual([0xa201, 10_000_000]);
    expect(bench.get(timer(0).conf) & 0x8030).toBe(0x8030);
    expect(bench.get(timer(2).routes)).toBe(0x00f0_0000);
  });

  test("stands still until it is enabled, and again when it is not", () => {
    bench.ticks(5);
    expect(bench.get64(r.counter)).toBe(0n);
    bench.set(r.conf, 1);
    bench.ticks(7);
    expect(bench.get64(r.counter)).toBe(7n);
    bench.set(r.conf, 0);
    bench.ticks(100);
    expect(bench.get64(r.counter)).toBe(7n);
    bench.set64(r.counter, 0xffff_ffff_ffff_fffdn);
    bench.set(r.conf, 1);
    bench.ticks(5);
    expect(bench.get64(r.counter)).toBe(2n);
  });

  test("the high half fits the low one that was read before it, even when the low one wraps between", () => {
    bench.set64(r.counter, 0x1_ffff_ffffn);
    bench.set(r.conf, 1);
    expect(bench.get(r.counter)).toBe(0xffff_ffff);
    bench.ticks(1);
    expect([bench.get(r.counter + 4), bench.get(r.counter + 4)]).toEqual([1, 2]);
  });
});

// IA-PC HPET
describe("one-shot", () => {
  test("an edge when the counter is there, once", () => {
    bench.set(timer(1).conf, ENABLE | route(21));
    bench.set64(timer(1).comparator, 50n);
    bench.ticks(100);
    expect(bench.happened()).toEqual([]); // the counter stands
    bench.set(r.conf, 1);
    bench.ticks(1000);
    expect(bench.happened()).toEqual(["150: 21+"]); // up to the next edge, for an 8259 wants it held
    bench.set64(timer(1).comparator, 1000n); // it is there now
    expect(bench.get64(r.counter)).toBe(1000n);
    bench.ticks(0);
    bench.ticks(5);
    expect(bench.happened()).toEqual(["1100: 21-", "1100: 21+"]);
    bench.set64(timer(1).comparator, 900n); // behind it: not in the next 5,800 years
    bench.ticks(1e6);
    expect(bench.happened()).toEqual([]);
  });

  test("with 32 bits it comes again when the counter's low half has wrapped", () => {
    bench.set(timer(0).conf, ENABLE | MODE32 | route(20));
    bench.set(timer(0).comparator, 10);
    bench.set64(r.counter, 0xffff_fff0n);
    bench.set(r.conf, 1);
    bench.ticks(2 ** 32 + 100);
    expect(bench.happened().filter((text) => text.endsWith("+"))).toEqual([
      "26: 20+",
      `${26 + 2 ** 32}: 20+`,
    ]);
  });

  test("a level stays until its status bit is cleared, and shows only while enabled", () => {
    bench.set(timer(2).conf, ENABLE | LEVEL | route(23));
    bench.set64(timer(2).comparator, 5n);
    bench.set(r.conf, 1);
    bench.ticks(9);
    expect([bench.happened(), bench.get(r.status)]).toEqual([["5: 23+"], 4]);
    bench.set(timer(2).conf, LEVEL | route(23));
    expect(bench.happened()).toEqual(["9: 23-"]);
    bench.set(timer(2).conf, ENABLE | LEVEL | route(22));
    expect(bench.happened()).toEqual(["9: 22+"]);
    bench.set(r.status, 3);
    expect(bench.get(r.status)).toBe(4);
    bench.set(r.status, 4);
    expect([bench.happened(), bench.get(r.status)]).toEqual([["9: 22-"], 0]);
  });

  test("as a message", () => {
    bench.set(timer(0).conf, ENABLE | FSB);
    bench.set(timer(0).value, 0x4031);
    bench.set(timer(0).address, 0xfee0_1000);
    bench.set64(timer(0).comparator, 5n);
    bench.set(r.conf, 1);
    bench.ticks(10);
    expect(bench.happened()).toEqual(["5: message fee01000 4031"]);
  });
});

// IA-PC HPET
describe("periodic", () => {
  const ups = () => bench.happened().filter((text) => text.endsWith("+"));

  test("the comparator first, with the set bit, then the period", () => {
    bench.set(timer(0).conf, ENABLE | PERIODIC | SET | route(20));
    bench.set64(timer(0).comparator, 30n);
    expect(bench.get(timer(0).conf) & SET).toBe(0);
    bench.set64(timer(0).comparator, 100n);
    bench.set(r.conf, 1);
    bench.ticks(250);
    expect(ups()).toEqual(["30: 20+", "130: 20+", "230: 20+"]);
    expect(bench.get64(timer(0).comparator)).toBe(330n);
  });

  test("both halves of a comparator are set by one set bit", () => {
    bench.set(timer(0).conf, ENABLE | PERIODIC | SET);
    bench.set64(timer(0).comparator, 0x5_0000_0001n);
    expect(bench.get64(timer(0).comparator)).toBe(0x5_0000_0001n);
    bench.set64(timer(0).comparator, 7n);
    expect(bench.get64(timer(0).comparator)).toBe(0x5_0000_0001n);
  });

  test("periods that went by unseen are one interrupt, and the next is in step", () => {
    bench.set(timer(0).conf, ENABLE | PERIODIC | SET | route(20));
    bench.set64(timer(0).comparator, 100n);
    bench.set64(timer(0).comparator, 100n);
    bench.set(r.conf, 1);
    bench.clock.leap(550 * TICK);
    expect(ups()).toEqual(["550: 20+"]);
    bench.ticks(100);
    expect(ups()).toEqual(["600: 20+"]);
  });
});

test("an edge that has been comes again neither when the counter goes on nor on a legacy line", () => {
  bench.set(timer(1).conf, ENABLE | route(21));
  bench.set64(timer(1).comparator, 50n);
  bench.set(r.conf, 1);
  bench.ticks(60);
  bench.happened();
  bench.set(r.conf, 0);
  bench.set(r.conf, 1);
  expect(bench.happened()).toEqual(["60: 21-"]);
  bench.set64(timer(1).comparator, 80n);
  bench.ticks(40);
  bench.happened();
  bench.set(r.conf, 3);
  bench.set(r.conf, 1);
  expect(bench.happened()).toEqual(["100: legacy on", "100: 21-", "100: legacy off"]);
});

test("a period has 32 bits in 32-bit mode", () => {
  bench.set(timer(0).conf, ENABLE | PERIODIC | SET | MODE32 | route(20));
  bench.set64(timer(0).comparator, 0x1_0000_0032n);
  bench.set(r.conf, 1);
  bench.ticks(120);
  expect(bench.happened().filter((text) => text.endsWith("+"))).toEqual(["50: 20+", "100: 20+"]);
});

// IA-PC HPET
test("legacy replacement: timer 0 is the PIT's line, timer 1 the RTC's, whatever they are routed to", () => {
  for (const index of [0, 1, 2]) {
    bench.set(timer(index).conf, ENABLE | route(20));
    bench.set64(timer(index).comparator, 10n);
  }
  bench.set(r.conf, 3);
  bench.ticks(20);
  expect(bench.happened()).toEqual(["0: legacy on", "10: legacy 0+", "10: legacy 1+", "10: 20+"]);
  bench.set(r.conf, 0);
  expect(bench.happened()).toEqual(["20: 20-", "20: legacy 0-", "20: legacy 1-", "20: legacy off"]);
});

test("a snapshot goes on where it was; RESET is as new", () => {
  bench.set(timer(0).conf, ENABLE | PERIODIC | SET | route(20));
  bench.set64(timer(0).comparator, 100n);
  bench.set(timer(2).conf, ENABLE | LEVEL | route(23));
  bench.set64(timer(2).comparator, 20n);
  bench.set(r.conf, 1);
  bench.ticks(50);
  const saved = throughJson(bench.hpet.snapshot());
  const other = new Bench();
  other.clock.time = bench.clock.time;
  other.hpet.restore(saved);
  expect(other.hpet.snapshot()).toEqual(saved);
  bench.happened();
  for (const one of [bench, other]) {
    one.ticks(100);
    one.set(r.status, 4);
  }
  expect(other.events).toEqual(bench.events);
  expect(bench.events).toEqual(["100: 20+", "150: 23-"]);
  bench.hpet.reset();
  expect([bench.get64(r.counter), bench.get(timer(0).conf) & 0xffff]).toEqual([0n, 0x8030]);
});
