// Homes of the world of coherence.ts, and how they move when a view comes: what homes.ts makes of takeover.ts. A machine freezes the
// objects whose home moves, hands in what it has of them, makes directories of what was handed in to it, and asks again;
// coherence-views.ts says when.
import { KeptMoves } from "./coherence-kept.js";
import type { Leaves } from "./coherence-leaves.js";
import type { Mirrors } from "./coherence-mirror.js";
import { Moves } from "./coherence-moves.js";
import type { Pagers } from "./coherence-pager.js";
import type { Cluster } from "./coherence-state.js";
import { FROZEN, HANDED_IN, type ObjectHere, type ViewNotice } from "./coherence-view-state.js";

type HomeNotice = Exclude<ViewNotice, { kind: "mark" }>;

export class Homes {
  readonly #cluster: Cluster;
  readonly #pagers: Pagers;
  readonly #mirrors: Mirrors;
  readonly #leaves: Leaves;
  readonly #moves: Moves;
  readonly #kept: KeptMoves;

  constructor(cluster: Cluster, pagers: Pagers, mirrors: Mirrors, leaves: Leaves) {
    this.#cluster = cluster;
    this.#pagers = pagers;
    this.#mirrors = mirrors;
    this.#leaves = leaves;
    this.#moves = new Moves(cluster);
    this.#kept = new KeptMoves(cluster, this.#moves);
  }

  /** Who knows of an object without having been told asks there. */
  homeOf(number: number, object: number): number {
    return this.#cluster.homeBy(this.#cluster.machine(number).membership.view, object);
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
        here.ofFormerFile = here.exists || here.kept !== undefined;
      }
  }

  #pagesHere(number: number, object: number): number[] {
    const { pages } = this.#cluster.machine(number);
    return this.#cluster.pages.filter(
      (page) => this.#cluster.objectOf(page) === object && pages[page]!.exists,
    );
  }

  /** homesAnswered() of homes.ts. */
  answered(number: number): boolean {
    const { engines } = this.#cluster;
    const { membership, objects } = this.#cluster.machine(number);
    if (membership.doubts || this.#cluster.planted === "hands in before it is answered") return true;
    return this.#cluster.objects.every(
      (object) =>
        objects[object]!.moving !== FROZEN ||
        this.#pagesHere(number, object).every(
          (page) => engines.do.awaits(engines.engine(number), engines.page(number, page)) === 0,
        ),
    );
  }

  /** Another machine is dead (peerDied() of homes.ts); `left`: it had nothing any more. */
  died(number: number, dead: number, left: boolean): void {
    const { engines, pages, objects } = this.#cluster;
    const machine = this.#cluster.machine(number);
    for (const object of objects) {
      const here = machine.objects[object]!;
      if (!left)
        this.#moves.of(number, object, (at) => engines.do.moveDied(at, dead, this.#mirrors.on ? 1 : 0));
      if (!here.known || here.home !== dead) continue;
      here.moving = Math.max(here.moving, FROZEN);
    }
    this.#cluster.rangesMachineDied(number, dead);
    this.#mirrors.died(number, dead);
    this.#cluster.loans.died(number, dead);
    for (const page of pages) {
      if (!machine.pages[page]!.exists) continue;
      if (this.#mirrors.on) engines.do.forgetPeer(engines.engine(number), engines.page(number, page), dead);
      // What moves its home, or will at once, needs nothing else.
      const { home } = machine.objects[this.#cluster.objectOf(page)]!;
      if (engines.do.isFrozen(engines.page(number, page)) !== 0 || home === dead || this.#mirrors.on) {
        engines.do.bereft(engines.engine(number), engines.page(number, page), dead);
        continue;
      }
      const [engine, at] = [engines.engine(number), engines.page(number, page)];
      this.#pagers.run(number, page, () => engines.do.peerDied(engine, at, dead));
    }
    this.#cluster.loans.gone(number);
  }

  noticed(from: number, to: number, notice: HomeNotice, value: number): void {
    const { engines, objects } = this.#cluster;
    const machine = this.#cluster.machine(to);
    if (notice.kind === "object") {
      const here = machine.objects[notice.object]!;
      if (!here.known && this.#cluster.planted !== "a new machine grants what was lost by ranges")
        this.#cluster.rangesMoved(to);
      const frozen = this.#kept.on ? 1 : 0;
      if (!here.known) Object.assign(here, { known: true, home: to, moving: HANDED_IN, frozen });
      if (here.moving === 0) return;
      this.#moves.of(to, notice.object, (at) => engines.do.moveHears(at, notice.says));
      if (notice.says & this.#cluster.c["DOUBTS"]!) machine.membership.doubts = true;
    } else if (objects.length > 0) {
      const { moving, known } = machine.objects[this.#cluster.objectOf(notice.page)]!;
      if (!known || moving === 0) return;
      const page = machine.pages[notice.page]!;
      const records = !this.#kept.on || (notice.kind === "report" && this.#wantsRecord(notice));
      if (records) this.#cluster.find(to, notice.page);
      const at = engines.page(to, notice.page);
      if (notice.kind === "fetch") this.#leaves.fetched(to, notice.page, from);
      else if (notice.kind === "report") this.#reported(to, from, notice);
      else if (notice.kind === "given") this.#leaves.given(to, from, notice, value);
      else if (notice.kind === "tell") this.#broken(to, notice.page);
      else if (notice.restore) {
        this.#mirrors.use(to, notice.page);
        engines.do.engineRestored(at);
      } else if (page.exists) engines.do.adopt(at, notice.alone ? 1 : 0);
      else this.#kept.adopt(to, notice.page, notice.alone);
    }
  }

  /** More is said of the page than a range can. */
  #wantsRecord({ asked, to, report }: Extract<HomeNotice, { kind: "report" }>): boolean {
    return asked !== 0 || to !== 0 || (report & this.#cluster.c["UNTOLD"]!) !== 0;
  }

  #broken(number: number, page: number): void {
    this.#cluster.find(number, page);
    this.#cluster.breaks(number, page);
  }

  /** The objects whose home moves, or `all`. */
  freeze(number: number, all: boolean): void {
    const machine = this.#cluster.machine(number);
    for (const object of this.#cluster.objects) {
      const here = machine.objects[object]!;
      if (!here.known) continue;
      const home = this.homeOf(number, object);
      if (all || home !== here.home || here.moving !== 0) this.#freezeObject(number, object, here, home);
    }
  }

  #freezeObject(number: number, object: number, here: ObjectHere, home: number): void {
    const { engines } = this.#cluster;
    const stored = here.home === number && here.moving === 0;
    const engine = engines.engine(number);
    const planted = this.#cluster.planted === "what has merged is nobody's";
    if (this.#kept.on && !planted) this.#kept.freeze(number, stored);
    if (stored && this.#untold(number, object, here)) here.lossy = 1;
    if (this.#roomless(number, object).length > 0) here.lossy = 1;
    if (this.#kept.on) this.#kept.dropReports(number);
    this.#moves.of(number, object, (at) => engines.do.moveBegins(engine, at, home));
    if (stored && this.#cluster.planted !== "a lost page's frame is the page")
      for (const page of this.#pagesHere(number, object)) engines.do.stands(engines.page(number, page));
    this.#cluster.rangesFrozen(number);
    for (const page of this.#pagesHere(number, object)) {
      const itsPage = this.#cluster.machine(number).pages[page]!;
      Object.assign(itsPage, { roomless: false, fetching: false });
      this.#cluster.loans.returns(number, page, true);
      this.#pagers.endRevocation(number, page);
      const has = itsPage.framed || this.#cluster.isBroken(number, page) ? 1 : 0;
      this.#pagers.run(number, page, () =>
        this.#moves.of(number, object, (at) =>
          engines.do.moveFreezesPage(engine, at, engines.page(number, page), stored ? 1 : 0, has),
        ),
      );
    }
  }

  /** Pages that came here, and for which there was no room; nobody else has them. */
  #roomless(number: number, object: number): number[] {
    const { engines } = this.#cluster;
    const made = this.#pagesHere(number, object).filter((page) => {
      const at = engines.page(number, page);
      const has = engines.do.owner(at) !== 0 || BigInt(engines.do.sharers(at)) !== 0n;
      return this.#cluster.machine(number).pages[page]!.roomless && !has;
    });
    return this.#kept.on ? [...made, ...this.#kept.roomless(number)] : made;
  }

  /** At the home: somebody is to be told still of the loss of pages that have no records; those of a range moves.ts knows. */
  #untold(number: number, object: number, here: ObjectHere): boolean {
    const { ranges, pages } = this.#cluster;
    const made = this.#pagesHere(number, object);
    const unmade = pages.filter((page) => this.#cluster.objectOf(page) === object).length > made.length;
    return !ranges && here.lost && unmade;
  }

  handIn(number: number): void {
    const { engines } = this.#cluster;
    const machine = this.#cluster.machine(number);
    for (const object of this.#cluster.objects) {
      const here = machine.objects[object]!;
      if (!here.known || here.moving !== FROZEN) continue;
      here.moving = HANDED_IN;
      let says = 0;
      this.#moves.of(number, object, (at) => {
        engines.do.moveIsFlushed(at);
        if (here.home !== number) says = engines.do.moveSays(at, machine.membership.doubts ? 1 : 0);
      });
      if (here.home !== number) this.#cluster.tell(number, here.home, { kind: "object", object, says });
      const made = this.#pagesHere(number, object);
      if (this.#kept.on && here.home === number) this.#kept.handIn(number);
      else if (this.#kept.on) this.#reportKept(number, here.home);
      for (const page of made) this.#report(number, page, here.home);
    }
  }

  #reportKept(number: number, home: number): void {
    const { engines } = this.#cluster;
    const leaves = this.#leaves.isLeaving(number);
    for (const [page, report] of this.#kept.reports(number)) {
      const said = { report, serial: 0n, asked: 0, to: 0, request: 0 };
      const notice = { ...({ kind: "report", page } as const), ...said };
      if (leaves && engines.do.mayGive(report) !== 0) {
        this.#cluster.find(number, page);
        this.#leaves.give(number, page, home);
        this.#kept.stow(number, page);
      } else this.#cluster.tell(number, home, notice);
    }
  }

  #report(number: number, page: number, home: number): void {
    const { engines, c } = this.#cluster;
    const engine = engines.engine(number);
    const leaves = this.#leaves.isLeaving(number) && home !== number;
    const silent = leaves && this.#cluster.planted === "what is on who leaves is nobody's";
    const serial = silent ? 0n : this.#mirrors.best(number, page);
    const report = this.#moves.page(number, page, (at) =>
      engines.do.pageReports(engine, at, serial === 0n ? 0 : 1),
    );
    if (report === 0) return;
    if (leaves && engines.do.mayGive(report) !== 0) {
      this.#leaves.give(number, page, home);
      return;
    }
    const at = engines.page(number, page);
    const offered = report === c["REPORT_OFFERED"];
    const to = offered ? engines.do.offeredTo(at) : 0;
    const request = offered ? engines.do.offeredFor(at) : 0;
    const asked = engines.do.asked(at);
    const notice = { ...({ kind: "report", page, serial, asked, to, request } as const), report };
    if (home === number) this.#reported(number, number, notice);
    else this.#cluster.tell(number, home, notice);
  }

  #reported(home: number, from: number, notice: Extract<HomeNotice, { kind: "report" }>): void {
    const { page, report, serial, asked, to, request } = notice;
    const { engines } = this.#cluster;
    const [engine, at] = [engines.engine(home), engines.page(home, page)];
    if (asked !== 0) engines.do.claimed(engine, at, from, asked);
    if (to !== 0) engines.do.hasOffered(engine, at, from, to, request);
    const { UNTOLD } = this.#cluster.c;
    if (this.#cluster.machine(home).pages[page]!.exists) engines.do.reported(at, from, report & ~UNTOLD!);
    if (this.#kept.on && from !== home) this.#kept.reported(home, page, from, report & ~UNTOLD!);
    if (report & UNTOLD!) this.#cluster.breaks(home, page);
    if (this.#mirrors.on) engines.do.best(at, from, serial, this.#leavers(home));
  }

  #leavers(number: number): bigint {
    const { view } = this.#cluster.machine(number).membership;
    return BigInt(this.#cluster.views[view]!.leaving >> 1);
  }

  /** mirrorsFetched() of left-mirrors.ts. */
  fetched(number: number): boolean {
    const { engines, objects, planted } = this.#cluster;
    const machine = this.#cluster.machine(number);
    if (planted === "who leaves is told to use its mirrors") return true;
    for (const object of this.#mirrors.on ? objects : []) {
      const { home, moving } = machine.objects[object]!;
      if (home !== number || moving !== HANDED_IN) continue;
      for (const page of this.#pagesHere(number, object)) {
        const at = engines.page(number, page);
        const from = engines.do.fetches(engines.engine(number), at, this.#leavers(number));
        if (from === 0) continue;
        machine.pages[page]!.fetching = true;
        this.#cluster.tell(number, from, { kind: "fetch", page });
      }
    }
    return !this.fetches(number);
  }

  /** It waits for what it has asked for. */
  fetches(number: number): boolean {
    return this.#cluster.machine(number).pages.some(({ fetching }) => fetching);
  }

  rebuild(number: number): void {
    const machine = this.#cluster.machine(number);
    if (machine.membership.doubts) this.#unanswered(number);
    for (const object of this.#cluster.objects) {
      const here = machine.objects[object]!;
      if (here.home === number && here.moving === HANDED_IN) this.#rebuildObject(number, object, here);
    }
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
    const mirrored = this.#mirrors.on;
    const ours = (here.complete & this.#cluster.c["OURS"]!) !== 0;
    const roomless = this.#roomless(number, object);
    this.#moves.of(number, object, (at) => {
      const loses = engines.do.moveLoses(at, mirrored ? 1 : 0, 0) !== 0;
      here.lost = loses && this.#cluster.planted !== "what nobody has is zero";
      engines.do.moveRebuilds(at, loses || mirrored || roomless.length > 0 ? 1 : 0);
    });
    const { ranges, pages } = this.#cluster;
    const set = engines.set(number);
    if (ranges && here.lost) engines.do.lose(set, 0n, BigInt(pages.length - 1));
    if (ranges) for (const page of roomless) engines.do.lose(set, BigInt(page), BigInt(page));
    if (this.#kept.on) this.#kept.rebuild(number, machine.membership.doubts, !ours);
    for (const page of this.#pagesHere(number, object))
      this.#rebuildPage(number, object, page, (here.lost || roomless.includes(page)) && !ranges, ours);
    // Until now nobody asks here.
    here.moving = 0;
    if (!this.#kept.on) return;
    here.frozen = 0;
    this.#kept.dropReports(number);
    this.#kept.end(number);
  }

  #rebuildPage(number: number, object: number, page: number, lost: boolean, ours: boolean): void {
    const { engines, c, planted } = this.#cluster;
    const machine = this.#cluster.machine(number);
    const here = machine.pages[page]!;
    const engine = engines.engine(number);
    const mirrors = this.#mirrors.on ? 1 : 0;
    const doubts = machine.membership.doubts && mirrors === 0 ? 1 : 0;
    let offers = 0;
    this.#pagers.run(number, page, () => {
      offers = engines.do.pageRebuildBegins(engine, engines.page(number, page));
    });
    let [wants, teller, to, flags] = [0, 0, 0, 0];
    this.#moves.of(number, object, (about) =>
      this.#moves.page(number, page, (at) => {
        const isLost = lost ? 1 : 0;
        const our = ours ? 1 : 0;
        wants = engines.do.pageRebuilds(
          ...([engine, about, at, offers, isLost, doubts, mirrors, mirrors, our] as const),
        );
        to = engines.do.pageChosen();
        flags = engines.do.pageChosenFlags();
        if (wants !== c["RESTORES"]) teller = engines.do.pageTells(engine, at);
      }),
    );
    if (wants === c["RESTORES"]) {
      this.#mirrors.use(number, page);
      return;
    }
    if (wants === c["EMPTIES"]) here.frame = 0;
    if (to !== 0 && planted !== "the copy that counts is not told so") {
      const restore = flags === c["RESTORE"];
      this.#cluster.tell(number, to, { kind: "owner", page, restore, alone: flags === c["ALONE"] });
    }
    if (teller !== 0) this.#cluster.tell(number, teller, { kind: "tell", page });
  }

  /** `home` has rebuilt what was handed in to it. */
  thaw(number: number, home: number): void {
    const { engines, objects } = this.#cluster;
    for (const object of objects) {
      const here = this.#cluster.machine(number).objects[object]!;
      if (!here.known || here.home !== home) continue;
      const moved = here.moving === HANDED_IN && home !== number;
      if (moved && this.#kept.on) this.#kept.thaw(number);
      if (moved) this.#moves.of(number, object, (at) => engines.do.moveThaws(at));
      if (moved) this.#kept.end(number);
      if (here.moving !== 0) continue;
      for (const page of this.#pagesHere(number, object)) {
        const [engine, at] = [engines.engine(number), engines.page(number, page)];
        if (engines.do.isFrozen(at) === 0) continue;
        if (home !== number) this.#moves.page(number, page, (its) => engines.do.pageHandedIn(engine, its));
        this.#pagers.run(number, page, () => engines.do.thaw(engine, at, home));
      }
      this.#mirrors.thaw(number, object);
      if (this.#cluster.planted === "nobody asks again") continue;
      for (const page of this.#pagesHere(number, object)) this.#pagers.askAgain(number, page);
    }
  }
}
