// Bugs in what is around the engine: the kernel is built with one line changed, and runs on clusters of emulated machines. Programs
// that know what they must find tell.
import { plantedKernel } from "../../bugs/plant.js";
import { repeat, seeded } from "../cluster.js";
import { withFaults } from "../faults.js";
import { fulls, tellFull, wrongOfFull } from "../full.js";
import { cProgram, glibcProgram, hasGlibc } from "../guest.js";
import { type Held, tellHeld, wrongOf } from "../held.js";
import { homeOf } from "../homes.js";
import { heirIsNew, leftBehind } from "../left-behind.js";
import { allIsThere, leftMirrors, manyLeftMirrors, wrongOfLeftMirrors } from "../left-mirrors.js";
import { broken } from "../lent.js";
import { shipped, shippedKinds } from "../shipped.js";
import { zeros, zerosRoute } from "../steps.js";
import { stores, WINDOW_EARNS } from "../stores.js";
import type { Change } from "./compiled.js";
import type { Finding, Planted } from "./plant.js";

/** What is wrong in the run with this seed; nothing: undefined. */
type Judged = (seed: number, kernel: Uint8Array | undefined) => Promise<string | undefined>;

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

/** R3: a machine leaves with the only mirrors, and the pages' owner dies in the same move (test/cluster/mirror.test.ts). */
const mirrorsLeave: Judged = async (seed, kernel) =>
  (await leftMirrors(seed, kernel))
    .map(wrongOfLeftMirrors)
    .find((wrong) => wrong !== undefined)
    ?.slice(-400);

const manyMirrorsLeave: Judged = async (seed, kernel) => {
  const run = await manyLeftMirrors(seed, kernel);
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

const judges = {
  full,
  ships,
  empty,
  windows,
  holders: moving("writer"),
  homes: moving("next home"),
  records,
  short,
  lent,
  rests: borrowers(false),
  leaves: borrowers(true),
  mirrorsLeave,
  manyMirrorsLeave,
  heirs,
  refusals,
  reserved,
  returns,
  former,
  scans,
  spread,
};

const bugs: readonly (Change & { judge: keyof typeof judges; survives?: true })[] = [
  {
    name: "AND for another machine is OR, and OR is AND",
    judge: "ships",
    file: "coherence/operation.ts",
    from: "      return atomic.and<T>(at, operand);\n    case OR:\n      return atomic.or<T>(at, operand);",
    to: "      return atomic.or<T>(at, operand);\n    case OR:\n      return atomic.and<T>(at, operand);",
  },
  {
    name: "a page of zeros travels with its bytes",
    judge: "empty",
    file: "coherence/page-data.ts",
    from: "return page.frame != 0 && !isZero(page.frame) ? page.frame : 0;",
    to: "return page.frame;",
  },
  {
    name: "the hold window goes on when nobody has written, and ends when somebody has",
    judge: "windows",
    file: "coherence/hold.ts",
    from: "if (now < end && writtenSince(page)) {",
    to: "if (now < end && !writtenSince(page)) {",
  },
  {
    name: "GIVE_BACK: the home does not take what it is offered",
    judge: "short",
    file: "coherence/giving.ts",
    from: "  if (!isIdle(page, 0) || (page.ranged == 0 && <u32>page.owner != from)) return;\n",
    to: "  if (page.index == index) return;\n",
  },
  {
    name: "GIVE_BACK: nobody offers a page",
    judge: "records",
    file: "coherence/budget.ts",
    from: "if (!isIdle(page, now)) continue;\n        pageGiveBack(object, page, now);",
    to: "if (!isIdle(page, now)) continue;",
  },
  {
    name: "a new home without a record of a page does not count what it has itself",
    judge: "full",
    file: "coherence/frozen.ts",
    from: "    if (report != REPORT_NOTHING) reportsPut(object, kept.index, kept.index, clusterSelf(), report);\n",
    to: "",
  },
  {
    name: "lost bytes without a record keep their number",
    judge: "full",
    file: "coherence/frozen.ts",
    from: "if (directory != LOST && (directory != UNUSED || object.renumbered == 0)) continue;",
    to: "if (directory != UNUSED || object.renumbered == 0) continue;",
  },
  {
    name: "what is here without a record is not, after its home has moved",
    judge: "full",
    file: "coherence/frozen.ts",
    from: "    rangesPutState(rangesOf(object), kept.index, kept.index, right);\n",
    to: "",
  },
  {
    name: "all is handed in at once, whether the link is full or not",
    judge: "full",
    file: "syslink/outbox.ts",
    from: "  return (overflowing & bit(machine)) != 0;\n}\n\n/** What now finds room",
    to: "  return false;\n}\n\n/** What now finds room",
  },
  {
    name: "what a leaver gives and there is no room for was nothing",
    judge: "full",
    file: "coherence/hand-in.ts",
    from: "pagesReported(object, index, index, from, REPORT_ROOMLESS,",
    to: "pagesReported(object, index, index, from, REPORT_NOTHING,",
  },
  {
    name: "a page of which chunks are lent, or lost, is idle",
    judge: "rests",
    file: "coherence/resting.ts",
    from: "if (!pageRests(page) || hasLoans(page)) return false;",
    to: "if (!pageRests(page)) return false;",
  },
  {
    name: "who leaves does not say that a borrower's bytes were lost",
    judge: "leaves",
    file: "coherence/hand-in.ts",
    from: "  if (report == REPORT_PARTLY) page.broken = 1; // as loans.ts has it of a borrower's death\n",
    to: "",
  },
  {
    name: "what a machine held by ranges is nobody's when it dies while their home moves",
    judge: "holders",
    file: "coherence/homes.ts",
    from: "if (!mirrorsOn() && object.moving != 0 && (object.holders & bit(machine)) != 0) object.lossy = 1;",
    to: "if (object.holders == ~(<u64>0)) object.lossy = 1;",
  },
  {
    name: "a former home knows everything, though another one has served since",
    judge: "homes",
    file: "coherence/homes.ts",
    from: "    if ((object.handedTo & bit(machine)) != 0) object.complete = 0;\n",
    to: "",
  },
  {
    name: "queue=0: who was refused does not ask again",
    judge: "refusals",
    file: "coherence/refusals.ts",
    from: "    } else if (page.refusedTransaction == page.transaction && page.frozen == 0) askAgain(page);",
    to: "    }",
  },
  {
    name: "queue=0: the end of a request is not confirmed",
    judge: "refusals",
    file: "coherence/refusals.ts",
    from: "  if (page.passedFor == from && page.passedTransaction == message.msgid) page.passedFor = 0;\n",
    to: "",
  },

  {
    name: "R2: a new life of an heir is told nothing",
    judge: "heirs",
    file: "syslink/members.ts",
    from: "  willsMachineDied(machine);\n",
    to: "",
  },
  {
    name: "R2: an heir is told pages alone",
    judge: "heirs",
    file: "coherence/wills.ts",
    from: "  tell(object, ANEW);\n",
    to: "  tell(object, 0);\n",
  },
  {
    name: "R3: who leaves tells nobody of its mirrors",
    judge: "mirrorsLeave",
    file: "coherence/hand-in.ts",
    from: "  else if (mirrorsOn() && report == REPORT_HAD)\n    store<u64>(itemPut(writer, ITEM_SERIAL, 0, 8), mirrorBest(page));\n",
    to: "",
  },
  {
    name: "R3: who leaves sends what it had of the page itself for the mirror",
    judge: "mirrorsLeave",
    file: "coherence/shelves.ts",
    from: "return shelfIsOwn(page, page.had != 0) ? page.frame : page.shelfFrame;",
    to: "return page.frame;",
  },
  {
    name: "R3: a new home goes on waiting for mirrors that have come",
    judge: "manyMirrorsLeave",
    file: "coherence/left-mirrors.ts",
    from: "  fetching--;\n",
    to: "",
  },
  {
    name: "R7: nothing remains of a former life",
    judge: "returns",
    file: "coherence/remains.ts",
    from: "  if (object.hash == 0) return false;\n",
    to: "  if (object.dead != 0) return false;\n",
  },
  {
    name: "R7: bytes of a former life count as the page's at a home that its machine becomes",
    judge: "former",
    file: "coherence/frozen.ts",
    from: "keptForget(object, kept); // it is not what others would read",
    to: "kept.former = 0;",
  },
  {
    name: "R7: a page that remains is told by its number without its era",
    judge: "returns",
    file: "coherence/serials.ts",
    from: "return has == page.serial && has != NO_SERIAL ?",
    to: "return (<u32>has == <u32>page.serial || (<u32>has) + 1 == <u32>page.serial) && has != NO_SERIAL ?",
  },
  {
    name: "runs: all pages of a run are of its first one's transaction",
    judge: "scans",
    file: "coherence/runs.ts",
    from: "readKind == SAY_CLEAN ? 0 : readTransaction + number",
    to: "readKind == SAY_CLEAN ? 0 : readTransaction",
  },
  {
    name: "runs: bytes go with the next number",
    judge: "scans",
    file: "coherence/runs.ts",
    from: "  store<u64>(at, serial);\n  memory.copy",
    to: "  store<u64>(at, serial + 1);\n  memory.copy",
  },
  {
    name: "runs: one goes on with whatever page comes next",
    judge: "scans",
    file: "coherence/runs.ts",
    from: "    index == first + count &&\n    number == (kind == SAY_CLEAN ? 0 : transaction + count);",
    to: "    number != 0;",
  },
  {
    name: "runs: of pages that lose the right together all were written if the first one was",
    judge: "scans",
    file: "coherence/page-messages.ts",
    from: "(loweredDirty >> <u32>place) & 1",
    to: "loweredDirty & 1",
  },
  {
    name: "runs without records: what was asked for is not known when a record is made",
    judge: "scans",
    file: "coherence/asked.ts",
    from: "  if (runs == 0) return;\n",
    to: "  if (page.index != NOT_ASKED) return;\n",
  },
  {
    name: "runs without records: the frame of the page before is taken",
    judge: "scans",
    file: "coherence/asked.ts",
    from: "  const at = frameAt(run, index - run.first);\n  const frame",
    to: "  const at = frameAt(run, (index - run.first) ^ 1);\n  const frame",
  },
  {
    name: "runs without records: the right to write stays where the pages were",
    judge: "scans",
    file: "coherence/together.ts",
    from: "if (stepLowers(set, index)) count",
    to: "if (index == ~(<u64>0)) count",
  },
  {
    name: "runs without records: written pages keep their numbers",
    judge: "scans",
    file: "coherence/together.ts",
    from: "    if (written != 0) kept.serial++;\n",
    to: "    if (written != 0 && kept.serial == 0) kept.serial++;\n",
  },
  {
    name: "runs without records: the home forgets who has the pages",
    judge: "scans",
    file: "coherence/steps.ts",
    from: "CLEAN_SHARED, 0, sharers | bitOf(to));",
    to: "CLEAN_SHARED, 0, sharers);",
  },
  {
    name: "runs without records: pages that came are not said to be here",
    judge: "scans",
    file: "coherence/together.ts",
    from: "  const last = index + count - 1;\n",
    to: "  const last = index;\n",
  },
  {
    name: "R6: several ranges are reserved one by one, and given back when one is refused",
    judge: "reserved",
    file: "process/lock-calls.ts",
    from: "  const result = advisoryLock(object, false, owner, u32(-1), ranges, count, wait !== 0);\n",
    to: `  let result: i64 = 0;
  for (let i: u32 = 0; i < count && result === 0; i++)
    result = advisoryLock(object, false, owner, u32(-1), ranges + <usize>i * LOCK_RANGE_BYTES, 1, wait !== 0);
  for (let i: u32 = 0; i < count && result < 0; i++) {
    const range = ranges + <usize>i * LOCK_RANGE_BYTES;
    advisoryUnlock(object, false, owner, load<u64>(range), load<u64>(range + 8));
  }
`,
  },
  {
    name: "spread: a sleeper on another machine is not woken",
    judge: "spread",
    file: "coherence/shared-futex.ts",
    from: "      messageEnd();\n    }\n    woken++;",
    to: "    }\n    woken++;",
  },
  {
    name: "spread: of those who are to be woken one is",
    judge: "spread",
    file: "coherence/shared-futex.ts",
    from: "while (at != 0 && woken < count) {",
    to: "while (at != 0 && woken < min<u32>(count, 1)) {",
  },
  {
    name: "spread: whoever sleeps on the object is woken",
    judge: "spread",
    file: "coherence/shared-futex.ts",
    from: "waiter.object != changetype<usize>(object) || waiter.offset != offset",
    to: "waiter.object != changetype<usize>(object)",
  },
];

const SEEDS = 6;

async function found(judge: Judged, kernel: Uint8Array | undefined): Promise<Finding[]> {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const says = await judge(seed, kernel).catch((error: Error) => error.message);
    if (says !== undefined) return [{ by: "cluster", after: seed, says: says.split("\n").at(-1)! }];
  }
  return [];
}

/** What the intact kernel is suspected of. */
export const suspected = async (): Promise<Finding[]> =>
  (await Promise.all(Object.values(judges).map((judge) => found(judge, undefined)))).flat();

export const kernelPlants: readonly Planted[] = bugs.map(({ name, judge, file, from, to, survives }) => ({
  name,
  where: file,
  change: { name, file, from, to },
  ...(survives && { survives }),
  find: async () =>
    found(
      judges[judge],
      (await plantedKernel({ kernel: { file: `kernel/${file}`, changes: [[from, to]] } }))!,
    ),
}));
