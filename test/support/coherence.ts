// A cluster for the page protocol in Node: the compiled engine of every machine, a wire that keeps the order of a pair
// of machines but not between pairs, page tables and TLBs that let go late, and threads that read and write. It knows
// the whole cluster, so it can say after every event whether two writers met or a reader saw an old value.
import { createHash } from "node:crypto";
import type { Call, KernelWasm } from "./kernel-wasm.js";

/**
 * What the threads of a machine are to do, in order: r = read, w = read, add and write back; x = the same as one
 * locked operation, which another machine may do for it when nothing of the page is here.
 */
export type Program = string;

export interface Setup {
  machines: number;
  /** Home of the one page. */
  home: number;
  /** Per machine, per thread. */
  programs: Program[][];
}

/** One step that the world can take next. */
export type Step =
  | { do: "start"; machine: number; thread: number }
  | { do: "retire"; machine: number; thread: number }
  | { do: "gone"; machine: number }
  | { do: "deliver"; from: number; to: number }
  | { do: "kill"; machine: number }
  | { do: "notice"; machine: number; dead: number }
  | { do: "return"; machine: number }
  | { do: "welcome"; machine: number; back: number }
  /** The home moves: this machine tells what it has; the new home makes the directory of it. */
  | { do: "handIn"; machine: number }
  | { do: "rebuild"; machine: number };

/** What machines say to each other while a home moves (members.ts, homes.ts), behind all page messages before. */
type Notice = { kind: "frozen" | "handedIn" | "owner" | "ready" } | { kind: "report"; report: number };

interface Wire {
  bytes: Uint8Array;
  value: number;
  notice?: Notice;
}

interface Thread {
  program: Program;
  at: number;
  /** 0 ready, 1 waits for the page, 2 has it and has not retired its instruction, 3 has sent its operation away. */
  state: number;
  /** Its operation was declined: this instruction wants the page itself. */
  declined: boolean;
  /** What its core may still do through its page tables and TLB: 0 nothing, 1 read, 2 write. Each thread has a space of its own. */
  right: number;
}

interface Machine {
  threads: Thread[];
  dirty: boolean;
  /** A revocation in progress: -1 none, 0 everything, 1 the right to write. */
  revoking: number;
  frame: number;
  alive: boolean;
  /** Bit per machine that it knows to be dead: it hears nothing of it and tells it nothing. */
  noticed: number;
  /** It has died once and come back. */
  returned: boolean;
  /** A thread was told that the page is gone. */
  failures: number;
  /** The transaction of the operation that is under way, and how often it has been done. */
  operation: number;
  done: number;
  /** Where it believes the home to be; 0 not moving, 1 frozen, 2 handed in; machines whose markers came. */
  home: number;
  moving: number;
  frozenMarks: number;
  handedInMarks: number;
}

export class Violation extends Error {}

export class World {
  readonly setup: Setup;
  /** Newest value that was written. */
  latest = 0;
  /** Values that went with a dead machine may be forgotten once each; this many may be. */
  forgivable = 0;
  /** How often that was. */
  reverted = 0;
  deaths = 0;
  messages = 0;
  dataMessages = 0;
  /** Machines that died come back. */
  rejoins = false;
  /** The home's role moves when it dies; else its pages end with it. */
  takeover = false;
  /** A bug of the move that the judge is to find (takeover-bugs.test.ts). */
  planted = "";
  readonly #kernel: KernelWasm;
  readonly #region: number;
  readonly #regionBytes: number;
  readonly #message: number;
  readonly #messageBytes: number;
  readonly #stride: number;
  readonly #engineBytes: number;
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
    | "count"
    | "state"
    | "directory"
    | "owner"
    | "freeze"
    | "report"
    | "reported"
    | "rebuild"
    | "adopt"
    | "thaw",
    Call
  >;
  readonly #c: Record<string, number>;

  constructor(kernel: KernelWasm, setup: Setup) {
    this.#kernel = kernel;
    this.setup = setup;
    this.#c = Object.fromEntries(kernel.constants());
    const { machines, home } = setup;
    this.#engineBytes = (kernel.call("engineRecordBytes")() + 15) & ~15;
    const pageBytes = (kernel.call("pageRecordBytes")() + 15) & ~15;
    const peerBytes = (machines * this.#c["PEER_BYTES"]! + 15) & ~15;
    this.#stride = this.#engineBytes + pageBytes + peerBytes;
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
      count: kernel.call("engineActionCount"),
      state: kernel.call("pageState"),
      directory: kernel.call("pageDirectory"),
      owner: kernel.call("pageOwner"),
      freeze: kernel.call("engineFreeze"),
      report: kernel.call("engineReport"),
      reported: kernel.call("engineReported"),
      rebuild: kernel.call("engineRebuild"),
      adopt: kernel.call("engineAdopt"),
      thaw: kernel.call("engineThaw"),
    };
    this.#create = (m) => {
      // A life of its own numbers its transactions differently.
      const first = this.#machines[m - 1]?.returned ? 1000 : 0;
      kernel.call("engineCreate")(this.engine(m), m, machines, actions, local, first);
      kernel.call("pageCreate")(this.page(m), home, this.page(m) + pageBytes);
    };
    for (let m = 1; m <= machines; m++) {
      this.#create(m);
      this.#machines.push({
        threads: setup.programs[m - 1]!.map((program) => ({
          program,
          at: 0,
          state: 0,
          declined: false,
          right: 0,
        })),
        dirty: false,
        revoking: -1,
        frame: m === home ? 0 : -1,
        alive: true,
        noticed: 0,
        returned: false,
        failures: 0,
        operation: 0,
        done: 0,
        home,
        moving: 0,
        frozenMarks: 0,
        handedInMarks: 0,
      });
    }
    for (let i = 0; i < machines * machines; i++) this.#wires.push([]);
    this.#actions = actions;
  }

  readonly #actions: number;
  readonly #create: (machine: number) => void;

  engine(machine: number): number {
    return this.#region + (machine - 1) * this.#stride;
  }
  page(machine: number): number {
    return this.engine(machine) + this.#engineBytes;
  }
  machine(number: number): Machine {
    return this.#machines[number - 1]!;
  }
  state(machine: number): number {
    return this.#do.state(this.page(machine));
  }
  directory(): number {
    return this.#do.directory(this.page(this.setup.home));
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
      if (machine.revoking >= 0 && !machine.threads.some((thread) => thread.state === 2))
        steps.push({ do: "gone", machine: m });
      for (let from = 1; from <= n; from++) {
        if (this.#wire(from, m).length > 0 && !this.knowsDead(m, from))
          steps.push({ do: "deliver", from, to: m });
        if (from !== m && !this.machine(from).alive && !this.knowsDead(m, from))
          steps.push({ do: "notice", machine: m, dead: from });
        if (from !== m && this.machine(from).returned && this.machine(from).alive && this.knowsDead(m, from))
          steps.push({ do: "welcome", machine: m, back: from });
      }
      const others = this.#others(m);
      const frozen = (machine.frozenMarks & others) === others || this.planted === "hands in too early";
      if (machine.moving === 1 && frozen) steps.push({ do: "handIn", machine: m });
      const handedIn = (machine.handedInMarks & others) === others || this.planted === "rebuilds too early";
      if (machine.moving === 2 && m === this.#nextHome() && handedIn)
        steps.push({ do: "rebuild", machine: m });
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

  /** The members of the view that follows a death, without this one. */
  #others(m: number): number {
    return this.#machines.reduce(
      (bits, { alive }, index) => (alive && index + 1 !== m ? bits | (1 << (index + 1)) : bits),
      0,
    );
  }

  /** The home after the first one. */
  #nextHome(): number {
    return this.#machines.findIndex(({ alive }, index) => alive && index + 1 !== this.setup.home) + 1;
  }

  #tell(from: number, to: number, notice: Notice): void {
    this.#wire(from, to).push({ bytes: new Uint8Array(), value: -2, notice });
  }

  #tellAll(from: number, notice: Notice): void {
    for (let to = 1; to <= this.setup.machines; to++)
      if (to !== from && this.machine(to).alive) this.#tell(from, to, notice);
  }

  /** As homes.ts: a revocation that has begun is over at once, and leaves the page here. */
  #freeze(number: number): void {
    const machine = this.machine(number);
    if (machine.revoking >= 0) {
      machine.revoking = -1;
      for (const thread of machine.threads) {
        thread.right = 0;
        if (thread.state === 2) thread.state = 1; // it faults again
      }
    }
    machine.moving = 1;
    this.#run(number, () => this.#do.freeze(this.engine(number), this.page(number), 0));
    this.#tellAll(number, { kind: "frozen" });
  }

  #handIn(number: number): void {
    this.machine(number).moving = 2;
    let report = this.#do.report(this.page(number));
    if (this.planted === "an owner is reported as a copy" && report > 1) report = 1;
    if (this.planted === "copies are not reported" && report === 1) report = 0;
    const home = this.#nextHome();
    if (home === number) this.#do.reported(this.page(number), number, report);
    else this.#tell(number, home, { kind: "report", report });
    this.#tellAll(number, { kind: "handedIn" });
  }

  #rebuild(number: number): void {
    this.#thaw(number, number);
    const lost = this.planted === "what nobody has is zero" ? 0 : 1;
    const owner = this.#do.rebuild(this.engine(number), this.page(number), lost);
    if (owner !== 0 && this.planted !== "the copy that counts is not told so")
      this.#tell(number, owner, { kind: "owner" });
    this.#tellAll(number, { kind: "ready" });
    this.#askAgain(number);
  }

  #thaw(number: number, home: number): void {
    const machine = this.machine(number);
    machine.moving = 0;
    machine.home = home;
    this.#run(number, () => this.#do.thaw(this.engine(number), this.page(number), home));
  }

  #noticed(from: number, to: number, notice: Notice): void {
    const machine = this.machine(to);
    if (notice.kind === "frozen") machine.frozenMarks |= 1 << from;
    else if (notice.kind === "handedIn") machine.handedInMarks |= 1 << from;
    else if (notice.kind === "report") this.#do.reported(this.page(to), from, notice.report);
    else if (notice.kind === "owner") this.#do.adopt(this.page(to));
    else {
      this.#thaw(to, from);
      if (this.planted !== "nobody asks again") this.#askAgain(to);
    }
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
        this.#gone(step.machine);
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
      case "handIn":
        this.#handIn(step.machine);
        break;
      case "rebuild":
        this.#rebuild(step.machine);
        break;
      case "welcome":
        machine.noticed &= ~(1 << step.back);
        this.#do.alive(this.engine(step.machine), step.back);
        break;
      case "notice":
        machine.noticed |= 1 << step.dead;
        this.#do.dead(this.engine(step.machine), step.dead);
        if (this.takeover && step.dead === this.setup.home) {
          this.#freeze(step.machine);
          break;
        }
        this.#run(step.machine, () =>
          this.#do.peerDied(this.engine(step.machine), this.page(step.machine), step.dead),
        );
        break;
    }
    this.check();
  }

  #kill(number: number): void {
    const machine = this.machine(number);
    machine.alive = false;
    for (const thread of machine.threads) thread.right = 0;
    machine.revoking = -1;
    this.deaths++;
    this.forgivable++;
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
    machine.revoking = -1;
    machine.dirty = false;
    machine.frame = -1;
    machine.operation = 0;
    machine.done = 0;
    for (const thread of machine.threads) {
      thread.right = 0;
      thread.declined = false;
      if (thread.state !== 0) thread.at++; // what it was doing went with it
      thread.state = 0;
    }
  }

  #homeless(number: number): boolean {
    return !this.takeover && this.knowsDead(number, this.setup.home);
  }

  #need(thread: Thread): number {
    return thread.program[thread.at] === "r" ? 1 : 2;
  }

  #start(number: number, thread: Thread): void {
    if (thread.right >= this.#need(thread)) {
      this.#execute(number, thread);
      return;
    }
    if (this.#homeless(number)) {
      this.#fail(number, thread);
      return;
    }
    thread.state = 1;
    this.#askFor(number, this.#need(thread) === 2);
  }

  /** For the threads that wait, as pages.ts does. */
  #askFor(number: number, write: boolean): void {
    if (this.machine(number).moving !== 0) return; // asked when it has a home again
    const waiting = this.machine(number).threads.filter((thread) => thread.state === 1);
    const sendable = waiting.every((thread) => thread.program[thread.at] === "x" && !thread.declined);
    if (sendable && this.state(number) === this.#c["INVALID"]) this.#operate(number, waiting[0]!);
    else this.#ask(number, write);
  }

  #operate(number: number, thread: Thread): void {
    thread.state = 3;
    this.machine(number).done = 0;
    this.#run(number, () => this.#do.operate(this.engine(number), this.page(number), 1, 1n, 0n));
  }

  #ask(number: number, write: boolean): void {
    this.#run(number, () => this.#do.ask(this.engine(number), this.page(number), write ? 1 : 0));
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
    const machine = this.machine(number);
    const need = this.#need(thread);
    if (thread.right < need) throw new Violation(`machine ${number} runs an instruction without the right`);
    this.#see(number, machine.frame);
    if (need === 2) {
      this.latest++;
      machine.frame = this.latest;
      machine.dirty = true;
    }
    this.#next(thread);
  }

  #see(number: number, value: number): void {
    if (value === this.latest) return;
    if (this.forgivable === 0 || value > this.latest)
      throw new Violation(`machine ${number} sees ${value}, the newest value is ${this.latest}`);
    this.forgivable--;
    this.reverted++;
    this.latest = value;
  }

  #gone(number: number): void {
    const machine = this.machine(number);
    for (const thread of machine.threads) thread.right = Math.min(thread.right, machine.revoking);
    machine.revoking = -1;
    const dirty = machine.dirty;
    machine.dirty = false;
    this.#run(number, () => this.#do.gone(this.engine(number), this.page(number), dirty ? 1 : 0));
  }

  #deliver(from: number, to: number): void {
    const wire = this.#wire(from, to).shift()!;
    if (wire.notice !== undefined) {
      this.#noticed(from, to, wire.notice);
      return;
    }
    this.#kernel.bytes.set(wire.bytes, this.#message);
    this.#run(to, () => this.#do.message(this.engine(to), this.page(to), this.#message), wire.value);
  }

  /** Runs the engine and carries out what it wants, as pager.ts does. */
  #run(number: number, call: () => void, value = 0): void {
    try {
      call();
    } catch (error) {
      const illegal = this.#kernel.call("engineIllegal")(this.engine(number));
      throw new Violation(
        `machine ${number}: ${error instanceof Error ? error.message : error} (state ${illegal >> 8}, event ${illegal & 255})`,
      );
    }
    const machine = this.machine(number);
    const count = this.#do.count(this.engine(number));
    const list = this.#kernel.bytes.slice(this.#actions, this.#actions + count * this.#c["ACTION_BYTES"]!);
    let again = false;
    for (let i = 0; i < count; i++) {
      const at = i * this.#c["ACTION_BYTES"]!;
      const kind = list[at]!;
      const flags = list[at + 2]!;
      if (kind === this.#c["ACT_SEND"])
        this.#send(number, list[at + 1]!, list.slice(at + 8, at + 8 + this.#messageBytes));
      else if (kind === this.#c["ACT_TAKE"]) machine.frame = value;
      else if (kind === this.#c["ACT_GRANT"]) again = this.#grant(machine, flags) || again;
      else if (kind === this.#c["ACT_REVOKE"]) {
        machine.revoking = machine.revoking < 0 ? flags : Math.min(machine.revoking, flags);
      } else if (kind === this.#c["ACT_WAKE"]) again = true;
      else if (kind === this.#c["ACT_OPERATED"]) this.#operated(number, flags);
      else if (kind === this.#c["ACT_FAIL"]) {
        machine.operation = 0;
        for (const thread of machine.threads)
          if (thread.state === 1 || thread.state === 3) this.#fail(number, thread);
      }
    }
    if (again) this.#askAgain(number);
  }

  #send(from: number, to: number, bytes: Uint8Array): void {
    this.messages++;
    const data = (bytes[3]! & this.#c["WITH_DATA"]!) !== 0;
    if (data) this.dataMessages++;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const transaction = view.getUint32(4, true);
    const kind = bytes[0];
    if ((kind === this.#c["SAY_GET_OPERATE"] || kind === this.#c["SAY_EXECUTE"]) && bytes[2] === from)
      this.machine(from).operation = transaction;
    if (kind === this.#c["SAY_OPERATED"]) this.#perform(from, to, transaction);
    if (this.knowsDead(from, to)) return;
    this.#wire(from, to).push({ bytes, value: data ? this.machine(from).frame : -2 });
  }

  /** The owner does the operation of another machine: as if one of its own threads did. */
  #perform(owner: number, requester: number, transaction: number): void {
    const machine = this.machine(owner);
    for (let m = 1; m <= this.setup.machines; m++)
      if (m !== owner && this.machine(m).threads.some((thread) => thread.right > 0) && this.#homeLives())
        throw new Violation(`machine ${owner} does an operation on a page that machine ${m} can use`);
    this.#see(owner, machine.frame);
    this.latest++;
    machine.frame = this.latest;
    const sender = this.machine(requester);
    if (sender.operation === transaction) sender.done++;
    if (sender.done > 1) throw new Violation(`an operation of machine ${requester} is done twice`);
  }

  #homeLives(): boolean {
    return this.takeover || this.machine(this.setup.home).alive;
  }

  #operated(number: number, outcome: number): void {
    const machine = this.machine(number);
    const thread = machine.threads.find(({ state }) => state === 3);
    if (thread === undefined)
      throw new Violation(`machine ${number} is told of an operation it has not sent`);
    const { done } = machine;
    machine.operation = 0;
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
  #grant(machine: Machine, right: number): boolean {
    const allowed = right === this.#c["RIGHT_MODIFIED"] ? 2 : 1;
    for (const thread of machine.threads) {
      if (thread.state !== 1 || this.#need(thread) > allowed) continue;
      thread.state = 2;
      thread.right = allowed;
    }
    return machine.threads.some((thread) => thread.state === 1);
  }

  #askAgain(number: number): void {
    const machine = this.machine(number);
    const waiting = machine.threads.filter((thread) => thread.state === 1);
    if (waiting.length === 0) return;
    if (this.#homeless(number)) {
      for (const thread of waiting) this.#fail(number, thread);
      return;
    }
    this.#askFor(
      number,
      waiting.some((thread) => this.#need(thread) === 2),
    );
  }

  // --- Judging ---

  /** One writer or any number of readers, and every copy that can be read is the newest. */
  check(): void {
    let writers = 0;
    let readers = 0;
    let value = -1;
    for (let m = 1; m <= this.setup.machines; m++) {
      const machine = this.machine(m);
      // Who serves a home that he does not yet know to be dead is an orphan already.
      const right = Math.max(...machine.threads.map((thread) => thread.right));
      if (right <= 0 || !this.#homeLives()) continue;
      if (right === 2) writers++;
      else readers++;
      if (value >= 0 && value !== machine.frame)
        throw new Violation(`machine ${m} can read ${machine.frame} while another can read ${value}`);
      value = machine.frame;
      if (this.deaths === 0 && value !== this.latest)
        throw new Violation(`machine ${m} can read ${value}, the newest value is ${this.latest}`);
    }
    if (writers > 1 || (writers === 1 && readers > 0))
      throw new Violation(`${writers} machines can write while ${readers} can read`);
  }

  /** Nothing can happen any more: then every thread must be done. */
  checkEnd(): void {
    if (this.takeover && this.reverted > 0 && this.failures() === 0)
      throw new Violation("a page went back to an older version, and nobody was told of the loss");
    this.#machines.forEach((machine, index) => {
      if (!machine.alive) return;
      for (const thread of machine.threads)
        if (thread.at < thread.program.length)
          throw new Violation(`machine ${index + 1} waits for ever (state ${this.state(index + 1)})`);
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
        threads: machine.threads.map((thread) => ({ ...thread })),
      })),
      wires: this.#wires.map((wire) => wire.slice()),
      counts: [this.latest, this.forgivable, this.deaths, this.reverted],
    };
  }

  load(saved: Saved): void {
    this.#kernel.bytes.set(saved.region, this.#region);
    this.#machines = saved.machines.map((machine) => ({
      ...machine,
      threads: machine.threads.map((thread) => ({ ...thread })),
    }));
    this.#wires = saved.wires.map((wire) => wire.slice());
    [this.latest, this.forgivable, this.deaths, this.reverted] = saved.counts;
  }

  /** Equal for states that cannot be told apart. */
  key(): string {
    const hash = createHash("md5");
    const kernel = this.#kernel;
    const protocol = kernel.call("pageProtocolBytes")();
    const env: number[] = [this.latest, this.forgivable, this.deaths, this.reverted];
    for (let m = 1; m <= this.setup.machines; m++) {
      const engine = this.engine(m);
      env.push(kernel.view.getUint32(engine + 16, true)); // lastTransaction
      hash.update(kernel.bytes.slice(this.page(m), this.page(m) + protocol));
      hash.update(kernel.bytes.slice(this.page(m) + protocol, engine + this.#stride));
      const machine = this.machine(m);
      env.push(machine.dirty ? 1 : 0, machine.revoking, machine.frame);
      env.push(machine.alive ? 1 : 0, machine.noticed, machine.returned ? 1 : 0);
      env.push(machine.operation, machine.done);
      env.push(machine.home, machine.moving, machine.frozenMarks, machine.handedInMarks);
      for (const thread of machine.threads)
        env.push(thread.at, thread.state, thread.right, thread.declined ? 1 : 0);
    }
    for (const wire of this.#wires) {
      env.push(wire.length);
      for (const { bytes, value, notice } of wire) {
        hash.update(bytes);
        if (notice !== undefined) hash.update(JSON.stringify(notice));
        env.push(value);
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
  counts: [number, number, number, number];
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
