// A glance at Debian's own programs under Debian's own kernel: python3 and sqlite3 compute on our processor what they compute
// on the host's. The rest of them, and Python's test suites, are in programs.soak.ts.

import { describe, expect, test } from "vitest";
import { programsDisk, runHere } from "../support/debian.js";
import { linux } from "../support/linux.js";
import { compared, GLANCE } from "../support/programs.js";
import { runInGuest, startGuest } from "../support/programs-guest.js";

const missing =
  linux.missing ||
  (programsDisk.ready ? "" : "the disk with Debian's programs is not made (.ci/run does it)");
if (missing !== "") console.warn(`skipped: Debian's programs in a guest, because ${missing}`);

describe.skipIf(missing !== "")("Debian's programs in a guest", () => {
  test("python3 and sqlite3 print what they print on the host", async () => {
    const host = runHere(GLANCE, 60);
    expect(host).toMatchObject({ status: 0 });
    const guest = await startGuest([GLANCE]);
    const { output, status } = await runInGuest(guest, GLANCE, 30);
    expect({ lines: compared(output), status }).toEqual({ lines: compared(host.output), status: 0 });
  }, 300_000);
});
