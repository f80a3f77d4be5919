// Disk images: raw files of the host, read and written as the guest asks for it. A copy-on-write disk keeps what
// the guest writes in memory, in blocks, and leaves the file alone; it goes into snapshots. A file that is written to is part of
// them as well: from the first snapshot on, what a block held before it was written is kept, so that going back, and
// forward again, makes the file what it was.

import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { type Disk, SECTOR_BYTES } from "./devices/virtio-blk.js";

export type DiskMode = "rw" | "ro" | "cow";

export interface DiskOptions {
  readonly path: string;
  readonly mode: DiskMode;
}

/** "FILE", "FILE,ro" or "FILE,cow". */
export function parseDisk(text: string): DiskOptions {
  const match = /^(.+?)(?:,(rw|ro|cow))?$/.exec(text);
  if (match === null || /,[^/]*$/.test(match[1]!))
    throw new Error(`disk "${text}": wanted FILE, FILE,ro or FILE,cow`);
  return { path: match[1]!, mode: (match[2] as DiskMode | undefined) ?? "rw" };
}

export function openDisk({ path, mode }: DiskOptions): Disk {
  try {
    const file = new FileDisk(path, mode);
    if (mode === "cow") return new Overlay(file);
    return mode === "rw" ? new Rewindable(file) : file;
  } catch (error) {
    throw new Error(`disk ${path}: ${(error as Error).message}`);
  }
}

class FileDisk implements Disk {
  readonly bytes: number;
  readonly readOnly: boolean;
  readonly #file: number;

  constructor(path: string, mode: DiskMode) {
    this.readOnly = mode !== "rw";
    this.#file = openSync(path, mode === "rw" ? "r+" : "r");
    const state = fstatSync(this.#file);
    this.bytes = state.size;
    if (state.isFile() && state.size > 0 && state.size % SECTOR_BYTES === 0) return;
    closeSync(this.#file);
    throw new Error(
      state.isFile()
        ? `${state.size} bytes are no whole number of sectors of ${SECTOR_BYTES}`
        : "it is not a file",
    );
  }

  read(offset: number, into: Uint8Array): void {
    this.#all(into.length, (done) => readSync(this.#file, into, done, into.length - done, offset + done));
  }

  write(offset: number, from: Uint8Array): void {
    this.#all(from.length, (done) => writeSync(this.#file, from, done, from.length - done, offset + done));
  }

  /** The host may do less than it is asked for, but never nothing inside of the file. */
  #all(length: number, move: (done: number) => number): void {
    for (let done = 0; done < length; ) {
      const moved = move(done);
      if (moved === 0) throw new Error("the image has become shorter");
      done += moved;
    }
  }

  flush(): void {
    if (!this.readOnly) fsyncSync(this.#file);
  }

  snapshot(): object {
    return {};
  }

  restore(): void {}
}

const BLOCK_BYTES = 4096;
type Block = readonly [index: number, base64: string];

/** What was written lies over the disk below, in blocks. */
export class Overlay implements Disk {
  readonly bytes: number;
  readonly readOnly = false;
  readonly #below: Disk;
  readonly #blocks = new Map<number, Uint8Array>();

  constructor(below: Disk) {
    this.#below = below;
    this.bytes = below.bytes;
  }

  read(offset: number, into: Uint8Array): void {
    if (this.#blocks.size === 0) {
      this.#below.read(offset, into);
      return;
    }
    eachBlock(offset, into.length, (index, from, at, length) => {
      const part = into.subarray(at, at + length);
      const block = this.#blocks.get(index);
      if (block === undefined) this.#below.read(offset + at, part);
      else part.set(block.subarray(from, from + length));
    });
  }

  write(offset: number, from: Uint8Array): void {
    eachBlock(offset, from.length, (index, start, at, length) => {
      this.#own(index).set(from.subarray(at, at + length), start);
    });
  }

  /** The block to write to: a copy of what is below, at first. The disk's last one may be short. */
  #own(index: number): Uint8Array {
    let block = this.#blocks.get(index);
    if (block === undefined) {
      block = new Uint8Array(BLOCK_BYTES);
      const offset = index * BLOCK_BYTES;
      this.#below.read(offset, block.subarray(0, Math.min(BLOCK_BYTES, this.bytes - offset)));
      this.#blocks.set(index, block);
    }
    return block;
  }

  flush(): void {}

  snapshot(): { blocks: Block[] } {
    const blocks = [...this.#blocks].sort(([a], [b]) => a - b);
    return { blocks: blocks.map(([index, bytes]) => [index, Buffer.from(bytes).toString("base64")]) };
  }

  restore(state: object): void {
    this.#blocks.clear();
    for (const [index, text] of (state as { blocks: Block[] }).blocks)
      this.#blocks.set(index, Uint8Array.from(Buffer.from(text, "base64")));
  }
}

/**
 * A disk that is written to, and that snapshots bring back. A snapshot holds the blocks that have been written since the first
 * one, as they were: until then nothing is kept, so a run that nobody rewinds pays nothing.
 */
export class Rewindable implements Disk {
  readonly bytes: number;
  readonly readOnly = false;
  readonly #below: Disk;
  /** By block: what it held at the first snapshot. null: there has been none. */
  #first: Map<number, Uint8Array> | null = null;
  /** What blocks hold now, as snapshots have it; missing ones have been written since. */
  readonly #encoded = new Map<number, string>();

  constructor(below: Disk) {
    this.#below = below;
    this.bytes = below.bytes;
  }

  read(offset: number, into: Uint8Array): void {
    this.#below.read(offset, into);
  }

  write(offset: number, from: Uint8Array): void {
    if (this.#first !== null) eachBlock(offset, from.length, (index) => this.#keep(index));
    this.#below.write(offset, from);
  }

  #keep(index: number): void {
    if (!this.#first!.has(index)) this.#first!.set(index, this.#block(index));
    this.#encoded.delete(index);
  }

  /** The disk's last block may be short. */
  #block(index: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(BLOCK_BYTES, this.bytes - index * BLOCK_BYTES));
    this.#below.read(index * BLOCK_BYTES, bytes);
    return bytes;
  }

  flush(): void {
    this.#below.flush();
  }

  snapshot(): { blocks: Block[] } {
    this.#first ??= new Map();
    const indices = [...this.#first.keys()].sort((a, b) => a - b);
    return { blocks: indices.map((index): Block => [index, this.#text(index)]) };
  }

  #text(index: number): string {
    let text = this.#encoded.get(index);
    if (text === undefined) {
      text = Buffer.from(this.#block(index)).toString("base64");
      this.#encoded.set(index, text);
    }
    return text;
  }

  /** Also of another process that had the same file: the snapshot's blocks come, others stay. */
  restore(state: object): void {
    this.#first ??= new Map();
    const wanted = new Map((state as { blocks?: Block[] }).blocks ?? []);
    for (const index of new Set([...this.#first.keys(), ...wanted.keys()])) {
      const text = wanted.get(index);
      if (text !== undefined && this.#encoded.get(index) === text) continue;
      this.#keep(index);
      this.#below.write(
        index * BLOCK_BYTES,
        text === undefined ? this.#first.get(index)! : new Uint8Array(Buffer.from(text, "base64")),
      );
      if (text !== undefined) this.#encoded.set(index, text);
    }
  }
}

/** Cuts a range of bytes at block borders: block, offset in the block, offset in the range, length. */
function eachBlock(
  offset: number,
  length: number,
  visit: (index: number, from: number, at: number, length: number) => void,
): void {
  for (let at = 0; at < length; ) {
    const index = Math.floor((offset + at) / BLOCK_BYTES);
    const from = (offset + at) % BLOCK_BYTES;
    const count = Math.min(BLOCK_BYTES - from, length - at);
    visit(index, from, at, count);
    at += count;
  }
}
