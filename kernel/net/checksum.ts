// One pass over a datagram gives both of its checksums: the Internet checksum (RFC 1071) that UDP carries, and the
// stronger one that the link puts in its header. `a` is the sum of the 32-bit words, whose ones'-complement folding is
// the Internet checksum whatever the byte order; `b` is the sum of the running sums, as in Fletcher's, so that words
// that changed places show. Both are exact: 64 bits overflow only beyond 2^16 words.

@unmanaged
export class Sums {
  a: u64 = 0;
  b: u64 = 0;
  words: u32 = 0;
}

/** Adds `bytes` at `at`; the last 1 to 3 are padded with zeros, so only the last piece may have an odd length. */
export function sumsAdd(sums: Sums, at: usize, bytes: u32): void {
  let a = sums.a;
  let b = sums.b;
  const end = at + (bytes & ~3);
  const endOfEights = at + (bytes & ~7);
  sums.words += (bytes + 3) >> 2;
  while (at < endOfEights) {
    const pair = load<u64>(at);
    a += pair & 0xffff_ffff;
    b += a;
    a += pair >> 32;
    b += a;
    at += 8;
  }
  if (at < end) {
    a += <u64>load<u32>(at);
    b += a;
    at += 4;
  }
  const rest = bytes & 3;
  if (rest != 0) {
    let word = <u32>load<u8>(at);
    if (rest > 1) word |= (<u32>load<u8>(at, 1)) << 8;
    if (rest > 2) word |= (<u32>load<u8>(at, 2)) << 16;
    a += <u64>word;
    b += a;
  }
  sums.a = a;
  sums.b = b;
}

/** The ones'-complement sum, 16 bits, in memory's byte order. */
export function fold16(sum: u64): u32 {
  let folded = (sum >> 32) + (sum & 0xffff_ffff);
  folded = (folded >> 16) + (folded & 0xffff);
  folded = (folded >> 16) + (folded & 0xffff);
  folded = (folded >> 16) + (folded & 0xffff);
  return <u32>folded;
}

/** The link's checksum of what was summed. */
export function mix32(a: u64, b: u64): u32 {
  let h = a * 0x13_79b9_7f4a_7c15 + b * 0x12_ae3d_27d4_eb4f;
  h ^= h >> 32;
  h *= 0x16_67b1_9e37_79f9;
  return <u32>(h >> 32);
}
