// The frame and slab allocators in Node: the WebAssembly that the back end turns into the kernel, on a memory of the
// test's. Goal: what is handed out never overlaps, everything comes back, misuse is a panic that says what it was.
import { describe, expect, test } from "vitest";
import { KernelCore, random } from "../support/kernel-core.js";

const FRAMES = 4096;

describe("frames", () => {
  test("every frame is handed out once, zeroed, and 0 when none is left", () => {
    const core = new KernelCore();
    const { first, end } = core.memory(100);
    expect(core.call("framesFree")).toBe(100);
    const seen = new Set<number>();
    for (;;) {
      const frame = core.call("frameAllocate");
      if (frame === 0) break;
      expect(frame % 4096).toBe(0);
      expect(frame >= first && frame < end).toBe(true);
      expect(core.kernel.bytes.slice(frame, frame + 4096).some((byte) => byte !== 0)).toBe(false);
      core.kernel.bytes.fill(0xff, frame, frame + 4096);
      seen.add(frame);
    }
    expect(seen.size).toBe(100);
    expect(core.call("framesFree")).toBe(0);
    for (const frame of seen) core.call("frameFree", frame);
    expect(core.call("framesFree")).toBe(100);
    const again = core.call("frameAllocate");
    expect(core.kernel.bytes.slice(again, again + 4096).some((byte) => byte !== 0)).toBe(false);
  });

  test.each([1, 2, 3, 4, 5])("blocks of all orders do not overlap and merge again (seed %i)", (seed) => {
    const core = new KernelCore();
    core.memory(FRAMES);
    const below = random(seed);
    const owner = new Map<number, number>();
    const blocks: { frame: number; order: number }[] = [];
    for (let step = 0; step < 4000; step++) {
      if (below(100) < 55) {
        const order = below(7) === 0 ? below(9) : below(3);
        const frame = core.call("framesAllocate", order);
        if (frame === 0) continue;
        expect(frame % (4096 << order)).toBe(0);
        for (let i = 0; i < 1 << order; i++) {
          expect(owner.has(frame + i * 4096), `frame ${frame.toString(16)}`).toBe(false);
          owner.set(frame + i * 4096, step);
        }
        blocks.push({ frame, order });
      } else if (blocks.length > 0) {
        const [block] = blocks.splice(below(blocks.length), 1);
        for (let i = 0; i < 1 << block!.order; i++) owner.delete(block!.frame + i * 4096);
        core.call("framesRelease", block!.frame, block!.order);
      }
      if (step % 64 === 0) expect(core.call("framesFree")).toBe(FRAMES - owner.size);
    }
    for (const { frame, order } of blocks) core.call("framesRelease", frame, order);
    expect(core.call("framesFree")).toBe(FRAMES);
    // Also what the core kept as single frames for itself comes back when it is needed.
    let largest = 0;
    while (core.call("framesAllocate", 10) !== 0) largest++;
    expect(largest).toBe(FRAMES / 1024);
  });

  test("a frame that is freed twice, or was never allocated, is a panic", () => {
    const core = new KernelCore();
    const { first } = core.memory(64);
    const frame = core.call("frameAllocate");
    core.call("frameFree", frame);
    expect(() => core.call("frameFree", frame)).toThrow(/a frame is freed that is not in use/);
    expect(() => core.call("frameFree", first + 100)).toThrow(/not in use/);
    const block = core.call("framesAllocate", 3);
    expect(() => core.call("framesRelease", block, 2)).toThrow(/a block is freed that is not in use/);
    expect(() => core.call("framesRelease", block + 4096, 0)).toThrow(/not in use/);
  });
});

describe("slab", () => {
  test.each([1, 2, 3])(
    "promise 51: objects do not overlap, come zeroed, and all comes back (seed %i)",
    (seed) => {
      const core = new KernelCore(4);
      core.memory(FRAMES);
      const below = random(seed);
      const objects: { pointer: number; bytes: number; mark: number }[] = [];
      const bytesOf = core.kernel.bytes;
      const live = new Map<number, number>(); // start to end
      for (let step = 0; step < 20_000; step++) {
        core.on(below(4));
        if (below(100) < 52) {
          const bytes = below(20) === 0 ? below(20_000) : below(400);
          const pointer = core.call("allocate", bytes);
          expect(pointer % 16).toBe(0);
          if (bytes >= 4096) expect(pointer % 4096).toBe(0);
          for (let i = 0; i < bytes; i++)
            if (bytesOf[pointer + i] !== 0) throw new Error(`step ${step}: not zeroed`);
          const mark = 1 + (step % 255);
          bytesOf.fill(mark, pointer, pointer + bytes);
          live.set(pointer, pointer + bytes);
          objects.push({ pointer, bytes, mark });
        } else if (objects.length > 0) {
          const [object] = objects.splice(below(objects.length), 1);
          const { pointer, bytes, mark } = object!;
          for (let i = 0; i < bytes; i++)
            if (bytesOf[pointer + i] !== mark)
              throw new Error(`step ${step}: ${pointer.toString(16)} was overwritten`);
          live.delete(pointer);
          core.call("release", pointer);
        }
        if (step % 16 === 0) for (let each = 0; each < 4; each++) core.on(each).call("ipiPoll");
      }
      for (const { pointer } of objects) core.on(below(4)).call("release", pointer);
      for (let round = 0; round < 2; round++)
        for (let each = 0; each < 4; each++) {
          core.on(each).call("ipiPoll");
          core.call("slabTrim");
        }
      expect(core.call("framesFree")).toBe(FRAMES);
    },
  );

  test("promises 9 and 51: what another core allocated goes home by a passive message, without an interrupt", () => {
    const core = new KernelCore(2);
    core.memory(FRAMES);
    const object = core.on(0).call("allocate", 100);
    core.on(1).call("release", object);
    expect(core.commands).toEqual([]); // no interrupt
    expect(core.call("unitIpisPassive", 1)).toBe(1);
    // Not free yet: its core has not looked.
    core.on(0);
    const other = core.call("allocate", 100);
    expect(other).not.toBe(object);
    core.call("ipiPoll");
    expect(core.call("allocate", 100)).toBe(object);
  });

  // Whoever releases may hold a lock that a message for its core wants: it neither waits nor runs messages.
  test("promise 51: more than there are messages for goes home without waiting, and all comes back", () => {
    const core = new KernelCore(2);
    core.memory(FRAMES);
    const objects = Array.from({ length: 300 }, () => core.on(0).call("allocate", 100));
    for (const object of objects) core.on(1).call("release", object);
    expect(core.commands).toEqual([]); // no interrupt
    for (let round = 0; round < 2; round++) {
      core.on(0).call("ipiPoll");
      core.call("slabTrim");
    }
    expect(core.call("framesFree")).toBe(FRAMES);
  });

  test("misuse is a panic that says what it was", () => {
    const core = new KernelCore();
    core.memory(64);
    const object = core.call("allocate", 40);
    core.call("allocate", 40);
    expect(() => core.call("release", object + 16)).toThrow(/memory is released inside an object/);
    core.call("release", object);
    expect(() => core.call("release", object)).toThrow(/memory is released twice/);
    expect(() => new KernelCore().call("release", 0x5000)).toThrow(
      /panic: memory is released that was not allocated/,
    );
    expect(() => {
      for (;;) core.call("allocate", 4096);
    }).toThrow(/panic: out of memory/);
  });
});
