// Model-specific registers, the time-stamp counter and CPUID. Intel SDM vol. 4; AMD APM vol. 2 for SYSCALL's. What is
// not in the two lists below does not exist: RDMSR and WRMSR of it are #GP(0).

import {
  CR0,
  EFER,
  FS,
  GS,
  MSR_CSTAR,
  MSR_KERNEL_GS_BASE,
  MSR_LSTAR,
  MSR_PAT,
  MSR_SFMASK,
  MSR_STAR,
  MSR_SYSENTER_CS,
  MSR_SYSENTER_EIP,
  MSR_SYSENTER_ESP,
  MSR_TSC_AUX,
  MSR_TSC_OFFSET,
  SCRATCH,
  SEG_BASE,
  SEGMENT_BYTES,
  SEGMENTS,
} from "../layout";
import { deadline, IA32_TSC_DEADLINE, isX2Apic, readX2Apic, setDeadline, writeX2Apic } from "./apic-msr";
import {
  baseOf,
  CR0_PG,
  CR4_TSD,
  canonical,
  coreIndex,
  cpl,
  cr4,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  efer,
  GP,
  raise,
} from "./core";
import { cpuid, readApicBase, timestamp, writeApicBase } from "./host";
import { PHYSICAL_MASK } from "./physical";

const IA32_TIME_STAMP_COUNTER: u32 = 0x10;
const IA32_APIC_BASE: u32 = 0x1b;
const IA32_ARCH_CAPABILITIES: u32 = 0x10a;
const IA32_SYSENTER_CS: u32 = 0x174;
const IA32_SYSENTER_ESP: u32 = 0x175;
const IA32_SYSENTER_EIP: u32 = 0x176;
const IA32_PAT: u32 = 0x277;
const IA32_EFER: u32 = 0xc000_0080;
const IA32_STAR: u32 = 0xc000_0081;
const IA32_LSTAR: u32 = 0xc000_0082;
const IA32_CSTAR: u32 = 0xc000_0083;
const IA32_FMASK: u32 = 0xc000_0084;
const IA32_FS_BASE: u32 = 0xc000_0100;
const IA32_GS_BASE: u32 = 0xc000_0101;
const IA32_KERNEL_GS_BASE: u32 = 0xc000_0102;
const IA32_TSC_AUX: u32 = 0xc000_0103;
/** AMD's PERFEVTSEL0..3 and PERFCTR0..3, which every AMD64 processor has. Here they stay off: only 0 may be written. */
const PERFORMANCE_FIRST: u32 = 0xc001_0000;
const PERFORMANCE_LAST: u32 = 0xc001_0007;

/**
 * Nothing is executed or cached speculatively here, so none of the known side channels exists: RDCL_NO,
 * SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO,
 * GDS_NO, RFDS_NO.
 */
const CAPABILITIES: u64 =
  (1 << 0) |
  (1 << 3) |
  (1 << 4) |
  (1 << 5) |
  (1 << 6) |
  (1 << 8) |
  (1 << 13) |
  (1 << 14) |
  (1 << 15) |
  (1 << 20) |
  (1 << 24) |
  (1 << 26) |
  (1 << 27);

/** RDMSR, after its privilege check. */
export function readMsr(core: usize, index: u64): u64 {
  switch (<u32>index) {
    case IA32_TIME_STAMP_COUNTER:
      return counter(core);
    case IA32_APIC_BASE:
      return readApicBase(coreIndex(core));
    case IA32_ARCH_CAPABILITIES:
      return CAPABILITIES;
    case IA32_SYSENTER_CS:
      return load<u64>(core, MSR_SYSENTER_CS);
    case IA32_SYSENTER_ESP:
      return load<u64>(core, MSR_SYSENTER_ESP);
    case IA32_SYSENTER_EIP:
      return load<u64>(core, MSR_SYSENTER_EIP);
    case IA32_PAT:
      return load<u64>(core, MSR_PAT);
    case IA32_EFER:
      return efer(core);
    case IA32_STAR:
      return load<u64>(core, MSR_STAR);
    case IA32_LSTAR:
      return load<u64>(core, MSR_LSTAR);
    case IA32_CSTAR:
      return load<u64>(core, MSR_CSTAR);
    case IA32_FMASK:
      return load<u64>(core, MSR_SFMASK);
    case IA32_FS_BASE:
      return baseOf(core, FS);
    case IA32_GS_BASE:
      return baseOf(core, GS);
    case IA32_KERNEL_GS_BASE:
      return load<u64>(core, MSR_KERNEL_GS_BASE);
    case IA32_TSC_AUX:
      return load<u64>(core, MSR_TSC_AUX);
    case IA32_TSC_DEADLINE:
      return deadline(core);
    default:
      if (isX2Apic(<u32>index) && readX2Apic(core, <u32>index)) return load<u64>(core, SCRATCH);
      return isPerformance(index) ? 0 : refuse(core);
  }
}

/** WRMSR, after its privilege check; value is EDX:EAX. */
export function writeMsr(core: usize, index: u64, value: u64): u64 {
  switch (<u32>index) {
    case IA32_TIME_STAMP_COUNTER:
      store<u64>(core, value - now(core), MSR_TSC_OFFSET);
      setDeadline(core, deadline(core), value); // it is a time of the new counter
      return 1;
    case IA32_APIC_BASE:
      if (value & ~PHYSICAL_MASK) return refuse(core);
      if (!writeApicBase(coreIndex(core), <u32>value, <u32>(value >> 32))) return refuse(core);
      return 1;
    case IA32_SYSENTER_CS:
      return keep(core, MSR_SYSENTER_CS, value, true);
    case IA32_SYSENTER_ESP:
      return keep(core, MSR_SYSENTER_ESP, value, canonical(value));
    case IA32_SYSENTER_EIP:
      return keep(core, MSR_SYSENTER_EIP, value, canonical(value));
    case IA32_PAT:
      return keep(core, MSR_PAT, value, validPat(value));
    case IA32_EFER:
      return writeEfer(core, value);
    case IA32_STAR:
      return keep(core, MSR_STAR, value, true);
    case IA32_LSTAR:
      return keep(core, MSR_LSTAR, value, canonical(value));
    case IA32_CSTAR:
      return keep(core, MSR_CSTAR, value, canonical(value));
    case IA32_FMASK:
      return keep(core, MSR_SFMASK, value, value >> 32 == 0);
    case IA32_FS_BASE:
      return keep(core, SEGMENTS + FS * SEGMENT_BYTES + SEG_BASE, value, canonical(value));
    case IA32_GS_BASE:
      return keep(core, SEGMENTS + GS * SEGMENT_BYTES + SEG_BASE, value, canonical(value));
    case IA32_KERNEL_GS_BASE:
      return keep(core, MSR_KERNEL_GS_BASE, value, canonical(value));
    case IA32_TSC_AUX:
      return keep(core, MSR_TSC_AUX, value, value >> 32 == 0);
    case IA32_TSC_DEADLINE:
      setDeadline(core, value, counter(core));
      return 1;
    default:
      if (isX2Apic(<u32>index) && writeX2Apic(core, <u32>index, value)) return 1;
      return isPerformance(index) && value == 0 ? 1 : refuse(core);
  }
}

function isPerformance(index: u64): bool {
  return <u32>index >= PERFORMANCE_FIRST && <u32>index <= PERFORMANCE_LAST;
}

function refuse(core: usize): u64 {
  raise(core, GP, 0);
  return 0;
}

function keep(core: usize, word: u32, value: u64, valid: bool): u64 {
  if (!valid) return refuse(core);
  store<u64>(core + word, value);
  return 1;
}

/** Memory types UC, WC, WT, WP, WB, UC-: 2 and 3 are reserved, and so are bits 7..3 of each byte. */
function validPat(value: u64): bool {
  for (let i = 0; i < 64; i += 8) {
    const type = (value >> i) & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

function writeEfer(core: usize, value: u64): u64 {
  const before = efer(core);
  if (value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) return refuse(core);
  const paging = (load<u64>(core, CR0) & CR0_PG) != 0;
  if (paging && (before ^ value) & EFER_LME) return refuse(core);
  store<u64>(core, (value & ~EFER_LMA) | (before & EFER_LMA), EFER);
  return 1;
}

// --- time ---

function now(core: usize): u64 {
  timestamp(coreIndex(core));
  return load<u64>(core, SCRATCH);
}

/** The time-stamp counter: one tick a nanosecond of machine time. */
function counter(core: usize): u64 {
  return now(core) + load<u64>(core, MSR_TSC_OFFSET);
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

/** RDPMC: there are no performance counters to name. */
export function rdpmc(core: usize): u64 {
  return refuse(core);
}

// --- CPUID ---

/** EBX:EAX of a leaf; ECX and EDX wait for cpuidUpper(). */
export function cpuidLower(core: usize, leaf: u64, subleaf: u64): u64 {
  cpuid(coreIndex(core), <u32>leaf, <u32>subleaf);
  return load<u64>(core, SCRATCH);
}

/** EDX:ECX of the leaf that cpuidLower() asked for last. */
export function cpuidUpper(core: usize): u64 {
  return load<u64>(core, SCRATCH + 8);
}
