// The live way to run one machine: its shared devices, its console, its socket and its bootstrap processor on this thread
// (board-core.ts), each other core on a worker thread of its own, all over one shared memory.

import { getRandomValues } from "node:crypto";
import { Worker } from "node:worker_threads";
import { AlarmClock } from "./alarm.js";
import { SharedMailbox } from "./board/mailbox.js";
import type { Pc, PowerEvent } from "./board/pc.js";
import { BoardCore } from "./board-core.js";
import { BoardChannel, CHANNEL_WORDS, serveAll } from "./channel.js";
import type { CoreWorkerData, CoreWorkerMessage } from "./core-worker.js";
import { compile, type EngineModules, retiredOf, setA20, writtenBy } from "./cpu/engine.js";
import { ATTENTION_STOP } from "./cpu/layout.js";
import { buildBoard, buildHardware, type Hardware, type MachineOptions, typeOn } from "./hardware.js";
import { hostEpoch, hostNanosecondsSince } from "./host-clock.js";
import type { LiveLink } from "./link.js";
import type { LiveCoreData } from "./live-core.js";
import { Tracer } from "./trace.js";

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
  readonly #boardBusy = new Int32Array(new SharedArrayBuffer(4));
  readonly #tickets = new Int32Array(new SharedArrayBuffer(4));
  #alarm: AlarmClock | null = null;
  /** Core 0; the others have a channel and a worker each. */
  #core: BoardCore | null = null;
  #channels: BoardChannel[] = [];
  #workers: Worker[] = [];
  #timer: NodeJS.Timeout | null = null;
  /** When it is due, in machine time. */
  #timerDue = 0;
  #link: LiveLink | null = null;
  /** Console input that the UART had no room for yet. */
  readonly #typed: number[] = [];
  #resetAt = 0;
  #exitCode: number | null = null;
  #state: "new" | "running" | "resetting" | "asleep" | "over" = "new";
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
      wire: {
        send: (frame) => {
          o.tracer?.frame("sent", frame.length, this.#now());
          this.#link?.send(frame);
        },
        together: (send) => (this.#link === null ? send() : this.#link.together(send)),
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

  connect(link: LiveLink): void {
    this.#link = link;
  }

  start(): void {
    this.#state = "running";
    this.#resetAt = this.#now();
    this.#board.reset();
    this.#channels = [];
    this.#workers = this.#hardware.mailboxes.slice(1).map((_, index) => this.#startWorker(index + 1));
    this.#core = this.#startCore();
    this.#tick();
    this.#core.look();
  }

  receiveFrame(frame: Uint8Array): void {
    if (this.#state !== "running") return;
    this.#options.tracer?.frame("received", frame.length, this.#now());
    this.#board.receiveFrame(frame);
    this.#core?.wake();
  }

  receiveBytes(bytes: Uint8Array): void {
    this.#typed.push(...bytes);
    this.#tick();
  }

  /** False: the guest does not listen. */
  pressPowerButton(): boolean {
    if ((this.#state !== "running" && this.#state !== "asleep") || !this.#board.powerButtonHeard)
      return false;
    this.#board.pressPowerButton();
    this.#tick();
    return true;
  }

  /** Ends the machine from outside. */
  stop(problem: string): void {
    if (this.#state !== "over") this.#end(problem);
  }

  #dataOf(core: number): LiveCoreData {
    return {
      core,
      cores: this.#hardware.mailboxes.length,
      memory: this.#hardware.memory,
      plan: this.#hardware.plan,
      modules: this.#modules,
      epoch: this.#epoch,
      reset: this.#resetAt,
      random: getRandomValues(new Uint32Array(8)),
    };
  }

  #startCore(): BoardCore {
    this.#alarm ??= new AlarmClock(this.#epoch, () => this.#core?.look());
    const { tracer } = this.#options;
    return new BoardCore(this.#dataOf(0), {
      board: this.#board,
      tracer: tracer === undefined ? null : new Tracer(tracer.filter, tracer.write),
      alarm: this.#alarm,
      boardBusy: this.#boardBusy,
      serveOthers: () => this.#serve(),
      boardUsed: () => this.#tick(),
      ended: (why) => this.stop(why),
    });
  }

  #startWorker(core: number): Worker {
    const channel = new Int32Array(new SharedArrayBuffer(CHANNEL_WORDS * 4));
    this.#channels.push(new BoardChannel(channel));
    const data: CoreWorkerData = {
      ...this.#dataOf(core),
      channel,
      tickets: this.#tickets,
      boardBusy: this.#boardBusy,
      trace: this.#options.tracer?.filter ?? null,
    };
    const worker = new Worker(new URL("./core-worker.js", import.meta.url), {
      workerData: data,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
    worker.on("message", (message: CoreWorkerMessage) => this.#hear(message));
    worker.on("error", (error) => this.stop(`core ${core}: ${error.stack ?? error.message}`));
    return worker;
  }

  /** What cores on other threads ask of the board. */
  #serve(): void {
    if (serveAll(this.#channels, this.#board)) this.#tick();
  }

  #hear(message: CoreWorkerMessage): void {
    if (message.kind === "ring") this.#serve();
    else if (message.kind === "trace") this.#options.tracer?.write(message.line);
    else if (message.kind === "shutdown") this.stop(message.text);
  }

  /** Lets the board act on what is due, and sets the host's timer for what comes next. */
  #tick(): void {
    if (this.#state !== "running" && this.#state !== "asleep") return;
    while (this.#typed.length > 0 && typeOn(this.#board, this.#options, this.#typed[0]!)) this.#typed.shift();
    this.#board.advance(this.#now());
    this.#core?.wake();
    const deadline = this.#typed.length > 0 ? this.#now() + 1e6 : this.#board.nextDeadline();
    if (deadline < Number.POSITIVE_INFINITY) this.#tickBy(deadline);
  }

  /** A timer that is due before stays: a tick too many costs less than to set it anew at every use of the board. */
  #tickBy(deadline: number): void {
    if (this.#timer !== null) {
      if (this.#timerDue <= deadline) return;
      clearTimeout(this.#timer);
    }
    const milliseconds = Math.min(Math.max(0, (deadline - this.#now()) / 1e6), 1e6);
    this.#timerDue = deadline;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#tick();
    }, milliseconds);
  }

  #power(event: PowerEvent): void {
    if (event.kind === "reset" || event.kind === "sleep") void this.#restart();
    else {
      if (event.kind === "exit") this.#exitCode = event.code;
      this.#end("");
    }
  }

  /** RESET: every core's thread ends, and new ones begin at the reset vector; where the machine sleeps, when it wakes. */
  async #restart(): Promise<void> {
    if (this.#state !== "running" && this.#state !== "asleep") return;
    this.#state = "resetting";
    await this.#endCores();
    if ((this.#state as string) !== "resetting") return;
    if (!this.#board.asleep) return this.start();
    this.#core = null;
    this.#channels = [];
    this.#workers = [];
    this.#state = "asleep";
    this.#tick();
  }

  #end(problem: string): void {
    this.#state = "over";
    if (this.#timer !== null) clearTimeout(this.#timer);
    void Promise.all([this.#endCores(), this.#alarm?.end()]).then(() => {
      const { memory, mailboxes } = this.#hardware;
      const instructions = mailboxes.reduce((sum, _, core) => sum + retiredOf(memory, core), 0);
      this.#resolve({ problem, instructions, exitCode: this.#exitCode });
    });
  }

  /** Asks the cores' threads to end; one that does not is terminated. */
  async #endCores(): Promise<void> {
    this.#core?.end();
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
