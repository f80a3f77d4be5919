// Random drivers, by seed: rings and descriptors full of nonsense, registers written at random. The device
// must not throw, not hang, and touch nothing outside of RAM; it either carries on or needs a reset, and
// after a reset it works. Used by virtio-fuzz.test.ts (few seeds) and virtio-fuzz.soak.ts (many).

import { expect } from "vitest";
import { type Disk, VirtioBlk } from "../../emulator/devices/virtio-blk.js";
import { Random } from "../../emulator/random.js";
import { TestMemory, throughJson, tracer } from "./bench.js";
import { common, Driver, type DriverQueue, feature, pattern, status, VirtioDriver } from "./virtio-driver.js";

const RAM = 0x14_0000;
const HOLE = [0xa_0000, 0x10_0000] as const;
const NOTHING = Buffer.alloc(HOLE[1] - HOLE[0]);

/** An address that is often nearly right. */
function someAddress(random: Random): number {
  const bases = [
    0,
    0x1_0000,
    0x1_4000,
    0x9_ff00,
    0xa_0000,
    0xf_fff0,
    0x10_0000,
    RAM - 64,
    RAM,
    2 ** 32,
    2 ** 63,
  ];
  return bases[random.below(bases.length)] + random.below(4) * random.below(0x1000);
}

/** Offers a chain that is mostly right: sound descriptors, then now and then nonsense over some of them. */
function scribble(random: Random, queue: DriverQueue): void {
  const { memory, base, driverArea, size } = queue;
  const { view } = memory;
  const count = Math.min(1 + random.below(3), size);
  const head = random.below(size - count + 1);
  const parts = Array.from({ length: count }, (_, part) => ({
    address: 0x10_0000 + 0x1000 * random.below(0x30),
    length: part === 0 ? 12 + random.below(90) : random.below(1500),
    write: queue.index === 0,
  }));
  if (random.below(3) === 0) queue.indirect(head, 0x13_0000 + 64 * random.below(64), parts);
  else queue.chain(head, parts);
  if (random.below(5) === 0) corrupt(random, view, random.below(2) === 0 ? base : 0x13_0000, size);
  const index = view.getUint16(driverArea + 2, true);
  const named = random.below(30) === 0 ? random.below(0x1_0000) : head;
  view.setUint16(driverArea + 4 + 2 * (index % size), named, true);
  view.setUint16(driverArea + 2, index + (random.below(60) === 0 ? random.below(0x1_0000) : 1), true);
}

/** A header that asks for offloads and the start of a frame that mostly bears it, here and there in the buffers. */
function scribbleFrame(random: Random, { bytes, view }: TestMemory): void {
  const at = 0x10_0000 + 0x1000 * random.below(0x30);
  const version = random.below(2) === 0 ? 4 : 6;
  const transport = 14 + (version === 4 ? 20 : 40);
  const some = (value: number, other: number) => (random.below(6) === 0 ? other : value);
  bytes.set([some(1, random.below(4)), some(version === 4 ? 1 : 4, random.below(256))], at);
  view.setUint16(at + 4, some(8 + random.below(200), random.below(0x1_0000)), true);
  view.setUint16(at + 6, some(transport, random.below(2000)), true);
  view.setUint16(at + 8, some(16, random.below(2000)), true);
  const frame = at + 12;
  view.setUint16(frame + 12, some(version === 4 ? 0x0800 : 0x86dd, 0x8100));
  bytes[frame + 14] = some(version === 4 ? 0x45 : 0x60, random.below(256));
  bytes[frame + transport + 12] = some(0x50, random.below(256));
}

/** Overwrites fields of some descriptors of a table. */
function corrupt(random: Random, view: DataView, table: number, entries: number): void {
  for (let count = 1 + random.below(4); count > 0; count--) {
    const at = table + 16 * random.below(entries);
    const address = someAddress(random);
    const field = random.below(4);
    if (field === 0) {
      view.setUint32(at, address >>> 0, true);
      view.setUint32(at + 4, Math.floor(address / 2 ** 32), true);
    } else if (field === 1)
      view.setUint32(at + 8, [0, 12, 16, 64, 1526, 0x1_0000, 0xffff_ffff][random.below(7)], true);
    else if (field === 2) view.setUint16(at + 12, random.below(8), true);
    else view.setUint16(at + 14, random.below(entries + 2), true);
  }
}

function poke(random: Random, driver: Driver): void {
  const size = [1, 2, 4][random.below(3)];
  const value = random.below(2) === 0 ? random.below(16) : random.bits();
  const { pci } = driver.net;
  const bar = random.below(2);
  const offset = [random.below(0x40), 0x1000, 0x2000 + random.below(16), 0x3000 + random.below(16)][
    random.below(4)
  ];
  if (random.below(8) === 0) pci.writeConfig(random.below(256), size, value);
  else if (random.below(2) === 0) pci.readBar(bar, offset, size);
  else pci.writeBar(bar, offset, size, value);
}

/** What a run reached, so that a test can tell whether it tried anything. */
export interface Reached {
  sent: number;
  received: number;
  broken: number;
}

/** Rings full of nonsense, several lives of the driver. */
export function fuzzRings(seed: number): Reached {
  const random = new Random(seed);
  const driver = new Driver(RAM);
  let broken = 0;
  for (let life = 0; life < 6; life++) {
    driver.memory.bytes.fill(0);
    const size = 1 << random.below(9);
    const offloads = feature.csum | feature.hostTso4 | feature.hostTso6 | feature.hostEcn;
    const features = [feature.eventIndex, feature.guestCsum, feature.mergeable, offloads].map(
      (bits) => random.below(2) * bits,
    );
    const { rx, tx } = driver.start(
      features.reduce((all, bits) => all | bits, feature.indirect),
      size,
    );
    for (let step = 0; step < 25; step++) {
      scribbleFrame(random, driver.memory);
      scribble(random, random.below(2) === 0 ? rx : tx);
      driver.notify(random.below(2));
      driver.net.receive(pattern(14 + random.below(300)));
    }
    if ((driver.status & status.needsReset) !== 0) broken++;
    expect(NOTHING.compare(driver.memory.bytes, ...HOLE), `seed ${seed}: the hole was written`).toBe(0);
    driver.lines.length = 0;
    driver.memory.writes.length = 0;
  }
  const { framesSent: sent, framesReceived: received } = driver.net.counters;
  works(driver, seed);
  return { sent, received, broken };
}

const DISK_BYTES = 64 * 512;

/** A disk in memory that refuses what a real one could not do. */
function memoryDisk(): Disk & { content: Uint8Array } {
  const content = pattern(DISK_BYTES);
  const check = (offset: number, length: number) => {
    if (offset < 0 || offset + length > DISK_BYTES) expect.fail(`disk: ${length} bytes at ${offset}`);
  };
  return {
    content,
    bytes: DISK_BYTES,
    readOnly: false,
    read: (offset, into) => {
      check(offset, into.length);
      into.set(content.subarray(offset, offset + into.length));
    },
    write: (offset, from) => {
      check(offset, from.length);
      content.set(from, offset);
    },
    flush: () => {},
    snapshot: () => ({}),
    restore: () => {},
  };
}

/** A request that is mostly right: a header of 16 bytes in one or two parts, data, a status byte. */
function scribbleRequest(random: Random, queue: DriverQueue): void {
  const { view } = queue.memory;
  const header = 0x10_0000 + 32 * random.below(16);
  const kind = [0, 1, 4, 8, 11, 13, random.bits()][random.below(7)];
  view.setUint32(header, kind, true);
  const sector = random.below(8) === 0 ? random.bits() : random.below(70);
  view.setUint32(header + 8, sector, true);
  view.setUint32(header + 12, random.below(20) === 0 ? random.bits() : 0, true);
  const split = random.below(4) === 0 ? random.below(17) : 16;
  const write = kind === 0 || kind === 8;
  const data = Array.from({ length: random.below(4) }, () => ({
    address: 0x10_4000 + random.below(0x2000),
    length: [512, 1024, 16, 20, random.below(2000)][random.below(5)],
    write,
  }));
  const parts = [
    { address: header, length: split },
    ...(split < 16 ? [{ address: header + split, length: 16 - split }] : []),
    ...data,
    { address: 0x13_8000 + random.below(64), length: 1, write: true },
  ];
  const head = random.below(Math.max(1, queue.size - parts.length));
  if (parts.length > queue.size || random.below(3) === 0)
    queue.indirect(head, 0x13_0000 + 64 * random.below(64), parts);
  else queue.chain(head, parts);
  if (random.below(6) === 0)
    corrupt(random, view, random.below(2) === 0 ? queue.base : 0x13_0000, queue.size);
  queue.offer(random.below(40) === 0 ? random.below(0x1_0000) : head);
}

/** Requests full of nonsense to a block device; gives how many were served, and how often it broke. */
export function fuzzDisk(seed: number): { served: number; good: number; broken: number } {
  const random = new Random(seed);
  const memory = new TestMemory(RAM);
  const disk = memoryDisk();
  const { trace, lines } = tracer();
  const blk = new VirtioBlk(0, disk, memory, () => {}, trace);
  const driver = new VirtioDriver(memory, blk.pci, lines);
  let [served, good, broken] = [0, 0, 0];
  for (let life = 0; life < 6; life++) {
    memory.bytes.fill(0);
    driver.negotiate((random.below(2) * feature.eventIndex) | feature.indirect);
    const queue = driver.queue(0, 4 << random.below(5));
    driver.status |= status.driverOk;
    for (let step = 0; step < 25; step++) {
      scribbleRequest(random, queue);
      driver.notify(0);
    }
    const back = queue.used();
    served += back.length;
    good += back.filter(({ written }) => written > 1).length;
    if ((driver.status & status.needsReset) !== 0) broken++;
    expect(NOTHING.compare(memory.bytes, ...HOLE), `seed ${seed}: the hole was written`).toBe(0);
    lines.length = 0;
    memory.writes.length = 0;
  }
  return { served, good, broken };
}

/** Registers at random, snapshots in between. */
export function fuzzRegisters(seed: number): void {
  const random = new Random(seed);
  const driver = new Driver(RAM);
  driver.start(feature.indirect | feature.eventIndex);
  for (let step = 0; step < 400; step++) {
    poke(random, driver);
    if (random.below(20) === 0) driver.net.receive(pattern(100));
    if (random.below(100) === 0) driver.net.restore(throughJson(driver.net.snapshot()));
  }
  driver.net.reset();
  driver.config(4, 2, 6);
  works(driver, seed);
}

/** After all that, a good driver gets a good device. */
function works(driver: Driver, seed: number): void {
  driver.memory.bytes.fill(0);
  driver.sent.length = 0;
  const { rx, tx } = driver.start();
  expect(driver.status).toBe(status.acknowledge | status.driver | status.featuresOk | status.driverOk);
  tx.chain(0, [driver.frame(0x10_0000, pattern(64))]);
  tx.offer(0);
  driver.notify(1);
  rx.chain(0, [{ address: 0x10_1000, length: 2000, write: true }]);
  rx.offer(0);
  expect([driver.sent, driver.net.receive(pattern(70))], `seed ${seed}`).toEqual([[pattern(64)], true]);
  expect(driver.get(common.queueEnable, 2)).toBe(1);
}
