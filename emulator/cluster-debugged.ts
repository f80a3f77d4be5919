// `buslock run --seed S --gdb PORT`: a seeded cluster under gdb, all machines at once, each core of each a thread. The run is
// the seed's own, so that a failure across machines is met again, stopped at and walked backwards from.

import { type LeadOptions, lead } from "./boot-debugged.js";
import type { ChaosOptions } from "./chaos/chaos.js";
import { Struck, type StruckRecord } from "./chaos/struck.js";
import { LIMIT_NANOSECONDS, reportOf, SeededCluster, type SeededOptions } from "./cluster.js";
import { Debuggee, type Deeds } from "./gdb/debuggee.js";
import type { Machine } from "./machine.js";
import type { ClusterReport } from "./report.js";

/** With `chaos` faults strike the cluster, as they do without a debugger. */
export async function runDebugged(
  o: SeededOptions,
  to: Omit<LeadOptions, "input">,
  chaos?: ChaosOptions,
): Promise<ClusterReport> {
  if (o.pcap !== undefined)
    throw new Error("--pcap: under --gdb time goes back, and frames would be written twice");
  const { debuggee, cluster } = await debugged(o, chaos);
  const ending = await lead(debuggee, { ...to, input: () => () => {} });
  return reportOf(cluster, o, ending);
}

/** A seeded cluster as a debugger has it. */
export async function debugged(
  o: SeededOptions,
  chaos?: ChaosOptions,
): Promise<{ debuggee: Debuggee; cluster: SeededCluster }> {
  let debuggee: Debuggee | null = null;
  const heard: SeededOptions = { ...o, heard: (machine, byte) => debuggee?.printed(machine, byte) };
  const struck = chaos === undefined ? null : await Struck.create(heard, chaos);
  const cluster = struck?.cluster ?? (await SeededCluster.create(heard));
  const machines = cluster.nodes.map(({ machine }) => machine);
  debuggee = new Debuggee({
    machines,
    schedule: cluster.schedule,
    wire: cluster.network,
    ...(struck === null ? {} : { deeds: deedsOf(struck, machines) }),
    limit: o.limit ?? LIMIT_NANOSECONDS,
    print: (machine, byte) => cluster.nodes[machine]!.console.push(byte),
  });
  return { debuggee, cluster };
}

/** `machines`: of the debuggee, by which it knows who stands where. */
function deedsOf(struck: Struck, machines: Machine[]): Deeds {
  const renew = () => machines.splice(0, machines.length, ...struck.machines);
  return {
    get due() {
      return struck.due;
    },
    get lives() {
      return struck.lives;
    },
    get retiredBefore() {
      return struck.retiredBefore;
    },
    perform: async () => {
      await struck.perform();
      renew();
    },
    record: () => struck.record(),
    restore: async (record: StruckRecord) => {
      await struck.restore(record);
      renew();
    },
  };
}
