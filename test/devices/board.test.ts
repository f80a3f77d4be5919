// The board as cores and the outside see it: ports, addresses, lines, power, snapshots.

import { beforeEach, describe, expect, test } from "vitest";
import { CoreDevices } from "../../emulator/board/core-devices.js";
import { Interrupts } from "../../emulator/board/interrupts.js";
import {
  hardwareEnabled,
  MAILBOX_WORDS,
  SharedMailbox,
  softwareEnabled,
  word,
} from "../../emulator/board/mailbox.js";
import { address, pciDevice, pciLine, pciPin, port } from "../../emulator/board/map.js";
import { Pc, type PcOptions, type PowerEvent } from "../../emulator/board/pc.js";
import { TestClock, TestMemory, throughJson, tracer } from "./bench.js";
import { mac, pattern } from "./virtio-driver.js";

const ROM = Uint8Array.from({ length: 0x1_0000 }, (_, at) => (at * 31) & 0xff);

class Bench {
  readonly clock = new TestClock();
  readonly memory = new TestMemory(0x20_0000);
  readonly typed: number[] = [];
  readonly frames: Uint8Array[] = [];
  readonly events: (PowerEvent | string)[] = [];
  readonly lines: string[];
  readonly mailboxes: SharedMailbox[];
  readonly pc: Pc;

  constructor({ card = true, ...options }: Partial<PcOptions> & { card?: boolean } = {}) {
    const words = [0, 1].map(() => new Int32Array(new SharedArrayBuffer(4 * MAILBOX_WORDS)));
    this.mailboxes = words.map((own) => new SharedMailbox(own));
    const { trace, lines } = tracer();
    this.lines = lines;
    this.pc = new Pc({
      cores: 2,
      clock: this.clock,
      memory: this.memory,
      mailboxes: words,
      rom: ROM,
      ...(card ? { mac } : {}),
      console: (byte) => this.typed.push(byte),
      wire: { send: (frame) => this.frames.push(frame.slice()), together: (send) => send() },
      power: (event) => this.events.push(event),
      a20: (open) => this.events.push(open ? "A20 open" : "A20 closed"),
      trace,
      ...options,
    });
    for (const { words: own } of this.mailboxes) own[word.state] = hardwareEnabled | softwareEnabled;
  }

  /** Runs the board's timers up to a moment. */
  advance(nanoseconds: number): void {
    const end = this.clock.time + nanoseconds;
    for (let next = this.pc.nextDeadline(); next <= end; next = this.pc.nextDeadline()) {
      this.clock.time = Math.max(this.clock.time, next);
      this.pc.advance(this.clock.time);
    }
    this.clock.time = end;
  }

  out(number: number, value: number, size = 1): void {
    this.pc.portWrite(number, size, value);
  }
  in(number: number, size = 1): number {
    return this.pc.portRead(number, size);
  }
  ioApic(register: number, value: number): void {
    this.pc.write(address.ioApic, 4, register);
    this.pc.write(address.ioApic + 0x10, 4, value);
  }
  /** Vectors posted to a core, taken out. */
  posted(core = 0): number[] {
    const vectors: number[] = [];
    const mailbox = this.mailboxes[core];
    for (let vector = mailbox.highest(); vector >= 0; vector = mailbox.highest()) {
      vectors.push(vector);
      mailbox.take(vector);
    }
    return vectors;
  }
  pic(mask = 0): void {
    for (const [number, value] of [
      [port.pic1, 0x11],
      [port.pic1 + 1, 0x20],
      [port.pic1 + 1, 4],
      [port.pic1 + 1, 1],
      [port.pic1 + 1, mask],
      [port.pic2, 0x11],
      [port.pic2 + 1, 0x28],
      [port.pic2 + 1, 2],
      [port.pic2 + 1, 1],
    ])
      this.out(number, value);
  }
}

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

describe("ports", () => {
  test.each([
    ["8259 mask", port.pic1 + 1, 1, 0],
    ["ELCR", port.elcr, 2, 0],
    ["port 0x61", port.speaker, 1, 0],
    ["the clock's seconds", port.rtc + 1, 1, 0],
    ["port 0x92", port.systemControlA, 1, 2],
    ["UART line status", port.com1 + 5, 1, 0x60],
    ["fw_cfg's probe", port.fwCfgDma, 4, 0x554d_4551],
    ["PM1 control", port.pm1Control, 2, 1],
    ["PM timer", port.pmTimer, 4, 0],
    ["CONFIG_ADDRESS", port.pciAddress, 4, 0],
    ["reset control", port.resetControl, 1, 0],
    ["post codes", port.post, 1, 0xff],
  ])("%s", (_, number, size, value) => {
    expect(bench.in(number, size)).toBe(value);
    expect(bench.lines).toEqual([]);
  });

  test("what nobody claims reads as all ones and is traced", () => {
    expect([bench.in(0x62), bench.in(0x2f8, 2), bench.in(0xec, 4)]).toEqual([0xff, 0xffff, 0xffff_ffff]);
    bench.out(0x66, 0xaa);
    expect(bench.lines).toEqual([
      "board: port 0x62 (ACPI embedded controller): read of 1 bytes, claimed by nobody",
      "board: port 0x2f8 (COM2): read of 2 bytes, claimed by nobody",
      "board: port 0xec: read of 4 bytes, claimed by nobody",
      "board: port 0x66 (ACPI embedded controller): write of 1 bytes (0xaa), claimed by nobody",
    ]);
  });

  test("CONFIG_ADDRESS takes 32 bits only, the reset control inside of it 8", () => {
    bench.out(port.pciAddress, 0x8000_0000, 4);
    bench.out(port.resetControl, 2);
    expect([bench.in(port.pciAddress, 4), bench.in(port.resetControl)]).toEqual([0x8000_0000, 2]);
    expect(bench.in(port.pciData, 4)).toBe(0x0008_1b36);
    expect(bench.in(port.pciAddress, 2)).toBe(0xffff);
    expect(bench.lines).toHaveLength(1);
  });

  test("values are cut to the access", () => {
    bench.out(port.com1, 0x141);
    expect(bench.typed).toEqual([0x41]);
  });
});

describe("debugging aids", () => {
  test("port 80 keeps its last code, port E9 prints", () => {
    const printed: number[] = [];
    const debugged = new Bench({ debugConsole: (byte) => printed.push(byte) });
    debugged.out(port.post, 0x5a);
    debugged.out(port.debugConsole, 0x41);
    expect([debugged.in(port.post), debugged.in(port.debugConsole), printed]).toEqual([0x5a, 0xe9, [0x41]]);
  });

  test("without being asked for, the test device is not there", () => {
    expect([bench.in(port.testWord, 4), bench.in(port.testLines)]).toEqual([0xffff_ffff, 0xff]);
  });

  test("the test device: ports and memory give back what was written, lines reach both controllers", () => {
    const suite = new Bench({ testDevice: true });
    suite.out(port.testWord, 0x1234_5678, 4);
    suite.out(port.testWord + 2, 0xabcd, 2);
    suite.out(port.testBytes, 0x1122_3344, 4);
    suite.out(port.testBytes + 1, 0x99);
    expect([suite.in(port.testWord, 4), suite.in(port.testWord + 3)]).toEqual([0xabcd_5678, 0xab]);
    expect(suite.in(port.testBytes, 4)).toBe(0x1122_9944);
    suite.pc.write(address.testMemory + 0xfffc, 4, 0xdead_beef);
    expect(suite.pc.read(address.testMemory + 0xfffe, 2)).toBe(0xdead);
    suite.pic();
    suite.ioApic(0x1c, 0x46); // pin 6
    suite.ioApic(0x3e, 0x2057); // pin 23, active low
    suite.ioApic(0x14, 0x32); // pin 2, where line 0 goes
    for (const line of [6, 23, 0]) suite.out(port.testLines + line, 1);
    expect([suite.posted(), suite.pc.interruptAcknowledge()]).toEqual([[0x57, 0x46, 0x32], 0x20]);
    expect(suite.lines).toEqual([]);
  });

  test("a pulse of the test device's lasts long enough for the 8259 pair, and ends", () => {
    const suite = new Bench({ testDevice: true });
    suite.pic();
    const pulse = () => {
      for (const level of [1, 0]) suite.out(port.testLines + 6, level);
    };
    pulse();
    suite.advance(9_999);
    expect(suite.pc.lines.intr.level).toBe(true);
    suite.advance(1);
    expect(suite.pc.lines.intr.level).toBe(false);
    pulse();
    expect(suite.pc.interruptAcknowledge()).toBe(0x26);
    suite.out(port.pic1, 0x20);
    pulse(); // while the first still lasts: an edge of its own
    expect(suite.pc.interruptAcknowledge()).toBe(0x26);
  });
});

describe("memory", () => {
  test("the ROM ends at 4 GiB and shows below 1 MiB; writes are dropped", () => {
    const word32 = (at: number) => Buffer.from(ROM).readUInt32LE(at);
    expect(bench.pc.read(address.resetVector, 4)).toBe(word32(0xfff0));
    expect(bench.pc.read(0xf_0000, 4)).toBe(word32(0));
    expect(bench.pc.read(0xf_fffe, 2)).toBe(word32(0xfffc) >>> 16);
    bench.pc.write(0xf_0000, 1, 0x99);
    expect(bench.pc.read(0xf_0000, 1)).toBe(ROM[0]);
    expect(bench.pc.read(0xe_0000, 1)).toBe(0xff); // a ROM of 64 KiB does not reach down to here
    expect(bench.lines).toHaveLength(2);
  });

  test("of a larger ROM the last 128 KiB show below 1 MiB", () => {
    const rom = new Uint8Array(0x4_0000);
    rom[0x2_0000] = 0x77;
    const { pc } = new Bench({ rom });
    expect([pc.read(0xe_0000, 1), pc.read(0xfffe_0000, 1), pc.read(0xfffc_0000, 4)]).toEqual([0x77, 0x77, 0]);
    expect(pc.read(0xfffb_fffc, 4)).toBe(0xffff_ffff);
  });

  test("the video hole and other holes: all ones", () => {
    expect([bench.pc.read(0xb_8000, 2), bench.pc.read(0xd000_0000, 4)]).toEqual([0xffff, 0xffff_ffff]);
    bench.pc.write(0xb_8000, 2, 0); // which has been reported
    expect(bench.lines).toHaveLength(2);
  });

  test("the I/O APIC, ECAM and a card's BAR", () => {
    bench.pc.write(address.ioApic, 4, 1);
    expect(bench.pc.read(address.ioApic + 0x10, 4)).toBe(0x0017_0020);
    const card = address.ecam + ((pciDevice.virtioNet << 3) << 12);
    expect(bench.pc.read(card, 4)).toBe(0x1041_1af4);
    bench.pc.write(card + 0x10, 4, 0xc000_0000);
    expect(bench.pc.read(0xc000_0012, 2)).toBe(0xffff);
    bench.pc.write(card + 4, 2, 2);
    expect(bench.pc.read(0xc000_0012, 2)).toBe(2); // num_queues
    expect(bench.pc.read(address.ecamEnd - 4, 4)).toBe(0xffff_ffff);
  });

  test("without a MAC address there is no card", () => {
    const { pc } = new Bench({ card: false });
    expect(pc.read(address.ecam + ((pciDevice.virtioNet << 3) << 12), 4)).toBe(0xffff_ffff);
    expect(pc.receiveFrame(pattern(60))).toBe(false);
    expect(pc.counters).toEqual({ framesSent: 0, framesReceived: 0, framesDropped: 0 });
  });
});

describe("lines", () => {
  test("the PIT is line 0 of the 8259 pair, and pin 2 of the I/O APIC", () => {
    bench.pic();
    bench.ioApic(0x14, 0x30);
    bench.out(port.pit + 3, 0x34);
    bench.out(port.pit, 0xa9);
    bench.out(port.pit, 0x04);
    bench.advance(2_100_000);
    expect(bench.posted()).toEqual([0x30]);
    expect(bench.mailboxes.map((mailbox) => mailbox.pin(0))).toEqual([true, true]);
    expect(bench.pc.interruptAcknowledge()).toBe(0x20);
    expect(bench.mailboxes[0].pin(0)).toBe(false);
  });

  // SDM vol. 3A, 11.5.1: ExtINT, LINT0, LINT1
  test("the 8259 pair's INTR is pin 0 of the I/O APIC, for ExtINT", () => {
    bench.pic();
    bench.ioApic(0x10, 0x700);
    bench.pc.setLine(4, true);
    expect(bench.mailboxes.map((mailbox) => mailbox.external())).toEqual([true, false]);
  });

  test("COM1 reaches line 4 only while OUT2 is set", () => {
    bench.ioApic(0x18, 0x34);
    bench.out(port.com1 + 1, 1);
    expect(bench.pc.receiveByte(0x61)).toBe(true);
    expect(bench.posted()).toEqual([]);
    bench.out(port.com1 + 4, 8);
    expect(bench.posted()).toEqual([0x34]);
  });

  test("the clock's interrupt is line 8, its date begins where it is told", () => {
    const dated = new Bench({ startTime: Date.parse("2010-06-05") / 1000 });
    dated.ioApic(0x20, 0x38);
    const [index, data] = [port.rtc, port.rtc + 1];
    dated.out(index, 0x09);
    expect(dated.in(data)).toBe(0x10);
    dated.out(index, 0x0b);
    dated.out(data, 0x42);
    dated.advance(1_000_000);
    expect(dated.posted()).toEqual([0x38]);
    expect(dated.in(port.pm1Event, 2)).toBe(0x400);
  });

  test("the HPET: pins 20 to 23, messages, and in place of the PIT on line 0", () => {
    const hpet = (at: number, value: number) => bench.pc.write(address.hpet + at, 4, value);
    bench.pic();
    bench.ioApic(0x38, 0x2055); // pin 20, active low
    bench.ioApic(0x14, 0x30); // pin 2
    bench.out(port.pit + 3, 0x34); // the PIT's output is high now
    expect(bench.posted()).toEqual([0x30]);
    hpet(0x100, (20 << 9) | 4);
    hpet(0x108, 50);
    hpet(0x10c, 0);
    hpet(0x10, 1);
    bench.advance(1000);
    expect(bench.posted()).toEqual([0x55]);
    expect(bench.pc.read(address.hpet + 0xf0, 4)).toBe(100);
    hpet(0x108, 200);
    hpet(0x10, 3);
    bench.advance(2000);
    expect([bench.posted(), bench.pc.interruptAcknowledge()]).toEqual([[0x30], 0x20]);
  });

  test("the power button is an SCI on pin 9", () => {
    bench.ioApic(0x22, 0x8039);
    bench.out(port.pm1Event + 2, 0x100, 2);
    bench.pc.pressPowerButton();
    expect(bench.posted()).toEqual([0x39]);
    bench.pc.endOfInterrupt(0x39);
    expect(bench.posted()).toEqual([0x39]); // still asserted
    bench.out(port.pm1Event, 0x100, 2);
    bench.pc.endOfInterrupt(0x39);
    expect(bench.posted()).toEqual([]);
  });

  test("the card's INTA is a PCI pin, its MSI-X messages go to cores", () => {
    const pin = pciPin(pciDevice.virtioNet);
    bench.ioApic(0x10 + 2 * pin, 0xa000 | 0x51);
    const card = address.ecam + ((pciDevice.virtioNet << 3) << 12);
    bench.pc.write(card + 0x10, 4, 0xc000_0000);
    bench.pc.write(card + 0x14, 4, 0xc001_0000);
    bench.pc.write(card + 4, 2, 6);
    const status = 0xc000_0014;
    for (const value of [1, 3]) bench.pc.write(status, 1, value);
    bench.pc.write(0xc000_0008, 4, 1);
    bench.pc.write(0xc000_000c, 4, 1);
    for (const value of [11, 15]) bench.pc.write(status, 1, value);
    bench.pc.setLink(false);
    expect(bench.posted()).toEqual([0x51]);
    expect(bench.pc.lines.net.level).toBe(true);
    // To software that knows of no APIC it is a line of the 8259 pair, a level where the ELCR says so.
    bench.pic();
    for (const at of [port.pic1, port.pic2]) bench.out(at + 1, 0);
    expect(bench.mailboxes[0].pin(0)).toBe(false); // ICW1 has lost the edge
    bench.out(port.elcr + 1, 1 << (pciLine(pciDevice.virtioNet) - 8));
    expect(bench.mailboxes[0].pin(0)).toBe(true);
    expect(bench.pc.interruptAcknowledge()).toBe(0x28 + pciLine(pciDevice.virtioNet) - 8);
    for (const at of [port.pic2, port.pic1]) bench.out(at, 0x20);
    expect(bench.mailboxes[0].pin(0)).toBe(true);
    // Now as a message to core 1.
    let cap = bench.pc.read(card + 0x34, 1);
    while (bench.pc.read(card + cap, 1) !== 0x11) cap = bench.pc.read(card + cap + 1, 1);
    bench.pc.write(card + cap + 2, 2, 0x8000);
    expect(bench.pc.lines.net.level).toBe(false);
    expect(bench.mailboxes[0].pin(0)).toBe(false);
    for (const [at, value] of [
      [0, 0xfee0_1000],
      [8, 0x61],
      [12, 0],
    ])
      bench.pc.write(0xc001_0000 + at, 4, value);
    bench.pc.write(0xc000_0010, 2, 0);
    bench.pc.setLink(true);
    expect([bench.posted(0), bench.posted(1)]).toEqual([[], [0x61]]);
    bench.pc.write(0xc001_0000, 4, 0x1000);
    bench.pc.setLink(false);
    expect(bench.lines.at(-1)).toMatch(/interrupt message to 0x1000, which is not where messages go/);
  });
});

describe("power", () => {
  test.each([
    [port.exit, 1, 42, { kind: "exit", code: 42 }],
    [port.pm1Control, 2, 0x2000, { kind: "power-off" }],
    [port.resetControl, 1, 6, { kind: "reset" }],
  ] as const)("port %i, %i bytes, value %i", (number, size, value, event) => {
    bench.out(number, value, size);
    expect(bench.events).toEqual([event]);
  });

  test("the keyboard controller opens A20 as well as port 0x92, and resets the cores", () => {
    bench.out(port.systemControlA, 0);
    for (const [number, value] of [
      [port.keyboardControl, 0xd1],
      [port.keyboardData, 3],
    ])
      bench.out(number, value);
    bench.out(port.systemControlA, 2);
    bench.out(port.systemControlA, 0);
    expect([bench.events, bench.pc.a20Open]).toEqual([["A20 closed", "A20 open"], true]);
    bench.out(port.keyboardControl, 0xfe);
    expect(bench.mailboxes.map((mailbox) => mailbox.takeAttention(4))).toEqual([4, 4]);
  });

  // The gate is the PC's and the PS/2's; "on newer Intel 64 processors A20M# may be absent" (SDM vol. 3B, 23.33), and then it
  // is always open. Ports EE and EF, by which some chip sets opened it and reset the processor, are none of either.
  test("ports 0xEE and 0xEF move neither the A20 gate nor the processors", () => {
    bench.out(port.systemControlA, 0);
    expect([bench.in(0xee), bench.in(0xef)]).toEqual([0xff, 0xff]);
    bench.out(0xee, 0);
    expect([bench.events, bench.pc.a20Open]).toEqual([["A20 closed"], false]);
    expect(bench.mailboxes.map((mailbox) => mailbox.takeAttention(4))).toEqual([0, 0]);
    expect(bench.lines.join("\n")).toMatch(/port 0xee.*claimed by nobody[\s\S]*port 0xef.*claimed by nobody/);
  });

  test("port 0x92: INIT to every core, and the A20 gate", () => {
    bench.out(port.systemControlA, 1);
    expect(bench.events).toEqual(["A20 closed"]);
    expect(bench.pc.a20Open).toBe(false);
    expect(bench.mailboxes.map((mailbox) => mailbox.takeAttention(4))).toEqual([4, 4]);
  });
});

describe("what the firmware is told", () => {
  const item = (selector: number, count: number, of = bench) => {
    of.out(port.fwCfg, selector, 2);
    return Buffer.from(Uint8Array.from({ length: count }, () => of.in(port.fwCfg + 1)));
  };

  test("cores, RAM, kernel, initial file system and command line", () => {
    const full = new Bench({ kernel: pattern(100), initrd: pattern(50), commandLine: "node=1" });
    expect(item(0x05, 2, full).readUInt16LE()).toBe(2);
    expect(item(0x03, 8, full).readBigUInt64LE()).toBe(0x20_0000n);
    expect([0x08, 0x0b, 0x14].map((size) => item(size, 4, full).readUInt32LE())).toEqual([100, 50, 7]);
    expect(item(0x11, 100, full)).toEqual(Buffer.from(pattern(100)));
    expect(item(0x12, 50, full)).toEqual(Buffer.from(pattern(50)));
    expect(item(0x15, 7, full).toString()).toBe("node=1\0");
  });

  test("without a kernel its size is zero", () => {
    expect([0x08, 0x0b, 0x14].map((size) => item(size, 4).readUInt32LE())).toEqual([0, 0, 1]);
  });

  test("files of the board and of the user; the board's names are its own", () => {
    const files = new Map([["opt/org.example/note", pattern(3)]]);
    const directory = item(0x19, 4 + 16 * 64, new Bench({ files })).toString("latin1");
    for (const name of [
      "etc/acpi/rsdp",
      "etc/acpi/tables",
      "etc/e820",
      "etc/table-loader",
      "opt/org.example/note",
    ])
      expect(directory).toContain(name);
    expect(() => new Bench({ files: new Map([["etc/e820", pattern(1)]]) })).toThrow(
      /the board has one of that name/,
    );
  });
});

test.each([
  [{ cores: 0 }, /0 cores/],
  [{ cores: 65 }, /65 cores/],
  [{ cores: 3 }, /3 cores with 2 mailboxes/],
  [{ memory: new TestMemory(0x10_0800) }, /1050624 bytes of RAM/],
  [{ rom: new Uint8Array(1000) }, /ROM of 1000 bytes/],
  [{ mac: Uint8Array.of(1, 2) }, /MAC address has 6 bytes, not 2/],
  [{ disks: new Array(9).fill({ bytes: 512 }) }, /9 disks: a machine has room for 8/],
])("a board that cannot be is refused: %j", (options, words) => {
  expect(() => new Bench(options)).toThrow(words);
});

describe("snapshots", () => {
  /** A board with something going on in every part. */
  function busy(): Bench {
    const busyBench = new Bench();
    busyBench.pic(0xee);
    busyBench.ioApic(0x14, 0x30);
    for (const [number, value] of [
      [port.pit + 3, 0x36],
      [port.pit, 0],
      [port.pit, 4],
      [port.com1 + 2, 0xc1],
    ])
      busyBench.out(number, value);
    busyBench.out(port.com1 + 1, 1);
    busyBench.out(port.com1 + 4, 8);
    busyBench.pc.receiveByte(0x61);
    busyBench.out(port.fwCfg, 0x19, 2);
    busyBench.in(port.fwCfg + 1);
    busyBench.out(port.pm1Event + 2, 1, 2);
    busyBench.out(port.pciAddress, 0x8000_1010, 4);
    busyBench.out(port.pciData, 0xc000_0000, 4);
    busyBench.out(port.systemControlA, 0);
    busyBench.advance(1_234_567);
    return busyBench;
  }

  test("go through JSON; another board goes on exactly as the first would have", () => {
    const first = busy();
    const saved = throughJson(first.pc.snapshot());
    const second = new Bench();
    second.clock.time = first.clock.time;
    second.pc.restore(saved);
    expect(second.pc.snapshot()).toEqual(saved);
    for (const other of [first, second]) {
      other.posted();
      other.advance(10_000_000);
      other.in(port.com1);
    }
    expect(second.pc.snapshot()).toEqual(first.pc.snapshot());
    expect(second.posted()).toEqual(first.posted());
    expect(second.pc.nextDeadline()).toBe(first.pc.nextDeadline());
  });

  test("reset is a board as new", () => {
    const used = busy();
    used.clock.time = 0;
    used.pc.reset();
    expect(used.pc.snapshot()).toEqual(new Bench().pc.snapshot());
    expect(used.events.at(-1)).toBe("A20 open");
    for (const line of Object.values(used.pc.lines)) expect(line.level).toBe(false);
  });

  test("the mailboxes: empty, published, and a SIPI before the core's own thread is up stays", () => {
    const words = bench.mailboxes.map(({ words: own }) => own);
    words[1][word.attention] = 63;
    words[1][word.irr] = 5;
    bench.pc.reset();
    expect(words[1][word.attention]).toBe(48); // stop, and what is the engine's own
    expect(words.map((own) => [own[word.apicId], own[word.state], own[word.irr]])).toEqual([
      [0, hardwareEnabled, 0],
      [1, hardwareEnabled, 0],
    ]);
    new Interrupts(words, () => {}).deliver({
      destination: 1,
      logical: false,
      mode: 6,
      vector: 0x9a,
      level: false,
    });
    const devices = new CoreDevices({
      core: 1,
      cores: 2,
      clock: bench.clock,
      mailboxes: words,
      interruptAcknowledge: () => 0,
      endOfInterrupt: () => {},
      physicalAddressBits: 40,
      trace: () => {},
    });
    devices.reset();
    expect(devices.takeStartup()).toBe(0x9a);
  });

  test("one that lacks a part is refused by name", () => {
    const { pit: _, ...rest } = bench.pc.snapshot() as Record<string, object>;
    expect(() => bench.pc.restore(rest)).toThrow(/no state of pit/);
  });
});

test("FERR# of a core is interrupt 13 until port F0 is written", () => {
  bench.pic();
  bench.out(port.x87Error, 1);
  expect(bench.pc.interruptAcknowledge()).toBe(0x2d);
  bench.out(port.pic2, 0x20);
  bench.out(port.pic1, 0x20);
  bench.out(port.x87Error, 1); // still high: no new edge
  expect(bench.pc.lines["intr"].level).toBe(false);
  bench.out(port.coprocessor, 0);
  bench.out(port.x87Error, 1);
  expect(bench.pc.interruptAcknowledge()).toBe(0x2d);
});
