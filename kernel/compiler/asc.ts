// The one door to asc, the AssemblyScript compiler, and the flags that the kernel's dialect needs.
//
//   --runtime stub             no heap, no collector: what would need them is refused later by name
//   --lowMemoryLimit           address arithmetic may be folded into offsets
//   --sharedMemory             else binaryen merges atomic loads; --enable threads for the atomics themselves
//   --memoryBase               where static data stands (image.ts has the map)
//   --use abort=...            where failed assertions go; without one, a trap
//   --debug --exportTable      function names, and the table for unit tests in Node
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { main, type Transform } from "assemblyscript/asc";
import type binaryen from "binaryen";

export interface DialectSource {
  /** Path of the main file below `root`. */
  readonly entry: string;
  readonly root: string;
  readonly memoryBase: number;
  readonly optimize: 0 | 1 | 2 | 3;
  /** A function, as path/name, that takes failed assertions. */
  readonly abort?: string;
  /** Files that need not exist on disk, by path below `root`. */
  readonly files?: ReadonlyMap<string, string>;
}

export interface DialectResult {
  readonly wasm: Uint8Array;
  readonly sourceMap: string;
  /** Files that were read, below `root`. */
  readonly read: readonly string[];
  /** What asc said though it succeeded. */
  readonly warnings: string;
}

/** A function of up to so many of binaryen's instructions is put in place of each call, and of the only one. Its own limits (12 and 200)
 * are for size: most of what the kernel does on its way through a page miss is called from one place, and what a call costs here,
 * registers saved and arguments brought home, is more than what the function does. */
const inlined = { always: 20, onlyCall: 4000 };

/** Puts functions in place of calls before asc optimizes with limits that it does not let one choose. */
class Inlining {
  declare readonly binaryen: typeof binaryen;

  afterCompile(module: binaryen.Module): void {
    const { binaryen } = this;
    binaryen.setOptimizeLevel(3);
    binaryen.setShrinkLevel(0);
    binaryen.setDebugInfo(true);
    binaryen.setAlwaysInlineMaxSize(inlined.always);
    binaryen.setOneCallerInlineMaxSize(inlined.onlyCall);
    binaryen.setAllowInliningFunctionsWithLoops(true);
    module.runPasses(["inlining"]);
  }
}

/** Initial memory, in 64 KiB pages, for running the module in Node. */
const INITIAL_PAGES = 1024;

function flags(source: DialectSource): string[] {
  return [
    source.entry,
    `-O${source.optimize}`,
    ...["--debug", "--sourceMap", "--runtime", "stub", "--lowMemoryLimit", "--exportTable"],
    ...["--enable", "threads", "--sharedMemory"],
    ...["--initialMemory", `${INITIAL_PAGES}`, "--maximumMemory", "65536"],
    ...["--memoryBase", `${source.memoryBase}`, "--outFile", "module.wasm"],
    ...(source.abort === undefined ? [] : ["--use", `abort=${source.abort}`]),
  ];
}

function readSource(source: DialectSource, name: string): string | null {
  const given = source.files?.get(name);
  if (given !== undefined) return given;
  try {
    return readFileSync(join(source.root, name), "utf8");
  } catch {
    return null; // asc tries several places and reports what it does not find
  }
}

/** Compiles to WebAssembly; an error carries asc's diagnostics. */
export async function compileDialect(source: DialectSource): Promise<DialectResult> {
  const written = new Map<string, string | Uint8Array>();
  const read: string[] = [];
  const said: string[] = [];
  const { error } = await main(flags(source), {
    stdout: { write: () => {} },
    stderr: { write: (text: string) => void said.push(text) },
    readFile: (name: string) => {
      const text = readSource(source, name);
      if (text !== null && source.files?.has(name) !== true) read.push(name);
      return text;
    },
    listFiles: () => [],
    // asc makes the object of the class, with `binaryen` in it, though its types ask for objects.
    transforms: source.optimize === 3 ? [Inlining as unknown as Transform] : [],
    writeFile: (name: string, contents: string | Uint8Array) => void written.set(name, contents),
  });
  if (error !== null) throw new Error(`asc ${source.entry}:\n${said.join("")}${error.message}`);
  const wasm = written.get("module.wasm");
  if (!(wasm instanceof Uint8Array)) throw new Error(`asc ${source.entry}: no module was written`);
  const sourceMap = String(written.get("module.wasm.map") ?? "");
  return { wasm, sourceMap, read, warnings: said.join("") };
}
