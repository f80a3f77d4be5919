// One C program on a seeded cluster of our machines and, as a judge, on the host's Linux: a process for each machine,
// the shared files in a folder.
import { spawn } from "node:child_process";
import { expect } from "vitest";
import type { SeededOptions } from "../../emulator/cluster.js";
import { repeat, seeded } from "./cluster.js";
import { temporaryFolder } from "./folder.js";
import { cProgram } from "./guest.js";

/** ms that a program may take on Linux. */
const LIMIT = 30_000;

/** What the first of so many processes printed, and last that it was ended, if it took too long. */
export async function onLinux(
  path: string,
  machines: number,
  cores: number,
  args: readonly string[] = [],
): Promise<string[]> {
  const folder = temporaryFolder();
  try {
    const nodes = Array.from({ length: machines }, (_, k) => {
      const env = { BUSLOCK_NODE: `${k + 1}`, BUSLOCK_NODES: `${machines}`, BUSLOCK_SHM: folder.path };
      const child = spawn(path, args, {
        env: { ...env, BUSLOCK_CORES: `${cores}` },
        stdio: ["ignore", "pipe", "inherit"],
        timeout: LIMIT,
        killSignal: "SIGKILL",
      });
      let output = "";
      child.stdout.on("data", (bytes: Buffer) => {
        output += bytes.toString("latin1");
      });
      return new Promise<string>((resolve) =>
        child.on("close", (_status, signal) =>
          resolve(signal === "SIGKILL" ? `${output}\nended on Linux after ${LIMIT} ms` : output),
        ),
      );
    });
    const [first] = await Promise.all(nodes);
    return first!.split("\n").filter((line) => line !== "");
  } finally {
    folder.remove();
  }
}

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
