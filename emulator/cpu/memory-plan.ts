// Where the parts of a machine's shared memory lie whose size depends on the machine. layout.ts draws the rest.

import {
  A20_MASK_WORD,
  CODE_CACHE_AT,
  CORE_BYTES,
  CORE_COUNT_WORD,
  CORE_INDEX,
  CORES_BASE,
  CRC_TABLE_BYTES,
  CRC_TABLES,
  LIVE_WORD,
  PLANNED_BASE,
  RAM_BASE_WORD,
  RAM_BYTES_WORD,
  ROM_BASE_WORD,
  ROM_BYTES_WORD,
  SHADOWED_WORD,
} from "./layout.js";

const PAGE = 4096;
const WASM_PAGE = 0x1_0000;
const WASM_BYTES_MAX = 0x1_0000_0000;
const CORES_MAX = 64;
const RAM_BYTES_MAX = 0xc000_0000;
const ROM_BYTES_MAX = 0x100_0000;

export interface EnginePlan {
  readonly cores: number;
  readonly ramBytes: number;
  readonly romBytes: number;
  /** Size of the memory, in pages of 64 KiB. */
  readonly pages: number;
  /** Wasm addresses of physical 0 and of the ROM's first byte. */
  readonly ramBase: number;
  readonly romBase: number;
  /** The decoded-op caches: core 0's address, and the size of each. */
  readonly cacheBase: number;
  readonly cacheBytes: number;
  readonly shadowedRom: boolean;
}

const up = (n: number, to: number): number => Math.ceil(n / to) * to;

/** Untouched pages of the memory cost nothing, so caches are generous; 64 of them must fit beside 3 GiB of RAM. */
function cacheBytes(cores: number): number {
  if (cores <= 2) return 0x1000_0000; // a Linux that boots has some 100 MB of them, a compiler more
  if (cores <= 4) return 0x800_0000;
  if (cores <= 8) return 0x400_0000;
  return cores <= 16 ? 0x80_0000 : 0x40_0000;
}

export interface PlanOptions {
  readonly cores: number;
  readonly ramBytes: number;
  readonly romBytes: number;
  /** RAM answers where the ROM's last 128 KiB would show below 1 MiB. */
  readonly shadowedRom?: boolean;
}

export function plan({ cores, ramBytes, romBytes, shadowedRom = false }: PlanOptions): EnginePlan {
  if (!Number.isInteger(cores) || cores < 1 || cores > CORES_MAX)
    throw new RangeError(`plan: ${cores} cores; wanted 1 to ${CORES_MAX}`);
  if (!Number.isInteger(ramBytes) || ramBytes <= 0 || ramBytes > RAM_BYTES_MAX || ramBytes % PAGE !== 0)
    throw new RangeError(`plan: ${ramBytes} bytes of RAM; wanted whole pages up to ${RAM_BYTES_MAX}`);
  if (!Number.isInteger(romBytes) || romBytes < 0 || romBytes > ROM_BYTES_MAX)
    throw new RangeError(`plan: ${romBytes} bytes of ROM; wanted at most ${ROM_BYTES_MAX}`);
  const each = cacheBytes(cores);
  const cacheBase = PLANNED_BASE;
  const rom = cacheBase + cores * each;
  // The ROM is known by its end, which is therefore what lies on a page boundary.
  const romEnd = rom + up(romBytes, PAGE);
  const ramBase = up(romEnd, WASM_PAGE);
  const end = up(ramBase + ramBytes, WASM_PAGE);
  if (end > WASM_BYTES_MAX) throw new RangeError(`plan: ${end} bytes do not fit into one memory`);
  return {
    cores,
    ramBytes,
    romBytes,
    pages: end / WASM_PAGE,
    ramBase,
    romBase: romEnd - romBytes,
    cacheBase,
    cacheBytes: each,
    shadowedRom,
  };
}

export const coreAddress = (core: number): number => CORES_BASE + core * CORE_BYTES;

/** Writes the machine words. Every engine over the same memory writes the same. */
export function writeMachineWords(memory: WebAssembly.Memory, p: EnginePlan, live: boolean): void {
  const words = new Uint32Array(memory.buffer);
  const set = (address: number, value: number) => {
    words[address >>> 2] = value;
  };
  set(RAM_BASE_WORD, p.ramBase);
  set(RAM_BYTES_WORD, p.ramBytes);
  set(ROM_BASE_WORD, p.romBase);
  set(ROM_BYTES_WORD, p.romBytes);
  set(SHADOWED_WORD, p.shadowedRom ? 1 : 0);
  set(CORE_COUNT_WORD, p.cores);
  set(LIVE_WORD, live ? 1 : 0);
  writeCrcTables(words.subarray(CRC_TABLES >>> 2, (CRC_TABLES + 8 * CRC_TABLE_BYTES) >>> 2));
  Atomics.compareExchange(words, A20_MASK_WORD >>> 2, 0, 0xffff_ffff);
  for (let core = 0; core < p.cores; core++) {
    set(coreAddress(core) + CORE_INDEX, core);
    set(coreAddress(core) + CODE_CACHE_AT, p.cacheBase + core * p.cacheBytes);
  }
}

/** 11EDC6F41h, its bits in the order of the data: lowest first. */
const CASTAGNOLI = 0x82f6_3b78;

function writeCrcTables(tables: Uint32Array): void {
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? CASTAGNOLI : 0);
    tables[byte] = sum;
  }
  for (let at = 256; at < tables.length; at++) {
    const sum = tables[at - 256]!;
    tables[at] = (sum >>> 8) ^ tables[sum & 0xff]!;
  }
}
