// A kernel from the compiler in QEMU, by PVH: boot path, trap and SYSCALL entries, fix-ups, context switch,
// user mode and back, the start of another core.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { compileDialect } from "../../kernel/compiler/asc.js";
import { type Image, kernelImage, layout } from "../../kernel/compiler/image.js";
import { bootKernel } from "./boot-kernel.js";

const qemu = "qemu-system-x86_64";
const hasQemu = spawnSync(qemu, ["--version"]).status === 0;
const skipped = hasQemu ? "" : ` (skipped: there is no ${qemu})`;

async function build(optimize: 0 | 3): Promise<Image> {
  const files = new Map([
    ["kernel/boot-test/main.ts", bootKernel],
    ["kernel/boot-test/arch.ts", readFileSync("kernel/arch.ts", "utf8")],
    ["kernel/boot-test/frame.ts", readFileSync("kernel/frame.ts", "utf8")],
  ]);
  const entry = "kernel/boot-test/main.ts";
  const { wasm } = await compileDialect({
    entry,
    root: process.cwd(),
    memoryBase: layout.kernel.data,
    optimize,
    files,
  });
  return kernelImage(wasm);
}

function boot(elf: Uint8Array): { lines: string[]; status: number | null } {
  const folder = mkdtempSync(join(tmpdir(), "buslock-boot-"));
  try {
    const kernel = join(folder, "kernel.elf");
    writeFileSync(kernel, elf);
    const machine = ["-machine", "q35", "-m", "128", "-smp", "2", "-display", "none", "-serial", "stdio"];
    const exit = ["-device", "isa-debug-exit,iobase=0xf4", "-no-reboot"];
    const run = spawnSync(qemu, [...machine, ...exit, "-kernel", kernel], { timeout: 50_000 });
    return { lines: run.stdout.toString().split("\n"), status: run.status };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const symbol = (image: Image, name: string) => {
  const found = image.symbols.find((entry) => entry.name === name);
  expect(found, name).toBeDefined();
  return found!;
};

describe.each([0, 3] as const)("at -O%i", (optimize) => {
  test.skipIf(!hasQemu)(`a kernel boots and every stub does its work${skipped}`, async () => {
    const image = await build(optimize);
    const { lines, status } = boot(image.elf);
    expect(lines.slice(0, 21)).toEqual([
      "start magic 0x336ec578",
      "high half 0x123456788",
      "stack pointer in the boot stack 0x1",
      "instruction pointer in kernel/boot-test/main/boot",
      "write protection 0x1",
      "SSE enabled 0x3",
      "cpuid says more than 0x1",
      "control word 0x37f",
      "undefined instruction in kernel/boot-test/main/broken",
      "page fault at 0x700000000ff8",
      "not copied 0x64",
      "refused 0x64",
      "refused at the edge 0x2",
      "page fault at 0x700000001000",
      "exchange failed 0x1",
      "interrupts 0x1",
      "thread, interrupts 0x0",
      "turns 0x21",
      "other core 0x5a",
      "traps 0x3",
      "seen through the direct map 0x1",
    ]);
    expect(lines.slice(21)).toEqual([
      "copied to the user 0x0",
      "exchanged 0x1",
      "  now 0xabcd",
      "syscall 0x27",
      "  rdi 0x5",
      "  vector 0x100",
      "syscall 0x28",
      "  rdi 0x5",
      "  vector 0x100",
      "user trap 0x6",
      expect.stringMatching(/^ {2}rip 0x[0-9a-f]+1c$/),
      "  rbx 0x77",
      "  rax 0x29",
      expect.stringMatching(/^ {2}rcx 0x[0-9a-f]+15$/),
      "  r11 0x2",
      "  core block is ours 0x1",
      "",
    ]);
    expect(status).toBe(21 * 2 + 1);
  });

  test("its symbols name functions and stubs at their addresses", async () => {
    const image = await build(optimize);
    expect(symbol(image, "pvh_entry").address).toBe(0xffff_8000_0010_0000n);
    expect(symbol(image, "kernel/boot-test/main/boot").bytes).toBeGreaterThan(100);
    expect(symbol(image, "trap_entry").function).toBe(true);
  });
});
