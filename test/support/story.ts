// What happens to a cluster of coherence.ts, told step by step: orders of events that searches and seeds meet rarely, or whose end
// only somebody can judge who knows what had happened.
import { type Setup, type Step, World } from "./coherence.js";
import type { KernelWasm } from "./kernel-wasm.js";
import { Violation } from "./search.js";

/** All that is under way, and may be heard, is: link after link. */
export const ARRIVES = "arrives";
export type Happening = Step | typeof ARRIVES;

export const kill = (machine: number): Step => ({ do: "kill", machine });
export const exclude = (machine: number): Step => ({ do: "exclude", machine });
export const comes = (machine: number): Step => ({ do: "return", machine });
export const install = (machine: number): Step => ({ do: "install", machine });
export const freeze = (machine: number): Step => ({ do: "freeze", machine });
export const deliver = (from: number, to: number): Step => ({ do: "deliver", from, to });
export const start = (machine: number): Step => ({ do: "start", machine, thread: 0 });
export const notice = (machine: number, dead: number): Step => ({ do: "notice", machine, dead });
export const gone = (machine: number): Step => ({ do: "gone", machine, page: 0 });
export const retire = (machine: number): Step => ({ do: "retire", machine, thread: 0 });
export const leave = (machine: number): Step => ({ do: "leave", machine });

export const inTurn = (...parts: (Happening | readonly Happening[])[]): Happening[] => parts.flat();

function arrive(world: World): Step[] {
  const taken: Step[] = [];
  for (;;) {
    const step = world.steps().find((each) => each.do === "deliver");
    if (step === undefined) return taken;
    world.take(step);
    taken.push(step);
  }
}

/** A wire on which nothing comes before all else has come to rest. */
export type Slow = readonly [from: number, to: number];

const isSlow = (step: Step, slow?: Slow) =>
  step.do === "deliver" && step.from === slow?.[0] && step.to === slow[1];

/** Takes these steps, and says one by one which they are. */
export function play(world: World, steps: readonly Happening[], kills: number): Step[] {
  return steps.flatMap((step) => {
    if (step === ARRIVES) return arrive(world);
    const may = world.steps(kills).map((each) => JSON.stringify(each));
    if (!may.includes(JSON.stringify(step)))
      throw new Violation(`${JSON.stringify(step)} is not among ${may.join(" ")}`);
    world.take(step);
    return [step];
  });
}

/** Takes these steps, then whatever is left, in one of many orders. */
export function playOn(
  world: World,
  steps: readonly Happening[],
  kills: number,
  order = 0,
  slow?: Slow,
): void {
  play(world, steps, kills);
  for (let count = 0; !world.rests(world.steps()); count++) {
    const rest = world.steps();
    const others = rest.filter((step) => !isSlow(step, slow));
    const next = world.rests(others) ? rest : others;
    world.take(next[(count * (order + 1)) % next.length]!);
  }
  world.checkEnd();
}

export interface Story {
  readonly setup: Setup;
  readonly kills: number;
  readonly steps: readonly Happening[];
  /** Machines come back. */
  readonly rejoins?: boolean;
  /** So many leave in good order. */
  readonly leaves?: number;
  /** Behind the steps. */
  readonly slow?: Slow;
  /** So many threads are told of a loss. */
  readonly told: number;
}

/** `planted`: a bug of coherence-homes.ts. */
export function tellStory(
  kernel: KernelWasm,
  { setup, kills, steps, rejoins, leaves = 0, slow, told }: Story,
  planted = "",
): void {
  const world = new World(kernel, setup);
  world.planted = planted;
  world.numbered = true;
  world.rejoins = rejoins === true;
  world.leaves = leaves;
  playOn(world, steps, kills, 0, slow);
  const failures = world.failures(true);
  if (failures !== told)
    throw new Violation(`${failures} threads are told of a loss, and ${told} should have been`);
}

/**
 * R2, R8: machine 2 has written the page and gives it to machine 3, which dies before it has gone; then machine 1 does, the home, which
 * knew what to do about it. Machine 2 has the page still, and nothing was lost.
 */
export const givenToTheDead: Story = {
  setup: { machines: 3, home: 1, programs: [[], ["wr"], ["w"]], takeover: true },
  kills: 2,
  steps: [
    { do: "start", machine: 2, thread: 0 },
    { do: "deliver", from: 2, to: 1 },
    { do: "deliver", from: 1, to: 2 },
    { do: "retire", machine: 2, thread: 0 },
    { do: "start", machine: 3, thread: 0 },
    { do: "deliver", from: 3, to: 1 },
    { do: "deliver", from: 1, to: 2 },
    { do: "kill", machine: 3 },
    { do: "exclude", machine: 3 },
    { do: "install", machine: 1 },
    { do: "install", machine: 2 },
    { do: "deliver", from: 1, to: 2 },
    { do: "freeze", machine: 2 },
    { do: "gone", machine: 2, page: 0 },
    { do: "kill", machine: 1 },
  ],
  told: 0,
};

/**
 * R2, R8: machine 3, the home, has asked machine 2 for the page that it gave away, and freezes, since a view interrupts a move. Machine 2
 * dies with the page: the home had counted itself as its owner already, and has nothing.
 */
export const awayWithTheDead: Story = {
  setup: {
    machines: 3,
    home: 3,
    programs: [["r0"], ["w0x0w0x0", "w0r0r0r0"], ["x0r0r0r0w0", "x0x0x0w0w0w0"]],
    takeover: true,
  },
  kills: 2,
  rejoins: true,
  steps: [
    { do: "start", machine: 2, thread: 1 },
    { do: "start", machine: 3, thread: 0 },
    { do: "deliver", from: 2, to: 3 },
    { do: "retire", machine: 3, thread: 0 },
    { do: "start", machine: 3, thread: 0 },
    { do: "start", machine: 3, thread: 0 },
    { do: "start", machine: 3, thread: 0 },
    { do: "gone", machine: 3, page: 0 },
    { do: "deliver", from: 3, to: 2 },
    { do: "retire", machine: 2, thread: 1 },
    { do: "kill", machine: 1 },
    { do: "exclude", machine: 1 },
    { do: "install", machine: 3 },
    { do: "return", machine: 1 },
    { do: "install", machine: 2 },
    { do: "start", machine: 3, thread: 0 },
    { do: "deliver", from: 2, to: 3 },
    { do: "kill", machine: 2 },
    { do: "freeze", machine: 3 },
    { do: "install", machine: 3 },
  ],
  told: 2,
};

/**
 * R5, R8: machine 2 has asked the home for an operation, which passed it on to machine 4; everything freezes, and machine 4 dies before it has
 * answered. The home lives, and knows nothing of it any more.
 */
export const askedOfTheDead: Story = {
  setup: {
    machines: 5,
    pages: 2,
    home: 1,
    ranges: true,
    programs: [["w1w1"], ["w1w0w1x1x1", "x1r0r0r1r0x0"], ["w1x0", "w1r1"], ["w1"], ["x1w0r1", "x1r0r0r1x1"]],
    takeover: true,
  },
  kills: 3,
  steps: [
    { do: "start", machine: 4, thread: 0 },
    { do: "kill", machine: 5 },
    { do: "exclude", machine: 5 },
    { do: "install", machine: 4 },
    { do: "start", machine: 1, thread: 0 },
    { do: "deliver", from: 4, to: 1 },
    { do: "deliver", from: 4, to: 1 },
    { do: "install", machine: 1 },
    { do: "start", machine: 2, thread: 1 },
    { do: "install", machine: 2 },
    { do: "deliver", from: 2, to: 1 },
    { do: "deliver", from: 2, to: 4 },
    { do: "deliver", from: 1, to: 4 },
    { do: "deliver", from: 2, to: 1 },
    { do: "install", machine: 3 },
    { do: "kill", machine: 3 },
    { do: "deliver", from: 3, to: 4 },
    { do: "freeze", machine: 4 },
    { do: "exclude", machine: 3 },
    { do: "deliver", from: 4, to: 1 },
    { do: "install", machine: 4 },
    { do: "deliver", from: 4, to: 1 },
    { do: "deliver", from: 4, to: 1 },
    { do: "install", machine: 2 },
    { do: "kill", machine: 4 },
  ],
  told: 2,
};

/**
 * R2: machine 1 dies with the page, of which machine 3, its home, is told. Machine 2 has it then, writes and dies as well: that is another
 * loss.
 */
export const lostTwice: Story = {
  setup: { machines: 3, home: 3, programs: [["w"], ["w"], ["rr"]] },
  kills: 2,
  steps: inTurn(
    [start(1), ARRIVES, retire(1), kill(1), notice(3, 1), notice(2, 1), ARRIVES],
    [start(3), start(2), ARRIVES, retire(2), kill(2), notice(3, 2)],
  ),
  told: 2,
};

/** R2: the same; and who was told of the first loss, machine 1, hears of it when the second one has happened. */
export const heardLate: Story = {
  setup: { machines: 4, home: 3, programs: [["w"], ["w"], ["r"], ["w"]] },
  kills: 2,
  steps: inTurn(
    [start(4), ARRIVES, retire(4), kill(4), notice(3, 4), notice(1, 4), notice(2, 4), ARRIVES],
    [start(1), start(2), deliver(1, 3), deliver(2, 3), deliver(3, 2), retire(2), kill(2), notice(3, 2)],
  ),
  told: 2,
};

/**
 * R2: machine 1 has given machine 2 a copy, which does not come, and machine 4 the page, and dies: machine 2 fails. Machine 4 gives the page
 * back to machine 3, its home, and gets it again, writes and dies. Then machine 3 hears of what machine 2 was told.
 */
const heardAfterwards = (again: readonly Step[]): Story => ({
  setup: {
    machines: 4,
    home: 3,
    ranges: true,
    merges: true,
    fetches: 1,
    programs: [["w"], ["r"], ["r"], ["ww"]],
  },
  kills: 2,
  steps: inTurn(
    [start(1), ARRIVES, retire(1), start(2), deliver(2, 3), start(4), deliver(4, 3)],
    [deliver(3, 1), deliver(3, 1), gone(1), gone(1), deliver(1, 4), kill(1), notice(3, 1)],
    [deliver(3, 2), notice(2, 1), notice(4, 1), deliver(3, 2), deliver(2, 4), retire(4)],
    [{ do: "fetch", machine: 3, page: 0 }, deliver(3, 4), deliver(3, 4), gone(4), deliver(4, 3)],
    again,
    [kill(4), notice(3, 4), deliver(2, 3)],
  ),
  told: 2,
});
/** Machine 3 has it only in its store by then. */
export const heardOfBefore: Story = heardAfterwards([
  { do: "drop", machine: 3, page: 0 },
  ...[start(4), deliver(4, 3), deliver(3, 4), retire(4)],
]);
/** Machine 3 has it mapped. */
export const heardOfHere: Story = heardAfterwards([
  ...[start(4), deliver(4, 3), gone(3), deliver(3, 4), retire(4)],
]);

/**
 * R2: machine 2 has given machine 1 a copy, which does not come, and the page to machine 3, its home; gets it again to write, and dies.
 * Machine 1 is told of that, and of nothing else.
 */
export const askedBefore: Story = {
  setup: { machines: 3, home: 3, programs: [["rw"], ["rw"], []] },
  kills: 1,
  steps: inTurn(
    [start(2), ARRIVES, retire(2), start(1), deliver(1, 3), deliver(3, 2), gone(2), deliver(2, 3)],
    [start(2), deliver(2, 3), kill(2), notice(3, 2), notice(1, 2)],
  ),
  told: 1,
};

/**
 * Machine 2 has written the page and dies: machine 1, its home, asks the others for it, of which machine 3 answers. Before machine 4 has,
 * that one leaves, or `leaver` does, and everything freezes.
 */
const frozenWhileRecovering = (
  program: string,
  asks: readonly Happening[],
  answers: readonly Happening[],
  told: number,
  leaver = 4,
): Story => ({
  setup: { machines: 4, home: 1, programs: [[], ["w"], [program], []], takeover: true },
  kills: 1,
  leaves: 1,
  steps: inTurn(
    [start(2), ARRIVES, retire(2)],
    asks,
    [kill(2), exclude(2), install(1), install(3), install(4), ARRIVES, freeze(1), freeze(3), freeze(4)],
    answers,
    [{ do: "leave", machine: leaver }, install(1), install(4), install(3)],
    [deliver(4, 1), deliver(4, 1), deliver(4, 1), deliver(3, 1), deliver(3, 1), freeze(1)],
  ),
  told,
});

const reads: Happening[] = [start(3), ARRIVES, gone(2), ARRIVES, retire(3)];
const asksToWrite: Happening[] = [start(3), deliver(3, 1)];
const isTold: Happening[] = [
  deliver(1, 3),
  deliver(1, 3),
  deliver(3, 1),
  deliver(3, 1),
  deliver(1, 3),
  deliver(1, 3),
];

/** R2: machine 3 waited for machine 2, and was told; what it has it gives the home. Neither it nor another is told again. */
export const toldAndFound = frozenWhileRecovering(
  "rww",
  [...reads, ...asksToWrite],
  [...isTold, gone(3), deliver(3, 1)],
  1,
);
/** The same; nobody has the page, which reverts. */
export const toldAndReverts = frozenWhileRecovering("ww", asksToWrite, [...isTold, deliver(3, 1)], 1);
/** R2: nothing is lost of what machine 3 had and has given the home, nor when that one leaves. */
export const foundAtHome = frozenWhileRecovering(
  "rr",
  reads,
  [deliver(1, 3), deliver(1, 3), gone(3), deliver(3, 1), deliver(3, 1)],
  0,
  1,
);

/**
 * R2: machine 3 had borrowed bytes of machine 1's page, and dies. Machine 4 is told, who was to have the page, and machine 2, who waited
 * behind it; machine 5 waited there as well, and hears of it when it has left and nobody waits any more. That makes nobody hear it again.
 */
export const refusedBehind: Story = {
  setup: {
    machines: 5,
    home: 1,
    programs: [
      ["w0w0w0w0", "r0w0w0r0w0"],
      ["r0w0r0"],
      ["w0r0", "w0r0r0"],
      ["w0w0w0w0r0", "r0w0"],
      ["r0w0", "w0"],
    ],
    takeover: true,
    lends: 2,
  },
  kills: 1,
  rejoins: true,
  leaves: 2,
  steps: [
    start(4),
    { do: "start", machine: 3, thread: 0, borrow: true },
    { do: "start", machine: 1, thread: 1 },
    kill(3),
    start(5),
    { do: "retire", machine: 1, thread: 1 },
    deliver(3, 1),
    exclude(3),
    deliver(4, 1),
    comes(3),
    install(5),
    start(2),
    deliver(2, 1),
    leave(5),
    deliver(5, 1),
    deliver(1, 4),
    deliver(1, 4),
    install(1),
    deliver(1, 5),
    gone(1),
    deliver(5, 1),
    deliver(1, 4),
    deliver(1, 4),
    deliver(1, 2),
    deliver(4, 2),
    start(2),
    deliver(4, 1),
    deliver(1, 5),
    deliver(1, 4),
    deliver(1, 2),
    deliver(2, 1),
    deliver(4, 5),
    deliver(5, 1),
    deliver(1, 2),
    deliver(2, 1),
    deliver(2, 1),
    deliver(1, 4),
    deliver(1, 5),
    deliver(4, 1),
    deliver(5, 1),
    deliver(1, 2),
  ],
  told: 2,
};
