// From RESET to a shell with Debian's kernels: guest instructions (counted in virtual time), and seconds of live machines
// beside those that QEMU TCG takes for the same in the same run. Empty where the kernels or QEMU are not there, which it says.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../support/folder.js";
import { linux, prompt } from "../support/linux.js";
import { Guest, type GuestOptions } from "../support/linux-guest.js";
import { SeededLinux } from "../support/linux-seeded.js";
import { vmlinux } from "../support/vmlinux.js";
import type { Figure } from "./bench.js";

const MEGABYTES = 512;

export async function linuxFigures(): Promise<Figure[]> {
  if (linux.missing !== "") {
    console.error(`bench: linux skipped, because ${linux.missing}`);
    return [];
  }
  const figures: Figure[] = [];
  const add = (name: string, value: number, unit: string) =>
    figures.push({ section: "linux", name, value, unit });
  const folder = temporaryFolder();
  try {
    const initrd = join(folder.path, "initrd");
    linux.writeInitrd(initrd);
    for (const cores of [1, 2])
      await compare(add, `bzImage, ${cores} cores`, { kernel: linux.cloud.image, initrd, cores });
    if (linux.genericMissing === "") {
      const kernel = join(folder.path, "generic.elf");
      writeFileSync(kernel, vmlinux(readFileSync(linux.generic.image)));
      await compare(add, "generic by PVH, 1 core", { kernel, initrd, cores: 1 });
    } else console.error(`bench: the generic Linux skipped, because ${linux.genericMissing}`);
  } finally {
    folder.remove();
  }
  return figures;
}

type Add = (name: string, value: number, unit: string) => void;

async function compare(add: Add, name: string, options: GuestOptions & { cores: number }): Promise<void> {
  const { kernel, cores } = options;
  const guest = await SeededLinux.start({ kernel: readFileSync(kernel), cores, memory: MEGABYTES << 20 });
  await guest.until(prompt);
  add(`${name}: reset to the shell`, guest.machine.instructions, "instructions");
  const ours = await secondsOf(Guest.ours({ ...options, megabytes: MEGABYTES }));
  add(`${name}: live`, ours, "s");
  if (Guest.qemuMissing !== "") return;
  const theirs = await secondsOf(Guest.qemu({ ...options, megabytes: MEGABYTES }));
  add(`${name}: QEMU TCG`, theirs, "s");
  add(`${name}: times as long as QEMU TCG`, ours / theirs, "x");
}

async function secondsOf(guest: Guest): Promise<number> {
  try {
    await guest.prompted();
    return guest.seconds;
  } finally {
    guest.kill();
    await guest.ended;
  }
}
