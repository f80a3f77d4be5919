// Instructions without their constants. Displacement and immediate stand last in an instruction (Intel SDM vol. 2, 2.1:
// 3DNow!'s opcodes apart), and the bytes before them, its skeleton, decide all else. Programs have millions of
// instructions and some ten thousand skeletons: decode.ts is asked once for each, and the rest is found byte by byte in a tree.
// Invariant: no skeleton begins with another, since a decoder reads from left to right.

import { type Constant, InstructionReader, type Shape } from "./decode.js";

/** Nodes of 256 words: 32 MiB. Code with prefixes at random must not fill the host's memory. */
const NODES_MAX = 32_768;
const NODES_FIRST = 256;
const FANOUT = 256;

/** The skeletons of one mode. Of a node's words 0 is unknown, a positive one the next node, a negative one a shape. */
class ShapeTree {
  #nodes = new Int32Array(NODES_FIRST * FANOUT);
  #count = 1;
  #shapes: Shape[] = [];

  /** undefined: not known, or the bytes end before it is. */
  find(bytes: Uint8Array, offset: number): Shape | undefined {
    const nodes = this.#nodes;
    let node = 0;
    for (let at = offset; at < bytes.length; at++) {
      const next = nodes[node * FANOUT + bytes[at]];
      if (next === 0) return undefined;
      if (next < 0) return this.#shapes[~next];
      node = next;
    }
    return undefined;
  }

  keep(shape: Shape, bytes: Uint8Array, offset: number): void {
    if (this.#count + shape.skeleton > NODES_MAX) this.#forget();
    let node = 0;
    for (let i = 0; i < shape.skeleton - 1; i++) {
      const word = node * FANOUT + bytes[offset + i];
      let next = this.#nodes[word];
      if (next === 0) {
        next = this.#grow();
        this.#nodes[word] = next;
      }
      if (next < 0) throw new Error(`the skeleton of ${hex(bytes, offset, shape)} begins with another`);
      node = next;
    }
    const word = node * FANOUT + bytes[offset + shape.skeleton - 1];
    if (this.#nodes[word] !== 0)
      throw new Error(`the skeleton of ${hex(bytes, offset, shape)} is a part of another`);
    this.#nodes[word] = ~this.#shapes.length;
    this.#shapes.push(shape);
  }
  #grow(): number {
    if ((this.#count + 1) * FANOUT > this.#nodes.length) {
      const larger = new Int32Array(this.#nodes.length * 2);
      larger.set(this.#nodes);
      this.#nodes = larger;
    }
    return this.#count++;
  }
  #forget(): void {
    this.#nodes.fill(0);
    this.#count = 1;
    this.#shapes = [];
  }
}

const hex = (bytes: Uint8Array, offset: number, { length, skeleton }: Shape): string =>
  `${Buffer.from(bytes.subarray(offset, offset + length)).toString("hex")} (${skeleton} bytes)`;

/** For all cores and machines of the process, by mode. */
const trees = new Map<number, ShapeTree>();

function treeOf(mode: number): ShapeTree {
  let tree = trees.get(mode);
  if (tree === undefined) {
    tree = new ShapeTree();
    trees.set(mode, tree);
  }
  return tree;
}

/** Reads instruction after instruction from a copy of some code. */
export class InstructionStream {
  readonly #bytes: Uint8Array;
  readonly #mode: number;
  readonly #tree: ShapeTree;
  #reader: InstructionReader | undefined;
  /** Of the next instruction. */
  offset = 0;

  constructor(bytes: Uint8Array, mode: number) {
    this.#bytes = bytes;
    this.#mode = mode;
    this.#tree = treeOf(mode);
  }
  free(): void {
    this.#reader?.free();
  }

  /** undefined: the bytes end in the middle of it. */
  next(): Shape | undefined {
    const shape = this.#tree.find(this.#bytes, this.offset) ?? this.#read();
    if (shape === undefined || this.offset + shape.length > this.#bytes.length) return undefined;
    this.offset += shape.length;
    return shape;
  }
  #read(): Shape | undefined {
    this.#reader ??= new InstructionReader(this.#bytes, this.#mode);
    const shape = this.#reader.read(this.offset);
    if (shape !== undefined && shape.skeleton > 0) this.#tree.keep(shape, this.#bytes, this.offset);
    return shape;
  }
}

/** Puts a constant of the instruction at `offset` into two words, the low one first. */
export function putConstant(
  words: Int32Array,
  at: number,
  bytes: Uint8Array,
  offset: number,
  constant: Constant,
): void {
  const from = offset + constant.at;
  const { size } = constant;
  if (size === 8) {
    words[at] = signed(bytes, from, 4);
    words[at + 1] = signed(bytes, from + 4, 4);
    return;
  }
  // Above 32 bits there is at most a sign; an element of the array takes a number modulo 2**32.
  const n = within(signed(bytes, from, size) + constant.add, constant);
  words[at] = n;
  words[at + 1] = n < 0 ? -1 : 0;
}

function within(n: number, { width, signed }: Constant): number {
  if (width === 64) return n;
  if (width === 32) return signed ? n | 0 : n >>> 0;
  const above = 32 - width;
  return signed ? (n << above) >> above : (n << above) >>> above;
}

/** A signed little-endian number of 1, 2 or 4 bytes. */
function signed(bytes: Uint8Array, at: number, size: number): number {
  if (size === 1) return (bytes[at] << 24) >> 24;
  if (size === 2) return ((bytes[at] | (bytes[at + 1] << 8)) << 16) >> 16;
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}
