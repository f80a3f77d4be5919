// Pages that are lent, in the cluster of coherence-state.ts: what loans.ts does around the compiled parts (parts.ts). Of each page one chunk counts, that
// with its value: who has lent it has nothing of the page until it is back. (loans-world.ts has several chunks, and one page that never moves.)
import type { Cluster, Thread } from "./coherence-state.js";
import type { KernelWasm } from "./kernel-wasm.js";
import { Violation } from "./search.js";

const CHUNK = 64;
const ROOM = 8 + CHUNK;
const FIRST = 1n;

/** Bugs that may be planted here, by Cluster.planted. */
export const lendingBugs = [
  "a page that is lent stays so when its home moves",
  "what was lent is dropped when its home moves",
  "what is lent stays with who has frozen",
  "nobody is told of what was lent and is gone",
  "what was lent is dropped when the home recovers the page",
] as const;
/**
 * Not found: three of loans-state.ts, which survive there as well; and one that is found there. Here who has lost the page's owner, or its home, has it purged or
 * frozen, upon which what was lent goes back.
 */
export const lendingSurvivors = [
  "what is lent stays when its lender is gone",
  "lends what it recalls",
  "lends to a machine whose last loan is not the one it names",
  "keeps what was lent when the request has ended",
] as const;
type LendingBug = (typeof lendingBugs)[number] | (typeof lendingSurvivors)[number];

/** What comes with an answer, or goes back: bytes as parts.ts has them, of the lending with that number. */
export interface Loan {
  id: number;
  data: Uint8Array;
}

export type LoanStep =
  /** The borrower gives back, or the owner recalls, without need. */
  { do: "giveBack" | "recallLoan"; machine: number; page: number };

export type LoanNotice =
  | { kind: "loanRecall"; page: number; loan: number }
  | { kind: "loanReturn"; page: number; loan: number; data: Uint8Array };

export class Loans {
  /** Threads that wait for the page ask again. */
  asks: (machine: number, page: number) => void = () => {};
  readonly #cluster: Cluster;
  readonly #kernel: KernelWasm;
  readonly #region: number;
  readonly #partsBytes: number;
  readonly #stride: number;
  readonly #room: number;

  constructor(cluster: Cluster, kernel: KernelWasm) {
    this.#cluster = cluster;
    this.#kernel = kernel;
    const { machines, pages = 1, lends } = cluster.setup;
    this.#partsBytes = (kernel.call("partsBytes")(machines) + 15) & ~15;
    this.#stride = this.#partsBytes + pages * CHUNK;
    this.#region = lends === undefined ? 0 : kernel.room(machines * this.#stride);
    this.#room = lends === undefined ? 0 : kernel.room(ROOM);
  }

  get on(): boolean {
    return this.#cluster.setup.lends !== undefined;
  }

  /** A machine's memory at the beginning of a life. */
  create(number: number): void {
    if (!this.on) return;
    const at = this.#parts(number);
    this.#kernel.bytes.fill(0, at, at + this.#stride);
    this.#do("partsCreate", at, this.#cluster.setup.machines);
  }

  save(): Uint8Array {
    const bytes = this.on ? this.#cluster.setup.machines * this.#stride : 0;
    return this.#kernel.bytes.slice(this.#region, this.#region + bytes);
  }
  load(saved: Uint8Array): void {
    this.#kernel.bytes.set(saved, this.#region);
  }
  words(put: (word: number) => void, number: number): void {
    if (!this.on) return;
    const { numbers, pages } = this.#cluster;
    put(this.#do("partsSerial", this.#parts(number)));
    for (const from of numbers) put(this.#do("partsTaken", this.#parts(number), from));
    for (const page of pages) {
      const part = this.#part(number, page);
      put(part === 0 ? 0 : 1);
      if (part === 0) continue;
      put(this.#mine(part) ? 1 : 0);
      put(this.#do("partRecalled", part));
      put(this.#do("partOwner", part));
      put(this.#do("partId", part));
      for (const to of numbers) put(this.#do("partLoan", part, to));
    }
  }

  #planted(bug: LendingBug): boolean {
    return this.#cluster.planted === bug;
  }

  // --- Where things are ---

  #do(name: string, ...args: (number | bigint)[]): number {
    return this.#kernel.call(name)(...args);
  }
  #parts(number: number): number {
    return this.#region + (number - 1) * this.#stride;
  }
  #frame(number: number, page: number): number {
    return this.#parts(number) + this.#partsBytes + page * CHUNK;
  }
  #part(number: number, page: number): number {
    return this.on ? this.#do("partFind", this.#parts(number), 0n, BigInt(page)) : 0;
  }
  #mine(part: number): boolean {
    return (BigInt(this.#do("partMine", part)) & FIRST) !== 0n;
  }
  #hold(number: number, page: number): void {
    const { frame } = this.#cluster.machine(number).pages[page]!;
    this.#kernel.view.setInt32(this.#frame(number, page), frame, true);
  }
  #show(number: number, page: number): void {
    const here = this.#cluster.machine(number).pages[page]!;
    Object.assign(here, {
      frame: this.#kernel.view.getInt32(this.#frame(number, page), true),
      former: false,
    });
  }
  #out(bytes: number): Uint8Array {
    return this.#kernel.bytes.slice(this.#room, this.#room + bytes);
  }
  #isNewest(number: number, page: number): boolean {
    return Math.max(0, this.#cluster.machine(number).pages[page]!.frame) === this.#cluster.latest[page];
  }

  has(number: number, page: number): boolean {
    return this.#part(number, page) !== 0;
  }
  /** The page is this machine's, and what counts of it is elsewhere. */
  isLentOut(number: number, page: number): boolean {
    const part = this.#part(number, page);
    return part !== 0 && this.#do("partOwner", part) === 0;
  }
  /** The machine has it in parts, and may use it. */
  covers(number: number, page: number): boolean {
    const part = this.#part(number, page);
    return part !== 0 && !this.#cluster.machine(number).stopped && this.#mine(part);
  }
  /** The loan that it has, for who asks for more. */
  loanNumber(number: number, page: number): bigint {
    const part = this.#part(number, page);
    return part === 0 ? 0n : BigInt(this.#do("partId", part));
  }
  /** Who has what the page's owner has lent, or the owner. */
  whereIs(owner: number, page: number): number {
    if (!this.isLentOut(owner, page)) return owner;
    return (
      this.#cluster.numbers.find(
        (m) => m !== owner && this.has(m, page) && this.#mine(this.#part(m, page)),
      ) ?? owner
    );
  }

  // --- Steps ---

  mayBorrow(number: number, thread: Thread): boolean {
    const { engines, setup, lent, c } = this.#cluster;
    const { page, what } = thread.program[thread.at]!;
    if (!this.on || lent >= setup.lends! || what === "x" || thread.declined) return false;
    const { objects, pages, threads } = this.#cluster.machine(number);
    const { known, moving } = objects[this.#cluster.objectOf(page)]!;
    if (!known || moving !== 0 || !pages[page]!.exists || this.covers(number, page)) return false;
    if (threads.some(({ state, program, at }) => state !== 0 && program[at]!.page === page)) return false;
    return (
      !this.#cluster.isBroken(number, page) && engines.do.state(engines.page(number, page)) === c["INVALID"]
    );
  }

  steps(number: number): LoanStep[] {
    const { engines, setup, givenBack, c } = this.#cluster;
    if (!this.on || givenBack >= setup.lends!) return [];
    return this.#cluster.pages.flatMap((page): LoanStep[] => {
      const part = this.#part(number, page);
      if (part === 0 || !this.#cluster.machine(number).pages[page]!.exists) return [];
      const at = engines.page(number, page);
      if (engines.do.isFrozen(at) !== 0) return [];
      if (this.#do("partOwner", part) === 0)
        return this.#do("partRecalled", part) === 0 ? [{ do: "recallLoan", machine: number, page }] : [];
      return engines.do.state(at) === c["INVALID"] ? [{ do: "giveBack", machine: number, page }] : [];
    });
  }

  take({ do: what, machine, page }: LoanStep): void {
    this.#cluster.givenBack++;
    if (what === "giveBack") this.#giveBack(machine, page);
    else this.recall(machine, page);
  }

  // --- The owner ---

  /** lend(): undefined: it is refused. `has`: the loan that the asker has. */
  lend(number: number, page: number, to: number, has: bigint): Loan | undefined {
    const { engines, setup, lent, losses, notes, c } = this.#cluster;
    const machine = this.#cluster.machine(number);
    const member = !this.#cluster.takeover || machine.membership.member;
    if (lent >= setup.lends! || !member || machine.stopped) return undefined;
    if (engines.do.state(engines.page(number, page)) !== c["MODIFIED"]) return undefined;
    if (this.#cluster.isBroken(number, page) || machine.pages[page]!.revoking >= 0) return undefined;
    // Whoever waits for the page, or has been granted it and not used it, is not put off.
    const uses = (thread: Thread) => thread.state !== 0 && thread.program[thread.at]!.page === page;
    if (machine.threads.some(uses)) return undefined;
    let part = this.#part(number, page);
    const same = has === BigInt(part === 0 ? 0 : this.#do("partLoan", part, to));
    if (!same && !this.#planted("lends to a machine whose last loan is not the one it names"))
      return undefined;
    if (part === 0) {
      notes.takeAway(number, page);
      part = this.#do("partBegin", this.#parts(number), 0n, BigInt(page), 1, this.#frame(number, page), 0);
      this.#hold(number, page);
    } else if (this.#isRecalled(part) || !this.#mine(part)) return undefined;
    this.#cluster.lent++;
    losses.lent(page, this.#isNewest(number, page));
    const data = this.#out(this.#do("partLend", this.#parts(number), part, to, FIRST, this.#room));
    return { id: this.#do("partsSerial", this.#parts(number)), data };
  }

  #isRecalled(part: number): boolean {
    if (!this.#planted("lends what it recalls")) return this.#do("partRecalled", part) !== 0;
    this.#do("partRecallEnd", part);
    return false;
  }

  /** loansRecall() */
  recall(number: number, page: number): void {
    const part = this.#part(number, page);
    if (part === 0 || this.#do("partOwner", part) !== 0 || this.#do("partRecalled", part) !== 0) return;
    this.#do("partRecall", part);
    for (const to of this.#cluster.numbers) {
      const loan = this.#do("partLoan", part, to);
      if (loan !== 0) this.#tell(number, to, { kind: "loanRecall", page, loan });
    }
  }

  /** What was lent is back, or as it was lent. */
  #back(number: number, page: number): void {
    this.#show(number, page);
    this.#cluster.losses.isBack(page, this.#isNewest(number, page));
  }

  #whole(number: number, page: number): void {
    this.#do("partEnd", this.#parts(number), this.#part(number, page));
    if (this.#cluster.machine(number).pages[page]!.revoking < 0) this.asks(number, page);
  }

  // --- A borrower ---

  /** loanCame(); `open`: the request that it answers is. */
  came(number: number, page: number, from: number, { id, data }: Loan, open: boolean): void {
    const { engines } = this.#cluster;
    if (this.#do("partIsNew", this.#parts(number), from, id) === 0) return;
    const at = this.#cluster.find(number, page);
    let part = this.#part(number, page);
    if (part === 0)
      part = this.#do("partBegin", this.#parts(number), 0n, BigInt(page), 1, this.#frame(number, page), from);
    if (this.#do("partOwner", part) !== from) throw new Violation(`two machines lend page ${page}`);
    this.#kernel.bytes.set(data, this.#room);
    this.#do("partTake", part, id, this.#room);
    this.#do("serialForget", at);
    this.#cluster.machine(number).pages[page]!.framed = true;
    this.#show(number, page);
    const frozen = engines.do.isFrozen(at) !== 0 && !this.#planted("what is lent stays with who has frozen");
    const over = !open && !this.#planted("keeps what was lent when the request has ended");
    if (over || frozen) this.#giveBack(number, page);
  }

  /** loanReturns(): the page's home moves, or recovers it. */
  returns(number: number, page: number, moves = false): void {
    const part = this.#part(number, page);
    if (part === 0 || this.#do("partOwner", part) === 0) return;
    if (moves && this.#planted("a page that is lent stays so when its home moves")) return;
    const drops = moves
      ? this.#planted("what was lent is dropped when its home moves")
      : this.#planted("what was lent is dropped when the home recovers the page");
    if (drops) this.#do("partEnd", this.#parts(number), part);
    else this.#giveBack(number, page);
  }

  #giveBack(number: number, page: number): void {
    const part = this.#part(number, page);
    this.#hold(number, page);
    const [to, loan] = [this.#do("partOwner", part), this.#do("partId", part)];
    const data = this.#out(this.#do("partGive", part, this.#room));
    this.#do("partEnd", this.#parts(number), part);
    this.#tell(number, to, { kind: "loanReturn", page, loan, data });
  }

  #tell(from: number, to: number, notice: LoanNotice): void {
    if (!this.#cluster.knowsDead(from, to)) this.#cluster.tell(from, to, notice);
  }

  /** loanMessage() */
  noticed(from: number, to: number, notice: LoanNotice): void {
    const { page, loan } = notice;
    const part = this.#part(to, page);
    if (part === 0) return;
    if (notice.kind === "loanRecall") {
      if (this.#do("partOwner", part) === from && this.#do("partId", part) === loan) this.#giveBack(to, page);
      return;
    }
    this.#kernel.bytes.set(notice.data, this.#room);
    if (this.#do("partMerge", part, from, loan, this.#room) === 0) return;
    this.#back(to, page);
    if (BigInt(this.#do("partLent", part)) === 0n) this.#whole(to, page);
  }

  // --- Machines that die ---

  /** loansMachineDied(), before the engine hears of it. */
  died(number: number, dead: number): void {
    if (!this.on) return;
    this.#do("partsForget", this.#parts(number), dead);
    for (const page of this.#cluster.pages) {
      const part = this.#part(number, page);
      if (part === 0) continue;
      if (this.#do("partOwner", part) === dead) {
        if (!this.#planted("what is lent stays when its lender is gone"))
          this.#do("partEnd", this.#parts(number), part);
      } else if (this.#do("partLost", part, dead) !== 0) {
        if (!this.#planted("nobody is told of what was lent and is gone")) this.#cluster.breaks(number, page);
        this.#cluster.tellings.borrowerGone(page);
        this.#cluster.losses.isBack(page, this.#isNewest(number, page));
      }
    }
  }

  /** loansMachineGone() */
  gone(number: number): void {
    for (const page of this.#cluster.pages)
      if (this.isLentOut(number, page) && BigInt(this.#do("partLent", this.#part(number, page))) === 0n)
        this.#whole(number, page);
  }
}
