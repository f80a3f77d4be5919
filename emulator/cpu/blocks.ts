// The decoded-op cache of one core: blocks of straight-line code (block-decoder.ts) in their places, found by physical
// address and mode, drawn in layout.ts.
//
// Invariant: a block is valid while the CODE_GENERATIONS words of its pages hold what they held when it was decoded;
// bit 0 of a word is set before the bytes are read.

import { BLOCK_OPS_MAX, type DecodedBlock } from "./block-decoder.js";
import { hashOf } from "./interpreter.js";
import {
  BLOCK_BYTES,
  BLOCK_COUNT,
  BLOCK_FUSED,
  BLOCK_GENERATION,
  BLOCK_GENERATION_AT,
  BLOCK_HASH_ENTRIES,
  BLOCK_HEADER_BYTES,
  BLOCK_HEAT,
  BLOCK_KEY,
  BLOCK_NEXT,
  BLOCK_PHYSICAL,
  BLOCK_SECOND_AT,
  BLOCK_SECOND_GENERATION,
  BLOCK_SECOND_PAGE,
  OP_BYTES,
  OP_CHAIN,
  OP_GUESS,
  OP_PATCH,
} from "./layout.js";

const PAGE = 4096;
const HASH_BYTES = BLOCK_HASH_ENTRIES * 4;
const BLOCK_BYTES_MAX = BLOCK_HEADER_BYTES + (BLOCK_OPS_MAX + 1) * OP_BYTES;

/** Where a block's code lies. */
export interface CodePlace {
  /** RIP of the first byte. */
  readonly rip: bigint;
  readonly physical: number;
  /** The bits of MODE by which code is decoded. */
  readonly key: number;
  /** Bytes up to the end of the page, or of the code segment. */
  readonly bytes: Uint8Array;
  /** Wasm address of the page's generation word, and what it held before the bytes were read. */
  readonly generationAt: number;
  readonly generation: number;
}
/** The page after it, when an instruction runs on into it. */
export interface SecondPage {
  /** Its first bytes, as many as the instruction may need. */
  readonly bytes: Uint8Array;
  readonly page: number;
  readonly generationAt: number;
  readonly generation: number;
}
export class Blocks {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  /** First and end wasm address of this core's cache; the hash table comes first. */
  readonly #start: number;
  readonly #end: number;
  #free: number;
  /** By physical address: what find() knows and generated code does not. */
  readonly #hidden = new Map<number, number>();

  /** Called when all blocks are forgotten. */
  readonly #forgotten: () => void;

  constructor(buffer: ArrayBufferLike, start: number, bytes: number, forgotten: () => void) {
    this.#words = new Uint32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#start = start;
    this.#end = start + bytes;
    this.#free = 0;
    this.#forgotten = forgotten;
    this.flush();
  }

  /** Forgets everything. */
  flush(): void {
    this.#words.fill(0, this.#start >>> 2, (this.#start + HASH_BYTES) >>> 2);
    this.#free = this.#start + HASH_BYTES;
    this.#hidden.clear();
    this.#forgotten();
  }

  #get(address: number): number {
    return this.#words[address >>> 2];
  }
  #set(address: number, value: number): void {
    this.#words[address >>> 2] = value;
  }

  /** Whether a block stands at this wasm address that is still good for the place. */
  #holds(block: number, place: CodePlace, second: SecondPage | undefined): boolean {
    return (
      this.#get(block + BLOCK_PHYSICAL) === place.physical &&
      this.#bytes[block + BLOCK_KEY] === place.key &&
      this.#get(block + BLOCK_GENERATION_AT) === place.generationAt &&
      Atomics.load(this.#words, place.generationAt >>> 2) === this.#get(block + BLOCK_GENERATION) &&
      this.#get(block + BLOCK_SECOND_AT) === (second?.generationAt ?? 0) &&
      (second === undefined ||
        (this.#get(block + BLOCK_SECOND_PAGE) === second.page &&
          Atomics.load(this.#words, second.generationAt >>> 2) ===
            this.#get(block + BLOCK_SECOND_GENERATION))) &&
      this.#bytes[block + BLOCK_BYTES] <= place.bytes.length + (second?.bytes.length ?? 0)
    );
  }
  /** 0: none. Generated code misses a block that runs on into a second page while the TLB does not have that page. */
  find(place: CodePlace, second?: SecondPage): number {
    for (let block = this.#get(this.#bucket(place)); block !== 0; block = this.#get(block + BLOCK_NEXT))
      if (this.#holds(block, place, second)) return block;
    const hidden = this.#hidden.get(place.physical) ?? 0;
    return hidden !== 0 && this.#holds(hidden, place, second) ? hidden : 0;
  }
  #bucket(place: CodePlace): number {
    return this.#start + hashOf(place.physical) * 4;
  }

  /** Puts a block into the cache; gives its wasm address. `hidden`: neither find() nor generated code finds it. */
  add(place: CodePlace, decoded: DecodedBlock, second?: SecondPage, hidden = false): number {
    if (this.#free + BLOCK_BYTES_MAX > this.#end) this.flush();
    const block = this.#free;
    const first = block + BLOCK_HEADER_BYTES;
    this.#free += BLOCK_HEADER_BYTES + decoded.wordCount * 4;
    this.#unlinkStale(place);

    const { words, wordCount } = decoded;
    const [to, at] = [this.#words, first >>> 2];
    for (let i = 0; i < wordCount; i++) to[at + i] = words[i];
    // Links hold within a page, where one mapping serves both ends. What runs on into another page may have cost the
    // first its entry in the TLB.
    for (let op = 0; op <= decoded.count && second === undefined; op++) {
      const target = (place.physical % PAGE) + decoded.links[op];
      const record = first + op * OP_BYTES;
      if (target >= 0 && target < PAGE) this.#set(record + OP_PATCH, record + OP_CHAIN);
      else if (!Number.isNaN(target)) this.#set(record + OP_PATCH, record + OP_GUESS);
    }
    this.#set(block + BLOCK_PHYSICAL, place.physical);
    this.#set(block + BLOCK_GENERATION_AT, place.generationAt);
    this.#set(block + BLOCK_GENERATION, place.generation);
    this.#bytes[block + BLOCK_KEY] = place.key;
    this.#bytes[block + BLOCK_COUNT] = decoded.count;
    this.#bytes[block + BLOCK_BYTES] = decoded.length;
    this.#bytes[block + BLOCK_FUSED] = 0;
    this.#set(block + BLOCK_SECOND_AT, second?.generationAt ?? 0);
    this.#set(block + BLOCK_SECOND_GENERATION, second?.generation ?? 0);
    if (second === undefined) this.#set(block + BLOCK_HEAT, 0);
    else this.#set(block + BLOCK_SECOND_PAGE, second.page);
    if (hidden) {
      this.#hidden.set(place.physical, block);
      return block;
    }
    this.#set(block + BLOCK_NEXT, this.#get(this.#bucket(place)));
    this.#set(this.#bucket(place), block);
    return block;
  }

  /** Blocks of the same place whose code has changed are never found again: out of the chain with them. */
  #unlinkStale(place: CodePlace): void {
    let link = this.#bucket(place);
    for (let block = this.#get(link); block !== 0; block = this.#get(block + BLOCK_NEXT)) {
      const same =
        this.#get(block + BLOCK_PHYSICAL) === place.physical && this.#bytes[block + BLOCK_KEY] === place.key;
      if (same) this.#set(link, this.#get(block + BLOCK_NEXT));
      else link = block + BLOCK_NEXT;
    }
  }
}
