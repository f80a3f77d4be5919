// What files hold: machines read, write, lengthen, shorten, map, name and remove the same files at random, one call after the other
// (test/c/turns.c), and each call says what it says on Linux, where the machines are processes.
import { describe, expect, test } from "vitest";
import type { SeededOptions } from "../../emulator/cluster.js";
import { plantedKernel } from "../bugs/plant.js";
import { hasMusl, missing } from "../support/guest.js";
import { expectSame } from "../support/same-as-linux.js";

const here = describe.skipIf(!hasMusl || process.platform !== "linux" || process.arch !== "x64");

const rows: readonly (Partial<SeededOptions> & { readonly in: string; readonly unmapped?: true })[] = [
  { in: "/tmp", machines: 1 },
  { in: "shm", machines: 2 },
  { in: "/tmp", machines: 3 },
  {
    in: "/tmp",
    machines: 4,
    network: { delay: [1, 300], faults: { loss: 0.03, duplicate: 0.03 }, reorder: true },
  },
  // A mapping of an archive's file stays as it was when somebody writes to the file.
  { in: "/", machines: 3, unmapped: true },
  { in: "/tmp", machines: 3, append: "records=1" },
  { in: "shm", machines: 3, append: "mirror=1" },
  { in: "/tmp", machines: 2, append: "bytes=0 ahead=0 guess=0" },
];

here(`files at random${missing("musl")}`, { timeout: 200_000 }, () => {
  test.each(rows.map((row, i) => ({ ...row, seed: i + 1 })))("promises 59, 60: $seed, %o", async (row) => {
    const { in: directory, unmapped, ...options } = row;
    const words = [directory, `${row.seed}`, "400", ...(unmapped ? ["unmapped"] : [])];
    await expectSame("turns", words, { cores: 1, ...options });
  });

  test.each([
    {
      bug: "what lay behind a file's end comes back when it grows",
      changes: [
        [
          "memory.fill(frame + from, 0, usize(PAGE) - from);",
          "if (from == 0) memory.fill(frame, 0, usize(PAGE));",
        ],
        ["  if (clean) return 0;", "  if (clean || size > 0) return 0;"],
      ],
    },
    {
      bug: "a file that became shorter leaves its pages where they are",
      changes: [
        ["    call(client, ASK_RECALL);\n    clear(client, size, 0);\n", "    clear(client, size, 0);\n"],
      ],
    },
  ] as const)("planted, and seen: $bug", async ({ changes }) => {
    const kernel = (await plantedKernel({ kernel: { file: "kernel/coherence/pager.ts", changes } }))!;
    const all = async () => {
      for (let seed = 1; seed <= 6; seed++)
        await expectSame("turns", ["/tmp", `${seed}`, "400"], { machines: 3, cores: 1, seed, kernel });
    };
    await expect(all()).rejects.toThrow();
  });
});
