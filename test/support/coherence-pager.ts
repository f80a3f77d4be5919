// The pagers of the cluster of coherence-state.ts and the threads that they serve: what pages.ts and pager.ts do around the
// engine. A thread asks for its page, gets a right to it, retires its instruction; a right that is revoked ends late, as
// page tables and TLBs let go.
import type { Judge } from "./coherence-judge.js";
import type { Loan } from "./coherence-loans.js";
import type { Word } from "./coherence-losses.js";
import type { Mirrors } from "./coherence-mirror.js";
import { type Cluster, isDone, type Thread } from "./coherence-state.js";
import { Violation } from "./search.js";

export class Pagers {
  readonly #cluster: Cluster;
  readonly #judge: Judge;
  readonly #mirrors: Mirrors;

  constructor(cluster: Cluster, judge: Judge, mirrors: Mirrors) {
    this.#mirrors = mirrors;
    this.#cluster = cluster;
    this.#judge = judge;
    cluster.loans.asks = (number, page) => this.askAgain(number, page);
  }

  // --- Threads ---

  #need(thread: Thread): number {
    return thread.program[thread.at]!.what === "r" ? 1 : 2;
  }

  #waiting(number: number, page: number): Thread[] {
    return this.#cluster
      .machine(number)
      .threads.filter(({ state, program, at }) => state === 1 && program[at]!.page === page);
  }

  #homeless(number: number, page: number): boolean {
    return !this.#cluster.takeover && this.#cluster.knowsDead(number, this.#cluster.home(page));
  }

  start(number: number, thread: Thread, borrow: boolean): void {
    const { what, page } = thread.program[thread.at]!;
    const { engines, loans, c } = this.#cluster;
    if (what === "o") this.#mirrors.comes(number, thread);
    else if (thread.right[page]! >= this.#need(thread)) this.execute(number, thread);
    else if (what !== "x" && loans.covers(number, page) && !this.#cluster.isBroken(number, page))
      this.#carryOut(number, thread);
    else if (this.#homeless(number, page)) this.#fail(number, thread);
    else if (this.#toldOfLoss(number, page))
      this.#tell(number, [thread], this.#cluster.losses.word([page]), true);
    else if (borrow) {
      thread.state = 3;
      const [engine, at] = [engines.engine(number), engines.page(number, page)];
      const loan = loans.loanNumber(number, page);
      this.run(number, page, () => engines.do.operate(engine, at, c["BORROW"]!, 1n, loan));
    } else {
      thread.state = 1;
      this.#askFor(number, page, this.#need(thread) === 2);
    }
  }

  /** In this machine's part of a page, by the kernel. */
  #carryOut(number: number, thread: Thread): void {
    const { page } = thread.program[thread.at]!;
    const here = this.#cluster.machine(number).pages[page]!;
    this.#judge.sees(number, page, here.frame);
    if (this.#need(thread) === 2) {
      here.frame = ++this.#cluster.latest[page]!;
      this.#cluster.losses.written(page);
      this.#judge.writes(number, page, here.frame);
    }
    this.#next(thread);
  }

  execute(number: number, thread: Thread): void {
    const { page } = thread.program[thread.at]!;
    const here = this.#cluster.machine(number).pages[page]!;
    const need = this.#need(thread);
    if (thread.right[page]! < need)
      throw new Violation(`machine ${number} runs an instruction without the right`);
    this.#judge.sees(number, page, here.frame);
    if (need === 2) {
      here.frame = ++this.#cluster.latest[page]!;
      here.dirty = true;
      thread.wrote[page] = true;
      this.#cluster.losses.written(page);
      this.#judge.writes(number, page, here.frame);
    }
    this.#next(thread);
  }

  #fail(number: number, thread: Thread): void {
    this.#cluster.machine(number).failures++;
    this.#next(thread);
  }

  /** Those that wait for the page, or for an operation on it. */
  #toBeTold(number: number, page: number): Thread[] {
    return this.#cluster
      .machine(number)
      .threads.filter(({ state, program, at }) => (state === 1 || state === 3) && program[at]!.page === page);
  }

  /** They are told of a loss. */
  #tell(number: number, threads: readonly Thread[], word: Word, ofLent = false): void {
    const [first] = threads;
    if (first === undefined) return;
    this.#cluster.losses.tell(word);
    const operates = threads.every(({ state }) => state === 3);
    this.#cluster.tellings.told(number, first.program[first.at]!.page, operates, ofLent);
    for (const thread of threads) this.#fail(number, thread);
  }

  #next(thread: Thread): void {
    thread.state = 0;
    thread.declined = false;
    thread.at++;
  }

  // --- Asking ---

  #toldOfLoss(number: number, page: number): boolean {
    const { engines } = this.#cluster;
    if (!this.#cluster.isBroken(number, page)) return false;
    this.#cluster.machine(number).pages[page]!.unheard = undefined;
    return engines.do.lossTold(engines.page(number, page)) !== 0;
  }

  /** For the threads that wait, as pages.ts does. */
  #askFor(number: number, page: number, write: boolean): void {
    const { engines, c } = this.#cluster;
    const machine = this.#cluster.machine(number);
    const at = this.#cluster.find(number, page);
    machine.pages[page]!.framed = true;
    // Asked when it has a home again, and all has its mirrors.
    if (machine.objects[this.#cluster.objectOf(page)]!.moving !== 0 || this.#mirrors.heals(number)) return;
    const waiting = this.#waiting(number, page);
    const sendable =
      !this.#mirrors.on &&
      waiting.every((thread) => thread.program[thread.at]!.what === "x" && !thread.declined);
    const engine = engines.engine(number);
    if (sendable && engines.do.state(at) === c["INVALID"]) {
      waiting[0]!.state = 3;
      machine.pages[page]!.done = 0;
      this.run(number, page, () => engines.do.operate(engine, at, 1, 1n, 0n));
    } else this.run(number, page, () => engines.do.ask(engine, at, write ? 1 : 0));
  }

  askAgain(number: number, page: number): void {
    const waiting = this.#waiting(number, page);
    if (waiting.length === 0) return;
    if (this.#homeless(number, page)) for (const thread of waiting) this.#fail(number, thread);
    else {
      const write = waiting.some((thread) => this.#need(thread) === 2);
      this.#askFor(number, page, write);
    }
  }

  // --- Letting go ---

  /** No thread holds what is to go: its instruction has retired. */
  mayGo(number: number, page: number): boolean {
    const { threads, pages } = this.#cluster.machine(number);
    const pinned = threads.some(({ state, program, at }) => state === 2 && program[at]!.page === page);
    return (
      pages[page]!.revoking >= 0 &&
      !pinned &&
      this.#mirrors.ready(number, page) &&
      !this.#cluster.loans.isLentOut(number, page)
    );
  }

  gone(number: number, page: number): void {
    const { engines } = this.#cluster;
    const machine = this.#cluster.machine(number);
    const here = machine.pages[page]!;
    const dirty = this.#cluster.notes.takeAway(number, page, here.revoking) ? 1 : 0;
    here.revoking = -1;
    here.dirty = false;
    this.#mirrors.ended(number, page);
    const [engine, at] = [engines.engine(number), engines.page(number, page)];
    this.run(number, page, () => engines.do.gone(engine, at, dirty));
  }

  /** The lease has run out: no core has a page any more; threads that had one fault again. */
  stop(number: number): void {
    for (const page of this.#cluster.pages) this.#cluster.notes.suspend(number, page);
    for (const thread of this.#cluster.machine(number).threads) if (thread.state === 2) thread.state = 1;
  }

  /** As homes.ts does before a move: it is over at once and leaves the page here; threads fault again. */
  endRevocation(number: number, page: number): void {
    const machine = this.#cluster.machine(number);
    const here = machine.pages[page]!;
    if (here.revoking < 0) return;
    here.revoking = -1;
    this.#cluster.notes.suspend(number, page);
    for (const thread of machine.threads)
      if (thread.state === 2 && thread.program[thread.at]!.page === page) thread.state = 1;
  }

  // --- What the engine wants ---

  /**
   * Runs the engine and carries out what it wants, as pager.ts does. `value`: of the page that came, in fact or in name (`same`);
   * `heard`: what the message was a word about; `ofLent`: and that may be of no more than what was lent.
   */
  run(
    number: number,
    page: number,
    work: () => void,
    value = 0,
    same = false,
    from = 0,
    heard?: Word,
    ofLent = false,
  ): void {
    const { engines, c, losses } = this.#cluster;
    const machine = this.#cluster.machine(number);
    const here = machine.pages[page]!;
    let again = false;
    const lost = losses.byRanges(number);
    const held = this.#isHeld(number, page);
    const waited = this.#toBeTold(number, page).length > 0;
    engines.do.setWaited(engines.page(number, page), waited ? 1 : 0);
    const wanted = engines.run(number, work);
    const next = this.#cluster.homeFor(number, page);
    const nobodys = engines.do.failsForNobody(engines.engine(number), engines.page(number, page), next) !== 0;
    const left = lost.length > 0 ? losses.byRanges(number) : lost;
    const word =
      heard ?? losses.word([page, ...lost.filter((each) => each !== page && !left.includes(each))]);
    if (!held && this.#isHeld(number, page)) losses.given(number, page, here.frame);
    if (!this.#cluster.isBroken(number, page)) here.unheard = undefined;
    if (nobodys) this.#cluster.breaks(number, page);
    if (nobodys) here.unheard = word;
    for (const { kind, to, flags, message } of wanted) {
      if (kind === c["ACT_SEND"]) this.#send(number, page, to, message, word);
      else if (kind === c["ACT_TAKE"]) {
        if (same) this.#judge.isSame(number, page, value);
        here.frame = value;
        here.framed = true;
        here.former = false;
        this.#mirrors.taken(number, page, from);
      } else if (kind === c["ACT_GRANT"]) {
        // A right is not used while the lease has run out: it is asked for again then.
        if (!machine.stopped) again = this.#grant(number, page, flags) || again;
      } else if (kind === c["ACT_REVOKE"]) {
        here.revoking = here.revoking < 0 ? flags : Math.min(here.revoking, flags);
        this.#cluster.loans.recall(number, page);
      } else if (kind === c["ACT_WAKE"]) again = true;
      else if (kind === c["ACT_OPERATED"]) this.#operated(number, page, flags, word);
      else if (kind === c["ACT_FAIL"]) {
        here.operation = 0;
        const told = this.#toBeTold(number, page);
        this.#tell(number, told, word, ofLent);
        if (told.length > 0 || nobodys || this.#cluster.homeFor(number, page) === number) continue;
        // Who asked has ended, since its machine leaves.
        if (machine.threads.every(isDone)) this.#cluster.losses.tell(word);
      }
    }
    if (again) this.askAgain(number, page);
  }

  /** At the home. */
  #isHeld(number: number, page: number): boolean {
    const { engines, c, ranges } = this.#cluster;
    if (this.#cluster.homeFor(number, page) !== number) return false;
    const at = engines.page(number, page);
    if (!ranges || engines.do.ranged(at) === 0) return engines.do.directory(at) === c["HELD"];
    // What was granted with a range and never touched is at home still.
    const [set, index] = [engines.set(number), BigInt(page)];
    return engines.do.rangeOwner(set, index) !== 0 && engines.do.holder(set, index) === 0;
  }

  #send(from: number, page: number, to: number, bytes: Uint8Array, failing: Word): void {
    const cluster = this.#cluster;
    const { c } = cluster;
    const here = cluster.machine(from).pages[page]!;
    cluster.messages++;
    cluster.engines.refuses(from, page, bytes);
    const broken = cluster.isBroken(from, page);
    if (bytes[0] === c["SAY_EARLY"] && broken) throw new Violation("bytes of a page that is lost go early");
    const data = (bytes[3]! & c["WITH_DATA"]!) !== 0;
    if (data) cluster.dataMessages++;
    const transaction = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
    const kind = bytes[0];
    if ((kind === c["SAY_GET_OPERATE"] || kind === c["SAY_EXECUTE"]) && bytes[2] === from)
      here.operation = transaction;
    // As performFor() of page-send.ts: nor of bytes that are lost, of which nobody was told.
    const usable = !cluster.machine(from).stopped && !broken;
    const loan = kind === c["SAY_OPERATED"] ? this.#lends(from, page, to, bytes) : undefined;
    if (loan !== undefined) here.framed = true;
    else if (
      kind === c["SAY_OPERATED"] &&
      (!usable || this.#isBorrowing(bytes) || cluster.loans.has(from, page))
    )
      bytes[0] = c["SAY_REJECTED"]!;
    else if (kind === c["SAY_OPERATED"]) {
      here.framed = true;
      // As if one of its own threads did it.
      this.#judge.performs(from, page, to, transaction);
      here.frame = ++cluster.latest[page]!;
      cluster.losses.written(page);
    }
    if (kind === c["SAY_EXECUTE"] && bytes[2] === from) cluster.tellings.guessed(from, to, page);
    const word = kind === c["SAY_FAILURE"] ? failing : undefined;
    if (cluster.knowsDead(from, to)) {
      cluster.losses.tell(word);
      return;
    }
    if (data) this.#mirrors.before(from, page, to);
    const words = new Uint32Array(bytes.buffer);
    cluster.put(from, to, {
      words,
      page,
      value: data ? here.frame : -2,
      ...(word && { word }),
      ...(loan && { loan }),
    });
    if (data) this.#mirrors.behind(from, page, to);
  }

  #isBorrowing(bytes: Uint8Array): boolean {
    const operation = new DataView(bytes.buffer, bytes.byteOffset).getUint32(16, true);
    return (operation & 15) === this.#cluster.c["BORROW"];
  }

  #lends(from: number, page: number, to: number, bytes: Uint8Array): Loan | undefined {
    const { loans } = this.#cluster;
    if (!loans.on || !this.#isBorrowing(bytes)) return undefined;
    const has = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(32, true);
    return loans.lend(from, page, to, has);
  }

  #operated(number: number, page: number, outcome: number, word: Word): void {
    const { c, deaths } = this.#cluster;
    const { threads, pages } = this.#cluster.machine(number);
    const thread = threads.find(({ state, program, at }) => state === 3 && program[at]!.page === page);
    // It has ended, since its machine leaves.
    if (thread === undefined && this.#cluster.leavings > 0 && threads.every(isDone)) return;
    if (thread === undefined)
      throw new Violation(`machine ${number} is told of an operation it has not sent`);
    const { done } = pages[page]!;
    pages[page]!.operation = 0;
    if (thread.program[thread.at]!.what !== "x") {
      // Tried again, as it was lent what it needs; or it wants the page.
      thread.state = outcome === c["OPERATION_DONE"] ? 0 : 1;
      thread.declined = thread.state === 1;
      return;
    }
    if (outcome === c["OPERATION_FAILED"]) {
      if (deaths === 0) throw new Violation(`an operation of machine ${number} fails`);
      this.#tell(number, [thread], word);
    } else if (outcome === c["OPERATION_DONE"]) {
      if (done !== 1) throw new Violation(`an operation of machine ${number} is done ${done} times`);
      this.#next(thread);
    } else {
      if (done !== 0) throw new Violation(`an operation of machine ${number} is declined and was done`);
      thread.state = 1;
      thread.declined = true;
    }
  }

  /** True when some thread still lacks something. */
  #grant(number: number, page: number, right: number): boolean {
    if (this.#cluster.loans.isLentOut(number, page)) {
      this.#cluster.loans.recall(number, page);
      return false;
    }
    if (this.#toldOfLoss(number, page)) {
      this.#tell(number, this.#waiting(number, page), this.#cluster.losses.word([page]), true);
      return false;
    }
    const allowed = right === this.#cluster.c["RIGHT_MODIFIED"] ? 2 : 1;
    if (allowed === 2) this.#mirrors.had(number, page);
    for (const thread of this.#waiting(number, page)) {
      const need = this.#need(thread);
      if (need > allowed) continue;
      thread.state = 2;
      // Mirrored, a page is mapped writable by its first write.
      thread.right[page] = this.#mirrors.on ? Math.max(need, thread.right[page]!) : allowed;
      if (need === 2) this.#mirrors.written(number, page);
    }
    return this.#waiting(number, page).length > 0;
  }
}
