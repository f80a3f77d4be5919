// Progress: at least one user instruction retires between a grant and the next revocation (PROMISES.md, "livelock").
import { TrapFrame } from "../frame";

/** First thing that trap() and syscall() do when the trap came from user mode; interrupts may be off. Never blocks. */
export function userEntered(_frame: TrapFrame): void {}

/** Last thing before resuming user mode, interrupts off. Never blocks. */
export function userLeaving(_frame: TrapFrame): void {}

/** For #DB from user mode, after userEntered: true when the single step was ours and the thread has nothing to be told. */
export function singleStepEnded(_frame: TrapFrame): bool {
  return false;
}
