// MSI-X: PCI Local Bus 3.0, section 6.8.2. The table of messages and the pending bits of one function,
// which lie in one of its BARs: the table from offset 0, the pending bit array at `PBA`.
// Invariant: a masked vector's message waits in its pending bit and is sent when the mask goes.

import { hex, type Trace } from "./device.js";

export const PBA = 0x800;
export const MSIX_BAR_BYTES = 0x1000;
export const MSIX_CAPABILITY = 0x11;
export const NO_VECTOR = 0xffff;
const ENTRY_WORDS = 4;
const MASKED = 1;

export interface MsixState {
  /** Four words a vector: address low, address high, data, vector control. */
  table: number[];
  /** Pending bits; a function here has at most 32 vectors. */
  pending: number;
}

export const resetMsix = (vectors: number): MsixState => ({
  table: Array.from({ length: vectors * ENTRY_WORDS }, (_, word) => (word % ENTRY_WORDS === 3 ? MASKED : 0)),
  pending: 0,
});

export class Msix {
  readonly #source: string;
  readonly #state: () => MsixState;
  readonly #control: () => number;
  readonly #send: (address: number, data: number) => void;
  readonly #trace: Trace;

  /** `control` gives the capability's message control word: bit 15 enable, bit 14 function mask. */
  constructor(
    source: string,
    state: () => MsixState,
    control: () => number,
    send: (address: number, data: number) => void,
    trace: Trace,
  ) {
    this.#source = source;
    this.#state = state;
    this.#control = control;
    this.#send = send;
    this.#trace = trace;
  }

  get enabled(): boolean {
    return (this.#control() & 0x8000) !== 0;
  }

  get vectors(): number {
    return this.#state().table.length / ENTRY_WORDS;
  }

  /** Sends vector's message, or leaves it pending while masked. */
  raise(vector: number): void {
    if (vector >= this.vectors) return; // NO_VECTOR too
    const state = this.#state();
    const [low, high, data, masks] = state.table.slice(vector * ENTRY_WORDS, (vector + 1) * ENTRY_WORDS);
    if ((this.#control() & 0x4000) !== 0 || (masks & MASKED) !== 0) {
      state.pending = (state.pending | (1 << vector)) >>> 0;
      return;
    }
    state.pending = (state.pending & ~(1 << vector)) >>> 0;
    this.#send(high * 2 ** 32 + low, data);
  }

  /** After a mask may have gone: sends what waits. */
  release(): void {
    if (!this.enabled) return;
    for (let vector = 0; vector < this.vectors; vector++)
      if ((this.#state().pending & (1 << vector)) !== 0) this.raise(vector);
  }

  /** The table's BAR; 32-bit accesses, as the specification demands. */
  read(offset: number, size: number): number {
    const { table, pending } = this.#state();
    if (size !== 4 || offset % 4 !== 0) {
      this.#trace(
        this.#source,
        `read of ${size} bytes at ${hex(offset)} of the MSI-X BAR: only 32-bit accesses`,
      );
      return 0;
    }
    if (offset >= PBA) return offset === PBA ? pending : 0;
    return table[offset / 4] ?? 0;
  }

  write(offset: number, size: number, value: number): void {
    const { table } = this.#state();
    if (size !== 4 || offset % 4 !== 0 || offset / 4 >= table.length) {
      this.#trace(this.#source, `write of ${size} bytes at ${hex(offset)} of the MSI-X BAR dropped`);
      return;
    }
    const word = offset / 4;
    if (word % ENTRY_WORDS === 0) table[word] = (value & ~3) >>> 0;
    else table[word] = word % ENTRY_WORDS === 3 ? value & MASKED : value >>> 0;
    this.release();
  }
}
