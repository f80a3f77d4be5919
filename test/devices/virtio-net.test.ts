// VIRTIO 1.2: the PCI transport (4.1), split virtqueues (2.7) and the network device (5.1), driven as a
// driver would.

import { beforeEach, describe, expect, test } from "vitest";
import { FIFO_BYTES } from "../../emulator/devices/virtio-net.js";
import { throughJson } from "./bench.js";
import { common, Driver, type DriverQueue, feature, mac, pattern, status } from "./virtio-driver.js";

let driver: Driver;
beforeEach(() => {
  driver = new Driver();
});
const device = (offset: number, size: number) => driver.net.pci.readBar(0, driver.at.device + offset, size);

describe("the function", () => {
  test("identity: a modern network card", () => {
    expect(driver.config(0, 4)).toBe(0x1041_1af4);
    expect(driver.config(8, 4)).toBe(0x0200_0001);
    expect(driver.config(0x3d, 1)).toBe(1);
  });

  test("all five structures and MSI-X are in the capability list", () => {
    expect(driver.at).toEqual({
      common: 0,
      isr: 0x1000,
      device: 0x2000,
      notify: 0x3000,
      pci: expect.any(Number),
    });
    const ids: number[] = [];
    for (let cap = driver.config(0x34, 1); cap !== 0; cap = driver.config(cap + 1, 1))
      ids.push(driver.config(cap, 1));
    expect(ids).toEqual([9, 9, 9, 9, 9, 0x11]);
  });

  test("the configuration window reaches the registers without a mapped BAR", () => {
    const cap = driver.at.pci;
    driver.config(cap + 4, 1, 0);
    driver.config(cap + 8, 4, driver.at.common + common.queueCount);
    driver.config(cap + 12, 4, 2);
    expect(driver.config(cap + 16, 2)).toBe(2);
    driver.config(cap + 8, 4, driver.at.common + common.status);
    driver.config(cap + 12, 4, 1);
    driver.config(cap + 16, 1, status.acknowledge);
    expect(driver.status).toBe(status.acknowledge);
    driver.config(cap + 12, 4, 2); // misaligned would be needed for 2 bytes at an odd length: not a window
    expect(driver.config(cap + 16, 1)).toBe(0);
  });

  test("device configuration: MAC, link up, MTU", () => {
    expect([0, 1, 2, 3, 4, 5].map((at) => device(at, 1))).toEqual([...mac]);
    expect([device(6, 2), device(10, 2)]).toEqual([1, 9000]);
    expect(device(0, 4)).toBe(0x5452 | 0);
  });
});

describe("negotiation", () => {
  test("the features on offer", () => {
    const words = [0, 1, 2].map((select) => {
      driver.set(common.deviceFeatureSelect, 4, select);
      return driver.get(common.deviceFeature, 4);
    });
    const all = Object.values(feature).reduce((bits, bit) => bits | bit, 0);
    expect(words).toEqual([all >>> 0, 1, 0]);
  });

  test("TSO is nothing without checksums, ECN nothing without TSO", () => {
    expect(driver.negotiate(feature.hostTso4)).toBe(false);
    expect(driver.negotiate(feature.hostTso6)).toBe(false);
    expect(driver.negotiate(feature.csum | feature.hostEcn)).toBe(false);
    expect(driver.lines).toEqual([
      "virtio-net: feature 11 accepted without feature 0",
      "virtio-net: feature 12 accepted without feature 0",
      "virtio-net: feature 13 accepted without feature 11 or 12",
    ]);
    expect(driver.negotiate(feature.csum | feature.hostTso6 | feature.hostEcn)).toBe(true);
  });

  test("VERSION_1 is a must, features not offered are refused", () => {
    expect(driver.negotiate(feature.mac, 0)).toBe(false);
    expect(driver.negotiate(1 << 17)).toBe(false);
    expect(driver.negotiate(feature.mac, 3)).toBe(false);
    expect(driver.negotiate()).toBe(true);
    expect(driver.lines.filter((line) => /VERSION_1|not offered/.test(line))).toHaveLength(3);
  });

  test("features are fixed after FEATURES_OK, status bits go by reset only", () => {
    driver.negotiate();
    driver.set(common.driverFeatureSelect, 4, 0);
    driver.set(common.driverFeature, 4, 0);
    expect(driver.get(common.driverFeature, 4)).toBe(feature.mac | feature.mtu | feature.status);
    expect(driver.lines).toHaveLength(1);
    driver.status = status.acknowledge;
    expect(driver.lines.at(-1)).toMatch(/status 0x1 clears bits of 0xb: only a reset can/);
    expect(driver.status).toBe(status.acknowledge | status.driver | status.featuresOk);
    driver.status = 0;
    expect([driver.status, driver.get(common.driverFeature, 4)]).toEqual([0, 0]);
  });

  test("feature words beyond the second do not exist", () => {
    driver.set(common.driverFeatureSelect, 4, 2);
    driver.set(common.driverFeature, 4, 1);
    expect(driver.get(common.driverFeature, 4)).toBe(0);
    expect(driver.lines).toEqual(["virtio-net: feature bits from 64 on do not exist"]);
  });

  test("DRIVER_OK without FEATURES_OK is dropped", () => {
    driver.status = status.acknowledge | status.driver | status.driverOk;
    expect(driver.status).toBe(status.acknowledge | status.driver);
  });
});

describe("queue registers", () => {
  test("two queues of up to 256; a third does not exist", () => {
    expect(driver.get(common.queueCount, 2)).toBe(2);
    const sizes = [0, 1, 2].map((queue) => {
      driver.set(common.queueSelect, 2, queue);
      return driver.get(common.queueSize, 2);
    });
    expect(sizes).toEqual([256, 256, 0]);
  });

  test("are fixed once the queue is enabled", () => {
    driver.negotiate();
    driver.queue(0, 16);
    expect([driver.get(common.queueSize, 2), driver.get(common.queueEnable, 2)]).toEqual([16, 1]);
    driver.set(common.queueSize, 2, 8);
    driver.address(common.queueDescriptors, 0x9000);
    expect([driver.get(common.queueSize, 2), driver.get(common.queueDescriptors, 4)]).toEqual([16, 0x1_0000]);
  });

  test("vectors that do not exist read back as none", () => {
    driver.set(common.queueVector, 2, 3);
    expect(driver.get(common.queueVector, 2)).toBe(0xffff);
    driver.set(common.queueVector, 2, 2);
    expect(driver.get(common.queueVector, 2)).toBe(2);
    driver.set(common.configVector, 2, 99);
    expect(driver.get(common.configVector, 2)).toBe(0xffff);
  });

  test.each([
    ["a size that is no power of two", 12, 0x1_0000],
    ["a size of zero", 0, 0x1_0000],
    ["a misaligned descriptor area", 8, 0x1_0008],
    ["an area beyond RAM", 8, 0x3f_fff0],
    ["an area in the video hole", 8, 0xa_0000],
    ["an area far away", 8, 2 ** 45],
  ])("%s: the device needs a reset and says so", (_, size, base) => {
    driver.negotiate();
    driver.queue(0, size, base);
    expect(driver.get(common.queueEnable, 2)).toBe(0);
    expect(driver.status & status.needsReset).toBe(status.needsReset);
    expect(driver.lines.at(-1)).toMatch(/DEVICE_NEEDS_RESET: queue 0/);
  });

  test("queue reset and notification data are named and not there", () => {
    driver.set(0x3a, 2, 1);
    driver.get(0x38, 2);
    driver.get(0x3a, 2);
    driver.get(0x3c, 2);
    expect(driver.lines).toEqual([
      "virtio-net: write of 0x1 to queue_reset, which is not implemented",
      "virtio-net: read of queue_notify_data, which is not implemented",
      "virtio-net: read of queue_reset, which is not implemented",
      "virtio-net: read of 2 bytes at 0x3c of BAR 0: nothing there",
    ]);
  });
});

describe("transmit", () => {
  let tx: DriverQueue;
  beforeEach(() => {
    tx = driver.start(undefined, 8).tx;
  });

  test.each([14, 60, 1514, 9014])("a frame of %i bytes", (length) => {
    tx.chain(0, [driver.frame(0x10_0000, pattern(length))]);
    tx.offer(0);
    driver.notify(1);
    expect(driver.sent).toEqual([pattern(length)]);
    expect(tx.used()).toEqual([{ head: 0, written: 0 }]);
  });

  test("a frame in parts, the header split off or cut through", () => {
    const frame = pattern(100);
    driver.frame(0x10_0000, frame);
    const at = 0x10_0000;
    tx.chain(0, [
      { address: at, length: 5 },
      { address: at + 5, length: 20 },
      { address: at + 25, length: 0 },
      { address: at + 25, length: 87 },
    ]);
    tx.offer(0);
    driver.notify(1);
    expect(driver.sent).toEqual([frame]);
  });

  test("several chains at one notification, over the wrap of the ring and of the index", () => {
    for (let round = 0; round < 70_000; round += 8) {
      for (let index = 0; index < 8; index++) {
        tx.chain(index, [driver.frame(0x10_0000 + 0x100 * index, pattern(20, round + index))]);
        tx.offer(index);
      }
      driver.sent.length = 0;
      driver.memory.writes.length = 0;
      driver.notify(1);
      const heads = tx.used().map(({ head }) => head);
      if (round % 1000 !== 0 && heads.length === 8) continue;
      expect(heads).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(driver.sent).toEqual(heads.map((index) => pattern(20, round + index)));
    }
    expect(driver.net.counters.framesSent).toBe(70_000);
  });

  test("the frames of one notification may wait for one another", () => {
    for (const [index, count] of [3, 1].entries()) {
      for (let n = 0; n < count; n++) {
        tx.chain(4 * index + n, [driver.frame(0x10_0000 + 0x100 * n, pattern(20, n))]);
        tx.offer(4 * index + n);
      }
      driver.notify(1);
    }
    expect(driver.bursts).toEqual([3, 1]);
    expect(driver.sent.length).toBe(4);
  });

  test.each([0, 13, 9015])("a frame of %i bytes is dropped and counted", (length) => {
    tx.chain(0, [driver.frame(0x10_0000, pattern(length))]);
    tx.offer(0);
    driver.notify(1);
    expect([driver.sent, tx.used().length]).toEqual([[], 1]);
    expect(driver.net.counters).toEqual({ framesSent: 0, framesReceived: 0, framesDropped: 1 });
  });

  test("indirect descriptors", () => {
    tx = driver.start(feature.mac | feature.indirect).tx;
    const at = 0x10_0000;
    driver.frame(at, pattern(64));
    tx.indirect(3, 0x11_0000, [
      { address: at, length: 12 },
      { address: at + 12, length: 64 },
    ]);
    tx.offer(3);
    driver.notify(1);
    expect([driver.sent, tx.used()]).toEqual([[pattern(64)], [{ head: 3, written: 0 }]]);
  });

  test("without bus mastering nothing moves", () => {
    driver.config(4, 2, 2);
    tx.chain(0, [driver.frame(0x10_0000, pattern(64))]);
    tx.offer(0);
    driver.notify(1);
    expect(driver.sent).toEqual([]);
    expect(driver.lines.at(-1)).toMatch(/notification of queue 1, which is not running/);
  });
});

describe("receive", () => {
  let rx: DriverQueue;
  beforeEach(() => {
    rx = driver.start().rx;
  });
  const buffer = (head: number, length = 9100, address = 0x10_0000 + 0x4000 * head) => {
    rx.chain(head, [{ address, length, write: true }]);
    rx.offer(head);
  };

  test.each([14, 60, 1514, 9014])("a frame of %i bytes, behind a header that says one buffer", (length) => {
    buffer(0);
    expect(driver.net.receive(pattern(length))).toBe(true);
    expect(rx.used()).toEqual([{ head: 0, written: 12 + length }]);
    const { bytes } = driver.memory;
    expect([...bytes.subarray(0x10_0000, 0x10_000c)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    expect(bytes.slice(0x10_000c, 0x10_000c + length)).toEqual(pattern(length));
    expect(driver.memory.writes).toContainEqual([0x10_0000, 12 + length]);
  });

  test("a frame spread over a chain", () => {
    rx.chain(0, [
      { address: 0x10_0000, length: 7, write: true },
      { address: 0x10_1000, length: 30, write: true },
      { address: 0x10_2000, length: 500, write: true },
    ]);
    rx.offer(0);
    expect(driver.net.receive(pattern(100))).toBe(true);
    const { bytes } = driver.memory;
    const got = [...bytes.subarray(0x10_1005, 0x10_101e), ...bytes.subarray(0x10_2000, 0x10_204b)];
    expect(got).toEqual([...pattern(100)]);
  });

  test("with a buffer too small the frame is dropped and counted; the buffer stays", () => {
    buffer(0, 12 + 59);
    expect(driver.net.receive(pattern(60))).toBe(false);
    expect(driver.net.receive(pattern(59))).toBe(true);
    expect(driver.net.counters).toEqual({ framesSent: 0, framesReceived: 1, framesDropped: 1 });
    expect(rx.used()).toHaveLength(1);
  });

  const received = () => {
    const { bytes } = driver.memory;
    return rx.used().map(({ head, written }) => {
      const at = 0x10_000c + 0x4000 * head;
      return [...bytes.slice(at, at + written - 12)];
    });
  };
  const frames = (count: number, from = 0) =>
    Array.from({ length: count }, (_, n) => pattern(60 + n + from, n + from));

  test.each([
    ["flags", 0],
    ["event indices", feature.eventIndex],
  ])(
    "frames without a buffer wait, keep their order, and the driver is asked to notify (%s)",
    (_, features) => {
      rx = driver.start(feature.mac | features).rx;
      const wanted = () => {
        const { view } = driver.memory;
        if (features === 0) return view.getUint16(rx.deviceArea, true) === 0;
        return view.getUint16(rx.deviceArea + 4 + 8 * rx.size, true) === rx.available;
      };
      buffer(0);
      const [first, ...rest] = frames(5) as [Uint8Array, ...Uint8Array[]];
      expect([driver.net.receive(first), wanted()]).toEqual([true, false]);
      for (const frame of rest.slice(0, 3)) expect(driver.net.receive(frame)).toBe(true);
      expect([driver.net.counters.framesReceived, wanted()]).toEqual([1, true]);
      expect(received()).toEqual([[...first]]);

      buffer(1);
      buffer(2);
      driver.notify(0);
      expect([received(), wanted()]).toEqual([rest.slice(0, 2).map((frame) => [...frame]), true]);
      // One that comes now must not overtake the one that waits, whether the driver has notified or not.
      buffer(3);
      buffer(0);
      expect(driver.net.receive(rest[3]!)).toBe(true);
      expect(received()).toEqual(rest.slice(2).map((frame) => [...frame]));
      expect([driver.net.counters, wanted()]).toEqual([
        { framesSent: 0, framesReceived: 5, framesDropped: 0 },
        false,
      ]);
    },
  );

  test("the FIFO holds so many bytes; what comes then is dropped, and a driver that starts anew finds none of it", () => {
    const room = Math.floor(FIFO_BYTES / 9014);
    for (let n = 0; n < room; n++) expect(driver.net.receive(pattern(9014, n))).toBe(true);
    expect(driver.net.receive(pattern(9014))).toBe(false);
    expect(driver.net.counters).toEqual({ framesSent: 0, framesReceived: 0, framesDropped: 1 });
    buffer(0);
    driver.notify(0);
    expect(driver.net.receive(pattern(9014))).toBe(true);
    rx = driver.start().rx;
    driver.memory.view.setUint16(rx.driverArea + 2, 0, true);
    buffer(0);
    expect(driver.net.receive(pattern(70))).toBe(true);
    expect(driver.memory.bytes.slice(0x10_000c, 0x10_000c + 70)).toEqual(pattern(70));
  });

  test("a frame that waits and finds a buffer too small does not hold up the others", () => {
    for (const frame of frames(2)) expect(driver.net.receive(frame)).toBe(true);
    expect(driver.net.receive(pattern(14))).toBe(true);
    buffer(0, 12 + 40);
    driver.notify(0);
    expect(received()).toEqual([[...pattern(14)]]);
    expect(driver.net.counters).toEqual({ framesSent: 0, framesReceived: 1, framesDropped: 2 });
  });

  test.each([0, 13, 9015])("a frame of %i bytes from the wire is dropped", (length) => {
    buffer(0);
    expect(driver.net.receive(pattern(length))).toBe(false);
    expect(rx.used()).toEqual([]);
  });

  test("before the driver is ready, and with the cable pulled, frames are dropped", () => {
    driver.net.setLink(false);
    buffer(0);
    expect(driver.net.receive(pattern(60))).toBe(false);
    driver.net.setLink(true);
    driver.status = 0;
    expect(driver.net.receive(pattern(60))).toBe(false);
  });
});

describe("interrupts", () => {
  const send = (tx: DriverQueue) => {
    tx.chain(0, [driver.frame(0x10_0000, pattern(64))]);
    tx.offer(0);
    driver.notify(1);
  };
  const isr = () => driver.net.pci.readBar(0, driver.at.isr, 1);

  test("INTA by the ISR, which reading acknowledges; the status and disable bits of the header", () => {
    const { tx } = driver.start();
    send(tx);
    expect([driver.net.irq.level, driver.config(6, 2)]).toEqual([true, 0x18]);
    driver.config(4, 2, 0x406);
    expect([driver.net.irq.level, driver.config(6, 2) & 8]).toEqual([false, 8]);
    driver.config(4, 2, 6);
    expect([driver.net.irq.level, isr(), isr(), driver.net.irq.level]).toEqual([true, 1, 0, false]);
  });

  test("none for a notification that brings nothing", () => {
    driver.start();
    driver.notify(1);
    expect(isr()).toBe(0);
  });

  test("the driver's NO_INTERRUPT flag", () => {
    const { tx } = driver.start();
    driver.memory.view.setUint16(tx.driverArea, 1, true);
    send(tx);
    expect(isr()).toBe(0);
  });

  test("MSI-X: a message for each queue's vector, none without one", () => {
    const { pci } = driver.net;
    const cap = 0x11;
    let at = driver.config(0x34, 1);
    while (driver.config(at, 1) !== cap) at = driver.config(at + 1, 1);
    expect(driver.config(at + 2, 2)).toBe(2); // three vectors
    driver.config(at + 2, 2, 0x8002);
    for (let vector = 0; vector < 3; vector++) {
      pci.writeBar(1, 16 * vector, 4, 0xfee0_0000);
      pci.writeBar(1, 16 * vector + 8, 4, 0x40 + vector);
      pci.writeBar(1, 16 * vector + 12, 4, 0);
    }
    const { rx, tx } = driver.start();
    send(tx);
    expect(driver.messages).toEqual([]);
    for (const [queue, vector] of [
      [0, 1],
      [1, 2],
    ]) {
      driver.set(common.queueSelect, 2, queue);
      driver.set(common.queueVector, 2, vector);
    }
    driver.set(common.configVector, 2, 0);
    send(tx);
    rx.chain(0, [{ address: 0x12_0000, length: 200, write: true }]);
    rx.offer(0);
    driver.net.receive(pattern(64));
    driver.net.setLink(false);
    expect(driver.messages.map(([, data]) => data)).toEqual([0x42, 0x41, 0x40]);
    expect([isr(), driver.net.irq.level]).toEqual([0, false]);
  });

  test("a link change: configuration interrupt, new generation, new status", () => {
    driver.start();
    const before = driver.get(common.generation, 1);
    driver.net.setLink(false);
    expect([isr(), device(6, 2)]).toEqual([2, 0]);
    expect(driver.get(common.generation, 1)).not.toBe(before);
  });

  test("event index: an interrupt only when the used index passes the driver's event", () => {
    const { tx } = driver.start(feature.mac | feature.eventIndex);
    const { view } = driver.memory;
    const usedEvent = tx.driverArea + 4 + 2 * tx.size;
    view.setUint16(usedEvent, 2, true);
    const seen = [0, 1, 2, 3].map(() => {
      send(tx);
      return isr();
    });
    expect(seen).toEqual([0, 0, 1, 0]);
    // The device asks for a notification at the very next chain.
    expect(view.getUint16(tx.deviceArea + 4 + 8 * tx.size, true)).toBe(4);
  });

  test("receive buffers need no notification", () => {
    const { rx, tx } = driver.start();
    expect(driver.memory.view.getUint16(rx.deviceArea, true)).toBe(1);
    expect(driver.memory.view.getUint16(tx.deviceArea, true)).toBe(0);
  });
});

describe("a broken driver", () => {
  const at = 0x10_0000;
  const good = { address: at, length: 100 };
  const cases: [string, (tx: DriverQueue) => void, RegExp][] = [
    ["offers more chains than the queue has", (q) => (q.available += 20), /chains offered at once/],
    ["names a descriptor beyond the table", (q) => q.offer(8), /descriptor 8 of 8/],
    ["links to a descriptor beyond the table", (q) => q.descriptor(0, good, 1, 99), /descriptor 99 of 8/],
    ["makes a loop", (q) => q.descriptor(0, good, 1, 0), /longer than the queue/],
    ["points beyond RAM", (q) => q.chain(0, [{ address: 0x3f_fff0, length: 32 }]), /not in RAM/],
    ["points far away", (q) => q.chain(0, [{ address: 2 ** 63, length: 32 }]), /not in RAM/],
    ["points at the ROM", (q) => q.chain(0, [{ address: 0xf_0000, length: 32 }]), /not in RAM/],
    [
      "lets the device write on transmit",
      (q) => q.chain(0, [good, { ...good, write: true }]),
      /writable part/,
    ],
    [
      "puts a readable part after a writable",
      (q) => q.chain(0, [{ ...good, write: true }, good]),
      /readable part/,
    ],
    ["forgets the header", (q) => q.chain(0, [{ address: at, length: 11 }]), /has no header/],
    [
      "nests indirect tables",
      (q) => q.descriptor(0, { address: q.base, length: 16 }, 4),
      /within an indirect/,
    ],
    [
      "links after an indirect table",
      (q) => q.descriptor(0, { address: at, length: 16 }, 5, 1),
      /both indirect/,
    ],
    [
      "gives half an indirect entry",
      (q) => q.descriptor(0, { address: at, length: 24 }, 4),
      /table of 24 bytes/,
    ],
    [
      "gives an empty indirect table",
      (q) => q.descriptor(0, { address: at, length: 0 }, 4),
      /table of 0 bytes/,
    ],
  ];
  test.each(cases)("%s: the device needs a reset, and works after it", (_, breaks, words) => {
    const { tx } = driver.start(feature.mac | feature.indirect);
    breaks(tx);
    tx.offer(tx.available > 0 ? 8 : 0);
    driver.notify(1);
    expect(driver.status & status.needsReset).toBe(status.needsReset);
    expect(driver.lines.join("\n")).toMatch(words);
    expect(driver.net.pci.readBar(0, driver.at.isr, 1) & 2).toBe(2);
    expect(driver.sent).toEqual([]);
    const again = driver.start();
    driver.memory.view.setUint16(again.tx.driverArea + 2, 0, true);
    again.tx.chain(0, [driver.frame(at, pattern(64))]);
    again.tx.offer(0);
    driver.notify(1);
    expect(driver.sent).toEqual([pattern(64)]);
  });

  test("a readable receive buffer", () => {
    const { rx } = driver.start();
    rx.chain(0, [good]);
    rx.offer(0);
    expect(driver.net.receive(pattern(60))).toBe(false);
    expect(driver.status & status.needsReset).toBe(status.needsReset);
  });
});

test("a snapshot round trip: the other device goes on where this one was", () => {
  const { rx, tx } = driver.start(feature.mac | feature.eventIndex | feature.indirect);
  rx.chain(0, [{ address: 0x12_0000, length: 200, write: true }]);
  rx.offer(0);
  tx.chain(0, [driver.frame(0x10_0000, pattern(64))]);
  tx.offer(0);
  driver.notify(1);
  const saved = throughJson(driver.net.snapshot());
  const memory = driver.memory.bytes.slice();
  const other = new Driver();
  other.memory.bytes.set(memory);
  other.net.restore(saved);
  expect(other.net.snapshot()).toEqual(saved);
  expect(other.net.irq.level).toBe(driver.net.irq.level);
  expect(other.net.receive(pattern(80))).toBe(true);
  expect(other.memory.bytes.slice(0x12_000c, 0x12_000c + 80)).toEqual(pattern(80));
  expect(other.net.counters).toEqual({ framesSent: 1, framesReceived: 1, framesDropped: 0 });
});

test("frames that wait are part of a snapshot", () => {
  driver.start();
  for (const seed of [1, 2]) expect(driver.net.receive(pattern(60, seed))).toBe(true);
  const saved = throughJson(driver.net.snapshot());
  const other = new Driver();
  const { rx } = other.start();
  expect(other.net.receive(pattern(60, 3))).toBe(true);
  other.net.restore(saved);
  expect(other.net.snapshot()).toEqual(saved);
  rx.chain(0, [{ address: 0x10_0000, length: 100, write: true }]);
  rx.chain(1, [{ address: 0x10_1000, length: 100, write: true }]);
  for (const head of [0, 1]) rx.offer(head);
  other.notify(0);
  expect(other.memory.bytes.slice(0x10_000c, 0x10_0048)).toEqual(pattern(60, 1));
  expect(other.memory.bytes.slice(0x10_100c, 0x10_1048)).toEqual(pattern(60, 2));
  expect(other.net.counters.framesReceived).toBe(2);
});
