// Where bugs in the page protocol's rows (rows.ts) must show: small clusters at random, and in every order of events.
import { type Program, type Saved, World, wander } from "../coherence.js";
import { KernelWasm } from "../kernel-wasm.js";
import { rowAddress, states } from "../page-table.js";
import { explore } from "../search.js";
import { atRandom, bySearch, type Finding, type Planted } from "./plant.js";
import { type Change, rowBugs } from "./rows.js";

const kernel = new KernelWasm();
const begin = kernel.constant("ROWS");
const intact = kernel.bytes.slice(begin, begin + 8 * 300);

const programs: Program[][][] = [
  [
    ["rw", "w"],
    ["rw", "r"],
  ],
  [["r"], ["w"], ["w"]],
  [["rw"], ["w"], ["rw"]],
  [["rr"], ["r"], ["w"]],
  [["xx", "xr"], ["wxr"], ["rxx"]],
];

const worlds = programs.flatMap((program) =>
  program.map(
    (_, home) => new World(kernel, { machines: program.length, home: home + 1, programs: program }),
  ),
);
const ranged = [
  [["w0w1", "r2"], ["r1w2"], ["w1r0"]],
  [["r0w1r2"], ["w1w0"], ["x1r2", "w0"]],
].flatMap((programs) =>
  [1, 2, 3].map(
    (home) => new World(kernel, { machines: 3, home, programs, pages: 3, ranges: true, recalls: 1 }),
  ),
);
const guessing = [
  [["w"], ["w"], ["rr"]],
  [["r"], ["ww"], ["rr"], ["wr"]],
  [[], ["ww", "r"], ["w"]],
  [["x"], ["ww"], ["wr"]],
  [[], ["w", "w", "r"], ["ww"]],
].map((programs) => new World(kernel, { machines: programs.length, home: 1, programs, guesses: true }));
export const fresh = new Map(
  [...worlds, ...ranged, ...guessing].map((world): [World, Saved] => [world, world.save()]),
);

function plant(change: Change): void {
  const [state, event, next, ...actions] = change;
  const at = rowAddress(kernel, state, event);
  kernel.bytes[at + 2] = states.indexOf(next);
  for (let i = 0; i < 4; i++) kernel.bytes[at + 3 + i] = actions[i] ? kernel.constant(actions[i]!) : 0;
}

export type RowBug = (typeof rowBugs)[number];

function planted({ rows }: RowBug, work: () => Finding[]): Finding[] {
  for (const row of rows) plant(row);
  try {
    return work();
  } finally {
    kernel.bytes.set(intact, begin);
  }
}

const worldsOf = ({ ranges, guesses }: RowBug): readonly World[] =>
  ranges ? ranged : guesses ? guessing : worlds;

const SEEDS = 400;
/** Those of a few thousand states. */
const SMALL = 20_000;

export const rowAtRandom = (bug: RowBug): Finding[] =>
  planted(bug, () => {
    const of = worldsOf(bug);
    return atRandom(SEEDS, of.length, (seed, index) => {
      of[index]!.load(fresh.get(of[index]!)!);
      wander(of[index]!, seed, bug.kills ?? 0);
    });
  });

export const rowBySearch = (bug: RowBug): Finding[] =>
  planted(bug, () =>
    bySearch(
      worldsOf(bug).map((world) => () => {
        world.load(fresh.get(world)!);
        return explore(world, bug.kills ?? 0, SMALL, undefined, true);
      }),
    ),
  );

export const rowPlants: readonly Planted[] = rowBugs.map((bug) => ({
  name: bug.name,
  where: bug.rows.map(([state, event]) => `${state} ${event}`).join(", "),
  find: () => [...rowBySearch(bug), ...rowAtRandom(bug)],
}));
