// Writes a static ELF64 executable for x86-64: System V gABI chapters 4 and 5. The kernel's has a PVH note,
// by which QEMU and our firmware find its 32-bit entry (Xen's elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY is 18).
import { alignUp } from "./link.js";

export interface Segment {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Bytes in memory; what exceeds the file's is zero. */
  readonly memoryBytes: number;
  readonly virtual: bigint;
  readonly physical: bigint;
  readonly writable: boolean;
  readonly executable: boolean;
}

export interface ElfSymbol {
  readonly name: string;
  readonly address: bigint;
  readonly bytes: number;
  readonly function: boolean;
}

export interface ElfFile {
  readonly entry: bigint;
  readonly segments: readonly Segment[];
  readonly symbols: readonly ElfSymbol[];
  /** Section .debug_frame. */
  readonly debugFrame?: Uint8Array;
  /** Physical address of the 32-bit entry point. */
  readonly pvhEntry?: number;
}

const PAGE = 0x1000;
const HEADER = 64;
const PROGRAM_HEADER = 56;
const SECTION_HEADER = 64;
const SYMBOL = 24;

const PT_LOAD = 1;
const PT_NOTE = 4;
const PT_GNU_STACK = 0x6474_e551;
const XEN_ELFNOTE_PHYS32_ENTRY = 18;

const SHT = { null: 0, progbits: 1, symtab: 2, strtab: 3, note: 7, nobits: 8 } as const;
const SHF = { write: 1, alloc: 2, execute: 4 } as const;

interface Section {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly address: bigint;
  readonly offset: number;
  readonly bytes: number;
  readonly link?: number;
  readonly info?: number;
  readonly align: number;
  readonly entryBytes?: number;
}

/** Zero-terminated strings, each once. */
class Strings {
  readonly #offsets = new Map<string, number>([["", 0]]);
  #bytes: number[] = [0];

  add(text: string): number {
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    const offset = this.#bytes.length;
    for (const byte of new TextEncoder().encode(text)) this.#bytes.push(byte);
    this.#bytes.push(0);
    this.#offsets.set(text, offset);
    return offset;
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

function pvhNote(entry: number): Uint8Array {
  const note = new Uint8Array(24);
  const view = new DataView(note.buffer);
  view.setUint32(0, 4, true); // bytes of the name
  view.setUint32(4, 8, true); // bytes of the description
  view.setUint32(8, XEN_ELFNOTE_PHYS32_ENTRY, true);
  note.set(new TextEncoder().encode("Xen\0"), 12);
  view.setBigUint64(16, BigInt(entry), true);
  return note;
}

function symbolTable(
  symbols: readonly ElfSymbol[],
  strings: Strings,
  sectionOf: (address: bigint) => number,
) {
  const table = new Uint8Array(SYMBOL * (symbols.length + 1));
  const view = new DataView(table.buffer);
  symbols.forEach((symbol, n) => {
    const at = SYMBOL * (n + 1);
    view.setUint32(at, strings.add(symbol.name), true);
    view.setUint8(at + 4, (1 << 4) | (symbol.function ? 2 : 1)); // global function or object
    view.setUint16(at + 6, sectionOf(symbol.address), true);
    view.setBigUint64(at + 8, symbol.address, true);
    view.setBigUint64(at + 16, BigInt(symbol.bytes), true);
  });
  return table;
}

/** Pieces of the file, each at its offset. */
interface Layout {
  readonly pieces: { at: number; bytes: Uint8Array }[];
  end: number;
}

function place(layout: Layout, bytes: Uint8Array, align: number): number {
  const at = alignUp(layout.end, align);
  layout.pieces.push({ at, bytes });
  layout.end = at + bytes.length;
  return at;
}

export function writeElf(file: ElfFile): Uint8Array {
  const headers = file.segments.length + 1 + (file.pvhEntry === undefined ? 0 : 1);
  const layout: Layout = { pieces: [], end: HEADER + headers * PROGRAM_HEADER };
  const sections: Section[] = [
    { name: "", type: SHT.null, flags: 0, address: 0n, offset: 0, bytes: 0, align: 0 },
  ];
  const program: Uint8Array[] = [];
  for (const segment of file.segments) {
    const offset = place(layout, segment.bytes, PAGE);
    program.push(programHeader(PT_LOAD, segment, offset));
    const flags = SHF.alloc | (segment.writable ? SHF.write : 0) | (segment.executable ? SHF.execute : 0);
    const { name, virtual: address } = segment;
    const bytes = segment.bytes.length;
    if (bytes > 0) sections.push({ name, type: SHT.progbits, flags, address, offset, bytes, align: 16 });
    const rest = segment.memoryBytes - bytes;
    if (rest > 0) {
      const end = address + BigInt(bytes);
      const bss = { name: ".bss", type: SHT.nobits, flags, address: end, offset, bytes: rest, align: 1 };
      sections.push(bss);
    }
  }
  if (file.pvhEntry !== undefined) {
    const note = pvhNote(file.pvhEntry);
    const offset = place(layout, note, 4);
    const piece = { bytes: note, memoryBytes: note.length, virtual: 0n, physical: 0n };
    program.push(
      programHeader(PT_NOTE, { ...piece, name: "", writable: false, executable: false }, offset, 4n),
    );
    const size = note.length;
    sections.push({
      name: ".note.Xen",
      type: SHT.note,
      flags: 0,
      address: 0n,
      offset,
      bytes: size,
      align: 4,
    });
  }
  program.push(stackHeader());
  if (file.debugFrame !== undefined) {
    const offset = place(layout, file.debugFrame, 8);
    const bytes = file.debugFrame.length;
    const none = { flags: 0, address: 0n, align: 8 };
    sections.push({ ...none, name: ".debug_frame", type: SHT.progbits, offset, bytes });
  }
  addSymbols(file, layout, sections);
  return assemble(file, layout, sections, program);
}

function programHeader(type: number, segment: Segment, offset: number, align = BigInt(PAGE)): Uint8Array {
  const header = new Uint8Array(PROGRAM_HEADER);
  const view = new DataView(header.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, 4 | (segment.writable ? 2 : 0) | (segment.executable ? 1 : 0), true);
  view.setBigUint64(8, BigInt(offset), true);
  view.setBigUint64(16, segment.virtual, true);
  view.setBigUint64(24, segment.physical, true);
  view.setBigUint64(32, BigInt(segment.bytes.length), true);
  view.setBigUint64(40, BigInt(segment.memoryBytes), true);
  view.setBigUint64(48, align, true);
  return header;
}

/** A readable, writable stack without execution. */
function stackHeader(): Uint8Array {
  const header = new Uint8Array(PROGRAM_HEADER);
  const view = new DataView(header.buffer);
  view.setUint32(0, PT_GNU_STACK, true);
  view.setUint32(4, 6, true);
  view.setBigUint64(48, 16n, true);
  return header;
}

function addSymbols(file: ElfFile, layout: Layout, sections: Section[]): void {
  const strings = new Strings();
  const sectionOf = (address: bigint) => {
    const index = sections.findIndex(
      (section) =>
        (section.flags & SHF.alloc) !== 0 &&
        address >= section.address &&
        address < section.address + BigInt(section.bytes),
    );
    return index < 0 ? 0xfff1 : index; // SHN_ABS
  };
  const table = symbolTable(file.symbols, strings, sectionOf);
  const none = { flags: 0, address: 0n };
  const symbolsAt = place(layout, table, 8);
  sections.push({
    ...none,
    name: ".symtab",
    type: SHT.symtab,
    offset: symbolsAt,
    bytes: table.length,
    link: sections.length + 1,
    info: 1,
    align: 8,
    entryBytes: SYMBOL,
  });
  const names = strings.bytes;
  const namesAt = place(layout, names, 1);
  sections.push({
    ...none,
    name: ".strtab",
    type: SHT.strtab,
    offset: namesAt,
    bytes: names.length,
    align: 1,
  });
}

function assemble(file: ElfFile, layout: Layout, sections: Section[], program: Uint8Array[]): Uint8Array {
  const names = new Strings();
  for (const { name } of sections) names.add(name);
  names.add(".shstrtab");
  const nameBytes = names.bytes;
  const namesAt = place(layout, nameBytes, 1);
  sections.push({
    name: ".shstrtab",
    type: SHT.strtab,
    flags: 0,
    address: 0n,
    offset: namesAt,
    bytes: nameBytes.length,
    align: 1,
  });
  const table = new Uint8Array(SECTION_HEADER * sections.length);
  sections.forEach((section, n) => {
    writeSectionHeader(new DataView(table.buffer, SECTION_HEADER * n), section, names.add(section.name));
  });
  const tableAt = place(layout, table, 8);
  const bytes = new Uint8Array(layout.end);
  bytes.set(elfHeader(file.entry, program.length, tableAt, sections.length), 0);
  program.forEach((header, n) => {
    bytes.set(header, HEADER + n * PROGRAM_HEADER);
  });
  for (const piece of layout.pieces) bytes.set(piece.bytes, piece.at);
  return bytes;
}

function writeSectionHeader(view: DataView, section: Section, name: number): void {
  view.setUint32(0, name, true);
  view.setUint32(4, section.type, true);
  view.setBigUint64(8, BigInt(section.flags), true);
  view.setBigUint64(16, section.address, true);
  view.setBigUint64(24, BigInt(section.offset), true);
  view.setBigUint64(32, BigInt(section.bytes), true);
  view.setUint32(40, section.link ?? 0, true);
  view.setUint32(44, section.info ?? 0, true);
  view.setBigUint64(48, BigInt(section.align), true);
  view.setBigUint64(56, BigInt(section.entryBytes ?? 0), true);
}

function elfHeader(entry: bigint, programHeaders: number, sectionsAt: number, sections: number): Uint8Array {
  const header = new Uint8Array(HEADER);
  const view = new DataView(header.buffer);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]); // ELF, 64 bits, little endian, version 1, System V
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, entry, true);
  view.setBigUint64(32, BigInt(HEADER), true);
  view.setBigUint64(40, BigInt(sectionsAt), true);
  view.setUint16(52, HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, programHeaders, true);
  view.setUint16(58, SECTION_HEADER, true);
  view.setUint16(60, sections, true);
  view.setUint16(62, sections - 1, true);
  return header;
}
