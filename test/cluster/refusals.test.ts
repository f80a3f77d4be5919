// The protocol without the home's queue (queue=0), which the benchmark compares with: requests that meet a transfer under way
// are refused and made again. It must be as right as the protocol itself: counters, histories, losses on the wire.
import { describe, expect, test } from "vitest";
import { repeat, type SeededRun, seeded } from "../support/cluster.js";
import { historyOf } from "../support/history.js";
import {
  type Answer,
  type Call,
  check,
  counter,
  lock,
  type Specification,
} from "../support/linearizability.js";

const sum = (run: SeededRun, stat: string) =>
  run.report.machines.reduce((total, { stats }) => total + (stats?.[stat] ?? 0), 0);

describe("without queues", { timeout: 300_000 }, () => {
  test.each([
    ["add", 3, 1, "queue=0 ship=0 hold=0", {}],
    ["add", 3, 2, "queue=0 ship=0", { faults: { loss: 0.02, duplicate: 0.05 }, reorder: true }],
    ["lock", 3, 1, "queue=0 migrate=0", {}],
  ])("%s of %i machines of %i cores, %s: nothing is lost", async (what, machines, cores, append, network) => {
    const words = [what, 2500];
    const delay: [number, number] = [20, 80];
    const run = await seeded("contend", words, { machines, cores, append, network: { delay, ...network } });
    expect(run.report.ok, repeat(run, words)).toBe(true);
    expect(run.report.result, repeat(run, words)).toMatch(
      / total (\d+) least \d+ most \d+ counted \1 median/,
    );
    expect(sum(run, "requestsRefused"), repeat(run, words)).toBeGreaterThan(0);
  });

  test.each([
    ["xadd", counter as Specification<never, Call, Answer>],
    ["lock", lock as unknown as Specification<never, Call, Answer>],
  ])("histories of %s are linearizable", async (kind, specification) => {
    const words = [kind, 12];
    const run = await seeded("history", words, { machines: 3, cores: 2, seed: 3, append: "queue=0 ship=0" });
    expect(run.report.ok, repeat(run, words)).toBe(true);
    const history = historyOf(run.lines);
    expect(history.length).toBe(3 * 2 * 12);
    expect(check(history, specification).linearizable, repeat(run, words)).toBe(true);
    expect(sum(run, "requestsRefused"), repeat(run, words)).toBeGreaterThan(0);
  });
});
