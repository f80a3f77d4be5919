// As silicon.test.ts, for long: many seeds of every form. SEEDS sets how many, FIRST_SEED where they start.

import { expect, test } from "vitest";
import { Emulated } from "./emulated.js";
import { judge, judgeSequences, report, userForms } from "./judge.js";
import { absent, absentIn16Bit } from "./native.js";

const first = Number(process.env["FIRST_SEED"] ?? 1000);
const count = Number(process.env["SEEDS"] ?? 100);
const seeds = Array.from({ length: count }, (_, i) => first + i);

test.for([64, 32, 16] as const)(
  "the core agrees with silicon in %i-bit code, for long",
  async (bits, { skip }) => {
    const why = bits === 16 ? absentIn16Bit() : absent;
    skip(why !== undefined, why);
    const verdict = judge(await Emulated.create(), userForms(bits), seeds);
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
