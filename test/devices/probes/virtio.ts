// Virtio over PCI: VIRTIO 1.2, by its sections; MSI-X: PCI Local Bus 3.0, 6.8.2. An entropy device (one queue), a disk, one
// that is read-only, and a console, each by its registers and its queue in memory.

import type { Disk } from "../../../emulator/devices/virtio-blk.js";
import { seededEntropy } from "../../../emulator/entropy.js";
import { NONE } from "./image.js";
import type { Expected, Script, Table } from "./script.js";

const ECAM = 0xe000_0000;
const IO_APIC = 0xfec0_0000;
const ACTIVE_LOW = 0x2000;
const LOCAL = 0xfee0_0000;
const LEVEL = 0x8000;
const [INTX, MESSAGE] = [0x67, 0x68];

interface Card {
  readonly config: number;
  readonly bar: number;
  readonly msix: number;
  readonly pin: number;
}
const card = (device: number): Card => ({
  config: ECAM + (device << 15),
  bar: 0xd000_0000 + device * 0x10_0000,
  msix: 0xd000_0000 + device * 0x10_0000 + 0x8000,
  pin: 16 + (device % 4),
});
const [net, rng, console, disk, readOnly] = [card(2), card(4), card(3), card(8), card(9)];
const [ISR, NOTIFY] = [0x1000, 0x3000];
/** Where the capabilities put MSI-X: the entropy device has no structure of its own. */
const MSIX_CONTROL = 0x88 + 2;
const common = {
  deviceSelect: 0,
  deviceFeature: 4,
  driverSelect: 8,
  driverFeature: 12,
  configVector: 0x10,
  queues: 0x12,
  status: 0x14,
  generation: 0x15,
  queue: 0x16,
  size: 0x18,
  vector: 0x1a,
  enable: 0x1c,
  notifyOffset: 0x1e,
  descriptors: 0x20,
  driver: 0x28,
  device: 0x30,
} as const;
const status = {
  acknowledge: 1,
  driver: 2,
  driverOk: 4,
  featuresOk: 8,
  needsReset: 64,
  failed: 128,
} as const;
const BEFORE = status.acknowledge | status.driver;
const RUNNING = BEFORE | status.featuresOk | status.driverOk;
const feature = { indirect: 2 ** 28, eventIndex: 2 ** 29 } as const;
const SIZE = 8;
const [DESCRIPTORS, AVAILABLE, USED, BUFFER] = [0x40_0000, 0x40_1000, 0x40_2000, 0x40_3000];
const flag = { next: 1, write: 2, indirect: 4 } as const;
const NO_INTERRUPT = 1;
const RAM_END = 32 << 20;

const setStatus = (t: Script, { bar }: Card, value: number) => t.write(bar + common.status, value, 1);
const sees = (t: Script, { bar }: Card, is: number) => t.read(bar + common.status, is, 1);
const accept = (t: Script, { bar }: Card, low: number, high = 1) => {
  t.write(bar + common.driverSelect, 0).write(bar + common.driverFeature, low);
  return t.write(bar + common.driverSelect, 1).write(bar + common.driverFeature, high);
};
const place = (t: Script, { bar }: Card, queue = 0, size = SIZE, descriptors = DESCRIPTORS) => {
  t.write(bar + common.queue, queue, 2).write(bar + common.size, size, 2);
  t.write8(bar + common.descriptors, descriptors, 0).write8(bar + common.driver, AVAILABLE, 0);
  return t.write8(bar + common.device, USED, 0).write(bar + common.enable, 1, 2);
};
/** From reset to DRIVER_OK with one queue. */
const start = (t: Script, to: Card, features = 0, queue = 0) => {
  setStatus(t, to, 0);
  setStatus(t, to, status.acknowledge);
  setStatus(t, to, BEFORE);
  accept(t, to, features);
  setStatus(t, to, BEFORE | status.featuresOk);
  place(t, to, queue);
  return setStatus(t, to, RUNNING);
};
const descriptor = (
  t: Script,
  index: number,
  address: number,
  length: number,
  flags: number,
  next = 0,
  high = 0,
) => {
  const at = DESCRIPTORS + 16 * index;
  return t
    .write8(at, address, high)
    .write(at + 8, length)
    .write(at + 12, flags, 2)
    .write(at + 14, next, 2);
};
/** The chains' heads, in the ring from `from` on, and the notification. */
const offer = (
  t: Script,
  { bar }: Card,
  heads: readonly number[],
  { from = 0, queue = 0, notify = true } = {},
) => {
  for (const [index, head] of heads.entries()) t.write(AVAILABLE + 4 + 2 * ((from + index) % SIZE), head, 2);
  t.write(AVAILABLE + 2, from + heads.length, 2);
  return notify ? t.write(bar + NOTIFY + 4 * queue, queue, 2) : t;
};
const used = (t: Script, index: number, expected?: { head: number; length: Expected }) => {
  t.read(USED + 2, index, 2);
  if (expected === undefined) return t;
  return t.read(USED + 4 + 8 * (index - 1), expected.head).read(USED + 8 + 8 * (index - 1), expected.length);
};
const clear = (t: Script) => {
  for (let at = 0; at < 16; at += 8) t.write8(AVAILABLE + at, 0, 0).write8(USED + at, 0, 0);
  t.write(AVAILABLE + 20, 0)
    .write(AVAILABLE + 16, 0)
    .write8(BUFFER, 0, 0)
    .write8(BUFFER + 8, 0, 0);
  return t.write(USED + 4 + 8 * SIZE, 0, 2).write(AVAILABLE + 4 + 2 * SIZE, 0, 2);
};
const pin = (t: Script, { pin: number }: Card, low: number) =>
  t
    .write(IO_APIC, 0x11 + 2 * number)
    .write(IO_APIC + 16, 0)
    .write(IO_APIC, 0x10 + 2 * number)
    .write(IO_APIC + 16, low | ACTIVE_LOW);
const eoi = (t: Script) => t.write(LOCAL + 0xb0, 0);

/** A request of a disk: header, data, status; the driver reads the data, the device writes them, or there are none. */
const REQUEST = BUFFER + 0x100;
const [DATA, ANSWER] = [BUFFER + 0x200, BUFFER + 0xf00];
const blk = { in: 0, out: 1, flush: 4, getId: 8, discard: 11, writeZeroes: 13 } as const;
const request = (
  t: Script,
  to: Card,
  from: number,
  type: number,
  sector: number,
  bytes: number,
  writes: boolean,
) => {
  t.write(REQUEST, type)
    .write(REQUEST + 4, 0)
    .write8(REQUEST + 8, sector, 0)
    .write(ANSWER, 0xff, 1);
  descriptor(t, 0, REQUEST, 16, flag.next, bytes === 0 ? 2 : 1);
  descriptor(t, 1, DATA, bytes, flag.next | (writes ? flag.write : 0), 2);
  descriptor(t, 2, ANSWER, 1, flag.write);
  return offer(t, to, [0], { from });
};
const answers = (t: Script, index: number, is: number, length?: number) =>
  used(t, index, length === undefined ? undefined : { head: 0, length }).read(ANSWER, is, 1);

/** 16 sectors in memory. */
function plate(readOnly: boolean): Disk {
  const bytes = new Uint8Array(16 * 512).map((_, at) => (at >> 9) + 1);
  return {
    bytes: bytes.length,
    readOnly,
    read: (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
    write: (offset, from) => bytes.set(from, offset),
    flush: () => {},
    snapshot: () => ({}),
    restore: () => {},
  };
}

const broken = (name: string, wrong: (t: Script) => void, features = 0) => ({
  name: `2.1.2 DEVICE_NEEDS_RESET, and told so: ${name}`,
  steps: (t: Script) => {
    start(t, rng, features);
    wrong(t);
    sees(t, rng, RUNNING | status.needsReset).read(rng.bar + ISR, { is: 2, mask: 2 }, 1);
    // It is deaf until it is reset, and then as new.
    t.write(rng.bar + NOTIFY, 0, 2);
    clear(t);
    setStatus(t, rng, 0);
    sees(t, rng, 0);
    start(t, rng);
    descriptor(t, 0, BUFFER, 8, flag.write);
    used(offer(t, rng, [0]), 1, { head: 0, length: 8 });
  },
});

export const virtio: Table = {
  device: "virtio",
  document: "VIRTIO 1.2",
  notQemu:
    "QEMU's registers lie elsewhere; test/devices/virtio-fuzz.ts and the drivers of Linux compare what matters",
  machine: () => ({
    entropy: seededEntropy(1),
    disks: [plate(false), plate(true)],
    virtioConsole: () => {},
    mac: Uint8Array.of(0x52, 0x54, 0, 0xaa, 0xbb, 0xcc),
  }),
  before: (t) => {
    for (const { config, bar, msix } of [net, rng, console, disk, readOnly]) {
      t.write(config + 0x10, bar)
        .write(config + 0x14, msix)
        .write(config + 4, 6, 2);
      t.write(bar + common.status, 0, 1);
    }
    t.write(rng.config + MSIX_CONTROL, 0, 2)
      .out(0x21, 0xff)
      .out(0xa1, 0xff);
    t.write(LOCAL + 0xf0, 0x1ff).write(LOCAL + 0x350, 0x1_0000);
    pin(t, rng, LEVEL | INTX);
    clear(t);
    t.interrupt();
    eoi(t);
  },
  cases: [
    {
      name: "4.1.4 the capabilities: common, ISR, notify, window; MSI-X",
      steps: (t) => {
        const structure = (at: number, type: number, offset: number, length: number) => {
          t.read(rng.config + at, { is: 0x09, mask: 0xff })
            .read(rng.config + at + 3, type, 1)
            .read(rng.config + at + 4, 0, 1);
          t.read(rng.config + at + 8, offset).read(rng.config + at + 12, { from: length, to: 0x1000 });
        };
        structure(0x40, 1, 0, 0x38);
        structure(0x50, 3, ISR, 1);
        structure(0x60, 2, NOTIFY, 2);
        t.read(rng.config + 0x70, 4).read(rng.config + 0x74, { is: 0x0500_0009, mask: 0xff00_00ff });
        t.read(rng.config + 0x88, { is: 0x01_0011, mask: 0x07ff_ffff }).read(rng.config + 0x8c, {
          is: 1,
          mask: 7,
        });
      },
    },
    {
      name: "4.1.4.3 after a reset: status 0, one queue, no vector, the greatest size",
      steps: (t) => {
        sees(t, rng, 0)
          .read(rng.bar + common.queues, 1, 2)
          .read(rng.bar + common.configVector, 0xffff, 2);
        t.write(rng.bar + common.queue, 0, 2)
          .read(rng.bar + common.size, 256, 2)
          .read(rng.bar + common.vector, 0xffff, 2);
        t.read(rng.bar + common.enable, 0, 2)
          .read(rng.bar + common.notifyOffset, 0, 2)
          .read(rng.bar + ISR, 0, 1);
      },
    },
    {
      name: "2.2 features: VERSION_1 is bit 32; there are none from bit 64 on",
      steps: (t) => {
        t.write(rng.bar, 1)
          .read(rng.bar + common.deviceFeature, { is: 1, mask: 1 })
          .write(rng.bar, 2)
          .read(rng.bar + common.deviceFeature, 0);
        t.write(rng.bar, 0)
          .read(rng.bar + common.deviceFeature, feature.indirect + feature.eventIndex)
          .read(rng.bar, 0);
      },
    },
    {
      name: "2.2.2 FEATURES_OK is refused for what was not offered, and without VERSION_1",
      steps: (t) => {
        for (const [low, high] of [
          [1, 1],
          [0, 0],
          [0, 3],
          [feature.indirect, 0],
        ] as const) {
          setStatus(t, rng, 0);
          setStatus(t, rng, BEFORE);
          accept(t, rng, low, high);
          setStatus(t, rng, BEFORE | status.featuresOk);
          sees(t, rng, BEFORE);
          setStatus(t, rng, RUNNING);
          sees(t, rng, BEFORE);
        }
        accept(t, rng, feature.indirect);
        setStatus(t, rng, BEFORE | status.featuresOk);
        sees(t, rng, BEFORE | status.featuresOk);
      },
    },
    {
      name: "3.1.1 features stay as agreed",
      steps: (t) => {
        start(t, rng, feature.indirect);
        accept(t, rng, 0, 0);
        t.write(rng.bar + common.driverSelect, 0).read(rng.bar + common.driverFeature, feature.indirect);
        sees(t, rng, RUNNING);
      },
    },
    {
      name: "2.1.1 status bits are cleared by a reset only; FAILED is kept",
      steps: (t) => {
        start(t, rng);
        setStatus(t, rng, status.acknowledge);
        sees(t, rng, RUNNING);
        setStatus(t, rng, RUNNING | status.failed);
        sees(t, rng, RUNNING | status.failed);
        setStatus(t, rng, 0);
        sees(t, rng, 0);
      },
    },
    {
      name: "4.1.4.3.1 a reset takes back queues, vectors and features",
      steps: (t) => {
        start(t, rng, feature.indirect);
        setStatus(t, rng, 0);
        t.read(rng.bar + common.enable, 0, 2)
          .read(rng.bar + common.size, 256, 2)
          .read8(rng.bar + common.descriptors, 0, 0);
        t.write(rng.bar + common.driverSelect, 0).read(rng.bar + common.driverFeature, 0);
      },
    },
    {
      name: "4.1.4.3.1 a queue that is not there has size 0",
      steps: (t) => {
        t.write(rng.bar + common.queue, 1, 2)
          .read(rng.bar + common.size, 0, 2)
          .read(rng.bar + common.enable, 0, 2);
        t.write(rng.bar + common.queue, 0xffff, 2)
          .read(rng.bar + common.size, 0, 2)
          .write(rng.bar + common.enable, 1, 2);
        t.read(rng.bar + common.enable, 0, 2).read(rng.bar + common.queue, 0xffff, 2);
      },
    },
    {
      name: "4.1.5.1.2 a vector that is not there reads as NO_VECTOR",
      steps: (t) => {
        t.write(rng.bar + common.configVector, 0, 2).read(rng.bar + common.configVector, 0, 2);
        t.write(rng.bar + common.configVector, 2, 2).read(rng.bar + common.configVector, 0xffff, 2);
        t.write(rng.bar + common.queue, 0, 2)
          .write(rng.bar + common.vector, 1, 2)
          .read(rng.bar + common.vector, 1, 2);
        t.write(rng.bar + common.vector, 77, 2).read(rng.bar + common.vector, 0xffff, 2);
      },
    },
    {
      name: "4.1.3.1 registers of 64 bits by their halves; of an enabled queue they stay",
      steps: (t) => {
        t.write(rng.bar + common.queue, 0, 2)
          .write(rng.bar + common.descriptors, 0x1230)
          .write(rng.bar + common.descriptors + 4, 1);
        t.read8(rng.bar + common.descriptors, 0x1230, 1);
        start(t, rng);
        t.write(rng.bar + common.descriptors, 0x5550).write(rng.bar + common.size, 4, 2);
        t.read(rng.bar + common.descriptors, DESCRIPTORS).read(rng.bar + common.size, SIZE, 2);
      },
    },
    {
      name: "5.4.6 a buffer is filled, used, and told by INTA until the ISR is read",
      steps: (t) => {
        start(t, rng);
        descriptor(t, 3, BUFFER, 8, flag.write);
        used(offer(t, rng, [3]), 1, { head: 3, length: 8 });
        t.read(BUFFER, { rule: "not 0", holds: (value) => value !== 0 }).read(BUFFER + 8, 0);
        t.interrupt(INTX)
          .read(rng.config + 6, { is: 8, mask: 8 }, 2)
          .read(rng.bar + ISR, 1, 1)
          .read(rng.bar + ISR, 0, 1);
        t.read(rng.config + 6, { is: 0, mask: 8 }, 2);
        eoi(t).none();
      },
    },
    {
      name: "PCI 3.0, 6.2.2: with interrupts disabled INTA is quiet, and the status says that it would not be",
      steps: (t) => {
        t.write(rng.config + 4, 0x406, 2);
        start(t, rng);
        descriptor(t, 0, BUFFER, 8, flag.write);
        offer(t, rng, [0])
          .none()
          .read(rng.config + 6, { is: 8, mask: 8 }, 2)
          .write(rng.config + 4, 6, 2)
          .interrupt(INTX);
        t.read(rng.bar + ISR, 1, 1);
        eoi(t).none();
      },
    },
    {
      name: "PCI 3.0, 6.2.2: without bus mastering no memory is touched",
      steps: (t) => {
        start(t, rng);
        t.write(rng.config + 4, 2, 2);
        descriptor(t, 0, BUFFER, 8, flag.write);
        used(offer(t, rng, [0]), 0).read(BUFFER, 0);
      },
    },
    {
      name: "2.7.5 a chain over several descriptors, and chains in the order in which they were offered",
      steps: (t) => {
        start(t, rng);
        descriptor(t, 5, BUFFER, 3, flag.write | flag.next, 1);
        descriptor(t, 1, BUFFER + 8, 5, flag.write);
        descriptor(t, 0, BUFFER + 16, 7, flag.write);
        offer(t, rng, [5, 0]);
        used(t, 2, { head: 0, length: 7 })
          .read(USED + 4, 5)
          .read(USED + 8, 8)
          .read(BUFFER + 3, 0, 1)
          .read(BUFFER + 13, 0, 1);
      },
    },
    {
      name: "2.7.5.3 an indirect table",
      steps: (t) => {
        start(t, rng, feature.indirect);
        descriptor(t, 2, DESCRIPTORS + 16 * 10, 32, flag.indirect);
        descriptor(t, 10, BUFFER, 4, flag.write | flag.next, 1);
        descriptor(t, 11, BUFFER + 8, 4, flag.write);
        used(offer(t, rng, [2]), 1, { head: 2, length: 8 });
      },
    },
    {
      name: "2.7.7 VIRTQ_AVAIL_F_NO_INTERRUPT: no interrupt",
      steps: (t) => {
        start(t, rng).write(AVAILABLE, NO_INTERRUPT, 2);
        descriptor(t, 0, BUFFER, 4, flag.write);
        used(offer(t, rng, [0]), 1)
          .read(rng.bar + ISR, 0, 1)
          .none();
      },
    },
    {
      name: "2.7.7 used_event: an interrupt when the index passes it, and not before",
      steps: (t) => {
        start(t, rng, feature.eventIndex).write(AVAILABLE + 4 + 2 * SIZE, 1, 2);
        descriptor(t, 0, BUFFER, 4, flag.write);
        used(offer(t, rng, [0]), 1).read(rng.bar + ISR, 0, 1);
        used(offer(t, rng, [0], { from: 1 }), 2).read(rng.bar + ISR, 1, 1);
        used(offer(t, rng, [0], { from: 2 }), 3).read(rng.bar + ISR, 0, 1);
      },
    },
    {
      name: "2.7.10 avail_event is the next chain, so that the driver tells of it",
      steps: (t) => {
        start(t, rng, feature.eventIndex);
        descriptor(t, 0, BUFFER, 4, flag.write);
        offer(t, rng, [0]).read(USED + 4 + 8 * SIZE, 1, 2);
      },
    },
    {
      name: "3.1.1 no work before DRIVER_OK",
      steps: (t) => {
        setStatus(t, rng, BEFORE);
        accept(t, rng, 0);
        setStatus(t, rng, BEFORE | status.featuresOk);
        place(t, rng);
        descriptor(t, 0, BUFFER, 8, flag.write);
        used(offer(t, rng, [0]), 0).read(BUFFER, 0);
        setStatus(t, rng, RUNNING).write(rng.bar + NOTIFY, 0, 2);
        used(t, 1);
      },
    },
    broken("a buffer that is not in RAM", (t) => {
      descriptor(t, 0, RAM_END - 4, 8, flag.write);
      offer(t, rng, [0]);
    }),
    broken("a buffer above 4 GiB", (t) => {
      descriptor(t, 0, 0, 8, flag.write, 0, 1);
      offer(t, rng, [0]);
    }),
    broken("a head beyond the queue", (t) => void offer(t, rng, [SIZE])),
    broken("a next beyond the queue", (t) => {
      descriptor(t, 0, BUFFER, 8, flag.write | flag.next, SIZE);
      offer(t, rng, [0]);
    }),
    broken("a chain that goes in a circle", (t) => {
      descriptor(t, 0, BUFFER, 8, flag.write | flag.next, 1);
      descriptor(t, 1, BUFFER, 8, flag.write | flag.next, 0);
      offer(t, rng, [0]);
    }),
    broken(
      "more chains than the queue has",
      (t) => void t.write(AVAILABLE + 2, SIZE + 1, 2).write(rng.bar + NOTIFY, 0, 2),
    ),
    broken("a buffer for reading where the device writes", (t) => {
      descriptor(t, 0, BUFFER, 8, 0);
      offer(t, rng, [0]);
    }),
    broken(
      "an indirect table within an indirect table",
      (t) => {
        descriptor(t, 0, DESCRIPTORS + 160, 16, flag.indirect);
        descriptor(t, 10, DESCRIPTORS + 176, 16, flag.indirect);
        offer(t, rng, [0]);
      },
      feature.indirect,
    ),
    broken(
      "an indirect table of a broken size",
      (t) => {
        descriptor(t, 0, DESCRIPTORS + 160, 20, flag.indirect);
        offer(t, rng, [0]);
      },
      feature.indirect,
    ),
    broken("an indirect table that was not agreed on", (t) => {
      descriptor(t, 0, DESCRIPTORS + 160, 16, flag.indirect);
      descriptor(t, 10, BUFFER, 8, flag.write);
      offer(t, rng, [0]);
    }),
    {
      name: "a queue of no power of two, unaligned or not in RAM is not enabled",
      steps: (t) => {
        for (const [size, at] of [
          [6, DESCRIPTORS],
          [0, DESCRIPTORS],
          [SIZE, DESCRIPTORS + 8],
          [SIZE, RAM_END - 16],
        ] as const) {
          setStatus(t, rng, 0);
          setStatus(t, rng, BEFORE);
          accept(t, rng, 0);
          setStatus(t, rng, BEFORE | status.featuresOk);
          place(t, rng, 0, size, at).read(rng.bar + common.enable, 0, 2);
          t.read(rng.bar + common.status, { is: status.needsReset, mask: status.needsReset }, 1).read(
            rng.bar + ISR,
            0,
            1,
          );
        }
      },
    },
    {
      name: "4.1.4.9 the window of the configuration space: common registers and notifications by it",
      steps: (t) => {
        const WINDOW = rng.config + 0x74;
        t.write(WINDOW + 4, 0, 1)
          .write(WINDOW + 8, common.queues)
          .write(WINDOW + 12, 2)
          .read(WINDOW + 16, 1, 2);
        start(t, rng);
        descriptor(t, 0, BUFFER, 8, flag.write);
        offer(t, rng, [0], { notify: false })
          .write(WINDOW + 8, NOTIFY)
          .write(WINDOW + 16, 0, 2);
        used(t, 1);
      },
    },
    {
      name: "MSI-X: a message for each queue; masked it is pending, and comes when the mask goes",
      steps: (t) => {
        const entry = rng.msix + 16;
        const PENDING = rng.msix + 0x800;
        t.read(entry + 12, { is: 1, mask: 1 })
          .write(entry, LOCAL)
          .write(entry + 4, 0)
          .write(entry + 8, MESSAGE)
          .write(entry + 12, 0);
        t.write(rng.config + MSIX_CONTROL, 0x8000, 2).read(rng.config + MSIX_CONTROL, 0x8001, 2);
        setStatus(t, rng, BEFORE);
        accept(t, rng, 0);
        setStatus(t, rng, BEFORE | status.featuresOk);
        t.write(rng.bar + common.queue, 0, 2)
          .write(rng.bar + common.vector, 1, 2)
          .read(rng.bar + common.vector, 1, 2);
        place(t, rng);
        setStatus(t, rng, RUNNING);
        descriptor(t, 0, BUFFER, 8, flag.write);
        offer(t, rng, [0]).interrupt(MESSAGE);
        eoi(t)
          .none()
          .read(rng.bar + ISR, 0, 1);
        offer(t.write(entry + 12, 1), rng, [0], { from: 1 })
          .none()
          .read(PENDING, 2)
          .write(entry + 12, 0)
          .interrupt(MESSAGE);
        eoi(t).read(PENDING, 0).none();
        offer(t.write(rng.config + MSIX_CONTROL, 0xc000, 2), rng, [0], { from: 2 })
          .none()
          .read(PENDING, 2);
        t.write(rng.config + MSIX_CONTROL, 0x8000, 2).interrupt(MESSAGE);
        eoi(t)
          .none()
          .write(rng.config + MSIX_CONTROL, 0, 2)
          .interrupt(NONE);
      },
    },
    {
      name: "5.2.4 the disk: its sectors",
      steps: (t) => void t.read8(disk.bar + 0x2000, 16, 0).read(disk.bar + 0x2014, 512),
    },
    {
      name: "5.2.6 the disk: read, write, flush, identity",
      steps: (t) => {
        start(t, disk);
        request(t, disk, 0, blk.in, 3, 512, true);
        answers(t, 1, 0, 513)
          .read(DATA, 0x0404_0404)
          .read(DATA + 508, 0x0404_0404)
          .write(DATA, 0x1234_5678);
        request(t, disk, 1, blk.out, 5, 512, false);
        answers(t, 2, 0, 1).write(DATA, 0);
        request(t, disk, 2, blk.in, 5, 512, true);
        answers(t, 3, 0, 513)
          .read(DATA, 0x1234_5678)
          .read(DATA + 4, 0x0404_0404);
        request(t, disk, 3, blk.flush, 0, 0, false);
        answers(t, 4, 0, 1);
        request(t, disk, 4, blk.getId, 0, 20, true);
        answers(t, 5, 0, 21).read(DATA, 0x6c73_7562);
      },
    },
    {
      name: "5.2.6 the disk: discard and zeroes",
      steps: (t) => {
        start(t, disk, 2 ** 13 + 2 ** 14 + 2 ** 9);
        t.write8(DATA, 7, 0).write8(DATA + 8, 1, 0);
        request(t, disk, 0, blk.writeZeroes, 0, 16, false);
        answers(t, 1, 0, 1);
        request(t, disk, 1, blk.in, 7, 512, true);
        answers(t, 2, 0)
          .read(DATA, 0)
          .read(DATA + 508, 0);
        t.write8(DATA, 8, 0).write8(DATA + 8, 1, 0);
        request(t, disk, 2, blk.discard, 0, 16, false);
        answers(t, 3, 0);
        t.write8(DATA, 8, 0).write8(DATA + 8, 1, 1); // discard has no unmap flag
        request(t, disk, 3, blk.discard, 0, 16, false);
        answers(t, 4, 2);
        t.write8(DATA, 15, 0).write8(DATA + 8, 2, 0); // one sector too many
        request(t, disk, 4, blk.writeZeroes, 0, 16, false);
        answers(t, 5, 1);
      },
    },
    {
      name: "5.2.6 the disk: what is beyond it, half a sector, an unknown request",
      steps: (t) => {
        start(t, disk);
        request(t, disk, 0, blk.in, 16, 512, true);
        answers(t, 1, 1);
        request(t, disk, 1, blk.in, 15, 1024, true);
        answers(t, 2, 1);
        request(t, disk, 2, blk.out, 0x1000_0000, 512, false);
        answers(t, 3, 1);
        request(t, disk, 3, blk.in, 0, 100, true);
        answers(t, 4, 1);
        request(t, disk, 4, 99, 0, 512, true);
        answers(t, 5, 2);
        sees(t, disk, RUNNING);
      },
    },
    {
      name: "5.2.6 the disk: a request without its status or header breaks it",
      steps: (t) => {
        for (const [length, flags] of [
          [16, 0],
          [8, flag.next],
        ] as const) {
          clear(t);
          start(t, disk);
          descriptor(t, 0, REQUEST, length, flags, 2);
          descriptor(t, 2, ANSWER, 1, flag.write);
          offer(t, disk, [0]);
          sees(t, disk, RUNNING | status.needsReset);
        }
      },
    },
    {
      name: "5.2.6 a read-only disk: VIRTIO_BLK_F_RO; a write is an I/O error",
      steps: (t) => {
        t.write(readOnly.bar, 0).read(readOnly.bar + common.deviceFeature, { is: 0x20, mask: 0x6020 });
        start(t, readOnly, 0x20).write(DATA, 0);
        request(t, readOnly, 0, blk.out, 0, 512, false);
        answers(t, 1, 1);
        request(t, readOnly, 1, blk.in, 0, 512, true);
        answers(t, 2, 0, 513).read(DATA, 0x0101_0101);
      },
    },
    {
      name: "5.1.4 the network card: its address, the link, the MTU",
      steps: (t) => {
        t.read(net.bar + 0x2000, 0xaa00_5452)
          .read(net.bar + 0x2004, 0xccbb, 2)
          .read(net.bar + 0x2006, 1, 2)
          .read(net.bar + 0x200a, 9000, 2);
        t.write(net.bar, 0)
          .read(net.bar + common.deviceFeature, { is: 0x1_0028, mask: 0x1_0028 })
          .read(net.bar + common.queues, 2, 2);
      },
    },
    {
      name: "5.1.6.2 the network card: frames are used, sent or not; buffers for frames wait",
      steps: (t) => {
        start(t, net, 0x1_0020, 1)
          .write8(BUFFER, 0, 0)
          .write(BUFFER + 8, 0);
        for (const [index, length] of [12 + 64, 12 + 3, 12, 12 + 9014, 12 + 9015, 12 + 0x1_0000].entries()) {
          descriptor(t, 0, BUFFER, length, 0);
          used(offer(t, net, [0], { from: index, queue: 1 }), index + 1, { head: 0, length: 0 });
        }
        sees(t, net, RUNNING);
        clear(t);
        start(t, net, 0x1_0020, 0);
        descriptor(t, 0, BUFFER, 2048, flag.write);
        used(offer(t, net, [0]), 0);
        sees(t, net, RUNNING);
      },
    },
    ...(
      [
        ["a chain without its header", 11, 0],
        ["a buffer that the device may write", 76, flag.write],
      ] as const
    ).map(([what, length, flags]) => ({
      name: `5.1.6 the network card: ${what} breaks it`,
      steps: (t: Script) => {
        start(t, net, 0x1_0020, 1);
        descriptor(t, 0, BUFFER, length, flags);
        offer(t, net, [0], { queue: 1 });
        sees(t, net, RUNNING | status.needsReset);
      },
    })),
    {
      name: "2.2.1 a feature that means nothing without another is refused",
      steps: (t) => {
        setStatus(t, net, BEFORE);
        accept(t, net, 2 ** 11); // HOST_TSO4 without CSUM
        setStatus(t, net, BEFORE | status.featuresOk);
        sees(t, net, BEFORE);
        accept(t, net, 2 ** 11 + 1);
        setStatus(t, net, BEFORE | status.featuresOk);
        sees(t, net, BEFORE | status.featuresOk);
      },
    },
    {
      name: "5.3 the console: what is sent is used at once; a queue of its own for what is typed",
      steps: (t) => {
        t.read(console.bar + common.queues, 2, 2);
        start(t, console, 0, 1);
        descriptor(t, 0, BUFFER, 4, 0);
        used(offer(t, console, [0], { queue: 1 }), 1, { head: 0, length: 0 });
        sees(t, console, RUNNING);
      },
    },
    {
      name: "5.3 the console: a buffer that the device may write is none to send",
      steps: (t) => {
        start(t, console, 0, 1);
        descriptor(t, 0, BUFFER, 4, flag.write);
        offer(t, console, [0], { queue: 1 });
        sees(t, console, RUNNING | status.needsReset);
      },
    },
  ],
};
