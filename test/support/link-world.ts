// Two ends of a link (the compiled kernel/syslink/link.ts) and a wire that may do everything to a datagram but change it:
// lose it, repeat it, let others overtake it. Timers may expire at any moment, machines may start again. A budget bounds
// what goes wrong, and what finds no place on the wire is lost, so that every order of events can be searched. It knows what was sent, and says after every event
// whether a message arrived twice, out of order, or in a life that it was not meant for.
import { createHash } from "node:crypto";
import type { KernelWasm } from "./kernel-wasm.js";
import type * as search from "./search.js";
import { Violation } from "./search.js";
import { encode } from "./syslink.js";

const PAYLOAD = 512;
const RING = 131072;
const SECOND = 1_000_000_000n;
/** Room of the link's records, slots and of so many held datagrams; of the assembly; of the ring: what is used of them. */
const RECORDS = 1024 + 128 * 40 + 8 * (PAYLOAD + 8);
const ASSEMBLY = 1024 + 128 * 40 + 32 * (PAYLOAD + 8);
const FIFO = ASSEMBLY + 65536;
const USED = 2048;

export interface Budget {
  /** Messages of each end, in bytes of data; longer ones than a datagram go in pieces. */
  send: [number[], number[]];
  drop: number;
  repeat: number;
  /** How often all timers expire. */
  timeout: number;
  reboot: number;
  /** Different datagrams on the wire to an end. */
  capacity: number;
  /** The search begins when the link is up. */
  up?: boolean;
  /** So many there are; unknown for the long ones. */
  states?: number;
}

const SHORT = 8;
/** Longer than a datagram. */
const LONG = 600;
const calm = { drop: 0, repeat: 0, timeout: 0, reboot: 0, capacity: 2 };
export const budgets: Budget[] = [
  { ...calm, send: [[], []], reboot: 1, states: 7901 },
  { ...calm, send: [[SHORT], []], reboot: 1, up: true, states: 21873 },
  { ...calm, send: [[SHORT, SHORT], []], repeat: 1, capacity: 3, up: true, states: 38987 },
  { ...calm, send: [[LONG], []], drop: 1, timeout: 1, up: true, states: 99372 },
  { ...calm, send: [[], []], reboot: 1, timeout: 1 },
  { ...calm, send: [[SHORT], [SHORT]], reboot: 1, up: true },
  { ...calm, send: [[SHORT, SHORT], []], drop: 1, repeat: 1, timeout: 1, up: true },
];

export const nameOf = ({ send, drop, repeat, timeout, reboot, capacity, up }: Budget): string =>
  `messages of ${JSON.stringify(send)} bytes ${up ? "on a link that is up" : "from the first hello"}, ${drop} lost, ${repeat} repeated, timers ${timeout} times, ${reboot} restarts, ${capacity} under way`;

export type LinkStep =
  | { do: "send" | "reboot"; end: number }
  | { do: "deliver" | "repeat" | "drop"; to: number; index: number }
  | { do: "timeout" };

interface State {
  memory: Uint8Array;
  wires: Uint8Array[][];
  now: bigint;
  budget: { drop: number; repeat: number; timeout: number; reboot: number };
  /** Of this life: sent so far, and how many of them went with a session. */
  sent: number[];
  base: number[];
  life: number[];
  /** By pair of lives: the first message of the session, the next one that is due. */
  next: Map<string, number>;
}

export class LinkWorld implements search.World<LinkStep, State> {
  readonly #kernel: KernelWasm;
  readonly #at: [number, number];
  readonly #buffer: number;
  readonly #lengths: [number[], number[]];
  readonly #capacity: number;
  #state: State;

  constructor(kernel: KernelWasm, budget: Budget) {
    this.#kernel = kernel;
    const bytes = kernel.call("linkBytes")(PAYLOAD, RING);
    this.#at = [kernel.room(bytes), kernel.room(bytes)];
    this.#buffer = kernel.room(1024);
    this.#lengths = budget.send;
    this.#capacity = budget.capacity;
    const { drop, repeat, timeout, reboot } = budget;
    this.#state = {
      memory: new Uint8Array(),
      wires: [[], []],
      now: SECOND,
      budget: { drop, repeat, timeout, reboot },
      sent: [0, 0],
      base: [0, 0],
      life: [1, 1],
      next: new Map(),
    };
    this.#create(0);
    this.#create(1);
    for (const end of [0, 1]) this.#pump(end);
    if (budget.up) this.#calm();
  }

  #create(end: number): void {
    const at = this.#at[end]!;
    for (const part of parts(at)) this.#kernel.bytes.fill(0, ...part);
    const epoch = BigInt(100 * (end + 1) + this.#state.life[end]!);
    this.#kernel.call("linkCreate")(at, end + 1, 2 - end, epoch, PAYLOAD, RING, 1_000_000n * SECOND);
  }

  #field(end: number, field: number): number {
    return Number(this.#kernel.call("linkField")(this.#at[end]!, field));
  }

  steps(): LinkStep[] {
    const { wires, budget, sent } = this.#state;
    const steps: LinkStep[] = [];
    for (const end of [0, 1]) {
      if (sent[end]! < this.#lengths[end]!.length) steps.push({ do: "send", end });
      if (budget.reboot > 0) steps.push({ do: "reboot", end });
      wires[end]!.forEach((_, index) => {
        steps.push({ do: "deliver", to: end, index });
        if (budget.repeat > 0) steps.push({ do: "repeat", to: end, index });
        if (budget.drop > 0) steps.push({ do: "drop", to: end, index });
      });
    }
    if (budget.timeout > 0) steps.push({ do: "timeout" });
    return steps;
  }

  /** Timers and restarts may wait for ever; what is on the wire arrives. */
  rests(steps: readonly LinkStep[]): boolean {
    return !steps.some((step) => step.do === "deliver");
  }

  take(step: LinkStep): void {
    const { wires, budget } = this.#state;
    switch (step.do) {
      case "send":
        this.#send(step.end);
        break;
      case "reboot":
        budget.reboot--;
        this.#state.life[step.end]!++;
        this.#state.sent[step.end] = 0;
        this.#state.base[step.end] = 0;
        this.#create(step.end);
        this.#pump(step.end);
        break;
      case "timeout":
        budget.timeout--;
        this.#expire();
        break;
      case "drop":
        budget.drop--;
        wires[step.to]!.splice(step.index, 1);
        break;
      case "repeat":
        budget.repeat--;
        this.#deliver(step.to, wires[step.to]![step.index]!);
        break;
      case "deliver":
        this.#deliver(step.to, wires[step.to]!.splice(step.index, 1)[0]!);
        break;
    }
  }

  /** Every timer that was set has expired. */
  #expire(): void {
    this.#state.now += 2n * SECOND;
    for (const end of [0, 1]) {
      this.#kernel.call("linkTick")(this.#at[end]!, this.#state.now);
      this.#settle(end);
    }
  }

  #send(end: number): void {
    const { sent, life } = this.#state;
    const data = new Uint8Array(this.#lengths[end]![sent[end]!]!).fill(sent[end]!);
    const message = encode(BigInt(life[end]!), sent[end]!, 1, [{ id: 1, data }]);
    const at = this.#kernel.call("linkReserve")(this.#at[end]!, message.length);
    if (at === 0) throw new Error("the ring is full");
    this.#kernel.bytes.set(message, at);
    this.#kernel.call("linkCommit")(this.#at[end]!, message.length);
    sent[end]!++;
    this.#pump(end);
  }

  #deliver(to: number, datagram: Uint8Array): void {
    const kernel = this.#kernel;
    kernel.bytes.set(datagram, this.#buffer);
    if (kernel.call("linkInput")(this.#at[to]!, this.#buffer, datagram.length, this.#state.now)) {
      for (
        let at = kernel.call("linkNext")(this.#at[to]!);
        at !== 0;
        at = kernel.call("linkNext")(this.#at[to]!)
      )
        this.#received(to, Number(kernel.view.getBigUint64(at, true)), kernel.view.getUint32(at + 8, true));
    }
    this.#settle(to);
  }

  #received(to: number, life: number, number: number): void {
    const from = 1 - to;
    const pair = `${from}.${life}>${this.#state.life[to]}`;
    if (this.#field(to, 14) !== 100 * (from + 1) + life)
      throw new Violation(`end ${to} hears life ${life} of its peer within the session with another`);
    const due = this.#state.next.get(pair);
    if (due === undefined)
      throw new Violation(`end ${to} gets message ${number} of a session that never was (${pair})`);
    if (number !== due) throw new Violation(`end ${to} gets message ${number}, ${due} is due (${pair})`);
    this.#state.next.set(pair, due + 1);
  }

  /** What the kernel does around a link: a loss is noticed, sessions begin, what is to go out goes out. */
  #settle(end: number): void {
    if (this.#field(end, 0) === 2) {
      this.#state.base[end] = this.#state.sent[end]!;
      this.#kernel.call("linkReset")(this.#at[end]!);
    }
    this.#pump(end);
  }

  #pump(end: number): void {
    const kernel = this.#kernel;
    const { next, life, base, wires, now } = this.#state;
    if (this.#field(end, 0) === 1) {
      const pair = `${end}.${life[end]}>${this.#field(end, 14) - 100 * (2 - end)}`;
      if (!next.has(pair)) next.set(pair, base[end]!);
    }
    while (kernel.call("linkOutput")(this.#at[end]!, now)) {
      const bytes = new Uint8Array(40 + this.#field(end, 3));
      bytes.set(kernel.bytes.subarray(this.#field(end, 1), this.#field(end, 1) + 40));
      bytes.set(kernel.bytes.subarray(this.#field(end, 2), this.#field(end, 2) + this.#field(end, 3)), 40);
      const wire = wires[1 - end]!;
      if (wire.length < this.#capacity && !wire.some((other) => Buffer.compare(other, bytes) === 0))
        wire.push(bytes);
    }
  }

  #calm(): void {
    const { wires } = this.#state;
    for (let round = 0; round < 12; round++) {
      while (wires[0]!.length + wires[1]!.length > 0)
        for (const to of [0, 1]) for (const datagram of wires[to]!.splice(0)) this.#deliver(to, datagram);
      this.#expire();
    }
  }

  /** From here on nothing goes wrong: then the two ends find each other, and everything that is queued arrives. */
  checkEnd(): void {
    const { life, sent, next } = this.#state;
    this.#calm();
    for (const end of [0, 1]) {
      if (this.#field(end, 0) !== 1 || this.#field(end, 14) !== 100 * (2 - end) + life[1 - end]!)
        throw new Violation(`end ${end} does not find its peer`);
      const pair = `${end}.${life[end]}>${life[1 - end]}`;
      if (next.get(pair) !== sent[end])
        throw new Violation(`of ${sent[end]} messages of end ${end}, ${next.get(pair)} arrive (${pair})`);
    }
  }

  save(): State {
    const all = [0, 1].flatMap((end) => parts(this.#at[end]!));
    const memory = new Uint8Array(all.reduce((sum, [from, to]) => sum + to - from, 0));
    let at = 0;
    for (const [from, to] of all) {
      memory.set(this.#kernel.bytes.subarray(from, to), at);
      at += to - from;
    }
    return copy({ ...this.#state, memory });
  }

  load(saved: State): void {
    let at = 0;
    for (const [from, to] of [0, 1].flatMap((end) => parts(this.#at[end]!))) {
      this.#kernel.bytes.set(saved.memory.subarray(at, at + to - from), from);
      at += to - from;
    }
    this.#state = copy(saved);
  }

  /** Equal for states that cannot be told apart. */
  fingerprint(to: Uint32Array): void {
    const { wires, budget, sent, base, life, next, now } = this.#state;
    const hash = createHash("md5");
    for (const end of [0, 1]) {
      hash.update(`${this.#kernel.call("linkDigest")(this.#at[end]!, now)},`);
      const lines = wires[end]!.map((datagram) => Buffer.from(datagram).toString("latin1"));
      hash.update(lines.sort().join("|"), "latin1");
    }
    hash.update(JSON.stringify([budget, sent, base, life, [...next].sort()]));
    const digest = hash.digest();
    for (let i = 0; i < 4; i++) to[i] = digest.readUInt32LE(4 * i);
  }
}

function parts(at: number): [number, number][] {
  return [
    [at, at + RECORDS],
    [at + ASSEMBLY, at + ASSEMBLY + USED],
    [at + FIFO, at + FIFO + USED],
  ];
}

function copy(state: State): State {
  const { wires, budget, sent, base, life, next } = state;
  return {
    ...state,
    wires: wires.map((wire) => wire.slice()),
    budget: { ...budget },
    sent: sent.slice(),
    base: base.slice(),
    life: life.slice(),
    next: new Map(next),
  };
}
