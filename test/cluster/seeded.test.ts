// The whole path in virtual time: machines from their reset vector, our kernel, the wire, and one counter.
import { describe, expect, it } from "vitest";
import { SeededCluster } from "../../emulator/cluster.js";
import type { ClusterReport } from "../../emulator/report.js";
import { Command, repeat, seeded, seededOptions } from "../support/cluster.js";

const counts = (r: { report: { machines: readonly { instructions: number; stats: unknown }[] } }) =>
  r.report.machines.map(({ instructions, stats }) => ({ instructions, stats }));

/** A cluster's boot takes a second or two of each core's time, and many times that on a busy host. */
const LIMIT_MS = 300_000;

describe("three machines, one counter, seeded", { timeout: LIMIT_MS }, () => {
  it("promise 61: LOCK XADD from every core of every machine adds up, and old values are a permutation", async () => {
    const run = await seeded("counter", [100]);
    expect(run.report.ok, repeat(run, [100])).toBe(true);
    expect(run.report.result).toBe(
      "counter: machines 3 cores 2 expected 600 counted 600 old values a permutation: yes",
    );
    for (const { name, stats } of run.report.machines) {
      expect(stats?.["pageFaultsCoherence"], name).toBeGreaterThan(0);
      expect(stats?.["messagesSent"], name).toBeGreaterThan(0);
    }
  });

  it("repeats a seed to the instruction, the message and the last byte; another seed goes another way", async () => {
    const [a, b, c] = [
      await seeded("counter", [50]),
      await seeded("counter", [50]),
      await seeded("counter", [50], { seed: 43 }),
    ];
    expect(counts(b)).toEqual(counts(a));
    expect(b.report.memoryHash).toBe(a.report.memoryHash);
    expect(b.report.virtualNanoseconds).toBe(a.report.virtualNanoseconds);
    expect(b.lines).toEqual(a.lines);
    expect(counts(c)).not.toEqual(counts(a));
    expect(c.report.memoryHash).not.toBe(a.report.memoryHash);
    expect(c.report.ok, repeat(c, [50])).toBe(true);
  });

  it("tells machines of more than 2 GiB apart by their last byte", async () => {
    const { options } = await seededOptions("counter", [1], {
      machines: 1,
      cores: 1,
      memory: 2 ** 31 + 4096,
    });
    const cluster = await SeededCluster.create(options);
    const before = cluster.memoryHash();
    cluster.nodes[0]!.machine.ram[options.memory - 1] = 1;
    expect(cluster.memoryHash()).not.toBe(before);
  });

  it("is repeated by the line that a failing test prints", async () => {
    const network = { delay: [20, 40], faults: { loss: 0.02, duplicate: 0.02 } } as const;
    const shape = { machines: 2, cores: 1, memory: 16 << 20, seed: 5, stall: 20_000, storeBuffer: 4 };
    const run = await seeded("counter", [60], { ...shape, network, append: "ahead=0 guess=0" });
    const [line] = repeat(run, [60]).split("\n");
    const words = [...line!.matchAll(/"[^"]*"|\S+/g)].map(([word]) => word.replaceAll('"', ""));
    const command = new Command([...words.slice(1, 2), "--json", ...words.slice(2)]);
    expect((await command.ended).status, command.err).toBe(0);
    const again = JSON.parse(command.out) as ClusterReport;
    expect(
      again.machines.map(({ instructions }) => instructions),
      line,
    ).toEqual(run.report.machines.map(({ instructions }) => instructions));
    expect(again.memoryHash).toBe(run.report.memoryHash);
  });

  it.each([
    [1, 1],
    [1, 4],
    [2, 1],
    [4, 1],
    [2, 3],
  ])("counts right on %i machines of %i cores", async (machines, cores) => {
    const run = await seeded("counter", [60], { machines, cores });
    expect(run.report.ok, repeat(run, [60])).toBe(true);
  });

  it("counts right over a wire that loses, doubles and reorders frames", async () => {
    for (const seed of [1, 2]) {
      const run = await seeded("counter", [40], {
        seed,
        network: { faults: { loss: 0.03, duplicate: 0.03 }, delay: [10, 300], reorder: true },
      });
      expect(run.report.ok, repeat(run, [40])).toBe(true);
      expect(run.report.machines.some((m) => (m.stats?.["retransmissions"] ?? 0) > 0)).toBe(true);
    }
  });

  it("x86-TSO between machines: no litmus test shows a forbidden outcome", async () => {
    for (const [machines, cores, seed] of [
      [2, 1, 1],
      [4, 1, 2],
    ] as const) {
      const args = [3, "SB", "SB+mfence", "MP", "CoWR", "WRC", "IRIW"].slice(0, machines + 3);
      const run = await seeded("litmus", args, { machines, cores, seed });
      expect(run.report.ok, repeat(run, args)).toBe(true);
      const judged = run.lines.filter((line) => / litmus .* forbidden 0$/.test(line));
      expect(judged.length).toBe(machines === 2 ? 4 : 6);
    }
  });

  it("a program's failure is the run's failure", async () => {
    const run = await seeded("fault", ["null-write"], { machines: 1, cores: 1 });
    expect(run.report.ok).toBe(false);
    expect(run.report.machines[0]?.exit).toBe(139);
    expect(run.lines.join("\n")).toMatch(/fault: killed by SIGSEGV \(address 0x0 not mapped, write\)/);
  });
});
