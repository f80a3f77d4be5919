// x86-TSO between machines over a thousand seeds, each from the moment when all machines had joined to the end.
import { describe, expect, test } from "vitest";
import { LitmusCluster } from "../support/litmus-cluster.js";

const SEEDS = 1000;
/** So many seeds a test, to stay within a test's time on a slow host. */
const SHARE = 20;

describe.each([
  { machines: 2, cores: 1 },
  { machines: 4, cores: 1 },
])("$machines machines of $cores cores", ({ machines, cores }) => {
  let cluster: Promise<LitmusCluster> | undefined;
  for (let first = 1; first <= SEEDS; first += SHARE)
    test(`seeds ${first} to ${first + SHARE - 1}`, async () => {
      cluster ??= LitmusCluster.create(machines, cores);
      const { different, millisecondsEach } = (await cluster).runAll(first, SHARE);
      console.info(`litmus on ${machines} machines: ${millisecondsEach} ms a seed`);
      expect(different).toBeGreaterThan(SHARE / 4);
    }, 1_800_000);
});
