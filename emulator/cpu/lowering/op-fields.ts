// What differs between the ops of one form: register numbers, displacement, immediates (layout.ts, OP_*). A handler that
// serves all of them reads it from the op's record; code for one op alone (fused blocks, fusion.ts) has it written in.
// Invariant: both push the same values, so a handler means the same either way.

import { type Form, hasDisplacement, hasShort, isNearBranch } from "../form.js";
import type { Width } from "../instructions/define.js";
import {
  OP_BASE,
  OP_FLAGS,
  OP_IMMEDIATE2,
  OP_INDEX,
  OP_LENGTH,
  OP_LONG,
  OP_OFFSET,
  OP_REGISTERS,
  OP_REST,
  OP_SCALE,
  OP_SHORT,
  OP_STACK_BASED,
  ZERO,
} from "../layout.js";
import type { Body } from "../wasm.js";
import { CORE } from "./flags.js";

/** The locals of the other two parameters of every handler. */
export const OP = 1;
export const BUDGET = 2;

export interface OpFields {
  /** Pushes an address (i32); the register operand stands so many bytes behind it. */
  pushRegister(code: Body, operand: number): number;
  /** i32: of a segment, control, debug or x87 register operand. */
  pushRegisterNumber(code: Body, operand: number): Body;
  /** i64: the base register's value, or 0. */
  pushBase(code: Body): Body;
  /** i64: the index register's value, shifted by the scale. */
  pushIndex(code: Body): Body;
  /** i64 */
  pushDisplacement(code: Body): Body;
  /** i64: of so many bits, those above 0; 64: sign-extended. */
  pushImmediate(code: Body, form: Form, width: Width): Body;
  /** u32: ENTER's second immediate; of an x87 instruction its opcode. */
  pushImmediate2(code: Body): Body;
  /** i64: the instruction's distance from the block's start. */
  pushOffset(code: Body): Body;
  /** i64: bytes. */
  pushLength(code: Body): Body;
  /** i32: instructions of the block behind this one. */
  pushRest(code: Body): Body;
  /** i64: OP_STACK_BASED, or 0. */
  pushFlags(code: Body): Body;
}

/** From the record. */
export const recordFields: OpFields = {
  pushRegister(code, operand) {
    pushInCore(code, OP_REGISTERS + 2 * operand);
    return 0;
  },
  pushRegisterNumber: (code, operand) => code.get(OP).access("i32.load16_u", OP_REGISTERS + 2 * operand),
  pushBase: (code) => pushInCore(code, OP_BASE).access("i64.load"),
  pushIndex: (code) =>
    pushInCore(code, OP_INDEX).access("i64.load").get(OP).access("i64.load8_u", OP_SCALE).op("i64.shl"),
  pushDisplacement: (code) => code.get(OP).access("i64.load", OP_LONG),
  pushImmediate(code, form, width) {
    if (!hasDisplacement(form)) return code.get(OP).access("i64.load", OP_LONG);
    return code.get(OP).access(width === 64 ? "i64.load32_s" : "i64.load32_u", OP_SHORT);
  },
  pushImmediate2: (code) => code.get(OP).access("i32.load16_u", OP_IMMEDIATE2),
  pushOffset: (code) => code.get(OP).access("i64.load8_u", OP_OFFSET),
  pushLength: (code) => code.get(OP).access("i64.load8_u", OP_LENGTH),
  pushRest: (code) => code.get(OP).access("i32.load8_u", OP_REST),
  pushFlags: (code) => code.get(OP).access("i64.load8_u", OP_FLAGS),
};

/** An address: what stands in the core block at the offset that the op's record has there. */
function pushInCore(code: Body, field: number): Body {
  return code.get(OP).access("i32.load16_u", field).get(CORE).op("i32.add");
}

/** The words of one op's record. They must not change while code that was made of them is used. */
export class FixedFields implements OpFields {
  readonly #view: DataView;
  readonly #at: number;

  constructor(view: DataView, op: number) {
    this.#view = view;
    this.#at = op;
  }

  #u8(field: number): number {
    return this.#view.getUint8(this.#at + field);
  }
  #u16(field: number): number {
    return this.#view.getUint16(this.#at + field, true);
  }
  #u64(field: number): bigint {
    return this.#view.getBigUint64(this.#at + field, true);
  }

  pushRegister(code: Body, operand: number): number {
    code.get(CORE);
    return this.#u16(OP_REGISTERS + 2 * operand);
  }
  pushRegisterNumber(code: Body, operand: number): Body {
    return code.i32(this.#u16(OP_REGISTERS + 2 * operand));
  }
  pushBase(code: Body): Body {
    const at = this.#u16(OP_BASE);
    return at === ZERO ? code.i64(0n) : code.get(CORE).access("i64.load", at);
  }
  pushIndex(code: Body): Body {
    const at = this.#u16(OP_INDEX);
    return code
      .get(CORE)
      .access("i64.load", at)
      .i64(BigInt(this.#u8(OP_SCALE) & ~OP_STACK_BASED))
      .op("i64.shl");
  }
  pushDisplacement(code: Body): Body {
    return code.i64(this.#u64(OP_LONG));
  }
  pushImmediate(code: Body, form: Form, width: Width): Body {
    if (!hasDisplacement(form)) return code.i64(this.#u64(OP_LONG));
    const short = BigInt(this.#view.getInt32(this.#at + OP_SHORT, true));
    return code.i64(width === 64 ? short : short & 0xffff_ffffn);
  }
  pushImmediate2(code: Body): Body {
    return code.i32(this.#u16(OP_IMMEDIATE2));
  }
  pushOffset(code: Body): Body {
    return code.i64(BigInt(this.#u8(OP_OFFSET)));
  }
  pushLength(code: Body): Body {
    return code.i64(BigInt(this.#u8(OP_LENGTH)));
  }
  pushRest(code: Body): Body {
    return code.i32(this.#u8(OP_REST));
  }
  pushFlags(code: Body): Body {
    return code.i64(BigInt(this.#u8(OP_FLAGS)));
  }

  /**
   * Equal for two ops of one form exactly when the same would be pushed. A near branch is linked in place of its registers, and
   * what leads elsewhere has its guess in place of a short immediate.
   */
  keyIn(form: Form): string {
    const where = isNearBranch(form) ? "" : [0, 2, 4, 6].map((r) => this.#u16(OP_REGISTERS + r)).join();
    const fields = hasShort(form) ? [OP_INDEX, OP_SCALE, OP_SHORT, OP_SHORT + 2] : [OP_INDEX, OP_SCALE];
    const rest = fields.map((field) => this.#u16(field));
    return `${where} ${rest} ${this.#u64(OP_LONG)}`;
  }
}
