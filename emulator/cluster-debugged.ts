// `buslock run --seed S --gdb PORT`: a seeded cluster under gdb, all machines at once, each core of each a thread. The run is
// the seed's own, so that a failure across machines is met again, stopped at and walked backwards from.

import { type LeadOptions, lead } from "./boot-debugged.js";
import { LIMIT_NANOSECONDS, reportOf, SeededCluster, type SeededOptions } from "./cluster.js";
import { Debuggee } from "./gdb/debuggee.js";
import type { ClusterReport } from "./report.js";

export async function runDebugged(o: SeededOptions, to: Omit<LeadOptions, "input">): Promise<ClusterReport> {
  if (o.pcap !== undefined)
    throw new Error("--pcap: under --gdb time goes back, and frames would be written twice");
  let debuggee: Debuggee | null = null;
  const cluster = await SeededCluster.create({
    ...o,
    heard: (machine, byte) => debuggee?.printed(machine, byte),
  });
  debuggee = new Debuggee({
    machines: cluster.nodes.map(({ machine }) => machine),
    schedule: cluster.schedule,
    wire: cluster.network,
    limit: o.limit ?? LIMIT_NANOSECONDS,
    print: (machine, byte) => cluster.nodes[machine]!.console.push(byte),
  });
  const ending = await lead(debuggee, { ...to, input: () => () => {} });
  return reportOf(cluster, o, ending);
}
