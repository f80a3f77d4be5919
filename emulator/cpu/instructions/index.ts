// The table of all instruction rows: one row, one instruction. What is not here is #UD or, where CPUID would promise
// it, a named unimplemented instruction. The first row of a mnemonic whose `forms` accepts the form has it.

import type { Code, Mnemonic } from "../../iced.js";
import { bits } from "./bits.js";
import { control } from "./control.js";
import { decimal } from "./decimal.js";
import type { Definition, Operand } from "./define.js";
import { extended } from "./extended.js";
import { farTransfers } from "./far.js";
import { flags } from "./flags.js";
import { integer } from "./integer.js";
import { mmx } from "./mmx.js";
import { move } from "./move.js";
import { msr } from "./msr.js";
import { multiplication } from "./multiply.js";
import { segments } from "./segments.js";
import { shift } from "./shift.js";
import { sseElement } from "./sse-element.js";
import { sseFloat } from "./sse-float.js";
import { sseInteger } from "./sse-integer.js";
import { sseMove } from "./sse-move.js";
import { ssePairs } from "./sse-pairs.js";
import { sseRound } from "./sse-round.js";
import { sseString } from "./sse-string.js";
import { stack } from "./stack.js";
import { string } from "./string.js";
import { system } from "./system.js";
import { x87 } from "./x87.js";

export const families: Readonly<Record<string, readonly Definition[]>> = {
  integer,
  move,
  shift,
  bits,
  multiplication,
  string,
  control,
  stack,
  flags,
  decimal,
  segments,
  farTransfers,
  msr,
  system,
  extended,
  sseMove,
  sseInteger,
  sseElement,
  sseString,
  sseFloat,
  ssePairs,
  sseRound,
  mmx,
  x87,
};

export const rows: readonly Definition[] = Object.values(families).flat();

/** Rows by mnemonic, in the order of the table. */
export function indexRows(table: readonly Definition[]): ReadonlyMap<Mnemonic, readonly Definition[]> {
  const index = new Map<Mnemonic, Definition[]>();
  for (const row of table)
    for (const op of typeof row.op === "number" ? [row.op] : row.op) {
      const others = index.get(op);
      if (others === undefined) index.set(op, [row]);
      else others.push(row);
    }
  return index;
}

const byMnemonic = indexRows(rows);

/** The row of a form, or undefined: the instruction does not exist on this machine. */
export function rowOf(
  mnemonic: Mnemonic,
  code: Code,
  kinds: readonly Operand["kind"][],
  index = byMnemonic,
): Definition | undefined {
  return index.get(mnemonic)?.find((row) => row.forms === undefined || row.forms(code, kinds));
}
