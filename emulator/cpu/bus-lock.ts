// The bus lock: one core at a time holds it, and while it does, every other core stands at an instruction boundary.
// What LOCK does for operands that no single atomic access covers (Intel SDM vol. 3A, 9.1.2), and what decoding does
// while it marks a page as code.
//
// The protocol, per core: RUN_STATE is 1 while the core may touch guest memory. The holder takes BUS_LOCK_WORD,
// raises ATTENTION_BUS_LOCK on every other core and waits for its RUN_STATE to become 0. A core that wants to run
// sets RUN_STATE and then looks at BUS_LOCK_WORD; finding it taken it steps back and sleeps. All of these are
// sequentially consistent, so either the holder sees the core running or the core sees the lock held.
// Invariant: the holder never waits for itself, and a waiter is parked.

import { ATTENTION, ATTENTION_BUS_LOCK, BUS_LOCK_WORD, CORE_BYTES, CORES_BASE, RUN_STATE } from "./layout.js";

const LOCK = BUS_LOCK_WORD >>> 2;
/** A wake-up is never lost; the limit only bounds the damage if that should be wrong. */
const SLEEP_MS = 50;
/** ... of a thread for which others wait. */
const DOZE_MS = 0.05;
const PARKED = 0;
const RUNNING = 1;

export class BusLock {
  readonly #words: Int32Array;
  readonly #cores: number;
  readonly #live: boolean;
  readonly #meanwhile: (() => void) | undefined;
  #depth = 0;

  /** `meanwhile` is called again and again while this thread waits: for what else waits for this thread. */
  constructor(memory: WebAssembly.Memory, cores: number, live: boolean, meanwhile?: () => void) {
    this.#words = new Int32Array(memory.buffer);
    this.#cores = cores;
    this.#live = live;
    this.#meanwhile = meanwhile;
  }
  #sleep(word: number, value: number): void {
    this.#meanwhile?.();
    Atomics.wait(this.#words, word, value, this.#meanwhile === undefined ? SLEEP_MS : DOZE_MS);
  }
  #word(core: number, offset: number): number {
    return (CORES_BASE + core * CORE_BYTES + offset) >>> 2;
  }

  /** From here on the core may touch memory. Waits while somebody else holds the bus. */
  unpark(core: number): void {
    const words = this.#words;
    const state = this.#word(core, RUN_STATE);
    const attention = this.#word(core, ATTENTION);
    for (;;) {
      Atomics.and(words, attention, ~ATTENTION_BUS_LOCK);
      Atomics.store(words, state, RUNNING);
      const holder = Atomics.load(words, LOCK);
      if (holder === 0 || holder === core + 1) return;
      this.park(core);
      this.#sleep(LOCK, holder);
    }
  }
  park(core: number): void {
    const state = this.#word(core, RUN_STATE);
    Atomics.store(this.#words, state, PARKED);
    Atomics.notify(this.#words, state);
  }

  lock(core: number): void {
    if (!this.#live) return; // nobody else runs
    const words = this.#words;
    if (this.#depth++ > 0) return;
    for (;;) {
      const holder = Atomics.compareExchange(words, LOCK, 0, core + 1);
      if (holder === 0) break;
      if (holder === core + 1) throw new Error(`core ${core}: the bus lock was left held`);
      this.park(core);
      this.#sleep(LOCK, holder);
      this.unpark(core);
    }
    for (let other = 0; other < this.#cores; other++) {
      if (other === core) continue;
      const attention = this.#word(other, ATTENTION);
      Atomics.or(words, attention, ATTENTION_BUS_LOCK);
      Atomics.notify(words, attention);
      const state = this.#word(other, RUN_STATE);
      while (Atomics.load(words, state) === RUNNING) this.#sleep(state, RUNNING);
    }
  }
  unlock(core: number): void {
    if (!this.#live || --this.#depth > 0) return;
    const words = this.#words;
    const holder = Atomics.compareExchange(words, LOCK, core + 1, 0);
    if (holder !== core + 1) throw new Error(`core ${core} releases a bus lock of ${holder - 1}`);
    Atomics.notify(words, LOCK);
  }
}
