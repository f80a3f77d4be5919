// Ctrl-C, SIGTERM, and the death of a parent process: each asks a command to end cleanly.

/** Aborted on the first of them. A second Ctrl-C ends the process at once. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  const end = () => controller.abort();
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  if (process.connected) {
    process.once("disconnect", end);
    process.channel?.unref();
  }
  return controller.signal;
}

export function interrupted(signal = interruptSignal()): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
