// Spread processes under many seeds and a bad wire; and planted bugs: a kernel with one line changed, which a program's output
// must show.
import { describe, expect, test } from "vitest";
import type { SeededCluster } from "../../emulator/cluster.js";
import { type Plant, plantedKernel } from "../bugs/plant.js";
import { repeat, seeded } from "../support/cluster.js";
import { withFaults } from "../support/faults.js";
import { cProgram, glibcProgram, hasGlibc, hasMusl, missing } from "../support/guest.js";

const musl = describe.skipIf(!hasMusl);
const seeds = Array.from({ length: 20 }, (_, i) => i + 100);

musl(`many seeds${missing("musl")}`, () => {
  test.each(seeds)("seed %i", async (seed) => {
    const path = (name: string) => (hasGlibc && seed % 2 === 0 ? glibcProgram(name) : cProgram(name)).host;
    const shape = { machines: 2 + (seed % 3), cores: 1 + (seed % 2), seed, spread: true };
    const network = { faults: { loss: seed % 5 === 0 ? 0.03 : 0, duplicate: seed % 7 === 0 ? 0.05 : 0 } };
    for (const [name, args] of [
      ["pthreads", [8, 30]],
      ["away", [4, 0]],
    ] as const) {
      const run = await seeded(path(name), args, { ...shape, network });
      expect(run.report.result, repeat(run, args)).toMatch(/all right$/);
      expect(run.report.ok, repeat(run, args)).toBe(true);
    }
  });
});

musl(`speed${missing("musl")}`, () => {
  /** Virtual microseconds. */
  const took = async (machines: number, cores: number) => {
    const run = await seeded(cProgram("primes").host, [400000], { machines, cores, seed: 1, spread: true });
    expect(run.report.result, repeat(run)).toBe("primes: 33860 below 400000");
    const line = run.lines.find((each) => / threads, \d+ us$/.test(each)) ?? "";
    return Number(/(\d+) us$/.exec(line)?.[1]);
  };

  test("eight cores of four machines", async () => {
    expect((await took(1, 1)) / (await took(4, 2))).toBeGreaterThan(4);
  });
});

interface Bug {
  readonly name: string;
  readonly kernel: NonNullable<Plant["kernel"]>;
  /** What sees it. */
  readonly program: "pthreads" | "away" | "heir" | "migrate";
}

const bug = (name: string, program: Bug["program"], file: string, from: string, to: string): Bug => ({
  name,
  program,
  kernel: { file: `kernel/${file}`, changes: [[from, to]] },
});

const bugs: readonly Bug[] = [
  bug(
    "munmap is not told to the shadows",
    "away",
    "process/memory-map.ts",
    "if (machines !== 0) tellForget(currentLwp().process, machines, start, end);",
    "",
  ),
  bug(
    "mprotect is not told to the shadows",
    "away",
    "process/memory-map.ts",
    "if (machines !== 0) tellForget(currentLwp().process, machines, start, covered);",
    "",
  ),
  bug(
    "unmapped memory keeps its bytes",
    "away",
    "process/memory-map.ts",
    "if (map.memory) memoryClear(map, start, end);",
    "",
  ),
  bug(
    "mremap leaves the bytes behind",
    "away",
    "process/private-memory.ts",
    "let index = objectNextPage(object, from / PAGE, end);",
    "let index = end;",
  ),
  bug(
    "a thread's end is not told to who joins it",
    "pthreads",
    "process/process.ts",
    "  lwpExitWork(lwp);\n  lwpLeave(lwp);",
    "  if (lwp.machine === 0) lwpExitWork(lwp);\n  lwpLeave(lwp);",
  ),
  bug(
    "private futexes are each machine's own",
    "pthreads",
    "process/futex.ts",
    "return map.memory;",
    "return 0;",
  ),
  bug(
    "a thread starts with its parent's FS base",
    "pthreads",
    "process/thread-calls.ts",
    "if (flags & CLONE_SETTLS) setStartFsBase(child, tls);",
    "",
  ),
  bug(
    "signals for threads elsewhere stay with their proxies",
    "away",
    "process/proxy.ts",
    "else if (lwp.moves === 0) passSignals(lwp);\n    if",
    "\n    if",
  ),
  bug(
    "signals are passed to where a thread has just left",
    "migrate",
    "process/proxy.ts",
    "return lwp.moves === 0 && lwpWanted(lwp);",
    "lwp.moves = 0;\n  return lwpWanted(lwp);",
  ),
  bug(
    "a thread that moves leaves behind the signals that wait for it",
    "migrate",
    "process/migration.ts",
    "let left = load<u64>(at, 32) & ~lwp.pending;",
    "let left: u64 = 0;",
  ),
  bug(
    "a signal that comes while a thread moves is taken for the one that goes along",
    "migrate",
    "process/migration.ts",
    "lwp.pending = 0; // what comes from now on is another one",
    "lwp.pending |= 0;",
  ),
  bug(
    "a thread that moves has no alternate stack any more",
    "migrate",
    "process/migration.ts",
    "lwp.alternateBytes = load<u64>(at, 16);",
    "",
  ),
  bug(
    "a thread that moves has another mask of cores",
    "migrate",
    "process/migration.ts",
    "lwp.affinity = load<u64>(at);",
    "",
  ),
  bug(
    "a thread that moves finds a clean x87",
    "migrate",
    "process/lwp.ts",
    "memory.copy(startFx(lwp), threadCurrent().fpu, FXSAVE_BYTES);",
    "",
  ),
  bug(
    "exit_group is not told to other machines",
    "away",
    "process/proxy.ts",
    "  lwp.toldEnd = 1;\n  const letter",
    "  lwp.toldEnd = 1;\n  if (lwp.machine !== 0) return;\n  const letter",
  ),
  bug(
    "the locks of a lost machine stay locked",
    "heir",
    "coherence/shared-futex.ts",
    "(lost & bit(machine)) != 0;",
    "(lost & bit(machine)) != 0 && lost === 0;",
  ),
];

/** What went wrong; null: nothing did. */
async function wrong(program: Bug["program"], kernel: Uint8Array | undefined): Promise<string | null> {
  const changed = kernel === undefined ? {} : { kernel };
  const { host } = cProgram(program);
  if (program === "heir") {
    const die = (cluster: SeededCluster) => {
      cluster.nodes[1]!.machine.powered = false;
    };
    const run = await withFaults(host, ["stay"], [[150, die]], { ...changed, append: "linkloss=200" });
    return run.said(1, /^heir: locked 2 times, by heirs 1$/).length === 1 ? null : run.text();
  }
  if (program === "migrate") {
    const hops = [4, 60, 3];
    const run = await seeded(host, hops, {
      ...changed,
      machines: 3,
      cores: 1,
      seed: 1,
      spread: true,
      limit: 1e9,
    });
    return run.report.ok && /60 hops, wrong 0$/.test(run.report.result) ? null : repeat(run, hops);
  }
  const o = { ...changed, machines: 3, cores: 1, seed: 1, spread: true, limit: 3e9 };
  const run = await seeded(host, [3, program === "away" ? 0 : 10], o);
  return run.report.ok && / all right$/.test(run.report.result) ? null : repeat(run);
}

musl(`planted bugs${missing("musl")}`, () => {
  test.each(["pthreads", "away", "heir", "migrate"] as const)(
    "%s sees nothing wrong in what is intact",
    async (program) => {
      expect(await wrong(program, undefined)).toBeNull();
    },
  );

  test.each(bugs)("$name, seen by $program", async ({ kernel, program }) => {
    expect(await wrong(program, await plantedKernel({ kernel })), "the bug was not seen").not.toBeNull();
  });
});
