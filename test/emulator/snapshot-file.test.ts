// A machine saved by one process goes on in another, to the bit; what is no such file is refused by name.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine } from "../../emulator/machine.js";
import { Random } from "../../emulator/random.js";
import { Schedule } from "../../emulator/schedule.js";
import { restoreMachine, saveMachine } from "../../emulator/snapshot-file.js";
import { Command } from "../support/cluster.js";

const folder = mkdtempSync(join(tmpdir(), "buslock-snapshot-"));
const file = join(folder, "machine");
afterAll(() => rmSync(folder, { recursive: true }));

const same = ["boot", "--seed", 5, "--cores", 2, "--append", "exit=f4", "--program", "hello"];

async function boot(...args: (string | number)[]) {
  const command = new Command([...same, ...args]);
  const { status } = await command.ended;
  return { status, out: command.out, err: command.err };
}

describe("a machine saved to a file", () => {
  let whole: Awaited<ReturnType<typeof boot>>;
  beforeAll(async () => {
    whole = await boot("--json");
  });

  // in the firmware, in the kernel's boot on both cores, in the program
  test.each([0, 1, 12])("after %i ms, restored by another process, ends as one that was not", async (at) => {
    const first = await boot("--save", file, "--at", at);
    expect(first).toMatchObject({ status: 0, err: "" });
    const second = await boot("--json", "--restore", file);
    expect(second.status).toBe(0);
    expect(first.out + second.out).toBe(whole.out);
    expect(JSON.parse(second.err)).toMatchObject({ instructions: JSON.parse(whole.err).instructions });
  });

  test("is refused when it is none, cut, damaged, of another version or of another machine", async () => {
    const options = { cores: 2, memory: 1 << 20, commandLine: "a" };
    const machine = await Machine.create(options);
    const schedule = new Schedule([machine], [], new Random(1));
    saveMachine(file, machine, schedule, options);
    const restore = (path: string, o = options) => restoreMachine(path, machine, schedule, o);
    expect(() => restore(file)).not.toThrow();
    const good = readFileSync(file);
    const changed = (at: number) => {
      const bytes = Buffer.from(good);
      bytes[at]! ^= 0xff;
      return bytes;
    };
    const bad = join(folder, "bad");
    for (const [bytes, why] of [
      [Buffer.from("#!/bin/sh"), "bad: not a snapshot of a machine"],
      [changed(7), "bad: version 254, wanted 1"],
      [good.subarray(0, good.length - 1), "bad: cut or damaged"],
      [good.subarray(0, 20), "bad: cut or damaged"],
      [changed(good.length >> 1), "bad: cut or damaged"],
    ] as const) {
      writeFileSync(bad, bytes);
      expect(() => restore(bad)).toThrow(why);
    }
    expect(() => restore(file, { ...options, memory: 2 << 20 })).toThrow(
      "made with bytes of RAM 1048576, given 2097152",
    );
    expect(() => restore(file, { ...options, commandLine: "b" })).toThrow(
      "made with command line a, given b",
    );
    expect(() => restore(join(folder, "absent"))).toThrow(/snapshot .*absent: ENOENT/);
    expect(() => saveMachine(join(folder, "no/where"), machine, schedule, options)).toThrow(
      /snapshot .*ENOENT/,
    );
  });
});
