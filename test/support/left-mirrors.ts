// A mirrored cluster in which machine 2 writes and prints how far it is, machine 3 has the only mirrors of that and leaves, and machine 2 dies
// in the same move. Machine 1, which has nothing of it, looks then. Either it is a number, again and again (test/c/shown.c), or many pages (test/c/full.c).
import { type FaultRun, type Happening, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";

const [STAYS, WRITER, LEAVES] = [1, 2, 3];
const BRIDGE = 4;
/** In milliseconds: when the power button is pressed; when machine 1 looks. */
const [PRESSED, LOOKS, END] = [30, 200, 400];
/** So long after the view in which machine 3 is leaving was installed the writer dies. */
const MOMENTS = [0, 0.05, 0.1, 0.2, 0.3];
const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

/** One per moment at which the machine died. */
export interface LeftMirrors {
  readonly run: FaultRun;
  /** The last number that the writer printed. */
  readonly printed: number;
  /** What machine 1 finds in the two pages; nothing: it was told of a loss. */
  readonly found: readonly number[];
}

export async function leftMirrors(seed: number, kernel?: Uint8Array): Promise<LeftMirrors[]> {
  const home = 1 + (seed % 3);
  const name = letters.find((each) => homeOf(each, [STAYS, WRITER, LEAVES]) === home)!;
  const play = (happenings: readonly Happening[]) =>
    withFaults(
      cProgram("shown").host,
      [WRITER, LOOKS, name],
      [[PRESSED + 0.13 * seed, ({ nodes }) => nodes[LEAVES - 1]!.machine.pressPowerButton()], ...happenings],
      {
        machines: 3,
        seed,
        append: "linkloss=60 blocked=600 mirror=1",
        ...(kernel && { kernel }),
      },
      END,
    );
  const whole = await play([]);
  const [leaving] = whole.said(STAYS, /^cluster: view 2: machines 1 2 3$/);
  if (leaving === undefined) throw new Error(`nobody leaves:\n${whole.text()}`);
  const told: LeftMirrors[] = [];
  for (const moment of MOMENTS) {
    const run = await play([
      [leaving.at + moment, ({ network }) => network.partition([[STAYS, LEAVES, BRIDGE], [WRITER]])],
    ]);
    const printed = run.said(WRITER, /^shown: 2 wrote/).map(({ text }) => Number(text.split(" ").at(-1)));
    const found = run.said(STAYS, /^shown: 1 finds/).map(({ text }) => text.split(" ").slice(-2).map(Number));
    told.push({ run, printed: Math.max(0, ...printed), found: found[0] ?? [] });
  }
  return told;
}

/** What is not as it should be; nothing: undefined. */
export function wrongOfLeftMirrors({ run, printed, found }: LeftMirrors): string | undefined {
  const left = run.said(LEAVES, /^cluster: this machine has left$/).length === 1;
  const seen = found.length === 2 && found.every((value) => value >= printed);
  return left && seen && printed > 20 ? undefined : `${printed} was printed\n${run.text()}`;
}

/** Far more than a new home asks for at a time. */
const PAGES = 300;
/** After all have met: when machine 1 looks, and when the run is over. */
const [LOOKS_AT_ALL, ENDS, OVER] = [400, 500, 800];

interface Many {
  readonly pages?: number;
  /** Pages of machine 1 that are not shared, until it looks. */
  readonly own?: number;
  /** Of each machine, in bytes. */
  readonly memory?: number;
  readonly kernel?: Uint8Array | undefined;
}

/** Machine 1 says how many of the pages hold something else than was written, and how often it was told of a loss. */
export async function manyLeftMirrors(
  seed: number,
  { pages = PAGES, own = 0, memory = 32 << 20, kernel }: Many = {},
): Promise<FaultRun> {
  const name = letters.find((each) => homeOf(each, [STAYS, WRITER, LEAVES]) === STAYS)!;
  const play = (happenings: readonly Happening[]) =>
    withFaults(
      cProgram("full").host,
      ["alone", name, pages, STAYS, WRITER, LEAVES, LOOKS_AT_ALL, ENDS, own],
      happenings,
      {
        machines: 3,
        memory,
        seed,
        append: "linkloss=60 blocked=600 mirror=1 leave=5",
        ...(kernel && { kernel }),
      },
      OVER,
    );
  const whole = await play([]);
  const [leaving] = whole.said(STAYS, /^cluster: view 2: machines 1 2 3$/);
  if (leaving === undefined) throw new Error(`nobody leaves:\n${whole.text()}`);
  return play([[leaving.at, ({ network }) => network.partition([[STAYS, LEAVES, BRIDGE], [WRITER]])]]);
}

/** Machine 1 has room for some of the mirrors, not for all. */
export const fewFit = (seed: number, kernel?: Uint8Array): Promise<FaultRun> =>
  manyLeftMirrors(seed, { pages: 400, own: 2000, memory: 16 << 20, kernel });

/** What is wrong with what it finds: every other page holds what was written, and it is told of those that do not, as one. */
export function wrongOfFewFit(run: FaultRun): string | undefined {
  const found = run.said(STAYS, /^full: wrong ([1-9]\d?|[12]\d\d) told 1$/);
  return found.length === 1 ? undefined : run.text();
}

export const allIsThere = (run: FaultRun): boolean =>
  run.said(STAYS, /^full: wrong 0 told 0$/).length === 1 &&
  run.said(LEAVES, /^cluster: this machine has left$/).length === 1;
