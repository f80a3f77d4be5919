// What a reader may follow while a machine runs, one line a record: what cores do, the frames, and what the board has to
// report. A filter chooses; records are shown by their symbols; as text or, for scripts, as JSON.
// Invariant: a filter is plain data, and a record that it refuses costs no text.

import { deviceName } from "./board/names.js";
import type { EngineTracer, Place, Seen, TraceKind } from "./cpu/host.js";
import { instructionText } from "./disassembler.js";
import { Symbols, type SymbolTable } from "./symbols.js";

export const kinds = {
  instructions: "every instruction",
  memory: "every load and store of data",
  walks: "walks of the page tables, where the TLB has no translation that allows an access",
  faults: "exceptions",
  interrupts: "interrupts and NMIs as cores take them",
  devices: "every access to a port or to device memory",
  reports: "what is not modelled or claimed by nobody, the latter once for each address",
  frames: "frames on the machine's wire",
} as const;
export type Kind = keyof typeof kinds;

/** Both ends belong to it. */
export type Range = readonly [bigint, bigint];

export interface Filter {
  readonly kinds: readonly Kind[];
  /** What a record is about: the address accessed, a port, the instruction's own. */
  readonly addresses?: readonly Range[];
  /** The instruction that does it. */
  readonly code?: readonly Range[];
  readonly cores?: readonly (readonly [number, number])[];
  readonly privilege?: "user" | "supervisor";
  readonly bits?: readonly (16 | 32 | 64)[];
  readonly json?: boolean;
  readonly symbols?: readonly SymbolTable[];
}

type Field = string | number;
type Fields = Readonly<Record<string, Field>>;
const hex = (n: bigint | number): string => n.toString(16);
const within = (ranges: readonly Range[], at: bigint): boolean =>
  ranges.some(([from, to]) => at >= from && at <= to);

/** Error codes of page faults, by bit. Intel SDM vol. 3A, 4.7. */
const pageFaultBits = [
  ["not present", "protection"],
  ["read", "write"],
  ["supervisor", "user"],
  ["", "reserved bit"],
  ["", "fetch"],
  ["", "protection key"],
] as const;

export class Tracer implements EngineTracer {
  readonly filter: Filter;
  /** Where lines go; also for lines that another thread's tracer has made. */
  readonly write: (line: string) => void;
  readonly #kinds: ReadonlySet<Kind>;
  readonly #symbols: Symbols;

  constructor(filter: Filter, write: (line: string) => void) {
    this.filter = filter;
    this.write = write;
    this.#kinds = new Set(filter.kinds);
    this.#symbols = new Symbols(filter.symbols ?? []);
  }

  wants(kind: Kind): boolean {
    return this.#kinds.has(kind);
  }

  /** What a core has done. */
  see(core: number, now: number, place: Place, seen: Seen): void {
    const { filter } = this;
    if (filter.cores !== undefined && !filter.cores.some(([from, to]) => core >= from && core <= to)) return;
    if (filter.privilege !== undefined && (filter.privilege === "user") !== place.user) return;
    if (filter.bits !== undefined && !filter.bits.includes(place.bits)) return;
    if (filter.code !== undefined && !within(filter.code, place.linear)) return;
    if (filter.addresses !== undefined && !within(filter.addresses, addressOf(seen, place))) return;
    const { fields, text } = this.#say(seen, place);
    const symbol = this.#symbols.at(place.linear);
    const at = {
      rip: hex(place.linear),
      ...(symbol === "" ? {} : { symbol }),
      mode: place.user ? "user" : "supervisor",
      bits: place.bits,
    };
    const where = `${place.user ? "u" : "s"}${place.bits} ${at.rip.padStart(16)} ${symbol}`;
    this.#line(
      now,
      { core },
      seen.kind,
      { ...at, ...fields },
      `${where}${symbol === "" ? "" : " "}| ${text}`,
    );
  }

  /** What the board, or a core's chip, reports. */
  report(source: string, text: string, now: number): void {
    if (this.wants("reports")) this.#line(now, {}, "reports", { source, text }, `${source}: ${text}`);
  }

  frame(what: "sent" | "received", bytes: number, now: number): void {
    if (this.wants("frames")) this.#line(now, {}, "frames", { what, bytes }, `${what} ${bytes} bytes`);
  }

  #line(now: number, who: { core?: number }, kind: Kind, fields: Fields, text: string): void {
    const time = Math.floor(now);
    if (this.filter.json === true) this.write(JSON.stringify({ time, ...who, kind, ...fields }));
    else {
      const name = who.core === undefined ? "board " : `core ${who.core}`;
      this.write(`${String(time).padStart(12)} ${name} ${kind} ${text}`);
    }
  }

  /** Address and symbol of what is accessed. */
  #named(address: bigint): string {
    const symbol = this.#symbols.at(address);
    return symbol === "" ? hex(address) : `${hex(address)} (${symbol})`;
  }

  readonly #sayers: { [K in TraceKind]: (seen: Extract<Seen, { kind: K }>, place: Place) => Said } = {
    instructions: ({ bytes }, { linear, bits }) => {
      const instruction = instructionText(bytes, linear, bits);
      const code = Buffer.from(bytes).toString("hex");
      return { fields: { instruction, code }, text: `${code.padEnd(16)} ${instruction}` };
    },
    memory: ({ linear, bytes, write, implicit, value }) => {
      const access = write ? "write" : "read";
      const symbol = this.#symbols.at(linear);
      const fields = { access, address: hex(linear), bytes, value: hex(value), implicit: implicit ? 1 : 0 };
      return {
        fields: symbol === "" ? fields : { ...fields, target: symbol },
        text: `${implicit ? "implicit " : ""}${access} ${bytes} at ${this.#named(linear)}: ${hex(value)}`,
      };
    },
    faults: ({ vector, name, error, cr2 }) => {
      const code = error === null ? "" : ` error ${hex(error)}`;
      const why = error === null || cr2 === null ? "" : ` (${pageFault(error)})`;
      return {
        fields: {
          vector,
          name,
          ...(error === null ? {} : { error: hex(error) }),
          ...(cr2 === null ? {} : { address: hex(cr2) }),
        },
        text: `${name}${code}${why}${cr2 === null ? "" : ` at ${this.#named(cr2)}`}`,
      };
    },
    walks: ({ linear, access, user, found }) => {
      const symbol = this.#symbols.at(linear);
      const fields = { access, address: hex(linear), as: user ? "user" : "supervisor" };
      const what = `${access} at ${this.#named(linear)} as ${fields.as}`;
      const target = symbol === "" ? {} : { target: symbol };
      if (typeof found === "string")
        return { fields: { ...fields, ...target, found }, text: `${what}: ${found}` };
      const { page, sizeLog2, entry, entryAddress } = found;
      const size =
        sizeLog2 >= 30
          ? `${2 ** (sizeLog2 - 30)} GiB`
          : sizeLog2 >= 20
            ? `${2 ** (sizeLog2 - 20)} MiB`
            : "4 KiB";
      return {
        fields: {
          ...fields,
          ...target,
          page: hex(page),
          size: 2 ** sizeLog2,
          entry: hex(entry),
          entryAddress: hex(entryAddress),
        },
        text: `${what}: page ${hex(page)} in ${size}, entry ${hex(entry)} at ${hex(entryAddress)}`,
      };
    },
    interrupts: ({ vector, nmi }) => ({
      fields: { vector, source: nmi ? "NMI" : "interrupt" },
      text: nmi ? "NMI" : `vector ${vector} (${hex(vector)}H)`,
    }),
    devices: ({ space, address, bytes, write, value }) => {
      const access = space === "port" ? (write ? "out" : "in") : write ? "write" : "read";
      const device = deviceName(space, address);
      return {
        fields: { access, address: hex(address), bytes, value: hex(value), device },
        text: `${access} ${bytes} ${space} ${hex(address)}${device === "" ? "" : ` (${device})`}: ${hex(value)}`,
      };
    },
  };

  #say(seen: Seen, place: Place): Said {
    return (this.#sayers[seen.kind] as (seen: Seen, place: Place) => Said)(seen, place);
  }
}

interface Said {
  readonly fields: Fields;
  readonly text: string;
}

function addressOf(seen: Seen, place: Place): bigint {
  if (seen.kind === "memory" || seen.kind === "walks") return seen.linear;
  if (seen.kind === "devices") return BigInt(seen.address);
  return place.linear;
}

const pageFault = (error: number): string =>
  pageFaultBits
    .map(([clear, set], bit) => ((error >> bit) & 1 ? set : clear))
    .filter((word) => word !== "")
    .join(", ");
