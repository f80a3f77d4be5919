// R2, for the judge: a loss is reported once, and only where something may have been lost. A word of loss about a page is right only if a machine
// has gone that had to do with the page then: it had bytes of it or waited for it, or was its home, or something about it was on its way to or
// from that machine. By ranges whoever goes counts for every page: a home that moves may call all of an object lost as one.
// And each machine is told of a loss at most once: so often at most as machines have gone that had to do with the page; by ranges, where homes move,
// of what is lost with it as one once more. An operation that fails says of itself that nobody knows whether it was done, and of no
// loss; what a home that is gone for ever had is told whenever it is asked for.
//
// Not in the cluster's fingerprint: a search of every order of events judges by the first path that leads to a state.
import type { Cluster } from "./coherence-state.js";
import { Violation } from "./search.js";

export interface TellingsSaved {
  readonly suffered: readonly number[];
  readonly told: readonly number[];
  readonly borrowers: readonly number[];
  readonly toldOfLent: readonly number[];
}

export class Tellings {
  readonly #cluster: Cluster;
  readonly #pages: number;
  /** Per page: so many machines have gone that had to do with it, or what was given away of it found no room. */
  #suffered: readonly number[];
  /** By machine and page: so often its threads were told in this life. */
  #told: readonly number[];
  /** The same of those who had borrowed it: what was lent is another loss. */
  #borrowers: readonly number[];
  #toldOfLent: readonly number[];

  constructor(cluster: Cluster, machines: number, pages: number) {
    this.#cluster = cluster;
    this.#pages = pages;
    this.#suffered = Array.from({ length: pages }, () => 0);
    this.#told = Array.from({ length: machines * pages }, () => 0);
    this.#borrowers = this.#suffered;
    this.#toldOfLent = this.#told;
  }

  #at(machine: number, page: number): number {
    return (machine - 1) * this.#pages + page;
  }

  // --- What may be lost ---

  /** The machine is gone with what it has, or what it has counts no more. */
  goes(machine: number): void {
    this.#suffered = this.#suffered.map((count, page) => (this.#hasTo(machine, page) ? count + 1 : count));
  }
  /** What was lent of it is gone with its borrower, as its owner knows now. */
  borrowerGone(page: number): void {
    this.#borrowers = this.#borrowers.with(page, this.#borrowers[page]! + 1);
  }
  /** An operation is sent to a machine that was guessed to have the page, and that is gone: nobody knows whether it was done. */
  guessed(from: number, to: number, page: number): void {
    const { takeover, views } = this.#cluster;
    const { alive, returned } = this.#cluster.machine(to);
    // Back already, and the sender does not know of it, nor that it was gone.
    const old = takeover && returned && this.#cluster.machine(from).membership.view < views.length - 1;
    if (alive && !old && this.#cluster.hears(to, from)) return;
    this.#suffered = this.#suffered.with(page, this.#suffered[page]! + 1);
  }
  /** What was given away of the page is lost. */
  suffers(page: number): void {
    const object = this.#cluster.objectOf(page);
    this.#suffered = this.#suffered.map((count, each) =>
      this.#cluster.objectOf(each) === object ? count + 1 : count,
    );
  }

  #hasTo(machine: number, page: number): boolean {
    const { numbers, ranges, c } = this.#cluster;
    const { alive, objects } = this.#cluster.machine(machine);
    // Left out, and it does not know: those who do not know either may give it anything yet.
    if (ranges || alive || (objects[this.#cluster.objectOf(page)]!.complete & c["OURS"]!) !== 0) return true;
    return (
      this.#hasRecord(machine, page) ||
      numbers.some(
        (other) => this.#cluster.homeFor(other, page) === machine || this.#links(machine, other, page),
      )
    );
  }

  #hasRecord(machine: number, page: number): boolean {
    const { engines, c } = this.#cluster;
    const { exists, kept, dirty } = this.#cluster.machine(machine).pages[page]!;
    if (kept && !kept.former) return true;
    if (!exists) return false;
    const at = engines.page(machine, page);
    // Frozen, it has forgotten what it waited for, and who waited for it there.
    const forgot = engines.do.isFrozen(at) !== 0;
    return dirty || forgot || engines.do.state(at) !== c["INVALID"] || engines.do.open(at) !== 0;
  }

  /**
   * Something about the page is on its way between them, the other one's directory says that the machine owns it, or it has an operation
   * open that was sent there, or to a home that may have passed it on.
   */
  #links(machine: number, other: number, page: number): boolean {
    const { engines, c } = this.#cluster;
    const at = engines.page(other, page);
    if (this.#cluster.machine(other).pages[page]!.exists) {
      if (engines.do.owner(at) === machine) return true;
      const target = engines.do.state(at) === c["INVALID_OPERATE"] ? engines.do.target(at) : 0;
      if (target === machine || target === this.#cluster.homeFor(other, page)) return true;
    }
    return [...this.#cluster.underWay(machine, other), ...this.#cluster.underWay(other, machine)].some(
      ({ page: of, notice }) =>
        notice === undefined ? of === page : "page" in notice && notice.page === page,
    );
  }

  // --- Who is told ---

  /** `ofLent`: it may be that of what was lent. Threads of the machine that ask for the page are told of a loss, or one whose operation fails. */
  told(machine: number, page: number, operates = false, ofLent = false): void {
    const suffered = this.#suffered[page]!;
    // What was lent and nobody was told of may be lost once more, with the rest of the page.
    if ((ofLent || suffered === 0) && this.#isToldOfLent(machine, page)) return;
    if (suffered === 0)
      throw new Violation(`machine ${machine} is told of a loss of page ${page}, of which nothing was lost`);
    if (operates || !this.#cluster.homeLives(page)) return;
    const count = this.#told[this.#at(machine, page)]! + 1;
    this.#told = this.#told.with(this.#at(machine, page), count);
    const { ranges, takeover } = this.#cluster;
    if (count > (ranges && takeover ? 2 : 1) * suffered)
      throw new Violation(
        `machine ${machine} is told ${count} times of losses of page ${page}, of which there were ${suffered} at most`,
      );
  }

  /** Of what was lent, as its words may say; once for each borrower. */
  #isToldOfLent(machine: number, page: number): boolean {
    const at = this.#at(machine, page);
    if (this.#toldOfLent[at]! === this.#borrowers[page]!) return false;
    this.#toldOfLent = this.#toldOfLent.with(at, this.#toldOfLent[at]! + 1);
    return true;
  }

  /** Another life. */
  begins(machine: number): void {
    const anew = (told: number, at: number) => (Math.floor(at / this.#pages) === machine - 1 ? 0 : told);
    this.#told = this.#told.map(anew);
    this.#toldOfLent = this.#toldOfLent.map(anew);
  }

  save(): TellingsSaved {
    const [suffered, told] = [this.#suffered, this.#told];
    return { suffered, told, borrowers: this.#borrowers, toldOfLent: this.#toldOfLent };
  }
  load({ suffered, told, borrowers, toldOfLent }: TellingsSaved): void {
    this.#borrowers = borrowers;
    this.#toldOfLent = toldOfLent;
    this.#suffered = suffered;
    this.#told = told;
  }
}
