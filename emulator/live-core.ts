// One core of a live machine with its local APIC and its time, on whichever thread it runs: the board's own
// (board-core.ts) or a worker (core-worker.ts). Runs guest code in slices; who calls lets it sleep.

import { CoreDevices } from "./board/core-devices.js";
import type { BoardService } from "./channel.js";
import { CoreHost } from "./core-host.js";
import { Engine, type EngineModules, type EnginePlan } from "./cpu/engine.js";
import { shutdownText } from "./disassembler.js";
import { mailboxesOf } from "./hardware.js";
import { hostNanosecondsSince } from "./host-clock.js";
import type { Tracer } from "./trace.js";

/** What a thread is told of the core that it runs; it can be sent to another thread. */
export interface LiveCoreData {
  readonly core: number;
  readonly cores: number;
  readonly memory: WebAssembly.Memory;
  readonly plan: EnginePlan;
  readonly modules: EngineModules;
  /** Milliseconds: machine time 0 on the scale of performance.timeOrigin. */
  readonly epoch: number;
  /** Nanoseconds of machine time: RESET, which is one moment for all cores, whenever their threads begin. */
  readonly reset: number;
  /** The key of RDRAND, 8 words of the host's entropy. */
  readonly random: Uint32Array;
}

/** Instructions between looks at the clock for the APIC timer: some hundred microseconds. */
const SLICE = 20_000;

export class LiveCore {
  /** The core's mailbox. */
  readonly words: Int32Array;
  readonly #core: number;
  readonly #now: () => number;
  readonly #devices: CoreDevices;
  readonly #engine: Engine;

  /** RESET. `meanwhile`: see BusLock. */
  constructor(data: LiveCoreData, board: BoardService, tracer: Tracer | null, meanwhile?: () => void) {
    const { core, cores } = data;
    const running = hostNanosecondsSince(data.epoch);
    let resetting = true;
    const now = () => (resetting ? data.reset : running());
    const clock = { now };
    const mailboxes = mailboxesOf(data.memory, cores);
    const trace = (source: string, text: string) => tracer?.report(source, text, now());
    const devices = new CoreDevices({
      core,
      cores,
      clock,
      mailboxes,
      interruptAcknowledge: () => board.interruptAcknowledge(),
      endOfInterrupt: (vector) => board.endOfInterrupt(vector),
      physicalAddressBits: 40,
      trace,
    });
    const hosts: CoreHost[] = [];
    hosts[core] = new CoreHost({ core, cores, board, devices, clock, trace });
    const options = { modules: data.modules, live: true, tracer };
    const engine = new Engine(
      data.memory,
      data.plan,
      hosts,
      meanwhile === undefined ? options : { ...options, meanwhile },
    );
    devices.reset();
    engine.reset(core);
    resetting = false;
    engine.seedRandom(core, data.random);
    this.#core = core;
    this.#now = now;
    this.#devices = devices;
    this.#engine = engine;
    this.words = mailboxes[core]!;
  }

  /** Runs for a slice; false: there is nothing more to run, until an interrupt or the deadline. */
  run(): boolean {
    const [core, engine] = [this.#core, this.#engine];
    this.#devices.advance(this.#now());
    if (!engine.runnable(core)) return false;
    engine.run(core, SLICE);
    return engine.runnable(core);
  }

  /** Machine time at which a core that sleeps is to be run again, whatever happens; Infinity: never. */
  get deadline(): number {
    return this.#devices.nextDeadline();
  }

  /** Milliseconds until then, 0 when it has come. */
  get rest(): number {
    return Math.max(0, (this.deadline - this.#now()) / 1e6);
  }

  /** Why the core shut down; null: it did not. */
  get shutdown(): string | null {
    const [core, engine] = [this.#core, this.#engine];
    return engine.isShutDown(core) ? shutdownText(core, engine.state(core), engine.ram) : null;
  }
}
