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

/** One register's behaviour. Without `read` it is write-only, without `write` read-only. */
export interface Register {
  readonly read?: () => number;
  readonly write?: (value: number) => void;
  /** Known to the manual, not implemented here: reads 0, drops writes, and reports either. */
  readonly notYet?: true;
  /** A write to some of its bytes may be merged with what `read` gives; otherwise such writes are dropped. */
  readonly bytewise?: true;
}

/** Offset, width in bytes, behaviour. The row's name is its key in the table. */
export type Row = readonly [offset: number, size: 1 | 2 | 4, register: Register];

export const notYet: Register = { notYet: true };

/** A register that only holds its value. */
export const readOnly = (read: () => number): Register => ({ read });

interface Placed {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly register: Register;
}

/**
 * A device's registers. Accesses wider than a register are several, low first; narrower reads see a part;
 * what no row names reads as `hole` and is reported, so that every gap in a device can be observed.
 */
export class RegisterFile {
  readonly #bytes: (Placed | undefined)[];
  readonly #source: string;
  readonly #hole: number;
  readonly #trace: Trace;
  readonly #vacant: () => void;

  /** `vacant` is told of every access to what no row names, besides the trace. */
  constructor(
    source: string,
    bytes: number,
    rows: Record<string, Row>,
    trace: Trace,
    hole = 0,
    vacant: () => void = () => {},
  ) {
    this.#source = source;
    this.#hole = hole;
    this.#trace = trace;
    this.#vacant = vacant;
    this.#bytes = new Array<Placed | undefined>(bytes).fill(undefined);
    for (const [name, [offset, size, register]] of Object.entries(rows)) {
      const placed: Placed = { name, offset, size, register };
      if (offset < 0 || offset + size > bytes)
        throw new RangeError(`${source}.${name}: outside of the device`);
      for (let at = offset; at < offset + size; at++) {
        const other = this.#bytes[at];
        if (other !== undefined) throw new RangeError(`${source}.${name}: overlaps ${other.name}`);
        this.#bytes[at] = placed;
      }
    }
  }

  read(offset: number, size: number): number {
    const row = this.#bytes[offset];
    if (row !== undefined && row.offset === offset && row.size === size) return this.#get(row) >>> 0;
    let value = 0;
    for (let done = 0; done < size; ) {
      const part = this.#bytes[offset + done];
      const skip = part === undefined ? 0 : offset + done - part.offset;
      const length = part === undefined ? 1 : Math.min(part.size - skip, size - done);
      const bits = part === undefined ? this.#holeAt(offset + done) : this.#get(part) >>> (8 * skip);
      value |= (bits & mask(length)) << (8 * done);
      done += length;
    }
    return value >>> 0;
  }

  write(offset: number, size: number, value: number): void {
    for (let done = 0; done < size; ) {
      const part = this.#bytes[offset + done];
      const skip = part === undefined ? 0 : offset + done - part.offset;
      const length = part === undefined ? 1 : Math.min(part.size - skip, size - done);
      const bits = ((value >>> (8 * done)) & mask(length)) >>> 0;
      if (part === undefined) this.#intoHole(offset + done, bits);
      else if (length === part.size) this.#put(part, bits);
      else this.#merge(part, skip, length, bits);
      done += length;
    }
  }

  #get(row: Placed): number {
    if (row.register.read !== undefined) return row.register.read();
    if (row.register.notYet) this.#report(`read of ${row.name}, which is not implemented`);
    else this.#report(`read of ${row.name}, which is write-only`);
    return row.register.notYet ? 0 : this.#hole & mask(row.size);
  }

  #put(row: Placed, value: number): void {
    if (row.register.write !== undefined) row.register.write(value);
    else if (row.register.notYet)
      this.#report(`write of ${hex(value)} to ${row.name}, which is not implemented`);
    else this.#report(`write of ${hex(value)} to ${row.name}, which is read-only`);
  }

  #merge(row: Placed, skip: number, length: number, bits: number): void {
    if (!row.register.bytewise || row.register.read === undefined) {
      this.#report(`write of ${hex(bits)} to a part of ${row.name} dropped`);
      return;
    }
    const field = mask(length) << (8 * skip);
    this.#put(row, ((row.register.read() & ~field) | (bits << (8 * skip))) >>> 0);
  }

  #intoHole(offset: number, bits: number): void {
    this.#report(`write of ${hex(bits)} to nothing at offset ${hex(offset)}`);
    this.#vacant();
  }

  #holeAt(offset: number): number {
    this.#report(`read of nothing at offset ${hex(offset)}`);
    this.#vacant();
    return this.#hole & 0xff;
  }

  #report(text: string): void {
    this.#trace(this.#source, text);
  }
}

/** RAM as a bus master sees it. Physical addresses start at 0; `bytes.length` is the machine's RAM. */
export interface GuestMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The ROM's place below 1 MiB is RAM. */
  readonly shadowed?: boolean;
  /** Says that a device wrote here, so that decoded code of these bytes is thrown away. */
  written(physical: number, length: number): void;
}

/** The board covers RAM between these with the video hole and the ROM below 1 MiB. */
const RAM_LOW_END = 0xa_0000;
const RAM_HIGH = 0x10_0000;
const SHADOW = 0xc_0000;

/** Whether all of these bytes are RAM that a device may reach. */
export function isRam(memory: GuestMemory, physical: number, length: number): boolean {
  if (!Number.isSafeInteger(physical) || physical < 0 || length < 0) return false;
  const end = physical + length;
  if (end > memory.bytes.length) return false;
  return end <= RAM_LOW_END || physical >= (memory.shadowed === true ? SHADOW : RAM_HIGH);
}

/** The low `size` bytes, as a mask. */
export const mask = (size: number): number => (size >= 4 ? 0xffff_ffff : (1 << (8 * size)) - 1);

export const hex = (value: number): string => `0x${value.toString(16)}`;
