// What a call offers on Linux and not here reports itself, once for each thing and value: a program that fails because
// of it should not have to be debugged to find out.
import { print, printAsciiZ, printDecimal } from "../console";
import { SpinLock } from "../lwkt/spinlock";
import { currentLwp } from "./lwp";

const SEEN_MAX: u32 = 32;
/** Pairs of 8 bytes: the text's address, the value. */
const seen: usize = memory.data(256, 8);
const lockAt: usize = memory.data(16, 16);
let seenCount: u32 = 0;

/** `counter: futex operation 6 is not implemented`; returns `error`, negative, for the caller to return. */
export function notImplemented(what: string, value: u64, error: i64): i64 {
  if (!firstTime(changetype<usize>(what), u32(value))) return error;
  printAsciiZ(currentLwp().process.name);
  print(": ");
  print(what);
  print(" ");
  printDecimal(value);
  print(" is not implemented\n");
  return error;
}

/** When the table is full, nothing is new any more. */
function firstTime(what: usize, value: u32): bool {
  const lock = changetype<SpinLock>(lockAt);
  lock.acquire();
  let fresh = seenCount < SEEN_MAX;
  for (let i: u32 = 0; i < seenCount; i++) {
    const at = seen + ((<usize>i) << 3);
    if (load<usize>(at) === what && load<u32>(at + 4) === value) fresh = false;
  }
  if (fresh) {
    const at = seen + ((<usize>seenCount) << 3);
    store<usize>(at, what);
    store<u32>(at + 4, value);
    seenCount++;
  }
  lock.release();
  return fresh;
}
