// Runs of `buslock run --chaos` in this process.
import type { Chaos } from "../../emulator/chaos/chaos.js";
import { chaosOptions, ENDURE, replayLine, seededChaos } from "../../emulator/chaos-command.js";
import type { SeededOptions } from "../../emulator/cluster.js";
import type { RunOptions } from "../../emulator/run-command.js";
import { seededOptions } from "./cluster.js";

/** One core a machine unless told: the words are those of the command line. */
export async function chaosRun(
  o: Partial<RunOptions> & { chaos: number },
  besides: Partial<SeededOptions> = {},
): Promise<{ chaos: Chaos; replay: string; lines: readonly string[] }> {
  const run: RunOptions = { machines: 3, cores: 1, memory: 32 << 20, ...o };
  const { machines, cores, memory } = run;
  const spoken = chaosOptions(ENDURE, [], run);
  const { options, lines } = await seededOptions(ENDURE, [], {
    machines,
    cores,
    memory,
    seed: run.seed ?? o.chaos,
    ...besides,
  });
  const chaos = await seededChaos(options, spoken, { say: (line) => lines.push(line) });
  return { chaos, replay: replayLine(ENDURE, [], run), lines };
}
