// What sits on a core's own side of the bus: its local APIC. Used in the core's own thread only; other
// threads reach it through its mailbox (mailbox.ts).

import type { Clock } from "../clock.js";
import type { Trace } from "../devices/device.js";

/** What `pendingVector` says when the 8259 pair holds the vector (ExtINT). */
export const EXTERNAL_VECTOR = 256;

export interface CoreDevicesOptions {
  /** Core number, which is also its APIC id at reset. Core 0 is the bootstrap processor. */
  core: number;
  cores: number;
  clock: Clock;
  /** All cores' mailboxes: cores * MAILBOX_WORDS words of shared memory. */
  mailboxes: Int32Array;
  /** Interrupt-acknowledge cycle: asks the board's 8259 pair for a vector (`Pc.interruptAcknowledge`). */
  interruptAcknowledge(): number;
  /** EOI of a level-triggered vector, told to the I/O APIC (`Pc.endOfInterrupt`). */
  endOfInterrupt(vector: number): void;
  /** MAXPHYADDR, for the reserved bits of IA32_APIC_BASE. */
  physicalAddressBits: number;
  trace: Trace;
}

export declare class CoreDevices {
  constructor(options: CoreDevicesOptions);
  /** Whether a physical address lies in the APIC page (never while the APIC is globally disabled). */
  contains(physical: number): boolean;
  /** Base of the APIC page, or -1 while the APIC is globally disabled. */
  readonly apicPage: number;
  /** Values are u32; an access of 8 bytes is two of 4, low first. */
  read(physical: number, size: number): number;
  write(physical: number, size: number, value: number): void;
  /** Highest vector that the core could take now (above the processor priority), EXTERNAL_VECTOR, or -1.
   * Looks only: RFLAGS.IF and the interrupt shadow are the core's own business. */
  pendingVector(): number;
  /** Takes the pending vector into service and returns it (for ExtINT by an INTA cycle); -1 if it went away. */
  acknowledge(): number;
  /** Takes and clears: was an NMI, INIT or SIPI posted? `takeStartup` gives the start-up vector or -1. */
  takeNmi(): boolean;
  takeInit(): boolean;
  takeStartup(): number;
  /** Clears the `interrupt` attention bit; call it before `pendingVector`. */
  clearAttention(): void;
  nextDeadline(): number;
  advance(now: number): void;
  /** CR8 is TPR bits 7-4. */
  cr8(): number;
  setCr8(value: number): void;
  /** IA32_APIC_BASE. `setApicBase` returns false where WRMSR is #GP. */
  apicBase(): bigint;
  setApicBase(value: bigint): boolean;
  /** IA32_TSC_DEADLINE; give the TSC of now. After WRMSR to the TSC, set the same value again. */
  tscDeadline(): bigint;
  setTscDeadline(value: bigint, tscNow: bigint): void;
  /** INIT: the local APIC as after power-up, but for its ID and IA32_APIC_BASE. */
  init(): void;
  /** RESET. */
  reset(): void;
  snapshot(): object;
  restore(state: object): void;
}
