// Drawing a case's parts by chance: mostly what works, with edges.
import { Random } from "../../emulator/random.js";

export class Draw {
  readonly #random: Random;
  constructor(seed: number) {
    this.#random = new Random(seed);
  }
  below(n: number): number {
    return this.#random.below(n);
  }
  bits(): number {
    return this.#random.bits();
  }
  pick<T>(list: readonly T[]): T {
    return list[this.#random.below(list.length)]!;
  }
  /** True once in n. */
  rarely(n: number): boolean {
    return this.#random.below(n) === 0;
  }
}
