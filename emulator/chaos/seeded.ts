// Chaos in virtual time: the plan's faults strike a seeded cluster at its own hours, so that the same seeds give the same
// run, to the instruction.

import { ENDINGS, reportOf, type SeededOptions } from "../cluster.js";
import type { Chaos, ChaosOptions } from "./chaos.js";
import { planOf } from "./chaos.js";
import { type Line, read } from "./ledger.js";
import { type Evidence, isSettled, judge } from "./promises.js";
import { LOOK_MS, Struck } from "./struck.js";

export async function runSeededChaos(o: SeededOptions, c: ChaosOptions): Promise<Chaos> {
  const lines: Line[] = [];
  let struck: Struck | null = null;
  const limit = o.limit ?? Number.POSITIVE_INFINITY;
  const reach = async ({ cluster }: Struck, at: number): Promise<boolean> => {
    const wanted = Math.round(at * 1e6);
    const ending = await cluster.runHeard(Math.min(wanted, limit), o.onProgress);
    if (ending === "stopped" || cluster.schedule.now >= limit) return false;
    // With nobody to run, time passes all the same.
    if (cluster.schedule.now < wanted) cluster.schedule.now = wanted;
    return true;
  };
  struck = await Struck.create(
    {
      ...o,
      onLine: (name, text) => {
        const machine = Number(name.replace("machine", ""));
        lines.push({ at: struck?.now ?? 0, machine, life: struck?.lives[machine - 1] ?? 0, text });
        o.onLine(name, text);
      },
    },
    c,
    reach,
  );
  const { storm, deaths, resumes, cluster: running } = struck;
  const now = () => running.schedule.now / 1e6;
  const evidence = (): Evidence => ({
    machines: o.machines,
    mirror: c.mirror,
    linkloss: c.linkloss,
    blocked: c.blocked,
    blur: 0,
    skew: 0,
    round: c.round,
    stretches: storm.stretches,
    reading: read(lines),
    deaths,
    resumes,
    problems: running.nodes.flatMap(({ machine }, i) =>
      machine.problem === "" ? [] : [{ machine: i + 1, problem: machine.problem }],
    ),
    end: now(),
  });
  let on = await storm.run();
  const { from } = storm.last;
  const off = () => running.nodes.every(({ outlet }) => !outlet!.powered);
  while (on && !off() && now() < from + c.settle) {
    on = await reach(struck, now() + LOOK_MS);
    storm.last.to = now();
    if (now() >= from + c.linkloss && isSettled(evidence())) break;
  }
  storm.last.to = now();
  return {
    plan: planOf(c, o.machines),
    findings: judge(evidence()),
    additions: evidence().reading.additions.length,
    report: reportOf(running, o, off() ? ENDINGS.off : ENDINGS.stopped),
    milliseconds: now(),
    blur: 0,
    whole: on,
  };
}
