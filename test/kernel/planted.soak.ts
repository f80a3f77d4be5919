// The table of planted bugs, printed: what is wrong, and where; which proof finds it, after how many states of a search or runs at
// random (or seeds of clusters of emulated machines); and who survives. `npm run soak -- planted` makes it (more than an hour).
import { afterAll, describe, expect, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { guessPlants } from "../support/plants/guesses.js";
import { keptPlants } from "../support/plants/kept.js";
import { kernelJudges } from "../support/plants/kernel-judges.js";
import { kernelPlants } from "../support/plants/kernels.js";
import { lendingPlants } from "../support/plants/lending.js";
import { linkBugs } from "../support/plants/links.js";
import { loanPlants } from "../support/plants/loans.js";
import { lockPlants } from "../support/plants/locks.js";
import { membershipPlants } from "../support/plants/membership.js";
import { mirrorPlants } from "../support/plants/mirror.js";
import { movePlants } from "../support/plants/moves.js";
import { nameJudges, namePlants } from "../support/plants/names.js";
import { notePlants } from "../support/plants/notes.js";
import { suspectedBy } from "../support/plants/on-clusters.js";
import { orderJudges, orderPlants } from "../support/plants/orders.js";
import type { Finding, Planted } from "../support/plants/plant.js";
import { rangeSourcePlants } from "../support/plants/ranges.js";
import { rowPlants } from "../support/plants/rows-found.js";
import { sourcePlants } from "../support/plants/sources.js";

const kinds: Readonly<Record<string, readonly Planted[]>> = {
  "the page protocol's table": rowPlants,
  "the engine's sources": sourcePlants,
  "guesses and offers": guessPlants,
  "notes of what was unmapped": notePlants,
  "how a home moves": movePlants,
  "how ranges are given up": rangeSourcePlants,
  "how records begin and end": keptPlants,
  membership: membershipPlants,
  links: linkBugs,
  "chunks that are lent": [...loanPlants, ...lendingPlants],
  "range locks": lockPlants,
  "mirrored mode": mirrorPlants,
  "order between machines": orderPlants,
  ...(hasMusl && { "the kernel around the engine": kernelPlants, names: namePlants }),
};

const lines: string[] = [];
const survivors: string[] = [];

function told(kind: string, { name, where }: Planted, found: readonly Finding[]): void {
  const by = found.map(({ by, after }) => `${by} after ${after}`).join(", ");
  const line = `${kind} | ${name} | ${where} | ${by || "SURVIVES"}`;
  lines.push(line);
  process.stderr.write(`${line}\n`);
  if (found.length === 0) survivors.push(name);
}

test.skipIf(!hasMusl)(
  `the intact kernel is not suspected${missing("musl")}`,
  { timeout: 600_000, retry: 0 },
  async () => expect(await suspectedBy({ ...kernelJudges, ...orderJudges, ...nameJudges })).toEqual([]),
);

for (const [kind, plants] of Object.entries(kinds))
  describe(kind, () => {
    test.each(plants.map((planted) => [planted.name, planted] as const))(
      "%s",
      // A plant that is found at the second try only is not found.
      { timeout: 900_000, retry: 0 },
      async (_, planted) => {
        const found = await planted.find();
        told(kind, planted, found);
        if (planted.survives) expect(found, "a survivor is found now: say so in the table").toEqual([]);
        else expect(found, "the bug was not found").not.toEqual([]);
      },
    );
  });

afterAll(() => {
  const found = lines.length - survivors.length;
  console.log(
    [
      ...lines,
      `planted ${lines.length}, found ${found} (${((100 * found) / lines.length).toFixed(1)} %)`,
      `survivors: ${survivors.join("; ")}`,
    ].join("\n"),
  );
  if (lines.length > 40) expect(found / lines.length).toBeGreaterThan(0.95);
});
