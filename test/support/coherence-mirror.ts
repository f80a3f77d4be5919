// Mirrored mode in the world of coherence.ts: what mirror-pages.ts and commits.ts make of mirrors.ts. And its judge: what a living
// machine or a user at a console has seen never goes back, and neither does what its writer had written or seen before. As many machines
// as there are mirrors fail at a time: more when all is mirrored anew.
import { type MirrorNotice, type MirrorState, mirrorState } from "./coherence-mirror-state.js";
import type { Cluster, Thread } from "./coherence-state.js";
import { Violation } from "./search.js";

const SAFE = 0;
const WRITTEN = 1;
const UNSAFE = 2;

/** With more than one mirror a page that is to leave goes to them first; a thread's output begins, and is shown. */
export type MirrorStep =
  | { do: "mirror"; machine: number; page: number }
  | { do: "commit" | "output"; machine: number; thread: number };

export class Mirrors {
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
    for (const key of ["shelves", "had", "comings", "pasts", "healing"] as const)
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
    return this.#mayStillFail() > 0;
  }

  /** One fails, leaves or comes: from here on not everything may have its mirrors. */
  changes(): void {
    if (!this.on || !this.#allHealed()) return;
    this.#state.may = this.#mayStillFail();
    this.#state.before = this.#cluster.faults;
  }

  /** So many more may fail now. */
  #mayStillFail(): number {
    // Who is alone has no mirrors, and they are on no more machines than there are and stay.
    const { leaving } = this.#cluster.views.at(-1)!;
    const stay = this.#cluster.numbers.filter((m) => this.#cluster.runs(m) && !(leaving & (1 << m)));
    const most = Math.max(0, stay.length - 1);
    if (this.#allHealed()) return Math.min(this.#copies, most);
    return Math.max(0, Math.min(most, this.#state.may - (this.#cluster.faults - this.#state.before)));
  }

  /**
   * R3 as a state: whichever machines fail next, as many as may, what those who are left have seen is on one of them.
   */
  check(): void {
    if (!this.on) return;
    const members = this.#cluster.members();
    // Who has stopped may go on, or be left out.
    const running = members.filter((m) => this.#cluster.runs(m));
    for (const some of running.length === members.length ? [members] : [members, running])
      for (const left of withoutAny(some, Math.min(this.#mayStillFail(), some.length - 1)))
        for (const page of this.#cluster.pages) this.#checkLeft(left, page);
  }

  #checkLeft(left: readonly number[], page: number): void {
    const { pasts } = this.#state;
    const seen = Math.max(pasts.at(-1)![page]!, ...left.map((m) => pasts[m - 1]![page]!));
    const held = Math.max(0, ...left.map((m) => this.#held(m, page)));
    if (held < seen)
      throw new Violation(
        `${seen} was seen in page ${page}, and machines ${left} have ${held}: what was seen could go back`,
      );
  }

  /** The newest value of the page that the machine has, whether or not it may be used. */
  #held(machine: number, page: number): number {
    const own = this.#state.had[machine - 1]![page] ? this.#cluster.machine(machine).pages[page]!.frame : 0;
    return Math.max(own, this.#state.shelves[machine - 1]![page]!);
  }

  /** homesHeal() of homes.ts. */
  heals(machine: number): boolean {
    if (this.#copies < 2 || this.#cluster.planted === "what is restored is used before all is mirrored")
      return false;
    return !this.allHave(this.#cluster.machine(machine).membership.frozenFor);
  }

  /** Who leaves may go: all that are members by that view have mirrored anew in it. */
  allHave(view: number): boolean {
    return this.#cluster.membersBy(view).every((m) => this.#state.healed[m - 1]! >= view);
  }

  #allHealed(): boolean {
    const { views } = this.#cluster;
    const running = this.#cluster.numbers.filter((m) => this.#cluster.runs(m));
    return (
      views.at(-1)!.members === running.reduce((bits, m) => bits | (1 << m), 0) &&
      running.every((m) => this.#state.healed[m - 1] === views.length - 1)
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

  /** They go to the new home, and its machine leaves: what becomes of them is not for it to say. */
  gave(machine: number, page: number): void {
    const { engines } = this.#cluster;
    if (this.on) engines.do.mirrorForget(engines.engine(machine), engines.page(machine, page));
  }

  /** They came from a machine that leaves. */
  given(machine: number, page: number): void {
    if (this.on) this.taken(machine, page, machine);
  }

  /** The page is about to go to another machine. */
  before(machine: number, page: number, to: number): void {
    if (!this.on || this.#cluster.planted === "nothing goes in front") return;
    const { engines } = this.#cluster;
    this.look(machine);
    if (engines.do.mirrorFresh(engines.page(machine, page)) === 0) return;
    this.#cut(machine);
    if (!this.#withRoom(machine).includes(to)) return;
    const whole = this.#cluster.planted === "a cut counts without its page";
    this.#send(machine, this.#lacking(machine, to, true, page), to, whole ? "last" : "none");
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
    if (this.#cluster.planted === "what is under way has arrived")
      engines.do.mirrorArrived(engines.engine(machine), to, position);
  }

  /** othersNow() */
  #others(machine: number): number[] {
    const { frozenFor } = this.#cluster.machine(machine).membership;
    const { leaving } = this.#cluster.views[frozenFor]!;
    return this.#cluster.numbers.filter(
      (m) => m !== machine && !this.#cluster.knowsDead(machine, m) && (leaving & (1 << m)) === 0,
    );
  }

  /** Those of them who have room for mirrors. */
  #withRoom(machine: number): number[] {
    const others = this.#others(machine);
    const some = others.filter((m) => !this.#cluster.setup.crowded?.includes(m));
    return some.length >= Math.min(this.#copies, others.length) ? some : others;
  }

  /** A page that was written leaves when it is safe. */
  #safeFirst(machine: number): boolean {
    if (this.#cluster.planted === "what goes in front needs no room") return this.#copies > 1;
    return this.#copies > 1 || this.#withRoom(machine).length < this.#others(machine).length;
  }

  /** Who there is. */
  look(machine: number): void {
    if (!this.on) return;
    const { engines } = this.#cluster;
    const others = this.#others(machine).reduce((bits, m) => bits | (1n << BigInt(m - 1)), 0n);
    const copies = this.#cluster.planted === "one mirror is enough" ? 1 : this.#copies;
    engines.do.mirrorSet(engines.engine(machine), copies, others);
  }

  /** Threads that write fault again. */
  #readOnly(machine: number, page: number): void {
    this.#cluster.notes.takeAway(machine, page, 1);
    for (const thread of this.#cluster.machine(machine).threads) {
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

  /** What is unsafe and not there: written since the last cut, or thawed; but for `page`. */
  #lacking(machine: number, to: number, fresh: boolean, page = -1): number[] {
    const { engines } = this.#cluster;
    return this.#list(machine, UNSAFE).filter((other) => {
      const at = engines.page(machine, other);
      const lacks = engines.do.mirrorLacks(at, to) !== 0;
      return other !== page && lacks && (engines.do.mirrorFresh(at) !== 0) === fresh;
    });
  }

  /** Those pages; which of them ends a cut. */
  #send(machine: number, go: readonly number[], to: number, ends: "last" | "each" | "none"): void {
    const { engines } = this.#cluster;
    const { pages } = this.#cluster.machine(machine);
    go.forEach((other, i) => {
      const serial = BigInt(engines.do.serial(engines.page(machine, other)));
      const last = ends === "each" || (ends === "last" && i === go.length - 1);
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
    const others = this.#withRoom(machine);
    const count = this.#cluster.planted === "one mirror is enough" ? 1 : this.#copies;
    const targets = [...others.filter((m) => m > machine), ...others.filter((m) => m < machine)].slice(
      0,
      count,
    );
    this.look(machine);
    if (targets.length > 0) this.#cut(machine);
    for (const to of targets) {
      this.#send(machine, this.#lacking(machine, to, true), to, "last");
      this.#send(machine, this.#lacking(machine, to, false), to, "each");
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
    if (!this.#safeFirst(machine)) return steps;
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
    const others = this.#withRoom(machine);
    const has = others.filter((m) => engines.do.mirrorLacks(at, m) === 0).length;
    return has < Math.min(this.#copies, others.length);
  }

  #over(machine: number, counts: number[]): boolean {
    if (this.#cluster.planted === "output does not wait") return true;
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
      this.#shows(thread);
    }
  }

  /** A thread comes to what it shows: what the machine's other threads write from here on is not in it. */
  comes(machine: number, thread: Thread): void {
    thread.state = 4;
    thread.shows = this.#state.pasts[machine - 1]!.slice();
  }

  #shows(thread: Thread): void {
    const user = this.#state.pasts.at(-1)!;
    thread.shows!.forEach((value, page) => {
      user[page] = Math.max(user[page]!, value);
    });
    thread.shows = undefined;
    thread.state = 0;
    thread.at++;
  }

  /** Revoked, it may leave. */
  ready(machine: number, page: number): boolean {
    if (!this.on || !this.#safeFirst(machine)) return true;
    if (this.#cluster.planted === "a page leaves before it is safe") return true;
    return this.#mirror(machine, page) === SAFE;
  }

  // --- Where mirrors are ---

  came(from: number, to: number, notice: MirrorNotice, value: number): void {
    this.#cluster.found(to, this.#cluster.objectOf(notice.page), notice.home);
    this.#cluster.find(to, notice.page);
    const { page, serial } = notice;
    const others = this.#state.comings[to - 1]!.filter((each) => each.page !== page);
    const left =
      this.#cluster.planted === "one mirror of a page comes at a time"
        ? others
        : this.#state.comings[to - 1]!;
    this.#state.comings[to - 1] = [...left, { page, from, serial, value }];
    if (!notice.last && this.#cluster.planted !== "a cut counts before it is whole") return;
    this.followed(from, to);
  }

  /** The cut is whole: its mirrors count. */
  followed(from: number, to: number): void {
    if (!this.on) return;
    const { engines } = this.#cluster;
    for (const { page, serial, value } of this.#state.comings[to - 1]!.filter((each) => each.from === from))
      if (engines.do.shelfCame(engines.page(to, page), serial) !== 0)
        this.#state.shelves[to - 1]![page] = value;
    this.#forget(to, from);
  }

  #forget(machine: number, from: number): void {
    const { comings } = this.#state;
    comings[machine - 1] = comings[machine - 1]!.filter((each) => each.from !== from);
  }

  // --- After a death ---

  /** What a dead machine had begun to send counts for nothing. */
  died(machine: number, dead: number): void {
    if (!this.on) return;
    this.#forget(machine, dead);
    const { engines, pages } = this.#cluster;
    if (this.#cluster.planted === "the dead keep their mirrors") return;
    for (const page of pages)
      if (this.#cluster.machine(machine).pages[page]!.exists)
        engines.do.mirrorDied(engines.page(machine, page), dead);
  }

  /** The serial number of the newest bytes here, 0 = there are none. */
  best(machine: number, page: number): bigint {
    if (!this.on || this.#cluster.planted === "mirrors are not reported") return 0n;
    const { engines } = this.#cluster;
    const had = this.#state.had[machine - 1]![page] ? 1 : 0;
    return BigInt(engines.do.shelfBest(engines.page(machine, page), had));
  }

  /** Their serial number, and the value. */
  newest(machine: number, page: number): [serial: bigint, value: number] {
    const { engines } = this.#cluster;
    const had = this.#state.had[machine - 1]![page] ? 1 : 0;
    const isOwn = engines.do.shelfIsOwn(engines.page(machine, page), had) !== 0;
    const own = this.#cluster.machine(machine).pages[page]!.frame;
    return [this.best(machine, page), isOwn ? own : this.#state.shelves[machine - 1]![page]!];
  }

  /** mirrorFetched() of left-mirrors.ts. */
  fetched(machine: number, page: number, serial: bigint, value: number): void {
    const { engines } = this.#cluster;
    const at = engines.page(machine, page);
    if (engines.do.fetched(engines.engine(machine), at) === 0) return;
    if (serial !== BigInt(engines.do.bestOf(at)))
      throw new Violation(
        `machine ${machine} is sent mirror ${serial} of page ${page}, and asked for another`,
      );
    this.#cluster.machine(machine).pages[page]!.fetching = false;
    engines.do.shelfCame(at, serial);
    this.#state.shelves[machine - 1]![page] = value;
  }

  /** The newest bytes here become the page. */
  use(machine: number, page: number): void {
    const { engines } = this.#cluster;
    const had = this.#state.had[machine - 1]!;
    const here = this.#cluster.machine(machine).pages[page]!;
    const at = engines.page(machine, page);
    const best = this.best(machine, page);
    const taken = engines.do.shelfTake(engines.engine(machine), at, had[page] ? 1 : 0);
    if (this.#cluster.planted === "what is restored keeps its number") engines.do.restore(at, best, 1, 0);
    if (taken === 0) return;
    if (this.#cluster.planted === "what is restored counts as mirrored")
      for (const other of this.#others(machine).slice(0, 1))
        engines.do.mirrorTaken(engines.engine(machine), at, other);
    here.frame = this.#state.shelves[machine - 1]![page]!;
    here.framed = true;
    had[page] = true;
  }

  /** The object has a home again. */
  thaw(machine: number, object: number): void {
    if (this.on && this.#cluster.planted !== "what thaws may leave at once") this.#thaw(machine, object);
  }

  #thaw(machine: number, object: number): void {
    const { engines, pages } = this.#cluster;
    this.look(machine);
    for (const page of pages) {
      if (this.#cluster.objectOf(page) !== object || !this.#cluster.machine(machine).pages[page]!.exists)
        continue;
      const [engine, at] = [engines.engine(machine), engines.page(machine, page)];
      engines.do.mirrorThawed(engine, at, this.#answersFor(machine, page) ? 1 : 0);
    }
  }

  /** Everybody has a home again: what too few machines have is mirrored anew. */
  heal(machine: number, view: number): void {
    if (!this.on || this.#state.heals[machine - 1]! >= view) return;
    this.#state.heals[machine - 1] = view;
    if (this.#cluster.planted === "what thaws may leave at once")
      for (const object of this.#cluster.objects) this.#thaw(machine, object);
    if (this.#cluster.planted !== "nothing is mirrored anew")
      this.#state.healing[machine - 1] = this.#all(machine);
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
    if (is(engines.do.state(at), ["OWNED", "MODIFIED"])) return true;
    if (this.#cluster.homeFor(machine, page) !== machine) return false;
    return is(engines.do.directory(at), ["UNUSED", "CLEAN_SHARED"]);
  }
}

/** What is left of them without any so many. */
function withoutAny(machines: readonly number[], count: number): (readonly number[])[] {
  if (count === 0) return [machines];
  return machines.flatMap((_, i) =>
    withoutAny(machines.slice(i + 1), count - 1).map((rest) => [...machines.slice(0, i), ...rest]),
  );
}
