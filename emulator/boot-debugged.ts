// `buslock boot --gdb PORT`: one machine in virtual time that a debugger may stop, step and send back. Without one it
// runs freely; what is typed on the console reaches it either way.

import type { Stop } from "./gdb/debuggee.js";
import { Debuggee } from "./gdb/debuggee.js";
import type { GdbBits } from "./gdb/registers.js";
import { serveGdb } from "./gdb/server.js";
import { INTERRUPTED, interrupted } from "./interrupt.js";
import { Machine, type MachineOptions } from "./machine.js";
import { Random } from "./random.js";
import { Schedule } from "./schedule.js";

export interface DebuggedOptions extends LeadOptions {
  readonly machine: MachineOptions;
  readonly seed: number;
  /** Of the schedule, in virtual nanoseconds. */
  readonly stall: number;
  /** Virtual seconds. */
  readonly limit: number;
}

export interface DebuggedEnding {
  readonly instructions: number;
  readonly problem: string;
  readonly exitCode: number | null;
}

export async function bootDebugged(o: DebuggedOptions): Promise<DebuggedEnding> {
  const print = o.machine.console ?? (() => {});
  let debuggee: Debuggee | null = null;
  const machine = await Machine.create({
    ...o.machine,
    seed: o.seed,
    console: (byte) => debuggee?.printed(0, byte),
  });
  debuggee = new Debuggee({
    machines: [machine],
    schedule: new Schedule([machine], [], new Random(o.seed), { stall: o.stall }),
    limit: o.limit * 1e9,
    print: (_, byte) => print(byte),
  });
  const problem = await lead(debuggee, o);
  return { instructions: machine.instructions, problem, exitCode: machine.exitCode };
}

export interface LeadOptions {
  /** TCP port on this host; 0 takes a free one. */
  readonly port: number;
  /** Of the architecture that gdb is told. */
  readonly bits?: GdbBits;
  /** The first instruction waits for the debugger. */
  readonly wait: boolean;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  /** Given what takes console input, and what its user's wish to end calls; gives what ends that. */
  readonly input: (take: (bytes: Uint8Array) => void, end: () => void) => () => void;
}

/** Leads machines through free runs and debuggers' sessions to its end; gives why it ended, "" if by its guest. */
export async function lead(debuggee: Debuggee, o: LeadOptions): Promise<string> {
  let finish: (problem: string) => void = () => {};
  const finished = new Promise<string>((resolve) => {
    finish = resolve;
  });
  let free: Promise<Stop> | null = null;
  const runFreely = () => {
    free = debuggee.run("continue", 0).then((stop) => {
      free = null;
      if (stop.why === "over") finish(debuggee.problem);
      else if (stop.why === "asleep") finish("all cores sleep for ever, or the time limit was reached");
      return stop;
    });
    free.catch((error: Error) => finish(error.message));
  };
  const server = await serveGdb({
    port: o.port,
    debuggee,
    ...(o.bits === undefined ? {} : { bits: o.bits }),
    log: o.log,
    attached: async () => {
      debuggee.interrupt();
      await free;
    },
    left: (how) => {
      debuggee.breakpoints.clear();
      debuggee.watchpoints.clear();
      if (how === "kill") finish("killed by the debugger");
      else if (!debuggee.powered) finish(debuggee.problem);
      else if (free === null) runFreely();
    },
  });
  const noInput = o.input(
    (bytes) => debuggee.type(bytes),
    () => finish("ended from the terminal"),
  );
  void interrupted(o.signal).then(() => finish(INTERRUPTED));
  o.log(`gdb: target remote 127.0.0.1:${server.port}`);
  if (!o.wait) runFreely();
  const problem = await finished;
  debuggee.interrupt();
  await free;
  noInput();
  server.close();
  return problem;
}
