// Programs in the kernel's dialect through asc, at -O0 and -O3, by V8 and by the back end on the processor.
// A failure of a random one names its seed: SEED=4 npx vitest run --project quick test/compiler/dialect
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compileDialect } from "../../kernel/compiler/asc.js";
import { layout } from "../../kernel/compiler/image.js";
import { parseModule } from "../../kernel/compiler/wasm.js";
import { randomSource } from "./dialect-generator.js";
import { difference, hostRunsPrograms, runInEngine, whyNot } from "./run.js";
import { sample } from "./sample.js";

const only = process.env["SEED"];
const seeds = only === undefined ? [1, 2, 3, 4] : [Number(only)];
const arch = readFileSync("kernel/user/arch.ts", "utf8");

async function compile(text: string, optimize: 0 | 3): Promise<Uint8Array> {
  const files = new Map([
    ["test/program/main.ts", text],
    ["test/program/arch.ts", arch],
  ]);
  const { wasm } = await compileDialect({
    entry: "test/program/main.ts",
    root: process.cwd(),
    memoryBase: layout.program.data,
    optimize,
    files,
  });
  return wasm;
}

describe.skipIf(!hostRunsPrograms).each([0, 3] as const)(
  `at -O%i${hostRunsPrograms ? "" : ` (skipped: ${whyNot})`}`,
  (optimize) => {
    test("tree, page tables, SHA-256, sieve and messages leave the same memory", async () => {
      const wasm = await compile(sample, optimize);
      const { output, end } = runInEngine(wasm);
      expect(end).toBe("exit 0");
      expect(output.readBigUInt64LE(24)).toBe(6057n); // primes below 60000
      expect(difference(wasm)).toBeUndefined();
    });

    test("random sources give what V8 gives", async () => {
      for (const seed of seeds) {
        const wasm = await compile(randomSource(seed, 12), optimize);
        expect(runInEngine(wasm).end).toBe("exit 0");
        const found = difference(wasm);
        if (found !== undefined) expect.fail(`seed ${seed} at -O${optimize}: ${found}`);
      }
    });
  },
);

test("a function that is called from one place stands there, however long it is", async () => {
  const lines = Array.from({ length: 80 }, (_, n) => `sum = sum * 3 + load<u32>(PLACE + ${4 * n});`);
  const text = `
    const PLACE: usize = memory.data(1024);
    function once(begin: u32): u32 { let sum = begin; ${lines.join("\n")} return sum; }
    export function start(stack: u64): void { store<u32>(PLACE, once(u32(stack)) + 1); }
  `;
  const names = async (optimize: 0 | 3) =>
    parseModule(await compile(text, optimize)).functions.map(({ name }) => name.split("/").at(-1));
  expect(await names(0)).toContain("once");
  expect(await names(3)).not.toContain("once");
});
