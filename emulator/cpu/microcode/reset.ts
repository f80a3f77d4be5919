// Power-on, RESET and INIT, and the start-up interrupt. Intel SDM vol. 3A, table 10-1 (processor state after reset),
// 9.4.4 (start-up IPI).

import {
  ACTIVE,
  ACTIVITY,
  CODE_WRITTEN,
  CORE_INDEX,
  CPL,
  CR0,
  CR2,
  CR3,
  CR4,
  CS,
  DEBUG_PENDING,
  DR,
  EFER,
  ES,
  FAULT_VECTOR,
  FCW,
  FDP,
  FIP,
  FOP,
  FSW,
  FTW,
  GDTR_BASE,
  GDTR_LIMIT,
  GPR,
  GS,
  IDTR_BASE,
  IDTR_LIMIT,
  LDTR,
  MONITOR_ARMED,
  MSR_TSC_ADJUST,
  MSR_TSC_OFFSET,
  MXCSR,
  NMI_BLOCKED,
  PDPTE,
  PKRU,
  REPEATING,
  RIP,
  SCRATCH,
  SHADOW,
  ST,
  TR,
  WAIT_FOR_SIPI,
  X87_ERROR,
  XCR0,
  XMM,
} from "../layout";
import {
  CR0_CD,
  CR0_ET,
  CR0_NW,
  coreIndex,
  cr0,
  RDX,
  setGpr,
  setRflags,
  setSegment,
  updateMode,
} from "./core";
import { cpuid, timestamp } from "./host";
import { resetWords } from "./msr-words";
import { resetPerformance } from "./performance";
import { REAL_ATTRIBUTES } from "./segments";
import { serialize } from "./store-buffer";
import { flushTlb } from "./tlb";

const LDT_ATTRIBUTES: u32 = 0x8200;
const TSS_BUSY_ATTRIBUTES: u32 = 0x8b00;

/**
 * RESET, or with initOnly INIT, which keeps the x87 and SSE state, the MSRs but EFER, and CR0.CD and NW. Core 0 is the
 * bootstrap processor and starts at the reset vector; the others wait for a start-up interrupt.
 */
export function reset(core: usize, initOnly: u64): u64 {
  serialize(core); // INIT is no way to lose what has been executed
  const init = initOnly != 0;
  const caching = init ? cr0(core) & (CR0_CD | CR0_NW) : CR0_CD | CR0_NW;
  memory.fill(core + GPR, 0, 16 * 8);
  store<u64>(core, caching | CR0_ET, CR0);
  store<u64>(core, 0, CR2);
  store<u64>(core, 0, CR3);
  store<u64>(core, 0, CR4);
  store<u64>(core, 0, EFER);
  memory.fill(core + PDPTE, 0, 4 * 8);
  memory.fill(core + DR, 0, 8 * 8);
  store<u64>(core + 6 * 8, 0xffff_0ff0, DR);
  store<u64>(core + 7 * 8, 0x400, DR);
  for (let i: u32 = ES; i <= <u32>GS; i++) setSegment(core, i, 0, REAL_ATTRIBUTES, 0, 0xffff);
  setSegment(core, CS, 0xf000, REAL_ATTRIBUTES | 0x800, 0xffff_0000, 0xffff);
  setSegment(core, LDTR, 0, LDT_ATTRIBUTES, 0, 0xffff);
  setSegment(core, TR, 0, TSS_BUSY_ATTRIBUTES, 0, 0xffff);
  store<u64>(core, 0, GDTR_BASE);
  store<u32>(core, 0xffff, GDTR_LIMIT);
  store<u64>(core, 0, IDTR_BASE);
  store<u32>(core, 0xffff, IDTR_LIMIT);
  store<u32>(core, 0, CPL);
  setRflags(core, 0);
  store<u64>(core, 0xfff0, RIP);
  if (!init) resetUnits(core);
  store<i32>(core, -1, FAULT_VECTOR);
  store<u32>(core, 0, SHADOW);
  store<u32>(core, 0, REPEATING);
  store<u32>(core, 0, DEBUG_PENDING);
  store<u32>(core, 0, NMI_BLOCKED);
  store<u32>(core, 0, MONITOR_ARMED);
  store<u32>(core, 0, CODE_WRITTEN);
  store<u32>(core, load<u32>(core, CORE_INDEX) == 0 ? ACTIVE : WAIT_FOR_SIPI, ACTIVITY);
  // EDX: the processor's signature
  cpuid(coreIndex(core), 1, 0);
  setGpr(core, RDX, load<u32>(core, SCRATCH));
  updateMode(core);
  flushTlb(core);
  return 0;
}

/** What INIT leaves alone. */
function resetUnits(core: usize): void {
  resetPerformance(core);
  memory.fill(core + XMM, 0, 16 * 16);
  memory.fill(core + ST, 0, 8 * 16);
  store<u64>(core, 1, XCR0);
  store<u32>(core, 0, PKRU);
  store<u32>(core, 0x1f80, MXCSR);
  store<u32>(core, 0x40, FCW);
  store<u32>(core, 0, FSW);
  store<u32>(core, 0xff, FTW); // RESET leaves the tags at "zero", not at "empty"
  store<u64>(core, 0, FOP);
  store<u32>(core, 0, X87_ERROR);
  store<u64>(core, 0, FIP);
  store<u64>(core, 0, FDP);
  resetWords(core);
  // The time-stamp counter starts at zero
  store<i64>(core, -(<i64>timestamp(coreIndex(core))), MSR_TSC_OFFSET);
  store<u64>(core, 0, MSR_TSC_ADJUST);
}

/** The start-up interrupt: real mode at vector * 4 KiB. Ignored (0) unless the core waits for it. */
export function startup(core: usize, vector: u64): u64 {
  if (load<u32>(core, ACTIVITY) != WAIT_FOR_SIPI) return 0;
  const page = <u32>vector & 0xff;
  setSegment(core, CS, page << 8, REAL_ATTRIBUTES | 0x800, (<u64>page) << 12, 0xffff);
  store<u64>(core, 0, RIP);
  store<u32>(core, ACTIVE, ACTIVITY);
  return 1;
}
