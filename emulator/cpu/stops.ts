// Where a core stops before an instruction: breakpoints of a debugger, which the guest does not see, and those of the
// guest's own that look at instructions (DR0 to DR3; microcode/debug.ts raises their #DB). Both are blocks hidden from
// generated code (code-reader.ts), so that code elsewhere runs at full speed.

import type { CodeReader } from "./code-reader.js";
import { DEBUG_CHANGED, DR } from "./layout.js";

export class Stops {
  readonly #words: Int32Array;
  readonly #reader: CodeReader;
  #breakpoints: ReadonlySet<bigint> = new Set();
  /** By core: instructions retired when it last stopped at a breakpoint, so that it goes on from there. */
  readonly #stoppedAt: number[] = [];

  constructor(buffer: ArrayBufferLike, reader: CodeReader) {
    this.#words = new Int32Array(buffer);
    this.#reader = reader;
  }

  /** The debugger's, by linear address. */
  set(linear: ReadonlySet<bigint>): void {
    this.#breakpoints = linear;
    this.#reader.stopAt(new Set([...linear].map((address) => Number(address & 0xfffn))));
  }
  /** Whether the core stands where a block is hidden. */
  near(core: number): boolean {
    return this.#reader.stops && this.#reader.isStop(core);
  }
  /** Whether it stands at one of the debugger's, and has not gone on from it. */
  here(core: number, retired: number): boolean {
    if (this.#stoppedAt[core] === retired || !this.#breakpoints.has(this.#reader.linearRip(core)))
      return false;
    this.#stoppedAt[core] = retired;
    return true;
  }
  /** The core is at another place of its life. */
  forget(core: number): void {
    this.#stoppedAt[core] = -1;
  }

  /** Takes note of the guest's, when its debug registers have changed. */
  noteGuest(c: number): void {
    const words = this.#words;
    if (words[(c + DEBUG_CHANGED) >>> 2] === 0) return;
    words[(c + DEBUG_CHANGED) >>> 2] = 0;
    const control = words[(c + DR + 7 * 8) >>> 2]!;
    for (let n = 0; n < 4; n++)
      if ((control >>> (2 * n)) & 3 && ((control >>> (16 + 4 * n)) & 3) === 0)
        this.#reader.stopGuestAt(words[(c + DR + 8 * n) >>> 2]! & 0xfff);
  }
}
