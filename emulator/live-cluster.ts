// A live cluster: one process for the bridge and one for each machine, all made from this program's own command
// line (`buslock bridge`, `buslock boot`), so that what runs here can be run by hand across hosts as well.

import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClusterOptions, commandLine, machineName, resultLine } from "./cluster.js";
import { ConsoleReader } from "./console.js";
import { archive } from "./images.js";
import { type ClusterReport, type MachineReport, machineReport, succeeded } from "./report.js";

export interface LiveOptions extends ClusterOptions {
  /** The built command line, to start further processes from. */
  readonly cli: string;
  /** A bridge that is there already; else one is started on loopback. */
  readonly bridge?: { readonly url: string; readonly token?: string };
  /** Options for the bridge that is started: --loss, --pcap, ... */
  readonly bridgeArguments: readonly string[];
  /** Further options for a machine's process: --trace, ... */
  readonly machineArguments?: (machine: string) => readonly string[];
  readonly kernelPath?: string;
  readonly limitSeconds: number;
  /** Ends the run early (Ctrl-C). */
  readonly signal: AbortSignal;
  readonly onNote: (line: string) => void;
}

/** What a machine's process tells its parent at its end (`boot` sends it where there is a parent). */
export interface BootMessage {
  readonly instructions: number;
  readonly problem: string;
}

/** Seconds that the others have to tell of a lost machine and to end, once one has died. */
const GRACE_SECONDS = 30;

export async function runLive(o: LiveOptions): Promise<ClusterReport> {
  const folder = mkdtempSync(join(tmpdir(), "buslock-run-"));
  const children = new Set<ChildProcess>();
  const started = performance.now();
  const bridge = o.bridge === undefined ? await startBridge(o, children) : null;
  try {
    const { initrd, init } = archive(o.program);
    const initrdPath = join(folder, "initrd");
    writeFileSync(initrdPath, initrd);
    const lines: string[] = [];
    const { url, token } = o.bridge ?? { url: bridge!.url };
    const machines = await runMachines(o, children, lines, (node) => [
      ...["--name", machineName(node), "--node", String(node), "--cores", String(o.cores)],
      ...["--memory", String(o.memory), "--initrd", initrdPath, "--bridge", url],
      ...(token === undefined ? [] : ["--token", token]),
      ...(o.kernelPath === undefined ? [] : ["--kernel", o.kernelPath]),
      ...["--append", commandLine(o, node, init)],
      ...(o.machineArguments?.(machineName(node)) ?? []),
    ]);
    return {
      program: o.program.name,
      mode: "live",
      cores: o.cores,
      milliseconds: Math.round(performance.now() - started),
      machines,
      result: resultLine(lines, o.program.name),
      ok: succeeded(machines),
    };
  } finally {
    bridge?.end();
    await Promise.all([...children].map(ended));
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runMachines(
  o: LiveOptions,
  children: Set<ChildProcess>,
  lines: string[],
  argumentsOf: (node: number) => string[],
): Promise<MachineReport[]> {
  const stop = new AbortController();
  const whole = AbortSignal.any([o.signal, stop.signal, AbortSignal.timeout(o.limitSeconds * 1000)]);
  let grace: NodeJS.Timeout | null = null;
  const reports = await Promise.all(
    Array.from({ length: o.machines }, async (_, i) => {
      const name = machineName(i + 1);
      const report = await runMachine(o, children, name, ["boot", ...argumentsOf(i + 1)], whole, (line) => {
        if (i === 0) lines.push(line);
        o.onLine(name, line);
      });
      if (report.problem !== "" && grace === null) {
        o.onNote(`${name}: ${report.problem}`);
        grace = setTimeout(() => stop.abort(), GRACE_SECONDS * 1000);
      }
      return report;
    }),
  );
  if (grace !== null) clearTimeout(grace);
  return reports;
}

async function runMachine(
  o: LiveOptions,
  children: Set<ChildProcess>,
  name: string,
  args: string[],
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<MachineReport> {
  const child = start(o.cli, args, children);
  const console = new ConsoleReader(onLine);
  let message: BootMessage | null = null;
  let errors = "";
  child.stdout!.on("data", (chunk: Buffer) => {
    for (const byte of chunk) console.push(byte);
  });
  child.stderr!.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
    for (const line of errors.split("\n").slice(0, -1)) onLine(line);
    errors = errors.slice(errors.lastIndexOf("\n") + 1);
  });
  child.on("message", (m) => {
    message = m as BootMessage;
  });
  const abort = () => child.kill("SIGINT"); // at once: SIGTERM asks a machine to leave the cluster first
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  const how = await ended(child);
  signal.removeEventListener("abort", abort);
  console.end();
  const told = message as BootMessage | null;
  const why = signal.aborted ? (o.signal.aborted ? "interrupted" : "given up") : how;
  return machineReport(name, told?.instructions ?? 0, console, told === null ? why : told.problem);
}

function start(cli: string, args: readonly string[], children: Set<ChildProcess>): ChildProcess {
  const child = fork(cli, args, { stdio: ["ignore", "pipe", "pipe", "ipc"] });
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

/** Waits until a process and its output have ended; says how, or "" for exit status 0. */
function ended(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => {
      resolve(code === 0 ? "" : signal !== null ? `killed by ${signal}` : `ended with status ${code}`);
    });
  });
}

/** Starts a bridge, and starts it again on the same port should it die: to the machines that is a link loss. */
async function startBridge(
  o: LiveOptions,
  children: Set<ChildProcess>,
): Promise<{ url: string; end: () => void }> {
  let child: ChildProcess;
  let over = false;
  const launch = async (listen: string): Promise<string> => {
    child = start(o.cli, ["bridge", "--listen", listen, "--json", ...o.bridgeArguments], children);
    child.stderr!.on("data", (chunk: Buffer) => {
      for (const line of chunk.toString().trimEnd().split("\n")) o.onNote(`bridge: ${line}`);
    });
    return await firstLine(child);
  };
  const { url } = JSON.parse(await launch("127.0.0.1:0")) as { url: string };
  const watch = () =>
    child.once("close", () => {
      if (over || o.signal.aborted) return;
      o.onNote("the bridge died; starting it again");
      launch(new URL(url).host).then(watch, (error: Error) =>
        o.onNote(`the bridge does not start: ${error.message}`),
      );
    });
  watch();
  return {
    url,
    end: () => {
      over = true;
      child.kill("SIGTERM");
    },
  };
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout!.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    child.once("close", (code) => reject(new Error(`the bridge ended with status ${code}`)));
  });
}
