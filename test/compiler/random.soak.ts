// The random programs of the quick tests, many more of them. FROM=10000 begins elsewhere.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { compileDialect } from "../../kernel/compiler/asc.js";
import { layout } from "../../kernel/compiler/image.js";
import { randomSource } from "./dialect-generator.js";
import { randomProgram } from "./generator.js";
import { difference, hostRunsPrograms, whyNot } from "./run.js";

const from = Number(process.env["FROM"] ?? 1000);
const skipped = hostRunsPrograms ? "" : ` (skipped: ${whyNot})`;

test.skipIf(!hostRunsPrograms)(`3000 random programs give what V8 gives${skipped}`, () => {
  for (let seed = from; seed < from + 3000; seed++) {
    const found = difference(randomProgram(seed, seed % 4 === 0));
    if (found !== undefined) expect.fail(`SEED=${seed}: ${found}`);
  }
});

test.skipIf(!hostRunsPrograms)(`60 random sources give what V8 gives at -O0 and -O3${skipped}`, async () => {
  const arch = readFileSync("kernel/user/arch.ts", "utf8");
  for (let seed = from; seed < from + 60; seed++)
    for (const optimize of [0, 3] as const) {
      const files = new Map([
        ["test/program/main.ts", randomSource(seed, 20)],
        ["test/program/arch.ts", arch],
      ]);
      const memoryBase = layout.program.data;
      const source = { entry: "test/program/main.ts", root: process.cwd(), memoryBase, optimize, files };
      const found = difference((await compileDialect(source)).wasm);
      if (found !== undefined) expect.fail(`SEED=${seed} at -O${optimize}: ${found}`);
    }
});
