// Mirrored mode in the world of coherence.ts: what mirror-pages.ts and commits.ts make of mirrors.ts. And its judge: what a living
// machine or a user at a console has seen never goes back, and neither does what its writer had written or seen before. Each machine's past
// is a newest value for each page, and so is the past of each value. As many machines as there are mirrors fail at a time: more when all is mirrored anew.
import type { Cluster, Thread } from "./coherence-state.js";
import { Violation } from "./search.js";

/** A page to be kept, of a cut that is whole with the last one, or with the page that follows. */
export interface MirrorNotice {
  kind: "mirror";
  page: number;
  serial: bigint;
  last: boolean;
  /** Of the page's object, as its sender knows. */
  home: number;
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
  /** Per machine: the newest view in which it has mirrored anew, and that which it is about to; messages that have to arrive before. */
  healed: number[];
  heals: number[];
  healing: number[][];
  /** Faults until all was mirrored anew. */
  before: number;
  /** Per machine and page; `had`: it has had bytes of its own there. */
  shelves: Shelf[][];
  had: boolean[][];
  /** By machine; the last is that of who reads consoles. */
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
    heals: Array.from({ length: machines }, () => 0),
    healing: table(machines, machines, () => 0),
    before: 0,
    shelves: table(machines, pages, () => ({ kept: -1, coming: -1, from: 0 })),
    had: table(machines, pages, () => false),
    pasts: table(machines + 1, pages, () => 0),
    values: table(pages, 0, () => []),
  };
}

export function copyMirrors(state: MirrorState): MirrorState {
  const rows = <T>(table: T[][]): T[][] => table.map((row) => row.slice());
  return {
    sent: rows(state.sent),
    arrived: rows(state.arrived),
    healed: state.healed.slice(),
    heals: state.heals.slice(),
    healing: rows(state.healing),
    before: state.before,
    shelves: state.shelves.map((row) => row.map((shelf) => ({ ...shelf }))),
    had: rows(state.had),
    pasts: rows(state.pasts),
    values: rows(state.values), // the past of a value does not change
  };
}

export function mirrorWords(put: (word: number) => void, state: MirrorState): void {
  const { sent, arrived, healed, heals, healing, before, shelves, had, pasts, values } = state;
  for (const table of [sent, arrived, healing, pasts])
    for (const row of table) for (const word of row) put(word);
  for (const view of [...healed, ...heals, before]) put(view);
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

const SAFE = 0;
const WRITTEN = 1;
const UNSAFE = 2;

const ANSWERS = [
  "OWNED",
  "OWNED_WRITE",
  "OWNED_LEAVING",
  "OWNED_WRITE_LEAVING",
  "EXCLUSIVE",
  "MODIFIED",
].concat(["COLLECTING", "LOWERING", "LEAVING"]);

/** With more than one mirror a page that is to leave goes to them first; a thread's output begins, and is shown. */
export type MirrorStep =
  | { do: "mirror"; machine: number; page: number }
  | { do: "commit" | "output"; machine: number; thread: number };

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

  /** A new life begins, with nothing. */
  create(machine: number): void {
    if (!this.on) return;
    const fresh = mirrorState(this.#cluster.setup.machines, this.#cluster.pages.length);
    const of = machine - 1;
    for (const key of ["shelves", "had", "pasts", "healing"] as const)
      (this.#state[key] as unknown[])[of] = fresh[key][of];
    for (const key of ["healed", "heals"] as const) this.#state[key][of] = 0;
    for (const key of ["sent", "arrived"] as const) {
      this.#state[key][of]!.fill(0);
      for (const row of this.#state[key]) row[of] = 0;
    }
  }

  get #copies(): number {
    return this.#cluster.setup.mirrored ?? 0;
  }

  /** Somebody who is there, or who reads consoles, has seen something of the object. */
  seen(object: number): boolean {
    if (!this.on) return true;
    const { pages, numbers } = this.#cluster;
    const there = [...numbers.filter((m) => this.#cluster.machine(m).alive), numbers.length + 1];
    return pages.some(
      (page) =>
        this.#cluster.objectOf(page) === object && there.some((m) => this.#state.pasts[m - 1]![page]! > 0),
    );
  }

  #mirror(machine: number, page: number): number {
    const { engines } = this.#cluster;
    return engines.do.mirror(engines.page(machine, page));
  }

  /** As many machines may fail at a time as there are mirrors. */
  mayFail(): boolean {
    if (!this.on) return true;
    return this.#allHealed() || this.#cluster.faults - this.#state.before < this.#copies;
  }

  /** One is about to. */
  fails(): void {
    if (this.on && this.#allHealed()) this.#state.before = this.#cluster.faults;
  }

  #allHealed(): boolean {
    const { views } = this.#cluster;
    const living = this.#cluster.living();
    return (
      views.at(-1)!.members === living.reduce((bits, m) => bits | (1 << m), 0) &&
      living.every((m) => this.#state.healed[m - 1] === views.length - 1)
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
    this.look(machine);
    if (engines.do.mirrorNeeded(engines.page(machine, page)) === 0) return;
    this.#cut(machine);
    this.#send(machine, page, to, this.planted === "a cut counts without its page");
  }

  /** It is under way. */
  behind(machine: number, page: number, to: number): void {
    if (!this.on) return;
    const { engines } = this.#cluster;
    engines.do.mirrorSent(engines.page(machine, page), to);
    this.#close(machine, to);
  }

  #close(machine: number, to: number): void {
    const { engines } = this.#cluster;
    const position = this.#state.sent[machine - 1]![to - 1]!;
    engines.do.mirrorClosed(engines.engine(machine), to, position);
    if (this.planted === "what is under way has arrived")
      engines.do.mirrorArrived(engines.engine(machine), to, position);
  }

  #others(machine: number): number[] {
    return this.#cluster.numbers.filter((m) => m !== machine && !this.#cluster.knowsDead(machine, m));
  }

  /** Who there is. */
  look(machine: number): void {
    if (!this.on) return;
    const { engines } = this.#cluster;
    const others = this.#others(machine).reduce((bits, m) => bits | (1n << BigInt(m - 1)), 0n);
    const copies = this.planted === "one mirror is enough" ? 1 : this.#copies;
    engines.do.mirrorSet(engines.engine(machine), copies, others);
  }

  /** Threads that write fault again. */
  #readOnly(machine: number, page: number): void {
    for (const thread of this.#cluster.machine(machine).threads) {
      thread.right[page] = Math.min(thread.right[page]!, 1);
      const { what, page: at } = thread.program[thread.at] ?? { what: "", page: -1 };
      if (thread.state === 2 && at === page && what !== "r") thread.state = 0;
    }
  }

  /** All that was written since the last cut. */
  #cut(machine: number): void {
    const { engines } = this.#cluster;
    const { pages } = this.#cluster.machine(machine);
    for (const other of this.#list(machine, WRITTEN)) {
      this.#readOnly(machine, other);
      pages[other]!.dirty = false;
      engines.do.mirrorCut(engines.engine(machine), engines.page(machine, other));
    }
  }

  /** What is unsafe and not there, but for `page` itself (-1: nothing). */
  #send(machine: number, page: number, to: number, whole: boolean): void {
    const { engines } = this.#cluster;
    const { pages } = this.#cluster.machine(machine);
    const go = this.#list(machine, UNSAFE).filter(
      (other) => other !== page && engines.do.mirrorLacks(engines.page(machine, other), to) !== 0,
    );
    go.forEach((other, i) => {
      const serial = BigInt(engines.do.serial(engines.page(machine, other)));
      const last = i === go.length - 1 && whole;
      const home = this.#cluster.homeFor(machine, other);
      this.#cluster.tell(
        machine,
        to,
        { kind: "mirror", page: other, serial, last, home },
        pages[other]!.frame,
      );
      engines.do.mirrorSent(engines.page(machine, other), to);
    });
  }

  /** Everything goes to as many machines as are to have it. By machine, the messages that have to arrive there. */
  #all(machine: number): number[] {
    const others = this.#others(machine);
    const count = this.planted === "one mirror is enough" ? 1 : this.#copies;
    const targets = [...others.filter((m) => m > machine), ...others.filter((m) => m < machine)].slice(
      0,
      count,
    );
    this.look(machine);
    if (targets.length > 0) this.#cut(machine);
    for (const to of targets) {
      this.#send(machine, -1, to, true);
      this.#close(machine, to);
    }
    return this.#cluster.numbers.map((m) =>
      targets.includes(m) ? this.#cluster.wire(machine, m).length : 0,
    );
  }

  /** A message of `from` has reached `to`, and its link knows. */
  arrived(from: number, to: number): void {
    if (!this.on) return;
    const { engines } = this.#cluster;
    const [sent, arrived] = [this.#state.sent[from - 1]!, this.#state.arrived[from - 1]!];
    arrived[to - 1]!++;
    if (this.#cluster.machine(from).alive && !this.#cluster.knowsDead(from, to)) {
      this.look(from);
      engines.do.mirrorArrived(engines.engine(from), to, arrived[to - 1]!);
    }
    if (this.#cluster.wire(from, to).length === 0) sent[to - 1] = arrived[to - 1] = 0;
    const fewer = (counts: number[]) =>
      counts.map((count, i) => (i === to - 1 && count > 0 ? count - 1 : count));
    for (const thread of this.#cluster.machine(from).threads)
      if (thread.commit) thread.commit = fewer(thread.commit);
    this.#state.healing[from - 1] = fewer(this.#state.healing[from - 1]!);
    this.#healLook(from);
  }

  // --- What waits for mirrors ---

  steps(machine: number): MirrorStep[] {
    if (!this.on) return [];
    const steps: MirrorStep[] = [];
    const { threads, pages, stopped, objects } = this.#cluster.machine(machine);
    if (objects.some(({ known, moving }) => known && moving !== 0)) return [];
    threads.forEach(({ state, commit }, thread) => {
      if (state !== 4 || stopped) return;
      if (commit === undefined) steps.push({ do: "commit", machine, thread });
      else if (this.#over(machine, commit)) steps.push({ do: "output", machine, thread });
    });
    if (this.#copies < 2) return steps;
    pages.forEach(({ revoking }, page) => {
      if (revoking >= 0 && this.#mirror(machine, page) !== SAFE && this.#isOwed(machine, page))
        steps.push({ do: "mirror", machine, page });
    });
    return steps;
  }

  /** mirrorAll() would send it. */
  #isOwed(machine: number, page: number): boolean {
    const { engines } = this.#cluster;
    if (this.#mirror(machine, page) === WRITTEN) return true;
    const at = engines.page(machine, page);
    const others = this.#others(machine);
    const has = others.filter((m) => engines.do.mirrorLacks(at, m) === 0).length;
    return has < Math.min(this.#copies, others.length);
  }

  #over(machine: number, counts: number[]): boolean {
    if (this.planted === "output does not wait") return true;
    return counts.every((count, i) => count === 0 || this.#cluster.knowsDead(machine, i + 1));
  }

  /** A target has died before all was there. */
  #cutShort(machine: number, counts: number[]): boolean {
    return counts.some((count, i) => count !== 0 && this.#cluster.knowsDead(machine, i + 1));
  }

  take(step: MirrorStep): void {
    if (step.do === "mirror") {
      this.#all(step.machine);
      return;
    }
    const thread = this.#cluster.machine(step.machine).threads[step.thread]!;
    if (step.do === "commit") thread.commit = this.#all(step.machine);
    else if (this.#cutShort(step.machine, thread.commit!)) thread.commit = undefined;
    else {
      thread.commit = undefined;
      this.#shows(step.machine, thread);
    }
  }

  #shows(machine: number, thread: Thread): void {
    const user = this.#state.pasts.at(-1)!;
    this.#state.pasts[machine - 1]!.forEach((value, page) => {
      user[page] = Math.max(user[page]!, value);
    });
    thread.state = 0;
    thread.at++;
  }

  /** Revoked, it may leave. */
  ready(machine: number, page: number): boolean {
    if (!this.on || this.#copies < 2 || this.planted === "a page leaves before it is safe") return true;
    return this.#mirror(machine, page) === SAFE;
  }

  // --- Where mirrors are ---

  came(from: number, to: number, notice: MirrorNotice, value: number): void {
    const { engines } = this.#cluster;
    this.#cluster.found(to, this.#cluster.objectOf(notice.page), notice.home);
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
    const { engines, pages } = this.#cluster;
    if (this.planted === "the dead keep their mirrors") return;
    for (const page of pages)
      if (this.#cluster.machine(machine).pages[page]!.exists)
        engines.do.mirrorDied(engines.page(machine, page), dead);
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

  /** All is as it was: what too few machines have is mirrored anew. */
  heal(machine: number, view: number): void {
    if (!this.on || this.#state.heals[machine - 1]! >= view) return;
    this.#state.heals[machine - 1] = view;
    const { engines, pages } = this.#cluster;
    this.look(machine);
    let some = false;
    for (const page of pages) {
      if (!this.#cluster.machine(machine).pages[page]!.exists) continue;
      const [engine, at] = [engines.engine(machine), engines.page(machine, page)];
      if (engines.do.mirrorHeals(engine, at, this.#answersFor(machine, page) ? 1 : 0) !== 0) some = true;
    }
    if (this.planted === "nothing is mirrored anew") some = false;
    this.#state.healing[machine - 1] = some ? this.#all(machine) : this.#cluster.numbers.map(() => 0);
    this.#healLook(machine);
  }

  /** membersHealed() */
  #healLook(machine: number): void {
    if (this.#state.healing[machine - 1]!.every((count) => count === 0))
      this.#state.healed[machine - 1] = this.#state.heals[machine - 1]!;
  }

  /** Does this machine have the bytes that count? */
  #answersFor(machine: number, page: number): boolean {
    const { engines, c } = this.#cluster;
    if (!this.#state.had[machine - 1]![page]) return false;
    const at = engines.page(machine, page);
    const is = (value: number, names: string[]) => names.some((name) => c[name] === value);
    const asked = this.planted === "who has asked already does not answer";
    if (is(engines.do.state(at), asked ? ["OWNED", "EXCLUSIVE", "MODIFIED"] : ANSWERS)) return true;
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
    for (const m of [...this.#cluster.living(), mirror.pasts.length])
      if (value < mirror.pasts[m - 1]![page]!)
        throw new Violation(
          `machine ${machine} sees ${value} in page ${page}, and ${m === mirror.pasts.length ? "a user" : `machine ${m}`} knows of ${mirror.pasts[m - 1]![page]} there: what was seen has gone back`,
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
