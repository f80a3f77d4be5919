// Another firmware on our board: Debian's SeaBIOS, from the reset vector through PCI, the ACPI loader and the other
// cores' start to the end of its search for something to boot. It prints on port 402 and, for want of a display, on COM1.

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Machine } from "../../emulator/machine.js";

const file = "/usr/share/seabios/bios-256k.bin";
const missing = !existsSync(file);
if (missing) console.warn("skipped: SeaBIOS, because the package seabios is not installed");

describe.skipIf(missing)("SeaBIOS", () => {
  test("finds what the board has, and nothing to boot", async () => {
    let serial = "";
    let debug = "";
    const machine = await Machine.create({
      firmware: readFileSync(file),
      shadowedRom: true,
      cores: 2,
      memory: 32 << 20,
      mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1),
      files: new Map([["etc/sercon-port", Uint8Array.of(0xf8, 0x03)]]),
      console: (byte) => {
        serial += String.fromCharCode(byte);
      },
      biosConsole: (byte) => {
        debug += String.fromCharCode(byte);
      },
    });
    for (let i = 0; i < 100 && !serial.includes("No bootable device"); i++) machine.run({ limit: 100e6 });
    expect(serial).toContain("SeaBIOS (version ");
    expect(serial).toContain("No bootable device.");
    expect(debug).toContain("QEMU fw_cfg DMA interface supported");
    expect(debug).toContain("Found 2 cpu(s) max supported 2 cpu(s)");
    expect(debug).toMatch(/PCI: map device bdf=00:02\.0 +bar 0/);
    expect(debug).toContain("Found 1 serial ports");
    expect(debug).not.toContain("internal error");
    expect({ powered: machine.powered, problem: machine.problem }).toEqual({ powered: true, problem: "" });
  }, 120_000);
});
