// The firmware on our own board: the same kernel as under QEMU (qemu.test.ts) must be handed the same things.

import { describe, expect, test } from "vitest";
import { address, pciDevice } from "../../emulator/board/map.js";
import { Machine, type MachineOptions } from "../../emulator/machine.js";
import { firmwareImage } from "../../firmware/index.js";
import { probe } from "./probe.js";
import { type Report, read } from "./report.js";

async function run(options: MachineOptions): Promise<{ console: string; report: Report; machine: Machine }> {
  let console = "";
  const machine = await Machine.create({
    firmware: firmwareImage(),
    ...options,
    console: (byte) => {
      console += String.fromCharCode(byte);
    },
  });
  machine.run({ limit: 20e6 });
  return { console, report: read(console), machine };
}

const initrd = Buffer.from(`first module\0${"x".repeat(5000)}`);

describe("the firmware on the board", () => {
  test.each([32, 64] as const)("hands over to an ELF%i kernel", async (bits) => {
    const kernel = probe({ bits });
    const commandLine = "node=1 -- /bin/counter";
    const { report, machine } = await run({ cores: 3, memory: 96 << 20, kernel, initrd, commandLine });
    expect(report.banner).toBe("Buslock firmware: cores 3, RAM 96 MiB");
    expect(report.start).toEqual({ magic: 0x336ec578, version: 1, modules: 1 });
    expect(report).toMatchObject({ commandLine, cleared: 0, data: 0xcafef00d, done: true });
    expect(report.module).toMatchObject({ bytes: initrd.length, text: "first module" });
    const at = report.module!.address;
    expect(at % 4096).toBe(0);
    expect(Buffer.from(machine.ram.subarray(at, at + initrd.length))).toEqual(initrd);
    expect({ powered: machine.powered, problem: machine.problem }).toEqual({ powered: false, problem: "" });
  });

  test("the memory map: RAM in full, the tables, and what is not RAM", async () => {
    const { report } = await run({ memory: 32 << 20, kernel: probe() });
    const acpi = report.ranges.find(({ type }) => type === 3)!;
    expect(acpi.start + acpi.bytes).toBe(32 << 20);
    expect(report.ranges).toEqual([
      { start: 0, bytes: 0x9_0000, type: 1 },
      { start: 0x9_0000, bytes: 0x1_0000, type: 2 },
      { start: address.lowRom, bytes: 0x2_0000, type: 2 },
      { start: address.highRam, bytes: acpi.start - address.highRam, type: 1 },
      acpi,
      { start: address.ecam, bytes: address.ecamEnd - address.ecam, type: 2 },
      { start: 0xffff_0000, bytes: 0x1_0000, type: 2 },
    ]);
  });

  test("RAM up to the PCI window, with a card that reaches all of it", async () => {
    const mac = Uint8Array.of(0x52, 0x54, 0, 0, 0, 1);
    const { report } = await run({ memory: 0xc000_0000, kernel: probe(), mac });
    const acpi = report.ranges.find(({ type }) => type === 3)!;
    expect([acpi.start + acpi.bytes, report.done]).toEqual([address.pciWindow, true]);
  });

  test("the tables add up, and the root pointer can be found by searching", async () => {
    const { report, machine } = await run({ cores: 64, kernel: probe() });
    expect(report.tables.map(({ signature }) => signature)).toEqual([
      "XSDT",
      "FACP",
      "DSDT",
      "APIC",
      "MCFG",
      "HPET",
    ]);
    for (const { sum } of report.tables) expect(sum).toBe(0);
    expect(report.rsdp.sums).toEqual([0, 0]);
    // ACPI 6.4, 5.2.5.1: on 16 bytes, in the first KiB of the extended BIOS data area that 40:0E names.
    const view = new DataView(machine.ram.buffer, machine.ram.byteOffset);
    const ebda = view.getUint16(0x40e, true) << 4;
    const text = (at: number) => Buffer.from(machine.ram.subarray(at, at + 8)).toString("latin1");
    const found = [...Array(64).keys()]
      .map((index) => ebda + 16 * index)
      .find((at) => text(at) === "RSD PTR ");
    expect(found).toBe(report.rsdp.address);
  });

  test("a root pointer stands in the ROM's view below 1 MiB too, and leads to the same tables", async () => {
    const { machine } = await run({ cores: 2, kernel: probe() });
    const rom = Buffer.from(firmwareImage());
    const at = rom.indexOf("RSD PTR ");
    expect(at % 16).toBe(0);
    const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
    expect([sum(rom.subarray(at, at + 20)), sum(rom.subarray(at, at + 36))]).toEqual([0, 0]);
    const ram = Buffer.from(machine.ram.buffer, machine.ram.byteOffset, machine.ram.length);
    const xsdt = rom.readUInt32LE(at + 24);
    const bytes = ram.readUInt32LE(xsdt + 4);
    expect(sum(ram.subarray(xsdt, xsdt + bytes))).toBe(0);
    const tables = [xsdt];
    for (let entry = 36; entry < bytes; entry += 8) tables.push(ram.readUInt32LE(xsdt + entry));
    const signatures = tables.map((table) => ram.toString("latin1", table, table + 4));
    expect(signatures).toEqual(["XSDT", "FACP", "APIC", "MCFG", "HPET"]);
    // The same for software of ACPI 1.0 (5.2.5.3: the first 20 bytes, and the RSDT).
    const rsdt = rom.readUInt32LE(at + 16);
    const old = ram.subarray(rsdt, rsdt + ram.readUInt32LE(rsdt + 4));
    expect([old.toString("latin1", 0, 4), sum(old)]).toEqual(["RSDT", 0]);
    const entries = tables.slice(1).map((_, index) => old.readUInt32LE(36 + 4 * index));
    expect([entries, old.length]).toEqual([tables.slice(1), 36 + 4 * entries.length]);
  });

  test("every BAR has an address of its own size in the PCI window; bus mastering is off", async () => {
    const mac = Uint8Array.of(0x52, 0x54, 0, 0, 0, 1);
    const { report } = await run({ kernel: probe(), mac });
    const card = report.functions.find(({ device }) => device === pciDevice.virtioNet)!;
    expect(card.command & 7).toBe(2);
    expect(card.bars).toEqual([address.pciWindow, address.pciWindow + 0x4000]);
  });

  const refused: [string, MachineOptions, string][] = [
    ["no kernel", {}, "no kernel: fw_cfg holds none"],
    ["a file without any header", { kernel: new Uint8Array(100) }, "speaks no boot protocol known here"],
    ["a kernel without a PVH note", { kernel: probe({ note: false }) }, "no ELF note with a PVH entry"],
    ["a segment outside of RAM", { kernel: probe({ data: 0x400_0000 }) }, "does not lie in RAM that is free"],
    ["an initrd that does not fit", { kernel: probe(), initrd: new Uint8Array(64 << 20) }, "out of memory"],
    [
      "a command line that is too long",
      { kernel: probe(), commandLine: "x".repeat(4096) },
      "longer than 4095",
    ],
  ];
  test.each(refused)("names %s and ends", async (_, options, words) => {
    const { console, machine } = await run(options);
    expect(console).toMatch(new RegExp(`^firmware: .*${words}`, "m"));
    const { powered, problem, exitCode } = machine;
    expect({ powered, problem, exitCode }).toEqual({ powered: false, problem: "", exitCode: 126 });
  });

  test("names an A20 gate that stays closed", async () => {
    // The code before the check, spoilt so that it closes the gate: and al, 0xfd.
    const firmware = firmwareImage().slice();
    const at = Buffer.from(firmware).indexOf(Buffer.from("0c02e692", "hex"));
    firmware.set([0x24, 0xfd], at);
    expect(at).toBeGreaterThan(0);
    expect((await run({ firmware })).console).toMatch(/^firmware: the A20 gate stays closed/m);
  });

  test("the longest command line that fits", async () => {
    const commandLine = "x".repeat(4094);
    expect((await run({ kernel: probe(), commandLine })).report.commandLine).toBe(commandLine);
  });

  test("the other cores wait for their SIPI", async () => {
    const { machine } = await run({ cores: 2 });
    expect(machine.runnable(1)).toBe(false);
  });
});
