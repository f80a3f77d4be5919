// What gdb says and what it is answered: one handler a packet, found by its prefix. GDB manual, appendix E.2 (packets),
// E.3 (stop replies), E.4 (general queries), E.5 (i386). Cores are threads, numbered from 1.
// Invariant: a malformed packet is answered by an error, an unknown one by the empty packet, and none harms the machine.

import type { Debuggee, Motion, Stop } from "./debuggee.js";
import { fromHex, PACKET_BYTES_MAX, PacketReader, packet, toHex } from "./protocol.js";
import { bytesOf, numberOf, registers, targetDescription } from "./registers.js";
import { readVirtual, writeVirtual } from "./virtual-memory.js";

const SIGINT = 2;
const SIGTRAP = 5;
const BAD = "E01";
const NOT_MAPPED = "E14";
const READ_BYTES_MAX = PACKET_BYTES_MAX / 2 - 16;

type Answer = string | null;

export interface SessionOptions {
  readonly debuggee: Debuggee;
  readonly send: (bytes: Uint8Array) => void;
  /** gdb has detached ("detach") or wants the machine's end ("kill"). */
  readonly leave: (how: "detach" | "kill") => void;
  readonly log: (line: string) => void;
}

export class Session {
  readonly #o: SessionOptions;
  readonly #reader = new PacketReader();
  #acknowledge = true;
  #last: Uint8Array | null = null;
  /** Threads that registers and memory (g), and motions (c) are about. */
  #core = 0;
  #motionCore = 0;
  #running = false;
  #stop: Stop = { why: "interrupt", core: 0 };

  constructor(options: SessionOptions) {
    this.#o = options;
  }

  receive(bytes: Uint8Array): void {
    for (const event of this.#reader.push(bytes)) {
      if (event.kind === "interrupt") {
        if (this.#running) this.#o.debuggee.interrupt();
      } else if (event.kind === "refused") {
        if (this.#last !== null) this.#o.send(this.#last);
      } else if (event.kind === "damaged") {
        this.#o.log(`gdb: ${event.why}`);
        if (this.#acknowledge) this.#o.send(Buffer.from("-"));
      } else if (event.kind === "packet") {
        if (this.#acknowledge) this.#o.send(Buffer.from("+"));
        this.#hear(Buffer.from(event.data).toString("latin1"));
      }
    }
  }

  #reply(text: string): void {
    this.#last = packet(text);
    this.#o.send(this.#last);
  }

  #hear(text: string): void {
    if (this.#running) {
      this.#reply(BAD); // all-stop: nothing is asked of a running machine
      return;
    }
    const found = handlers.find(([prefix]) => text.startsWith(prefix));
    const answer = found === undefined ? "" : found[1](this.#doors, text.slice(found[0].length));
    if (answer !== null) this.#reply(answer);
  }

  /** What handlers may do. */
  readonly #doors: Doors = {
    debuggee: () => this.#o.debuggee,
    core: () => this.#o.debuggee.core(this.#core),
    select: (kind, core) => {
      if (kind === "g") this.#core = core;
      else this.#motionCore = core;
    },
    selected: () => this.#core,
    stopReply: () => stopReply(this.#stop),
    move: (motion, core) => {
      this.#move(motion, core ?? this.#motionCore);
    },
    quiet: () => {
      this.#acknowledge = false;
    },
    leave: (how) => {
      this.#o.leave(how);
    },
  };

  #move(motion: Motion, core: number): void {
    this.#running = true;
    this.#o.debuggee.run(motion, core).then(
      (stop) => {
        this.#running = false;
        this.#stop = stop;
        this.#core = stop.core;
        this.#motionCore = stop.core;
        this.#reply(stopReply(stop));
      },
      (error: Error) => {
        this.#running = false;
        this.#o.log(`gdb: ${error.message}`);
        this.#reply(BAD);
      },
    );
  }
}

interface Doors {
  debuggee(): Debuggee;
  core(): ReturnType<Debuggee["core"]>;
  select(kind: "g" | "c", core: number): void;
  selected(): number;
  stopReply(): string;
  move(motion: Motion, core?: number): undefined;
  quiet(): undefined;
  leave(how: "detach" | "kill"): undefined;
}
type Handler = (d: Doors, rest: string) => Answer;

function stopReply({ why, core, address }: Stop): string {
  const thread = `thread:${(core + 1).toString(16)};`;
  const signal = why === "interrupt" ? SIGINT : SIGTRAP;
  const head = `T${signal.toString(16).padStart(2, "0")}`;
  switch (why) {
    case "over":
      return "W00";
    case "begin":
      return `${head}replaylog:begin;${thread}`;
    case "breakpoint":
      return `${head}hwbreak:;${thread}`;
    case "watchpoint":
      return `${head}watch:${(address ?? 0n).toString(16)};${thread}`;
    default:
      return `${head}${thread}`;
  }
}

const okAfter = (_done: undefined): Answer => "OK";
/** The answer comes with the next stop. */
const silentAfter = (_done: undefined): Answer => null;

/** Longer prefixes stand before those that they begin with. */
const handlers: readonly (readonly [string, Handler])[] = [
  [
    "qSupported",
    () =>
      `PacketSize=${PACKET_BYTES_MAX.toString(16)};QStartNoAckMode+;qXfer:features:read+;vContSupported+;` +
      "swbreak+;hwbreak+;ReverseStep+;ReverseContinue+",
  ],
  ["QStartNoAckMode", (d) => okAfter(d.quiet())],
  ["qXfer:features:read:target.xml:", (_, rest) => part(targetDescription(), rest)],
  ["qXfer:", () => "E00"],
  ["qfThreadInfo", (d) => `m${threads(d).join(",")}`],
  ["qsThreadInfo", () => "l"],
  ["qThreadExtraInfo,", (d, rest) => describe(d, rest)],
  ["qAttached", () => "1"],
  ["qC", (d) => `QC${(d.selected() + 1).toString(16)}`],
  ["qSymbol", () => "OK"],
  ["qRcmd,", (d, rest) => monitor(d, rest)],
  ["vMustReplyEmpty", () => ""],
  ["vCont?", () => "vCont;c;C;s;S"],
  ["vCont;", (d, rest) => resume(d, rest)],
  ["vKill", (d) => okAfter(d.leave("kill"))],
  ["?", (d) => d.stopReply()],
  ["g", (d) => registers.map((r) => toHex(bytesOf(r, r.read(d.core())))).join("")],
  ["G", (d, rest) => writeAll(d, rest)],
  ["p", (d, rest) => readOne(d, rest)],
  ["P", (d, rest) => writeOne(d, rest)],
  ["m", (d, rest) => readMemory(d, rest)],
  ["M", (d, rest) => writeMemory(d, rest, fromHex)],
  ["X", (d, rest) => writeMemory(d, rest, (data) => Uint8Array.from(Buffer.from(data, "latin1")))],
  ["Z", (d, rest) => point(d, rest, true)],
  ["z", (d, rest) => point(d, rest, false)],
  ["H", (d, rest) => select(d, rest)],
  ["T", (d, rest) => (coreOf(d, rest) === null ? BAD : "OK")],
  ["bs", (d) => silentAfter(d.move("reverse-step"))],
  ["bc", (d) => silentAfter(d.move("reverse-continue"))],
  ["c", (d, rest) => (rest === "" ? silentAfter(d.move("continue")) : BAD)],
  ["s", (d, rest) => (rest === "" ? silentAfter(d.move("step")) : BAD)],
  ["D", (d) => okAfter(d.leave("detach"))],
  ["k", (d) => silentAfter(d.leave("kill"))],
];

const hexNumber = (text: string): number | null =>
  /^[\da-f]{1,12}$/i.test(text) ? Number.parseInt(text, 16) : null;
const hexAddress = (text: string): bigint | null =>
  /^[\da-f]{1,16}$/i.test(text) ? BigInt(`0x${text}`) : null;

const threads = (d: Doors): string[] =>
  Array.from({ length: d.debuggee().machine.cores }, (_, core) => (core + 1).toString(16));

/** -1 and 0 (all, any) are the selected one. */
function coreOf(d: Doors, text: string): number | null {
  if (text === "-1" || text === "0") return d.selected();
  const number = hexNumber(text);
  return number === null || number < 1 || number > d.debuggee().machine.cores ? null : number - 1;
}

function part(text: string, rest: string): string {
  const [offset, length] = rest.split(",").map(hexNumber);
  if (offset == null || length == null) return BAD;
  const piece = text.slice(offset, offset + Math.min(length, READ_BYTES_MAX));
  return `${offset + piece.length < text.length ? "m" : "l"}${piece}`;
}

function describe(d: Doors, rest: string): string {
  const core = coreOf(d, rest);
  if (core === null) return BAD;
  const activity = ["running", "halted", "waiting for SIPI", "shut down"][d.debuggee().core(core).activity];
  return toHex(Buffer.from(`core ${core}: ${activity ?? "waiting"}, ring ${d.debuggee().core(core).cpl}`));
}

function select(d: Doors, rest: string): string {
  const kind = rest[0];
  const core = coreOf(d, rest.slice(1));
  if ((kind !== "g" && kind !== "c") || core === null) return BAD;
  d.select(kind, core);
  return "OK";
}

/** Of several actions the first step counts; without one the machine runs. */
function resume(d: Doors, rest: string): Answer {
  const actions = rest
    .split(";")
    .map((action) => /^([csCS])(?:[\da-f]{2})?(?::(-1|[\da-f]+))?$/i.exec(action));
  if (actions.length === 0 || actions.includes(null)) return BAD;
  const step = actions.find((action) => action?.[1]?.toLowerCase() === "s");
  const core = coreOf(d, (step ?? actions[0])?.[2] ?? "0");
  if (core === null) return BAD;
  d.move(step === undefined ? "continue" : "step", core);
  return null;
}

function readOne(d: Doors, rest: string): string {
  const register = registers[hexNumber(rest) ?? -1];
  return register === undefined ? BAD : toHex(bytesOf(register, register.read(d.core())));
}

function writeOne(d: Doors, rest: string): string {
  const [number = "", digits = ""] = rest.split("=");
  const register = registers[hexNumber(number) ?? -1];
  const bytes = fromHex(digits);
  if (register?.write === undefined || bytes?.length !== register.bits / 8) return BAD;
  register.write(d.core(), numberOf(bytes));
  d.debuggee().changed();
  return "OK";
}

/** What may not be written must be unchanged. */
function writeAll(d: Doors, rest: string): string {
  const bytes = fromHex(rest);
  if (bytes === null || bytes.length !== registers.reduce((sum, r) => sum + r.bits / 8, 0)) return BAD;
  let at = 0;
  const values = registers.map((register) => {
    at += register.bits / 8;
    return numberOf(bytes.subarray(at - register.bits / 8, at));
  });
  if (registers.some((r, i) => r.write === undefined && r.read(d.core()) !== values[i])) return BAD;
  registers.forEach((register, i) => {
    if (register.read(d.core()) !== values[i]) register.write?.(d.core(), values[i]!);
  });
  d.debuggee().changed();
  return "OK";
}

function readMemory(d: Doors, rest: string): string {
  const [where = "", count = ""] = rest.split(",");
  const [address, length] = [hexAddress(where), hexNumber(count)];
  if (address === null || length === null) return BAD;
  const bytes = readVirtual(d.core(), d.debuggee().storage, address, Math.min(length, READ_BYTES_MAX));
  return bytes.length === 0 && length > 0 ? NOT_MAPPED : toHex(bytes);
}

function writeMemory(d: Doors, rest: string, decode: (text: string) => Uint8Array | null): string {
  const match = /^([\da-f]+),([\da-f]+):([\s\S]*)$/i.exec(rest);
  const address = hexAddress(match?.[1] ?? "");
  const bytes = match === null ? null : decode(match[3]!);
  if (address === null || bytes === null || bytes.length !== hexNumber(match![2]!)) return BAD;
  if (!writeVirtual(d.core(), d.debuggee().storage, address, bytes)) return NOT_MAPPED;
  if (bytes.length > 0) d.debuggee().changed();
  return "OK";
}

/** Breakpoints (0, 1), write watchpoints (2). Read and access watchpoints are not there: the empty answer says so. */
function point(d: Doors, rest: string, insert: boolean): string {
  const [kind = "", where = "", size = ""] = rest.split(";")[0]!.split(",");
  const [address, length] = [hexAddress(where), hexNumber(size)];
  if (!["0", "1", "2"].includes(kind)) return "";
  if (address === null || length === null) return BAD;
  const { breakpoints, watchpoints } = d.debuggee();
  if (kind !== "2") {
    if (insert) breakpoints.add(address);
    else breakpoints.delete(address);
    return "OK";
  }
  if (length < 1 || length > 4096) return BAD;
  const known = watchpoints.findIndex((w) => w.address === address && w.length === length);
  if (insert && known < 0) watchpoints.push({ core: d.selected(), address, length });
  if (!insert && known >= 0) watchpoints.splice(known, 1);
  return "OK";
}

/** `monitor WORD`. */
function monitor(d: Doors, rest: string): string {
  const bytes = fromHex(rest);
  if (bytes === null) return BAD;
  const word = Buffer.from(bytes).toString("latin1").trim();
  const { machine } = d.debuggee();
  const text: Record<string, () => string> = {
    help: () => "monitor help | cores | position\n",
    cores: () =>
      Array.from(
        { length: machine.cores },
        (_, core) => `core ${core}\n${machine.core(core).describe()}\n`,
      ).join(""),
    position: () => `${machine.instructions} instructions retired by all cores\n`,
  };
  const say = text[word];
  return toHex(Buffer.from(say === undefined ? `unknown: ${word}; try: monitor help\n` : say(), "latin1"));
}
