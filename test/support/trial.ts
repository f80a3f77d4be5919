// Clusters at random for as long as one likes: their shape and everything that happens come from one number. In safety mode
// anything may fail at any moment, and only what is judged after every event counts; in liveness mode faults stop after a while, and
// then everybody must finish. In some of them machines speak over the kernel's links, and the wire is bad (joined-world.ts). What fails is
// made as short as it can be, and printed as one command that repeats it.
import { type Setup, type Step, World } from "./coherence.js";
import type { Trouble } from "./joined-wire.js";
import { isTrouble, JoinedWorld } from "./joined-world.js";
import { KernelWasm } from "./kernel-wasm.js";
import { chance, Violation } from "./search.js";

export type Mode = "safety" | "liveness";

export interface Shape extends Setup {
  /** So many faults may happen. */
  kills: number;
  rejoins: boolean;
  pauses: boolean;
  /** Who was left out comes back with its bytes. */
  remains: boolean;
  /** So many machines may leave in good order. */
  leaves: number;
  /** What goes slowly is drawn for each run. */
  uneven?: boolean;
  /** What fails does so soon after a home has fetched a page for nobody. */
  hasty?: boolean;
  /** Over the kernel's links, on a wire where so much goes wrong. */
  trouble?: Trouble;
}

/** Shapes of this number and above are of larger clusters, in which not everything goes equally fast. */
export const LARGER = 1_000_000;
/** And from here on mirrored. */
export const MIRRORED = 2_000_000;
/** And from here on any of these, over the kernel's links. */
export const JOINED = 3_000_000;
/** And from here on any that is not mirrored, with readers who guess who owns a page. */
export const GUESSING = 4_000_000;

/** And from here on any of all these, whose threads unmap pages. */
export const UNMAPPING = 5_000_000;

/** And from here on any with ranges, which machines give up and claim. */
export const GIVING = 6_000_000;

/** And from here on any of those, where ranges are too many as well. */
export const SHEDDING = 7_000_000;

/** And from here on small ones where pages are lost that nobody waits for, and homes move. */
export const LOSING = 8_000_000;

/** And from here on any with ranges, whose machines run short of frames. */
export const RELIEVING = 9_000_000;

/** And from here on any that is not mirrored, where pages are lent. */
export const LENDING = 10_000_000;

/** The cluster of this number. */
export function shapeOf(number: number): Shape {
  if (number >= LENDING) return lendingOf(number - LENDING);
  if (number >= RELIEVING)
    return { ...givingOf(number - RELIEVING), merges: true, gives: number % 3, offers: 1 + (number % 6) };
  if (number >= LOSING) return losingOf(number - LOSING);
  if (number >= SHEDDING)
    return { ...givingOf(number - SHEDDING), merges: true, sheds: 1 + (number % 5), gives: number % 3 };
  if (number >= GIVING) return givingOf(number - GIVING);
  if (number >= UNMAPPING) return unmappingOf(number);
  if (number >= GUESSING) return guessingOf(number);
  if (number >= JOINED) return joinedOf(number);
  if (number >= MIRRORED) return mirroredOf(number);
  if (number >= LARGER) return largerOf(number);
  return smallOf(number);
}

/** 2 to 5 machines of one or two threads, 1 to 3 pages. */
function smallOf(number: number): Shape {
  const next = chance(number + 1);
  const machines = 2 + next(4);
  const pages = 1 + next(3);
  const ranges = next(2) === 0;
  const takeover = next(3) !== 0;
  const program = () => Array.from({ length: 1 + next(6) }, () => `${"rwx"[next(3)]}${next(pages)}`).join("");
  const home = () => 1 + next(machines);
  const shape = {
    machines,
    pages,
    ranges,
    takeover,
    home: ranges ? home() : Array.from({ length: pages }, home),
    recalls: ranges ? next(3) : 0,
    programs: Array.from({ length: machines }, () => Array.from({ length: 1 + next(2) }, program)),
    kills: next(4),
    rejoins: next(2) === 0,
    pauses: takeover && next(2) === 0,
  };
  const remains = shape.pauses && next(2) === 0;
  const leaves = takeover ? next(3) : 0;
  const merges = ranges && next(2) === 0;
  return { ...shape, remains, leaves, merges, fetches: merges ? next(3) : 0 };
}

/**
 * 2 to 7 machines of none to three threads, 1 to 5 pages, more that fails and leaves; records that are granted one by one, homes without
 * room for what a leaver gives.
 */
function largerOf(number: number): Shape {
  const next = chance(number + 1);
  const often = () => next(2) === 0;
  const machines = 2 + next(6);
  const pages = 1 + next(5);
  const ranges = often();
  const takeover = next(5) !== 0;
  const kinds = ["rwx", "rw", "w", "rrw", "wx"][next(5)]!;
  const program = () =>
    Array.from({ length: 1 + next(5) }, () => `${kinds[next(kinds.length)]}${next(pages)}`).join("");
  const home = () => 1 + next(machines);
  const pauses = takeover && often();
  const leaves = takeover ? next(4) : 0;
  const merges = ranges && often();
  return {
    machines,
    pages,
    ranges,
    narrow: ranges && next(4) === 0,
    takeover,
    home: ranges ? home() : Array.from({ length: pages }, home),
    recalls: ranges ? next(3) : 0,
    programs: Array.from({ length: machines }, () => Array.from({ length: next(4) }, program)),
    kills: next(6),
    rejoins: often(),
    pauses,
    remains: pauses && often(),
    leaves,
    merges,
    fetches: merges ? next(4) : 0,
    roomless: leaves > 0 && often() ? Array.from({ length: machines }, (_, i) => i + 1).filter(often) : [],
    uneven: true,
  };
}

/** What is written is on one or two more machines before anybody sees it, or a user does. Machines fail, leave, or both. */
function mirroredOf(number: number): Shape {
  const next = chance(number + 1);
  const machines = 3 + next(3);
  const pages = 1 + next(3);
  const program = () =>
    Array.from({ length: 1 + next(5) }, () => (next(5) === 0 ? "o" : `${"rww"[next(3)]}${next(pages)}`)).join(
      "",
    );
  const pauses = next(2) === 0;
  const kills = next(5);
  return {
    machines,
    pages,
    takeover: true,
    mirrored: 1 + next(2),
    home: Array.from({ length: pages }, () => 1 + next(machines)),
    programs: Array.from({ length: machines }, () => Array.from({ length: next(3) }, program)),
    kills,
    rejoins: next(2) === 0,
    pauses,
    remains: pauses && next(2) === 0,
    leaves: kills === 0 ? 1 + next(2) : next(3),
    uneven: true,
    crowded: Array.from({ length: next(3) }, () => 1 + next(machines)),
  };
}

function joinedOf(number: number): Shape {
  const next = chance(number + 1);
  const kind = [0, LARGER, MIRRORED][next(3)]!;
  const trouble = {
    drop: next(8),
    repeat: next(8),
    cuts: next(3),
    timeout: next(4),
    pace: [0, 20, 500][next(3)]!,
  };
  return { ...shapeOf(kind + number - JOINED), trouble };
}

function guessingOf(number: number): Shape {
  const kind = [0, LARGER, JOINED][number % 3]!;
  const shape = shapeOf(kind + number - GUESSING);
  return { ...shape, guesses: shape.mirrored === undefined };
}

function unmappingOf(number: number): Shape {
  const kinds = [0, LARGER, MIRRORED, JOINED, GUESSING];
  const shape = shapeOf(kinds[number % kinds.length]! + number - UNMAPPING);
  return { ...shape, notes: number % 3 };
}

/** The next one of these that has ranges; each kind has a million shapes. */
function givingOf(number: number): Shape {
  const kinds = [0, LARGER, JOINED, GUESSING, UNMAPPING];
  for (let at = (16 * number) % 999_983; ; at++) {
    const shape = shapeOf(kinds[number % kinds.length]! + at);
    if (shape.ranges) return { ...shape, gives: 1 + (number % 7), recalls: (number >> 2) % 4 };
  }
}

/** The next small one that has ranges, and whose home moves. */
function losingOf(number: number): Shape {
  for (let at = (16 * number) % 999_983; ; at++) {
    const shape = smallOf(at);
    if (!shape.ranges || !shape.takeover || shape.machines < 3) continue;
    return {
      ...shape,
      merges: true,
      fetches: 6 + (number % 10),
      kills: 2 + (number % 2),
      leaves: 1 + (number % 3),
      uneven: true,
      hasty: true,
      ...(number % 2 === 0 && { gives: 1 + (number % 7) }),
    };
  }
}

/** Threads that lend write more, and do no operations in every second one. */
function lendingOf(number: number): Shape {
  const kinds = [0, LARGER, 0, GUESSING, GIVING, LOSING, UNMAPPING];
  let shape = shapeOf(kinds[number % kinds.length]! + number);
  if (shape.mirrored !== undefined) shape = smallOf(number);
  const write = (program: string) => (number % 2 === 0 ? program.replaceAll("x", "w") : program);
  return { ...shape, programs: shape.programs.map((each) => each.map(write)), lends: 1 + (number % 6) };
}

/** Of one run: what goes slowly there, and how faults follow each other. */
class Pace {
  readonly #next: (limit: number) => number;
  readonly #slow = new Set<string>();
  /** A fault that could happen does so once in so many times; and right behind another one, or a fetch. */
  readonly #rarity: number;
  readonly #rarityThen: number;

  constructor({ machines, hasty = false }: Shape, next: (limit: number) => number) {
    this.#next = next;
    const kinds = ["start", "retire", "gone", "install", "phase", "merge"];
    const all = Array.from({ length: machines }, (_, i) => i + 1);
    for (const machine of all) {
      for (const kind of kinds) if (next(6) === 0) this.#slow.add(`${kind} ${machine}`);
      for (const to of all) if (next(6) === 0) this.#slow.add(`${machine} ${to}`);
    }
    this.#rarity = hasty ? 100 : [3, 12, 50][next(3)]!;
    this.#rarityThen = hasty ? 2 : [2, 12][next(2)]!;
  }

  isSlow(step: Step): boolean {
    return this.#slow.has(placeOf(step));
  }

  /** One of the steps; `since`: so many events ago something failed. */
  choose(steps: readonly Step[], since: number): Step {
    let step = steps[this.#next(steps.length)]!;
    if (isRare(step) && this.#next(since < 15 ? this.#rarityThen : this.#rarity) !== 0)
      step = steps.find((each) => !isRare(each)) ?? step;
    for (let again = 0; again < 6 && this.isSlow(step); again++) {
      const other = steps[this.#next(steps.length)]!;
      if (!isRare(other)) step = other;
    }
    return step;
  }
}

function placeOf(step: Step): string {
  if ("from" in step) return `${step.from} ${step.to}`;
  const kind = ["freeze", "handIn", "rebuild"].includes(step.do) ? "phase" : step.do;
  return `${["drop", "fetch"].includes(kind) ? "merge" : kind} ${step.machine}`;
}

/** No world takes more bytes: 49 ends of links. */
const WORLD_BYTES = 12 << 20;

/** This kernel, or a new one when its memory has no room for another world. */
export const roomy = (kernel: KernelWasm, create = () => new KernelWasm()): KernelWasm =>
  kernel.left > WORLD_BYTES ? kernel : create();

/** A world of this shape, at its beginning. */
export function worldOf(
  kernel: KernelWasm,
  { kills, rejoins, pauses, remains, leaves, uneven: _, hasty: __, trouble, ...setup }: Shape,
): World {
  const world = trouble ? new JoinedWorld(kernel, setup, trouble) : new World(kernel, setup);
  world.rejoins = rejoins;
  world.pauses = pauses;
  world.remains = remains;
  world.leaves = leaves;
  world.numbered = true;
  return world;
}

/** Steps that are rare, so that they meet a cluster at work. */
const isRare = (step: Step) => ["kill", "pause", "exit", "leave"].includes(step.do);

/** What may happen when nothing fails any more. */
function calmly(world: World): Step[] {
  const steps = world.steps(0).filter((step) => !isTrouble(step));
  return world.rests(steps) ? [] : steps;
}

/** Of what may happen, one time in so many the wire's trouble as well: there is more of it than of anything else. */
const TROUBLED = 6;
function withTrouble(steps: Step[], next: (limit: number) => number): Step[] {
  if (!steps.some(isTrouble)) return steps;
  const calm = steps.filter((step) => !isTrouble(step));
  return calm.length > 0 && next(TROUBLED) !== 0 ? calm : steps;
}

/** No run that ends takes so many events. */
const LIMIT = 20_000;

/** Runs to the end, or to the first thing that is wrong; `taken`: everything that happened. */
export function wanderIn(
  world: World,
  kills: number,
  mode: Mode,
  seed: number,
  taken: Step[],
  uneven?: Shape,
): void {
  const next = chance(seed);
  const pace = uneven && new Pace(uneven, next);
  let failed = -LIMIT;
  const faultsEnd = mode === "safety" ? LIMIT : next(200);
  for (let count = 0; count < LIMIT; count++) {
    const all = count < faultsEnd ? world.steps(kills) : world.steps(0).filter((step) => !isTrouble(step));
    const steps = withTrouble(all, next);
    // Nothing happens any more, unless something fails.
    if (world.rests(steps) && (steps.length === 0 || next(2) === 0)) {
      world.checkEnd();
      return;
    }
    let step = pace ? pace.choose(steps, count - failed) : steps[next(steps.length)]!;
    if (!pace && isRare(step) && next(12) !== 0) step = steps.find((each) => !isRare(each)) ?? step;
    if (isRare(step) || (uneven?.hasty && step.do === "fetch")) failed = count;
    taken.push(step);
    world.take(step);
  }
  if (mode === "liveness") throw new Violation(`no end after ${LIMIT} events`);
}

/** What a run of given steps came to. */
interface Replayed {
  /** What is wrong, or nothing. */
  wrong: string | undefined;
  /** Of the steps, those that could be taken. */
  readonly done: Step[];
  /** What was taken behind them. */
  readonly rest: Step[];
}

/** Takes these steps as far as they can be taken; with `ends` lets everything end in a fixed order then. */
function replay(world: World, kills: number, steps: readonly Step[], ends: boolean): Replayed {
  const run: Replayed = { wrong: undefined, done: [], rest: [] };
  const take = (step: Step, list: Step[]) => {
    list.push(step);
    world.take(step);
  };
  try {
    for (const step of steps) {
      const wanted = JSON.stringify(step);
      if (world.steps(kills).some((each) => JSON.stringify(each) === wanted)) take(step, run.done);
    }
    while (ends) {
      const left = calmly(world);
      if (run.rest.length === LIMIT) throw new Violation(`no end after ${LIMIT} events`);
      if (left.length === 0) break;
      take(left[run.rest.length % left.length]!, run.rest);
    }
    if (ends) world.checkEnd();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    run.wrong = error.message;
  }
  return run;
}

/** Of something wrong, whoever it befell. */
const kindOf = (message: string) => message.replace(/\d+|\(.*\)/g, "");

/** Fewer steps with which something is wrong still, none of which can be left out alone (Zeller's ddmin, 2002); null: nothing is wrong. */
function fewer(world: World, kills: number, steps: readonly Step[], ends: boolean): Replayed | null {
  const fresh = world.save();
  let best: Replayed | null = null;
  const fails = (some: readonly Step[]): boolean => {
    world.load(fresh);
    const run = replay(world, kills, some, ends);
    if (run.wrong === undefined) return false;
    if (best !== null && kindOf(run.wrong) !== kindOf(best.wrong!)) return false;
    best = run;
    return true;
  };
  const done = (): Step[] => best!.done;
  if (fails(steps))
    for (let size = done().length >> 1; size > 0; ) {
      let smaller = false;
      for (let at = 0; at < done().length; ) {
        const before = done().length;
        if (fails([...done().slice(0, at), ...done().slice(at + size)]))
          smaller = done().length < before || smaller;
        else at += size;
      }
      if (size > 1) size >>= 1;
      else if (!smaller) break;
    }
  world.load(fresh);
  return best;
}

/** The fewest steps; what is wrong at once is so without an end behind it. */
export function shrink(
  world: World,
  kills: number,
  steps: readonly Step[],
): { steps: Step[]; message: string; ends: boolean } {
  let few = fewer(world, kills, steps, false);
  if (few !== null) return { steps: few.done, message: few.wrong!, ends: false };
  few = fewer(world, kills, steps, true);
  if (few === null) throw new Error("the failure does not repeat");
  const alone = fewer(world, kills, [...few.done, ...few.rest], false);
  const { done, wrong } = alone ?? few;
  return { steps: done, message: wrong!, ends: alone === null };
}

/** One run; a failure is thrown with the command that repeats it. Returns how many events there were. */
export function trial(world: World, shape: number, mode: Mode, seed: number): number {
  const fresh = world.save();
  const drawn = shapeOf(shape);
  const { kills } = drawn;
  const taken: Step[] = [];
  try {
    wanderIn(world, kills, mode, seed, taken, drawn.uneven ? drawn : undefined);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    world.load(fresh);
    const { steps, message, ends } = shrink(world, kills, taken);
    throw new Violation(
      [
        error.message,
        `TRIAL=${shape}:${mode}:${seed} npm run soak -- coherence-trials`,
        `In ${steps.length} events (of ${taken.length})${ends ? ", then whatever is left in order" : ""}: ${message}`,
        JSON.stringify(shapeOf(shape)),
        ...steps.map((step) => JSON.stringify(step)),
      ].join("\n"),
    );
  } finally {
    world.load(fresh);
  }
  return taken.length;
}

/** The trial that a command names. */
export function trialOf(name: string): { shape: number; mode: Mode; seed: number } {
  const match = /^(\d+):(safety|liveness):(\d+)$/.exec(name);
  if (match === null)
    throw new Error(`TRIAL is "${name}", not <shape>:safety:<seed> or <shape>:liveness:<seed>`);
  return { shape: Number(match[1]), mode: match[2] as Mode, seed: Number(match[3]) };
}
