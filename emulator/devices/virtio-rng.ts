// The virtio entropy device: VIRTIO 1.2, section 5.4. Where its bytes come from is the machine's choice: the run's
// seed, or the host.

import type { GuestMemory, Trace } from "./device.js";
import { ringFeature, type VirtioDevice, VirtioPci } from "./virtio-pci.js";
import { type Chain, DriverError } from "./virtqueue.js";

export interface Entropy {
  fill(bytes: Uint8Array): void;
  snapshot(): object;
  restore(state: object): void;
}

/** A driver that asks for more gets this much: "the device MAY use fewer bytes than requested". */
const REQUEST_BYTES_MAX = 0x1_0000;

export class VirtioRng implements VirtioDevice {
  readonly name = "virtio-rng";
  readonly id = 4;
  readonly classCode = 0xff_0000;
  readonly queues = 1;
  readonly features: readonly [number, number] = [
    ((1 << ringFeature.indirectDescriptors) | (1 << ringFeature.eventIndex)) >>> 0,
    1 << (ringFeature.version1 - 32),
  ];
  readonly configBytes = 0;
  readonly pci: VirtioPci;
  readonly #entropy: Entropy;
  readonly #memory: GuestMemory;
  readonly #bytes = new Uint8Array(REQUEST_BYTES_MAX);

  constructor(
    entropy: Entropy,
    memory: GuestMemory,
    message: (address: number, data: number) => void,
    trace: Trace,
  ) {
    this.#entropy = entropy;
    this.#memory = memory;
    this.pci = new VirtioPci(this, memory, message, trace);
  }

  readConfig(): number {
    return 0;
  }

  started(): void {
    if (this.pci.running(0)) this.pci.queues[0].wantNotifications(true);
  }

  stopped(): void {}

  notified(queue: number): void {
    this.pci.queues[queue].drain((chain) => this.#fill(chain));
    this.pci.signal(queue);
  }

  #fill({ readable, writable }: Chain): number {
    if (readable.length > 0) throw new DriverError("queue 0: a request for entropy with a readable part");
    let room = REQUEST_BYTES_MAX;
    for (const { address, length } of writable) {
      const bytes = this.#bytes.subarray(0, Math.min(length, room));
      this.#entropy.fill(bytes);
      this.#memory.bytes.set(bytes, address);
      this.#memory.written(address, bytes.length);
      room -= bytes.length;
    }
    return REQUEST_BYTES_MAX - room;
  }

  reset(): void {
    this.pci.reset();
  }

  snapshot(): { entropy: object; pci: object } {
    return { entropy: this.#entropy.snapshot(), pci: this.pci.snapshot() };
  }

  restore(state: object): void {
    const { entropy, pci } = state as { entropy: object; pci: object };
    this.#entropy.restore(entropy);
    this.pci.restore(pci);
  }
}
