// The TLB's second level: translations of a process-context identifier go here when CR3 is given another, and wait
// until they are asked for again. Intel SDM vol. 3A, 4.10.1 (PCIDs) and 4.10.4 (invalidation); AMD APM vol. 2,
// 5.5.1. layout.ts draws an entry; tlb.ts has the first level: of the current context, and all that is global.
//
// Invariants:
// - Nothing global is here, and nothing at all before CR3 was given another PCID.
// - A translation is in one of the levels: what a walk or a fill asks for is taken out.
// - Kept is what the tables said, not what it allowed: whoever takes it looks at the rights of that moment.

import {
  CONTEXT_BYTES,
  CONTEXT_COUNT,
  CONTEXT_ENTRIES,
  CONTEXT_FLAGS,
  CONTEXT_PHYSICAL,
  CONTEXT_TAG,
  CONTEXT_TURN,
  CONTEXT_WAYS,
  CONTEXTS,
  TLB_BANK_SHIFT,
  TLB_LARGE,
} from "../layout";

export const PCID: u64 = 0xfff;
const SETS: u32 = CONTEXT_ENTRIES / CONTEXT_WAYS;

/** The set of a page of a context: what many processes have at one address is spread by the PCID. */
function setOf(core: usize, tag: u64): usize {
  const page = tag >> 12;
  const set = <u32>(page ^ (page >> 8) ^ ((tag & PCID) * 0x35)) & (SETS - 1);
  return core + CONTEXTS + set * (CONTEXT_WAYS * CONTEXT_BYTES);
}

function isOf(entry: usize, tag: u64, bank: u32): bool {
  const flags = load<u32>(entry, CONTEXT_FLAGS);
  return flags != 0 && load<u64>(entry, CONTEXT_TAG) == tag && flags >> TLB_BANK_SHIFT == bank;
}

function vacate(core: usize, entry: usize): void {
  store<u32>(entry, 0, CONTEXT_FLAGS);
  store<u32>(core, load<u32>(core, CONTEXT_COUNT) - 1, CONTEXT_COUNT);
}

/** Keeps a translation. In a full set the ways make room in turn. */
export function keep(core: usize, pcid: u64, page: u64, bank: u32, flags: u32, physical: u32): void {
  const tag = page | pcid;
  const set = setOf(core, tag);
  let place: usize = 0;
  for (let way: u32 = 0; way < <u32>CONTEXT_WAYS; way++) {
    const entry = set + way * CONTEXT_BYTES;
    if (isOf(entry, tag, bank)) {
      place = entry;
      break;
    }
    if (load<u32>(entry, CONTEXT_FLAGS) == 0) place = entry;
  }
  if (place == 0) {
    const turn = load<u32>(core, CONTEXT_TURN);
    store<u32>(core, turn + 1, CONTEXT_TURN);
    place = set + (turn & (CONTEXT_WAYS - 1)) * CONTEXT_BYTES;
  } else if (load<u32>(place, CONTEXT_FLAGS) == 0) {
    store<u32>(core, load<u32>(core, CONTEXT_COUNT) + 1, CONTEXT_COUNT);
  }
  store<u64>(place, tag, CONTEXT_TAG);
  store<u32>(place, flags | (bank << TLB_BANK_SHIFT), CONTEXT_FLAGS);
  store<u32>(place, physical, CONTEXT_PHYSICAL);
}

/** What take() has found: a core's microcode runs to its end, so a global serves as a register. */
export let takenPhysical: u32 = 0;

/** Takes a translation out; gives its flags, or 0 when there is none. */
export function take(core: usize, pcid: u64, page: u64, bank: u32): u32 {
  if (load<u32>(core, CONTEXT_COUNT) == 0) return 0;
  const tag = page | pcid;
  const set = setOf(core, tag);
  for (let way: u32 = 0; way < <u32>CONTEXT_WAYS; way++) {
    const entry = set + way * CONTEXT_BYTES;
    if (!isOf(entry, tag, bank)) continue;
    takenPhysical = load<u32>(entry, CONTEXT_PHYSICAL);
    const flags = load<u32>(entry, CONTEXT_FLAGS);
    vacate(core, entry);
    return flags & (((1 as u32) << TLB_BANK_SHIFT) - 1);
  }
  return 0;
}

/** Drops the page that holds va, of one context; `large`: it may be a fragment of a larger one. */
export function forgetPage(core: usize, pcid: u64, va: u64, large: bool): void {
  if (load<u32>(core, CONTEXT_COUNT) == 0) return;
  const tag = (va & ~PCID) | pcid;
  const set = setOf(core, tag);
  for (let way: u32 = 0; way < <u32>CONTEXT_WAYS; way++) {
    const entry = set + way * CONTEXT_BYTES;
    if (load<u32>(entry, CONTEXT_FLAGS) != 0 && load<u64>(entry, CONTEXT_TAG) == tag) vacate(core, entry);
  }
  if (!large) return;
  for (let i: u32 = 0; i < <u32>CONTEXT_ENTRIES; i++) {
    const entry = core + CONTEXTS + i * CONTEXT_BYTES;
    const flags = load<u32>(entry, CONTEXT_FLAGS);
    if ((flags & TLB_LARGE) == 0) continue;
    const at = load<u64>(entry, CONTEXT_TAG);
    const shift = (flags >> 8) & 0xff;
    if ((at & PCID) == pcid && at >> shift == va >> shift) vacate(core, entry);
  }
}

export function forgetContext(core: usize, pcid: u64): void {
  if (load<u32>(core, CONTEXT_COUNT) == 0) return;
  for (let i: u32 = 0; i < <u32>CONTEXT_ENTRIES; i++) {
    const entry = core + CONTEXTS + i * CONTEXT_BYTES;
    if (load<u32>(entry, CONTEXT_FLAGS) != 0 && (load<u64>(entry, CONTEXT_TAG) & PCID) == pcid)
      vacate(core, entry);
  }
}

export function forgetContexts(core: usize): void {
  if (load<u32>(core, CONTEXT_COUNT) == 0) return;
  memory.fill(core + CONTEXTS, 0, CONTEXT_ENTRIES * CONTEXT_BYTES);
  store<u32>(core, 0, CONTEXT_COUNT);
}
