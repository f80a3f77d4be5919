// Clusters for tests: seeded ones in this process, live ones through the built command line.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runSeeded, type SeededOptions } from "../../emulator/cluster.js";
import { firmware, kernelPath, program, readImage } from "../../emulator/images.js";
import type { ClusterReport } from "../../emulator/report.js";

/** The built command line: beside this file when it is built itself (the benchmarks), else in dist/. */
const root = fileURLToPath(new URL("../..", import.meta.url));
const beside = join(root, "emulator/cli.js");
export const cli = existsSync(beside) ? beside : join(root, "dist/emulator/cli.js");

export interface SeededRun {
  readonly report: ClusterReport;
  readonly lines: readonly string[];
  /** The line that repeats it, but for the program's arguments. */
  readonly command: string;
}

/** What a run needs besides its program and seed. */
export async function seededOptions(
  name: string,
  args: readonly (string | number)[],
  o: Partial<SeededOptions> = {},
): Promise<{ options: SeededOptions; lines: string[] }> {
  const lines: string[] = [];
  const options = {
    machines: 3,
    cores: 2,
    memory: 32 << 20,
    seed: 42,
    limit: 60e9,
    firmware: await firmware(),
    kernel: readImage("kernel", kernelPath),
    program: program(name),
    arguments: args.map(String),
    onLine: (machine: string, line: string) => lines.push(`${machine} | ${line}`),
    ...o,
  };
  return { options, lines };
}

/** Runs a program on a seeded cluster; on failure the message holds the console and the line that repeats it. */
export async function seeded(
  name: string,
  args: readonly (string | number)[] = [],
  o: Partial<SeededOptions> = {},
): Promise<SeededRun> {
  const { options, lines } = await seededOptions(name, args, o);
  return { report: await runSeeded(options), lines, command: commandOf(name, options) };
}

/** What a user types for a seeded run with these options; the program's arguments follow. */
export function commandOf(name: string, o: SeededOptions): string {
  const { network = {} } = o;
  const { loss, duplicate } = network.faults ?? {};
  const words: [option: string, value: string | number | undefined][] = [
    ["machines", o.machines],
    ["cores", o.cores],
    ["memory", `${o.memory >> 20}M`],
    ["delay", network.delay?.join(":")],
    ["loss", loss],
    ["duplicate", duplicate],
    ["stall", o.stall === undefined ? undefined : o.stall / 1000],
    ["store-buffer", o.storeBuffer],
    ["mirror", o.mirror],
    ["append", o.append === undefined ? undefined : JSON.stringify(o.append)],
  ];
  const told = words.flatMap(([option, value]) => (value ? [`--${option} ${value}`] : []));
  const spread = o.spread === true ? ["--spread"] : [];
  // No option asks for that.
  const reordered = network.reorder === true ? "with frames that overtake each other: " : "";
  return [`${reordered}buslock run --seed ${o.seed}`, ...told, ...spread, name].join(" ");
}

/** The command that repeats a seeded run, for failure messages. */
export function repeat(run: SeededRun, args: readonly (string | number)[] = []): string {
  return `${[run.command, ...args].join(" ")}\n${run.lines.slice(-40).join("\n")}`;
}

/** A run of the built command line. */
export class Command {
  readonly child: ChildProcess;
  out = "";
  err = "";
  readonly ended: Promise<{ status: number | null; signal: string | null }>;

  constructor(args: readonly (string | number)[], env: Record<string, string> = {}) {
    this.child = spawn(process.execPath, [cli, ...args.map(String)], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    this.child.stdin?.on("error", () => {}); // the command may end while something is typed
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.out += chunk.toString();
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.err += chunk.toString();
    });
    this.ended = new Promise((resolve) => {
      this.child.once("close", (status, signal) => resolve({ status, signal }));
    });
  }

  /** What a user types, its end of line with it. */
  type(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  /** Waits until the text stands in the output (either stream); fails with what was said instead. */
  async says(text: string | RegExp, seconds = 60): Promise<void> {
    const end = performance.now() + seconds * 1000;
    const seen = () =>
      typeof text === "string" ? (this.out + this.err).includes(text) : text.test(this.out + this.err);
    while (!seen()) {
      if (performance.now() > end || this.child.exitCode !== null) {
        throw new Error(`${text} was not said within ${seconds} s:\n${this.out}\n${this.err}`);
      }
      await pause(20);
    }
  }

  kill(signal: NodeJS.Signals = "SIGTERM"): void {
    this.child.kill(signal);
  }
}

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Whether a program is on PATH; tests that want it say so in their title when it is not. */
export function installed(name: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => existsSync(join(folder, name)));
}

/** Process ids whose command line has the text. */
export function processes(text: string): number[] {
  const all = execFileSync("ps", ["-eo", "pid,args"], { encoding: "utf8" }).split("\n");
  return all
    .filter((line) => line.includes(text) && !line.includes("ps -eo"))
    .map((line) => Number.parseInt(line, 10));
}

/** Of this program's own processes, those that it started. */
export function childrenOf(pid: number): number[] {
  const all = execFileSync("ps", ["-eo", "pid,ppid"], { encoding: "utf8" }).split("\n");
  const own = processes("cli.js");
  return all
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([child, parent]) => parent === pid && own.includes(child!))
    .map(([child]) => child!);
}
