// A machine's state as one plain record, with RAM as a list of the pages that are not all zero, so that it can be
// kept, written as JSON and compared. Versioned: a record of another version or shape is refused by name.

import type { MarkedLines } from "./cpu/code-marks.js";
import type { CoreRecord } from "./cpu/state.js";

export const SNAPSHOT_VERSION = 4;
const PAGE_BYTES = 4096;
const ZEROS = new Uint8Array(PAGE_BYTES);

export interface MachineState {
  readonly cores: readonly CoreRecord[];
  readonly devices: readonly object[];
  readonly board: object;
  readonly time: {
    readonly now: number;
    readonly seen: number;
    /** Instructions of each core since `now`: not 0 in the middle of a quantum. */
    readonly spent: readonly number[];
  };
  readonly power: { readonly powered: boolean; readonly problem: string; readonly exitCode: number | null };
  /** With store buffers: which lines of RAM are known as code. */
  readonly code?: readonly MarkedLines[];
  readonly ram: Uint8Array;
}

/** What decodeSnapshot gives: RAM as its pages that are not all zero, by number. */
export interface DecodedState extends Omit<MachineState, "ram"> {
  readonly pages: ReadonlyMap<number, Uint8Array>;
}

export interface Snapshot extends Omit<MachineState, "ram"> {
  readonly version: number;
  readonly ramBytes: number;
  /** Page number to its bytes in base64. */
  readonly pages: Readonly<Record<string, string>>;
}

export function encodeSnapshot({ ram, ...rest }: MachineState): Snapshot {
  const pages: Record<string, string> = {};
  for (let page = 0; page * PAGE_BYTES < ram.length; page++) {
    const bytes = ram.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    if (Buffer.compare(bytes, ZEROS.subarray(0, bytes.length)) !== 0)
      pages[page] = Buffer.from(bytes).toString("base64");
  }
  return structuredClone({ version: SNAPSHOT_VERSION, ...rest, ramBytes: ram.length, pages });
}

/** Throws an Error that says in what the record does not fit the machine. */
export function decodeSnapshot(s: Snapshot, shape: { cores: number; ramBytes: number }): DecodedState {
  if (s.version !== SNAPSHOT_VERSION)
    throw new Error(`snapshot: version ${s.version}, wanted ${SNAPSHOT_VERSION}`);
  if (s.cores.length !== shape.cores)
    throw new Error(`snapshot: ${s.cores.length} cores, the machine has ${shape.cores}`);
  if (s.ramBytes !== shape.ramBytes) {
    throw new Error(`snapshot: ${s.ramBytes} bytes of RAM, the machine has ${shape.ramBytes}`);
  }
  const { cores, devices, board, time, power, code } = structuredClone({ ...s, pages: {} });
  const marked = code === undefined ? {} : { code };
  return { cores, devices, board, time, power, ...marked, pages: pagesOf(s) };
}

/** A snapshot that is gone back to again and again is decoded once. */
const decoded = new WeakMap<Snapshot["pages"], ReadonlyMap<number, Uint8Array>>();

function pagesOf({ pages, ramBytes }: Snapshot): ReadonlyMap<number, Uint8Array> {
  const known = decoded.get(pages);
  if (known !== undefined) return known;
  const result = new Map<number, Uint8Array>();
  for (const [page, text] of Object.entries(pages)) {
    const bytes = Buffer.from(text, "base64");
    const at = Number(page) * PAGE_BYTES;
    if (!(at >= 0 && at + PAGE_BYTES <= ramBytes) || bytes.length !== PAGE_BYTES) {
      throw new Error(`snapshot: page ${page} of ${bytes.length} bytes is not a page of this RAM`);
    }
    result.set(Number(page), bytes);
  }
  decoded.set(pages, result);
  return result;
}

/** Makes RAM what the pages say; `written` is told of each page that was different. */
export function restoreRam(
  ram: Uint8Array,
  pages: ReadonlyMap<number, Uint8Array>,
  written: (physical: number, length: number) => void,
): void {
  for (let at = 0; at < ram.length; at += PAGE_BYTES) {
    const wanted = pages.get(at / PAGE_BYTES) ?? ZEROS;
    const length = Math.min(PAGE_BYTES, ram.length - at);
    const page = ram.subarray(at, at + length);
    if (Buffer.compare(page, wanted.subarray(0, length)) === 0) continue;
    page.set(wanted.subarray(0, length));
    written(at, length);
  }
}
