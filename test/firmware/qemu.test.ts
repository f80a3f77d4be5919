// The firmware on a machine that others built: QEMU's q35 board. It must find kernel, tables and memory
// through QEMU's own fw_cfg, and the PVH kernel that it starts reports what it was handed.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { firmwareImage } from "../../firmware/index.js";
import { probe } from "./probe.js";
import { read } from "./report.js";

const qemu = "qemu-system-x86_64";
const missing = spawnSync(qemu, ["--version"]).status !== 0;
if (missing) console.warn(`skipped: the firmware under QEMU, because ${qemu} is not installed`);

describe.skipIf(missing)("the firmware under QEMU", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "buslock-firmware-"));
    writeFileSync(join(folder, "rom"), firmwareImage());
    writeFileSync(join(folder, "initrd"), `first module\0${"x".repeat(5000)}`);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs QEMU until it ends, or until it has printed `until`. */
  async function run(kernel: Uint8Array | undefined, until: string, ...more: string[]) {
    const file = join(folder, `kernel${count++}`);
    if (kernel !== undefined) writeFileSync(file, kernel);
    const base = ["-machine", "q35", "-accel", "tcg", "-display", "none", "-serial", "stdio", "-no-reboot"];
    const files = kernel === undefined ? [] : ["-fw_cfg", `name=opt/buslock/kernel,file=${file}`];
    const child = spawn(qemu, [...base, "-bios", join(folder, "rom"), ...files, ...more]);
    let console = "";
    child.stdout.setEncoding("latin1").on("data", (text: string) => {
      console += text;
      if (console.includes(until)) child.kill();
    });
    const limit = setTimeout(() => child.kill(), 20_000);
    const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
    clearTimeout(limit);
    return { console, status, killed: child.killed };
  }
  let count = 0;
  const never = "the machine ends by itself";

  test.each([32, 64] as const)("hands over to an ELF%i kernel", async (bits) => {
    const line = ["-fw_cfg", "name=opt/buslock/cmdline,string=node=1 -- /bin/counter"];
    const network = ["-nic", "none", "-device", "virtio-net-pci,addr=2"];
    const initrd = ["-fw_cfg", `name=opt/buslock/initrd,file=${join(folder, "initrd")}`];
    const options = ["-m", "96", "-smp", "3", ...line, ...network, ...initrd];
    const { console, status, killed } = await run(probe({ bits }), never, ...options);
    const report = read(console);
    expect(report.banner).toBe("Buslock firmware: cores 3, RAM 96 MiB");
    expect(report.start).toEqual({ magic: 0x336ec578, version: 1, modules: 1 });
    expect(report.commandLine).toBe("node=1 -- /bin/counter");
    expect(report.module).toMatchObject({ bytes: 5013, text: "first module" });
    expect(report.module!.address % 4096).toBe(0);
    expect(report).toMatchObject({ cleared: 0, data: 0xcafef00d });
    expect(report.ranges).toContainEqual({ start: 0, bytes: 0x90000, type: 1 });
    const high = report.ranges.find(({ start }) => start === 0x100000)!;
    const acpi = report.ranges.find(({ type }) => type === 3)!;
    expect(high.start + high.bytes).toBe(acpi.start);
    expect(acpi.start + acpi.bytes).toBe(96 << 20);
    expect(report.module!.address + 5013).toBeLessThanOrEqual(acpi.start);
    expect(report.tables.map(({ signature }) => signature)).toEqual(
      expect.arrayContaining(["RSDT", "FACP", "DSDT", "APIC", "MCFG"]),
    );
    expect(report.rsdp.sums).toEqual([0]); // QEMU's is of ACPI 1.0
    for (const table of report.tables) expect(table).toMatchObject({ sum: 0 });
    // Switched off by the PM1a register that the firmware had placed.
    expect({ status, killed, done: report.done }).toEqual({ status: 0, killed: false, done: true });
  });

  test("gives every BAR an address in the PCI window", async () => {
    const { console } = await run(probe(), never, "-nic", "none", "-device", "virtio-net-pci,addr=2");
    const card = read(console).functions.find(({ device }) => device === 2)!;
    expect(card.identity & 0xffff).toBe(0x1af4);
    expect(card.command & 7).toBe(3); // decoding on, bus mastering off
    const [port, memory] = card.bars;
    expect(port & 1).toBe(1);
    expect(port & ~3).toBeGreaterThanOrEqual(0xc000);
    expect(memory >>> 0).toBeGreaterThanOrEqual(0xc000_0000);
    expect(memory >>> 0).toBeLessThan(0xe000_0000);
  });

  test("RAM beyond 4 GiB is in the memory map", async () => {
    const { ranges } = read((await run(probe(), never, "-m", "4G")).console);
    expect(ranges).toContainEqual({ start: 2 ** 32, bytes: 2 ** 31, type: 1 });
    expect(ranges.find(({ type }) => type === 3)).toMatchObject({ start: expect.any(Number) });
  });

  const refused: [string, Uint8Array | undefined, string][] = [
    ["no kernel", undefined, "no kernel: fw_cfg holds none, neither as an item nor as opt/buslock/kernel"],
    ["a file that is no ELF image", new Uint8Array(100), "speaks no boot protocol known here"],
    ["a kernel without a PVH note", probe({ note: false }), "no ELF note with a PVH entry"],
    ["a segment in the firmware's area", probe({ data: 0x9_0000 }), "does not lie in RAM that is free"],
    ["a segment on the tables", probe({ data: 0x7ff_0000 }), "does not lie in RAM that is free"],
  ];
  test.each(refused)("names %s", async (_, kernel, words) => {
    const { console } = await run(kernel, words);
    expect(console).toMatch(new RegExp(`^firmware: .*${words}`, "m"));
  });
});
