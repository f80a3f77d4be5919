// Programs on clusters of emulated machines that know what they must find: who tells of a bug in what is around the engine.
import { chaosRun } from "../chaos.js";
import { repeat, seeded } from "../cluster.js";
import { crowd, crowds, wrongOfCrowd } from "../crowded.js";
import { comesBack, eras, wrongOfEras } from "../eras.js";
import { withFaults } from "../faults.js";
import { formerPages, wrongOfFormerPages } from "../former-pages.js";
import { fulls, tellFull, wrongOfFull } from "../full.js";
import { given, isGiven } from "../given.js";
import { type Guessed, guessed, guesses, wrongOfGuessed } from "../guessed.js";
import { cProgram, glibcProgram, hasGlibc } from "../guest.js";
import { type Held, tellHeld, wrongOf } from "../held.js";
import { homeOf } from "../homes.js";
import { heirIsNew, homeDiesAsAnotherLeaves, isTold, leftBehind } from "../left-behind.js";
import {
  allIsThere,
  fewFit,
  leftMirrors,
  manyLeftMirrors,
  wrongOfFewFit,
  wrongOfLeftMirrors,
} from "../left-mirrors.js";
import { broken } from "../lent.js";
import { unmappedRuns, wrongOfNumbered } from "../numbered-runs.js";
import { passedOnToTheDead, wrongOfPassedOn } from "../passed-on.js";
import { shipped, shippedKinds } from "../shipped.js";
import { zeros, zerosRoute } from "../steps.js";
import { stores, WINDOW_EARNS } from "../stores.js";
import type { Judged } from "./on-clusters.js";

interface Program {
  readonly program: string;
  readonly args: readonly (string | number)[];
  readonly machines: number;
  readonly cores: number;
  readonly append?: string;
  readonly memory?: number;
  /** What it says when it is right. */
  readonly right: RegExp;
  /** A counter of the kernel that stays so small, or that shows that the run met what it is for. */
  readonly most?: readonly [counter: string, most: number];
  readonly meets?: string;
  readonly spread?: true;
}

const runs =
  (programs: readonly Program[]): Judged =>
  async (seed, kernel) => {
    const { program, args, right, most, meets, ...shape } = programs[(seed - 1) % programs.length]!;
    const network = { delay: [30, 60] as [number, number] };
    const changed = kernel === undefined ? {} : { kernel };
    const run = await seeded(program, args, { ...shape, ...changed, seed, limit: 5e9, network });
    const said = [...run.lines, run.report.result].join("\n");
    const stats = run.report.machines.map((machine) => machine.stats ?? {});
    if (!run.report.ok || !right.test(said)) return repeat(run, args);
    if (most && stats.some((each) => (each[most[0]] ?? 0) > most[1])) return `${most[0]} is above ${most[1]}`;
    if (meets && stats.every((each) => (each[meets] ?? 0) === 0)) return `${meets} stays 0`;
    return undefined;
  };

/** What machines have that give up ranges (test/c/shed.c). */
const shed =
  (args: readonly (string | number)[], cores: number): Judged =>
  (seed, kernel) =>
    runs([
      {
        ...{ program: cProgram("shed").host, args, machines: 2, cores },
        ...{ append: "records=64", right: /shed: wrong 0/ },
      },
    ])(seed, kernel);

const counted = / total (\d+) least \d+ most \d+ counted \1 median/;
const records = runs([
  {
    program: "counter",
    args: [60],
    machines: 3,
    cores: 2,
    append: "records=1",
    right: /counted 360 old values a permutation: yes/,
    most: ["recordsMost", 1],
  },
  {
    program: "scan",
    args: ["again", 60, 2],
    machines: 2,
    cores: 1,
    append: "records=1",
    right: /wrong 0 /,
    most: ["recordsMost", 1],
  },
]);
/** More pages than one machine has frames for, all of them written by the machine that is not their home. */
const short = runs([
  {
    program: "scan",
    args: ["own", 2500, homeOf("scan", [1, 2]) === 1 ? 2 : 1],
    machines: 2,
    cores: 1,
    memory: 12 << 20,
    right: /wrong 0 /,
  },
]);
const lent = runs([
  {
    program: "contend",
    args: ["apart", 4000, 3000],
    machines: 3,
    cores: 2,
    right: counted,
    meets: "chunksLent",
  },
  {
    program: "contend",
    args: ["apart", 60_000, 5000],
    machines: 3,
    cores: 1,
    right: counted,
    meets: "chunksLent",
  },
]);
const refused = { machines: 3, cores: 1, right: counted, meets: "requestsRefused" };
const refusals = runs([
  { ...refused, program: "contend", args: ["add", 2500], append: "queue=0 ship=0 hold=0" },
  { ...refused, program: "contend", args: ["lock", 2500], append: "queue=0 migrate=0" },
]);
/** Written at the home, read elsewhere in runs: of pages that have records, and of merged ones; once more behind a change; not one's own. */
const read = (how: string, pages: number, machines: number, append?: string, asks = 500): Program => ({
  program: "scan",
  args: [
    how,
    pages,
    homeOf(
      "scan",
      Array.from({ length: machines }, (_, i) => i + 1),
    ),
  ],
  machines,
  cores: 1,
  right: / wrong 0 /,
  // Of what came in a run nothing is asked for again.
  most: ["pagesRevalidated", asks],
  ...(append !== undefined && { append }),
});
const scans = runs([
  read("late", 100, 3),
  read("late", 100, 3, "records=64"),
  read("read", 150, 2, "records=64", 10),
  read("again", 150, 2, "records=64"),
  read("share", 96, 3),
  read("late", 100, 4, "records=64"),
]);
const spread = runs([
  ...(hasGlibc
    ? [
        {
          program: glibcProgram("pthreads").host,
          args: [8, 10],
          machines: 3,
          cores: 1,
          spread: true as const,
          right: / all right$/m,
        },
      ]
    : []),
  {
    program: cProgram("pthreads").host,
    args: [3, 10],
    machines: 3,
    cores: 1,
    spread: true,
    right: / all right$/m,
  },
]);

/** R6: while one range of two is another's nobody has either by asking for both. */
const reserved = runs([
  {
    program: cProgram("reservers").host,
    args: [40],
    machines: 3,
    cores: 1,
    right:
      /^reservers: both refused 40, the first had 40; then both No error information, to another Resource temporarily unavailable and Resource temporarily unavailable, then both No error information$/m,
  },
]);

const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

/** R7: machine 3 is left out, comes back as a new life and opens its file again (test/cluster/return.test.ts). */
const returns: Judged = async (seed, kernel) => {
  const [pages, written] = [40, 6];
  const home = 1 + ((seed - 1) % 3);
  const run = await withFaults(
    cProgram("again").host,
    [3, letters.find((name) => homeOf(name, [1, 2, 3]) === home)!, pages, written, 700],
    [
      [60, ({ network }) => network.partition([[1, 2, 4], [3]])],
      [300, ({ network }) => network.partition([])],
    ],
    {
      machines: 3,
      seed,
      append: "linkloss=120 blocked=30 leave=5",
      ...(kernel === undefined ? {} : { kernel }),
    },
    1500,
  );
  const right = `again: ${pages} pages, 0 wrong, 0 old`;
  const said = run.said(3, /^again: \d+ pages/).map(({ text }) => text);
  if (said.join() !== right) return run.text().slice(-400);
  const stats = run.cluster.nodes.map(({ console }) => console.stats ?? {});
  const revalidated = stats.reduce((sum, each) => sum + (each["pagesRevalidated"] ?? 0), 0);
  return home === 1 && revalidated !== pages - written
    ? `${revalidated} pages have kept their bytes`
    : undefined;
};

/** R2, R7: what machine 3 had is reported lost when it is left out; it comes back, and is the file's home when machine 1 leaves. */
const former: Judged = async (seed, kernel) => {
  const name = letters.find((name) => homeOf(name, [1, 2, 3]) === 1 && homeOf(name, [2, 3]) === 3)!;
  const run = await withFaults(
    cProgram("former").host,
    [3, name, 8, 700],
    [
      [60, ({ network }) => network.partition([[1, 2, 4], [3]])],
      [300, ({ network }) => network.partition([])],
      [550, (cluster) => cluster.nodes[0]!.machine.pressPowerButton()],
    ],
    { machines: 3, seed, append: "linkloss=120 blocked=30", ...(kernel && { kernel }) },
    800,
  );
  const said = [...run.said(1, /^former: told/), ...run.said(3, /^former: \d+ pages/)].map(
    ({ text }) => text,
  );
  return said.join() === "former: told 1,former: 8 pages, 0 old" ? undefined : run.text().slice(-400);
};

const formerLives: Judged = async (seed, kernel) =>
  wrongOfFormerPages(await formerPages(seed, kernel))?.slice(-400);

const erasOfRanges: Judged = async (seed, kernel) =>
  wrongOfEras(await comesBack(eras[(seed - 1) % eras.length]!, kernel))?.slice(-400);

/** R2: a home dies, or leaves, while a page is on its way to a writer who has guessed (test/cluster/guessed.test.ts). */
const offersOf =
  (rows: readonly Guessed[]): Judged =>
  async (seed, kernel) => {
    const each = rows[(seed - 1) % rows.length]!;
    return wrongOfGuessed(each, await guessed(each, kernel))?.slice(-400);
  };
const offers = offersOf([16, 18, 9, 0, 2, 17].map((row) => guesses[row]!));
const offersForgotten = offersOf([guesses[4]!]);
const offersToLeavers = offersOf(guesses.filter(({ writerLeaves }) => writerLeaves));
const offersMeetingLeaves = offersOf(guesses.filter(({ leaves = 0 }) => leaves > 150 && leaves < 200));

/** R2: a borrower dies, and nobody touches the page until another machine reads it (test/cluster/lent.test.ts). */
const borrowers =
  (leaves: boolean): Judged =>
  async (seed, kernel) =>
    (await broken({ home: 1 + (seed % 3), seed, leaves }, kernel)).wrong?.slice(-400);

/** R2: somebody dies while a file's home moves (test/cluster/held.test.ts). */
const moving =
  (dies: Held["dies"]): Judged =>
  async (seed, kernel) =>
    wrongOf(dies, await tellHeld({ dies, seed }, kernel))
      ?.run.text()
      .slice(-400);

/** R2: a home dies whose heir was switched off and on again (test/cluster/left.test.ts). */
const heirs: Judged = async (seed, kernel) => {
  const { run, said } = await heirIsNew(seed, kernel);
  return said.join() === leftBehind.join() ? undefined : run.text().slice(-400);
};

const notes: Judged = async (seed, kernel) => {
  const run = await homeDiesAsAnotherLeaves(seed, kernel);
  return isTold(run) ? undefined : run.text().slice(-400);
};

/** R2: what a machine that leaves has given to another that leaves goes with a third one (test/cluster/left.test.ts). */
const passedOn: Judged = async (seed, kernel) =>
  wrongOfPassedOn(await passedOnToTheDead(seed, kernel))?.slice(-400);

/** Promise 85: more written pages are unmapped than can be noted, and their machine leaves (test/cluster/noted.test.ts). */
const leavesNoted: Judged = async (seed, kernel) => {
  const run = await given(seed * 5, kernel);
  return isGiven(run) ? undefined : run.text().slice(-400);
};

/** Promise 85: the numbers of what machines have after such unmapping (test/cluster/numbered.test.ts). */
const numbers: Judged = async (seed, kernel) =>
  (await wrongOfNumbered(unmappedRuns[(seed - 1) % unmappedRuns.length]!, kernel))?.slice(-400);

/** R3: a machine leaves with the only mirrors, and the pages' owner dies in the same move (test/cluster/mirror.test.ts). */
const mirrorsLeave: Judged = async (seed, kernel) =>
  (await leftMirrors(seed, kernel))
    .map(wrongOfLeftMirrors)
    .find((wrong) => wrong !== undefined)
    ?.slice(-400);

/** One death in several strikes who alone has the newest value. */
const DEATHS_EACH = 5;

/** R3: what a mirrored cluster has told is never taken back, by what `buslock run --chaos` judges (emulator/chaos/mirrored.ts). */
const mirroredEndures: Judged = async (seed, kernel) => {
  for (let chaos = 1 + (seed - 1) * DEATHS_EACH; chaos <= seed * DEATHS_EACH; chaos++) {
    const faults = { chaosFaults: "kill", chaosCount: 1, chaosTime: 100 };
    const run = await chaosRun({ chaos, mirror: 1, ...faults }, kernel === undefined ? {} : { kernel });
    const { broken } = run.chaos.findings.find(({ promise }) => promise === "R3 mirrored")!;
    if (broken.length > 0) return `${run.replay}: ${broken[0]}`;
  }
  return undefined;
};

/** R3: memory is short where pages are written, or where their mirrors are to be (test/cluster/crowded.test.ts). */
const crowded: Judged = async (seed, kernel) => {
  const each = [10, 11, 5, 6, 3, 0].map((row) => crowds[row]!)[(seed - 1) % 6]!;
  return wrongOfCrowd(each, await crowd(each, kernel));
};

const fewMirrorsFit: Judged = async (seed, kernel) => wrongOfFewFit(await fewFit(seed, kernel))?.slice(-400);

const manyMirrorsLeave: Judged = async (seed, kernel) => {
  const run = await manyLeftMirrors(seed, { kernel });
  return allIsThere(run) ? undefined : run.text().slice(-400);
};

/** Memory is full of shared pages when a home dies, or a machine leaves (test/cluster/full.test.ts). */
const full: Judged = async (seed, kernel) => {
  const told = [2, 3, 6, 7].map((row) => fulls[row]!)[(seed - 1) % 4]!;
  return wrongOfFull(told, await tellFull(told, kernel));
};

/** LOCKed instructions that the owner of a hot page does for another machine (test/cluster/shipped.test.ts). */
const ships: Judged = async (seed, kernel) => {
  const { right, text } = await shipped(shippedKinds[(seed - 1) % shippedKinds.length]!, seed, kernel);
  return right ? undefined : text;
};

/** A page of zeros has no bytes on the wire (test/cluster/steps.test.ts). */
const empty: Judged = async (seed, kernel) => {
  const run = await zeros(seed, kernel);
  const route = run.route(3).slice(0, zerosRoute.length).join();
  return route === zerosRoute.join() ? undefined : route;
};

/** What the hold window is for (test/cluster/handover.test.ts). */
const windows: Judged = async (seed, kernel) => {
  const machines = seed % 2 === 0 ? 4 : 2;
  const held = await stores(machines, { seed, ...(kernel && { kernel }) });
  const passing = await stores(machines, { seed, append: "hold=0" });
  const earns = held.total / passing.total;
  return earns > WINDOW_EARNS ? undefined : `the window earns ${earns.toFixed(2)} stores for one`;
};

export const kernelJudges = {
  full,
  ships,
  empty,
  windows,
  holders: moving("writer"),
  homes: moving("next home"),
  records,
  shedsOwn: shed(["own", 100, "f"], 1),
  short,
  lent,
  rests: borrowers(false),
  leaves: borrowers(true),
  leavesNoted,
  passedOn,
  mirrorsLeave,
  manyMirrorsLeave,
  fewMirrorsFit,
  crowded,
  mirroredEndures,
  heirs,
  offers,
  offersForgotten,
  offersMeetingLeaves,
  offersToLeavers,
  notes,
  numbers,
  refusals,
  reserved,
  returns,
  former,
  formerLives,
  erasOfRanges,
  scans,
  spread,
};
