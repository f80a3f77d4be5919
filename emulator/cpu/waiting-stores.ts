// The stores that a core has executed and that have not reached memory, as the engine sees them; what puts them there
// and lets them go is in microcode/store-buffer.ts.

import type { Microcode } from "./events.js";
import {
  BLOCK_BYTES,
  BLOCK_PHYSICAL,
  BLOCK_SECOND_AT,
  BLOCK_SECOND_PAGE,
  STORE_BUFFER,
  STORE_BYTES,
  STORE_HOST,
  STORE_LENGTH,
  STORES_WAITING,
} from "./layout.js";

const ALL_STORES = (1n << 64n) - 1n;
const LONGEST_INSTRUCTION = 15;

export class WaitingStores {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #ramBase: number;
  readonly #microcode: Microcode;

  constructor(buffer: ArrayBufferLike, ramBase: number, microcode: Microcode) {
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#ramBase = ramBase;
    this.#microcode = microcode;
  }

  #get(address: number): number {
    return this.#words[address >>> 2]!;
  }

  count(c: number): number {
    return this.#get(c + STORES_WAITING);
  }
  /** Lets the oldest go, at most so many; all unless told. */
  drain(c: number, most = ALL_STORES): void {
    if (this.count(c) !== 0) this.#microcode["drainStores"]!(c, most);
  }

  /** Whether one of them is to a block's bytes. */
  hits(c: number, block: number): boolean {
    const begin = this.#ramBase + (this.#get(block + BLOCK_PHYSICAL) >>> 0);
    const end = begin + this.#bytes[block + BLOCK_BYTES]!;
    const runsOn = this.#get(block + BLOCK_SECOND_AT) !== 0;
    const second = runsOn ? this.#ramBase + this.#get(block + BLOCK_SECOND_PAGE) * 4096 : 0;
    for (let i = this.count(c) - 1; i >= 0; i--) {
      const host = this.#get(c + STORE_BUFFER + i * STORE_BYTES + STORE_HOST) >>> 0;
      const after = host + this.#get(c + STORE_BUFFER + i * STORE_BYTES + STORE_LENGTH);
      if (host < end && after > begin) return true;
      if (runsOn && host < second + LONGEST_INSTRUCTION && after > second) return true;
    }
    return false;
  }
}
