// Bugs in mirrored mode: what mirrored clusters of the simulator do, and one thing that is wrong in it (coherence-mirror.ts and, of
// views, coherence-views.ts have each by its name).
import { type Program, World, wander } from "../coherence.js";
import { KernelWasm } from "../kernel-wasm.js";
import { atRandom, type Finding, type Planted } from "./plant.js";

/** What the threads of each machine do; as many machines take part as a case has. */
export const busy: readonly (readonly Program[])[] = [
  ["w0w1ow0w1w0w1o"],
  ["r1r0w0r1r0o", "w1r0"],
  ["r0r1ow0w1r0"],
  ["r0w1r0r1"],
];
export const homes: readonly (readonly [number, number])[] = [
  [1, 1],
  [2, 2],
  [3, 3],
  [1, 2],
  [2, 1],
  [1, 3],
];

/** Machine 3 writes what others see and then what nobody has seen, and has it still when it comes back. */
export const unseen: readonly (readonly Program[])[] = [["r0w0"], ["r0w0"], ["w0w0w0r0r0"]];

export interface MirroredCase {
  readonly mirrors: number;
  readonly machines: number;
  readonly deaths: number;
  /** Machines come back. */
  readonly rejoins?: boolean;
  /** Machines stop, are left out, and come back with what they had (R7). */
  readonly remains?: boolean;
  /** Instead of `busy`. */
  readonly programs?: readonly (readonly Program[])[];
  /** Machines without room for mirrors. */
  readonly crowded?: readonly number[];
}

interface Bug {
  readonly name: string;
  readonly mirrors: number;
  readonly deaths: number;
  readonly rejoins?: true;
  readonly remains?: true;
  readonly programs?: readonly (readonly Program[])[];
  readonly crowded?: readonly number[];
  /** It is in what membership does. */
  readonly ofViews?: true;
  /** Found after thousands of clusters: too long for the quick tests. */
  readonly rare?: true;
  /** Nor by many more. */
  readonly survives?: true;
}

const bugs: readonly Bug[] = [
  { name: "nothing goes in front", mirrors: 1, deaths: 1 },
  { name: "mirrors are not reported", mirrors: 1, deaths: 1 },
  { name: "a cut counts before it is whole", mirrors: 1, deaths: 1, rare: true },
  { name: "a cut counts without its page", mirrors: 1, deaths: 1, rare: true },
  { name: "what is under way has arrived", mirrors: 1, deaths: 1 },
  { name: "output does not wait", mirrors: 1, deaths: 1 },
  { name: "nothing is mirrored anew", mirrors: 1, deaths: 2 },
  { name: "what is restored counts as mirrored", mirrors: 1, deaths: 2 },
  { name: "what thaws may leave at once", mirrors: 1, deaths: 2, rejoins: true },
  { name: "a new life is spoken to at once", mirrors: 1, deaths: 2, rejoins: true, ofViews: true },
  {
    name: "what is restored keeps its number",
    mirrors: 1,
    deaths: 1,
    rejoins: true,
    remains: true,
    programs: unseen,
  },
  { name: "what goes in front needs no room", mirrors: 1, deaths: 1, crowded: [2] },
  { name: "one mirror is enough", mirrors: 2, deaths: 2 },
  { name: "a page leaves before it is safe", mirrors: 2, deaths: 2 },
  {
    name: "one mirror of a page comes at a time",
    mirrors: 2,
    deaths: 3,
    rejoins: true,
    rare: true,
    survives: true,
  },
];

/** So many seeds of each set of homes; what is found, and where. */
export function searchMirrored(each: MirroredCase, seeds: number, bug?: Bug): Finding[] {
  const kernel = new KernelWasm();
  const { machines, mirrors, deaths, rejoins = false, remains = false, crowded = [] } = each;
  const programs = (each.programs ?? busy).slice(0, machines).map((threads) => [...threads]);
  const worlds = homes.map((home) => {
    const shape = {
      machines,
      home: [...home],
      pages: 2,
      programs,
      takeover: true,
      mirrored: mirrors,
      crowded,
    };
    const world = new World(kernel, shape);
    if (bug !== undefined) world.planted = bug.name;
    world.rejoins = rejoins;
    world.pauses = world.remains = remains;
    return { world, home, start: world.save() };
  });
  const found = atRandom(seeds, worlds.length, (seed, index) => {
    const { world, start } = worlds[index]!;
    world.load(start);
    wander(world, seed, deaths);
  });
  return found.map((one) => {
    const run = one.after - 1;
    const where = `homes ${worlds[run % worlds.length]!.home}, seed ${Math.floor(run / worlds.length) + 1}`;
    return { ...one, says: `${where}: ${one.says}` };
  });
}

const SEEDS = 8000;
const planted = (bug: Bug): Planted => ({
  name: bug.name,
  where: bug.ofViews ? "syslink/members.ts" : "coherence/mirror-pages.ts, shelves.ts, commits.ts, homes.ts",
  ...(bug.survives && { survives: true }),
  find: () => searchMirrored({ ...bug, machines: bug.mirrors + 2 }, SEEDS, bug),
});

export const mirrorPlants: readonly Planted[] = bugs.map(planted);
export const quickMirrorPlants: readonly Planted[] = bugs.filter(({ rare }) => !rare).map(planted);
