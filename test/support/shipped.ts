// Two machines that do one kind of LOCKed instruction on a page that is hot (test/c/shipped.c).
import { repeat, seeded } from "./cluster.js";
import { cProgram } from "./guest.js";

/** Those that the issue lists. */
export const shippedKinds = [
  "xadd",
  "add",
  "inc",
  "dec",
  "and",
  "or",
  "xor",
  "xchg",
  "cmpxchg",
  "bts",
  "btr",
] as const;

export interface Shipped {
  /** What the program says of its words and flags. */
  readonly right: boolean;
  /** Instructions of each machine that were done by the other one. */
  readonly counts: readonly number[];
  /** For failures. */
  readonly text: string;
}

/** `kernel`: a planted one. */
export async function shipped(
  kind: (typeof shippedKinds)[number],
  seed = 1,
  kernel?: Uint8Array,
): Promise<Shipped> {
  const run = await seeded(cProgram("shipped").host, [kind], {
    machines: 2,
    cores: 1,
    seed,
    network: { delay: [30, 60] },
    ...(kernel && { kernel }),
  });
  const said = `shipped: ${kind} words wrong 0 flags wrong 0 `;
  const counts = run.report.machines.map(({ stats }) => stats?.["operationsShipped"] ?? 0);
  return {
    right: run.report.ok && run.lines.some((line) => line.includes(said)),
    counts,
    text: `${counts.join(" and ")} shipped: ${repeat(run, [kind])}`,
  };
}
