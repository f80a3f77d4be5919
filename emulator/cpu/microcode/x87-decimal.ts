// FBLD and FBSTP: packed decimals of 18 digits, two a byte, the sign in the top bit of the tenth. Intel SDM vol. 1,
// 4.7 and 8.2.

import * as soft from "./softfloat";
import { begin, finish, isEmpty, noteStore, pop, push, stackFault, unpackRegister } from "./x87-stack";

const LIMIT: u64 = 1_000_000_000_000_000_000;
// What stands for an invalid operation: digits that are none
const INDEFINITE_LOW: u64 = 0xc000_0000_0000_0000;
const INDEFINITE_HIGH: u64 = 0xffff;
const SIGN: u64 = 0x8000;

/** FBLD: every decimal is exact. Digits above 9 count as what they are; the manual leaves them open. */
export function x87LoadDecimal(core: usize, low: u64, high: u64): u64 {
  if (!begin(core)) return 0;
  let value: u64 = 0;
  for (let shift: i32 = 4; shift >= 0; shift -= 4) value = value * 10 + ((high >> shift) & 15);
  for (let shift: i32 = 60; shift >= 0; shift -= 4) value = value * 10 + ((low >> shift) & 15);
  const sign = <u32>(high >> 15) & 1;
  if (value == 0) push(core, 0, sign << 15);
  else {
    const zeros = <i32>clz(value);
    push(core, value << zeros, (sign << 15) | <u32>(16383 + 63 - zeros));
  }
  finish(core);
  return 0;
}

let digitsHigh: u64 = 0;

/** FBSTP: gives the low 16 digits; the two others and the sign come from x87DecimalHigh(). */
export function x87StoreDecimal(core: usize): u64 {
  if (!begin(core)) return 0;
  let digits: u64 = INDEFINITE_LOW;
  digitsHigh = INDEFINITE_HIGH;
  if (isEmpty(core, 0)) stackFault(core, false);
  else {
    unpackRegister(core, 0);
    digits = convert();
  }
  if (noteStore(core) == 0) pop(core);
  finish(core);
  return digits;
}
export function x87DecimalHigh(_core: usize): u64 {
  return digitsHigh;
}

/** A as digits. */
function convert(): u64 {
  const before = soft.raised;
  const value = soft.toInteger(64);
  let rest: u64 = value < 0 ? <u64>0 - <u64>value : <u64>value;
  if (soft.raised & soft.INVALID || rest >= LIMIT) {
    soft.forgetRounding(soft.PRECISION);
    soft.raiseFlags(before | soft.INVALID);
    return INDEFINITE_LOW;
  }
  let digits: u64 = 0;
  for (let shift: u64 = 0; shift < 64; shift += 4) {
    digits |= (rest % 10) << shift;
    rest /= 10;
  }
  digitsHigh = (rest % 10) | ((rest / 10) << 4) | (soft.signA ? SIGN : 0);
  return digits;
}
