// The 8259A pair of a PC: Intel 8259A data sheet, and the edge/level control registers (ELCR) of the PC
// chip sets. `Pic` is one chip, `PicPair` the two of them with the cascade on the master's IR2.
// Not there: MCS-80/85 mode (ICW4 without uPM) and buffered mode, which has no effect a guest can see.
// Invariant: INTR is asserted exactly while an unmasked request stands above everything in service.

import { Line, RegisterFile, type Row, type Trace } from "./device.js";

const CASCADE = 2;
const SPURIOUS = 7;

const resetChip = () => ({
  /** Requests latched by edges; a request goes away with its line. */
  latched: 0,
  lines: 0,
  imr: 0,
  isr: 0,
  /** Level-triggered inputs, set through the ELCR. */
  elcr: 0,
  levelMode: false,
  vectorBase: 0,
  icw3: 0,
  icw4: 0,
  /** The command word that the data port expects: 0 none (OCW1), else 2, 3 or 4. */
  expects: 0,
  single: false,
  wantsIcw4: false,
  /** The input with the lowest priority. */
  lowest: 7,
  rotateOnAutoEoi: false,
  specialMask: false,
  poll: false,
  readsIsr: false,
});
type Chip = ReturnType<typeof resetChip>;

const AUTO_EOI = 2;
const SPECIAL_FULLY_NESTED = 16;

class Pic {
  readonly #source: string;
  readonly #elcrMask: number;
  readonly #master: boolean;
  readonly #changed: () => void;
  readonly #trace: Trace;
  state = resetChip();

  constructor(master: boolean, elcrMask: number, changed: () => void, trace: Trace) {
    this.#source = master ? "pic1" : "pic2";
    this.#master = master;
    this.#elcrMask = elcrMask;
    this.#changed = changed;
    this.#trace = trace;
  }

  /** Two registers, told apart by A0. */
  rows(): Record<string, Row> {
    return {
      COMMAND: [0, 1, { read: () => this.#readCommand(), write: (v) => this.#writeCommand(v) }],
      DATA: [1, 1, { read: () => this.#readData(), write: (v) => this.#writeData(v) }],
    };
  }

  elcrRow(offset: number, name: string): Record<string, Row> {
    return {
      [name]: [
        offset,
        1,
        {
          read: () => this.state.elcr,
          write: (value) => {
            this.state.elcr = value & this.#elcrMask;
            this.#changed();
          },
        },
      ],
    };
  }

  setLine(input: number, asserted: boolean): void {
    const bit = 1 << input;
    if (asserted && (this.state.lines & bit) === 0) this.state.latched |= bit;
    // "IR inputs must remain high until after the falling edge of the first INTA": an earlier fall takes the
    // request away, and the processor's INTA then finds the default IR7.
    if (!asserted) this.state.latched &= ~bit;
    this.state.lines = asserted ? this.state.lines | bit : this.state.lines & ~bit;
    this.#changed();
  }

  #irr(): number {
    const levels = this.state.levelMode ? 0xff : this.state.elcr;
    return (this.state.latched & ~levels) | (this.state.lines & levels);
  }

  /** Distance from the highest priority, 0 to 7. */
  #rank(input: number): number {
    return (input - this.state.lowest - 1) & 7;
  }

  #highest(bits: number): number {
    for (let rank = 0; rank < 8; rank++) {
      const input = (this.state.lowest + 1 + rank) & 7;
      if ((bits & (1 << input)) !== 0) return input;
    }
    return -1;
  }

  /** The input that INT stands for, or -1. */
  request(): number {
    const { imr, isr, specialMask, icw4 } = this.state;
    const input = this.#highest(this.#irr() & ~imr);
    if (input < 0) return -1;
    // In special mask mode an input in service that is masked blocks nobody.
    let blocking = specialMask ? isr & ~imr : isr;
    // In special fully nested mode the master hears further requests of a slave that is being served.
    if (this.#master && input === CASCADE && (icw4 & SPECIAL_FULLY_NESTED) !== 0) blocking &= ~(1 << CASCADE);
    const served = this.#highest(blocking);
    return served < 0 || this.#rank(input) < this.#rank(served) ? input : -1;
  }

  /** The first INTA pulse: freezes the priorities and moves the request into service. */
  acknowledge(): number {
    const input = this.request();
    if (input < 0) return -1;
    const bit = 1 << input;
    this.state.latched &= ~bit;
    if ((this.state.icw4 & AUTO_EOI) === 0) this.state.isr |= bit;
    else if (this.state.rotateOnAutoEoi) this.state.lowest = input;
    this.#changed();
    return input;
  }

  /** "ICW3 ... is read only when there is more than one 8259A in the system": SNGL, and whether input 2 has a slave. */
  get hasSlave(): boolean {
    return !this.state.single && (this.state.icw3 & (1 << CASCADE)) !== 0;
  }

  vector(input: number): number {
    if ((this.state.icw4 & 1) === 0) this.#trace(this.#source, "MCS-80/85 mode is not implemented");
    return this.state.vectorBase | (input < 0 ? SPURIOUS : input);
  }

  #readCommand(): number {
    if (this.state.poll) return this.#pollWord();
    return this.state.readsIsr ? this.state.isr : this.#irr();
  }

  #readData(): number {
    return this.state.poll ? this.#pollWord() : this.state.imr;
  }

  #pollWord(): number {
    this.state.poll = false;
    const input = this.acknowledge();
    return input < 0 ? 0 : 0x80 | input;
  }

  #writeCommand(value: number): void {
    if ((value & 0x10) !== 0) this.#initialise(value);
    else if ((value & 0x08) !== 0) this.#ocw3(value);
    else this.#ocw2(value);
    this.#changed();
  }

  /** ICW1. "The edge sense circuit is reset, the IMR is cleared, IR7 has the lowest priority ..." */
  #initialise(value: number): void {
    const { lines, elcr, vectorBase, icw3 } = this.state;
    this.state = { ...resetChip(), lines, elcr, vectorBase, icw3 };
    this.state.levelMode = (value & 8) !== 0;
    this.state.single = (value & 2) !== 0;
    this.state.wantsIcw4 = (value & 1) !== 0;
    this.state.expects = 2;
  }

  #ocw3(value: number): void {
    if ((value & 4) !== 0) this.state.poll = true;
    if ((value & 2) !== 0) this.state.readsIsr = (value & 1) !== 0;
    if ((value & 0x40) !== 0) this.state.specialMask = (value & 0x20) !== 0;
  }

  #ocw2(value: number): void {
    const { isr, imr, specialMask } = this.state;
    const named = value & 7;
    const rotate = (value & 0x80) !== 0;
    const served = this.#highest(specialMask ? isr & ~imr : isr);
    switch ((value >> 5) & 3) {
      case 0: // rotate in automatic EOI mode, set or clear
        this.state.rotateOnAutoEoi = rotate;
        return;
      case 1: // non-specific EOI
        if (served < 0) return;
        this.state.isr = isr & ~(1 << served);
        if (rotate) this.state.lowest = served;
        return;
      case 2: // set priority; without R no operation
        if (rotate) this.state.lowest = named;
        return;
      default: // specific EOI
        this.state.isr = isr & ~(1 << named);
        if (rotate) this.state.lowest = named;
    }
  }

  #writeData(value: number): void {
    const { expects, single, wantsIcw4 } = this.state;
    if (expects === 0) this.state.imr = value;
    else if (expects === 2) {
      this.state.vectorBase = value & 0xf8;
      this.state.expects = single ? (wantsIcw4 ? 4 : 0) : 3;
    } else if (expects === 3) {
      this.state.icw3 = value;
      this.state.expects = wantsIcw4 ? 4 : 0;
    } else {
      this.state.icw4 = value & 0x1f;
      this.state.expects = 0;
    }
    this.#changed();
  }
}

/** Inputs 0-7 are the master's, 8-15 the slave's; input 2 is the cascade and belongs to nobody else. */
export class PicPair {
  readonly intr = new Line();
  readonly master: RegisterFile;
  readonly slave: RegisterFile;
  readonly elcr: RegisterFile;
  readonly #master: Pic;
  readonly #slave: Pic;

  constructor(trace: Trace) {
    // The timer, keyboard and cascade inputs, and the RTC and coprocessor ones, are always edges.
    this.#master = new Pic(true, 0xf8, () => this.#changed(), trace);
    this.#slave = new Pic(false, 0xde, () => this.#changed(), trace);
    this.master = new RegisterFile("pic1", 2, this.#master.rows(), trace, 0xff);
    this.slave = new RegisterFile("pic2", 2, this.#slave.rows(), trace, 0xff);
    const elcr = { ...this.#master.elcrRow(0, "ELCR1"), ...this.#slave.elcrRow(1, "ELCR2") };
    this.elcr = new RegisterFile("elcr", 2, elcr, trace, 0xff);
  }

  setLine(input: number, asserted: boolean): void {
    if (input === CASCADE) throw new RangeError("pic: input 2 is the cascade");
    if (input < 8) this.#master.setLine(input, asserted);
    else this.#slave.setLine(input - 8, asserted);
  }

  /** An INTA cycle: the vector, spurious (IR7 of the chip asked) when the request has gone. */
  acknowledge(): number {
    const input = this.#master.acknowledge();
    let vector: number;
    if (input !== CASCADE || !this.#master.hasSlave) vector = this.#master.vector(input);
    else {
      const served = this.#slave.acknowledge();
      // The slave drops INT at INTA; a further request of it is a new edge for the master.
      this.#master.setLine(CASCADE, false);
      vector = this.#slave.vector(served);
    }
    // So does the master: with automatic EOI a request that waits is a new edge.
    this.intr.set(false);
    this.#changed();
    return vector;
  }

  /** The only place where the cascade and INTR move. */
  #changed(): void {
    const cascade = this.#slave.request() >= 0;
    const { lines } = this.#master.state;
    if (cascade !== ((lines & (1 << CASCADE)) !== 0)) this.#master.setLine(CASCADE, cascade);
    else this.intr.set(this.#master.request() >= 0);
  }

  reset(): void {
    for (const chip of [this.#master, this.#slave]) {
      const { lines } = chip.state;
      chip.state = { ...resetChip(), lines };
    }
    this.#changed();
  }

  snapshot(): { master: Chip; slave: Chip } {
    return structuredClone({ master: this.#master.state, slave: this.#slave.state });
  }

  restore(state: object): void {
    const { master, slave } = structuredClone(state) as { master: Chip; slave: Chip };
    this.#master.state = master;
    this.#slave.state = slave;
    this.intr.settle(this.#master.request() >= 0);
  }
}
