// Who belongs to the cluster, in the world of coherence.ts: what members.ts does. Views follow each other as if membership.ts had
// agreed on them (membership.test.ts shows that it does): one leaves out a machine that has died, stopped or left
// (coherence-leaves.ts), or takes in a new life. Each machine installs them when it hears of them; the phases of a view are those of
// members.ts, each begun when all members have said that they ended the one before, behind all page messages from before:
// flushed, frozen, handed in, rebuilt (what each does to homes: coherence-homes.ts).
import { Homes } from "./coherence-homes.js";
import { type LeaveStep, Leaves } from "./coherence-leaves.js";
import type { Mirrors } from "./coherence-mirror.js";
import type { Pagers } from "./coherence-pager.js";
import type { Cluster } from "./coherence-state.js";
import {
  FLUSHED,
  FROZEN,
  HANDED_IN,
  INTERRUPTED,
  LEFT,
  MARKS,
  REBUILT,
  unseen,
  type View,
  type ViewNotice,
} from "./coherence-view-state.js";

export type ViewStep =
  | { do: "exclude"; machine: number }
  | { do: "install" | "freeze" | "handIn" | "rebuild" | "left"; machine: number }
  | LeaveStep;

const bit = (machine: number) => 1 << machine;

export class Views {
  readonly leaves: Leaves;
  readonly homes: Homes;
  readonly #cluster: Cluster;
  readonly #mirrors: Mirrors;

  constructor(cluster: Cluster, pagers: Pagers, mirrors: Mirrors) {
    this.#cluster = cluster;
    this.#mirrors = mirrors;
    this.leaves = new Leaves(cluster, mirrors);
    this.homes = new Homes(cluster, pagers, mirrors, this.leaves);
  }

  get #newest(): number {
    return this.#cluster.views.length - 1;
  }

  /** The newest view leaves it out. */
  leavesOut(machine: number): boolean {
    return (this.#cluster.views[this.#newest]!.members & bit(machine)) === 0;
  }

  #members(machine: number): number[] {
    return this.#cluster.membersBy(this.#cluster.machine(machine).membership.view);
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
    const flushed =
      this.#allEnded(number, FLUSHED) || this.#cluster.planted === "does not wait for the flush";
    if (phase === FLUSHED && flushed && view > 0) return [{ do: "freeze", machine: number }];
    const frozen = this.#allEnded(number, FROZEN) || this.#cluster.planted === "hands in too early";
    if (phase === FROZEN && frozen && this.homes.answered(number)) return [{ do: "handIn", machine: number }];
    const handedIn = this.#allEnded(number, HANDED_IN) || this.#cluster.planted === "rebuilds too early";
    if (phase === HANDED_IN && handedIn && !this.homes.fetches(number))
      return [{ do: "rebuild", machine: number }];
    // What it had mirrors of for others has them elsewhere by now.
    const { membership } = this.#cluster.machine(number);
    const leaves = this.#mirrors.on && this.leaves.isLeaving(number) && !membership.handedIn;
    if (leaves && phase === REBUILT && this.#mirrors.allHave(view)) return [{ do: "left", machine: number }];
    return [];
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
    else if (here.alive) this.#cluster.loses(machine); // what it has is not the newest any more
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
    if (cluster.planted === "an era begins before the home is over")
      cluster.engines.do.setView(cluster.engines.engine(number), this.#newest + 1);
    for (const other of cluster.numbers) if (other !== number) this.#change(number, other, former, view);
    this.#mirrors.look(number);
    cluster.engines.do.setFlushes(cluster.engines.engine(number), 1);
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
      if (this.#cluster.planted === "a new life is spoken to at once") this.#welcome(number);
    } else if (!(membership.dying & mine) && !membership.member) this.#died(number, other);
  }

  #died(number: number, dead: number): void {
    const { engines } = this.#cluster;
    const machine = this.#cluster.machine(number);
    const left = (machine.membership.left & bit(dead)) !== 0;
    machine.membership.dying &= ~bit(dead);
    machine.membership.doubts ||= !left;
    machine.membership.coming &= ~bit(dead);
    engines.do.dead(engines.engine(number), dead);
    this.homes.died(number, dead, left);
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
      this.homes.thaw(number, from);
    this.#becomesMember(number);
  }

  #becomesMember(number: number): void {
    const { membership } = this.#cluster.machine(number);
    if (membership.view < 0 || membership.phase !== REBUILT || !this.#allEnded(number, REBUILT)) return;
    membership.moves = false;
    membership.doubts = false;
    membership.member = true;
    this.#mirrors.heal(number, membership.view);
    if (this.leaves.isLeaving(number) && !this.#mirrors.on) this.#left(number);
  }

  #left(number: number): void {
    this.#cluster.machine(number).membership.handedIn = true;
    this.#mark(number, LEFT);
  }

  noticed(from: number, to: number, notice: ViewNotice, value: number): void {
    if (notice.kind === "mark") this.#marked(to, from, notice.phase, notice.view);
    else this.homes.noticed(from, to, notice, value);
  }

  /** Its threads are served. */
  serves(number: number): boolean {
    const { membership, objects } = this.#cluster.machine(number);
    if (!membership.member || objects.every(({ known }) => known)) return membership.member;
    return membership.phase === REBUILT && this.#allEnded(number, REBUILT);
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
    const { engines } = this.#cluster;
    engines.do.setView(engines.engine(number), machine.membership.view + 1);
    engines.do.setFlushes(engines.engine(number), 0);
    const interrupted =
      this.#interrupted(number, this.#members(number)) &&
      this.#cluster.planted !== "a view that was skipped is nothing";
    // Mirrored, the home of every page has to be told what there is of it.
    const leaving = this.#cluster.views[machine.membership.view]!.leaving !== 0;
    const all = this.#mirrors.on || interrupted || leaving;
    machine.membership.frozenFor = machine.membership.view;
    this.homes.freeze(number, all);
    machine.membership.moves = true;
    if (interrupted && this.#cluster.planted === "a view that interrupts a move is a death")
      machine.membership.doubts = true;
    this.#mark(number, FROZEN);
  }

  left(number: number): void {
    this.#left(number);
  }

  handIn(number: number): void {
    this.homes.handIn(number);
    this.#mark(number, HANDED_IN);
  }

  rebuild(number: number): void {
    if (!this.homes.fetched(number)) return;
    const machine = this.#cluster.machine(number);
    this.homes.rebuild(number);
    this.#mark(number, REBUILT);
    this.homes.thaw(number, number);
    const { marks, view } = machine.membership;
    for (const other of this.#members(number))
      if (marks[REBUILT * this.#cluster.setup.machines + other - 1] === view) this.homes.thaw(number, other);
    this.#becomesMember(number);
  }
}
