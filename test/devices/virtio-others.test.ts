// VIRTIO 1.2, sections 5.3 and 5.4: the console and the entropy device.

import { describe, expect, test } from "vitest";
import { VirtioConsole } from "../../emulator/devices/virtio-console.js";
import { VirtioRng } from "../../emulator/devices/virtio-rng.js";
import { seededEntropy } from "../../emulator/entropy.js";
import { TestMemory, throughJson, tracer } from "./bench.js";
import { feature, status, VirtioDriver } from "./virtio-driver.js";

const AT = 0x10_0000;

function rng(seed = 7) {
  const memory = new TestMemory(0x20_0000);
  const { trace, lines } = tracer();
  const device = new VirtioRng(seededEntropy(seed), memory, () => {}, trace);
  const driver = new VirtioDriver(memory, device.pci, lines);
  driver.negotiate(feature.indirect);
  const queue = driver.queue(0, 8);
  driver.status |= status.driverOk;
  const draw = (...lengths: number[]) => {
    memory.bytes.fill(0, AT, AT + 0x8_0000);
    let address = AT;
    queue.chain(
      0,
      lengths.map((length) => {
        address += length;
        return { address: address - length, length, write: true };
      }),
    );
    queue.offer(0);
    driver.notify(0);
    const [used] = queue.used();
    return { written: used?.written, bytes: memory.bytes.slice(AT, address) };
  };
  return { device, driver, queue, draw };
}

describe("virtio-rng", () => {
  test("fills every part, the same for a seed, another for another", () => {
    const { written, bytes } = rng().draw(5, 300);
    expect(written).toBe(305);
    expect(new Set(bytes).size).toBeGreaterThan(100);
    expect(rng().draw(5, 300).bytes).toEqual(bytes);
    expect(rng(8).draw(5, 300).bytes).not.toEqual(bytes);
  });

  test("gives at most 64 KiB for a request", () => {
    const { written, bytes } = rng().draw(0x1_8000);
    expect([written, bytes.lastIndexOf(0) > 0x1_0000, bytes.slice(0x1_0000).every((b) => b === 0)]).toEqual([
      0x1_0000,
      true,
      true,
    ]);
  });

  test("a snapshot goes on with the same bytes", () => {
    const first = rng();
    first.draw(10);
    const saved = throughJson(first.device.snapshot());
    const next = first.draw(32).bytes;
    const second = rng(99);
    second.device.restore(saved);
    second.queue.available = 1;
    second.queue.seen = 0;
    expect(second.draw(32).bytes).toEqual(next);
  });

  test("a readable part is the driver's mistake", () => {
    const { driver, queue } = rng();
    queue.chain(0, [{ address: AT, length: 8 }]);
    queue.offer(0);
    driver.notify(0);
    expect(driver.status & status.needsReset).not.toBe(0);
  });
});

function console() {
  const memory = new TestMemory(0x20_0000);
  const { trace, lines } = tracer();
  const sent: number[] = [];
  const device = new VirtioConsole(
    (byte) => sent.push(byte),
    memory,
    () => {},
    trace,
  );
  const driver = new VirtioDriver(memory, device.pci, lines);
  return { memory, device, driver, sent };
}

describe("virtio-console", () => {
  test("prints what is transmitted, in order, over several parts", () => {
    const { memory, driver, sent } = console();
    driver.negotiate(0);
    driver.queue(0);
    const queue = driver.queue(1);
    driver.status |= status.driverOk;
    memory.bytes.set(Buffer.from("hello, world"), AT);
    queue.chain(0, [
      { address: AT, length: 7 },
      { address: AT + 7, length: 5 },
    ]);
    queue.offer(0);
    driver.notify(1);
    expect([Buffer.from(sent).toString(), queue.used()]).toEqual(["hello, world", [{ head: 0, written: 0 }]]);
  });

  test("types a byte into each buffer; without one it has to be tried again", () => {
    const { memory, device, driver } = console();
    expect(device.receive(0x61)).toBe(false);
    driver.negotiate(0);
    const queue = driver.queue(0);
    driver.status |= status.driverOk;
    expect(device.receive(0x61)).toBe(false);
    for (const head of [0, 1]) {
      queue.chain(head, [{ address: AT + 16 * head, length: 16, write: true }]);
      queue.offer(head);
    }
    expect([device.receive(0x61), device.receive(0x62), device.receive(0x63)]).toEqual([true, true, false]);
    expect([memory.bytes[AT], memory.bytes[AT + 16]]).toEqual([0x61, 0x62]);
    expect(queue.used()).toEqual([
      { head: 0, written: 1 },
      { head: 1, written: 1 },
    ]);
  });

  test("an input buffer that cannot be written is the driver's mistake", () => {
    const { device, driver } = console();
    driver.negotiate(0);
    const queue = driver.queue(0);
    driver.status |= status.driverOk;
    queue.chain(0, [{ address: AT, length: 16 }]);
    queue.offer(0);
    expect([device.receive(0x61), driver.status & status.needsReset]).toEqual([false, status.needsReset]);
  });
});
