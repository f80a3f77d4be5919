// Linear to physical addresses. Intel SDM vol. 3A, 4.6 (access rights), 4.7 (page-fault exceptions). The walk of the
// tables is in walk.ts, what is kept of it in tlb.ts.
//
// Invariants:
// - An access that a TLB entry does not allow walks the tables anew, so a fault is raised only if the tables deny it
//   (AMD APM vol. 2, 5.5.2).
// - Accessed and dirty bits are set only for an access that is permitted, by compare-and-exchange.

import {
  ACCESS_EXECUTE,
  ACCESS_IMPLICIT,
  ACCESS_STACK,
  ACCESS_SUPERVISOR,
  ACCESS_WRITE,
  CR2,
  LOOKING_WALKS,
  LOOKING_WORD,
  MODE_PAGING,
  ON_BUS_BIT,
  TLB_DIRTY,
  TLB_EXECUTABLE,
  TLB_FLAGS,
  TLB_GLOBAL,
  TLB_HOST,
  TLB_KEY_SHIFT,
  TLB_PHYSICAL,
  TLB_READ,
  TLB_ROM,
  TLB_SLOW,
  TLB_USER,
  TLB_WRITABLE,
} from "../layout";
import {
  CR0_WP,
  CR4_PAE,
  CR4_PGE,
  CR4_SMAP,
  CR4_SMEP,
  canonical,
  coreIndex,
  cpl,
  cr0,
  cr4,
  EFER_NXE,
  efer,
  FLAG_AC,
  GP,
  mode,
  otherFlags,
  PF,
  raise,
  STACK_FAULT,
} from "./core";
import { walked } from "./host";
import { gateA20, updateEntry32, updateEntry64 } from "./physical";
import {
  BANK_CODE,
  BANK_OPEN,
  BANK_SUPERVISOR,
  BANK_USER,
  BANK_USER_CODE,
  entryOf,
  fill,
  flushPage,
  keyAllows,
  PAGE_OFFSET,
  recall,
  recalledPage,
  reopen,
  smapAllows,
  supervisorExecutes,
} from "./tlb";
import {
  A,
  CHANGED,
  D,
  G,
  leaf,
  leafAddress,
  NOT_PRESENT,
  NX,
  outcome,
  physicalPage,
  RESERVED,
  RW,
  rights,
  sizeLog2,
  US,
  unmarked,
  walk32,
  walk64,
} from "./walk";

/** What of an entry's flags comes from the tables. */
const FILLED: u32 = TLB_WRITABLE | TLB_EXECUTABLE | TLB_DIRTY | TLB_USER | ((15 as u32) << TLB_KEY_SHIFT);

export const ON_BUS: u64 = (1 as u64) << ON_BUS_BIT;

// Page-fault error code
const ERROR_P: u32 = 1;
const ERROR_W: u32 = 2;
const ERROR_U: u32 = 4;
const ERROR_RSVD: u32 = 8;
const ERROR_I: u32 = 16;
const ERROR_PK: u32 = 32;

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
  const kept = recall(core, va, bankOf(core, a, user));
  if (kept != 0 && serves(core, kept, a, user)) {
    fill(core, entry, va, recalledPage(), kept & FILLED, (kept >> 8) & 0xff, user);
    return answer(entry, va, a);
  }
  return walkAndFill(core, entry, va, a, user);
}

/** Whether a translation allows an access as it is; else the tables are walked. */
function serves(core: usize, flags: u32, a: u32, user: bool): bool {
  if ((a & 3) == ACCESS_WRITE && (flags & TLB_DIRTY) == 0) return false;
  return keyAllows(core, flags, a, user) && permitted(core, flags, a, user);
}

function bankOf(core: usize, a: u32, user: bool): u32 {
  if ((a & 3) == ACCESS_EXECUTE) return user ? BANK_USER_CODE : BANK_CODE;
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

function walkAndFill(core: usize, entry: usize, va: u64, a: u32, user: bool): u64 {
  const legacy32 = (cr4(core) & CR4_PAE) == 0;
  let marks = false;
  while (true) {
    if (legacy32) walk32(core, va, marks);
    else walk64(core, va, marks);
    if (outcome == CHANGED) continue;
    if (!marks && load<u32>(LOOKING_WORD) & LOOKING_WALKS) tellWalk(core, va, a, user);
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
    if (unmarked) {
      marks = true;
      continue;
    }
    const bits = (a & 3) == ACCESS_WRITE ? A | D : A;
    let dirty = (leaf & D) != 0;
    if ((leaf & bits) != bits) {
      const done = legacy32
        ? updateEntry32(core, leafAddress, leaf, bits)
        : updateEntry64(core, leafAddress, leaf, bits);
      if (!done) continue;
      if (bits & D) dirty = true;
    }
    if (dirty) flags |= TLB_DIRTY;
    if (leaf & G && cr4(core) & CR4_PGE) flags |= TLB_GLOBAL;
    fill(core, entry, va, physicalPage, flags, sizeLog2, user);
    return answer(entry, va, a);
  }
}

function tellWalk(core: usize, va: u64, a: u32, user: bool): void {
  const there = outcome != NOT_PRESENT && outcome != RESERVED;
  walked(
    coreIndex(core),
    va,
    user ? a & ~ACCESS_SUPERVISOR : a | ACCESS_SUPERVISOR,
    outcome,
    there ? leaf : 0,
    there ? leafAddress : 0,
    there ? physicalPage : 0,
    there ? sizeLog2 : 0,
  );
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

/** #PF. It drops what the TLB has of the page, SDM vol. 3A, 4.10.4.1: a stale translation does not outlive a fault. */
function pageFault(core: usize, va: u64, a: u32, user: bool, why: u32): u64 {
  let error = why;
  if ((a & 3) == ACCESS_WRITE) error |= ERROR_W;
  if (user) error |= ERROR_U;
  if ((a & 3) == ACCESS_EXECUTE) {
    const noExecute = (efer(core) & EFER_NXE) != 0 && (cr4(core) & CR4_PAE) != 0;
    if (noExecute || (cr4(core) & CR4_SMEP) != 0) error |= ERROR_I;
  }
  flushPage(core, va);
  store<u64>(core, va, CR2);
  raise(core, PF, error);
  return 0;
}
