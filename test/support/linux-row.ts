// What a kernel has to show in each row of test/linux/boot.soak.ts, whichever way it was booted and whatever time is:
// a shell; its cores, each of which computes; a disk with ext4, by the driver that is a module of that kernel; nothing in
// the log that the same kernel does not say on QEMU; the same again after a restart, with what was written before; off.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { openDisk } from "../../emulator/disk.js";
import { disk, type KernelPackage, linux, prompt } from "./linux.js";
import { complaints, qemuLog } from "./linux-complaints.js";
import { Guest } from "./linux-guest.js";
import { SeededLinux } from "./linux-seeded.js";
import { vmlinux } from "./vmlinux.js";

const MEGABYTES = 512;
const IMAGE_KIB = 16 << 10;
/** Live, of a command, in seconds of a processor. */
const COMMAND_SECONDS = 600;

export interface Row {
  readonly time: "seeded" | "live";
  readonly kernel: "cloud" | "generic";
  readonly form: "bzImage" | "vmlinux";
  readonly cores: number;
  /** Of a bzImage: the width of its entry. */
  readonly entry?: 32 | 64;
}

export const titleOf = ({ time, kernel, form, cores, entry }: Row): string =>
  `${time}, ${kernel}, ${form}${entry === undefined ? "" : ` by its ${entry}-bit entry`}, ${cores} cores`;

/** A shell on a console. */
interface Shell {
  prompted(): Promise<void>;
  run(line: string): Promise<string>;
  type(line: string): Promise<void>;
  /** It has been told to power off: whether the machine did so, and for no other reason. */
  off(): Promise<boolean>;
  /** So far, or of the whole run. */
  readonly figures: string;
  kill(): void;
}

const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

/** Files that rows share: initial file systems, a disk to copy, the kernels proper. */
export class RowFiles {
  readonly #folder: string;
  readonly #logs = new Map<string, Promise<string>>();

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(this.at("tree"));
    copyFileSync(linux.busybox, this.at("tree/payload"));
    const image = ["-q", "-t", "ext4", "-d", this.at("tree"), this.at("disk"), `${IMAGE_KIB}k`];
    const made = spawnSync("mke2fs", image, { encoding: "utf8" });
    if (made.status !== 0) throw new Error(`mke2fs: ${made.error?.message ?? made.stderr}`);
    for (const name of ["cloud", "generic"] as const) {
      if (name === "generic" && linux.genericModulesMissing !== "") continue;
      const kernel = linux[name];
      linux.writeInitrd(this.at(`${name}.initrd`), { kernel, modules: disk });
      writeFileSync(this.at(`${name}.vmlinux`), vmlinux(readFileSync(kernel.image)));
    }
  }

  at(name: string): string {
    return join(this.#folder, name);
  }
  kernel({ kernel, form }: Row): string {
    return form === "bzImage" ? linux[kernel].image : this.at(`${kernel}.vmlinux`);
  }
  initrd({ kernel }: Row): string {
    return this.at(`${kernel}.initrd`);
  }
  /** A disk of the row's own. */
  ownDisk(row: Row): string {
    const path = this.at(`${titleOf(row)}.disk`.replaceAll(/[ ,]+/g, "-"));
    copyFileSync(this.at("disk"), path);
    return path;
  }

  /** What the same kernel says on QEMU, after the same commands. */
  log(row: Row): Promise<string> {
    const key = `${row.kernel} ${row.cores}`;
    const known = this.#logs.get(key) ?? this.#qemu(row);
    this.#logs.set(key, known);
    return known;
  }
  #qemu(row: Row): Promise<string> {
    const drive = ["-drive", `file=${this.at("disk")},format=raw,if=none,id=disk,snapshot=on`];
    return qemuLog(
      {
        ...{ kernel: linux[row.kernel].image, initrd: this.initrd(row), cores: row.cores },
        ...{ megabytes: MEGABYTES, more: [...drive, "-device", "virtio-blk-pci,drive=disk"] },
      },
      [...mounts, ...writes],
    );
  }
}

const mounts = ["mkdir -p /mnt", "mount -t ext4 /dev/vda /mnt"];
const writes = ["cat /mnt/payload /bin/busybox > /mnt/new", "sync", "umount /mnt"];

function live(row: Row, files: RowFiles, path: string): Shell {
  const guest = Guest.ours({
    ...{ kernel: files.kernel(row), initrd: files.initrd(row), cores: row.cores, megabytes: MEGABYTES },
    more: ["--disk", path, ...(row.entry === undefined ? [] : ["--entry", row.entry])],
  });
  return {
    prompted: () => guest.prompted(),
    run: (line) => guest.run(line, COMMAND_SECONDS),
    type: async (line) => guest.type(line),
    off: async () => (await guest.off()) === 0,
    get figures() {
      return guest.instructions === 0 ? `${guest.seconds.toFixed(1)} s` : guest.figures;
    },
    kill: () => guest.kill(),
  };
}

async function seeded(row: Row, files: RowFiles, path: string): Promise<Shell> {
  const guest = await SeededLinux.start({
    ...{ kernel: readFileSync(files.kernel(row)), initrd: readFileSync(files.initrd(row)) },
    ...{ cores: row.cores, memory: MEGABYTES << 20, disks: [openDisk({ path, mode: "rw" })] },
  });
  let seen = 0;
  return {
    prompted: async () => {
      await guest.until(prompt, seen, 120);
      seen = guest.console.length;
    },
    run: async (line) => {
      const said = await guest.command(line);
      seen = guest.console.length;
      return said;
    },
    type: (line) => guest.type(line),
    off: async () => {
      await guest.type("poweroff -f");
      await guest.off();
      return !guest.machine.powered && guest.machine.problem === "";
    },
    get figures() {
      return guest.figures;
    },
    kill: () => {},
  };
}

export async function show(row: Row, files: RowFiles): Promise<void> {
  const title = `Linux ${linux[row.kernel].release}, ${titleOf(row)}`;
  const path = files.ownDisk(row);
  const shell = row.time === "live" ? live(row, files, path) : await seeded(row, files, path);
  try {
    await shell.prompted();
    console.info(`${title}: to the shell ${shell.figures}`);
    await oneLife(shell, row, linux[row.kernel], files, writes);
    await shell.type("reboot -f");
    await shell.prompted();
    // Of the life before.
    await oneLife(shell, row, linux[row.kernel], files, ["sha256sum /mnt/new", "umount /mnt"]);
    expect(await shell.off()).toBe(true);
    console.info(`${title}: with a restart ${shell.figures}`);
  } finally {
    shell.kill();
  }
  const checked = spawnSync("e2fsck", ["-fn", path], { encoding: "utf8" });
  expect(checked.status, checked.stdout).toBe(0);
}

async function oneLife(
  shell: Shell,
  row: Row,
  kernel: KernelPackage,
  files: RowFiles,
  then: readonly string[],
): Promise<void> {
  expect(await shell.run("uname -r")).toBe(kernel.release);
  expect(await shell.run("nproc")).toBe(String(row.cores));
  const busybox = sha256(linux.busybox);
  const everywhere = `for i in $(seq 0 ${row.cores - 1}); do taskset -c $i sha256sum /bin/busybox & done; wait`;
  const sums = await shell.run(everywhere);
  expect(sums.match(new RegExp(`^${busybox} `, "gm")), sums).toHaveLength(row.cores);
  expect(await shell.run("lsmod | grep -c '^virtio_blk '")).toBe("1");
  for (const line of mounts) expect(await shell.run(`${line} && echo done`)).toBe("done");
  expect(await shell.run("sha256sum /mnt/payload")).toContain(busybox);
  for (const line of then) {
    const said = await shell.run(`${line} && echo done`);
    expect(said).toMatch(/^done$/m);
    if (line.startsWith("sha256sum")) expect(said).toContain(sha256Twice());
  }
  const log = await shell.run("dmesg -r");
  expect(complaints(log, await files.log(row), { live: row.time === "live" })).toEqual([]);
}

/** Of what `writes` makes. */
function sha256Twice(): string {
  const bytes = readFileSync(linux.busybox);
  return createHash("sha256").update(bytes).update(bytes).digest("hex");
}
