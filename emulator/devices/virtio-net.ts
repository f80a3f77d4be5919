// The virtio network card: VIRTIO 1.2, section 5.1, one receive and one transmit queue, no offloads, no
// control queue. Frames are Ethernet without FCS, up to an MTU of 9000 bytes (9014 with the header).
// The wire is a callback out and `receive` in; a frame for which the driver has no buffer is dropped and
// counted, as on a real card.

import type { GuestMemory, Line, Trace } from "./device.js";
import { ringFeature, type VirtioDevice, VirtioPci } from "./virtio-pci.js";
import { type Chain, DriverError } from "./virtqueue.js";

export const MTU = 9000;
const ETHERNET_HEADER_BYTES = 14;
export const FRAME_BYTES_MAX = ETHERNET_HEADER_BYTES + MTU;
/** struct virtio_net_hdr with num_buffers, as VERSION_1 has it. */
const HEADER_BYTES = 12;
const NUM_BUFFERS = 10;
const feature = { mtu: 3, mac: 5, status: 16 } as const;
const LINK_UP = 1;
export const netQueue = { receive: 0, transmit: 1 } as const;
const CONFIG_BYTES = 12;

const reset = () => ({ linkUp: true, framesSent: 0, framesReceived: 0, framesDropped: 0 });
type State = ReturnType<typeof reset>;

export class VirtioNet implements VirtioDevice {
  readonly name = "virtio-net";
  readonly id = 1;
  readonly classCode = 0x02_0000;
  readonly queues = 2;
  readonly features: readonly [number, number] = [
    ((1 << feature.mtu) |
      (1 << feature.mac) |
      (1 << feature.status) |
      (1 << ringFeature.indirectDescriptors) |
      (1 << ringFeature.eventIndex)) >>>
      0,
    1 << (ringFeature.version1 - 32),
  ];
  readonly configBytes = CONFIG_BYTES;
  readonly pci: VirtioPci;
  readonly #mac: Uint8Array;
  readonly #memory: GuestMemory;
  readonly #send: (frame: Uint8Array) => void;
  readonly #trace: Trace;
  readonly #frame = new Uint8Array(FRAME_BYTES_MAX);
  #state = reset();

  /** `send` gets a view that is valid during the call only; `message` is a message-signalled interrupt. */
  constructor(
    mac: Uint8Array,
    memory: GuestMemory,
    send: (frame: Uint8Array) => void,
    message: (address: number, data: number) => void,
    trace: Trace,
  ) {
    if (mac.length !== 6) throw new RangeError(`virtio-net: a MAC address has 6 bytes, not ${mac.length}`);
    this.#mac = mac.slice();
    this.#memory = memory;
    this.#send = send;
    this.#trace = trace;
    this.pci = new VirtioPci(this, memory, message, trace);
  }

  get irq(): Line {
    return this.pci.irq;
  }

  get counters(): { framesSent: number; framesReceived: number; framesDropped: number } {
    const { framesSent, framesReceived, framesDropped } = this.#state;
    return { framesSent, framesReceived, framesDropped };
  }

  /** struct virtio_net_config: mac, status, max_virtqueue_pairs (not ours), mtu. */
  readConfig(offset: number): number {
    if (offset < 6) return this.#mac[offset];
    if (offset === 6) return this.#state.linkUp ? LINK_UP : 0;
    if (offset === 10) return MTU & 0xff;
    return offset === 11 ? MTU >> 8 : 0;
  }

  /** The cable: plugged or pulled. */
  setLink(up: boolean): void {
    if (up === this.#state.linkUp) return;
    this.#state.linkUp = up;
    this.pci.configurationChanged();
  }

  started(): void {
    // Frames that find no buffer are dropped, so new receive buffers are never waited for.
    if (this.pci.running(netQueue.receive)) this.pci.queues[netQueue.receive].wantNotifications(false);
    if (this.pci.running(netQueue.transmit)) this.pci.queues[netQueue.transmit].wantNotifications(true);
  }

  stopped(): void {}

  // --- Transmit ---

  notified(queue: number): void {
    if (queue !== netQueue.transmit) return;
    this.pci.queues[queue].drain((chain) => this.#transmit(chain));
    this.pci.signal(queue);
  }

  #transmit(chain: Chain): 0 {
    if (chain.writable.length > 0) throw new DriverError("queue 1: a transmit chain with a writable part");
    const length = chain.readable.reduce((sum, segment) => sum + segment.length, 0) - HEADER_BYTES;
    if (length < 0)
      throw new DriverError(`queue 1: a transmit chain of ${length + HEADER_BYTES} bytes has no header`);
    if (length < ETHERNET_HEADER_BYTES || length > FRAME_BYTES_MAX || !this.#state.linkUp) {
      this.#drop(`frame of ${length} bytes not sent${this.#state.linkUp ? "" : ": the link is down"}`);
      return 0;
    }
    this.#gather(chain);
    this.#state.framesSent++;
    this.#send(this.#frame.subarray(0, length));
    return 0;
  }

  /** Copies the frame, the bytes after the header, together. */
  #gather(chain: Chain): void {
    let skip = HEADER_BYTES;
    let at = 0;
    for (const { address, length } of chain.readable) {
      const skipped = Math.min(skip, length);
      skip -= skipped;
      this.#frame.set(this.#memory.bytes.subarray(address + skipped, address + length), at);
      at += length - skipped;
    }
  }

  // --- Receive ---

  /** A frame from the wire; false when it was dropped. */
  receive(frame: Uint8Array): boolean {
    if (frame.length < ETHERNET_HEADER_BYTES || frame.length > FRAME_BYTES_MAX)
      return this.#drop(`frame of ${frame.length} bytes from the wire`);
    if (!this.#state.linkUp || !this.pci.running(netQueue.receive)) return this.#drop();
    let delivered = false;
    this.pci.guard(() => {
      delivered = this.#deliver(frame);
    });
    if (!delivered) return this.#drop();
    this.#state.framesReceived++;
    return true;
  }

  #deliver(frame: Uint8Array): boolean {
    const ring = this.pci.queues[netQueue.receive];
    const chain = ring.peek();
    if (chain === undefined) return false;
    if (chain.readable.length > 0) throw new DriverError("queue 0: a receive chain with a readable part");
    const room = chain.writable.reduce((sum, segment) => sum + segment.length, 0);
    if (room < HEADER_BYTES + frame.length) return false;
    const header = new Uint8Array(HEADER_BYTES);
    header[NUM_BUFFERS] = 1;
    this.#scatter(chain, header, frame);
    ring.take();
    ring.push(chain.head, HEADER_BYTES + frame.length);
    if (this.pci.negotiated(ringFeature.eventIndex)) ring.wantNotifications(false);
    this.pci.signal(netQueue.receive);
    return true;
  }

  /** Spreads header and frame over the chain's parts. */
  #scatter(chain: Chain, ...parts: readonly Uint8Array[]): void {
    let [part, ...rest] = parts;
    for (const segment of chain.writable) {
      let { address, length } = segment;
      while (length > 0 && part !== undefined) {
        const count = Math.min(length, part.length);
        this.#memory.bytes.set(part.subarray(0, count), address);
        this.#memory.written(address, count);
        address += count;
        length -= count;
        part = part.subarray(count);
        if (part.length === 0) [part, ...rest] = rest;
      }
    }
  }

  #drop(why?: string): false {
    this.#state.framesDropped++;
    if (why !== undefined) this.#trace(this.name, `${why}: dropped`);
    return false;
  }

  // --- Life ---

  reset(): void {
    this.#state = reset();
    this.pci.reset();
  }

  snapshot(): State & { pci: object } {
    return { ...this.#state, pci: this.pci.snapshot() };
  }

  restore(state: object): void {
    const { pci, ...own } = state as State & { pci: object };
    this.#state = { ...own };
    this.pci.restore(pci);
  }
}
