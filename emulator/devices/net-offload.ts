// What a network card does to frames in its driver's stead: the Internet checksum (RFC 1071), TCP segments cut to what the
// wire takes, and the look at the checksum of what came in (VIRTIO 1.2, 5.1.6.2 and 5.1.6.4).
// Offsets come from a driver, lengths from the wire, and both may lie: each is checked before use.
// Invariant: of a frame only header fields change.

/** Fields of struct virtio_net_hdr. */
export const netHeader = {
  flags: 0,
  gsoType: 1,
  gsoSize: 4,
  csumStart: 6,
  csumOffset: 8,
  numBuffers: 10,
  bytes: 12,
} as const;
export const headerFlag = { needsChecksum: 1, dataValid: 2 } as const;
/** VIRTIO_NET_HDR_GSO_*; the ECN bit says that the frame has CWR set, which the frame says itself. */
export const gsoType = { none: 0, tcp4: 1, tcp6: 4, ecn: 0x80 } as const;

const etherType = { ipv4: 0x0800, ipv6: 0x86dd, vlan: 0x8100, serviceVlan: 0x88a8 } as const;
const ETHER_TYPE = 12;
const VLAN_TAG_BYTES = 4;
const protocol = { tcp: 6, udp: 17 } as const;
const ipv4 = { length: 2, id: 4, fragment: 6, protocol: 9, checksum: 10, addresses: 12, bytes: 20 } as const;
const NOT_WHOLE = 0x3fff; // more fragments, or an offset
const ipv6 = { length: 4, next: 6, addresses: 8, bytes: 40 } as const;
const tcp = { sequence: 4, dataOffset: 12, flags: 13, checksum: 16, bytes: 20 } as const;
const tcpFlag = { fin: 0x01, psh: 0x08, cwr: 0x80 } as const;
const udp = { length: 4, checksum: 6, bytes: 8 } as const;

const load16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
function store16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
}
const load32 = (bytes: Uint8Array, at: number): number =>
  ((load16(bytes, at) << 16) | load16(bytes, at + 2)) >>> 0;
function store32(bytes: Uint8Array, at: number, value: number): void {
  store16(bytes, at, (value >>> 16) & 0xffff);
  store16(bytes, at + 2, value & 0xffff);
}

/** A ones' complement sum in 16 bits. */
function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}

/** The ones' complement sum of the 16-bit words from `from` to before `to`; an odd byte at the end is a word's upper. */
export function sum16(bytes: Uint8Array, from: number, to: number): number {
  let sum = 0;
  let at = from;
  // Of the 64 KiB and some that a frame may have, 32 bits hold the sum.
  for (; at + 1 < to; at += 2) sum += (bytes[at]! << 8) | bytes[at + 1]!;
  if (at < to) sum += bytes[at]! << 8;
  return fold(sum);
}

/** What stands for a sum in a header. Zero means none to UDP (RFC 768), and both zeros are the same to all others. */
const complement = (sum: number): number => (sum === 0xffff ? 0xffff : ~sum & 0xffff);

/**
 * Completes the checksum over all from `start` on; the field, `offset` bytes behind it, holds the sum of the pseudo
 * header. Gives what is wrong, or "".
 */
export function completeChecksum(frame: Uint8Array, start: number, offset: number): string {
  const field = start + offset;
  if (field + 2 > frame.length) return `csum_start ${start} and csum_offset ${offset} lie beyond the frame`;
  store16(frame, field, complement(sum16(frame, start, frame.length)));
  return "";
}

const ipv4HeaderBytes = (frame: Uint8Array, at: number): number => (frame[at]! & 15) * 4;

/** Where the network header starts, and its EtherType behind VLAN tags; undefined when the frame is too short. */
function network(frame: Uint8Array): { at: number; type: number } | undefined {
  for (let at = ETHER_TYPE; at + 2 <= frame.length; at += VLAN_TAG_BYTES) {
    const type = load16(frame, at);
    if (type !== etherType.vlan && type !== etherType.serviceVlan) return { at: at + 2, type };
  }
  return undefined;
}

export interface Segmentation {
  readonly type: number;
  /** Bytes of payload in each segment but the last. */
  readonly size: number;
  readonly csumStart: number;
  readonly csumOffset: number;
  /** The longest frame that the wire takes. */
  readonly frameBytesMax: number;
}

/** Where the parts of a frame that is to be cut begin. */
interface Layout {
  readonly network: number;
  readonly version: 4 | 6;
  readonly tcp: number;
  readonly payload: number;
}

function layout(frame: Uint8Array, { type, size, csumStart, csumOffset, frameBytesMax }: Segmentation) {
  const version = { [gsoType.tcp4]: 4, [gsoType.tcp6]: 6 }[type] as 4 | 6 | undefined;
  const place = network(frame);
  if (version === undefined || place?.type !== (version === 4 ? etherType.ipv4 : etherType.ipv6))
    return `gso_type ${type} does not go with EtherType 0x${(place?.type ?? 0).toString(16)}`;
  const header = version === 4 ? ipv4HeaderBytes(frame, place.at) : ipv6.bytes;
  if (header < ipv4.bytes || place.at + header > csumStart || csumStart + tcp.bytes > frame.length)
    return `csum_start ${csumStart} is not where a TCP header can be`;
  const payload = csumStart + (frame[csumStart + tcp.dataOffset]! >> 4) * 4;
  if (csumOffset !== tcp.checksum || payload < csumStart + tcp.bytes || payload >= frame.length)
    return `gso_type ${type}: no TCP segment with a payload`;
  if (size === 0 || payload + size > frameBytesMax)
    return `gso_size ${size} behind ${payload} bytes of headers: the wire takes ${frameBytesMax}`;
  return { network: place.at, version, tcp: csumStart, payload };
}

/** Cuts a TCP segment and sends its parts, in a buffer that is used again. Gives what is wrong, or "". */
export function segment(
  frame: Uint8Array,
  how: Segmentation,
  buffer: Uint8Array,
  send: (frame: Uint8Array) => void,
): string {
  const places = layout(frame, how);
  if (typeof places === "string") return places;
  const { payload } = places;
  // RFC 1624: the driver's pseudo header has the length of the whole.
  const pseudo = load16(frame, places.tcp + tcp.checksum) + (~(frame.length - places.tcp) & 0xffff);
  buffer.set(frame.subarray(0, payload));
  for (let from = payload, index = 0; from < frame.length; from += how.size, index++) {
    const part = frame.subarray(from, from + how.size);
    buffer.set(part, payload);
    const out = buffer.subarray(0, payload + part.length);
    addressSegment(out, places, load16(frame, places.network + ipv4.id) + index);
    const last = from + how.size >= frame.length;
    const flags = frame[places.tcp + tcp.flags]!;
    // RFC 3168, 6.1.2: one CWR for one reduction of the window.
    out[places.tcp + tcp.flags] =
      flags & ~(last ? 0 : tcpFlag.fin | tcpFlag.psh) & ~(index === 0 ? 0 : tcpFlag.cwr);
    store32(out, places.tcp + tcp.sequence, load32(frame, places.tcp + tcp.sequence) + (from - payload));
    store16(out, places.tcp + tcp.checksum, fold(pseudo + (out.length - places.tcp)));
    completeChecksum(out, places.tcp, tcp.checksum);
    send(out);
  }
  return "";
}

/** The network header of one segment: its length and, of IPv4, identification and checksum. */
function addressSegment(out: Uint8Array, { network: at, version }: Layout, id: number): void {
  if (version === 6) {
    store16(out, at + ipv6.length, out.length - at - ipv6.bytes);
    return;
  }
  store16(out, at + ipv4.length, out.length - at);
  store16(out, at + ipv4.id, id & 0xffff);
  store16(out, at + ipv4.checksum, 0);
  store16(out, at + ipv4.checksum, ~sum16(out, at, at + ipv4HeaderBytes(out, at)) & 0xffff);
}

/** Whether the frame holds a whole TCP or UDP datagram whose checksum is there and right. */
export function checksumRight(frame: Uint8Array): boolean {
  const place = network(frame);
  if (place?.type === etherType.ipv4) return rightInIpv4(frame, place.at);
  if (place?.type === etherType.ipv6) return rightInIpv6(frame, place.at);
  return false;
}

function rightInIpv4(frame: Uint8Array, at: number): boolean {
  if (at + ipv4.bytes > frame.length || frame[at]! >> 4 !== 4) return false;
  if ((load16(frame, at + ipv4.fragment) & NOT_WHOLE) !== 0) return false;
  const header = ipv4HeaderBytes(frame, at);
  const end = at + load16(frame, at + ipv4.length);
  if (header < ipv4.bytes) return false;
  const addresses = sum16(frame, at + ipv4.addresses, at + ipv4.bytes);
  return rightAbove(frame, frame[at + ipv4.protocol]!, at + header, end, addresses);
}

function rightInIpv6(frame: Uint8Array, at: number): boolean {
  const above = at + ipv6.bytes;
  if (above > frame.length || frame[at]! >> 4 !== 6) return false;
  const end = above + load16(frame, at + ipv6.length);
  return rightAbove(frame, frame[at + ipv6.next]!, above, end, sum16(frame, at + ipv6.addresses, above));
}

/** The checksum of what is above the network header, from `start` to before `end`; a UDP datagram may have none. */
function rightAbove(frame: Uint8Array, what: number, start: number, end: number, addresses: number): boolean {
  const length = end - start;
  if (end > frame.length || length < (what === protocol.tcp ? tcp.bytes : udp.bytes)) return false;
  if (what === protocol.udp) {
    if (load16(frame, start + udp.checksum) === 0 || load16(frame, start + udp.length) !== length)
      return false;
  } else if (what !== protocol.tcp) return false;
  return fold(addresses + what + length + sum16(frame, start, end)) === 0xffff;
}
