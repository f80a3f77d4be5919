// The place of a linear address's TLB entry, as generated code and the engine find it; microcode/tlb.ts does
// the same. The page number is folded so that places 2 MiB apart, as aligned buffers are, do not share an entry.

import { TLB_BANK, TLB_ENTRIES, TLB_ENTRY_BYTES } from "../layout.js";
import type { Body } from "../wasm.js";

const CORE = 0;
const PAGE_SHIFT = 12;
const FOLD_SHIFT = 21;
const ENTRY_SHIFT = Math.log2(TLB_ENTRY_BYTES);
const MASK = (TLB_ENTRIES - 1) << ENTRY_SHIFT;

/** Pushes the wasm address of the entry in a bank in use (TLB_BANK, TLB_CODE_BANK); `pushLinear` pushes the address, an i64. */
export function pushTlbEntry(code: Body, pushLinear: () => void, bank = TLB_BANK): Body {
  pushLinear();
  code.i64(BigInt(PAGE_SHIFT - ENTRY_SHIFT)).op("i64.shr_u");
  pushLinear();
  code
    .i64(BigInt(FOLD_SHIFT - ENTRY_SHIFT))
    .op("i64.shr_u")
    .op("i64.xor")
    .op("i32.wrap_i64");
  return code.i32(MASK).op("i32.and").get(CORE).access("i32.load", bank).op("i32.add");
}

/** The same as an offset in the bank. */
export function tlbEntryOffset(linear: bigint): number {
  return (
    Number(((linear >> BigInt(PAGE_SHIFT)) ^ (linear >> BigInt(FOLD_SHIFT))) & BigInt(TLB_ENTRIES - 1)) *
    TLB_ENTRY_BYTES
  );
}
