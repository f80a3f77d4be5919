// What the board tells its firmware through fw_cfg, by QEMU's item numbers and file names.

import { item } from "../devices/fw-cfg.js";
import { acpiFiles } from "./acpi.js";
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
    ["etc/smbios/smbios-tables", smbiosTables(cores, ramBytes)] as const,
  ]);
  for (const [name, bytes] of files) {
    if (built.has(name)) throw new Error(`fw_cfg file ${name}: the board has one of that name itself`);
    built.set(name, bytes);
  }
  return built;
}

const RAM = 1;

/** `etc/e820`: {address u64, length u64, type u32}. RAM as fitted; the firmware takes its own share out. */
const memoryMap = (ramBytes: number): Uint8Array =>
  Uint8Array.from([...little(0, 8), ...little(ramBytes, 8), ...little(RAM, 4)]);

const little = (value: number, bytes: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, index) => Math.floor(value / 2 ** (8 * index)) & 0xff);
