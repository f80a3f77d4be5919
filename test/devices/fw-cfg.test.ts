// QEMU's specification "QEMU Firmware Configuration (fw_cfg) Device".

import { beforeEach, describe, expect, test } from "vitest";
import { FwCfg, item } from "../../emulator/devices/fw-cfg.js";
import { TestMemory, throughJson, tracer } from "./bench.js";

const RAM = 0x30_0000;
const COMMAND = 0x1000;
const control = { error: 1, read: 2, skip: 4, select: 8, write: 16 } as const;
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1").replace(/\0.*$/s, "");
let memory: TestMemory;
let device: FwCfg;
let lines: string[];

beforeEach(() => {
  memory = new TestMemory(RAM);
  const traced = tracer();
  lines = traced.lines;
  const items = new Map([
    [item.KERNEL_DATA as number, Uint8Array.from({ length: 300 }, (_, at) => at & 0xff)],
  ]);
  const files = new Map([
    ["etc/zebra", Buffer.from("striped")],
    ["etc/ant", Buffer.from("six legs")],
  ]);
  device = new FwCfg(items, files, memory, traced.trace);
});

const select = (selector: number) => device.write(0, 2, selector);
const bytes = (count: number) => Uint8Array.from({ length: count }, () => device.read(1, 1));
const swap = (value: number) => Buffer.from(Uint32Array.of(value).buffer).readUInt32BE();

function dma(command: number, length: number, address: number, at = COMMAND): number {
  const { view } = memory;
  view.setUint32(at, command);
  view.setUint32(at + 4, length);
  view.setUint32(at + 8, Math.floor(address / 2 ** 32));
  view.setUint32(at + 12, address >>> 0);
  device.write(4, 4, 0);
  device.write(8, 4, swap(at));
  return view.getUint32(at);
}

describe("by port", () => {
  test("signature and features: traditional interface and DMA", () => {
    select(item.SIGNATURE);
    expect(text(bytes(4))).toBe("QEMU");
    select(item.ID);
    expect([...bytes(4)]).toEqual([3, 0, 0, 0]);
  });

  test("selecting starts from the beginning; past the end there are zeros", () => {
    select(item.KERNEL_DATA);
    expect([...bytes(3)]).toEqual([0, 1, 2]);
    select(item.KERNEL_DATA);
    expect([...bytes(302)].slice(298)).toEqual([42, 43, 0, 0]);
  });

  test("the file directory, sorted, big endian, and the files it names", () => {
    select(item.FILE_DIR);
    const entries = Buffer.from(bytes(4 + 128));
    expect(entries.readUInt32BE(0)).toBe(2);
    const read = [4, 68].map((at) => {
      const [size, selector] = [entries.readUInt32BE(at), entries.readUInt16BE(at + 4)];
      const name = text(entries.subarray(at + 8, at + 64));
      select(selector);
      return [name, text(bytes(size))];
    });
    expect(read).toEqual([
      ["etc/ant", "six legs"],
      ["etc/zebra", "striped"],
    ]);
  });

  test("an item that is not there reads as zeros and says so", () => {
    select(0x1ff);
    expect([...bytes(2)]).toEqual([0, 0]);
    expect(lines).toEqual(["fw-cfg: no item 0x1ff"]);
  });

  test("accesses of a width that is not meant do nothing", () => {
    select(item.SIGNATURE);
    device.write(0, 1, item.KERNEL_DATA);
    device.write(0, 4, swap(COMMAND));
    device.write(8, 2, swap(COMMAND));
    expect([device.read(0, 2), device.read(1, 2), device.read(2, 1)]).toEqual([0, 0, 0]);
    expect(lines).toHaveLength(6);
    expect(memory.writes).toEqual([]);
    expect(text(bytes(4))).toBe("QEMU");
  });
});

describe("by DMA", () => {
  test("the address register reads as QEMU CFG", () => {
    const words = Buffer.from(Uint32Array.of(device.read(4, 4), device.read(8, 4)).buffer);
    expect(words.toString("latin1")).toBe("QEMU CFG");
  });

  test("selects, skips and reads into RAM, and says where it wrote", () => {
    expect(dma((item.KERNEL_DATA << 16) | control.select | control.skip, 250, 0)).toBe(0);
    expect(dma(control.read, 60, 0x2000)).toBe(0);
    expect([...memory.bytes.subarray(0x2000, 0x2000 + 60)]).toEqual(
      Array.from({ length: 60 }, (_, at) => (at < 50 ? (250 + at) & 0xff : 0)),
    );
    expect(memory.writes).toContainEqual([0x2000, 60]);
    expect(memory.writes).toContainEqual([COMMAND, 4]);
  });

  test("select and read in one go; a new selection starts from the beginning", () => {
    for (let round = 0; round < 2; round++)
      dma((item.SIGNATURE << 16) | control.select | control.read, 4, 0x2000 + 8 * round);
    expect(text(memory.bytes.subarray(0x2000, 0x2004))).toBe("QEMU");
    expect(text(memory.bytes.subarray(0x2008, 0x200c))).toBe("QEMU");
  });

  test.each([
    ["beyond RAM", RAM - 4, 8],
    ["into the video hole", 0x9_fff0, 0x20],
    ["into the ROM", 0xf_0000, 4],
    ["far away", 2 ** 40, 4],
  ])("a transfer %s ends with the error bit and writes nothing", (_, address, length) => {
    const before = memory.writes.length;
    expect(dma((item.SIGNATURE << 16) | control.select | control.read, length, address)).toBe(control.error);
    expect(memory.writes.slice(before)).toEqual([[COMMAND, 4]]);
  });

  test("a write to an item is an error", () => {
    expect(dma((item.SIGNATURE << 16) | control.select | control.write, 4, 0x2000)).toBe(control.error);
    expect(lines.at(-1)).toMatch(/no item is writable/);
  });

  test("a command outside of RAM is reported and does nothing", () => {
    device.write(4, 4, 0);
    device.write(8, 4, swap(0xfee0_0000));
    expect(lines.at(-1)).toMatch(/DMA command at 0xfee00000, which is not RAM/);
    device.write(4, 4, swap(1));
    device.write(8, 4, swap(COMMAND));
    expect(lines.at(-1)).toMatch(/DMA command at 0x100001000, which is not RAM/);
    expect(memory.writes).toEqual([]);
    device.write(8, 4, swap(COMMAND)); // the high half counts once
    expect(memory.writes).toEqual([[COMMAND, 4]]);
  });
});

test("a name that does not fit the directory is refused when it is built", () => {
  const files = new Map([["x".repeat(56), new Uint8Array(0)]]);
  expect(() => new FwCfg(new Map(), files, memory, () => {})).toThrow(/the name is too long/);
});

test("a snapshot round trip goes on at the same byte", () => {
  select(item.KERNEL_DATA);
  bytes(10);
  const saved = throughJson(device.snapshot());
  device.reset();
  device.restore(saved);
  expect([...bytes(2)]).toEqual([10, 11]);
});
