// Machines that store to words of one page without end (kernel/user/contend.ts), with the hold window and without.
import { repeat, seeded } from "./cluster.js";

/** So many microseconds. */
const TIME = 16_000;
/** The window earns that many stores for one without it, whose number varies with the seed: from a fiftieth to a third of those with it. */
export const WINDOW_EARNS = 2.5;

export interface Stores {
  /** Of all machines. */
  readonly total: number;
  readonly least: number;
  readonly most: number;
  /** For failures. */
  readonly text: string;
}

export interface Storing {
  readonly seed?: number;
  /** Words for the kernel. */
  readonly append?: string;
  /** A planted one. */
  readonly kernel?: Uint8Array;
}

/** The wire's delay is fixed: R = 60 us. Throws when the run fails, or a store was lost. */
export async function stores(machines: number, o: Storing = {}): Promise<Stores> {
  const words = ["store", TIME];
  const run = await seeded("contend", words, { machines, cores: 1, network: { delay: [30, 30] }, ...o });
  const found = / total (\d+) least (\d+) most (\d+) counted \1 /.exec(run.report.result);
  const text = `${o.append ?? ""}: ${repeat(run, words)}`;
  if (!run.report.ok || found === null) throw new Error(text);
  const [total, least, most] = found.slice(1).map(Number);
  return { total: total!, least: least!, most: most!, text };
}
