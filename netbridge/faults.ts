// What a bad wire does to frames: loss, duplication, delay (and so reordering) and partition, drawn from one
// generator, so that a seed gives the same faults for the same sequence of frames. Pure: the caller delivers.

export interface FaultOptions {
  /** Probability, 0 to 1, that a frame is lost. */
  readonly loss?: number;
  /** Probability, 0 to 1, that a frame is delivered twice. */
  readonly duplicate?: number;
  /** Delay in microseconds: uniform between the two. */
  readonly delay?: readonly [number, number];
}

export class Faults {
  #options: FaultOptions;
  readonly #random: () => number;
  #islands: readonly ReadonlySet<number>[] = [];
  #deaf = new Set<number>();
  readonly counts = { lost: 0, duplicated: 0, parted: 0 };

  /** `random` gives numbers in [0, 1). */
  constructor(options: FaultOptions, random: () => number) {
    this.#options = checked(options);
    this.#random = random;
  }

  /** The wire is as bad as that from now on. */
  become(options: FaultOptions): void {
    this.#options = checked(options);
  }

  /** Ports in different islands no longer hear each other; a port in none hears all. Empty heals. */
  partition(islands: readonly (readonly number[])[]): void {
    this.#islands = islands.map((ports) => new Set(ports));
  }

  /** Frames from the first port of each pair no longer reach the second one: a wire that is cut in one direction. */
  deafen(pairs: readonly (readonly [from: number, to: number])[]): void {
    this.#deaf = new Set(pairs.map(([from, to]) => from * 65536 + to));
  }

  parted(from: number, to: number): boolean {
    if (this.#deaf.has(from * 65536 + to)) return true;
    const a = this.#islands.findIndex((island) => island.has(from));
    const b = this.#islands.findIndex((island) => island.has(to));
    return a >= 0 && b >= 0 && a !== b;
  }

  /** The delays, in microseconds, at which copies of one frame arrive: none when it is lost. */
  copies(from: number, to: number): number[] {
    if (this.parted(from, to)) {
      this.counts.parted++;
      return [];
    }
    if (this.#chance(this.#options.loss)) {
      this.counts.lost++;
      return [];
    }
    const delays = [this.#delay()];
    if (this.#chance(this.#options.duplicate)) {
      this.counts.duplicated++;
      delays.push(this.#delay());
    }
    return delays;
  }

  #chance(probability = 0): boolean {
    return probability > 0 && this.#random() < probability;
  }

  #delay(): number {
    const [from, to] = this.#options.delay ?? [0, 0];
    return to > from ? from + this.#random() * (to - from) : from;
  }
}

function checked(options: FaultOptions): FaultOptions {
  checkProbability("loss", options.loss);
  checkProbability("duplicate", options.duplicate);
  const [from, to] = options.delay ?? [0, 0];
  if (!(from >= 0 && to >= from)) throw new RangeError(`delay ${from}:${to}: wanted 0 <= from <= to`);
  return options;
}

function checkProbability(name: string, value = 0): void {
  if (!(value >= 0 && value <= 1)) throw new RangeError(`${name} ${value}: wanted a probability from 0 to 1`);
}
