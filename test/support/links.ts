// Files with two names each, of which every other one has lost its first, and the machine that made them goes (test/c/links.c).
import { type FaultRun, type Happening, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";

const WRITER = 3;
const ALL = [1, 2, WRITER];

export const writerDies: Happening = [60, ({ network }) => network.partition([[1, 2, 4], [WRITER]])];
export const writerLeaves: Happening = [60, ({ nodes }) => nodes[WRITER - 1]!.machine.pressPowerButton()];

export interface Outlived {
  readonly run: FaultRun;
  /** By machine 1, and what it has to say. */
  readonly said: readonly string[];
  readonly wanted: readonly string[];
  /** Of each file, whether its first name and its second one had their home on the machine that went. */
  readonly went: readonly string[];
}

export async function outlived(happening: Happening, seed: number, kernel?: Uint8Array): Promise<Outlived> {
  const shared = Array.from("abcdefgh").find((name) => homeOf(name, ALL) === 1)!;
  const run = await withFaults(
    cProgram("links").host,
    ["stay", WRITER, 600, shared],
    [happening],
    { machines: 3, seed, append: "linkloss=120 blocked=60", outlets: true, ...(kernel && { kernel }) },
    1200,
  );
  const files = Array.from({ length: 16 }, (_, i) => i);
  const found = files.map((i) => {
    const first = i % 2 === 0 ? "there" : "No such file or directory";
    return `links: ${i}: ${i % 2 === 0 ? 2 : 1} names, ${`${i}.first`.length} bytes, first name: ${first}`;
  });
  const gone = (name: string) => homeOf(name, ALL) === WRITER;
  return {
    run,
    said: run.said(1, /^links: /).map(({ text }) => text),
    wanted: ["links: ready", ...found],
    went: files.map((i) => `${gone(`${i}.first`)} ${gone(`${i}.link`)}`),
  };
}
