// R2 on whole machines: a writer guesses who owns a page, has its bytes before the home's word, and passes it on (test/c/guessed.c;
// kernel/coherence/early.ts); in the middle of that the home dies, also the writer with it, or the home leaves.
import { kernelPath, readImage } from "../../emulator/images.js";
import { Declarations } from "../../emulator/timeline/declarations.js";
import { Syslink } from "../../emulator/timeline/syslink.js";
import { type FaultRun, type Happening, withFaults } from "./faults.js";
import { cProgram } from "./guest.js";
import { homeOf } from "./homes.js";

const [OWNER, WRITER, NEXT, HOME, BRIDGE] = [1, 2, 3, 4, 5];
const all = [OWNER, WRITER, NEXT, HOME];
/** By these both die by one view, and who has offered hears of the writer first, or of the home. */
const USUAL = "1234";
const WRITER_FIRST = "3214";
const HOME_FIRST = "1432";
const machineOf = (roles: string, role: number): number =>
  role === BRIDGE ? BRIDGE : roles.indexOf(String(role)) + 1;
const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));
/** In milliseconds: the tap is there; after the meeting: when they look; the end; held frames may go on so long after the guess. */
const [TAPS, PRESSED, THEN, LOOKS, END, HOLDS] = [22, 26.2, 90, 150, 170, 8];

export interface Guessed {
  /** So many microseconds after the writer the next one writes, and the owner again (0: not at all). */
  readonly later: number;
  readonly back: number;
  /** Who dies when so many page messages have been sent, of which the guess is the first. */
  readonly dies?: readonly number[];
  readonly after?: number;
  /** Or so many microseconds after the guess, when all is done that is not held. */
  readonly late?: number;
  /** The home dies as well, when the others have gone on without them. */
  readonly homeLater?: true;
  /**
   * The writer is out of reach until its program has been told so, and ends; then it leaves by the view that is the first without the home: nobody
   * has answered its request, and nobody waits for that.
   */
  readonly writerLeaves?: true;
  /** The home leaves, at a time that does not hang on when the guess is made: so many microseconds later than it could be. */
  readonly leaves?: number;
  /** What one sends to another from the guess on has to be sent again. */
  readonly holds?: readonly [from: number, to: number];
  /** By machine, who it is. */
  readonly roles: string;
  readonly seed: number;
}

/** In milliseconds: the writer is out of reach for less than counts as death; its program is told so, and ends behind that. */
const [CUT, MENDED, LINKLOSS, BLOCKED, WAITS, LATER] = [28, 110, 200, 20, 34, 100];
/** Microseconds. */
const LATE = 1000;
const usual = { later: 110, back: 0, roles: USUAL, seed: 1 };
export const guesses: readonly Guessed[] = [
  // The home dies: before it orders, before those who offered and asked hear that it has, before one of them does; when the page has been passed on.
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((after) => ({ ...usual, dies: [HOME], after })),
  { ...usual, dies: [HOME], after: 7, holds: [HOME, OWNER] },
  { ...usual, dies: [HOME], after: 8, holds: [HOME, OWNER] },
  { ...usual, dies: [HOME], after: 6, holds: [OWNER, WRITER] },
  { ...usual, back: 140, dies: [HOME], late: LATE },
  // And the writer with it: before it has the page, when it has, when it has passed it on.
  ...[4, 5, 7, 8].map((after) => ({ ...usual, dies: [HOME, WRITER], after })),
  { ...usual, dies: [HOME, WRITER], late: 500, holds: [HOME, OWNER], roles: WRITER_FIRST },
  { ...usual, dies: [HOME, WRITER], late: 1200, holds: [HOME, OWNER], roles: WRITER_FIRST },
  { ...usual, dies: [HOME, WRITER], late: LATE, holds: [HOME, OWNER], roles: HOME_FIRST },
  // The writer dies before the home has heard of it; the home later.
  { ...usual, dies: [WRITER], after: 2, holds: [WRITER, HOME], homeLater: true },
  // The home dies before it orders, and the writer leaves.
  { ...usual, dies: [HOME], after: 1, writerLeaves: true },
  // The home leaves, and the offer meets the others before they freeze, or as they do; or the guess meets who would offer the page then.
  ...[0, 50, 100, 150, 160, 170, 180, 200, 250].map((leaves) => ({ ...usual, leaves })),
];

export interface GuessedRun {
  readonly run: FaultRun;
  /** In nanoseconds; 0: there was none. */
  readonly guessAt: number;
  /** Page messages from the guess on: when (in microseconds after it), from whom to whom, what. */
  readonly said: readonly string[];
}

/** The dead, each alone, and the others with the bridge. */
const without = (roles: string, dead: readonly number[]): number[][] =>
  [[...all.filter((role) => !dead.includes(role)), BRIDGE], ...dead.map((role) => [role])].map((island) =>
    island.map((role) => machineOf(roles, role)),
  );

const FINDS = /^guessed: \d finds (\d+) (\d+) (\d+), told (\d+)$/;
const WROTE = /^guessed: \d wrote/;

async function play(each: Guessed, kernel: Uint8Array | undefined, happens: readonly Happening[]) {
  const { later, back, dies = [], after = 0, late, leaves, holds, roles, seed } = each;
  const [file, meeting] = [HOME, OWNER].map((home) =>
    letters.find((name) => homeOf(name, all) === machineOf(roles, home)),
  );
  const syslink = new Syslink(new Declarations(kernelPath, readImage("kernel", kernelPath)));
  const said: string[] = [];
  let guessAt = 0;
  const watch: Happening = [
    TAPS,
    ({ network }) =>
      network.tap((from, frame, now) => {
        if (holds && guessAt !== 0 && now > guessAt + HOLDS * 1e6) network.deafen([]);
        if (late !== undefined && guessAt !== 0 && now > guessAt + late * 1e3)
          network.partition(without(roles, dies));
        const to = frame[0] === 0x52 ? frame[5]! : 0;
        for (const { name, page } of syslink.decode(frame)) {
          if (page < 0) continue;
          if (guessAt === 0 && name === "GUESS" && from === machineOf(roles, WRITER)) {
            guessAt = now;
            if (holds) network.deafen([[machineOf(roles, holds[0]), machineOf(roles, holds[1])]]);
          }
          if (guessAt === 0) continue;
          said.push(`${((now - guessAt) / 1000).toFixed(1)} ${roles[from - 1]}->${roles[to - 1]} ${name}`);
          if (dies.length === 0 || said.length !== after) continue;
          network.partition(without(roles, dies));
        }
      }),
  ];
  const [waits, more] = each.writerLeaves ? [WAITS, LATER] : [0, 0];
  const times = each.writerLeaves ? `linkloss=${LINKLOSS} blocked=${BLOCKED}` : "linkloss=60 blocked=600";
  const run = await withFaults(
    cProgram("guessed").host,
    [file!, meeting!, leaves ?? 0, later, back, LOOKS + more, END + more, roles, waits],
    [watch, ...happens],
    { machines: 4, seed, append: `${times} leave=5`, ...(kernel && { kernel }) },
    END + 40 + more,
  );
  return { run, guessAt, said };
}

export async function guessed(each: Guessed, kernel?: Uint8Array): Promise<GuessedRun> {
  const { dies = [], roles } = each;
  const die: Happening = [THEN, ({ network }) => network.partition(without(roles, [...dies, HOME]))];
  if (each.homeLater) return play(each, kernel, [die]);
  const leave: Happening = [
    PRESSED,
    ({ nodes }) => nodes[machineOf(roles, HOME) - 1]!.machine.pressPowerButton(),
  ];
  const apart = (when: number, dead: readonly number[]): Happening => [
    when,
    ({ network }) => network.partition(without(roles, dead)),
  ];
  if (each.writerLeaves) return play(each, kernel, [apart(CUT, [HOME, WRITER]), apart(MENDED, [HOME])]);
  return play(each, kernel, each.leaves === undefined ? [] : [leave]);
}

/** What is wrong with it: somebody does not go on, or what was written is gone and nobody was told. Nothing is lost with a home alone. */
export function wrongOfGuessed(each: Guessed, { run, guessAt, said }: GuessedRun): string | undefined {
  const { back, dies = [], roles } = each;
  const text = `${said.join("\n")}\n${run.text()}`;
  if (guessAt === 0 && each.leaves === undefined) return `nobody guesses: ${text}`;
  if (run.lines.some((line) => /^panic/.test(line.text))) return text;
  const stay = each.writerLeaves ? [OWNER, NEXT] : [OWNER, WRITER, NEXT];
  const writers = stay.filter((machine) => !dies.includes(machine));
  const wanted = [back === 0 ? 1 : 2, 2, 1];
  const found = writers.flatMap((machine) => run.said(machineOf(roles, machine), FINDS));
  const stays = (machine: number) =>
    run.said(machineOf(roles, machine), WROTE).length !== wanted[machine - 1];
  if (found.length !== writers.length || writers.some(stays)) return text;
  const words = found.map((line) => FINDS.exec(line.text)!.slice(1).map(Number));
  // By so few machines as are left for a while nobody is in reach either.
  const told = !each.writerLeaves && words.some((numbers) => numbers[3]! > 0);
  const owned = dies.some((machine) => machine !== HOME) && !each.homeLater;
  if (told) return owned ? undefined : `told of a loss: ${text}`;
  const right = words.every((numbers) =>
    writers.every((machine) => numbers[machine - 1] === wanted[machine - 1]),
  );
  return right ? undefined : `lost without a word: ${text}`;
}
