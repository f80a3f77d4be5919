// The engine's part of the performance counters (microcode/performance.ts): when run() has to look at them, and what it
// counts itself. As long as no enabled counter interrupts or counts branches, none of it costs anything.

import { Mnemonic, mnemonicOf } from "./decode.js";
import {
  BLOCK_HEADER_BYTES,
  OP_BYTES,
  OP_CODE,
  OP_LENGTH,
  OP_OFFSET,
  PERF_BLOCKS,
  PERF_BRANCHES,
  PERF_DUE,
  PERF_REPEAT,
  PERF_SKEW,
  PERF_TAKEN,
  RETIRED,
  RIP,
} from "./layout.js";

const opAt = (block: number, index: number): number => block + BLOCK_HEADER_BYTES + index * OP_BYTES;

/** PERF_REPEAT while no repeated instruction is under way. */
export const NOT_REPEATING = -0x8000_0000;

export class Performance {
  readonly #words: Int32Array;
  readonly #view: DataView;

  constructor(buffer: ArrayBufferLike) {
    this.#words = new Int32Array(buffer);
    this.#view = new DataView(buffer);
  }

  /** Cycles until a counter may overflow; 0 or less: now. `executed`: since RETIRED was brought up to date. */
  left(c: number, executed: number): number {
    const due = this.#view.getFloat64(c + PERF_DUE, true);
    if (due === Number.POSITIVE_INFINITY) return due;
    const [low, high] = [this.#words[(c + RETIRED) >>> 2] >>> 0, this.#words[(c + RETIRED + 4) >>> 2] >>> 0];
    return due - (high * 2 ** 32 + low + executed);
  }

  /** An exception or trap is charged like an instruction, and retires none. */
  exception(c: number): void {
    this.#add(c + PERF_SKEW, 1);
    this.transfer(c);
  }

  /** A fault in the midst of a repeated instruction: the iterations before it were charged, and retired none. */
  interrupted(c: number, budget: number, rest: number): void {
    const entry = this.#words[(c + PERF_REPEAT) >>> 2];
    if (entry === NOT_REPEATING) return;
    this.#add(c + PERF_SKEW, entry + rest + 1 - budget);
    this.#words[(c + PERF_REPEAT) >>> 2] = NOT_REPEATING;
  }

  counting(c: number): boolean {
    return this.#words[(c + PERF_BLOCKS) >>> 2] !== 0;
  }

  /** Interrupts and exceptions are branches too (PPR for family 17H, PMCx0C2). */
  transfer(c: number): void {
    if (this.counting(c)) this.#branch(c, true);
  }

  /** Instructions of a block up to its first branch, and with it. */
  opsToBranch(block: number, count: number): number {
    for (let index = 0; index < count; index++) if (this.#isBranch(opAt(block, index))) return index + 1;
    return count;
  }
  #isBranch(op: number): boolean {
    return branches.has(mnemonicOf(this.#view.getUint16(op + OP_CODE, true)));
  }

  /** An instruction of a block at `rip` has retired. */
  retired(c: number, block: number, index: number, rip: number): void {
    if (this.#isBranch(opAt(block, index))) this.#branch(c, this.taken(c, block, index, rip));
  }
  /** If it is a branch, it was taken unless it is a conditional one and RIP is behind it now. */
  taken(c: number, block: number, index: number, rip: number): boolean {
    const op = opAt(block, index);
    if (unconditional.has(mnemonicOf(this.#view.getUint16(op + OP_CODE, true)))) return true;
    const behind = rip + this.#view.getUint8(op + OP_OFFSET) + this.#view.getUint8(op + OP_LENGTH);
    return this.#isBranch(op) && ((this.#words[(c + RIP) >>> 2] - behind) | 0) !== 0;
  }

  #branch(c: number, taken: boolean): void {
    this.#add(c + PERF_BRANCHES, 1);
    if (taken) this.#add(c + PERF_TAKEN, 1);
  }

  #add(at: number, n: number): void {
    const low = (this.#words[at >>> 2] >>> 0) + n;
    this.#words[at >>> 2] = low;
    if (low > 0xffff_ffff) this.#words[(at + 4) >>> 2]++;
  }
}

const called = (names: RegExp): ReadonlySet<Mnemonic> =>
  new Set(Object.entries(Mnemonic).flatMap(([name, value]) => (names.test(name) ? [value as Mnemonic] : [])));
const unconditional = called(
  /^(Jmp|Call|Ret|Retf|Int|Int1|Int3|Iret[dq]?|Syscall|Sysretq?|Sysenter|Sysexitq?)$/,
);
/** What changes the flow of control. */
const branches: ReadonlySet<Mnemonic> = new Set([...unconditional, ...called(/^(J[a-z]+|Loopn?e?|Into)$/)]);
