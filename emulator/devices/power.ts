// The ways in which a machine ends or starts again, and the A20 gate: system control port A (0x92, IBM PS/2), the reset
// control register (0xCF9, Intel ICH9 data sheet) and the exit port (0xF4, QEMU's isa-debug-exit).

import { RegisterFile, type Row, type Trace } from "./device.js";

export interface PowerActions {
  /** INIT# to every processor; memory and devices stay. */
  initialise(): void;
  /** RESET of the whole machine. */
  reset(): void;
  /** The guest is done, with this status. */
  exit(code: number): void;
  /** The A20 gate moved. */
  a20(open: boolean): void;
}

/** A20 is open while port 92 or the keyboard controller opens it; port 92 does at RESET. */
const reset = () => ({ controlA: 2, keyboardA20: false, resetControl: 0 });
type State = ReturnType<typeof reset>;

const A20 = 2;
const INIT_NOW = 1;
const SYSTEM_RESET = 2;
const RESET_CPU = 4;

export class Power {
  readonly controlA: RegisterFile;
  readonly resetControl: RegisterFile;
  readonly exit: RegisterFile;
  readonly #actions: PowerActions;
  #state = reset();

  constructor(actions: PowerActions, trace: Trace) {
    this.#actions = actions;
    const state = () => this.#state;
    this.controlA = new RegisterFile(
      "port92",
      1,
      { PORT92: [0, 1, { read: () => state().controlA, write: (v) => this.#setControlA(v) }] },
      trace,
    );
    this.resetControl = new RegisterFile(
      "reset-control",
      1,
      { RST_CNT: [0, 1, { read: () => state().resetControl, write: (v) => this.#setResetControl(v) }] },
      trace,
    );
    const exit = (code: number) => actions.exit(code);
    // A status of 4 bytes is as good; the lowest counts.
    const upper = { write: () => {} };
    const rows: Record<string, Row> = {
      STATUS: [0, 1, { write: exit }],
      STATUS_15_8: [1, 1, upper],
      STATUS_31_16: [2, 2, upper],
    };
    this.exit = new RegisterFile("exit", 4, rows, trace, 0xffff_ffff);
  }

  get a20Open(): boolean {
    return this.#state.keyboardA20 || (this.#state.controlA & A20) !== 0;
  }

  /** The keyboard controller's half of the gate. */
  keyboardA20(open: boolean): void {
    this.#gate({ keyboardA20: open });
  }

  #gate(next: Partial<State>): void {
    const before = this.a20Open;
    Object.assign(this.#state, next);
    if (this.a20Open !== before) this.#actions.a20(this.a20Open);
  }

  #setControlA(value: number): void {
    const before = this.#state.controlA;
    this.#gate({ controlA: value & (A20 | INIT_NOW) });
    if ((value & ~before & INIT_NOW) !== 0) this.#actions.initialise();
  }

  /** "RST_CPU: when this bit transitions from a 0 to a 1, it initiates a hard or soft reset", by SYS_RST. */
  #setResetControl(value: number): void {
    const starts = (value & ~this.#state.resetControl & RESET_CPU) !== 0;
    this.#state.resetControl = value & 0x0e;
    if (!starts) return;
    if ((value & SYSTEM_RESET) !== 0) this.#actions.reset();
    else this.#actions.initialise();
  }

  reset(): void {
    const wasOpen = this.a20Open;
    this.#state = reset();
    if (!wasOpen) this.#actions.a20(true);
  }

  snapshot(): State {
    return { ...this.#state };
  }

  /** The receiver of the A20 gate restores its own view. */
  restore(state: object): void {
    this.#state = { ...(state as State) };
  }
}
