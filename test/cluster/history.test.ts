// Linearizability across machines: the guest program `history` records what every thread of a seeded cluster did to one
// shared object and when, in virtual time, which is one for all machines; every history must have an order that the
// object's specification allows (test/support/linearizability.ts). What is not atomic is found out.
import { describe, expect, test } from "vitest";
import { repeat } from "../support/cluster.js";
import {
  type History,
  type HistoryShape,
  historyKinds,
  recorded,
  specifications,
} from "../support/history.js";
import { type Answer, check, counter, lock, queueOf, register } from "../support/linearizability.js";

const shape = (machines: number, cores: number, seed: number): HistoryShape => ({
  machines,
  cores,
  seed,
  operations: 12,
});

async function record(kind: string, o: HistoryShape) {
  const { run, args, history } = await recorded(kind, o);
  expect(run.report.ok, repeat(run, args)).toBe(true);
  expect(history.length).toBe(o.machines * o.cores * o.operations);
  return { run, args, history };
}

/** Some operation was under way while another machine's was: else the order is a matter of the clock alone. */
const overlaps = (history: History): number =>
  history.filter((a) =>
    history.some((b) => a.by !== b.by && a.invoked < b.returned && b.invoked < a.returned),
  ).length;

describe.each(historyKinds)("%s", (kind) => {
  const specification = specifications[kind];
  test("promise 57: is linearizable between cores and between machines", async () => {
    const far = [1, 2, 3].map((seed) => ({ ...shape(2 + (seed % 3), 1, seed), operations: 20, far: true }));
    for (const each of [shape(2, 2, 1), shape(3, 1, 2), ...far]) {
      const { run, args, history } = await record(kind, each);
      expect(overlaps(history)).toBeGreaterThan(0);
      const verdict = check(history, specification);
      const why = verdict.linearizable
        ? ""
        : `${JSON.stringify(verdict.stuck)}\n${JSON.stringify(each)}\n${repeat(run, args)}`;
      expect(verdict.linearizable, why).toBe(true);
    }
  }, 200_000);

  test("without what makes it atomic is found not to be", async () => {
    let found = false;
    for (let seed = 1; seed <= 8 && !found; seed++) {
      const { history } = await record(`${kind}-broken`, shape(2, 2, seed));
      found = !check(history, specification).linearizable;
    }
    expect(found).toBe(true);
  }, 200_000);
});

describe("the checker", () => {
  const operation = (
    name: string,
    first: number,
    result: Answer | undefined,
    invoked: number,
    returned: number,
  ) => ({
    call: { name, first, second: 0 },
    result,
    invoked,
    returned,
  });
  const NEVER = Number.POSITIVE_INFINITY;

  test("wants what returned first to come first", () => {
    const stale = [operation("write", 1, 0, 0, 1), operation("read", 0, 0, 2, 3)];
    expect(check(stale, register).linearizable).toBe(false);
    const overlapping = [operation("write", 1, 0, 0, 2), operation("read", 0, 0, 1, 3)];
    expect(check(overlapping, register).linearizable).toBe(true);
  });
  test("takes what never returned as done, or not done, whichever fits", () => {
    const pending = operation("write", 1, undefined, 0, NEVER);
    expect(check([pending, operation("read", 0, 1, 5, 6)], register).linearizable).toBe(true);
    expect(check([pending, operation("read", 0, 0, 5, 6)], register).linearizable).toBe(true);
    const both = [pending, operation("read", 0, 1, 5, 6), operation("read", 0, 0, 7, 8)];
    expect(check(both, register).linearizable).toBe(false); // done, and then not
  });
  test("wants old values to be a permutation in real time's order", () => {
    const add = (result: number, invoked: number, returned: number) =>
      operation("xadd", 0, result, invoked, returned);
    expect(check([add(1, 0, 5), add(0, 1, 3), add(2, 6, 7)], counter).linearizable).toBe(true);
    expect(check([add(1, 0, 1), add(0, 2, 3)], counter).linearizable).toBe(false);
    expect(check([add(0, 0, 5), add(0, 1, 3)], counter).linearizable).toBe(false);
    const verdict = check([add(0, 0, 1), add(1, 2, 3), add(1, 4, 5)], counter);
    expect(verdict.linearizable ? [] : verdict.stuck.map((o) => o.invoked)).toEqual([4]);
  });
  test("knows queues and locks", () => {
    const put = (value: number, from: number, to: number) => operation("put", value, 1, from, to);
    const take = (value: Answer, from: number, to: number) => operation("take", 0, value, from, to);
    expect(
      check([put(1, 0, 1), put(2, 2, 3), take(1, 4, 5), take(2, 6, 7), take(null, 8, 9)], queueOf(4))
        .linearizable,
    ).toBe(true);
    expect(check([put(1, 0, 1), put(2, 2, 3), take(2, 4, 5)], queueOf(4)).linearizable).toBe(false);
    expect(check([put(1, 0, 3), put(2, 1, 2), take(2, 4, 5)], queueOf(4)).linearizable).toBe(true);
    const attempt = (result: Answer, from: number, to: number) => operation("try", 0, result, from, to);
    expect(check([attempt(1, 0, 1), attempt(1, 2, 3)], lock).linearizable).toBe(false);
    expect(check([attempt(1, 0, 3), attempt(null, 1, 2)], lock).linearizable).toBe(true);
  });
  test("manages long histories of many", () => {
    const history = Array.from({ length: 600 }, (_, i) =>
      operation("xadd", 0, i ^ 3, 10 * (i >> 2), 10 * (i >> 2) + 9),
    );
    expect(check(history, counter).linearizable).toBe(true);
    const wrong = history.map((o, i) => (i === 599 ? { ...o, result: 7 } : o));
    expect(check(wrong, counter).linearizable).toBe(false);
  });
});
