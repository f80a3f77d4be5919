// What a seeded cluster does, gathered for a report: frames as they are sent and arrive, and after each turn of the schedule
// the states of shared pages. It only looks, so the run is the run without it.
// Rows are bounded; what was cut off is counted and told.

import type { SeededCluster } from "../cluster.js";
import {
  AGAIN,
  type Mark,
  type MessageRow,
  type StateRow,
  type Timeline,
  WITH_DIFFERENCE,
  WITH_PAGE,
} from "./data.js";
import type { Declarations } from "./declarations.js";
import { GuestPages, type Told } from "./guest-pages.js";
import { type Message, Syslink } from "./syslink.js";

export interface Limits {
  readonly messages: number;
  readonly changes: number;
}
/** About 15 MB of JSON. */
export const LIMITS: Limits = { messages: 150_000, changes: 250_000 };

/** A frame may be under way so long, in nanoseconds; what has not arrived by then was lost. */
const FLIGHT_MAX = 100e6;
/** With more records than that a machine is not looked at after every turn. */
const RECORDS_AT_ONCE = 64;

const ALL_PAGES = 2 ** 40;

interface Sent {
  readonly at: number;
  readonly from: number;
  readonly messages: readonly Message[];
  /** By its station address; 0: to all. */
  readonly to: number;
  arrivals: number;
}

interface Known {
  object: number;
  index: number;
  state: number;
  directory: number;
  owner: number;
  seen: number;
}

export class Recorder {
  readonly #cluster: SeededCluster;
  readonly #limits: Limits;
  readonly #syslink: Syslink;
  readonly #pages: GuestPages;
  readonly #states: readonly string[];
  readonly #flying = new Map<Uint8Array, Sent>();
  readonly #messages: MessageRow[] = [];
  readonly #changes: StateRow[] = [];
  readonly #marks: Mark[] = [];
  readonly #names = new Map<string, number>();
  readonly #objects = new Map<bigint, number>();
  readonly #objectNames: string[] = [];
  /** By machine: records by address, ranges by object, and how many turns it is left alone. */
  readonly #known: Map<number, Known>[];
  readonly #ranges: Map<number, string>[];
  readonly #views: (DataView | null)[];
  readonly #rest: number[];
  #stamp = 0;
  #counts = { frames: 0, messages: 0, bytes: 0, changes: 0 };
  #cutMessages = -1;
  #cutChanges = -1;

  constructor(cluster: SeededCluster, d: Declarations, limits: Limits = LIMITS) {
    this.#cluster = cluster;
    this.#limits = limits;
    this.#syslink = new Syslink(d);
    this.#pages = new GuestPages(d);
    const table = "kernel/coherence/table";
    // The states come first in the table's file, by their numbers.
    this.#states = d.first(table, d.number(table, "STATES"));
    this.#known = cluster.nodes.map(() => new Map());
    this.#ranges = cluster.nodes.map(() => new Map());
    this.#views = cluster.nodes.map(() => null);
    this.#rest = cluster.nodes.map(() => 0);
    cluster.network.tap((from, frame, now) => this.#sent(from, frame, now));
    cluster.network.tapArrivals((to, frame, now) => this.#arrived(to, frame, now));
  }

  mark(mark: Mark): void {
    if (this.#marks.length < 5000) this.#marks.push(mark);
  }

  // --- Frames ---

  #sent(from: number, frame: Uint8Array, now: number): void {
    const messages = this.#syslink.decode(frame);
    this.#counts.frames++;
    this.#counts.messages += messages.length;
    for (const { bytes } of messages) this.#counts.bytes += bytes;
    this.#flying.set(frame, { at: now, from, messages, to: stationOf(frame), arrivals: 0 });
    // The oldest stand first.
    for (const [old, sent] of this.#flying) {
      if (sent.at > now - FLIGHT_MAX) break;
      this.#over(old, sent);
    }
  }

  #arrived(to: number, frame: Uint8Array, now: number): void {
    const sent = this.#flying.get(frame);
    if (sent === undefined) return;
    // A flooded frame comes to everybody; who it is not for does not take it.
    if (sent.to !== 0 && sent.to !== to) return;
    this.#rows(sent, to, now, sent.arrivals > 0 && sent.to !== 0);
    sent.arrivals++;
  }

  #over(frame: Uint8Array, sent: Sent): void {
    this.#flying.delete(frame);
    if (sent.arrivals === 0) this.#rows(sent, sent.to, -1, false);
  }

  #rows(sent: Sent, to: number, arrived: number, twice: boolean): void {
    for (const message of sent.messages) {
      if (this.#messages.length >= this.#limits.messages) {
        if (this.#cutMessages < 0) this.#cutMessages = sent.at;
        return;
      }
      const { name, bytes, linkid, page, again, withPage, withDifference } = message;
      const flags =
        (again || twice ? AGAIN : 0) | (withPage ? WITH_PAGE : 0) | (withDifference ? WITH_DIFFERENCE : 0);
      const object = page < 0 && !this.#objects.has(linkid) ? -1 : this.#objectOf(linkid, () => "");
      this.#messages.push([sent.at, arrived, sent.from, to, this.#nameOf(name), bytes, object, page, flags]);
    }
  }

  #nameOf(name: string): number {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    this.#names.set(name, this.#names.size);
    return this.#names.size - 1;
  }

  #objectOf(id: bigint, name: () => string): number {
    const known = this.#objects.get(id);
    if (known !== undefined) {
      if (this.#objectNames[known] === "") this.#objectNames[known] = name();
      return known;
    }
    const index = this.#objectNames.push(name()) - 1;
    this.#objects.set(id, index);
    return index;
  }

  // --- States ---

  /** After a turn of the schedule. */
  look(now: number): void {
    this.#cluster.nodes.forEach(({ machine, outlet }, index) => {
      if (outlet?.powered === false) this.#dark(index, now);
      if (!machine.powered || outlet?.powered === false || this.#rest[index]!-- > 0) return;
      const view = this.#views[index];
      if (view === null || view?.buffer !== machine.ram.buffer)
        this.#views[index] = new DataView(machine.ram.buffer, machine.ram.byteOffset, machine.ram.byteLength);
      this.#machine(index, this.#views[index]!, now);
    });
  }

  /** Without power it has nothing any more. */
  #dark(index: number, now: number): void {
    const [known, ranges] = [this.#known[index]!, this.#ranges[index]!];
    for (const { object, index: page } of known.values()) this.#change(now, index, object, page, -1, -1, 0);
    for (const object of ranges.keys()) this.#change(now, index, object, 0, -1, -1, 0, ALL_PAGES);
    known.clear();
    ranges.clear();
    this.#rest[index] = 0;
  }

  #machine(index: number, ram: DataView, now: number): void {
    const known = this.#known[index]!;
    const stamp = ++this.#stamp;
    const ranges = new Map<number, Told[]>();
    this.#pages.read(
      ram,
      index + 1,
      (id, name) => this.#objectOf(id, name),
      (record, object, page, state, directory, owner) => {
        const before = known.get(record);
        if (before === undefined)
          known.set(record, { object, index: page, state, directory, owner, seen: stamp });
        else {
          before.seen = stamp;
          const same = before.object === object && before.index === page;
          if (same && before.state === state && before.directory === directory && before.owner === owner)
            return;
          if (!same) this.#change(now, index, before.object, before.index, -1, -1, 0);
          Object.assign(before, { object, index: page, state, directory, owner });
        }
        this.#change(now, index, object, page, state, directory, owner);
      },
      (object, told) => {
        const list = ranges.get(object);
        if (list === undefined) ranges.set(object, [told]);
        else list.push(told);
      },
    );
    for (const [record, { object, index: page, seen }] of known) {
      if (seen === stamp) continue;
      known.delete(record);
      this.#change(now, index, object, page, -1, -1, 0);
    }
    for (const [object, told] of ranges) this.#ranged(now, index, object, told);
    this.#rest[index] = Math.floor(known.size / RECORDS_AT_ONCE);
  }

  /** All ranges of an object anew: what a page had before is over. */
  #ranged(now: number, index: number, object: number, told: readonly Told[]): void {
    const key = told.map((t) => `${t.first} ${t.last} ${t.state} ${t.directory} ${t.owner}`).join();
    if (this.#ranges[index]!.get(object) === key) return;
    this.#ranges[index]!.set(object, key);
    this.#change(now, index, object, 0, -1, -1, 0, ALL_PAGES);
    for (const { first, last, state, directory, owner } of told)
      this.#change(now, index, object, first, state, directory, owner, last);
  }

  #change(
    now: number,
    index: number,
    object: number,
    page: number,
    state: number,
    directory: number,
    owner: number,
    last = -1,
  ): void {
    this.#counts.changes++;
    if (this.#changes.length < this.#limits.changes)
      this.#changes.push([now, index + 1, object, page, state, directory, owner, last]);
    else if (this.#cutChanges < 0) this.#cutChanges = now;
  }

  // --- The end ---

  timeline(title: string, command: string): Timeline {
    for (const [frame, sent] of [...this.#flying]) this.#over(frame, sent);
    const cut: string[] = [];
    const say = (what: string, at: number, limit: number) =>
      at < 0 ||
      cut.push(
        `Cut off: only the first ${limit.toLocaleString("en-US")} ${what} are here, up to ${(at / 1e6).toFixed(3)} ms.`,
      );
    say("messages", this.#cutMessages, this.#limits.messages);
    say("changes of state", this.#cutChanges, this.#limits.changes);
    const ids = [...this.#objects.keys()];
    return {
      title,
      command,
      machines: this.#cluster.nodes.map(({ name }) => name),
      end: Math.max(1, this.#cluster.schedule.now),
      objects: this.#objectNames.map((name, i) => (name === "" ? `object ${ids[i]!.toString(16)}` : name)),
      names: [...this.#names.keys()],
      states: this.#states,
      messages: this.#messages.sort((a, b) => a[0] - b[0]),
      changes: this.#changes,
      marks: this.#marks,
      counts: this.#counts,
      cut,
    };
  }
}

/** The machine that a frame is addressed to, by macOf() (arguments.ts); 0: a group, or nobody of ours. */
function stationOf(frame: Uint8Array): number {
  return frame[0] === 0x52 && frame[1] === 0x54 && frame[2] === 0 && frame[3] === 0
    ? frame[4]! * 256 + frame[5]!
    : 0;
}
