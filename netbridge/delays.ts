// Frames that are held for a while, each for its own. Timers of the event loop are good to a millisecond or two: what is due sooner is
// looked for at each turn of the loop, so that a wire of 100 microseconds is one.

/** Milliseconds by which a timer may be late. */
const TIMER_LATE = 2;

interface Held {
  /** Milliseconds, of the clock. */
  readonly due: number;
  readonly release: () => void;
}

export class Delays {
  readonly #now: () => number;
  /** What is due first stands first; of what is due at once, what came first. */
  readonly #held: Held[] = [];
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;

  /** `now` gives milliseconds, of which a fraction counts. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** `release` is called when so many microseconds have passed, unless all is dropped before. */
  hold(microseconds: number, release: () => void): void {
    const due = this.#now() + microseconds / 1000;
    let place = this.#held.length;
    while (place > 0 && this.#held[place - 1]!.due > due) place--;
    this.#held.splice(place, 0, { due, release });
    if (place === 0) this.#wait();
  }

  /** Nothing that is held is released any more. */
  drop(): void {
    this.#held.length = 0;
    this.#wait();
  }

  #wait(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    const first = this.#held[0];
    if (first === undefined) return;
    const left = first.due - this.#now();
    if (left > TIMER_LATE) this.#timer = setTimeout(() => this.#wait(), left - TIMER_LATE);
    else this.#turn = setImmediate(() => this.#look());
  }

  #look(): void {
    const now = this.#now();
    while (this.#held.length > 0 && this.#held[0]!.due <= now) this.#held.shift()!.release();
    this.#wait();
  }
}
