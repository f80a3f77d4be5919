// One C program on a seeded cluster of our machines and, as a judge, on the host's Linux: a process for each machine,
// the shared files in a folder.
import { expect } from "vitest";
import type { SeededOptions } from "../../emulator/cluster.js";
import { repeat, seeded } from "./cluster.js";
import { cProgram } from "./guest.js";
import { onLinux } from "./on-linux.js";

/** The program's lines on machine 1 are those of the first process on Linux (a process that is spread is one), and the run ends well. */
export async function expectSame(
  name: string,
  args: readonly string[],
  { machines = 1, cores = 2, seed = 1, ...more }: Partial<SeededOptions> = {},
): Promise<void> {
  const built = cProgram(name);
  const run = await seeded(built.host, args, { machines, cores, seed, ...more });
  const lines = run.lines
    .filter((line) => line.startsWith(`machine1 | ${name}: `))
    .map((line) => line.slice("machine1 | ".length));
  const processes = more.spread === true ? 1 : machines;
  expect(lines, repeat(run, args)).toEqual(await onLinux(built.host, processes, cores, args));
  expect(run.lines.filter((line) => line.includes("panic:"))).toEqual([]);
}
