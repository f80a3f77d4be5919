// The MultiProcessor configuration table, found and walked as an operating system does that knows no ACPI: Intel
// MultiProcessor Specification 1.4, chapter 4. What it says is compared with the ACPI tables' MADT, which says the same.

import { describe, expect, test } from "vitest";
import { acpiFiles } from "../../emulator/board/acpi.js";
import { address } from "../../emulator/board/map.js";
import { mpTable } from "../../emulator/board/mp-table.js";
import { Machine } from "../../emulator/machine.js";
import { firmwareImage } from "../../firmware/index.js";
import { probe } from "../firmware/probe.js";

const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => total + byte, 0) & 0xff;
const LENGTHS = [20, 8, 8, 8, 8];

/** Entries by type, each without its type. */
function walk(table: Buffer): Buffer[][] {
  expect([table.toString("latin1", 0, 4), table.readUInt16LE(4), sum(table)]).toEqual([
    "PCMP",
    table.length,
    0,
  ]);
  const found: Buffer[][] = LENGTHS.map(() => []);
  let [at, last, count] = [44, 0, 0];
  for (; at < table.length; count++) {
    const type = table[at]!;
    expect(type).toBeGreaterThanOrEqual(last); // 4.3: in this order
    found[type]!.push(table.subarray(at + 1, at + LENGTHS[type]!));
    at += LENGTHS[type]!;
    last = type;
  }
  expect([at, count]).toEqual([table.length, table.readUInt16LE(34)]);
  return found;
}

describe("the MultiProcessor table", () => {
  test.each([1, 4, 64])("%d cores, one of them the bootstrap processor; one I/O APIC, two buses", (cores) => {
    const table = Buffer.from(mpTable(cores));
    const [processors, buses, ioApics] = walk(table);
    expect(table.readUInt32LE(36)).toBe(address.localApic);
    expect(processors!.map((p) => [p[0], p[2]])).toEqual(
      Array.from({ length: cores }, (_, core) => [core, core === 0 ? 3 : 1]),
    );
    expect(buses!.map((b) => [b[0], b.toString("latin1", 1)])).toEqual([
      [0, "PCI   "],
      [1, "ISA   "],
    ]);
    expect(ioApics!.map((a) => [a[0], a[2], a.readUInt32LE(3)])).toEqual([[0, 1, address.ioApic]]);
  });

  test("interrupts are those of the MADT", () => {
    const interrupts = walk(Buffer.from(mpTable(2)))[3]!;
    const isa = interrupts.filter((i) => i[3] === 1);
    const overrides = new Map<number, [pin: number, flags: number]>();
    const tables = Buffer.from(acpiFiles(2).get("etc/acpi/tables")!);
    const madt = tables.indexOf("APIC");
    for (let at = madt + 44; at < madt + tables.readUInt32LE(madt + 4); at += tables[at + 1]!)
      if (tables[at] === 2)
        overrides.set(tables[at + 3]!, [tables.readUInt32LE(at + 4), tables.readUInt16LE(at + 8)]);
    expect(overrides.size).toBe(2);
    expect(isa.map((i) => [i[4], i[6], i.readUInt16LE(1)])).toEqual(
      Array.from({ length: 16 }, (_, line) => line)
        .filter((line) => line !== 2) // the 8259s' cascade
        .map((line) => [line, ...(overrides.get(line) ?? [line, 0])]),
    );
    for (const i of interrupts.filter((of) => of[3] === 0))
      expect([i[0], i[6]]).toEqual([0, 16 + ((i[4]! >> 2) % 4)]);
  });

  test("the firmware's pointer leads to it, from the first KiB of the extended BIOS data area", async () => {
    const machine = await Machine.create({ firmware: firmwareImage(), kernel: probe(), cores: 3 });
    machine.run({ limit: 20e6 });
    const area = Number(machine.read(0x40e, 2)) << 4;
    const first = Buffer.from(machine.ram.slice(area, area + 0x400));
    const at = first.indexOf("_MP_");
    expect(at % 16).toBe(0);
    const pointer = first.subarray(at, at + 16);
    expect([sum(pointer), pointer[8], pointer[9], pointer.readUInt32LE(11) & 0xff_ffff]).toEqual([
      0, 1, 4, 0,
    ]);
    const table = pointer.readUInt32LE(4);
    const expected = Buffer.from(mpTable(3));
    expect(Buffer.from(machine.ram.slice(table, table + expected.length)).equals(expected)).toBe(true);
  });
});
