// What the kernel promises a cluster that faults strike (ARCHITECTURE.md, "Membership" and "Coherence"), one row each: the
// rule by which the consoles' lines are judged, how often it was put to the test, and what broke it. The judge knows what
// was done to the cluster (storm.ts) and what may be seen of it then, nothing of the guests' memory.

import { judgeAdditions, unjustified } from "./additions.js";
import { type Addition, isNewer, type Reading, type View } from "./ledger.js";
import { nothingTakenBack } from "./mirrored.js";
import { stations } from "./plan.js";
import type { Stretch } from "./storm.js";

export interface Evidence {
  readonly machines: number;
  /** mirror=F of the guests; 0: volatile. */
  readonly mirror: number;
  /** Milliseconds, the guests' own: linkloss= and blocked=. */
  readonly linkloss: number;
  readonly blocked: number;
  /** How exact times of lines are: of two that are closer the order is not known. */
  readonly blur: number;
  /** The same for times that programs tell themselves, and for those of what was done to machines. */
  readonly skew: number;
  /** So often, in milliseconds, a machine tells that it has done work of its own. */
  readonly round: number;
  readonly stretches: readonly Stretch[];
  readonly reading: Reading;
  /** Lives that were ended by a kill, and when. */
  readonly deaths: readonly { readonly machine: number; readonly life: number; readonly at: number }[];
  /** Machines that stood still, and went on then. */
  readonly resumes: readonly { readonly machine: number; readonly at: number }[];
  /** Machines that ended by themselves otherwise than with a status, and how. */
  readonly problems: readonly { readonly machine: number; readonly problem: string }[];
  /** The last machine of each number ended with a status or was stopped by the end of the run. */
  readonly end: number;
}

export interface Finding {
  readonly promise: string;
  readonly says: string;
  /** Cases in which it could have been broken. */
  readonly tested: number;
  readonly broken: readonly string[];
}

interface Row {
  readonly name: string;
  readonly says: string;
  judge(e: Evidence): { tested: number; broken: string[] };
}

const promises: readonly Row[] = [
  { name: "R0 views", says: "no two machines take different members for the same view", judge: oneView },
  { name: "R0 count", says: "nobody counts twice: old values differ, follow real time, and none is left out", judge: judgeAdditions },
  { name: "R0 lease", says: "a machine that a view leaves out shares nothing until one takes it in", judge: leftOut },
  { name: "R2 loss", says: "an addition fails only when a machine was lost or out of reach, and each thread is told once", judge: unjustified },
  { name: "R3 mirrored", says: "mirrored, nothing that was told is taken back, and no loss is told, while as few are lost as there are mirrors", judge: nothingTakenBack },
  { name: "R4 majority", says: "more than half of a view, and in touch, goes on", judge: majorityGoesOn },
  { name: "R4 private", says: "work that needs no other machine goes on, whoever is lost", judge: privateWork },
  { name: "R5 ends", says: "every operation ends: when all is well again, each thread goes on", judge: everyoneGoesOn },
  { name: "R7 return", says: "who was cut off, stood still or starts again belongs to the cluster again", judge: allBelong },
  { name: "kernel", says: "no kernel panics, and a machine ends by a fault or by its program", judge: noPanic },
]; // biome-ignore format: a table reads by columns

export const judge = (e: Evidence): Finding[] =>
  promises.map(({ name, says, judge }) => ({ promise: name, says, ...judge(e) }));

/** When the faults are over: does everybody go on, as one cluster? A program that tells no additions has until its end. */
export const isSettled = (e: Evidence): boolean =>
  e.reading.additions.length > 0 &&
  [everyoneGoesOn, allBelong].every((judge) => judge(e).broken.length === 0);

/** Beyond this many of a kind only their number is told. */
const SHOWN_MAX = 5;
export const shown = (all: readonly string[]): string[] =>
  all.length <= SHOWN_MAX ? [...all] : [...all.slice(0, SHOWN_MAX), `and ${all.length - SHOWN_MAX} more`];

const ms = (time: number): string => time.toFixed(3);

// --- R0 ---

function oneView({ reading }: Evidence): { tested: number; broken: string[] } {
  const broken: string[] = [];
  const known = new Map<string, View>();
  for (const view of reading.views) {
    const name = `${view.cluster} ${view.number}`;
    const first = known.get(name) ?? view;
    known.set(name, first);
    const [members, others] = [view, first].map((one) => one.members.join(" "));
    if (members !== others)
      broken.push(
        `${ms(view.at)}: machine ${view.machine} takes view ${view.number} for ${members}, machine ${first.machine} for ${others}`,
      );
  }
  return { tested: reading.views.length, broken: shown(broken) };
}

/** The newest view that somebody had announced by then. */
export function viewAt(views: readonly View[], at: number): View | null {
  let newest: View | null = null;
  for (const view of views) {
    if (view.at > at) break;
    if (newest === null || isNewer(view, newest)) newest = view;
  }
  return newest;
}

function leftOut(e: Evidence): { tested: number; broken: string[] } {
  const { views, additions } = e.reading;
  const grace = e.linkloss / 3 + e.blur;
  const broken: string[] = [];
  let tested = 0;
  for (const a of additions) {
    const before = viewAt(views, a.returned - grace);
    if (before === null || before.members.includes(a.machine)) continue;
    tested++;
    if (a.old === null || atResume(e, a) || viewAt(views, a.returned + e.blur)!.members.includes(a.machine))
      continue;
    broken.push(
      `${ms(a.returned)}: machine ${a.machine} got ${a.old}, view ${before.number} since ${ms(before.at)} is ${before.members.join(" ")}`,
    );
  }
  return { tested, broken: shown(broken) };
}

/** Its machine had said that it is left out: mirrored, what it tells then others need not have seen. */
export function toldTooLate({ reading }: Evidence, a: Addition): boolean {
  return reading.views.some(
    ({ machine, members, at }) =>
      machine === a.machine && !members.includes(machine) && a.returned <= at && at <= a.heard,
  );
}

/**
 * A guest that stood still as a whole runs until its timer shows it the time: ARCHITECTURE.md names that as not covered, so
 * what it does within this time after is not judged.
 */
const RESUME_MS = 0.1;
export const atResume = (e: Evidence, a: Addition): boolean =>
  e.resumes.some(
    ({ machine, at }) => machine === a.machine && a.invoked <= at + RESUME_MS && a.returned >= at,
  );

// --- R4 ---

/** All sets of machines that are alive, run, and hear each other. Machines are few: every set is looked at. */
function inTouch(e: Evidence, stretch: Stretch): number[][] {
  const able = stations(e.machines).filter((m) => stretch.alive[m - 1] && !stretch.still[m - 1]);
  const hears = (a: number, b: number) => !stretch.deaf.has(a * 256 + b) && !stretch.deaf.has(b * 256 + a);
  const sets: number[][] = [[]];
  for (const m of able)
    for (const set of [...sets]) if (set.every((other) => hears(m, other))) sets.push([...set, m]);
  return sets.filter((set) => set.length > 0);
}

/** Has that set more than half of the view's votes, two for a machine and one for the bridge? */
function isMajority(
  e: Evidence,
  stretch: Stretch,
  set: readonly number[],
  view: View,
  bridge: boolean,
): boolean {
  const witness = e.machines + 1;
  const heard = set.every(
    (m) => !stretch.deaf.has(m * 256 + witness) && !stretch.deaf.has(witness * 256 + m),
  );
  const votes =
    2 * set.filter((m) => view.members.includes(m)).length + (bridge && stretch.bridge && heard ? 1 : 0);
  return 2 * votes > 2 * view.members.length + 1;
}

/** The lives that vote on what follows a view: a machine that was killed since has begun another, which has no vote. */
const voters = (e: Evidence, view: View, at: number): number[] =>
  view.members.filter(
    (m) => !e.deaths.some((death) => death.machine === m && death.at > view.at && death.at <= at),
  );

/**
 * Is more than half of the last view alive? Who is not of it can come back only by its votes. The bridge's is not counted on if it
 * has begun anew.
 */
function canGoOn(e: Evidence): boolean {
  const view = viewAt(e.reading.views, Number.POSITIVE_INFINITY);
  if (view === null) return true;
  const bridge = e.stretches.some((stretch) => !stretch.bridge) ? 0 : 1;
  return 2 * voters(e, view, e.end).length + bridge > view.members.length;
}

/** So long a majority may take: the silence, the view, the death of who was left out, and the moves of homes. */
const patience = (e: Evidence): number => e.linkloss * 1.5 + 20 + 4 * e.blur;

/**
 * In each stretch that lasts long enough, some majority in touch must go on, all of its machines. The bridge's vote is not counted
 * on, since a bridge that has started again has none until a view takes it in.
 */
function majorityGoesOn(e: Evidence): { tested: number; broken: string[] } {
  const { views, additions } = e.reading;
  const broken: string[] = [];
  let tested = 0;
  if (additions.length === 0) return { tested, broken };
  for (const stretch of calm(e)) {
    const from = stretch.from + patience(e);
    const view = viewAt(views, stretch.from);
    if (view === null || stretch.to - from < e.linkloss / 4) continue;
    const electors = voters(e, view, stretch.to);
    const sets = inTouch(e, stretch).map((set) => set.filter((m) => electors.includes(m)));
    const able = sets.filter((set) => isMajority(e, stretch, set, view, false));
    if (able.length === 0) continue;
    tested++;
    const going = (m: number) =>
      additions.some(
        (a) =>
          a.machine === m &&
          a.old !== null &&
          a.returned >= stretch.from &&
          a.returned <= stretch.to &&
          a.returned >= from - e.linkloss,
      );
    const longest = Math.max(...able.map((set) => set.length));
    const candidates = able.filter((set) => set.length === longest);
    if (candidates.some((set) => set.every(going)) || able.some((set) => set.every(going))) continue;
    broken.push(
      `${ms(stretch.from)} to ${ms(stretch.to)}: of view ${view.number} (${view.members.join(" ")}) ${candidates[0]!.join(" ")} are in touch and do not go on`,
    );
  }
  return { tested, broken: shown(broken) };
}

/** Stretches, those that do not differ in who is there and who hears whom being one. */
function calm({ stretches }: Evidence): Stretch[] {
  const key = (s: Stretch) =>
    JSON.stringify([
      s.alive,
      s.still,
      s.bridge,
      [...s.deaf],
      s.faults.filter(({ kind }) => kind === "loss" || kind === "reorder").length,
    ]);
  const joined: Stretch[] = [];
  for (const stretch of stretches) {
    const last = joined.at(-1);
    if (last !== undefined && key(last) === key(stretch)) last.to = stretch.to;
    else joined.push({ ...stretch });
  }
  return joined;
}

/** So much later than it should a machine may do work of its own. */
const ROUND_MS = 35;

function privateWork(e: Evidence): { tested: number; broken: string[] } {
  // Mirrored, the console waits until all that was written is on other machines (commits.ts), so it cannot tell of such work.
  if (e.mirror > 0) return { tested: 0, broken: [] };
  const { rounds, exits } = e.reading;
  const longest = e.round + ROUND_MS + 20 * e.blur;
  const broken: string[] = [];
  let tested = 0;
  for (const machine of stations(e.machines)) {
    // Before the plan's zero machines start and meet, and nobody has looked how busy their host is.
    const mine = rounds.filter((line) => line.machine === machine && line.at >= 0);
    for (let i = 1; i < mine.length; i++) {
      const [from, to] = [mine[i - 1]!, mine[i]!];
      if (from.life !== to.life) continue;
      tested++;
      const stood = e.stretches
        .filter((s) => s.still[machine - 1] && s.to > from.at && s.from < to.at)
        .reduce((sum, s) => sum + Math.min(s.to, to.at) - Math.max(s.from, from.at), 0);
      const gap = to.at - from.at - stood;
      if (gap > longest)
        broken.push(`machine ${machine} did no work of its own from ${ms(from.at)} to ${ms(to.at)}`);
    }
    const last = mine.at(-1);
    const over = exits.some((line) => line.machine === machine);
    const there = e.stretches.at(-1)?.alive[machine - 1] === true;
    if (
      last !== undefined &&
      !over &&
      there &&
      e.end - last.at > longest &&
      lastLife(e, machine) === last.life
    )
      broken.push(`machine ${machine} has done no work of its own since ${ms(last.at)}`);
  }
  return { tested, broken: shown(broken) };
}

const lastLife = (e: Evidence, machine: number): number =>
  e.deaths.filter((death) => death.machine === machine).length;

// --- When the faults are over ---

function everyoneGoesOn(e: Evidence): { tested: number; broken: string[] } {
  const quiet = e.stretches.at(-1)!;
  const { additions } = e.reading;
  const broken: string[] = [];
  let tested = 0;
  const threads = new Set(additions.map(({ thread }) => thread));
  if (!canGoOn(e)) return { tested, broken };
  for (const machine of stations(e.machines)) {
    if (quiet.alive[machine - 1] !== true) continue;
    for (const thread of threads) {
      tested++;
      const goesOn = additions.some(
        (a) => a.machine === machine && a.thread === thread && a.old !== null && a.returned > quiet.from,
      );
      if (!goesOn)
        broken.push(
          `machine ${machine}, thread ${thread}: no addition since ${ms(quiet.from)}, when the faults were over`,
        );
    }
  }
  return { tested, broken: shown(broken) };
}

function allBelong(e: Evidence): { tested: number; broken: string[] } {
  const quiet = e.stretches.at(-1)!;
  const { views, additions, exits } = e.reading;
  if ((additions.length === 0 && exits.length > 0) || !canGoOn(e)) return { tested: 0, broken: [] };
  const view = viewAt(views, Number.POSITIVE_INFINITY);
  const broken: string[] = [];
  let tested = 0;
  for (const machine of stations(e.machines)) {
    if (quiet.alive[machine - 1] !== true) continue;
    tested++;
    if (view?.members.includes(machine) !== true)
      broken.push(
        `machine ${machine} is well and not in the last view, ${view?.number} (${view?.members.join(" ")})`,
      );
  }
  return { tested, broken: shown(broken) };
}

function noPanic({ reading, problems, machines, deaths }: Evidence): { tested: number; broken: string[] } {
  const panics = reading.panics.map(({ at, machine, text }) => `${ms(at)}: machine ${machine}: ${text}`);
  const ended = problems.map(({ machine, problem }) => `machine ${machine}: ${problem}`);
  const verdicts = reading.verdicts
    .filter(({ text }) => text.endsWith("no"))
    .map(({ machine, text }) => `machine ${machine}: ${text}`);
  return { tested: machines + deaths.length, broken: shown([...panics, ...ended, ...verdicts]) };
}
