// The board's ACPI tables: ACPI 6.4, chapter 5. They are written as if loaded at address 0, with a script of
// pointers to be moved and checksums to be made, in the format of QEMU's fw_cfg file `etc/table-loader`;
// the firmware places them. So the firmware knows nothing of the board, and the board nothing of memory.
// Invariant: every pointer in a table has an ADD_POINTER in the script, and a checksum comes after them.

import { SLEEP_TYPE_OFF, SLEEP_TYPE_RAM } from "../devices/acpi-pm.js";
import { BLOCK_ID as HPET_BLOCK_ID, BYTES as HPET_BYTES } from "../devices/hpet.js";
import * as aml from "./aml.js";
import { address, ioApicPitPin, line, pciDevice, pciLine, pciPin, port } from "./map.js";

const HEADER_BYTES = 36;
const CHECKSUM = 9;
const FACS_BYTES = 64;
const FADT_BYTES = 268;
const PM_TIMER_BYTES = 4;
const TABLES = "etc/acpi/tables";
const RSDP = "etc/acpi/rsdp";
const COM_PORTS = 8;
const PCI_DEVICES = 32;

/** The FADT's fixed feature flags. */
const fadtFlag = { wbinvd: 1, c1: 1 << 2, sleepButtonNone: 1 << 5, reset: 1 << 10 } as const;
/** IA-PC boot architecture: there are ISA devices and an 8042; no VGA. */
const bootArchitecture = { legacyDevices: 1, keyboardController: 2, vgaNone: 4 } as const;
/** Where the clock keeps the century. */
const RTC_CENTURY = 0x32;
/** MADT interrupt source override: polarity and trigger. */
const CONFORMS = 0;
const ACTIVE_HIGH_LEVEL = 0x0d;
/** What _PIC is told. */
const MODEL_PIC = 0;
const MODEL_APIC = 1;

/** Files for fw_cfg: the tables, the root pointer and the script that ties them together. */
export function acpiFiles(cores: number): Map<string, Uint8Array> {
  const tables = new TableFile();
  const facs = tables.append(facsTable());
  const dsdt = tables.appendTable("DSDT", 2, dsdtBody(cores));
  const fadt = tables.appendTable("FACP", 5, fadtBody());
  tables.pointer(TABLES, fadt + 36, 4, facs);
  tables.pointer(TABLES, fadt + 40, 4, dsdt);
  tables.pointer(TABLES, fadt + 140, 8, dsdt);
  // ACPI 5.0's, as the FADT's revision says: 4 is 6.0's.
  const madt = tables.appendTable("APIC", 3, madtBody(cores));
  const mcfg = tables.appendTable("MCFG", 1, mcfgBody());
  const hpet = tables.appendTable("HPET", 1, hpetBody());
  const listed = [fadt, madt, mcfg, hpet];
  const xsdt = tables.appendTable("XSDT", 1, new Uint8Array(8 * listed.length));
  for (const [index, table] of listed.entries())
    tables.pointer(TABLES, xsdt + HEADER_BYTES + 8 * index, 8, table);
  // For software of ACPI 1.0, which looks at no more of the root pointer than its first 20 bytes (ACPI 6.4, 5.2.5.3).
  const rsdt = tables.appendTable("RSDT", 1, new Uint8Array(4 * listed.length));
  for (const [index, table] of listed.entries())
    tables.pointer(TABLES, rsdt + HEADER_BYTES + 4 * index, 4, table);
  return tables.files(rsdt, xsdt);
}

/** Collects tables into one file, and the loader's script. */
class TableFile {
  #bytes: number[] = [];
  #checksums: [start: number, length: number][] = [];
  #pointers: { file: string; at: number; size: number; target: number }[] = [];

  /** Tables start on 64-byte boundaries, which the FACS demands. */
  append(bytes: Uint8Array): number {
    while (this.#bytes.length % 64 !== 0) this.#bytes.push(0);
    const at = this.#bytes.length;
    this.#bytes.push(...bytes);
    return at;
  }

  /** Puts the header that all tables share in front; its checksum is the loader's work. */
  appendTable(signature: string, revision: number, body: Uint8Array): number {
    const bytes = new Uint8Array(HEADER_BYTES + body.length);
    const view = new DataView(bytes.buffer);
    bytes.set(ascii(signature), 0);
    view.setUint32(4, bytes.length, true);
    bytes[8] = revision;
    bytes.set(ascii("BUSLCK"), 10);
    bytes.set(ascii("BOARD   "), 16);
    view.setUint32(24, 1, true);
    bytes.set(ascii("BLCK"), 28);
    view.setUint32(32, 1, true);
    bytes.set(body, HEADER_BYTES);
    const at = this.append(bytes);
    this.#checksums.push([at, bytes.length]);
    return at;
  }

  pointer(file: string, at: number, size: number, target: number): void {
    this.#pointers.push({ file, at, size, target });
  }

  files(rsdt: number, xsdt: number): Map<string, Uint8Array> {
    const rsdp = rsdpTable();
    this.pointer(RSDP, 16, 4, rsdt);
    this.pointer(RSDP, 24, 8, xsdt);
    const tables = Uint8Array.from(this.#bytes);
    // A pointer's field holds the offset in the file that it points into; the loader adds the base.
    for (const { file, at, target } of this.#pointers)
      new DataView((file === RSDP ? rsdp : tables).buffer).setUint32(at, target, true);
    const script = [
      allocate(TABLES, 64, zone.high),
      allocate(RSDP, 16, zone.fseg),
      ...this.#pointers.map(({ file, at, size }) => addPointer(file, TABLES, at, size)),
      ...this.#checksums.map(([start, length]) => addChecksum(TABLES, start + CHECKSUM, start, length)),
      addChecksum(RSDP, 8, 0, 20),
      addChecksum(RSDP, 32, 0, 36),
    ];
    return new Map([
      [TABLES, tables],
      [RSDP, rsdp],
      ["etc/table-loader", Uint8Array.from(script.flatMap((entry) => [...entry]))],
    ]);
  }
}

// --- The loader's script: 128-byte entries ---

const ENTRY_BYTES = 128;
const NAME_BYTES = 56;
const zone = { high: 1, fseg: 2 } as const;
const command = { allocate: 1, addPointer: 2, addChecksum: 3 } as const;

function entry(code: number, fill: (bytes: Uint8Array, view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, code, true);
  fill(bytes, view);
  return bytes;
}

const allocate = (file: string, alignment: number, where: number) =>
  entry(command.allocate, (bytes, view) => {
    bytes.set(ascii(file), 4);
    view.setUint32(4 + NAME_BYTES, alignment, true);
    bytes[8 + NAME_BYTES] = where;
  });

const addPointer = (file: string, pointee: string, at: number, size: number) =>
  entry(command.addPointer, (bytes, view) => {
    bytes.set(ascii(file), 4);
    bytes.set(ascii(pointee), 4 + NAME_BYTES);
    view.setUint32(4 + 2 * NAME_BYTES, at, true);
    bytes[8 + 2 * NAME_BYTES] = size;
  });

const addChecksum = (file: string, at: number, start: number, length: number) =>
  entry(command.addChecksum, (bytes, view) => {
    bytes.set(ascii(file), 4);
    view.setUint32(4 + NAME_BYTES, at, true);
    view.setUint32(8 + NAME_BYTES, start, true);
    view.setUint32(12 + NAME_BYTES, length, true);
  });

// --- The tables ---

function rsdpTable(): Uint8Array {
  const bytes = new Uint8Array(36);
  bytes.set(ascii("RSD PTR "), 0);
  bytes.set(ascii("BUSLCK"), 9);
  bytes[15] = 2; // revision: with XSDT
  new DataView(bytes.buffer).setUint32(20, bytes.length, true);
  return bytes;
}

function facsTable(): Uint8Array {
  const bytes = new Uint8Array(FACS_BYTES);
  bytes.set(ascii("FACS"), 0);
  new DataView(bytes.buffer).setUint32(4, FACS_BYTES, true);
  bytes[32] = 2; // version
  return bytes;
}

/** Offsets are the FADT's own, header included. */
function fadtBody(): Uint8Array {
  const bytes = new Uint8Array(FADT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(46, line.sci, true);
  // No SMI command port: the machine is in ACPI mode from the start.
  view.setUint32(56, port.pm1Event, true);
  view.setUint32(64, port.pm1Control, true);
  view.setUint32(76, port.pmTimer, true);
  bytes[88] = 4;
  bytes[89] = 2;
  bytes[91] = PM_TIMER_BYTES;
  view.setUint16(96, 0xffff, true); // no C2 state
  view.setUint16(98, 0xffff, true); // no C3 state
  bytes[108] = RTC_CENTURY;
  const { legacyDevices, keyboardController, vgaNone } = bootArchitecture;
  view.setUint16(109, legacyDevices | keyboardController | vgaNone, true);
  const { wbinvd, c1, sleepButtonNone, reset } = fadtFlag;
  view.setUint32(112, wbinvd | c1 | sleepButtonNone | reset, true);
  bytes.set(portRegister(port.resetControl, 8), 116);
  bytes[128] = 0x06; // hard reset
  bytes.set(portRegister(port.pm1Event, 32), 148);
  bytes.set(portRegister(port.pm1Control, 16), 172);
  bytes.set(portRegister(port.pmTimer, 32), 208);
  return bytes.subarray(HEADER_BYTES);
}

/** Generic address structure of an I/O port. */
function portRegister(number: number, bits: number): Uint8Array {
  const bytes = Uint8Array.of(1, bits, 0, { 8: 1, 16: 2, 32: 3 }[bits] ?? 0, 0, 0, 0, 0, 0, 0, 0, 0);
  new DataView(bytes.buffer).setUint32(4, number, true);
  return bytes;
}

function madtBody(cores: number): Uint8Array {
  const cpu = (core: number) => [0, 8, core, core, 1, 0, 0, 0];
  const ioApic = [1, 12, 0, 0, ...u32(address.ioApic), ...u32(0)];
  const override = (source: number, pin: number, flags: number) => [2, 10, 0, source, ...u32(pin), flags, 0];
  const lint1Nmi = [4, 6, 0xff, 0, 0, 1];
  return Uint8Array.from([
    ...u32(address.localApic),
    ...u32(1), // there is an 8259 pair
    ...Array.from({ length: cores }, (_, core) => cpu(core)).flat(),
    ...ioApic,
    ...override(line.pit, ioApicPitPin, CONFORMS),
    ...override(line.sci, line.sci, ACTIVE_HIGH_LEVEL),
    ...lint1Nmi,
  ]);
}

function mcfgBody(): Uint8Array {
  const buses = (address.ecamEnd - address.ecam) / 2 ** 20;
  return Uint8Array.from([
    ...u32(0),
    ...u32(0),
    ...u32(address.ecam),
    ...u32(0),
    0,
    0,
    0,
    buses - 1,
    ...u32(0),
  ]);
}

/** IA-PC HPET Specification, 3.2.4: block, generic address, number, minimum tick, page protection. */
function hpetBody(): Uint8Array {
  const memory = [0, 64, 0, 0];
  return Uint8Array.from([...u32(HPET_BLOCK_ID), ...memory, ...u32(address.hpet), ...u32(0), 0, 0x80, 0, 0]);
}

/**
 * _OSC of a PCI Express host bridge (ACPI 6.4, 6.2.11.3; PCI Firmware Specification 3.2, 4.5.1): the operating system asks for
 * control of hot-plug, PME and the like. The firmware uses none of it, so all that is asked for is granted. Another UUID is
 * refused by bit 2 of the first word, another revision by bit 3.
 */
function pciControl(): readonly number[] {
  const [id, revision, capabilities] = [aml.argument(0), aml.argument(1), aml.argument(3)];
  const status = aml.reference("CDW1");
  const known = aml.equal(id, aml.uuid("33DB4D5B-1FF7-401C-9657-7441C03DD766"));
  return aml.method(
    "_OSC",
    4,
    aml.dwordField(capabilities, 0, "CDW1"),
    aml.ifThen(
      known,
      aml.ifThen(aml.equal(revision, aml.integer(1)), aml.returned(capabilities)),
      aml.or(status, aml.integer(1 << 3), status),
      aml.returned(capabilities),
    ),
    aml.or(status, aml.integer(1 << 2), status),
    aml.returned(capabilities),
  );
}

/** A processor, by the number that the MADT has for its local APIC (ACPI 6.4, 5.2.12.2 and 8.4). */
const processor = (core: number) =>
  aml.device(
    `C${core.toString(16).toUpperCase().padStart(3, "0")}`,
    aml.name("_HID", aml.text("ACPI0007")),
    aml.name("_UID", aml.integer(core)),
  );

function dsdtBody(cores: number): Uint8Array {
  const routes = (of: (device: number) => number) =>
    aml.packageOf(
      ...Array.from({ length: PCI_DEVICES }, (_, device) =>
        aml.packageOf(
          aml.integer(device * 0x1_0000 + 0xffff),
          aml.integer(0),
          aml.integer(0),
          aml.integer(of(device)),
        ),
      ),
    );
  const model = aml.reference("\\PICF");
  const pci = aml.device(
    "PCI0",
    aml.name("_HID", aml.eisaId("PNP0A08")),
    aml.name("_CID", aml.eisaId("PNP0A03")),
    aml.name("_UID", aml.integer(pciDevice.hostBridge)),
    aml.name(
      "_CRS",
      aml.resources(
        aml.busNumbers(0, (address.ecamEnd - address.ecam) / 2 ** 20 - 1),
        aml.io(port.pciAddress, 8),
        aml.ioWindow(0, port.pciAddress - 1),
        aml.ioWindow(port.pciAddress + 8, 0xffff),
        aml.memoryWindow(address.pciWindow, address.pciWindowEnd - 1),
      ),
    ),
    // Global system interrupts are pins of the I/O APIC, or, to an operating system that uses the 8259 pair, ISA lines.
    aml.method(
      "_PRT",
      0,
      aml.ifThen(aml.equal(model, aml.integer(MODEL_APIC)), aml.returned(routes(pciPin))),
      aml.returned(routes(pciLine)),
    ),
    pciControl(),
  );
  const com1 = aml.device(
    "COM1",
    aml.name("_HID", aml.eisaId("PNP0501")),
    aml.name("_UID", aml.integer(1)),
    aml.name("_CRS", aml.resources(aml.io(port.com1, COM_PORTS), aml.irq(line.com1))),
  );
  const keyboard = aml.device(
    "KBD",
    aml.name("_HID", aml.eisaId("PNP0303")),
    aml.name(
      "_CRS",
      aml.resources(aml.io(port.keyboardData, 1), aml.io(port.keyboardControl, 1), aml.irq(line.keyboard)),
    ),
  );
  const mouse = aml.device(
    "MOU",
    aml.name("_HID", aml.eisaId("PNP0F13")),
    aml.name("_CRS", aml.resources(aml.irq(line.mouse))),
  );
  const rtc = aml.device(
    "RTC",
    aml.name("_HID", aml.eisaId("PNP0B00")),
    aml.name("_CRS", aml.resources(aml.io(port.rtc, 2), aml.irq(line.rtc))),
  );
  const hpet = aml.device(
    "HPET",
    aml.name("_HID", aml.eisaId("PNP0103")),
    aml.name("_CRS", aml.resources(aml.memoryFixed(address.hpet, HPET_BYTES))),
  );
  // What the board keeps for itself: the ECAM window and the power management ports.
  const board = aml.device(
    "MBRD",
    aml.name("_HID", aml.eisaId("PNP0C02")),
    aml.name("_UID", aml.integer(1)),
    aml.name(
      "_CRS",
      aml.resources(
        aml.memoryFixed(address.ecam, address.ecamEnd - address.ecam),
        aml.io(port.pm1Event, port.pmTimer + PM_TIMER_BYTES - port.pm1Event),
      ),
    ),
  );
  const processors = Array.from({ length: cores }, (_, core) => processor(core));
  const sleepState = (type: number) =>
    aml.packageOf(aml.integer(type), aml.integer(type), aml.integer(0), aml.integer(0));
  return Uint8Array.from([
    ...aml.name("\\_S3", sleepState(SLEEP_TYPE_RAM)),
    ...aml.name("\\_S5", sleepState(SLEEP_TYPE_OFF)),
    // _PIC (ACPI 6.4, 5.8.1): the operating system says which interrupt controllers it uses; until then the 8259 pair.
    ...aml.name("\\PICF", aml.integer(MODEL_PIC)),
    ...aml.method("\\_PIC", 1, aml.store(aml.argument(0), model)),
    ...aml.scope("\\_SB", ...processors, pci, keyboard, mouse, com1, rtc, hpet, board),
  ]);
}

const ascii = (text: string) => new TextEncoder().encode(text);
const u32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
