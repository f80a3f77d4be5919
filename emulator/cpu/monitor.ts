// What ends the wait of MWAIT, as the engine sees it; what begins it is in microcode/monitor.ts.

import {
  ACTIVITY,
  HALTED,
  INTERRUPT_WANTED,
  MONITOR_ARMED,
  MONITOR_BREAKS,
  MONITOR_HOST,
  MONITOR_LINE,
} from "./layout.js";

const WAITING = 2;
const LINE_BYTES = 64;

/** The core waits by MWAIT: a store that only a look at memory shows may wake it. */
export function waits(words: Int32Array, c: number): boolean {
  return words[(c + MONITOR_ARMED) >>> 2] === WAITING && words[(c + ACTIVITY) >>> 2] === HALTED;
}

/** The line holds something else than when it was named. Other cores may be storing to it. */
export function lineChanged(words: Int32Array, c: number): boolean {
  const line = words[(c + MONITOR_HOST) >>> 2]!;
  for (let at = 0; at < LINE_BYTES; at += 4)
    if (Atomics.load(words, (line + at) >>> 2) !== words[(c + MONITOR_LINE + at) >>> 2]) return true;
  return false;
}

/** An interrupt was announced, which ends the wait whatever IF says. */
export function wantsInterrupt(words: Int32Array, c: number): boolean {
  return words[(c + MONITOR_BREAKS) >>> 2] !== 0 && words[(c + INTERRUPT_WANTED) >>> 2] !== 0;
}
