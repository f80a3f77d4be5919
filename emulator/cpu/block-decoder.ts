// Decodes a block: the op records of straight-line code for one core, with every branch relative to the code's start.
//
// A block ends at an unconditional transfer, at an instruction that may change how code is read, at the end of the
// page, or when it is long enough; conditional branches only leave it.
// Invariant: what is decoded depends on the bytes, the mode and the core alone.

import type { Constant, Shape } from "./decode.js";
import { type Form, hasDisplacement } from "./form.js";
import {
  BLOCK_RIP,
  CHAIN_SINK,
  MODE_64,
  OP_BASE,
  OP_BYTES,
  OP_CODE,
  OP_FLAGS,
  OP_HANDLER,
  OP_IMMEDIATE2,
  OP_INDEX,
  OP_LENGTH,
  OP_LONG,
  OP_OFFSET,
  OP_OWN,
  OP_PATCH,
  OP_REGISTERS,
  OP_REST,
  OP_SCALE,
  OP_SHORT,
  OP_STACK_BASED,
} from "./layout.js";
import { SLOT } from "./lowering/linkage.js";
import { InstructionStream, putConstant } from "./shapes.js";

/** Longest block, in instructions. */
export const BLOCK_OPS_MAX = 32;
const LENGTH_MAX = 15;
/** No instruction of a block starts farther from the block's start: OP_OFFSET and BLOCK_BYTES have 8 bits. */
const OFFSET_MAX = 0xff - LENGTH_MAX;
const REGISTERS = 3;
const OP_WORDS = OP_BYTES / 4;
/** Words of a record; those of a near branch's links stand in place of registers. */
const WORD_OF_OFFSET = OP_OFFSET >>> 2; // with OP_REST and OP_CODE above it
const WORD_OF_SHORT = OP_SHORT >>> 2;
const WORD_OF_LONG = OP_LONG >>> 2;
const WORD_OF_PATCH = OP_PATCH >>> 2;

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
  /** Read from the instruction's bytes each time; null: the words say it. */
  readonly displacement: Constant | null;
  readonly immediate: Constant | null;
  /** The word of the immediate: beside a displacement it has one, else two. */
  readonly immediateAt: number;
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
        if (next !== undefined || shape.ends || count === BLOCK_OPS_MAX) break;
        if (stream.offset >= until || stream.offset > OFFSET_MAX) break;
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
    const { words: from } = record;
    for (let i = 0; i < OP_WORDS; i++) words[at + i] = from[i];
    words[at + WORD_OF_OFFSET] |= offset;
    // The immediate's upper word, where there is room for one alone, is written over by the displacement.
    if (record.immediate !== null)
      putConstant(words, at + record.immediateAt, this.#bytes, offset, record.immediate);
    if (record.displacement !== null)
      putConstant(words, at + WORD_OF_LONG, this.#bytes, offset, record.displacement);
    else if (record.immediateAt !== WORD_OF_LONG) words[at + WORD_OF_LONG] = from[WORD_OF_LONG];
    if (record.ripBased) add64(words, at + WORD_OF_LONG, offset);
    links[index] = NO_LINK;
    if (!record.branches) return;
    add64(words, at + WORD_OF_LONG, offset);
    words[at + WORD_OF_PATCH] = CHAIN_SINK + core;
    links[index] = words[at + WORD_OF_LONG + 1] * 2 ** 32 + (words[at + WORD_OF_LONG] >>> 0);
  }

  #finish(core: number, count: number, length: number, key: number): DecodedBlock {
    const block = this.#block;
    const { words, links } = block;
    for (let index = 0; index < count; index++)
      words[index * OP_WORDS + WORD_OF_OFFSET] |= (count - index - 1) << REST_SHIFT;
    // What follows the last op is no instruction: it leads on to the next block.
    const end = count * OP_WORDS;
    words.fill(0, end, end + OP_WORDS);
    const ending = key & MODE_64 ? SLOT.endOfBlock : SLOT.endOfLegacyBlock;
    words[end] = handlers(ending);
    words[end + WORD_OF_OFFSET] = length;
    words[end + WORD_OF_LONG] = length;
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

const REST_SHIFT = 8 * (OP_REST - OP_OFFSET);

/** The first word: what does the op, and its form's handler. */
function handlers(slot: number): number {
  if (slot > 0xffff) throw new RangeError(`handler ${slot}: OP_OWN has 16 bits`);
  return (slot << (8 * (OP_HANDLER & 3))) | (slot << (8 * (OP_OWN & 3)));
}

/** An instruction's record as if it stood alone, but for what is read from its bytes each time. */
function recordOf(owner: BlockDecoder, shape: Shape, handler: number): OpRecord {
  const words = new Int32Array(OP_WORDS);
  const view = new DataView(words.buffer);
  words[0] = handlers(handler);
  const { branches, immediate2 } = shape;
  const registers = shape.registers.slice(0, REGISTERS);
  if (branches ? shape.registers.length !== 1 : immediate2 !== 0 && (registers[2]?.at ?? 0) !== 0)
    throw new Error(
      `${shape.code}: a third register beside a second immediate, or a branch with two operands`,
    );
  if (!branches) {
    registers.forEach(({ at }, i) => {
      view.setUint16(OP_REGISTERS + 2 * i, at, true);
    });
    if (immediate2 !== 0) view.setUint16(OP_IMMEDIATE2, immediate2, true);
    view.setUint16(OP_BASE, shape.base, true);
  }
  view.setUint16(OP_INDEX, shape.index, true);
  view.setUint8(OP_SCALE, shape.scale);
  if (shape.stackBased) view.setUint8(OP_FLAGS, shape.scale | OP_STACK_BASED);
  view.setUint8(OP_LENGTH, shape.length);
  view.setUint16(OP_CODE, shape.code, true);
  const form = typeof shape.form === "object" ? shape.form : undefined;
  const beside = form !== undefined && hasDisplacement(form);
  const immediate = constantOf(words, beside ? WORD_OF_SHORT : WORD_OF_LONG, shape.immediate);
  const displacement = beside ? constantOf(words, WORD_OF_LONG, shape.displacement) : null;
  const immediateAt = beside ? WORD_OF_SHORT : WORD_OF_LONG;
  const ripBased = shape.base === BLOCK_RIP;
  return { owner, words, displacement, immediate, immediateAt, ripBased, branches };
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
