// Address spaces, files, what they hold, and names at random, of many seeds: each step as on Linux (spaces.test.ts, clerks.test.ts,
// turns.test.ts). SEEDS says how many of each row, FIRST_SEED where they start.
import { describe, expect, test } from "vitest";
import { plantedKernel } from "../bugs/plant.js";
import { clerkRows, sameClerks } from "../support/clerks.js";
import { hasMusl, missing } from "../support/guest.js";
import { noRoot } from "../support/on-linux.js";
import { kernelWith } from "../support/plants/on-clusters.js";
import { spaceBugs, turnBugs } from "../support/plants/soaks.js";
import { sameSpace, spaceRows } from "../support/spaces.js";
import { sameTurns, turnRows } from "../support/turns.js";

const first = Number(process.env["FIRST_SEED"] ?? 1000);
const seeds = Array.from({ length: Number(process.env["SEEDS"] ?? 20) }, (_, i) => first + i);

describe.skipIf(!hasMusl || noRoot !== "" || process.platform !== "linux" || process.arch !== "x64")(
  `many seeds${missing("musl")}${noRoot}`,
  { timeout: 200_000 },
  () => {
    test.each(spaceBugs)("planted, and seen: $name", async (change) => {
      const kernel = await kernelWith(change);
      const all = async () => {
        for (let seed = 1; seed <= 4; seed++)
          await sameSpace({ mode: "turns", machines: 3, cores: 1 }, seed, kernel);
      };
      await expect(all()).rejects.toThrow();
    });

    test.each(turnBugs)("planted, and seen: $name", async ({ file, changes }) => {
      const kernel = await plantedKernel({ kernel: { file: `kernel/${file}`, changes } });
      const all = async () => {
        for (let seed = 1; seed <= 6; seed++) await sameTurns({ in: "/tmp", machines: 3 }, seed, kernel);
      };
      await expect(all()).rejects.toThrow();
    });

    describe.each(spaceRows)("an address space: %o", (row) => {
      test.each(seeds)("seed %i", (seed) => sameSpace(row, seed));
    });
    describe.each(turnRows)("what files hold: %o", (row) => {
      test.each(seeds)("seed %i", (seed) => sameTurns(row, seed));
    });
    describe.each(clerkRows)("files and names: %o", (row) => {
      test.each(seeds)("seed %i", (seed) => sameClerks(row, seed));
    });
  },
);
