// The page protocol over real links at three machines and two pages, in every order of events: a datagram is lost and one overtaken
// at any moment, all are repeated in every state, a machine dies and comes back. Prints how many states there are.
import { expect, test } from "vitest";
import { joinedCases, joinedName, searchJoined } from "../support/joined-search.js";
import { KernelWasm } from "../support/kernel-wasm.js";

test.each(joinedCases.map((one) => [joinedName(one), one] as const))(
  "%s",
  (name, one) => {
    const { found } = searchJoined(new KernelWasm(), one, (states, waiting) =>
      process.stderr.write(`${name}: ${states} states, ${waiting} to be looked at\n`),
    );
    console.log(`${name}: ${found.states} states, ${found.ends} ends, at most ${found.depth} events`);
    expect(found.ends).toBeGreaterThan(0);
    expect(found.states).toBe(one.states);
  },
  3_600_000,
);
