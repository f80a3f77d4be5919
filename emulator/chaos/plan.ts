// What happens to a cluster, drawn from one seed: a typed table of faults, and a plan, which is plain data. The same seed,
// kinds and shape give the same plan. Times are milliseconds; how long a fault lasts is told in terms of `linkloss`, the
// silence after which a guest takes a machine for dead (ARCHITECTURE.md, "Membership").

import type { Random } from "../random.js";

/** Machines count from 1; the bridge's vote stands behind them. */
export interface Shape {
  readonly machines: number;
  /** Milliseconds; the guest's own linkloss=. */
  readonly linkloss: number;
}

export interface Fault {
  readonly kind: Kind;
  readonly at: number;
  /** When it is over; Infinity: it stays so. */
  readonly until: number;
  /** kill, pause, blink */
  readonly machine?: number;
  /** cut: who still hears each other. */
  readonly islands?: readonly (readonly number[])[];
  /** oneway: frames from the first no longer reach the second. */
  readonly pair?: readonly [from: number, to: number];
  /** loss, double: probability; reorder: the longest delay in microseconds. */
  readonly much?: number;
}

interface Row {
  readonly says: string;
  /** Its length, at least and at most, in parts of linkloss. */
  readonly lasts: readonly [least: number, most: number];
}

// biome-ignore format: a table reads by columns
export const kinds = {
  kill:    { lasts: [0.3, 4],     says: "a machine loses its power" },
  revive:  { lasts: [0, 0],       says: "most machines that were killed start again, as new lives" },
  pause:   { lasts: [1.2, 3],     says: "a machine stands still until the others have given it up" },
  blink:   { lasts: [0.02, 0.2],  says: "a machine stands still for less than its lease" },
  cut:     { lasts: [0.2, 3],     says: "the wire is cut into two parts; the bridge's vote is in one" },
  oneway:  { lasts: [0.2, 3],     says: "one station no longer hears another, which hears it" },
  bridge:  { lasts: [0.1, 1.5],   says: "the bridge stops and starts again, having forgotten its votes" },
  loss:    { lasts: [0.5, 2],     says: "a part of all frames is lost" },
  double:  { lasts: [0.5, 2],     says: "a part of all frames comes twice" },
  reorder: { lasts: [0.5, 2],     says: "frames take very different times, and overtake each other" },
} as const satisfies Record<string, Row>;
export type Kind = keyof typeof kinds;

export const allKinds = Object.keys(kinds) as Kind[];

/** Throws an Error that names a kind that is none. */
export function parseKinds(list: string): Kind[] {
  const words = list.split(",").map((word) => word.trim());
  const chosen = words.flatMap((word): Kind[] => {
    if (word === "all") return allKinds;
    if (!Object.hasOwn(kinds, word))
      throw new Error(`--chaos-faults ${list}: "${word}" is none of ${allKinds.join(", ")}, all`);
    return [word as Kind];
  });
  if (chosen.every((kind) => kind === "revive"))
    throw new Error(`--chaos-faults ${list}: "revive" goes with "kill"`);
  return [...new Set(chosen)];
}

export interface PlanOptions {
  readonly kinds: readonly Kind[];
  /** How many faults. */
  readonly count: number;
  /** They begin between these. */
  readonly from: number;
  readonly to: number;
}

export function drawPlan(random: Random, { machines, linkloss }: Shape, o: PlanOptions): Fault[] {
  const times = Array.from({ length: o.count }, () => o.from + random.next() * (o.to - o.from));
  const faults: Fault[] = [];
  const choices = o.kinds.filter((kind) => kind !== "revive");
  for (const at of times.sort((a, b) => a - b)) {
    const kind = choices[random.below(choices.length)]!;
    const [least, most] = kinds[kind].lasts;
    const until = at + (least + random.next() * (most - least)) * linkloss;
    const fault = target(random, kind, at, until, machines, faults, o.kinds.includes("revive"));
    if (fault !== null) faults.push(fault);
  }
  return faults;
}

/** null: there is nobody left to treat so. */
function target(
  random: Random,
  kind: Kind,
  at: number,
  until: number,
  machines: number,
  before: readonly Fault[],
  revive: boolean,
): Fault | null {
  const busy = before.filter((fault) => fault.until > at && fault.machine !== undefined);
  const free = stations(machines).filter((m) => !busy.some((fault) => fault.machine === m));
  const one = () => free[random.below(free.length)]!;
  switch (kind) {
    case "kill": {
      const dead = before.filter((fault) => fault.kind === "kill" && fault.until > at);
      const forGood = dead.filter((fault) => fault.until === Number.POSITIVE_INFINITY).length;
      if (free.length === 0 || dead.length + 1 >= machines) return null;
      const returns = revive && (random.below(4) > 0 || 2 * (forGood + 1) >= machines);
      if (!returns && forGood > 0 && 2 * (forGood + 1) >= machines) return null;
      return { kind, at, until: returns ? until : Number.POSITIVE_INFINITY, machine: one() };
    }
    case "pause":
    case "blink":
      return free.length === 0 ? null : { kind, at, until, machine: one() };
    case "cut": {
      const all = stations(machines + 1);
      const side = new Set(all.filter(() => random.below(2) === 0));
      if (side.size === 0 || side.size === all.length) side.add(1 + random.below(machines));
      const islands = [all.filter((s) => side.has(s)), all.filter((s) => !side.has(s))];
      return islands.some((island) => island.length === 0) ? null : { kind, at, until, islands };
    }
    case "oneway": {
      const from = 1 + random.below(machines + 1);
      const to = 1 + ((from + random.below(machines)) % (machines + 1));
      return { kind, at, until, pair: [from, to] };
    }
    case "loss":
      return { kind, at, until, much: 0.02 + 0.18 * random.next() };
    case "double":
      return { kind, at, until, much: 0.1 + 0.8 * random.next() };
    case "reorder":
      return { kind, at, until, much: Math.round(200 + 3000 * random.next()) };
    default:
      return { kind, at, until };
  }
}

export const stations = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

/** For people: "cut 1 3 | 2 bridge for 120 ms". */
export function faultText(fault: Fault, machines: number): string {
  const named = (station: number) => (station > machines ? "bridge" : String(station));
  const length = fault.until - fault.at;
  const time = length === Number.POSITIVE_INFINITY ? "" : ` for ${length.toFixed(1)} ms`;
  switch (fault.kind) {
    case "kill":
    case "pause":
    case "blink":
      return `${fault.kind} machine ${fault.machine}${fault.kind === "kill" && time === "" ? " for good" : time}`;
    case "cut":
      return `cut ${fault.islands!.map((island) => island.map(named).join(" ")).join(" | ")}${time}`;
    case "oneway":
      return `oneway: ${named(fault.pair![1])} no longer hears ${named(fault.pair![0])}${time}`;
    case "loss":
    case "double":
      return `${fault.kind} of ${(fault.much! * 100).toFixed(0)} %${time}`;
    case "reorder":
      return `reorder by up to ${fault.much} us${time}`;
    default:
      return `${fault.kind}${time}`;
  }
}
