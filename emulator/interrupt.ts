// Ctrl-C, SIGTERM, and the death of a parent process: each asks a command to end cleanly.

/** How a machine tells that it ended so. */
export const INTERRUPTED = "interrupted";

/** Why the signal is aborted, where a terminal did it. */
export const CTRL_C = "SIGINT";

/**
 * Aborted on the first of them. A second Ctrl-C ends the process at once. `softly` is what SIGTERM does instead, for the first
 * time; false: nothing.
 */
export function interruptSignal(softly: () => boolean = () => false): AbortSignal {
  const controller = new AbortController();
  const end = () => controller.abort();
  process.once("SIGINT", () => controller.abort(CTRL_C));
  process.once("SIGTERM", () => {
    if (softly()) process.once("SIGTERM", end);
    else end();
  });
  if (process.connected) {
    process.once("disconnect", end);
    process.channel?.unref();
  }
  return controller.signal;
}

/** Gives the reason. */
export function interrupted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    else signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  });
}
