// The wasm operand stack at compile time: where each value is. Constants and reads of locals cost nothing
// until they are used; results live in scratch registers and are spilled to the frame when those run out;
// a comparison may be left in the flags for the branch that follows.
//
// Invariant: a 32-bit value in a register has zeros above it, so it can be used as an address as it stands.
// Nothing here changes the flags: only MOV, SETcc and MOVZX are emitted.
import {
  type Assembler,
  type Condition,
  fits32,
  type Memory,
  type Operand,
  R8,
  R9,
  R10,
  R11,
  RAX,
  RBP,
  RCX,
  RDI,
  RDX,
  type Reg,
  RSI,
  r,
} from "./assembler.js";
import type { LocalPlan } from "./locals.js";
import type { ValueType } from "./wasm.js";

export type Place = "constant" | "local" | "register" | "slot" | "flags";

export interface Value {
  readonly type: ValueType;
  place: Place;
  /** Local, register or slot number. */
  index: number;
  readonly constant: bigint;
  condition: Condition;
}

/** Registers that a call may change, in the order in which they are handed out. */
export const scratch: readonly Reg[] = [RAX, RSI, RDI, RDX, RCX, R8, R9, R10, R11];

export const sizeOf = (type: ValueType): 32 | 64 => (type === "i32" ? 32 : 64);

export class Operands {
  readonly stack: Value[] = [];
  readonly #busy = new Array<boolean>(16).fill(false);
  readonly #freeSlots: number[] = [];
  #slots: number;

  constructor(
    readonly a: Assembler,
    readonly plan: LocalPlan,
  ) {
    this.#slots = plan.slots;
    for (let reg = 0; reg < 16; reg++) if (!scratch.includes(reg)) this.#busy[reg] = true;
  }

  /** Slots that the frame must have. */
  get slots(): number {
    return this.#slots;
  }

  slotMemory(slot: number): Memory {
    return { base: RBP, displacement: -8 * (this.plan.saved.length + slot + 1) };
  }

  // --- Pushing and popping ---

  push(type: ValueType, place: Place, index: number, constant = 0n, condition: Condition = "e"): void {
    this.stack.push({ type, place, index, constant, condition });
  }

  pushConstant(type: ValueType, value: bigint): void {
    this.push(type, "constant", 0, BigInt.asIntN(sizeOf(type), value));
  }

  pushLocal(type: ValueType, local: number): void {
    this.push(type, "local", local);
  }

  /** A result in a scratch register, or in the home of the local that the next instruction sets. */
  pushRegister(type: ValueType, reg: Reg): void {
    this.#busy[reg] = true;
    this.push(type, "register", reg);
  }

  pushFlags(condition: Condition): void {
    this.push("i32", "flags", 0, 0n, condition);
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
    if (value.place === "register" && scratch.includes(value.index)) this.#busy[value.index] = false;
    if (value.place === "slot") this.#freeSlots.push(value.index);
  }

  freeRegister(reg: Reg): void {
    this.#busy[reg] = !scratch.includes(reg);
  }

  truncate(height: number): void {
    while (this.stack.length > height) this.free(this.pop());
  }

  // --- Registers ---

  /** A scratch register that is free now, other than those to avoid. */
  allocate(avoid: readonly Reg[] = []): Reg {
    let reg = scratch.find((candidate) => !this.#busy[candidate] && !avoid.includes(candidate));
    if (reg === undefined) {
      const victim = this.stack.find(
        (value) =>
          value.place === "register" && scratch.includes(value.index) && !avoid.includes(value.index),
      );
      if (victim === undefined) throw new Error("operand stack: out of registers");
      reg = victim.index;
      this.spill(victim);
    }
    this.#busy[reg] = true;
    return reg;
  }

  /** Makes one certain register free and takes it. Popped values must not be in it. */
  claim(reg: Reg, avoid: readonly Reg[] = []): void {
    const holder = this.stack.find((value) => value.place === "register" && value.index === reg);
    if (holder !== undefined) {
      const free = scratch.find(
        (candidate) => !this.#busy[candidate] && candidate !== reg && !avoid.includes(candidate),
      );
      if (free === undefined) this.spill(holder);
      else {
        this.#busy[free] = true;
        this.a.op("Mov", sizeOf(holder.type), r(free), r(reg));
        holder.index = free;
      }
    } else if (this.#busy[reg]) throw new Error(`operand stack: register ${reg} is in use`);
    this.#busy[reg] = true;
  }

  isBusy(reg: Reg): boolean {
    return this.#busy[reg]!;
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
    const reg = this.allocate();
    this.a.set(value.condition, r(reg));
    this.a.extend("Movzx", 32, 8, r(reg), r(reg));
    value.place = "register";
    value.index = reg;
  }

  // --- Reading values ---

  home(local: number): Reg | Memory {
    const home = this.plan.homes[local];
    if (home === undefined) throw new Error(`local ${local} has no home`);
    return "register" in home ? home.register : this.slotMemory(home.slot);
  }

  /** Register that a value can be read from; it must not be changed. */
  register(value: Value, avoid: readonly Reg[] = []): Reg {
    if (value.place === "register") return value.index;
    if (value.place === "local") {
      const home = this.home(value.index);
      if (typeof home === "number") return home;
    }
    if (value.place === "flags") {
      this.settle(value);
      return value.index;
    }
    const reg = this.allocate(avoid);
    this.move(reg, value);
    this.free(value);
    value.place = "register";
    value.index = reg;
    return reg;
  }

  /** Register that holds the value and may be overwritten; the value is used up. */
  own(value: Value, avoid: readonly Reg[] = []): Reg {
    if (value.place === "register" && scratch.includes(value.index) && !avoid.includes(value.index))
      return value.index;
    if (value.place === "flags") return this.register(value);
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
    if (value.place !== "local") return undefined;
    const home = this.home(value.index);
    return typeof home === "number" ? undefined : home;
  }

  /** Register in which the value is now, if it is in one. */
  registerNow(value: Value): Reg | undefined {
    if (value.place === "register") return value.index;
    if (value.place !== "local") return undefined;
    const home = this.home(value.index);
    return typeof home === "number" ? home : undefined;
  }

  /** Copies a value to a register, without using it up. */
  move(to: Reg, value: Value): void {
    const size = sizeOf(value.type);
    const from = this.registerNow(value);
    if (from === to) return;
    if (value.place === "constant") this.a.constant(r(to), BigInt.asUintN(size, value.constant));
    else if (value.place === "flags") {
      this.a.set(value.condition, r(to));
      this.a.extend("Movzx", 32, 8, r(to), r(to));
    } else this.a.op("Mov", size, r(to), from !== undefined ? r(from) : this.memory(value)!);
  }

  // --- Keeping lazy reads right ---

  /** Before a local changes: values that only refer to it become copies. */
  copyReadsOf(local: number): void {
    for (const value of this.stack) if (value.place === "local" && value.index === local) this.own(value);
  }

  /** Before control flow splits: nothing on the stack may depend on registers or on locals that change. */
  stabilise(written: ReadonlySet<number>): void {
    for (const value of this.stack) {
      const moves = value.place === "register" || value.place === "flags";
      if (moves || (value.place === "local" && written.has(value.index))) this.spill(value);
    }
  }

  /** Before a call: values in registers that it may change go to the frame. */
  spillScratch(count: number): void {
    for (const value of this.stack.slice(0, count)) if (value.place === "register") this.spill(value);
  }

  /** Moves values to registers all at once, whatever the overlaps; the values are used up. */
  transfer(values: readonly Value[], to: readonly Reg[]): void {
    const pending: { to: Reg; from: Reg; size: 32 | 64 }[] = [];
    values.forEach((value, n) => {
      const from = this.registerNow(value);
      if (from !== undefined && from !== to[n]) pending.push({ to: to[n]!, from, size: sizeOf(value.type) });
    });
    while (pending.length > 0) {
      const ready = pending.findIndex((move) => !pending.some((other) => other.from === move.to));
      if (ready >= 0) {
        const [move] = pending.splice(ready, 1);
        this.a.op("Mov", move!.size, r(move!.to), r(move!.from));
        continue;
      }
      const { to: one, from: other } = pending.shift()!;
      this.a.op("Xchg", 64, r(one), r(other));
      for (const move of pending) {
        if (move.from === one) move.from = other;
        else if (move.from === other) move.from = one;
      }
      for (let n = pending.length - 1; n >= 0; n--)
        if (pending[n]!.from === pending[n]!.to) pending.splice(n, 1);
    }
    values.forEach((value, n) => {
      if (this.registerNow(value) === undefined) this.move(to[n]!, value);
      this.free(value);
    });
  }
}
