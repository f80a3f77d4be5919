// The states of shared pages, read out of a machine's memory as a debugger would: the kernel's variables by the symbols of its
// image, its records by what its build wrote of them (declarations.ts). The guest is not told and not changed.
//
//   objects (kernel/coherence/object-list.ts) -> SharedObject.next
//     SharedObject.pages -> Page.nextInObject          pages with a record
//     SharedObject.ranges -> RangeSet -> Range[]       all others
//
// A core may be in the middle of a change: what is read then is what stands there, and pointers that lead out of memory end a list.

import type { Declarations, Field } from "./declarations.js";

/** What is true of the pages from `first` to `last`. */
export interface Told {
  readonly object: number;
  readonly first: number;
  readonly last: number;
  /** By the numbers of kernel/coherence/table.ts; -1: no directory here. */
  readonly state: number;
  readonly directory: number;
  readonly owner: number;
}

const RECORDS_MAX = 100_000;

export class GuestPages {
  readonly #objects: number;
  readonly #object;
  readonly #page;
  readonly #set;
  readonly #range;
  readonly #rangeBytes: number;

  constructor(d: Declarations) {
    // Linked at DIRECT_MAP, whose low 32 bits are 0: there physical memory lies from 0.
    this.#objects = Number(BigInt.asUintN(32, d.variable("kernel/coherence/object-list/objects")));
    const wanted = ["id", "home", "dead", "name", "nameBytes", "pages", "ranges", "next"] as const;
    this.#object = d.fields("kernel/coherence/shared-object", "SharedObject", wanted);
    this.#page = d.fields("kernel/coherence/records", "Page", [
      "index",
      "state",
      "directory",
      "owner",
      "home",
      "nextInObject",
    ]);
    this.#set = d.fields("kernel/coherence/ranges", "RangeSet", ["at", "count"]);
    this.#range = d.fields("kernel/coherence/ranges", "Range", [
      "first",
      "last",
      "state",
      "directory",
      "owner",
    ]);
    this.#rangeBytes = d.number("kernel/coherence/ranges", "RANGE_BYTES");
  }

  /**
   * Tells of every page and range with a record; `self` is the machine's number. `named` gives an object's index by its id and name.
   */
  read(
    ram: DataView,
    self: number,
    named: (id: bigint, name: () => string) => number,
    page: (
      record: number,
      object: number,
      index: number,
      state: number,
      directory: number,
      owner: number,
    ) => void,
    range: (object: number, told: Told) => void,
  ): void {
    const o = this.#object;
    let left = RECORDS_MAX;
    for (let at = word(ram, this.#objects); inside(ram, at) && left-- > 0; at = get(ram, at, o.next)) {
      if (get(ram, at, o.dead) !== 0) continue;
      const object = named(ram.getBigUint64(at + o.id.at, true), () => this.#name(ram, at));
      const home = get(ram, at, o.home) === self;
      const p = this.#page;
      for (
        let record = get(ram, at, o.pages);
        inside(ram, record) && left-- > 0;
        record = get(ram, record, p.nextInObject)
      )
        page(
          record,
          object,
          get(ram, record, p.index),
          get(ram, record, p.state),
          home ? get(ram, record, p.directory) : -1,
          get(ram, record, p.owner),
        );
      const set = get(ram, at, o.ranges);
      if (inside(ram, set)) this.#ranges(ram, set, object, home, range);
    }
  }

  #ranges(
    ram: DataView,
    set: number,
    object: number,
    home: boolean,
    tell: (object: number, told: Told) => void,
  ): void {
    const count = get(ram, set, this.#set.count);
    const first = get(ram, set, this.#set.at);
    const r = this.#range;
    for (let i = 0; i < Math.min(count, RECORDS_MAX); i++) {
      const at = first + i * this.#rangeBytes;
      if (!inside(ram, at)) return;
      tell(object, {
        object,
        first: get(ram, at, r.first),
        last: get(ram, at, r.last),
        state: get(ram, at, r.state),
        directory: home ? get(ram, at, r.directory) : -1,
        owner: get(ram, at, r.owner),
      });
    }
  }

  /** As a program would call it; "": it has no name, or it is being written. */
  #name(ram: DataView, object: number): string {
    const at = get(ram, object, this.#object.name);
    const bytes = get(ram, object, this.#object.nameBytes);
    if (!inside(ram, at) || bytes === 0 || bytes > 255) return "";
    if (bytes === NUMBERED_BYTES && ram.getUint8(at) === 0) {
      const number = ram.getBigUint64(at + 6, true);
      if (number === 0n) return "";
      const named = (number & 0x7fn) === 0n ? "/" : "/tmp";
      return ram.getUint8(at + 5) === NUMBERED_NAMES ? `names in ${named}` : `file ${number.toString(16)}`;
    }
    const name = Buffer.from(ram.buffer, ram.byteOffset + at, bytes).toString("latin1");
    return name.includes("\0") ? "" : `/shm/${name}`;
  }
}

/** Names of objects that the kernel numbers itself: kernel/coherence/homes.ts and kernel/fs/names.ts. */
const NUMBERED_BYTES = 14;
const NUMBERED_NAMES = 1;

/** Records do not lie in the first page. */
const inside = (ram: DataView, at: number): boolean => at >= 4096 && at + 1024 <= ram.byteLength;
const word = (ram: DataView, at: number): number => ram.getUint32(at, true);

function get(ram: DataView, record: number, { at, bytes }: Field): number {
  switch (bytes) {
    case 1:
      return ram.getUint8(record + at);
    case 2:
      return ram.getUint16(record + at, true);
    case 4:
      return ram.getUint32(record + at, true);
    default:
      // Page numbers have 40 bits.
      return ram.getUint32(record + at, true) + ram.getUint32(record + at + 4, true) * 2 ** 32;
  }
}
