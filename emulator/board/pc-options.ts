// What a board is built from: what the machine gives it, and what is plugged in.

import type { Clock } from "../clock.js";
import type { GuestMemory, Trace } from "../devices/device.js";
import type { Wire } from "../devices/virtio-net.js";
import type { CardOptions } from "./cards.js";
import { address, CORES_MAX, RAM_BYTES_MAX } from "./map.js";

export type PowerEvent =
  | { readonly kind: "power-off" }
  /** The cores stand still until a reset, which also wakes them; the board's time goes on. */
  | { readonly kind: "sleep" }
  | { readonly kind: "reset" }
  | { readonly kind: "exit"; readonly code: number };

export interface PcOptions extends CardOptions {
  cores: number;
  clock: Clock;
  /** RAM; its length is the machine's RAM size. */
  memory: GuestMemory;
  /** Every core's mailbox, in shared memory. */
  mailboxes: readonly Int32Array[];
  /** Firmware; ends at 4 GiB, and its last 128 KiB are seen below 1 MiB too. */
  rom: Uint8Array;
  kernel?: Uint8Array;
  initrd?: Uint8Array;
  commandLine?: string;
  /** Further fw_cfg files by name, such as opt/org.example/data. */
  files?: ReadonlyMap<string, Uint8Array>;
  /** Date at machine time 0, in seconds since 1970 (UTC); without one the year 2000 begins. */
  startTime?: number;
  /** Console output of COM1. */
  console(byte: number): void;
  /** The ROM's end below 1 MiB is RAM, copied there at RESET. */
  shadowedRom?: boolean;
  /** Plugs in SeaBIOS's debug console, port 402, and takes what is printed there. */
  biosConsole?: (byte: number) => void;
  /** What the guest prints on port E9. */
  debugConsole?: (byte: number) => void;
  /** Plugs in the test device of public test suites. */
  testDevice?: boolean;
  /** Where frames go that the guest sends. */
  wire: Wire;
  power(event: PowerEvent): void;
  /** The A20 gate moved: while closed, cores see address bit 20 as 0. Open at reset. */
  a20(open: boolean): void;
  trace: Trace;
}

const PAGE_BYTES = 0x1000;
export const ROM_UNIT = 0x1_0000;

/** Throws for a board that cannot be. */
export function checkOptions({ cores, memory, mailboxes, rom }: PcOptions): void {
  const ramBytes = memory.bytes.length;
  if (!(Number.isInteger(cores) && cores >= 1 && cores <= CORES_MAX))
    throw new RangeError(`${cores} cores: a machine has 1 to ${CORES_MAX}`);
  if (mailboxes.length !== cores) throw new RangeError(`${cores} cores with ${mailboxes.length} mailboxes`);
  if (ramBytes < address.highRam || ramBytes > RAM_BYTES_MAX || ramBytes % PAGE_BYTES !== 0)
    throw new RangeError(`${ramBytes} bytes of RAM: a machine has 1 MiB to 3 GiB, in whole pages`);
  // Without any ROM the reset vector finds nothing, which a test bench may want.
  if (rom.length % ROM_UNIT !== 0)
    throw new RangeError(`a ROM of ${rom.length} bytes: it must be a multiple of 64 KiB`);
}
