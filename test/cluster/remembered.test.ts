// Names when machines die and leave: mirrored, nothing that others have seen is lost; volatile, something is told when something is; and in either
// case the survivors go on making names.
import { describe, expect, test } from "vitest";
import { type FaultRun, type Happening, withFaults } from "../support/faults.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";

interface Found {
  /** By machine: files seen of it, and how many names its renamed file has. */
  readonly seen: readonly number[];
  readonly names: readonly number[];
  readonly missing: number;
  readonly odd: number;
  readonly told: number;
}

function found(run: FaultRun, machine: number): Found {
  const of = run
    .said(machine, /^remembered: \d+ of \d+: /)
    .map(({ text }) => text.match(/\d+/g)!.map(Number));
  const [sum] = run
    .said(machine, /^remembered: \d+ made /)
    .map(({ text }) => text.match(/\d+/g)!.map(Number));
  if (sum === undefined) throw new Error(`machine ${machine} has not come to its end:\n${run.text()}`);
  return {
    seen: of.map(([, , seen]) => seen!),
    names: of.map(([, , , names]) => names!),
    missing: sum[2]!,
    odd: sum[3]!,
    told: sum[4]!,
  };
}

const systems = (seed: number) => (seed % 2 === 0 ? "/" : "/tmp");

describe.skipIf(!hasMusl)(`names outlive machines${missing("musl")}`, { timeout: 300_000 }, () => {
  const run = (seed: number, mirror: number, happenings: readonly Happening[]) =>
    withFaults(
      cProgram("remembered").host,
      [systems(seed), 150],
      happenings,
      {
        machines: 3,
        seed,
        append: `linkloss=60 blocked=600 leave=1000${mirror > 0 ? ` mirror=${mirror}` : ""}`,
      },
      900,
    );

  /** Cut off, it is dead to the others, and waits. */
  const dies = (machine: number, seed: number): Happening => [
    30 + seed * 0.77,
    ({ network }) => network.partition([[1, 2, 3, 4].filter((port) => port !== machine), [machine]]),
  ];

  test.each([1, 2, 3, 4, 5, 6])(
    "R3: mirrored, a machine dies: what was seen is there (seed %i)",
    async (seed) => {
      const dead = seed < 4 ? 3 : 2;
      const r = await run(seed, 1, [dies(dead, seed)]);
      for (const machine of [1, 5 - dead]) {
        const { seen, names, missing, odd, told } = found(r, machine);
        expect({ missing, odd, told }, r.text()).toEqual({ missing: 0, odd: 0, told: 0 });
        expect(seen[dead - 1], r.text()).toBeGreaterThan(5);
        expect(seen[4 - dead], r.text()).toBeGreaterThan(seen[dead - 1]!);
        // What the dead machine was renaming has the old name, the new one, or both; the others' have one.
        for (const of of [1, 2, 3]) expect(of === dead ? [1, 2] : [1], r.text()).toContain(names[of - 1]);
        expect(r.said(machine, /goes on: yes$/)).toHaveLength(1);
      }
    },
  );

  test.each([1, 2, 3, 4, 5, 6])(
    "R2: volatile, a machine dies: what is lost is told (seed %i)",
    async (seed) => {
      const dead = seed < 4 ? 3 : 2;
      const r = await run(seed, 0, [dies(dead, seed)]);
      const each = [1, 5 - dead].map((machine) => found(r, machine));
      const lost = each.some(({ missing, odd, names }) => missing > 0 || odd > 0 || names[dead - 1] === 0);
      const told = each.reduce((sum, of) => sum + of.told, 0);
      if (lost) expect(told, r.text()).toBeGreaterThan(0);
      for (const machine of [1, 5 - dead]) expect(r.said(machine, /goes on: yes$/), r.text()).toHaveLength(1);
    },
  );

  test.each([1, 2, 3, 4, 5, 6])("R1: a machine leaves: nothing is lost (seed %i)", async (seed) => {
    const gone = 2 + (seed % 2);
    const r = await run(seed, 0, [[30 + seed, ({ nodes }) => nodes[gone - 1]!.machine.pressPowerButton()]]);
    expect(r.said(gone, /^cluster: this machine has left$/).length, r.text()).toBe(1);
    for (const machine of [1, 5 - gone]) {
      const { seen, names, missing, odd, told } = found(r, machine);
      expect({ missing, odd, told }, r.text()).toEqual({ missing: 0, odd: 0, told: 0 });
      expect(names, r.text()).toEqual([1, 1, 1]);
      expect(seen[gone - 1], r.text()).toBeGreaterThan(5);
      expect(r.said(machine, /goes on: yes$/)).toHaveLength(1);
    }
  });

  test.each([1, 2, 3, 4])(
    "R4: a machine that was left out comes back, and has the names of the others (seed %i)",
    async (seed) => {
      const r = await run(seed, 0, [dies(3, seed), [115, ({ network }) => network.partition([])]]);
      expect(r.said(3, /left out; .* it joins again/).length, r.text()).toBe(1);
      for (const machine of [1, 2, 3]) expect(r.said(machine, /goes on: yes$/), r.text()).toHaveLength(1);
    },
  );
});
