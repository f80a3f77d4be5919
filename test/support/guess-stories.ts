// What happens between guesses and the home's word (kernel/coherence/early.ts) that searches of every order come to late.
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

/** A machine asks for the page, has it when all has come and gone that its `last` owner is to do, and writes. */
const writes = (machine: number, last = 0): Happening[] =>
  inTurn([start(machine), ARRIVES], last === 0 ? [] : [gone(last), ARRIVES], [retire(machine)]);

/**
 * Machines 2 and 3 ask for a page that is lost with machine 4, machine 3 also machine 2. The home has kept both requests, and no longer knows
 * whom machine 3 has asked besides, when it grants the page to machine 2 and forwards the other request there; which has
 * sent the bytes already. Machine 3 waits for a grant.
 */
export const guessedWhileLost: Story = {
  setup: {
    ...{ machines: 5, home: 1, guesses: true, ranges: true, narrow: true },
    programs: [[], ["ww"], ["ww"], ["w"], ["r"]],
  },
  kills: 1,
  steps: inTurn(
    writes(3),
    writes(2, 3),
    writes(4, 2),
    // Then machine 5 has a copy.
    [start(5), ARRIVES, gone(4), ARRIVES, retire(5)],
    [kill(4), notice(1, 4), notice(2, 4), notice(3, 4), notice(5, 4)],
    [start(2), start(3), deliver(2, 1), deliver(3, 1)],
    [deliver(1, 2), deliver(1, 3), deliver(1, 5), deliver(1, 5), gone(5)],
    [deliver(2, 1), deliver(3, 1), deliver(5, 1)],
    // The grant, the guess, and then the forward.
    [deliver(1, 2), retire(2), deliver(3, 2), gone(2), deliver(1, 2)],
  ),
  told: 0,
};

/** A machine asks its last owner as well, who offers it the page, and waits; nobody tells the home. */
const offers = (machine: number, owner: number): Happening[] => [
  ...[start(machine), deliver(machine, owner), gone(owner), deliver(owner, machine)],
];

/** Machines 2 and 3 leave, and the home, machine 1, dies: they give what they have to machine 4. */
const leaveTheDead: readonly Happening[] = inTurn(
  [leave(2), install(3), leave(3), kill(1), exclude(1)],
  [install(2), install(3), install(4), ARRIVES, freeze(2), freeze(3), freeze(4), ARRIVES],
  [2, 3, 4].map((machine): Happening => ({ do: "handIn", machine })),
  ARRIVES,
);

/**
 * Machine 3 had the page by an offer of machine 2's, which it has written since, and offers it to machine 2. Both leave: machine 2 has the
 * bytes, as a machine that waits for the home's word, and nothing to offer.
 */
export const offeredBack: Story = {
  setup: { machines: 4, home: 1, programs: [[], ["ww"], ["ww"], ["r"]], guesses: true, takeover: true },
  kills: 1,
  leaves: 2,
  steps: inTurn(writes(3), writes(2, 3), [...offers(3, 2), ARRIVES, retire(3)], offers(2, 3), leaveTheDead),
  told: 0,
};

/**
 * Machine 2 had the page by an offer of machine 3's, and offers it to machine 4, which waits for it. Machines 2 and 3 leave, and machine 3's
 * offer comes to machine 4, the new home, behind machine 2's: it is older.
 */
export const olderOffer: Story = {
  setup: { machines: 4, home: 1, programs: [[], ["ww"], ["w"], ["ww"]], guesses: true, takeover: true },
  kills: 1,
  leaves: 2,
  steps: inTurn(
    writes(4),
    writes(2, 4),
    writes(3, 2),
    [...offers(2, 3), ARRIVES, retire(2)],
    offers(4, 2),
    leaveTheDead,
  ),
  told: 0,
};
