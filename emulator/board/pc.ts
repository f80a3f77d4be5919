// The board on one page: every shared device, its ports, its addresses and its interrupt line. Lives on one
// thread (the board's); cores reach it by the calls below. Each core's local APIC is in core-devices.ts.
// Invariant: one device answers an access; what nobody claims reads as all ones and is reported once.

import { Timers } from "../clock.js";
import { AcpiPm } from "../devices/acpi-pm.js";
import { Coprocessor } from "../devices/coprocessor.js";
import { DebugPorts, debugConsole } from "../devices/debug-ports.js";
import { hex, type Line, mask, type RegisterFile } from "../devices/device.js";
import { FwCfg } from "../devices/fw-cfg.js";
import { BYTES as HPET_BYTES, Hpet } from "../devices/hpet.js";
import { I8042 } from "../devices/i8042.js";
import { IoApic } from "../devices/io-apic.js";
import { type PciFunction, PciHost, PlainFunction } from "../devices/pci.js";
import { PicPair } from "../devices/pic.js";
import { Pit } from "../devices/pit.js";
import { Power } from "../devices/power.js";
import { Ps2Keyboard } from "../devices/ps2-keyboard.js";
import { Ps2Mouse } from "../devices/ps2-mouse.js";
import { Rtc } from "../devices/rtc.js";
import { LINES, MEMORY_BYTES, TestDevice } from "../devices/test-device.js";
import { Uart16550 } from "../devices/uart16550.js";
import { Cards } from "./cards.js";
import { batteryMemory, configurationFiles, configurationItems } from "./configuration.js";
import { Interrupts } from "./interrupts.js";
import {
  address,
  frequency,
  ISA_LINES,
  ioApicPins,
  ioApicPitPin,
  line,
  pciDevice,
  pciLine,
  pciPin,
  pciPinFirst,
  port,
} from "./map.js";
import { absentName } from "./names.js";
import { checkOptions, type PcOptions } from "./pc-options.js";
import { Ports } from "./ports.js";
import { Regions } from "./regions.js";

export type { PcOptions, PowerEvent } from "./pc-options.js";

interface Part {
  reset(): void;
  snapshot(): object;
  restore(state: object): void;
}

/** Seconds from 1970 to the year 2000. */
const YEAR_2000 = 946_684_800;
const PAGE_BYTES = 0x1000;
const IO_APIC_BYTES = 0x100;
const CONFIG_DATA_BYTES = 4;
/** Unclaimed places that are reported: a guest may try all of them. */
const REPORTS_MAX = 4096;
/**
 * The clock's byte by which firmware tells after a RESET what the machine did before, and its value for S3. On a PC the
 * firmware leaves it there itself, in system management mode; here the board does, as QEMU's do for SeaBIOS.
 */
const RTC_SHUTDOWN = 0x0f;
const SHUTDOWN_ASLEEP = 0xfe;
/** The host bridge has no registers of interest; an identity without a chip set's quirks. */
const hostBridge = {
  vendor: 0x1b36,
  device: 0x0008,
  revision: 0,
  classCode: 0x06_0000,
  subsystemVendor: 0x1af4,
  subsystem: 0x1100,
  interruptPin: 0,
} as const;

export class Pc {
  readonly #options: PcOptions;
  readonly #timers = new Timers();
  readonly #interrupts: Interrupts;
  readonly #pic: PicPair;
  readonly #ioApic: IoApic;
  readonly #pit: Pit;
  readonly #com1: Uart16550;
  readonly #rtc: Rtc;
  readonly #coprocessor: Coprocessor;
  readonly #power: Power;
  readonly #pm: AcpiPm;
  readonly #hpet: Hpet;
  readonly #i8042: I8042;
  readonly #fwCfg: FwCfg;
  readonly #pci: PciHost;
  readonly #cards: Cards;
  readonly #debug: DebugPorts;
  readonly #test: TestDevice | undefined;
  readonly #hostBridge = new PlainFunction(hostBridge, (text) => this.#options.trace("host-bridge", text));
  readonly #ports = new Ports({
    read: (number, size) => this.#unclaimedRead("port", number, size),
    write: (number, size, value) => this.#unclaimedWrite("port", number, size, value),
  });
  readonly #regions = new Regions();
  /** What nobody claims and has been reported. */
  readonly #reported = new Set<string>();
  readonly #parts: Record<string, Part>;

  constructor(options: PcOptions) {
    checkOptions(options);
    this.#options = options;
    const { clock, memory, mailboxes, trace } = options;
    const alarm = (expired: () => void) => this.#timers.alarm(expired);
    this.#interrupts = new Interrupts(mailboxes, trace);
    this.#interrupts.reset();
    this.#pic = new PicPair(trace);
    this.#ioApic = new IoApic(ioApicPins, pciPinFirst, this.#interrupts, trace);
    this.#pit = new Pit(
      frequency.pit,
      clock,
      alarm(() => this.#pit.timerExpired()),
      trace,
    );
    this.#com1 = new Uart16550(
      (byte) => options.console(byte),
      clock,
      alarm(() => this.#com1.timerExpired()),
      trace,
    );
    this.#rtc = new Rtc(
      options.startTime ?? YEAR_2000,
      clock,
      alarm(() => this.#rtc.timerExpired()),
      trace,
      batteryMemory(options.cores, memory.bytes.length),
    );
    this.#coprocessor = new Coprocessor(trace);
    this.#pm = new AcpiPm(
      frequency.pmTimer,
      clock,
      alarm(() => this.#pm.timerExpired()),
      {
        off: () => options.power({ kind: "power-off" }),
        sleep: () => {
          this.#rtc.keep(RTC_SHUTDOWN, SHUTDOWN_ASLEEP);
          options.power({ kind: "sleep" });
        },
        wake: () => options.power({ kind: "reset" }),
      },
      trace,
    );
    this.#power = new Power(
      {
        initialise: () => this.#interrupts.initialiseAll(),
        reset: () => options.power({ kind: "reset" }),
        exit: (code) => options.power({ kind: "exit", code }),
        a20: (open) => options.a20(open),
      },
      trace,
    );
    this.#i8042 = new I8042(
      {
        initialise: () => this.#interrupts.initialiseAll(),
        a20: (open) => this.#power.keyboardA20(open),
      },
      { keyboard: new Ps2Keyboard(trace), mouse: new Ps2Mouse(trace) },
      trace,
    );
    this.#hpet = new Hpet(
      clock,
      alarm(() => this.#hpet.timerExpired()),
      {
        pin: (pin, level) => this.#setPin(pin, level),
        legacy: (which, level) => this.setLine(which === 0 ? line.pit : line.rtc, level),
        legacyReplacement: () => this.#driveTimers(),
        message: (to, data) => this.#message(to, data),
      },
      trace,
    );
    const configuration = { ...options, ramBytes: memory.bytes.length };
    this.#fwCfg = new FwCfg(
      configurationItems(configuration),
      configurationFiles(configuration),
      memory,
      trace,
    );
    this.#debug = new DebugPorts(options.debugConsole ?? (() => {}), trace);
    if (options.testDevice === true)
      this.#test = new TestDevice(
        {
          ioApic: (number, level) => this.#setIoApic(number, level),
          pic: (number, level) => {
            if (number < ISA_LINES && number !== line.cascade) this.#pic.setLine(number, level);
          },
        },
        clock,
        alarm(() => this.#test?.timerExpired()),
        trace,
      );
    this.#cards = new Cards(options, memory, options.wire, (to, data) => this.#message(to, data), trace);
    const functions = new Map<number, PciFunction>([[pciDevice.hostBridge * 8, this.#hostBridge]]);
    for (const { device, card } of this.#cards.slots) functions.set(device * 8, card.pci);
    this.#pci = new PciHost(functions, trace);
    this.#parts = this.#listParts();
    this.#wire();
    this.#claimPorts();
    this.#claimRegions();
  }

  // --- Lines ---

  #wire(): void {
    this.#pit.irq.to(() => !this.#hpet.legacy && this.#driveTimers());
    this.#i8042.irq1.to((level) => this.setLine(line.keyboard, level));
    this.#i8042.irq12.to((level) => this.setLine(line.mouse, level));
    // A PC connects the UART's interrupt to the bus with OUT2.
    const com1 = () => this.setLine(line.com1, this.#com1.irq.level && this.#com1.out2.level);
    this.#com1.irq.to(com1);
    this.#com1.out2.to(com1);
    this.#rtc.irq.to((level) => {
      if (!this.#hpet.legacy) this.#driveTimers();
      if (level) this.#pm.clockAlarm();
    });
    this.#coprocessor.irq.to((level) => this.setLine(line.coprocessor, level));
    this.#pm.sci.to((level) => this.setLine(line.sci, level));
    this.#wireCards();
    // The 8259 pair's INTR goes to every core's LINT0 and, on the I/O APIC, to pin 0.
    this.#pic.intr.to((level) => {
      this.#interrupts.setPin(0, level);
      this.#setPin(0, level);
    });
  }

  /** The lines of PIT and RTC; low when the HPET takes their place. */
  #driveTimers(): void {
    const own = !this.#hpet.legacy;
    this.setLine(line.pit, own && this.#pit.irq.level);
    this.setLine(line.rtc, own && this.#rtc.irq.level);
  }

  /**
   * Cards of one pin share it: it is asserted while any of them asserts it. The same INTA is an ISA line, as a chip set's
   * router would have it, but of the 8259 pair only: of the I/O APIC a PCI interrupt has a pin of its own.
   */
  #wireCards(): void {
    for (const { device, card } of this.#cards.slots) {
      const any = (of: (device: number) => number) =>
        this.#cards.slots.some((slot) => of(slot.device) === of(device) && slot.card.pci.irq.level);
      card.pci.irq.to(() => {
        this.#setPin(pciPin(device), any(pciPin));
        this.#pic.setLine(pciLine(device), any(pciLine));
      });
    }
  }

  #setPin(pin: number, asserted: boolean): void {
    this.#ioApic.setPin(pin, pin < pciPinFirst ? asserted : !asserted);
  }

  /** ISA line n is the 8259 pair's input n and the I/O APIC's pin n, but for the timer. */
  setLine(number: number, level: boolean): void {
    this.#pic.setLine(number, level);
    this.#setIoApic(number, level);
  }

  #setIoApic(number: number, level: boolean): void {
    this.#setPin(number === line.pit ? ioApicPitPin : number, level);
  }

  #message(to: number, data: number): void {
    const inWindow = to >= address.messages && to < address.messages + 2 ** 20;
    if (inWindow) this.#interrupts.message(to, data);
    else this.#trace(`interrupt message to ${hex(to)}, which is not where messages go: lost`);
  }

  // --- Ports ---

  #claimPorts(): void {
    this.#ports.claim(port.pic1, 2, this.#pic.master);
    this.#ports.claim(port.pic2, 2, this.#pic.slave);
    this.#ports.claim(port.elcr, 2, this.#pic.elcr);
    this.#ports.claim(port.pit, 4, this.#pit.registers);
    this.#ports.claim(port.keyboardData, 1, this.#i8042.data);
    this.#ports.claim(port.speaker, 1, this.#pit.speaker);
    this.#ports.claim(port.keyboardControl, 1, this.#i8042.control);
    this.#ports.claim(port.rtc, 2, this.#rtc.registers);
    this.#ports.claim(port.systemControlA, 1, this.#power.controlA);
    this.#ports.claim(port.coprocessor, 2, this.#coprocessor.registers);
    this.#ports.claim(port.x87Error, 1, { read: () => 0xff, write: () => this.#coprocessor.error() });
    this.#ports.claim(port.exit, 4, this.#power.exit);
    this.#ports.claim(port.com1, 8, this.#com1.registers);
    this.#ports.claim(port.fwCfg, 12, this.#fwCfg);
    this.#ports.claim(port.pm1Event, 12, this.#pm.registers);
    this.#ports.claim(port.post, 1, this.#debug.post);
    const { biosConsole, trace } = this.#options;
    if (biosConsole !== undefined)
      this.#ports.claim(port.biosConsole, 1, debugConsole("bios-console", biosConsole, trace));
    if (this.#test === undefined) this.#ports.claim(port.debugConsole, 1, this.#debug.console);
    else this.#claimTestPorts(this.#test);
    this.#ports.claim(port.pciData, CONFIG_DATA_BYTES, {
      read: (offset, size) => this.#pci.readData(offset, size),
      write: (offset, size, value) => this.#pci.writeData(offset, size, value),
    });
    // The reset control register lies inside of CONFIG_ADDRESS, which takes 32-bit accesses only.
    const within = (offset: number, size: number): RegisterFile | undefined => {
      if (offset === 0 && size === 4) return this.#pci.address;
      return offset === port.resetControl - port.pciAddress && size === 1
        ? this.#power.resetControl
        : undefined;
    };
    this.#ports.claim(port.pciAddress, 4, {
      read: (offset, size) =>
        within(offset, size)?.read(0, size) ?? this.#unclaimedRead("port", port.pciAddress + offset, size),
      write: (offset, size, value) => {
        const register = within(offset, size);
        if (register !== undefined) register.write(0, size, value);
        else this.#unclaimedWrite("port", port.pciAddress + offset, size, value);
      },
    });
  }

  /** The bytes of the test device lie where the debug console would be. */
  #claimTestPorts(device: TestDevice): void {
    this.#ports.claim(port.testWord, 4, device.word);
    this.#ports.claim(port.testFlush, 4, device.flush);
    this.#ports.claim(port.testBytes, 4, device.bytes);
    this.#ports.claim(port.testLines, LINES, device.lines);
  }

  /** size 1, 2 or 4; values are u32. Unclaimed reads give all ones. */
  portRead(number: number, size: number): number {
    return this.#ports.read(number, size);
  }

  portWrite(number: number, size: number, value: number): void {
    this.#ports.write(number, size, value);
  }

  // --- Memory that is neither RAM nor a local APIC page ---

  #claimRegions(): void {
    const { rom } = this.#options;
    const dropped = (from: number) => (offset: number, size: number, value: number) =>
      this.#unclaimedWrite("address", from + offset, size, value);
    // The ROM ends at 4 GiB; its last 128 KiB show below 1 MiB too.
    const low = Math.min(rom.length, address.lowRomEnd - address.lowRom);
    for (const [end, bytes] of [
      [address.romEnd, rom.length],
      [address.lowRomEnd, low],
    ] as const) {
      const start = rom.length - bytes;
      const read = (offset: number, size: number) => readBytes(rom, start + offset, size);
      this.#regions.claim(end - bytes, bytes, { read, write: dropped(end - bytes) });
    }
    this.#regions.claim(address.ioApic, PAGE_BYTES, {
      read: (offset, size) => this.#ioApic.read(offset % IO_APIC_BYTES, size),
      write: (offset, size, value) => this.#ioApic.write(offset % IO_APIC_BYTES, size, value),
    });
    this.#regions.claim(address.ecam, address.ecamEnd - address.ecam, {
      read: (offset, size) => this.#pci.readEcam(offset, size),
      write: (offset, size, value) => this.#pci.writeEcam(offset, size, value),
    });
    this.#regions.claim(address.hpet, HPET_BYTES, this.#hpet.registers);
    if (this.#test !== undefined) this.#regions.claim(address.testMemory, MEMORY_BYTES, this.#test);
  }

  /** An access of 8 bytes is two of 4, low first. */
  read(physical: number, size: number): number {
    const value = this.#regions.read(physical, size);
    if (value !== undefined) return value;
    const hit = this.#pci.decode(physical);
    if (hit === undefined) return this.#unclaimedRead("address", physical, size);
    return (hit.target.readBar(hit.bar, hit.offset, size) & mask(size)) >>> 0;
  }

  write(physical: number, size: number, value: number): void {
    const bits = (value & mask(size)) >>> 0;
    if (this.#regions.write(physical, size, bits)) return;
    const hit = this.#pci.decode(physical);
    if (hit !== undefined) hit.target.writeBar(hit.bar, hit.offset, size, bits);
    else this.#unclaimedWrite("address", physical, size, bits);
  }

  #unclaimedRead(space: string, at: number, size: number): number {
    this.#reportUnclaimed(space, at, `read of ${size} bytes`);
    return mask(size) >>> 0;
  }

  #unclaimedWrite(space: string, at: number, size: number, value: number): void {
    this.#reportUnclaimed(space, at, `write of ${size} bytes (${hex(value)})`);
  }

  /** Once for each port and address: software that polls would fill a trace. */
  #reportUnclaimed(space: string, at: number, what: string): void {
    const place = `${space} ${hex(at)}`;
    if (this.#reported.has(place) || this.#reported.size >= REPORTS_MAX) return;
    this.#reported.add(place);
    const name = space === "port" ? absentName(at) : "";
    this.#trace(`${place}${name === "" ? "" : ` (${name})`}: ${what}, claimed by nobody`);
  }

  #trace(text: string): void {
    this.#options.trace("board", text);
  }

  // --- What the cores and the outside ask for ---

  /** INTA: the 8259 pair's vector. */
  interruptAcknowledge(): number {
    return this.#pic.acknowledge();
  }

  /** EOI of a level-triggered vector, from a local APIC. */
  endOfInterrupt(vector: number): void {
    this.#ioApic.endOfInterrupt(vector);
  }

  nextDeadline(): number {
    return this.#timers.nextDeadline();
  }

  /** Runs what is due at or before `now`; the clock must have reached it. */
  advance(now: number): void {
    this.#timers.run(now);
  }

  /** A frame from the wire; false when the device had no room and dropped it. */
  receiveFrame(frame: Uint8Array): boolean {
    return !this.asleep && (this.#cards.net?.receive(frame) ?? false);
  }

  /** A byte typed on the console; false when the UART's FIFO is full (try again later). */
  receiveByte(byte: number): boolean {
    return this.#com1.receive(byte);
  }

  /** A byte typed on the virtio console; false when the driver has no buffer for it (try again later). */
  receiveVirtioConsole(byte: number): boolean {
    return this.#cards.console?.receive(byte) ?? true;
  }

  /** The network cable: plugged or pulled. */
  setLink(up: boolean): void {
    this.#cards.net?.setLink(up);
  }

  pressPowerButton(): void {
    this.#pm.pressPowerButton();
  }

  /** ACPI's S3: the cores are to stand still. */
  get asleep(): boolean {
    return this.#pm.asleep;
  }

  /** The guest wants to be told of the power button. */
  get powerButtonHeard(): boolean {
    return this.#pm.powerButtonHeard;
  }

  get a20Open(): boolean {
    return this.#power.a20Open;
  }

  /** Frames dropped are those for which there was no buffer, and those that no card would carry. */
  get counters(): {
    readonly framesSent: number;
    readonly framesReceived: number;
    readonly framesDropped: number;
  } {
    return this.#cards.net?.counters ?? { framesSent: 0, framesReceived: 0, framesDropped: 0 };
  }

  /** Interrupt lines by name, for whoever wants to watch them. */
  get lines(): Readonly<Record<string, Line>> {
    return {
      pit: this.#pit.irq,
      rtc: this.#rtc.irq,
      com1: this.#com1.irq,
      sci: this.#pm.sci,
      intr: this.#pic.intr,
      ...Object.fromEntries(this.#cards.slots.map(({ name, card }) => [name, card.pci.irq])),
    };
  }

  // --- Life ---

  #listParts(): Record<string, Part> {
    return {
      pic: this.#pic,
      ioApic: this.#ioApic,
      pit: this.#pit,
      com1: this.#com1,
      rtc: this.#rtc,
      coprocessor: this.#coprocessor,
      power: this.#power,
      i8042: this.#i8042,
      hpet: this.#hpet,
      pm: this.#pm,
      fwCfg: this.#fwCfg,
      pci: this.#pci,
      hostBridge: {
        reset: () => this.#hostBridge.config.reset(),
        snapshot: () => ({ bytes: [...this.#hostBridge.config.bytes] }),
        restore: (state: object) => {
          this.#hostBridge.config.bytes = [...(state as { bytes: number[] }).bytes];
        },
      },
      debug: this.#debug,
      ...(this.#test === undefined ? {} : { test: this.#test }),
      ...Object.fromEntries(this.#cards.slots.map(({ name, card }) => [name, card])),
    };
  }

  /** RESET of every shared device and of the mailboxes, before the cores reset their own. */
  reset(): void {
    this.#interrupts.reset();
    for (const part of Object.values(this.#parts)) part.reset();
    if (this.#options.shadowedRom === true) this.#shadowRom();
  }

  #shadowRom(): void {
    const { rom, memory } = this.#options;
    const end = rom.subarray(Math.max(0, rom.length - (address.lowRomEnd - address.shadow)));
    memory.bytes.set(end, address.lowRomEnd - end.length);
    memory.written(address.lowRomEnd - end.length, end.length);
  }

  /** Plain data; the mailboxes belong to the cores' snapshots. */
  snapshot(): object {
    return Object.fromEntries(Object.entries(this.#parts).map(([name, part]) => [name, part.snapshot()]));
  }

  restore(state: object): void {
    const states = state as Record<string, object>;
    for (const [name, part] of Object.entries(this.#parts)) {
      if (states[name] === undefined) throw new Error(`snapshot of the board: no state of ${name}`);
      part.restore(states[name]);
    }
  }
}

function readBytes(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let byte = 0; byte < size; byte++) value |= bytes[at + byte] << (8 * byte);
  return value >>> 0;
}
