// The decoded-op cache of one core: blocks of straight-line code, found by physical address and mode, drawn in
// layout.ts. A block ends at an unconditional transfer, at an instruction that may change how code is read, at the
// end of the page, or when it is long enough; conditional branches only leave it.
//
// Invariant: a block is valid while the CODE_GENERATIONS words of its pages hold what they held when it was decoded;
// bit 0 of a word is set before the bytes are read.

import { type Decoded, InstructionStream } from "./decode.js";
import type { Form } from "./form.js";
import { hashOf } from "./interpreter.js";
import {
  BLOCK_BYTES,
  BLOCK_COUNT,
  BLOCK_GENERATION,
  BLOCK_GENERATION_AT,
  BLOCK_HASH_ENTRIES,
  BLOCK_HEADER_BYTES,
  BLOCK_KEY,
  BLOCK_NEXT,
  BLOCK_PHYSICAL,
  BLOCK_SECOND_AT,
  BLOCK_SECOND_GENERATION,
  BLOCK_SECOND_PAGE,
  CHAIN_SINK,
  MODE_64,
  OP_BASE,
  OP_BYTES,
  OP_CHAIN,
  OP_CODE,
  OP_DISPLACEMENT,
  OP_FLAGS,
  OP_HANDLER,
  OP_IMMEDIATE,
  OP_IMMEDIATE2,
  OP_INDEX,
  OP_LENGTH,
  OP_OFFSET,
  OP_PATCH,
  OP_REGISTERS,
  OP_REST,
  OP_SCALE,
  OP_STACK_BASED,
} from "./layout.js";
import { SLOT } from "./lowering/linkage.js";

const PAGE = 4096;
/** Longest block, in instructions. */
const BLOCK_OPS_MAX = 32;
const LENGTH_MAX = 15;
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
/** Instructions, and the bytes that they were read from. */
export interface Code {
  readonly ops: readonly Decoded[];
  readonly bytes: Uint8Array;
  /** How many of the bytes are the instructions'. */
  readonly length: number;
}

export class Blocks {
  readonly #view: DataView;
  readonly #words: Uint32Array;
  readonly #core: number;
  /** First and end wasm address of this core's cache; the hash table comes first. */
  readonly #start: number;
  readonly #end: number;
  readonly #slotOf: (form: Form) => number;
  #free: number;

  constructor(
    buffer: ArrayBufferLike,
    core: number,
    start: number,
    bytes: number,
    slotOf: (form: Form) => number,
  ) {
    this.#view = new DataView(buffer);
    this.#words = new Uint32Array(buffer);
    this.#core = core;
    this.#start = start;
    this.#end = start + bytes;
    this.#slotOf = slotOf;
    this.#free = 0;
    this.flush();
  }

  /** Forgets everything. */
  flush(): void {
    this.#words.fill(0, this.#start >>> 2, (this.#start + HASH_BYTES) >>> 2);
    this.#free = this.#start + HASH_BYTES;
  }

  #get(address: number): number {
    return this.#words[address >>> 2];
  }
  #set(address: number, value: number): void {
    this.#words[address >>> 2] = value;
  }

  /** Whether a block stands at this wasm address that is still good for the place. */
  #holds(block: number, place: CodePlace): boolean {
    return (
      this.#get(block + BLOCK_PHYSICAL) === place.physical &&
      this.#get(block + BLOCK_KEY) === place.key &&
      this.#get(block + BLOCK_GENERATION_AT) === place.generationAt &&
      Atomics.load(this.#words, place.generationAt >>> 2) === this.#get(block + BLOCK_GENERATION) &&
      this.#get(block + BLOCK_SECOND_AT) === 0 &&
      this.#get(block + BLOCK_BYTES) <= place.bytes.length
    );
  }
  find(place: CodePlace): number {
    for (let block = this.#get(this.#bucket(place)); block !== 0; block = this.#get(block + BLOCK_NEXT))
      if (this.#holds(block, place)) return block;
    return 0;
  }
  #bucket(place: CodePlace): number {
    return this.#start + hashOf(place.physical) * 4;
  }

  /** Puts a block into the cache; gives its wasm address. */
  add(place: CodePlace, { ops }: Code, second?: SecondPage): number {
    if (this.#free + BLOCK_BYTES_MAX > this.#end) this.flush();
    const block = this.#free;
    this.#free += BLOCK_HEADER_BYTES + (ops.length + 1) * OP_BYTES;
    this.#unlinkStale(place);

    let offset = 0;
    for (const [index, op] of ops.entries()) {
      const at = block + BLOCK_HEADER_BYTES + index * OP_BYTES;
      this.#writeOp(at, op, place, offset, ops.length - index - 1);
      offset += op.length;
    }
    this.#writeEnd(block + BLOCK_HEADER_BYTES + ops.length * OP_BYTES, offset, place);
    this.#set(block + BLOCK_PHYSICAL, place.physical);
    this.#set(block + BLOCK_KEY, place.key);
    this.#set(block + BLOCK_GENERATION_AT, place.generationAt);
    this.#set(block + BLOCK_GENERATION, place.generation);
    this.#set(block + BLOCK_COUNT, ops.length);
    this.#set(block + BLOCK_BYTES, offset);
    this.#set(block + BLOCK_SECOND_AT, second?.generationAt ?? 0);
    this.#set(block + BLOCK_SECOND_GENERATION, second?.generation ?? 0);
    this.#set(block + BLOCK_SECOND_PAGE, second?.page ?? 0);
    this.#set(block + BLOCK_NEXT, this.#get(this.#bucket(place)));
    this.#set(this.#bucket(place), block);
    return block;
  }

  /** Blocks of the same place whose code has changed are never found again: out of the chain with them. */
  #unlinkStale(place: CodePlace): void {
    let link = this.#bucket(place);
    for (let block = this.#get(link); block !== 0; block = this.#get(block + BLOCK_NEXT)) {
      const same =
        this.#get(block + BLOCK_PHYSICAL) === place.physical && this.#get(block + BLOCK_KEY) === place.key;
      if (same) this.#set(link, this.#get(block + BLOCK_NEXT));
      else link = block + BLOCK_NEXT;
    }
  }

  #writeOp(at: number, op: Decoded, place: CodePlace, offset: number, rest: number): void {
    const view = this.#view;
    this.#words.fill(0, at >>> 2, (at + OP_BYTES) >>> 2);
    this.#set(at + OP_HANDLER, this.#handler(op.form));
    op.registers.slice(0, 3).forEach((register, i) => {
      this.#set(at + OP_REGISTERS + 4 * i, register.isAddress ? this.#core + register.at : register.at);
    });
    this.#set(at + OP_BASE, this.#core + op.base);
    this.#set(at + OP_INDEX, this.#core + op.index);
    view.setUint8(at + OP_SCALE, op.scale);
    view.setUint8(at + OP_LENGTH, op.length);
    view.setUint16(at + OP_OFFSET, offset, true);
    view.setUint8(at + OP_FLAGS, op.stackBased ? OP_STACK_BASED : 0);
    view.setUint16(at + OP_REST, rest, true);
    view.setBigInt64(at + OP_DISPLACEMENT, op.displacement, true);
    view.setBigInt64(at + OP_IMMEDIATE, op.immediate, true);
    this.#set(at + OP_PATCH, this.#patch(at, place, op.immediate));
    view.setUint16(at + OP_CODE, op.code, true);
    this.#set(at + OP_IMMEDIATE2, op.immediate2);
  }
  #writeEnd(at: number, offset: number, place: CodePlace): void {
    this.#words.fill(0, at >>> 2, (at + OP_BYTES) >>> 2);
    this.#set(at + OP_HANDLER, SLOT.endOfBlock);
    this.#view.setUint16(at + OP_OFFSET, offset, true);
    this.#view.setBigInt64(at + OP_IMMEDIATE, BigInt(offset), true);
    this.#set(at + OP_PATCH, this.#patch(at, place, BigInt(offset)));
  }
  /** Links hold within a page, where one mapping serves both ends; outside 64-bit mode CS's limit is to be checked. */
  #patch(at: number, place: CodePlace, distance: bigint): number {
    const target = (place.physical % PAGE) + Number(distance);
    const keeps = (place.key & MODE_64) !== 0 && target >= 0 && target < PAGE;
    return keeps ? at + OP_CHAIN : this.#core + CHAIN_SINK;
  }
  #handler(form: Decoded["form"]): number {
    if (form === "invalid") return SLOT.invalid;
    if (form === "too long") return SLOT.tooLong;
    if (form === "unimplemented") return SLOT.unimplemented;
    return this.#slotOf(form);
  }
}

/** The bytes at a place, copied: another core may be changing them. */
export function bytesAt(place: CodePlace, second?: SecondPage): Uint8Array {
  if (second === undefined) return place.bytes.slice(0, BLOCK_OPS_MAX * LENGTH_MAX);
  const joined = new Uint8Array(place.bytes.length + second.bytes.length);
  joined.set(place.bytes);
  joined.set(second.bytes, place.bytes.length);
  return joined;
}

/** The block's instructions. undefined: the first runs on into the next page, which the caller has to supply. */
export function decode(place: CodePlace, second?: SecondPage): Code | undefined {
  const bytes = bytesAt(place, second);
  const ops = decodeOps(bytes, place, second !== undefined);
  if (ops === undefined) return undefined;
  return { ops, bytes, length: ops.reduce((sum, op) => sum + op.length, 0) };
}
function decodeOps(bytes: Uint8Array, place: CodePlace, across: boolean): Decoded[] | undefined {
  const stream = new InstructionStream(bytes, place.rip, place.key);
  const ops: Decoded[] = [];
  try {
    for (;;) {
      const op = stream.next();
      if (op === undefined) return ops.length === 0 ? undefined : ops;
      ops.push(op);
      // An instruction that runs on into the next page is a block of its own.
      if (across || op.ends || ops.length === BLOCK_OPS_MAX) return ops;
    }
  } finally {
    stream.free();
  }
}
