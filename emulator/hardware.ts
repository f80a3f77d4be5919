// What both ways of running build alike: the shared memory with its parts, the board on it, and the options.

import { checkCores, checkMemory } from "./arguments.js";
import { MAILBOX_WORDS } from "./board/mailbox.js";
import { Pc, type PcOptions, type PowerEvent } from "./board/pc.js";
import type { Clock } from "./clock.js";
import { type EnginePlan, plan } from "./cpu/engine.js";
import { CORE_BYTES, CORES_BASE, MAILBOX } from "./cpu/layout.js";
import type { Trace } from "./devices/device.js";
import type { Wire } from "./devices/virtio-net.js";
import type { Tracer } from "./trace.js";

/** What may be plugged into the board besides, and the date: see board/pc.ts. */
type Plugged = Pick<
  PcOptions,
  "mac" | "disks" | "entropy" | "virtioConsole" | "debugConsole" | "biosConsole" | "testDevice" | "startTime"
>;

export interface MachineOptions extends Readonly<Plugged> {
  readonly name?: string;
  /** 1 to 64. */
  readonly cores?: number;
  /** RAM in bytes: whole pages, 1 MiB to 3 GiB. */
  readonly memory?: number;
  /** ROM that ends at 4 GiB; without one the reset vector finds nothing. */
  readonly firmware?: Uint8Array;
  /**
   * At RESET RAM from 000C_0000 to 000F_FFFF holds a copy of the ROM's end and answers instead of it, as if a chip set
   * had been told to: a PC BIOS keeps its variables there.
   */
  readonly shadowedRom?: boolean;
  /** Handed to the firmware through fw_cfg. */
  readonly kernel?: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly commandLine?: string;
  /** Further fw_cfg files by name: bootFiles() makes those that the firmware reads. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  /** Each byte that the guest writes to COM1. */
  readonly console?: (byte: number) => void;
  /** What RDRAND draws from in virtual time, together with the name; 1 unless told. Live machines ask the host. */
  readonly seed?: number;
  /** Which console receiveByte() types on; the serial one unless told. */
  readonly keyboard?: "serial" | "virtio-console";
  readonly tracer?: Tracer;
  /** Entries of each core's store buffer, 1 to 64, for seeded runs: stores reach memory when the seed says so. */
  readonly storeBuffer?: number;
}

export const MEMORY_DEFAULT = 64 << 20;
const EMPTY_ROM = new Uint8Array(0);

export interface Hardware {
  readonly plan: EnginePlan;
  readonly memory: WebAssembly.Memory;
  readonly ram: Uint8Array;
  readonly mailboxes: readonly Int32Array[];
  readonly rom: Uint8Array;
}

/** Reserves the machine's memory and puts the ROM into it; RAM is not touched yet. */
export function buildHardware(o: MachineOptions): Hardware {
  const cores = checkCores(o.cores ?? 1);
  const ramBytes = checkMemory(o.memory ?? MEMORY_DEFAULT);
  const rom = o.firmware ?? EMPTY_ROM;
  const layout = plan({
    cores,
    ramBytes,
    romBytes: rom.length,
    shadowedRom: o.shadowedRom ?? false,
  });
  const memory = new WebAssembly.Memory({ initial: layout.pages, maximum: layout.pages, shared: true });
  new Uint8Array(memory.buffer, layout.romBase, rom.length).set(rom);
  return {
    plan: layout,
    memory,
    ram: new Uint8Array(memory.buffer, layout.ramBase, ramBytes),
    mailboxes: mailboxesOf(memory, cores),
    rom,
  };
}

/** Each core's mailbox lies in its own core block. */
export function mailboxesOf(memory: WebAssembly.Memory, cores: number): Int32Array[] {
  return Array.from(
    { length: cores },
    (_, core) => new Int32Array(memory.buffer, CORES_BASE + core * CORE_BYTES + MAILBOX, MAILBOX_WORDS),
  );
}

export interface BoardWiring {
  readonly trace: Trace;
  readonly clock: Clock;
  written(physical: number, length: number): void;
  readonly wire: Wire;
  power(event: PowerEvent): void;
  a20(open: boolean): void;
}

/** A byte typed: false when the console's device has no room for it. */
export const typeOn = (board: Pc, o: MachineOptions, byte: number): boolean =>
  o.keyboard === "virtio-console" ? board.receiveVirtioConsole(byte) : board.receiveByte(byte);

export function buildBoard(hardware: Hardware, o: MachineOptions, wiring: BoardWiring): Pc {
  const { ram } = hardware;
  return new Pc({
    ...o,
    cores: o.cores ?? 1,
    clock: wiring.clock,
    memory: {
      bytes: ram,
      view: new DataView(ram.buffer, ram.byteOffset, ram.byteLength),
      written: wiring.written,
      shadowed: o.shadowedRom ?? false,
    },
    mailboxes: hardware.mailboxes,
    rom: hardware.rom,
    console: o.console ?? (() => {}),
    wire: wiring.wire,
    power: wiring.power,
    a20: wiring.a20,
    trace: wiring.trace,
  });
}
