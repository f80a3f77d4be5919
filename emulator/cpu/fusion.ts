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
 * what its ops save in so many. A seeded run is cut within blocks all the time, and each time a fused one is taken apart; live that is rare.
 */
export const HOT = { seeded: 400_000, live: 100_000 } as const;
/** Blocks are fused together, as many; or after so many samples. */
const BATCH = 16;
const PATIENCE = 256;
/** In a process. */
const FUNCTIONS_MAX = 8192;

/** The first op of a run, and the table slot of the function that does the run. */
interface Head {
  readonly op: number;
  readonly slot: number;
}
interface Run {
  readonly first: number;
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
  #own(op: number): number {
    return this.#view.getUint16(op + OP_OWN, true);
  }
  #doneBy(op: number, slot: number): void {
    this.#view.setUint16(op + OP_HANDLER, slot, true);
  }
  /** As far as it can be, or it never will be: what runs on into a second page counts no heat. */
  #isFused(block: number): boolean {
    return this.#bytes[block + BLOCK_FUSED] !== 0 || this.#get(block + BLOCK_SECOND_AT) !== 0;
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
      for (const run of this.#runs(block)) {
        const slot = this.#forms.fused(run.key, FUNCTIONS_MAX, (slot, linkage) =>
          lowerFused(run.ops, slot, linkage),
        );
        if (slot !== undefined) heads.push({ op: run.first, slot });
      }
    }
    this.#waiting.clear();
    this.#waited = 0;
    this.#makeReady();
    this.fuseAgain(heads);
  }

  /** Ops that may be fused, two at least; the way on from a block's end counts as one. */
  #runs(block: number): Run[] {
    const runs: Run[] = [];
    const ops = this.#bytes[block + BLOCK_COUNT] + 1;
    let run: Run | undefined;
    for (let index = 0; index < ops; index++) {
      const op = block + BLOCK_HEADER_BYTES + index * OP_BYTES;
      const slot = this.#own(op);
      const form = this.#forms.formAt(slot);
      if (form === undefined || !fusible(form)) {
        run = undefined;
        continue;
      }
      if (run === undefined) {
        run = { first: op, ops: [], key: "" };
        runs.push(run);
      }
      const fields = new FixedFields(this.#view, op);
      run.ops.push({ form, slot, fields });
      run.key += `${slot}: ${fields.keyIn(form)}; `;
    }
    return runs.filter(({ ops }) => ops.length > 1);
  }

  /** Each op is done by its own handler until fuseAgain() is given the answer; null: each is. */
  unfuse(block: number): readonly Head[] | null {
    if (this.#bytes[block + BLOCK_FUSED] === 0) return null;
    const heads: Head[] = [];
    const first = block + BLOCK_HEADER_BYTES;
    const end = first + this.#bytes[block + BLOCK_COUNT] * OP_BYTES;
    for (let op = first; op < end; op += OP_BYTES) {
      const slot = this.#view.getUint16(op + OP_HANDLER, true);
      const own = this.#own(op);
      if (slot === own) continue;
      heads.push({ op, slot });
      this.#doneBy(op, own);
    }
    return heads;
  }
  fuseAgain(heads: readonly Head[]): void {
    for (const { op, slot } of heads) this.#doneBy(op, slot);
  }
}
