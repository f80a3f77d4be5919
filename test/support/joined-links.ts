// The links of a small cluster for searches of every order of events: the compiled links (kernel/syslink/link.ts), one between each
// two machines, and a wire that loses and reorders datagrams within a budget, and repeats them without one: in every state, each
// datagram that has come once comes again, and so does one of each session that is over (inspect()); if that changes nothing, it leads
// to no other state. What a link acknowledges its peer hears at once, so that two states of which nobody can tell the difference
// are one: then numbers count from what the receiver has, and of a datagram only its session and its number matter.
// (Acknowledgements that go astray: syslink-search.test.ts.) What is lost is sent again by the sender's timer, at any moment afterwards.
import { putNotice } from "./coherence-notices.js";
import type { Wire } from "./coherence-state.js";
import type { Words } from "./fingerprint.js";
import type { DatagramStep } from "./joined-wire.js";
import type { KernelWasm } from "./kernel-wasm.js";
import { Violation } from "./search.js";
import { encode } from "./syslink.js";

const PAYLOAD = 512;
const RING = 131_072;
const MILLISECOND = 1_000_000n;
const SECOND = 1000n * MILLISECOND;
/** As link.ts has it; a timer that has run out (its first timeouts are 8 to 80 ms, a ping is due after a second). */
const ACK_DELAY = 2n * MILLISECOND;
const TIMER = 400n * MILLISECOND;
const WINDOW = 32;
const WINDOW_MAX = 128;
/** Of a link's room: its record and its slots, then what it holds, then its ring, which starts behind the assembly. */
const SLOTS = 1024;
const SLOT_BYTES = 40;
const HOLD = SLOTS + WINDOW_MAX * SLOT_BYTES;
const RING_AT = HOLD + WINDOW * (PAYLOAD + 8) + 65_536;
/** Of slots and of the ring so much is used: more messages than that in a session are an error. */
const MESSAGES = 40;
const MESSAGE_BYTES = 16;
const HEADER = 40;
const [SEQUENCED, HELLO] = [1, 2];
/** linkField(): state, header, payload, its bytes, what it expects and holds, what it sends next. */
const [STATE, HEADER_AT, PAYLOAD_AT, PAYLOAD_BYTES, EXPECTED, RECEIVED, NEXT] = [0, 1, 2, 3, 15, 16, 17];
const [UP, LOST] = [1, 2];

/** So much may go wrong on the wire. */
export interface Trouble {
  drop: number;
  /** A datagram comes before one that was sent before it. */
  overtake: number;
}

export type LinkStep =
  | DatagramStep<"arrive" | "overtake" | "lose">
  | { do: "again"; from: number; to: number };

interface Datagram {
  readonly bytes: Uint8Array;
  readonly hello: boolean;
  readonly sequence: number;
  /** Lives of both ends. */
  readonly session: number;
  readonly message: Wire | undefined;
}

/** One end of a link, and what is under way from there. Never changed, only replaced. */
interface End {
  /** In the order in which they were sent, of this session. */
  readonly wire: readonly Datagram[];
  /** All that ever left. It decides nothing, if inspect() is right. */
  readonly sent: readonly Datagram[];
  /** Messages that were said and not yet heard, and how many were heard in this session. */
  readonly said: readonly Wire[];
  readonly heard: number;
  /** Something of it was lost, and the timer has not run out since. */
  readonly lost: boolean;
  readonly clock: bigint;
}
interface Kept {
  readonly memory: Uint8Array;
  /** What it holds, when there is something. */
  readonly held: Uint8Array | undefined;
}
export interface LinksSaved {
  readonly ends: readonly End[];
  readonly kept: readonly Kept[];
  readonly lives: readonly number[];
  readonly trouble: Trouble;
}

/** Bugs that the judges are to find: each is one line below. */
export const linkPlants = [
  "a repeated datagram is taken",
  "datagrams are taken as they come",
  "what is lost is not sent again",
  "of whose life a datagram is does not count",
] as const;
export type LinkPlant = (typeof linkPlants)[number];

/** Of a kind of message (SAY_*): what inspect() has done. */
export interface Repeats {
  /** It came again, in its session, or from one that was over. */
  again: number;
  over: number;
  /** States in which its receiver had the page then. */
  readonly states: Set<number>;
}

export class Links {
  readonly repeats = new Map<number, Repeats>();
  planted: LinkPlant | "" = "";
  /** What arrives. */
  dispatch: (from: number, to: number, message: Wire) => void = () => {};
  trouble: Trouble;
  readonly #kernel: KernelWasm;
  readonly #count: number;
  readonly #at: number[] = [];
  readonly #buffer: number;
  /** Of what is said, without serial numbers: bytes are told apart by their values. */
  readonly #messageWords: number;
  #ends: End[];
  /** As saved last, or loaded; undefined: changed since. */
  #kept: (Kept | undefined)[];
  #lives: number[];
  readonly #alive: (machine: number) => boolean;

  constructor(kernel: KernelWasm, machines: number, trouble: Trouble, alive: (machine: number) => boolean) {
    this.#kernel = kernel;
    this.#count = machines;
    this.#alive = alive;
    this.trouble = { ...trouble };
    this.#messageWords = kernel.constant("PAGE_MESSAGE_SERIALS") >> 2;
    const bytes = kernel.call("linkBytes")(PAYLOAD, RING);
    this.#ends = Array.from({ length: machines ** 2 }, () => {
      this.#at.push(kernel.room(bytes));
      return { wire: [], sent: [], said: [], heard: 0, lost: false, clock: SECOND };
    });
    this.#kept = this.#ends.map(() => undefined);
    this.#lives = Array.from({ length: machines }, () => 1);
    this.#buffer = kernel.room(1024);
    this.#pairs((one, other) => this.#create(one, other));
    this.#pairs((one, other) => one < other && this.#meet(one, other));
  }

  // --- Where things are ---

  #pairs(work: (from: number, to: number) => void): void {
    for (let from = 1; from <= this.#count; from++)
      for (let to = 1; to <= this.#count; to++) if (from !== to) work(from, to);
  }
  #pair(from: number, to: number): number {
    return (from - 1) * this.#count + to - 1;
  }
  #end(from: number, to: number): End {
    return this.#ends[this.#pair(from, to)]!;
  }
  #put(from: number, to: number, changes: Partial<End>): void {
    const pair = this.#pair(from, to);
    this.#ends[pair] = { ...this.#ends[pair]!, ...changes };
  }
  /** To be changed. */
  #link(machine: number, peer: number): number {
    const pair = this.#pair(machine, peer);
    this.#kept[pair] = undefined;
    return this.#at[pair]!;
  }
  #field(machine: number, peer: number, field: number): number {
    return Number(this.#kernel.call("linkField")(this.#at[this.#pair(machine, peer)]!, field));
  }
  #epoch(machine: number): bigint {
    return BigInt(100 * machine + this.#lives[machine - 1]!);
  }
  #session(from: number, to: number): number {
    return 16 * this.#lives[from - 1]! + this.#lives[to - 1]!;
  }

  // --- Sessions ---

  #create(machine: number, peer: number): void {
    const at = this.#link(machine, peer);
    this.#kernel.bytes.fill(0, at, at + HOLD);
    this.#kernel.call("linkCreate")(
      at,
      machine,
      peer,
      this.#epoch(machine),
      PAYLOAD,
      RING,
      1_000_000n * SECOND,
    );
  }

  /** Two ends find each other (every order of that: syslink-search.test.ts). */
  #meet(one: number, other: number): void {
    const ways = [
      [one, other],
      [other, one],
    ] as const;
    for (const way of ways) this.#put(...way, { wire: [], said: [], heard: 0, lost: false });
    for (let round = 0; round < 20; round++) {
      for (const way of ways) this.#expire(...way, 2n * SECOND);
      for (const [from, to] of ways) {
        const { wire } = this.#end(from, to);
        this.#put(from, to, { wire: [] });
        for (const { bytes } of wire) this.#hear(from, to, bytes);
      }
      const under = ways.some((way) => this.#end(...way).wire.length > 0);
      if (!under && ways.every((way) => this.#field(...way, STATE!) === UP)) break;
    }
    for (const way of ways)
      if (this.#field(...way, STATE!) !== UP || this.#end(...way).wire.length > 0)
        throw new Error(`machines ${one} and ${other} do not find each other`);
  }

  /** As members.ts does when a machine is dead: its epoch is never heard again. */
  cut(machine: number, dead: number): void {
    const link = this.#link(machine, dead);
    this.#kernel.call("linkCut")(link);
    if (this.#field(machine, dead, STATE!) === LOST) this.#kernel.call("linkReset")(link);
    this.#put(machine, dead, { wire: [], said: [], lost: false });
    this.#put(dead, machine, { wire: [], said: [] });
  }

  /** Another life, another epoch. */
  begin(machine: number): void {
    this.#lives[machine - 1]!++;
    for (let peer = 1; peer <= this.#count; peer++) if (peer !== machine) this.#create(machine, peer);
    for (let peer = 1; peer <= this.#count; peer++) {
      if (peer === machine || !this.#alive(peer)) continue;
      this.cut(peer, machine);
      this.#meet(machine, peer);
    }
  }

  // --- Sending ---

  /** And not heard. */
  said(from: number, to: number): readonly Wire[] {
    return from === to ? [] : this.#end(from, to).said;
  }

  /** To who has no link nothing is said. */
  say(from: number, to: number, message: Wire): void {
    if (this.#field(from, to, STATE!) !== UP) return;
    const { said, heard } = this.#end(from, to);
    const link = this.#link(from, to);
    const number = heard + said.length + 1;
    if (number > MESSAGES) throw new Error(`more than ${MESSAGES} messages in a session`);
    const bytes = encode(1n, number, 1);
    this.#put(from, to, { said: [...said, message] });
    const at = this.#kernel.call("linkReserve")(link, bytes.length);
    if (at === 0) throw new Error("the ring is full");
    this.#kernel.bytes.set(bytes, at);
    this.#kernel.call("linkCommit")(link, bytes.length);
    this.#pump(from, to, message);
  }

  #output(from: number, to: number, clock: bigint): Uint8Array | undefined {
    const kernel = this.#kernel;
    if (!kernel.call("linkOutput")(this.#link(from, to), clock)) return undefined;
    const bytes = new Uint8Array(HEADER + this.#field(from, to, PAYLOAD_BYTES!));
    const part = (field: number, count: number) => {
      const at = this.#field(from, to, field);
      return kernel.bytes.subarray(at, at + count);
    };
    bytes.set(part(HEADER_AT!, HEADER));
    bytes.set(part(PAYLOAD_AT!, bytes.length - HEADER), HEADER);
    return bytes;
  }

  /** `message`: it was just said. */
  #pump(from: number, to: number, message?: Wire): void {
    const { clock } = this.#end(from, to);
    for (let bytes = this.#output(from, to, clock); bytes; bytes = this.#output(from, to, clock))
      this.#post(from, to, bytes, message);
  }

  #post(from: number, to: number, bytes: Uint8Array, message?: Wire): void {
    const datagram = this.#datagram(from, to, bytes, message);
    // A hello of a session that there is tells its peer nothing new; others are for #meet().
    const meets = this.#field(from, to, STATE!) !== UP || this.#field(to, from, STATE!) !== UP;
    if (datagram.hello ? !meets : !isSequenced(bytes)) this.#acknowledge(from, to, bytes);
    else this.#fly(from, to, datagram);
  }

  #fly(from: number, to: number, datagram: Datagram): void {
    const { wire, sent } = this.#end(from, to);
    const { hello, sequence } = datagram;
    if (hello) {
      if (this.#alive(to)) this.#put(from, to, { wire: [...wire, datagram] });
      return;
    }
    if (datagram.message) this.#put(from, to, { sent: [...sent, datagram] });
    if (wire.some((each) => !each.hello && each.sequence === sequence)) return;
    const isBefore = (each: Datagram) => each.hello || each.sequence < sequence;
    const before = wire.filter(isBefore);
    this.#put(from, to, { wire: [...before, datagram, ...wire.filter((each) => !isBefore(each))] });
  }

  /** The peer hears at once what acknowledges, and is no message. */
  #acknowledge(from: number, to: number, bytes: Uint8Array): void {
    if (!this.#alive(to)) return;
    this.#kernel.bytes.set(bytes, this.#buffer);
    const link = this.#link(to, from);
    if (this.#kernel.call("linkInput")(link, this.#buffer, bytes.length, this.#end(to, from).clock))
      throw new Error("an acknowledgement brings messages");
    this.#pump(to, from); // it may have shown what else was lost
  }

  #expire(from: number, to: number, time: bigint): void {
    const clock = this.#end(from, to).clock + time;
    this.#put(from, to, { clock });
    this.#kernel.call("linkTick")(this.#link(from, to), clock);
    this.#pump(from, to);
  }

  // --- Hearing ---

  #hear(from: number, to: number, datagram: Uint8Array): void {
    const kernel = this.#kernel;
    const link = this.#link(to, from);
    const { clock } = this.#end(to, from);
    kernel.bytes.set(datagram, this.#buffer);
    const numbers: number[] = [];
    if (kernel.call("linkInput")(link, this.#buffer, datagram.length, clock))
      for (let at = kernel.call("linkNext")(link); at !== 0; at = kernel.call("linkNext")(link))
        numbers.push(kernel.view.getUint32(at + 8, true));
    const acknowledgement = this.#output(to, from, clock + ACK_DELAY);
    if (acknowledgement !== undefined) this.#post(to, from, acknowledgement);
    for (const number of numbers) this.#heard(from, to, number);
    this.#pump(to, from);
  }

  #datagram(from: number, to: number, bytes: Uint8Array, message?: Wire): Datagram {
    const view = new DataView(bytes.buffer);
    const hello = (view.getUint16(36, true) & HELLO!) !== 0;
    const sequence = view.getUint32(24, true);
    return { bytes, hello, sequence, session: this.#session(from, to), message };
  }

  #heard(from: number, to: number, number: number): void {
    const { said, heard } = this.#end(from, to);
    if (number !== heard + 1 || said.length === 0)
      throw new Violation(`machine ${to} hears message ${number} of machine ${from}, ${heard + 1} is due`);
    this.#put(from, to, { heard: heard + 1, said: said.slice(1) });
    this.dispatch(from, to, said[0]!);
  }

  // --- Stepping ---

  steps(): LinkStep[] {
    const steps: LinkStep[] = [];
    this.#pairs((from, to) => {
      if (this.#alive(to)) this.#stepsOf(steps, from, to);
    });
    return steps;
  }

  #stepsOf(steps: LinkStep[], from: number, to: number): void {
    const { wire, lost } = this.#end(from, to);
    const { drop, overtake } = this.trouble;
    let first = true;
    wire.forEach(({ sequence }, index) => {
      const way = { from, to, index };
      const fresh = !this.#hasCome(from, to, sequence);
      if (first || !fresh) steps.push({ do: "arrive", ...way });
      else if (overtake > 0) steps.push({ do: "overtake", ...way });
      if (fresh) first = false;
      if (fresh && drop > 0) steps.push({ do: "lose", ...way });
    });
    if (lost && this.#alive(from) && this.planted !== "what is lost is not sent again")
      steps.push({ do: "again", from, to });
  }

  /** Some datagram has not come and is not on its way: the link sends the oldest first (again.ts), the others behind it. */
  #isMissing(from: number, to: number): boolean {
    const { wire, sent } = this.#end(from, to);
    return sent.some(
      ({ session, sequence }) =>
        session === this.#session(from, to) &&
        !this.#hasCome(from, to, sequence) &&
        !wire.some((each) => !each.hello && each.sequence === sequence),
    );
  }

  #hasCome(from: number, to: number, sequence: number): boolean {
    const ahead = sequence - this.#field(to, from, EXPECTED!);
    return ahead < 0 || (ahead > 0 && ((this.#field(to, from, RECEIVED!) >>> (ahead - 1)) & 1) !== 0);
  }

  take(step: LinkStep): void {
    const { from, to } = step;
    const { wire, said } = this.#end(from, to);
    if (step.do === "again") {
      this.#expire(from, to, TIMER);
      this.#put(from, to, { lost: this.#isMissing(from, to) });
      return;
    }
    const { bytes } = wire[step.index]!;
    this.#put(from, to, { wire: wire.filter((_, index) => index !== step.index) });
    if (step.do === "lose") {
      this.trouble.drop--;
      this.#put(from, to, { lost: true });
      return;
    }
    if (step.do === "overtake") this.trouble.overtake--;
    if (this.planted === "datagrams are taken as they come" && step.do === "overtake" && said.length > 1)
      this.#put(from, to, { said: [...said.slice(1), said[0]!] });
    this.#hear(from, to, bytes);
  }

  // --- Coming again ---

  /**
   * Every message is idempotent under {link, id, epoch}: in this state, whatever has come in its session, and whatever is of a
   * session that is over, is heard once more, and nothing is dispatched, said or expected otherwise.
   */
  inspect(stateOf: (machine: number, page: number) => number): void {
    const { dispatch } = this;
    const ends = this.#ends.slice();
    const { kept } = this.save();
    this.#pairs((from, to) => {
      if (!this.#alive(to)) return;
      const up = this.#field(to, from, STATE!) === UP;
      const now = [STATE, EXPECTED, RECEIVED].map((field) => this.#field(to, from, field!));
      for (const { message, session, sequence, bytes } of this.#end(from, to).sent) {
        const over = !up || session !== this.#session(from, to);
        if (!over && !this.#hasCome(from, to, sequence)) continue;
        const kind = message!.words[0]! & 255;
        const what = `message ${kind} of machine ${from}, ${over ? "of a session that is over" : "again"},`;
        const wrong = (it: string) => {
          throw new Violation(`${what} ${it} at machine ${to}`);
        };
        this.dispatch = () => wrong("is taken");
        if (this.planted === "a repeated datagram is taken" && !over) dispatch(from, to, message!);
        const renews = this.planted === "of whose life a datagram is does not count" && up;
        this.#hear(from, to, renews ? this.#renewed(from, to, bytes) : bytes);
        const then = [STATE, EXPECTED, RECEIVED].map((field) => this.#field(to, from, field!));
        if (then.join() !== now.join()) wrong("changes the link");
        if (this.#ends.some((end, pair) => end !== ends[pair])) wrong("is answered");
        this.#counts(kind, over, stateOf(to, message!.page));
      }
    });
    this.dispatch = dispatch;
    this.#ends = ends;
    this.#restore(kept);
  }

  /** As if it came from the life that its sender is in, and were for its receiver's. */
  #renewed(from: number, to: number, bytes: Uint8Array): Uint8Array {
    const kernel = this.#kernel;
    const { view } = kernel;
    const at = this.#buffer;
    kernel.bytes.set(bytes, at);
    view.setBigUint64(at + 8, this.#epoch(from), true);
    view.setBigUint64(at + 16, this.#epoch(to), true);
    const sum = kernel.call("check")(kernel.constant("CHECK_START"), at + 8, bytes.length - 8);
    view.setUint32(at + 4, kernel.call("checkEnd")(sum), true);
    return kernel.bytes.slice(at, at + bytes.length);
  }

  #counts(kind: number, over: boolean, state: number): void {
    const count = this.repeats.get(kind) ?? { again: 0, over: 0, states: new Set() };
    if (over) count.over++;
    else count.again++;
    count.states.add(state);
    this.repeats.set(kind, count);
  }

  /** Everything that was said was heard. */
  checkEnd(): void {
    this.#pairs((from, to) => {
      const { said } = this.#end(from, to);
      if (this.#alive(from) && this.#alive(to) && said.length > 0)
        throw new Violation(`${said.length} messages of machine ${from} never reach machine ${to}`);
    });
  }

  // --- Saving ---

  #keep(pair: number): Kept {
    const at = this.#at[pair]!;
    const memory = new Uint8Array(SLOTS + MESSAGES * (SLOT_BYTES + MESSAGE_BYTES));
    const { bytes } = this.#kernel;
    memory.set(bytes.subarray(at, at + SLOTS + MESSAGES * SLOT_BYTES));
    const ring = at + RING_AT;
    memory.set(bytes.subarray(ring, ring + MESSAGES * MESSAGE_BYTES), SLOTS + MESSAGES * SLOT_BYTES);
    const holds = Number(this.#kernel.call("linkField")(at, RECEIVED!)) !== 0;
    return { memory, held: holds ? bytes.slice(at + HOLD, at + HOLD + WINDOW * (PAYLOAD + 8)) : undefined };
  }

  save(): LinksSaved {
    this.#pairs((from, to) => {
      const pair = this.#pair(from, to);
      this.#kept[pair] ??= this.#keep(pair);
    });
    return {
      ends: this.#ends.slice(),
      kept: this.#kept.slice() as Kept[],
      lives: this.#lives.slice(),
      trouble: { ...this.trouble },
    };
  }

  load(saved: LinksSaved): void {
    this.#ends = saved.ends.slice();
    this.#lives = saved.lives.slice();
    this.trouble = { ...saved.trouble };
    this.#restore(saved.kept);
  }

  #restore(all: readonly Kept[]): void {
    all.forEach((kept, pair) => {
      if (kept === undefined || kept === this.#kept[pair]) return;
      this.#kept[pair] = kept;
      const at = this.#at[pair]!;
      const ring = SLOTS + MESSAGES * SLOT_BYTES;
      this.#kernel.bytes.set(kept.memory.subarray(0, ring), at);
      this.#kernel.bytes.set(kept.memory.subarray(ring), at + RING_AT);
      if (kept.held) this.#kernel.bytes.set(kept.held, at + HOLD);
    });
  }

  /** Equal for states that cannot be told apart. */
  words(to: Words): void {
    const { drop, overtake } = this.trouble;
    to.put(drop | (overtake << 8));
    for (const life of this.#lives) to.put(life);
    this.#pairs((from, other) => this.#wordsOf(to, from, other));
  }

  #wordsOf(words: Words, from: number, to: number): void {
    const { wire, said, lost } = this.#end(from, to);
    const expected = this.#field(to, from, EXPECTED!);
    const up = this.#field(from, to, STATE!) === UP && this.#field(to, from, STATE!) === UP;
    words.put((up ? 1 : 0) | (lost ? 2 : 0) | (said.length << 8) | (wire.length << 16));
    words.put(up ? this.#field(from, to, NEXT!) - expected : 0);
    words.put(this.#field(to, from, RECEIVED!));
    for (const { sequence } of wire) words.put(sequence - expected);
    for (const message of said) {
      words.put(message.value);
      words.put(message.page);
      words.copy(message.words, 0, Math.min(message.words.length, this.#messageWords));
      if (message.notice !== undefined) putNotice(words, message.notice, false);
    }
  }
}

const isSequenced = (bytes: Uint8Array) =>
  (new DataView(bytes.buffer).getUint16(36, true) & SEQUENCED!) !== 0;
