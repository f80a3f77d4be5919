// An instruction of a program, read from the program's own code by the handler of its page fault: prefixes, ModRM and SIB
// bytes, registers in the trap frame, flags of results (AMD APM vol. 3, 1.2 to 1.7; Intel SDM vol. 2, 2.1, 2.2). What
// the opcodes mean is in locked.ts (what another machine may do instead) and access.ts (what the kernel does instead).
//
// Pure; what it works on is in the record, since threads of several cores are here at once.
import { TrapFrame } from "../frame";

/** AMD APM vol. 3, 1.1: no instruction is longer. */
export const CODE_MAX: u32 = 15;

export const CF: u64 = 1;
export const PF: u64 = 4;
export const AF: u64 = 0x10;
export const ZF: u64 = 0x40;
export const SF: u64 = 0x80;
export const OF: u64 = 0x800;
export const RESUME_FLAG: u64 = 0x1_0000;

export const REX_W: u32 = 8;
export const REX_R: u32 = 4;
export const REX_X: u32 = 2;
export const REX_B: u32 = 1;

@unmanaged
export class Instruction {
  /** The bytes at RIP, CODE_MAX of them at most. */
  code0: u64 = 0;
  code1: u64 = 0;
  codeBytes: u32 = 0;
  /** The code goes on behind the bytes that are here. */
  cut: u32 = 0;
  // What decoding found.
  bytes: u32 = 0;
  /** Prefixes: LOCK, operand size, REP or REPNE as it is; the base of the segment. */
  locked: u32 = 0;
  short: u32 = 0;
  repeat: u32 = 0;
  base: u64 = 0;
  /** Of operation.ts, and the logarithm of its bytes. */
  kind: u32 = 0;
  log: u32 = 0;
  result: u32 = 0;
  flags: u32 = 0;
  register: u32 = 0;
  rex: u32 = 0;
  /** Registers 4 to 7 of 8 bits are SPL to DIL. */
  hasRex: u32 = 0;
  address: u64 = 0;
  operand: u64 = 0;
  comparand: u64 = 0;
  source: u64 = 0;
  // Of the ModRM byte.
  field: u32 = 0;
  ripRelative: u32 = 0;
  shortAddress: u32 = 0;
  // access.ts: what it does, the logarithm of its register's bytes, and whether it writes to memory.
  what: u32 = 0;
  toLog: u32 = 0;
  writes: u32 = 0;
  /** Whether `source` is that of `register`; 2: it is more than that. */
  sourceFrom: u32 = 0;
  /** Where the instruction is; 0: it could not be read or decoded. */
  rip: u64 = 0;
}
/** Instruction.sourceFrom */
export const FROM_CODE: u32 = 0;
export const FROM_REGISTER: u32 = 1;
export const FROM_ELSEWHERE: u32 = 2;

/** By register number, where it is in a trap frame, in words (frame.ts). */
const PLACES: usize = memory.data<u8>([14, 12, 11, 13, 20, 8, 10, 9, 7, 6, 5, 4, 3, 2, 1, 0]);

export function place(frame: TrapFrame, register: u32): usize {
  return changetype<usize>(frame) + ((<usize>load<u8>(PLACES + register)) << 3);
}

export function mask(log: u32): u64 {
  return log == 3 ? ~(<u64>0) : ((<u64>1) << (8 << log)) - 1;
}

/** AH to BH are the second bytes of the first four registers. */
function isHigh(l: Instruction, register: u32): bool {
  return l.log == 0 && l.hasRex == 0 && register >= 4 && register < 8;
}

export function registerRead(l: Instruction, frame: TrapFrame, register: u32): u64 {
  if (isHigh(l, register)) return (load<u64>(place(frame, register - 4)) >> 8) & 0xff;
  return load<u64>(place(frame, register)) & mask(l.log);
}

/** 32 bits clear the upper half; 8 and 16 leave the rest. */
export function registerWrite(l: Instruction, frame: TrapFrame, register: u32, value: u64): void {
  if (isHigh(l, register)) {
    store<u8>(place(frame, register - 4) + 1, <u8>value);
    return;
  }
  const at = place(frame, register);
  if (l.log == 0) store<u8>(at, <u8>value);
  else if (l.log == 1) store<u16>(at, <u16>value);
  else store<u64>(at, value & mask(l.log));
}

// --- Reading ---

export function take(l: Instruction, bytes: u32): u64 {
  if (l.bytes + bytes > l.codeBytes) {
    l.cut = 1;
    l.bytes = CODE_MAX + 1;
    return 0;
  }
  const at = changetype<usize>(l) + l.bytes;
  l.bytes += bytes;
  if (bytes == 1) return <u64>load<u8>(at);
  return bytes == 2 ? <u64>load<u16>(at) : <u64>load<u32>(at);
}

/** A displacement or an immediate operand, sign-extended. */
export function takeSigned(l: Instruction, bytes: u32): u64 {
  const value = take(l, bytes);
  if (bytes == 1) return <u64>(<i64>(<i8>value));
  return bytes == 2 ? <u64>(<i64>(<i16>value)) : <u64>(<i64>(<i32>value));
}

/** Prefixes and REX; the first byte of the opcode. `fs`, `gs`: the bases of these segments. */
export function opcodeTake(l: Instruction, fs: u64, gs: u64): u32 {
  l.bytes = 0;
  l.cut = 0;
  l.rex = 0;
  l.hasRex = 0;
  l.locked = 0;
  l.short = 0;
  l.repeat = 0;
  l.base = 0;
  l.ripRelative = 0;
  l.shortAddress = 0;
  let byte = <u32>take(l, 1);
  while (true) {
    if (byte == 0xf0) l.locked = 1;
    else if (byte == 0x66) l.short = 1;
    else if (byte == 0x67) l.shortAddress = 1;
    else if (byte == 0x64) l.base = fs;
    else if (byte == 0x65) l.base = gs;
    else if (byte == 0xf2 || byte == 0xf3) l.repeat = byte;
    else break;
    byte = <u32>take(l, 1);
  }
  if ((byte & 0xf0) == 0x40) {
    l.rex = byte & 15;
    l.hasRex = 1;
    byte = <u32>take(l, 1);
  }
  l.log = l.rex & REX_W ? 3 : l.short != 0 ? 1 : 2;
  return byte;
}

/** When all bytes have been taken: `address` becomes the linear one. */
export function addressEnd(l: Instruction, frame: TrapFrame): void {
  if (l.ripRelative != 0) l.address += frame.rip + <u64>l.bytes;
  if (l.shortAddress != 0) l.address = <u64>(<u32>l.address);
  l.address += l.base;
}

/** Opcodes with an even number have operands of 8 bits. */
export function sized(l: Instruction, opcode: u32): void {
  if ((opcode & 1) == 0) l.log = 0;
}

/** A memory operand: `address` without the segment's base, `register` and `field`. False: it names a register. */
export function modRm(l: Instruction, frame: TrapFrame): bool {
  const byte = <u32>take(l, 1);
  const mod = byte >> 6;
  const base = byte & 7;
  l.field = (byte >> 3) & 7;
  l.register = l.field | (l.rex & REX_R ? 8 : 0);
  l.address = 0;
  if (mod == 3 || l.cut != 0) return false;
  if (base == 4) scaled(l, frame, mod);
  else if (base == 5 && mod == 0) {
    l.ripRelative = 1;
    l.address = takeSigned(l, 4);
  } else l.address = load<u64>(place(frame, base | (l.rex & REX_B ? 8 : 0)));
  if (mod == 1) l.address += takeSigned(l, 1);
  else if (mod == 2) l.address += takeSigned(l, 4);
  return l.cut == 0;
}

/** A SIB byte. */
function scaled(l: Instruction, frame: TrapFrame, mod: u32): void {
  const byte = <u32>take(l, 1);
  if (l.cut != 0) return;
  const index = ((byte >> 3) & 7) | (l.rex & REX_X ? 8 : 0);
  const base = byte & 7;
  if (base == 5 && mod == 0) l.address = takeSigned(l, 4);
  else l.address = load<u64>(place(frame, base | (l.rex & REX_B ? 8 : 0)));
  if (index != 4) l.address += load<u64>(place(frame, index)) << (byte >> 6);
}

// --- Flags ---

export function sum(log: u32, before: u64, a: u64, b: u64, carries: bool): u64 {
  const result = (a + b) & mask(log);
  const carry: u64 = carries ? u64(result < a) : before & CF;
  return withFlags(log, before, result, carry, ~(a ^ b) & (a ^ result), a ^ b ^ result);
}

export function difference(log: u32, before: u64, a: u64, b: u64, carries: bool): u64 {
  const result = (a - b) & mask(log);
  const carry: u64 = carries ? u64(a < b) : before & CF;
  return withFlags(log, before, result, carry, (a ^ b) & (a ^ result), a ^ b ^ result);
}

/** `overflow`: where the sign counts; `adjust`: where bit 4 does. */
export function withFlags(log: u32, before: u64, result: u64, carry: u64, overflow: u64, adjust: u64): u64 {
  const signed = (overflow >> ((8 << log) - 1)) & 1;
  const others = before & ~(CF | OF | AF | PF | ZF | SF);
  return others | carry | (signed ? OF : 0) | (adjust & AF) | ofResult(log, result);
}

export function ofResult(log: u32, result: u64): u64 {
  let flags: u64 = popcnt<u32>(<u32>result & 0xff) & 1 ? 0 : PF;
  if (result == 0) flags |= ZF;
  if ((result >> ((8 << log) - 1)) & 1) flags |= SF;
  return flags;
}
