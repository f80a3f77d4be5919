// A plan carried out, fault by fault, on whatever cluster there is: `Hands` do to machines, bridge and wire what the plan says. How
// far it has come is a number, so that a debugger can go back in it.
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
  readonly #hands: Hands;
  readonly #tell: (at: number, begins: boolean, fault: Fault) => void;
  readonly #active = new Set<Fault>();
  readonly #changes: readonly Change[];
  #done = 0;

  constructor(
    machines: number,
    plan: readonly Fault[],
    hands: Hands,
    tell: (at: number, begins: boolean, fault: Fault) => void,
  ) {
    this.#machines = machines;
    this.#hands = hands;
    this.#tell = tell;
    const changes = plan.flatMap((fault): Change[] => [
      [fault.at, true, fault],
      ...(fault.until === Number.POSITIVE_INFINITY ? [] : [[fault.until, false, fault] as const]),
    ]);
    this.#changes = changes.sort((a, b) => a[0] - b[0]);
    this.#begin(0);
  }

  /** All of it; false: the cluster's run was over before. */
  async run(): Promise<boolean> {
    while (this.due !== Number.POSITIVE_INFINITY) {
      if (!(await this.#hands.reach(this.due))) return false;
      await this.step();
    }
    return true;
  }

  /** When the next change is, in milliseconds; Infinity: there is none. */
  get due(): number {
    return this.#changes[this.#done]?.[0] ?? Number.POSITIVE_INFINITY;
  }

  /** Changes made so far. */
  get done(): number {
    return this.#done;
  }

  async step(): Promise<void> {
    const [, begins, fault] = this.#changes[this.#done++]!;
    const from = this.#hands.now();
    this.#apply(begins, fault);
    this.#tell(from, begins, fault);
    await this.#change(begins, fault);
    // What ends lasts until it is wholly over, and what begins has begun at once.
    const turn = begins ? from : this.#hands.now();
    this.#end(turn);
    this.#begin(turn);
  }

  /** As it was after so many changes: the wire too; machines and bridge are the caller's. */
  async goTo(done: number): Promise<void> {
    this.#done = done;
    this.#active.clear();
    for (const [, begins, fault] of this.#changes.slice(0, done)) this.#apply(begins, fault);
    this.stretches.length = done + 1;
    this.#end(Number.POSITIVE_INFINITY);
    await this.#weather();
  }

  #apply(begins: boolean, fault: Fault): void {
    if (begins) this.#active.add(fault);
    else this.#active.delete(fault);
  }

  /** The stretch under way: behind the last change, nothing is done to the cluster any more. */
  get last(): Stretch {
    return this.stretches.at(-1)!;
  }

  async #change(begins: boolean, fault: Fault): Promise<void> {
    const hands = this.#hands;
    const bridges = [...this.#active].filter(({ kind }) => kind === "bridge").length;
    switch (fault.kind) {
      case "kill":
        return await (begins ? hands.kill(fault.machine!) : hands.revive(fault.machine!));
      case "pause":
      case "blink":
        return await (begins ? hands.pause(fault.machine!) : hands.resume(fault.machine!));
      case "bridge":
        if (begins && bridges === 1) await hands.bridgeStops();
        if (!begins && bridges === 0) await hands.bridgeStarts();
    }
    await this.#weather();
  }

  async #weather(): Promise<void> {
    const most = (wanted: "loss" | "double" | "reorder") =>
      Math.max(0, ...[...this.#active].filter(({ kind }) => kind === wanted).map(({ much }) => much ?? 0));
    const weather = { loss: most("loss"), duplicate: most("double"), delay: most("reorder") };
    await this.#hands.wire(this.#deaf(), weather);
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
