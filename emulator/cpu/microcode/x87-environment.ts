// FNSTENV, FLDENV, FNSAVE, FRSTOR: the x87 environment in memory, in the protected-mode format whatever the mode (in real
// mode the pointers, which are zero here, would stand elsewhere). Intel SDM vol. 1, 8.1.10 and 8.1.11.
//
//   seven words of 32 bits (or 16):  FCW | FSW | full tags | FIP | FCS and FOP | FDP | FDS
//   then, for FNSAVE, the registers from the top of the stack, 10 bytes each

import { ACCESS_READ, ACCESS_WRITE, FCW, FDP, FIP, FOP, FSW, FTW, ST } from "../layout";
import { aligned, linear, loadLinear, probe, storeLinear } from "./access";
import { faulted } from "./core";
import { fninit } from "./fpu-state";

const SUMMARY: u32 = 0x8080; // ES and B
const EXCEPTIONS: u32 = 0x3f;
const EXPONENT_MAX: u32 = 0x7fff;

function place(core: usize, i: u32): usize {
  const top = (load<u32>(core, FSW) >> 11) & 7;
  return core + ST + ((top + i) & 7) * 16;
}

const REGISTERS_BYTES: u32 = 80;
const MASKS: u32 = 0x3f;

/** Two bits a register, R0 first: valid, zero, special, empty. */
function fullTags(core: usize): u32 {
  let tags: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) {
    let kind: u32 = 3;
    if ((load<u32>(core, FTW) >> i) & 1) {
      const at = core + ST + i * 16;
      const exponent = load<u32>(at, 8) & EXPONENT_MAX;
      const significand = load<u64>(at);
      if (exponent == 0 && significand == 0) kind = 1;
      else kind = exponent == EXPONENT_MAX || exponent == 0 || significand >> 63 == 0 ? 2 : 0;
    }
    tags |= kind << (2 * i);
  }
  return tags;
}
function environmentWord(core: usize, i: u32): u32 {
  if (i == 0) return load<u32>(core, FCW) | 0xffff_0000;
  if (i == 1) return load<u32>(core, FSW) | 0xffff_0000;
  if (i == 2) return fullTags(core) | 0xffff_0000;
  if (i == 3) return load<u32>(core, FIP);
  if (i == 4) return load<u32>(core, FOP) << 16;
  if (i == 5) return load<u32>(core, FDP);
  return 0xffff_0000;
}

function storeEnvironment(core: usize, segment: u64, offset: u64, wide: bool, registers: bool): bool {
  const each: u32 = wide ? 4 : 2;
  const bytes = 7 * each + (registers ? REGISTERS_BYTES : 0);
  const va = linear(core, segment, offset, bytes, ACCESS_WRITE);
  if (faulted(core)) return false;
  if (!probe(core, va, bytes, ACCESS_WRITE) || !aligned(core, va, each)) return false;
  for (let i: u32 = 0; i < 7; i++) storeLinear(core, va + i * each, each, environmentWord(core, i), 0);
  if (!registers) return true;
  for (let i: u32 = 0; i < 8; i++) {
    storeLinear(core, va + 7 * each + i * 10, 8, load<u64>(place(core, i)), 0);
    storeLinear(core, va + 7 * each + i * 10 + 8, 2, load<u64>(place(core, i), 8), 0);
  }
  return true;
}
function loadEnvironment(core: usize, segment: u64, offset: u64, wide: bool, registers: bool): void {
  const each: u32 = wide ? 4 : 2;
  const bytes = 7 * each + (registers ? REGISTERS_BYTES : 0);
  const va = linear(core, segment, offset, bytes, ACCESS_READ);
  if (faulted(core)) return;
  if (!probe(core, va, bytes, ACCESS_READ) || !aligned(core, va, each)) return;
  const control = (<u32>loadLinear(core, va, 2, 0) & 0x1f7f) | 0x40;
  let status = <u32>loadLinear(core, va + each, 2, 0) & ~SUMMARY;
  if (status & ~control & EXCEPTIONS) status |= SUMMARY;
  const tags = <u32>loadLinear(core, va + 2 * each, 2, 0);
  let valid: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) if (((tags >> (2 * i)) & 3) != 3) valid |= 1 << i;
  store<u32>(core, control, FCW);
  store<u32>(core, status, FSW);
  store<u32>(core, valid, FTW);
  if (!registers) return;
  for (let i: u32 = 0; i < 8; i++) {
    store<u64>(place(core, i), loadLinear(core, va + 7 * each + i * 10, 8, 0));
    store<u64>(place(core, i), loadLinear(core, va + 7 * each + i * 10 + 8, 2, 0), 8);
  }
}

/** FNSTENV masks all exceptions afterwards. */
export function x87StoreEnvironment(core: usize, segment: u64, offset: u64, wide: u64): u64 {
  if (!storeEnvironment(core, segment, offset, wide != 0, false)) return 0;
  store<u32>(core, load<u32>(core, FCW) | MASKS, FCW);
  store<u32>(core, load<u32>(core, FSW) & ~SUMMARY, FSW);
  return 0;
}
/** FNSAVE leaves the unit as FNINIT does. */
export function x87Save(core: usize, segment: u64, offset: u64, wide: u64): u64 {
  if (storeEnvironment(core, segment, offset, wide != 0, true)) fninit(core);
  return 0;
}
export function x87LoadEnvironment(core: usize, segment: u64, offset: u64, wide: u64): u64 {
  loadEnvironment(core, segment, offset, wide != 0, false);
  return 0;
}
export function x87Restore(core: usize, segment: u64, offset: u64, wide: u64): u64 {
  loadEnvironment(core, segment, offset, wide != 0, true);
  return 0;
}
