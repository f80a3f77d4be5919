// Names for addresses: from an ELF file's symbol table (System V ABI, chapter 4, "Symbol Table"), or from the list that
// nm and Linux's System.map hold, "address type name" a line.
// Invariant: sorted by address; of several names of one address the first global one stays.

import { readImage } from "./images.js";

export interface SymbolTable {
  /** Ascending. Plain arrays, so that a table can be posted to a thread. */
  readonly addresses: BigUint64Array;
  /** Bytes; 0 where nobody says: then it goes on to the next symbol. */
  readonly sizes: BigUint64Array;
  readonly names: readonly string[];
}

interface Entry {
  readonly address: bigint;
  readonly size: bigint;
  readonly name: string;
  readonly global: boolean;
}

const ELF_MAGIC = 0x464c_457f;
const SHT_SYMTAB = 2;
const STT_NOTYPE = 0;
const STT_OBJECT = 1;
const STT_FUNC = 2;
/** Beyond this distance a symbol without a size says nothing about an address. */
const REACH = 0x10_0000n;

/** Where the sections' and symbols' fields lie, by class. */
const layouts = {
  1: {
    sections: 0x20, sectionBytes: 0x2e, count: 0x30, offset: 0x10, length: 0x14, link: 0x18, entryBytes: 16,
    symbol: { value: 4, size: 8, info: 12, section: 14 },
  },
  2: {
    sections: 0x28, sectionBytes: 0x3a, count: 0x3c, offset: 0x18, length: 0x20, link: 0x28, entryBytes: 24,
    symbol: { value: 8, size: 16, info: 4, section: 6 },
  },
} as const; // biome-ignore format: a table

export const isElf = (bytes: Uint8Array): boolean =>
  bytes.length > 64 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) === ELF_MAGIC;

/** Functions and objects of an ELF file's symbol table; none if it was stripped. */
export function elfSymbols(bytes: Uint8Array): SymbolTable {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = bytes[4] === 2 ? 2 : 1;
  const at = layouts[kind];
  const word = (offset: number): number =>
    kind === 2 ? Number(view.getBigUint64(offset, true)) : view.getUint32(offset, true);
  const section = (index: number) => word(at.sections) + index * view.getUint16(at.sectionBytes, true);
  const entries: Entry[] = [];
  for (let index = 0; index < view.getUint16(at.count, true); index++) {
    const table = section(index);
    if (view.getUint32(table + 4, true) !== SHT_SYMTAB) continue;
    const strings = word(section(view.getUint32(table + at.link, true)) + at.offset);
    const [from, length] = [word(table + at.offset), word(table + at.length)];
    for (let symbol = from; symbol + at.entryBytes <= from + length; symbol += at.entryBytes) {
      const info = bytes[symbol + at.symbol.info]!;
      const type = info & 15;
      if (type !== STT_FUNC && type !== STT_OBJECT && type !== STT_NOTYPE) continue;
      if (view.getUint16(symbol + at.symbol.section, true) === 0) continue;
      const name = text(bytes, strings + view.getUint32(symbol, true));
      if (name === "") continue;
      entries.push({
        address: BigInt(word64(view, symbol + at.symbol.value, kind)),
        size: BigInt(word(symbol + at.symbol.size)),
        name,
        global: info >> 4 !== 0,
      });
    }
  }
  return tableOf(entries);
}

const word64 = (view: DataView, at: number, kind: 1 | 2): bigint =>
  kind === 2 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true));

function text(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, at);
  return Buffer.from(bytes.subarray(at, end < 0 ? bytes.length : end)).toString("latin1");
}

/** null when some line is none of "address type name". */
export function mapSymbols(list: string): SymbolTable | null {
  const entries: Entry[] = [];
  for (const line of list.split("\n")) {
    if (line.trim() === "") continue;
    const match = /^([\da-f]+) (\w) (\S+)/i.exec(line);
    if (match === null) return null;
    const [, address = "", type = "", name = ""] = match;
    if (!/u/i.test(type))
      entries.push({ address: BigInt(`0x${address}`), size: 0n, name, global: /[A-Z]/.test(type) });
  }
  return tableOf(entries);
}

function tableOf(entries: readonly Entry[]): SymbolTable {
  const sorted = [...entries].sort((a, b) =>
    a.address < b.address ? -1 : a.address > b.address ? 1 : Number(b.global) - Number(a.global),
  );
  const kept = sorted.filter((entry, i) => i === 0 || sorted[i - 1]!.address !== entry.address);
  return {
    addresses: BigUint64Array.from(kept, (e) => e.address),
    sizes: BigUint64Array.from(kept, (e) => e.size),
    names: kept.map((e) => e.name),
  };
}

/** Symbols of a file that is an ELF file or a list; throws an Error that names it. */
export function readSymbols(path: string): SymbolTable {
  const bytes = readImage("symbols", path);
  const table = isElf(bytes) ? elfSymbols(bytes) : mapSymbols(Buffer.from(bytes).toString("latin1"));
  if (table === null || table.names.length === 0)
    throw new Error(`symbols ${path}: neither an ELF file with symbols nor lines of "address type name"`);
  return table;
}

/** Several tables asked one after the other. */
export class Symbols {
  readonly #tables: readonly SymbolTable[];

  constructor(tables: readonly SymbolTable[]) {
    this.#tables = tables;
  }

  /** "name+0x12"; "" where no symbol covers the address. */
  at(address: bigint): string {
    for (const table of this.#tables) {
      const index = last(table.addresses, address);
      if (index < 0) continue;
      const offset = address - table.addresses[index]!;
      const size = table.sizes[index]!;
      if (offset !== 0n && offset >= (size === 0n ? REACH : size)) continue;
      return offset === 0n ? table.names[index]! : `${table.names[index]}+0x${offset.toString(16)}`;
    }
    return "";
  }

  /** First and last address of a name's extent; null: no such name. */
  extent(name: string): readonly [bigint, bigint] | null {
    for (const { addresses, sizes, names } of this.#tables) {
      const index = names.indexOf(name);
      if (index < 0) continue;
      const from = addresses[index]!;
      const size = sizes[index]! > 0n ? sizes[index]! : (addresses[index + 1] ?? from + 1n) - from;
      return [from, from + size - 1n];
    }
    return null;
  }
}

/** Index of the last one that is at most `address`; -1: none. */
function last(addresses: BigUint64Array, address: bigint): number {
  let [low, high] = [0, addresses.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (addresses[middle]! <= address) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
