// The board's ACPI tables, as the loader's script puts them together: ACPI 6.4, chapter 5. Intel's own
// disassembler reads them too, where it is installed.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { acpiFiles } from "../../emulator/board/acpi.js";
import * as aml from "../../emulator/board/aml.js";
import { address, port } from "../../emulator/board/map.js";

const TABLES_AT = 0x3f_0000;
const RSDP_AT = 0x9_0010;
const ascii = (text: string) => [...Buffer.from(text, "latin1")];
const name = (bytes: Buffer) => bytes.toString("latin1").replace(/\0.*$/s, "");

/** Runs the script as a firmware does. */
function load(cores: number): { tables: Buffer; rsdp: Buffer; allocations: unknown[] } {
  const files = new Map([...acpiFiles(cores)].map(([file, bytes]) => [file, Buffer.from(bytes)]));
  const base = new Map([
    ["etc/acpi/tables", TABLES_AT],
    ["etc/acpi/rsdp", RSDP_AT],
  ]);
  const script = files.get("etc/table-loader")!;
  const allocations: unknown[] = [];
  for (let at = 0; at < script.length; at += 128) {
    const entry = script.subarray(at, at + 128);
    const file = files.get(name(entry.subarray(4, 60)))!;
    const command = entry.readUInt32LE(0);
    if (command === 1) allocations.push([name(entry.subarray(4, 60)), entry.readUInt32LE(60), entry[64]]);
    else if (command === 2) {
      const [offset, size] = [entry.readUInt32LE(116), entry[120]];
      const pointee = base.get(name(entry.subarray(60, 116)))!;
      file.writeUIntLE(file.readUIntLE(offset, Math.min(size, 6)) + pointee, offset, Math.min(size, 6));
    } else if (command === 3) {
      const [offset, start, length] = [60, 64, 68].map((field) => entry.readUInt32LE(field));
      file[offset] -= sum(file.subarray(start, start + length));
    } else throw new Error(`command ${command}`);
  }
  return { tables: files.get("etc/acpi/tables")!, rsdp: files.get("etc/acpi/rsdp")!, allocations };
}

const sum = (bytes: Buffer) => bytes.reduce((total, byte) => total + byte, 0) & 0xff;

/** The tables by signature, found from the root as an operating system finds them. */
function walk(cores: number): Map<string, Buffer> {
  const { tables, rsdp } = load(cores);
  const table = (physical: bigint) => {
    const at = Number(physical) - TABLES_AT;
    return tables.subarray(at, at + tables.readUInt32LE(at + 4));
  };
  const found = new Map<string, Buffer>();
  const add = (bytes: Buffer) => found.set(bytes.toString("latin1", 0, 4), bytes);
  const xsdt = table(rsdp.readBigUInt64LE(24));
  add(xsdt);
  for (let at = 36; at < xsdt.length; at += 8) add(table(xsdt.readBigUInt64LE(at)));
  const rsdt = table(BigInt(rsdp.readUInt32LE(16)));
  add(rsdt);
  const entries = Array.from({ length: (xsdt.length - 36) / 8 }, (_, n) =>
    Number(xsdt.readBigUInt64LE(36 + 8 * n)),
  );
  expect(Array.from({ length: (rsdt.length - 36) / 4 }, (_, n) => rsdt.readUInt32LE(36 + 4 * n))).toEqual(
    entries,
  );
  const fadt = found.get("FACP")!;
  expect(fadt.readBigUInt64LE(140)).toBe(BigInt(fadt.readUInt32LE(40)));
  add(table(fadt.readBigUInt64LE(140)));
  add(table(BigInt(fadt.readUInt32LE(36))));
  return found;
}

test("the script allocates high memory for the tables and low memory for the root pointer", () => {
  expect(load(1).allocations).toEqual([
    ["etc/acpi/tables", 64, 1],
    ["etc/acpi/rsdp", 16, 2],
  ]);
});

test("the root pointer: signature, revision, both checksums", () => {
  const { rsdp } = load(1);
  expect([rsdp.toString("latin1", 0, 8), rsdp[15], rsdp.length]).toEqual(["RSD PTR ", 2, 36]);
  expect([sum(rsdp.subarray(0, 20)), sum(rsdp)]).toEqual([0, 0]);
});

test("every table is there, as long as it says, and its bytes add up to zero", () => {
  const tables = walk(4);
  expect([...tables.keys()].sort()).toEqual(["APIC", "DSDT", "FACP", "FACS", "HPET", "MCFG", "RSDT", "XSDT"]);
  for (const [signature, bytes] of tables) if (signature !== "FACS") expect(sum(bytes), signature).toBe(0);
});

test("FADT: ports of the map, hard reset by 0xCF9, ACPI mode from the start", () => {
  const fadt = walk(1).get("FACP")!;
  expect(fadt.length).toBe(268);
  expect([56, 64, 76].map((at) => fadt.readUInt32LE(at))).toEqual([
    port.pm1Event,
    port.pm1Control,
    port.pmTimer,
  ]);
  expect([fadt.readUInt32LE(48), fadt[88], fadt[89], fadt[91]]).toEqual([0, 4, 2, 4]);
  expect([fadt.readUInt16LE(46), fadt.readBigUInt64LE(120), fadt[128]]).toEqual([
    9,
    BigInt(port.resetControl),
    6,
  ]);
  expect(fadt.readUInt32LE(112) & (1 << 10)).toBe(1 << 10);
  expect([fadt[108], fadt.readUInt16LE(109)]).toEqual([0x32, 7]); // the clock's century; ISA devices, an 8042, no VGA
  expect(fadt.readUInt32LE(36) % 64).toBe(0); // the FACS
});

test("HPET: its block, where it is", () => {
  const hpet = walk(1).get("HPET")!;
  expect([hpet.length, hpet.readUInt32LE(36), hpet.readBigUInt64LE(44)]).toEqual([
    56,
    0x1b36_a201,
    BigInt(address.hpet),
  ]);
  expect([...hpet.subarray(40, 44)]).toEqual([0, 64, 0, 0]); // in memory
});

test.each([1, 2, 64])(
  "MADT: %i cores, the I/O APIC, the PIT on pin 2, the SCI by level, NMI on LINT1",
  (cores) => {
    const madt = walk(cores).get("APIC")!;
    expect([walk(cores).get("FACP")![8], madt[8]]).toEqual([5, 3]); // both of ACPI 5.0
    expect([madt.readUInt32LE(36), madt.readUInt32LE(40)]).toEqual([address.localApic, 1]);
    const entries: number[][] = [];
    for (let at = 44; at < madt.length; at += madt[at + 1])
      entries.push([...madt.subarray(at, at + madt[at + 1])]);
    expect(entries.filter(([type]) => type === 0)).toEqual(
      Array.from({ length: cores }, (_, core) => [0, 8, core, core, 1, 0, 0, 0]),
    );
    expect(entries.filter(([type]) => type !== 0)).toEqual([
      [1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
      [2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
      [2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0],
      [4, 6, 0xff, 0, 0, 1],
    ]);
  },
);

// ACPI 6.4, 5.2.12.2: "OSPM associates the Processor Local APIC Structure with a processor object declared in the namespace"
test.each([1, 2, 64])("each of %i processors of the MADT is one of the DSDT, by its _UID", (cores) => {
  const tables = walk(cores);
  const [madt, fadt, dsdt] = ["APIC", "FACP", "DSDT"].map((signature) => tables.get(signature)!);
  expect([fadt[8], madt[8]]).toEqual([5, 3]); // revisions of one ACPI: 5.0
  for (let core = 0; core < cores; core++) {
    const device = [...aml.name("_HID", aml.text("ACPI0007")), ...aml.name("_UID", aml.integer(core))];
    expect([core, dsdt.includes(Buffer.from(device))]).toEqual([core, true]);
  }
});

test("MCFG: 256 buses of ECAM", () => {
  const mcfg = walk(1).get("MCFG")!;
  expect([mcfg.readBigUInt64LE(44), mcfg[54], mcfg[55], mcfg.length]).toEqual([
    BigInt(address.ecam),
    0,
    255,
    60,
  ]);
});

describe("AML", () => {
  test.each([
    ["zero", aml.integer(0), [0]],
    ["one", aml.integer(1), [1]],
    ["a byte", aml.integer(0x80), [0x0a, 0x80]],
    ["a word", aml.integer(0x1234), [0x0b, 0x34, 0x12]],
    ["a double word", aml.integer(0x1234_5678), [0x0c, 0x78, 0x56, 0x34, 0x12]],
    ["a name", aml.name("_S5", aml.integer(0)), [0x08, 0x5f, 0x53, 0x35, 0x5f, 0]],
    ["a root name", aml.name("\\A", [1]), [0x08, 0x5c, 0x41, 0x5f, 0x5f, 0x5f, 1]],
    ["a string", aml.text("A"), [0x0d, 0x41, 0]],
    ["an EISA ID", aml.eisaId("PNP0A03"), [0x0c, 0x41, 0xd0, 0x0a, 0x03]],
    [
      "a method",
      aml.method("_OSC", 4, aml.returned(aml.argument(3))),
      [0x14, 8, ...ascii("_OSC"), 0x0c, 0xa4, 0x6b],
    ],
    ["a field", aml.dwordField(aml.argument(3), 4, "CDW2"), [0x8a, 0x6b, 0x0a, 4, ...ascii("CDW2")]],
    ["a package", aml.packageOf([0], [1]), [0x12, 4, 2, 0, 1]],
  ])("%s", (_, bytes, expected) => {
    expect([...bytes]).toEqual(expected);
  });

  test("package lengths of one, two and three bytes", () => {
    const lengths = [62, 63, 4092, 4093, 5000].map((body) => {
      const bytes = aml.scope("A", new Array<number>(body - 4).fill(0));
      return [...bytes.slice(1, 4), bytes.length];
    });
    expect(lengths).toEqual([
      [63, 0x41, 0x5f, 64],
      [0x41, 4, 0x41, 66],
      [0x4e, 0xff, 0x41, 4095],
      [0x4f, 0xff, 0x41, 4096],
      [0x8b, 0x38, 1, 5004],
    ]);
  });

  test("what cannot be written is refused", () => {
    expect(() => aml.name("lower", [0])).toThrow(/lower is not a name/);
    expect(() => aml.eisaId("PNP")).toThrow(/not an EISA ID/);
  });
});

const iasl = spawnSync("iasl", ["-v"]).status === 0;
if (!iasl) console.warn("skipped: ACPI tables through Intel's disassembler, because iasl is not installed");

test.skipIf(!iasl)("Intel's disassembler reads every table", () => {
  const folder = mkdtempSync(join(tmpdir(), "buslock-acpi-"));
  try {
    for (const [signature, bytes] of walk(2)) {
      const file = join(folder, `${signature}.aml`);
      writeFileSync(file, bytes);
      const { stdout, stderr } = spawnSync("iasl", ["-d", file], { encoding: "utf8" });
      expect(`${stdout}${stderr}`).not.toMatch(/error|warning/i);
    }
    const source = readFileSync(join(folder, "DSDT.dsl"), "utf8");
    // And its compiler has nothing to say of what it means.
    const { stdout, stderr } = spawnSync("iasl", ["-p", join(folder, "again"), join(folder, "DSDT.dsl")], {
      encoding: "utf8",
    });
    expect(`${stdout}${stderr}`).toContain("0 Errors, 0 Warnings, 0 Remarks");
    expect(source).toMatch(/Name \(\\_S5, Package \(0x04\)/);
    expect(source).toMatch(/EisaId \("PNP0A08"\)/);
    expect(source).toMatch(/Method \(_OSC, 4, Serialized\)/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
