// Segment descriptors in the GDT and LDT. Intel SDM vol. 3A, 3.4.5 and chapter 7.
//
//   high dword: 31..24 base | 23 G | 22 D/B | 21 L | 20 AVL | 19..16 limit | 15 P | 14..13 DPL | 12 S | 11..8 type | 7..0 base
//   low dword:  31..16 base | 15..0 limit
//
// The descriptor that was fetched last stands in the globals below until the next fetch.

import { ACCESS_IMPLICIT, ACCESS_WRITE, GDTR_BASE, GDTR_LIMIT, LDTR } from "../layout";
import { loadImplicit } from "./access";
import {
  ATTRIBUTE_ACCESSED,
  ATTRIBUTE_CODE,
  ATTRIBUTE_EXPAND_DOWN,
  ATTRIBUTE_PAGES,
  ATTRIBUTE_PRESENT,
  ATTRIBUTE_S,
  ATTRIBUTE_WRITABLE,
  ATTRIBUTES_MASK,
  attributesOf,
  baseOf,
  DPL_SHIFT,
  faulted,
  limitOf,
  raise,
} from "./core";
import { readBus, writeBus, written } from "./physical";
import { serialize } from "./store-buffer";
import { ON_BUS, translate } from "./translation";

export let low: u32 = 0;
export let high: u32 = 0;
/** Where it lies, linear. */
export let address: u64 = 0;

// Types of system descriptors
export const TYPE_TSS16: u32 = 1;
export const TYPE_LDT: u32 = 2;
export const TYPE_TSS16_BUSY: u32 = 3;
export const TYPE_CALL_GATE16: u32 = 4;
export const TYPE_TASK_GATE: u32 = 5;
export const TYPE_INTERRUPT_GATE16: u32 = 6;
export const TYPE_TRAP_GATE16: u32 = 7;
export const TYPE_TSS: u32 = 9;
export const TYPE_TSS_BUSY: u32 = 11;
export const TYPE_CALL_GATE: u32 = 12;
export const TYPE_INTERRUPT_GATE: u32 = 14;
export const TYPE_TRAP_GATE: u32 = 15;

export function isNull(selector: u32): bool {
  return (selector & 0xfffc) == 0;
}

/** Reads the selector's descriptor. False: it lies beyond its table's limit, or a page fault was raised. */
export function find(core: usize, selector: u32): bool {
  const at = selector & 0xfff8;
  let base: u64;
  let limit: u32;
  if (selector & 4) {
    if ((attributesOf(core, LDTR) & ATTRIBUTE_PRESENT) == 0) return false;
    base = baseOf(core, LDTR);
    limit = limitOf(core, LDTR);
  } else {
    base = load<u64>(core, GDTR_BASE);
    limit = load<u32>(core, GDTR_LIMIT);
  }
  if (at + 7 > limit) return false;
  address = base + at;
  const descriptor = loadImplicit(core, address, 8);
  if (faulted(core)) return false;
  low = <u32>descriptor;
  high = <u32>(descriptor >> 32);
  return true;
}

/** Like find(); beyond the limit it raises `vector` with the selector (and EXT, where given) as error code. */
export function fetch(core: usize, selector: u32, vector: u32, ext: u32): bool {
  if (find(core, selector)) return true;
  if (!faulted(core)) raise(core, vector, (selector & 0xfffc) | ext);
  return false;
}

/** The second half of a 16-byte system descriptor, of which `find` read the first; the limit must cover it. */
export function findUpper(core: usize, selector: u32): u64 {
  const limit = selector & 4 ? limitOf(core, LDTR) : load<u32>(core, GDTR_LIMIT);
  if ((selector & 0xfff8) + 15 > limit) {
    beyond = true;
    return 0;
  }
  beyond = false;
  return loadImplicit(core, address + 8, 8);
}
/** findUpper() went beyond the table's limit. */
export let beyond: bool = false;

// --- its fields ---

export function attributes(): u32 {
  return high & ATTRIBUTES_MASK;
}

export function base(): u64 {
  return <u64>((low >> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000));
}

/** In bytes, inclusive. */
export function limit(): u32 {
  const raw = (low & 0xffff) | (high & 0xf_0000);
  return high & ATTRIBUTE_PAGES ? (raw << 12) | 0xfff : raw;
}

export function dpl(): u32 {
  return (high >> DPL_SHIFT) & 3;
}

/** Type and S: below 16 a system descriptor's type. */
export function type(): u32 {
  return (high >> 8) & 0x1f;
}

export function present(): bool {
  return (high & ATTRIBUTE_PRESENT) != 0;
}

export function isCode(): bool {
  return (high & (ATTRIBUTE_S | ATTRIBUTE_CODE)) == (ATTRIBUTE_S | ATTRIBUTE_CODE);
}

export function isConforming(): bool {
  return (high & ATTRIBUTE_EXPAND_DOWN) != 0;
}

export function isWritableData(): bool {
  return (high & (ATTRIBUTE_S | ATTRIBUTE_CODE | ATTRIBUTE_WRITABLE)) == (ATTRIBUTE_S | ATTRIBUTE_WRITABLE);
}

/** May be loaded into DS: data of any kind, or readable code. */
export function isReadable(): bool {
  if ((high & ATTRIBUTE_S) == 0) return false;
  return (high & ATTRIBUTE_CODE) == 0 || (high & ATTRIBUTE_WRITABLE) != 0;
}

// --- what loading a descriptor writes back, with a locked update of the byte that holds the type ---

/** Sets the accessed bit where it is clear. False after a page fault. */
export function markAccessed(core: usize): bool {
  if (high & ATTRIBUTE_ACCESSED) return true;
  high |= ATTRIBUTE_ACCESSED;
  return changeType(core, address + 5, 1, 0xff);
}

/** The same for one that was fetched before, with these attributes at this address. */
export function markAccessedAt(core: usize, at: u64, attributes: u32): bool {
  return (attributes & ATTRIBUTE_ACCESSED) != 0 || changeType(core, at + 5, 1, 0xff);
}

/** Available TSS to busy. False after a page fault. */
export function markBusy(core: usize): bool {
  high |= 0x200;
  return changeType(core, address + 5, 2, 0xff);
}

/** Busy TSS to available; `at` is its descriptor's address. False after a page fault. */
export function clearBusy(core: usize, at: u64): bool {
  return changeType(core, at + 5, 0, 0xfd);
}

function changeType(core: usize, va: u64, set: u32, keep: u32): bool {
  const place = translate(core, va, ACCESS_WRITE | ACCESS_IMPLICIT);
  if (place == 0) return false;
  if (place & ON_BUS) {
    const physical = place & ~ON_BUS;
    writeBus(core, physical, 1, (readBus(core, physical, 1) & keep) | set);
    return true;
  }
  serialize(core);
  if (set) atomic.or<u8>(<usize>place, <u8>set);
  if (keep != 0xff) atomic.and<u8>(<usize>place, <u8>keep);
  written(core, <usize>place, 1);
  return true;
}
