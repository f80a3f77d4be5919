// Far transfers: JMP, CALL, RET and IRET between code segments, privilege levels and modes, and call gates. Intel SDM
// vol. 2 (their pseudocode), vol. 3A, 5.8. Those to another task go on in tasks.ts.
//
// Invariant: everything is checked and pushed before a register changes. Each assist writes RIP itself.

import {
  CPL,
  CS,
  DS,
  ES,
  FS,
  GS,
  MODE_64,
  MODE_LONG,
  MODE_PROTECTED,
  MODE_V86,
  NMI_BLOCKED,
  RIP,
  SS,
  TR,
} from "../layout";
import { loadImplicit, loadSegmented } from "./access";
import {
  ATTRIBUTE_ACCESSED,
  ATTRIBUTE_BIG,
  ATTRIBUTE_LONG,
  attributesOf,
  baseOf,
  canonical,
  cpl,
  FLAG_AC,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  faulted,
  GP,
  gpr,
  iopl,
  limitOf,
  mode,
  NP,
  otherFlags,
  RSP,
  raise,
  rflags,
  STACK_FAULT,
  selectorOf,
  setGpr,
  setRflags,
  setSegment,
  TS,
  updateMode,
} from "./core";
import { watching } from "./debug";
import * as descriptor from "./descriptors";
import { deliver, useInnerStack } from "./events";
import { dropInnerSegments, loadUnprotected, setVirtual } from "./segments";
import { commitStack, peek, push, release, useCurrentStack, useFlatStack, useStack } from "./stack";
import { serialize } from "./store-buffer";
import * as tasks from "./tasks";
import { virtualImages, virtualInterruptWaits, virtualPop } from "./virtual";

function refuse(core: usize, vector: u32, error: u32): bool {
  raise(core, vector, error);
  return false;
}

/** To the task whose descriptor was fetched last. What faults in the new task is delivered there, at its RIP. */
function taskSwitch(core: usize, selector: u32, how: u32, next: u64): bool {
  if (tasks.switchTask(core, selector, how, next, rflags(core), 0, -1)) return true;
  if (!tasks.committed) return false;
  deliver(core);
  return true;
}

/** JMP and CALL through the task gate or TSS descriptor fetched last. */
function transferToTask(core: usize, selector: u32, call: bool, next: u64): bool {
  const name = selector & 0xfffc;
  if (descriptor.dpl() < max(cpl(core), selector & 3)) return refuse(core, GP, name);
  if (!descriptor.present()) return refuse(core, NP, name);
  let task = selector;
  if (descriptor.type() == descriptor.TYPE_TASK_GATE) {
    task = descriptor.low >> 16;
    if (!tasks.fetchTask(core, task, GP, 0, false)) return false;
  }
  return taskSwitch(core, task, call ? tasks.BY_NESTING : tasks.BY_JUMP, next);
}

/** IRET with NT set: to the task that the link field of the current TSS names. */
function returnToTask(core: usize, next: u64): bool {
  const link = <u32>loadImplicit(core, baseOf(core, TR), 2);
  if (faulted(core) || !tasks.fetchTask(core, link, TS, 0, true)) return false;
  return taskSwitch(core, link, tasks.BY_RETURN, next);
}

/**
 * Is this address one that the code segment with these attributes and limit can run at? #GP(0) if not. CALL asks when all
 * is pushed: SDM vol. 2 and APM vol. 3 have the stack's faults first.
 */
function reachable(core: usize, attributes: u32, limit: u32, rip: u64): bool {
  const wide = (mode(core) & MODE_LONG) != 0 && (attributes & ATTRIBUTE_LONG) != 0;
  if (wide ? canonical(rip) : rip <= <u64>limit) return true;
  return refuse(core, GP, 0);
}

/** In long mode a code descriptor with both L and D set is reserved. */
function reservedCode(core: usize): bool {
  const both = ATTRIBUTE_LONG | ATTRIBUTE_BIG;
  return (mode(core) & MODE_LONG) != 0 && (descriptor.attributes() & both) == both;
}

// --- IRET, RET far: the words of a frame are read from above, as AMD's processors do ---

/** IRET with an operand size of 2, 4 or 8 bytes; next is the address behind it. NMIs are open again even when it faults. */
export function iret(core: usize, size: u64, next: u64): u64 {
  serialize(core);
  const bytes = <u32>size;
  store<u32>(core, 0, NMI_BLOCKED);
  useCurrentStack(core, 0);
  if (!returnFromInterrupt(core, bytes, next)) return 0;
  // What waits strikes the instruction that was returned to.
  if (virtualInterruptWaits(core)) {
    raise(core, GP, 0);
    deliver(core);
  }
  return 1;
}

function returnFromInterrupt(core: usize, bytes: u32, next: u64): bool {
  if ((mode(core) & MODE_PROTECTED) == 0) return iretUnprotected(core, bytes);
  if (otherFlags(core) & FLAG_NT) {
    if (mode(core) & MODE_LONG) return refuse(core, GP, 0);
    return returnToTask(core, next);
  }
  const flags = peek(core, bytes * 2, bytes);
  if (faulted(core)) return false;
  const selector = <u32>peek(core, bytes, bytes) & 0xffff;
  if (faulted(core)) return false;
  const rip = peek(core, 0, bytes);
  if (faulted(core)) return false;
  const legacy = (mode(core) & MODE_LONG) == 0;
  if (legacy && bytes == 4 && (flags & FLAG_VM) != 0 && cpl(core) == 0) {
    return returnToVirtual(core, rip, selector, flags);
  }
  const withStack = (mode(core) & MODE_64) != 0;
  const level = cpl(core);
  const before = rflags(core);
  if (!returnTo(core, rip, selector, bytes, bytes * 3, 0, withStack)) return false;
  setRflags(core, mergeFlags(core, before, flags, bytes, level));
  updateMode(core);
  return true;
}

/** RET far that releases `extra` bytes of parameters. */
export function farReturn(core: usize, size: u64, extra: u64): u64 {
  const bytes = <u32>size;
  useCurrentStack(core, 0);
  const selector = <u32>peek(core, bytes, bytes) & 0xffff;
  if (faulted(core)) return 0;
  const rip = peek(core, 0, bytes);
  if (faulted(core)) return 0;
  if (mode(core) & MODE_PROTECTED) {
    return u64(returnTo(core, rip, selector, bytes, bytes * 2, <u32>extra, false));
  }
  if (rip > limitOf(core, CS)) return u64(refuse(core, GP, 0));
  release(bytes * 2 + extra);
  commitStack(core);
  loadUnprotected(core, CS, selector);
  store<u64>(core, rip, RIP);
  updateMode(core);
  return 1;
}

/** What IRET may change: IF only with CPL <= IOPL, IOPL only at level 0, the upper half only with 4 or 8 bytes. */
function mergeFlags(core: usize, before: u64, image: u64, bytes: u32, level: u32): u64 {
  let mask: u64 = 0x4dd5; // CF PF AF ZF SF TF DF OF NT
  if (bytes > 2) mask |= FLAG_AC | FLAG_ID;
  if (level <= (<u32>(before >> 12) & 3)) mask |= FLAG_IF;
  if (level == 0) {
    mask |= FLAG_IOPL;
    if (bytes > 2) mask |= FLAG_VIF | FLAG_VIP;
  }
  // RF holds for one instruction, and only breakpoints ask for it: without them it is consumed here.
  if (bytes > 2 && watching(core)) mask |= FLAG_RF;
  return (before & ~mask & ~FLAG_RF) | (image & mask);
}

/**
 * The common part of IRET and RET in protected and long mode: to rip in selector; SS:RSP follow `frame` + `extra`
 * bytes above the top when the level changes outward, or when withStack says that they are always there.
 */
function returnTo(
  core: usize,
  rip: u64,
  selector: u32,
  bytes: u32,
  frame: u32,
  extra: u32,
  withStack: bool,
): bool {
  const level = selector & 3;
  // APM vol. 3: all of the frame is popped before a descriptor is looked at.
  let stackPointer: u64 = 0;
  let stackSelector: u32 = 0;
  if (withStack || level != cpl(core)) {
    stackSelector = <u32>peek(core, frame + extra + bytes, bytes) & 0xffff;
    if (faulted(core)) return false;
    stackPointer = peek(core, frame + extra, bytes);
    if (faulted(core)) return false;
  }
  if (descriptor.isNull(selector)) return refuse(core, GP, 0);
  const name = selector & 0xfffc;
  if (!descriptor.fetch(core, selector, GP, 0)) return false;
  if (!descriptor.isCode() || level < cpl(core) || reservedCode(core)) return refuse(core, GP, name);
  const wrong = descriptor.isConforming() ? descriptor.dpl() > level : descriptor.dpl() != level;
  if (wrong) return refuse(core, GP, name);
  if (!descriptor.present()) return refuse(core, NP, name);
  const outer = level > cpl(core);
  const attributes = descriptor.attributes();
  const base = descriptor.base();
  const limit = descriptor.limit();
  const codeAt = descriptor.address;
  // APM vol. 3: of CS and RIP everything is checked before SS is.
  if (!reachable(core, attributes, limit, rip)) return false;
  if (outer || withStack) {
    const wide = (mode(core) & MODE_LONG) != 0 && (attributes & ATTRIBUTE_LONG) != 0;
    if (!checkReturnStack(core, stackSelector, level, wide)) return false;
  }
  // SDM vol. 3A, 3.4.5.1: loading a register marks its segment, and neither is loaded before both may be.
  if ((outer || withStack) && !descriptor.isNull(stackSelector) && !descriptor.markAccessed(core))
    return false;
  if (!descriptor.markAccessedAt(core, codeAt, attributes)) return false;

  if (outer || withStack) {
    returnStack(core, stackSelector, stackPointer + extra, attributes);
  } else {
    useStack(core, 0, (mode(core) & MODE_LONG) != 0 && (attributes & ATTRIBUTE_LONG) != 0); // as the code there has it
    release(frame + extra);
    commitStack(core);
  }
  setSegment(core, CS, selector, attributes | ATTRIBUTE_ACCESSED, base, limit);
  store<u64>(core, rip, RIP);
  store<u32>(core, level, CPL);
  if (outer) dropInnerSegments(core);
  updateMode(core);
  return true;
}

/** SS of the level that is returned to. A null one is for 64-bit code inside level 3 only. */
function checkReturnStack(core: usize, selector: u32, level: u32, wide: bool): bool {
  if (descriptor.isNull(selector)) {
    if (wide && level != 3 && (selector & 3) == level) return true;
    return refuse(core, GP, 0);
  }
  const name = selector & 0xfffc;
  if (!descriptor.fetch(core, selector, GP, 0)) return false;
  if ((selector & 3) != level || descriptor.dpl() != level || !descriptor.isWritableData()) {
    return refuse(core, GP, name);
  }
  return descriptor.present() || refuse(core, STACK_FAULT, name);
}

/** Commits SS and RSP; a 16-bit stack receives SP only. */
function returnStack(core: usize, selector: u32, pointer: u64, codeAttributes: u32): void {
  const wide = (mode(core) & MODE_LONG) != 0 && (codeAttributes & ATTRIBUTE_LONG) != 0;
  if (descriptor.isNull(selector)) {
    setSegment(core, SS, selector, 0, 0, 0);
    setGpr(core, RSP, pointer);
    return;
  }
  setSegment(core, SS, selector, descriptor.attributes(), descriptor.base(), descriptor.limit());
  if (wide) setGpr(core, RSP, pointer);
  else if (descriptor.attributes() & ATTRIBUTE_BIG) setGpr(core, RSP, pointer & 0xffff_ffff);
  else setGpr(core, RSP, (gpr(core, RSP) & ~0xffff) | (pointer & 0xffff));
}

function iretUnprotected(core: usize, bytes: u32): bool {
  const virtual = (mode(core) & MODE_V86) != 0;
  const barred = virtual && iopl(core) != 3;
  if (barred && (bytes != 2 || !virtualImages(core))) return refuse(core, GP, 0);
  const image = peek(core, bytes * 2, bytes);
  if (faulted(core)) return false;
  const selector = <u32>peek(core, bytes, bytes) & 0xffff;
  if (faulted(core)) return false;
  const rip = peek(core, 0, bytes);
  if (faulted(core)) return false;
  if (rip > limitOf(core, CS)) return refuse(core, GP, 0);
  if (barred && !virtualPop(core, image)) return refuse(core, GP, 0);
  release(bytes * 3);
  commitStack(core);
  loadUnprotected(core, CS, selector);
  store<u64>(core, rip, RIP);
  const before = rflags(core);
  // Neither mode changes VIF and VIP (SDM vol. 2, IRET; APM vol. 3, IRET), which level 0 of protected mode may.
  const kept = FLAG_VIF | FLAG_VIP;
  // Virtual-8086 mode may change IF at IOPL 3 only, and never IOPL: as level 3 would.
  setRflags(core, mergeFlags(core, before, (image & ~kept) | (before & kept), bytes, virtual ? 3 : 0));
  updateMode(core);
  return true;
}

/** IRET at level 0 to virtual-8086 mode: ESP SS ES DS FS GS follow EFLAGS. */
function returnToVirtual(core: usize, rip: u64, selector: u32, flags: u64): bool {
  let values: u64 = 0; // the five selectors are read twice rather than kept in memory
  for (let i: u32 = 3; i < 9; i++) {
    values = peek(core, i * 4, 4);
    if (faulted(core)) return false;
  }
  if (rip > 0xffff) return refuse(core, GP, 0);
  const esp = peek(core, 12, 4);
  const ss = <u32>peek(core, 16, 4) & 0xffff;
  const es = <u32>peek(core, 20, 4) & 0xffff;
  const ds = <u32>peek(core, 24, 4) & 0xffff;
  const fs = <u32>peek(core, 28, 4) & 0xffff;
  const gs = <u32>values & 0xffff;
  setRflags(core, watching(core) ? flags : flags & ~FLAG_RF);
  store<u32>(core, 3, CPL);
  setVirtual(core, CS, selector);
  setVirtual(core, SS, ss);
  setVirtual(core, ES, es);
  setVirtual(core, DS, ds);
  setVirtual(core, FS, fs);
  setVirtual(core, GS, gs);
  setGpr(core, RSP, esp);
  store<u64>(core, rip, RIP);
  updateMode(core);
  return true;
}

// --- JMP far, CALL far ---

/** JMP far to selector:offset with an operand size of 2, 4 or 8 bytes; next is the address behind the instruction. */
export function farJump(core: usize, selector: u64, offset: u64, size: u64, next: u64): u64 {
  return u64(transfer(core, <u32>selector & 0xffff, operand(offset, <u32>size), <u32>size, false, next));
}

/** CALL far; next is the address behind the instruction. */
export function farCall(core: usize, selector: u64, offset: u64, size: u64, next: u64): u64 {
  return u64(transfer(core, <u32>selector & 0xffff, operand(offset, <u32>size), <u32>size, true, next));
}

function operand(offset: u64, bytes: u32): u64 {
  if (bytes == 2) return offset & 0xffff;
  return bytes == 4 ? offset & 0xffff_ffff : offset;
}

function transfer(core: usize, selector: u32, offset: u64, bytes: u32, call: bool, next: u64): bool {
  if ((mode(core) & MODE_PROTECTED) == 0) {
    if (call && !pushReturn(core, bytes, next, 0)) return false;
    if (offset > limitOf(core, CS)) return refuse(core, GP, 0);
    loadUnprotected(core, CS, selector);
    if (call) commitStack(core);
    store<u64>(core, offset, RIP);
    updateMode(core);
    return true;
  }
  if (descriptor.isNull(selector)) return refuse(core, GP, 0);
  if (!descriptor.fetch(core, selector, GP, 0)) return false;
  const type = descriptor.type();
  if (type > 15) return transferDirect(core, selector, offset, bytes, call, next);
  const long = (mode(core) & MODE_LONG) != 0;
  if (type == descriptor.TYPE_CALL_GATE || (type == descriptor.TYPE_CALL_GATE16 && !long)) {
    return transferByGate(core, selector, call, next);
  }
  const task =
    type == descriptor.TYPE_TASK_GATE || type == descriptor.TYPE_TSS || type == descriptor.TYPE_TSS16;
  if (task && !long) return transferToTask(core, selector, call, next);
  return refuse(core, GP, selector & 0xfffc);
}

/** On the stack as the code sees it that is called: APM vol. 3 has CS loaded first. */
function pushReturn(core: usize, bytes: u32, next: u64, attributes: u32): bool {
  useStack(core, 0, (mode(core) & MODE_LONG) != 0 && (attributes & ATTRIBUTE_LONG) != 0);
  return push(core, bytes, selectorOf(core, CS)) && push(core, bytes, next);
}

/** To a code segment named by the instruction, at the same level. */
function transferDirect(core: usize, selector: u32, offset: u64, bytes: u32, call: bool, next: u64): bool {
  const name = selector & 0xfffc;
  if (!descriptor.isCode() || reservedCode(core)) return refuse(core, GP, name);
  const level = cpl(core);
  const wrong = descriptor.isConforming()
    ? descriptor.dpl() > level
    : (selector & 3) > level || descriptor.dpl() != level;
  if (wrong) return refuse(core, GP, name);
  if (!descriptor.present()) return refuse(core, NP, name);
  if (call && !pushReturn(core, bytes, next, descriptor.attributes())) return false;
  if (!reachable(core, descriptor.attributes(), descriptor.limit(), offset)) return false;
  if (!descriptor.markAccessed(core)) return false;
  if (call) commitStack(core);
  enterCode(core, name | level, offset);
  return true;
}

/** CS from the descriptor fetched last. */
function enterCode(core: usize, selector: u32, rip: u64): void {
  setSegment(core, CS, selector, descriptor.attributes(), descriptor.base(), descriptor.limit());
  store<u32>(core, selector & 3, CPL);
  store<u64>(core, rip, RIP);
  updateMode(core);
}

/** Through the call gate fetched last; a call may go to an inner level, on the stack that the TSS names. */
function transferByGate(core: usize, gate: u32, call: bool, next: u64): bool {
  const gateName = gate & 0xfffc;
  const long = (mode(core) & MODE_LONG) != 0;
  if (descriptor.dpl() < max(cpl(core), gate & 3)) return refuse(core, GP, gateName);
  if (!descriptor.present()) return refuse(core, NP, gateName);
  const wide = descriptor.type() == descriptor.TYPE_CALL_GATE;
  const selector = descriptor.low >> 16;
  const parameters = descriptor.high & 31;
  let rip: u64 = descriptor.low & 0xffff;
  if (wide) rip |= descriptor.high & 0xffff_0000;
  if (long) {
    const upper = descriptor.findUpper(core, gate);
    if (faulted(core)) return false;
    if (descriptor.beyond || (upper & 0x1f00_0000_0000) != 0) return refuse(core, GP, gateName);
    rip |= upper << 32;
  }
  if (descriptor.isNull(selector)) return refuse(core, GP, 0);
  const name = selector & 0xfffc;
  if (!descriptor.fetch(core, selector, GP, 0)) return false;
  const level = cpl(core);
  const inward = !descriptor.isConforming() && descriptor.dpl() < level;
  if (!descriptor.isCode() || descriptor.dpl() > level || (inward && !call)) return refuse(core, GP, name);
  const bits = descriptor.attributes() & (ATTRIBUTE_LONG | ATTRIBUTE_BIG);
  if (long && bits != ATTRIBUTE_LONG) return refuse(core, GP, name);
  if (!descriptor.present()) return refuse(core, NP, name);
  const bytes: u32 = long ? 8 : wide ? 4 : 2;
  if (!inward) {
    if (call && !pushReturn(core, bytes, next, descriptor.attributes())) return false;
    if (!reachable(core, descriptor.attributes(), descriptor.limit(), rip)) return false;
    if (!descriptor.markAccessed(core)) return false;
    if (call) commitStack(core);
    enterCode(core, name | level, rip);
    return true;
  }
  if (long) return callInwardLong(core, name, rip, next);
  return callInward(core, name, rip, next, bytes, parameters);
}

function callInwardLong(core: usize, name: u32, rip: u64, next: u64): bool {
  const level = descriptor.dpl();
  if (level * 8 + 11 > limitOf(core, TR)) return refuse(core, TS, selectorOf(core, TR) & 0xfffc);
  const rsp = loadImplicit(core, baseOf(core, TR) + 4 + level * 8, 8);
  if (faulted(core)) return false;
  useFlatStack(core, rsp, level, 0);
  if (!push(core, 8, selectorOf(core, SS)) || !push(core, 8, gpr(core, RSP))) return false;
  if (!push(core, 8, selectorOf(core, CS)) || !push(core, 8, next)) return false;
  if (!reachable(core, descriptor.attributes(), descriptor.limit(), rip)) return false;
  if (!descriptor.markAccessed(core)) return false;
  commitStack(core);
  setSegment(core, SS, level, 0, 0, 0);
  enterCode(core, name | level, rip);
  return true;
}

function callInward(core: usize, name: u32, rip: u64, next: u64, bytes: u32, parameters: u32): bool {
  const level = descriptor.dpl();
  const attributes = descriptor.attributes();
  const base = descriptor.base();
  const limit = descriptor.limit();
  const codeAt = descriptor.address;
  const stackSelector = useInnerStack(core, level, 0);
  if (faulted(core)) return false;
  if (!push(core, bytes, selectorOf(core, SS)) || !push(core, bytes, gpr(core, RSP))) return false;
  if (!copyParameters(core, bytes, parameters)) return false;
  if (!push(core, bytes, selectorOf(core, CS)) || !push(core, bytes, next)) return false;
  if (!reachable(core, attributes, limit, rip)) return false;
  if (!descriptor.markAccessed(core) || !descriptor.markAccessedAt(core, codeAt, attributes)) return false;
  commitStack(core);
  setSegment(core, SS, stackSelector, descriptor.attributes(), descriptor.base(), descriptor.limit());
  setSegment(core, CS, name | level, attributes | ATTRIBUTE_ACCESSED, base, limit);
  store<u32>(core, level, CPL);
  store<u64>(core, rip, RIP);
  updateMode(core);
  return true;
}

/** From the caller's stack, highest address first, so that they keep their order. */
function copyParameters(core: usize, bytes: u32, count: u32): bool {
  const big = (attributesOf(core, SS) & ATTRIBUTE_BIG) != 0;
  const mask: u64 = big ? 0xffff_ffff : 0xffff;
  for (let i = count; i > 0; i--) {
    const at = (gpr(core, RSP) + (i - 1) * bytes) & mask;
    const value = loadSegmented(core, SS, at, bytes);
    if (faulted(core) || !push(core, bytes, value)) return false;
  }
  return true;
}
