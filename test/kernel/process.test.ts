// Processes of the guest kernel, on QEMU: programs of its own dialect, faults, refused files, what a process leaves behind.
import { describe, expect, test } from "vitest";
import { bootQemu, cProgram, hasMusl, hasQemu, missing, program } from "../support/guest.js";

const qemu = describe.skipIf(!hasQemu);

qemu(`a program${missing("qemu")}`, () => {
  test("says hello, and gets its arguments, environment and cores", async () => {
    const { lines, status } = await bootQemu({
      files: [program("hello")],
      args: ["first", "second"],
      options: ["node=1", "nodes=1"],
      cores: 3,
    });
    expect(lines).toEqual(["hello from machine 1 of 1, cores 3 first second"]);
    expect(status).toBe(0);
  });

  test("that is not there, or not named, is status 127", async () => {
    const files = [program("hello")];
    const absent = await bootQemu({ files, init: "/bin/absent" });
    expect(absent.lines).toEqual(["init: /bin/absent: not in the initial file system"]);
    expect(absent.status).toBe(127);
    const folder = await bootQemu({ files, init: "/bin" });
    expect(folder.lines).toEqual(["init: /bin: not a file"]);
    expect(folder.status).toBe(127);
  });
});

/** Argument of kernel/user/fault.ts, status 128 + n, and what the console says before " at rip". */
const faults: readonly (readonly [string, number, string])[] = [
  ["null-write", 139, "SIGSEGV (address 0x0 not mapped, write)"],
  ["null-read", 139, "SIGSEGV (address 0x10 not mapped, read)"],
  ["kernel-read", 139, "SIGSEGV (address 0xffff800000000000 not mapped, read)"],
  ["kernel-write", 139, "SIGSEGV (address 0xffff800000000000 not mapped, write)"],
  ["not-canonical", 139, "SIGSEGV (#GP)"],
  ["text-write", 139, "SIGSEGV (address 0x401000 not permitted, write)"],
  ["read-only-write", 139, "SIGSEGV (address 0x7ffff000 not permitted, write)"],
  ["execute-data", 139, "SIGSEGV (address 0x7ffff000 not permitted, execute)"],
  ["divide", 136, "SIGFPE (#DE)"],
  ["illegal", 132, "SIGILL (#UD)"],
  ["recursion", 139, "SIGSEGV (address 0x7fff7fd... not mapped, write)"],
];

qemu(`a fault without a handler ends the process${missing("qemu")}`, () => {
  test.concurrent.each(faults)("%s", async (kind, code, said) => {
    const { lines, status } = await bootQemu({ files: [program("fault")], args: [kind], cores: 1 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/ at rip 0x[0-9a-f]+$/);
    // How deep a frame is, is the compiler's business.
    const shown = lines[0]!.replace(/ at rip .*/, "").replace(/(0x7fff7fd)[0-9a-f]{3}/, "$1...");
    expect(shown).toBe(`fault: killed by ${said}`);
    expect(status).toBe(code);
  });
});

/** Damage to the ELF file of hello, and what is said of it. Offsets: System V ABI, figures 4-3 and 5-1. */
type Damage = (elf: DataView, headers: number[]) => Uint8Array | undefined;
const refusals: readonly (readonly [string, Damage])[] = [
  ["not an ELF file", (elf) => void elf.setUint8(0, 0)],
  ["cut within the ELF header", (elf) => bytesOf(elf).slice(0, 40)],
  ["not a 64-bit ELF file", (elf) => void elf.setUint8(4, 1)],
  ["not little endian", (elf) => void elf.setUint8(5, 2)],
  ["for another machine than x86-64", (elf) => void elf.setUint16(18, 183, true)],
  ["not an executable", (elf) => void elf.setUint16(16, 1, true)],
  ["program headers of a foreign size", (elf) => void elf.setUint16(54, 32, true)],
  ["cut within the program headers", (elf) => void elf.setBigUint64(32, 1n << 60n, true)],
  [
    "dynamically linked (it asks for an interpreter): link it with -static",
    (elf, headers) => void elf.setUint32(headers.at(-1)!, 3, true),
  ],
  ["its entry point is not in executable memory", (elf) => void elf.setBigUint64(24, 0x1000n, true)],
  [
    "the segment at 0x401000 is larger in the file than in memory",
    (elf, [first]) => void elf.setBigUint64(first! + 40, 1n, true),
  ],
  ["the segment at 0x401000 is cut: the file ends before it", (elf) => bytesOf(elf).slice(0, 0x1010)],
  [
    "the segment at 0x401001 is not aligned with its place in the file",
    (elf, [first]) => void elf.setBigUint64(first! + 16, 0x401001n, true),
  ],
  [
    "the segment at 0x8000000000 lies outside of the user range",
    (elf, [first]) => void elf.setBigUint64(first! + 16, 1n << 39n, true),
  ],
  [
    "the segment at 0x0 lies outside of the user range",
    (elf, [first]) => void elf.setBigUint64(first! + 16, 0n, true),
  ],
  [
    "the segment at 0xffffffffffff1000 lies outside of the user range",
    (elf, [first]) => void elf.setBigUint64(first! + 16, 0xffff_ffff_ffff_1000n, true),
  ],
  [
    "the segment at 0x401000 overlaps another one",
    (elf, [first, second]) => void elf.setBigUint64(second! + 16, elf.getBigUint64(first! + 16, true), true),
  ],
];

const bytesOf = (view: DataView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

qemu(`a file that is no program of ours is refused by name${missing("qemu")}`, () => {
  test.concurrent.each(refusals)("%s", async (why, damage) => {
    const { data } = program("hello");
    const copy = data.slice();
    const view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength);
    const headers = Array.from(
      { length: view.getUint16(56, true) },
      (_, i) => Number(view.getBigUint64(32, true)) + 56 * i,
    );
    const loads = headers.filter((at) => view.getUint32(at, true) === 1);
    const damaged = damage(view, loads) ?? copy;
    const { lines, status } = await bootQemu({ files: [{ path: "/bin/hello", data: damaged }], cores: 1 });
    expect(lines).toEqual([`init: /bin/hello: ${why}`]);
    expect(status).toBe(127);
  });
});

/**
 * A leak takes frames with every run. Between runs the kernel's caches move too: a core keeps an empty slab of up to four
 * frames, or gives it back, as frees from other cores arrive. So the most that is free in either half is compared.
 */
function expectNoLeak(lines: readonly string[], runs: number): void {
  const prefix = "process: frames free ";
  const free = lines
    .filter((line) => line.startsWith(prefix))
    .map((line) => Number(line.slice(prefix.length)));
  expect(free).toHaveLength(runs);
  const half = runs / 2;
  const lost = Math.max(...free.slice(0, half)) - Math.max(...free.slice(half));
  expect(lost, `frames free after each run: ${free.join(" ")}`).toBeLessThan(half);
}

describe.skipIf(!hasQemu || !hasMusl)(`what is refused, and what is left${missing("qemu", "musl")}`, () => {
  test("calls fail as on Linux, and an absent one is named once", async () => {
    const { lines, status } = await bootQemu({ files: [cProgram("refused")], args: ["absent"] });
    expect(lines).toEqual([
      "refused: system call 57 (fork) is not implemented",
      "refused: system call 41 (socket) is not implemented",
      "refused: system call 499 is not implemented",
      "refused: system call 100000 is not implemented",
      "refused: all as it should be",
    ]);
    expect(status).toBe(2);
  });

  test("a process that ends gives back every frame, whatever it did", async () => {
    // Threads, mappings, signals, and pages of all kinds.
    const { lines, status } = await bootQemu({
      files: [cProgram("threads")],
      options: ["frames", "runs=8"],
    });
    expectNoLeak(lines, 8);
    expect(status).toBe(0);
  });

  test("threads that change and touch the same pages at once, with signals, leave nothing behind", async () => {
    const { lines, status } = await bootQemu({
      files: [cProgram("chaos")],
      args: ["1", "800"],
      options: ["frames", "runs=6"],
      cores: 3,
    });
    expectNoLeak(lines, 6);
    expect(lines.filter((line) => line.startsWith("chaos: lived, touched some"))).toHaveLength(6);
    expect(status).toBe(0);
  });

  test("a process that wants more memory than there is ends, and the machine goes on", async () => {
    const { lines, status } = await bootQemu({
      files: [cProgram("greedy")],
      args: ["memory"],
      options: ["frames", "runs=2"],
      memoryMiB: 64,
    });
    const killed = lines.filter((line) => line.startsWith("greedy: killed by SIGKILL (address 0x"));
    expect(killed).toHaveLength(2);
    expect(killed[0]).toContain(" wants memory and there is none, write) at rip ");
    const free = lines.filter((line) => line.startsWith("process: frames free "));
    expect(free[1]).toBe(free[0]);
    expect(status).toBe(137);
  });

  test("threads until there is no room for another, then exit_group with all of them asleep", async () => {
    const { lines, status } = await bootQemu({
      files: [cProgram("greedy")],
      args: ["threads"],
      memoryMiB: 64,
    });
    expect(lines).toEqual(["greedy: no more than many threads: Resource temporarily unavailable"]);
    expect(status).toBe(0);
  });
});
