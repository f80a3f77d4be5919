// Runs cases on both sides and gathers what differs.

import { Mnemonic } from "iced-x86";
import type { Definition } from "../../emulator/cpu/instructions/define.js";
import { families } from "../../emulator/cpu/instructions/index.js";
import { makeBytes } from "./bytes.js";
import { makeCase } from "./cases.js";
import { describe, differences, skipped } from "./compare.js";
import type { Emulated } from "./emulated.js";
import { allForms, type Bits, type Form, formName, isBuildable } from "./forms.js";
import * as map from "./map.js";
import { runNative, standsOnSignalStack } from "./native.js";
import type { Case } from "./scene.js";
import { makeSequence, sequenceForms } from "./sequences.js";

/** These act on the system, not on what user space sees; test/cpu looks at them. */
const SYSTEM_FAMILIES = ["segments", "farTransfers", "msr", "system", "extended"];
const systemRows = new Set(SYSTEM_FAMILIES.flatMap((name) => families[name]));
/** What depends on how the operating system has set the processor up, or on chance. */
const extendedRows = new Set(families["extended"]);
export const isSystem = (row: Definition): boolean => systemRows.has(row);

/** Every form that user space can run and that the generator can build; ARPL is the one of its family that it can. */
export function userForms(bits: Bits): Form[] {
  return allForms(bits).filter(
    (form) => (!isSystem(form.row) || form.mnemonic === Mnemonic.Arpl) && isBuildable(form),
  );
}

/** What the system keeps to itself: in user space each of them is #GP(0). */
export function privilegedForms(bits: Bits): Form[] {
  return allForms(bits).filter(
    ({ row }) => isSystem(row) && row.privileged === true && !extendedRows.has(row),
  );
}

export interface Verdict {
  readonly tested: number;
  readonly skipped: number;
  /** Descriptions of the cases that differ, at most a few of each form. */
  readonly failures: readonly string[];
  readonly failed: number;
  /** How many cases each row was tried in. */
  readonly rows: ReadonlyMap<Definition, number>;
}
/** Called now and then: cases compared so far, and how many of them differed. */
export type Progress = (tested: number, failed: number) => void;

const CHUNK = 20_000;
const SHOWN_PER_FORM = 2;

/** Seeded cases of each form. */
export function judge(emulated: Emulated, forms: readonly Form[], seeds: readonly number[]): Verdict {
  function* cases() {
    for (const form of forms) for (const seed of seeds) yield makeCase(form, seed);
  }
  return judgeCases(emulated, cases());
}

/** So many cases, each form in turn with the first seed, then with the next. */
export function judgeRounds(
  emulated: Emulated,
  forms: readonly Form[],
  seed: number,
  count: number,
  progress?: Progress,
): Verdict {
  function* cases() {
    for (let i = 0; i < count; i++)
      yield makeCase(forms[i % forms.length]!, seed + Math.floor(i / forms.length));
  }
  return judgeCases(emulated, cases(), progress);
}

/** Seeded sequences of instructions in one mode. */
export function judgeSequences(emulated: Emulated, bits: Bits, seeds: readonly number[]): Verdict {
  const forms = sequenceForms(userForms(bits), formName);
  function* cases() {
    for (const seed of seeds) yield makeSequence(forms, seed);
  }
  return judgeCases(emulated, cases());
}

/** Bytes at random in one mode, so many draws; some of them are left out. */
export function judgeBytes(emulated: Emulated, bits: Bits, seed: number, count: number): Verdict {
  function* cases() {
    for (let i = 0; i < count; i++) {
      const made = makeBytes(bits, seed + i);
      if (made !== undefined) yield made;
    }
  }
  return judgeCases(emulated, cases());
}

function judgeCases(emulated: Emulated, cases: Iterable<Case>, progress?: Progress): Verdict {
  const failures = new Map<string, string[]>();
  const rows = new Map<Definition, number>();
  let [tested, left, failed] = [0, 0, 0];
  const chunk: Case[] = [];
  const flush = () => {
    const outcomes = runNative(wire(chunk));
    emulated.prepare(chunk);
    chunk.forEach((c, i) => {
      const native = outcomes.subarray(i * map.OUTCOME_BYTES, (i + 1) * map.OUTCOME_BYTES);
      tested++;
      rows.set(c.form.row, (rows.get(c.form.row) ?? 0) + 1);
      const lines = differences(c, native, emulated.run(c));
      if (lines.length === 0) return;
      failed++;
      const name = formName(c.form);
      const shown = failures.get(name) ?? [];
      if (shown.length < SHOWN_PER_FORM) shown.push(describe(c, lines));
      failures.set(name, shown);
    });
    chunk.length = 0;
    progress?.(tested, failed);
  };
  for (const made of cases) {
    const lost = standsOnSignalStack(made.record) || (made.undefinedAt === undefined && skipped(made));
    if (lost) left++;
    else if (chunk.push(made) === CHUNK) flush();
  }
  if (chunk.length > 0) flush();
  return { tested, skipped: left, failed, failures: [...failures.values()].flat(), rows };
}

function wire(cases: readonly Case[]): Uint8Array {
  const all = new Uint8Array(cases.length * map.CASE_BYTES);
  cases.forEach(({ record }, i) => {
    all.set(record, i * map.CASE_BYTES);
  });
  return all;
}

export function report(verdict: Verdict): string {
  const { failed, tested, failures } = verdict;
  return [`${failed} of ${tested} cases differ`, ...failures.slice(0, 25)].join("\n");
}
