// A live cluster: one process for the bridge and one for each machine, all made from this program's own command
// line (`buslock bridge`, `buslock boot`), so that what runs here can be run by hand across hosts as well.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClusterOptions, commandLine, ENDINGS, machineName, resultLine } from "./cluster.js";
import { archive } from "./images.js";
import { INTERRUPTED } from "./interrupt.js";
import { LiveBridge } from "./live-bridge.js";
import { MachineProcess } from "./machine-process.js";
import { type ClusterReport, type MachineReport, succeeded } from "./report.js";

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
  /** That the others go on once a machine has died. */
  readonly graceSeconds: number;
  /** Ends the run early (Ctrl-C). */
  readonly signal: AbortSignal;
  readonly onNote: (line: string) => void;
}

export async function runLive(o: LiveOptions): Promise<ClusterReport> {
  const started = performance.now();
  return await withSeats(o, async (seats) => {
    const lines: string[] = [];
    const machines = await runMachines(o, seats, lines);
    return {
      program: o.program.name,
      mode: "live",
      cores: o.cores,
      milliseconds: Math.round(performance.now() - started),
      machines,
      result: resultLine(lines, o.program.name),
      ok: succeeded(machines),
    };
  });
}

/** What a live cluster stands on: machines can be started, again and again, and all have ended when it is over. */
export interface Seats {
  /** null: the bridge is somebody else's. */
  readonly bridge: LiveBridge | null;
  start(node: number, onLine: (line: string) => void): MachineProcess;
}

export async function withSeats<T>(o: LiveOptions, use: (seats: Seats) => Promise<T>): Promise<T> {
  const { initrd, words } = archive(o.program);
  const folder = mkdtempSync(join(tmpdir(), "buslock-run-"));
  const machines = new Set<MachineProcess>();
  let bridge: LiveBridge | null = null;
  try {
    if (o.bridge === undefined) {
      const { cli, bridgeArguments, onNote } = o;
      bridge = await LiveBridge.start({ cli, arguments: bridgeArguments, onNote });
    }
    const initrdPath = join(folder, "initrd");
    writeFileSync(initrdPath, initrd);
    const start = (node: number, onLine: (line: string) => void): MachineProcess => {
      const machine = new MachineProcess(
        o.cli,
        machineName(node),
        bootArguments(o, node, initrdPath, words, bridge),
        onLine,
      );
      machines.add(machine);
      void machine.ended.then(() => machines.delete(machine));
      return machine;
    };
    return await use({ bridge, start });
  } finally {
    // Whoever is left, be it one that was stopped: nothing else ends that.
    for (const machine of machines) machine.signal("SIGKILL");
    await Promise.all([...[...machines].map(({ ended }) => ended), bridge?.end()]);
    rmSync(folder, { recursive: true, force: true });
  }
}

function bootArguments(
  o: LiveOptions,
  node: number,
  initrd: string,
  words: readonly string[],
  bridge: LiveBridge | null,
): string[] {
  const token = o.bridge?.token;
  return [
    ...["--node", String(node), "--cores", String(o.cores), "--memory", String(o.memory)],
    ...["--initrd", initrd, "--bridge", bridge?.urlFor(node) ?? o.bridge!.url],
    ...(token === undefined ? [] : ["--token", token]),
    ...(o.kernelPath === undefined ? [] : ["--kernel", o.kernelPath]),
    ...["--append", commandLine(o, node, words)],
    ...(o.machineArguments?.(machineName(node)) ?? []),
  ];
}

async function runMachines(o: LiveOptions, seats: Seats, lines: string[]): Promise<MachineReport[]> {
  const stop = new AbortController();
  const limit = AbortSignal.timeout(o.limitSeconds * 1000);
  const whole = AbortSignal.any([o.signal, stop.signal, limit]);
  const stopped = () => (o.signal.aborted ? INTERRUPTED : limit.aborted ? ENDINGS.limit : "given up");
  let grace: NodeJS.Timeout | null = null;
  const reports = await Promise.all(
    Array.from({ length: o.machines }, async (_, i) => {
      const name = machineName(i + 1);
      const machine = seats.start(i + 1, (line) => {
        if (i === 0) lines.push(line);
        o.onLine(name, line);
      });
      const report = await runMachine(machine, whole, stopped);
      if (report.problem !== "" && grace === null) {
        o.onNote(`${name}: ${report.problem}`);
        grace = setTimeout(() => stop.abort(), o.graceSeconds * 1000);
      }
      return report;
    }),
  );
  if (grace !== null) clearTimeout(grace);
  return reports;
}

/** `stopped`: why, when `signal` was aborted. */
async function runMachine(
  machine: MachineProcess,
  signal: AbortSignal,
  stopped: () => string,
): Promise<MachineReport> {
  const abort = () => machine.signal("SIGINT"); // at once: SIGTERM asks a machine to leave the cluster first
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  await machine.ended;
  signal.removeEventListener("abort", abort);
  return machine.report(signal.aborted ? stopped() : machine.how!);
}
