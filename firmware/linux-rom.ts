// An option ROM that boots Linux by its 16-bit entry, for a PC BIOS that runs it: Linux Documentation/arch/x86/boot.rst
// (protocol 2.02 and later), the BIOS Boot Specification 1.01 and the Plug and Play BIOS Specification 1.0A (a ROM whose
// expansion header has a bootstrap entry vector). Image, initial file system and command line come from fw_cfg.
//
//   1_0000 the image's boot sector and setup, 32 KiB at most; its heap and stack
//   1_E000 command line, 4 KiB                    1_F000 the DMA command
//   10_0000 the protected-mode part               below the top of RAM, as the BIOS tells it: the initial file system
//
// Invariant: nothing is written before the image is known to speak the protocol; until the jump the BIOS is whole.

import { port } from "../emulator/board/map.js";
import {
  Address,
  Assembler,
  ah,
  al,
  ax,
  bx,
  byte,
  cs,
  ds,
  dword,
  dx,
  eax,
  ebx,
  ecx,
  edi,
  edx,
  es,
  esi,
  esp,
  FarOperand,
  fs,
  gs,
  ss,
  word,
} from "./assembler.js";
import { item } from "./fw-cfg.js";

/** The name under which fw_cfg holds the ROM, so that SeaBIOS runs it and `bootorder` may name it. */
export const linuxRomName = "genroms/buslock-linux.rom";

const SECTOR = 512;
const HEADER = 0x20;
const SIGNATURE_BYTES = [0x55, 0xaa];
const CHECKSUM_AT = 5;

/** The real-mode part's segment, and what lies in it. */
const SEGMENT = 0x1000;
const BASE = SEGMENT << 4;
/** Where the heap ends and the stack begins. */
const HEAP_END = 0xe000;
const COMMAND_LINE = 0xe000;
const COMMAND_LINE_BYTES_MAX = 0x1000;
const DMA = 0xf000;
const LOADED = 0xf010;
const CODE = 0x10_0000;
/** What is read first: the whole setup header lies in it. */
const HEAD_BYTES = 0x400;

const header = {
  setupSectors: 0x1f1,
  bootFlag: 0x1fe,
  magic: 0x202,
  version: 0x206,
  loader: 0x210,
  loadFlags: 0x211,
  initrd: 0x218,
  initrdBytes: 0x21c,
  heapEnd: 0x224,
  commandLine: 0x228,
  initrdMax: 0x22c,
} as const;
const BOOT_FLAG = 0xaa55;
const MAGIC = 0x5372_6448; // "HdrS"
const VERSION_MIN = 0x0203;
const LOADED_HIGH = 1;
const CAN_USE_HEAP = 0x80;
const UNKNOWN_LOADER = 0xff;
const control = { read: 2, skip: 4, select: 8 } as const;
const BELOW_16_MIB = 0x100_0000;

let image: Uint8Array | undefined;

/** The ROM, whole sectors whose bytes sum up to zero. */
export function linuxRomImage(): Uint8Array {
  image ??= assemble();
  return image;
}

function assemble(): Uint8Array {
  const a = new Assembler(0);
  a.bits(16);
  expansionHeader(a);
  a.label("boot");
  checkImage(a);
  loadImage(a);
  loadCommandLine(a);
  loadInitrd(a);
  enter(a);
  routines(a);
  a.strings();
  a.align(SECTOR);
  a.label("end");
  const { bytes, labels } = a.assemble();
  const rom = new Uint8Array(Math.ceil(labels.get("end")! / SECTOR) * SECTOR);
  rom.set(bytes);
  rom[2] = rom.length / SECTOR;
  rom[CHECKSUM_AT] = -rom.reduce((sum, b) => sum + b, 0) & 0xff;
  return rom;
}

/** Initialisation has nothing to do; the BIOS finds the bootstrap entry vector in the Plug and Play header. */
function expansionHeader(a: Assembler): void {
  const { op } = a;
  a.bytes(...SIGNATURE_BYTES, 0);
  op.retf();
  a.org(0x1a);
  a.bytes(HEADER, 0);
  a.org(HEADER);
  a.bytes(...Buffer.from("$PnP"), 1, 2, 0, 0, 0, 0, 0, 0, 0, 0);
  a.offset(a.string("Buslock"));
  a.offset(a.string("Linux by its 16-bit entry"));
  a.bytes(0, 0, 0, 0, 0, 0, 0, 0);
  a.offset(new Address("boot"));
  a.bytes(0, 0, 0, 0);
}

/** DS is the real-mode part's segment from here on. A failure says why and returns to the BIOS, which tries what is next. */
function checkImage(a: Assembler): void {
  const { op } = a;
  op.cld();
  op.mov(eax, SEGMENT);
  op.mov(ds, eax);
  readSize(a, item.kernelSize);
  op.cmp(ecx, HEAD_BYTES);
  op.jb("no image");
  op.mov(ecx, HEAD_BYTES);
  op.mov(edi, BASE);
  op.mov(eax, item.kernelData);
  op.call("read");
  op.cmp(word(header.bootFlag), BOOT_FLAG);
  op.jne("no image");
  op.cmp(dword(header.magic), MAGIC);
  op.jne("no image");
  op.cmp(word(header.version), VERSION_MIN);
  op.jb("no image");
  op.test(byte(header.loadFlags), LOADED_HIGH);
  op.jne("image");
  a.label("no image");
  op.mov(esi, a.string("no Linux image of boot protocol 2.03 or later, loaded high, in fw_cfg\r\n"));
  a.label("say");
  op.mov(eax, cs);
  op.mov(ds, eax);
  a.label("say.next");
  op.lodsb();
  op.test(al, al);
  op.je("say.end");
  op.mov(ah, 0x0e);
  op.mov(bx, 7);
  op.int(0x10);
  op.jmp("say.next");
  a.label("say.end");
  op.retf();
  a.label("image");
}

/** The setup to its segment, and what is behind it to 1 MiB. */
function loadImage(a: Assembler): void {
  const { op } = a;
  op.movzx(ecx, byte(header.setupSectors));
  op.test(ecx, ecx);
  op.jne("sectors");
  op.mov(ecx, 4); // of old: 0 means 4
  a.label("sectors");
  op.inc(ecx);
  op.shl(ecx, 9);
  op.mov(ebx, ecx);
  readSize(a, item.kernelSize);
  op.sub(ecx, ebx);
  op.jbe("no image");
  op.push(ecx);
  op.mov(ecx, ebx);
  op.mov(edi, BASE);
  op.mov(eax, item.kernelData);
  op.call("read");
  op.pop(ecx);
  op.mov(edi, CODE); // the item goes on where it was read to
  op.mov(eax, control.read);
  op.call("transfer");
}

function loadCommandLine(a: Assembler): void {
  const { op } = a;
  readSize(a, item.commandLineSize);
  op.mov(byte(COMMAND_LINE), 0);
  op.mov(esi, a.string("the command line is longer than 4095 bytes\r\n"));
  op.cmp(ecx, COMMAND_LINE_BYTES_MAX);
  op.ja("say");
  op.mov(edi, BASE + COMMAND_LINE);
  op.mov(eax, item.commandLineData);
  op.call("read");
  op.mov(dword(header.commandLine), BASE + COMMAND_LINE);
}

/** As high as the BIOS leaves RAM (INT 15H, AX = E801H) and the kernel reaches. */
function loadInitrd(a: Assembler): void {
  const { op } = a;
  readSize(a, item.initrdSize);
  op.mov(dword(header.initrdBytes), ecx);
  op.test(ecx, ecx);
  op.je("loaded");
  op.push(ecx);
  op.mov(ax, 0xe801);
  op.xor(ecx, ecx);
  op.xor(edx, edx);
  op.int(0x15);
  op.movzx(edx, dx); // 64 KiB above 16 MiB
  op.shl(edx, 16);
  op.add(edx, BELOW_16_MIB);
  op.mov(eax, dword(header.initrdMax));
  op.inc(eax);
  op.cmp(edx, eax);
  op.jbe("top");
  op.mov(edx, eax);
  a.label("top");
  op.pop(ecx);
  op.mov(esi, a.string("the initial file system does not fit above the kernel\r\n"));
  op.sub(edx, ecx);
  op.jb("say");
  op.and(edx, -0x1000);
  op.cmp(edx, BELOW_16_MIB);
  op.jb("say");
  op.mov(edi, edx);
  op.mov(dword(header.initrd), edx);
  op.mov(eax, item.initrdData);
  op.call("read");
  a.label("loaded");
}

/** "Running the kernel": CS is the segment and 20H, the others are the segment. */
function enter({ op }: Assembler): void {
  op.mov(byte(header.loader), UNKNOWN_LOADER);
  op.or(byte(header.loadFlags), CAN_USE_HEAP);
  op.mov(word(header.heapEnd), HEAP_END - 0x200);
  op.cli();
  op.mov(eax, SEGMENT);
  for (const segment of [es, fs, gs, ss]) op.mov(segment, eax);
  op.mov(esp, HEAP_END);
  op.jmp(new FarOperand(SEGMENT + (SECTOR >> 4), new Address("boot", 0, 0)));
}

/** The size that an item of 4 bytes holds, in ecx. */
function readSize({ op }: Assembler, selector: number): void {
  op.mov(eax, selector);
  op.call("size");
}

function routines(a: Assembler): void {
  const { op } = a;
  a.label("size");
  op.mov(ecx, 4);
  op.mov(edi, BASE + LOADED);
  op.call("read");
  op.mov(ecx, dword(LOADED));
  op.ret();

  // read: item eax from its start, ecx bytes, to physical edi.
  a.label("read");
  op.shl(eax, 16);
  op.or(eax, control.select | control.read);

  // transfer: command eax; the rest as read. Changes eax, edx.
  a.label("transfer");
  op.bswap(eax);
  op.mov(dword(DMA), eax);
  op.mov(eax, ecx);
  op.bswap(eax);
  op.mov(dword(DMA + 4), eax);
  op.xor(eax, eax);
  op.mov(dword(DMA + 8), eax);
  op.mov(edx, edi);
  op.bswap(edx);
  op.mov(dword(DMA + 12), edx);
  op.mov(dx, port.fwCfgDma);
  op.out(dx, eax);
  op.mov(dx, port.fwCfgDma + 4);
  op.mov(eax, BASE + DMA);
  op.bswap(eax);
  op.out(dx, eax);
  a.label("transfer.wait");
  op.mov(eax, dword(DMA));
  op.bswap(eax);
  op.test(eax, ~1 >>> 0);
  op.jne("transfer.wait");
  op.ret();
}
