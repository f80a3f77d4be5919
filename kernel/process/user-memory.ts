// User memory seen from the kernel: every pointer that a program hands over goes through here.
//
// Invariant: nothing of the kernel is ever read or written by way of a user pointer (the range is checked before
// the copy), and a copy may fault, block and be resolved: never copy with a spinlock held or in a critical section.
import { copyFromUser, copyToUser } from "../arch";
import { thisCore } from "../lwkt/core";
import { threadCurrent } from "../lwkt/thread";
import { FRAME_BYTES } from "../memory/frames";
import { USER_END } from "../memory/paging";
import { EFAULT, ENAMETOOLONG } from "./errno";
import { Lwp } from "./lwp";

/** The highest user page stays unmapped, so that no instruction's end can leave the user half. */
export const USER_TOP: u64 = USER_END - 4096;

export function userRange(at: u64, bytes: u64): bool {
  return bytes <= USER_TOP && at <= USER_TOP - bytes;
}

export function readUser(to: usize, from: u64, bytes: usize): bool {
  assertMayBlock();
  return userRange(from, u64(bytes)) && copyFromUser(to, from, bytes) === 0;
}

export function writeUser(to: u64, from: usize, bytes: usize): bool {
  assertMayBlock();
  return userRange(to, u64(bytes)) && copyToUser(to, from, bytes) === 0;
}

/** Like readUser, but what lies before a hole is taken: returns the bytes copied. */
export function readUserPart(to: usize, from: u64, bytes: usize): usize {
  assertMayBlock();
  return userRange(from, u64(bytes)) ? bytes - copyFromUser(to, from, bytes) : 0;
}

export function writeUserPart(to: u64, from: usize, bytes: usize): usize {
  assertMayBlock();
  return userRange(to, u64(bytes)) ? bytes - copyToUser(to, from, bytes) : 0;
}

/** The calling thread's page of kernel memory for what a system call copies in or out. */
export function scratch(): usize {
  return changetype<Lwp>(threadCurrent().lwp).scratch;
}
/** The last bytes of the scratch page belong to the functions below. */
export const SCRATCH_BYTES: usize = 4096 - 16;

export function writeUser64(to: u64, value: u64): bool {
  const word = scratch() + SCRATCH_BYTES;
  store<u64>(word, value);
  return writeUser(to, word, 8);
}

export function writeUser32(to: u64, value: u32): bool {
  const word = scratch() + SCRATCH_BYTES;
  store<u32>(word, value);
  return writeUser(to, word, 4);
}

/** A zero-terminated text: its length, -EFAULT, or -ENAMETOOLONG when no zero is among the first `limit` bytes. */
export function readUserText(to: usize, from: u64, limit: usize): i64 {
  let done: usize = 0;
  while (done < limit) {
    // Not beyond the page at once: what lies behind the zero need not be mapped.
    const inPage = FRAME_BYTES - usize((from + u64(done)) & u64(FRAME_BYTES - 1));
    const bytes = min<usize>(inPage, limit - done);
    if (!readUser(to + done, from + u64(done), bytes)) return -EFAULT;
    for (let i: usize = 0; i < bytes; i++) {
      if (load<u8>(to + done + i) === 0) return i64(done + i);
    }
    done += bytes;
  }
  return -ENAMETOOLONG;
}

function assertMayBlock(): void {
  assert(thisCore().critical === 0, "user memory touched in a critical section");
}
