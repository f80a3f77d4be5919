// Page tables (Intel SDM vol. 3A, 4.5). The top level is special (promise 53): a PML4 belongs to a core, not to a
// process. Its upper half is the kernel's and the same on all cores; its slot 0 is the user half, 512 GiB, and holds
// the page-directory-pointer table of the process that runs (promise 54). That table's frame is what `space` means.
//
//   PML4 slot 0        user: space -> PD -> PT -> frames
//   PML4 slot 256      DIRECT_MAP (promise 55): RAM and devices below 4 GiB, 2 MiB pages; text read-only, data not
//                      executable; device registers uncached
//   PML4 slots 256+    devices above 4 GiB (mapDevice), at DIRECT_MAP + physical as well
//
// A leaf or table entry of a space is changed by locked instructions only, since the processor sets A and D bits and
// other cores fault at the same time.
import {
  cpuid,
  imageEnd,
  invlpg,
  pause,
  rdmsr,
  readCr0,
  readCr4,
  symbols,
  trapStubs,
  writeCr0,
  writeCr3,
  writeCr4,
  wrmsr,
} from "../arch";
import { CORE_STATS, Core, coreAt, coreCount, thisCore } from "../lwkt/core";
import { criticalLeave } from "../lwkt/critical";
import { loadUserThread } from "../lwkt/scheduler";
import { Thread } from "../lwkt/thread";
import { apicSend, SHOOT_DOWN_VECTOR } from "../machine/apic";
import { panic } from "../panic";
import { Stats } from "../stats";
import { frameAllocate, frameFree } from "./frames";

export const PRESENT: u64 = 1;
export const WRITABLE: u64 = 2;
export const USER: u64 = 4;
const UNCACHED: u64 = 0x18; // PWT, PCD
export const ACCESSED: u64 = 0x20;
export const DIRTY: u64 = 0x40;
const LARGE: u64 = 0x80;
const GLOBAL: u64 = 0x100;
export const NO_EXECUTE: u64 = 0x8000_0000_0000_0000;
/** The frame's address within an entry. */
export const FRAME_MASK: u64 = 0x000f_ffff_ffff_f000;
/** First address behind the user half. */
export const USER_END: u64 = 0x80_0000_0000;

const DIRECT_SLOT: usize = 256;
const SLOTS: usize = 512;
const TABLE: u64 = PRESENT | WRITABLE | USER;
const KERNEL_DATA: u64 = PRESENT | WRITABLE | GLOBAL | NO_EXECUTE;
const KERNEL_TEXT: u64 = PRESENT | GLOBAL;
const LARGE_BYTES: u64 = 0x20_0000;
const GIBIBYTE: u64 = 0x4000_0000;
const IMAGE_START: usize = 0x10_0000;
const DEVICES_START: u64 = 0xc000_0000;

const MSR_EFER: u32 = 0xc000_0080;
const EFER_NO_EXECUTE: u64 = 0x800;
const CR0_SET: u64 = 0x1_0023; // WP NE MP PE
const CR0_CLEAR: u64 = 0x6000_000c; // CD NW TS EM
const CR4_SET: u64 = 0x0680; // PGE OSFXSR OSXMMEXCPT
const CR4_SMEP: u64 = 0x10_0000;

/** More pages than this are dropped by reloading CR3. */
const PAGES_MAX: u32 = 32;

let kernelPml4: usize = 0;
let supervisorExecution: u64 = 0;

function must(frame: usize): usize {
  if (frame === 0) panic("out of memory for page tables");
  return frame;
}

/** Where text and read-only tables end: the image's data begins on the page behind them. */
function textEnd(): usize {
  const table = symbols();
  const count = load<u32>(table);
  let last = table + 4 + count * 12;
  for (let i: u32 = 0; i < count; i++) {
    const name = <usize>load<u32>(table + 8 + i * 12);
    if (name > last) last = name;
  }
  while (load<u8>(last) !== 0) last++;
  if (trapStubs() + 2048 > last) last = trapStubs() + 2048;
  return (last + 4095) & ~4095;
}

/** The kernel's half of the address space; this core begins to use it with pagingCore(). `ramEnd`: behind the RAM. */
export function pagingStart(ramEnd: usize): void {
  const registers = memory.data(16);
  cpuid(0x8000_0001, 0, registers);
  if ((load<u32>(registers, 12) & 0x10_0000) === 0) panic("the processor has no NX bit");
  cpuid(0, 0, registers);
  if (load<u32>(registers) >= 7) {
    cpuid(7, 0, registers);
    if (load<u32>(registers, 4) & 0x80) supervisorExecution = CR4_SMEP;
  }
  kernelPml4 = must(frameAllocate());
  const pointers = must(frameAllocate());
  store<u64>(kernelPml4 + (DIRECT_SLOT << 3), u64(pointers) | PRESENT | WRITABLE);
  const text = textEnd();
  assert(text > IMAGE_START && text <= imageEnd(), "the kernel's text lies in its image");
  for (let gibibyte: u64 = 0; gibibyte < 4; gibibyte++) {
    const directory = must(frameAllocate());
    store<u64>(pointers + ((<usize>gibibyte) << 3), u64(directory) | PRESENT | WRITABLE);
    for (let slot: u64 = 0; slot < 512; slot++) {
      const physical = gibibyte * GIBIBYTE + slot * LARGE_BYTES;
      let entry = physical | KERNEL_DATA | LARGE;
      if (physical < u64(text) && physical + LARGE_BYTES > u64(IMAGE_START))
        entry = splitText(physical, u64(text));
      else if (physical >= DEVICES_START && physical >= u64(ramEnd)) entry |= UNCACHED;
      store<u64>(directory + ((<usize>slot) << 3), entry);
    }
  }
}

/** A table of 4 KiB pages where text is read-only and executable, the rest data. */
function splitText(physical: u64, text: u64): u64 {
  const pages = must(frameAllocate());
  for (let i: u64 = 0; i < 512; i++) {
    const page = physical + (i << 12);
    const isText = page >= u64(IMAGE_START) && page < text;
    store<u64>(pages + ((<usize>i) << 3), page | (isText ? KERNEL_TEXT : KERNEL_DATA));
  }
  return u64(pages) | PRESENT | WRITABLE;
}

/** A PML4 for a core, of the kernel half only. */
export function pagingTop(): usize {
  const top = must(frameAllocate());
  for (let slot: usize = DIRECT_SLOT; slot < SLOTS; slot++) {
    store<u64>(top + (slot << 3), load<u64>(kernelPml4 + (slot << 3)));
  }
  return top;
}

/** Switches the running core to its own tables: NX, write protection also for the kernel, SSE for user mode. */
export function pagingCore(core: Core): void {
  wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NO_EXECUTE);
  writeCr0((readCr0() | CR0_SET) & ~CR0_CLEAR);
  writeCr3(u64(core.pml4));
  writeCr4(readCr4() | CR4_SET | supervisorExecution);
}

/** Makes device registers above 4 GiB reachable by the mmio functions, uncached; below they are. At boot. */
export function mapDevice(physical: u64, bytes: u64): void {
  for (let at = physical & ~(LARGE_BYTES - 1); at < physical + bytes; at += LARGE_BYTES) {
    if (at < 4 * GIBIBYTE) continue;
    const slot = DIRECT_SLOT + <usize>(at >> 39);
    if (slot >= SLOTS) panic("a device lies above the direct map");
    const top = kernelPml4 + (slot << 3);
    if (load<u64>(top) === 0) {
      store<u64>(top, u64(must(frameAllocate())) | PRESENT | WRITABLE);
      for (let i: u32 = 0; i < coreCount(); i++) store<u64>(coreAt(i).pml4 + (slot << 3), load<u64>(top));
    }
    const pointer = <usize>(load<u64>(top) & FRAME_MASK) + ((<usize>((at >> 30) & 511)) << 3);
    if (load<u64>(pointer) === 0) store<u64>(pointer, u64(must(frameAllocate())) | PRESENT | WRITABLE);
    const entry = <usize>(load<u64>(pointer) & FRAME_MASK) + ((<usize>((at >> 21) & 511)) << 3);
    if (load<u64>(entry) === 0) store<u64>(entry, at | KERNEL_DATA | LARGE | UNCACHED);
  }
}

/** An empty address space; 0 = no memory. */
export function spaceCreate(): usize {
  return frameAllocate();
}

/** Frees the tables, not the frames that they map. No thread may run in it any more; cores that still have it drop it. */
export function spaceDestroy(space: usize): void {
  shootDown(space, 0, 0);
  freeTables(space, 2);
}

/** `level` 2: page-directory pointers, 1: page directory. */
function freeTables(table: usize, level: u32): void {
  for (let slot: usize = 0; slot < SLOTS; slot++) {
    const entry = load<u64>(table + (slot << 3));
    if ((entry & PRESENT) === 0) continue;
    const below = <usize>(entry & FRAME_MASK);
    if (level > 1) freeTables(below, level - 1);
    else frameFree(below);
  }
  frameFree(table);
}

/** The table behind `slot`, which is made if there is none; 0: memory is out. */
function tableBelow(slot: usize): usize {
  const entry = atomic.load<u64>(slot);
  if (entry !== 0) return <usize>(entry & FRAME_MASK);
  const frame = frameAllocate();
  if (frame === 0) return 0;
  const there = atomic.cmpxchg<u64>(slot, 0, u64(frame) | TABLE);
  if (there === 0) return frame;
  frameFree(frame); // another core was faster
  return <usize>(there & FRAME_MASK);
}

/** Of the entry for `va` in a table of `level`: 1 a page table, 2 a directory, 3 the pointers. */
function slotIn(table: usize, va: u64, level: u32): usize {
  return table + (<usize>(va >> (9 * level)) & 0xff8);
}

/** Where the leaf entry of `va` lies; 0 = there is no table for it. */
function leafOf(space: usize, va: u64): usize {
  assert(va < USER_END, "a user address above the user half");
  const directory = atomic.load<u64>(slotIn(space, va, 3));
  if (directory === 0) return 0;
  const pages = atomic.load<u64>(slotIn(<usize>(directory & FRAME_MASK), va, 2));
  return pages === 0 ? 0 : slotIn(<usize>(pages & FRAME_MASK), va, 1);
}

/** The same, with tables that are made where there are none; 0: memory is out. */
function leafMade(space: usize, va: u64): usize {
  const leaf = leafOf(space, va);
  if (leaf !== 0) return leaf;
  const directory = tableBelow(slotIn(space, va, 3));
  const pages: usize = directory === 0 ? 0 : tableBelow(slotIn(directory, va, 2));
  return pages === 0 ? 0 : slotIn(pages, va, 1);
}

/** False: no memory for a table. The entry must have been clear. `flags`: WRITABLE, USER, ..., PRESENT is added. */
export function mapPage(space: usize, va: u64, frame: u64, flags: u64): bool {
  const leaf = leafMade(space, va);
  if (leaf === 0) return false;
  const old = atomic.cmpxchg<u64>(leaf, 0, (frame & FRAME_MASK) | flags | PRESENT);
  assert(old === 0, "a page is mapped where one is already");
  return true;
}

/** The old entry, 0 if none. No shoot-down. */
export function unmapPage(space: usize, va: u64): u64 {
  return setEntry(space, va, 0);
}

export function entryOf(space: usize, va: u64): u64 {
  const leaf = leafOf(space, va);
  return leaf === 0 ? 0 : atomic.load<u64>(leaf);
}

/** Swaps the entry atomically; returns the old one. The tables must exist (tablesFor) unless entry is 0. No shoot-down. */
export function setEntry(space: usize, va: u64, entry: u64): u64 {
  const leaf = entry !== 0 ? leafMade(space, va) : leafOf(space, va);
  if (leaf === 0) {
    if (entry !== 0) panic("setEntry: no memory for a page table (call tablesFor first)");
    return 0;
  }
  return atomic.xchg<u64>(leaf, entry);
}

/** Where the entry lies, for replaceEntry(); 0: there is no table for it. */
export function entryAt(space: usize, va: u64): usize {
  return leafOf(space, va);
}

/** Sets the entry there if it still is `expected`; returns what was there. */
export function replaceEntry(at: usize, expected: u64, entry: u64): u64 {
  return atomic.cmpxchg<u64>(at, expected, entry);
}

/** Clears these bits of a present entry; returns the old one, 0 if there is none. No shoot-down. */
export function clearBits(space: usize, va: u64, bits: u64): u64 {
  const leaf = leafOf(space, va);
  if (leaf === 0) return 0;
  while (true) {
    const old = atomic.load<u64>(leaf);
    if ((old & PRESENT) === 0 || atomic.cmpxchg<u64>(leaf, old, old & ~bits) === old) return old;
  }
}

/**
 * The right to write leaves the present entries of at most 32 pages from `va` on, and so do their dirty bits: a bit for each page that was
 * dirty, and bit 32 if any entry has changed. No shoot-down.
 */
export function lowerEntries(space: usize, va: u64, pages: u32): u64 {
  let dirty: u64 = 0;
  let changed: u64 = 0;
  let page: u64 = 1;
  let at = va;
  for (const end = va + (u64(pages) << 12); at !== end; ) {
    const stop = min<u64>(end, at + (entriesBehind(at) << 12));
    const leaf = leafOf(space, at);
    const last = leaf + <usize>((stop - at) >> 9);
    for (let entry = leaf; leaf !== 0 && entry !== last; entry += 8, page <<= 1) {
      let old = atomic.load<u64>(entry);
      while (old & (WRITABLE | DIRTY) && old & PRESENT) {
        const seen = atomic.cmpxchg<u64>(entry, old, old & ~(WRITABLE | DIRTY));
        if (seen === old) {
          changed = u64(1) << 32;
          if (old & DIRTY) dirty |= page;
          break;
        }
        old = seen;
      }
    }
    if (leaf === 0) page <<= (stop - at) >> 12;
    at = stop;
  }
  return changed | dirty;
}

/**
 * Entries of at most 64 pages from `va` on, of one page table, are cleared. Two u64 at `found` have a bit for each page: it was present;
 * it was present and dirty. No shoot-down.
 */
export function takeEntries(space: usize, va: u64, pages: u32, found: usize): void {
  assert(u64(pages) <= entriesBehind(va), "entries of two page tables");
  let present: u64 = 0;
  let dirty: u64 = 0;
  let page: u64 = 1;
  const leaf = leafOf(space, va);
  const end = leaf !== 0 ? leaf + ((<usize>pages) << 3) : 0;
  for (let entry = leaf; entry !== end; entry += 8, page <<= 1) {
    if (atomic.load<u64>(entry) === 0) continue;
    const old = atomic.xchg<u64>(entry, 0);
    if ((old & PRESENT) === 0) continue;
    present |= page;
    if (old & DIRTY) dirty |= page;
  }
  store<u64>(found, present);
  store<u64>(found, dirty, 8);
}

/** Entries from that of `va` to the end of its page table. */
export function entriesBehind(va: u64): u64 {
  return 512 - ((va >> 12) & 511);
}

/** Entries, from `entries` on, for pages from `va` on, of one page table; where one is already it stays. */
export function setEntriesOnce(space: usize, va: u64, entries: usize, count: u32): void {
  assert(u64(count) <= entriesBehind(va), "entries of two page tables");
  const leaf = leafOf(space, va);
  if (leaf === 0) return;
  for (let at: usize = 0; at < usize(count) << 3; at += 8)
    atomic.cmpxchg<u64>(leaf + at, 0, load<u64>(entries + at));
}

/** Makes the tables for va, so that setEntry cannot fail. False: no memory. */
export function tablesFor(space: usize, va: u64): bool {
  return leafMade(space, va) !== 0;
}

/** The running core's user half becomes `space`. Interrupts off or in a critical section. */
export function loadSpace(core: Core, space: usize): void {
  // The number first: who shoots down after changing an entry either sees it, or changed the entry before CR3 is loaded.
  store<usize>(changetype<usize>(core) + offsetof<Core>("space"), space);
  store<u64>(core.pml4, space !== 0 ? u64(space) | TABLE : 0);
  writeCr3(u64(core.pml4));
}

/** The calling thread runs in this space from now on (0: in none). */
export function useSpace(space: usize): void {
  const core = thisCore();
  core.critical++;
  const thread = changetype<Thread>(core.thread);
  thread.space = space;
  core.userThread = 0;
  if (space !== 0) loadUserThread(core, thread);
  else if (core.space !== 0) loadSpace(core, 0);
  criticalLeave(core);
}

/**
 * Returns when no core holds a translation of these pages; 0 pages: when no core has the space loaded at all. It asks
 * by an interrupt of its own that critical sections do not defer, and answers the others while it waits: callable in
 * a critical section and with a spinlock held, with interrupts on or off.
 */
export function shootDown(space: usize, va: u64, pages: u32): void {
  const core = thisCore();
  core.critical++;
  const block = changetype<usize>(core);
  const remaining = block + offsetof<Core>("shootDownRemaining");
  core.shootDownSpace = space;
  core.shootDownAddress = va;
  core.shootDownPages = pages;
  atomic.store<u32>(remaining, 1); // this core; locked, so that the loads below come after the entries' change
  const cores = coreCount();
  for (let i: u32 = 0; i < cores; i++) {
    const other = coreAt(i);
    if (other === core || atomic.load<usize>(changetype<usize>(other) + offsetof<Core>("space")) !== space)
      continue;
    atomic.add<u32>(remaining, 1);
    atomic.or<u64>(changetype<usize>(other) + offsetof<Core>("shootDownFrom"), u64(1) << core.index);
    apicSend(other.apicId, SHOOT_DOWN_VECTOR);
    changetype<Stats>(block + CORE_STATS).shootDowns++;
  }
  if (core.space === space) drop(core, core);
  atomic.sub<u32>(remaining, 1);
  while (atomic.load<u32>(remaining) !== 0) {
    shootDownAnswer(core);
    pause();
  }
  criticalLeave(core);
}

/** On `core`: what `asker` wants dropped. */
function drop(core: Core, asker: Core): void {
  const pages = asker.shootDownPages;
  if (pages === 0) {
    core.userThread = 0;
    loadSpace(core, 0);
  } else if (pages > PAGES_MAX) writeCr3(u64(core.pml4));
  else for (let i: u64 = 0; i < u64(pages); i++) invlpg(asker.shootDownAddress + (i << 12));
}

/** Does what other cores asked. By the shoot-down interrupt at once, whatever the critical count. */
export function shootDownAnswer(core: Core): void {
  const word = changetype<usize>(core) + offsetof<Core>("shootDownFrom");
  let askers = atomic.xchg<u64>(word, 0);
  while (askers !== 0) {
    const asker = coreAt(<u32>ctz<u64>(askers));
    askers &= askers - 1;
    if (core.space === asker.shootDownSpace) drop(core, asker);
    atomic.sub<u32>(changetype<usize>(asker) + offsetof<Core>("shootDownRemaining"), 1);
  }
}
