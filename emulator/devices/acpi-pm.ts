// ACPI fixed hardware: the PM1a event and control registers and the power management timer. ACPI 6.4,
// section 4.8 "ACPI Register Model". The board has no SMI command port, so the machine is always in ACPI
// mode and SCI_EN reads as 1. Sleeping: S3 (all but memory loses its state; power button and clock wake, and a wake-up
// is a RESET) and S5 (power off); the other sleep types are named and traced.
// Invariants: `sci` is asserted exactly while an enabled status bit is set; nobody sleeps on while one that wakes is.

import { ticksAt, timeOfTick } from "../clock.js";
import { type Alarm, type Clock, Line, RegisterFile, type Trace } from "./device.js";

const status = {
  timer: 1,
  busMaster: 0x10,
  global: 0x20,
  powerButton: 0x100,
  rtc: 0x400,
  wake: 0x8000,
} as const;
/** Enable bits that exist: timer, global lock, power button, real-time clock. */
const ENABLES = status.timer | status.global | status.powerButton | status.rtc;
const WAKING = status.powerButton | status.rtc;
const CLEARABLE = ENABLES | status.busMaster | status.wake;
const SCI_ENABLE = 1;
const GLOBAL_RELEASE = 4;
const SLEEP_ENABLE = 0x2000;
/** Control bits that are kept: BM_RLD and SLP_TYP. GBL_RLS and SLP_EN are commands and read as zero. */
const CONTROL_KEPT = 0x1c02;
/** The timer has 24 bits; its status bit is set whenever the highest one changes. */
const TIMER_BITS = 24;
const TIMER_HALF = 2 ** (TIMER_BITS - 1);

const reset = () => ({ status: 0, enable: 0, control: 0, halves: 0, asleep: false });
type State = ReturnType<typeof reset>;

/** SLP_TYP of S5 and S3, which the DSDT's packages repeat; as on QEMU's boards. */
export const SLEEP_TYPE_OFF = 0;
export const SLEEP_TYPE_RAM = 1;

export interface SleepStates {
  off(): void;
  /** S3 begins; `wake` may come at once. */
  sleep(): void;
  wake(): void;
}

export class AcpiPm {
  readonly sci = new Line();
  readonly registers: RegisterFile;
  readonly #hertz: number;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #states: SleepStates;
  readonly #trace: Trace;
  #state = reset();

  constructor(hertz: number, clock: Clock, alarm: Alarm, states: SleepStates, trace: Trace) {
    this.#hertz = hertz;
    this.#clock = clock;
    this.#alarm = alarm;
    this.#states = states;
    this.#trace = trace;
    this.registers = new RegisterFile(
      "acpi-pm",
      12,
      {
        // A status bit is cleared by writing 1 to it, so bytes that are not written must not be merged in.
        PM1_STS_LOW: [0, 1, { read: () => this.#readStatus() & 0xff, write: (v) => this.#clear(v) }],
        PM1_STS_HIGH: [1, 1, { read: () => this.#readStatus() >> 8, write: (v) => this.#clear(v << 8) }],
        PM1_EN: [
          2,
          2,
          {
            read: () => this.#state.enable,
            write: (v) => this.#change({ enable: v & ENABLES }),
            bytewise: true,
          },
        ],
        PM1_CNT: [4, 2, { read: () => this.#control(), write: (v) => this.#setControl(v), bytewise: true }],
        PM_TMR: [8, 4, { read: () => this.#ticks() % 2 ** TIMER_BITS }],
      },
      trace,
      0,
    );
  }

  /** The user presses the power button. */
  pressPowerButton(): void {
    this.#change({ status: this.#state.status | status.powerButton });
  }

  get asleep(): boolean {
    return this.#state.asleep;
  }

  get powerButtonHeard(): boolean {
    return (this.#state.enable & status.powerButton) !== 0;
  }

  /** The real-time clock asserts its interrupt. */
  clockAlarm(): void {
    this.#change({ status: this.#state.status | status.rtc });
  }

  /** The alarm's callback: the timer's highest bit has changed. */
  timerExpired(): void {
    this.#change({});
  }

  #ticks(): number {
    return ticksAt(this.#clock.now(), this.#hertz);
  }

  #readStatus(): number {
    this.#change({});
    return this.#state.status;
  }

  #clear(bits: number): void {
    this.#change({});
    this.#change({ status: this.#state.status & ~(bits & CLEARABLE) });
  }

  #control(): number {
    return this.#state.control | SCI_ENABLE;
  }

  #setControl(value: number): void {
    this.#change({ control: value & CONTROL_KEPT });
    if ((value & GLOBAL_RELEASE) !== 0) this.#trace("acpi-pm", "PM1_CNT: GBL_RLS is not implemented");
    if ((value & SLEEP_ENABLE) === 0) return;
    const type = (value >> 10) & 7;
    if (type === SLEEP_TYPE_OFF) this.#states.off();
    else if (type === SLEEP_TYPE_RAM) this.#sleep();
    else this.#trace("acpi-pm", `sleep type ${type} is not implemented; only S3 and S5 are`);
  }

  #sleep(): void {
    this.#states.sleep();
    this.#change({ asleep: true });
  }

  /** Counts the half periods that have gone by, then moves line and alarm: the only place where they move. */
  #change(next: Partial<State>): void {
    Object.assign(this.#state, next);
    const halves = Math.floor(this.#ticks() / TIMER_HALF);
    if (halves !== this.#state.halves) this.#state.status |= status.timer;
    this.#state.halves = halves;
    this.#setAlarm();
    this.sci.set(interrupting(this.#state));
    if (!this.#state.asleep || !interrupting(this.#state, WAKING)) return;
    this.#state.asleep = false;
    this.#state.status |= status.wake;
    this.#states.wake();
  }

  /** Time matters only to a guest that waits for the interrupt. */
  #setAlarm(): void {
    const waits = (this.#state.enable & ~this.#state.status & status.timer) !== 0;
    const next = timeOfTick((this.#state.halves + 1) * TIMER_HALF, this.#hertz);
    this.#alarm.set(waits ? next : Number.POSITIVE_INFINITY);
  }

  /** What woke the machine is told behind the RESET that follows. */
  reset(): void {
    const { status: told } = this.#state;
    const woken = (told & status.wake) === 0 ? 0 : told;
    this.#state = { ...reset(), status: woken, halves: Math.floor(this.#ticks() / TIMER_HALF) };
    this.#change({});
  }

  snapshot(): State {
    return { ...this.#state };
  }

  restore(state: object): void {
    this.#state = { ...(state as State) };
    this.#setAlarm();
    this.sci.settle(interrupting(this.#state));
  }
}

const interrupting = ({ status: raised, enable }: State, among = ENABLES) => (raised & enable & among) !== 0;
