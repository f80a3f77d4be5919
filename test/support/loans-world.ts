// One page whose chunks are lent (kernel/coherence/parts.ts), in a small cluster in Node: the compiled engine and parts of every
// machine, a wire that keeps the order of a pair of machines but not between pairs, page tables that let go late, and threads
// whose instructions touch one chunk, or need the whole page. What loans.ts and pages.ts do around engine and parts is
// done here; who lends, and who gives back when, is left to chance, or to the search of every order.
//
// Judged after every event: a chunk can be written in one place only, and a page that is mapped is nowhere in parts; who sees
// an old value of a chunk sees what was there before a machine died. At the end nobody waits, and somebody was told of each loss: of
// that chunk, and of that round of it (coherence-losses.ts), which begins when the page's home gives it away, or its owner lends it.

import type { Word } from "./coherence-losses.js";
import { Assertion } from "./kernel-wasm.js";
import { CHUNK, CHUNKS, LoansCluster, type Saved, type Step, type Thread, type Wire } from "./loans-state.js";
import type * as search from "./search.js";
import { Violation } from "./search.js";

const WHOLE = Array.from({ length: CHUNKS }, (_, chunk) => chunk);
const chunksIn = (mask: bigint) => WHOLE.filter((chunk) => (mask >> BigInt(chunk)) & 1n);

export class LoansWorld extends LoansCluster implements search.World<Step, Saved> {
  // --- Instructions ---

  #chunks(thread: Thread): readonly number[] {
    const what = thread.program[thread.at]!;
    return what === "p" ? WHOLE : [Number(what[1])];
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
    return this.machine(m).threads.filter(({ state }) => state === 1);
  }
  #covered(m: number, thread: Thread): boolean {
    return this.part(m) !== 0 && !this.#isWhole(thread) && (this.#mask(thread) & ~this.mine(m)) === 0n;
  }

  #execute(m: number, thread: Thread): void {
    for (const chunk of this.#chunks(thread)) {
      this.#sees(m, chunk);
      if (this.#need(thread) !== 2) continue;
      this.kernel.view.setUint32(this.frame(m) + chunk * CHUNK, ++this.latest[chunk]!, true);
      this.losses.written(chunk);
    }
    // What the page table says; accesses to parts do not go by it.
    if (thread.right === 2 && this.#need(thread) === 2) this.machine(m).dirty = true;
    this.#next(thread);
  }

  #sees(m: number, chunk: number): void {
    const value = this.value(m, chunk);
    const latest = this.latest[chunk]!;
    if (value === latest) return;
    if (this.deaths === 0 || value > latest)
      throw new Violation(`machine ${m} sees ${value} in chunk ${chunk}, the newest value is ${latest}`);
    if (chunk === this.setup.keeps) throw new Violation(`chunk ${chunk} is lost, and who had it lives`);
    this.losses.reverted(chunk);
    this.latest[chunk] = value;
  }

  #next(thread: Thread): void {
    thread.state = 0;
    thread.declined = false;
    thread.at++;
  }

  /** They are told of a loss. */
  #tell(m: number, threads: readonly Thread[], word: Word): void {
    if (threads.length > 0) this.losses.tell(word);
    for (const thread of threads) this.#fail(m, thread);
  }

  #fail(m: number, thread: Thread): void {
    if (this.deaths === 0) throw new Violation(`a thread of machine ${m} fails, and nobody died`);
    this.machine(m).failures++;
    this.met.told++;
    this.#next(thread);
  }

  // --- Steps ---

  steps(kills = 0): Step[] {
    const steps: Step[] = [];
    for (let m = 1; m <= this.n; m++) {
      const machine = this.machine(m);
      if (!machine.alive) continue;
      machine.threads.forEach((thread, index) => {
        if (thread.state === 0 && thread.at < thread.program.length && this.#isMember(m)) {
          steps.push({ do: "start", machine: m, thread: index });
          if (this.#mayBorrow(m, thread))
            steps.push({ do: "start", machine: m, thread: index, borrow: true });
        }
        if (thread.state === 2) steps.push({ do: "retire", machine: m, thread: index });
      });
      const pinned = machine.threads.some(({ state }) => state === 2);
      if (machine.revoking >= 0 && !pinned && !this.#isHeldUp(m)) steps.push({ do: "gone", machine: m });
      if (this.returns < (this.setup.returns ?? 0)) {
        const part = this.part(m);
        const owner = this.isOwnerOfParts(m);
        if (owner && this.do("partRecalled", part) === 0) steps.push({ do: "recall", machine: m });
        if (part !== 0 && !owner && this.state(m) === this.c["INVALID"])
          steps.push({ do: "giveBack", machine: m });
      }
      for (let from = 1; from <= this.n; from++) {
        if (this.wire(from, m).length > 0 && this.#hears(m, from)) steps.push({ do: "deliver", from, to: m });
        if (from !== m && !this.machine(from).alive && !this.knowsDead(m, from))
          steps.push({ do: "notice", machine: m, dead: from });
        const back = from !== m && this.machine(from).alive && this.machine(from).returned;
        if (back && this.knowsDead(m, from)) steps.push({ do: "welcome", machine: m, back: from });
      }
      if (this.deaths < kills) steps.push({ do: "kill", machine: m });
    }
    if (this.setup.rejoins)
      for (let m = 1; m <= this.n; m++) if (this.#mayReturn(m)) steps.push({ do: "return", machine: m });
    return steps;
  }

  /**
   * A machine counts as dead when all members have cut their links with it: their marks have said that they know the view without it
   * (members.ts), or its new life has links with them all. So once anybody acts upon the death nobody hears the dead machine.
   */
  #hears(m: number, from: number): boolean {
    if (this.machine(from).alive) return !this.knowsDead(m, from);
    return this.machines.every((_, index) => !this.knowsDead(index + 1, from));
  }

  /** As in coherence.ts: who comes back asks for nothing until all know it, and all know of the death before. */
  #isMember(m: number): boolean {
    return this.machines.every(({ alive }, index) => !alive || !this.knowsDead(index + 1, m));
  }
  #mayReturn(m: number): boolean {
    const { alive, returned } = this.machine(m);
    if (alive || returned || m === this.setup.home) return false;
    return this.machines.every((other, index) => !other.alive || this.knowsDead(index + 1, m));
  }

  /** Empty memory, the same number, the rest of its programs. */
  #return(m: number): void {
    const machine = this.machine(m);
    Object.assign(machine, { alive: true, returned: true, noticed: 0, dirty: false });
    this.create(m, 1);
    for (let other = 1; other <= this.n; other++) {
      this.#cut(m, other);
      this.#cut(other, m);
      if (this.machine(other).alive) continue;
      machine.noticed |= 1 << other;
      this.engines.do.dead(this.engines.engine(m), other);
    }
    for (const thread of machine.threads) {
      if (thread.state !== 0) thread.at++; // what it was doing went with it
      thread.state = 0;
      thread.declined = false;
    }
  }

  /** What is on its way comes to nobody. */
  #cut(from: number, to: number): void {
    for (const { word } of this.wire(from, to)) this.losses.tell(word);
    this.wire(from, to).length = 0;
  }

  /** What is lent holds up a revocation. */
  #isHeldUp(m: number): boolean {
    return this.isOwnerOfParts(m) && !this.bug("gives the page up while something is lent");
  }

  #mayBorrow(m: number, thread: Thread): boolean {
    if (thread.right >= this.#need(thread) || this.#covered(m, thread) || this.#isWhole(thread)) return false;
    if (thread.declined || this.homeless(m) || this.isBroken(m)) return false;
    return this.state(m) === this.c["INVALID"] && this.#waiting(m).length === 0;
  }

  rests(steps: readonly Step[]): boolean {
    return steps.every((step) => step.do === "kill" || step.do === "recall" || step.do === "giveBack");
  }

  checkEnd(): void {
    // What is still under way is so for ever.
    const [silent] = this.losses.untold(this.wordsUnderWay().flat());
    if (silent !== undefined && this.machine(this.setup.home).alive)
      throw new Violation(`chunk ${silent} went back to an older value, and nobody was told of the loss`);
    this.machines.forEach(({ alive, threads }, index) => {
      for (const { at, program, state } of threads)
        if (alive && at < program.length)
          throw new Violation(
            `machine ${index + 1} waits for ever (thread ${state}, page ${this.state(index + 1)})`,
          );
    });
  }

  take(step: Step): void {
    try {
      this.#take(step);
    } catch (error) {
      throw error instanceof Assertion ? new Violation(error.message) : error;
    }
    this.check();
  }

  #take(step: Step): void {
    switch (step.do) {
      case "start":
        this.#start(step.machine, this.machine(step.machine).threads[step.thread]!, step.borrow === true);
        break;
      case "retire": {
        const thread = this.machine(step.machine).threads[step.thread]!;
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
        this.returns++;
        this.#giveBack(step.machine);
        break;
      case "recall":
        this.returns++;
        this.#recall(step.machine);
        break;
      case "kill":
        this.#kill(step.machine);
        break;
      case "notice":
        this.#notice(step.machine, step.dead);
        break;
      case "return":
        this.#return(step.machine);
        break;
      case "welcome":
        this.machine(step.machine).noticed &= ~(1 << step.back);
        this.engines.do.alive(this.engines.engine(step.machine), step.back);
        break;
    }
  }

  #carry(m: number, thread: Thread): void {
    this.met.carried++;
    this.#execute(m, thread);
  }

  #start(m: number, thread: Thread, borrow: boolean): void {
    if (thread.right >= this.#need(thread)) this.#execute(m, thread);
    else if (this.#covered(m, thread)) this.#carry(m, thread);
    else if (this.homeless(m)) this.#fail(m, thread);
    else if (this.isBroken(m)) {
      this.break(m, false);
      this.#tell(m, [thread], this.losses.wordOfLent(WHOLE));
    } else if (borrow) {
      thread.state = 3;
      const part = this.part(m);
      const id = part === 0 ? 0n : BigInt(this.do("partId", part));
      const engine = this.engines.engine(m);
      this.#run(m, () =>
        this.engines.do.operate(engine, this.page(m), this.c["BORROW"]!, this.#mask(thread), id),
      );
    } else {
      thread.state = 1;
      this.#ask(m);
    }
  }

  #ask(m: number): void {
    const waiting = this.#waiting(m);
    if (waiting.length === 0) return;
    if (this.homeless(m)) {
      for (const thread of waiting) this.#fail(m, thread);
      return;
    }
    const write = waiting.some((thread) => this.#need(thread) === 2);
    const engine = this.engines.engine(m);
    this.#run(m, () => this.engines.do.ask(engine, this.page(m), write ? 1 : 0));
  }

  // --- The engine and what it wants, as pages.ts has it ---

  /** At the home. */
  #isHeld(m: number): boolean {
    return m === this.setup.home && this.engines.do.directory(this.page(m)) === this.c["HELD"];
  }

  /** `heard`: what the message was a word about. */
  #run(m: number, work: () => void, data?: Uint8Array, heard?: Word): void {
    const c = this.c;
    const machine = this.machine(m);
    let again = false;
    const held = this.#isHeld(m);
    const waited = this.machine(m).threads.some(({ state }) => state === 1 || state === 3);
    this.engines.do.setWaited(this.page(m), waited ? 1 : 0);
    const wanted = this.engines.run(m, work);
    const word = heard ?? this.losses.word(WHOLE);
    if (!held && this.#isHeld(m))
      for (const chunk of WHOLE) this.losses.goes(chunk, this.value(m, chunk) === this.latest[chunk]);
    for (const { kind, to, flags, message } of wanted) {
      if (kind === c["ACT_SEND"]) this.#send(m, to, message, word);
      else if (kind === c["ACT_TAKE"]) {
        if (this.part(m) !== 0) throw new Violation(`machine ${m} is granted a page that it has parts of`);
        this.kernel.bytes.set(data!, this.frame(m));
        this.break(m, false);
      } else if (kind === c["ACT_GRANT"]) again = this.#grant(m, flags) || again;
      else if (kind === c["ACT_REVOKE"]) {
        machine.revoking = machine.revoking < 0 ? flags : Math.min(machine.revoking, flags);
        if (!this.bug("forgets to recall for a writer elsewhere")) this.#recall(m);
      } else if (kind === c["ACT_WAKE"]) again = true;
      else if (kind === c["ACT_OPERATED"]) this.#borrowed(m, flags);
      else if (kind === c["ACT_FAIL"]) {
        const told = machine.threads.filter(({ state }) => state === 1 || state === 3);
        this.#tell(m, told, word);
      }
    }
    if (again) this.#ask(m);
  }

  #borrowed(m: number, outcome: number): void {
    const thread = this.machine(m).threads.find(({ state }) => state === 3);
    if (thread === undefined) throw new Violation(`machine ${m} is told of chunks that it has not asked for`);
    thread.state = outcome === this.c["OPERATION_DONE"] ? 0 : 1;
    thread.declined = thread.state === 1;
  }

  #grant(m: number, right: number): boolean {
    if (this.isOwnerOfParts(m) && !this.bug("maps the page while something is lent")) {
      this.#recall(m);
      return false;
    }
    if (this.isBroken(m) && !this.bug("tells one who waits nothing of a borrower's death")) {
      this.break(m, false);
      this.#tell(m, this.#waiting(m), this.losses.wordOfLent(WHOLE));
      return false;
    }
    const allowed = right === this.c["RIGHT_MODIFIED"] ? 2 : 1;
    for (const thread of this.#waiting(m)) {
      if (this.#need(thread) > allowed) continue;
      thread.state = 2;
      thread.right = allowed;
    }
    return this.#waiting(m).length > 0;
  }

  #send(from: number, to: number, bytes: Uint8Array, failing: Word): void {
    const c = this.c;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const wire: Wire = { bytes };
    if (bytes[0] === c["SAY_OPERATED"]) {
      const data = this.#lend(from, to, view.getBigUint64(24, true), Number(view.getBigUint64(32, true)));
      if (data === undefined) bytes[0] = c["SAY_REJECTED"]!;
      else wire.loan = { kind: "lend", id: this.do("partsSerial", this.parts(from)), data };
    }
    const lost = bytes[0] === c["SAY_FAILURE"] && (bytes[3]! & c["PARTLY"]!) !== 0;
    if (lost) this.met.broken++;
    if (bytes[3]! & c["WITH_DATA"]!) {
      const at = this.frame(from);
      wire.data = this.kernel.bytes.slice(at, at + CHUNKS * CHUNK);
    }
    if (bytes[0] === c["SAY_FAILURE"]) wire.word = lost ? this.losses.wordOfLent(WHOLE) : failing;
    if (this.knowsDead(from, to)) this.losses.tell(wire.word);
    else this.wire(from, to).push(wire);
  }

  #gone(m: number): void {
    const machine = this.machine(m);
    for (const thread of machine.threads) thread.right = Math.min(thread.right, machine.revoking);
    machine.revoking = -1;
    const dirty = machine.dirty ? 1 : 0;
    machine.dirty = false;
    this.#run(m, () => this.engines.do.gone(this.engines.engine(m), this.page(m), dirty));
  }

  // --- Loans, as loans.ts has them ---

  #out(bytes: number): Uint8Array {
    return this.kernel.bytes.slice(this.room, this.room + bytes);
  }

  #lend(m: number, to: number, chunks: bigint, has: number): Uint8Array | undefined {
    const machine = this.machine(m);
    if (this.state(m) !== this.c["MODIFIED"] || this.isBroken(m) || machine.revoking >= 0) return undefined;
    // Whoever waits for the page, or got it for an instruction that needs it whole, is not put off.
    if (machine.threads.some((thread) => thread.state === 1 || (thread.state === 2 && this.#isWhole(thread))))
      return undefined;
    if (this.lends >= (this.setup.lends ?? 2)) return undefined;
    let part = this.part(m);
    const same = has === (part === 0 ? 0 : this.do("partLoan", part, to));
    if (!same && !this.bug("lends to a machine whose last loan is not the one it names")) return undefined;
    if (part === 0) {
      if (!this.bug("lends a page that is still mapped"))
        for (const thread of machine.threads) thread.right = 0;
      part = this.do("partBegin", this.parts(m), 0n, 0n, 1, this.frame(m), 0);
    } else if (this.#isRecalled(part) || (chunks & ~this.mine(m)) !== 0n) return undefined;
    this.lends++;
    this.met.lent++;
    for (const chunk of chunksIn(chunks))
      this.losses.lent(chunk, this.value(m, chunk) === this.latest[chunk]);
    return this.#out(this.do("partLend", this.parts(m), part, to, chunks, this.room));
  }

  #isRecalled(part: number): boolean {
    if (!this.bug("lends what it recalls")) return this.do("partRecalled", part) !== 0;
    this.do("partRecallEnd", part);
    return false;
  }

  #recall(m: number): void {
    const part = this.part(m);
    if (part === 0 || !this.isOwnerOfParts(m) || this.do("partRecalled", part) !== 0) return;
    this.do("partRecall", part);
    this.met.recalled++;
    for (let to = 1; to <= this.n; to++) {
      const id = this.do("partLoan", part, to);
      if (id !== 0 && !this.knowsDead(m, to))
        this.wire(m, to).push({ bytes: new Uint8Array(), loan: { kind: "recall", id } });
    }
  }

  /** The last chunk is back. */
  #whole(m: number): void {
    this.do("partEnd", this.parts(m), this.part(m));
    if (this.machine(m).revoking < 0) this.#ask(m);
  }

  #giveBack(m: number): void {
    const part = this.part(m);
    const [to, id] = [this.do("partOwner", part), this.do("partId", part)];
    const data = this.#out(this.do("partGive", part, this.room));
    if (this.bug("gives back without the bytes")) data.fill(0, 8);
    if (this.bug("keeps using what it gave back")) this.do("partTake", part, id, this.room);
    else this.do("partEnd", this.parts(m), part);
    if (!this.knowsDead(m, to))
      this.wire(m, to).push({ bytes: new Uint8Array(), loan: { kind: "return", id, data } });
  }

  #loan(from: number, to: number, open: boolean, { kind, id, data }: NonNullable<Wire["loan"]>): void {
    if (data !== undefined) this.kernel.bytes.set(data, this.room);
    let part = this.part(to);
    if (kind === "lend") {
      if (!this.do("partIsNew", this.parts(to), from, id)) return;
      if (!open && this.bug("drops what was lent when the request has ended")) return;
      if (part === 0) part = this.do("partBegin", this.parts(to), 0n, 0n, 1, this.frame(to), from);
      this.do("partTake", part, id, this.room);
      this.do("serialForget", this.page(to));
      if (!open && !this.bug("keeps what was lent when the request has ended")) this.#giveBack(to);
    } else if (part === 0) return;
    else if (kind === "recall") {
      if (this.do("partOwner", part) === from && this.do("partId", part) === id) this.#giveBack(to);
    } else {
      const merged = this.#comeBack(to, () => this.do("partMerge", part, from, id, this.room) !== 0);
      if (merged && this.lent(to) === 0n) this.#whole(to);
    }
  }

  /** At the owner: chunks are his again, as they come back or as they were lent. */
  #comeBack(m: number, work: () => boolean): boolean {
    const lent = this.lent(m);
    const done = work();
    for (const chunk of chunksIn(lent & ~this.lent(m)))
      this.losses.isBack(chunk, this.value(m, chunk) === this.latest[chunk]);
    return done;
  }

  #deliver(from: number, to: number): void {
    const { bytes, data, loan, word } = this.wire(from, to).shift()!;
    const part = this.part(to);
    const purged = bytes[0] === this.c["SAY_PURGE"] && part !== 0 && !this.isOwnerOfParts(to);
    if (purged && this.bug("drops what was lent when the home recovers the page"))
      this.do("partEnd", this.parts(to), part);
    else if (purged && !this.bug("keeps what a dead machine lent until it hears of the death itself"))
      this.#giveBack(to);
    const transaction = this.do("pageTransaction", this.page(to));
    const open =
      bytes.length > 0 &&
      transaction !== 0 &&
      transaction === new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
    if (loan !== undefined) this.#loan(from, to, open, loan);
    if (bytes.length === 0) return;
    const engine = this.engines.engine(to);
    this.#run(
      to,
      () =>
        this.engines.do.message(
          engine,
          this.page(to),
          this.engines.put(new Uint32Array(bytes.slice().buffer)),
        ),
      data,
      word,
    );
  }

  #kill(m: number): void {
    const machine = this.machine(m);
    machine.alive = false;
    machine.revoking = -1;
    for (const thread of machine.threads) thread.right = 0;
    this.deaths++;
  }

  #notice(m: number, dead: number): void {
    const engine = this.engines.engine(m);
    this.machine(m).noticed |= 1 << dead;
    this.engines.do.dead(engine, dead);
    const part = this.part(m);
    if (!this.bug("takes a new life's loans for its former one's"))
      this.do("partsForget", this.parts(m), dead);
    if (part !== 0 && this.do("partOwner", part) === dead) {
      if (!this.bug("goes on with a dead owner's bytes")) this.do("partEnd", this.parts(m), part);
    } else if (part !== 0 && this.#comeBack(m, () => this.do("partLost", part, dead) !== 0))
      this.break(m, !this.bug("tells nobody of a borrower's death"));
    this.#run(m, () => this.engines.do.peerDied(engine, this.page(m), dead));
    if (this.isOwnerOfParts(m) && this.lent(m) === 0n) this.#whole(m);
  }
}
