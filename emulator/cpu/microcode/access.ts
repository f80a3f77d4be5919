// Memory accesses off the fast path: device memory, ROM, pages that hold code, SMAP, operands that cross pages; and
// segmentation outside 64-bit mode. Intel SDM vol. 1, 3.3.7.1 (canonical addresses), vol. 3A, 5.3 (limit checking).
//
// Invariant: every page of an access is translated before the first byte is written, so a fault leaves memory as it
// was.

import {
  ACCESS_EXECUTE,
  ACCESS_IMPLICIT,
  ACCESS_READ,
  ACCESS_STACK,
  ACCESS_SUPERVISOR,
  ACCESS_WRITE,
  FS,
  LOOKING_DATA,
  LOOKING_WORD,
  MODE_64,
  MODE_LONG,
  MODE_PROTECTED,
  SCRATCH,
  SS,
  STORE_BUFFER_WORD,
} from "../layout";
import {
  AC,
  ATTRIBUTE_BIG,
  ATTRIBUTE_CODE,
  ATTRIBUTE_EXPAND_DOWN,
  ATTRIBUTE_PRESENT,
  ATTRIBUTE_WRITABLE,
  attributesOf,
  baseOf,
  CR0_AM,
  canonical,
  coreIndex,
  cpl,
  cr0,
  FLAG_AC,
  faulted,
  GP,
  limitOf,
  mode,
  otherFlags,
  raise,
  STACK_FAULT,
} from "./core";
import { mayAccess, noteData, watching } from "./debug";
import { accessed } from "./host";
import { readBus, storeHost, writeBus } from "./physical";
import { buffer, forwarded, serialize } from "./store-buffer";
import { PAGE_OFFSET } from "./tlb";
import { ON_BUS, translate } from "./translation";

/** Linear addresses are 32 bits wide outside 64-bit mode and wrap there; system tables are 64-bit in all of long mode. */
function wrap(core: usize, va: u64, access: u32): u64 {
  const wide = access & (ACCESS_IMPLICIT | ACCESS_SUPERVISOR) ? MODE_LONG : MODE_64;
  return mode(core) & wide ? va : va & 0xffff_ffff;
}

function crosses(va: u64, bytes: u32): bool {
  return (va & PAGE_OFFSET) + bytes > PAGE_OFFSET + 1;
}

// --- one place: a wasm address or a bus address, and at most eight bytes that lie within a page ---

function loadPlace(core: usize, place: u64, bytes: u32): u64 {
  if (place & ON_BUS) {
    serialize(core); // device memory is uncacheable
    return readBus(core, place & ~ON_BUS, bytes);
  }
  return forwarded(core, <usize>place, bytes, loadHost(<usize>place, bytes));
}

function loadHost(host: usize, bytes: u32): u64 {
  if (bytes == 1) return load<u8>(host);
  if (bytes == 2) return load<u16>(host);
  if (bytes == 4) return load<u32>(host);
  return load<u64>(host);
}

function storePlace(core: usize, place: u64, bytes: u32, value: u64): void {
  if (place & ON_BUS) {
    serialize(core);
    writeBus(core, place & ~ON_BUS, bytes, value);
  } else if (load<u32>(STORE_BUFFER_WORD) == 0) {
    storeHost(core, <usize>place, bytes, value);
  } else {
    buffer(core, <usize>place, bytes, value);
  }
}

/** Somebody looks on: tells the host of an access that has been made, or that nothing keeps from being made. */
function tell(core: usize, va: u64, bytes: u32, access: u32, value: u64): void {
  if (load<u32>(LOOKING_WORD) & LOOKING_DATA) accessed(coreIndex(core), va, bytes, access, value);
}

/** 1, 2, 4 or 8 bytes at a linear address; 0 after a fault. */
export function loadLinear(core: usize, va: u64, bytes: u32, access: u32): u64 {
  const first = translate(core, va, access | ACCESS_READ);
  if (first == 0) return 0;
  if (watching(core) && (access & ACCESS_IMPLICIT) == 0) noteData(core, va, bytes, false);
  if (!crosses(va, bytes)) {
    const whole = loadPlace(core, first, bytes);
    tell(core, va, bytes, access | ACCESS_READ, whole);
    return whole;
  }
  const head = <u32>(PAGE_OFFSET + 1 - (va & PAGE_OFFSET));
  const second = translate(core, wrap(core, va + head, access), access | ACCESS_READ);
  if (second == 0) return 0;
  let value: u64 = 0;
  for (let i: u32 = 0; i < bytes; i++) {
    const place = i < head ? first + i : second + (i - head);
    value |= loadPlace(core, place, 1) << (i << 3);
  }
  tell(core, va, bytes, access | ACCESS_READ, value);
  return value;
}

/** False after a fault, and then nothing was written. */
export function storeLinear(core: usize, va: u64, bytes: u32, value: u64, access: u32): bool {
  const first = translate(core, va, access | ACCESS_WRITE);
  if (first == 0) return false;
  if (watching(core) && (access & ACCESS_IMPLICIT) == 0) noteData(core, va, bytes, true);
  if (!crosses(va, bytes)) {
    tell(core, va, bytes, access | ACCESS_WRITE, value);
    storePlace(core, first, bytes, value);
    return true;
  }
  const head = <u32>(PAGE_OFFSET + 1 - (va & PAGE_OFFSET));
  const second = translate(core, wrap(core, va + head, access), access | ACCESS_WRITE);
  if (second == 0) return false;
  tell(core, va, bytes, access | ACCESS_WRITE, value);
  for (let i: u32 = 0; i < bytes; i++) {
    const place = i < head ? first + i : second + (i - head);
    storePlace(core, place, 1, (value >> (i << 3)) & 0xff);
  }
  return true;
}

/** Faults now if an access to these bytes (at most a page of them) would; true when all may be accessed. */
export function probe(core: usize, va: u64, bytes: u32, access: u32): bool {
  if (translate(core, va, access) == 0) return false;
  if (!crosses(va, bytes)) return true;
  return translate(core, wrap(core, (va & ~PAGE_OFFSET) + PAGE_OFFSET + 1, access), access) != 0;
}

// --- for generated code. `bytes` may carry ACCESS_STACK (bit 8) ---

function accessIn(bytes: u64): u32 {
  return <u32>bytes & ACCESS_STACK;
}

function countIn(bytes: u64): u32 {
  return <u32>bytes & 0xff;
}

/** Alignment checking (SDM vol. 3A, 6.15, #AC): ring 3 only, where CR0.AM lets RFLAGS.AC ask for it. */
function misaligned(core: usize, va: u64, bytes: u32): bool {
  if ((va & (bytes - 1)) == 0 || cpl(core) != 3) return false;
  return (cr0(core) & CR0_AM) != 0 && (otherFlags(core) & FLAG_AC) != 0;
}

/**
 * `bytes`, a power of two, at an address that may be had: false after #AC(0), and after the #GP(0) or #SS(0) of one that
 * is not canonical. The manuals do not order #AC and #PF; AMD's processors look at the alignment before they translate.
 */
export function aligned(core: usize, va: u64, bytes: u32, access: u32): bool {
  if (!misaligned(core, va, bytes)) return true;
  const last = wrap(core, va + bytes - 1, access);
  if (canonical(va) && canonical(last)) raise(core, AC, 0);
  else probe(core, canonical(va) ? last : va, 1, access);
  return false;
}

/** Breakpoints come after the access's faults. */
function mayTouch(core: usize, va: u64, bytes: u64, access: u32): bool {
  if (!watching(core)) return true;
  if (!probe(core, va, countIn(bytes), accessIn(bytes) | access)) return false;
  return mayAccess(core, va, countIn(bytes), access == ACCESS_WRITE);
}

/** Load of 1, 2, 4 or 8 bytes, zero-extended. */
export function loadSlow(core: usize, va: u64, bytes: u64): u64 {
  if (!aligned(core, va, countIn(bytes), accessIn(bytes) | ACCESS_READ)) return 0;
  if (!mayTouch(core, va, bytes, ACCESS_READ)) return 0;
  return loadLinear(core, va, countIn(bytes), accessIn(bytes));
}

/** Store of 1, 2, 4 or 8 bytes; 0 after a fault, else 1. */
export function storeSlow(core: usize, va: u64, bytes: u64, value: u64): u64 {
  if (!aligned(core, va, countIn(bytes), accessIn(bytes) | ACCESS_WRITE)) return 0;
  if (!mayTouch(core, va, bytes, ACCESS_WRITE)) return 0;
  return u64(storeLinear(core, va, countIn(bytes), value, accessIn(bytes)));
}

/** 16 bytes to SCRATCH; flags: 0 or ACCESS_STACK. 0 after a fault, else 1. */
export function loadSlow16(core: usize, va: u64, flags: u64): u64 {
  const access = <u32>flags & ACCESS_STACK;
  const read = access | ACCESS_READ;
  if (!aligned(core, va, 16, read) || !probe(core, va, 16, read)) return 0;
  if (!mayAccess(core, va, 16, false)) return 0;
  store<u64>(core, loadLinear(core, va, 8, access), SCRATCH);
  store<u64>(core, loadLinear(core, wrap(core, va + 8, access), 8, access), SCRATCH + 8);
  return 1;
}

/** 16 bytes from SCRATCH. 0 after a fault, else 1. */
export function storeSlow16(core: usize, va: u64, flags: u64): u64 {
  const access = <u32>flags & ACCESS_STACK;
  const write = access | ACCESS_WRITE;
  if (!aligned(core, va, 16, write) || !probe(core, va, 16, write)) return 0;
  if (!mayAccess(core, va, 16, true)) return 0;
  storeLinear(core, va, 8, load<u64>(core, SCRATCH), access);
  storeLinear(core, wrap(core, va + 8, access), 8, load<u64>(core, SCRATCH + 8), access);
  return 1;
}

/** Would a store of so many bytes fault? 0 after raising the fault, else 1. Fills both pages' entries for writing. */
export function probeWrite(core: usize, va: u64, bytes: u64): u64 {
  if (!aligned(core, va, countIn(bytes), accessIn(bytes) | ACCESS_WRITE)) return 0;
  if (!mayTouch(core, va, bytes, ACCESS_WRITE)) return 0;
  return u64(probe(core, va, countIn(bytes), accessIn(bytes) | ACCESS_WRITE));
}

export function probeRead(core: usize, va: u64, bytes: u64): u64 {
  return u64(probe(core, va, countIn(bytes), accessIn(bytes) | ACCESS_READ));
}

// --- segmentation ---

/** An access through this segment: where it is SS, an address that is not canonical is #SS(0). */
export function through(segment: u64, access: u32): u32 {
  return <u32>segment == SS ? access | ACCESS_STACK : access;
}

/**
 * Linear address of segment:offset for an access of `bytes` bytes (ACCESS_READ, ACCESS_WRITE, ACCESS_EXECUTE), after
 * the type and limit checks of the mode; #GP(0), or #SS(0) for SS. In 64-bit mode only FS and GS have a base, and the
 * canonical check is the access's own.
 */
export function linear(core: usize, segment: u64, offset: u64, bytes: u64, access: u64): u64 {
  const index = <u32>segment;
  if (mode(core) & MODE_64) return index >= <u32>FS ? offset + baseOf(core, index) : offset;
  const at = <u32>offset;
  if (!allows(core, index, at, <u32>bytes, <u32>access)) {
    raise(core, index == SS ? STACK_FAULT : GP, 0);
    return 0;
  }
  return (baseOf(core, index) + at) & 0xffff_ffff;
}

function allows(core: usize, index: u32, offset: u32, bytes: u32, access: u32): bool {
  const attributes = attributesOf(core, index);
  if ((mode(core) & MODE_PROTECTED) != 0) {
    if ((attributes & ATTRIBUTE_PRESENT) == 0) return false; // null, or made unusable
    const kind = access & 3;
    const code = (attributes & ATTRIBUTE_CODE) != 0;
    // Bit 9 is "writable" for data, which may always be read, and "readable" for code, which is never written.
    if (kind == ACCESS_WRITE && (code || (attributes & ATTRIBUTE_WRITABLE) == 0)) return false;
    if (kind == ACCESS_READ && code && (attributes & ATTRIBUTE_WRITABLE) == 0) return false;
    if (kind == ACCESS_EXECUTE && !code) return false;
  }
  return withinLimit(attributes, limitOf(core, index), offset, bytes);
}

/** SDM vol. 3A, 5.3: an expand-down data segment holds what lies above its limit. */
export function withinLimit(attributes: u32, limit: u32, offset: u32, bytes: u32): bool {
  const last = <u64>offset + bytes - 1;
  if ((attributes & (ATTRIBUTE_CODE | ATTRIBUTE_EXPAND_DOWN)) == ATTRIBUTE_EXPAND_DOWN) {
    const top: u64 = attributes & ATTRIBUTE_BIG ? 0xffff_ffff : 0xffff;
    return offset > limit && last <= top;
  }
  return last <= limit;
}

// --- for the rest of the microcode: memory by segment, and the descriptor tables ---

/** A read of a descriptor table or TSS: supervisor, whatever CPL is. Check faulted() after it. */
export function loadImplicit(core: usize, va: u64, bytes: u32): u64 {
  return loadLinear(core, va, bytes, ACCESS_IMPLICIT);
}

/** Loads through a segment register. Check faulted() after it. */
export function loadSegmented(core: usize, index: u32, offset: u64, bytes: u32): u64 {
  const va = linear(core, index, offset, bytes, ACCESS_READ);
  if (faulted(core)) return 0;
  return loadLinear(core, va, bytes, index == SS ? ACCESS_STACK : 0);
}
