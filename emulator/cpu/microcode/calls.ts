// Fast system calls: SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS. Intel SDM vol. 2 and 3A, 5.8.7, 5.8.8. As on Intel's
// processors SYSCALL and SYSRET exist in 64-bit mode only. Each assist but swapgs writes RIP itself.

import {
  CPL,
  CS,
  GS,
  MODE_64,
  MODE_LONG,
  MODE_PROTECTED,
  MODE_V86,
  MSR_KERNEL_GS_BASE,
  MSR_LSTAR,
  MSR_SFMASK,
  MSR_STAR,
  MSR_SYSENTER_CS,
  MSR_SYSENTER_EIP,
  MSR_SYSENTER_ESP,
  RIP,
  SEG_BASE,
  SS,
} from "../layout";
import {
  canonical,
  cpl,
  EFER_SCE,
  efer,
  FLAG_IF,
  FLAG_RF,
  FLAG_VM,
  GP,
  gpr,
  mode,
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

const R11: u32 = 11;
const LIMIT_FLAT: u32 = 0xffff_ffff;
// G, P, S, accessed; code: readable, L or D; data: writable, B
const CODE_64: u32 = 0xa0_9b00;
const CODE_32: u32 = 0xc0_9b00;
const DATA: u32 = 0xc0_9300;
const DPL_3: u32 = 0x6000;

/** The fixed, flat segments that all four load. */
function setSegments(core: usize, code: u32, stack: u32, wide: bool, level: u32): void {
  const dpl = level == 3 ? DPL_3 : 0;
  setSegment(core, CS, (code & 0xfffc) | level, (wide ? CODE_64 : CODE_32) | dpl, 0, LIMIT_FLAT);
  setSegment(core, SS, (stack & 0xfffc) | level, DATA | dpl, 0, LIMIT_FLAT);
  store<u32>(core, level, CPL);
  updateMode(core);
}

function callsEnabled(core: usize): bool {
  if (mode(core) & MODE_64 && efer(core) & EFER_SCE) return true;
  raisePlain(core, UD);
  return false;
}

/** SYSCALL; next is the address behind it. */
export function syscall(core: usize, next: u64): u64 {
  if (!callsEnabled(core)) return 0;
  const flags = rflags(core);
  setGpr(core, RCX, next);
  setGpr(core, R11, flags & ~FLAG_RF);
  store<u64>(core, load<u64>(core, MSR_LSTAR), RIP);
  setRflags(core, flags & ~(load<u64>(core, MSR_SFMASK) | FLAG_RF));
  const selector = <u32>(load<u64>(core, MSR_STAR) >> 32) & 0xffff;
  setSegments(core, selector, selector + 8, true, 0);
  return 1;
}

/** SYSRET with an operand size of 8 bytes (to 64-bit code) or 4 (to compatibility mode). */
export function sysret(core: usize, size: u64): u64 {
  if (!callsEnabled(core)) return 0;
  const wide = size == 8;
  const rip = wide ? gpr(core, RCX) : gpr(core, RCX) & 0xffff_ffff;
  if (cpl(core) != 0 || !canonical(rip)) {
    raise(core, GP, 0);
    return 0;
  }
  store<u64>(core, rip, RIP);
  setRflags(core, gpr(core, R11) & 0x3c_7fd7 & ~FLAG_RF);
  const selector = <u32>(load<u64>(core, MSR_STAR) >> 48);
  setSegments(core, wide ? selector + 16 : selector, selector + 8, wide, 3);
  return 1;
}

/** SYSENTER. */
export function sysenter(core: usize): u64 {
  const selector = <u32>load<u64>(core, MSR_SYSENTER_CS) & 0xfffc;
  if ((mode(core) & (MODE_PROTECTED | MODE_V86)) == 0 || selector == 0) {
    raise(core, GP, 0);
    return 0;
  }
  const long = (mode(core) & MODE_LONG) != 0;
  const mask: u64 = long ? ~(0 as u64) : 0xffff_ffff;
  setRflags(core, rflags(core) & ~(FLAG_VM | FLAG_IF | FLAG_RF));
  setGpr(core, RSP, load<u64>(core, MSR_SYSENTER_ESP) & mask);
  store<u64>(core, load<u64>(core, MSR_SYSENTER_EIP) & mask, RIP);
  setSegments(core, selector, selector + 8, long, 0);
  return 1;
}

/** SYSEXIT with an operand size of 8 or 4 bytes. */
export function sysexit(core: usize, size: u64): u64 {
  const selector = <u32>load<u64>(core, MSR_SYSENTER_CS) & 0xfffc;
  const wide = size == 8;
  const mask: u64 = wide ? ~(0 as u64) : 0xffff_ffff;
  const rip = gpr(core, RDX) & mask;
  const rsp = gpr(core, RCX) & mask;
  const refused = (mode(core) & MODE_PROTECTED) == 0 || cpl(core) != 0 || selector == 0;
  if (refused || !canonical(rip) || !canonical(rsp)) {
    raise(core, GP, 0);
    return 0;
  }
  setGpr(core, RSP, rsp);
  store<u64>(core, rip, RIP);
  if (wide) setSegments(core, selector + 32, selector + 40, true, 3);
  else setSegments(core, selector + 16, selector + 24, false, 3);
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
