// One machine on this thread: cores, memory and board, in virtual time. It is the library's main class, what a
// seeded cluster is made of, and what hardware-level tests use. Cores run when a schedule says so, or run(); one
// instruction takes one nanosecond.

import { checkSeed } from "./arguments.js";
import { assemble, type Bits } from "./assembler.js";
import { CoreDevices } from "./board/core-devices.js";
import { address, ISA_LINES } from "./board/map.js";
import type { Pc, PowerEvent } from "./board/pc.js";
import { checkWhole } from "./bounds.js";
import { CoreHost } from "./core-host.js";
import { compile, Engine } from "./cpu/engine.js";
import { ACTIVE, HALTED } from "./cpu/layout.js";
import type { Watch } from "./cpu/onlooker.js";
import type { CoreState } from "./cpu/state.js";
import { shutdownText } from "./disassembler.js";
import { checkPlace, enterFlat, type FlatOptions, placeOf } from "./flat.js";
import { buildBoard, buildHardware, type Hardware, type MachineOptions, typeOn } from "./hardware.js";
import type { Link } from "./link.js";
import { Random } from "./random.js";
import { Schedule, type Scheduled } from "./schedule.js";
import { decodeSnapshot, encodeSnapshot, restoreRam, type Snapshot } from "./snapshot.js";

export type { MachineOptions } from "./hardware.js";

export interface RunOptions {
  /** Virtual nanoseconds (instructions of each core) at most; 1 s unless told. */
  readonly limit?: number;
  /** Draws the interleaving of several cores; 1 unless told. */
  readonly seed?: number;
  /** Longest slice of one core, in instructions. */
  readonly slice?: number;
  /** Longest time in nanoseconds for which a core may stand still; none does unless told. */
  readonly stall?: number;
}

/** Why a run ended: every core sleeps where no interrupt can wake it, the limit came, the machine is off, or a core stands at a breakpoint. */
export type RunEnd = "halted" | "limit" | "off" | "breakpoint";

const FLAG_IF = 0x200n;
const PAGE_BYTES = 4096;

export class Machine implements Scheduled {
  readonly name: string;
  readonly cores: number;
  /** Physical memory from 0. Writing here does not tell the cores of changed code: use load(). */
  readonly ram: Uint8Array;
  /** False once the guest has switched the machine off, or it has shut itself down. */
  powered = true;
  /** What ended the machine against its guest's will (a triple fault); empty otherwise. */
  problem = "";
  /** What the guest wrote to the exit port. */
  exitCode: number | null = null;

  readonly buffersStores: boolean;
  readonly #options: MachineOptions;
  readonly #engine: Engine;
  readonly #board: Pc;
  readonly #devices: readonly CoreDevices[];
  /** Time at the start of this quantum, and the latest time that anyone has seen. */
  #now = 0;
  #seen = 0;
  /** Instructions of each core since the start of this quantum. */
  readonly #spent: number[];
  #running = 0;
  #link: Link | null = null;
  #resetWanted = false;
  /** The core that stands at a breakpoint, or has done its step; -1 for none. Who looked sets it back. */
  pausedCore = -1;
  #pauseCore = -1;
  #pauseRetired = 0;
  #pauseLeft: (() => number) | null = null;

  private constructor(o: MachineOptions, hardware: Hardware, modules: Awaited<ReturnType<typeof compile>>) {
    this.#options = o;
    this.name = o.name ?? "machine";
    this.cores = o.cores ?? 1;
    this.ram = hardware.ram;
    this.#spent = new Array<number>(this.cores).fill(0);
    const clock = { now: () => this.#time() };
    const trace = (source: string, text: string) => o.tracer?.report(source, text, this.#seen);
    // Board, local APICs and engine know each other; the engine comes first, its hosts last.
    const hosts: CoreHost[] = [];
    this.#engine = new Engine(hardware.memory, hardware.plan, hosts, {
      modules,
      live: false,
      tracer: o.tracer ?? null,
      storeBuffer: o.storeBuffer ?? 0,
    });
    this.buffersStores = (o.storeBuffer ?? 0) > 0;
    this.#board = buildBoard(hardware, o, {
      clock,
      trace,
      written: (physical, length) => this.#engine.written(physical, length),
      wire: {
        send: (frame) => {
          o.tracer?.frame("sent", frame.length, this.#seen);
          this.#link?.send(frame);
        },
        together: (send) => send(), // time stands still meanwhile
      },
      power: (event) => this.#power(event),
      a20: (open) => this.#engine.setA20(open),
    });
    this.#devices = hardware.mailboxes.map(
      (_, core) =>
        new CoreDevices({
          core,
          cores: this.cores,
          clock,
          mailboxes: hardware.mailboxes,
          interruptAcknowledge: () => this.#board.interruptAcknowledge(),
          endOfInterrupt: (vector) => this.#board.endOfInterrupt(vector),
          physicalAddressBits: 40,
          trace,
        }),
    );
    this.#devices.forEach((devices, core) => {
      hosts.push(new CoreHost({ core, cores: this.cores, board: this.#board, devices, clock, trace }));
    });
    const random = new Random(checkSeed(o.seed ?? 1)).fork(this.name);
    for (let core = 0; core < this.cores; core++)
      this.#engine.seedRandom(
        core,
        Uint32Array.from({ length: 8 }, () => random.bits()),
      );
    this.#reset();
  }

  static async create(options: MachineOptions = {}): Promise<Machine> {
    return new Machine(options, buildHardware(options), await compile());
  }

  // --- what a test does ---

  /** A core's registers as they are at any time, to read and to write between runs. */
  core(index = 0): CoreState {
    this.#checkCore(index);
    return this.#engine.state(index);
  }

  #checkCore(index: number): void {
    if (!Number.isInteger(index) || index < 0 || index >= this.cores)
      throw new RangeError(`core ${index}: there are cores 0 to ${this.cores - 1}`);
  }

  /** Puts bytes into RAM; code that stood there is forgotten. */
  load(address: number, bytes: Uint8Array): void {
    if (!Number.isInteger(address) || address < 0 || address + bytes.length > this.ram.length) {
      throw new RangeError(`load: ${bytes.length} bytes at ${address.toString(16)} are not all in RAM`);
    }
    this.ram.set(bytes, address);
    this.#engine.written(address, bytes.length);
  }

  read(address: number, bytes: 1 | 2 | 4 | 8): bigint {
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#byte(address + i));
    return value;
  }

  write(address: number, bytes: 1 | 2 | 4 | 8, value: bigint | number): void {
    const wide = BigInt.asUintN(64, BigInt(value));
    this.load(
      address,
      Uint8Array.from({ length: bytes }, (_, i) => Number((wide >> BigInt(8 * i)) & 0xffn)),
    );
  }

  #byte(address: number): number {
    if (!Number.isInteger(address) || address < 0 || address >= this.ram.length)
      throw new RangeError(`read: ${address.toString(16)} is not RAM`);
    return this.ram[address]!;
  }

  /**
   * Places a program and lets cores start in it, with flat segments and, in 64-bit mode, memory mapped one to
   * one: the state in which most hardware-level tests begin. Text is assembled at `at`. Tables take the pages from 1000 to 7FFF
   * (flat.ts); throws where the program would lie under them. Core i finds i in RDI.
   */
  start(program: string | Uint8Array, options: FlatOptions = {}): void {
    const at = placeOf(options);
    const bits: Bits = options.bits ?? 64;
    const bytes = typeof program === "string" ? assemble(program, { bits, origin: at }) : program;
    checkPlace(at, bytes.length, bits);
    this.load(at, bytes);
    enterFlat(this, options);
  }

  /** Runs all cores until they sleep for good, or the limit. */
  run({ limit = 1e9, seed = 1, slice = 50, stall = 0 }: RunOptions = {}): RunEnd {
    checkSeed(seed);
    if (limit !== Number.POSITIVE_INFINITY) checkWhole("limit", limit, 0, Number.MAX_SAFE_INTEGER);
    const schedule = new Schedule([this], [], new Random(seed), { slice, stall });
    schedule.now = this.#now;
    const end = this.#now + limit;
    for (;;) {
      if (schedule.now >= end) return "limit";
      const turn = schedule.turn(end);
      if (!this.powered) return "off";
      if (turn === "paused") {
        this.pausedCore = -1;
        this.advance(this.#now + Math.max(...this.#spent));
        return "breakpoint";
      }
      if (turn === "idle") return "halted";
      if (!this.#asleep()) continue;
      this.drainStores(null); // a store that comes to memory may end an MWAIT
      if (this.#asleep()) return "halted";
    }
  }

  /** Whether every core has stopped with interrupts off, or has not been started. */
  #asleep(): boolean {
    for (let index = 0; index < this.cores; index++) {
      const core = this.core(index);
      const deaf = core.activity !== HALTED || (core.rflags & FLAG_IF) === 0n;
      if (core.activity === ACTIVE || !deaf || this.runnable(index)) return false;
    }
    return true;
  }

  /** Lets one core retire at most this many instructions, up to where a run would come back; gives how many it did. */
  step(core = 0, instructions = 1): number {
    this.#checkCore(core);
    checkWhole("instructions", instructions, 0, Number.MAX_SAFE_INTEGER);
    let done = 0;
    while (done < instructions && this.powered && this.runnable(core)) {
      const ran = this.runCore(core, instructions - done);
      done += ran;
      if (ran === 0 || this.pausedCore >= 0) break;
    }
    this.pausedCore = -1;
    this.advance(this.#now + done);
    return done;
  }

  /** Runs come back, with "breakpoint", before an instruction at one of these linear addresses; the next goes on. */
  setBreakpoints(linear: Iterable<bigint>): void {
    const all = new Set(linear);
    for (const address of all) {
      if (typeof address !== "bigint" || address !== BigInt.asUintN(64, address))
        throw new RangeError(`breakpoint at ${address}: wanted a bigint of 64 bits without sign`);
    }
    this.#engine.setBreakpoints(all);
  }

  /**
   * For a debugger: pauses the machine once a core has retired so many instructions. -1 for no core.
   */
  pauseAt(core: number, retired = 0): void {
    if (core !== -1) this.#checkCore(core);
    this.#pauseCore = core;
    this.#pauseRetired = retired;
  }
  /** The same after so many instructions of whichever cores as this says, asked before each slice; null: no longer. */
  pauseAfter(left: (() => number) | null): void {
    this.#pauseLeft = left;
  }
  /** The pause is at a breakpoint. */
  get atBreakpoint(): boolean {
    return this.#engine.atBreakpoint;
  }

  /** The pause is after an instruction that touched what is watched. */
  get atWatchpoint(): boolean {
    return this.#engine.atWatchpoint;
  }

  /** Runs pause, atWatchpoint, after an instruction of which this says so; null: no longer. */
  watch(watch: Watch | null): void {
    this.#engine.watch(watch);
  }

  /** RAM was changed by way of `ram` or storageAt(). */
  changed(physical: number, length: number): void {
    checkWhole("changed: address", physical, 0, this.ram.length);
    checkWhole("changed: length", length, 0, this.ram.length - physical);
    this.#engine.written(physical, length);
  }

  /** What is stored at a physical address, up to the end of its page; null for devices and holes. */
  storageAt(physical: number): { bytes: Uint8Array; writable: boolean } | null {
    checkWhole("storage: address", physical, 0, Number.MAX_SAFE_INTEGER);
    const inPage = PAGE_BYTES - (physical % PAGE_BYTES);
    if (physical < address.videoHole || (physical >= address.highRam && physical < this.ram.length))
      return { bytes: this.ram.subarray(physical, physical + inPage), writable: true };
    const rom = this.#options.firmware;
    if (rom === undefined) return null;
    const end = physical < address.highRam ? address.lowRomEnd : address.romEnd;
    const at = physical - (end - rom.length);
    const low = physical >= address.lowRom || end === address.romEnd;
    if (at < 0 || at >= rom.length || !low) return null;
    return { bytes: rom.subarray(at, at + inPage), writable: false };
  }

  /** Raises or lowers an I/O APIC and 8259 input by its ISA number, 0 to 15. */
  raise(line: number, level = true): void {
    if (!Number.isInteger(line) || line < 0 || line >= ISA_LINES)
      throw new RangeError(`raise: line ${line}: there are lines 0 to ${ISA_LINES - 1}`);
    this.#board.setLine(line, level);
  }

  /** A byte typed on the console; false when its device has no room for it. */
  receiveByte(byte: number): boolean {
    return typeOn(this.#board, this.#options, checkWhole("byte", byte, 0, 0xff));
  }

  pressPowerButton(): void {
    this.#board.pressPowerButton();
    if (this.#resetWanted) this.#reset();
  }

  /** CR8 as the core reads it. */
  taskPriority(core: number): number {
    this.#checkCore(core);
    return this.#devices[core]!.cr8();
  }

  // --- the wire ---

  connect(link: Link): void {
    this.#link = link;
  }

  receiveFrame(frame: Uint8Array): boolean {
    if (!this.powered) return false;
    this.#options.tracer?.frame("received", frame.length, this.#seen);
    return this.#board.receiveFrame(frame);
  }

  // --- what a schedule does ---

  /** Instructions retired by all cores. */
  get instructions(): number {
    let sum = 0;
    for (let core = 0; core < this.cores; core++) sum += this.#engine.retired(core);
    return sum;
  }

  runnable(core: number): boolean {
    return !this.#board.asleep && this.#engine.runnable(core);
  }

  runCore(core: number, budget: number): number {
    if (this.#board.asleep) return 0;
    this.#running = core;
    const left = this.#untilPause(core);
    const ran = this.#engine.run(core, Math.min(budget, left));
    this.#spent[core]! += ran;
    if (this.#engine.atBreakpoint || this.#engine.atWatchpoint || (ran > 0 && ran === left))
      this.pausedCore = core;
    if (this.#engine.isShutDown(core)) this.#shutDown(core);
    if (this.#resetWanted) this.#reset();
    return ran;
  }

  drainStores(most: ((waiting: number) => number) | null): void {
    for (let core = 0; core < this.cores; core++) {
      const waiting = this.#engine.storesWaiting(core);
      if (waiting > 0) this.#engine.drainStores(core, most === null ? waiting : most(waiting));
    }
  }

  /** Instructions until pauseAt() or pauseAfter() wants the core to pause. */
  #untilPause(core: number): number {
    if (this.#pauseLeft !== null) {
      const left = this.#pauseLeft();
      return left > 0 ? left : Number.POSITIVE_INFINITY;
    }
    if (this.#pauseCore === -1) return Number.POSITIVE_INFINITY;
    const left = this.#pauseRetired - this.#engine.retired(core);
    return core === this.#pauseCore && left > 0 ? left : Number.POSITIVE_INFINITY;
  }

  nextDeadline(): number {
    let deadline = this.#board.nextDeadline();
    for (const devices of this.#devices) deadline = Math.min(deadline, devices.nextDeadline());
    return deadline;
  }

  advance(now: number): void {
    this.#now = now;
    this.#seen = Math.max(this.#seen, now);
    this.#spent.fill(0);
    this.#board.advance(now);
    for (const devices of this.#devices) devices.advance(now);
    if (this.#resetWanted) this.#reset(); // the clock woke it
  }

  /** Machine time as the running core sees it; it never goes back, whichever core looks. */
  #time(): number {
    const core = this.#running;
    const now = this.#now + this.#spent[core]! + this.#engine.executed(core);
    if (now > this.#seen) this.#seen = now;
    return this.#seen;
  }

  #power(event: PowerEvent): void {
    if (event.kind === "reset") this.#resetWanted = true;
    else if (event.kind !== "sleep") {
      this.powered = false;
      if (event.kind === "exit") this.exitCode = event.code;
    }
    this.#engine.interruptRun();
  }

  #shutDown(core: number): void {
    this.powered = false;
    this.problem = shutdownText(core, this.core(core), this.ram);
  }

  #reset(): void {
    this.#resetWanted = false;
    this.#board.reset();
    for (const devices of this.#devices) devices.reset();
    for (let core = 0; core < this.cores; core++) this.#engine.reset(core);
  }

  // --- snapshots ---

  /** The whole machine as one record; restoring it on a machine of the same shape goes on from here exactly. */
  snapshot(): Snapshot {
    return encodeSnapshot({
      cores: Array.from({ length: this.cores }, (_, core) => this.#engine.snapshot(core)),
      devices: this.#devices.map((d) => d.snapshot()),
      board: this.#board.snapshot(),
      time: { now: this.#now, seen: this.#seen, spent: [...this.#spent] },
      power: { powered: this.powered, problem: this.problem, exitCode: this.exitCode },
      ...(this.buffersStores ? { code: this.#engine.codeLines() } : {}),
      ram: this.ram,
    });
  }

  restore(snapshot: Snapshot): void {
    const s = decodeSnapshot(snapshot, { cores: this.cores, ramBytes: this.ram.length });
    if (this.buffersStores) this.#engine.written(0, this.ram.length);
    restoreRam(this.ram, s.pages, (physical, length) => this.#engine.written(physical, length));
    this.#engine.markCode(s.code ?? []);
    s.cores.forEach((state, core) => {
      this.#engine.restore(core, state);
    });
    s.devices.forEach((state, core) => {
      this.#devices[core]!.restore(state);
    });
    this.#board.restore(s.board);
    this.#engine.restoreA20(this.#board.a20Open);
    this.#now = s.time.now;
    this.#seen = s.time.seen;
    s.time.spent.forEach((instructions, core) => {
      this.#spent[core] = instructions;
    });
    Object.assign(this, s.power);
  }
}
