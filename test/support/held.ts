// A cluster whose machine 3 was left out and comes back as the home of a file that machine 2 alone has written (test/c/held.c), so that its home
// moves from machine 1 to 3; and a machine that dies in the midst of that. Machine 1 looks at the file then.
import { type FaultRun, type Happening, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";

const [HOME, WRITER, NEXT] = [1, 2, 3];
const PAGES = 8;
/** In milliseconds: how long the wire of machine 3 is cut; when machine 1 looks; how long after the view was installed somebody dies, at the most. */
const CUT = [60, 300] as const;
const [LOOKS, STAYS, END] = [700, 900, 1100];
const MOMENTS = Array.from({ length: 8 }, (_, i) => 0.02 * i);
/** So long the new home goes on, unheard. */
const UNHEARD = 5;
const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

export interface Held {
  /** The writer, who has the pages; or the new home, which is not heard by the former one any more and writes a page itself. */
  readonly dies: "writer" | "next home";
  readonly seed: number;
}

/** One per moment at which the machine died. */
export interface Tale {
  readonly run: FaultRun;
  readonly told: number;
  /** Pages behind the first that hold what was written. */
  readonly there: number;
  /** The new home has written its page. */
  readonly nextWrote: boolean;
}

export async function tellHeld({ dies, seed }: Held, kernel?: Uint8Array): Promise<Tale[]> {
  const name = letters.find(
    (each) => homeOf(each, [HOME, WRITER]) === HOME && homeOf(each, [HOME, WRITER, NEXT]) === NEXT,
  )!;
  const next = dies === "writer" ? 0 : NEXT;
  const play = (happenings: readonly Happening[]) =>
    withFaults(
      cProgram("held").host,
      [WRITER, next, name, PAGES, LOOKS, STAYS],
      [
        [CUT[0], ({ network }) => network.partition([[HOME, WRITER, 4], [NEXT]])],
        [CUT[1], ({ network }) => network.partition([])],
        ...happenings,
      ],
      { machines: 3, seed, append: "linkloss=120 blocked=30 leave=5", ...(kernel && { kernel }) },
      END,
    );
  const whole = await play([]);
  const { at: installed } = whole.said(HOME, /^cluster: view 3: machines 1 2 3$/)[0]!;
  const tales: Tale[] = [];
  for (const moment of MOMENTS) {
    const at = installed + moment;
    const run = await play(
      dies === "writer"
        ? [[at, ({ network }) => network.partition([[HOME, NEXT, 4], [WRITER]])]]
        : [
            [at, ({ network }) => network.deafen([[NEXT, HOME]])],
            [at + UNHEARD, ({ network }) => network.partition([[HOME, WRITER, 4], [NEXT]])],
          ],
    );
    const said = run.said(HOME, /^held: told/)[0]?.text ?? "";
    const [told, there] = (/told (\d+), (\d+) are there/.exec(said) ?? []).slice(1).map(Number);
    if (told === undefined || there === undefined) throw new Error(`nothing was said:\n${run.text()}`);
    const nextWrote = run.said(NEXT, /^held: the last one/).some((line) => line.at < at + UNHEARD);
    tales.push({ run, told, there, nextWrote });
  }
  return tales;
}

/**
 * What is wrong: all that the writer had is lost, which is told once. Of the new home, that is so at those moments when the former one
 * has handed in and has not heard yet that it has made its directory; later ones depend on its notes (wills.ts).
 */
export function wrongOf(dies: Held["dies"], tales: readonly Tale[]): Tale | undefined {
  if (dies === "writer") return tales.find(({ told, there }) => told !== 1 || there !== 0);
  const extra = tales.find(({ told, there }) => told > 1 || there !== PAGES - 2);
  return extra ?? (tales.some(({ told, nextWrote }) => nextWrote && told === 1) ? undefined : tales[0]);
}
