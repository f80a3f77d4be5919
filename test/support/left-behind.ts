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

/**
 * Machine 4 leaves; machine 3, the home of a file to which it writes all the time, dies in the same move, in which all has frozen. Machine 1 says
 * how many of the file's pages are lost (test/c/touch.c).
 */
export async function homeDiesAsAnotherLeaves(seed: number, kernel?: Uint8Array): Promise<FaultRun> {
  const [STAYS, HOME, LEAVES, BRIDGE] = [[1, 2], 3, 4, 5];
  const all = [...STAYS, HOME, LEAVES];
  const stems = names.flatMap((first) => names.map((second) => `${first}${second}`));
  const [file, other] = stems.filter(
    (name) =>
      homeOf(name, all) === HOME &&
      homeOf(name, [...STAYS, HOME]) === HOME &&
      homeOf(name, [...STAYS, LEAVES]) === 2 &&
      homeOf(name, STAYS) === 2,
  );
  const leaves = 20 + 0.17 * (seed % 7);
  return withFaults(
    cProgram("touch").host,
    [HOME, 200, file!, other!],
    [
      [leaves, ({ nodes }) => nodes[LEAVES - 1]!.machine.pressPowerButton()],
      [
        leaves,
        (cluster) => {
          const isLeaving = () => cluster.lines.some((line) => line.startsWith("cluster: view 2"));
          while (!isLeaving()) cluster.run(cluster.schedule.now + 10_000);
          cluster.run(cluster.schedule.now + 120_000 + 30_000 * (seed % 5));
          cluster.network.partition([[...STAYS, LEAVES, BRIDGE], [HOME]]);
        },
      ],
    ],
    { machines: 4, seed, append: "linkloss=60 blocked=60 ahead=0", ...(kernel && { kernel }) },
    300,
  );
}

export const isTold = (run: FaultRun): boolean => run.said(1, /^touch: [1-8] lost, /).length === 1;
