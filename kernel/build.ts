// Builds the guest kernel and its programs: asc turns TypeScript into WebAssembly, the back end (compiler/)
// turns that into ELF64 files. Run as `node dist/kernel/build.js`; build.mjs does.
//
//   kernel/main.ts       -> dist/kernel/kernel.wasm (for unit tests in Node), dist/kernel/kernel.elf,
//                           dist/kernel/kernel.layout.json (records and numbers, for who looks into a running kernel)
//   kernel/unit.ts       -> dist/kernel/unit.wasm, when there is one: pure modules for unit tests
//   kernel/user/NAME.ts  -> dist/kernel/user/NAME, except arch.ts and what begins with "lib"
//
// A goal is left out when no source that it was made from, and nothing of the compiler, is newer. `--debug`
// builds with -O0; `--force` builds everything; names (kernel, unit, or a program's) build only those.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { compileDialect } from "./compiler/asc.js";
import { declarations } from "./compiler/declarations.js";
import { type Image, kernelImage, layout, programImage } from "./compiler/image.js";

/** dist/kernel/build.js -> the repository. */
const root = fileURLToPath(new URL("../..", import.meta.url));
const output = join(root, "dist/kernel");
const compiler = join(output, "compiler");

interface Goal {
  readonly name: string;
  readonly entry: string;
  /** Below dist/kernel; the .wasm stands beside it. */
  readonly path: string;
  readonly memoryBase: number;
  readonly abort?: string;
  /** Below dist/kernel: what its sources declare. */
  readonly layout?: string;
  /** Undefined: the .wasm is all that is wanted. */
  readonly image?: (wasm: Uint8Array) => Image;
}

const kernelGoals: readonly Goal[] = [
  {
    name: "kernel",
    entry: "kernel/main.ts",
    path: "kernel.elf",
    memoryBase: layout.kernel.data,
    abort: "kernel/panic/assertionFailed",
    layout: "kernel.layout.json",
    image: kernelImage,
  },
  { name: "unit", entry: "kernel/unit.ts", path: "unit.wasm", memoryBase: layout.kernel.data },
];

function programGoals(): Goal[] {
  const folder = join(root, "kernel/user");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".ts") && file !== "arch.ts" && !file.startsWith("lib"))
    .sort()
    .map((file) => {
      const name = file.slice(0, -3);
      const path = join("user", name);
      return {
        name,
        entry: `kernel/user/${file}`,
        path,
        memoryBase: layout.program.data,
        image: programImage,
      };
    });
}

const wasmPath = (goal: Goal) => join(output, goal.path.replace(/(\.\w+)?$/, ".wasm"));
const sourcesPath = (goal: Goal) => `${wasmPath(goal)}.sources`;

const modified = (path: string) => (existsSync(path) ? statSync(path).mtimeMs : Number.POSITIVE_INFINITY);
const compilerModified = () =>
  Math.max(
    ...readdirSync(compiler).map((file) => modified(join(compiler, file))),
    modified(fileURLToPath(import.meta.url)),
  );

/** Begun after its sources were last changed, with the same optimisation. */
function isFresh(goal: Goal, level: string, compilerTime: number): boolean {
  const made = [goal.path, ...(goal.layout === undefined ? [] : [goal.layout])].map((path) =>
    join(output, path),
  );
  made.push(wasmPath(goal), sourcesPath(goal));
  if (!made.every((path) => existsSync(path))) return false;
  const [begun, madeLevel, ...sources] = readFileSync(sourcesPath(goal), "utf8").split("\n");
  const time = Number(begun);
  if (madeLevel !== level || !(compilerTime <= time)) return false;
  return sources.every((source) => modified(join(root, source)) <= time);
}

/** Whoever reads the file meanwhile sees the old one or the new one, whole. */
function replaceFile(path: string, content: Uint8Array | string, mode = 0o644): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, content, { mode });
  renameSync(temporary, path);
}

async function build(goal: Goal, level: 0 | 3): Promise<void> {
  const since = performance.now();
  // What changes while asc reads it counts as newer.
  const begun = Date.now();
  const { entry, memoryBase, abort } = goal;
  const options = { entry, root, memoryBase, optimize: level, ...(abort === undefined ? {} : { abort }) };
  const { wasm, sourceMap, read, warnings } = await compileDialect(options);
  if (warnings.trim() !== "") console.error(warnings.trimEnd());
  mkdirSync(dirname(wasmPath(goal)), { recursive: true });
  replaceFile(wasmPath(goal), wasm);
  replaceFile(`${wasmPath(goal)}.map`, sourceMap);
  if (goal.layout !== undefined) {
    const declared = declarations(read, (file) => readFileSync(join(root, file), "utf8"));
    replaceFile(join(output, goal.layout), JSON.stringify(declared));
  }
  const seconds = () => `${((performance.now() - since) / 1000).toFixed(1)} s`;
  const path = join(output, goal.path);
  const shown = relative(root, path);
  if (goal.image === undefined) console.error(`  ${shown}: ${wasm.length} bytes (${seconds()})`);
  else {
    const image = goal.image(wasm);
    replaceFile(path, image.elf, 0o755);
    const ratio = (image.codeBytes / Math.max(1, image.wasmCodeBytes)).toFixed(2);
    console.error(
      `  ${shown}: ${image.elf.length} bytes, ${image.functions} functions, ` +
        `${image.codeBytes} bytes of code, ${ratio} a byte of wasm (${seconds()})`,
    );
  }
  replaceFile(sourcesPath(goal), [`${begun}`, `O${level}`, ...read].join("\n"));
}

async function main(words: readonly string[]): Promise<number> {
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
      const known = goals.map((goal) => goal.name).join(", ");
      console.error(`build: nothing is called "${name}"; there are ${known}`);
      return 2;
    }
  const level = flags.has("--debug") ? 0 : 3;
  const compilerTime = compilerModified();
  let failures = 0;
  for (const goal of goals) {
    if (wanted.length > 0 && !wanted.includes(goal.name)) continue;
    if (!flags.has("--force") && isFresh(goal, `O${level}`, compilerTime)) continue;
    try {
      await build(goal, level);
    } catch (error) {
      failures++;
      console.error(`build: ${goal.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return failures === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
