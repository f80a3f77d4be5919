// Stories (story.ts) of machines that leave in good order (coherence-leaves.ts): nothing is lost, nobody is told of a loss, nobody waits.
import type { Step } from "./coherence.js";
import {
  ARRIVES,
  comes,
  deliver,
  exclude,
  freeze,
  install,
  inTurn,
  kill,
  retire,
  type Story,
  start,
} from "./story.js";

/** R2: machine 3 is granted the right to write, with the only copy of the page, when it has frozen in order to leave. */
export const rightForTheLeaver: Story = {
  setup: { machines: 3, home: 1, programs: [[], ["w"], ["w"]], takeover: true },
  kills: 0,
  leaves: 1,
  steps: inTurn(
    start(2),
    ARRIVES,
    retire(2),
    start(3),
    deliver(3, 1),
    deliver(1, 2),
    { do: "leave", machine: 3 },
    install(1),
    install(2),
    install(3),
    deliver(1, 3),
    deliver(2, 3),
    freeze(3),
    { do: "gone", machine: 2, page: 0 },
  ),
  told: 0,
};

/**
 * R5: machine 2 is granted all pages while its operation on one of them is on its way to the home, which sends it to the owner: machine 2,
 * which has frozen since machine 3 leaves.
 */
export const operationForItself: Story = {
  setup: { machines: 3, pages: 2, home: 1, ranges: true, programs: [[], ["x0", "w1"], []], takeover: true },
  kills: 0,
  leaves: 1,
  steps: inTurn(
    { do: "start", machine: 2, thread: 1 },
    start(2),
    deliver(2, 1),
    deliver(1, 2),
    { do: "leave", machine: 3 },
    install(3),
    install(1),
    install(2),
    deliver(2, 1),
    deliver(1, 2),
    deliver(3, 2),
    freeze(2),
    deliver(1, 2),
  ),
  told: 0,
};

const all = (step: (machine: number) => Step): Step[] => [1, 2, 3].map(step);

/** Machine 1, the home since machine 2 has left, has had the page back from machine 3. */
const homeAgain = {
  setup: {
    machines: 3,
    home: 2,
    ranges: true,
    merges: true,
    programs: [["x0w0x0"], [], ["w0"]],
    takeover: true,
  },
  kills: 0,
  leaves: 1,
  rejoins: true,
  steps: inTurn(
    start(3),
    ARRIVES,
    retire(3),
    { do: "leave", machine: 2 },
    all(install),
    ARRIVES,
    all(freeze),
    ARRIVES,
    all((machine) => ({ do: "handIn", machine })),
    ARRIVES,
    all((machine) => ({ do: "rebuild", machine })),
    ARRIVES,
    start(1),
    ARRIVES,
    start(1),
    ARRIVES,
    { do: "gone", machine: 3, page: 0 },
    ARRIVES,
    retire(1),
    exclude(2),
  ),
  told: 0,
} satisfies Story;

/**
 * R2: the home throws its copy away, so that the page is in its store only, and asks machine 3, which had it last, to do an operation on it.
 * Then machine 2 comes back and is the home again.
 */
export const operationOfTheHome: Story = {
  ...homeAgain,
  steps: inTurn(
    homeAgain.steps,
    comes(2),
    all(install),
    ARRIVES,
    { do: "drop", machine: 1, page: 0 },
    start(1),
    freeze(1),
  ),
};

/** R5: the same; and machine 2 has made its directory before machine 3's answer comes. */
export const answeredLate: Story = {
  ...homeAgain,
  steps: inTurn(
    homeAgain.steps,
    [1, 3].map(install),
    ARRIVES,
    [1, 3].map(freeze),
    ARRIVES,
    comes(2),
    all(install),
    ARRIVES,
    { do: "drop", machine: 1, page: 0 },
    start(1),
    all(freeze),
    deliver(2, 1),
    deliver(3, 1),
  ),
  slow: [3, 1],
};

/**
 * R2: machine 1 was granted all pages, and has frozen, since machine 2 leaves, when machine 3, the home, asks it for one that nobody has
 * touched. Then machine 1 leaves as well: that move interrupts this one, and nobody has died.
 */
export const twoLeave: Story = {
  setup: {
    machines: 3,
    pages: 2,
    home: 3,
    ranges: true,
    programs: [["r0"], [], ["w1"]],
    takeover: true,
  },
  kills: 0,
  leaves: 2,
  steps: inTurn(
    start(1),
    ARRIVES,
    retire(1),
    { do: "leave", machine: 2 },
    all(install),
    deliver(2, 1),
    deliver(3, 1),
    freeze(1),
    start(3),
    { do: "leave", machine: 1 },
  ),
  told: 0,
};

const four = (step: (machine: number) => Step): Step[] => [1, 2, 3, 4].map(step);
const given = (machine: number): Step => ({ do: "handIn", machine });

/**
 * R2: machine 1, the home, leaves and has given a page of its store to machine 2, which leaves as well and gives it to machine 3, which dies. Of the two
 * that it was given by neither was to know where it is: machine 1 has seen nobody die to whom it gave anything, machine 2 was not the home.
 */
export const passedOnToTheDead: Story = {
  setup: {
    machines: 4,
    home: 1,
    ranges: true,
    merges: true,
    programs: [["w0"], [], [], ["r0"]],
    takeover: true,
  },
  kills: 1,
  leaves: 2,
  steps: inTurn(
    start(1),
    ARRIVES,
    retire(1),
    { do: "drop", machine: 1, page: 0 },
    { do: "leave", machine: 1 },
    four(install),
    ARRIVES,
    four(freeze),
    ARRIVES,
    given(1),
    ARRIVES,
    { do: "leave", machine: 2 },
    four(install),
    ARRIVES,
    four(freeze),
    ARRIVES,
    given(2),
    ARRIVES,
    kill(3),
    exclude(3),
  ),
  told: 1,
};

/**
 * R3: machine 3 has the only mirror of what machine 2 has written and shown a user. It leaves, and in the same move machine 2 dies: machine 1,
 * the home, has nothing of the page.
 */
export const mirrorThatLeaves: Story = {
  setup: { machines: 3, home: 1, programs: [["r"], ["wo"], []], takeover: true, mirrored: 1 },
  kills: 1,
  leaves: 1,
  steps: inTurn(
    start(2),
    ARRIVES,
    retire(2),
    start(2),
    { do: "commit", machine: 2, thread: 0 },
    ARRIVES,
    { do: "output", machine: 2, thread: 0 },
    { do: "exit", machine: 3 },
    { do: "leave", machine: 3 },
    all(install),
    kill(2),
    exclude(2),
  ),
  told: 0,
};
