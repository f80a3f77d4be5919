// The check of a link's datagrams: a chain over their 64-bit words in which every step can be undone, so that one damaged
// word always shows, and in which the rotation lets no bit stay where a second error could meet it. Three instructions a word,
// since it runs over every page twice; CRC32 by tables would take eight times as many.

const FACTOR: u64 = 0x2545_f491;
export const CHAIN_START: u64 = 0x13_79b9_7f4a_7c15;

/** `bytes`: a multiple of 8. */
export function chain(start: u64, at: usize, bytes: u32): u64 {
  let c = start;
  const end = at + bytes;
  const endOfBlocks = at + (bytes & ~63);
  while (at < endOfBlocks) {
    c = rotl<u64>(c ^ load<u64>(at), 27) * FACTOR;
    c = rotl<u64>(c ^ load<u64>(at, 8), 27) * FACTOR;
    c = rotl<u64>(c ^ load<u64>(at, 16), 27) * FACTOR;
    c = rotl<u64>(c ^ load<u64>(at, 24), 27) * FACTOR;
    c = rotl<u64>(c ^ load<u64>(at, 32), 27) * FACTOR;
    c = rotl<u64>(c ^ load<u64>(at, 40), 27) * FACTOR;
    c = rotl<u64>(c ^ load<u64>(at, 48), 27) * FACTOR;
    c = rotl<u64>(c ^ load<u64>(at, 56), 27) * FACTOR;
    at += 64;
  }
  while (at < end) {
    c = rotl<u64>(c ^ load<u64>(at), 27) * FACTOR;
    at += 8;
  }
  return c;
}

/** The chain's end, mixed down to 32 bits. */
export function chainEnd(c: u64): u32 {
  const h = (c ^ (c >> 29)) * 0x16_67b1_9e37_79f9;
  return <u32>(h >> 32);
}
