// Small clusters whose every order of events is searched, by our own explorer on the compiled engine (coherence.test.ts)
// and by TLC on the TLA+ model of the same table (coherence-model.test.ts). Both must find the same number of states.
import { type Program, type Step, World } from "./coherence.js";
import type { KernelWasm } from "./kernel-wasm.js";
import { type Beginning, beginnings } from "./offer-stories.js";
import { play } from "./story.js";

export interface Case {
  /** Per machine, per thread. */
  programs: Program[][];
  /** Of the one page; of each, when there are more. */
  home: number | number[];
  kills: number;
  rejoins?: boolean;
  /** Membership goes by views, and the role of a home that dies moves (R8). */
  moves?: boolean;
  /** So many leave in good order. */
  leaves?: number;
  /** Machines guess who owns a page. */
  guesses?: boolean;
  /** What has happened before. */
  after?: Beginning;
  states: number;
}

/** The world that is searched; `done`: one by one, what has happened there before. */
export function caseWorld(
  kernel: KernelWasm,
  {
    programs,
    home,
    kills,
    rejoins = false,
    moves: takeover = false,
    leaves = 0,
    guesses = false,
    after,
  }: Case,
): { world: World; done: Step[] } {
  const machines = programs.length;
  const pages = [home].flat().length;
  const world = new World(kernel, { machines, home, pages, programs, takeover, guesses });
  world.rejoins = rejoins;
  world.leaves = leaves;
  return { world, done: play(world, after ? beginnings[after] : [], kills) };
}

export const nameOf = ({
  programs,
  home,
  kills,
  rejoins = false,
  moves = false,
  leaves = 0,
  guesses = false,
  after,
}: Case): string =>
  `${moves ? "homes move: " : ""}${programs.map((machine) => machine.join("+") || "-").join(" ")}, home ${home}, ${kills} deaths${rejoins ? " and returns" : ""}${leaves > 0 ? `, ${leaves} leaves` : ""}${guesses ? ", guesses" : ""}${after ? `, when ${after}` : ""}`;

export const cases: Case[] = [
  { programs: [["w"], ["w"]], home: 1, kills: 0, states: 22 },
  { programs: [["rw", "r"], ["wr"]], home: 2, kills: 0, states: 393 },
  {
    programs: [
      ["rw", "w"],
      ["rw", "r"],
    ],
    home: 1,
    kills: 0,
    states: 2768,
  },
  { programs: [["r"], ["r"], ["w"]], home: 1, kills: 0, states: 324 },
  { programs: [["rw"], ["w"], ["rw"]], home: 3, kills: 0, states: 2584 },
  { programs: [["w"], ["w"], ["w"], []], home: 4, kills: 0, states: 254 },
  { programs: [["wr"], ["wr"]], home: 1, kills: 1, states: 404 },
  { programs: [["r"], ["w"], ["w"]], home: 1, kills: 1, states: 8197 },
  { programs: [["r"], ["rw"], []], home: 3, kills: 1, states: 2754 },
  { programs: [["r"], ["r"], []], home: 3, kills: 2, states: 4561 },
  { programs: [["rw"], ["rw"], []], home: 3, kills: 1, states: 10907 },
  { programs: [["w"], ["w"], []], home: 3, kills: 1, rejoins: true, states: 1585 },
  { programs: [["r"], ["w"], ["w"]], home: 1, kills: 1, rejoins: true, states: 14557 },
  { programs: [["x"], ["x"]], home: 1, kills: 0, states: 31 },
  { programs: [["xx", "x"], ["wx"]], home: 2, kills: 0, states: 371 },
  { programs: [["x"], ["wx"], ["x"]], home: 3, kills: 0, states: 435 },
  { programs: [["w"], ["xx"], ["rx"]], home: 1, kills: 0, states: 2537 },
  { programs: [["x"], ["wx"], []], home: 3, kills: 1, states: 2284 },
  { programs: [["w"], ["x"], []], home: 3, kills: 1, rejoins: true, states: 2131 },
];

/** Who has lost the page to a machine asks that one as well when it needs it next (kernel/coherence/early.ts). */
export const guessCases: Case[] = [
  { programs: [[], ["ww"], ["rr"]], home: 1, kills: 0, states: 422 },
  { programs: [["w"], ["w"], ["rr"]], home: 1, kills: 0, states: 1035 },
  { programs: [[], ["wx"], ["rrr"]], home: 1, kills: 0, states: 938 },
  { programs: [[], ["w"], ["w"], ["rr"]], home: 1, kills: 0, states: 1500 },
  { programs: [[], ["ww"], ["rr"]], home: 1, kills: 1, states: 13601 },
  { programs: [[], ["w"], ["rr"]], home: 1, kills: 1, rejoins: true, states: 4977 },
  { programs: [[], ["w"], ["rr"]], home: 1, kills: 1, moves: true, states: 26683 },
  { programs: [[], ["ww"], ["w"]], home: 1, kills: 0, states: 93 },
  { programs: [[], ["ww"], ["ww"]], home: 1, kills: 0, states: 740 },
  { programs: [[], ["ww"], ["rw"]], home: 1, kills: 0, states: 573 },
  { programs: [["w"], ["ww"], ["w"]], home: 1, kills: 0, states: 547 },
  { programs: [[], ["ww"], ["w"], ["w"]], home: 1, kills: 0, states: 994 },
  { programs: [[], ["wx"], ["wx"]], home: 1, kills: 0, states: 80 },
  { programs: [[], ["ww"], ["w"]], home: 1, kills: 1, states: 2965 },
  { programs: [[], ["ww"], ["ww"]], home: 1, kills: 1, states: 23569 },
  { programs: [[], ["ww"], ["w"]], home: 1, kills: 1, rejoins: true, states: 5707 },
  { programs: [[], ["ww"], ["w"]], home: 1, kills: 1, moves: true, states: 29925 },
].map((one) => ({ ...one, guesses: true }));

/** The same, and the home leaves, or two machines die; from where a page is about to be offered, or is. */
const offer: Omit<Case, "states"> = {
  programs: [[], ["ww"], ["w"]],
  home: 1,
  kills: 0,
  leaves: 1,
  moves: true,
  guesses: true,
};
const late: Omit<Case, "states"> = {
  ...offer,
  programs: [["w"], ["ww"], ["ww"]],
  after: "the guess is late, and the home leaves",
};
export const offerCases: Case[] = [
  { ...offer, after: "it is offered", states: 30_664 },
  { ...offer, after: "it is offered", leaves: 0, kills: 2, states: 20_504 },
  { ...offer, after: "it is ordered by who leaves", states: 9088 },
  {
    ...offer,
    programs: [[], ["ww"], ["wr"]],
    after: "who guesses dies, and the home leaves",
    kills: 1,
    states: 6131,
  },
  { ...late, states: 6142 },
];
/** Minutes in all; by TLC each takes some. */
export const largerOfferCases: Case[] = [
  { ...offer, after: "machine 2 guesses", states: 105_167 },
  { ...late, kills: 1, states: 345_260 },
  { ...offer, states: 862_410 },
];

/** R8: the home dies and its role moves (test/model/Move.tla). */
export const moveCases: Case[] = [
  { programs: [["r"], ["w"], ["w"]], home: 1, states: 92_234 },
  { programs: [[], ["w"], ["rw"]], home: 1, states: 22_253 },
  { programs: [[], ["x"], ["wx"]], home: 1, states: 25_964 },
  { programs: [["w"], [], ["x"]], home: 1, states: 5582 },
  { programs: [["w0"], ["r1"], []], home: [1, 2], states: 1161 },
].map((one) => ({ ...one, kills: 1, moves: true }));

/** R2: a machine leaves in good order, and none dies (test/model/Move.tla). */
export const leaveCases: Case[] = [
  { programs: [["w"], ["w"]], home: 1, states: 3064 },
  { programs: [["x"], ["wx"]], home: 1, states: 4059 },
  { programs: [["x"], ["w"]], home: 2, states: 4474 },
].map((one) => ({ ...one, kills: 0, leaves: 1, moves: true }));

/** The same among three machines: half a minute. */
export const leaveOfThree: Case = {
  programs: [[], ["r"], ["w"]],
  home: 1,
  kills: 0,
  leaves: 1,
  moves: true,
  states: 388_219,
};

/**
 * Three machines and two pages with a home each; one of the machines dies at any moment and may come back. `quick`: small enough
 * for every run of the tests.
 */
export const threeByTwo: (Case & { quick?: true })[] = [
  {
    programs: [["r1"], ["w0"], ["w0w1"]],
    home: [1, 2],
    kills: 1,
    rejoins: true,
    states: 45_605,
    quick: true,
  },
  { programs: [["r0w1"], ["w0r1"], ["w1w0"]], home: [1, 2], kills: 1, rejoins: true, states: 788_143 },
];
