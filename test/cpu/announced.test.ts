// What CPUID announces, encoding by encoding: iced's whole table of codes, in each of the three modes. An encoding whose
// instruction sets are all announced must have a row for each shape of its operands, and the decoder must find it.
// What is absent all the same stands in a list, with the reason.

import { Code, CodeExt, EncodingKind } from "iced-x86";
import { expect, test } from "vitest";
import { instructionSets } from "../../emulator/cpu/features.js";
import * as L from "../../emulator/cpu/layout.js";
import { InstructionStream } from "../../emulator/cpu/shapes.js";
import { exampleOf } from "../silicon/cases.js";
import {
  type Bits,
  type Encoding,
  encodingOf,
  existsIn,
  type Form,
  featuresOf,
  formName,
  formsOf,
} from "../silicon/forms.js";
import * as map from "../silicon/map.js";

const MODES: Record<Bits, number> = {
  64: L.MODE_64 | L.MODE_LONG | L.MODE_PROTECTED,
  32: L.MODE_CODE32 | L.MODE_STACK32 | L.MODE_PROTECTED,
  16: 0,
};

/** Encodings that are no instructions of their own. */
const NO_INSTRUCTIONS: readonly (readonly [RegExp, string])[] = [
  [/^(INVALID|Declare|Zero_bytes)/, "iced's own: not x86"],
  [/^Popw_CS$/, "the 8086's alone: 0F begins longer opcodes since the 286"],
];

/** Encodings that share bytes with another one, which the decoder may give instead. */
const SHARED: readonly (readonly [RegExp, string])[] = [
  [/^Reservednop_/, "hints have been given meanings since"],
  [/^Xchg_r\d+_R?E?AX/, "with rAX twice it is NOP"],
];

/** Announced, and without a row. */
const ABSENT: readonly (readonly [RegExp, string])[] = [];

function announced(): Encoding[] {
  const found: Encoding[] = [];
  for (const code of Object.values(Code)) {
    if (typeof code !== "number" || NO_INSTRUCTIONS.some(([pattern]) => pattern.test(Code[code]!))) continue;
    const features = featuresOf(code);
    if (features.length === 0 || !features.every((name) => instructionSets.has(name))) continue;
    const info = CodeExt.opCode(code);
    // FWAIT and the instruction after it in one name are decoded as two.
    if (!info.fwait && info.isInstruction) found.push(encodingOf(code, info));
    else expect(info.encoding).toBe(EncodingKind.Legacy);
    info.free();
  }
  return found;
}

/** What the decoder makes of an example. */
function decoded(form: Form): string {
  const { record } = exampleOf(form);
  const code = record.subarray(map.CASE_CODE, map.CASE_CODE + map.CODE_LENGTH_MAX);
  const stream = new InstructionStream(code, MODES[form.bits]);
  const first = stream.next();
  stream.free();
  if (typeof first?.form !== "object") return `decoded as ${first?.form}`;
  return first.form.row === form.row ? "" : `decoded as ${first.form.name}`;
}

test("every encoding that CPUID announces has a row in each mode, and the decoder finds it", () => {
  const wrong: string[] = [];
  const absent = new Set<string>();
  let seen = 0;
  for (const encoding of announced())
    for (const bits of [64, 32, 16] as const) {
      if (!existsIn(encoding, bits)) continue;
      for (const form of formsOf(encoding, bits)) {
        seen++;
        const name = formName(form);
        const { row } = form;
        if (row !== undefined) {
          const problem = decoded({ ...form, row });
          if (problem !== "" && !SHARED.some(([pattern]) => pattern.test(name)))
            wrong.push(`${name}: ${problem}`);
        } else if (ABSENT.some(([pattern]) => pattern.test(name))) absent.add(name);
        else wrong.push(`${name}: no row`);
      }
    }
  console.log(`announced: ${seen} forms, ${absent.size} of them absent`);
  expect(wrong).toEqual([]);
});

test("what is listed as absent is absent", () => {
  const missing = announced().flatMap((encoding) =>
    ([64, 32, 16] as const)
      .flatMap((bits) => (existsIn(encoding, bits) ? formsOf(encoding, bits) : []))
      .filter(({ row }) => row === undefined)
      .map(formName),
  );
  const idle = ABSENT.filter(([pattern]) => !missing.some((name) => pattern.test(name)));
  expect(idle.map(([pattern]) => pattern.source)).toEqual([]);
});
