// Bugs in how a home moves, planted in what members.ts and homes.ts do (coherence-views.ts and coherence-homes.ts have them by name): some seeds first,
// which mostly find them; then every order of events.
import { type Program, type Saved, World, wander } from "../coherence.js";
import { KernelWasm } from "../kernel-wasm.js";
import { moveStories } from "../move-stories.js";
import { explore } from "../search.js";
import { tellStory } from "../story.js";
import { atRandom, bySearch, type Finding, type Planted } from "./plant.js";

const kernel = new KernelWasm();
const worldOf = (programs: Program[][]) =>
  new World(kernel, { machines: 3, home: 1, programs, takeover: true });
const wide = [
  [[], ["rwr", "r"], ["rw"]],
  [["wrw"], ["rwr"], ["rwx"]],
  [["w"], ["r"], ["r"]],
].map(worldOf);
const small = [
  [[], ["r"], ["rw"]],
  [["r"], ["w"], ["w"]],
  [["w"], ["r"], ["r"]],
].map(worldOf);
const fresh = new Map([...wide, ...small].map((world): [World, Saved] => [world, world.save()]));

export const moveBugs = [
  "hands in too early",
  "rebuilds too early",
  "an owner is reported as a copy",
  "copies are not reported",
  "what nobody has is zero",
  "the copy that counts is not told so",
  "nobody asks again",
] as const;
/** This shows in few runs. */
const rareMoves = ["does not wait for the flush"] as const;
export type MoveBug = (typeof moveBugs)[number] | (typeof rareMoves)[number];

function begin(world: World, bug: MoveBug | ""): World {
  world.load(fresh.get(world)!);
  world.planted = bug;
  return world;
}

export const moveAtRandom = (bug: MoveBug | "", seeds = 200): Finding[] =>
  atRandom(seeds, wide.length, (seed, index) => {
    const world = begin(wide[index]!, bug);
    world.rejoins = seed % 2 === 0;
    wander(world, seed, 1 + (seed % 3 === 0 ? 1 : 0));
  });
export const moveBySearch = (bug: MoveBug): Finding[] =>
  bySearch(small.map((world) => () => explore(begin(world, bug), 1)));

/** These show in very few runs. */
export const moveFoundByStory = (name: keyof typeof moveStories): Finding[] =>
  atRandom(1, 1, () => tellStory(kernel, moveStories[name], name));

const where = "homes.ts, members.ts";
export const movePlants: readonly Planted[] = [
  ...[...moveBugs, ...rareMoves].map((name) => ({
    name,
    where,
    find: () => [...moveBySearch(name), ...moveAtRandom(name, 2000)],
  })),
  ...(Object.keys(moveStories) as (keyof typeof moveStories)[]).map((name) => ({
    name,
    where,
    find: () => moveFoundByStory(name),
  })),
];
