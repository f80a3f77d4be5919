// What the board tells its firmware through fw_cfg, by QEMU's item numbers and file names.

import { item } from "../devices/fw-cfg.js";
import { acpiFiles } from "./acpi.js";
import { mpTable } from "./mp-table.js";
import { smbiosTables } from "./smbios.js";

export interface Configuration {
  cores: number;
  ramBytes: number;
  kernel?: Uint8Array;
  initrd?: Uint8Array;
  commandLine?: string;
  files?: ReadonlyMap<string, Uint8Array>;
}

const EMPTY = new Uint8Array(0);

export function configurationItems(configuration: Configuration): Map<number, Uint8Array> {
  const { cores, ramBytes, kernel = EMPTY, initrd = EMPTY, commandLine = "" } = configuration;
  const line = new TextEncoder().encode(`${commandLine}\0`);
  return new Map([
    [item.UUID, new Uint8Array(16)],
    [item.RAM_SIZE, little(ramBytes, 8)],
    [item.NOGRAPHIC, little(1, 2)],
    [item.NB_CPUS, little(cores, 2)],
    [item.MAX_CPUS, little(cores, 2)],
    [item.KERNEL_SIZE, little(kernel.length, 4)],
    [item.KERNEL_DATA, kernel],
    [item.INITRD_SIZE, little(initrd.length, 4)],
    [item.INITRD_DATA, initrd],
    [item.CMDLINE_SIZE, little(line.length, 4)],
    [item.CMDLINE_DATA, line],
  ]);
}

export function configurationFiles(configuration: Configuration): Map<string, Uint8Array> {
  const { cores, ramBytes, files = new Map<string, Uint8Array>() } = configuration;
  const built = new Map([
    ...acpiFiles(cores),
    ["etc/e820", memoryMap(ramBytes)] as const,
    ["etc/mp-table", mpTable(cores)] as const,
    ["etc/smbios/smbios-tables", smbiosTables(cores, ramBytes)] as const,
  ]);
  for (const [name, bytes] of files) {
    if (built.has(name)) throw new Error(`fw_cfg file ${name}: the board has one of that name itself`);
    built.set(name, bytes);
  }
  return built;
}

/**
 * What a PC's self-test leaves in the clock's memory (IBM PC AT Technical Reference, "CMOS RAM"): conventional memory and
 * what is above 1 MiB in KiB, twice, and the sum of 10H to 2DH; by QEMU's and SeaBIOS's habit what is above 16 MiB in units
 * of 64 KiB, and the number of the last core.
 */
export function batteryMemory(cores: number, ramBytes: number): Map<number, number> {
  const memory = new Map<number, number>();
  const put = (at: number, value: number) => {
    for (const [byte, bits] of little(value, 2).entries()) memory.set(at + byte, bits);
  };
  const above = (bytes: number, unit: number) => Math.min(0xffff, Math.max(0, ramBytes - bytes) / unit);
  memory.set(cmos.equipment, MATH_COPROCESSOR | MOUSE);
  put(cmos.conventional, CONVENTIONAL_KIB);
  for (const at of cmos.extended) put(at, above(1 << 20, 1 << 10));
  put(cmos.above16, above(16 << 20, 64 << 10));
  memory.set(cmos.lastCore, cores - 1);
  let sum = 0;
  for (let at = cmos.summed[0]; at <= cmos.summed[1]; at++) sum += memory.get(at) ?? 0;
  memory.set(cmos.sum, sum >> 8);
  memory.set(cmos.sum + 1, sum & 0xff);
  return memory;
}

const cmos = {
  equipment: 0x14,
  conventional: 0x15,
  extended: [0x17, 0x30],
  sum: 0x2e,
  summed: [0x10, 0x2d],
  above16: 0x34,
  lastCore: 0x5f,
} as const;
const MATH_COPROCESSOR = 2;
const MOUSE = 4;
const CONVENTIONAL_KIB = 640;
const RAM = 1;

/** `etc/e820`: {address u64, length u64, type u32}. RAM as fitted; the firmware takes its own share out. */
const memoryMap = (ramBytes: number): Uint8Array =>
  Uint8Array.from([...little(0, 8), ...little(ramBytes, 8), ...little(RAM, 4)]);

const little = (value: number, bytes: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, index) => Math.floor(value / 2 ** (8 * index)) & 0xff);
