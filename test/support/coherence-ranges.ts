// The cluster of coherence.ts with several pages of one object, which are granted by ranges; without the home's move.
// A cluster for the page protocol in Node: the compiled engine of every machine, a wire that keeps the order of a pair
// of machines but not between pairs, page tables and TLBs that let go late, and threads that read and write. It knows
// the whole cluster, so it can say after every event whether two writers met or a reader saw an old value. With
// `ranges` pages begin without records, as parts of their object's ranges, and the home may recall what it granted so.
import { createHash } from "node:crypto";
import type { Call, KernelWasm } from "./kernel-wasm.js";

/**
 * What the threads of a machine are to do, in order: r = read, w = read, add and write back; x = the same as one
 * locked operation, which another machine may do for it when nothing of the page is here. A digit behind the letter is the page.
 */
export type Program = string;

interface Instruction {
  what: string;
  page: number;
}

function instructions(program: Program): Instruction[] {
  return [...program.matchAll(/([rwx])(\d?)/g)].map(([, what, page]) => ({
    what: what!,
    page: Number(page),
  }));
}

export interface Setup {
  machines: number;
  /** Home of all pages. */
  home: number;
  /** One unless told. */
  pages?: number;
  /** Pages are granted by ranges; the home takes all of them back so many times. */
  ranges?: boolean;
  recalls?: number;
  /** Per machine, per thread. */
  programs: Program[][];
}

/** One step that the world can take next. */
export type Step =
  | { do: "start"; machine: number; thread: number }
  | { do: "retire"; machine: number; thread: number }
  | { do: "gone"; machine: number; page: number }
  | { do: "deliver"; from: number; to: number }
  | { do: "recall"; machine: number }
  | { do: "kill"; machine: number }
  | { do: "notice"; machine: number; dead: number }
  | { do: "return"; machine: number }
  | { do: "welcome"; machine: number; back: number };

interface Wire {
  bytes: Uint8Array;
  page: number;
  value: number;
  /** Not about a page: a recall, and its answer with the pages that the sender has touched. */
  recall?: "asks" | number[];
}

interface Thread {
  program: Instruction[];
  at: number;
  /** 0 ready, 1 waits for the page, 2 has it and has not retired its instruction, 3 has sent its operation away. */
  state: number;
  /** Its operation was declined: this instruction wants the page itself. */
  declined: boolean;
  /** Per page, what its core may still do through its page tables and TLB: 0 nothing, 1 read, 2 write. Each thread has a space of its own. */
  right: number[];
}

interface PageHere {
  /** It has a record. */
  exists: boolean;
  dirty: boolean;
  /** A revocation in progress: -1 none, 0 everything, 1 the right to write. */
  revoking: number;
  frame: number;
  /** The transaction of the operation that is under way, and how often it has been done. */
  operation: number;
  done: number;
}

interface Machine {
  threads: Thread[];
  pages: PageHere[];
  alive: boolean;
  /** Bit per machine that it knows to be dead: it hears nothing of it and tells it nothing. */
  noticed: number;
  /** It has died once and come back. */
  returned: boolean;
  /** A thread was told that the page is gone. */
  failures: number;
}

export class Violation extends Error {}

/** Room for ranges of a machine's object. */
const RANGES = 16;
const LAST = 2n ** 40n - 1n;

export class World {
  readonly setup: Setup;
  /** Per page, the newest value that was written. */
  latest: number[];
  /** Values that went with a dead machine may be forgotten once each; this many may be. */
  forgivable: number[];
  deaths = 0;
  recalls = 0;
  messages = 0;
  dataMessages = 0;
  /** Machines that died come back. */
  rejoins = false;
  readonly #kernel: KernelWasm;
  readonly #region: number;
  readonly #regionBytes: number;
  readonly #message: number;
  readonly #messageBytes: number;
  readonly #stride: number;
  readonly #engineBytes: number;
  readonly #pages: number;
  readonly #pageBytes: number;
  readonly #recordBytes: number;
  readonly #setBytes: number;
  readonly #first: number;
  #machines: Machine[] = [];
  #wires: Wire[][] = [];
  readonly #do: Record<
    | "ask"
    | "operate"
    | "message"
    | "gone"
    | "peerDied"
    | "dead"
    | "alive"
    | "create"
    | "index"
    | "isHere"
    | "keep"
    | "putState"
    | "released"
    | "recalling"
    | "count"
    | "state"
    | "directory"
    | "owner",
    Call
  >;
  readonly #c: Record<string, number>;

  constructor(kernel: KernelWasm, setup: Setup) {
    this.#kernel = kernel;
    this.setup = setup;
    this.#c = Object.fromEntries(kernel.constants());
    const { machines } = setup;
    this.#pages = setup.pages ?? 1;
    this.latest = Array.from({ length: this.#pages }, () => 0);
    this.forgivable = this.latest.slice();
    this.#engineBytes = (kernel.call("engineRecordBytes")() + 15) & ~15;
    const pageBytes = (kernel.call("pageRecordBytes")() + 15) & ~15;
    const peerBytes = (machines * this.#c["PEER_BYTES"]! + 15) & ~15;
    this.#pageBytes = pageBytes;
    this.#recordBytes = pageBytes + peerBytes;
    const setBytes = (kernel.call("rangeSetBytes")() + 15) & ~15;
    this.#setBytes = setBytes + RANGES * this.#c["RANGE_BYTES"]!;
    this.#first = this.#engineBytes + this.#setBytes;
    this.#stride = this.#first + this.#pages * this.#recordBytes;
    this.#regionBytes = machines * this.#stride;
    this.#region = kernel.room(this.#regionBytes);
    const actions = kernel.room(this.#c["ACTIONS_MAX"]! * this.#c["ACTION_BYTES"]!);
    const local = kernel.room(this.#c["LOCAL_BYTES"]! + 64);
    this.#messageBytes = this.#c["PAGE_MESSAGE_BYTES"]!;
    this.#message = kernel.room(this.#messageBytes);
    this.#do = {
      ask: kernel.call("engineAsk"),
      operate: kernel.call("engineOperate"),
      message: kernel.call("engineMessage"),
      gone: kernel.call("engineGone"),
      peerDied: kernel.call("enginePeerDied"),
      dead: kernel.call("engineDead"),
      alive: kernel.call("engineAlive"),
      create: kernel.call("pageCreate"),
      index: kernel.call("pageSetIndex"),
      isHere: kernel.call("pageIsHere"),
      keep: kernel.call("directoryKeep"),
      putState: kernel.call("rangesPutState"),
      released: kernel.call("rangesReleased"),
      recalling: kernel.call("rangeSetRecalling"),
      count: kernel.call("engineActionCount"),
      state: kernel.call("pageState"),
      directory: kernel.call("pageDirectory"),
      owner: kernel.call("pageOwner"),
    };
    this.#create = (m) => {
      // A life of its own numbers its transactions differently.
      const first = this.#machines[m - 1]?.returned ? 1000 : 0;
      kernel.call("engineCreate")(this.engine(m), m, machines, actions, local, first);
      kernel.call("rangesCreate")(this.set(m), this.set(m) + setBytes, RANGES);
      kernel.call("rangeSetLimit")(this.set(m), BigInt(this.#pages));
    };
    for (let m = 1; m <= machines; m++) {
      this.#create(m);
      this.#machines.push({
        threads: setup.programs[m - 1]!.map((program) => ({
          program: instructions(program),
          at: 0,
          state: 0,
          declined: false,
          right: this.latest.map(() => 0),
        })),
        pages: this.latest.map(() => this.#fresh(m)),
        alive: true,
        noticed: 0,
        returned: false,
        failures: 0,
      });
      if (!setup.ranges) for (let page = 0; page < this.#pages; page++) this.#find(m, page);
    }
    for (let i = 0; i < machines * machines; i++) this.#wires.push([]);
    this.#actions = actions;
  }

  readonly #actions: number;
  readonly #create: (machine: number) => void;

  engine(machine: number): number {
    return this.#region + (machine - 1) * this.#stride;
  }
  set(machine: number): number {
    return this.engine(machine) + this.#engineBytes;
  }
  page(machine: number, page: number): number {
    return this.engine(machine) + this.#first + page * this.#recordBytes;
  }
  #fresh(machine: number): PageHere {
    // What is granted by a range is zeros, as the home has them.
    const frame = this.setup.ranges || machine === this.setup.home ? 0 : -1;
    return { exists: false, dirty: false, revoking: -1, frame, operation: 0, done: 0 };
  }
  /** The page's record, made if there is none. */
  #find(machine: number, page: number): number {
    const at = this.page(machine, page);
    const here = this.#machines[machine - 1]!.pages[page]!;
    if (here.exists) return at;
    here.exists = true;
    this.#kernel.bytes.fill(0, at, at + this.#recordBytes);
    this.#do.index(at, BigInt(page));
    this.#do.create(at, this.setup.home, at + this.#pageBytes, this.setup.ranges ? this.set(machine) : 0);
    return at;
  }
  machine(number: number): Machine {
    return this.#machines[number - 1]!;
  }
  state(machine: number, page = 0): number {
    return this.#do.state(this.#find(machine, page));
  }
  directory(page = 0): number {
    return this.#do.directory(this.#find(this.setup.home, page));
  }
  #wire(from: number, to: number): Wire[] {
    return this.#wires[(from - 1) * this.setup.machines + to - 1]!;
  }

  // --- Stepping ---

  /** Everything that may happen next. */
  steps(kills = 0): Step[] {
    const steps: Step[] = [];
    const n = this.setup.machines;
    for (let m = 1; m <= n; m++) {
      const machine = this.machine(m);
      if (!machine.alive) continue;
      machine.threads.forEach((thread, index) => {
        if (thread.state === 0 && thread.at < thread.program.length && this.#isMember(m))
          steps.push({ do: "start", machine: m, thread: index });
        if (thread.state === 2) steps.push({ do: "retire", machine: m, thread: index });
      });
      machine.pages.forEach(({ revoking }, page) => {
        const pinned = machine.threads.some(
          (thread) => thread.state === 2 && thread.program[thread.at]!.page === page,
        );
        if (revoking >= 0 && !pinned) steps.push({ do: "gone", machine: m, page });
      });
      for (let from = 1; from <= n; from++) {
        if (this.#wire(from, m).length > 0 && !this.knowsDead(m, from))
          steps.push({ do: "deliver", from, to: m });
        if (from !== m && !this.machine(from).alive && !this.knowsDead(m, from))
          steps.push({ do: "notice", machine: m, dead: from });
        if (from !== m && this.machine(from).returned && this.machine(from).alive && this.knowsDead(m, from))
          steps.push({ do: "welcome", machine: m, back: from });
      }
      if (m === this.setup.home && this.recalls < (this.setup.recalls ?? 0) && this.#mayRecall())
        steps.push({ do: "recall", machine: m });
      if (this.deaths < kills) steps.push({ do: "kill", machine: m });
    }
    if (this.rejoins)
      for (let m = 1; m <= n; m++) if (this.#mayReturn(m)) steps.push({ do: "return", machine: m });
    return steps;
  }

  /** Who comes back asks for nothing until everybody has told him that they know (cluster.ts, MEMBERS). */
  #isMember(m: number): boolean {
    return this.#machines.every((other, index) => !other.alive || !this.knowsDead(index + 1, m));
  }

  /** A new life begins when everybody knows of the death: links do not join two lives. Objects of a dead home are gone. */
  #mayReturn(m: number): boolean {
    if (this.machine(m).alive || this.machine(m).returned || m === this.setup.home) return false;
    return this.#machines.every(
      (other, index) => index + 1 === m || !other.alive || this.knowsDead(index + 1, m),
    );
  }

  knowsDead(machine: number, dead: number): boolean {
    return (this.machine(machine).noticed & (1 << dead)) !== 0;
  }

  take(step: Step): void {
    const machine = "machine" in step ? this.machine(step.machine) : this.machine(step.to);
    switch (step.do) {
      case "start":
        this.#start(step.machine, machine.threads[step.thread]!);
        break;
      case "retire":
        this.#execute(step.machine, machine.threads[step.thread]!);
        break;
      case "gone":
        this.#gone(step.machine, step.page);
        break;
      case "recall":
        this.#recall();
        break;
      case "deliver":
        this.#deliver(step.from, step.to);
        break;
      case "kill":
        this.#kill(step.machine);
        break;
      case "return":
        this.#return(step.machine);
        break;
      case "welcome":
        machine.noticed &= ~(1 << step.back);
        this.#do.alive(this.engine(step.machine), step.back);
        break;
      case "notice":
        machine.noticed |= 1 << step.dead;
        this.#do.dead(this.engine(step.machine), step.dead);
        this.#died(step.machine, step.dead);
        break;
    }
    this.check();
  }

  #kill(number: number): void {
    const machine = this.machine(number);
    machine.alive = false;
    for (const thread of machine.threads) thread.right.fill(0);
    for (const page of machine.pages) page.revoking = -1;
    this.deaths++;
    this.forgivable = this.forgivable.map((count) => count + 1);
  }

  /** Ranges first, as pages.ts does. */
  #died(number: number, dead: number): void {
    const { home } = this.setup;
    if (this.setup.ranges && dead === home)
      this.#do.putState(this.set(number), 0n, LAST, this.#c["INVALID"]!);
    if (this.setup.ranges && number === home) {
      this.#do.released(this.set(number), dead, 0n, LAST, this.#c["LOST"]!);
      this.#answered(dead);
    }
    this.latest.forEach((_, page) => {
      if (!this.machine(number).pages[page]!.exists) return;
      this.#run(number, page, () => this.#do.peerDied(this.engine(number), this.page(number, page), dead));
    });
  }

  // --- Recalling ranges, as grants.ts does ---

  /** Bit per machine that the home has asked. */
  #recalling = 0;

  #mayRecall(): boolean {
    return this.#recalling === 0;
  }

  #touched(number: number): number[] {
    return this.latest.flatMap((_, page) =>
      this.machine(number).pages[page]!.exists && this.#do.isHere(this.page(number, page)) ? [page] : [],
    );
  }

  #recall(): void {
    const { home, machines } = this.setup;
    this.recalls++;
    for (const page of this.#touched(home)) this.#do.keep(this.page(home, page), home);
    this.#do.released(this.set(home), home, 0n, LAST, this.#c["UNUSED"]!);
    for (let m = 1; m <= machines; m++) {
      if (m === home || this.knowsDead(home, m)) continue;
      this.#recalling |= 1 << (m - 1);
      this.#wire(home, m).push({ bytes: new Uint8Array(0), page: 0, value: 0, recall: "asks" });
    }
    this.#do.recalling(this.set(home), BigInt(this.#recalling));
  }

  #answered(machine: number): void {
    this.#recalling &= ~(1 << (machine - 1));
    this.#do.recalling(this.set(this.setup.home), BigInt(this.#recalling));
  }

  #deliverRecall(from: number, to: number, recall: "asks" | number[]): void {
    if (recall === "asks") {
      this.#wire(to, from).push({ bytes: new Uint8Array(0), page: 0, value: 0, recall: this.#touched(to) });
      this.#do.putState(this.set(to), 0n, LAST, this.#c["INVALID"]!);
      return;
    }
    for (const page of recall) this.#do.keep(this.#find(to, page), from);
    this.#do.released(this.set(to), from, 0n, LAST, this.#c["UNUSED"]!);
    this.#answered(from);
  }

  /** Empty memory, the same number, the rest of its programs. */
  #return(number: number): void {
    const machine = this.machine(number);
    const n = this.setup.machines;
    for (let other = 1; other <= n; other++) {
      this.#wire(number, other).length = 0;
      this.#wire(other, number).length = 0;
      // Nobody has spoken to it in this life; those who are dead never will.
      if (other === number) continue;
      if (this.machine(other).alive) machine.noticed &= ~(1 << other);
      else machine.noticed |= 1 << other;
    }
    this.#kernel.bytes.fill(0, this.engine(number), this.engine(number) + this.#stride);
    machine.returned = true;
    this.#create(number);
    for (let other = 1; other <= n; other++)
      if (this.knowsDead(number, other)) this.#do.dead(this.engine(number), other);
    machine.alive = true;
    machine.pages = this.latest.map(() => this.#fresh(number));
    if (!this.setup.ranges) for (let page = 0; page < this.#pages; page++) this.#find(number, page);
    for (const thread of machine.threads) {
      thread.right.fill(0);
      thread.declined = false;
      if (thread.state !== 0) thread.at++; // what it was doing went with it
      thread.state = 0;
    }
  }

  #need(thread: Thread): number {
    return thread.program[thread.at]!.what === "r" ? 1 : 2;
  }

  #start(number: number, thread: Thread): void {
    const { page } = thread.program[thread.at]!;
    if (thread.right[page]! >= this.#need(thread)) {
      this.#execute(number, thread);
      return;
    }
    if (this.knowsDead(number, this.setup.home)) {
      this.#fail(number, thread);
      return;
    }
    thread.state = 1;
    this.#askFor(number, page, this.#need(thread) === 2);
  }

  #waiting(number: number, page: number): Thread[] {
    return this.machine(number).threads.filter(
      (thread) => thread.state === 1 && thread.program[thread.at]!.page === page,
    );
  }

  /** For the threads that wait, as pages.ts does. */
  #askFor(number: number, page: number, write: boolean): void {
    const waiting = this.#waiting(number, page);
    const sendable = waiting.every((thread) => thread.program[thread.at]!.what === "x" && !thread.declined);
    const at = this.#find(number, page);
    const engine = this.engine(number);
    if (sendable && this.state(number, page) === this.#c["INVALID"]) {
      waiting[0]!.state = 3;
      this.machine(number).pages[page]!.done = 0;
      this.#run(number, page, () => this.#do.operate(engine, at, 1, 1n, 0n));
    } else this.#run(number, page, () => this.#do.ask(engine, at, write ? 1 : 0));
  }

  #fail(number: number, thread: Thread): void {
    this.machine(number).failures++;
    this.#next(thread);
  }

  #next(thread: Thread): void {
    thread.state = 0;
    thread.declined = false;
    thread.at++;
  }

  #execute(number: number, thread: Thread): void {
    const { page } = thread.program[thread.at]!;
    const here = this.machine(number).pages[page]!;
    const need = this.#need(thread);
    if (thread.right[page]! < need)
      throw new Violation(`machine ${number} runs an instruction without the right`);
    this.#see(number, page, here.frame);
    if (need === 2) {
      here.frame = ++this.latest[page]!;
      here.dirty = true;
    }
    this.#next(thread);
  }

  #see(number: number, page: number, value: number): void {
    const latest = this.latest[page]!;
    if (value === latest) return;
    if (this.forgivable[page] === 0 || value > latest)
      throw new Violation(`machine ${number} sees ${value} in page ${page}, the newest value is ${latest}`);
    this.forgivable[page]!--;
    this.latest[page] = value;
  }

  #gone(number: number, page: number): void {
    const machine = this.machine(number);
    const here = machine.pages[page]!;
    for (const thread of machine.threads) thread.right[page] = Math.min(thread.right[page]!, here.revoking);
    here.revoking = -1;
    const dirty = here.dirty;
    here.dirty = false;
    this.#run(number, page, () => this.#do.gone(this.engine(number), this.page(number, page), dirty ? 1 : 0));
  }

  #deliver(from: number, to: number): void {
    const wire = this.#wire(from, to).shift()!;
    if (wire.recall !== undefined) {
      this.#deliverRecall(from, to, wire.recall);
      return;
    }
    this.#kernel.bytes.set(wire.bytes, this.#message);
    const at = this.#find(to, wire.page);
    this.#run(to, wire.page, () => this.#do.message(this.engine(to), at, this.#message), wire.value);
  }

  /** Runs the engine and carries out what it wants, as pager.ts does. */
  #run(number: number, page: number, call: () => void, value = 0): void {
    try {
      call();
    } catch (error) {
      const illegal = this.#kernel.call("engineIllegal")(this.engine(number));
      throw new Violation(
        `machine ${number}: ${error instanceof Error ? error.message : error} (state ${illegal >> 8}, event ${illegal & 255})`,
      );
    }
    const machine = this.machine(number);
    const here = machine.pages[page]!;
    const count = this.#do.count(this.engine(number));
    const list = this.#kernel.bytes.slice(this.#actions, this.#actions + count * this.#c["ACTION_BYTES"]!);
    let again = false;
    for (let i = 0; i < count; i++) {
      const at = i * this.#c["ACTION_BYTES"]!;
      const kind = list[at]!;
      const flags = list[at + 2]!;
      if (kind === this.#c["ACT_SEND"])
        this.#send(number, page, list[at + 1]!, list.slice(at + 8, at + 8 + this.#messageBytes));
      else if (kind === this.#c["ACT_TAKE"]) here.frame = value;
      else if (kind === this.#c["ACT_GRANT"]) again = this.#grant(number, page, flags) || again;
      else if (kind === this.#c["ACT_REVOKE"]) {
        here.revoking = here.revoking < 0 ? flags : Math.min(here.revoking, flags);
      } else if (kind === this.#c["ACT_WAKE"]) again = true;
      else if (kind === this.#c["ACT_OPERATED"]) this.#operated(number, page, flags);
      else if (kind === this.#c["ACT_FAIL"]) {
        here.operation = 0;
        for (const thread of machine.threads)
          if ((thread.state === 1 || thread.state === 3) && thread.program[thread.at]!.page === page)
            this.#fail(number, thread);
      }
    }
    if (again) this.#askAgain(number, page);
  }

  #send(from: number, page: number, to: number, bytes: Uint8Array): void {
    this.messages++;
    const data = (bytes[3]! & this.#c["WITH_DATA"]!) !== 0;
    if (data) this.dataMessages++;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const transaction = view.getUint32(4, true);
    const kind = bytes[0];
    if ((kind === this.#c["SAY_GET_OPERATE"] || kind === this.#c["SAY_EXECUTE"]) && bytes[2] === from)
      this.machine(from).pages[page]!.operation = transaction;
    if (kind === this.#c["SAY_OPERATED"]) this.#perform(from, page, to, transaction);
    if (this.knowsDead(from, to)) return;
    this.#wire(from, to).push({ bytes, page, value: data ? this.machine(from).pages[page]!.frame : -2 });
  }

  /** The owner does the operation of another machine: as if one of its own threads did. */
  #perform(owner: number, page: number, requester: number, transaction: number): void {
    const here = this.machine(owner).pages[page]!;
    for (let m = 1; m <= this.setup.machines; m++)
      if (
        m !== owner &&
        this.machine(m).threads.some((thread) => thread.right[page]! > 0) &&
        this.#homeLives()
      )
        throw new Violation(`machine ${owner} does an operation on a page that machine ${m} can use`);
    this.#see(owner, page, here.frame);
    here.frame = ++this.latest[page]!;
    const sender = this.machine(requester).pages[page]!;
    if (sender.operation === transaction) sender.done++;
    if (sender.done > 1) throw new Violation(`an operation of machine ${requester} is done twice`);
  }

  #homeLives(): boolean {
    return this.machine(this.setup.home).alive;
  }

  #operated(number: number, page: number, outcome: number): void {
    const here = this.machine(number).pages[page]!;
    const thread = this.machine(number).threads.find(
      ({ state, program, at }) => state === 3 && program[at]!.page === page,
    );
    if (thread === undefined)
      throw new Violation(`machine ${number} is told of an operation it has not sent`);
    const { done } = here;
    here.operation = 0;
    if (outcome === this.#c["OPERATION_FAILED"]) {
      if (this.deaths === 0) throw new Violation(`an operation of machine ${number} fails`);
      this.#fail(number, thread);
    } else if (outcome === this.#c["OPERATION_DONE"]) {
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
    const allowed = right === this.#c["RIGHT_MODIFIED"] ? 2 : 1;
    for (const thread of this.#waiting(number, page)) {
      if (this.#need(thread) > allowed) continue;
      thread.state = 2;
      thread.right[page] = allowed;
    }
    return this.#waiting(number, page).length > 0;
  }

  #askAgain(number: number, page: number): void {
    const waiting = this.#waiting(number, page);
    if (waiting.length === 0) return;
    if (this.knowsDead(number, this.setup.home)) {
      for (const thread of waiting) this.#fail(number, thread);
      return;
    }
    this.#askFor(
      number,
      page,
      waiting.some((thread) => this.#need(thread) === 2),
    );
  }

  // --- Judging ---

  /** One writer or any number of readers, and every copy that can be read is the newest. */
  check(): void {
    this.latest.forEach((_, page) => {
      this.#checkPage(page);
    });
  }

  #checkPage(page: number): void {
    const latest = this.latest[page]!;
    let writers = 0;
    let readers = 0;
    let value = -1;
    for (let m = 1; m <= this.setup.machines; m++) {
      const machine = this.machine(m);
      // Who serves a home that he does not yet know to be dead is an orphan already.
      const right = Math.max(...machine.threads.map((thread) => thread.right[page]!));
      const { frame } = machine.pages[page]!;
      if (right <= 0 || !this.machine(this.setup.home).alive) continue;
      if (right === 2) writers++;
      else readers++;
      if (value >= 0 && value !== frame)
        throw new Violation(`machine ${m} can read ${frame} while another can read ${value}`);
      value = frame;
      if (this.deaths === 0 && value !== latest)
        throw new Violation(`machine ${m} can read ${value}, the newest value is ${latest}`);
    }
    if (writers > 1 || (writers === 1 && readers > 0))
      throw new Violation(`${writers} machines can write while ${readers} can read`);
  }

  /** Nothing can happen any more: then every thread must be done. */
  checkEnd(): void {
    this.#machines.forEach((machine, index) => {
      if (!machine.alive) return;
      for (const thread of machine.threads)
        if (thread.at < thread.program.length)
          throw new Violation(
            `machine ${index + 1} waits for ever (state ${this.state(index + 1, thread.program[thread.at]!.page)})`,
          );
    });
  }

  failures(): number {
    return this.#machines.reduce((sum, machine) => sum + (machine.alive ? machine.failures : 0), 0);
  }

  // --- Saving, for the exhaustive search ---

  save(): Saved {
    return {
      region: this.#kernel.bytes.slice(this.#region, this.#region + this.#regionBytes),
      machines: this.#machines.map((machine) => ({
        ...machine,
        threads: machine.threads.map((thread) => ({ ...thread, right: thread.right.slice() })),
        pages: machine.pages.map((page) => ({ ...page })),
      })),
      wires: this.#wires.map((wire) => wire.slice()),
      latest: this.latest.slice(),
      forgivable: this.forgivable.slice(),
      counts: [this.deaths, this.recalls, this.#recalling],
    };
  }

  load(saved: Saved): void {
    this.#kernel.bytes.set(saved.region, this.#region);
    this.#machines = saved.machines.map((machine) => ({
      ...machine,
      threads: machine.threads.map((thread) => ({ ...thread, right: thread.right.slice() })),
      pages: machine.pages.map((page) => ({ ...page })),
    }));
    this.#wires = saved.wires.map((wire) => wire.slice());
    this.latest = saved.latest.slice();
    this.forgivable = saved.forgivable.slice();
    [this.deaths, this.recalls, this.#recalling] = saved.counts;
  }

  /** Equal for states that cannot be told apart. */
  key(): string {
    const hash = createHash("md5");
    const kernel = this.#kernel;
    const protocol = kernel.call("pageProtocolBytes")();
    const env: number[] = [...this.latest, ...this.forgivable, this.deaths, this.recalls, this.#recalling];
    for (let m = 1; m <= this.setup.machines; m++) {
      const engine = this.engine(m);
      env.push(kernel.view.getUint32(engine + 16, true)); // lastTransaction
      const machine = this.machine(m);
      // Behind the set's last range lies what was there before.
      const count = kernel.call("rangeSetCount")(this.set(m));
      const ranges = this.set(m) + this.#setBytes - RANGES * this.#c["RANGE_BYTES"]!;
      env.push(count);
      hash.update(kernel.bytes.slice(ranges, ranges + count * this.#c["RANGE_BYTES"]!));
      machine.pages.forEach((page, number) => {
        const at = this.page(m, number);
        env.push(
          page.exists ? 1 : 0,
          page.dirty ? 1 : 0,
          page.revoking,
          page.frame,
          page.operation,
          page.done,
        );
        if (!page.exists) return;
        hash.update(kernel.bytes.slice(at, at + protocol));
        hash.update(kernel.bytes.slice(at + this.#pageBytes, at + this.#recordBytes));
      });
      env.push(machine.alive ? 1 : 0, machine.noticed, machine.returned ? 1 : 0);
      for (const thread of machine.threads)
        env.push(thread.at, thread.state, ...thread.right, thread.declined ? 1 : 0);
    }
    for (const wire of this.#wires) {
      env.push(wire.length);
      for (const { bytes, value, page, recall } of wire) {
        hash.update(bytes);
        env.push(value, page);
        if (recall !== undefined) env.push(...(recall === "asks" ? [-3] : [-4, ...recall]));
      }
    }
    hash.update(new Uint8Array(Int32Array.from(env).buffer));
    return hash.digest("hex");
  }
}

export interface Saved {
  region: Uint8Array;
  machines: Machine[];
  wires: Wire[][];
  latest: number[];
  forgivable: number[];
  counts: [number, number, number];
}

/** xorshift32: the same run for the same seed. */
export function chance(seed: number): (limit: number) => number {
  let x = (seed * 2654435761) >>> 0 || 1;
  return (limit) => {
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x % limit;
  };
}

/** One run at random, to its end. */
export function wander(world: World, seed: number, kills = 0, limit = 100_000): number {
  const next = chance(seed);
  for (let count = 0; count < limit; count++) {
    let steps = world.steps(kills);
    // Deaths are rare, so that they meet a cluster at work.
    if (steps.length > 1 && next(20) !== 0) {
      const living = steps.filter((step) => step.do !== "kill");
      if (living.length > 0) steps = living;
      else if (world.deaths < kills) steps = [];
    } else if (steps.every((step) => step.do === "kill")) steps = [];
    if (steps.length === 0) {
      world.checkEnd();
      return count;
    }
    world.take(steps[next(steps.length)]!);
  }
  throw new Violation(`no end after ${limit} steps`);
}

export interface Found {
  states: number;
  ends: number;
  /** Longest path from the start. */
  depth: number;
}

interface Node {
  saved: Saved;
  depth: number;
  step: Step | undefined;
  before: Node | undefined;
}

function path(node: Node, last?: Step): string {
  const steps: string[] = last ? [JSON.stringify(last)] : [];
  for (let at: Node | undefined = node; at?.step; at = at.before) steps.unshift(JSON.stringify(at.step));
  return steps.join("\n");
}

/** Every order in which things can happen, each state once. */
export function explore(world: World, kills = 0, limit = 2_000_000): Found {
  const seen = new Set<string>();
  const found: Found = { states: 0, ends: 0, depth: 0 };
  const stack: Node[] = [{ saved: world.save(), depth: 0, step: undefined, before: undefined }];
  seen.add(world.key());
  while (stack.length > 0) {
    const node = stack.pop()!;
    const { saved, depth } = node;
    world.load(saved);
    found.states++;
    found.depth = Math.max(found.depth, depth);
    if (found.states > limit) throw new Error(`more than ${limit} states`);
    const steps = world.steps(kills);
    if (steps.every((step) => step.do === "kill")) {
      found.ends++;
      try {
        world.checkEnd();
      } catch (error) {
        throw new Violation(`${error instanceof Error ? error.message : error}\n${path(node)}`);
      }
    }
    for (const step of steps) {
      world.load(saved);
      try {
        world.take(step);
      } catch (error) {
        throw new Violation(`${error instanceof Error ? error.message : error}\n${path(node, step)}`);
      }
      const key = world.key();
      if (seen.has(key)) continue;
      seen.add(key);
      stack.push({ saved: world.save(), depth: depth + 1, step, before: node });
    }
  }
  return found;
}
