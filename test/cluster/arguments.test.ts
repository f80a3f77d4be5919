// The bundled programs' arguments: what is no number where one belongs ends a program with status 2, and is named.
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
