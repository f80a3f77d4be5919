// The ways on from a handler: to the next op, to a block that a direct branch is linked to, to whatever block stands
// at RIP, or to resume() after a row that may have changed how code is read.
// Invariant: a block is charged to the budget as a whole when it is entered, so whoever leaves it early gives back
// what the ops after this one were charged (OP_REST).

import type { General, Value, Width } from "../instructions/define.js";
import {
  ATTENTION,
  BLOCK_BYTES,
  BLOCK_COUNT,
  BLOCK_GENERATION,
  BLOCK_GENERATION_AT,
  BLOCK_HEADER_BYTES,
  BLOCK_RIP,
  CHAIN_SINK,
  CODE_WRITTEN,
  CS,
  GPR,
  OP_BYTES,
  OP_CHAIN,
  OP_GUESS,
  OP_HANDLER,
  OP_PATCH,
  RETURN_NEXT,
  RETURNS,
  RETURNS_BYTES,
  RIP,
  SEG_LIMIT,
  SEGMENT_BYTES,
  SEGMENTS,
} from "../layout.js";
import type { Access, Body } from "../wasm.js";
import { CORE } from "./flags.js";
import { SLOT, TYPE } from "./linkage.js";
import { BUDGET, OP } from "./op-fields.js";
import type { Scalar } from "./values.js";
import { Vectors } from "./vectors.js";

/** Whether the op is a near call, a near return or neither. */
export type JumpOf = "call" | "return" | undefined;
export const GENERAL_PROTECTION = 13;
const CS_LIMIT = SEGMENTS + CS * SEGMENT_BYTES + SEG_LIMIT;

// biome-ignore format: tables
export const REGISTER_LOADS: Record<Width, Access> = { 8: "i64.load8_u", 16: "i64.load16_u", 32: "i64.load32_u", 64: "i64.load" };
/** A 32-bit result clears the register's upper half. */
// biome-ignore format: tables
export const REGISTER_STORES: Record<Width, Access> = { 8: "i64.store8", 16: "i64.store16", 32: "i64.store", 64: "i64.store" };

export class Transfers extends Vectors {
  register(r: General, width: Width): Scalar {
    this.code.get(CORE).access(REGISTER_LOADS[width], GPR + 8 * r);
    return this.take(width);
  }
  /** At once: for what the engine itself writes. */
  protected storeRegister(r: General, v: Value): void {
    this.code.get(CORE);
    this.push64(v).access(REGISTER_STORES[v.width], GPR + 8 * r);
  }

  // --- RIP: blocks know only distances from their start ---
  protected fromBlock(pushDistance: () => void): Scalar {
    this.code.get(CORE).access("i64.load", BLOCK_RIP);
    pushDistance();
    this.code.op("i64.add");
    return this.form.mode64 ? this.take(64) : this.zeroExtend(this.takeMasked(32), 64);
  }
  nextRip(): Scalar {
    const { code } = this;
    return this.fromBlock(() => {
      this.fields.pushOffset(code);
      this.fields.pushLength(code).op("i64.add");
    });
  }
  protected thisRip(): Scalar {
    return this.fromBlock(() => void this.fields.pushOffset(this.code));
  }
  protected setRip(rip: Scalar): void {
    this.code.get(CORE);
    this.push64(rip).access("i64.store", RIP);
  }
  /** Not canonical, or beyond CS's limit. */
  protected badTarget(target: Scalar): Scalar {
    const { code } = this;
    if (this.form.mode64) {
      this.push64(target).i64(16n).op("i64.shl").i64(16n).op("i64.shr_s");
      this.push64(target).op("i64.ne");
    } else {
      this.push64(target);
      code.get(CORE).access("i64.load32_u", CS_LIMIT).op("i64.gt_u");
    }
    return this.takeBit();
  }

  // --- leaving ---
  /** The budget, with what the rest of the block was charged. */
  #pushRefunded(): Body {
    return this.fields.pushRest(this.code.get(BUDGET)).op("i32.add");
  }
  /** To the next op, unless the row has written over code that is decoded already. */
  protected next(): void {
    const { code } = this;
    if (this.mayStore) {
      code.get(CORE).access("i32.load", CODE_WRITTEN);
      code.if();
      this.setRip(this.nextRip());
      this.enterAnew();
      code.end();
    }
    if (this.place.runsOn) {
      code.get(OP).i32(OP_BYTES).op("i32.add").set(OP);
      return;
    }
    code.get(CORE).get(OP).i32(OP_BYTES).op("i32.add").get(BUDGET);
    code.get(OP).access("i32.load16_u", OP_BYTES + OP_HANDLER);
    code.returnCallIndirect(TYPE.handler);
  }
  /** Looks the block at RIP up. */
  protected enterAnew(): void {
    this.code.get(CORE).i32(0).access("i32.store", CODE_WRITTEN);
    this.code.get(CORE).get(CORE).i32(CHAIN_SINK).op("i32.add");
    this.#pushRefunded().i32(SLOT.enter).returnCallIndirect(TYPE.handler);
  }
  protected resume(): void {
    if (this.form.row.transfers !== true) this.setRip(this.nextRip());
    this.code.get(CORE).i32(0).access("i32.store", CODE_WRITTEN);
    this.code.get(CORE).get(OP);
    this.#pushRefunded().i32(SLOT.resume).returnCallIndirect(TYPE.handler);
  }
  /** A near transfer to a computed address. enter() tries first what it found last: of a return, behind the latest call. */
  protected followComputed(target: Scalar, of: JumpOf): void {
    const { code } = this;
    if (of === "call") this.#noteCall();
    this.setRip(target);
    code.get(CORE).i32(0).access("i32.store", CODE_WRITTEN);
    code.get(CORE);
    if (of === "return") this.#pushReturn();
    else code.get(OP).i32(OP_GUESS).op("i32.add");
    this.#pushRefunded().i32(SLOT.enter).returnCallIndirect(TYPE.handler);
  }
  /** The record of the block's end, which nothing reaches behind a call, keeps what the return leads to. */
  #noteCall(): void {
    const { code } = this;
    const next = code.local("i32");
    code.get(CORE).get(CORE).access("i32.load", RETURN_NEXT).tee(next).op("i32.add");
    code
      .get(OP)
      .i32(OP_BYTES + OP_GUESS)
      .op("i32.add")
      .access("i32.store", RETURNS);
    code
      .get(CORE)
      .get(next)
      .i32(4)
      .op("i32.add")
      .i32(RETURNS_BYTES - 1)
      .op("i32.and");
    code.access("i32.store", RETURN_NEXT);
  }
  #pushReturn(): void {
    const { code } = this;
    const last = code.local("i32");
    code.get(CORE);
    code
      .get(CORE)
      .access("i32.load", RETURN_NEXT)
      .i32(4)
      .op("i32.sub")
      .i32(RETURNS_BYTES - 1)
      .op("i32.and");
    code.tee(last).access("i32.store", RETURN_NEXT);
    code.get(CORE).get(last).op("i32.add").access("i32.load", RETURNS);
  }
  /** A 16-bit branch that wraps leads elsewhere than its distance says: never linked. 1 in a local when it does. */
  #wraps(): number | undefined {
    if (this.form.operandSize !== 16) return undefined;
    const { code } = this;
    const wraps = code.local("i32");
    this.push64(this.fromBlock(() => void this.fields.pushImmediate(code, this.form, 64)));
    code.i64(16n).op("i64.shr_u").i64(0n).op("i64.ne").set(wraps);
    return wraps;
  }
  /**
   * A near transfer to the op's own target: straight to the block that it is linked to while that is still good and
   * nothing wants attention, else by way of enter(), which links it.
   */
  protected followDirect(target: Scalar, checked: boolean, of: JumpOf): void {
    const { code } = this;
    const block = code.local("i32");
    const left = code.local("i32");
    const wraps = this.#wraps();
    const { anew } = this;
    const slow = anew ?? code.block();
    code.get(OP).access("i32.load", OP_CHAIN).tee(block).op("i32.eqz").brIf(slow);
    if (!this.form.mode64) {
      // The block was within CS's limit when it was linked; the segment may be another now.
      this.push64(target).get(block).access("i64.load8_u", BLOCK_BYTES).op("i64.add");
      code.get(CORE).access("i64.load32_u", CS_LIMIT).i64(1n).op("i64.add").op("i64.gt_u").brIf(slow);
    }
    if (wraps !== undefined) code.get(wraps).brIf(slow);
    code.get(block).access("i32.load", BLOCK_GENERATION_AT).access("i32.load");
    code.get(block).access("i32.load", BLOCK_GENERATION).op("i32.ne");
    code.get(CORE).access("i32.load", ATTENTION).op("i32.or").brIf(slow);
    this.#pushRefunded().get(block).access("i32.load8_u", BLOCK_COUNT).op("i32.sub").tee(left);
    code.i32(0).op("i32.lt_s").brIf(slow);
    if (of === "call") this.#noteCall();
    code.get(CORE);
    this.push64(target).access("i64.store", BLOCK_RIP);
    code.get(CORE).get(block).i32(BLOCK_HEADER_BYTES).op("i32.add").get(left);
    code.get(block).access("i32.load16_u", BLOCK_HEADER_BYTES + OP_HANDLER);
    code.returnCallIndirect(TYPE.handler);
    if (anew !== undefined) return;
    code.end();
    if (!checked) this.faultWhen(this.badTarget(target), GENERAL_PROTECTION, 0);
    if (of === "call") this.#noteCall();
    this.setRip(target);
    code.get(CORE).get(OP).access("i32.load", OP_PATCH);
    if (wraps !== undefined) {
      code.get(CORE).i32(CHAIN_SINK).op("i32.add").get(wraps).op("i32.eqz").op("select");
    }
    this.#pushRefunded().i32(SLOT.enter).returnCallIndirect(TYPE.handler);
  }
}
