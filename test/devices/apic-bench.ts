// Cores with nothing but their local APICs, and the bus between them, for the tests of local-apic and x2apic.

import { CoreDevices } from "../../emulator/board/core-devices.js";
import { Interrupts } from "../../emulator/board/interrupts.js";
import { MAILBOX_WORDS, SharedMailbox, word } from "../../emulator/board/mailbox.js";
import { TestClock, tracer } from "./bench.js";

export const BASE = 0xfee0_0000;
export const r = {
  id: 0x20, version: 0x30, tpr: 0x80, apr: 0x90, ppr: 0xa0, eoi: 0xb0, ldr: 0xd0, dfr: 0xe0, svr: 0xf0,
  isr: 0x100, tmr: 0x180, irr: 0x200, esr: 0x280, icrLow: 0x300, icrHigh: 0x310, timer: 0x320,
  thermal: 0x330, performance: 0x340, lint0: 0x350, lint1: 0x360, error: 0x370, initial: 0x380,
  current: 0x390, divide: 0x3e0,
} as const; // biome-ignore format: a table
export const MASKED = 0x1_0000;
export const LEVEL = 0x8000;

export class Core {
  constructor(
    readonly devices: CoreDevices,
    readonly mailbox: SharedMailbox,
  ) {}
  get(register: number): number {
    return this.devices.read(BASE + register, 4);
  }
  set(register: number, value: number): void {
    this.devices.write(BASE + register, 4, value);
  }
  get attention(): number {
    return Atomics.load(this.mailbox.words, word.attention);
  }
  /** Enables the APIC and forgets what has happened. */
  enable(): this {
    this.set(r.svr, 0x1ff);
    this.mailbox.takeAttention(~0);
    return this;
  }
}

export class ApicBench {
  readonly clocks: TestClock[];
  readonly cores: Core[];
  readonly interrupts: Interrupts;
  /** Vectors whose EOI was told to the I/O APIC. */
  readonly eois: number[] = [];
  acknowledged = 0;
  readonly lines: string[];

  constructor(count: number) {
    const mailboxes = Array.from(
      { length: count },
      () => new Int32Array(new SharedArrayBuffer(MAILBOX_WORDS * 4)),
    );
    const { trace, lines } = tracer();
    this.lines = lines;
    this.clocks = mailboxes.map(() => new TestClock());
    this.interrupts = new Interrupts(mailboxes, trace);
    this.cores = mailboxes.map((words, core) => {
      const devices = new CoreDevices({
        core,
        cores: count,
        clock: this.clocks[core],
        mailboxes,
        interruptAcknowledge: () => 0x20 + this.acknowledged++,
        endOfInterrupt: (vector) => void this.eois.push(vector),
        physicalAddressBits: 40,
        trace,
      });
      return new Core(devices, new SharedMailbox(words));
    });
  }

  /** Moves a core's clock and lets its timer run. */
  pass(core: number, nanoseconds: number): void {
    const clock = this.clocks[core];
    const end = clock.time + nanoseconds;
    const { devices } = this.cores[core];
    for (let next = devices.nextDeadline(); next <= end; next = devices.nextDeadline()) {
      clock.time = Math.max(clock.time, next);
      devices.advance(clock.time);
    }
    clock.time = end;
  }
}
