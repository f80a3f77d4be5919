// The seeded way to run: all cores of all machines on one thread, in virtual time, their interleaving drawn from
// one seed. One instruction takes one nanosecond. Time moves in quanta: within one, every running core retires as
// many instructions as the quantum has nanoseconds, in slices of random length and in random order. Machines meet on
// the wire only, which moves between quanta: a core that runs alone on its machine has its quantum in one slice.
// Invariant: what happens depends on the seed and on the guests only, never on the host.

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
}

/** Log2 of the longest patience with stores that wait in a buffer, and one. */
const PATIENCE_MAX = 5;

interface Seat {
  readonly machine: Scheduled;
  readonly core: number;
  /** Of the machine: how many of its cores still take part in this quantum. */
  readonly peers: { running: number };
  left: number;
}
const seatsOf = (machines: readonly Scheduled[]): Seat[] =>
  machines.flatMap((machine) => {
    const peers = { running: 0 };
    return Array.from({ length: machine.cores }, (_, core) => ({ machine, core, peers, left: 0 }));
  });

/** How a turn ended: "idle" means that nothing will ever happen again. */
export type Turn = "ran" | "slept" | "idle" | "off";

export class Schedule {
  now = 0;
  readonly #machines: readonly Scheduled[];
  readonly #others: readonly Timed[];
  #random: Random;
  readonly #quantum: number;
  readonly #slice: number;
  readonly #buffers: boolean;
  /** One in so many chances lets stores go; each quantum draws its own, so that some stores wait long. */
  #patience = 0;
  readonly #drains = (waiting: number): number =>
    this.#random.below(this.#patience) === 0 ? 1 + this.#random.below(waiting) : 0;
  /** Cores that take part in this quantum: machine, core, instructions left. Kept to spare allocations. */
  readonly #seats: Seat[];

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
    this.#slice = options.slice ?? 500;
    this.#seats = seatsOf(machines);
    this.#buffers = machines.some((m) => m.buffersStores === true);
  }

  /** Goes on at `now` as a new schedule over the same machines would. */
  restart(now: number, random: Random): void {
    this.now = now;
    this.#random = random;
    this.#seats.splice(0, this.#seats.length, ...seatsOf(this.#machines));
  }

  /** One quantum, or one sleep up to the next deadline when no core can run. `limit` bounds the time. */
  turn(limit = Number.POSITIVE_INFINITY): Turn {
    if (!this.#machines.some((m) => m.powered)) return "off";
    const deadline = Math.max(Math.min(this.#nextDeadline(), limit), this.now);
    const active = this.#seat();
    if (active === 0) {
      for (const machine of this.#machines) machine.drainStores?.(null);
      if (deadline === Number.POSITIVE_INFINITY) return "idle";
      this.#advance(deadline);
      return "slept";
    }
    const quantum = Math.max(1, Math.min(1 + this.#random.below(this.#quantum), deadline - this.now));
    this.#interleave(active, quantum);
    this.#advance(this.now + quantum);
    return "ran";
  }

  #nextDeadline(): number {
    let deadline = Number.POSITIVE_INFINITY;
    for (const machine of this.#machines)
      if (machine.powered) deadline = Math.min(deadline, machine.nextDeadline());
    for (const other of this.#others) deadline = Math.min(deadline, other.nextDeadline());
    return deadline;
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
    for (let i = 0; i < seats.length; i++) seats[i]!.peers.running = 0;
    for (let i = 0; i < seats.length; i++) {
      const seat = seats[i]!;
      if (!seat.machine.powered || !seat.machine.runnable(seat.core)) continue;
      seat.peers.running++;
      seats[i] = seats[active]!;
      seats[active++] = seat;
    }
    return active;
  }

  #interleave(active: number, quantum: number): void {
    const seats = this.#seats;
    // Short slices find races, long ones are fast: each quantum has its own limit.
    const slice =
      active === 1
        ? quantum
        : 1 + this.#random.below(1 << this.#random.below(1 + Math.ceil(Math.log2(this.#slice))));
    this.#patience = this.#buffers ? 1 << this.#random.below(PATIENCE_MAX) : 0;
    for (let i = 0; i < active; i++) seats[i]!.left = quantum;
    let left = active;
    while (left > 0) {
      const at = left === 1 ? 0 : this.#random.below(left);
      const seat = seats[at]!;
      const alone = seat.peers.running === 1;
      const budget = alone ? seat.left : Math.min(seat.left, 1 + this.#random.below(slice));
      const ran = seat.machine.runCore(seat.core, budget);
      seat.left -= ran;
      if (seat.machine.buffersStores === true) seat.machine.drainStores?.(this.#drains);
      // A core that stopped short (HLT, power-off) sits out the rest of the quantum.
      if (seat.left > 0 && ran >= budget) continue;
      left--;
      seat.peers.running--;
      seats[at] = seats[left]!;
      seats[left] = seat;
    }
  }
}
