// UDP (RFC 768), with its checksum always. The sums over a payload are made once and serve both UDP and the link.
import { fold16, Sums, sumsAdd, sumsClear, sumsHead } from "./checksum";
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

const scratch: usize = memory.data(32, 8);

/** The pseudo header: both addresses, the protocol, the length. Words in memory's order, as the rest is summed. */
function pseudo(from: u32, to: u32, bytes: u32): u64 {
  return <u64>from + <u64>to + ((<u64>PROTOCOL_UDP) << 8) + <u64>bswap<u16>(<u16>bytes);
}

export function udpInput(card: Interface, from: u32, at: usize, bytes: u32): void {
  const length = bytes >= UDP_BYTES ? load16(at + 4) : 0;
  if (length < UDP_BYTES || length > bytes) {
    card.cut++;
    return;
  }
  if (load16(at + 2) != card.port) {
    card.notForUs++;
    return;
  }
  const payload = at + UDP_BYTES;
  const sums = changetype<Sums>(scratch);
  sumsClear(sums);
  const bytesOfHead: u32 = length - UDP_BYTES >= 8 ? 8 : 0;
  if (bytesOfHead != 0) sumsHead(sums, payload);
  sumsAdd(sums, payload + bytesOfHead, length - UDP_BYTES - bytesOfHead);
  const header = <u64>load<u32>(at) + <u64>load<u32>(at, 4);
  // All zero: the sender has made none (RFC 768); ours always does.
  if (load<u16>(at, 6) == 0 || fold16(sums.a + header + pseudo(from, card.ip, length)) != 0xffff) {
    card.badChecksum++;
    return;
  }
  call_indirect<void>(card.datagram, from, load16(at), payload, length - UDP_BYTES, scratch);
}

/**
 * Sends the `bytes` that already lie in the slot behind the headers, followed by `moreBytes` at `more`. `a`: the sum of
 * all of that (Sums.a). False: the neighbour is not known yet; the datagram is dropped, the slot given back.
 */
export function udpSend(
  card: Interface,
  slot: usize,
  to: u32,
  port: u32,
  bytes: u32,
  more: usize,
  moreBytes: u32,
  a: u64,
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
  const header = <u64>load<u32>(at) + <u64>load<u32>(at, 4);
  const sum = ~fold16(a + header + pseudo(card.ip, to, length)) & 0xffff;
  store<u16>(at, <u16>(sum == 0 ? 0xffff : sum), 6);
  slotSend(card, slot, HEADERS_BYTES + bytes, more, moreBytes);
  return true;
}
