// Paging and the TLB: linear to physical addresses. Intel SDM vol. 3A, chapter 4: 32-bit (with PSE and PSE-36), PAE
// and 4-level paging; pages of 4 KiB, 2 MiB, 4 MiB and 1 GiB.
//
// Invariants:
// - An entry, once filled, answers until INVLPG, a control-register write or a conflicting page drops it, whatever
//   the tables in memory say meanwhile: a missing shoot-down shows. An access that the entry does not allow walks
//   the tables anew, so a fault is raised only if the tables deny it (AMD APM vol. 2, 5.5.2).
// - A fast tag is set only for what current CR0.WP, CR4.SMEP, CR4.SMAP and PKRU allow; retag() takes tags back when
//   the first and the third tighten, without forgetting the translation; changes of the others drop what they touch.
// - The accessed bit of an upper entry is set as soon as it is used; accessed and dirty of the last entry only for an
//   access that is permitted, all by compare-and-exchange.

import {
  ACCESS_EXECUTE,
  ACCESS_IMPLICIT,
  ACCESS_READ,
  ACCESS_STACK,
  ACCESS_SUPERVISOR,
  ACCESS_WRITE,
  CR2,
  CR3,
  EMPTY_BANK,
  MODE_LONG,
  MODE_PAGING,
  ON_BUS_BIT,
  PDPTE,
  PKRU,
  TLB,
  TLB_BANKS,
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
  TLB_ROM,
  TLB_SLOW,
  TLB_SWEPT,
  TLB_USER,
  TLB_VALID,
  TLB_WRITABLE,
  TLB_WRITE,
} from "../layout";
import {
  CR0_WP,
  CR4_PAE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  canonical,
  cpl,
  cr0,
  cr4,
  EFER_NXE,
  efer,
  FLAG_AC,
  GP,
  mode,
  must,
  otherFlags,
  PF,
  raise,
  STACK_FAULT,
} from "./core";
import {
  gateA20,
  generationWord,
  hostOf,
  isRom,
  PHYSICAL_BITS,
  PHYSICAL_MASK,
  readEntry32,
  readEntry64,
  updateEntry32,
  updateEntry64,
} from "./physical";

export const ON_BUS: u64 = (1 as u64) << ON_BUS_BIT;
export const PAGE_OFFSET: u64 = 0xfff;

// Page-table entries:  63 NX | 62..59 protection key, in the last | 58..52 ignored | 51..12 address | 8 G | 7 PS/PAT | 6 D | 5 A | 2 U/S | 1 R/W | 0 P
const P: u64 = 1;
const RW: u64 = 2;
const US: u64 = 4;
const A: u64 = 0x20;
const D: u64 = 0x40;
const PS: u64 = 0x80;
const G: u64 = 0x100;
const NX: u64 = 0x8000_0000_0000_0000;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/** Address bits beyond what the processor drives. */
const BEYOND: u64 = ADDRESS & ~PHYSICAL_MASK;

// Page-fault error code
const ERROR_P: u32 = 1;
const ERROR_W: u32 = 2;
const ERROR_U: u32 = 4;
const ERROR_RSVD: u32 = 8;
const ERROR_I: u32 = 16;
const ERROR_PK: u32 = 32;

// --- one walk's results; a core's microcode runs to its end, so globals serve as registers ---
/** NOT_PRESENT, RESERVED, CHANGED (an entry was written under the walk) or FOUND. */
let outcome: u32 = 0;
const FOUND: u32 = 0;
const NOT_PRESENT: u32 = 1;
const RESERVED: u32 = 2;
const CHANGED: u32 = 3;
let leaf: u64 = 0; // the last entry, and where it lies
let leafAddress: u64 = 0;
let physicalPage: u64 = 0;
let rights: u64 = 0; // RW and US as all levels grant them; NX when one level forbids execution
let sizeLog2: u32 = 0;

/**
 * The wasm address of va's byte for this access (ACCESS_*), or ON_BUS with its physical address, or 0 after raising
 * #PF, #GP or #SS. Fills the TLB. Only the one page matters: the caller splits what crosses.
 */
export function translate(core: usize, va: u64, access: u64): u64 {
  const a = <u32>access;
  if (!canonical(va)) {
    raise(core, a & ACCESS_STACK ? STACK_FAULT : GP, 0);
    return 0;
  }
  const user = cpl(core) == 3 && (a & (ACCESS_IMPLICIT | ACCESS_SUPERVISOR)) == 0;
  const entry = entryOf(core, va, bankOf(core, a, user));
  const tag = load<u64>(entry + ((a & 3) << 3), TLB_READ);
  if ((tag & ~(<u64>TLB_SLOW)) == (va & ~PAGE_OFFSET)) {
    const flags = load<u32>(entry, TLB_FLAGS);
    if ((user || smapAllows(core, flags, a)) && keyAllows(core, flags, a, user)) {
      if (tag & TLB_SLOW && (a & 3) == ACCESS_WRITE) reopen(entry, va & ~PAGE_OFFSET);
      return answer(entry, va, a);
    }
  }
  if ((mode(core) & MODE_PAGING) == 0) {
    fill(core, entry, va, gateA20(va), TLB_WRITABLE | TLB_EXECUTABLE | TLB_DIRTY, 12, user);
    return answer(entry, va, a);
  }
  return walkAndFill(core, entry, va, a, user);
}

/** Address bits 20..12, folded with the next ones, choose among a bank's entries. */
function entryOf(core: usize, va: u64, bank: u32): usize {
  const index = (<u32>((va >> 12) ^ (va >> 21)) & (TLB_ENTRIES - 1)) + bank * TLB_ENTRIES;
  return core + TLB + index * TLB_ENTRY_BYTES;
}

/** User pages have fast tags in the open bank, for which CLAC and the like need not be undone entry by entry. */
const BANK_SUPERVISOR: u32 = 0;
const BANK_USER: u32 = 1;
const BANK_OPEN: u32 = 2;

function bankOf(core: usize, a: u32, user: bool): u32 {
  if (user) return BANK_USER;
  const open = (cr4(core) & CR4_SMAP) != 0 && (otherFlags(core) & FLAG_AC) != 0 && (a & ACCESS_IMPLICIT) == 0;
  return open ? BANK_OPEN : BANK_SUPERVISOR;
}

function answer(entry: usize, va: u64, a: u32): u64 {
  const host = load<u32>(entry, TLB_HOST);
  const stored = (a & 3) == ACCESS_WRITE && (load<u32>(entry, TLB_FLAGS) & TLB_ROM) != 0;
  if (host != 0 && !stored) return <u64>(host + <u32>(va & PAGE_OFFSET));
  return ON_BUS | ((<u64>load<u32>(entry, TLB_PHYSICAL)) << 12) | (va & PAGE_OFFSET);
}

/** SMAP: supervisor data accesses to user pages need RFLAGS.AC, and implicit ones are never allowed. */
function smapAllows(core: usize, flags: u32, a: u32): bool {
  if ((flags & TLB_USER) == 0 || (cr4(core) & CR4_SMAP) == 0 || (a & 3) == ACCESS_EXECUTE) return true;
  return (a & ACCESS_IMPLICIT) == 0 && (otherFlags(core) & FLAG_AC) != 0;
}

/** SDM 4.6.2: the key of a user page, by PKRU's two bits for it: no data access, no write. Fetches are free. */
function keyAllows(core: usize, flags: u32, a: u32, user: bool): bool {
  if ((cr4(core) & CR4_PKE) == 0 || (flags & TLB_USER) == 0 || (a & 3) == ACCESS_EXECUTE) return true;
  if ((mode(core) & MODE_LONG) == 0) return true;
  const rights = load<u32>(core, PKRU) >> (((flags >> TLB_KEY_SHIFT) & 15) << 1);
  if (rights & 1) return false;
  const writes = (a & 3) == ACCESS_WRITE && (user || (cr0(core) & CR0_WP) != 0);
  return (rights & 2) == 0 || !writes;
}

function walkAndFill(core: usize, entry: usize, va: u64, a: u32, user: bool): u64 {
  const legacy32 = (cr4(core) & CR4_PAE) == 0;
  while (true) {
    if (legacy32) walk32(core, va);
    else walk64(core, va);
    if (outcome == CHANGED) continue;
    if (outcome == NOT_PRESENT) return pageFault(core, va, a, user, 0);
    if (outcome == RESERVED) return pageFault(core, va, a, user, ERROR_P | ERROR_RSVD);
    let flags: u32 = 0;
    if (rights & RW) flags |= TLB_WRITABLE;
    if (rights & US) flags |= TLB_USER;
    if ((rights & NX) == 0) flags |= TLB_EXECUTABLE;
    if (!legacy32) flags |= (<u32>(leaf >> 59) & 15) << TLB_KEY_SHIFT;
    const keyed = keyAllows(core, flags, a, user);
    if (!keyed || !permitted(core, flags, a, user))
      return pageFault(core, va, a, user, keyed ? ERROR_P : ERROR_P | ERROR_PK);
    const bits = (a & 3) == ACCESS_WRITE ? A | D : A;
    if ((leaf & bits) != bits) {
      const done = legacy32
        ? updateEntry32(core, leafAddress, leaf, bits)
        : updateEntry64(core, leafAddress, leaf, bits);
      if (!done) continue;
      leaf |= bits;
    }
    if (leaf & D) flags |= TLB_DIRTY;
    if (leaf & G && cr4(core) & CR4_PGE) flags |= TLB_GLOBAL;
    fill(core, entry, va, physicalPage, flags, sizeLog2, user);
    return answer(entry, va, a);
  }
}

/** SDM 4.6.1: access rights by CPL, CR0.WP, SMEP and SMAP. */
function permitted(core: usize, flags: u32, a: u32, user: bool): bool {
  const kind = a & 3;
  if (user) {
    if ((flags & TLB_USER) == 0) return false;
    if (kind == ACCESS_WRITE) return (flags & TLB_WRITABLE) != 0;
    return kind != ACCESS_EXECUTE || (flags & TLB_EXECUTABLE) != 0;
  }
  if (kind == ACCESS_EXECUTE) return supervisorExecutes(core, flags);
  if (!smapAllows(core, flags, a)) return false;
  return kind != ACCESS_WRITE || (flags & TLB_WRITABLE) != 0 || (cr0(core) & CR0_WP) == 0;
}

function supervisorExecutes(core: usize, flags: u32): bool {
  if ((flags & TLB_EXECUTABLE) == 0) return false;
  return (flags & TLB_USER) == 0 || (cr4(core) & CR4_SMEP) == 0;
}

function pageFault(core: usize, va: u64, a: u32, user: bool, why: u32): u64 {
  let error = why;
  if ((a & 3) == ACCESS_WRITE) error |= ERROR_W;
  if (user) error |= ERROR_U;
  if ((a & 3) == ACCESS_EXECUTE) {
    const noExecute = (efer(core) & EFER_NXE) != 0 && (cr4(core) & CR4_PAE) != 0;
    if (noExecute || (cr4(core) & CR4_SMEP) != 0) error |= ERROR_I;
  }
  store<u64>(core, va, CR2);
  raise(core, PF, error);
  return 0;
}

// --- walks ---

/** Sets the accessed bit of an upper entry. */
function used64(core: usize, address: u64, entry: u64): bool {
  return (entry & A) != 0 || updateEntry64(core, address, entry, A);
}

/** 4-level and PAE paging: entries of 8 bytes, 512 a table; PAE starts from a register and never has NX above. */
function walk64(core: usize, va: u64): void {
  const long = (mode(core) & MODE_LONG) != 0;
  const noExecute = (efer(core) & EFER_NXE) != 0;
  let reserved = BEYOND;
  if (!noExecute) reserved |= NX;
  let level: u32;
  let table: u64;
  rights = RW | US;
  if (long) {
    level = 4;
    table = load<u64>(core, CR3) & ADDRESS;
  } else {
    reserved |= 0x7ff0_0000_0000_0000; // outside long mode bits 62..52 are reserved as well
    const pointer = load<u64>(core + (<u32>(va >> 30) & 3) * 8, PDPTE);
    if ((pointer & P) == 0) {
      outcome = NOT_PRESENT;
      return;
    }
    level = 2;
    table = pointer & ADDRESS;
  }
  while (true) {
    const shift = 12 + 9 * (level - 1);
    const address = gateA20((table & PHYSICAL_MASK) | (((va >> shift) & 511) << 3));
    const e = readEntry64(core, address);
    if ((e & P) == 0) {
      outcome = NOT_PRESENT;
      return;
    }
    const last = level == 1 || ((e & PS) != 0 && level < 4);
    // A large page's address is aligned to its size: bits between PAT (12) and there are reserved. No PS in a PML4E.
    let wrong = e & reserved;
    if (last && level > 1) wrong |= e & (((1 as u64) << shift) - 1) & ~(0x1fff as u64);
    if (level == 4) wrong |= e & PS;
    // AMD APM vol. 2, figures 5-20 and 5-21: bit 8 must be zero where it could not mean "global".
    if (level >= 3 && !last) wrong |= e & G;
    if (wrong) {
      outcome = RESERVED;
      return;
    }
    rights = (rights & (e | NX)) | (e & NX);
    if (last) {
      found(
        e,
        address,
        (e & ADDRESS & ~(((1 as u64) << shift) - 1)) | (va & (((1 as u64) << shift) - 1)),
        shift,
      );
      return;
    }
    if (!used64(core, address, e)) {
      outcome = CHANGED;
      return;
    }
    table = e & ADDRESS;
    level--;
  }
}

/** 32-bit paging: two levels of 1024 entries of 4 bytes; with CR4.PSE a directory entry may map 4 MiB (PSE-36). */
function walk32(core: usize, va: u64): void {
  const top = gateA20((load<u64>(core, CR3) & 0xffff_f000) | (((va >> 22) & 1023) << 2));
  const e = readEntry32(core, top);
  if ((e & P) == 0) {
    outcome = NOT_PRESENT;
    return;
  }
  rights = e & (RW | US);
  if ((e & PS) != 0 && (cr4(core) & CR4_PSE) != 0) {
    // Bits 20..13 hold address bits 39..32; bit 21 is reserved.
    if (e & 0x20_0000) {
      outcome = RESERVED;
      return;
    }
    found(e, top, (e & 0xffc0_0000) | (((e >> 13) & 0xff) << 32) | (va & 0x3f_ffff), 22);
    return;
  }
  if ((e & A) == 0 && !updateEntry32(core, top, e, A)) {
    outcome = CHANGED;
    return;
  }
  const address = gateA20((e & 0xffff_f000) | (((va >> 12) & 1023) << 2));
  const p = readEntry32(core, address);
  if ((p & P) == 0) {
    outcome = NOT_PRESENT;
    return;
  }
  rights &= p;
  found(p, address, p & 0xffff_f000, 12);
}

function found(entry: u64, address: u64, physical: u64, shift: u32): void {
  outcome = FOUND;
  leaf = entry;
  leafAddress = address;
  physicalPage = gateA20(physical & PHYSICAL_MASK & ~PAGE_OFFSET);
  sizeLog2 = shift;
}

// --- the TLB ---

function fill(core: usize, entry: usize, va: u64, physical: u64, granted: u32, shift: u32, user: bool): void {
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
  const slow: u64 = host == 0 ? TLB_SLOW : 0;
  // A fetch may fill an entry whose data SMAP or the page's key keeps closed.
  const open = (user || smapAllows(core, flags, ACCESS_READ)) && keyAllows(core, flags, ACCESS_READ, user);
  store<u64>(entry, page | (open ? slow : TLB_SLOW), TLB_READ);
  let write: u64 = TLB_NONE;
  if (open && flags & TLB_DIRTY && (flags & TLB_WRITABLE || (!user && (cr0(core) & CR0_WP) == 0))) {
    if (keyAllows(core, flags, ACCESS_WRITE, user))
      write = page | (flags & TLB_ROM || holdsCode(<usize>host) ? TLB_SLOW : slow);
  }
  store<u64>(entry, write, TLB_WRITE);
  const executes = user ? (flags & TLB_EXECUTABLE) != 0 : supervisorExecutes(core, flags);
  store<u64>(entry, executes ? page | (host == 0 ? TLB_SLOW : 0) : TLB_NONE, TLB_EXECUTE);
}

/** Stores to a page that code was decoded from take the slow path, which makes that code stale. */
function holdsCode(host: usize): bool {
  return host != 0 && !isRom(host) && (load<u32>(generationWord(host)) & 1) != 0;
}

/** The store tag is fast again once the code of the page is forgotten; the engine takes it back when code is decoded. */
function reopen(entry: usize, page: u64): void {
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

/** Drops everything, global entries included; also what a core starts from, and what a change of A20 needs. */
export function flushTlb(core: usize): u64 {
  if (load<u32>(core, TLB_SWEPT) == 0) {
    for (let i: u32 = 0; i < ENTRIES; i++) drop(entryAt(core, i), 0);
    for (let i: u32 = 0; i < <u32>TLB_ENTRIES; i++) drop(<usize>EMPTY_BANK + i * TLB_ENTRY_BYTES, 0);
    store<u32>(core, 1, TLB_SWEPT);
  } else {
    const count = load<u32>(core, TLB_LIVE_COUNT);
    for (let i: u32 = 0; i < count; i++) drop(entryAt(core, load<u16>(core + i * 2, TLB_LIVE)), 0);
  }
  store<u32>(core, 0, TLB_LIVE_COUNT);
  store<u32>(core, 0, TLB_HUGE);
  memory.fill(core + TLB_REGIONS, 0, 64);
  return 0;
}

/** MOV to CR3: all but global entries. */
export function flushLocal(core: usize): void {
  const count = load<u32>(core, TLB_LIVE_COUNT);
  let kept: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const index = load<u16>(core + i * 2, TLB_LIVE);
    const entry = entryAt(core, index);
    if (load<u32>(entry, TLB_FLAGS) & TLB_GLOBAL) {
      store<u16>(core + kept * 2, index, TLB_LIVE);
      kept++;
    } else {
      drop(entry, 0);
    }
  }
  store<u32>(core, kept, TLB_LIVE_COUNT);
}

/** INVLPG: the page that holds va, global or not, whatever its size; nothing else. A non-canonical va does nothing. */
export function flushPage(core: usize, va: u64): void {
  if (!canonical(va)) return;
  const page = va & ~PAGE_OFFSET;
  for (let bank: u32 = 0; bank < <u32>TLB_BANKS; bank++) {
    const entry = entryOf(core, va, bank);
    if ((load<u64>(entry, TLB_READ) & ~(<u64>TLB_SLOW)) == page) drop(entry, TLB_LISTED);
  }
  if (!maybeLarge(core, va)) return;
  const count = load<u32>(core, TLB_LIVE_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    const entry = entryAt(core, load<u16>(core + i * 2, TLB_LIVE));
    const flags = load<u32>(entry, TLB_FLAGS);
    if ((flags & TLB_LARGE) == 0) continue;
    const shift = (flags >> 8) & 0xff;
    if (load<u64>(entry, TLB_READ) >> shift == va >> shift) drop(entry, TLB_LISTED);
  }
}

// Nearly every INVLPG is of a 4 KiB page; only where a large page has been seen must its fragments be looked for.

const SHIFT_2M: u32 = 21;

/** The filter's bit for a 2 MiB region: byte address and mask. */
function regionByte(core: usize, va: u64): usize {
  return core + TLB_REGIONS + (region(va) >> 3);
}
function region(va: u64): u32 {
  return <u32>((va >> 21) ^ (va >> 30)) & 511;
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

/** PKRU has changed: user pages whose key's two bits are among `changed` are forgotten. */
export function forgetKeys(core: usize, changed: u32): void {
  if (changed == 0 || (cr4(core) & CR4_PKE) == 0) return;
  const count = load<u32>(core, TLB_LIVE_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    const entry = entryAt(core, load<u16>(core + i * 2, TLB_LIVE));
    const flags = load<u32>(entry, TLB_FLAGS);
    const key = (flags >> TLB_KEY_SHIFT) & 15;
    if (flags & TLB_USER && (changed >> (key << 1)) & 3) drop(entry, TLB_LISTED);
  }
}

/** After CR0.WP or CR4.SMAP was set: takes fast tags back that supervisor entries hold no longer by right. */
export function retag(core: usize): void {
  const protect = (cr0(core) & CR0_WP) != 0;
  const guard = (cr4(core) & CR4_SMAP) != 0;
  for (let index: u32 = 0; index < ENTRIES; index++) {
    const bank = index / TLB_ENTRIES;
    const entry = entryAt(core, index);
    const flags = load<u32>(entry, TLB_FLAGS);
    if ((flags & TLB_VALID) == 0 || bank == BANK_USER) continue;
    const bound = (flags & TLB_WRITABLE) == 0 || !keyAllows(core, flags, ACCESS_WRITE, false);
    if (protect && bound) store<u64>(entry, TLB_NONE, TLB_WRITE);
    if (guard && bank == BANK_SUPERVISOR && flags & TLB_USER) {
      store<u64>(entry, load<u64>(entry, TLB_READ) | TLB_SLOW, TLB_READ);
      const write = load<u64>(entry, TLB_WRITE);
      if (write != TLB_NONE) store<u64>(entry, write | TLB_SLOW, TLB_WRITE);
    }
  }
}
