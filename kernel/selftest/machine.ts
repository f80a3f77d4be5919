// Self-tests of page tables, TLB shoot-down, and interrupts of devices.
import { copyFromUser, out8 } from "../arch";
import { coreCount, thisCore } from "../lwkt/core";
import { PRIORITY_USER } from "../lwkt/thread";
import { queueLock, queueUnlock, sleep, WaitQueue, waitOn, wakeAll } from "../lwkt/wait";
import { interruptAllocate } from "../machine/apic";
import { ioApicMask, ioApicRoute } from "../machine/io-apic";
import { frameAllocate, frameFree } from "../memory/frames";
import {
  DIRTY,
  entryOf,
  FRAME_MASK,
  mapPage,
  setEntry,
  shootDown,
  spaceCreate,
  spaceDestroy,
  USER,
  unmapPage,
  useSpace,
  WRITABLE,
} from "../memory/paging";
import { allocate, release } from "../memory/slab";
import { CHECK_START, check, checkByTables, checkStart } from "../syslink/check";
import { expect, finished, join, LONG, MILLISECOND, PATIENCE, shared, startOnAll } from "./support";

const PAGE_VA: u64 = 0x40_0000_1000;

/** The same sum by the instruction, if there is one, as by tables: of lines, words and what is left of both. */
export function checkTest(): void {
  const at = allocate(4096);
  for (let i: usize = 0; i < 4096; i += 4) store<u32>(at + i, <u32>i * 0x9e37_79b1);
  checkStart();
  for (let bytes: u32 = 0; bytes <= 4096; bytes += bytes < 256 ? 8 : 1280) {
    expect(check(CHECK_START, at, bytes) === checkByTables(CHECK_START, at, bytes), "check: another sum");
  }
  release(at);
}

export function word(va: u64): u32 {
  const into = shared + 512 + ((<usize>thisCore().index) << 2);
  expect(copyFromUser(into, va, 4) === 0, "pages: a mapped page cannot be read");
  return load<u32>(into);
}

export function pagesTest(): void {
  const space = spaceCreate();
  const frame = frameAllocate();
  store<u32>(frame, 4711);
  expect(entryOf(space, PAGE_VA) === 0, "pages: an empty space has no entry");
  expect(mapPage(space, PAGE_VA, u64(frame), USER | WRITABLE), "pages: no memory");
  // Promise 54: entering an address space changes slot 0 of this core's PML4 and nothing else.
  const top = thisCore().pml4;
  const before = allocate(4096);
  memory.copy(before, top, 4096);
  useSpace(space);
  for (let slot: usize = 0; slot < 4096; slot += 8) {
    const same = (load<u64>(top + slot) & FRAME_MASK) === (load<u64>(before + slot) & FRAME_MASK);
    expect(same === (slot !== 0), "pages: another slot than 0 was changed");
  }
  release(before);
  expect(word(PAGE_VA) === 4711, "pages: the wrong frame");
  expect((entryOf(space, PAGE_VA) & FRAME_MASK) === u64(frame), "pages: entryOf");
  expect((entryOf(space, PAGE_VA) & DIRTY) === 0, "pages: dirty without a write");
  expect(copyFromUser(shared + 512, PAGE_VA + 4096, 8) === 8, "pages: an unmapped page was read");
  expect(copyFromUser(shared + 512, PAGE_VA + 4090, 16) === 10, "pages: six bytes up to the page's end");
  expect(copyFromUser(shared + 512, u64(frame) | 0xffff_8000_0000_0000, 8) === 8, "pages: a kernel address");
  expect((unmapPage(space, PAGE_VA) & FRAME_MASK) === u64(frame), "pages: unmapPage");
  shootDown(space, PAGE_VA, 1);
  expect(copyFromUser(shared + 512, PAGE_VA, 8) === 8, "pages: an unmapped page is still read");
  useSpace(0);
  spaceDestroy(space);
  frameFree(frame);
}

/** Reads the page all the time; after the change has been announced it must see the new frame. */
function pageReader(_core: usize): void {
  useSpace(load<usize>(shared, 4));
  atomic.add<u32>(shared + 20, 1);
  while (atomic.load<u32>(shared) === 0) {
    const announced = atomic.load<u32>(shared + 8);
    expect(word(PAGE_VA) >= announced, "shoot-down: a stale translation");
    atomic.add<u32>(shared + 16, 1);
  }
  useSpace(0);
  finished();
}

/** Each round maps another frame, whose number is announced only after the shoot-down. All cores read before the first. */
export function shootDownTest(): void {
  const space = spaceCreate();
  const frames = allocate(8);
  for (let i: usize = 0; i < 2; i++) store<usize>(frames + (i << 2), frameAllocate());
  expect(mapPage(space, PAGE_VA, u64(load<usize>(frames)), USER), "shoot-down: no memory");
  const entry = entryOf(space, PAGE_VA) & ~FRAME_MASK;
  store<usize>(shared, space, 4);
  startOnAll(pageReader.index, PRIORITY_USER);
  for (let wait = 0; atomic.load<u32>(shared + 20) < coreCount(); wait++) {
    expect(wait < PATIENCE, "shoot-down: a core does not read");
    sleep(MILLISECOND);
  }
  for (let round: u32 = 1; round <= 200; round++) {
    const frame = load<usize>(frames + ((<usize>(round & 1)) << 2));
    store<u32>(frame, round);
    setEntry(space, PAGE_VA, u64(frame) | entry);
    shootDown(space, PAGE_VA, round & 2 ? 1 : 100);
    atomic.store<u32>(shared + 8, round);
    if ((round & 63) === 0) sleep(MILLISECOND);
  }
  atomic.store<u32>(shared, 1);
  join();
  expect(atomic.load<u32>(shared + 16) > 0, "shoot-down: nobody read");
  spaceDestroy(space);
  for (let i: usize = 0; i < 2; i++) frameFree(load<usize>(frames + (i << 2)));
  release(frames);
}

const PIT_LINE: u32 = 0;
let pitVector: u32 = 0;

function pitTicked(argument: usize): void {
  atomic.add<u32>(argument, 1);
  wakeAll(changetype<WaitQueue>(shared + 64));
}

/** The PIT's channel 0 through the I/O APIC: a handler that wakes a thread. */
export function deviceTest(): void {
  if (pitVector === 0) pitVector = interruptAllocate(pitTicked.index, shared);
  ioApicRoute(PIT_LINE, pitVector);
  out8(0x43, 0x34); // channel 0, both bytes, rate generator
  out8(0x40, 2386 & 0xff); // 2 ms
  out8(0x40, 2386 >> 8);
  const queue = changetype<WaitQueue>(shared + 64);
  queueLock(queue);
  while (atomic.load<u32>(shared) < 5) expect(waitOn(queue, LONG), "device interrupts: none comes");
  queueUnlock(queue);
  ioApicMask(PIT_LINE);
  out8(0x43, 0x30); // mode 0: it stops
}
