// An alarm clock for the board's thread. Timers of the event loop know whole milliseconds only, which is a long time for a
// local APIC: so a thread of its own sleeps until the time that stands in shared memory, and sends a message then.
// Invariant: the sleeper looks at the time again no later than `#looks`. A time that is put off costs nobody a wake-up.

import { Worker } from "node:worker_threads";

export interface AlarmData {
  /** A count of the times that were set for which the sleeper has to look again, and whether it is to end. */
  readonly words: Int32Array;
  /** Machine time in nanoseconds. */
  readonly time: Float64Array;
  readonly epoch: number;
}
export const alarmWord = { count: 0, ending: 1 } as const;

/** A sleeper that is so close to its time may have looked already. */
const MARGIN_NANOSECONDS = 100_000;
/** It allocates nothing. */
const LIMITS = { maxYoungGenerationSizeMb: 1 };

export class AlarmClock {
  readonly #data: AlarmData;
  readonly #now: () => number;
  readonly #worker: Worker;
  #looks = Number.POSITIVE_INFINITY;

  /** `ring` is called at the time that was set, or later; also now and then for a time that was put off meanwhile. */
  constructor(epoch: number, now: () => number, ring: () => void) {
    this.#data = {
      words: new Int32Array(new SharedArrayBuffer(8)),
      time: new Float64Array(new SharedArrayBuffer(8)).fill(Number.POSITIVE_INFINITY),
      epoch,
    };
    this.#now = now;
    this.#worker = new Worker(new URL("./alarm-worker.js", import.meta.url), {
      workerData: this.#data,
      resourceLimits: LIMITS,
    });
    this.#worker.on("message", () => {
      this.#looks = Number.POSITIVE_INFINITY;
      ring();
    });
  }

  /** Machine time in nanoseconds; Infinity: no alarm. */
  set(time: number): void {
    const { words } = this.#data;
    this.#data.time[0] = time;
    if (time === Number.POSITIVE_INFINITY) return;
    if (time >= this.#looks && this.#looks > this.#now() + MARGIN_NANOSECONDS) return;
    this.#looks = time;
    Atomics.add(words, alarmWord.count, 1);
    Atomics.notify(words, alarmWord.count);
  }

  async end(): Promise<void> {
    const { words } = this.#data;
    Atomics.store(words, alarmWord.ending, 1);
    Atomics.add(words, alarmWord.count, 1);
    Atomics.notify(words, alarmWord.count);
    await this.#worker.terminate();
  }
}
