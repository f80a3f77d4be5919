// Multiboot images on our own board, and the same ELF image under QEMU's loader: what both hand over must agree.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bootFiles } from "../../emulator/boot-files.js";
import { readModules } from "../../emulator/images.js";
import { Machine, type MachineOptions } from "../../emulator/machine.js";
import { firmwareImage } from "../../firmware/index.js";
import { multibootProbe, probeExit } from "./multiboot-probe.js";

async function run(options: MachineOptions) {
  let console = "";
  const machine = await Machine.create({
    firmware: firmwareImage(),
    memory: 32 << 20,
    ...options,
    console: (byte) => {
      console += String.fromCharCode(byte);
    },
  });
  machine.run({ limit: 40e6 });
  return { console, machine, ...report(console) };
}

function report(console: string) {
  const words = (name: string) => new RegExp(`^${name} (.*)\r$`, "m").exec(console)?.[1] ?? "";
  const all = (name: string) => [...console.matchAll(new RegExp(`^${name} (.*)\r$`, "gm"))].map((m) => m[1]!);
  const hex = (name: string) => Number.parseInt(words(name), 16);
  return {
    magic: hex("magic"),
    paging: hex("cr0") >>> 31,
    protection: hex("cr0") & 1,
    segments: ["cs", "ds", "es", "ss"].map(hex),
    flags: hex("flags"),
    lower: hex("lower"),
    upper: hex("upper"),
    line: words("line"),
    loader: words("loader"),
    modules: all("module").map((text) => {
      const [, start, end, first, own] = /^(\w+) (\w+) (.*)\|(.*)$/.exec(text)!;
      return { start: Number.parseInt(start!, 16), end: Number.parseInt(end!, 16), first, text: own };
    }),
    ranges: all("range").map((text) => text.split(" ").map((word) => Number.parseInt(word, 16))),
    cleared: hex("cleared"),
    done: /^done/m.test(console),
  };
}

const commandLine = "alpha beta=2";

describe("multiboot on the board", () => {
  test.each([
    ["elf32", {}],
    ["elf64", {}],
    ["address fields", {}],
    ["flat", { flat: 0x8000 }],
    ["flat", { flat: 0x20_0000 }],
  ] as const)("starts %s %o", async (form, where) => {
    const base = "flat" in where ? where.flat : 0x10_0000;
    const { files } = bootFiles({ name: "probe", ...where });
    const r = await run({ kernel: multibootProbe(form, { base }), files, commandLine });
    expect(r).toMatchObject({ magic: 0x2bad_b002, paging: 0, protection: 1, cleared: 0, done: true });
    expect(r.segments).toEqual([0x08, 0x10, 0x10, 0x10]);
    expect(r).toMatchObject({ line: `probe ${commandLine}`, loader: "Buslock firmware", lower: 576 });
    expect(r.flags & 0x24d).toBe(0x24d);
    expect(r.ranges).toContainEqual([0x10_0000, r.upper * 1024, 1]);
    expect(r.modules).toEqual([]);
    const { powered, problem, exitCode } = r.machine;
    expect({ powered, problem, exitCode }).toEqual({ powered: false, problem: "", exitCode: probeExit });
  });

  test("modules lie on pages of their own, with their texts", async () => {
    const data = (words: string) => Buffer.from(`${words}\0${"x".repeat(5000)}`);
    const modules = [
      { data: data("one"), text: "one -v" },
      { data: data("two"), text: "" },
    ];
    const { files, initrd } = bootFiles({ modules });
    const r = await run({ kernel: multibootProbe("elf32"), files, initrd: initrd!, commandLine });
    expect(r.line).toBe(`kernel ${commandLine}`);
    expect(r.modules).toMatchObject([
      { first: "one", text: "one -v" },
      { first: "two", text: "" },
    ]);
    for (const { start, end } of r.modules) {
      expect(start % 4096).toBe(0);
      expect(end - start).toBe(5004);
      expect(end).toBeLessThanOrEqual(0x10_0000 + r.upper * 1024);
    }
    const alone = await run({ kernel: multibootProbe("elf32"), initrd: data("alone") });
    expect(alone.modules).toMatchObject([{ first: "alone", text: "" }]);
  });

  const refused: [string, MachineOptions, string][] = [
    ["a mandatory feature unknown", { kernel: multibootProbe("elf32", { flags: 8 }) }, "flag bits 3 to 15"],
    [
      "a placeless image",
      { kernel: multibootProbe("elf32").slice(0x1000) },
      "neither ELF nor does its header",
    ],
    [
      "address fields below their image",
      { kernel: multibootProbe("address fields", { base: 0x8_f000 }) },
      "does not lie in RAM that is free",
    ],
    ["a flat image in the ROM", { kernel: multibootProbe("flat"), ...bootFiles({ flat: 0xf_0000 }) }, "free"],
  ];
  test.each(refused)("refuses %s", async (_, options, words) => {
    const { console, machine } = await run(options);
    expect(console).toMatch(new RegExp(`^firmware: .*${words}`, "m"));
    expect(machine.exitCode).toBe(126);
  });

  test("a video mode is asked for in vain, and the kernel starts", async () => {
    const { console, done } = await run({ kernel: multibootProbe("elf32", { flags: 7 }) });
    expect(console).toContain("there is no display");
    expect(done).toBe(true);
  });
});

const qemu = "qemu-system-x86_64";
const missing = spawnSync(qemu, ["--version"]).status !== 0;
if (missing) console.warn(`skipped: multiboot under QEMU, because ${qemu} is not installed`);

describe("the command line and QEMU", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "buslock-multiboot-"));
    writeFileSync(join(folder, "probe"), multibootProbe("elf32"));
    writeFileSync(join(folder, "one"), "first\0");
    writeFileSync(join(folder, "two"), "second\0");
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const list = () => `${join(folder, "one")} a b,${join(folder, "two")}`;

  test("modules in QEMU's form; a comma doubled is a comma", () => {
    const texts = readModules(`${list()} c,,d`).map(({ data, text }) => [String(data), text]);
    const [one, two] = [join(folder, "one"), join(folder, "two")];
    expect(texts).toEqual([
      ["first\0", `${one} a b`],
      ["second\0", `${two} c,d`],
    ]);
    expect(readModules(one)).toMatchObject([{ text: "" }]);
    expect(() => readModules(`${one} a,nowhere`)).toThrow(/module nowhere: ENOENT/);
  });

  test.skipIf(missing)("hands over what QEMU's loader does", async () => {
    const machine = ["-machine", "q35", "-m", "32", "-display", "none", "-serial", "stdio", "-nic", "none"];
    const exit = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"];
    const image = ["-kernel", join(folder, "probe"), "-initrd", list(), "-append", commandLine];
    const child = spawnSync(qemu, [...machine, ...exit, ...image], { encoding: "latin1", timeout: 30_000 });
    expect(child.status).toBe(2 * probeExit + 1);
    const theirs = report(child.stdout);
    const { files, initrd } = bootFiles({ name: join(folder, "probe"), modules: readModules(list()) });
    const ours = await run({ kernel: multibootProbe("elf32"), files, initrd: initrd!, commandLine });
    for (const key of ["magic", "paging", "protection", "line", "cleared", "done"] as const)
      expect(ours[key]).toBe(theirs[key]);
    const contents = (r: typeof theirs) =>
      r.modules.map(({ first, text, start, end }) => [first, text, end - start]);
    expect(contents(ours)).toEqual(contents(theirs));
    expect(ours.segments).toEqual(theirs.segments);
    // Flags that QEMU sets and we do not: boot device (1).
    expect(theirs.flags & ~ours.flags & ~2).toBe(0);
  });
});
