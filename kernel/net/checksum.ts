// The Internet checksum (RFC 1071) of IPv4, ICMP and UDP.

/** Sum of the 32-bit words, whose folding is the checksum whatever the byte order; the last bytes are padded with zeros. */
export function internetSum(at: usize, bytes: u32): u64 {
  let sum: u64 = 0;
  const end = at + (bytes & ~3);
  while (at < end) {
    sum += <u64>load<u32>(at);
    at += 4;
  }
  for (let i: u32 = 0; i < (bytes & 3); i++) sum += (<u64>load<u8>(at + i)) << (i << 3);
  return sum;
}

/** The ones'-complement sum, 16 bits, in memory's byte order. */
export function fold16(sum: u64): u32 {
  let folded = (sum >> 32) + (sum & 0xffff_ffff);
  folded = (folded >> 16) + (folded & 0xffff);
  folded = (folded >> 16) + (folded & 0xffff);
  folded = (folded >> 16) + (folded & 0xffff);
  return <u32>folded;
}
