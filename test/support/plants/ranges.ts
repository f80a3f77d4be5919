// Bugs in how ranges are given up and looked at, planted in what grants.ts and homes.ts do (coherence-recalls.ts and coherence-state.ts have them by
// name): stories, and clusters at random whose machines give up and claim ranges.
import { KernelWasm } from "../kernel-wasm.js";
import { rangeStories } from "../range-stories.js";
import { tellStory } from "../story.js";
import { GIVING, shapeOf, trial, worldOf } from "../trial.js";
import { atRandom, type Finding, type Planted } from "./plant.js";

const SHAPES = 1500;
const SEEDS = 10;

export const rangeBugs = [
  "what the home uses goes with its range",
  "what another has, and was never here, is nobody's",
] as const;

function atRandomWith(planted: string): Finding[] {
  return atRandom(SHAPES, 1, (number) => {
    const shape = GIVING + number;
    const world = worldOf(new KernelWasm(), shapeOf(shape));
    world.planted = planted;
    for (let seed = 1; seed <= SEEDS; seed++)
      trial(world, shape, seed % 2 === 0 ? "liveness" : "safety", seed);
  });
}

const where = "grants.ts, budget.ts, homes.ts";
export const rangePlants: readonly Planted[] = [
  ...Object.entries(rangeStories).map(([name, story]) => ({
    name,
    where,
    find: () => atRandom(1, 1, () => tellStory(new KernelWasm(), story, name)),
  })),
  ...rangeBugs.map((name) => ({ name, where, find: () => atRandomWith(name) })),
];
