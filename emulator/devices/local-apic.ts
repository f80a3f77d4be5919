// The local APIC of one core: Intel SDM vol. 3A, "Advanced Programmable Interrupt Controller"; AMD APM vol. 2,
// chapter 16. xAPIC and x2APIC mode, in the form of a Pentium 4 or later (integrated, version 0x14, six LVT
// entries). Page and MSRs belong to the core's own thread. IRR and TMR stand in the mailbox, where every thread
// may post. Not there: SMI delivery and CMCI; a spurious vector is never needed, since taking a vector and
// masking it cannot race within one core.
// Invariant: ISR holds no two vectors of one priority class unless software raised them by hand, and a
// vector leaves the IRR only into the ISR.

import { commandOf, delivery, destination8, esr, type InterruptBus, modeOf } from "./apic-message.js";
import { ApicTimer, type TimerState } from "./apic-timer.js";
import { type Alarm, type Clock, notYet, RegisterFile, type Row, readOnly, type Trace } from "./device.js";
import * as x2apic from "./x2apic.js";

/** The words that a core shares with everybody: see board/mailbox.ts. */
export interface Mailbox {
  post(vector: number, level: boolean): void;
  /** Highest vector in the IRR, or -1. */
  highest(): number;
  take(vector: number): void;
  requests(index: number): number;
  triggers(index: number): number;
  clearRequests(): void;
  publish(published: Published): void;
  pin(pin: 0 | 1): boolean;
  pinEdges(pin: 0 | 1): number;
  external(): boolean;
  takeExternal(): void;
  takeErrors(): number;
  postNmi(): void;
  postInit(): void;
  /** Makes the core ask `pendingVector` again. */
  again(): void;
}

/** What senders must know of a local APIC. */
export interface Published {
  readonly id: number;
  readonly ldr: number;
  readonly dfr: number;
  readonly tpr: number;
  readonly mode: ApicMode;
  readonly softwareEnabled: boolean;
}

/** IA32_APIC_BASE's EN and EXTD. */
export type ApicMode = "disabled" | "xapic" | "x2apic";

/** What `pendingVector` says when the 8259 pair holds the vector (ExtINT). */
export const EXTERNAL_VECTOR = 256;

const VERSION = 0x0105_0014; // EOI-broadcast suppression, max LVT entry 5, version 0x14
const SOFTWARE_ENABLE = 0x100;
const SUPPRESS_EOI_BROADCAST = 0x1000;
const MASKED = 0x1_0000;
const REMOTE_IRR = 0x4000;
const LEVEL = 0x8000;

/** LVT entries, in the order of `State.lvt`; `writable` are the bits that software may set. */
const lvtEntries = [
  { name: "LVT_TIMER", offset: 0x320, writable: 0x0007_00ff },
  { name: "LVT_THERMAL", offset: 0x330, writable: 0x0001_07ff },
  { name: "LVT_PERFORMANCE", offset: 0x340, writable: 0x0001_07ff },
  { name: "LVT_LINT0", offset: 0x350, writable: 0x0001_a7ff },
  { name: "LVT_LINT1", offset: 0x360, writable: 0x0001_a7ff },
  { name: "LVT_ERROR", offset: 0x370, writable: 0x0001_00ff },
] as const;
const lvt = { timer: 0, thermal: 1, performance: 2, lint0: 3, lint1: 4, error: 5 } as const;

const reset = (id: number) => ({
  id,
  tpr: 0,
  ldr: 0,
  dfr: 0xffff_ffff,
  svr: 0xff,
  esr: 0,
  /** Errors since the last write to the ESR. */
  errors: 0,
  icrLow: 0,
  icrHigh: 0,
  lvt: lvtEntries.map(() => MASKED as number),
  isr: [0, 0, 0, 0, 0, 0, 0, 0],
  /** Rising edges of LINT0 and LINT1 already acted on. */
  edgesSeen: [0, 0] as [number, number],
});
type State = ReturnType<typeof reset> & { base: number; mode: ApicMode };

export interface LocalApicOptions {
  core: number;
  bootstrap: boolean;
  /** Nanoseconds of machine time per bus clock. */
  clockPeriod: number;
  base: number;
  clock: Clock;
  mailbox: Mailbox;
  bus: InterruptBus;
  /** The timer's deadline; its owner calls `timer.expired`. */
  alarm: Alarm;
  /** Interrupt-acknowledge cycle to the 8259 pair. */
  interruptAcknowledge(): number;
  /** End of a level-triggered interrupt, for the I/O APIC. */
  endOfInterrupt(vector: number): void;
  trace: Trace;
}

export class LocalApic {
  readonly #options: LocalApicOptions;
  readonly #mailbox: Mailbox;
  readonly #registers: RegisterFile;
  readonly #source: string;
  readonly timer: ApicTimer;
  #state: State;

  constructor(options: LocalApicOptions) {
    this.#options = options;
    this.#mailbox = options.mailbox;
    this.#source = `local-apic ${options.core}`;
    this.#registers = new RegisterFile(this.#source, 0x1000, this.#rows(), options.trace, 0, () =>
      this.#error(esr.illegalRegister),
    );
    this.#state = { ...reset(options.core), base: options.base, mode: "xapic" };
    this.timer = new ApicTimer(
      options.clockPeriod,
      options.clock,
      options.alarm,
      () => timerModeOf(this.#state.lvt[lvt.timer]),
      () => this.#local(this.#state.lvt[lvt.timer] & (MASKED | 0xff), false),
    );
    this.reset();
  }

  #rows(): Record<string, Row> {
    const state = () => this.#state;
    const rows: Record<string, Row> = {
      ID: [0x20, 4, { read: () => this.#idRegister(), write: (v) => this.#change({ id: v >>> 24 }) }],
      VERSION: [0x30, 4, readOnly(() => VERSION)],
      TPR: [0x80, 4, { read: () => state().tpr, write: (v) => this.#setTpr(v & 0xff) }],
      APR: [0x90, 4, notYet],
      PPR: [0xa0, 4, readOnly(() => this.#processorPriority())],
      EOI: [0xb0, 4, { write: () => this.#endOfInterrupt() }],
      RRD: [0xc0, 4, notYet],
      LDR: [
        0xd0,
        4,
        { read: () => state().ldr, write: (v) => this.#change({ ldr: (v & 0xff00_0000) >>> 0 }) },
      ],
      DFR: [
        0xe0,
        4,
        { read: () => state().dfr, write: (v) => this.#change({ dfr: (v | 0x0fff_ffff) >>> 0 }) },
      ],
      SVR: [0xf0, 4, { read: () => state().svr, write: (v) => this.#setSpurious(v) }],
      ESR: [0x280, 4, { read: () => state().esr, write: () => this.#latchErrors() }],
      ICR_LOW: [0x300, 4, { read: () => state().icrLow, write: (v) => this.#command(v) }],
      ICR_HIGH: [
        0x310,
        4,
        { read: () => state().icrHigh, write: (v) => this.#change({ icrHigh: (v & 0xff00_0000) >>> 0 }) },
      ],
      INITIAL_COUNT: [
        0x380,
        4,
        {
          read: () => this.timer.initialCount,
          write: (v) => {
            this.timer.initialCount = v;
          },
        },
      ],
      CURRENT_COUNT: [0x390, 4, readOnly(() => this.timer.currentCount())],
      DIVIDE: [
        0x3e0,
        4,
        {
          read: () => this.timer.divide,
          write: (v) => {
            this.timer.divide = v & 0xb;
          },
        },
      ],
    };
    for (let index = 0; index < 8; index++) {
      rows[`ISR${index}`] = [0x100 + 16 * index, 4, readOnly(() => this.#state.isr[index])];
      rows[`TMR${index}`] = [0x180 + 16 * index, 4, readOnly(() => this.#mailbox.triggers(index))];
      rows[`IRR${index}`] = [0x200 + 16 * index, 4, readOnly(() => this.#mailbox.requests(index))];
    }
    for (const [index, { name, offset }] of lvtEntries.entries())
      rows[name] = [
        offset,
        4,
        { read: () => this.#state.lvt[index], write: (value) => this.#setLvt(index, value) },
      ];
    return rows;
  }

  // --- The page, and the core's questions ---

  /** Base of the page, or -1 while there is none: disabled, or in x2APIC mode. */
  get page(): number {
    return this.#state.mode === "xapic" ? this.#state.base : -1;
  }

  #idRegister(): number {
    const { id, mode } = this.#state;
    return mode === "x2apic" ? id : id * 0x100_0000;
  }

  read(offset: number, size: number): number {
    this.#sample();
    return this.#registers.read(offset, size);
  }

  write(offset: number, size: number, value: number): void {
    this.#sample();
    this.#registers.write(offset, size, value);
  }

  /** RDMSR of 800H to 8FFH: bits 31-0 or 63-32 of the register; -1 where that is #GP. */
  readMsr(msr: number, half: 0 | 1): number {
    if (this.#state.mode !== "x2apic" || !x2apic.readable(msr)) return -1;
    if (half === 1) return msr === x2apic.ICR ? this.#state.icrHigh : 0;
    return this.read(x2apic.pageOffset(msr), 4);
  }

  /** WRMSR; false where that is #GP. */
  writeMsr(msr: number, low: number, high: number): boolean {
    if (this.#state.mode !== "x2apic" || !x2apic.writable(msr, low, high)) return false;
    if (msr === x2apic.SELF_IPI) this.#sendSelf(low);
    else {
      if (msr === x2apic.ICR) this.#state.icrHigh = high;
      this.write(x2apic.pageOffset(msr), 4, low);
    }
    return true;
  }

  /** Without an APIC, INTR and NMI are the processor's own pins: SDM, "Local APIC Status and Location". */
  #pinsAlone(): number {
    const edges = this.#mailbox.pinEdges(1);
    if (edges !== this.#state.edgesSeen[1]) this.#mailbox.postNmi();
    this.#state.edgesSeen[1] = edges;
    return this.#mailbox.pin(0) ? EXTERNAL_VECTOR : -1;
  }

  pendingVector(): number {
    if (this.#state.mode === "disabled") return this.#pinsAlone();
    this.#sample();
    const vector = this.#mailbox.highest();
    if (vector >= 0 && vector >> 4 > this.#processorPriority() >> 4) return vector;
    return this.#externalPending() ? EXTERNAL_VECTOR : -1;
  }

  acknowledge(): number {
    const vector = this.pendingVector();
    if (vector === EXTERNAL_VECTOR) {
      this.#mailbox.takeExternal();
      return this.#options.interruptAcknowledge();
    }
    if (vector < 0) return -1;
    this.#mailbox.take(vector);
    this.#state.isr[vector >> 5] = (this.#state.isr[vector >> 5] | (1 << (vector & 31))) >>> 0;
    return vector;
  }

  get cr8(): number {
    return this.#state.tpr >> 4;
  }

  set cr8(value: number) {
    this.#setTpr((value & 15) << 4);
  }

  // --- Priorities ---

  #serviced(): number {
    for (let index = 7; index >= 0; index--) {
      const bits = this.#state.isr[index];
      if (bits !== 0) return index * 32 + 31 - Math.clz32(bits);
    }
    return -1;
  }

  #processorPriority(): number {
    const serviced = Math.max(this.#serviced(), 0);
    return this.#state.tpr >> 4 >= serviced >> 4 ? this.#state.tpr : serviced & 0xf0;
  }

  #setTpr(tpr: number): void {
    const lower = tpr < this.#state.tpr;
    this.#change({ tpr });
    if (lower) this.#lookAgain();
  }

  #endOfInterrupt(): void {
    const vector = this.#serviced();
    if (vector < 0) return; // EOI without an interrupt in service does nothing
    const bit = 1 << (vector & 31);
    this.#state.isr[vector >> 5] = (this.#state.isr[vector >> 5] & ~bit) >>> 0;
    if ((this.#mailbox.triggers(vector >> 5) & bit) !== 0) {
      const entry = this.#state.lvt[lvt.lint0];
      if ((entry & REMOTE_IRR) !== 0 && (entry & 0xff) === vector)
        this.#state.lvt[lvt.lint0] = entry & ~REMOTE_IRR;
      // "Suppress EOI Broadcasts": software tells the I/O APIC itself, through its EOI register.
      if ((this.#state.svr & SUPPRESS_EOI_BROADCAST) === 0) this.#options.endOfInterrupt(vector);
    }
    this.#lookAgain();
  }

  #lookAgain(): void {
    if (this.pendingVector() >= 0) this.#mailbox.again();
  }

  #externalPending(): boolean {
    const entry = this.#state.lvt[lvt.lint0];
    const open = (entry & MASKED) === 0 && modeOf(entry) === delivery.external;
    return this.#mailbox.external() || (open && this.#mailbox.pin(0));
  }

  // --- Local sources ---

  /** Takes in what other threads left: edges of the local pins, and errors that senders saw. */
  #sample(): void {
    const errors = this.#mailbox.takeErrors();
    if (errors !== 0) this.#error(errors);
    for (const pin of [0, 1] as const) {
      const entry = this.#state.lvt[lvt.lint0 + pin];
      const edges = this.#mailbox.pinEdges(pin);
      const rose = edges !== this.#state.edgesSeen[pin];
      this.#state.edgesSeen[pin] = edges;
      if ((entry & MASKED) !== 0 || modeOf(entry) === delivery.external) continue;
      if (modeOf(entry) === delivery.fixed && (entry & LEVEL) !== 0) {
        if (!this.#mailbox.pin(pin) || (entry & REMOTE_IRR) !== 0) continue;
        this.#state.lvt[lvt.lint0 + pin] = entry | REMOTE_IRR;
        this.#local(entry, true);
      } else if (rose) this.#local(entry, false);
    }
  }

  /** Performance counters have overflowed. The entry is not masked by that (AMD APM vol. 2, 16.4). */
  performanceInterrupt(): void {
    this.#local(this.#state.lvt[lvt.performance], false);
  }

  /** An event of a local vector table entry. */
  #local(entry: number, level: boolean): void {
    if ((entry & MASKED) !== 0) return;
    const vector = entry & 0xff;
    switch (modeOf(entry)) {
      case delivery.fixed:
        if (vector < 16) this.#error(esr.receiveIllegalVector);
        else this.#mailbox.post(vector, level);
        return;
      case delivery.nmi:
        this.#mailbox.postNmi();
        return;
      case delivery.init:
        this.#mailbox.postInit();
        return;
      default:
        this.#report(`LVT delivery mode ${modeOf(entry)} is not implemented`);
    }
  }

  #setLvt(index: number, value: number): void {
    const before = this.#state.lvt[index];
    let entry = (value & lvtEntries[index].writable) | (before & REMOTE_IRR);
    if (!this.#softwareEnabled()) entry |= MASKED;
    this.#state.lvt[index] = entry;
    if (index === lvt.timer) this.timer.modeChanged(timerModeOf(before));
    if (index === lvt.thermal && (entry & MASKED) === 0)
      this.#report(`${lvtEntries[index].name} unmasked, but nothing here ever raises it`);
    this.#lookAgain();
  }

  #setSpurious(value: number): void {
    this.#change({ svr: value & 0x13ff });
    if (this.#softwareEnabled()) return;
    for (const index of lvtEntries.keys()) this.#state.lvt[index] |= MASKED;
  }

  #softwareEnabled(): boolean {
    return (this.#state.svr & SOFTWARE_ENABLE) !== 0;
  }

  #latchErrors(): void {
    this.#change({ esr: this.#state.errors, errors: 0 });
  }

  #error(bits: number): void {
    const fresh = (this.#state.errors & bits) !== bits;
    this.#state.errors |= bits;
    // The error entry has only the fixed mode; an illegal vector in it must not call itself for ever.
    const entry = this.#state.lvt[lvt.error];
    if (fresh && (entry & MASKED) === 0 && (entry & 0xff) >= 16) this.#mailbox.post(entry & 0xff, false);
  }

  // --- Interprocessor interrupts ---

  #command(value: number): void {
    const { icrHigh, mode } = this.#state;
    this.#state.icrLow = value & 0x000c_cfff;
    const destination = mode === "x2apic" ? icrHigh : destination8(icrHigh >>> 24);
    const command = commandOf(value, destination, this.#options.core);
    switch (command.kind) {
      case "message":
        this.#options.bus.deliver(command.message);
        return;
      case "self":
        if (command.mode === delivery.nmi) this.#mailbox.postNmi();
        else if (command.mode === delivery.init) this.#mailbox.postInit();
        else this.#sendSelf(command.vector);
        return;
      case "illegal-vector":
        this.#error(esr.sendIllegalVector);
        return;
      case "invalid":
        this.#report(`ICR ${command.why}`);
        return;
      default:
    }
  }

  #sendSelf(vector: number): void {
    if (vector < 16) this.#error(esr.sendIllegalVector);
    else if (this.#softwareEnabled()) this.#mailbox.post(vector, false);
    else this.#report(`interrupt ${vector} to itself dropped: the APIC is disabled by software`);
  }

  // --- IA32_APIC_BASE, INIT and RESET, snapshot ---

  get base(): bigint {
    const { base, mode } = this.#state;
    return BigInt(base) | baseBits[mode] | (this.#options.bootstrap ? 0x100n : 0n);
  }

  /** WRMSR to IA32_APIC_BASE; false where that is #GP. SDM, "x2APIC State Transitions". */
  setBase(value: bigint, physicalAddressBits: number): boolean {
    const reserved = (value & 0x2ffn) | (value >> BigInt(physicalAddressBits));
    const before = this.#state.mode;
    const mode = (Object.keys(baseBits) as ApicMode[]).find((name) => baseBits[name] === (value & 0xc00n));
    if (reserved !== 0n || mode === undefined) return false;
    if ((before === "disabled" && mode === "x2apic") || (before === "x2apic" && mode === "xapic"))
      return false;
    this.#state.base = Number(value & ~0xfffn);
    this.#state.mode = mode;
    if (mode === "x2apic" && before !== mode) this.#extend();
    // Disabled it forgets, and comes back as after power-up; only CR8 is the core's own.
    if (mode === "disabled" && before !== mode) {
      const { tpr } = this.#state;
      this.#restart(this.#options.core);
      this.#change({ tpr });
    } else if (mode === "xapic" && before === "disabled") this.#change({ tpr: 0 });
    this.#publish();
    return true;
  }

  /** From xAPIC to x2APIC: the IDs are the hardware's, the ICR's destination has another form. */
  #extend(): void {
    const id = this.#options.core;
    this.#change({ id, ldr: x2apic.logicalId(id), dfr: 0xffff_ffff, icrHigh: 0 });
  }

  /** INIT: as after power-up, but the ID and IA32_APIC_BASE stay. */
  init(): void {
    this.#restart(this.#state.id);
    if (this.#state.mode === "x2apic") this.#extend();
  }

  #restart(id: number): void {
    const { base, mode } = this.#state;
    this.#state = { ...reset(id), base, mode };
    this.#state.edgesSeen = [this.#mailbox.pinEdges(0), this.#mailbox.pinEdges(1)];
    this.#mailbox.clearRequests();
    this.timer.reset();
    this.#publish();
  }

  reset(): void {
    Object.assign(this.#state, { base: this.#options.base, mode: "xapic" });
    this.#restart(this.#options.core);
  }

  snapshot(): State & { timer: TimerState } {
    return structuredClone({ ...this.#state, timer: this.timer.state });
  }

  /** The mailbox is restored by its owner, before this. */
  restore(state: object): void {
    const { timer, ...own } = structuredClone(state) as State & { timer: TimerState };
    this.#state = own;
    this.timer.restore(timer);
    this.#publish();
  }

  #change(next: Partial<State>): void {
    Object.assign(this.#state, next);
    this.#publish();
  }

  #publish(): void {
    const { id, ldr, dfr, tpr, mode } = this.#state;
    this.#mailbox.publish({ id, ldr, dfr, tpr, mode, softwareEnabled: this.#softwareEnabled() });
  }

  #report(text: string): void {
    this.#options.trace(this.#source, text);
  }
}

/** Timer mode of the timer's LVT entry. */
const timerModeOf = (entry: number): number => (entry >> 17) & 3;

const baseBits: Readonly<Record<ApicMode, bigint>> = { disabled: 0n, xapic: 0x800n, x2apic: 0xc00n };
