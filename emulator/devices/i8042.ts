// The keyboard controller of a PC: Intel 8042 as the IBM PC/AT and PS/2 technical references program it ("Keyboard and
// Auxiliary Device Controller"), with a keyboard and a mouse at its serial lines, which take no time. Its output port has
// the A20 gate and the pulse that resets the processors.
// Invariant: irq1 and irq12 are asserted exactly while a byte of theirs waits and the command byte allows it; a device's
// byte is taken when the output buffer is empty and the device's line enabled.

import { Line, RegisterFile, type Trace } from "./device.js";
import type { Ps2Device } from "./ps2-keyboard.js";

const status = { output: 1, system: 4, command: 8, unlocked: 0x10, mouse: 0x20 } as const;
const commandByte = {
  keyboardInterrupt: 1,
  mouseInterrupt: 2,
  system: 4,
  keyboardDisabled: 0x10,
  mouseDisabled: 0x20,
  translate: 0x40,
} as const;
/** Bits 3-0 of a command from here on pulse a bit of the output port low. */
const PULSE = 0xf0;
const outputPort = { run: 1, a20: 2, keyboardFull: 0x10, mouseFull: 0x20 } as const;

/** Commands that the controller has and this one has not. */
const unimplemented: readonly (readonly [first: number, last: number, name: string])[] = [
  [0x21, 0x3f, "read controller RAM"],
  [0x61, 0x7f, "write controller RAM"],
  [0xa5, 0xa5, "load password"],
  [0xa6, 0xa6, "enable password"],
  [0xac, 0xac, "diagnostic dump"],
  [0xc1, 0xc1, "poll input port low"],
  [0xc2, 0xc2, "poll input port high"],
  [0xe0, 0xe0, "read test inputs"],
];

const SELF_TEST_PASSED = 0x55;
const LINE_GOOD = 0;
const NO_PASSWORD = 0xf1;
const INPUT_PORT = 0xa0;
/** What the controller makes of bytes of the keyboard as if they were scan codes of set 2: those that its answers have. */
const translated: Readonly<Record<number, number>> = { 1: 0x43, 2: 0x41, 3: 0x3f, 131: 0x41 };

const reset = () => ({
  commandByte: (commandByte.keyboardDisabled | commandByte.mouseDisabled) as number,
  outputPort: outputPort.run as number,
  /** The byte in the output buffer, and the status bits that describe it. */
  buffer: 0,
  flags: 0,
  /** That byte is the controller's answer, which its next answer replaces. */
  own: false,
  /** What the controller has answered while a device's byte was there: it comes before the devices' next ones. */
  answer: null as { readonly buffer: number; readonly flags: number } | null,
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

/** What is plugged in. */
export interface I8042Devices {
  readonly keyboard: Ps2Device;
  readonly mouse: Ps2Device;
}

export class I8042 {
  readonly irq1 = new Line();
  readonly irq12 = new Line();
  readonly data: RegisterFile;
  readonly control: RegisterFile;
  readonly #actions: I8042Actions;
  readonly #devices: I8042Devices;
  readonly #trace: Trace;
  #state = reset();

  constructor(actions: I8042Actions, devices: I8042Devices, trace: Trace) {
    this.#actions = actions;
    this.#devices = devices;
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
    this.#take();
    return buffer;
  }

  /** The controller's answer or the next byte of a device, if the output buffer is empty. */
  #take(): void {
    const { flags, answer, commandByte: bits } = this.#state;
    if ((flags & status.output) !== 0) return;
    if (answer !== null) {
      this.#change({ ...answer, answer: null, own: true });
      return;
    }
    const { keyboard, mouse } = this.#devices;
    const key = (bits & commandByte.keyboardDisabled) === 0 ? keyboard.send() : undefined;
    if (key !== undefined) {
      this.#fill((bits & commandByte.translate) === 0 ? key : (translated[key] ?? key), 0);
      return;
    }
    const moved = (bits & commandByte.mouseDisabled) === 0 ? mouse.send() : undefined;
    if (moved !== undefined) this.#fill(moved, status.mouse);
  }

  /** Whoever sends to a device enables its line. */
  #pass(device: Ps2Device, disabled: number, byte: number): void {
    device.receive(byte);
    this.#setCommandByte(0, disabled);
  }

  /** A device's byte, into the empty output buffer. */
  #fill(buffer: number, flags: number): void {
    this.#change({ buffer, flags: status.output | flags, own: false });
  }

  #answer(buffer: number, flags = 0): void {
    this.#change({
      answer: { buffer, flags: status.output | flags },
      ...(this.#state.own ? { flags: 0 } : {}),
    });
    this.#take();
  }

  /** Commands written to port 64. */
  readonly #commands: Readonly<Record<number, () => void>> = {
    32: () => this.#answer(this.#state.commandByte),
    164: () => this.#answer(NO_PASSWORD),
    167: () => this.#setCommandByte(commandByte.mouseDisabled, 0),
    168: () => this.#setCommandByte(0, commandByte.mouseDisabled),
    169: () => this.#answer(LINE_GOOD), // the mouse's
    170: () => {
      this.#setCommandByte(commandByte.system, 0);
      this.#answer(SELF_TEST_PASSED);
    },
    171: () => this.#answer(LINE_GOOD), // the keyboard's
    173: () => this.#setCommandByte(commandByte.keyboardDisabled, 0),
    174: () => this.#setCommandByte(0, commandByte.keyboardDisabled),
    192: () => this.#answer(INPUT_PORT),
    // Not IBM's, but of most controllers since: A20 without an operand.
    221: () => this.#setOutputPort(this.#state.outputPort & ~outputPort.a20),
    223: () => this.#setOutputPort(this.#state.outputPort | outputPort.a20),
    208: () => this.#answer(this.#outputPort()),
  };

  /** Commands whose operand comes on port 60. */
  readonly #operands: Readonly<Record<number, (value: number) => void>> = {
    96: (value) => {
      this.#change({ commandByte: value & 0x7f });
      this.#take();
    },
    209: (value) => this.#setOutputPort(value),
    210: (value) => this.#answer(value), // as if the keyboard had sent it
    211: (value) => this.#answer(value, status.mouse),
    212: (value) => this.#pass(this.#devices.mouse, commandByte.mouseDisabled, value),
  };

  #command(value: number): void {
    const waits = this.#operands[value] !== undefined;
    this.#change({ wasCommand: true, pending: waits ? value : 0 });
    const perform = this.#commands[value];
    if (perform !== undefined) perform();
    else if (value >= PULSE) this.#pulse(value);
    else if (!waits) this.#reportCommand(value);
  }

  #reportCommand(value: number): void {
    const name = unimplemented.find(([first, last]) => value >= first && value <= last)?.[2];
    const told = name === undefined ? "" : ` (${name})`;
    this.#trace("i8042", `command 0x${value.toString(16)}${told} is not implemented`);
  }

  /** Only the processors' reset is wired. */
  #pulse(value: number): void {
    if ((value & outputPort.run) === 0) this.#actions.initialise();
  }

  #setCommandByte(set: number, clear: number): void {
    this.#change({ commandByte: (this.#state.commandByte | set) & ~clear });
    this.#take();
  }

  #writeData(value: number): void {
    const operand = this.#operands[this.#state.pending];
    this.#change({ wasCommand: false, pending: 0 });
    if (operand !== undefined) operand(value);
    else this.#pass(this.#devices.keyboard, commandByte.keyboardDisabled, value);
  }

  /** With what the interrupt lines say. */
  #outputPort(): number {
    const { keyboardFull, mouseFull } = outputPort;
    const full = (this.irq1.level ? keyboardFull : 0) | (this.irq12.level ? mouseFull : 0);
    return this.#state.outputPort | full;
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
    this.#devices.keyboard.reset();
    this.#devices.mouse.reset();
    this.#change({});
    if (wasOpen) this.#actions.a20(false);
  }

  snapshot(): object {
    const { keyboard, mouse } = this.#devices;
    return { ...this.#state, keyboard: keyboard.snapshot(), mouse: mouse.snapshot() };
  }

  /** The A20 gate restores its own view. */
  restore(saved: object): void {
    const { keyboard, mouse, ...state } = saved as State & { keyboard: object; mouse: object };
    this.#devices.keyboard.restore(keyboard);
    this.#devices.mouse.restore(mouse);
    this.#state = state;
    this.irq1.settle(false);
    this.irq12.settle(false);
    this.#change({});
  }
}
