// Accesses off the fast path: over two pages, to code, to devices and to the ROM, with A20 masked, around 4 GiB.
import { describe, expect, test } from "vitest";
import * as L from "../../emulator/cpu/layout.js";
import { Microcode } from "../support/microcode.js";
import { FRAME, long, VA } from "../support/mmu.js";
import { enterProtected, must, P, W } from "../support/paging.js";

describe("accesses off the fast path", () => {
  test("an operand across two pages reads both, and a fault names the second one's first byte", () => {
    const { m, tables } = long();
    tables.map(VA, FRAME, P | W);
    const at = tables.map(VA + 0x1000n, FRAME + 0x5000, P | W);
    m.ram.set([1, 2, 3], FRAME + 0xffd);
    m.ram.set([4, 5, 6, 7, 8], FRAME + 0x5000);
    expect(must(m, "loadSlow", VA + 0xffdn, 8)).toBe(0x0807_0605_0403_0201n);
    must(m, "storeSlow", VA + 0xffdn, 8, 0x1122_3344_5566_7788n);
    expect(must(m, "loadSlow", VA + 0xffdn, 8)).toBe(0x1122_3344_5566_7788n);
    m.write64(at, 0n);
    must(m, "invalidate", L.DS, VA + 0x1000n);
    expect(m.faultOf("storeSlow", VA + 0xffdn, 8, 0n)).toEqual({ vector: 14, error: 2, cr2: VA + 0x1000n });
    expect(m.ram[FRAME + 0xffd]).toBe(0x88); // nothing was written
    expect(m.faultOf("loadSlow", VA + 0xffdn, 4)).toEqual({ vector: 14, error: 0, cr2: VA + 0x1000n });
    expect(m.faultOf("probeWrite", VA + 0xfffn, 2)).toEqual({ vector: 14, error: 2, cr2: VA + 0x1000n });
  });

  test("16 bytes go through SCRATCH, both pages or neither", () => {
    const { m, tables } = long();
    tables.map(VA, FRAME, P | W);
    tables.map(VA + 0x1000n, FRAME + 0x1000, P);
    for (let i = 0; i < 16; i++) m.ram[FRAME + 0xff8 + i] = i;
    expect(must(m, "loadSlow16", VA + 0xff8n, 0)).toBe(1n);
    expect([m.u64(L.SCRATCH), m.u64(L.SCRATCH + 8)]).toEqual([0x0706050403020100n, 0x0f0e0d0c0b0a0908n]);
    m.setU64(L.SCRATCH, ~0n & 0xffff_ffff_ffff_ffffn);
    expect(m.faultOf("storeSlow16", VA + 0xff8n, 0)).toEqual({ vector: 14, error: 3, cr2: VA + 0x1000n });
    expect(m.ram[FRAME + 0xff8]).toBe(0);
    expect(must(m, "storeSlow16", VA + 0xfe8n, 0)).toBe(1n);
    expect(m.read64(FRAME + 0xfe8)).toBe(0xffff_ffff_ffff_ffffn);
  });

  test("a store to a page that holds code raises its generation once and tells the engine", () => {
    const { m, tables } = long();
    tables.map(VA, FRAME, P | W);
    m.setGeneration(FRAME, 0x11);
    must(m, "storeSlow", VA, 4, 1n);
    expect(m.generation(FRAME)).toBe(0x12);
    expect(m.u32(L.CODE_WRITTEN)).toBe(1);
    m.setU32(L.CODE_WRITTEN, 0);
    must(m, "storeSlow", VA, 4, 1n);
    expect([m.generation(FRAME), m.u32(L.CODE_WRITTEN)]).toEqual([0x12, 0]);
  });

  test("device memory: aligned accesses whole, 8 bytes as two of 4, unaligned ones by bytes", () => {
    const { m, tables } = long();
    tables.map(VA, 0xfee0_0000, P | W);
    m.answer = 0x8765_4321;
    expect(must(m, "loadSlow", VA + 0x20n, 4)).toBe(0x8765_4321n);
    expect(must(m, "loadSlow", VA + 0x20n, 8)).toBe(0x8765_4321_8765_4321n);
    expect(must(m, "loadSlow", VA + 0x22n, 2)).toBe(0x4321n);
    must(m, "storeSlow", VA + 0x31n, 2, 0xabcdn);
    must(m, "storeSlow", VA + 0x40n, 4, 0xdead_beefn);
    expect(m.log.busReads).toEqual([
      { physical: 0xfee0_0020, bytes: 4 },
      { physical: 0xfee0_0020, bytes: 4 },
      { physical: 0xfee0_0024, bytes: 4 },
      { physical: 0xfee0_0022, bytes: 2 },
    ]);
    expect(m.log.busWrites).toEqual([
      { physical: 0xfee0_0031, bytes: 1, value: 0xcd },
      { physical: 0xfee0_0032, bytes: 1, value: 0xab },
      { physical: 0xfee0_0040, bytes: 4, value: 0xdead_beef },
    ]);
  });

  test("the ROM reads below 4 GiB and below 1 MiB; writes to it go to the bus", () => {
    const m = new Microcode();
    m.rom[0xfff0] = 0xea;
    expect(must(m, "loadSlow", 0xffff_fff0n, 1)).toBe(0xean);
    expect(must(m, "loadSlow", 0xf_fff0n, 1)).toBe(0xean);
    must(m, "storeSlow", 0xf_fff0n, 1, 0n);
    expect(m.rom[0xfff0]).toBe(0xea);
    expect(m.log.busWrites).toEqual([{ physical: 0xf_fff0, bytes: 1, value: 0 }]);
    must(m, "loadSlow", 0xb_8000n, 2); // the video hole answers nothing
    expect(m.log.busReads).toEqual([{ physical: 0xb_8000, bytes: 2 }]);
  });

  test("A20 masked: odd megabytes show the even ones", () => {
    const m = new Microcode();
    m.ram[0x500] = 0x55;
    m.setA20(false);
    m.call("flushTlb");
    expect(must(m, "loadSlow", 0x10_0500n, 1)).toBe(0x55n);
    m.setA20(true);
    m.call("flushTlb");
    expect(must(m, "loadSlow", 0x10_0500n, 1)).toBe(0n);
  });

  test("linear addresses wrap at 4 GiB outside 64-bit mode", () => {
    const m = new Microcode();
    enterProtected(m);
    m.ram.set([3, 4], 0);
    m.rom.set([1, 2], 0xfffe);
    expect(must(m, "loadSlow", 0xffff_fffen, 4)).toBe(0x0403_0201n);
  });
});
