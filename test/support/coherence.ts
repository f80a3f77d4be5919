// A cluster for the page protocol in Node: the compiled engine of every machine (coherence-engines.ts), a wire that keeps the
// order of a pair of machines but not between pairs, page tables and TLBs that let go late, and threads that read and write
// (coherence-pager.ts). It knows the whole cluster, so it can say after every event whether two writers met or a reader saw
// an old value (coherence-judge.ts). With `ranges` pages begin without records, as parts of their object's ranges, and the
// home may recall what it granted so; with `takeover` the home's role moves when it dies (coherence-move.ts).
import { LAST } from "./coherence-engines.js";
import { Judge } from "./coherence-judge.js";
import { type MergeStep, Merging } from "./coherence-merge.js";
import { HomeMove, type MoveStep } from "./coherence-move.js";
import { Pagers } from "./coherence-pager.js";
import { Cluster, type Notice, type Saved, type Setup } from "./coherence-state.js";
import { Assertion, type KernelWasm } from "./kernel-wasm.js";
import type * as search from "./search.js";
import { chance, Violation } from "./search.js";

export type { Program, Saved, Setup } from "./coherence-state.js";

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
  | { do: "welcome"; machine: number; back: number }
  | MergeStep
  | MoveStep;

/** What need not happen. */
const optional = new Set<Step["do"]>(["kill", "merge", "drop", "fetch"]);

export class World extends Cluster implements search.World<Step, Saved> {
  readonly move: HomeMove;
  readonly #merging: Merging;
  readonly #judge = new Judge(this);
  readonly #pagers = new Pagers(this, this.#judge);

  constructor(kernel: KernelWasm, setup: Setup) {
    super(kernel, setup);
    this.move = new HomeMove(this, this.#pagers);
    this.#merging = new Merging(this, this.#pagers);
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
      for (const page of this.pages)
        if (this.#pagers.mayGo(m, page)) steps.push({ do: "gone", machine: m, page });
      for (let from = 1; from <= n; from++) {
        if (this.wire(from, m).length > 0 && !this.knowsDead(m, from))
          steps.push({ do: "deliver", from, to: m });
        if (from !== m && !this.machine(from).alive && !this.knowsDead(m, from))
          steps.push({ do: "notice", machine: m, dead: from });
        if (from !== m && this.machine(from).returned && this.machine(from).alive && this.knowsDead(m, from))
          steps.push({ do: "welcome", machine: m, back: from });
      }
      if (this.takeover) steps.push(...this.move.steps(m));
      steps.push(...this.#merging.steps(m));
      if (m === this.setup.home && this.recalls < (this.setup.recalls ?? 0) && this.recalling === 0)
        steps.push({ do: "recall", machine: m });
      if (this.deaths < kills) steps.push({ do: "kill", machine: m });
    }
    if (this.rejoins)
      for (let m = 1; m <= n; m++) if (this.#mayReturn(m)) steps.push({ do: "return", machine: m });
    return steps;
  }

  /** Who comes back asks for nothing until everybody has told him that they know (cluster.ts, MEMBERS). */
  #isMember(m: number): boolean {
    return this.living().every((other) => !this.knowsDead(other, m));
  }

  /** A new life begins when everybody knows of the death: links do not join two lives. Objects of a dead home are gone. */
  #mayReturn(m: number): boolean {
    if (this.machine(m).alive || this.machine(m).returned || m === this.setup.home) return false;
    return this.living().every((other) => this.knowsDead(other, m));
  }

  rests(steps: readonly Step[]): boolean {
    return steps.every((step) => optional.has(step.do));
  }

  checkEnd(): void {
    this.#judge.checkEnd();
  }

  take(step: Step): void {
    try {
      this.#take(step);
    } catch (error) {
      throw error instanceof Assertion ? new Violation(error.message) : error;
    }
    this.#judge.check();
  }

  #take(step: Step): void {
    if (this.takeover && this.ranges) throw new Error("the home's move is not simulated with ranges");
    switch (step.do) {
      case "start":
        this.#pagers.start(step.machine, this.machine(step.machine).threads[step.thread]!);
        break;
      case "retire":
        this.#pagers.execute(step.machine, this.machine(step.machine).threads[step.thread]!);
        break;
      case "gone":
        this.#pagers.gone(step.machine, step.page);
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
        this.machine(step.machine).noticed &= ~(1 << step.back);
        this.engines.do.alive(this.engines.engine(step.machine), step.back);
        break;
      case "notice":
        this.#notice(step.machine, step.dead);
        break;
      case "handIn":
        this.move.handIn(step.machine);
        break;
      case "rebuild":
        this.move.rebuild(step.machine);
        break;
      case "merge":
      case "drop":
      case "fetch":
        this.#merging.take(step);
        break;
    }
  }

  #deliver(from: number, to: number): void {
    const { bytes, page, value, notice } = this.wire(from, to).shift()!;
    if (notice !== undefined) {
      this.#noticed(from, to, notice);
      return;
    }
    const { engines } = this;
    const at = this.find(to, page);
    const same = (bytes[3]! & this.c["SAME_DATA"]!) !== 0;
    const work = () => engines.do.message(engines.engine(to), at, engines.put(bytes));
    this.#pagers.run(to, page, work, value, same);
  }

  // --- Deaths and returns ---

  #kill(number: number): void {
    const machine = this.machine(number);
    machine.alive = false;
    for (const thread of machine.threads) thread.right.fill(0);
    for (const page of machine.pages) page.revoking = -1;
    this.deaths++;
    this.forgivable = this.forgivable.map((count) => count + 1);
  }

  #notice(number: number, dead: number): void {
    const { engines } = this;
    const { home } = this.setup;
    this.machine(number).noticed |= 1 << dead;
    engines.do.dead(engines.engine(number), dead);
    if (this.takeover && dead === home) {
      this.move.freeze(number);
      return;
    }
    // Ranges first, as pages.ts does.
    if (dead === home) this.unmerge(number);
    if (this.ranges && dead === home) engines.do.putState(engines.set(number), 0n, LAST, this.c["INVALID"]!);
    if (this.ranges && number === home) {
      engines.do.forgetSharer(engines.set(number), dead);
      engines.do.released(engines.set(number), dead, 0n, LAST, this.c["LOST"]!);
      this.#answered(dead);
    }
    for (const page of this.pages) {
      if (!this.machine(number).pages[page]!.exists) continue;
      const [engine, at] = [engines.engine(number), engines.page(number, page)];
      this.#pagers.run(number, page, () => engines.do.peerDied(engine, at, dead));
    }
  }

  /** Empty memory, the same number, the rest of its programs. */
  #return(number: number): void {
    const machine = this.machine(number);
    const n = this.setup.machines;
    for (let other = 1; other <= n; other++) {
      this.wire(number, other).length = 0;
      this.wire(other, number).length = 0;
      // Nobody has spoken to it in this life; those who are dead never will.
      if (other === number) continue;
      if (this.machine(other).alive) machine.noticed &= ~(1 << other);
      else machine.noticed |= 1 << other;
    }
    machine.returned = true;
    machine.alive = true;
    this.create(number, 1);
    for (let other = 1; other <= n; other++)
      if (this.knowsDead(number, other)) this.engines.do.dead(this.engines.engine(number), other);
    for (const thread of machine.threads) {
      thread.right.fill(0);
      thread.declined = false;
      if (thread.state !== 0) thread.at++; // what it was doing went with it
      thread.state = 0;
    }
  }

  // --- Recalling ranges, as grants.ts does ---

  #touched(number: number): number[] {
    this.unmerge(number);
    const { engines } = this;
    const { pages } = this.machine(number);
    return this.pages.filter(
      (page) => pages[page]!.exists && engines.do.isHere(engines.page(number, page)) !== 0,
    );
  }

  #recall(): void {
    const { home, machines } = this.setup;
    const { engines } = this;
    this.recalls++;
    for (const page of this.#touched(home)) engines.do.keep(engines.page(home, page), home);
    engines.do.released(engines.set(home), home, 0n, LAST, this.c["UNUSED"]!);
    for (let m = 1; m <= machines; m++) {
      if (m === home || this.knowsDead(home, m)) continue;
      this.recalling |= 1 << (m - 1);
      this.tell(home, m, { kind: "recall" });
    }
    engines.do.recalling(engines.set(home), BigInt(this.recalling));
  }

  #answered(machine: number): void {
    this.recalling &= ~(1 << (machine - 1));
    this.engines.do.recalling(this.engines.set(this.setup.home), BigInt(this.recalling));
  }

  #noticed(from: number, to: number, notice: Notice): void {
    const { engines } = this;
    if (notice.kind === "recall") {
      this.tell(to, from, { kind: "touched", pages: this.#touched(to) });
      engines.do.putState(engines.set(to), 0n, LAST, this.c["INVALID"]!);
    } else if (notice.kind === "touched") {
      for (const page of notice.pages) engines.do.keep(this.find(to, page), from);
      engines.do.released(engines.set(to), from, 0n, LAST, this.c["UNUSED"]!);
      this.#answered(from);
    } else this.move.noticed(from, to, notice);
  }
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
