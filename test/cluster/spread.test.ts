// One process, its threads on the cores of several machines (`buslock run --spread`): programs that know of no cluster print
// what they print on the host's Linux, whatever the number of machines; what they share is told by the report's counts.
import { describe, expect, test } from "vitest";
import type { SeededCluster } from "../../emulator/cluster.js";
import { Command, repeat, type SeededRun, seeded } from "../support/cluster.js";
import { withFaults } from "../support/faults.js";
import { cProgram, glibcProgram, hasGlibc, hasMusl, missing } from "../support/guest.js";
import { aloneOnLinux } from "../support/on-linux.js";

const linux = process.platform === "linux" && process.arch === "x64";
const musl = describe.skipIf(!hasMusl || !linux);
const glibc = describe.skipIf(!hasGlibc || !linux);

const onLinux = (path: string, args: readonly (string | number)[]): string[] =>
  aloneOnLinux(path, args.map(String)).lines;

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
  ])("promises 75 and 108: $machines machines of $cores cores, seed $seed", async (shape) => {
    const run = await same(cProgram("pthreads").host, "pthreads", [4, 8], shape);
    // Threads elsewhere did work: their machines read and wrote pages.
    for (const { name, stats } of run.report.machines) {
      if (shape.machines > 1) expect(stats?.["pagesReceived"], name).toBeGreaterThan(10);
      else expect(stats?.["messagesSent"]).toBe(0);
    }
  });

  test("as many threads as the cluster has cores", async () => {
    const run = await seeded(cProgram("pthreads").host, [0, 5], {
      machines: 2,
      cores: 2,
      seed: 4,
      spread: true,
    });
    expect(run.report.result, repeat(run)).toBe("pthreads: 4 threads: all right");
  });
});

glibc(`the same, with glibc${missing("glibc")}`, () => {
  test.each([{ machines: 3, cores: 1, seed: 2 }])(
    "promise 63: $machines machines of $cores cores, seed $seed",
    async (shape) => {
      await same(glibcProgram("pthreads").host, "pthreads", [4, 3], shape);
    },
  );
});

musl(`what a thread asks of the kernel, wherever it runs${missing("musl")}`, () => {
  const away = (path: string, machines: number, seed: number, status: number) =>
    seeded(path, [3, status], { machines, cores: 1, seed, spread: true }).then((run) => {
      expect(printed(run, "away"), repeat(run, [3, status])).toEqual(onLinux(path, [3, status]));
      // The thread that ends the process does so from another machine.
      expect(run.report.machines.map(({ exit }) => exit)).toEqual([status, ...Array(machines - 1).fill(0)]);
      expect(run.report.machines.every(({ problem }) => problem === "")).toBe(true);
    });

  test("on 3 machines, with a status", () => away(cProgram("away").host, 3, 2, 7));

  test("a process leaves no frame behind, on no machine", async () => {
    const o = { machines: 2, cores: 1, seed: 5, spread: true, append: "frames runs=4" };
    const run = await seeded(cProgram("pthreads").host, [3, 2], o);
    expect(run.report.ok, repeat(run)).toBe(true);
    for (const machine of ["machine1", "machine2"]) {
      const free = run.lines
        .filter((line) => line.startsWith(`${machine} | process: frames free `))
        .map((line) => Number(line.split(" ").at(-1)));
      expect(free).toHaveLength(4);
      // The first run also fills the kernel's own caches; a leak grows with every run.
      expect(free[3], `${machine}: ${free.join(" ")}`).toBeGreaterThanOrEqual(free[1]! - 2);
    }
  });
});

musl(`what it costs${missing("musl")}`, () => {
  /** SYSLINK messages that all machines sent while a thread on machine 2 did something so often. */
  const messages = async (kind: string, count: number) => {
    const o = { machines: 2, cores: 1, seed: 1, spread: true };
    const { report } = await seeded(cProgram("calls").host, [kind, count], o);
    return report.machines.reduce((sum, { stats }) => sum + (stats?.["messagesSent"] ?? 0), 0);
  };

  test.each([
    ["close", 2, "a call that its proxy does: there and back"],
    ["wake", 2, "FUTEX_WAKE: to the queue and back"],
    ["lock", 0, "a mutex that nobody else wants"],
  ])("%s: %i messages (%s)", async (kind, each) => {
    expect((await messages(kind, 60)) - (await messages(kind, 10))).toBe(50 * each);
  });
});

musl(`machines that die${missing("musl")}`, () => {
  const soon = "linkloss=200";
  const busy = async (victim: number) => {
    const { host } = cProgram("pthreads");
    const die = (cluster: SeededCluster) => {
      cluster.nodes[victim - 1]!.machine.powered = false;
    };
    return withFaults(host, [3, 100000], [[60, die]], { machines: 3, cores: 1, spread: true, append: soon });
  };

  test("R5: threads are lost with a machine: the process ends and says why", async () => {
    const run = await busy(3);
    expect(
      run.said(1, /^pthreads: killed: machine 3 is lost, and threads with it$/),
      run.text(),
    ).toHaveLength(1);
    expect(run.said(1, /^exit: 137$/), run.text()).toHaveLength(1);
    expect(run.said(2, /^exit: 0$/), run.text()).toHaveLength(1);
    expect(run.ended).toBe("off");
  });

  test("the machine where it began is lost: the others end", async () => {
    const run = await busy(1);
    for (const machine of [2, 3]) {
      expect(
        run.said(machine, /^pthreads: killed: machine 1, where it began, is lost$/),
        run.text(),
      ).toHaveLength(1);
      expect(run.said(machine, /^exit: 137$/), run.text()).toHaveLength(1);
    }
    expect(run.ended).toBe("off");
  });
});

musl(`robust mutexes of processes on several machines${missing("musl")}`, () => {
  const { host } = hasMusl ? cProgram("heir") : { host: "" };
  const one = /^heir: locked 2 times, by heirs 1$/;

  test("the owner's process ends", async () => {
    const run = await seeded(host, ["exit"], { machines: 3, cores: 1, seed: 1 });
    expect(run.report.result, repeat(run, ["exit"])).toMatch(one);
    expect(run.report.ok, repeat(run, ["exit"])).toBe(true);
  });

  test("the owner's machine dies", async () => {
    const die = (cluster: SeededCluster) => {
      cluster.nodes[1]!.machine.powered = false;
    };
    const run = await withFaults(host, ["stay"], [[150, die]], { machines: 3, append: "linkloss=200" });
    expect(run.said(1, one), run.text()).toHaveLength(1);
    expect(run.ended).toBe("off");
  });
});

musl(`live${missing("musl")}`, () => {
  test("three machine processes, one program", async () => {
    const shape = ["--spread", "--live", "--machines", 3, "--cores", 1];
    const run = new Command(["run", ...shape, cProgram("pthreads").host, 3, 5]);
    const { status } = await run.ended;
    expect(run.out, run.err).toMatch(/^machine1 \| pthreads: 3 threads: all right$/m);
    expect(status, run.out + run.err).toBe(0);
  });
});
