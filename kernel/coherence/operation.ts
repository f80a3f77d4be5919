// Operations that one machine does for another: a read-modify-write of a few bytes within one page, which answers with
// the old value. Everything that an instruction makes of it (locked.ts) follows from the old value.
//
//   operation   bits 0-3 kind, bits 4-5 logarithm of the bytes, bits 16-27 offset in the page

import { chunksOf } from "./parts";

export const ADD: u32 = 1;
export const AND: u32 = 2;
export const OR: u32 = 3;
export const XOR: u32 = 4;
export const EXCHANGE: u32 = 5;
/** Stores the operand where the comparand was found. */
export const COMPARE_EXCHANGE: u32 = 6;

/** No operation on bytes: chunks of the page are asked for (loans.ts); the operand names them, the comparand the loan so far. */
export const BORROW: u32 = 7;

const PAGE: u32 = 4096;
const KIND: u32 = 15;
const OFFSET_SHIFT: u32 = 16;
const UNUSED_BITS: u32 = 0xf000_ffc0;

export function operationOf(kind: u32, log: u32, offset: u32): u32 {
  return kind | (log << 4) | (offset << OFFSET_SHIFT);
}

export function isBorrowing(operation: u32): bool {
  return (operation & KIND) == BORROW;
}

/** The chunks (parts.ts) that it touches. */
export function operationChunks(operation: u32): u64 {
  return chunksOf(operation >> OFFSET_SHIFT, 1 << ((operation >> 4) & 3));
}

/** A word from another machine: an operation, and wholly within the page? */
export function operationValid(operation: u32): bool {
  const kind = operation & KIND;
  if (kind == 0 || kind > BORROW || (operation & UNUSED_BITS) != 0) return false;
  return (operation >> OFFSET_SHIFT) + (1 << ((operation >> 4) & 3)) <= PAGE;
}

/** By one locked instruction or a loop around one, since other cores of this machine use the page meanwhile. */
export function operationPerform(page: usize, operation: u32, operand: u64, comparand: u64): u64 {
  const at = page + <usize>(operation >> OFFSET_SHIFT);
  const kind = operation & KIND;
  switch ((operation >> 4) & 3) {
    case 0:
      return <u64>perform<u8>(at, kind, <u8>operand, <u8>comparand);
    case 1:
      return <u64>perform<u16>(at, kind, <u16>operand, <u16>comparand);
    case 2:
      return <u64>perform<u32>(at, kind, <u32>operand, <u32>comparand);
    default:
      return perform<u64>(at, kind, operand, comparand);
  }
}

function perform<T>(at: usize, kind: u32, operand: T, comparand: T): T {
  switch (kind) {
    case ADD:
      return atomic.add<T>(at, operand);
    case AND:
      return atomic.and<T>(at, operand);
    case OR:
      return atomic.or<T>(at, operand);
    case XOR:
      return atomic.xor<T>(at, operand);
    case EXCHANGE:
      return atomic.xchg<T>(at, operand);
    default:
      return atomic.cmpxchg<T>(at, comparand, operand);
  }
}
