// What sits on a core's own side of the bus: its local APIC. Used in the core's own thread only; other
// threads reach it through its mailbox (mailbox.ts).

import { type Clock, Timers } from "../clock.js";
import type { Trace } from "../devices/device.js";
import { LocalApic } from "../devices/local-apic.js";
import { Interrupts } from "./interrupts.js";
import { attention, SharedMailbox, word } from "./mailbox.js";
import { address, frequency } from "./map.js";

export { EXTERNAL_VECTOR } from "../devices/local-apic.js";

const NANOSECONDS = 1_000_000_000;
const PAGE_BYTES = 4096;

export interface CoreDevicesOptions {
  /** Core number, which is also its APIC id at reset. Core 0 is the bootstrap processor. */
  core: number;
  cores: number;
  clock: Clock;
  /** Every core's mailbox, in shared memory. */
  mailboxes: readonly Int32Array[];
  /** Interrupt-acknowledge cycle: asks the board's 8259 pair for a vector (`Pc.interruptAcknowledge`). */
  interruptAcknowledge(): number;
  /** EOI of a level-triggered vector, told to the I/O APIC (`Pc.endOfInterrupt`). */
  endOfInterrupt(vector: number): void;
  /** MAXPHYADDR, for the reserved bits of IA32_APIC_BASE. */
  physicalAddressBits: number;
  trace: Trace;
}

export class CoreDevices {
  readonly #apic: LocalApic;
  readonly #mailbox: SharedMailbox;
  readonly #timers = new Timers();
  readonly #physicalAddressBits: number;

  /** The board must have been built, or reset, before: it empties the mailboxes. */
  constructor(options: CoreDevicesOptions) {
    const { core, cores, clock, mailboxes, trace } = options;
    if (!(core >= 0 && core < cores && mailboxes.length === cores))
      throw new RangeError(`core ${core} of ${cores} with ${mailboxes.length} mailboxes`);
    this.#physicalAddressBits = options.physicalAddressBits;
    this.#mailbox = new SharedMailbox(mailboxes[core]);
    this.#apic = new LocalApic({
      core,
      bootstrap: core === 0,
      clockPeriod: NANOSECONDS / frequency.apicBus,
      base: address.localApic,
      clock,
      mailbox: this.#mailbox,
      bus: new Interrupts(mailboxes, trace),
      alarm: this.#timers.alarm(() => this.#apic.timer.expired()),
      interruptAcknowledge: () => options.interruptAcknowledge(),
      endOfInterrupt: (vector) => options.endOfInterrupt(vector),
      trace,
    });
  }

  /** Base of the APIC page, or -1 while there is none: globally disabled, or in x2APIC mode. */
  get apicPage(): number {
    return this.#apic.page;
  }

  /** Whether a physical address lies in the APIC page (never while there is none). */
  contains(physical: number): boolean {
    const page = this.#apic.page;
    return page >= 0 && physical >= page && physical < page + PAGE_BYTES;
  }

  /** Values are u32; an access of 8 bytes is two of 4, low first. */
  read(physical: number, size: number): number {
    return this.#apic.read(physical % PAGE_BYTES, size);
  }

  write(physical: number, size: number, value: number): void {
    this.#apic.write(physical % PAGE_BYTES, size, value >>> 0);
  }

  /** Clears the `interrupt` attention bit; call it before `pendingVector`. */
  clearAttention(): void {
    this.#mailbox.takeAttention(attention.interrupt);
  }

  /** Highest vector that the core could take now (above the processor priority), EXTERNAL_VECTOR, or -1.
   * Looks only: RFLAGS.IF and the interrupt shadow are the core's own business. */
  pendingVector(): number {
    return this.#apic.pendingVector();
  }

  /** Takes the pending vector into service and returns it (for ExtINT by an INTA cycle); -1 if it went away. */
  acknowledge(): number {
    return this.#apic.acknowledge();
  }

  /** Takes and clears: was an NMI, INIT or SIPI posted? `takeStartup` gives the start-up vector or -1. */
  takeNmi(): boolean {
    return this.#mailbox.takeAttention(attention.nmi) !== 0;
  }

  takeInit(): boolean {
    return this.#mailbox.takeAttention(attention.init) !== 0;
  }

  takeStartup(): number {
    if (this.#mailbox.takeAttention(attention.startup) === 0) return -1;
    return Atomics.load(this.#mailbox.words, word.startupVector);
  }

  nextDeadline(): number {
    return this.#timers.nextDeadline();
  }

  /** Runs what is due at or before `now`; the clock must have reached it. */
  advance(now: number): void {
    this.#timers.run(now);
  }

  /** CR8 is TPR bits 7-4. */
  cr8(): number {
    return this.#apic.cr8;
  }

  setCr8(value: number): void {
    this.#apic.cr8 = value;
  }

  /** IA32_APIC_BASE. `setApicBase` returns false where WRMSR is #GP. */
  apicBase(): bigint {
    return this.#apic.base;
  }

  setApicBase(value: bigint): boolean {
    return this.#apic.setBase(value, this.#physicalAddressBits);
  }

  /** MSRs 800H to 8FFH: half a register, or -1 where RDMSR is #GP; false where WRMSR is. */
  readMsr(msr: number, half: 0 | 1): number {
    return this.#apic.readMsr(msr, half);
  }

  writeMsr(msr: number, low: number, high: number): boolean {
    return this.#apic.writeMsr(msr, low >>> 0, high >>> 0);
  }

  /** IA32_TSC_DEADLINE, by halves; `left`: TSC ticks until then. After a change of the TSC, set it again. */
  tscDeadline(half: 0 | 1): number {
    return this.#apic.timer.tscDeadline[half];
  }

  setTscDeadline(low: number, high: number, left: number): void {
    this.#apic.timer.setTscDeadline(low >>> 0, high >>> 0, left * (NANOSECONDS / frequency.tsc));
  }

  /** A performance counter of this core has overflowed. */
  performanceInterrupt(): void {
    this.#apic.performanceInterrupt();
  }

  /** INIT: the local APIC as after power-up, but for its ID and IA32_APIC_BASE. */
  init(): void {
    this.#apic.init();
  }

  /** RESET. The board's own reset comes first: an INIT or SIPI posted since then stays. */
  reset(): void {
    this.#apic.reset();
  }

  snapshot(): object {
    return { apic: this.#apic.snapshot(), mailbox: Array.from(this.#mailbox.words) };
  }

  restore(state: object): void {
    const { apic, mailbox } = state as { apic: object; mailbox: number[] };
    for (const [index, value] of mailbox.entries()) Atomics.store(this.#mailbox.words, index, value);
    this.#apic.restore(apic);
  }
}
