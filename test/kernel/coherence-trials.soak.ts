// The clusters at random of coherence-trials.test.ts until they are stopped, or as many as SOAK_SEEDS says: small ones, larger ones, mirrored
// ones, those over the kernel's links, and so on (trial.ts) in turn, or those of SHAPES_FROM and the shapes behind it; before that their larger exhaustive
// searches. What fails is said at once, with the command that repeats it: TRIAL=... .
import { expect, test } from "vitest";
import { type Program, World } from "../support/coherence.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { explore } from "../support/search.js";
import {
  GIVING,
  GUESSING,
  JOINED,
  LARGER,
  LENDING,
  LOSING,
  MIRRORED,
  type Mode,
  RELIEVING,
  roomy,
  SHEDDING,
  shapeOf,
  trial,
  trialOf,
  UNMAPPING,
  worldOf,
} from "../support/trial.js";

const only = process.env["TRIAL"];
const runs = Number(process.env["SOAK_SEEDS"] ?? Number.POSITIVE_INFINITY);
const from = process.env["SHAPES_FROM"];
const DAYS = 2 ** 31 - 1;
const SHAPE_RUNS = 20;
/** Of which it says how far it is. */
const SHAPES_TOLD = 500;
const KINDS = [
  0,
  LARGER,
  MIRRORED,
  JOINED,
  GUESSING,
  UNMAPPING,
  GIVING,
  SHEDDING,
  LOSING,
  RELIEVING,
  LENDING,
];
const shapeAt = (count: number) =>
  from === undefined
    ? KINDS[count % KINDS.length]! + 1 + Math.floor(count / KINDS.length)
    : Number(from) + count;

test.skipIf(only === undefined)(`TRIAL=${only}`, { retry: 0 }, () => {
  const { shape, mode, seed } = trialOf(only!);
  trial(worldOf(new KernelWasm(), shapeOf(shape)), shape, mode, seed);
});

interface Search {
  programs: Program[][];
  kills: number;
  pages?: number;
  ranges?: true;
  recalls?: number;
  rejoins?: true;
  pauses?: true;
  leaves?: number;
}
const searches: Search[] = [
  { programs: [["w"], ["r"], ["r"]], kills: 1 },
  { programs: [["w"], ["w"], ["r"]], kills: 1, pauses: true },
  { programs: [["w"], ["w"], ["x"]], kills: 2 },
  { programs: [[], ["w"], ["w"]], kills: 0, leaves: 1 },
  { programs: [["r"], ["w"], [], ["w"]], kills: 2 },
  { programs: [["w"], [], ["r"]], kills: 1, rejoins: true },
  { programs: [["w"], ["w"], []], kills: 1, rejoins: true, pauses: true },
  { programs: [["w0"], ["w1"], ["r0"]], kills: 1, pages: 2, ranges: true },
  { programs: [["w0"], ["w1"], []], kills: 1, pages: 2, ranges: true, rejoins: true, pauses: true },
];
test.skipIf(only !== undefined).each(searches.map((one) => [JSON.stringify(one), one] as const))(
  "every order of events, the home moves: %s",
  (name, { kills, rejoins = false, pauses = false, leaves = 0, ...setup }) => {
    const machines = setup.programs.length;
    const world = new World(new KernelWasm(), { machines, home: 1, takeover: true, ...setup });
    world.rejoins = rejoins;
    world.pauses = pauses;
    world.leaves = leaves;
    const found = explore(world, kills, 50_000_000, (states, waiting) =>
      process.stderr.write(`${name}: ${states} states, ${waiting} to be looked at\n`),
    );
    console.log(`${name}: ${found.states} states, ${found.ends} ends, at most ${found.depth} events`);
    expect(found.ends).toBeGreaterThan(0);
  },
  DAYS,
);

/** The summary comes when all is over, which this may never be. */
function toldAtOnce(run: () => number): number {
  try {
    return run();
  } catch (error) {
    process.stderr.write(`FAILED: ${(error as Error).message}\n`);
    throw error;
  }
}

test.skipIf(only !== undefined)("clusters at random", { timeout: DAYS, retry: 0 }, async ({ signal }) => {
  let kernel = new KernelWasm();
  let events = 0;
  const began = performance.now();
  for (let count = 0; count * SHAPE_RUNS < runs && !signal.aborted; count++) {
    const shape = shapeAt(count);
    kernel = roomy(kernel);
    const world = worldOf(kernel, shapeOf(shape));
    for (let seed = 1; seed <= SHAPE_RUNS; seed++) {
      const mode: Mode = seed % 2 === 0 ? "safety" : "liveness";
      events += toldAtOnce(() => trial(world, shape, mode, seed));
    }
    await new Promise((resolve) => setImmediate(resolve));
    if ((count + 1) % SHAPES_TOLD !== 0) continue;
    const seconds = (performance.now() - began) / 1000;
    const done = (count + 1) * SHAPE_RUNS;
    process.stderr.write(
      `${done} clusters, ${events} events, ${Math.round(events / seconds)} a second, ${Math.round((done / seconds) * 3600)} clusters an hour\n`,
    );
  }
  expect(events).toBeGreaterThan(0);
});
