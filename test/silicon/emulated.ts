// The same cases on an emulated core, in the same surroundings: user mode under paging, so that faults, their error
// codes and CR2 can be compared with what Linux reports. The kernel half holds tables and, for every vector, a HLT;
// a case ends when one of them is reached, INT3's like all others.

import { Code } from "../../emulator/cpu/decode.js";
import { compile, Engine, type EngineModules, type Host, plan } from "../../emulator/cpu/engine.js";
import * as L from "../../emulator/cpu/layout.js";
import { coreAddress } from "../../emulator/cpu/memory-plan.js";
import { programOf } from "../../emulator/cpu/program.js";
import { InstructionStream } from "../../emulator/cpu/shapes.js";
import type { SegmentState } from "../../emulator/cpu/state.js";
import type { Bits } from "./forms.js";
import * as map from "./map.js";
import type { Case } from "./scene.js";

const RAM_BYTES = 0x40_0000;
const KERNEL = 0xffff_8000_0000_0000n; // maps physical 0 to 2 MiB
const PML4 = 0x1000;
const PDPT = 0x2000;
const PD = 0x3000;
const KERNEL_PDPT = 0x4000;
const KERNEL_PD = 0x5000;
const PT_CODE = 0x6000; // 0 to 2 MiB
const PT_DATA = 0x7000; // 2 to 4 MiB
const GDT = 0x8000;
const IDT = 0x9000;
const TSS = 0xa000;
const STACK_TOP = 0xc000;
const HANDLERS = 0xd000;
const HANDLER_BYTES = 16;
const VECTORS = 32;
const HLT = 0xf4;

const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
const LARGE = 0x80n;
const NX = 1n << 63n;

const KERNEL_CODE = 0x10;
const TSS_SELECTOR = 0x40;
const GATE_INTERRUPT = 0x8e;
const GATE_DPL3 = 0x60;
const HAS_ERROR = new Set([8, 10, 11, 12, 13, 14, 17]);
const BUDGET = 4000;
/** Below this offset lie a core's architectural state and the execution state that belongs to it. */
const BLOCK_BYTES = 0x600;
/** In a page of code, behind the cases'. */
const WARM_UP = map.CODE + map.CODE_BYTES - 64;

const flat = { base: 0n, limit: 0xffff_ffff };
const DATA_FLAT = { selector: map.DATA_SELECTOR, attributes: 0xcf_f300, ...flat };
const SEGMENTS: Record<Bits, { readonly code: SegmentState; readonly data: SegmentState }> = {
  64: { code: { selector: map.CODE_SELECTOR_64, attributes: 0xaf_fb00, ...flat }, data: DATA_FLAT },
  32: { code: { selector: map.CODE_SELECTOR_32, attributes: 0xcf_fb00, ...flat }, data: DATA_FLAT },
  16: {
    code: {
      selector: map.CODE_SELECTOR_16,
      attributes: 0xfb00,
      base: BigInt(map.CODE_16_BASE),
      limit: map.SEGMENT_16_LIMIT,
    },
    data: {
      selector: map.DATA_SELECTOR_16,
      attributes: 0xf300,
      base: BigInt(map.DATA_16_BASE),
      limit: map.SEGMENT_16_LIMIT,
    },
  },
};

const host: Host = {
  portRead: () => 0xffff_ffff,
  portWrite: () => {},
  busRead: () => 0xffff_ffff,
  busWrite: () => {},
  timestamp: () => 0,
  cpuid: () => [0, 0, 0, 0],
  pendingInterrupt: () => false,
  acknowledge: () => -1,
  readApicBase: () => 0xfee0_0900,
  writeApicBase: () => true,
  readApicMsr: () => -1,
  writeApicMsr: () => false,
  readTscDeadline: () => 0,
  writeTscDeadline: () => {},
  performanceInterrupt: () => {},
  initialise: () => {},
  readTaskPriority: () => 0,
  writeTaskPriority: () => {},
  unimplemented: () => {},
};

export class Emulated {
  readonly engine: Engine;
  readonly #modules: EngineModules;
  readonly #ram: DataView;
  readonly #core: DataView;
  /** The core block at the start of a case, for each mode. */
  readonly #start: Record<Bits, Uint8Array>;

  /** "fresh" generates its own handlers, for rows that were changed on purpose. `hot`: when blocks are fused. */
  static async create(handlers: "shared" | "fresh" = "shared", hot?: number): Promise<Emulated> {
    const modules = await compile();
    if (handlers === "shared") return new Emulated(modules, hot);
    const { microcode, engine, signatures } = modules;
    return new Emulated({ microcode, engine, signatures }, hot);
  }

  private constructor(modules: EngineModules, hot?: number) {
    this.#modules = modules;
    const layout = plan({ cores: 1, ramBytes: RAM_BYTES, romBytes: 0x1000 });
    const memory = new WebAssembly.Memory({ initial: layout.pages, maximum: 65536, shared: true });
    this.engine = new Engine(memory, layout, [host], {
      modules,
      live: false,
      ...(hot === undefined ? {} : { hot }),
    });
    const { ram } = this.engine;
    this.#ram = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
    this.#core = new DataView(memory.buffer, coreAddress(0), L.CORE_BYTES);
    this.#tables();
    this.engine.reset(0);
    this.#start = { 64: this.#environment(64), 32: this.#environment(32), 16: this.#environment(16) };
  }

  #tables(): void {
    const { ram } = this.engine;
    const entry = (at: number, i: number, value: bigint) => this.#ram.setBigUint64(at + 8 * i, value, true);
    const all = PRESENT | WRITABLE | USER;
    entry(PML4, 0, BigInt(PDPT) | all);
    entry(PDPT, 0, BigInt(PD) | all);
    entry(PD, 0, BigInt(PT_CODE) | all);
    entry(PD, 1, BigInt(PT_DATA) | all);
    entry(PML4, 256, BigInt(KERNEL_PDPT) | PRESENT | WRITABLE);
    entry(KERNEL_PDPT, 0, BigInt(KERNEL_PD) | PRESENT | WRITABLE);
    entry(KERNEL_PD, 0, PRESENT | WRITABLE | LARGE);
    const pages = (start: number, bytes: number, flags: bigint) => {
      for (let at = start; at < start + bytes; at += 0x1000)
        entry(at < 0x20_0000 ? PT_CODE : PT_DATA, (at >> 12) & 511, BigInt(at) | PRESENT | USER | flags);
    };
    pages(map.CODE, map.CODE_BYTES, WRITABLE);
    pages(map.DATA, map.DATA_BYTES, WRITABLE | NX);
    pages(map.READ_ONLY, map.READ_ONLY_BYTES, NX);
    ram.fill(map.INT3, map.CODE, map.CODE + map.CODE_BYTES);
    for (let i = 0; i < map.READ_ONLY_BYTES; i++) ram[map.READ_ONLY + i] = map.pattern(i);

    entry(GDT, KERNEL_CODE >> 3, 0x00af_9b00_0000_ffffn);
    entry(GDT, 3, 0x00cf_9300_0000_ffffn);
    entry(GDT, map.CODE_SELECTOR_32 >> 3, 0x00cf_fb00_0000_ffffn);
    entry(GDT, map.DATA_SELECTOR >> 3, 0x00cf_f300_0000_ffffn);
    entry(GDT, map.CODE_SELECTOR_64 >> 3, 0x00af_fb00_0000_ffffn);
    this.#ram.setBigUint64(TSS + 4, KERNEL + BigInt(STACK_TOP), true);
    this.#ram.setUint16(TSS + 0x66, 0x68, true); // no I/O bitmap
    for (let vector = 0; vector < VECTORS; vector++) {
      const at = KERNEL + BigInt(HANDLERS + vector * HANDLER_BYTES);
      const type = BigInt(GATE_INTERRUPT | (vector === 3 || vector === 4 ? GATE_DPL3 : 0));
      const low =
        (at & 0xffffn) | (BigInt(KERNEL_CODE) << 16n) | (type << 40n) | (((at >> 16n) & 0xffffn) << 48n);
      entry(IDT, 2 * vector, low);
      entry(IDT, 2 * vector + 1, at >> 32n);
      ram[HANDLERS + vector * HANDLER_BYTES] = HLT;
    }
  }

  /** Sets the core up for user mode and takes a picture of it. */
  #environment(bits: Bits): Uint8Array {
    const state = this.engine.state(0);
    state.set({ cr0: 0x8005_0033, cr3: PML4, cr4: 0x620, efer: 0xd01 });
    state.gdtr = { base: KERNEL + BigInt(GDT), limit: 0x7f };
    state.idtr = { base: KERNEL + BigInt(IDT), limit: VECTORS * 16 - 1 };
    const { code, data } = SEGMENTS[bits];
    state.setSegment("cs", code);
    for (const name of ["ss", "ds", "es"] as const) state.setSegment(name, data);
    const fsBase = BigInt(bits === 64 ? map.FS_BASE : 0);
    state.setSegment("fs", { selector: 0, attributes: 0, base: fsBase, limit: 0 });
    state.setSegment("gs", { selector: 0, attributes: 0, base: 0n, limit: 0 });
    state.setSegment("tr", {
      selector: TSS_SELECTOR,
      attributes: 0x8b00,
      base: KERNEL + BigInt(TSS),
      limit: 0x67,
    });
    state.rflags = 0x202;
    state.activity = L.ACTIVE;
    state.cpl = 3;
    return new Uint8Array(this.#core.buffer, this.#core.byteOffset, BLOCK_BYTES).slice();
  }

  /** Generates the handlers of many cases at once: one module, not one for every new form. */
  prepare(cases: readonly Case[]): void {
    const { forms } = programOf(this.#modules);
    const modes = { 64: L.MODE_64, 32: L.MODE_CODE32 | L.MODE_STACK32, 16: 0 };
    for (const { record, form } of cases) {
      const code = record.subarray(map.CASE_CODE, map.CASE_CODE + map.CODE_LENGTH_MAX);
      const mode = modes[form.bits] | L.MODE_PROTECTED | L.MODE_PAGING | L.MODE_LONG;
      const stream = new InstructionStream(code, mode);
      for (let decoded = stream.next(); decoded !== undefined; decoded = stream.next()) {
        if (typeof decoded.form === "object") forms.slot(decoded.form);
        if (decoded.code === Code.Int3) break;
      }
      stream.free();
    }
  }

  /** Runs a case; gives its outcome in the shape of the native child's. `warm`: the TLB has the data's pages already. */
  run(c: Case, warm = false): Uint8Array {
    this.#load(c);
    const address = Number(view(c.record).getBigUint64(map.CASE_CODE_ADDRESS, true));
    if (warm) this.#warm(c.form.bits);
    this.#runToEnd();
    const outcome = this.#outcome(c);
    this.engine.ram.fill(map.INT3, address, address + map.CODE_LENGTH_MAX);
    this.engine.written(address, map.CODE_LENGTH_MAX);
    return outcome;
  }

  #runToEnd(): void {
    let left = BUDGET;
    while (left > 0 && this.#core.getUint32(L.ACTIVITY, true) === L.ACTIVE) {
      const ran = this.engine.run(0, left);
      if (ran === 0) break;
      left -= ran;
    }
  }

  /** Writes to the data's pages in the case's own mode, and forgets all of that but the TLB. */
  #warm(bits: Bits): void {
    const block = new Uint8Array(this.#core.buffer, this.#core.byteOffset, BLOCK_BYTES);
    const before = block.slice();
    const [wide, far] = bits === 16 ? [[0x66], [0x67]] : [[], []];
    const [codeBase, dataBase] = bits === 16 ? [map.CODE_16_BASE, map.DATA_16_BASE] : [0, 0];
    const code: number[] = [];
    for (let page = map.DATA; page < map.DATA + map.DATA_BYTES; page += 0x1000) {
      const address = [0, 8, 16, 24].map((shift) => ((page - dataBase) >>> shift) & 0xff);
      code.push(...wide, 0xb8, ...address, ...far, 0x80, 0x08, 0); // mov eax, page; or byte ptr [eax], 0
    }
    this.engine.ram.set([...code, map.INT3], WARM_UP);
    this.engine.written(WARM_UP, code.length + 1);
    this.#core.setBigUint64(L.RIP, BigInt(WARM_UP - codeBase), true);
    this.#runToEnd();
    block.set(before);
  }

  #load({ record, form }: Case): void {
    const { ram, engine } = { ram: this.engine.ram, engine: this.engine };
    const from = view(record);
    const core = this.#core;
    new Uint8Array(core.buffer, core.byteOffset, BLOCK_BYTES).set(this.#start[form.bits]);
    const address = from.getBigUint64(map.CASE_CODE_ADDRESS, true);
    ram.set(record.subarray(map.CASE_CODE, map.CASE_CODE + map.CODE_LENGTH_MAX), Number(address));
    engine.written(Number(address), map.CODE_LENGTH_MAX);
    ram.fill(0, map.DATA, map.DATA + map.DATA_BYTES);
    map.WINDOWS.forEach((window, i) => {
      const start = map.CASE_WINDOWS + i * map.WINDOW_BYTES;
      ram.set(record.subarray(start, start + map.WINDOW_BYTES), window);
    });
    for (let i = 0; i < 16; i++)
      core.setBigUint64(L.GPR + 8 * i, from.getBigUint64(map.CASE_GPR + 8 * i, true), true);
    core.setBigUint64(L.RIP, BigInt(from.getUint32(map.CASE_FAR_POINTER, true)), true);
    this.#loadFx(from);
    const state = engine.state(0);
    state.rflags = from.getBigUint64(map.CASE_RFLAGS, true);
  }

  #loadFx(from: DataView): void {
    const core = this.#core;
    core.setUint32(L.FCW, from.getUint16(map.CASE_FX, true), true);
    core.setUint32(L.FSW, from.getUint16(map.CASE_FX + 2, true), true);
    core.setUint32(L.FTW, from.getUint8(map.CASE_FX + 4), true);
    core.setUint32(L.FOP, from.getUint16(map.CASE_FX + 6, true), true);
    core.setBigUint64(L.FIP, BigInt(from.getUint32(map.CASE_FX + 8, true)), true);
    core.setUint16(L.FCS, from.getUint16(map.CASE_FX + 12, true), true);
    core.setUint16(L.FDS, from.getUint16(map.CASE_FX + 20, true), true);
    core.setBigUint64(L.FDP, BigInt(from.getUint32(map.CASE_FX + 16, true)), true);
    core.setUint32(L.MXCSR, from.getUint32(map.CASE_FX + 24, true), true);
    const top = (from.getUint16(map.CASE_FX + 2, true) >> 11) & 7;
    for (let i = 0; i < 8; i++) {
      const register = L.ST + 16 * ((top + i) & 7);
      core.setBigUint64(register, from.getBigUint64(map.CASE_FX + 32 + 16 * i, true), true);
      core.setBigUint64(register + 8, from.getBigUint64(map.CASE_FX + 40 + 16 * i, true) & 0xffffn, true);
    }
    for (let i = 0; i < 32; i++)
      core.setBigUint64(L.XMM + 8 * i, from.getBigUint64(map.CASE_FX + 160 + 8 * i, true), true);
  }

  #outcome({ form }: Case): Uint8Array {
    const outcome = new Uint8Array(map.OUTCOME_BYTES);
    const to = view(outcome);
    const core = this.#core;
    const greg = (i: number, value: bigint) =>
      to.setBigUint64(map.OUTCOME_GREGS + 8 * i, BigInt.asUintN(64, value), true);
    for (let i = 0; i < 16; i++) greg(map.GREG_OF_GPR[i]!, core.getBigUint64(L.GPR + 8 * i, true));
    // What the handler's frame tells: [error] RIP CS RFLAGS RSP SS
    const rip = core.getBigUint64(L.RIP, true);
    const vector = (Number(rip - KERNEL) - HANDLERS - 1) / HANDLER_BYTES;
    const ended = Number.isInteger(vector) && vector >= 0 && vector < VECTORS;
    greg(map.GREG_VECTOR, ended ? BigInt(vector) : -1n);
    greg(map.GREG_CR2, core.getBigUint64(L.CR2, true));
    if (ended) {
      let frame = Number(core.getBigUint64(L.GPR + 8 * 4, true) - KERNEL);
      const word = () => {
        frame += 8;
        return this.#ram.getBigUint64(frame - 8, true);
      };
      greg(map.GREG_ERROR, HAS_ERROR.has(vector) ? word() : 0n);
      greg(map.GREG_RIP, word());
      word();
      greg(map.GREG_RFLAGS, word());
      greg(map.GREG_OF_GPR[4]!, word());
    } else greg(map.GREG_RIP, rip);
    this.#outcomeFx(to, form.bits);
    map.WINDOWS.forEach((window, i) => {
      const start = map.OUTCOME_WINDOWS + i * map.WINDOW_BYTES;
      outcome.set(this.engine.ram.subarray(window, window + map.WINDOW_BYTES), start);
    });
    return outcome;
  }

  #outcomeFx(to: DataView, bits: Bits): void {
    const core = this.#core;
    const status = core.getUint32(L.FSW, true);
    to.setUint16(map.OUTCOME_FX, core.getUint32(L.FCW, true), true);
    to.setUint16(map.OUTCOME_FX + 2, status, true);
    to.setUint8(map.OUTCOME_FX + 4, core.getUint32(L.FTW, true));
    to.setUint16(map.OUTCOME_FX + 6, core.getUint16(L.FOP, true), true);
    to.setBigUint64(map.OUTCOME_FX + 8, core.getBigUint64(L.FIP, true), true);
    to.setBigUint64(map.OUTCOME_FX + 16, core.getBigUint64(L.FDP, true), true);
    to.setUint32(map.OUTCOME_FX + 24, core.getUint32(L.MXCSR, true), true);
    const top = (status >> 11) & 7;
    for (let i = 0; i < 8; i++) {
      const register = L.ST + 16 * ((top + i) & 7);
      to.setBigUint64(map.OUTCOME_FX + 32 + 16 * i, core.getBigUint64(register, true), true);
      to.setBigUint64(map.OUTCOME_FX + 40 + 16 * i, core.getBigUint64(register + 8, true), true);
    }
    for (let i = 0; i < (bits === 64 ? 32 : 16); i++)
      to.setBigUint64(map.OUTCOME_FX + 160 + 8 * i, core.getBigUint64(L.XMM + 8 * i, true), true);
  }
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
