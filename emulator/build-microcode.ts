// Compiles the microcode (emulator/cpu/microcode, AssemblyScript) to dist/emulator/cpu/microcode.wasm. Run by
// build.mjs, and by tests through buildMicrocode(); does nothing while the result is newer than every source.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, utimesSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
/** This file runs as emulator/build-microcode.ts and as dist/emulator/build-microcode.js. */
const root = existsSync(join(here, "../tsconfig.json")) ? join(here, "..") : join(here, "../..");
const sources = join(root, "emulator/cpu/microcode");
const layout = join(root, "emulator/cpu/layout.ts");
const output = join(root, "dist/emulator/cpu/microcode.wasm");

/** The largest memory that a machine may share with the module, in pages of 64 KiB. */
const MEMORY_PAGES_MAX = 65536;

const flags = [
  ...["-O3", "--noAssert", "--runtime", "stub"],
  ...["--importMemory", "--noExportMemory", "--enable", "threads", "--sharedMemory"],
  ...["--initialMemory", "1", "--maximumMemory", `${MEMORY_PAGES_MAX}`],
];

/** Compiles if need be; gives the path of the module. */
export function buildMicrocode(): string {
  if (!stale()) return output;
  mkdirSync(dirname(output), { recursive: true });
  // Test workers may build at the same time: each writes its own file and moves it into place whole.
  const draft = `${output}.${process.pid}`;
  const asc = join(
    dirname(createRequire(import.meta.url).resolve("assemblyscript/package.json")),
    "bin/asc.js",
  );
  const started = new Date();
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    [asc, join(sources, "index.ts"), ...flags, "-o", draft],
    { cwd: root, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`asc refused the microcode:\n${stdout}${stderr}`);
  check(readFileSync(draft));
  utimesSync(draft, started, started); // a source that was changed meanwhile is newer
  renameSync(draft, output);
  return output;
}

function stale(): boolean {
  if (!existsSync(output)) return true;
  const built = statSync(output).mtimeMs;
  const files = readdirSync(sources).filter((name) => name.endsWith(".ts"));
  return [layout, ...files.map((name) => join(sources, name))].some((file) => statSync(file).mtimeMs > built);
}

/** The module lives in the machine's memory and may put nothing there: a data segment would overwrite the machine. */
function check(bytes: Uint8Array): void {
  const DATA_SECTION = 11;
  for (let at = 8; at < bytes.length; ) {
    const id = bytes[at++];
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      size |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (id === DATA_SECTION) throw new Error("the microcode has static data: look for strings and arrays");
    at += size;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildMicrocode();
