// Deaths at many message boundaries while a machine tells of what it has written (told.test.ts): kind, homes, mirrors and the frame
// are drawn from a number. `TOLD=<number>` runs that one alone.
import { describe, expect, test } from "vitest";
import { Random } from "../../emulator/random.js";
import { hasMusl, missing } from "../support/guest.js";
import { kernelWith } from "../support/plants/on-clusters.js";
import { toldBugs } from "../support/plants/soaks.js";
import { KINDS, type Telling, tell, wrong } from "../support/told.js";

const CASES = Number(process.env["CASES"] ?? 60);
const only = process.env["TOLD"];
const numbers = only === undefined ? Array.from({ length: CASES }, (_, i) => i + 1) : [Number(only)];

function drawn(number: number): Telling {
  const random = new Random(number * 7919);
  const draw = (below: number) => Math.floor(random.next() * below);
  const two = draw(4) === 0;
  const machines = two ? 5 : 3;
  return {
    // A home tells one machine of names and sizes: two mirrors are for bytes.
    kind: two ? (["wake", "lock"] as const)[draw(2)]! : KINDS[number % KINDS.length]!,
    homes: [1 + draw(machines), 1 + draw(machines)],
    seed: number,
    frame: 3 + draw(300),
    mirror: two ? 2 : 1,
    machines,
    also: two ? [[1, 2, 4, 5][draw(4)]!] : [],
  };
}

describe.skipIf(!hasMusl)(`deaths at any message${missing("musl")}`, { timeout: 3_000_000 }, () => {
  test.each(numbers)("TOLD=%i", async (number) => {
    const telling = drawn(number);
    const tale = await tell(telling);
    // A machine that has no more to say before its time is up does not die.
    if (tale.died > 0) expect(wrong(telling, tale), `TOLD=${number} npm run soak -- told`).toBeNull();
  });
});

describe.skipIf(!hasMusl)("planted bugs", { timeout: 3_000_000 }, () => {
  test.each(toldBugs)("$name, seen by $kind", async ({ kind, ...change }) => {
    const kernel = await kernelWith(change);
    let found = false;
    for (let number = 1; number <= 20 && !found; number++) {
      const telling = {
        ...drawn(number),
        kind,
        mirror: 1,
        machines: 3,
        also: [],
        homes: [1 + (number % 3), 1 + ((number >> 1) % 3)] as const,
      };
      const tale = await tell(telling, kernel);
      found = tale.died > 0 && wrong(telling, tale) !== null;
    }
    expect(found).toBe(true);
  });
});
