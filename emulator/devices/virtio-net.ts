// The virtio network card: VIRTIO 1.2, section 5.1, one receive and one transmit queue, no control queue. Frames are
// Ethernet without FCS, up to an MTU of 9000 bytes (9014 with the header). It completes and checks checksums and cuts
// TCP segments (net-offload.ts); what it receives it does not put together again.
// The wire is a `Wire` out and `receive` in. A frame for which the driver has no buffer waits in the card's receive
// FIFO, as on a real card, and is dropped and counted when that is full.
// Invariant: while frames wait the driver is asked to notify of new buffers; frames keep their order.

import type { GuestMemory, Line, Trace } from "./device.js";
import { checksumRight, completeChecksum, gsoType, headerFlag, netHeader, segment } from "./net-offload.js";
import { ringFeature, type VirtioDevice, VirtioPci } from "./virtio-pci.js";
import { type Chain, DriverError, lengthOf } from "./virtqueue.js";

export const MTU = 9000;
const ETHERNET_HEADER_BYTES = 14;
export const FRAME_BYTES_MAX = ETHERNET_HEADER_BYTES + MTU;
/** An Ethernet header with two VLAN tags, an IPv6 header, and the longest payload of that (5.1.6.3). */
const LARGE_FRAME_BYTES_MAX = 22 + 40 + 65_535;
const HEADER_BYTES = netHeader.bytes;
const feature = {
  csum: 0,
  guestCsum: 1,
  mtu: 3,
  mac: 5,
  hostTso4: 11,
  hostTso6: 12,
  hostEcn: 13,
  mergeableBuffers: 15,
  status: 16,
} as const;
const offered = [...Object.values(feature), ringFeature.indirectDescriptors, ringFeature.eventIndex];
const LINK_UP = 1;
export const netQueue = { receive: 0, transmit: 1 } as const;
const CONFIG_BYTES = 12;
/** Bytes of frames that the receive FIFO holds. With a ring of 9000-byte buffers, a whole window of TCP. */
export const FIFO_BYTES = 4 << 20;

/** Where frames go. */
export interface Wire {
  /** The bytes are valid during the call only. */
  send(frame: Uint8Array): void;
  /** Calls `send`; the frames that it sends may wait for one another. */
  together(send: () => void): void;
}

/** Why a frame was not given to the driver. */
type Undelivered = "no buffer" | "too small";
type Delivery = Undelivered | "done";

const reset = () => ({ linkUp: true, framesSent: 0, framesReceived: 0, framesDropped: 0 });
type State = ReturnType<typeof reset>;

export class VirtioNet implements VirtioDevice {
  readonly name = "virtio-net";
  readonly id = 1;
  readonly classCode = 0x02_0000;
  readonly queues = 2;
  readonly features: readonly [number, number] = [
    offered.reduce<number>((bits, bit) => bits | (1 << bit), 0) >>> 0,
    1 << (ringFeature.version1 - 32),
  ];
  readonly requirements = [
    [feature.hostTso4, [feature.csum]],
    [feature.hostTso6, [feature.csum]],
    [feature.hostEcn, [feature.hostTso4, feature.hostTso6]],
  ] as const;
  readonly configBytes = CONFIG_BYTES;
  readonly absentFields = [[8, 2, "max_virtqueue_pairs"]] as const;
  readonly pci: VirtioPci;
  readonly #mac: Uint8Array;
  readonly #memory: GuestMemory;
  readonly #wire: Wire;
  readonly #trace: Trace;
  /** A header with its frame, and a part of that. */
  readonly #gathered = new Uint8Array(HEADER_BYTES + LARGE_FRAME_BYTES_MAX);
  readonly #header = new DataView(this.#gathered.buffer, 0, HEADER_BYTES);
  readonly #part = new Uint8Array(FRAME_BYTES_MAX);
  /** The header of the frame that is given to the driver. */
  readonly #received = new DataView(new ArrayBuffer(HEADER_BYTES));
  #state = reset();
  /** The receive FIFO: the oldest frame at `#first`. */
  #waiting: Uint8Array[] = [];
  #first = 0;
  #waitingBytes = 0;

  /** `message` is a message-signalled interrupt. */
  constructor(
    mac: Uint8Array,
    memory: GuestMemory,
    wire: Wire,
    message: (address: number, data: number) => void,
    trace: Trace,
  ) {
    if (mac.length !== 6) throw new RangeError(`virtio-net: a MAC address has 6 bytes, not ${mac.length}`);
    this.#mac = mac.slice();
    this.#memory = memory;
    this.#wire = wire;
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
    this.#wire.together(() => this.pci.queues[queue].drain((chain) => this.#transmit(chain)));
    this.pci.signal(queue);
  }

  #transmit(chain: Chain): 0 {
    if (chain.writable.length > 0) throw new DriverError("queue 1: a transmit chain with a writable part");
    const bytes = lengthOf(chain.readable);
    if (bytes < HEADER_BYTES)
      throw new DriverError(`queue 1: a transmit chain of ${bytes} bytes has no header`);
    const length = bytes - HEADER_BYTES;
    if (length < ETHERNET_HEADER_BYTES || bytes > this.#gathered.length || !this.#state.linkUp) {
      this.#drop(`frame of ${length} bytes not sent${this.#state.linkUp ? "" : ": the link is down"}`);
      return 0;
    }
    this.#gather(chain);
    const problem = this.#offload(this.#gathered.subarray(HEADER_BYTES, bytes));
    if (problem !== "") this.#drop(problem);
    return 0;
  }

  /** Does what the header asks for, and sends. Gives what is wrong, or "". Without VIRTIO_NET_F_CSUM a header says nothing. */
  #offload(frame: Uint8Array): string {
    const offloads = this.pci.negotiated(feature.csum);
    const type = offloads ? this.#header.getUint8(netHeader.gsoType) & ~gsoType.ecn : gsoType.none;
    const wants = offloads && (this.#header.getUint8(netHeader.flags) & headerFlag.needsChecksum) !== 0;
    const csumStart = this.#header.getUint16(netHeader.csumStart, true);
    const csumOffset = this.#header.getUint16(netHeader.csumOffset, true);
    if (type !== gsoType.none) {
      const agreed =
        (type === gsoType.tcp4 && this.pci.negotiated(feature.hostTso4)) ||
        (type === gsoType.tcp6 && this.pci.negotiated(feature.hostTso6));
      if (!agreed || !wants) return `gso_type ${type} ${agreed ? "without NEEDS_CSUM" : "was not agreed on"}`;
      const size = this.#header.getUint16(netHeader.gsoSize, true);
      const how = { type, size, csumStart, csumOffset, frameBytesMax: FRAME_BYTES_MAX };
      return segment(frame, how, this.#part, (part) => this.#put(part));
    }
    if (frame.length > FRAME_BYTES_MAX) return `frame of ${frame.length} bytes not sent`;
    const problem = wants ? completeChecksum(frame, csumStart, csumOffset) : "";
    if (problem === "") this.#put(frame);
    return problem;
  }

  #put(frame: Uint8Array): void {
    this.#state.framesSent++;
    this.#wire.send(frame);
  }

  /** Copies header and frame together. */
  #gather(chain: Chain): void {
    let at = 0;
    for (const { address, length } of chain.readable) {
      this.#gathered.set(this.#memory.bytes.subarray(address, address + length), at);
      at += length;
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

  /** Gives the driver what waits, as far as it has buffers. */
  #deliverWaiting(): void {
    while (this.#first < this.#waiting.length) {
      const frame = this.#waiting[this.#first]!;
      const delivery = this.#deliverOrAsk(frame);
      if (delivery === "no buffer") return;
      if (delivery === "too small") this.#drop();
      this.#first++;
      this.#waitingBytes -= frame.length;
    }
    if (this.#first > 0) this.#empty();
  }

  /**
   * Without room, asks the driver to notify of its next buffer. Looking once more after that closes the gap in which the
   * driver, on another core, adds one without notifying.
   */
  #deliverOrAsk(frame: Uint8Array): Delivery {
    const ring = this.pci.queues[netQueue.receive];
    let delivery = this.#deliver(frame);
    for (let seen = -1; delivery === "no buffer" && seen !== ring.offered; ) {
      seen = ring.offered;
      ring.wantNotifications(true, seen);
      delivery = this.#deliver(frame);
    }
    return delivery;
  }

  #empty(): void {
    this.#waiting = [];
    this.#first = 0;
    this.#waitingBytes = 0;
  }

  #deliver(frame: Uint8Array): Delivery {
    const ring = this.pci.queues[netQueue.receive];
    const bytes = HEADER_BYTES + frame.length;
    const chains = this.#buffersFor(bytes);
    if (typeof chains === "string") return chains;
    const right = this.pci.negotiated(feature.guestCsum) && checksumRight(frame);
    this.#received.setUint8(netHeader.flags, right ? headerFlag.dataValid : 0);
    this.#received.setUint16(netHeader.numBuffers, chains.length, true);
    let from = 0;
    const used = chains.map(({ head, writable }) => {
      const start = from;
      for (const { address, length } of writable) from += this.#spread(frame, from, address, length);
      return { head, written: from - start };
    });
    ring.take(chains.length);
    ring.pushTogether(used);
    ring.wantNotifications(false);
    this.pci.signal(netQueue.receive);
    this.#state.framesReceived++;
    return "done";
  }

  /** Buffers for a header and its frame: one, or with VIRTIO_NET_F_MRG_RXBUF as many as it takes. */
  #buffersFor(bytes: number): Chain[] | Undelivered {
    const ring = this.pci.queues[netQueue.receive];
    const mergeable = this.pci.negotiated(feature.mergeableBuffers);
    const chains: Chain[] = [];
    for (let room = 0; room < bytes; ) {
      if (chains.length > 0 && !mergeable) return "too small";
      const chain = ring.peek(chains.length);
      if (chain === undefined) return chains.length === ring.size ? "too small" : "no buffer";
      if (chain.readable.length > 0) throw new DriverError("queue 0: a receive chain with a readable part");
      const more = lengthOf(chain.writable);
      if (mergeable && more < HEADER_BYTES)
        throw new DriverError(`queue 0: a mergeable receive buffer of ${more} bytes`);
      chains.push(chain);
      room += more;
    }
    return chains;
  }

  /** Writes what header and frame hold together from `from` on to a segment, as far as it goes; gives the bytes written. */
  #spread(frame: Uint8Array, from: number, address: number, length: number): number {
    const count = Math.min(length, HEADER_BYTES + frame.length - from);
    if (count <= 0) return 0;
    const { bytes } = this.#memory;
    const header = Math.min(Math.max(HEADER_BYTES - from, 0), count);
    for (let at = 0; at < header; at++) bytes[address + at] = this.#received.getUint8(from + at);
    if (count > header) {
      const start = from + header - HEADER_BYTES;
      const end = start + count - header;
      bytes.set(start === 0 && end === frame.length ? frame : frame.subarray(start, end), address + header);
    }
    this.#memory.written(address, count);
    return count;
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
