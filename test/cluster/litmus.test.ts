// x86-TSO between machines: the litmus tests of kernel/user/litmus.ts over a few seeds, each from the moment when two
// machines had joined. A thousand seeds, and four machines: litmus.soak.ts. Between cores: test/litmus.
import { expect, test } from "vitest";
import { LitmusCluster } from "../support/litmus-cluster.js";

test("two machines, 3 seeds: nothing that x86-TSO forbids, and seeds differ", async () => {
  const { different, millisecondsEach } = await (await LitmusCluster.create(2)).runAll(1, 3);
  console.info(`litmus on 2 machines: ${millisecondsEach} ms a seed, ${different} different runs of 3`);
  expect(different).toBeGreaterThanOrEqual(2);
}, 400_000);
