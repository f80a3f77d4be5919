// Bugs in mirrored mode, planted in what mirror-pages.ts, commits.ts and homes.ts do (coherence-mirror.ts has them by name). Which those
// are, with how many mirrors and deaths, is said in coherence-mirror.test.ts and read there.
import { readFileSync } from "node:fs";
import { type Program, World, wander } from "../coherence.js";
import { KernelWasm } from "../kernel-wasm.js";
import { atRandom, type Finding, type Planted } from "./plant.js";

const source = readFileSync("test/kernel/coherence-mirror.test.ts", "utf8");
const bugs = [...source.matchAll(/^ +\["([a-z ]+)", (\d), (\d)\],$/gm)].map(([, name, mirrors, deaths]) => ({
  name: name!,
  mirrors: Number(mirrors),
  deaths: Number(deaths),
}));
if (bugs.length < 10) throw new Error("coherence-mirror.test.ts does not say which bugs it plants");

const busy: Program[][] = [["w0w1ow0w1w0w1o"], ["r1r0w0r1r0o", "w1r0"], ["r0r1ow0w1r0"], ["r0w1r0r1"]];
const homes = [
  [1, 1],
  [2, 2],
  [3, 3],
  [1, 2],
  [2, 1],
  [1, 3],
];
const SEEDS = 4000;

function found({ name, mirrors, deaths }: (typeof bugs)[number]): Finding[] {
  const kernel = new KernelWasm();
  const programs = busy.slice(0, mirrors + 2);
  const worlds = homes.map((home) => {
    const shape = { machines: programs.length, home, pages: 2, programs, takeover: true, mirrored: mirrors };
    const world = new World(kernel, shape);
    world.mirrors.planted = name;
    return { world, start: world.save() };
  });
  return atRandom(SEEDS, worlds.length, (seed, index) => {
    const { world, start } = worlds[index]!;
    world.load(start);
    wander(world, seed, deaths);
  });
}

export const mirrorPlants: readonly Planted[] = bugs.map((bug) => ({
  name: bug.name,
  where: "coherence/mirror-pages.ts, commits.ts, homes.ts",
  find: () => found(bug),
}));
