// Ethernet II frames (IEEE 802.3): in, to ARP or IPv4; out, with a header.

import { VOTE_GROUP, VOTE_TYPE } from "../syslink/view";
import { arpInput } from "./arp";
import { ETHERNET_BYTES, Interface, load16, macLoad, macStore, store16 } from "./interface";
import { ipInput } from "./ip";

export const TYPE_IPV4: u32 = 0x0800;
export const TYPE_ARP: u32 = 0x0806;
export const BROADCAST: u64 = 0xffff_ffff_ffff;

/** A received frame of `bytes` at `at`; `now` in nanoseconds. */
export function ethernetInput(card: Interface, at: usize, bytes: u32, now: u64): void {
  card.framesReceived++;
  if (bytes < ETHERNET_BYTES) {
    card.cut++;
    return;
  }
  const to = macLoad(at);
  const type = load16(at + 12);
  const body = at + ETHERNET_BYTES;
  if (to == VOTE_GROUP && type == VOTE_TYPE && card.vote != 0) {
    call_indirect<void>(card.vote, body, bytes - ETHERNET_BYTES, now);
    return;
  }
  if (to != card.mac && to != BROADCAST) {
    card.notForUs++;
    return;
  }
  if (type == TYPE_IPV4) ipInput(card, body, bytes - ETHERNET_BYTES, now);
  else if (type == TYPE_ARP) arpInput(card, body, bytes - ETHERNET_BYTES, now);
  else card.unknownProtocol++;
}

export function ethernetHeader(card: Interface, slot: usize, to: u64, type: u32): void {
  macStore(slot, to);
  macStore(slot + 6, card.mac);
  store16(slot + 12, type);
}
