// Two ports for software that is being brought up: 0x80, where a PC's self-test leaves its codes (and others a short
// delay), and 0xE9, on which Bochs and QEMU print a byte ("port E9 hack", -device isa-debugcon).

import { RegisterFile, type Trace } from "./device.js";

const reset = () => ({ code: 0xff });
type State = ReturnType<typeof reset>;

/** What 0xE9 reads as, so that software can tell that it is there. */
const PRESENT = 0xe9;

/** One byte wide: print by writing, ask whether it is there by reading. */
export function debugConsole(name: string, print: (byte: number) => void, trace: Trace): RegisterFile {
  return new RegisterFile(name, 1, { DATA: [0, 1, { read: () => PRESENT, write: print }] }, trace, 0xff);
}

export class DebugPorts {
  readonly post: RegisterFile;
  readonly console: RegisterFile;
  #state = reset();

  constructor(print: (byte: number) => void, trace: Trace) {
    const setCode = (code: number) => void Object.assign(this.#state, { code });
    this.post = new RegisterFile(
      "post",
      1,
      { POST: [0, 1, { read: () => this.#state.code, write: setCode }] },
      trace,
      0xff,
    );
    this.console = debugConsole("debug-console", print, trace);
  }

  reset(): void {
    this.#state = reset();
  }

  snapshot(): State {
    return { ...this.#state };
  }

  restore(state: object): void {
    this.#state = { ...(state as State) };
  }
}
