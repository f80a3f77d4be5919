// CPUID's assist: the leaf from the host (cpu/cpuid.ts), and in it what this core's own registers decide. AMD APM
// vol. 3, appendix E.

import { MSR_MISC_ENABLE, SCRATCH } from "../layout";
import { coreIndex } from "./core";
import { cpuid } from "./host";

const EAX: u32 = SCRATCH;
const ECX: u32 = SCRATCH + 8;
const EDX: u32 = SCRATCH + 12;

// IA32_MISC_ENABLE, SDM vol. 4, table 2-2
const MISC_MONITOR: u64 = 0x4_0000;
const MISC_LIMIT_CPUID: u64 = 0x40_0000;
const MISC_NO_NX: u64 = 0x4_0000_0000;
const LIMITED_MAX: u32 = 3;

const MONITOR_BIT: u32 = 1 << 3;
const NX_BIT: u32 = 1 << 20;

function clear(core: usize, register: u32, bits: u32): void {
  store<u32>(core + register, load<u32>(core + register) & ~bits);
}

/** EBX:EAX of a leaf; ECX and EDX wait for cpuidUpper(). */
export function cpuidLower(core: usize, leaf: u64, subleaf: u64): u64 {
  const index = <u32>leaf;
  cpuid(coreIndex(core), index, <u32>subleaf);
  const misc = load<u64>(core, MSR_MISC_ENABLE);
  if (index == 0 && misc & MISC_LIMIT_CPUID) store<u32>(core + EAX, LIMITED_MAX);
  else if (index == 1 && (misc & MISC_MONITOR) == 0) clear(core, ECX, MONITOR_BIT);
  else if (index == 0x8000_0001 && misc & MISC_NO_NX) clear(core, EDX, NX_BIT);
  return load<u64>(core, SCRATCH);
}

/** EDX:ECX of the leaf that cpuidLower() asked for last. */
export function cpuidUpper(core: usize): u64 {
  return load<u64>(core, SCRATCH + 8);
}
