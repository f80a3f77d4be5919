// A cluster for the membership in Node: the kernel's own code of every machine, the bridge's witness, a wire that loses,
// delays and is cut in any direction, machines that die and come back, a bridge that starts again. Links are played:
// up while both ends hear each other, lost for good after LOSS of silence. It sees all machines, so it can say after
// every step whether two sides go on.
import { MEMBERS, TELL, Witness } from "../../netbridge/witness.js";
import type { KernelWasm } from "./kernel-wasm.js";
import { chance } from "./search.js";

/** Milliseconds, as cluster.ts has them for linkloss=1500. */
export const LOSS = 1000;
export const GRACE = 500;
export const LEASE = 450;
const MS = 1_000_000n;
const ETHERNET = 14;

interface Peer {
  /** The life at the other end while the link is up; those that it was lost with. */
  life: bigint;
  dead: Set<bigint>;
  heard: number;
  confirmed: number;
}

interface Machine {
  at: number;
  life: bigint;
  alive: boolean;
  /** Does nothing, and comes back as if nothing had been. */
  pausedUntil: number;
  peers: Peer[];
  installed: string;
  /** Whom it leaves out counts as dead from then on. */
  deadAt: number;
  wasMember: boolean;
  /** It begins anew as soon as no view can be under way that takes it in. */
  forsaken: boolean;
}

export class Split extends Error {}

export class Members {
  now = 1;
  /** Views that were installed; by cluster and number. */
  readonly views = new Set<string>();
  readonly #decided = new Map<string, string>();
  readonly machines: Machine[] = [];
  witness: Witness;
  /** heard[a][b]: a hears b. Machine 0 is the bridge's witness. */
  readonly hears: boolean[][];
  loss = 0;
  /** A bug that the judge is to find (takeover-bugs.test.ts). */
  planted = "";
  changes = 0;
  readonly #kernel: KernelWasm;
  readonly #next: (limit: number) => number;
  readonly #frame: number;
  #flying: { at: number; from: number; body: Uint8Array }[] = [];
  #lives = 1000n;
  readonly #do;

  constructor(
    kernel: KernelWasm,
    readonly count: number,
    seed: number,
    readonly rooms: number[],
  ) {
    this.#kernel = kernel;
    this.#next = chance(seed);
    this.#frame = rooms[0]!;
    this.witness = new Witness(++this.#lives);
    this.hears = Array.from({ length: count + 1 }, () => Array<boolean>(count + 1).fill(true));
    this.#do = Object.fromEntries(
      [
        "Create",
        "Input",
        "Link",
        "Hears",
        "Out",
        "OutBytes",
        "Tick",
        "Field",
        "Majority",
        "Condemned",
        "Expected",
        "Reborn",
        "Shunned",
        "Heard",
        "SilentSince",
      ].map((name) => [name, kernel.call(`membership${name}`)]),
    ) as Record<string, (...args: (number | bigint)[]) => number>;
    for (let m = 1; m <= count; m++) {
      this.machines.push({
        at: rooms[m]!,
        life: 0n,
        alive: false,
        pausedUntil: 0,
        peers: [],
        installed: "",
        deadAt: 0,
        wasMember: false,
        forsaken: false,
      });
      this.boot(m);
    }
  }

  /** How many lives there have been. */
  get lives(): number {
    return Number(this.#lives);
  }

  machine(m: number): Machine {
    return this.machines[m - 1]!;
  }

  boot(m: number): void {
    const machine = this.machine(m);
    machine.life = ++this.#lives;
    machine.alive = true;
    machine.pausedUntil = 0;
    this.#do["Create"]!(machine.at, m, this.count, machine.life);
    this.#fresh(machine);
    machine.installed = "";
  }

  #fresh(machine: Machine): void {
    machine.wasMember = false;
    machine.forsaken = false;
    machine.peers = Array.from({ length: this.count }, () => ({
      life: 0n,
      dead: new Set<bigint>(),
      heard: this.now,
      confirmed: 0,
    }));
    this.#heard(machine, () => this.now);
  }

  #heard(machine: Machine, when: (peer: Peer) => number): void {
    if (this.planted === "voters heard nothing of whom they leave out") return;
    machine.peers.forEach((peer, index) => {
      this.#do["Heard"]!(machine.at, index + 1, BigInt(when(peer)) * MS);
    });
  }

  mayForm(m: number): void {
    this.#kernel.call("membershipMayForm")(this.machine(m).at);
  }

  field(m: number, field: number): bigint {
    return BigInt.asUintN(64, BigInt(this.#do["Field"]!(this.machine(m).at, field)));
  }

  view(m: number): string {
    const members = this.field(m, 2);
    const lives: string[] = [];
    for (let k = 1; k <= this.count; k++)
      if (members & (1n << BigInt(k - 1))) lives.push(`${k}:${this.field(m, 64 + k)}`);
    return `${this.field(m, 0)}/${this.field(m, 1)} ${lives.join(" ")} witness ${this.field(m, 3)}`;
  }

  isMember(m: number): boolean {
    return this.#kernel.call("isMember")(this.machine(m).at) !== 0;
  }

  /** It may use what it shares: more than half of its view has heard it lately. */
  active(m: number): boolean {
    const machine = this.machine(m);
    if (!machine.alive || machine.pausedUntil > this.now || !this.isMember(m)) return false;
    if (this.planted === "leases are not kept") return true;
    if (this.#do["Condemned"]!(machine.at)) return false;
    const members = this.field(m, 2);
    let near = 1;
    machine.peers.forEach((peer, index) => {
      // A new life of a member vouches for nothing: it does not know what the former one has voted for.
      const known =
        this.field(m, 65 + index) === peer.life || this.planted === "a new life vouches for the old one";
      const mine = (members & (1n << BigInt(index))) !== 0n && known && peer.life !== 0n;
      if (index + 1 !== m && mine && this.now < peer.confirmed + LEASE) near++;
    });
    return near >= this.#do["Majority"]!(machine.at);
  }

  restartBridge(): void {
    this.witness = new Witness(
      this.planted === "a bridge that forgot has its old life" ? this.witness.life : ++this.#lives,
    );
    // What none who lives knows, and the bridge has forgotten, may be decided another time.
    for (const [number, view] of this.#decided)
      if (!this.machines.some((machine) => machine.alive && machine.installed === view))
        this.#decided.delete(number);
  }

  /** One millisecond. */
  step(): void {
    this.now++;
    this.#links();
    const landed = this.#flying.filter(({ at }) => at <= this.now);
    this.#flying = this.#flying.filter(({ at }) => at > this.now);
    for (const { from, body } of landed) this.#land(from, body);
    for (let m = 1; m <= this.count; m++) {
      const machine = this.machine(m);
      if (!machine.alive || machine.pausedUntil > this.now) continue;
      this.#heard(machine, ({ heard }) => heard);
      this.#do["Tick"]!(machine.at, BigInt(this.now) * MS);
      if (machine.forsaken && !this.isMember(m) && !this.#do["Expected"]!(machine.at)) this.#reborn(m);
      this.#pump(m);
      this.#look(m);
    }
    this.#judge();
  }

  run(milliseconds: number): void {
    for (let end = this.now + milliseconds; this.now < end; ) this.step();
  }

  #runs(m: number): boolean {
    const machine = this.machine(m);
    return machine.alive && machine.pausedUntil <= this.now;
  }

  /** What link.ts would have found out by now. */
  #links(): void {
    for (let a = 1; a <= this.count; a++) {
      if (!this.#runs(a)) continue;
      for (let b = 1; b <= this.count; b++) {
        if (a === b) continue;
        const mine = this.machine(a).peers[b - 1]!;
        const other = this.machine(b);
        const theirs = other.peers[a - 1]!;
        const life = this.machine(a).life;
        const speaks = this.#runs(b) && this.hears[a]![b]! && !theirs.dead.has(life);
        const hearsUs = this.#runs(b) && this.hears[b]![a]!;
        if (mine.life !== 0n) {
          if (speaks && other.life === mine.life) {
            mine.heard = this.now;
            if (hearsUs && theirs.life === life) mine.confirmed = this.now;
          }
          const refused = this.#runs(b) && this.hears[a]![b]! && theirs.dead.has(life);
          const reborn = speaks && hearsUs && other.life !== mine.life;
          if (refused || reborn || this.now >= mine.heard + LOSS) this.lose(a, b, reborn);
        } else if (speaks && hearsUs && !mine.dead.has(other.life)) {
          mine.life = other.life;
          mine.heard = this.now;
          mine.confirmed = this.now;
          this.#do["Link"]!(this.machine(a).at, b, other.life);
        }
      }
    }
    for (let a = 1; a <= this.count; a++)
      for (let b = 1; b <= this.count; b++) {
        if (a === b || !this.#runs(a) || this.machine(a).peers[b - 1]!.life === 0n) continue;
        let up = 0n;
        this.machine(b).peers.forEach((peer, index) => {
          if (peer.life !== 0n) up |= 1n << BigInt(index);
        });
        if (this.hears[a]![b] && this.#runs(b)) this.#do["Hears"]!(this.machine(a).at, b, up);
      }
  }

  /** `succeeded`: to another life of that machine. */
  lose(a: number, b: number, succeeded = false): void {
    const peer = this.machine(a).peers[b - 1]!;
    if (peer.life === 0n) return;
    peer.dead.add(peer.life);
    peer.life = 0n;
    this.#do["Link"]!(this.machine(a).at, b, 0n);
    // Two lives that have lost each other never speak again: who belongs to nothing begins another, unless the other one has.
    if (!succeeded && !this.isMember(a)) this.machine(a).forsaken = true;
  }

  #reborn(m: number): void {
    const machine = this.machine(m);
    machine.life = ++this.#lives;
    this.#do["Reborn"]!(machine.at, machine.life);
    this.#fresh(machine);
  }

  #pump(m: number): void {
    for (;;) {
      const at = this.#do["Out"]!(this.machine(m).at);
      if (at === 0) return;
      this.#throw(m, this.#kernel.bytes.slice(at, at + this.#do["OutBytes"]!(at)));
    }
  }

  #throw(from: number, body: Uint8Array): void {
    if (this.#next(1000) < this.loss) return;
    const copies = this.loss > 0 && this.#next(1000) < this.loss ? 2 : 1;
    for (let i = 0; i < copies; i++) this.#flying.push({ at: this.now + 1 + this.#next(6), from, body });
  }

  #land(from: number, body: Uint8Array): void {
    if (from !== 0 && this.hears[0]![from]) {
      const frame = new Uint8Array(ETHERNET + body.length);
      frame.set([0x03, 0x42, 0x4c, 0x4b, 0, 1, 0x52, 0x54, 0, 0, 0, from, 0x88, 0xb5]);
      frame.set(body, ETHERNET);
      if (this.planted === "the witness votes for everyone") this.witness = new Witness(this.witness.life);
      const answer = this.witness.receive(frame);
      if (this.planted === "the bridge tells no view" && answer?.[ETHERNET + 4] === TELL)
        answer.fill(0, ETHERNET + MEMBERS);
      if (answer !== null) this.#throw(0, answer.slice(ETHERNET));
    }
    for (let m = 1; m <= this.count; m++) {
      if (m === from || !this.#runs(m) || !this.hears[m]![from]) continue;
      this.#heard(this.machine(m), ({ heard }) => heard);
      this.#kernel.bytes.set(body, this.#frame);
      this.#do["Input"]!(this.machine(m).at, this.#frame, body.length, BigInt(this.now) * MS);
      this.#pump(m);
      this.#look(m);
    }
  }

  /** As cluster.ts after each piece of work: what the membership wants done to links, and what it has installed. */
  #look(m: number): void {
    const machine = this.machine(m);
    const shunned = BigInt.asUintN(64, BigInt(this.#do["Shunned"]!(machine.at)));
    for (let k = 1; k <= this.count; k++) if (shunned & (1n << BigInt(k - 1))) this.lose(m, k);
    const view = this.view(m);
    if (this.field(m, 1) === 0n || view === machine.installed) return;
    const number = view.split(" ")[0]!;
    const known = this.#decided.get(number) ?? view;
    if (known !== view) throw new Split(`machine ${m} has the view ${view}, there was another ${known}`);
    this.#decided.set(number, view);
    if (!this.views.has(view)) this.changes++;
    this.views.add(view);
    machine.installed = view;
    machine.deadAt = Number(BigInt(this.#do["SilentSince"]!(machine.at)) / MS) + GRACE;
    const member = this.isMember(m);
    for (let k = 1; k <= this.count; k++)
      if (k !== m && machine.peers[k - 1]!.life !== 0n && member && machine.wasMember && this.#leftOut(m, k))
        this.lose(m, k);
    if (!member && machine.wasMember) this.#reborn(m);
    if (member) machine.wasMember = true;
    if (member) machine.forsaken = false;
  }

  /** Cut when it was a member in this life and is none any more. */
  #leftOut(m: number, k: number): boolean {
    const life = this.machine(m).peers[k - 1]!.life;
    const was = [...this.views].some((view) => view.includes(` ${k}:${life} `));
    return was && !this.view(m).includes(` ${k}:${life} `);
  }

  #judge(): void {
    let cluster = -1n;
    for (let x = 1; x <= this.count; x++) {
      if (!this.active(x)) continue;
      const mine = this.field(x, 0);
      if (cluster >= 0n && cluster !== mine)
        throw new Split(`two clusters go on at ${this.now}: ${cluster} and ${mine}`);
      cluster = mine;
      for (let y = 1; y <= this.count; y++) {
        const other = this.machine(y);
        if (x === y || !other.alive || !this.isMember(y) || this.now < other.deadAt) continue;
        if (this.field(y, 1) > this.field(x, 1) && !this.view(y).includes(` ${x}:${this.machine(x).life} `))
          throw new Split(
            `at ${this.now} machine ${x} goes on in ${this.view(x)}, and machine ${y} without it in ${this.view(y)}`,
          );
      }
    }
  }

  /** All who live are in one view and may go on. */
  whole(): boolean {
    const living = this.machines.map((machine, i) => (machine.alive ? i + 1 : 0)).filter((m) => m > 0);
    return living.every((m) => this.active(m) && this.view(m) === this.view(living[0]!));
  }

  /** For messages: each machine's view. */
  state(): string {
    return this.machines
      .map(
        (machine, i) =>
          `${i + 1}${machine.alive ? "" : " (dead)"}${this.active(i + 1) ? "*" : ""}: ${this.view(i + 1)}`,
      )
      .join("\n");
  }
}

/** Islands of machines; 0 is the bridge's witness. */
export function cut(members: Members, ...islands: number[][]): void {
  for (const row of members.hears) row.fill(false);
  for (const island of islands) for (const a of island) for (const b of island) members.hears[a]![b] = true;
}
export function heal(members: Members): void {
  for (const row of members.hears) row.fill(true);
}

/** Everything that can go wrong, at random; then it stops, and the cluster must become whole. */
export function trial(members: Members, seed: number): Members {
  const next = chance(seed);
  const { count } = members;
  members.loss = next(3) === 0 ? next(300) : 0;
  members.run(next(400));
  for (let m = 1; m <= count; m++) members.mayForm(m);
  for (let round = 3 + next(4); round > 0; round--) {
    const what = next(8);
    const all = Array.from({ length: count + 1 }, (_, i) => i);
    if (what === 0) {
      const one = all.filter(() => next(2) === 0);
      cut(
        members,
        one,
        all.filter((i) => !one.includes(i)),
      );
    } else if (what === 1) {
      // A ring: each hears its neighbours and the bridge.
      for (const a of all)
        for (const b of all) members.hears[a]![b] = a === 0 || b === 0 || Math.abs(a - b) % (count - 1) <= 1;
    } else if (what === 2) members.hears[next(count + 1)]![next(count + 1)] = false;
    else if (what === 3) members.machine(1 + next(count)).alive = false;
    else if (what === 4) {
      const m = 1 + next(count);
      if (!members.machine(m).alive) members.boot(m);
    } else if (what === 5) members.machine(1 + next(count)).pausedUntil = members.now + next(3000);
    else if (what === 6 && next(3) === 0) members.restartBridge();
    else heal(members);
    members.run(next(2500));
  }
  return members;
}

/** And then nothing: all must become one. How many views there were; throws what went wrong, with the seed. */
export function trialAndPeace(kernel: KernelWasm, count: number, seed: number, rooms: number[]): number {
  try {
    const members = trial(new Members(kernel, count, seed * 7 + count, rooms), seed * 7 + count);
    heal(members);
    members.loss = 0;
    for (let m = 1; m <= count; m++) {
      if (!members.machine(m).alive) members.boot(m);
      members.machine(m).pausedUntil = 0;
    }
    members.run(9000);
    if (!members.whole()) throw new Error(`they are not one:\n${members.state()}`);
    return members.changes;
  } catch (error) {
    throw new Error(`seed ${seed}, ${count} machines: ${error instanceof Error ? error.message : error}`);
  }
}
