// Ranges that are too many for a machine's budget of records (kernel/coherence/budget.ts, giving.ts) in the cluster of coherence-state.ts: any that
// counts, at any moment. What becomes of it is what kernel/coherence/shedding.ts says; here is how it is done.
import { LAST } from "./coherence-engines.js";
import type { Merging } from "./coherence-merge.js";
import type { Pagers } from "./coherence-pager.js";
import type { Recalls } from "./coherence-recalls.js";
import type { Cluster } from "./coherence-state.js";

/** The range that begins with this page. */
export type ShedStep = { do: "shed"; machine: number; first: number };

export class Shedding {
  readonly #cluster: Cluster;
  readonly #pagers: Pagers;
  readonly #recalls: Recalls;
  readonly #merging: Merging;

  constructor(cluster: Cluster, pagers: Pagers, recalls: Recalls, merging: Merging) {
    this.#cluster = cluster;
    this.#pagers = pagers;
    this.#recalls = recalls;
    this.#merging = merging;
  }

  steps(machine: number): ShedStep[] {
    const { setup, sheds, pages, engines } = this.#cluster;
    if (sheds >= (setup.sheds ?? 0) || !this.#recalls.isSettled(machine)) return [];
    this.#cluster.object(machine);
    return pages
      .filter((page) => BigInt(engines.do.keptRangeEnd(BigInt(page))) !== 0n && this.#may(machine, page))
      .map((first) => ({ do: "shed", machine, first }));
  }

  /** It comes to something now. */
  #may(machine: number, first: number): boolean {
    const { engines, c } = this.#cluster;
    const object = this.#cluster.object(machine);
    const what = engines.do.rangeShedOf(engines.engine(machine), BigInt(first));
    if (what === c["SHED_ALL"]) return engines.do.mayGiveUp(object) !== 0;
    return what !== c["SHED_RECALL"] || this.#cluster.recalling(machine) === 0;
  }

  /** rangeShed() */
  take({ machine, first }: ShedStep): void {
    const { engines, c } = this.#cluster;
    this.#cluster.sheds++;
    this.#cluster.object(machine);
    const last = Number(engines.do.keptRangeEnd(BigInt(first))) - 1;
    const what = engines.do.rangeShedOf(engines.engine(machine), BigInt(first));
    if (what === c["SHED_OWN"]) this.#recalls.release(machine, first, last);
    else if (what === c["SHED_RECALL"]) this.#recalls.recall(machine, 0n);
    else if (what === c["SHED_ALL"]) this.#recalls.answer(machine, 0n, LAST, false);
    else
      for (let page = first; page <= last; page++)
        if (what === c["SHED_COPIES"]) this.#merging.dropPage(machine, page);
        else if (what === c["SHED_FETCH"]) this.#fetch(machine, page);
        else this.#offer(machine, page);
  }

  /** pageGiveBack() of giving.ts, at the home. */
  #fetch(home: number, page: number): void {
    const { engines } = this.#cluster;
    const [engine, at] = [engines.engine(home), this.#cluster.find(home, page)];
    if (engines.do.mayFetch(at) !== 0) this.#pagers.run(home, page, () => engines.do.ask(engine, at, 1));
  }

  /** And elsewhere. */
  #offer(machine: number, page: number): void {
    const { engines } = this.#cluster;
    const at = this.#cluster.find(machine, page);
    engines.do.rangeLeaves(engines.engine(machine), this.#cluster.object(machine), at);
    this.#cluster.tell(machine, this.#cluster.homeFor(machine, 0), { kind: "offer", page });
  }

  /** pageOffered() of giving.ts. */
  offered(home: number, from: number, page: number): void {
    if (this.#cluster.homeFor(home, 0) !== home) return;
    const at = this.#cluster.find(home, page);
    if (this.#merging.isIdle(home, page) && this.#cluster.engines.do.mayTakeFrom(at, from) !== 0)
      this.#fetch(home, page);
  }
}
