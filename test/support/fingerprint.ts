// States of a search, remembered by 128-bit fingerprints: four words mixed from all that a state consists of, in one typed
// array that is a hash table. That two of ten million different states have the same fingerprint has a chance of 1 in 10^24.

const FIRST_WORDS = 1 << 12;

/** Gathers the words of a state; the fingerprint is a function of them and of their order. */
export class Words {
  #words = new Uint32Array(FIRST_WORDS);
  #count = 0;

  clear(): void {
    this.#count = 0;
  }

  #room(count: number): void {
    if (this.#count + count <= this.#words.length) return;
    const words = new Uint32Array(2 * (this.#count + count));
    words.set(this.#words);
    this.#words = words;
  }

  put(word: number): void {
    this.#room(1);
    this.#words[this.#count++] = word;
  }

  /** `count` words of `from`, from `at` on. */
  copy(from: Uint32Array, at: number, count: number): void {
    this.#room(count);
    for (let i = 0; i < count; i++) this.#words[this.#count + i] = from[at + i]!;
    this.#count += count;
  }

  /** Four lanes, each a multiplicative hash of its own; at the end each depends on all. */
  fingerprint(to: Uint32Array): void {
    let [a, b, c, d] = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
    for (let i = 0; i < this.#count; i++) {
      const word = this.#words[i]!;
      a = Math.imul(a ^ word, 0x9e3779b1);
      a ^= a >>> 15;
      b = Math.imul(b + word, 0x85ebca6b);
      b ^= b >>> 13;
      c = Math.imul(c ^ word ^ (a >>> 3), 0xc2b2ae35);
      c ^= c >>> 16;
      d = Math.imul(d + (word ^ b), 0x27d4eb2f);
      d ^= d >>> 14;
    }
    for (let round = 0; round < 3; round++) {
      a = Math.imul(a ^ (d >>> 11), 0x85ebca6b);
      b = Math.imul(b ^ (a >>> 13), 0xc2b2ae35);
      c = Math.imul(c ^ (b >>> 12), 0x9e3779b1);
      d = Math.imul(d ^ (c >>> 14), 0x27d4eb2f);
    }
    to[0] = a;
    to[1] = b;
    to[2] = c;
    to[3] = d;
  }
}

const text = new Words();

/** Of a state that is told in words. */
export function fingerprintOf(words: string, to: Uint32Array): void {
  text.clear();
  for (let i = 0; i < words.length; i++) text.put(words.charCodeAt(i));
  text.fingerprint(to);
}

/** A set of fingerprints: open addressing, at most half full. */
export class Fingerprints {
  size = 0;
  #table = new Uint32Array(4 << 12);
  #mask = (1 << 12) - 1;

  /** False: it was there. */
  add(print: Uint32Array): boolean {
    if (2 * this.size > this.#mask) this.#grow();
    // A place of zeros is empty: the fingerprint that is all zeros counts as its neighbour.
    const first = (print[0]! | print[1]! | print[2]! | print[3]!) === 0 ? 1 : print[0]!;
    return this.#put(first, print[1]!, print[2]!, print[3]!);
  }

  #put(a: number, b: number, c: number, d: number): boolean {
    const table = this.#table;
    for (let slot = d & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = 4 * slot;
      if ((table[at]! | table[at + 1]! | table[at + 2]! | table[at + 3]!) === 0) {
        table[at] = a;
        table[at + 1] = b;
        table[at + 2] = c;
        table[at + 3] = d;
        this.size++;
        return true;
      }
      if (table[at] === a && table[at + 1] === b && table[at + 2] === c && table[at + 3] === d) return false;
    }
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Uint32Array(old.length * 4);
    this.#mask = this.#table.length / 4 - 1;
    this.size = 0;
    for (let at = 0; at < old.length; at += 4)
      if ((old[at]! | old[at + 1]! | old[at + 2]! | old[at + 3]!) !== 0)
        this.#put(old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!);
  }
}
