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

  /** relieveOf() of relief.ts: pages without a record, elsewhere than at their home. */
  #mayForget(machine: number, page: number): boolean {
    const { engines, setup, c } = this.#cluster;
    const { kept } = this.#cluster.machine(machine).pages[page]!;
    if (setup.gives === undefined || this.#moves(machine, page) || !kept || kept.former) return false;
    const state = engines.do.rangeState(engines.set(machine), BigInt(page));
    return (
      machine !== this.#cluster.homeFor(machine, page) && (state === c["INVALID"] || state === c["SHARED"])
    );
  }

  #forget(machine: number, page: number): void {
    const { engines, notes, c } = this.#cluster;
    const here = this.#cluster.machine(machine).pages[page]!;
    if (engines.do.rangeState(engines.set(machine), BigInt(page)) === c["SHARED"]) {
      const at = this.#cluster.find(machine, page);
      engines.do.drop(engines.engine(machine), at, notes.takeAway(machine, page) ? 1 : 0);
      if (this.#cluster.planted !== "a frame that is taken back leaves its number")
        engines.do.restore(at, 0n, 0, 0);
    }
    Object.assign(here, { kept: undefined, frame: 0, framed: false, dirty: false });
  }

  /** No thread is at it, and it is not being revoked. */
  isIdle(machine: number, page: number): boolean {
    const { threads, pages } = this.#cluster.machine(machine);
    const here = pages[page]!;
    if (!here.exists || here.revoking >= 0 || here.broken) return false;
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
