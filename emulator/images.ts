// Where the built images lie beside the built emulator: the firmware, the guest kernel and its programs. The
// command line's business only; to the machine they are bytes.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Module } from "./boot-files.js";
import { type InitialFile, initialFileSystem } from "./initfs.js";

/** dist/ */
const root = fileURLToPath(new URL("..", import.meta.url));

export const kernelPath = join(root, "kernel", "kernel.elf");
/** The scripts of a report's page (timeline/page.ts), in the order in which they use each other. */
export const viewerPaths = ["viewer-model.js", "viewer-words.js", "viewer-paint.js", "viewer.js"].map(
  (name) => join(root, "emulator", "timeline", name),
);
const programs = join(root, "kernel", "user");
const firmwarePath = join(root, "firmware", "index.js");
const linuxRomPath = join(root, "firmware", "linux-rom.js");

export async function firmware(): Promise<Uint8Array> {
  const { firmwareImage } = (await import(firmwarePath)) as { firmwareImage: () => Uint8Array };
  return firmwareImage();
}

/** The option ROM by which a PC BIOS boots a Linux image, and the fw_cfg file that has the BIOS run it. */
export async function linuxRom(): Promise<{ name: string; bytes: Uint8Array }> {
  const { linuxRomImage, linuxRomName } = (await import(linuxRomPath)) as {
    linuxRomImage: () => Uint8Array;
    linuxRomName: string;
  };
  return { name: linuxRomName, bytes: linuxRomImage() };
}

/** Reads a file; throws an Error that says what it was for. */
export function readImage(what: string, path: string): Uint8Array {
  try {
    if (statSync(path).isDirectory()) throw new Error("it is a folder");
    return readFileSync(path);
  } catch (error) {
    throw new Error(`${what} ${path}: ${(error as Error).message}`);
  }
}

/** QEMU's form of several modules, "file text,file text", a comma in a text doubled; or one file's path as it is. */
export function readModules(list: string): Module[] {
  if (existsSync(list)) return [{ data: readImage("initial file system", list), text: "" }];
  return list.split(/(?<!,),(?!,)/).map((part) => {
    const words = part.replaceAll(",,", ",");
    return { data: readImage("module", words.split(" ", 1)[0]!), text: words };
  });
}

export function bundledPrograms(): string[] {
  return existsSync(programs)
    ? readdirSync(programs)
        .filter((name) => !name.includes("."))
        .sort()
    : [];
}

export interface Program {
  /** Short name, for messages. */
  readonly name: string;
  readonly data: Uint8Array;
  /** Beside it in the initial file system. */
  readonly files?: readonly InitialFile[];
  /** The path of what its descriptor 0 reads; without, that is the console. */
  readonly stdin?: string;
}

/** A file of the host's for the initial file system: FILE, which the guest finds as /NAME, or FILE=PATH. */
export function fileBeside(text: string): InitialFile {
  const at = text.lastIndexOf("=");
  const [host, path] = at < 0 ? [text, basename(text)] : [text.slice(0, at), text.slice(at + 1)];
  return { path, data: readImage("file", host), mode: 0o644 };
}

const STDIN = "/stdin";

/** The program with files of the host's: beside it, and to read from descriptor 0. */
export function withFiles(one: Program, { file = [], stdin }: ProgramFiles): Program {
  const files = file.map(fileBeside);
  if (stdin === undefined) return files.length === 0 ? one : { ...one, files };
  const input = { path: STDIN, data: readImage("standard input", stdin), mode: 0o644 };
  return { ...one, files: [...files, input], stdin: STDIN };
}

export interface ProgramFiles {
  /** FILE or FILE=PATH each. */
  readonly file?: readonly string[];
  readonly stdin?: string;
}

/** A bundled program by name, or any file by path. */
export function program(nameOrPath: string): Program {
  if (!nameOrPath.includes("/") && bundledPrograms().includes(nameOrPath)) {
    return { name: nameOrPath, data: readImage("program", join(programs, nameOrPath)) };
  }
  if (!existsSync(nameOrPath)) {
    throw new Error(
      `no program "${nameOrPath}": neither a file nor one of the bundled ones (${bundledPrograms().join(", ") || "none built"})`,
    );
  }
  return { name: basename(nameOrPath), data: readImage("program", nameOrPath) };
}

/** The initial file system that holds one program and its files, and the words by which the kernel finds them. */
export function archive({ name, data, files = [], stdin }: Program): { initrd: Uint8Array; words: string[] } {
  const init = `/bin/${name.replace(/[^\w.-]/g, "_")}`;
  const words = [`init=${init}`, ...(stdin === undefined ? [] : [`stdin=${stdin}`])];
  return { initrd: initialFileSystem([{ path: init, data }, ...files]), words };
}
