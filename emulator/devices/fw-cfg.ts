// The firmware configuration device: QEMU's specification "QEMU Firmware Configuration (fw_cfg) Device",
// I/O port form with the DMA interface. It hands items (kernel, command line, tables) to the firmware.
// Items are constant; the state is which item is selected, how far it has been read, and half an address.
// Not there: writable items; a DMA write ends with the error bit.
// Invariant: reading past an item's end gives zeros; DMA touches RAM only.

import { type GuestMemory, hex, isRam, type Trace } from "./device.js";

/** Selector values, by the specification's and QEMU's names. */
export const item = {
  SIGNATURE: 0x00,
  ID: 0x01,
  UUID: 0x02,
  RAM_SIZE: 0x03,
  NOGRAPHIC: 0x04,
  NB_CPUS: 0x05,
  KERNEL_ADDR: 0x07,
  KERNEL_SIZE: 0x08,
  INITRD_ADDR: 0x0a,
  INITRD_SIZE: 0x0b,
  MAX_CPUS: 0x0f,
  KERNEL_ENTRY: 0x10,
  KERNEL_DATA: 0x11,
  INITRD_DATA: 0x12,
  CMDLINE_ADDR: 0x13,
  CMDLINE_SIZE: 0x14,
  CMDLINE_DATA: 0x15,
  FILE_DIR: 0x19,
  FILE_FIRST: 0x20,
} as const;

/** Items that other boards have, by the same names; those from 0x8000 on are a PC's own. */
const absent: Readonly<Record<number, string>> = {
  6: "MACHINE_ID",
  7: "KERNEL_ADDR",
  9: "KERNEL_CMDLINE",
  10: "INITRD_ADDR",
  12: "BOOT_DEVICE",
  13: "NUMA",
  14: "BOOT_MENU",
  16: "KERNEL_ENTRY",
  19: "CMDLINE_ADDR",
  22: "SETUP_ADDR",
  23: "SETUP_SIZE",
  24: "SETUP_DATA",
  32768: "ACPI_TABLES",
  32769: "SMBIOS_ENTRIES",
  32770: "IRQ0_OVERRIDE",
  32771: "E820_TABLE",
  32772: "HPET",
};

const SELECTOR = 0;
const DATA = 1;
const DMA_HIGH = 4;
const DMA_LOW = 8;
const FILE_NAME_BYTES = 56;
const FILE_ENTRY_BYTES = 64;
const TRADITIONAL = 1;
const DMA = 2;
const control = { error: 1, read: 2, skip: 4, select: 8, write: 16 } as const;
const CONTROL_BYTES = 16;
/** Selector bit 14: the item is to be written. */
const WRITE = 0x4000;
const EMPTY = new Uint8Array(0);

const reset = () => ({ selected: 0, offset: 0, dmaHigh: 0 });
type State = ReturnType<typeof reset>;

export class FwCfg {
  readonly #items = new Map<number, Uint8Array>();
  readonly #memory: GuestMemory;
  readonly #trace: Trace;
  #state = reset();

  /** `items` by selector; `files` by name, which become items from FILE_FIRST on, in order of name. */
  constructor(
    items: ReadonlyMap<number, Uint8Array>,
    files: ReadonlyMap<string, Uint8Array>,
    memory: GuestMemory,
    trace: Trace,
  ) {
    this.#memory = memory;
    this.#trace = trace;
    for (const [selector, bytes] of items) this.#items.set(selector, bytes);
    this.#items.set(item.SIGNATURE, ascii("QEMU"));
    this.#items.set(item.ID, Uint8Array.of(TRADITIONAL | DMA, 0, 0, 0));
    const names = [...files.keys()].sort();
    this.#items.set(item.FILE_DIR, directory(names, files));
    for (const [index, name] of names.entries())
      this.#items.set(item.FILE_FIRST + index, files.get(name) as Uint8Array);
  }

  /** Offsets from port 0x510. The data port lies inside the 16-bit selector, so this is no RegisterFile. */
  read(offset: number, size: number): number {
    if (offset === DATA && size === 1) return this.#next();
    // The DMA address register reads as "QEMU CFG", so that a driver can probe for it.
    if (offset >= DMA_HIGH && offset + size <= DMA_LOW + 4) return probe(offset - DMA_HIGH, size);
    this.#trace("fw-cfg", `read of ${size} bytes at offset ${offset}, where none can be read`);
    return 0;
  }

  write(offset: number, size: number, value: number): void {
    if (offset === SELECTOR && size === 2) this.#select(value);
    else if (offset === DMA_HIGH && size === 4) this.#state.dmaHigh = swap(value);
    else if (offset === DMA_LOW && size === 4) {
      const address = this.#state.dmaHigh * 2 ** 32 + swap(value);
      this.#state.dmaHigh = 0;
      this.#transfer(address);
    } else this.#trace("fw-cfg", `write of ${size} bytes at offset ${offset}, which takes none`);
  }

  #selectedBytes(): Uint8Array {
    return this.#items.get(this.#state.selected) ?? EMPTY;
  }

  #select(selector: number): void {
    this.#state.selected = selector & 0x3fff; // bit 14 asks to write, bit 15 names an architecture's own item
    this.#state.offset = 0;
    if ((selector & 0x8000) !== 0) this.#state.selected = 0xffff;
    if (this.#items.has(this.#state.selected)) return;
    const name = absent[selector & ~WRITE];
    this.#trace("fw-cfg", `no item ${name === undefined ? "" : `${name}, `}${hex(selector)}`);
  }

  #next(): number {
    return this.#selectedBytes()[this.#state.offset++] ?? 0;
  }

  /** One DMA command: {control u32, length u32, address u64}, big endian, at `at`. */
  #transfer(at: number): void {
    if (!isRam(this.#memory, at, CONTROL_BYTES)) {
      this.#trace("fw-cfg", `DMA command at ${hex(at)}, which is not RAM`);
      return;
    }
    const { view } = this.#memory;
    const command = view.getUint32(at);
    const length = view.getUint32(at + 4);
    const address = view.getUint32(at + 8) * 2 ** 32 + view.getUint32(at + 12);
    if ((command & control.select) !== 0) this.#select(command >>> 16);
    const good = this.#perform(command, length, address);
    view.setUint32(at, good ? 0 : control.error);
    this.#memory.written(at, 4);
  }

  #perform(command: number, length: number, address: number): boolean {
    if ((command & control.read) !== 0) return this.#copy(length, address);
    if ((command & control.write) !== 0) {
      this.#trace("fw-cfg", `DMA write to item ${hex(this.#state.selected)}: no item is writable`);
      return false;
    }
    if ((command & control.skip) !== 0) this.#state.offset += length;
    return true;
  }

  #copy(length: number, address: number): boolean {
    if (!isRam(this.#memory, address, length)) {
      this.#trace("fw-cfg", `DMA of ${length} bytes to ${hex(address)}, which is not RAM`);
      return false;
    }
    const { offset } = this.#state;
    const part = this.#selectedBytes().subarray(offset, offset + length);
    this.#memory.bytes.set(part, address);
    this.#memory.bytes.fill(0, address + part.length, address + length);
    this.#memory.written(address, length);
    this.#state.offset += length;
    return true;
  }

  reset(): void {
    this.#state = reset();
  }

  snapshot(): State {
    return { ...this.#state };
  }

  restore(state: object): void {
    this.#state = { ...(state as State) };
  }
}

/** FILE_DIR: count u32, then {size u32, select u16, reserved u16, name[56]}, big endian. */
function directory(names: readonly string[], files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const bytes = new Uint8Array(4 + FILE_ENTRY_BYTES * names.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, names.length);
  for (const [index, name] of names.entries()) {
    if (name.length >= FILE_NAME_BYTES) throw new RangeError(`fw_cfg file ${name}: the name is too long`);
    const at = 4 + FILE_ENTRY_BYTES * index;
    view.setUint32(at, (files.get(name) as Uint8Array).length);
    view.setUint16(at + 4, item.FILE_FIRST + index);
    bytes.set(ascii(name), at + 8);
  }
  return bytes;
}

const ascii = (text: string) => new TextEncoder().encode(text);

const SIGNATURE = ascii("QEMU CFG");

function probe(offset: number, size: number): number {
  let value = 0;
  for (let byte = 0; byte < size; byte++) value |= SIGNATURE[offset + byte] << (8 * byte);
  return value >>> 0;
}

/** The DMA address is big endian on a little-endian bus. */
const swap = (value: number): number =>
  ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
