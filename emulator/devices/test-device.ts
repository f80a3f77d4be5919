// QEMU's test device for PCs (pc-testdev), which public test suites drive: ports that give back what was written
// to them, interrupt lines as ports, and 64 KiB of memory behind the bus. `buslock boot` plugs it in, where a PC has nothing.
// A write to FLUSH asks the host to forget how it maps a page, which a machine without a host below it need not.

import { RegisterFile, type Trace } from "./device.js";

export const LINES = 24;
export const MEMORY_BYTES = 0x1_0000;

const reset = () => ({ word: 0, bytes: 0, flushed: 0, memory: [] as number[] });
type State = ReturnType<typeof reset>;

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

  constructor(setLine: (line: number, level: boolean) => void, trace: Trace) {
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
          [line, 1, { read: () => 0, write: (value: number) => setLine(line, (value & 1) !== 0) }],
        ]),
      ),
      trace,
    );
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
  }

  snapshot(): State {
    return { ...this.#state, memory: [...this.#memory] };
  }

  restore(state: object): void {
    const { memory, ...own } = state as State;
    this.#state = { ...own, memory: [] };
    this.#memory.set(memory);
  }
}
