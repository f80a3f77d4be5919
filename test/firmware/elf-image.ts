// ELF files as tests want them, right or wrong: a header, program headers, segments one after the other. System V ABI,
// "Object Files" and "Program Loading".

export interface SegmentOf {
  /** PT_LOAD (1) unless told; PT_NOTE is 4. */
  readonly type?: number;
  readonly bytes: Uint8Array;
  readonly physical?: number;
  readonly virtual?: bigint;
  /** p_filesz and p_memsz where they are not the bytes' length. */
  readonly fileBytes?: number;
  readonly memoryBytes?: number;
  readonly offset?: number;
}

export interface ElfOptions {
  readonly bits?: 32 | 64;
  readonly entry: bigint | number;
  readonly segments: readonly SegmentOf[];
  readonly machine?: number;
  /** EI_DATA: 1 little endian. */
  readonly data?: number;
  readonly headers?: number;
  readonly headerBytes?: number;
}

const FIRST = 0x200;
const ALIGN = 0x100;
const headers = { 32: { at: 52, bytes: 32 }, 64: { at: 64, bytes: 56 } } as const;

export function elfImage({ bits = 32, entry, segments, machine, data = 1, ...o }: ElfOptions): Uint8Array {
  const { at: start, bytes: size } = headers[bits];
  const places: number[] = [];
  let end = FIRST;
  for (const { bytes } of segments) {
    places.push(end);
    end = (end + bytes.length + ALIGN - 1) & -ALIGN;
  }
  const last = segments.length - 1;
  const file = new Uint8Array(segments.length === 0 ? FIRST : places[last]! + segments[last]!.bytes.length);
  const view = new DataView(file.buffer);
  const word = (at: number, value: bigint | number) =>
    bits === 64 ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, Number(value), true);
  const at = bits === 64 ? { headers: 32, size: 54, count: 56 } : { headers: 28, size: 42, count: 44 };
  file.set([0x7f, 0x45, 0x4c, 0x46, bits / 32, data, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, machine ?? (bits === 64 ? 62 : 3), true);
  word(24, entry);
  word(at.headers, o.headers ?? start);
  view.setUint16(at.size, o.headerBytes ?? size, true);
  view.setUint16(at.count, segments.length, true);
  for (const [index, segment] of segments.entries()) {
    const { type = 1, bytes, physical = 0, virtual = BigInt(physical) } = segment;
    const header = start + size * index;
    const fileBytes = segment.fileBytes ?? bytes.length;
    const values = [
      segment.offset ?? places[index]!,
      virtual,
      physical,
      fileBytes,
      segment.memoryBytes ?? fileBytes,
    ];
    view.setUint32(header, type, true);
    for (const [field, offset] of (bits === 64 ? [8, 16, 24, 32, 40] : [4, 8, 12, 16, 20]).entries())
      word(header + offset, values[field]!);
    file.set(bytes, places[index]!);
  }
  return file;
}

const u32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

/** A multiboot header, and behind it, at 12, code that stops. */
export function multibootStop(flags = 0): Uint8Array {
  const magic = 0x1bad_b002;
  return Uint8Array.from([magic, flags, -(magic + flags)].flatMap(u32).concat([0xf4, 0xeb, 0xfd]));
}
export const STOP_AT = 12;

/** The note of a PVH entry (Xen, "x86/HVM direct boot ABI"). */
export const pvhNote = (entry: number): Uint8Array =>
  Uint8Array.from([...u32(4), ...u32(4), ...u32(18), ...Buffer.from("Xen\0"), ...u32(entry)]);
