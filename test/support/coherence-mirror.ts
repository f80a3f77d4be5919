// Mirrored mode in the world of coherence.ts: what mirror-pages.ts makes of mirrors.ts. And its judge: what a living machine has
// seen never goes back, and neither does what its writer had written or seen before. Each machine's past is a newest
// value for each page, and so is the past of each value. One machine fails at a time: the next when all has its mirror again.
import type { Cluster } from "./coherence-state.js";
import { Violation } from "./search.js";

/** A page to be kept, of a cut that is whole with the last one, or with the page that follows. */
export interface MirrorNotice {
  kind: "mirror";
  page: number;
  serial: bigint;
  last: boolean;
}

interface Shelf {
  /** Values: of the newest mirror here, and of one whose cut is not whole; machine that it comes from. */
  kept: number;
  coming: number;
  from: number;
}

/** What a machine, or who wrote a value, had seen of every page. */
type Past = number[];

export interface MirrorState {
  /** Per pair of machines, messages since the wire was empty. */
  sent: number[][];
  arrived: number[][];
  /** Per machine: the newest view in which it has mirrored anew. */
  healed: number[];
  /** Per machine and page; `had`: it has had bytes of its own there. */
  shelves: Shelf[][];
  had: boolean[][];
  pasts: Past[];
  /** By page and value. */
  values: Past[][];
}

export function mirrorState(machines: number, pages: number): MirrorState {
  const table = <T>(rows: number, columns: number, of: () => T): T[][] =>
    Array.from({ length: rows }, () => Array.from({ length: columns }, of));
  return {
    sent: table(machines, machines, () => 0),
    arrived: table(machines, machines, () => 0),
    healed: Array.from({ length: machines }, () => 0),
    shelves: table(machines, pages, () => ({ kept: -1, coming: -1, from: 0 })),
    had: table(machines, pages, () => false),
    pasts: table(machines, pages, () => 0),
    values: table(pages, 0, () => []),
  };
}

export function copyMirrors(state: MirrorState): MirrorState {
  const rows = <T>(table: T[][]): T[][] => table.map((row) => row.slice());
  return {
    sent: rows(state.sent),
    arrived: rows(state.arrived),
    healed: state.healed.slice(),
    shelves: state.shelves.map((row) => row.map((shelf) => ({ ...shelf }))),
    had: rows(state.had),
    pasts: rows(state.pasts),
    values: rows(state.values), // the past of a value does not change
  };
}

export function mirrorWords(put: (word: number) => void, state: MirrorState): void {
  const { sent, arrived, healed, shelves, had, pasts, values } = state;
  for (const table of [sent, arrived, pasts]) for (const row of table) for (const word of row) put(word);
  for (const view of healed) put(view);
  for (const row of had) for (const has of row) put(has ? 1 : 0);
  for (const row of shelves)
    for (const { kept, coming, from } of row) {
      put(kept);
      put((coming << 4) | from);
    }
  for (const row of values) {
    put(row.length);
    for (const past of row) for (const value of past ?? []) put(value);
  }
}

const WRITTEN = 1;
const UNSAFE = 2;

export class Mirrors {
  /** A bug that the judge is to find (coherence-mirror.test.ts). */
  planted = "";
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  get on(): boolean {
    return this.#cluster.mirror !== undefined;
  }

  get #state(): MirrorState {
    return this.#cluster.mirror!;
  }

  /** Pages of the machine, in the order in which the kernel has them. */
  #list(machine: number, kind: number): number[] {
    const { engines, pages } = this.#cluster;
    const found: number[] = [];
    const next = (at: number) => engines.do.mirrorNext(engines.engine(machine), at, kind);
    for (let at = next(0); at !== 0; at = next(at))
      found.push(pages.find((page) => engines.page(machine, page) === at)!);
    return found;
  }

  /** Nothing waits for its mirror since the last fault. */
  mayFail(): boolean {
    const { faults, views } = this.#cluster;
    if (!this.on || faults === 0) return true;
    const living = this.#cluster.living();
    if (views.at(-1)!.members !== living.reduce((bits, m) => bits | (1 << m), 0)) return false;
    return living.every(
      (m) => this.#state.healed[m - 1] === views.length - 1 && this.#list(m, UNSAFE).length === 0,
    );
  }

  // --- Where pages are written ---

  had(machine: number, page: number): void {
    if (this.on) this.#state.had[machine - 1]![page] = true;
  }

  written(machine: number, page: number): void {
    if (!this.on) return;
    const { engines } = this.#cluster;
    engines.do.mirrorWritten(engines.engine(machine), engines.page(machine, page));
  }

  ended(machine: number, page: number): void {
    const { engines } = this.#cluster;
    if (this.on) engines.do.mirrorEnded(engines.engine(machine), engines.page(machine, page));
  }

  /** Bytes came from that machine. */
  taken(machine: number, page: number, from: number): void {
    if (!this.on) return;
    const { engines } = this.#cluster;
    if (from === 0) throw new Violation(`machine ${machine} takes a page that nobody sent`);
    this.had(machine, page);
    engines.do.mirrorTaken(engines.engine(machine), engines.page(machine, page), from);
  }

  /** The page is about to go to another machine. */
  before(machine: number, page: number, to: number): void {
    if (!this.on || this.planted === "nothing goes in front") return;
    const { engines } = this.#cluster;
    if (engines.do.mirrorNeeded(engines.engine(machine), engines.page(machine, page), to) !== 0)
      this.#cut(machine, page, to);
  }

  /** It is under way. */
  behind(machine: number, page: number, to: number): void {
    if (!this.on) return;
    const { engines } = this.#cluster;
    const position = this.#state.sent[machine - 1]![to - 1]!;
    engines.do.mirrorSent(engines.page(machine, page), to, position);
    if (this.planted === "what is under way has arrived")
      engines.do.mirrorArrived(engines.engine(machine), to, position);
  }

  /** Threads that write fault again. */
  #readOnly(machine: number, page: number): void {
    for (const thread of this.#cluster.machine(machine).threads) {
      thread.right[page] = Math.min(thread.right[page]!, 1);
      const { what, page: at } = thread.program[thread.at] ?? { what: "", page: -1 };
      if (thread.state === 2 && at === page && what !== "r") thread.state = 0;
    }
  }

  /** All that was written since the last cut, and what is still unsafe, but for `page` itself (-1: nothing). */
  #cut(machine: number, page: number, to: number): void {
    const { engines } = this.#cluster;
    const { pages } = this.#cluster.machine(machine);
    for (const other of this.#list(machine, WRITTEN)) {
      this.#readOnly(machine, other);
      pages[other]!.dirty = false;
      engines.do.mirrorCut(engines.engine(machine), engines.page(machine, other));
    }
    const go = this.#list(machine, UNSAFE).filter(
      (other) => other !== page && engines.do.mirrorTo(engines.page(machine, other)) !== to,
    );
    go.forEach((other, i) => {
      const serial = BigInt(engines.do.serial(engines.page(machine, other)));
      const last = i === go.length - 1 && (page < 0 || this.planted === "a cut counts without its page");
      this.#cluster.tell(machine, to, { kind: "mirror", page: other, serial, last }, pages[other]!.frame);
      this.behind(machine, other, to);
    });
  }

  /** A message of `from` has reached `to`, and its link knows. */
  arrived(from: number, to: number): void {
    if (!this.on) return;
    const { engines } = this.#cluster;
    const [sent, arrived] = [this.#state.sent[from - 1]!, this.#state.arrived[from - 1]!];
    arrived[to - 1]!++;
    if (this.#cluster.machine(from).alive && !this.#cluster.knowsDead(from, to))
      engines.do.mirrorArrived(engines.engine(from), to, arrived[to - 1]!);
    if (this.#cluster.wire(from, to).length === 0) sent[to - 1] = arrived[to - 1] = 0;
  }

  // --- Where mirrors are ---

  came(from: number, to: number, notice: MirrorNotice, value: number): void {
    const { engines } = this.#cluster;
    Object.assign(this.#state.shelves[to - 1]![notice.page]!, { coming: value, from });
    engines.do.shelfComing(this.#cluster.find(to, notice.page), from, notice.serial);
    if (!notice.last && this.planted !== "a cut counts before it is whole") return;
    this.followed(from, to);
  }

  /** The cut is whole: its mirrors count. */
  followed(from: number, to: number): void {
    if (!this.on) return;
    const { engines, pages } = this.#cluster;
    for (const page of pages) {
      const other = this.#state.shelves[to - 1]![page]!;
      if (other.from !== from) continue;
      if (engines.do.shelfCame(engines.page(to, page)) !== 0) other.kept = other.coming;
      Object.assign(other, { coming: -1, from: 0 });
    }
  }

  // --- After a death ---

  /** What a dead machine had begun to send counts for nothing. */
  died(machine: number, dead: number): void {
    if (!this.on) return;
    for (const shelf of this.#state.shelves[machine - 1]!)
      if (shelf.from === dead) Object.assign(shelf, { coming: -1, from: 0 });
  }

  /** The serial number of the newest bytes here, 0 = there are none. */
  best(machine: number, page: number): bigint {
    if (!this.on || this.planted === "mirrors are not reported") return 0n;
    const { engines } = this.#cluster;
    const had = this.#state.had[machine - 1]![page] ? 1 : 0;
    return BigInt(engines.do.shelfBest(engines.page(machine, page), had));
  }

  /** At a new home that has made its directory: nobody has the page, but somebody has bytes of it. True: that was so. */
  restores(home: number, page: number): boolean {
    const { engines, c } = this.#cluster;
    const at = engines.page(home, page);
    if (!this.on || engines.do.directory(at) !== c["UNUSED"] || BigInt(engines.do.bestOf(at)) === 0n)
      return false;
    const owner = engines.do.engineRestore(engines.engine(home), at);
    if (owner === 0) this.use(home, page);
    else this.#cluster.tell(home, owner, { kind: "owner", page, restore: true });
    return true;
  }

  /** The newest bytes here become the page. */
  use(machine: number, page: number): void {
    const { engines } = this.#cluster;
    const had = this.#state.had[machine - 1]!;
    const here = this.#cluster.machine(machine).pages[page]!;
    if (engines.do.shelfTake(engines.page(machine, page), had[page] ? 1 : 0) === 0) return;
    here.frame = this.#state.shelves[machine - 1]![page]!.kept;
    here.framed = true;
    had[page] = true;
  }

  /** All is as it was: what has only one place left gets another. */
  heal(machine: number, view: number, members: number[]): void {
    if (!this.on || this.#state.healed[machine - 1]! >= view) return;
    this.#state.healed[machine - 1] = view;
    if (this.planted === "nothing is mirrored anew") return;
    const { engines, pages } = this.#cluster;
    const bits = members.reduce((sum, m) => sum | (1n << BigInt(m - 1)), 0n);
    for (const page of pages) {
      if (!this.#cluster.machine(machine).pages[page]!.exists) continue;
      const [engine, at] = [engines.engine(machine), engines.page(machine, page)];
      engines.do.mirrorDied(engine, at, BigInt.asUintN(64, ~bits), this.#answersFor(machine, page) ? 1 : 0);
    }
    const others = members.filter((other) => other !== machine);
    if (others.length === 0 || this.#list(machine, UNSAFE).length === 0) return;
    this.#cut(machine, -1, others.find((other) => other > machine) ?? others[0]!);
  }

  /** Does this machine have the bytes that count? */
  #answersFor(machine: number, page: number): boolean {
    const { engines, c } = this.#cluster;
    if (!this.#state.had[machine - 1]![page]) return false;
    const at = engines.page(machine, page);
    const is = (value: number, names: string[]) => names.some((name) => c[name] === value);
    if (is(engines.do.state(at), ["OWNED", "EXCLUSIVE", "MODIFIED"])) return true;
    if (this.#cluster.homeFor(machine, page) !== machine) return false;
    return is(engines.do.directory(at), ["UNUSED", "CLEAN_SHARED"]);
  }
}

export class Pasts {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  sees(machine: number, page: number, value: number): void {
    const { mirror } = this.#cluster;
    if (!mirror) return;
    for (const m of this.#cluster.living())
      if (value < mirror.pasts[m - 1]![page]!)
        throw new Violation(
          `machine ${machine} sees ${value} in page ${page}, and machine ${m} knows of ${mirror.pasts[m - 1]![page]} there: what was seen has gone back`,
        );
    const past = mirror.pasts[machine - 1]!;
    mirror.values[page]![value]?.forEach((seen, other) => {
      past[other] = Math.max(past[other]!, seen);
    });
    past[page] = value;
  }

  writes(machine: number, page: number, value: number): void {
    const { mirror } = this.#cluster;
    if (!mirror) return;
    const past = mirror.pasts[machine - 1]!;
    past[page] = value;
    mirror.values[page]![value] = past.slice();
    mirror.values[page]!.length = value + 1;
  }
}
