// Runs of a repeated string instruction: many iterations at once while every place lies in plain RAM, in one page each,
// and in a plain segment. MOVS and STOS do a run and look again; SCAS and CMPS pass over the elements that do not end
// them, and leave the last to the row, for its flags. Intel SDM vol. 1, 7.3.9.3 (fast-string operation).
//
// Invariants:
// - A run has the effect of so many iterations in their order, overlapping places included, and cannot fault.
// - An iteration is an instruction to the budget, however it was done.

import { Mnemonic } from "../decode.js";
import { RAX, RCX, RDI, RSI, type Segment, type Width } from "../instructions/define.js";
import { ACCESS_READ, ACCESS_WRITE, FLAGS_OTHER, SEG_LIMIT } from "../layout.js";
import type { Access, Label } from "../wasm.js";
import { segmentAt } from "./addresses.js";
import { CORE } from "./flags.js";
import { BUDGET } from "./op-fields.js";
import { Transfers } from "./transfers.js";
import { Scalar } from "./values.js";

type Kind = "move" | "fill" | "scan" | "compare";
type Element = 1 | 2 | 4 | 8;
// biome-ignore format: a table
const RUNS: Partial<Record<Mnemonic, readonly [Kind, Element]>> = {
  [Mnemonic.Movsb]: ["move", 1], [Mnemonic.Movsw]: ["move", 2], [Mnemonic.Movsd]: ["move", 4], [Mnemonic.Movsq]: ["move", 8],
  [Mnemonic.Stosb]: ["fill", 1], [Mnemonic.Stosw]: ["fill", 2], [Mnemonic.Stosd]: ["fill", 4], [Mnemonic.Stosq]: ["fill", 8],
  [Mnemonic.Scasb]: ["scan", 1], [Mnemonic.Scasw]: ["scan", 2], [Mnemonic.Scasd]: ["scan", 4], [Mnemonic.Scasq]: ["scan", 8],
  [Mnemonic.Cmpsb]: ["compare", 1], [Mnemonic.Cmpsw]: ["compare", 2], [Mnemonic.Cmpsd]: ["compare", 4], [Mnemonic.Cmpsq]: ["compare", 8],
};
// biome-ignore format: tables
const LOADS: Record<Element, Access> = { 1: "i64.load8_u", 2: "i64.load16_u", 4: "i64.load32_u", 8: "i64.load" };
// biome-ignore format: tables
const STORES: Record<Element, Access> = { 1: "i64.store8", 2: "i64.store16", 4: "i64.store32", 8: "i64.store" };
const FLAG_DF = 0x400;
const PAGE = 0x1000;
/** Each byte of an element that is filled with one byte. */
const ALL_BYTES = 0x0101_0101_0101_0101n;

type Index = typeof RSI | typeof RDI;

/** The run under way, as values; `from` and `to` are wasm addresses of the first elements. */
interface Run {
  readonly kind: Kind;
  readonly size: Element;
  /** DF: the places go down. */
  readonly down: boolean;
  readonly elements: Scalar;
  readonly bytes: Scalar;
  readonly from: number;
  readonly to: number;
}

export abstract class Runs extends Transfers {
  /**
   * The same effect as so many iterations, where it can be had; falls through to the row's own iteration where not, and
   * after a scan. After a run of stores `moved` gets the count that is left, and says where to go on.
   */
  protected manyAtOnce(moved: (left: Scalar) => void): void {
    const { code } = this;
    const found = RUNS[this.form.mnemonic as Mnemonic];
    if (found === undefined) return;
    const slow = code.block();
    const upwards = code.block();
    code.get(CORE).access("i32.load", FLAGS_OTHER).i32(FLAG_DF).op("i32.and").op("i32.eqz").brIf(upwards);
    this.#run(...found, true, slow, moved);
    code.br(slow);
    code.end();
    this.#run(...found, false, slow, moved);
    code.end();
  }

  #run(kind: Kind, size: Element, down: boolean, slow: Label, moved: (left: Scalar) => void): void {
    const { code, form } = this;
    const stores = kind === "move" || kind === "fill";
    const count = this.register(RCX, form.addressSize);
    code.get(BUDGET).op("i64.extend_i32_s");
    const budget = this.take(64);

    const to = this.#place(RDI, size, stores ? "write" : "read", slow);
    const from = kind === "move" || kind === "compare" ? this.#place(RSI, size, "read", slow) : to;
    // The first iteration is paid for already; of a scan that is the last one, which is the row's.
    const one = this.constant(1, 64);
    let elements = this.#least(this.zeroExtend(count, 64), this.#room(RDI, to, size, down));
    if (from !== to) elements = this.#least(elements, this.#room(RSI, from, size, down));
    this.push64(this.lessSigned(budget, one));
    code.op("i32.wrap_i64").brIf(slow);
    elements = this.#least(elements, this.plus(budget, one));
    if (!stores) elements = this.minus(elements, one);
    this.pushCondition(this.lessUnsigned(elements, this.constant(stores ? 2 : 1, 64))).brIf(slow);

    const shift = this.constant(Math.log2(size), 64);
    const run = { kind, size, down, from, to };
    if (!stores) elements = this.#scan({ ...run, elements, bytes: elements }, slow);
    const bytes = this.shiftLeft(elements, shift);
    if (kind === "move") this.#move({ ...run, elements, bytes });
    if (kind === "fill") this.#fill({ ...run, elements, bytes });
    const left = this.#advance({ ...run, elements, bytes }, count);
    if (stores) moved(left);
  }

  /** Registers and budget after the run; gives the new count. */
  #advance({ kind, down, elements, bytes }: Run, count: Scalar): Scalar {
    const { code, form } = this;
    const width = form.addressSize;
    const by = down ? this.minus(this.constant(0, 64), bytes) : bytes;
    for (const r of kind === "move" || kind === "compare" ? ([RDI, RSI] as const) : ([RDI] as const))
      this.storeRegister(r, this.plus(this.register(r, width), this.truncate(by, width)));
    const left = this.minus(count, this.truncate(elements, width));
    this.storeRegister(RCX, left);
    code.get(BUDGET);
    this.push64(elements).op("i32.wrap_i64").op("i32.sub");
    if (kind === "move" || kind === "fill") code.i32(1).op("i32.add");
    code.set(BUDGET);
    return left;
  }

  // --- where, and how many ---
  #segment(index: Index): Segment {
    return index === RDI ? "es" : this.form.segment;
  }
  /** The wasm address at which an index register points. */
  #place(index: Index, size: Element, access: "read" | "write", slow: Label): number {
    const offset = this.register(index, this.form.addressSize);
    const kind = access === "read" ? ACCESS_READ : ACCESS_WRITE;
    const wide = this.zeroExtend(offset, 64);
    return this.fastHost(this.plainLinear(this.#segment(index), wide, size, kind, slow), size, access, slow);
  }
  /** Whole elements from there on in the page, before the register wraps and before the segment ends. */
  #room(index: Index, host: number, size: Element, down: boolean): Scalar {
    const { code, form } = this;
    const width = form.addressSize;
    code.get(host).i32(PAGE - 1).op("i32.and").op("i64.extend_i32_u"); // biome-ignore format: a term
    const inPage = this.#count(this.take(64), this.constant(PAGE - 1, 64), size, down);
    if (width === 64) return inPage;
    const offset = this.zeroExtend(this.register(index, width), 64);
    let last = this.constant((1n << BigInt(width)) - 1n, 64);
    if (!form.mode64) {
      code.get(CORE).access("i64.load32_u", segmentAt(this.#segment(index)) + SEG_LIMIT);
      last = this.#least(last, this.take(64));
    }
    return this.#least(inPage, this.#count(offset, last, size, down));
  }
  /** Elements from an offset up to the last byte, or down to 0; the first is known to fit. */
  #count(offset: Scalar, last: Scalar, size: Element, down: boolean): Scalar {
    const shift = this.constant(Math.log2(size), 64);
    const one = this.constant(1, 64);
    if (down) return this.plus(this.shiftRight(offset, shift), one);
    return this.shiftRight(this.plus(this.minus(last, offset), one), shift);
  }
  #least(a: Scalar, b: Scalar): Scalar {
    return this.select(this.lessUnsigned(a, b), a, b);
  }

  // --- the effect ---
  /** Pushes the wasm address of the run's lowest byte. */
  #pushLowest(host: number, { size, down, bytes }: Run): void {
    const { code } = this;
    code.get(host);
    if (down) this.push64(bytes).op("i32.wrap_i64").i32(size).op("i32.sub").op("i32.sub");
  }
  #move(run: Run): void {
    const { code } = this;
    const { from, to, down, bytes } = run;
    // Where a store hits an element that has not been copied yet, the order shows: then one by one.
    const [first, second] = down ? [from, to] : [to, from];
    code.get(first).get(second).op("i32.sub");
    this.push64(bytes).op("i32.wrap_i64").op("i32.ge_u");
    code.get(to).get(from).op("i32.eq").op("i32.or");
    code.if();
    this.#pushLowest(to, run);
    this.#pushLowest(from, run);
    this.push64(bytes).op("i32.wrap_i64").memoryCopy();
    code.else();
    this.#each(run, (source, target) => {
      code.get(target).get(source).access(LOADS[run.size]).access(STORES[run.size]);
    });
    code.end();
  }
  #fill(run: Run): void {
    const { code } = this;
    const { size, bytes } = run;
    const width = (size * 8) as Width;
    const value = this.register(RAX, width);
    const pattern = BigInt.asUintN(width, ALL_BYTES);
    this.push64(value).i64(0xffn).op("i64.and").i64(pattern).op("i64.mul");
    this.push64(value).op("i64.eq");
    code.if();
    this.#pushLowest(run.to, run);
    this.push32(value);
    this.push64(bytes).op("i32.wrap_i64").memoryFill();
    code.else();
    this.#each(run, (_source, target) => {
      code.get(target);
      this.push64(value).access(STORES[size]);
    });
    code.end();
  }
  /** How many elements do not end the instruction; none: to `slow`. */
  #scan(run: Run, slow: Label): Scalar {
    const { code, form } = this;
    const { kind, size } = run;
    const value = kind === "scan" ? this.register(RAX, (size * 8) as Width) : undefined;
    const passed = new Scalar(64, code.local("i64"));
    code.i64(0n).set(passed.local);
    this.#each(run, (source, target, end) => {
      if (value === undefined) code.get(source).access(LOADS[size]);
      else this.push64(value);
      code
        .get(target)
        .access(LOADS[size])
        .op(form.repeat === "equal" ? "i64.ne" : "i64.eq")
        .brIf(end);
      code.get(passed.local).i64(1n).op("i64.add").set(passed.local);
    });
    this.push64(passed).op("i64.eqz").brIf(slow);
    return passed;
  }
  /** Element by element, in their order. */
  #each(run: Run, body: (source: number, target: number, end: Label) => void): void {
    const { code } = this;
    const { size, down, elements, from, to } = run;
    const step = down ? -size : size;
    const [source, target] = [code.local("i32"), code.local("i32")];
    const rest = code.local("i64");
    code.get(from).set(source).get(to).set(target);
    this.push64(elements).set(rest);
    const end = code.block();
    const loop = code.loop();
    body(source, target, end);
    code.get(source).i32(step).op("i32.add").set(source);
    code.get(target).i32(step).op("i32.add").set(target);
    code.get(rest).i64(1n).op("i64.sub").tee(rest).i64(0n).op("i64.ne").brIf(loop);
    code.end();
    code.end();
  }
}
