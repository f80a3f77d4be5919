// Bugs in what counts of guesses and offers (kernel/coherence/early.ts, takeover.ts), each found by the story of the one order of events that it
// needs, or by clusters at random of machines that guess.
import { guessedWhileLost, offeredBack, olderOffer } from "../guess-stories.js";
import { type Story, tellStory } from "../story.js";
import { GUESSING, shapeOf, trial, worldOf } from "../trial.js";
import { type Change, compiled } from "./compiled.js";
import { atRandom, type Planted } from "./plant.js";

const bugs: readonly (Change & { story?: Story })[] = [
  {
    name: "who has sent bytes early believes that their receiver has heard that he is next",
    file: "coherence/early.ts",
    from: " || !(message.flags & AS_GUESSED)) return false;",
    to: ") return false;",
    story: guessedWhileLost,
  },
  {
    name: "who takes bytes early has still what it had offered itself",
    file: "coherence/early.ts",
    from: "  tenureForget(page); // what this machine has offered itself is here no more\n",
    to: "",
    story: offeredBack,
  },
  {
    name: "of two offers that machines leave behind the one counts that comes last",
    file: "coherence/takeover.ts",
    from: "(has != OFFERED || page.serial >= serial)",
    to: "has != OFFERED",
    story: olderOffer,
  },
  {
    name: "a page that freezes is its owner's by a request that the former home ordered",
    file: "coherence/takeover.ts",
    from: "  if (hasOf(page) != OFFERED) tenureForget(page);\n",
    to: "",
  },
];

const SHAPES = 60;
const SEEDS = 20;

export const guessPlants: readonly Planted[] = bugs.map((bug) => ({
  name: bug.name,
  where: bug.file,
  change: bug,
  find: async () => {
    const kernel = await compiled(bug, "unit.ts");
    const { story } = bug;
    if (story) return atRandom(1, 1, () => tellStory(kernel(), story));
    return atRandom(SEEDS, SHAPES, (seed, world) => {
      const shape = GUESSING + world;
      trial(worldOf(kernel(), shapeOf(shape)), shape, seed % 2 === 0 ? "liveness" : "safety", seed);
    });
  },
}));
