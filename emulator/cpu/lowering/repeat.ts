// REP: a row is one iteration; here is the loop around it. The count in rCX, the index registers and the flags are
// committed with each iteration, so the instruction may stop between any two, with RIP still at its start, and go on
// from there: on faults, when the budget is spent and when something wants attention (Intel SDM vol. 2B, REP).
//
// MOVS and STOS move many elements at once while both places lie in plain RAM and in one page each, upwards.
// Invariant: an iteration is an instruction to the budget, however it was done.

import { Mnemonic } from "../decode.js";
import { RAX, RCX, RDI, RSI, type Width } from "../instructions/define.js";
import { ATTENTION, CODE_WRITTEN, FLAGS_OTHER, REPEATING, SEG_BASE } from "../layout.js";
import type { Label } from "../wasm.js";
import { CORE } from "./flags.js";
import { BUDGET, segmentAt } from "./memory.js";
import { Transfers } from "./transfers.js";
import { Scalar } from "./values.js";

type Element = 1 | 2 | 4 | 8;
const MOVES: Partial<Record<Mnemonic, Element>> = {
  [Mnemonic.Movsb]: 1,
  [Mnemonic.Movsw]: 2,
  [Mnemonic.Movsd]: 4,
  [Mnemonic.Movsq]: 8,
};
const FILLS: Partial<Record<Mnemonic, Element>> = {
  [Mnemonic.Stosb]: 1,
  [Mnemonic.Stosw]: 2,
  [Mnemonic.Stosd]: 4,
  [Mnemonic.Stosq]: 8,
};
const FLAG_DF = 0x400;
const PAGE = 0x1000;
/** Each byte of an element that is filled with one byte. */
const ALL_BYTES = 0x0101_0101_0101_0101n;

export abstract class Repeats extends Transfers {
  /** Emits one iteration, with its commit. */
  protected abstract iteration(): void;

  protected repeated(): void {
    const { code, form } = this;
    const width = form.addressSize;
    this.pushCondition(this.isZero(this.register(RCX, width)));
    code.if();
    this.next();
    code.end();
    const done = code.block();
    const again = code.block();
    const loop = code.loop();
    this.#manyAtOnce(done, again, loop);
    this.iteration();
    const left = this.minus(this.register(RCX, width), this.constant(1, width));
    this.storeRegister(RCX, left);
    this.pushCondition(this.isZero(left)).brIf(done);
    if (form.row.repeat === "while") {
      const stop = form.repeat === "equal" ? this.condition("ne") : this.condition("e");
      this.pushCondition(stop).brIf(done);
    }
    this.#pauseOrGoOn(again, loop);
    code.end();
    code.end();
    this.#repeating(1);
    this.setRip(this.thisRip());
    this.enterAnew();
    code.end();
    this.#repeating(0);
    this.next();
  }

  #repeating(underWay: 0 | 1): void {
    this.code.get(CORE).i32(underWay).access("i32.store", REPEATING);
  }

  /** Charges the next iteration and does it, unless the budget is spent or something wants attention. */
  #pauseOrGoOn(again: Label, loop: Label): void {
    const { code } = this;
    code.get(BUDGET).i32(0).op("i32.le_s");
    code.get(CORE).access("i32.load", ATTENTION).op("i32.or");
    code.get(CORE).access("i32.load", CODE_WRITTEN).op("i32.or").brIf(again);
    code.get(BUDGET).i32(1).op("i32.sub").set(BUDGET).br(loop);
  }

  /** The same effect as so many iterations, where it can be had; falls through where it cannot. */
  #manyAtOnce(done: Label, again: Label, loop: Label): void {
    const { code, form } = this;
    const size = MOVES[form.mnemonic as Mnemonic] ?? FILLS[form.mnemonic as Mnemonic];
    if (size === undefined || !form.mode64) return;
    const moves = MOVES[form.mnemonic as Mnemonic] !== undefined;
    const width = form.addressSize;
    const slow = code.block();
    code.get(CORE).access("i32.load", FLAGS_OTHER).i32(FLAG_DF).op("i32.and").brIf(slow);

    const count = this.register(RCX, width);
    const to = this.register(RDI, width);
    const from = this.register(RSI, width);
    const target = this.fastHost(this.zeroExtend(to, 64), "write", slow);
    const source = moves ? this.fastHost(this.#sourceLinear(from), "read", slow) : target;

    // As many as fit into the pages, the count and the budget; the first is paid for already.
    const n = code.local("i32");
    this.#pushRoom(target, size).set(n);
    if (moves) this.#least(n, () => this.#pushRoom(source, size));
    this.push32(count).get(n);
    this.push64(count).get(n).op("i64.extend_i32_u").op("i64.lt_u").op("select").set(n);
    this.#least(n, () => code.get(BUDGET).i32(1).op("i32.add"));
    code.get(n).i32(2).op("i32.lt_s").brIf(slow);

    const bytes = code.local("i32");
    code.get(n).i32(Math.log2(size)).op("i32.shl").set(bytes);
    if (moves) {
      // Overlapping upwards, what was copied is copied again: element by element only.
      code.get(target).get(source).op("i32.sub").get(bytes).op("i32.lt_u").brIf(slow);
      code.get(target).get(source).get(bytes).memoryCopy();
    } else this.#fill(target, bytes, size);

    const advance = new Scalar(64, code.local("i64"));
    code.get(bytes).op("i64.extend_i32_u").set(advance.local);
    const by = this.truncate(advance, width);
    this.storeRegister(RDI, this.plus(to, by));
    if (moves) this.storeRegister(RSI, this.plus(from, by));
    const moved = new Scalar(64, code.local("i64"));
    code.get(n).op("i64.extend_i32_u").set(moved.local);
    const left = this.minus(count, this.truncate(moved, width));
    this.storeRegister(RCX, left);
    code.get(BUDGET).get(n).op("i32.sub").i32(1).op("i32.add").set(BUDGET);
    this.pushCondition(this.isZero(left)).brIf(done);
    this.#pauseOrGoOn(again, loop);
    code.end();
  }
  #sourceLinear(from: Scalar): Scalar {
    const { segment } = this.form;
    const offset = this.zeroExtend(from, 64);
    if (segment !== "fs" && segment !== "gs") return offset;
    this.push64(offset);
    this.code
      .get(CORE)
      .access("i64.load", segmentAt(segment) + SEG_BASE)
      .op("i64.add");
    return this.take(64);
  }
  /** Whole elements between a wasm address and the end of its page. */
  #pushRoom(host: number, size: Element) {
    const { code } = this;
    code
      .i32(PAGE)
      .get(host)
      .i32(PAGE - 1)
      .op("i32.and")
      .op("i32.sub");
    return code.i32(Math.log2(size)).op("i32.shr_u");
  }
  #least(n: number, push: () => void): void {
    const { code } = this;
    const other = code.local("i32");
    push();
    code.set(other);
    code.get(n).get(other).get(n).get(other).op("i32.lt_u").op("select").set(n);
  }
  #fill(target: number, bytes: number, size: Element): void {
    const { code } = this;
    const width = (size * 8) as Width;
    const value = this.register(RAX, width);
    const pattern = BigInt.asUintN(width, ALL_BYTES);
    this.push64(value).i64(0xffn).op("i64.and").i64(pattern).op("i64.mul");
    this.push64(value).op("i64.eq");
    code.if();
    code.get(target);
    this.push32(value).get(bytes).memoryFill();
    code.else();
    const end = code.local("i32");
    const at = code.local("i32");
    code.get(target).tee(at).get(bytes).op("i32.add").set(end);
    const loop = code.loop();
    code.get(at);
    const store = ({ 1: "i64.store8", 2: "i64.store16", 4: "i64.store32", 8: "i64.store" } as const)[size];
    this.push64(value).access(store);
    code.get(at).i32(size).op("i32.add").tee(at).get(end).op("i32.lt_u").brIf(loop);
    code.end();
    code.end();
  }
}
