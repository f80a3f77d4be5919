// What a thread is to the cluster: the record by which it asks for things, as a message to the cluster's port, and the
// pages that are pinned for it. It hangs at Thread.pins from the first time on until the thread leaves its process.
import { Message } from "../lwkt/port";
import { Thread, threadCurrent } from "../lwkt/thread";
import { allocate, release } from "../memory/slab";

/** Client.command */
export const ASK_FAULT: u32 = 1;
export const ASK_HOLD: u32 = 2;
export const ASK_UNHOLD: u32 = 3;
export const ASK_OPEN: u32 = 4;
export const ASK_CLOSE: u32 = 5;
export const ASK_SIZE: u32 = 6;
/** The home does it, whose threads may wait: where this machine is it by the time that the question is served, the asker. */
export const ASK_TRUNCATE: u32 = 7;
export const HOME_IS_HERE: i64 = 1;
export const ASK_EXTEND: u32 = 8;
export const ASK_UNLINK: u32 = 9;
/** A name is to stand for what another one does (by-name.ts). */
export const ASK_LINK: u32 = 28;
/** How many names lead to it. */
export const ASK_LINKS: u32 = 29;
/** At the home: sets the size; the next page at or behind an index; takes a held page out of this machine's page tables. */
export const ASK_SET_SIZE: u32 = 10;
export const ASK_NEXT_PAGE: u32 = 11;
export const ASK_UNMAP: u32 = 12;
/** Answers a TRUNCATE that came from another machine. */
export const ASK_ANSWER: u32 = 13;
export const ASK_FUTEX_WAIT: u32 = 14;
export const ASK_FUTEX_CANCEL: u32 = 15;
export const ASK_FUTEX_WAKE: u32 = 16;
export const ASK_FAREWELL: u32 = 17;
/** A nameless object of `size` bytes whose home is this machine. */
export const ASK_CREATE: u32 = 18;
/** To open an object by its id, `size`; to send a letter (syslink/letter.ts). */
export const ASK_JOIN: u32 = 19;
export const ASK_LETTER: u32 = 20;
/** At the home: the ranges that machines hold from an index on (grants.ts). */
export const ASK_RECALL: u32 = 21;
/** Range locks (object-locks.ts): what `lock` says. */
export const ASK_LOCK: u32 = 22;
export const ASK_UNLOCK: u32 = 23;
export const ASK_LOCK_CANCEL: u32 = 24;

/** Answered when what this machine has written is mirrored (commits.ts). */
export const ASK_COMMIT: u32 = 25;
/** Answered when programs may take `size` frames; -ENOMEM: there will be none. */
export const ASK_FRAMES: u32 = 26;

/** Other machines are to give up what they hold by ranges of the pages client.index to client.bound (grants.ts). */
export const ASK_CLAIM: u32 = 27;

export const PINS_MAX: u32 = 8;

@unmanaged
export class Client extends Message {
  // What it asks for; which fields count depends on the command.
  object: usize = 0;
  index: u64 = 0;
  /** Bytes, an offset, a count. */
  size: u64 = 0;
  va: u64 = 0;
  space: usize = 0;
  write: u32 = 0;
  /** ASK_FAULT: what another machine may do instead (operation.ts, 0 = nothing), and whether it has; the old value is `operand` then. */
  operation: u32 = 0;
  operated: u32 = 0;
  operand: u64 = 0;
  comparand: u64 = 0;
  /** ASK_FAULT: the chunks of the page (parts.ts) that the instruction touches; 0: nobody knows. */
  touches: u64 = 0;
  /** ASK_FAULT: nobody has looked at the instruction, since nobody fights for the object. */
  unseen: u32 = 0;
  // The page of which the thread last used a part (process/instruction-fault.ts): where it is mapped, 0 = nowhere; what it
  // is, how it is mapped, and how often maps had changed then.
  partedAt: u64 = 0;
  partedObject: u64 = 0;
  partedIndex: u64 = 0;
  partedProtection: u32 = 0;
  partedMaps: u32 = 0;
  /** ASK_FAULT: the page is code as well. */
  execute: u32 = 0;
  /** Not 0 in the answer: to ask again after so many nanoseconds (migratory.ts). */
  delay: u64 = 0;
  /** The instruction that it comes from: an Instruction, made when first needed. */
  locked: usize = 0;
  /** ASK_HOLD: also behind the object's end. */
  beyond: u32 = 0;
  /** ASK_NEXT_PAGE: behind the last page that matters; 0 = all do. */
  bound: u64 = 0;
  name: usize = 0;
  nameBytes: u32 = 0;
  // Of what is asked by name: the object that a name is to be a link to, and the hash that its home is found by (0 = none); in the answer the one that it
  // is, or was. One more name of the object counts now. ASK_LINKS: how many names it has.
  linkTo: u64 = 0;
  linkHash: u32 = 0;
  linkCounted: u32 = 0;
  links: u32 = 0;
  /** ASK_LETTER: what to send. */
  letter: usize = 0;
  /** A LockCall, made when first needed; behind the last byte that its thread has locked to read or write, 0 = none. */
  lock: usize = 0;
  lockEnd: u64 = 0;
  // The stream that its thread reads (read-ahead.ts): its object, the page that it comes to next, behind the last page asked for, how
  // many ahead.
  streamObject: u64 = 0;
  streamNext: u64 = 0;
  streamEnd: u64 = 0;
  streamWindow: u32 = 0;
  /** Its page has come, and it waits for more of them until then (around.ts). */
  heldUntil: u64 = 0;
  /** The page that is held. */
  page: usize = 0;
  nextWaiter: usize = 0;
  // A question that is under way to another machine (questions.ts).
  machine: u32 = 0;
  msgid: u32 = 0;
  nextPending: usize = 0;

  // Waiting on a shared futex (shared-futex.ts): a WaitQueue, and what has happened.
  queueLock: u32 = 0;
  queueFirst: usize = 0;
  queueLast: usize = 0;
  woken: u32 = 0;
  futexId: u32 = 0;
  futexObject: usize = 0;
  futexValue: u32 = 0;
  nextSleeper: usize = 0;

  // Pins (progress.ts). While the thread runs it alone touches them; while it waits for an answer, core 0.
  pinCount: u32 = 0;
  /** They were taken by copies within a system call: let go at its end. */
  pinsOfKernel: u32 = 0;
  /** The thread is in user mode and counts in Page.running. */
  running: u32 = 0;
  /** TF is ours; it was the user's as well; the step has been made. */
  stepping: u32 = 0;
  userSteps: u32 = 0;
  stepped: u32 = 0;
  /** Of the last entry from user mode. */
  vector: u32 = 0;
  rip: u64 = 0;
  rcx: u64 = 0;
  /** The sum of its other registers then. */
  registers: u64 = 0;
  pin0: usize = 0;
  pin1: usize = 0;
  pin2: usize = 0;
  pin3: usize = 0;
  pin4: usize = 0;
  pin5: usize = 0;
  pin6: usize = 0;
  pin7: usize = 0;
}

/** The calling thread's. */
export function clientCurrent(): Client {
  const thread = threadCurrent();
  if (thread.pins == 0) thread.pins = allocate(offsetof<Client>());
  return changetype<Client>(thread.pins);
}

/** 0 when the thread never needed one. */
export function clientOf(thread: Thread): Client {
  return changetype<Client>(thread.pins);
}

export function clientFree(thread: Thread): void {
  if (changetype<Client>(thread.pins).locked != 0) release(changetype<Client>(thread.pins).locked);
  if (changetype<Client>(thread.pins).lock != 0) release(changetype<Client>(thread.pins).lock);
  release(thread.pins);
  thread.pins = 0;
}
