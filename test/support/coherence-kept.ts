// Pages without a record, of the cluster of coherence-state.ts, while the home of their object moves: what becomes of them is what the kernel's own
// kernel/coherence/kept-moves.ts and reports.ts say. With Setup.merges; else every page that was used has a record.
import type { Moves } from "./coherence-moves.js";
import type { Cluster } from "./coherence-state.js";

export class KeptMoves {
  readonly #cluster: Cluster;
  readonly #moves: Moves;

  constructor(cluster: Cluster, moves: Moves) {
    this.#cluster = cluster;
    this.#moves = moves;
  }

  get on(): boolean {
    return this.#cluster.merges;
  }

  /** Pages that have merged here. */
  #merged(number: number): number[] {
    const { pages } = this.#cluster.machine(number);
    return this.#cluster.pages.filter((page) => pages[page]!.kept && !pages[page]!.kept!.former);
  }

  freeze(number: number, stored: boolean): void {
    const { engines } = this.#cluster;
    this.#moves.of(number, 0, (at) => engines.do.keptFreeze(engines.engine(number), at, stored ? 1 : 0));
  }

  /** What has been handed in to it counts no more. */
  dropReports(number: number): void {
    const { engines } = this.#cluster;
    engines.do.reportsClear(engines.reports(number));
  }

  /** The new home tells itself. */
  handIn(home: number): void {
    const { engines } = this.#cluster;
    this.#moves.of(home, 0, (at) => engines.do.keptHandIn(engines.engine(home), at));
  }

  /** By page, what this machine tells its new home, another one. */
  reports(number: number): [page: number, report: number][] {
    const { engines } = this.#cluster;
    const told: [number, number][] = [];
    const merged = this.#merged(number);
    this.#moves.of(number, 0, (at) => {
      for (const page of merged) {
        const report = engines.do.keptReport(engines.engine(number), at, engines.do.objectKeptOf(page));
        if (report !== 0) told.push([page, report]);
      }
    });
    return told;
  }

  /** At the new home, of a page that may have no record. */
  reported(home: number, page: number, from: number, report: number): void {
    const { engines } = this.#cluster;
    const index = BigInt(page);
    this.#moves.of(home, 0, (at) => engines.do.reportsPut(at, index, index, from, report));
  }

  /** Pages without a record of which something came here for which there was no room; nobody else has them. */
  roomless(number: number): number[] {
    const { engines, pages } = this.#cluster;
    const here = this.#cluster.machine(number).pages;
    return pages.filter(
      (page) =>
        !here[page]!.exists && engines.do.reportIsRoomless(engines.reports(number), BigInt(page)) !== 0,
    );
  }

  adopt(number: number, page: number, alone: boolean): void {
    const { engines } = this.#cluster;
    const index = BigInt(page);
    this.#moves.of(number, 0, (at) =>
      engines.do.keptAdopt(engines.engine(number), at, index, index, alone ? 1 : 0),
    );
  }

  /** `stale`: what nobody has is not what the home has of it. */
  rebuild(home: number, doubts: boolean, stale: boolean): void {
    const { engines, pages, c } = this.#cluster;
    const engine = engines.engine(home);
    const here = this.#cluster.machine(home).pages;
    this.#moves.of(home, 0, (at) => engines.do.keptRebuilds(engine, at, doubts ? 1 : 0));
    for (const [page, owner] of pages.map((each) => [each, engines.do.keptWants(each) >> 8] as const))
      if (owner !== 0) this.#cluster.tell(home, owner, { kind: "owner", page, restore: false, alone: true });
    this.#makeRecords(home);
    this.#moves.of(home, 0, (at) => engines.do.keptRebuilts(engine, at, stale ? 1 : 0));
    for (const page of pages) {
      const wants = engines.do.keptWants(page);
      if (wants & c["WANTS_NOTHING"]!) Object.assign(here[page]!, { kept: undefined, frame: 0 });
      if (wants & c["WANTS_EMPTY"]!) here[page]!.frame = 0;
    }
  }

  /** Of pages that the kernel's code wants to have one. */
  #makeRecords(number: number): void {
    const { engines, pages, c } = this.#cluster;
    for (const page of pages)
      if (engines.do.keptWants(page) & c["WANTS_RECORD"]!) this.#cluster.find(number, page);
  }

  /** Elsewhere than at the home: ranges say again what this machine may do. */
  thaw(number: number): void {
    this.#moves.of(number, 0, (at) => this.#cluster.engines.do.keptThaws(at));
    this.#makeRecords(number);
  }

  /** The object is frozen no more. */
  end(number: number): void {
    for (const here of this.#cluster.machine(number).pages)
      if (here.kept?.stands) here.kept = { ...here.kept, stands: 0 };
  }

  /** pageStow(): a record that was made to hand something in goes again, if nobody uses it. */
  stow(number: number, page: number): void {
    const { engines } = this.#cluster;
    const machine = this.#cluster.machine(number);
    const here = machine.pages[page]!;
    if (here.revoking >= 0) return;
    const waits = machine.threads.some(({ state, program, at }) => state !== 0 && program[at]!.page === page);
    let stays = false;
    let may = false;
    this.#moves.of(number, 0, (about) =>
      this.#moves.page(number, page, (at) => {
        engines.do.setWaited(at, waits ? 1 : 0);
        may = engines.do.mayStow(at) !== 0;
        if (!may) return;
        engines.do.reportsGive(about, at);
        stays = engines.do.pageStays(at, here.framed ? 1 : 0) !== 0;
        const serial = engines.do.serial(at) as unknown as bigint;
        here.kept = { serial, flags: engines.do.dirty(at), stands: engines.do.pageStands(at) };
      }),
    );
    if (!may) return;
    here.exists = false;
    if (!stays) here.kept = undefined;
  }
}
