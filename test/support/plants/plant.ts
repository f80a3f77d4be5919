// A bug that is planted to see whether it is found: one line of the table that test/kernel/planted.soak.ts prints.
import { Violation } from "../search.js";
import type { Change } from "./compiled.js";

/** The proofs that find bugs: every order of events, or random runs, or whole clusters of emulated machines. */
export type Proof = "search" | "at random" | "cluster";

export interface Finding {
  readonly by: Proof;
  /** So many states or runs it took. */
  readonly after: number;
  readonly says: string;
}

export interface Planted {
  readonly name: string;
  /** The row, or the file, that is not as it should be. */
  readonly where: string;
  /** Empty: it survives. */
  readonly find: () => Finding[] | Promise<Finding[]>;
  /** It is known to survive. */
  readonly survives?: true;
  /** The line that is changed, if it is one of the kernel's sources. */
  readonly change?: Change;
}

const firstLine = (message: string) => message.split("\n")[0]!;

/** Searches each world in turn, as one. */
export function bySearch(searches: readonly (() => { states: number })[]): Finding[] {
  let before = 0;
  try {
    for (const search of searches) before += search().states;
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    return [{ by: "search", after: before + error.states, says: firstLine(error.message) }];
  }
  return [];
}

/** Seeds from 1 on, of each of so many worlds. */
export function atRandom(
  seeds: number,
  worlds: number,
  run: (seed: number, world: number) => void,
  isFinding: (error: unknown) => boolean = (error) => error instanceof Violation,
): Finding[] {
  for (let seed = 1; seed <= seeds; seed++)
    for (let world = 0; world < worlds; world++)
      try {
        run(seed, world);
      } catch (error) {
        if (!isFinding(error) || !(error instanceof Error)) throw error;
        return [{ by: "at random", after: (seed - 1) * worlds + world + 1, says: firstLine(error.message) }];
      }
  return [];
}
