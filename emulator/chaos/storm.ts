// A plan carried out, fault by fault, on whatever cluster there is: `Hands` do to machines, bridge and wire what the plan says.
// What was true between two faults is kept as stretches, by which promises.ts judges.

import { type Fault, stations } from "./plan.js";

/** The wire as faults have it, besides who does not hear whom. */
export interface Weather {
  readonly loss: number;
  readonly duplicate: number;
  /** Microseconds; 0: as ever. */
  readonly delay: number;
}

export interface Hands {
  /** Milliseconds since the plan's zero. */
  now(): number;
  /** Lets the cluster run until then, in milliseconds; false: it is over. */
  reach(at: number): Promise<boolean>;
  kill(machine: number): void | Promise<void>;
  revive(machine: number): void | Promise<void>;
  pause(machine: number): void | Promise<void>;
  resume(machine: number): void | Promise<void>;
  bridgeStops(): void | Promise<void>;
  bridgeStarts(): void | Promise<void>;
  wire(deaf: readonly (readonly [from: number, to: number])[], weather: Weather): void | Promise<void>;
}

/** What was true from one change to the next. */
export interface Stretch {
  readonly from: number;
  to: number;
  readonly alive: readonly boolean[];
  readonly still: readonly boolean[];
  readonly bridge: boolean;
  /** Pairs of stations, from * 256 + to. */
  readonly deaf: ReadonlySet<number>;
  readonly faults: readonly Fault[];
}

type Change = readonly [at: number, begins: boolean, fault: Fault];

export class Storm {
  readonly stretches: Stretch[] = [];
  readonly #machines: number;
  readonly #plan: readonly Fault[];
  readonly #hands: Hands;
  readonly #tell: (at: number, begins: boolean, fault: Fault) => void;
  readonly #active = new Set<Fault>();

  constructor(
    machines: number,
    plan: readonly Fault[],
    hands: Hands,
    tell: (at: number, begins: boolean, fault: Fault) => void,
  ) {
    this.#machines = machines;
    this.#plan = plan;
    this.#hands = hands;
    this.#tell = tell;
  }

  /** All of it; false: the cluster's run was over before. */
  async run(): Promise<boolean> {
    const changes: Change[] = this.#plan.flatMap((fault): Change[] => [
      [fault.at, true, fault],
      ...(fault.until === Number.POSITIVE_INFINITY ? [] : [[fault.until, false, fault] as const]),
    ]);
    changes.sort((a, b) => a[0] - b[0]);
    this.#begin(0);
    for (const [at, begins, fault] of changes) {
      const on = await this.#hands.reach(at);
      if (!on) return false;
      const from = this.#hands.now();
      if (begins) this.#active.add(fault);
      else this.#active.delete(fault);
      this.#tell(from, begins, fault);
      await this.#change(begins, fault);
      // What ends lasts until it is wholly over, and what begins has begun at once.
      const turn = begins ? from : this.#hands.now();
      this.#end(turn);
      this.#begin(turn);
    }
    return true;
  }

  /** The stretch under way: behind the last change, nothing is done to the cluster any more. */
  get last(): Stretch {
    return this.stretches.at(-1)!;
  }

  async #change(begins: boolean, fault: Fault): Promise<void> {
    const hands = this.#hands;
    const on = (kind: Fault["kind"]) => [...this.#active].filter((f) => f.kind === kind);
    switch (fault.kind) {
      case "kill":
        return await (begins ? hands.kill(fault.machine!) : hands.revive(fault.machine!));
      case "pause":
      case "blink":
        return await (begins ? hands.pause(fault.machine!) : hands.resume(fault.machine!));
      case "bridge":
        if (begins && on("bridge").length === 1) await hands.bridgeStops();
        if (!begins && on("bridge").length === 0) await hands.bridgeStarts();
    }
    const most = (kind: "loss" | "double" | "reorder") =>
      Math.max(0, ...on(kind).map(({ much }) => much ?? 0));
    const weather = { loss: most("loss"), duplicate: most("double"), delay: most("reorder") };
    await hands.wire(this.#deaf(), weather);
  }

  /** Who does not hear whom. */
  #deaf(): [number, number][] {
    const all = stations(this.#machines + 1);
    const pairs = all.flatMap((from) =>
      all.filter((to) => to !== from).map((to): [number, number] => [from, to]),
    );
    return pairs.filter(([from, to]) => [...this.#active].some((fault) => parts(fault, from, to)));
  }

  #begin(at: number): void {
    const is = (m: number, ...kinds: Fault["kind"][]) =>
      [...this.#active].some((fault) => fault.machine === m && kinds.includes(fault.kind));
    const all = stations(this.#machines);
    this.stretches.push({
      from: at,
      to: Number.POSITIVE_INFINITY,
      alive: all.map((m) => !is(m, "kill")),
      still: all.map((m) => is(m, "pause", "blink")),
      bridge: ![...this.#active].some(({ kind }) => kind === "bridge"),
      deaf: new Set(this.#deaf().map(([from, to]) => from * 256 + to)),
      faults: [...this.#active],
    });
  }

  #end(at: number): void {
    this.last.to = at;
  }
}

function parts(fault: Fault, from: number, to: number): boolean {
  if (fault.kind === "bridge") return true;
  if (fault.kind === "oneway") return fault.pair![0] === from && fault.pair![1] === to;
  if (fault.kind !== "cut") return false;
  const side = (station: number) => fault.islands!.findIndex((island) => island.includes(station));
  return side(from) !== side(to);
}
