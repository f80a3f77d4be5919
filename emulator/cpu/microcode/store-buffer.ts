// A core's store buffer, as x86-TSO has it: Sewell, Sarkar, Owens, Zappa Nardelli, Myreen, "x86-TSO" (CACM 53:7, 2010);
// AMD APM vol. 2, 7.2 (store-to-load forwarding) and 7.4; Intel SDM vol. 3A, 12.10 (when it is emptied). In seeded mode
// only, and only when asked for: cores that take turns have no buffer else.
//
// With a buffer every data access takes the slow way (EMPTY_BANK). A store is translated, and faults, when it executes;
// its bytes wait here in program order until the schedule lets the oldest go to memory, or the buffer is full, or
// something orders: MFENCE, LOCK, serializing instructions, I/O and device memory, events. Loads of this core see its
// own waiting stores, byte by byte; page walks and instruction fetches of this core wait for stores that they would
// read; everybody else sees memory only.

import {
  STORE_BUFFER,
  STORE_BUFFER_WORD,
  STORE_BYTES,
  STORE_HOST,
  STORE_LENGTH,
  STORE_VALUE,
  STORES_WAITING,
} from "../layout";
import { isCode, storeHost } from "./physical";

function entryAt(core: usize, index: u32): usize {
  return core + STORE_BUFFER + index * STORE_BYTES;
}

/** Puts a store to RAM into the buffer; a full one makes room first. */
export function buffer(core: usize, host: usize, bytes: u32, value: u64): void {
  if (load<u32>(core, STORES_WAITING) == load<u32>(STORE_BUFFER_WORD)) drainStores(core, 1);
  const count = load<u32>(core, STORES_WAITING);
  const entry = entryAt(core, count);
  store<u64>(entry, value, STORE_VALUE);
  store<u32>(entry, <u32>host, STORE_HOST);
  store<u32>(entry, bytes, STORE_LENGTH);
  store<u32>(core, count + 1, STORES_WAITING);
  // Code that a core changes in its own way is seen by that core at once.
  if (isCode(host, bytes)) serialize(core);
}

/** What this core's load of these bytes gives where memory holds `value`. */
export function forwarded(core: usize, host: usize, bytes: u32, value: u64): u64 {
  const count = load<u32>(core, STORES_WAITING);
  let result = value;
  for (let i: u32 = 0; i < count; i++) {
    const entry = entryAt(core, i);
    const from = <usize>load<u32>(entry, STORE_HOST);
    const length = load<u32>(entry, STORE_LENGTH);
    if (from + length <= host || host + bytes <= from) continue;
    for (let at: u32 = 0; at < length; at++) {
      const place = <u32>(from + at - host);
      if (place >= bytes) continue; // before or behind the load's bytes
      const byte = (load<u64>(entry, STORE_VALUE) >> (at << 3)) & 0xff;
      result = (result & ~((0xff as u64) << (place << 3))) | (byte << (place << 3));
    }
  }
  return result;
}

/** Lets the oldest stores, at most so many, go to memory. */
export function drainStores(core: usize, most: u64): u64 {
  const count = load<u32>(core, STORES_WAITING);
  const going = <u32>min<u64>(most, count);
  for (let i: u32 = 0; i < going; i++) {
    const entry = entryAt(core, i);
    storeHost(
      core,
      load<u32>(entry, STORE_HOST),
      load<u32>(entry, STORE_LENGTH),
      load<u64>(entry, STORE_VALUE),
    );
  }
  memory.copy(entryAt(core, 0), entryAt(core, going), (count - going) * STORE_BYTES);
  store<u32>(core, count - going, STORES_WAITING);
  return 0;
}

/** Every store that was executed before has reached memory. */
export function serialize(core: usize): void {
  if (load<u32>(core, STORES_WAITING) != 0) drainStores(core, u64.MAX_VALUE);
}

/** This core is about to read these bytes past its buffer. */
export function settle(core: usize, host: usize, bytes: u32): void {
  const count = load<u32>(core, STORES_WAITING);
  for (let i: u32 = 0; i < count; i++) {
    const from = <usize>load<u32>(entryAt(core, i), STORE_HOST);
    if (from + load<u32>(entryAt(core, i), STORE_LENGTH) > host && host + bytes > from) {
      serialize(core);
      return;
    }
  }
}
