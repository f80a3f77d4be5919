// `buslock boot`.

import { basename } from "node:path";
import { macOf } from "./arguments.js";
import { port } from "./board/map.js";
import { ROM_UNIT } from "./board/pc-options.js";
import { bootDebugged } from "./boot-debugged.js";
import { bootFiles } from "./boot-files.js";
import { byteOutput } from "./byte-output.js";
import { ConsoleReader } from "./console.js";
import type { GdbBits } from "./gdb/registers.js";
import { hostMonotonicMilliseconds } from "./host-clock.js";
import {
  archive,
  firmware,
  kernelPath,
  linuxRom,
  type ProgramFiles,
  program,
  readImage,
  readModules,
  withFiles,
} from "./images.js";
import { INTERRUPTED, interrupted, interruptSignal } from "./interrupt.js";
import { type LiveLink, liveLink } from "./link.js";
import { LiveMachine } from "./live.js";
import { Machine, type MachineOptions } from "./machine.js";
import type { BootMessage } from "./machine-process.js";
import { Patience } from "./patience.js";
import { type PlugOptions, plug } from "./plug.js";
import { Random } from "./random.js";
import { type MachineReport, machineReport } from "./report.js";
import { Schedule } from "./schedule.js";
import { restoreMachine, saveMachine } from "./snapshot-file.js";
import { takeTerminal } from "./terminal.js";
import { frameCame } from "./tier-up.js";
import { openTrace, type TraceOptions } from "./trace-options.js";

export interface BootOptions extends PlugOptions, TraceOptions, ProgramFiles {
  readonly bios?: string;
  readonly kernel?: string;
  readonly flat?: number;
  readonly entry?: 32 | 64;
  readonly initrd?: string;
  readonly program?: string;
  readonly append?: string;
  readonly cores: number;
  readonly memory: number;
  readonly storeBuffer?: number;
  readonly stall?: number;
  readonly bridge?: string;
  readonly token?: string;
  readonly node: number;
  readonly name: string;
  readonly serial: string;
  readonly limit?: number;
  readonly gdb?: number;
  readonly gdbBits?: GdbBits;
  readonly wait?: boolean;
  readonly save?: string;
  readonly at?: number;
  readonly restore?: string;
}

export async function boot(o: BootOptions): Promise<void> {
  if (o.storeBuffer !== undefined && o.seed === undefined)
    throw new Error("--store-buffer goes with --seed: live cores have the host's");
  if (o.stall !== undefined && o.seed === undefined)
    throw new Error("--stall goes with --seed: live cores stand still when their host has other work");
  if (o.gdb === undefined && (o.wait === true || o.gdbBits !== undefined))
    throw new Error(`--${o.wait === true ? "wait" : "gdb-bits"} goes with --gdb`);
  if (o.program === undefined && (o.file !== undefined || o.stdin !== undefined))
    throw new Error(`--${o.stdin === undefined ? "file" : "stdin"} goes with --program`);
  if ((o.save === undefined) !== (o.at === undefined)) throw new Error("--save and --at go together");
  if ((o.save ?? o.restore) !== undefined && (o.seed === undefined || o.gdb !== undefined))
    throw new Error("--save and --restore go with --seed, and without --gdb");
  const ask: Asked = { toEnd: () => false };
  const signal = interruptSignal(() => ask.toEnd());
  const output = byteOutput("--serial", o.serial);
  const console = new ConsoleReader(() => {});
  const packed = o.program === undefined ? null : archive(withFiles(program(o.program), o));
  const kernel = o.kernel ?? kernelPath;
  const { files, initrd } = bootFiles({
    name: basename(kernel),
    ...(o.flat === undefined ? {} : { flat: o.flat }),
    ...(o.entry === undefined ? {} : { entry: o.entry }),
    modules:
      packed !== null
        ? [{ data: packed.initrd, text: "" }]
        : o.initrd === undefined
          ? []
          : readModules(o.initrd),
  });
  const words = [packed === null ? "" : packed.words.join(" "), o.append ?? ""].filter((w) => w !== "");
  const kernelImage = o.bios !== undefined && o.kernel === undefined ? null : readImage("kernel", kernel);
  const traced = openTrace(
    o,
    [kernelImage, o.program === undefined ? null : program(o.program).data].filter((image) => image !== null),
  );
  const plugged = plug(o);
  const options = {
    ...plugged.options,
    name: o.name,
    cores: o.cores,
    memory: o.memory,
    ...(await firmwareOf(o)),
    ...(kernelImage === null ? {} : { kernel: kernelImage }),
    files: o.bios === undefined ? files : new Map([...files, ...(await biosFiles(kernelImage !== null))]),
    ...(initrd === undefined ? {} : { initrd }),
    commandLine: words.join(" "),
    mac: macOf(o.node),
    console: (byte: number) => {
      output.write(byte);
      console.push(byte);
    },
    ...(traced === null ? {} : { tracer: traced.tracer }),
    ...(o.storeBuffer === undefined ? {} : { storeBuffer: o.storeBuffer }),
  };
  const { instructions, problem, exitCode } = await (o.gdb !== undefined
    ? bootUnderGdb(o, o.gdb, options, signal)
    : o.seed === undefined
      ? bootLive(o, options, signal, ask)
      : bootSeeded(o, o.seed, options, signal));
  console.end();
  await Promise.all([output.end(), plugged.end()]);
  traced?.close();
  process.send?.({ kind: "ended", instructions, problem } satisfies BootMessage);
  const report = machineReport(o.name, instructions, console, problem);
  if (o.json === true) process.stderr.write(`${JSON.stringify(report)}\n`);
  else if (report.problem !== "") process.stderr.write(`${o.name}: ${report.problem}\n`);
  process.exitCode = statusOf(report, exitCode, signal);
  if (process.connected) process.disconnect();
}

/**
 * What SeaBIOS asks for. There is no display: it takes the serial line for one, shows its menu there and gives some seconds
 * for it. A kernel is booted first, by our option ROM.
 */
async function biosFiles(hasKernel: boolean): Promise<[name: string, data: Uint8Array][]> {
  const files: [string, Uint8Array][] = [
    ["etc/sercon-port", Uint8Array.of(port.com1 & 0xff, port.com1 >> 8)],
    ["etc/show-boot-menu", Uint8Array.of(1, 0)],
  ];
  if (!hasKernel) return files;
  const { name, bytes } = await linuxRom();
  const order = new TextEncoder().encode(`/rom@${name}\0`);
  return [...files.slice(0, 1), [name, bytes], ["bootorder", order]];
}

async function firmwareOf(o: BootOptions): Promise<Pick<MachineOptions, "firmware" | "shadowedRom">> {
  if (o.bios === undefined) return { firmware: await firmware() };
  const image = readImage("BIOS", o.bios);
  if (image.length === 0 || image.length % ROM_UNIT !== 0)
    throw new Error(`BIOS ${o.bios}: ${image.length} bytes are no whole number of 64 KiB`);
  return { firmware: image, shadowedRom: true };
}

/** Our own kernel says in words how its init ended; what others write to the exit port becomes QEMU's status of it. */
function statusOf(report: MachineReport, exitCode: number | null, signal: AbortSignal): number {
  if (signal.aborted) return 130;
  if (report.problem !== "") return 1;
  if (report.exit !== null) return report.exit === 0 ? 0 : 1;
  return exitCode === null ? 0 : ((exitCode << 1) | 1) & 0xff;
}

const VIRTUAL_SECONDS_MAX = 3600;

type Options = MachineOptions;
interface Ending {
  readonly instructions: number;
  readonly problem: string;
  readonly exitCode: number | null;
}

/** What SIGTERM does first. */
interface Asked {
  toEnd: () => boolean;
}
/** A machine of a cluster that was asked to end has so long to leave it. */
const LEAVE_SECONDS = 10;

async function bootLive(o: BootOptions, options: Options, signal: AbortSignal, ask: Asked): Promise<Ending> {
  const machine = await LiveMachine.create(options);
  let link: LiveLink | null = null;
  if (o.bridge !== undefined) {
    link = await liveLink({
      url: o.bridge,
      ...(o.token === undefined ? {} : { token: o.token }),
      receive: (frame) => {
        frameCame();
        machine.receiveFrame(frame);
      },
      report: (line) => process.stderr.write(`${o.name}: ${line}\n`),
    });
    machine.connect(link);
  }
  const letGo =
    o.serial === "stdio" || o.console === "stdio"
      ? takeTerminal({
          raw: o.kernel !== undefined || o.bios !== undefined,
          typed: (bytes) => machine.receiveBytes(bytes),
          end: () => machine.stop("ended from the terminal"),
        })
      : () => {};
  const limit =
    o.limit === undefined
      ? null
      : setTimeout(() => machine.stop("the time limit was reached"), o.limit * 1000);
  void interrupted(signal).then(() => machine.stop(INTERRUPTED));
  let leaving: NodeJS.Timeout | null = null;
  if (o.bridge !== undefined)
    ask.toEnd = () => {
      if (!machine.pressPowerButton()) return false;
      leaving = setTimeout(() => machine.stop(INTERRUPTED), LEAVE_SECONDS * 1000);
      return true;
    };
  machine.start();
  process.send?.({ kind: "started", zero: zeroOf(machine) } satisfies BootMessage);
  const ending = await machine.ended;
  if (leaving !== null) clearTimeout(leaving);
  if (limit !== null) clearTimeout(limit);
  letGo();
  link?.close();
  return ending;
}

/** When the machine's time stamp counters were 0. Of several looks the one at which nothing came between the two clocks. */
function zeroOf(machine: LiveMachine): number {
  let zero = 0;
  let shortest = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 20; look++) {
    const before = hostMonotonicMilliseconds();
    const now = machine.sinceReset / 1e6;
    const took = hostMonotonicMilliseconds() - before;
    if (took >= shortest) continue;
    shortest = took;
    zero = before - now;
  }
  return zero;
}

async function bootUnderGdb(
  o: BootOptions,
  port: number,
  options: Options,
  signal: AbortSignal,
): Promise<Ending> {
  if (o.bridge !== undefined) throw new Error("--bridge needs real time, and --gdb stops it");
  return await bootDebugged({
    machine: options,
    seed: o.seed ?? 1,
    stall: (o.stall ?? 0) * 1000,
    port,
    ...(o.gdbBits === undefined ? {} : { bits: o.gdbBits }),
    wait: o.wait ?? false,
    limit: o.limit ?? VIRTUAL_SECONDS_MAX,
    signal,
    log: (line) => process.stderr.write(`${o.name}: ${line}\n`),
    input: (typed, end) =>
      o.serial === "stdio" ? takeTerminal({ raw: o.kernel !== undefined, typed, end }) : () => {},
  });
}

async function bootSeeded(
  o: BootOptions,
  seed: number,
  options: Options,
  signal: AbortSignal,
): Promise<Ending> {
  if (o.bridge !== undefined)
    throw new Error("--bridge needs real time: leave --seed out, or use buslock run --seed");
  const made = { ...options, seed };
  const machine = await Machine.create(made);
  const schedule = new Schedule([machine], [], new Random(seed), { stall: (o.stall ?? 0) * 1000 });
  const limit = (o.limit ?? VIRTUAL_SECONDS_MAX) * 1e9;
  const saveAt = (o.at ?? Number.POSITIVE_INFINITY) * 1e6;
  if (o.restore !== undefined) restoreMachine(o.restore, machine, schedule, made);
  for (const patience = new Patience(); ; ) {
    if (schedule.now >= saveAt) {
      saveMachine(o.save!, machine, schedule, made);
      return { instructions: machine.instructions, problem: "", exitCode: null };
    }
    const turn = schedule.turn(limit);
    const ended = (problem: string): Ending => ({
      instructions: machine.instructions,
      problem: o.save === undefined ? problem : unsaved(o.save, o.at!, schedule.now, problem),
      exitCode: machine.exitCode,
    });
    if (turn === "off") return ended(machine.problem);
    if (turn === "idle") return ended("all cores sleep for ever");
    if (schedule.now >= limit) return ended("the time limit was reached");
    // Signals are heard between turns, when the event loop gets its turn.
    if (patience.over()) await patience.rest();
    if (signal.aborted) return ended(INTERRUPTED);
  }
}

/** The run was over at `now` nanoseconds, before there was anything to save. */
function unsaved(path: string, at: number, now: number, problem: string): string {
  const why = problem === "" ? "" : ` (${problem})`;
  return `--save ${path}: nothing is saved: the machine ended${why} after ${now / 1e6} ms, before --at ${at}`;
}
