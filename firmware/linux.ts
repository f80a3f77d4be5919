// Linux's boot protocol (Linux Documentation/arch/x86/boot.rst): an image that begins with a real-mode part, whose
// setup header says where the rest belongs. It is entered in protected mode, or at its 64-bit entry when the fw_cfg file
// opt/buslock/entry holds 64; both get boot_params in ESI. The real-mode part is not run, since it wants a BIOS.
// Invariant: from the image's place on, init_size bytes are RAM that nothing else of ours lies in.

import {
  Address,
  type Assembler,
  byte,
  cr0,
  cr3,
  cr4,
  dword,
  eax,
  ebp,
  ebx,
  ecx,
  edi,
  edx,
  esi,
  FarOperand,
  word,
} from "./assembler.js";
import { fail } from "./console.js";
import {
  bootParameters,
  bootParametersBytes,
  commandLine,
  gdt,
  imageHead,
  memoryMap,
  pageTables,
  selector,
  variable,
} from "./layout.js";

/** Offsets in the image's first sectors and, from `first` on, in boot_params as well. */
const header = {
  first: 0x1f1,
  setupSectors: 0x1f1,
  bootFlag: 0x1fe,
  jumpDistance: 0x201,
  magic: 0x202,
  version: 0x206,
  loader: 0x210,
  loadFlags: 0x211,
  codeStart: 0x214,
  initrd: 0x218,
  initrdBytes: 0x21c,
  commandLine: 0x228,
  initrdMax: 0x22c,
  commandLineMax: 0x238,
  relocatable: 0x234,
  entries: 0x236,
  preferred: 0x258,
  initBytes: 0x260,
} as const;
/** What else of boot_params is filled in ("The zero page", Documentation/arch/x86/zero-page.rst). */
const parameters = { rsdp: 0x70, mapEntries: 0x1e8, map: 0x2d0 } as const;
const MAP_ENTRY_BYTES = 20;
const MAGIC = 0x5372_6448; // "HdrS"
const BOOT_FLAG = 0xaa55;
const VERSION_WITH_INIT_SIZE = 0x020a;
const LOADED_HIGH = 1;
const ENTRY_64 = 1;
const UNKNOWN_LOADER = 0xff;
const SECTOR = 512;
const ENTRY_64_OFFSET = 0x200;

const field = (at: number) => dword(imageHead + at);

/** Goes to `other` unless the image has a setup header. */
export function checkLinux(a: Assembler, other: string): void {
  const { op } = a;
  op.cmp(word(imageHead + header.bootFlag), BOOT_FLAG);
  op.jne(other);
  op.cmp(field(header.magic), MAGIC);
  op.jne(other);
}

/** Puts the protected-mode part where it wants to be. `entry` is its 32-bit entry. */
export function loadLinux(a: Assembler): void {
  const { op } = a;
  op.cmp(word(imageHead + header.version), VERSION_WITH_INIT_SIZE);
  op.jb("loadLinux.old");
  op.test(byte(imageHead + header.loadFlags), LOADED_HIGH);
  op.jne("loadLinux.known");
  a.label("loadLinux.old");
  fail(a, "the Linux image is a zImage or its boot protocol is older than 2.10");
  a.label("loadLinux.known");
  op.mov(eax, field(header.codeStart));
  op.cmp(byte(imageHead + header.relocatable), 0);
  op.je("loadLinux.placed");
  op.cmp(field(header.preferred + 4), 0);
  op.jne("loadLinux.placed");
  op.mov(eax, field(header.preferred));
  a.label("loadLinux.placed");
  op.mov(variable("entry"), eax);
  op.mov(variable("segmentAddress"), eax);
  op.movzx(eax, byte(imageHead + header.setupSectors));
  op.test(eax, eax);
  op.jne("loadLinux.sectors");
  op.mov(eax, 4);
  a.label("loadLinux.sectors");
  op.inc(eax);
  op.imul(eax, eax, SECTOR);
  op.mov(variable("segmentOffset"), eax);
  op.mov(ecx, variable("kernelBytes"));
  op.sub(ecx, eax);
  op.ja("loadLinux.whole");
  fail(a, "the Linux image ends before its protected-mode part");
  a.label("loadLinux.whole");
  op.mov(variable("segmentFileBytes"), ecx);
  op.mov(edx, field(header.initBytes));
  op.cmp(edx, ecx);
  op.jae("loadLinux.sized");
  op.mov(edx, ecx);
  a.label("loadLinux.sized");
  op.mov(variable("segmentMemoryBytes"), edx);
  op.call("loadSegment");
  // The initial file system may have to lie lower than the top of RAM.
  op.mov(eax, field(header.initrdMax));
  op.and(eax, ~0xfff >>> 0);
  op.cmp(variable("ramTop"), eax);
  op.jbe("loadLinux.end");
  op.mov(variable("ramTop"), eax);
  a.label("loadLinux.end");
}

/** ECX: bytes of the command line with its end. "cmdline_size: the maximum size of the command line without the terminating zero." */
export function checkCommandLine(a: Assembler): void {
  const { op } = a;
  op.mov(edx, field(header.commandLineMax));
  op.test(edx, edx); // an image that does not say
  op.je("checkCommandLine.fits");
  op.inc(edx);
  op.cmp(ecx, edx);
  op.jbe("checkCommandLine.fits");
  fail(a, "the command line is longer than the Linux image takes (cmdline_size in its setup header)");
  a.label("checkCommandLine.fits");
}

/** boot_params: the image's own setup header, and what a boot loader adds. */
export function writeBootParameters(a: Assembler): void {
  const { op } = a;
  const at = (offset: number) => dword(bootParameters + offset);
  op.mov(edi, bootParameters);
  op.mov(ecx, bootParametersBytes / 4);
  op.xor(eax, eax);
  a.rep.stosd();
  op.movzx(ecx, byte(imageHead + header.jumpDistance));
  op.add(ecx, header.magic - header.first);
  op.mov(esi, imageHead + header.first);
  op.mov(edi, bootParameters + header.first);
  a.rep.movsb();
  op.mov(byte(bootParameters + header.loader), UNKNOWN_LOADER);
  op.mov(at(header.commandLine), commandLine);
  for (const [to, from] of [
    [header.codeStart, "entry"],
    [header.initrd, "initrd"],
    [header.initrdBytes, "initrdBytes"],
    [parameters.rsdp, "rsdp"],
  ] as const) {
    op.mov(eax, variable(from));
    op.mov(at(to), eax);
  }
  // The map's entries are {base, length, type}, ours {base, length, type, 0}.
  op.mov(eax, variable("mapEntries"));
  op.mov(at(parameters.mapEntries), eax);
  op.mov(edx, eax);
  op.mov(esi, memoryMap);
  op.mov(edi, bootParameters + parameters.map);
  a.label("bootParameters.next");
  op.mov(ecx, MAP_ENTRY_BYTES / 4);
  a.rep.movsd();
  op.add(esi, 4);
  op.dec(edx);
  op.jne("bootParameters.next");
}

/** The last steps, in protected mode without paging: by the 32-bit entry, or on into long mode. */
export function startLinux(a: Assembler): void {
  const { op } = a;
  op.mov(esi, bootParameters);
  op.cmp(variable("entryBits"), 64);
  op.je("startLinux.long");
  op.xor(ebx, ebx);
  op.xor(ebp, ebp);
  op.xor(edi, edi);
  op.jmp(variable("entry"));
  a.label("startLinux.long");
  op.test(byte(imageHead + header.entries), ENTRY_64);
  op.jne("startLinux.has64");
  fail(a, "the Linux image has no 64-bit entry (XLF_KERNEL_64)");
  a.label("startLinux.has64");
  mapIdentity(a);
  // __BOOT_CS becomes a 64-bit segment: L for D.
  op.and(byte(gdt + selector.code + 6), ~0x40 & 0xff);
  op.or(byte(gdt + selector.code + 6), 0x20);
  op.mov(eax, CR4_PAE);
  op.mov(cr4, eax);
  op.mov(eax, pageTables);
  op.mov(cr3, eax);
  op.mov(ecx, MSR_EFER);
  op.rdmsr();
  op.or(eax, EFER_LME);
  op.wrmsr();
  op.mov(eax, cr0);
  op.or(eax, CR0_PG);
  op.mov(cr0, eax);
  op.mov(eax, variable("entry"));
  op.add(eax, ENTRY_64_OFFSET);
  op.jmp(new FarOperand(selector.code, new Address("startLinux.code64")));
  a.label("startLinux.code64");
  a.bytes(0x89, 0xf6); // mov esi, esi: the upper half is zero from here on
  a.bytes(0x89, 0xc0); // mov eax, eax
  a.bytes(0xff, 0xe0); // jmp rax
}

const CR0_PG = 0x8000_0000;
const CR4_PAE = 0x20;
const MSR_EFER = 0xc000_0080;
const EFER_LME = 0x100;
const PRESENT_WRITABLE = 3;
const LARGE = 0x80;
const PAGE = 0x1000;
const TABLE_ENTRIES = 512;
const LARGE_PAGE = 0x20_0000;
const GIGABYTES = 4;

/** The first 4 GiB, one to one: PML4, page directory pointers, four page directories of 2 MiB pages. */
function mapIdentity(a: Assembler): void {
  const { op } = a;
  const [pml4, pointers, directories] = [pageTables, pageTables + PAGE, pageTables + 2 * PAGE];
  op.mov(edi, pml4);
  op.mov(ecx, (2 * PAGE) / 4);
  op.xor(eax, eax);
  a.rep.stosd();
  op.mov(dword(pml4), pointers | PRESENT_WRITABLE);
  for (let g = 0; g < GIGABYTES; g++)
    op.mov(dword(pointers + 8 * g), (directories + g * PAGE) | PRESENT_WRITABLE);
  op.mov(eax, LARGE | PRESENT_WRITABLE);
  op.mov(ecx, GIGABYTES * TABLE_ENTRIES);
  a.label("mapIdentity.next");
  op.mov(dword(edi), eax);
  op.mov(dword(edi, 4), 0);
  op.add(edi, 8);
  op.add(eax, LARGE_PAGE);
  op.loop("mapIdentity.next");
}
