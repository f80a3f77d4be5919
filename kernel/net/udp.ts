// UDP (RFC 768). Its checksum is made and asked for, unless the payload carries a better one (`checks`): then it is zero,
// which RFC 768 has for "none".
import { fold16, internetSum } from "./checksum";
import {
  ETHERNET_BYTES,
  HEADERS_BYTES,
  Interface,
  IP_BYTES,
  load16,
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
  }
  slotSend(card, slot, HEADERS_BYTES + bytes, more, moreBytes);
  return true;
}
