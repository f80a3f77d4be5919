// Mirrored clusters whose machine 3 dies (and with two mirrors another one) while it tells of what it has written otherwise than by
// pages (test/c/told.c), at the boundary of two messages: the death is before the Nth frame that it would have sent.
import { type FaultRun, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";

export const KINDS = ["wake", "size", "append", "name", "unlink", "lock"] as const;
export const WRITER = 3;

export interface Telling {
  readonly kind: (typeof KINDS)[number];
  /** Of the pages, and of what tells. */
  readonly homes: readonly [number, number];
  readonly seed: number;
  /** The first frame of the writer that is not sent any more, counted from when it tells. */
  readonly frame: number;
  readonly mirror: number;
  readonly machines?: number;
  /** Who else dies at that moment. */
  readonly also?: readonly number[];
}

export interface Heard {
  readonly machine: number;
  readonly told: number;
  readonly found: readonly number[];
  readonly text: string;
}

export interface Tale {
  readonly run: FaultRun;
  readonly heard: readonly Heard[];
  /** Virtual milliseconds. */
  readonly died: number;
}

const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

export async function tell(telling: Telling, kernel?: Uint8Array): Promise<Tale> {
  const { kind, homes, seed, frame, mirror, machines = 3, also = [] } = telling;
  const all = Array.from({ length: machines }, (_, i) => i + 1);
  const dead = [WRITER, ...also];
  const left = all.filter((machine) => !dead.includes(machine));
  const [file, other] = homes.map((home, i) => letters.filter((name) => homeOf(name, all) === home)[i]!);
  let frames = 0;
  let died = 0;
  const run = await withFaults(
    cProgram("told").host,
    [kind, WRITER, 110, file!, other!],
    [
      [
        kind === "unlink" ? 40 : 20, // names are made first
        ({ network }) =>
          network.tap((from, _frame, now) => {
            if (from !== WRITER || ++frames !== frame) return;
            died = now / 1e6;
            network.partition([[...left, machines + 1], ...dead.map((machine) => [machine])]);
          }),
      ],
    ],
    {
      machines,
      seed,
      append: `linkloss=60 blocked=600 mirror=${mirror}`,
      ...(kernel === undefined ? {} : { kernel }),
    },
    400,
  );
  const heard = left.flatMap((machine) =>
    run.said(machine, /^told: /).map(({ text }) => {
      const numbers = /tells (\d+), finds (\d+) (\d+)$/.exec(text);
      const told = Number(/tells (\d+),/.exec(text)?.[1] ?? -1);
      return { machine, told, found: numbers === null ? [] : numbers.slice(2).map(Number), text };
    }),
  );
  return { run, heard, died };
}

/** What went back, or was lost, or was not said; null: nothing. */
export function wrong(
  { kind, homes, seed, frame, mirror, machines = 3, also = [] }: Telling,
  tale: Tale,
): string | null {
  const { run, heard, died } = tale;
  const survivors = machines - 1 - also.length;
  const bad = heard.filter(({ told, found }) => found.length === 0 || found.some((value) => value < told));
  if (died > 0 && bad.length === 0 && heard.length === survivors) return null;
  const what = `${kind} homes ${homes.join(" ")} seed ${seed} frame ${frame} mirror ${mirror}`;
  return `${what}, ${machines} machines, ${[WRITER, ...also].join(" ")} died at ${died.toFixed(3)}:\n${run.text()}`;
}
