// The virtio block device: VIRTIO 1.2, section 5.2, one queue. What it stores comes in as a `Disk`, which answers at
// once; so requests end in the order in which they were made, each before the driver's notification returns.
// Not there: geometry, topology, zoned disks, secure erase, and choosing the cache mode (writes go through).
// Invariant: nothing outside of the disk is read or written; what is asked beyond its end is S_IOERR.

import type { GuestMemory, Trace } from "./device.js";
import { ringFeature, type VirtioDevice, VirtioPci } from "./virtio-pci.js";
import { type Chain, DriverError, lengthOf, part, type Segment } from "./virtqueue.js";

/** What is behind the device. Offsets and lengths are in bytes, whole sectors, and inside. */
export interface Disk {
  readonly bytes: number;
  readonly readOnly: boolean;
  /** Any of these may throw: the guest gets S_IOERR, the trace the reason. */
  read(offset: number, into: Uint8Array): void;
  write(offset: number, from: Uint8Array): void;
  flush(): void;
  /** What a snapshot of the machine must carry. */
  snapshot(): object;
  restore(state: object): void;
}

export const SECTOR_BYTES = 512;
const request = { in: 0, out: 1, flush: 4, getId: 8, discard: 11, writeZeroes: 13 } as const;
const status = { ok: 0, ioError: 1, unsupported: 2 } as const;
const feature = { segMax: 2, readOnly: 5, blockSize: 6, flush: 9, discard: 13, writeZeroes: 14 } as const;

/** struct virtio_blk_req: type, reserved, sector; the status byte is the last that the device writes. */
const HEADER_BYTES = 16;
const ID_BYTES = 20;
/** struct virtio_blk_discard_write_zeroes: sector, count, flags. */
const RANGE_BYTES = 16;
const RANGES_MAX = 16;
const RANGE_SECTORS_MAX = 0x8000;
const UNMAP = 1;
const SEGMENTS_MAX = 126;
const ZEROES = new Uint8Array(0x1_0000);

/** struct virtio_blk_config: offset, bytes, value. */
type Field = readonly [offset: number, bytes: number, value: number];
const CONFIG_BYTES = 60;

export class VirtioBlk implements VirtioDevice {
  readonly name: string;
  readonly id = 2;
  readonly classCode = 0x01_0000; // mass storage, SCSI: what drivers expect of it
  readonly queues = 1;
  readonly features: readonly [number, number];
  readonly configBytes = CONFIG_BYTES;
  readonly absentFields = [
    [8, 4, "size_max"],
    [16, 4, "geometry"],
    [24, 8, "topology"],
    [32, 1, "writeback"],
    [34, 2, "num_queues"],
  ] as const;
  readonly pci: VirtioPci;
  readonly #disk: Disk;
  readonly #memory: GuestMemory;
  readonly #trace: Trace;
  readonly #config = new Uint8Array(CONFIG_BYTES);
  readonly #identity: string;

  constructor(
    index: number,
    disk: Disk,
    memory: GuestMemory,
    message: (address: number, data: number) => void,
    trace: Trace,
  ) {
    if (disk.bytes % SECTOR_BYTES !== 0)
      throw new RangeError(`virtio-blk: a disk of ${disk.bytes} bytes has no whole number of sectors`);
    this.name = `virtio-blk ${index}`;
    this.#identity = `buslock-disk-${index}`;
    this.#disk = disk;
    this.#memory = memory;
    this.#trace = trace;
    const writes = [1 << feature.flush, 1 << feature.discard, 1 << feature.writeZeroes];
    const mode = disk.readOnly ? [1 << feature.readOnly] : writes;
    const always = [1 << feature.segMax, 1 << feature.blockSize, 1 << ringFeature.indirectDescriptors];
    const low = [...mode, ...always, 1 << ringFeature.eventIndex].reduce((bits, bit) => bits | bit);
    this.features = [low >>> 0, 1 << (ringFeature.version1 - 32)];
    this.#fillConfig();
    this.pci = new VirtioPci(this, memory, message, trace);
  }

  #fillConfig(): void {
    const sectors = this.#disk.bytes / SECTOR_BYTES;
    const fields: readonly Field[] = [
      [0, 4, sectors % 2 ** 32], // capacity
      [4, 4, Math.floor(sectors / 2 ** 32)],
      [12, 4, SEGMENTS_MAX], // seg_max
      [20, 4, SECTOR_BYTES], // blk_size
      [36, 4, RANGE_SECTORS_MAX], // max_discard_sectors
      [40, 4, RANGES_MAX], // max_discard_seg
      [44, 4, 1], // discard_sector_alignment
      [48, 4, RANGE_SECTORS_MAX], // max_write_zeroes_sectors
      [52, 4, RANGES_MAX], // max_write_zeroes_seg
      [56, 1, 1], // write_zeroes_may_unmap
    ];
    for (const [offset, bytes, value] of fields)
      for (let byte = 0; byte < bytes; byte++) this.#config[offset + byte] = (value >>> (8 * byte)) & 0xff;
  }

  readConfig(offset: number): number {
    return this.#config[offset];
  }

  started(): void {
    if (this.pci.running(0)) this.pci.queues[0].wantNotifications(true);
  }

  stopped(): void {}

  notified(queue: number): void {
    this.pci.queues[queue].drain((chain) => this.#serve(chain));
    this.pci.signal(queue);
  }

  /** One request; gives the number of bytes written to the chain. */
  #serve(chain: Chain): number {
    const { readable, writable } = chain;
    const room = lengthOf(writable) - 1;
    if (lengthOf(readable) < HEADER_BYTES) throw new DriverError("queue 0: a request without its header");
    if (room < 0) throw new DriverError("queue 0: a request without room for its status");
    const header = this.#gather(part(readable, 0, HEADER_BYTES));
    const type = header.getUint32(0, true);
    const sector = header.getUint32(12, true) * 2 ** 32 + header.getUint32(8, true);
    const data = part(readable, HEADER_BYTES, lengthOf(readable));
    const answer = this.#perform(type, sector * SECTOR_BYTES, data, part(writable, 0, room));
    const [{ address }] = part(writable, room, room + 1);
    this.#memory.bytes[address] = answer.status;
    this.#memory.written(address, 1);
    return answer.written + 1;
  }

  #perform(
    type: number,
    offset: number,
    data: readonly Segment[],
    room: readonly Segment[],
  ): { status: number; written: number } {
    try {
      switch (type) {
        case request.in:
          return { status: status.ok, written: this.#read(offset, room) };
        case request.out:
          return this.#done(() => this.#write(offset, data));
        case request.flush:
          return this.#done(() => this.#disk.flush());
        case request.getId:
          return { status: status.ok, written: this.#scatter(room, ascii(this.#identity)) };
        case request.discard:
        case request.writeZeroes:
          return this.#ranges(type, data);
        default:
          this.#report(`request type ${type} is not supported`);
          return { status: status.unsupported, written: 0 };
      }
    } catch (error) {
      if (error instanceof DriverError) throw error;
      this.#report(`request type ${type} at byte ${offset}: ${(error as Error).message}`);
      return { status: status.ioError, written: 0 };
    }
  }

  #done(work: () => void): { status: number; written: number } {
    work();
    return { status: status.ok, written: 0 };
  }

  #check(offset: number, length: number): void {
    if (length % SECTOR_BYTES !== 0) throw new RangeError(`${length} bytes are no whole number of sectors`);
    if (!(offset + length <= this.#disk.bytes))
      throw new RangeError(`${length} bytes reach beyond the disk's ${this.#disk.bytes}`);
  }

  #read(offset: number, room: readonly Segment[]): number {
    const length = lengthOf(room);
    this.#check(offset, length);
    let at = offset;
    for (const segment of room) {
      this.#disk.read(at, this.#bytes(segment));
      this.#memory.written(segment.address, segment.length);
      at += segment.length;
    }
    return length;
  }

  #write(offset: number, data: readonly Segment[]): void {
    if (this.#disk.readOnly) throw new Error("the disk is read-only");
    this.#check(offset, lengthOf(data));
    let at = offset;
    for (const segment of data) {
      this.#disk.write(at, this.#bytes(segment));
      at += segment.length;
    }
  }

  /** Discarded sectors need not read as zeros, but may: both requests write them. */
  #ranges(type: number, data: readonly Segment[]): { status: number; written: number } {
    const length = lengthOf(data);
    if (this.#disk.readOnly) throw new Error("the disk is read-only");
    if (length === 0 || length % RANGE_BYTES !== 0 || length > RANGE_BYTES * RANGES_MAX)
      throw new RangeError(`${length} bytes of ranges`);
    const list = this.#gather(data);
    for (let at = 0; at < length; at += RANGE_BYTES) {
      const sector = list.getUint32(at + 4, true) * 2 ** 32 + list.getUint32(at, true);
      const count = list.getUint32(at + 8, true);
      const flags = list.getUint32(at + 12, true);
      const allowed = type === request.writeZeroes ? UNMAP : 0;
      if ((flags & ~allowed) !== 0) return { status: status.unsupported, written: 0 };
      if (count > RANGE_SECTORS_MAX) throw new RangeError(`a range of ${count} sectors`);
      this.#zero(sector * SECTOR_BYTES, count * SECTOR_BYTES);
    }
    return { status: status.ok, written: 0 };
  }

  #zero(offset: number, length: number): void {
    this.#check(offset, length);
    for (let done = 0; done < length; done += ZEROES.length)
      this.#disk.write(offset + done, ZEROES.subarray(0, Math.min(ZEROES.length, length - done)));
  }

  #bytes({ address, length }: Segment): Uint8Array {
    return this.#memory.bytes.subarray(address, address + length);
  }

  /** A short piece of the chain in one place. */
  #gather(segments: readonly Segment[]): DataView {
    const bytes = new Uint8Array(lengthOf(segments));
    let at = 0;
    for (const segment of segments) {
      bytes.set(this.#bytes(segment), at);
      at += segment.length;
    }
    return new DataView(bytes.buffer);
  }

  /** The identity, zero-padded, into the chain. */
  #scatter(room: readonly Segment[], text: Uint8Array): number {
    const padded = new Uint8Array(ID_BYTES);
    padded.set(text.subarray(0, ID_BYTES));
    let done = 0;
    for (const { address, length } of part(room, 0, ID_BYTES)) {
      this.#memory.bytes.set(padded.subarray(done, done + length), address);
      this.#memory.written(address, length);
      done += length;
    }
    return done;
  }

  // --- Life ---

  /** RESET of the machine: what the disk holds stays. */
  reset(): void {
    this.pci.reset();
  }

  snapshot(): { disk: object; pci: object } {
    return { disk: this.#disk.snapshot(), pci: this.pci.snapshot() };
  }

  restore(state: object): void {
    const { disk, pci } = state as { disk: object; pci: object };
    this.#disk.restore(disk);
    this.pci.restore(pci);
  }

  #report(text: string): void {
    this.#trace(this.name, text);
  }
}

const ascii = (text: string) => new TextEncoder().encode(text);
