// Where the firmware keeps things in RAM: one reserved area of 64 KiB below 640 KiB, which the memory map
// withholds from the kernel, since the start information that it reads lies there. The BIOS data area
// names it as the extended BIOS data area, in whose first KiB ACPI's root pointer may be found.
//
//   9_0000 EBDA: its size in KiB, pool for the RSDP, MP pointer  9_5000 table-loader script
//   9_0400 variables                                             9_9000 files that the script placed, 9_9800 XSDT
//   9_0800 start information, module list, memory map            9_A000 head of the kernel's image
//   9_1000 command line                                          9_C000 its ELF notes
//   9_2000 etc/e820, 9_2400 MultiProcessor configuration table   9_D000 GDT, then multiboot information and map
//   9_3000 fw_cfg's file directory                               9_D800 SMBIOS structures
//                                                                9_E000 Linux's boot_params
//                                                                A_0000 stack, downwards

import { dword, type MemoryOperand } from "./assembler.js";

export const area = 0x9_0000;
export const areaEnd = 0xa_0000;
export const ebdaPointer = 0x40e;
/** Interrupt vectors of real mode and the BIOS data area end here. */
export const biosDataEnd = 0x500;

export const rsdpPool = area + 0x10;
export const rsdpPoolEnd = area + 0x3f0;
export const mpPointer = area + 0x3f0;
const variables = area + 0x400;
const variablesEnd = area + 0x800;
export const startInfo = area + 0x800;
export const moduleList = area + 0x840;
export const memoryMap = area + 0x880;
export const memoryMapEntriesMax = 64;
export const commandLine = area + 0x1000;
export const commandLineBytesMax = 0x1000;
export const e820 = area + 0x2000;
export const e820BytesMax = 0x400;
export const mpTable = area + 0x2400;
export const mpTableBytesMax = 0xc00;
export const directory = area + 0x3000;
export const directoryEntriesMax = 127;
export const script = area + 0x5000;
export const scriptBytesMax = 0x4000;
export const placedFiles = area + 0x9000;
export const placedFilesMax = 16;
/** The table of all ACPI tables, to which the pointer in the ROM leads, and the one of ACPI 1.0. */
export const rootTable = area + 0x9800;
export const rootTableBytesMax = 0x500;
export const oldRootTable = area + 0x9d00;
export const oldRootTableBytesMax = 0x300;
export const imageHead = area + 0xa000;
export const imageHeadBytes = 0x2000;
export const notes = area + 0xc000;
export const notesBytesMax = 0x1000;
export const gdt = area + 0xd000;
export const multibootInfo = area + 0xd100;
export const multibootMap = area + 0xd200;
export const smbios = area + 0xd800;
export const smbiosBytesMax = 0x800;
export const bootParameters = area + 0xe000;
export const bootParametersBytes = 0x1000;
/** Six pages that take the place of the directory and the script, when both have been read for the last time. */
export const pageTables = directory;

/** Segments; Linux wants code and data at these (__BOOT_CS, __BOOT_DS). */
export const selector = { code: 0x10, data: 0x18, tss: 0x20, code16: 0x28, data16: 0x30 } as const;
/**
 * The multiboot specification leaves the selectors open, but small kernels load their own GDT and not their segments: they
 * count on QEMU's.
 */
export const multibootSelector = { code: 0x08, data: 0x10 } as const;

/** The DMA command: 16 bytes at the start of the variables. */
export const dmaCommand = variables;
const DMA_COMMAND_BYTES = 16;

const names = [
  "cores",
  "coresReady",
  "fileCount",
  "ramEnd",
  "ramTop",
  "acpiStart",
  "rsdpPool",
  "rsdp",
  "placedCount",
  "scriptLeft",
  "key",
  "size",
  "kernelBytes",
  "protocol",
  "entryBits",
  "multibootHeader",
  "kernelEnd",
  "entry",
  "entryHigh",
  "entryLoaded",
  "elfClass",
  "headersLeft",
  "headerBytes",
  "segmentType",
  "segmentOffset",
  "segmentAddress",
  "segmentVirtual",
  "segmentVirtualHigh",
  "segmentFileBytes",
  "segmentMemoryBytes",
  "initrd",
  "initrdBytes",
  "commandLineBytes",
  "e820Bytes",
  "mapEntries",
  "pciNext",
  "ioNext",
] as const;

/** A variable of 32 bits, as an operand. */
export function variable(name: (typeof names)[number]): MemoryOperand {
  const address = variables + DMA_COMMAND_BYTES + 4 * names.indexOf(name);
  if (address >= variablesEnd) throw new RangeError(`variable ${name}: out of room`);
  return dword(address);
}
