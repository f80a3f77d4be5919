// One network card as the protocols see it, and what they count. The card (virtio-net.ts) or a test fills it in.
//
// A frame that goes out lies in a slot, which the card lends: room for all headers, so placed that the IP header is
// 4-aligned and a UDP payload 8-aligned. A payload that lies elsewhere goes by reference and must stay as it is until
// it has been sent.
//
//   slot    0 ethernet[14]   14 ip[20]   34 udp[8]   42 payload or its beginning

/** Of a slot: all headers and the beginning of a payload. */
export const SLOT_BYTES: u32 = 256;
export const ETHERNET_BYTES: u32 = 14;
export const IP_BYTES: u32 = 20;
export const UDP_BYTES: u32 = 8;
export const HEADERS_BYTES: u32 = 42;

@unmanaged
export class Interface {
  /** In memory's order, as they stand in frames; the upper two bytes are 0. */
  mac: u64 = 0;
  /** The same: 10.66.0.1 is 0x0100420a. */
  ip: u32 = 0;
  /** Largest IP packet. */
  mtu: u32 = 0;
  /** Table index of (): usize, a free slot or 0. */
  slot: u32 = 0;
  /** Table index of (slot: usize, bytes: u32, more: usize, moreBytes: u32): void; both parts make one frame, 0 bytes none. */
  send: u32 = 0;
  /** Table index of (source ip: u32, source port: u32, payload: usize, bytes: u32): void. */
  datagram: u32 = 0;
  /** Table index of (body: usize, bytes: u32, now: u64): void, for votes (syslink/view.ts); 0 = none. */
  vote: u32 = 0;
  /** 1: what is at `port` checks its payloads itself, so UDP's checksum is zero. */
  checks: u32 = 0;
  /** The UDP port that it gets. */
  port: u32 = 0;

  // Most datagrams have the headers of the one before. The IP and UDP headers of the last that was taken for right by these alone
  // (ip.ts), and how many bytes came with them; 0: none was. All headers of the last that was sent without a checksum (udp.ts), and what
  // they were made of: `sentBytes` are UDP's.
  takenBytes: u32 = 0;
  taken3: u32 = 0;
  taken0: u64 = 0;
  taken1: u64 = 0;
  taken2: u64 = 0;
  sentTo: u32 = 0;
  sentPort: u32 = 0;
  sentBytes: u32 = 0;
  sent0: u64 = 0;
  sent1: u64 = 0;
  sent2: u64 = 0;
  sent3: u64 = 0;
  sent4: u64 = 0;
  sent5: u64 = 0;

  // Counters: why frames were not taken.
  framesReceived: u64 = 0;
  framesSent: u64 = 0;
  cut: u64 = 0;
  notForUs: u64 = 0;
  unknownProtocol: u64 = 0;
  badChecksum: u64 = 0;
  fragments: u64 = 0;
  unresolved: u64 = 0;
  noSlot: u64 = 0;
}

export function slotTake(card: Interface): usize {
  const slot = call_indirect<usize>(card.slot);
  if (slot == 0) card.noSlot++;
  return slot;
}

export function slotSend(card: Interface, slot: usize, bytes: u32, more: usize, moreBytes: u32): void {
  card.framesSent++;
  call_indirect<void>(card.send, slot, bytes, more, moreBytes);
}

/** The slot is not needed after all. */
export function slotReturn(card: Interface, slot: usize): void {
  call_indirect<void>(card.send, slot, <u32>0, <usize>0, <u32>0);
}

/** Network byte order. */
export function load16(at: usize): u32 {
  return <u32>bswap<u16>(load<u16>(at));
}
export function store16(at: usize, value: u32): void {
  store<u16>(at, bswap<u16>(<u16>value));
}

export function macLoad(at: usize): u64 {
  return <u64>load<u32>(at) | ((<u64>load<u16>(at, 4)) << 32);
}
export function macStore(at: usize, mac: u64): void {
  store<u32>(at, <u32>mac);
  store<u16>(at, <u16>(mac >> 32), 4);
}
