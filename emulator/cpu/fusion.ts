// Fused blocks: where a core spends its time, runs of ops that follow one another become one function each, with what
// their records say written in. It takes the place of the first op's handler; the others keep theirs.
//
// Where the time goes is seen by sampling: the block in which a slice of a run ends is given the slice's instructions.
// Invariants: a fused block does what its ops would one by one, charge and faults and all, so that nobody can tell but by the
// host's time; and what was fused stays within FUNCTIONS_MAX, whatever the guest does.

import type { Forms } from "./forms.js";
import {
  BLOCK_COUNT,
  BLOCK_FUSED,
  BLOCK_HEADER_BYTES,
  BLOCK_HEAT,
  BLOCK_SECOND_AT,
  OP_BYTES,
  OP_HANDLER,
  OP_OWN,
} from "./layout.js";
import { FixedFields } from "./lowering/op-fields.js";
import { type FixedOp, fusible, lowerFused } from "./meaning.js";

/**
 * Instructions that a block has taken, by its samples, when it is fused. To generate and compile a function takes about a millisecond:
 * what its ops save in so many. A seeded run is cut within blocks all the time, and then goes op by op; live that is rare.
 */
export const HOT = { seeded: 400_000, live: 100_000 } as const;
/** Blocks are fused together, as many; or after so many samples. */
const BATCH = 16;
const PATIENCE = 256;
/** In a process. */
const FUNCTIONS_MAX = 8192;

/** A block's first op, and the table slot of the function that does the block's. */
interface Head {
  readonly op: number;
  readonly slot: number;
}
interface Run {
  readonly ops: FixedOp[];
  /** Equal for runs that the same function can do. */
  key: string;
}

export class Fusion {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #forms: Forms;
  readonly #makeReady: () => void;
  readonly #hot: number;
  readonly #waiting = new Set<number>();
  #waited = 0;

  /** `makeReady`: puts into the table what the forms have generated. */
  constructor(buffer: ArrayBufferLike, forms: Forms, hot: number, makeReady: () => void) {
    this.#view = new DataView(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#words = new Int32Array(buffer);
    this.#forms = forms;
    this.#hot = hot;
    this.#makeReady = makeReady;
  }

  #get(address: number): number {
    return this.#words[address >>> 2];
  }
  #set(address: number, value: number): void {
    this.#words[address >>> 2] = value;
  }
  /** As far as it can be, or it never will be: what runs on into a second page counts no heat. */
  #isFused(block: number): boolean {
    return this.#bytes[block + BLOCK_FUSED] !== 0 || this.#get(block + BLOCK_SECOND_AT) !== 0;
  }

  /** Blocks are hot that have no function yet. */
  get waits(): boolean {
    return this.#waiting.size > 0;
  }

  /** A slice of so many instructions has ended in that block. No generated code is running. */
  sample(block: number, instructions: number): void {
    if (this.#waiting.size > 0 && ++this.#waited >= PATIENCE) this.#fuseWaiting();
    if (this.#isFused(block)) return;
    const heat = this.#get(block + BLOCK_HEAT) + instructions;
    this.#set(block + BLOCK_HEAT, heat);
    if (heat < this.#hot) return;
    this.#waiting.add(block);
    if (this.#waiting.size >= BATCH) this.#fuseWaiting();
  }

  /** The block will run. */
  found(block: number): void {
    if (this.#hot > 0 || this.#isFused(block)) return;
    this.#waiting.add(block);
    this.#fuseWaiting();
  }

  /** A core's blocks are gone. */
  forget(): void {
    this.#waiting.clear();
  }

  #fuseWaiting(): void {
    const heads: Head[] = [];
    for (const block of this.#waiting) {
      this.#bytes[block + BLOCK_FUSED] = 1;
      const run = this.#runOf(block);
      if (run.ops.length < 2) continue;
      const slot = this.#forms.fused(run.key, FUNCTIONS_MAX, (slot, linkage) =>
        lowerFused(run.ops, slot, linkage),
      );
      if (slot !== undefined) heads.push({ op: block + BLOCK_HEADER_BYTES, slot });
    }
    this.#waiting.clear();
    this.#waited = 0;
    this.#makeReady();
    for (const { op, slot } of heads) this.#view.setUint16(op + OP_HANDLER, slot, true);
  }

  /** The block's ops that may be fused; the way on from its end counts as one. What may not be ends a block (decode.ts). */
  #runOf(block: number): Run {
    const run: Run = { ops: [], key: "" };
    const ops = this.#bytes[block + BLOCK_COUNT] + 1;
    for (let index = 0; index < ops; index++) {
      const op = block + BLOCK_HEADER_BYTES + index * OP_BYTES;
      const slot = this.#view.getUint16(op + OP_OWN, true);
      const form = this.#forms.formAt(slot);
      if (form === undefined || !fusible(form)) break;
      const fields = new FixedFields(this.#view, op);
      run.ops.push({ form, slot, fields });
      run.key += `${slot}: ${fields.keyIn(form)}; `;
    }
    return run;
  }
}
