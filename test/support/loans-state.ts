// The small cluster of loans-world.ts: its machines, threads and messages, the compiled engine and parts of every machine, the bugs that
// may be planted around them, and who sees all of it and judges.
import { createHash } from "node:crypto";
import { Engines } from "./coherence-engines.js";
import { type LossState, Rounds, type Word } from "./coherence-losses.js";
import { Words } from "./fingerprint.js";
import type { KernelWasm } from "./kernel-wasm.js";
import { Violation } from "./search.js";

export const CHUNKS = 3;
export const CHUNK = 64;

/** What may be planted, one at a time, in what is done around the compiled parts. */
export const loanBugs = [
  "lends a page that is still mapped",
  "gives the page up while something is lent",
  "maps the page while something is lent",
  "gives back without the bytes",
  "keeps using what it gave back",
  "tells nobody of a borrower's death",
  "tells one who waits nothing of a borrower's death",
  "forgets to recall for a writer elsewhere",
  "goes on with a dead owner's bytes",
  "drops what was lent when the request has ended",
  "takes a new life's loans for its former one's",
  "keeps what a dead machine lent until it hears of the death itself",
  "drops what was lent when the home recovers the page",
] as const;
/**
 * Not found, since other rules are enough. What is lent while more of it comes back is known from that. Who has a loan asks its lender directly next, behind what it gives back on the same link; who asks
 * by way of the home has none, or has given it back since, as the lender knows. And a request ends before its answer only with the lender,
 * who is heard no more then, or with the page's home, with which these worlds end (in the kernel the page is frozen then). Nor
 * are they where homes move (coherence-loans.ts).
 */
export const survivors = [
  "lends what it recalls",
  "lends to a machine whose last loan is not the one it names",
  "keeps what was lent when the request has ended",
] as const;
export type LoanBug = (typeof loanBugs)[number] | (typeof survivors)[number];

/** Per thread: r0 reads chunk 0, w1 reads chunk 1 and writes it, p does so with all of the page, in one instruction. */
export interface LoanSetup {
  home: number;
  programs: string[][];
  /** How often in all a borrower gives back, and an owner recalls, without need. */
  returns?: number;
  /** How often in all chunks are lent: a machine leaves a page whole for a time after a conflict, or it would go on for ever. */
  lends?: number;
  bug?: LoanBug;
  /** Who died comes back. */
  rejoins?: true;
  /** What has happened already when the search begins. */
  begins?: readonly Step[];
  /** A chunk that no machine that dies has. */
  keeps?: number;
}

export interface Thread {
  readonly program: readonly string[];
  at: number;
  /** 0 ready, 1 waits, 2 has the page and has not retired its instruction, 3 has asked for chunks. */
  state: number;
  /** Chunks were refused: it wants the page. */
  declined: boolean;
  /** What its core may still do by its page tables: 0 nothing, 1 read, 2 write. */
  right: number;
}

export interface Machine {
  threads: Thread[];
  alive: boolean;
  /** It has died once and come back, with empty memory. */
  returned: boolean;
  noticed: number;
  failures: number;
  revoking: number;
  dirty: boolean;
}

export interface Wire {
  bytes: Uint8Array;
  /** The page, when it comes along. */
  data?: Uint8Array;
  /** What is lent with an answer; or a loan's end: its recall (no data), its return. */
  loan?: { kind: "lend" | "recall" | "return"; id: number; data?: Uint8Array };
  /** It tells of a loss. */
  word?: Word;
}

export type Step =
  | { do: "start"; machine: number; thread: number; borrow?: true }
  | { do: "retire"; machine: number; thread: number }
  | { do: "gone"; machine: number }
  | { do: "deliver"; from: number; to: number }
  | { do: "giveBack"; machine: number }
  | { do: "recall"; machine: number }
  | { do: "kill"; machine: number }
  | { do: "notice"; machine: number; dead: number }
  | { do: "return"; machine: number }
  | { do: "welcome"; machine: number; back: number };

export interface Saved {
  engines: Uint8Array;
  parts: Uint8Array;
  machines: Machine[];
  wires: Wire[][];
  latest: number[];
  counts: [deaths: number, returns: number, lends: number];
  losses: LossState;
}

export const copyMachine = (machine: Machine): Machine => ({
  ...machine,
  threads: machine.threads.map((thread) => ({ ...thread })),
});

export class LoansCluster {
  protected readonly kernel: KernelWasm;
  protected readonly setup: LoanSetup;
  protected readonly engines: Engines;
  protected readonly c: Record<string, number>;
  protected readonly n: number;
  protected readonly region: number;
  protected readonly partsBytes: number;
  protected readonly regionBytes: number;
  protected readonly room: number;
  protected machines: Machine[] = [];
  protected wires: Wire[][] = [];
  protected latest: number[] = new Array(CHUNKS).fill(0);
  protected deaths = 0;
  protected returns = 0;
  protected lends = 0;
  /** Of chunks. */
  protected readonly losses = new Rounds(CHUNKS);
  /** Chunks lent, accesses in parts, failures told: whether a run met what it is for. */
  readonly met = { lent: 0, carried: 0, recalled: 0, told: 0, broken: 0 };
  protected readonly words = new Words();

  constructor(kernel: KernelWasm, setup: LoanSetup) {
    this.kernel = kernel;
    this.setup = setup;
    this.n = setup.programs.length;
    this.engines = new Engines(kernel, { machines: this.n, pages: 1, ranges: false });
    this.c = this.engines.c;
    this.partsBytes = (kernel.call("partsBytes")(this.n) + 15) & ~15;
    const frame = 4096;
    this.regionBytes = this.n * (this.partsBytes + frame);
    this.region = kernel.room(this.regionBytes);
    this.room = kernel.room(4096 + 8);
    kernel.bytes.fill(0, this.region, this.region + this.regionBytes);
    for (let m = 1; m <= this.n; m++) {
      this.create(m, 0);
      this.machines.push({
        threads: setup.programs[m - 1]!.map((program) => ({
          program: program.match(/[rw]\d|p/g) ?? [],
          at: 0,
          state: 0,
          declined: false,
          right: 0,
        })),
        alive: true,
        returned: false,
        noticed: 0,
        failures: 0,
        revoking: -1,
        dirty: false,
      });
    }
    for (let i = 0; i < this.n * this.n; i++) this.wires.push([]);
  }

  // --- Where things are ---

  protected machine(m: number): Machine {
    return this.machines[m - 1]!;
  }
  protected wire(from: number, to: number): Wire[] {
    return this.wires[(from - 1) * this.n + to - 1]!;
  }
  protected parts(m: number): number {
    return this.region + (m - 1) * (this.partsBytes + 4096);
  }
  protected frame(m: number): number {
    return this.parts(m) + this.partsBytes;
  }
  protected do(name: string, ...args: (number | bigint)[]): number {
    return this.kernel.call(name)(...args);
  }
  /** The machine's Part, 0 without. */
  protected part(m: number): number {
    return this.do("partFind", this.parts(m), 0n, 0n);
  }
  protected mine(m: number): bigint {
    const part = this.part(m);
    return part === 0 ? 0n : BigInt.asUintN(64, BigInt(this.do("partMine", part)));
  }
  protected lent(m: number): bigint {
    const part = this.part(m);
    return part === 0 ? 0n : BigInt.asUintN(64, BigInt(this.do("partLent", part)));
  }
  protected isOwnerOfParts(m: number): boolean {
    const part = this.part(m);
    return part !== 0 && this.do("partOwner", part) === 0;
  }
  protected page(m: number): number {
    return this.engines.page(m, 0);
  }
  protected state(m: number): number {
    return this.engines.do.state(this.page(m));
  }
  protected bug(bug: LoanBug): boolean {
    return this.setup.bug === bug;
  }
  /** Bytes of its page died with a borrower, and nobody was told. */
  protected isBroken(m: number): boolean {
    return this.do("pageIsBroken", this.page(m)) !== 0;
  }
  protected break(m: number, broken: boolean): void {
    this.do("pageBreak", this.page(m), broken ? 1 : 0);
  }
  protected knowsDead(m: number, dead: number): boolean {
    return (this.machine(m).noticed & (1 << dead)) !== 0;
  }
  protected homeless(m: number): boolean {
    return this.knowsDead(m, this.setup.home);
  }
  protected value(m: number, chunk: number): number {
    return this.kernel.view.getUint32(this.frame(m) + chunk * CHUNK, true);
  }

  /** A machine's memory at the beginning of a life. */
  protected create(m: number, life: number): void {
    this.kernel.bytes.fill(0, this.parts(m), this.frame(m) + 4096);
    this.engines.createMachine(m, life);
    this.engines.createPage(m, 0, this.setup.home);
    this.do("partsCreate", this.parts(m), this.n);
  }

  protected wordsUnderWay(): Word[] {
    return this.wires.flat().flatMap(({ word }) => (word === undefined ? [] : [word]));
  }

  // --- Judging ---

  protected check(): void {
    // Who serves a home that he does not yet know to be dead is an orphan already.
    if (!this.machine(this.setup.home).alive) return;
    for (let chunk = 0; chunk < CHUNKS; chunk++) {
      let writers = 0;
      let readers = 0;
      this.machines.forEach(({ alive, threads }, index) => {
        if (!alive) return;
        const right = Math.max(0, ...threads.map((thread) => thread.right));
        const mine = (this.mine(index + 1) >> BigInt(chunk)) & 1n;
        if (right > 0 && this.part(index + 1) !== 0)
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
      engines: this.engines.save(),
      parts: this.kernel.bytes.slice(this.region, this.region + this.regionBytes),
      machines: this.machines.map((machine) => copyMachine(machine)),
      wires: this.wires.map((wire) => wire.map((message) => ({ ...message, bytes: message.bytes.slice() }))),
      latest: this.latest.slice(),
      counts: [this.deaths, this.returns, this.lends],
      losses: this.losses.save(),
    };
  }

  load(saved: Saved): void {
    this.engines.load(saved.engines);
    this.kernel.bytes.set(saved.parts, this.region);
    this.machines = saved.machines.map((machine) => copyMachine(machine));
    this.wires = saved.wires.map((wire) => wire.slice());
    this.latest = saved.latest.slice();
    [this.deaths, this.returns, this.lends] = saved.counts;
    this.losses.load(saved.losses);
  }

  fingerprint(to: Uint32Array): void {
    const hash = createHash("md5");
    const words = this.words;
    words.clear();
    const env: number[] = [...this.latest, this.deaths, this.returns, this.lends];
    env.push(...this.losses.summary(this.wordsUnderWay()));
    this.machines.forEach(({ threads, alive, returned, noticed, revoking, dirty }, index) => {
      const m = index + 1;
      this.engines.digest(words, m, [0]);
      const part = this.part(m);
      env.push(
        (alive ? 1 : 0) | (returned ? 2 : 0),
        noticed,
        revoking,
        dirty ? 1 : 0,
        this.isBroken(m) ? 1 : 0,
      );
      env.push(this.do("partsSerial", this.parts(m)), part !== 0 ? 1 : 0);
      if (part !== 0) {
        env.push(Number(this.mine(m) & 7n), Number(this.lent(m) & 7n), this.do("partRecalled", part));
        env.push(this.do("partOwner", part), this.do("partId", part));
        for (let other = 1; other <= this.n; other++) env.push(this.do("partLoan", part, other));
      }
      for (let from = 1; from <= this.n; from++) env.push(this.do("partsTaken", this.parts(m), from));
      for (let chunk = 0; chunk < CHUNKS; chunk++) env.push(this.value(m, chunk));
      for (const { at, state, right, declined } of threads) env.push(at, state, right, declined ? 1 : 0);
    });
    for (const wire of this.wires) {
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
