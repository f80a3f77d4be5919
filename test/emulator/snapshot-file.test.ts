// A machine saved by one process goes on in another, to the bit; what is no such file is refused by name.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDisk } from "../../emulator/disk.js";
import { seededEntropy } from "../../emulator/entropy.js";
import { Machine, type MachineOptions } from "../../emulator/machine.js";
import { Random } from "../../emulator/random.js";
import { Schedule } from "../../emulator/schedule.js";
import { restoreMachine, saveMachine } from "../../emulator/snapshot-file.js";
import { Tracer } from "../../emulator/trace.js";
import { bootDisk } from "../support/boot-disk.js";
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

  test("as the example of --help does", async () => {
    const { out } = await boot("--help");
    const example = /\$ buslock (boot .*) --save half --at (\d+) +\.\.\. --restore half/.exec(out)!;
    const words = example[1]!.split(" ");
    const saving = new Command([...words, "--save", file, "--at", example[2]!]);
    expect(await saving.ended).toMatchObject({ status: 0 });
    const restored = new Command([...words, "--restore", file]);
    expect(await restored.ended).toMatchObject({ status: 0 });
    expect(restored.out).toContain("exit: 0");
  });

  test("a machine that ends before there is anything to save says so, and fails", async () => {
    const run = await boot("--save", join(folder, "late"), "--at", 100_000);
    expect(run.status).toBe(1);
    expect(run.err).toMatch(
      /--save .*late: nothing is saved: the machine ended after \d.* ms, before --at 100000/,
    );
    expect(existsSync(join(folder, "late"))).toBe(false);
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
      [changed(7), "bad: version 248, wanted 7"],
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
    expect(() => restore(file, { ...options, seed: 2 } as typeof options)).toThrow(
      "made with seed 1, given 2",
    );
    const stalling = new Schedule([machine], [], new Random(1), { stall: 3000 });
    expect(() => restoreMachine(file, machine, stalling, options)).toThrow(
      "made with stalls of nanoseconds 0, given 3000",
    );
    const plugged = { ...options, biosConsole: () => {}, shadowedRom: true };
    expect(() => restore(file, plugged)).toThrow("made with shadowed ROM false, given true");
    expect(() => restore(file, { ...options, biosConsole: () => {} } as typeof options)).toThrow(
      "made with devices none, given BIOS console",
    );
    const files = new Map([["opt/a", Uint8Array.of(1)]]);
    expect(() => restore(file, { ...options, files } as typeof options)).toThrow(
      "made with fw_cfg files none, given ",
    );
    expect(() => restore(join(folder, "absent"))).toThrow(/snapshot .*absent: ENOENT/);
    expect(() => saveMachine(join(folder, "no/where"), machine, schedule, options)).toThrow(
      /snapshot .*ENOENT/,
    );
    // Nothing half-written stays where the file cannot be put in its place.
    mkdirSync(join(folder, "taken"));
    expect(() => saveMachine(join(folder, "taken"), machine, schedule, options)).toThrow(
      /snapshot .*taken: /,
    );
    expect(existsSync(join(folder, "taken.part"))).toBe(false);
  });

  test("is not continued with another seed, whose run it would not be", async () => {
    await boot("--save", file, "--at", 1);
    const other = await boot("--seed", 6, "--restore", file);
    expect(other).toMatchObject({ status: 2, err: expect.stringContaining("made with seed 5, given 6") });
  });
});

const bios = "/usr/share/seabios/bios-256k.bin";
const missing = !existsSync(bios);
if (missing)
  console.warn("skipped: snapshots of a machine with disks, because the package seabios is not installed");

describe.skipIf(missing)("a machine with copy-on-write disks and a tracer", () => {
  const image = join(folder, "disk");

  /** What is left of it, as far as another run could differ. */
  async function start() {
    let serial = "";
    const options: MachineOptions = {
      firmware: readFileSync(bios),
      shadowedRom: true,
      cores: 2,
      memory: 16 << 20,
      disks: [openDisk({ path: image, mode: "cow" }), openDisk({ path: image, mode: "ro" })],
      entropy: seededEntropy(3),
      files: new Map([["etc/sercon-port", Uint8Array.of(0xf8, 0x03)]]),
      console: (byte) => {
        serial += String.fromCharCode(byte);
      },
    };
    const lines: string[] = [];
    const tracer = new Tracer({ kinds: ["interrupts", "reports"] }, (line) => lines.push(line));
    const make = async (traced: boolean) => {
      const machine = await Machine.create({ ...options, ...(traced ? { tracer } : {}) });
      return { machine, schedule: new Schedule([machine], [], new Random(9)) };
    };
    return { options, make, serial: () => serial, lines };
  }

  const digestOf = (machine: Machine) =>
    createHash("sha256").update(JSON.stringify(machine.snapshot())).digest("hex");
  const runTo = (schedule: Schedule, time: number) => {
    while (schedule.now < time) schedule.turn(time);
  };

  test("goes on elsewhere to the bit: while the BIOS starts, and after the guest has written to a disk", async () => {
    writeFileSync(image, bootDisk("What was written is read.\r\n"));
    const whole = await start();
    const one = await whole.make(false);
    for (let i = 1; i < 500 && !whole.serial().includes("is read"); i++) runTo(one.schedule, i * 20e6);
    const end = one.schedule.now + 20e6;
    runTo(one.schedule, end);
    const wanted = digestOf(one.machine);
    expect(whole.serial()).toContain("What was written is read");
    for (const at of [end * 0.3, end - 10e6]) {
      const { options, make, serial, lines } = await start();
      const first = await make(true);
      runTo(first.schedule, at);
      expect(lines.length).toBeGreaterThan(0);
      saveMachine(file, first.machine, first.schedule, options);
      const second = await make(false);
      restoreMachine(file, second.machine, second.schedule, options);
      expect(digestOf(second.machine)).toBe(digestOf(first.machine));
      runTo(second.schedule, end);
      expect(serial()).toBe(whole.serial());
      expect(digestOf(second.machine)).toBe(wanted);
    }
    expect(readFileSync(image).subarray(1024, 1030)).toEqual(Buffer.alloc(6)); // copy-on-write
  }, 120_000);
});
