// Locks that programs take on ranges of files (fcntl by process and by open file, flock, several ranges at once): on one machine
// and between machines, as between processes on the host's Linux; and after their owner's end or death.
import { describe, expect, test } from "vitest";
import type { SeededCluster } from "../../emulator/cluster.js";
import { seeded } from "../support/cluster.js";
import { withFaults } from "../support/faults.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { expectSame } from "../support/same-as-linux.js";

const linux = process.platform === "linux" && process.arch === "x64";

describe.skipIf(!hasMusl || !linux)(`locks of programs${missing("musl")}`, { timeout: 120_000 }, () => {
  test("promise 77: between open files of one process, as on Linux", () => expectSame("locks", []));
  test.each([1, 2])("a random walk through them, seed %i", (seed) => expectSame("locks", [`${seed}`]));
  test("promises 77 and 82: between machines, as between processes on Linux; several ranges at once", async () => {
    const cluster = { machines: 3, cores: 1 };
    await expectSame("lockers", ["walk", "1", "90"], { ...cluster, seed: 3 });
    await expectSame("lockers", ["count", "8"], { ...cluster, seed: 4 });
    await expectSame("lockers", ["heir", "exit"], { ...cluster, seed: 5 });
  });
  test.each([1, 2, 3])(
    "R6, promise 82: several ranges at once without waiting, all or none, seed %i",
    async (seed) => {
      const run = await seeded(cProgram("reservers").host, [40], {
        machines: 3,
        cores: 1,
        seed,
        limit: 5e9,
        network: { delay: [30, 60] },
      });
      expect(run.report.ok, run.report.result).toBe(true);
      const refused = "Resource temporarily unavailable";
      const had = "No error information";
      expect(run.lines.join("\n")).toContain(
        `reservers: both refused 40, the first had 40; then both ${had}, to another ${refused} and ${refused}, then both ${had}`,
      );
    },
  );
  test.each([2, 3])("promise 82: EDEADLK between %i machines, as between processes on Linux", (machines) =>
    expectSame("lockers", ["circle", "12"], { machines, cores: 1, seed: machines }),
  );
  // lockers.file is at home on machine 1, lockers.2 on machine 2: the rights that locks stand on move with it.
  test.each([
    ["another", "lockers.file"],
    ["their home", "lockers.2"],
  ])("the machine of their owner dies, %s", async (_, file) => {
    const die = (cluster: SeededCluster) => {
      cluster.nodes[1]!.machine.powered = false;
    };
    const { host } = cProgram("lockers");
    const run = await withFaults(host, ["heir", "stay", file], [[150, die]], {
      machines: 3,
      append: "linkloss=200",
    });
    expect(run.said(1, /^lockers: refused 1, then all 2 have them$/), run.text()).toHaveLength(1);
    expect(run.ended).toBe("off");
  });
});
