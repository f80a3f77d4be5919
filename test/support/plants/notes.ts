// Bugs in who is taken for the writer of a page when more were unmapped than can be noted (kernel/coherence/page-notes.ts), in clusters at
// random whose threads unmap pages.
import { collecting } from "../notes-stories.js";
import { type Story, tellStory } from "../story.js";
import { shapeOf, trial, UNMAPPING, worldOf } from "../trial.js";
import { type Change, compiled } from "./compiled.js";
import { atRandom, type Planted } from "./plant.js";

const bugs: readonly (Change & { story?: Story })[] = [
  {
    name: "who unmaps more written pages than can be noted takes its copies for written",
    file: "coherence/engine.ts",
    from: "    case OFFERING:\n      return true;\n    default:\n      return false;",
    to: "    case OFFERING:\n      return true;\n    default:\n      return state != INVALID;",
  },
  {
    name: "who collects acknowledgements is taken for a writer",
    file: "coherence/engine.ts",
    from: "    case EXCLUSIVE:\n    case MODIFIED:\n    case LOWERING:",
    to: "    case COLLECTING:\n    case EXCLUSIVE:\n    case MODIFIED:\n    case LOWERING:",
    story: collecting,
  },
  {
    name: "what was unmapped beyond the notes was not written",
    file: "coherence/engine.ts",
    from: "    case OFFERING:\n      return true;\n    default:\n      return false;",
    to: "    case OFFERING:\n      return false;\n    default:\n      return false;",
  },
];

const SHAPES = 60;
const SEEDS = 20;

export const notePlants: readonly Planted[] = bugs.map((bug) => ({
  name: bug.name,
  where: bug.file,
  change: bug,
  find: async () => {
    const kernel = await compiled(bug, "unit.ts");
    const { story } = bug;
    if (story) return atRandom(1, 1, () => tellStory(kernel(), story));
    return atRandom(SEEDS, SHAPES, (seed, world) => {
      const shape = UNMAPPING + world;
      trial(worldOf(kernel(), shapeOf(shape)), shape, seed % 2 === 0 ? "liveness" : "safety", seed);
    });
  },
}));
