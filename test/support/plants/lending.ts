// Pages that are lent while their home moves, or machines leave and die: small clusters whose every order of events is searched from where a page is
// lent, clusters at random, and bugs planted in what coherence-loans.ts does around the compiled parts.
import { type Step, World } from "../coherence.js";
import { lendingBugs, lendingSurvivors } from "../coherence-loans.js";
import { KernelWasm } from "../kernel-wasm.js";
import { explore, type Found } from "../search.js";
import { LENDING, roomy, shapeOf, trial, worldOf } from "../trial.js";
import { atRandom, bySearch, type Finding, type Planted } from "./plant.js";

/** Machine 1 has the page from the last machine, its home, and has lent it to machine 2. */
const lentBy = (home: number): Step[] => [
  { do: "start", machine: 1, thread: 0 },
  { do: "deliver", from: 1, to: home },
  { do: "deliver", from: home, to: 1 },
  { do: "retire", machine: 1, thread: 0 },
  { do: "start", machine: 2, thread: 0, borrow: true },
  { do: "deliver", from: 2, to: home },
  { do: "deliver", from: home, to: 1 },
  { do: "deliver", from: 1, to: 2 },
];
/** Machine 1, its home, has; it is on its way. */
const lentByTheHome: Step[] = [
  { do: "start", machine: 1, thread: 0 },
  { do: "retire", machine: 1, thread: 0 },
  { do: "start", machine: 2, thread: 0, borrow: true },
  { do: "deliver", from: 2, to: 1 },
];
const writes: Step = { do: "start", machine: 2, thread: 0 };
const leaves = (machine: number): Step => ({ do: "leave", machine });

export interface LendingCase {
  readonly name: string;
  /** The home is the last machine unless told. */
  readonly programs: string[][];
  readonly home?: number;
  readonly kills?: number;
  readonly begins: readonly Step[];
  readonly states: number;
}

const three = [["w"], ["w"], []];
export const lendingCases: readonly LendingCase[] = [
  { name: "its home leaves", programs: three, begins: [...lentBy(3), leaves(3)], states: 47_074 },
  {
    name: "its home leaves, and it is on its way",
    programs: three,
    begins: [...lentBy(3).slice(0, -1), leaves(3)],
    states: 47_400,
  },
  { name: "its lender leaves", programs: three, begins: [...lentBy(3), leaves(1)], states: 52_278 },
  { name: "its borrower leaves", programs: three, begins: [...lentBy(3), leaves(2)], states: 6245 },
  {
    name: "its home, which has lent it, leaves",
    programs: [["w"], ["w"]],
    home: 1,
    begins: [...lentByTheHome, leaves(1)],
    states: 854,
  },
  {
    name: "it was written there, and a machine dies",
    programs: [["w"], ["w"], ["r"]],
    kills: 1,
    begins: [...lentBy(3), writes],
    states: 5797,
  },
  {
    name: "its home has lent it, and a machine dies",
    programs: [["ww"], ["w"]],
    home: 1,
    kills: 1,
    begins: lentByTheHome,
    states: 1173,
  },
  {
    name: "its lender dies",
    programs: [["w"], ["wr"], ["w"]],
    kills: 1,
    begins: [...lentBy(3), writes, { do: "kill", machine: 1 }],
    states: 10_301,
  },
  {
    name: "who was to have it next dies",
    programs: [["w"], ["w"], ["w"], ["r"]],
    kills: 1,
    begins: [
      ...lentBy(4),
      writes,
      { do: "start", machine: 3, thread: 0 },
      { do: "deliver", from: 3, to: 4 },
      { do: "kill", machine: 3 },
    ],
    states: 132_543,
  },
];

export function exploreLending(
  kernel: KernelWasm,
  { programs, home = programs.length, kills = 0, begins }: LendingCase,
  planted = "",
): Found {
  const world = new World(kernel, { machines: programs.length, home, programs, takeover: true, lends: 1 });
  world.leaves = 1;
  world.planted = planted;
  if (!begins.some((step) => step.do === "leave")) world.leaves = 0;
  for (const step of begins) world.take(step);
  return explore(world, kills);
}

/** Those of few states. */
export const smallLending = lendingCases.filter(({ states }) => states < 20_000);

const SHAPES = 300;
const SEEDS = 10;

function lendingAtRandom(planted: string): Finding[] {
  let kernel = new KernelWasm();
  return atRandom(1, SHAPES, (_, number) => {
    kernel = roomy(kernel);
    const shape = LENDING + number;
    const world = worldOf(kernel, shapeOf(shape));
    world.planted = planted;
    for (let seed = 1; seed <= SEEDS; seed++)
      trial(world, shape, seed % 2 === 0 ? "safety" : "liveness", seed);
  });
}

export const lendingBySearch = (kernel: KernelWasm, planted: string): Finding[] =>
  bySearch(lendingCases.map((one) => () => exploreLending(kernel, one, planted)));

export const lendingPlants: readonly Planted[] = [...lendingBugs, ...lendingSurvivors].map((bug) => ({
  name: `while homes move: ${bug}`,
  where: "coherence/loans.ts",
  find: () => [...lendingBySearch(new KernelWasm(), bug), ...lendingAtRandom(bug)],
  ...((lendingSurvivors as readonly string[]).includes(bug) && { survives: true }),
}));
