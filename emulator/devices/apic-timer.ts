// The local APIC's timer: Intel SDM vol. 3A, "APIC Timer", one-shot, periodic and TSC-deadline mode. Nothing
// counts: the current count is a function of machine time and of the moment at which counting began.
// Invariant: the alarm stands at `deadline`; a deadline that has passed has rung.

import type { Alarm, Clock } from "./device.js";

/** LVT timer bits 18-17. */
export const timerMode = { oneShot: 0, periodic: 1, tscDeadline: 2 } as const;
const NEVER = -1;
/** Beyond a century of nanoseconds a deadline is never: the sum would no longer be an exact integer. */
const NANOSECONDS_MAX = 2 ** 52;

export const resetTimer = () => ({
  initialCount: 0,
  divide: 0,
  /** Machine time at which the count was `initialCount`. */
  countedFrom: 0,
  /** Machine time of the next event, or NEVER. */
  deadline: NEVER as number,
  /** IA32_TSC_DEADLINE, as two words: JSON has no 64-bit numbers. */
  tscDeadline: [0, 0] as [low: number, high: number],
});
export type TimerState = ReturnType<typeof resetTimer>;

export class ApicTimer {
  readonly #clockPeriod: number;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #mode: () => number;
  readonly #ring: () => void;
  state = resetTimer();

  /** `clockPeriod`: nanoseconds of machine time per bus clock. `mode`: of the LVT entry. `ring`: it fires. */
  constructor(clockPeriod: number, clock: Clock, alarm: Alarm, mode: () => number, ring: () => void) {
    this.#clockPeriod = clockPeriod;
    this.#clock = clock;
    this.#alarm = alarm;
    this.#mode = mode;
    this.#ring = ring;
  }

  /**
   * The LVT entry's mode is a new one. "Transitioning between TSC-deadline mode and other timer modes also disarms
   * the timer"; between one-shot and periodic the count goes on.
   */
  modeChanged(before: number): void {
    const mode = this.#mode();
    if (mode === before) return;
    // A count that has come to its end stays there, also where nobody has run the alarms since.
    const { deadline } = this.state;
    if (before === timerMode.oneShot && deadline !== NEVER && deadline <= this.#clock.now()) {
      this.#arm(NEVER);
      this.#ring();
    }
    if (mode === timerMode.tscDeadline || before === timerMode.tscDeadline) {
      Object.assign(this.state, { initialCount: 0, tscDeadline: [0, 0] });
      this.#arm(NEVER);
    } else if (before === timerMode.periodic && this.state.deadline !== NEVER) {
      const period = this.state.initialCount * this.#countPeriod();
      const { countedFrom } = this.state;
      this.state.countedFrom += Math.floor((this.#clock.now() - countedFrom) / period) * period;
    }
  }

  get initialCount(): number {
    return this.state.initialCount;
  }

  set initialCount(count: number) {
    if (this.#mode() === timerMode.tscDeadline) return; // the SDM: ignored in this mode
    const now = this.#clock.now();
    Object.assign(this.state, { initialCount: count, countedFrom: now });
    this.#arm(count === 0 ? NEVER : now + Math.ceil(count * this.#countPeriod()));
  }

  get divide(): number {
    return this.state.divide;
  }

  /** The count goes on from where it is, at the new pace. */
  set divide(divide: number) {
    const { state } = this;
    if (this.#mode() === timerMode.tscDeadline || state.deadline === NEVER) {
      state.divide = divide;
      return;
    }
    const done = state.initialCount - this.currentCount();
    state.divide = divide;
    state.countedFrom = this.#clock.now() - Math.floor(done * this.#countPeriod());
    this.#arm(state.countedFrom + Math.ceil(state.initialCount * this.#countPeriod()));
  }

  currentCount(): number {
    const { initialCount, countedFrom, deadline } = this.state;
    const mode = this.#mode();
    if (mode === timerMode.tscDeadline || initialCount === 0 || deadline === NEVER) return 0;
    const done = Math.floor((this.#clock.now() - countedFrom) / this.#countPeriod());
    if (mode === timerMode.periodic) return initialCount - (done % initialCount);
    return Math.max(0, initialCount - done);
  }

  /** Nanoseconds of machine time per count: divide by 2, 4, ... 128, or 1. */
  #countPeriod(): number {
    const code = (this.state.divide & 3) | ((this.state.divide & 8) >> 1);
    return this.#clockPeriod * (code === 7 ? 1 : 2 << code);
  }

  get tscDeadline(): readonly [low: number, high: number] {
    return this.state.tscDeadline;
  }

  /** WRMSR of IA32_TSC_DEADLINE; `left`: nanoseconds until the TSC is there, 0 or less where it has been. */
  setTscDeadline(low: number, high: number, left: number): void {
    if (this.#mode() !== timerMode.tscDeadline) return; // the SDM: ignored in the other modes
    this.state.tscDeadline = [low, high];
    const never = (low === 0 && high === 0) || left > NANOSECONDS_MAX;
    this.#arm(never ? NEVER : this.#clock.now() + Math.max(0, Math.ceil(left)));
    // What is due already does not wait for whoever runs the alarms.
    if (!never && left <= 0) this.expired();
  }

  /** The alarm's callback. Periods that went by unseen are one interrupt, as the IRR has one bit. */
  expired(): void {
    const { state } = this;
    if (state.deadline === NEVER) return;
    if (this.#mode() === timerMode.periodic) {
      const period = state.initialCount * this.#countPeriod();
      const periods = Math.floor((this.#clock.now() - state.countedFrom) / period);
      this.#arm(state.countedFrom + Math.ceil(Math.max(periods + 1, 1) * period));
    } else {
      state.tscDeadline = [0, 0];
      this.#arm(NEVER);
    }
    this.#ring();
  }

  reset(): void {
    this.state = resetTimer();
    this.#arm(NEVER);
  }

  restore(state: TimerState): void {
    this.state = state;
    this.#arm(state.deadline);
  }

  #arm(deadline: number): void {
    this.state.deadline = deadline;
    this.#alarm.set(deadline === NEVER ? Number.POSITIVE_INFINITY : deadline);
  }
}
