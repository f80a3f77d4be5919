// Ethernet frames as the bridge sees them (IEEE 802.3, 3.1.1), without preamble and frame check sequence.
// Jumbo frames carry a whole page and its headers.

export const HEADER_BYTES = 14;
/** 9000 bytes of payload behind the header. */
export const FRAME_BYTES_MAX = 9014;

/** Why a frame is refused, or null when it is well-formed. */
export function malformed(frame: Uint8Array): string | null {
  if (frame.length < HEADER_BYTES) {
    return `frame of ${frame.length} bytes is shorter than an Ethernet header (${HEADER_BYTES})`;
  }
  if (frame.length > FRAME_BYTES_MAX) {
    return `frame of ${frame.length} bytes is longer than ${FRAME_BYTES_MAX}`;
  }
  if (isGroup(frame, 6)) return `source address ${addressText(frame, 6)} is a group address`;
  return null;
}

/** True when the address at `offset` is a multicast or broadcast address (bit 0 of its first byte). */
export function isGroup(frame: Uint8Array, offset: number): boolean {
  return (frame[offset]! & 1) !== 0;
}

/** The six bytes at `offset` as one number (48 bits fit a double exactly), for use as a key. */
export function addressKey(frame: Uint8Array, offset: number): number {
  let key = 0;
  for (let i = 0; i < 6; i++) key = key * 256 + frame[offset + i]!;
  return key;
}

export function addressText(frame: Uint8Array, offset: number): string {
  return [...frame.subarray(offset, offset + 6)].map((b) => b.toString(16).padStart(2, "0")).join(":");
}
