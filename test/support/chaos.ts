// Runs of `buslock run --chaos` in this process.
import type { Chaos } from "../../emulator/chaos/chaos.js";
import type { Fault } from "../../emulator/chaos/plan.js";
import type { Finding } from "../../emulator/chaos/promises.js";
import { chaosOptions, ENDURE, replayLine, seededChaos } from "../../emulator/chaos-command.js";
import type { SeededOptions } from "../../emulator/cluster.js";
import type { ClusterReport } from "../../emulator/report.js";
import type { RunOptions } from "../../emulator/run-command.js";
import { type Command, seededOptions } from "./cluster.js";

/** One core a machine unless told: the words are those of the command line. */
export async function chaosRun(
  o: Partial<RunOptions> & { chaos: number },
  besides: Partial<SeededOptions> = {},
): Promise<{ chaos: Chaos; replay: string; lines: readonly string[] }> {
  const run: RunOptions = { machines: 3, cores: 1, memory: 32 << 20, ...o };
  const { machines, cores, memory, mirror } = run;
  const spoken = chaosOptions(ENDURE, [], run);
  const { options, lines } = await seededOptions(ENDURE, [], {
    machines,
    cores,
    memory,
    ...(mirror === undefined ? {} : { mirror }),
    seed: run.seed ?? o.chaos,
    ...besides,
  });
  const chaos = await seededChaos(options, spoken, { say: (line) => lines.push(line) });
  return { chaos, replay: replayLine(ENDURE, [], run), lines };
}

/** What `--chaos --json` prints. */
export interface Verdict {
  readonly kept: boolean;
  readonly whole: boolean;
  readonly blur: number;
  readonly plan: readonly Fault[];
  readonly promises: readonly Finding[];
  readonly additions: number;
  readonly replay: string;
  readonly report: ClusterReport;
}

export const verdictOf = (run: Command): Verdict => {
  const line = run.out.split("\n").find((line) => line.startsWith('{"kept"'));
  if (line === undefined) throw new Error(`no verdict:\n${run.out}\n${run.err}`);
  return JSON.parse(line) as Verdict;
};
