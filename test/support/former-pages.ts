// R2, R7: a machine that is left out comes back and is the home of two files, of one of which its former life has pages still; the machine
// that wrote them leaves then, and gives it all pages (test/c/left.c).
import { type FaultRun, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";

const [WRITER, BACK] = [3, 2];
const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));
const files = letters.filter((letter) =>
  [
    [1, 2, 3],
    [1, 2],
  ].every((members) => homeOf(letter, members) === BACK),
);

export const formerPages = (seed: number, kernel?: Uint8Array): Promise<FaultRun> =>
  withFaults(
    cProgram("left").host,
    [WRITER, 500, files[0]!, files[1]!, BACK, 260],
    [
      [60, ({ network }) => network.partition([[1, WRITER, 4], [BACK]])],
      [200, ({ network }) => network.partition([])],
      [350, ({ nodes }) => nodes[WRITER - 1]!.machine.pressPowerButton()],
    ],
    { machines: 3, seed, append: "linkloss=60 blocked=600 leave=5000", ...(kernel && { kernel }) },
    700,
  );

/** What is wrong with it: it did not come to that, or pages are not there. */
export function wrongOfFormerPages(run: FaultRun): string | undefined {
  const back = run.said(1, /^cluster: view 3: machines 1 2 3$/).length === 1;
  const left = run.said(WRITER, /^cluster: this machine has left$/).length === 1;
  const said = run.said(1, /^left: /).map(({ text }) => text);
  const there = files
    .slice(0, 2)
    .every((file) =>
      ["page 0 holds 7", "page 2 holds 8"].every((page) => said.includes(`left: ${file} ${page}`)),
    );
  return back && left && there ? undefined : run.text();
}
