// Control transfers for a debugger within the guest: the last one's addresses while DebugCtl.LBR is set, and single steps
// of whole stretches of code with DebugCtl.BTF. AMD APM vol. 2, 13.1.1.6 and 13.1.4. While either may see a transfer the
// engine goes instruction by instruction; interrupts and exceptions are recorded where they are delivered
// (microcode/debug.ts), and a #DB clears both bits.

import {
  BLOCK_RIP,
  DEBUGCTL_BTF,
  DEBUGCTL_LBR,
  MSR_DEBUGCTL,
  MSR_LAST_BRANCH_FROM,
  MSR_LAST_BRANCH_TO,
  RIP,
} from "./layout.js";
import type { Performance } from "./performance.js";

export class BranchRecords {
  readonly #words: Int32Array;
  readonly #performance: Performance;

  constructor(buffer: ArrayBufferLike, performance: Performance) {
    this.#words = new Int32Array(buffer);
    this.#performance = performance;
  }

  #control(c: number): number {
    return this.#words[(c + MSR_DEBUGCTL) >>> 2]!;
  }

  /** Each instruction has to be run on its own. */
  wanted(c: number): boolean {
    return (this.#control(c) & DEBUGCTL_LBR) !== 0;
  }

  /** The only instruction of a block, which began at `rip`, has retired: does TF trap after it? */
  stepEnds(c: number, block: number, rip: number): boolean {
    const control = this.#control(c);
    if (control === 0) return true;
    const taken = this.#performance.taken(c, block, 0, rip);
    if (taken && control & DEBUGCTL_LBR) {
      this.#copy(c + BLOCK_RIP, c + MSR_LAST_BRANCH_FROM);
      this.#copy(c + RIP, c + MSR_LAST_BRANCH_TO);
    }
    return taken || (control & DEBUGCTL_BTF) === 0;
  }

  #copy(from: number, to: number): void {
    this.#words.copyWithin(to >>> 2, from >>> 2, (from >>> 2) + 2);
  }
}
