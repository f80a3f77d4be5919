// An initial file system for an unmodified Linux: busybox, that kernel's own modules and the modules that they need, files,
// and an init. A module says in its section .modinfo what it needs: "depends=" (its symbols' owners) and "softdep=pre:" (what
// it asks for at run time), by names in which - and _ are the same (kmod's modprobe(8), Linux include/linux/module.h). What
// modules.builtin lists is in the kernel already. Modules are loaded in the order of the files in /modules.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type InitialFile, initialFileSystem } from "../../emulator/initfs.js";

/** A kernel package, unpacked: /boot/vmlinuz-RELEASE and /lib/modules/RELEASE below a folder. */
export interface KernelPackage {
  readonly release: string;
  readonly image: string;
  readonly modules: string;
}

/** The first kernel below the folder whose release matches; null when there is none. */
export function kernelPackage(folder: string, release: RegExp): KernelPackage | null {
  const boot = join(folder, "boot");
  const names = existsSync(boot) ? readdirSync(boot).sort() : [];
  const image = names.find((name) => name.startsWith("vmlinuz-") && release.test(name));
  if (image === undefined) return null;
  const found = image.slice("vmlinuz-".length);
  return { release: found, image: join(boot, image), modules: join(folder, "lib/modules", found) };
}

export interface InitramfsOptions {
  readonly kernel: KernelPackage;
  /** The static busybox. */
  readonly busybox: string;
  /** Modules by name ("virtio_blk"); what they need is found. */
  readonly modules?: readonly string[];
  readonly files?: readonly InitialFile[];
  /** The shell script that is /init; it begins with "#!/bin/busybox sh". */
  readonly init: string;
}

export function initramfs({ kernel, busybox, modules = [], files = [], init }: InitramfsOptions): Uint8Array {
  return initialFileSystem([
    { path: "/bin/busybox", data: readFileSync(busybox) },
    { path: "/init", data: Buffer.from(init) },
    ...modulesInOrder(kernel, modules).map(({ file, data }, index) => ({
      path: `/modules/${String(index).padStart(2, "0")}-${basename(file)}`,
      data,
      mode: 0o644,
    })),
    ...files,
  ]);
}

interface Module {
  readonly file: string;
  readonly data: Uint8Array;
}

const canonical = (name: string) => basename(name, ".ko").replaceAll("-", "_");

/** The modules and all that they need, each behind what it needs. */
export function modulesInOrder(kernel: KernelPackage, names: readonly string[]): Module[] {
  const files = new Map(
    readdirSync(kernel.modules, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ko"))
      .map((path) => [canonical(path), join(kernel.modules, path)]),
  );
  const builtin = new Set(
    readFileSync(join(kernel.modules, "modules.builtin"), "utf8").split("\n").map(canonical),
  );
  const ordered = new Map<string, Module>();
  const visit = (name: string, soft: boolean) => {
    if (ordered.has(name) || builtin.has(name)) return;
    const file = files.get(name);
    if (file === undefined) {
      if (soft) return; // "softdep" names aliases too ("crc32c"), which the kernel resolves itself
      throw new Error(`Linux ${kernel.release} has no module ${name}`);
    }
    const data = readFileSync(file);
    const { needs, asksFor } = information(data);
    for (const other of asksFor) visit(other, true);
    for (const other of needs) visit(other, false);
    ordered.set(name, { file, data });
  };
  for (const name of names) visit(canonical(name), false);
  return [...ordered.values()];
}

/** The words of .modinfo: strings that end with a zero byte. */
function information(module: Uint8Array): { needs: string[]; asksFor: string[] } {
  const strings = Buffer.from(section(module, ".modinfo")).toString("latin1").split("\0");
  const values = (key: string) => strings.flatMap((s) => (s.startsWith(key) ? [s.slice(key.length)] : []));
  const words = (text: string, separator: string | RegExp) => text.split(separator).filter((w) => w !== "");
  return {
    needs: values("depends=").flatMap((list) => words(list, ",").map(canonical)),
    asksFor: values("softdep=").flatMap((list) =>
      words(/pre:(.*?)(?=post:|$)/.exec(list)?.[1] ?? "", /\s+/).map(canonical),
    ),
  };
}

/** A section of an ELF64 object, by name; empty when it has none (System V gABI, chapter 4). */
function section(elf: Uint8Array, name: string): Uint8Array {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  const long = (at: number) => Number(view.getBigUint64(at, true));
  const [table, size, count, namesIndex] = [
    long(0x28),
    view.getUint16(0x3a, true),
    view.getUint16(0x3c, true),
    view.getUint16(0x3e, true),
  ];
  const header = (index: number) => table + size * index;
  const names = long(header(namesIndex) + 0x18);
  for (let index = 0; index < count; index++) {
    const at = names + view.getUint32(header(index), true);
    const end = elf.indexOf(0, at);
    if (Buffer.from(elf.subarray(at, end)).toString("latin1") !== name) continue;
    const start = long(header(index) + 0x18);
    return elf.subarray(start, start + long(header(index) + 0x20));
  }
  return new Uint8Array();
}
