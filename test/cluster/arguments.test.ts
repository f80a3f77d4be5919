// What a run is given and cannot use: arguments of the bundled programs that are no numbers end them with status 2, and are named; machines
// with too little memory for so many of them say how much it takes.
import { expect, test } from "vitest";
import { seeded } from "../support/cluster.js";

test.each([
  ["counter", "12x"],
  ["contend", "xadd", "1.5"],
  ["endure", "soon"],
  ["history", "add", "-1"],
  ["latency", "read", "0x10"],
  ["records", "same", "many"],
  ["scan", "read", "8,000"],
  ["speed", "sieve", "1M"],
])("%s %s %s", async (name, ...args) => {
  const { report, lines } = await seeded(name!, args, { machines: 2, cores: 1, seed: 1 });
  expect(lines.join("\n")).toContain(`/bin/${name}: ${args.at(-1)}: wanted a number`);
  expect(report.machines.map(({ exit }) => exit)).toEqual([2, 2]);
});

test("memory of 8 MiB, 16 machines", async () => {
  const { report, lines } = await seeded("hello", [], { machines: 16, cores: 1, seed: 1, memory: 8 << 20 });
  const text = lines.join("\n");
  const [, each, free] =
    /machine1 \| cluster: links to 15 machines take (\d+) KiB, and (\d+) are free\n/.exec(text) ?? [];
  expect(Number(each), text).toBeGreaterThanOrEqual(Number(free));
  expect(text).toContain("panic: too little memory for so many machines");
  expect(report.ok).toBe(false);
});
