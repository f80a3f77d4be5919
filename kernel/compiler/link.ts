// Lays chunks out in memory and fills in the addresses that they name. An address here is a wasm address:
// physical for the kernel, virtual for a program; `base` is added where a virtual one is wanted.
//
// Invariant: every relocation names a symbol that exists once and fits its field, or linking fails.
import type { Chunk } from "./assembler.js";

export interface Region {
  /** Wasm address of its first byte. */
  readonly address: number;
  readonly chunks: readonly Chunk[];
  /** First address that it must not reach, and what to say then. */
  readonly limit: number;
  readonly name: string;
}

export interface LinkedRegion {
  readonly name: string;
  readonly address: number;
  readonly bytes: Uint8Array;
}

export interface LinkedSymbol {
  readonly name: string;
  readonly address: number;
  readonly bytes: number;
}

export interface Linked {
  readonly regions: readonly LinkedRegion[];
  /** Starts of chunks, in order of address. */
  readonly symbols: readonly LinkedSymbol[];
  readonly addressOf: (symbol: string) => number;
}

interface Placed {
  readonly chunk: Chunk;
  readonly address: number;
  readonly region: number;
}

export const alignUp = (value: number, to: number): number => Math.ceil(value / to) * to;

/** Addresses for all chunks. `aliases` are second names; `absolute` gives symbols that are plain numbers. */
export function link(
  regions: readonly Region[],
  base: bigint,
  aliases: ReadonlyMap<string, string>,
  absolute: (endOf: (region: number) => number) => ReadonlyMap<string, number>,
): Linked {
  const placed: Placed[] = [];
  const ends: number[] = [];
  const symbols = new Map<string, number>();
  const define = (name: string, address: number) => {
    if (symbols.has(name)) throw new Error(`link: "${name}" is defined twice`);
    symbols.set(name, address);
  };
  regions.forEach((region, index) => {
    let at = region.address;
    for (const chunk of region.chunks) {
      at = alignUp(at, chunk.align);
      placed.push({ chunk, address: at, region: index });
      define(chunk.name, at);
      for (const [name, offset] of chunk.symbols) define(name, at + offset);
      at += chunk.bytes.length;
    }
    if (at > region.limit)
      throw new Error(
        `link: ${region.name} takes ${at - region.address} bytes from 0x${region.address.toString(16)}, ${at - region.limit} more than there is room for`,
      );
    ends.push(at);
  });
  for (const [name, value] of absolute((region) => ends[region]!)) define(name, value);
  const addressOf = (symbol: string): number => {
    const address = symbols.get(symbol);
    if (address === undefined) throw new Error(`link: "${symbol}" is not defined`);
    return address;
  };
  for (const [name, of] of aliases) define(name, addressOf(of));
  const linked = regions.map((region, index) => ({
    name: region.name,
    address: region.address,
    bytes: new Uint8Array(ends[index]! - region.address),
  }));
  for (const { chunk, address, region } of placed) {
    const { bytes, address: start } = linked[region]!;
    bytes.set(chunk.bytes, address - start);
    relocate(chunk, address, new DataView(bytes.buffer, address - start), base, addressOf);
  }
  return {
    regions: linked,
    symbols: placed.map(({ chunk, address }) => ({
      name: chunk.name,
      address,
      bytes: chunk.bytes.length,
    })),
    addressOf,
  };
}

function relocate(
  chunk: Chunk,
  address: number,
  view: DataView,
  base: bigint,
  addressOf: (symbol: string) => number,
): void {
  for (const { at, kind, symbol, addend } of chunk.relocations) {
    const value = addressOf(symbol) + addend;
    if (kind === "relative") view.setInt32(at, value - (address + at + 4), true);
    else if (kind === "address64") view.setBigUint64(at, BigInt.asUintN(64, base + BigInt(value)), true);
    else if (value >= 0 && value <= 0x7fff_ffff) view.setUint32(at, value, true);
    else throw new Error(`link: "${symbol}" in "${chunk.name}" is beyond 2 GiB`);
  }
}
