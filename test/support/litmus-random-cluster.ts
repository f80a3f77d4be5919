// Litmus tests at random (litmus-random.ts) on clusters at random: how many machines and cores, whose cores keep all in order or
// have store buffers, where cells lie, and which of the kernel's ways it is told to leave out. A seed says all of it.
import { Random } from "../../emulator/random.js";
import { splits } from "./litmus.js";
import { beyondOrder, LitmusCluster, type LitmusOptions } from "./litmus-cluster.js";
import { judgedTests } from "./litmus-random.js";

const TESTS = 6;
const places = [
  {},
  { oneHome: true },
  { copied: true },
  { copied: true, oneHome: true },
  { lent: true },
  { split: "lines" },
  { split: "pages" },
] as const satisfies readonly Partial<LitmusOptions>[];
const words = [
  "", "", "", "hold=0", "bytes=0", "queue=0", "guess=0", "ahead=0", "migrate=0", "records=1", "records=8", "mirror=1",
]; // biome-ignore format: a list
const delays = [
  [1, 12],
  [1, 60],
  [30, 30],
] as const;

export function clusterAtRandom(seed: number): LitmusOptions & { readonly tests: readonly string[] } {
  const random = new Random(seed).fork("cluster");
  const pick = <T>(from: readonly T[]): T => from[random.below(from.length)]!;
  const place: Partial<LitmusOptions> = pick(places);
  const machines = 2 + random.below(3);
  const storeBuffer = pick([0, 4, 64]);
  // With store buffers every access goes the slow way, and whoever waits spins.
  const cores = machines * 2 > (storeBuffer > 0 ? 4 : 6) ? 1 : 1 + random.below(2);
  const split = place.split !== undefined;
  const threads = 2 + random.below(Math.min(split ? 3 : 4, machines * cores) - 1);
  const bounds = { threads, steps: split ? 8 - threads : 6 + threads, split };
  const drawn = judgedTests(TESTS * 1000 * seed, bounds, split ? { split: splits } : {});
  const word = pick(words);
  return {
    machines,
    cores,
    rounds: 6,
    tests: Array.from({ length: TESTS }, () => drawn.next().value.text),
    delay: pick(delays),
    turned: random.below(2) === 0 && !place.copied && !place.lent,
    disturbed: random.below(2) === 0 && !place.lent,
    ...(storeBuffer > 0 && { storeBuffer }),
    ...(word !== "" && { words: word }),
    ...place,
  };
}

/** Runs a cluster with as many seeds; what it shows and must not is an error, whose message repeats it. Gives how many outcomes were seen. */
export async function playAtRandom(
  seed: number,
  seeds: number,
  change: Partial<LitmusOptions> = {},
): Promise<number> {
  const options = { ...clusterAtRandom(seed), ...change };
  const told = `SHAPES_FROM=${seed} SOAK_SEEDS=1 npx vitest run --project soak --retry 0 test/cluster/litmus.soak.ts -t "at random"`;
  try {
    const { seen } = (await LitmusCluster.create(options)).runAll(1, seeds);
    const inOrder = options.storeBuffer === undefined && options.split === undefined;
    const beyond = inOrder ? beyondOrder(seen) : [];
    if (beyond.length > 0) throw new Error(`cores that keep all in order showed ${beyond.join("; ")}`);
    return [...seen.values()].reduce((sum, outcomes) => sum + outcomes.size, 0);
  } catch (error) {
    throw new Error(`${told}\n${JSON.stringify(options)}\n${(error as Error).message}`);
  }
}
