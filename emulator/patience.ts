// How long a seeded run goes on before sockets and signals are heard: by the host's time, as a turn of the schedule takes a
// microsecond or, traced, a quarter of a second. The guest cannot tell.

import { hostMonotonicMilliseconds } from "./host-clock.js";

/** Milliseconds of the host. */
const PATIENCE = 20;

export class Patience {
  readonly #every: number;
  #since = hostMonotonicMilliseconds();
  #turns = 0;

  /** Looks at the clock at one in so many turns. */
  constructor(every = 1) {
    this.#every = every;
  }

  over(): boolean {
    return ++this.#turns % this.#every === 0 && hostMonotonicMilliseconds() - this.#since > PATIENCE;
  }

  /** Lets sockets and signals be heard. */
  async rest(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#since = hostMonotonicMilliseconds();
  }
}
