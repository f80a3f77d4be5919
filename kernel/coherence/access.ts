// The instruction that faulted on a page of which this machine has only a part (parts.ts), carried out by the kernel
// on the page's frame when all bytes that it touches are this machine's: memory, registers, flags and RIP as the
// instruction leaves them (AMD APM vol. 3 and 4; Intel SDM vol. 2).
//
// Taken, of 8 to 64 bits in 64-bit mode, with and without LOCK where LOCK is allowed: MOV, MOVZX, MOVSX, MOVSXD, ADD, OR,
// ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NOT, NEG, XCHG, XADD, CMPXCHG, BT to BTC, SETcc, CMOVcc, ROL, ROR, SHL, SHR,
// SAR; and the moves between memory and XMM registers. Anything else is not taken: then the page has to come.
//
// Pure. The caller holds the lock of parts.ts from the look at the parts to the last byte, so that LOCK and what an
// instruction does without it are the same here.
import { TrapFrame } from "../frame";
import {
  AF,
  addressEnd,
  CF,
  difference,
  FROM_CODE,
  FROM_ELSEWHERE,
  FROM_REGISTER,
  Instruction,
  mask,
  modRm,
  OF,
  ofResult,
  opcodeTake,
  PF,
  RESUME_FLAG,
  REX_R,
  registerRead,
  registerWrite,
  SF,
  sized,
  sum,
  take,
  takeSigned,
  ZF,
} from "./instruction";

/** Instruction.what */
const LOAD: u32 = 1;
const LOAD_SIGNED: u32 = 2;
const STORE: u32 = 3;
/** `kind` is the number of the operation in group 1: ADD OR ADC SBB AND SUB XOR CMP. */
const TO_MEMORY: u32 = 4;
const FROM_MEMORY: u32 = 5;
const TEST: u32 = 6;
const INCREMENT: u32 = 7;
const DECREMENT: u32 = 8;
const NOT: u32 = 9;
const NEGATE: u32 = 10;
const EXCHANGE: u32 = 11;
const EXCHANGE_ADD: u32 = 12;
const COMPARE_EXCHANGE: u32 = 13;
/** `kind` as in group 8: 4 BT, 5 BTS, 6 BTR, 7 BTC; `source` is the bit. */
const BIT: u32 = 14;
/** `kind` as in group 2, `source` the count. */
const SHIFT: u32 = 15;
/** `kind` is the condition. */
const SET: u32 = 16;
const MOVE_IF: u32 = 17;
/** Of an XMM register: whole or its low part, which a load makes the whole; or its low or high half, the other kept. */
const XMM_LOAD: u32 = 18;
const XMM_STORE: u32 = 19;
const XMM_LOAD_LOW: u32 = 20;
const XMM_LOAD_HIGH: u32 = 21;
const XMM_STORE_HIGH: u32 = 22;

const CMP: u32 = 7;
/** The logarithm of an XMM register's bytes. */
const LOG_XMM: u32 = 4;
const ARITHMETIC: u64 = CF | OF | AF | PF | ZF | SF;

/** True: `l` says what the instruction at RIP does, and to which bytes. `fs`, `gs`: the bases of these segments. */
export function accessDecode(l: Instruction, frame: TrapFrame, fs: u64, gs: u64): bool {
  const byte = opcodeTake(l, fs, gs);
  l.what = 0;
  l.writes = 0;
  l.sourceFrom = FROM_CODE;
  const known = byte == 0x0f ? twoBytes(l, frame, <u32>take(l, 1)) : oneByte(l, frame, byte);
  if (!known || l.cut != 0) return false;
  addressEnd(l, frame);
  return l.locked == 0 || (l.writes != 0 && lockable(l));
}

export function accessBytes(l: Instruction): u32 {
  return 1 << l.log;
}

/** Works on XMM registers: the caller has them in memory. */
export function accessIsXmm(l: Instruction): bool {
  return l.what >= XMM_LOAD;
}

function lockable(l: Instruction): bool {
  switch (l.what) {
    case TO_MEMORY:
    case INCREMENT:
    case DECREMENT:
    case NOT:
    case NEGATE:
    case EXCHANGE:
    case EXCHANGE_ADD:
    case COMPARE_EXCHANGE:
    case BIT:
      return true;
    default:
      return false;
  }
}

function does(l: Instruction, what: u32, writes: bool): bool {
  l.what = what;
  l.writes = u32(writes);
  l.toLog = l.log;
  return true;
}

function ofRegister(l: Instruction, frame: TrapFrame, what: u32, writes: bool): bool {
  if (!modRm(l, frame)) return false;
  l.source = registerRead(l, frame, l.register);
  l.sourceFrom = FROM_REGISTER;
  return does(l, what, writes);
}

/** The same instruction again, whose operand is at `address` now. False: it has to be decoded again. */
export function accessAgain(l: Instruction, frame: TrapFrame, address: u64): bool {
  if (l.sourceFrom == FROM_ELSEWHERE) return false;
  if (l.sourceFrom == FROM_REGISTER) l.source = registerRead(l, frame, l.register);
  l.address = address;
  return true;
}

/** Immediate operands have 32 bits at most. */
function takeImmediate(l: Instruction): u64 {
  return takeSigned(l, l.log == 0 ? 1 : l.log == 1 ? 2 : 4) & mask(l.log);
}

function oneByte(l: Instruction, frame: TrapFrame, opcode: u32): bool {
  // The eight operations, each with memory and with a register as destination.
  if (opcode < 0x40 && (opcode & 7) < 4) {
    sized(l, opcode);
    l.kind = opcode >> 3;
    return ofRegister(l, frame, opcode & 2 ? FROM_MEMORY : TO_MEMORY, (opcode & 2) == 0 && l.kind != CMP);
  }
  switch (opcode) {
    case 0x63: // MOVSXD
      if (l.log != 3 || !modRm(l, frame)) return false;
      l.log = 2;
      does(l, LOAD_SIGNED, false);
      l.toLog = 3;
      return true;
    case 0x80:
    case 0x81:
    case 0x83:
      sized(l, opcode);
      if (!modRm(l, frame)) return false;
      l.source = opcode == 0x83 ? takeSigned(l, 1) & mask(l.log) : takeImmediate(l);
      l.kind = l.field;
      return does(l, TO_MEMORY, l.kind != CMP);
    case 0x84:
    case 0x85:
      sized(l, opcode);
      return ofRegister(l, frame, TEST, false);
    case 0x86:
    case 0x87:
      sized(l, opcode);
      return ofRegister(l, frame, EXCHANGE, true);
    case 0x88:
    case 0x89:
      sized(l, opcode);
      return ofRegister(l, frame, STORE, true);
    case 0x8a:
    case 0x8b:
      sized(l, opcode);
      return ofRegister(l, frame, LOAD, false);
    case 0xc0:
    case 0xc1:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
      sized(l, opcode);
      return shift(l, frame, opcode);
    case 0xc6:
    case 0xc7:
      sized(l, opcode);
      if (!modRm(l, frame) || l.field != 0) return false;
      l.source = takeImmediate(l);
      return does(l, STORE, true);
    case 0xf6:
    case 0xf7:
      sized(l, opcode);
      if (!modRm(l, frame)) return false;
      if (l.field == 2) return does(l, NOT, true);
      if (l.field == 3) return does(l, NEGATE, true);
      if (l.field > 1) return false;
      l.source = takeImmediate(l);
      return does(l, TEST, false);
    case 0xfe:
    case 0xff:
      sized(l, opcode);
      if (!modRm(l, frame) || l.field > 1) return false;
      return does(l, l.field == 0 ? INCREMENT : DECREMENT, true);
    default:
      return false;
  }
}

/** Through the carry is not taken. A count of 0 changes nothing. */
function shift(l: Instruction, frame: TrapFrame, opcode: u32): bool {
  if (!modRm(l, frame) || l.field == 2 || l.field == 3) return false;
  const count = opcode < 0xd0 ? take(l, 1) : opcode < 0xd2 ? 1 : frame.rcx;
  l.source = count & (l.log == 3 ? 63 : 31);
  l.kind = l.field;
  l.sourceFrom = FROM_ELSEWHERE;
  return does(l, SHIFT, true);
}

function twoBytes(l: Instruction, frame: TrapFrame, opcode: u32): bool {
  if ((opcode & 0xf0) == 0x40) {
    l.kind = opcode & 15;
    return ofRegister(l, frame, MOVE_IF, false);
  }
  if ((opcode & 0xf0) == 0x90) {
    if (!modRm(l, frame)) return false;
    l.log = 0;
    l.kind = opcode & 15;
    return does(l, SET, true);
  }
  switch (opcode) {
    case 0xa3:
    case 0xab:
    case 0xb3:
    case 0xbb:
      return bitOfRegister(l, frame, (opcode >> 3) & 7);
    case 0xba:
      if (!modRm(l, frame) || l.field < 4) return false;
      l.source = take(l, 1) & <u64>((8 << l.log) - 1);
      l.kind = l.field;
      return does(l, BIT, l.kind != 4);
    case 0xb0:
    case 0xb1:
      sized(l, opcode);
      return ofRegister(l, frame, COMPARE_EXCHANGE, true);
    case 0xc0:
    case 0xc1:
      sized(l, opcode);
      return ofRegister(l, frame, EXCHANGE_ADD, true);
    case 0xb6:
    case 0xb7:
    case 0xbe:
    case 0xbf: {
      const to = l.log;
      if (!modRm(l, frame)) return false;
      l.log = opcode & 1;
      does(l, opcode < 0xb8 ? LOAD : LOAD_SIGNED, false);
      l.toLog = to;
      return true;
    }
    default:
      return xmm(l, frame, opcode);
  }
}

/** The mandatory prefix, 0, 66, F3 or F2, belongs to the opcode. F2 and F3 go before 66. */
function xmm(l: Instruction, frame: TrapFrame, opcode: u32): bool {
  if (l.locked != 0) return false;
  const prefix: u32 = l.repeat != 0 ? l.repeat : l.short != 0 ? 0x66 : 0;
  const wide = l.log == 3;
  if (!modRm(l, frame)) return false;
  l.register = l.field | (l.rex & REX_R ? 8 : 0);
  switch (opcode) {
    case 0x10: // MOVUPS, MOVUPD, MOVSS, MOVSD
    case 0x11:
      l.log = prefix == 0xf3 ? 2 : prefix == 0xf2 ? 3 : LOG_XMM;
      return does(l, opcode == 0x10 ? XMM_LOAD : XMM_STORE, opcode == 0x11);
    case 0x12: // MOVLPS, MOVLPD
    case 0x13:
    case 0x16: // MOVHPS, MOVHPD
    case 0x17:
      if (l.repeat != 0) return false;
      l.log = 3;
      if (opcode == 0x13) return does(l, XMM_STORE, true);
      if (opcode == 0x17) return does(l, XMM_STORE_HIGH, true);
      return does(l, opcode == 0x12 ? XMM_LOAD_LOW : XMM_LOAD_HIGH, false);
    case 0x6e: // MOVD, MOVQ
    case 0x7e:
      if (opcode == 0x7e && prefix == 0xf3) {
        l.log = 3;
        return does(l, XMM_LOAD, false);
      }
      if (prefix != 0x66) return false;
      l.log = wide ? 3 : 2;
      return does(l, opcode == 0x6e ? XMM_LOAD : XMM_STORE, opcode == 0x7e);
    case 0x6f: // MOVDQU; what has to be aligned is left to the processor, with its #GP
    case 0x7f:
      if (prefix != 0xf3) return aligned(l, prefix == 0x66, opcode == 0x7f);
      l.log = LOG_XMM;
      return does(l, opcode == 0x6f ? XMM_LOAD : XMM_STORE, opcode == 0x7f);
    case 0x28: // MOVAPS, MOVAPD
    case 0x29:
      return aligned(l, l.repeat == 0, opcode == 0x29);
    case 0xd6: // MOVQ
      if (prefix != 0x66) return false;
      l.log = 3;
      return does(l, XMM_STORE, true);
    default:
      return false;
  }
}

/** An operand that is not aligned does not fault as a page first: #GP comes before. */
function aligned(l: Instruction, known: bool, stores: bool): bool {
  if (!known) return false;
  l.log = LOG_XMM;
  return does(l, stores ? XMM_STORE : XMM_LOAD, stores);
}

/** A signed bit number in a register reaches beyond the operand that the address names. */
function bitOfRegister(l: Instruction, frame: TrapFrame, operation: u32): bool {
  if (!modRm(l, frame)) return false;
  const value = registerRead(l, frame, l.register);
  const number = l.log == 3 ? <i64>value : l.log == 2 ? <i64>(<i32>value) : <i64>(<i16>value);
  l.address += <u64>((number >> (3 + l.log)) << l.log);
  l.source = <u64>number & <u64>((8 << l.log) - 1);
  l.kind = operation;
  l.sourceFrom = FROM_ELSEWHERE;
  return does(l, BIT, operation != 4);
}

// --- Carrying out ---

function memoryRead(at: usize, log: u32): u64 {
  if (log == 0) return <u64>load<u8>(at);
  if (log == 1) return <u64>load<u16>(at);
  return log == 2 ? <u64>load<u32>(at) : load<u64>(at);
}

function memoryWrite(at: usize, log: u32, value: u64): void {
  if (log == 0) store<u8>(at, <u8>value);
  else if (log == 1) store<u16>(at, <u16>value);
  else if (log == 2) store<u32>(at, <u32>value);
  else store<u64>(at, value);
}

/** The operand stands at `at`; `fpu`: the thread's FXSAVE image when accessIsXmm(). The instruction has retired. */
export function accessPerform(l: Instruction, frame: TrapFrame, at: usize, fpu: usize): void {
  if (accessIsXmm(l)) moveXmm(l, at, fpu + 160 + ((<usize>l.register) << 4));
  else {
    const old = memoryRead(at, l.log);
    const now = result(l, frame, old);
    if (l.writes != 0) memoryWrite(at, l.log, now);
  }
  frame.rip += <u64>l.bytes;
  frame.rflags &= ~RESUME_FLAG;
}

/** `image`: the register's 16 bytes (Intel SDM vol. 1, table 10-2). */
function moveXmm(l: Instruction, at: usize, image: usize): void {
  switch (l.what) {
    case XMM_STORE:
      memory.copy(at, image, 1 << l.log);
      break;
    case XMM_STORE_HIGH:
      store<u64>(at, load<u64>(image, 8));
      break;
    case XMM_LOAD_LOW:
      store<u64>(image, load<u64>(at));
      break;
    case XMM_LOAD_HIGH:
      store<u64>(image, load<u64>(at), 8);
      break;
    default: {
      const low = memoryRead(at, min<u32>(l.log, 3));
      const high: u64 = l.log == LOG_XMM ? load<u64>(at, 8) : 0;
      store<u64>(image, low);
      store<u64>(image, high, 8);
    }
  }
}

function toRegister(l: Instruction, frame: TrapFrame, register: u32, value: u64): void {
  const log = l.log;
  l.log = l.toLog;
  registerWrite(l, frame, register, value);
  l.log = log;
}

/** Registers and flags become what the instruction makes them; what memory becomes, if it writes. */
function result(l: Instruction, frame: TrapFrame, old: u64): u64 {
  const source = l.source;
  switch (l.what) {
    case LOAD:
      toRegister(l, frame, l.register, old);
      return old;
    case LOAD_SIGNED: {
      const bits = <u64>(64 - (8 << l.log));
      toRegister(l, frame, l.register, <u64>(<i64>(old << bits) >> bits));
      return old;
    }
    case STORE:
      return source;
    case TO_MEMORY:
      return arithmetic(l, frame, old, source);
    case FROM_MEMORY: {
      const value = arithmetic(l, frame, source, old);
      if (l.kind != CMP) registerWrite(l, frame, l.register, value);
      return old;
    }
    case TEST:
      logic(l, frame, old & source);
      return old;
    case INCREMENT:
      frame.rflags = sum(l.log, frame.rflags, old, 1, false);
      return old + 1;
    case DECREMENT:
      frame.rflags = difference(l.log, frame.rflags, old, 1, false);
      return old - 1;
    case NOT:
      return ~old;
    case NEGATE:
      frame.rflags = difference(l.log, frame.rflags, 0, old, true);
      return 0 - old;
    case EXCHANGE:
      registerWrite(l, frame, l.register, old);
      return source;
    case EXCHANGE_ADD:
      frame.rflags = sum(l.log, frame.rflags, old, source, true);
      registerWrite(l, frame, l.register, old);
      return old + source;
    case COMPARE_EXCHANGE: {
      const accumulator = frame.rax & mask(l.log);
      frame.rflags = difference(l.log, frame.rflags, accumulator, old, true);
      if (old == accumulator) return source;
      registerWrite(l, frame, 0, old);
      return old;
    }
    case BIT: {
      const one = (<u64>1) << source;
      frame.rflags = (frame.rflags & ~CF) | ((old >> source) & 1);
      return l.kind == 5 ? old | one : l.kind == 6 ? old & ~one : l.kind == 7 ? old ^ one : old;
    }
    case SHIFT:
      return source == 0 ? old : shifted(l, frame, old, source);
    case SET:
      return u64(holds(l.kind, frame.rflags));
    default:
      // CMOVcc of 32 bits clears the upper half either way.
      registerWrite(l, frame, l.register, holds(l.kind, frame.rflags) ? old : source);
      return old;
  }
}

function logic(l: Instruction, frame: TrapFrame, value: u64): u64 {
  frame.rflags = (frame.rflags & ~ARITHMETIC) | ofResult(l.log, value);
  return value;
}

function arithmetic(l: Instruction, frame: TrapFrame, a: u64, b: u64): u64 {
  const carry = frame.rflags & CF;
  switch (l.kind) {
    case 0:
      frame.rflags = sum(l.log, frame.rflags, a, b, true);
      return a + b;
    case 1:
      return logic(l, frame, a | b);
    case 2: {
      const value = (a + b + carry) & mask(l.log);
      const out = value < a || (carry != 0 && value == a);
      setFlags(l, frame, value, out, ~(a ^ b) & (a ^ value), a ^ b ^ value);
      return value;
    }
    case 3: {
      const value = (a - b - carry) & mask(l.log);
      const out = a < b || (carry != 0 && a == b);
      setFlags(l, frame, value, out, (a ^ b) & (a ^ value), a ^ b ^ value);
      return value;
    }
    case 4:
      return logic(l, frame, a & b);
    case 6:
      return logic(l, frame, a ^ b);
    default:
      frame.rflags = difference(l.log, frame.rflags, a, b, true);
      return a - b;
  }
}

/** `overflow`: where the sign counts; `adjust`: where bit 4 does. */
function setFlags(
  l: Instruction,
  frame: TrapFrame,
  value: u64,
  carry: bool,
  overflow: u64,
  adjust: u64,
): void {
  let flags = (frame.rflags & ~ARITHMETIC) | ofResult(l.log, value) | (adjust & AF);
  if (carry) flags |= CF;
  if ((overflow >> ((8 << l.log) - 1)) & 1) flags |= OF;
  frame.rflags = flags;
}

/** `count` is not 0. OF is defined for a count of 1 only, AF never; CF is what went out last. */
function shifted(l: Instruction, frame: TrapFrame, old: u64, count: u64): u64 {
  const bits = <u64>(8 << l.log);
  const top = bits - 1;
  let value: u64 = 0;
  let out: u64 = 0;
  if (l.kind < 2) {
    const by = count & top;
    const left = l.kind == 0 ? by : (bits - by) & top;
    value = left == 0 ? old : ((old << left) | (old >> (bits - left))) & mask(l.log);
    out = l.kind == 0 ? value & 1 : value >> top;
    const overflow = l.kind == 0 ? (value >> top) ^ out : (value >> top) ^ ((value >> (top - 1)) & 1);
    frame.rflags = (frame.rflags & ~(CF | OF)) | out | (overflow & 1 ? OF : 0);
    return value;
  }
  let overflow: u64 = 0;
  if (l.kind == 4 || l.kind == 6) {
    value = count >= bits ? 0 : (old << count) & mask(l.log);
    out = count > bits ? 0 : (old >> (bits - count)) & 1;
    overflow = (value >> top) ^ out;
  } else if (l.kind == 5) {
    value = count >= bits ? 0 : old >> count;
    out = count > bits ? 0 : (old >> (count - 1)) & 1;
    overflow = old >> top;
  } else {
    const signed = <i64>(old << (64 - bits)) >> (64 - bits);
    value = <u64>(signed >> <i64>min<u64>(count, 63)) & mask(l.log);
    out = <u64>(signed >> <i64>min<u64>(count - 1, 63)) & 1;
  }
  frame.rflags =
    (frame.rflags & ~(CF | OF | PF | ZF | SF)) | ofResult(l.log, value) | out | (overflow & 1 ? OF : 0);
  return value;
}

/** The sixteen conditions: O, B, Z, BE, S, P, L, LE, and with bit 0 their opposites. */
function holds(condition: u32, flags: u64): bool {
  const less = ((flags & SF) != 0) != ((flags & OF) != 0);
  let is = false;
  switch (condition >> 1) {
    case 0:
      is = (flags & OF) != 0;
      break;
    case 1:
      is = (flags & CF) != 0;
      break;
    case 2:
      is = (flags & ZF) != 0;
      break;
    case 3:
      is = (flags & (CF | ZF)) != 0;
      break;
    case 4:
      is = (flags & SF) != 0;
      break;
    case 5:
      is = (flags & PF) != 0;
      break;
    case 6:
      is = less;
      break;
    default:
      is = less || (flags & ZF) != 0;
  }
  return is != ((condition & 1) != 0);
}
