// Judges the cluster of coherence-state.ts, whom nothing is hidden from: after every event there is one writer or any number of
// readers, and nobody sees an old value but for what went with a dead machine; at the end nobody waits, and homes know who has what.
import { Pasts } from "./coherence-mirror-state.js";
import { Serials } from "./coherence-serials.js";
import type { Cluster } from "./coherence-state.js";
import { Violation } from "./search.js";

const NAMES = [
  ...["INVALID", "SHARED", "OWNED", "EXCLUSIVE", "MODIFIED", "OFFERED"],
  ...["UNUSED", "CLEAN_SHARED", "HELD", "RECOVERING", "LOST"],
];

/** In these states of a page threads may use it. */
const READABLE = [
  "SHARED",
  "SHARED_WRITE",
  "OWNED",
  "OWNED_WRITE",
  "EXCLUSIVE",
  "MODIFIED",
  "LOWERING",
  "LEAVING",
];

export class Judge {
  readonly #cluster: Cluster;
  readonly #pasts: Pasts;
  readonly #serials: Serials;
  /** Pages whose bytes did not travel. */
  revalidated = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#pasts = new Pasts(cluster);
    this.#serials = new Serials(cluster);
  }

  /** An instruction reads this value. */
  sees(number: number, page: number, value: number): void {
    const cluster = this.#cluster;
    this.#pasts.sees(number, page, value);
    const latest = cluster.latest[page]!;
    if (value === latest) return;
    if (cluster.forgivable[page] === 0 || value > latest)
      throw new Violation(`machine ${number} sees ${value} in page ${page}, the newest value is ${latest}`);
    cluster.losses.reverted(page);
    cluster.forgivable[page]!--;
    cluster.latest[page] = value;
  }

  writes(number: number, page: number, value: number): void {
    this.#pasts.writes(number, page, value);
  }

  /** The owner does the operation of another machine: nobody else may have the page. */
  performs(owner: number, page: number, requester: number, transaction: number): void {
    const cluster = this.#cluster;
    for (const m of cluster.living())
      if (m !== owner && this.#right(m, page) > 0 && cluster.homeLives(page))
        throw new Violation(`machine ${owner} does an operation on a page that machine ${m} can use`);
    this.sees(owner, page, cluster.machine(owner).pages[page]!.frame);
    const sender = cluster.machine(requester).pages[page]!;
    if (sender.operation === transaction) sender.done++;
    if (sender.done > 1) throw new Violation(`an operation of machine ${requester} is done twice`);
  }

  /** A machine is told that the bytes it has kept are the page's, of this value (promise 85). */
  isSame(number: number, page: number, value: number): void {
    const kept = Math.max(0, this.#cluster.machine(number).pages[page]!.frame);
    this.revalidated++;
    if (kept !== Math.max(0, value))
      throw new Violation(`machine ${number} is told that its ${kept} of page ${page} is ${value}`);
  }

  /** What the cores of a machine can do with a page. */
  #right(machine: number, page: number): number {
    let most = 0;
    for (const { right } of this.#cluster.machine(machine).threads) most = Math.max(most, right[page]!);
    if (most > 0 && this.#cluster.loans.has(machine, page))
      throw new Violation(`machine ${machine} maps a page that is in parts`);
    const { alive } = this.#cluster.machine(machine);
    return alive && this.#isMember(machine) && this.#cluster.loans.covers(machine, page) ? 2 : most;
  }
  #isMember(machine: number): boolean {
    return !this.#cluster.takeover || this.#cluster.members().includes(machine);
  }

  /** One writer or any number of readers, and every copy that can be read is the newest. */
  check(): void {
    for (const page of this.#cluster.pages) {
      // Who serves a home that he does not yet know to be dead is an orphan already.
      if (!this.#cluster.homeLives(page)) continue;
      this.#checkPage(page);
      if (!this.#cluster.numbered) continue;
      this.#serials.check(page);
      if (this.#cluster.ranges) this.#checkAlone(page);
    }
  }

  #checkPage(page: number): void {
    const cluster = this.#cluster;
    const latest = cluster.latest[page]!;
    let writers = 0;
    let readers = 0;
    let value = -1;
    for (let m = 1; m <= cluster.setup.machines; m++) {
      const right = this.#right(m, page);
      if (right === 0) continue;
      const { frame } = cluster.machine(m).pages[page]!;
      if (right === 2) writers++;
      else readers++;
      if (value >= 0 && value !== frame)
        throw new Violation(`machine ${m} can read ${frame} while another can read ${value}`);
      value = frame;
      if (cluster.deaths === 0 && value !== latest)
        throw new Violation(`machine ${m} can read ${value}, the newest value is ${latest}`);
    }
    if (writers > 1 || (writers === 1 && readers > 0))
      throw new Violation(`${writers} machines can write while ${readers} can read`);
  }

  /** Who takes himself for the only one with the page, by its record or a range, may write it at any moment, and nobody hears of it. */
  #checkAlone(page: number): void {
    const { numbers, c } = this.#cluster;
    const states = numbers.map((number) => this.#standing(number, page));
    const alone = states.findIndex((state) => state === c["EXCLUSIVE"] || state === c["MODIFIED"]);
    const other = states.findIndex(
      (state, index) => index !== alone && READABLE.some((name) => c[name] === state),
    );
    if (alone >= 0 && other >= 0)
      throw new Violation(
        `machine ${alone + 1} is ${this.#named(states[alone]!)} in page ${page}, machine ${other + 1} ${this.#named(states[other]!)}`,
      );
  }

  /** What a machine may do with the page, as far as it knows, and as long as it counts. */
  #standing(number: number, page: number): number | undefined {
    const { engines, takeover } = this.#cluster;
    const { pages, objects } = this.#cluster.machine(number);
    const { known, moving } = objects[this.#cluster.objectOf(page)]!;
    if (!this.#cluster.runs(number) || !known || moving !== 0) return undefined;
    if (takeover && !this.#cluster.members().includes(number)) return undefined;
    if (pages[page]!.exists) return engines.do.state(engines.page(number, page));
    return engines.do.rangeState(engines.set(number), BigInt(page));
  }

  /** Nothing can happen any more: then every thread must be done. */
  checkEnd(): void {
    const cluster = this.#cluster;
    if (cluster.mirror && cluster.failures() > 0)
      throw new Violation("a loss is reported, though everything was mirrored");
    const silent = cluster.losses.silent().find((page) => cluster.homeLives(page));
    if (!cluster.mirror && silent !== undefined)
      throw new Violation(`page ${silent} went back to an older version, and nobody was told of the loss`);
    if (cluster.faults === 0 && cluster.deaths === 0) this.#checkNothingLost();
    for (const page of cluster.pages)
      if (cluster.homeLives(page) && !cluster.ranges) this.#checkDirectory(page);
    for (const m of cluster.numbers.filter((number) => cluster.runs(number)))
      for (const { at, program } of cluster.machine(m).threads)
        if (at < program.length)
          throw new Violation(`machine ${m} waits for ever (state ${cluster.state(m, program[at]!.page)})`);
  }

  /**
   * Nothing is under way: the home's directory and the caches say the same. Who has a copy is known to have one, one machine
   * at the most answers for the page, and it is the one that the directory names; where none does, the home has the newest bytes.
   */
  #checkDirectory(page: number): void {
    const { engines, c, latest, forgivable } = this.#cluster;
    const cluster = this.#cluster;
    const members = cluster.members();
    const home = this.#home(page);
    if (home === undefined) return; // nobody has used the page since its home died
    const at = cluster.find(home, page);
    const directory = engines.do.directory(at);
    const owner = engines.do.owner(at);
    const sharers = BigInt(engines.do.sharers(at));
    const is = (state: number, ...names: string[]) => names.some((name) => c[name] === state);
    const says = `the directory of page ${page} says ${this.#named(directory)}, owner ${owner}, sharers ${sharers.toString(2)}`;
    for (const m of members.filter((number) => cluster.runs(number))) {
      const state = cluster.state(m, page);
      const answers = is(state, "OWNED", "EXCLUSIVE", "MODIFIED", "OFFERED");
      // Who owned it is not told when the home has received a copy, and with it answers for the page.
      const copies = is(state, "SHARED") || (is(state, "OWNED", "OFFERED") && is(directory, "CLEAN_SHARED"));
      const counted = (sharers & (1n << BigInt(m - 1))) !== 0n;
      const owns = is(directory, "HELD") && owner === m;
      const known = copies ? counted || owns : !answers || owns;
      if (!known) throw new Violation(`machine ${m} is ${this.#named(state)}, and ${says}`);
      if (owns && !answers) throw new Violation(`machine ${m} is ${this.#named(state)}, though ${says}`);
    }
    const { frame } = cluster.machine(home).pages[page]!;
    if (is(directory, "CLEAN_SHARED") && forgivable[page] === 0 && frame !== latest[page])
      throw new Violation(
        `the home's bytes of page ${page} are ${frame}, the newest ${latest[page]}, and ${says}`,
      );
  }
  /** Whose directory counts. */
  #home(page: number): number | undefined {
    const cluster = this.#cluster;
    return cluster.members().find((m) => {
      const { known, moving, home } = cluster.machine(m).objects[cluster.objectOf(page)]!;
      return home === m && known && moving === 0;
    });
  }

  #named(state: number): string {
    const { c } = this.#cluster;
    return NAMES.find((name) => c[name] === state) ?? `state ${state}`;
  }

  /** No machine has failed; some may have left. Whom the home would ask for the page, or itself, has its newest value. */
  #checkNothingLost(): void {
    const cluster = this.#cluster;
    const { engines, c } = cluster;
    if (cluster.failures(true) > 0) throw new Violation("a loss is told, and no machine has failed");
    for (const page of cluster.pages) {
      const home = this.#home(page);
      if (home === undefined) continue; // nobody has used the page
      const at = cluster.find(home, page);
      engines.do.keep(at, 0); // refreshes it
      const holder = engines.do.directory(at) === c["HELD"] ? engines.do.owner(at) : home;
      const where = cluster.loans.whereIs(holder, page);
      const has = Math.max(0, cluster.machine(where).pages[page]!.frame);
      if (has !== cluster.latest[page])
        throw new Violation(
          `page ${page} is ${has} at machine ${holder}, the newest value ${cluster.latest[page]}`,
        );
    }
  }
}
