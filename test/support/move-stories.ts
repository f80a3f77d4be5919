// Stories of homes.ts (story.ts): what only members that died knew of an object whose home moves, and who says so. Each with the bug in
// coherence-homes.ts without which it would end otherwise.
import { answeredLate, mirrorThatLeaves, passedOnToTheDead, twoLeave } from "./leave-stories.js";
import {
  ARRIVES,
  comes,
  deliver,
  exclude,
  freeze,
  gone,
  type Happening,
  install,
  inTurn,
  kill,
  retire,
  type Story,
  start,
} from "./story.js";

/** These machines go through one phase of a view, and hear it of each other. */
const phase = (what: "install" | "freeze" | "handIn" | "rebuild", ...machines: number[]): Happening[] =>
  inTurn(
    machines.map((machine) => ({ do: what, machine })),
    ARRIVES,
  );
const view = (...machines: number[]): Happening[] =>
  (["install", "freeze", "handIn", "rebuild"] as const).flatMap((what) => phase(what, ...machines));

/**
 * R2, R8: machine 2 was granted all pages, and has written page 1, of which the home, machine 1, has no record. A view that interrupts
 * another freezes everything, and machine 2 dies then.
 */
const heldByRanges: Story = {
  setup: { machines: 3, pages: 2, home: 1, ranges: true, programs: [["r1"], ["r0w1"], []], takeover: true },
  kills: 2,
  rejoins: true,
  steps: inTurn(
    start(2),
    ARRIVES,
    retire(2),
    start(2),
    retire(2),
    kill(3),
    exclude(3),
    install(1),
    install(2),
    deliver(2, 1),
    freeze(1),
    comes(3),
    phase("install", 1, 2, 3),
    freeze(1),
    kill(2),
  ),
  told: 1,
};

/**
 * R2, R8: machine 2 has taken over a page that nobody has touched, machine 3 was told that it may have been lost, and machine 1 comes back,
 * is its home again, writes it and dies, before machine 2 has heard that it had made its directory.
 */
const writtenByTheNext: Story = {
  setup: { machines: 3, home: 1, programs: [["w"], ["r"], ["r"]], takeover: true },
  kills: 2,
  rejoins: true,
  steps: inTurn(
    kill(1),
    exclude(1),
    view(2, 3),
    start(3),
    ARRIVES,
    comes(1),
    phase("install", 1, 2, 3),
    phase("freeze", 1, 2, 3),
    phase("handIn", 1, 2, 3),
    { do: "rebuild", machine: 1 },
    { do: "rebuild", machine: 2 },
    { do: "rebuild", machine: 3 },
    deliver(2, 1),
    deliver(3, 1),
    start(1),
    retire(1),
    kill(1),
    exclude(1),
    install(2),
  ),
  told: 2,
};

/**
 * R2, R8: machine 2 has taken over a page that machine 3 wrote, and hands it in to machine 1, with the word that it is lost. Then machine 3
 * comes back, whose page it was, and machine 1 dies before it has handed in what it had heard.
 */
export const saidToTheDead: Story = {
  setup: { machines: 3, home: 3, programs: [[], ["r"], ["w"]], takeover: true },
  kills: 3,
  rejoins: true,
  steps: inTurn(
    start(3),
    retire(3),
    kill(1),
    exclude(1),
    view(2, 3),
    kill(3),
    exclude(3),
    view(2),
    comes(1),
    phase("install", 1, 2),
    phase("freeze", 1, 2),
    { do: "handIn", machine: 2 },
    ARRIVES,
    comes(3),
    phase("install", 3, 2, 1),
    freeze(2),
    kill(1),
  ),
  told: 1,
};

/**
 * R2: machine 1, the home, leaves and has given all to machine 2, when a view interrupts the move and it freezes once more. Machine 2 dies
 * with what was given to it.
 */
export const givenAndFrozenAgain: Story = {
  setup: {
    machines: 3,
    pages: 2,
    home: 1,
    ranges: true,
    programs: [["r0w1w1w0"], ["w1x1w1x0", "r1x0w0x1"], ["x1x0w1"]],
    takeover: true,
    merges: true,
  },
  kills: 2,
  rejoins: true,
  leaves: 1,
  steps: inTurn(
    start(1),
    retire(1),
    start(1),
    retire(1),
    { do: "leave", machine: 1 },
    install(1),
    deliver(1, 2),
    deliver(1, 3),
    install(2),
    install(3),
    deliver(2, 1),
    deliver(2, 3),
    deliver(3, 1),
    freeze(1),
    deliver(3, 2),
    freeze(2),
    deliver(2, 1),
    freeze(3),
    deliver(3, 1),
    { do: "handIn", machine: 1 },
    kill(3),
    exclude(3),
    install(2),
    install(1),
    deliver(2, 1),
    comes(3),
    kill(2),
  ),
  told: 2,
};

/**
 * R2: machine 2 dies with the page when machine 1, the home, has asked it for it on nobody's account. Then machine 1 leaves, and machine 3
 * reads the page.
 */
export const fetchedForNobody: Story = {
  setup: {
    machines: 3,
    home: 1,
    ranges: true,
    merges: true,
    fetches: 1,
    programs: [[], ["w"], ["r"]],
    takeover: true,
  },
  kills: 1,
  leaves: 1,
  steps: inTurn(
    start(2),
    ARRIVES,
    retire(2),
    { do: "fetch", machine: 1, page: 0 },
    kill(2),
    exclude(2),
    view(1, 3),
    { do: "leave", machine: 1 },
    view(1, 3),
  ),
  told: 1,
};

/**
 * R2: machine 3 was granted all pages, and has never touched page 0, of which machine 1, the home, has a record, since machine 2 had
 * asked for an operation on it. Machine 1 leaves, and machine 4 has died: it had nothing.
 */
export const untouched: Story = {
  setup: {
    machines: 4,
    pages: 2,
    home: 1,
    ranges: true,
    programs: [[], ["x0"], ["r1"], []],
    takeover: true,
  },
  kills: 1,
  leaves: 1,
  steps: inTurn(
    start(2),
    deliver(2, 1),
    start(3),
    deliver(3, 1),
    deliver(1, 3),
    retire(3),
    kill(4),
    exclude(4),
    install(1),
    { do: "leave", machine: 1 },
    [1, 2, 3].map(install),
    deliver(1, 2),
    deliver(2, 1),
    deliver(3, 1),
    freeze(1),
  ),
  told: 0,
};

/**
 * R2, promise 85: machine 2 dies with the page, of which machine 4 had a copy, as is told. Then machine 1, its home, leaves before anybody
 * has touched it again: what machine 3 writes there has other numbers than what machine 4 has still.
 */
const numberedAnew: Story = {
  setup: { machines: 4, home: 1, programs: [[], ["ww"], ["ww"], ["rrr"]], takeover: true },
  kills: 1,
  leaves: 1,
  steps: inTurn(
    [start(2), ARRIVES, retire(2), start(4), ARRIVES, gone(2), ARRIVES, retire(4)],
    [start(2), ARRIVES, gone(4), ARRIVES, retire(2), kill(2), exclude(2)],
    view(1, 3, 4),
    [start(4), ARRIVES, { do: "leave", machine: 1 }],
    view(1, 3, 4),
    [start(3), ARRIVES, retire(3), start(3), start(4), ARRIVES],
  ),
  told: 1,
};

/**
 * R2, promise 85: machine 2, the home, has page 1 again when machine 3 dies with it. In the same view machine 1 comes back, is the home, and
 * is told by page 0 that all was lost: its page 1 has other bytes, and another number.
 */
const twoHomesOfAView: Story = {
  setup: {
    machines: 3,
    pages: 2,
    home: 1,
    ranges: true,
    programs: [["r0"], ["w1w1r1"], ["w1"]],
    takeover: true,
  },
  kills: 2,
  rejoins: true,
  steps: inTurn(
    [kill(1), exclude(1)],
    view(2, 3),
    [start(2), start(2), retire(2)],
    [start(3), ARRIVES, { do: "gone", machine: 2, page: 1 }, ARRIVES, retire(3)],
    [kill(3), exclude(3), comes(1)],
    view(1, 2),
    [start(1), start(2), ARRIVES],
  ),
  told: 2,
};

/**
 * R2, promise 85: machine 3 has bytes of page 2 that were written before the page was lost. Then machine 1, which is new and has never heard of
 * the file, is its home; machine 2 is granted what nobody has, from page 1 on.
 */
const homeThatIsNew: Story = {
  setup: {
    machines: 4,
    pages: 3,
    home: 1,
    ranges: true,
    programs: [[], ["r0w1w2"], ["w2w2r2"], ["w2"]],
    takeover: true,
  },
  kills: 2,
  rejoins: true,
  steps: inTurn(
    [start(3), ARRIVES, retire(3), start(3)],
    [start(4), ARRIVES, { do: "gone", machine: 3, page: 2 }, ARRIVES, retire(4)],
    [kill(4), kill(1), exclude(4), exclude(1)],
    view(2, 3),
    [start(2), comes(1)],
    view(1, 2, 3),
    [start(2), ARRIVES, retire(2), start(2), ARRIVES, retire(2), start(3), ARRIVES],
  ),
  told: 1,
};

/**
 * R2: machine 2 dies with the page. Machine 1, its home, and machine 3 ask for it while it is recovered. Then machine 1 leaves, and whoever
 * asked there has ended: by that one word the home learns of the loss and serves machine 3.
 */
const lostAsItIsServed: Story = {
  setup: { machines: 3, home: 1, programs: [["r"], ["w"], ["r"]], takeover: true },
  kills: 1,
  leaves: 1,
  steps: inTurn(
    [start(2), ARRIVES, retire(2), kill(2), exclude(2)],
    [install(1), install(3), ARRIVES, freeze(1), start(1), start(3)],
    [deliver(3, 1), { do: "leave", machine: 1 }, ARRIVES],
  ),
  told: 1,
};

/** Of what moves.ts knows of an object, and losses.ts of a loss. */
export const knownStories = {
  heldByRanges,
  writtenByTheNext,
  passedOnToTheDead,
  numberedAnew,
  lostAsItIsServed,
} as const;

/** By the bug of the simulated cluster that they show. */
export const moveStories = {
  "hands in before it is answered": answeredLate,
  "an era begins before the home is over": twoHomesOfAView,
  "a new machine grants what was lost by ranges": homeThatIsNew,
  "a view that interrupts a move is a death": twoLeave,
  "what is on who leaves is nobody's": mirrorThatLeaves,
} as const;
