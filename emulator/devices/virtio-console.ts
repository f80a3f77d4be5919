// The virtio console: VIRTIO 1.2, section 5.3, one port, without a size, control queues and emergency writes.

import type { GuestMemory, Trace } from "./device.js";
import { ringFeature, type VirtioDevice, VirtioPci } from "./virtio-pci.js";
import { type Chain, DriverError } from "./virtqueue.js";

export const consoleQueue = { receive: 0, transmit: 1 } as const;

export class VirtioConsole implements VirtioDevice {
  readonly name = "virtio-console";
  readonly id = 3;
  readonly classCode = 0x07_8000;
  readonly queues = 2;
  readonly features: readonly [number, number] = [
    ((1 << ringFeature.indirectDescriptors) | (1 << ringFeature.eventIndex)) >>> 0,
    1 << (ringFeature.version1 - 32),
  ];
  readonly configBytes = 0;
  readonly pci: VirtioPci;
  readonly #memory: GuestMemory;
  readonly #send: (byte: number) => void;

  constructor(
    send: (byte: number) => void,
    memory: GuestMemory,
    message: (address: number, data: number) => void,
    trace: Trace,
  ) {
    this.#send = send;
    this.#memory = memory;
    this.pci = new VirtioPci(this, memory, message, trace);
  }

  readConfig(): number {
    return 0;
  }

  started(): void {
    for (const queue of [consoleQueue.receive, consoleQueue.transmit])
      if (this.pci.running(queue)) this.pci.queues[queue].wantNotifications(queue === consoleQueue.transmit);
  }

  stopped(): void {}

  notified(queue: number): void {
    if (queue !== consoleQueue.transmit) return;
    this.pci.queues[queue].drain((chain) => this.#transmit(chain));
    this.pci.signal(queue);
  }

  #transmit({ readable, writable }: Chain): number {
    if (writable.length > 0) throw new DriverError("queue 1: output with a writable part");
    for (const { address, length } of readable)
      for (let at = address; at < address + length; at++) this.#send(this.#memory.bytes[at]);
    return 0;
  }

  /** A byte typed; false when the driver has no buffer for it (try again later). */
  receive(byte: number): boolean {
    if (!this.pci.running(consoleQueue.receive)) return false;
    let delivered = false;
    this.pci.guard(() => {
      delivered = this.#deliver(byte);
    });
    return delivered;
  }

  #deliver(byte: number): boolean {
    const ring = this.pci.queues[consoleQueue.receive];
    const chain = ring.peek();
    if (chain === undefined) return false;
    const room = chain.writable.find(({ length }) => length > 0);
    if (chain.readable.length > 0 || room === undefined)
      throw new DriverError("queue 0: a buffer for input that cannot be written");
    this.#memory.bytes[room.address] = byte;
    this.#memory.written(room.address, 1);
    ring.take();
    ring.push(chain.head, 1);
    if (this.pci.negotiated(ringFeature.eventIndex)) ring.wantNotifications(false);
    this.pci.signal(consoleQueue.receive);
    return true;
  }

  reset(): void {
    this.pci.reset();
  }

  snapshot(): object {
    return this.pci.snapshot();
  }

  restore(state: object): void {
    this.pci.restore(state);
  }
}
