// A ROM's log taken apart: case by case, event by event, each a record of named values; and what two logs say differently.

import { DIGEST_BYTES, EVENT_BYTES, type Mode } from "./rom.js";
import { at } from "./tables.js";

export type Event = Readonly<Record<string, bigint>>;

export interface Outcome {
  readonly events: readonly Event[];
  /** By page; undefined when the case never ended: the machine shut down. */
  readonly digest: ReadonlyMap<number, number> | undefined;
  /** Ended by the task of #DF. */
  readonly double: boolean;
}

const LEGACY = [
  "gs", "fs", "es", "ds", "rdi", "rsi", "rbp", "", "rbx", "rdx", "rcx", "rax", "vector", "error", "rip", "cs", "flags",
  "rsp", "ss", "v_es", "v_ds", "v_fs", "v_gs", "dr6", "dr7", "cr0", "cr2", "cr4", "ldtr", "tr", "handler_rsp",
]; // biome-ignore format: a list
const LONG = [
  "gs", "fs", "es", "ds", "r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8", "rdi", "rsi", "rbp", "rbx", "rdx", "rcx",
  "rax", "vector", "error", "rip", "cs", "flags", "rsp", "ss", "dr6", "dr7", "cr2", "cr0", "cr3", "cr4", "tables", "handler_rsp",
]; // biome-ignore format: a list
const SEGMENTS = new Set(["gs", "fs", "es", "ds", "cs", "ss", "v_es", "v_ds", "v_fs", "v_gs", "ldtr", "tr"]);
const VM = 0x2_0000n;
/** QEMU does not push it as 1 for faults. */
const RF = 0x1_0000n;

function eventOf(mode: Mode, bytes: Uint8Array): Event {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = mode === "legacy" ? 4 : 8;
  const event: Record<string, bigint> = {};
  (mode === "legacy" ? LEGACY : LONG).forEach((name, i) => {
    const value = width === 4 ? BigInt(view.getUint32(4 * i, true)) : view.getBigUint64(8 * i, true);
    if (name !== "") event[name] = SEGMENTS.has(name) ? value & 0xffffn : value;
  });
  if (mode === "legacy") {
    const virtual = (event.flags! & VM) !== 0n;
    if (!virtual) for (const name of ["v_es", "v_ds", "v_fs", "v_gs"]) delete event[name];
    if (!virtual && (event.cs! & 3n) === 0n) for (const name of ["rsp", "ss"]) delete event[name];
  }
  return event;
}

const [CASE, EVENT, DOUBLE, DIGEST] = [0xc5, 0xe1, 0xdf, 0xd1];

export function outcomes(mode: Mode, log: Uint8Array): Outcome[] {
  const all: Outcome[] = [];
  let i = 0;
  while (log[i] === CASE) {
    i++;
    const events: Event[] = [];
    let digest: Map<number, number> | undefined;
    let double = false;
    for (;;) {
      if (log[i] === EVENT && i + EVENT_BYTES[mode] < log.length) {
        events.push(eventOf(mode, log.subarray(i + 1, i + 1 + EVENT_BYTES[mode])));
        i += 1 + EVENT_BYTES[mode];
      } else if (log[i] === DOUBLE) {
        double = true;
        i++;
      } else if (log[i] === DIGEST && i + DIGEST_BYTES < log.length) {
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
