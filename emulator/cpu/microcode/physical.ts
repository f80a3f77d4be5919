// Physical memory as a core sees it: RAM, the ROM and its copy below 1 MiB, and the bus for everything else.
// board/map.ts draws the map. Invariant: whoever stores to RAM calls written() for that address afterwards, so
// that decoded code never outlives the bytes that it came from.

import {
  A20_MASK_WORD,
  ATTENTION,
  CODE_GENERATIONS,
  CODE_LINES,
  CODE_WRITTEN,
  RAM_BASE_WORD,
  RAM_BYTES_WORD,
  ROM_BASE_WORD,
  ROM_BYTES_WORD,
  SHADOWED_WORD,
} from "../layout";
import { coreIndex } from "./core";
import { busRead, busWrite } from "./host";
import { settle } from "./store-buffer";
import { LINE, PAGE, tellWatchers } from "./watchers";

const MIB: u64 = 0x10_0000;
const GIB4: u64 = 0x1_0000_0000;
const VIDEO_HOLE: u64 = 0xa_0000;
const VIDEO_HOLE_END: u64 = 0xc_0000;
const LOW_ROM: u64 = 0xe_0000;

/** The processor drives 40 physical address bits (CPUID 8000_0008); page tables may set no others. */
export const PHYSICAL_BITS: u64 = 40;
export const PHYSICAL_MASK: u64 = ((1 as u64) << PHYSICAL_BITS) - 1;

/** With A20 masked, bit 20 of every physical address reads as zero. */
export function gateA20(physical: u64): u64 {
  return physical & (load<u32>(A20_MASK_WORD) | 0xffff_ffff_0000_0000);
}

/** Wasm address of a physical address that RAM or the ROM answers, else 0. */
export function hostOf(physical: u64): usize {
  const ramBytes: u64 = load<u32>(RAM_BYTES_WORD);
  if (physical - VIDEO_HOLE < MIB - VIDEO_HOLE) {
    if (physical < VIDEO_HOLE_END) return 0;
    if (physical >= LOW_ROM && !load<u32>(SHADOWED_WORD)) return romOf(MIB - physical);
  }
  if (physical < ramBytes) return load<u32>(RAM_BASE_WORD) + <u32>physical;
  if (physical < GIB4) return romOf(GIB4 - physical);
  return 0;
}

/** The same, for the engine. */
export function hostAt(_core: usize, physical: u64): u64 {
  return hostOf(physical);
}

/** The ROM is known by its end: `back` bytes before it. */
function romOf(back: u64): usize {
  const bytes = load<u32>(ROM_BYTES_WORD);
  if (back > bytes) return 0;
  return load<u32>(ROM_BASE_WORD) + bytes - <u32>back;
}

export function isRom(host: usize): bool {
  return host - load<u32>(ROM_BASE_WORD) < load<u32>(ROM_BYTES_WORD);
}

/** The CODE_GENERATIONS word of the page of RAM at this wasm address. */
export function generationWord(host: usize): usize {
  return <usize>CODE_GENERATIONS + (((host - load<u32>(RAM_BASE_WORD)) >> 12) << 2);
}

/**
 * Bytes of RAM at this wasm address were stored: who waits for that hears of it. If code was decoded from one of their lines,
 * all code of the page is stale. The line marks go before the generation rises: a mark set meanwhile belongs to code that
 * is then stale too.
 */
export function written(core: usize, host: usize, bytes: u32): void {
  const word = generationWord(host);
  let old = atomic.load<u32>(word);
  if ((old & 1) == 0) return;
  tellWatchers(host, bytes, LINE);
  if (!isCode(host, bytes)) return;
  const lines = linesOf(host);
  atomic.store<u64>(lines, 0);
  while (old & 1) {
    const seen = atomic.cmpxchg<u32>(word, old, (old + 2) & ~1);
    if (seen == old) {
      store<u32>(core, 1, CODE_WRITTEN);
      // Nobody looks at stores to this page from here on: who watched one of its lines is to look for himself.
      tellWatchers(host, bytes, PAGE);
      return;
    }
    old = seen;
  }
}

/** Stores 1, 2, 4 or 8 bytes to RAM. */
export function storeHost(core: usize, host: usize, bytes: u32, value: u64): void {
  if (bytes == 1) store<u8>(host, <u8>value);
  else if (bytes == 2) store<u16>(host, <u16>value);
  else if (bytes == 4) store<u32>(host, <u32>value);
  else store<u64>(host, value);
  written(core, host, bytes);
}

/** Whether code was decoded from a line of these bytes. */
export function isCode(host: usize, bytes: u32): bool {
  if ((atomic.load<u32>(generationWord(host)) & 1) == 0) return false;
  const lines = atomic.load<u64>(linesOf(host));
  return (lines & (lineBit(host) | lineBit(host + bytes - 1))) != 0;
}

function linesOf(host: usize): usize {
  return <usize>CODE_LINES + (((host - load<u32>(RAM_BASE_WORD)) >> 12) << 3);
}
function lineBit(host: usize): u64 {
  return (1 as u64) << ((host >> 6) & 63);
}

// --- the bus: naturally aligned accesses of at most four bytes ---

/** bytes 1, 2, 4 or 8. An unaligned access is made byte by byte, in ascending order; 8 as two of 4. */
export function readBus(core: usize, physical: u64, bytes: u32): u64 {
  const index = coreIndex(core);
  if ((physical & (bytes - 1)) == 0) {
    if (bytes < 8) return trim(busRead(index, <f64>physical, bytes), bytes);
    const low: u64 = busRead(index, <f64>physical, 4);
    const high: u64 = busRead(index, <f64>(physical + 4), 4);
    return low | (high << 32);
  }
  let value: u64 = 0;
  for (let i: u32 = 0; i < bytes; i++) {
    value |= (<u64>busRead(index, <f64>(physical + i), 1) & 0xff) << (i << 3);
  }
  return value;
}

/** A device that this write lets interrupt the core is heard at the next boundary: where a run is cut changes nothing. */
export function writeBus(core: usize, physical: u64, bytes: u32, value: u64): void {
  writeDevices(core, physical, bytes, value);
  if (load<u32>(core, ATTENTION) != 0) store<u32>(core, 1, CODE_WRITTEN);
}

function writeDevices(core: usize, physical: u64, bytes: u32, value: u64): void {
  const index = coreIndex(core);
  if ((physical & (bytes - 1)) == 0) {
    if (bytes < 8) {
      busWrite(index, <f64>physical, bytes, <u32>trim(value, bytes));
      return;
    }
    busWrite(index, <f64>physical, 4, <u32>value);
    busWrite(index, <f64>(physical + 4), 4, <u32>(value >> 32));
    return;
  }
  for (let i: u32 = 0; i < bytes; i++) {
    busWrite(index, <f64>(physical + i), 1, <u32>(value >> (i << 3)) & 0xff);
  }
}

/** The low 1, 2, 4 or 8 bytes. */
export function trim(value: u64, bytes: u32): u64 {
  return bytes >= 8 ? value : value & (((1 as u64) << (bytes << 3)) - 1);
}

// --- page-table entries: naturally aligned, read and updated atomically, since other cores walk and write them ---

export function readEntry64(core: usize, physical: u64): u64 {
  const host = hostOf(physical);
  if (host) settle(core, host, 8);
  return host ? atomic.load<u64>(host) : readBus(core, physical, 8);
}

export function readEntry32(core: usize, physical: u64): u64 {
  const host = hostOf(physical);
  if (host) settle(core, host, 4);
  return host ? <u64>atomic.load<u32>(host) : readBus(core, physical, 4);
}

/** Sets bits if the entry still holds `old`. False: it changed meanwhile, walk again. */
export function updateEntry64(core: usize, physical: u64, old: u64, bits: u64): bool {
  const host = hostOf(physical);
  if (host == 0) {
    writeBus(core, physical, 8, old | bits);
    return true;
  }
  if (isRom(host)) return true; // a ROM keeps its bits
  if (atomic.cmpxchg<u64>(host, old, old | bits) != old) return false;
  written(core, host, 8);
  return true;
}

export function updateEntry32(core: usize, physical: u64, old: u64, bits: u64): bool {
  const host = hostOf(physical);
  if (host == 0) {
    writeBus(core, physical, 4, old | bits);
    return true;
  }
  if (isRom(host)) return true;
  if (<u64>atomic.cmpxchg<u32>(host, <u32>old, <u32>(old | bits)) != old) return false;
  written(core, host, 4);
  return true;
}
