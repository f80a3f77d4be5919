// A form: one instruction row in one of the shapes in which it occurs (operand kinds and widths, address form, mode,
// LOCK, REP). Everything that is equal for all ops of a form is folded into its handler; what differs from op to op
// (register numbers, displacement, immediates) stands in the decoded-op record (layout.ts, OP_*).
// Invariant: `formKey` is equal exactly when the handlers would be.

import type { Condition, Definition, Operand, Segment } from "./instructions/define.js";

/** How the decoder writes an operand into the record. */
export type Place =
  | "register" // its wasm address (general, xmm, mm), or its number (segment, control, debug, st)
  | "modrm" // base, index, scale, displacement
  | "si" // [seg:rSI]
  | "di" // [es:rDI]
  | "immediate"
  | "immediate2";

export interface FormOperand extends Operand {
  readonly index: number;
  readonly place: Place;
  readonly access: "r" | "w" | "rw" | "-";
}

export interface Form {
  readonly row: Definition;
  readonly mnemonic: number;
  /** The instruction's name, for reports. */
  readonly name: string;
  readonly condition: Condition | undefined;
  readonly operands: readonly FormOperand[];
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  readonly stackSize: 16 | 32 | 64;
  readonly mode64: boolean;
  readonly protectedMode: boolean;
  /** Of the memory operand, or the override; in 64-bit mode "ds" stands for ES, CS, SS and DS alike. */
  readonly segment: Segment;
  readonly indexed: boolean;
  readonly lock: "no" | "atomic" | "bus";
  readonly repeat: "no" | "equal" | "unequal";
}

/** Has it a memory operand by ModRM, or by an address of its own? Then its displacement stands where an immediate would else. */
export const hasDisplacement = ({ operands }: Form): boolean => operands.some((o) => o.place === "modrm");
/** An immediate beside a displacement. */
export const hasShort = (form: Form): boolean =>
  hasDisplacement(form) && form.operands.some((o) => o.place === "immediate");
/** To an address of its own, to which its block may be linked. It has no other operand. */
export const isNearBranch = ({ operands }: Form): boolean => operands.some((o) => o.kind === "branch");

const BRIEF: Record<Operand["kind"], string> = {
  general: "g",
  xmm: "x",
  segment: "s",
  control: "c",
  debug: "d",
  st: "t",
  mm: "m",
  memory: "M",
  immediate: "i",
  branch: "b",
  far: "f",
};

/** `rowIndex` tells rows of one mnemonic apart. */
export function formKey(form: Form, rowIndex: number): string {
  let key = `${rowIndex} ${form.mnemonic} ${form.mode64 ? "l" : form.protectedMode ? "p" : "r"}`;
  key += `${form.operandSize}.${form.addressSize}.${form.stackSize}`;
  for (const o of form.operands) {
    key += ` ${BRIEF[o.kind]}${o.width}`;
    if (o.place !== "register" && o.place !== "modrm") key += o.place[0];
  }
  return `${key} ${form.segment}${form.indexed ? "+" : ""} ${form.lock[0]}${form.repeat[0]}`;
}
