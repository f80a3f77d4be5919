// The hardware task switch: JMP, CALL, IRET, interrupts and exceptions through a TSS or task gate, outside long mode.
// Intel SDM vol. 3A, chapter 8 (task management), table 8-1 for the checks.
//
// Invariant: whatever can fault in the old task is checked before the first write (commit point of 8.3); what faults
// afterwards is the new task's, with its RIP, and `committed` says so.

import {
  ACCESS_IMPLICIT,
  ACCESS_WRITE,
  CPL,
  CR0,
  CS,
  DEBUG_PENDING,
  DR,
  DS,
  ES,
  FS,
  GDTR_BASE,
  GS,
  LDTR,
  REPEATING,
  RIP,
  SHADOW,
  SS,
  TR,
} from "../layout";
import { loadImplicit, probe, storeLinear } from "./access";
import { writeCr3 } from "./control";
import {
  attributesOf,
  baseOf,
  CR0_PG,
  CR0_TS,
  cr0,
  FLAG_NT,
  FLAG_VM,
  GP,
  gpr,
  limitOf,
  NP,
  otherFlags,
  raise,
  STACK_FAULT,
  selectorOf,
  setGpr,
  setRflags,
  setSegment,
  TS,
  updateMode,
} from "./core";
import * as descriptor from "./descriptors";
import { setVirtual } from "./segments";
import { commitStack, push, useCurrentStack } from "./stack";
import { debugChanged } from "./tlb";
import { virtualInterruptWaits } from "./virtual";

/** How the switch came about: it decides about the busy bits, the link and NT. */
export const BY_JUMP: u32 = 0;
export const BY_NESTING: u32 = 1; // CALL, interrupts, exceptions
export const BY_RETURN: u32 = 2; // IRET

/** The last switch went past its commit point: a fault after it belongs to the new task. */
export let committed: bool = false;

// Offsets in a 32-bit TSS and in a 16-bit one
const LIMIT: u32 = 0x67;
const LIMIT16: u32 = 0x2b;
const CR3_FIELD: u32 = 0x1c;
const EIP: u32 = 0x20;
const IP: u32 = 0x0e;
const LDT_FIELD: u32 = 0x60;
const LDT_FIELD16: u32 = 0x2a;
const TRAP_FIELD: u32 = 0x64;

const DR7: u32 = DR + 7 * 8;
/** L0 to L3 and LE: breakpoints of one task. */
const DR7_LOCAL: u64 = 0x155;
const DR6_BT: u32 = 0x8000;
const BUSY: u32 = 2;

function refuse(core: usize, vector: u32, error: u32): bool {
  raise(core, vector, error);
  return false;
}

/**
 * Fetches the TSS descriptor that a far transfer or task gate names, available or (for IRET) busy; `bad` is the
 * exception when it is none.
 */
export function fetchTask(core: usize, selector: u32, bad: u32, ext: u32, busy: bool): bool {
  const name = (selector & 0xfffc) | ext;
  if (selector & 4) return refuse(core, bad, name);
  if (!descriptor.fetch(core, selector, bad, ext)) return false;
  const type = descriptor.type() & ~(busy ? BUSY : 0);
  const wanted = busy ? (descriptor.type() & BUSY) != 0 : true;
  if (!wanted || (type != descriptor.TYPE_TSS && type != descriptor.TYPE_TSS16)) {
    return refuse(core, bad, name);
  }
  return descriptor.present() || refuse(core, NP, name);
}

/**
 * Switches to the task whose descriptor was fetched last. The old task goes on at `rip` with `flags` one day; the new
 * one finds an error code on its stack where there is one (-1: none). False: a fault is pending, see `committed`.
 */
export function switchTask(
  core: usize,
  selector: u32,
  how: u32,
  rip: u64,
  flags: u64,
  ext: u32,
  error: i64,
): bool {
  committed = false;
  const base = descriptor.base();
  const limit = descriptor.limit();
  const wide = (descriptor.type() & 8) != 0;
  const at = descriptor.address;
  if (limit < limitNeeded(wide)) return refuse(core, TS, (selector & 0xfffc) | ext);
  if (!reachable(core, base, wide, how, at, ext)) return false;

  // From here on nothing fails until the new task is loaded.
  const old = selectorOf(core, TR);
  saveState(core, rip, how == BY_RETURN ? flags & ~FLAG_NT : flags);
  if (how != BY_NESTING) descriptor.clearBusy(core, load<u64>(core, GDTR_BASE) + (old & 0xfff8));
  if (how == BY_NESTING) storeLinear(core, base, 2, old, ACCESS_IMPLICIT);
  if (how != BY_RETURN) descriptor.markBusy(core);
  setSegment(core, TR, selector, descriptor.attributes() | (BUSY << 8), base, limit);
  store<u64>(core, cr0(core) | CR0_TS, CR0);
  store<u64>(core + DR7, load<u64>(core + DR7) & ~DR7_LOCAL);
  debugChanged(core);
  store<u32>(core, 0, SHADOW);
  store<u32>(core, 0, REPEATING);
  committed = true;
  return wide ? loadState(core, how, ext, error) : loadState16(core, how, ext, error);
}

function limitNeeded(wide: bool): u32 {
  return wide ? LIMIT : LIMIT16;
}

/** Both tasks' state and descriptors can be accessed. */
function reachable(core: usize, base: u64, wide: bool, how: u32, at: u64, ext: u32): bool {
  const write = ACCESS_WRITE | ACCESS_IMPLICIT;
  const oldWide = ((attributesOf(core, TR) >> 8) & 8) != 0;
  const oldBytes = limitNeeded(oldWide) + 1;
  if (limitOf(core, TR) < oldBytes - 1) return refuse(core, TS, (selectorOf(core, TR) & 0xfffc) | ext);
  if (!probe(core, baseOf(core, TR), oldBytes, write)) return false;
  if (how == BY_NESTING && !probe(core, base, 2, write)) return false;
  if (!probe(core, base, limitNeeded(wide) + 1, ACCESS_IMPLICIT)) return false;
  if (how != BY_RETURN && !probe(core, at + 5, 1, write)) return false;
  const old = load<u64>(core, GDTR_BASE) + (selectorOf(core, TR) & 0xfff8);
  return how == BY_NESTING || probe(core, old + 5, 1, write);
}

function put(core: usize, offset: u32, bytes: u32, value: u64): void {
  storeLinear(core, baseOf(core, TR) + offset, bytes, value, ACCESS_IMPLICIT);
}

/** EIP, EFLAGS, general registers and selectors into the TSS of TR. */
function saveState(core: usize, rip: u64, flags: u64): void {
  const wide = ((attributesOf(core, TR) >> 8) & 8) != 0;
  const first = wide ? EIP : IP;
  const bytes: u32 = wide ? 4 : 2;
  const mask: u64 = wide ? 0xffff_ffff : 0xffff;
  put(core, first, bytes, rip & mask);
  put(core, first + bytes, bytes, flags & mask);
  for (let i: u32 = 0; i < 8; i++) put(core, first + (2 + i) * bytes, bytes, gpr(core, i) & mask);
  const segments: u32 = wide ? 6 : 4;
  for (let i: u32 = 0; i < segments; i++) put(core, first + (10 + i) * bytes, 2, selectorOf(core, i));
}

function get(core: usize, offset: u32, bytes: u32): u64 {
  return loadImplicit(core, baseOf(core, TR) + offset, bytes);
}

/** From a 32-bit TSS. Its page tables come last: the TSS itself is read by those of the old task. */
function loadState(core: usize, how: u32, ext: u32, error: i64): bool {
  const cr3 = get(core, CR3_FIELD, 4);
  const trapped = (get(core, TRAP_FIELD, 1) & 1) != 0;
  loadRegisters(core, EIP, 4, how);
  const ldt = <u32>get(core, LDT_FIELD, 2);
  if (cr0(core) & CR0_PG && !writeCr3(core, cr3)) {
    return refuse(core, TS, (selectorOf(core, TR) & 0xfffc) | ext);
  }
  if (!loadSegments(core, ldt, ext) || !begin(core, 4, ext, error)) return false;
  // SDM vol. 3B, 18.3.1.5: the trap comes once the new task has control, so not where it could not be entered.
  if (trapped) store<u32>(core, load<u32>(core, DEBUG_PENDING) | DR6_BT, DEBUG_PENDING);
  return true;
}

/** From a 16-bit TSS, which has neither FS and GS nor CR3. */
function loadState16(core: usize, how: u32, ext: u32, error: i64): bool {
  loadRegisters(core, IP, 2, how);
  const ldt = <u32>get(core, LDT_FIELD16, 2);
  return loadSegments(core, ldt, ext) && begin(core, 2, ext, error);
}

/**
 * RIP, RFLAGS, general registers; of the segment registers the selectors alone (SDM vol. 3A, 8.3). Until its descriptor
 * is loaded each has the old task's, by which the fault of another is delivered.
 */
function loadRegisters(core: usize, first: u32, bytes: u32, how: u32): void {
  store<u64>(core, get(core, first, bytes), RIP);
  let flags = get(core, first + bytes, bytes);
  if (how == BY_NESTING) flags |= FLAG_NT;
  setRflags(core, flags);
  // The manual leaves the upper halves open that a 16-bit TSS has no place for; the 80386 sets them.
  const upper: u64 = bytes == 2 ? 0xffff_0000 : 0;
  for (let i: u32 = 0; i < 8; i++) setGpr(core, i, upper | get(core, first + (2 + i) * bytes, bytes));
  for (let i: u32 = 0; i < 6; i++) {
    const missing = bytes == 2 && i >= <u32>FS;
    const selector = missing ? 0 : <u32>get(core, first + (10 + i) * bytes, 2);
    setSegment(core, i, selector, attributesOf(core, i), baseOf(core, i), limitOf(core, i));
  }
  setSegment(core, LDTR, 0, 0, 0, 0);
  const virtual = (flags & FLAG_VM) != 0;
  store<u32>(core, virtual ? 3 : selectorOf(core, CS) & 3, CPL);
  updateMode(core);
}

/** LDTR first, as the other selectors may be of the LDT. */
function loadSegments(core: usize, ldt: u32, ext: u32): bool {
  const name = (ldt & 0xfffc) | ext;
  setSegment(core, LDTR, ldt, 0, 0, 0);
  if (!descriptor.isNull(ldt)) {
    if (ldt & 4) return refuse(core, TS, name);
    if (!descriptor.fetch(core, ldt, TS, ext)) return false;
    if (descriptor.type() != descriptor.TYPE_LDT || !descriptor.present()) return refuse(core, TS, name);
    setSegment(core, LDTR, ldt, descriptor.attributes(), descriptor.base(), descriptor.limit());
  }
  if (load<u32>(core, CPL) == 3 && isVirtual(core)) {
    for (let i: u32 = ES; i <= <u32>GS; i++) setVirtual(core, i, selectorOf(core, i));
    updateMode(core);
    return true;
  }
  return (
    loadCode(core, ext) &&
    loadStack(core, ext) &&
    loadData(core, ES, ext) &&
    loadData(core, DS, ext) &&
    loadData(core, FS, ext) &&
    loadData(core, GS, ext)
  );
}

function isVirtual(core: usize): bool {
  return (otherFlags(core) & FLAG_VM) != 0;
}

/** The descriptor fetched last becomes the register's. */
function install(core: usize, index: u32): bool {
  if (!descriptor.markAccessed(core)) return false;
  const selector = selectorOf(core, index);
  setSegment(core, index, selector, descriptor.attributes(), descriptor.base(), descriptor.limit());
  updateMode(core);
  return true;
}

function loadCode(core: usize, ext: u32): bool {
  const selector = selectorOf(core, CS);
  const name = (selector & 0xfffc) | ext;
  if (descriptor.isNull(selector)) return refuse(core, TS, name);
  if (!descriptor.fetch(core, selector, TS, ext)) return false;
  if (!descriptor.isCode()) return refuse(core, TS, name);
  const level = selector & 3;
  const wrong = descriptor.isConforming() ? descriptor.dpl() > level : descriptor.dpl() != level;
  if (wrong) return refuse(core, TS, name);
  if (!descriptor.present()) return refuse(core, NP, name);
  return install(core, CS);
}

function loadStack(core: usize, ext: u32): bool {
  const selector = selectorOf(core, SS);
  const name = (selector & 0xfffc) | ext;
  const level = load<u32>(core, CPL);
  if (descriptor.isNull(selector)) return refuse(core, TS, name);
  if (!descriptor.fetch(core, selector, TS, ext)) return false;
  if (!descriptor.isWritableData() || descriptor.dpl() != level || (selector & 3) != level) {
    return refuse(core, TS, name);
  }
  if (!descriptor.present()) return refuse(core, STACK_FAULT, name);
  return install(core, SS);
}

function loadData(core: usize, index: u32, ext: u32): bool {
  const selector = selectorOf(core, index);
  const name = (selector & 0xfffc) | ext;
  if (descriptor.isNull(selector)) {
    setSegment(core, index, selector, 0, 0, 0);
    return true;
  }
  if (!descriptor.fetch(core, selector, TS, ext)) return false;
  if (!descriptor.isReadable()) return refuse(core, TS, name);
  const conforming = descriptor.isCode() && descriptor.isConforming();
  if (!conforming && descriptor.dpl() < max(load<u32>(core, CPL), selector & 3))
    return refuse(core, TS, name);
  if (!descriptor.present()) return refuse(core, NP, name);
  return install(core, index);
}

/** The error code, and the limit of the first instruction. */
function begin(core: usize, bytes: u32, ext: u32, error: i64): bool {
  if (error >= 0) {
    useCurrentStack(core, ext);
    if (!push(core, bytes, <u64>error)) return false;
    commitStack(core);
  }
  if (load<u64>(core, RIP) > <u64>limitOf(core, CS)) return refuse(core, GP, ext);
  if (virtualInterruptWaits(core)) return refuse(core, GP, 0);
  return true;
}
