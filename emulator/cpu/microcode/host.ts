// What the microcode asks of the machine around the core: ports, the bus beyond RAM and ROM, time, CPUID, the local
// APIC's registers that are also core state. asc imports them from a module named after this file; engine.ts supplies it.

/** bytes is 1, 2 or 4; the port is as the instruction gave it, aligned or not. */
export declare function portRead(core: u32, port: u32, bytes: u32): u32;
export declare function portWrite(core: u32, port: u32, bytes: u32, value: u32): void;
/** Naturally aligned accesses of 1, 2 or 4 bytes where neither RAM nor ROM answers, and writes to ROM. */
export declare function busRead(core: u32, physical: f64, bytes: u32): u32;
export declare function busWrite(core: u32, physical: f64, bytes: u32, value: u32): void;
/** The machine's nanoseconds, a whole number. */
export declare function timestamp(core: u32): f64;
/** Writes EAX EBX ECX EDX, four u32, to SCRATCH. */
export declare function cpuid(core: u32, leaf: u32, subleaf: u32): void;
/** IA32_APIC_BASE: read gives its low 32 bits; write may refuse (0), which is #GP(0). */
export declare function readApicBase(core: u32): u32;
export declare function writeApicBase(core: u32, low: u32, high: u32): u32;
/** MSRs 800H to 8FFH: read writes a u64 to SCRATCH; both may refuse (0), which is #GP(0). */
export declare function readApicMsr(core: u32, msr: u32): u32;
export declare function writeApicMsr(core: u32, msr: u32, low: u32, high: u32): u32;
/** IA32_TSC_DEADLINE: read writes a u64 to SCRATCH; `left` is in TSC ticks. */
export declare function readTscDeadline(core: u32): void;
export declare function writeTscDeadline(core: u32, low: u32, high: u32, left: f64): void;
/** CR8: bits 7..4 of the local APIC's task priority. */
export declare function readTaskPriority(core: u32): u32;
export declare function writeTaskPriority(core: u32, value: u32): void;
/** A performance counter has overflowed: the local APIC's entry for it. */
export declare function performanceInterrupt(core: u32): void;
/** A counter was enabled for an event that nothing here counts. */
export declare function unknownEvent(core: u32, event: u32): void;
/** From now on stores to the page of RAM at this wasm address take the slow way (code-marks.ts). */
export declare function watchPage(core: u32, host: u32): void;
/** While LOOKING_WORD says so: a data access, with its ACCESS_* bits; a store has not reached memory yet. */
export declare function accessed(core: u32, linear: u64, bytes: u32, access: u32, value: u64): void;
/**
 * Likewise: a walk of the page tables, with its outcome (walk.ts). The last entry, where it lies, the page and log2 of its size: 0
 * where nothing was found.
 */
export declare function walked(
  core: u32,
  linear: u64,
  access: u32,
  outcome: u32,
  entry: u64,
  entryAddress: u64,
  page: u64,
  sizeLog2: u32,
): void;
