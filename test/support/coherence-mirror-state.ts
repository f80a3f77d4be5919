// What mirrored mode adds to the state of the cluster of coherence-state.ts: mirrors where they are, messages that have to arrive, and
// who has seen what. Each machine's past is a newest value for each page, and so is the past of each value.
import type { Cluster } from "./coherence-state.js";
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

/** A mirror of a cut that is not whole. */
interface Coming {
  readonly page: number;
  readonly from: number;
  readonly serial: bigint;
  readonly value: number;
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
  /** Faults until all was mirrored anew; and how many there may be from then on. */
  before: number;
  may: number;
  /** Per machine and page: the value of the newest mirror there, -1 for none; whether it has had bytes of its own. */
  shelves: number[][];
  had: boolean[][];
  /** Per machine. */
  comings: Coming[][];
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
    may: 0,
    shelves: table(machines, pages, () => -1),
    had: table(machines, pages, () => false),
    comings: table(machines, 0, (): Coming => ({ page: 0, from: 0, serial: 0n, value: 0 })),
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
    may: state.may,
    shelves: rows(state.shelves),
    had: rows(state.had),
    comings: rows(state.comings),
    pasts: rows(state.pasts),
    values: rows(state.values), // the past of a value does not change
  };
}

export function mirrorWords(put: (word: number) => void, state: MirrorState): void {
  const { sent, arrived, healed, heals, healing, before, may, shelves, had, comings, pasts, values } = state;
  for (const table of [sent, arrived, healing, shelves, pasts])
    for (const row of table) for (const word of row) put(word);
  for (const view of [...healed, ...heals, before, may]) put(view);
  for (const row of had) for (const has of row) put(has ? 1 : 0);
  for (const row of comings) {
    put(row.length);
    for (const { page, from, serial, value } of row) {
      put((value << 8) | (page << 4) | from);
      put(Number(serial & 0xffff_ffffn));
      put(Number(serial >> 32n));
    }
  }
  for (const row of values) {
    put(row.length);
    for (const past of row) for (const value of past ?? []) put(value);
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
    for (const m of [...this.#cluster.members(), mirror.pasts.length])
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
