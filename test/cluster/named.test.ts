// Names of files and directories: as on Linux, and coherent between machines over whichever file system. One program, unchanged, on each of them: the
// archive at the root and memory at /tmp.
import { describe, expect, test } from "vitest";
import { repeat, seeded } from "../support/cluster.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { expectSame } from "../support/same-as-linux.js";

const here = describe.skipIf(!hasMusl || process.platform !== "linux" || process.arch !== "x64");
const systems = ["/tmp", "/"];

here(`one machine${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each(systems)("names in %s: every call says what Linux says", async (directory) => {
    await expectSame("names", [directory], { machines: 1 });
  });
});

here(`machines that make, rename and remove at once${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each(systems)(
    "promises 58 and 59: names, reads, writes and mappings in %s are coherent",
    async (directory) => {
      await expectSame("named", [directory, "8"], { machines: 3 });
    },
  );

  test.each([
    { directory: "/", machines: 5, mirror: 1 },
    { directory: "/tmp", machines: 4, mirror: 2 },
  ])(
    "mirrored $mirror times, on $machines machines, in $directory",
    async ({ directory, machines, mirror }) => {
      const run = await seeded(cProgram("named").host, [directory, 4], { machines, mirror, seed: 3 });
      expect(
        run.lines.filter((line) => line.includes("| named: ")),
        repeat(run, [directory, 4]),
      ).toEqual([`machine1 | named: machines ${machines}, wrong 0`]);
      expect(run.report.ok).toBe(true);
    },
  );

  test("promise 84: with one record a machine", async () => {
    const run = await seeded(cProgram("named").host, ["/tmp", 3], {
      machines: 3,
      seed: 5,
      append: "records=1",
    });
    expect(
      run.lines.filter((line) => line.includes("| named: ")),
      repeat(run, ["/tmp", 3]),
    ).toEqual(["machine1 | named: machines 3, wrong 0"]);
  });
});
