// The I/O APIC: Intel 82093AA data sheet, with the EOI register that later chip sets (version 0x20) added.
// Pins carry voltage: INTPOL (bit 13 of an entry) says which level of its pin is the active one, and an entry that says
// it wrongly takes a line at rest for a request.
// Invariant: a level-triggered pin sends one message, then nothing until its vector's EOI clears remote IRR.

import { delivery, destination8, type InterruptBus } from "./apic-message.js";
import { RegisterFile, type Trace } from "./device.js";

const VERSION = 0x20;
const MASKED = 0x1_0000;
const LEVEL = 0x8000;
const ACTIVE_LOW = 0x2000;
const REMOTE_IRR = 0x4000;
const LOGICAL = 0x800;
/** Redirection bits 31-0 that software may write: all but delivery status (12) and remote IRR (14). */
const WRITABLE = 0x0001_afff;
const REDIRECTION = 0x10;

const reset = (pins: number, firstLow: number) => ({
  select: 0,
  id: 0,
  low: new Array<number>(pins).fill(MASKED),
  high: new Array<number>(pins).fill(0),
  voltage: Array.from({ length: pins }, (_, pin) => pin >= firstLow),
});
type State = ReturnType<typeof reset>;

export class IoApic {
  readonly #bus: InterruptBus;
  readonly #trace: Trace;
  readonly #registers: RegisterFile;
  readonly #firstLow: number;
  #state: State;

  /** Lines from pin `firstLow` on are active low, and rest high. */
  constructor(pins: number, firstLow: number, bus: InterruptBus, trace: Trace) {
    this.#firstLow = firstLow;
    this.#bus = bus;
    this.#trace = trace;
    this.#state = reset(pins, firstLow);
    this.#registers = new RegisterFile(
      "io-apic",
      0x100,
      {
        IOREGSEL: [
          0x00,
          4,
          { read: () => this.#state.select, write: (v) => this.#setSelect(v), bytewise: true },
        ],
        IOWIN: [0x10, 4, { read: () => this.#readWindow(), write: (v) => this.#writeWindow(v) }],
        EOI: [0x40, 4, { write: (v) => this.endOfInterrupt(v & 0xff) }],
      },
      trace,
    );
  }

  read(offset: number, size: number): number {
    return this.#registers.read(offset, size);
  }

  write(offset: number, size: number, value: number): void {
    this.#registers.write(offset, size, value);
  }

  /** An interrupt pin. Edges on a masked pin are lost, as the data sheet says. */
  setPin(pin: number, voltage: boolean): void {
    const moved = voltage !== this.#state.voltage[pin];
    this.#state.voltage[pin] = voltage;
    if (isLevel(this.#state.low[pin])) this.#deliverLevel(pin);
    else if (moved && this.#active(pin) && (this.#state.low[pin] & MASKED) === 0) this.#send(pin, false);
  }

  #active(pin: number): boolean {
    return this.#state.voltage[pin] !== ((this.#state.low[pin] & ACTIVE_LOW) !== 0);
  }

  /** EOI of a level-triggered vector by some local APIC, or by the EOI register. */
  endOfInterrupt(vector: number): void {
    for (const [pin, low] of this.#state.low.entries()) {
      if ((low & REMOTE_IRR) === 0 || (low & 0xff) !== vector) continue;
      this.#state.low[pin] = low & ~REMOTE_IRR;
      this.#deliverLevel(pin);
    }
  }

  #deliverLevel(pin: number): void {
    const low = this.#state.low[pin];
    if (!this.#active(pin) || !isLevel(low) || (low & (MASKED | REMOTE_IRR)) !== 0) return;
    this.#state.low[pin] = low | REMOTE_IRR;
    this.#send(pin, true);
  }

  #send(pin: number, level: boolean): void {
    const low = this.#state.low[pin];
    this.#bus.deliver({
      destination: destination8(this.#state.high[pin] >>> 24),
      logical: (low & LOGICAL) !== 0,
      mode: (low >> 8) & 7,
      vector: low & 0xff,
      level,
    });
  }

  #setSelect(value: number): void {
    this.#state.select = value & 0xff;
  }

  #readWindow(): number {
    const { select, id, low, high } = this.#state;
    if (select === 0 || select === 2) return id << 24; // ID; arbitration ID follows it
    if (select === 1) return ((low.length - 1) << 16) | VERSION;
    const pin = (select - REDIRECTION) >> 1;
    if (select >= REDIRECTION && pin < low.length) return (select & 1) === 0 ? low[pin] : high[pin];
    this.#trace("io-apic", `read of register ${select}, which does not exist`);
    return 0;
  }

  #writeWindow(value: number): void {
    const { select, low, high } = this.#state;
    const pin = (select - REDIRECTION) >> 1;
    if (select === 0) this.#state.id = (value >>> 24) & 15;
    else if (select >= REDIRECTION && pin < low.length) {
      if ((select & 1) !== 0) high[pin] = (value & 0xff00_0000) >>> 0;
      else this.#setLow(pin, value);
    } else if (select === 1 || select === 2)
      this.#trace("io-apic", `write to ${select === 1 ? "IOAPICVER" : "IOAPICARB"}, which is read-only`);
    else this.#trace("io-apic", `write to register ${select}, which does not exist`);
  }

  #setLow(pin: number, value: number): void {
    // Changing a pin to edge-triggered clears remote IRR; system software relies on it to force an EOI.
    const remoteIrr = (value & LEVEL) !== 0 ? this.#state.low[pin] & REMOTE_IRR : 0;
    this.#state.low[pin] = (value & WRITABLE) | remoteIrr;
    this.#deliverLevel(pin);
  }

  reset(): void {
    const { low, voltage } = this.#state;
    this.#state = { ...reset(low.length, this.#firstLow), voltage };
  }

  snapshot(): State {
    return structuredClone(this.#state);
  }

  restore(state: object): void {
    this.#state = structuredClone(state) as State;
  }
}

/** Only fixed and lowest-priority messages may be level-triggered; the other modes are edges. */
const isLevel = (low: number): boolean => {
  const mode = (low >> 8) & 7;
  return (low & LEVEL) !== 0 && (mode === delivery.fixed || mode === delivery.lowestPriority);
};
