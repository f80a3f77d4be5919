// The page protocol's table in TLA+ (test/model), searched by TLC: a second engine, written apart from the kernel's,
// in a checker that we did not write. It must find every invariant to hold, and exactly as many states as our own
// search of the compiled engine (coherence.test.ts); a table with a fault must be found out by both.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { cases, leaveCases, moveCases, nameOf, offerCases } from "../support/coherence-cases.js";
import { rows } from "../support/page-table.js";
import { noTlc, rowsModule, runTlc } from "../support/tlc.js";

test("the model gives every action of the table a meaning", () => {
  const model = readFileSync("test/model/Coherence.tla", "utf8");
  const actions = new Set(rows.flatMap((row) => row.actions));
  expect([...actions].filter((action) => !model.includes(`a = "${action}" ->`))).toEqual([]);
});

// A few of them here, all in coherence-model.soak.ts.
const few = [...cases, ...moveCases, ...leaveCases, ...offerCases].filter(
  ({ states }) => states > 2000 && states < 6140,
);
test.skipIf(noTlc !== "")(
  `TLC finds as many states as our search, in ${few.length} cases${noTlc && ` (skipped: ${noTlc})`}`,
  () => {
    for (const one of few) expect(runTlc(one).states, nameOf(one)).toBe(one.states);
  },
  600_000,
);

test.skipIf(noTlc !== "")(
  `TLC finds a planted fault: a sharer that is not invalidated${noTlc && ` (skipped: ${noTlc})`}`,
  () => {
    const right =
      'GET_WRITE_SHARER |-> [next |-> "HELD", actions |-> <<"INVALIDATE_SHARERS", "GRANT_MODIFIED">>]';
    const table = rowsModule();
    expect(table).toContain(right);
    const one = cases.find(
      ({ programs, kills }) => programs.length === 3 && kills === 0 && programs[0]![0] === "rw",
    )!;
    expect(() => runTlc(one, table.replace(right, right.replace('"INVALIDATE_SHARERS", ', "")))).toThrow(
      /Invariant \w+ is violated/,
    );
  },
  300_000,
);
