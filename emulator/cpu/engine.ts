// The engine: runs cores over a machine's shared memory. Generated code does the instructions; here is what stands
// between them: events, exceptions, decoding, the budget, and the doors for the machine around.
//
// A budget is counted in instructions retired, where each iteration of a repeated string instruction counts as one,
// and so does each exception delivered (a guest that only faults must come to an end as well). run() never retires
// more than its budget, and in seeded mode the same state and budget always lead to the same state.
// Invariant: between calls of run() a core stands at an instruction boundary and RIP is exact.

import { BranchRecords } from "./branch-records.js";
import { BusLock } from "./bus-lock.js";
import { type MarkedLines, markedLines, markLines, writtenBy } from "./code-marks.js";
import { CodeReader, raise } from "./code-reader.js";
import { codeName, type Mnemonic, mnemonicOf } from "./decode.js";
import { Events, type Microcode } from "./events.js";
import { Fusion, HOT } from "./fusion.js";
import { type EngineTracer, type Host, hostImports } from "./host.js";
import { EXIT } from "./interpreter.js";
import {
  A20_MASK_WORD,
  A20_SEEN,
  ACTIVE,
  ACTIVITY,
  ATTENTION,
  ATTENTION_BUS_LOCK,
  ATTENTION_STOP,
  BLOCK_COUNT,
  BLOCK_FOUND,
  BLOCK_HEADER_BYTES,
  CHAIN_SINK,
  DEBUG_CHANGED,
  DEBUG_PENDING,
  DR,
  FAULT_VECTOR,
  FLAGS_OTHER,
  OP_CODE,
  OP_HANDLER,
  OP_REST,
  RANDOM_KEY,
  REPEATING,
  RETIRED,
  RETURNS,
  RETURNS_BYTES,
  RIP,
  RUN_BUDGET,
  RUN_OP,
  RUN_START,
  RUN_STOP,
  RUN_STOPPED,
  SHADOW,
  SHADOW_STACK,
  SHUTDOWN,
  STEP_WANTED,
  STEPPING,
  STORE_BUFFER_MAX,
  STORE_BUFFER_WORD,
} from "./layout.js";
import { coreAddress, type EnginePlan, writeMachineWords } from "./memory-plan.js";
import { lineWatched, setWatcher } from "./monitor.js";
import { Onlooker, type Watch } from "./onlooker.js";
import { Performance } from "./performance.js";
import { type EngineModules, type Program, programOf } from "./program.js";
import { type CoreRecord, CoreState } from "./state.js";
import { FLAG_TF, stepTraps } from "./stepping.js";
import { Stops } from "./stops.js";
import { WaitingStores } from "./waiting-stores.js";

export { writtenBy } from "./code-marks.js";
export type { EngineTracer, Host } from "./host.js";
export { type EnginePlan, plan } from "./memory-plan.js";
export { compile, type EngineModules } from "./program.js";
export { CoreState } from "./state.js";

export interface EngineOptions {
  readonly modules: EngineModules;
  /** Each core on a thread of its own, over the same memory: LOCK and code changes must be seen across threads. */
  readonly live: boolean;
  readonly tracer?: EngineTracer | null;
  /** Entries of each core's store buffer (microcode/store-buffer.ts); none unless told. */
  readonly storeBuffer?: number;
  /** Instructions that a block has taken when it is fused (fusion.ts); 0: every block is, before it runs. */
  readonly hot?: number;
  /** Done again and again while run() waits for another core's thread: for whoever waits for this one. */
  readonly meanwhile?: () => void;
}

/** Slots beyond those in use: every module with handlers keeps a copy of the table, so it is no larger than it must. */
const SPARE_SLOTS = 256;
/** run() cuts itself so that somebody sees where the time goes (fusion.ts). */
const SLICE = 20_000;
const DR7_ENABLES = 0xff;
const DR6_BS = 0x4000;
const FLAG_RF = 0x1_0000;
const UD = 6;

interface Exports {
  enter(core: number, patch: number, budget: number): number;
  partial(core: number, block: number, budget: number): number;
  slice(core: number, hot: number, budget: number): number;
  refresh(core: number): void;
}

export class Engine {
  readonly ram: Uint8Array;
  readonly plan: EnginePlan;
  readonly #memory: WebAssembly.Memory;
  readonly #hosts: readonly Host[];
  readonly #live: boolean;
  readonly #onlooker: Onlooker;
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #bus: BusLock;
  readonly #program: Program;
  readonly #table: WebAssembly.Table;
  #modulesReady = 0;
  readonly #generated: Exports;
  readonly #microcode: Microcode;
  readonly #events: Events;
  readonly #stores: WaitingStores;
  readonly #stops: Stops;
  readonly #reader: CodeReader;
  readonly #fusion: Fusion;
  readonly #hot: number;
  readonly #performance: Performance;
  readonly #branches: BranchRecords;
  readonly #states: (CoreState | undefined)[] = [];
  /** The slice that runs may end before the block that would be cut. */
  #wholeBlocks = false;
  /** run() came back since the core stands at a breakpoint, or has just touched what is watched. */
  atBreakpoint = false;
  atWatchpoint = false;

  constructor(memory: WebAssembly.Memory, plan: EnginePlan, hosts: readonly Host[], options: EngineOptions) {
    this.#memory = memory;
    this.plan = plan;
    this.#hosts = hosts;
    this.#live = options.live;
    this.#words = new Int32Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.ram = new Uint8Array(memory.buffer, plan.ramBase, plan.ramBytes);
    this.#performance = new Performance(memory.buffer);
    this.#branches = new BranchRecords(memory.buffer, this.#performance);
    this.#bus = new BusLock(memory, plan.cores, options.live, options.meanwhile);
    this.#program = programOf(options.modules);
    writeMachineWords(memory, plan, options.live);
    const entries = options.storeBuffer ?? 0;
    const most = options.live ? 0 : STORE_BUFFER_MAX; // live cores have the host's
    if (!Number.isInteger(entries) || entries < 0 || entries > most)
      throw new RangeError(`store buffer ${entries}: wanted 0 to ${most} entries`);
    this.#set(STORE_BUFFER_WORD, entries);
    this.#onlooker = new Onlooker(memory.buffer, hosts, options.tracer ?? null, entries > 0);

    this.#table = new WebAssembly.Table({
      element: "anyfunc",
      initial: this.#program.forms.slotsEnd + SPARE_SLOTS,
    });
    const microcode = new WebAssembly.Instance(options.modules.microcode, {
      env: { memory, abort: () => this.#abort() },
      host: {
        ...this.#onlooker.imports(hostImports(hosts, memory.buffer)),
        watchPage: (core: number, host: number) => this.#reader.watchPage(core, host),
      },
    });
    this.#microcode = microcode.exports as unknown as Microcode;
    const { buffer } = memory;
    this.#stores = new WaitingStores(buffer, plan.ramBase, this.#microcode);
    this.#events = new Events(buffer, hosts, this.#bus, this.#microcode, this.#onlooker, this.#performance);
    for (const [name, { slot }] of this.#program.linkage.microcode)
      this.#table.set(slot, microcode.exports[name]);
    const engine = new WebAssembly.Instance(options.modules.engine, {
      env: {
        memory,
        table: this.#table,
        lockBus: (core: number) => {
          this.#stores.drain(core);
          this.#bus.lock(this.#indexOf(core));
        },
        unlockBus: (core: number) => {
          this.#stores.drain(core);
          this.#bus.unlock(this.#indexOf(core));
        },
      },
    });
    this.#generated = engine.exports as unknown as Exports;
    this.#hot = options.hot ?? (options.live ? HOT.live : HOT.seeded);
    this.#fusion = new Fusion(buffer, this.#program.forms, this.#hot, () => this.#makeReady());
    this.#reader = new CodeReader({
      memory,
      plan,
      bus: this.#bus,
      translate: (c, linear, access) => this.#microcode["translate"](c, linear, access),
      hostOf: (physical) => this.#microcode["hostAt"](0, physical),
      decoder: this.#program.decoder,
      handlersNeeded: () => this.#makeReady(),
      forgotten: (core) => {
        this.#fusion.forget();
        this.#forgetGuesses(coreAddress(core));
      },
      fetchedFromDevice: (core, linear) =>
        hosts[core].unimplemented(`instruction fetch from a device at ${linear.toString(16)}`),
    });
    this.#stops = new Stops(buffer, this.#reader);
  }

  // --- words of a core block ---
  #get(address: number): number {
    return this.#words[address >>> 2];
  }
  #set(address: number, value: number): void {
    this.#words[address >>> 2] = value;
  }
  #indexOf(address: number): number {
    return (address - coreAddress(0)) / (coreAddress(1) - coreAddress(0));
  }
  /** What would lead to blocks that are gone. */
  #forgetGuesses(c: number): void {
    this.#set(c + CHAIN_SINK, 0);
    for (let at = 0; at < RETURNS_BYTES; at += 4) this.#set(c + RETURNS + at, c + CHAIN_SINK);
  }
  #abort(): never {
    throw new Error("the microcode aborted");
  }

  // --- running ---

  /**
   * Runs one core for at most `budget` instructions; gives how many it retired. Comes back early when it sleeps, and live
   * also before a block that is longer than what is left: its rest would be a block of its own, to be decoded.
   */
  run(core: number, budget: number): number {
    if (this.#events.running >= 0) throw new Error(`run(${core}) inside run(${this.#events.running})`);
    if (!Number.isInteger(budget) || budget < 0 || budget > 0x7fff_ffff)
      throw new RangeError(`run: a budget of ${budget}`);
    const c = coreAddress(core);
    this.#events.running = core;
    this.#events.stopping = false;
    this.atBreakpoint = false;
    this.#onlooker.hit = false;
    let left = budget;
    if (this.#live) this.#bus.unpark(core);
    try {
      left = this.#slices(core, c, budget);
    } finally {
      this.#unstop(c);
      this.#events.running = -1;
      if (this.#live) this.#bus.park(core);
    }
    const retired = budget - left;
    this.#count(c, retired);
    this.#set(c + RUN_START, 0);
    this.#set(c + RUN_BUDGET, 0);
    this.#set(c + RUN_OP, 0);
    this.atWatchpoint = this.#onlooker.hit;
    return retired;
  }

  /** Up to each moment at which a performance counter may overflow. */
  #slices(core: number, c: number, budget: number): number {
    let left = budget;
    for (;;) {
      const until = this.#performance.left(c, budget - left);
      this.#set(c + RUN_START, budget);
      this.#set(c + RUN_BUDGET, left);
      if (until <= 0) {
        this.#microcode["countersDue"](c);
        continue;
      }
      const slice = Math.min(left, until, SLICE);
      this.#wholeBlocks = this.#live && slice < until;
      this.#events.recounting = false;
      this.#set(c + RUN_START, budget - left + slice);
      const after = this.#loop(core, c, slice);
      left += after - slice;
      if (left <= 0 || (after > 0 && !this.#events.recounting)) return left;
    }
  }

  #loop(core: number, c: number, budget: number): number {
    const { enter, refresh, slice } = this.#generated;
    const onlooker = this.#onlooker;
    const { stepwise } = onlooker;
    let left = budget;
    for (;;) {
      if (left > 0 && this.#plain) {
        const why = slice(c, this.#hot, left);
        if (why === EXIT.done) return 0;
        if (why !== EXIT.look) {
          left = this.#handle(why, core, c);
          continue;
        }
      }
      if (onlooker.hit) return left;
      this.#set(c + RUN_BUDGET, left);
      this.#set(c + RUN_OP, 0);
      this.#events.take(core, c);
      if (this.#events.stopping || left <= 0 || onlooker.hit || this.#events.recounting) return left;
      if (this.#events.trapping(c)) {
        this.#performance.exception(c);
        this.#microcode["debugTrap"](c);
        left--;
        continue;
      }
      if (this.#get(c + ACTIVITY) !== ACTIVE) return left;
      this.#stops.noteGuest(c);
      refresh(c);
      const watched = this.#stops.near(core);
      if (watched && this.#stops.here(core, this.retired(core))) {
        this.atBreakpoint = true;
        return left;
      }
      const special = this.#get(c + SHADOW) !== 0 || (this.#get(c + FLAGS_OTHER) & (FLAG_TF | FLAG_RF)) !== 0;
      if (special || stepwise || watched || this.#branches.wanted(c)) left = this.#step(core, c, left);
      else if (this.#performance.counting(c)) left = this.#toBranch(core, c, left);
      else left = this.#handle(enter(c, c + CHAIN_SINK, left), core, c);
    }
  }

  /** Adds to RETIRED, whose halves are added apart: this runs for every slice. */
  #count(c: number, retired: number): void {
    const low = (this.#get(c + RETIRED) >>> 0) + retired;
    this.#set(c + RETIRED, low);
    if (low > 0xffff_ffff) this.#set(c + RETIRED + 4, this.#get(c + RETIRED + 4) + 1);
  }

  /** What generated code came back for; gives the budget that is left. A fault drops what its instruction had pending. */
  #handle(why: number, core: number, c: number, drops = true): number {
    let next = why;
    if (next === EXIT.partial) {
      const left = this.#get(c + RUN_BUDGET);
      const done = this.#get(c + RUN_START) - left;
      this.#fusion.sample(this.#get(c + BLOCK_FOUND), done);
      if (this.#wholeBlocks && done > 0) {
        this.#events.stopping = true;
        return left;
      }
      this.#set(c + SHADOW, 0);
      next = this.#partial(c, left);
    }
    switch (next) {
      case EXIT.decode:
        this.#set(c + RUN_OP, 0);
        this.#decode(core, c);
        break;
      case EXIT.unimplemented:
        this.#unimplemented(core, c);
        break;
      default:
    }
    if (this.#get(c + FAULT_VECTOR) < 0) return this.#get(c + RUN_BUDGET);
    this.#performance.interrupted(c, this.#get(c + RUN_BUDGET), this.#restOf(c));
    this.#set(c + RUN_OP, 0);
    if (drops) this.#set(c + DEBUG_PENDING, 0);
    if (this.#get(c + FAULT_VECTOR) === STEP_WANTED) {
      this.#set(c + FAULT_VECTOR, -1);
      return this.#step(core, c, this.#get(c + RUN_BUDGET));
    }
    const left = this.#get(c + RUN_BUDGET) - 1;
    this.#performance.exception(c);
    this.#set(c + RUN_BUDGET, left);
    this.#onlooker.fault(core);
    this.#microcode["deliver"](c);
    return left;
  }

  #restOf(c: number): number {
    const op = this.#get(c + RUN_OP);
    return op === 0 ? 0 : this.#bytes[op + OP_REST];
  }

  /** Up to the next branch, of which the performance counters learn whether it has retired. */
  #toBranch(core: number, c: number, left: number): number {
    const block = this.#decode(core, c);
    if (block === undefined) return this.#handle(EXIT.fault, core, c);
    this.#set(c + BLOCK_FOUND, block);
    const count = Math.min(left, this.#performance.opsToBranch(block, this.#bytes[block + BLOCK_COUNT]));
    const rip = this.#get(c + RIP);
    const start = this.#get(c + RUN_START);
    this.#set(c + RUN_START, start - left + count);
    const why = this.#partial(c, count);
    this.#set(c + RUN_START, start);
    const after = left - count + this.#get(c + RUN_BUDGET);
    const faulted = this.#get(c + FAULT_VECTOR) >= 0;
    if (faulted) this.#performance.interrupted(c, this.#get(c + RUN_BUDGET), this.#restOf(c));
    this.#set(c + RUN_BUDGET, after);
    if (faulted || why === EXIT.unimplemented) return this.#handle(why, core, c);
    if (after === left - count) this.#performance.retired(c, block, count - 1, rip);
    return after;
  }

  /** Runs as much of the block at BLOCK_FOUND as the budget covers. */
  #partial(c: number, budget: number): number {
    return this.#generated.partial(c, this.#get(c + BLOCK_FOUND), budget);
  }
  /** The op that was a stop meanwhile is itself again, whatever a device may have thrown. */
  #unstop(c: number): void {
    const op = this.#get(c + RUN_STOP);
    if (op === 0) return;
    this.#view.setUint16(op + OP_HANDLER, this.#get(c + RUN_STOPPED), true);
    this.#set(c + RUN_STOP, 0);
  }

  /** Nobody looks on, nor stops at instructions, nor waits for blocks to be fused: cores that take turns go the short way. */
  get #plain(): boolean {
    return !this.#live && !this.#onlooker.stepwise && !this.#reader.stops && !this.#fusion.waits;
  }

  /**
   * One instruction on its own, or one iteration of a repeated one: in a shadow, with TF or RF set, watched, or traced.
   * RF holds for one instruction only. Traps gather in DEBUG_PENDING; a fault drops them, as processors do with those
   * that MOV SS held off.
   */
  #step(core: number, c: number, left: number): number {
    const begun = this.#get(c + REPEATING) !== 0;
    this.#set(c + SHADOW, 0);
    if (!begun && this.#watching(c) && this.#microcode["codeBreakpoint"](c) !== 0n)
      return this.#handle(EXIT.fault, core, c, false);
    const flags = this.#get(c + FLAGS_OTHER);
    this.#set(c + FLAGS_OTHER, flags & ~FLAG_RF);
    const mnemonic = this.#mnemonicAtRip(core, c);
    const [block, rip] = [this.#get(c + BLOCK_FOUND), this.#get(c + RIP)];
    if (mnemonic !== undefined)
      this.#onlooker.instruction(core, () => this.#reader.bytesOf(this.#get(c + BLOCK_FOUND)));
    // What a device or RDTSC sees of the time counts from the start of run(), not of this step (executed()).
    const start = this.#get(c + RUN_START);
    this.#set(c + RUN_START, start - left + 1);
    this.#set(c + STEPPING, 1);
    const why = mnemonic === undefined ? EXIT.fault : this.#partial(c, 1);
    this.#set(c + STEPPING, 0);
    this.#set(c + RUN_START, start);
    if (mnemonic === undefined) this.#set(c + RUN_BUDGET, 1);
    const after = left - 1 + this.#get(c + RUN_BUDGET);
    if (this.#get(c + FAULT_VECTOR) >= 0 || why === EXIT.unimplemented) {
      this.#performance.interrupted(c, this.#get(c + RUN_BUDGET), this.#restOf(c));
      this.#set(c + RUN_BUDGET, after);
      this.#set(c + DEBUG_PENDING, 0);
      this.#onlooker.hit = false;
      return this.#handle(why, core, c);
    }
    if (after < left && this.#performance.counting(c)) this.#performance.retired(c, block, 0, rip);
    const ends = after < left && this.#branches.stepEnds(c, block, rip);
    const holds = this.#get(c + SHADOW) === SHADOW_STACK;
    if (ends && !holds && stepTraps(mnemonic, flags, this.#get(c + FLAGS_OTHER)))
      this.#set(c + DEBUG_PENDING, this.#get(c + DEBUG_PENDING) | DR6_BS);
    return after;
  }
  /** Breakpoints are enabled in DR7. */
  #watching(c: number): boolean {
    return (this.#get(c + DR + 7 * 8) & DR7_ENABLES) !== 0;
  }

  /** Decodes at RIP if need be; the block is BLOCK_FOUND then. undefined: the fetch faulted. */
  #mnemonicAtRip(core: number, c: number): Mnemonic | undefined {
    const block = this.#decode(core, c);
    if (block === undefined) return undefined;
    this.#set(c + BLOCK_FOUND, block);
    return mnemonicOf(this.#view.getUint16(block + BLOCK_HEADER_BYTES + OP_CODE, true));
  }

  // --- breakpoints of a debugger, which the guest does not see ---

  /**
   * run() comes back, with atBreakpoint, before an instruction at one of these linear addresses. The next run() of the
   * core goes on from there.
   */
  setBreakpoints(linear: ReadonlySet<bigint>): void {
    if (this.#live) throw new Error("breakpoints are for cores of one thread");
    this.#stops.set(linear);
  }
  /** run() comes back, with atWatchpoint, after an instruction of which this says so; null: no longer. */
  watch(watch: Watch | null): void {
    if (this.#live) throw new Error("watchpoints are for cores of one thread");
    this.#onlooker.watch(watch);
  }
  /** The block at RIP. Its bytes may still wait in the core's own store buffer: they go to memory then. */
  #decode(core: number, c: number): number | undefined {
    const block = this.#reader.decode(core);
    if (block !== undefined) this.#fusion.found(block);
    if (this.#stores.count(c) === 0) return block;
    if (block !== undefined && !this.#stores.hits(c, block)) return block;
    this.#set(c + FAULT_VECTOR, -1);
    this.#stores.drain(c);
    return this.#reader.decode(core);
  }
  #unimplemented(core: number, c: number): void {
    const code = this.#view.getUint16(this.#get(c + RUN_OP) + OP_CODE, true);
    this.#hosts[core].unimplemented(`instruction ${codeName(code)} at ${this.state(core).rip.toString(16)}`);
    raise(this.#words, c, UD);
  }

  // --- code ---
  /** Handlers generated since the last time come into this engine's table. */
  #makeReady(): void {
    const { forms } = this.#program;
    forms.flush();
    if (forms.slotsEnd > this.#table.length)
      this.#table.grow(forms.slotsEnd - this.#table.length + SPARE_SLOTS);
    for (; this.#modulesReady < forms.modules.length; this.#modulesReady++) {
      const env = { memory: this.#memory, table: this.#table };
      new WebAssembly.Instance(forms.modules[this.#modulesReady], { env });
    }
  }

  // --- the machine around ---

  /** RESET: the core starts as after power-on; what it has decoded is forgotten. */
  reset(core: number): void {
    const c = coreAddress(core);
    this.#microcode["reset"](c, 0n);
    this.#events.forget(c);
    this.#set(c + A20_SEEN, this.#get(A20_MASK_WORD));
    this.#reader.forget(core);
  }

  /** Whether run() would do anything. */
  runnable(core: number): boolean {
    return this.#events.wakes(core, coreAddress(core));
  }
  /** Stores that a core has executed and that have not reached memory. */
  storesWaiting(core: number): number {
    return this.#stores.count(coreAddress(core));
  }
  /** Lets the oldest of them go, at most so many. */
  drainStores(core: number, most: number): void {
    this.#stores.drain(coreAddress(core), BigInt(most));
  }
  isShutDown(core: number): boolean {
    return this.#get(coreAddress(core) + ACTIVITY) === SHUTDOWN;
  }

  /** Instructions that the core has retired, before its last RESET too, exact inside run() as well. */
  retired(core: number): number {
    return retiredOf(this.#memory, core) + this.executed(core);
  }
  /** Instructions since the start of the run() that is under way; 0 outside. */
  executed(core: number): number {
    if (this.#events.running !== core) return 0;
    const c = coreAddress(core);
    const op = this.#get(c + RUN_OP);
    // Blocks are charged as a whole: the op under way and those after it have not happened yet.
    const ahead = op === 0 ? 0 : this.#bytes[op + OP_REST] + 1;
    return this.#get(c + RUN_START) - this.#get(c + RUN_BUDGET) - ahead;
  }
  /** Lets the run() that is under way come back at the next instruction boundary that looks. */
  interruptRun(): void {
    if (this.#events.running < 0) return;
    const c = coreAddress(this.#events.running);
    Atomics.or(this.#words, (c + ATTENTION) >>> 2, ATTENTION_STOP);
  }

  /** RAM was changed from outside the cores (DMA, loading): what was decoded from it is stale. */
  written(physical: number, length: number): void {
    writtenBy(this.#memory, physical, length);
  }
  /** Which RAM is known as code, and making it so. */
  codeLines(): MarkedLines[] {
    return markedLines(this.#memory, this.plan.ramBytes);
  }
  markCode(lines: readonly MarkedLines[]): void {
    markLines(this.#memory, lines);
  }
  loadRom(bytes: Uint8Array): void {
    const { romBase, romBytes } = this.plan;
    if (bytes.length !== romBytes)
      throw new RangeError(`loadRom: ${bytes.length} bytes, planned ${romBytes}`);
    this.#bytes.set(bytes, romBase);
  }
  /** The key of a core's RDRAND: 8 words. */
  seedRandom(core: number, key: Uint32Array): void {
    if (key.length !== 8) throw new RangeError(`seedRandom: a key of ${key.length} words`);
    this.#words.set(key, (coreAddress(core) + RANDOM_KEY) >>> 2);
  }
  setA20(open: boolean): void {
    setA20(this.#memory, open);
  }
  /** The gate as a snapshot has it: which translations each core made under it, and whether it has seen it move, are the core's. */
  restoreA20(open: boolean): void {
    this.#set(A20_MASK_WORD, a20Mask(open));
  }

  state(core: number): CoreState {
    let state = this.#states[core];
    if (state === undefined) {
      const c = coreAddress(core);
      state = new CoreState(this.#memory.buffer, c, () => this.#microcode["flushTlb"](c));
      this.#states[core] = state;
    }
    return state;
  }
  describe(core: number): string {
    return this.state(core).describe();
  }
  snapshot(core: number): CoreRecord {
    return this.state(core).record();
  }
  /** What the core has decoded stays: it holds as long as the bytes that it came from (written()). */
  restore(core: number, record: CoreRecord): void {
    this.#stops.forget(core);
    this.state(core).restore(record);
    if (this.#get(STORE_BUFFER_WORD) === 0) this.#stores.drain(coreAddress(core)); // nobody would look there
    const line = lineWatched(this.#words, coreAddress(core));
    setWatcher(this.#words, core, line !== 0);
    if (line !== 0) this.#reader.watchPage(core, line);
    this.#reader.slowStores(core);
    this.#set(coreAddress(core) + DEBUG_CHANGED, 1);
  }
}

// --- doors for threads that run no core ---

export function retiredOf(memory: WebAssembly.Memory, core: number): number {
  return Number(new DataView(memory.buffer).getBigUint64(coreAddress(core) + RETIRED, true));
}
const a20Mask = (open: boolean): number => (open ? -1 : ~0x10_0000);
/** Opens or closes the A20 gate. Each core drops its translations before it goes on. */
export function setA20(memory: WebAssembly.Memory, open: boolean): void {
  const words = new Int32Array(memory.buffer);
  Atomics.store(words, A20_MASK_WORD >>> 2, a20Mask(open));
  for (let core = 0; core < 64; core++)
    Atomics.or(words, (coreAddress(core) + ATTENTION) >>> 2, ATTENTION_BUS_LOCK);
}
