// Bugs in how ranges are given up and looked at, planted in what grants.ts and homes.ts do (coherence-recalls.ts and coherence-state.ts have them by
// name): stories, and clusters at random whose machines give up and claim ranges.
import { KernelWasm } from "../kernel-wasm.js";
import { rangeStories } from "../range-stories.js";
import { tellStory } from "../story.js";
import { GIVING, shapeOf, trial, worldOf } from "../trial.js";
import { atRandom, type Finding, type Planted } from "./plant.js";

const SHAPES = 1500;
const SEEDS = 10;
/** Of trials that no small number of seeds finds. */
const rare = { shape: GIVING + 12_486, seed: 18 };

export const rangeBugs = [
  "what the home uses goes with its range",
  "what another has, and was never here, is nobody's",
  "a frame that is taken back leaves its number",
] as const;
const rareBug = "a record that is lost with its range keeps its number";

function run(planted: string, shape: number, seed: number): void {
  const world = worldOf(new KernelWasm(), shapeOf(shape));
  world.planted = planted;
  trial(world, shape, seed % 2 === 0 && shape !== rare.shape ? "liveness" : "safety", seed);
}

const atRandomWith = (planted: string): Finding[] =>
  atRandom(SHAPES, 1, (number) => {
    for (let seed = 1; seed <= SEEDS; seed++) run(planted, GIVING + number, seed);
  });

const where = "grants.ts, budget.ts, relief.ts, homes.ts";
export const rangePlants: readonly Planted[] = [
  ...Object.entries(rangeStories).map(([name, story]) => ({
    name,
    where,
    find: () => atRandom(1, 1, () => tellStory(new KernelWasm(), story, name)),
  })),
  { name: rareBug, where, find: () => atRandom(1, 1, () => run(rareBug, rare.shape, rare.seed)) },
  ...rangeBugs.map((name) => ({ name, where, find: () => atRandomWith(name) })),
];
