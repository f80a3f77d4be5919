// Self-tests of frames and slabs: objects that are passed between cores and freed on another one.
import { PRIORITY_USER } from "../lwkt/thread";
import { framesFree } from "../memory/frames";
import { allocate, orderOf, release } from "../memory/slab";
import { bootNumber } from "../options";
import { panic } from "../panic";
import { expect, finished, join, random, startOnAll } from "./support";

const SLOTS: u32 = 64;
const OBJECTS: u32 = 32;
/** Objects that cores leave for each other. */
export const exchange: usize = memory.data(64 * 4);

/** Size and a mark at the ends of an object, from its address: an overlap would break it. */
function sign(object: usize, bytes: usize): void {
  store<u32>(object, <u32>bytes);
  store<u32>(object + bytes - 4, <u32>object ^ 0x5a5a_5a5a);
}
function verify(object: usize): void {
  const bytes = <usize>load<u32>(object);
  expect(
    load<u32>(object + bytes - 4) === (<u32>object ^ 0x5a5a_5a5a),
    "allocator: an object was overwritten",
  );
}

function newObject(state: usize): usize {
  // Mostly small, as kernels are.
  const bytes = <usize>(8 + (random(state) & (random(state) & 7 ? 255 : 8191)));
  const object = allocate(bytes);
  expect((object & 15) === 0, "allocator: an object is not 16-aligned");
  for (let at = object; at < object + bytes; at += 8) {
    // The last word may reach into the rest of the size class, which is zeroed too.
    if (load<u64>(at) !== 0) panic("allocator: an object is not zeroed");
  }
  sign(object, bytes);
  return object;
}

function allocatorWorker(core: usize): void {
  const state = allocate(4);
  store<u32>(state, <u32>bootNumber("seed", 1) + <u32>core * 0x9e37_79b9 + 1);
  const own = allocate((<usize>OBJECTS) << 2);
  for (let round = 0; round < 2000; round++) {
    const slot = own + <usize>((random(state) % OBJECTS) << 2);
    let object = load<usize>(slot);
    if (object !== 0) verify(object);
    else object = newObject(state);
    store<usize>(slot, object);
    const choice = random(state) & 3;
    if (choice === 0) continue;
    store<usize>(slot, 0);
    if (choice === 1) {
      // Leave it for whoever comes, and free what lay there: mostly another core's.
      const given = exchange + <usize>((random(state) % SLOTS) << 2);
      object = atomic.xchg<usize>(given, object);
      if (object === 0) continue;
      verify(object);
    }
    release(object);
  }
  for (let i: u32 = 0; i < OBJECTS; i++) release(load<usize>(own + <usize>(i << 2)));
  release(own);
  release(state);
  finished();
}

export function allocatorTest(): void {
  startOnAll(allocatorWorker.index, PRIORITY_USER);
  startOnAll(allocatorWorker.index, PRIORITY_USER);
  join();
  for (let i: u32 = 0; i < SLOTS; i++) release(atomic.xchg<usize>(exchange + <usize>(i << 2), 0));
}

export function blocksTest(): void {
  expect(orderOf(4096) === 0 && orderOf(4097) === 1 && orderOf(65536) === 4, "blocks: order");
  const free = framesFree();
  for (let bytes: usize = 4096; bytes <= 0x40_0000; bytes <<= 1) {
    const a = allocate(bytes);
    const b = allocate(bytes);
    expect((a & (bytes - 1)) === 0 && (b & (bytes - 1)) === 0, "blocks: a block is aligned to its size");
    expect(a + bytes <= b || b + bytes <= a, "blocks: two blocks overlap");
    expect(load<u64>(a) === 0 && load<u64>(b + bytes - 8) === 0, "blocks: a block is not zeroed");
    expect(framesFree() === free - (bytes >> 11), "blocks: frames are counted");
    memory.fill(a, 0xff, bytes);
    release(a);
    release(b);
  }
}
