// Machines that leave the cluster of coherence-state.ts in good order (farewell.ts, and what homes.ts makes of it): their program has
// ended, they hand in all that they have by a view in which they are leaving, say so, and the next view is without them.
import { KeptMoves } from "./coherence-kept.js";
import type { Mirrors } from "./coherence-mirror.js";
import { Moves } from "./coherence-moves.js";
import { type Cluster, instructions, isDone } from "./coherence-state.js";
import type { ViewNotice } from "./coherence-view-state.js";

export type LeaveStep = { do: "exit" | "leave"; machine: number };
export type GivenNotice = Extract<ViewNotice, { kind: "given" }>;

const bit = (machine: number) => 1 << machine;

export class Leaves {
  readonly #cluster: Cluster;
  readonly #mirrors: Mirrors;
  readonly #moves: Moves;
  readonly #kept: KeptMoves;

  constructor(cluster: Cluster, mirrors: Mirrors) {
    this.#mirrors = mirrors;
    this.#cluster = cluster;
    this.#moves = new Moves(cluster);
    this.#kept = new KeptMoves(cluster, this.#moves);
  }

  /**
   * It belongs to the cluster and knows the newest view; somebody else stays. Mirrored, its program exits first, and shows that: as any output that
   * waits until everything that was written before has its mirrors.
   */
  steps(number: number): LeaveStep[] {
    const { leaves, leavings, views, numbers } = this.#cluster;
    const { members, leaving } = views.at(-1)!;
    const { exited, membership, threads } = this.#cluster.machine(number);
    const { member, view } = membership;
    if (!member || view !== views.length - 1 || !this.#cluster.runs(number)) return [];
    if (exited ? !threads.every(isDone) : leavings >= leaves) return [];
    const stay = numbers.filter((other) => members & ~leaving & bit(other) && this.#cluster.runs(other));
    if (!stay.includes(number) || stay.length === 1) return [];
    const exits = this.#mirrors.on && !exited;
    return [{ do: exits ? "exit" : "leave", machine: number }];
  }

  exit(number: number): void {
    const machine = this.#cluster.machine(number);
    this.#cluster.leavings++;
    machine.exited = true;
    this.#ends(number);
    const [first] = machine.threads;
    if (first)
      Object.assign(first, { program: instructions("o"), at: 0, commit: undefined, shows: undefined });
  }

  #ends(number: number): void {
    for (const thread of this.#cluster.machine(number).threads) {
      Object.assign(thread, { at: thread.program.length, state: 0, declined: false });
      this.#cluster.notes.unmap(number, thread);
    }
  }

  leave(number: number): void {
    const { views } = this.#cluster;
    const machine = this.#cluster.machine(number);
    if (!machine.exited) this.#cluster.leavings++;
    machine.exited = false;
    this.#ends(number);
    const last = views.at(-1)!;
    views.push({ ...last, leaving: last.leaving | bit(number) });
  }

  /** By the view that the machine acts by. */
  isLeaving(number: number): boolean {
    const { view } = this.#cluster.machine(number).membership;
    return view >= 0 && (this.#cluster.views[view]!.leaving & bit(number)) !== 0;
  }

  /** It may be left out: somebody has heard that it has nothing any more. */
  hasLeft(number: number): boolean {
    if ((this.#cluster.views.at(-1)!.leaving & bit(number)) === 0) return false;
    return this.#cluster
      .members()
      .some((other) => (this.#cluster.machine(other).membership.left & bit(number)) !== 0);
  }

  /** giveAway() of hand-in.ts. */
  give(number: number, page: number, home: number): void {
    const { engines, c } = this.#cluster;
    const here = this.#cluster.machine(number).pages[page]!;
    const at = engines.page(number, page);
    const offered = engines.do.offeredTo(at);
    const to = { to: offered, request: offered === 0 ? 0 : engines.do.offeredFor(at) };
    const asked = engines.do.asked(at);
    const late = this.#cluster.planted === "what is given away is looked at too late";
    let written = !late && this.#cluster.notes.takeAway(number, page);
    const doubts = this.#cluster.machine(number).membership.doubts ? 1 : 0;
    let report = 0;
    this.#moves.of(number, this.#cluster.objectOf(page), (object) =>
      this.#moves.page(number, page, (its) => {
        report = engines.do.pageGives(object, its, doubts);
      }),
    );
    if (late) written = this.#cluster.notes.takeAway(number, page);
    const serial = engines.do.forsaken(at, written ? 1 : 0) as unknown as bigint;
    here.dirty = false;
    this.#mirrors.gave(number, page);
    if ((report & ~c["UNTOLD"]!) === c["REPORT_HAD"]) {
      const best = this.#mirrors.best(number, page);
      // The home would learn nothing of it.
      if (report === c["REPORT_HAD"] && best === 0n && asked === 0) return;
      this.#cluster.tell(number, home, { kind: "report", page, report, serial: best, asked, ...to });
      return;
    }
    const value = here.framed ? here.frame : 0;
    this.#cluster.tell(number, home, { kind: "given", page, report, serial, ...to }, value);
    // The claim goes by a message of its own, as in test/model/Move.tla.
    const none = { report: 0, serial: 0n, to: 0, request: 0 };
    if (asked !== 0) this.#cluster.tell(number, home, { kind: "report", page, asked, ...none });
  }

  /** mirrorGive() of left-mirrors.ts. */
  fetched(number: number, page: number, home: number): void {
    const [serial, value] = this.#mirrors.newest(number, page);
    const report = this.#cluster.c["REPORT_MIRROR"]!;
    this.#cluster.tell(number, home, { kind: "given", page, report, serial, to: 0, request: 0 }, value);
  }

  /** pageGiven() of hand-in.ts. */
  given(number: number, from: number, notice: GivenNotice, value: number): void {
    const { page, serial } = notice;
    const { engines, c, setup } = this.#cluster;
    const report = notice.report & ~c["UNTOLD"]!;
    if (report === c["REPORT_MIRROR"]) {
      this.#mirrors.fetched(number, page, serial, value);
      return;
    }
    const here = this.#cluster.machine(number).pages[page]!;
    if (this.#kept.on && !here.exists && setup.roomless?.includes(number) && !here.framed) {
      // There is no room for it anywhere.
      if (notice.report !== report) {
        this.#cluster.find(number, page);
        this.#cluster.breaks(number, page);
      }
      if (here.exists) here.roomless = true;
      this.#kept.reported(number, page, from, c["REPORT_ROOMLESS"]!);
      this.#cluster.losesPage(page);
      return;
    }
    const made = !here.exists;
    const at = this.#cluster.find(number, page);
    if (notice.report !== report) this.#cluster.breaks(number, page);
    if (!here.framed && setup.roomless?.includes(number)) {
      here.roomless = true;
      this.#cluster.losesPage(page);
      return;
    }
    const offer = report === c["REPORT_OFFERED"];
    const bits = BigInt.asUintN(64, serial);
    const [engine, { to, request }] = [engines.engine(number), notice];
    if (offer && engines.do.offerGiven(engine, at, number, bits, to, request) === 0) return;
    const dirty = engines.do.dirty(at) & 1;
    Object.assign(here, { frame: value, framed: true, former: false });
    engines.do.restore(at, bits, dirty, 0);
    this.#mirrors.given(number, page);
    if (!offer) engines.do.given(at, number, report === c["REPORT_COPY_GIVEN"] ? 1 : 0);
    if (made && this.#kept.on) this.#kept.stow(number, page);
  }
}
