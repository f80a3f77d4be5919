// Paging through the microcode alone: translation, rights and faults, in 64-bit mode and by legacy tables. Intel SDM vol. 3A, chapter 4.
import { describe, expect, test } from "vitest";
import { cpuid } from "../../emulator/cpu/cpuid.js";
import * as L from "../../emulator/cpu/layout.js";
import { Microcode } from "../support/microcode.js";
import {
  alignmentCheck,
  EXECUTE,
  errorOf,
  FRAME,
  long,
  physicalOf,
  READ,
  supervisor,
  user,
  VA,
  WRITE,
} from "../support/mmu.js";
import {
  A,
  CR0,
  CR4,
  D,
  EFER,
  enterProtected,
  G,
  MSR_EFER,
  must,
  NX,
  P,
  PS,
  U,
  W,
} from "../support/paging.js";

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
