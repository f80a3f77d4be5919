// The difference between two states of a page, for a machine that still has the older one: runs of words that are not the
// same.
//
//   difference   offset[2] bytes[2] zero[4] data..., again and again; offsets rise, everything is a multiple of 8
//
// Pure. Bytes from another machine are looked at by differenceValid() before they are used.

const PAGE: usize = 4096;
const WORD: usize = 8;
const HEADER: usize = 8;
/** A difference that is longer is not worth it. */
export const DIFFERENCE_MAX: u32 = 1024;
/** So many equal words are sent along rather than begin another run. */
const GAP: usize = 2;

/** Bytes written at `into` (room for DIFFERENCE_MAX), or more than DIFFERENCE_MAX: too different. */
export function differenceWrite(now: usize, before: usize, into: usize): u32 {
  let out: usize = 0;
  let at: usize = 0;
  while (at < PAGE) {
    if (load<u64>(now + at) == load<u64>(before + at)) {
      at += WORD;
      continue;
    }
    const from = at;
    let end = at + WORD;
    at = end;
    while (at < PAGE && at < end + GAP * WORD) {
      const same = load<u64>(now + at) == load<u64>(before + at);
      at += WORD;
      if (!same) end = at;
    }
    at = end;
    if (out + HEADER + end - from > <usize>DIFFERENCE_MAX) return DIFFERENCE_MAX + 1;
    store<u64>(into + out, <u64>from | ((<u64>(end - from)) << 16));
    memory.copy(into + out + HEADER, now + from, end - from);
    out += HEADER + end - from;
  }
  return <u32>out;
}

export function differenceValid(from: usize, bytes: usize): bool {
  let at: usize = 0;
  let least: usize = 0;
  while (at < bytes) {
    if (bytes - at < HEADER) return false;
    const run = load<u64>(from + at);
    const offset = <usize>(run & 0xffff);
    const length = <usize>((run >> 16) & 0xffff);
    if (run >> 32 != 0 || ((offset | length) & (WORD - 1)) != 0 || length == 0) return false;
    if (offset < least || offset + length > PAGE || length > bytes - at - HEADER) return false;
    least = offset + length;
    at += HEADER + length;
  }
  return true;
}

/** Makes the older state the newer one. */
export function differenceApply(page: usize, from: usize, bytes: usize): void {
  let at: usize = 0;
  while (at < bytes) {
    const run = load<u64>(from + at);
    const length = <usize>((run >> 16) & 0xffff);
    memory.copy(page + <usize>(run & 0xffff), from + at + HEADER, length);
    at += HEADER + length;
  }
}
