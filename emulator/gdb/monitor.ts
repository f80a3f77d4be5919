// `monitor WORDS`: what gdb has no command for. One row a command; each gives text for people.

import {
  MODE_64,
  MODE_CODE32,
  TLB_DIRTY,
  TLB_EXECUTABLE,
  TLB_GLOBAL,
  TLB_LARGE,
  TLB_USER,
  TLB_WRITABLE,
} from "../cpu/layout.js";
import type { CoreState, SegmentName } from "../cpu/state.js";
import { disassemble } from "../disassembler.js";
import type { Debuggee } from "./debuggee.js";
import { readVirtual, translate } from "./virtual-memory.js";

type Command = readonly [
  name: string,
  usage: string,
  run: (d: Debuggee, thread: number, words: string[]) => string,
];

const BYTES_MAX = 4096;
const ROW_BYTES = 16;
const INSTRUCTION_BYTES_MAX = 15;
const hex = (n: bigint | number, digits = 1): string => n.toString(16).padStart(digits, "0");

const commands: readonly Command[] = [
  ["help", "", () => commands.map(([name, usage]) => `monitor ${name}${usage}\n`).join("")],
  ["cores", "", (d) => everyThread(d, (thread) => `${d.name(thread)}\n${d.core(thread).describe()}\n`)],
  [
    "position",
    "",
    (d) => `${d.instructions} instructions retired by all cores, ${d.now} ns of virtual time\n`,
  ],
  ["segments", "", (d, thread) => segments(d.core(thread))],
  ["disassemble", " [LINEAR [COUNT]]", disassembly],
  ["translate", " LINEAR", (d, thread, [where]) => translation(d, thread, where)],
  ["xp", " PHYSICAL [BYTES]", physicalMemory],
  ["tlb", " [LINEAR]", (d, thread, [where]) => tlb(d.core(thread), where)],
];

/** "info tlb" is taken as "tlb", which people know from elsewhere. */
export function monitor(d: Debuggee, thread: number, text: string): string {
  const words = text.split(/\s+/);
  if (words[0] === "info") words.shift();
  const [name, ...rest] = words;
  const command = commands.find(([known]) => known === name);
  if (command === undefined) return `unknown: ${text}; try: monitor help\n`;
  try {
    return command[2](d, thread, rest);
  } catch (error) {
    return `${(error as Error).message}\n`;
  }
}

const everyThread = (d: Debuggee, say: (thread: number) => string): string =>
  Array.from({ length: d.threads }, (_, thread) => say(thread)).join("");

function number(word: string | undefined, what: string): bigint {
  if (word === undefined || !/^(0x[\da-f]{1,16}|\d{1,20})$/i.test(word))
    throw new Error(`${word ?? "nothing"}: wanted ${what}`);
  return BigInt(word);
}
function count(word: string | undefined, otherwise: number, max: number): number {
  if (word === undefined) return otherwise;
  const value = Number(number(word, "a count"));
  if (value < 1 || value > max) throw new Error(`${word}: wanted 1 to ${max}`);
  return value;
}

function segments(core: CoreState): string {
  const names: readonly SegmentName[] = ["cs", "ss", "ds", "es", "fs", "gs", "ldtr", "tr"];
  const rows = names.map((name) => {
    const { selector, base, limit, attributes } = core.segment(name);
    return `${name.padEnd(4)} ${hex(selector, 4)}  base ${hex(base, 16)}  limit ${hex(limit, 8)}  attributes ${hex(attributes >>> 8, 4)}`;
  });
  const tables = (["gdtr", "idtr"] as const).map(
    (name) => `${name}       base ${hex(core[name].base, 16)}  limit ${hex(core[name].limit, 8)}`,
  );
  return `${[...rows, ...tables].join("\n")}\n`;
}

/** In the mode in which the core runs now: gdb knows one architecture only. */
function disassembly(d: Debuggee, thread: number, [where, many]: string[]): string {
  const core = d.core(thread);
  const bits = (core.mode & MODE_64) !== 0 ? 64 : (core.mode & MODE_CODE32) !== 0 ? 32 : 16;
  const here = bits === 64 ? core.rip : BigInt.asUintN(32, core.segment("cs").base + core.rip);
  const from = where === undefined ? here : number(where, "a linear address");
  const instructions = count(many, 8, 256);
  const bytes = readVirtual(core, d.storage(thread), from, instructions * INSTRUCTION_BYTES_MAX);
  if (bytes.length === 0) throw new Error(`${hex(from)}: not mapped, or not stored`);
  return `${bits}-bit code\n${disassemble(bytes, from, bits, instructions).join("\n")}\n`;
}

function translation(d: Debuggee, thread: number, where: string | undefined): string {
  const linear = number(where, "a linear address");
  const physical = translate(d.core(thread), d.storage(thread), linear);
  return `${hex(linear)}: ${physical === null ? "not mapped" : `physical ${hex(physical)}`}\n`;
}

function physicalMemory(d: Debuggee, thread: number, [where, many]: string[]): string {
  const from = Number(number(where, "a physical address"));
  const rows: string[] = [];
  for (let at = from; at < from + count(many, 64, BYTES_MAX); at += ROW_BYTES) {
    const found = d.storage(thread).at(at);
    if (found === null) throw new Error(`${rows.join("\n")}\n${hex(at)}: neither RAM nor ROM`);
    const row = Buffer.from(
      found.bytes.subarray(0, Math.min(ROW_BYTES, from + count(many, 64, BYTES_MAX) - at)),
    );
    rows.push(`${hex(at, 8)}  ${row.toString("hex").replace(/(..)(?=.)/g, "$1 ")}`);
  }
  return `${rows.join("\n")}\n`;
}

function tlb(core: CoreState, where: string | undefined): string {
  const page = where === undefined ? null : number(where, "a linear address") & ~0xfffn;
  const found = core.translations().filter(({ linear }) => page === null || linear === page);
  const rows = [...found]
    .sort((a, b) => (a.linear < b.linear ? -1 : 1))
    .map(({ linear, physical, flags, code, user }) => {
      const words = [
        (flags & TLB_WRITABLE) !== 0 ? "writable" : "read-only",
        (flags & TLB_EXECUTABLE) !== 0 ? "executable" : "",
        (flags & TLB_USER) !== 0 ? "user" : "",
        (flags & TLB_GLOBAL) !== 0 ? "global" : "",
        (flags & TLB_DIRTY) !== 0 ? "dirty" : "",
        (flags & TLB_LARGE) !== 0 ? `of ${2 ** ((flags >> 8) & 0xff) / 1024} KiB` : "",
        `for ${code ? "instructions" : "data"}${user ? " (ring 3)" : ""}`,
      ];
      return `${hex(linear, 16)} -> ${hex(physical, 10)} ${words.filter((word) => word !== "").join(" ")}\n`;
    });
  return `${rows.join("")}${found.length} translations\n`;
}
