// `buslock run --live --chaos`: real processes killed, stopped, cut off and started again, and the same judge.
// CHAOS_SEEDS=N wants so many seeds (6), CHAOS_FIRST=N the first one.
import { describe, expect, test } from "vitest";
import { type Verdict, verdictOf } from "../support/chaos.js";
import { childrenOf, processes } from "../support/cluster.js";
import { commands } from "../support/commands.js";

const first = Number(process.env["CHAOS_FIRST"] ?? 1);
const seeds = Array.from({ length: Number(process.env["CHAOS_SEEDS"] ?? 6) }, (_, i) => first + i);
const buslock = commands();
const chaos = (...args: (string | number)[]) =>
  buslock("run", "--live", "--cores", 1, "--memory", "32M", ...args);

const broken = ({ promises }: Verdict) => promises.filter(({ broken }) => broken.length > 0);

describe.skipIf(process.arch !== "x64")("live chaos", () => {
  test.each(seeds)("seed %i: every promise is kept", { timeout: 180_000, retry: 0 }, async (seed) => {
    const run = chaos("--chaos", seed, "--machines", 3 + (seed % 2), "--json", "endure");
    const { status } = await run.ended;
    const verdict = verdictOf(run);
    expect(broken(verdict), `${verdict.replay}\n${JSON.stringify(verdict.plan)}`).toEqual([]);
    expect(status).toBe(0);
    expect(verdict.whole).toBe(true);
    expect(verdict.additions).toBeGreaterThan(200);
  });

  test("an order of the wire is obeyed: who is cut off for good is judged out of the cluster", async () => {
    // One machine of three, cut off from 0.2 s on for more than its lease: the two others take a view without it.
    const run = chaos(
      "--chaos",
      9,
      "--chaos-faults",
      "cut",
      "--chaos-count",
      1,
      "--machines",
      3,
      "--json",
      "endure",
    );
    await run.ended;
    const verdict = verdictOf(run);
    expect(verdict.plan).toHaveLength(1);
    expect(verdict.promises.find(({ promise }) => promise === "R0 views")!.tested).toBeGreaterThan(3);
    expect(broken(verdict)).toEqual([]);
  });

  test("Ctrl-C while a machine is stopped: status 130, and no process is left", async () => {
    const run = chaos(
      "--chaos",
      3,
      "--chaos-faults",
      "pause",
      "--chaos-count",
      1,
      "--chaos-time",
      1,
      "endure",
    );
    await run.says(/pause machine \d/);
    const children = childrenOf(run.child.pid!);
    expect(children.length).toBeGreaterThanOrEqual(4);
    run.kill("SIGINT");
    expect((await run.ended).status).toBe(130);
    expect(children.filter((pid) => processes("cli.js").includes(pid))).toEqual([]);
  });
});
