// A cluster whose machines 1 and 2 add to chunks of one page (test/c/lent.c), of which machine 2 dies with what it has borrowed, or lent. Machine 3
// reads the page when everybody knows it, and nobody has touched it since: it finds what the dead one had said, or is told.
import { withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";

export interface Lending {
  readonly home: number;
  readonly seed: number;
  /** The power button of machine 1 is pressed when the other is dead. */
  readonly leaves: boolean;
}

const [STAYS, DEAD, READER] = [1, 2, 3];
/** In milliseconds: how long they add; when one dies, in the midst of that; when the other leaves; when the page is read, after the adds. */
const [ADDS, DIES, LEAVES, LATER] = [40, 40, 110, 120];
const END = 200;
const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

/** What is wrong, or nothing; and whether the one that died took something along. */
export async function broken(
  { home, seed, leaves }: Lending,
  kernel?: Uint8Array,
): Promise<{ wrong: string | null; lost: boolean }> {
  const run = await withFaults(
    cProgram("lent").host,
    [ADDS, LATER, READER, letters.find((name) => homeOf(name, [1, 2, 3]) === home)!],
    [
      [DIES, ({ network }) => network.partition([[STAYS, READER, 4], [DEAD]])],
      [LEAVES, (cluster) => leaves && cluster.nodes[STAYS - 1]!.machine.pressPowerButton()],
    ],
    { machines: 3, seed, append: "linkloss=60 blocked=600", ...(kernel === undefined ? {} : { kernel }) },
    END,
  );
  const before = run.said(DEAD, /^lent: \d+ has/).filter(({ at }) => at <= DIES);
  const word = Number(before.at(-1)?.text.split(" ").at(-1) ?? 0);
  const finds = run.said(READER, /^lent: finds/).map(({ text }) => text.split(" ").slice(2).map(Number));
  const told = run.said(READER, /^lent: lost/).length;
  const kept = finds.length === 1 && finds[0]![DEAD - 1]! >= word;
  const right = finds.length === 1 && word > 0 && (told === 1 || (told === 0 && kept));
  return { wrong: right ? null : `home ${home} seed ${seed}, it had ${word}:\n${run.text()}`, lost: !kept };
}
