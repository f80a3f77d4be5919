// What a user program in the dialect gets besides its own code: arguments by peek, threads by clone, the exit
// status, memory behind the image. On the host's Linux.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileDialect } from "../../kernel/compiler/asc.js";
import { layout, programImage } from "../../kernel/compiler/image.js";
import { hostRunsPrograms, whyNot } from "./run.js";

const source = `
import { imageEnd, mfence, pause, peek8, peek64, poke8, rdtsc, syscall, threadStart, undefinedInstruction } from "./arch";

const counters: usize = memory.data(64);
const stacks: usize = memory.data(0x8000, 16);
const TURNS: u32 = 20000;
let started: u32 = 7;

function worker(argument: usize): void {
  for (let turn: u32 = 0; turn < TURNS; turn++) {
    atomic.add<u32>(counters, 1);
    for (;;) {
      const seen = atomic.load<u32>(counters + 4);
      if (atomic.cmpxchg<u32>(counters + 4, seen, seen + <u32>argument) == seen) break;
      pause();
    }
  }
  atomic.add<u32>(counters + 8, 1);
}

function exit(status: u64): void { syscall(231, status, 0, 0, 0, 0, 0); }

export function start(stack: u64): void {
  const count = peek64(stack);
  const word = peek64(stack + 16);
  const first = count > 1 ? peek8(word) : 0;
  if (first == 0x74) { // t: threads
    for (let n: usize = 0; n < 4; n++)
      if (threadStart(worker.index, n + 1, stacks + (n + 1) * 0x2000) <= 0) exit(90);
    while (atomic.load<u32>(counters + 8) != 4) pause();
    mfence();
    if (atomic.load<u32>(counters) != 4 * TURNS) exit(91);
    if (atomic.load<u32>(counters + 4) != 10 * TURNS) exit(92);
    exit(42);
  }
  if (first == 0x65) { // e: echo the argument in capitals, in place above 4 GiB
    let length: u64 = 0;
    for (; peek8(word + length) != 0; length++) poke8(word + length, peek8(word + length) & 0xdf);
    syscall(1, 1, word, length, 0, 0, 0);
    exit(count);
  }
  if (first == 0x6d) { // m: mmap behind the image
    const at = (imageEnd() + 0xffffff) & ~0xffffff;
    if (syscall(9, <u64>at, 0x1000, 3, 0x32, u64.MAX_VALUE, 0) != <i64>at) exit(93);
    store<u64>(at + 8, rdtsc());
    exit(u64(load<u64>(at + 8) != 0) + 10);
  }
  if (first == 0x75) undefinedInstruction();
  if (first == 0x61) assert(started == 8, "not so");
  // Anything else: return.
}
`;

describe.skipIf(!hostRunsPrograms)(`a program${hostRunsPrograms ? "" : ` (skipped: ${whyNot})`}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "buslock-program-"));
  const path = join(folder, "program");
  beforeAll(async () => {
    const files = new Map([
      ["test/program/main.ts", source],
      ["test/program/arch.ts", readFileSync("kernel/user/arch.ts", "utf8")],
    ]);
    const memoryBase = layout.program.data;
    const entry = "test/program/main.ts";
    const { wasm } = await compileDialect({ entry, root: process.cwd(), memoryBase, optimize: 3, files });
    writeFileSync(path, programImage(wasm).elf, { mode: 0o755 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const run = (...args: string[]) => {
    const { status, signal, stdout } = spawnSync(path, args, { timeout: 40_000 });
    return { status, signal, output: stdout.toString() };
  };

  test("four threads count with LOCKed instructions", () => {
    expect(run("threads")).toMatchObject({ status: 42 });
  });
  test("reads and writes its arguments above 4 GiB", () => {
    expect(run("echo-ABC", "x")).toEqual({ status: 3, signal: null, output: "ECHO\rABC" });
  });
  test("maps memory behind its image", () => {
    expect(run("mmap")).toMatchObject({ status: 11 });
  });
  test("ends by SIGILL at UD2 and at a failed assertion, with 0 when start returns", () => {
    expect(run("ud")).toMatchObject({ signal: "SIGILL" });
    expect(run("assert")).toMatchObject({ signal: "SIGILL" });
    expect(run("nothing")).toMatchObject({ status: 0 });
    expect(run()).toMatchObject({ status: 0 });
  });
});
