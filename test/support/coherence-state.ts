// A small cluster as the page protocol sees it, and everything that decides how it goes on: the engines' memory, page tables
// and threads of every machine, the messages on the wires, the newest value of every page. What happens is coherence.ts's.
import { createHash } from "node:crypto";
import { Engines } from "./coherence-engines.js";
import { type Marks, type MoveNotice, unmoved } from "./coherence-move.js";
import type { KernelWasm } from "./kernel-wasm.js";

/**
 * What the threads of a machine are to do, in order: r = read, w = read, add and write back; x = the same as one
 * locked operation, which another machine may do for it when nothing of the page is here. A digit behind the letter is the page.
 */
export type Program = string;

export interface Instruction {
  what: string;
  page: number;
}

function instructions(program: Program): Instruction[] {
  return [...program.matchAll(/([rwx])(\d?)/g)].map(([, what, page]) => ({
    what: what!,
    page: Number(page),
  }));
}

export interface Setup {
  machines: number;
  /** Home of all pages. */
  home: number;
  /** One unless told. */
  pages?: number;
  /** Pages are granted by ranges; the home takes all of them back so many times. */
  ranges?: boolean;
  recalls?: number;
  /** Records merge and are thrown away when they may; the home fetches pages that it does not need so many times. */
  merges?: boolean;
  fetches?: number;
  /** Pages are granted one by one, since records are few. */
  narrow?: boolean;
  /** Per machine, per thread. */
  programs: Program[][];
}

/** What is not about one page: a recall, its answer with the pages that the sender has touched, the home's move. */
export type Notice = { kind: "recall" } | { kind: "touched"; pages: number[] } | MoveNotice;

export interface Wire {
  bytes: Uint8Array;
  page: number;
  value: number;
  notice?: Notice;
}

export interface Thread {
  readonly program: Instruction[];
  at: number;
  /** 0 ready, 1 waits for the page, 2 has it and has not retired its instruction, 3 has sent its operation away. */
  state: number;
  /** Its operation was declined: this instruction wants the page itself. */
  declined: boolean;
  /** Per page, what its core may still do through its page tables and TLB: 0 nothing, 1 read, 2 write. Each thread has a space of its own. */
  right: number[];
}

export interface PageHere {
  /** It has a record. */
  exists: boolean;
  dirty: boolean;
  /** A revocation in progress: -1 none, 0 everything, 1 the right to write. */
  revoking: number;
  frame: number;
  /** What is left of a record that has merged. */
  kept?: { serial: bigint; flags: number } | undefined;
  /** The transaction of the operation that is under way, and how often it has been done. */
  operation: number;
  done: number;
}

export interface Machine {
  threads: Thread[];
  pages: PageHere[];
  alive: boolean;
  /** Bit per machine that it knows to be dead: it hears nothing of it and tells it nothing. */
  noticed: number;
  /** It has died once and come back. */
  returned: boolean;
  /** A thread was told that the page is gone. */
  failures: number;
  /** How far it is in the home's move. */
  marks: Marks;
}

export interface Saved {
  region: Uint8Array;
  machines: Machine[];
  wires: Wire[][];
  latest: number[];
  forgivable: number[];
  counts: [deaths: number, recalls: number, recalling: number, fetches: number];
}

const copy = (machine: Machine): Machine => ({
  ...machine,
  threads: machine.threads.map((thread) => ({ ...thread, right: thread.right.slice() })),
  pages: machine.pages.map((page) => ({ ...page })),
  marks: { ...machine.marks },
});

export class Cluster {
  readonly setup: Setup;
  readonly engines: Engines;
  /** Constants of the kernel. */
  readonly c: Record<string, number>;
  readonly pages: number[];
  readonly ranges: boolean;
  /** Per page, the newest value that was written. */
  latest: number[];
  /** Values that went with a dead machine may be forgotten once each; this many may be. */
  forgivable: number[];
  deaths = 0;
  recalls = 0;
  /** Bit per machine whose answer to a recall the home awaits. */
  recalling = 0;
  /** Pages that the home has fetched without need. */
  fetches = 0;
  messages = 0;
  dataMessages = 0;
  /** Machines that died come back. */
  rejoins = false;
  /** The home's role moves when it dies; else its pages end with it. */
  takeover = false;
  #machines: Machine[] = [];
  #wires: Wire[][] = [];

  constructor(kernel: KernelWasm, setup: Setup) {
    this.setup = setup;
    const { machines, home, pages = 1, ranges = false, narrow = false } = setup;
    this.ranges = ranges;
    this.engines = new Engines(kernel, { machines, home, pages, ranges, narrow });
    this.c = this.engines.c;
    this.pages = Array.from({ length: pages }, (_, page) => page);
    this.latest = this.pages.map(() => 0);
    this.forgivable = this.latest.slice();
    for (let m = 1; m <= machines; m++) {
      this.#machines.push({
        threads: setup.programs[m - 1]!.map((program) => ({
          program: instructions(program),
          at: 0,
          state: 0,
          declined: false,
          right: this.latest.map(() => 0),
        })),
        pages: [],
        alive: true,
        noticed: 0,
        returned: false,
        failures: 0,
        marks: unmoved(),
      });
      this.create(m, 0);
    }
    for (let i = 0; i < machines * machines; i++) this.#wires.push([]);
  }

  /** A machine's memory at the beginning of a life. */
  create(number: number, life: number): void {
    this.engines.createMachine(number, life);
    // What is granted by a range is zeros, as the home has them.
    const frame = this.ranges || number === this.setup.home ? 0 : -1;
    const fresh = { exists: false, dirty: false, revoking: -1, frame, operation: 0, done: 0 };
    this.machine(number).pages = this.pages.map(() => ({ ...fresh }));
    if (!this.ranges) for (const page of this.pages) this.find(number, page);
  }

  machine(number: number): Machine {
    return this.#machines[number - 1]!;
  }
  living(): number[] {
    return this.#machines.flatMap(({ alive }, index) => (alive ? [index + 1] : []));
  }
  knowsDead(machine: number, dead: number): boolean {
    return (this.machine(machine).noticed & (1 << dead)) !== 0;
  }
  homeLives(): boolean {
    return this.takeover || this.machine(this.setup.home).alive;
  }
  failures(): number {
    return this.#machines.reduce((sum, machine) => sum + (machine.alive ? machine.failures : 0), 0);
  }
  wire(from: number, to: number): Wire[] {
    return this.#wires[(from - 1) * this.setup.machines + to - 1]!;
  }
  tell(from: number, to: number, notice: Notice): void {
    this.wire(from, to).push({ bytes: new Uint8Array(), page: 0, value: -2, notice });
  }

  /** The page's record, made if there is none. */
  find(machine: number, page: number): number {
    const here = this.machine(machine).pages[page]!;
    if (!here.exists) this.engines.createPage(machine, page);
    here.exists = true;
    const at = this.engines.page(machine, page);
    if (here.kept) this.engines.do.restore(at, here.kept.serial, here.kept.flags & 1, here.kept.flags >> 1);
    here.kept = undefined;
    return at;
  }
  /** Pages that have merged stand for themselves again. */
  unmerge(machine: number): void {
    for (const page of this.pages) if (this.machine(machine).pages[page]!.kept) this.find(machine, page);
  }
  state(machine: number, page = 0): number {
    return this.engines.do.state(this.find(machine, page));
  }
  directory(page = 0): number {
    return this.engines.do.directory(this.find(this.setup.home, page));
  }

  // --- Saving, for the exhaustive search ---

  save(): Saved {
    return {
      region: this.engines.save(),
      machines: this.#machines.map(copy),
      wires: this.#wires.map((wire) => wire.slice()),
      latest: this.latest.slice(),
      forgivable: this.forgivable.slice(),
      counts: [this.deaths, this.recalls, this.recalling, this.fetches],
    };
  }

  load(saved: Saved): void {
    this.engines.load(saved.region);
    this.#machines = saved.machines.map(copy);
    this.#wires = saved.wires.map((wire) => wire.slice());
    this.latest = saved.latest.slice();
    this.forgivable = saved.forgivable.slice();
    [this.deaths, this.recalls, this.recalling, this.fetches] = saved.counts;
  }

  /** Equal for states that cannot be told apart. */
  key(): string {
    const hash = createHash("md5");
    const env: number[] = [...this.latest, ...this.forgivable, this.deaths, this.recalls, this.recalling];
    if (this.setup.merges) env.push(this.fetches);
    this.#machines.forEach((machine, index) => {
      const here = this.pages.filter((page) => machine.pages[page]!.exists);
      this.engines.digest(hash, index + 1, here);
      for (const { exists, dirty, revoking, frame, operation, done, kept } of machine.pages)
        env.push(kept?.flags ?? -1, exists ? 1 : 0, dirty ? 1 : 0, revoking, frame, operation, done);
      const { moving, frozen, handedIn } = machine.marks;
      env.push(machine.alive ? 1 : 0, machine.noticed, machine.returned ? 1 : 0, moving, frozen, handedIn);
      for (const thread of machine.threads)
        env.push(thread.at, thread.state, ...thread.right, thread.declined ? 1 : 0);
    });
    for (const wire of this.#wires) {
      env.push(wire.length);
      for (const { bytes, value, page, notice } of wire) {
        hash.update(bytes.subarray(0, this.c["PAGE_MESSAGE_SERIALS"]));
        if (notice !== undefined) hash.update(JSON.stringify(notice));
        env.push(value, page);
      }
    }
    hash.update(new Uint8Array(Int32Array.from(env).buffer));
    return hash.digest("hex");
  }
}
