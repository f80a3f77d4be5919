// One process, its threads on the cores of several machines (`buslock run --spread`): programs that know of no cluster print
// what they print on the host's Linux, whatever the number of machines; what they share is told by the report's counts.
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { repeat, type SeededRun, seeded } from "../support/cluster.js";
import { cProgram, glibcProgram, hasGlibc, hasMusl, missing } from "../support/guest.js";

const linux = process.platform === "linux" && process.arch === "x64";
const musl = describe.skipIf(!hasMusl || !linux);
const glibc = describe.skipIf(!hasGlibc || !linux);

const onLinux = (path: string, args: readonly (string | number)[]): string[] =>
  spawnSync(path, args.map(String), { encoding: "utf8", timeout: 30_000 })
    .stdout.split("\n")
    .filter((line) => line !== "");

/** What machine 1's console showed of the program. */
const printed = (run: SeededRun, name: string): string[] =>
  run.lines
    .filter((line) => line.startsWith(`machine1 | ${name}: `))
    .map((line) => line.slice("machine1 | ".length));

interface Shape {
  readonly machines: number;
  readonly cores: number;
  readonly seed: number;
  readonly loss?: number;
}

async function same(path: string, name: string, args: (string | number)[], shape: Shape): Promise<SeededRun> {
  const { loss = 0, ...rest } = shape;
  const run = await seeded(path, args, { ...rest, spread: true, network: { faults: { loss } } });
  expect(printed(run, name), repeat(run, args)).toEqual(onLinux(path, args));
  expect(run.report.ok, repeat(run, args)).toBe(true);
  return run;
}

musl(`a program of POSIX threads, with musl${missing("musl")}`, () => {
  test.each([
    { machines: 1, cores: 4, seed: 1 },
    { machines: 2, cores: 2, seed: 2 },
    { machines: 4, cores: 1, seed: 3, loss: 0.01 },
  ])("$machines machines of $cores cores, seed $seed", async (shape) => {
    const run = await same(cProgram("pthreads").host, "pthreads", [4, 20], shape);
    // Threads elsewhere did work: their machines read and wrote pages.
    for (const { name, stats } of run.report.machines) {
      if (shape.machines > 1) expect(stats?.["pagesReceived"], name).toBeGreaterThan(10);
      else expect(stats?.["messagesSent"]).toBe(0);
    }
  });

  test("as many threads as the cluster has cores", async () => {
    const run = await seeded(cProgram("pthreads").host, [], { machines: 2, cores: 2, seed: 4, spread: true });
    expect(run.report.result, repeat(run)).toBe("pthreads: 4 threads: all right");
  });
});

glibc(`the same, with glibc${missing("glibc")}`, () => {
  test.each([
    { machines: 2, cores: 1, seed: 1 },
    { machines: 4, cores: 2, seed: 2 },
  ])("$machines machines of $cores cores, seed $seed", async (shape) => {
    await same(glibcProgram("pthreads").host, "pthreads", [4, 10], shape);
  });
});
