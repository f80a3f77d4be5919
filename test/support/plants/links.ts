// Bugs where datagrams become messages (joined-links.ts has them by name), found by engines on real links in every order of events.

import { linkPlants } from "../joined-links.js";
import { joinedCases, searchJoined } from "../joined-search.js";
import { KernelWasm } from "../kernel-wasm.js";
import { bySearch, type Planted } from "./plant.js";

const kernel = new KernelWasm();

export const linkBugs: readonly Planted[] = linkPlants.map((planted) => ({
  name: planted,
  where: "syslink/link.ts",
  find: () => bySearch([() => searchJoined(kernel, { ...joinedCases[1]!, planted }).found]),
}));
