// Promise 85 on whole clusters, from outside: what machines have of a page under one serial number (kernel/coherence/serials.ts) is the same
// bytes. Read out of their memory as a debugger would (emulator/timeline/guest-pages.ts has how), between two turns of the schedule: pages with
// records, those without, and mirrors; but for what may be written, or has been and is not numbered yet, and for borrowed chunks, which have no
// number.
import { kernelPath, readImage } from "../../emulator/images.js";
import type { SeededCluster } from "../../emulator/index.js";
import { Declarations, type Field } from "../../emulator/timeline/declarations.js";

const PAGE = 4096;
const UNNUMBERED = 2n ** 32n - 1n;
/** Page tables may say that such a page was written (mayHaveWritten() of engine.ts). */
const WRITTEN = ["EXCLUSIVE", "MODIFIED", "LOWERING", "LEAVING", "OFFERING"];

interface Holder {
  readonly machine: number;
  readonly bytes: Uint8Array;
}

class Machine {
  readonly number: number;
  readonly ram: Uint8Array;
  readonly #view: DataView;

  constructor(number: number, ram: Uint8Array) {
    this.number = number;
    this.ram = ram;
    this.#view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
  }

  /** A record of the kernel's lies there. */
  has(at: number): boolean {
    return at >= PAGE && at + PAGE <= this.ram.length;
  }
  word(at: number): number {
    return this.#view.getUint32(at, true);
  }
  long(record: number, { at }: Field): bigint {
    return this.#view.getBigUint64(record + at, true);
  }
  get(record: number, { at, bytes }: Field): number {
    return bytes === 1 ? this.ram[record + at]! : this.word(record + at);
  }
}

export class NumberedBytes {
  readonly #objects: number;
  readonly #object;
  readonly #page;
  readonly #kept;
  readonly #set;
  readonly #range;
  readonly #rangeBytes: number;
  readonly #written: ReadonlySet<number>;
  /** What was seen the last time: a core may be in the middle of a change then. */
  #suspected: ReadonlySet<string> = new Set();
  /** Of bytes of which another machine has some under the same number. */
  compared = 0;
  wrong = "";

  /** `kernel`: the image that runs there, with the records of the built one. */
  constructor(kernel = readImage("kernel", kernelPath)) {
    const d = new Declarations(kernelPath, kernel);
    this.#objects = Number(BigInt.asUintN(32, d.variable("kernel/coherence/object-list/objects")));
    const own = ["id", "dead", "frozen", "pages", "kept", "ranges", "next"] as const;
    this.#object = d.fields("kernel/coherence/shared-object", "SharedObject", own);
    const bytes = ["index", "serial", "changed", "noted", "frame", "nextInObject"] as const;
    this.#page = d.fields("kernel/coherence/records", "Page", [...bytes, "state", "shelf", "shelfFrame"]);
    this.#kept = d.fields("kernel/coherence/kept", "Kept", [...bytes, "standing", "former"]);
    this.#set = d.fields("kernel/coherence/ranges", "RangeSet", ["at", "count"]);
    this.#range = d.fields("kernel/coherence/ranges", "Range", ["first", "last", "state"]);
    this.#rangeBytes = d.number("kernel/coherence/ranges", "RANGE_BYTES");
    this.#written = new Set(WRITTEN.map((name) => d.number("kernel/coherence/table", name)));
  }

  /** For SeededOptions.onCluster: looks every so many nanoseconds. */
  watch(cluster: SeededCluster, every = 100_000): void {
    let next = 0;
    cluster.onlooker = (now) => {
      if (now < next || this.wrong !== "") return;
      next = now + every;
      this.#look(
        cluster.nodes.map(({ machine }, index) => new Machine(index + 1, machine.ram)),
        now,
      );
    };
  }

  #look(machines: readonly Machine[], now: number): void {
    const holders = new Map<string, Holder>();
    const suspected = new Set<string>();
    const put = (machine: Machine, name: string, serial: bigint, frame: number) => {
      if ((serial & UNNUMBERED) === UNNUMBERED || !machine.has(frame)) return;
      const bytes = machine.ram.subarray(frame, frame + PAGE);
      const key = `page ${name} number ${serial >> 32n}.${serial & 0xffff_ffffn}`;
      const first = holders.get(key);
      if (first === undefined) {
        holders.set(key, { machine: machine.number, bytes });
        return;
      }
      this.compared++;
      if (Buffer.compare(first.bytes, bytes) === 0) return;
      const wrong = `${key}: machines ${first.machine} and ${machine.number} have different bytes`;
      suspected.add(wrong);
      if (this.#suspected.has(wrong)) this.wrong = `${now / 1000} us: ${wrong}`;
    };
    for (const machine of machines) this.#machine(machine, put);
    this.#suspected = suspected;
  }

  #machine(
    machine: Machine,
    put: (machine: Machine, name: string, serial: bigint, frame: number) => void,
  ): void {
    const [o, p, k] = [this.#object, this.#page, this.#kept];
    for (let at = machine.word(this.#objects); machine.has(at); at = machine.get(at, o.next)) {
      if (machine.get(at, o.dead) !== 0) continue;
      const name = (record: number, index: Field) =>
        `${machine.long(at, o.id).toString(16)}:${machine.long(record, index)}`;
      for (let page = machine.get(at, o.pages); machine.has(page); page = machine.get(page, p.nextInObject)) {
        if (machine.get(page, p.shelf) !== 0)
          put(machine, name(page, p.index), machine.long(page, p.shelf), machine.get(page, p.shelfFrame));
        const open = machine.get(page, p.changed) !== 0 || machine.get(page, p.noted) !== 0;
        if (!open && !this.#written.has(machine.get(page, p.state)))
          put(machine, name(page, p.index), machine.long(page, p.serial), machine.get(page, p.frame));
      }
      for (let kept = machine.get(at, o.kept); machine.has(kept); kept = machine.get(kept, k.nextInObject)) {
        const open = machine.get(kept, k.changed) !== 0 || machine.get(kept, k.noted) !== 0;
        if (!open && !this.#written.has(this.#standing(machine, at, kept)))
          put(machine, name(kept, k.index), machine.long(kept, k.serial), machine.get(kept, k.frame));
      }
    }
  }

  /** standingOf() of page-notes.ts; -1: of a former life. */
  #standing(machine: Machine, object: number, kept: number): number {
    if (machine.get(kept, this.#kept.former) !== 0) return -1;
    if (machine.get(object, this.#object.frozen) !== 0) return machine.get(kept, this.#kept.standing);
    const index = machine.long(kept, this.#kept.index);
    const set = machine.get(object, this.#object.ranges);
    const count = machine.has(set) ? machine.get(set, this.#set.count) : 0;
    for (let i = 0, at = machine.get(set, this.#set.at); i < count; i++, at += this.#rangeBytes)
      if (machine.long(at, this.#range.first) <= index && index <= machine.long(at, this.#range.last))
        return machine.get(at, this.#range.state);
    return -1;
  }
}
