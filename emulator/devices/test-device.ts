// QEMU's test device for PCs (pc-testdev), which public test suites drive: ports that give back what was written
// to them, interrupt lines as ports, and 64 KiB of memory behind the bus. `buslock boot` plugs it in, where a PC has nothing.
// A write to FLUSH asks the host to forget how it maps a page, which a machine without a host below it need not.
// Suites pulse a line by two OUTs and expect an edge to be remembered. The I/O APIC does; an 8259 wants its input to stay
// high until INTA (data sheet, "Edge and level triggered modes"), so its inputs fall HOLD later than they are told to.

import { type Alarm, type Clock, RegisterFile, type Trace } from "./device.js";

export const LINES = 24;
export const MEMORY_BYTES = 0x1_0000;

/** Nanoseconds: some accesses of the ISA bus, and longer than any suite's way from an OUT to its STI. */
const HOLD = 10_000;

const reset = () => ({
  word: 0,
  bytes: 0,
  flushed: 0,
  memory: [] as number[],
  /** Inputs of the 8259 pair that are still high after their line has fallen, as bits, and until when. */
  falling: 0,
  fallsAt: 0,
});
type State = ReturnType<typeof reset>;

/** Where the lines go: to the I/O APIC at once, to the 8259 pair with its falls held back. */
export interface TestLines {
  ioApic(line: number, level: boolean): void;
  pic(line: number, level: boolean): void;
}

export class TestDevice {
  /** 0xE0: one register of 32 bits; accesses of 1 and 2 bytes reach a part of it. */
  readonly word: RegisterFile;
  /** 0xE4: the page to be flushed. */
  readonly flush: RegisterFile;
  /** 0xE8: the same, but made of bytes. */
  readonly bytes: RegisterFile;
  /** 0x2000: bit 0 of a byte is the level of the line of that number. */
  readonly lines: RegisterFile;
  #state = reset();
  readonly #memory = new Uint8Array(MEMORY_BYTES);
  readonly #wires: TestLines;
  readonly #clock: Clock;
  readonly #alarm: Alarm;

  constructor(wires: TestLines, clock: Clock, alarm: Alarm, trace: Trace) {
    this.#wires = wires;
    this.#clock = clock;
    this.#alarm = alarm;
    const held = (field: "word" | "bytes" | "flushed") => ({
      read: () => this.#state[field],
      write: (value: number) => void Object.assign(this.#state, { [field]: value }),
      bytewise: true as const,
    });
    this.word = new RegisterFile("test-device", 4, { IOPORT: [0, 4, held("word")] }, trace);
    this.flush = new RegisterFile("test-device", 4, { FLUSH: [0, 4, held("flushed")] }, trace);
    this.bytes = new RegisterFile("test-device", 4, { IOPORT_BYTE: [0, 4, held("bytes")] }, trace);
    this.lines = new RegisterFile(
      "test-device",
      LINES,
      Object.fromEntries(
        Array.from({ length: LINES }, (_, line) => [
          `IRQ${line}`,
          [line, 1, { read: () => 0, write: (value: number) => this.#setLine(line, (value & 1) !== 0) }],
        ]),
      ),
      trace,
    );
  }

  #setLine(line: number, level: boolean): void {
    this.#wires.ioApic(line, level);
    const state = this.#state;
    const bit = 1 << line;
    if (!level) {
      state.falling |= bit;
      state.fallsAt = this.#clock.now() + HOLD;
      this.#alarm.set(state.fallsAt);
      return;
    }
    if ((state.falling & bit) !== 0) this.#wires.pic(line, false); // an edge of its own
    state.falling &= ~bit;
    this.#wires.pic(line, true);
  }

  /** The alarm's callback. */
  timerExpired(): void {
    const { falling } = this.#state;
    this.#state.falling = 0;
    for (let line = 0; line < LINES; line++) if ((falling >> line) & 1) this.#wires.pic(line, false);
    this.#alarm.set(Number.POSITIVE_INFINITY);
  }

  /** The memory, from 0xFF00_0000 on. */
  read(offset: number, size: number): number {
    let value = 0;
    for (let byte = 0; byte < size; byte++) value |= this.#memory[offset + byte] << (8 * byte);
    return value >>> 0;
  }

  write(offset: number, size: number, value: number): void {
    for (let byte = 0; byte < size; byte++) this.#memory[offset + byte] = value >>> (8 * byte);
  }

  reset(): void {
    this.#state = reset();
    this.#memory.fill(0);
    this.#alarm.set(Number.POSITIVE_INFINITY);
  }

  snapshot(): State {
    return { ...this.#state, memory: [...this.#memory] };
  }

  restore(state: object): void {
    const { memory, ...own } = state as State;
    this.#state = { ...own, memory: [] };
    this.#memory.set(memory);
    this.#alarm.set(this.#state.falling === 0 ? Number.POSITIVE_INFINITY : this.#state.fallsAt);
  }
}
