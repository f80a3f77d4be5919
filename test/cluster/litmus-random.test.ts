// Litmus tests at random between machines (test/support/litmus-random-cluster.ts): nothing may be seen that x86-TSO's model does not
// allow. Until stopped: litmus.soak.ts. Between cores: test/litmus/random.test.ts.
import { expect, test } from "vitest";
import { playAtRandom } from "../support/litmus-random-cluster.js";

test.each(Array.from({ length: 10 }, (_, i) => i + 1))(
  "promise 57: tests at random on a cluster at random (seed %i)",
  async (seed) => expect(await playAtRandom(seed, 2)).toBeGreaterThan(6),
  200_000,
);
