// Machine time: nanoseconds since power-on, an integer-valued double (exact for 104 days). Nothing below
// reads the host's clock: in seeded mode time is counted from instructions, in live mode cli and machine
// pass the host's monotonic time in.
// Invariant: timers run in order of time, and timers of one time in the order in which they were set. An alarm
// keeps the place that it got when it was made, so that a restored machine runs them in the same order.

export interface Clock {
  /** Machine nanoseconds. Never goes back. */
  now(): number;
}

const SECOND = 1_000_000_000;

/** Whole periods of `hertz` that have gone by at `time`; exact, since no product passes 2^53. */
export function ticksAt(time: number, hertz: number): number {
  const seconds = Math.floor(time / SECOND);
  return seconds * hertz + Math.floor(((time - seconds * SECOND) * hertz) / SECOND);
}

/** The earliest time at which `ticksAt` gives `ticks`. */
export function timeOfTick(ticks: number, hertz: number): number {
  const seconds = Math.floor(ticks / hertz);
  return seconds * SECOND + Math.ceil(((ticks - seconds * hertz) * SECOND) / hertz);
}

/** A pending callback; only `Timers` looks inside. */
export interface Timer {
  readonly time: number;
  readonly order: number;
  readonly callback: () => void;
  /** Place in the heap; -1 once run or cancelled. */
  index: number;
}

/** One deadline that its owner may move; `Infinity` means none. What a device gets to ask for time. */
export interface Alarm {
  set(time: number): void;
}

/** Pending callbacks, a binary heap ordered by (time, order of setting). */
export class Timers {
  readonly #heap: Timer[] = [];
  #order = 0;

  /** Runs `callback` in the first `run` that reaches `time`. */
  at(time: number, callback: () => void): Timer {
    return this.#add(time, this.#order++, callback);
  }

  #add(time: number, order: number, callback: () => void): Timer {
    if (Number.isNaN(time)) throw new RangeError("timers: the time is not a number");
    const timer: Timer = { time, order, callback, index: this.#heap.length };
    this.#heap.push(timer);
    this.#rise(timer);
    return timer;
  }

  /** Takes a timer back; one that has already run is left alone. */
  cancel(timer: Timer): void {
    if (timer.index < 0) return;
    const last = this.#heap.pop() as Timer;
    if (last !== timer) {
      this.#place(last, timer.index);
      this.#rise(last);
      this.#sink(last);
    }
    timer.index = -1;
  }

  /** An alarm that calls `callback` when its time has come; setting it again moves it. */
  alarm(callback: () => void): Alarm {
    let timer: Timer | undefined;
    const order = this.#order++;
    return {
      set: (time) => {
        if (timer !== undefined && timer.index >= 0) {
          if (timer.time === time) return;
          this.cancel(timer);
        }
        timer = time === Number.POSITIVE_INFINITY ? undefined : this.#add(time, order, callback);
      },
    };
  }

  /** Time of the earliest timer, `Infinity` when there is none. */
  nextDeadline(): number {
    return this.#heap.length > 0 ? this.#heap[0].time : Number.POSITIVE_INFINITY;
  }

  /** Runs every timer due at or before `until`, also those that callbacks set meanwhile. */
  run(until: number): void {
    while (this.#heap.length > 0 && this.#heap[0].time <= until) {
      const timer = this.#heap[0];
      this.cancel(timer);
      timer.callback();
    }
  }

  #place(timer: Timer, index: number): void {
    this.#heap[index] = timer;
    timer.index = index;
  }

  #rise(timer: Timer): void {
    while (timer.index > 0) {
      const parent = this.#heap[(timer.index - 1) >> 1];
      if (!before(timer, parent)) return;
      this.#swap(timer, parent);
    }
  }

  #sink(timer: Timer): void {
    for (;;) {
      const left = this.#heap[2 * timer.index + 1];
      const right = this.#heap[2 * timer.index + 2];
      if (left === undefined) return;
      const child = right !== undefined && before(right, left) ? right : left;
      if (!before(child, timer)) return;
      this.#swap(timer, child);
    }
  }

  #swap(a: Timer, b: Timer): void {
    const index = a.index;
    this.#place(a, b.index);
    this.#place(b, index);
  }
}

const before = (a: Timer, b: Timer) => a.time < b.time || (a.time === b.time && a.order < b.order);
