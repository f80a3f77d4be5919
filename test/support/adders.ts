// Clusters whose machines all add to words of one page (test/c/adders.c) while one of them dies between two messages: before the Nth
// frame that it would have sent. Those that live on add to the end, and none of their words goes back unless a loss was told.
import type { SeededCluster } from "../../emulator/cluster.js";
import { type FaultRun, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";

export interface Adding {
  readonly home: number;
  readonly seed: number;
  readonly dies: number;
  /** The first frame of it that is not sent any more, counted from 25 ms on; at 60 ms it dies in any case. */
  readonly frame: number;
  /** Between two machines' words; 0: they have one word. */
  readonly apart: number;
  readonly machines?: number;
  /** Who else dies at that moment. */
  readonly also?: readonly number[];
  /** Copies of what was written, elsewhere. */
  readonly mirror?: number;
  /** Further words of the command line. */
  readonly append?: string;
}

export interface Added {
  readonly run: FaultRun;
  readonly wrong: string | null;
  /**
   * How often survivors were told of a loss: the page's is told once; and each thread whose operation was under way to the dead machine,
   * so that nobody knows whether it was done.
   */
  readonly lost: number;
  /** Chunks that were lent, and requests refused, by all machines. */
  readonly lent: number;
  readonly refused: number;
}

const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

export async function add(adding: Adding, kernel?: Uint8Array): Promise<Added> {
  const { home, seed, dies, frame, apart, machines = 3, also = [], mirror = 0, append = "" } = adding;
  const dead = [dies, ...also];
  const all = Array.from({ length: machines }, (_, i) => i + 1);
  const left = all.filter((machine) => !dead.includes(machine));
  let frames = 0;
  let died = 0;
  const die = (network: SeededCluster["network"], now: number) => {
    if (died > 0) return;
    died = now;
    network.partition([[...left, machines + 1], ...dead.map((machine) => [machine])]);
  };
  const run = await withFaults(
    cProgram("adders").host,
    [125, letters.find((name) => homeOf(name, all) === home)!, apart],
    [
      [
        25,
        ({ network }) =>
          network.tap((from, _frame, now) => {
            if (from === dies && ++frames === frame) die(network, now / 1e6);
          }),
      ],
      [60, ({ network }) => die(network, 60)], // lent chunks need no messages
    ],
    {
      machines,
      seed,
      append: `linkloss=60 blocked=600 mirror=${mirror} ${append}`,
      ...(kernel === undefined ? {} : { kernel }),
    },
    400,
  );
  const numbersOf = (machine: number, what: RegExp) =>
    run.said(machine, what).map(({ at, text }) => ({ at, numbers: text.match(/\d+/g)!.map(Number) }));
  const said = left.map((machine) => numbersOf(machine, /^adders: \d+ adds/).map(({ numbers }) => numbers));
  // What the dead machines had said is there at the end, or somebody was told.
  const known = dead.map((machine) => {
    const before = numbersOf(machine, /^adders: \d+ has/).filter(({ at }) => at <= died);
    return { machine, word: before.at(-1)!.numbers[1]! };
  });
  const finds = left.flatMap((machine) => numbersOf(machine, /^adders: \d+ finds/));
  const sum = (stat: string) =>
    left.reduce((total, m) => total + (run.cluster.nodes[m - 1]!.console.stats?.[stat] ?? 0), 0);
  const lost = said.reduce((total, [numbers]) => total + (numbers?.[3] ?? 0), 0);
  const right = said.every(([numbers]) => numbers !== undefined && numbers[2]! > 0);
  const back = said.some(([numbers]) => (numbers?.[4] ?? 0) > 0);
  const kept =
    !back && known.every(({ machine, word }) => finds.every(({ numbers }) => numbers[machine]! >= word));
  const mirrored = dead.length <= mirror;
  const what = `home ${home} seed ${seed}, machines ${dead.join(" ")} of ${machines} died before frame ${frame} at ${died.toFixed(3)} ms with ${known.map(({ word }) => word).join(" ")}, ${apart} apart, mirror ${mirror} ${append}`;
  return {
    run,
    wrong:
      right && (kept || (lost > 0 && !mirrored)) && lost <= (mirrored ? 0 : 1 + left.length)
        ? null
        : `${what}:\n${run.text()}`,
    lost,
    lent: sum("chunksLent"),
    refused: sum("requestsRefused"),
  };
}
