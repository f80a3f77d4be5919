// One core of a live machine, on its worker thread: runs guest code in slices, keeps its local APIC's time, and
// sleeps on its mailbox while halted. The board is reached through the core's channel.

import { parentPort, workerData } from "node:worker_threads";
import { CoreDevices } from "./board/core-devices.js";
import { word } from "./board/mailbox.js";
import { CoreChannel } from "./channel.js";
import { CoreHost } from "./core-host.js";
import { Engine, type EngineModules, type EnginePlan } from "./cpu/engine.js";
import { shutdownText } from "./disassembler.js";
import { mailboxesOf } from "./hardware.js";
import { hostNanosecondsSince } from "./host-clock.js";
import { type Filter, Tracer } from "./trace.js";

export interface CoreWorkerData {
  readonly core: number;
  readonly cores: number;
  readonly memory: WebAssembly.Memory;
  readonly plan: EnginePlan;
  readonly modules: EngineModules;
  readonly channel: Int32Array;
  /** Milliseconds: machine time 0 on the scale of performance.timeOrigin. */
  readonly epoch: number;
  /** Nanoseconds of machine time: RESET, which is one moment for all cores, whenever their threads begin. */
  readonly reset: number;
  /** The key of RDRAND, 8 words of the host's entropy. */
  readonly random: Uint32Array;
  readonly trace: Filter | null;
}

/** Worker to board. "ring": a request stands in the channel. */
export type CoreWorkerMessage =
  | { readonly kind: "ring" }
  | { readonly kind: "trace"; readonly line: string }
  | { readonly kind: "shutdown"; readonly text: string }
  | { readonly kind: "ended" };

/** Instructions between looks at the clock for the APIC timer: some hundred microseconds. */
const SLICE = 20_000;
/** Longest sleep of a halted core, so that it notices the end of the machine in any case. */
const SLEEP_MS_MAX = 500;
/** ... of one that waits for a store by MWAIT: nobody rings for that. */
const MONITOR_MS = 1;

function main(data: CoreWorkerData, post: (message: CoreWorkerMessage) => void): void {
  const { core, cores } = data;
  const running = hostNanosecondsSince(data.epoch);
  let resetting = true;
  const now = () => (resetting ? data.reset : running());
  const clock = { now };
  const ring: CoreWorkerMessage = { kind: "ring" };
  const channel = new CoreChannel(data.channel, () => post(ring));
  const mailboxes = mailboxesOf(data.memory, cores);
  const tracer = data.trace === null ? null : new Tracer(data.trace, (line) => post({ kind: "trace", line }));
  const trace = (source: string, text: string) => tracer?.report(source, text, now());
  const devices = new CoreDevices({
    core,
    cores,
    clock,
    mailboxes,
    interruptAcknowledge: () => channel.interruptAcknowledge(),
    endOfInterrupt: (vector) => channel.endOfInterrupt(vector),
    physicalAddressBits: 40,
    trace,
  });
  const hosts: CoreHost[] = [];
  hosts[core] = new CoreHost({ core, cores, board: channel, devices, clock, trace });
  const engine = new Engine(data.memory, data.plan, hosts, { modules: data.modules, live: true, tracer });
  devices.reset();
  engine.reset(core);
  resetting = false;
  engine.seedRandom(core, data.random);
  const words = mailboxes[core]!;
  while (!channel.ending) {
    devices.advance(now());
    if (engine.runnable(core)) engine.run(core, SLICE);
    else {
      const milliseconds = (devices.nextDeadline() - now()) / 1e6;
      const longest = engine.monitors(core) ? MONITOR_MS : SLEEP_MS_MAX;
      if (milliseconds > 0) Atomics.wait(words, word.attention, 0, Math.min(milliseconds, longest));
    }
    if (engine.isShutDown(core)) {
      post({ kind: "shutdown", text: shutdownText(core, engine.state(core), engine.ram) });
      break;
    }
  }
  post({ kind: "ended" });
}

main(workerData as CoreWorkerData, (message) => parentPort!.postMessage(message));
