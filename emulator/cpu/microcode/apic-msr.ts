// The local APIC's MSRs: x2APIC registers (Intel SDM vol. 3A, "Extended XAPIC (x2APIC)") and the TSC deadline ("APIC
// Timer", "TSC-Deadline Mode"). What is behind them is outside the core: devices/local-apic.ts.

import { SCRATCH } from "../layout";
import { coreIndex } from "./core";
import { readApicMsr, readTscDeadline, writeApicMsr, writeTscDeadline } from "./host";

const X2APIC_FIRST: u32 = 0x800;
const X2APIC_LAST: u32 = 0x8ff;

export const IA32_TSC_DEADLINE: u32 = 0x6e0;

export function isX2Apic(msr: u32): bool {
  return msr >= X2APIC_FIRST && msr <= X2APIC_LAST;
}

/** False: #GP(0). The value stands in SCRATCH. */
export function readX2Apic(core: usize, msr: u32): bool {
  return readApicMsr(coreIndex(core), msr) != 0;
}

export function writeX2Apic(core: usize, msr: u32, value: u64): bool {
  return writeApicMsr(coreIndex(core), msr, <u32>value, <u32>(value >> 32)) != 0;
}

export function deadline(core: usize): u64 {
  readTscDeadline(coreIndex(core));
  return load<u64>(core, SCRATCH);
}

/** `counter` is the TSC of now. */
export function setDeadline(core: usize, value: u64, counter: u64): void {
  const left = value > counter ? <f64>(value - counter) : 0;
  writeTscDeadline(coreIndex(core), <u32>value, <u32>(value >> 32), left);
}
