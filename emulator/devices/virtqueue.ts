// A split virtqueue from the device's side: Virtual I/O Device (VIRTIO) 1.2, section 2.7, with indirect
// descriptors and event indices. The rings lie in guest memory and the driver may be wrong or hostile:
// every address, length and index is checked before use, and a chain is walked at most `size` steps.
// Invariant: nothing outside of RAM is read or written; the driver's mistakes end in DriverError, which the
// transport turns into DEVICE_NEEDS_RESET.

import { type GuestMemory, hex, isRam } from "./device.js";

/** The driver broke a rule of the specification. */
export class DriverError extends Error {}

export const QUEUE_SIZE_MAX = 256;
const DESCRIPTOR_BYTES = 16;
const flag = { next: 1, write: 2, indirect: 4 } as const;
const NO_INTERRUPT = 1; // in the driver's ring
const NO_NOTIFY = 1; // in the device's ring

export const resetQueue = () => ({
  size: QUEUE_SIZE_MAX,
  vector: 0xffff,
  enabled: false,
  /** Guest-physical addresses, each as two words as the registers hold them. */
  descriptors: [0, 0] as [number, number],
  driver: [0, 0] as [number, number],
  device: [0, 0] as [number, number],
  /** Position in the driver's ring up to which chains have been taken; free-running, 16 bits. */
  taken: 0,
  /** Index of the device's ring; free-running, 16 bits. */
  used: 0,
  /** `used` when the driver was last considered for an interrupt. */
  signalled: 0,
});
export type QueueState = ReturnType<typeof resetQueue>;

export interface Segment {
  readonly address: number;
  readonly length: number;
}

export interface Chain {
  readonly head: number;
  /** Device-readable parts, then device-writable parts, in order. */
  readonly readable: readonly Segment[];
  readonly writable: readonly Segment[];
}

export const lengthOf = (segments: readonly Segment[]): number =>
  segments.reduce((sum, { length }) => sum + length, 0);

/** The bytes from `from` to before `to` of what the segments hold together. */
export function part(segments: readonly Segment[], from: number, to: number): Segment[] {
  const parts: Segment[] = [];
  let start = 0;
  for (const { address: base, length } of segments) {
    const [first, last] = [Math.max(from, start), Math.min(to, start + length)];
    if (first < last) parts.push({ address: base + first - start, length: last - first });
    start += length;
  }
  return parts;
}

const address = ([low, high]: readonly [number, number]): number => high * 2 ** 32 + low;

export class Virtqueue {
  readonly #memory: GuestMemory;
  readonly #halves: Uint16Array;
  readonly #name: string;
  readonly #state: () => QueueState;
  readonly #eventIndex: () => boolean;
  readonly #indirect: () => boolean;

  /** The last two: whether event indices and indirect descriptors were agreed on. */
  constructor(
    name: string,
    memory: GuestMemory,
    state: () => QueueState,
    eventIndex: () => boolean,
    indirect: () => boolean,
  ) {
    this.#name = name;
    this.#memory = memory;
    const { buffer, byteOffset, byteLength } = memory.bytes;
    this.#halves = new Uint16Array(buffer, byteOffset, Math.floor(byteLength / 2));
    this.#state = state;
    this.#eventIndex = eventIndex;
    this.#indirect = indirect;
  }

  /** To be called when the driver enables the queue: its three areas must be aligned and in RAM. */
  check(): void {
    const { size, descriptors, driver, device } = this.#state();
    if (size === 0 || size > QUEUE_SIZE_MAX || (size & (size - 1)) !== 0) this.#broken(`size ${size}`);
    this.#area("descriptor area", address(descriptors), 16, DESCRIPTOR_BYTES * size);
    this.#area("driver area", address(driver), 2, 6 + 2 * size);
    this.#area("device area", address(device), 4, 6 + 8 * size);
  }

  #area(name: string, at: number, alignment: number, length: number): void {
    if (at % alignment !== 0) this.#broken(`${name} at ${hex(at)} is not aligned to ${alignment}`);
    if (!isRam(this.#memory, at, length))
      this.#broken(`${name} at ${hex(at)}, ${length} bytes, is not in RAM`);
  }

  get size(): number {
    return this.#state().size;
  }

  /** Chains that the driver offers now. */
  get offered(): number {
    const { size, taken, driver } = this.#state();
    const offered = (this.#load16(address(driver) + 2) - taken) & 0xffff;
    if (offered > size) this.#broken(`${offered} chains offered at once, the queue has ${size}`);
    return offered;
  }

  /** The chain that the driver offers next, or the one so many behind it, or undefined. It stays offered until `take`. */
  peek(ahead = 0): Chain | undefined {
    if (ahead >= this.offered) return undefined;
    const { size, taken, driver } = this.#state();
    return this.#walk(this.#load16(address(driver) + 4 + 2 * (((taken + ahead) & 0xffff) % size)));
  }

  take(count = 1): void {
    const state = this.#state();
    state.taken = (state.taken + count) & 0xffff;
  }

  /** Gives a chain back with the number of bytes written to it. */
  push(head: number, written: number): void {
    this.pushTogether([{ head, written }]);
  }

  /** Gives chains back; the driver sees all of them or none. */
  pushTogether(elements: readonly { readonly head: number; readonly written: number }[]): void {
    const state = this.#state();
    const ring = address(state.device);
    for (const { head, written } of elements) {
      const at = ring + 4 + 8 * (state.used % state.size);
      this.#memory.view.setUint32(at, head, true);
      this.#memory.view.setUint32(at + 4, written, true);
      this.#memory.written(at, 8);
      state.used = (state.used + 1) & 0xffff;
    }
    // Last, and with a fence: on another core the driver sees the elements before the index.
    this.#store16(ring + 2, state.used);
  }

  /**
   * Serves every chain that is offered; `serve` gives the number of bytes written to it. Asking for the next
   * notification and looking once more closes the gap in which the driver, on another core, adds a chain without
   * notifying.
   */
  drain(serve: (chain: Chain) => number): void {
    let chain = this.peek();
    while (chain !== undefined) {
      while (chain !== undefined) {
        const written = serve(chain);
        this.take();
        this.push(chain.head, written);
        chain = this.peek();
      }
      this.wantNotifications(true);
      chain = this.peek();
    }
  }

  /** Asks the driver to notify at its next chain behind `seen` that stay offered, or not at all. */
  wantNotifications(wanted: boolean, seen = 0): void {
    const { size, taken, device } = this.#state();
    const ring = address(device);
    if (!this.#eventIndex()) this.#store16(ring, wanted ? 0 : NO_NOTIFY);
    // An event index that the driver cannot reach keeps it quiet: at most `size` chains are outstanding.
    else this.#store16(ring + 4 + 8 * size, (taken + (wanted ? seen : size)) & 0xffff);
  }

  /** Whether the chains pushed since the last call call for an interrupt. */
  needsInterrupt(): boolean {
    const state = this.#state();
    const pushed = (state.used - state.signalled) & 0xffff;
    state.signalled = state.used;
    if (pushed === 0) return false;
    const ring = address(state.driver);
    if (!this.#eventIndex()) return (this.#load16(ring) & NO_INTERRUPT) === 0;
    const event = this.#load16(ring + 4 + 2 * state.size);
    return ((state.used - event - 1) & 0xffff) < pushed;
  }

  /** Collects a chain's segments, through at most one indirect table. */
  #walk(head: number): Chain {
    const { size, descriptors } = this.#state();
    const readable: Segment[] = [];
    const writable: Segment[] = [];
    let table = address(descriptors);
    let entries = size;
    let index = head;
    let indirect = false;
    for (let steps = 0; ; steps++) {
      if (index >= entries) this.#broken(`descriptor ${index} of ${entries}`);
      if (steps > size) this.#broken(`chain ${head} is longer than the queue`);
      const at = table + DESCRIPTOR_BYTES * index;
      const flags = this.#memory.view.getUint16(at + 12, true);
      const segment = this.#segment(at);
      if ((flags & flag.indirect) !== 0) {
        if (!this.#indirect()) this.#broken(`chain ${head}: an indirect table, which was not agreed on`);
        if (indirect) this.#broken(`chain ${head}: an indirect table within an indirect table`);
        if ((flags & flag.next) !== 0) this.#broken(`chain ${head}: descriptor is both indirect and next`);
        entries = segment.length / DESCRIPTOR_BYTES;
        if (entries === 0 || !Number.isInteger(entries))
          this.#broken(`chain ${head}: indirect table of ${segment.length} bytes`);
        table = segment.address;
        index = 0;
        indirect = true;
        continue;
      }
      if ((flags & flag.write) !== 0) writable.push(segment);
      else if (writable.length > 0) this.#broken(`chain ${head}: a readable part after a writable one`);
      else readable.push(segment);
      if ((flags & flag.next) === 0) return { head, readable, writable };
      index = this.#memory.view.getUint16(at + 14, true);
    }
  }

  /** A descriptor's address and length, in RAM. An indirect table's too. */
  #segment(at: number): Segment {
    const { view } = this.#memory;
    const start = address([view.getUint32(at, true), view.getUint32(at + 4, true)]);
    const length = view.getUint32(at + 8, true);
    if (!isRam(this.#memory, start, length))
      this.#broken(`descriptor of ${length} bytes at ${hex(start)}: not in RAM`);
    return { address: start, length };
  }

  #load16(at: number): number {
    return Atomics.load(this.#halves, at >> 1);
  }

  #store16(at: number, value: number): void {
    Atomics.store(this.#halves, at >> 1, value);
    this.#memory.written(at, 2);
  }

  #broken(what: string): never {
    throw new DriverError(`${this.#name}: ${what}`);
  }
}
