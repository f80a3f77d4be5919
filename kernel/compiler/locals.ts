// Where the locals of a function live. A wasm local is first split into its independent lives (webs: all
// writes that reach a common read belong together); then the hottest webs get registers, so that two webs
// that are never live at once may share one. A use counts eight times as much for every loop around it.
//
// A web keeps its home all its life. Registers that calls change hold only webs that are not live across
// one. A read that is still waiting on the operand stack does not keep its web alive: operands.ts copies it
// before its home is written again.
import { R8, R9, R10, R11, RAX, RCX, RDI, RDX, type Reg, RSI } from "./assembler.js";
import { type BasicBlock, isRead, isWrite, readFlow } from "./flow.js";
import type { Instruction, ValueType, WasmFunction } from "./wasm.js";

/** A register or a slot of the frame. Homes are equal when they are the same object. */
export type Home = { readonly register: Reg } | { readonly slot: number };

export interface LocalPlan {
  /** Home of what the instruction at an index reads or writes; undefined when it is written for nothing. */
  readonly homes: ReadonlyMap<number, Home>;
  readonly parameters: readonly (Home | undefined)[];
  /** Homes that are read before they are written and so begin as zero, with their types. */
  readonly zeroed: readonly { readonly home: Home; readonly type: ValueType }[];
  /** Registers in use that calls preserve. */
  readonly saved: readonly Reg[];
  readonly slots: number;
  /** Registers for intermediate results. */
  readonly scratch: readonly Reg[];
}

/** Registers for intermediate results, in the order in which they are handed out: first those that no
 * instruction uses implicitly and that need no prefix. RAX, RDX and RCX never hold locals. */
const scratchOrder: readonly Reg[] = [RAX, RSI, RDI, RDX, RCX, R8, R9, R10, R11];
/** May hold locals or intermediate results; calls change them. First those that carry no argument. */
const changeable: readonly Reg[] = [R10, R11, R8, R9, RSI, RDI];
/** So many of them must be left for intermediate results. */
const scratchLeft = 1;

/** Registers that one instruction changes, besides what its operands and result are in. */
export interface Clobber {
  readonly at: number;
  readonly registers: readonly Reg[];
}

interface Web {
  readonly type: ValueType;
  readonly ranges: { from: number; to: number }[];
  weight: number;
  /** A home that would save a move. */
  wish: Web | Reg | undefined;
  home: Home | undefined;
}

/** Numbers that can be made one. */
class Union {
  readonly #parent: number[] = [];
  make(): number {
    return this.#parent.push(this.#parent.length) - 1;
  }
  find(n: number): number {
    let root = n;
    while (this.#parent[root] !== root) root = this.#parent[root]!;
    this.#parent[n] = root;
    return root;
  }
  join(a: number, b: number): void {
    this.#parent[this.find(a)] = this.find(b);
  }
}

class Webs {
  readonly #union = new Union();
  readonly #entries = new Map<BasicBlock, Map<number, number>>();
  /** For each instruction that reads or writes a local: its web's number, before joining. */
  readonly #numbers = new Map<number, number>();
  readonly #webs = new Map<number, Web>();

  constructor(
    readonly f: WasmFunction,
    readonly blocks: readonly BasicBlock[],
  ) {
    for (const block of blocks) if (block.reachable) this.#connect(block);
  }

  #entry(block: BasicBlock, local: number): number {
    let numbers = this.#entries.get(block);
    if (numbers === undefined) {
      numbers = new Map();
      this.#entries.set(block, numbers);
    }
    let number = numbers.get(local);
    if (number === undefined) {
      number = this.#union.make();
      numbers.set(local, number);
    }
    return number;
  }

  #connect(block: BasicBlock): void {
    const now = new Map<number, number>();
    for (const local of block.liveIn) now.set(local, this.#entry(block, local));
    for (let at = block.start; at < block.end; at++) {
      const { opcode, index } = this.f.body[at]!;
      if (isWrite(opcode.name)) now.set(index, this.#union.make());
      else if (!isRead(opcode.name)) continue;
      this.#numbers.set(at, now.get(index)!);
    }
    for (const next of block.next)
      for (const local of next.liveIn) this.#union.join(now.get(local)!, this.#entry(next, local));
  }

  #web(number: number, local: number): Web {
    const root = this.#union.find(number);
    let web = this.#webs.get(root);
    if (web === undefined) {
      web = { type: this.f.locals[local]!, ranges: [], weight: 0, wish: undefined, home: undefined };
      this.#webs.set(root, web);
    }
    return web;
  }

  at(index: number): Web | undefined {
    const number = this.#numbers.get(index);
    return number === undefined ? undefined : this.#web(number, this.f.body[index]!.index);
  }

  /** The web that a local has when the function begins, if it is live then. */
  atEntry(local: number): Web | undefined {
    const [entry] = this.blocks;
    return entry!.liveIn.has(local) ? this.#web(this.#entry(entry!, local), local) : undefined;
  }

  /** Fills in where each web is live. */
  measure(): Web[] {
    for (const block of this.blocks) if (block.reachable) this.#measure(block);
    return [...this.#webs.values()];
  }

  #measure(block: BasicBlock): void {
    // Walking backwards, `until` is where the life of each local's present web ends.
    const until = new Map<number, number>();
    for (const local of block.liveOut) until.set(local, block.end);
    for (let at = block.end - 1; at >= block.start; at--) {
      const { opcode, index } = this.f.body[at]!;
      if (isRead(opcode.name)) {
        if (!until.has(index)) until.set(index, at);
      } else if (isWrite(opcode.name)) {
        const to = until.get(index);
        if (to !== undefined) this.at(at)!.ranges.push({ from: at, to });
        until.delete(index);
      }
    }
    // Live on the edge that leads here, so also before the first instruction.
    for (const [local, to] of until)
      this.#web(this.#entry(block, local), local).ranges.push({ from: block.start - 0.5, to });
  }
}

/** Uses of every web, and moves between webs that a common home would save. */
function weigh(f: WasmFunction, webs: Webs, wishes: ReadonlyMap<number, Reg>): void {
  let loops = 0;
  const nest: boolean[] = [];
  f.body.forEach(({ opcode: { name } }, at) => {
    if (name === "block" || name === "loop" || name === "if") {
      nest.push(name === "loop");
      if (name === "loop") loops++;
    } else if (name === "end") {
      if (nest.pop() === true) loops--;
    } else if (isRead(name) || isWrite(name)) {
      const web = webs.at(at);
      if (web === undefined) return;
      web.weight += 8 ** Math.min(loops, 6);
      if (isWrite(name)) web.wish ??= wishOf(f.body[at - 1], webs, at - 1);
      else web.wish ??= changeable.find((reg) => reg === wishes.get(at));
    }
  });
}

function wishOf(previous: Instruction | undefined, webs: Webs, at: number): Web | undefined {
  return previous !== undefined && isRead(previous.opcode.name) ? webs.at(at) : undefined;
}

const overlaps = (a: Web, b: Web) =>
  a.ranges.some((x) => b.ranges.some((y) => x.from < y.to && y.from < x.to));

/** Registers that are changed while the web is live. */
function forbidden(web: Web, clobbers: readonly Clobber[]): Set<Reg> {
  const registers = new Set<Reg>();
  for (const { at, registers: changed } of clobbers)
    if (web.ranges.some(({ from, to }) => from < at && at < to))
      for (const reg of changed) registers.add(reg);
  return registers;
}

/** One home and the webs that share it. */
interface Place {
  readonly home: Home;
  readonly webs: Web[];
}

const fits = (place: Place, web: Web) => !place.webs.some((other) => overlaps(other, web));

class Homes {
  readonly #registers: Place[];
  readonly #slots: Place[] = [];
  readonly saved = new Set<Reg>();
  readonly #taken = new Set<Reg>();

  constructor(readonly preserved: readonly Reg[]) {
    this.#registers = [...changeable, ...preserved].map((register) => ({ home: { register }, webs: [] }));
  }

  get slots(): number {
    return this.#slots.length;
  }

  get scratch(): Reg[] {
    return scratchOrder.filter((reg) => !this.#taken.has(reg));
  }

  settle(web: Web, clobbers: readonly Clobber[]): void {
    const not = forbidden(web, clobbers);
    const wished = this.#wished(web);
    const usable = this.#registers.filter((place) => this.#allowed(place, web, not) && fits(place, web));
    this.#give(web, usable.find(({ home }) => home === wished) ?? usable[0] ?? this.#slot(web));
  }

  #wished({ wish }: Web): Home | undefined {
    if (wish === undefined) return undefined;
    if (typeof wish !== "number") return wish.home;
    return this.#registers.find(({ home }) => "register" in home && home.register === wish)?.home;
  }

  #allowed({ home }: Place, web: Web, not: ReadonlySet<Reg>): boolean {
    const { register } = home as { register: Reg };
    if (not.has(register)) return false;
    if (this.preserved.includes(register)) {
      // It costs a save and a restore, which few uses do not earn back.
      return this.saved.has(register) || web.weight > 2;
    }
    return this.#taken.has(register) || this.#taken.size < changeable.length - scratchLeft;
  }

  #give(web: Web, place: Place): void {
    place.webs.push(web);
    web.home = place.home;
    if (!("register" in place.home)) return;
    const { register } = place.home;
    (this.preserved.includes(register) ? this.saved : this.#taken).add(register);
  }

  #slot(web: Web): Place {
    const known = this.#slots.find((place) => fits(place, web));
    if (known !== undefined) return known;
    const place = { home: { slot: this.#slots.length }, webs: [] };
    this.#slots.push(place);
    return place;
  }
}

const lengthOf = (web: Web) => web.ranges.reduce((sum, { from, to }) => sum + to - from, 0);

/** Decides every local's homes. `preserved` are registers that calls leave alone; `arrival` those that the
 * parameters come in; `wishes` where what an instruction reads had best be. */
export function planLocals(
  f: WasmFunction,
  preserved: readonly Reg[],
  arrival: readonly Reg[],
  clobbers: readonly Clobber[],
  wishes: ReadonlyMap<number, Reg>,
): LocalPlan {
  const webs = new Webs(f, readFlow(f));
  weigh(f, webs, wishes);
  const parameters = f.signature.parameters.map((_, n) => webs.atEntry(n));
  parameters.forEach((web, n) => {
    if (web !== undefined) web.weight++;
    if (web !== undefined && arrival[n] !== undefined) web.wish ??= arrival[n];
  });
  const all = webs.measure().filter(({ ranges }) => ranges.length > 0);
  all.sort((a, b) => b.weight - a.weight || lengthOf(a) - lengthOf(b));
  const homes = new Homes(preserved);
  for (const web of all) homes.settle(web, clobbers);
  const byIndex = new Map<number, Home>();
  f.body.forEach((_, at) => {
    const home = webs.at(at)?.home;
    if (home !== undefined) byIndex.set(at, home);
  });
  const zeroed = [...f.locals.keys()].slice(parameters.length).flatMap((local) => {
    const web = webs.atEntry(local);
    return web?.home === undefined ? [] : [{ home: web.home, type: web.type }];
  });
  return {
    homes: byIndex,
    parameters: parameters.map((web) => web?.home),
    zeroed,
    saved: preserved.filter((reg) => homes.saved.has(reg)),
    slots: homes.slots,
    scratch: homes.scratch,
  };
}
