// Decodes a block: the op records of straight-line code for one core, with every branch relative to the code's start.
//
// A block ends at an unconditional transfer, at an instruction that may change how code is read, at the end of the
// page, or when it is long enough; conditional branches only leave it.
// Invariant: what is decoded depends on the bytes, the mode and the core alone.

import type { Constant, Shape } from "./decode.js";
import type { Form } from "./form.js";
import {
  BLOCK_RIP,
  CHAIN_SINK,
  MODE_64,
  OP_BASE,
  OP_BYTES,
  OP_CODE,
  OP_DISPLACEMENT,
  OP_FLAGS,
  OP_HANDLER,
  OP_IMMEDIATE,
  OP_IMMEDIATE2,
  OP_INDEX,
  OP_OFFSET,
  OP_PATCH,
  OP_REGISTERS,
  OP_REST,
  OP_SCALE,
  OP_STACK_BASED,
} from "./layout.js";
import { SLOT } from "./lowering/linkage.js";
import { InstructionStream, putConstant } from "./shapes.js";

/** Longest block, in instructions. */
export const BLOCK_OPS_MAX = 32;
const LENGTH_MAX = 15;
const REGISTERS = 3;
const OP_WORDS = OP_BYTES / 4;
/** Fields by word. OP_OFFSET, OP_LENGTH and OP_REST share theirs with others. */
const WORD_OF_HANDLER = OP_HANDLER >>> 2;
const WORD_OF_REGISTERS = OP_REGISTERS >>> 2;
const WORD_OF_BASE = OP_BASE >>> 2;
const WORD_OF_INDEX = OP_INDEX >>> 2;
const WORD_OF_SCALE = OP_SCALE >>> 2; // with the length above it
const WORD_OF_OFFSET = OP_OFFSET >>> 2;
const WORD_OF_FLAGS = OP_FLAGS >>> 2;
const WORD_OF_REST = OP_REST >>> 2;
const WORD_OF_DISPLACEMENT = OP_DISPLACEMENT >>> 2;
const WORD_OF_IMMEDIATE = OP_IMMEDIATE >>> 2;
const WORD_OF_PATCH = OP_PATCH >>> 2;
const WORD_OF_CODE = OP_CODE >>> 2;
const WORD_OF_IMMEDIATE2 = OP_IMMEDIATE2 >>> 2;

/** A block before it has a place; the next decode() writes over it. */
export interface DecodedBlock {
  /** The instructions' own are the first `length`, copied before they were decoded. */
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Instructions. */
  readonly count: number;
  /** Their records and that of the block's end, in the first `wordCount`. */
  readonly words: Int32Array;
  readonly wordCount: number;
  /** Distances from the code's start at which blocks that may be linked begin: by op, the block's end last; NO_LINK: none. */
  readonly links: Float64Array;
}
export const NO_LINK = Number.NaN;

/**
 * What all ops of a shape have in their records, and their handler. Software that has just been started spends its time
 * here: all records have the same fields in the same order, and what a shape says in words is said by numbers.
 */
interface OpRecord {
  /** Whose handlers they are. */
  readonly owner: BlockDecoder;
  readonly words: Int32Array;
  /** By word: -1 where the core's address has to be added, else 0. */
  readonly relocated: Int32Array;
  /** Read from the instruction's bytes each time; null: the words say it. */
  readonly displacement: Constant | null;
  readonly immediate: Constant | null;
  /** The displacement counts from the instruction. */
  readonly ripBased: boolean;
  readonly branches: boolean;
}
/** Kept with the shape: asked for once an instruction. */
type WithRecord = Shape & { record?: OpRecord };

export class BlockDecoder {
  readonly #slotOf: (form: Form) => number;
  readonly #bytes = new Uint8Array(BLOCK_OPS_MAX * LENGTH_MAX);
  readonly #block = {
    bytes: this.#bytes,
    length: 0,
    count: 0,
    words: new Int32Array((BLOCK_OPS_MAX + 1) * OP_WORDS),
    wordCount: 0,
    links: new Float64Array(BLOCK_OPS_MAX + 1),
  };

  constructor(slotOf: (form: Form) => number) {
    this.#slotOf = slotOf;
  }

  /**
   * The block that starts with these bytes, which may change under our eyes; `core` is the core's address. `next` are
   * the bytes of the following page, when the first instruction needs them. undefined: it does. No instruction but the
   * first starts `until` bytes or more from the start.
   */
  decode(
    core: number,
    bytes: Uint8Array,
    key: number,
    next?: Uint8Array,
    until = Number.POSITIVE_INFINITY,
  ): DecodedBlock | undefined {
    const stream = new InstructionStream(this.#copied(bytes, next), key);
    let count = 0;
    try {
      for (;;) {
        const from = stream.offset;
        const shape = stream.next();
        if (shape === undefined) break;
        this.#write(core, shape, count++, from);
        // An instruction that runs on into the next page is a block of its own.
        if (next !== undefined || shape.ends || count === BLOCK_OPS_MAX || stream.offset >= until) break;
      }
    } finally {
      stream.free();
    }
    return count === 0 ? undefined : this.#finish(core, count, stream.offset, key);
  }

  #copied(bytes: Uint8Array, next?: Uint8Array): Uint8Array {
    const copy = this.#bytes;
    const first = Math.min(bytes.length, copy.length);
    copy.set(first === bytes.length ? bytes : bytes.subarray(0, first));
    if (next === undefined) return first === copy.length ? copy : copy.subarray(0, first);
    const length = Math.min(first + next.length, copy.length);
    copy.set(next.subarray(0, length - first), first);
    return copy.subarray(0, length);
  }

  #write(core: number, shape: Shape, index: number, offset: number): void {
    const { words, links } = this.#block;
    const at = index * OP_WORDS;
    const record = this.#recordOf(shape);
    const { words: from, relocated } = record;
    for (let i = 0; i < OP_WORDS; i++) words[at + i] = from[i] + (core & relocated[i]);
    words[at + WORD_OF_OFFSET] |= offset << 16;
    if (record.displacement !== null)
      putConstant(words, at + WORD_OF_DISPLACEMENT, this.#bytes, offset, record.displacement);
    if (record.immediate !== null)
      putConstant(words, at + WORD_OF_IMMEDIATE, this.#bytes, offset, record.immediate);
    if (record.ripBased) add64(words, at + WORD_OF_DISPLACEMENT, offset);
    links[index] = NO_LINK;
    if (!record.branches) return;
    add64(words, at + WORD_OF_IMMEDIATE, offset);
    links[index] = words[at + WORD_OF_IMMEDIATE + 1] * 2 ** 32 + (words[at + WORD_OF_IMMEDIATE] >>> 0);
  }

  #finish(core: number, count: number, length: number, key: number): DecodedBlock {
    const block = this.#block;
    const { words, links } = block;
    for (let index = 0; index < count; index++)
      words[index * OP_WORDS + WORD_OF_REST] |= (count - index - 1) << 16;
    // What follows the last op is no instruction: it leads on to the next block.
    const end = count * OP_WORDS;
    words.fill(0, end, end + OP_WORDS);
    const ending = key & MODE_64 ? SLOT.endOfBlock : SLOT.endOfLegacyBlock;
    words[end + WORD_OF_HANDLER] = ending;
    words[end + WORD_OF_CODE] = ending << 16; // OP_OWN
    words[end + WORD_OF_OFFSET] = length << 16;
    words[end + WORD_OF_IMMEDIATE] = length;
    words[end + WORD_OF_PATCH] = CHAIN_SINK + core;
    links[count] = length;
    block.length = length;
    block.count = count;
    block.wordCount = end + OP_WORDS;
    return block;
  }

  #recordOf(shape: WithRecord): OpRecord {
    if (shape.record?.owner !== this) shape.record = recordOf(this, shape, this.#handlerOf(shape.form));
    return shape.record;
  }
  #handlerOf(form: Shape["form"]): number {
    if (form === "invalid") return SLOT.invalid;
    if (form === "too long") return SLOT.tooLong;
    if (form === "unimplemented") return SLOT.unimplemented;
    return this.#slotOf(form);
  }
}

/** An instruction's record as if it stood alone, but for what is read from its bytes each time. */
function recordOf(owner: BlockDecoder, shape: Shape, handler: number): OpRecord {
  const words = new Int32Array(OP_WORDS);
  const relocated = new Int32Array(OP_WORDS);
  for (const word of [WORD_OF_BASE, WORD_OF_INDEX, WORD_OF_PATCH]) relocated[word] = -1;
  words[WORD_OF_HANDLER] = handler;
  const registers = Math.min(shape.registers.length, REGISTERS);
  for (let i = 0; i < registers; i++) {
    const register = shape.registers[i];
    words[WORD_OF_REGISTERS + i] = register.at;
    if (register.isAddress) relocated[WORD_OF_REGISTERS + i] = -1;
  }
  words[WORD_OF_BASE] = shape.base;
  words[WORD_OF_INDEX] = shape.index;
  words[WORD_OF_SCALE] = shape.scale | (shape.length << 8);
  words[WORD_OF_FLAGS] = shape.stackBased ? OP_STACK_BASED : 0;
  words[WORD_OF_PATCH] = CHAIN_SINK;
  if (handler > 0xffff) throw new RangeError(`handler ${handler}: OP_OWN has 16 bits`);
  words[WORD_OF_CODE] = shape.code | (handler << 16); // with OP_OWN above it
  words[WORD_OF_IMMEDIATE2] = shape.immediate2;
  const displacement = constantOf(words, WORD_OF_DISPLACEMENT, shape.displacement);
  const immediate = constantOf(words, WORD_OF_IMMEDIATE, shape.immediate);
  const { branches } = shape;
  return { owner, words, relocated, displacement, immediate, ripBased: shape.base === BLOCK_RIP, branches };
}

/** Puts a value that stands for good into its words; gives the constant otherwise. */
function constantOf(words: Int32Array, index: number, value: Constant | bigint): Constant | null {
  if (typeof value === "object") return value;
  put64(words, index, value);
  return null;
}

function put64(words: Int32Array, index: number, value: bigint): void {
  words[index] = Number(value & 0xffff_ffffn);
  words[index + 1] = Number((value >> 32n) & 0xffff_ffffn);
}

/** Adds to the signed 64-bit number whose low word stands at an index. */
function add64(words: Int32Array, index: number, n: number): void {
  const low = (words[index] >>> 0) + n;
  words[index] = low;
  if (low > 0xffff_ffff) words[index + 1]++;
}

export function startsWith(bytes: Uint8Array, prefix: Uint8Array, length: number): boolean {
  if (bytes.length < length) return false;
  for (let i = 0; i < length; i++) if (bytes[i] !== prefix[i]) return false;
  return true;
}
export function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
