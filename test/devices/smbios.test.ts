// The board's SMBIOS structures, walked as an operating system walks them (DMTF DSP0134, 3.0, 6.1), and their entry point
// behind the firmware.

import { describe, expect, test } from "vitest";
import { smbiosTables } from "../../emulator/board/smbios.js";
import { Machine } from "../../emulator/machine.js";
import { firmwareImage } from "../../firmware/index.js";
import { probe } from "../firmware/probe.js";

interface Structure {
  readonly type: number;
  readonly bytes: Buffer;
  readonly strings: readonly string[];
}

function walk(table: Buffer): Structure[] {
  const found: Structure[] = [];
  for (let at = 0; ; ) {
    const [type, length] = [table[at]!, table[at + 1]!];
    const strings = at + length;
    const end = table.indexOf("\0\0", strings, "latin1");
    if (end < 0) throw new Error(`the structure of type ${type} at ${at} has no end`);
    found.push({
      type,
      bytes: table.subarray(at, strings),
      strings: table.toString("latin1", strings, end).split("\0"),
    });
    if (type === 127) return found;
    at = end + 2;
  }
}

describe("SMBIOS", () => {
  // Lengths of 3.0, chapter 7.
  test("every structure that the standard wants, with the length and the strings that it says", () => {
    const table = Buffer.from(smbiosTables(2, 256 << 20));
    const structures = walk(table);
    expect(structures.map(({ type, bytes }) => [type, bytes.length])).toEqual([
      [0, 0x18],
      [1, 0x1b],
      [3, 0x16],
      [4, 0x30],
      [16, 0x17],
      [17, 0x28],
      [19, 0x1f],
      [32, 0x0b],
      [127, 4],
    ]);
    expect(structures.map(({ bytes }) => bytes.readUInt16LE(2))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    const system = structures[1]!;
    expect([...system.bytes.subarray(4, 7)].map((n) => system.strings[n - 1])).toEqual([
      "Buslock",
      "Buslock board",
      "1",
    ]);
    const [processor, device, mapped] = [structures[3]!, structures[5]!, structures[6]!].map(
      ({ bytes }) => bytes,
    ) as [Buffer, Buffer, Buffer];
    expect([...processor.subarray(0x23, 0x26)]).toEqual([2, 2, 2]);
    expect([0x2a, 0x2c, 0x2e].map((at) => processor.readUInt16LE(at))).toEqual([2, 2, 2]);
    expect(device.readUInt16LE(0x0c)).toBe(256);
    expect(mapped.readUInt32LE(8)).toBe((256 << 10) - 1);
  });

  test("the firmware's entry point is where one looks for it, adds up, and leads to the structures", async () => {
    const machine = await Machine.create({
      firmware: firmwareImage(),
      kernel: probe(),
      cores: 3,
      memory: 32 << 20,
    });
    machine.run({ limit: 20e6 });
    const rom = Buffer.from(firmwareImage());
    const places = Array.from({ length: rom.length / 16 }, (_, n) => 16 * n);
    const at = places.find((place) => rom.toString("latin1", place, place + 5) === "_SM3_")!;
    const entry = rom.subarray(at, at + rom[at + 6]!);
    expect(entry.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
    const [most, where] = [entry.readUInt32LE(12), Number(entry.readBigUInt64LE(16))];
    const table = Buffer.from(smbiosTables(3, 32 << 20));
    expect(table.length).toBeLessThanOrEqual(most);
    expect(Buffer.from(machine.ram.subarray(where, where + table.length))).toEqual(table);
  });
});
