// The local APIC of one core: Intel SDM vol. 3A, "Advanced Programmable Interrupt Controller", xAPIC mode,
// in the form of a Pentium 4 or later (integrated, version 0x14, six LVT entries).
// The page belongs to the core's own thread. IRR and TMR stand in the mailbox, where every thread may post.
// Not there: x2APIC mode (setBase refuses it), SMI delivery, EOI-broadcast suppression, CMCI; a spurious
// vector is never needed, since taking a vector and masking it cannot race within one core.
// Invariant: ISR holds no two vectors of one priority class unless software raised them by hand, and a
// vector leaves the IRR only into the ISR.

import {
  type Alarm,
  type Clock,
  hex,
  notYet,
  RegisterFile,
  type Row,
  readOnly,
  type Trace,
} from "./device.js";

/** The words that a core shares with everybody: see board/mailbox.ts. */
export interface Mailbox {
  post(vector: number, level: boolean): void;
  /** Highest vector in the IRR, or -1. */
  highest(): number;
  take(vector: number): void;
  requests(index: number): number;
  triggers(index: number): number;
  clearRequests(): void;
  publish(apicId: number, ldr: number, dfr: number, tpr: number, hardware: boolean, software: boolean): void;
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

/** SDM, "Interrupt Command Register": the delivery modes, which LVT, I/O APIC and MSI share. */
export const delivery = {
  fixed: 0,
  lowestPriority: 1,
  smi: 2,
  nmi: 4,
  init: 5,
  startup: 6,
  external: 7,
} as const;

export interface InterruptMessage {
  /** APIC id (physical) or message destination address (logical), 8 bits; 0xff is everybody. */
  destination: number;
  logical: boolean;
  /** One of `delivery`. */
  mode: number;
  vector: number;
  /** Level-triggered. */
  level: boolean;
  /** Core number that the message leaves out: the shorthand "all excluding self". */
  except?: number;
}

export interface InterruptBus {
  deliver(message: InterruptMessage): void;
}

/** What `pendingVector` says when the 8259 pair holds the vector (ExtINT). */
export const EXTERNAL_VECTOR = 256;

/** Error status register bits. */
export const esr = { sendIllegalVector: 0x20, receiveIllegalVector: 0x40, illegalRegister: 0x80 } as const;

const VERSION = 0x0005_0014; // max LVT entry 5, version 0x14
const SOFTWARE_ENABLE = 0x100;
const MASKED = 0x1_0000;
const REMOTE_IRR = 0x4000;
const LEVEL = 0x8000;
const timerMode = { oneShot: 0, periodic: 1, tscDeadline: 2 } as const;
const NEVER = -1;

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
  initialCount: 0,
  divide: 0,
  /** Machine time at which the count was `initialCount`. */
  countedFrom: 0,
  /** Machine time of the timer's next event, or NEVER. */
  deadline: NEVER as number,
  /** IA32_TSC_DEADLINE, as two words: JSON has no 64-bit numbers. */
  tscDeadline: [0, 0] as [low: number, high: number],
  /** Rising edges of LINT0 and LINT1 already acted on. */
  edgesSeen: [0, 0] as [number, number],
});
type State = ReturnType<typeof reset> & { base: number; enabled: boolean };

export interface LocalApicOptions {
  core: number;
  bootstrap: boolean;
  /** Nanoseconds of machine time per bus clock. */
  clockPeriod: number;
  base: number;
  clock: Clock;
  mailbox: Mailbox;
  bus: InterruptBus;
  /** The timer's deadline; its owner calls `timerExpired`. */
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
  #state: State;

  constructor(options: LocalApicOptions) {
    this.#options = options;
    this.#mailbox = options.mailbox;
    this.#source = `local-apic ${options.core}`;
    this.#registers = new RegisterFile(this.#source, 0x1000, this.#rows(), options.trace, 0, () =>
      this.#error(esr.illegalRegister),
    );
    this.#state = { ...reset(options.core), base: options.base, enabled: true };
    this.reset();
  }

  #rows(): Record<string, Row> {
    const state = () => this.#state;
    const rows: Record<string, Row> = {
      ID: [0x20, 4, { read: () => state().id * 0x100_0000, write: (v) => this.#change({ id: v >>> 24 }) }],
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
      INITIAL_COUNT: [0x380, 4, { read: () => state().initialCount, write: (v) => this.#startTimer(v) }],
      CURRENT_COUNT: [0x390, 4, readOnly(() => this.#currentCount())],
      DIVIDE: [0x3e0, 4, { read: () => state().divide, write: (v) => this.#setDivide(v & 0xb) }],
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

  /** Base of the page, or -1 while the APIC is globally disabled. */
  get page(): number {
    return this.#state.enabled ? this.#state.base : -1;
  }

  get hardwareEnabled(): boolean {
    return this.#state.enabled;
  }

  read(offset: number, size: number): number {
    this.#sample();
    return this.#registers.read(offset, size);
  }

  write(offset: number, size: number, value: number): void {
    this.#sample();
    this.#registers.write(offset, size, value);
  }

  pendingVector(): number {
    if (!this.#state.enabled) return this.#mailbox.pin(0) ? EXTERNAL_VECTOR : -1;
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
      this.#options.endOfInterrupt(vector);
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
    if (index === lvt.timer && modeBits(entry) !== modeBits(before)) this.#disarm();
    if ((index === lvt.thermal || index === lvt.performance) && (entry & MASKED) === 0)
      this.#report(`${lvtEntries[index].name} unmasked, but nothing here ever raises it`);
    this.#lookAgain();
  }

  #setSpurious(value: number): void {
    this.#change({ svr: value & 0x3ff });
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
    this.#state.icrLow = value & 0x000c_cfff;
    const { core } = this.#options;
    const vector = value & 0xff;
    const mode = modeOf(value);
    const assert = (value & 0x4000) !== 0;
    if (mode === delivery.init && !assert && (value & LEVEL) !== 0) return; // INIT level de-assert: nothing since P4
    if (mode === delivery.smi || mode === 3 || mode === delivery.external) {
      this.#report(`ICR delivery mode ${mode} is not implemented`);
      return;
    }
    if ((mode === delivery.fixed || mode === delivery.lowestPriority) && vector < 16) {
      this.#error(esr.sendIllegalVector);
      return;
    }
    const shorthand = (value >>> 18) & 3;
    const everyone = { destination: 0xff, logical: false, mode, vector, level: false };
    switch (shorthand) {
      case 0:
        this.#options.bus.deliver({
          ...everyone,
          destination: this.#state.icrHigh >>> 24,
          logical: (value & 0x800) !== 0,
        });
        return;
      case 1:
        if (mode === delivery.fixed && this.#softwareEnabled()) this.#mailbox.post(vector, false);
        else this.#report(`ICR shorthand self with delivery mode ${mode} dropped`);
        return;
      case 2:
        if (mode === delivery.fixed) this.#options.bus.deliver(everyone);
        else this.#report(`ICR shorthand all including self with delivery mode ${mode} dropped`);
        return;
      default:
        this.#options.bus.deliver({ ...everyone, except: core });
    }
  }

  // --- Timer ---

  #timerMode(): number {
    return modeBits(this.#state.lvt[lvt.timer]);
  }

  /** Nanoseconds of machine time per count. */
  #countPeriod(): number {
    const code = (this.#state.divide & 3) | ((this.#state.divide & 8) >> 1);
    return this.#options.clockPeriod * (code === 7 ? 1 : 2 << code);
  }

  #startTimer(initialCount: number): void {
    if (this.#timerMode() === timerMode.tscDeadline) return; // the SDM: ignored in this mode
    const now = this.#options.clock.now();
    this.#change({ initialCount, countedFrom: now });
    this.#arm(initialCount === 0 ? NEVER : now + Math.ceil(initialCount * this.#countPeriod()));
  }

  #setDivide(divide: number): void {
    if (this.#timerMode() === timerMode.tscDeadline || this.#state.initialCount === 0) {
      this.#state.divide = divide;
      return;
    }
    // The count goes on from where it is, at the new pace.
    const done = this.#state.initialCount - this.#currentCount();
    const running = this.#state.deadline !== NEVER;
    this.#state.divide = divide;
    this.#state.countedFrom = this.#options.clock.now() - Math.floor(done * this.#countPeriod());
    if (running)
      this.#arm(this.#state.countedFrom + Math.ceil(this.#state.initialCount * this.#countPeriod()));
  }

  #currentCount(): number {
    const { initialCount, countedFrom, deadline } = this.#state;
    const mode = this.#timerMode();
    if (mode === timerMode.tscDeadline || initialCount === 0 || deadline === NEVER) return 0;
    const done = Math.floor((this.#options.clock.now() - countedFrom) / this.#countPeriod());
    if (mode === timerMode.periodic) return initialCount - (done % initialCount);
    return Math.max(0, initialCount - done);
  }

  #arm(deadline: number): void {
    this.#state.deadline = deadline;
    this.#options.alarm.set(deadline === NEVER ? Number.POSITIVE_INFINITY : deadline);
  }

  /** "A write to the LVT Timer Register that changes the timer mode disarms the local APIC timer." */
  #disarm(): void {
    this.#change({ initialCount: 0, tscDeadline: [0, 0] });
    this.#arm(NEVER);
  }

  /** The alarm's callback. Periods that went by unseen are one interrupt, as the IRR has one bit. */
  timerExpired(): void {
    if (this.#state.deadline === NEVER) return;
    if (this.#timerMode() === timerMode.periodic) {
      const period = this.#state.initialCount * this.#countPeriod();
      const periods = Math.floor((this.#options.clock.now() - this.#state.countedFrom) / period);
      this.#arm(this.#state.countedFrom + Math.ceil(Math.max(periods + 1, 1) * period));
    } else {
      this.#state.tscDeadline = [0, 0];
      this.#arm(NEVER);
    }
    this.#local(this.#state.lvt[lvt.timer] & (MASKED | 0xff), false);
  }

  tscDeadline(): bigint {
    const [low, high] = this.#state.tscDeadline;
    return (BigInt(high) << 32n) | BigInt(low);
  }

  /** WRMSR; `ticks` is one TSC tick in nanoseconds of machine time. */
  setTscDeadline(value: bigint, tscNow: bigint, tick: number): void {
    if (this.#timerMode() !== timerMode.tscDeadline) return; // the SDM: ignored in the other modes
    this.#state.tscDeadline = [Number(value & 0xffff_ffffn), Number((value >> 32n) & 0xffff_ffffn)];
    const left = Number(value - tscNow) * tick;
    // Beyond a century the deadline is never, and the sum would no longer be an exact integer.
    if (value === 0n || left > 2 ** 52) this.#arm(NEVER);
    else this.#arm(this.#options.clock.now() + Math.max(0, Math.ceil(left)));
  }

  // --- IA32_APIC_BASE, INIT and RESET, snapshot ---

  get base(): bigint {
    const { base, enabled } = this.#state;
    return BigInt(base) | (enabled ? 0x800n : 0n) | (this.#options.bootstrap ? 0x100n : 0n);
  }

  /** WRMSR to IA32_APIC_BASE; false where that is #GP. */
  setBase(value: bigint, physicalAddressBits: number): boolean {
    const reserved = (value & 0x2ffn) | (value >> BigInt(physicalAddressBits));
    if (reserved !== 0n) return false;
    if ((value & 0x400n) !== 0n) {
      this.#report("x2APIC mode is not implemented");
      return false;
    }
    const enabled = (value & 0x800n) !== 0n;
    const wasEnabled = this.#state.enabled;
    this.#state.base = Number(value & ~0xfffn);
    this.#state.enabled = enabled;
    if (enabled && !wasEnabled) this.init(); // comes back as after power-up
    this.#publish();
    return true;
  }

  /** INIT: as after power-up, but the ID and IA32_APIC_BASE stay. */
  init(): void {
    const { id, base, enabled } = this.#state;
    this.#state = { ...reset(id), base, enabled };
    this.#state.edgesSeen = [this.#mailbox.pinEdges(0), this.#mailbox.pinEdges(1)];
    this.#mailbox.clearRequests();
    this.#arm(NEVER);
    this.#publish();
  }

  reset(): void {
    this.#state = { ...reset(this.#options.core), base: this.#options.base, enabled: true };
    this.init();
  }

  snapshot(): State {
    return structuredClone(this.#state);
  }

  /** The mailbox is restored by its owner, before this. */
  restore(state: object): void {
    this.#state = structuredClone(state) as State;
    this.#arm(this.#state.deadline);
    this.#publish();
  }

  #change(next: Partial<State>): void {
    Object.assign(this.#state, next);
    this.#publish();
  }

  #publish(): void {
    const { id, ldr, dfr, tpr, enabled } = this.#state;
    this.#mailbox.publish(id, ldr, dfr, tpr, enabled, this.#softwareEnabled());
  }

  #report(text: string): void {
    this.#options.trace(this.#source, text);
  }
}

/** Delivery mode of an LVT entry or of the ICR. */
const modeOf = (entry: number): number => (entry >> 8) & 7;
/** Timer mode of the timer's LVT entry. */
const modeBits = (entry: number): number => (entry >> 17) & 3;

export const describeMessage = (m: InterruptMessage): string =>
  `mode ${m.mode} vector ${hex(m.vector)} to ${m.logical ? "logical" : "physical"} ${hex(m.destination)}`;
