// Which memory holds decoded code, so that a change of it is noticed. Per physical page a generation, whose bit 0
// says that stores to the page are looked at, and 64 bits that say from which lines of 64 bytes code was decoded.
// The looks serve MONITOR as well (monitor.ts), which marks no line.
//
// A reader of code sets bit 0, reads the generation, then the bytes, marks their lines, and reads the bytes again if
// a mark is new. A writer of a marked line clears the marks and raises the generation, which also clears bit 0. So
// whatever was decoded from older bytes carries an older generation. Both kinds of marking happen under the bus lock,
// which lets stores that are under way finish first; microcode/physical.ts written() is the writer in the cores.
// Invariant: a store to a page with bit 0 set takes the slow path, because no core has a fast tag for it.

import type { BusLock } from "./bus-lock.js";
import {
  CODE_GENERATIONS,
  CODE_LINES,
  RAM_BASE_WORD,
  TLB,
  TLB_DATA_BANKS,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_FLAGS,
  TLB_NONE,
  TLB_PHYSICAL,
  TLB_SLOW,
  TLB_VALID,
  TLB_WRITE,
  ZERO_WORD,
} from "./layout.js";
import { coreAddress } from "./memory-plan.js";
import { LINE_BYTES, tellWatchers } from "./monitor.js";

const PAGE = 4096;
const LINE_SHIFT = 6;
const ALL_LINES = (1n << 64n) - 1n;

/** Index of a page's lines in 64-bit words. */
const linesOf = (generationAt: number): number =>
  (CODE_LINES >>> 3) + ((generationAt - CODE_GENERATIONS) >>> 2);
function lineMask(offset: number, length: number): bigint {
  const first = offset >>> LINE_SHIFT;
  const last = (offset + length - 1) >>> LINE_SHIFT;
  return (ALL_LINES << BigInt(first)) & (ALL_LINES >> BigInt(63 - last));
}

export class CodeMarks {
  readonly #words: Int32Array;
  readonly #lines: BigUint64Array;
  readonly #bus: BusLock;
  readonly #cores: number;

  constructor(buffer: ArrayBufferLike, bus: BusLock, cores: number) {
    this.#words = new Int32Array(buffer);
    this.#lines = new BigUint64Array(buffer);
    this.#bus = bus;
    this.#cores = cores;
  }

  /** From here on stores to the page are looked at; gives its generation. */
  mark(core: number, generationAt: number, page: number): number {
    const index = generationAt >>> 2;
    const marked = Atomics.load(this.#words, index);
    if (marked & 1) return marked;
    this.#bus.lock(core);
    const generation = Atomics.or(this.#words, index, 1) | 1;
    for (let other = 0; other < this.#cores; other++) this.slowStores(coreAddress(other), page);
    this.#bus.unlock(core);
    return generation;
  }
  /** Marks the lines of some bytes of a page; true when some were not marked yet. */
  claim(core: number, generationAt: number, offset: number, length: number): boolean {
    if (generationAt === ZERO_WORD) return false;
    const lines = linesOf(generationAt);
    const mask = lineMask(offset, length);
    if ((Atomics.load(this.#lines, lines) & mask) === mask) return false;
    this.#bus.lock(core);
    Atomics.or(this.#lines, lines, mask);
    this.#bus.unlock(core);
    return true;
  }
  /** Takes the fast tags for stores to a physical page, or to all pages that hold code, out of a core's TLB. */
  slowStores(c: number, page?: number): void {
    const words = this.#words;
    const end = (c + TLB + TLB_DATA_BANKS * TLB_ENTRIES * TLB_ENTRY_BYTES) >>> 2;
    for (let entry = (c + TLB) >>> 2; entry < end; entry += TLB_ENTRY_BYTES >>> 2) {
      if (page !== undefined && words[entry + (TLB_PHYSICAL >>> 2)] !== page) continue;
      if ((words[entry + (TLB_FLAGS >>> 2)] & TLB_VALID) === 0) continue;
      const tag = entry + (TLB_WRITE >>> 2);
      if ((words[tag] & (TLB_NONE | TLB_SLOW)) !== 0) continue;
      if (page !== undefined || this.#holdsCode(words[entry + (TLB_PHYSICAL >>> 2)])) words[tag] |= TLB_SLOW;
    }
  }
  /** A fast tag for stores names a page of RAM, which has a generation. */
  #holdsCode(page: number): boolean {
    return (Atomics.load(this.#words, (CODE_GENERATIONS >>> 2) + page) & 1) !== 0;
  }
}

/** Views that writtenBy() made: it is called several times for a frame, and making them takes longer than all the rest. */
const viewsOf = new WeakMap<
  WebAssembly.Memory,
  { readonly words: Int32Array; readonly lines: BigUint64Array }
>();

/** RAM was changed from outside the cores: what was decoded from it is stale. Any thread may say so. */
export function writtenBy(memory: WebAssembly.Memory, physical: number, length: number): void {
  if (length <= 0) return;
  let views = viewsOf.get(memory);
  if (views === undefined) {
    views = { words: new Int32Array(memory.buffer), lines: new BigUint64Array(memory.buffer) };
    viewsOf.set(memory, views);
  }
  const { words, lines } = views;
  const end = physical + length;
  for (let page = Math.floor(physical / PAGE); page * PAGE < end; page++) {
    const generationAt = CODE_GENERATIONS + page * 4;
    const index = generationAt >>> 2;
    if ((Atomics.load(words, index) & 1) === 0) continue;
    const from = Math.max(physical - page * PAGE, 0);
    const to = Math.min(end - page * PAGE, PAGE);
    const host = words[RAM_BASE_WORD >>> 2]! + page * PAGE + from;
    tellWatchers(words, host, to - from, LINE_BYTES);
    if ((Atomics.load(lines, linesOf(generationAt)) & lineMask(from, to - from)) === 0n) continue;
    // The marks go first: one that is set meanwhile belongs to code that the new generation makes stale as well.
    Atomics.store(lines, linesOf(generationAt), 0n);
    for (let old = Atomics.load(words, index); old & 1; ) {
      const seen = Atomics.compareExchange(words, index, old, (old + 2) & ~1);
      if (seen === old) {
        tellWatchers(words, host, to - from, PAGE);
        break;
      }
      old = seen;
    }
  }
}

/** A page of RAM and its marked lines, in hexadecimal. */
export type MarkedLines = readonly [page: number, lines: string];

/** All marks: with store buffers they say when a store to code leaves its buffer, so they are part of a machine's state. */
export function markedLines(memory: WebAssembly.Memory, ramBytes: number): MarkedLines[] {
  const words = new Int32Array(memory.buffer, CODE_GENERATIONS, Math.ceil(ramBytes / PAGE));
  const lines = new BigUint64Array(memory.buffer, CODE_LINES, words.length);
  const marked: MarkedLines[] = [];
  for (const [page, of] of lines.entries())
    if (of !== 0n && (words[page]! & 1) !== 0) marked.push([page, of.toString(16)]);
  return marked;
}

/** Nothing is marked, since all of RAM was written; then this is. No core may run. */
export function markLines(memory: WebAssembly.Memory, marked: readonly MarkedLines[]): void {
  const words = new Int32Array(memory.buffer);
  const lines = new BigUint64Array(memory.buffer);
  for (const [page, of] of marked) {
    words[(CODE_GENERATIONS >>> 2) + page]! |= 1;
    lines[(CODE_LINES >>> 3) + page] = BigInt(`0x${of}`);
  }
}
