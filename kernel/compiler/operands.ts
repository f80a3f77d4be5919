// The wasm operand stack at compile time: where each value is. Constants and reads of locals cost nothing
// until they are used; results live in scratch registers and are spilled to the frame when those run out;
// a comparison may be left in the flags for the branch that follows.
//
// Invariant: a 32-bit value in a register has zeros above it, so it can be used as an address as it stands.
// While a comparison waits in the flags, nothing here changes them: only MOV, SETcc and MOVZX are emitted.
import {
  type Assembler,
  type Condition,
  fits32,
  type Memory,
  type Operand,
  type Reg,
  RSP,
  r,
} from "./assembler.js";
import type { Home, LocalPlan } from "./locals.js";
import type { ValueType } from "./wasm.js";

/** "memory": a load that the next instruction does itself. "decided": a condition of which the false, or the true,
 * outcome has jumped away already (circuits.ts); only the branch that it was made for takes it. */
export type Place = "constant" | "local" | "register" | "slot" | "flags" | "memory" | "decided";

export interface Value {
  readonly type: ValueType;
  place: Place;
  /** Register or slot number. */
  index: number;
  /** Where the local is that a lazy read refers to. */
  readonly home: Home | undefined;
  /** What "memory" refers to, and the address that it is made of. */
  readonly operand: Memory | undefined;
  readonly address: Value | undefined;
  readonly constant: bigint;
  condition: Condition;
  /** Where a comparison is wanted when it is put into a register. */
  readonly wish: Reg | undefined;
}

export interface Move {
  readonly to: Reg;
  from: Reg;
  readonly size: 32 | 64;
}

/** Moves between registers as if all at once. */
export function moveAll(a: Assembler, moves: readonly Move[]): void {
  const pending = moves.filter(({ to, from }) => to !== from).map((move) => ({ ...move }));
  while (pending.length > 0) {
    const ready = pending.findIndex(({ to }) => !pending.some(({ from }) => from === to));
    if (ready >= 0) {
      const [move] = pending.splice(ready, 1);
      a.op("Mov", move!.size, r(move!.to), r(move!.from));
      continue;
    }
    // Only cycles are left: every target is a source.
    const { to: one, from: other } = pending.shift()!;
    a.op("Xchg", 64, r(one), r(other));
    for (const move of pending) {
      if (move.from === one) move.from = other;
      else if (move.from === other) move.from = one;
    }
    for (let n = pending.length - 1; n >= 0; n--)
      if (pending[n]!.from === pending[n]!.to) pending.splice(n, 1);
  }
}

export const sizeOf = (type: ValueType): 32 | 64 => (type === "i32" ? 32 : 64);

export class Operands {
  readonly stack: Value[] = [];
  readonly #busy = new Array<boolean>(16).fill(true);
  readonly #isScratch = new Array<boolean>(16).fill(false);
  readonly #freeSlots: number[] = [];
  #slots: number;
  /** Words on the stack below the frame: arguments of a call that is being made. */
  passed = 0;
  /** A comparison is in the flags, so only moves may be emitted. */
  #flagsLive = false;

  constructor(
    readonly a: Assembler,
    readonly plan: LocalPlan,
  ) {
    this.#slots = plan.slots;
    for (const reg of plan.scratch) {
      this.#isScratch[reg] = true;
      this.#busy[reg] = false;
    }
  }

  /** Slots that the frame must have. */
  get slots(): number {
    return this.#slots;
  }

  slotMemory(slot: number): Memory {
    return { base: RSP, displacement: 8 * (slot + this.passed) };
  }

  // --- Pushing and popping ---

  #push(type: ValueType, place: Place, rest: Partial<Value>): void {
    const none = { home: undefined, operand: undefined, address: undefined, wish: undefined };
    this.stack.push({ type, place, index: 0, constant: 0n, condition: "e", ...none, ...rest });
  }

  pushConstant(type: ValueType, value: bigint): void {
    this.#push(type, "constant", { constant: BigInt.asIntN(sizeOf(type), value) });
  }

  /** A read of a local that is done when the value is used. */
  pushLocal(type: ValueType, home: Home): void {
    this.#push(type, "local", { home });
  }

  /** A result in a scratch register, or in the home of the local that the next instruction sets. */
  pushRegister(type: ValueType, reg: Reg): void {
    this.#busy[reg] = true;
    this.#push(type, "register", { index: reg });
  }

  pushFlags(condition: Condition, wish?: Reg): void {
    this.#flagsLive = true;
    this.#push("i32", "flags", { condition, wish });
  }

  /** The branch that used the flags has been emitted. */
  flagsUsed(): void {
    this.#flagsLive = false;
  }

  /** A load left to the next instruction; the address, if it is a value's, stays taken until the value is freed. */
  pushMemory(type: ValueType, operand: Memory, address?: Value): void {
    this.#push(type, "memory", { operand, address });
  }

  pushDecided(): void {
    this.#push("i32", "decided", {});
  }

  pop(): Value {
    const value = this.stack.pop();
    if (value === undefined) throw new Error("operand stack: empty");
    return value;
  }

  get top(): Value | undefined {
    return this.stack.at(-1);
  }

  /** Gives back what a popped value held. */
  free(value: Value): void {
    if (value.place === "register" && this.#isScratch[value.index]) this.#busy[value.index] = false;
    if (value.place === "slot") this.#freeSlots.push(value.index);
    if (value.place === "flags") this.#flagsLive = false;
    if (value.place === "memory" && value.address !== undefined) this.free(value.address);
  }

  freeRegister(reg: Reg): void {
    this.#busy[reg] = !this.#isScratch[reg];
  }

  truncate(height: number): void {
    while (this.stack.length > height) this.free(this.pop());
  }

  // --- Registers ---

  /** A scratch register that holds nothing. */
  isFree(reg: Reg): boolean {
    return this.#isScratch[reg]! && !this.#busy[reg];
  }

  /** A scratch register that is free now, other than those to avoid; the one wished for if it can be. */
  allocate(avoid: readonly Reg[] = [], wish?: Reg): Reg {
    if (wish !== undefined && this.isFree(wish) && !avoid.includes(wish)) {
      this.#busy[wish] = true;
      return wish;
    }
    let reg = this.plan.scratch.find((candidate) => !this.#busy[candidate] && !avoid.includes(candidate));
    if (reg === undefined) {
      const victim = this.stack.find(
        ({ place, index }) => place === "register" && this.#isScratch[index] && !avoid.includes(index),
      );
      if (victim === undefined) throw new Error("operand stack: out of registers");
      reg = victim.index;
      this.spill(victim);
    }
    this.#busy[reg] = true;
    return reg;
  }

  /** Makes one certain register free and takes it. Popped values must not be in it. */
  claim(reg: Reg): void {
    const holder = this.stack.find((value) => value.place === "register" && value.index === reg);
    if (holder !== undefined) {
      const free = this.plan.scratch.find((candidate) => !this.#busy[candidate]);
      if (free === undefined) this.spill(holder);
      else {
        this.#busy[free] = true;
        this.a.op("Mov", sizeOf(holder.type), r(free), r(reg));
        holder.index = free;
      }
    } else if (this.#busy[reg]) throw new Error(`operand stack: register ${reg} is in use`);
    this.#busy[reg] = true;
  }

  /** Moves a value of the stack into the frame. */
  spill(value: Value): void {
    if (value.place === "flags") this.settle(value);
    if (value.place === "slot" || value.place === "constant") return;
    const reg = this.register(value);
    const slot = this.#freeSlots.pop() ?? this.#slots++;
    this.a.op("Mov", sizeOf(value.type), this.slotMemory(slot), r(reg));
    this.free(value);
    value.place = "slot";
    value.index = slot;
  }

  /** Puts a comparison that is still in the flags into a register. */
  settle(value: Value): void {
    if (value.place !== "flags") return;
    const reg = this.allocate([], value.wish);
    this.a.set(value.condition, r(reg));
    this.a.extend("Movzx", 32, 8, r(reg), r(reg));
    this.#flagsLive = false;
    value.place = "register";
    value.index = reg;
  }

  // --- Reading values ---

  /** A home as an operand. */
  place(home: Home): Reg | Memory {
    return "register" in home ? home.register : this.slotMemory(home.slot);
  }

  /** Register that a value can be read from; it must not be changed. */
  register(value: Value): Reg {
    this.settle(value);
    const now = this.registerNow(value);
    if (now !== undefined) return now;
    const reg = this.allocate();
    this.move(reg, value);
    this.free(value);
    value.place = "register";
    value.index = reg;
    return reg;
  }

  /** Register that holds the value and may be overwritten; the value is used up. */
  own(value: Value, avoid: readonly Reg[] = []): Reg {
    this.settle(value);
    const { place, index } = value;
    if (place === "register" && this.#isScratch[index] && !avoid.includes(index)) return index;
    const reg = this.allocate(avoid);
    this.move(reg, value);
    this.free(value);
    value.place = "register";
    value.index = reg;
    return reg;
  }

  /** The value as a source operand: immediate, memory or register. */
  source(value: Value): Operand {
    if (value.place === "constant" && fits32(value.constant)) return Number(value.constant);
    const memory = this.memory(value);
    return memory ?? r(this.register(value));
  }

  /** Memory that holds the value, if it is in memory. */
  memory(value: Value): Memory | undefined {
    if (value.place === "slot") return this.slotMemory(value.index);
    if (value.place === "memory") return value.operand;
    const { home } = value;
    return value.place === "local" && "slot" in home! ? this.slotMemory(home.slot) : undefined;
  }

  /** Register in which the value is now, if it is in one. */
  registerNow(value: Value): Reg | undefined {
    if (value.place === "register") return value.index;
    const { home } = value;
    return value.place === "local" && "register" in home! ? home.register : undefined;
  }

  /** Copies a value to a register, without using it up. */
  move(to: Reg, value: Value): void {
    const size = sizeOf(value.type);
    const from = this.registerNow(value);
    if (from === to) return;
    if (value.place === "constant") this.#constant(to, BigInt.asUintN(size, value.constant));
    else if (value.place === "flags") {
      this.a.set(value.condition, r(to));
      this.a.extend("Movzx", 32, 8, r(to), r(to));
    } else this.a.op("Mov", size, r(to), from !== undefined ? r(from) : this.memory(value)!);
  }

  #constant(to: Reg, value: bigint): void {
    if (value === 0n && !this.#flagsLive) this.a.op("Xor", 32, r(to), r(to));
    else this.a.constant(r(to), value);
  }

  /** Whether a value must be read before a register is written. */
  reads(value: Value, reg: Reg): boolean {
    const { operand } = value;
    if (value.place === "memory") return operand!.base === reg || operand!.index === reg;
    return this.registerNow(value) === reg;
  }

  // --- Keeping lazy reads right ---

  /** Before a home is written: values that only refer to it become copies. */
  copyReadsOf(home: Home): void {
    for (const value of this.stack) if (value.place === "local" && value.home === home) this.own(value);
  }

  /** Before control flow splits: nothing on the stack may depend on registers or on homes that change. What
   * stood below the enclosing block when it began was seen to then, and must not move on one path only. */
  stabilise(height: number, changes: (home: Home) => boolean): void {
    for (const value of this.stack.slice(height))
      if (value.place === "register" || (value.place === "local" && changes(value.home!))) this.spill(value);
  }

  /** Makes code that leaves this place for good: afterwards everything is where it was before. */
  aside(makeCode: () => void): void {
    const stack = this.stack.map((value) => ({ ...value }));
    const busy = [...this.#busy];
    const freeSlots = [...this.#freeSlots];
    makeCode();
    this.stack.splice(0, this.stack.length, ...stack);
    busy.forEach((taken, reg) => {
      this.#busy[reg] = taken;
    });
    this.#freeSlots.splice(0, this.#freeSlots.length, ...freeSlots);
  }

  /** Before code that changes registers: the deepest `count` values leave them. */
  spillRegisters(count: number, changed: readonly Reg[]): void {
    for (const value of this.stack.slice(0, count)) {
      const reg = this.registerNow(value);
      if (reg !== undefined && changed.includes(reg)) this.spill(value);
    }
  }

  /** Moves values to registers all at once, whatever the overlaps; the values are used up. */
  transfer(values: readonly Value[], to: readonly Reg[]): void {
    const moves: Move[] = [];
    values.forEach((value, n) => {
      const from = this.registerNow(value);
      if (from !== undefined) moves.push({ to: to[n]!, from, size: sizeOf(value.type) });
    });
    moveAll(this.a, moves);
    values.forEach((value, n) => {
      if (this.registerNow(value) === undefined) this.move(to[n]!, value);
      this.free(value);
    });
  }
}
