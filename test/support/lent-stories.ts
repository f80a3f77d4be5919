// Stories (story.ts) of bytes that were lent.
import type { Program } from "./coherence.js";
import {
  ARRIVES,
  deliver,
  exclude,
  freeze,
  gone,
  type Happening,
  install,
  inTurn,
  kill,
  leave,
  notice,
  retire,
  type Story,
  start,
} from "./story.js";

/**
 * Bytes are lost with their borrower: machine 1, the page's home, had lent them to machine 2. Machine 3 asks for the page and is told; but it leaves, and
 * nobody waits for the page there any more. Of the others one hears of it, and once. The machines from 3 on have these programs.
 */
const lost = (programs: readonly Program[], ...then: Then): Story => lostTo("w", programs, ...then);

type Then = (Happening | readonly Happening[])[];

/** And the home has that one. */
function lostTo(home: Program, programs: readonly Program[], ...then: Then): Story {
  const others = [1, ...programs.map((_, index) => 3 + index)];
  const steps = inTurn(...then);
  const all = [[home], ["ww"], ...programs.map((one) => [one])];
  return {
    setup: { machines: all.length, home: 1, programs: all, takeover: true, lends: 1 },
    kills: 1 + steps.filter((step) => step !== ARRIVES && step.do === "kill").length,
    leaves: steps.filter((step) => step !== ARRIVES && step.do === "leave").length,
    steps: inTurn(
      [start(1), retire(1), { do: "start", machine: 2, thread: 0, borrow: true }, ARRIVES, start(2)],
      [kill(2), exclude(2), ...others.map(install), ARRIVES, ...others.map(freeze), ARRIVES],
      others.map((machine) => ({ do: "handIn", machine })),
      [ARRIVES, { do: "rebuild", machine: 1 }, ARRIVES, start(3), deliver(3, 1)],
      steps,
    ),
    told: 1,
  };
}

/** Machine 4 has asked as well, and its request has come to machine 3; or it comes when machine 3 has been told. */
const before = [start(4), deliver(4, 1), deliver(1, 3), leave(3), gone(1)];
const behind = [leave(3), gone(1), start(4), deliver(4, 1), deliver(1, 3), deliver(1, 3)];
/** It is on its way there when machine 3 freezes, from whom its home has heard that nobody waits. */
const never = inTurn(
  [leave(3), gone(1), install(1), install(3), install(4)],
  [deliver(1, 3), deliver(1, 3), deliver(1, 3), deliver(4, 3), deliver(4, 3)],
  [start(4), deliver(4, 1), deliver(4, 1), deliver(4, 1), deliver(3, 1), deliver(3, 1), deliver(3, 1)],
  freeze(3),
);

/** Machine 3 leaves, and all know of the view; its home's word that the bytes are lost is on its way to it, before the mark of that view. */
const leaving = inTurn(
  [leave(3), gone(1), install(1), install(3), install(4)],
  [deliver(4, 1), deliver(4, 1), deliver(3, 1), deliver(3, 1)],
);
/** The home freezes first, and hears then that nobody has heard of it. */
const frozenHome = inTurn(leaving, freeze(1), deliver(1, 3), deliver(3, 1));
/** The home tells its own thread, and machine 3 freezes before it hears that the home knows. */
const frozenTeller = inTurn(
  [...leaving, deliver(1, 3), deliver(3, 1), start(1)],
  [deliver(1, 3), deliver(1, 3), deliver(4, 3), deliver(4, 3), freeze(3)],
);

export const lentStories = {
  "a writer before": lost(["w", "wwww"], before),
  "a writer before, and the home freezes": lost(
    ["w", "wwww"],
    [before, install(1), install(3), install(4), deliver(1, 3)].flat(),
    [deliver(3, 1), deliver(3, 1), deliver(4, 1), deliver(4, 1), freeze(1), deliver(3, 1)],
  ),
  "a writer behind": lost(["w", "wwww"], behind),
  "a writer who is not reached": lost(["w", "wwww"], never),
  "a reader before": lost(["w", "rrwr"], before),
  "a reader behind": lost(["w", "rrwr"], behind),
  "behind one before, who leaves as well": lost(["w", "w", "rwrw"], before, install(4), leave(4), ARRIVES),
  "behind one behind, who leaves as well": lost(["w", "w", "rwrw"], behind, install(4), leave(4), ARRIVES),
  "nobody, and the home freezes before it hears of it": lostTo("wr", ["w", "w"], frozenHome, start(1)),
  "nobody, and the teller dies when the home has frozen": lostTo("wr", ["w", "w"], frozenHome, kill(3)),
  "nobody, and the teller freezes before the home knows": lostTo("wr", ["r", "w"], frozenTeller),
  // The home hears that nobody was told before anybody else asks.
  nobody: lost(["w", "wwrw"], leave(3), gone(1), deliver(1, 3), deliver(3, 1)),
} satisfies Record<string, Story>;

const dies = (dead: number, ...others: number[]) =>
  inTurn(kill(dead), ...others.map((machine) => notice(machine, dead)), ARRIVES);

/**
 * Promise 85: machine 2 dies with the page, which machine 1, its home, begins another era of. Machine 3 gets a copy of what machine 4 wrote in that era,
 * and machine 1 borrows what it wrote afterwards. Machine 4 dies as well: what machine 5 writes has other numbers than what machine 3 has.
 */
export const homeBorrows: Story = {
  setup: { machines: 5, home: 1, programs: [["r"], ["w"], ["rr"], ["www"], ["ww"]], lends: 1 },
  kills: 2,
  steps: inTurn(
    [start(2), ARRIVES, retire(2), ...dies(2, 1, 3, 4, 5)],
    [start(4), ARRIVES, start(4), ARRIVES, retire(4), start(3), ARRIVES, gone(4), ARRIVES, retire(3)],
    [
      start(4),
      ARRIVES,
      gone(3),
      ARRIVES,
      retire(4),
      { do: "start", machine: 1, thread: 0, borrow: true },
      ARRIVES,
    ],
    [...dies(4, 1, 3, 5), start(5), ARRIVES, start(5), ARRIVES, retire(5), start(3), ARRIVES],
  ),
  told: 2,
};
