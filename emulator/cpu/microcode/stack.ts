// A stack that an event or a far transfer is pushing on or popping from, before anything is committed: either the
// current one, or the one of an inner level. Its pointer stands in a global until commitStack() writes RSP.

import { ACCESS_READ, ACCESS_STACK, ACCESS_SUPERVISOR, ACCESS_WRITE, MODE_64, SS } from "../layout";
import { aligned, loadLinear, probe, storeLinear, withinLimit } from "./access";
import {
  ATTRIBUTE_BIG,
  attributesOf,
  baseOf,
  cpl,
  gpr,
  limitOf,
  mode,
  RSP,
  raise,
  STACK_FAULT,
  setGpr,
} from "./core";
import * as descriptor from "./descriptors";
import { trim } from "./physical";

let flat: bool = false; // 64-bit: no base, no limit
let base: u64 = 0;
let limit: u32 = 0;
let attributes: u32 = 0;
let mask: u64 = 0;
let access: u32 = 0;
let error: u32 = 0; // error code of a #SS by the limit
let pointer: u64 = 0;

/** The stack in SS:RSP at the current privilege. `fault` is the error code of #SS beyond its limit. */
export function useCurrentStack(core: usize, fault: u32): void {
  useStack(core, fault, (mode(core) & MODE_64) != 0);
}

/** The same as code of 64 bits has it (`wide`), or any other. */
export function useStack(core: usize, fault: u32, wide: bool): void {
  pointer = gpr(core, RSP);
  access = ACCESS_STACK;
  error = fault;
  flat = wide;
  mask = ~(0 as u64);
  if (flat) return;
  base = baseOf(core, SS);
  limit = limitOf(core, SS);
  attributes = attributesOf(core, SS);
  mask = attributes & ATTRIBUTE_BIG ? 0xffff_ffff : 0xffff;
}

/** A 64-bit stack at rsp for code that runs at `level`. */
export function useFlatStack(core: usize, rsp: u64, level: u32, fault: u32): void {
  pointer = rsp;
  access = level == 3 && cpl(core) == 3 ? ACCESS_STACK : ACCESS_STACK | ACCESS_SUPERVISOR;
  error = fault;
  flat = true;
  mask = ~(0 as u64);
}

/** The stack that the descriptor fetched last describes, for code that runs at a level inside 3. */
export function useDescribedStack(esp: u64, fault: u32): void {
  pointer = esp;
  access = ACCESS_STACK | ACCESS_SUPERVISOR;
  error = fault;
  flat = false;
  base = descriptor.base();
  limit = descriptor.limit();
  attributes = descriptor.attributes();
  mask = attributes & ATTRIBUTE_BIG ? 0xffff_ffff : 0xffff;
}

/** False after a fault. */
export function push(core: usize, bytes: u32, value: u64): bool {
  const top = (pointer - bytes) & mask;
  if (!flat && !withinLimit(attributes, limit, <u32>top, bytes)) {
    raise(core, STACK_FAULT, error);
    return false;
  }
  const va = flat ? top : (base + top) & 0xffff_ffff;
  if (access == ACCESS_STACK && cpl(core) == 3) {
    const write = access | ACCESS_WRITE;
    if (!aligned(core, va, bytes, write) || !probe(core, va, bytes, write)) return false;
  }
  if (!storeLinear(core, va, bytes, trim(value, bytes), access | ACCESS_WRITE)) return false;
  pointer = merge(top);
  return true;
}

/** What lies `skip` bytes above the top; check faulted() after it. */
export function peek(core: usize, skip: u32, bytes: u32): u64 {
  const at = (pointer + skip) & mask;
  if (!flat && !withinLimit(attributes, limit, <u32>at, bytes)) {
    raise(core, STACK_FAULT, error);
    return 0;
  }
  const va = flat ? at : (base + at) & 0xffff_ffff;
  if (!aligned(core, va, bytes, access | ACCESS_READ)) return 0;
  return loadLinear(core, va, bytes, access | ACCESS_READ);
}

/** A 16-bit stack leaves the upper bits of ESP alone. */
function merge(top: u64): u64 {
  return mask == 0xffff ? (pointer & ~mask) | top : top;
}

/** Moves the top up. */
export function release(bytes: u64): void {
  pointer = merge((pointer + bytes) & mask);
}

export function commitStack(core: usize): void {
  setGpr(core, RSP, pointer);
}
