// `buslock run --chaos SEED`: the command line's side of chaos/.

import { type Chaos, type ChaosOptions, happening, kept, verdict } from "./chaos/chaos.js";
import { isLedger } from "./chaos/ledger.js";
import { runLiveChaos } from "./chaos/live.js";
import { faultText, parseKinds } from "./chaos/plan.js";
import { runSeededChaos } from "./chaos/seeded.js";
import type { ClusterOptions, SeededOptions } from "./cluster.js";
import { runDebugged } from "./cluster-debugged.js";
import type { LiveOptions } from "./live-cluster.js";
import { type ClusterReport, table } from "./report.js";
import type { RunOptions } from "./run-command.js";

/** Milliseconds, unless the command line says otherwise. */
interface Times {
  readonly linkloss: number;
  readonly blocked: number;
  /** In which faults begin. */
  readonly window: number;
  /** Before it, since the guests have begun to boot (seeded), or have all met (live). */
  readonly first: number;
  /** By how much longer the bundled program rests between additions; its round is 5 ms. */
  readonly pace: number;
  /** What a machine takes to come back besides what linkloss= says. */
  readonly hello: number;
}
/** Short, so that much happens in little time. */
const SEEDED: Times = { linkloss: 120, blocked: 60, window: 600, first: 40, pace: 1, hello: 500 };
/** A host that does something else for a moment must not look like a dead machine, and consoles cost it time. */
const LIVE: Times = { linkloss: 1500, blocked: 750, window: 6000, first: 200, pace: 40, hello: 8000 };
const ROUND = 5;
const COUNT = 6;
/** The longest that a fault lasts, in parts of linkloss. */
const LONGEST = 4;

/** The program that tells what the judge can follow to the last addition. */
export const ENDURE = "endure";

interface Spoken {
  readonly options: Omit<ChaosOptions, "tell">;
  /** For the guests' command line. */
  readonly append: string;
  readonly arguments: readonly string[];
}

/** What the words of the command line mean; throws an Error that names the one that is wrong. */
export function chaosOptions(name: string, args: readonly string[], o: RunOptions): Spoken {
  if (o.machines < 2) throw new Error("--chaos: one machine has nobody to lose; give --machines 2 or more");
  if (o.spread === true)
    throw new Error(
      "--chaos: a spread process ends with the machine that its threads are on; leave --spread out",
    );
  if (o.bridge !== undefined)
    throw new Error("--chaos strikes the bridge too: leave --bridge out, and it starts one of its own");
  const times = o.live === true ? LIVE : SEEDED;
  const word = (key: string) => new RegExp(`(?:^|\\s)${key}=(\\d+)(?:\\s|$)`).exec(o.append ?? "")?.[1];
  const linkloss = Number(word("linkloss") ?? times.linkloss);
  const blocked = Number(word("blocked") ?? times.blocked);
  const missing = [
    ...(word("linkloss") === undefined ? [`linkloss=${linkloss}`] : []),
    ...(word("blocked") === undefined ? [`blocked=${blocked}`] : []),
  ];
  const from = times.first;
  const to = from + (o.chaosTime ?? times.window);
  const settle = times.hello + 8 * linkloss;
  const kinds = parseKinds(o.chaosFaults ?? "all");
  const options = {
    seed: o.chaos!,
    kinds,
    count: o.chaosCount ?? COUNT,
    from,
    to,
    settle,
    mirror: o.mirror ?? 0,
    linkloss,
    blocked,
    round: ROUND * times.pace,
  };
  // Longer than it takes, also for a machine that begins late: the run ends it.
  const end = Math.ceil(to + LONGEST * linkloss + settle + (o.live === true ? 60_000 : 100));
  return {
    options,
    append: [...(o.append === undefined ? [] : [o.append]), ...missing].join(" "),
    arguments: name === ENDURE && args.length === 0 ? [end, times.pace].map(String) : args,
  };
}

/** The line that does it again. */
export function replayLine(name: string, args: readonly string[], o: RunOptions): string {
  const words = [
    ...(o.live === true ? [["--live", ""] as const] : []),
    ...(o.spread === true ? [["--spread", ""] as const] : []),
    ["--chaos", o.chaos],
    ["--seed", o.seed],
    ["--machines", o.machines],
    ["--cores", o.cores],
    ["--memory", o.memory],
    ["--mirror", o.mirror],
    ["--chaos-faults", o.chaosFaults],
    ["--chaos-count", o.chaosCount],
    ["--chaos-time", o.chaosTime],
    ["--store-buffer", o.storeBuffer],
    ["--stall", o.stall],
    ["--loss", o.loss],
    ["--duplicate", o.duplicate],
    ["--delay", o.delay?.join(":")],
    ["--append", o.append === undefined ? undefined : `"${o.append}"`],
    ["--kernel", o.kernel],
    ...(o.file ?? []).map((file) => ["--file", file] as const),
    ["--stdin", o.stdin],
  ].flatMap(([option, value]) => (value === undefined ? [] : value === "" ? [option] : [option, value]));
  return ["buslock run", ...words, name, ...args].join(" ");
}

interface Heard {
  say: (line: string) => void;
  fault?: (from: number, until: number, machine: number, text: string) => void;
}

export async function seededChaos(seeded: SeededOptions, spoken: Spoken, heard: Heard): Promise<Chaos> {
  return await runSeededChaos(told(seeded, spoken), { ...spoken.options, tell: teller(seeded, heard) });
}

/** The same faults under a debugger, without a judge: time goes back there. */
export async function debuggedChaos(
  seeded: SeededOptions,
  spoken: Spoken,
  heard: Heard,
  to: Parameters<typeof runDebugged>[1],
): Promise<ClusterReport> {
  const tell = teller(seeded, heard);
  return await runDebugged(told(seeded, spoken), to, { ...spoken.options, tell });
}

export async function liveChaos(live: LiveOptions, spoken: Spoken, heard: Heard): Promise<Chaos> {
  return await runLiveChaos(told(live, spoken), { ...spoken.options, tell: teller(live, heard) });
}

function teller({ machines }: ClusterOptions, heard: Heard): ChaosOptions["tell"] {
  return (at, begins, fault) => {
    heard.say(`chaos    | ${happening(at, begins, fault, machines)}`);
    const until = fault.until === Number.POSITIVE_INFINITY ? at : fault.until;
    if (begins) heard.fault?.(at, until, fault.machine ?? 0, faultText(fault, machines));
  };
}

/** The ledger is the judge's. */
function told<O extends ClusterOptions>(o: O, spoken: Spoken): O {
  return {
    ...o,
    append: spoken.append,
    arguments: spoken.arguments,
    onLine: (machine: string, text: string) => {
      if (!isLedger(text)) o.onLine(machine, text);
    },
  };
}

/** Prints it; gives the exit status. */
export function printChaos(chaos: Chaos, name: string, args: readonly string[], o: RunOptions): number {
  const again = replayLine(name, args, o);
  const ok = kept(chaos);
  if (o.json === true) {
    const { plan, findings, additions, whole, milliseconds, blur, report } = chaos;
    console.log(
      JSON.stringify({
        kept: ok,
        whole,
        milliseconds,
        blur,
        plan,
        promises: findings,
        additions,
        replay: again,
        report,
      }),
    );
  } else {
    console.log(`\n${verdict(chaos)}\n\n${table(chaos.report)}\n`);
    console.log(`${ok ? "kept" : "BROKEN"} after ${chaos.milliseconds.toFixed(0)} ms; again: ${again}`);
    if (!chaos.whole) console.log("the run ended before all faults were over");
  }
  return ok ? 0 : 1;
}
