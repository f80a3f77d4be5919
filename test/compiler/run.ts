// Runs one wasm program twice: by the host's JavaScript engine, and by the back end as a static ELF64
// program on the host's own x86-64 processor under Linux. A program imports arch.syscall and writes its
// results with write(2); what it wrote and how it ended are compared.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programImage } from "../../kernel/compiler/image.js";

/** What we use of the host's engine; its types come with browser libraries only. */
interface Memory {
  readonly buffer: ArrayBufferLike;
}
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> };
  readonly RuntimeError: new () => Error;
};

export const hostRunsPrograms = process.platform === "linux" && process.arch === "x64";
export const whyNot = "the host is not x86-64 Linux, so the programs cannot run natively";

const WRITE = 1n;
const MMAP = 9n;
const EXIT_GROUP = 231n;
class Exit extends Error {}

export interface Outcome {
  readonly output: Buffer;
  /** "exit 0", or "trap" for whatever the module must not do. */
  readonly end: string;
}

/** The program in V8, with the same system calls. */
export function runInEngine(wasm: Uint8Array): Outcome {
  const pieces: Buffer[] = [];
  let memory: Memory | undefined;
  const syscall = (number: bigint, fd: bigint, at: bigint, bytes: bigint): bigint => {
    if (number === WRITE && fd === 1n) {
      pieces.push(Buffer.from(new Uint8Array(memory!.buffer, Number(at), Number(bytes))));
      return bytes;
    }
    if (number === MMAP) return fd; // all of linear memory is there
    if (number === EXIT_GROUP) throw new Exit(String(fd));
    throw new Error(`system call ${number} in a test program`);
  };
  const abort = () => {
    throw new WebAssembly.RuntimeError();
  };
  let end = "exit 0";
  try {
    const module = new WebAssembly.Module(wasm);
    const instance = new WebAssembly.Instance(module, { arch: { syscall }, env: { abort } });
    memory = instance.exports["memory"] as Memory;
    (instance.exports["start"] as (stack: bigint) => void)(0n);
  } catch (error) {
    if (error instanceof Exit) end = `exit ${error.message}`;
    else if (error instanceof WebAssembly.RuntimeError) end = "trap";
    else throw error;
  }
  return { output: Buffer.concat(pieces), end };
}

/** The program through the back end, on the processor. */
export function runOnProcessor(wasm: Uint8Array, timeout = 20_000): Outcome {
  const folder = mkdtempSync(join(tmpdir(), "buslock-compiler-"));
  try {
    const path = join(folder, "program");
    writeFileSync(path, programImage(wasm).elf, { mode: 0o755 });
    const run = spawnSync(path, [], { timeout, maxBuffer: 1 << 26 });
    if (run.error) throw run.error;
    const traps = ["SIGILL", "SIGFPE", "SIGSEGV", "SIGBUS"];
    if (run.signal !== null && !traps.includes(run.signal)) throw new Error(`ended by ${run.signal}`);
    return { output: run.stdout, end: run.signal === null ? `exit ${run.status}` : "trap" };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What differs between the two, or undefined. */
export function difference(wasm: Uint8Array): string | undefined {
  const expected = runInEngine(wasm);
  const actual = runOnProcessor(wasm);
  const length = Math.min(expected.output.length, actual.output.length);
  for (let at = 0; at < length; at++)
    if (expected.output[at] !== actual.output[at]) {
      const from = at - (at % 8);
      const show = (bytes: Buffer) => bytes.subarray(from, from + 8).toString("hex");
      return `byte ${at} of the output: ${show(expected.output)} expected, ${show(actual.output)} found`;
    }
  if (expected.output.length !== actual.output.length)
    return `${expected.output.length} bytes of output expected, ${actual.output.length} found (${actual.end})`;
  return expected.end === actual.end ? undefined : `${expected.end} expected, ${actual.end} found`;
}
