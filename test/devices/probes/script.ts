// Probes of devices by guest code: a case is a list of steps with what the data sheet says must be read. All cases of a
// table run one after the other in one image (image.ts), on our machine and on QEMU.

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Machine, type MachineOptions } from "../../../emulator/machine.js";
import { Tracer } from "../../../emulator/trace.js";
import { firmwareImage } from "../../../firmware/index.js";
import { temporaryFolder } from "../../support/folder.js";
import { FIRST_LINE, NONE, PROBE_EXIT, probeImage, step } from "./image.js";

/** A value, a value under a mask, a range, or a rule with its words. */
export type Expected =
  | number
  | { readonly is: number; readonly mask: number }
  | { readonly from: number; readonly to: number }
  | { readonly rule: string; readonly holds: (value: number, before: readonly number[]) => boolean };

/** What has been read is kept here in the order of the reads, to be judged when the image has run. */
interface Reading {
  readonly what: string;
  readonly expected: Expected | undefined;
}

export const hex = (value: number) => `0x${value.toString(16)}`;
/** PM timer ticks in so many microseconds, rounded up. */
const ticks = (microseconds: number) => Math.ceil(microseconds * 3.579545);
const u32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
type Size = 1 | 2 | 4;
const LOCAL_APIC = 0xfee0_0000;
const SLEEP_VECTOR = 0xf0;

/** The steps of a case. */
export class Script {
  readonly records: number[] = [];
  readonly readings: Reading[] = [];

  #step(kind: number, size: number, at: number, value: number, more = 0, last = 0): this {
    this.records.push(...[kind, size, at, value, more, last].flatMap(u32));
    return this;
  }

  #reading(what: string, expected: Expected | undefined): this {
    this.readings.push({ what, expected });
    return this;
  }

  out(port: number, value: number, size: Size = 1): this {
    return this.#step(step.out, size, port, value);
  }
  in(port: number, expected?: Expected, size: Size = 1): this {
    return this.#step(step.in, size, port, 0).#reading(`in ${hex(port)} (${size})`, expected);
  }
  write(address: number, value: number, size: Size = 4): this {
    return this.#step(step.write, size, address, value);
  }
  write8(address: number, low: number, high: number): this {
    return this.#step(step.write, 8, address, low, high);
  }
  read(address: number, expected?: Expected, size: Size = 4): this {
    return this.#step(step.read, size, address, 0).#reading(`read ${hex(address)} (${size})`, expected);
  }
  read8(address: number, low?: Expected, high?: Expected): this {
    this.#step(step.read, 8, address, 0).#reading(`read ${hex(address)} (8, low)`, low);
    return this.#reading(`read ${hex(address)} (8, high)`, high);
  }
  delay(microseconds: number): this {
    return this.#step(step.delay, 0, 0, ticks(microseconds));
  }
  /** Interrupts are let in for a moment, or until one comes: its vector, or NONE. */
  interrupt(expected?: Expected): this {
    return this.#step(step.interrupt, 0, 0, 0).#reading("interrupt", expected);
  }
  wait(microseconds: number, expected?: Expected): this {
    return this.#step(step.wait, 0, 0, ticks(microseconds)).#reading("interrupt", expected);
  }
  /** Stands still until an interrupt comes, which there must be. */
  halt(expected?: Expected): this {
    return this.#step(step.halt, 0, 0, 0).#reading("interrupt", expected);
  }
  /** Stands still for a long time: the local APIC's timer, of which a tick is a nanosecond here and on QEMU. */
  sleep(microseconds: number): this {
    this.write(LOCAL_APIC + 0xf0, 0x1ff)
      .write(LOCAL_APIC + 0x3e0, 0x0b)
      .write(LOCAL_APIC + 0x320, SLEEP_VECTOR);
    this.write(LOCAL_APIC + 0x380, microseconds * 1000).halt(SLEEP_VECTOR);
    return this.write(LOCAL_APIC + 0xb0, 0);
  }
  none(): this {
    return this.interrupt(NONE);
  }
  /** Reads until (value & mask) is `is`, at most so long; what was read last counts. */
  poll(port: number, mask: number, is: number, microseconds: number): this {
    this.#step(step.poll, 1, port, ticks(microseconds), mask, is);
    return this.#reading(`poll ${hex(port)}`, { is, mask });
  }
  /** The PM timer. */
  stamp(expected?: Expected): this {
    return this.#step(step.stamp, 0, 0, 0).#reading("stamp", expected);
  }
}

export interface Case {
  readonly name: string;
  readonly steps: (script: Script) => void;
  /** QEMU does otherwise, and this is why we do not. */
  readonly notQemu?: string;
}

/** One device's cases. `before` runs in front of each and reads nothing that counts. */
export interface Table {
  readonly device: string;
  readonly document: string;
  readonly before?: (script: Script) => void;
  readonly cases: readonly Case[];
  readonly machine?: () => Partial<MachineOptions>;
  readonly qemu?: readonly string[];
  /** Not to be run there, and why. */
  readonly notQemu?: string;
}

const MEMORY_MIB = 32;

function assemble({ before, cases }: Table) {
  const scripts = cases.map(({ steps }) => {
    const script = new Script();
    before?.(script);
    steps(script);
    return script;
  });
  return { scripts, image: probeImage(scripts.flatMap(({ records }) => records)) };
}

/** What is wrong, case by case; "" where all is as expected. */
function judge(scripts: readonly Script[], output: string): string[] {
  const text = output.split(FIRST_LINE)[1] ?? "";
  if (!text.includes("done") || output.includes("exception"))
    throw new Error(`the probe did not end well:\n${output.slice(-2000)}`);
  const values = [...text.matchAll(/\b[0-9a-f]{8}\b/g)].map(([word]) => Number.parseInt(word, 16));
  let at = 0;
  return scripts.map(({ readings }) => {
    const own = values.slice(at, at + readings.length);
    at += readings.length;
    const wrong = readings.flatMap(({ what, expected }, index) => {
      const problem = expected === undefined ? "" : mismatch(expected, own[index]!, own.slice(0, index));
      return problem === "" ? [] : [`reading ${index}, ${what}: ${problem}`];
    });
    return wrong.join("; ");
  });
}

function mismatch(expected: Expected, value: number, before: readonly number[]): string {
  if (value === undefined) return "no value";
  if (typeof expected === "number") return value === expected ? "" : `${hex(value)}, not ${hex(expected)}`;
  if ("mask" in expected)
    return (value & expected.mask) >>> 0 === expected.is >>> 0
      ? ""
      : `${hex(value)}, not ${hex(expected.is)} under ${hex(expected.mask)}`;
  if ("from" in expected)
    return value >= expected.from && value <= expected.to
      ? ""
      : `${value}, not from ${expected.from} to ${expected.to}`;
  return expected.holds(value, before)
    ? ""
    : `${hex(value)}, not ${expected.rule} (before: ${before.slice(-12).map(hex)})`;
}

/** Runs a table on our machine. */
export async function onOurs(table: Table): Promise<{ problems: string[]; reports: string[] }> {
  const { scripts, image } = assemble(table);
  let output = "";
  const reports: string[] = [];
  const machine = await Machine.create({
    firmware: firmwareImage(),
    memory: MEMORY_MIB << 20,
    testDevice: true,
    tracer: new Tracer({ kinds: ["reports"] }, (line) => reports.push(line)),
    ...table.machine?.(),
    kernel: image,
    console: (byte) => {
      output += String.fromCharCode(byte);
    },
  });
  machine.run({ limit: 200e9 });
  if (machine.exitCode !== PROBE_EXIT)
    throw new Error(`exit code ${machine.exitCode}, ${machine.problem}:\n${output.slice(-2000)}`);
  return { problems: judge(scripts, output), reports };
}

/** Runs a table under QEMU. */
export async function onQemu(table: Table): Promise<string[]> {
  const { scripts, image } = assemble(table);
  const folder = temporaryFolder();
  try {
    const file = join(folder.path, "probe");
    writeFileSync(file, image);
    const machine = [
      "-machine",
      "q35",
      "-accel",
      "tcg",
      "-m",
      `${MEMORY_MIB}`,
      "-display",
      "none",
      "-no-reboot",
    ];
    const devices = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-device", "pc-testdev"];
    const more = table.qemu ?? ["-nic", "none"];
    const args = [...machine, ...devices, ...more, "-serial", "stdio", "-monitor", "none", "-kernel", file];
    const child = spawn("qemu-system-x86_64", args, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("latin1").on("data", (text: string) => {
      output += text;
    });
    const limit = setTimeout(() => child.kill("SIGKILL"), 30_000);
    const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
    clearTimeout(limit);
    if (status !== 2 * PROBE_EXIT + 1) throw new Error(`QEMU ended with ${status}:\n${output.slice(-2000)}`);
    return judge(scripts, output);
  } finally {
    folder.remove();
  }
}
