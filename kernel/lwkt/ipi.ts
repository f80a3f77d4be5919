// IPI messages: a function and an argument for another core, in one FIFO per (source, target) pair.
// fn: table index of (argument: usize) => void. It runs on the target in a critical section and must not block.

/** Asynchronous. To this core: runs at once. */
export function ipiSend(core: u32, fn: u32, argument: usize): void {}
/** Passive: only queued, raises no interrupt; reaped at the target's next tick, interrupt or poll. */
export function ipiSendPassive(core: u32, fn: u32, argument: usize): void {}
/** Returns when every other core has run it. Not from an IPI message or with a spinlock held. */
export function ipiCallAll(fn: u32, argument: usize): void {}
/** Runs the messages that wait for this core. */
export function ipiPoll(): void {}
