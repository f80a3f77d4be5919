// Lowers one form of a row to a handler: a WebAssembly function (core, op, budget) that does the instruction and
// calls the next op's handler in tail position. lowering/ has values, flags, memory and vectors; here are operands,
// registers, control, and the order in which a row takes effect.
//
// Order: checks, the row (loads; nothing is written), then stores, registers in written order, flags, and the way
// on. So a fault in the row or in its first store leaves the machine as it was.

import type { Form, FormOperand } from "./form.js";
import {
  type Condition,
  type General,
  type Meaning,
  type Operand,
  RSP,
  type Segment,
  type Value,
  type Vector,
  type Width,
} from "./instructions/define.js";
import {
  BLOCK_RIP,
  CPL,
  CR0,
  FCS,
  FDP,
  FDS,
  FIP,
  FOP,
  FPU_TRAP,
  FSW,
  FTW,
  GPR,
  MXCSR,
  OP_OWN,
  SEG_SELECTOR,
  SEGMENT_BYTES,
  SEGMENTS,
  SHADOW,
  SSE_TRAP,
  XMM,
} from "./layout.js";
import { type CodePlace, ownHandler, segmentAt } from "./lowering/addresses.js";
import { CORE } from "./lowering/flags.js";
import { type Linkage, SLOT, TYPE } from "./lowering/linkage.js";
import type { Store } from "./lowering/memory.js";
import { BUDGET, OP, type OpFields } from "./lowering/op-fields.js";
import { Repeats } from "./lowering/repeat.js";
import { GENERAL_PROTECTION, type JumpOf, REGISTER_LOADS, REGISTER_STORES } from "./lowering/transfers.js";
import { Scalar } from "./lowering/values.js";
import { Wide } from "./lowering/vectors.js";
import { Body, type FunctionCode } from "./wasm.js";

const INVALID_OPCODE = 6;
const DEVICE_NOT_AVAILABLE = 7;
const CR0_EM = 4;
const FSW_SUMMARY = 0x80; // ES: an unmasked x87 exception is pending
const FSW_TOP = 0x3800;

/** The handlers of a form: the form itself and, for an atomic one, its bus-locked twin in the next slot. */
export function lower(form: Form, slot: number, linkage: Linkage): FunctionCode[] {
  const handlers = [new Lowering(form, slot + 1, linkage).handler(slot)];
  if (form.lock === "atomic")
    handlers.push(new Lowering({ ...form, lock: "bus" }, 0, linkage).handler(slot + 1));
  return handlers;
}

/** An op of a block, for code that serves it alone. */
export interface FixedOp {
  readonly form: Form;
  /** Of the form's own handler. */
  readonly slot: number;
  readonly fields: OpFields;
}

/** Whether the form's code may stand among others' in one function. A repeated instruction leaves from the middle of a loop. */
export const fusible = ({ repeat }: Form): boolean => repeat === "no";

/** One function that does ops which follow one another, and goes on as the last of them does. */
export function lowerFused(ops: readonly FixedOp[], slot: number, linkage: Linkage): FunctionCode {
  const code = new Body(3);
  const anew = code.block();
  ops.forEach(({ form, slot: own, fields }, index) => {
    new Lowering(form, own + 1, linkage, code, { fields, runsOn: index < ops.length - 1, anew }).write();
  });
  code.op("unreachable").end();
  code.get(CORE).get(OP).get(BUDGET).get(OP).access("i32.load16_u", OP_OWN).returnCallIndirect(TYPE.handler);
  code.op("unreachable");
  return { type: TYPE.handler, body: code.finish(), slot };
}

/** What follows the last op of a block that no instruction ends: not an instruction, only the way to the next block. */
const fallThrough: FormOperand = { kind: "branch", width: 64, index: 0, place: "immediate", access: "-" };
export const END_OF_BLOCK: Form = {
  row: { op: 0, does: (m, next) => m.jump(m.branchTarget(next)) },
  mnemonic: 0,
  name: "end of block",
  condition: undefined,
  operands: [fallThrough],
  operandSize: 64,
  addressSize: 64,
  stackSize: 64,
  mode64: true,
  protectedMode: true,
  segment: "ds",
  indexed: false,
  lock: "no",
  repeat: "no",
};
export const END_OF_LEGACY_BLOCK: Form = { ...END_OF_BLOCK, operandSize: 32, addressSize: 32, mode64: false };

/** Deferred effects of one scope: the row's, or a when()'s body. */
interface Scope {
  readonly registers: (() => void)[];
  stackPointer: Scalar | undefined;
  /** SHADOW_*, or 0. */
  shadow: number;
}
const scope = (): Scope => ({ registers: [], stackPointer: undefined, shadow: 0 });

class Lowering extends Repeats implements Meaning {
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  readonly mode64: boolean;
  #scope = scope();
  #outer: { scope: Scope; stores: Store[]; flags: unknown }[] = [];
  #jump: { target: Scalar; condition: Scalar | undefined; of: JumpOf } | undefined;

  constructor(
    form: Form,
    busSlot: number,
    linkage: Linkage,
    code = new Body(3),
    place: CodePlace = ownHandler,
  ) {
    super(code, form, linkage, busSlot, place);
    this.operandSize = form.operandSize;
    this.addressSize = form.addressSize;
    this.mode64 = form.mode64;
  }

  handler(slot: number): FunctionCode {
    const { code } = this;
    this.write();
    code.op("unreachable");
    return { type: TYPE.handler, body: code.finish(), slot };
  }
  write(): void {
    const { form, code } = this;
    this.#checks();
    if (form.lock === "bus") {
      this.begun = true;
      code.get(CORE).i32(SLOT.lockBus).callIndirect(TYPE.core);
    }
    if (form.repeat !== "no") {
      form.row.beforeCount?.(this);
      this.repeated();
    } else {
      this.iteration();
      this.closeLock();
      this.#wayOn();
    }
  }

  protected iteration(): void {
    const { row, operands } = this.form;
    row.does(this, ...operands);
    if (this.#outer.length > 0) this.refuse("a when() was left open");
    this.#checkJump();
    this.#commit();
  }

  /** What the manual has checked before anything else. */
  #checks(): void {
    const { row, protectedMode, mode64 } = this.form;
    const here = { mode64, legacy: !mode64, protected: protectedMode };
    if (row.only !== undefined && !here[row.only]) this.fault(INVALID_OPCODE);
    if (row.needs !== undefined) {
      const { code } = this;
      code.get(CORE).access("i64.load32_u", row.needs === "sse" ? SSE_TRAP : FPU_TRAP);
      const trap = this.take(32);
      this.pushCondition(trap);
      if (this.anew !== undefined) {
        code.brIf(this.anew);
      } else {
        code.if();
        if (row.needs === "mmx") this.#mmxFault();
        else this.#faultNumber(trap);
        code.end();
      }
    }
    if (row.privileged === true) this.faultWhen(this.privilege(), GENERAL_PROTECTION, 0);
  }
  /** #UD or #NM, whichever the word says. */
  #faultNumber(vector: Scalar): void {
    const device = this.equal(vector, this.constant(INVALID_OPCODE, 32));
    this.faultWhen(device, INVALID_OPCODE);
    this.fault(DEVICE_NOT_AVAILABLE);
  }
  /** CR0.EM or CR0.TS is set: x87 has #NM for either, MMX has no emulation. */
  #mmxFault(): void {
    this.code.get(CORE).access("i64.load32_u", CR0);
    this.faultWhen(this.and(this.take(32), this.constant(CR0_EM, 32)), INVALID_OPCODE);
    this.fault(DEVICE_NOT_AVAILABLE);
  }

  // --- operands ---
  get(o: Operand): Scalar {
    const { code } = this;
    const { place } = o as FormOperand;
    const width = o.width as Width;
    switch (o.kind) {
      case "memory":
        return this.getMemory(o);
      case "general":
        code.access(REGISTER_LOADS[width], this.#pushRegister(o));
        return this.take(width);
      case "mm":
        code.access("i64.load", this.#pushRegister(o));
        return this.take(64);
      case "xmm":
        return this.getLow(o, width > 32 ? 64 : 32);
      case "segment":
        code.get(CORE);
        this.push32(this.registerNumber(o)).i32(Math.log2(SEGMENT_BYTES)).op("i32.shl").op("i32.add");
        code.access("i64.load16_u", SEGMENTS + SEG_SELECTOR);
        return this.take(16);
      case "immediate":
      case "far":
        if (place === "immediate2") this.fields.pushImmediate2(code).op("i64.extend_i32_u");
        else this.fields.pushImmediate(code, this.form, width);
        return this.take(o.kind === "far" ? 64 : width);
      case "branch":
        return this.branchTarget(o);
      default:
        return this.refuse(`get() of a ${o.kind} operand`);
    }
  }
  set(o: Operand, v: Value): void {
    if (o.kind === "xmm") {
      this.setLow(o, v);
      return;
    }
    if (v.width !== o.width) this.refuse(`${v.width} bits set into an operand of ${o.width}`);
    if (o.kind === "memory") this.setMemory(o, o.width / 8, { scalar: v });
    else if (o.kind === "general") this.#later(() => this.#pushRegister(o), v, o.width as Width);
    else if (o.kind === "mm") this.#setMmx(o, v);
    else this.refuse(`set() of a ${o.kind} operand`);
  }
  /** Pushes an address; the register stands so many bytes behind it. */
  #pushRegister(o: Operand): number {
    return this.fields.pushRegister(this.code, (o as FormOperand).index);
  }
  #later(pushAddress: () => number, v: Value, width: Width): void {
    this.#scope.registers.push(() => {
      const offset = pushAddress();
      this.push64(v).access(REGISTER_STORES[width], offset);
    });
  }
  /** Sign and exponent of the x87 register become ones: a NaN to x87. */
  #setMmx(o: Operand, v: Value): void {
    this.#later(() => this.#pushRegister(o), v, 64);
    this.#scope.registers.push(() => {
      const offset = this.#pushRegister(o);
      this.code.i64(0xffffn).access("i64.store", offset + 8);
    });
  }
  waitForX87(): void {
    const { code } = this;
    code.get(CORE).access("i32.load", FSW).i32(FSW_SUMMARY).op("i32.and");
    code.if();
    const { mayStore } = this;
    this.assist("x87Check");
    this.mayStore = mayStore;
    code.end();
  }
  noteX87Pointers(memory?: Operand): void {
    const data = memory === undefined ? undefined : this.address(memory);
    this.#scope.registers.push(() => {
      const { code } = this;
      this.fields.pushOffset(code.get(CORE).get(CORE).access("i64.load", BLOCK_RIP));
      code.op("i64.add").access("i64.store", FIP);
      this.fields.pushImmediate2(code.get(CORE)).access("i32.store", FOP);
      this.#noteSelector("cs", FCS);
      if (data === undefined) return;
      code.get(CORE);
      this.push64(data).access("i64.store", FDP);
      this.#noteSelector(this.segmentOf(memory), FDS);
    });
  }
  #noteSelector(segment: Segment, at: number): void {
    const { code } = this;
    code.get(CORE).get(CORE);
    code.access("i32.load", segmentAt(segment) + SEG_SELECTOR).access("i32.store16", at);
  }
  enterMmx(tags: "valid" | "empty" = "valid"): void {
    this.#scope.registers.push(() => {
      const { code } = this;
      code.get(CORE).get(CORE).access("i32.load", FSW).i32(~FSW_TOP).op("i32.and").access("i32.store", FSW);
      code
        .get(CORE)
        .i32(tags === "valid" ? 0xff : 0)
        .access("i32.store", FTW);
    });
  }
  registerNumber(o: Operand): Scalar {
    this.fields.pushRegisterNumber(this.code, (o as FormOperand).index).op("i64.extend_i32_u");
    return this.take(32);
  }
  getVector(o: Operand): Vector {
    if (o.kind === "memory") return new Wide(this.getMemoryVector(o));
    const offset = this.#pushRegister(o);
    this.code.access("v128.load", offset);
    return this.takeVector();
  }
  setVector(o: Operand, v: Vector): void {
    const { local } = v as Wide;
    if (o.kind === "memory") this.setMemory(o, 16, { vector: local });
    else
      this.#scope.registers.push(() => {
        const offset = this.#pushRegister(o);
        this.code.get(local).access("v128.store", offset);
      });
  }
  xmm0(): Vector {
    this.code.get(CORE).access("v128.load", XMM);
    return this.takeVector();
  }
  setXmm0(v: Vector): void {
    const { local } = v as Wide;
    this.#scope.registers.push(() => this.code.get(CORE).get(local).access("v128.store", XMM));
  }
  getLow(o: Operand, width: 32 | 64): Scalar {
    if (o.kind === "memory") return this.getMemoryLow(o, width);
    const offset = this.#pushRegister(o);
    this.code.access(REGISTER_LOADS[width], offset);
    return this.take(width);
  }
  setLow(o: Operand, v: Value): void {
    if (o.kind === "memory") this.setMemory(o, v.width / 8, { scalar: v });
    else
      this.#scope.registers.push(() => {
        const offset = this.#pushRegister(o);
        this.push64(v).access(v.width === 32 ? "i64.store32" : REGISTER_STORES[v.width], offset);
      });
  }

  // --- registers ---
  setRegister(r: General, v: Value): void {
    this.#later(
      () => {
        this.code.get(CORE);
        return GPR + 8 * r;
      },
      v,
      v.width,
    );
  }
  mxcsr(): Scalar {
    this.code.get(CORE).access("i64.load32_u", MXCSR);
    return this.take(32);
  }
  setMxcsr(v: Value): void {
    this.#scope.registers.push(() => {
      this.code.get(CORE);
      this.push32(v).access("i32.store", MXCSR);
    });
  }
  #as64(v: Scalar): Scalar {
    return this.zeroExtend(v, 64);
  }
  branchTarget(o: Operand): Scalar {
    const { index } = o as FormOperand;
    if (o.kind !== "branch") this.refuse(`operand ${index} is no branch`);
    let target = this.fromBlock(() => void this.fields.pushImmediate(this.code, this.form, 64));
    if (this.operandSize === 16) target = this.bitsOf(target, 0, 16);
    return new Scalar(64, target.local, 0n, false, true);
  }
  #stackWidth(): Width {
    return this.form.stackSize;
  }
  stackPointer(): Scalar {
    return this.#scope.stackPointer ?? this.register(RSP, this.#stackWidth());
  }
  #moveStack(by: number): Scalar {
    if (this.#outer.length > 0) this.refuse("push() or pop() inside a when()");
    const width = this.#stackWidth();
    const pointer = this.plus(this.stackPointer(), this.constant(by, width));
    this.#scope.stackPointer = pointer;
    return pointer;
  }
  push(v: Value): void {
    this.store("ss", this.#moveStack(-v.width / 8), v);
  }
  pop(width: Width): Scalar {
    const value = this.load("ss", this.stackPointer(), width);
    this.#moveStack(width / 8);
    return value;
  }

  // --- control ---
  jump(target: Value, of?: JumpOf): void {
    if (this.#outer.length > 0) this.refuse("jump() inside a when(): use jumpWhen()");
    this.#jump = { target: this.#destination(target), condition: undefined, of };
  }
  jumpWhen(condition: Value, target: Value): void {
    if (this.#outer.length > 0) this.refuse("jumpWhen() inside a when()");
    this.#jump = { target: this.#destination(target), condition: condition as Scalar, of: undefined };
  }
  #destination(target: Value): Scalar {
    const t = target as Scalar;
    if (t.direct) return t;
    const size = this.operandSize;
    return this.#as64(t.width > size ? this.truncate(t, size) : t);
  }
  /** #GP(0) for a target that is not canonical or beyond CS's limit, before anything is committed. */
  #checkJump(): void {
    if (this.#jump === undefined) return;
    const { target, condition, of } = this.#jump;
    // A direct branch without other effects is checked only where it is not linked to its block yet.
    if (this.#checkedWhenFollowed()) return;
    let bad = this.badTarget(target);
    if (condition !== undefined) bad = this.and(bad, condition);
    if (of !== "call" || this.anew !== undefined) {
      this.faultWhen(bad, GENERAL_PROTECTION, 0);
      return;
    }
    // APM vol. 3, CALL (near): the return address is pushed first; nothing of it is seen when the target is bad.
    this.pushCondition(bad);
    this.code.if();
    this.probeStores();
    this.fault(GENERAL_PROTECTION, 0);
    this.code.end();
  }
  #checkedWhenFollowed(): boolean {
    const { registers, stackPointer } = this.#scope;
    return (
      this.#jump?.target.direct === true &&
      registers.length === 0 &&
      stackPointer === undefined &&
      this.stores.length === 0
    );
  }
  when(condition: Value, then: () => void, otherwise?: () => void): void {
    this.pushCondition(condition);
    this.code.if();
    this.#nested(then);
    if (otherwise !== undefined) {
      this.code.else();
      this.#nested(otherwise);
    }
    this.code.end();
  }
  #nested(body: () => void): void {
    this.#outer.push({ scope: this.#scope, stores: this.stores, flags: this.openFlags() });
    this.#scope = { ...scope(), stackPointer: this.#scope.stackPointer };
    this.stores = [];
    const before = this.#scope.stackPointer;
    body();
    if (this.#scope.stackPointer === before) this.#scope.stackPointer = undefined;
    this.#commit();
    const outer = this.#outer.pop();
    if (outer === undefined) return;
    this.closeFlags(outer.flags);
    this.#scope = outer.scope;
    this.stores = outer.stores;
  }

  assist(name: string, ...args: (Value | number)[]): Scalar {
    this.begun = true;
    // The microcode and the host may want to know where the core is.
    this.code.get(CORE).get(OP).get(BUDGET).i32(SLOT.slowCall).callIndirect(TYPE.handler).op("drop");
    const value = this.compute(name, ...args);
    this.checkFault();
    this.mayStore = true;
    return value;
  }
  compute(name: string, ...args: (Value | number)[]): Scalar {
    this.begun = true;
    const { code } = this;
    const { slot, type, signature } = this.linkage.function(name);
    if (signature.parameters.length !== args.length + 1)
      this.refuse(`${name} takes ${signature.parameters.length - 1} arguments, not ${args.length}`);
    code.get(CORE);
    args.forEach((arg, i) => {
      const wide = signature.parameters[i + 1] === "i64";
      const value = typeof arg === "number" ? this.constant(arg, 64) : arg;
      if (wide) this.push64(value);
      else this.push32(value);
    });
    code.i32(slot).callIndirect(type);
    let value = this.constant(0, 64);
    if (signature.results[0] === "i32") code.op("i64.extend_i32_u");
    if (signature.results.length > 0) value = this.take(64);
    return value;
  }
  privilege(): Scalar {
    this.code.get(CORE).access("i64.load32_u", CPL);
    return this.take(8);
  }
  fence(): void {
    this.begun = true;
    this.code.fence();
    this.drainStores();
  }
  shadow(kind: number): void {
    this.#scope.shadow = kind;
  }
  conditionOf(): Scalar {
    const { condition } = this.form;
    if (condition === undefined) this.refuse("the mnemonic has no condition");
    return this.condition(condition as Condition);
  }

  // --- commit ---
  #commit(): void {
    this.commitStores();
    const { registers, stackPointer, shadow } = this.#scope;
    if (registers.length > 0 || stackPointer !== undefined || shadow !== 0 || this.definesFlags)
      this.begun = true;
    if (stackPointer !== undefined) {
      this.code.get(CORE);
      this.push64(stackPointer).access(REGISTER_STORES[stackPointer.width], GPR + 8 * RSP);
    }
    for (const commit of registers) commit();
    this.commitFlags();
    if (shadow !== 0) this.code.get(CORE).i32(shadow).access("i32.store", SHADOW);
  }

  // --- the way on ---
  #wayOn(): void {
    this.releaseBus();
    const { row } = this.form;
    if (row.ends === true || row.transfers === true) this.resume();
    else if (this.#jump === undefined) this.next();
    else {
      const { target, condition, of } = this.#jump;
      if (condition === undefined) this.#follow(target, of);
      else {
        this.pushCondition(condition);
        this.code.if();
        this.#follow(target, of);
        this.code.end();
        this.next();
      }
    }
  }
  #follow(target: Scalar, of: JumpOf): void {
    if (!target.direct) this.followComputed(target, of);
    else this.followDirect(target, !this.#checkedWhenFollowed() || this.form.row === END_OF_BLOCK.row, of);
  }
}
