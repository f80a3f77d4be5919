// As silicon.test.ts, for long: many seeds of every form. SEEDS sets how many, FIRST_SEED where they start; FORMS is a
// regular expression that their names match.

import { expect, test } from "vitest";
import { Emulated } from "./emulated.js";
import { formName } from "./forms.js";
import { judge, judgeBytes, judgeSequences, report, userForms } from "./judge.js";
import { absent, absentIn16Bit } from "./native.js";

const first = Number(process.env["FIRST_SEED"] ?? 1000);
const count = Number(process.env["SEEDS"] ?? 100);
const seeds = Array.from({ length: count }, (_, i) => first + i);
const wanted = new RegExp(process.env["FORMS"] ?? "");

test.for([64, 32, 16] as const)(
  "the core agrees with silicon in %i-bit code, for long",
  async (bits, { skip }) => {
    const why = bits === 16 ? absentIn16Bit() : absent;
    skip(why !== undefined, why);
    const forms = userForms(bits).filter((form) => wanted.test(formName(form)));
    const verdict = judge(await Emulated.create(), forms, seeds);
    console.log(`silicon: ${verdict.tested} cases compared, ${verdict.skipped} left out`);
    expect(verdict.failed, report(verdict)).toBe(0);
  },
);

test.for([64, 32] as const)(
  "sequences agree with silicon in %i-bit code, for long",
  async (bits, { skip }) => {
    skip(absent !== undefined, absent);
    const many = Array.from({ length: count * 1000 }, (_, i) => first + i);
    const verdict = judgeSequences(await Emulated.create(), bits, many);
    console.log(`silicon: ${verdict.tested} sequences compared`);
    expect(verdict.failed, report(verdict)).toBe(0);
  },
);

/** For each of SEEDS. */
const BYTES = 10_000;

test.for([64, 32, 16] as const)(
  "bytes at random are on silicon what they are here in %i-bit code, for long",
  async (bits, { skip }) => {
    const why = bits === 16 ? absentIn16Bit() : absent;
    skip(why !== undefined, why);
    const verdict = judgeBytes(await Emulated.create(), bits, first, count * BYTES);
    console.log(`silicon: ${verdict.tested} instructions from bytes at random compared`);
    expect(verdict.failed, report(verdict)).toBe(0);
  },
);
