// REP: a row is one iteration; here is the loop around it. The count in rCX, the index registers and the flags are
// committed with each iteration, so the instruction may stop between any two, with RIP still at its start, and go on
// from there: on faults, when the budget is spent and when something wants attention (Intel SDM vol. 2B, REP).
//
// runs.ts does many iterations at once where nobody can tell.
// Invariant: an iteration is an instruction to the budget, however it was done.

import { RCX } from "../instructions/define.js";
import { ATTENTION, CODE_WRITTEN, PERF_REPEAT, PERF_SKEW, REPEATING } from "../layout.js";
import { NOT_REPEATING } from "../performance.js";
import type { Label } from "../wasm.js";
import { CORE } from "./flags.js";
import { BUDGET } from "./op-fields.js";
import { Runs } from "./runs.js";

export abstract class Repeats extends Runs {
  /** Emits one iteration, with its commit. */
  protected abstract iteration(): void;

  protected repeated(): void {
    const { code, form } = this;
    const width = form.addressSize;
    this.pushCondition(this.isZero(this.register(RCX, width)));
    code.if();
    this.next();
    code.end();
    code.get(CORE).get(BUDGET).access("i32.store", PERF_REPEAT);
    const done = code.block();
    const again = code.block();
    const loop = code.loop();
    this.manyAtOnce((rest) => {
      this.pushCondition(this.isZero(rest)).brIf(done);
      this.#pauseOrGoOn(again, loop);
    });
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
    this.#noteIterations(1);
    this.setRip(this.thisRip());
    this.enterAnew();
    code.end();
    this.#repeating(0);
    this.#noteIterations(0);
    this.next();
  }

  /** What was charged since the instruction began, besides itself, is no instruction to the performance counters. */
  #noteIterations(itself: 0 | 1): void {
    const { code } = this;
    code.get(CORE);
    code.get(CORE).access("i64.load", PERF_SKEW);
    code.get(CORE).access("i32.load", PERF_REPEAT).get(BUDGET).op("i32.sub").i32(itself).op("i32.add");
    code.op("i64.extend_i32_u").op("i64.add").access("i64.store", PERF_SKEW);
    code.get(CORE).i32(NOT_REPEATING).access("i32.store", PERF_REPEAT);
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
}
