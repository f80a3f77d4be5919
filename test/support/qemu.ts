// The kernel's image under QEMU: an outside machine that boots the same bytes. Tests that use it skip themselves when
// qemu-system-x86_64 is not installed (`qemu.missing` says so).
import { spawn, spawnSync } from "node:child_process";
import { kernelPath } from "../../emulator/images.js";

const program = "qemu-system-x86_64";

export interface Run {
  readonly cores?: number;
  readonly megabytes?: number;
  /** The kernel's command line. */
  readonly append: string;
  readonly initrd?: string;
  /** More of QEMU's arguments. */
  readonly more?: readonly string[];
  readonly seconds?: number;
}

export interface Ended {
  readonly output: string;
  readonly lines: readonly string[];
  /** QEMU's exit status: by the exit port it is value * 2 + 1; -1: it was still running when the time was over. */
  readonly status: number;
}

export const qemu = {
  /** Why tests skip; empty when QEMU is there. */
  missing: spawnSync(program, ["--version"]).status === 0 ? "" : `${program} is not installed`,

  /** Boots the kernel on a q35 machine and waits for its end. */
  run({ cores = 1, megabytes = 128, append, initrd, more = [], seconds = 30 }: Run): Promise<Ended> {
    const child = spawn(
      program,
      [
        ...["-machine", "q35", "-m", `${megabytes}`, "-smp", `${cores}`, "-display", "none", "-no-reboot"],
        ...["-serial", "stdio", "-monitor", "none", "-nic", "none", "-kernel", kernelPath, "-append", append],
        ...(initrd === undefined ? [] : ["-initrd", initrd]),
        ...["-device", "isa-debug-exit,iobase=0xf4,iosize=1", ...more],
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let output = "";
    child.stdout.on("data", (bytes: Buffer) => {
      output += bytes.toString("latin1");
    });
    child.stderr.on("data", (bytes: Buffer) => {
      output += bytes.toString("latin1");
    });
    return new Promise((resolve, reject) => {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        child.kill("SIGKILL");
      }, seconds * 1000);
      child.on("error", reject);
      child.on("close", (code) => {
        clearTimeout(timer);
        resolve({ output, lines: output.split(/\r?\n/), status: late ? -1 : (code ?? -1) });
      });
    });
  },
};

/** The `stats:` line. */
export function statsOf({ lines, output }: Ended): Record<string, number> {
  const line = lines.find((text) => text.startsWith("stats: "));
  if (line === undefined) throw new Error(`no stats line in:\n${output}`);
  return JSON.parse(line.slice(7)) as Record<string, number>;
}
