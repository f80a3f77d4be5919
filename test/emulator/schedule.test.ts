// The seeded schedule, over machines that only count: what it promises about time, order and seeds.
import { describe, expect, it } from "vitest";
import { SeededNetwork } from "../../emulator/link.js";
import { Random } from "../../emulator/random.js";
import { Schedule, type Scheduled } from "../../emulator/schedule.js";

class Counting implements Scheduled {
  readonly cores: number;
  powered = true;
  readonly log: string[];
  readonly name: string;
  readonly retired: number[];
  halted: boolean[];
  deadline = Number.POSITIVE_INFINITY;
  times: number[] = [];

  constructor(name: string, cores: number, log: string[]) {
    this.name = name;
    this.cores = cores;
    this.log = log;
    this.retired = new Array<number>(cores).fill(0);
    this.halted = new Array<boolean>(cores).fill(false);
  }
  runnable = (core: number) => !this.halted[core];
  runCore(core: number, budget: number) {
    this.log.push(`${this.name}${core}:${budget}`);
    this.retired[core]! += budget;
    return budget;
  }
  nextDeadline = () => this.deadline;
  advance(now: number) {
    this.times.push(now);
    if (now >= this.deadline) this.deadline = Number.POSITIVE_INFINITY;
  }
}

function run(seed: number, turns: number) {
  const log: string[] = [];
  const machines = [new Counting("a", 2, log), new Counting("b", 3, log)];
  const schedule = new Schedule(machines, [], new Random(seed));
  for (let i = 0; i < turns; i++) schedule.turn();
  return { log, machines, schedule };
}

describe("seeded schedule", () => {
  it("repeats exactly for a seed and differs for another", () => {
    expect(run(5, 20).log).toEqual(run(5, 20).log);
    expect(run(5, 20).log).not.toEqual(run(6, 20).log);
  });

  it("gives every running core one instruction per nanosecond", () => {
    const { machines, schedule } = run(7, 200);
    for (const m of machines) for (const retired of m.retired) expect(retired).toBe(schedule.now);
  });

  it("stops a quantum at the next deadline, exactly", () => {
    const { machines, schedule } = run(7, 1);
    machines[0]!.deadline = schedule.now + 7;
    const wanted = schedule.now + 7;
    schedule.turn();
    expect(schedule.now).toBeLessThanOrEqual(wanted);
    while (schedule.now < wanted) schedule.turn();
    expect(machines[0]!.times).toContain(wanted);
  });

  it("has short quanta of short slices when told, as many as otherwise; cores that are alone have theirs", () => {
    const [TURNS, NONE] = [2000, Number.POSITIVE_INFINITY];
    /** Quanta of single instructions, and what a slice is on average. */
    const quanta = (slices: number, cores: number) => {
      const log: string[] = [];
      const machine = new Counting("a", cores, log);
      const schedule = new Schedule([machine, new Counting("b", 1, log)], [], new Random(7), { slices });
      let singles = 0;
      for (let i = 0; i < TURNS; i++) {
        const from = log.length;
        schedule.turn();
        const budgets = log
          .slice(from)
          .flatMap((line) => (line[0] === "a" ? [Number(line.split(":")[1])] : []));
        // The core that is left over at last has the rest at once.
        if (budgets.slice(0, -1).some((budget) => budget > 1)) continue;
        singles++;
        expect(budgets.length).toBeLessThanOrEqual(cores * slices);
      }
      for (const retired of machine.retired) expect(retired).toBe(schedule.now);
      return { singles, mean: (schedule.now * (cores + 1)) / log.length, log };
    };
    const [long, short] = [quanta(NONE, 2), quanta(32, 2)];
    for (const { singles } of [long, short]) expect(singles).toBeGreaterThan(TURNS / 20);
    expect(short.mean).toBeGreaterThan(3 * long.mean);
    expect(quanta(32, 1).log).toEqual(quanta(NONE, 1).log);
  });

  it("sleeps to the next deadline when every core is halted, and says when nothing will ever happen", () => {
    const { machines, schedule } = run(7, 1);
    for (const m of machines) m.halted.fill(true);
    machines[1]!.deadline = schedule.now + 1_000_000;
    const wanted = machines[1]!.deadline;
    expect(schedule.turn()).toBe("slept");
    expect(schedule.now).toBe(wanted);
    expect(schedule.turn()).toBe("idle");
    for (const m of machines) m.powered = false;
    expect(schedule.turn()).toBe("off");
  });
});

describe("seeded wire", () => {
  const frame = (to: number, from: number, tag: number) =>
    Uint8Array.from([2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0, tag]);

  function wire(seed: number, loss = 0) {
    let now = 0;
    const network = new SeededNetwork(new Random(seed), () => now, { delay: [10, 90], faults: { loss } });
    const heard: string[] = [];
    const links = [1, 2].map((n) => network.attach((f) => heard.push(`${n}<${f[14]}@${now}`)));
    const runTo = (time: number) => {
      while (network.nextDeadline() <= time) {
        now = network.nextDeadline();
        network.run(now);
      }
      now = time;
    };
    return { network, heard, links, runTo };
  }

  it("delivers late by the drawn delay, the same for the same seed", () => {
    const traces = [3, 3, 4].map((seed) => {
      const { links, heard, runTo } = wire(seed);
      for (let i = 0; i < 10; i++) links[0]!.send(frame(2, 1, i));
      runTo(9_999);
      expect(heard).toEqual([]);
      runTo(90_000);
      expect(heard.length).toBe(10);
      return heard;
    });
    expect(traces[0]).toEqual(traces[1]);
    expect(traces[0]).not.toEqual(traces[2]);
  });

  it("keeps the order of a pair of ports unless told to reorder", () => {
    for (const reorder of [false, true]) {
      const network = new SeededNetwork(new Random(9), () => 0, { delay: [10, 90], reorder });
      const tags: number[] = [];
      const link = network.attach(() => {});
      network.attach((f) => tags.push(f[14]!));
      for (let i = 0; i < 50; i++) link.send(frame(2, 1, i));
      network.run(90_000);
      const sorted = tags.every((tag, i) => tag === i);
      expect(sorted).toBe(!reorder);
    }
  });

  it("loses by seed and parts islands", () => {
    const { links, heard, network, runTo } = wire(1, 0.5);
    for (let i = 0; i < 100; i++) links[0]!.send(frame(2, 1, i));
    runTo(100_000);
    expect(heard.length).toBe(100 - network.faultCounts.lost);
    expect(network.faultCounts.lost).toBeGreaterThan(25);
    network.partition([[1], [2]]);
    const before = heard.length;
    links[0]!.send(frame(2, 1, 7));
    runTo(300_000);
    expect(heard.length).toBe(before);
  });
});
