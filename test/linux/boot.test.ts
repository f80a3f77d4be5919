// Debian's own kernel and busybox, as they come, to a shell on the serial line: in virtual time, so that what the
// kernel has to complain about is the machine's doing and not the host's load.

import { describe, expect, test } from "vitest";
import { linux, prompt, SeededLinux } from "../support/linux.js";

if (linux.missing !== "") console.warn(`skipped: Linux as a guest, because ${linux.missing}`);

/**
 * Performance counters do not count yet. Linux finds the same on QEMU, and says so more softly, since there CPUID tells of a
 * hypervisor: "PMU not available due to virtualization".
 */
const NO_COUNTERS = /Failed to access perfctr msr \(MSR c0010007 is 0\)$/;

describe.skipIf(linux.missing !== "")("Linux", () => {
  test("boots to a shell that answers, has nothing to complain about, and powers off", async () => {
    const guest = await SeededLinux.start({ mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1) });
    await guest.until(prompt);
    expect(guest.console).toContain("ready: 1 processors");
    expect(await guest.command("echo $((6 * 7)) | sed s/4/four/")).toBe("four2");
    expect(await guest.command("uname -sm")).toBe("Linux x86_64");
    const complaints = await guest.command("dmesg -r | grep '^<[0-4]>'");
    expect(complaints.split("\n").filter((line) => line !== "" && !NO_COUNTERS.test(line))).toEqual([]);
    expect(await guest.command("ls /sys/bus/pci/devices")).toContain("0000:00:02.0");
    await guest.type("poweroff -f");
    await guest.off();
    const { powered, problem } = guest.machine;
    expect({ powered, problem }).toEqual({ powered: false, problem: "" });
    expect(guest.console).toContain("reboot: Power down");
  }, 300_000);
});
