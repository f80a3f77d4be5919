// Breakpoints: debug registers DR0..DR3 under DR7, and what DR6 says of them. Intel SDM vol. 3B, 18.2 and 18.3; AMD APM
// vol. 2, 13.1.
//
//   DR7: bits 0..7 enables (two a register) | 13 GD | 16 + 4n R/W: 0 instruction, 1 write, 2 port, 3 read or write | 18 + 4n LEN
//
// Pages that one looks at have no fast tag in the TLB, so their accesses come by here; one that hits asks for its
// instruction to run on its own (mayAccess). The engine stops where an instruction breakpoint may be. Traps (data, ports,
// single step, task switch) gather in DEBUG_PENDING and are taken at the next boundary that MOV SS does not hold them off;
// instruction breakpoints fault before the instruction unless RF is set.

import {
  ATTENTION,
  ATTENTION_DEBUG,
  CODE_WRITTEN,
  CS,
  DEBUG_PENDING,
  DEBUGCTL_BTF,
  DEBUGCTL_LBR,
  DR,
  FAULT_ERROR,
  MODE_64,
  MSR_DEBUGCTL,
  MSR_LAST_BRANCH_FROM,
  MSR_LAST_BRANCH_TO,
  MSR_LAST_INTERRUPT_FROM,
  MSR_LAST_INTERRUPT_TO,
  RIP,
  STEP_WANTED,
  STEPPING,
} from "../layout";
import { baseOf, CR4_DE, cr4, DB, FLAG_RF, mode, otherFlags, raisePlain } from "./core";

const DR6: u32 = DR + 6 * 8;
const DR7: u32 = DR + 7 * 8;
export const DR7_ENABLES: u64 = 0xff;
export const DR7_GD: u64 = 0x2000;
const DR6_BD: u64 = 0x2000;
const DR6_BS: u32 = 0x4000;
const DR6_BREAKPOINTS: u64 = 0xf;

const ON_EXECUTION: u32 = 0;
const ON_WRITE: u32 = 1;
const ON_PORT: u32 = 2;
const ON_ACCESS: u32 = 3;
/** What a load and a store may hit. */
const ON_READS: u32 = 1 << ON_ACCESS;
const ON_WRITES: u32 = ON_READS | (1 << ON_WRITE);

/** Some breakpoint is enabled. */
export function watching(core: usize): bool {
  return (load<u64>(core + DR7) & DR7_ENABLES) != 0;
}

/** The breakpoints (bits 0..3) of the given kinds, a mask of R/W values, that touch these bytes. */
function matching(core: usize, at: u64, bytes: u32, kinds: u32): u32 {
  const control = <u32>load<u64>(core + DR7);
  let hits: u32 = 0;
  for (let n: u32 = 0; n < 4; n++) {
    if (((control >> (n * 2)) & 3) == 0) continue;
    if (((kinds >> ((control >> (16 + n * 4)) & 3)) & 1) == 0) continue;
    // LEN 0, 1, 3, 2: one, two, four, eight bytes, aligned
    // (of an instruction its first, whatever LEN says: 0 is all that the manual allows)
    const length = kinds == 1 << ON_EXECUTION ? 0 : (control >> (18 + n * 4)) & 3;
    const size: u64 = length == 2 ? 8 : length + 1;
    const first = load<u64>(core + n * 8, DR) & ~(size - 1);
    if (at < first + size && first < at + bytes) hits |= 1 << n;
  }
  return hits;
}

/** A load or store of a program's: call only while watching(). */
export function noteData(core: usize, va: u64, bytes: u32, write: bool): void {
  const kinds = write ? ON_WRITES : ON_READS;
  noteHits(core, matching(core, va, bytes, kinds));
}
/** The trap is due at the end of this instruction: the block ends there. */
function noteHits(core: usize, hits: u32): void {
  if (hits == 0) return;
  store<u32>(core, load<u32>(core, DEBUG_PENDING) | hits, DEBUG_PENDING);
  store<u32>(core, 1, CODE_WRITTEN);
  atomic.or<u32>(core + ATTENTION, ATTENTION_DEBUG);
}

/**
 * An access of generated code's, before it: one that hits a breakpoint has to be of an instruction that runs on its own.
 * False: STEP_WANTED is pending, which leaves the instruction like a fault.
 */
export function mayAccess(core: usize, va: u64, bytes: u32, write: bool): bool {
  if (!watching(core) || load<u32>(core, STEPPING) != 0) return true;
  if (matching(core, va, bytes, write ? ON_WRITES : ON_READS) == 0) return true;
  raisePlain(core, STEP_WANTED);
  return false;
}
/** A data breakpoint looks at the page: none of it may be accessed the fast way. */
export function watchesPage(core: usize, page: u64): bool {
  return watching(core) && matching(core, page, 0x1000, ON_WRITES) != 0;
}

/** IN and OUT, with CR4.DE. */
export function notePort(core: usize, port: u32, bytes: u32): void {
  if ((cr4(core) & CR4_DE) == 0 || !watching(core)) return;
  noteHits(core, matching(core, port, bytes, 1 << ON_PORT));
}

/**
 * Before an instruction, while breakpoints are enabled: raises #DB (1) if one stands at it and RF is clear. What MOV SS
 * has held off is taken along, as by INT1: it may not wait for the handler's first instruction.
 */
export function codeBreakpoint(core: usize): u64 {
  if (otherFlags(core) & FLAG_RF) return 0;
  const rip = load<u64>(core, RIP);
  const linear = mode(core) & MODE_64 ? rip : (rip + baseOf(core, CS)) & 0xffff_ffff;
  const hits = matching(core, linear, 1, 1 << ON_EXECUTION);
  if (hits == 0) return 0;
  store<u32>(core, load<u32>(core, DEBUG_PENDING) | <u32>hits, DEBUG_PENDING);
  notePending(core);
  raisePlain(core, DB);
  return 1;
}

/** A single step ends here whatever TF was before. */
export function noteStep(core: usize): void {
  store<u32>(core, load<u32>(core, DEBUG_PENDING) | DR6_BS, DEBUG_PENDING);
}

/** The pending traps are being taken: DR6 names them. */
export function notePending(core: usize): void {
  note(core, load<u32>(core, DEBUG_PENDING));
  store<u32>(core, 0, DEBUG_PENDING);
}

/** B0..B3 are of the latest exception; the others stay until software clears them (APM vol. 2, 13.1.1.3). */
function note(core: usize, bits: u64): void {
  store<u64>(core + DR6, (load<u64>(core + DR6) & ~DR6_BREAKPOINTS) | bits);
}

/** FAULT_ERROR of a #DB by general detect, which pushes none: unlike an instruction breakpoint it pushes RF as 1. */
export const GENERAL_DETECT: u32 = 1;

/** DR7.GD guards the debug registers: an access to one is #DB with DR6.BD. True after raising it. */
export function guarded(core: usize): bool {
  if ((load<u64>(core + DR7) & DR7_GD) == 0) return false;
  note(core, DR6_BD);
  raisePlain(core, DB);
  store<u32>(core, GENERAL_DETECT, FAULT_ERROR);
  return true;
}

/**
 * A debug exception is being taken: its handler may use the debug registers, branches are recorded no more, and TF traps
 * after each instruction again (APM vol. 2, 13.1.1.6).
 */
export function lowerGuard(core: usize): void {
  store<u64>(core + DR7, load<u64>(core + DR7) & ~DR7_GD);
  store<u64>(core, load<u64>(core, MSR_DEBUGCTL) & ~u64(DEBUGCTL_LBR | DEBUGCTL_BTF), MSR_DEBUGCTL);
}

/** An interrupt or exception goes from RIP to its handler: what was recorded last is kept apart (13.1.4). */
export function recordTransfer(core: usize, handler: u64): void {
  if ((load<u64>(core, MSR_DEBUGCTL) & DEBUGCTL_LBR) == 0) return;
  store<u64>(core, load<u64>(core, MSR_LAST_BRANCH_FROM), MSR_LAST_INTERRUPT_FROM);
  store<u64>(core, load<u64>(core, MSR_LAST_BRANCH_TO), MSR_LAST_INTERRUPT_TO);
  store<u64>(core, load<u64>(core, RIP), MSR_LAST_BRANCH_FROM);
  store<u64>(core, handler, MSR_LAST_BRANCH_TO);
}
