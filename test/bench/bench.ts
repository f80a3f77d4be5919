// `npm run bench`: the project's figures, as a table and as one JSON object. Counts come from seeded runs and are
// exact; times are taken on this host, and ratios only within one run, since hosts differ from hour to hour.
//
//   npm run bench                 everything
//   npm run bench -- speed boot   some sections
//   npm run bench -- --json       the JSON alone
//   npm run bench -- --help       what there is

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { archive, firmware, kernelPath, program, readImage } from "../../emulator/images.js";
import { Machine } from "../../emulator/machine.js";
import { Random } from "../../emulator/random.js";
import { Schedule } from "../../emulator/schedule.js";
import { Command, installed, seeded } from "../support/cluster.js";
import { coherenceFigures } from "./coherence.js";
import { cpuBenchmarks } from "./cpu.js";
import { linuxFigures } from "./linux.js";
import { liveFigures, wireFigures } from "./live.js";
import { scanFigures } from "./scan.js";
import { simulatorFigures } from "./simulator.js";
import { takeoverFigures } from "./takeover.js";

export interface Figure {
  readonly section: string;
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it is to be compared with, in words. */
  readonly note?: string;
}

type Section = () => Promise<Figure[]>;

const PROGRAMS = [
  ["sieve", 1 << 21],
  ["sha256", 1 << 20],
  ["chase", 1 << 20],
] as const;

/** The nanoseconds that `speed` printed. */
function elapsed(output: string): number {
  const match = /speed: \w+ \d+ checksum \w+ ns (\d+)/.exec(output);
  if (match === null) throw new Error(`speed printed no result:\n${output}`);
  return Number(match[1]);
}

/** Least of three: what the host could do when it was left alone. */
async function best(measure: () => Promise<number> | number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3; i++) least = Math.min(least, await measure());
  return least;
}

async function bootOutput(args: (string | number)[]): Promise<string> {
  const command = new Command(["boot", "--cores", 1, ...args]);
  const { status } = await command.ended;
  if (status !== 0) throw new Error(`boot ended with ${status}:\n${command.out}\n${command.err}`);
  return command.out;
}

const speed: Section = async () => {
  const figures: Figure[] = [];
  const native = process.platform === "linux" && process.arch === "x64";
  const qemu = installed("qemu-system-x86_64");
  const file = join(dirname(kernelPath), "user", "speed");
  for (const [name, size] of PROGRAMS) {
    const add = (what: string, value: number, unit: string) =>
      figures.push({ section: "speed", name: `${name}: ${what}`, value, unit });
    const args = ["--program", "speed", "--append", `-- ${name} ${size}`];
    // In virtual time a nanosecond is an instruction.
    const instructions = elapsed(await bootOutput(["--seed", 1, ...args]));
    const ours = await best(async () => elapsed(await bootOutput(args)));
    add("instructions", instructions, "");
    add("Buslock", (instructions / ours) * 1000, "M instructions/s");
    if (native) {
      const host = await best(() => elapsed(execFileSync(file, [name, String(size)], { encoding: "utf8" })));
      add("times slower than native", ours / host, "x");
      if (qemu) {
        const tcg = await best(() => elapsed(underQemu(name, size)));
        add("times slower than native, QEMU TCG", tcg / host, "x");
      }
    }
  }
  for (const { name, instructions, seconds } of await cpuBenchmarks()) {
    figures.push({
      section: "speed",
      name: `loop: ${name}`,
      value: instructions / seconds / 1e6,
      unit: "M instructions/s",
    });
  }
  return figures;
};

function underQemu(name: string, size: number): string {
  const folder = mkdtempSync(join(tmpdir(), "buslock-bench-"));
  try {
    const { initrd, words } = archive(program("speed"));
    const file = join(folder, "initrd");
    writeFileSync(file, initrd);
    const args = [
      ..."-machine q35 -accel tcg -m 64 -smp 1 -display none -serial stdio -no-reboot -monitor none".split(
        " ",
      ),
      ...["-device", "isa-debug-exit,iobase=0xf4", "-kernel", kernelPath, "-initrd", file],
      ...["-append", `node=1 nodes=1 ${words.join(" ")} -- ${name} ${size}`],
    ];
    return execFileSync("qemu-system-x86_64", args, {
      encoding: "utf8",
      timeout: 120_000,
      stdio: ["ignore", "pipe", "ignore"],
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** From the reset vector to the first instruction in ring 3. */
const boot: Section = async () => {
  const { initrd, words } = archive(program("hello"));
  const figures: Figure[] = [];
  const measure = async () => {
    const images = { firmware: await firmware(), kernel: readImage("kernel", kernelPath), initrd };
    const started = performance.now();
    const machine = await Machine.create({
      ...images,
      cores: 2,
      commandLine: `node=1 nodes=1 ${words.join(" ")} exit=f4`,
    });
    const schedule = new Schedule([machine], [], new Random(1), { quantum: 200 });
    while ([0, 1].every((core) => machine.core(core).cpl !== 3)) {
      if (schedule.turn(10e9) === "off" || schedule.now >= 10e9)
        throw new Error("the machine never reached ring 3");
    }
    return { milliseconds: performance.now() - started, instructions: machine.instructions };
  };
  const cold = await measure();
  const warm = await best(async () => (await measure()).milliseconds);
  figures.push({
    section: "boot",
    name: "reset to first user instruction",
    value: cold.instructions,
    unit: "instructions",
  });
  figures.push({
    section: "boot",
    name: "the same, engine cold",
    value: cold.milliseconds,
    unit: "ms",
    note: "goal 1000",
  });
  figures.push({ section: "boot", name: "the same, engine warm", value: warm, unit: "ms" });
  figures.push({
    section: "boot",
    name: "the same, as speed",
    value: cold.instructions / warm / 1000,
    unit: "M instructions/s",
    note: "with the making of the machine",
  });
  figures.push({
    section: "memory",
    name: "machine process, above its touched RAM",
    value: await residentMebibytes(),
    unit: "MiB",
    note: "goal 150",
  });
  return figures;
};

/** Resident size of a live machine's process while a program runs on it, less the machine's own memory. */
async function residentMebibytes(): Promise<number> {
  const command = new Command([
    "boot",
    "--cores",
    2,
    "--program",
    "speed",
    "--append",
    "-- chase 16777216",
    "--memory",
    "256M",
  ]);
  try {
    await command.says("Buslock: ");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    // A machine's memory is one mapping: what is resident of guest RAM, decoded code and registers.
    const mappings = readFileSync(`/proc/${command.child.pid}/smaps`, "utf8").matchAll(/^Rss:\s+(\d+) kB/gm);
    const sizes = [...mappings].map((match) => Number(match[1]));
    const guest = Math.max(...sizes);
    return (sizes.reduce((sum, size) => sum + size, 0) - guest) / 1024;
  } finally {
    command.kill("SIGKILL");
    await command.ended;
  }
}

const counter: Section = async () => {
  const { report } = await seeded("counter", [500], { machines: 3, cores: 2 });
  const sum = (name: string) => report.machines.reduce((s, m) => s + (m.stats?.[name] ?? 0), 0);
  const operations = 3000;
  const per = (name: string, value: number, unit: string): Figure => ({
    section: "counter",
    name,
    value: value / operations,
    unit,
  });
  return [
    per("messages per lock xadd, 3 machines of 2 cores", sum("messagesSent"), ""),
    per("bytes per lock xadd", sum("bytesSent"), ""),
    per("pages moved per lock xadd", sum("pagesReceived"), ""),
    per(
      "guest instructions per lock xadd",
      report.machines.reduce((s, m) => s + m.instructions, 0),
      "",
    ),
  ];
};

const sections: Record<string, Section> = {
  speed,
  boot,
  counter,
  coherence: coherenceFigures,
  simulator: simulatorFigures,
  takeover: takeoverFigures,
  scan: scanFigures,
  live: liveFigures,
  wire: wireFigures,
  linux: linuxFigures,
};

const USAGE = `Usage: npm run bench -- [--json] [SECTION ...]

The project's figures; all sections unless some are named, some twenty minutes.
Sections: ${Object.keys(sections).join(", ")}

  --json   the figures as one JSON object, without the table
  --help   this text

Examples:
  npm run bench -- coherence takeover
  npm run --silent bench -- --json speed > speed.json`;

function commandLine(): { json: boolean; wanted: readonly string[] } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { json: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const unknown = positionals.find((name) => !(name in sections));
    if (unknown !== undefined) throw new Error(`no section "${unknown}"`);
    return { json: values.json ?? false, wanted: positionals };
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

const { json, wanted } = commandLine();
const figures: Figure[] = [];
for (const [name, section] of Object.entries(sections)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.error(`bench: ${name} ...`);
  figures.push(...(await section()));
}
if (!json) {
  const width = Math.max(...figures.map((f) => f.section.length + f.name.length + 2));
  for (const { section, name, value, unit, note } of figures) {
    const digits = value >= 1000 ? 0 : value >= 10 ? 1 : 3;
    const number = value.toLocaleString("en-US", { maximumFractionDigits: digits });
    console.log(
      `${`${section}  ${name}`.padEnd(width)}  ${number.padStart(14)} ${unit}${note === undefined ? "" : `  (${note})`}`,
    );
  }
}
console.log(JSON.stringify({ figures }));
