// Times, counted by size: each power of two in 64 equal parts, so a percentile is known to 1.6 %. A histogram is all zeros
// at first, and two are added word by word; so machines can each fill one and somebody add them up.

const PARTS_LOG: u32 = 6;
const PARTS: u64 = 1 << PARTS_LOG;
/** Times below 2^40. */
const SIZES: u32 = (40 - PARTS_LOG + 1) << PARTS_LOG;
export const HISTOGRAM_BYTES: usize = usize(SIZES) << 2;

/** Exact below PARTS; above, the leading PARTS_LOG + 1 bits and where they stand. */
function sizeOf(time: u64): u32 {
  if (time < PARTS) return u32(time);
  const shift = 63 - u32(clz<u64>(time)) - PARTS_LOG;
  return min<u32>(SIZES - 1, (shift << PARTS_LOG) + u32(time >> shift));
}

/** The least time that is counted as this size. */
function timeOf(size: u32): u64 {
  if (size < u32(PARTS)) return u64(size);
  const shift = (size >> PARTS_LOG) - 1;
  return ((u64(size) & (PARTS - 1)) + PARTS) << shift;
}

export function histogramCount(histogram: usize, time: u64): void {
  const at = histogram + (usize(sizeOf(time)) << 2);
  store<u32>(at, load<u32>(at) + 1);
}

export function histogramAdd(into: usize, from: usize): void {
  for (let at: usize = 0; at < HISTOGRAM_BYTES; at += 4) {
    store<u32>(into + at, load<u32>(into + at) + load<u32>(from + at));
  }
}

/** The time that so many of a hundred do not exceed; 0 when nothing was counted. */
export function histogramPercentile(histogram: usize, percent: u64): u64 {
  let all: u64 = 0;
  for (let at: usize = 0; at < HISTOGRAM_BYTES; at += 4) all += u64(load<u32>(histogram + at));
  let rest = (all * percent + 99) / 100;
  for (let size: u32 = 0; size < SIZES; size++) {
    const here = u64(load<u32>(histogram + (usize(size) << 2)));
    if (here >= rest) return rest === 0 ? 0 : timeOf(size);
    rest -= here;
  }
  return 0;
}
