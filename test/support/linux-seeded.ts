// Linux in virtual time, its console typed at: one machine, or several on one wire. The kernel's complaints are then the
// machine's doing and not the host's load, and a seed repeats a run.

import { readFileSync } from "node:fs";
import { firmware } from "../../emulator/images.js";
import { SeededNetwork } from "../../emulator/link.js";
import { Machine, type MachineOptions } from "../../emulator/machine.js";
import { Random } from "../../emulator/random.js";
import { Schedule, type ScheduleOptions } from "../../emulator/schedule.js";
import { COMMAND_LINE, linux, prompt } from "./linux.js";

const TURNS_PER_BREATH = 65_536;
/** Of each quantum (schedule.ts): on eight cores Linux would come to its shell in slices of four instructions otherwise. */
const SLICES = 32;

/** What machines on one wire share. */
class Hall {
  readonly schedule: Schedule;
  readonly seed: number;
  #turns = 0;

  constructor(machines: readonly Machine[], seed: number, time: ScheduleOptions) {
    const random = new Random(seed);
    const options = { slices: SLICES, ...time };
    this.seed = seed;
    if (machines.length === 1) {
      this.schedule = new Schedule(machines, [], random, options);
      return;
    }
    const network = new SeededNetwork(random.fork("network"), () => this.schedule.now);
    this.schedule = new Schedule(machines, [network], random.fork("schedule"), options);
    for (const machine of machines) machine.connect(network.attach((frame) => machine.receiveFrame(frame)));
  }

  /** One turn; the test runner wants to be heard now and then. */
  async turn(limit: number): Promise<void> {
    this.schedule.turn(limit);
    if (++this.#turns % TURNS_PER_BREATH === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

export class SeededLinux {
  readonly machine: Machine;
  readonly #hall: Hall;
  readonly #text: { all: string };
  readonly #started = performance.now();
  readonly #used = process.cpuUsage();

  private constructor(machine: Machine, text: { all: string }, hall: Hall) {
    this.machine = machine;
    this.#text = text;
    this.#hall = hall;
  }

  static async start(options: MachineOptions, seed = 1, time: ScheduleOptions = {}): Promise<SeededLinux> {
    return (await SeededLinux.together([options], seed, time))[0]!;
  }

  /** Machines on one wire; what is done with one of them lets time pass for all. */
  static async together(
    options: readonly MachineOptions[],
    seed = 1,
    time: ScheduleOptions = {},
  ): Promise<SeededLinux[]> {
    const texts = options.map(() => ({ all: "" }));
    const machines = await Promise.all(
      options.map(async (o, index) =>
        Machine.create({
          firmware: await firmware(),
          kernel: readFileSync(linux.kernelPath),
          initrd: linux.initrd(),
          memory: 256 << 20,
          commandLine: COMMAND_LINE,
          seed,
          ...o,
          console: (byte) => {
            texts[index]!.all += String.fromCharCode(byte);
          },
        }),
      ),
    );
    const hall = new Hall(machines, seed, time);
    return machines.map((machine, index) => new SeededLinux(machine, texts[index]!, hall));
  }

  get console(): string {
    return this.#text.all;
  }
  /** Virtual nanoseconds since RESET. */
  get now(): number {
    return this.#hall.schedule.now;
  }
  /** Instructions so far, seconds, and those of them that this process had a processor, for the test's output. */
  get figures(): string {
    const seconds = (performance.now() - this.#started) / 1000;
    const { user, system } = process.cpuUsage(this.#used);
    const billions = (this.machine.instructions / 1e9).toFixed(2);
    return `${billions} G instructions, ${seconds.toFixed(1)} s (${((user + system) / 1e6).toFixed(1)} s of a processor)`;
  }

  /** Goes on at this time, for machines that were restored from snapshots. */
  restart(now: number): void {
    this.#hall.schedule.restart(now, new Random(this.#hall.seed));
  }

  /** Runs until the text stands in the console behind `from`; fails when the machine is off or the time over. */
  async until(text: string, from = 0, seconds = 30): Promise<void> {
    const limit = this.now + seconds * 1e9;
    // Looked for only where the console has grown: turns are many.
    let seen = from;
    let length = -1;
    const said = (): boolean => {
      const { all } = this.#text;
      if (all.length === length) return false;
      length = all.length;
      if (all.includes(text, seen)) return true;
      seen = Math.max(from, length - text.length);
      return false;
    };
    while (!said()) {
      if (!this.machine.powered || this.now > limit)
        throw new Error(
          `"${text}" was not said within ${seconds} s of virtual time (seed ${this.#hall.seed}, problem "${this.machine.problem}"):\n${this.console}`,
        );
      await this.#hall.turn(limit + 1);
    }
  }

  /** Types a line. */
  async type(line: string): Promise<void> {
    for (const byte of Buffer.from(`${line}\n`)) await this.press(byte);
  }
  async press(byte: number): Promise<void> {
    while (!this.machine.receiveByte(byte)) await this.#hall.turn(this.now + 1e9);
    await this.#hall.turn(this.now + 1e9);
  }

  /** Types a command at the prompt; gives what it printed. */
  async command(line: string, seconds = 30): Promise<string> {
    const from = this.console.length;
    await this.type(line);
    await this.until(prompt, from + line.length, seconds);
    const said = this.console.slice(from).replaceAll("\r", "");
    return said.slice(said.indexOf("\n") + 1, said.lastIndexOf(prompt)).trimEnd();
  }

  /** Runs until the guest has switched the machine off. */
  async off(seconds = 30): Promise<void> {
    const limit = this.now + seconds * 1e9;
    while (this.machine.powered && this.now < limit) await this.#hall.turn(limit);
  }
}
