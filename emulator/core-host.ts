// What a core finds outside its own chip: I/O ports, device memory, its local APIC, the time. The engine calls it
// in the core's own thread; behind `board` stands the board itself or, in live mode, the channel to its thread.

import type { CoreDevices } from "./board/core-devices.js";
import type { BoardService } from "./channel.js";
import type { Clock } from "./clock.js";
import { cpuid } from "./cpu/cpuid.js";
import type { Host } from "./cpu/engine.js";
import type { Trace } from "./devices/device.js";

const APIC_ENABLED = 1n << 11n;

export interface CoreHostOptions {
  readonly core: number;
  readonly cores: number;
  readonly board: BoardService;
  readonly devices: CoreDevices;
  readonly clock: Clock;
  readonly trace: Trace;
}

export class CoreHost implements Host {
  readonly #core: number;
  readonly #cores: number;
  readonly #board: BoardService;
  readonly #devices: CoreDevices;
  readonly #clock: Clock;
  readonly #trace: Trace;

  constructor({ core, cores, board, devices, clock, trace }: CoreHostOptions) {
    this.#core = core;
    this.#cores = cores;
    this.#board = board;
    this.#devices = devices;
    this.#clock = clock;
    this.#trace = trace;
  }

  portRead(port: number, bytes: number): number {
    return this.#board.portRead(port, bytes);
  }
  portWrite(port: number, bytes: number, value: number): void {
    this.#board.portWrite(port, bytes, value);
  }
  busRead(physical: number, bytes: number): number {
    const devices = this.#devices;
    return devices.contains(physical) ? devices.read(physical, bytes) : this.#board.read(physical, bytes);
  }
  busWrite(physical: number, bytes: number, value: number): void {
    const devices = this.#devices;
    if (devices.contains(physical)) devices.write(physical, bytes, value);
    else this.#board.write(physical, bytes, value);
  }
  timestamp(): number {
    return this.#clock.now();
  }
  cpuid(leaf: number, subleaf: number): readonly [number, number, number, number] {
    const apicEnabled = (this.#devices.apicBase() & APIC_ENABLED) !== 0n;
    return cpuid(leaf, subleaf, { core: this.#core, cores: this.#cores, apicEnabled });
  }
  pendingInterrupt(): boolean {
    return this.#devices.pendingVector() >= 0;
  }
  acknowledge(): number {
    return this.#devices.acknowledge();
  }
  readApicBase(): number {
    return Number(this.#devices.apicBase() & 0xffff_ffffn);
  }
  writeApicBase(low: number, high: number): boolean {
    return this.#devices.setApicBase((BigInt(high) << 32n) | BigInt(low));
  }
  readApicMsr(msr: number, half: 0 | 1): number {
    return this.#devices.readMsr(msr, half);
  }
  writeApicMsr(msr: number, low: number, high: number): boolean {
    return this.#devices.writeMsr(msr, low, high);
  }
  readTscDeadline(half: 0 | 1): number {
    return this.#devices.tscDeadline(half);
  }
  writeTscDeadline(low: number, high: number, left: number): void {
    this.#devices.setTscDeadline(low, high, left);
  }
  performanceInterrupt(): void {
    this.#devices.performanceInterrupt();
  }
  initialise(): void {
    this.#devices.init();
  }
  readTaskPriority(): number {
    return this.#devices.cr8();
  }
  writeTaskPriority(value: number): void {
    this.#devices.setCr8(value);
  }
  unimplemented(what: string): void {
    this.#trace(`core ${this.#core}`, `not implemented: ${what}`);
  }
}
