// The seeded way to run: all cores of all machines on one thread, in virtual time, their interleaving drawn from
// one seed. One instruction takes one nanosecond. Time moves in quanta: within one, every running core retires as
// many instructions as the quantum has nanoseconds, in slices of random length and in random order. Machines meet on
// the wire only, which moves between quanta: a core that runs alone on its machine has its quantum in one slice.
// So no core falls behind another by more than a quantum, unless cores are stalled (`stall`): then one sometimes stands
// still for a while that the seed draws, as a virtual processor does whose host has other work, or a core in SMM.
// Invariant: what happens depends on the seed and on the guests only, never on the host.

import { checkWhole } from "./bounds.js";
import type { Random } from "./random.js";

/** What the schedule needs of a machine. Cores are numbered from 0. */
export interface Scheduled {
  readonly cores: number;
  /** False once the machine is off. */
  readonly powered: boolean;
  /** Whether the core would retire an instruction (or take an event) if run now. */
  runnable(core: number): boolean;
  /** Runs at most `budget` instructions; gives how many were retired. */
  runCore(core: number, budget: number): number;
  /** Whether cores have store buffers: stores reach memory when the schedule says so. */
  readonly buffersStores?: boolean;
  /** Asks of each core with stores that wait how many may go, the oldest first; null: all. */
  drainStores?(most: ((waiting: number) => number) | null): void;
  /** Virtual nanoseconds at which its devices next want to act; Infinity for never. */
  nextDeadline(): number;
  /** Lets its devices act up to this time. */
  advance(now: number): void;
  /** The core that a debugger wants to look at, before anything else happens; -1 or absent for none. */
  readonly pausedCore?: number;
}

/** Something else that acts in virtual time: the network between the machines. */
export interface Timed {
  nextDeadline(): number;
  run(until: number): void;
}

export interface ScheduleOptions {
  /** Longest quantum in nanoseconds. */
  readonly quantum?: number;
  /** Longest slice in instructions; each quantum draws its own limit up to it. */
  readonly slice?: number;
  /**
   * Where cores of one machine run beside each other, a quantum is no longer than so many slices of its limit: as many quanta
   * have short slices, but less of the time, of which they cost the most. None unless told.
   */
  readonly slices?: number;
  /** Longest time in nanoseconds for which a core may stand still; 0: none does. */
  readonly stall?: number;
}

/** With `stall`: one of so many slices ends in one. */
const STALL_ONE_IN = 256;
/** The longest that may be asked for, in nanoseconds: longer ones are pauses of a machine, which `--chaos` has. */
export const STALL_MAX = 100e6;

/** Log2 of the longest patience with stores that wait in a buffer, and one. */
const PATIENCE_MAX = 5;

interface Seat {
  readonly machine: Scheduled;
  readonly core: number;
  /** Of the machine: how many of its cores still take part in this quantum. */
  readonly peers: { running: number };
  left: number;
  /** It stands still until then. */
  stalled: number;
}
const seatsOf = (machines: readonly Scheduled[]): Seat[] =>
  machines.flatMap((machine) => {
    const peers = { running: 0 };
    return Array.from({ length: machine.cores }, (_, core) => ({
      machine,
      core,
      peers,
      left: 0,
      stalled: 0,
    }));
  });

const SLICE_MAX = 2 ** 30;

/** Whether a core stands still because somebody outside wants it; machines by their number in the schedule. */
export type Held = (machine: number, core: number) => boolean;

/** How a turn ended: "idle" means that nothing will ever happen again; a "paused" one goes on with the next call. */
export type Turn = "ran" | "slept" | "idle" | "off" | "paused";

/** A quantum under way. Seats below `left` have still to run, `at` the one whose slice has `budget` instructions left. */
interface Quantum {
  readonly nanoseconds: number;
  readonly slice: number;
  /** Of the store buffers. */
  readonly patience: number;
  left: number;
  at: number;
  budget: number;
}

/** A schedule as plain data. */
export interface ScheduleRecord {
  readonly now: number;
  readonly random: readonly number[];
  readonly seats: readonly {
    readonly machine: number;
    readonly core: number;
    readonly left: number;
    readonly stalled: number;
  }[];
  readonly quantum: Quantum | null;
}

export class Schedule {
  now = 0;
  readonly #machines: readonly Scheduled[];
  readonly #others: readonly Timed[];
  #random: Random;
  readonly #quantum: number;
  readonly #slice: number;
  readonly #slices: number;
  /** Longest time in nanoseconds for which a core may stand still. */
  readonly stall: number;
  readonly #buffers: boolean;
  /** One in so many chances lets stores go; each quantum draws its own, so that some stores wait long. */
  #patience = 0;
  /** The first core that stands still goes on. */
  #stallsEnd = Number.POSITIVE_INFINITY;
  readonly #drains = (waiting: number): number =>
    this.#random.below(this.#patience) === 0 ? 1 + this.#random.below(waiting) : 0;
  /** Cores that take part in this quantum: machine, core, instructions left. Kept to spare allocations. */
  readonly #seats: Seat[];
  /** A quantum that a pause interrupted. */
  #under: Quantum | null = null;
  #held: Held | null = null;

  constructor(
    machines: readonly Scheduled[],
    others: readonly Timed[],
    random: Random,
    options: ScheduleOptions = {},
  ) {
    this.#machines = machines;
    this.#others = others;
    this.#random = random;
    this.#quantum = options.quantum ?? 2000;
    this.#slice = checkWhole("slice", options.slice ?? 500, 1, SLICE_MAX);
    this.#slices = options.slices ?? Number.POSITIVE_INFINITY;
    this.stall = checkWhole("stall", options.stall ?? 0, 0, STALL_MAX);
    this.#seats = seatsOf(machines);
    this.#buffers = machines.some((m) => m.buffersStores === true);
  }

  /** Goes on at `now` as a new schedule over the same machines would. */
  restart(now: number, random: Random): void {
    this.now = now;
    this.#random = random;
    this.#under = null;
    this.#seats.splice(0, this.#seats.length, ...seatsOf(this.#machines));
  }

  /** One quantum, or one sleep up to the next deadline when no core can run. `limit` bounds the time. */
  turn(limit = Number.POSITIVE_INFINITY): Turn {
    if (this.#under !== null) return this.#go(this.#under);
    if (!this.#machines.some((m) => m.powered)) return "off";
    const active = this.#seat() || this.#seatWoken();
    const deadline = Math.max(Math.min(this.#nextDeadline(), limit), this.now);
    if (active === 0) {
      if (deadline === Number.POSITIVE_INFINITY) return "idle";
      this.#advance(deadline);
      return "slept";
    }
    this.#under = this.#begin(
      active,
      Math.max(1, Math.min(1 + this.#random.below(this.#quantum), deadline - this.now)),
    );
    return this.#go(this.#under);
  }

  #go(quantum: Quantum): Turn {
    if (!this.#interleave(quantum)) return "paused";
    this.#under = null;
    this.#advance(this.now + quantum.nanoseconds);
    return "ran";
  }

  #nextDeadline(): number {
    let deadline = Number.POSITIVE_INFINITY;
    for (const machine of this.#machines)
      if (machine.powered) deadline = Math.min(deadline, machine.nextDeadline());
    for (const other of this.#others) deadline = Math.min(deadline, other.nextDeadline());
    return Math.min(deadline, this.#stallsEnd);
  }

  #advance(to: number): void {
    this.now = to;
    for (const other of this.#others) other.run(to);
    for (const machine of this.#machines) if (machine.powered) machine.advance(to);
  }

  /** Moves the seats of cores that can run to the front, in an order of their own; gives their number. */
  #seat(): number {
    const seats = this.#seats;
    let active = 0;
    this.#stallsEnd = Number.POSITIVE_INFINITY;
    for (let i = 0; i < seats.length; i++) seats[i]!.peers.running = 0;
    for (let i = 0; i < seats.length; i++) {
      const seat = seats[i]!;
      if (!seat.machine.powered || !seat.machine.runnable(seat.core)) continue;
      if (this.#isHeld(seat)) continue;
      if (seat.stalled > this.now) {
        this.#stallsEnd = Math.min(this.#stallsEnd, seat.stalled);
        continue;
      }
      seat.peers.running++;
      seats[i] = seats[active]!;
      seats[active++] = seat;
    }
    return active;
  }

  /** Nobody runs: the stores that wait come to memory, and wake who waits for one (MWAIT); gives how many can run then. */
  #seatWoken(): number {
    if (!this.#buffers) return 0;
    for (const machine of this.#machines) machine.drainStores?.(null);
    return this.#seat();
  }

  /** Whether the core, whose slice is over, stands still from the end of the quantum on. */
  #stalls(seat: Seat, q: Quantum): boolean {
    if (this.stall === 0 || this.#random.below(STALL_ONE_IN) !== 0) return false;
    // Short ones find races between neighbours, long ones those with timers: each length as often as its double.
    const longest = 2 ** this.#random.below(1 + Math.ceil(Math.log2(this.stall)));
    seat.stalled = this.now + q.nanoseconds + 1 + this.#random.below(Math.min(longest, this.stall));
    return true;
  }

  #begin(active: number, nanosecondsMax: number): Quantum {
    // Short slices find races, long ones are fast: each quantum has its own limit.
    const slice =
      active === 1
        ? nanosecondsMax
        : 1 + this.#random.below(1 << this.#random.below(1 + Math.ceil(Math.log2(this.#slice))));
    const nanoseconds = this.#beside(active)
      ? Math.min(nanosecondsMax, this.#slices * slice)
      : nanosecondsMax;
    const patience = this.#buffers ? 1 << this.#random.below(PATIENCE_MAX) : 0;
    for (let i = 0; i < active; i++) this.#seats[i]!.left = nanoseconds;
    return { nanoseconds, slice, patience, left: active, at: 0, budget: 0 };
  }

  /** Whether two of the cores that take part are of one machine: those run in slices. */
  #beside(active: number): boolean {
    for (let i = 0; i < active; i++) if (this.#seats[i]!.peers.running > 1) return true;
    return false;
  }

  /** Runs the quantum to its end, or until a machine pauses: false then. */
  #interleave(q: Quantum): boolean {
    const seats = this.#seats;
    this.#patience = q.patience;
    while (q.left > 0) {
      if (q.budget === 0) {
        q.at = q.left === 1 ? 0 : this.#random.below(q.left);
        const { left, peers } = seats[q.at]!;
        q.budget = peers.running === 1 ? left : Math.min(left, 1 + this.#random.below(q.slice));
      }
      const seat = seats[q.at]!;
      const { machine } = seat;
      const ran = machine.runCore(seat.core, q.budget);
      const paused = (machine.pausedCore ?? -1) >= 0;
      seat.left -= ran;
      q.budget -= ran;
      // A core that stopped short (HLT, power-off) sits out the rest of the quantum; one that paused did not stop.
      const stopped = paused ? seat.left === 0 : q.budget > 0 || seat.left === 0;
      const out = stopped || (q.budget === 0 && this.#stalls(seat, q));
      if ((out || q.budget === 0) && machine.buffersStores === true) machine.drainStores?.(this.#drains);
      if (out) this.#sitOut(q, q.at);
      if (paused) return false;
    }
    return true;
  }

  /** A quantum is under way: the next turn goes on with it. */
  get paused(): boolean {
    return this.#under !== null;
  }

  /**
   * From now on these cores stand still, as stalled ones do; null: none. Who takes part in a quantum that is under way sits
   * out the rest of it. What follows is another history than the seed's own.
   */
  hold(held: Held | null): void {
    this.#held = held;
    const q = this.#under;
    if (q === null || held === null) return;
    for (let at = q.left - 1; at >= 0; at--) {
      const seat = this.#seats[at]!;
      if (this.#isHeld(seat)) this.#sitOut(q, at);
    }
  }
  #isHeld({ machine, core }: Seat): boolean {
    return this.#held?.(this.#machines.indexOf(machine), core) === true;
  }

  #sitOut(q: Quantum, at: number): void {
    const seats = this.#seats;
    const seat = seats[at]!;
    q.left--;
    seat.peers.running--;
    seats[at] = seats[q.left]!;
    seats[q.left] = seat;
    // The slice under way is over, or is another place's now.
    if (q.at === at) q.budget = 0;
    else if (q.at === q.left) q.at = at;
  }

  // --- snapshots ---

  snapshot(): ScheduleRecord {
    return {
      now: this.now,
      random: this.#random.snapshot(),
      seats: this.#seats.map(({ machine, core, left, stalled }) => ({
        machine: this.#machines.indexOf(machine),
        core,
        left,
        stalled,
      })),
      quantum: this.#under === null ? null : { ...this.#under },
    };
  }

  restore(record: ScheduleRecord): void {
    this.now = record.now;
    this.#random.restore(record.random);
    const peers = this.#machines.map(() => ({ running: 0 }));
    const seats = record.seats.map(({ machine, core, left, stalled }, i) => {
      if (i < (record.quantum?.left ?? 0)) peers[machine]!.running++;
      return { machine: this.#machines[machine]!, core, peers: peers[machine]!, left, stalled };
    });
    this.#seats.splice(0, this.#seats.length, ...seats);
    this.#under = record.quantum === null ? null : { ...record.quantum };
  }
}
