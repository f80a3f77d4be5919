// A small cluster as the page protocol sees it, and everything that decides how it goes on: the engines' memory, page tables
// and threads of every machine, the messages on the wires, the newest value of every page. What happens is coherence.ts's.
import { Engines, type Kept, LAST } from "./coherence-engines.js";
import { type Loan, Loans } from "./coherence-loans.js";
import { Losses, type LossState, type Word } from "./coherence-losses.js";
import { copyMirrors, type MirrorState, mirrorState, mirrorWords } from "./coherence-mirror-state.js";
import { Notes } from "./coherence-notes.js";
import { type Notice, put64, putNotice } from "./coherence-notices.js";
import { Tellings, type TellingsSaved } from "./coherence-tellings.js";
import {
  copyMembership,
  FLUSHED,
  FROZEN,
  HANDED_IN,
  type Membership,
  membershipWords,
  type ObjectHere,
  REBUILT,
  unseen,
  type View,
} from "./coherence-view-state.js";
import { Words } from "./fingerprint.js";
import type { KernelWasm } from "./kernel-wasm.js";

/**
 * What the threads of a machine are to do, in order: r = read, w = read, add and write back; x = the same as one
 * locked operation, which another machine may do for it when nothing of the page is here; o = shows a user how far it is (mirrored). A
 * digit behind the letter is the page.
 */
export type Program = string;

export interface Instruction {
  what: string;
  page: number;
}

export function instructions(program: Program): Instruction[] {
  return [...program.matchAll(/([rwxo])(\d?)/g)].map(([, what, page]) => ({
    what: what!,
    page: Number(page),
  }));
}

export interface Setup {
  machines: number;
  /** Home of all pages, or of each. */
  home: number | number[];
  /** One unless told. */
  pages?: number;
  /** Pages are granted by ranges; the home takes all of them back so many times. */
  ranges?: boolean;
  recalls?: number;
  /** Records merge and are thrown away when they may; the home fetches pages that it does not need so many times. */
  merges?: boolean;
  fetches?: number;
  /** Ranges are given up by their holders, claimed by others and recalled in parts, so many times in all (coherence-recalls.ts). */
  gives?: number;
  /** Ranges are too many for a machine's budget of records, so many times in all (coherence-shedding.ts). */
  sheds?: number;
  /** Frames run short: with `gives`, so many pages in all are offered to their homes (coherence-merge.ts). */
  offers?: number;
  /** Who has a page to himself lends it, so often in all (coherence-loans.ts). */
  lends?: number;
  /** Pages are granted one by one, since records are few. */
  narrow?: boolean;
  /** Machines that have no frames left for what others hand in as they leave. */
  roomless?: readonly number[];
  /** Readers guess who owns a page, and ask him as well. */
  guesses?: boolean;
  /** Threads unmap what they have, and so many pages that they have written are noted one by one (coherence-notes.ts); not told: they do not. */
  notes?: number;
  /** Views, and homes that move. */
  takeover?: boolean;
  /** What is written is mirrored on so many machines before it is seen; with `takeover`, without ranges. */
  mirrored?: number;
  /** Machines that have no room for mirrors, as long as enough others have. */
  crowded?: readonly number[];
  /** Per machine, per thread. */
  programs: Program[][];
}

const NO_MESSAGE = new Uint32Array(0);
const UNNUMBERED = 2n ** 32n - 1n;
const isNumbered = (serial: bigint) => (serial & UNNUMBERED) !== UNNUMBERED;

export interface Wire {
  /** A PageMessage. */
  words: Uint32Array;
  page: number;
  value: number;
  notice?: Notice;
  /** What is lent with an answer. */
  loan?: Loan;
  /** It tells of a loss. */
  word?: Word;
}

export interface Thread {
  readonly program: Instruction[];
  at: number;
  /** 0 ready, 1 waits for the page, 2 has it and has not retired its instruction, 3 has sent its operation away, 4 is to show something. */
  state: number;
  /** By machine, messages that have to arrive there before it does. */
  commit?: number[] | undefined;
  /** What its machine had seen of every page when it came to what it shows. */
  shows?: readonly number[] | undefined;
  /** Its operation was declined: this instruction wants the page itself. */
  declined: boolean;
  /** Per page, what its core may still do through its page tables and TLB: 0 nothing, 1 read, 2 write. Each thread has a space of its own. */
  right: number[];
  /** Per page, its page tables' dirty bit. */
  wrote: boolean[];
}

export const isDone = ({ at, program }: Thread): boolean => at === program.length;

export interface PageHere {
  /** It has a record. */
  exists: boolean;
  /** It has a frame, which is zeros where nothing else was written. */
  framed: boolean;
  /** Its bytes are not those that its number names. */
  dirty: boolean;
  /** Written here by page tables that it has left (Page.noted). */
  noted?: boolean;
  /** A revocation in progress: -1 none, 0 everything, 1 the right to write. */
  revoking: number;
  frame: number;
  /** Its bytes are those of a former life, which it has not been told are the page's. */
  former?: boolean | undefined;
  kept?: Kept | undefined;
  /** Its file has been made anew without this machine: what it has of it nobody can use. */
  ofFormerFile?: boolean;
  /** It was lost, and nobody waited for it here: who is to have it next is told. By this word, which ends with this machine. */
  unheard?: Word | undefined;
  /** At a new home: it was given away by who leaves, and there was no room for it. */
  roomless?: boolean;
  /** At a new home: a machine that leaves was asked for it. */
  fetching?: boolean;
  /** The transaction of the operation that is under way, and how often it has been done. */
  operation: number;
  done: number;
}

export interface Machine {
  threads: Thread[];
  pages: PageHere[];
  alive: boolean;
  /** Its lease has run out: until it knows better its cores have no page, and what it is granted it does not use. */
  stopped: boolean;
  /** Bit per machine that it knows to be dead: it hears nothing of it and tells it nothing. */
  noticed: number;
  /** It has died once and come back. */
  returned: boolean;
  /** Mirrored, about to leave: all that is left of its program is that it shows its end. */
  exited?: boolean;
  /** A thread was told that the page is gone. */
  failures: number;
  /** With `takeover`: what it knows of views, and of objects. */
  membership: Membership;
  objects: ObjectHere[];
  /** Pages that were unmapped dirty, as many as can be noted; there were more. */
  notes: number[];
  notesLost: boolean;
}

/** Of the cluster. */
const counters = [
  "deaths",
  "faults",
  "recalls",
  "fetches",
  "leavings",
  "gives",
  "sheds",
  "offers",
  "lent",
  "givenBack",
] as const;

export interface Saved {
  region: Uint8Array;
  machines: Machine[];
  wires: Wire[][];
  latest: number[];
  forgivable: number[];
  views: View[];
  mirrors: MirrorState | undefined;
  counts: readonly number[];
  parts: Uint8Array;
  losses: LossState;
  tellings: TellingsSaved;
}

const copy = (machine: Machine): Machine => ({
  ...machine,
  threads: machine.threads.map((thread) => ({
    ...thread,
    right: thread.right.slice(),
    wrote: thread.wrote.slice(),
  })),
  pages: machine.pages.map((page) => ({ ...page })),
  membership: copyMembership(machine.membership),
  objects: machine.objects.map((object) => ({ ...object })),
  notes: machine.notes.slice(),
});

export class Cluster {
  readonly setup: Setup;
  readonly engines: Engines;
  /** Constants of the kernel. */
  readonly c: Record<string, number>;
  readonly pages: number[];
  readonly ranges: boolean;
  /** Records merge: when a home moves, pages without a record get none for that. */
  readonly merges: boolean;
  /** Per page, the newest value that was written. */
  latest: number[];
  /** Values that went with a dead machine may be forgotten once each; this many may be. */
  forgivable: number[];
  /** Machines whose memory is gone; what went wrong in all, lost leases as well. */
  deaths = 0;
  faults = 0;
  recalls = 0;
  /** Pages that the home has fetched without need. */
  fetches = 0;
  readonly losses: Losses;
  readonly tellings: Tellings;
  readonly notes = new Notes(this);
  readonly loans: Loans;
  messages = 0;
  dataMessages = 0;
  /** Machines that died come back. */
  rejoins = false;
  /** Machines may lose their lease. */
  pauses = false;
  /** So many machines may leave in good order, and so many have begun to (coherence-leaves.ts). */
  leaves = 0;
  leavings = 0;
  /** So often ranges were given up or claimed, or were too many. */
  gives = 0;
  sheds = 0;
  /** So many pages were offered to their homes since frames run short. */
  offers = 0;
  /** So often something was lent; and given back, or recalled, without need. */
  lent = 0;
  givenBack = 0;
  /** A bug that the judge is to find, of coherence-views.ts, coherence-homes.ts or coherence-mirror.ts; none: "". */
  planted = "";
  /** The judge looks at serial numbers too: half as much work again. */
  numbered = false;
  /** Those that were left out and come back have their bytes still, under their numbers (R7). */
  remains = false;
  /** Views and the home's move (coherence-views.ts); else machines notice deaths one by one, and a home's pages end with it. */
  readonly takeover: boolean;
  readonly numbers: number[];
  readonly objects: number[];
  /** Those that membership.ts agreed on. */
  views: View[];
  mirror: MirrorState | undefined;
  readonly #homes: number[];
  readonly #words = new Words();
  #machines: Machine[] = [];
  #wires: Wire[][] = [];

  constructor(kernel: KernelWasm, setup: Setup) {
    this.setup = setup;
    const { machines, home, pages = 1, ranges = false, narrow = false, guesses = false } = setup;
    this.#homes = typeof home === "number" ? Array.from({ length: pages }, () => home) : home;
    if (this.#homes.length !== pages) throw new Error(`${pages} pages, but ${this.#homes.length} homes`);
    this.ranges = ranges;
    this.merges = ranges && setup.merges === true;
    const mirrored = (setup.mirrored ?? 0) > 0;
    if (mirrored && (ranges || !setup.takeover)) throw new Error("mirrored: with takeover, without ranges");
    this.engines = new Engines(kernel, { machines, pages, ranges, narrow, mirrored, guesses });
    this.c = this.engines.c;
    this.loans = new Loans(this, kernel);
    this.pages = Array.from({ length: pages }, (_, page) => page);
    this.takeover = setup.takeover ?? false;
    this.numbers = Array.from({ length: machines }, (_, index) => index + 1);
    this.objects = ranges ? [0] : this.pages;
    this.views = [{ members: this.numbers.reduce((bits, m) => bits | (1 << m), 0), second: 0, leaving: 0 }];
    this.mirror = mirrored ? mirrorState(machines, pages) : undefined;
    this.losses = new Losses(this, pages);
    this.tellings = new Tellings(this, machines, pages);
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
          wrote: this.latest.map(() => false),
        })),
        pages: [],
        alive: true,
        noticed: 0,
        returned: false,
        failures: 0,
        stopped: false,
        membership: unseen(machines),
        objects: [],
        notes: [],
        notesLost: false,
      });
      this.create(m, 0);
    }
    for (let i = 0; i < machines * machines; i++) this.#wires.push([]);
  }

  /** A machine's memory at the beginning of a life. */
  create(number: number, life: number): void {
    this.engines.createMachine(number, life);
    this.loans.create(number);
    const object = {
      known: life === 0 || !this.takeover,
      moving: 0,
      complete: 0,
      lost: false,
      renumbered: 0,
      lossy: 0,
      holders: 0,
      handedTo: 0,
      gaveTo: 0,
      frozen: 0,
    };
    this.machine(number).objects = this.objects.map((each) => ({ ...object, home: this.preferred(each) }));
    const fresh = { exists: false, framed: false, dirty: false, revoking: -1, operation: 0, done: 0 };
    // What is granted by a range is zeros, as the home has them.
    this.machine(number).pages = this.pages.map((page) => ({
      ...fresh,
      frame: this.ranges || this.takeover || number === this.home(page) ? 0 : -1,
    }));
    if (!this.ranges && (life === 0 || !this.takeover))
      for (const page of this.pages) this.find(number, page);
  }

  machine(number: number): Machine {
    return this.#machines[number - 1]!;
  }
  living(): number[] {
    return this.numbers.filter((machine) => this.machine(machine).alive);
  }
  /** Those that live, and are not left out. */
  members(): number[] {
    const { members } = this.views.at(-1)!;
    return this.living().filter((machine) => members & (1 << machine));
  }
  /** Of the view of that number. */
  membersBy(view: number): number[] {
    const { members } = this.views[view]!;
    return this.numbers.filter((machine) => members & (1 << machine));
  }
  /** Its threads run. */
  runs(machine: number): boolean {
    const { alive, stopped } = this.machine(machine);
    return alive && !stopped;
  }
  hears(machine: number, from: number): boolean {
    if (!this.takeover) return !this.knowsDead(machine, from);
    return (this.machine(machine).membership.deaf & (1 << from)) === 0;
  }
  knowsDead(machine: number, dead: number): boolean {
    return (this.machine(machine).noticed & (1 << dead)) !== 0;
  }
  /** At the beginning. */
  home(page: number): number {
    return this.#homes[page]!;
  }
  preferred(object: number): number {
    return this.#homes[object]!;
  }
  /** Of those that stay, by the view of that number. */
  homeBy(view: number, object: number): number {
    const { leaving } = this.views[view]!;
    const members = this.membersBy(view);
    const stay = members.filter((machine) => (leaving & (1 << machine)) === 0);
    const homes = stay.length > 0 ? stay : members;
    const preferred = this.preferred(object);
    return homes.includes(preferred) ? preferred : homes[0]!;
  }
  objectOf(page: number): number {
    return this.ranges ? 0 : page;
  }
  /** Where the machine believes the page's home to be. */
  homeFor(machine: number, page: number): number {
    return this.machine(machine).objects[this.objectOf(page)]!.home;
  }
  /** A machine's memory is gone, or counts no more. */
  loses(number: number): void {
    this.tellings.goes(number);
    this.machine(number).pages.forEach(({ unheard }, page) => {
      if (this.isBroken(number, page)) this.losses.tell(unheard);
    });
    this.deaths++;
    this.forgivable = this.forgivable.map((count) => count + 1);
  }
  /** As homeFound() of homes.ts: the machine hears of an object by a mirror. */
  found(number: number, object: number, home: number): void {
    const { membership, objects } = this.machine(number);
    const here = objects[object]!;
    if (here.known) return;
    const { phase, view, marks, member } = membership;
    Object.assign(here, { known: true, home, moving: member ? 0 : FROZEN });
    if (phase === FLUSHED || view < 0) return;
    here.home = this.homeBy(view, object);
    const rebuilt =
      here.home === number
        ? phase === REBUILT
        : marks[REBUILT * this.setup.machines + here.home - 1]! >= view;
    here.moving = rebuilt ? 0 : Math.min(phase, HANDED_IN);
    if (this.merges) here.frozen = here.moving === 0 ? 0 : 1;
  }
  homeLives(page: number): boolean {
    return this.takeover || this.machine(this.home(page)).alive;
  }
  /** Threads that were told that a page is gone; on those that live, or `ever`. */
  failures(ever = false): number {
    return this.#machines.reduce((sum, { alive, failures }) => sum + (alive || ever ? failures : 0), 0);
  }
  wire(from: number, to: number): Wire[] {
    return this.#wires[(from - 1) * this.setup.machines + to - 1]!;
  }
  /** What one has said and the other has not heard. */
  underWay(from: number, to: number): readonly Wire[] {
    return this.wire(from, to);
  }
  /** What is on its way comes to nobody. */
  cut(from: number, to: number): void {
    for (const { word } of this.wire(from, to)) this.losses.tell(word);
    this.wire(from, to).length = 0;
  }
  tell(from: number, to: number, notice: Notice, value = -2): void {
    this.put(from, to, { words: NO_MESSAGE, page: 0, value, notice });
  }
  put(from: number, to: number, message: Wire): void {
    this.wire(from, to).push(message);
    if (this.mirror) this.mirror.sent[from - 1]![to - 1]!++;
  }

  /** The page's record, made if there is none. */
  find(machine: number, page: number): number {
    const here = this.machine(machine).pages[page]!;
    const at = this.engines.page(machine, page);
    if (here.exists) return at;
    const object = this.machine(machine).objects[this.objectOf(page)]!;
    const framed = this.engines.makePage(machine, page, object, here);
    if (here.kept?.former) {
      Object.assign(here, { framed, former: framed });
      if (!framed) here.frame = 0;
    }
    here.exists = true;
    here.kept = undefined;
    if (object.frozen !== 0) here.roomless = this.engines.do.pageIsRoomless(at) !== 0;
    if (!this.ranges && object.home === machine && object.lost) this.engines.do.setLost(at);
    return at;
  }
  /** The bytes of a machine that was left out, by their numbers: those that are to be known in its next life. */
  remainsOf(number: number): Map<number, { serial: bigint; frame: number }> {
    this.unmerge(number);
    const remains = new Map<number, { serial: bigint; frame: number }>();
    for (const page of this.pages) {
      const here = this.machine(number).pages[page]!;
      if (!here.exists || !here.framed || here.ofFormerFile || this.loans.has(number, page)) continue;
      const at = this.engines.page(number, page);
      const written = this.notes.takeAway(number, page) ? 1 : 0;
      const serial = BigInt.asUintN(64, BigInt(this.engines.do.forsaken(at, written)));
      if (serial !== 0n && isNumbered(serial)) remains.set(page, { serial, frame: here.frame });
    }
    return remains;
  }
  /** Pages that have merged stand for themselves again; what a former life had is no record. */
  unmerge(machine: number): void {
    for (const page of this.pages) {
      const { kept } = this.machine(machine).pages[page]!;
      if (kept && !kept.former) this.find(machine, page);
    }
  }
  /** Of its page something is lost, and nobody was told: who is to have it next is. */
  isBroken(machine: number, page: number): boolean {
    const { exists } = this.machine(machine).pages[page]!;
    return exists && this.engines.do.isBroken(this.engines.page(machine, page)) !== 0;
  }
  breaks(machine: number, page: number): void {
    this.engines.do.breaks(this.engines.page(machine, page), 1);
  }
  state(machine: number, page = 0): number {
    return this.engines.do.state(this.find(machine, page));
  }
  directory(page = 0): number {
    return this.engines.do.directory(this.find(this.homeFor(this.living()[0]!, page), page));
  }

  // --- Ranges, as grants.ts ---

  /** Of the machine, with what it knows of its pages. */
  object(number: number): number {
    const { objects, pages } = this.machine(number);
    return this.engines.object(number, objects[0]!, pages);
  }

  /** At the home: bit per machine whose answer to a recall it awaits. */
  recalling(number: number): number {
    return this.ranges ? Number(this.engines.do.recalling(this.engines.set(number))) : 0;
  }

  rangesMachineDied(number: number, dead: number): void {
    if (!this.ranges) return;
    const home = this.homeFor(number, 0);
    const set = this.engines.set(number);
    // Of an object that moves coherence-homes.ts knows what stays.
    if (dead === home && !this.takeover) {
      this.unmerge(number);
      this.engines.do.putState(set, 0n, LAST, this.c["INVALID"]!);
    }
    if (number !== home) return;
    this.engines.do.holderDied(this.engines.engine(number), this.object(number), dead);
    const { objects, pages } = this.machine(number);
    if (this.engines.do.objectRenumbered() !== 0) for (const object of objects) object.renumbered = 1;
    pages.forEach((here, page) => {
      const { exists, kept } = here;
      if (exists || !kept) return;
      here.kept = { ...kept, serial: this.engines.do.objectKeptSerial(page) as unknown as bigint };
    });
  }

  /** What a machine gives away finds no room. */
  losesPage(page: number): void {
    this.tellings.suffers(page);
    this.deaths++;
    this.forgivable[page]!++;
  }

  rangesFrozen(number: number): void {
    if (!this.ranges) return;
    this.engines.do.rangesForsaken(this.object(number));
    this.rangesMoved(number);
  }

  rangesMoved(number: number): void {
    if (this.ranges) this.engines.do.rangesMoved(this.object(number));
  }

  // --- Saving, for the exhaustive search ---

  save(): Saved {
    return {
      region: this.engines.save(),
      parts: this.loans.save(),
      machines: this.#machines.map(copy),
      wires: this.#wires.map((wire) => wire.slice()),
      latest: this.latest.slice(),
      forgivable: this.forgivable.slice(),
      views: this.views.slice(),
      mirrors: this.mirror && copyMirrors(this.mirror),
      counts: counters.map((name) => this[name]),
      losses: this.losses.save(),
      tellings: this.tellings.save(),
    };
  }

  load(saved: Saved): void {
    this.engines.load(saved.region);
    this.loans.load(saved.parts);
    this.#machines = saved.machines.map(copy);
    this.#wires = saved.wires.map((wire) => wire.slice());
    this.latest = saved.latest.slice();
    this.forgivable = saved.forgivable.slice();
    this.views = saved.views.slice();
    this.mirror = saved.mirrors && copyMirrors(saved.mirrors);
    counters.forEach((name, index) => {
      this[name] = saved.counts[index]!;
    });
    this.losses.load(saved.losses);
    this.tellings.load(saved.tellings);
  }

  /** Of everything that decides how the cluster goes on: equal for states that cannot be told apart. */
  fingerprint(to: Uint32Array): void {
    const words = this.#words;
    words.clear();
    for (const page of this.pages) {
      words.put(this.latest[page]!);
      words.put(this.forgivable[page]!);
    }
    words.put(this.deaths | (this.faults << 8));
    for (const { members, second, leaving } of this.takeover ? this.views : []) {
      words.put(members | (second << 16));
      words.put(leaving);
    }
    words.put(this.recalls | (this.fetches << 8) | (this.gives << 16) | (this.sheds << 24));
    if (this.setup.offers !== undefined) words.put(this.offers);
    if (this.loans.on) words.put(this.lent | (this.givenBack << 8));
    this.#machines.forEach((machine, index) => {
      const here = this.pages.filter((page) => machine.pages[page]!.exists);
      this.engines.digest(words, index + 1, here);
      if (this.leaves > 0)
        for (const page of here) words.put(this.engines.do.isSole(this.engines.page(index + 1, page)));
      this.#putMachine(words, machine, index + 1);
      this.loans.words((word) => words.put(word), index + 1);
    });
    for (const wire of this.#wires) {
      words.put(wire.length);
      for (const { words: message, value, page, notice, loan } of wire) {
        if (loan !== undefined) for (const byte of [loan.id, ...loan.data.subarray(0, 12)]) words.put(byte);
        words.put(value);
        words.put(page);
        const bytes = this.c[this.mirror ? "PAGE_MESSAGE_BYTES" : "PAGE_MESSAGE_SERIALS"]!;
        words.copy(message, 0, Math.min(message.length, bytes >> 2));
        if (notice !== undefined) putNotice(words, notice, this.mirror !== undefined);
      }
    }
    if (this.mirror) mirrorWords((word) => words.put(word), this.mirror);
    words.fingerprint(to);
  }

  #putMachine(words: Words, machine: Machine, number: number): void {
    for (const [page, here] of machine.pages.entries()) {
      const { exists, framed, dirty, revoking, frame, operation, done, kept, former } = here;
      words.put(
        (exists ? 1 : 0) |
          (dirty ? 2 : 0) |
          ((revoking + 1) << 2) |
          (done << 4) |
          (framed && this.takeover ? 256 : 0),
      );
      words.put(frame);
      words.put(operation);
      words.put(kept?.flags ?? -1);
      if (kept?.stands) words.put(kept.stands);
      if (kept?.former) put64(words, kept.serial);
      if (former || here.ofFormerFile) words.put(former ? 1 : 2);
      if (this.isBroken(number, page)) words.put(3);
      if (here.roomless) words.put(4);
      if (here.fetching) words.put(5);
    }
    const { alive, stopped, returned, exited, noticed } = machine;
    words.put(
      (alive ? 1 : 0) |
        (returned ? 2 : 0) |
        (stopped ? 4 : 0) |
        (exited ? 8 : 0) |
        (noticed << 4) |
        (this.recalling(number) << 20),
    );
    if (this.setup.notes !== undefined) {
      for (const { noted } of machine.pages) words.put(noted ? 1 : 0);
      words.put((machine.notes.length << 1) | (machine.notesLost ? 1 : 0));
      for (const page of machine.notes) words.put(page);
    }
    if (this.takeover) membershipWords((word) => words.put(word), machine);
    if (this.mirror || this.setup.guesses) words.put(machine.membership.frozenFor);
    for (const { at, state, declined, right, wrote, commit, shows } of machine.threads) {
      words.put((at << 8) | (state << 1) | (declined ? 1 : 0));
      for (const each of right) words.put(each);
      if (this.setup.notes !== undefined) for (const each of wrote) words.put(each ? 1 : 0);
      if (this.mirror) for (const each of [...(commit ?? [-1]), ...(shows ?? [-1])]) words.put(each);
    }
  }
}
