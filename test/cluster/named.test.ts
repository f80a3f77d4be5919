// Names of files and directories: as on Linux, and coherent between machines over whichever file system. One program, unchanged, on each of them: the
// archive at the root and memory at /tmp.
import { describe, expect, test } from "vitest";
import { program } from "../../emulator/images.js";
import { repeat, seeded } from "../support/cluster.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { onLinux } from "../support/on-linux.js";
import { expectSame } from "../support/same-as-linux.js";

const here = describe.skipIf(!hasMusl || process.platform !== "linux" || process.arch !== "x64");
const systems = ["/tmp", "/"];

here(`one machine${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each(systems)("names in %s: every call says what Linux says", async (directory) => {
    await expectSame("names", [directory], { machines: 1 });
  });

  test("what is refused where file systems meet, and what is not there and says so", async () => {
    const run = await seeded(cProgram("mounts").host, [], { machines: 1, seed: 10 });
    expect(
      run.lines.filter((line) => line.includes("| mounts: ")),
      repeat(run, []),
    ).toEqual([
      "machine1 | mounts: system call 88 (symlink) is not implemented",
      "machine1 | mounts: wrong 0",
    ]);
  });

  test.each([1, 2, 3, 4])("a random walk of 1500 calls (seed %i)", async (seed) => {
    await expectSame("walk", [systems[seed % 2]!, `${seed}`, "1500"], { machines: 1 });
  });

  test("directories that end give their pages back, also those that were moved out of others", async () => {
    const run = await seeded(cProgram("names").host, ["/tmp"], {
      machines: 1,
      seed: 9,
      append: "frames runs=5",
    });
    const free = run.lines.flatMap((line) => /frames free (\d+)/.exec(line)?.slice(1).map(Number) ?? []);
    // The first runs leave a few pages that the next ones use.
    expect(free).toHaveLength(5);
    expect(free[4]).toBeGreaterThanOrEqual(free[2]! - 4);
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

  test.each([
    { machines: 2, seed: 1 },
    { machines: 4, seed: 2 },
  ])(
    "promise 58: files of the archive are followed by who has them open, on $machines machines",
    async (shape) => {
      const name = program(cProgram("followed").host);
      const files = [
        { path: "/data/poem", data: new Uint8Array(9000).fill(0x70), mode: 0o644 },
        { path: "/data/more/x", data: Uint8Array.of(0x78), mode: 0o644 },
      ];
      const run = await seeded(cProgram("followed").host, [], { ...shape, program: { ...name, files } });
      expect(
        run.lines.filter((line) => line.includes("| followed: ")),
        repeat(run, []),
      ).toEqual([`machine1 | followed: machines ${shape.machines}, wrong 0`]);
    },
  );

  test("an ordinary program makes a directory, writes files into it on three machines, and lists it on one", async () => {
    const args = ["/tmp/book", 3];
    const run = await seeded(cProgram("logbook").host, args, { machines: 3, seed: 7 });
    const page = (k: number) => [1, 2, 3].map((line) => ` line ${line} of machine ${k};`).join("");
    expect(
      run.lines.filter((line) => line.includes("| logbook: ")),
      repeat(run, args),
    ).toEqual([
      ...[1, 2, 3].map((k) => `machine1 | logbook: page-${k}.done, 60 bytes:${page(k)}`),
      "machine1 | logbook: removed: yes",
    ]);
  });

  test.each(systems)(
    "one process over three machines: its threads share a working directory in %s",
    async (directory) => {
      const run = await seeded(cProgram("crew").host, [directory], { machines: 3, spread: true, seed: 8 });
      const lines = run.lines.filter((line) => line.includes("| crew: "));
      expect(lines, repeat(run, [directory])).toEqual(
        (await onLinux(cProgram("crew").host, 1, 2)).map((line) => `machine1 | ${line}`),
      );
    },
  );
});
