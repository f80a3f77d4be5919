// The TLB, through the microcode alone: what it keeps and what drops it. Intel SDM vol. 3A, 4.10.
import { describe, expect, test } from "vitest";
import * as L from "../../emulator/cpu/layout.js";
import { Microcode } from "../support/microcode.js";
import {
  alignmentCheck,
  errorOf,
  FRAME,
  long,
  PAGE,
  physicalOf,
  READ,
  supervisor,
  user,
  VA,
  WRITE,
} from "../support/mmu.js";
import { CR0, CR4, enterProtected, G, must, P, U, W } from "../support/paging.js";

describe("the TLB", () => {
  // SDM vol. 3A, 4.10.4.1
  test("keeps a stale translation until INVLPG", () => {
    const { m, tables } = long();
    const at = tables.map(VA, FRAME, P | W);
    expect(physicalOf(m, VA)).toBe(BigInt(FRAME));
    m.write64(at, BigInt(FRAME + PAGE) | P | W);
    expect(physicalOf(m, VA)).toBe(BigInt(FRAME));
    m.write64(at, 0n);
    expect(physicalOf(m, VA)).toBe(BigInt(FRAME));
    must(m, "invalidate", L.DS, VA + 0xfffn);
    expect(errorOf(m, VA, READ)).toBe(0);
  });

  test("rights added in memory are seen without INVLPG, rights taken away are not", () => {
    const { m, tables } = long();
    const at = tables.map(VA, FRAME, P);
    expect(physicalOf(m, VA)).toBe(BigInt(FRAME));
    m.write64(at, BigInt(FRAME) | P | W);
    expect(physicalOf(m, VA, WRITE)).toBe(BigInt(FRAME));
    m.write64(at, BigInt(FRAME) | P);
    expect(physicalOf(m, VA, WRITE)).toBe(BigInt(FRAME));
    must(m, "invalidate", L.DS, VA);
    expect(errorOf(m, VA, WRITE)).toBe(3);
  });

  // SDM vol. 3A, 4.10.4.1
  test("MOV to CR3 spares global pages; CR4.PGE and INVLPG do not", () => {
    const { m, tables } = long(CR4.PGE);
    const local = tables.map(VA, FRAME, P | W);
    const global = tables.map(VA + 0x1000n, FRAME, P | W | G);
    const both = () => [errorOf(m, VA, READ), errorOf(m, VA + 0x1000n, READ)];
    const refill = () => {
      m.write64(local, BigInt(FRAME) | P);
      m.write64(global, BigInt(FRAME) | P | G);
      expect(both()).toEqual([undefined, undefined]);
      m.write64(local, 0n);
      m.write64(global, 0n);
      expect(both()).toEqual([undefined, undefined]);
    };
    refill();
    must(m, "writeControl", 3, BigInt(tables.root));
    expect(both()).toEqual([0, undefined]);
    refill();
    must(m, "writeControl", 4, CR4.PAE);
    expect(both()).toEqual([0, 0]);
    refill(); // G means nothing while PGE is clear
    must(m, "writeControl", 3, BigInt(tables.root));
    expect(both()).toEqual([0, 0]);
    must(m, "writeControl", 4, CR4.PAE | CR4.PGE);
    refill();
    must(m, "invalidate", L.DS, VA + 0x1000n);
    expect(both()).toEqual([undefined, 0]);
  });

  // SDM vol. 3A, 4.10.4.1
  test("INVLPG anywhere in a large page drops all of it, and no other page", () => {
    const { m, tables } = long();
    const large = 0x4000_0000n;
    const at = tables.map(large, FRAME, P | W, 2);
    tables.map(large + 0x20_0000n, FRAME, P | W, 2);
    const parts = [0n, 0x5000n, 0x1f_f000n];
    for (const part of parts) physicalOf(m, large + part);
    physicalOf(m, large + 0x2f_0000n);
    m.write64(at, 0n);
    m.write64(tables.entry(large + 0x20_0000n, 2), 0n);
    for (const part of parts) expect(errorOf(m, large + part, READ)).toBeUndefined();
    must(m, "invalidate", L.DS, large + 0xa_bcden);
    for (const part of parts) expect(errorOf(m, large + part, READ)).toBe(0);
    expect(errorOf(m, large + 0x2f_0000n, READ)).toBeUndefined();
  });

  test("only a page of the same index evicts", () => {
    const { m, tables } = long();
    const indexOf = (va: bigint) => ((va >> 12n) ^ (va >> 21n)) & BigInt(L.TLB_ENTRIES - 1);
    const at = tables.map(VA, FRAME, P);
    physicalOf(m, VA);
    m.write64(at, 0n);
    for (let i = 1; i < L.TLB_ENTRIES * 2; i++) {
      const va = VA + BigInt(i * PAGE);
      if (indexOf(va) === indexOf(VA)) continue;
      tables.map(va, FRAME, P);
      physicalOf(m, va);
    }
    expect(errorOf(m, VA, READ)).toBeUndefined();
    let rival = VA + 0x1000n;
    while (indexOf(rival) !== indexOf(VA)) rival += 0x1000n;
    tables.map(rival, FRAME, P);
    physicalOf(m, rival);
    expect(errorOf(m, VA, READ)).toBe(0);
  });

  test("user and supervisor translations of one page are dropped together", () => {
    const { m, tables } = long();
    const at = tables.map(VA, FRAME, P | U);
    physicalOf(m, VA);
    user(m);
    physicalOf(m, VA);
    m.write64(at, 0n);
    supervisor(m);
    must(m, "invalidate", L.DS, VA);
    expect(errorOf(m, VA, READ)).toBe(0);
    user(m);
    expect(errorOf(m, VA, READ)).toBe(4);
  });

  test("so is the one that supervisor code used with AC set; WP set later binds it as well", () => {
    const { m, tables } = long(CR4.SMAP);
    const at = tables.map(VA, FRAME, P | U);
    must(m, "writeControl", 0, m.u64(L.CR0) & ~CR0.WP);
    alignmentCheck(m, true);
    physicalOf(m, VA, WRITE);
    must(m, "writeControl", 0, m.u64(L.CR0) | CR0.WP);
    expect(errorOf(m, VA, WRITE)).toBe(3);
    expect(errorOf(m, VA, READ)).toBeUndefined();
    m.write64(at, 0n);
    expect(errorOf(m, VA, READ)).toBeUndefined();
    must(m, "invalidate", L.DS, VA);
    expect(errorOf(m, VA, READ)).toBe(0);
  });

  test("turning paging off and on forgets everything", () => {
    const m = new Microcode();
    enterProtected(m);
    const directory = 0x10_0000;
    m.physical.setUint32(directory, 0x10_1000 | 3, true);
    m.physical.setUint32(0x10_1000 + 4 * 8, 0x8000 | 3, true); // so that code at 8000 stays where it is
    m.physical.setUint32(0x10_1000 + 4 * 5, FRAME | 3, true);
    must(m, "writeControl", 3, directory);
    const cr0 = m.u64(L.CR0);
    must(m, "writeControl", 0, cr0 | CR0.PG);
    expect(physicalOf(m, 0x5123n)).toBe(BigInt(FRAME + 0x123));
    must(m, "writeControl", 0, cr0);
    expect(physicalOf(m, 0x5123n)).toBe(0x5123n);
    must(m, "writeControl", 0, cr0 | CR0.PG);
    expect(physicalOf(m, 0x5123n)).toBe(BigInt(FRAME + 0x123));
  });
});
