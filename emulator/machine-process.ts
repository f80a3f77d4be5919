// One machine of a live cluster as a process of its own (`buslock boot`): what it prints, what it tells of itself, how it ends.

import { type ChildProcess, fork } from "node:child_process";
import { ConsoleReader } from "./console.js";
import { INTERRUPTED } from "./interrupt.js";
import { type MachineReport, machineReport } from "./report.js";

/** What a machine's process tells its parent, where there is one. */
export type BootMessage =
  /** The time stamp counters run; when they were 0, by the host's monotonic clock in milliseconds. */
  | { readonly kind: "started"; readonly zero: number }
  | { readonly kind: "ended"; readonly instructions: number; readonly problem: string };

/**
 * MiB of each half of V8's young generation. A frame is a buffer or two outside of V8's heap and next to nothing inside:
 * behind halves that may grow to 16 MiB the buffers of thousands of frames pile up, until V8 collects the whole heap to be rid
 * of them: of a scan of remote pages 18 % of all processor time. Small halves give them back while they are in the processor's caches.
 */
const SEMI_SPACE_MIB = 1;

/** A process of this program's own command line; it ends when its parent does. */
export const startProcess = (cli: string, args: readonly string[]): ChildProcess =>
  fork(cli, args, {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    execArgv: [...process.execArgv, `--max-semi-space-size=${SEMI_SPACE_MIB}`],
  });

/** Settles when a process and its output have ended; says how, or "" for exit status 0. */
export function processEnded(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => {
      resolve(code === 0 ? "" : signal !== null ? `killed by ${signal}` : `ended with status ${code}`);
    });
  });
}

export class MachineProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #console: ConsoleReader;
  #end: BootMessage | null = null;
  /** By the host's monotonic clock: when the guest's time stamp counters were 0. null: it does not run yet. */
  zero: number | null = null;
  /** How it ended ("": with status 0); null: it has not. */
  how: string | null = null;
  readonly ended: Promise<void>;

  constructor(cli: string, name: string, args: readonly string[], onLine: (line: string) => void) {
    this.name = name;
    this.#child = startProcess(cli, ["boot", "--name", name, ...args]);
    const console = new ConsoleReader(onLine);
    this.#console = console;
    let errors = "";
    this.#child.stdout!.on("data", (chunk: Buffer) => {
      for (const byte of chunk) console.push(byte);
    });
    this.#child.stderr!.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
      for (const line of errors.split("\n").slice(0, -1)) onLine(line);
      errors = errors.slice(errors.lastIndexOf("\n") + 1);
    });
    this.#child.on("message", (m) => {
      const message = m as BootMessage;
      if (message.kind === "started") this.zero = message.zero;
      else this.#end = message;
    });
    this.ended = processEnded(this.#child).then((how) => {
      this.how = how;
      console.end();
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Why it ended against its guest's will, by its own account; null: it did not come to tell. */
  get problem(): string | null {
    return this.#end?.kind === "ended" ? this.#end.problem : null;
  }

  /** `why` counts when it did not come to tell, or tells only that it was interrupted. */
  report(why: string): MachineReport {
    const instructions = this.#end?.kind === "ended" ? this.#end.instructions : 0;
    const told = this.problem === INTERRUPTED ? null : this.problem;
    return machineReport(this.name, instructions, this.#console, told ?? why);
  }
}
