// Additions to one word by every thread of a cluster, judged: fetch-and-add hands out each value once, and later ones to
// whoever asks later. What a loss changes: it takes the word back to an older value while the addition that is told of it is under
// way. So the time is cut at these windows, and between two of them the rule holds without exception.
//
// An addition whose outcome nobody knows (its thread was told of a loss, or killed before it could tell) may have happened or
// not: it explains one value that nobody got.

import type { Addition } from "./ledger.js";
import { stations } from "./plan.js";
import { atResume, type Evidence, shown, toldTooLate, viewAt } from "./promises.js";

export type Window = readonly [from: number, to: number];

const ms = (time: number): string => time.toFixed(3);
const text = (a: Addition) => `machine ${a.machine}'s ${a.old} at ${ms(a.invoked)} to ${ms(a.returned)}`;

export function judgeAdditions(e: Evidence): { tested: number; broken: string[] } {
  const known = e.reading.additions.filter((a) => a.old !== null);
  const windows = merged([
    ...lossWindows(e),
    ...e.resumes.map(({ at }): Window => [at - e.skew, at + 0.1 + e.skew]),
  ]);
  const unknown = silences(e);
  const broken: string[] = [];
  let tested = 0;
  const told = (a: Addition) => e.mirror === 0 || !toldTooLate(e, a);
  const judges = (a: Addition) => !atResume(e, a) && !touches(windows, a.invoked, a.returned) && told(a);
  const judged = known.filter(judges);
  const others = new Set(known.filter((a) => !judges(a)).map((a) => a.old!));
  for (const segment of segments(judged, windows)) {
    tested += segment.length;
    broken.push(...twice(segment), ...disorder(segment, e.skew));
    // Mirrored, who is out of reach cannot tell what it got.
    if (e.mirror === 0) broken.push(...gaps(segment, unknown, others));
  }
  return { tested, broken: shown(broken) };
}

/** From the call that was told of a loss until its thread had the word again. */
function lossWindows({ reading: { additions }, deaths, linkloss, end }: Evidence): Window[] {
  const told = additions
    .filter((a) => a.old === null)
    .map((failed): Window => {
      const again = additions.find(
        (a) =>
          a.old !== null &&
          a.machine === failed.machine &&
          a.life === failed.life &&
          a.thread === failed.thread &&
          a.invoked > failed.returned,
      );
      return [failed.invoked, again?.returned ?? end];
    });
  // Who was told and died before he could say so.
  const died = deaths.map(({ machine, life, at }): Window => {
    const last = additions.filter((a) => a.machine === machine && a.life === life).map((a) => a.returned);
    return [Math.max(at - linkloss, ...last.slice(-1)), at + 2 * linkloss];
  });
  const survivorsLost = additions.some((a) => a.old === null);
  return survivorsLost || deaths.length > 1 ? [...told, ...died] : told;
}

/** Times in which a thread may have added without telling: after its last line, or all its life if it has told nothing. */
function silences(e: Evidence): Window[] {
  const { additions } = e.reading;
  const last = new Map<string, Addition>();
  for (const a of additions) last.set(`${a.machine} ${a.life} ${a.thread}`, a);
  const threads = [...new Set(additions.map(({ thread }) => thread))];
  return stations(e.machines).flatMap((machine) => {
    const deaths = e.deaths.filter((death) => death.machine === machine).map(({ at }) => at);
    return [Number.NEGATIVE_INFINITY, ...deaths].flatMap((begun, life) =>
      threads.map((thread): Window => {
        const from = last.get(`${machine} ${life} ${thread}`)?.returned ?? begun;
        return [from, (deaths[life] ?? Number.POSITIVE_INFINITY) + 2 * e.linkloss];
      }),
    );
  });
}

function merged(windows: Window[]): Window[] {
  const result: [number, number][] = [];
  for (const [from, to] of [...windows].sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

export const touches = (windows: readonly Window[], from: number, to: number): boolean =>
  windows.some(([a, b]) => from <= b && to >= a);

/** The additions between two windows. */
export function segments(additions: readonly Addition[], windows: readonly Window[]): Addition[][] {
  const bySegment = new Map<number, Addition[]>();
  for (const a of additions) {
    const segment = windows.filter(([, to]) => to < a.invoked).length;
    bySegment.set(segment, [...(bySegment.get(segment) ?? []), a]);
  }
  return [...bySegment.values()];
}

export function twice(segment: readonly Addition[]): string[] {
  const seen = new Map<number, Addition>();
  const broken: string[] = [];
  for (const a of segment) {
    const other = seen.get(a.old!);
    if (other !== undefined) broken.push(`counted twice: ${text(other)}, and ${text(a)}`);
    else seen.set(a.old!, a);
  }
  return broken;
}

/** Who was invoked after another had returned got a later value. */
export function disorder(segment: readonly Addition[], skew: number): string[] {
  const invoked = [...segment].sort((a, b) => a.invoked - b.invoked);
  const returned = [...segment].sort((a, b) => a.returned - b.returned);
  const broken: string[] = [];
  let newest: Addition | null = null;
  let next = 0;
  for (const a of invoked) {
    for (; next < returned.length && returned[next]!.returned + skew < a.invoked; next++)
      if (newest === null || returned[next]!.old! > newest.old!) newest = returned[next]!;
    if (newest !== null && newest.old! > a.old!)
      broken.push(`went back: after ${text(newest)} came ${text(a)}`);
  }
  return broken;
}

/** Values that nobody got, though nobody is left who could have got them. */
function gaps(
  segment: readonly Addition[],
  unknown: readonly Window[],
  others: ReadonlySet<number>,
): string[] {
  const values = [...segment].sort((a, b) => a.old! - b.old!);
  const broken: string[] = [];
  for (let i = 1; i < values.length; i++) {
    const [before, after] = [values[i - 1]!, values[i]!];
    let missing = before.old! + 1;
    while (missing < after.old! && others.has(missing)) missing++;
    if (missing >= after.old! || touches(unknown, before.invoked, after.returned)) continue;
    broken.push(`nobody got ${missing}: between ${text(before)}, and ${text(after)}`);
  }
  return broken;
}

/** Faults after which a machine may be given up, or find itself out of reach. */
const separating = new Set(["kill", "pause", "cut", "oneway", "bridge", "loss"]);

/** A host that is so late itself makes machines look dead: the lease is 3/10 of linkloss=. */
const LEASE = 0.3;

export function unjustified(e: Evidence): { tested: number; broken: string[] } {
  if (e.blur > LEASE * e.linkloss) return { tested: 0, broken: [] };
  const failed = e.reading.additions.filter((a) => a.old === null);
  const broken: string[] = [];
  const views = e.reading.views;
  for (const a of failed) {
    const since = a.invoked - 3 * e.linkloss - e.blocked - e.blur;
    const reason = e.stretches.some(
      (s) => s.to >= since && s.from <= a.returned && s.faults.some(({ kind }) => separating.has(kind)),
    );
    if (!reason)
      broken.push(`${ms(a.returned)}: machine ${a.machine} was told of a loss, and no machine was lost`);
  }
  // Once for what it had asked of a machine that was lost, once for the page that was lost with it.
  const told = new Map<string, Addition[]>();
  for (const a of failed) {
    const view = viewAt(
      views.filter((v) => v.machine === a.machine),
      a.returned,
    );
    const key = `${a.machine} ${a.life} ${a.thread} ${view?.number}`;
    const others = told.get(key) ?? [];
    const [first] = others;
    told.set(key, [...others, a]);
    if (others.length >= 2 && !struckBetween(e, first!, a))
      broken.push(
        `${ms(a.returned)}: machine ${a.machine}, thread ${a.thread} is told of a loss for the third time in view ${view?.number}`,
      );
  }
  return { tested: failed.length, broken: shown(broken) };
}

/** Did another fault begin or end between the two, or was the machine out of reach? */
function struckBetween(e: Evidence, first: Addition, second: Addition): boolean {
  return e.stretches.some((s) => s.from > first.invoked - e.linkloss && s.from <= second.returned);
}
