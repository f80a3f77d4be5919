// UDP (RFC 768). Its checksum is made and asked for, unless the payload carries a better one (`checks`): then it is zero,
// which RFC 768 has for "none".
import { arpResolve } from "./arp";
import { fold16, internetSum } from "./checksum";
import {
  ETHERNET_BYTES,
  HEADERS_BYTES,
  Interface,
  IP_BYTES,
  load16,
  macLoad,
  slotReturn,
  slotSend,
  store16,
  UDP_BYTES,
} from "./interface";
import { ipHeader, PROTOCOL_UDP } from "./ip";

/** The pseudo header: both addresses, the protocol, the length. Words in memory's order, as the rest is summed. */
function pseudo(from: u32, to: u32, bytes: u32): u64 {
  return <u64>from + <u64>to + ((<u64>PROTOCOL_UDP) << 8) + <u64>bswap<u16>(<u16>bytes);
}

/** True: it was right, and has been delivered. */
export function udpInput(card: Interface, from: u32, at: usize, bytes: u32): bool {
  const length = bytes >= UDP_BYTES ? load16(at + 4) : 0;
  if (length < UDP_BYTES || length > bytes) {
    card.cut++;
    return false;
  }
  if (load16(at + 2) != card.port) {
    card.notForUs++;
    return false;
  }
  const sum = <u32>load<u16>(at, 6);
  const right =
    sum == 0 ? card.checks != 0 : fold16(internetSum(at, length) + pseudo(from, card.ip, length)) == 0xffff;
  if (!right) {
    card.badChecksum++;
    return false;
  }
  udpDeliver(card, from, at);
  return true;
}

/** The next one with this header is right as well, whatever it carries. */
export function udpDecidedByHeaders(card: Interface, at: usize): bool {
  return card.checks != 0 && load<u16>(at, 6) == 0;
}

/** One that is right. */
export function udpDeliver(card: Interface, from: u32, at: usize): void {
  call_indirect<void>(card.datagram, from, load16(at), at + UDP_BYTES, load16(at + 4) - UDP_BYTES);
}

function isLikeSent(card: Interface, to: u32, port: u32, length: u32, now: u64): bool {
  if (card.checks == 0 || length != card.sentBytes || to != card.sentTo || port != card.sentPort)
    return false;
  return arpResolve(card, to, now) == macLoad(changetype<usize>(card) + offsetof<Interface>("sent0"));
}

/** Those of Ethernet, IP and UDP: 42 bytes. */
function headersCopy(to: usize, from: usize): void {
  store<u64>(to, load<u64>(from));
  store<u64>(to, load<u64>(from, 8), 8);
  store<u64>(to, load<u64>(from, 16), 16);
  store<u64>(to, load<u64>(from, 24), 24);
  store<u64>(to, load<u64>(from, 32), 32);
  store<u16>(to, load<u16>(from, 40), 40);
}

/**
 * Sends the `bytes` that already lie in the slot behind the headers, followed by `moreBytes` at `more`. False: the
 * neighbour is not known yet; the datagram is dropped, the slot given back.
 */
export function udpSend(
  card: Interface,
  slot: usize,
  to: u32,
  port: u32,
  bytes: u32,
  more: usize,
  moreBytes: u32,
  now: u64,
): bool {
  const length = UDP_BYTES + bytes + moreBytes;
  // Without a checksum of what they carry the headers of one datagram are those of the next.
  if (isLikeSent(card, to, port, length, now)) {
    headersCopy(slot, changetype<usize>(card) + offsetof<Interface>("sent0"));
    slotSend(card, slot, HEADERS_BYTES + bytes, more, moreBytes);
    return true;
  }
  if (!ipHeader(card, slot, to, PROTOCOL_UDP, length, now)) {
    slotReturn(card, slot);
    return false;
  }
  const at = slot + ETHERNET_BYTES + IP_BYTES;
  store16(at, card.port);
  store16(at + 2, port);
  store16(at + 4, length);
  store<u16>(at, 0, 6);
  if (card.checks == 0) {
    assert((bytes & 3) == 0 || moreBytes == 0, "a checksum in two parts needs a first part of whole words");
    const sum =
      internetSum(at, UDP_BYTES + bytes) + internetSum(more, moreBytes) + pseudo(card.ip, to, length);
    const checksum = ~fold16(sum) & 0xffff;
    store<u16>(at, <u16>(checksum == 0 ? 0xffff : checksum), 6);
  } else {
    headersCopy(changetype<usize>(card) + offsetof<Interface>("sent0"), slot);
    card.sentTo = to;
    card.sentPort = port;
    card.sentBytes = length;
  }
  slotSend(card, slot, HEADERS_BYTES + bytes, more, moreBytes);
  return true;
}
