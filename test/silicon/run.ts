// The silicon comparison by the million: `npm run silicon`. Every form of every row that user space can run, in 64, 32 and
// 16-bit code, in turn; whatever differs is printed with the command that repeats it, and the end tells how often each
// row was tried. Ends with status 1 if anything differed, 2 if nothing could be compared.

import { parseArgs } from "node:util";
import { Mnemonic } from "iced-x86";
import type { Definition } from "../../emulator/cpu/instructions/define.js";
import { Emulated } from "./emulated.js";
import { type Bits, type Form, formName } from "./forms.js";
import {
  judgeBytes,
  judgeRounds,
  judgeSequences,
  privilegedForms,
  userForms,
  type Verdict,
} from "./judge.js";
import { absent, absentIn16Bit } from "./native.js";

const CASES = 1_000_000;
const SEED = 1;

const USAGE = `usage: npm run silicon -- [options]
  --cases N   how many cases to compare (${CASES})
  --seed N    the first seed (${SEED}); each form meets seed, seed + 1 and so on
  --row TEXT  only this form ("Addps_xmm_xmmm128, 64 bit"), all forms of a mnemonic ("addps"),
              sequences of instructions ("sequence 64", "sequence 32"), or bytes at random ("bytes 64", 32, 16)
  --help      this text`;

class UsageError extends Error {}

function wholeNumber(option: string, text: string | undefined, fallback: number, least: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new UsageError(`--${option} wants a whole number from ${least} on, not "${text}"`);
  return value;
}

interface Wanted {
  readonly cases: number;
  readonly seed: number;
  readonly row: string | undefined;
}

/** undefined: only the usage was asked for. */
function wanted(args: readonly string[]): Wanted | undefined {
  const string = { type: "string" } as const;
  let values: { cases?: string; seed?: string; row?: string; help?: boolean };
  try {
    const options = { cases: string, seed: string, row: string, help: { type: "boolean" } } as const;
    ({ values } = parseArgs({ args: [...args], options }));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help === true) return undefined;
  return {
    cases: wholeNumber("cases", values.cases, CASES, 1),
    seed: wholeNumber("seed", values.seed, SEED, 0),
    row: values.row,
  };
}

/** Modes turn by turn, so that a short run has something of each. */
function formsOf(row: string | undefined): Form[] {
  const modes: Bits[] = absentIn16Bit() === undefined ? [64, 32, 16] : [64, 32];
  const forms = modes.flatMap((bits) => [...userForms(bits), ...privilegedForms(bits)]);
  if (row === undefined) return forms;
  const name = row.toLowerCase();
  const chosen = forms.filter(
    (form) => formName(form).toLowerCase() === name || Mnemonic[form.mnemonic]!.toLowerCase() === name,
  );
  if (chosen.length === 0) throw new UsageError(`--row: no form and no mnemonic is named "${row}"`);
  return chosen;
}

const nameOf = (row: Definition): string => {
  const names = [row.op].flat().map((op) => Mnemonic[op]!.toLowerCase());
  return names.length > 2 ? `${names[0]}..${names.at(-1)}` : names.join("/");
};

const COLUMN = 26;
function tableOf(rows: ReadonlyMap<Definition, number>): string {
  const cells = [...rows].map(([row, count]) => [nameOf(row), count] as const);
  cells.sort(([a], [b]) => (a < b ? -1 : 1));
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += 4)
    lines.push(
      cells
        .slice(i, i + 4)
        .map(([name, count]) => `${name.padEnd(COLUMN - 9)}${String(count).padStart(7)}  `)
        .join(""),
    );
  return lines.join("\n");
}

async function run({ cases, seed, row }: Wanted): Promise<Verdict> {
  const emulated = await Emulated.create();
  const sequence = /^sequence (64|32)$/.exec(row ?? "");
  if (sequence !== null) {
    const seeds = Array.from({ length: cases }, (_, i) => seed + i);
    return judgeSequences(emulated, Number(sequence[1]) as 64 | 32, seeds);
  }
  const bytes = /^bytes (64|32|16)$/.exec(row ?? "");
  if (bytes !== null) return judgeBytes(emulated, Number(bytes[1]) as Bits, seed, cases);
  const forms = formsOf(row);
  console.log(`silicon: ${cases} cases of ${forms.length} forms, from seed ${seed}`);
  const started = performance.now();
  return judgeRounds(emulated, forms, seed, cases, (tested, failed) => {
    const rate = Math.round((tested * 1000) / (performance.now() - started));
    console.log(`silicon: ${tested} compared, ${failed} differ, ${rate} a second`);
  });
}

async function main(): Promise<number> {
  const asked = wanted(process.argv.slice(2));
  if (asked === undefined) {
    console.log(USAGE);
    return 0;
  }
  if (absent !== undefined) {
    console.error(`silicon: ${absent}`);
    return 2;
  }
  const verdict = await run(asked);
  for (const failure of verdict.failures) console.log(failure);
  console.log(tableOf(verdict.rows));
  const { tested, skipped, failed, rows } = verdict;
  console.log(
    `silicon: ${tested} cases of ${rows.size} rows compared, ${skipped} left out, ${failed} differ`,
  );
  return failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`silicon: ${error.message}\n${USAGE}`);
  process.exitCode = 2;
}
