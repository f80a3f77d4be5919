// `buslock run`.

import { fileURLToPath } from "node:url";
import {
  chaosOptions,
  debuggedChaos,
  liveChaos,
  printChaos,
  replayLine,
  seededChaos,
} from "./chaos-command.js";
import { machineName, runSeeded, type SeededOptions } from "./cluster.js";
import { runDebugged } from "./cluster-debugged.js";
import { hostMicroseconds } from "./host-clock.js";
import { firmware, kernelPath, type ProgramFiles, program, readImage, withFiles } from "./images.js";
import { interruptSignal } from "./interrupt.js";
import { type LiveOptions, runLive } from "./live-cluster.js";
import { Progress } from "./progress.js";
import { type ClusterReport, table } from "./report.js";
import { Report } from "./timeline/report.js";
import { checkTraces, openTraces, type TraceOptions, tracedMachines } from "./trace-options.js";

export interface RunOptions extends TraceOptions, ProgramFiles {
  readonly live?: boolean;
  readonly seed?: number;
  readonly storeBuffer?: number;
  readonly stall?: number;
  readonly spread?: boolean;
  readonly mirror?: number;
  readonly machines: number;
  readonly cores: number;
  readonly memory: number;
  readonly kernel?: string;
  readonly append?: string;
  readonly bridge?: string;
  readonly token?: string;
  readonly loss?: number;
  readonly duplicate?: number;
  readonly delay?: [number, number];
  readonly pcap?: string;
  readonly limit?: number;
  readonly grace?: number;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly gdb?: number;
  readonly wait?: boolean;
  readonly chaos?: number;
  readonly chaosFaults?: string;
  readonly chaosCount?: number;
  readonly chaosTime?: number;
  readonly report?: string;
  readonly traceMachine?: string;
}

const LIVE_LIMIT_SECONDS = 600;
/** That the others have to tell of a lost machine and to end, once one has died. */
const GRACE_SECONDS = 30;
/** The line that shows how far a seeded run is stands for so long. */
const PROGRESS_MICROSECONDS = 100_000;

export async function run(name: string, args: string[], o: RunOptions): Promise<void> {
  if (o.storeBuffer !== undefined && o.seed === undefined)
    throw new Error("--store-buffer goes with --seed: live cores have the host's");
  if (o.stall !== undefined && o.seed === undefined)
    throw new Error("--stall goes with --seed: live cores stand still when their host has other work");
  if (o.gdb !== undefined && o.seed === undefined && (o.chaos === undefined || o.live === true))
    throw new Error("--gdb goes with --seed or --chaos: live machines do not go back");
  if (o.report !== undefined && o.seed === undefined && (o.chaos === undefined || o.live === true))
    throw new Error("--report goes with --seed: the memory of live machines is their processes' own");
  if (o.report !== undefined && o.gdb !== undefined)
    throw new Error("--report does not go with --gdb: there time goes back");
  if (o.grace !== undefined && (o.seed !== undefined || o.chaos !== undefined))
    throw new Error(
      "--grace goes with live runs without --chaos: elsewhere no machine's process dies by itself",
    );
  if (o.wait === true && o.gdb === undefined) throw new Error("--wait goes with --gdb");
  const lonely = (["chaosFaults", "chaosCount", "chaosTime"] as const).find((key) => o[key] !== undefined);
  if (o.chaos === undefined && lonely !== undefined)
    throw new Error(`--chaos-${lonely.slice(5).toLowerCase()} goes with --chaos`);
  const signal = interruptSignal();
  const progress = new Progress(o.quiet !== true && o.json !== true);
  const seededRun = o.seed !== undefined || (o.chaos !== undefined && o.live !== true);
  const image = { kernel: readImage("kernel", o.kernel ?? kernelPath), program: withFiles(program(name), o) };
  const names = Array.from({ length: o.machines }, (_, i) => machineName(i + 1));
  const images = [image.kernel, image.program.data];
  const traces = seededRun ? openTraces(o, images, names) : checkTraces(o, images, names);
  const common = {
    machines: o.machines,
    cores: o.cores,
    memory: o.memory,
    firmware: await firmware(),
    ...image,
    arguments: args,
    spread: o.spread === true,
    ...(o.mirror === undefined ? {} : { mirror: o.mirror }),
    ...(o.append === undefined ? {} : { append: o.append }),
    onLine: (machine: string, line: string) => {
      // The guest's figures are the table's.
      if (!line.startsWith("stats: {")) progress.line(`${machine} | ${line}`);
    },
    ...(traces === null || !seededRun ? {} : { tracer: traces.tracer }),
  };
  try {
    await runAs(name, args, common, o, signal, progress);
  } catch (error) {
    // Ctrl-C at a terminal ends the processes of a live run as well, whatever they are at.
    if (!signal.aborted) throw error;
    process.exitCode = 130;
  } finally {
    traces?.close();
  }
}

async function runAs(
  name: string,
  args: string[],
  common: Common,
  o: RunOptions,
  signal: AbortSignal,
  progress: Progress,
): Promise<void> {
  if (o.chaos !== undefined) {
    process.exitCode = await chaos(name, args, common, o, signal, progress);
    return;
  }
  const report = await (o.seed === undefined
    ? live(common, o, signal, progress)
    : seeded(name, args, common, o, signal, progress));
  progress.end();
  print(report, o.json === true);
  process.exitCode = signal.aborted ? 130 : report.ok ? 0 : 1;
}

type Common = Parameters<typeof runSeeded>[0] extends infer T
  ? Omit<T, "seed" | "network" | "limit" | "onProgress">
  : never;

async function chaos(
  name: string,
  args: string[],
  common: Common,
  o: RunOptions,
  signal: AbortSignal,
  progress: Progress,
): Promise<number> {
  const spoken = chaosOptions(name, args, o);
  const say = (line: string) => progress.line(line);
  if (o.live === true) {
    const result = await withTick(o, progress, () =>
      liveChaos(liveOptions(common, o, signal, progress), spoken, { say }),
    );
    progress.end();
    const status = printChaos(result, name, args, o);
    return signal.aborted ? 130 : status;
  }
  const options = seededOptions(common, { ...o, seed: o.seed ?? o.chaos! }, signal, progress);
  if (o.gdb !== undefined) {
    const log = (line: string) => process.stderr.write(`run: ${line}\n`);
    const to = { port: o.gdb, wait: o.wait ?? false, signal, log };
    const ended = await debuggedChaos(options, spoken, { say }, to);
    progress.end();
    print(ended, o.json === true);
    return signal.aborted ? 130 : 0;
  }
  const report = reportFor(name, args, o, options);
  const result = await seededChaos(report === null ? options : reported(options, report), spoken, {
    say,
    fault: (from, until, machine, text) => report?.fault(from, until, machine, text),
  });
  progress.end();
  if (report !== null) wrote(report, progress);
  const status = printChaos(result, name, args, o);
  return signal.aborted ? 130 : status;
}

async function seeded(
  name: string,
  args: string[],
  common: Common,
  o: RunOptions,
  signal: AbortSignal,
  progress: Progress,
): Promise<ClusterReport> {
  const options = seededOptions(common, o, signal, progress);
  const report = reportFor(name, args, o, options);
  if (report !== null) {
    const result = await runSeeded(reported(options, report));
    wrote(report, progress);
    return result;
  }
  if (o.gdb === undefined) return await runSeeded(options);
  const log = (line: string) => process.stderr.write(`run: ${line}\n`);
  return await runDebugged(options, { port: o.gdb, wait: o.wait ?? false, signal, log });
}

function reportFor(
  name: string,
  args: readonly string[],
  o: RunOptions,
  { kernel, machines, cores, seed }: SeededOptions,
): Report | null {
  if (o.report === undefined) return null;
  return new Report({
    folder: o.report,
    kernelPath: o.kernel ?? kernelPath,
    kernel,
    title: `${[name, ...args].join(" ")}: ${machines} machines of ${cores} cores, seed ${seed}`,
    command: replayLine(name, args, o),
  });
}

/** The same run, looked on. */
const reported = (options: SeededOptions, report: Report): SeededOptions => ({
  ...options,
  onCluster: (cluster) => report.follow(cluster),
  onLine: (machine, text) => {
    report.line(machine, text);
    options.onLine(machine, text);
  },
});

function wrote(report: Report, progress: Progress): void {
  report.write();
  progress.line(`run | report: ${report.path}`);
}

function seededOptions(
  common: Common,
  o: RunOptions,
  signal: AbortSignal,
  progress: Progress,
): SeededOptions {
  if (o.bridge !== undefined) throw new Error("--bridge goes with --live: a seeded run has its wire inside");
  const started = hostMicroseconds();
  let shown = started;
  return {
    ...common,
    seed: o.seed!,
    storeBuffer: o.storeBuffer ?? 0,
    stall: (o.stall ?? 0) * 1000,
    network: {
      ...(o.delay === undefined ? {} : { delay: o.delay }),
      faults: {
        ...(o.loss === undefined ? {} : { loss: o.loss }),
        ...(o.duplicate === undefined ? {} : { duplicate: o.duplicate }),
      },
    },
    ...(o.limit === undefined ? {} : { limit: o.limit * 1e9 }),
    ...(o.pcap === undefined ? {} : { pcap: o.pcap }),
    onProgress: (now: number, instructions: number) => {
      const host = hostMicroseconds();
      if (signal.aborted || host - shown < PROGRESS_MICROSECONDS) return signal.aborted;
      shown = host;
      const rate = instructions / (host - started);
      progress.show(
        `${(now / 1e6).toFixed(0)} ms of virtual time, ${(instructions / 1e6).toFixed(0)} M instructions, ${rate.toFixed(0)} M/s`,
      );
      return signal.aborted;
    },
  };
}

async function live(
  common: Common,
  o: RunOptions,
  signal: AbortSignal,
  progress: Progress,
): Promise<ClusterReport> {
  return await withTick(o, progress, () => runLive(liveOptions(common, o, signal, progress)));
}

/** People see that it goes on. */
async function withTick<T>(o: RunOptions, progress: Progress, run: () => Promise<T>): Promise<T> {
  const started = hostMicroseconds();
  const tick = setInterval(() => {
    progress.show(`${o.machines} machines running, ${((hostMicroseconds() - started) / 1e6).toFixed(1)} s`);
  }, 500);
  try {
    return await run();
  } finally {
    clearInterval(tick);
  }
}

function liveOptions(common: Common, o: RunOptions, signal: AbortSignal, progress: Progress): LiveOptions {
  const faults = [
    ...(o.loss === undefined ? [] : ["--loss", String(o.loss)]),
    ...(o.duplicate === undefined ? [] : ["--duplicate", String(o.duplicate)]),
    ...(o.delay === undefined ? [] : ["--delay", o.delay.join(":")]),
    ...(o.pcap === undefined ? [] : ["--pcap", o.pcap]),
  ];
  if (o.bridge !== undefined && faults.length > 0) {
    throw new Error(`${faults[0]} belongs to the bridge: give it to "buslock bridge"`);
  }
  return {
    ...common,
    cli: fileURLToPath(new URL("./cli.js", import.meta.url)),
    ...(o.kernel === undefined ? {} : { kernelPath: o.kernel }),
    ...(o.bridge === undefined
      ? {}
      : { bridge: { url: o.bridge, ...(o.token === undefined ? {} : { token: o.token }) } }),
    bridgeArguments: faults,
    machineArguments: (machine) => traceArguments(o, machine),
    limitSeconds: o.limit ?? LIVE_LIMIT_SECONDS,
    graceSeconds: o.grace ?? GRACE_SECONDS,
    signal,
    onNote: (line) => progress.line(`run | ${line}`),
  };
}

/** What a live machine's own process is told of its trace; each writes a file of its own. */
function traceArguments(o: RunOptions, machine: string): string[] {
  const all = Array.from({ length: o.machines }, (_, i) => machineName(i + 1));
  if (o.trace === undefined || !tracedMachines(o.traceMachine, all).includes(machine)) return [];
  const words: readonly (readonly [string, string | undefined])[] = [
    ["--trace", o.trace],
    ["--trace-address", o.traceAddress],
    ["--trace-code", o.traceCode],
    ["--trace-core", o.traceCore],
    ["--trace-mode", o.traceMode],
    ["--trace-out", o.traceOut === undefined ? undefined : `${o.traceOut}.${machine}`],
    ...(o.symbols ?? []).map((file) => ["--symbols", file] as const),
  ];
  return words.flatMap(([option, value]) => (value === undefined ? [] : [option, value]));
}

function print(report: ClusterReport, json: boolean): void {
  if (json) {
    console.log(JSON.stringify(report));
    return;
  }
  console.log();
  if (report.result !== "") console.log(`${report.result}\n`);
  console.log(table(report));
  if (report.mode === "seeded") {
    const { seed, virtualNanoseconds, frames, frameBytes, memoryHash } = report;
    console.log(
      `\nseed ${seed}: ${virtualNanoseconds} ns of virtual time, ${frames} frames, ${frameBytes} bytes on the wire`,
    );
    console.log(`memory ${memoryHash}`);
  } else console.log(`\n${((report.milliseconds ?? 0) / 1000).toFixed(1)} s`);
}
