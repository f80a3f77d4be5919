// The kernel proper out of a bzImage, an ELF file, for booting it by PVH: Linux Documentation/arch/x86/boot.rst, setup header
// 2.08 and later (payload_offset, payload_length). Debian packs its kernel for clouds with LZ4 and the generic one with XZ,
// which Node does not know: Debian's xz unpacks that.

import { spawnSync } from "node:child_process";

const SECTOR_BYTES = 512;
const header = { sectors: 0x1f1, magic: 0x202, version: 0x206, offset: 0x248, length: 0x24c } as const;
const HDRS = 0x5372_6448;
const LZ4_LEGACY = 0x184c_2102;
const XZ = 0x587a_37fd;
const UNPACKED_BYTES_MAX = 1 << 30;

export function vmlinux(bzImage: Uint8Array): Uint8Array {
  const view = new DataView(bzImage.buffer, bzImage.byteOffset, bzImage.byteLength);
  if (view.getUint32(header.magic, true) !== HDRS || view.getUint16(header.version, true) < 0x208)
    throw new Error("bzImage: no setup header of version 2.08 or later");
  const start = (bzImage[header.sectors]! + 1) * SECTOR_BYTES + view.getUint32(header.offset, true);
  // The build appends the unpacked size to what its packer gave.
  const packed = bzImage.subarray(start, start + view.getUint32(header.length, true) - 4);
  const bytes = view.getUint32(start + packed.length, true);
  const magic = view.getUint32(start, true);
  if (magic === LZ4_LEGACY) return lz4(packed.subarray(4), bytes);
  if (magic === XZ) return xz(packed, bytes);
  throw new Error(`bzImage: its payload begins with ${magic.toString(16)}, which is neither LZ4 nor XZ`);
}

/** LZ4's legacy frame: blocks, each behind its size (lz4_Frame_format.md; lz4_Block_format.md). */
function lz4(frame: Uint8Array, bytes: number): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const out = new Uint8Array(bytes);
  let to = 0;
  for (let at = 0; at < frame.length; ) {
    const end = at + 4 + view.getUint32(at, true);
    to = lz4Block(frame, at + 4, end, out, to);
    at = end;
  }
  if (to !== bytes) throw new Error(`bzImage: ${to} bytes unpacked, ${bytes} promised`);
  return out;
}

/** Sequences: a token, literals, and a match that may reach into what it writes; the last has literals only. */
function lz4Block(from: Uint8Array, start: number, end: number, out: Uint8Array, place: number): number {
  let at = start;
  let to = place;
  const extended = (length: number) => {
    let sum = length;
    if (length === 15)
      for (let more = 255; more === 255; ) {
        more = from[at++]!;
        sum += more;
      }
    return sum;
  };
  while (at < end) {
    const token = from[at++]!;
    const literals = extended(token >> 4);
    out.set(from.subarray(at, at + literals), to);
    at += literals;
    to += literals;
    if (at >= end) break;
    const offset = from[at]! | (from[at + 1]! << 8);
    at += 2;
    for (let left = 4 + extended(token & 15); left > 0; left--, to++) out[to] = out[to - offset]!;
  }
  return to;
}

function xz(packed: Uint8Array, bytes: number): Uint8Array {
  const { status, stdout, stderr } = spawnSync("xz", ["-dc"], {
    input: packed,
    maxBuffer: UNPACKED_BYTES_MAX,
  });
  if (status !== 0 || stdout.length !== bytes)
    throw new Error(`xz: status ${status}, ${stdout?.length} of ${bytes} bytes: ${stderr}`);
  return stdout;
}
