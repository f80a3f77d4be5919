// Threads of a spread process that move from machine to machine while they run (test/c/migrate.c).
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import type { SeededCluster } from "../../emulator/cluster.js";
import { repeat, seeded } from "../support/cluster.js";
import { withFaults } from "../support/faults.js";
import { cProgram, glibcProgram, hasGlibc, hasMusl, missing } from "../support/guest.js";

const musl = describe.skipIf(!hasMusl);

musl(`threads that move${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each([
    { machines: 2, cores: 1, seed: 1, loss: 0 },
    { machines: 3, cores: 1, seed: 2, loss: 0 },
    { machines: 3, cores: 2, seed: 3, loss: 0.02 },
    { machines: 4, cores: 1, seed: 4, loss: 0 },
  ])("promises 75, 108: on $machines machines of $cores cores, seed $seed, loss $loss", async (o) => {
    const args = [4, 30, o.machines * o.cores];
    const run = await seeded(cProgram("migrate").host, args, {
      ...{ machines: o.machines, cores: o.cores, seed: o.seed, spread: true, limit: 3e9 },
      network: { delay: [30, 60], faults: { loss: o.loss } },
    });
    expect(run.report.result, repeat(run, args)).toBe("migrate: 4 threads, 30 hops, wrong 0");
    expect(run.report.ok, repeat(run, args)).toBe(true);
    // They have been everywhere.
    for (const { stats } of run.report.machines) expect(stats?.["pagesReceived"]).toBeGreaterThan(20);
  });

  test.skipIf(!hasGlibc)("promise 63: with glibc", async () => {
    const args = [3, 20, 3];
    const o = { machines: 3, cores: 1, seed: 5, spread: true, limit: 3e9 };
    const run = await seeded(glibcProgram("migrate").host, args, o);
    expect(run.report.result, repeat(run, args)).toBe("migrate: 3 threads, 20 hops, wrong 0");
  });

  test("as on Linux, on one machine", async () => {
    const { host } = cProgram("migrate");
    const run = await seeded(host, [3, 20, 1], { machines: 1, cores: 1, seed: 1 });
    const there = execFileSync(host, ["3", "20", "1"], { encoding: "utf8" });
    expect(`${run.report.result}\n`, repeat(run, [3, 20, 1])).toBe(there);
  });

  test("a process ends while its threads move, and leaves no frame behind where it began", async () => {
    const args = [4, 1000, 3, 50];
    const o = { machines: 3, cores: 1, seed: 6, spread: true, limit: 3e9, append: "frames runs=4" };
    const run = await seeded(cProgram("migrate").host, args, o);
    expect(
      run.report.machines.map(({ exit }) => exit),
      repeat(run, args),
    ).toEqual([7, 0, 0]);
    const free = run.lines
      .filter((line) => line.startsWith("machine1 | process: frames free "))
      .map((line) => Number(line.split(" ").at(-1)));
    expect(free).toHaveLength(4);
    expect(free[3], free.join(" ")).toBeGreaterThanOrEqual(free[1]! - 2);
  });

  // Where no thread was there just then, it ends by the loss of what one had written there.
  test("a machine that dies while threads come and go ends the process", async () => {
    const die = (cluster: SeededCluster) => {
      cluster.nodes[1]!.machine.powered = false;
    };
    let withThreads = 0;
    for (const at of [27, 30, 33]) {
      const run = await withFaults(cProgram("migrate").host, ["4", "100000", "3"], [[at, die]], {
        append: "spread linkloss=60",
      });
      const ended = run.said(1, /^migrate: killed(: machine 2 is lost, and threads with it| by SIGBUS .*)$/);
      expect(ended, run.text()).toHaveLength(1);
      if (ended[0]!.text.endsWith("threads with it")) withThreads++;
    }
    expect(withThreads).toBeGreaterThan(1);
  });
});
