// An unmodified Linux as a guest: Debian's kernel for clouds and its static busybox, which .ci/run unpacks into
// node_modules/.cache/linux. Tests that use it skip themselves without (`linux.missing` says so).

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { InitialFile } from "../../emulator/initfs.js";
import { initramfs, type KernelPackage, kernelPackage } from "./initramfs.js";

export type { KernelPackage };

const here = fileURLToPath(new URL("../..", import.meta.url));
const root = existsSync(join(here, "node_modules")) ? here : join(here, "..");
export const guests = join(root, "node_modules/.cache/linux");
const cloud = kernelPackage(guests, /-cloud-amd64$/);
const generic = kernelPackage(guests, /\d-amd64$/);
export const busybox = join(guests, "bin/busybox");

export const prompt = "buslock# ";

export const COMMAND_LINE = "console=ttyS0 panic=-1";
/** Without the tests of the kernel's own ciphers, which are two thirds of its instructions from RESET to the shell. */
export const SHORT_COMMAND_LINE = `${COMMAND_LINE} cryptomgr.notests`;

/**
 * Mounts what a shell wants, loads the modules, says how many processors there are, and asks for commands on the console,
 * where the kernel's own messages (`dmesg` has them) would stand among the answers from then on.
 */
export const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install /bin
export PATH=/bin PS1='${prompt}'
for module in /modules/*; do [ -e "$module" ] && insmod $module; done
dmesg -n 1
echo "ready: $(nproc) processors"
exec setsid cttyhack sh -i
`;

/** Modules by what they are for; what they need besides is found, but for what is asked for by an algorithm's name. */
export const network = ["virtio_pci", "virtio_net"];
export const disk = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"];

export interface InitrdOptions {
  /** Whose modules; the kernel for clouds unless told. */
  readonly kernel?: KernelPackage;
  readonly modules?: readonly string[];
  readonly files?: readonly InitialFile[];
  readonly init?: string;
}

export const linux = {
  missing:
    cloud !== null && existsSync(busybox)
      ? ""
      : "Debian's linux-image-cloud-amd64 and busybox-static are not unpacked in node_modules/.cache/linux (.ci/run does it)",
  genericMissing:
    generic === null ? "Debian's linux-image-amd64 is not unpacked in node_modules/.cache/linux" : "",
  /** Why there is no initial file system with its modules. */
  get genericModulesMissing(): string {
    if (generic === null || existsSync(join(generic.modules, "modules.builtin"))) return linux.genericMissing;
    return "the modules of Debian's linux-image-amd64 are not unpacked in node_modules/.cache/linux";
  },
  get cloud(): KernelPackage {
    return cloud!;
  },
  get generic(): KernelPackage {
    return generic!;
  },
  get kernelPath(): string {
    return cloud!.image;
  },
  busybox,
  memtest: join(guests, "boot/memtest86+x64.bin"),
  prompt,

  /** An initial file system with busybox and a shell on the console. */
  initrd({ kernel = cloud!, modules = [], files = [], init = INIT }: InitrdOptions = {}): Uint8Array {
    return initramfs({ kernel, busybox, modules, files, init });
  },
  /** The same in a file. */
  writeInitrd(path: string, options: InitrdOptions = {}): void {
    writeFileSync(path, linux.initrd(options));
  },
};
