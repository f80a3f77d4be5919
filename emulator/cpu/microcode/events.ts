// Interrupts and exceptions: from a vector to the first instruction of its handler, in every mode. Intel SDM vol. 3A,
// chapter 6, and the pseudocode of INT n in vol. 2A. Task gates lead on to tasks.ts.
//
// Invariant: registers change only after the last push; a fault on the way leaves the core at the interrupted
// instruction with that fault pending, and deliver() decides between it, a double fault and shutdown.

import {
  ACTIVE,
  ACTIVITY,
  CPL,
  CS,
  DEBUG_PENDING,
  DS,
  ES,
  EVENT_FAULT,
  EVENT_NMI,
  EVENT_PRIVILEGED,
  EVENT_SOFTWARE,
  EVENT_SOFTWARE_EXCEPTION,
  EVENT_TRAP,
  FAULT_ERROR,
  FAULT_HAS_ERROR,
  FAULT_VECTOR,
  FS,
  GS,
  IDTR_BASE,
  IDTR_LIMIT,
  MODE_LONG,
  MODE_PROTECTED,
  MODE_V86,
  NMI_BLOCKED,
  REPEATING,
  RIP,
  SHADOW,
  SHUTDOWN,
  SS,
  TR,
} from "../layout";
import { loadImplicit } from "./access";
import {
  ATTRIBUTE_ACCESSED,
  ATTRIBUTE_BIG,
  ATTRIBUTE_LONG,
  attributesOf,
  baseOf,
  CR0_NE,
  CR4_VME,
  canonical,
  cpl,
  cr0,
  cr4,
  DB,
  DF,
  FLAG_AC,
  FLAG_IF,
  FLAG_NT,
  FLAG_OF,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
  faulted,
  GP,
  gpr,
  iopl,
  limitOf,
  MF,
  mode,
  must,
  NP,
  OF,
  PF,
  RSP,
  raise,
  rflags,
  STACK_FAULT,
  selectorOf,
  setRflags,
  setSegment,
  TS,
  updateMode,
} from "./core";
import { GENERAL_DETECT, lowerGuard, notePending, recordTransfer } from "./debug";
import * as descriptor from "./descriptors";
import { signalError } from "./fpu-state";
import { commitStack, push, useCurrentStack, useDescribedStack, useFlatStack } from "./stack";
import { serialize } from "./store-buffer";
import * as tasks from "./tasks";
import { enterRedirected, redirected } from "./virtual";

// The event on its way.
let vector: u32 = 0;
let kind: u32 = 0;
let hasError: bool = false;
let error: u32 = 0;
let returnRip: u64 = 0;
/** Bit 0 of the error codes that faults on the way push: the event did not come from INT n, INT3 or INTO. */
let ext: u32 = 0;
/** A software interrupt went through a task gate: what faults now faults in the new task. */
let inNewTask: bool = false;

// --- entry points ---

/** Delivers the pending exception at RIP, and what follows from faults on the way. 0 after shutdown, else 1. */
export function deliver(core: usize): u64 {
  must(faulted(core));
  if (load<u32>(core, FAULT_VECTOR) == MF && !(cr0(core) & CR0_NE)) {
    takeFault(core);
    signalError(core);
    return 1;
  }
  let first = takeFault(core);
  while (true) {
    kind = EVENT_FAULT;
    returnRip = load<u64>(core, RIP);
    if (enter(core)) return 1;
    if (first == DF) {
      store<i32>(core, -1, FAULT_VECTOR);
      store<u32>(core, 0, DEBUG_PENDING);
      store<u32>(core, SHUTDOWN, ACTIVITY);
      return 0;
    }
    const second = load<u32>(core, FAULT_VECTOR);
    if (doubles(first, second)) raise(core, DF, 0);
    first = takeFault(core);
  }
}

/** An event between instructions: external interrupt, NMI, single-step trap. 0 after shutdown, else 1. */
export function interrupt(core: usize, number: u64, eventKind: u64): u64 {
  must(!faulted(core));
  vector = <u32>number;
  kind = <u32>eventKind;
  hasError = false;
  error = 0;
  returnRip = load<u64>(core, RIP);
  if (kind == EVENT_NMI) store<u32>(core, 1, NMI_BLOCKED);
  store<u32>(core, ACTIVE, ACTIVITY);
  if (enter(core)) return 1;
  return deliver(core);
}

/** The debug traps in DEBUG_PENDING: data and port breakpoints, single step, task switch. 0 after shutdown, else 1. */
export function debugTrap(core: usize): u64 {
  notePending(core);
  return interrupt(core, DB, EVENT_TRAP);
}

/** INT n, INT3, INTO, INT1 (EVENT_*); next is the address behind the instruction. On a fault RIP still names it. */
export function softwareInterrupt(core: usize, number: u64, eventKind: u64, next: u64): u64 {
  vector = <u32>number;
  kind = <u32>eventKind;
  hasError = false;
  error = 0;
  returnRip = next;
  // INT1 is a debug exception itself, and takes what MOV SS has held off with it.
  if (kind == EVENT_PRIVILEGED && load<u32>(core, DEBUG_PENDING) != 0) notePending(core);
  if (kind == EVENT_SOFTWARE && (mode(core) & MODE_V86) != 0) {
    const own = (cr4(core) & CR4_VME) != 0 && redirected(core, vector);
    if (faulted(core)) return 0;
    if (own) return u64(enterRedirected(core, vector, next));
    if (iopl(core) != 3) {
      raise(core, GP, 0);
      return 0;
    }
  }
  inNewTask = false;
  if (enter(core)) return 1;
  // A fault of the task that the gate led to is taken there: RIP is that task's already.
  return inNewTask ? deliver(core) | 1 : 0;
}

/** INTO: INT 4 when OF is set, else on to the next instruction. */
export function overflowInterrupt(core: usize, next: u64): u64 {
  if (rflags(core) & FLAG_OF) return softwareInterrupt(core, OF, EVENT_SOFTWARE_EXCEPTION, next);
  store<u64>(core, next, RIP);
  return 1;
}

function takeFault(core: usize): u32 {
  vector = load<u32>(core, FAULT_VECTOR);
  error = load<u32>(core, FAULT_ERROR);
  hasError = load<u32>(core, FAULT_HAS_ERROR) != 0 && (mode(core) & (MODE_PROTECTED | MODE_V86)) != 0;
  store<i32>(core, -1, FAULT_VECTOR);
  return vector;
}

/** SDM table 6-5: benign, contributory (#DE #TS #NP #SS #GP), page fault. */
function doubles(first: u32, second: u32): bool {
  const contributory = isContributory(second);
  if (isContributory(first)) return contributory;
  return first == PF && (contributory || second == PF);
}

function isContributory(v: u32): bool {
  return v == 0 || (v >= TS && v <= GP);
}

/** Runs the event up to its handler's first instruction. False: a fault is pending and nothing else has changed. */
function enter(core: usize): bool {
  serialize(core);
  ext = u32(kind != EVENT_SOFTWARE && kind != EVENT_SOFTWARE_EXCEPTION);
  const m = mode(core);
  if (m & MODE_LONG) return enterLong(core);
  if (m & (MODE_PROTECTED | MODE_V86)) return enterProtected(core);
  return enterReal(core);
}

function refuse(core: usize, number: u32, code: u32): bool {
  raise(core, number, code | ext);
  return false;
}

/** The error code that names this event's gate: index, IDT. */
function gateError(): u32 {
  return (vector << 3) | 2;
}

/**
 * The image of RFLAGS that is pushed. Faults set RF, so that a breakpoint met already does not recur, and so does what
 * comes between the iterations of a repeated instruction; instruction breakpoints do not (SDM vol. 3B, 18.3.1.1).
 */
function savedFlags(core: usize): u64 {
  const flags = rflags(core);
  if (load<u32>(core, REPEATING)) return flags | FLAG_RF;
  if (kind != EVENT_FAULT || vector == DF) return flags;
  return vector == DB && error != GENERAL_DETECT ? flags : flags | FLAG_RF;
}

/** INT n, INT3 and INTO may only use gates that CPL may call. */
function gateAllows(core: usize, gateDpl: u32): bool {
  const checked = kind == EVENT_SOFTWARE || kind == EVENT_SOFTWARE_EXCEPTION;
  return !checked || gateDpl >= cpl(core);
}

/** Fetches the handler's code segment and checks it. The new privilege level, or -1 with a fault. */
function handlerLevel(core: usize, selector: u32, long: bool): i32 {
  if (descriptor.isNull(selector)) return fail(core, GP, 0);
  if (!descriptor.fetch(core, selector, GP, ext)) return -1;
  const name = selector & 0xfffc;
  if (!descriptor.isCode() || descriptor.dpl() > cpl(core)) return fail(core, GP, name);
  if (!descriptor.present()) return fail(core, NP, name);
  if (long && (descriptor.attributes() & (ATTRIBUTE_LONG | ATTRIBUTE_BIG)) != ATTRIBUTE_LONG) {
    return fail(core, GP, name);
  }
  if ((mode(core) & MODE_V86) != 0 && (descriptor.isConforming() || descriptor.dpl() != 0)) {
    return fail(core, GP, name);
  }
  return descriptor.isConforming() ? cpl(core) : descriptor.dpl();
}

function fail(core: usize, number: u32, code: u32): i32 {
  raise(core, number, code | ext);
  return -1;
}

/** The last step of every mode: code segment from the values given, flags, RIP; the stack is committed as well. */
function arrive(core: usize, rip: u64, interruptGate: bool): bool {
  // Real mode has no tasks, and keeps NT (SDM vol. 2, INT n; APM vol. 3, INT).
  const nested = mode(core) & (MODE_PROTECTED | MODE_V86) ? FLAG_NT : 0;
  let flags = rflags(core) & ~(FLAG_TF | nested | FLAG_RF | FLAG_VM);
  if (interruptGate) flags &= ~FLAG_IF;
  setRflags(core, flags);
  commitStack(core);
  if (vector == DB && kind != EVENT_SOFTWARE) lowerGuard(core);
  recordTransfer(core, rip);
  store<u64>(core, rip, RIP);
  store<u32>(core, 0, SHADOW);
  store<u32>(core, 0, REPEATING);
  updateMode(core);
  return true;
}

// --- long mode: 16-byte gates, 64-bit handlers, IST ---

function enterLong(core: usize): bool {
  const at = vector << 4;
  if (at + 15 > load<u32>(core, IDTR_LIMIT)) return refuse(core, GP, gateError());
  const table = load<u64>(core, IDTR_BASE);
  const gate = loadImplicit(core, table + at, 8);
  if (faulted(core)) return false;
  const upper = loadImplicit(core, table + at + 8, 8);
  if (faulted(core)) return false;
  const type = <u32>(gate >> 40) & 0x1f;
  if (type != descriptor.TYPE_INTERRUPT_GATE && type != descriptor.TYPE_TRAP_GATE) {
    return refuse(core, GP, gateError());
  }
  if (!gateAllows(core, <u32>(gate >> 45) & 3)) return refuse(core, GP, gateError());
  if (((gate >> 47) & 1) == 0) return refuse(core, NP, gateError());
  const selector = <u32>(gate >> 16) & 0xffff;
  const level = handlerLevel(core, selector, true);
  if (level < 0) return false;
  const rip = (gate & 0xffff) | ((gate >> 48) << 16) | (upper << 32);
  if (!canonical(rip)) return refuse(core, GP, 0);
  const limit = descriptor.limit();

  const interruptStack = <u32>(gate >> 32) & 7;
  const inner = <u32>level < cpl(core);
  let rsp = gpr(core, RSP);
  if (interruptStack != 0) rsp = taskWord(core, 0x1c + interruptStack * 8);
  else if (inner) rsp = taskWord(core, 4 + level * 8);
  if (faulted(core)) return false;
  useFlatStack(core, rsp & ~0xf, level, ext);
  if (!pushFrame(core, 8, true) || !descriptor.markAccessed(core)) return false;

  setSegment(core, CS, (selector & 0xfffc) | level, descriptor.attributes(), 0, limit);
  if (inner) setSegment(core, SS, level, 0, 0, 0);
  store<u32>(core, level, CPL);
  return arrive(core, rip, type == descriptor.TYPE_INTERRUPT_GATE);
}

/** A quadword of the 64-bit TSS; check faulted(). */
function taskWord(core: usize, offset: u32): u64 {
  if (offset + 7 > limitOf(core, TR)) {
    raise(core, TS, (selectorOf(core, TR) & 0xfffc) | ext);
    return 0;
  }
  return loadImplicit(core, baseOf(core, TR) + offset, 8);
}

/** SS:RSP (where the stack changes, and always in long mode), RFLAGS, CS:RIP, error code. */
function pushFrame(core: usize, bytes: u32, withStack: bool): bool {
  let done = true;
  if (withStack) {
    done = push(core, bytes, selectorOf(core, SS)) && push(core, bytes, gpr(core, RSP));
  }
  done = done && push(core, bytes, savedFlags(core));
  done = done && push(core, bytes, selectorOf(core, CS));
  done = done && push(core, bytes, returnRip);
  if (hasError) done = done && push(core, bytes, error);
  // A non-canonical stack pointer: its #SS carries EXT like the others.
  if (!done && load<u32>(core, FAULT_VECTOR) == STACK_FAULT) {
    store<u32>(core, load<u32>(core, FAULT_ERROR) | ext, FAULT_ERROR);
  }
  return done;
}

// --- protected and virtual-8086 mode: 8-byte gates of 16 or 32 bits ---

function enterProtected(core: usize): bool {
  const at = vector << 3;
  if (at + 7 > load<u32>(core, IDTR_LIMIT)) return refuse(core, GP, gateError());
  const gate = loadImplicit(core, load<u64>(core, IDTR_BASE) + at, 8);
  if (faulted(core)) return false;
  const type = <u32>(gate >> 40) & 0x1f;
  const task = type == descriptor.TYPE_TASK_GATE;
  const wide = type == descriptor.TYPE_INTERRUPT_GATE || type == descriptor.TYPE_TRAP_GATE;
  const narrow = type == descriptor.TYPE_INTERRUPT_GATE16 || type == descriptor.TYPE_TRAP_GATE16;
  if (!task && !wide && !narrow) return refuse(core, GP, gateError());
  if (!gateAllows(core, <u32>(gate >> 45) & 3)) return refuse(core, GP, gateError());
  if (((gate >> 47) & 1) == 0) return refuse(core, NP, gateError());
  const selector = <u32>(gate >> 16) & 0xffff;
  if (task) return enterTask(core, selector);
  const level = handlerLevel(core, selector, false);
  if (level < 0) return false;
  const attributes = descriptor.attributes();
  const base = descriptor.base();
  const limit = descriptor.limit();
  const codeAt = descriptor.address;
  let eip = gate & 0xffff;
  if (wide) eip |= (gate >> 48) << 16;

  const bytes: u32 = wide ? 4 : 2;
  const inner = <u32>level < cpl(core);
  let stackSelector: u32 = 0;
  if (inner) {
    stackSelector = useInnerStack(core, level, ext);
    if (faulted(core)) return false;
  } else {
    useCurrentStack(core, ext);
  }
  const stackAttributes = descriptor.attributes() | ATTRIBUTE_ACCESSED;
  const stackBase = descriptor.base();
  const stackLimit = descriptor.limit();
  const virtual = (mode(core) & MODE_V86) != 0;
  if (virtual && !pushVirtualSegments(core, bytes)) return false;
  if (!pushFrame(core, bytes, inner)) return false;
  if (eip > limit) return refuse(core, GP, 0);
  if (inner && !descriptor.markAccessed(core)) return false;
  if (!descriptor.markAccessedAt(core, codeAt, attributes)) return false;

  setSegment(core, CS, (selector & 0xfffc) | level, attributes | ATTRIBUTE_ACCESSED, base, limit);
  if (inner) setSegment(core, SS, stackSelector, stackAttributes, stackBase, stackLimit);
  if (virtual) clearDataSegments(core);
  store<u32>(core, level, CPL);
  const interruptGate = type == descriptor.TYPE_INTERRUPT_GATE || type == descriptor.TYPE_INTERRUPT_GATE16;
  return arrive(core, eip, interruptGate);
}

/** Through a task gate: the handler is a task, to which the current one is linked. */
function enterTask(core: usize, selector: u32): bool {
  if (!tasks.fetchTask(core, selector, GP, ext, false)) return false;
  const code: i64 = hasError ? error : -1;
  const flags = savedFlags(core);
  const done = tasks.switchTask(core, selector, tasks.BY_NESTING, returnRip, flags, ext, code);
  inNewTask = tasks.committed;
  if (inNewTask && vector == DB && kind != EVENT_SOFTWARE) lowerGuard(core);
  return done;
}

/**
 * SS:ESP of an inner level from a 16- or 32-bit TSS: fetches and checks the stack's descriptor and makes it the stack
 * of push(). Gives the selector; check faulted(). Also what a call gate uses (with ext 0).
 */
export function useInnerStack(core: usize, level: u32, external: u32): u32 {
  const task = (selectorOf(core, TR) & 0xfffc) | external;
  const narrow = ((attributesOf(core, TR) >> 8) & 8) == 0;
  const offset: u32 = narrow ? 2 + level * 4 : 4 + level * 8;
  if (offset + (narrow ? 3 : 5) > limitOf(core, TR)) {
    raise(core, TS, task);
    return 0;
  }
  const base = baseOf(core, TR);
  const esp = loadImplicit(core, base + offset, narrow ? 2 : 4);
  if (faulted(core)) return 0;
  const selector = <u32>loadImplicit(core, base + offset + (narrow ? 2 : 4), 2);
  if (faulted(core)) return 0;
  const name = (selector & 0xfffc) | external;
  if (descriptor.isNull(selector)) {
    raise(core, TS, external);
    return 0;
  }
  if (!descriptor.fetch(core, selector, TS, external)) return 0;
  if ((selector & 3) != level || descriptor.dpl() != level || !descriptor.isWritableData()) {
    raise(core, TS, name);
    return 0;
  }
  if (!descriptor.present()) {
    raise(core, STACK_FAULT, name);
    return 0;
  }
  useDescribedStack(esp, name);
  return selector;
}

function pushVirtualSegments(core: usize, bytes: u32): bool {
  return (
    push(core, bytes, selectorOf(core, GS)) &&
    push(core, bytes, selectorOf(core, FS)) &&
    push(core, bytes, selectorOf(core, DS)) &&
    push(core, bytes, selectorOf(core, ES))
  );
}

function clearDataSegments(core: usize): void {
  setSegment(core, GS, 0, 0, 0, 0);
  setSegment(core, FS, 0, 0, 0, 0);
  setSegment(core, DS, 0, 0, 0, 0);
  setSegment(core, ES, 0, 0, 0, 0);
}

// --- real mode: the interrupt vector table ---

function enterReal(core: usize): bool {
  const at = vector << 2;
  if (at + 3 > load<u32>(core, IDTR_LIMIT)) return refuse(core, GP, 0);
  const far = <u32>loadImplicit(core, load<u64>(core, IDTR_BASE) + at, 4);
  if (faulted(core)) return false;
  useCurrentStack(core, 0);
  if (!push(core, 2, savedFlags(core) & ~FLAG_RF)) return false;
  if (!push(core, 2, selectorOf(core, CS))) return false;
  if (!push(core, 2, returnRip)) return false;
  const selector = far >> 16;
  setSegment(core, CS, selector, attributesOf(core, CS), (<u64>selector) << 4, limitOf(core, CS));
  setRflags(core, rflags(core) & ~FLAG_AC);
  return arrive(core, far & 0xffff, true);
}
