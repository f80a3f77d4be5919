// Fast system calls: SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS. AMD APM vol. 3: SYSCALL and SYSRET exist in every mode
// (LSTAR from 64-bit code, CSTAR from compatibility mode, STAR in legacy mode), SYSENTER and SYSEXIT in legacy mode only.
// Each assist but swapgs writes RIP itself.

import {
  CPL,
  CS,
  GS,
  MODE_64,
  MODE_LONG,
  MODE_PROTECTED,
  MODE_V86,
  MSR_CSTAR,
  MSR_KERNEL_GS_BASE,
  MSR_LSTAR,
  MSR_SFMASK,
  MSR_STAR,
  MSR_SYSENTER_CS,
  MSR_SYSENTER_EIP,
  MSR_SYSENTER_ESP,
  RIP,
  SEG_BASE,
  SEG_SELECTOR,
  SS,
} from "../layout";
import {
  cpl,
  EFER_SCE,
  efer,
  FLAG_IF,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
  GP,
  gpr,
  mode,
  otherFlags,
  RCX,
  RDX,
  RSP,
  raise,
  raisePlain,
  rflags,
  segment,
  setGpr,
  setRflags,
  setSegment,
  UD,
  updateMode,
} from "./core";
import { noteStep } from "./debug";

const R11: u32 = 11;
const LIMIT_FLAT: u32 = 0xffff_ffff;
// G, P, S, accessed; code: readable, L or D; data: writable, B
const CODE_64: u32 = 0xa0_9b00;
const CODE_32: u32 = 0xc0_9b00;
const DATA: u32 = 0xc0_9300;
const DPL_3: u32 = 0x6000;

/** The fixed, flat code segment that all four load. Call updateMode() after it and setStack(). */
function setCode(core: usize, selector: u32, wide: bool, level: u32): void {
  const dpl = level == 3 ? DPL_3 : 0;
  setSegment(core, CS, (selector & 0xfffc) | level, (wide ? CODE_64 : CODE_32) | dpl, 0, LIMIT_FLAT);
  store<u32>(core, level, CPL);
}

function setStack(core: usize, selector: u32, level: u32): void {
  setSegment(core, SS, (selector & 0xfffc) | level, level == 3 ? DATA | DPL_3 : DATA, 0, LIMIT_FLAT);
}

function callsEnabled(core: usize): bool {
  if (efer(core) & EFER_SCE) return true;
  raisePlain(core, UD);
  return false;
}

/**
 * SYSCALL and SYSRET trap by the TF that they leave: so SFMASK can keep the trap out of the kernel, and SYSRET traps as
 * if SYSCALL had just completed.
 */
function stepped(core: usize): void {
  if (otherFlags(core) & FLAG_TF) noteStep(core);
}

/** SYSCALL; next is the address behind it. */
export function syscall(core: usize, next: u64): u64 {
  if (!callsEnabled(core)) return 0;
  const flags = rflags(core);
  const star = load<u64>(core, MSR_STAR);
  const selector = <u32>(star >> 32) & 0xffff;
  const long = (mode(core) & MODE_LONG) != 0;
  if (long) {
    const target = load<u64>(core + (mode(core) & MODE_64 ? MSR_LSTAR : MSR_CSTAR));
    setGpr(core, RCX, next);
    setGpr(core, R11, flags & ~FLAG_RF);
    store<u64>(core, target, RIP);
    setRflags(core, flags & ~(load<u64>(core, MSR_SFMASK) | FLAG_RF));
  } else {
    setGpr(core, RCX, next & 0xffff_ffff);
    store<u64>(core, star & 0xffff_ffff, RIP);
    setRflags(core, flags & ~(FLAG_VM | FLAG_IF | FLAG_RF));
  }
  stepped(core);
  setCode(core, selector, long, 0);
  setStack(core, selector + 8, 0);
  store<u32>(segment(core, SS), (selector + 8) & 0xffff, SEG_SELECTOR); // whatever its RPL is (APM vol. 3, SYSCALL)
  updateMode(core);
  return 1;
}

/**
 * SYSRET with an operand size of 8 bytes (to 64-bit code) or 4. Of SS only the selector changes, and its RPL is what
 * STAR says; a non-canonical RIP is found when level 3 fetches from it (APM vol. 3, SYSRET).
 */
export function sysret(core: usize, size: u64): u64 {
  if (!callsEnabled(core)) return 0;
  if ((mode(core) & MODE_PROTECTED) == 0 || cpl(core) != 0) {
    raise(core, GP, 0);
    return 0;
  }
  const wide = size == 8;
  store<u64>(core, wide ? gpr(core, RCX) : gpr(core, RCX) & 0xffff_ffff, RIP);
  if (mode(core) & MODE_64) setRflags(core, gpr(core, R11) & ~(FLAG_RF | FLAG_VM));
  else setRflags(core, rflags(core) | FLAG_IF);
  stepped(core);
  const selector = <u32>(load<u64>(core, MSR_STAR) >> 48);
  setCode(core, wide ? selector + 16 : selector, wide, 3);
  store<u32>(segment(core, SS), (selector + 8) & 0xffff, SEG_SELECTOR);
  updateMode(core);
  return 1;
}

/** SYSENTER and SYSEXIT are of legacy mode only (APM vol. 3). */
function legacyOnly(core: usize): bool {
  if ((mode(core) & MODE_LONG) == 0) return true;
  raisePlain(core, UD);
  return false;
}

/** SYSENTER. */
export function sysenter(core: usize): u64 {
  if (!legacyOnly(core)) return 0;
  const selector = <u32>load<u64>(core, MSR_SYSENTER_CS) & 0xfffc;
  if ((mode(core) & (MODE_PROTECTED | MODE_V86)) == 0 || selector == 0) {
    raise(core, GP, 0);
    return 0;
  }
  setRflags(core, rflags(core) & ~(FLAG_VM | FLAG_IF | FLAG_RF));
  setGpr(core, RSP, load<u64>(core, MSR_SYSENTER_ESP) & 0xffff_ffff);
  store<u64>(core, load<u64>(core, MSR_SYSENTER_EIP) & 0xffff_ffff, RIP);
  setCode(core, selector, false, 0);
  setStack(core, selector + 8, 0);
  updateMode(core);
  return 1;
}

/** SYSEXIT. */
export function sysexit(core: usize): u64 {
  if (!legacyOnly(core)) return 0;
  const selector = <u32>load<u64>(core, MSR_SYSENTER_CS) & 0xfffc;
  if ((mode(core) & MODE_PROTECTED) == 0 || cpl(core) != 0 || selector == 0) {
    raise(core, GP, 0);
    return 0;
  }
  setGpr(core, RSP, gpr(core, RCX) & 0xffff_ffff);
  store<u64>(core, gpr(core, RDX) & 0xffff_ffff, RIP);
  setCode(core, selector + 16, false, 3);
  setStack(core, selector + 24, 3);
  updateMode(core);
  return 1;
}

/** SWAPGS, after its privilege check. */
export function swapgs(core: usize): u64 {
  const gs = segment(core, GS);
  const base = load<u64>(gs, SEG_BASE);
  store<u64>(gs, load<u64>(core, MSR_KERNEL_GS_BASE), SEG_BASE);
  store<u64>(core, base, MSR_KERNEL_GS_BASE);
  return 1;
}
