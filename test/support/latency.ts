// What one operation on a shared page costs on a seeded cluster, by the program `latency` (kernel/user/latency.ts): counts and
// virtual times of pairs of runs of two lengths, subtracted, and less what the preparation of one operation does.
import { repeat, seeded } from "./cluster.js";
import { fileAt } from "./homes.js";
import { DELAY_US } from "./steps.js";

export interface Operation {
  readonly name: "read" | "read-busy" | "write" | "write-busy" | "upgrade" | "upgrade-busy" | "add";
  readonly machines: number;
  /** The machine that is the pages' home; 1 performs the operation, 2 has written the pages. */
  readonly home: number;
  /** Words for the kernel. */
  readonly append?: string;
}

/** One operation, on all machines together. */
export interface Cost {
  readonly nanoseconds: number;
  readonly messages: number;
  readonly bytes: number;
  readonly instructions: number;
  /** Thread switches of machine 2, which has the page and asks nothing. */
  readonly switches: number;
}

type Way = "each" | "prepare" | "";

async function run({ name, machines, home, append }: Operation, count: number, way: Way) {
  const args = [name, count, `/shm/${fileAt(home, machines)}`, ...(way === "" ? [] : [way])];
  const result = await seeded("latency", args, {
    machines,
    cores: 1,
    network: { delay: [DELAY_US, DELAY_US] },
    append: `ahead=0 ${append ?? ""}`, // one page at a time: what a miss costs, not a stream of them
  });
  const { report } = result;
  const match = /latency: [\w-]+ \d+ ns (\d+)(?: median (\d+) p99 (\d+))?/.exec(report.result);
  if (!report.ok || match === null) throw new Error(repeat(result, args));
  const sum = (stat: string) => report.machines.reduce((s, m) => s + (m.stats?.[stat] ?? 0), 0);
  const cost: Cost = {
    nanoseconds: Number(match[1]),
    messages: sum("messagesSent"),
    bytes: sum("bytesSent"),
    instructions: report.machines.reduce((s, m) => s + m.instructions, 0),
    switches: report.machines[1]!.stats?.["threadSwitches"] ?? Number.NaN,
  };
  return { cost, median: Number(match[2]), p99: Number(match[3]) };
}

const combine = (a: Cost, b: Cost, of: (a: number, b: number) => number): Cost => ({
  nanoseconds: of(a.nanoseconds, b.nanoseconds),
  messages: of(a.messages, b.messages),
  bytes: of(a.bytes, b.bytes),
  instructions: of(a.instructions, b.instructions),
  switches: of(a.switches, b.switches),
});

/** One operation of `count` and of three times as many. */
async function one(operation: Operation, count: number, way: Way): Promise<Cost> {
  const few = await run(operation, count, way);
  const many = await run(operation, 3 * count, way);
  return combine(many.cost, few.cost, (a, b) => (a - b) / (2 * count));
}

export async function costOf(operation: Operation, count: number): Promise<Cost> {
  const [all, prepared] = [await one(operation, count, ""), await one(operation, count, "prepare")];
  return { ...combine(all, prepared, (a, b) => a - b), nanoseconds: all.nanoseconds };
}

/** Nanoseconds of one operation, of so many: half of them take at most the one, 99 of 100 the other. */
export async function timesOf(operation: Operation, count: number): Promise<{ median: number; p99: number }> {
  const { median, p99 } = await run(operation, count, "each");
  return { median, p99 };
}
