// Range locks of one object on a few machines (the compiled kernel/coherence/lock-space.ts and lock-home.ts), and links that keep
// order but may deliver a message twice; machines may die, and the home may move. After every event: no two locks that are held
// conflict, and no two machines' rights; who is told that processes wait in a circle waits in one, and nobody else waits for ever. What a test does with it is a search of every order of events, or a random walk.
import { fingerprintOf } from "./fingerprint.js";
import type { KernelWasm } from "./kernel-wasm.js";
import { Violation, type World } from "./search.js";

export type Mode = "shared" | "exclusive";
export interface Wish {
  readonly machine: number;
  /** First and last byte. */
  readonly ranges: readonly (readonly [number, number, Mode])[];
  /** Not to wait. */
  readonly try?: boolean;
  /** Only to be begun when that wish is over. */
  readonly after?: number;
  /** Only to be begun when that wish has been granted, or refused. */
  readonly behind?: number;
  /** Whose it is, by its process: which lets go of nothing while it waits. Not told: its own. */
  readonly process?: number;
}
export interface LockProgram {
  readonly machines: number;
  /** Nobody overtakes: reads and writes. Else as fcntl. */
  readonly fifo: boolean;
  readonly wishes: readonly Wish[];
  readonly repeats?: number;
  readonly moves?: number;
  /** Threads may give up. */
  readonly cancels?: boolean;
}

type Range = readonly [first: bigint, last: bigint, mode: number, number: number, owner?: bigint];
interface Message {
  readonly kind: number;
  readonly id: number;
  readonly flags: number;
  readonly pieces: readonly Range[];
}
export type LockStep =
  | { do: "want" | "release" | "cancel"; wish: number }
  | { do: "deliver" | "repeat"; from: number; to: number }
  | { do: "die"; machine: number }
  | { do: "move"; home: number };

const [FRESH, WAITING, HOLDS, REFUSED, OVER, LOST] = [0, 1, 2, 3, 4, 5];
/** Of owners that are processes, from there on. */
const PROCESSES = 100;
const NODES = 320;
const NODE_BYTES = 64;

export interface LockState {
  readonly memory: Uint8Array;
  readonly free: number;
  readonly channels: Message[][];
  readonly wishes: number[];
  readonly budget: { repeats: number; moves: number };
  readonly home: number;
  readonly dead: number;
}

/** A seam for planted bugs: what a broken kernel would do instead. */
export type Mangle = (name: string, args: (number | bigint)[]) => (number | bigint)[] | undefined;

export class LockWorld implements World<LockStep, LockState> {
  readonly #kernel: KernelWasm;
  readonly #program: LockProgram;
  readonly #spaces: number[] = [];
  readonly #from: number;
  readonly #bytes: number;
  readonly #scratch: number;
  readonly #mangle: Mangle | undefined;
  state: LockState;
  sent = 0;

  constructor(kernel: KernelWasm, program: LockProgram, mangle?: Mangle) {
    this.#kernel = kernel;
    this.#program = program;
    this.#mangle = mangle;
    const size = (kernel.call("lockSpaceBytes")() + 15) & ~15;
    this.#bytes = size * program.machines + NODES * NODE_BYTES;
    this.#from = kernel.room(this.#bytes);
    this.#scratch = kernel.room(16);
    for (let m = 1; m <= program.machines; m++) {
      const at = this.#from + size * (m - 1);
      this.#spaces.push(at);
      kernel.call("lockSpaceMake")(at, m, 1, program.fifo ? 1 : 0);
    }
    kernel.call("nodesSetFree")(0);
    kernel.call("nodesAdd")(this.#from + size * program.machines, NODES * NODE_BYTES);
    this.state = {
      memory: new Uint8Array(0),
      free: 0,
      channels: Array.from({ length: program.machines ** 2 }, () => []),
      wishes: program.wishes.map(() => FRESH!),
      budget: {
        repeats: program.repeats ?? 0,
        moves: program.moves ?? 0,
      },
      home: 1,
      dead: 0,
    };
  }

  save(): LockState {
    const { channels, wishes, budget, home, dead } = this.state;
    return {
      memory: this.#kernel.bytes.slice(this.#from, this.#from + this.#bytes),
      free: this.#kernel.call("nodesFree")(),
      channels: channels.map((c) => [...c]),
      wishes: [...wishes],
      budget: { ...budget },
      home,
      dead,
    };
  }

  load(state: LockState): void {
    this.#kernel.bytes.set(state.memory, this.#from);
    this.#kernel.call("nodesSetFree")(state.free);
    const { channels, wishes, budget, home, dead } = state;
    this.state = {
      ...state,
      channels: channels.map((c) => [...c]),
      wishes: [...wishes],
      budget: { ...budget },
      home,
      dead,
    };
  }

  fingerprint(to: Uint32Array): void {
    const { channels, wishes, budget, home, dead } = this.state;
    const digests = this.#spaces.map((at) => BigInt(this.#kernel.call("lockDigest")(at)));
    const wire = channels.map((c) =>
      c.map(({ kind, id, flags, pieces }) => `${kind}.${id}.${flags}.${pieces.join("+")}`).join(","),
    );
    const rest = `${wishes.join("")}|${Object.values(budget).join()}|${home}|${dead}`;
    fingerprintOf(`${digests.join()}|${wire.join(";")}|${rest}`, to);
  }

  /** What must happen some day; not what may go wrong, or change. */
  rests(steps: readonly LockStep[]): boolean {
    return steps.every(
      ({ do: what }) => what === "die" || what === "move" || what === "repeat" || what === "cancel",
    );
  }

  steps(kills: number): LockStep[] {
    const { channels, wishes, budget, dead, home } = this.state;
    const { machines, wishes: all, cancels } = this.#program;
    const lives = (m: number) => !(dead & (1 << m));
    const steps: LockStep[] = [];
    for (const [wish, { machine, after, behind }] of all.entries()) {
      if (!lives(machine)) continue;
      const ready =
        (after === undefined || wishes[after]! >= REFUSED!) &&
        (behind === undefined || wishes[behind]! >= HOLDS!);
      if (wishes[wish] === FRESH && ready) steps.push({ do: "want", wish });
      if (wishes[wish] === HOLDS && !this.#waitsElsewhere(wish)) steps.push({ do: "release", wish });
      if (wishes[wish] === WAITING && cancels) steps.push({ do: "cancel", wish });
    }
    for (let from = 1; from <= machines; from++)
      for (let to = 1; to <= machines; to++) {
        if (channels[this.#channel(from, to)]!.length === 0) continue;
        steps.push({ do: "deliver", from, to });
        if (budget.repeats > 0) steps.push({ do: "repeat", from, to });
      }
    for (let m = 1; m <= machines; m++) {
      if (dead === 0 && kills > 0 && lives(m)) steps.push({ do: "die", machine: m });
      if (budget.moves > 0 && lives(m) && m !== home) steps.push({ do: "move", home: m });
    }
    return steps;
  }

  take(step: LockStep): void {
    switch (step.do) {
      case "want":
        this.#want(step.wish);
        break;
      case "release":
        this.#release(step.wish);
        break;
      case "cancel":
        this.#call("lockCancel", this.#spaceOf(step.wish), step.wish + 1);
        this.state.wishes[step.wish] = OVER!;
        break;
      case "deliver":
      case "repeat": {
        const channel = this.state.channels[this.#channel(step.from, step.to)]!;
        const message = step.do === "deliver" ? channel.shift()! : channel[0]!;
        if (step.do === "repeat") this.state.budget.repeats--;
        this.#deliver(step.from, step.to, message);
        break;
      }
      case "die":
        this.#die(step.machine);
        break;
      case "move":
        this.state.budget.moves--;
        this.#move(step.home);
        break;
    }
    this.#settle();
    this.#judge();
  }

  /** Nothing is under way: what was wanted must have been had, or refused. */
  checkEnd(): void {
    for (const [wish, state] of this.state.wishes.entries())
      if (state === WAITING || (state === FRESH && !this.#isDead(this.#program.wishes[wish]!.machine)))
        throw new Violation(`wish ${wish} waits for ever`);
  }

  wishState(wish: number): "fresh" | "waiting" | "holds" | "refused" | "over" | "lost" {
    return (["fresh", "waiting", "holds", "refused", "over", "lost"] as const)[this.state.wishes[wish]!]!;
  }

  #ownerOf = (wish: number) => {
    const { process } = this.#program.wishes[wish]!;
    return process === undefined ? wish + 1 : PROCESSES + process;
  };

  /** Its process is asleep, or has not come that far. */
  #waitsElsewhere(wish: number): boolean {
    const owner = this.#ownerOf(wish);
    return this.#program.wishes.some(
      ({ behind }, other) =>
        this.#ownerOf(other) === owner &&
        (this.state.wishes[other] === WAITING || (this.state.wishes[other] === FRESH && behind === wish)),
    );
  }

  /** The owners whose locks a wish that waits is waiting for. */
  #waitsFor(wish: number): Set<number> {
    const found = new Set<number>();
    for (const [other, { ranges }] of this.#program.wishes.entries()) {
      if (this.state.wishes[other] !== HOLDS || this.#ownerOf(other) === this.#ownerOf(wish)) continue;
      for (const [first, last, mode] of this.#program.wishes[wish]!.ranges)
        for (const [from, to, as] of ranges)
          if (first <= to && last >= from && (mode === "exclusive" || as === "exclusive"))
            found.add(this.#ownerOf(other));
    }
    return found;
  }

  /** The wish would be waited for for ever: its owner, at the end of the way, is waited for by itself. */
  #isCircle(wish: number): boolean {
    const reached = new Set<number>();
    const look = [...this.#waitsFor(wish)];
    for (let owner = look.pop(); owner !== undefined; owner = look.pop()) {
      if (reached.has(owner)) continue;
      reached.add(owner);
      for (const [other, state] of this.state.wishes.entries())
        if (state === WAITING && this.#ownerOf(other) === owner) look.push(...this.#waitsFor(other));
    }
    return reached.has(this.#ownerOf(wish));
  }

  #isDead = (machine: number) => (this.state.dead & (1 << machine)) !== 0;
  #channel = (from: number, to: number) => (from - 1) * this.#program.machines + to - 1;
  #spaceOf = (wish: number) => this.#spaces[this.#program.wishes[wish]!.machine - 1]!;

  #call(name: string, ...args: (number | bigint)[]): number {
    const mangled = this.#mangle === undefined ? args : this.#mangle(name, args);
    return mangled === undefined ? 0 : this.#kernel.call(name)(...mangled);
  }

  #want(wish: number): void {
    const { ranges, try: tries } = this.#program.wishes[wish]!;
    const flags = tries ? this.#kernel.constant("LOCK_TRY") : 0;
    const owner = this.#ownerOf(wish);
    const process = owner >= PROCESSES ? owner : 0;
    const request = this.#kernel.call("lockRequest")(wish + 1, BigInt(owner), process, flags);
    for (const [first, last, mode] of ranges)
      this.#kernel.call("lockPiece")(request, BigInt(first), BigInt(last), mode === "shared" ? 1 : 2);
    this.state.wishes[wish] = WAITING!;
    this.#call("lockWant", this.#spaceOf(wish), request);
  }

  #release(wish: number): void {
    const owner = this.#ownerOf(wish);
    this.#call("lockRelease", this.#spaceOf(wish), BigInt(owner), 0n, 0xffff_ffff_ffff_ffffn);
    for (const [other, state] of this.state.wishes.entries())
      if (state === HOLDS && this.#ownerOf(other) === owner) this.state.wishes[other] = OVER!;
  }

  #deliver(from: number, to: number, { kind, id, flags, pieces }: Message): void {
    if (this.#isDead(from) || this.#isDead(to)) return;
    const space = this.#spaces[to - 1]!;
    this.#kernel.view.setUint32(this.#scratch, 0, true);
    for (const [first, last, mode, number, owner = 0n] of pieces)
      this.#kernel.call("pieceAdd")(this.#scratch, first, last, mode, 0, number, from === to ? owner : 0n);
    const list = this.#kernel.view.getUint32(this.#scratch, true);
    const constant = (name: string) => this.#kernel.constant(name);
    if (kind === constant("SAY_LOCK_WAITS")) this.#kernel.call("circleWaits")(space, list);
    else if ((kind >= 2 && kind <= 4) || kind === constant("SAY_LOCK_FOLLOW"))
      this.#call("lockSaid", space, kind, id, flags, list);
    else this.#call("lockHomeSaid", space, from, kind, id, flags, list);
    this.#kernel.call("listFree")(this.#scratch);
  }

  #die(machine: number): void {
    this.state.wishes.forEach((state, wish) => {
      if (this.#program.wishes[wish]!.machine === machine && state < REFUSED!)
        this.state.wishes[wish] = LOST!;
    });
    (this.state as { dead: number }).dead |= 1 << machine;
    for (const [i, c] of this.state.channels.entries())
      if (
        Math.floor(i / this.#program.machines) === machine - 1 ||
        i % this.#program.machines === machine - 1
      )
        c.length = 0;
    if (this.state.home !== machine) {
      this.#call("lockDied", this.#spaces[this.state.home - 1]!, machine);
      return;
    }
    const heir = this.#spaces.findIndex((_, i) => !this.#isDead(i + 1));
    if (heir >= 0) this.#move(heir + 1);
  }

  /** By the phases of a view, none of which begins before all have ended the one before. */
  #move(home: number): void {
    const alive = this.#spaces
      .map((space, i) => ({ space, machine: i + 1 }))
      .filter(({ machine }) => !this.#isDead(machine));
    for (const { space } of alive) this.#call("lockFreeze", space);
    this.#settle();
    for (const c of this.state.channels) c.length = 0; // each arrives before the hand-in, and is ignored
    const heir = this.#spaces[home - 1]!;
    for (const { space, machine } of alive)
      for (const [first, last, mode] of this.#pieces(this.#kernel.call("lockList")(space, 0)))
        this.#call("lockHandedIn", heir, machine, first, last, mode);
    (this.state as { home: number }).home = home;
    for (const { space } of [...alive].sort((a) => (a.machine === home ? -1 : 0)))
      this.#call("lockThaw", space, home);
  }

  /** Messages go out; messages of a machine to itself arrive at once. */
  #settle(): void {
    let again = true;
    while (again) {
      again = false;
      for (const [i, space] of this.#spaces.entries()) {
        for (;;) {
          const at = this.#kernel.call("lockMessageTake")(space);
          if (at === 0) break;
          again = true;
          const field = (n: number) => this.#kernel.call("lockMessageField")(at, n);
          const message = {
            kind: field(0),
            id: field(2),
            flags: field(3),
            pieces: this.#pieces(field(4)).map(([a, b, mode, number, , owner]): Range => {
              return field(1) === i + 1 ? [a, b, mode, number, owner] : [a, b, mode, number];
            }),
          };
          const to = field(1);
          this.#kernel.call("lockMessageFree")(at);
          if (this.#isDead(i + 1) || this.#isDead(to)) continue;
          if (to === i + 1) this.#deliver(to, to, message);
          else {
            this.sent++;
            this.state.channels[this.#channel(i + 1, to)]!.push(message);
          }
        }
        for (;;) {
          const at = this.#kernel.call("lockDoneTake")(space);
          if (at === 0) break;
          again = true;
          const wish = this.#kernel.call("lockRequestField")(at, 0) - 1;
          const refused = this.#kernel.call("lockRequestField")(at, 2) !== 0;
          const circle = this.#kernel.call("lockRequestField")(at, 3) & this.#kernel.constant("LOCK_CIRCLE");
          // A death behind a search opens the circle that it has been round.
          const right = circle === 0 || this.state.dead !== 0 || this.#isCircle(wish);
          if (!right) throw new Violation(`wish ${wish} waits in no circle`);
          this.#kernel.call("requestFree")(at);
          if (!this.#isDead(i + 1)) this.state.wishes[wish] = refused ? REFUSED! : HOLDS!;
        }
      }
    }
  }

  /** first, last, mode, number, machine, owner of each. */
  #pieces(at: number): [bigint, bigint, number, number, number, bigint][] {
    const found: [bigint, bigint, number, number, number, bigint][] = [];
    const field = (p: number, n: number) => BigInt.asUintN(64, BigInt(this.#kernel.call("pieceField")(p, n)));
    for (let p = at; p !== 0; p = Number(field(p, 0)))
      found.push([
        field(p, 2),
        field(p, 3),
        Number(field(p, 1)),
        Number(field(p, 5)),
        Number(field(p, 4)),
        field(p, 6),
      ]);
    return found;
  }

  /** Bytes that threads may use: by wish. */
  #judge(): void {
    const rights: { who: string; machine: number; first: bigint; last: bigint; mode: number }[] = [];
    for (const [i, space] of this.#spaces.entries()) {
      if (this.#isDead(i + 1)) continue;
      for (const [first, last, mode] of this.#pieces(this.#kernel.call("lockList")(space, 0)))
        rights.push({ who: `machine ${i + 1}`, machine: i + 1, first, last, mode });
    }
    const locks = this.#program.wishes.flatMap(({ machine, ranges }, wish) =>
      this.state.wishes[wish] !== HOLDS
        ? []
        : ranges.map(([first, last, mode]) => ({
            who: `owner ${this.#ownerOf(wish)}`,
            machine,
            first: BigInt(first),
            last: BigInt(last),
            mode: mode === "shared" ? 1 : 2,
          })),
    );
    for (const all of [rights, locks])
      for (const a of all)
        for (const b of all) {
          const same = all === rights ? a.machine === b.machine : a.who === b.who;
          if (same || a.first > b.last || a.last < b.first || (a.mode === 1 && b.mode === 1)) continue;
          throw new Violation(
            `${a.who} and ${b.who} both have byte ${a.first > b.first ? a.first : b.first}`,
          );
        }
    for (const { who, machine, first, last, mode } of locks)
      if (
        !covered(
          rights.filter((r) => r.machine === machine && r.mode >= mode),
          first,
          last,
        )
      )
        throw new Violation(`${who} holds what its machine has no right to`);
  }
}

function covered(rights: { first: bigint; last: bigint }[], first: bigint, last: bigint): boolean {
  let from = first;
  while (from <= last) {
    const found = rights.find((r) => r.first <= from && r.last >= from);
    if (found === undefined) return false;
    from = found.last + 1n;
  }
  return true;
}
