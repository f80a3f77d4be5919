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

const faults = [
  {
    fault: "a sharer that is not invalidated",
    right: 'GET_WRITE_SHARER |-> [next |-> "HELD", actions |-> <<"INVALIDATE_SHARERS", "GRANT_MODIFIED">>]',
    wrong: 'GET_WRITE_SHARER |-> [next |-> "HELD", actions |-> <<"GRANT_MODIFIED">>]',
    programs: ["rw", "w", "rw"],
    found: /Invariant \w+ is violated/,
  },
  // Nobody writes there: it is wrong as soon as nothing is on its way.
  {
    fault: "an owner who is relieved and not counted among those with a copy",
    right: 'CLEAN |-> [next |-> "CLEAN_SHARED", actions |-> <<"RELEASE_OWNER">>]',
    wrong: 'CLEAN |-> [next |-> "CLEAN_SHARED", actions |-> <<>>]',
    programs: ["r", "r", ""],
    found: /Invariant Agreement is violated/,
  },
];
test.skipIf(noTlc !== "").each(faults)(
  `TLC finds a planted fault: $fault${noTlc && ` (skipped: ${noTlc})`}`,
  ({ right, wrong, programs, found }) => {
    const table = rowsModule();
    expect(table).toContain(right);
    const one = cases.find((each) => each.programs.map(([first = ""]) => first).join() === programs.join())!;
    expect(() => runTlc(one, table.replace(right, wrong))).toThrow(found);
  },
  300_000,
);
