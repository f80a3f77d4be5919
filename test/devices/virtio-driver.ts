// A small virtio driver for tests: finds the structures through the capabilities, negotiates, and keeps
// split rings in guest memory, as VIRTIO 1.2 tells a driver to.

import { VirtioNet } from "../../emulator/devices/virtio-net.js";
import type { VirtioPci } from "../../emulator/devices/virtio-pci.js";
import { TestMemory, tracer } from "./bench.js";

export const feature = {
  csum: 1 << 0,
  guestCsum: 1 << 1,
  mtu: 1 << 3,
  mac: 1 << 5,
  hostTso4: 1 << 11,
  hostTso6: 1 << 12,
  hostEcn: 1 << 13,
  mergeable: 1 << 15,
  status: 1 << 16,
  indirect: 1 << 28,
  eventIndex: 1 << 29,
} as const;
export const status = { acknowledge: 1, driver: 2, driverOk: 4, featuresOk: 8, needsReset: 64 } as const;
export const common = {
  deviceFeatureSelect: 0x00,
  deviceFeature: 0x04,
  driverFeatureSelect: 0x08,
  driverFeature: 0x0c,
  configVector: 0x10,
  queueCount: 0x12,
  status: 0x14,
  generation: 0x15,
  queueSelect: 0x16,
  queueSize: 0x18,
  queueVector: 0x1a,
  queueEnable: 0x1c,
  queueNotifyOff: 0x1e,
  queueDescriptors: 0x20,
  queueDriver: 0x28,
  queueDevice: 0x30,
} as const;
export const mac = Uint8Array.of(0x52, 0x54, 0, 0, 0, 7);

const flag = { next: 1, write: 2, indirect: 4 } as const;
export interface Part {
  address: number;
  length: number;
  write?: boolean;
}

/** Where the driver keeps a queue's rings. */
export class DriverQueue {
  available = 0;
  seen = 0;
  constructor(
    readonly memory: TestMemory,
    readonly index: number,
    readonly base: number,
    readonly size: number,
  ) {}
  get driverArea(): number {
    return this.base + 16 * this.size;
  }
  get deviceArea(): number {
    return (this.driverArea + 6 + 2 * this.size + 3) & ~3;
  }
  descriptor(index: number, { address, length, write }: Part, flags = 0, next = 0, table = this.base): void {
    const at = table + 16 * index;
    const { view } = this.memory;
    view.setUint32(at, address >>> 0, true);
    view.setUint32(at + 4, Math.floor(address / 2 ** 32), true);
    view.setUint32(at + 8, length, true);
    view.setUint16(at + 12, flags | (write ? flag.write : 0), true);
    view.setUint16(at + 14, next, true);
  }
  /** Writes a chain from descriptor `head` on, in order. */
  chain(head: number, parts: Part[], table = this.base): void {
    for (const [index, part] of parts.entries())
      this.descriptor(head + index, part, index + 1 < parts.length ? flag.next : 0, head + index + 1, table);
  }
  indirect(head: number, table: number, parts: Part[]): void {
    this.chain(0, parts, table);
    this.descriptor(head, { address: table, length: 16 * parts.length }, flag.indirect);
  }
  offer(head: number): void {
    const { view } = this.memory;
    view.setUint16(this.driverArea + 4 + 2 * (this.available % this.size), head, true);
    this.available = (this.available + 1) & 0xffff;
    view.setUint16(this.driverArea + 2, this.available, true);
  }
  /** What the device gave back since the last call: {head, bytes written}. */
  used(): { head: number; written: number }[] {
    const { view } = this.memory;
    const out: { head: number; written: number }[] = [];
    while (this.seen !== view.getUint16(this.deviceArea + 2, true)) {
      const at = this.deviceArea + 4 + 8 * (this.seen % this.size);
      out.push({ head: view.getUint32(at, true), written: view.getUint32(at + 4, true) });
      this.seen = (this.seen + 1) & 0xffff;
    }
    return out;
  }
}

type Structures = Record<"common" | "notify" | "isr" | "device" | "pci", number>;

/** A driver of any virtio device on PCI. */
export class VirtioDriver {
  readonly at: Structures;
  multiplier = 0;

  constructor(
    readonly memory: TestMemory,
    readonly pci: VirtioPci,
    readonly lines: string[],
  ) {
    this.at = this.#structures();
    this.config(4, 2, 6); // memory decoding and bus mastering
  }

  config(at: number, size: number, value?: number): number {
    if (value !== undefined) this.pci.writeConfig(at, size, value);
    return this.pci.readConfig(at, size);
  }

  #structures(): Structures {
    const names = ["", "common", "notify", "isr", "device", "pci"] as const;
    const at: Record<string, number> = {};
    for (let cap = this.config(0x34, 1); cap !== 0; cap = this.config(cap + 1, 1)) {
      if (this.config(cap, 1) !== 9) continue;
      const name = names[this.config(cap + 3, 1)] as string;
      at[name] = name === "pci" ? cap : this.config(cap + 8, 4);
      if (name === "notify") this.multiplier = this.config(cap + 16, 4);
    }
    return at as Structures;
  }

  get(register: number, size: number): number {
    return this.pci.readBar(0, this.at.common + register, size);
  }
  set(register: number, size: number, value: number): void {
    this.pci.writeBar(0, this.at.common + register, size, value);
  }
  get status(): number {
    return this.get(common.status, 1);
  }
  set status(value: number) {
    this.set(common.status, 1, value);
  }
  notify(queue: number): void {
    this.set(common.queueSelect, 2, queue);
    const offset = this.get(common.queueNotifyOff, 2) * this.multiplier;
    this.pci.writeBar(0, this.at.notify + offset, 2, queue);
  }

  /** Acknowledges and negotiates; true when the device agrees. */
  negotiate(low: number, high = 1): boolean {
    this.status = 0;
    this.status = status.acknowledge;
    this.status |= status.driver;
    for (const [select, bits] of [low, high].entries()) {
      this.set(common.driverFeatureSelect, 4, select);
      this.set(common.driverFeature, 4, bits >>> 0);
    }
    this.status |= status.featuresOk;
    return (this.status & status.featuresOk) !== 0;
  }

  /** Gives a queue its rings and enables it. */
  queue(index: number, size = 8, base = 0x1_0000 + 0x4000 * index): DriverQueue {
    const queue = new DriverQueue(this.memory, index, base, size);
    this.set(common.queueSelect, 2, index);
    this.set(common.queueSize, 2, size);
    this.address(common.queueDescriptors, base);
    this.address(common.queueDriver, queue.driverArea);
    this.address(common.queueDevice, queue.deviceArea);
    this.set(common.queueEnable, 2, 1);
    return queue;
  }
  address(register: number, value: number): void {
    this.set(register, 4, value >>> 0);
    this.set(register + 4, 4, Math.floor(value / 2 ** 32));
  }
}

/** The network card's. */
export class Driver extends VirtioDriver {
  readonly net: VirtioNet;
  readonly sent: Uint8Array[] = [];
  /** How many of them might wait for one another. */
  readonly bursts: number[] = [];
  readonly messages: [address: number, data: number][] = [];

  constructor(ramBytes = 0x40_0000) {
    const memory = new TestMemory(ramBytes);
    const { trace, lines } = tracer();
    const net: VirtioNet = new VirtioNet(
      mac,
      memory,
      {
        send: (frame) => this.sent.push(frame.slice()),
        together: (send) => {
          const before = this.sent.length;
          send();
          this.bursts.push(this.sent.length - before);
        },
      },
      (address, data) => this.messages.push([address, data]),
      trace,
    );
    super(memory, net.pci, lines);
    this.net = net;
  }

  override negotiate(low = feature.mac | feature.mtu | feature.status, high = 1): boolean {
    return super.negotiate(low, high);
  }

  /** Both queues running. */
  start(low?: number, size = 8): { rx: DriverQueue; tx: DriverQueue } {
    if (!this.negotiate(low)) throw new Error("the device refuses the features");
    const [rx, tx] = [this.queue(0, size), this.queue(1, size)];
    this.status |= status.driverOk;
    return { rx, tx };
  }

  /** Puts a header and a frame at an address; the part that covers both. */
  frame(address: number, frame: Uint8Array): Part {
    this.memory.bytes.fill(0, address, address + 12);
    this.memory.bytes.set(frame, address + 12);
    return { address, length: 12 + frame.length };
  }
}

export const pattern = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 7 + seed) & 0xff);
