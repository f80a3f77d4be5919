// The wire between a machine's network function and its peers, in both ways of running. A machine sees one
// thing: frames out, frames in. Seeded, the wire is the bridge's own switch in virtual time; live, it is a
// websocket to a bridge.

import { BridgeClient } from "../netbridge/client.js";
import { type FaultOptions, Faults } from "../netbridge/faults.js";
import { Switch } from "../netbridge/switch.js";
import { Witness, type WitnessSnapshot } from "../netbridge/witness.js";
import { Timers } from "./clock.js";
import type { Random } from "./random.js";

/** A machine's end of a wire. The bytes of a sent frame are copied before send() returns. */
export interface Link {
  send(frame: Uint8Array): void;
  close(): void;
}

export interface NetworkOptions {
  /** Microseconds that a frame takes, uniform between the two. */
  readonly delay?: readonly [number, number];
  readonly faults?: Omit<FaultOptions, "delay">;
  /** Lets a frame overtake an earlier one of the same pair of ports; otherwise pairs keep their order. */
  readonly reorder?: boolean;
}

/** Who hears of each frame on the seeded wire: for traces and captures. Nanoseconds of virtual time. */
export type FrameTap = (from: number, frame: Uint8Array, now: number) => void;

/** A frame that has been sent to a port and not yet arrived. */
interface Flying {
  readonly time: number;
  readonly port: number;
  readonly frame: Uint8Array;
}

export interface WireRecord {
  readonly flying: readonly Flying[];
  readonly random: readonly number[];
  readonly lastArrival: readonly (readonly [pair: number, time: number])[];
  readonly learnt: readonly (readonly [address: number, port: number])[];
  readonly witnesses: readonly WitnessSnapshot[];
  readonly frames: number;
  readonly bytes: number;
}

const faultsOf = ({ faults, delay }: NetworkOptions): FaultOptions => ({
  ...faults,
  delay: delay ?? [20, 40],
});

/** The seeded wire: one switch, every delay and fault drawn from the seed. */
export class SeededNetwork {
  readonly #switch = new Switch();
  #timers = new Timers();
  #random: Random;
  readonly #faults: Faults;
  readonly #now: () => number;
  readonly #taps: FrameTap[] = [];
  readonly #arrivalTaps: FrameTap[] = [];
  readonly #options: NetworkOptions;
  #reorder: boolean;
  readonly #lastArrival = new Map<number, number>();
  #sender = 0;
  readonly #witnesses: Witness[] = [];
  /** On the wire, in the order in which they were sent. */
  readonly #flying = new Set<Flying>();
  readonly #receivers = new Map<number, (frame: Uint8Array) => void>();
  frames = 0;
  bytes = 0;

  constructor(random: Random, now: () => number, options: NetworkOptions = {}) {
    this.#random = random;
    this.#options = options;
    this.#faults = new Faults(faultsOf(options), () => this.#random.next());
    this.#now = now;
    this.#reorder = options.reorder ?? false;
  }

  get faultCounts(): Faults["counts"] {
    return this.#faults.counts;
  }

  /** Frames (copies counted) that have been sent and not yet arrived. */
  get underWay(): number {
    return this.#flying.size;
  }

  /**
   * An empty wire with a new seed. The switch keeps its ports and forgets the addresses; counts, taps and partitions
   * stay.
   */
  restart(random: Random): void {
    this.#random = random;
    this.#timers = new Timers();
    this.#flying.clear();
    this.#lastArrival.clear();
    this.#switch.forget();
  }

  tap(tap: FrameTap): void {
    this.#taps.push(tap);
  }

  /** Who hears of each copy of a frame that arrives at a port; the frame is the one that a tap was given. */
  tapArrivals(tap: FrameTap): void {
    this.#arrivalTaps.push(tap);
  }

  /** Ports are numbered from 1 in the order in which they were attached. */
  partition(islands: readonly (readonly number[])[]): void {
    this.#faults.partition(islands);
  }

  /** Cuts in one direction: pairs of ports, from and to. */
  deafen(pairs: readonly (readonly [from: number, to: number])[]): void {
    this.#faults.deafen(pairs);
  }

  /** The wire behaves like that from now on; null: as it was made. */
  become(options: NetworkOptions | null): void {
    const wanted = { ...this.#options, ...options };
    this.#faults.become(faultsOf(wanted));
    this.#reorder = wanted.reorder ?? false;
  }

  /** The bridge stops: what is on the wire and what it has learnt is gone. Who cuts it off meanwhile is the caller. */
  bridgeStops(): void {
    this.#flying.clear();
    this.#timers = new Timers();
    this.#switch.forget();
  }

  /** The bridge's vote, at a port of its own. */
  attachWitness(life: bigint): Witness {
    const witness = new Witness(life);
    const seat = this.#witnesses.push(witness) - 1;
    const link = this.attach((frame) => {
      const answer = this.#witnesses[seat]!.receive(frame);
      if (answer !== null) link.send(answer);
    });
    return witness;
  }

  /** A bridge that starts again has forgotten, and is another life. */
  witnessReborn(life: bigint): void {
    this.#witnesses[0] = new Witness(life);
  }

  attach(receive: (frame: Uint8Array) => void): Link {
    const port: number = this.#switch.attach((frame) => {
      for (const microseconds of this.#faults.copies(this.#sender, port)) {
        this.#fly({ time: this.#arrival(this.#sender, port, microseconds), port, frame });
      }
    });
    this.#receivers.set(port, receive);
    return {
      send: (frame) => {
        const copy = frame.slice();
        this.frames++;
        this.bytes += copy.length;
        for (const tap of this.#taps) tap(port, copy, this.#now());
        this.#sender = port;
        this.#switch.receive(port, copy);
      },
      close: () => this.#switch.detach(port),
    };
  }

  #arrival(from: number, to: number, microseconds: number): number {
    const at = Math.ceil(this.#now() + microseconds * 1000);
    if (this.#reorder) return at;
    const pair = from * 65536 + to;
    const inOrder = Math.max(at, this.#lastArrival.get(pair) ?? 0);
    this.#lastArrival.set(pair, inOrder);
    return inOrder;
  }

  #fly(flying: Flying): void {
    this.#flying.add(flying);
    this.#timers.at(flying.time, () => {
      this.#flying.delete(flying);
      for (const tap of this.#arrivalTaps) tap(flying.port, flying.frame, flying.time);
      this.#receivers.get(flying.port)?.(flying.frame);
    });
  }

  /** The wire with what is on it; taps and partitions are not of it. */
  snapshot(): WireRecord {
    return {
      flying: [...this.#flying],
      random: this.#random.snapshot(),
      lastArrival: [...this.#lastArrival],
      learnt: this.#switch.snapshot(),
      witnesses: this.#witnesses.map((witness) => witness.snapshot()),
      frames: this.frames,
      bytes: this.bytes,
    };
  }

  restore(record: WireRecord): void {
    this.#timers = new Timers();
    this.#flying.clear();
    for (const flying of record.flying) this.#fly(flying);
    this.#random.restore(record.random);
    this.#lastArrival.clear();
    for (const [pair, time] of record.lastArrival) this.#lastArrival.set(pair, time);
    this.#switch.restore(record.learnt);
    this.#witnesses.forEach((witness, index) => {
      witness.restore(record.witnesses[index]!);
    });
    this.frames = record.frames;
    this.bytes = record.bytes;
  }

  nextDeadline(): number {
    return this.#timers.nextDeadline();
  }

  run(until: number): void {
    this.#timers.run(until);
  }
}

export interface LiveLinkOptions {
  readonly url: string;
  readonly token?: string;
  readonly receive: (frame: Uint8Array) => void;
  /** Told when the bridge is lost or found again. */
  readonly report: (line: string) => void;
}

/** A link that gains by frames that leave together. */
export interface LiveLink extends Link {
  /** Calls `send`; the frames that it sends may wait for one another. */
  together(send: () => void): void;
}

/** The live wire. Rejects when there is no bridge, or it refuses us. */
export async function liveLink({ url, token, receive, report }: LiveLinkOptions): Promise<LiveLink> {
  let first = true;
  const client = new BridgeClient({
    url,
    ...(token === undefined ? {} : { token }),
    onFrame: receive,
    onState: (state, detail) => {
      if (state === "down") report(`bridge ${url} is lost (${detail}); trying again`);
      else if (!first) report(`bridge ${url} is back`);
      first = false;
    },
  });
  await client.connect();
  return {
    send: (frame) => client.send(frame),
    together: (send) => client.together(send),
    close: () => client.close(),
  };
}
