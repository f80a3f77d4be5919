// The kernel's pure modules (kernel/unit.ts) in Node: the same WebAssembly that the back end turns into machine code.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const built = join(process.cwd(), "dist/kernel/unit.wasm");

let module: WebAssembly.Module | undefined;

/** An assertion of the kernel that does not hold. */
export class Assertion extends Error {}

/** A function that the kernel exports. */
export type Call = (...args: (number | bigint)[]) => number;

export class KernelWasm {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #exports: WebAssembly.Exports;
  #heap: number;

  /** `other`: a module instead of kernel/unit.ts, such as one with a planted bug. */
  constructor(imports: Record<string, (...args: never[]) => unknown> = {}, other?: Uint8Array) {
    if (other === undefined) module ??= new WebAssembly.Module(readFileSync(built));
    const used = other === undefined ? module! : new WebAssembly.Module(Uint8Array.from(other));
    const missing = (name: string) => () => {
      throw new Error(`kernel: ${name}() is privileged, and the test supplies none`);
    };
    const given: WebAssembly.Imports = {};
    for (const { module: from, name, kind } of WebAssembly.Module.imports(used)) {
      if (kind !== "function") throw new Error(`kernel: imports ${from}.${name}, a ${kind}`);
      given[from] ??= {};
      given[from][name] =
        name === "abort" ? this.#abort.bind(this) : ((imports[name] as () => number) ?? missing(name));
    }
    this.#exports = new WebAssembly.Instance(used, given).exports;
    this.memory = this.#exports["memory"] as WebAssembly.Memory;
    this.bytes = new Uint8Array(this.memory.buffer);
    this.view = new DataView(this.memory.buffer);
    this.#heap = (this.call("unitHeap")() + 15) & ~15;
  }

  call(name: string): Call {
    const fn = this.#exports[name];
    if (typeof fn !== "function") throw new Error(`kernel/unit.ts exports no function ${name}`);
    return fn as Call;
  }

  constant(name: string): number {
    const value = this.#exports[name];
    if (!(value instanceof WebAssembly.Global)) throw new Error(`kernel/unit.ts exports no constant ${name}`);
    return Number(value.value);
  }

  /** Names of exported constants that begin so and hold this value. */
  constants(): [string, number][] {
    return Object.entries(this.#exports)
      .filter(([, value]) => value instanceof WebAssembly.Global)
      .map(([name, value]) => [name, Number((value as WebAssembly.Global).value)]);
  }

  /** Zeroed room for a test's records, 16-aligned; never freed. */
  room(bytes: number): number {
    const at = this.#heap;
    this.#heap = (at + bytes + 15) & ~15;
    if (this.#heap > this.bytes.length) throw new Error("the test has no room left in the kernel's memory");
    return at;
  }

  /** Bytes of room that are left. */
  get left(): number {
    return this.bytes.length - this.#heap;
  }

  /** A static string of AssemblyScript: UTF-16, its length in bytes 4 before. */
  text(at: number): string {
    if (at === 0) return "";
    const units = this.view.getUint32(at - 4, true) / 2;
    let text = "";
    for (let i = 0; i < units; i++) text += String.fromCharCode(this.view.getUint16(at + 2 * i, true));
    return text;
  }

  #abort(message: number, file: number, line: number, column: number): never {
    throw new Assertion(`${this.text(message)} (${this.text(file)}:${line}:${column})`);
  }
}
