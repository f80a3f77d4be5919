// Machines in virtual time under a debugger: they run, stop, step and go back, all of them together. The run is the one that
// the seed gives: breakpoints and steps are invisible to the guests and to the schedule, so that a failure found without a
// debugger shows again with one. Going back is going to a snapshot and forward again; input from outside is kept and given
// again; what is done to the machines at times of its own (`Deeds`) is undone and done again. Every core is a thread, numbered
// from 0 through all machines.
// Invariant: the same position (instructions retired by all cores) of the same history is the same state.

import { SHUTDOWN } from "../cpu/layout.js";
import type { CoreState } from "../cpu/state.js";
import type { SeededNetwork, WireRecord } from "../link.js";
import type { Machine } from "../machine.js";
import { Patience } from "../patience.js";
import type { Schedule, ScheduleRecord } from "../schedule.js";
import type { Snapshot } from "../snapshot.js";
import { linearRip } from "./registers.js";
import type { Storage } from "./virtual-memory.js";
import { type WatchKind, Watchpoints } from "./watchpoints.js";

export type Motion = "continue" | "step" | "reverse-continue" | "reverse-step";

export interface Stop {
  /** "begin": further back there is no history. "over": the machines are off. "asleep": nothing will ever happen again. */
  readonly why: "breakpoint" | "watchpoint" | "step" | "interrupt" | "begin" | "over" | "asleep";
  readonly thread: number;
  /** Of the watchpoint that was met. */
  readonly watch?: { readonly kind: WatchKind; readonly address: bigint };
}

/** What is done to the machines from outside at given times, such as faults. */
export interface Deeds {
  /** Virtual nanoseconds of the next one, at which a turn of the schedule ends. Infinity: there are no more. */
  readonly due: number;
  /** In the middle of a run machines may be replaced by new lives, in the debuggee's list too. */
  perform(): Promise<void>;
  /** Of each machine, how many it has had before this one; and what all those have retired. */
  readonly lives: readonly number[];
  readonly retiredBefore: number;
  record(): unknown;
  restore(record: never): Promise<void>;
}

/** Where in their history the machines can be put back. */
interface Mark {
  readonly deeds: unknown;
  readonly lives: readonly number[];
  readonly machines: readonly Snapshot[];
  readonly wire: WireRecord | null;
  readonly schedule: ScheduleRecord;
  readonly turns: number;
  readonly instructions: number;
  /** Instructions retired by each thread. */
  readonly retired: readonly number[];
  /** Bytes printed by each machine. */
  readonly printed: readonly number[];
}

/** Marks that are kept: beyond, every second one goes, and the next are further apart. */
const MARKS_MAX = 24;
const FIRST_INTERVAL = 4_000_000;
/** One in so many turns looks at the clock for it: some are of one instruction. */
const TURNS_UNHEARD = 64;
const NO_CORE = -1;

export interface DebuggeeOptions {
  /** All with as many cores. */
  readonly machines: readonly Machine[];
  readonly schedule: Schedule;
  /** Between several machines. */
  readonly wire?: SeededNetwork;
  readonly deeds?: Deeds;
  /** Virtual nanoseconds. */
  readonly limit: number;
  /** A byte for a machine's console, which has not been there before. */
  readonly print: (machine: number, byte: number) => void;
}

export class Debuggee {
  readonly machines: readonly Machine[];
  /** Cores of a machine. */
  readonly cores: number;
  readonly breakpoints = new Set<bigint>();
  readonly watchpoints: Watchpoints;
  readonly #storages: readonly Storage[];
  readonly #schedule: Schedule;
  readonly #wire: SeededNetwork | null;
  readonly #deeds: Deeds | null;
  readonly #limit: number;
  readonly #print: (machine: number, byte: number) => void;
  #marks: Mark[] = [];
  #interval = FIRST_INTERVAL;
  #nextMark = 0;
  /** Turns since the start, and what was typed before which of them. */
  #turns = 0;
  readonly #inputs: { readonly turn: number; readonly byte: number }[] = [];
  #typed: number[] = [];
  /** Bytes printed by each machine up to here, and ever. */
  #printed: number[];
  readonly #printedEver: number[];
  #interrupted = false;
  /** Breakpoints of the motion under way, or of the last. */
  #inEffect: ReadonlySet<bigint> = new Set();
  /** Threads stand still because gdb wants it. */
  #holding = false;
  /** What all machines are to stop at, now; new lives too. */
  #bounds: Iterable<bigint> = [];
  #watching = false;
  #pause: { readonly thread: number; readonly retired: number } | null = null;
  #left: (() => number) | null = null;
  /** Where the last breakpoint stopped the machines. */
  #place: Place = { instructions: -1, ordinal: 0 };

  constructor({ machines, schedule, wire, deeds, limit, print }: DebuggeeOptions) {
    this.machines = machines;
    this.cores = machines[0]!.cores;
    this.#schedule = schedule;
    this.#wire = wire ?? null;
    this.#deeds = deeds ?? null;
    this.#limit = limit;
    this.#print = print;
    this.#printed = machines.map(() => 0);
    this.#printedEver = machines.map(() => 0);
    this.#storages = machines.map((_, index) => ({
      at: (physical) => this.machines[index]!.storageAt(physical),
      changed: (physical, length) => this.machines[index]!.changed(physical, length),
    }));
    this.watchpoints = new Watchpoints({
      core: (thread) => this.core(thread),
      storage: (thread) => this.storage(thread),
      buffersStores: machines.some((machine) => machine.buffersStores),
    });
  }

  get threads(): number {
    return this.machines.length * this.cores;
  }
  machine(thread: number): Machine {
    return this.machines[Math.floor(thread / this.cores)]!;
  }
  core(thread: number): CoreState {
    return this.machine(thread).core(thread % this.cores);
  }
  storage(thread: number): Storage {
    return this.#storages[Math.floor(thread / this.cores)]!;
  }
  /** Whom people see: "core 1", or "machine2 core 1". */
  name(thread: number): string {
    const core = `core ${thread % this.cores}`;
    return this.machines.length === 1 ? core : `${this.machine(thread).name} ${core}`;
  }
  /** Instructions retired by all cores. */
  get instructions(): number {
    const before = this.#deeds?.retiredBefore ?? 0;
    return this.machines.reduce((sum, machine) => sum + machine.instructions, before);
  }
  get now(): number {
    return this.#schedule.now;
  }
  get powered(): boolean {
    return this.machines.some((machine) => machine.powered);
  }

  /** Why a machine went off against its guest's will; "" if none did. */
  get problem(): string {
    return this.machines.find(({ problem }) => problem !== "")?.problem ?? "";
  }
  /** What a guest wrote to the exit port, else 0. */
  get exitCode(): number {
    return this.machines.find(({ exitCode }) => exitCode !== null)?.exitCode ?? 0;
  }

  /** The console's end of a machine. */
  printed(machine: number, byte: number): void {
    const count = ++this.#printed[machine]!;
    if (count <= this.#printedEver[machine]!) return;
    this.#printedEver[machine] = count;
    this.#print(machine, byte);
  }

  /** On the first machine's console. */
  type(bytes: Uint8Array): void {
    this.#typed.push(...bytes);
  }

  /** Lets run() come back. */
  interrupt(): void {
    this.#interrupted = true;
  }

  /** The guest's state was changed from outside: what was before cannot lead here. */
  changed(): void {
    this.#marks = [];
    this.#nextMark = 0;
  }

  /** `only` these threads run, others stand still: forward only. */
  async run(motion: Motion, thread: number, only?: ReadonlySet<number>): Promise<Stop> {
    this.#interrupted = false;
    const over = this.#stepsOver(motion, thread, only);
    if (only !== undefined && !over) this.#hold(only);
    else if (this.#marks.length === 0 && !motion.startsWith("reverse")) this.#mark();
    this.#watching = !this.watchpoints.none;
    this.#arm();
    try {
      if (motion === "reverse-step") return await this.#reverseStep(thread);
      if (motion === "reverse-continue") return await this.#reverseContinue(thread);
      return await this.#forward(motion === "step" ? thread : null);
    } finally {
      this.#watching = false;
      this.#pause = null;
      this.#left = null;
      this.#letGo();
      for (const machine of this.machines) {
        machine.pauseAt(NO_CORE);
        machine.pauseAfter(null);
        machine.watch(null);
        machine.pausedCore = NO_CORE;
      }
    }
  }

  /**
   * gdb steps over a breakpoint by taking it away and asking for a step of that thread alone. Since that is no wish of its
   * user's, the history stays the seed's own: others run if it is their turn, and stop where they did before.
   */
  #stepsOver(motion: Motion, thread: number, only?: ReadonlySet<number>): boolean {
    const alone = motion === "step" && only?.size === 1;
    const over = alone && this.#inEffect.has(linearRip(this.core(thread)));
    this.#inEffect = new Set(over ? [...this.#inEffect, ...this.breakpoints] : this.breakpoints);
    this.#bounds = this.#inEffect;
    return over;
  }

  /** Another history than the seed's begins, and there is no way back from it, or into it. */
  #hold(only: ReadonlySet<number>): void {
    this.changed();
    this.#holding = true;
    this.#schedule.hold((machine, core) => !only.has(machine * this.cores + core));
  }
  #letGo(): void {
    if (!this.#holding) return;
    this.#holding = false;
    this.#schedule.hold(null);
    this.changed();
  }

  /** Tells all machines what they are to stop at. */
  #arm(): void {
    this.machines.forEach((machine, index) => {
      const peers = [index * this.cores, this.cores] as const;
      machine.setBreakpoints(this.#bounds);
      machine.pauseAfter(this.#left);
      if (this.#pause !== null && Math.floor(this.#pause.thread / this.cores) === index)
        machine.pauseAt(this.#pause.thread % this.cores, this.#pause.retired);
      else machine.pauseAt(NO_CORE);
      machine.watch(
        this.#watching
          ? {
              accessed: (core, linear, bytes, write) =>
                this.watchpoints.accessed(peers[0] + core, peers, linear, bytes, write),
            }
          : null,
      );
    });
  }

  #pauseAt(thread: number, retired: number): void {
    this.#pause = { thread, retired };
    this.machine(thread).pauseAt(thread % this.cores, retired);
  }
  /** How many lives the thread's machine has had before this one. */
  #life(thread: number): number {
    return this.#deeds?.lives[Math.floor(thread / this.cores)] ?? 0;
  }
  /** The thread that a pause is about. */
  #paused(): number {
    const index = this.machines.findIndex((machine) => machine.pausedCore !== NO_CORE);
    return index * this.cores + this.machines[index]!.pausedCore;
  }
  #goOn(thread: number): void {
    this.machine(thread).pausedCore = NO_CORE;
  }

  // --- forward ---

  async #forward(stepping: number | null): Promise<Stop> {
    const wanted = stepping === null ? 0 : this.core(stepping).retired + 1;
    if (stepping !== null) this.#pauseAt(stepping, wanted);
    let thread = stepping ?? 0;
    for (const patience = new Patience(TURNS_UNHEARD); ; ) {
      if (this.#isDue()) await this.#perform();
      const end = this.#turn();
      if (end === "over") return { why: end, thread: this.#shutDown() ?? thread };
      if (end !== null && end !== "paused") return { why: end, thread };
      if (end === "paused") {
        thread = this.#paused();
        this.#goOn(thread);
        const stop = this.#stopAt(thread);
        // What a step begins at has been told of before.
        const begins = thread === stepping && this.core(thread).retired < wanted;
        if (stop !== null && !(begins && stop.why === "breakpoint")) {
          this.#place = next(this.#place, this.instructions);
          return stop;
        }
        if (stepping !== null && this.core(stepping).retired >= wanted)
          return { why: "step", thread: stepping };
      }
      if (patience.over()) await patience.rest();
      if (this.#interrupted) return { why: "interrupt", thread };
    }
  }

  /** The thread whose shutdown ended a machine. */
  #shutDown(): number | null {
    const threads = Array.from({ length: this.threads }, (_, thread) => thread);
    return threads.find((thread) => this.core(thread).activity === SHUTDOWN) ?? null;
  }

  /** What a debugger wants to know of a pause, if anything. */
  #stopAt(thread: number): Stop | null {
    const machine = this.machine(thread);
    if (machine.atWatchpoint) {
      const watchpoint = this.watchpoints.take();
      if (watchpoint !== null) return { why: "watchpoint", thread, watch: watchpoint };
    }
    return machine.atBreakpoint ? { why: "breakpoint", thread } : null;
  }

  /** One turn of the schedule, or what a pause left of it. null: it ended as turns do. */
  #turn(): "paused" | "over" | "asleep" | null {
    const between = !this.#schedule.paused;
    if (between) {
      if (this.instructions >= this.#nextMark && !this.#holding) this.#mark();
      this.#giveInput();
    }
    const due = this.#deeds?.due ?? Number.POSITIVE_INFINITY;
    const turn = this.#schedule.turn(Math.min(this.#limit, due));
    if (turn === "paused") return "paused";
    this.#turns++;
    if (turn === "off" && due < this.#limit) {
      // With nobody to run, time passes all the same.
      this.#schedule.now = Math.max(this.#schedule.now, due);
      return null;
    }
    if (turn === "off") return "over";
    return turn === "idle" || this.#schedule.now >= this.#limit ? "asleep" : null;
  }

  #isDue(): boolean {
    return this.#deeds !== null && !this.#schedule.paused && this.now >= this.#deeds.due;
  }

  async #perform(): Promise<void> {
    const lives = this.#deeds!.lives.join();
    await this.#deeds!.perform();
    if (this.#deeds!.lives.join() === lives) return;
    this.#arm();
    this.#nextMark = 0; // a new life's first instruction can be gone back to
  }

  /** What was typed before this turn when it ran first, or what has been typed since the last. */
  #giveInput(): void {
    for (const { turn, byte } of this.#inputs) if (turn === this.#turns) this.machines[0]!.receiveByte(byte);
    const latest = this.#inputs.at(-1)?.turn ?? -1;
    if (latest >= this.#turns) return;
    while (this.#typed.length > 0 && this.machines[0]!.receiveByte(this.#typed[0]!))
      this.#inputs.push({ turn: this.#turns, byte: this.#typed.shift()! });
  }

  // --- back ---

  #mark(): void {
    const { instructions } = this;
    this.#nextMark = instructions + this.#interval;
    if ((this.#marks.at(-1)?.instructions ?? -1) >= instructions) return;
    this.#marks.push({
      deeds: this.#deeds?.record(),
      lives: [...(this.#deeds?.lives ?? [])],
      machines: this.machines.map((machine) => machine.snapshot()),
      wire: this.#wire?.snapshot() ?? null,
      schedule: this.#schedule.snapshot(),
      turns: this.#turns,
      instructions,
      retired: Array.from({ length: this.threads }, (_, thread) => this.core(thread).retired),
      printed: [...this.#printed],
    });
    if (this.#marks.length <= MARKS_MAX) return;
    this.#marks = this.#marks.filter((_, i) => i % 2 === 0);
    this.#interval *= 2;
  }

  async #goTo(mark: Mark): Promise<void> {
    await this.#deeds?.restore(mark.deeds as never);
    this.machines.forEach((machine, index) => {
      machine.restore(mark.machines[index]!);
      machine.pausedCore = NO_CORE;
    });
    if (mark.wire !== null) this.#wire?.restore(mark.wire);
    this.#schedule.restore(mark.schedule);
    this.#turns = mark.turns;
    this.#printed = [...mark.printed];
    this.watchpoints.take();
    // the bounds of its interval say when marks are due again; those ahead are still right
    this.#nextMark = (this.#marks.at(-1)?.instructions ?? 0) + this.#interval;
    this.#arm();
  }

  async #reverseStep(thread: number): Promise<Stop> {
    this.#watching = false;
    const wanted = this.core(thread).retired - 1;
    const life = this.#life(thread);
    if (wanted < 0 && life > 0) return { why: "begin", thread }; // of this life
    const index = Math.floor(thread / this.cores);
    const mark = this.#marks.findLast((m) => {
      const then = m.lives[index] ?? 0;
      return then < life || (then === life && m.retired[thread]! <= wanted);
    });
    if (mark === undefined) return await this.#begin(thread);
    this.#bounds = [];
    await this.#goTo(mark);
    const where = `instruction ${wanted} of ${this.name(thread)}`;
    if (this.#life(thread) !== life) await this.#until(where, () => this.#life(thread) === life);
    if (this.core(thread).retired === wanted) return { why: "step", thread };
    this.#pauseAt(thread, wanted);
    await this.#until(where);
    return { why: "step", thread };
  }

  /** Runs until a pause, or until something done from outside makes it true. */
  async #until(where: string, isThere: () => boolean = () => false): Promise<void> {
    for (const patience = new Patience(TURNS_UNHEARD); ; ) {
      if (this.#isDue()) await this.#perform();
      if (isThere()) return;
      const end = this.#turn();
      if (end === "paused") return;
      if (end !== null) throw new Error(`the history ended (${end}) before ${where}`);
      if (patience.over()) await patience.rest();
    }
  }

  async #reverseContinue(thread: number): Promise<Stop> {
    const { instructions } = this;
    let until = this.#place.instructions === instructions ? this.#place : { instructions, ordinal: 1 };
    for (const mark of this.#marks.filter((m) => m.instructions <= instructions).reverse()) {
      const last = await this.#lastStop(mark, until);
      if (last !== null) {
        if (last.stop.why === "watchpoint") await this.#goBefore(mark, last);
        else await this.#lastStop(mark, until, last);
        return last.stop;
      }
      if (this.#interrupted) return { why: "interrupt", thread };
      until = { instructions: mark.instructions, ordinal: 1 };
    }
    return await this.#begin(thread);
  }

  /** The last stop that the run from a mark meets before a place; with `wanted`, stops at that one again. */
  async #lastStop(mark: Mark, until: Place, wanted?: Met): Promise<Met | null> {
    await this.#goTo(mark);
    let last: Met | null = null;
    let place: Place = { instructions: -1, ordinal: 0 };
    for (const patience = new Patience(TURNS_UNHEARD); ; ) {
      if (this.#isDue()) await this.#perform();
      const end = this.#turn();
      if (end === "paused") {
        const thread = this.#paused();
        const stop = this.#stopAt(thread);
        if (stop !== null) {
          place = next(place, this.instructions);
          // What met a watchpoint with its last instruction is undone by going back.
          const before =
            isBefore(place, until) ||
            (stop.why === "watchpoint" && place.instructions === until.instructions);
          if (before) last = { place, stop };
          if (wanted !== undefined && !isBefore(place, wanted.place)) {
            this.#place = place;
            return last;
          }
        }
        this.#goOn(thread);
      } else if (end !== null) return last;
      if (this.instructions > until.instructions) return last;
      if (patience.over()) await patience.rest();
      if (this.#interrupted && wanted === undefined) return last;
    }
  }

  /** Backwards a watchpoint is met when the access is undone: at the instruction that makes it. */
  async #goBefore(mark: Mark, { place }: Met): Promise<void> {
    const wanted = place.instructions - 1;
    this.#watching = false;
    this.#bounds = [];
    this.#left = () => wanted - this.instructions;
    await this.#goTo(mark);
    if (this.instructions < wanted) await this.#until(`${wanted} instructions`);
    this.#place = { instructions: wanted, ordinal: 1 };
  }

  async #begin(thread: number): Promise<Stop> {
    const first = this.#marks[0];
    if (first !== undefined) await this.#goTo(first);
    return { why: "begin", thread };
  }
}

/** A breakpoint's place in the history: cores may stand at breakpoints one after the other with nothing between. */
interface Place {
  readonly instructions: number;
  /** Among the stops after so many instructions, from 1. */
  readonly ordinal: number;
}
const next = (last: Place, instructions: number): Place => ({
  instructions,
  ordinal: last.instructions === instructions ? last.ordinal + 1 : 1,
});
const isBefore = (a: Place, b: Place): boolean =>
  a.instructions < b.instructions || (a.instructions === b.instructions && a.ordinal < b.ordinal);

interface Met {
  readonly place: Place;
  readonly stop: Stop;
}
