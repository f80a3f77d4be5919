// Model-specific registers: each one's rule. AMD APM vol. 2, Intel SDM vol. 3 and 4; chapters at the tests.

import { describe, expect, test } from "vitest";
import * as L from "../../emulator/cpu/layout.js";
import { Microcode, RAM_BYTES } from "../support/microcode.js";
import { EFER, enterLong, MSR_EFER, must, P, Tables, W } from "../support/paging.js";

const GP0 = { vector: 13, error: 0 };
const ALL = (1n << 64n) - 1n;

function long() {
  const m = new Microcode();
  enterLong(m, new Tables(m).identity(P | W));
  return m;
}
const read = (m: Microcode, index: number) => must(m, "readMsr", index);
const write = (m: Microcode, index: number, value: bigint | number) => must(m, "writeMsr", index, value);
/** A write that is refused, and leaves the register as it was. */
function refused(m: Microcode, index: number, value: bigint | number) {
  const before = read(m, index);
  expect([index.toString(16), value, m.faultOf("writeMsr", index, value)]).toMatchObject([
    index.toString(16),
    value,
    GP0,
  ]);
  expect(read(m, index)).toBe(before);
}
function kept(m: Microcode, index: number, value: bigint) {
  write(m, index, value);
  expect([index.toString(16), read(m, index)]).toEqual([index.toString(16), value]);
}

describe("MTRRs (APM vol. 2, 7.7)", () => {
  const CAPABILITIES = 0xfe;
  const DEFAULT = 0x2ff;
  const SYSCFG = 0xc001_0010;
  const FIXED = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f];

  test("eight of variable size, the fixed ones, write combining; MTRRcap is read-only", () => {
    const m = long();
    expect(read(m, CAPABILITIES)).toBe(0x508n);
    refused(m, CAPABILITIES, 0x508n);
    for (let i = 0; i < 8; i++) {
      kept(m, 0x200 + 2 * i, 0xff_ffff_f006n);
      kept(m, 0x201 + 2 * i, 0xff_ffff_f800n);
    }
    expect(m.faultOf("readMsr", 0x210)).toMatchObject(GP0);
  });
  test("reserved types, and bits beyond the physical address, are #GP", () => {
    const m = long();
    for (const type of [2n, 3n, 7n, 8n, 0x80n]) {
      refused(m, 0x200, type);
      refused(m, DEFAULT, type);
    }
    refused(m, 0x200, 1n << 40n);
    refused(m, 0x200, 0x100n);
    refused(m, 0x201, 0x400n);
    refused(m, 0x201, 1n << 40n);
    refused(m, DEFAULT, 0x1000n);
    refused(m, DEFAULT, 0x200n);
    kept(m, DEFAULT, 0xc06n);
  });
  test("fixed: a type in each byte", () => {
    const m = long();
    for (const index of FIXED) {
      kept(m, index, 0x0605_0401_0006_0504n);
      for (let byte = 0n; byte < 8n; byte++) {
        refused(m, index, 2n << (8n * byte));
        refused(m, index, 7n << (8n * byte));
      }
    }
  });
  test("RdDram and WrDram are there while SYSCFG.MtrrFixDramModEn shows them (7.9.1)", () => {
    const m = long();
    refused(m, 0x258, 0x18n);
    write(m, SYSCFG, 1n << 19n);
    kept(m, 0x258, 0x1e1e_1e1e_1e1e_1e1en);
    write(m, SYSCFG, 0n);
    expect(read(m, 0x258)).toBe(0x0606_0606_0606_0606n);
    write(m, 0x258, 0n);
    write(m, SYSCFG, 1n << 19n);
    expect(read(m, 0x258)).toBe(0x1818_1818_1818_1818n); // hidden bits are kept
    refused(m, SYSCFG, 1n << 23n); // no memory encryption
  });
});

describe("machine check (APM vol. 2, 9.3; SDM vol. 3B, 16.3)", () => {
  test("MCG_CAP counts the banks; outside them there is nothing", () => {
    const m = long();
    const banks = Number(read(m, 0x179) & 0xffn);
    expect(banks).toBe(L.MC_BANKS);
    for (let bank = 0; bank < banks; bank++) {
      const at = 0x400 + 4 * bank;
      kept(m, at, ALL);
      kept(m, at, 0n);
      refused(m, at, 1n << 63n);
      write(m, at + 1, 0n);
      refused(m, at + 1, 1n);
      for (const n of [2, 3]) kept(m, at + n, 0x8000_0000_1234_5678n + BigInt(bank));
    }
    expect(m.faultOf("readMsr", 0x400 + 4 * banks)).toMatchObject(GP0);
    expect(m.faultOf("writeMsr", 0x400 + 4 * banks, 0)).toMatchObject(GP0);
  });
  test("HWCR.McStatusWrEn lets software fill MCi_STATUS", () => {
    const m = long();
    write(m, 0xc001_0015, 1n << 18n);
    kept(m, 0x401, 0xb200_0000_0000_0001n);
    expect(read(m, 0xc001_0015)).toBe((1n << 24n) | (1n << 18n)); // TscFreqSel is always set
  });
  test("MCG_STATUS has three bits, MCG_CTL all", () => {
    const m = long();
    kept(m, 0x17a, 7n);
    refused(m, 0x17a, 8n);
    kept(m, 0x17b, ALL);
    refused(m, 0x179, 0n);
  });
});

describe("the time-stamp counter (SDM vol. 3B, 18.17.3)", () => {
  test("a write to the counter shows in IA32_TSC_ADJUST, and one to that in the counter", () => {
    const m = long();
    m.nanoseconds = 1000n;
    write(m, 0x10, 5000n);
    expect(read(m, 0x3b)).toBe(4000n);
    write(m, 0x3b, 100n);
    expect(read(m, 0x10)).toBe(1100n);
    write(m, 0x3b, ALL); // -1
    expect(must(m, "rdtsc")).toBe(999n);
    m.call("reset", 1);
    expect(must(m, "readMsr", 0x3b)).toBe(ALL); // INIT keeps it
    m.call("reset", 0);
    expect(must(m, "readMsr", 0x3b)).toBe(0n);
  });
});

describe("EFER (APM vol. 2, 3.1.7)", () => {
  const base = EFER.LME | EFER.NXE | EFER.SCE;
  test("reserved bits and features that CPUID does not promise are #GP", () => {
    const m = long();
    for (const bit of [1, 2, 7, 9, 12, 13, 14, 15, 17, 18, 22, 32, 63])
      refused(m, MSR_EFER, base | (1n << BigInt(bit)));
  });
  test("LME stays while paging is on; LMA is the processor's own", () => {
    const m = long();
    refused(m, MSR_EFER, EFER.NXE);
    write(m, MSR_EFER, base);
    expect(read(m, MSR_EFER)).toBe(base | EFER.LMA);
    write(m, MSR_EFER, base | EFER.LMA | (1n << 21n)); // AIBRSE
    expect(read(m, MSR_EFER)).toBe(base | EFER.LMA | (1n << 21n));
  });
});

describe("what operating systems read on AMD's processors", () => {
  test("PATCH_LEVEL, TOP_MEM, NB_CFG, FP_CFG, DE_CFG, DEBUGCTL", () => {
    const m = long();
    expect(read(m, 0x8b)).toBe(0n);
    refused(m, 0x8b, 1n);
    expect(read(m, 0xc001_001a)).toBe(BigInt(RAM_BYTES));
    refused(m, 0xc001_001a, 1n << 22n);
    kept(m, 0xc001_001d, 0x1_8000_0000n);
    kept(m, 0xc001_001f, 1n << 46n);
    refused(m, 0xc001_001f, 1n);
    expect(read(m, 0xc001_1028)).toBe(0n);
    kept(m, 0xc001_1028, 0x200n); // as Xen does
    refused(m, 0xc001_1028, 0x100n);
    expect(read(m, 0xc001_1029)).toBe(2n); // LFENCE serializes
    kept(m, 0xc001_1029, 0n);
    kept(m, 0xc001_1029, 0x200n);
    expect(read(m, 0x1d9)).toBe(0n);
  });
  test("IA32_MISC_ENABLE: MONITOR's CPUID bit, limited leaves, no NX (SDM vol. 4, table 2-2)", () => {
    const m = long();
    const UNAVAILABLE = 0x1800n;
    expect(read(m, 0x1a0)).toBe(0x4_0001n | UNAVAILABLE);
    write(m, 0x1a0, 0x4_00c5_0809n);
    expect(read(m, 0x1a0)).toBe(0x4_00c5_0809n | UNAVAILABLE);
    for (const bit of [1, 4, 13, 17, 19, 24, 35, 63]) refused(m, 0x1a0, 1n << BigInt(bit));
    expect(must(m, "cpuidLower", 0, 0) & 0xffff_ffffn).toBe(3n);
    must(m, "cpuidLower", 0x8000_0001, 0);
    expect((must(m, "cpuidUpper") >> 52n) & 1n).toBe(0n);
    const efer = EFER.LME | EFER.SCE;
    write(m, MSR_EFER, efer);
    refused(m, MSR_EFER, efer | EFER.NXE);
    write(m, 0x1a0, 1n);
    kept(m, MSR_EFER, efer | EFER.NXE | EFER.LMA);
  });
});
