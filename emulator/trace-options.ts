// The command line's words for a trace: --trace and what narrows it. Ranges are FROM-TO, FROM+BYTES, one address, or a
// symbol's name, in hexadecimal, several with commas between.

import { closeSync, openSync, writeFileSync } from "node:fs";
import { elfSymbols, isElf, readSymbols, Symbols, type SymbolTable } from "./symbols.js";
import { type Filter, type Kind, kinds, type Range, Tracer } from "./trace.js";

export interface TraceOptions {
  readonly trace?: string;
  readonly traceAddress?: string;
  readonly traceCode?: string;
  readonly traceCore?: string;
  readonly traceMode?: string;
  readonly traceOut?: string;
  readonly symbols?: readonly string[];
  /** Records as JSON. */
  readonly json?: boolean;
  /** How many a machine has. */
  readonly cores?: number;
}

const narrowing = [
  "traceAddress",
  "traceCode",
  "traceCore",
  "traceMode",
  "traceOut",
  "traceMachine",
] as const;
const optionName = (key: string) => `--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
const words = (list: string): string[] => list.split(",").map((word) => word.trim());

/** "all" is every kind. */
export function parseKinds(list: string): Kind[] {
  if (list.trim() === "all") return Object.keys(kinds) as Kind[];
  return words(list).map((word) => {
    if (!Object.hasOwn(kinds, word))
      throw new Error(`--trace ${list}: "${word}" is none of ${Object.keys(kinds).join(", ")}, all`);
    return word as Kind;
  });
}

const NUMBER = "(?:0x)?([\\da-f]+)";
const address = (digits: string) => BigInt(`0x${digits}`);

export function parseRanges(option: string, list: string, symbols: Symbols): Range[] {
  return words(list).map((word) => {
    const bad = (why: string): never => {
      throw new Error(`${option} ${list}: ${why}`);
    };
    const extent = symbols.extent(word);
    if (extent !== null) return extent;
    const match = new RegExp(`^${NUMBER}(?:([-+])${NUMBER})?$`, "i").exec(word);
    if (match === null)
      return bad(`"${word}" is no symbol and no range such as 1000-1fff, 1000+20 or ffff8000`);
    const from = address(match[1]!);
    const to = match[3] === undefined ? from : address(match[3]);
    const end = match[2] === "+" ? from + to - 1n : to;
    return end < from || end >= 1n << 64n ? bad(`"${word}" holds nothing`) : ([from, end] as const);
  });
}

/** `cores`: how many there are. */
export function parseCores(list: string, cores = Number.POSITIVE_INFINITY): (readonly [number, number])[] {
  const ranges = parseNumbers("--trace-core", list, "from 0");
  if (ranges.some(([, to]) => to >= cores))
    throw new Error(`--trace-core ${list}: there are cores 0 to ${cores - 1}`);
  return ranges;
}

function parseNumbers(option: string, list: string, which: string): (readonly [number, number])[] {
  return words(list).map((word) => {
    const match = /^(\d+)(?:-(\d+))?$/.exec(word);
    const [from, to] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
    if (match === null || to < from)
      throw new Error(`${option} ${list}: wanted numbers ${which} such as 0,2 or 1-3`);
    return [from, to] as const;
  });
}

/** user or supervisor, and 16, 32 or 64: of each group at least one that is named. */
export function parseModes(list: string): Pick<Filter, "privilege" | "bits"> {
  const wanted = words(list);
  const bits = ([16, 32, 64] as const).filter((n) => wanted.includes(String(n)));
  const rings = (["user", "supervisor"] as const).filter((ring) => wanted.includes(ring));
  if (bits.length + rings.length !== wanted.length)
    throw new Error(`--trace-mode ${list}: wanted user or supervisor, and 16, 32, 64`);
  return {
    ...(bits.length === 0 ? {} : { bits }),
    ...(rings.length === 1 ? { privilege: rings[0]! } : {}),
  };
}

export interface OpenTrace {
  readonly tracer: Tracer;
  close(): void;
}

/** null without --trace. `images` are what runs: those with a symbol table give names. */
export function openTrace(o: TraceOptions, images: readonly Uint8Array[]): OpenTrace | null {
  const filter = traceFilter(o, images);
  if (filter === null) return null;
  const out = lines(o.traceOut);
  return { tracer: new Tracer(filter, out.write), close: out.close };
}

export interface OpenTraces {
  /** null: that machine is not followed. */
  tracer(machine: string): Tracer | null;
  close(): void;
}

/** Of several machines, whose records bear their names; --trace-machine chooses, by number. */
export function openTraces(
  o: TraceOptions & { readonly traceMachine?: string },
  images: readonly Uint8Array[],
  machines: readonly string[],
): OpenTraces | null {
  const filter = traceFilter(o, images);
  if (filter === null) return null;
  const chosen = tracedMachines(o.traceMachine, machines);
  const out = lines(o.traceOut);
  const named = (name: string) =>
    filter.json === true
      ? (line: string) => out.write(`{"machine":${JSON.stringify(name)},${line.slice(1)}`)
      : (line: string) => out.write(`${name} ${line}`);
  return {
    tracer: (name) => (chosen.includes(name) ? new Tracer(filter, named(name)) : null),
    close: out.close,
  };
}

/** For machines whose own processes trace: throws where their options make no sense. */
export function checkTraces(
  o: TraceOptions & { readonly traceMachine?: string },
  images: readonly Uint8Array[],
  machines: readonly string[],
): null {
  traceFilter(o, images);
  tracedMachines(o.traceMachine, machines);
  return null;
}

/** The names of the machines that a list such as 1,3-4 chooses; all without one. */
export function tracedMachines(list: string | undefined, machines: readonly string[]): readonly string[] {
  if (list === undefined) return machines;
  const ranges = parseNumbers("--trace-machine", list, `from 1 to ${machines.length}`);
  for (const [from, to] of ranges)
    if (from < 1 || to > machines.length)
      throw new Error(`--trace-machine ${list}: there are machines 1 to ${machines.length}`);
  return machines.filter((_, i) => ranges.some(([from, to]) => i + 1 >= from && i + 1 <= to));
}

/** null without --trace. */
function traceFilter(
  o: TraceOptions & { readonly traceMachine?: string },
  images: readonly Uint8Array[],
): Filter | null {
  if (o.trace === undefined) {
    const lonely = narrowing.find((key) => (o as Readonly<Record<string, unknown>>)[key] !== undefined);
    if (lonely !== undefined) throw new Error(`${optionName(lonely)} goes with --trace`);
    return null;
  }
  const tables: SymbolTable[] = [
    ...(o.symbols ?? []).map(readSymbols),
    ...images.filter(isElf).map(elfSymbols),
  ];
  const symbols = new Symbols(tables);
  return {
    kinds: parseKinds(o.trace),
    ...(o.traceAddress === undefined
      ? {}
      : { addresses: parseRanges("--trace-address", o.traceAddress, symbols) }),
    ...(o.traceCode === undefined ? {} : { code: parseRanges("--trace-code", o.traceCode, symbols) }),
    ...(o.traceCore === undefined ? {} : { cores: parseCores(o.traceCore, o.cores) }),
    ...(o.traceMode === undefined ? {} : parseModes(o.traceMode)),
    ...(o.json === true ? { json: true } : {}),
    symbols: tables,
  };
}

const CHUNK = 1 << 16;

/** To the standard error as they come, or to a file in larger pieces: written at once, since a seeded run leaves no time. */
function lines(path: string | undefined): { write(line: string): void; close(): void } {
  if (path === undefined) return { write: (line) => void process.stderr.write(`${line}\n`), close: () => {} };
  const named = <T>(use: () => T): T => {
    try {
      return use();
    } catch (error) {
      throw new Error(`--trace-out ${path}: ${(error as Error).message}`);
    }
  };
  const file = named(() => openSync(path, "w"));
  let pending: string[] = [];
  let length = 0;
  const flush = () => {
    const text = pending.join("");
    pending = [];
    length = 0;
    named(() => writeFileSync(file, text));
  };
  return {
    write: (line) => {
      pending.push(line, "\n");
      length += line.length + 1;
      if (length >= CHUNK) flush();
    },
    close: () => {
      flush();
      closeSync(file);
    },
  };
}
