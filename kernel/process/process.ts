// Processes: an address space, its threads (lwps), its descriptors, its end.

/** Called last by main.ts's boot: starts the thread that loads and runs init, and returns. */
export function processStart(): void {}
