// Searches of worlds that know everything that can happen next: every order of events, each state once; or one order at
// random, from a seed. What the world finds wrong is thrown as a Violation, with the steps that lead to it.

import { Fingerprints } from "./fingerprint.js";
import { Assertion } from "./kernel-wasm.js";

/** What a world throws when something is wrong. */
export class Violation extends Error {
  /** Searched until then, where every order of events is. */
  states = 0;
}

/** A world that is made of steps. Everything that it does next is decided by what save() keeps. */
export interface World<Step, Saved> {
  /** Everything that may happen next; at most so many deaths in all. */
  steps(kills: number): Step[];
  take(step: Step): void;
  /** Looks at a state, and leaves it as it is; once in each of a search. */
  inspect?(): void;
  /** Nothing has to happen any more: only what may go wrong is among the steps. */
  rests(steps: readonly Step[]): boolean;
  /** What must hold then. */
  checkEnd(): void;
  save(): Saved;
  load(saved: Saved): void;
  /** Four words: equal for states that cannot be told apart (fingerprint.ts). */
  fingerprint(to: Uint32Array): void;
}

export interface Found {
  states: number;
  ends: number;
  /** Longest path from the start. */
  depth: number;
}

/** xorshift32: the same run for the same seed. */
export function chance(seed: number): (limit: number) => number {
  let x = (seed * 2654435761) >>> 0 || 1;
  return (limit) => {
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x % limit;
  };
}

const PROGRESS = 100_000;

interface Node<Step, Saved> {
  saved: Saved;
  depth: number;
  step?: Step;
  before?: Node<Step, Saved>;
}

/** Does the work; what it finds wrong gets the steps that lead there. */
function judged<Step, Saved>(
  states: number,
  node: Node<Step, Saved>,
  last: Step | undefined,
  work: () => void,
): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof Violation || error instanceof Assertion)) throw error;
    const steps = last === undefined ? [] : [JSON.stringify(last)];
    for (let at: Node<Step, Saved> | undefined = node; at?.step; at = at.before)
      steps.unshift(JSON.stringify(at.step));
    const violation = new Violation(`${error.message}\n${steps.join("\n")}`);
    violation.states = states;
    throw violation;
  }
}

/** Every order in which things can happen, each state once. `progress` is told how many there are, now and then. `cut`: the limit ends it. */
export function explore<Step, Saved>(
  world: World<Step, Saved>,
  kills = 0,
  limit = 2_000_000,
  progress?: (states: number, waiting: number) => void,
  cut = false,
): Found {
  const seen = new Fingerprints();
  const print = new Uint32Array(4);
  world.fingerprint(print);
  seen.add(print);
  const found: Found = { states: 0, ends: 0, depth: 0 };
  const stack: Node<Step, Saved>[] = [{ saved: world.save(), depth: 0 }];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const here = node;
    world.load(here.saved);
    found.states++;
    found.depth = Math.max(found.depth, here.depth);
    if (found.states > limit && cut) break;
    if (found.states > limit) throw new Error(`more than ${limit} states`);
    if (found.states % PROGRESS === 0) progress?.(found.states, stack.length);
    if (world.inspect) judged(found.states, here, undefined, () => world.inspect!());
    const steps = world.steps(kills);
    if (world.rests(steps)) {
      found.ends++;
      judged(found.states, here, undefined, () => world.checkEnd());
      world.load(here.saved); // to look at the end may be to go on from it
    }
    for (const [index, step] of steps.entries()) {
      if (index > 0) world.load(here.saved);
      judged(found.states, here, step, () => world.take(step));
      world.fingerprint(print);
      if (!seen.add(print)) continue;
      stack.push({ saved: world.save(), depth: here.depth + 1, step, before: here });
    }
  }
  return found;
}
