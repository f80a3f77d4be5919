// Compiles the microcode (emulator/cpu/microcode, AssemblyScript) to dist/emulator/cpu/microcode.wasm. Run by
// build.mjs, from dist/.

import { spawnSync } from "node:child_process";
import { readFileSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { microcodePath } from "./cpu/program.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const asc = join(
  dirname(createRequire(import.meta.url).resolve("assemblyscript/package.json")),
  "bin/asc.js",
);

/** The largest memory that a machine may share with the module, in pages of 64 KiB. */
const MEMORY_PAGES_MAX = 65536;

const flags = [
  ...["-O3", "--noAssert", "--runtime", "stub"],
  ...["--importMemory", "--noExportMemory", "--enable", "threads", "--sharedMemory"],
  ...["--initialMemory", "1", "--maximumMemory", `${MEMORY_PAGES_MAX}`],
];

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

// Who reads the module meanwhile sees the old one or the new one, whole.
const draft = `${microcodePath}.${process.pid}`;
const { status, stderr, stdout } = spawnSync(
  process.execPath,
  [asc, join(root, "emulator/cpu/microcode/index.ts"), ...flags, "-o", draft],
  { cwd: root, encoding: "utf8" },
);
if (status !== 0) throw new Error(`asc refused the microcode:\n${stdout}${stderr}`);
check(readFileSync(draft));
renameSync(draft, microcodePath);
