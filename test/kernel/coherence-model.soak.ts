// Every case of the exhaustive search once more by TLC, on the TLA+ model of the same table: as many states in each. So
// are those of homes that move, and of machines that leave (coherence.test.ts), and the ones of three machines and two pages, of which
// one machine dies and comes back (coherence-search.soak.ts).
import { expect, test } from "vitest";
import {
  cases,
  guessCases,
  largerOfferCases,
  leaveCases,
  leaveOfThree,
  moveCases,
  nameOf,
  offerCases,
  threeByTwo,
} from "../support/coherence-cases.js";
import { noTlc, runTlc } from "../support/tlc.js";

test
  .skipIf(noTlc !== "")
  .each(
    [
      ...[...cases, ...guessCases, ...moveCases, ...leaveCases, leaveOfThree, ...threeByTwo],
      ...[...offerCases, ...largerOfferCases],
    ].map((one) => [nameOf(one), one] as const),
  )(
  `TLC: %s${noTlc && ` (skipped: ${noTlc})`}`,
  (_, one) => expect(runTlc(one).states).toBe(one.states),
  3_600_000,
);
