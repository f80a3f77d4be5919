// The PCI transport of a modern virtio device: VIRTIO 1.2, sections 2 and 4.1. It owns the function's
// header, status, feature negotiation, queues and interrupts; what the device does with its queues comes
// in as a `VirtioDevice`. BAR 0 holds the four structures, BAR 1 the MSI-X table.
// Not there: the legacy and transitional interfaces, queue reset, notification data, shared memory.
// Invariant: queues are used only while DRIVER_OK is set and the device does not need a reset.

import { type GuestMemory, hex, Line, notYet, RegisterFile, type Row, type Trace } from "./device.js";
import { MSIX_BAR_BYTES, MSIX_CAPABILITY, Msix, type MsixState, NO_VECTOR, PBA, resetMsix } from "./msix.js";
import { PciConfig, type PciFunction } from "./pci.js";
import { DriverError, QUEUE_SIZE_MAX, type QueueState, resetQueue, Virtqueue } from "./virtqueue.js";

/** Device status field. */
export const deviceStatus = {
  acknowledge: 1,
  driver: 2,
  driverOk: 4,
  featuresOk: 8,
  needsReset: 64,
  failed: 128,
} as const;

/** Feature bits of the transport and the rings, as bit numbers of 64. */
export const ringFeature = { indirectDescriptors: 28, eventIndex: 29, version1: 32 } as const;

const VENDOR = 0x1af4;
const MODERN_DEVICE_ID = 0x1040;
const REVISION = 1;
const VENDOR_CAPABILITY = 0x09;
const configType = { common: 1, notify: 2, isr: 3, device: 4, pci: 5 } as const;
const NOTIFY_MULTIPLIER = 4;
const isrBit = { queue: 1, configuration: 2 } as const;

/** BAR 0, a page for each structure. */
const BAR_BYTES = 0x4000;
const COMMON_BYTES = 0x3c;
const region = { common: 0x0000, isr: 0x1000, device: 0x2000, notify: 0x3000 } as const;
const REGION_BYTES = 0x1000;

export interface VirtioDevice {
  readonly name: string;
  /** VIRTIO section 5: 1 is the network card. */
  readonly id: number;
  readonly classCode: number;
  readonly queues: number;
  /** Offered features: bits 31-0 and 63-32. */
  readonly features: readonly [number, number];
  /** Features that mean nothing without another, by bit numbers (2.2.1). */
  readonly requirements?: readonly (readonly [feature: number, oneOf: readonly number[]])[];
  readonly configBytes: number;
  readConfig(offset: number): number;
  /** Fields of the configuration that belong to features which are not offered. */
  readonly absentFields?: readonly (readonly [offset: number, bytes: number, name: string])[];
  /** The driver has made chains available. May throw DriverError. */
  notified(queue: number): void;
  /** DRIVER_OK was set, or the device was reset. */
  started(): void;
  stopped(): void;
}

const reset = (queues: number) => ({
  config: [] as number[],
  deviceFeatureSelect: 0,
  driverFeatureSelect: 0,
  driverFeatures: [0, 0] as [number, number],
  configVector: NO_VECTOR as number,
  status: 0,
  generation: 0,
  queueSelect: 0,
  queues: Array.from({ length: queues }, resetQueue),
  isr: 0,
  msix: resetMsix(queues + 1),
});
type State = ReturnType<typeof reset>;

export class VirtioPci implements PciFunction {
  /** INTA, used while MSI-X is off. */
  readonly irq = new Line();
  readonly config: PciConfig;
  readonly queues: readonly Virtqueue[];
  readonly #device: VirtioDevice;
  readonly #trace: Trace;
  readonly #common: RegisterFile;
  readonly #msix: Msix;
  readonly #msixCapability: number;
  readonly #window: number;
  #state: State;

  constructor(
    device: VirtioDevice,
    memory: GuestMemory,
    message: (address: number, data: number) => void,
    trace: Trace,
  ) {
    this.#device = device;
    this.#trace = trace;
    this.#state = reset(device.queues);
    this.config = new PciConfig(
      {
        vendor: VENDOR,
        device: MODERN_DEVICE_ID + device.id,
        revision: REVISION,
        classCode: device.classCode,
        subsystemVendor: VENDOR,
        subsystem: MODERN_DEVICE_ID + device.id,
        interruptPin: 1,
      },
      [BAR_BYTES, MSIX_BAR_BYTES],
      (text) => this.#report(text),
    );
    const { window, msix } = addCapabilities(this.config, device);
    this.#window = window;
    this.#msixCapability = msix;
    this.#msix = new Msix(
      device.name,
      () => this.#state.msix,
      () => this.config.read(this.#msixCapability + 2, 2),
      (address, data) => {
        if (this.config.busMaster) message(address, data);
        else this.#report("an MSI-X message was lost: bus mastering is off");
      },
      trace,
    );
    this.#common = new RegisterFile(device.name, COMMON_BYTES, this.#rows(), trace);
    this.queues = this.#state.queues.map(
      (_, index) =>
        new Virtqueue(
          `queue ${index}`,
          memory,
          () => this.#state.queues[index],
          () => this.negotiated(ringFeature.eventIndex),
          () => this.negotiated(ringFeature.indirectDescriptors),
        ),
    );
  }

  // --- The common configuration structure ---

  #rows(): Record<string, Row> {
    const state = () => this.#state;
    const queue = () => this.#state.queues[this.#state.queueSelect];
    const set = (next: Partial<State>) => void Object.assign(this.#state, next);
    const half = (name: "descriptors" | "driver" | "device", word: 0 | 1) => ({
      read: () => queue()?.[name][word] ?? 0,
      write: (value: number) =>
        this.#setQueue((selected) => {
          selected[name][word] = value;
        }),
    });
    return {
      device_feature_select: [
        0x00,
        4,
        { read: () => state().deviceFeatureSelect, write: (v) => set({ deviceFeatureSelect: v }) },
      ],
      device_feature: [0x04, 4, { read: () => this.#device.features[state().deviceFeatureSelect] ?? 0 }],
      driver_feature_select: [
        0x08,
        4,
        { read: () => state().driverFeatureSelect, write: (v) => set({ driverFeatureSelect: v }) },
      ],
      driver_feature: [
        0x0c,
        4,
        {
          read: () => state().driverFeatures[state().driverFeatureSelect] ?? 0,
          write: (v) => this.#setFeatures(v),
        },
      ],
      config_msix_vector: [
        0x10,
        2,
        { read: () => state().configVector, write: (v) => set({ configVector: this.#vector(v) }) },
      ],
      num_queues: [0x12, 2, { read: () => this.#device.queues }],
      device_status: [0x14, 1, { read: () => state().status, write: (v) => this.#setStatus(v) }],
      config_generation: [0x15, 1, { read: () => state().generation }],
      queue_select: [0x16, 2, { read: () => state().queueSelect, write: (v) => set({ queueSelect: v }) }],
      queue_size: [
        0x18,
        2,
        {
          read: () => queue()?.size ?? 0,
          write: (v) => this.#setQueue((selected) => void Object.assign(selected, { size: v })),
        },
      ],
      queue_msix_vector: [
        0x1a,
        2,
        {
          read: () => queue()?.vector ?? NO_VECTOR,
          write: (v) => {
            const selected = queue();
            if (selected !== undefined) selected.vector = this.#vector(v);
          },
        },
      ],
      queue_enable: [0x1c, 2, { read: () => (queue()?.enabled ? 1 : 0), write: (v) => this.#enableQueue(v) }],
      queue_notify_off: [0x1e, 2, { read: () => (queue() === undefined ? 0 : this.#state.queueSelect) }],
      queue_desc_low: [0x20, 4, half("descriptors", 0)],
      queue_desc_high: [0x24, 4, half("descriptors", 1)],
      queue_driver_low: [0x28, 4, half("driver", 0)],
      queue_driver_high: [0x2c, 4, half("driver", 1)],
      queue_device_low: [0x30, 4, half("device", 0)],
      queue_device_high: [0x34, 4, half("device", 1)],
      queue_notify_data: [0x38, 2, notYet],
      queue_reset: [0x3a, 2, notYet],
    };
  }

  /** A vector that does not exist is refused by reading back as NO_VECTOR. */
  #vector(value: number): number {
    return value < this.#msix.vectors ? value : NO_VECTOR;
  }

  #setFeatures(value: number): void {
    const { status, driverFeatureSelect, driverFeatures } = this.#state;
    if ((status & deviceStatus.featuresOk) !== 0) this.#report("features written after FEATURES_OK dropped");
    else if (driverFeatureSelect < 2) driverFeatures[driverFeatureSelect] = value;
    else if (value !== 0) this.#report(`feature bits from ${driverFeatureSelect * 32} on do not exist`);
  }

  negotiated(feature: number): boolean {
    const bits = this.#state.driverFeatures[feature >> 5];
    return (this.#state.status & deviceStatus.featuresOk) !== 0 && (bits & (1 << (feature & 31))) !== 0;
  }

  #setStatus(value: number): void {
    if (value === 0) {
      this.#resetDevice();
      return;
    }
    const before = this.#state.status;
    if ((before & ~value & ~deviceStatus.needsReset) !== 0)
      this.#report(`status ${hex(value)} clears bits of ${hex(before)}: only a reset can`);
    let fresh = value & ~before;
    if ((fresh & deviceStatus.featuresOk) !== 0 && !this.#featuresGood()) fresh &= ~deviceStatus.featuresOk;
    const agreed = ((before | fresh) & deviceStatus.featuresOk) !== 0;
    if ((fresh & deviceStatus.driverOk) !== 0 && !agreed) {
      this.#report("DRIVER_OK without FEATURES_OK dropped");
      fresh &= ~deviceStatus.driverOk;
    }
    this.#state.status = before | (fresh & ~deviceStatus.needsReset);
    if ((fresh & deviceStatus.driverOk) !== 0) this.#guard(() => this.#device.started());
  }

  #featuresGood(): boolean {
    const { driverFeatures } = this.#state;
    const extra = driverFeatures.map((bits, word) => (bits & ~this.#device.features[word]) >>> 0);
    if (extra.some((bits) => bits !== 0))
      this.#report(`features not offered: ${hex(extra[1])}:${hex(extra[0])}`);
    else if ((driverFeatures[1] & 1) === 0) this.#report("the driver did not accept VERSION_1");
    else return this.#requirementsMet();
    return false;
  }

  #requirementsMet(): boolean {
    const accepted = (feature: number) =>
      (this.#state.driverFeatures[feature >> 5] & (1 << (feature & 31))) !== 0;
    const missed = this.#device.requirements?.find(
      ([feature, oneOf]) => accepted(feature) && !oneOf.some(accepted),
    );
    if (missed !== undefined)
      this.#report(`feature ${missed[0]} accepted without feature ${missed[1].join(" or ")}`);
    return missed === undefined;
  }

  /** A field of the selected queue; fixed once the queue is enabled. */
  #setQueue(set: (queue: QueueState) => void): void {
    const queue = this.#state.queues[this.#state.queueSelect];
    if (queue === undefined) this.#report(`write to queue ${this.#state.queueSelect}, which does not exist`);
    else if (queue.enabled)
      this.#report(`write to queue ${this.#state.queueSelect} while it is enabled dropped`);
    else set(queue);
  }

  #enableQueue(value: number): void {
    const index = this.#state.queueSelect;
    const queue = this.#state.queues[index];
    if (queue === undefined || value !== 1) {
      this.#report(`queue ${index}: queue_enable written with ${value}`);
      return;
    }
    if (queue.enabled) return;
    if (queue.size > QUEUE_SIZE_MAX) queue.size = QUEUE_SIZE_MAX;
    this.#guard(() => {
      this.queues[index].check();
      queue.enabled = true;
    });
  }

  // --- Running ---

  /** Whether the device may use a queue now. */
  running(queue: number): boolean {
    const { status, queues } = this.#state;
    const live = (status & (deviceStatus.driverOk | deviceStatus.needsReset)) === deviceStatus.driverOk;
    return live && queues[queue].enabled && this.config.busMaster;
  }

  #notify(queue: number): void {
    if (queue >= this.#device.queues) this.#report(`notification of queue ${queue}, which does not exist`);
    else if (!this.running(queue)) this.#report(`notification of queue ${queue}, which is not running`);
    else this.#guard(() => this.#device.notified(queue));
  }

  /** Runs what looks at driver-made structures; a driver's mistake stops the device until it is reset. */
  guard(work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      this.#broken(error.message);
      return false;
    }
  }

  #guard(work: () => void): void {
    this.guard(work);
  }

  #broken(what: string): void {
    this.#report(`DEVICE_NEEDS_RESET: ${what}`);
    const started = (this.#state.status & deviceStatus.driverOk) !== 0;
    this.#state.status |= deviceStatus.needsReset;
    // VIRTIO 2.1.2: the driver is told only if it had set DRIVER_OK.
    if (started) this.configurationChanged();
  }

  /** Tells the driver about the chains pushed to a queue, unless it asked not to be told. */
  signal(queue: number): void {
    if (!this.queues[queue].needsInterrupt()) return;
    this.#interrupt(this.#state.queues[queue].vector, isrBit.queue);
  }

  configurationChanged(): void {
    this.#state.generation = (this.#state.generation + 1) & 0xff;
    this.#interrupt(this.#state.configVector, isrBit.configuration);
  }

  #interrupt(vector: number, bit: number): void {
    if (this.#msix.enabled) this.#msix.raise(vector);
    else this.#setIsr(this.#state.isr | bit);
  }

  #setIsr(isr: number): void {
    this.#state.isr = isr;
    this.#drive();
  }

  /** The only place where the line moves. */
  #drive(): void {
    const pending = this.#state.isr !== 0 && !this.#msix.enabled;
    this.config.interruptStatus = pending;
    this.irq.set(pending && !this.config.interruptDisabled);
  }

  // --- What the bus sees ---

  readBar(bar: number, offset: number, size: number): number {
    if (bar === 1) return this.#msix.read(offset, size);
    const at = offset % REGION_BYTES;
    switch (offset - at) {
      case region.common:
        if (at + size <= COMMON_BYTES) return this.#common.read(at, size);
        break;
      case region.isr: {
        if (at !== 0) break;
        const isr = this.#state.isr;
        this.#setIsr(0); // reading acknowledges
        return isr;
      }
      case region.device:
        if (at + size <= this.#device.configBytes) return this.#readDeviceConfig(at, size);
        break;
    }
    this.#report(`read of ${size} bytes at ${hex(offset)} of BAR 0: nothing there`);
    return 0;
  }

  writeBar(bar: number, offset: number, size: number, value: number): void {
    if (bar === 1) {
      this.#msix.write(offset, size, value);
      return;
    }
    const at = offset % REGION_BYTES;
    if (offset - at === region.common && at + size <= COMMON_BYTES) this.#common.write(at, size, value);
    else if (offset - at === region.notify && at % NOTIFY_MULTIPLIER === 0)
      this.#notify(at / NOTIFY_MULTIPLIER);
    else this.#report(`write of ${size} bytes at ${hex(offset)} of BAR 0 dropped`);
  }

  #readDeviceConfig(at: number, size: number): number {
    for (const [first, bytes, name] of this.#device.absentFields ?? [])
      if (at < first + bytes && first < at + size) this.#report(`read of ${name}, which is not implemented`);
    let value = 0;
    for (let byte = 0; byte < size; byte++) value |= this.#device.readConfig(at + byte) << (8 * byte);
    return value >>> 0;
  }

  readConfig(at: number, size: number): number {
    const access = this.#windowAccess(at, size);
    if (access !== undefined) return this.readBar(access.bar, access.offset, size);
    return this.config.read(at, size);
  }

  writeConfig(at: number, size: number, value: number): void {
    const access = this.#windowAccess(at, size);
    if (access !== undefined) {
      this.writeBar(access.bar, access.offset, size, value);
      return;
    }
    this.config.write(at, size, value);
    this.#msix.release();
    this.#drive();
  }

  /** VIRTIO 4.1.4.9: pci_cfg_data is a window on a BAR for those who cannot map it. */
  #windowAccess(at: number, size: number): { bar: number; offset: number } | undefined {
    if (at !== this.#window + 16) return undefined;
    const bar = this.config.read(this.#window + 4, 1);
    const offset = this.config.read(this.#window + 8, 4);
    const length = this.config.read(this.#window + 12, 4);
    const bytes = this.config.barBytes[bar];
    const aligned = (size === 1 || size === 2 || size === 4) && offset % size === 0;
    return length === size && aligned && bytes !== undefined && offset + size <= bytes
      ? { bar, offset }
      : undefined;
  }

  // --- Life ---

  /** The driver's reset: everything but the PCI header and the MSI-X table. */
  #resetDevice(): void {
    const { msix } = this.#state;
    this.#state = { ...reset(this.#device.queues), msix };
    this.#drive();
    this.#device.stopped();
  }

  reset(): void {
    this.config.reset();
    this.#state = reset(this.#device.queues);
    this.#drive();
    this.#device.stopped();
  }

  snapshot(): State {
    return structuredClone({ ...this.#state, config: this.config.bytes });
  }

  restore(state: object): void {
    this.#state = structuredClone(state) as State & { msix: MsixState };
    this.config.bytes = [...this.#state.config];
    const pending = this.#state.isr !== 0 && !this.#msix.enabled;
    this.irq.settle(pending && !this.config.interruptDisabled);
  }

  #report(text: string): void {
    this.#trace(this.#device.name, text);
  }
}

const word = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

/** struct virtio_pci_cap after its ID and link; `more` follows it. */
function structure(type: number, offset: number, length: number, more: readonly number[] = []): number[] {
  return [16 + more.length, type, 0, 0, 0, 0, ...word(offset), ...word(length), ...more];
}

function addCapabilities(config: PciConfig, device: VirtioDevice): { window: number; msix: number } {
  const add = (body: number[], writable: number[] = []) =>
    config.addCapability(VENDOR_CAPABILITY, body, writable);
  add(structure(configType.common, region.common, COMMON_BYTES));
  add(structure(configType.isr, region.isr, 4));
  if (device.configBytes > 0) add(structure(configType.device, region.device, device.configBytes));
  add(
    structure(configType.notify, region.notify, NOTIFY_MULTIPLIER * device.queues, word(NOTIFY_MULTIPLIER)),
  );
  // The window: bar, offset, length and data are the driver's to write.
  const mine = [0, 0, 0xff, 0, 0, 0, ...new Array<number>(12).fill(0xff)];
  const window = add(structure(configType.pci, 0, 0, word(0)), mine.slice(0, 14));
  const vectors = device.queues + 1;
  const body = [...word(vectors - 1).slice(0, 2), ...word(1), ...word(PBA | 1)];
  const msix = config.addCapability(MSIX_CAPABILITY, body, [0x00, 0xc0]);
  return { window, msix };
}
