// Debian's own kernels and busybox, as they come, to a shell on the serial line: in virtual time, so that what the
// kernel has to complain about is the machine's doing and not the host's load.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MachineOptions } from "../../emulator/machine.js";
import { temporaryFolder } from "../support/folder.js";
import { type KernelPackage, linux, prompt, SHORT_COMMAND_LINE } from "../support/linux.js";
import { complaints, qemuLog } from "../support/linux-complaints.js";
import { SeededLinux } from "../support/linux-seeded.js";
import { vmlinux } from "../support/vmlinux.js";

if (linux.missing !== "") console.warn(`skipped: Linux as a guest, because ${linux.missing}`);
else if (linux.genericMissing !== "")
  console.warn(`skipped: the generic Linux, because ${linux.genericMissing}`);

const MIB = 1 << 20;
const CONTROL_C = 3;

describe.skipIf(linux.missing !== "")("Linux, in virtual time", () => {
  const folder = temporaryFolder();
  beforeAll(() => linux.writeInitrd(join(folder.path, "initrd")));
  afterAll(folder.remove);

  /** To the shell, `nproc`, the log beside QEMU's; then the machine is the test's. */
  async function booted(name: string, kernel: KernelPackage, cores: number, options: MachineOptions) {
    const guest = await SeededLinux.start({ cores, ...options });
    await guest.until(prompt);
    console.info(`Linux ${kernel.release}, ${name}, to the shell: ${guest.figures}`);
    expect(await guest.command("nproc")).toBe(String(cores));
    const theirs = await qemuLog({
      kernel: kernel.image,
      initrd: join(folder.path, "initrd"),
      cores,
      ...(options.commandLine === undefined ? {} : { append: options.commandLine }),
    });
    expect(complaints(await guest.command("dmesg -r"), theirs)).toEqual([]);
    return guest;
  }

  test("bzImage, 1 core: a shell that answers, and power-off", async () => {
    const guest = await booted("bzImage, 1 core", linux.cloud, 1, {
      mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1),
    });
    expect(await guest.command("echo $((6 * 7)) | sed s/4/four/")).toBe("four2");
    expect(await guest.command("uname -sm")).toBe("Linux x86_64");
    expect(await guest.command("echo on\x7fe")).toBe("oe"); // DEL takes back a character
    // Control-C ends what runs in the foreground, by SIGINT.
    const from = guest.console.length;
    await guest.type("(sleep 1; echo asleep) & sleep 1000");
    await guest.until("asleep\r", from);
    await guest.press(CONTROL_C);
    await guest.until(prompt, from);
    expect(await guest.command("echo $?")).toBe("130");
    expect(await guest.command("ls /sys/bus/pci/devices")).toContain("0000:00:02.0");
    expect(await guest.command("cat /proc/bus/input/devices")).toContain("AT Translated Set 2 keyboard");
    await guest.type("poweroff -f");
    await guest.off();
    const { powered, problem } = guest.machine;
    expect({ powered, problem }).toEqual({ powered: false, problem: "" });
    expect(guest.console).toContain("reboot: Power down");
  }, 900_000);

  test("vmlinux by PVH, 2 cores: a shell, S3 and back, and reboot brings the machine up again", async () => {
    const guest = await booted("vmlinux by PVH, 2 cores", linux.cloud, 2, {
      kernel: vmlinux(readFileSync(linux.cloud.image)),
      commandLine: SHORT_COMMAND_LINE,
    });
    // The firmware has set up all cores alike; QEMU's has not, so the comparison would let this pass.
    expect(await guest.command("dmesg | grep -c inconsistent")).toBe("0");
    expect(await guest.command("cat /sys/class/dmi/id/product_name")).toBe("Buslock board");
    const processes =
      "for i in 1 2 3 4; do (echo $i | sha256sum &); done; wait; sleep 1; grep -c ^cpu /proc/stat";
    expect((await guest.command(processes)).split("\n").at(-1)).toBe("3");
    await guest.command("echo +2 > /sys/class/rtc/rtc0/wakealarm");
    expect(await guest.command("echo mem > /sys/power/state; echo $?")).toBe("0");
    expect(await guest.command("dmesg | grep -c 'state S3\\|CPU1 is up'")).toBe("3");
    const from = guest.console.length;
    await guest.type("reboot -f");
    await guest.until("Buslock firmware: cores 2", from);
    await guest.until("Linux version", from);
  }, 900_000);

  test.skipIf(linux.genericMissing !== "")(
    "the generic kernel, vmlinux by PVH, 1 core: a shell",
    async () => {
      const guest = await booted("vmlinux by PVH, 1 core", linux.generic, 1, {
        kernel: vmlinux(readFileSync(linux.generic.image)),
        memory: 512 * MIB,
        commandLine: SHORT_COMMAND_LINE,
      });
      expect(await guest.command("uname -r")).toBe(linux.generic.release);
    },
    900_000,
  );
});
