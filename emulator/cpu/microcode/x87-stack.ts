// The x87 stack and status word, as every x87 function uses them: begin() and finish() around an instruction, registers
// by their distance from the top, stack faults. Intel SDM vol. 1, 8.1 and 8.5.
//
// Invariant: finish() moves what softfloat.ts raised to the status word; an unmasked exception then is pending (ES, B)
// for the next waiting instruction.

import { FCW, FSW, FTW, ST, X87_ERROR } from "../layout";
import { MF, raisePlain } from "./core";
import { errorPending } from "./fpu-state";
import * as soft from "./softfloat";

// Status word
export const STACK_FAULT_FLAG: u32 = 0x40;
export const SUMMARY: u32 = 0x8080; // ES, and B which mirrors it
export const C0: u32 = 0x0100;
export const C1: u32 = 0x0200;
export const C2: u32 = 0x0400;
export const C3: u32 = 0x4000;
export const EXCEPTIONS: u32 = 0x3f;

// How an operand is given (instructions/x87.ts)
export const SINGLE: u32 = 0;
export const DOUBLE: u32 = 1;
export const EXTENDED: u32 = 2; // loads and stores only
export const WORD: u32 = 3;
export const DOUBLEWORD: u32 = 4;
// 5: quadword
export const REGISTER: u32 = 6;

export const TOP_BIT: u64 = 1 << 63;
export const INDEFINITE: u64 = TOP_BIT | (TOP_BIT >> 1);
export const ONES: u32 = 0x7fff;

/** Precision that FCW asks of arithmetic, in bits. */
export function precision(core: usize): i32 {
  const control = (load<u32>(core, FCW) >> 8) & 3;
  return control == 0 ? 24 : control == 2 ? 53 : 64;
}
export function begin(core: usize): bool {
  if (!beginKeepingC1(core)) return false;
  clearCondition(core, C1);
  return true;
}
/** FCMOVcc, FCOMI and FNOP leave C1 alone unless the stack is at fault. */
export function beginKeepingC1(core: usize): bool {
  if (errorPending(core)) {
    raisePlain(core, MF);
    return false;
  }
  const control = load<u32>(core, FCW);
  soft.clearRaised();
  soft.begin((control >> 10) & 3, false, false, control);
  return true;
}
/** Moves raised flags to the status word; ES follows unmasked ones. */
export function finish(core: usize): void {
  if (blocked(core)) soft.forgetRounding(soft.PRECISION | soft.OVERFLOW | soft.UNDERFLOW);
  let status = load<u32>(core, FSW) | soft.raised;
  if (soft.raised & soft.PRECISION && soft.roundedUp) status |= C1;
  soft.clearRaised();
  if (status & ~load<u32>(core, FCW) & EXCEPTIONS) {
    if (!(status & SUMMARY)) store<u32>(core, 0, X87_ERROR); // IGNNE# was for the one before
    status |= SUMMARY;
  }
  store<u32>(core, status, FSW);
}
export function clearCondition(core: usize, bits: u32): void {
  store<u32>(core, load<u32>(core, FSW) & ~bits, FSW);
}
export function setCondition(core: usize, mask: u32, bits: u32): void {
  store<u32>(core, (load<u32>(core, FSW) & ~mask) | bits, FSW);
}

// --- the stack ---

export function top(core: usize): u32 {
  return (load<u32>(core, FSW) >> 11) & 7;
}
export function setTop(core: usize, value: u32): void {
  store<u32>(core, (load<u32>(core, FSW) & ~0x3800) | ((value & 7) << 11), FSW);
}
export function physical(core: usize, i: u32): u32 {
  return (top(core) + i) & 7;
}
export function place(core: usize, i: u32): usize {
  return core + ST + physical(core, i) * 16;
}
export function isEmpty(core: usize, i: u32): bool {
  return ((load<u32>(core, FTW) >> physical(core, i)) & 1) == 0;
}
export function tag(core: usize, i: u32, valid: bool): void {
  const bit: u32 = 1 << physical(core, i);
  const tags = load<u32>(core, FTW);
  store<u32>(core, valid ? tags | bit : tags & ~bit, FTW);
}
export function write(core: usize, i: u32, significand: u64, signAndExponent: u32): void {
  const at = place(core, i);
  store<u64>(at, significand);
  store<u64>(at, signAndExponent, 8);
  tag(core, i, true);
}
export function pop(core: usize): void {
  tag(core, 0, false);
  setTop(core, top(core) + 1);
}
/** A masked invalid operation on the stack itself: C1 tells overflow from underflow. */
export function stackFault(core: usize, overflow: bool): void {
  soft.raiseFlags(soft.INVALID | STACK_FAULT_FLAG);
  setCondition(core, C1, overflow ? C1 : 0);
}
/** An unmasked exception found before computing: the operands stay as they are. */
export function blocked(core: usize): bool {
  const before = soft.INVALID | soft.DENORMAL | soft.ZERO_DIVIDE;
  return (soft.raised & before & ~load<u32>(core, FCW)) != 0;
}
export function invalidIsMasked(core: usize): bool {
  return (load<u32>(core, FCW) & soft.INVALID) != 0;
}
/** R, rounded to FCW's precision or to the register's, into ST(i). */
export function writeResult(core: usize, i: u32, bits: i32): void {
  const signAndExponent = soft.pack80(bits);
  write(core, i, soft.significandR, signAndExponent);
}
/** Makes room and writes the number; overflow of the stack gives the indefinite NaN. */
export function push(core: usize, significand: u64, signAndExponent: u32): void {
  const full = !isEmpty(core, 7);
  if (full) {
    stackFault(core, true);
    if (!invalidIsMasked(core)) return;
  }
  setTop(core, top(core) - 1);
  write(core, 0, full ? INDEFINITE : significand, full ? 0xffff : signAndExponent);
}

export function unpackRegister(core: usize, i: u32): void {
  const at = place(core, i);
  soft.unpack80(load<u64>(at), load<u32>(at, 8));
}
/** A := the operand. Integers are exact. */
export function unpackOperand(core: usize, kind: u32, bits: u64): void {
  if (kind == SINGLE) soft.unpack32(bits);
  else if (kind == DOUBLE) soft.unpack64(bits);
  else if (kind == REGISTER) unpackRegister(core, <u32>bits);
  else {
    const value: i64 = kind == WORD ? <i16>bits : kind == DOUBLEWORD ? <i32>bits : <i64>bits;
    soft.fromInteger(value);
    soft.setA(soft.classR, soft.signR, soft.exponentR, soft.significandR);
  }
}

// --- stores to memory ---

/** Whether there is something to store: not after an unmasked exception, overflow and underflow among them. */
export let storing: bool = false;
export function x87Stores(_core: usize): u64 {
  return storing ? 1 : 0;
}
export function storeHappens(): void {
  storing = true;
}
/** Gives the exceptions that stop the store. */
export function noteStore(core: usize): u32 {
  const stopping = soft.raised & ~soft.PRECISION & ~load<u32>(core, FCW) & EXCEPTIONS;
  storing = stopping == 0;
  return stopping;
}
