// Linux without any APIC (`noapic nolapic`): every interrupt comes by the 8259 pair, those of PCI functions as levels on the ISA
// lines that _PRT names once _PIC was told so (ACPI 6.4, 5.8.1), or, without ACPI, that the Interrupt Line register does (PCI
// 3.0, 6.2.4). No messages then, so a disk works by INTA.

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDisk } from "../../emulator/disk.js";
import { temporaryFolder } from "../support/folder.js";
import { disk, linux, prompt, SHORT_COMMAND_LINE } from "../support/linux.js";
import { SeededLinux } from "../support/linux-seeded.js";

if (linux.missing !== "") console.warn(`skipped: Linux by the 8259 pair, because ${linux.missing}`);

describe.skipIf(linux.missing !== "")("Linux by the 8259 pair", () => {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder.path, name);
  beforeAll(() => {
    mkdirSync(at("tree"));
    copyFileSync(linux.busybox, at("tree/payload"));
    const made = spawnSync("mke2fs", ["-q", "-t", "ext4", "-d", at("tree"), at("disk"), "16384k"], {
      encoding: "utf8",
    });
    if (made.status !== 0) throw new Error(`mke2fs: ${made.error?.message ?? made.stderr}`);
  });
  afterAll(folder.remove);

  test.each([
    ["by ACPI's routes", ""],
    ["by the Interrupt Line registers", " pci=noacpi"],
  ])(
    "%s",
    async (_, words) => {
      const guest = await SeededLinux.start({
        initrd: linux.initrd({ modules: disk }),
        disks: [openDisk({ path: at("disk"), mode: "cow" })],
        commandLine: `${SHORT_COMMAND_LINE} noapic nolapic${words}`,
      });
      await guest.until(prompt);
      console.info(guest.figures);
      expect(await guest.command("mount /dev/vda /tmp && cmp /tmp/payload /bin/busybox && echo same")).toBe(
        "same",
      );
      const interrupts = await guest.command("cat /proc/interrupts");
      expect(interrupts).toMatch(/^ +0: .*XT-PIC +timer$/m);
      expect(interrupts).toMatch(/^ +10: +[1-9]\d* .*XT-PIC +virtio0$/m);
      expect(interrupts).not.toMatch(/IO-APIC|MSI/);
      expect(await guest.command("dmesg | grep -ci 'nobody cared\\|spurious'")).toBe("0");
    },
    900_000,
  );
});
