// Many deaths while all add to one page (adders.test.ts): who dies, when, where the page is at home and what is turned off are drawn from a
// number. `ADDERS=<number>` runs that one alone.
import { describe, expect, test } from "vitest";
import { Random } from "../../emulator/random.js";
import { type Adding, add } from "../support/adders.js";
import { hasMusl, missing } from "../support/guest.js";
import { kernelWith } from "../support/plants/on-clusters.js";
import { adderBugs } from "../support/plants/soaks.js";

const CASES = Number(process.env["CASES"] ?? 60);
const only = process.env["ADDERS"];
const numbers = only === undefined ? Array.from({ length: CASES }, (_, i) => i + 1) : [Number(only)];
const kinds: readonly Pick<Adding, "apart" | "append" | "mirror">[] = [
  { apart: 0, append: "queue=0 ship=0 hold=0" },
  { apart: 0, append: "queue=0" },
  { apart: 64, append: "" },
  { apart: 64, append: "ship=0" },
  { apart: 0, append: "" },
  { apart: 64, append: "", mirror: 1 },
  { apart: 0, append: "", mirror: 1 },
];

function drawn(number: number): Adding {
  const random = new Random(number * 7919);
  const machines = 3 + random.below(3);
  const kind = kinds[number % kinds.length]!;
  const also: number[] = [];
  const [home, dies, frame] = [1 + random.below(machines), 1 + random.below(machines), 3 + random.below(150)];
  // More deaths than mirrors are told; the others are still more than half, with the bridge.
  if (machines === 5 && kind.mirror === 1) also.push(1 + (dies % machines));
  return { machines, home, dies, frame, seed: number, also, ...kind };
}

describe.skipIf(!hasMusl)(
  `deaths while all add to one page${missing("musl")}`,
  { timeout: 3_000_000 },
  () => {
    test.each(numbers)("ADDERS=%i", async (number) => {
      const { wrong, lost, lent, refused } = await add(drawn(number));
      if (process.env["TELL"]) console.log(JSON.stringify(drawn(number)), { lost, lent, refused });
      expect(wrong, `ADDERS=${number} npm run soak -- adders`).toBeNull();
    });
  },
);

describe.skipIf(!hasMusl)("planted bugs", { timeout: 3_000_000 }, () => {
  test.each(adderBugs)("$name, seen by kind $kind", async ({ kind, ...change }) => {
    const kernel = await kernelWith(change);
    let found = false;
    for (let number = 1; number <= 12 && !found; number++)
      found = (await add({ ...drawn(number), ...kinds[kind]! }, kernel)).wrong !== null;
    expect(found).toBe(true);
  });
});
