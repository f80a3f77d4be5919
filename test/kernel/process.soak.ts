// Processes over many seeds: on our own machine the seed draws the interleaving of all cores, so that a race shows
// again when its seed is given again.
import { describe, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { expectSame } from "../support/same-as-linux.js";

const seeds = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe.skipIf(!hasMusl || process.platform !== "linux" || process.arch !== "x64")(
  `the same on our machine as on Linux${missing("musl")}`,
  () => {
    for (const seed of seeds(12)) {
      const cores = [1, 2, 3, 4][seed % 4]!;
      test(`threads, seed ${seed}, ${cores} cores`, () => expectSame("threads", [], { cores, seed }));
      test(`memory calls, seed ${seed}`, () => expectSame("mapping", [`${seed}`, "2000"], { seed }));
      test(`memory calls on a shared file, seed ${seed}`, () =>
        expectSame("mapping", [`${seed}`, "1000", "shared"], { seed }));
      test(`racing threads, seed ${seed}, ${cores} cores`, () =>
        expectSame("chaos", [`${seed}`, "500", "shared"], { cores, seed }));
    }
    for (const seed of seeds(24)) {
      const where = [["/tmp"], ["shm"], ["/", "unmapped"]][seed % 3]!;
      const words = [where[0]!, `${seed}`, "2000", ...where.slice(1)];
      test(`files at random, seed ${seed}`, () =>
        expectSame("turns", words, { machines: 1 + (seed % 4), cores: 1, seed }));
    }
    for (const seed of seeds(6)) {
      const [machines, cores] = [2 + (seed % 3), 1 + (seed % 2)];
      const where = `${machines} machines of ${cores} cores, seed ${seed}`;
      for (const [name, args] of [
        ["counter", ["100"]],
        ["mutex", ["40", "5"]],
        ["list", ["60"]],
        ["split", ["40"]],
      ] as const)
        test(`${name}, ${where}`, () => expectSame(name, args, { machines, cores, seed }));
    }
    test("floating point", () => expectSame("fpu", []));
  },
);
