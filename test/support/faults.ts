// Seeded clusters that things happen to: cuts, deaths and returns at given times; and the judge of what the machines say
// of it on their consoles.
import { SeededCluster, type SeededOptions } from "../../emulator/cluster.js";
import { seededOptions } from "./cluster.js";

export interface Line {
  /** Virtual milliseconds. */
  readonly at: number;
  readonly machine: number;
  readonly text: string;
}

/** What happens, and when (milliseconds). Ports: machine k has port k, the bridge's witness comes behind the last one. */
export type Happening = readonly [
  at: number,
  does: (cluster: SeededCluster, options: SeededOptions) => unknown,
];

export interface FaultRun {
  readonly lines: readonly Line[];
  readonly ended: string;
  readonly cluster: SeededCluster;
  /** Lines of one machine that match. */
  said(machine: number, text: RegExp): readonly Line[];
  text(): string;
}

export async function withFaults(
  program: string,
  args: readonly (string | number)[],
  happenings: readonly Happening[],
  options: Partial<SeededOptions>,
  limit = 3000,
): Promise<FaultRun> {
  const lines: Line[] = [];
  const { options: whole } = await seededOptions(program, args, { cores: 1, ...options });
  let cluster: SeededCluster | null = null;
  cluster = await SeededCluster.create({
    ...whole,
    onLine: (machine, text) =>
      lines.push({
        at: (cluster?.schedule.now ?? 0) / 1e6,
        machine: Number(machine.replace("machine", "")),
        text,
      }),
  });
  for (const [at, does] of happenings) {
    cluster.run(Math.round(at * 1e6));
    await does(cluster, whole);
  }
  const ended = cluster.run(limit * 1e6);
  return {
    lines,
    ended,
    cluster,
    said: (machine, text) => lines.filter((line) => line.machine === machine && text.test(line.text)),
    text: () => lines.map(({ at, machine, text }) => `${at.toFixed(2)} ${machine} | ${text}`).join("\n"),
  };
}

/**
 * R0 as it shows on the consoles: `grace` after somebody has said that he acts by a view, no machine that it leaves out has
 * a word to say of shared memory, until a view takes it in. Gives the first offence.
 */
export function secondSide({ lines }: FaultRun, grace: number): string | null {
  let newest = 0;
  let members: number[] = [];
  let since = 0;
  for (const { at, machine, text } of lines) {
    const view = /^cluster: view (\d+): machines((?: \d+)+)/.exec(text);
    if (view !== null && Number(view[1]) > newest) {
      newest = Number(view[1]);
      members = view[2]!.trim().split(" ").map(Number);
      since = at;
    }
    if (
      /^steady: \d+ (together|on) /.test(text) &&
      newest > 0 &&
      at > since + grace &&
      !members.includes(machine)
    )
      return `${at.toFixed(2)}: machine ${machine} goes on, view ${newest} is ${members.join(" ")}: ${text}`;
  }
  return null;
}
