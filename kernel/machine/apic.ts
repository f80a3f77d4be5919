// The local APIC (Intel SDM vol. 3A, chapter 11).

/** A free vector whose interrupts call handler: table index of (argument: usize) => void, on core 0, in a critical section; it must not block. */
export function interruptAllocate(handler: u32, argument: usize): u32 {
  return 0;
}
