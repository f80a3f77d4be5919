// Several instructions in a row, on registers only: what one leaves behind, flags above all (which the core keeps in
// another shape than it is given them in), is what the next one finds. An instruction that would read a flag which the
// manual leaves undefined is not drawn.

import { type Instruction, Mnemonic } from "iced-x86";
import { Random } from "../../emulator/random.js";
import { Builder } from "./cases.js";
import { FLAG_BITS } from "./compare.js";
import type { Form } from "./forms.js";
import * as map from "./map.js";
import type { Case } from "./scene.js";
import { between, pick } from "./values.js";

const LENGTH_MAX = 12;
const BYTES_MAX = map.CODE_LENGTH_MAX - 16;
const OF_AF = 0x810;

/** Not among others: transfers, implied memory, what depends on processors, and what faults more often than not. */
const LEFT_OUT =
  /^(J|Loop|Call|Ret|Push|Pop|Enter|Leave|Ud|Reserved|Tzcnt|Shld_rm16|Shrd_rm16|Rcp|Rsqrt|Div|Idiv|F|Cli|Sti|Into|Aam|Rdssp|Xlat|Maskmov)/;
const SHIFTS_BY_COUNT = /^(Shl|Sal|Shr|Sar|Rol|Ror|Rcl|Rcr|Shld|Shrd)$/;

export function sequenceForms(forms: readonly Form[], nameOf: (form: Form) => string): Form[] {
  return forms.filter(
    (form) =>
      form.memory < 0 &&
      form.prefix === undefined &&
      form.row.repeat === undefined &&
      !LEFT_OUT.test(nameOf(form)),
  );
}

const bitsOf = (theirs: number): number =>
  FLAG_BITS.reduce((mask, [name, bit]) => (theirs & name ? mask | bit : mask), 0);

/** Flags undefined after it, given those before; undefined: it reads one of them. */
function flagsAfter(instruction: Instruction, before: number): number | undefined {
  if (bitsOf(instruction.rflagsRead) & before) return undefined;
  const undefinedNow = bitsOf(instruction.rflagsUndefined);
  if (SHIFTS_BY_COUNT.test(Mnemonic[instruction.mnemonic]!)) {
    // By a count that may be 0 nothing need be written, and what the flags were may stay.
    return before | undefinedNow | OF_AF | 1;
  }
  const defined = bitsOf(instruction.rflagsWritten | instruction.rflagsCleared | instruction.rflagsSet);
  return (before & ~defined) | undefinedNow;
}

/** A sequence of forms of one mode. */
export function makeSequence(forms: readonly Form[], seed: number): Case {
  const random = new Random(seed).fork("sequence");
  const first = pick(random, forms);
  const state = new Builder(first, random.bits());
  const start = state.address;
  const code: number[] = [];
  let unknown = 0;
  const undefinedAt = new Map([[0, 0]]);
  let last = first;
  const wanted = between(random, 3, LENGTH_MAX);
  for (let made = 0, tries = 0; made < wanted && tries < 200 && code.length < BYTES_MAX; tries++) {
    const form = pick(random, forms);
    const step = new Builder(form, random.bits());
    try {
      step.address = start + code.length;
      step.instruction.code = form.code;
      step.operands();
      const bytes = step.encode();
      const after = bytes && flagsAfter(step.instruction, unknown);
      if (bytes === undefined || after === undefined) continue;
      code.push(...bytes);
      unknown = after;
      undefinedAt.set(code.length, after);
      last = form;
      made++;
    } finally {
      step.instruction.free();
    }
  }
  const finished = state.finish(Uint8Array.from(code));
  state.instruction.free();
  return { ...finished, form: last, seed, undefinedAt };
}
