// The PC/AT's coprocessor error: a core's FERR# sets a latch, whose line is interrupt 13; a write to port F0 (or F1)
// clears it. IGNNE#, which the write asserts until FERR# goes away, is the core's own (microcode/fpu-state.ts).
// Intel SDM vol. 1, appendix D.2; IBM PC/AT Technical Reference, "Coprocessor".

import { Line, RegisterFile, type Trace } from "./device.js";

const reset = () => ({ error: false });

export class Coprocessor {
  readonly irq = new Line();
  readonly registers: RegisterFile;
  #state = reset();

  constructor(trace: Trace) {
    const clear = () => this.#set(false);
    this.registers = new RegisterFile(
      "coprocessor",
      2,
      { CLEAR_BUSY: [0, 1, { write: clear }], RESET: [1, 1, { write: clear }] },
      trace,
      0xff,
    );
  }

  /** FERR# of some core. */
  error(): void {
    this.#set(true);
  }

  #set(error: boolean): void {
    this.#state.error = error;
    this.irq.set(error);
  }

  reset(): void {
    this.#set(false);
  }
  snapshot(): object {
    return { ...this.#state };
  }
  restore(state: object): void {
    this.#set((state as ReturnType<typeof reset>).error);
  }
}
