// The microcode alone: its module over a small memory of its own, for tests that need no instruction to run.
// Physical memory is 16 MiB of RAM and 64 KiB of ROM; device accesses are recorded and answered by the test.

import { readFileSync } from "node:fs";
import * as L from "../../emulator/cpu/layout.js";
import { microcodePath } from "../../emulator/cpu/program.js";

const RAM_BASE = L.PLANNED_BASE + 0x1_0000;
const ROM_BASE = L.PLANNED_BASE;
const ROM_BYTES = 0x1_0000;
const CORES = 2;
export const RAM_BYTES = 0x100_0000;

type Call = (core: number, ...args: bigint[]) => bigint;

/** What the microcode asked of the host, in order. */
export interface HostLog {
  busReads: { physical: number; bytes: number }[];
  busWrites: { physical: number; bytes: number; value: number }[];
  portReads: { port: number; bytes: number }[];
  portWrites: { port: number; bytes: number; value: number }[];
}

export interface Fault {
  vector: number;
  error: number | undefined;
  cr2: bigint;
}

/** One instance of the module over a memory that every machine shares: instantiated once, cleared for each. */
const memory = new WebAssembly.Memory({
  initial: (RAM_BASE + RAM_BYTES) >>> 16,
  maximum: 65536,
  shared: true,
});
const module = new WebAssembly.Module(readFileSync(microcodePath));
let current: Microcode | undefined;

const host = {
  portRead: (_core: number, port: number, bytes: number) => {
    current!.log.portReads.push({ port, bytes });
    return current!.answer;
  },
  portWrite: (_core: number, port: number, bytes: number, value: number) =>
    void current!.log.portWrites.push({ port, bytes, value: value >>> 0 }),
  busRead: (_core: number, physical: number, bytes: number) => {
    current!.log.busReads.push({ physical, bytes });
    return current!.answer;
  },
  busWrite: (_core: number, physical: number, bytes: number, value: number) =>
    void current!.log.busWrites.push({ physical, bytes, value: value >>> 0 }),
  timestamp: () => Number(current!.nanoseconds),
  cpuid: (core: number, leaf: number) => {
    for (let i = 0; i < 4; i++) current!.setU32(L.SCRATCH + 4 * i, leaf * 16 + i, core);
  },
  readApicBase: () => current!.apicBase[0]!,
  writeApicBase: (_core: number, low: number, high: number) => {
    current!.apicBase = [low >>> 0, high >>> 0];
    return 1;
  },
  performanceInterrupt: () => {},
  unknownEvent: () => {},
  readApicMsr: () => 0,
  writeApicMsr: () => 0,
  readTscDeadline: (core: number) => current!.setU64(L.SCRATCH, 0n, core),
  writeTscDeadline: () => {},
  accessed: () => {},
  walked: () => {},
  watchPage: () => {},
  readTaskPriority: () => current!.taskPriority,
  writeTaskPriority: (_core: number, value: number): void => {
    current!.taskPriority = value;
  },
};
const exported = new WebAssembly.Instance(module, { env: { memory }, host }).exports as Record<string, Call>;

/** Cores 0 and 1 after power-on. Addresses of the accessors are offsets into core 0's block. */
export class Microcode {
  readonly log: HostLog = { busReads: [], busWrites: [], portReads: [], portWrites: [] };
  /** What every device read and port read gives. */
  answer = -1;
  nanoseconds = 0n;
  apicBase: [number, number] = [0xfee0_0900, 0];
  taskPriority = 0;
  readonly #view = new DataView(memory.buffer);

  constructor() {
    current = this;
    const bytes = new Uint8Array(memory.buffer);
    bytes.fill(0, 0, L.CORES_BASE + CORES * L.CORE_BYTES);
    bytes.fill(0, L.CODE_GENERATIONS, L.CODE_GENERATIONS + (RAM_BYTES >>> 12) * 4);
    bytes.fill(0, L.CODE_LINES, L.CODE_LINES + (RAM_BYTES >>> 12) * 8);
    bytes.fill(0, ROM_BASE);
    this.#view.setUint32(L.RAM_BASE_WORD, RAM_BASE, true);
    this.#view.setUint32(L.RAM_BYTES_WORD, RAM_BYTES, true);
    this.#view.setUint32(L.ROM_BASE_WORD, ROM_BASE, true);
    this.#view.setUint32(L.ROM_BYTES_WORD, ROM_BYTES, true);
    this.#view.setUint32(L.A20_MASK_WORD, 0xffff_ffff, true);
    this.#view.setUint32(L.CORE_COUNT_WORD, CORES, true);
    this.setU32(L.CORE_INDEX, 1, 1);
    this.call("reset", 0n);
    this.callOn(1, "reset", 0n);
  }

  call(name: string, ...args: (bigint | number)[]): bigint {
    return this.callOn(0, name, ...args);
  }
  callOn(core: number, name: string, ...args: (bigint | number)[]): bigint {
    const f = exported[name];
    if (f === undefined) throw new Error(`the microcode exports no ${name}`);
    // Arguments that a test has no use for are 0.
    const all = Array.from({ length: f.length - 1 }, (_, i) => BigInt(args[i] ?? 0));
    return BigInt.asUintN(64, f(L.CORES_BASE + core * L.CORE_BYTES, ...all));
  }
  /** Calls and says which fault that raised, taking it back; undefined if none. */
  faultOf(name: string, ...args: (bigint | number)[]): Fault | undefined {
    this.call(name, ...args);
    return this.takeFault();
  }
  takeFault(): Fault | undefined {
    const vector = this.u32(L.FAULT_VECTOR) | 0;
    this.setU32(L.FAULT_VECTOR, -1);
    if (vector < 0) return undefined;
    const error = this.u32(L.FAULT_HAS_ERROR) ? this.u32(L.FAULT_ERROR) : undefined;
    return { vector, error, cr2: this.u64(L.CR2) };
  }

  // --- the core block ---
  u32(offset: number, core = 0): number {
    return this.#view.getUint32(this.#block(core, offset), true);
  }
  setU32(offset: number, value: number, core = 0): void {
    this.#view.setUint32(this.#block(core, offset), value, true);
  }
  u64(offset: number, core = 0): bigint {
    return this.#view.getBigUint64(this.#block(core, offset), true);
  }
  setU64(offset: number, value: bigint, core = 0): void {
    this.#view.setBigUint64(this.#block(core, offset), value, true);
  }
  #block(core: number, offset: number): number {
    return core < L.CORES_BASE ? L.CORES_BASE + core * L.CORE_BYTES + offset : core + offset;
  }
  gpr(register: number): bigint {
    return this.u64(L.GPR + 8 * register);
  }
  setGpr(register: number, value: bigint | number): void {
    this.setU64(L.GPR + 8 * register, BigInt(value));
  }
  segment(index: number) {
    const at = L.SEGMENTS + index * L.SEGMENT_BYTES;
    return {
      selector: this.u32(at + L.SEG_SELECTOR),
      attributes: this.u32(at + L.SEG_ATTRIBUTES),
      base: this.u64(at + L.SEG_BASE),
      limit: this.u32(at + L.SEG_LIMIT),
    };
  }
  get rip(): bigint {
    return this.u64(L.RIP);
  }

  setA20(on: boolean): void {
    this.#view.setUint32(L.A20_MASK_WORD, on ? 0xffff_ffff : 0xffef_ffff, true);
  }

  // --- physical memory ---
  readonly ram = new Uint8Array(memory.buffer, RAM_BASE, RAM_BYTES);
  readonly rom = new Uint8Array(memory.buffer, ROM_BASE, ROM_BYTES);
  readonly physical = new DataView(memory.buffer, RAM_BASE, RAM_BYTES);
  read64(physical: number): bigint {
    return this.physical.getBigUint64(physical, true);
  }
  write64(physical: number, value: bigint): void {
    this.physical.setBigUint64(physical, value, true);
  }
  generation(physical: number): number {
    return this.#view.getUint32(L.CODE_GENERATIONS + (physical >>> 12) * 4, true);
  }
  setGeneration(physical: number, word: number): void {
    this.#view.setUint32(L.CODE_GENERATIONS + (physical >>> 12) * 4, word, true);
    this.#view.setBigUint64(
      L.CODE_LINES + (physical >>> 12) * 8,
      word & 1 ? 0xffff_ffff_ffff_ffffn : 0n,
      true,
    );
  }
  ramAddress(physical: number): bigint {
    return BigInt(RAM_BASE + physical);
  }
}
