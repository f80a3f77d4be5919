// The kernel on our own machine, from the outside: the command line boots the same image that QEMU does. In a seeded
// machine the TSC counts instructions, so the figures can be compared with QEMU's instruction clock one by one.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { kernelPath } from "../../emulator/images.js";
import { qemu } from "../support/qemu.js";

const cli = "dist/emulator/cli.js";
const names = [...readFileSync("kernel/selftest.ts", "utf8").matchAll(/^ {2}run\("([^"]+)"/gm)].map(
  (m) => m[1]!,
);

/** The self-test has no init: what it writes to the exit port is the command's status, as (2 * value + 1). */
const EXIT_PORT_ZERO = 1;

function boot(cores: number, seed: number): string[] {
  if (!existsSync(cli)) throw new Error(`${cli} is not there: npm run build makes it`);
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [
      ...[cli, "boot", "--kernel", kernelPath, "--seed", `${seed}`, "--cores", `${cores}`],
      ...["--append", "exit=f4 selftest", "--limit", "60"],
    ],
    { encoding: "utf8", timeout: 110_000 },
  );
  expect(status, `${stdout}\n${stderr}`).toBe(EXIT_PORT_ZERO);
  return stdout.split(/\r?\n/);
}

/** Name and mean of each figure that no interrupt is part of. */
const figures = (lines: readonly string[]) =>
  lines
    .map((line) => /^figure: (.+) (\d+) ticks$/.exec(line))
    .filter((match) => match !== null && !/interrupt/.test(match[1]!))
    .map((match) => ({ name: match![1]!, ticks: Number(match![2]) }));

describe("the kernel on our own machine", () => {
  const runs = new Map<number, string[]>();

  test.each([1, 2])(
    "promises 9, 40-45, 50-55: the self-test on %i cores",
    (cores) => {
      const lines = boot(cores, 1);
      runs.set(cores, lines);
      expect(lines.some((line) => line.startsWith(`Buslock: ${cores} cores`))).toBe(true);
      expect(lines.filter((line) => line.startsWith("selftest: "))).toEqual(
        names.map((name) => `selftest: ${name} ok`),
      );
    },
    120_000,
  );

  test("one seed, one run: every line and every counter repeats", () => {
    expect(boot(2, 1)).toEqual(runs.get(2));
  }, 120_000);

  test.skipIf(qemu.missing)(
    `hot paths take as many instructions as under QEMU ${qemu.missing}`,
    async () => {
      const theirs = await qemu.run({
        append: "exit=f4 selftest",
        more: ["-icount", "shift=0"],
        seconds: 100,
      });
      const ours = figures(runs.get(1)!);
      expect(ours.length).toBeGreaterThanOrEqual(9);
      const other = new Map(figures(theirs.lines).map(({ name, ticks }) => [name, ticks]));
      for (const { name, ticks } of ours) {
        // A tick of the clock in between may add its handler's instructions to the mean.
        const difference = Math.abs(ticks - (other.get(name) ?? Number.POSITIVE_INFINITY));
        expect(difference, `${name}: ${ticks} here, ${other.get(name)} there`).toBeLessThan(2 + ticks * 0.02);
      }
    },
    240_000,
  );
});
