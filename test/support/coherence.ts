// A cluster for the page protocol in Node: the compiled engine of every machine (coherence-engines.ts), a wire that keeps the
// order of a pair of machines but not between pairs, page tables and TLBs that let go late, and threads that read and write
// (coherence-pager.ts). It knows the whole cluster, so it can say after every event whether two writers met or a reader saw
// an old value (coherence-judge.ts). With `ranges` pages begin without records, as parts of their object's ranges, and the
// home may recall what it granted so; with `takeover` membership goes by views, and homes move (coherence-views.ts).
import { Judge } from "./coherence-judge.js";
import type { LoanStep } from "./coherence-loans.js";
import { type MergeStep, Merging } from "./coherence-merge.js";
import { type MirrorStep, Mirrors } from "./coherence-mirror.js";
import type { UnmapStep } from "./coherence-notes.js";
import type { Notice } from "./coherence-notices.js";
import { Pagers } from "./coherence-pager.js";
import { type RecallStep, Recalls } from "./coherence-recalls.js";
import { Shedding, type ShedStep } from "./coherence-shedding.js";
import { Cluster, type Saved, type Setup } from "./coherence-state.js";
import { type ViewStep, Views } from "./coherence-views.js";
import type { WireStep } from "./joined-wire.js";
import { Assertion, type KernelWasm } from "./kernel-wasm.js";
import type * as search from "./search.js";
import { chance, Violation } from "./search.js";

export type { Program, Saved, Setup } from "./coherence-state.js";

/** One step that the world can take next. */
export type Step =
  | { do: "start"; machine: number; thread: number; borrow?: true }
  | { do: "retire"; machine: number; thread: number }
  | { do: "gone"; machine: number; page: number }
  | { do: "deliver"; from: number; to: number }
  | { do: "kill"; machine: number }
  | { do: "notice"; machine: number; dead: number }
  | { do: "return"; machine: number }
  | { do: "welcome"; machine: number; back: number }
  | { do: "pause" | "resume"; machine: number }
  | LoanStep
  | MergeStep
  | MirrorStep
  | RecallStep
  | ShedStep
  | UnmapStep
  | ViewStep
  | WireStep;

/** What need not happen. */
const optional = new Set<Step["do"]>([
  "kill",
  "pause",
  "exit",
  "leave",
  "merge",
  "drop",
  "forget",
  "offer",
  "fetch",
  "unmap",
  "claim",
  "giveUp",
  "release",
  "shed",
  "giveBack",
  "recallLoan",
]);

export class World extends Cluster implements search.World<Step, Saved> {
  readonly membership: Views;
  readonly mirrors = new Mirrors(this);
  readonly #merging: Merging;
  readonly #shedding: Shedding;
  readonly #recalls = new Recalls(this, (machine) => this.runs(machine) && this.#isMember(machine));
  readonly #judge = new Judge(this);
  readonly #pagers = new Pagers(this, this.#judge, this.mirrors);

  constructor(kernel: KernelWasm, setup: Setup) {
    super(kernel, setup);
    this.membership = new Views(this, this.#pagers, this.mirrors);
    this.#merging = new Merging(this, this.#pagers);
    this.#shedding = new Shedding(this, this.#pagers, this.#recalls, this.#merging);
  }

  // --- Stepping ---

  /** Everything that may happen next; at most so many faults in all. */
  steps(kills = 0): Step[] {
    const steps: Step[] = [];
    for (const m of this.numbers) {
      const machine = this.machine(m);
      if (!machine.alive) continue;
      machine.threads.forEach((thread, index) => {
        if (thread.state === 0 && thread.at < thread.program.length && this.#isMember(m)) {
          steps.push({ do: "start", machine: m, thread: index });
          if (this.loans.mayBorrow(m, thread))
            steps.push({ do: "start", machine: m, thread: index, borrow: true });
        }
        if (thread.state === 2) steps.push({ do: "retire", machine: m, thread: index });
      });
      for (const page of this.pages)
        if (this.#pagers.mayGo(m, page)) steps.push({ do: "gone", machine: m, page });
      for (const from of this.numbers)
        if (this.wire(from, m).length > 0 && this.hears(m, from) && !(this.isOver(m) && this.isOver(from)))
          steps.push({ do: "deliver", from, to: m });
      if (this.takeover) steps.push(...this.membership.steps(m));
      else this.#news(steps, m);
      steps.push(...this.#merging.steps(m), ...this.mirrors.steps(m), ...this.notes.steps(m));
      steps.push(...this.#recalls.steps(m), ...this.#shedding.steps(m), ...this.loans.steps(m));
      if (machine.stopped && !this.membership.leavesOut(m)) steps.push({ do: "resume", machine: m });
      if (this.faults < kills) this.#faults(steps, m);
    }
    if (this.takeover) steps.push(...this.membership.exclusions());
    if (this.rejoins)
      for (const m of this.numbers) if (this.#mayReturn(m)) steps.push({ do: "return", machine: m });
    return steps;
  }

  /** Deaths and returns that the machine does not know of yet. */
  #news(steps: Step[], m: number): void {
    for (const other of this.numbers) {
      if (other === m) continue;
      const { alive, returned } = this.machine(other);
      const dead = this.knowsDead(m, other);
      if (!alive && !dead) steps.push({ do: "notice", machine: m, dead: other });
      if (alive && returned && dead) steps.push({ do: "welcome", machine: m, back: other });
    }
  }

  /** Not to the last that runs and stays. */
  #faults(steps: Step[], m: number): void {
    const { leaving } = this.views.at(-1)!;
    const stay = this.numbers.filter((other) => this.runs(other) && (leaving & (1 << other)) === 0);
    if (this.takeover && stay.length === 1 && stay[0] === m) return;
    if (!this.mirrors.mayFail()) return;
    steps.push({ do: "kill", machine: m });
    if (this.pauses && !this.machine(m).stopped) steps.push({ do: "pause", machine: m });
  }

  /**
   * It has stopped, and is left out: of what it hears it can use nothing. Two of them would give each other a page for ever that
   * threads of both wait for, until these are told that they are out of reach.
   */
  isOver(number: number): boolean {
    return this.takeover && this.machine(number).stopped && this.membership.leavesOut(number);
  }

  /** The machine does not know where its only object has its home now. */
  #moves(number: number): boolean {
    const here = this.machine(number).objects[0];
    return here !== undefined && (!here.known || here.moving !== 0);
  }

  /** Who comes back asks for nothing until everybody has told him that they know (cluster.ts, MEMBERS). */
  #isMember(m: number): boolean {
    if (this.takeover) return this.membership.serves(m);
    return this.living().every((other) => !this.knowsDead(other, m));
  }

  /** A new life begins when everybody knows of the death: links do not join two lives. Objects of a dead home are gone. */
  #mayReturn(m: number): boolean {
    if (this.machine(m).returned) return false;
    if (this.takeover) return this.membership.leavesOut(m);
    if (this.machine(m).alive || this.pages.some((page) => this.home(page) === m)) return false;
    return this.living().every((other) => this.knowsDead(other, m));
  }

  rests(steps: readonly Step[]): boolean {
    return steps.every((step) => optional.has(step.do));
  }

  checkEnd(): void {
    this.#judge.checkEnd();
    this.#recalls.checkEnd();
  }

  take(step: Step): void {
    const heal = this.numbers.filter((machine) => this.mirrors.heals(machine));
    try {
      this.#take(step);
      for (const machine of heal) if (!this.mirrors.heals(machine)) this.#healed(machine);
    } catch (error) {
      throw error instanceof Assertion ? new Violation(error.message) : error;
    }
    this.#judge.check();
    this.mirrors.check();
  }

  /** homesHealed() of homes.ts. */
  #healed(machine: number): void {
    if (this.machine(machine).alive) for (const page of this.pages) this.#pagers.askAgain(machine, page);
  }

  #take(step: Step): void {
    switch (step.do) {
      case "start":
        this.#open(step.machine, step.thread);
        this.#pagers.start(
          step.machine,
          this.machine(step.machine).threads[step.thread]!,
          step.borrow === true,
        );
        break;
      case "retire":
        this.#pagers.execute(step.machine, this.machine(step.machine).threads[step.thread]!);
        break;
      case "unmap":
        this.notes.unmap(step.machine, this.machine(step.machine).threads[step.thread]!);
        break;
      case "gone":
        this.#pagers.gone(step.machine, step.page);
        break;
      case "recall":
      case "claim":
      case "giveUp":
      case "release":
        this.#recalls.take(step);
        break;
      case "giveBack":
      case "recallLoan":
        this.loans.take(step);
        break;
      case "shed":
        this.#shedding.take(step);
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
        this.machine(step.machine).noticed &= ~(1 << step.back);
        this.engines.do.alive(this.engines.engine(step.machine), step.back);
        break;
      case "notice":
        this.#notice(step.machine, step.dead);
        break;
      case "pause":
        this.mirrors.changes();
        this.faults++;
        this.machine(step.machine).stopped = true;
        this.#pagers.stop(step.machine);
        break;
      case "resume":
        this.machine(step.machine).stopped = false;
        for (const page of this.pages) this.#pagers.askAgain(step.machine, page);
        break;
      case "exclude":
        this.mirrors.changes();
        this.membership.exclude(step.machine);
        break;
      case "exit":
        this.membership.leaves.exit(step.machine);
        break;
      case "leave":
        this.mirrors.changes();
        this.membership.leaves.leave(step.machine);
        break;
      case "install":
        this.membership.install(step.machine);
        break;
      case "freeze":
        this.membership.freeze(step.machine);
        break;
      case "handIn":
        this.membership.handIn(step.machine);
        break;
      case "left":
        this.membership.left(step.machine);
        break;
      case "rebuild":
        this.membership.rebuild(step.machine);
        break;
      case "merge":
      case "drop":
      case "forget":
      case "offer":
      case "fetch":
        this.#merging.take(step);
        break;
      case "mirror":
      case "commit":
      case "output":
        this.mirrors.take(step);
        break;
    }
  }

  #open(number: number, index: number): void {
    const { program, at } = this.machine(number).threads[index]!;
    if (this.takeover) this.membership.homes.open(number, this.objectOf(program[at]!.page));
  }

  #deliver(from: number, to: number): void {
    const { words, page, value, notice, word, loan } = this.wire(from, to).shift()!;
    this.mirrors.arrived(from, to);
    if (notice !== undefined) {
      this.#noticed(from, to, notice, value);
      return;
    }
    if (!this.machine(to).objects[this.objectOf(page)]!.known) {
      this.#strangerAnswers(to, page, words);
      this.mirrors.followed(from, to);
      return;
    }
    const { engines } = this;
    const at = this.find(to, page);
    const same = ((words[0]! >>> 24) & this.c["SAME_DATA"]!) !== 0;
    if ((words[0]! & 255) === this.c["SAY_PURGE"]) this.loans.returns(to, page);
    const transaction = engines.do.transaction(at);
    if (loan) this.loans.came(to, page, from, loan, transaction !== 0 && transaction === words[1]);
    const work = () => engines.do.message(engines.engine(to), at, engines.put(words));
    const fails = (words[0]! & 255) === this.c["SAY_FAILURE"];
    const ofLent = fails && ((words[0]! >>> 24) & this.c["PARTLY"]!) !== 0;
    this.#pagers.run(to, page, work, value, same, from, word, ofLent);
    this.mirrors.followed(from, to);
  }

  /** Of an object that the machine does not know. */
  #strangerAnswers(number: number, page: number, words: Uint32Array): void {
    const { do: kernel } = this.engines;
    const message = this.engines.put(words);
    const say = kernel.strangerSays(message);
    const to = kernel.strangerTells(message, BigInt(this.machine(number).noticed >> 1));
    if (say === 0 || to === 0) return;
    const answer = new Uint32Array(words.length);
    answer[0] = say | (number << 8);
    answer[1] = kernel.strangerAnswers(message);
    this.put(number, to, { words: answer, page, value: -2 });
  }

  // --- Deaths and returns ---

  #kill(number: number): void {
    const machine = this.machine(number);
    this.mirrors.changes();
    machine.alive = false;
    for (const thread of machine.threads) thread.right.fill(0);
    for (const page of machine.pages) page.revoking = -1;
    this.faults++;
    if (!machine.membership.handedIn) this.loses(number);
  }

  #notice(number: number, dead: number): void {
    const { engines } = this;
    this.machine(number).noticed |= 1 << dead;
    engines.do.dead(engines.engine(number), dead);
    this.rangesMachineDied(number, dead);
    this.loans.died(number, dead);
    for (const page of this.pages) {
      if (!this.machine(number).pages[page]!.exists) continue;
      const [engine, at] = [engines.engine(number), engines.page(number, page)];
      this.#pagers.run(number, page, () => engines.do.peerDied(engine, at, dead));
    }
    this.loans.gone(number);
  }

  /** Empty memory but for what remains, the same number, the rest of its programs. */
  #return(number: number): void {
    const machine = this.machine(number);
    const n = this.setup.machines;
    for (let other = 1; other <= n; other++) {
      this.cut(number, other);
      this.cut(other, number);
      // Nobody has spoken to it in this life; those who are dead never will.
      if (other === number) continue;
      if (this.machine(other).alive && !this.takeover) machine.noticed &= ~(1 << other);
      else machine.noticed |= 1 << other;
    }
    const remains = machine.alive && this.remains ? this.remainsOf(number) : undefined;
    // Mirrored, what a machine hears that is left out is no loss.
    if (machine.alive && !this.mirror)
      machine.failures += machine.threads.filter(({ state }) => state !== 0).length;
    Object.assign(machine, { returned: true, alive: true, stopped: false, exited: false });
    Object.assign(machine, { notes: [], notesLost: false });
    this.create(number, 1);
    this.tellings.begins(number);
    remains?.forEach(({ serial, frame }, page) => {
      Object.assign(machine.pages[page]!, { frame, kept: { serial, flags: 0, former: true } });
    });
    this.mirrors.create(number);
    if (this.takeover) {
      this.mirrors.changes();
      this.membership.takeIn(number);
    }
    for (let other = 1; other <= n; other++)
      if (this.knowsDead(number, other)) this.engines.do.dead(this.engines.engine(number), other);
    for (const thread of machine.threads) {
      thread.right.fill(0);
      thread.wrote.fill(false);
      thread.declined = false;
      thread.commit = undefined;
      thread.shows = undefined;
      if (thread.state !== 0) thread.at++; // what it was doing went with it
      thread.state = 0;
    }
  }

  #noticed(from: number, to: number, notice: Notice, value: number): void {
    if (notice.kind === "recall" || notice.kind === "touched" || notice.kind === "claim") {
      if (!this.#moves(to)) this.#recalls.noticed(from, to, notice);
    } else if (notice.kind === "loanRecall" || notice.kind === "loanReturn") {
      this.loans.noticed(from, to, notice);
    } else if (notice.kind === "offer") {
      if (!this.#moves(to)) this.#shedding.offered(to, from, notice.page);
    } else if (notice.kind === "mirror") this.mirrors.came(from, to, notice, value);
    else this.membership.noticed(from, to, notice, value);
  }
}

/** One run at random, to its end. */
export function wander(world: World, seed: number, kills = 0, limit = 100_000): number {
  const next = chance(seed);
  for (let count = 0; count < limit; count++) {
    let steps = world.steps(kills);
    // Deaths are rare, so that they meet a cluster at work.
    if (steps.length > 1 && next(20) !== 0) {
      const living = steps.filter((step) => step.do !== "kill" && step.do !== "pause");
      if (living.length > 0) steps = living;
      else if (world.faults < kills) steps = [];
    } else if (world.rests(steps)) steps = [];
    if (steps.length === 0) {
      world.checkEnd();
      return count;
    }
    world.take(steps[next(steps.length)]!);
  }
  throw new Violation(`no end after ${limit} steps`);
}

/** Each seed in the next of the worlds, from where it was when it was saved; gives the operations that failed. */
export function wanderAll(
  worlds: readonly World[],
  fresh: readonly Saved[],
  { seeds, kills, rejoins }: { readonly seeds: number; readonly kills: number; readonly rejoins: boolean },
): number {
  let failures = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const world = worlds[seed % worlds.length]!;
    world.load(fresh[seed % worlds.length]!);
    world.rejoins = rejoins;
    try {
      wander(world, seed, kills);
    } catch (error) {
      throw new Error(`seed ${seed}, ${kills} deaths: ${error instanceof Error ? error.message : error}`);
    }
    failures += world.failures();
  }
  return failures;
}
