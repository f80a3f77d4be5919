// An enhanced keyboard on the PS/2 serial line, on which nobody presses a key: what it says are its answers. IBM PS/2 Hardware
// Interface Technical Reference, "101- and 102-Key Keyboards", Commands from and to the System.
// Invariant: every byte from the controller is answered, and the answers wait here until the controller takes them, as
// many as the keyboard's FIFO holds; what nobody takes for longer is lost.

import type { Trace } from "./device.js";

export const ACKNOWLEDGE = 0xfa;
export const RESEND = 0xfe;
export const TEST_PASSED = 0xaa;
const ECHO = 0xee;
const IDENTITY = [0xab, 0x83] as const;
const SCAN_CODE_SETS = 3;
const FIFO_BYTES = 16;
/** 10.9 characters a second, after half a second. */
const TYPEMATIC_DEFAULT = 0x2b;

/** Commands after which more is awaited: one byte, or, for those that name keys, all that are no commands. */
const withOption = {
  indicators: 0xed,
  scanCodes: 0xf0,
  typematic: 0xf3,
  keysFirst: 0xfb,
  keysLast: 0xfd,
} as const;
/** Bytes from here on are commands; options and names of keys are below. */
const COMMANDS = 0xed;

/** What a device on the serial line does for the controller at its other end. */
export interface Ps2Device {
  /** A byte from the controller. */
  receive(byte: number): void;
  /** The next byte for the controller; undefined: none. */
  send(): number | undefined;
  reset(): void;
  snapshot(): object;
  restore(state: object): void;
}

const reset = () => ({
  ...defaults(),
  scanCodeSet: 2,
  indicators: 0,
  /** The command whose option is awaited, or 0. */
  pending: 0,
  /** What the controller has not taken yet, and what it took last. */
  waiting: [] as number[],
  last: 0,
});
/** What "set default" goes back to. */
const defaults = () => ({ typematic: TYPEMATIC_DEFAULT, scanning: true });

export class Ps2Keyboard implements Ps2Device {
  readonly #trace: Trace;
  #state = reset();

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  /** Lit: bit 0 Scroll Lock, 1 Num Lock, 2 Caps Lock. */
  get indicators(): number {
    return this.#state.indicators;
  }

  readonly #commands: Readonly<Record<number, () => void>> = {
    237: () => this.#await(withOption.indicators),
    238: () => this.#answer(ECHO),
    240: () => this.#await(withOption.scanCodes),
    242: () => this.#answer(ACKNOWLEDGE, ...IDENTITY),
    243: () => this.#await(withOption.typematic),
    244: () => this.#restart({ scanning: true }),
    245: () => this.#restart({ ...defaults(), scanning: false }),
    246: () => this.#restart(defaults()),
    // Which keys repeat and which tell when they are let go, in scan code set 3: all, then some.
    247: () => this.#answer(ACKNOWLEDGE),
    248: () => this.#answer(ACKNOWLEDGE),
    249: () => this.#answer(ACKNOWLEDGE),
    250: () => this.#answer(ACKNOWLEDGE),
    251: () => this.#await(251),
    252: () => this.#await(252),
    253: () => this.#await(253),
    254: () => this.#answer(this.#state.last),
    255: () => {
      this.#state = reset();
      this.#answer(ACKNOWLEDGE, TEST_PASSED);
    },
  };

  receive(byte: number): void {
    const { pending } = this.#state;
    this.#state.pending = 0;
    if (pending !== 0 && byte < COMMANDS) this.#option(pending, byte);
    else if (this.#commands[byte] !== undefined) this.#commands[byte]();
    else {
      this.#trace("keyboard", `command 0x${byte.toString(16)} is none`);
      this.#answer(RESEND);
    }
  }

  #option(command: number, byte: number): void {
    if (command >= withOption.keysFirst && command <= withOption.keysLast) this.#await(command);
    else if (command === withOption.indicators) {
      this.#state.indicators = byte & 7;
      this.#answer(ACKNOWLEDGE);
    } else if (command === withOption.typematic) {
      this.#state.typematic = byte;
      this.#answer(ACKNOWLEDGE);
    } else if (byte === 0) this.#answer(ACKNOWLEDGE, this.#state.scanCodeSet);
    else if (byte <= SCAN_CODE_SETS) {
      this.#state.scanCodeSet = byte;
      this.#answer(ACKNOWLEDGE);
    } else this.#answer(RESEND);
  }

  #await(command: number): void {
    this.#state.pending = command;
    this.#answer(ACKNOWLEDGE);
  }

  /** Drops what waits, as these commands do. */
  #restart(next: Partial<ReturnType<typeof defaults>>): void {
    Object.assign(this.#state, next, { waiting: [] });
    this.#answer(ACKNOWLEDGE);
  }

  #answer(...bytes: number[]): void {
    const { waiting } = this.#state;
    waiting.push(...bytes.slice(0, FIFO_BYTES - waiting.length));
  }

  send(): number | undefined {
    const byte = this.#state.waiting.shift();
    if (byte !== undefined && byte !== RESEND) this.#state.last = byte;
    return byte;
  }

  reset(): void {
    this.#state = reset();
  }

  snapshot(): object {
    return { ...this.#state, waiting: [...this.#state.waiting] };
  }

  restore(state: object): void {
    const saved = state as ReturnType<typeof reset>;
    this.#state = { ...saved, waiting: [...saved.waiting] };
  }
}
