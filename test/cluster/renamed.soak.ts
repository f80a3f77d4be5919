// Deaths at many message boundaries while machines make and rename files (test/c/remembered.c): machine and frame are drawn from a number, of
// which every other one is mirrored. A rename changes two pages. `RENAMED=<number>` runs that one alone, CASES says how many there are.
import { describe, expect, test } from "vitest";
import { Random } from "../../emulator/random.js";
import { hasMusl, missing } from "../support/guest.js";
import { diesBefore, remembered, wrongNames } from "../support/names.js";

const CASES = Number(process.env["CASES"] ?? 80);
const only = process.env["RENAMED"];
const numbers = only === undefined ? Array.from({ length: CASES }, (_, i) => i + 1) : [Number(only)];

/** `judged`: as if there were so many mirrors. */
async function wrong(number: number, mirror: number, judged = mirror): Promise<string | null> {
  const random = new Random(number * 6067);
  const dead = 2 + Math.floor(random.next() * 2);
  const frame = 1 + Math.floor(random.next() * 300);
  const run = await remembered(number, mirror, [diesBefore(dead, frame)]);
  const why = wrongNames(run, dead, judged > 0);
  return why && `RENAMED=${number} npm run soak -- renamed: ${why}\n${run.text()}`;
}

describe.skipIf(!hasMusl)(`deaths at any message${missing("musl")}`, { timeout: 300_000 }, () => {
  test.each(numbers)("RENAMED=%i", async (number) => expect(await wrong(number, number % 2)).toBeNull());

  test("without mirrors the judge misses something after every death", async () => {
    for (let number = 1; number <= 8; number++) expect(await wrong(number, 0, 1)).not.toBeNull();
  });
});
