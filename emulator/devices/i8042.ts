// The keyboard controller of a PC: Intel 8042 as the IBM PC/AT and PS/2 technical references program it. It has no
// keyboard and no mouse: what is sent to one is answered by the controller itself, with a time-out. What remains of
// use are its output port's A20 gate and the pulse that resets the processors.
// Invariant: irq1 and irq12 are asserted exactly while a byte of theirs waits and the command byte allows it.

import { Line, RegisterFile, type Trace } from "./device.js";

const status = { output: 1, system: 4, command: 8, unlocked: 0x10, mouse: 0x20, timeout: 0x40 } as const;
const commandByte = { keyboardInterrupt: 1, mouseInterrupt: 2, system: 4 } as const;
/** Bits 3-0 of a command from here on pulse a bit of the output port low. */
const PULSE = 0xf0;
const outputPort = { run: 1, a20: 2 } as const;
const RESEND = 0xfe;

const SELF_TEST_PASSED = 0x55;
const CLOCK_LINE_LOW = 0x01; // of the mouse's interface: nothing is plugged in
const INPUT_PORT = 0xa0;
const KEYBOARD_DISABLED = 0x10;
const MOUSE_DISABLED = 0x20;

const reset = () => ({
  commandByte: KEYBOARD_DISABLED | MOUSE_DISABLED,
  outputPort: outputPort.run as number,
  /** The byte in the output buffer, and the status bits that describe it. */
  buffer: 0,
  flags: 0,
  /** A command that waits for its operand, or 0. */
  pending: 0,
  /** The last write went to port 64. */
  wasCommand: false,
});
type State = ReturnType<typeof reset>;

export interface I8042Actions {
  /** The processors' INIT, by the output port's bit 0. */
  initialise(): void;
  /** The output port's A20 gate, which is one of two. */
  a20(open: boolean): void;
}

export class I8042 {
  readonly irq1 = new Line();
  readonly irq12 = new Line();
  readonly data: RegisterFile;
  readonly control: RegisterFile;
  readonly #actions: I8042Actions;
  readonly #trace: Trace;
  #state = reset();

  constructor(actions: I8042Actions, trace: Trace) {
    this.#actions = actions;
    this.#trace = trace;
    const data = { read: () => this.#readData(), write: (value: number) => this.#writeData(value) };
    this.data = new RegisterFile("i8042", 1, { DATA: [0, 1, data] }, trace, 0xff);
    const control = { read: () => this.#status(), write: (value: number) => this.#command(value) };
    this.control = new RegisterFile("i8042", 1, { STATUS: [0, 1, control] }, trace, 0xff);
  }

  #status(): number {
    const { flags, commandByte: bits, wasCommand } = this.#state;
    return flags | status.unlocked | (bits & commandByte.system) | (wasCommand ? status.command : 0);
  }

  #readData(): number {
    const { buffer } = this.#state;
    this.#change({ flags: 0 });
    return buffer;
  }

  #answer(buffer: number, flags = 0): void {
    this.#change({ buffer, flags: status.output | flags });
  }

  /** Commands written to port 64. */
  readonly #commands: Readonly<Record<number, () => void>> = {
    32: () => this.#answer(this.#state.commandByte),
    167: () => this.#setCommandByte(MOUSE_DISABLED, 0),
    168: () => this.#setCommandByte(0, MOUSE_DISABLED),
    169: () => this.#answer(CLOCK_LINE_LOW),
    170: () => {
      this.#setCommandByte(commandByte.system, 0);
      this.#answer(SELF_TEST_PASSED);
    },
    171: () => this.#answer(0), // the keyboard's interface is good
    173: () => this.#setCommandByte(KEYBOARD_DISABLED, 0),
    174: () => this.#setCommandByte(0, KEYBOARD_DISABLED),
    192: () => this.#answer(INPUT_PORT),
    208: () => this.#answer(this.#state.outputPort),
  };

  /** Commands whose operand comes on port 60. */
  readonly #operands: Readonly<Record<number, (value: number) => void>> = {
    96: (value) => this.#change({ commandByte: value & 0x7f }),
    209: (value) => this.#setOutputPort(value),
    210: (value) => this.#answer(value), // as if the keyboard had sent it
    211: (value) => this.#answer(value, status.mouse),
    212: () => this.#answer(RESEND, status.timeout | status.mouse), // to a mouse that is not there
  };

  #command(value: number): void {
    const waits = this.#operands[value] !== undefined;
    this.#change({ wasCommand: true, pending: waits ? value : 0 });
    const perform = this.#commands[value];
    if (perform !== undefined) perform();
    else if (value >= PULSE) this.#pulse(value);
    else if (!waits) this.#trace("i8042", `command 0x${value.toString(16)} is not implemented`);
  }

  /** Only the processors' reset is wired. */
  #pulse(value: number): void {
    if ((value & outputPort.run) === 0) this.#actions.initialise();
  }

  #setCommandByte(set: number, clear: number): void {
    this.#change({ commandByte: (this.#state.commandByte | set) & ~clear });
  }

  #writeData(value: number): void {
    const operand = this.#operands[this.#state.pending];
    this.#change({ wasCommand: false, pending: 0 });
    if (operand !== undefined) operand(value);
    else this.#answer(RESEND, status.timeout); // to a keyboard that is not there
  }

  #setOutputPort(value: number): void {
    const before = this.#state.outputPort;
    this.#change({ outputPort: value & (outputPort.run | outputPort.a20) });
    if (((before ^ value) & outputPort.a20) !== 0) this.#actions.a20((value & outputPort.a20) !== 0);
    if ((value & outputPort.run) === 0) {
      this.#change({ outputPort: this.#state.outputPort | outputPort.run });
      this.#actions.initialise();
    }
  }

  /** The only place where the lines move. */
  #change(next: Partial<State>): void {
    Object.assign(this.#state, next);
    const { flags, commandByte: bits } = this.#state;
    const full = (flags & status.output) !== 0;
    const mouse = (flags & status.mouse) !== 0;
    this.irq1.set(full && !mouse && (bits & commandByte.keyboardInterrupt) !== 0);
    this.irq12.set(full && mouse && (bits & commandByte.mouseInterrupt) !== 0);
  }

  reset(): void {
    const wasOpen = (this.#state.outputPort & outputPort.a20) !== 0;
    this.#state = reset();
    this.#change({});
    if (wasOpen) this.#actions.a20(false);
  }

  snapshot(): State {
    return { ...this.#state };
  }

  /** The A20 gate restores its own view. */
  restore(state: object): void {
    this.#state = { ...(state as State) };
    this.irq1.settle(false);
    this.irq12.settle(false);
    this.#change({});
  }
}
