// x86-TSO between the cores of one machine, seeded: the tests of kernel/user/liblitmus.ts, as they are and fenced, in one
// line, one page, two pages and split over them, without a store buffer and with one. Every outcome seen must be among
// those of the model (test/support/tso.ts) with as many entries; and for small tests every outcome of the model must be
// seen, else "never seen" would say nothing. Between machines: test/cluster/litmus.test.ts.
import { beforeAll, describe, expect, test } from "vitest";
import { forbiddenSeen, LitmusMachine, type PlaceName, places, splits } from "../support/litmus.js";
import { allowedBy, shapes, textOf } from "../support/shapes.js";
import { fences } from "../support/tso.js";

/** Until everything was seen, or so many in each place. */
const SEEDS = 400;
/** Tests with more outcomes need not show the rarest, and get fewer. */
const SMALL = 8;
const SEEDS_OF_LARGE = 100;
const whole: readonly PlaceName[] = ["one line", "one page", "two pages"];
const split: readonly PlaceName[] = ["split over lines", "split over pages"];

const machines: Record<number, LitmusMachine> = {};
beforeAll(async () => {
  for (const entries of [0, 1, 4]) machines[entries] = await LitmusMachine.create(entries);
});

/** Runs a test in places until all that the model allows was seen; gives what was not. */
function compare(name: string, entries: number, where: readonly PlaceName[], seeds = SEEDS): string[] {
  const missing = new Set(allowedBy(name, { entries }));
  for (const place of where) {
    const isSplit = split.includes(place);
    // A split store may take an entry or one for each byte.
    const all = entries === 0 ? 0 : Number.POSITIVE_INFINITY;
    const allowed = allowedBy(name, isSplit ? { entries: all, split: splits } : { entries });
    const left = new Set(allowed);
    const seen = machines[entries]!.run(textOf(name), {
      place,
      // Where the operands lie changes little: the first place shows all, the others are looked at.
      seeds: place === where[0] ? seeds : seeds / 8,
      enough: (seen) => {
        for (const outcome of seen.keys()) left.delete(outcome);
        return left.size === 0;
      },
    });
    expect(forbiddenSeen(allowed, seen), `${name} in ${place}, ${entries} entries`).toEqual([]);
    for (const outcome of seen.keys()) missing.delete(outcome);
  }
  return [...missing];
}

// SDM vol. 3A, 9.2.3: each litmus test sees what x86-TSO allows and nothing else
describe.each([
  { entries: 0, what: "cores that take turns" },
  { entries: 4, what: "a store buffer of 4 entries" },
  { entries: 1, what: "a store buffer of 1 entry" },
])("$what", ({ entries }) => {
  test.each(shapes.map(({ name }) => name))("%s", (name) => {
    const outcomes = allowedBy(name, { entries }).size;
    const seeds = outcomes <= SMALL ? SEEDS : SEEDS_OF_LARGE;
    const missing = compare(name, entries, entries === 1 ? ["one page"] : whole, seeds);
    if (outcomes <= SMALL) expect(missing, "allowed, and not seen").toEqual([]);
    else expect(missing.length).toBeLessThan(outcomes / 2);
    if (entries !== 1) compare(name, entries, split, seeds);
  });

  // SDM vol. 3A, 9.2.5: what drains the store buffer
  test.each(fences)("all tests, with %s between their steps", (fence) => {
    for (const { name } of shapes) compare(`${name}+${fence}`, entries, ["two pages"], SEEDS / 8);
  });
});

// SDM vol. 3A, 9.2.3.4: a store may be passed by a later load, which MFENCE and LOCK forbid
test("a store buffer shows what its cores without one cannot, and LOCK, XCHG and MFENCE take it away", () => {
  for (const [name, relaxed] of [
    ["SB", "0,0"],
    ["SB+rfi", "1,0,1,0"],
    ["R", "0,2"],
    ["n6", "1,0,1"],
  ] as const) {
    const seen = (test: string, entries: number) =>
      machines[entries]!.run(textOf(test), { seeds: SEEDS }).has(relaxed);
    expect([name, seen(name, 4), seen(name, 0)]).toEqual([name, true, false]);
    for (const fence of fences)
      expect([name, fence, seen(`${name}+${fence}`, 4)]).toEqual([name, fence, false]);
  }
});

describe("the harness sees", () => {
  test.each([0, 4])("a seed repeats its outcome, %i entries", (entries) => {
    const machine = machines[entries]!;
    for (const [outcome, { seed }] of machine.run(textOf("IRIW"), { seeds: 50, place: "two pages" })) {
      const again = machine.run(textOf("IRIW"), { seeds: 1, first: seed, place: "two pages" });
      expect([...again.keys()]).toEqual([outcome]);
    }
  });

  // The same tests with the steps of one thread in another order: what a core that reorders would do.
  const reordered: [name: string, thread: number, order: readonly number[]][] = [
    ["SB-xchgs", 0, [1, 0]],
    ["SB-xadds", 1, [1, 0]],
    ["MP", 0, [1, 0]],
    ["MP", 1, [1, 0]],
    ["LB", 0, [1, 0]],
    ["S", 1, [1, 0]],
    ["2+2W", 0, [1, 0]],
    ["IRIW", 2, [1, 0]],
    ["IRIW-xchgs", 3, [1, 0]],
    ["WRC", 1, [1, 0]],
    ["ISA2", 1, [1, 0]],
    ["CoRR", 1, [1, 0]],
    ["CoRW2", 1, [1, 0]],
    ["CoWR", 0, [1, 0]],
    ["MP+qword", 0, [1, 0]],
  ];
  test.each(reordered)("%s with thread %i reordered", (name, thread, order) => {
    for (const entries of [0, 4]) {
      const seen = machines[entries]!.run(textOf(name), { seeds: 1000, order: { [thread]: order } });
      expect(forbiddenSeen(allowedBy(name), seen), `${entries} entries`).not.toEqual([]);
    }
  });
  test("every place", () => {
    expect([...whole, ...split]).toEqual(Object.keys(places));
  });
});
