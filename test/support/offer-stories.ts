// How clusters come to what is searched from there (coherence-cases.ts, plants/sources.ts): machines 2 and 3 have the page in turn, at home at
// machine 1, and one guesses that the other owns it (kernel/coherence/early.ts).
import {
  ARRIVES,
  deliver,
  exclude,
  gone,
  type Happening,
  install,
  inTurn,
  kill,
  leave,
  retire,
  start,
} from "./story.js";

/** Machine 2 has written the page, and machine 3, which has it; machine 2 knows who. */
const written = inTurn([start(2), ARRIVES, retire(2), start(3), ARRIVES, gone(2), ARRIVES, retire(3)]);
/** Machine 2 asks machine 1 for it again, and machine 3, which offers it. */
const guessed = inTurn(written, [start(2), deliver(2, 3)]);
const offered = inTurn(guessed, [gone(3)]);

export const beginnings = {
  "machine 2 guesses": inTurn(written, [start(2)]),
  "it is offered": offered,
  /** Machine 1 is about to go when it hears of machine 2, which has the bytes: by its word machine 3 may forget all of it. */
  "it is ordered by who leaves": inTurn(offered, [deliver(3, 2), leave(1), install(1), deliver(2, 1)]),
  "who guesses dies, and the home leaves": inTurn(offered, [
    ...[kill(2), exclude(2), install(1), install(3), leave(1)],
  ]),
  /** Machine 2 has had it, and given it back by way of machine 1, when its guess comes. */
  "the guess is late, and the home leaves": inTurn(
    written,
    [start(2), deliver(2, 1), deliver(1, 3), gone(3), deliver(1, 2), deliver(3, 2), retire(2)],
    [start(1), deliver(1, 2), gone(2), deliver(2, 1), retire(1)],
    [start(3), deliver(3, 1), gone(1), deliver(1, 3), retire(3)],
    [deliver(2, 3), leave(1)],
  ),
} satisfies Record<string, readonly Happening[]>;
export type Beginning = keyof typeof beginnings;
