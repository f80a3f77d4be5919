// One pass over a datagram gives both of its checksums: the Internet checksum (RFC 1071) that UDP carries, and the
// stronger one that the link puts in its header. `a` is the sum of the 32-bit words, whose ones'-complement folding is
// the Internet checksum whatever the byte order; it is exact, since 64 bits overflow only beyond 2^32 words. `b` is a chain
// over the 64-bit words in which every step can be undone, so that one damaged word always shows, and in which the
// rotation lets no bit stay where a second error could meet it.

@unmanaged
export class Sums {
  a: u64 = 0;
  b: u64 = 0;
}

const FACTOR: u64 = 0x13_79b9_7f4a_7c15;

export function sumsClear(sums: Sums): void {
  sums.a = 0;
  sums.b = 0;
}

/** The first 8 bytes of a datagram, where it may keep a checksum of its own: into `a` only. */
export function sumsHead(sums: Sums, at: usize): void {
  sums.a += <u64>load<u32>(at) + <u64>load<u32>(at, 4);
}

/** Adds `bytes` at `at`. Pieces are multiples of 8 but for the last, which is padded with zeros. */
export function sumsAdd(sums: Sums, at: usize, bytes: u32): void {
  let a = sums.a;
  let b = sums.b;
  const end = at + (bytes & ~7);
  const endOfBlocks = at + (bytes & ~31);
  while (at < endOfBlocks) {
    a += <u64>load<u32>(at);
    a += <u64>load<u32>(at, 4);
    b = rotl<u64>(b ^ load<u64>(at), 27) * FACTOR;
    a += <u64>load<u32>(at, 8);
    a += <u64>load<u32>(at, 12);
    b = rotl<u64>(b ^ load<u64>(at, 8), 27) * FACTOR;
    a += <u64>load<u32>(at, 16);
    a += <u64>load<u32>(at, 20);
    b = rotl<u64>(b ^ load<u64>(at, 16), 27) * FACTOR;
    a += <u64>load<u32>(at, 24);
    a += <u64>load<u32>(at, 28);
    b = rotl<u64>(b ^ load<u64>(at, 24), 27) * FACTOR;
    at += 32;
  }
  while (at < end) {
    a += <u64>load<u32>(at);
    a += <u64>load<u32>(at, 4);
    b = rotl<u64>(b ^ load<u64>(at), 27) * FACTOR;
    at += 8;
  }
  let rest: u64 = 0;
  for (let i: u32 = 0; i < (bytes & 7); i++) rest |= (<u64>load<u8>(at + i)) << (i << 3);
  if ((bytes & 7) != 0) {
    a += (rest & 0xffff_ffff) + (rest >> 32);
    b = rotl<u64>(b ^ rest, 27) * FACTOR;
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

/** The link's checksum: the chain's end, mixed down to 32 bits. */
export function mix32(b: u64): u32 {
  let h = b ^ (b >> 29);
  h *= 0x16_67b1_9e37_79f9;
  return <u32>(h >> 32);
}
