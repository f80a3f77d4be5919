// Programs as Debian ships them, on a disk: the packages and all that they depend on, unpacked into a tree, and the
// tree as an ext4 image. A guest mounts the image; the host runs the same files of the tree, as the oracle.
// All of it is made once, in node_modules/.cache/linux/programs, and made again when the recipe below changes.

import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./folder.js";
import { guests } from "./linux.js";
import { fileName, type Program, SCRIPTS, scripts } from "./programs.js";

const PACKAGES = [
  ...["bash", "dash", "coreutils", "diffutils", "grep", "libc-bin", "netbase", "busybox-static"],
  ...["perl", "sqlite3", "openssl"],
  ...["gcc", "libc6-dev", "python3.11", "libpython3.11-testsuite"],
];

/** What the packages' installation scripts would have written, as far as the programs ask for it. */
const FILES: Readonly<Record<string, string>> = {
  "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
  "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
  "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
  "/etc/hostname": "guest\n",
};
const IMAGE = "1G";

const TOOLS = ["apt-get", "dpkg-deb", "mke2fs", "unshare"];
/** Where distributions keep mke2fs, which is not on every user's PATH. */
const environment = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`, LC_ALL: "C" };

const cache = join(guests, "programs");
const recipe = createHash("sha256")
  .update(JSON.stringify([PACKAGES, FILES, IMAGE]))
  .digest("hex");

export const programsDisk = {
  tree: join(cache, "tree"),
  image: join(cache, "disk.img"),
  /** Whether it is there, as the recipe has it. */
  get ready(): boolean {
    const made = join(cache, "recipe");
    return existsSync(made) && readFileSync(made, "utf8") === recipe;
  },
};

/** Makes the disk unless it is there. Gives why it cannot be had, or nothing. */
export function makeDisk(): string {
  if (programsDisk.ready) return "";
  const absent = TOOLS.filter((name) => run("sh", ["-c", `command -v ${name}`]).status !== 0);
  if (absent.length > 0) return `${absent.join(", ")} not found`;
  const work = `${cache}.${process.pid}`;
  const tree = join(work, "tree");
  try {
    const packages = download(join(work, "packages"));
    for (const file of packages) must("dpkg-deb", ["-x", file, tree]);
    rmSync(join(work, "packages"), { recursive: true });
    finish(tree);
    must("mke2fs", ["-q", "-t", "ext4", "-d", tree, "-E", "root_owner=0:0", join(work, "disk.img"), IMAGE]);
    writeFileSync(join(work, "recipe"), recipe);
    rmSync(cache, { recursive: true, force: true });
    renameSync(work, cache);
    return "";
  } catch (error) {
    return (error as Error).message;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The packages with their dependencies, whatever of them this host has installed; gives the files. */
function download(folder: string): string[] {
  mkdirSync(join(folder, "partial"), { recursive: true });
  must("apt-get", [
    ...["install", "--yes", "--download-only", "--no-install-recommends", "-qq"],
    ...[
      "-o",
      "Dir::State::status=/dev/null",
      "-o",
      `Dir::Cache::archives=${folder}/`,
      "-o",
      "Debug::NoLocking=1",
    ],
    ...PACKAGES,
  ]);
  return readdirSync(folder)
    .filter((name) => name.endsWith(".deb"))
    .map((name) => join(folder, name));
}

/** The part of the packages' installation that programs notice: their files, and the library compiled by Python. */
function finish(tree: string): void {
  for (const [path, text] of Object.entries(FILES)) writeFileSync(join(tree, path), text);
  const byteCompile = "python3.11 -m compileall -q -x '/test/|lib2to3' /usr/lib/python3.11";
  must("unshare", [...rootless, "-R", tree, "/bin/sh", "-c", `export PATH=/usr/bin:/bin; ${byteCompile}`]);
}

/** An unprivileged user becomes root of a user namespace. */
const rootless = process.getuid?.() === 0 ? [] : ["-r"];

/**
 * Runs a program's script by the tree's own bash on this host, with processes, network and mounts of its own, as the
 * guest has them.
 */
export function runHere(program: Program, seconds: number): { output: string; status: number | null } {
  const { path: folder, remove } = temporaryFolder();
  for (const { path, data } of scripts([program])) writeFileSync(join(folder, path), data, { mode: 0o755 });
  const inside = [
    // Devices of any machine: what else this host has (a socket to its hypervisor) is no part of the comparison.
    `cd ${programsDisk.tree} && mount -t tmpfs dev dev && ln -s /proc/self/fd dev/fd && mkdir dev/shm dev/pts`,
    "for name in null zero full random urandom tty; do : > dev/$name && mount --bind /dev/$name dev/$name || exit; done",
    "mount -t devpts -o newinstance,ptmxmode=666 pts dev/pts && ln -s pts/ptmx dev/ptmx",
    `mount -t proc proc proc && mount -t tmpfs tmp tmp && cp -r ${folder} tmp/programs`,
    `exec chroot . ${SCRIPTS}/start ${fileName(program.name)}`,
  ].join(" && ");
  const isolated = [...rootless, ..."-m -n -p -f -u --kill-child sh -c".split(" ")];
  const { stdout, stderr, status } = run("unshare", [...isolated, inside], seconds);
  remove();
  return { output: stdout + stderr, status };
}

function must(program: string, args: readonly string[]): void {
  const { status, stderr, error } = run(program, args);
  if (status !== 0) throw new Error(`${program} ${args[0]}: ${error?.message ?? stderr.trim().slice(-500)}`);
}

function run(program: string, args: readonly string[], seconds = 300): SpawnSyncReturns<string> {
  const limits = { timeout: seconds * 1000, killSignal: "SIGKILL", maxBuffer: 64 << 20 } as const;
  return spawnSync(program, args, { encoding: "utf8", env: environment, ...limits });
}
