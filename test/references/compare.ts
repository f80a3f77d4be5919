// A ROM's log taken apart: case by case, event by event, each a record of named values; and what two logs say differently.

import { DIGEST_BYTES, EXTRAS, eventBytes, type Mode, mark, STACKED, TOLD, WIDTH } from "./layout.js";
import { at } from "./tables.js";

export type Event = Readonly<Record<string, bigint>>;

export interface Outcome {
  readonly events: readonly Event[];
  /** By page; undefined when the case never ended: the machine shut down. */
  readonly digest: ReadonlyMap<number, number> | undefined;
  /** Ended by the task of #DF. */
  readonly double: boolean;
}

const SEGMENTS = new Set(["gs", "fs", "es", "ds", "cs", "ss", "v_es", "v_ds", "v_fs", "v_gs", "ldtr", "tr"]);
const VM = 0x2_0000n;
/** QEMU does not push it as 1 for faults. */
const RF = 0x1_0000n;

/** AMD's processors tell of those only, Intel's of any that matches (APM vol. 2, 13.1.1.3; SDM vol. 3B, 18.2.3). */
const enabledBreakpoints = (dr7: bigint): bigint =>
  [0n, 1n, 2n, 3n].reduce((bits, i) => ((dr7 >> (2n * i)) & 3n ? bits | (1n << i) : bits), 0n);

function eventOf(mode: Mode, bytes: Uint8Array): Event {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = WIDTH[mode];
  const event: Record<string, bigint> = {};
  const words = [...STACKED[mode], ...EXTRAS];
  words.forEach((name, i) => {
    const value = width === 4 ? BigInt(view.getUint32(4 * i, true)) : view.getBigUint64(8 * i, true);
    event[name] = SEGMENTS.has(name) ? value & 0xffffn : value;
  });
  TOLD.forEach(({ name }, i) => {
    event[name] = view.getBigUint64(width * words.length + 8 * i, true);
  });
  // Bits 63 to 16 hold no selector, and need not be kept.
  event.sysenter_cs = event.sysenter_cs! & 0xffffn;
  event.dr6 = event.dr6! & (~0xfn | enabledBreakpoints(event.dr7!));
  if (mode === "legacy") {
    const virtual = (event.flags! & VM) !== 0n;
    if (!virtual) for (const name of ["v_es", "v_ds", "v_fs", "v_gs"]) delete event[name];
    if (!virtual && (event.cs! & 3n) === 0n) for (const name of ["rsp", "ss"]) delete event[name];
  }
  return event;
}

export function outcomes(mode: Mode, log: Uint8Array): Outcome[] {
  const all: Outcome[] = [];
  const length = eventBytes(mode);
  let i = 0;
  while (log[i] === mark.case) {
    i++;
    const events: Event[] = [];
    let digest: Map<number, number> | undefined;
    let double = false;
    for (;;) {
      if (log[i] === mark.event && i + length < log.length) {
        events.push(eventOf(mode, log.subarray(i + 1, i + 1 + length)));
        i += 1 + length;
      } else if (log[i] === mark.double) {
        double = true;
        i++;
      } else if (log[i] === mark.digest && i + DIGEST_BYTES < log.length) {
        const bytes = log.slice(i + 1, i + 1 + DIGEST_BYTES);
        const words = new Uint32Array(bytes.buffer);
        digest = new Map(at.digested.map((page, k) => [page, words[k]!]));
        i += 1 + DIGEST_BYTES;
      } else break;
    }
    all.push({ events, digest, double });
  }
  return all;
}

const hex = (n: bigint | number | undefined) => (n === undefined ? "none" : n.toString(16));

/** What two outcomes say differently, a line each: "event 0 cr2: 11000, 11004". */
export function differences(a: Outcome | undefined, b: Outcome | undefined): string[] {
  if (a === undefined || b === undefined)
    return a === b ? [] : [`case: ${a ? "there" : "none"}, ${b ? "there" : "none"}`];
  const found: string[] = [];
  if (a.double !== b.double) found.push(`#DF's task: ${a.double}, ${b.double}`);
  if (a.events.length !== b.events.length) found.push(`events: ${a.events.length}, ${b.events.length}`);
  for (let i = 0; i < Math.min(a.events.length, b.events.length); i++) {
    const [x, y] = [a.events[i]!, b.events[i]!];
    for (const name of new Set([...Object.keys(x), ...Object.keys(y)]))
      if (name === "flags" ? (x[name]! | RF) !== (y[name]! | RF) : x[name] !== y[name])
        found.push(`event ${i} ${name}: ${hex(x[name])}, ${hex(y[name])}`);
  }
  if ((a.digest === undefined) !== (b.digest === undefined)) found.push("end: one shut down");
  // Of a double fault, an abort, Bochs saves RF as 1 in the TSS as if it were a fault (SDM vol. 3B, 18.3.1.1).
  for (const [page, word] of a.digest ?? [])
    if (b.digest && b.digest.get(page) !== word && !(a.double && page === at.tss))
      found.push(`page ${hex(page)}: differs`);
  return found;
}

export const show = (o: Outcome): string =>
  o.events.map((e) => Object.entries(e).map(([name, value]) => `${name}=${hex(value)}`).join(" ")).join("\n    ") +
  (o.double ? "\n    #DF's task" : "") + (o.digest ? "" : "\n    shutdown"); // biome-ignore format: one idea a line
