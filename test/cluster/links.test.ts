// More names for a file (test/c/links.c), and what C libraries make by them: named semaphores (test/c/semaphores.c).
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Command, repeat, seeded } from "../support/cluster.js";
import { temporaryFolder } from "../support/folder.js";
import { cProgram, glibcProgram, hasGlibc, hasMusl, missing } from "../support/guest.js";
import { outlived, writerDies, writerLeaves } from "../support/links.js";
import { expectSame } from "../support/same-as-linux.js";

const linux = process.platform === "linux" && process.arch === "x64";

describe.skipIf(!hasMusl || !linux)(`links${missing("musl")}`, { timeout: 60_000 }, () => {
  test.each([{ machines: 1 }, { machines: 2, seed: 2 }, { machines: 3, seed: 3, spread: true }])(
    "as on Linux: %o",
    async (shape) => {
      await expectSame("links", [], { cores: 2, ...shape });
    },
  );

  test("a file of the archive has a copy of its own then, which who had it open follows", async () => {
    const folder = temporaryFolder();
    const file = join(folder.path, "file");
    writeFileSync(file, "old bytes");
    const append = "-- archive /file";
    const { host } = cProgram("links");
    const args = ["boot", "--seed", 1, "--file", file, "--append", append, "--program", host];
    const command = new Command(args);
    await command.ended;
    expect(command.out).toContain("links: archive: 1 names before, 1 after, same, new byte, new byte\n");
    folder.remove();
  });
});

describe.skipIf(!hasMusl)(`links that outlive a machine${missing("musl")}`, { timeout: 60_000 }, () => {
  test.each([
    ["dies", writerDies, 1],
    ["dies", writerDies, 2],
    ["leaves", writerLeaves, 3],
  ] as const)("who made them %s (seed %#)", async (_, happening, seed) => {
    const { run, said, wanted, went } = await outlived(happening, seed);
    expect(said, run.text()).toEqual(wanted);
    expect(new Set(went).size).toBe(4);
  });
});

describe.skipIf(!hasMusl)(`named semaphores${missing("musl")}`, { timeout: 60_000 }, () => {
  const counts = async (path: string, seed: number) => {
    const run = await seeded(path, ["20"], { machines: 3, cores: 1, seed });
    const said =
      "semaphores: counted 120, value 1, same yes, taken File exists, gone No such file or directory";
    const by = [1, 2, 3].filter((node) => run.lines.includes(`machine${node} | ${said}`));
    expect(by, repeat(run, ["20"])).toEqual([1, 2, 3]);
  };

  test("of three machines, with musl", () => counts(cProgram("semaphores").host, 1));
  test.skipIf(!hasGlibc)("with glibc", () => counts(glibcProgram("semaphores").host, 2));
});
