// R3, judged: in a mirrored cluster (--mirror F) nothing that a console has told is ever taken back, however machines are lost, as long as no
// more than F are lost before the others have mirrored anew. So fetch-and-add hands out each value once and in order across losses as well, and
// who is in touch with more than half is never told of a loss. Where more are lost at about one time the promise is void: the time is
// cut there.
//
// Not covered: what a machine tells after others went on without it, which its console says before (ARCHITECTURE.md, "Output commit").
//
// What was added and not told may be lost, and told lines may be missing: who is out of reach cannot print (EIO). So it is no fault here
// that nobody got a value.

import { disorder, segments, touches, twice, type Window } from "./additions.js";
import { type Addition, isNewer, type View } from "./ledger.js";
import { stations } from "./plan.js";
import { atResume, type Evidence, shown, toldTooLate, viewAt } from "./promises.js";

interface Loss {
  readonly at: number;
  readonly machine: number;
  readonly killed: boolean;
}

/** Machines that were killed, or that a view left out. */
function losses({ reading, deaths, linkloss, machines }: Evidence): Loss[] {
  const found: Loss[] = deaths.map(({ machine, at }) => ({ machine, at, killed: true }));
  let members: readonly number[] = stations(machines);
  let last: View | null = null;
  for (const view of reading.views) {
    if (last !== null && !isNewer(view, last)) continue;
    // Everybody has begun anew.
    const all = last !== null && view.cluster > last.cluster;
    for (const machine of members)
      if (all || !view.members.includes(machine)) {
        const known = found.some(
          (one) => one.machine === machine && Math.abs(one.at - view.at) < 2 * linkloss,
        );
        if (!known) found.push({ machine, at: view.at, killed: false });
      }
    ({ members } = view);
    last = view;
  }
  return found.sort((a, b) => a.at - b.at);
}

/** So long it may take until what too few machines have is mirrored anew. */
const healed = ({ linkloss }: Evidence): number => 2 * linkloss + 50;

/** Times in which more machines are lost than there are mirrors, or all that a view has: one after the other, before all can have been mirrored anew. */
function voids(e: Evidence, lost: readonly Loss[]): Window[] {
  const rows: Loss[][] = [];
  for (const loss of lost) {
    const last = rows.at(-1)?.at(-1);
    // Whom a view leaves out was out of reach before, and nobody could mirror anew.
    const since = loss.killed ? loss.at : loss.at - 2 * e.linkloss;
    if (last !== undefined && since <= last.at + healed(e)) rows.at(-1)!.push(loss);
    else rows.push([loss]);
  }
  const isVoid = (row: readonly Loss[]) => {
    const machines = new Set(row.map(({ machine }) => machine));
    const view = viewAt(e.reading.views, row[0]!.at);
    return machines.size > e.mirror || view?.members.every((machine) => machines.has(machine)) === true;
  };
  return rows.filter(isVoid).map((row): Window => [row[0]!.at - 2 * e.linkloss, row.at(-1)!.at + healed(e)]);
}

export function nothingTakenBack(e: Evidence): { tested: number; broken: string[] } {
  if (e.mirror === 0) return { tested: 0, broken: [] };
  const lost = losses(e);
  const windows: Window[] = [
    ...voids(e, lost),
    ...e.resumes.map(({ at }): Window => [at - e.skew, at + 0.1 + e.skew]),
  ];
  const judges = (a: Addition) => !atResume(e, a) && !touches(windows, a.invoked, a.returned);
  const judged = e.reading.additions.filter(judges);
  const broken: string[] = [];
  let tested = 0;
  for (const segment of segments(judged, windows)) {
    const from = Math.min(...segment.map(({ invoked }) => invoked));
    // Only what follows a loss could have been taken back by it.
    const loss = lost.find(({ at }) => at >= from);
    if (loss !== undefined) tested += segment.filter(({ returned }) => returned > loss.at).length;
    const known = segment.filter((a) => a.old !== null && !toldTooLate(e, a));
    broken.push(...twice(known), ...disorder(known, e.skew));
    broken.push(...segment.filter((a) => a.old === null && isInTouch(e, a)).map(told));
  }
  return { tested, broken: shown(broken) };
}

const told = (a: Addition) =>
  `${a.returned.toFixed(3)}: machine ${a.machine} was told of a loss, and had mirrors`;

/** For long enough nothing but the end of other machines, less than half of all, was done to it or its wire. */
function isInTouch(e: Evidence, a: Addition): boolean {
  const since = a.invoked - 3 * e.linkloss - e.blocked;
  return e.stretches
    .filter((s) => s.to >= since && s.from <= a.returned)
    .every(
      (s) =>
        s.alive[a.machine - 1] &&
        !s.still.includes(true) &&
        s.bridge &&
        s.deaf.size === 0 &&
        2 * s.alive.filter((alive) => alive).length > e.machines,
    );
}
