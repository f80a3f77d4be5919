// The page protocol over real links: the compiled engines of a small cluster (coherence.ts) whose messages go through the compiled
// links (kernel/syslink/link.ts), one between each two machines, over a wire that loses, repeats and reorders datagrams; machines die
// and come back with another epoch while datagrams of their former life are still under way. Everybody is judged: the engines by
// coherence.ts, the links by what they deliver: each message once, in its order, in the session that it was said in.
// A message is a number on the wire; what it says is kept here, since wire.ts and message.ts have tests of their own.
import { createHash } from "node:crypto";
import { type Saved, type Setup, type Step, World } from "./coherence.js";
import type { Wire } from "./coherence-state.js";
import type { KernelWasm } from "./kernel-wasm.js";
import { chance, type World as Searched, Violation } from "./search.js";
import { encode } from "./syslink.js";

const PAYLOAD = 512;
const RING = 131_072;
const SECOND = 1_000_000_000n;
const HELD_MOST = 32;
const WINDOW_MAX = 128;
/** A link's records and slots; its held datagrams, of which little is used, as of its ring. */
const RECORDS = 1024 + WINDOW_MAX * 40;
const HELD = PAYLOAD + 8;
const HELD_USED = 48;
const RING_AT = RECORDS + HELD_MOST * HELD + 65_536;
const RING_USED = 2048;
const HEADER = 40;
/** linkField(): state, header, payload, its bytes, the peer's epoch. */
const [STATE, HEADER_AT, PAYLOAD_AT, PAYLOAD_BYTES] = [0, 1, 2, 3];
const [UP, LOST] = [1, 2];

/** What may go wrong on the wire; datagrams may overtake each other always. */
export interface Trouble {
  drop: number;
  repeat: number;
  /** How often the timers of one end of a link may expire before everything is calm. */
  timeout: number;
}

export type JoinedStep =
  | Step
  | { do: "arrive" | "repeat" | "lose"; from: number; to: number; index: number }
  | { do: "timeout"; machine: number; peer: number };

interface Lines {
  /** Datagrams by sender and receiver. */
  wires: Uint8Array[][];
  /** Messages that were said and not yet heard, and how many were heard in this session. */
  said: Wire[][];
  heard: number[];
  lives: number[];
  now: bigint;
  trouble: Trouble;
}
export interface JoinedSaved {
  world: Saved;
  lines: Lines;
  links: Uint8Array;
}

/** Everything else is coherence.ts's, but its messages go out here. */
class Machines extends World {
  out: (from: number, to: number, message: Wire) => void = () => {};
  override put(from: number, to: number, message: Wire): void {
    this.out(from, to, message);
  }
}

/** What is used of a link's memory, from and to. */
function parts(at: number): [number, number][] {
  const held = Array.from({ length: HELD_MOST }, (_, slot) => at + RECORDS + slot * HELD);
  return [
    [at, at + RECORDS],
    ...held.map((each): [number, number] => [each, each + HELD_USED]),
    [at + RING_AT, at + RING_AT + RING_USED],
  ];
}

const copy = (lines: Lines): Lines => ({
  ...lines,
  wires: lines.wires.map((wire) => wire.slice()),
  said: lines.said.map((messages) => messages.slice()),
  heard: lines.heard.slice(),
  lives: lines.lives.slice(),
  trouble: { ...lines.trouble },
});

export class JoinedWorld implements Searched<JoinedStep, JoinedSaved> {
  readonly world: Machines;
  /** A bug that the judges are to find. */
  planted: "" | "a repeated datagram is taken" | "messages are taken as they come" = "";
  readonly #kernel: KernelWasm;
  readonly #links: number[] = [];
  readonly #buffer: number;
  readonly #count: number;
  readonly #parts: [number, number][];
  #lines: Lines;

  constructor(kernel: KernelWasm, setup: Setup, trouble: Trouble) {
    this.#kernel = kernel;
    this.#count = setup.machines;
    this.world = new Machines(kernel, setup);
    this.world.out = (from, to, message) => this.#say(from, to, message);
    const pairs = this.#count ** 2;
    const bytes = kernel.call("linkBytes")(PAYLOAD, RING);
    for (let i = 0; i < pairs; i++) this.#links.push(kernel.room(bytes));
    this.#parts = this.#links.flatMap((at, pair) => (pair % (this.#count + 1) === 0 ? [] : parts(at)));
    this.#buffer = kernel.room(1024);
    this.#lines = {
      wires: Array.from({ length: pairs }, () => []),
      said: Array.from({ length: pairs }, () => []),
      heard: Array.from({ length: pairs }, () => 0),
      lives: Array.from({ length: this.#count }, () => 1),
      now: SECOND,
      trouble: { ...trouble },
    };
    for (const one of this.world.numbers)
      for (const other of this.world.numbers) if (one !== other) this.#create(one, other);
    for (const one of this.world.numbers)
      for (const other of this.world.numbers) if (one < other) this.#meet(one, other);
  }

  // --- Links ---

  #pair(from: number, to: number): number {
    return (from - 1) * this.#count + to - 1;
  }
  /** The end that `machine` has of its link to `peer`. */
  #link(machine: number, peer: number): number {
    return this.#links[this.#pair(machine, peer)]!;
  }
  #field(link: number, field: number): number {
    return Number(this.#kernel.call("linkField")(link, field));
  }

  #create(machine: number, peer: number): void {
    const link = this.#link(machine, peer);
    for (const part of parts(link)) this.#kernel.bytes.fill(0, ...part);
    const epoch = BigInt(100 * machine + this.#lines.lives[machine - 1]!);
    this.#kernel.call("linkCreate")(link, machine, peer, epoch, PAYLOAD, RING, 1_000_000n * SECOND);
  }

  /** Two ends find each other (every order of that: syslink-search.test.ts); what was on the wire stays there. */
  #meet(one: number, other: number): void {
    const pairs = [this.#pair(one, other), this.#pair(other, one)];
    const { wires, said, heard } = this.#lines;
    const old = pairs.map((pair) => wires[pair]!.splice(0));
    for (const pair of pairs) {
      said[pair]!.length = 0;
      heard[pair] = 0;
    }
    const up = () =>
      [this.#link(one, other), this.#link(other, one)].every((l) => this.#field(l, STATE!) === UP);
    for (let round = 0; round < 12 || wires[pairs[0]!]!.length + wires[pairs[1]!]!.length > 0; round++) {
      this.#expire(one, other);
      this.#expire(other, one);
      for (const [from, to] of [
        [one, other],
        [other, one],
      ] as const)
        for (const datagram of wires[this.#pair(from, to)]!.splice(0)) this.#hear(from, to, datagram);
      if (round > 40) break;
    }
    if (!up()) throw new Error(`machines ${one} and ${other} do not find each other`);
    pairs.forEach((pair, index) => {
      wires[pair]!.length = 0;
      wires[pair]!.push(...old[index]!);
    });
  }

  #expire(machine: number, peer: number): void {
    this.#lines.now += 2n * SECOND;
    this.#kernel.call("linkTick")(this.#link(machine, peer), this.#lines.now);
    this.#pump(machine, peer);
  }

  #say(from: number, to: number, message: Wire): void {
    const { said, heard } = this.#lines;
    const pair = this.#pair(from, to);
    const link = this.#link(from, to);
    const bytes = encode(1n, heard[pair]! + said[pair]!.length + 1, 1);
    said[pair]!.push(message);
    const at = this.#kernel.call("linkReserve")(link, bytes.length);
    if (at === 0) throw new Error("the ring is full");
    this.#kernel.bytes.set(bytes, at);
    this.#kernel.call("linkCommit")(link, bytes.length);
    this.#pump(from, to);
  }

  #pump(from: number, to: number): void {
    const kernel = this.#kernel;
    const link = this.#link(from, to);
    const wire = this.#lines.wires[this.#pair(from, to)]!;
    while (kernel.call("linkOutput")(link, this.#lines.now)) {
      const bytes = new Uint8Array(HEADER + this.#field(link, PAYLOAD_BYTES!));
      const part = (field: number, count: number) =>
        kernel.bytes.subarray(this.#field(link, field), this.#field(link, field) + count);
      bytes.set(part(HEADER_AT!, HEADER));
      bytes.set(part(PAYLOAD_AT!, bytes.length - HEADER), HEADER);
      if (!wire.some((other) => Buffer.compare(other, bytes) === 0)) wire.push(bytes);
    }
  }

  #hear(from: number, to: number, datagram: Uint8Array): void {
    const kernel = this.#kernel;
    const link = this.#link(to, from);
    kernel.bytes.set(datagram, this.#buffer);
    const numbers: number[] = [];
    if (kernel.call("linkInput")(link, this.#buffer, datagram.length, this.#lines.now))
      for (let at = kernel.call("linkNext")(link); at !== 0; at = kernel.call("linkNext")(link))
        numbers.push(kernel.view.getUint32(at + 8, true));
    for (const number of numbers) this.#heard(from, to, number);
    this.#pump(to, from);
  }

  #heard(from: number, to: number, number: number): void {
    const { said, heard } = this.#lines;
    const pair = this.#pair(from, to);
    if (number !== heard[pair]! + 1 || said[pair]!.length === 0)
      throw new Violation(
        `machine ${to} hears message ${number} of machine ${from}, ${heard[pair]! + 1} is due`,
      );
    heard[pair]!++;
    this.#dispatch(from, to, said[pair]!.shift()!);
  }

  #dispatch(from: number, to: number, message: Wire): void {
    if (!this.world.hears(to, from))
      throw new Violation(`machine ${to} hears a life of machine ${from} that it knows to be over`);
    this.world.wire(from, to).push(message);
    this.world.take({ do: "deliver", from, to });
  }

  // --- Stepping ---

  steps(kills: number): JoinedStep[] {
    const { wires, trouble } = this.#lines;
    const steps: JoinedStep[] = this.world.steps(kills);
    for (const from of this.world.numbers)
      for (const to of this.world.living())
        wires[this.#pair(from, to)]!.forEach((_, index) => {
          steps.push({ do: "arrive", from, to, index });
          if (trouble.repeat > 0) steps.push({ do: "repeat", from, to, index });
          if (trouble.drop > 0) steps.push({ do: "lose", from, to, index });
        });
    if (trouble.timeout > 0)
      for (const machine of this.world.living())
        for (const peer of this.world.numbers)
          if (peer !== machine) steps.push({ do: "timeout", machine, peer });
    return steps;
  }

  rests(steps: readonly JoinedStep[]): boolean {
    return steps.every((step) => ["kill", "repeat", "lose", "timeout"].includes(step.do));
  }

  take(step: JoinedStep): void {
    const { wires, trouble, said } = this.#lines;
    switch (step.do) {
      case "arrive":
      case "lose": {
        const pair = this.#pair(step.from, step.to);
        const [datagram] = wires[pair]!.splice(step.index, 1);
        if (this.planted === "messages are taken as they come" && step.index > 0 && said[pair]!.length > 1)
          said[pair]!.reverse();
        if (step.do === "arrive") this.#hear(step.from, step.to, datagram!);
        else trouble.drop--;
        break;
      }
      case "repeat": {
        trouble.repeat--;
        const pair = this.#pair(step.from, step.to);
        const before = said[pair]!.slice();
        this.#hear(step.from, step.to, wires[pair]![step.index]!);
        if (this.planted === "a repeated datagram is taken" && said[pair]!.length < before.length)
          this.#dispatch(step.from, step.to, before[0]!);
        break;
      }
      case "timeout":
        trouble.timeout--;
        this.#expire(step.machine, step.peer);
        break;
      case "notice":
        this.world.take(step);
        this.#cut(step.machine, step.dead);
        break;
      case "return":
        this.world.take(step);
        this.#begin(step.machine);
        break;
      default:
        this.world.take(step);
    }
  }

  #allExpire(): void {
    for (const machine of this.world.living())
      for (const peer of this.world.numbers) if (peer !== machine) this.#expire(machine, peer);
  }

  /** As members.ts does when a machine is dead: its epoch is never heard again. */
  #cut(machine: number, dead: number): void {
    const link = this.#link(machine, dead);
    this.#kernel.call("linkCut")(link);
    if (this.#field(link, STATE!) === LOST) this.#kernel.call("linkReset")(link);
    this.#lines.said[this.#pair(machine, dead)]!.length = 0;
  }

  /** Another life, another epoch. */
  #begin(machine: number): void {
    this.#lines.lives[machine - 1]!++;
    for (const peer of this.world.numbers) if (peer !== machine) this.#create(machine, peer);
    for (const peer of this.world.living()) if (peer !== machine) this.#meet(machine, peer);
  }

  /** From here on nothing goes wrong: what was lost is sent again, all of it arrives, and nobody waits. */
  checkEnd(): void {
    const { wires, trouble } = this.#lines;
    Object.assign(trouble, { drop: 0, repeat: 0, timeout: 0 });
    for (let round = 0; round < 60; round++) {
      for (let steps = this.steps(0); !this.rests(steps); steps = this.steps(0)) this.take(steps[0]!);
      if (round % 3 === 0 && round > 0 && wires.every((wire) => wire.length === 0) && this.#silent()) break;
      this.#allExpire();
    }
    const living = this.world.living();
    for (const from of living)
      for (const to of living) {
        const waiting = this.#lines.said[this.#pair(from, to)]!.length;
        if (from !== to && waiting > 0)
          throw new Violation(`${waiting} messages of machine ${from} never reach machine ${to}`);
      }
    this.world.checkEnd();
  }

  #silent(): boolean {
    const living = this.world.living();
    return living.every((a) => living.every((b) => this.#lines.said[this.#pair(a, b)]!.length === 0));
  }

  // --- Saving ---

  save(): JoinedSaved {
    const links = new Uint8Array(this.#parts.reduce((sum, [from, to]) => sum + to - from, 0));
    let at = 0;
    for (const [from, to] of this.#parts) {
      links.set(this.#kernel.bytes.subarray(from, to), at);
      at += to - from;
    }
    return { world: this.world.save(), lines: copy(this.#lines), links };
  }

  load(saved: JoinedSaved): void {
    this.world.load(saved.world);
    this.#lines = copy(saved.lines);
    let at = 0;
    for (const [from, to] of this.#parts) {
      this.#kernel.bytes.set(saved.links.subarray(at, at + to - from), from);
      at += to - from;
    }
  }

  fingerprint(to: Uint32Array): void {
    this.world.fingerprint(to);
    const { wires, said, heard, lives, trouble, now } = this.#lines;
    const hash = createHash("md5").update(to);
    for (const pair of wires.keys()) {
      if (pair % (this.#count + 1) === 0) continue;
      hash.update(`${this.#kernel.call("linkDigest")(this.#links[pair]!, now)},${heard[pair]};`);
      hash.update(
        wires[pair]!.map((bytes) => Buffer.from(bytes).toString("latin1"))
          .sort()
          .join("|"),
        "latin1",
      );
      for (const { words, page, value } of said[pair]!) hash.update(`${words},${page},${value};`);
    }
    hash.update(JSON.stringify([lives, trouble]));
    const digest = hash.digest();
    for (let i = 0; i < 4; i++) to[i] = digest.readUInt32LE(4 * i);
  }
}

/** One run at random; faults are rare, so that they meet a cluster at work. */
export function wanderJoined(world: JoinedWorld, seed: number, kills: number, limit = 20_000): number {
  const next = chance(seed);
  const rare = ["kill", "repeat", "lose", "timeout"];
  for (let count = 0; count < limit; count++) {
    let steps = world.steps(kills);
    if (world.rests(steps) || steps.length === 0) {
      world.checkEnd();
      return count;
    }
    if (next(10) !== 0) steps = steps.filter((step) => !rare.includes(step.do));
    world.take(steps[next(steps.length)]!);
  }
  throw new Violation(`no end after ${limit} steps`);
}
