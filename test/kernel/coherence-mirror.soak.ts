// The mirrored clusters of coherence-mirror.test.ts for longer: SOAK_SEEDS seeds (20000 unless told) for each set of homes, one and two
// mirrors, as many deaths at once, more when all is mirrored anew, and machines that come back, or are left out and come back with what
// they had; and more of every order of events.
import { expect, test } from "vitest";
import { type Program, World, wander } from "../support/coherence.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { busy } from "../support/plants/mirror.js";
import { explore, Violation } from "../support/search.js";

const seeds = Number(process.env["SOAK_SEEDS"] ?? 20_000);
const HOUR = 3_600_000;
const homes: [number, number][] = [1, 2, 3].flatMap((a) => [1, 2, 3].map((b): [number, number] => [a, b]));
const cases = [
  { mirrored: 1, deaths: 2, machines: 3 },
  { mirrored: 1, deaths: 3, machines: 4 },
  { mirrored: 2, deaths: 4, machines: 4 },
].flatMap((each) => homes.map((home) => ({ ...each, home })));

test.each(cases)(
  "$mirrored mirrors, $deaths deaths, homes $home",
  ({ mirrored, deaths, machines, home }) => {
    const programs = busy.slice(0, machines).map((threads) => [...threads]);
    const world = new World(new KernelWasm(), {
      machines,
      home,
      pages: 2,
      programs,
      takeover: true,
      mirrored,
    });
    const start = world.save();
    for (let seed = 1; seed <= seeds; seed++) {
      world.load(start);
      world.rejoins = seed % 2 === 0;
      world.pauses = world.remains = seed % 4 === 0;
      try {
        wander(world, seed, deaths);
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        throw new Violation(`seed ${seed}: ${error.message}`);
      }
    }
    expect(seeds).toBeGreaterThan(0);
  },
  HOUR,
);

test.each<[mirrors: number, Program[][]]>([
  [1, [["w0o"], ["r0"], []]],
  [2, [["w0o"], [], []]],
])(
  "every order of events with output, %i mirrors",
  (mirrored, programs) => {
    const world = new World(new KernelWasm(), { machines: 3, home: 3, programs, takeover: true, mirrored });
    const { states } = explore(world, mirrored);
    console.log(`${states} states`);
    expect(states).toBeGreaterThan(20_000);
  },
  HOUR,
);
