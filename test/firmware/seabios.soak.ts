// Debian's Linux as a PC of old would boot it: SeaBIOS, our option ROM, the kernel's own 16-bit setup, and on to a shell.

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { linuxRom } from "../../emulator/images.js";
import { linux, prompt } from "../support/linux.js";
import { SeededLinux } from "../support/linux-seeded.js";

const file = "/usr/share/seabios/bios-256k.bin";
const missing = existsSync(file) ? linux.missing : "the package seabios is not installed";
if (missing !== "") console.warn(`skipped: Linux by SeaBIOS, because ${missing}`);

describe.skipIf(missing !== "")("Linux by its 16-bit entry", () => {
  test.each([1, 2])(
    "%i cores: to a shell that answers, and off",
    async (cores) => {
      const { name, bytes } = await linuxRom();
      const guest = await SeededLinux.start({
        cores,
        firmware: readFileSync(file),
        shadowedRom: true,
        files: new Map([
          ["etc/sercon-port", Uint8Array.of(0xf8, 0x03)],
          [name, bytes],
          ["bootorder", Buffer.from(`/rom@${name}\0`)],
        ]),
      });
      await guest.until(prompt, 0, 60);
      console.info(`Linux by SeaBIOS, ${cores} cores, to the shell: ${guest.figures}`);
      expect(guest.console).toContain("Booting from ROM...");
      expect(guest.console).toContain(`ready: ${cores} processors`);
      expect(await guest.command("uname -s")).toBe("Linux");
      await guest.type("poweroff -f");
      await guest.off();
      expect({ powered: guest.machine.powered, problem: guest.machine.problem }).toEqual({
        powered: false,
        problem: "",
      });
    },
    600_000,
  );
});
