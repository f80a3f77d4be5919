// VIRTIO 1.2, section 5.2: the block device with a driver of our own, over a disk of memory.

import { beforeEach, describe, expect, test } from "vitest";
import { type Disk, VirtioBlk } from "../../emulator/devices/virtio-blk.js";
import { Overlay } from "../../emulator/disk.js";
import { TestMemory, throughJson, tracer } from "./bench.js";
import { type DriverQueue, feature, type Part, pattern, status, VirtioDriver } from "./virtio-driver.js";

const SECTOR = 512;
const SECTORS = 64;
const HEADER = 0x10_0000;
const DATA = 0x10_1000;
const STATUS = 0x10_8000;
const type = { in: 0, out: 1, flush: 4, getId: 8, discard: 11, writeZeroes: 13 } as const;
const OK = 0;
const IO_ERROR = 1;
const UNSUPPORTED = 2;
const bit = { readOnly: 5, flush: 9, discard: 13, writeZeroes: 14 } as const;

class MemoryDisk implements Disk {
  readonly content = pattern(SECTORS * SECTOR);
  readonly bytes = SECTORS * SECTOR;
  flushes = 0;
  constructor(readonly readOnly = false) {}
  read(offset: number, into: Uint8Array): void {
    into.set(this.content.subarray(offset, offset + into.length));
  }
  write(offset: number, from: Uint8Array): void {
    if (this.readOnly) throw new Error("written, though read-only");
    this.content.set(from, offset);
  }
  flush(): void {
    this.flushes++;
  }
  snapshot(): object {
    return {};
  }
  restore(): void {}
}

class Bench {
  readonly memory = new TestMemory(0x20_0000);
  readonly blk: VirtioBlk;
  readonly driver: VirtioDriver;
  readonly queue: DriverQueue;

  constructor(disk: Disk) {
    const { trace, lines } = tracer();
    this.blk = new VirtioBlk(0, disk, this.memory, () => {}, trace);
    this.driver = new VirtioDriver(this.memory, this.blk.pci, lines);
    expect(this.driver.negotiate(feature.indirect)).toBe(true);
    this.queue = this.driver.queue(0, 16);
    this.driver.status |= status.driverOk;
  }

  /** Makes a request; gives its status byte and the length that came back. */
  request(kind: number, sector: number, parts: readonly Part[] = [], indirect = false): [number, number] {
    const { memory, queue, driver } = this;
    memory.view.setUint32(HEADER, kind, true);
    memory.view.setUint32(HEADER + 4, 0, true);
    memory.view.setUint32(HEADER + 8, sector % 2 ** 32, true);
    memory.view.setUint32(HEADER + 12, Math.floor(sector / 2 ** 32), true);
    memory.bytes[STATUS] = 0xee;
    const chain = [{ address: HEADER, length: 16 }, ...parts, { address: STATUS, length: 1, write: true }];
    if (indirect) queue.indirect(0, 0x12_0000, chain);
    else queue.chain(0, chain);
    queue.offer(0);
    driver.notify(0);
    const [used] = queue.used();
    expect(used?.head).toBe(0);
    return [memory.bytes[STATUS], used.written];
  }

  at(address: number, length: number): Uint8Array {
    return this.memory.bytes.slice(address, address + length);
  }
}

let disk: MemoryDisk;
let bench: Bench;
beforeEach(() => {
  disk = new MemoryDisk();
  bench = new Bench(disk);
});
const sectors = (from: number, count: number) => disk.content.slice(from * SECTOR, (from + count) * SECTOR);

describe("what it says of itself", () => {
  test("identity, capacity and block size", () => {
    const { driver } = bench;
    expect(driver.config(0, 4)).toBe(0x1042_1af4);
    const config = (offset: number) => driver.pci.readBar(0, driver.at.device + offset, 4);
    expect([config(0), config(4), config(12), config(20)]).toEqual([SECTORS, 0, 126, SECTOR]);
  });

  test("a read-only disk says so, and offers nothing that writes", () => {
    const offered = (blk: VirtioBlk) =>
      Object.entries(bit).flatMap(([name, number]) =>
        (blk.features[0] & (1 << number)) !== 0 ? [name] : [],
      );
    expect(offered(bench.blk)).toEqual(["flush", "discard", "writeZeroes"]);
    expect(offered(new Bench(new MemoryDisk(true)).blk)).toEqual(["readOnly"]);
  });

  test("its name by request, cut or padded to 20 bytes", () => {
    expect(bench.request(type.getId, 0, [{ address: DATA, length: 20, write: true }])).toEqual([OK, 21]);
    expect(Buffer.from(bench.at(DATA, 20)).toString()).toBe(`buslock-disk-0${"\0".repeat(6)}`);
  });

  test("a disk without a whole number of sectors is refused", () => {
    const odd = Object.assign(new MemoryDisk(), { bytes: 1000 });
    expect(() => new Bench(odd)).toThrow(/a disk of 1000 bytes has no whole number of sectors/);
  });
});

describe("reading and writing", () => {
  test("one part", () => {
    expect(bench.request(type.in, 3, [{ address: DATA, length: 1024, write: true }])).toEqual([OK, 1025]);
    expect(bench.at(DATA, 1024)).toEqual(sectors(3, 2));
  });

  test.each([false, true])("many parts of odd lengths, indirect: %s", (indirect) => {
    const lengths = [1, 511, 700, 324];
    let address = DATA;
    const parts = lengths.map((length) => {
      const part = { address, length, write: true };
      address += length + 16; // gaps, which must stay as they are
      return part;
    });
    expect(bench.request(type.in, 10, parts, indirect)).toEqual([OK, 1537]);
    expect(Buffer.concat(parts.map((part) => bench.at(part.address, part.length)))).toEqual(
      Buffer.from(sectors(10, 3)),
    );
    expect(bench.at(DATA + 1, 16)).toEqual(new Uint8Array(16));
  });

  test("the header in two parts, the status behind the data in one", () => {
    const { memory, queue, driver } = bench;
    memory.view.setUint32(HEADER, type.in, true);
    memory.view.setUint32(HEADER + 8, 5, true);
    queue.chain(0, [
      { address: HEADER, length: 5 },
      { address: HEADER + 5, length: 11 },
      { address: DATA, length: SECTOR + 1, write: true },
    ]);
    queue.offer(0);
    driver.notify(0);
    expect([queue.used(), bench.at(DATA, SECTOR)]).toEqual([
      [{ head: 0, written: SECTOR + 1 }],
      sectors(5, 1),
    ]);
    expect(memory.bytes[DATA + SECTOR]).toBe(OK);
  });

  test("what is written can be read, what is around it stays", () => {
    const before = [sectors(6, 1), sectors(9, 1)];
    bench.memory.bytes.set(pattern(1024, 99), DATA);
    expect(bench.request(type.out, 7, [{ address: DATA, length: 1024 }])).toEqual([OK, 1]);
    expect([sectors(7, 2), sectors(6, 1), sectors(9, 1)]).toEqual([pattern(1024, 99), ...before]);
    expect(bench.request(type.flush, 0)).toEqual([OK, 1]);
    expect(disk.flushes).toBe(1);
  });

  test("several requests of one notification come back in order", () => {
    const { memory, queue, driver } = bench;
    for (const [index, sector] of [8, 2, 30].entries()) {
      const at = HEADER + 0x100 * index;
      memory.view.setUint32(at, type.in, true);
      memory.view.setUint32(at + 8, sector, true);
      queue.chain(4 * index, [
        { address: at, length: 16 },
        { address: DATA + SECTOR * index, length: SECTOR, write: true },
        { address: STATUS + index, length: 1, write: true },
      ]);
      queue.offer(4 * index);
    }
    driver.notify(0);
    expect(queue.used().map(({ head }) => head)).toEqual([0, 4, 8]);
    expect(bench.at(DATA + SECTOR, SECTOR)).toEqual(sectors(2, 1));
  });
});

describe("zeroing", () => {
  const ranges = (list: readonly (readonly [sector: number, count: number, flags: number])[]): Part[] => {
    for (const [index, [sector, count, flags]] of list.entries()) {
      const at = DATA + 16 * index;
      bench.memory.view.setBigUint64(at, BigInt(sector), true);
      bench.memory.view.setUint32(at + 8, count, true);
      bench.memory.view.setUint32(at + 12, flags, true);
    }
    return [{ address: DATA, length: 16 * list.length }];
  };

  test("write zeroes, with leave to unmap and without; discard", () => {
    const around = [sectors(1, 1), sectors(4, 1)];
    expect(
      bench.request(
        type.writeZeroes,
        0,
        ranges([
          [2, 1, 0],
          [3, 1, 1],
        ]),
      ),
    ).toEqual([OK, 1]);
    expect(bench.request(type.discard, 0, ranges([[20, 30, 0]]))).toEqual([OK, 1]);
    expect([sectors(2, 2), sectors(20, 30)].every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
    expect([sectors(1, 1), sectors(4, 1)]).toEqual(around);
  });

  test.each([
    ["unknown flags", type.writeZeroes, [2, 1, 2], UNSUPPORTED],
    ["flags of a discard", type.discard, [2, 1, 1], UNSUPPORTED],
    ["beyond the end", type.writeZeroes, [SECTORS - 1, 2, 0], IO_ERROR],
    ["more than max_write_zeroes_sectors", type.writeZeroes, [0, 0x8001, 0], IO_ERROR],
  ] as const)("%s", (_, kind, range, answer) => {
    const before = disk.content.slice();
    expect(bench.request(kind, 0, ranges([range]))).toEqual([answer, 1]);
    expect(disk.content).toEqual(before);
  });
});

describe("what goes wrong", () => {
  test.each([
    ["a type that does not exist", 77, 0, SECTOR, UNSUPPORTED],
    ["beyond the end", type.in, SECTORS, SECTOR, IO_ERROR],
    ["across the end", type.in, SECTORS - 1, 2 * SECTOR, IO_ERROR],
    ["a sector that no disk has", type.in, 2 ** 63, SECTOR, IO_ERROR],
    ["a part of a sector", type.in, 0, 100, IO_ERROR],
  ])("%s", (_, kind, sector, length, answer) => {
    expect(bench.request(kind, sector, [{ address: DATA, length, write: true }])).toEqual([answer, 1]);
    expect(bench.at(DATA, SECTOR)).toEqual(new Uint8Array(SECTOR));
    expect(bench.driver.lines).toHaveLength(1);
  });

  test("writing to a read-only disk", () => {
    bench = new Bench(new MemoryDisk(true));
    expect(bench.request(type.out, 0, [{ address: DATA, length: SECTOR }])).toEqual([IO_ERROR, 1]);
    expect(bench.driver.lines.at(-1)).toMatch(/the disk is read-only/);
  });

  test("a host that cannot read is the guest's I/O error", () => {
    disk.read = () => {
      throw new Error("EIO: the platter is scratched");
    };
    expect(bench.request(type.in, 0, [{ address: DATA, length: SECTOR, write: true }])).toEqual([
      IO_ERROR,
      1,
    ]);
    expect(bench.driver.lines.at(-1)).toMatch(/virtio-blk 0: request type 0 at byte 0: EIO: the platter/);
  });

  test.each([
    [
      "no header",
      [
        { address: HEADER, length: 15 },
        { address: STATUS, length: 1, write: true },
      ],
    ],
    ["no room for the status", [{ address: HEADER, length: 16 }]],
    [
      "out of RAM",
      [
        { address: HEADER, length: 16 },
        { address: 0xff00_0000, length: 513, write: true },
      ],
    ],
  ])("a driver that breaks the rules needs a reset: %s", (_, parts) => {
    bench.queue.chain(0, parts);
    bench.queue.offer(0);
    bench.driver.notify(0);
    expect(bench.driver.status & status.needsReset).not.toBe(0);
    expect(bench.queue.used()).toEqual([]);
  });
});

test("copy on write: the disk below stays, blocks go into a snapshot and come back", () => {
  const cow = new Overlay(new MemoryDisk());
  const first = new Bench(cow);
  const original = pattern(SECTORS * SECTOR);
  first.memory.bytes.set(pattern(3 * SECTOR, 50), DATA);
  first.request(type.out, 7, [{ address: DATA, length: 3 * SECTOR }]); // over the border of two blocks
  const whole = (of: Bench) => {
    of.request(type.in, 0, [{ address: DATA, length: SECTORS * SECTOR - 0x4000, write: true }]);
    return of.at(DATA, SECTORS * SECTOR - 0x4000);
  };
  const expected = original.slice(0, SECTORS * SECTOR - 0x4000);
  expected.set(pattern(3 * SECTOR, 50), 7 * SECTOR);
  expect(whole(first)).toEqual(expected);
  const saved = throughJson(first.blk.snapshot());
  const second = new Bench(new Overlay(new MemoryDisk()));
  second.blk.restore(saved);
  const bytes = new Uint8Array(expected.length);
  new Overlay(new MemoryDisk()).read(0, bytes);
  expect(bytes).toEqual(original.slice(0, expected.length));
  expect(second.blk.snapshot()).toEqual(saved);
});
