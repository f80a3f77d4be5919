// One page whose chunks are lent (kernel/coherence/parts.ts), in a small cluster in Node: the compiled engine and parts of every
// machine, a wire that keeps the order of a pair of machines but not between pairs, page tables that let go late, and threads
// whose instructions touch one chunk, or need the whole page. What loans.ts and pages.ts do around engine and parts is
// done here; who lends, and who gives back when, is left to chance, or to the search of every order.
//
// Judged after every event: a chunk can be written in one place only, and a page that is mapped is nowhere in parts; who sees
// an old value of a chunk sees what was there before a machine died. At the end nobody waits, and somebody was told of the loss.
import { createHash } from "node:crypto";
import { Engines } from "./coherence-engines.js";
import { Words } from "./fingerprint.js";
import { Assertion, type KernelWasm } from "./kernel-wasm.js";
import type * as search from "./search.js";
import { Violation } from "./search.js";

export const CHUNKS = 3;
const CHUNK = 64;

/** What may be planted, one at a time, in what is done around the compiled parts. */
export const loanBugs = [
  "lends a page that is still mapped",
  "gives the page up while something is lent",
  "maps the page while something is lent",
  "gives back without the bytes",
  "keeps using what it gave back",
  "lends what it recalls",
  "tells nobody of a borrower's death",
  "tells one who waits nothing of a borrower's death",
  "forgets to recall for a writer elsewhere",
  "goes on with a dead owner's bytes",
  "drops what was lent when the request has ended",
] as const;
/** This shows in few orders of events: every order of three machines has to be searched. */
export const rareBugs = ["keeps what was lent when the request has ended"] as const;
/** Not found: the worlds that are searched are too small for them, or other rules are enough. */
export const survivors = [
  "lends to a machine whose last loan is not the one it names",
  "keeps what a dead machine lent until it hears of the death itself",
] as const;
export type LoanBug = (typeof loanBugs)[number] | (typeof rareBugs)[number] | (typeof survivors)[number];

/** Per thread: r0 reads chunk 0, w1 reads chunk 1 and writes it, p does so with all of the page, in one instruction. */
export interface LoanSetup {
  home: number;
  programs: string[][];
  /** How often in all a borrower gives back, and an owner recalls, without need. */
  returns?: number;
  /** How often in all chunks are lent: a machine leaves a page whole for a time after a conflict, or it would go on for ever. */
  lends?: number;
  bug?: LoanBug;
}

interface Thread {
  readonly program: readonly string[];
  at: number;
  /** 0 ready, 1 waits, 2 has the page and has not retired its instruction, 3 has asked for chunks. */
  state: number;
  /** Chunks were refused: it wants the page. */
  declined: boolean;
  /** What its core may still do by its page tables: 0 nothing, 1 read, 2 write. */
  right: number;
}

interface Machine {
  threads: Thread[];
  alive: boolean;
  noticed: number;
  failures: number;
  revoking: number;
  dirty: boolean;
  broken: boolean;
}

interface Wire {
  bytes: Uint8Array;
  /** The page, when it comes along. */
  data?: Uint8Array;
  /** What is lent with an answer; or a loan's end: its recall (no data), its return. */
  loan?: { kind: "lend" | "recall" | "return"; id: number; data?: Uint8Array };
}

export type Step =
  | { do: "start"; machine: number; thread: number; borrow?: true }
  | { do: "retire"; machine: number; thread: number }
  | { do: "gone"; machine: number }
  | { do: "deliver"; from: number; to: number }
  | { do: "giveBack"; machine: number }
  | { do: "recall"; machine: number }
  | { do: "kill"; machine: number }
  | { do: "notice"; machine: number; dead: number };

export interface Saved {
  engines: Uint8Array;
  parts: Uint8Array;
  machines: Machine[];
  wires: Wire[][];
  latest: number[];
  counts: [deaths: number, returns: number, lends: number, reverted: number];
}

export class LoansWorld implements search.World<Step, Saved> {
  readonly #kernel: KernelWasm;
  readonly #setup: LoanSetup;
  readonly #engines: Engines;
  readonly #c: Record<string, number>;
  readonly #n: number;
  readonly #region: number;
  readonly #partsBytes: number;
  readonly #regionBytes: number;
  readonly #room: number;
  #machines: Machine[] = [];
  #wires: Wire[][] = [];
  #latest: number[] = new Array(CHUNKS).fill(0);
  #deaths = 0;
  #returns = 0;
  #lends = 0;
  /** Somebody has seen an old value. */
  #reverted = 0;
  /** Chunks lent, accesses in parts, failures told: whether a run met what it is for. */
  readonly met = { lent: 0, carried: 0, recalled: 0, told: 0, broken: 0 };
  readonly #words = new Words();

  constructor(kernel: KernelWasm, setup: LoanSetup) {
    this.#kernel = kernel;
    this.#setup = setup;
    this.#n = setup.programs.length;
    this.#engines = new Engines(kernel, { machines: this.#n, pages: 1, ranges: false });
    this.#c = this.#engines.c;
    this.#partsBytes = (kernel.call("partsBytes")(this.#n) + 15) & ~15;
    const frame = 4096;
    this.#regionBytes = this.#n * (this.#partsBytes + frame);
    this.#region = kernel.room(this.#regionBytes);
    this.#room = kernel.room(4096 + 8);
    kernel.bytes.fill(0, this.#region, this.#region + this.#regionBytes);
    for (let m = 1; m <= this.#n; m++) {
      this.#engines.createMachine(m, 0);
      this.#engines.createPage(m, 0, setup.home);
      kernel.call("partsCreate")(this.#parts(m), this.#n);
      this.#machines.push({
        threads: setup.programs[m - 1]!.map((program) => ({
          program: program.match(/[rw]\d|p/g) ?? [],
          at: 0,
          state: 0,
          declined: false,
          right: 0,
        })),
        alive: true,
        noticed: 0,
        failures: 0,
        revoking: -1,
        dirty: false,
        broken: false,
      });
    }
    for (let i = 0; i < this.#n * this.#n; i++) this.#wires.push([]);
  }

  // --- Where things are ---

  #machine(m: number): Machine {
    return this.#machines[m - 1]!;
  }
  #wire(from: number, to: number): Wire[] {
    return this.#wires[(from - 1) * this.#n + to - 1]!;
  }
  #parts(m: number): number {
    return this.#region + (m - 1) * (this.#partsBytes + 4096);
  }
  #frame(m: number): number {
    return this.#parts(m) + this.#partsBytes;
  }
  #do(name: string, ...args: (number | bigint)[]): number {
    return this.#kernel.call(name)(...args);
  }
  /** The machine's Part, 0 without. */
  #part(m: number): number {
    return this.#do("partFind", this.#parts(m), 0n, 0n);
  }
  #mine(m: number): bigint {
    const part = this.#part(m);
    return part === 0 ? 0n : BigInt.asUintN(64, BigInt(this.#do("partMine", part)));
  }
  #lent(m: number): bigint {
    const part = this.#part(m);
    return part === 0 ? 0n : BigInt.asUintN(64, BigInt(this.#do("partLent", part)));
  }
  #isOwnerOfParts(m: number): boolean {
    const part = this.#part(m);
    return part !== 0 && this.#do("partOwner", part) === 0;
  }
  #page(m: number): number {
    return this.#engines.page(m, 0);
  }
  #state(m: number): number {
    return this.#engines.do.state(this.#page(m));
  }
  #bug(bug: LoanBug): boolean {
    return this.#setup.bug === bug;
  }
  #knowsDead(m: number, dead: number): boolean {
    return (this.#machine(m).noticed & (1 << dead)) !== 0;
  }
  #homeless(m: number): boolean {
    return this.#knowsDead(m, this.#setup.home);
  }
  #value(m: number, chunk: number): number {
    return this.#kernel.view.getUint32(this.#frame(m) + chunk * CHUNK, true);
  }

  // --- Instructions ---

  #chunks(thread: Thread): number[] {
    const what = thread.program[thread.at]!;
    return what === "p" ? [...Array(CHUNKS).keys()] : [Number(what[1])];
  }
  #mask(thread: Thread): bigint {
    return this.#chunks(thread).reduce((mask, chunk) => mask | (1n << BigInt(chunk)), 0n);
  }
  #need(thread: Thread): number {
    return thread.program[thread.at]![0] === "r" ? 1 : 2;
  }
  #isWhole(thread: Thread): boolean {
    return thread.program[thread.at] === "p";
  }
  #waiting(m: number): Thread[] {
    return this.#machine(m).threads.filter(({ state }) => state === 1);
  }
  #covered(m: number, thread: Thread): boolean {
    return this.#part(m) !== 0 && !this.#isWhole(thread) && (this.#mask(thread) & ~this.#mine(m)) === 0n;
  }

  #execute(m: number, thread: Thread): void {
    for (const chunk of this.#chunks(thread)) {
      this.#sees(m, chunk);
      if (this.#need(thread) === 2)
        this.#kernel.view.setUint32(this.#frame(m) + chunk * CHUNK, ++this.#latest[chunk]!, true);
    }
    // What the page table says; accesses to parts do not go by it.
    if (thread.right === 2 && this.#need(thread) === 2) this.#machine(m).dirty = true;
    this.#next(thread);
  }

  #sees(m: number, chunk: number): void {
    const value = this.#value(m, chunk);
    const latest = this.#latest[chunk]!;
    if (value === latest) return;
    if (this.#deaths === 0 || value > latest)
      throw new Violation(`machine ${m} sees ${value} in chunk ${chunk}, the newest value is ${latest}`);
    this.#reverted = 1;
    this.#latest[chunk] = value;
  }

  #next(thread: Thread): void {
    thread.state = 0;
    thread.declined = false;
    thread.at++;
  }

  #fail(m: number, thread: Thread): void {
    if (this.#deaths === 0) throw new Violation(`a thread of machine ${m} fails, and nobody died`);
    this.#machine(m).failures++;
    this.met.told++;
    this.#next(thread);
  }

  // --- Steps ---

  steps(kills = 0): Step[] {
    const steps: Step[] = [];
    for (let m = 1; m <= this.#n; m++) {
      const machine = this.#machine(m);
      if (!machine.alive) continue;
      machine.threads.forEach((thread, index) => {
        if (thread.state === 0 && thread.at < thread.program.length) {
          steps.push({ do: "start", machine: m, thread: index });
          if (this.#mayBorrow(m, thread))
            steps.push({ do: "start", machine: m, thread: index, borrow: true });
        }
        if (thread.state === 2) steps.push({ do: "retire", machine: m, thread: index });
      });
      const pinned = machine.threads.some(({ state }) => state === 2);
      if (machine.revoking >= 0 && !pinned && !this.#isHeldUp(m)) steps.push({ do: "gone", machine: m });
      if (this.#returns < (this.#setup.returns ?? 0)) {
        const part = this.#part(m);
        const owner = this.#isOwnerOfParts(m);
        if (owner && this.#do("partRecalled", part) === 0) steps.push({ do: "recall", machine: m });
        if (part !== 0 && !owner && this.#state(m) === this.#c["INVALID"])
          steps.push({ do: "giveBack", machine: m });
      }
      for (let from = 1; from <= this.#n; from++) {
        if (this.#wire(from, m).length > 0 && !this.#knowsDead(m, from))
          steps.push({ do: "deliver", from, to: m });
        if (from !== m && !this.#machine(from).alive && !this.#knowsDead(m, from))
          steps.push({ do: "notice", machine: m, dead: from });
      }
      if (this.#deaths < kills) steps.push({ do: "kill", machine: m });
    }
    return steps;
  }

  /** What is lent holds up a revocation. */
  #isHeldUp(m: number): boolean {
    return this.#isOwnerOfParts(m) && !this.#bug("gives the page up while something is lent");
  }

  #mayBorrow(m: number, thread: Thread): boolean {
    if (thread.right >= this.#need(thread) || this.#covered(m, thread) || this.#isWhole(thread)) return false;
    if (thread.declined || this.#homeless(m) || this.#machine(m).broken) return false;
    return this.#state(m) === this.#c["INVALID"] && this.#waiting(m).length === 0;
  }

  rests(steps: readonly Step[]): boolean {
    return steps.every((step) => step.do === "kill" || step.do === "recall" || step.do === "giveBack");
  }

  checkEnd(): void {
    const told = this.#machines.some(({ failures }) => failures > 0);
    if (this.#reverted !== 0 && !told)
      throw new Violation("a chunk went back to an older value, and nobody was told");
    this.#machines.forEach(({ alive, threads }, index) => {
      for (const { at, program, state } of threads)
        if (alive && at < program.length)
          throw new Violation(
            `machine ${index + 1} waits for ever (thread ${state}, page ${this.#state(index + 1)})`,
          );
    });
  }

  take(step: Step): void {
    try {
      this.#take(step);
    } catch (error) {
      throw error instanceof Assertion ? new Violation(error.message) : error;
    }
    this.#check();
  }

  #take(step: Step): void {
    switch (step.do) {
      case "start":
        this.#start(step.machine, this.#machine(step.machine).threads[step.thread]!, step.borrow === true);
        break;
      case "retire": {
        const thread = this.#machine(step.machine).threads[step.thread]!;
        if (thread.right < this.#need(thread)) {
          if (!this.#covered(step.machine, thread))
            thread.state = 0; // lent meanwhile: it faults again
          else this.#carry(step.machine, thread);
        } else this.#execute(step.machine, thread);
        break;
      }
      case "gone":
        this.#gone(step.machine);
        break;
      case "deliver":
        this.#deliver(step.from, step.to);
        break;
      case "giveBack":
        this.#returns++;
        this.#giveBack(step.machine);
        break;
      case "recall":
        this.#returns++;
        this.#recall(step.machine);
        break;
      case "kill":
        this.#kill(step.machine);
        break;
      case "notice":
        this.#notice(step.machine, step.dead);
        break;
    }
  }

  #carry(m: number, thread: Thread): void {
    this.met.carried++;
    this.#execute(m, thread);
  }

  #start(m: number, thread: Thread, borrow: boolean): void {
    const machine = this.#machine(m);
    if (thread.right >= this.#need(thread)) this.#execute(m, thread);
    else if (this.#covered(m, thread)) this.#carry(m, thread);
    else if (this.#homeless(m)) this.#fail(m, thread);
    else if (machine.broken) {
      machine.broken = false;
      this.#fail(m, thread);
    } else if (borrow) {
      thread.state = 3;
      const part = this.#part(m);
      const id = part === 0 ? 0n : BigInt(this.#do("partId", part));
      const engine = this.#engines.engine(m);
      this.#run(m, () =>
        this.#engines.do.operate(engine, this.#page(m), this.#c["BORROW"]!, this.#mask(thread), id),
      );
    } else {
      thread.state = 1;
      this.#ask(m);
    }
  }

  #ask(m: number): void {
    const waiting = this.#waiting(m);
    if (waiting.length === 0) return;
    if (this.#homeless(m)) {
      for (const thread of waiting) this.#fail(m, thread);
      return;
    }
    const write = waiting.some((thread) => this.#need(thread) === 2);
    const engine = this.#engines.engine(m);
    this.#run(m, () => this.#engines.do.ask(engine, this.#page(m), write ? 1 : 0));
  }

  // --- The engine and what it wants, as pages.ts has it ---

  #run(m: number, work: () => void, data?: Uint8Array): void {
    const c = this.#c;
    const machine = this.#machine(m);
    let again = false;
    for (const { kind, to, flags, message } of this.#engines.run(m, work)) {
      if (kind === c["ACT_SEND"]) this.#send(m, to, message);
      else if (kind === c["ACT_TAKE"]) {
        if (this.#part(m) !== 0) throw new Violation(`machine ${m} is granted a page that it has parts of`);
        this.#kernel.bytes.set(data!, this.#frame(m));
        machine.broken = false;
      } else if (kind === c["ACT_GRANT"]) again = this.#grant(m, flags) || again;
      else if (kind === c["ACT_REVOKE"]) {
        machine.revoking = machine.revoking < 0 ? flags : Math.min(machine.revoking, flags);
        if (!this.#bug("forgets to recall for a writer elsewhere")) this.#recall(m);
      } else if (kind === c["ACT_WAKE"]) again = true;
      else if (kind === c["ACT_OPERATED"]) this.#borrowed(m, flags);
      else if (kind === c["ACT_FAIL"])
        for (const thread of machine.threads)
          if (thread.state === 1 || thread.state === 3) this.#fail(m, thread);
    }
    if (again) this.#ask(m);
  }

  #borrowed(m: number, outcome: number): void {
    const thread = this.#machine(m).threads.find(({ state }) => state === 3);
    if (thread === undefined) throw new Violation(`machine ${m} is told of chunks that it has not asked for`);
    thread.state = outcome === this.#c["OPERATION_DONE"] ? 0 : 1;
    thread.declined = thread.state === 1;
  }

  #grant(m: number, right: number): boolean {
    if (this.#isOwnerOfParts(m) && !this.#bug("maps the page while something is lent")) {
      this.#recall(m);
      return false;
    }
    if (this.#machine(m).broken && !this.#bug("tells one who waits nothing of a borrower's death")) {
      this.#machine(m).broken = false;
      for (const thread of this.#waiting(m)) this.#fail(m, thread);
      return false;
    }
    const allowed = right === this.#c["RIGHT_MODIFIED"] ? 2 : 1;
    for (const thread of this.#waiting(m)) {
      if (this.#need(thread) > allowed) continue;
      thread.state = 2;
      thread.right = allowed;
    }
    return this.#waiting(m).length > 0;
  }

  #send(from: number, to: number, bytes: Uint8Array): void {
    const c = this.#c;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const machine = this.#machine(from);
    const wire: Wire = { bytes };
    if (bytes[0] === c["SAY_OPERATED"]) {
      const data = this.#lend(from, to, view.getBigUint64(24, true), Number(view.getBigUint64(32, true)));
      if (data === undefined) bytes[0] = c["SAY_REJECTED"]!;
      else wire.loan = { kind: "lend", id: this.#do("partsSerial", this.#parts(from)), data };
    }
    if (bytes[0] === c["SAY_GRANT"] && machine.broken) {
      machine.broken = false;
      this.met.broken++;
      if ((bytes[3]! & c["RIGHT"]!) === c["RIGHT_MODIFIED"]) this.#do("pageLeave", this.#page(from));
      bytes[0] = c["SAY_FAILURE"]!;
      bytes[3] = 0;
    }
    if (bytes[3]! & c["WITH_DATA"]!) {
      const at = this.#frame(from);
      wire.data = this.#kernel.bytes.slice(at, at + CHUNKS * CHUNK);
    }
    if (!this.#knowsDead(from, to)) this.#wire(from, to).push(wire);
  }

  #gone(m: number): void {
    const machine = this.#machine(m);
    for (const thread of machine.threads) thread.right = Math.min(thread.right, machine.revoking);
    machine.revoking = -1;
    const dirty = machine.dirty ? 1 : 0;
    machine.dirty = false;
    this.#run(m, () => this.#engines.do.gone(this.#engines.engine(m), this.#page(m), dirty));
  }

  // --- Loans, as loans.ts has them ---

  #out(bytes: number): Uint8Array {
    return this.#kernel.bytes.slice(this.#room, this.#room + bytes);
  }

  #lend(m: number, to: number, chunks: bigint, has: number): Uint8Array | undefined {
    const machine = this.#machine(m);
    if (this.#state(m) !== this.#c["MODIFIED"] || machine.broken || machine.revoking >= 0) return undefined;
    // Whoever waits for the page, or got it for an instruction that needs it whole, is not put off.
    if (machine.threads.some((thread) => thread.state === 1 || (thread.state === 2 && this.#isWhole(thread))))
      return undefined;
    if (this.#lends >= (this.#setup.lends ?? 2)) return undefined;
    let part = this.#part(m);
    const same = has === (part === 0 ? 0 : this.#do("partLoan", part, to));
    if (!same && !this.#bug("lends to a machine whose last loan is not the one it names")) return undefined;
    if (part === 0) {
      if (!this.#bug("lends a page that is still mapped"))
        for (const thread of machine.threads) thread.right = 0;
      part = this.#do("partBegin", this.#parts(m), 0n, 0n, 1, this.#frame(m), 0);
    } else if (this.#isRecalled(part) || (chunks & ~this.#mine(m)) !== 0n) return undefined;
    this.#lends++;
    this.met.lent++;
    return this.#out(this.#do("partLend", this.#parts(m), part, to, chunks, this.#room));
  }

  #isRecalled(part: number): boolean {
    if (!this.#bug("lends what it recalls")) return this.#do("partRecalled", part) !== 0;
    this.#do("partRecallEnd", part);
    return false;
  }

  #recall(m: number): void {
    const part = this.#part(m);
    if (part === 0 || !this.#isOwnerOfParts(m) || this.#do("partRecalled", part) !== 0) return;
    this.#do("partRecall", part);
    this.met.recalled++;
    for (let to = 1; to <= this.#n; to++) {
      const id = this.#do("partLoan", part, to);
      if (id !== 0 && !this.#knowsDead(m, to))
        this.#wire(m, to).push({ bytes: new Uint8Array(), loan: { kind: "recall", id } });
    }
  }

  /** The last chunk is back. */
  #whole(m: number): void {
    this.#do("partEnd", this.#parts(m), this.#part(m));
    if (this.#machine(m).revoking < 0) this.#ask(m);
  }

  #giveBack(m: number): void {
    const part = this.#part(m);
    const [to, id] = [this.#do("partOwner", part), this.#do("partId", part)];
    const data = this.#out(this.#do("partGive", part, this.#room));
    if (this.#bug("gives back without the bytes")) data.fill(0, 8);
    if (this.#bug("keeps using what it gave back")) this.#do("partTake", part, id, this.#room);
    else this.#do("partEnd", this.#parts(m), part);
    if (!this.#knowsDead(m, to))
      this.#wire(m, to).push({ bytes: new Uint8Array(), loan: { kind: "return", id, data } });
  }

  #loan(from: number, to: number, open: boolean, { kind, id, data }: NonNullable<Wire["loan"]>): void {
    if (data !== undefined) this.#kernel.bytes.set(data, this.#room);
    let part = this.#part(to);
    if (kind === "lend") {
      if (!this.#do("partIsNew", this.#parts(to), from, id)) return;
      if (!open && this.#bug("drops what was lent when the request has ended")) return;
      if (part === 0) part = this.#do("partBegin", this.#parts(to), 0n, 0n, 1, this.#frame(to), from);
      this.#do("partTake", part, id, this.#room);
      this.#do("pageUnnumbered", this.#page(to));
      if (!open && !this.#bug("keeps what was lent when the request has ended")) this.#giveBack(to);
    } else if (part === 0) return;
    else if (kind === "recall") {
      if (this.#do("partOwner", part) === from && this.#do("partId", part) === id) this.#giveBack(to);
    } else if (this.#do("partMerge", part, from, id, this.#room) && this.#lent(to) === 0n) this.#whole(to);
  }

  #deliver(from: number, to: number): void {
    const { bytes, data, loan } = this.#wire(from, to).shift()!;
    const part = this.#part(to);
    const purged = bytes[0] === this.#c["SAY_PURGE"] && part !== 0 && !this.#isOwnerOfParts(to);
    if (purged && !this.#bug("keeps what a dead machine lent until it hears of the death itself"))
      this.#do("partEnd", this.#parts(to), part);
    const transaction = this.#do("pageTransaction", this.#page(to));
    const open =
      bytes.length > 0 &&
      transaction !== 0 &&
      transaction === new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
    if (loan !== undefined) this.#loan(from, to, open, loan);
    if (bytes.length === 0) return;
    const engine = this.#engines.engine(to);
    this.#run(
      to,
      () =>
        this.#engines.do.message(
          engine,
          this.#page(to),
          this.#engines.put(new Uint32Array(bytes.slice().buffer)),
        ),
      data,
    );
  }

  #kill(m: number): void {
    const machine = this.#machine(m);
    machine.alive = false;
    machine.revoking = -1;
    for (const thread of machine.threads) thread.right = 0;
    this.#deaths++;
  }

  #notice(m: number, dead: number): void {
    const engine = this.#engines.engine(m);
    this.#machine(m).noticed |= 1 << dead;
    this.#engines.do.dead(engine, dead);
    const part = this.#part(m);
    this.#do("partsForget", this.#parts(m), dead);
    if (part !== 0 && this.#do("partOwner", part) === dead) {
      if (!this.#bug("goes on with a dead owner's bytes")) this.#do("partEnd", this.#parts(m), part);
    } else if (part !== 0 && this.#do("partLost", part, dead))
      this.#machine(m).broken = !this.#bug("tells nobody of a borrower's death");
    this.#run(m, () => this.#engines.do.peerDied(engine, this.#page(m), dead));
    if (this.#isOwnerOfParts(m) && this.#lent(m) === 0n) this.#whole(m);
  }

  // --- Judging ---

  #check(): void {
    // Who serves a home that he does not yet know to be dead is an orphan already.
    if (!this.#machine(this.#setup.home).alive) return;
    for (let chunk = 0; chunk < CHUNKS; chunk++) {
      let writers = 0;
      let readers = 0;
      this.#machines.forEach(({ alive, threads }, index) => {
        if (!alive) return;
        const right = Math.max(0, ...threads.map((thread) => thread.right));
        const mine = (this.#mine(index + 1) >> BigInt(chunk)) & 1n;
        if (right > 0 && this.#part(index + 1) !== 0)
          throw new Violation(`machine ${index + 1} maps a page that is in parts`);
        if (right === 2 || mine !== 0n) writers++;
        else if (right === 1) readers++;
      });
      if (writers > 1 || (writers === 1 && readers > 0))
        throw new Violation(`chunk ${chunk}: ${writers} machines can write while ${readers} can read`);
    }
  }

  // --- Saving, for the exhaustive search ---

  save(): Saved {
    return {
      engines: this.#engines.save(),
      parts: this.#kernel.bytes.slice(this.#region, this.#region + this.#regionBytes),
      machines: this.#machines.map((machine) => this.#copy(machine)),
      wires: this.#wires.map((wire) => wire.map((message) => ({ ...message, bytes: message.bytes.slice() }))),
      latest: this.#latest.slice(),
      counts: [this.#deaths, this.#returns, this.#lends, this.#reverted],
    };
  }

  #copy(machine: Machine): Machine {
    return { ...machine, threads: machine.threads.map((thread) => ({ ...thread })) };
  }

  load(saved: Saved): void {
    this.#engines.load(saved.engines);
    this.#kernel.bytes.set(saved.parts, this.#region);
    this.#machines = saved.machines.map((machine) => this.#copy(machine));
    this.#wires = saved.wires.map((wire) => wire.slice());
    this.#latest = saved.latest.slice();
    [this.#deaths, this.#returns, this.#lends, this.#reverted] = saved.counts;
  }

  fingerprint(to: Uint32Array): void {
    const hash = createHash("md5");
    const words = this.#words;
    words.clear();
    const env: number[] = [...this.#latest, this.#deaths, this.#returns, this.#lends, this.#reverted];
    this.#machines.forEach(({ threads, alive, noticed, failures, revoking, dirty, broken }, index) => {
      const m = index + 1;
      this.#engines.digest(words, m, [0]);
      const part = this.#part(m);
      env.push(alive ? 1 : 0, noticed, failures > 0 ? 1 : 0, revoking, dirty ? 1 : 0, broken ? 1 : 0);
      env.push(this.#do("partsSerial", this.#parts(m)), part !== 0 ? 1 : 0);
      if (part !== 0) {
        env.push(Number(this.#mine(m) & 7n), Number(this.#lent(m) & 7n), this.#do("partRecalled", part));
        env.push(this.#do("partOwner", part), this.#do("partId", part));
        for (let other = 1; other <= this.#n; other++) env.push(this.#do("partLoan", part, other));
      }
      for (let from = 1; from <= this.#n; from++) env.push(this.#do("partsTaken", this.#parts(m), from));
      for (let chunk = 0; chunk < CHUNKS; chunk++) env.push(this.#value(m, chunk));
      for (const { at, state, right, declined } of threads) env.push(at, state, right, declined ? 1 : 0);
    });
    for (const wire of this.#wires) {
      env.push(wire.length);
      for (const { bytes, data, loan } of wire) {
        hash.update(bytes);
        if (data !== undefined) hash.update(data);
        if (loan !== undefined) hash.update(`${loan.kind} ${loan.id}`).update(loan.data ?? "");
        env.push(data === undefined ? 0 : 1, loan === undefined ? 0 : 1);
      }
    }
    hash.update(new Uint8Array(Int32Array.from(env).buffer));
    const digest = hash.digest();
    for (let i = 0; i < 4; i++) words.put(digest.readUInt32LE(4 * i));
    words.fingerprint(to);
  }
}
