// Cores that want to know of the next store to a line, whoever stores and whatever: MONITOR's (monitor.ts). A core in
// WATCHERS_WORD has named the line at its MONITOR_HOST, and nobody has stored to it since; stores to the line's page take
// the slow way as long as that is so, as those to code do (code-marks.ts, which tells of devices' stores).

import {
  ATTENTION,
  ATTENTION_STORED,
  CORE_BYTES,
  CORES_BASE,
  LIVE_WORD,
  MONITOR_HOST,
  MONITOR_STORED,
  WATCHERS_WORD,
} from "../layout";
import { coreIndex } from "./core";
import { watchPage } from "./host";

export const LINE: usize = 64;
export const PAGE: usize = 4096;

/** The line of RAM at this wasm address. A store that happens meanwhile may count already. */
export function watch(core: usize, line: usize): void {
  const index = coreIndex(core);
  atomic.store<u32>(core, <u32>line, MONITOR_HOST);
  atomic.store<u32>(core, 0, MONITOR_STORED);
  atomic.or<u64>(WATCHERS_WORD, (1 as u64) << index);
  watchPage(index, <u32>line);
}

/** Bytes of RAM within a page were stored: the cores that watch one of their lines hear of it, or of their page. */
export function tellWatchers(host: usize, bytes: u32, unit: usize): void {
  const first = host & ~(unit - 1);
  const last = (host + bytes - 1) & ~(unit - 1);
  for (let left = atomic.load<u64>(WATCHERS_WORD); left != 0; left &= left - 1) {
    const watcher = <usize>CORES_BASE + <usize>ctz<u64>(left) * CORE_BYTES;
    const watched = <usize>atomic.load<u32>(watcher, MONITOR_HOST) & ~(unit - 1);
    if (watched != first && watched != last) continue;
    atomic.and<u64>(WATCHERS_WORD, ~(left & -left));
    atomic.store<u32>(watcher, 1, MONITOR_STORED);
    if (!load<u32>(LIVE_WORD)) continue;
    atomic.or<u32>(watcher, ATTENTION_STORED, ATTENTION);
    atomic.notify(watcher + ATTENTION, -1);
  }
}
