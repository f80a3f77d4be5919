// FNSTENV, FLDENV, FNSAVE, FRSTOR: the x87 environment in memory, seven words of 32 or of 16 bits. Intel SDM vol. 1, 8.1.10
// and 8.1.11.
//
//   FCW | FSW | full tags | FIP          | FCS and FOP                   | FDP          | FDS            protected mode
//   FCW | FSW | full tags | FIP, low 16  | FIP's upper bits and FOP      | FDP, low 16  | upper bits     real, virtual-8086
//   then, for FNSAVE, the registers from the top of the stack, 10 bytes each
//
// In real mode the pointers are linear addresses. The words of 16 bits have no room for FOP in protected mode.

import {
  ACCESS_READ,
  ACCESS_WRITE,
  FCS,
  FCW,
  FDP,
  FDS,
  FIP,
  FOP,
  FSW,
  FTW,
  MODE_PROTECTED,
  ST,
  X87_ERROR,
} from "../layout";
import { aligned, linear, loadLinear, probe, storeLinear, through } from "./access";
import { faulted, mode } from "./core";
import { fninit, setControlAndStatus } from "./fpu-state";

const SUMMARY: u32 = 0x8080; // ES and B
const EXPONENT_MAX: u32 = 0x7fff;

function place(core: usize, i: u32): usize {
  const top = (load<u32>(core, FSW) >> 11) & 7;
  return core + ST + ((top + i) & 7) * 16;
}

const REGISTERS_BYTES: u32 = 80;
const MASKS: u32 = 0x3f;
const OPCODE: u32 = 0x7ff;

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
/** Pointers are linear where segments are not described by tables. */
function isReal(core: usize): bool {
  return (mode(core) & MODE_PROTECTED) == 0;
}
/** The linear address of selector:offset, in real mode's way. */
function linearOf(core: usize, selector: usize, offset: usize): u32 {
  return (load<u16>(core + selector) << 4) + load<u32>(core + offset);
}

const RESERVED: u32 = 0xffff_0000; // reads as ones
function environmentWord(core: usize, i: u32, wide: bool): u32 {
  if (i == 0) return load<u32>(core, FCW) | RESERVED;
  if (i == 1) return load<u32>(core, FSW) | RESERVED;
  if (i == 2) return fullTags(core) | RESERVED;
  if (!isReal(core)) {
    if (i == 3) return load<u32>(core, FIP);
    if (i == 4) return load<u16>(core, FCS) | (load<u32>(core, FOP) << 16);
    if (i == 5) return load<u32>(core, FDP);
    return load<u16>(core, FDS) | RESERVED;
  }
  const address = i < 5 ? linearOf(core, FCS, FIP) : linearOf(core, FDS, FDP);
  if (i == 3 || i == 5) return address & 0xffff;
  const upper = ((address >> 16) & (wide ? 0xffff : 15)) << 12;
  return i == 4 ? upper | load<u32>(core, FOP) : upper;
}

/** The pointers of an environment whose words are `each` bytes long. */
function loadPointers(core: usize, va: u64, each: u32): void {
  const ip = <u32>loadLinear(core, va + 3 * each, each, 0);
  const code = <u32>loadLinear(core, va + 4 * each, each, 0);
  const data = <u32>loadLinear(core, va + 5 * each, each, 0);
  const last = <u32>loadLinear(core, va + 6 * each, each, 0);
  const real = isReal(core);
  const upper: u32 = each == 4 ? 0xffff : 15;
  store<u64>(core, real ? (ip & 0xffff) | (((code >> 12) & upper) << 16) : ip, FIP);
  store<u64>(core, real ? (data & 0xffff) | (((last >> 12) & upper) << 16) : data, FDP);
  store<u32>(core, (real ? code : each == 4 ? code >> 16 : 0) & OPCODE, FOP);
  store<u16>(core, real ? 0 : code, FCS);
  store<u16>(core, real ? 0 : last, FDS);
}

function storeEnvironment(core: usize, segment: u64, offset: u64, wide: bool, registers: bool): bool {
  const each: u32 = wide ? 4 : 2;
  const bytes = 7 * each + (registers ? REGISTERS_BYTES : 0);
  const va = linear(core, segment, offset, bytes, ACCESS_WRITE);
  if (faulted(core)) return false;
  const write = through(segment, ACCESS_WRITE);
  if (!aligned(core, va, each, write) || !probe(core, va, bytes, write)) return false;
  for (let i: u32 = 0; i < 7; i++) storeLinear(core, va + i * each, each, environmentWord(core, i, wide), 0);
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
  const read = through(segment, ACCESS_READ);
  if (!aligned(core, va, each, read) || !probe(core, va, bytes, read)) return;
  const control = <u32>loadLinear(core, va, 2, 0);
  const status = <u32>loadLinear(core, va + each, 2, 0);
  const tags = <u32>loadLinear(core, va + 2 * each, 2, 0);
  let valid: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) if (((tags >> (2 * i)) & 3) != 3) valid |= 1 << i;
  setControlAndStatus(core, control, status);
  store<u32>(core, valid, FTW);
  loadPointers(core, va, each);
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
  store<u32>(core, 0, X87_ERROR);
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
