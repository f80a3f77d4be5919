// Memory as a core's code sees it, read and written without a trace: no accessed bits, no TLB, no faults, no devices.
// Intel SDM vol. 3A, chapter 4 (paging); the segments' bases are gdb's user's to add outside 64-bit mode.

import { MODE_LONG, MODE_PAGING } from "../cpu/layout.js";
import type { CoreState } from "../cpu/state.js";

/** Memory by physical address: a view of at least one byte up to the end of its page, or null where nothing is stored. */
export interface Storage {
  at(physical: number): { readonly bytes: Uint8Array; readonly writable: boolean } | null;
  /** After a change: what was decoded from these bytes is stale. */
  changed(physical: number, length: number): void;
}

const PAGE = 4096n;
const PRESENT = 1n;
const LARGE = 1n << 7n;
const CR4_PSE = 1n << 4n;
const CR4_PAE = 1n << 5n;
const ADDRESS = 0x000f_ffff_ffff_f000n;

/** The physical address, or null where nothing is mapped. */
export function translate(core: CoreState, storage: Storage, linear: bigint): number | null {
  if ((core.mode & MODE_PAGING) === 0) return Number(linear & 0xffff_ffffn);
  const long = (core.mode & MODE_LONG) !== 0;
  if (long && BigInt.asIntN(48, linear) !== BigInt.asIntN(64, linear)) return null;
  const pae = long || (core.register("cr4") & CR4_PAE) !== 0n;
  const bytes = pae ? 8 : 4;
  const indexBits = pae ? 9n : 10n;
  let table = core.register("cr3") & (long ? ADDRESS : pae ? 0xffff_ffe0n : 0xffff_f000n);
  for (let level = long ? 4 : pae ? 3 : 2; level >= 1; level--) {
    const shift = 12n + indexBits * BigInt(level - 1);
    const mask = !long && pae && level === 3 ? 3n : (1n << indexBits) - 1n;
    const entry = readEntry(storage, table + ((linear >> shift) & mask) * BigInt(bytes), bytes);
    if (entry === null || (entry & PRESENT) === 0n) return null;
    const mayBeLarge =
      (level === 2 && (pae || (core.register("cr4") & CR4_PSE) !== 0n)) || (level === 3 && long);
    if (level === 1 || (mayBeLarge && (entry & LARGE) !== 0n)) {
      const offset = (1n << shift) - 1n;
      const high = !pae && level === 2 ? ((entry >> 13n) & 0xffn) << 32n : 0n; // PSE-36
      const frame = (pae ? entry & ADDRESS : entry & 0xffff_f000n) & ~offset;
      return Number(high | frame | (linear & offset));
    }
    table = pae ? entry & ADDRESS : entry & 0xffff_f000n;
  }
  return null;
}

function readEntry(storage: Storage, physical: bigint, bytes: number): bigint | null {
  const found = storage.at(Number(physical));
  if (found === null) return null;
  let value = 0n;
  for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(found.bytes[i] ?? 0);
  return value;
}

/** As many bytes from there as are mapped and stored; none at all if the first is not. */
export function readVirtual(core: CoreState, storage: Storage, linear: bigint, length: number): Uint8Array {
  const result: number[] = [];
  while (result.length < length) {
    const at = BigInt.asUintN(64, linear + BigInt(result.length));
    const physical = translate(core, storage, at);
    const found = physical === null ? null : storage.at(physical);
    if (found === null) break;
    const inPage = Number(PAGE - (at % PAGE));
    for (const byte of found.bytes.subarray(0, Math.min(inPage, length - result.length))) result.push(byte);
  }
  return Uint8Array.from(result);
}

/** All of them, or none and false. */
export function writeVirtual(core: CoreState, storage: Storage, linear: bigint, bytes: Uint8Array): boolean {
  const parts: { physical: number; target: Uint8Array; source: Uint8Array }[] = [];
  for (let done = 0; done < bytes.length; ) {
    const at = BigInt.asUintN(64, linear + BigInt(done));
    const physical = translate(core, storage, at);
    const found = physical === null ? null : storage.at(physical);
    if (physical === null || found === null || !found.writable) return false;
    const source = bytes.subarray(done, done + Math.min(Number(PAGE - (at % PAGE)), found.bytes.length));
    parts.push({ physical, target: found.bytes, source });
    done += source.length;
  }
  for (const { physical, target, source } of parts) {
    target.set(source);
    storage.changed(physical, source.length);
  }
  return true;
}
