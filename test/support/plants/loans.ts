// Chunks of a page that are lent: small clusters whose every order of events is searched, larger ones for random runs, and bugs planted
// around the compiled parts (loans-world.ts has them by name).
import { KernelWasm } from "../kernel-wasm.js";
import { type LoanBug, type LoanSetup, loanBugs, type Step, survivors } from "../loans-state.js";
import { LoansWorld } from "../loans-world.js";
import { chance, explore, type Found, Violation } from "../search.js";
import { atRandom, bySearch, type Finding, type Planted } from "./plant.js";

const kernel = new KernelWasm();

/** Machine 1 has the page from machine 3, its home, and has lent a chunk to machine 2. */
const lent: readonly Step[] = [
  { do: "start", machine: 1, thread: 0 },
  { do: "deliver", from: 1, to: 3 },
  { do: "deliver", from: 3, to: 1 },
  { do: "retire", machine: 1, thread: 0 },
  { do: "start", machine: 2, thread: 0, borrow: true },
  { do: "deliver", from: 2, to: 3 },
  { do: "deliver", from: 3, to: 1 },
  { do: "deliver", from: 1, to: 2 },
];
/** Machine 1 died, and its page's home knows it; machine 2 does not. */
const lenderDied: readonly Step[] = [
  ...lent,
  { do: "kill", machine: 1 },
  { do: "notice", machine: 3, dead: 1 },
];
/** Machine 1 has the page from machine 4, its home, has lent a chunk to machine 2, and is to give the page to machine 3, which died. */
const nextDied: readonly Step[] = [
  { do: "start", machine: 1, thread: 0 },
  { do: "deliver", from: 1, to: 4 },
  { do: "deliver", from: 4, to: 1 },
  { do: "retire", machine: 1, thread: 0 },
  { do: "start", machine: 2, thread: 0, borrow: true },
  { do: "deliver", from: 2, to: 4 },
  { do: "deliver", from: 4, to: 1 },
  { do: "deliver", from: 1, to: 2 },
  { do: "retire", machine: 2, thread: 0 },
  { do: "start", machine: 3, thread: 0 },
  { do: "deliver", from: 3, to: 4 },
  { do: "kill", machine: 3 },
  { do: "notice", machine: 4, dead: 3 },
];
/** The same; machine 2, which has written its chunk, asks for another one. */
const asksForMore: readonly Step[] = [
  ...nextDied.slice(0, 8),
  { do: "start", machine: 2, thread: 0 },
  ...nextDied.slice(9),
  { do: "notice", machine: 2, dead: 3 },
  { do: "start", machine: 2, thread: 0, borrow: true },
];
/**
 * The same, and machine 4, which is told of that death, was to have the page behind machine 3. Nothing was lent then; machine 2 writes
 * to what it is lent, and dies.
 */
const toldTooSoon: readonly Step[] = [
  { do: "start", machine: 1, thread: 0 },
  { do: "deliver", from: 1, to: 4 },
  { do: "start", machine: 2, thread: 0, borrow: true },
  { do: "deliver", from: 2, to: 4 },
  { do: "start", machine: 3, thread: 0 },
  { do: "deliver", from: 3, to: 4 },
  { do: "start", machine: 4, thread: 0 },
  { do: "deliver", from: 4, to: 1 },
  { do: "retire", machine: 1, thread: 0 },
  { do: "kill", machine: 3 },
  { do: "notice", machine: 4, dead: 3 },
  { do: "notice", machine: 1, dead: 3 },
  { do: "deliver", from: 4, to: 1 },
  { do: "deliver", from: 1, to: 2 },
  { do: "start", machine: 2, thread: 0 },
  { do: "kill", machine: 2 },
];

/** Machine 1 has the page from machine 4, its home, and lent a chunk to machine 2, which wrote it. */
const writtenByTheBorrower: readonly Step[] = [
  { do: "start", machine: 1, thread: 0 },
  { do: "deliver", from: 1, to: 4 },
  { do: "deliver", from: 4, to: 1 },
  { do: "retire", machine: 1, thread: 0 },
  { do: "start", machine: 2, thread: 0, borrow: true },
  { do: "deliver", from: 2, to: 4 },
  { do: "deliver", from: 4, to: 1 },
  { do: "deliver", from: 1, to: 2 },
  { do: "start", machine: 2, thread: 0 },
];
/** And died: machine 3 is told so, and machine 1 dies with the rest, as its home knows before it hears of what machine 3 was told. */
const lostAfterwards: readonly Step[] = [
  ...writtenByTheBorrower,
  { do: "kill", machine: 2 },
  ...[1, 3, 4].map((machine): Step => ({ do: "notice", machine, dead: 2 })),
  { do: "start", machine: 3, thread: 0 },
  { do: "deliver", from: 3, to: 4 },
  { do: "deliver", from: 4, to: 1 },
  { do: "gone", machine: 1 },
  { do: "deliver", from: 1, to: 3 },
  { do: "kill", machine: 1 },
  { do: "notice", machine: 4, dead: 1 },
];
/** And dies: machine 4 is to have the page then, and machine 3 behind it, which has died, so that it is recovered. */
const askedBefore: readonly Step[] = [
  ...writtenByTheBorrower,
  { do: "start", machine: 4, thread: 0 },
  { do: "start", machine: 3, thread: 0 },
  { do: "deliver", from: 3, to: 4 },
  { do: "kill", machine: 3 },
  { do: "notice", machine: 4, dead: 3 },
  { do: "kill", machine: 2 },
  { do: "notice", machine: 1, dead: 2 },
];

export const loanCases: (LoanSetup & { kills: number; states: number })[] = [
  { programs: [["w0"], ["w1w1"]], home: 1, kills: 0, states: 185 },
  { programs: [["w0"], ["w1w1"]], home: 2, returns: 1, kills: 0, states: 1397 },
  { programs: [["w0p"], ["w1"]], home: 1, kills: 0, states: 340 },
  { programs: [["w0"], ["w1r0"]], home: 2, kills: 0, states: 843 },
  { programs: [["w0"], ["w1"], ["p"]], home: 1, kills: 0, states: 3564 },
  { programs: [["w0"], ["w1"], []], home: 3, kills: 1, states: 6474 },
  { programs: [["w0r1"], ["w1"]], home: 1, kills: 1, states: 5240 },
  { programs: [["w0"], ["w1w1"]], home: 1, kills: 1, rejoins: true, states: 4157 },
  { programs: [["w0"], ["w1"], ["r1r1"]], home: 3, kills: 1, begins: lenderDied, states: 2796 },
  { programs: [["w0"], ["w1"], ["w2"], ["r1"]], home: 4, kills: 1, begins: nextDied, states: 650 },
  { programs: [["w0"], ["w1w2"], ["w2"], ["r1"]], home: 4, kills: 1, begins: asksForMore, states: 4638 },
  { programs: [["w0r1"], ["w1"], ["w2"], ["p"]], home: 4, kills: 2, begins: toldTooSoon, states: 130 },
  { programs: [["w0"], ["w1"], ["r1"], ["r0"]], home: 4, kills: 2, begins: lostAfterwards, states: 52 },
  {
    programs: [["w0r0r0"], ["w1"], ["w2"], ["w2"]],
    home: 4,
    kills: 2,
    begins: askedBefore,
    keeps: 0,
    states: 540,
  },
];

/** Three machines in every order of events: minutes. */
export const loanWorlds: readonly (LoanSetup & { kills: number })[] = [
  { programs: [["w0p"], ["w1w2"], []], home: 3, lends: 3, returns: 1, kills: 0 },
  { programs: [["w0"], ["w1"], ["r1"]], home: 1, lends: 1, kills: 1 },
  { programs: [["w0"], ["w1w1"], []], home: 3, kills: 1, rejoins: true },
  { programs: [["w0"], ["w1"], ["r1r1"]], home: 3, returns: 1, kills: 1, begins: lent },
];

/** One run at random, to its end. */
export function wanderLoans(world: LoansWorld, seed: number, kills: number, rarity: number): void {
  const next = chance(seed);
  for (let count = 0; count < 20_000; count++) {
    let steps = world.steps(kills);
    if (world.rests(steps)) {
      world.checkEnd();
      return;
    }
    // Deaths are rare, so that they meet a cluster at work.
    if (next(rarity) !== 0) steps = steps.filter((step) => step.do !== "kill");
    if (steps.length > 0) world.take(steps[next(steps.length)]!);
  }
  throw new Violation("no end after 20000 steps");
}

export const larger: LoanSetup[] = [1, 2, 3].map((home) => ({
  home,
  programs: [["w0r0w0pw0", "w0r0"], ["w1w1r0w1"], ["r2w2w2r1"]],
  returns: 3,
  lends: 8,
  rejoins: true,
}));

/** Short ones, that meet a death or a return in the midst of a loan more often. */
export const short: LoanSetup[] = [
  { home: 1, programs: [["w0"], ["w1"], ["r1"]], lends: 1 },
  { home: 1, programs: [["w1"], ["w1"], ["r1"]], lends: 1 },
  { home: 3, programs: [["w0p"], ["w1w2"], []], lends: 3, returns: 1 },
];

/** Every order of events, from where it begins; `limit`: at most so many states. */
export function exploreLoans(
  world: LoansWorld,
  { begins = [], kills }: LoanSetup & { kills: number },
  limit?: number,
): Found {
  for (const step of begins) world.take(step);
  return explore(world, kills, limit, undefined, limit !== undefined);
}

export const loanBySearch = (bug: LoanBug, setups: readonly (LoanSetup & { kills: number })[]): Finding[] =>
  bySearch(setups.map((one) => () => exploreLoans(new LoansWorld(kernel, { ...one, bug }), one)));

/** Without a bug nothing is to be found. */
export function loanAtRandom(bug?: LoanBug): Finding[] {
  const run = (setups: LoanSetup[], seeds: number, rarity: number) => {
    const worlds = setups.map(
      (setup) => new LoansWorld(kernel, bug === undefined ? setup : { ...setup, bug }),
    );
    const saved = worlds.map((world) => world.save());
    return atRandom(seeds, worlds.length, (seed, index) => {
      worlds[index]!.load(saved[index]!);
      wanderLoans(worlds[index]!, seed, 1, rarity);
    });
  };
  const found = run(larger, 333, 20);
  return found.length > 0 ? found : run(short, 1333, 5);
}

export const loanPlants: readonly Planted[] = [...loanBugs, ...survivors].map((bug) => ({
  name: bug,
  where: "coherence/loans.ts, pages.ts",
  find: () => {
    const small = loanBySearch(bug, loanCases);
    const random = loanAtRandom(bug);
    const found = [...small, ...random];
    return found.length > 0 ? found : loanBySearch(bug, loanWorlds);
  },
  ...((survivors as readonly string[]).includes(bug) && { survives: true }),
}));
