// Machines whose memory is mostly one file's pages (test/c/full.c) when the file's home dies, is cut off for a while, or one of them leaves:
// the kernel has to manage with what programs leave to it.
import { type FaultRun, type Happening, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";

const HOME = 1;
const MEMORY = 12 << 20;
/** In milliseconds: when it happens, when they look, and when they end. */
const [HAPPENS, LOOK, ENDS, LIMIT] = [1000, 1500, 2500, 4000];
const BACK = 1350;
const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

export interface Full {
  /** Of full.c. */
  readonly how: "alone" | "turns" | "copies";
  readonly machines: number;
  readonly pages: number;
  readonly writer: number;
  /** The home, for good or for a while; or the writer leaves. */
  readonly happens: "dies" | "is cut off" | "leaves";
  /** So many pages may be lost with the home, which had been given them since memory was short; or the last machine has no room for all. */
  readonly lost: number;
  readonly seed: number;
}

/** Two or three machines of 12 MiB have room for 1,400 pages each. */
export const fulls: readonly Full[] = [
  { how: "alone", machines: 3, pages: 1000, writer: 2, happens: "dies", lost: 0, seed: 1 },
  { how: "alone", machines: 3, pages: 1300, writer: 2, happens: "dies", lost: 256, seed: 2 },
  { how: "turns", machines: 3, pages: 1900, writer: 0, happens: "dies", lost: 0, seed: 3 },
  { how: "copies", machines: 3, pages: 1200, writer: 2, happens: "dies", lost: 320, seed: 4 },
  { how: "copies", machines: 3, pages: 1000, writer: 1, happens: "dies", lost: 0, seed: 5 },
  { how: "copies", machines: 3, pages: 1000, writer: 1, happens: "is cut off", lost: 1000, seed: 6 },
  { how: "alone", machines: 3, pages: 1200, writer: 2, happens: "leaves", lost: 0, seed: 7 },
  { how: "alone", machines: 2, pages: 2300, writer: 2, happens: "leaves", lost: 2300, seed: 8 },
];

export async function tellFull(full: Full, kernel?: Uint8Array): Promise<FaultRun> {
  const machines = Array.from({ length: full.machines }, (_, i) => i + 1);
  const others = machines.filter((machine) => machine !== HOME);
  const witness = full.machines + 1;
  const happenings: Happening[] = [];
  if (full.happens !== "leaves")
    happenings.push([HAPPENS, ({ network }) => network.partition([[...others, witness], [HOME]])]);
  if (full.happens === "is cut off") happenings.push([BACK, ({ network }) => network.partition([])]);
  const name = letters.find((each) => homeOf(each, machines) === HOME)!;
  const gone = full.happens === "leaves" ? full.writer : 0;
  return withFaults(
    cProgram("full").host,
    [full.how, name, full.pages, HOME, full.writer, gone, LOOK, ENDS],
    happenings,
    {
      machines: full.machines,
      seed: full.seed,
      memory: MEMORY,
      append: "linkloss=120 blocked=30 leave=5",
      ...(kernel && { kernel }),
    },
    LIMIT,
  );
}

/** What is wrong with it: a machine stopped, nobody looked, or what somebody found was lost without a word, or too much of it. */
export function wrongOfFull({ how, happens, lost, pages }: Full, run: FaultRun): string | undefined {
  const panic = run.lines.find(({ text }) => /panic/.test(text));
  if (panic) return `machine ${panic.machine} stops: ${panic.text}`;
  const found = run.lines
    .map(({ text }) => /^full: wrong (\d+) told (\d+)$/.exec(text))
    .filter((match) => match !== null)
    .map(([, wrong, told]) => ({ wrong: Number(wrong), told: Number(told) }));
  const killed = run.lines.some(({ text }) => /wants memory and there is none/.test(text));
  const struck = run.lines.some(({ text }) => text === "full: told of a loss");
  // Who is the home of more than there is room for ends, and his machine goes on.
  if (lost === pages && happens === "leaves" && killed)
    return struck ? undefined : "nobody was told of what there is no room for";
  if (killed) return "a program is killed";
  if (found.length === 0) return "nobody looks";
  const told = found.reduce((sum, each) => sum + each.told, 0);
  const wrong = Math.max(...found.map((each) => each.wrong));
  if (how === "copies" && found.some((each) => each.wrong !== wrong)) return "not all see the same";
  if (wrong > lost) return `${wrong} pages are wrong`;
  return wrong !== 0 && told === 0 ? `${wrong} pages are wrong, and nobody was told` : undefined;
}
