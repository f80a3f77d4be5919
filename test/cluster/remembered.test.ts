// Names when machines die and leave: mirrored, nothing that others have seen is lost; volatile, something is told when something is; and in either
// case the survivors go on making names. Deaths at many messages: renamed.soak.ts.
import { describe, expect, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { dies, found, goesOn, heals, leaves, remembered, wrongNames } from "../support/names.js";

describe.skipIf(!hasMusl)(`names outlive machines${missing("musl")}`, { timeout: 300_000 }, () => {
  test.each([2, 4])("R3: mirrored, a machine dies: what was seen is there (seed %i)", async (seed) => {
    const dead = seed < 4 ? 3 : 2;
    const r = await remembered(seed, 1, [dies(dead, seed)]);
    expect(wrongNames(r, dead, true), r.text()).toBeNull();
    for (const machine of [1, 5 - dead]) {
      const { seen } = found(r, machine);
      expect(seen[dead - 1], r.text()).toBeGreaterThan(5);
      expect(seen[4 - dead], r.text()).toBeGreaterThan(seen[dead - 1]!);
    }
  });

  test.each([2, 4])("R2: volatile, a machine dies: what is lost is told (seed %i)", async (seed) => {
    const dead = seed < 4 ? 3 : 2;
    const r = await remembered(seed, 0, [dies(dead, seed)]);
    expect(wrongNames(r, dead, false), r.text()).toBeNull();
  });

  test.each([2, 4])("R1: a machine leaves: nothing is lost (seed %i)", async (seed) => {
    const gone = 1 + seed / 2;
    const r = await remembered(seed, 0, [leaves(gone, 30 + seed)]);
    expect(r.said(gone, /^cluster: this machine has left$/).length, r.text()).toBe(1);
    for (const machine of [1, 5 - gone]) {
      const { seen, names, missing, odd, told } = found(r, machine);
      expect({ missing, odd, told }, r.text()).toEqual({ missing: 0, odd: 0, told: 0 });
      expect(names, r.text()).toEqual([1, 1, 1]);
      expect(seen[gone - 1], r.text()).toBeGreaterThan(5);
      expect(goesOn(r, machine), r.text()).toBe(true);
    }
  });

  test.each([1, 2])(
    "R4: a machine that was left out comes back, and has the names of the others (seed %i)",
    async (seed) => {
      const r = await remembered(seed, 0, [dies(3, seed), heals]);
      expect(r.said(3, /left out; .* it joins again/).length, r.text()).toBe(1);
      for (const machine of [1, 2, 3]) expect(goesOn(r, machine), r.text()).toBe(true);
    },
  );
});
