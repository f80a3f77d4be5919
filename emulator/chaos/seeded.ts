// Chaos in virtual time: the plan's faults strike a seeded cluster at its own hours, so that the same seeds give the same
// run, to the instruction.

import { ENDINGS, reportOf, SeededCluster, type SeededOptions } from "../cluster.js";
import { Random } from "../random.js";
import { type Chaos, type ChaosOptions, planOf } from "./chaos.js";
import { type Line, read } from "./ledger.js";
import { type Evidence, isSettled, judge } from "./promises.js";
import { Storm } from "./storm.js";

/** So often, in milliseconds, it is looked whether all are well again. */
const LOOK_MS = 25;

export async function runSeededChaos(o: SeededOptions, c: ChaosOptions): Promise<Chaos> {
  const plan = planOf(c, o.machines);
  const lines: Line[] = [];
  const lives = Array.from({ length: o.machines }, () => 0);
  const deaths: { machine: number; life: number; at: number }[] = [];
  const resumes: { machine: number; at: number }[] = [];
  let cluster: SeededCluster | null = null;
  const now = () => (cluster?.schedule.now ?? 0) / 1e6;
  cluster = await SeededCluster.create({
    ...o,
    outlets: true,
    onLine: (name, text) => {
      const machine = Number(name.replace("machine", ""));
      lines.push({ at: now(), machine, life: lives[machine - 1]!, text });
      o.onLine(name, text);
    },
  });
  const running = cluster;
  const limit = o.limit ?? Number.POSITIVE_INFINITY;
  const reach = async (at: number): Promise<boolean> => {
    const wanted = Math.round(at * 1e6);
    const ending = running.run(Math.min(wanted, limit), o.onProgress);
    if (ending === "stopped" || running.schedule.now >= limit) return false;
    // With nobody to run, time passes all the same.
    if (running.schedule.now < wanted) running.schedule.now = wanted;
    return true;
  };
  const outlet = (machine: number) => running.nodes[machine - 1]!.outlet!;
  const random = new Random(o.seed).fork("lives");
  const storm = new Storm(
    o.machines,
    plan,
    {
      now,
      reach,
      kill: (machine) => {
        running.nodes[machine - 1]!.console.end();
        outlet(machine).kill();
        deaths.push({ machine, life: lives[machine - 1]!, at: now() });
      },
      revive: async (machine) => {
        lives[machine - 1]!++;
        await running.replace(machine - 1, { ...o, seed: random.bits() });
      },
      pause: (machine) => outlet(machine).pause(),
      resume: (machine) => {
        outlet(machine).resume();
        resumes.push({ machine, at: now() });
      },
      bridgeStops: () => running.network.bridgeStops(),
      bridgeStarts: () => running.network.witnessReborn(BigInt(random.bits()) + 2n ** 32n),
      wire: (deaf, { loss, duplicate, delay }) => {
        running.network.deafen(deaf);
        running.network.become({
          faults: {
            ...o.network?.faults,
            ...(loss > 0 ? { loss } : {}),
            ...(duplicate > 0 ? { duplicate } : {}),
          },
          ...(delay > 0 ? { delay: [20, delay] as const, reorder: true } : {}),
        });
      },
    },
    c.tell,
  );
  const evidence = (): Evidence => ({
    machines: o.machines,
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
    on = await reach(now() + LOOK_MS);
    storm.last.to = now();
    if (now() >= from + c.linkloss && isSettled(evidence())) break;
  }
  storm.last.to = now();
  return {
    plan,
    findings: judge(evidence()),
    additions: evidence().reading.additions.length,
    report: reportOf(running, o, off() ? ENDINGS.off : ENDINGS.stopped),
    milliseconds: now(),
    blur: 0,
    whole: on,
  };
}
