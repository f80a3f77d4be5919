// What a snapshot says of a core's TLB, for comparisons.

import { inflateRawSync } from "node:zlib";
import { TLB_BANKS, TLB_ENTRIES, TLB_ENTRY_BYTES, TLB_SLOW, TLB_WRITE } from "../../emulator/cpu/layout.js";

/** Which code is decoded is no part of a snapshot; TLB_SLOW in the tag for stores says no more than that the page holds some. */
export function withoutCodeMarks(translations: string): Buffer {
  const tlb = inflateRawSync(Buffer.from(translations, "base64"));
  for (let entry = 0; entry < TLB_BANKS * TLB_ENTRIES; entry++)
    tlb[entry * TLB_ENTRY_BYTES + TLB_WRITE]! &= ~TLB_SLOW;
  return tlb;
}
