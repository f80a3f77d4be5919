// Storms of which everything is drawn from one seed: the cluster, the kinds of faults, how many and in what time, the kernel's words.
import { allKinds } from "../../emulator/chaos/plan.js";
import type { RunOptions } from "../../emulator/run-command.js";
import { chance } from "./search.js";

export function storm(seed: number): Partial<RunOptions> & { chaos: number } {
  const next = chance(seed);
  const machines = 2 + next(5);
  const some = allKinds.filter((kind) => kind !== "revive" && next(2) === 0);
  const kinds = [...some, ...(some.includes("kill") && next(4) !== 0 ? ["revive"] : [])];
  const append = ["", "", "", "records=16", "bytes=0"][next(5)]!;
  return {
    chaos: seed,
    machines,
    cores: 1 + next(2),
    memory: 64 << 20,
    mirror: next(Math.min(4, machines)),
    chaosFaults: next(3) === 0 || kinds.length === 0 ? "all" : kinds.join(","),
    chaosCount: 2 + next(7),
    chaosTime: 120 + next(640),
    ...(append !== "" && { append }),
  };
}
