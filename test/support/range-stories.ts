// Ranges that their holder gives up of its own accord while something is on its way (kernel/coherence/holdings.ts).
import { ARRIVES, inTurn, retire, type Story, start } from "./story.js";

const setup = { machines: 2, home: 1, pages: 3, ranges: true };
const deliver = (from: number, to: number) => ({ do: "deliver", from, to }) as const;
/** Machine 2 has all pages, of which it has used one. */
const granted = inTurn(start(2), ARRIVES, retire(2));

/**
 * Machine 1 has taken page 1 back. Machine 2 asks for it again, and gives up what it has, which is heard behind that: the page is not a part of it.
 */
const askedFor: Story = {
  setup: { ...setup, gives: 2, programs: [["w1"], ["r0w1"]] },
  kills: 0,
  steps: inTurn(
    granted,
    [{ do: "claim", machine: 1, first: 1, last: 1 }, ARRIVES],
    [start(2), { do: "giveUp", machine: 2 }, deliver(2, 1), deliver(2, 1), start(1), deliver(1, 2)],
  ),
  told: 0,
};

/**
 * Machine 1 recalls what machine 2 gives up at the same time, and asks for again: that has come before the answer to the recall, which is not about it.
 */
const recalledAsWell: Story = {
  setup: { ...setup, gives: 1, recalls: 1, programs: [["w1"], ["r0w1"]] },
  kills: 0,
  steps: inTurn(
    granted,
    [
      { do: "recall", machine: 1, first: 0 },
      { do: "giveUp", machine: 2 },
    ],
    [deliver(2, 1), start(2), deliver(2, 1), deliver(1, 2), deliver(1, 2), deliver(2, 1), start(1)],
  ),
  told: 0,
};

/** The first cannot be told where ranges are given up as they should be. */
export const rangeStories = { askedFor, recalledAsWell } as const;
