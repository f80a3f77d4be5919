// Mirrored machines that are short of memory (test/c/crowded.c): one writes many pages and says how far it is, and dies then. What it
// has said, or others have seen, is there.
import { type FaultRun, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";

/** In milliseconds: when the writer dies, when the others look, and when it is over. */
const [SOON, DIES, LOOK, LIMIT] = [25, 2600, 3000, 3600];
const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));
const WRITER = 1;

export interface Crowded {
  readonly what: string;
  readonly machines: number;
  readonly mirror: number;
  readonly home: number;
  readonly pages: number;
  /** The writer says how far it is after so many pages each. */
  readonly step: number;
  /** Machines that fill so much of their memory before with what is their own. */
  readonly hogs: readonly number[];
  readonly own: number;
  /** What the writer says at least; it is told that there is no room for more. */
  readonly least: number;
  readonly refused: boolean;
  /** The writer dies while it writes. */
  readonly soon?: true;
  readonly seed: number;
}

const MEMORY = 12 << 20;

/** A machine of 12 MiB has room for some 1,000 pages that are mirrored. */
const usual = {
  machines: 3,
  mirror: 1,
  home: 1,
  pages: 700,
  step: 700,
  hogs: [],
  own: 0,
  least: 700,
  refused: false,
};
export const crowds: readonly Crowded[] = [
  { ...usual, what: "the writer has no room for its messages", seed: 1 },
  { ...usual, what: "the same, of another home", home: 2, step: 100, seed: 2 },
  { ...usual, what: "the same, with two mirrors", mirror: 2, seed: 3 },
  { ...usual, what: "the next machine has no room", hogs: [2], own: 950, seed: 4 },
  { ...usual, what: "the next machine has no room, and is the home", home: 2, hogs: [2], own: 950, seed: 5 },
  {
    ...usual,
    what: "the only other machine has no room",
    machines: 2,
    step: 20,
    hogs: [2],
    own: 950,
    least: 100,
    refused: true,
    seed: 6,
  },
  { ...usual, what: "nobody has room", step: 20, hogs: [2, 3], own: 900, least: 100, refused: true, seed: 7 },
  {
    ...usual,
    what: "not enough have room",
    machines: 4,
    mirror: 2,
    step: 20,
    hogs: [2, 3],
    own: 900,
    least: 60,
    refused: true,
    seed: 8,
  },
  {
    ...usual,
    what: "nobody has room, the writer neither",
    pages: 1200,
    step: 20,
    hogs: [2, 3],
    own: 900,
    least: 100,
    refused: true,
    seed: 9,
  },
  { ...usual, what: "the writer dies while it writes", least: 0, soon: true, seed: 10 },
  {
    ...usual,
    what: "the same, the next machine has no room",
    least: 0,
    hogs: [2],
    own: 950,
    soon: true,
    seed: 11,
  },
  { ...usual, what: "the same, nobody has room", least: 0, hogs: [2, 3], own: 900, soon: true, seed: 12 },
];

export async function crowd(each: Crowded, kernel?: Uint8Array): Promise<FaultRun> {
  const machines = Array.from({ length: each.machines }, (_, i) => i + 1);
  const name = letters.find((letter) => homeOf(letter, machines) === each.home)!;
  const others = machines.filter((machine) => machine !== WRITER);
  const hogs = each.hogs.reduce((mask, machine) => mask | (1 << machine), 0);
  return withFaults(
    cProgram("crowded").host,
    [WRITER, each.pages, each.step, name, LOOK, hogs, each.own],
    [
      [
        each.soon ? SOON + 0.31 * each.seed : DIES,
        ({ network }) => network.partition([[...others, each.machines + 1], [WRITER]]),
      ],
    ],
    {
      machines: each.machines,
      seed: each.seed,
      memory: MEMORY,
      append: `linkloss=60 blocked=300 mirror=${each.mirror}`,
      ...(kernel && { kernel }),
    },
    LIMIT,
  );
}

/** What is wrong with it: a machine stopped, or something is not there that the writer said it had written. */
export function wrongOfCrowd(each: Crowded, run: FaultRun): string | undefined {
  const panic = run.lines.find(({ text }) => /^panic/.test(text));
  if (panic) return `machine ${panic.machine} stops: ${panic.text}`;
  const said = run.said(WRITER, /^crowded: 1 wrote/).map(({ text }) => Number(text.split(" ").at(-1)));
  const last = said.at(-1) ?? 0;
  if (last < each.least) return `it got to page ${last} only`;
  const refused = run.said(WRITER, /wants memory and there is none/).length === 1;
  if (!each.refused && run.said(WRITER, /^cluster: no machine has room/).length > 0)
    return "R3 is given up where somebody has room";
  if (refused !== each.refused)
    return refused ? "the writer is refused" : "the writer is not told that there is no room";
  const back = run.lines.find(({ text }) => /^crowded: \d saw/.test(text));
  if (back) return back.text;
  const found = run.lines.map(({ text }) => /^crowded: \d finds (\d+) saw (\d+)$/.exec(text));
  const looks = found.filter((match) => match !== null);
  if (looks.length !== each.machines - 1) return `${looks.length} machines look`;
  const least = Math.min(...looks.map((match) => Number(match[1])));
  const seen = Math.max(last, ...looks.map((match) => Number(match[2])));
  return least < seen ? `${seen} pages were seen to be written, ${least} are there` : undefined;
}
