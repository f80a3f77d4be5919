// What differs between the ops of one form: register numbers, displacement, immediates (layout.ts, OP_*). A handler that
// serves all of them reads it from the op's record; code for one op alone (fused blocks, fusion.ts) has it written in.
// Invariant: both push the same values, so a handler means the same either way.

import {
  OP_BASE,
  OP_DISPLACEMENT,
  OP_FLAGS,
  OP_IMMEDIATE,
  OP_IMMEDIATE2,
  OP_INDEX,
  OP_LENGTH,
  OP_OFFSET,
  OP_REGISTERS,
  OP_REST,
  OP_SCALE,
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
  pushImmediate(code: Body): Body;
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
    code.get(OP).access("i32.load", OP_REGISTERS + 4 * operand);
    return 0;
  },
  pushRegisterNumber: (code, operand) => code.get(OP).access("i32.load", OP_REGISTERS + 4 * operand),
  pushBase: (code) => code.get(OP).access("i32.load", OP_BASE).access("i64.load"),
  pushIndex: (code) =>
    code
      .get(OP)
      .access("i32.load", OP_INDEX)
      .access("i64.load")
      .get(OP)
      .access("i64.load8_u", OP_SCALE)
      .op("i64.shl"),
  pushDisplacement: (code) => code.get(OP).access("i64.load", OP_DISPLACEMENT),
  pushImmediate: (code) => code.get(OP).access("i64.load", OP_IMMEDIATE),
  pushImmediate2: (code) => code.get(OP).access("i32.load", OP_IMMEDIATE2),
  pushOffset: (code) => code.get(OP).access("i64.load16_u", OP_OFFSET),
  pushLength: (code) => code.get(OP).access("i64.load8_u", OP_LENGTH),
  pushRest: (code) => code.get(OP).access("i32.load16_u", OP_REST),
  pushFlags: (code) => code.get(OP).access("i64.load8_u", OP_FLAGS),
};

/** The words of one op's record, whose addresses count from `core`. They must not change while code that was made of them is used. */
export class FixedFields implements OpFields {
  readonly #view: DataView;
  readonly #at: number;
  readonly #core: number;

  constructor(view: DataView, op: number, core: number) {
    this.#view = view;
    this.#at = op;
    this.#core = core;
  }

  #u32(field: number): number {
    return this.#view.getUint32(this.#at + field, true);
  }
  #u8(field: number): bigint {
    return BigInt(this.#view.getUint8(this.#at + field));
  }
  #u64(field: number): bigint {
    return this.#view.getBigUint64(this.#at + field, true);
  }

  pushRegister(code: Body, operand: number): number {
    code.get(CORE);
    return this.#u32(OP_REGISTERS + 4 * operand) - this.#core;
  }
  pushRegisterNumber(code: Body, operand: number): Body {
    return code.i32(this.#u32(OP_REGISTERS + 4 * operand));
  }
  pushBase(code: Body): Body {
    const at = this.#u32(OP_BASE) - this.#core;
    return at === ZERO ? code.i64(0n) : code.get(CORE).access("i64.load", at);
  }
  pushIndex(code: Body): Body {
    const at = this.#u32(OP_INDEX) - this.#core;
    return code.get(CORE).access("i64.load", at).i64(this.#u8(OP_SCALE)).op("i64.shl");
  }
  pushDisplacement(code: Body): Body {
    return code.i64(this.#u64(OP_DISPLACEMENT));
  }
  pushImmediate(code: Body): Body {
    return code.i64(this.#u64(OP_IMMEDIATE));
  }
  pushImmediate2(code: Body): Body {
    return code.i32(this.#u32(OP_IMMEDIATE2));
  }
  pushOffset(code: Body): Body {
    return code.i64(BigInt(this.#view.getUint16(this.#at + OP_OFFSET, true)));
  }
  pushLength(code: Body): Body {
    return code.i64(this.#u8(OP_LENGTH));
  }
  pushRest(code: Body): Body {
    return code.i32(this.#view.getUint16(this.#at + OP_REST, true));
  }
  pushFlags(code: Body): Body {
    return code.i64(this.#u8(OP_FLAGS));
  }

  /** Equal for two ops of one form exactly when the same would be pushed. */
  get key(): string {
    const registers = [0, 4, 8].map((r) => this.#relative(OP_REGISTERS + r));
    const { base, index } = { base: this.#relative(OP_BASE), index: this.#relative(OP_INDEX) };
    const rest = [
      OP_SCALE,
      OP_FLAGS,
      OP_DISPLACEMENT,
      OP_DISPLACEMENT + 4,
      OP_IMMEDIATE,
      OP_IMMEDIATE + 4,
      OP_IMMEDIATE2,
    ];
    return `${registers} ${base} ${index} ${rest.map((field) => this.#u32(field))}`;
  }
  /** Addresses from the core's; numbers of registers as they are. */
  #relative(field: number): number {
    const value = this.#u32(field);
    return value < this.#core ? value : value - this.#core;
  }
}
