// MONITOR and MWAIT. Intel SDM vol. 3A, 9.10.4 and vol. 2. MONITOR names a line of 64 bytes (watchers.ts); the engine wakes
// a core that waits (events.ts) when anything was stored to it, by whomever.

import {
  ACCESS_READ,
  ACTIVITY,
  HALTED,
  MONITOR_ARMED,
  MONITOR_BREAKS,
  MSR_HWCR,
  MSR_MISC_ENABLE,
  SS,
} from "../layout";
import { linear, loadLinear } from "./access";
import { cpl, faulted, GP, raise, raisePlain, UD } from "./core";
import { serialize } from "./store-buffer";
import { ON_BUS, translate } from "./translation";
import { LINE, watch } from "./watchers";

export const DISARMED: u32 = 0;
const ARMED: u32 = 1;
/** MWAIT waits: the core is HALTED. */
const WAITING: u32 = 2;
const INTERRUPTS_BREAK: u32 = 1;

const HWCR_DISABLED: u64 = 0x200;
const HWCR_USER: u64 = 0x400;
const MISC_MONITOR: u64 = 0x4_0000;

/** APM vol. 3, MONITOR: #UD where HWCR or IA32_MISC_ENABLE takes the instructions away, and to user code. */
function mayMonitor(core: usize): bool {
  const hwcr = load<u64>(core, MSR_HWCR);
  const there = (hwcr & HWCR_DISABLED) == 0 && (load<u64>(core, MSR_MISC_ENABLE) & MISC_MONITOR) != 0;
  if (there && (cpl(core) == 0 || (hwcr & HWCR_USER) != 0)) return true;
  raisePlain(core, UD);
  return false;
}

/** MONITOR of segment:offset, checked like a load of a byte; ECX has no extensions. */
export function monitor(core: usize, segment: u64, offset: u64, extensions: u64): u64 {
  if (!mayMonitor(core)) return 0;
  if (<u32>extensions != 0) {
    raise(core, GP, 0);
    return 0;
  }
  const va = linear(core, segment, offset, 1, ACCESS_READ);
  if (faulted(core)) return 0;
  loadLinear(core, va, 1, <u32>segment == SS ? 0x100 : 0);
  if (faulted(core)) return 0;
  const place = translate(core, va, ACCESS_READ);
  serialize(core); // this core's own earlier stores are no reason to wake
  store<u32>(core, DISARMED, MONITOR_ARMED);
  if (place & ON_BUS) return 0; // device memory is not watched: MWAIT goes on at once
  const line = <usize>place & ~(LINE - 1);
  watch(core, line);
  store<u32>(core, ARMED, MONITOR_ARMED);
  return 1;
}

/** MWAIT; ECX bit 0: an interrupt ends the wait with IF clear as well. Without an armed monitor it does nothing. */
export function mwait(core: usize, extensions: u64): u64 {
  if (!mayMonitor(core)) return 0;
  if (<u32>extensions & ~INTERRUPTS_BREAK) {
    raise(core, GP, 0);
    return 0;
  }
  if (load<u32>(core, MONITOR_ARMED) != ARMED) return 0;
  serialize(core); // what it has stored must not wait as long as it does
  store<u32>(core, WAITING, MONITOR_ARMED);
  store<u32>(core, <u32>extensions, MONITOR_BREAKS);
  store<u32>(core, HALTED, ACTIVITY);
  return 1;
}
