// How many frames are left to whom when they run short. What the kernel needs of its own accord (records, messages, page tables, bytes
// that are on their way here) must be there: without it the machine stops. Programs wait for more at the first of these levels.
import { framesFree } from "./frames";

/** Frames that programs leave to the kernel. */
const RESERVED: usize = 256;
/** Above that: pages of other homes are given up below this one, a home takes in what others would give up above that one. */
const RELIEF: usize = 128;
/** Above the first: threads leave so many to those that there are. */
const THREAD: usize = 128;
const TAKES_IN: usize = 192;
/** Nothing is read ahead below this. */
const AHEAD: usize = 1024;

/** Frames that other machines were promised for mirrors (coherence/mirror-room.ts), with a record for each. */
let promised: usize = 0;

export function framesPromised(pages: u32): void {
  promised = pages + (pages >> 3);
}

function framesLeft(): usize {
  const free = framesFree();
  return free > promised ? free - promised : 0;
}

/** What a program touches may get a frame. */
export function mayTakeFrame(): bool {
  return framesLeft() > RESERVED;
}

export function mayMakeThread(): bool {
  return framesToTake() > THREAD;
}

/** Frames that have to be there for another thread. */
export function threadFrames(): usize {
  return THREAD + 1;
}

/** So many frames may programs take at this moment. */
export function framesToTake(): usize {
  const free = framesLeft();
  return free > RESERVED ? free - RESERVED : 0;
}

export function framesAreShort(): bool {
  return framesLeft() < RESERVED + RELIEF;
}

/** What another machine has no room for may come here. */
export function mayTakeIn(): bool {
  return framesLeft() > RESERVED + TAKES_IN;
}

/** So many pages may be read ahead of their use. */
export function framesAhead(): usize {
  const free = framesLeft();
  return free > AHEAD ? free - AHEAD : 0;
}
