// Bugs in the whole kernel: it is built with one line changed, and runs on clusters of emulated machines, which a judge looks at.
import { plantedKernel } from "../../bugs/plant.js";
import type { Change } from "./compiled.js";
import type { Finding, Planted } from "./plant.js";

/** What is wrong in the run with this seed; nothing: undefined. */
export type Judged = (seed: number, kernel: Uint8Array | undefined) => Promise<string | undefined>;

export interface Bug<Judge extends string> extends Change {
  readonly judge: Judge;
  readonly survives?: true;
}

const SEEDS = 6;

/** The kernel with that line changed. */
export async function kernelWith({ file, from, to }: Change): Promise<Uint8Array> {
  return (await plantedKernel({ kernel: { file: `kernel/${file}`, changes: [[from, to]] } }))!;
}

async function found(judge: Judged, kernel: Uint8Array | undefined): Promise<Finding[]> {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const says = await judge(seed, kernel).catch((error: Error) => error.message);
    if (says !== undefined) return [{ by: "cluster", after: seed, says: says.split("\n").at(-1)! }];
  }
  return [];
}

/** What the intact kernel is suspected of. */
export const suspectedBy = async (judges: Readonly<Record<string, Judged>>): Promise<Finding[]> =>
  (await Promise.all(Object.values(judges).map((judge) => found(judge, undefined)))).flat();

export const plantsOf = <Judge extends string>(
  judges: Readonly<Record<Judge, Judged>>,
  bugs: readonly Bug<Judge>[],
): readonly Planted[] =>
  bugs.map(({ name, judge, file, from, to, survives }) => ({
    name,
    where: file,
    change: { name, file, from, to },
    ...(survives && { survives }),
    find: async () => found(judges[judge], await kernelWith({ name, file, from, to })),
  }));
