// QEMU's `-netdev stream` and `-netdev socket` framing (net/stream.c, net/socket.c): each Ethernet frame on the
// TCP connection is preceded by its length in bytes, 32 bits, big endian. Pure.

import { FRAME_BYTES_MAX } from "./frame.js";

export function encode(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + frame.length);
  new DataView(bytes.buffer).setUint32(0, frame.length);
  bytes.set(frame, 4);
  return bytes;
}

/** Cuts a TCP stream into frames. Throws on a length that no frame has: the stream cannot be trusted then. */
export class Decoder {
  #pending: Uint8Array = new Uint8Array(0);

  push(chunk: Uint8Array): Uint8Array[] {
    const bytes = this.#pending.length === 0 ? chunk : concatenate(this.#pending, chunk);
    const frames: Uint8Array[] = [];
    let offset = 0;
    while (bytes.length - offset >= 4) {
      const length = new DataView(bytes.buffer, bytes.byteOffset + offset).getUint32(0);
      if (length > FRAME_BYTES_MAX || length === 0) {
        throw new RangeError(`frame length ${length} in the QEMU stream: wanted 1 to ${FRAME_BYTES_MAX}`);
      }
      if (bytes.length - offset - 4 < length) break;
      frames.push(bytes.slice(offset + 4, offset + 4 + length));
      offset += 4 + length;
    }
    this.#pending = bytes.slice(offset);
    return frames;
  }
}

function concatenate(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
