// Model-specific registers that do more than remember, and the time-stamp counter. Intel SDM vol. 4; AMD APM vol. 2,
// 3.2 and appendix A. The others are words with rules: msr-words.ts. What neither names does not exist: RDMSR and
// WRMSR of it are #GP(0).

import { CR0, EFER, MSR_MISC_ENABLE, MSR_TSC_ADJUST, MSR_TSC_AUX, MSR_TSC_OFFSET, SCRATCH } from "../layout";
import { deadline, IA32_TSC_DEADLINE, isX2Apic, readX2Apic, setDeadline, writeX2Apic } from "./apic-msr";
import {
  CR0_PG,
  CR4_TSD,
  coreIndex,
  cpl,
  cr4,
  EFER_AIBRSE,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  efer,
  GP,
  raise,
} from "./core";
import { readApicBase, timestamp, writeApicBase } from "./host";
import { found, readWord, writeWord } from "./msr-words";
import { isPerformance, readPerformance, writePerformance } from "./performance";
import { PHYSICAL_MASK } from "./physical";
import { serialize } from "./store-buffer";
import { debugChanged, flushTlb } from "./tlb";

/** IA32_MISC_ENABLE takes NX away: CPUID's bit, and EFER.NXE as well (SDM vol. 4, table 2-2). */
export const MISC_NO_NX: u64 = 0x4_0000_0000;

const IA32_TIME_STAMP_COUNTER: u32 = 0x10;
const IA32_APIC_BASE: u32 = 0x1b;
const DEBUGCTL: u32 = 0x1d9;
const IA32_TSC_ADJUST: u32 = 0x3b;
const IA32_EFER: u32 = 0xc000_0080;

/** RDMSR, after its privilege check. */
export function readMsr(core: usize, index: u64): u64 {
  switch (<u32>index) {
    case IA32_TIME_STAMP_COUNTER:
      return counter(core);
    case IA32_TSC_ADJUST:
      return load<u64>(core, MSR_TSC_ADJUST);
    case IA32_APIC_BASE:
      return readApicBase(coreIndex(core));
    case IA32_EFER:
      return efer(core);
    case IA32_TSC_DEADLINE:
      return deadline(core);
    default:
      if (isX2Apic(<u32>index)) return readX2Apic(core, <u32>index) ? load<u64>(core, SCRATCH) : refuse(core);
      if (isPerformance(<u32>index)) return readPerformance(core, <u32>index);
      return readWord(core, <u32>index) ? found : refuse(core);
  }
}

/** WRMSR, after its privilege check; value is EDX:EAX. */
export function writeMsr(core: usize, index: u64, value: u64): u64 {
  // Not so for the x2APIC's registers (SDM vol. 3A, 11.12.3; AMD APM vol. 2, 16.11.2).
  if (index - 0x800 >= 0x100) serialize(core);
  switch (<u32>index) {
    case IA32_TIME_STAMP_COUNTER:
      return adjust(core, value - counter(core));
    case IA32_TSC_ADJUST:
      return adjust(core, value - load<u64>(core, MSR_TSC_ADJUST));
    case IA32_APIC_BASE:
      if (value & ~PHYSICAL_MASK) return refuse(core);
      if (!writeApicBase(coreIndex(core), <u32>value, <u32>(value >> 32))) return refuse(core);
      return 1;
    case IA32_EFER:
      return writeEfer(core, value);
    case IA32_TSC_DEADLINE:
      setDeadline(core, value, counter(core));
      return 1;
    default:
      if (isX2Apic(<u32>index)) return writeX2Apic(core, <u32>index, value) ? 1 : refuse(core);
      if (isPerformance(<u32>index)) return writePerformance(core, <u32>index, value) ? 1 : refuse(core);
      if (!writeWord(core, <u32>index, value)) return refuse(core);
      if (<u32>index == DEBUGCTL) debugChanged(core);
      return 1;
  }
}

function refuse(core: usize): u64 {
  raise(core, GP, 0);
  return 0;
}

/** LMA is the processor's own: what is written to it is dropped. LME keeps still while paging is on. */
function writeEfer(core: usize, value: u64): u64 {
  const before = efer(core);
  if (value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_AIBRSE)) return refuse(core);
  if (value & EFER_NXE && load<u64>(core, MSR_MISC_ENABLE) & MISC_NO_NX) return refuse(core);
  const paging = (load<u64>(core, CR0) & CR0_PG) != 0;
  if (paging && (before ^ value) & EFER_LME) return refuse(core);
  store<u64>(core, (value & ~EFER_LMA) | (before & EFER_LMA), EFER);
  // Bit 63 of an entry means NX or is reserved: translations made under the other rule go (SDM vol. 3A, 4.10.4.1).
  if ((before ^ value) & EFER_NXE) flushTlb(core);
  return 1;
}

// --- time ---

function now(core: usize): u64 {
  return <u64>timestamp(coreIndex(core));
}

/** The time-stamp counter: one tick a nanosecond of machine time. */
function counter(core: usize): u64 {
  return now(core) + load<u64>(core, MSR_TSC_OFFSET);
}

/** The counter and IA32_TSC_ADJUST go on together, whichever was written (SDM vol. 3B, 18.17.3). */
function adjust(core: usize, by: u64): u64 {
  store<u64>(core, load<u64>(core, MSR_TSC_OFFSET) + by, MSR_TSC_OFFSET);
  store<u64>(core, load<u64>(core, MSR_TSC_ADJUST) + by, MSR_TSC_ADJUST);
  setDeadline(core, deadline(core), counter(core)); // it is a time of the new counter
  return 1;
}

/** RDTSC and RDTSCP: CR4.TSD keeps it to level 0. */
export function rdtsc(core: usize): u64 {
  if (cr4(core) & CR4_TSD && cpl(core) != 0) return refuse(core);
  return counter(core);
}

/** RDTSCP's ECX. */
export function readTscAux(core: usize): u64 {
  return load<u64>(core, MSR_TSC_AUX);
}
