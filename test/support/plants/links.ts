// Bugs where datagrams become messages: some in the world between engines and links (joined-links.ts has them by name), found by engines on
// real links in every order of events; some in the links' own sources, found by clusters at random over them (trial.ts).

import { linkPlants } from "../joined-links.js";
import { joinedCases, searchJoined } from "../joined-search.js";
import { KernelWasm } from "../kernel-wasm.js";
import { JOINED, roomy, shapeOf, trial, worldOf } from "../trial.js";
import { type Change, compiled } from "./compiled.js";
import { atRandom, bySearch, type Finding, type Planted } from "./plant.js";

export const linkChanges: readonly Change[] = [
  {
    name: "what comes again is handed out again",
    file: "syslink/link-input.ts",
    from: "    link.duplicates++;\n    return false;",
    to: "    link.duplicates++;\n    link.at = at + LINK_HEADER_BYTES;\n    link.end = at + bytes;\n    link.regionFlags = flags;\n    return true;",
  },
  {
    name: "what comes early is handed out at once",
    file: "syslink/link-input.ts",
    from: "  if (ahead == 0) {\n    link.unacknowledged++;",
    to: "  if (ahead < WINDOW) {\n    link.unacknowledged++;",
  },
  {
    name: "what comes early is thrown away, and acknowledged",
    file: "syslink/link-input.ts",
    from: "  link.received |= 1 << (ahead - 1);\n",
    to: "  link.expected++;\n",
  },
  {
    name: "datagrams of a life that has ended count",
    file: "syslink/link-input.ts",
    from: "  if (to != 0 && to != link.epoch) {",
    to: "  if (to != 0 && to != link.epoch && from != link.peerEpoch) {",
  },
];

/** Clusters over links as they come; the first of them in which something is wrong. */
export function joinedAtRandom(create: () => KernelWasm, shapes: number, planted = ""): Finding[] {
  let kernel = create();
  return atRandom(1, shapes, (_, index) => {
    kernel = roomy(kernel, create);
    const shape = JOINED + index;
    const world = worldOf(kernel, shapeOf(shape));
    world.planted = planted;
    for (let seed = 1; seed <= 4; seed++) trial(world, shape, seed % 2 === 0 ? "safety" : "liveness", seed);
  });
}

export const linkSourcePlants: readonly Planted[] = linkChanges.map((change) => ({
  name: change.name,
  where: change.file,
  change,
  find: async () => joinedAtRandom(await compiled(change, "unit.ts"), 200),
}));

const kernel = new KernelWasm();

export const linkBugs: readonly Planted[] = [
  ...linkPlants.map((planted) => ({
    name: planted,
    where: "syslink/link.ts",
    find: () => bySearch([() => searchJoined(kernel, { ...joinedCases[1]!, planted }).found]),
  })),
  ...linkSourcePlants,
];
