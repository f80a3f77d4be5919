// Memory: the inline TLB check with its slow path, stores held back until commit, and locked read-modify-writes. Intel SDM vol. 3A, 9.1 (locked atomic operations).
//
// The fast path: a TLB tag equals the page of the operand's last byte, looked up under its first; so an operand that
// crosses pages never hits (where two neighbours share an entry, microcode/tlb.ts keeps the second from hitting). Pages that code was decoded from have no fast tag for stores.
// Invariant: a store happens at commit only, and everything that can fault comes before it.

import type { FormOperand } from "../form.js";
import type { Operand, Segment, Value, Width } from "../instructions/define.js";
import {
  ACCESS_READ,
  ACCESS_STACK,
  ACCESS_WRITE,
  OP_STACK_BASED,
  SCRATCH,
  TLB_HOST,
  TLB_READ,
  TLB_WRITE,
} from "../layout.js";
import type { Access, Atomic, Body, Label } from "../wasm.js";
import { Addresses } from "./addresses.js";
import { CORE } from "./flags.js";
import { SLOT, TYPE } from "./linkage.js";
import { BUDGET, OP } from "./op-fields.js";
import { pushTlbEntry } from "./tlb.js";
import { Scalar } from "./values.js";

const PAGE_OFFSET = 0xfffn;
const GENERAL_PROTECTION = 13;

type Bytes = 1 | 2 | 4 | 8 | 16;
// biome-ignore format: tables
const LOADS: Record<Bytes, Access> = { 1: "i64.load8_u", 2: "i64.load16_u", 4: "i64.load32_u", 8: "i64.load", 16: "v128.load" };
// biome-ignore format: tables
const STORES: Record<Bytes, Access> = { 1: "i64.store8", 2: "i64.store16", 4: "i64.store32", 8: "i64.store", 16: "v128.store" };
// biome-ignore format: tables
const ATOMIC_LOADS: Record<number, Atomic> = { 1: "i64.atomic.load8_u", 2: "i64.atomic.load16_u", 4: "i64.atomic.load32_u", 8: "i64.atomic.load" };
// biome-ignore format: tables
const EXCHANGES: Record<number, Atomic> = {
  1: "i64.atomic.rmw8.cmpxchg_u", 2: "i64.atomic.rmw16.cmpxchg_u", 4: "i64.atomic.rmw32.cmpxchg_u", 8: "i64.atomic.rmw.cmpxchg",
};

/** Whether the operand is relative to the stack: known, or a flag of the op. */
type Stack = "yes" | "no" | "flag";

/** Where an operand that the row also writes was found: a wasm address, or 0 for the slow path. */
interface Place {
  readonly linear: Scalar;
  readonly host: number;
  /** Never 0. */
  readonly fast: boolean;
  readonly bytes: Bytes;
  readonly stack: Stack;
  /** The value that a locked store must still find there. */
  expected?: Scalar;
}
export type Store =
  | { readonly kind: "place"; readonly place: Place; readonly value: StoredValue }
  | {
      readonly kind: "linear";
      readonly linear: Scalar;
      readonly bytes: Bytes;
      readonly stack: Stack;
      readonly value: StoredValue;
    };
type StoredValue = { readonly scalar: Value } | { readonly vector: number };

export class Memory extends Addresses {
  /** Stores of the scope that is open. */
  protected stores: Store[] = [];
  /** The row may have hit decoded code: its end must look at CODE_WRITTEN. What leaves for the form's own handler first has not. */
  protected mayStore = false;
  #places = new Map<Operand, Place>();
  /** Start of the compare-and-exchange loop of a locked form. */
  #retry: Label | undefined;

  #bytesOf(o: Operand): Bytes {
    const bytes = o.width / 8;
    if (LOADS[bytes as Bytes] === undefined) this.refuse(`memory operand of ${o.width} bits`);
    return bytes as Bytes;
  }

  #operandLinear(o: Operand, bytes: number, access: number): Scalar {
    const [segment, offset] = [this.segmentOf(o), this.address(o)];
    if (bytes === 16 && this.form.row.aligned) {
      // Before the segment's limit, which in SS is another exception: so AMD's processors have it.
      this.pushBased(segment, offset).i64(15n).op("i64.and").i64(0n).op("i64.ne");
      this.faultWhen(this.takeBit(), GENERAL_PROTECTION, 0);
    }
    return this.linear(segment, offset, bytes, access);
  }

  // --- the TLB ---
  /** Leaves the address of the TLB entry in a local, and 1 on the stack when the tag hits. */
  #lookUp(linear: Scalar, bytes: number, tag: number): number {
    const { code } = this;
    const entry = code.local("i32");
    pushTlbEntry(code, () => this.push64(linear))
      .tee(entry)
      .access("i64.load", tag);
    this.push64(linear);
    if (bytes > 1) code.i64(BigInt(bytes - 1)).op("i64.add");
    code.i64(~PAGE_OFFSET).op("i64.and").op("i64.eq");
    return entry;
  }
  /** The wasm address of a byte in plain RAM, in a local; branches to `otherwise` where there is no fast way. */
  protected fastHost(linear: Scalar, bytes: number, access: "read" | "write", otherwise: Label): number {
    const { code } = this;
    const host = code.local("i32");
    const entry = this.#lookUp(linear, bytes, access === "read" ? TLB_READ : TLB_WRITE);
    code.op("i32.eqz").brIf(otherwise);
    this.#pushHost(entry, linear).set(host);
    return host;
  }
  /** Behind lookUp: without a hit the op begins anew, if it may. Otherwise the hit is still on the stack. */
  #missesLeave(): boolean {
    const { anew } = this;
    if (anew !== undefined) this.code.op("i32.eqz").brIf(anew);
    return anew !== undefined;
  }
  #pushHost(entry: number, linear: Scalar): Body {
    this.code.get(entry).access("i32.load", TLB_HOST);
    return this.push64(linear).op("i32.wrap_i64").i32(Number(PAGE_OFFSET)).op("i32.and").op("i32.add");
  }
  /** Pushes the operand's bytes with ACCESS_STACK, as the slow calls take them. */
  #pushBytes(bytes: number, stack: Stack): void {
    const { code } = this;
    code.i64(BigInt(bytes | (stack === "yes" ? ACCESS_STACK : 0)));
    if (stack !== "flag") return;
    this.fields.pushFlags(code).i64(BigInt(OP_STACK_BASED)).op("i64.and");
    code
      .i64(BigInt(Math.log2(ACCESS_STACK / OP_STACK_BASED)))
      .op("i64.shl")
      .op("i64.or");
  }
  #slow(slot: number, type: number, linear: Scalar, bytes: number, stack: Stack, value?: () => void): void {
    const { code } = this;
    code.get(CORE).get(OP).get(BUDGET);
    this.push64(linear);
    this.#pushBytes(bytes, stack);
    value?.();
    code.i32(slot).callIndirect(type);
  }
  #stackOf(segment: Segment): Stack {
    return segment === "ss" ? "yes" : "no";
  }
  /** In 64-bit mode the op's flag says whether the operand is in SS; elsewhere limits were checked. */
  #stackOfOperand(o: Operand): Stack {
    return this.form.mode64 && (o as FormOperand).place === "modrm" ? "flag" : "no";
  }

  // --- loads ---
  #loadAt(linear: Scalar, width: Width, stack: Stack): Scalar {
    const { code } = this;
    const bytes = (width / 8) as Bytes;
    const value = code.local("i64");
    const entry = this.#lookUp(linear, bytes, TLB_READ);
    if (this.#missesLeave()) {
      this.#pushHost(entry, linear).access(LOADS[bytes]).set(value);
      return new Scalar(width, value);
    }
    code.if();
    this.#pushHost(entry, linear).access(LOADS[bytes]).set(value);
    code.else();
    this.#slow(SLOT.loadSlow, TYPE.loadSlow, linear, bytes, stack);
    code.set(value);
    this.checkFault();
    code.end();
    return new Scalar(width, value);
  }
  #loadVectorAt(linear: Scalar, stack: Stack): number {
    const { code } = this;
    const value = code.local("v128");
    const entry = this.#lookUp(linear, 16, TLB_READ);
    if (this.#missesLeave()) {
      this.#pushHost(entry, linear).access("v128.load").set(value);
      return value;
    }
    code.if();
    this.#pushHost(entry, linear).access("v128.load").set(value);
    code.else();
    this.#slow(SLOT.loadSlow, TYPE.loadSlow, linear, 16, stack);
    code.op("drop");
    this.checkFault();
    code.get(CORE).access("v128.load", SCRATCH).set(value);
    code.end();
    return value;
  }
  protected getMemory(o: Operand): Scalar {
    const bytes = this.#bytesOf(o);
    if (bytes === 16) this.refuse("a 128-bit operand is no scalar");
    const width = o.width as Width;
    if ((o as FormOperand).access === "rw" || this.#places.has(o)) return this.#getWritable(o, bytes, width);
    return this.#loadAt(this.#operandLinear(o, bytes, ACCESS_READ), width, this.#stackOfOperand(o));
  }
  protected getMemoryLow(o: Operand, width: Width): Scalar {
    return this.#loadAt(this.#operandLinear(o, width / 8, ACCESS_READ), width, this.#stackOfOperand(o));
  }
  protected getMemoryVector(o: Operand): number {
    if ((o as FormOperand).access === "rw" || this.#places.has(o)) {
      const place = this.#place(o, 16);
      const { code } = this;
      const value = code.local("v128");
      if (place.fast) {
        code.get(place.host).access("v128.load").set(value);
        return value;
      }
      code.get(place.host);
      code.if();
      code.get(place.host).access("v128.load").set(value);
      code.else();
      this.#slow(SLOT.loadSlow, TYPE.loadSlow, place.linear, 16, place.stack);
      code.op("drop");
      this.checkFault();
      code.get(CORE).access("v128.load", SCRATCH).set(value);
      code.end();
      return value;
    }
    return this.#loadVectorAt(this.#operandLinear(o, 16, ACCESS_READ), this.#stackOfOperand(o));
  }
  load(segment: Segment, offset: Value, width: Width): Scalar {
    return this.#loadAt(this.linear(segment, offset, width / 8, ACCESS_READ), width, this.#stackOf(segment));
  }

  // --- operands that are read and written ---
  writable(o: Operand): void {
    if (o.kind === "memory") this.#place(o, this.#bytesOf(o));
  }
  probe(segment: Segment, offset: Value, width: Width): void {
    const linear = this.linear(segment, offset, width / 8, ACCESS_WRITE);
    this.#probe(linear, width / 8, this.#stackOf(segment));
  }
  /** What the stores that are held back fault with comes now: before another fault that is due. */
  protected probeStores(): void {
    for (const store of this.stores)
      if (store.kind === "linear") this.#probe(store.linear, store.bytes, store.stack);
  }
  #probe(linear: Scalar, bytes: number, stack: Stack): void {
    this.#lookUp(linear, bytes, TLB_WRITE);
    if (this.#missesLeave()) return;
    this.code.op("i32.eqz");
    this.code.if();
    this.#slow(SLOT.probeWrite, TYPE.loadSlow, linear, bytes, stack);
    this.code.op("drop");
    this.checkFault();
    this.code.end();
  }
  #getWritable(o: Operand, bytes: Bytes, width: Width): Scalar {
    const { code } = this;
    const place = this.#place(o, bytes);
    const value = code.local("i64");
    if (this.form.lock === "atomic") {
      code.get(place.host).atomic(ATOMIC_LOADS[bytes]).set(value);
      place.expected = new Scalar(width, value);
      return place.expected;
    }
    if (place.fast) {
      code.get(place.host).access(LOADS[bytes]).set(value);
      return new Scalar(width, value);
    }
    code.get(place.host);
    code.if();
    code.get(place.host).access(LOADS[bytes]).set(value);
    code.else();
    this.#slow(SLOT.loadSlow, TYPE.loadSlow, place.linear, bytes, place.stack);
    code.set(value);
    this.checkFault();
    code.end();
    return new Scalar(width, value);
  }
  #place(o: Operand, bytes: Bytes): Place {
    const known = this.#places.get(o);
    if (known !== undefined) return known;
    const linear = this.#operandLinear(o, bytes, ACCESS_WRITE);
    const fast = this.anew !== undefined;
    const place: Place = {
      linear,
      host: this.code.local("i32"),
      fast,
      bytes,
      stack: this.#stackOfOperand(o),
    };
    this.#places.set(o, place);
    if (!fast) this.mayStore = true;
    if (this.form.lock === "atomic") this.#lockPlace(place);
    else this.#findPlace(place);
    return place;
  }
  #findPlace({ linear, host, bytes, stack }: Place): void {
    const { code } = this;
    const entry = this.#lookUp(linear, bytes, TLB_WRITE);
    if (this.#missesLeave()) {
      this.#pushHost(entry, linear).set(host);
      return;
    }
    code.if();
    this.#pushHost(entry, linear).set(host);
    code.else();
    this.#slow(SLOT.probeWrite, TYPE.loadSlow, linear, bytes, stack);
    code.op("drop");
    this.checkFault();
    code.end();
  }
  /** Aligned, in plain RAM: atomics from here on, in a loop until the exchange succeeds. Else the bus lock. */
  #lockPlace(place: Place): void {
    const { code } = this;
    const { linear, host, bytes } = place;
    if (this.#retry !== undefined) this.refuse("two locked operands");
    this.push64(linear)
      .i64(BigInt(bytes - 1))
      .op("i64.and")
      .op("i64.eqz");
    if (this.#missesLeave()) {
      this.#findPlace(place);
      this.#retry = code.loop();
      return;
    }
    code.if();
    this.#findPlace(place);
    code.get(host).op("i32.eqz"); // a TLB miss: probeWrite has filled the entry, unless it cannot be fast
    code.if();
    this.#findPlace(place);
    code.end();
    code.end();
    code.get(host).op("i32.eqz");
    code.if();
    this.leaveTo(this.busSlot);
    code.end();
    this.#retry = code.loop();
  }
  protected closeLock(): void {
    if (this.#retry !== undefined) this.code.end();
    else if (this.form.lock === "atomic") this.refuse("a locked row must get() its destination");
  }

  // --- stores: held back ---
  protected setMemory(o: Operand, bytes: number, value: StoredValue): void {
    const place = this.#places.get(o);
    if (place !== undefined) {
      if (place.bytes !== bytes) this.refuse("stores another width than it loaded");
      this.stores.push({ kind: "place", place, value });
      return;
    }
    if (this.form.lock !== "no") this.refuse("a locked row must get() its destination");
    const linear = this.#operandLinear(o, bytes, ACCESS_WRITE);
    const stack = this.#stackOfOperand(o);
    this.stores.push({ kind: "linear", linear, bytes: bytes as Bytes, stack, value });
  }
  store(segment: Segment, offset: Value, v: Value): void {
    const bytes = (v.width / 8) as Bytes;
    const linear = this.linear(segment, offset, bytes, ACCESS_WRITE);
    const stack = this.#stackOf(segment);
    this.stores.push({ kind: "linear", linear, bytes, stack, value: { scalar: v } });
  }

  protected commitStores(): void {
    for (const store of this.stores) {
      if (store.kind === "linear") this.#storeAt(store.linear, store.bytes, store.stack, store.value);
      else if (this.form.lock === "atomic") this.#exchange(store.place, store.value);
      else this.#storePlace(store.place, store.value);
      this.begun = true;
    }
  }
  #pushValue(value: StoredValue): Body {
    return "scalar" in value ? this.push64(value.scalar) : this.code.get(value.vector);
  }
  #exchange(place: Place, value: StoredValue): void {
    const { expected } = place;
    if (expected === undefined || this.#retry === undefined)
      this.refuse("a locked row must get() its destination");
    this.code.get(place.host);
    this.push64(expected);
    this.#pushValue(value).atomic(EXCHANGES[place.bytes]);
    this.push64(expected).op("i64.ne").brIf(this.#retry);
  }
  #storePlace({ host, linear, fast, bytes, stack }: Place, value: StoredValue): void {
    const { code } = this;
    if (fast) {
      code.get(host);
      this.#pushValue(value).access(STORES[bytes]);
      return;
    }
    code.get(host);
    code.if();
    code.get(host);
    this.#pushValue(value).access(STORES[bytes]);
    code.else();
    this.#storeSlow(linear, bytes, stack, value);
    code.end();
  }
  #storeAt(linear: Scalar, bytes: Bytes, stack: Stack, value: StoredValue): void {
    const { code } = this;
    const entry = this.#lookUp(linear, bytes, TLB_WRITE);
    if (this.#missesLeave()) {
      this.#pushHost(entry, linear);
      this.#pushValue(value).access(STORES[bytes]);
      return;
    }
    code.if();
    this.#pushHost(entry, linear);
    this.#pushValue(value).access(STORES[bytes]);
    code.else();
    this.#storeSlow(linear, bytes, stack, value);
    code.end();
  }
  #storeSlow(linear: Scalar, bytes: Bytes, stack: Stack, value: StoredValue): void {
    const { code } = this;
    this.mayStore = true;
    if ("vector" in value) code.get(CORE).get(value.vector).access("v128.store", SCRATCH);
    this.#slow(SLOT.storeSlow, TYPE.storeSlow, linear, bytes, stack, () =>
      "scalar" in value ? this.push64(value.scalar) : code.i64(0n),
    );
    this.checkFault();
  }
}
