// The LOCKed instruction that faulted on a shared page, read from the program's own code, and what becomes of it when
// another machine has done it: registers, flags and RIP as the instruction leaves them (AMD APM vol. 3, 1.2 to 1.7 and the
// instructions' pages; Intel SDM vol. 2, 2.1, 2.2 and the same).
//
// Taken: LOCK ADD, SUB, AND, OR, XOR, INC, DEC, NOT, XADD, CMPXCHG, BTS, BTR, BTC, and XCHG, whose LOCK is implied, of 8 to 64
// bits in 64-bit mode, with every form of address. Whatever else it may be is not taken: then the page has to come.
// The address that comes out must be the one that faulted, or the instruction is not the one that did.
//
// Pure; what it works on is in the record, since threads of several cores are here at once.
import { TrapFrame } from "../frame";
import { ADD, AND, COMPARE_EXCHANGE, EXCHANGE, OR, XOR } from "./operation";

/** AMD APM vol. 3, 1.1: no instruction is longer. */
export const CODE_MAX: u32 = 15;

/** What else the instruction writes. */
const NOTHING: u32 = 0;
/** The old value to the register operand; to the accumulator where it was not what was compared with. */
const TO_REGISTER: u32 = 1;
const TO_ACCUMULATOR: u32 = 2;

/** How its flags follow from the old value and `source`. */
const KEEP: u32 = 0;
const AS_ADD: u32 = 1;
const AS_SUB: u32 = 2;
/** Like ADD and SUB of 1 without CF. */
const AS_INC: u32 = 3;
const AS_DEC: u32 = 4;
const AS_AND: u32 = 5;
const AS_OR: u32 = 6;
const AS_XOR: u32 = 7;
/** CMP of the accumulator with the old value. */
const AS_COMPARE: u32 = 8;
/** CF is the bit numbered `source`. */
const AS_BIT: u32 = 9;

const CF: u64 = 1;
const PF: u64 = 4;
const AF: u64 = 0x10;
const ZF: u64 = 0x40;
const SF: u64 = 0x80;
const OF: u64 = 0x800;
const RESUME_FLAG: u64 = 0x1_0000;

const REX_W: u32 = 8;
const REX_R: u32 = 4;
const REX_X: u32 = 2;
const REX_B: u32 = 1;

@unmanaged
export class Locked {
  /** The bytes at RIP, CODE_MAX of them at most. */
  code0: u64 = 0;
  code1: u64 = 0;
  codeBytes: u32 = 0;
  /** The code goes on behind the bytes that are here. */
  cut: u32 = 0;
  // What decoding found.
  bytes: u32 = 0;
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
}

/** By register number, where it is in a trap frame, in words (frame.ts). */
const PLACES: usize = memory.data<u8>([14, 12, 11, 13, 20, 8, 10, 9, 7, 6, 5, 4, 3, 2, 1, 0]);

function place(frame: TrapFrame, register: u32): usize {
  return changetype<usize>(frame) + ((<usize>load<u8>(PLACES + register)) << 3);
}

function mask(log: u32): u64 {
  return log == 3 ? ~(<u64>0) : ((<u64>1) << (8 << log)) - 1;
}

/** AH to BH are the second bytes of the first four registers. */
function isHigh(l: Locked, register: u32): bool {
  return l.log == 0 && l.hasRex == 0 && register >= 4 && register < 8;
}

function registerRead(l: Locked, frame: TrapFrame, register: u32): u64 {
  if (isHigh(l, register)) return (load<u64>(place(frame, register - 4)) >> 8) & 0xff;
  return load<u64>(place(frame, register)) & mask(l.log);
}

/** 32 bits clear the upper half; 8 and 16 leave the rest. */
function registerWrite(l: Locked, frame: TrapFrame, register: u32, value: u64): void {
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

function take(l: Locked, bytes: u32): u64 {
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
function takeSigned(l: Locked, bytes: u32): u64 {
  const value = take(l, bytes);
  if (bytes == 1) return <u64>(<i64>(<i8>value));
  return bytes == 2 ? <u64>(<i64>(<i16>value)) : <u64>(<i64>(<i32>value));
}

/** True: `l` says what the instruction at RIP does, and to which address. `fs`, `gs`: the bases of these segments. */
export function lockedDecode(l: Locked, frame: TrapFrame, fs: u64, gs: u64): bool {
  l.bytes = 0;
  l.cut = 0;
  l.rex = 0;
  l.hasRex = 0;
  l.ripRelative = 0;
  l.shortAddress = 0;
  let locked = false;
  let short = false;
  let base: u64 = 0;
  let byte = <u32>take(l, 1);
  while (true) {
    if (byte == 0xf0) locked = true;
    else if (byte == 0x66) short = true;
    else if (byte == 0x67) l.shortAddress = 1;
    else if (byte == 0x64) base = fs;
    else if (byte == 0x65) base = gs;
    else if (byte != 0xf2 && byte != 0xf3) break; // XACQUIRE and XRELEASE are hints
    byte = <u32>take(l, 1);
  }
  if ((byte & 0xf0) == 0x40) {
    l.rex = byte & 15;
    l.hasRex = 1;
    byte = <u32>take(l, 1);
  }
  l.log = l.rex & REX_W ? 3 : short ? 1 : 2;
  const known = byte == 0x0f ? twoBytes(l, frame, <u32>take(l, 1)) : oneByte(l, frame, byte);
  if (!known || l.cut != 0) return false;
  if (l.ripRelative != 0) l.address += frame.rip + <u64>l.bytes;
  if (l.shortAddress != 0) l.address = <u64>(<u32>l.address);
  l.address += base;
  return locked || l.kind == EXCHANGE;
}

/** Opcodes with an even number have operands of 8 bits. */
function sized(l: Locked, opcode: u32): void {
  if ((opcode & 1) == 0) l.log = 0;
}

function oneByte(l: Locked, frame: TrapFrame, opcode: u32): bool {
  sized(l, opcode);
  switch (opcode & 0xfe) {
    case 0x00:
      return arithmetic(l, frame, 0);
    case 0x08:
      return arithmetic(l, frame, 1);
    case 0x20:
      return arithmetic(l, frame, 4);
    case 0x28:
      return arithmetic(l, frame, 5);
    case 0x30:
      return arithmetic(l, frame, 6);
    case 0x80:
      if (!modRm(l, frame)) return false;
      return arithmeticBy(l, l.field, takeSigned(l, opcode == 0x81 ? (l.log == 1 ? 2 : 4) : 1));
    case 0x82:
      if (opcode != 0x83 || !modRm(l, frame)) return false;
      return arithmeticBy(l, l.field, takeSigned(l, 1));
    case 0x86:
      if (!modRm(l, frame)) return false;
      l.operand = registerRead(l, frame, l.register);
      does(l, EXCHANGE, TO_REGISTER, KEEP);
      return true;
    case 0xf6:
      if (!modRm(l, frame) || l.field != 2) return false;
      l.operand = ~(<u64>0); // NOT
      does(l, XOR, NOTHING, KEEP);
      return true;
    case 0xfe:
      if (!modRm(l, frame) || l.field > 1) return false;
      l.operand = l.field == 0 ? 1 : ~(<u64>0);
      l.source = 1;
      does(l, ADD, NOTHING, l.field == 0 ? AS_INC : AS_DEC);
      return true;
    default:
      return false;
  }
}

function twoBytes(l: Locked, frame: TrapFrame, opcode: u32): bool {
  switch (opcode) {
    case 0xab:
      return bitOfRegister(l, frame, 5);
    case 0xb3:
      return bitOfRegister(l, frame, 6);
    case 0xbb:
      return bitOfRegister(l, frame, 7);
    case 0xba: {
      if (!modRm(l, frame) || l.field < 5) return false;
      return bit(l, l.field, take(l, 1) & <u64>((8 << l.log) - 1));
    }
    case 0xb0:
    case 0xb1:
      sized(l, opcode);
      if (!modRm(l, frame)) return false;
      l.operand = registerRead(l, frame, l.register);
      l.comparand = frame.rax & mask(l.log);
      l.source = l.comparand;
      does(l, COMPARE_EXCHANGE, TO_ACCUMULATOR, AS_COMPARE);
      return true;
    case 0xc0:
    case 0xc1:
      sized(l, opcode);
      if (!modRm(l, frame)) return false;
      l.operand = registerRead(l, frame, l.register);
      l.source = l.operand;
      does(l, ADD, TO_REGISTER, AS_ADD);
      return true;
    default:
      return false;
  }
}

function does(l: Locked, kind: u32, result: u32, flags: u32): void {
  l.kind = kind;
  l.result = result;
  l.flags = flags;
}

function arithmetic(l: Locked, frame: TrapFrame, operation: u32): bool {
  return modRm(l, frame) && arithmeticBy(l, operation, registerRead(l, frame, l.register));
}

/** The numbers of group 1: 0 ADD, 1 OR, 4 AND, 5 SUB, 6 XOR. The others want CF, or do not write. */
function arithmeticBy(l: Locked, operation: u32, source: u64): bool {
  l.source = source & mask(l.log);
  l.operand = operation == 5 ? 0 - source : source;
  if (operation == 0) does(l, ADD, NOTHING, AS_ADD);
  else if (operation == 1) does(l, OR, NOTHING, AS_OR);
  else if (operation == 4) does(l, AND, NOTHING, AS_AND);
  else if (operation == 5) does(l, ADD, NOTHING, AS_SUB);
  else if (operation == 6) does(l, XOR, NOTHING, AS_XOR);
  else return false;
  return true;
}

/** The numbers of group 8: 5 BTS, 6 BTR, 7 BTC. */
function bit(l: Locked, operation: u32, number: u64): bool {
  const one = (<u64>1) << number;
  l.source = number;
  l.operand = operation == 6 ? ~one : one;
  does(l, operation == 5 ? OR : operation == 6 ? AND : XOR, NOTHING, AS_BIT);
  return true;
}

/** A signed bit number in a register reaches beyond the operand that the address names. */
function bitOfRegister(l: Locked, frame: TrapFrame, operation: u32): bool {
  if (!modRm(l, frame)) return false;
  const value = registerRead(l, frame, l.register);
  const number = l.log == 3 ? <i64>value : l.log == 2 ? <i64>(<i32>value) : <i64>(<i16>value);
  l.address += <u64>((number >> (3 + l.log)) << l.log);
  return bit(l, operation, <u64>number & <u64>((8 << l.log) - 1));
}

/** A memory operand: `address` without the segment's base, `register` and `field`. False: it names a register. */
function modRm(l: Locked, frame: TrapFrame): bool {
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
function scaled(l: Locked, frame: TrapFrame, mod: u32): void {
  const byte = <u32>take(l, 1);
  if (l.cut != 0) return;
  const index = ((byte >> 3) & 7) | (l.rex & REX_X ? 8 : 0);
  const base = byte & 7;
  if (base == 5 && mod == 0) l.address = takeSigned(l, 4);
  else l.address = load<u64>(place(frame, base | (l.rex & REX_B ? 8 : 0)));
  if (index != 4) l.address += load<u64>(place(frame, index)) << (byte >> 6);
}

// --- Afterwards ---

/** The operation was done and found `old`: the instruction has retired. */
export function lockedRetire(l: Locked, frame: TrapFrame, old: u64): void {
  const rax = frame.rax;
  if (l.flags != KEEP) frame.rflags = flagsAfter(l, frame.rflags, old & mask(l.log));
  if (l.result == TO_REGISTER) registerWrite(l, frame, l.register, old);
  else if (l.result == TO_ACCUMULATOR && old != (rax & mask(l.log))) registerWrite(l, frame, 0, old);
  frame.rip += <u64>l.bytes;
  frame.rflags &= ~RESUME_FLAG;
}

function flagsAfter(l: Locked, before: u64, old: u64): u64 {
  const b = l.source;
  switch (l.flags) {
    case AS_ADD:
      return sum(l.log, before, old, b, true);
    case AS_SUB:
      return difference(l.log, before, old, b, true);
    case AS_INC:
      return sum(l.log, before, old, 1, false);
    case AS_DEC:
      return difference(l.log, before, old, 1, false);
    case AS_COMPARE:
      return difference(l.log, before, b, old, true);
    case AS_BIT:
      return (before & ~CF) | ((old >> b) & 1);
  }
  const result = l.flags == AS_AND ? old & b : l.flags == AS_OR ? old | b : old ^ b;
  return (before & ~(CF | OF | AF | PF | ZF | SF)) | ofResult(l.log, result);
}

function sum(log: u32, before: u64, a: u64, b: u64, carries: bool): u64 {
  const result = (a + b) & mask(log);
  const carry: u64 = carries ? u64(result < a) : before & CF;
  return withFlags(log, before, result, carry, ~(a ^ b) & (a ^ result), a ^ b ^ result);
}

function difference(log: u32, before: u64, a: u64, b: u64, carries: bool): u64 {
  const result = (a - b) & mask(log);
  const carry: u64 = carries ? u64(a < b) : before & CF;
  return withFlags(log, before, result, carry, (a ^ b) & (a ^ result), a ^ b ^ result);
}

/** `overflow`: where the sign counts; `adjust`: where bit 4 does. */
function withFlags(log: u32, before: u64, result: u64, carry: u64, overflow: u64, adjust: u64): u64 {
  const signed = (overflow >> ((8 << log) - 1)) & 1;
  const others = before & ~(CF | OF | AF | PF | ZF | SF);
  return others | carry | (signed ? OF : 0) | (adjust & AF) | ofResult(log, result);
}

function ofResult(log: u32, result: u64): u64 {
  let flags: u64 = popcnt<u32>(<u32>result & 0xff) & 1 ? 0 : PF;
  if (result == 0) flags |= ZF;
  if ((result >> ((8 << log) - 1)) & 1) flags |= SF;
  return flags;
}
