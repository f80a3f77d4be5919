// The board's SMBIOS structures: DMTF DSP0134, 3.0, chapter 7. One function, one structure; the firmware places them and
// has the entry point (fw_cfg file etc/smbios/smbios-tables, as QEMU names it).
// Invariant: strings stand behind their structure in the order of their numbers; type 127 is last.

import { SIGNATURE } from "../cpu/cpuid.js";
import { address } from "./map.js";

/** A structure's fields behind its header: bytes, or a text, which becomes its number. */
type Field = readonly number[] | string;

const NONE = 0xffff;
const NO_ERRORS = 0xfffe; // no handle of error information
const UNKNOWN = 2;
const SAFE = 3;

export function smbiosTables(cores: number, ramBytes: number): Uint8Array {
  const handle = {
    bios: 0,
    system: 1,
    chassis: 2,
    processor: 3,
    array: 4,
    device: 5,
    mapped: 6,
    boot: 7,
    end: 8,
  };
  return Uint8Array.from([
    ...structure(0, handle.bios, [
      ...["Buslock", "1"],
      u16(address.lowRom >> 4),
      "01/01/2026",
      [0], // 64 KiB of ROM
      u32(1 << 3), // characteristics are not told...
      u32(0),
      [1, 0], // ...but that there is ACPI
      [1, 0, 0xff, 0xff], // release 1.0; no controller with firmware of its own
    ]),
    ...structure(1, handle.system, [
      ...["Buslock", "Buslock board", "1", [0]],
      Array<number>(16).fill(0), // no UUID
      [6, 0, 0], // woken by the power switch
    ]),
    ...structure(3, handle.chassis, [
      "Buslock",
      [UNKNOWN, 0, 0, 0, SAFE, SAFE, SAFE, UNKNOWN],
      u32(0),
      [0, 0, 0, 0],
      [0], // no SKU number
    ]),
    ...structure(4, handle.processor, [
      "CPU 0",
      [3, UNKNOWN], // a central processor
      "AMD",
      u32(SIGNATURE),
      u32(0),
      "Buslock x86-64 processor",
      [0x80, ...u16(0), ...u16(1000), ...u16(1000)],
      [0x41, UNKNOWN], // populated and enabled
      [...u16(NONE), ...u16(NONE), ...u16(NONE)],
      [0, 0, 0, cores, cores, cores],
      [...u16(1 << 2), ...u16(UNKNOWN)], // 64 bits
      [...u16(cores), ...u16(cores), ...u16(cores)], // as above, in words: 3.0's structure has them
    ]),
    ...structure(16, handle.array, [
      [SAFE, SAFE, SAFE], // on the board, system memory, no error correction
      [...u32(ramBytes / 1024), ...u16(NO_ERRORS), ...u16(1)],
      Array<number>(8).fill(0),
    ]),
    ...structure(17, handle.device, [
      [...u16(handle.array), ...u16(NO_ERRORS), ...u16(64), ...u16(64)],
      ...[memorySize(ramBytes), [9, 0], "DIMM 0", [0]],
      [7, ...u16(1 << 2), ...u16(0), 0, 0, 0, 0, 0, ...u32(0), ...u16(0)], // RAM, of a kind not told
      [...u16(0), ...u16(0), ...u16(0)], // nor its voltages
    ]),
    ...structure(19, handle.mapped, [
      [...u32(0), ...u32(ramBytes / 1024 - 1), ...u16(handle.array), 1],
      Array<number>(16).fill(0),
    ]),
    ...structure(32, handle.boot, [Array<number>(7).fill(0)]),
    ...structure(127, handle.end, []),
  ]);
}

/** In MiB, or with bit 15 in KiB where that is no whole number. */
const memorySize = (bytes: number): number[] => {
  const [mib, kib] = [bytes / 2 ** 20, bytes / 1024];
  if (Number.isInteger(mib)) return u16(mib);
  return u16(kib < 0x7fff ? 0x8000 | kib : Math.floor(mib));
};

function structure(type: number, handle: number, fields: readonly Field[]): number[] {
  const strings: string[] = [];
  const body = fields.flatMap((field) => (typeof field === "string" ? [strings.push(field)] : field));
  const texts =
    strings.length === 0 ? [0] : strings.flatMap((text) => [...Buffer.from(`${text}\0`, "latin1")]);
  return [type, 4 + body.length, ...u16(handle), ...body, ...texts, 0];
}

const u16 = (value: number) => [value & 0xff, (value >>> 8) & 0xff];
const u32 = (value: number) => [...u16(value), ...u16(value >>> 16)];
