// CPUID's assist: the leaf from the host (cpu/cpuid.ts), and in it what this core's own registers decide. AMD APM
// vol. 3, appendix E.

import { MSR_HWCR, MSR_MISC_ENABLE, SCRATCH, XCR0 } from "../layout";
import { CR4_OSXSAVE, CR4_PKE, coreIndex, cr4 } from "./core";
import { cpuid } from "./host";
import { MISC_NO_NX } from "./msr";
import { serialize } from "./store-buffer";

const EAX: u32 = SCRATCH;
const EBX: u32 = SCRATCH + 4;
const ECX: u32 = SCRATCH + 8;
const EDX: u32 = SCRATCH + 12;

// IA32_MISC_ENABLE, SDM vol. 4, table 2-2
const MISC_MONITOR: u64 = 0x4_0000;
const MISC_LIMIT_CPUID: u64 = 0x40_0000;
const LIMITED_MAX: u32 = 3;

const HWCR_NO_MONITOR: u64 = 0x200;
const MONITOR_BIT: u32 = 1 << 3;
const OSXSAVE_BIT: u32 = 1 << 27;
const OSPKE_BIT: u32 = 1 << 4;
const NX_BIT: u32 = 1 << 20;
/** XSAVE's area: with PKRU, and without any component behind the header. */
const KEYS: u64 = 0x200;
const AREA_BYTES: u32 = 584;
const HEADER_END: u32 = 576;

function clear(core: usize, register: u32, bits: u32): void {
  store<u32>(core + register, load<u32>(core + register) & ~bits);
}

/** EBX:EAX of a leaf; ECX and EDX wait for cpuidUpper(). */
export function cpuidLower(core: usize, leaf: u64, subleaf: u64): u64 {
  serialize(core);
  const index = <u32>leaf;
  cpuid(coreIndex(core), index, <u32>subleaf);
  const misc = load<u64>(core, MSR_MISC_ENABLE);
  const control = cr4(core);
  if (index == 0 && misc & MISC_LIMIT_CPUID) store<u32>(core + EAX, LIMITED_MAX);
  else if (index == 1) {
    const watches = (misc & MISC_MONITOR) != 0 && (load<u64>(core, MSR_HWCR) & HWCR_NO_MONITOR) == 0;
    if (!watches) clear(core, ECX, MONITOR_BIT);
    if (control & CR4_OSXSAVE) store<u32>(core + ECX, load<u32>(core + ECX) | OSXSAVE_BIT);
  } else if (index == 7 && <u32>subleaf == 0 && control & CR4_PKE) {
    store<u32>(core + ECX, load<u32>(core + ECX) | OSPKE_BIT);
  } else if (index == 13 && <u32>subleaf < 2) {
    store<u32>(core + EBX, load<u64>(core, XCR0) & KEYS ? AREA_BYTES : HEADER_END);
  } else if (index == 0x8000_0001 && misc & MISC_NO_NX) clear(core, EDX, NX_BIT);
  return load<u64>(core, SCRATCH);
}

/** EDX:ECX of the leaf that cpuidLower() asked for last. */
export function cpuidUpper(core: usize): u64 {
  return load<u64>(core, SCRATCH + 8);
}
