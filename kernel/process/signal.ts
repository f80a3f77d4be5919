// Signals: raising, delivering to a handler, and the way back (Linux signal(7), sigreturn(2)).
import { TrapFrame } from "../frame";

/** Called by trap() for an exception of a user thread that nothing else resolved: the thread gets a signal. */
export function raiseFault(frame: TrapFrame, vector: u32): void {}

/**
 * Called by trap() and syscall() as the last thing that may block before a return to user mode (interrupts on,
 * before userLeaving): delivers pending signals into `frame`, and ends the thread when its process is ending.
 */
export function returningToUser(frame: TrapFrame): void {}

/** The current thread has a signal to take or a process to leave: a wait that may be cut short returns -EINTR. */
export function interrupted(): bool {
  return false;
}
