// Bugs in how a page's record begins again and what stays when it ends (kernel/coherence/page-begin.ts, kept.ts), in clusters at random whose
// records merge and whose ranges are given up; and in what becomes of ranges that are too many (shedding.ts).

import { GIVING, SHEDDING } from "../trial.js";
import { type Change, compiled } from "./compiled.js";
import type { Planted } from "./plant.js";
import { givingAtRandom } from "./ranges.js";

const bugs: readonly (Change & { sheds?: true; survives?: true })[] = [
  {
    name: "what was granted with a range and never touched is held while its home moves",
    file: "coherence/page-begin.ts",
    from: "  if (!isHere) page.state = INVALID;\n",
    to: "",
  },
  {
    name: "a record that is made while its home moves is not frozen",
    file: "coherence/page-begin.ts",
    from: "page.frozen = u8(object.frozen != 0 || !isHere);",
    to: "page.frozen = u8(object.frozen != 0);",
  },
  {
    name: "a record that is made again is frozen before its object",
    file: "coherence/page-begin.ts",
    from: "page.frozen = u8(object.frozen != 0 || !isHere);",
    to: "page.frozen = 1;",
    survives: true,
  },
  {
    name: "what the home makes a record of after a loss has its number of before",
    file: "coherence/page-begin.ts",
    from: "  else if (object.renumbered != 0 && object.moving == 0) serialReverted(engine, page);\n",
    to: "",
  },
  {
    name: "what a former life had is the page wherever it is",
    file: "coherence/page-begin.ts",
    from: "return page.state == INVALID && object.home != engine.self;",
    to: "return page.state == INVALID || object.home != engine.self;",
  },
  {
    name: "what was kept has lost its number",
    file: "coherence/kept.ts",
    from: "  page.serial = kept.serial;\n  page.frame",
    to: "  page.frame",
  },
  {
    name: "what was kept was not written",
    file: "coherence/kept.ts",
    from: "  page.changed = kept.changed;\n",
    to: "",
  },
  {
    name: "nothing stays of bytes that have no number",
    file: "coherence/kept.ts",
    from: "return page.frame != 0 || page.serial != 0 || page.had != 0 || page.dirty != 0;",
    to: "return page.serial != 0;",
  },
  {
    name: "who offers a page of a range has those before it no more",
    file: "coherence/shedding.ts",
    from: "rangesPutState(rangesOf(object), page.index, page.index, INVALID);",
    to: "rangesPutState(rangesOf(object), 0, page.index, INVALID);",
    sheds: true,
  },
];

export const keptPlants: readonly Planted[] = bugs.map((bug) => ({
  name: bug.name,
  where: bug.file,
  change: bug,
  ...(bug.survives && { survives: true }),
  find: async () => givingAtRandom(await compiled(bug, "unit.ts"), bug.sheds ? SHEDDING : GIVING),
}));
