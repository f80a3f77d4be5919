// A two-button mouse on the PS/2 serial line, which nobody moves: what it says are its answers. IBM PS/2 Hardware Interface
// Technical Reference, "Mouse", Commands.
// Invariant: every byte from the controller is answered; in wrap mode by itself, but for the two commands that end it.

import type { Trace } from "./device.js";
import { ACKNOWLEDGE, type Ps2Device, RESEND, TEST_PASSED } from "./ps2-keyboard.js";

const ERROR = 0xfc;
const IDENTITY = 0;
const command = { resolution: 0xe8, endWrap: 0xec, rate: 0xf3, reset: 0xff } as const;
const RESOLUTIONS = [0, 1, 2, 3];
const RATES = [10, 20, 40, 60, 80, 100, 200];
const status = { remote: 0x40, enabled: 0x20, twoToOne: 0x10 } as const;
/** A report of no movement and no button; bit 3 is always 1. */
const STILL = [0x08, 0, 0] as const;

/** What RESET and "set default" go back to: 4 counts a millimetre, 100 reports a second, stream mode, disabled. */
const defaults = () => ({ status: 0, resolution: 2, rate: 100 });
const reset = () => ({
  ...defaults(),
  wrap: false,
  /** The command whose option is awaited, or 0. */
  pending: 0,
  /** The byte before was invalid: a second one in a row is answered otherwise. */
  refused: false,
  waiting: [] as number[],
  /** What was answered last, for "resend". */
  last: [] as number[],
});

export class Ps2Mouse implements Ps2Device {
  readonly #trace: Trace;
  #state = reset();

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  readonly #commands: Readonly<Record<number, () => void>> = {
    230: () => this.#status(0, status.twoToOne),
    231: () => this.#status(status.twoToOne, 0),
    232: () => this.#await(command.resolution),
    233: () => this.#answer(ACKNOWLEDGE, this.#state.status, this.#state.resolution, this.#state.rate),
    234: () => this.#status(0, status.remote),
    235: () => this.#answer(ACKNOWLEDGE, ...STILL),
    236: () => this.#wrap(false),
    238: () => this.#wrap(true),
    240: () => this.#status(status.remote, 0),
    242: () => this.#answer(ACKNOWLEDGE, IDENTITY),
    243: () => this.#await(command.rate),
    244: () => this.#status(status.enabled, 0),
    245: () => this.#status(0, status.enabled),
    246: () => {
      Object.assign(this.#state, defaults());
      this.#answer(ACKNOWLEDGE);
    },
    254: () => this.#answer(...this.#state.last),
    255: () => {
      this.#state = reset();
      this.#answer(ACKNOWLEDGE, TEST_PASSED, IDENTITY);
    },
  };

  /** What each option may be. */
  readonly #options: Readonly<Record<number, { values: readonly number[]; set: (value: number) => void }>> = {
    [command.resolution]: {
      values: RESOLUTIONS,
      set: (resolution) => Object.assign(this.#state, { resolution }),
    },
    [command.rate]: { values: RATES, set: (rate) => Object.assign(this.#state, { rate }) },
  };

  receive(byte: number): void {
    const { pending, wrap } = this.#state;
    // A new byte ends the answer to the one before.
    this.#state.waiting = [];
    if (wrap && byte !== command.endWrap && byte !== command.reset) this.#answer(byte);
    else if (pending !== 0) this.#option(pending, byte);
    else if (this.#commands[byte] !== undefined) {
      this.#state.refused = false;
      this.#commands[byte]();
    } else this.#refuse(byte);
  }

  #option(pending: number, byte: number): void {
    const { values, set } = this.#options[pending];
    if (!values.includes(byte)) {
      this.#refuse(byte);
      return;
    }
    Object.assign(this.#state, { pending: 0, refused: false });
    set(byte);
    this.#answer(ACKNOWLEDGE);
  }

  /** Once the sender may try again, a second time the command is over. */
  #refuse(byte: number): void {
    const { refused } = this.#state;
    this.#trace("mouse", `0x${byte.toString(16)} is invalid here`);
    this.#state.refused = !refused;
    if (refused) this.#state.pending = 0;
    this.#state.waiting.push(refused ? ERROR : RESEND);
  }

  #status(set: number, clear: number): void {
    this.#state.status = (this.#state.status | set) & ~clear;
    this.#answer(ACKNOWLEDGE);
  }

  #wrap(wrap: boolean): void {
    this.#state.wrap = wrap;
    this.#answer(ACKNOWLEDGE);
  }

  #await(pending: number): void {
    this.#state.pending = pending;
    this.#answer(ACKNOWLEDGE);
  }

  #answer(...bytes: number[]): void {
    this.#state.waiting.push(...bytes);
    this.#state.last = bytes;
  }

  send(): number | undefined {
    return this.#state.waiting.shift();
  }

  reset(): void {
    this.#state = reset();
  }

  snapshot(): object {
    return structuredClone(this.#state);
  }

  restore(state: object): void {
    this.#state = structuredClone(state as ReturnType<typeof reset>);
  }
}
