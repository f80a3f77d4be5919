// PCI Local Bus 3.0, chapter 6, and its two configuration mechanisms.

import { beforeEach, describe, expect, test } from "vitest";
import { Msix, PBA, resetMsix } from "../../emulator/devices/msix.js";
import { PciConfig, type PciFunction, PciHost } from "../../emulator/devices/pci.js";
import { throughJson, tracer } from "./bench.js";

const identity = {
  vendor: 0x1234,
  device: 0x5678,
  revision: 3,
  classCode: 0x02_0100,
  subsystemVendor: 0xabcd,
  subsystem: 0xef01,
  interruptPin: 1,
};
const KIB16 = 0x4000;

class Card implements PciFunction {
  readonly config = new PciConfig(identity, [KIB16, 0x1000], () => {});
  readonly seen: string[] = [];
  readConfig(at: number, size: number): number {
    return this.config.read(at, size);
  }
  writeConfig(at: number, size: number, value: number): void {
    this.config.write(at, size, value);
  }
  readBar(bar: number, offset: number, size: number): number {
    this.seen.push(`read ${bar}+${offset}/${size}`);
    return 0;
  }
  writeBar(bar: number, offset: number, size: number, value: number): void {
    this.seen.push(`write ${bar}+${offset}/${size}=${value}`);
  }
}

let card: Card;
let host: PciHost;
let lines: string[];
beforeEach(() => {
  const traced = tracer();
  lines = traced.lines;
  card = new Card();
  host = new PciHost(new Map([[3 * 8, card]]), traced.trace);
});
const slot = 3 * 8;
const point = (register: number, to = slot, bus = 0) =>
  host.address.write(0, 4, (0x8000_0000 | (bus << 16) | (to << 8) | register) >>> 0);

describe("the header", () => {
  test.each([
    [0x00, 4, 0x5678_1234],
    [0x08, 4, 0x0201_0003],
    [0x2c, 4, 0xef01_abcd],
    [0x3d, 1, 1],
    [0x0e, 1, 0],
    [0x04, 4, 0],
  ])("register %i, %i bytes, is %i", (register, size, value) => {
    expect(card.config.read(register, size)).toBe(value);
  });

  test("identity cannot be written", () => {
    for (const register of [0x00, 0x08, 0x2c]) {
      const before = card.config.read(register, 4);
      card.config.write(register, 4, 0xffff_ffff);
      expect(card.config.read(register, 4)).toBe(before);
    }
  });

  test("the command register has memory, bus master and interrupt disable", () => {
    card.config.write(4, 2, 0xffff);
    expect(card.config.read(4, 2)).toBe(0x0406);
    expect([card.config.busMaster, card.config.interruptDisabled]).toEqual([true, true]);
  });

  test.each([
    [0x10, 0xffff_c000],
    [0x14, 0xffff_f000],
    [0x18, 0],
    [0x30, 0],
  ])("BAR at %i sizes as %i", (register, sized) => {
    card.config.write(register, 4, 0xffff_ffff);
    expect(card.config.read(register, 4)).toBe(sized);
  });

  test("a BAR decodes only with an address and with memory decoding on", () => {
    card.config.write(0x10, 4, 0xc001_2345);
    expect(card.config.base(0)).toBe(-1);
    card.config.write(4, 2, 2);
    expect([card.config.base(0), card.config.base(1)]).toEqual([0xc001_0000, -1]);
  });

  test("capabilities are a list, and show in the status", () => {
    const first = card.config.addCapability(9, [4, 7], [0, 0xf0]);
    const second = card.config.addCapability(0x11, [1, 2, 3, 4]);
    expect(card.config.read(6, 2) & 0x10).toBe(0x10);
    expect([card.config.read(0x34, 1), first]).toEqual([0x40, 0x40]);
    expect([...Array(4).keys()].map((at) => card.config.read(first + at, 1))).toEqual([9, second, 4, 7]);
    expect([card.config.read(second, 1), card.config.read(second + 1, 1)]).toEqual([0x11, 0]);
    card.config.write(first, 4, 0xffff_ffff);
    expect(card.config.read(first + 3, 1)).toBe(0xf7);
    card.config.reset();
    expect(card.config.read(first + 3, 1)).toBe(7);
  });

  test("what does not fit is refused when it is built", () => {
    expect(() => card.config.addCapability(9, new Array<number>(200).fill(0))).toThrow(/do not fit/);
    expect(() => new PciConfig(identity, [3000], () => {})).toThrow(/BAR 0 of 3000 bytes/);
  });
});

describe("the host bridge", () => {
  test("mechanism 1: address, then data of any width", () => {
    point(0);
    expect(host.readData(0, 4)).toBe(0x5678_1234);
    expect([host.readData(2, 2), host.readData(1, 1)]).toEqual([0x5678, 0x12]);
    point(0x3c);
    host.writeData(0, 1, 0x55);
    expect(card.config.read(0x3c, 1)).toBe(0x55);
    expect(host.address.read(0, 4)).toBe(0x8000_183c);
  });

  test("bits 27-24 of the address reach the extended registers, which are zero (AMD, EnableCf8ExtCfg)", () => {
    point(0x100_0000);
    expect(host.readData(0, 4)).toBe(0);
    host.writeData(0, 4, 7);
    expect(lines.join()).toContain("100");
    point(0);
    expect(host.readData(0, 4)).toBe(0x5678_1234);
  });
  test("without the enable bit nothing answers", () => {
    host.address.write(0, 4, slot << 8);
    expect(host.readData(0, 4)).toBe(0xffff_ffff);
  });

  test("an absent function, another bus: all ones", () => {
    for (const [to, bus] of [
      [slot + 1, 0],
      [0, 0],
      [slot, 1],
    ]) {
      point(0, to, bus);
      expect([host.readData(0, 4), host.readData(0, 2)]).toEqual([0xffff_ffff, 0xffff]);
      host.writeData(0, 4, 0);
    }
    expect(lines).toHaveLength(3);
  });

  test("ECAM reaches the same registers, and the extended ones, which are zero", () => {
    const base = slot << 12;
    expect(host.readEcam(base, 4)).toBe(0x5678_1234);
    host.writeEcam(base + 4, 2, 6);
    expect(card.config.read(4, 2)).toBe(6);
    expect(host.readEcam(base + 0x100, 4)).toBe(0);
    expect(host.readEcam(2 ** 20 + base, 4)).toBe(0xffff_ffff);
  });

  test("memory decodes to BAR and offset", () => {
    card.config.write(0x10, 4, 0xc001_0000);
    card.config.write(0x14, 4, 0xd000_0000);
    expect(host.decode(0xc001_0000)).toBeUndefined();
    card.config.write(4, 2, 2);
    expect(host.decode(0xc001_0000 + KIB16 - 1)).toMatchObject({ bar: 0, offset: KIB16 - 1 });
    expect(host.decode(0xc001_0000 + KIB16)).toBeUndefined();
    expect(host.decode(0xd000_0004)).toMatchObject({ bar: 1, offset: 4 });
  });

  test("a snapshot round trip", () => {
    point(0x10);
    const saved = throughJson(host.snapshot());
    host.reset();
    expect(host.address.read(0, 4)).toBe(0);
    host.restore(saved);
    expect(host.address.read(0, 4)).toBe(0x8000_1810);
  });
});

describe("MSI-X", () => {
  let state: ReturnType<typeof resetMsix>;
  let control: number;
  let sent: [number, number][];
  let msix: Msix;
  beforeEach(() => {
    state = resetMsix(3);
    control = 0x8000;
    sent = [];
    msix = new Msix(
      "card",
      () => state,
      () => control,
      (address, data) => sent.push([address, data]),
      tracer().trace,
    );
  });
  const entry = (vector: number, address: number, data: number, masked = 0) => {
    for (const [at, value] of [address, 0, data, masked].entries())
      msix.write(16 * vector + 4 * at, 4, value);
  };

  test("entries are masked after reset and read back", () => {
    expect(msix.read(12, 4)).toBe(1);
    entry(1, 0xfee0_0003, 0x41);
    expect([16, 20, 24, 28].map((at) => msix.read(at, 4))).toEqual([0xfee0_0000, 0, 0x41, 0]);
    expect(msix.read(3 * 16, 4)).toBe(0);
  });

  test("an open vector is sent", () => {
    entry(1, 0xfee0_0000, 0x41);
    msix.raise(1);
    expect(sent).toEqual([[0xfee0_0000, 0x41]]);
    msix.raise(3);
    msix.raise(0xffff);
    expect(sent).toHaveLength(1);
  });

  test("a masked vector waits in the pending bits, by entry and by function mask", () => {
    entry(1, 0xfee0_0000, 0x41, 1);
    msix.raise(1);
    msix.raise(1);
    expect([sent.length, msix.read(PBA, 4)]).toEqual([0, 2]);
    msix.write(16 + 12, 4, 0);
    expect([sent.length, msix.read(PBA, 4)]).toEqual([1, 0]);
    control = 0xc000;
    msix.raise(1);
    expect(msix.read(PBA, 4)).toBe(2);
    control = 0x8000;
    msix.release();
    expect(sent).toHaveLength(2);
  });

  test("only 32-bit accesses reach the table; the pending bits are read-only", () => {
    msix.write(0, 2, 0x1234);
    msix.write(PBA, 4, 0xff);
    msix.write(10, 4, 0xff);
    expect([msix.read(8, 4), msix.read(12, 4)]).toEqual([0, 1]);
    entry(1, 0xfee0_0004, 0x41);
    expect([msix.read(16, 2), msix.read(18, 4)]).toEqual([0, 0]);
    expect([msix.read(0, 4), msix.read(PBA, 4), msix.read(0, 2)]).toEqual([0, 0, 0]);
  });
});
