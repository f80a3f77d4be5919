// Critical sections: what keeps a core's own data whole. While a thread is in one, nothing else runs on its core
// but the first instructions of interrupts, which leave a bit in `Core.pending`; the last criticalExit does their
// work. Interrupts stay on: this is a counter, not CLI. It costs no locked instruction.
import { cli, readFlags, sti } from "../arch";
import { Core, thisCore } from "./core";
import { runPending } from "./scheduler";

const INTERRUPT_FLAG: u64 = 0x200;

export function criticalEnter(): void {
  thisCore().critical++;
}

export function criticalExit(): void {
  const core = thisCore();
  const depth = core.critical - 1;
  core.critical = depth;
  // An interrupt before this line saw depth 1 and left its bit; one after it does its work itself.
  if (depth !== 0) return;
  if (core.pending !== 0) criticalDeferred();
}

/** The same for a caller that has its core at hand. */
export function criticalLeave(core: Core): void {
  const depth = core.critical - 1;
  core.critical = depth;
  if (depth !== 0) return;
  if (core.pending !== 0) criticalDeferred();
}

/** Two callers, so that binaryen leaves it out of line and the way past it short. */
function criticalDeferred(): void {
  const enabled = (readFlags() & INTERRUPT_FLAG) !== 0;
  cli();
  const core = thisCore();
  if (core.pending !== 0) runPending(core);
  if (enabled) sti();
}
