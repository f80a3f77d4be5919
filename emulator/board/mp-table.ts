// The board for software that knows no ACPI: the configuration table of the Intel MultiProcessor Specification 1.4, chapter 4.
// The firmware places it, and has the pointer that is searched for (fw_cfg file etc/mp-table, a name of our own).
// Entries stand in the order of their types; what they say of interrupts is what ACPI's tables say.

import { cpuid, SIGNATURE } from "../cpu/cpuid.js";
import { address, DISKS_MAX, ISA_LINES, ioApicPitPin, line, pciDevice, pciPin } from "./map.js";

const HEADER_BYTES = 44;
const CHECKSUM = 7;
const REVISION = 4; // 1.4
const LOCAL_APIC_VERSION = 0x14;
const IO_APIC_VERSION = 0x20;
const IO_APIC_ID = 0;
const ALL_LOCAL_APICS = 0xff;

const entry = { processor: 0, bus: 1, ioApic: 2, ioInterrupt: 3, localInterrupt: 4 } as const;
const bus = { pci: 0, isa: 1 } as const;
const interrupt = { vectored: 0, nmi: 1, external: 3 } as const;
const ENABLED = 1;
const BOOTSTRAP = 2;
/** Polarity and trigger: as the bus has it, or as the SCI is. */
const CONFORMS = 0;
const ACTIVE_HIGH_LEVEL = 0x0d;

export function mpTable(cores: number): Uint8Array {
  const entries = [
    ...Array.from({ length: cores }, (_, core) => processor(core, cores)),
    [entry.bus, bus.pci, ...text("PCI", 6)],
    [entry.bus, bus.isa, ...text("ISA", 6)],
    [entry.ioApic, IO_APIC_ID, IO_APIC_VERSION, ENABLED, ...u32(address.ioApic)],
    ...pciDevices().map((device) => ioInterrupt(bus.pci, device << 2, pciPin(device), CONFORMS)),
    ...Array.from({ length: ISA_LINES }, (_, number) => number)
      .filter((number) => number !== line.cascade)
      .map((number) =>
        ioInterrupt(
          bus.isa,
          number,
          number === line.pit ? ioApicPitPin : number,
          number === line.sci ? ACTIVE_HIGH_LEVEL : CONFORMS,
        ),
      ),
    // Virtual wire mode: LINT0 of the bootstrap processor passes on what the 8259 pair has, every LINT1 is NMI.
    [entry.localInterrupt, interrupt.external, ...u16(CONFORMS), bus.isa, 0, 0, 0],
    [entry.localInterrupt, interrupt.nmi, ...u16(CONFORMS), bus.isa, 0, ALL_LOCAL_APICS, 1],
  ];
  const bytes = Uint8Array.from([
    ...text("PCMP", 4),
    ...u16(HEADER_BYTES + entries.reduce((sum, { length }) => sum + length, 0)),
    REVISION,
    0,
    ...text("BUSLOCK", 8),
    ...text("BOARD", 12),
    ...u32(0), // no table of the manufacturer's
    ...u16(0),
    ...u16(entries.length),
    ...u32(address.localApic),
    ...u32(0), // nothing behind
    ...entries.flat(),
  ]);
  bytes[CHECKSUM] = -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return bytes;
}

function processor(core: number, cores: number): number[] {
  const [, , , features] = cpuid(1, 0, { core, cores, apicEnabled: true });
  const flags = core === 0 ? ENABLED | BOOTSTRAP : ENABLED;
  const reserved = new Array<number>(8).fill(0);
  return [entry.processor, core, LOCAL_APIC_VERSION, flags, ...u32(SIGNATURE), ...u32(features), ...reserved];
}

/** Those that may have a card; all use INTA. */
function pciDevices(): number[] {
  const { hostBridge, firstDisk, ...single } = pciDevice;
  return [
    ...Object.values(single),
    ...Array.from({ length: DISKS_MAX }, (_, disk) => firstDisk + disk),
  ].filter((device) => device !== hostBridge);
}

function ioInterrupt(from: number, source: number, pin: number, flags: number): number[] {
  return [entry.ioInterrupt, interrupt.vectored, ...u16(flags), from, source, IO_APIC_ID, pin];
}

/** ASCII, filled up with blanks. */
const text = (value: string, bytes: number) => [...Buffer.from(value.padEnd(bytes), "latin1")];
const u16 = (value: number) => [value & 0xff, value >>> 8];
const u32 = (value: number) => [...u16(value & 0xffff), ...u16(value >>> 16)];
