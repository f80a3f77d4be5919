// Deaths in the middle of what is no page transfer of the usual kind: while a request is let through without queues (queue=0,
// refusals.ts), and while parts of a page are lent (loans.ts), the borrower's and the lender's; and more deaths than
// there are mirrors, which are told. adders.soak.ts has many of them.
import { describe, expect, test } from "vitest";
import { add } from "../support/adders.js";
import { hasMusl, missing } from "../support/guest.js";

describe.skipIf(!hasMusl)(
  `a machine dies while all add to one page${missing("musl")}`,
  { timeout: 120_000 },
  () => {
    test("without queues", async () => {
      const adding = { home: 2, dies: 1, frame: 54, seed: 2, apart: 0, append: "queue=0 ship=0 hold=0" };
      const { wrong, refused } = await add(adding);
      expect(wrong).toBeNull();
      expect(refused).toBeGreaterThan(0);
    });

    test("R5: while chunks are lent", async () => {
      const { wrong, lent } = await add({ home: 1, dies: 2, frame: 1000, seed: 2, apart: 64 });
      expect(wrong).toBeNull();
      expect(lent).toBeGreaterThan(0);
    });

    test("mirrored, more deaths than mirrors", async () => {
      let told = 0;
      for (const frame of [75, 90, 105]) {
        const dead = { home: 3, dies: 1, also: [2], frame, seed: 2 };
        const { wrong, lost } = await add({ ...dead, apart: 64, mirror: 1, machines: 5 });
        expect(wrong).toBeNull();
        told += lost;
      }
      expect(told).toBeGreaterThan(0);
    });
  },
);
