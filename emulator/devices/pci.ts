// PCI configuration space: PCI Local Bus 3.0 (type 0 header, BARs, capability list), configuration mechanism
// 1 (ports 0xCF8 and 0xCFC) and the enhanced mechanism (ECAM) of PCI Express.
// A function's header is 256 bytes and a mask of the bits that software may write: BAR sizing needs nothing
// more, since the address bits below a BAR's size are not writable. Extended space reads as zero.
// Not there: bridges, I/O BARs, expansion ROMs, power management, and error reporting.

import { hex, mask, RegisterFile, type Trace } from "./device.js";

export const HEADER_BYTES = 256;
const EXTENDED_BYTES = 4096;

const offset = {
  vendor: 0x00,
  device: 0x02,
  command: 0x04,
  status: 0x06,
  revision: 0x08,
  classCode: 0x09,
  bars: 0x10,
  subsystemVendor: 0x2c,
  subsystem: 0x2e,
  capabilities: 0x34,
  interruptLine: 0x3c,
  interruptPin: 0x3d,
} as const;

/** Header registers that may be hardwired to 0, and are: 6.1 and 6.2.4 of the specification. */
const unimplemented: readonly (readonly [offset: number, bytes: number, name: string])[] = [
  [0x0c, 1, "Cache Line Size"],
  [0x0d, 1, "Latency Timer"],
  [0x0f, 1, "BIST"],
  [0x28, 4, "Cardbus CIS Pointer"],
  [0x30, 4, "Expansion ROM Base Address"],
  [0x3e, 1, "Min_Gnt"],
  [0x3f, 1, "Max_Lat"],
];
const BARS = 6;

const command = { memory: 2, busMaster: 4, interruptDisable: 0x400 } as const;
const status = { interrupt: 0x08, capabilities: 0x10 } as const;
const CAPABILITIES_FIRST = 0x40;

export interface PciIdentity {
  vendor: number;
  device: number;
  revision: number;
  /** Base class, subclass, interface. */
  classCode: number;
  subsystemVendor: number;
  subsystem: number;
  /** 0 none, 1 INTA. */
  interruptPin: number;
}

/** A function as the host bridge sees it. */
export interface PciFunction {
  readonly config: PciConfig;
  readConfig(offset: number, size: number): number;
  writeConfig(offset: number, size: number, value: number): void;
  readBar(bar: number, offset: number, size: number): number;
  writeBar(bar: number, offset: number, size: number, value: number): void;
}

/** One function's header. Its state is the bytes; everything else is fixed when it is built. */
export class PciConfig {
  /** The only state. */
  bytes = new Array<number>(HEADER_BYTES).fill(0);
  readonly barBytes: readonly number[];
  readonly #writable = new Uint8Array(HEADER_BYTES);
  #initial: number[];
  readonly #report: (text: string) => void;
  #last = 0;
  #end = CAPABILITIES_FIRST;

  /** `barBytes`: size of each 32-bit memory BAR from 0 on, powers of two. */
  constructor(identity: PciIdentity, barBytes: readonly number[], report: (text: string) => void) {
    this.barBytes = barBytes;
    this.#report = report;
    this.#fixed(offset.vendor, 2, identity.vendor);
    this.#fixed(offset.device, 2, identity.device);
    this.#fixed(offset.revision, 1, identity.revision);
    this.#fixed(offset.classCode, 3, identity.classCode);
    this.#fixed(offset.subsystemVendor, 2, identity.subsystemVendor);
    this.#fixed(offset.subsystem, 2, identity.subsystem);
    this.#fixed(offset.interruptPin, 1, identity.interruptPin);
    const bits = (barBytes.length > 0 ? command.memory : 0) | command.busMaster;
    this.#allow(offset.command, 2, bits | (identity.interruptPin > 0 ? command.interruptDisable : 0));
    this.#allow(offset.interruptLine, 1, 0xff);
    for (const [bar, size] of barBytes.entries()) {
      if (size < 16 || (size & (size - 1)) !== 0) throw new RangeError(`pci: BAR ${bar} of ${size} bytes`);
      this.#allow(offset.bars + 4 * bar, 4, ~(size - 1) >>> 0);
    }
    this.#initial = [...this.bytes];
  }

  /** Appends a capability: `body` follows its ID and link, `writable` masks the body. Gives its offset. */
  addCapability(id: number, body: readonly number[], writable: readonly number[] = []): number {
    const at = this.#end;
    if (at + 2 + body.length > HEADER_BYTES) throw new RangeError("pci: capabilities do not fit the header");
    this.#fixed(this.#last === 0 ? offset.capabilities : this.#last + 1, 1, at);
    this.#fixed(offset.status, 2, status.capabilities);
    this.#fixed(at, 1, id);
    for (const [index, byte] of body.entries()) this.#fixed(at + 2 + index, 1, byte);
    for (const [index, bits] of writable.entries()) this.#allow(at + 2 + index, 1, bits);
    this.#last = at;
    this.#end = (at + 2 + body.length + 3) & ~3;
    this.#initial = [...this.bytes];
    return at;
  }

  #fixed(at: number, size: number, value: number): void {
    for (let byte = 0; byte < size; byte++) this.bytes[at + byte] = (value >>> (8 * byte)) & 0xff;
  }

  #allow(at: number, size: number, bits: number): void {
    for (let byte = 0; byte < size; byte++) this.#writable[at + byte] = (bits >>> (8 * byte)) & 0xff;
  }

  read(at: number, size: number): number {
    let value = 0;
    for (let byte = 0; byte < size; byte++) value |= (this.bytes[at + byte] ?? 0) << (8 * byte);
    return value >>> 0;
  }

  write(at: number, size: number, value: number): void {
    // All ones (of a ROM's address, bits 31-11) ask for a size, and 0 is an answer.
    if (value !== 0 && value >>> 11 !== 0x1f_ffff) this.#reportUnimplemented(at, size, value);
    for (let byte = 0; byte < size && at + byte < HEADER_BYTES; byte++) {
      const bits = this.#writable[at + byte];
      const fresh = (value >>> (8 * byte)) & bits;
      this.bytes[at + byte] = (this.bytes[at + byte] & ~bits) | fresh;
    }
  }

  #reportUnimplemented(at: number, size: number, value: number): void {
    const missing = Array.from({ length: BARS - this.barBytes.length }, (_, index) => {
      const bar = this.barBytes.length + index;
      return [offset.bars + 4 * bar, 4, `Base Address Register ${bar}`] as const;
    });
    for (const [first, bytes, name] of [...unimplemented, ...missing])
      if (at < first + bytes && first < at + size)
        this.#report(`write of ${hex(value)} to ${name}, which is not implemented`);
  }

  get busMaster(): boolean {
    return (this.read(offset.command, 2) & command.busMaster) !== 0;
  }

  get interruptDisabled(): boolean {
    return (this.read(offset.command, 2) & command.interruptDisable) !== 0;
  }

  /** The interrupt status bit, which shows INTx as it would be without the disable bit. */
  set interruptStatus(pending: boolean) {
    const low = this.bytes[offset.status] & ~status.interrupt;
    this.bytes[offset.status] = low | (pending ? status.interrupt : 0);
  }

  /** Base of a BAR, or -1 while memory decoding is off or the BAR holds no address. */
  base(bar: number): number {
    if ((this.read(offset.command, 2) & command.memory) === 0) return -1;
    const address = (this.read(offset.bars + 4 * bar, 4) & ~15) >>> 0;
    return address === 0 ? -1 : address;
  }

  reset(): void {
    this.bytes = [...this.#initial];
  }
}

/** A function without registers of its own: the host bridge. */
export class PlainFunction implements PciFunction {
  readonly config: PciConfig;

  constructor(identity: PciIdentity, report: (text: string) => void) {
    this.config = new PciConfig(identity, [], report);
  }

  readConfig(at: number, size: number): number {
    return this.config.read(at, size);
  }

  writeConfig(at: number, size: number, value: number): void {
    this.config.write(at, size, value);
  }

  readBar(): number {
    throw new Error("pci: a function without BARs was asked for one");
  }

  writeBar(): void {
    throw new Error("pci: a function without BARs was asked for one");
  }
}

const reset = () => ({ address: 0 });
type State = ReturnType<typeof reset>;

const ENABLE = 0x8000_0000;

/**
 * CONFIG_ADDRESS bits 27-24 are register bits 11-8 on AMD's processors once NB_CFG.EnableCf8ExtCfg is set. Here they
 * are so always: they are reserved otherwise.
 */
const registerOf = (address: number): number => (address & 0xfc) | ((address >>> 16) & 0xf00);

/** The host bridge's side: finds functions by bus number and address. Functions are all on bus 0. */
export class PciHost {
  /** CONFIG_ADDRESS; only whole 32-bit accesses are meant for it. */
  readonly address: RegisterFile;
  readonly #functions: ReadonlyMap<number, PciFunction>;
  readonly #trace: Trace;
  #state = reset();

  /** Functions by device * 8 + function. */
  constructor(functions: ReadonlyMap<number, PciFunction>, trace: Trace) {
    this.#functions = functions;
    this.#trace = trace;
    const row = {
      read: () => this.#state.address,
      write: (value: number) => {
        this.#state.address = (value & 0x8fff_fffc) >>> 0;
      },
    };
    this.address = new RegisterFile("pci-host", 4, { CONFIG_ADDRESS: [0, 4, row] }, trace, 0xffff_ffff);
  }

  /** CONFIG_DATA, at an offset of 0 to 3. */
  readData(at: number, size: number): number {
    const { address } = this.#state;
    if ((address & ENABLE) === 0) return mask(size);
    return this.#read((address >>> 16) & 0xff, (address >>> 8) & 0xff, registerOf(address) + at, size);
  }

  writeData(at: number, size: number, value: number): void {
    const { address } = this.#state;
    if ((address & ENABLE) === 0) return;
    this.#write((address >>> 16) & 0xff, (address >>> 8) & 0xff, registerOf(address) + at, size, value);
  }

  /** ECAM: bus 27-20, device and function 19-12, register 11-0 of the offset into the window. */
  readEcam(at: number, size: number): number {
    return this.#read(Math.floor(at / 2 ** 20), (at >>> 12) & 0xff, at & 0xfff, size);
  }

  writeEcam(at: number, size: number, value: number): void {
    this.#write(Math.floor(at / 2 ** 20), (at >>> 12) & 0xff, at & 0xfff, size, value);
  }

  /** A function that is not there ends in a master abort: all ones. */
  #read(bus: number, slot: number, at: number, size: number): number {
    const target = bus === 0 ? this.#functions.get(slot) : undefined;
    if (target === undefined || at + size > EXTENDED_BYTES) return mask(size);
    return at < HEADER_BYTES ? target.readConfig(at, size) : 0;
  }

  #write(bus: number, slot: number, at: number, size: number, value: number): void {
    const target = bus === 0 ? this.#functions.get(slot) : undefined;
    if (target !== undefined && at < HEADER_BYTES) target.writeConfig(at, size, value);
    else
      this.#trace(
        "pci-host",
        `write to register ${hex(at)} of ${bus}:${slot >> 3}.${slot & 7}: nothing there`,
      );
  }

  /** The BAR that decodes a memory address, or undefined. */
  decode(physical: number): { target: PciFunction; bar: number; offset: number } | undefined {
    for (const target of this.#functions.values())
      for (const [bar, size] of target.config.barBytes.entries()) {
        const base = target.config.base(bar);
        if (base >= 0 && physical >= base && physical < base + size)
          return { target, bar, offset: physical - base };
      }
    return undefined;
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
