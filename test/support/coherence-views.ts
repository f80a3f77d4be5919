// Who belongs to the cluster, in the world of coherence.ts, and what follows from it for homes: what members.ts and homes.ts make of
// takeover.ts. Views follow each other as if membership.ts had agreed on them (membership.test.ts shows that it does): one leaves
// out a machine that has died, stopped or left (coherence-leaves.ts), or takes in a new life. Each machine installs them when it hears of them; the phases of
// a view are those of members.ts, each begun when all members have said that they ended the one before, behind all
// page messages from before: flushed, frozen, handed in, rebuilt.
import { type LeaveStep, Leaves } from "./coherence-leaves.js";
import type { Mirrors } from "./coherence-mirror.js";
import type { Pagers } from "./coherence-pager.js";
import type { Cluster, Machine } from "./coherence-state.js";

const FLUSHED = 0;
const FROZEN = 1;
const HANDED_IN = 2;
const REBUILT = 3;
/** Its sender was in the middle of a move when the view came. */
const INTERRUPTED = 4;
/** Its sender leaves, and has nothing any more. */
const LEFT = 5;
const MARKS = 6;

/** Bit per machine; `second`: those in their second life; `leaving`: those that hand in all that they have. */
export interface View {
  members: number;
  second: number;
  leaving: number;
}

/** What a machine knows of the cluster. */
export interface Membership {
  /** Number of the view it has installed; -1: none. */
  view: number;
  phase: number;
  /** It has frozen for a view that not all members are known to have rebuilt for. */
  moves: boolean;
  /** Since all had ended a move somebody has died, perhaps with pages that had moved on. */
  doubts: boolean;
  /** Asks for things. */
  member: boolean;
  /** Left out by a view, and not dead yet. */
  dying: number;
  /** Taken in by a view that is not flushed yet. */
  coming: number;
  /** Those that are known to have nothing any more, since they leave; this machine itself. */
  left: number;
  handedIn: boolean;
  /** Links that it has cut. */
  deaf: number;
  /** By phase and machine: the newest view of which it has said that the phase is over; -1: none. */
  marks: number[];
}

/** What a machine knows of an object: where its home is; 0, or how far its move is. */
export interface ObjectHere {
  known: boolean;
  home: number;
  moving: number;
  /** The former home has handed in. */
  complete: boolean;
  /** This machine was it. */
  ours: boolean;
  /** At the home: what nobody has may have been at the former one. */
  lost: boolean;
  /** This home took over from one that died. */
  renumbered: boolean;
  /** Something of it was lost that the former home had told nobody yet. */
  lossy: boolean;
  /** Moving, and this machine was the home: bit per machine that had ranges of it then. */
  holders: number;
  /** Moving: bit per machine to which this one has handed in. */
  handedTo: number;
}

export type ViewNotice =
  | { kind: "mark"; phase: number; view: number }
  | { kind: "object"; object: number; complete: boolean; lossy: boolean; doubts: boolean }
  /** `restore`: nobody has the page, and that machine has the newest bytes of it. */
  | { kind: "owner"; page: number; restore: boolean }
  /** `serial`: of the newest bytes there, mirrored. */
  | { kind: "report"; page: number; report: number; serial: bigint }
  /** By who leaves: the page comes along. */
  | { kind: "given"; page: number; report: number; serial: bigint };

export type ViewStep =
  | { do: "exclude"; machine: number }
  | { do: "install" | "freeze" | "handIn" | "rebuild"; machine: number }
  | LeaveStep;

const bit = (machine: number) => 1 << machine;

export class Views {
  /** A bug that the judge is to find (takeover-bugs.test.ts). */
  planted = "";
  readonly leaves: Leaves;
  readonly #cluster: Cluster;
  readonly #pagers: Pagers;
  readonly #mirrors: Mirrors;

  constructor(cluster: Cluster, pagers: Pagers, mirrors: Mirrors) {
    this.#mirrors = mirrors;
    this.#cluster = cluster;
    this.#pagers = pagers;
    this.leaves = new Leaves(cluster);
  }

  // --- Membership ---

  get #newest(): number {
    return this.#cluster.views.length - 1;
  }

  /** The newest view leaves it out. */
  leavesOut(machine: number): boolean {
    return (this.#cluster.views[this.#newest]!.members & bit(machine)) === 0;
  }

  #members(machine: number): number[] {
    const view = this.#cluster.views[this.#cluster.machine(machine).membership.view]!;
    return this.#cluster.numbers.filter((other) => (view.members & bit(other)) !== 0);
  }

  #allEnded(machine: number, phase: number): boolean {
    const { marks, view } = this.#cluster.machine(machine).membership;
    const machines = this.#cluster.setup.machines;
    return this.#members(machine).every(
      (other) => other === machine || marks[phase * machines + other - 1]! >= view,
    );
  }

  /** Of a machine that runs, or has stopped and does not know what has become of it. */
  steps(number: number): ViewStep[] {
    const { alive, membership } = this.#cluster.machine(number);
    if (!alive || this.leavesOut(number)) return [];
    const install: ViewStep[] =
      membership.view !== this.#newest ? [{ do: "install", machine: number }] : this.leaves.steps(number);
    return [...install, ...this.#phase(number)];
  }

  #phase(number: number): ViewStep[] {
    const { view, phase } = this.#cluster.machine(number).membership;
    if (view < 0) return [];
    const flushed = this.#allEnded(number, FLUSHED) || this.planted === "does not wait for the flush";
    if (phase === FLUSHED && flushed && view > 0) return [{ do: "freeze", machine: number }];
    const frozen = this.#allEnded(number, FROZEN) || this.planted === "hands in too early";
    if (phase === FROZEN && frozen && this.#answered(number)) return [{ do: "handIn", machine: number }];
    const handedIn = this.#allEnded(number, HANDED_IN) || this.planted === "rebuilds too early";
    if (phase === HANDED_IN && handedIn) return [{ do: "rebuild", machine: number }];
    return [];
  }

  /** homesAnswered() of homes.ts. */
  #answered(number: number): boolean {
    const { engines } = this.#cluster;
    const { membership, objects } = this.#cluster.machine(number);
    if (membership.doubts || this.planted === "hands in before it is answered") return true;
    return this.#cluster.objects.every(
      (object) =>
        objects[object]!.moving !== FROZEN ||
        this.#pagesHere(number, object).every(
          (page) => engines.do.awaits(engines.engine(number), engines.page(number, page)) === 0,
        ),
    );
  }

  /** Who may be left out by the next view: not the last that runs. */
  exclusions(): ViewStep[] {
    return this.#cluster.numbers
      .filter((machine) => !this.leavesOut(machine))
      .filter((machine) => !this.#cluster.runs(machine) || this.leaves.hasLeft(machine))
      .map((machine) => ({ do: "exclude", machine }) as const);
  }

  exclude(machine: number): void {
    const { members, second, leaving } = this.#cluster.views[this.#newest]!;
    const others = ~bit(machine);
    this.#cluster.views.push({
      members: members & others,
      second: second & others,
      leaving: leaving & others,
    });
    const here = this.#cluster.machine(machine);
    if (here.membership.handedIn) here.alive = false;
    else if (here.alive) this.#cluster.loses(); // what it has is not the newest any more
  }

  /** A new life has begun; the next view takes it in. */
  takeIn(machine: number): void {
    const cluster = this.#cluster;
    const { members, second, leaving } = cluster.views[this.#newest]!;
    cluster.views.push({ members: members | bit(machine), second: second | bit(machine), leaving });
    cluster.machine(machine).membership = {
      ...unseen(cluster.setup.machines),
      view: -1,
      member: false,
    };
    for (const other of cluster.numbers) {
      const { membership } = cluster.machine(other);
      for (let phase = FLUSHED; phase < MARKS; phase++)
        membership.marks[phase * cluster.setup.machines + machine - 1] = -1;
      // The link to its former life is lost.
      if (other !== machine) cluster.machine(other).noticed |= bit(machine);
      membership.deaf &= ~bit(machine);
      membership.left &= ~bit(machine);
    }
  }

  install(number: number): void {
    const cluster = this.#cluster;
    const machine = cluster.machine(number);
    const { membership } = machine;
    const none = { members: 0, second: 0, leaving: 0 };
    const former = membership.view < 0 ? none : cluster.views[membership.view]!;
    const view = cluster.views[this.#newest]!;
    membership.view = this.#newest;
    if (membership.moves) {
      membership.marks[INTERRUPTED * cluster.setup.machines + number - 1] = this.#newest;
      this.#tell(number, INTERRUPTED);
    }
    cluster.engines.do.setView(cluster.engines.engine(number), this.#newest + 1);
    for (const other of cluster.numbers) if (other !== number) this.#change(number, other, former, view);
    this.#mirrors.look(number);
    this.#mark(number, FLUSHED);
  }

  #interrupted(number: number, members: readonly number[]): boolean {
    const { marks, view } = this.#cluster.machine(number).membership;
    const machines = this.#cluster.setup.machines;
    return members.some((other) => marks[INTERRUPTED * machines + other - 1]! >= view);
  }

  /** What the view means for another machine (change() of members.ts). */
  #change(number: number, other: number, former: View, view: View): void {
    const machine = this.#cluster.machine(number);
    const { membership } = machine;
    const mine = bit(other);
    const was = (former.members & mine) !== 0;
    const is = (view.members & mine) !== 0;
    if (was && is && (former.second & mine) === (view.second & mine)) return;
    if (was) {
      if (((former.second & mine) !== 0) === this.#cluster.machine(other).returned) membership.deaf |= mine;
      machine.noticed |= mine;
      membership.dying |= mine;
    }
    if (is) {
      if (membership.dying & mine) this.#died(number, other);
      machine.noticed &= ~mine;
      membership.coming |= mine;
      if (this.planted === "a new life is spoken to at once") this.#welcome(number);
    } else if (!(membership.dying & mine) && !membership.member) this.#died(number, other);
  }

  #died(number: number, dead: number): void {
    const { engines, pages, objects } = this.#cluster;
    const machine = this.#cluster.machine(number);
    const left = (machine.membership.left & bit(dead)) !== 0;
    machine.membership.dying &= ~bit(dead);
    machine.membership.doubts ||= !left;
    machine.membership.coming &= ~bit(dead);
    engines.do.dead(engines.engine(number), dead);
    engines.do.setView(engines.engine(number), machine.membership.view + 1);
    for (const object of objects) {
      const here = machine.objects[object]!;
      const held =
        (here.holders & bit(dead)) !== 0 &&
        this.planted !== "what was held by ranges when all froze is nobody's";
      if (here.moving !== 0 && held && !left) here.lossy = true;
      // It may have made its directories already, and served others, or have died with what was given to it.
      const forgets =
        this.planted === "who was the home once has everything" ||
        (this.planted === "what was given before a freeze is still here" && here.moving !== HANDED_IN);
      if (here.handedTo & bit(dead) && !forgets) here.ours = false;
      if (!here.known || here.home !== dead) continue;
      here.moving = Math.max(here.moving, FROZEN);
    }
    this.#cluster.rangesMachineDied(number, dead);
    this.#mirrors.died(number, dead);
    for (const page of pages) {
      if (!machine.pages[page]!.exists) continue;
      if (this.#mirrors.on) engines.do.forgetPeer(engines.page(number, page), dead);
      // What moves its home, or will at once, needs nothing else.
      const { home } = machine.objects[this.#cluster.objectOf(page)]!;
      if (engines.do.isFrozen(engines.page(number, page)) !== 0 || home === dead || this.#mirrors.on) {
        engines.do.forgetOperation(engines.page(number, page), dead);
        continue;
      }
      const [engine, at] = [engines.engine(number), engines.page(number, page)];
      this.#pagers.run(number, page, () => engines.do.peerDied(engine, at, dead));
    }
  }

  #mark(number: number, phase: number): void {
    const { membership } = this.#cluster.machine(number);
    membership.phase = phase;
    this.#tell(number, phase);
  }

  #tell(number: number, phase: number): void {
    const { membership } = this.#cluster.machine(number);
    for (const to of this.#members(number))
      if (to !== number) this.#cluster.tell(number, to, { kind: "mark", phase, view: membership.view });
  }

  #marked(number: number, from: number, phase: number, view: number): void {
    const { membership } = this.#cluster.machine(number);
    membership.marks[phase * this.#cluster.setup.machines + from - 1] = view;
    if (phase === LEFT && view === membership.view) membership.left |= bit(from);
    if (phase === REBUILT && (view === membership.view || membership.phase === FLUSHED))
      this.#thaw(number, from);
    this.#becomesMember(number);
  }

  #becomesMember(number: number): void {
    const { membership } = this.#cluster.machine(number);
    if (membership.view < 0 || membership.phase !== REBUILT || !this.#allEnded(number, REBUILT)) return;
    membership.moves = false;
    membership.doubts = false;
    membership.member = true;
    this.#mirrors.heal(number, membership.view);
    if (!this.leaves.isLeaving(number)) return;
    membership.handedIn = true;
    this.#mark(number, LEFT);
  }

  noticed(from: number, to: number, notice: ViewNotice, value: number): void {
    const { engines, objects } = this.#cluster;
    const machine = this.#cluster.machine(to);
    if (notice.kind === "mark") this.#marked(to, from, notice.phase, notice.view);
    else if (notice.kind === "object") {
      const here = machine.objects[notice.object]!;
      if (!here.known) Object.assign(here, { known: true, home: to, moving: HANDED_IN });
      if (here.moving !== 0 && notice.complete) here.complete = true;
      if (here.moving !== 0 && notice.lossy) here.lossy = true;
      if (here.moving !== 0 && notice.doubts) machine.membership.doubts = true;
    } else if (objects.length > 0) {
      const { moving, known } = machine.objects[this.#cluster.objectOf(notice.page)]!;
      if (!known || moving === 0) return;
      const at = this.#cluster.find(to, notice.page);
      if (notice.kind === "report") this.#reported(to, notice.page, from, notice.report, notice.serial);
      else if (notice.kind === "given") this.leaves.given(to, notice, value);
      else if (notice.restore) {
        this.#mirrors.use(to, notice.page);
        engines.do.engineRestored(at);
      } else engines.do.adopt(at);
    }
  }

  // --- The home's move (homes.ts) ---

  /** Who knows of an object without having been told asks there. */
  homeOf(number: number, object: number): number {
    const { leaving } = this.#cluster.views[this.#cluster.machine(number).membership.view]!;
    const members = this.#members(number);
    const stay = members.filter((machine) => (leaving & bit(machine)) === 0);
    const homes = stay.length > 0 ? stay : members;
    const preferred = this.#cluster.preferred(object);
    return homes.includes(preferred) ? preferred : homes[0]!;
  }

  /** Before a thread asks for it. */
  open(number: number, object: number): void {
    const here = this.#cluster.machine(number).objects[object]!;
    if (here.known) return;
    // A file that nobody has heard of is not there; the program makes another one.
    const others = this.#cluster
      .living()
      .some((other) => this.#cluster.machine(other).objects[object]!.known);
    // Who is left out has heard of it in vain: what was in that file nobody can be told of.
    const { losses, pages } = this.#cluster;
    const heard = this.#cluster
      .members()
      .some((other) => this.#cluster.machine(other).objects[object]!.known);
    if (!heard) losses.tell(losses.word(pages.filter((page) => this.#cluster.objectOf(page) === object)));
    if (!heard) this.#madeAnew(object);
    // Mirrored, that is a loss when somebody has seen what was in it.
    if (!others && this.#mirrors.seen(object)) this.#cluster.machine(number).failures++;
    here.known = true;
    here.home = this.homeOf(number, object);
    const there = this.#cluster.machine(here.home).objects[object]!;
    if (!there.known) Object.assign(there, { known: true, home: here.home });
  }

  /** The file has another id: the bytes that a former life or a machine that is left out has are not of it (remains.ts). */
  #madeAnew(object: number): void {
    const { numbers, pages } = this.#cluster;
    for (const page of pages.filter((one) => this.#cluster.objectOf(one) === object))
      for (const number of numbers) {
        const here = this.#cluster.machine(number).pages[page]!;
        if (here.kept?.former) Object.assign(here, { kept: undefined, frame: 0 });
        here.ofFormerFile = here.exists;
      }
  }

  /** Its threads are served. */
  serves(number: number): boolean {
    const { membership, objects } = this.#cluster.machine(number);
    if (!membership.member || objects.every(({ known }) => known)) return membership.member;
    return membership.phase === REBUILT && this.#allEnded(number, REBUILT);
  }

  #pagesHere(number: number, object: number): number[] {
    const { pages } = this.#cluster.machine(number);
    return this.#cluster.pages.filter(
      (page) => this.#cluster.objectOf(page) === object && pages[page]!.exists,
    );
  }

  /** The view is flushed: what is said of a new life from here on is not about the one before. */
  #welcome(number: number): void {
    const { engines, numbers } = this.#cluster;
    const { membership } = this.#cluster.machine(number);
    for (const other of numbers)
      if (membership.coming & bit(other)) engines.do.alive(engines.engine(number), other);
    membership.coming = 0;
  }

  freeze(number: number): void {
    const machine = this.#cluster.machine(number);
    for (const other of this.#cluster.numbers)
      if (machine.membership.dying & bit(other)) this.#died(number, other);
    this.#welcome(number);
    const interrupted =
      this.#interrupted(number, this.#members(number)) &&
      this.planted !== "a view that was skipped is nothing";
    // Mirrored, the home of every page has to be told what there is of it.
    const leaving = this.#cluster.views[machine.membership.view]!.leaving !== 0;
    const all = this.#mirrors.on || interrupted || leaving;
    for (const object of this.#cluster.objects) {
      const here = machine.objects[object]!;
      if (!here.known) continue;
      const home = this.homeOf(number, object);
      if (all || home !== here.home || here.moving !== 0) this.#freezeObject(number, object, here, home);
    }
    machine.membership.moves = true;
    this.#mark(number, FROZEN);
  }

  #freezeObject(number: number, object: number, here: ObjectHere, home: number): void {
    const { engines } = this.#cluster;
    const stored = here.home === number && here.moving === 0;
    if (this.planted !== "what has merged is nobody's") this.#unmerge(number);
    here.ours ||= stored;
    here.complete = here.ours;
    if (stored && this.#untold(number, object, here)) here.lossy = true;
    if (stored) here.handedTo = 0;
    if (stored) here.holders = this.#cluster.rangeHolders(number);
    here.moving = FROZEN;
    here.home = home;
    if (stored && this.planted !== "a lost page's frame is the page")
      for (const page of this.#pagesHere(number, object)) engines.do.stands(engines.page(number, page));
    this.#cluster.rangesFrozen(number);
    for (const page of this.#pagesHere(number, object)) {
      this.#pagers.endRevocation(number, page);
      const [engine, at] = [engines.engine(number), engines.page(number, page)];
      const { framed, broken } = this.#cluster.machine(number).pages[page]!;
      const has = stored && (framed || broken) ? 1 : 0;
      this.#pagers.run(number, page, () => engines.do.freeze(engine, at, has));
    }
  }

  /** Records again, which say what their ranges say of them (pagesUnmerge of page-index.ts). */
  #unmerge(number: number): void {
    const { engines, pages } = this.#cluster;
    const here = this.#cluster.machine(number).pages;
    const merged = pages.filter((page) => here[page]!.kept && !here[page]!.kept!.former);
    this.#cluster.unmerge(number);
    for (const page of merged) engines.do.keep(engines.page(number, page), 0); // refreshes it
  }

  /** At the home: somebody is to be told of a loss still. */
  #untold(number: number, object: number, here: ObjectHere): boolean {
    const { engines, ranges, c, pages } = this.#cluster;
    if (ranges && engines.do.lost(engines.set(number)) !== 0) return true;
    const made = this.#pagesHere(number, object);
    const unmade = pages.filter((page) => this.#cluster.objectOf(page) === object).length > made.length;
    if (!ranges && here.lost && unmade) return true;
    const untold = [c["LOST"], c["RECOVERING"]];
    return made.some((page) => untold.includes(engines.do.directory(engines.page(number, page))));
  }

  handIn(number: number): void {
    const machine = this.#cluster.machine(number);
    for (const object of this.#cluster.objects) {
      const here = machine.objects[object]!;
      if (!here.known || here.moving !== FROZEN) continue;
      here.moving = HANDED_IN;
      if (here.home !== number) here.handedTo |= bit(here.home);
      if (here.home !== number)
        this.#cluster.tell(number, here.home, {
          kind: "object",
          object,
          complete: here.ours,
          lossy: here.lossy,
          doubts: machine.membership.doubts,
        });
      for (const page of this.#pagesHere(number, object)) this.#report(number, page, here.home);
    }
    this.#mark(number, HANDED_IN);
  }

  #report(number: number, page: number, home: number): void {
    const { engines } = this.#cluster;
    const at = engines.page(number, page);
    let report = engines.do.report(at);
    if (this.planted === "an owner is reported as a copy" && report > 1 && report < 4) report = 1;
    if (this.planted === "copies are not reported" && report === 1) report = 0;
    const serial = this.#mirrors.best(number, page);
    if (report === 0 && serial === 0n) return;
    if (this.leaves.isLeaving(number) && home !== number && report !== this.#cluster.c["REPORT_AWAY"]) {
      this.leaves.give(number, page, home);
      return;
    }
    if (home === number) this.#reported(number, page, number, report, serial);
    else this.#cluster.tell(number, home, { kind: "report", page, report, serial });
  }

  #reported(home: number, page: number, from: number, report: number, serial: bigint): void {
    const { engines } = this.#cluster;
    const at = engines.page(home, page);
    engines.do.reported(at, from, report);
    if (this.#mirrors.on) engines.do.best(at, from, serial);
  }

  rebuild(number: number): void {
    const machine = this.#cluster.machine(number);
    if (machine.membership.doubts) this.#unanswered(number);
    for (const object of this.#cluster.objects) {
      const here = machine.objects[object]!;
      if (here.home === number && here.moving === HANDED_IN) this.#rebuildObject(number, object, here);
    }
    this.#mark(number, REBUILT);
    this.#thaw(number, number);
    const { marks, view } = machine.membership;
    for (const other of this.#members(number))
      if (marks[REBUILT * this.#cluster.setup.machines + other - 1] === view) this.#thaw(number, other);
    this.#becomesMember(number);
  }

  /** Operations whose answers would have come by now fail. */
  #unanswered(number: number): void {
    const { engines, objects } = this.#cluster;
    for (const object of objects)
      for (const page of this.#pagesHere(number, object)) {
        const [engine, at] = [engines.engine(number), engines.page(number, page)];
        this.#pagers.run(number, page, () => engines.do.unanswered(engine, at));
      }
  }

  #rebuildObject(number: number, object: number, here: ObjectHere): void {
    const { engines } = this.#cluster;
    const machine = this.#cluster.machine(number);
    // What a dead machine had that others saw, somebody has as well.
    const loses = (!here.complete || here.lossy) && !this.#mirrors.on;
    here.lossy = false;
    here.holders = 0;
    here.handedTo = 0;
    if (loses || this.#mirrors.on) here.renumbered = true;
    here.lost = loses && this.planted !== "what nobody has is zero";
    const { ranges, pages } = this.#cluster;
    const set = engines.set(number);
    if (ranges && here.lost) engines.do.lose(set, 0n, BigInt(pages.length - 1));
    const { ours } = here;
    here.complete = here.ours = false;
    here.moving = 0;
    for (const page of this.#pagesHere(number, object)) {
      const at = engines.page(number, page);
      engines.do.setRanged(at, 0);
      const doubts = machine.membership.doubts && !this.#mirrors.on ? 1 : 0;
      const adopts = engines.do.rebuild(engines.engine(number), at, here.lost && !ranges ? 1 : 0, doubts);
      if (this.#mirrors.restores(number, page)) continue;
      const unused = engines.do.directory(at) === this.#cluster.c["UNUSED"];
      const lost = engines.do.directory(at) === this.#cluster.c["LOST"];
      // A stale copy is no backing store: others may have been told already that its bytes are lost.
      if (!ours && (lost || (loses && unused)) && machine.pages[page]!.framed) machine.pages[page]!.frame = 0;
      if (unused && machine.pages[page]!.former) machine.pages[page]!.frame = 0;
      if (unused && here.renumbered) engines.do.reverted(engines.engine(number), at);
      if (ranges && unused) engines.do.setRanged(at, 1);
      else if (ranges) engines.do.carve(set, BigInt(page));
      if (adopts !== 0 && this.planted !== "the copy that counts is not told so")
        this.#cluster.tell(number, adopts, { kind: "owner", page, restore: false });
    }
  }

  /** `home` has rebuilt what was handed in to it. */
  #thaw(number: number, home: number): void {
    const { engines, objects } = this.#cluster;
    for (const object of objects) {
      const here = this.#cluster.machine(number).objects[object]!;
      if (!here.known || here.home !== home) continue;
      if (here.moving === HANDED_IN && home !== number) {
        here.moving = 0;
        here.complete = here.ours = here.lossy = false;
        here.holders = 0;
        here.handedTo = 0;
      }
      if (here.moving !== 0) continue;
      for (const page of this.#pagesHere(number, object)) {
        const [engine, at] = [engines.engine(number), engines.page(number, page)];
        if (engines.do.isFrozen(at) !== 0)
          this.#pagers.run(number, page, () => engines.do.thaw(engine, at, home));
      }
      this.#mirrors.thaw(number, object);
      if (this.planted === "nobody asks again") continue;
      for (const page of this.#pagesHere(number, object)) this.#pagers.askAgain(number, page);
    }
  }
}

/** At the beginning: everybody is a member of the first view. */
export const unseen = (machines: number): Membership => ({
  view: 0,
  phase: REBUILT,
  moves: false,
  doubts: false,
  member: true,
  dying: 0,
  coming: 0,
  left: 0,
  handedIn: false,
  deaf: 0,
  marks: Array.from({ length: MARKS * machines }, () => -1),
});

export const copyMembership = (membership: Membership): Membership => ({
  ...membership,
  marks: membership.marks.slice(),
});

export function membershipWords(put: (word: number) => void, machine: Machine): void {
  const { view, phase, moves, doubts, member, dying, coming, left, handedIn, deaf, marks } =
    machine.membership;
  put(
    (view + 1) |
      (phase << 8) |
      (member ? 1 << 12 : 0) |
      (doubts ? 1 << 13 : 0) |
      (moves ? 1 << 14 : 0) |
      (dying << 16),
  );
  put(deaf | (coming << 16));
  put(left | (handedIn ? 1 : 0));
  for (const mark of marks) put(mark + 1);
  for (const { known, home, moving, complete, ours, lost, lossy, holders, handedTo } of machine.objects)
    put(
      (known ? 1 : 0) |
        (home << 1) |
        (moving << 8) |
        (complete ? 1 << 12 : 0) |
        (ours ? 1 << 15 : 0) |
        (lost ? 1 << 13 : 0) |
        (lossy ? 1 << 14 : 0) |
        (holders << 16) |
        (handedTo << 24),
    );
}
