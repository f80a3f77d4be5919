// R7: the machine that alone had a file's newest bytes is left out, and comes back with them when others have written to the file since
// (test/c/eras.c). What it had by ranges and what was written then have other numbers.
import { type FaultRun, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";

const PAGES = 6;
const AWAY = 3;
/** In milliseconds: when it is cut off, and comes back; after the meeting: when machine 1 writes, and the end. */
const [CUT, BACK, WRITES, ENDS] = [150, 400, 280, 800];
const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

export interface Eras {
  /** Whether the home has bytes of its own, or nobody had any before. */
  readonly how: "fresh" | "kept";
  readonly home: number;
  readonly seed: number;
}

export const eras: readonly Eras[] = [
  { how: "fresh", home: 1, seed: 1 },
  { how: "kept", home: 1, seed: 2 },
  { how: "fresh", home: 2, seed: 3 },
  { how: "kept", home: 2, seed: 4 },
];

export function comesBack({ how, home, seed }: Eras, kernel?: Uint8Array): Promise<FaultRun> {
  const name = letters.find(
    (letter) => homeOf(letter, [1, 2, 3]) === home && homeOf(letter, [1, 2]) === home,
  )!;
  return withFaults(
    cProgram("eras").host,
    [how, home, AWAY, name, PAGES, WRITES, ENDS],
    [
      [CUT, ({ network }) => network.partition([[1, 2, 4], [AWAY]])],
      [BACK, ({ network }) => network.partition([])],
    ],
    { machines: 3, seed, append: "linkloss=60 blocked=30", ...(kernel && { kernel }) },
    1000,
  );
}

/** What is wrong with it: nobody was told of the loss, or what was lost is there again. */
export function wrongOfEras(run: FaultRun): string | undefined {
  const told = run.said(1, /^eras: told [1-9]\d*$/).length === 1;
  const found = run.said(AWAY, new RegExp(`^eras: ${PAGES} pages, 0 old, 0 wrong$`)).length === 1;
  return told && found ? undefined : run.text();
}
