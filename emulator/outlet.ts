// Where a machine of a seeded cluster is plugged in, for clusters that things happen to: its power, and whether it is
// let run. To the schedule it is the machine.
// Invariants: a machine that stands still retires nothing and its devices do nothing, while time goes on; frames that come
// for it meanwhile wait, as in the socket of a process that is stopped; what is off hears nothing.

import type { SeededOptions } from "./cluster.js";
import type { Link } from "./link.js";
import type { Machine } from "./machine.js";
import type { Scheduled } from "./schedule.js";

/** What stands in an outlet, and how; the machine's own state is its snapshot's. */
export interface OutletRecord {
  readonly machine: Machine;
  readonly on: boolean;
  readonly still: boolean;
  readonly waiting: readonly Uint8Array[];
}

/** Frames that wait for a machine that stands still; further ones are lost. */
const WAITING_MAX = 4096;

export class Outlet implements Scheduled {
  readonly cores: number;
  readonly buffersStores: boolean;
  #machine: Machine;
  readonly #make: (o: SeededOptions) => Promise<Machine>;
  #link: Link | null = null;
  #on = true;
  #still = false;
  readonly #waiting: Uint8Array[] = [];

  constructor(machine: Machine, make: (o: SeededOptions) => Promise<Machine>) {
    this.#machine = machine;
    this.#make = make;
    this.cores = machine.cores;
    this.buffersStores = machine.buffersStores;
  }

  wire(link: Link): void {
    this.#link = link;
  }

  get powered(): boolean {
    return this.#on && this.#machine.powered;
  }

  get still(): boolean {
    return this.#still;
  }

  // --- what happens to it ---

  /** The power is gone. */
  kill(): void {
    this.#on = false;
    this.#still = false;
    this.#waiting.length = 0;
  }

  pause(): void {
    this.#still = true;
  }

  resume(): void {
    this.#still = false;
    for (const frame of this.#waiting.splice(0)) this.receiveFrame(frame);
  }

  /** A new machine stands in its place, and is on. */
  async replace(o: SeededOptions): Promise<Machine> {
    this.kill();
    this.#machine = await this.#make(o);
    this.#machine.connect(this.#link!);
    this.#on = true;
    return this.#machine;
  }

  record(): OutletRecord {
    return { machine: this.#machine, on: this.#on, still: this.#still, waiting: [...this.#waiting] };
  }

  restore({ machine, on, still, waiting }: OutletRecord): void {
    this.#machine = machine;
    this.#on = on;
    this.#still = still;
    this.#waiting.splice(0, this.#waiting.length, ...waiting);
  }

  receiveFrame(frame: Uint8Array): void {
    if (!this.#on) return;
    if (!this.#still) this.#machine.receiveFrame(frame);
    else if (this.#waiting.length < WAITING_MAX) this.#waiting.push(frame);
  }

  // --- what a schedule does ---

  get pausedCore(): number {
    return this.#machine.pausedCore;
  }

  runnable(core: number): boolean {
    return !this.#still && this.#machine.runnable(core);
  }

  runCore(core: number, budget: number): number {
    return this.#machine.runCore(core, budget);
  }

  drainStores(most: ((waiting: number) => number) | null): void {
    if (!this.#still) this.#machine.drainStores(most);
  }

  nextDeadline(): number {
    return this.#still ? Number.POSITIVE_INFINITY : this.#machine.nextDeadline();
  }

  advance(now: number): void {
    if (!this.#still) this.#machine.advance(now);
  }
}
