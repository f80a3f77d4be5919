// The machines that a ROM is shown to: ours, without a board, QEMU and Bochs. Each gives what was written to port E9.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Cpu } from "../support/cpu.js";
import { temporaryFolder } from "../support/folder.js";
import type { Model } from "./cases/index.js";

const SECONDS = 30;
/** Who has told nothing more for so long goes round in a case that does not end there. All cases of a ROM take less than one. */
const SECONDS_SILENT = 4;
/** For a case that does not end on ours. */
export const SECONDS_ENDLESS = 3;
/** A case needs a tenth of this. */
const INSTRUCTIONS_PER_CASE = 1_000_000;
/** Of as many instructions: what a machine that goes round in its handlers gets. */
const RUNS = 300;
const E9 = 0xe9;
const END = 0x99;

const missing = (program: string): string[] => (spawnSync("which", [program]).status === 0 ? [] : [program]);
const VGA_BIOS = "/usr/share/bochs/VGABIOS-lgpl-latest";

/** Why nobody can be asked; empty when both are there. Debian's packages bochs, bochs-term, vgabios, qemu-system-x86. */
export const absent = [
  ...missing("qemu-system-x86_64"),
  ...missing("bochs"),
  ...missing("script"),
  ...(existsSync(VGA_BIOS) ? [] : ["vgabios"]),
].join(", ");

/** Until it tells no more: all said, shut down, or a case that goes on for ever. */
export async function ours(rom: Uint8Array): Promise<Uint8Array> {
  const cpu = await Cpu.create({ rom });
  const { portsWritten } = cpu.host;
  for (let told = -1, runs = 0; told < portsWritten.length && runs < RUNS; runs++) {
    told = portsWritten.length;
    cpu.run(INSTRUCTIONS_PER_CASE);
  }
  return Uint8Array.from(portsWritten.filter(({ port }) => port === E9).map(({ value }) => value));
}

export async function inQemu(rom: Uint8Array, seconds = SECONDS): Promise<Uint8Array> {
  const folder = temporaryFolder();
  try {
    const [image, log] = [join(folder.path, "rom"), join(folder.path, "log")];
    writeFileSync(image, rom);
    writeFileSync(log, "");
    const qemu = spawn(
      "qemu-system-x86_64",
      [
        ..."-machine pc -m 16 -display none -no-reboot -monitor none -serial none -nic none".split(" "),
        ...["-cpu", "max", "-bios", image, "-debugcon", `file:${log}`],
        ...["-device", "isa-debug-exit,iobase=0xf4,iosize=1"],
      ],
      { stdio: "ignore", timeout: seconds * 1000, killSignal: "SIGKILL" },
    );
    let told = -1;
    const watch = setInterval(() => {
      const { size } = statSync(log);
      if (size === told) qemu.kill("SIGKILL");
      told = size;
    }, SECONDS_SILENT * 1000);
    await new Promise((resolve) => qemu.once("close", resolve));
    clearInterval(watch);
    return new Uint8Array(readFileSync(log));
  } finally {
    folder.remove();
  }
}

const configuration = (folder: string, model: Model) => `config_interface: textconfig
display_library: term
cpu: model=${model}, count=1, ips=50000000, reset_on_triple_fault=0
memory: guest=16, host=16
romimage: file=${folder}/rom, address=0xfff00000
vgaromimage: file=${VGA_BIOS}
ata0: enabled=0
ata1: enabled=0
boot: disk
port_e9_hack: enabled=1
log: ${folder}/bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
clock: sync=none
sound: driver=dummy
speaker: enabled=0
`;

/** Its port E9 is its standard output, where its debugger greets first: what counts begins with the first case's mark. */
export function inBochs(rom: Uint8Array, model: Model, seconds = SECONDS): Uint8Array {
  const folder = temporaryFolder();
  try {
    const file = (name: string) => join(folder.path, name);
    writeFileSync(file("rom"), rom);
    writeFileSync(file("bochsrc"), configuration(folder.path, model));
    writeFileSync(file("commands"), "c\nq\n");
    const run = `bochs -q -f ${file("bochsrc")} -rc ${file("commands")} > ${file("out")}`;
    // Its display wants a terminal, which `script` makes.
    spawnSync("script", ["-qec", `timeout -s HUP -k 3 ${seconds} ${run}`, "/dev/null"], {
      stdio: "ignore",
      env: { ...process.env, TERM: "xterm" },
    });
    const out = new Uint8Array(readFileSync(file("out")));
    const begin = out.indexOf(0xc5);
    const end = out.lastIndexOf(END);
    return begin < 0 ? new Uint8Array() : out.subarray(begin, end < 0 ? out.length : end + 1);
  } finally {
    folder.remove();
  }
}
