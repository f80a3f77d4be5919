// Bugs in how what machines hold by ranges is taken back, given up and lost (kernel/coherence/holdings.ts), and in what becomes of pages when frames
// run short (shedding.ts): stories, and clusters at random whose machines give up and claim ranges, or frames.
import type { KernelWasm } from "../kernel-wasm.js";
import { rangeStories } from "../range-stories.js";
import { type Story, tellStory } from "../story.js";
import {
  GIVING,
  LARGER,
  LOSING,
  type Mode,
  RELIEVING,
  roomy,
  SHEDDING,
  shapeOf,
  trial,
  worldOf,
} from "../trial.js";
import { type Change, compiled } from "./compiled.js";
import { atRandom, type Finding, type Planted } from "./plant.js";

/** A trial that is right without the bug. */
export type RangeTrial = readonly [shape: number, mode: Mode, seed: number];

export interface LineBug extends Change {
  readonly story?: Story;
  /** One that no small number of seeds finds, or a quick test repeats. */
  readonly trial?: RangeTrial;
  /** One that takes seconds: no quick test repeats it. */
  readonly slow?: true;
  readonly says?: RegExp;
  /** Clusters of this number and behind it show it. */
  readonly shapes?: number;
  readonly survives?: true;
}

const file = "coherence/holdings.ts";

export const rangeBugs: readonly LineBug[] = [
  {
    name: "ranges are given up while more are asked for",
    file,
    from: "if (changetype<Page>(at).transaction != 0) return false;",
    to: "if (changetype<Page>(at).index > PAGE_LAST) return false;",
    story: rangeStories.askedFor,
    says: /2 machines can write/,
  },
  {
    name: "what is given up answers a recall",
    file,
    from: "  if (recalled) recallEnds(object, machine);\n",
    to: "  recallEnds(object, machine);\n",
    story: rangeStories.recalledAsWell,
    says: /2 machines can write/,
  },
  {
    name: "what is lost with a range keeps its numbers",
    file,
    from: "  if (rangesLost(set)) renumberLost(engine, object);\n",
    to: "",
    trial: [LARGER + 130_893, "safety", 8],
    says: /has number 0\.1 for 2 at machine 1 and for 1 at machine 6/,
  },
  {
    name: "a record that is lost with its range keeps its number",
    file,
    from: "    if (page.ranged != 0 && rangeOf(set, page.index).directory == LOST) serialReverted(engine, page);\n",
    to: "",
    trial: [GIVING + 12_486, "safety", 18],
    says: /page 2 has number 0\.1 for 2 at machine 1 and for 1 at machine 2/,
  },
  {
    name: "what has merged and is lost with its range keeps its number",
    file,
    from: "      kept.serial = serialAnew(engine, kept.serial);\n",
    to: "      kept.standing = INVALID;\n",
    trial: [GIVING + 9059, "safety", 12],
    says: /page 2 has number 0\.2 for 2 at machine 2 and for 3 at machine 3/,
  },
  {
    name: "what the home uses goes with its range",
    file,
    from: "if (page.index < first || page.index > last || !pageIsHere(page)) continue;\n    setReady",
    to: "if (page.index <= PAGE_LAST) continue;\n    setReady",
    trial: [GIVING + 10, "safety", 5],
    says: /has number|can write|machine \d is/,
  },
  {
    name: "what the home has merged goes with what it gives up",
    file,
    from: "    rangesKeep(set, kept.index, <u8>engine.self);\n",
    to: "",
    shapes: GIVING + 101,
  },
  {
    name: "who gives up a range does not say that it has merged pages of it",
    file,
    from: "      call_indirect<void>(touched, kept.index);\n",
    to: "      kept.away = 0;\n",
    shapes: LOSING + 100,
  },
  {
    name: "who gives up a range has merged pages of it no more",
    file,
    from: "    rangesPutState(set, kept.index, kept.index, kept.standing);\n",
    to: "",
    shapes: SHEDDING + 100,
  },
  {
    name: "what is named of pages that have records at the home is not kept",
    file,
    from: "  if (changetype<usize>(page) != 0) directoryKeep(page, machine);\n  else ",
    to: "  if (changetype<usize>(page) == 0) ",
    shapes: LARGER + 100,
  },
  {
    name: "ranges are granted while others are recalled",
    file,
    from: "  rangesOf(object).recalling |= asked;\n",
    to: "",
    shapes: LARGER + 100,
  },
  {
    name: "pages are claimed while ranges are recalled",
    file,
    from: "  if (set.recalling != 0) return 0; // pages are granted one by one\n",
    to: "",
  },
  {
    name: "who has died is to answer a recall still",
    file,
    from: "  if (rangesLost(set)) renumberLost(engine, object);\n  recallEnds(object, machine);\n",
    to: "  if (rangesLost(set)) renumberLost(engine, object);\n",
    shapes: SHEDDING + 101,
  },
  {
    name: "what a machine held that died is nobody's",
    file,
    from: "rangesReleased(set, <u8>machine, 0, PAGE_LAST, LOST);",
    to: "rangesReleased(set, <u8>machine, 0, PAGE_LAST, UNUSED);",
    shapes: SHEDDING + 101,
  },
  {
    name: "who has died is known to have copies",
    file,
    from: "  rangesForgetSharer(set, machine);\n",
    to: "",
  },
];

const SHAPES = 1500;
const SEEDS = 10;

export function rangeTrial(kernel: KernelWasm, [shape, mode, seed]: RangeTrial): void {
  const world = worldOf(kernel, shapeOf(shape));
  trial(world, shape, mode, seed);
}

/** Clusters whose machines give up ranges, as they come. */
export function givingAtRandom(create: () => KernelWasm, from = GIVING): Finding[] {
  let kernel = create();
  return atRandom(1, SHAPES, (_, number) => {
    kernel = roomy(kernel, create);
    const shape = from + number;
    const world = worldOf(kernel, shapeOf(shape));
    for (let seed = 1; seed <= SEEDS; seed++)
      trial(world, shape, seed % 2 === 0 ? "liveness" : "safety", seed);
  });
}

/** What the bug's story or trial finds, or clusters at random. */
export const linePlant = (bug: LineBug): Planted => ({
  name: bug.name,
  where: bug.file,
  change: bug,
  ...(bug.survives && { survives: true }),
  find: async () => {
    const kernel = await compiled(bug, "unit.ts");
    const { story, trial } = bug;
    if (story) return atRandom(1, 1, () => tellStory(kernel(), story));
    if (trial) return atRandom(1, 1, () => rangeTrial(kernel(), trial));
    return givingAtRandom(kernel, bug.shapes);
  },
});

const reliefFile = "coherence/shedding.ts";
/** What becomes of pages when frames run short. */
export const reliefBugs: readonly LineBug[] = [
  {
    name: "a frame that is taken back leaves its number",
    file: reliefFile,
    from: "  page.frame = 0;\n  page.serial = 0;\n  return frame;",
    to: "  page.frame = 0;\n  return frame;",
    shapes: RELIEVING,
  },
  {
    name: "when frames run short the bytes of a copy go, and its right stays",
    file: reliefFile,
    from: "  if (state == INVALID) return RELIEF_FORGET;",
    to: "  if (state == INVALID || state == SHARED) return RELIEF_FORGET;",
    shapes: RELIEVING,
  },
  {
    name: "when frames run short the bytes of a page that is here alone go, and its right stays",
    file: reliefFile,
    from: "  if (state == INVALID) return RELIEF_FORGET;",
    to: "  if (state != SHARED) return RELIEF_FORGET;",
    shapes: RELIEVING,
  },
  {
    name: "a home takes a page from whoever offers it",
    file: reliefFile,
    from: "return page.ranged != 0 || <u32>page.owner == machine;",
    to: "return page.ranged != 0 || <u32>page.owner != 0;",
    shapes: RELIEVING,
    survives: true,
  },
];

export const rangeSourcePlants: readonly Planted[] = [...rangeBugs, ...reliefBugs].map(linePlant);
