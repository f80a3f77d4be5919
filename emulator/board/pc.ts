// The board on one page: every shared device, its ports, its addresses and its interrupt line. Lives on one
// thread (the board's); cores reach it by the calls below.

import type { Clock } from "../clock.js";
import type { GuestMemory, Trace } from "../devices/device.js";

export type PowerEvent =
  | { readonly kind: "power-off" }
  | { readonly kind: "reset" }
  | { readonly kind: "exit"; readonly code: number };

export interface PcOptions {
  cores: number;
  clock: Clock;
  /** RAM; its length is the machine's RAM size. */
  memory: GuestMemory;
  /** All cores' mailboxes: cores * MAILBOX_WORDS words of shared memory. */
  mailboxes: Int32Array;
  /** Firmware; ends at 4 GiB, and its last 128 KiB are seen below 1 MiB too. */
  rom: Uint8Array;
  kernel?: Uint8Array;
  initrd?: Uint8Array;
  commandLine?: string;
  /** Further fw_cfg files by name, such as opt/org.example/data. */
  files?: ReadonlyMap<string, Uint8Array>;
  /** Without one, the board has no network function. */
  mac?: Uint8Array;
  /** Console output of COM1. */
  console(byte: number): void;
  /** A frame that the guest sends; the bytes are valid during the call only. */
  frame(frame: Uint8Array): void;
  power(event: PowerEvent): void;
  /** The A20 gate moved: while closed, cores see address bit 20 as 0. Open at reset. */
  a20(open: boolean): void;
  trace: Trace;
}

export declare class Pc {
  constructor(options: PcOptions);
  /** size 1, 2 or 4; values are u32. Unclaimed reads give all ones. */
  portRead(port: number, size: number): number;
  portWrite(port: number, size: number, value: number): void;
  /** Physical space that is neither RAM nor a local APIC page. An access of 8 bytes is two of 4, low first. */
  read(physical: number, size: number): number;
  write(physical: number, size: number, value: number): void;
  /** INTA: the 8259 pair's vector. */
  interruptAcknowledge(): number;
  /** EOI of a level-triggered vector, from a local APIC. */
  endOfInterrupt(vector: number): void;
  nextDeadline(): number;
  advance(now: number): void;
  /** A frame from the wire; false when the device had no room and dropped it. */
  receiveFrame(frame: Uint8Array): boolean;
  /** A byte typed on the console; false when the UART's FIFO is full (try again later). */
  receiveByte(byte: number): boolean;
  readonly a20Open: boolean;
  /** Frames dropped for want of buffers, and the like. */
  readonly counters: {
    readonly framesSent: number;
    readonly framesReceived: number;
    readonly framesDropped: number;
  };
  /** RESET of every shared device. */
  reset(): void;
  snapshot(): object;
  restore(state: object): void;
}
