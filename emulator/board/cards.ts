// What sits in the board's PCI slots: the network card, and the virtio devices that a machine may have besides.
// One row, one card; its place is in map.ts.

import type { GuestMemory, Line, Trace } from "../devices/device.js";
import type { PciFunction } from "../devices/pci.js";
import { type Disk, VirtioBlk } from "../devices/virtio-blk.js";
import { VirtioConsole } from "../devices/virtio-console.js";
import { VirtioNet, type Wire } from "../devices/virtio-net.js";
import { type Entropy, VirtioRng } from "../devices/virtio-rng.js";
import { DISKS_MAX, pciDevice } from "./map.js";

/** Each card is there if its option is. */
export interface CardOptions {
  /** Station address of the network card. */
  mac?: Uint8Array;
  disks?: readonly Disk[];
  /** Output of a virtio console. */
  virtioConsole?: (byte: number) => void;
  /** Where a virtio entropy device has its bytes from. */
  entropy?: Entropy;
}

interface Card {
  readonly pci: PciFunction & { readonly irq: Line };
  reset(): void;
  snapshot(): object;
  restore(state: object): void;
}

export interface Slot {
  readonly name: string;
  /** PCI device number on bus 0. */
  readonly device: number;
  readonly card: Card;
}

export class Cards {
  readonly net: VirtioNet | undefined;
  readonly console: VirtioConsole | undefined;
  readonly slots: readonly Slot[];

  constructor(
    { mac, disks = [], virtioConsole, entropy }: CardOptions,
    memory: GuestMemory,
    wire: Wire,
    message: (address: number, data: number) => void,
    trace: Trace,
  ) {
    if (disks.length > DISKS_MAX)
      throw new RangeError(`${disks.length} disks: a machine has room for ${DISKS_MAX}`);
    this.net = mac && new VirtioNet(mac, memory, wire, message, trace);
    this.console = virtioConsole && new VirtioConsole(virtioConsole, memory, message, trace);
    const rng = entropy && new VirtioRng(entropy, memory, message, trace);
    const optional: readonly (readonly [name: string, device: number, card: Card | undefined])[] = [
      ["net", pciDevice.virtioNet, this.net],
      ["console", pciDevice.virtioConsole, this.console],
      ["rng", pciDevice.virtioRng, rng],
    ];
    this.slots = [
      ...optional.flatMap(([name, device, card]) => (card === undefined ? [] : [{ name, device, card }])),
      ...disks.map((disk, index) => ({
        name: `disk${index}`,
        device: pciDevice.firstDisk + index,
        card: new VirtioBlk(index, disk, memory, message, trace),
      })),
    ];
  }
}
