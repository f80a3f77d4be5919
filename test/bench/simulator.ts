// How fast the page protocol's simulator is (test/support/trial.ts, search.ts): events of clusters at random, clusters of one seed
// each in an hour, states of an exhaustive search.
import { World } from "../support/coherence.js";
import { threeByTwo } from "../support/coherence-cases.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { explore } from "../support/search.js";
import { shapeOf, trial, worldOf } from "../support/trial.js";
import type { Figure } from "./bench.js";

const SHAPES = 300;
const SEEDS = 10;

export async function simulatorFigures(): Promise<Figure[]> {
  const figure = (name: string, value: number, unit: string): Figure => ({
    section: "simulator",
    name,
    value,
    unit,
  });
  const kernel = new KernelWasm();
  let events = 0;
  const began = performance.now();
  const used = process.cpuUsage();
  for (let shape = 1; shape <= SHAPES; shape++) {
    const world = worldOf(kernel, shapeOf(shape));
    for (let seed = 1; seed <= SEEDS; seed++) events += trial(world, shape, "liveness", seed);
  }
  const seconds = (performance.now() - began) / 1000;
  const own = process.cpuUsage(used);
  const processor = (own.user + own.system) / 1e6;
  const { programs, home, kills, rejoins = false } = threeByTwo[0]!;
  const world = new World(new KernelWasm(), { machines: 3, pages: 2, home, programs });
  world.rejoins = rejoins;
  const searched = performance.now();
  const { states } = explore(world, kills);
  return [
    figure("events of clusters at random", events / seconds, "a second"),
    figure("clusters of a seed each", (SHAPES * SEEDS * 3600) / seconds, "an hour"),
    figure("events of clusters at random, of a processor's own time", events / processor, "a second"),
    figure(
      "clusters of a seed each, of a processor's own time",
      (SHAPES * SEEDS * 3600) / processor,
      "an hour",
    ),
    figure("states searched", (states * 1000) / (performance.now() - searched), "a second"),
  ];
}
