// The x87 unit: a stack of eight extended reals, in integers (softfloat.ts). Intel SDM vol. 1, chapter 8.
//
// Every function is one instruction or its last half: it checks for a pending exception (#MF), works on the stack, and
// leaves flags in the status word; an unmasked one becomes pending for the next x87 instruction. An operand from
// memory is given by its kind and its bits.

import { MF, raisePlain } from "./core";
import { errorPending } from "./fpu-state";
import * as soft from "./softfloat";
import * as ordinary from "./x87-ordinary";

export { x87DecimalHigh, x87LoadDecimal, x87StoreDecimal } from "./x87-decimal";
export { x87LoadEnvironment, x87Restore, x87Save, x87StoreEnvironment } from "./x87-environment";
export { x87Stores } from "./x87-stack";
export { x87Function, x87FunctionOfTwo } from "./x87-transcendental";

import { INCOMPLETE, NO_QUOTIENT, partialRemainder, scale } from "./softfloat-remainder";
import {
  begin,
  beginKeepingC1,
  blocked,
  C0,
  C1,
  C2,
  C3,
  clearCondition,
  DOUBLE,
  DOUBLEWORD,
  EXTENDED,
  finish,
  INDEFINITE,
  invalidIsMasked,
  isEmpty,
  noteStore,
  ONES,
  place,
  pop,
  precision,
  push,
  REGISTER,
  SINGLE,
  setCondition,
  setTop,
  stackFault,
  storing,
  TOP_BIT,
  tag,
  top,
  unpackOperand,
  unpackRegister,
  WORD,
  write,
  writeResult,
} from "./x87-stack";

/** A pending exception comes before whatever an operand in memory may raise. */
export function x87Check(core: usize): u64 {
  if (errorPending(core)) raisePlain(core, MF);
  return 0;
}

// --- loads and stores ---

/** FLD and FILD; `high` is the sign and exponent word of an extended real. */
export function x87Load(core: usize, kind: u64, bits: u64, high: u64): u64 {
  if (ordinary.loads(core, <u32>kind, bits)) return 0;
  if (!begin(core)) return 0;
  const how = <u32>kind;
  if (how == EXTENDED) push(core, bits, <u32>high);
  else if (how == REGISTER) {
    const at = place(core, <u32>bits);
    if (isEmpty(core, <u32>bits)) {
      stackFault(core, false);
      if (invalidIsMasked(core)) {
        setTop(core, top(core) - 1);
        write(core, 0, INDEFINITE, 0xffff);
      }
    } else push(core, load<u64>(at), load<u32>(at, 8));
  } else if (!isEmpty(core, 7)) push(core, 0, 0);
  else {
    unpackOperand(core, how, bits);
    // Conversion to the wider format is exact; a signalling NaN becomes quiet, a denormal is noted.
    soft.clearB();
    if (!soft.propagateNanA()) {
      soft.noteDenormalA();
      soft.setResult(soft.classA, soft.signA, soft.exponentA, soft.significandA, 0);
    }
    const signAndExponent = soft.pack80(64);
    // A denormal is loaded even where its exception is not masked, as AMD's processors do; Intel's leave the stack as it is.
    const stops = (soft.raised & soft.INVALID) != 0 && !invalidIsMasked(core);
    if (!stops) push(core, soft.significandR, signAndExponent);
  }
  finish(core);
  return 0;
}

/** FLD1, FLDZ, FLDPI and so on: the constant's 128 bits come from the row, with one bit more for rounding. */
export function x87Constant(core: usize, significand: u64, extra: u64, signAndExponent: u64): u64 {
  if (!begin(core)) return 0;
  if (significand == 0) push(core, 0, 0);
  else {
    soft.setResult(soft.FINITE, 0, <i32>signAndExponent - 16383, significand, extra);
    const word = soft.pack80(64);
    soft.clearRaised(); // constants are never inexact
    clearCondition(core, C1);
    push(core, soft.significandR, word);
  }
  finish(core);
  return 0;
}

/** The sign and exponent word that FSTP m80fp is about to store. */
export function x87High(core: usize): u64 {
  return isEmpty(core, 0) ? 0xffff : load<u64>(place(core, 0), 8) & 0xffff;
}

/** FST, FSTP, FIST, FISTP, FISTTP: gives the bits to store. `how`: kind, bit 8 pop, bit 9 truncate. */
export function x87Store(core: usize, how: u64): u64 {
  if (ordinary.stores(core, <u32>how)) return ordinary.stored;
  if (!begin(core)) return 0;
  const kind = <u32>how & 0xff;
  const empty = isEmpty(core, 0);
  let bits: u64;
  if (empty) {
    stackFault(core, false);
    bits = indefiniteOf(kind);
  } else if (kind == EXTENDED) bits = load<u64>(place(core, 0));
  else {
    unpackRegister(core, 0);
    bits = convert(kind, (how & 0x200) != 0);
  }
  const stopping = noteStore(core);
  if (stopping & (soft.OVERFLOW | soft.UNDERFLOW)) soft.forgetRounding(soft.PRECISION);
  if (how & 0x100 && storing) pop(core);
  finish(core);
  return bits;
}
function indefiniteOf(kind: u32): u64 {
  if (kind == SINGLE) return 0xffc0_0000;
  if (kind == DOUBLE) return 0xfff8_0000_0000_0000;
  if (kind == EXTENDED) return INDEFINITE;
  return kind == WORD ? 0x8000 : kind == DOUBLEWORD ? 0x8000_0000 : TOP_BIT;
}
/** A in the format of the kind. */
function convert(kind: u32, truncate: bool): u64 {
  if (kind == SINGLE || kind == DOUBLE) {
    soft.clearB();
    if (soft.isUnsupportedA()) soft.invalid();
    else if (!soft.propagateNanA())
      soft.setResult(soft.classA, soft.signA, soft.exponentA, soft.significandA, 0);
    return kind == SINGLE ? soft.pack32() : soft.pack64();
  }
  if (truncate) soft.begin(soft.TOWARD_ZERO, false, false, 0x3f);
  return <u64>soft.toInteger(kind == WORD ? 16 : kind == DOUBLEWORD ? 32 : 64);
}

/** FST ST(i) (0), FSTP ST(i) (1), and FSTPNCE (3), which says nothing of an empty register and does not copy it. */
export function x87Copy(core: usize, i: u64, pops: u64): u64 {
  if (!begin(core)) return 0;
  const empty = isEmpty(core, 0);
  if (empty && pops == 3) {
    pop(core);
    return 0;
  }
  if (empty) stackFault(core, false);
  if (!empty || invalidIsMasked(core)) {
    const at = place(core, 0);
    write(core, <u32>i, empty ? INDEFINITE : load<u64>(at), empty ? 0xffff : load<u32>(at, 8));
    if (pops) pop(core);
  }
  finish(core);
  return 0;
}

/** FXCH; an empty register counts as the indefinite NaN. */
export function x87Exchange(core: usize, i: u64): u64 {
  if (!begin(core)) return 0;
  const j = <u32>i;
  if (isEmpty(core, 0) || isEmpty(core, j)) {
    stackFault(core, false);
    if (invalidIsMasked(core)) {
      if (isEmpty(core, 0)) write(core, 0, INDEFINITE, 0xffff);
      if (isEmpty(core, j)) write(core, j, INDEFINITE, 0xffff);
    } else {
      finish(core);
      return 0;
    }
  }
  const a = place(core, 0);
  const b = place(core, j);
  const significand = load<u64>(a);
  const word = load<u64>(a, 8);
  store<u64>(a, load<u64>(b));
  store<u64>(a, load<u64>(b, 8), 8);
  store<u64>(b, significand);
  store<u64>(b, word, 8);
  finish(core);
  return 0;
}

/** FCMOVcc. */
export function x87Move(core: usize, i: u64, condition: u64): u64 {
  if (!beginKeepingC1(core)) return 0;
  const empty = isEmpty(core, 0) || isEmpty(core, <u32>i);
  if (empty) {
    stackFault(core, false);
    if (invalidIsMasked(core)) write(core, 0, INDEFINITE, 0xffff);
  } else if (condition) {
    const from = place(core, <u32>i);
    write(core, 0, load<u64>(from), load<u32>(from, 8));
  }
  finish(core);
  return 0;
}

/** FFREE ST(i) (0), FINCSTP (1), FDECSTP (2), FNOP (3), and FFREEP (4), which pops as well. */
export function x87Stack(core: usize, what: u64, i: u64): u64 {
  if (!(what == 3 ? beginKeepingC1(core) : begin(core))) return 0;
  if (what == 0 || what == 4) tag(core, <u32>i, false);
  if (what == 4) pop(core);
  if (what == 1) setTop(core, top(core) + 1);
  if (what == 2) setTop(core, top(core) - 1);
  return 0;
}

// --- arithmetic ---
const ADD: u32 = 0;
const MULTIPLY: u32 = 1;
const SUBTRACT: u32 = 4;
const SUBTRACT_REVERSED: u32 = 5;
const DIVIDE: u32 = 6;

/**
 * ST(to) := ST(to) op operand, numbered as the opcodes are; bit 8 of `how`: pop. The reversed operations exchange
 * the operands.
 */
export function x87Arithmetic(core: usize, how: u64, to: u64, kind: u64, bits: u64): u64 {
  if (ordinary.arithmetic(core, <u32>how, <u32>to, <u32>kind, bits)) return 0;
  if (!begin(core)) return 0;
  const op = <u32>how & 7;
  const target = <u32>to;
  const fromRegister = <u32>kind == REGISTER;
  const empty = isEmpty(core, target) || (fromRegister && isEmpty(core, <u32>bits));
  if (empty) {
    stackFault(core, false);
    if (invalidIsMasked(core)) write(core, target, INDEFINITE, 0xffff);
  } else {
    unpackOperand(core, <u32>kind, bits);
    soft.moveToB();
    unpackRegister(core, target);
    compute(op);
    if (!blocked(core)) writeResult(core, target, precision(core));
  }
  if (how & 0x100 && !blocked(core)) pop(core);
  finish(core);
  return 0;
}

function compute(op: u32): void {
  if (op == SUBTRACT_REVERSED || op == DIVIDE + 1) soft.swap();
  if (soft.isUnsupportedA() || soft.isUnsupportedB()) soft.invalid();
  else if (soft.propagateLargerNan()) return;
  else if (op == ADD) soft.add();
  else if (op == MULTIPLY) soft.multiply();
  else if (op == SUBTRACT || op == SUBTRACT_REVERSED) soft.subtract();
  else soft.divide();
}

// One operand: numbered by the rows
const CHANGE_SIGN: u32 = 0;
const ABSOLUTE: u32 = 1;
const SQUARE_ROOT: u32 = 2;
const ROUND: u32 = 3;
const SCALE: u32 = 4;
const PARTIAL_REMAINDER: u32 = 5;
const PARTIAL_REMAINDER_IEEE: u32 = 6;
const EXTRACT: u32 = 7;

export function x87Unary(core: usize, operation: u64): u64 {
  if (operation == SQUARE_ROOT && ordinary.root(core)) return 0;
  if (!begin(core)) return 0;
  const op = <u32>operation;
  const remainder = op == PARTIAL_REMAINDER || op == PARTIAL_REMAINDER_IEEE;
  const binary = op == SCALE || remainder;
  if (remainder) clearCondition(core, C2);
  if (isEmpty(core, 0) || (binary && isEmpty(core, 1))) {
    stackFault(core, false);
    if (invalidIsMasked(core)) {
      write(core, 0, INDEFINITE, 0xffff);
      if (op == EXTRACT) {
        setTop(core, top(core) - 1);
        write(core, 0, INDEFINITE, 0xffff);
      }
    }
  } else if (op == CHANGE_SIGN || op == ABSOLUTE) {
    const at = place(core, 0);
    const word = load<u32>(at, 8);
    store<u32>(at, op == ABSOLUTE ? word & ONES : word ^ 0x8000, 8);
  } else if (op == EXTRACT) extract(core);
  else {
    if (binary) {
      unpackRegister(core, 1);
      soft.moveToB();
    } else soft.clearB();
    unpackRegister(core, 0);
    calculate(core, op, binary);
  }
  finish(core);
  return 0;
}

function calculate(core: usize, op: u32, binary: bool): void {
  let bits: i32 = 64;
  let quotient: u64 = 0;
  if (soft.isUnsupportedA() || (binary && soft.isUnsupportedB())) {
    soft.invalid();
    quotient = NO_QUOTIENT;
  } else if (binary ? soft.propagateLargerNan() : soft.propagateNanA()) quotient = NO_QUOTIENT;
  else if (op == SQUARE_ROOT) {
    soft.squareRoot();
    bits = precision(core);
  } else if (op == ROUND) {
    soft.noteDenormalA();
    soft.roundToInteger();
  } else if (op == SCALE) scale();
  else quotient = partialRemainder(op == PARTIAL_REMAINDER_IEEE);
  if (blocked(core)) return;
  const up = soft.roundedUp;
  writeResult(core, 0, bits);
  if (op == ROUND) soft.setRoundedUp(up);
  const remainder = op == PARTIAL_REMAINDER || op == PARTIAL_REMAINDER_IEEE;
  if (remainder && quotient != NO_QUOTIENT) setQuotient(core, quotient);
}

/** FXTRACT: the exponent replaces ST0, the significand is pushed. */
function extract(core: usize): void {
  if (!isEmpty(core, 7)) {
    stackFault(core, true);
    if (!invalidIsMasked(core)) return;
    write(core, 0, INDEFINITE, 0xffff);
    setTop(core, top(core) - 1);
    write(core, 0, INDEFINITE, 0xffff);
    return;
  }
  unpackRegister(core, 0);
  soft.clearB();
  const sign: u32 = soft.signA << 15;
  if (soft.isUnsupportedA()) {
    soft.raiseFlags(soft.INVALID);
    if (blocked(core)) return;
    write(core, 0, INDEFINITE, 0xffff);
    push(core, INDEFINITE, 0xffff);
  } else if (soft.propagateNanA()) {
    const word = soft.pack80(64);
    if (blocked(core)) return;
    write(core, 0, soft.significandR, word);
    push(core, soft.significandR, word);
  } else if (soft.classA == soft.ZERO) {
    soft.raiseFlags(soft.ZERO_DIVIDE);
    if (blocked(core)) return;
    write(core, 0, TOP_BIT, 0xffff); // minus infinity
    push(core, 0, sign);
  } else if (soft.classA == soft.INFINITE) {
    write(core, 0, TOP_BIT, ONES);
    push(core, TOP_BIT, sign | ONES);
  } else {
    soft.noteDenormalA();
    if (blocked(core)) return;
    const significand = soft.significandA;
    soft.fromInteger(soft.exponentA);
    const word = soft.pack80(64);
    write(core, 0, soft.significandR, word);
    push(core, significand, sign | 16383);
  }
}

/** FPREM, FPREM1: C0 C3 C1 are the quotient's low bits; C2 tells that more steps are to come. */
function setQuotient(core: usize, quotient: u64): void {
  let bits: u32 = 0;
  if (quotient == INCOMPLETE) bits = C2;
  else {
    if (quotient & 4) bits |= C0;
    if (quotient & 2) bits |= C3;
    if (quotient & 1) bits |= C1;
  }
  soft.setRoundedUp(false);
  setCondition(core, C0 | C1 | C2 | C3, bits);
}

// --- comparison ---

/**
 * FCOM and kin. `how`: bits 0-1 registers to pop, bit 2 quiet NaNs are no fault (FUCOM), bit 3 the result goes to
 * RFLAGS, which this returns at their places (ZF PF CF).
 */
export function x87Compare(core: usize, how: u64, kind: u64, bits: u64): u64 {
  if (ordinary.compares(core, <u32>how, <u32>kind, bits)) return ordinary.relation;
  if (!(how & 8 ? beginKeepingC1(core) : begin(core))) return 0;
  const fromRegister = <u32>kind == REGISTER;
  let relation: u32;
  const empty = isEmpty(core, 0) || (fromRegister && isEmpty(core, <u32>bits));
  if (empty) {
    stackFault(core, false);
    relation = soft.UNORDERED;
  } else {
    unpackOperand(core, <u32>kind, bits);
    soft.moveToB();
    unpackRegister(core, 0);
    relation = soft.compare((how & 4) == 0);
  }
  let result: u64 = 0;
  if (how & 8)
    result = relation & soft.UNORDERED ? 0x45 : relation & soft.EQUAL ? 0x40 : relation & soft.LESS ? 1 : 0;
  else setCondition(core, C0 | C2 | C3, conditionOf(relation));
  const stays = blocked(core);
  finish(core);
  if (!stays) for (let pops = <u32>how & 3; pops > 0; pops--) pop(core);
  return result;
}
function conditionOf(relation: u32): u32 {
  if (relation & soft.UNORDERED) return C0 | C2 | C3;
  return relation & soft.EQUAL ? C3 : relation & soft.LESS ? C0 : 0;
}

/** FTST: against zero. */
export function x87Test(core: usize): u64 {
  return x87Compare(core, 0, SINGLE, 0);
}

/** FXAM: C3 C2 C0 say the class, C1 the sign. */
export function x87Examine(core: usize): u64 {
  if (!begin(core)) return 0;
  const at = place(core, 0);
  const word = load<u32>(at, 8);
  const significand = load<u64>(at);
  const exponent = word & ONES;
  let bits: u32;
  if (isEmpty(core, 0)) bits = C3 | C0;
  else if (exponent == ONES) bits = significand >> 63 == 0 ? 0 : significand << 1 == 0 ? C2 | C0 : C0;
  else if (exponent == 0) bits = significand == 0 ? C3 : C3 | C2;
  else bits = significand >> 63 != 0 ? C2 : 0;
  setCondition(core, C0 | C1 | C2 | C3, bits | (word & 0x8000 ? C1 : 0));
  return 0;
}
