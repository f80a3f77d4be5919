// Every case of the exhaustive search once more by TLC, on the TLA+ model of the same table: as many states in each. And
// what is too large for our own search: three machines and two pages, one of the machines dies and comes back.
import { expect, test } from "vitest";
import { cases, nameOf } from "../support/coherence-cases.js";
import { noTlc, runTlc, type TwoPages } from "../support/tlc.js";

test.skipIf(noTlc !== "").each(cases.map((one) => [nameOf(one), one] as const))(
  `TLC: %s${noTlc && ` (skipped: ${noTlc})`}`,
  (_, one) => expect(runTlc(one).states).toBe(one.states),
  3_600_000,
);

const three: TwoPages[] = [
  { programs: [["R"], ["w"], ["wW"]], homes: [1, 2], kills: 1, rejoins: true, states: 45_605 },
  { programs: [["rW"], ["wR"], ["Ww"]], homes: [1, 2], kills: 1, rejoins: true, states: 756_734 },
];
test.skipIf(noTlc !== "").each(three)(
  `TLC: three machines, two pages: $programs, homes $homes${noTlc && ` (skipped: ${noTlc})`}`,
  (one) => expect(runTlc(one).states).toBe(one.states),
  3_600_000,
);
