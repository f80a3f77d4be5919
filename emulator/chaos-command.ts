// `buslock run --chaos SEED`: the command line's side of chaos/.

import { type Chaos, type ChaosOptions, happening, kept, verdict } from "./chaos/chaos.js";
import { isLedger } from "./chaos/ledger.js";
import { faultText, parseKinds } from "./chaos/plan.js";
import { runSeededChaos } from "./chaos/seeded.js";
import type { SeededOptions } from "./cluster.js";
import { table } from "./report.js";
import type { RunOptions } from "./run-command.js";

/** Milliseconds, unless the kernel's command line says otherwise: short, so that much happens in little time. */
const LINKLOSS = 120;
const BLOCKED = 60;
const COUNT = 6;
const WINDOW = 600;
/** The guests boot before it, and meet. */
const FIRST = 40;
/** The longest that a fault lasts, in parts of linkloss; what its end may take besides. */
const LONGEST = 4;
const HELLO = 500;

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
  if (o.gdb !== undefined) throw new Error("--chaos does not go with --gdb");
  const word = (key: string) => new RegExp(`(?:^|\\s)${key}=(\\d+)(?:\\s|$)`).exec(o.append ?? "")?.[1];
  const linkloss = Number(word("linkloss") ?? LINKLOSS);
  const blocked = Number(word("blocked") ?? BLOCKED);
  const missing = [
    ...(word("linkloss") === undefined ? [`linkloss=${linkloss}`] : []),
    ...(word("blocked") === undefined ? [`blocked=${blocked}`] : []),
  ];
  const from = FIRST;
  const to = from + (o.chaosTime ?? WINDOW);
  const settle = HELLO + 8 * linkloss;
  const kinds = parseKinds(o.chaosFaults ?? "all");
  const options = {
    seed: o.chaos!,
    kinds,
    count: o.chaosCount ?? COUNT,
    from,
    to,
    settle,
    linkloss,
    blocked,
  };
  const end = Math.ceil(to + LONGEST * linkloss + settle + 100);
  return {
    options,
    append: [...(o.append === undefined ? [] : [o.append]), ...missing].join(" "),
    arguments: name === ENDURE && args.length === 0 ? [String(end)] : args,
  };
}

/** The line that does it again. */
export function replayLine(name: string, args: readonly string[], o: RunOptions): string {
  const words = [
    ["--chaos", o.chaos],
    ["--seed", o.seed],
    ["--machines", o.machines],
    ["--cores", o.cores],
    ["--chaos-faults", o.chaosFaults],
    ["--chaos-count", o.chaosCount],
    ["--chaos-time", o.chaosTime],
    ["--store-buffer", o.storeBuffer],
    ["--loss", o.loss],
    ["--duplicate", o.duplicate],
    ["--delay", o.delay?.join(":")],
    ["--append", o.append === undefined ? undefined : `"${o.append}"`],
    ["--kernel", o.kernel],
  ].flatMap(([option, value]) => (value === undefined ? [] : [option, value]));
  return ["buslock run", ...words, name, ...args].join(" ");
}

export async function seededChaos(
  seeded: SeededOptions,
  spoken: Spoken,
  heard: {
    say: (line: string) => void;
    fault?: (from: number, until: number, machine: number, text: string) => void;
  },
): Promise<Chaos> {
  const tell: ChaosOptions["tell"] = (at, begins, fault) => {
    heard.say(`chaos    | ${happening(at, begins, fault, seeded.machines)}`);
    const until = fault.until === Number.POSITIVE_INFINITY ? at : fault.until;
    if (begins) heard.fault?.(at, until, fault.machine ?? 0, faultText(fault, seeded.machines));
  };
  return await runSeededChaos(
    {
      ...seeded,
      append: spoken.append,
      arguments: spoken.arguments,
      onLine: (machine, text) => {
        if (!isLedger(text)) seeded.onLine(machine, text);
      },
    },
    { ...spoken.options, tell },
  );
}

/** Prints it; gives the exit status. */
export function printChaos(chaos: Chaos, name: string, args: readonly string[], o: RunOptions): number {
  const again = replayLine(name, args, o);
  const ok = kept(chaos);
  if (o.json === true) {
    const { plan, findings, additions, whole, milliseconds, report } = chaos;
    console.log(
      JSON.stringify({
        kept: ok,
        whole,
        milliseconds,
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
