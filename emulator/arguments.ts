// Checked values of the command line and of the library's options, with errors that name the option.

import { CORES_MAX, RAM_BYTES_MAX } from "./board/map.js";
import { checkWhole } from "./bounds.js";
import { STORE_BUFFER_MAX } from "./cpu/layout.js";

export const MACHINES_MAX = 64;
export const RAM_BYTES_MIN = 1 << 20;

const SUFFIX: Record<string, number> = { "": 1, k: 1 << 10, m: 1 << 20, g: 1 << 30 };

/** "256M", "1g", "65536": bytes, a whole number of pages within what a machine may have. */
export function memoryBytes(text: string): number {
  const match = /^(\d+)([kmg]?)(?:i?b)?$/i.exec(text.trim());
  if (match === null) throw new RangeError(`memory "${text}": wanted a size such as 64M or 1G`);
  return checkMemory(Number(match[1]) * SUFFIX[match[2]!.toLowerCase()]!);
}

export function checkMemory(bytes: number): number {
  if (!Number.isSafeInteger(bytes) || bytes < RAM_BYTES_MIN || bytes > RAM_BYTES_MAX || bytes % 4096 !== 0) {
    throw new RangeError(`memory of ${bytes} bytes: wanted whole 4 KiB pages, from 1M to 3G`);
  }
  return bytes;
}

export const checkCores = (n: number): number => checkCount("cores", n, CORES_MAX);
/** As many mirrors as a cluster has other machines; a smaller cluster has as many as it can. */
export function checkMirror(n: number): number {
  if (!Number.isInteger(n) || n < 0 || n >= MACHINES_MAX)
    throw new RangeError(`mirror ${n}: wanted 0 to ${MACHINES_MAX - 1}`);
  return n;
}

export const checkMachines = (n: number): number => checkCount("machines", n, MACHINES_MAX);

/** Entries of a store buffer. */
export const checkStoreBuffer = (n: number): number => checkCount("store buffer", n, STORE_BUFFER_MAX);

/** What a seed may be: others would give the run of one of these, or of none. */
export const checkSeed = (n: number): number => checkWhole("seed", n, 0, 0xffff_ffff);

function checkCount(what: string, n: number, max: number): number {
  if (!Number.isInteger(n) || n < 1 || n > max) throw new RangeError(`${what} ${n}: wanted 1 to ${max}`);
  return n;
}

/** Parses a whole number within bounds. */
export function whole(what: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const n = /^(0x[\da-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
    if (!(n >= min && n <= max))
      throw new RangeError(`${what} "${text}": wanted a whole number from ${min} to ${max}`);
    return n;
  };
}

/** The guest's station address of machine `node` (1-based): locally administered, ending in the number. */
export function macOf(node: number): Uint8Array {
  return Uint8Array.from([0x52, 0x54, 0, 0, node >> 8, node & 0xff]);
}
