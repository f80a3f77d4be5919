// IPv4 (RFC 791) without fragments or routes: every address is on the wire. And the echo of ICMP (RFC 792).
import { arpResolve } from "./arp";
import { fold16, internetSum } from "./checksum";
import { ethernetHeader, TYPE_IPV4 } from "./ethernet";
import {
  ETHERNET_BYTES,
  Interface,
  IP_BYTES,
  load16,
  SLOT_BYTES,
  slotReturn,
  slotSend,
  slotTake,
  store16,
} from "./interface";
import { udpDecidedByHeaders, udpDeliver, udpInput } from "./udp";

export const PROTOCOL_ICMP: u32 = 1;
export const PROTOCOL_UDP: u32 = 17;
const VERSION_AND_5_WORDS: u32 = 0x45;
const DO_NOT_FRAGMENT: u32 = 0x4000;
const MORE_FRAGMENTS_OR_OFFSET: u32 = 0x3fff;
const TIME_TO_LIVE: u32 = 64;
const ICMP_BYTES: u32 = 8;
const ECHO_REPLY: u32 = 0;
const ECHO_REQUEST: u32 = 8;

function sumOf(at: usize, bytes: u32): u32 {
  return fold16(internetSum(at, bytes));
}

/** Of a header without options, which all have but for strangers': its five words. */
function headerSum(at: usize): u32 {
  const front = <u64>load<u32>(at) + <u64>load<u32>(at, 4) + <u64>load<u32>(at, 8);
  return fold16(front + <u64>load<u32>(at, 12) + <u64>load<u32>(at, 16));
}

/** Has it the headers of the last datagram that was right, about which nothing else decides? */
function isLikeTaken(card: Interface, at: usize, bytes: u32): bool {
  return (
    bytes == card.takenBytes &&
    load<u64>(at) == card.taken0 &&
    load<u64>(at, 8) == card.taken1 &&
    load<u64>(at, 16) == card.taken2 &&
    load<u32>(at, 24) == card.taken3
  );
}

function keepTaken(card: Interface, at: usize, bytes: u32): void {
  card.takenBytes = bytes;
  card.taken0 = load<u64>(at);
  card.taken1 = load<u64>(at, 8);
  card.taken2 = load<u64>(at, 16);
  card.taken3 = load<u32>(at, 24);
}

export function ipInput(card: Interface, at: usize, bytes: u32, now: u64): void {
  if (isLikeTaken(card, at, bytes)) {
    udpDeliver(card, load<u32>(at, 12), at + IP_BYTES);
    return;
  }
  const first = bytes >= IP_BYTES ? <u32>load<u8>(at) : 0;
  const header = (first & 15) << 2;
  if (first >> 4 != 4 || header < IP_BYTES || header > bytes) {
    card.cut++;
    return;
  }
  const length = load16(at + 2);
  if (length < header || length > bytes) {
    card.cut++;
    return;
  }
  if ((header == IP_BYTES ? headerSum(at) : sumOf(at, header)) != 0xffff) {
    card.badChecksum++;
    return;
  }
  if (load16(at + 6) & MORE_FRAGMENTS_OR_OFFSET) {
    card.fragments++;
    return;
  }
  if (load<u32>(at, 16) != card.ip) {
    card.notForUs++;
    return;
  }
  const protocol = <u32>load<u8>(at, 9);
  if (protocol == PROTOCOL_UDP) {
    const right = udpInput(card, load<u32>(at, 12), at + header, length - header);
    if (right && header == IP_BYTES && udpDecidedByHeaders(card, at + header)) keepTaken(card, at, bytes);
  } else if (protocol == PROTOCOL_ICMP) icmpInput(card, load<u32>(at, 12), at + header, length - header, now);
  else card.unknownProtocol++;
}

/**
 * Ethernet and IP headers into a slot for `bytes` of `protocol`. False: the neighbour is not known yet, it has been
 * asked for, and the packet is to be dropped.
 */
export function ipHeader(card: Interface, slot: usize, to: u32, protocol: u32, bytes: u32, now: u64): bool {
  assert(bytes + IP_BYTES <= card.mtu, "a packet longer than the wire takes");
  const mac = arpResolve(card, to, now);
  if (mac == 0) {
    card.unresolved++;
    return false;
  }
  const at = slot + ETHERNET_BYTES;
  ethernetHeader(card, slot, mac, TYPE_IPV4);
  store<u16>(at, <u16>VERSION_AND_5_WORDS);
  store16(at + 2, IP_BYTES + bytes);
  store<u16>(at, 0, 4); // no fragments, so no identification (RFC 6864)
  store16(at + 6, DO_NOT_FRAGMENT);
  store<u8>(at, <u8>TIME_TO_LIVE, 8);
  store<u8>(at, <u8>protocol, 9);
  store<u16>(at, 0, 10);
  store<u32>(at, card.ip, 12);
  store<u32>(at, to, 16);
  store<u16>(at, <u16>~headerSum(at), 10);
  return true;
}

function icmpInput(card: Interface, from: u32, at: usize, bytes: u32, now: u64): void {
  if (bytes < ICMP_BYTES) {
    card.cut++;
    return;
  }
  if (sumOf(at, bytes) != 0xffff) {
    card.badChecksum++;
    return;
  }
  const room = SLOT_BYTES - ETHERNET_BYTES - IP_BYTES;
  if (<u32>load<u8>(at) != ECHO_REQUEST || load<u8>(at, 1) != 0 || bytes > room) {
    card.unknownProtocol++;
    return;
  }
  const slot = slotTake(card);
  if (slot == 0) return;
  if (!ipHeader(card, slot, from, PROTOCOL_ICMP, bytes, now)) {
    slotReturn(card, slot);
    return;
  }
  const reply = slot + ETHERNET_BYTES + IP_BYTES;
  memory.copy(reply, at, bytes);
  store<u8>(reply, <u8>ECHO_REPLY);
  store<u16>(reply, 0, 2);
  store<u16>(reply, <u16>~sumOf(reply, bytes), 2);
  slotSend(card, slot, ETHERNET_BYTES + IP_BYTES + bytes, 0, 0);
}
