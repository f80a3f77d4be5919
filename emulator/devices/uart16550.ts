// The 16550A serial port: National PC16550D data sheet, as far as the guest can tell. Transmission takes no
// time, so the transmitter is always empty; reception takes none either, but the receiver's time-out counts
// real character times. The far end is a terminal that is always connected and ready.
// Invariant: `irq` is asserted exactly while the IIR shows a pending interrupt.

import { type Alarm, type Clock, Line, RegisterFile, type Trace } from "./device.js";

const FIFO_BYTES = 16;
const TRIGGERS = [1, 4, 8, 14];
const SECOND = 1_000_000_000;
/** Bits per second at divisor 1. */
const BAUD_BASE = 115_200;
const NEVER = -1;

const ier = { received: 1, transmitterEmpty: 2, lineStatus: 4, modemStatus: 8 } as const;
const iir = { none: 1, modem: 0, transmitterEmpty: 2, received: 4, lineStatus: 6, timeout: 12 } as const;
const lsr = { dataReady: 1, overrun: 2, idle: 0x60 } as const;
const mcr = { dtr: 1, rts: 2, out1: 4, out2: 8, loop: 16 } as const;
const msr = { cts: 0x10, dsr: 0x20, ri: 0x40, dcd: 0x80 } as const;
const DIVISOR_LATCH = 0x80;
const SET_BREAK = 0x40;
const FIFO_ENABLED = 1;

const reset = () => ({
  ier: 0,
  fcr: 0,
  lcr: 0,
  mcr: 0,
  /** Modem inputs in the high half, their changes in the low half. */
  msr: msr.cts | msr.dsr | msr.dcd,
  scr: 0,
  divisor: 12, // 9600 baud; the data sheet leaves it undefined
  received: [] as number[],
  /** The receiver buffer without a FIFO: it keeps what has been read. */
  buffer: 0,
  overrun: false,
  /** The THRE interrupt: set when the transmitter empties, cleared by reading the IIR or writing the THR. */
  emptied: false,
  /** Characters have waited in the FIFO for four character times. */
  timedOut: false,
  timeoutAt: NEVER as number,
});
type State = ReturnType<typeof reset>;

export class Uart16550 {
  readonly irq = new Line();
  /** OUT2, with which a PC connects the interrupt to the bus. */
  readonly out2 = new Line();
  readonly registers: RegisterFile;
  readonly #send: (byte: number) => void;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  #state = reset();

  constructor(send: (byte: number) => void, clock: Clock, alarm: Alarm, trace: Trace) {
    this.#send = send;
    this.#clock = clock;
    this.#alarm = alarm;
    const state = () => this.#state;
    this.registers = new RegisterFile(
      "uart16550",
      8,
      {
        RBR_THR_DLL: [0, 1, { read: () => this.#readData(), write: (v) => this.#writeData(v) }],
        IER_DLM: [1, 1, { read: () => this.#readEnable(), write: (v) => this.#writeEnable(v) }],
        IIR_FCR: [2, 1, { read: () => this.#identify(), write: (v) => this.#controlFifo(v) }],
        LCR: [3, 1, { read: () => state().lcr, write: (v) => this.#controlLine(v, trace) }],
        MCR: [4, 1, { read: () => state().mcr, write: (v) => this.#controlModem(v & 0x1f) }],
        LSR: [5, 1, { read: () => this.#lineStatus() }],
        MSR: [6, 1, { read: () => this.#modemStatus() }],
        SCR: [7, 1, { read: () => state().scr, write: (v) => this.#change({ scr: v }) }],
      },
      trace,
      0xff,
    );
  }

  /** A byte from the far end; false while there is no room, so that the host may wait instead of overrunning. */
  receive(byte: number): boolean {
    const { received, mcr: modem } = this.#state;
    if ((modem & mcr.loop) !== 0 || received.length >= this.#capacity()) return false;
    this.#accept(byte);
    return true;
  }

  /** The alarm's callback. */
  timerExpired(): void {
    const { timeoutAt, received } = this.#state;
    if (timeoutAt === NEVER || this.#clock.now() < timeoutAt) return;
    this.#change({ timeoutAt: NEVER, timedOut: received.length > 0 });
  }

  // --- Data ---

  #latched(): boolean {
    return (this.#state.lcr & DIVISOR_LATCH) !== 0;
  }

  #capacity(): number {
    return (this.#state.fcr & FIFO_ENABLED) !== 0 ? FIFO_BYTES : 1;
  }

  #readData(): number {
    if (this.#latched()) return this.#state.divisor & 0xff;
    const empty = this.#capacity() === 1 ? this.#state.buffer : 0;
    const byte = this.#state.received.shift() ?? empty;
    this.#state.buffer = byte;
    this.#change({ timedOut: false });
    this.#restartTimeout();
    return byte;
  }

  #writeData(byte: number): void {
    if (this.#latched()) {
      this.#change({ divisor: (this.#state.divisor & 0xff00) | byte });
      return;
    }
    // A new character ends the interrupt of the one before, and is an edge of its own on an edge-triggered input.
    this.#change({ emptied: false });
    // The terminal is taken to have the same format, whatever it is; what comes back is cut to the character's length.
    if ((this.#state.mcr & mcr.loop) !== 0) this.#accept(byte & ((0x20 << (this.#state.lcr & 3)) - 1));
    else this.#send(byte);
    // Sent at once: the transmitter is empty again, which is a new THRE interrupt.
    this.#change({ emptied: true });
  }

  #accept(byte: number): void {
    const { received } = this.#state;
    if (received.length < this.#capacity()) received.push(byte);
    else {
      // Without a FIFO the new character replaces the old; a full FIFO keeps what it has.
      if (this.#capacity() === 1) received[0] = byte;
      this.#state.overrun = true;
    }
    this.#state.timedOut = false;
    this.#change({});
    this.#restartTimeout();
  }

  /** "The most recent character was received more than 4 continuous character times ago." */
  #restartTimeout(): void {
    const { lcr, divisor, received, fcr } = this.#state;
    const waits = received.length > 0 && (fcr & FIFO_ENABLED) !== 0;
    const bits = 1 + 5 + (lcr & 3) + ((lcr >> 3) & 1) + 1 + ((lcr >> 2) & 1);
    const time = Math.ceil((4 * bits * Math.max(divisor, 1) * SECOND) / BAUD_BASE);
    this.#state.timeoutAt = waits ? this.#clock.now() + time : NEVER;
    this.#setAlarm();
  }

  #setAlarm(): void {
    const { timeoutAt } = this.#state;
    this.#alarm.set(timeoutAt === NEVER ? Number.POSITIVE_INFINITY : timeoutAt);
  }

  // --- Control and status ---

  #readEnable(): number {
    return this.#latched() ? this.#state.divisor >> 8 : this.#state.ier;
  }

  #writeEnable(value: number): void {
    if (this.#latched()) {
      this.#change({ divisor: (value << 8) | (this.#state.divisor & 0xff) });
      return;
    }
    // Enabling the THRE interrupt with an empty transmitter raises it at once.
    const enables = (value & ~this.#state.ier & ier.transmitterEmpty) !== 0;
    this.#change({ ier: value & 0x0f, emptied: this.#state.emptied || enables });
  }

  #identify(): number {
    const pending = interrupting(this.#state);
    if (pending === iir.transmitterEmpty) this.#change({ emptied: false });
    return pending | ((this.#state.fcr & FIFO_ENABLED) !== 0 ? 0xc0 : 0);
  }

  #controlLine(lcr: number, trace: Trace): void {
    if ((lcr & ~this.#state.lcr & SET_BREAK) !== 0) trace("uart16550", "LCR: set break is not implemented");
    this.#change({ lcr });
  }

  #controlFifo(value: number): void {
    const toggles = ((value ^ this.#state.fcr) & FIFO_ENABLED) !== 0;
    // The other bits are programmable only while bit 0 is written as 1; bits 1 and 2 clear themselves.
    const bits = (value & FIFO_ENABLED) !== 0 ? value : 0;
    this.#change({
      fcr: bits & 0xc9,
      ...(toggles || (bits & 2) !== 0 ? { received: [], timedOut: false } : {}),
      ...(toggles || (bits & 4) !== 0 ? { emptied: true } : {}),
    });
    this.#restartTimeout();
  }

  #controlModem(value: number): void {
    this.#change({ mcr: value });
    this.#changeInputs();
  }

  /** The modem inputs as they are now: the terminal's, or in loop-back our own outputs. */
  #changeInputs(): void {
    const { mcr: modem, msr: before } = this.#state;
    const looped =
      ((modem & mcr.rts) !== 0 ? msr.cts : 0) |
      ((modem & mcr.dtr) !== 0 ? msr.dsr : 0) |
      ((modem & mcr.out1) !== 0 ? msr.ri : 0) |
      ((modem & mcr.out2) !== 0 ? msr.dcd : 0);
    const inputs = (modem & mcr.loop) !== 0 ? looped : msr.cts | msr.dsr | msr.dcd;
    const changed = (inputs ^ before) >> 4;
    // The ring indicator's bit says "trailing edge": only its falling counts.
    const ringing = changed & 4 & ~(before >> 4) ? 4 : 0;
    this.#change({ msr: inputs | (before & 0x0f) | (changed & ~ringing) });
  }

  #lineStatus(): number {
    const status = lineStatus(this.#state);
    this.#change({ overrun: false });
    return status;
  }

  #modemStatus(): number {
    const status = this.#state.msr;
    this.#change({ msr: status & 0xf0 });
    return status;
  }

  #change(next: Partial<State>): void {
    Object.assign(this.#state, next);
    this.#drive();
  }

  /** The only place where the lines move. In loop-back the outputs are inactive. */
  #drive(): void {
    this.out2.set(out2Of(this.#state));
    this.irq.set(interrupting(this.#state) !== iir.none);
  }

  reset(): void {
    this.#state = reset();
    this.#setAlarm();
    this.#drive();
  }

  snapshot(): State {
    return structuredClone(this.#state);
  }

  restore(state: object): void {
    this.#state = structuredClone(state) as State;
    this.#setAlarm();
    this.out2.settle(out2Of(this.#state));
    this.irq.settle(interrupting(this.#state) !== iir.none);
  }
}

const out2Of = ({ mcr: modem }: State) => (modem & (mcr.out2 | mcr.loop)) === mcr.out2;

const lineStatus = ({ received, overrun }: State): number =>
  lsr.idle | (received.length > 0 ? lsr.dataReady : 0) | (overrun ? lsr.overrun : 0);

/** The interrupt that the IIR shows: the data sheet's four priorities, highest first. */
function interrupting(state: State): number {
  const { ier: enabled, fcr, received, overrun, timedOut, emptied, msr: modem } = state;
  const trigger = (fcr & FIFO_ENABLED) !== 0 ? TRIGGERS[fcr >> 6] : 1;
  if ((enabled & ier.lineStatus) !== 0 && overrun) return iir.lineStatus;
  // "Bit 3 is set along with bit 2 when a time-out interrupt is pending", also from the trigger level on.
  if ((enabled & ier.received) !== 0 && timedOut) return iir.timeout;
  if ((enabled & ier.received) !== 0 && received.length >= trigger) return iir.received;
  if ((enabled & ier.transmitterEmpty) !== 0 && emptied) return iir.transmitterEmpty;
  if ((enabled & ier.modemStatus) !== 0 && (modem & 0x0f) !== 0) return iir.modem;
  return iir.none;
}
