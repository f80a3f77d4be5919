// An unmodified Linux as a guest: Debian's kernel for clouds and its static busybox, which .ci/run unpacks into
// node_modules/.cache/linux. Tests that use it skip themselves without (`linux.missing` says so).

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { firmware } from "../../emulator/images.js";
import type { InitialFile } from "../../emulator/initfs.js";
import { Machine, type MachineOptions } from "../../emulator/machine.js";
import { Random } from "../../emulator/random.js";
import { Schedule } from "../../emulator/schedule.js";
import { initramfs, kernelPackage } from "./initramfs.js";

const here = fileURLToPath(new URL("../..", import.meta.url));
const root = existsSync(join(here, "node_modules")) ? here : join(here, "..");
export const guests = join(root, "node_modules/.cache/linux");
const cloud = kernelPackage(guests, /-cloud-amd64$/);
export const busybox = join(guests, "bin/busybox");

export const prompt = "buslock# ";

/** Mounts what a shell wants, loads the modules, says how many processors there are, and asks for commands on the console. */
export const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install /bin
export PATH=/bin PS1='${prompt}'
for module in /modules/*; do [ -e "$module" ] && insmod $module; done
echo "ready: $(nproc) processors"
exec setsid cttyhack sh -i
`;

/** Modules by what they are for; what they need besides is found. */
export const network = ["virtio_pci", "virtio_net"];
export const disk = ["virtio_pci", "virtio_blk", "ext4"];

export const linux = {
  missing:
    cloud !== null && existsSync(busybox)
      ? ""
      : "Debian's linux-image-cloud-amd64 and busybox-static are not unpacked in node_modules/.cache/linux (.ci/run does it)",
  get kernelPath(): string {
    return cloud!.image;
  },
  memtest: join(guests, "boot/memtest86+x64.bin"),
  prompt,

  /** An initial file system with busybox and a shell on the console. */
  initrd({
    kernel = cloud!,
    modules = [] as readonly string[],
    files = [] as readonly InitialFile[],
    init = INIT,
  } = {}): Uint8Array {
    return initramfs({ kernel, busybox, modules, files, init });
  },
};

/** One machine in virtual time, its console typed at. */
export class SeededLinux {
  readonly machine: Machine;
  readonly #schedule: Schedule;
  readonly #text: { all: string };
  #turns = 0;

  private constructor(machine: Machine, text: { all: string }, seed: number) {
    this.machine = machine;
    this.#text = text;
    this.#schedule = new Schedule([machine], [], new Random(seed));
  }

  static async start(options: MachineOptions, seed = 1): Promise<SeededLinux> {
    const text = { all: "" };
    const machine = await Machine.create({
      firmware: await firmware(),
      kernel: readFileSync(linux.kernelPath),
      initrd: linux.initrd(),
      memory: 256 << 20,
      commandLine: "console=ttyS0 panic=-1",
      ...options,
      console: (byte) => {
        text.all += String.fromCharCode(byte);
      },
    });
    return new SeededLinux(machine, text, seed);
  }

  get console(): string {
    return this.#text.all;
  }
  /** Virtual nanoseconds since RESET. */
  get now(): number {
    return this.#schedule.now;
  }

  /** Runs until the text stands in the console behind `from`, or the machine is off, or the time is over. */
  async until(text: string, from = 0, seconds = 30): Promise<void> {
    const limit = this.#schedule.now + seconds * 1e9;
    while (!this.#text.all.includes(text, from)) {
      if (!this.machine.powered || this.#schedule.now > limit)
        throw new Error(
          `"${text}" was not said within ${seconds} s of virtual time (seed 1, problem "${this.machine.problem}"):\n${this.console}`,
        );
      this.#schedule.turn(limit + 1);
      // The test runner wants to be heard now and then.
      if (++this.#turns % 65_536 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Types a line. */
  async type(line: string): Promise<void> {
    for (const byte of Buffer.from(`${line}\n`)) {
      while (!this.machine.receiveByte(byte)) this.#schedule.turn(this.#schedule.now + 1e9);
      this.#schedule.turn(this.#schedule.now + 1e9);
    }
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
    const limit = this.#schedule.now + seconds * 1e9;
    while (this.machine.powered && this.#schedule.now < limit) {
      this.#schedule.turn(limit);
      if (++this.#turns % 65_536 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
