// The vocabulary of every device: an interrupt line, a register file written as a table, and the guest's
// memory as a device on the bus sees it. A device holds no bus, no core, no clock and no host I/O; what it
// needs comes in through its constructor. Its whole state is one plain record that JSON can carry.

export type { Alarm, Clock } from "../clock.js";

/** Where a device reports what a reader of a trace should know: who, and what happened. */
export type Trace = (source: string, text: string) => void;

/** An output pin. The device that owns it sets the level in one place; the board listens. */
export class Line {
  #level = false;
  #wire: (level: boolean) => void = () => {};

  get level(): boolean {
    return this.#level;
  }

  /** Board side: where the pin goes. */
  to(wire: (level: boolean) => void): void {
    this.#wire = wire;
  }

  set(level: boolean): void {
    if (level === this.#level) return;
    this.#level = level;
    this.#wire(level);
  }

  /** After a restore: the level as it was, without an edge, since the receiver restores its own view. */
  settle(level: boolean): void {
    this.#level = level;
  }
}

/** RAM as a bus master sees it. Physical addresses start at 0; `bytes.length` is the machine's RAM. */
export interface GuestMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Says that a device wrote here, so that decoded code of these bytes is thrown away. */
  written(physical: number, length: number): void;
}

/** Parts of RAM that the board covers with something else: the video hole and the ROM below 1 MiB. */
const RAM_LOW_END = 0xa_0000;
const RAM_HIGH = 0x10_0000;

/** Whether all of these bytes are RAM that a device may reach. */
export function isRam(memory: GuestMemory, physical: number, length: number): boolean {
  if (!Number.isSafeInteger(physical) || physical < 0 || length < 0) return false;
  const end = physical + length;
  if (end > memory.bytes.length) return false;
  return end <= RAM_LOW_END || physical >= RAM_HIGH;
}
