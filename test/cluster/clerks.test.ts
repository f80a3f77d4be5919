// Files and names that clerks of several machines use at random (test/c/clerks.c), below /tmp, below / over files of the archive, and in /shm: what each
// call returned and read is what it is on Linux.
import { describe, expect, test } from "vitest";
import { program } from "../../emulator/images.js";
import { clerkRows, sameClerks, withArchive } from "../support/clerks.js";
import { withFaults } from "../support/faults.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { dies, leaves } from "../support/names.js";
import { noRoot, onLinux } from "../support/on-linux.js";
import { expectSame } from "../support/same-as-linux.js";

describe.skipIf(!hasMusl || noRoot !== "" || process.platform !== "linux" || process.arch !== "x64")(
  `files and names at random${missing("musl")}${noRoot}`,
  { timeout: 200_000 },
  () => {
    test("what odd arguments are told, in Linux's order", async () => {
      const paths = ["/manners.data", "/manners.d/in/one", "/manners.d/in/two"];
      const data = (path: string) => Buffer.from(path === "/manners.data" ? "of the archive" : "");
      const files = paths.map((path) => ({ path, data: data(path), mode: 0o644 }));
      const manners = { ...program(cProgram("manners").host), files };
      await expectSame("manners", [], { machines: 1, program: manners });
    });

    test.each(clerkRows.map((row, i) => [i + 1, row] as const))("promises 58, 59: %i, %o", (seed, row) =>
      sameClerks(row, seed),
    );

    // What it had written somebody else has seen, or what it wrote later: only its descriptors and locks go with it.
    test.each([
      { how: "leaves", mirror: 0, threads: 1, happening: leaves(3, 500) },
      { how: "dies", mirror: 1, threads: 2, happening: dies(3, 700) },
      { how: "dies", mirror: 2, threads: 1, happening: dies(3, 700) },
    ])(
      "promise R3: machine 3 $how half way, with $mirror mirrors, and nothing is missing",
      async ({ mirror, threads, happening }) => {
        const seed = 11 + mirror;
        const words = ["ends", seed, 400, 3, threads, 1].map(String);
        const append = `linkloss=60 blocked=600 leave=1000${mirror > 0 ? ` mirror=${mirror}` : ""}`;
        const shape = { machines: 3, cores: 1, seed, append, program: withArchive() };
        const { host } = cProgram("clerks");
        const run = await withFaults(host, words, [happening], shape, 3000);
        const said = run.said(1, /^clerks: /).map(({ text }) => text);
        expect(said, run.text()).toEqual(await onLinux(host, 3, 1, words));
      },
    );
  },
);
