// One machine's cores without a board: bytes are placed in RAM, a core is set up flat in 64, 32 or 16-bit mode, runs
// so many instructions, and its state is looked at. For tests of rows, microcode and engine.
//
//   const cpu = await Cpu.create();
//   cpu.start("mov eax, 1;; hlt");
//   cpu.run(10);
//   expect(cpu.state().register("rax")).toBe(1n);

import { assemble } from "../../emulator/assembler.js";
import {
  type CoreState,
  compile,
  Engine,
  type EngineModules,
  type EngineTracer,
  type Host,
  plan,
} from "../../emulator/cpu/engine.js";
import { ACTIVE, ATTENTION, CORE_BYTES, CORES_BASE, MAILBOX } from "../../emulator/cpu/layout.js";

/** Physical addresses of what setUp() lays out; programs start at CODE and stacks end at STACK_TOP. */
export const PAGE_TABLES = 0x1000; // PML4, then one PDPT and 4 page directories of 2 MiB pages: identity, 4 GiB
export const GDT = 0x8000;
export const IDT = 0x9000;
export const TSS = 0xa000;
export const CODE = 0x1_0000;
export const STACK_TOP = 0x8_0000;

/** Selectors of the GDT that setUp() writes. */
export const selectors = {
  code: 0x08,
  data: 0x10,
  code32: 0x18,
  code16: 0x20,
  user: 0x2b,
  userCode: 0x33,
  tss: 0x38,
};

const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
const LARGE = 0x80n;

export interface SetUp {
  readonly bits?: 64 | 32 | 16;
  readonly at?: number;
  readonly rsp?: number;
  /** The core; 0 unless told. */
  readonly core?: number;
}

/** A host without devices: answers are the test's. */
export class TestHost implements Host {
  now = 0;
  readonly unimplementedSeen: string[] = [];
  readonly portsWritten: { port: number; bytes: number; value: number }[] = [];
  readonly busWrites: { physical: number; bytes: number; value: number }[] = [];
  readonly busReads: { physical: number; bytes: number }[] = [];
  busAnswer = 0xffff_ffff;
  portAnswer = 0xffff_ffff;
  /** Vectors that the local APIC would give, first first. */
  interrupts: number[] = [];
  taskPriority = 0;
  overflows = 0;

  portRead(_port: number, _bytes: number): number {
    return this.portAnswer;
  }
  portWrite(port: number, bytes: number, value: number): void {
    this.portsWritten.push({ port, bytes, value });
  }
  busRead(physical: number, bytes: number): number {
    this.busReads.push({ physical, bytes });
    return this.busAnswer;
  }
  busWrite(physical: number, bytes: number, value: number): void {
    this.busWrites.push({ physical, bytes, value });
  }
  timestamp(): number {
    return this.now;
  }
  cpuid(leaf: number, subleaf: number): readonly [number, number, number, number] {
    return [leaf, subleaf, 0, 0];
  }
  pendingInterrupt(): boolean {
    return this.interrupts.length > 0;
  }
  acknowledge(): number {
    return this.interrupts.shift() ?? -1;
  }
  readApicBase(): number {
    return 0xfee0_0900;
  }
  writeApicBase(): boolean {
    return true;
  }
  readApicMsr(): number {
    return -1;
  }
  writeApicMsr(): boolean {
    return false;
  }
  readTscDeadline(): number {
    return 0;
  }
  writeTscDeadline(): void {}
  initialise(): void {}
  performanceInterrupt(): void {
    this.overflows++;
  }
  readTaskPriority(): number {
    return this.taskPriority;
  }
  writeTaskPriority(value: number): void {
    this.taskPriority = value;
  }
  unimplemented(what: string): void {
    this.unimplementedSeen.push(what);
  }
}

export interface CpuOptions {
  readonly cores?: number;
  readonly ramBytes?: number;
  readonly tracer?: EngineTracer;
  /** The cores will run on threads of their own (threads.ts). */
  readonly live?: boolean;
  readonly rom?: Uint8Array;
  /** When blocks are fused; left out: as everywhere. */
  readonly hot?: number;
  /** Other than the shipped ones: with a planted bug (test/bugs). */
  readonly modules?: EngineModules;
}

export class Cpu {
  readonly engine: Engine;
  readonly hosts: readonly TestHost[];
  readonly ram: Uint8Array;
  readonly view: DataView;
  readonly memory: WebAssembly.Memory;
  readonly modules: EngineModules;

  private constructor(
    engine: Engine,
    hosts: readonly TestHost[],
    memory: WebAssembly.Memory,
    modules: EngineModules,
  ) {
    this.engine = engine;
    this.hosts = hosts;
    this.ram = engine.ram;
    this.view = new DataView(this.ram.buffer, this.ram.byteOffset, this.ram.byteLength);
    this.memory = memory;
    this.modules = modules;
  }

  static async create(options: CpuOptions = {}): Promise<Cpu> {
    const modules = options.modules ?? (await compile());
    const cores = options.cores ?? 1;
    const rom = options.rom ?? new Uint8Array(0);
    const p = plan({ cores, ramBytes: options.ramBytes ?? 16 << 20, romBytes: rom.length });
    const memory = new WebAssembly.Memory({ initial: p.pages, maximum: p.pages, shared: true });
    const hosts = Array.from({ length: cores }, () => new TestHost());
    const engine = new Engine(memory, p, hosts, {
      modules,
      live: options.live ?? false,
      tracer: options.tracer ?? null,
      ...(options.hot === undefined ? {} : { hot: options.hot }),
    });
    engine.loadRom(rom);
    for (let core = 0; core < cores; core++) engine.reset(core);
    return new Cpu(engine, hosts, memory, modules);
  }

  get host(): TestHost {
    return this.hosts[0];
  }
  state(core = 0): CoreState {
    return this.engine.state(core);
  }

  /** Puts bytes, or Intel-syntax text, into physical memory. */
  place(at: number, program: string | Uint8Array | readonly number[], bits: 64 | 32 | 16 = 64): number {
    const bytes =
      typeof program === "string" ? assemble(program, { bits, origin: at }) : Uint8Array.from(program);
    this.ram.set(bytes, at);
    this.engine.written(at, bytes.length);
    return bytes.length;
  }
  read(at: number, bytes: 1 | 2 | 4 | 8): bigint {
    return BigInt.asUintN(bytes * 8, this.#read64(at));
  }
  #read64(at: number): bigint {
    let value = 0n;
    for (let i = 7; i >= 0; i--) value = (value << 8n) | BigInt(this.ram[at + i]);
    return value;
  }
  write(at: number, bytes: 1 | 2 | 4 | 8, value: bigint | number): void {
    let rest = BigInt(value);
    for (let i = 0; i < bytes; i++, rest >>= 8n) this.ram[at + i] = Number(rest & 0xffn);
    this.engine.written(at, bytes);
  }

  /** Places a program at CODE and lets core 0 stand before it, in 64-bit mode unless told otherwise. */
  start(program: string | Uint8Array | readonly number[], options: SetUp = {}): void {
    this.place(options.at ?? CODE, program, options.bits ?? 64);
    this.setUp(options);
  }

  /** A flat environment: identity paging with user pages (64-bit), flat segments, interrupts off, CPL 0. */
  setUp(options: SetUp = {}): void {
    const { bits = 64, at = CODE, rsp = STACK_TOP, core = 0 } = options;
    this.#writeTables();
    const s = this.state(core);
    s.activity = ACTIVE;
    s.rflags = 2;
    s.cpl = 0;
    const EFER_LME_LMA_NXE_SCE = 0xd01;
    const CR4_PAE_FXSR_XMM = 0x620;
    if (bits === 64) {
      s.set({ cr3: PAGE_TABLES, cr4: CR4_PAE_FXSR_XMM, efer: EFER_LME_LMA_NXE_SCE, cr0: 0x8001_0033 });
    } else s.set({ cr3: 0, cr4: 0x600, efer: 0, cr0: bits === 32 ? 0x33 : 0x32 });
    const data = { selector: selectors.data, base: 0n, limit: 0xffff_ffff, attributes: 0xc0_9300 };
    const code = { 64: 0xa0_9b00, 32: 0xc0_9b00, 16: 0x9b00 }[bits];
    const real = { selector: 0, base: 0n, limit: 0xffff, attributes: 0x9300 };
    for (const name of ["ds", "es", "ss", "fs", "gs"] as const) s.setSegment(name, bits === 16 ? real : data);
    s.setSegment(
      "cs",
      bits === 16
        ? { ...real, attributes: 0x9b00, selector: at >>> 4, base: BigInt(at & ~0xf) }
        : {
            selector: bits === 64 ? selectors.code : selectors.code32,
            base: 0n,
            limit: 0xffff_ffff,
            attributes: code,
          },
    );
    s.setSegment("tr", { selector: selectors.tss, base: BigInt(TSS), limit: 0x67, attributes: 0x8b00 });
    s.gdtr = { base: BigInt(GDT), limit: 0x47 };
    s.idtr = { base: BigInt(bits === 16 ? 0 : IDT), limit: bits === 16 ? 0x3ff : 0xfff };
    s.set({ rip: bits === 16 ? at & 0xf : at, rsp });
  }
  #writeTables(): void {
    const put = (at: number, value: bigint) => this.view.setBigUint64(at, value, true);
    const flags = PRESENT | WRITABLE | USER;
    put(PAGE_TABLES, BigInt(PAGE_TABLES + 0x1000) | flags);
    for (let gib = 0; gib < 4; gib++) {
      put(PAGE_TABLES + 0x1000 + 8 * gib, BigInt(PAGE_TABLES + 0x2000 + 0x1000 * gib) | flags);
      for (let i = 0; i < 512; i++)
        put(
          PAGE_TABLES + 0x2000 + 0x1000 * gib + 8 * i,
          BigInt(gib * 0x4000_0000 + i * 0x20_0000) | flags | LARGE,
        );
    }
    const descriptors = [
      0n, // null
      0x00af_9b00_0000_ffffn, // 08 code 64
      0x00cf_9300_0000_ffffn, // 10 data
      0x00cf_9b00_0000_ffffn, // 18 code 32
      0x0000_9b00_0000_ffffn, // 20 code 16
      0x00cf_f300_0000_ffffn, // 28 user data
      0x00af_fb00_0000_ffffn, // 30 user code 64
      0x0000_8b00_0000_0067n | (BigInt(TSS) << 16n), // 38 TSS, with the null upper half of its base
      0n,
    ];
    descriptors.forEach((d, i) => {
      put(GDT + 8 * i, d);
    });
    put(TSS + 4, BigInt(STACK_TOP)); // RSP0
  }

  /** A gate for an exception or interrupt, 64-bit mode: to `handler` in the code segment, interrupts off. */
  gate(vector: number, handler: number): void {
    const at = IDT + 16 * vector;
    const low = BigInt(handler & 0xffff) | (BigInt(selectors.code) << 16n) | (0x8e00n << 32n);
    this.write(at, 8, low | (BigInt(handler >>> 16) << 48n));
    this.write(at + 8, 8, 0);
  }

  /** Raises bits of a core's attention word, as its local APIC would. */
  attend(core: number, bits: number): void {
    const words = new Int32Array(this.memory.buffer);
    const block = CORES_BASE + core * CORE_BYTES;
    // An NMI is counted as well: word 29 of board/mailbox.ts.
    if (bits & 2) Atomics.add(words, (block + MAILBOX + 29 * 4) >>> 2, 1);
    Atomics.or(words, (block + ATTENTION) >>> 2, bits);
  }

  /** Runs until the budget is spent or the core stops; gives how many instructions it retired. */
  run(budget: number, core = 0): number {
    let done = 0;
    while (done < budget && this.engine.runnable(core)) {
      const ran = this.engine.run(core, budget - done);
      if (ran === 0) break;
      done += ran;
    }
    return done;
  }
}
