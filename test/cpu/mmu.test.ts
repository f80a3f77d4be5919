// Paging and the TLB, through the microcode alone. Intel SDM vol. 3A, chapter 4; the reference walker at the end is a
// second reading of it, against which random tables are tried.

import { describe, expect, test } from "vitest";
import { cpuid } from "../../emulator/cpu/cpuid.js";
import * as L from "../../emulator/cpu/layout.js";
import { Microcode } from "../support/microcode.js";
import {
  A,
  ADDRESS,
  CR0,
  CR4,
  D,
  EFER,
  enterLong,
  enterProtected,
  G,
  MSR_EFER,
  must,
  NX,
  P,
  PS,
  Tables,
  U,
  W,
} from "../support/paging.js";

const READ = L.ACCESS_READ;
const WRITE = L.ACCESS_WRITE;
const EXECUTE = L.ACCESS_EXECUTE;
const PAGE = 0x1000;
const VA = 0x7f00_1234_5000n;
const FRAME = 0x40_0000;

/** 64-bit mode, ring 0, first 16 MiB identity-mapped for the supervisor. */
function long(cr4 = 0n) {
  const m = new Microcode();
  const tables = new Tables(m).identity();
  enterLong(m, tables, cr4);
  return { m, tables };
}
const user = (m: Microcode) => m.setU32(L.CPL, 3);
const supervisor = (m: Microcode) => m.setU32(L.CPL, 0);
const alignmentCheck = (m: Microcode, on: boolean) =>
  m.setU64(L.FLAGS_OTHER, (m.u64(L.FLAGS_OTHER) & ~0x4_0000n) | (on ? 0x4_0000n : 0n));
const errorOf = (m: Microcode, va: bigint, access: number) => m.faultOf("translate", va, access)?.error;
const physicalOf = (m: Microcode, va: bigint, access = READ) =>
  must(m, "translate", va, access) - m.ramAddress(0);

describe("translation", () => {
  // SDM vol. 3A, 4.8: accessed and dirty bits
  test("4 KiB, 2 MiB and 1 GiB pages give the address and set accessed and dirty bits", () => {
    const { m, tables } = long();
    for (const level of [1, 2, 3]) {
      const va = VA - (BigInt(level) << 39n);
      const at = tables.map(va & ~((1n << BigInt(12 + 9 * (level - 1))) - 1n), 0, P | W, level);
      const inside = va & ((1n << BigInt(12 + 9 * (level - 1))) - 1n) & 0xff_ffffn;
      const address = (va & ~((1n << BigInt(12 + 9 * (level - 1))) - 1n)) | inside | 0x123n;
      expect(physicalOf(m, address)).toBe(inside | 0x123n);
      expect(m.read64(at) & (A | D)).toBe(A);
      expect(physicalOf(m, address, WRITE)).toBe(inside | 0x123n);
      expect(m.read64(at) & (A | D)).toBe(A | D);
      for (let above = 4; above > level; above--) expect(m.read64(tables.entry(va, above)) & (A | D)).toBe(A);
    }
  });

  // SDM vol. 3A, 4.8: accessed and dirty bits
  test("an access that ends in a page fault marks no entry, one that is granted all of them", () => {
    const { m, tables } = long();
    const at = tables.map(VA, FRAME, P);
    const uppers = [2, 3, 4].map((level) => tables.entry(VA, level));
    const marked = () => uppers.map((entry) => (m.read64(entry) & A) !== 0n);
    expect(errorOf(m, VA, WRITE)).toBe(0b00011);
    expect(m.read64(at)).toBe(BigInt(FRAME) | P);
    user(m);
    expect(errorOf(m, VA, READ)).toBe(0b00101);
    expect(m.read64(at)).toBe(BigInt(FRAME) | P);
    m.write64(at, 0n);
    expect(errorOf(m, VA, READ)).toBe(0b00100);
    m.write64(at, BigInt(FRAME) | P | (1n << 51n));
    expect(errorOf(m, VA, READ)).toBe(0b01101);
    expect(marked()).toEqual([false, false, false]);
    m.write64(at, BigInt(FRAME) | P);
    supervisor(m);
    physicalOf(m, VA);
    expect(marked()).toEqual([true, true, true]);
    expect(m.read64(at) & (A | D)).toBe(A);
  });

  // SDM vol. 3A, 4.7: #PF: P, W, U, RSVD, I
  test("error codes say what the access was and why it failed", () => {
    const { m, tables } = long();
    const cases: [flags: bigint, user: boolean, access: number, error: number | undefined][] = [
      [0n, false, READ, 0b00000],
      [0n, false, WRITE, 0b00010],
      [0n, true, READ, 0b00100],
      [0n, true, WRITE, 0b00110],
      [0n, true, EXECUTE, 0b10100],
      [P, true, READ, 0b00101],
      [P | U, true, WRITE, 0b00111],
      [P | U | NX, true, EXECUTE, 0b10101],
      [P | U | W, true, WRITE, undefined],
      [P | U, false, WRITE, 0b00011],
      [P | W | NX, false, EXECUTE, 0b10001],
      [P | W, false, EXECUTE, undefined],
      [P | W | U, false, EXECUTE, undefined],
      [P | (1n << 45n), false, READ, 0b01001],
      [P | U | (1n << 51n), true, WRITE, 0b01111],
    ];
    cases.forEach(([flags, asUser, access, error], i) => {
      const va = VA + BigInt(i) * 0x20_0000n;
      tables.map(va, FRAME, flags);
      m.setU32(L.CPL, asUser ? 3 : 0);
      const fault = m.faultOf("translate", va + 0x18n, access);
      expect([i, fault?.error]).toEqual([i, error]);
      if (fault) expect([fault.vector, fault.cr2]).toEqual([14, va + 0x18n]);
    });
  });

  // SDM vol. 3A, 4.7: #PF: P, W, U, RSVD, I
  test("rights are those of all levels together", () => {
    for (const level of [4, 3, 2, 1]) {
      const { m, tables } = long();
      tables.map(VA, FRAME, P | W | U);
      const at = tables.entry(VA, level);
      const entry = m.read64(at);
      const tryAll = (denied: bigint) => {
        m.write64(at, denied === NX ? entry | NX : entry & ~denied);
        m.call("flushTlb");
        user(m);
        const errors = [READ, WRITE, EXECUTE].map((access) => errorOf(m, VA, access));
        supervisor(m);
        return errors;
      };
      expect(tryAll(U)).toEqual([0b00101, 0b00111, 0b10101]);
      expect(tryAll(W)).toEqual([undefined, 0b00111, undefined]);
      expect(tryAll(NX)).toEqual([undefined, undefined, 0b10101]);
      expect(tryAll(P)).toEqual([0b00100, 0b00110, 0b10100]);
    }
  });

  // SDM vol. 3A, 4.5: reserved bits
  test("reserved bits: PS in a PML4 entry, low address bits of large pages, NX without NXE", () => {
    const { m, tables } = long();
    tables.map(VA, FRAME, P | W);
    const top = tables.entry(VA, 4);
    const good = m.read64(top);
    m.write64(top, good | PS);
    expect(errorOf(m, VA, READ)).toBe(9);
    // AMD APM vol. 2, figure 5-20: bit 8 as well, which is ignored below
    m.write64(top, good | G);
    expect(errorOf(m, VA, READ)).toBe(9);
    m.write64(top, good);
    const second = tables.entry(VA, 3);
    m.write64(second, m.read64(second) | G);
    expect(errorOf(m, VA, READ)).toBeUndefined();
    m.write64(second, m.read64(second) & ~G);
    m.write64(tables.entry(VA, 2), m.read64(tables.entry(VA, 2)) | G);
    expect(errorOf(m, VA, READ)).toBeUndefined();
    tables.map(0x40_0000_0000n, 0x20_2000, P | W, 2);
    expect(errorOf(m, 0x40_0000_0000n, READ)).toBe(9);
    tables.map(0x40_0000_0000n, 0x20_1000, P | W, 2); // bit 12 is PAT
    expect(physicalOf(m, 0x40_0000_0000n)).toBe(0x20_0000n);
    tables.map(0x80_0000_0000n, 0x2000_0000n, P | W, 3);
    expect(errorOf(m, 0x80_0000_0000n, READ)).toBe(9);
    tables.map(VA, FRAME, P | W | NX);
    must(m, "writeMsr", MSR_EFER, EFER.LME | EFER.SCE);
    expect(errorOf(m, VA, READ)).toBe(9);
    expect(errorOf(m, VA + 0x1000n, EXECUTE)).toBe(0); // without NXE and SMEP the fetch bit is not reported
  });

  // SDM vol. 3A, 4.1.4: MAXPHYADDR is CPUID 8000_0008 EAX bits 7 to 0; address bits from there on are reserved
  test("the physical-address width of CPUID is where entries, CR3 and MSRs begin to refuse", () => {
    const width = cpuid(0x8000_0008, 0, { core: 0, cores: 1, apicEnabled: true })[0] & 0xff;
    const { m, tables } = long();
    m.answer = 0; // below the width: a table that is not in RAM, and has nothing
    const bits = Array.from({ length: 52 - 32 }, (_, i) => 32 + i);
    for (const level of [1, 2, 3, 4]) {
      const va = VA - (BigInt(level) << 39n);
      tables.map(va, FRAME, P);
      const at = tables.entry(va, level);
      const entry = m.read64(at);
      const refused = bits.filter((bit) => {
        m.write64(at, entry | (1n << BigInt(bit)));
        m.call("flushTlb");
        return errorOf(m, va, READ) === 9;
      });
      m.write64(at, entry);
      expect([level, refused]).toEqual([level, bits.filter((bit) => bit >= width)]);
    }
    const gp = (name: string, ...before: number[]) =>
      bits.filter(
        (bit) => m.faultOf(name, ...before, (1n << BigInt(bit)) | BigInt(tables.root))?.vector === 13,
      );
    expect(gp("writeControl", 3)).toEqual(bits.filter((bit) => bit >= width));
    const IA32_MTRR_PHYSBASE0 = 0x200;
    expect(gp("writeMsr", IA32_MTRR_PHYSBASE0)).toEqual(bits.filter((bit) => bit >= width));
  });

  // SDM vol. 3A, 4.6.1
  test("write protection binds the supervisor only while CR0.WP is set", () => {
    const { m, tables } = long();
    const at = tables.map(VA, FRAME, P | U);
    const cr0 = m.u64(L.CR0);
    must(m, "writeControl", 0, cr0 & ~CR0.WP);
    expect(physicalOf(m, VA, WRITE)).toBe(BigInt(FRAME));
    expect(m.read64(at) & D).toBe(D);
    must(m, "writeControl", 0, cr0);
    expect(errorOf(m, VA, WRITE)).toBe(0b00011);
  });

  // SDM vol. 3A, 4.6.1
  test("SMEP: the supervisor does not fetch from user pages", () => {
    const { m, tables } = long(CR4.SMEP);
    tables.map(VA, FRAME, P | U);
    expect(errorOf(m, VA, EXECUTE)).toBe(0b10001);
    expect(physicalOf(m, VA, READ)).toBe(BigInt(FRAME));
    expect(errorOf(m, VA, EXECUTE)).toBe(0b10001);
    user(m);
    expect(physicalOf(m, VA, EXECUTE)).toBe(BigInt(FRAME));
  });

  // SDM vol. 3A, 4.6.1
  test("SMAP: RFLAGS.AC opens user pages to explicit accesses, never to implicit ones", () => {
    const { m, tables } = long(CR4.SMAP);
    tables.map(VA, FRAME, P | U | W);
    expect(errorOf(m, VA, READ)).toBe(0b00001);
    alignmentCheck(m, true);
    expect(physicalOf(m, VA, READ)).toBe(BigInt(FRAME));
    expect(physicalOf(m, VA, WRITE)).toBe(BigInt(FRAME));
    expect(errorOf(m, VA, READ | L.ACCESS_IMPLICIT)).toBe(0b00001);
    alignmentCheck(m, false);
    expect(errorOf(m, VA, READ)).toBe(0b00001); // the cached translation does not outlive AC
    expect(errorOf(m, VA, WRITE)).toBe(0b00011);
    user(m);
    expect(physicalOf(m, VA, WRITE)).toBe(BigInt(FRAME));
    expect(errorOf(m, VA, READ | L.ACCESS_IMPLICIT)).toBe(0b00001);
  });

  // SDM vol. 3A, 4.6.1
  test("SMAP set over a cached translation guards it at once", () => {
    const { m, tables } = long();
    tables.map(VA, FRAME, P | U | W);
    expect(physicalOf(m, VA, WRITE)).toBe(BigInt(FRAME));
    must(m, "writeControl", 4, CR4.PAE | CR4.SMAP);
    expect(errorOf(m, VA, READ)).toBe(0b00001);
  });

  // SDM vol. 1, 3.3.7.1: #GP(0), by the stack #SS(0)
  test("a non-canonical address is #GP(0), or #SS(0) through the stack", () => {
    const { m } = long();
    for (const va of [0x8000_0000_0000n, 0xffff_7fff_ffff_ffffn, 0x1234_0000_0000_0000n]) {
      expect(m.faultOf("translate", va, READ)).toMatchObject({ vector: 13, error: 0 });
      expect(m.faultOf("translate", va, READ | L.ACCESS_STACK)).toMatchObject({ vector: 12, error: 0 });
    }
    expect(m.faultOf("loadSlow", 0x7fff_ffff_fffcn, 8)).toMatchObject({ vector: 14 });
  });

  test("page tables outside RAM are read over the bus", () => {
    const { m } = long();
    must(m, "writeControl", 3, 0xc000_0000n);
    m.answer = 0;
    expect(errorOf(m, VA, READ)).toBe(0);
    expect(m.log.busReads.map((r) => r.bytes)).toEqual([4, 4]);
  });
});

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

describe("legacy paging", () => {
  const directory = 0x10_0000;
  function legacy(cr4: bigint) {
    const m = new Microcode();
    enterProtected(m);
    must(m, "writeControl", 4, cr4);
    return m;
  }
  const on = (m: Microcode) => {
    must(m, "writeControl", 3, directory);
    must(m, "writeControl", 0, m.u64(L.CR0) | CR0.PG | CR0.WP);
  };

  test("32-bit tables, accessed and dirty bits, and error codes", () => {
    const m = legacy(0n);
    m.physical.setUint32(directory + 4, 0x10_1000 | 7, true);
    m.physical.setUint32(0x10_1000 + 4 * 3, FRAME | 1, true);
    on(m);
    expect(errorOf(m, 0x40_4000n, READ)).toBe(0);
    expect(m.physical.getUint32(directory + 4, true)).toBe(0x10_1000 | 7);
    expect(physicalOf(m, 0x40_3abcn)).toBe(BigInt(FRAME + 0xabc));
    expect(m.physical.getUint32(directory + 4, true)).toBe(0x10_1000 | 0x27);
    expect(m.physical.getUint32(0x10_1000 + 4 * 3, true)).toBe(FRAME | 0x21);
    expect(errorOf(m, 0x40_3abcn, WRITE)).toBe(3);
    user(m);
    expect(errorOf(m, 0x40_3abcn, READ)).toBe(5);
    expect(errorOf(m, 0x40_4000n, WRITE)).toBe(6);
    expect(errorOf(m, 0x80_0000n, EXECUTE)).toBe(4); // no NX here: the fetch bit stays clear
  });

  // SDM vol. 3A, 4.3: PSE-36
  test("4 MiB pages by CR4.PSE, their PSE-36 bits and the reserved bit 21", () => {
    const m = legacy(CR4.PSE);
    m.physical.setUint32(directory + 4 * 2, 0x40_0000 | 0x83, true);
    m.physical.setUint32(directory + 4 * 3, (1 << 13) | 0x83, true);
    m.physical.setUint32(directory + 4 * 4, (1 << 21) | 0x83, true);
    on(m);
    expect(physicalOf(m, 0xb1_2345n, WRITE)).toBe(0x71_2345n);
    expect(m.physical.getUint32(directory + 4 * 2, true)).toBe(0x40_0000 | 0xe3);
    expect(must(m, "translate", 0xc0_0010n, READ)).toBe((1n << 63n) | 0x1_0000_0010n);
    expect(errorOf(m, 0x100_0000n, READ)).toBe(9);
  });

  test("without CR4.PSE the bit is ignored", () => {
    const m = legacy(0n);
    m.physical.setUint32(directory + 4 * 2, 0x10_1000 | 0x83, true);
    m.physical.setUint32(0x10_1000, FRAME | 3, true);
    on(m);
    expect(physicalOf(m, 0x80_0004n)).toBe(BigInt(FRAME + 4));
  });

  // SDM vol. 3A, 4.4.1: PAE's pointers, and theirs
  test("PAE: pointers are registers, loaded by MOV to CR3 and checked there", () => {
    const m = legacy(CR4.PAE);
    m.write64(directory + 8, 0x10_1000n | P);
    m.write64(0x10_1000, 0x10_2000n | P | W | U);
    m.write64(0x10_2000 + 8 * 7, BigInt(FRAME) | P | W);
    m.write64(0x10_1000 + 8, 0x60_0000n | P | W | PS);
    on(m);
    expect(physicalOf(m, 0x4000_7001n, WRITE)).toBe(BigInt(FRAME + 1));
    expect(physicalOf(m, 0x4020_7001n, WRITE)).toBe(0x60_7001n);
    expect(errorOf(m, 0n, READ)).toBe(0);
    m.write64(directory, 0x10_1000n | P);
    expect(errorOf(m, 0n, READ)).toBe(0); // the register still says "not present"
    must(m, "writeControl", 3, directory);
    m.write64(0x10_1000 + 16, 0x60_0000n | P | (1n << 52n) | PS);
    expect(errorOf(m, 0x40_0000n, READ)).toBe(9); // ignored in long mode, reserved here
    m.write64(directory, 0x10_1000n | P | W);
    expect(m.faultOf("writeControl", 3, directory)).toMatchObject({ vector: 13, error: 0 });
    expect(m.u64(L.CR3)).toBe(BigInt(directory));
  });
});

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

describe("random tables against a second reading of the manual", () => {
  /** What an access does, by the book: a physical address, or a page-fault error code. */
  function reference(
    m: Microcode,
    root: number,
    va: bigint,
    access: number,
    state: { user: boolean; wp: boolean; smep: boolean; smap: boolean; ac: boolean; nxe: boolean },
  ): { physical: bigint } | { error: number } {
    const fetch = access === EXECUTE;
    const kind =
      (access === WRITE ? 2 : 0) | (state.user ? 4 : 0) | (fetch && (state.nxe || state.smep) ? 16 : 0);
    let table = BigInt(root);
    let [writable, forUser, noExecute] = [true, true, false];
    for (const [level, shift] of [
      [4, 39n],
      [3, 30n],
      [2, 21n],
      [1, 12n],
    ] as const) {
      const e = m.read64(Number(table + ((va >> shift) & 511n) * 8n));
      if (!(e & P)) return { error: kind };
      const large = level === 1 || ((e & PS) !== 0n && (level === 2 || level === 3));
      const size = 1n << shift;
      let reserved = e & 0x000f_ff00_0000_0000n;
      if (e & NX && !state.nxe) reserved |= NX;
      if (level === 4) reserved |= e & (PS | G); // AMD APM vol. 2, figure 5-20
      if (large && level > 1) reserved |= e & (size - 1n) & 0x3fff_e000n;
      if (reserved) return { error: kind | 9 };
      writable &&= (e & W) !== 0n;
      forUser &&= (e & U) !== 0n;
      noExecute ||= (e & NX) !== 0n;
      if (!large) {
        table = e & ADDRESS;
        continue;
      }
      let allowed: boolean;
      if (state.user) allowed = forUser && (fetch ? !noExecute : access === READ || writable);
      else if (fetch) allowed = !noExecute && !(forUser && state.smep);
      else allowed = (access === READ || writable || !state.wp) && !(forUser && state.smap && !state.ac);
      if (!allowed) return { error: kind | 1 };
      return { physical: (e & ADDRESS & ~(size - 1n)) | (va & (size - 1n)) };
    }
    throw new Error("unreachable");
  }

  /** xorshift32: every failure names its seed. */
  function generator(seed: number) {
    let x = seed || 1;
    return (below: number) => {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      return (x >>> 0) % below;
    };
  }

  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    test(`seed ${seed}`, () => {
      const random = generator(seed * 0x9e37_79b9);
      const { m, tables } = long();
      const addresses: bigint[] = [];
      /** A table with a few random entries, mostly good, and what hangs below them. */
      const grow = (table: number, level: number, prefix: bigint) => {
        for (let i = 0; i < 3; i++) {
          const index = random(128);
          const va = prefix | (BigInt(index) << BigInt(12 + 9 * (level - 1)));
          const likely = (chance: number, value: bigint) => (random(chance) ? value : 0n);
          const rarely = (chance: number, value: bigint) => (random(chance) ? 0n : value);
          let entry = likely(12, P) | likely(5, W) | likely(5, U) | rarely(9, NX) | rarely(6, G);
          entry |= rarely(30, 1n << BigInt(40 + random(12)));
          const large = level === 1 || (level < 4 && random(3) === 0);
          if (large) {
            entry |=
              level === 1
                ? BigInt(0x100 + random(0xf00)) << 12n
                : PS | rarely(2, 0x1000n) | rarely(12, 0x4000n);
            addresses.push(va | BigInt(level > 1 ? (256 + random(256)) * PAGE : 0));
          } else {
            const below = tables.page();
            entry |= BigInt(below) | (level === 4 ? rarely(20, PS) : 0n);
            grow(below, level - 1, va);
          }
          m.write64(table + index * 8, entry);
        }
      };
      grow(tables.root, 4, 0n);
      const outcomes = new Set<number | "ok">();
      for (let i = 0; i < 4000; i++) {
        const va = addresses[random(addresses.length)] + BigInt(random(PAGE));
        const access = random(3);
        const state = {
          user: random(2) === 0,
          wp: random(2) === 0,
          smep: random(2) === 0,
          smap: random(2) === 0,
          ac: random(2) === 0,
          nxe: random(8) !== 0,
        };
        must(m, "writeControl", 0, (m.u64(L.CR0) & ~CR0.WP) | (state.wp ? CR0.WP : 0n));
        must(m, "writeControl", 4, CR4.PAE | (state.smep ? CR4.SMEP : 0n) | (state.smap ? CR4.SMAP : 0n));
        must(m, "writeMsr", MSR_EFER, EFER.LME | EFER.LMA | (state.nxe ? EFER.NXE : 0n));
        alignmentCheck(m, state.ac);
        m.setU32(L.CPL, state.user ? 3 : 0);
        // The tables never change, so cached translations must agree with a fresh walk, except for NXE.
        if (random(16) === 0 || !state.nxe) m.call("flushTlb");
        const expected = reference(m, tables.root, va, access, state);
        const got = m.call("translate", va, access);
        const fault = m.takeFault();
        const actual =
          fault === undefined
            ? { physical: got >> 63n ? got & ~(1n << 63n) : got - m.ramAddress(0) }
            : { error: fault.error };
        expect({ i, va, access, state, ...actual }).toEqual({ i, va, access, state, ...expected });
        outcomes.add("error" in expected ? expected.error : "ok");
        if (!state.nxe) m.call("flushTlb");
        m.setU32(L.CPL, 0);
      }
      // Success, and not-present, permission and reserved-bit faults, read, written and fetched, of both levels
      expect(outcomes.size).toBeGreaterThan(10);
      expect(outcomes).toContain("ok");
    });
  }
});
