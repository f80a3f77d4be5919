// What ends the wait of MWAIT, as the engine sees it; what begins it is in microcode/monitor.ts.

import {
  ACTIVITY,
  ATTENTION,
  ATTENTION_STORED,
  HALTED,
  INTERRUPT_WANTED,
  LIVE_WORD,
  MONITOR_ARMED,
  MONITOR_BREAKS,
  MONITOR_HOST,
  MONITOR_STORED,
  WATCHERS_WORD,
} from "./layout.js";
import { coreAddress } from "./memory-plan.js";

const WAITING = 2;

export const LINE_BYTES = 64;

/** The core waits by MWAIT. */
export function waits(words: Int32Array, c: number): boolean {
  return words[(c + MONITOR_ARMED) >>> 2] === WAITING && words[(c + ACTIVITY) >>> 2] === HALTED;
}

/** Somebody has stored to the line since it was named. */
export function lineStored(words: Int32Array, c: number): boolean {
  return Atomics.load(words, (c + MONITOR_STORED) >>> 2) !== 0;
}

/** As microcode/watchers.ts tellWatchers(): what is not a core has stored these bytes of RAM, at a wasm address. */
export function tellWatchers(words: Int32Array, host: number, bytes: number, unit: number): void {
  for (let half = 0; half < 2; half++) {
    const at = (WATCHERS_WORD >>> 2) + half;
    for (let left = Atomics.load(words, at); left !== 0; left &= left - 1) {
      const bit = left & -left;
      const c = coreAddress(32 * half + 31 - Math.clz32(bit));
      const watched = Atomics.load(words, (c + MONITOR_HOST) >>> 2) & -unit;
      if (watched + unit <= host || host + bytes <= watched) continue;
      Atomics.and(words, at, ~bit);
      Atomics.store(words, (c + MONITOR_STORED) >>> 2, 1);
      if (words[LIVE_WORD >>> 2] === 0) continue;
      Atomics.or(words, (c + ATTENTION) >>> 2, ATTENTION_STORED);
      Atomics.notify(words, (c + ATTENTION) >>> 2);
    }
  }
}

/** The line that a core watches, as a wasm address; 0: none, or somebody has stored to it. */
export function lineWatched(words: Int32Array, c: number): number {
  return lineStored(words, c) ? 0 : words[(c + MONITOR_HOST) >>> 2]!;
}
/** Whether WATCHERS_WORD has the core. */
export function setWatcher(words: Int32Array, core: number, watches: boolean): void {
  const at = (WATCHERS_WORD >>> 2) + (core >>> 5);
  const bit = 1 << (core & 31);
  if (watches) Atomics.or(words, at, bit);
  else Atomics.and(words, at, ~bit);
}

/** An interrupt was announced, which ends the wait whatever IF says. */
export function wantsInterrupt(words: Int32Array, c: number): boolean {
  return words[(c + MONITOR_BREAKS) >>> 2] !== 0 && words[(c + INTERRUPT_WANTED) >>> 2] !== 0;
}
