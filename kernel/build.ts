// Builds the guest kernel and its programs: asc turns TypeScript into WebAssembly, the back end (compiler/)
// turns that into ELF64 files. Run as `node dist/kernel/build.js`; build.mjs does.
//
//   kernel/main.ts       -> dist/kernel/kernel.wasm (for unit tests in Node), dist/kernel/kernel.elf
//   kernel/unit.ts       -> dist/kernel/unit.wasm, when there is one: pure modules for unit tests
//   kernel/user/NAME.ts  -> dist/kernel/user/NAME, except arch.ts and what begins with "lib"
//
// A step is left out when nothing that it reads is newer than what it made. `--debug` builds with -O0;
// `--force` builds everything; names (kernel, unit, or a program's) build only those.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Image, kernelImage, layout, programImage } from "./compiler/image.js";

/** dist/kernel/build.js -> the repository. */
const root = fileURLToPath(new URL("../..", import.meta.url));
const output = join(root, "dist/kernel");

interface Goal {
  readonly name: string;
  readonly entry: string;
  readonly wasm: string;
  readonly memoryBase: number;
  /** Undefined: the .wasm is all that is wanted. */
  readonly image?: { readonly path: string; readonly make: (wasm: Uint8Array) => Image };
}

const kernelGoals: Goal[] = [
  {
    name: "kernel",
    entry: "kernel/main.ts",
    wasm: join(output, "kernel.wasm"),
    memoryBase: layout.kernel.data,
    image: { path: join(output, "kernel.elf"), make: kernelImage },
  },
  { name: "unit", entry: "kernel/unit.ts", wasm: join(output, "unit.wasm"), memoryBase: layout.kernel.data },
];

function programGoals(): Goal[] {
  const folder = join(root, "kernel/user");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".ts") && file !== "arch.ts" && !file.startsWith("lib"))
    .sort()
    .map((file) => {
      const name = file.slice(0, -3);
      return {
        name,
        entry: `kernel/user/${file}`,
        wasm: join(output, "user", `${name}.wasm`),
        memoryBase: layout.program.data,
        image: { path: join(output, "user", name), make: programImage },
      };
    });
}

/** Flags for asc; KERNEL-LANGUAGE in the kernel's README says what each is for. */
function ascFlags(goal: Goal, debug: boolean): string[] {
  return [
    goal.entry,
    debug ? "-O0" : "-O3",
    ...["--debug", "--sourceMap", "--runtime", "stub", "--lowMemoryLimit"],
    ...["--enable", "threads", "--sharedMemory", "--initialMemory", "1024", "--maximumMemory", "65536"],
    ...["--memoryBase", `${goal.memoryBase}`, "--exportTable", "--outFile", goal.wasm],
    ...(existsSync(join(root, "kernel/panic.ts")) && goal.name === "kernel"
      ? ["--use", "abort=kernel/panic/assertionFailed"]
      : []),
  ];
}

/** Newest modification, in milliseconds, of the sources that can go into a goal. */
function newestSource(folder: string): number {
  let time = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) time = Math.max(time, newestSource(path));
    else time = Math.max(time, statSync(path).mtimeMs);
  }
  return time;
}

function isFresh(goal: Goal, sources: number): boolean {
  const made = [goal.wasm, ...(goal.image ? [goal.image.path] : [])];
  return made.every((path) => existsSync(path) && statSync(path).mtimeMs >= sources);
}

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

function build(goal: Goal, debug: boolean): void {
  const since = performance.now();
  mkdirSync(dirname(goal.wasm), { recursive: true });
  const asc = join(root, "node_modules/assemblyscript/bin/asc.js");
  const { status, stderr, stdout } = spawnSync(process.execPath, [asc, ...ascFlags(goal, debug)], {
    cwd: root,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`asc ${goal.entry}:\n${stdout}${stderr}`);
  if (stderr.trim() !== "") console.error(stderr.trimEnd());
  if (goal.image === undefined) {
    console.error(`  ${goal.name}: ${goal.wasm.slice(root.length)} (${seconds(since)})`);
    return;
  }
  const image = goal.image.make(readFileSync(goal.wasm));
  writeFileSync(goal.image.path, image.elf, { mode: 0o755 });
  const ratio = (image.codeBytes / Math.max(1, image.wasmCodeBytes)).toFixed(2);
  console.error(
    `  ${goal.name}: ${image.functions} functions, ${image.codeBytes} bytes of code (${ratio} of wasm's), ` +
      `${goal.image.path.slice(root.length)} ${image.elf.length} bytes (${seconds(since)})`,
  );
}

function main(words: readonly string[]): number {
  const flags = new Set(words.filter((word) => word.startsWith("--")));
  const wanted = words.filter((word) => !word.startsWith("--"));
  for (const flag of flags)
    if (flag !== "--debug" && flag !== "--force") {
      console.error(`build: unknown flag ${flag} (there are --debug and --force)`);
      return 2;
    }
  const goals = [...kernelGoals, ...programGoals()].filter(({ entry }) => existsSync(join(root, entry)));
  for (const name of wanted)
    if (!goals.some((goal) => goal.name === name)) {
      console.error(
        `build: nothing is called "${name}"; there are ${goals.map((goal) => goal.name).join(", ")}`,
      );
      return 2;
    }
  const debug = flags.has("--debug");
  const sources = Math.max(
    newestSource(join(root, "kernel")),
    newestSource(join(root, "dist/kernel/compiler")),
  );
  let failures = 0;
  for (const goal of goals) {
    if (wanted.length > 0 ? !wanted.includes(goal.name) : false) continue;
    if (!flags.has("--force") && !debug && isFresh(goal, sources)) continue;
    try {
      build(goal, debug);
    } catch (error) {
      failures++;
      console.error(`build: ${goal.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return failures === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
