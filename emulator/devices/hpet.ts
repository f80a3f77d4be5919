// The high precision event timers: IA-PC HPET Specification 1.0a. A 64-bit counter of 100 MHz and three timers, each
// one-shot or periodic, edge or level, on an I/O APIC pin, by message (FSB), or in place of PIT and RTC (legacy
// replacement). Nothing counts: the counter is a function of machine time.
// An edge-triggered output stays asserted until its next edge, since an 8259 wants its inputs held until INTA.
// Invariant: a level-triggered timer asserts its output exactly while its status bit is set and it is enabled.

import { type Alarm, type Clock, RegisterFile, type Row, type Trace } from "./device.js";

export const BYTES = 0x400;
const TIMERS = 3;
const NANOSECONDS_A_TICK = 10;
const FEMTOSECONDS_A_TICK = 10_000_000;
const REVISION = 1;
const VENDOR = 0x1b36;
/** GCAP_ID, low half: legacy replacement, 64 bits, three timers. The ACPI table repeats it. */
export const BLOCK_ID = ((VENDOR << 16) | 0x8000 | 0x2000 | ((TIMERS - 1) << 8) | REVISION) >>> 0;
/** I/O APIC pins that a timer may be routed to: 20 to 23, which nobody else uses. */
const ROUTES = 0x00f0_0000;

const general = { enable: 1, legacy: 2 } as const;
const config = { level: 2, enable: 4, periodic: 8, set: 0x40, mode32: 0x100, fsb: 0x4000 } as const;
/** Periodic, 64 bits, messages: what each timer can do. */
const CAPABILITIES = 0x10 | 0x20 | 0x8000;
const ROUTE_BITS = 0x3e00;
const WRITABLE =
  config.level | config.enable | config.periodic | config.set | config.mode32 | ROUTE_BITS | config.fsb;
const routeOf = (bits: number): number => (bits >> 9) & 31;

/** Outputs: I/O APIC pins by number, then the two lines of legacy replacement. */
const LEGACY = 32;
export type LegacyLine = 0 | 1;
const OUTPUTS = LEGACY + 2;

const TWO_32 = 1n << 32n;
const MASK_64 = (1n << 64n) - 1n;
/** Deadlines beyond this many ticks never come (and would not be exact integers of nanoseconds). */
const TICKS_MAX = 2n ** 48n;

const resetTimer = () => ({
  config: 0,
  comparator: MASK_64,
  period: 0n,
  fsb: [0, 0] as [value: number, address: number],
  /** The comparator's low half was just set together with the accumulator: its high half is to follow. */
  setsHigh: false,
  /** Tick of machine time at which it next matches; -1 for never. */
  match: -1,
  /** Tick of its last match, so that one tick matches once. */
  matched: -1,
});
type HpetTimer = ReturnType<typeof resetTimer>;

const reset = () => ({
  config: 0,
  status: 0,
  /** Edge-triggered timers, as bits, whose output is asserted. */
  raised: 0,
  /** Counter at tick `from` of machine time, from which it counts while enabled. */
  counter: 0n,
  from: 0,
  /** High half of the counter as it was when the low one was read, and when that was. */
  latched: [0, -1] as [high: number, tick: number],
  timers: Array.from({ length: TIMERS }, resetTimer),
});
type State = ReturnType<typeof reset>;

export interface HpetOutputs {
  /** I/O APIC pin. */
  pin(pin: number, level: boolean): void;
  /** In place of the PIT (0) and the RTC (1), while `legacyReplacement` is set. */
  legacy(line: LegacyLine, level: boolean): void;
  /** Legacy replacement began or ended. */
  legacyReplacement(on: boolean): void;
  message(address: number, data: number): void;
}

export class Hpet {
  readonly registers: RegisterFile;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #outputs: HpetOutputs;
  readonly #driven = new Array<boolean>(OUTPUTS).fill(false);
  #state = reset();

  constructor(clock: Clock, alarm: Alarm, outputs: HpetOutputs, trace: Trace) {
    this.#clock = clock;
    this.#alarm = alarm;
    this.#outputs = outputs;
    this.registers = new RegisterFile("hpet", BYTES, this.#rows(), trace);
  }

  #rows(): Record<string, Row> {
    const rows: Record<string, Row> = {
      GCAP_ID: [0x00, 4, { read: () => BLOCK_ID }],
      COUNTER_CLK_PERIOD: [0x04, 4, { read: () => FEMTOSECONDS_A_TICK }],
      GEN_CONF: [
        0x10,
        4,
        { read: () => this.#state.config, write: (v) => this.#setGeneral(v), bytewise: true },
      ],
      GEN_CONF_HIGH: [0x14, 4, reserved],
      GINTR_STA: [0x20, 4, { read: () => this.#status(), write: (v) => this.#clearStatus(v) }],
      GINTR_STA_HIGH: [0x24, 4, reserved],
      MAIN_CNT: [0xf0, 4, { read: () => this.#readCounter(), write: (v) => this.#setCounter(v, 0) }],
      MAIN_CNT_HIGH: [0xf4, 4, { read: () => this.#readCounterHigh(), write: (v) => this.#setCounter(v, 1) }],
    };
    for (let index = 0; index < TIMERS; index++) {
      const timer = () => this.#state.timers[index];
      const half = (which: 0 | 1) => ({
        read: () => {
          this.timerExpired();
          return halfOf(timer().comparator, which);
        },
        write: (value: number) => this.#setComparator(timer(), value, which),
      });
      const fsb = (which: 0 | 1) => ({
        read: () => timer().fsb[which],
        write: (value: number) => {
          timer().fsb[which] = value;
        },
      });
      const at = 0x100 + 0x20 * index;
      const conf = {
        read: () => timer().config | CAPABILITIES,
        write: (value: number) => this.#setConfig(index, value),
        bytewise: true as const,
      };
      rows[`T${index}_CONF`] = [at, 4, conf];
      rows[`T${index}_INT_ROUTE_CAP`] = [at + 4, 4, { read: () => ROUTES, write: () => {} }];
      rows[`T${index}_CMP`] = [at + 8, 4, half(0)];
      rows[`T${index}_CMP_HIGH`] = [at + 12, 4, half(1)];
      rows[`T${index}_FSB_VAL`] = [at + 16, 4, fsb(0)];
      rows[`T${index}_FSB_ADDR`] = [at + 20, 4, fsb(1)];
    }
    return rows;
  }

  // --- The counter ---

  #tick(): number {
    return Math.floor(this.#clock.now() / NANOSECONDS_A_TICK);
  }

  #counter(tick = this.#tick()): bigint {
    const { config: bits, counter, from } = this.#state;
    return (bits & general.enable) === 0 ? counter : (counter + BigInt(tick - from)) & MASK_64;
  }

  /** An 8-byte read comes as two of 4, low first: the high half is kept for a moment, so that they fit. */
  #readCounter(): number {
    const tick = this.#tick();
    const counter = this.#counter(tick);
    this.#state.latched = [halfOf(counter, 1), tick];
    return halfOf(counter, 0);
  }

  #readCounterHigh(): number {
    const [high, tick] = this.#state.latched;
    const fresh = tick >= 0 && this.#tick() - tick < 100;
    this.#state.latched = [0, -1];
    return fresh ? high : halfOf(this.#counter(), 1);
  }

  /** "Writes to this register should only be done while the counter is halted." */
  #setCounter(value: number, which: 0 | 1): void {
    const counter = withHalf(this.#counter(), which, value);
    Object.assign(this.#state, { counter, from: this.#tick() });
    this.#matchAll();
  }

  #setGeneral(value: number): void {
    this.timerExpired();
    const before = this.#state.config;
    const counter = this.#counter();
    Object.assign(this.#state, {
      config: value & (general.enable | general.legacy),
      counter,
      from: this.#tick(),
    });
    this.#matchAll();
    const changed = ((before ^ value) & general.legacy) !== 0;
    // An edge that has been is no other one when the timers go on, or on another line.
    if (changed || (value & general.enable) === 0) this.#state.raised = 0;
    // The lines change hands while nobody asserts them.
    if (changed && this.legacy) this.#outputs.legacyReplacement(true);
    this.#drive();
    if (changed && !this.legacy) this.#outputs.legacyReplacement(false);
  }

  #status(): number {
    this.timerExpired();
    return this.#state.status;
  }

  #clearStatus(bits: number): void {
    this.timerExpired();
    this.#state.status &= ~bits;
    this.#drive();
  }

  // --- The timers ---

  #setConfig(index: number, value: number): void {
    this.timerExpired();
    const timer = this.#state.timers[index];
    this.#state.raised &= ~(1 << index);
    // "If the value is not supported by this particular timer, then the value read back will not match what is written."
    const route = (ROUTES & (1 << routeOf(value))) !== 0 ? value : timer.config;
    timer.config = (value & WRITABLE & ~ROUTE_BITS) | (route & ROUTE_BITS);
    narrow(timer);
    this.#matchAll();
    this.#drive();
  }

  /**
   * In periodic mode a write is the period; with Tn_VAL_SET_CNF, which it clears, the comparator as well. A
   * one-shot timer's comparator is what is written.
   */
  #setComparator(timer: HpetTimer, value: number, which: 0 | 1): void {
    this.timerExpired();
    const periodic = (timer.config & config.periodic) !== 0;
    const sets = (timer.config & config.set) !== 0 || (which === 1 && timer.setsHigh);
    timer.config &= ~config.set;
    timer.setsHigh = sets && which === 0;
    if (!periodic || sets) timer.comparator = withHalf(timer.comparator, which, value);
    if (periodic) timer.period = withHalf(timer.period, which, value);
    narrow(timer);
    this.#matchAll();
  }

  /** Finds when each timer matches next, and sets the alarm to the first of them. */
  #matchAll(): void {
    const tick = this.#tick();
    const counter = this.#counter(tick);
    const runs = (this.#state.config & general.enable) !== 0;
    for (const timer of this.#state.timers) {
      const mask = (timer.config & config.mode32) !== 0 ? TWO_32 - 1n : MASK_64;
      const left = (timer.comparator - counter) & mask;
      const again = left === 0n && timer.matched === tick;
      const waits = runs && left < TICKS_MAX && !again;
      timer.match = waits ? tick + Number(left) : -1;
    }
    this.#setAlarm();
  }

  /** Matches without an interrupt are found when somebody looks. */
  #setAlarm(): void {
    const interrupting = this.#state.timers.filter((timer) => (timer.config & config.enable) !== 0);
    const matches = interrupting.map(({ match }) => match).filter((match) => match >= 0);
    this.#alarm.set(Math.min(...matches) * NANOSECONDS_A_TICK); // of none, Infinity
  }

  /** The alarm's callback. */
  timerExpired(): void {
    const tick = this.#tick();
    for (const [index, timer] of this.#state.timers.entries())
      if (timer.match >= 0 && timer.match <= tick) this.#matched(index, timer, tick);
    this.#setAlarm();
  }

  /** Matches that went by unseen are one. */
  #matched(index: number, timer: HpetTimer, tick: number): void {
    const { period, match } = timer;
    const mode32 = (timer.config & config.mode32) !== 0;
    timer.matched = tick;
    timer.match = mode32 ? match + 2 ** 32 : -1; // a one-shot timer matches again when the counter has wrapped
    if ((timer.config & config.periodic) !== 0) {
      timer.match = -1;
      if (period > 0n) {
        const periods = BigInt(tick - match) / period + 1n;
        timer.comparator = (timer.comparator + periods * period) & (mode32 ? TWO_32 - 1n : MASK_64);
        if (period < TICKS_MAX) timer.match = match + Number(periods * period);
      }
    }
    this.#interrupt(index, timer);
  }

  /** Tn_INT_ENB_CNF 0: "the timer will still operate and generate appropriate status bits, but will not cause an interrupt". */
  #interrupt(index: number, timer: HpetTimer): void {
    if ((timer.config & config.enable) === 0) {
      if ((timer.config & config.level) !== 0) this.#state.status |= 1 << index;
    } else if ((timer.config & config.fsb) !== 0) {
      const [value, address] = timer.fsb;
      this.#outputs.message(address, value);
    } else if ((timer.config & config.level) !== 0) {
      this.#state.status |= 1 << index;
      this.#drive();
    } else {
      this.#set(this.#output(index, timer), false);
      this.#state.raised |= 1 << index;
      this.#drive();
    }
  }

  /** "If LEG_RT_CNF is set, timer 0 is routed to IRQ0 ..., timer 1 to IRQ8"; the others as they say themselves. */
  #output(index: number, timer: HpetTimer): number {
    const legacy = (this.#state.config & general.legacy) !== 0 && index < 2;
    return legacy ? LEGACY + index : routeOf(timer.config);
  }

  /** Outputs as they must stand; an edge goes down for a moment before (#interrupt). */
  #drive(): void {
    const levels = new Array<boolean>(OUTPUTS).fill(false);
    if ((this.#state.config & general.enable) !== 0)
      for (const [index, timer] of this.#state.timers.entries()) {
        const waiting = (timer.config & config.level) !== 0 ? this.#state.status : this.#state.raised;
        const asserts = (waiting & (1 << index)) !== 0 && (timer.config & config.enable) !== 0;
        if (asserts && (timer.config & config.fsb) === 0) levels[this.#output(index, timer)] = true;
      }
    for (const [output, level] of levels.entries()) this.#set(output, level);
  }

  #set(output: number, level: boolean): void {
    if (this.#driven[output] === level) return;
    this.#driven[output] = level;
    if (output >= LEGACY) this.#outputs.legacy((output - LEGACY) as LegacyLine, level);
    else if ((ROUTES & (1 << output)) !== 0) this.#outputs.pin(output, level);
  }

  // --- Life ---

  reset(): void {
    const { legacy } = this;
    this.#state = { ...reset(), from: this.#tick() };
    this.#drive();
    if (legacy) this.#outputs.legacyReplacement(false);
    this.#setAlarm();
  }

  /** Legacy replacement is on. */
  get legacy(): boolean {
    return (this.#state.config & general.legacy) !== 0;
  }

  snapshot(): object {
    const { counter, timers, ...own } = structuredClone(this.#state);
    const numbers = timers.map((timer) => ({
      ...timer,
      comparator: `${timer.comparator}`,
      period: `${timer.period}`,
    }));
    return { ...own, counter: `${counter}`, timers: numbers, driven: [...this.#driven] };
  }

  /** The receivers of its outputs restore their own views. */
  restore(state: object): void {
    const saved = structuredClone(state) as Omit<State, "counter" | "timers"> & {
      counter: string;
      timers: (Omit<HpetTimer, "comparator" | "period"> & { comparator: string; period: string })[];
      driven: boolean[];
    };
    const { driven, ...own } = saved;
    this.#state = {
      ...own,
      counter: BigInt(saved.counter),
      timers: saved.timers.map((timer) => ({
        ...timer,
        comparator: BigInt(timer.comparator),
        period: BigInt(timer.period),
      })),
    };
    for (const [output, level] of driven.entries()) this.#driven[output] = level;
    this.#setAlarm();
  }
}

/** A timer of 32 bits has no upper halves. */
function narrow(timer: HpetTimer): void {
  if ((timer.config & config.mode32) === 0) return;
  timer.comparator &= TWO_32 - 1n;
  timer.period &= TWO_32 - 1n;
}
const reserved = { read: () => 0, write: () => {} };
const halfOf = (value: bigint, which: 0 | 1): number =>
  Number(which === 0 ? value & (TWO_32 - 1n) : value >> 32n);
const withHalf = (value: bigint, which: 0 | 1, half: number): bigint =>
  which === 0
    ? (value & ~(TWO_32 - 1n) & MASK_64) | BigInt(half)
    : (value & (TWO_32 - 1n)) | (BigInt(half) << 32n);
