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
import {
  AF,
  addressEnd,
  CF,
  difference,
  Instruction,
  mask,
  modRm,
  OF,
  ofResult,
  opcodeTake,
  PF,
  RESUME_FLAG,
  registerRead,
  registerWrite,
  SF,
  sized,
  sum,
  take,
  takeSigned,
  ZF,
} from "./instruction";
import { ADD, AND, COMPARE_EXCHANGE, EXCHANGE, OR, XOR } from "./operation";

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

/** True: `l` says what the instruction at RIP does, and to which address. `fs`, `gs`: the bases of these segments. */
export function lockedDecode(l: Instruction, frame: TrapFrame, fs: u64, gs: u64): bool {
  const byte = opcodeTake(l, fs, gs); // of REP and REPNE, XACQUIRE and XRELEASE are hints
  const known = byte == 0x0f ? twoBytes(l, frame, <u32>take(l, 1)) : oneByte(l, frame, byte);
  if (!known || l.cut != 0) return false;
  addressEnd(l, frame);
  return l.locked != 0 || l.kind == EXCHANGE;
}

function oneByte(l: Instruction, frame: TrapFrame, opcode: u32): bool {
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

function twoBytes(l: Instruction, frame: TrapFrame, opcode: u32): bool {
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

function does(l: Instruction, kind: u32, result: u32, flags: u32): void {
  l.kind = kind;
  l.result = result;
  l.flags = flags;
}

function arithmetic(l: Instruction, frame: TrapFrame, operation: u32): bool {
  return modRm(l, frame) && arithmeticBy(l, operation, registerRead(l, frame, l.register));
}

/** The numbers of group 1: 0 ADD, 1 OR, 4 AND, 5 SUB, 6 XOR. The others want CF, or do not write. */
function arithmeticBy(l: Instruction, operation: u32, source: u64): bool {
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
function bit(l: Instruction, operation: u32, number: u64): bool {
  const one = (<u64>1) << number;
  l.source = number;
  l.operand = operation == 6 ? ~one : one;
  does(l, operation == 5 ? OR : operation == 6 ? AND : XOR, NOTHING, AS_BIT);
  return true;
}

/** A signed bit number in a register reaches beyond the operand that the address names. */
function bitOfRegister(l: Instruction, frame: TrapFrame, operation: u32): bool {
  if (!modRm(l, frame)) return false;
  const value = registerRead(l, frame, l.register);
  const number = l.log == 3 ? <i64>value : l.log == 2 ? <i64>(<i32>value) : <i64>(<i16>value);
  l.address += <u64>((number >> (3 + l.log)) << l.log);
  return bit(l, operation, <u64>number & <u64>((8 << l.log) - 1));
}

// --- Afterwards ---

/** The operation was done and found `old`: the instruction has retired. */
export function lockedRetire(l: Instruction, frame: TrapFrame, old: u64): void {
  const rax = frame.rax;
  if (l.flags != KEEP) frame.rflags = flagsAfter(l, frame.rflags, old & mask(l.log));
  if (l.result == TO_REGISTER) registerWrite(l, frame, l.register, old);
  else if (l.result == TO_ACCUMULATOR && old != (rax & mask(l.log))) registerWrite(l, frame, 0, old);
  frame.rip += <u64>l.bytes;
  frame.rflags &= ~RESUME_FLAG;
}

function flagsAfter(l: Instruction, before: u64, old: u64): u64 {
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
