// The network card: a virtio-net device on PCI (Virtual I/O Device 1.1: 4.1 PCI, 2.6 split virtqueues, 5.1 network),
// modern interface only, MSI-X. One receive and one transmit queue; no offloads, so a frame is one buffer.
//
// Everything here belongs to core 0 and runs in its critical sections. Receiving interrupts; while the service thread polls,
// interrupts are off. Transmitting never interrupts: sent slots are collected when the next ones are wanted.
import {
  mfence,
  mmioRead8,
  mmioRead16,
  mmioRead32,
  mmioWrite8,
  mmioWrite16,
  mmioWrite32,
  mmioWrite64,
} from "../arch";
import { interruptAllocate } from "../machine/apic";
import { msixEnable, PCI_NONE, pciBar, pciCapability, pciFind, pciRead8, pciRead32 } from "../machine/pci";
import { allocate } from "../memory/slab";
import { ETHERNET_BYTES, Interface, SLOT_BYTES } from "./interface";

const VENDOR: u32 = 0x1af4;
const DEVICE: u32 = 0x1041;

// Vendor capabilities (4.1.4).
const CAPABILITY_VENDOR: u32 = 9;
const CAPABILITY_TYPE: u32 = 3;
const CAPABILITY_BAR: u32 = 4;
const CAPABILITY_OFFSET: u32 = 8;
const CAPABILITY_MULTIPLIER: u32 = 16;
const TYPE_COMMON: u32 = 1;
const TYPE_NOTIFY: u32 = 2;
const TYPE_DEVICE: u32 = 4;

// Common configuration (4.1.4.3).
const DEVICE_FEATURE_SELECT: u64 = 0;
const DEVICE_FEATURE: u64 = 4;
const DRIVER_FEATURE_SELECT: u64 = 8;
const DRIVER_FEATURE: u64 = 12;
const CONFIG_MSIX_VECTOR: u64 = 16;
const DEVICE_STATUS: u64 = 20;
const QUEUE_SELECT: u64 = 22;
const QUEUE_SIZE: u64 = 24;
const QUEUE_MSIX_VECTOR: u64 = 26;
const QUEUE_ENABLE: u64 = 28;
const QUEUE_NOTIFY_OFF: u64 = 30;
const QUEUE_DESC: u64 = 32;
const QUEUE_DRIVER: u64 = 40;
const QUEUE_DEVICE: u64 = 48;
const NO_VECTOR: u32 = 0xffff;

// Device status (2.1).
const ACKNOWLEDGE: u32 = 1;
const DRIVER: u32 = 2;
const DRIVER_OK: u32 = 4;
const FEATURES_OK: u32 = 8;

// Features: the low word, and VERSION_1 in the high one.
const FEATURE_MTU: u32 = 1 << 3;
const FEATURE_MAC: u32 = 1 << 5;
const FEATURE_VERSION_1: u32 = 1;

// Network configuration (5.1.4).
const NET_MAC: u64 = 0;
const NET_MTU: u64 = 10;
/** struct virtio_net_hdr with VERSION_1: 12 bytes, all zero without offloads. */
const NET_HEADER_BYTES: u32 = 12;

// Split virtqueue (2.6).
const DESC_BYTES: u32 = 16;
const DESC_NEXT: u32 = 1;
const DESC_WRITE: u32 = 2;
const AVAIL_NO_INTERRUPT: u32 = 1;
const USED_NO_NOTIFY: u32 = 1;
const QUEUE_MAX: u32 = 128;

const RECEIVE: u32 = 0;
const TRANSMIT: u32 = 1;
const MTU_DEFAULT: u32 = 1500;
const MTU_MAX: u32 = 9000;

@unmanaged
class Queue {
  number: u32 = 0;
  size: u32 = 0;
  desc: usize = 0;
  avail: usize = 0;
  used: usize = 0;
  /** Counts of what was made available, and of what was seen used. */
  availIndex: u32 = 0;
  usedIndex: u32 = 0;
  notify: u64 = 0;
  /** Buffers. Receive: one per descriptor. Transmit: one per pair, of which `free` are stacked at `stack`. */
  buffers: usize = 0;
  bufferBytes: u32 = 0;
  stack: usize = 0;
  free: u32 = 0;
}

const receive = changetype<Queue>(memory.data(offsetof<Queue>(), 8));
const transmit = changetype<Queue>(memory.data(offsetof<Queue>(), 8));
let common: u64 = 0;
let net: u64 = 0;
let notifyBase: u64 = 0;
let notifyMultiplier: u32 = 0;

/** Physical address of a structure that a vendor capability describes; 0 = there is none. */
function structure(bdf: u32, type: u32): u64 {
  let at = pciCapability(bdf, CAPABILITY_VENDOR, 0);
  while (at != 0) {
    if (pciRead8(bdf, at + CAPABILITY_TYPE) == type) {
      if (type == TYPE_NOTIFY) notifyMultiplier = pciRead32(bdf, at + CAPABILITY_MULTIPLIER);
      return pciBar(bdf, pciRead8(bdf, at + CAPABILITY_BAR)) + <u64>pciRead32(bdf, at + CAPABILITY_OFFSET);
    }
    at = pciCapability(bdf, CAPABILITY_VENDOR, at);
  }
  return 0;
}

/**
 * Finds the card and starts it. `mtu`: 0 = what the device says, else 1500. `handler`: table index of
 * (argument: usize) => void, called when frames have come. False: no card, or one that this driver cannot serve.
 */
export function nicStart(card: Interface, mtu: u32, handler: u32): bool {
  const bdf = pciFind(VENDOR, DEVICE);
  if (bdf == PCI_NONE) return false;
  common = structure(bdf, TYPE_COMMON);
  notifyBase = structure(bdf, TYPE_NOTIFY);
  net = structure(bdf, TYPE_DEVICE);
  if (common == 0 || notifyBase == 0 || net == 0) return false;
  msixEnable(bdf, 0, interruptAllocate(handler, 0));
  mmioWrite8(common + DEVICE_STATUS, 0);
  while (mmioRead8(common + DEVICE_STATUS) != 0) {} // 4.1.4.3.2: reset has ended
  status(ACKNOWLEDGE);
  status(ACKNOWLEDGE | DRIVER);
  mmioWrite32(common + DEVICE_FEATURE_SELECT, 0);
  const offered = mmioRead32(common + DEVICE_FEATURE);
  mmioWrite32(common + DEVICE_FEATURE_SELECT, 1);
  if (!(mmioRead32(common + DEVICE_FEATURE) & FEATURE_VERSION_1) || !(offered & FEATURE_MAC)) return false;
  mmioWrite32(common + DRIVER_FEATURE_SELECT, 0);
  mmioWrite32(common + DRIVER_FEATURE, offered & (FEATURE_MAC | FEATURE_MTU));
  mmioWrite32(common + DRIVER_FEATURE_SELECT, 1);
  mmioWrite32(common + DRIVER_FEATURE, FEATURE_VERSION_1);
  status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
  if (!(mmioRead8(common + DEVICE_STATUS) & FEATURES_OK)) return false;

  card.mac = <u64>mmioRead32(net + NET_MAC) | ((<u64>mmioRead16(net + NET_MAC + 4)) << 32);
  card.mtu = mtu;
  if (mtu == 0) card.mtu = offered & FEATURE_MTU ? mmioRead16(net + NET_MTU) : MTU_DEFAULT;
  card.mtu = min<u32>(card.mtu, MTU_MAX);
  card.slot = slot.index;
  card.send = send.index;
  mmioWrite16(common + CONFIG_MSIX_VECTOR, NO_VECTOR);
  queueCreate(receive, RECEIVE, 0);
  queueCreate(transmit, TRANSMIT, NO_VECTOR);
  receiveFill(NET_HEADER_BYTES + ETHERNET_BYTES + card.mtu);
  transmitFill();
  status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
  notify(receive);
  return true;
}

function status(value: u32): void {
  mmioWrite8(common + DEVICE_STATUS, value);
}

function queueCreate(queue: Queue, number: u32, vector: u32): void {
  mmioWrite16(common + QUEUE_SELECT, number);
  const size = min<u32>(mmioRead16(common + QUEUE_SIZE), QUEUE_MAX);
  assert(size >= 2 && (size & (size - 1)) == 0, "a virtqueue's size is a power of two");
  const availBytes = (6 + 2 * size + 3) & ~3;
  queue.number = number;
  queue.size = size;
  queue.desc = allocate(size * DESC_BYTES + availBytes + 8 + 8 * size);
  queue.avail = queue.desc + size * DESC_BYTES;
  queue.used = queue.avail + availBytes;
  queue.notify = notifyBase + <u64>(mmioRead16(common + QUEUE_NOTIFY_OFF) * notifyMultiplier);
  mmioWrite16(common + QUEUE_SIZE, size);
  mmioWrite16(common + QUEUE_MSIX_VECTOR, vector);
  mmioWrite64(common + QUEUE_DESC, <u64>queue.desc);
  mmioWrite64(common + QUEUE_DRIVER, <u64>queue.avail);
  mmioWrite64(common + QUEUE_DEVICE, <u64>queue.used);
  mmioWrite16(common + QUEUE_ENABLE, 1);
}

function descriptor(queue: Queue, index: u32, at: usize, bytes: u32, flags: u32, next: u32): void {
  const desc = queue.desc + index * DESC_BYTES;
  store<u64>(desc, <u64>at);
  store<u32>(desc, bytes, 8);
  store<u16>(desc, <u16>flags, 12);
  store<u16>(desc, <u16>next, 14);
}

/** The chain that begins at `head` is the device's. */
function makeAvailable(queue: Queue, head: u32): void {
  store<u16>(queue.avail + 4 + ((queue.availIndex & (queue.size - 1)) << 1), <u16>head);
  queue.availIndex++;
  atomic.store<u16>(queue.avail, <u16>queue.availIndex, 2);
}

function notify(queue: Queue): void {
  mfence(); // the index before the look at the flags (2.6.13.3.1)
  if (!(<u32>atomic.load<u16>(queue.used) & USED_NO_NOTIFY)) mmioWrite16(queue.notify, queue.number);
}

/** Head of the next used chain, and how much was written at `lengthAt`; -1 = none. */
function nextUsed(queue: Queue): i32 {
  if (<u32>atomic.load<u16>(queue.used, 2) == (queue.usedIndex & 0xffff)) return -1;
  const entry = queue.used + 4 + ((queue.usedIndex & (queue.size - 1)) << 3);
  queue.usedIndex++;
  usedBytes = load<u32>(entry, 4);
  const head = load<u32>(entry);
  assert(head < queue.size, "the network card used a descriptor that is not there");
  return <i32>head;
}
let usedBytes: u32 = 0;

// --- Receiving ---

/** The frame behind the device's header, and that 2 bytes in, is 4-aligned at its IP header (interface.ts). */
function receiveFill(bytes: u32): void {
  receive.bufferBytes = bytes;
  receive.buffers = allocate(receive.size << 2);
  for (let i: u32 = 0; i < receive.size; i++) {
    const buffer = allocate(bytes + 2) + 2;
    store<usize>(receive.buffers + (i << 2), buffer);
    descriptor(receive, i, buffer, bytes, DESC_WRITE, 0);
    makeAvailable(receive, i);
  }
}

/** The next frame that came, its length in nicFrameBytes(); 0 = none. It is the caller's until nicRecycle(). */
export function nicReceive(): usize {
  while (true) {
    const index = nextUsed(receive);
    if (index < 0) return 0;
    receiveIndex = <u32>index;
    if (usedBytes > NET_HEADER_BYTES && usedBytes <= receive.bufferBytes) {
      return load<usize>(receive.buffers + (receiveIndex << 2)) + NET_HEADER_BYTES;
    }
    nicRecycle();
  }
}
let receiveIndex: u32 = 0;
let recycled: u32 = 0;

export function nicFrameBytes(): u32 {
  return usedBytes - NET_HEADER_BYTES;
}

/** The frame that nicReceive() gave is done with. */
export function nicRecycle(): void {
  makeAvailable(receive, receiveIndex);
  recycled++;
}

/** The device is told of the buffers that came back, if that may matter to it. */
export function nicReceiveEnd(): void {
  if (recycled == 0) return;
  recycled = 0;
  notify(receive);
}

/** A frame has come that nicReceive() has not given yet. */
export function nicWaiting(): bool {
  return <u32>atomic.load<u16>(receive.used, 2) != (receive.usedIndex & 0xffff);
}

/** Off while the thread polls. On: returns false when something has come meanwhile. */
export function nicInterrupts(on: bool): bool {
  atomic.store<u16>(receive.avail, <u16>(on ? 0 : AVAIL_NO_INTERRUPT));
  mfence();
  return !on || !nicWaiting();
}

// --- Transmitting ---

/** Descriptors 2i and 2i + 1 are slot i's: headers, and a payload that lies elsewhere. */
function transmitFill(): void {
  const slots = transmit.size >> 1;
  transmit.bufferBytes = 2 + NET_HEADER_BYTES + SLOT_BYTES;
  transmit.bufferBytes = (transmit.bufferBytes + 15) & ~15;
  transmit.buffers = allocate(slots * transmit.bufferBytes);
  transmit.stack = allocate(slots << 2);
  for (let i: u32 = 0; i < slots; i++) {
    store<u32>(transmit.stack + (i << 2), i);
    transmit.free++;
  }
  atomic.store<u16>(transmit.avail, <u16>AVAIL_NO_INTERRUPT);
}

function slot(): usize {
  if (transmit.free == 0) collect();
  if (transmit.free == 0) return 0;
  transmit.free--;
  const number = load<u32>(transmit.stack + (transmit.free << 2));
  return transmit.buffers + number * transmit.bufferBytes + 2 + NET_HEADER_BYTES;
}

function collect(): void {
  while (true) {
    const head = nextUsed(transmit);
    if (head < 0) return;
    give(<u32>head >> 1);
  }
}

function give(number: u32): void {
  store<u32>(transmit.stack + (transmit.free << 2), number);
  transmit.free++;
}

function send(at: usize, bytes: u32, more: usize, moreBytes: u32): void {
  const start = at - NET_HEADER_BYTES;
  const number = <u32>(start - 2 - transmit.buffers) / transmit.bufferBytes;
  if (bytes == 0) {
    give(number); // taken and not needed
    return;
  }
  const head = number << 1;
  descriptor(transmit, head, start, NET_HEADER_BYTES + bytes, moreBytes != 0 ? DESC_NEXT : 0, head + 1);
  if (moreBytes != 0) descriptor(transmit, head + 1, more, moreBytes, 0, 0);
  makeAvailable(transmit, head);
  unsent++;
}
let unsent: u32 = 0;

/** Tells the device of everything that was sent since the last call. */
export function nicFlush(): void {
  if (unsent == 0) return;
  unsent = 0;
  notify(transmit);
}
