// SSE4.2's string comparisons. Intel SDM vol. 1, 12.9.1 (figures of the immediate byte); vol. 2, 4.1.
//
//   immediate: 0 words, else bytes | 1 signed | 3:2 aggregation | 4 negative polarity | 5 only of valid elements | 6 output
//
// Invariant: elements stand in two words, element 0 lowest; a string's validity is a bit an element.

const WORDS: u32 = 1;
const SIGNED: u32 = 2;
const AGGREGATION_SHIFT: u32 = 2;
const EQUAL_ANY: u32 = 0;
const RANGES: u32 = 1;
const EQUAL_EACH: u32 = 2;
const NEGATIVE: u32 = 16;
const MASKED: u32 = 32;

let bytes: u32 = 1;
let count: u32 = 16;
let signed: bool = false;

function element(low: u64, high: u64, i: u32): i32 {
  const at = i * bytes;
  const word = (at < 8 ? low : high) >> ((at & 7) * 8);
  if (bytes == 1) return signed ? <i32>(<i8>word) : <i32>(<u8>word);
  return signed ? <i32>(<i16>word) : <i32>(<u16>word);
}

/** The number of elements before the first null. */
function lengthOf(low: u64, high: u64): u32 {
  for (let i: u32 = 0; i < count; i++) if (element(low, high, i) == 0) return i;
  return count;
}

function begin(control: u32): void {
  bytes = control & WORDS ? 2 : 1;
  count = 16 / bytes;
  signed = (control & SIGNED) != 0;
}

/** IntRes1: the aggregation, bit by bit of the second string. */
function aggregate(how: u32, a0: u64, a1: u64, lengthA: u32, b0: u64, b1: u64, lengthB: u32): u32 {
  let result: u32 = 0;
  for (let j: u32 = 0; j < count; j++) {
    let bit: bool;
    if (how == EQUAL_ANY) bit = j < lengthB && isAny(a0, a1, lengthA, element(b0, b1, j));
    else if (how == RANGES) bit = j < lengthB && isInRange(a0, a1, lengthA, element(b0, b1, j));
    else if (how == EQUAL_EACH) {
      // Past both ends they are equal, past one they are not.
      if (j < lengthA && j < lengthB) bit = element(a0, a1, j) == element(b0, b1, j);
      else bit = j >= lengthA && j >= lengthB;
    } else bit = standsAt(a0, a1, lengthA, b0, b1, lengthB, j);
    if (bit) result |= 1 << j;
  }
  return result;
}
function isAny(a0: u64, a1: u64, length: u32, wanted: i32): bool {
  for (let i: u32 = 0; i < length; i++) if (element(a0, a1, i) == wanted) return true;
  return false;
}
/** Pairs of the first string are bounds; a pair that is not whole is none. */
function isInRange(a0: u64, a1: u64, length: u32, wanted: i32): bool {
  for (let i: u32 = 0; i + 1 < length; i += 2)
    if (element(a0, a1, i) <= wanted && wanted <= element(a0, a1, i + 1)) return true;
  return false;
}
/** Equal ordered: the first string stands in the second from element j on, as far as the register reaches. */
function standsAt(a0: u64, a1: u64, lengthA: u32, b0: u64, b1: u64, lengthB: u32, j: u32): bool {
  for (let i: u32 = 0; i < lengthA && i + j < count; i++) {
    if (i + j >= lengthB) return false;
    if (element(a0, a1, i) != element(b0, b1, i + j)) return false;
  }
  return true;
}

/** IntRes2; bit 16: the first string ends within the register, bit 17: the second does. */
function compare(control: u32, a0: u64, a1: u64, lengthA: u32, b0: u64, b1: u64, lengthB: u32): u64 {
  let result = aggregate((control >> AGGREGATION_SHIFT) & 3, a0, a1, lengthA, b0, b1, lengthB);
  const all: u32 = (1 << count) - 1;
  if (control & NEGATIVE) result ^= control & MASKED ? (1 << lengthB) - 1 : all;
  return result | (lengthA < count ? 1 << 16 : 0) | (lengthB < count ? 1 << 17 : 0);
}

/** Strings that end at a null. */
export function compareText(_core: usize, a0: u64, a1: u64, b0: u64, b1: u64, control: u64): u64 {
  begin(<u32>control);
  return compare(<u32>control, a0, a1, lengthOf(a0, a1), b0, b1, lengthOf(b0, b1));
}

/** Strings with lengths, in bits 15:8 and 23:16 of `control`. */
export function compareStrings(_core: usize, a0: u64, a1: u64, b0: u64, b1: u64, control: u64): u64 {
  begin(<u32>control);
  const lengthA = min(<u32>(control >> 8) & 0xff, count);
  const lengthB = min(<u32>(control >> 16) & 0xff, count);
  return compare(<u32>control, a0, a1, lengthA, b0, b1, lengthB);
}
