// From RESET to a shell with Debian's kernel: guest instructions (counted in virtual time), and seconds beside those that
// QEMU TCG takes for the same in the same run. Empty where the kernel or QEMU is not there, which it says.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, installed } from "../support/cluster.js";
import { linux, prompt } from "../support/linux.js";
import { SeededLinux } from "../support/linux-seeded.js";
import type { Figure } from "./bench.js";

const APPEND = "console=ttyS0 panic=-1";
const QEMU = "qemu-system-x86_64";

export async function linuxFigures(): Promise<Figure[]> {
  if (linux.missing !== "") {
    console.error(`bench: linux skipped, because ${linux.missing}`);
    return [];
  }
  const figures: Figure[] = [];
  const add = (name: string, value: number, unit: string) =>
    figures.push({ section: "linux", name, value, unit });
  const guest = await SeededLinux.start({});
  await guest.until(prompt);
  add("reset to the shell, bzImage, 1 core", guest.machine.instructions, "instructions");
  const folder = mkdtempSync(join(tmpdir(), "buslock-bench-"));
  try {
    const initrd = join(folder, "initrd");
    writeFileSync(initrd, linux.initrd());
    for (const cores of [1, 2]) {
      const ours = await secondsOfOurs(initrd, cores);
      add(`the same live, ${cores} cores`, ours, "s");
      if (installed(QEMU))
        add(`${cores} cores: times as long as QEMU TCG`, ours / (await secondsOfQemu(initrd, cores)), "x");
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return figures;
}

async function secondsOfOurs(initrd: string, cores: number): Promise<number> {
  const started = performance.now();
  const machine = ["--kernel", linux.kernelPath, "--initrd", initrd, "--memory", "256M", "--cores", cores];
  const command = new Command(["boot", ...machine, "--append", APPEND]);
  try {
    await command.says(prompt, 300);
    return (performance.now() - started) / 1000;
  } finally {
    command.kill("SIGKILL");
    await command.ended;
  }
}

function secondsOfQemu(initrd: string, cores: number): Promise<number> {
  const started = performance.now();
  const board = ["-machine", "q35", "-accel", "tcg", "-m", "256", "-smp", String(cores), "-nic", "none"];
  const console = ["-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"];
  const guest = ["-kernel", linux.kernelPath, "-initrd", initrd, "-append", APPEND];
  const child = spawn(QEMU, [...board, ...console, ...guest], { stdio: ["pipe", "pipe", "ignore"] });
  let output = "";
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => child.kill("SIGKILL"), 300_000);
    child.on("error", reject);
    child.on("close", () => reject(new Error(`QEMU ended before the shell:\n${output}`)));
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString("latin1");
      if (!output.includes(prompt)) return;
      clearTimeout(late);
      child.kill("SIGKILL");
      resolve((performance.now() - started) / 1000);
    });
  });
}
