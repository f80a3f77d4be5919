// An alarm clock for the board's thread. Timers of the event loop know whole milliseconds only, which is a long time for a
// local APIC: so a thread of its own sleeps until the time that stands in shared memory, and sends a message then.
// Invariant: the sleeper says until when it sleeps before it looks whether that is still the newest setting; who sets the time
// does so before it looks until when the sleeper sleeps. So one of them sees the other, and a time that is put off wakes nobody.
// Settings are numbered, since the sleeper rings once for each, and the same time may be set again after it has rung.

import { Worker } from "node:worker_threads";

export interface AlarmData {
  /** How often the sleeper was woken, whether it is to end, and how often the time was set. */
  readonly words: Int32Array;
  /** Machine time in nanoseconds: that of the alarm, and until when the sleeper sleeps. */
  readonly times: BigInt64Array;
  readonly epoch: number;
}
export const alarmWord = { woken: 0, ending: 1, settings: 2 } as const;
export const alarmTime = { set: 0, asleep: 1 } as const;
export const NEVER = 2n ** 62n;

/** It allocates next to nothing. */
const LIMITS = { maxYoungGenerationSizeMb: 1 };

export class AlarmClock {
  readonly #data: AlarmData;
  readonly #worker: Worker;
  #set = NEVER;
  #rung = false;

  /** `ring` is called at the time that was set, or soon after; also for one that was put off at the last moment. */
  constructor(epoch: number, ring: () => void) {
    this.#data = {
      words: new Int32Array(new SharedArrayBuffer(12)),
      times: new BigInt64Array(new SharedArrayBuffer(16)).fill(NEVER),
      epoch,
    };
    this.#worker = new Worker(new URL("./alarm-worker.js", import.meta.url), {
      workerData: this.#data,
      resourceLimits: LIMITS,
    });
    this.#worker.on("message", () => {
      this.#rung = true;
      ring();
    });
  }

  /** Machine time in nanoseconds; Infinity: no alarm. */
  set(time: number): void {
    const { times, words } = this.#data;
    const at = time === Number.POSITIVE_INFINITY ? NEVER : BigInt(Math.ceil(time));
    // The clocks of threads differ a little: a time that has rung may still be to come here.
    if (at === this.#set && (!this.#rung || at === NEVER)) return;
    this.#rung = false;
    this.#set = at;
    Atomics.store(times, alarmTime.set, at);
    Atomics.add(words, alarmWord.settings, 1);
    if (at < Atomics.load(times, alarmTime.asleep)) this.#wake();
  }

  #wake(): void {
    const { words } = this.#data;
    Atomics.add(words, alarmWord.woken, 1);
    Atomics.notify(words, alarmWord.woken);
  }

  async end(): Promise<void> {
    Atomics.store(this.#data.words, alarmWord.ending, 1);
    this.#wake();
    await this.#worker.terminate();
  }
}
