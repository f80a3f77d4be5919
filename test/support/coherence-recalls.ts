// Ranges that machines of the cluster of coherence-state.ts hold, and how they lose them (kernel/coherence/grants.ts): the home recalls them, all or
// some; a machine claims pages for itself; a holder, also the home, gives ranges up of its own accord, as a budget of records might want it
// (budget.ts), at any moment.
import { LAST } from "./coherence-engines.js";
import type { Notice } from "./coherence-notices.js";
import type { Cluster } from "./coherence-state.js";

export type RecallStep =
  /** The home recalls all ranges. With Setup.gives: those from a page on. */
  | { do: "recall"; machine: number; first?: number }
  | { do: "claim"; machine: number; first: number; last: number }
  /** All that it was granted so; at the home one range of its own. */
  | { do: "giveUp"; machine: number }
  | { do: "release"; machine: number; first: number; last: number };

type RangeNotice = Extract<Notice, { kind: "recall" | "touched" | "claim" }>;

const bit = (machine: number) => 1 << machine;

export class Recalls {
  readonly #cluster: Cluster;
  readonly #isServed: (machine: number) => boolean;

  /** `isServed`: the machine's threads may ask for things. */
  constructor(cluster: Cluster, isServed: (machine: number) => boolean) {
    this.#cluster = cluster;
    this.#isServed = isServed;
  }

  #isHome(number: number): boolean {
    return this.#cluster.homeFor(number, 0) === number;
  }

  /** Its only object has a home, as far as it knows. */
  #isSettled(number: number): boolean {
    const here = this.#cluster.machine(number).objects[0];
    return here?.known === true && here.moving === 0;
  }

  // --- What may happen ---

  steps(number: number): RecallStep[] {
    const { setup, recalls, ranges, gives } = this.#cluster;
    if (!ranges || !this.#isSettled(number)) return [];
    const { recalling } = this.#cluster.machine(number);
    const more = recalls < (setup.recalls ?? 0) && recalling === 0;
    if (setup.gives === undefined)
      return more && this.#recaller() === number ? [{ do: "recall", machine: number }] : [];
    const steps: RecallStep[] = [];
    if (more && this.#isHome(number))
      for (const first of this.#cluster.pages) steps.push({ do: "recall", machine: number, first });
    if (gives >= setup.gives) return steps;
    for (const page of this.#cluster.pages)
      for (const last of new Set([page, setup.pages! - 1]))
        if (this.#isServed(number)) steps.push({ do: "claim", machine: number, first: page, last });
    if (this.#isHome(number)) steps.push(...this.#releases(number));
    else if (this.#mayGiveUp(number)) steps.push({ do: "giveUp", machine: number });
    return steps;
  }

  /** The home that may recall ranges: the first of them. */
  #recaller(): number {
    return this.#cluster.living().find((m) => this.#isHome(m) && this.#isSettled(m)) ?? 0;
  }

  /** It has a range of pages that were not all touched. */
  #mayGiveUp(number: number): boolean {
    const { engines, c, pages } = this.#cluster;
    const here = this.#cluster.machine(number).pages;
    const asks = pages.some(
      (page) => here[page]!.exists && engines.do.transaction(engines.page(number, page)) !== 0,
    );
    if (asks && this.#cluster.planted !== "ranges are given up while more are asked for") return false;
    return pages.some(
      (page) =>
        !here[page]!.exists &&
        !here[page]!.kept &&
        engines.do.rangeState(engines.set(number), BigInt(page)) === c["EXCLUSIVE"],
    );
  }

  /** Ranges that the home was granted. */
  #releases(number: number): RecallStep[] {
    const { engines, pages } = this.#cluster;
    const held = pages.map((page) => engines.do.holder(engines.set(number), BigInt(page)) === number);
    return pages
      .filter((page) => held[page] && !held[page - 1])
      .map((first) => {
        const end = held.indexOf(false, first);
        return { do: "release", machine: number, first, last: (end < 0 ? pages.length : end) - 1 };
      });
  }

  take(step: RecallStep): void {
    const cluster = this.#cluster;
    if (step.do !== "recall") cluster.gives++;
    else cluster.recalls++;
    if (step.do === "giveUp") this.#answer(step.machine, 0n, LAST, false);
    else if (step.do === "release") this.#release(step.machine, step.first, step.last);
    else if (step.do === "claim") this.#claim(step.machine, BigInt(step.first), BigInt(step.last));
    else if (step.first === undefined) this.#recallAll(step.machine);
    else this.#recall(step.machine, BigInt(step.first));
  }

  // --- At the home ---

  #ask(home: number, machine: number, first: bigint, last: bigint): void {
    const here = this.#cluster.machine(home);
    here.recalling |= bit(machine - 1);
    this.#cluster.tell(home, machine, { kind: "recall", first, last });
    this.#cluster.engines.do.recalling(this.#cluster.engines.set(home), BigInt(here.recalling));
  }

  /** Everybody is asked, and the home itself keeps what it has touched. */
  #recallAll(home: number): void {
    const cluster = this.#cluster;
    const { engines } = cluster;
    for (const page of this.#touched(home)) engines.do.keep(engines.page(home, page), home);
    engines.do.released(engines.set(home), home, 0n, LAST, cluster.c["UNUSED"]!);
    for (const m of cluster.numbers)
      if (m !== home && !cluster.knowsDead(home, m)) this.#ask(home, m, 0n, LAST);
  }

  #touched(number: number): number[] {
    this.#cluster.unmerge(number);
    const { engines, pages } = this.#cluster;
    const here = this.#cluster.machine(number).pages;
    return pages.filter((page) => here[page]!.exists && engines.do.isHere(engines.page(number, page)) !== 0);
  }

  /** recallAsk() */
  #recall(home: number, first: bigint): void {
    const { engines, numbers } = this.#cluster;
    const holders = Number(engines.do.holders(engines.set(home), first));
    for (const m of numbers)
      if (m !== home && holders & bit(m - 1) && !this.#cluster.knowsDead(home, m))
        this.#ask(home, m, first, LAST);
  }

  /** rangesClaim() */
  #claim(number: number, first: bigint, last: bigint): void {
    const { engines, c } = this.#cluster;
    const set = engines.set(number);
    const all = this.#between(first, last);
    if (all.every((page) => engines.do.rangeState(set, BigInt(page)) === c["EXCLUSIVE"])) return;
    if (this.#isHome(number)) this.#claimed(number, number, first, last);
    else this.#cluster.tell(number, this.#cluster.homeFor(number, 0), { kind: "claim", first, last });
  }

  #between(first: bigint, last: bigint): number[] {
    return this.#cluster.pages.filter((page) => page >= first && page <= last);
  }

  #claimed(home: number, from: number, first: bigint, last: bigint): void {
    const { engines } = this.#cluster;
    const here = this.#cluster.machine(home);
    if (here.recalling !== 0) return;
    if (from !== home) this.#giveUpOwn(home, first, last);
    const holders = this.#between(first, last).map((page) =>
      engines.do.holder(engines.set(home), BigInt(page)),
    );
    for (const machine of new Set(holders))
      if (machine !== 0 && machine !== from && machine !== home && !this.#cluster.knowsDead(home, machine))
        this.#ask(home, machine, first, last);
  }

  /** ownGiveUp() */
  #giveUpOwn(home: number, first: bigint, last: bigint): void {
    const { engines, c } = this.#cluster;
    const set = engines.set(home);
    for (const page of this.#between(first, last)) {
      const { exists, kept } = this.#cluster.machine(home).pages[page]!;
      const at = engines.page(home, page);
      if (exists && engines.do.isHere(at) !== 0) engines.do.keep(at, home);
      else if (!exists && kept && !kept.former) engines.do.keepRange(set, BigInt(page), home);
    }
    engines.do.released(set, home, first, last, c["UNUSED"]!);
  }

  /** shedAtHome() of budget.ts: what is kept of the range is thrown away. */
  #release(home: number, first: number, last: number): void {
    const { engines, c, notes } = this.#cluster;
    for (let page = first; page <= last; page++) {
      const here = this.#cluster.machine(home).pages[page]!;
      const used = here.exists && engines.do.isHere(engines.page(home, page)) !== 0;
      if (used && this.#cluster.planted !== "what the home uses goes with its range")
        engines.do.keep(engines.page(home, page), home);
      if (!here.kept || here.kept.former) continue;
      const at = this.#cluster.find(home, page);
      if (engines.do.mayDrop(engines.engine(home), at) === 0) continue;
      engines.do.drop(engines.engine(home), at, notes.takeAway(home, page) ? 1 : 0);
      here.dirty = false;
    }
    engines.do.released(engines.set(home), home, BigInt(first), BigInt(last), c["UNUSED"]!);
  }

  /** released() */
  #released(
    home: number,
    from: number,
    { pages, first, last, recalled }: Extract<Notice, { kind: "touched" }>,
  ): void {
    const cluster = this.#cluster;
    const { engines, setup } = cluster;
    const set = engines.set(home);
    for (const page of pages)
      if (setup.gives === undefined || cluster.machine(home).pages[page]!.exists)
        engines.do.keep(cluster.find(home, page), from);
      else engines.do.keepRange(set, BigInt(page), from);
    engines.do.released(set, from, first, last, cluster.c["UNUSED"]!);
    if (recalled || cluster.planted === "what is given up answers a recall") cluster.answered(home, from);
  }

  // --- Where they are held ---

  /** answerRecall() */
  #answer(number: number, first: bigint, last: bigint, recalled: boolean): void {
    const cluster = this.#cluster;
    const { engines, c, setup } = cluster;
    const set = engines.set(number);
    const home = cluster.homeFor(number, 0);
    if (setup.gives === undefined) {
      cluster.tell(number, home, { kind: "touched", pages: this.#touched(number), first, last, recalled });
      engines.do.putState(set, first, last, c["INVALID"]!);
      return;
    }
    const standing = this.#between(first, last).map((page) => ({
      page,
      state: this.#standing(number, page),
    }));
    const touched = standing.filter(({ state }) => state !== c["INVALID"]);
    cluster.tell(number, home, {
      kind: "touched",
      pages: touched.map(({ page }) => page),
      first,
      last,
      recalled,
    });
    engines.do.putState(set, first, last, c["INVALID"]!);
    for (const { page, state } of touched)
      if (!cluster.machine(number).pages[page]!.exists)
        engines.do.putState(set, BigInt(page), BigInt(page), state);
  }

  /** What it may do with a page that it has touched. */
  #standing(number: number, page: number): number {
    const { engines, c } = this.#cluster;
    const { exists, kept } = this.#cluster.machine(number).pages[page]!;
    const at = engines.page(number, page);
    if (exists) return engines.do.isHere(at) !== 0 ? engines.do.state(at) : c["INVALID"]!;
    return kept && !kept.former ? engines.do.rangeState(engines.set(number), BigInt(page)) : c["INVALID"]!;
  }

  noticed(from: number, to: number, notice: RangeNotice): void {
    const home = this.#cluster.homeFor(to, 0);
    if (notice.kind === "touched") {
      if (to === home) this.#released(to, from, notice);
    } else if (notice.kind === "claim") {
      if (to === home && from !== home) this.#claimed(to, from, notice.first, notice.last);
    } else if (from === home) this.#answer(to, notice.first, notice.last, true);
  }
}
