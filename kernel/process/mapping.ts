// The map of an address space: sorted entries, and for shared objects the way back from a page to its mappings.
import { SharedObject } from "../coherence/pager";

/**
 * For the coherence engine: calls `visit` (table index of (space: usize, va: u64) => void) for every place where page
 * `index` of `object` is mapped on this machine. Does not block; a spinlock is held, so `visit` must not block or wait.
 */
export function sharedMappings(object: SharedObject, index: u64, visit: u32): void {}
