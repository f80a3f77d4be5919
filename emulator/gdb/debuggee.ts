// A machine in virtual time under a debugger: it runs, stops, steps and goes back. The run is the one that the seed gives:
// breakpoints and steps are invisible to the guest and to the schedule, so that a failure found without a debugger shows
// again with one. Going back is going to a snapshot and forward again; input from outside is kept and given again.
// Invariant: the same position (instructions retired by all cores) of the same history is the same state.

import type { CoreState } from "../cpu/state.js";
import type { Machine } from "../machine.js";
import type { Schedule, ScheduleRecord } from "../schedule.js";
import type { Snapshot } from "../snapshot.js";
import { readVirtual, type Storage } from "./virtual-memory.js";

export type Motion = "continue" | "step" | "reverse-continue" | "reverse-step";

export interface Stop {
  /** "begin": further back there is no history. "over": the machine is off. "asleep": nothing will ever happen again. */
  readonly why: "breakpoint" | "watchpoint" | "step" | "interrupt" | "begin" | "over" | "asleep";
  readonly core: number;
  /** Linear address of the watchpoint that was hit. */
  readonly address?: bigint;
}

export interface Watchpoint {
  /** In whose address space. */
  readonly core: number;
  readonly address: bigint;
  readonly length: number;
}

/** Where in its history the machine can be put back. */
interface Mark {
  readonly machine: Snapshot;
  readonly schedule: ScheduleRecord;
  readonly turns: number;
  readonly instructions: number;
  /** Instructions retired by each core. */
  readonly retired: readonly number[];
  readonly printed: number;
}

/** Marks that are kept: beyond, every second one goes, and the next are further apart. */
const MARKS_MAX = 24;
const FIRST_INTERVAL = 4_000_000;
/** Milliseconds of the host between looks at the socket. */
const PATIENCE = 20;
const ALL_CORES = -2;
const NO_CORE = -1;

export interface DebuggeeOptions {
  readonly machine: Machine;
  readonly schedule: Schedule;
  /** Virtual nanoseconds. */
  readonly limit: number;
  readonly storage: Storage;
  /** A byte for the console, which has not been there before. */
  readonly print: (byte: number) => void;
}

export class Debuggee {
  readonly machine: Machine;
  readonly storage: Storage;
  readonly breakpoints = new Set<bigint>();
  readonly watchpoints: Watchpoint[] = [];
  readonly #schedule: Schedule;
  readonly #limit: number;
  readonly #print: (byte: number) => void;
  #marks: Mark[] = [];
  #interval = FIRST_INTERVAL;
  #nextMark = 0;
  /** Turns since the start, and what was typed before which of them. */
  #turns = 0;
  readonly #inputs: { readonly turn: number; readonly byte: number }[] = [];
  #typed: number[] = [];
  /** Bytes printed up to here, and ever. */
  #printed = 0;
  #printedEver = 0;
  #interrupted = false;
  /** Where the last breakpoint stopped the machine. */
  #place: Place = { instructions: -1, ordinal: 0 };

  constructor({ machine, schedule, limit, storage, print }: DebuggeeOptions) {
    this.machine = machine;
    this.storage = storage;
    this.#schedule = schedule;
    this.#limit = limit;
    this.#print = print;
  }

  core(index: number): CoreState {
    return this.machine.core(index);
  }

  /** The console's end of the machine. */
  printed(byte: number): void {
    this.#printed++;
    if (this.#printed <= this.#printedEver) return;
    this.#printedEver = this.#printed;
    this.#print(byte);
  }

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

  async run(motion: Motion, core: number): Promise<Stop> {
    this.#interrupted = false;
    this.machine.setBreakpoints(motion === "step" ? [] : this.breakpoints);
    try {
      if (motion === "reverse-step") return await this.#reverseStep(core);
      if (motion === "reverse-continue") return await this.#reverseContinue(core);
      return await this.#forward(motion === "step" ? core : NO_CORE);
    } finally {
      this.machine.pauseAt(NO_CORE);
      this.machine.pausedCore = NO_CORE;
    }
  }

  // --- forward ---

  async #forward(stepping: number): Promise<Stop> {
    const watching = stepping === NO_CORE && this.watchpoints.length > 0;
    if (stepping !== NO_CORE) this.machine.pauseAt(stepping, this.core(stepping).retired + 1);
    let before = watching ? this.#watched() : [];
    let core = Math.max(stepping, 0);
    for (const patience = new Patience(); ; ) {
      if (watching) this.machine.pauseAt(ALL_CORES);
      const end = this.#turn();
      if (end !== null && end !== "paused") return { why: end, core };
      if (end === "paused") {
        core = this.machine.pausedCore;
        this.machine.pausedCore = NO_CORE;
        if (stepping !== NO_CORE) return { why: "step", core };
        if (this.machine.atBreakpoint) {
          this.#place = next(this.#place, this.machine.instructions);
          return { why: "breakpoint", core };
        }
        if (watching) {
          const after = this.#watched();
          const hit = this.watchpoints.find((_, i) => after[i] !== before[i]);
          before = after;
          if (hit !== undefined) return { why: "watchpoint", core, address: hit.address };
        }
      }
      if (patience.over()) await patience.rest();
      if (this.#interrupted) return { why: "interrupt", core };
    }
  }

  #watched(): string[] {
    return this.watchpoints.map(({ core, address, length }) =>
      String(readVirtual(this.core(core), this.storage, address, length)),
    );
  }

  /** One turn of the schedule, or what a pause left of it. null: it ended as turns do. */
  #turn(): "paused" | "over" | "asleep" | null {
    const between = !this.#schedule.paused;
    if (between) {
      if (this.machine.instructions >= this.#nextMark) this.#mark();
      this.#giveInput();
    }
    const turn = this.#schedule.turn(this.#limit);
    if (turn === "paused") return "paused";
    this.#turns++;
    if (turn === "off") return "over";
    return turn === "idle" || this.#schedule.now >= this.#limit ? "asleep" : null;
  }

  /** What was typed before this turn when it ran first, or what has been typed since the last. */
  #giveInput(): void {
    for (const { turn, byte } of this.#inputs) if (turn === this.#turns) this.machine.receiveByte(byte);
    const latest = this.#inputs.at(-1)?.turn ?? -1;
    if (latest >= this.#turns) return;
    while (this.#typed.length > 0 && this.machine.receiveByte(this.#typed[0]!))
      this.#inputs.push({ turn: this.#turns, byte: this.#typed.shift()! });
  }

  // --- back ---

  #mark(): void {
    const { instructions } = this.machine;
    this.#nextMark = instructions + this.#interval;
    if ((this.#marks.at(-1)?.instructions ?? -1) >= instructions) return;
    this.#marks.push({
      machine: this.machine.snapshot(),
      schedule: this.#schedule.snapshot(),
      turns: this.#turns,
      instructions,
      retired: Array.from({ length: this.machine.cores }, (_, core) => this.core(core).retired),
      printed: this.#printed,
    });
    if (this.#marks.length <= MARKS_MAX) return;
    this.#marks = this.#marks.filter((_, i) => i % 2 === 0);
    this.#interval *= 2;
  }

  #goTo(mark: Mark): void {
    this.machine.restore(mark.machine);
    this.#schedule.restore(mark.schedule);
    this.#turns = mark.turns;
    this.#printed = mark.printed;
    this.machine.pausedCore = NO_CORE;
    // the bounds of its interval say when marks are due again; those ahead are still right
    this.#nextMark = (this.#marks.at(-1)?.instructions ?? 0) + this.#interval;
  }

  async #reverseStep(core: number): Promise<Stop> {
    const wanted = this.core(core).retired - 1;
    const mark = this.#marks.findLast((m) => m.retired[core]! <= wanted);
    if (mark === undefined) return this.#begin(core);
    this.machine.setBreakpoints([]);
    this.#goTo(mark);
    if (this.core(core).retired === wanted) return { why: "step", core };
    this.machine.pauseAt(core, wanted);
    for (const patience = new Patience(); ; ) {
      const end = this.#turn();
      if (end === "paused") return { why: "step", core: this.machine.pausedCore };
      if (end !== null)
        throw new Error(`the history ended (${end}) before instruction ${wanted} of core ${core}`);
      if (patience.over()) await patience.rest();
    }
  }

  async #reverseContinue(core: number): Promise<Stop> {
    const { instructions } = this.machine;
    let until = this.#place.instructions === instructions ? this.#place : { instructions, ordinal: 1 };
    for (const mark of this.#marks.filter((m) => m.instructions <= instructions).reverse()) {
      const last = await this.#lastStop(mark, until);
      if (last !== null) {
        await this.#lastStop(mark, until, last);
        this.#place = last.place;
        return { why: "breakpoint", core: last.core };
      }
      if (this.#interrupted) return { why: "interrupt", core };
      until = { instructions: mark.instructions, ordinal: 1 };
    }
    return this.#begin(core);
  }

  /** The last breakpoint that the run from a mark meets before a place; with `wanted`, stops at that one again. */
  async #lastStop(mark: Mark, until: Place, wanted?: Met): Promise<Met | null> {
    this.#goTo(mark);
    let last: Met | null = null;
    let place: Place = { instructions: -1, ordinal: 0 };
    for (const patience = new Patience(); ; ) {
      const end = this.#turn();
      if (end === "paused") {
        place = next(place, this.machine.instructions);
        if (!isBefore(place, until)) return last;
        last = { place, core: this.machine.pausedCore };
        if (wanted !== undefined && !isBefore(place, wanted.place)) return last;
        this.machine.pausedCore = NO_CORE;
      } else if (end !== null || this.machine.instructions > until.instructions) return last;
      if (patience.over()) await patience.rest();
      if (this.#interrupted && wanted === undefined) return last;
    }
  }

  #begin(core: number): Stop {
    const first = this.#marks[0];
    if (first !== undefined) this.#goTo(first);
    return { why: "begin", core };
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
  readonly core: number;
}

class Patience {
  #since = performance.now();
  #turns = 0;

  over(): boolean {
    return (++this.#turns & 63) === 0 && performance.now() - this.#since > PATIENCE;
  }

  /** Lets sockets and signals be heard. */
  async rest(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#since = performance.now();
  }
}
