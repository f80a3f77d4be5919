// The live way to run one machine: its shared devices, its console and its socket on this thread, each core on a
// worker thread of its own, all over one shared memory. Guest code never runs here, so a frame that arrives is
// taken at once, however busy the cores are.

import { getRandomValues } from "node:crypto";
import { Worker } from "node:worker_threads";
import { SharedMailbox } from "./board/mailbox.js";
import type { Pc, PowerEvent } from "./board/pc.js";
import { BoardChannel, CHANNEL_WORDS } from "./channel.js";
import type { CoreWorkerData, CoreWorkerMessage } from "./core-worker.js";
import { compile, type EngineModules, retiredOf, setA20, writtenBy } from "./cpu/engine.js";
import { ATTENTION_STOP } from "./cpu/layout.js";
import { buildBoard, buildHardware, type Hardware, type MachineOptions, typeOn } from "./hardware.js";
import { hostEpoch, hostNanosecondsSince } from "./host-clock.js";
import type { Link } from "./link.js";

/** A core's thread allocates next to nothing once its code is decoded; V8's default would let it grow by 48 MiB. */
const YOUNG_GENERATION_MIB = 3;

export interface LiveEnding {
  /** Why the machine ended against its guest's will; empty when the guest switched it off. */
  readonly problem: string;
  readonly instructions: number;
  /** What the guest wrote to the exit port; null when it ended otherwise. */
  readonly exitCode: number | null;
}

export class LiveMachine {
  readonly #options: MachineOptions;
  readonly #hardware: Hardware;
  readonly #modules: EngineModules;
  readonly #board: Pc;
  readonly #epoch = hostEpoch();
  readonly #now = hostNanosecondsSince(this.#epoch);
  #channels: BoardChannel[] = [];
  #workers: Worker[] = [];
  #timer: NodeJS.Timeout | null = null;
  #link: Link | null = null;
  /** Console input that the UART had no room for yet. */
  readonly #typed: number[] = [];
  #resetAt = 0;
  #exitCode: number | null = null;
  #state: "new" | "running" | "resetting" | "over" = "new";
  #resolve: (ending: LiveEnding) => void = () => {};
  /** Settles when the machine is off and its threads have ended. */
  readonly ended = new Promise<LiveEnding>((resolve) => {
    this.#resolve = resolve;
  });

  private constructor(o: MachineOptions, hardware: Hardware, modules: EngineModules) {
    requireTotalStoreOrder();
    this.#options = o;
    this.#hardware = hardware;
    this.#modules = modules;
    this.#board = buildBoard(hardware, o, {
      clock: { now: this.#now },
      trace: (source, text) => o.tracer?.report(source, text, this.#now()),
      written: (physical, length) => writtenBy(hardware.memory, physical, length),
      frame: (frame) => {
        o.tracer?.frame("sent", frame.length, this.#now());
        this.#link?.send(frame);
      },
      power: (event) => this.#power(event),
      a20: (open) => setA20(hardware.memory, open),
    });
  }

  static async create(options: MachineOptions): Promise<LiveMachine> {
    return new LiveMachine(options, buildHardware(options), await compile());
  }

  /** Nanoseconds since RESET: what the time stamp counters show, unless the guest writes to them. */
  get sinceReset(): number {
    return this.#now() - this.#resetAt;
  }

  connect(link: Link): void {
    this.#link = link;
  }

  start(): void {
    this.#state = "running";
    this.#resetAt = this.#now();
    this.#board.reset();
    this.#channels = [];
    this.#workers = Array.from({ length: this.#hardware.mailboxes.length }, (_, core) =>
      this.#startCore(core),
    );
    this.#tick();
  }

  receiveFrame(frame: Uint8Array): void {
    if (this.#state !== "running") return;
    this.#options.tracer?.frame("received", frame.length, this.#now());
    this.#board.receiveFrame(frame);
  }

  receiveBytes(bytes: Uint8Array): void {
    this.#typed.push(...bytes);
    this.#tick();
  }

  /** False: the guest does not listen. */
  pressPowerButton(): boolean {
    if (this.#state !== "running" || !this.#board.powerButtonHeard) return false;
    this.#board.pressPowerButton();
    this.#tick();
    return true;
  }

  /** Ends the machine from outside. */
  stop(problem: string): void {
    if (this.#state !== "over") this.#end(problem);
  }

  #startCore(core: number): Worker {
    const channel = new Int32Array(new SharedArrayBuffer(CHANNEL_WORDS * 4));
    this.#channels[core] = new BoardChannel(channel);
    const data: CoreWorkerData = {
      core,
      cores: this.#hardware.mailboxes.length,
      memory: this.#hardware.memory,
      plan: this.#hardware.plan,
      modules: this.#modules,
      channel,
      epoch: this.#epoch,
      reset: this.#resetAt,
      random: getRandomValues(new Uint32Array(8)),
      trace: this.#options.tracer?.filter ?? null,
    };
    const worker = new Worker(new URL("./core-worker.js", import.meta.url), {
      workerData: data,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
    worker.on("message", (message: CoreWorkerMessage) => this.#hear(core, message));
    worker.on("error", (error) => this.stop(`core ${core}: ${error.stack ?? error.message}`));
    return worker;
  }

  #hear(core: number, message: CoreWorkerMessage): void {
    if (message.kind === "ring") {
      this.#channels[core]!.serve(this.#board);
      this.#tick();
    } else if (message.kind === "trace") this.#options.tracer?.write(message.line);
    else if (message.kind === "shutdown") this.stop(message.text);
  }

  /** Lets the board act on what is due, and sets the host's timer for what comes next. */
  #tick(): void {
    if (this.#state !== "running") return;
    while (this.#typed.length > 0 && typeOn(this.#board, this.#options, this.#typed[0]!)) this.#typed.shift();
    this.#board.advance(this.#now());
    if (this.#timer !== null) clearTimeout(this.#timer);
    const deadline = this.#typed.length > 0 ? this.#now() + 1e6 : this.#board.nextDeadline();
    if (deadline === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#tick(), Math.min(Math.max(0, (deadline - this.#now()) / 1e6), 1e6));
  }

  #power(event: PowerEvent): void {
    if (event.kind === "reset") void this.#restart();
    else {
      if (event.kind === "exit") this.#exitCode = event.code;
      this.#end("");
    }
  }

  /** RESET: every core's thread ends, and new ones begin at the reset vector. */
  async #restart(): Promise<void> {
    if (this.#state !== "running") return;
    this.#state = "resetting";
    await this.#endCores();
    if ((this.#state as string) === "resetting") this.start();
  }

  #end(problem: string): void {
    this.#state = "over";
    if (this.#timer !== null) clearTimeout(this.#timer);
    void this.#endCores().then(() => {
      const { memory, mailboxes } = this.#hardware;
      const instructions = mailboxes.reduce((sum, _, core) => sum + retiredOf(memory, core), 0);
      this.#resolve({ problem, instructions, exitCode: this.#exitCode });
    });
  }

  /** Asks the cores' threads to end; one that does not is terminated. */
  async #endCores(): Promise<void> {
    for (const channel of this.#channels) channel.end();
    for (const words of this.#hardware.mailboxes) new SharedMailbox(words).attend(ATTENTION_STOP);
    await Promise.all(
      this.#workers.map(
        (worker) =>
          new Promise<void>((resolve) => {
            const late = setTimeout(() => void worker.terminate(), 2000);
            worker.once("exit", () => {
              clearTimeout(late);
              resolve();
            });
          }),
      ),
    );
  }
}

/** Live cores rely on the host's own memory order, which is the guest's only where the host is x86. */
function requireTotalStoreOrder(): void {
  if (process.arch !== "x64") {
    throw new Error(
      `live machines need an x86-64 host (this one is ${process.arch}): use --seed, which runs anywhere`,
    );
  }
}
