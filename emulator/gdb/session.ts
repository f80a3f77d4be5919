// What gdb says and what it is answered: one handler a packet, found by its prefix. GDB manual, appendix E.2 (packets),
// E.3 (stop replies), E.4 (general queries), E.5 (i386). Cores are threads, numbered from 1 through all machines.
// Invariant: a malformed packet is answered by an error, an unknown one by the empty packet, and none harms the machine.

import type { Debuggee, Motion, Stop } from "./debuggee.js";
import { monitor } from "./monitor.js";
import { fromHex, PACKET_BYTES_MAX, PacketReader, packet, toHex } from "./protocol.js";
import {
  bytesOf,
  type GdbBits,
  numberOf,
  type Register,
  type Registered,
  registersOf,
  targetDescription,
} from "./registers.js";
import { readVirtual, writeVirtual } from "./virtual-memory.js";
import type { WatchKind } from "./watchpoints.js";

const SIGINT = 2;
const SIGTRAP = 5;
const SIGABRT = 6;
const BAD = "E01";
const NOT_MAPPED = "E14";
const WATCH_BYTES_MAX = 4096;
const READ_BYTES_MAX = PACKET_BYTES_MAX / 2 - 16;

type Answer = string | null;

export interface SessionOptions {
  /** Of the architecture that gdb is told; 64 unless told. */
  readonly bits?: GdbBits;
  readonly debuggee: Debuggee;
  readonly send: (bytes: Uint8Array) => void;
  /** gdb has detached ("detach") or wants the machine's end ("kill"). */
  readonly leave: (how: "detach" | "kill") => void;
  readonly log: (line: string) => void;
}

export class Session {
  readonly #o: SessionOptions;
  readonly #reader = new PacketReader();
  readonly #doors: Doors;
  #acknowledge = true;
  #last: Uint8Array | null = null;
  /** Threads that registers and memory (g), and motions (c) are about. */
  #thread = 0;
  #motionThread = 0;
  #running = false;
  #stop: Stop = { why: "interrupt", thread: 0 };
  /** gdb knows that a machine shut itself down. */
  #toldOver = false;
  /** Kinds by address: gdb may set a breakpoint in software and another in hardware. */
  readonly #breakpoints = new Map<bigint, Set<string>>();
  /**
   * Whose watchpoints are. gdb takes them away at each stop and sets them again from whichever thread is then selected; one
   * that is not there when the machines go on was deleted.
   */
  readonly #owners = new Map<string, { readonly thread: number; inserted: boolean }>();

  constructor(options: SessionOptions) {
    this.#o = options;
    this.#doors = this.#makeDoors(options.bits ?? 64);
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
  #makeDoors(bits: GdbBits): Doors {
    return {
      debuggee: () => this.#o.debuggee,
      core: () => this.#o.debuggee.core(this.#thread),
      bits,
      registers: registersOf(bits),
      registered: () => {
        const { debuggee } = this.#o;
        const thread = this.#thread;
        const taskPriority = () => debuggee.machine(thread).taskPriority(thread % debuggee.cores);
        return { core: debuggee.core(thread), taskPriority };
      },
      select: (kind, thread) => {
        if (kind === "g") this.#thread = thread;
        else this.#motionThread = thread;
      },
      selected: () => this.#thread,
      watchpoint: (kind, address, length, insert) => {
        const key = `${kind} ${address} ${length}`;
        const owner = this.#owners.get(key) ?? { thread: this.#thread, inserted: insert };
        owner.inserted = insert;
        this.#owners.set(key, owner);
        const { watchpoints } = this.#o.debuggee;
        if (insert) watchpoints.add({ kind, thread: owner.thread, address, length });
        else watchpoints.remove({ kind, address, length });
      },
      breakpoint: (kind, address, insert) => {
        const kinds = this.#breakpoints.get(address) ?? new Set();
        if (insert) kinds.add(kind);
        else kinds.delete(kind);
        this.#breakpoints.set(address, kinds);
        if (kinds.size > 0) this.#o.debuggee.breakpoints.add(address);
        else this.#o.debuggee.breakpoints.delete(address);
      },
      stopReply: () => this.#stopReply(),
      move: (motion, thread, only) => {
        this.#move(motion, thread ?? this.#motionThread, only);
      },
      quiet: () => {
        this.#acknowledge = false;
      },
      leave: (how) => {
        this.#o.leave(how);
      },
    };
  }

  /** A machine that shut itself down can be looked at, and gone back from; whoever goes on is told that it is over. */
  #stopReply(): string {
    const { why, thread } = this.#stop;
    const { problem, exitCode } = this.#o.debuggee;
    if (why !== "over") return stopReply(this.#stop);
    if (problem === "") return `W${hexByte(exitCode)}`;
    if (this.#toldOver) return `X${hexByte(SIGABRT)}`;
    this.#toldOver = true;
    this.#o.log(`gdb: ${problem}`);
    return `T${hexByte(SIGABRT)}${threadWord(thread)}`;
  }

  #move(motion: Motion, thread: number, only?: ReadonlySet<number>): void {
    this.#running = true;
    if (motion.endsWith("continue"))
      for (const [key, { inserted }] of this.#owners) if (!inserted) this.#owners.delete(key);
    this.#o.debuggee.run(motion, thread, only).then(
      (stop) => {
        this.#running = false;
        this.#stop = stop;
        this.#thread = stop.thread;
        this.#motionThread = stop.thread;
        if (stop.why !== "over") this.#toldOver = false;
        this.#reply(this.#stopReply());
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
  readonly bits: GdbBits;
  readonly registers: readonly Register[];
  registered(): Registered;
  select(kind: "g" | "c", thread: number): void;
  selected(): number;
  watchpoint(kind: WatchKind, address: bigint, length: number, insert: boolean): void;
  breakpoint(kind: string, address: bigint, insert: boolean): void;
  stopReply(): string;
  /** `only`: these threads; all without it. */
  move(motion: Motion, thread?: number, only?: ReadonlySet<number>): undefined;
  quiet(): undefined;
  leave(how: "detach" | "kill"): undefined;
}
type Handler = (d: Doors, rest: string) => Answer;

/** By kind: gdb's number of it, and its word in a stop reply. */
const watchKinds: Readonly<Record<string, WatchKind>> = { 2: "write", 3: "read", 4: "access" };
const watchWords: Readonly<Record<WatchKind, string>> = { write: "watch", read: "rwatch", access: "awatch" };

const hexByte = (n: number): string => (n & 0xff).toString(16).padStart(2, "0");
const threadWord = (thread: number): string => `thread:${(thread + 1).toString(16)};`;

function stopReply({ why, thread, watch }: Stop): string {
  const head = `T${hexByte(why === "interrupt" ? SIGINT : SIGTRAP)}`;
  const who = threadWord(thread);
  if (watch !== undefined) return `${head}${watchWords[watch.kind]}:${watch.address.toString(16)};${who}`;
  if (why === "begin") return `${head}replaylog:begin;${who}`;
  return why === "breakpoint" ? `${head}hwbreak:;${who}` : `${head}${who}`;
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
  ["qXfer:features:read:target.xml:", (d, rest) => part(targetDescription(d.bits), rest)],
  ["qXfer:", () => "E00"],
  ["qfThreadInfo", (d) => `m${threads(d).join(",")}`],
  ["qsThreadInfo", () => "l"],
  ["qThreadExtraInfo,", (d, rest) => describe(d, rest)],
  ["qAttached", () => "1"],
  ["qC", (d) => `QC${(d.selected() + 1).toString(16)}`],
  ["qSymbol", () => "OK"],
  ["qRcmd,", (d, rest) => command(d, rest)],
  ["vMustReplyEmpty", () => ""],
  ["vCont?", () => "vCont;c;C;s;S"],
  ["vCont;", (d, rest) => resume(d, rest)],
  ["vKill", (d) => okAfter(d.leave("kill"))],
  ["?", (d) => d.stopReply()],
  ["g", (d) => d.registers.map((r) => toHex(bytesOf(r, r.read(d.registered())))).join("")],
  ["G", (d, rest) => writeAll(d, rest)],
  ["p", (d, rest) => readOne(d, rest)],
  ["P", (d, rest) => writeOne(d, rest)],
  ["m", (d, rest) => readMemory(d, rest)],
  ["M", (d, rest) => writeMemory(d, rest, fromHex)],
  ["X", (d, rest) => writeMemory(d, rest, (data) => Uint8Array.from(Buffer.from(data, "latin1")))],
  ["Z", (d, rest) => point(d, rest, true)],
  ["z", (d, rest) => point(d, rest, false)],
  ["H", (d, rest) => select(d, rest)],
  ["T", (d, rest) => (threadOf(d, rest) === null ? BAD : "OK")],
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
  Array.from({ length: d.debuggee().threads }, (_, thread) => (thread + 1).toString(16));

/** -1 and 0 (all, any) are the selected one. */
function threadOf(d: Doors, text: string): number | null {
  if (text === "-1" || text === "0") return d.selected();
  const number = hexNumber(text);
  return number === null || number < 1 || number > d.debuggee().threads ? null : number - 1;
}

function part(text: string, rest: string): string {
  const [offset, length] = rest.split(",").map(hexNumber);
  if (offset == null || length == null) return BAD;
  const piece = text.slice(offset, offset + Math.min(length, READ_BYTES_MAX));
  return `${offset + piece.length < text.length ? "m" : "l"}${piece}`;
}

function describe(d: Doors, rest: string): string {
  const thread = threadOf(d, rest);
  if (thread === null) return BAD;
  const core = d.debuggee().core(thread);
  const activity = ["running", "halted", "waiting for SIPI", "shut down"][core.activity] ?? "waiting";
  return toHex(Buffer.from(`${d.debuggee().name(thread)}: ${activity}, ring ${core.cpl}`));
}

function select(d: Doors, rest: string): string {
  const kind = rest[0];
  const thread = threadOf(d, rest.slice(1));
  if ((kind !== "g" && kind !== "c") || thread === null) return BAD;
  d.select(kind, thread);
  return "OK";
}

/**
 * Of several actions the first step counts; without one the machine runs. A thread that no action is for stands still
 * (GDB manual, appendix E.2, vCont): so gdb's scheduler-locking has it.
 */
function resume(d: Doors, rest: string): Answer {
  const actions = rest
    .split(";")
    .map((action) => /^([csCS])(?:[\da-f]{2})?(?::(-1|[\da-f]+))?$/i.exec(action));
  if (actions.length === 0 || actions.includes(null)) return BAD;
  const step = actions.find((action) => action?.[1]?.toLowerCase() === "s");
  const thread = threadOf(d, (step ?? actions[0])?.[2] ?? "0");
  if (thread === null) return BAD;
  const named = actions.map((action) => action?.[2] ?? "-1");
  const only = named.includes("-1") ? undefined : new Set(named.map((name) => threadOf(d, name)));
  if (only?.has(null) === true) return BAD;
  const all = only === undefined || only.size === d.debuggee().threads;
  d.move(step === undefined ? "continue" : "step", thread, all ? undefined : (only as ReadonlySet<number>));
  return null;
}

function readOne(d: Doors, rest: string): string {
  const register = d.registers[hexNumber(rest) ?? -1];
  return register === undefined ? BAD : toHex(bytesOf(register, register.read(d.registered())));
}

function writeOne(d: Doors, rest: string): string {
  const [number = "", digits = ""] = rest.split("=");
  const register = d.registers[hexNumber(number) ?? -1];
  const bytes = fromHex(digits);
  if (register?.write === undefined || bytes?.length !== register.bits / 8) return BAD;
  register.write(d.core(), numberOf(bytes));
  d.debuggee().changed();
  return "OK";
}

/** What may not be written must be unchanged. */
function writeAll(d: Doors, rest: string): string {
  const bytes = fromHex(rest);
  if (bytes === null || bytes.length !== d.registers.reduce((sum, r) => sum + r.bits / 8, 0)) return BAD;
  let at = 0;
  const values = d.registers.map((register) => {
    at += register.bits / 8;
    return numberOf(bytes.subarray(at - register.bits / 8, at));
  });
  if (d.registers.some((r, i) => r.write === undefined && r.read(d.registered()) !== values[i])) return BAD;
  d.registers.forEach((register, i) => {
    if (register.read(d.registered()) !== values[i]) register.write?.(d.core(), values[i]!);
  });
  d.debuggee().changed();
  return "OK";
}

function readMemory(d: Doors, rest: string): string {
  const [where = "", count = ""] = rest.split(",");
  const [address, length] = [hexAddress(where), hexNumber(count)];
  if (address === null || length === null) return BAD;
  const bytes = readVirtual(
    d.core(),
    d.debuggee().storage(d.selected()),
    address,
    Math.min(length, READ_BYTES_MAX),
  );
  return bytes.length === 0 && length > 0 ? NOT_MAPPED : toHex(bytes);
}

function writeMemory(d: Doors, rest: string, decode: (text: string) => Uint8Array | null): string {
  const match = /^([\da-f]+),([\da-f]+):([\s\S]*)$/i.exec(rest);
  const address = hexAddress(match?.[1] ?? "");
  const bytes = match === null ? null : decode(match[3]!);
  if (address === null || bytes === null || bytes.length !== hexNumber(match![2]!)) return BAD;
  if (!writeVirtual(d.core(), d.debuggee().storage(d.selected()), address, bytes)) return NOT_MAPPED;
  if (bytes.length > 0) d.debuggee().changed();
  return "OK";
}

/** Breakpoints (0, 1) and watchpoints (2 write, 3 read, 4 access). */
function point(d: Doors, rest: string, insert: boolean): string {
  const [kind = "", where = "", size = ""] = rest.split(";")[0]!.split(",");
  const [address, length] = [hexAddress(where), hexNumber(size)];
  const watch = watchKinds[kind];
  if (watch === undefined && kind !== "0" && kind !== "1") return "";
  if (address === null || length === null) return BAD;
  if (watch === undefined) {
    d.breakpoint(kind, address, insert);
    return "OK";
  }
  if (length < 1 || length > WATCH_BYTES_MAX) return BAD;
  d.watchpoint(watch, address, length, insert);
  return "OK";
}

/** `monitor WORDS`. */
function command(d: Doors, rest: string): string {
  const bytes = fromHex(rest);
  if (bytes === null) return BAD;
  const words = Buffer.from(bytes).toString("latin1").trim();
  return toHex(Buffer.from(monitor(d.debuggee(), d.selected(), words), "latin1"));
}
