// The home's role moves when its machine dies, in the world of coherence.ts: what homes.ts makes of takeover.ts. Every
// machine freezes what it has when it knows of the death, hands in what it has when all others have frozen, and the next home
// makes the directory of it when all have handed in. What machines say of it comes behind all page messages before.
import type { Pagers } from "./coherence-pager.js";
import type { Cluster } from "./coherence-state.js";

/** Of one machine: 0 not moving, 1 frozen, 2 handed in; bit per machine whose markers came. */
export interface Marks {
  moving: number;
  frozen: number;
  handedIn: number;
}
export const unmoved = (): Marks => ({ moving: 0, frozen: 0, handedIn: 0 });

export type MoveNotice =
  | { kind: "frozen" | "handedIn" | "ready" }
  | { kind: "owner"; page: number }
  | { kind: "report"; page: number; report: number };

/** This machine tells what it has; the new home makes the directory of it. */
export type MoveStep = { do: "handIn" | "rebuild"; machine: number };

export class HomeMove {
  /** A bug that the judge is to find (takeover-bugs.test.ts). */
  planted = "";
  readonly #cluster: Cluster;
  readonly #pagers: Pagers;

  constructor(cluster: Cluster, pagers: Pagers) {
    this.#cluster = cluster;
    this.#pagers = pagers;
  }

  #marks(machine: number): Marks {
    return this.#cluster.machine(machine).marks;
  }

  /** The members of the view that follows a death, without this one, as bits. */
  #others(machine: number): number {
    return this.#cluster
      .living()
      .reduce((bits, other) => (other === machine ? bits : bits | (1 << other)), 0);
  }

  /** The home after the first one. */
  #next(): number {
    return this.#cluster.living().find((machine) => machine !== this.#cluster.setup.home)!;
  }

  steps(machine: number): MoveStep[] {
    const { moving, frozen, handedIn } = this.#marks(machine);
    const others = this.#others(machine);
    const mayHandIn = (frozen & others) === others || this.planted === "hands in too early";
    const mayRebuild = (handedIn & others) === others || this.planted === "rebuilds too early";
    if (moving === 1 && mayHandIn) return [{ do: "handIn", machine }];
    if (moving === 2 && machine === this.#next() && mayRebuild) return [{ do: "rebuild", machine }];
    return [];
  }

  #tellAll(from: number, notice: MoveNotice): void {
    for (const to of this.#cluster.living()) if (to !== from) this.#cluster.tell(from, to, notice);
  }

  /** The machine knows of the home's death. */
  freeze(machine: number): void {
    const { engines, pages } = this.#cluster;
    this.#marks(machine).moving = 1;
    for (const page of pages) {
      this.#pagers.endRevocation(machine, page);
      this.#pagers.run(machine, page, () =>
        engines.do.freeze(engines.engine(machine), engines.page(machine, page), 0),
      );
    }
    this.#tellAll(machine, { kind: "frozen" });
  }

  handIn(machine: number): void {
    const { engines, pages } = this.#cluster;
    this.#marks(machine).moving = 2;
    for (const page of pages) {
      let report = engines.do.report(engines.page(machine, page));
      if (this.planted === "an owner is reported as a copy" && report > 1) report = 1;
      if (this.planted === "copies are not reported" && report === 1) report = 0;
      const home = this.#next();
      if (home === machine) engines.do.reported(engines.page(machine, page), machine, report);
      else this.#cluster.tell(machine, home, { kind: "report", page, report });
    }
    this.#tellAll(machine, { kind: "handedIn" });
  }

  rebuild(machine: number): void {
    const { engines, pages } = this.#cluster;
    this.#thaw(machine, machine);
    const lost = this.planted === "what nobody has is zero" ? 0 : 1;
    for (const page of pages) {
      const owner = engines.do.rebuild(engines.engine(machine), engines.page(machine, page), lost);
      if (owner !== 0 && this.planted !== "the copy that counts is not told so")
        this.#cluster.tell(machine, owner, { kind: "owner", page });
    }
    this.#tellAll(machine, { kind: "ready" });
    for (const page of pages) this.#pagers.askAgain(machine, page);
  }

  #thaw(machine: number, home: number): void {
    const { engines, pages } = this.#cluster;
    this.#marks(machine).moving = 0;
    for (const page of pages)
      this.#pagers.run(machine, page, () =>
        engines.do.thaw(engines.engine(machine), engines.page(machine, page), home),
      );
  }

  noticed(from: number, to: number, notice: MoveNotice): void {
    const { engines, pages } = this.#cluster;
    const marks = this.#marks(to);
    if (notice.kind === "frozen") marks.frozen |= 1 << from;
    else if (notice.kind === "handedIn") marks.handedIn |= 1 << from;
    else if (notice.kind === "report")
      engines.do.reported(engines.page(to, notice.page), from, notice.report);
    else if (notice.kind === "owner") engines.do.adopt(engines.page(to, notice.page));
    else {
      this.#thaw(to, from);
      if (this.planted !== "nobody asks again") for (const page of pages) this.#pagers.askAgain(to, page);
    }
  }
}
