// R2 on whole machines: a file's home moves, and somebody dies in the midst of that, with bytes of which the former home has no record.
import { describe, expect, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { type Held, tellHeld, wrongOf } from "../support/held.js";

describe.skipIf(!hasMusl)(`who dies while a home moves${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each<Held>([
    { dies: "writer", seed: 1 },
    { dies: "next home", seed: 1 },
  ])("R2: the $dies, and that is told (seed $seed)", async (held) => {
    expect(wrongOf(held.dies, await tellHeld(held))?.run.text()).toBeUndefined();
  });
});
