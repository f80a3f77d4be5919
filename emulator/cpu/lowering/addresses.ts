// Addresses: what an operand's is, what segmentation makes of it, and how a handler leaves when that faults. Intel SDM
// vol. 3A, 3.4 and 5.3.
//
// Outside 64-bit mode most segments are data that grow upwards: what such a segment allows is checked here, the rest by
// the microcode.

import type { Form, FormOperand } from "../form.js";
import type { Operand, Segment, Value } from "../instructions/define.js";
import {
  ACCESS_WRITE,
  FAULT_ERROR,
  FAULT_HAS_ERROR,
  FAULT_VECTOR,
  GPR,
  OP_STACK_BASED,
  SEG_ATTRIBUTES,
  SEG_BASE,
  SEG_LIMIT,
  SEGMENT_BYTES,
  SEGMENTS,
  STORES_WAITING,
} from "../layout.js";
import type { Body, Label } from "../wasm.js";
import { CORE, Flags } from "./flags.js";
import { type Linkage, SLOT, TYPE } from "./linkage.js";
import { BUDGET, OP, type OpFields, recordFields } from "./op-fields.js";
import { Scalar } from "./values.js";

const SEGMENT_NUMBERS: Record<Segment, number> = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5 };
export const segmentAt = (s: Segment): number => SEGMENTS + SEGMENT_NUMBERS[s] * SEGMENT_BYTES;

// Attributes as SEG_ATTRIBUTES has them
const WRITABLE = 0x200; // in code: readable
const EXPAND_DOWN = 0x400; // in code: conforming
const EXECUTABLE = 0x800;
const PRESENT = 0x8000;
/** The attributes of segments that allow an access anywhere up to their limit. Real mode allows more. */
const PLAIN_SEGMENTS = {
  read: { mask: PRESENT | EXECUTABLE | EXPAND_DOWN, wanted: PRESENT },
  written: { mask: PRESENT | EXECUTABLE | EXPAND_DOWN | WRITABLE, wanted: PRESENT | WRITABLE },
  code: { mask: PRESENT | EXECUTABLE | WRITABLE, wanted: PRESENT | EXECUTABLE | WRITABLE },
} as const;

/** A memory operand that lies further on: what displaced() gives. */
interface Displaced extends FormOperand {
  readonly by: Value;
}

/** Where an op's code stands. */
export interface CodePlace {
  readonly fields: OpFields;
  /** The next op's code follows in the same function. */
  readonly runsOn: boolean;
  /** Leads to the form's own handler, which begins the op anew; undefined: this is that handler. */
  readonly anew: Label | undefined;
}
/** A handler that serves every op of its form. */
export const ownHandler: CodePlace = { fields: recordFields, runsOn: false, anew: undefined };

export class Addresses extends Flags {
  /** The op has done something that must not be done twice. */
  protected begun = false;

  constructor(
    code: Body,
    protected readonly form: Form,
    protected readonly linkage: Linkage,
    /** Table slot of the bus-locked twin of an atomic form. */
    protected readonly busSlot: number,
    protected readonly place: CodePlace,
  ) {
    super(code, form.name);
  }

  protected get fields(): OpFields {
    return this.place.fields;
  }

  // --- leaving a handler ---
  /** For whatever is rare: to the form's own handler, where there is another and nothing has been done yet. */
  protected get anew(): Label | undefined {
    return this.begun ? undefined : this.place.anew;
  }
  /** Calls another handler-shaped function in tail position. */
  protected leaveTo(slot: number): void {
    this.code.get(CORE).get(OP).get(BUDGET).i32(slot).returnCallIndirect(TYPE.handler);
  }
  protected leaveWithFault(): void {
    this.releaseBus();
    this.leaveTo(SLOT.fault);
  }
  protected releaseBus(): void {
    if (this.form.lock === "bus") this.code.get(CORE).i32(SLOT.unlockBus).callIndirect(TYPE.core);
  }
  protected checkFault(): void {
    this.code.get(CORE).access("i32.load", FAULT_VECTOR).i32(0).op("i32.ge_s");
    this.code.if();
    this.leaveWithFault();
    this.code.end();
  }
  faultWhen(condition: Value, vector: number, error?: Value | number): void {
    this.pushCondition(condition);
    const { anew } = this;
    if (anew !== undefined) {
      this.code.brIf(anew);
      return;
    }
    this.code.if();
    this.fault(vector, error);
    this.code.end();
  }
  fault(vector: number, error?: Value | number): void {
    const { code } = this;
    code.get(CORE).i32(vector).access("i32.store", FAULT_VECTOR);
    code.get(CORE);
    if (typeof error === "object") this.push32(error);
    else code.i32(error ?? 0);
    code.access("i32.store", FAULT_ERROR);
    code
      .get(CORE)
      .i32(error === undefined ? 0 : 1)
      .access("i32.store", FAULT_HAS_ERROR);
    this.leaveWithFault();
  }

  /** Empties the store buffer, where there is one (microcode/store-buffer.ts). */
  protected drainStores(): void {
    this.begun = true;
    const { slot, type } = this.linkage.function("drainStores");
    this.code.get(CORE).access("i32.load", STORES_WAITING);
    this.code.if();
    this.code.get(CORE).i64(-1n).i32(slot).callIndirect(type).op("drop");
    this.code.end();
  }

  // --- addresses ---
  address(o: Operand): Scalar {
    const { place, index } = this.memoryOperand(o);
    const width = this.form.addressSize;
    const { code } = this;
    if (place === "si" || place === "di") {
      const register = place === "si" ? 6 : 7;
      code
        .get(CORE)
        .access(
          width === 64 ? "i64.load" : width === 32 ? "i64.load32_u" : "i64.load16_u",
          GPR + 8 * register,
        );
    } else {
      if (place !== "modrm") this.refuse(`operand ${index} has no address`);
      this.fields.pushBase(code);
      this.fields.pushDisplacement(code).op("i64.add");
      if (this.form.indexed) this.fields.pushIndex(code).op("i64.add");
    }
    const by = (o as Displaced).by as Value | undefined;
    if (by === undefined) return place === "modrm" ? this.takeMasked(width) : this.take(width);
    this.pushSigned(by).op("i64.add");
    return this.takeMasked(width);
  }
  displaced(o: Operand, bytes: Value): Operand {
    const before = (o as Displaced).by as Value | undefined;
    const displaced: Displaced = {
      ...this.memoryOperand(o),
      by: before === undefined ? bytes : this.plus(before, bytes),
    };
    return displaced;
  }
  isMemory(o: Operand): boolean {
    return o.kind === "memory";
  }
  segmentOf(o?: Operand): Segment {
    return (o as FormOperand | undefined)?.place === "di" ? "es" : this.form.segment;
  }
  segmentNumber(o: Operand): Scalar {
    const { code } = this;
    const segment = this.segmentOf(o);
    code.i64(BigInt(SEGMENT_NUMBERS[segment]));
    if (this.form.mode64 && segment === "ds" && (o as FormOperand).place === "modrm") {
      code.i64(BigInt(SEGMENT_NUMBERS.ss));
      this.fields.pushFlags(code).i64(BigInt(OP_STACK_BASED)).op("i64.and").op("i64.eqz").op("select");
    }
    return this.take(64);
  }
  protected memoryOperand(o: Operand): FormOperand {
    if (o.kind !== "memory") this.refuse(`a ${o.kind} operand is no memory`);
    return o as FormOperand;
  }
  /** After segmentation; outside 64-bit mode with its type and limit checks. */
  protected linear(segment: Segment, offset: Value, bytes: number, access: number): Scalar {
    if (this.form.mode64) {
      if (segment !== "fs" && segment !== "gs") return offset as Scalar;
      this.pushBased(segment, offset);
      return this.take(64);
    }
    const { code } = this;
    // Most segments are data that grow upwards: what they allow is seen here, the rest by the microcode.
    const { anew } = this;
    if (anew !== undefined) return this.plainLinear(segment, offset, bytes, access, anew);
    const linear = new Scalar(64, code.local("i64"));
    this.#pushAllowed(segment, offset, bytes, access);
    code.if();
    this.pushBased(segment, offset).set(linear.local);
    code.else();
    const { slot, type } = this.linkage.function("linear");
    code.get(CORE).i64(BigInt(SEGMENT_NUMBERS[segment]));
    this.push64(offset).i64(BigInt(bytes)).i64(BigInt(access)).i32(slot).callIndirect(type);
    code.set(linear.local);
    this.checkFault();
    code.end();
    return linear;
  }
  /** The same where a plain segment allows it; branches to `otherwise` where only the microcode can tell. */
  protected plainLinear(
    segment: Segment,
    offset: Value,
    bytes: number,
    access: number,
    otherwise: Label,
  ): Scalar {
    if (this.form.mode64) return this.linear(segment, offset, bytes, access);
    this.#pushAllowed(segment, offset, bytes, access).op("i32.eqz").brIf(otherwise);
    this.pushBased(segment, offset);
    return this.take(64);
  }
  /** Outside 64-bit mode: 1 for a present segment of the right type, not expand-down, that holds all the bytes. */
  #pushAllowed(segment: Segment, offset: Value, bytes: number, access: number): Body {
    const { mask, wanted } =
      PLAIN_SEGMENTS[access === ACCESS_WRITE ? "written" : segment === "cs" ? "code" : "read"];
    const { code } = this;
    const at = segmentAt(segment);
    code
      .get(CORE)
      .access("i32.load", at + SEG_ATTRIBUTES)
      .i32(mask)
      .op("i32.and")
      .i32(wanted)
      .op("i32.eq");
    this.push64(offset);
    if (bytes > 1) code.i64(BigInt(bytes - 1)).op("i64.add");
    code
      .get(CORE)
      .access("i64.load32_u", at + SEG_LIMIT)
      .op("i64.le_u");
    return code.op("i32.and");
  }
  /** The linear address, whether or not it may be had. In 64-bit mode only FS and GS have a base. */
  protected pushBased(segment: Segment, offset: Value): Body {
    this.push64(offset);
    if (this.form.mode64 && segment !== "fs" && segment !== "gs") return this.code;
    this.code
      .get(CORE)
      .access("i64.load", segmentAt(segment) + SEG_BASE)
      .op("i64.add");
    return this.form.mode64 ? this.code : this.code.i64(0xffff_ffffn).op("i64.and");
  }
}
