// Another firmware on our board: Debian's SeaBIOS, from the reset vector through PCI, the ACPI loader and the other
// cores' start to its boot menu, a disk's boot sector, and a Linux image by our option ROM. It prints on port 402 and, for want
// of a display, on COM1, where it is typed at as well.

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { linuxRom } from "../../emulator/images.js";
import { Machine, type MachineOptions } from "../../emulator/machine.js";
import { Assembler, cs, ds, eax, esi } from "../../firmware/assembler.js";
import { bootDisk, print } from "../support/boot-disk.js";
import { linux } from "../support/linux.js";

const file = "/usr/share/seabios/bios-256k.bin";
const missing = !existsSync(file);
if (missing) console.warn("skipped: SeaBIOS, because the package seabios is not installed");

const sercon = ["etc/sercon-port", Uint8Array.of(0xf8, 0x03)] as const;

class Bios {
  serial = "";
  debug = "";
  private constructor(readonly options: MachineOptions) {}
  machine!: Machine;

  static async start(options: MachineOptions): Promise<Bios> {
    const bios = new Bios(options);
    bios.machine = await Machine.create({
      firmware: readFileSync(file),
      shadowedRom: true,
      memory: 32 << 20,
      mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1),
      ...options,
      console: (byte) => {
        bios.serial += String.fromCharCode(byte);
      },
      biosConsole: (byte) => {
        bios.debug += String.fromCharCode(byte);
      },
    });
    return bios;
  }

  /** Runs until the text stands on the serial line. */
  until(text: string, seconds = 10): void {
    for (let i = 0; i < seconds * 20 && !this.serial.includes(text); i++) this.machine.run({ limit: 50e6 });
    expect(this.serial, this.debug.slice(-2000)).toContain(text);
  }
  type(byte: number): void {
    expect(this.machine.receiveByte(byte)).toBe(true);
  }
}

const diskOf = (data: Uint8Array) => ({
  bytes: data.length,
  readOnly: false,
  read: (offset: number, into: Uint8Array) => into.set(data.subarray(offset, offset + into.length)),
  write: (offset: number, from: Uint8Array) => data.set(from, offset),
  flush: () => {},
  snapshot: () => ({}),
  restore: () => {},
});

/** As small as a bzImage can be: its setup prints the command line and what the loader filled in, by the BIOS. */
function smallImage(): Uint8Array {
  const a = new Assembler(0);
  a.bits(16);
  const { op } = a;
  a.org(0x1f1);
  a.bytes(1); // one sector of setup
  a.org(0x1fe);
  a.bytes(0x55, 0xaa);
  op.jmp("code"); // 2 bytes at 200H
  a.bytes(...Buffer.from("HdrS"), 0x0f, 0x02);
  a.org(0x211);
  a.bytes(1); // loaded high
  a.org(0x22c);
  a.bytes(0xff, 0xff, 0xff, 0x7f);
  a.org(0x270);
  a.label("code");
  op.mov(eax, cs);
  op.sub(eax, 0x20);
  op.mov(ds, eax);
  op.mov(esi, 0xe000);
  print(a);
  a.org(0x400);
  a.bytes(...Buffer.from("protected"));
  return a.assemble().bytes;
}

describe.skipIf(missing)("SeaBIOS", () => {
  test("finds what the board has, and nothing to boot", async () => {
    const bios = await Bios.start({ cores: 2, files: new Map([sercon]) });
    bios.until("No bootable device.");
    const { serial, debug, machine } = bios;
    expect(serial).toContain("SeaBIOS (version ");
    expect(debug).toContain("QEMU fw_cfg DMA interface supported");
    expect(debug).toContain("Found 2 cpu(s) max supported 2 cpu(s)");
    expect(debug).toMatch(/PCI: map device bdf=00:02\.0 +bar 0/);
    expect(debug).toContain("Found 1 serial ports");
    expect(debug).not.toContain("internal error");
    expect({ powered: machine.powered, problem: machine.problem }).toEqual({ powered: true, problem: "" });
  }, 120_000);

  test("opens its boot menu at a key on the serial line, lists the disk, and boots it when it is chosen", async () => {
    const bios = await Bios.start({
      disks: [diskOf(bootDisk("The second sector speaks.\r\n"))],
      files: new Map([sercon, ["etc/show-boot-menu", Uint8Array.of(1, 0)]]),
    });
    bios.until("Press ESC for boot menu.");
    bios.type(0x1b);
    bios.until("Select boot device:");
    bios.until("1. Virtio disk PCI:00:08.0");
    expect(bios.serial).not.toContain("speaks");
    bios.type("1".charCodeAt(0));
    bios.until("The second sector speaks.");
    expect(bios.serial).toContain("Booting from Hard Disk...");
  }, 120_000);

  test("boots an image by our option ROM: setup, command line, protected-mode part, initial file system", async () => {
    const { name, bytes } = await linuxRom();
    const initrd = Uint8Array.from({ length: 5000 }, (_, i) => i % 251);
    const bios = await Bios.start({
      kernel: smallImage(),
      initrd,
      commandLine: "The setup speaks: words.", // the last one is not on the screen yet when all stops
      files: new Map([sercon, [name, bytes], ["bootorder", Buffer.from(`/rom@${name}\0`)]]),
    });
    bios.until("The setup speaks: words");
    const { ram } = bios.machine;
    expect(Buffer.from(ram.subarray(0x10_0000, 0x10_0009)).toString()).toBe("protected");
    const header = new DataView(ram.buffer, ram.byteOffset + 0x1_0000);
    expect([header.getUint8(0x210), header.getUint8(0x211), header.getUint16(0x224, true)]).toEqual([
      0xff, 0x81, 0xde00,
    ]);
    expect(header.getUint32(0x228, true)).toBe(0x1_e000);
    const at = header.getUint32(0x218, true);
    expect(header.getUint32(0x21c, true)).toBe(initrd.length);
    expect(at).toBeGreaterThan(30 << 20);
    expect(Buffer.compare(ram.subarray(at, at + initrd.length), initrd)).toBe(0);
    expect(bios.debug).toMatch(/Booting from ROM|Linux by its 16-bit entry/);
  }, 120_000);

  test("says that there is no image, and goes on", async () => {
    const { name, bytes } = await linuxRom();
    const bios = await Bios.start({
      kernel: new Uint8Array(2048),
      files: new Map([sercon, [name, bytes], ["bootorder", Buffer.from(`/rom@${name}\0`)]]),
    });
    bios.until("no Linux image of boot protocol 2.03 or later");
    bios.until("No bootable device.");
  }, 120_000);

  test.skipIf(linux.missing !== "")(
    "Debian's kernel goes from its 16-bit setup to its first lines",
    async () => {
      const { name, bytes } = await linuxRom();
      const bios = await Bios.start({
        memory: 256 << 20,
        kernel: readFileSync(linux.kernelPath),
        commandLine: "console=ttyS0 earlyprintk=serial,ttyS0",
        files: new Map([sercon, [name, bytes], ["bootorder", Buffer.from(`/rom@${name}\0`)]]),
      });
      bios.until("Linux version ");
      bios.until("BIOS-provided physical RAM map");
      expect(bios.serial).toContain("Command line: console=ttyS0 earlyprintk=serial,ttyS0");
    },
    120_000,
  );
});
