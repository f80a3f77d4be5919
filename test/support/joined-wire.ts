// The compiled links of a small cluster (kernel/syslink/link.ts), one between each two machines, over a wire that loses, repeats, delays and
// reorders datagrams, and carries them one way only for a time; machines come back with another epoch while datagrams of their former life
// are still under way. Acknowledgements and hellos are datagrams like others. A message is a number on the wire; what it says is the world's.
import type { Words } from "./fingerprint.js";
import type { KernelWasm } from "./kernel-wasm.js";
import { Violation } from "./search.js";
import { encode } from "./syslink.js";

const PAYLOAD = 512;
const RING = 131_072;
const MICROSECOND = 1000n;
const SECOND = 1_000_000_000n;
/** Every timer of a link is shorter. */
const TIMER = 2n * SECOND;
const HELD_MOST = 32;
const WINDOW_MAX = 128;
/** A link's records and slots; its held datagrams, of which little is used, as of its ring. */
const RECORDS = 1024 + WINDOW_MAX * 40;
const HELD = PAYLOAD + 8;
const HELD_USED = 48;
const RING_AT = RECORDS + HELD_MOST * HELD + 65_536;
const MESSAGE_BYTES = 16;
/** More messages in a session are an error: the ring begins anew behind them. */
const MESSAGES = RING / MESSAGE_BYTES - 1;
const HEADER = 40;
/** linkField(): state, header, payload, its bytes. */
const [STATE, HEADER_AT, PAYLOAD_AT, PAYLOAD_BYTES] = [0, 1, 2, 3];
const [UP, LOST] = [1, 2];

/** So often each may go wrong on the wire; datagrams may overtake each other always. */
export interface Trouble {
  drop: number;
  repeat: number;
  /** One way between two machines is cut, and mended some time later. */
  cuts: number;
  /** Timers of one end of a link expire though nothing is lost. */
  timeout: number;
  /** Microseconds that pass with each datagram. */
  pace: number;
}

/** Of the datagram with this index among those on their way. */
export type DatagramStep<Do> = Do extends string
  ? { do: Do; from: number; to: number; index: number }
  : never;
export type WireStep =
  | DatagramStep<"arrive" | "repeat" | "lose">
  | { do: "sever" | "mend" | "timeout" | "early"; from: number; to: number };

interface Way {
  /** Datagrams that are under way. */
  readonly flying: readonly Uint8Array[];
  /** Messages of this session that have been heard. */
  readonly heard: number;
  readonly severed: boolean;
}

export interface LinesSaved {
  readonly ways: readonly Way[];
  readonly lives: readonly number[];
  readonly now: bigint;
  readonly trouble: Trouble;
  readonly links: Uint8Array;
}

export class Lines {
  trouble: Trouble;
  readonly #kernel: KernelWasm;
  readonly #count: number;
  readonly #at: number[] = [];
  readonly #buffer: number;
  /** By sender and receiver. Never changed, only replaced. */
  #ways: Way[];
  #lives: number[];
  #now = SECOND;

  constructor(kernel: KernelWasm, machines: number, trouble: Trouble) {
    this.#kernel = kernel;
    this.#count = machines;
    this.trouble = { ...trouble };
    const bytes = kernel.call("linkBytes")(PAYLOAD, RING);
    this.#ways = Array.from({ length: machines ** 2 }, () => {
      this.#at.push(kernel.room(bytes));
      return { flying: [], heard: 0, severed: false };
    });
    this.#buffer = kernel.room(1024);
    this.#lives = Array.from({ length: machines }, () => 1);
    this.pairs((one, other) => this.#create(one, other));
    this.pairs((one, other) => one < other && this.#meet(one, other));
  }

  // --- Where things are ---

  pairs(work: (from: number, to: number) => void): void {
    for (let from = 1; from <= this.#count; from++)
      for (let to = 1; to <= this.#count; to++) if (from !== to) work(from, to);
  }
  #pair(from: number, to: number): number {
    return (from - 1) * this.#count + to - 1;
  }
  #way(from: number, to: number): Way {
    return this.#ways[this.#pair(from, to)]!;
  }
  #put(from: number, to: number, changes: Partial<Way>): void {
    const pair = this.#pair(from, to);
    this.#ways[pair] = { ...this.#ways[pair]!, ...changes };
  }
  /** The end that `machine` has of its link to `peer`. */
  #link(machine: number, peer: number): number {
    return this.#at[this.#pair(machine, peer)]!;
  }
  #field(link: number, field: number): number {
    return Number(this.#kernel.call("linkField")(link, field));
  }
  isUp(machine: number, peer: number): boolean {
    return this.#field(this.#link(machine, peer), STATE!) === UP;
  }
  /** Messages of this session that have been heard. */
  heard(from: number, to: number): number {
    return this.#way(from, to).heard;
  }

  // --- Sessions ---

  #create(machine: number, peer: number): void {
    const link = this.#link(machine, peer);
    this.#kernel.bytes.fill(0, link, link + RECORDS);
    const epoch = BigInt(100 * machine + this.#lives[machine - 1]!);
    this.#kernel.call("linkCreate")(link, machine, peer, epoch, PAYLOAD, RING, 1_000_000n * SECOND);
  }

  /** Two ends find each other (every order of that: syslink-search.test.ts); what was on the wire stays there. */
  #meet(one: number, other: number): void {
    const ways = [
      [one, other],
      [other, one],
    ] as const;
    const before = ways.map((way) => this.#way(...way));
    for (const way of ways) this.#put(...way, { flying: [], heard: 0, severed: false });
    for (let round = 0; round < 40; round++) {
      for (const way of ways) this.expire(...way);
      for (const way of ways) {
        const { flying } = this.#way(...way);
        this.#put(...way, { flying: [] });
        for (const datagram of flying) this.#input(...way, datagram);
      }
      const under = ways.some((way) => this.#way(...way).flying.length > 0);
      if (round >= 12 && !under && ways.every((way) => this.isUp(...way))) break;
    }
    if (!ways.every((way) => this.isUp(...way)))
      throw new Error(`machines ${one} and ${other} do not find each other`);
    ways.forEach((way, i) => {
      this.#put(...way, { flying: before[i]!.flying, severed: before[i]!.severed });
    });
  }

  /** As members.ts does when a machine is dead: its epoch is never heard again. */
  cut(machine: number, dead: number): void {
    const link = this.#link(machine, dead);
    this.#kernel.call("linkCut")(link);
    if (this.#field(link, STATE!) === LOST) this.#kernel.call("linkReset")(link);
  }

  /** Another life, another epoch; `peers`: those that live. */
  begin(machine: number, peers: readonly number[]): void {
    this.#lives[machine - 1]!++;
    for (let peer = 1; peer <= this.#count; peer++) if (peer !== machine) this.#create(machine, peer);
    for (const peer of peers) {
      this.cut(peer, machine);
      this.#meet(machine, peer);
    }
  }

  // --- Sending and hearing ---

  /** `number`: counted from 1 in this session. False: there is none. */
  say(from: number, to: number, number: number): boolean {
    if (!this.isUp(from, to)) return false;
    if (number > MESSAGES) throw new Error(`more than ${MESSAGES} messages in a session`);
    const link = this.#link(from, to);
    const bytes = encode(1n, number, 1);
    const at = this.#kernel.call("linkReserve")(link, bytes.length);
    if (at === 0) throw new Error("the ring is full");
    this.#kernel.bytes.set(bytes, at);
    this.#kernel.call("linkCommit")(link, bytes.length);
    this.pump(from, to);
    return true;
  }

  /** What the link wants to send now is under way. */
  pump(from: number, to: number): void {
    const kernel = this.#kernel;
    const link = this.#link(from, to);
    while (kernel.call("linkOutput")(link, this.#now)) {
      const bytes = new Uint8Array(HEADER + this.#field(link, PAYLOAD_BYTES!));
      const part = (field: number, count: number) =>
        kernel.bytes.subarray(this.#field(link, field), this.#field(link, field) + count);
      bytes.set(part(HEADER_AT!, HEADER));
      bytes.set(part(PAYLOAD_AT!, bytes.length - HEADER), HEADER);
      const { flying, severed } = this.#way(from, to);
      if (!severed && !flying.some((other) => Buffer.compare(other, bytes) === 0))
        this.#put(from, to, { flying: [...flying, bytes] });
    }
  }

  expire(machine: number, peer: number): void {
    this.#now += TIMER;
    this.#kernel.call("linkTick")(this.#link(machine, peer), this.#now);
    this.pump(machine, peer);
  }

  /** Gives the numbers of the messages that the link hands out. */
  #input(from: number, to: number, datagram: Uint8Array): number[] {
    const kernel = this.#kernel;
    const link = this.#link(to, from);
    kernel.bytes.set(datagram, this.#buffer);
    const numbers: number[] = [];
    if (kernel.call("linkInput")(link, this.#buffer, datagram.length, this.#now))
      for (let at = kernel.call("linkNext")(link); at !== 0; at = kernel.call("linkNext")(link))
        numbers.push(kernel.view.getUint32(at + 8, true));
    return numbers;
  }

  /** A datagram arrives; `deliver` is called for each message that comes with it, the next that is due. */
  #hear(from: number, to: number, datagram: Uint8Array, deliver: () => void): void {
    this.#now += BigInt(this.trouble.pace) * MICROSECOND;
    for (const number of this.#input(from, to, datagram)) {
      const { heard } = this.#way(from, to);
      if (number !== heard + 1)
        throw new Violation(`machine ${to} hears message ${number} of machine ${from}, ${heard + 1} is due`);
      this.#put(from, to, { heard: number });
      deliver();
    }
    this.pump(to, from);
  }

  // --- Stepping ---

  /** `waits`: a message that was said has not been heard; `again`: who said it can say it again. */
  steps(from: number, to: number, waits: boolean, again: boolean): WireStep[] {
    const { flying, severed } = this.#way(from, to);
    const { drop, repeat, cuts, timeout } = this.trouble;
    const steps: WireStep[] = [];
    if (severed) steps.push({ do: "mend", from, to });
    flying.forEach((_, index) => {
      steps.push({ do: "arrive", from, to, index });
      if (repeat > 0) steps.push({ do: "repeat", from, to, index });
      if (drop > 0) steps.push({ do: "lose", from, to, index });
    });
    if (cuts > 0 && !severed) steps.push({ do: "sever", from, to });
    if (!again) return steps;
    if (waits && flying.length === 0 && !severed) steps.push({ do: "timeout", from, to });
    else if (timeout > 0) steps.push({ do: "early", from, to });
    return steps;
  }

  take(step: WireStep, deliver: () => void): void {
    const { from, to } = step;
    const { flying } = this.#way(from, to);
    switch (step.do) {
      case "arrive":
        this.#put(from, to, { flying: flying.toSpliced(step.index, 1) });
        this.#hear(from, to, flying[step.index]!, deliver);
        break;
      case "repeat":
        this.trouble.repeat--;
        this.#hear(from, to, flying[step.index]!, deliver);
        break;
      case "lose":
        this.trouble.drop--;
        this.#put(from, to, { flying: flying.toSpliced(step.index, 1) });
        break;
      case "sever":
        this.trouble.cuts--;
        this.#put(from, to, { flying: [], severed: true });
        break;
      case "mend":
        this.#put(from, to, { severed: false });
        break;
      case "early":
        this.trouble.timeout--;
        this.expire(from, to);
        break;
      case "timeout":
        this.expire(from, to);
        if (this.#way(from, to).flying.length === 0)
          throw new Violation(`machine ${from} does not send again what machine ${to} has not heard`);
    }
  }

  // --- Saving ---

  /** What is used of each link's memory; `said`: messages of this session. */
  #parts(said: (from: number, to: number) => number): Uint8Array[] {
    const parts: Uint8Array[] = [];
    const { bytes } = this.#kernel;
    this.pairs((from, to) => {
      const at = this.#link(from, to);
      parts.push(bytes.subarray(at, at + RECORDS));
      for (let slot = 0, held = at + RECORDS; slot < HELD_MOST; slot++, held += HELD)
        parts.push(bytes.subarray(held, held + HELD_USED));
      const ring = at + RING_AT;
      parts.push(bytes.subarray(ring, ring + said(from, to) * MESSAGE_BYTES));
    });
    return parts;
  }

  save(said: (from: number, to: number) => number): LinesSaved {
    return {
      ways: this.#ways.slice(),
      lives: this.#lives.slice(),
      now: this.#now,
      trouble: { ...this.trouble },
      links: Buffer.concat(this.#parts(said)),
    };
  }

  load(saved: LinesSaved, said: (from: number, to: number) => number): void {
    this.#ways = saved.ways.slice();
    this.#lives = saved.lives.slice();
    this.#now = saved.now;
    this.trouble = { ...saved.trouble };
    let at = 0;
    for (const part of this.#parts(said)) {
      part.set(saved.links.subarray(at, at + part.length));
      at += part.length;
    }
  }

  /** Equal for states that cannot be told apart. */
  words(to: Words): void {
    const put64 = (value: bigint) => {
      to.put(Number(value & 0xffff_ffffn));
      to.put(Number((value >> 32n) & 0xffff_ffffn));
    };
    this.pairs((from, other) => {
      put64(BigInt(this.#kernel.call("linkDigest")(this.#link(from, other), this.#now)));
      const { flying, heard, severed } = this.#way(from, other);
      to.put(heard | (severed ? 1 << 31 : 0));
      to.put(flying.length);
      for (const datagram of [...flying].sort(Buffer.compare)) {
        to.put(datagram.length);
        to.copy(new Uint32Array(datagram.buffer), 0, datagram.length >> 2);
      }
    });
    for (const life of this.#lives) to.put(life);
    const { drop, repeat, cuts, timeout } = this.trouble;
    for (const left of [drop, repeat, cuts, timeout]) to.put(left);
  }
}
