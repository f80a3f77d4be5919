// The virtio network card: VIRTIO 1.2, section 5.1, one receive and one transmit queue, no offloads, no
// control queue. Frames are Ethernet without FCS, up to an MTU of 9000 bytes (9014 with the header).
// The wire is a callback out and `receive` in. A frame for which the driver has no buffer waits in the card's receive
// FIFO, as on a real card, and is dropped and counted when that is full.
// Invariant: while frames wait the driver is asked to notify of new buffers; frames keep their order.

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
/** Bytes of frames that the receive FIFO holds. With a ring of 9000-byte buffers, a whole window of TCP. */
export const FIFO_BYTES = 4 << 20;

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
  /** The receive FIFO: the oldest frame at `#first`. */
  #waiting: Uint8Array[] = [];
  #first = 0;
  #waitingBytes = 0;

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
    // New receive buffers are waited for only while frames wait for them.
    if (this.pci.running(netQueue.receive)) this.pci.queues[netQueue.receive].wantNotifications(false);
    if (this.pci.running(netQueue.transmit)) this.pci.queues[netQueue.transmit].wantNotifications(true);
  }

  stopped(): void {
    this.#empty();
  }

  // --- Transmit ---

  notified(queue: number): void {
    if (queue === netQueue.receive) {
      this.#deliverWaiting();
      return;
    }
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
    let taken = false;
    this.pci.guard(() => {
      this.#deliverWaiting();
      const delivery = this.#waiting.length > 0 ? "no buffer" : this.#deliver(frame);
      taken = delivery === "done" || (delivery === "no buffer" && this.#wait(frame));
    });
    return taken || this.#drop();
  }

  /** Puts a frame into the FIFO; false when it is full. */
  #wait(frame: Uint8Array): boolean {
    if (this.#waitingBytes + frame.length > FIFO_BYTES) return false;
    this.#waiting.push(frame.slice());
    this.#waitingBytes += frame.length;
    this.#deliverWaiting();
    return true;
  }

  /**
   * Gives the driver what waits, as far as it has buffers. Asking for a notification and looking once more closes the
   * gap in which the driver, on another core, adds a buffer without notifying.
   */
  #deliverWaiting(): void {
    while (this.#first < this.#waiting.length) {
      const frame = this.#waiting[this.#first]!;
      let delivery = this.#deliver(frame);
      if (delivery === "no buffer") {
        this.pci.queues[netQueue.receive].wantNotifications(true);
        delivery = this.#deliver(frame);
        if (delivery === "no buffer") return;
      }
      if (delivery === "too small") this.#drop();
      this.#first++;
      this.#waitingBytes -= frame.length;
    }
    if (this.#first > 0) this.#empty();
  }

  #empty(): void {
    this.#waiting = [];
    this.#first = 0;
    this.#waitingBytes = 0;
  }

  #deliver(frame: Uint8Array): "done" | "no buffer" | "too small" {
    const ring = this.pci.queues[netQueue.receive];
    const chain = ring.peek();
    if (chain === undefined) return "no buffer";
    if (chain.readable.length > 0) throw new DriverError("queue 0: a receive chain with a readable part");
    const room = chain.writable.reduce((sum, segment) => sum + segment.length, 0);
    if (room < HEADER_BYTES + frame.length) return "too small";
    const header = new Uint8Array(HEADER_BYTES);
    header[NUM_BUFFERS] = 1;
    this.#scatter(chain, header, frame);
    ring.take();
    ring.push(chain.head, HEADER_BYTES + frame.length);
    ring.wantNotifications(false);
    this.pci.signal(netQueue.receive);
    this.#state.framesReceived++;
    return "done";
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

  snapshot(): State & { pci: object; waiting: string[] } {
    const waiting = this.#waiting.slice(this.#first).map((frame) => Buffer.from(frame).toString("base64"));
    return { ...this.#state, pci: this.pci.snapshot(), waiting };
  }

  restore(state: object): void {
    const { pci, waiting = [], ...own } = state as State & { pci: object; waiting?: string[] };
    this.#state = { ...own };
    this.#empty();
    this.#waiting = waiting.map((text) => new Uint8Array(Buffer.from(text, "base64")));
    this.#waitingBytes = this.#waiting.reduce((sum, { length }) => sum + length, 0);
    this.pci.restore(pci);
  }
}
