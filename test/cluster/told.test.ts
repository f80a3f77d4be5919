// R3 on whole machines, output commit: what a machine tells otherwise than by pages follows from what it has written, and is told
// when that is mirrored. The machine dies between two messages; told.soak.ts has many of them.
import { describe, expect, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { KINDS, tell, wrong } from "../support/told.js";

describe.skipIf(!hasMusl)(`what a dead machine told is there${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each(KINDS.slice(2).map((kind, i) => ({ kind, frame: 64 + 17 * i, seed: i + 3 })))(
    "R3: $kind (frame $frame, seed $seed)",
    async ({ kind, frame, seed }) => {
      const telling = {
        kind,
        frame,
        seed,
        homes: [1 + (seed % 3), 1 + ((seed + 1) % 2)] as const,
        mirror: 1,
      };
      const tale = await tell(telling);
      expect(wrong(telling, tale)).toBeNull();
      for (const { told, text } of tale.heard) expect(told, text).toBeGreaterThan(0);
    },
  );
});
