// Decoded blocks before they have a place: the op records of straight-line code, with every address relative to the
// core's block and every branch relative to the code's start. The same bytes in the same mode always decode to the
// same template, so each is made once for all cores and machines of a process.
//
// A block ends at an unconditional transfer, at an instruction that may change how code is read, at the end of the
// page, or when it is long enough; conditional branches only leave it.
// Invariant: a template depends on its bytes and the mode alone.

import { type Decoded, InstructionStream } from "./decode.js";
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
/** Templates are looked up by their first bytes. */
const PREFIX = 12;
/** Code that keeps changing must not fill the host's memory. */
const TEMPLATES_MAX = 200_000;

export interface Template {
  /** The instructions' own, no more. */
  readonly bytes: Uint8Array;
  /** Instructions. */
  readonly count: number;
  /** Their records and that of the block's end. */
  readonly words: Uint32Array;
  /** Words to which the core's address has to be added. */
  readonly relocations: Uint32Array;
  /** Ops that may be linked to the block at a distance from the code's start; the block's end is the last. */
  readonly links: readonly { readonly op: number; readonly distance: number }[];
}

export class Templates {
  readonly #slotOf: (form: Form) => number;
  readonly #known = new Map<string, Template[]>();
  #count = 0;

  constructor(slotOf: (form: Form) => number) {
    this.#slotOf = slotOf;
  }

  /**
   * The block that starts with these bytes, which may change under our eyes: the template has its own copy. `next` are
   * the bytes of the following page, when the first instruction needs them. undefined: it does. No instruction but the
   * first starts `until` bytes or more from the start.
   */
  of(
    bytes: Uint8Array,
    key: number,
    next?: Uint8Array,
    until = Number.POSITIVE_INFINITY,
  ): Template | undefined {
    if (next !== undefined) return this.#decode(joined(bytes, next), key, true, until);
    const prefix = prefixOf(bytes, key);
    const alike = this.#known.get(prefix);
    const found = alike?.find(
      (t) => startsWith(bytes, t.bytes) && (t.count === 1 || t.bytes.length <= until),
    );
    if (found !== undefined) return found;
    const template = this.#decode(bytes.slice(0, BLOCK_OPS_MAX * LENGTH_MAX), key, false, until);
    if (template !== undefined) this.#keep(prefix, template);
    return template;
  }
  #keep(prefix: string, template: Template): void {
    if (++this.#count > TEMPLATES_MAX) {
      this.#known.clear();
      this.#count = 1;
    }
    const alike = this.#known.get(prefix);
    if (alike === undefined) this.#known.set(prefix, [template]);
    else alike.push(template);
  }

  #decode(bytes: Uint8Array, key: number, across: boolean, until: number): Template | undefined {
    const ops = decodeOps(bytes, key, across, until);
    if (ops === undefined) return undefined;
    const words = new Uint32Array((ops.length + 1) * OP_WORDS);
    const relocations: number[] = [];
    const links: { op: number; distance: number }[] = [];
    let offset = 0;
    for (let index = 0; index < ops.length; index++) {
      const op = ops[index];
      const at = index * OP_WORDS;
      this.#writeRecord(op, words, at, relocations);
      words[at + WORD_OF_OFFSET] |= offset << 16;
      words[at + WORD_OF_REST] |= (ops.length - index - 1) << 16;
      if (op.base === BLOCK_RIP) add64(words, at + WORD_OF_DISPLACEMENT, offset);
      if (op.branches) {
        add64(words, at + WORD_OF_IMMEDIATE, offset);
        links.push({ op: index, distance: offset + Number(op.immediate) });
      }
      offset += op.length;
    }
    // What follows the last op is no instruction: it leads on to the next block.
    const end = ops.length * OP_WORDS;
    words[end + WORD_OF_HANDLER] = key & MODE_64 ? SLOT.endOfBlock : SLOT.endOfLegacyBlock;
    words[end + WORD_OF_OFFSET] = offset << 16;
    words[end + WORD_OF_IMMEDIATE] = offset;
    words[end + WORD_OF_PATCH] = CHAIN_SINK;
    relocations.push(end + WORD_OF_PATCH);
    links.push({ op: ops.length, distance: offset });
    const own = bytes.slice(0, offset);
    return { bytes: own, count: ops.length, words, relocations: Uint32Array.from(relocations), links };
  }

  /** Writes an instruction's record, as if it stood alone, to words that are zero. */
  #writeRecord(op: Decoded, words: Uint32Array, at: number, relocations: number[]): void {
    words[at + WORD_OF_HANDLER] = this.#handlerOf(op);
    const registers = Math.min(op.registers.length, REGISTERS);
    for (let i = 0; i < registers; i++) {
      const register = op.registers[i];
      const word = at + WORD_OF_REGISTERS + i;
      words[word] = register.at;
      if (register.isAddress) relocations.push(word);
    }
    words[at + WORD_OF_BASE] = op.base;
    words[at + WORD_OF_INDEX] = op.index;
    words[at + WORD_OF_SCALE] = op.scale | (op.length << 8);
    words[at + WORD_OF_FLAGS] = op.stackBased ? OP_STACK_BASED : 0;
    put64(words, at + WORD_OF_DISPLACEMENT, op.displacement);
    put64(words, at + WORD_OF_IMMEDIATE, op.immediate);
    words[at + WORD_OF_PATCH] = CHAIN_SINK;
    words[at + WORD_OF_CODE] = op.code;
    words[at + WORD_OF_IMMEDIATE2] = op.immediate2;
    relocations.push(at + WORD_OF_BASE, at + WORD_OF_INDEX, at + WORD_OF_PATCH);
  }

  /** Asked for once an instruction: its key is long. */
  #handlerOf(op: Decoded): number {
    if (op.slotOwner !== this) {
      op.slot = this.#handler(op.form);
      op.slotOwner = this;
    }
    return op.slot;
  }
  #handler(form: Decoded["form"]): number {
    if (form === "invalid") return SLOT.invalid;
    if (form === "too long") return SLOT.tooLong;
    if (form === "unimplemented") return SLOT.unimplemented;
    return this.#slotOf(form);
  }
}

/** Most numbers are small: the slow halves are for those that a double cannot hold. */
function put64(words: Uint32Array, index: number, value: bigint): void {
  const n = Number(value);
  words[index] = Number.isSafeInteger(n) ? n : Number(value & 0xffff_ffffn);
  words[index + 1] = Number.isSafeInteger(n)
    ? Math.floor(n / 2 ** 32)
    : Number((value >> 32n) & 0xffff_ffffn);
}

/** Adds to the signed 64-bit number whose low word stands at an index. */
function add64(words: Uint32Array, index: number, n: number): void {
  const low = words[index] + n;
  words[index] = low;
  if (low > 0xffff_ffff) words[index + 1]++;
}

function prefixOf(bytes: Uint8Array, key: number): string {
  const length = Math.min(PREFIX, bytes.length);
  let prefix = String.fromCharCode(key);
  for (let i = 0; i < length; i++) prefix += String.fromCharCode(bytes[i]);
  return prefix;
}

export function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[i] !== prefix[i]) return false;
  return true;
}
export function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** undefined: the first instruction runs on beyond the bytes. */
function decodeOps(bytes: Uint8Array, key: number, across: boolean, until: number): Decoded[] | undefined {
  const stream = new InstructionStream(bytes, key);
  const ops: Decoded[] = [];
  let offset = 0;
  try {
    for (;;) {
      const op = stream.next();
      if (op === undefined) return ops.length === 0 ? undefined : ops;
      ops.push(op);
      offset += op.length;
      // An instruction that runs on into the next page is a block of its own.
      if (across || op.ends || ops.length === BLOCK_OPS_MAX || offset >= until) return ops;
    }
  } finally {
    stream.free();
  }
}
