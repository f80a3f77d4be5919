// ARP for IPv4 over Ethernet (RFC 826): a small cache, requests with retry, expiry with refresh.
import { BROADCAST, ethernetHeader, TYPE_ARP, TYPE_IPV4 } from "./ethernet";
import {
  ETHERNET_BYTES,
  Interface,
  load16,
  macLoad,
  macStore,
  slotSend,
  slotTake,
  store16,
} from "./interface";

const ARP_BYTES: u32 = 28;
const HARDWARE_ETHERNET: u32 = 1;
const REQUEST: u32 = 1;
const REPLY: u32 = 2;

/** ip u32, tries u32, mac u64 (0: not known yet), until u64: when it expires, or may be asked for again. */
@unmanaged
class Entry {
  ip: u32 = 0;
  tries: u32 = 0;
  mac: u64 = 0;
  until: u64 = 0;
}
const ENTRY_BYTES: u32 = 24;
const ENTRIES: u32 = 64;
const table: usize = memory.data(1536, 8);
let victim: u32 = 0;

const MILLISECOND: u64 = 1_000_000;
const RETRY: u64 = 20 * MILLISECOND;
const RETRY_MAX: u64 = 1000 * MILLISECOND;
const LIFE: u64 = 60_000 * MILLISECOND;

function find(ip: u32): Entry {
  for (let i: u32 = 0; i < ENTRIES; i++) {
    const entry = changetype<Entry>(table + i * ENTRY_BYTES);
    if (entry.ip == ip) return entry;
  }
  return changetype<Entry>(0);
}

function create(ip: u32): Entry {
  let entry = find(0);
  if (changetype<usize>(entry) == 0) {
    entry = changetype<Entry>(table + victim * ENTRY_BYTES);
    victim = (victim + 1) % ENTRIES;
  }
  entry.ip = ip;
  entry.tries = 0;
  entry.mac = 0;
  entry.until = 0;
  return entry;
}

/** Forgets everything; for tests. */
export function arpClear(): void {
  memory.fill(table, 0, ENTRIES * ENTRY_BYTES);
  victim = 0;
}

/** The card that has this address, 0 while unknown: then it has been asked for, at growing intervals. */
export function arpResolve(card: Interface, ip: u32, now: u64): u64 {
  let entry = find(ip);
  if (changetype<usize>(entry) == 0) entry = create(ip);
  if (now < entry.until) return entry.mac;
  // Unknown, or known for a minute: ask again; what was known serves until the answer, but not for ever.
  if (entry.mac != 0 && entry.tries >= 3) entry.mac = 0;
  entry.until = now + min<u64>(RETRY << min<u32>(entry.tries, 6), RETRY_MAX);
  entry.tries++;
  arpSend(card, REQUEST, entry.mac != 0 ? entry.mac : BROADCAST, 0, ip);
  return entry.mac;
}

export function arpInput(card: Interface, at: usize, bytes: u32, now: u64): void {
  if (bytes < ARP_BYTES) {
    card.cut++;
    return;
  }
  const operation = load16(at + 6);
  if (
    load16(at) != HARDWARE_ETHERNET ||
    load16(at + 2) != TYPE_IPV4 ||
    load16(at + 4) != 0x0604 ||
    (operation != REQUEST && operation != REPLY)
  ) {
    card.unknownProtocol++;
    return;
  }
  const mac = macLoad(at + 8);
  const ip = load<u32>(at, 14);
  if (load<u32>(at, 24) != card.ip || ip == 0) {
    card.notForUs++;
    return;
  }
  let entry = find(ip);
  // Who asks for us will be answered soon; who answers was asked.
  if (changetype<usize>(entry) == 0 && operation == REQUEST) entry = create(ip);
  if (changetype<usize>(entry) != 0) {
    entry.mac = mac;
    entry.tries = 0;
    entry.until = now + LIFE;
  }
  if (operation == REQUEST) arpSend(card, REPLY, mac, mac, ip);
}

function arpSend(card: Interface, operation: u32, to: u64, target: u64, ip: u32): void {
  const slot = slotTake(card);
  if (slot == 0) return;
  ethernetHeader(card, slot, to, TYPE_ARP);
  const at = slot + ETHERNET_BYTES;
  store16(at, HARDWARE_ETHERNET);
  store16(at + 2, TYPE_IPV4);
  store16(at + 4, 0x0604);
  store16(at + 6, operation);
  macStore(at + 8, card.mac);
  store<u32>(at, card.ip, 14);
  macStore(at + 18, target);
  store<u32>(at, ip, 24);
  slotSend(card, slot, ETHERNET_BYTES + ARP_BYTES, 0, 0);
}
