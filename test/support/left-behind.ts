// What a home leaves behind that dies with what it alone has written (test/c/left.c): its two files, of which nobody else has the second one
// open, and a word of loss for each.
import { type FaultRun, type Happening, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";

const names = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));
const looks = ["page 1 holds 0", "page 0 is lost", "page 2 holds 0", "page 5 holds 0"];

/** What machine 1 says when its home has left all this. */
export const leftBehind: readonly string[] = [
  ...looks.map((look) => `left: first ${look}`),
  "left: second has 32768 bytes",
  ...looks.map((look) => `left: second ${look}`),
];

export interface Left {
  readonly run: FaultRun;
  /** By machine 1. */
  readonly said: readonly string[];
}

interface Plan {
  readonly writer: number;
  readonly home: number;
  /** The home without machine 3; whichever unless told. */
  readonly heir?: number;
  /** In milliseconds: when machine 1 looks, and when the run is over. */
  readonly looks: number;
  readonly end: number;
  readonly linkloss: number;
  readonly happenings: readonly Happening[];
  readonly seed: number;
  readonly kernel?: Uint8Array | undefined;
}

async function play({
  writer,
  home,
  heir,
  looks,
  end,
  linkloss,
  happenings,
  seed,
  kernel,
}: Plan): Promise<Left> {
  const [first, second] = names.filter(
    (name) => homeOf(name, [1, 2, 3]) === home && (heir === undefined || homeOf(name, [1, 2]) === heir),
  );
  const append = `linkloss=${linkloss} blocked=60`;
  const run = await withFaults(
    cProgram("left").host,
    [writer, looks, first!, second!],
    happenings,
    { machines: 3, seed, append, outlets: true, ...(kernel && { kernel }) },
    end,
  );
  const said = run
    .said(1, /^left: /)
    .map(({ text }) => text.replace(` ${first} `, " first ").replace(` ${second} `, " second "));
  return { run, said };
}

const dies = (at: number): Happening => [at, ({ network }) => network.partition([[1, 2, 4], [3]])];

/** Machine 3 dies, which has written. */
export const writerDies = (home: number, seed: number): Promise<Left> =>
  play({ writer: 3, home, looks: 200, end: 600, linkloss: 120, happenings: [dies(30)], seed });

/**
 * Machine 2, the heir of machine 3, is switched off and on again: its new life is taken in by a view that comes before the former one counts
 * as dead, so that nobody has acted by the view in between. Then machine 3 dies.
 */
export const heirIsNew = (seed: number, kernel?: Uint8Array): Promise<Left> =>
  play({
    ...{ writer: 3, home: 3, heir: 2, looks: 1500, end: 2500, linkloss: 600 },
    happenings: [[30, (cluster, options) => cluster.replace(1, { ...options, seed: seed + 100 })], dies(400)],
    seed,
    kernel,
  });
