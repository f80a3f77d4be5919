// Ranges that machines of the cluster of coherence-state.ts hold, and how they lose them: the home recalls them, all or some; a machine claims
// pages for itself; a holder, also the home, gives ranges up of its own accord, as a budget of records might want it (budget.ts), at any
// moment. What is asked for, named and kept is what kernel/coherence/holdings.ts says; here is when, and how it is told, in place of grants.ts.
import { LAST } from "./coherence-engines.js";
import type { Notice } from "./coherence-notices.js";
import type { Cluster } from "./coherence-state.js";
import { Violation } from "./search.js";

export type RecallStep =
  /** The home recalls all ranges, and each page of them that was touched gets a record. With Setup.gives: those from a page on. */
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
  isSettled(number: number): boolean {
    const here = this.#cluster.machine(number).objects[0];
    return here?.known === true && here.moving === 0;
  }

  // --- What may happen ---

  steps(number: number): RecallStep[] {
    const { setup, recalls, ranges, gives } = this.#cluster;
    if (!ranges || !this.isSettled(number)) return [];
    const more = recalls < (setup.recalls ?? 0) && this.#cluster.recalling(number) === 0;
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
    return this.#cluster.living().find((m) => this.#isHome(m) && this.isSettled(m)) ?? 0;
  }

  /** It has a range of pages that were not all touched. */
  #mayGiveUp(number: number): boolean {
    const { engines, c, pages } = this.#cluster;
    if (engines.do.mayGiveUp(this.#cluster.object(number)) === 0) return false;
    const here = this.#cluster.machine(number).pages;
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
    if (step.do === "giveUp") this.answer(step.machine, 0n, LAST, false);
    else if (step.do === "release") this.release(step.machine, step.first, step.last);
    else if (step.do === "claim") this.#claim(step.machine, BigInt(step.first), BigInt(step.last));
    else if (step.first === undefined) this.#recallAll(step.machine);
    else this.recall(step.machine, BigInt(step.first));
  }

  // --- At the home ---

  /** Bit per machine that is not spoken to. */
  #silent(number: number): bigint {
    return BigInt(this.#cluster.machine(number).noticed >> 1);
  }

  /** `machines`: a bit for each that is asked. */
  #ask(home: number, machines: number, first: bigint, last: bigint): void {
    for (const machine of this.#cluster.numbers)
      if (Number(machines) & bit(machine - 1))
        this.#cluster.tell(home, machine, { kind: "recall", first, last });
  }

  /** recallAsk() */
  recall(home: number, first: bigint): void {
    const { engines } = this.#cluster;
    const object = this.#cluster.object(home);
    const holders = engines.do.holdersFrom(engines.engine(home), object, first);
    this.#ask(home, engines.do.recallBegins(object, holders, this.#silent(home)), first, LAST);
  }

  /** Everybody is asked, also who holds nothing, and the home gives up what it holds itself. */
  #recallAll(home: number): void {
    const { engines, numbers } = this.#cluster;
    this.#cluster.unmerge(home);
    const object = this.#cluster.object(home);
    engines.do.ownDrop(engines.engine(home), object, 0n, LAST);
    const others = BigInt(numbers.reduce((bits, m) => bits | (m === home ? 0 : bit(m - 1)), 0));
    this.#ask(home, engines.do.recallBegins(object, others, this.#silent(home)), 0n, LAST);
  }

  /** rangesClaim() */
  #claim(number: number, first: bigint, last: bigint): void {
    const { engines } = this.#cluster;
    if (engines.do.holdsAll(this.#cluster.object(number), first, last) !== 0) return;
    if (this.#isHome(number)) this.#claimed(number, number, first, last);
    else this.#cluster.tell(number, this.#cluster.homeFor(number, 0), { kind: "claim", first, last });
  }

  #claimed(home: number, from: number, first: bigint, last: bigint): void {
    const { engines } = this.#cluster;
    const [engine, object] = [engines.engine(home), this.#cluster.object(home)];
    const asked = engines.do.claimBegins(engine, object, from, first, last, this.#silent(home));
    this.#ask(home, asked, first, last);
  }

  /** shedAtHome() of budget.ts: what is kept of the range is thrown away. */
  release(home: number, first: number, last: number): void {
    const { engines, notes } = this.#cluster;
    for (let page = first; page <= last; page++) {
      const here = this.#cluster.machine(home).pages[page]!;
      if (!here.kept || here.kept.former) continue;
      const at = this.#cluster.find(home, page);
      if (engines.do.mayDrop(engines.engine(home), at) === 0) continue;
      engines.do.drop(engines.engine(home), at, notes.takeAway(home, page) ? 1 : 0);
      here.dirty = false;
    }
    engines.do.ownDrop(engines.engine(home), this.#cluster.object(home), BigInt(first), BigInt(last));
  }

  /** released() */
  #released(
    home: number,
    from: number,
    { pages, first, last, recalled }: Extract<Notice, { kind: "touched" }>,
  ): void {
    const { engines, setup } = this.#cluster;
    const object = this.#cluster.object(home);
    for (const page of pages) {
      if (setup.gives === undefined) this.#cluster.find(home, page);
      const { exists } = this.#cluster.machine(home).pages[page]!;
      engines.do.holderKeeps(object, from, exists ? engines.page(home, page) : 0, BigInt(page));
    }
    engines.do.holderGives(object, from, first, last, recalled ? 1 : 0);
  }

  // --- Where they are held ---

  /** answerRecall() */
  answer(number: number, first: bigint, last: bigint, recalled: boolean): void {
    const { engines, setup } = this.#cluster;
    if (setup.gives === undefined) this.#cluster.unmerge(number);
    this.#cluster.object(number);
    const count = engines.do.holdingsGiven(first, last);
    const pages = Array.from({ length: count }, (_, at) => Number(engines.do.holdingsNamed(at)));
    const home = this.#cluster.homeFor(number, 0);
    this.#cluster.tell(number, home, { kind: "touched", pages, first, last, recalled });
  }

  /** Nothing happens any more: no home waits for an answer. (Without Setup.gives also who has never heard of the object is asked.) */
  checkEnd(): void {
    if (this.#cluster.setup.gives === undefined) return;
    for (const number of this.#cluster.living()) {
      if (!this.#isServed(number) || !this.isSettled(number) || !this.#isHome(number)) continue;
      const recalling = this.#cluster.recalling(number);
      if (recalling !== 0)
        throw new Violation(`machine ${number} waits for ranges of others for ever (${recalling})`);
    }
  }

  noticed(from: number, to: number, notice: RangeNotice): void {
    const home = this.#cluster.homeFor(to, 0);
    if (notice.kind === "touched") {
      if (to === home) this.#released(to, from, notice);
    } else if (notice.kind === "claim") {
      if (to === home && from !== home) this.#claimed(to, from, notice.first, notice.last);
    } else if (from === home) this.answer(to, notice.first, notice.last, true);
  }
}
