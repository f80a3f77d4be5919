// Records that merge, copies that are thrown away, and pages that go home without anybody's need (kernel/coherence/merge.ts and
// budget.ts), in the cluster of coherence-state.ts: at any moment, in any order, as a budget of records might want it.
import type { Pagers } from "./coherence-pager.js";
import type { Cluster } from "./coherence-state.js";

export type MergeStep =
  /** The page's record becomes a part of its range. */
  | { do: "merge"; machine: number; page: number }
  /** A copy, or what the home has alone, is thrown away. */
  | { do: "drop"; machine: number; page: number }
  /** With Setup.gives: what is here of a page without any right, or a copy, goes with its frame. */
  | { do: "forget"; machine: number; page: number }
  /** With Setup.offers: a page that only this machine has, or others have copies of, is offered to its home. */
  | { do: "offer"; machine: number; page: number }
  /** The home asks for a page that no thread of its needs. */
  | { do: "fetch"; machine: number; page: number };

export class Merging {
  readonly #cluster: Cluster;
  readonly #pagers: Pagers;

  constructor(cluster: Cluster, pagers: Pagers) {
    this.#cluster = cluster;
    this.#pagers = pagers;
  }

  steps(machine: number): MergeStep[] {
    const { engines, setup, pages } = this.#cluster;
    if (!setup.merges) return [];
    const steps: MergeStep[] = [];
    for (const page of pages) {
      if (this.#mayForget(machine, page)) steps.push({ do: "forget", machine, page });
      if (this.#mayOffer(machine, page)) steps.push({ do: "offer", machine, page });
      if (this.#moves(machine, page) || !this.isIdle(machine, page)) continue;
      const [engine, at] = [engines.engine(machine), engines.page(machine, page)];
      if (engines.do.mayMerge(engine, at) !== 0) steps.push({ do: "merge", machine, page });
      if (engines.do.mayDrop(engine, at) !== 0) steps.push({ do: "drop", machine, page });
      if (
        machine === this.#cluster.homeFor(machine, page) &&
        this.#cluster.fetches < (setup.fetches ?? 0) &&
        this.#isElsewhere(machine, page)
      )
        steps.push({ do: "fetch", machine, page });
    }
    return steps;
  }

  // --- When frames run short, as relief.ts ---

  /** What becomes of a page of another home; 0: nothing. */
  #relief(machine: number, page: number): number {
    const { engines, setup, c } = this.#cluster;
    const here = this.#cluster.machine(machine).pages[page]!;
    if (setup.gives === undefined || this.#moves(machine, page)) return 0;
    if (machine === this.#cluster.homeFor(machine, page)) return 0;
    if (here.kept) {
      this.#cluster.object(machine);
      return engines.do.keptRelief(page);
    }
    if (!here.exists || !this.isIdle(machine, page)) return 0;
    const at = engines.page(machine, page);
    engines.do.pageFramed(at, here.framed ? 1 : 0, here.former ? 1 : 0, here.roomless ? 1 : 0);
    return engines.do.reliefOffers(at) !== 0 ? c["RELIEF_OFFER"]! : 0;
  }

  #mayOffer(machine: number, page: number): boolean {
    const { offers, setup, c } = this.#cluster;
    return offers < (setup.offers ?? 0) && this.#relief(machine, page) === c["RELIEF_OFFER"];
  }

  #mayForget(machine: number, page: number): boolean {
    const relief = this.#relief(machine, page);
    return relief !== 0 && relief !== this.#cluster.c["RELIEF_OFFER"];
  }

  #forget(machine: number, page: number): void {
    const { engines, c } = this.#cluster;
    const here = this.#cluster.machine(machine).pages[page]!;
    if (this.#relief(machine, page) === c["RELIEF_DROP"]) {
      if (!this.dropPage(machine, page)) return;
      engines.do.frameTake(engines.page(machine, page));
    }
    Object.assign(here, { kept: undefined, frame: 0, framed: false, former: false, dirty: false });
  }

  /** pageGiveBack() of giving.ts, elsewhere than at its home. */
  #offer(machine: number, page: number): void {
    this.#cluster.offers++;
    this.#cluster.find(machine, page);
    this.#cluster.tell(machine, this.#cluster.homeFor(machine, page), { kind: "offer", page });
  }

  /** dropPage() of giving.ts. */
  dropPage(machine: number, page: number): boolean {
    const { engines, notes } = this.#cluster;
    const [engine, at] = [engines.engine(machine), this.#cluster.find(machine, page)];
    const idle = this.isIdle(machine, page) ? 1 : 0;
    if (engines.do.dropBegins(engine, this.#cluster.object(machine), at, idle) === 0) return false;
    engines.do.drop(engine, at, notes.takeAway(machine, page) ? 1 : 0);
    this.#cluster.machine(machine).pages[page]!.dirty = false;
    return true;
  }

  /** No thread is at it, and it is not being revoked. */
  isIdle(machine: number, page: number): boolean {
    const { threads, pages } = this.#cluster.machine(machine);
    const here = pages[page]!;
    if (!here.exists || here.revoking >= 0 || this.#cluster.isBroken(machine, page)) return false;
    if (this.#cluster.loans.has(machine, page)) return false;
    return threads.every(({ state, program, at }) => state === 0 || program[at]!.page !== page);
  }

  /** isSettledObject() of budget.ts. */
  #moves(machine: number, page: number): boolean {
    const { known, moving } = this.#cluster.machine(machine).objects[this.#cluster.objectOf(page)]!;
    return !known || moving !== 0;
  }

  #isElsewhere(home: number, page: number): boolean {
    const { engines, c } = this.#cluster;
    const at = engines.page(home, page);
    if (engines.do.mayFetch(at) === 0) return false;
    const state = engines.do.state(at);
    return state === c["INVALID"] || state === c["SHARED"];
  }

  take(step: MergeStep): void {
    const { machine, page } = step;
    const cluster = this.#cluster;
    const { engines } = cluster;
    const [engine, at] = [engines.engine(machine), engines.page(machine, page)];
    const here = cluster.machine(machine).pages[page]!;
    if (step.do === "forget") this.#forget(machine, page);
    else if (step.do === "offer") this.#offer(machine, page);
    else if (step.do === "fetch") {
      cluster.fetches++;
      this.#pagers.run(machine, page, () => engines.do.ask(engine, at, 1));
    } else if (step.do === "drop") {
      engines.do.drop(engine, at, cluster.notes.takeAway(machine, page) ? 1 : 0);
      here.dirty = false;
    } else {
      engines.do.merge(engine, at);
      here.exists = false;
      here.kept = { serial: engines.do.serial(at) as unknown as bigint, flags: engines.do.dirty(at) };
      // Without Setup.gives also nothing is kept.
      const stays = engines.do.pageStays(at, here.framed ? 1 : 0) !== 0;
      if (cluster.setup.gives !== undefined && !stays) here.kept = undefined;
    }
  }
}
