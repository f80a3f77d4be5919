// Pipes, counters of events, and who waits for them (test/c/pipes.c, polls.c, epolls.c, crowd.c): as on Linux, also when the threads are on other machines.
import { describe, expect, test } from "vitest";
import type { SeededCluster } from "../../emulator/cluster.js";
import { repeat, seeded } from "../support/cluster.js";
import { withFaults } from "../support/faults.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { expectSame } from "../support/same-as-linux.js";

const shapes = [
  { machines: 1, cores: 2 },
  { machines: 3, cores: 1, spread: true },
];

describe.skipIf(!hasMusl || process.platform !== "linux" || process.arch !== "x64")(
  `pipes and waiting${missing("musl")}`,
  () => {
    test.each(shapes)("pipes, as on Linux: %o", (shape) => expectSame("pipes", [], shape));
    test.each(shapes)("poll and select, as on Linux: %o", (shape) => expectSame("polls", [], shape));
    test.each(shapes)("eventfd and epoll, as on Linux: %o", (shape) => expectSame("epolls", [], shape));

    test("a crowd that is let go at once, as on Linux", () => expectSame("crowd", []));

    test.each(shapes)("threads that wait end with their process: %o", async (shape) => {
      await expectSame("pipes", ["end"], shape);
      const run = await seeded(cProgram("pipes").host, ["end"], { seed: 2, ...shape });
      expect(run.report.machines[0]!.exit, repeat(run)).toBe(7);
    });

    test.each([1, 3])("and nobody waits for a machine that dies: machine %i", async (victim) => {
      const die = (cluster: SeededCluster) => {
        cluster.nodes[victim - 1]!.machine.powered = false;
      };
      const shape = { machines: 3, spread: true, append: "linkloss=200" };
      const run = await withFaults(cProgram("pipes").host, ["stay"], [[150, die]], shape);
      const survivor = victim === 1 ? 2 : 1;
      expect(run.said(survivor, /killed: machine .* is lost/), run.text()).toHaveLength(1);
      expect(run.ended, run.text()).toBe("off");
    });
  },
);
