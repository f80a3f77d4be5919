// What coherence costs a machine that needs nobody, in guest instructions (a nanosecond of virtual time is one): work on pages of a shared
// file that it has, against the same on memory of its own and against the same machine without a cluster. The program is `steps`.
import { seeded } from "./cluster.js";
import { Steps } from "./steps.js";

const ADDS = 100_000;
const ROUNDS = 50;

/** Nanoseconds of the same work on a shared file and on private memory. */
export interface Pair {
  readonly shared: number;
  readonly own: number;
}

export interface Alone {
  /** One LOCK XADD on a word of a page that another machine has read before, if there is one, and that is owned now. */
  readonly add: Pair;
  /** Plain loads and stores of 64 pages, from the first touch on; and when all are there. */
  readonly touch: Pair;
  readonly again: Pair;
  /** All that were sent about the file meanwhile. */
  readonly messages: readonly string[];
  readonly text: string;
}

/** The last of so many machines works, the others sleep; a file's home is machine 1. */
export async function alone(machines: number): Promise<Alone> {
  const worker = machines === 1 ? 1 : 2;
  const before = machines === 1 ? [] : ["2w0", "1r0"];
  const work = [`a0x2`, `A0x2`, `a0x${ADDS}`, `A0x${ADDS}`].concat(
    ...[ROUNDS, 1].map((rounds) => [`t64-127x${rounds}`, `T64-127x${rounds}`]),
  );
  const run = await Steps.run([...before, ...work.map((step) => worker + step)], { machines, home: 1 });
  // What a number of the work took; the first two bring the page here.
  const at = (index: number) => before.length + 1 + index;
  const took = (index: number) => run.did(at(index), worker).nanoseconds;
  const added = run.did(at(2), worker).value - run.did(at(0), worker).value;
  if (added !== ADDS) throw new Error(`${added} of ${ADDS} additions are there: ${run.text}`);
  return {
    add: { shared: took(2) / ADDS, own: took(3) / ADDS },
    touch: { shared: took(4), own: took(5) },
    again: { shared: took(6), own: took(7) },
    messages: [2, 4, 6].flatMap((index) => run.route(at(index))),
    text: run.text,
  };
}

/** Guest instructions of a program on memory of its own, on the first of so many machines that all run it. */
export async function programInstructions(machines: number, name: string, size: number): Promise<number> {
  const { report, lines } = await seeded("speed", [name, size], { machines, cores: 1 });
  const text = lines.join("\n");
  const match = /^machine1 \| speed: \w+ \d+ checksum \w+ ns (\d+)$/m.exec(text);
  if (!report.ok || match === null)
    throw new Error(`speed ${name} ${size} on ${machines} machines:\n${text}`);
  return Number(match[1]);
}
