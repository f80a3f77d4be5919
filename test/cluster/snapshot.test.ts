// A seeded cluster goes back to a snapshot and on from there with any seed.
import { beforeAll, describe, expect, it } from "vitest";
import { type ClusterSnapshot, SeededCluster } from "../../emulator/cluster.js";
import { seededOptions } from "../support/cluster.js";
import { settle } from "../support/litmus-cluster.js";

const LIMIT = 60e9;
const small = { machines: 2, cores: 1, memory: 16 << 20 };

describe("a cluster's snapshot", () => {
  let cluster: SeededCluster;
  let snapshot: ClusterSnapshot;
  beforeAll(async () => {
    const { options, lines } = await seededOptions("counter", [30], small);
    cluster = await SeededCluster.create(options);
    const joined = () => lines.filter((line) => line.endsWith(" is here")).length === 2;
    while (!joined() && cluster.schedule.turn(LIMIT) !== "off");
    settle(cluster);
    snapshot = JSON.parse(JSON.stringify(cluster.snapshot()));
  });

  const goOn = (seed: number) => {
    cluster.restore(snapshot, seed);
    expect(cluster.schedule.now).toBe(snapshot.now);
    expect(cluster.run(LIMIT)).toBe("off");
    const { lines, instructions } = cluster;
    return { hash: cluster.memoryHash(), lines: [...lines], instructions, now: cluster.schedule.now };
  };

  it("goes on the same way for the same seed, and right in another way for another", () => {
    const first = goOn(7);
    expect(goOn(7)).toEqual(first);
    const other = goOn(8);
    expect(other.hash).not.toBe(first.hash);
    expect(other.instructions).not.toBe(first.instructions);
    for (const { lines } of [first, other]) {
      expect(lines.join("\n")).toContain("expected 60 counted 60 old values a permutation: yes");
      expect(lines[0]).toBe(snapshot.lines[0]);
    }
  });

  it("is refused while frames are under way, by name", () => {
    cluster.restore(snapshot, 9);
    while (cluster.network.underWay === 0) cluster.schedule.turn(LIMIT);
    expect(() => cluster.snapshot()).toThrow(/^snapshot: \d+ frames are under way/);
    settle(cluster);
    expect(cluster.snapshot().now).toBeGreaterThan(snapshot.now);
  });

  it("of another shape is refused, by name", async () => {
    const one = { ...snapshot, machines: snapshot.machines.slice(0, 1) };
    expect(() => cluster.restore(one, 1)).toThrow(/snapshot of 1 machines, the cluster has 2/);
    const { options } = await seededOptions("counter", [30], { ...small, memory: 32 << 20 });
    const larger = await SeededCluster.create(options);
    expect(() => larger.restore(snapshot, 1)).toThrow(/16777216 bytes of RAM, the machine has 33554432/);
  });
});
