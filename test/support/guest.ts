// The guest kernel with programs, as a test boots it: the images of dist/kernel; C programs by musl-gcc; and QEMU as
// the machine that nobody here wrote.
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { kernelPath } from "../../emulator/images.js";
import { type InitialFile, initialFileSystem } from "../../emulator/initfs.js";
import { temporaryFolder } from "./folder.js";

const root = process.cwd();

const has = (program: string, ...args: string[]) => spawnSync(program, args).error === undefined;
export const hasQemu = has("qemu-system-x86_64", "--version");
export const hasMusl = has("musl-gcc", "--version");
/** gcc with a libc.a: "-print-file-name" gives a path only for what is there. */
export const hasGlibc = /\//.test(
  spawnSync("gcc", ["-print-file-name=libc.a"], { encoding: "utf8" }).stdout ?? "",
);
/** For a test's title: why it skips itself, or nothing. */
export const missing = (...wanted: ("qemu" | "musl" | "glibc")[]): string => {
  const absent = [
    ...(wanted.includes("qemu") && !hasQemu ? ["qemu-system-x86_64 (package qemu-system-x86)"] : []),
    ...(wanted.includes("musl") && !hasMusl ? ["musl-gcc (package musl-tools)"] : []),
    ...(wanted.includes("glibc") && !hasGlibc
      ? ["gcc with a static C library (packages gcc, libc6-dev)"]
      : []),
  ];
  return absent.length === 0 ? "" : ` [skipped: no ${absent.join(", no ")}]`;
};

function newest(folder: string): number {
  let time = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    time = Math.max(time, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }
  return time;
}

/** A program of kernel/user, as /bin/NAME. */
export function program(name: string): InitialFile {
  return { path: `/bin/${name}`, data: readFileSync(join(root, "dist/kernel/user", name)) };
}

/** A C program of test/c, static with musl, as /bin/NAME; `flags` come last. */
export function cProgram(name: string, ...flags: string[]): InitialFile & { readonly host: string } {
  return compiled("musl-gcc", "", name, flags);
}

/** The same, static with the C library of the host's gcc. */
export function glibcProgram(name: string): InitialFile & { readonly host: string } {
  return compiled("gcc", "glibc", name, []);
}

function compiled(compiler: string, kind: string, name: string, flags: readonly string[]) {
  const folder = join(root, "dist/test/c", kind);
  mkdirSync(folder, { recursive: true });
  const host = join(folder, [name, ...flags].join(""));
  const sources = newest(join(root, "test/c"));
  if (!existsSync(host) || statSync(host).mtimeMs < sources) {
    const temporary = `${host}.${process.pid}`;
    const source = join(root, "test/c", `${name}.c`);
    const common = ["-static", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-mcx16"];
    const { status, stderr } = spawnSync(compiler, [...common, "-o", temporary, source, "-lm", ...flags]);
    if (status !== 0) throw new Error(`${compiler} ${source}: ${stderr}`);
    renameSync(temporary, host);
  }
  return { path: `/bin/${name}`, data: readFileSync(host), host };
}

export interface Boot {
  readonly files: readonly InitialFile[];
  /** Path of init; the first file unless told. */
  readonly init?: string;
  readonly args?: readonly string[];
  readonly cores?: number;
  /** Further words of the command line. */
  readonly options?: readonly string[];
  readonly memoryMiB?: number;
  readonly seconds?: number;
}

export interface Outcome {
  /** Everything on the console. */
  readonly console: string;
  /** What the program and the kernel said: without the kernel's banner, the exit line and the statistics. */
  readonly lines: readonly string[];
  /** Init's status from the exit line; undefined when there was none. */
  readonly status: number | undefined;
  readonly stats: Readonly<Record<string, number>>;
}

/** Boots the kernel under QEMU and waits for its end. */
export async function bootQemu(boot: Boot): Promise<Outcome> {
  const folder = temporaryFolder();
  try {
    const initrd = join(folder.path, "initrd");
    writeFileSync(initrd, initialFileSystem(boot.files));
    const init = boot.init ?? `/${boot.files[0]!.path.replace(/^\//, "")}`;
    const words = [`init=${init}`, "exit=f4", ...(boot.options ?? [])];
    if (boot.args !== undefined) words.push("--", ...boot.args);
    return outcome(
      await run("qemu-system-x86_64", boot.seconds ?? 60, [
        ...["-machine", "q35", "-m", `${boot.memoryMiB ?? 256}`, "-smp", `${boot.cores ?? 2}`],
        ...["-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernelPath],
        ...["-initrd", initrd, "-append", words.join(" "), "-device", "isa-debug-exit,iobase=0xf4"],
      ]),
    );
  } finally {
    folder.remove();
  }
}

function run(command: string, seconds: number, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (bytes: Buffer) => {
      output += bytes.toString("latin1");
    });
    child.stderr.on("data", (bytes: Buffer) => {
      output += bytes.toString("latin1");
    });
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${basename(command)} did not end within ${seconds} s; it said:\n${output}`));
    }, seconds * 1000);
    child.on("error", reject);
    child.on("close", () => {
      clearTimeout(timer);
      resolve(output);
    });
  });
}

function outcome(console: string): Outcome {
  const all = console.split(/\r?\n/).filter((line) => line !== "");
  const exit = all.find((line) => /^exit: \d+$/.test(line));
  const stats = all.find((line) => line.startsWith("stats: "));
  return {
    console,
    lines: all.filter((line) => line !== exit && line !== stats && !line.startsWith("Buslock: ")),
    status: exit === undefined ? undefined : Number(exit.slice(6)),
    stats: stats === undefined ? {} : JSON.parse(stats.slice(7)),
  };
}
