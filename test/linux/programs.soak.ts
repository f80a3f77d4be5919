// Debian's programs, from their packages on a disk image, inside of Debian's kernel on our machine: they print what they
// print on the host's processor, and end as they end there. In virtual time: a time limit inside of a test holds however
// busy the host is. All of them on one core, threads on two; last, some of them on two live cores.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { makeDisk, programsDisk, runHere } from "../support/debian.js";
import { temporaryFolder } from "../support/folder.js";
import { linux } from "../support/linux.js";
import { Guest } from "../support/linux-guest.js";
import type { SeededLinux } from "../support/linux-seeded.js";
import { compared, GCC, GLANCE, PROGRAMS, SQLITE, THREADS } from "../support/programs.js";
import {
  ending,
  GUEST_COMMAND_LINE,
  programsInitrd,
  runInGuest,
  runLine,
  startGuest,
} from "../support/programs-guest.js";

const HOST_SECONDS = 300;
const VIRTUAL_SECONDS = 600;
/** Live, of a processor. */
const LIVE_SECONDS = 1200;
const TEST_MILLISECONDS = 7_200_000;
const PROGRESS_MS = 60_000;

const missing = linux.missing || makeDisk();
if (missing !== "") console.warn(`skipped: Debian's programs in a guest, because ${missing}`);

const SEEDED = [
  { cores: 1, programs: PROGRAMS },
  { cores: 2, programs: THREADS },
];

describe.skipIf(missing !== "").each(SEEDED)(
  "$cores cores print what the host prints",
  ({ cores, programs }) => {
    // One guest for all, until it fails: a program that did not end leaves none to go on with.
    let guest: SeededLinux | undefined;
    afterAll(() => {
      guest = undefined;
    });

    test.each(programs)(
      "$name",
      async (program) => {
        const host = runHere(program, HOST_SECONDS);
        const running = guest ?? (await startGuest(programs, cores));
        guest = undefined;
        const figures = meter(running);
        const progress = setInterval(
          () => console.log(`${program.name}: ${figures()}, goes on`),
          PROGRESS_MS,
        );
        try {
          const { output, status } = await runInGuest(running, program, VIRTUAL_SECONDS);
          guest = running;
          console.log(`${program.name}: ${figures()}`);
          expect({ lines: compared(output), status }, output.slice(-4000)).toEqual({
            lines: compared(host.output),
            status: host.status,
          });
        } finally {
          clearInterval(progress);
        }
      },
      TEST_MILLISECONDS,
    );
  },
);

/** Instructions, virtual seconds and seconds of a processor from now on. */
function meter(guest: SeededLinux): () => string {
  const { instructions } = guest.machine;
  const { now } = guest;
  const used = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(used);
    const giga = ((guest.machine.instructions - instructions) / 1e9).toFixed(2);
    const virtual = ((guest.now - now) / 1e9).toFixed(1);
    return `${giga} G instructions, ${virtual} s of its time, ${((user + system) / 1e6).toFixed(0)} s of a processor`;
  };
}

describe.skipIf(missing !== "")("Debian's programs on two live cores", () => {
  test(
    "print what they print on the host",
    async () => {
      const programs = [GLANCE, SQLITE, GCC];
      const folder = temporaryFolder();
      const initrd = join(folder.path, "initrd");
      writeFileSync(initrd, programsInitrd(programs));
      const guest = Guest.ours({
        ...{ kernel: linux.kernelPath, initrd, cores: 2, megabytes: 768, append: GUEST_COMMAND_LINE },
        more: ["--disk", `${programsDisk.image},cow`],
      });
      try {
        await guest.prompted();
        expect(await guest.run("sh /programs/mount")).toBe("mounted");
        for (const program of programs) {
          const host = runHere(program, HOST_SECONDS);
          // The console has a character for each byte.
          const said = Buffer.from(await guest.run(runLine(program), LIVE_SECONDS), "latin1").toString();
          const { output, status } = ending(said);
          expect({ lines: compared(output), status }, said.slice(-4000)).toEqual({
            lines: compared(host.output),
            status: host.status,
          });
        }
        expect(await guest.off()).toBe(0);
        console.log(`on two live cores: ${guest.figures}`);
      } finally {
        guest.kill();
        folder.remove();
      }
    },
    TEST_MILLISECONDS,
  );
});
