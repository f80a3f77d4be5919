// SYSLINK messages written and read by hand in TypeScript, independently of the kernel's codec, and links joined by a
// wire with every fault that a wire can have.

import type { KernelWasm } from "./kernel-wasm.js";
import { chance } from "./search.js";

export interface Item {
  id: number;
  aux?: number;
  data?: Uint8Array;
  items?: Item[];
}

const pad = (bytes: number) => (bytes + 7) & ~7;

/** Logical bytes of an item, then padding by the caller. */
function encodeItem({ id, aux = 0, data, items }: Item): Uint8Array {
  const inner = items ? encodeItems(items) : (data ?? new Uint8Array());
  const bytes = new Uint8Array(8 + inner.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id, true);
  view.setUint16(2, bytes.length, true);
  view.setUint32(4, aux, true);
  bytes.set(inner, 8);
  return bytes;
}

function encodeItems(items: Item[]): Uint8Array {
  const pieces = items.map(encodeItem);
  const total = pieces.reduce(
    (sum, piece, i) => sum + (i < pieces.length - 1 ? pad(piece.length) : piece.length),
    0,
  );
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += pad(piece.length);
  }
  return bytes;
}

/** A message as it lies on the wire, padding included. */
export function encode(linkid: bigint, msgid: number, command: number, items: Item[] = []): Uint8Array {
  const body = encodeItems(items);
  const bytes = new Uint8Array(pad(16 + body.length));
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, linkid, true);
  view.setUint32(8, msgid, true);
  view.setUint16(12, command, true);
  view.setUint16(14, 16 + body.length, true);
  bytes.set(body, 16);
  return bytes;
}

export interface Faults {
  /** Chances in a thousand. */
  drop?: number;
  repeat?: number;
  damage?: number;
  /** Longest delay in microseconds; delays differ, so datagrams overtake each other. */
  delay?: number;
}

interface Flying {
  at: number;
  to: number;
  bytes: Uint8Array;
}

const MS = 1000;

/** Two ends of one link, and the wire between them. Time is in microseconds. */
export class Pair {
  now = 1000;
  /** Nothing gets through. */
  cut = false;
  /** Nothing gets through to this end (0 or 1). */
  deaf = -1;
  /** This end is not run: what comes waits until it is again. */
  asleep = -1;
  readonly received: Uint8Array[][] = [[], []];
  readonly losses = [0, 0];
  readonly links: [number, number];
  datagrams = 0;
  readonly #kernel: KernelWasm;
  readonly #buffer: number;
  readonly #next: (limit: number) => number;
  #flying: Flying[] = [];
  readonly #size: { payload: number; ring: number };
  readonly #loss: number;

  constructor(
    kernel: KernelWasm,
    seed: number,
    readonly faults: Faults,
    { payload = 8000, ring = 131072, loss = 10_000 * MS } = {},
  ) {
    this.#kernel = kernel;
    this.#next = chance(seed);
    this.#buffer = kernel.room(16384);
    this.#size = { payload, ring };
    this.#loss = loss;
    this.links = [this.#create(0, 101n), this.#create(1, 202n)];
  }

  #create(end: number, epoch: bigint): number {
    const { payload, ring } = this.#size;
    const at = this.#kernel.room(this.#kernel.call("linkBytes")(payload, ring));
    return this.#kernel.call("linkCreate")(
      at,
      end + 1,
      2 - end,
      epoch,
      payload,
      ring,
      BigInt(this.#loss) * 1000n,
    );
  }

  /** The machine at this end starts again. */
  reboot(end: 0 | 1, epoch: bigint): void {
    this.links[end] = this.#create(end, epoch);
  }

  field(end: number, field: number): number {
    return Number(this.#kernel.call("linkField")(this.links[end]!, field));
  }
  get up(): boolean {
    return this.field(0, 0) === 1 && this.field(1, 0) === 1;
  }

  /** False: the ring is full. */
  send(end: number, message: Uint8Array): boolean {
    const at = this.#kernel.call("linkReserve")(this.links[end]!, message.length);
    if (at === 0) return false;
    this.#kernel.bytes.set(message, at);
    this.#kernel.call("linkCommit")(this.links[end]!, message.length);
    return true;
  }

  #time(): bigint {
    return BigInt(this.now) * 1000n;
  }

  #pump(end: number): void {
    const kernel = this.#kernel;
    while (kernel.call("linkOutput")(this.links[end]!, this.#time())) {
      const bytes = new Uint8Array(40 + this.field(end, 3));
      bytes.set(kernel.bytes.subarray(this.field(end, 1), this.field(end, 1) + 40));
      bytes.set(kernel.bytes.subarray(this.field(end, 2), this.field(end, 2) + this.field(end, 3)), 40);
      this.#throw(1 - end, bytes);
    }
  }

  #throw(to: number, bytes: Uint8Array): void {
    this.datagrams++;
    const { drop = 0, repeat = 0, damage = 0, delay = 0 } = this.faults;
    const next = this.#next;
    if (this.cut || this.deaf === to || next(1000) < drop) return;
    for (let copies = next(1000) < repeat ? 2 : 1; copies > 0; copies--) {
      const copy = bytes.slice();
      if (next(1000) < damage) copy[next(copy.length)]! ^= 1 << next(8);
      this.#flying.push({ at: this.now + 30 + (delay ? next(delay) : 0), to, bytes: copy });
    }
  }

  /** A datagram of the test's own. */
  inject(to: number, bytes: Uint8Array): void {
    this.#deliver({ at: this.now, to, bytes });
  }

  #deliver({ to, bytes }: Flying): void {
    const kernel = this.#kernel;
    kernel.bytes.set(bytes, this.#buffer);
    if (!kernel.call("linkInput")(this.links[to]!, this.#buffer, bytes.length, this.#time())) return;
    for (;;) {
      const at = kernel.call("linkNext")(this.links[to]!);
      if (at === 0) break;
      const length = (kernel.view.getUint16(at + 14, true) + 7) & ~7;
      this.received[to]!.push(kernel.bytes.slice(at, at + length));
    }
  }

  /** Lets time go by until then; losses are dealt with as the kernel would. */
  run(microseconds: number): void {
    const end = this.now + microseconds;
    for (;;) {
      let wake = end;
      for (const side of [0, 1]) {
        if (side === this.asleep) continue;
        this.#pump(side);
        let due = this.#kernel.call("linkTick")(this.links[side]!, this.#time()) as unknown as bigint;
        if (this.field(side, 0) === 2) {
          this.losses[side]!++;
          this.#kernel.call("linkReset")(this.links[side]!);
          due = 0n;
        }
        wake = Math.min(wake, Math.max(this.now + 1, Number(BigInt.asUintN(64, due) / 1000n) + 1));
      }
      const awake = this.#flying.filter(({ to }) => to !== this.asleep);
      for (const datagram of awake) wake = Math.min(wake, datagram.at);
      if (this.now >= end) return;
      this.now = Math.max(this.now, wake);
      const landed = awake.filter((datagram) => datagram.at <= this.now);
      this.#flying = this.#flying.filter((datagram) => !landed.includes(datagram));
      landed.sort((a, b) => a.at - b.at);
      for (const datagram of landed) this.#deliver(datagram);
    }
  }
}
