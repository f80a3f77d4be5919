// Bugs in how a home moves: planted in what members.ts and homes.ts do (coherence-views.ts and coherence-homes.ts have them by name), by some seeds first,
// which mostly find them, then in every order of events; and in the kernel's own lines that say what a machine knows of an object (moves.ts).
import { type Program, type Saved, World, wander } from "../coherence.js";
import { KernelWasm } from "../kernel-wasm.js";
import { knownStories, moveStories } from "../move-stories.js";
import { explore } from "../search.js";
import { tellStory } from "../story.js";
import { GIVING, LARGER } from "../trial.js";
import { atRandom, bySearch, type Finding, type Planted } from "./plant.js";
import { type LineBug, linePlant } from "./ranges.js";

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

const file = "coherence/moves.ts";
export const moveLines: readonly LineBug[] = [
  {
    name: "what was held by ranges when all froze is nobody's",
    file,
    from: "const had = (object.moving != 0 ? object.holders : 0) | object.gaveTo;",
    to: "const had = object.gaveTo;",
    story: knownStories.heldByRanges,
  },
  {
    name: "what who leaves gave to the dead is nobody's",
    file,
    from: "const had = (object.moving != 0 ? object.holders : 0) | object.gaveTo;",
    to: "const had = object.moving != 0 ? object.holders : 0;",
    story: knownStories.passedOnToTheDead,
  },
  {
    name: "who was the home once has everything",
    file,
    from: "  if ((object.handedTo & bitOf(dead)) != 0) object.complete = 0;\n",
    to: "",
    story: knownStories.writtenByTheNext,
  },
  {
    name: "who was the home alone knows of eras",
    file,
    from: "  if (object.renumbered != 0) says |= RENUMBERED;\n",
    to: "",
    story: knownStories.numberedAnew,
  },
  {
    name: "what another has, and was never here, is nobody's",
    file,
    from: "      holders |= bitOf(range.owner);\n",
    to: "",
    trial: [GIVING + 1367, "safety", 9],
  },
  {
    name: "what was handed in before another view counts",
    file,
    from: "stored ? OURS : object.complete & OURS;",
    to: "stored ? OURS : object.complete;",
  },
  {
    name: "a home that was says nothing of ranges that were lost",
    file,
    from: "  if (rangesLost(rangesOf(object))) object.lossy = 1;\n",
    to: "",
  },
  {
    name: "a loss that the home had told nobody yet is its own",
    file,
    from: "  if (object.lossy != 0) says |= LOSSY;\n",
    to: "",
  },
  {
    name: "of whom was told of a loss is heard still",
    file,
    from: "    if (changetype<Page>(at).untold != 0) object.lossy = 1;\n",
    to: "",
  },
  {
    name: "what reverts has its number still",
    file,
    from: "    if (changetype<Page>(at).reverts != 0) object.renumbered = 1;\n",
    to: "",
  },
  {
    name: "pages of another era are of the first for the next home",
    file,
    from: "  if (stored && hasReverted(page)) object.renumbered = 1;\n",
    to: "",
    trial: [LARGER + 1263, "liveness", 5],
  },
  {
    name: "a new home takes losses for zeros",
    file,
    from: "(object.complete == 0 || object.lossy != 0 || many)",
    to: "(object.lossy != 0 || many)",
  },
  {
    name: "a new home does not hear of losses",
    file,
    from: "(object.complete == 0 || object.lossy != 0 || many)",
    to: "(object.complete == 0 || many)",
  },
  {
    name: "pages that nobody has go on by the numbers that they had",
    file,
    from: "  if (renumbers) object.renumbered = 1;\n",
    to: "",
  },
];
export const moveSourcePlants: readonly Planted[] = moveLines.map(linePlant);

const where = "homes.ts, members.ts";
export const movePlants: readonly Planted[] = [
  ...moveSourcePlants,
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
