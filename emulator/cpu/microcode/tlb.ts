// The TLB: what translation.ts has found, and what takes it away again. Intel SDM vol. 3A, 4.10. layout.ts draws an
// entry.
//
// Invariants:
// - An entry, once filled, answers until INVLPG, a page fault, a control-register write or a conflicting page drops it,
//   whatever the tables in memory say meanwhile: a missing shoot-down shows. Another PCID in CR3 drops nothing: what is
//   not global moves to the second level (contexts.ts).
// - A fast tag is set only for what current CR0.WP, CR4.SMEP, CR4.SMAP, CR4.PKE and PKRU allow; retag() sets them anew
//   when one of these tightens, without forgetting the translation, except SMEP, which forgets.

import {
  ACCESS_EXECUTE,
  ACCESS_IMPLICIT,
  ACCESS_READ,
  ACCESS_WRITE,
  CONTEXT_COUNT,
  CR3,
  DEBUG_CHANGED,
  EMPTY_BANK,
  MODE_LONG,
  PKRU,
  TLB,
  TLB_BANKS,
  TLB_DATA_BANKS,
  TLB_DIRTY,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_EXECUTABLE,
  TLB_EXECUTE,
  TLB_FLAGS,
  TLB_GLOBAL,
  TLB_HOST,
  TLB_HUGE,
  TLB_KEY_SHIFT,
  TLB_LARGE,
  TLB_LISTED,
  TLB_LIVE,
  TLB_LIVE_COUNT,
  TLB_NONE,
  TLB_PHYSICAL,
  TLB_READ,
  TLB_REGIONS,
  TLB_REGIONS_BYTES,
  TLB_ROM,
  TLB_SLOW,
  TLB_SWEPT,
  TLB_USER,
  TLB_VALID,
  TLB_WRITABLE,
  TLB_WRITE,
} from "../layout";
import { forgetContext, forgetContexts, forgetPage, keep, PCID, take, takenPhysical } from "./contexts";
import {
  CR0_WP,
  CR4_PCIDE,
  CR4_PKE,
  CR4_SMAP,
  CR4_SMEP,
  canonical,
  cr0,
  cr4,
  FLAG_AC,
  mode,
  must,
  otherFlags,
} from "./core";
import { watchesPage } from "./debug";
import { generationWord, hostOf, isRom, PHYSICAL_BITS } from "./physical";

export const PAGE_OFFSET: u64 = 0xfff;

/** Address bits 20..12, folded with the next ones, choose among a bank's entries. */
export function entryOf(core: usize, va: u64, bank: u32): usize {
  const index = (<u32>((va >> 12) ^ (va >> 21)) & (TLB_ENTRIES - 1)) + bank * TLB_ENTRIES;
  return core + TLB + index * TLB_ENTRY_BYTES;
}

/** User pages have fast tags in the open bank, for which CLAC and the like need not be undone entry by entry. */
export const BANK_SUPERVISOR: u32 = 0;
export const BANK_USER: u32 = 1;
export const BANK_OPEN: u32 = 2;
export const BANK_CODE: u32 = 3;
export const BANK_USER_CODE: u32 = 4;

/** SMAP: supervisor data accesses to user pages need RFLAGS.AC, and implicit ones are never allowed. */
export function smapAllows(core: usize, flags: u32, a: u32): bool {
  if ((flags & TLB_USER) == 0 || (cr4(core) & CR4_SMAP) == 0 || (a & 3) == ACCESS_EXECUTE) return true;
  return (a & ACCESS_IMPLICIT) == 0 && (otherFlags(core) & FLAG_AC) != 0;
}

/** SDM 4.6.2: the key of a user page, by PKRU's two bits for it: no data access, no write. Fetches are free. */
export function keyAllows(core: usize, flags: u32, a: u32, user: bool): bool {
  if ((cr4(core) & CR4_PKE) == 0 || (flags & TLB_USER) == 0 || (a & 3) == ACCESS_EXECUTE) return true;
  if ((mode(core) & MODE_LONG) == 0) return true;
  const rights = load<u32>(core, PKRU) >> (((flags >> TLB_KEY_SHIFT) & 15) << 1);
  if (rights & 1) return false;
  const writes = (a & 3) == ACCESS_WRITE && (user || (cr0(core) & CR0_WP) != 0);
  return (rights & 2) == 0 || !writes;
}

export function supervisorExecutes(core: usize, flags: u32): bool {
  if ((flags & TLB_EXECUTABLE) == 0) return false;
  return (flags & TLB_USER) == 0 || (cr4(core) & CR4_SMEP) == 0;
}

export function fill(
  core: usize,
  entry: usize,
  va: u64,
  physical: u64,
  granted: u32,
  shift: u32,
  user: bool,
): void {
  must(physical >> PHYSICAL_BITS == 0);
  const page = va & ~PAGE_OFFSET;
  const host = hostOf(physical & ~PAGE_OFFSET);
  let flags = granted | TLB_VALID | TLB_LISTED | (shift << 8);
  if (shift > 12) {
    flags |= TLB_LARGE;
    noteLarge(core, va, shift);
  }
  if (host != 0 && isRom(host)) flags |= TLB_ROM;
  if ((load<u32>(entry, TLB_FLAGS) & TLB_LISTED) == 0) list(core, entry);
  store<u32>(entry, <u32>host, TLB_HOST);
  store<u32>(entry, <u32>(physical >> 12), TLB_PHYSICAL);
  store<u32>(entry, flags, TLB_FLAGS);
  if (entry < core + TLB + <usize>TLB_DATA_BANKS * TLB_ENTRIES * TLB_ENTRY_BYTES) {
    store<u64>(entry, TLB_NONE, TLB_EXECUTE);
    tagData(core, entry, page, user, user || smapAllows(core, flags, ACCESS_READ));
    return;
  }
  const executes = user ? (flags & TLB_EXECUTABLE) != 0 : supervisorExecutes(core, flags);
  store<u64>(entry, page | TLB_SLOW, TLB_READ);
  store<u64>(entry, TLB_NONE, TLB_WRITE);
  store<u64>(entry, executes ? page | (host == 0 ? TLB_SLOW : 0) : TLB_NONE, TLB_EXECUTE);
}

/**
 * The page before has the same entry: all bits that an index is made of change between them. Generated code looks up the page of an
 * operand's last byte under its first one, and would take an operand that begins in the page before for one that lies in this one.
 */
function sharesEntry(page: u64): bool {
  return (page & 0x1fff_ffff) == 0;
}

/** Sets the tags of loads and stores; `open`: SMAP has nothing against them. */
function tagData(core: usize, entry: usize, page: u64, user: bool, open: bool): void {
  const flags = load<u32>(entry, TLB_FLAGS);
  const host = load<u32>(entry, TLB_HOST);
  const slow: u64 = host == 0 || sharesEntry(page) || watchesPage(core, page) ? TLB_SLOW : 0;
  const readable = open && keyAllows(core, flags, ACCESS_READ, user);
  store<u64>(entry, page | (readable ? slow : TLB_SLOW), TLB_READ);
  let write: u64 = TLB_NONE;
  if (readable && flags & TLB_DIRTY && (flags & TLB_WRITABLE || (!user && (cr0(core) & CR0_WP) == 0))) {
    if (keyAllows(core, flags, ACCESS_WRITE, user))
      write = page | (flags & TLB_ROM || holdsCode(<usize>host) ? TLB_SLOW : slow);
  }
  store<u64>(entry, write, TLB_WRITE);
}

/** Sets the tags for data anew, after something that they depend on has changed. */
export function retag(core: usize): void {
  const guard = (cr4(core) & CR4_SMAP) != 0;
  const count = load<u32>(core, TLB_LIVE_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    const index: u32 = load<u16>(core + i * 2, TLB_LIVE);
    const bank = index / TLB_ENTRIES;
    const entry = entryAt(core, index);
    const flags = load<u32>(entry, TLB_FLAGS);
    if ((flags & TLB_VALID) == 0 || bank >= <u32>TLB_DATA_BANKS) continue;
    const guarded = guard && bank == BANK_SUPERVISOR && (flags & TLB_USER) != 0;
    tagData(core, entry, load<u64>(entry, TLB_READ) & ~(<u64>TLB_SLOW), bank == BANK_USER, !guarded);
  }
}

/** Breakpoints have changed: the pages that they look at, and the engine's view of them. */
export function debugChanged(core: usize): void {
  store<u32>(core, 1, DEBUG_CHANGED);
  retag(core);
}

/** Stores to a page that code was decoded from take the slow path, which makes that code stale. */
function holdsCode(host: usize): bool {
  return host != 0 && !isRom(host) && (load<u32>(generationWord(host)) & 1) != 0;
}

/** The store tag is fast again once the code of the page is forgotten; the engine takes it back when code is decoded. */
export function reopen(entry: usize, page: u64): void {
  if (load<u64>(entry, TLB_READ) != page || (load<u32>(entry, TLB_FLAGS) & TLB_ROM) != 0) return;
  if (!holdsCode(load<u32>(entry, TLB_HOST))) store<u64>(entry, page, TLB_WRITE);
}

/** Empties an entry. It stays in the list of those that a flush looks at until that list is made anew. */
function drop(entry: usize, listed: u32): void {
  store<u32>(entry, listed, TLB_FLAGS);
  store<u64>(entry, TLB_NONE, TLB_READ);
  store<u64>(entry, TLB_NONE, TLB_WRITE);
  store<u64>(entry, TLB_NONE, TLB_EXECUTE);
}

const ENTRIES: u32 = TLB_BANKS * TLB_ENTRIES;

function entryAt(core: usize, index: u32): usize {
  return core + TLB + index * TLB_ENTRY_BYTES;
}

/** Puts an entry into the list of those that have been filled. */
function list(core: usize, entry: usize): void {
  const count = load<u32>(core, TLB_LIVE_COUNT);
  must(count < ENTRIES); // each is listed once
  store<u16>(core + count * 2, <u16>((entry - core - TLB) / TLB_ENTRY_BYTES), TLB_LIVE);
  store<u32>(core, count + 1, TLB_LIVE_COUNT);
}

/** Drops everything, global entries and all contexts included; also what a core starts from, and what a change of A20 needs. */
export function flushTlb(core: usize): u64 {
  forgetContexts(core);
  flushCurrent(core);
  return 0;
}

/** Drops what is global or of the current context. */
export function flushCurrent(core: usize): void {
  if (load<u32>(core, TLB_SWEPT) == 0) {
    for (let i: u32 = 0; i < ENTRIES; i++) drop(entryAt(core, i), 0);
    for (let i: u32 = 0; i < <u32>TLB_ENTRIES; i++) drop(<usize>EMPTY_BANK + i * TLB_ENTRY_BYTES, 0);
    store<u32>(core, 1, TLB_SWEPT);
  } else {
    const count = load<u32>(core, TLB_LIVE_COUNT);
    for (let i: u32 = 0; i < count; i++) drop(entryAt(core, load<u16>(core + i * 2, TLB_LIVE)), 0);
  }
  store<u32>(core, 0, TLB_LIVE_COUNT);
  forgetContext(core, currentPcid(core));
  if (load<u32>(core, CONTEXT_COUNT) != 0) return;
  store<u32>(core, 0, TLB_HUGE);
  memory.fill(core + TLB_REGIONS, 0, TLB_REGIONS_BYTES);
}

/** MOV to CR3 and INVPCID of the current context: all but global entries. */
export function flushLocal(core: usize): void {
  emptyLocal(core, false);
  forgetContext(core, currentPcid(core));
}

/** Empties the first level but for what is global; `keeps`: into the second. */
function emptyLocal(core: usize, keeps: bool): void {
  const pcid = currentPcid(core);
  const count = load<u32>(core, TLB_LIVE_COUNT);
  let kept: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const index: u32 = load<u16>(core + i * 2, TLB_LIVE);
    const entry = entryAt(core, index);
    const flags = load<u32>(entry, TLB_FLAGS);
    if (flags & TLB_GLOBAL) {
      store<u16>(core + kept * 2, <u16>index, TLB_LIVE);
      kept++;
      continue;
    }
    if (keeps && flags & TLB_VALID) {
      const page = load<u64>(entry, TLB_READ) & ~PAGE_OFFSET;
      keep(core, pcid, page, index / TLB_ENTRIES, flags & ~(<u32>TLB_LISTED), load<u32>(entry, TLB_PHYSICAL));
    }
    drop(entry, 0);
  }
  store<u32>(core, kept, TLB_LIVE_COUNT);
}

/** 000H unless CR4.PCIDE is set: nothing else can be in CR3's low bits when that is done (SDM 4.10.1). */
function currentPcid(core: usize): u64 {
  return cr4(core) & CR4_PCIDE ? load<u64>(core, CR3) & PCID : 0;
}

/** MOV to CR3 with CR4.PCIDE set: another context, perhaps; what it left behind stays with `keeps` (bit 63 of the operand). */
export function changeContext(core: usize, cr3: u64, keeps: bool): void {
  const other = (cr3 & PCID) != currentPcid(core);
  if (other) emptyLocal(core, true);
  else if (!keeps) emptyLocal(core, false);
  store<u64>(core, cr3, CR3);
  if (!keeps) forgetContext(core, cr3 & PCID);
}

/** INVPCID of a context: its page that holds va, or (`whole`) all of it; never what is global. */
export function flushContext(core: usize, pcid: u64, va: u64, whole: bool): void {
  const current = pcid == currentPcid(core);
  if (whole) {
    if (current) emptyLocal(core, false);
    forgetContext(core, pcid);
  } else {
    if (current) dropPage(core, va, TLB_GLOBAL);
    forgetPage(core, pcid, va & ~PAGE_OFFSET, maybeLarge(core, va));
  }
}

/** INVPCID of all contexts: everything that is not global. */
export function flushContexts(core: usize): void {
  emptyLocal(core, false);
  forgetContexts(core);
}

/**
 * INVLPG, and what a page fault does: the page that holds va, of the current context or global, whatever its size;
 * nothing else. A non-canonical va does nothing.
 */
export function flushPage(core: usize, va: u64): void {
  if (!canonical(va)) return;
  dropPage(core, va, 0);
  forgetPage(core, currentPcid(core), va & ~PAGE_OFFSET, maybeLarge(core, va));
}

/** Drops a page from the first level, unless it has one of the flags `but`. */
function dropPage(core: usize, va: u64, but: u32): void {
  const page = va & ~PAGE_OFFSET;
  for (let bank: u32 = 0; bank < <u32>TLB_BANKS; bank++) {
    const entry = entryOf(core, va, bank);
    if ((load<u64>(entry, TLB_READ) & ~(<u64>TLB_SLOW)) != page) continue;
    if ((load<u32>(entry, TLB_FLAGS) & but) == 0) drop(entry, TLB_LISTED);
  }
  if (!maybeLarge(core, va)) return;
  const count = load<u32>(core, TLB_LIVE_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    const entry = entryAt(core, load<u16>(core + i * 2, TLB_LIVE));
    const flags = load<u32>(entry, TLB_FLAGS);
    if ((flags & TLB_LARGE) == 0 || (flags & but) != 0) continue;
    const shift = (flags >> 8) & 0xff;
    if (load<u64>(entry, TLB_READ) >> shift == va >> shift) drop(entry, TLB_LISTED);
  }
}

/** The flags of a translation that the second level has for the current context, taken out of it; 0: none. */
export function recall(core: usize, va: u64, bank: u32): u32 {
  if (load<u32>(core, CONTEXT_COUNT) == 0) return 0;
  return take(core, currentPcid(core), va & ~PAGE_OFFSET, bank);
}
export function recalledPage(): u64 {
  return (<u64>takenPhysical) << 12;
}

// Nearly every page that goes is of 4 KiB; only where a large one has been seen must its fragments be looked for.

const SHIFT_2M: u32 = 21;

/** The filter's bit for a 2 MiB region: byte address and mask. */
function regionByte(core: usize, va: u64): usize {
  return core + TLB_REGIONS + (region(va) >> 3);
}
function region(va: u64): u32 {
  return <u32>((va >> 21) ^ (va >> 30)) & (TLB_REGIONS_BYTES * 8 - 1);
}

function noteLarge(core: usize, va: u64, shift: u32): void {
  if (shift != SHIFT_2M) {
    store<u32>(core, 1, TLB_HUGE);
    return;
  }
  const at = regionByte(core, va);
  store<u8>(at, <u8>(<u32>load<u8>(at) | ((1 as u32) << (region(va) & 7))));
}

function maybeLarge(core: usize, va: u64): bool {
  if (load<u32>(core, TLB_HUGE)) return true;
  return ((<u32>load<u8>(regionByte(core, va)) >> (region(va) & 7)) & 1) != 0;
}
